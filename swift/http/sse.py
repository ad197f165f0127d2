"""Server-sent events (WHATWG HTML, section 9.2): one long answer of text records.

A record is a block of `field: value` lines closed by an empty line, so a line end inside `event` or
`id` would let their content forge records; it is refused. Line ends in the data are legal and
become further `data` lines.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterable, Iterable
from typing import Any

import msgspec

from .responses import HeadersInput, StreamingResponse, close, iterate

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
