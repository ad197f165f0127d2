"""What the subjects without a framework share: their table, and the way from a request to its answer.

Booleans are kept as 0 and 1, instants as the text that is answered.
"""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from bench.asgi import Receive, Scope, Send

from . import PRAGMAS

CREATE = """\
CREATE TABLE records (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    email TEXT NOT NULL,
    city TEXT NOT NULL,
    age INTEGER NOT NULL,
    active INTEGER NOT NULL,
    score REAL NOT NULL,
    balance REAL NOT NULL,
    note TEXT,
    created_at TEXT NOT NULL
)"""
NAMES = ("name", "email", "city", "age", "active", "score", "balance", "note", "created_at")
INSERT = f"INSERT INTO records ({', '.join(NAMES)}) VALUES ({', '.join(f':{name}' for name in NAMES)})"

JSON = (b"content-type", b"application/json")


async def seed(database: Path, records: Sequence[dict[str, Any]]) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        for pragma in PRAGMAS:
            connection.execute(pragma)
        connection.execute(CREATE)
        connection.execute("BEGIN")
        connection.executemany(INSERT, records)
        connection.execute("COMMIT")


async def read(receive: Receive) -> bytes:
    message = await receive()
    body: bytes = message["body"]
    while message["more_body"]:
        message = await receive()
        body += message["body"]
    return body


class Application(ABC):
    """An ASGI app without a framework. The three answers are bytes of JSON; None is a 404."""

    def __init__(self, database: Path) -> None:
        self.database = database

    @abstractmethod
    async def open(self) -> None: ...

    @abstractmethod
    async def close(self) -> None: ...

    @abstractmethod
    async def list(self) -> bytes: ...

    @abstractmethod
    async def show(self, id: int) -> bytes | None: ...

    @abstractmethod
    async def create(self, body: bytes) -> bytes: ...

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.live(receive, send)
            return
        status = 200
        answer: bytes | None
        if scope["method"] == "POST":
            status = 201
            try:
                answer = await self.create(await read(receive))
            except msgspec.ValidationError:
                status, answer = 422, b"{}"
        elif scope["path"] == "/records":
            answer = await self.list()
        else:
            answer = await self.show(int(scope["path"].rpartition("/")[2]))
        if answer is None:
            status, answer = 404, b"{}"
        headers = [JSON, (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    async def live(self, receive: Receive, send: Send) -> None:
        await receive()
        await self.open()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.close()
        await send({"type": "lifespan.shutdown.complete"})
