"""One SQLite connection on its own thread, and the one hop there and back.

aiosqlite gives each connection a thread and a queue of functions for it. Its methods hop once per call
(execute, fetchall and close are three hops); we put one function on that queue that does a whole batch.

PERF, primary key lookups, µs each: execute + fetchall + close 21, `execute_fetchall` 8.5, our batches 4.3
(64 at a time); one at a time 35, 15, 15.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite

from swift.engines.errors import OperationalError
from swift.engines.sqlite.errors import translate
from swift.engines.sqlite.functions import install

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], Any]


@dataclass(frozen=True, slots=True)
class Location:
    """Where the database is and how to open it. `path` None is a private database in memory."""

    path: Path | None
    busy_timeout: float = 5.0
    synchronous: str = "normal"
    # Prepared statements kept per connection; as many as shapes are likely to be in use at once.
    cached_statements: int = 256

    def connect(self, *, read_only: bool) -> sqlite3.Connection:
        """Open a connection in this thread (the connection's own)."""
        connection = sqlite3.connect(
            ":memory:" if self.path is None else self.path,
            timeout=self.busy_timeout,
            isolation_level=None,  # transactions begin where we say BEGIN
            cached_statements=self.cached_statements,
        )
        try:
            if self.path is not None and not read_only:
                use_wal(connection, self.busy_timeout)
            connection.execute(f"PRAGMA synchronous = {self.synchronous}")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA trusted_schema = OFF")
            install(connection)
            if read_only:
                connection.execute("PRAGMA query_only = ON")
        except BaseException:
            connection.close()
            raise
        return connection


def use_wal(connection: sqlite3.Connection, patience: float) -> None:
    """Switch to WAL. Processes that start at once may refuse one another here, without waiting."""
    until = time.monotonic() + patience
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.01)


class Job:
    """Work for a connection and the future of whoever waits for it.

    `atomic` work is of several statements that hold together.
    """

    __slots__ = ("atomic", "future", "work")

    def __init__(self, work: Work, future: asyncio.Future[Any], atomic: bool = False) -> None:
        self.work = work
        self.future = future
        self.atomic = atomic


Outcome = tuple["asyncio.Future[Any]", Any, BaseException | None]


class Connection:
    """An open connection. Everything that touches it runs on its thread, in the order it was handed over."""

    def __init__(self, location: Location, *, read_only: bool) -> None:
        self.location = location
        self.read_only = read_only
        self.failure: Exception | None = None
        self.thread = aiosqlite.Connection(self.connect, iter_chunk_size=64)
        # A program that ends without closing its database must end all the same.
        thread: Any = getattr(self.thread, "_thread", self.thread)
        thread.daemon = True

    def connect(self) -> sqlite3.Connection:
        """What the thread does first. aiosqlite leaves a thread whose connector raises to end by itself,
        perhaps after the loop; so a failure is kept, and the thread is closed as any other.
        """
        try:
            return self.location.connect(read_only=self.read_only)
        except Exception as error:
            self.failure = error
            return sqlite3.connect(":memory:")

    async def open(self) -> None:
        await self.thread
        if self.failure is not None:
            await self.thread.close()
            if isinstance(self.failure, sqlite3.Error):
                raise translate(self.failure) from self.failure
            raise self.failure

    async def close(self) -> None:
        await self.thread.close()

    @property
    def raw(self) -> sqlite3.Connection:
        return self.thread._conn

    def hand_over(self, function: Callable[[], T]) -> asyncio.Future[T]:
        """Queue `function` for the thread. The future is the thread's: shield it from cancellation."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self.thread._tx.put_nowait((future, function))
        return future

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` and wait for it, to its end even if the waiter is cancelled meanwhile."""
        raw = self.raw
        future = self.hand_over(lambda: work(raw))
        try:
            return await asyncio.shield(future)
        except sqlite3.Error as error:
            raise translate(error) from error
        except asyncio.CancelledError:
            future.add_done_callback(forget)
            raise

    def run_batch(self, batch: list[Job], done: Callable[[], None]) -> None:
        """Run jobs in one hop, settle their futures, then call `done`."""
        together = read_together if self.read_only else commit_together
        delivery = Delivery(asyncio.get_running_loop(), batch, done)
        waiting: Any = delivery
        self.thread._tx.put_nowait((waiting, partial(together, self.raw, batch)))


