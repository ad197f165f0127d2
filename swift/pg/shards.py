"""The connections of a pool under one event loop, and those of its threads.

A loop's connections are shared by its autocommit queries (`_speedups.pgmux`); whoever needs one for himself takes an
idle one out, or waits his turn. Nothing here is seen by another loop, so nothing is locked. Threads that wait share one
shard, which has a lock.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from swift._speedups import pgcore, pgmux, pgtransport

from .errors import (
    PgClosedError,
    PgConnectionError,
    PgError,
    PgInterfaceError,
    PgPoolTimeout,
    PgServerShutdown,
    PgTimeout,
)
from .links import BlockingLink, Link, LinkSettings, LoopLink, jittered

if TYPE_CHECKING:
    from swift._speedups.pgcore import Connection, Query

    from .pool import PoolLimits

# A server that is starting answers within this time or not at all (57P03).
STARTING_SECONDS = 10.0
# Between attempts to reach min_size again after a failure: doubled each time, up to this.
LONGEST_BACKOFF_SECONDS = 30.0
PING_SECONDS = 5.0


class Counters:
    """What happened in a shard so far."""

    def __init__(self) -> None:
        self.created = 0
        self.recycled = 0
        self.evicted = 0
        self.failed_connects = 0


class LoopShard:
    """The connections of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, settings: LinkSettings, limits: PoolLimits) -> None:
        self.loop = loop
        self.settings = settings
        self.limits = limits
        self.counters = Counters()
        self.links: set[LoopLink] = set()
        self.waiters: deque[asyncio.Future[LoopLink]] = deque()
        self.tasks: set[asyncio.Task[Any]] = set()
        self.opening = 0
        self.closing = False
        self.emptied: asyncio.Future[None] | None = None
        self.failures = 0
        self.refilling: asyncio.TimerHandle | None = None
        self.flusher = pgtransport.Flusher(loop)
        mux = pgmux.Multiplexer(loop, settings.registry, self.flusher, limits.max_size, limits.pipeline_depth)
        mux.cache_size = settings.statement_cache_size
        mux.hooks = settings.hooks
        mux.default_deadline = (limits.query_deadline_ms or 0) / 1000
        mux.want_connection = self.grow
        mux.lost_connection = self._left_open
        mux.want_cancel = self._cancel
        mux.want_exclusive = self._run_alone
        mux.idle = self._became_idle
        self.mux = mux
        self.keeper: asyncio.Task[None] | None = None

    # ---- size

    @property
    def size(self) -> int:
        """Connections, those being made included."""
        return len(self.links) + self.opening

    @property
    def in_use(self) -> int:
        """Connections that someone has for himself."""
        return sum(not link.core.shared for link in self.links)

    def grow(self) -> None:
        """More connections are wanted: make one, as far as max_size allows."""
        if self.closing or self.size >= self.limits.max_size:
            return
        wanted = len(self.waiters) + -(-self.mux.queued // self.mux.depth)
        if self.opening >= max(1, wanted):
            return
        self._spawn(self._open())

    def start(self) -> None:
        """Bring it to min_size and keep it there."""
        if self.keeper is None and not self.closing:
            self.keeper = self.loop.create_task(self._keep())
        while self.size < self.limits.min_size and not self.closing:
            self._spawn(self._open())

    async def filled(self) -> None:
        """Until what is being opened is open, or failed."""
        while self.opening and self.tasks:
            await asyncio.wait(self.tasks, return_when=asyncio.FIRST_COMPLETED)

    def _spawn(self, work: Any) -> None:
        self.opening += 1
        task = self.loop.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _open(self) -> None:
        try:
            link = await self._connect()
        except PgError as error:
            self.opening -= 1
            self.counters.failed_connects += 1
            self.failures += 1
            self._nobody_comes(error)
            if not self.closing:
                self._refill_soon()
        except BaseException:
            self.opening -= 1
            raise
        else:
            self.opening -= 1
            self.failures = 0
            if self.closing:
                link.close()
                self._check_empty()
                return
            self.counters.created += 1
            self.links.add(link)
            self._place(link)

    async def _connect(self) -> LoopLink:
        deadline = time.monotonic() + STARTING_SECONDS
        pause = 0.05
        while True:
            try:
                link = await self.settings.open(self.flusher, self.mux.statements)
                break
            except PgServerShutdown as error:
                if error.code != "57P03" or time.monotonic() > deadline:
                    raise
            await asyncio.sleep(jittered(pause))
            pause = min(1.0, pause * 2)
        link.shard = self
        link.core.dispatcher = self.mux
        link.core.on_close = self._lost
        if self.limits.max_lifetime_secs:
            link.core.retire_at = pgcore.monotonic() + jittered(self.limits.max_lifetime_secs)
        if self.limits.setup is not None:
            try:
                await self.limits.setup(link)
            except BaseException:
                link.close()
                raise
        return link

    def _nobody_comes(self, error: PgError) -> None:
        if self.size == 0:
            self.mux.fail_waiting(error)
            while self.waiters:
                waiter = self.waiters.popleft()
                if not waiter.done():
                    waiter.set_exception(_again(error))
                    return

    # ---- who gets which

    def take(self) -> LoopLink | None:
        """An idle connection now, or None."""
        core = self.mux.take_idle()
        if core is None:
            return None
        link: LoopLink = core.owner
        return link

    async def acquire(self, deadline_ms: float | None) -> LoopLink:
        """A connection for oneself. Raises PgPoolTimeout, or what kept the pool from connecting."""
        if self.closing:
            raise PgClosedError("The pool is closed.")
        if not self.waiters and (link := self.take()) is not None:
            return link
        self.start()
        waiter: asyncio.Future[LoopLink] = self.loop.create_future()
        self.waiters.append(waiter)
        if self.size < self.limits.max_size:
            self.grow()
        else:
            self.mux.reserve()
        timer = None
        if deadline_ms is not None:
            timer = self.loop.call_later(max(0.0, deadline_ms / 1000), self._expire, waiter, deadline_ms)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                # Handed over in the very moment: to the next one.
                self._place(waiter.result())
            raise
        finally:
            if timer is not None:
                timer.cancel()
            with contextlib.suppress(ValueError):
                self.waiters.remove(waiter)

    def _expire(self, waiter: asyncio.Future[LoopLink], deadline_ms: float) -> None:
        if not waiter.done():
            waiter.set_exception(
                PgPoolTimeout(
                    f"No connection became free in {deadline_ms:g} ms: {self.in_use} of {self.limits.max_size} are in use, "
                    f"{len(self.waiters)} callers wait.",
                    safe_to_retry=True,
                )
            )

    def release(self, link: LoopLink) -> None:
        """A connection comes back; it is made as new on its way, without waiting for that."""
        if not self.waiters and not self.closing and self.mux.give_back_unused(link.core):
            return
        if link.closed:
            return
        if link.core.used:
            link.reset(thoroughly=self.limits.reset == "always")
        if self.closing or self._over(link):
            self._retire(link)
            return
        self._place(link)

    def _place(self, link: LoopLink) -> None:
        """A connection that is free goes to whoever is next."""
        if link.closed:
            return
        if self.closing or self._over(link):
            self._retire(link)
            return
        while self.waiters:
            if self.mux.queued and not self.mux.connections:
                # Shared queries wait as well: they go first through it, then it is kept for the waiter.
                self.mux.give_back(link.core)
                self.mux.reserve()
                return
            waiter = self.waiters.popleft()
            if not waiter.done():
                link.core.shared = False
                waiter.set_result(link)
                return
        if link.core.dispatcher is None or link not in self.links:
            return
        self.mux.give_back(link.core)

    def _became_idle(self, core: Connection) -> None:
        self._place(core.owner)

    # ---- told by the multiplexer

    def _lost(self, core: Connection) -> None:
        link: LoopLink = core.owner
        if link in self.links:
            self.links.remove(link)
            self.counters.evicted += 1
        self.mux.withdraw(core)
        if not self.closing:
            if self.waiters or self.mux.queued:
                self.grow()
            self._refill_soon()
        self._check_empty()

    def _refill_soon(self) -> None:
        """Back to min_size, at the pace at which the server lets itself be reached."""
        if self.refilling is None and self.size < self.limits.min_size:
            pause = min(LONGEST_BACKOFF_SECONDS, 0.05 * 2 ** min(self.failures, 10))
            self.refilling = self.loop.call_later(jittered(pause), self._refill)

    def _refill(self) -> None:
        self.refilling = None
        if not self.closing:
            self.start()

    def _left_open(self, core: Connection, query: Query) -> None:
        """A shared query left a transaction open, or failed: nothing on this connection is its caller's own."""
        query.fail_with(
            PgInterfaceError(
                "The statement left a transaction open on a shared connection, where it was rolled back. "
                "Use `tx()`.",
                statement=query.sql,
            )
        )
        self.mux.withdraw(core)
        if not core.reserved:
            core.reserved = True
            core.owner.simple("ROLLBACK").call_back(lambda _: core.owner.close())

    def _cancel(self, core: Connection) -> None:
        core.owner.cancel_soon()

    def _run_alone(self, query: Query) -> None:
        """A query that must not share its session."""
        if query.statement_nature == pgcore.TRANSACTION:
            query.fail_with(
                PgInterfaceError(
                    "A transaction cannot be begun or ended by a query of the pool: use `tx()`, or a connection of "
                    "your own by `acquire()`.",
                    statement=query.sql,
                )
            )
            query.settle_as_usual()
            return
        task = self.loop.create_task(self._alone(query))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _alone(self, query: Query) -> None:
        try:
            link = await self.acquire(self.limits.acquire_deadline_ms)
        except PgError as error:
            query.fail_with(error)
            query.settle_as_usual()
            return
        if query.done():
            self.release(link)
            return

        def over(finished: Query) -> None:
            finished.settle_as_usual()
            self.release(link)

        query.call_back(over)
        link.core.execute(query)

    # ---- upkeep

    def _over(self, link: Link) -> bool:
        retire_at = link.core.retire_at
        return link.closed or (retire_at != 0 and pgcore.monotonic() > retire_at)

    def _retire(self, link: LoopLink) -> None:
        """Close a connection that has had its time, when its last answer is there."""
        self.mux.withdraw(link.core)
        if link.core.in_flight or link.core.held:
            link.core.retire_at = -1
            link.core.reserved = True
        else:
            self._close(link)

    def _close(self, link: LoopLink) -> None:
        if link in self.links:
            self.links.remove(link)
            self.counters.recycled += 1
        link.close()
        self._check_empty()

    async def _keep(self) -> None:
        """Every health_check_interval_secs: retire, drop what is idle too long, check what is idle, refill."""
        while not self.closing:
            await asyncio.sleep(jittered(self.limits.health_check_interval_secs))
            self.check()

    def check(self) -> None:
        """One round of upkeep."""
        now = pgcore.monotonic()
        for link in list(self.links):
            core = link.core
            if not core.shared or core.in_flight:
                continue
            idle = now - core.idle_since
            if self._over(link) or (
                self.limits.idle_timeout_secs
                and idle > self.limits.idle_timeout_secs
                and self.size > self.limits.min_size
            ):
                self._retire(link)
            elif idle >= self.limits.health_check_interval_secs:
                self._ping(link)
        self.start()

    def _ping(self, link: LoopLink) -> None:
        ping = link.simple("")

        def unanswered() -> None:
            if not ping.done() and not link.closed:
                link.core.close(PgConnectionError("The server did not answer a health check."))
                link.close()

        self.loop.call_later(PING_SECONDS, unanswered)

    # ---- the end

    def _check_empty(self) -> None:
        if self.emptied is not None and not self.links and not self.emptied.done():
            self.emptied.set_result(None)

    async def close(self, drain_secs: float) -> None:
        """Nothing new; what runs may end within `drain_secs`; then every connection is closed."""
        self.closing = True
        if self.keeper is not None:
            self.keeper.cancel()
            self.keeper = None
        if self.refilling is not None:
            self.refilling.cancel()
        closed = PgClosedError("The pool is closed.", safe_to_retry=True)
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_exception(_again(closed))
        self.waiters.clear()
        self.mux.closed = closed
        end = self.loop.time() + drain_secs
        while self.mux.queued and self.links and self.loop.time() < end:  # noqa: ASYNC110 (bounded, rare, at the end)
            await asyncio.sleep(0.005)
        self.mux.fail_waiting(closed)
        for link in list(self.links):
            if link.core.shared:
                self._retire(link)
        if self.links:
            self.emptied = self.loop.create_future()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, end - self.loop.time())):
                    await self.emptied
        for link in list(self.links):
            link.close()
        self.links.clear()
        if self.tasks:
            for task in self.tasks:
                task.cancel()
            await asyncio.gather(*self.tasks, return_exceptions=True)

    def forget(self) -> None:
        """In a child process: the sockets are the parent's sessions."""
        self.closing = True
        for link in list(self.links):
            link.channel.forget()
        self.links.clear()

    def stats(self) -> dict[str, Any]:
        return {
            "size": len(self.links),
            "in_use": self.in_use,
            "idle": sum(link.core.shared and not link.core.in_flight for link in self.links),
            "opening": self.opening,
            "waiting": len(self.waiters) + self.mux.queued,
            "in_flight": sum(link.core.in_flight for link in self.links),
            "created": self.counters.created,
            "recycled": self.counters.recycled,
            "evicted": self.counters.evicted,
            "failed_connects": self.counters.failed_connects,
            "queries": self.mux.completed,
            "errors": self.mux.failed,
            "latency": self.mux.latencies(),
        }


