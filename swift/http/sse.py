"""Server-sent events (WHATWG HTML, section 9.2): one long answer of text records.

A record is a block of `field: value` lines closed by an empty line, so a line end inside `event` or
`id` would let their content forge records; it is refused. Line ends in the data are legal and
become further `data` lines.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from secrets import token_hex
from typing import TYPE_CHECKING, Any

import msgspec

from .responses import HeadersInput, StreamingResponse, close, iterate

if TYPE_CHECKING:
    from .request import Request

_LINE_END = re.compile("\r\n|\r|\n")
_BREAKS = re.compile("[\r\n\0]")

_encoder = msgspec.json.Encoder()

KEEP_ALIVE = b":\n\n"


class ServerSentEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One event. `data` is sent as it is when it is text, as JSON otherwise.

    `id` comes back in the Last-Event-ID field of a client that reconnects; `retry` is how long it
    waits before that, in milliseconds; `comment` is not shown to it. Raises ValueError for CR, LF
    and NUL in `event` and `id`.
    """

    data: Any = None
    event: str | None = None
    id: str | None = None
    retry: int | None = None
    comment: str | None = None

    def __post_init__(self) -> None:
        for name, value in (("event", self.event), ("id", self.id)):
            if value is not None and _BREAKS.search(value):
                raise ValueError(f"The {name} of a server-sent event holds CR, LF or NUL; remove it.")
        if self.retry is not None and self.retry < 0:
            raise ValueError(f"The retry of a server-sent event is {self.retry} ms; give 0 or more.")

    def encode(self) -> bytes:
        """The record as it is sent."""
        lines: list[str] = []
        if self.comment is not None:
            lines += [f": {line}" for line in _LINE_END.split(self.comment)]
        if self.event is not None:
            lines.append(f"event: {self.event}")
        if self.id is not None:
            lines.append(f"id: {self.id}")
        if self.retry is not None:
            lines.append(f"retry: {self.retry}")
        if self.data is not None:
            data = self.data if isinstance(self.data, str) else _encoder.encode(self.data).decode()
            lines += [f"data: {line}" for line in _LINE_END.split(data)]
        return ("\n".join(lines) + "\n\n").encode()


class EventSourceResponse(StreamingResponse):
    """A stream of events from an iterable or async iterable of ServerSentEvent.

    Anything else it yields becomes the data of an event. After `keep_alive` seconds without an
    event a comment is sent, so that proxies keep the connection and a client that has gone is
    noticed; None turns that off.
    """

    __slots__ = ()
    default_media_type = "text/event-stream"

    def __init__(
        self,
        content: AsyncIterable[Any] | Iterable[Any],
        status: int = 200,
        headers: HeadersInput = None,
        *,
        keep_alive: float | None = 15.0,
    ) -> None:
        if keep_alive is not None and keep_alive <= 0:
            raise ValueError(f"The keep-alive interval is {keep_alive} s; give a positive number or None.")
        super().__init__(_EventStream(content, keep_alive), status, headers)
        self.headers.setdefault("cache-control", "no-store")
        # nginx holds back what it proxies unless it is told not to.
        self.headers.setdefault("x-accel-buffering", "no")


class _EventStream:
    """The records of a source, with comments in its silences.

    The source runs in one task from beginning to end: advancing it under a timeout would cancel
    it in the middle of its wait.
    """

    def __init__(self, source: AsyncIterable[Any] | Iterable[Any], keep_alive: float | None) -> None:
        self.source = source
        self.keep_alive = keep_alive
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue(maxsize=1)
        self.pump: asyncio.Task[None] | None = None
        self.error: Exception | None = None

    def __aiter__(self) -> _EventStream:
        return self

    async def __anext__(self) -> bytes:
        if self.pump is None:
            self.pump = asyncio.create_task(self._run())
        try:
            record = await asyncio.wait_for(self.queue.get(), self.keep_alive)
        except TimeoutError:
            return KEEP_ALIVE
        if record is None:
            raise self.error or StopAsyncIteration
        return record

    async def aclose(self) -> None:
        if self.pump is None:
            await close(self.source)
        else:
            self.pump.cancel()
            await asyncio.wait([self.pump])

    async def _run(self) -> None:
        try:
            try:
                async for event in iterate(self.source):
                    if not isinstance(event, ServerSentEvent):
                        event = ServerSentEvent(data=event)
                    await self.queue.put(event.encode())
            finally:
                await close(self.source)
        except Exception as error:
            self.error = error
        await self.queue.put(None)


_MARK = re.compile(r"[0-9]{1,18}\Z")


class EventHistory:
    """The last events of a topic, for clients that come back: each gets what it has missed, then what comes.

        history = EventHistory(1000)
        history.publish({"price": 5}, event="price")            # anywhere on the loop

        @app.get("/prices")
        async def prices(request: Request) -> EventSourceResponse:
            return history.response(request)

    Events are numbered, and their ids are `<epoch>-<number>`; a client sends the id of the last one it saw in
    Last-Event-ID. One that missed more than the last `size` events, or whose id is of another epoch (the process
    was started anew), gets an event `reset` first: what it knows is out of date. A slow client is in the same
    place as one that comes back: it waits in nobody's memory, and the others do not wait for it.
    """

    def __init__(self, size: int = 1000, *, epoch: str | None = None) -> None:
        if size < 1:
            raise ValueError(f"A history keeps at least 1 event, got {size}.")
        self.epoch = token_hex(4) if epoch is None else epoch
        # Refused here rather than with the first event.
        ServerSentEvent(id=self.epoch)
        self._events: deque[ServerSentEvent] = deque(maxlen=size)
        self._published = 0
        self._changed = asyncio.Event()
        self._closed = False

    def publish(self, data: Any = None, *, event: str | None = None) -> ServerSentEvent:
        """Add an event, for all who listen. Called on the event loop that they run on."""
        if self._closed:
            raise RuntimeError("The history of events is closed; what is published now would reach nobody.")
        made = ServerSentEvent(data=data, event=event, id=f"{self.epoch}-{self._published + 1}")
        self._events.append(made)
        self._published += 1
        self._wake()
        return made

    def close(self) -> None:
        """End the streams of all who listen, once they have what was published."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        # Those who wait hold the old one, so that none is woken twice or missed.
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def stream(self, last_event_id: str | None = None) -> AsyncIterator[ServerSentEvent]:
        """What came after `last_event_id`, then what comes; without an id only the latter."""
        place = self._place(last_event_id)
        if place is None:
            # The place of the reset is taken before it is given away: what is published meanwhile comes after it.
            place = self._published
            yield self._reset()
        while True:
            oldest = self._published - len(self._events)
            if place < oldest:
                place = self._published
                yield self._reset()
            elif place < self._published:
                event = self._events[place - oldest]
                place += 1
                yield event
            elif self._closed:
                return
            else:
                await self._changed.wait()

    def response(self, request: Request, *, keep_alive: float | None = 15.0) -> EventSourceResponse:
        """The answer to a client that listens, from where its Last-Event-ID says."""
        return EventSourceResponse(self.stream(request.headers.get("last-event-id")), keep_alive=keep_alive)

    def _place(self, last_event_id: str | None) -> int | None:
        """How many events a client has behind it; None when that cannot be known."""
        if not last_event_id:
            return self._published
        epoch, _, number = last_event_id.rpartition("-")
        if epoch != self.epoch or not _MARK.match(number) or int(number) > self._published:
            return None
        return int(number)

    def _reset(self) -> ServerSentEvent:
        return ServerSentEvent(event="reset", data="", id=f"{self.epoch}-{self._published}")
