"""Transactions: BEGIN to COMMIT on a connection of one's own, savepoints when nested, and what is run again.

A `with` body cannot be run twice, so three forms:

    async with pool.tx() as tx: ...                                 # once
    await pool.run_tx(transfer, retries=3)                          # transfer(tx), again after 40001 and 40P01
    async for attempt in pool.tx(retries=3):                        # the same, in line
        async with attempt as tx: ...
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator
from enum import Enum
from types import TracebackType
from typing import TYPE_CHECKING, Any

from .errors import PgConnectionError, PgError, PgInterfaceError, PgTransactionRollback

if TYPE_CHECKING:
    from .handle import Pg

# The first pause before a transaction is run again; doubled each time, jittered (seconds).
RETRY_PAUSE_SECONDS = 0.005
LONGEST_PAUSE_SECONDS = 1.0


class TxIsolation(Enum):
    """Isolation levels (manual 13.2). PostgreSQL treats read uncommitted as read committed."""

    read_uncommitted = "READ UNCOMMITTED"
    read_committed = "READ COMMITTED"
    repeatable_read = "REPEATABLE READ"
    serializable = "SERIALIZABLE"


def begin_statement(isolation: TxIsolation | None, read_only: bool | None, deferrable: bool | None) -> str:
    parts = ["BEGIN"]
    if isolation is not None:
        parts.append(f"ISOLATION LEVEL {isolation.value}")
    if read_only is not None:
        parts.append("READ ONLY" if read_only else "READ WRITE")
    if deferrable is not None:
        parts.append("DEFERRABLE" if deferrable else "NOT DEFERRABLE")
    return " ".join(parts)


def pause_before(attempt: int) -> float:
    """Seconds to wait before attempt number `attempt` (from 1 for the first repetition)."""
    return min(LONGEST_PAUSE_SECONDS, RETRY_PAUSE_SECONDS * 2.0**attempt) * (0.5 + random.random())


def was_committed(tag: str | None) -> None:
    """COMMIT of a transaction that had failed is answered by ROLLBACK, without an error."""
    if tag == "ROLLBACK":
        raise PgTransactionRollback(
            "The transaction had failed before COMMIT, which rolled it back; an error inside it was caught and not "
            "raised again.",
            code="40000",
        )


class Tx:
    """A transaction to be entered: once with `with` or `async with`, repeatedly by iterating over it."""

    def __init__(
        self,
        pg: Pg,
        isolation: TxIsolation | None,
        read_only: bool | None,
        deferrable: bool | None,
        retries: int,
    ) -> None:
        self._pg = pg
        self._begin = begin_statement(isolation, read_only, deferrable)
        self._nested = pg.level > 0
        if self._nested and self._begin != "BEGIN":
            raise PgInterfaceError(
                "A nested transaction is a savepoint: isolation, read_only and deferrable belong to the outermost one."
            )
        if self._nested and retries:
            raise PgInterfaceError(
                "A nested transaction cannot be retried: a serialization failure ends the outermost one."
            )
        self._retries = retries
        self._attempts = 0
        self._finished = False
        self._looping = False
        self._tx: Pg | None = None

    # ---- statements

    @property
    def _name(self) -> str:
        return f"swift_{self._pg.level}"

    def _opening(self) -> str:
        return f"SAVEPOINT {self._name}" if self._nested else self._begin

    def _closing(self) -> str:
        return f"RELEASE SAVEPOINT {self._name}" if self._nested else "COMMIT"

    def _undoing(self) -> str:
        if self._nested:
            return f"ROLLBACK TO SAVEPOINT {self._name}; RELEASE SAVEPOINT {self._name}"
        return "ROLLBACK"

    def _again(self, error: BaseException | None) -> bool:
        retryable = isinstance(error, PgError) and error.retryable
        return self._looping and retryable and self._attempts <= self._retries

    # ---- async

    async def __aenter__(self) -> Pg:
        self._tx = await self._pg.lease_async()
        self._attempts += 1
        try:
            await self._tx.command(self._opening())
        except BaseException:
            self._leave()
            raise
        self._tx.level = self._pg.level + 1
        return self._tx

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        tx = self._tx
        assert tx is not None
        try:
            if error is None:
                commit = tx.command(self._closing())
                # Another observer: a task that is cancelled now leaves the COMMIT alone.
                commit.finally_(_nothing).catch(_nothing_of, BaseException)
                try:
                    was_committed(await commit.tag())
                except PgError as failure:
                    if not self._again(failure):
                        raise
                    error = failure
                else:
                    self._finished = True
                    return False
            else:
                rollback = tx.command(self._undoing(), simple=True)
                if not isinstance(error, asyncio.CancelledError):
                    try:
                        await rollback
                    except PgError as failure:
                        # What the body raised says more than why it could not be undone.
                        if not isinstance(failure, PgConnectionError) and not tx.lost:
                            raise
                else:
                    rollback.catch(_nothing_of, BaseException)
        finally:
            self._leave()
        if self._again(error):
            await asyncio.sleep(pause_before(self._attempts))
            return True
        self._finished = True
        return False

    def __aiter__(self) -> AsyncIterator[Tx]:
        self._looping = True
        return self._rounds()

    async def _rounds(self) -> AsyncIterator[Tx]:
        while not self._finished:
            attempts = self._attempts
            yield self
            if self._attempts == attempts:
                raise PgInterfaceError(
                    "Enter every attempt: `async for attempt in ...: async with attempt as tx:`."
                )

    # ---- blocking

    def __enter__(self) -> Pg:
        self._tx = self._pg.lease_blocking()
        self._attempts += 1
        try:
            self._tx.command_blocking(self._opening())
        except BaseException:
            self._leave()
            raise
        self._tx.level = self._pg.level + 1
        return self._tx

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        tx = self._tx
        assert tx is not None
        try:
            if error is None:
                try:
                    was_committed(tx.command_blocking(self._closing()).tag)
                except PgError as failure:
                    if not self._again(failure):
                        raise
                    error = failure
                else:
                    self._finished = True
                    return False
            else:
                try:
                    tx.command_blocking(self._undoing(), simple=True)
                except PgError as failure:
                    if not isinstance(failure, PgConnectionError) and not tx.lost:
                        raise
        finally:
            self._leave()
        if self._again(error):
            time.sleep(pause_before(self._attempts))
            return True
        self._finished = True
        return False

    def __iter__(self) -> Iterator[Tx]:
        self._looping = True
        while not self._finished:
            attempts = self._attempts
            yield self
            if self._attempts == attempts:
                raise PgInterfaceError("Enter every attempt: `for attempt in ...: with attempt as tx:`.")

    def _leave(self) -> None:
        tx, self._tx = self._tx, None
        if tx is not None:
            tx.unlease()


def _nothing() -> None:
    return None


def _nothing_of(error: Any) -> None:
    return None
