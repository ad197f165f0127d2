"""Every code block of README and docs/ runs: Python in order, one namespace a page; `$ curl` against the served page."""

from __future__ import annotations

import ast
import asyncio
import inspect
import os
import re
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# (\w+\.py)\n")


class Block(NamedTuple):
    language: str
    text: str
    line: int


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text()
    return [
        Block(match.group(1), match.group(2), text.count("\n", 0, match.start()) + 2)
        for match in BLOCK.finditer(text)
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_python_of_a_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "page"}
    blocks = [block for block in blocks_of(page) if block.language == "python"]
    assert blocks or page.name == "performance.md"

    async def run() -> None:
        for block in blocks:
            # Padded so that a traceback names the line of the page.
            source = "\n" * (block.line - 1) + block.text
            code = compile(source, str(page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            if FILE.match(block.text):
                (tmp_path / FILE.match(block.text).group(1)).write_text(block.text)  # type: ignore[union-attr]
            result = eval(code, namespace)
            if inspect.isawaitable(result):
                await result

    module = type(sys)("page")
    module.__dict__.update(namespace)
    namespace = module.__dict__
    monkeypatch.setitem(sys.modules, "page", module)
    asyncio.run(run())


def test_the_commands_of_the_readme_give_what_they_show(tmp_path: Path) -> None:
    blocks = blocks_of(ROOT / "README.md")
    source = next(block.text for block in blocks if block.language == "python" and FILE.match(block.text))
    (tmp_path / "app.py").write_text(source)
    asked = [block for block in blocks if block.language == "console" and block.text.startswith("$ curl")]
    assert len(asked) >= 4
    with served(tmp_path) as port:
        for block in asked:
            command, _, expected = block.text.partition("\n")
            words = shlex.split(command.removeprefix("$ ").replace("localhost:8000", f"127.0.0.1:{port}"))
            done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=True)
            assert done.stdout == expected.rstrip("\n"), f"README.md:{block.line}"
        assert "<title>Books</title>" in httpx.get(f"http://127.0.0.1:{port}/docs").text


@contextmanager
def served(directory: Path) -> Iterator[int]:
    """`swift-api run app:asgi` in a directory, on a free port, ended afterwards."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    command = [sys.executable, "-m", "swift", "run", "app:asgi", "--port", str(port)]
    process = subprocess.Popen(
        command,
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{port}/openapi.json")
                break
            except httpx.TransportError:
                assert process.poll() is None, process.communicate()[0].decode()
                assert time.monotonic() < deadline, "the server does not answer"
                time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.communicate(timeout=30)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), target
