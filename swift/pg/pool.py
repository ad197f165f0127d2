"""`PgPool`: connections to one database, for any number of event loops and threads."""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import swift.futures
from swift._speedups import pgmux

from . import conninfo
from .copying import CopyIn, CopyOut, CopyResponse
from .errors import PgConfigError, PgInterfaceError, PgNotice
from .handle import Acquisition, Pg, Statements, shaped
from .links import LinkSettings, LoopLink
from .listening import Listener
from .named import bind_named
from .observability import QueryHooks, combined
from .options import ConnectOptions
from .prepare import PreparedQuery
from .registry import TypeRegistry
from .shards import BlockingShard, LoopShard
from .streams import Cursor, RowStream
from .transactions import Tx, TxIsolation

if TYPE_CHECKING:
    import ssl

    from swift._speedups.pgcore import Query, QueryResult

    from .options import PasswordProvider


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """Sizes per shard (an event loop; all waiting threads together), times in seconds or milliseconds as named."""

    min_size: int = 1
    max_size: int = 10
    pipeline_depth: int = 32
    idle_timeout_secs: float = 600.0
    max_lifetime_secs: float = 3600.0
    health_check_interval_secs: float = 30.0
    acquire_deadline_ms: float | None = 30_000.0
    query_deadline_ms: float | None = None
    reset: str = "auto"
    setup: Callable[[LoopLink], Awaitable[object]] | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.min_size <= self.max_size or self.max_size < 1:
            raise PgConfigError(
                f"Expected 0 <= min_size <= max_size and max_size >= 1, got {self.min_size} and {self.max_size}."
            )
        if self.pipeline_depth < 1:
            raise PgConfigError(f"Expected a pipeline_depth of at least 1, got {self.pipeline_depth}.")
        if self.reset not in ("auto", "always"):
            raise PgConfigError(f"Expected `auto` or `always`, got `{self.reset}` - at reset.")
        for name in ("idle_timeout_secs", "max_lifetime_secs"):
            if getattr(self, name) < 0:
                raise PgConfigError(
                    f"Expected a number of seconds, 0 for no limit, got {getattr(self, name)} - at {name}."
                )
        if self.health_check_interval_secs <= 0:
            raise PgConfigError("Expected a positive number of seconds - at health_check_interval_secs.")


_pools: weakref.WeakSet[PgPool] = weakref.WeakSet()


