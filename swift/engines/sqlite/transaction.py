"""A transaction on the writing connection, and savepoints inside it.

Every level (the transaction, each savepoint) has a lock. A statement holds the lock of its level while it
runs; an inner savepoint holds the lock of the level around it for its whole life. So when several tasks
share one transaction, a statement of one never slips into the savepoint of another, where it could be
undone with it.

Cancellation may come at any await. What was handed to the connection's thread still runs there, in order, and
the ROLLBACK of the cancelled block is queued after it; the writer is given back only once that has run.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from swift.engines.errors import TransactionError
from swift.engines.interface import Values
from swift.engines.sqlite.connection import Connection, Work, atomically, forget, shut


class SQLiteTransaction:
    """One level: the transaction itself (depth 0) or a savepoint."""

    def __init__(self, connection: Connection, outer: SQLiteTransaction | None = None) -> None:
        self.connection = connection
        self.outer = outer
        self.depth: int = 0 if outer is None else outer.depth + 1
        self.closed = False
        # Whether BEGIN or SAVEPOINT has run; known and changed on the connection's thread only.
        self.begun = False
        self.lock = asyncio.Lock()
        self.last: asyncio.Future[Any] | None = None

    async def run(self, work: Work) -> Any:
        async with self.lock:
            if self.closed:
                raise TransactionError("This transaction has ended; its connection serves others now.")
            if self.begun:
                return await self.connection.run(work)
            return await self.connection.run(partial(self.begin_with, work))

    def begin_with(self, work: Work, raw: sqlite3.Connection) -> Any:
        self.begin(raw)
        return work(raw)

    def begin(self, raw: sqlite3.Connection) -> None:
        """Begin this level and those around it. With the first statement, which saves a hop."""
        if self.begun:
            return
        if self.outer is not None:
            self.outer.begin(raw)
        raw.execute("BEGIN IMMEDIATE" if self.outer is None else f"SAVEPOINT swift_{self.depth}")
        self.begun = True

    def keep(self, raw: sqlite3.Connection) -> None:
        if self.begun:
            raw.execute("COMMIT" if self.outer is None else f"RELEASE swift_{self.depth}")

    def undo(self) -> None:
        """Roll back. SQLite may have ended the transaction by itself, after an I/O error or a full disk."""
        raw = self.connection.raw
        if not self.begun or not raw.in_transaction:
            return
        if self.outer is None:
            raw.execute("ROLLBACK")
        else:
            raw.execute(f"ROLLBACK TO swift_{self.depth}")
            raw.execute(f"RELEASE swift_{self.depth}")

    # The five operations

    async def fetch(self, command: Any, values: Values, *, writes: bool = False) -> list[Any]:
        return await self.run(lambda raw: raw.execute(command, values).fetchall())  # type: ignore[no-any-return]

    async def fetch_json(self, command: Any, values: Values) -> bytes:
        return await self.run(lambda raw: raw.execute(command, values).fetchone()[0])  # type: ignore[no-any-return]

    async def fetch_all(self, commands: Sequence[tuple[Any, Values]]) -> list[list[Any]]:
        def work(raw: sqlite3.Connection) -> list[list[Any]]:
            return [raw.execute(command, values).fetchall() for command, values in commands]

        return await self.run(work)  # type: ignore[no-any-return]

    async def execute(self, command: Any, values: Values) -> int:
        return await self.run(lambda raw: raw.execute(command, values).rowcount)  # type: ignore[no-any-return]

    async def execute_many(self, command: Any, many: Sequence[Values]) -> list[list[Any]]:
        def work(raw: sqlite3.Connection) -> list[list[Any]]:
            return [raw.execute(command, values).fetchall() for values in many]

        return await self.run(lambda raw: atomically(raw, work))  # type: ignore[no-any-return]

    async def stream(self, command: Any, values: Values, *, size: int) -> AsyncIterator[list[Any]]:
        opened: list[sqlite3.Cursor] = []

        def start(raw: sqlite3.Connection) -> list[Any]:
            opened.append(raw.execute(command, values))
            return opened[0].fetchmany(size)

        try:
            rows = await self.run(start)
            while rows:
                yield rows
                rows = await self.run(lambda raw: opened[0].fetchmany(size))
        finally:
            self.connection.hand_over(lambda: shut(opened)).add_done_callback(forget)

    # Beginning and end

    @asynccontextmanager
    async def block(self) -> AsyncIterator[None]:
        """The life of this level: begun, then kept or undone."""
        try:
            yield
            async with self.lock:
                self.closed = True
                if self.begun:
                    await self.connection.run(self.keep)
        except BaseException:
            self.closed = True
            self.last = self.connection.hand_over(self.undo)
            self.last.add_done_callback(forget)
            await settled(self.last)
            raise

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[SQLiteTransaction]:
        async with self.lock:
            if self.closed:
                raise TransactionError("This transaction has ended; its connection serves others now.")
            inner = SQLiteTransaction(self.connection, self)
            try:
                async with inner.block():
                    yield inner
            finally:
                self.last = inner.last

    def when_quiet(self, then: Callable[[], None]) -> None:
        """Call `then` once nothing of this transaction is left on the connection's thread."""
        if self.last is None or self.last.done():
            then()
        else:
            self.last.add_done_callback(lambda _: then())


async def settled(future: asyncio.Future[Any]) -> None:
    """Wait for the rollback unless the waiter is cancelled once more: it runs all the same."""
    try:
        await asyncio.shield(future)
    except sqlite3.Error:
        pass  # the connection is in autocommit again, or nothing can be done with it
