"""The floor: messages written beforehand go out pipelined, and fixed bytes of the right size come back.

Nothing is decoded, validated or encoded, so it answers some cases wrongly and is not verified.
"""

from __future__ import annotations

import asyncio
import json
import struct
from collections import deque
from datetime import datetime
from typing import cast
from urllib.parse import urlsplit

from bench.cases import RECORDS, record
from bench.subjects.pg.floor import READY, SYNC, bind, message

from . import COUNT, CREATE, LIST, PAGE, SHOW
from .raw import Application

CONNECTIONS = 4
VERIFIED = False
EPOCH = datetime.fromisoformat("2000-01-01T00:00:00Z")


class Wire(asyncio.BufferedProtocol):
    """A connection that counts answers, and wakes who waits for each."""

    def __init__(self) -> None:
        self.buffer = memoryview(bytearray(262144))
        self.tail = b""
        self.waiting: deque[asyncio.Future[None]] = deque()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def ask(self, messages: bytes) -> asyncio.Future[None]:
        future = asyncio.get_running_loop().create_future()
        self.waiting.append(future)
        self.transport.write(messages)
        return future

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        chunk = self.tail + bytes(self.buffer[:nbytes])
        for _ in range(chunk.count(READY)):
            self.waiting.popleft().set_result(None)
        self.tail = b"" if chunk.endswith(READY) else chunk[-5:]


def encoded(values: object) -> bytes:
    return json.dumps(values, separators=(",", ":")).encode()


class Floor(Application):
    async def open(self) -> None:
        address = urlsplit(self.dsn)
        loop = asyncio.get_running_loop()
        startup = b"user\0" + (address.username or "postgres").encode() + b"\0database\0"
        startup = struct.pack("!i", 196608) + startup + address.path[1:].encode() + b"\0\0"
        statements = {b"list": LIST, b"show": SHOW, b"count": COUNT, b"page": PAGE, b"create": CREATE}
        self.wires = []
        for _ in range(CONNECTIONS):
            _, wire = await loop.create_connection(Wire, address.hostname, address.port)
            await wire.ask(struct.pack("!i", len(startup) + 4) + startup)
            for name, sql in statements.items():
                await wire.ask(message(b"P", name + b"\0" + sql.encode() + b"\0\0\0") + SYNC)
            self.wires.append(wire)
        self.turn = 0
        new = record(101)
        at = datetime.fromisoformat(new["created_at"]) - EPOCH
        values = [new[name].encode() for name in ("name", "email", "city")]
        values += [struct.pack("!i", new["age"]), struct.pack("!?", new["active"])]
        values += [struct.pack("!d", new["score"]), struct.pack("!d", new["balance"]), b""]
        values += [struct.pack("!q", int(at.total_seconds() * 1_000_000))]
        self.listing = bind(b"list") + SYNC
        self.creating = bind(b"create", *values) + SYNC
        self.paging = bind(b"count", b"\x01") + bind(
            b"page", b"\x01", struct.pack("!q", 20), struct.pack("!q", 20)
        )
        self.list_body = encoded(RECORDS)
        self.show_body = encoded(record(5_000))
        self.page_body = encoded({"count": 67, "next": None, "previous": None, "results": RECORDS[:20]})

    async def close(self) -> None:
        for wire in self.wires:
            wire.transport.close()

    def ask(self, messages: bytes) -> asyncio.Future[None]:
        self.turn = (self.turn + 1) % CONNECTIONS
        return self.wires[self.turn].ask(messages)

    async def list(self) -> bytes:
        await self.ask(self.listing)
        return self.list_body

    async def show(self, id: int) -> bytes | None:
        await self.ask(bind(b"show", struct.pack("!q", id)) + SYNC)
        return self.show_body

    async def page(self, active: bool, number: int, size: int) -> bytes:
        await self.ask(self.paging + SYNC)
        return self.page_body

    async def create(self, body: bytes) -> bytes:
        await self.ask(self.creating)
        return self.show_body


def application(dsn: str) -> Floor:
    return Floor(dsn)