class BlockingShard:
    """The connections of the threads that wait: one for each that needs one at a time."""

    def __init__(self, settings: LinkSettings, limits: PoolLimits) -> None:
        self.settings = settings
        self.limits = limits
        self.counters = Counters()
        self.lock = threading.Lock()
        self.statements: dict[str, Any] = {}
        self.idle: list[BlockingLink] = []
        self.links: set[BlockingLink] = set()
        self.opening = 0
        self.waiters: deque[_Place] = deque()
        self.closed = False

    def acquire(self, deadline_ms: float | None) -> BlockingLink:
        """A connection for oneself, waiting in turn. Raises PgPoolTimeout, or why none could be made."""
        place: _Place | None = None
        with self.lock:
            if self.closed:
                raise PgClosedError("The pool is closed.")
            while self.idle and not self.waiters:
                link = self.idle.pop()
                if not self._over(link):
                    return link
                self._drop(link)
            if len(self.links) + self.opening < self.limits.max_size:
                self.opening += 1
            else:
                place = _Place()
                self.waiters.append(place)
        if place is None:
            return self._open()
        if not place.ready.wait(None if deadline_ms is None else deadline_ms / 1000):
            with self.lock:
                if place in self.waiters:
                    self.waiters.remove(place)
                    raise PgPoolTimeout(
                        f"No connection became free in {deadline_ms:g} ms: all {self.limits.max_size} are in use, "
                        f"{len(self.waiters)} threads wait.",
                        safe_to_retry=True,
                    )
        if place.link is not None:
            return place.link
        if self.closed:
            raise PgClosedError("The pool is closed.")
        return self._open()

    def _open(self) -> BlockingLink:
        deadline = time.monotonic() + STARTING_SECONDS
        try:
            while True:
                try:
                    link = self.settings.open_blocking(self.statements)
                    break
                except PgServerShutdown as error:
                    if error.code != "57P03" or time.monotonic() > deadline:
                        raise
                    time.sleep(0.1)
        except BaseException:
            with self.lock:
                self.opening -= 1
                self.counters.failed_connects += 1
                self._pass_on(None)
            raise
        link.shard = self
        if self.limits.max_lifetime_secs:
            link.core.retire_at = pgcore.monotonic() + jittered(self.limits.max_lifetime_secs)
        with self.lock:
            self.opening -= 1
            self.counters.created += 1
            self.links.add(link)
        return link

    def release(self, link: BlockingLink) -> None:
        """A connection comes back; what it has to be cleaned of goes out with its next query."""
        if not link.closed and link.core.used:
            link.reset(thoroughly=self.limits.reset == "always")
            link.core.used = False
            link.channel.flush()
        with self.lock:
            if self.closed or self._over(link):
                self._drop(link)
                self._pass_on(None)
                return
            link.idle_since = time.monotonic()
            if not self._pass_on(link):
                self.idle.append(link)

    def _pass_on(self, link: BlockingLink | None) -> bool:
        """To the next waiter: a connection, or the place to make one."""
        if not self.waiters:
            return False
        if link is None:
            if len(self.links) + self.opening >= self.limits.max_size:
                return False
            self.opening += 1
        place = self.waiters.popleft()
        place.link = link
        place.ready.set()
        return True

    def _over(self, link: BlockingLink) -> bool:
        core = link.core
        if link.closed or (core.retire_at != 0 and pgcore.monotonic() > core.retire_at):
            return True
        if not link.idle_since:
            return False
        idle = time.monotonic() - link.idle_since
        if self.limits.idle_timeout_secs and idle > self.limits.idle_timeout_secs:
            return True
        if idle > self.limits.health_check_interval_secs:
            try:
                link.wait(link.simple(""), PING_SECONDS * 1000)
            except (PgConnectionError, PgTimeout):
                return True
        return False

    def _drop(self, link: BlockingLink) -> None:
        if link in self.links:
            self.links.discard(link)
            if link.closed:
                self.counters.evicted += 1
            else:
                self.counters.recycled += 1
        link.close()

    def close(self) -> None:
        """Idle connections are closed now, the others when they come back."""
        with self.lock:
            self.closed = True
            for link in self.idle:
                self._drop(link)
            self.idle.clear()
            for place in self.waiters:
                place.ready.set()
            self.waiters.clear()

    def forget(self) -> None:
        """In a child process."""
        for link in list(self.links):
            link.channel.forget()
        self.links.clear()
        self.idle.clear()

    def stats(self) -> dict[str, Any]:
        with self.lock:
            return {
                "size": len(self.links),
                "in_use": len(self.links) - len(self.idle),
                "idle": len(self.idle),
                "opening": self.opening,
                "waiting": len(self.waiters),
                "created": self.counters.created,
                "recycled": self.counters.recycled,
                "evicted": self.counters.evicted,
                "failed_connects": self.counters.failed_connects,
            }


class _Place:
    """In the queue of threads that wait for a connection."""

    __slots__ = ("link", "ready")

    def __init__(self) -> None:
        self.ready = threading.Event()
        self.link: BlockingLink | None = None


def _again(error: PgError) -> PgError:
    """The same error for another caller: tracebacks are not shared."""
    return copy.copy(error)
