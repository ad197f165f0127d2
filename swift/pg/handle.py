"""`Pg`: what statements are executed on: a connection of one's own, or the pool."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from swift._speedups import pgcore

from .batches import run_batch, run_batch_blocking
from .copying import (
    CopyIn,
    CopyOut,
    CopyResponse,
    copy_records_async,
    copy_records_blocking,
    copy_response,
)
from .errors import PgInterfaceError
from .links import BlockingLink, LoopLink
from .named import bind_named
from .prepare import PreparedQuery
from .streams import Cursor, RowStream
from .transactions import Tx, TxIsolation

if TYPE_CHECKING:
    from types import TracebackType

    from swift._speedups.pgcore import Query, QueryResult

    from .pool import PgPool

Statements = Iterable[tuple[str, Sequence[Any]]]


class Pg:
    """Statements on a connection of one's own: `async with pool.acquire() as pg`, `with pool.get() as pg`.

    Under an event loop `exec_async` and `async with` are used, on a thread that waits `exec` and `with`. One that was
    made for a request (`get_pg_factory`) has no connection until something needs one of its own: its queries go
    through the pool.
    """

    level = 0

    def __init__(self, pool: PgPool, link: LoopLink | BlockingLink | None = None) -> None:
        self.pool = pool
        self.link = link
        self._blocking: BlockingLink | None = link if type(link) is BlockingLink else None
        self._released = False

    # ---- one statement

    def exec(self, sql: str, *args: Any, deadline_ms: float | None = None, **named: Any) -> QueryResult:
        """Execute one statement and wait on this thread. Raises PgError; PgTimeout after `deadline_ms`."""
        link = self._own_blocking()
        if named:
            sql, args = bind_named(sql, args, named)
        core = link.core
        query = core.execute(pgcore.new_query(core.statement(sql), args))
        result: QueryResult = link.wait(query, deadline_ms)
        return result

    def exec_async(self, sql: str, *args: Any, deadline_ms: float | None = None, **named: Any) -> Query:
        """Execute one statement: a Query, which is a Future of its QueryResult, or of what its helper says.

        Several may be in flight; on one connection they are executed in order, each a transaction of its own unless one
        is open.
        """
        link = self.link
        if self._released:
            self._check()
        if not isinstance(link, LoopLink):
            if link is not None:
                raise PgInterfaceError("This connection belongs to threads that wait: use `exec`.")
            return self.pool.exec_async(sql, *args, deadline_ms=deadline_ms, **named)
        if named:
            sql, args = bind_named(sql, args, named)
        core = link.core
        query = pgcore.new_query(core.statement(sql), args)
        if deadline_ms is not None:
            query.expire_in(link.channel.loop, deadline_ms / 1000)
        return core.execute(query)

    def run(self, prepared: PreparedQuery, *args: Any, deadline_ms: float | None = None, **named: Any) -> Any:
        """Execute a prepared query and wait: its QueryResult, or what its `result` says."""
        result = self.exec(prepared.sql, *prepared.arguments(args, named), deadline_ms=deadline_ms)
        return shaped(result, prepared.result)

    def run_async(
        self, prepared: PreparedQuery, *args: Any, deadline_ms: float | None = None, **named: Any
    ) -> Query:
        """Execute a prepared query: a Future of its QueryResult, or of what its `result` says."""
        query = self.exec_async(prepared.sql, *prepared.arguments(args, named), deadline_ms=deadline_ms)
        shaped_query: Query = shaped(query, prepared.result)
        return shaped_query

    # ---- several

    def exec_script(self, sql: str, *, deadline_ms: float | None = None) -> list[QueryResult]:
        """Execute several statements separated by semicolons, without parameters: one transaction, unless the text says
        otherwise. One result each; their values are text (`str`), as the simple protocol sends them.
        """
        link = self._own_blocking()
        query = pgcore.simple_query(sql, False)
        link.core.touched = True
        results: list[QueryResult] = link.wait(link.core.execute(query), deadline_ms)
        return results

    async def exec_script_async(self, sql: str, *, deadline_ms: float | None = None) -> list[QueryResult]:
        """`exec_script` under an event loop."""
        pg = await self.lease_async()
        try:
            link = pg.own()
            query = pgcore.simple_query(sql, False)
            link.core.touched = True
            if deadline_ms is not None:
                query.expire_in(link.channel.loop, deadline_ms / 1000)
            results: list[QueryResult] = await link.core.execute(query)
            return results
        finally:
            pg.unlease()

    def executemany(self, sql: str, arguments: Iterable[Sequence[Any]]) -> int:
        """Execute one statement for each of `arguments`, in one transaction and one round trip; their number.

        An error, also of the iterable, leaves nothing done.
        """
        link = self._own_blocking()
        core = link.core
        count: int = link.wait(core.execute(pgcore.many_query(core.statement(sql), iter(arguments))))
        return count

    async def executemany_async(
        self, sql: str, arguments: Iterable[Sequence[Any]] | AsyncIterable[Sequence[Any]]
    ) -> int:
        """`executemany` under an event loop; what is sent is bounded by what the server takes."""
        if isinstance(arguments, AsyncIterable):
            arguments = [entry async for entry in arguments]
        pg = await self.lease_async()
        try:
            core = pg.own().core
            count: int = await core.execute(pgcore.many_query(core.statement(sql), iter(arguments)))
            return count
        finally:
            pg.unlease()

    def batch(self, statements: Statements) -> list[QueryResult]:
        """Execute statements with their arguments, all in one write and one transaction; a result each."""
        return run_batch_blocking(self, statements)

    async def batch_async(self, statements: Statements) -> list[QueryResult]:
        """`batch` under an event loop."""
        return await run_batch(self, statements)

    # ---- longer than a statement

    def tx(
        self,
        isolation: TxIsolation | None = None,
        *,
        read_only: bool | None = None,
        deferrable: bool | None = None,
        retries: int = 0,
    ) -> Tx:
        """A transaction, or inside of one a savepoint, for `with` and `async with`. Any exception rolls it back.

        retries: how often a loop over it (`for attempt in tx(...): with attempt as tx:`) repeats after a serialization
        failure or a deadlock. A plain `with` runs once: its body cannot be repeated.
        """
        return Tx(self, isolation, read_only, deferrable, retries)

    async def run_tx(
        self,
        function: Callable[[Pg], Any],
        *,
        isolation: TxIsolation | None = None,
        read_only: bool | None = None,
        deferrable: bool | None = None,
        retries: int = 3,
    ) -> Any:
        """`await function(tx)` in a transaction, again as a whole after 40001 and 40P01, up to `retries` times."""
        outcome = None
        async for attempt in self.tx(isolation, read_only=read_only, deferrable=deferrable, retries=retries):
            async with attempt as tx:
                outcome = await function(tx)
        return outcome

    def run_tx_blocking(
        self,
        function: Callable[[Pg], Any],
        *,
        isolation: TxIsolation | None = None,
        read_only: bool | None = None,
        deferrable: bool | None = None,
        retries: int = 3,
    ) -> Any:
        """`function(tx)` in a transaction, again as a whole after 40001 and 40P01, up to `retries` times."""
        outcome = None
        for attempt in self.tx(isolation, read_only=read_only, deferrable=deferrable, retries=retries):
            with attempt as tx:
                outcome = function(tx)
        return outcome

    def stream(
        self, sql: str, *args: Any, chunk_size: int = 1000, into: Any = None, **named: Any
    ) -> RowStream:
        """The rows of a statement, `chunk_size` at a time from the server, for `for` and `async for`.

        The next chunk is on its way while one is being used; the server waits when the rows are used slowly. Left early,
        the rest is never sent. Inside a transaction other statements may be executed between the rows.
        """
        if named:
            sql, args = bind_named(sql, args, named)
        return RowStream(self, sql, args, chunk_size, into)

    def cursor(self, sql: str, *args: Any, into: Any = None, **named: Any) -> Cursor:
        """A server-side cursor in a transaction: `async with tx.cursor(...) as cursor: await cursor.fetch(10)`."""
        if named:
            sql, args = bind_named(sql, args, named)
        return Cursor(self, sql, args, into)

    # ---- COPY

    def copy_in(self, sql: str) -> CopyIn:
        """COPY ... FROM STDIN: `with pg.copy_in(sql) as pipe: pipe.write(data)`, and the same with async and await.

        An exception inside aborts the COPY: nothing of it is kept, the exception goes on, the connection stays usable.
        """
        return CopyIn(self, sql)

    def copy_out(self, sql: str) -> CopyOut:
        """COPY ... TO STDOUT: an iterator of bytes, for `for` and `async for`. Text and CSV come row by row."""
        return CopyOut(self, sql)

    def copy_out_response(
        self, sql: str, *, filename: str | None = None, media_type: str = "text/csv; charset=utf-8"
    ) -> CopyResponse:
        """COPY ... TO STDOUT as an ASGI response that streams, to be returned by a handler."""
        return copy_response(CopyOut(self, sql), filename, media_type)

    def copy_records(
        self,
        table: str,
        records: Iterable[Sequence[Any]],
        *,
        columns: Sequence[str] | None = None,
        schema: str = "",
    ) -> int:
        """Records into a table by binary COPY; their number."""
        return copy_records_blocking(self, table, records, columns, schema)

    async def copy_records_async(
        self,
        table: str,
        records: Iterable[Sequence[Any]] | AsyncIterable[Sequence[Any]],
        *,
        columns: Sequence[str] | None = None,
        schema: str = "",
    ) -> int:
        """`copy_records` under an event loop."""
        return await copy_records_async(self, table, records, columns, schema)

    # ---- the connection

    @property
    def transaction_status(self) -> str:
        """`I` idle, `T` in a transaction, `E` in a failed one."""
        return self.own_any().core.transaction_status

    @property
    def backend_pid(self) -> int:
        """The process id of the session's backend."""
        return self.own_any().session.backend_pid

    @property
    def server_parameters(self) -> dict[str, str]:
        """What the server reported of itself (ParameterStatus)."""
        return dict(self.own_any().core.parameters)

    @property
    def lost(self) -> bool:
        """Whether the connection is gone."""
        return self.link is not None and self.link.closed

    async def cancel(self) -> None:
        """Tell the server to cancel what executes on this connection; when it returns, the server was told."""
        await self.own().cancel()

    def cancel_blocking(self) -> None:
        """`cancel` for threads: from another one than that which waits."""
        link = self._blocking
        if link is None:
            raise PgInterfaceError("Nothing was executed here yet.")
        link.cancel()

    def own(self) -> LoopLink:
        """The connection under the event loop."""
        self._check()
        if not isinstance(self.link, LoopLink):
            raise PgInterfaceError(
                "This needs a connection of its own under an event loop: `async with pool.acquire()`."
            )
        return self.link

    def own_any(self) -> LoopLink | BlockingLink:
        self._check()
        link = self.link or self._blocking
        if link is None:
            raise PgInterfaceError("This needs a connection of its own: `pool.acquire()` or `pool.get()`.")
        return link

    def _check(self) -> None:
        if self._released:
            raise PgInterfaceError("The connection was released to its pool.")

    def _own_blocking(self) -> BlockingLink:
        self._check()
        if self._blocking is None:
            if self.link is not None:
                raise PgInterfaceError("This connection belongs to an event loop: use `exec_async`.")
            self._blocking = self.pool.blocking_shard().acquire(self.pool.limits.acquire_deadline_ms)
        return self._blocking

    # ---- for what needs a connection for a while

    async def lease_async(self) -> Pg:
        """Itself, or where it has no connection of its own, one with such."""
        self._check()
        if self.link is not None:
            return Inner(self)
        shard = self.pool.loop_shard()
        return Leased(self.pool, await shard.acquire(self.pool.limits.acquire_deadline_ms))

    def lease_blocking(self) -> Pg:
        self._own_blocking()
        return Inner(self)

    def unlease(self) -> None:
        """The end of a lease."""

    async def outside_transaction(self) -> bool:
        """Whether a statement executed next would be a transaction of its own."""
        if self.level:
            return False
        core = self.own().core
        if core.in_flight or core.held:
            # What is still to be answered may begin or end one.
            await core.execute(pgcore.simple_query("", False))
        return core.transaction_status == "I"

    def outside_transaction_blocking(self) -> bool:
        """`outside_transaction` on a thread that waits."""
        if self.level:
            return False
        link = self._own_blocking()
        if link.core.in_flight:
            link.wait(link.core.execute(pgcore.simple_query("", False)))
        return link.core.transaction_status == "I"

    def command(self, sql: str, *, simple: bool = False) -> Query:
        link = self.own()
        if simple:
            return link.core.execute(pgcore.simple_query(sql, False))
        return link.core.execute(pgcore.new_query(link.core.statement(sql)))

    def command_blocking(self, sql: str, *, simple: bool = False) -> Any:
        link = self._own_blocking()
        if simple:
            return link.wait(link.core.execute(pgcore.simple_query(sql, False)))
        return link.wait(link.core.execute(pgcore.new_query(link.core.statement(sql))))

    # ---- the end

    def release(self) -> None:
        """Back to the pool; a second call does nothing. What it left in its session is cleaned on the way."""
        if self._released:
            return
        self._released = True
        link = self.link
        if type(link) is LoopLink:
            link.shard.release(link)
            return
        blocking, self._blocking = self._blocking, None
        if blocking is not None:
            blocking.shard.release(blocking)

    def __enter__(self) -> Pg:
        self._check()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()

    def __repr__(self) -> str:
        link = self.link or self._blocking
        return f"<Pg {'released' if self._released else 'pooled' if link is None else link.core!r}>"


