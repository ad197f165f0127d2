"""What the soaks share: an app of one resource behind a real server, and clients small enough to press it."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import msgspec

ROOT = Path(__file__).parent.parent
SOAK = os.environ.get("SOAK") == "1"

APP = """
    import os
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
    asgi = App(routers=[router], database=os.environ["DATABASE_URL"], lifespan=lifespan)
"""


class Refused(Exception):
    """An answer that was not the one a client expects."""

    def __init__(self, message: str, status: int, head: str) -> None:
        super().__init__(message)
        self.status = status
        self.head = head


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
        status = int(head.split()[1])
        if status != expected:
            raise Refused(f"{method} {path}: {head.splitlines()[0]} {content.decode()}", status, head)
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
def served(
    folder: Path, database: str, *, failing: bool = False
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The app behind uvicorn; its process and port. Without `failing` it must not log an error."""
    (folder / "app.py").write_text(textwrap.dedent(APP), encoding="utf-8")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "swift", "run", "app:asgi", "--server", "uvicorn", "--port", str(port)]
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "DATABASE_URL": database},
            stdout=output,
            stderr=output,
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
    assert failing or "Traceback" not in log.read_text(), log.read_text()
    assert "Unhandled" not in log.read_text(), log.read_text()


def resident_kilobytes(process: subprocess.Popen[bytes]) -> int:
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])
