"""README and docs/ are true: files and Python blocks run in order, commands give what they show, links lead somewhere.

A block whose first line is a comment with a file name (`# app.py`, `# system.toml`) is written to the page's
directory. Python blocks share one namespace, in which `await` stands at the top level; a file called
`test_*.py` is run by pytest instead. A console block is one command and its output; a command that serves is
asked once and then ended by SIGTERM.
"""

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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import httpx
import pytest

ROOT = Path(__file__).parent.parent
GUIDES = sorted((ROOT / "docs").glob("*.md"))
PAGES = [ROOT / "README.md", *GUIDES]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
KEPT = re.compile(r"^([A-Z]+)=\$\(")
FILE = re.compile(r"# ([\w-]+\.(?:py|toml))\n")

# The option by which each server is told where to listen.
SERVERS = {
    "swift-api": ("--port", "{port}"),
    "hypercorn": ("--bind", "127.0.0.1:{port}"),
    "uvicorn": ("--port", "{port}"),
    "granian": ("--port", "{port}"),
}
MODULES = {"swift-api": "swift"}

# What the platform may have set for somebody else, and what would set something here.
OURS = re.compile(r"SWIFT_.*|DATABASE_URL|HOST|PORT|DEBUG|SECRET_KEY|WEB_CONCURRENCY")

# For a process to start on a machine that runs other tests too.
PATIENCE = 60.0


class Block(NamedTuple):
    page: Path
    language: str
    text: str
    line: int

    @property
    def file(self) -> str | None:
        """The name of the file that the block is."""
        named = FILE.match(self.text)
        return named.group(1) if named else None

    @property
    def place(self) -> str:
        return f"{self.page.name}:{self.line}"


class Command(NamedTuple):
    """The command of a console block, and the output that the page shows.

    `NAME=$(command)` keeps what the command says for those that follow.
    """

    line: str
    environment: dict[str, str]
    words: list[str]
    output: str
    place: str

    @property
    def program(self) -> str:
        return self.words[0]

    @property
    def serves(self) -> bool:
        return self.program in SERVERS and (self.program != "swift-api" or self.words[1] == "run")


SERVE = Command("swift-api run app:asgi", {}, ["swift-api", "run", "app:asgi"], "", "")


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text()
    return [
        Block(page, match.group(1), match.group(2), text.count("\n", 0, match.start()) + 2)
        for match in BLOCK.finditer(text)
    ]


def commands_of(page: Path) -> list[Command]:
    commands = []
    for block in blocks_of(page):
        if block.language == "console":
            line, _, output = block.text.partition("\n")
            assert line.startswith("$ "), block.place
            line = line.removeprefix("$ ")
            words = shlex.split(KEPT.sub("", line))
            environment = {}
            while re.fullmatch(r"[A-Z_]+=.*", words[0]):
                name, _, value = words.pop(0).partition("=")
                environment[name] = value
            commands.append(Command(line, environment, words, output, block.place))
    return commands