class Inner(Pg):
    """A view of a connection that someone else releases: inside a transaction."""

    def __init__(self, outer: Pg) -> None:
        super().__init__(outer.pool, outer.link)
        self._blocking = outer._blocking
        self.level = outer.level

    def release(self) -> None:
        raise PgInterfaceError("The connection is released by whoever took it, after the transaction.")

    def unlease(self) -> None:
        self._released = True


class Leased(Pg):
    """A connection taken for one operation."""

    def unlease(self) -> None:
        self.release()

    async def outside_transaction(self) -> bool:
        # Whatever it was used for before is rolled back on its way here.
        return True


class Acquisition:
    """`async with pool.acquire() as pg`, or `pg = await pool.acquire()` and `pg.release()` later."""

    __slots__ = ("_deadline_ms", "_pg", "_pool")

    def __init__(self, pool: PgPool, deadline_ms: float | None) -> None:
        self._pool = pool
        self._deadline_ms = deadline_ms

    async def __aenter__(self) -> Pg:
        pool = self._pool
        shard = pool.loop_shard()
        if not shard.waiters and not shard.closing:
            core = shard.mux.take_idle()
            if core is not None:
                self._pg = pg = Pg(pool, core.owner)
                return pg
        self._pg = pg = Pg(pool, await shard.acquire(self._deadline_ms))
        return pg

    def __await__(self) -> Any:
        return self.__aenter__().__await__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._pg.release()


def shaped(result: Any, wanted: Any) -> Any:
    """A result or a query, read into what a PreparedQuery says."""
    if wanted is None:
        return result
    if getattr(wanted, "__origin__", None) is list:
        return result.all(_plain(wanted.__args__[0]))
    return result.one(_plain(wanted))


def _plain(wanted: Any) -> Any:
    return tuple if getattr(wanted, "__origin__", None) is tuple else wanted


def running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