def _after_fork() -> None:
    for pool in list(_pools):
        pool._forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class PgPool(pgmux.PoolBase):
    """A pool of connections, sharded: one shard per event loop, one for the threads that wait. No shard waits for another.

    Queries of the pool itself (`exec_async`) are multiplexed: each is a transaction of its own, pipelined with others
    over few connections. Transactions, COPY, LISTEN and what leaves something in its session get a connection of their
    own. Nothing is connected before it is first used (`open()` connects earlier).

    dsn: as `conninfo.parse` reads it. min_size, max_size: connections per shard. pipeline_depth: queries in flight per
    connection. idle_timeout_secs, max_lifetime_secs: 0 for no limit; lifetimes are shortened at random by up to a tenth.
    query_deadline_ms: of every query that names none. reset: `auto` cleans a session when something was left in it that
    the statement or its tag tells of; `always` after every use (for functions that call set_config or take advisory
    locks out of sight). statement_cache_size: prepared statements per connection, 0 for poolers that keep none.
    setup: `await setup(link)` on every new connection of a loop. hooks: told of every query. slow_query_ms: logged above.
    tracing: OpenTelemetry spans. Options of libpq may be given by name.
    """

    def __init__(
        self,
        dsn: str | ConnectOptions = "",
        *,
        min_size: int = 1,
        max_size: int = 10,
        pipeline_depth: int = 32,
        idle_timeout_secs: float = 600.0,
        max_lifetime_secs: float = 3600.0,
        health_check_interval_secs: float = 30.0,
        acquire_deadline_ms: float | None = 30_000.0,
        query_deadline_ms: float | None = None,
        reset: Literal["auto", "always"] = "auto",
        statement_cache_size: int = 256,
        setup: Callable[[LoopLink], Awaitable[object]] | None = None,
        on_notice: Callable[[PgNotice], object] | None = None,
        hooks: Sequence[QueryHooks] = (),
        slow_query_ms: float | None = None,
        tracing: bool = False,
        password: str | PasswordProvider | None = None,
        server_settings: dict[str, Any] | None = None,
        ssl_context: ssl.SSLContext | None = None,
        **options: str | int | float | bool | Path | None,
    ) -> None:
        if isinstance(dsn, ConnectOptions):
            if password is not None or server_settings or ssl_context is not None or options:
                raise PgConfigError("With ConnectOptions everything about connecting belongs into them.")
            self.options = dsn
        else:
            self.options = conninfo.parse(
                dsn,
                password=password,
                server_settings=server_settings,
                ssl_context=ssl_context,
                **options,  # type: ignore[arg-type]
            )
        self.limits = PoolLimits(
            min_size,
            max_size,
            pipeline_depth,
            idle_timeout_secs,
            max_lifetime_secs,
            health_check_interval_secs,
            acquire_deadline_ms,
            query_deadline_ms,
            reset,
            setup,
        )
        self.registry = TypeRegistry()
        self._settings = LinkSettings(
            self.options,
            self.registry,
            statement_cache_size=statement_cache_size,
            on_notice=on_notice,
            hooks=combined(self.options, hooks, slow_query_ms, tracing),
            keepalive_secs=health_check_interval_secs,
        )
        self._shards: dict[int, LoopShard] = {}
        self._threads: BlockingShard | None = None
        self._lock = threading.Lock()
        self._closed = False
        # Of the loop that was seen last.
        self._current: LoopShard | None = None
        _pools.add(self)

    # ---- shards

    def _shard_of(self, loop: asyncio.AbstractEventLoop | None) -> Any:
        """Of a loop that was not the last one seen: its multiplexer."""
        return self._loop_shard(loop).mux

    def _loop_shard(self, loop: asyncio.AbstractEventLoop | None) -> LoopShard:
        if loop is None:
            raise PgInterfaceError(
                "There is no running event loop: use `exec` and `get`, or call this inside of one."
            )
        with self._lock:
            shard = self._shards.get(id(loop))
            if shard is None or shard.loop is not loop:
                if self._closed:
                    raise PgInterfaceError("The pool is closed.")
                self._shards = {key: one for key, one in self._shards.items() if not one.loop.is_closed()}
                shard = self._shards[id(loop)] = LoopShard(loop, self._settings, self.limits)
        shard.start()
        self._remember(loop, shard.mux)
        self._current = shard
        return shard

    def loop_shard(self) -> LoopShard:
        """The connections of the running loop."""
        loop = asyncio.get_running_loop()
        shard = self._current
        if shard is not None and shard.loop is loop:
            return shard
        return self._loop_shard(loop)

    def blocking_shard(self) -> BlockingShard:
        """The connections of the threads that wait."""
        threads = self._threads
        if threads is None:
            with self._lock:
                if self._closed:
                    raise PgInterfaceError("The pool is closed.")
                if self._threads is None:
                    self._threads = BlockingShard(self._settings, self.limits)
                threads = self._threads
        return threads

    def _named(self, sql: str, args: tuple[Any, ...], named: dict[str, Any]) -> tuple[str, tuple[Any, ...]]:
        return bind_named(sql, args, named)

    def _forget(self) -> None:
        for shard in self._shards.values():
            shard.forget()
        if self._threads is not None:
            self._threads.forget()
        self._shards = {}
        self._threads = None
        self._lock = threading.Lock()
        self._remember(None, None)
        self._current = None

    # ---- connections

    async def open(self) -> PgPool:
        """Connect min_size connections under the running loop. Raises what keeps the first from connecting."""
        shard = self.loop_shard()
        shard.release(await shard.acquire(self.limits.acquire_deadline_ms))
        await shard.filled()
        return self

    def acquire(self, *, deadline_ms: float | None = None) -> Acquisition:
        """A connection of one's own under an event loop: `async with pool.acquire() as pg`; waiters are served in order.

        Raises PgPoolTimeout after `deadline_ms` (the pool's acquire_deadline_ms unless given).
        """
        return Acquisition(self, self.limits.acquire_deadline_ms if deadline_ms is None else deadline_ms)

    def get(self, core_id: int | None = None, deadline_ms: float | None = 5000) -> Any:
        """A connection of one's own: on a thread that waits a Pg; where an event loop runs, what `acquire` gives.

        core_id: taken for compatibility; the shard is that of the running loop, or of the threads.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return Pg(self, self.blocking_shard().acquire(deadline_ms))
        return Acquisition(self, deadline_ms)

    def session(self) -> Pg:
        """A Pg without a connection: its queries go through the pool until something needs one of its own."""
        return Pg(self)

    # ---- one statement; `exec_async` is inherited

    def exec(self, sql: str, *args: Any, deadline_ms: float | None = None, **named: Any) -> QueryResult:
        """Execute one statement on a connection of the threads, and wait."""
        with self.session() as pg:
            return pg.exec(sql, *args, deadline_ms=deadline_ms, **named)

    def run(self, prepared: PreparedQuery, *args: Any, deadline_ms: float | None = None, **named: Any) -> Any:
        """Execute a prepared query and wait; see `Pg.run`."""
        with self.session() as pg:
            return pg.run(prepared, *args, deadline_ms=deadline_ms, **named)

    def run_async(
        self, prepared: PreparedQuery, *args: Any, deadline_ms: float | None = None, **named: Any
    ) -> Query:
        """Execute a prepared query: a Future of its QueryResult, or of what its `result` says."""
        query = self.exec_async(prepared.sql, *prepared.arguments(args, named), deadline_ms=deadline_ms)
        shaped_query: Query = shaped(query, prepared.result)
        return shaped_query

    # ---- what takes a connection for a while: as the methods of Pg say

    def exec_script(self, sql: str, *, deadline_ms: float | None = None) -> list[QueryResult]:
        """See `Pg.exec_script`."""
        with self.session() as pg:
            return pg.exec_script(sql, deadline_ms=deadline_ms)

    async def exec_script_async(self, sql: str, *, deadline_ms: float | None = None) -> list[QueryResult]:
        """See `Pg.exec_script`."""
        return await Pg(self).exec_script_async(sql, deadline_ms=deadline_ms)

    def executemany(self, sql: str, arguments: Iterable[Sequence[Any]]) -> int:
        """See `Pg.executemany`."""
        with self.session() as pg:
            return pg.executemany(sql, arguments)

    async def executemany_async(
        self, sql: str, arguments: Iterable[Sequence[Any]] | AsyncIterable[Sequence[Any]]
    ) -> int:
        """See `Pg.executemany`."""
        return await Pg(self).executemany_async(sql, arguments)

    def batch(self, statements: Statements) -> list[QueryResult]:
        """See `Pg.batch`."""
        with self.session() as pg:
            return pg.batch(statements)

    async def batch_async(self, statements: Statements) -> list[QueryResult]:
        """See `Pg.batch`."""
        return await Pg(self).batch_async(statements)

    def tx(
        self,
        isolation: TxIsolation | None = None,
        *,
        read_only: bool | None = None,
        deferrable: bool | None = None,
        retries: int = 0,
    ) -> Tx:
        """See `Pg.tx`."""
        return _PoolTx(self.session(), isolation, read_only, deferrable, retries)

    async def run_tx(
        self,
        function: Callable[[Pg], Any],
        *,
        isolation: TxIsolation | None = None,
        read_only: bool | None = None,
        deferrable: bool | None = None,
        retries: int = 3,
    ) -> Any:
        """See `Pg.run_tx`."""
        return await Pg(self).run_tx(
            function, isolation=isolation, read_only=read_only, deferrable=deferrable, retries=retries
        )

    def run_tx_blocking(
        self,
        function: Callable[[Pg], Any],
        *,
        isolation: TxIsolation | None = None,
        read_only: bool | None = None,
        deferrable: bool | None = None,
        retries: int = 3,
    ) -> Any:
        """See `Pg.run_tx_blocking`."""
        with self.session() as pg:
            return pg.run_tx_blocking(
                function, isolation=isolation, read_only=read_only, deferrable=deferrable, retries=retries
            )

    def stream(
        self, sql: str, *args: Any, chunk_size: int = 1000, into: Any = None, **named: Any
    ) -> RowStream:
        """See `Pg.stream`."""
        return Pg(self).stream(sql, *args, chunk_size=chunk_size, into=into, **named)

    def cursor(self, sql: str, *args: Any, into: Any = None, **named: Any) -> Cursor:
        """See `Pg.cursor`."""
        return Pg(self).cursor(sql, *args, into=into, **named)

    def copy_in(self, sql: str) -> CopyIn:
        """See `Pg.copy_in`."""
        return Pg(self).copy_in(sql)

    def copy_out(self, sql: str) -> CopyOut:
        """See `Pg.copy_out`."""
        return Pg(self).copy_out(sql)

    def copy_out_response(
        self, sql: str, *, filename: str | None = None, media_type: str = "text/csv; charset=utf-8"
    ) -> CopyResponse:
        """See `Pg.copy_out_response`."""
        return Pg(self).copy_out_response(sql, filename=filename, media_type=media_type)

    def copy_records(
        self,
        table: str,
        records: Iterable[Sequence[Any]],
        *,
        columns: Sequence[str] | None = None,
        schema: str = "",
    ) -> int:
        """See `Pg.copy_records`."""
        with self.session() as pg:
            return pg.copy_records(table, records, columns=columns, schema=schema)

    async def copy_records_async(
        self,
        table: str,
        records: Iterable[Sequence[Any]] | AsyncIterable[Sequence[Any]],
        *,
        columns: Sequence[str] | None = None,
        schema: str = "",
    ) -> int:
        """See `Pg.copy_records`."""
        return await Pg(self).copy_records_async(table, records, columns=columns, schema=schema)

    def listen(self, *channels: str) -> Listener:
        """Notifications of channels: `async with pool.listen("orders") as listener: async for event in listener`.

        On a connection of its own beside the pool's, made again when it is lost; a `Gap` tells that notifications may be
        missing.
        """
        return Listener(self._settings, channels)

    # ---- figures and the end

    def stats(self) -> dict[str, Any]:
        """Counts over all shards, as they are now; `latency` maps upper bounds in seconds to numbers of queries."""
        total: dict[str, Any] = {
            "size": 0,
            "in_use": 0,
            "idle": 0,
            "waiting": 0,
            "created": 0,
            "recycled": 0,
            "evicted": 0,
        }
        latency: dict[float, int] = {}
        shards: list[Any] = list(self._shards.values())
        if self._threads is not None:
            shards.append(self._threads)
        for shard in shards:
            for name, value in shard.stats().items():
                if name == "latency":
                    for bound, count in value.items():
                        latency[bound] = latency.get(bound, 0) + count
                else:
                    total[name] = total.get(name, 0) + value
        total["latency"] = dict(sorted(latency.items()))
        return total

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def close(self, drain_secs: float = 10.0) -> swift.futures.Future[None]:
        """No new work; what runs has `drain_secs` to end; then everything is closed. `await` it under an event loop.

        Connections of threads that are in use close when they come back.
        """
        with self._lock:
            self._closed = True
        shards, self._shards = list(self._shards.values()), {}
        self._remember(None, None)
        self._current = None
        if self._threads is not None:
            self._threads.close()
        try:
            here = asyncio.get_running_loop()
        except RuntimeError:
            here = None
        mine = None
        for shard in shards:
            if shard.loop is here:
                mine = here.create_task(shard.close(drain_secs))
            elif shard.loop.is_running():
                asyncio.run_coroutine_threadsafe(shard.close(drain_secs), shard.loop)
            else:
                shard.forget()
        return swift.futures.make_ready(None) if mine is None else swift.futures.as_future(mine)

    async def __aenter__(self) -> PgPool:
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __enter__(self) -> PgPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        hosts = ", ".join(map(str, self.options.hosts))
        return (
            f"<PgPool {self.options.user}@{hosts}/{self.options.database}{' closed' if self._closed else ''}>"
        )


class _PoolTx(Tx):
    """A transaction of the pool: the connection of a blocking one goes back at its end."""

    def _leave(self) -> None:
        super()._leave()
        if self._pg._blocking is not None:
            shard_link = self._pg._blocking
            self._pg._blocking = None
            shard_link.shard.release(shard_link)
