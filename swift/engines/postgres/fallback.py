"""The same engine on asyncpg, `postgresql+asyncpg://`, for who has to stay with it.

A statement takes a connection of the pool for itself; pages and counts travel one after the other; JSON is made from
objects.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from swift.engines.errors import DatabaseError, OperationalError, TransactionError
from swift.engines.interface import Isolation, Values
from swift.engines.postgres.commands import RowsAsJSON
from swift.engines.postgres.dialect import Dialect
from swift.engines.postgres.errors import translated
from swift.engines.schema import Kind

try:
    import asyncpg
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "postgresql+asyncpg:// needs asyncpg: pip install swift-api[asyncpg]; postgresql:// needs nothing more."
    ) from error

FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.DataError, OSError)


def plain_uuid(value: uuid.UUID) -> uuid.UUID:
    """asyncpg has a class of its own, which encoders do not know."""
    return uuid.UUID(int=value.int)


# What turns what asyncpg gives into the value of the model.
LOADS: dict[Kind, Callable[[Any], Any]] = {"json": msgspec.json.decode, "uuid": plain_uuid}


def translate(error: Exception) -> DatabaseError:
    return translated(
        str(error) or type(error).__name__,
        getattr(error, "sqlstate", None),
        detail=getattr(error, "detail", None),
        table=getattr(error, "table_name", None),
        column=getattr(error, "column_name", None),
        constraint=getattr(error, "constraint_name", None),
    )


def rows_json(command: RowsAsJSON, rows: Sequence[Any]) -> bytes:
    loads = [None if kind is None else LOADS.get(kind) for kind in command.kinds]
    return msgspec.json.encode(
        [
            {
                name: value if load is None or value is None else load(value)
                for load, (name, value) in zip(loads, row.items(), strict=True)
            }
            for row in rows
        ]
    )


class AsyncpgRunner:
    """The five operations on a connection that `connection` lends."""

    def connection(self) -> Any:
        raise NotImplementedError

    async def fetch(self, command: Any, values: Values, *, writes: bool = False) -> list[Any]:
        try:
            async with self.connection() as connection:
                return list(await connection.fetch(command, *values))
        except FAILURES as error:
            raise translate(error) from error

    async def fetch_json(self, command: Any, values: Values) -> bytes:
        return rows_json(command, await self.fetch(command.sql, values))

    async def execute(self, command: Any, values: Values) -> int:
        try:
            async with self.connection() as connection:
                tag: str = await connection.execute(command, *values)
        except FAILURES as error:
            raise translate(error) from error
        count = tag.rpartition(" ")[2]
        return int(count) if count.isdigit() else 0

    async def fetch_all(self, commands: Sequence[tuple[Any, Values]]) -> list[list[Any]]:
        found: list[list[Any]] = []
        try:
            # Of one moment: what one statement saw, the next one sees.
            async with self.connection() as connection, connection.transaction(isolation="repeatable_read"):
                for command, values in commands:
                    if isinstance(command, RowsAsJSON):
                        found.append([(rows_json(command, await connection.fetch(command.sql, *values)),)])
                    else:
                        found.append(list(await connection.fetch(command, *values)))
        except FAILURES as error:
            raise translate(error) from error
        return found

    async def execute_many(self, command: Any, many: Sequence[Values]) -> list[list[Any]]:
        try:
            async with self.connection() as connection, connection.transaction():
                return [list(await connection.fetch(command, *values)) for values in many]
        except FAILURES as error:
            raise translate(error) from error

    async def stream(self, command: Any, values: Values, *, size: int) -> AsyncIterator[list[Any]]:
        try:
            async with self.connection() as connection, connection.transaction():
                cursor = await connection.cursor(command, *values)
                while rows := await cursor.fetch(size):
                    yield list(rows)
        except FAILURES as error:
            raise translate(error) from error


class AsyncpgTransaction(AsyncpgRunner):
    """An open transaction, or a savepoint in one; its connection does one thing at a time."""

    def __init__(self, connection: Any) -> None:
        self.own = connection
        self.closed = False
        self.lock = asyncio.Lock()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        async with self.lock:
            if self.closed:
                raise TransactionError("This transaction has ended; its connection serves others now.")
            yield self.own

    async def fetch_all(self, commands: Sequence[tuple[Any, Values]]) -> list[list[Any]]:
        # The isolation is that of the transaction.
        found: list[list[Any]] = []
        for command, values in commands:
            if isinstance(command, RowsAsJSON):
                found.append([(await self.fetch_json(command, values),)])
            else:
                found.append(await self.fetch(command, values))
        return found

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[AsyncpgTransaction]:
        async with self.connection() as connection, opened(connection, None) as inner:
            yield inner


@asynccontextmanager
async def opened(connection: Any, isolation: Isolation | None) -> AsyncIterator[AsyncpgTransaction]:
    inner = AsyncpgTransaction(connection)
    try:
        async with connection.transaction(isolation=isolation):
            try:
                yield inner
            finally:
                async with inner.lock:
                    inner.closed = True
    except FAILURES as error:
        raise translate(error) from error


class AsyncpgEngine(Dialect, AsyncpgRunner):
    """`postgresql+asyncpg://user:password@host:5432/name`, with the options of asyncpg in the query string."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self._pool: Any = None

    @classmethod
    def from_url(cls, url: str) -> AsyncpgEngine:
        return cls(url.replace("+asyncpg", "", 1))

    async def connect(self) -> None:
        if self._pool is None:
            try:
                self._pool = await asyncpg.create_pool(self.dsn, min_size=1)
            except FAILURES as error:
                raise translate(error) from error

    async def close(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()

    def connection(self) -> Any:
        if self._pool is None:
            raise OperationalError(
                "The database is not connected: `await db.connect()` first, or use `async with db:`."
            )
        return self._pool.acquire()

    @asynccontextmanager
    async def transaction(self, isolation: Isolation | None = None) -> AsyncIterator[AsyncpgTransaction]:
        async with self.connection() as connection, opened(connection, isolation) as transaction:
            yield transaction

    def loader(self, kind: Kind | None) -> Callable[[Any], Any] | None:
        return None if kind is None else LOADS.get(kind)
