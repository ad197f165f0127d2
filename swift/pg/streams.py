"""Rows in chunks: portals, which are the protocol's cursors (55.2.3).

A portal lives in a transaction; where none is open, the stream opens one of its own, whose BEGIN goes out with the first
fetch. Each fetch has its own Sync, so other statements of the transaction may go between.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any

from swift._speedups import pgcore
from swift._speedups.pgiteration import RowIterator

from .errors import PgError, PgInterfaceError

if TYPE_CHECKING:
    from swift._speedups.pgcore import Connection, Query

    from .handle import Pg

_numbers = itertools.count(1)


def _portal() -> bytes:
    return b"swift_portal_%d" % next(_numbers)


class _Portal:
    """A portal on one connection: its fetches and its close."""

    def __init__(self, core: Connection, sql: str, args: tuple[Any, ...], into: Any) -> None:
        self.core = core
        self.name = _portal()
        self.into = into
        self.sql = sql
        self.args: tuple[Any, ...] | None = args
        self.first: Query | None = None
        self.done = False

    def fetch(self, count: int) -> Query:
        statement = self.core.statement(self.sql) if self.first is None else None
        query = pgcore.fetch_query(
            statement, self.args if self.first is None else None, self.name, count, self.into
        )
        if self.first is None:
            self.first = query
        else:
            query.describe_as(self.first)
        return self.core.execute(query)

    def close(self) -> None:
        self.core.execute(pgcore.close_portal_query(self.name))


class RowStream:
    """The rows of a statement, for one `for` or `async for`; also a context manager that ends it early and at once."""

    def __init__(self, pg: Pg, sql: str, args: tuple[Any, ...], chunk_size: int, into: Any) -> None:
        if chunk_size < 1:
            raise PgInterfaceError(f"Expected a chunk_size of at least 1, got {chunk_size}.")
        self._pg = pg
        self._sql = sql
        self._args = args
        self._chunk_size = chunk_size
        self._into = into
        self._chunks: AsyncGenerator[list[Any], None] | None = None
        self._blocking: Generator[list[Any], None, None] | None = None

    # The chunks do not refer to the stream: left early without `with`, they end with their iterator.

    def __aiter__(self) -> AsyncIterator[Any]:
        return RowIterator(self.chunks())

    def __iter__(self) -> Iterator[Any]:
        return itertools.chain.from_iterable(self.chunks_blocking())

    def chunks(self) -> AsyncGenerator[list[Any], None]:
        """The rows, in lists of chunk_size."""
        self._chunks = chunks = _chunks(self._pg, self._sql, self._args, self._chunk_size, self._into)
        return chunks

    def chunks_blocking(self) -> Generator[list[Any], None, None]:
        """The rows, in lists of chunk_size, on a thread that waits."""
        self._blocking = chunks = _chunks_blocking(
            self._pg, self._sql, self._args, self._chunk_size, self._into
        )
        return chunks

    async def __aenter__(self) -> RowStream:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._chunks is not None:
            await self._chunks.aclose()

    def __enter__(self) -> RowStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._blocking is not None:
            self._blocking.close()


async def _chunks(
    outer: Pg, sql: str, args: tuple[Any, ...], size: int, into: Any
) -> AsyncGenerator[list[Any], None]:
    pg = await outer.lease_async()
    alone = False
    portal = None
    ended = False
    try:
        core = pg.own().core
        alone = await pg.outside_transaction()
        begin = pg.command("BEGIN") if alone else None
        portal = _Portal(core, sql, args, into)
        fetch = portal.fetch(size)
        if begin is not None:
            await begin
        while True:
            rows = await fetch
            if not fetch.is_suspended:
                ended = True
                if alone:
                    await pg.command("COMMIT")
                if rows:
                    yield rows
                return
            fetch = portal.fetch(size)
            yield rows
    except PgError:
        ended = True
        if alone:
            _quietly(pg.command("ROLLBACK"))
        raise
    finally:
        if not ended and portal is not None:
            _quietly(fetch)
            if alone:
                _quietly(pg.command("ROLLBACK"))
            else:
                portal.close()
        pg.unlease()


def _chunks_blocking(
    outer: Pg, sql: str, args: tuple[Any, ...], size: int, into: Any
) -> Generator[list[Any], None, None]:
    pg = outer.lease_blocking()
    alone = False
    portal = None
    ended = False
    try:
        link: Any = pg.own_any()
        core = link.core
        alone = pg.outside_transaction_blocking()
        begin = core.execute(pgcore.new_query(core.statement("BEGIN"))) if alone else None
        portal = _Portal(core, sql, args, into)
        fetch = portal.fetch(size)
        if begin is not None:
            link.wait(begin)
        while True:
            rows = link.wait(fetch)
            if not fetch.is_suspended:
                ended = True
                if alone:
                    pg.command_blocking("COMMIT")
                if rows:
                    yield rows
                return
            fetch = portal.fetch(size)
            link.channel.flush()
            yield rows
    except PgError:
        ended = True
        if alone:
            pg.command_blocking("ROLLBACK", simple=True)
        raise
    finally:
        if not ended and portal is not None:
            _quietly(fetch)
            if alone:
                pg.command_blocking("ROLLBACK", simple=True)
            else:
                portal.close()
        pg.unlease()


class Cursor:
    """A cursor that is moved forward by hand. It needs a transaction, which it opens when there is none."""

    def __init__(self, pg: Pg, sql: str, args: tuple[Any, ...], into: Any) -> None:
        self._pg = pg
        self._sql = sql
        self._args = args
        self._into = into
        self._lease: Pg | None = None
        self._portal: _Portal | None = None
        self._alone = False
        self._exhausted = False

    async def __aenter__(self) -> Cursor:
        self._lease = pg = await self._pg.lease_async()
        core = pg.own().core
        try:
            self._alone = await pg.outside_transaction()
            if self._alone:
                await pg.command("BEGIN")
        except BaseException:
            pg.unlease()
            raise
        self._portal = _Portal(core, self._sql, self._args, self._into)
        return self

    async def fetch(self, count: int) -> list[Any]:
        """At most the next `count` rows; fewer, or none, at the end."""
        if self._portal is None or count < 1:
            raise PgInterfaceError("A cursor fetches at least one row, inside of its `async with`.")
        if self._exhausted:
            return []
        query = self._portal.fetch(count)
        rows: list[Any] = await query
        self._exhausted = not query.is_suspended
        return rows

    async def fetch_all(self) -> list[Any]:
        """All the rows that are left."""
        rows: list[Any] = []
        while not self._exhausted:
            rows += await self.fetch(10_000)
        return rows

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pg, self._lease = self._lease, None
        portal, self._portal = self._portal, None
        if pg is None or portal is None:
            return
        try:
            if self._alone:
                end = pg.command("COMMIT" if error is None else "ROLLBACK")
                if error is None:
                    await end
                else:
                    _quietly(end)
            elif portal.first is not None:
                portal.close()
        finally:
            pg.unlease()

    def __enter__(self) -> Cursor:
        self._lease = pg = self._pg.lease_blocking()
        core = pg.own_any().core
        try:
            self._alone = pg.outside_transaction_blocking()
            if self._alone:
                pg.command_blocking("BEGIN")
        except BaseException:
            pg.unlease()
            raise
        self._portal = _Portal(core, self._sql, self._args, self._into)
        return self

    def fetch_blocking(self, count: int) -> list[Any]:
        """`fetch` on a thread that waits."""
        if self._portal is None or self._lease is None or count < 1:
            raise PgInterfaceError("A cursor fetches at least one row, inside of its `with`.")
        if self._exhausted:
            return []
        link: Any = self._lease.own_any()
        query = self._portal.fetch(count)
        rows: list[Any] = link.wait(query)
        self._exhausted = not query.is_suspended
        return rows

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pg, self._lease = self._lease, None
        portal, self._portal = self._portal, None
        if pg is None or portal is None:
            return
        try:
            if self._alone:
                pg.command_blocking("COMMIT" if error is None else "ROLLBACK")
            elif portal.first is not None:
                portal.close()
        finally:
            pg.unlease()


def _quietly(query: Query) -> None:
    """The outcome interests nobody any more."""
    query.catch(_nothing, BaseException)


def _nothing(error: BaseException) -> None:
    return None
