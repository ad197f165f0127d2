"""The C units by themselves: their tests and bounded fuzzing, under the sanitizers where the compiler has them."""

from __future__ import annotations

import os
import shutil
import socket
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.pg_support import Cluster, missing

ROOT = Path(__file__).parent.parent / "csrc"
SANITIZERS = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
STRICT = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
UNITS = ["pg_wire", "pg_numbers", "pg_values", "pg_document", "pg_json"]


@dataclass(frozen=True)
class Build:
    """A compiler, what it can link, and the units it made once."""

    compiler: str
    flags: list[str]
    objects: list[str]

    def program(self, out: Path, *sources: str) -> Path:
        paths = [str(ROOT / source) for source in sources]
        self.call(*STRICT, *self.flags, *paths, *self.objects, "-o", str(out), "-lm")
        return out

    def call(self, *arguments: str) -> None:
        done = subprocess.run([self.compiler, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    folder = tmp_path_factory.mktemp("csrc")
    cc = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if cc is None:
        missing("A C compiler is needed to test the C units.")
    probe = folder / "probe.c"
    probe.write_text("int main(void) { return 0; }\n")
    command = [cc, *SANITIZERS, str(probe), "-o", str(folder / "probe")]
    sanitized = subprocess.run(command, capture_output=True, check=False).returncode == 0
    made = Build(
        cc, SANITIZERS if sanitized else ["-g", "-O1"], [str(folder / f"{unit}.o") for unit in UNITS]
    )
    for unit, target in zip(UNITS, made.objects, strict=True):
        made.call(*STRICT, *made.flags, "-c", str(ROOT / f"{unit}.c"), "-o", target)
    return made


def run(program: Path, *arguments: str) -> None:
    # The leak check needs ptrace, which containers often refuse.
    options = "allocator_may_return_null=1:detect_leaks=0"
    done = subprocess.run(
        [program, *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "ASAN_OPTIONS": options},
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["wire", "values", "json"])
def test_the_units_keep_their_contracts(build: Build, tmp_path: Path, name: str) -> None:
    run(build.program(tmp_path / name, f"tests/test_{name}.c"))


@pytest.mark.parametrize("name", ["frames", "json", "numeric"])
def test_no_bytes_lead_outside_of_the_buffer(build: Build, tmp_path: Path, name: str) -> None:
    runs = os.environ.get("FUZZ_RUNS", "40000")
    run(
        build.program(tmp_path / name, f"fuzz/fuzz_{name}.c", "fuzz/mutate.c"),
        runs,
        str(ROOT / "tests/session.bin"),
    )


def test_a_session_cut_anywhere_is_the_same_session(build: Build, tmp_path: Path) -> None:
    run(build.program(tmp_path / "transcript", "tests/test_transcript.c"), str(ROOT / "tests/session.bin"))


def test_a_session_recorded_now_is_one_as_well(build: Build, tmp_path: Path, pg_each: Cluster) -> None:
    (tmp_path / "session.bin").write_bytes(recorded(pg_each))
    run(build.program(tmp_path / "transcript", "tests/test_transcript.c"), str(tmp_path / "session.bin"))


def message(kind: bytes, payload: bytes = b"") -> bytes:
    return kind + struct.pack("!i", len(payload) + 4) + payload


def recorded(cluster: Cluster) -> bytes:
    """All a server sends in a session with rows, NULLs, notices, a COPY and an error; how csrc/tests/session.bin was
    made."""
    sql = (
        b"SELECT 1, 'text', NULL, 1.5::float8, now() FROM generate_series(1, 3);"
        b"DO $$ BEGIN RAISE NOTICE 'heard'; END $$; COPY (VALUES (1, 'a'), (2, NULL)) TO STDOUT; LISTEN c; NOTIFY c, 'p'; ;"
        b"SELECT 1/0"
    )
    # No names, no parameters, all results binary.
    bind = b"\0\0" + struct.pack("!HHHH", 0, 0, 1, 1)
    with socket.create_connection((cluster.host, cluster.port), timeout=10) as peer:
        startup = struct.pack("!i", 196608) + b"user\0postgres\0database\0test\0\0"
        peer.sendall(struct.pack("!i", len(startup) + 4) + startup)
        peer.sendall(message(b"Q", sql + b"\0"))
        peer.sendall(
            message(b"P", b"\0SELECT ARRAY[1,NULL], '{\"a\":1}'::jsonb, 1.50::numeric, 'x'::text, true\0\0\0")
            + message(b"D", b"S\0")
            + message(b"B", bind)
            + message(b"E", b"\0\0\0\0\0")
            + message(b"S")
            + message(b"X")
        )
        received = b""
        while chunk := peer.recv(65536):
            received += chunk
    return received
