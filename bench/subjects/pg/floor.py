"""The floor: messages written beforehand, pipelined; what comes back is counted, never decoded.

No tasks, no futures, no values: what is left is the server, the system calls and the loop.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence
from typing import cast
from urllib.parse import urlsplit

from bench.subjects.pg import (
    CONNECTIONS,
    INSERT,
    PAIRS,
    RECORDS,
    ROWS,
    SELECT_100,
    SELECT_BULK,
    SELECT_PK,
    TASKS,
    TWENTY,
    Driver,
)

READY = b"Z\x00\x00\x00\x05I"
SYNC = b"S\x00\x00\x00\x04"
EXECUTE = b"E\x00\x00\x00\x09\x00\x00\x00\x00\x00"


def message(kind: bytes, payload: bytes) -> bytes:
    return kind + struct.pack("!i", len(payload) + 4) + payload


def bind(statement: bytes, *values: bytes) -> bytes:
    parameters = b"".join(struct.pack("!i", len(value)) + value for value in values)
    body = (
        b"\0" + statement + b"\0\0\x01\0\x01" + struct.pack("!h", len(values)) + parameters + b"\0\x01\0\x01"
    )
    return message(b"B", body) + EXECUTE


class Wire(asyncio.BufferedProtocol):
    """Keeps `depth` of a case's messages in flight, and counts the answers."""

    def __init__(self) -> None:
        self.buffer = memoryview(bytearray(262144))
        self.tail = b""
        self.left = 0
        self.due = 0
        self.turn = 0
        self.messages: Sequence[bytes] = ()
        self.done: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def begin(self, messages: Sequence[bytes], count: int, depth: int) -> asyncio.Future[None]:
        self.messages, self.left, self.due = messages, count, count
        self.done = asyncio.get_running_loop().create_future()
        self.more(min(depth, count))
        return self.done

    def more(self, count: int) -> None:
        count = min(count, self.left)
        if count <= 0:
            return
        self.left -= count
        turn, length = self.turn, len(self.messages)
        if length == 1:
            self.transport.write(self.messages[0] * count)
        else:
            self.transport.write(b"".join([self.messages[(turn + i) % length] for i in range(count)]))
            self.turn = turn + count

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        chunk = self.tail + bytes(self.buffer[:nbytes])
        answers = chunk.count(READY)
        self.tail = b"" if chunk.endswith(READY) else chunk[-5:]
        if answers:
            self.due -= answers
            if self.due <= 0:
                if self.done is not None and not self.done.done():
                    self.done.set_result(None)
            else:
                self.more(answers)


class Bulk(Wire):
    """Where one answer is large, only its end is looked at."""

    def buffer_updated(self, nbytes: int) -> None:
        chunk = self.tail + bytes(self.buffer[max(0, nbytes - 6) : nbytes])
        self.tail = chunk[-6:]
        if self.tail == READY and self.done is not None and not self.done.done():
            self.done.set_result(None)


async def subject(dsn: str) -> Driver:
    address = urlsplit(dsn)
    loop = asyncio.get_running_loop()

    async def connect(kind: type[Wire]) -> Wire:
        _, wire = await loop.create_connection(kind, address.hostname, address.port)
        startup = b"user\0" + (address.username or "postgres").encode() + b"\0database\0"
        startup = struct.pack("!i", 196608) + startup + address.path[1:].encode() + b"\0\0"
        await wire.begin([struct.pack("!i", len(startup) + 4) + startup], 1, 1)
        return wire

    async def prepare(wire: Wire, name: bytes, sql: str) -> None:
        await wire.begin([message(b"P", name + b"\0" + sql.encode() + b"\0\0\0") + SYNC], 1, 1)

    wires = [await connect(Wire) for _ in range(CONNECTIONS)]
    bulk = await connect(Bulk)
    for wire in wires:
        await prepare(wire, b"one", "SELECT 1")
        await prepare(wire, b"pk", SELECT_PK)
        await prepare(wire, b"hundred", SELECT_100)
        for number, sql in enumerate(TWENTY):
            await prepare(wire, b"q%d" % number, sql)
    await prepare(bulk, b"bulk", SELECT_BULK)
    await prepare(bulk, b"insert", INSERT)

    select1 = [bind(b"one") + SYNC]
    pk = [bind(b"pk", struct.pack("!q", number)) + SYNC for number in range(1, ROWS + 1)]
    hundred = [bind(b"hundred", struct.pack("!q", number)) + SYNC for number in range(9000)]
    twenty = [bind(b"q%d" % number, struct.pack("!q", 7)) + SYNC for number in range(20)]
    everything = bind(b"bulk") + SYNC
    inserts = b"".join(bind(b"insert", struct.pack("!i", number), label.encode()) for number, label in PAIRS)
    rows = b"".join(
        struct.pack("!hiiid", 4, 4, number, 8, x)
        + struct.pack("!i", len(label))
        + label.encode()
        + struct.pack("!ib", 1, taken)
        for number, x, label, taken in RECORDS
    )
    header = b"PGCOPY\n\xff\r\n\0" + bytes(8)
    copied = message(b"d", header + rows + b"\xff\xff") + message(b"c", b"")

    async def concurrent(messages: Sequence[bytes], count: int) -> None:
        each, rest = divmod(count, CONNECTIONS)
        await asyncio.gather(
            *(
                wire.begin(messages, share, TASKS // CONNECTIONS)
                for number, wire in enumerate(wires)
                if (share := each + (number < rest))
            )
        )

    async def seq_pk(count: int) -> None:
        await wires[0].begin(pk, count, 1)

    async def q20(count: int) -> None:
        for _ in range(count):
            wires[0].turn = 0
            await wires[0].begin(twenty, 20, 20)

    async def fetch(count: int) -> None:
        for _ in range(count):
            await bulk.begin([everything], 1, 1)

    async def copy(count: int) -> None:
        for _ in range(count):
            await bulk.begin([message(b"Q", b"TRUNCATE copied\0")], 1, 1)
            await bulk.begin([message(b"Q", b"COPY copied FROM STDIN (FORMAT binary)\0") + copied], 1, 1)

    async def executemany(count: int) -> None:
        for _ in range(count):
            await bulk.begin([message(b"Q", b"TRUNCATE inserted\0")], 1, 1)
            await bulk.begin([inserts + SYNC], 1, 1)

    async def verify(case: str) -> None:
        return None

    async def close() -> None:
        for wire in (*wires, bulk):
            wire.transport.close()

    return Driver(
        "floor",
        {
            "c64_select1": lambda count: concurrent(select1, count),
            "c64_pk": lambda count: concurrent(pk, count),
            "c64_rows100": lambda count: concurrent(hundred, count),
            "c64_rows100_json": lambda count: concurrent(hundred, count),
            "seq_pk": seq_pk,
            "q20": q20,
            "fetch100k": fetch,
            "fetch100k_json": fetch,
            "copy10k": copy,
            "executemany10k": executemany,
        },
        verify,
        close,
    )