class Delivery:
    """Stands where aiosqlite expects a future, and gives each caller of a batch its own outcome.

    PERF: a future in between would cost every query one more turn of the loop.
    """

    __slots__ = ("after", "batch", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, batch: list[Job], after: Callable[[], None]) -> None:
        self.loop = loop
        self.batch = batch
        self.after = after

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self.loop

    def done(self) -> bool:
        return False

    def set_result(self, outcomes: list[Outcome]) -> None:
        for waiter, result, failure in outcomes:
            if waiter.done():
                continue
            if failure is None:
                waiter.set_result(result)
            else:
                waiter.set_exception(failure)
        self.after()

    def set_exception(self, error: BaseException) -> None:
        """The batch as a whole failed, not one of its jobs."""
        failure = translate(error) if isinstance(error, sqlite3.Error) else OperationalError(str(error))
        self.set_result([(job.future, None, failure) for job in self.batch])


def shut(cursors: list[sqlite3.Cursor]) -> None:
    for cursor in cursors:
        cursor.close()


def forget(future: asyncio.Future[Any]) -> None:
    """Take note of an outcome nobody waits for any more."""
    if not future.cancelled():
        future.exception()


def attempt(raw: sqlite3.Connection, job: Job) -> Outcome:
    try:
        if job.atomic:
            return job.future, atomically(raw, job.work), None
        return job.future, job.work(raw), None
    except sqlite3.Error as error:
        translated = translate(error)
        translated.__cause__ = error
        return job.future, None, translated
    except Exception as error:
        return job.future, None, error


def atomically(raw: sqlite3.Connection, work: Work) -> Any:
    """All the statements of `work`, or none: in a savepoint where a transaction is open."""
    inside = raw.in_transaction
    raw.execute("SAVEPOINT swift_atomic" if inside else "BEGIN IMMEDIATE")
    try:
        result = work(raw)
        raw.execute("RELEASE swift_atomic" if inside else "COMMIT")
    except BaseException:
        if raw.in_transaction:
            raw.execute("ROLLBACK TO swift_atomic" if inside else "ROLLBACK")
            if inside:
                raw.execute("RELEASE swift_atomic")
        raise
    return result


def one_by_one(raw: sqlite3.Connection, batch: list[Job]) -> list[Outcome]:
    return [attempt(raw, job) for job in batch if not job.future.cancelled()]


def read_together(raw: sqlite3.Connection, batch: list[Job]) -> list[Outcome]:
    """Queries of several callers over one snapshot, taken after the last of them asked.

    PERF: a lookup by key costs 5.1 µs alone and 3.7 where the file's lock is held already.
    """
    if len(batch) < 2:
        return one_by_one(raw, batch)
    raw.execute("BEGIN")
    outcomes = one_by_one(raw, batch)
    raw.execute("COMMIT")
    return outcomes


def commit_together(raw: sqlite3.Connection, batch: list[Job]) -> list[Outcome]:
    """Statements of several callers under one commit, each failing alone.

    A statement that fails undoes only itself, so the others stand and the one COMMIT is theirs. Where the
    whole transaction is lost (disk full, a trigger's ROLLBACK, a constraint checked at COMMIT), nothing of
    it has happened, and each job runs again on its own.
    """
    jobs = [job for job in batch if not job.future.cancelled()]
    if len(jobs) < 2:
        return one_by_one(raw, jobs)
    try:
        raw.execute("BEGIN IMMEDIATE")
    except sqlite3.Error as error:
        # Another process has kept the lock for all of busy_timeout; waiting once per job would not help.
        return [(job.future, None, translate(error)) for job in jobs]
    outcomes: list[Outcome] = []
    for job in jobs:
        outcomes.append(attempt(raw, job))
        if not raw.in_transaction:
            return one_by_one(raw, jobs)
    try:
        raw.execute("COMMIT")
    except sqlite3.Error:
        if raw.in_transaction:
            raw.execute("ROLLBACK")
        return one_by_one(raw, jobs)
    return outcomes
