"""A connection with its socket and its session: under a loop, or for a thread that waits."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from swift._speedups import pgcore, pgtransport

from . import errors
from .driving import LOOK_SECONDS, drive, drive_blocking, needs_looks
from .errors import PgConnectionError, PgTimeout
from .options import ConnectOptions
from .session import Session
from .target import cancel, connect

if TYPE_CHECKING:
    from swift._speedups.pgcore import Connection, Query
    from swift._speedups.pgvalues import Registry

pgcore.use_errors(errors)

# A query that is left behind may end by itself within this time; only then a CancelRequest is worth its connection.
CANCEL_AFTER_SECONDS = 0.01
# How long a cancelled query may take to end before its connection is given up.
CANCEL_PATIENCE_SECONDS = 5.0

# What a statement may have left in its session; DISCARD ALL but for prepared statements, which stay.
RESET = (
    "CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; UNLISTEN *; "
    "SELECT pg_advisory_unlock_all(); DISCARD TEMP; DISCARD SEQUENCES"
)
# Tags of commands that leave nothing behind in the session.
CLEAN = frozenset(
    (
        "SELECT",
        "INSERT",
        "UPDATE",
        "DELETE",
        "MERGE",
        "COPY",
        "BEGIN",
        "START",
        "COMMIT",
        "ROLLBACK",
        "SAVEPOINT",
        "RELEASE",
    )
)


class Link:
    """What both kinds have in common."""

    __slots__ = ("channel", "core", "options", "pid", "session", "shard")

    core: Connection
    session: Session
    channel: Any

    def __init__(self, options: ConnectOptions, session: Session, core: Connection) -> None:
        self.options = options
        self.session = session
        self.core = core
        self.shard: Any = None
        self.pid = os.getpid()
        core.parameters = session.parameters
        core.backend_pid = session.backend_pid
        core.secret_key = session.secret_key or b""
        core.owner = self

    @property
    def closed(self) -> bool:
        return self.core.closed is not None

    def close(self) -> None:
        """Ends the session; in a child process of the one that opened it only the socket is closed."""
        if self.pid == os.getpid():
            self.channel.close()
        else:
            self.channel.forget()

    def simple(self, sql: str) -> Query:
        """Submit a simple query, whose messages end themselves."""
        return self.core.execute(pgcore.simple_query(sql))

    def reset(self, *, thoroughly: bool) -> None:
        """Make the session as new, in the same write as what comes next. Nothing waits for it."""
        core = self.core
        if core.transaction_status != "I" or core.in_flight or core.held:
            self._aside("ROLLBACK")
        if thoroughly or core.tainted or core.touched:
            self._aside(RESET)
            core.clean()

    def _aside(self, sql: str) -> None:
        query = pgcore.simple_query(sql)
        query.call_back(self._was_reset)
        self.core.execute(query)

    def _was_reset(self, query: Query) -> None:
        if query.failure is not None and not self.closed:
            self.core.close(query.failure)
            self.close()


class LoopLink(Link):
    """A connection under an event loop."""

    __slots__ = ("cancelling",)

    channel: pgtransport.LoopChannel

    def __init__(
        self, options: ConnectOptions, session: Session, core: Connection, channel: pgtransport.LoopChannel
    ) -> None:
        super().__init__(options, session, core)
        self.channel = channel
        self.cancelling: asyncio.Task[None] | None = None
        if needs_looks(channel.loop):
            channel.loop.call_later(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        if self.closed:
            return
        if self.channel.reading:
            self.channel.readable()
        self.channel.loop.call_later(LOOK_SECONDS, self._look)

    def cancel_soon(self) -> None:
        """Nobody waits for what is in flight: tell the server, unless it is over by then."""
        if self.cancelling is None and not self.closed:
            # While this runs nothing new is written, so a request can only meet what was left behind. Others who share the
            # connection are not kept from it until it is clear that there will be one.
            held = not self.core.shared
            if held:
                self.core.hold()
            self.cancelling = self.channel.loop.create_task(self._cancel(held))

    async def _cancel(self, held: bool) -> None:
        core = self.core
        try:
            end = pgcore.monotonic() + CANCEL_AFTER_SECONDS
            while core.all_abandoned and pgcore.monotonic() < end:  # noqa: ASYNC110 (the kernel has no event for it)
                await asyncio.sleep(0.001)
            if self.closed or not core.all_abandoned:
                return
            if not held:
                held = True
                core.hold()
            try:
                async with asyncio.timeout(CANCEL_PATIENCE_SECONDS):
                    await drive(cancel(self.options, self.session))
                    while core.in_flight and not self.closed:  # noqa: ASYNC110 (the kernel has no event for it)
                        await asyncio.sleep(0.001)
            except (PgConnectionError, TimeoutError) as error:
                # It can neither be cancelled nor waited for.
                core.close(error)
                self.close()
        finally:
            self.cancelling = None
            if held:
                core.release()
            if not self.closed and core.dispatcher is not None:
                core.dispatcher.check_reserved(core)
                core.dispatcher.wake_up()

    async def cancel(self) -> None:
        """Send a CancelRequest for what is executing; when it returns, the server has been told."""
        self.core.hold()
        try:
            await drive(cancel(self.options, self.session))
        finally:
            self.core.release()


class BlockingLink(Link):
    """A connection of one thread at a time."""

    __slots__ = ("idle_since",)

    channel: pgtransport.BlockingChannel

    def __init__(
        self,
        options: ConnectOptions,
        session: Session,
        core: Connection,
        channel: pgtransport.BlockingChannel,
    ) -> None:
        super().__init__(options, session, core)
        self.channel = channel
        self.idle_since = 0.0

    def wait(self, query: Query, deadline_ms: float | None = None) -> Any:
        """The outcome of a query that was submitted here. Raises PgTimeout; the connection stays usable."""
        try:
            done = self.channel.run(query, -1.0 if deadline_ms is None else max(0.0, deadline_ms / 1000))
        except BaseException:
            # KeyboardInterrupt in the middle of an answer: leave the connection clean, or closed.
            self.abandon(query)
            raise
        if not done:
            self.abandon(query)
            raise PgTimeout("The deadline of the query passed.", statement=query.sql)
        return query.result()

    def abandon(self, query: Query) -> None:
        query.cancel()
        try:
            drive_blocking(cancel(self.options, self.session, seconds=CANCEL_PATIENCE_SECONDS))
            marker = self.core.execute(pgcore.simple_query(""))
            if not self.channel.run(marker, CANCEL_PATIENCE_SECONDS):
                raise PgTimeout("The cancelled query did not end.")
        except PgConnectionError as error:
            self.core.close(error)
            self.close()
        except PgTimeout as error:
            self.core.close(PgConnectionError(error.message))
            self.close()

    def cancel(self) -> None:
        """Send a CancelRequest for what is executing; callable from any thread."""
        drive_blocking(cancel(self.options, self.session))


class LinkSettings:
    """What every connection of a pool is made with."""

    def __init__(
        self,
        options: ConnectOptions,
        registry: Registry,
        *,
        statement_cache_size: int = 256,
        on_notice: Callable[[errors.PgNotice], object] | None = None,
        hooks: Any = None,
        keepalive_secs: float = 30.0,
    ) -> None:
        self.options = options
        self.keepalive_secs = keepalive_secs
        self.registry = registry
        self.statement_cache_size = statement_cache_size
        self.on_notice = on_notice
        self.hooks = hooks

    def core(self, statements: dict[str, Any], rest: bytes) -> Connection:
        core = pgcore.Connection(self.registry, statements, self.statement_cache_size, rest)
        core.on_notice = self.on_notice
        core.hooks = self.hooks
        return core

    async def open(self, flusher: pgtransport.Flusher, statements: dict[str, Any]) -> LoopLink:
        """Connect under the running loop. Raises PgError."""
        session, socket, rest = await drive(connect(self.options))
        assert socket is not None
        core = self.core(statements, rest)
        return LoopLink(self.options, session, core, pgtransport.LoopChannel(flusher, core, socket))

    def open_blocking(self, statements: dict[str, Any]) -> BlockingLink:
        """Connect on this thread. Raises PgError."""
        session, socket, rest = drive_blocking(connect(self.options))
        assert socket is not None
        core = self.core(statements, rest)
        return BlockingLink(self.options, session, core, pgtransport.BlockingChannel(core, socket))


def jittered(seconds: float) -> float:
    """A lifetime shortened by up to a tenth, so that connections opened together do not end together."""
    return seconds * (1 - 0.1 * random.random())
