"""The PostgreSQL server of a bench: one of its own, on a scratch directory and port, without fsync."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.options import Unavailable

SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "listen_addresses": "127.0.0.1",
    "autovacuum": "off",
    "jit": "off",
}


def _binaries() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).parent
    if not found:
        raise Unavailable(
            "This bench needs a PostgreSQL server: apt-get install postgresql, or set BENCH_PG_DSN to a database of one."
        )
    return found[-1].parent


def _account() -> dict[str, Any]:
    """PostgreSQL refuses to run as root."""
    if os.name == "nt" or os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise Unavailable("This bench runs as root and finds no account to run PostgreSQL as.")


@contextmanager
def database() -> Iterator[str]:
    """The DSN of an empty database; `BENCH_PG_DSN` names one of a server that runs already."""
    if given := os.environ.get("BENCH_PG_DSN"):
        yield given
        return
    binaries, account = _binaries(), _account()
    directory = Path(tempfile.mkdtemp(prefix="bench-pg-"))
    try:
        if account:
            os.chown(directory, account["user"], account["group"])
        data = directory / "data"
        subprocess.run(
            [binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=directory,
            **account,
        )
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        settings = SETTINGS | {"port": str(port), "unix_socket_directories": str(directory)}
        control = [
            str(part) for part in (binaries / "pg_ctl", "-D", data, "-w", "-s", "-l", directory / "log")
        ]
        options = " ".join(f"-c {name}='{value}'" for name, value in settings.items())
        subprocess.run([*control, "-o", options, "start"], check=True, cwd=directory, **account)
        try:
            yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], check=True, cwd=directory, **account)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
