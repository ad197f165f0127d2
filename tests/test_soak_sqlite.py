"""200 clients write and read one SQLite file through a real server: nothing is lost, nothing fails, memory stays flat.

Some seconds long; SOAK=1 gives it its minute.
"""

from __future__ import annotations

import asyncio
import os
import random
import socket
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

ROOT = Path(__file__).parent.parent
SECONDS = 60 if os.environ.get("SOAK") == "1" else 6
CLIENTS = 200

APP = """
    from contextlib import asynccontextmanager

    from swift import App, Model, fields
    from swift.permissions import AllowAny
    from swift.viewsets import AutoRouter, ModelViewSet


    class Entry(Model):
        id: int = fields.IDField()
        client: int = fields.IntegerField()
        number: int = fields.IntegerField()
        text: str = fields.TextField()
        version: int = fields.IntegerField(default=0)


    class EntryViewSet(ModelViewSet):
        model = Entry
        permission_classes = (AllowAny,)


    @asynccontextmanager
    async def lifespan(app):
        await app.db.create_tables([Entry])
        yield


    router = AutoRouter()
    router.register("/entries", EntryViewSet)
    asgi = App(routers=[router], database="sqlite:///soak.db", lifespan=lifespan)
"""


class Refused(Exception):
    """An answer that was not the one a client expects."""


class Connection:
    """One HTTP/1.1 connection, as small as it can be: 200 of them must not be slower than the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def ask(self, method: str, path: str, expected: int, data: Any = None) -> Any:
        body = b"" if data is None else msgspec.json.encode(data)
        head = f"{method} {path} HTTP/1.1\r\nhost: soak\r\ncontent-length: {len(body)}\r\n"
        kind = "content-type: application/json\r\n" if body else ""
        self.writer.write(f"{head}{kind}\r\n".encode() + body)
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = int(head.partition("content-length:")[2].split("\r\n")[0] or 0)
        content = await self.reader.readexactly(length)
        if int(head.split()[1]) != expected:
            raise Refused(f"{method} {path}: {head.splitlines()[0]} {content.decode()}")
        return msgspec.json.decode(content) if content else None


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Connection]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Connection(reader, writer)
    finally:
        writer.close()
        await writer.wait_closed()


@contextmanager
def served(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    (folder / "app.py").write_text(textwrap.dedent(APP), encoding="utf-8")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "swift", "run", "app:asgi", "--server", "uvicorn", "--port", str(port)]
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=output, stderr=output
        )
        try:
            deadline = time.monotonic() + 60
            while True:
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, "the server does not answer"
                time.sleep(0.05)
            yield process, port
        finally:
            process.terminate()
            process.wait(60)
    assert process.returncode == 0, log.read_text()
    assert "Traceback" not in log.read_text(), log.read_text()


def resident_kilobytes(process: subprocess.Popen[bytes]) -> int:
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


class Client:
    """Creates, reads back, changes and deletes its entries, and remembers what was acknowledged."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.kept: dict[int, dict[str, Any]] = {}
        self.made = 0

    async def run(self, connection: Connection, until: float) -> None:
        chance = random.Random(self.number)
        while time.monotonic() < until:
            data = {"client": self.number, "number": self.made, "text": "é" * chance.randrange(200)}
            entry = await connection.ask("POST", "/entries", 201, data)
            assert {**entry, **data} == entry
            self.kept[entry["id"]] = entry
            self.made += 1
            id = chance.choice([*self.kept])
            assert await connection.ask("GET", f"/entries/{id}", 200) == self.kept[id]
            if self.made % 3 == 0:
                changed = await connection.ask("PATCH", f"/entries/{id}", 200, {"version": self.made})
                self.kept[id]["version"] = self.made
                assert changed == self.kept[id]
            if self.made % 7 == 0:
                await connection.ask("DELETE", f"/entries/{id}", 204)
                del self.kept[id]
            if self.made % 5 == 0:
                page = await connection.ask("GET", "/entries?page_size=10", 200)
                assert page["count"] >= len(page["results"]) > 0


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Resident memory is read from /proc.")
def test_no_write_is_lost_and_memory_stays_flat(tmp_path: Path) -> None:
    clients = [Client(number) for number in range(CLIENTS)]

    async def press(port: int, seconds: float) -> None:
        until = time.monotonic() + seconds

        async def one(client: Client) -> None:
            async with connected(port) as connection:
                await client.run(connection, until)

        async with asyncio.TaskGroup() as group:
            for client in clients:
                group.create_task(one(client))

    with served(tmp_path) as (process, port):
        asyncio.run(press(port, SECONDS / 3))
        warm = resident_kilobytes(process)
        asyncio.run(press(port, SECONDS * 2 / 3))
        grown = resident_kilobytes(process) - warm

    with closing(sqlite3.connect(tmp_path / "soak.db")) as database:
        rows = database.execute("SELECT id, client, number, text, version FROM entry").fetchall()
    stored = {
        row[0]: dict(zip(("id", "client", "number", "text", "version"), row, strict=True)) for row in rows
    }
    acknowledged = {id: entry for client in clients for id, entry in client.kept.items()}
    assert stored == acknowledged
    assert sum(client.made for client in clients) > CLIENTS
    # The page cache of SQLite fills meanwhile (2 MB a connection); 200 clients' lost objects would be far more.
    assert grown < 16_000, f"{grown} KB more after {SECONDS * 2 / 3:.0f} s"