def write_files(page: Path, directory: Path) -> None:
    for block in blocks_of(page):
        if block.file is not None:
            (directory / block.file).write_text(block.text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_python_of_a_page_runs(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in filter(OURS.fullmatch, list(os.environ)):
        monkeypatch.delenv(name)
    if "SHOP_DATABASE" in page.read_text():
        dsn: str = request.getfixturevalue("pg_database")
        monkeypatch.setenv("SHOP_DATABASE", dsn.replace("postgresql:", "postgresql+swift:"))
    if "SHOP_DSN" in page.read_text():
        monkeypatch.setenv("SHOP_DSN", request.getfixturevalue("pg_database"))
    module = ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", module)

    async def run() -> None:
        for block in blocks_of(page):
            if block.file is not None:
                (tmp_path / block.file).write_text(block.text)
            if block.language != "python" or (block.file or "").startswith("test_"):
                continue
            # Padded so that a traceback names the line of the page.
            source = "\n" * (block.line - 1) + block.text
            code = compile(source, str(page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            result = eval(code, module.__dict__)
            if inspect.isawaitable(result):
                await result

    asyncio.run(run())


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if any((block.file or "").startswith("test_") for block in blocks_of(page))],
    ids=lambda page: page.name,
)
def test_the_tests_of_a_page_pass(page: Path, tmp_path: Path) -> None:
    write_files(page, tmp_path)
    done = run_module(["pytest", "-q", "-p", "no:cacheprovider"], tmp_path)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("page", [page for page in PAGES if commands_of(page)], ids=lambda page: page.name)
def test_the_commands_of_a_page_give_what_they_show(page: Path, tmp_path: Path) -> None:
    write_files(page, tmp_path)
    commands = commands_of(page)
    for command in commands:
        if command.serves:
            with served(command, tmp_path):
                pass
        elif command.program == "swift-api":
            done = run_module(["swift", *command.words[1:]], tmp_path, command.environment)
            assert done.stdout.rstrip() == command.output.rstrip(), command.place
        else:
            assert command.program in ("curl", "pip"), f"{command.place}: nobody runs `{command.program}`"
    asked = [command for command in commands if command.program == "curl"]
    if asked:
        with served(SERVE._replace(place=page.name), tmp_path) as port:
            kept: dict[str, str] = {}
            for command in asked:
                line = command.line.replace("localhost:8000", f"127.0.0.1:{port}")
                variable = KEPT.match(line)
                if variable is not None:
                    line = line[variable.end() : -1]
                done = subprocess.run(
                    ["sh", "-c", line],
                    env={**os.environ, **kept},
                    capture_output=True,
                    text=True,
                    timeout=PATIENCE,
                    check=True,
                )
                if variable is not None:
                    kept[variable.group(1)] = done.stdout.rstrip()
                else:
                    assert done.stdout.rstrip() == command.output.rstrip(), command.place


def run_module(
    words: Sequence[str], directory: Path, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """`python -m ...` in a directory, with all that it says in `stdout`."""
    return subprocess.run(
        [sys.executable, "-m", *words],
        cwd=directory,
        env=environment_of(environment or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def environment_of(own: dict[str, str]) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not OURS.fullmatch(name)}
    return {**inherited, **own, "PYTHONPATH": str(ROOT)}


@contextmanager
def served(command: Command, directory: Path) -> Iterator[int]:
    """The port on which the command serves. It is ended as an init system does it, and then has the exit code 0."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    where = [word.format(port=port) for word in SERVERS[command.program]]
    process = subprocess.Popen(
        [sys.executable, "-m", MODULES.get(command.program, command.program), *command.words[1:], *where],
        cwd=directory,
        env=environment_of(command.environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{port}/openapi.json").raise_for_status()
                break
            except httpx.TransportError:
                assert process.poll() is None, f"{command.place}: {process.communicate()[0]}"
                assert time.monotonic() < deadline, f"{command.place}: the server does not answer"
                time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        output, _ = process.communicate(timeout=PATIENCE)
    if command.program == "swift-api":
        assert process.returncode == 0, f"{command.place}: {output}"


def test_the_first_api_of_the_readme_is_the_quickstart_word_for_word() -> None:
    shown = [block.text for block in blocks_of(ROOT / "README.md") if block.file == "app.py"]
    assert shown == [(ROOT / "examples/quickstart/app.py").read_text()]


def test_the_first_api_of_the_readme_has_a_documentation_page(tmp_path: Path) -> None:
    page = ROOT / "README.md"
    write_files(page, tmp_path)
    assert sum(command.program == "curl" for command in commands_of(page)) >= 4
    with served(SERVE._replace(place=page.name), tmp_path) as port:
        assert "<title>Library</title>" in httpx.get(f"http://127.0.0.1:{port}/docs").text


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.name)
def test_a_guide_begins_with_a_file_that_can_be_served(page: Path) -> None:
    first = blocks_of(page)[0]
    assert first.file == "app.py"
    assert re.search(r"^asgi = ", first.text, re.MULTILINE), first.place


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    for target, heading in re.findall(r"\]\(([^)#\s]*)(?:#([^)]*))?\)", page.read_text()):
        if target.startswith(("http://", "https://")):
            continue
        linked = page.parent / target if target else page
        assert linked.exists(), target
        if heading:
            assert heading in headings_of(linked), f"{target}#{heading}"


def headings_of(page: Path) -> set[str]:
    """The anchors of a page as code hosts make them: lower case, hyphens for blanks, no punctuation."""
    prose = BLOCK.sub("", page.read_text())
    titles = re.findall(r"^#+ (.*)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
