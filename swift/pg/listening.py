"""LISTEN, on a connection of its own that is made again when it is lost."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import TracebackType

from swift._speedups import pgcore, pgtransport

from .copying import quoted
from .errors import PgConnectionError, PgError, PgInterfaceError
from .links import LinkSettings, LoopLink, jittered

# Between attempts to connect again, doubled each time.
FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 10.0
# Notifications nobody has taken; beyond it they are dropped, and a Gap says so.
MOST_WAITING = 65536


@dataclass(frozen=True, slots=True)
class Notification:
    """channel and payload as given to NOTIFY; pid of the notifying backend."""

    channel: str
    payload: str
    pid: int


@dataclass(frozen=True, slots=True)
class Gap:
    """Notifications may be missing before this point: read again what they tell of. error: what ended the connection."""

    error: PgError | None


class Listener:
    """Notifications of some channels, for one `async for`; entered with `async with`."""

    def __init__(self, settings: LinkSettings, channels: tuple[str, ...]) -> None:
        if not channels:
            raise PgInterfaceError("Expected at least one channel to listen to.")
        self._listen = "; ".join(f"LISTEN {quoted(channel)}" for channel in channels)
        self._settings = settings
        self._events: deque[Notification | Gap] = deque()
        self._overflowed = False
        self._changed: asyncio.Future[None] | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._link: LoopLink | None = None
        self._closed = False

    async def __aenter__(self) -> Listener:
        """Returns when the channels are listened to. Raises PgError when the first connection fails."""
        self._link = await self._connect()
        self._keeper = asyncio.get_running_loop().create_task(self._keep(self._link))
        return self

    async def _connect(self) -> LoopLink:
        loop = asyncio.get_running_loop()
        link = await self._settings.open(pgtransport.Flusher(loop), {})
        link.core.on_notification = self._notified
        try:
            await link.core.execute(pgcore.simple_query(self._listen, False))
        except BaseException:
            link.close()
            raise
        return link

    async def _keep(self, link: LoopLink) -> None:
        """Waits for the end of the connection, asks it for a sign of life meanwhile, and makes another."""
        while True:
            lost = asyncio.get_running_loop().create_future()
            link.core.on_close = lambda core, lost=lost: None if lost.done() else lost.set_result(core.closed)
            if link.closed:
                lost.set_result(link.core.closed)
            while not lost.done():
                pause = self._settings.keepalive_secs
                await asyncio.wait([lost], timeout=pause)
                if not lost.done():
                    await self._ping(link, lost)
            error = lost.result()
            link = await self._again()
            self._link = link
            self._put(Gap(error))

    async def _ping(self, link: LoopLink, lost: asyncio.Future[PgError]) -> None:
        answered = link.core.execute(pgcore.simple_query("", False))
        try:
            async with asyncio.timeout(5.0):
                await answered
        except TimeoutError:
            link.core.close(PgConnectionError("The server did not answer in 5 s."))
            link.close()
        except PgError:
            pass  # `lost` says why
        if link.closed and not lost.done():
            lost.set_result(link.core.closed)

    async def _again(self) -> LoopLink:
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                return await self._connect()
            except PgError:
                await asyncio.sleep(jittered(pause))
                pause = min(LONGEST_PAUSE_SECONDS, pause * 2)

    def _notified(self, channel: str, payload: str, pid: int) -> None:
        if len(self._events) >= MOST_WAITING:
            if not self._overflowed:
                self._overflowed = True
                self._put(Gap(None))
            return
        self._put(Notification(channel, payload, pid))

    def _put(self, event: Notification | Gap) -> None:
        self._events.append(event)
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)

    async def get(self, timeout: float | None = None) -> Notification | Gap:
        """The next event. Raises TimeoutError after `timeout` seconds."""
        async with asyncio.timeout(timeout):
            while not self._events:
                if self._closed or self._keeper is None:
                    raise PgInterfaceError("The listener is not open.")
                if self._keeper.done():
                    self._keeper.result()
                self._changed = asyncio.get_running_loop().create_future()
                await self._changed
        if len(self._events) < MOST_WAITING // 2:
            self._overflowed = False
        return self._events.popleft()

    async def __aiter__(self) -> AsyncIterator[Notification | Gap]:
        while True:
            yield await self.get()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._closed = True
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
        if self._link is not None:
            self._link.core.on_close = None
            self._link.close()
