"""The PostgreSQL engine: autocommit statements share the pool's connections, a transaction has one of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from swift.engines.errors import DatabaseError, OperationalError, TransactionError
from swift.engines.interface import Isolation, Values
from swift.engines.postgres.commands import RowsAsJSON
from swift.engines.postgres.dialect import Dialect
from swift.engines.postgres.errors import translated
from swift.engines.schema import Kind
from swift.futures import when_all
from swift.pg import Pg, PgError, PgPool, TxIsolation

# What belongs to the pool in the query string of a URL; the rest is libpq's.
POOL_OPTIONS: dict[str, Callable[[str], Any]] = {
    "min_size": int,
    "max_size": int,
    "pipeline_depth": int,
    "idle_timeout_secs": float,
    "max_lifetime_secs": float,
    "health_check_interval_secs": float,
    "acquire_deadline_ms": float,
    "query_deadline_ms": float,
    "statement_cache_size": int,
}


def translate(error: PgError) -> DatabaseError:
    return translated(
        str(error),
        error.code,
        detail=error.detail,
        table=error.table,
        column=error.column,
        constraint=error.constraint,
    )


class PostgresRunner:
    """The five operations, on whatever `turn` gives to run them on."""

    async def turn(self) -> Any:
        raise NotImplementedError

    async def fetch(self, command: Any, values: Values, *, writes: bool = False) -> list[Any]:
        pg = await self.turn()
        try:
            return await pg.exec_async(command, *values).all(tuple)  # type: ignore[no-any-return]
        except PgError as error:
            raise translate(error) from error

    async def fetch_json(self, command: Any, values: Values) -> bytes:
        pg = await self.turn()
        try:
            return await pg.exec_async(command.sql, *values).json()  # type: ignore[no-any-return]
        except PgError as error:
            raise translate(error) from error

    async def execute(self, command: Any, values: Values) -> int:
        pg = await self.turn()
        try:
            result = await pg.exec_async(command, *values)
        except PgError as error:
            raise translate(error) from error
        return result.rowcount or 0

    async def fetch_all(self, commands: Sequence[tuple[Any, Values]]) -> list[list[Any]]:
        pg = await self.turn()
        try:
            # All in flight at once. A transaction would not make them of one moment: READ COMMITTED looks anew for
            # each statement (PostgreSQL manual 13.2.1).
            results = await when_all(
                [
                    pg.exec_async(command.sql, *values).json()
                    if isinstance(command, RowsAsJSON)
                    else pg.exec_async(command, *values).all(tuple)
                    for command, values in commands
                ]
            )
        except PgError as error:
            raise translate(error) from error
        return [
            [(result,)] if isinstance(command, RowsAsJSON) else result
            for result, (command, _) in zip(results, commands, strict=True)
        ]

    async def execute_many(self, command: Any, many: Sequence[Values]) -> list[list[Any]]:
        pg = await self.turn()
        try:
            results = await pg.batch_async([(command, values) for values in many])
        except PgError as error:
            raise translate(error) from error
        return [result.all(tuple) for result in results]

    async def stream(self, command: Any, values: Values, *, size: int) -> AsyncIterator[list[Any]]:
        pg = await self.turn()
        rows: list[Any] = []
        try:
            async with pg.stream(command, *values, chunk_size=size, into=tuple) as stream:
                async for row in stream:
                    rows.append(row)
                    if len(rows) == size:
                        yield rows
                        rows = []
        except PgError as error:
            raise translate(error) from error
        if rows:
            yield rows


class PostgresTransaction(PostgresRunner):
    """An open transaction, or a savepoint in one.

    Several tasks may share it. Their statements go out as they come; while one of them has a savepoint open, what
    the others do waits for its end, else it would be undone with it.
    """

    def __init__(self, pg: Pg) -> None:
        self.pg = pg
        self.closed = False
        self.lock = asyncio.Lock()

    async def turn(self) -> Pg:
        while self.lock.locked():
            async with self.lock:
                pass
        if self.closed:
            raise TransactionError("This transaction has ended; its connection serves others now.")
        return self.pg

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[PostgresTransaction]:
        async with self.lock:
            if self.closed:
                raise TransactionError("This transaction has ended; its connection serves others now.")
            async with opened(self.pg.tx()) as inner:
                yield inner


@asynccontextmanager
async def opened(tx: Any) -> AsyncIterator[PostgresTransaction]:
    """The life of a transaction or savepoint."""
    transaction: PostgresTransaction | None = None
    try:
        async with tx as pg:
            transaction = PostgresTransaction(pg)
            try:
                yield transaction
            finally:
                transaction.closed = True
    except PgError as error:
        raise translate(error) from error


class PostgresEngine(Dialect, PostgresRunner):
    """`postgresql://user:password@host:5432/name`, with the options of libpq in the query string.

    Also there: `min_size` and `max_size` of the pool, and its other options (`swift.pg.PgPool`).
    """

    def __init__(self, dsn: str, **options: Any) -> None:
        self.dsn = dsn
        self.options = options
        self._pool: PgPool | None = None

    @classmethod
    def from_url(cls, url: str) -> PostgresEngine:
        parts = urlsplit(url)
        options: dict[str, Any] = {}
        kept = []
        for name, value in parse_qsl(parts.query, keep_blank_values=True):
            if name in POOL_OPTIONS:
                try:
                    options[name] = POOL_OPTIONS[name](value)
                except ValueError:
                    raise ValueError(f"The database's URL: {name} is {value!r}; give a number.") from None
            else:
                kept.append((name, value))
        return cls(urlunsplit(parts._replace(query=urlencode(kept))), **options)

    # Life

    async def connect(self) -> None:
        if self._pool is not None:
            return
        pool = PgPool(self.dsn, **self.options)
        try:
            await pool.open()
        except PgError as error:
            await pool.close()
            raise translate(error) from error
        self._pool = pool

    async def close(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()

    @property
    def pool(self) -> PgPool:
        if self._pool is None:
            raise OperationalError(
                "The database is not connected: `await db.connect()` first, or use `async with db:`."
            )
        return self._pool

    async def turn(self) -> PgPool:
        return self.pool

    @asynccontextmanager
    async def transaction(self, isolation: Isolation | None = None) -> AsyncIterator[PostgresTransaction]:
        level = None if isolation is None else TxIsolation[isolation]
        async with opened(self.pool.tx(level)) as transaction:
            yield transaction

    def loader(self, kind: Kind | None) -> Callable[[Any], Any] | None:
        # The driver's codecs give the values of the model already.
        return None
