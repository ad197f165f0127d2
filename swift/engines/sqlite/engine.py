"""The SQLite engine: readers, the writer's line, transactions on the writer."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from swift.engines.errors import OperationalError
from swift.engines.interface import Isolation, Values
from swift.engines.schema import Kind, Table
from swift.engines.sqlite.connection import Connection, Location, Work, forget, shut
from swift.engines.sqlite.pool import Readers, Writer
from swift.engines.sqlite.transaction import SQLiteTransaction
from swift.engines.sqlite.values import LOADS
from swift.engines.statements import Compiled, Statement

# Streams keep a connection for as long as their reader takes, so they have their own.
MAX_STREAMS = 32


class SQLiteEngine:
    """`sqlite:///relative.db`, `sqlite:////absolute.db`, `sqlite://` or `sqlite:///:memory:` for memory.

    Options in the query string: `busy_timeout` (seconds to wait for another process, 5), `readers`
    (connections for reading), `synchronous` (off, normal, full).

    A database in memory has one connection, shared by all: reading waits in the writer's line.
    """

    dialect = "sqlite"

    def __init__(self, location: Location, *, readers: int) -> None:
        self.location = location
        self.reader_count = readers
        self._writer: Writer | None = None
        self._readers: Readers | None = None
        self.streams: asyncio.Semaphore | None = None
        self.idle_streams: list[Connection] = []

    @classmethod
    def from_url(cls, url: str) -> SQLiteEngine:
        parts = urlsplit(url)
        if parts.netloc:
            raise ValueError(
                f"`{url}` names a host; a SQLite file is written `sqlite:///file.db` (three slashes), "
                "or four for an absolute path."
            )
        path = unquote(parts.path).removeprefix("/")
        options = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
        busy_timeout = float(options.pop("busy_timeout", 5))
        synchronous = options.pop("synchronous", "normal")
        readers = int(options.pop("readers", max(2, min(4, os.cpu_count() or 1))))
        if options:
            raise ValueError(f"`{url}`: SQLite has no option `{next(iter(options))}`.")
        if synchronous not in ("off", "normal", "full", "extra"):
            raise ValueError(f"`{url}`: synchronous is off, normal, full or extra.")
        if readers < 1:
            raise ValueError(f"`{url}`: at least one reader is needed.")
        memory = path in ("", ":memory:")
        return cls(
            Location(None if memory else Path(path), busy_timeout, synchronous),
            readers=0 if memory else readers,
        )

    # Life

    async def connect(self) -> None:
        if self._writer is not None:
            return
        if self.location.path is not None:
            self.location.path.absolute().parent.mkdir(parents=True, exist_ok=True)
        opened: list[Connection] = []
        try:
            for number in range(1 + self.reader_count):
                connection = Connection(self.location, read_only=number > 0)
                await connection.open()
                opened.append(connection)
        except BaseException:
            for connection in opened:
                await connection.close()
            raise
        self._writer = Writer(opened[0])
        self._readers = Readers(opened[1:]) if self.reader_count else None
        self.streams = asyncio.Semaphore(MAX_STREAMS)

    async def close(self) -> None:
        writer, readers = self._writer, self._readers
        if writer is None:
            return
        self._writer = self._readers = None
        writer.refuse()
        if readers is not None:
            readers.refuse()
        connections = [*self.idle_streams, *(readers.connections if readers else ()), writer.connection]
        self.idle_streams.clear()
        for connection in connections:
            await connection.close()

    @property
    def writer(self) -> Writer:
        if self._writer is None:
            raise OperationalError(
                "The database is not connected: `await db.connect()` first, or use `async with db:`."
            )
        return self._writer

    async def read(self, work: Work) -> Any:
        readers = self._readers
        if readers is None:
            return await self.writer.submit(work)
        try:
            return await readers.submit(work)
        except asyncio.CancelledError:
            readers.abandon()
            raise

    # Running

    async def fetch(self, command: Any, values: Values, *, writes: bool = False) -> list[Any]:
        def work(raw: sqlite3.Connection) -> list[Any]:
            return raw.execute(command, values).fetchall()

        if writes:
            return await self.writer.submit(work)  # type: ignore[no-any-return]
        return await self.read(work)  # type: ignore[no-any-return]

    async def fetch_json(self, command: Any, values: Values) -> bytes:
        def work(raw: sqlite3.Connection) -> bytes:
            return raw.execute(command, values).fetchone()[0]  # type: ignore[no-any-return]

        return await self.read(work)  # type: ignore[no-any-return]

    async def fetch_all(self, commands: Sequence[tuple[Any, Values]]) -> list[list[Any]]:
        return await self.read(several(commands))  # type: ignore[no-any-return]

    async def execute(self, command: Any, values: Values) -> int:
        return await self.writer.submit(change(command, values))  # type: ignore[no-any-return]

    async def execute_many(self, command: Any, many: Sequence[Values]) -> list[list[Any]]:
        return await self.writer.submit(repeat(command, many), atomic=True)  # type: ignore[no-any-return]

    async def stream(self, command: Any, values: Values, *, size: int) -> AsyncIterator[list[Any]]:
        if self._readers is None:
            rows = await self.fetch(command, values)
            for start in range(0, len(rows), size):
                yield rows[start : start + size]
            return
        assert self.streams is not None
        async with self.streams:
            connection = self.idle_streams.pop() if self.idle_streams else None
            if connection is None:
                connection = Connection(self.location, read_only=True)
                await connection.open()
            try:
                async for rows in cursor(connection, command, values, size):
                    yield rows
            finally:
                if self._writer is None:
                    await connection.close()
                else:
                    self.idle_streams.append(connection)

    @asynccontextmanager
    async def transaction(self, isolation: Isolation | None = None) -> AsyncIterator[SQLiteTransaction]:
        """A transaction that may write. Every isolation level is serializable here: there is one writer."""
        writer = self.writer
        await writer.acquire()
        transaction = SQLiteTransaction(writer.connection)
        try:
            async with transaction.block():
                yield transaction
        finally:
            transaction.when_quiet(writer.release)

    # What is particular to SQLite

    def compile(self, statement: Statement) -> Compiled:
        from swift.engines.sqlite.compiler import SQLiteCompiler

        return SQLiteCompiler().compile(statement)

    def loader(self, kind: Kind | None) -> Callable[[Any], Any] | None:
        return None if kind is None else LOADS.get(kind)

    async def create_tables(self, tables: Sequence[Table]) -> None:
        from swift.engines.ddl import create_statements
        from swift.engines.sqlite.compiler import SQLiteCompiler

        await self.run_script(create_statements(tables, SQLiteCompiler.dialect))

    async def drop_tables(self, tables: Sequence[Table]) -> None:
        from swift.engines.ddl import drop_statements
        from swift.engines.sqlite.compiler import SQLiteCompiler

        await self.run_script(drop_statements(tables, SQLiteCompiler.dialect))

    async def run_script(self, statements: Sequence[str]) -> None:
        def work(raw: sqlite3.Connection) -> None:
            for statement in statements:
                raw.execute(statement)

        await self.writer.submit(work, atomic=True)


def several(commands: Sequence[tuple[Any, Values]]) -> Work:
    def work(raw: sqlite3.Connection) -> list[list[Any]]:
        alone = not raw.in_transaction
        if alone:
            raw.execute("BEGIN")
        try:
            return [raw.execute(command, values).fetchall() for command, values in commands]
        finally:
            if alone:
                raw.execute("COMMIT")

    return work


def change(command: Any, values: Values) -> Work:
    return lambda raw: raw.execute(command, values).rowcount


def repeat(command: Any, many: Sequence[Values]) -> Work:
    return lambda raw: [raw.execute(command, values).fetchall() for values in many]


async def cursor(connection: Connection, command: Any, values: Values, size: int) -> AsyncIterator[list[Any]]:
    """The rows of a query by parts; the statement is closed at the end or when the reader leaves."""
    opened: list[sqlite3.Cursor] = []

    def start(raw: sqlite3.Connection) -> list[Any]:
        opened.append(raw.execute(command, values))
        return opened[0].fetchmany(size)

    try:
        rows = await connection.run(start)
        while rows:
            yield rows
            rows = await connection.run(lambda raw: opened[0].fetchmany(size))
    finally:
        connection.hand_over(lambda: shut(opened)).add_done_callback(forget)
