"""`Exchange`: one HTTP request and its response, from the server's side of ASGI.

Rule 1: the application runs in a task of its own, as under a server: what it sets in a contextvar stays
there, and cancelling the test cancels it.
Rule 2: `send` of body bytes returns when the reader has taken them. Nothing is buffered, so an application
that is not read from does not run on.
Rule 3: `receive` never loses a chunk. An application may cancel a `receive` it has begun, so an asynchronous
body is iterated by a feeder task, one chunk for each `receive` and not before it.
Rule 4: after `disconnect()`, `receive` answers `http.disconnect`, and `send` raises ClientDisconnected where
the spec version is 2.4 or later and does nothing where it is older.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterable, Callable, Iterable, Iterator
from types import TracebackType

from ._signal import Signal
from ._types import ASGIApp, Event, RawHeaders, Scope
from ._websocket_rules import spec_version
from .errors import ClientDisconnected
from .requests import Body

READ_SIZE = 65536  # what servers read from a socket or a file at a time


class Exchange:
    def __init__(
        self,
        app: ASGIApp,
        scope: Scope,
        body: Body,
        *,
        chunk_size: int = READ_SIZE,
        disconnect_timeout: float = 5.0,
    ) -> None:
        self.status = 0
        self.headers: RawHeaders = []
        self.trailers: RawHeaders = []
        self.extension_events: list[Event] = []
        self.complete = False
        self.disconnected = False
        self.body_error: Exception | None = None
        self._changed = Signal()
        self._raises_after_disconnect = spec_version(scope) >= (2, 4)
        self._disconnect_timeout = disconnect_timeout
        self._expects_trailers = False
        self._sends_body = scope.get("method") != "HEAD"
        self._offered: tuple[bytes, bool] | None = None  # a chunk, and whether it is the last one
        self._source = _RequestBody(body, chunk_size, self._changed)
        self._task = asyncio.create_task(self._run(app, scope))
        self._task.add_done_callback(lambda _: self._changed.notify())

    async def _run(self, app: ASGIApp, scope: Scope) -> None:
        await app(scope, self._receive, self._send)

    # The reader's side

    async def started(self) -> bool:
        """Waits for the start of the response; False when the application ended without one."""
        await self._changed.wait_for(lambda: self.status != 0 or self._task.done())
        return self.status != 0

    async def read(self) -> bytes | None:
        """The next chunk of the body, None at its end."""
        await self._changed.wait_for(lambda: self._offered is not None or self.complete or self._task.done())
        if self._offered is None:
            return None
        (chunk, is_last), self._offered = self._offered, None
        self.complete = self.complete or is_last
        self._changed.notify()
        return chunk

    @property
    def is_broken(self) -> bool:
        """True when the application ended before its response did, with the client still there."""
        return self._task.done() and not self.complete and not self.disconnected

    def disconnect(self) -> None:
        self.disconnected = True
        self._offered = None
        self._changed.notify()

    def answer_instead(self) -> None:
        """What servers answer in the place of an application that raised before it started a response."""
        self.status, self.headers = 500, [(b"content-type", b"text/plain; charset=utf-8")]
        self._offered = (b"Internal Server Error", True)

    async def finish(self) -> BaseException | None:
        """Waits until the application has returned; the exception it raised, or None."""
        try:
            if self.disconnected:
                await self._wait_for_the_disconnected()
            else:
                await asyncio.wait({self._task})
        finally:
            await self._source.aclose()
        if self._task.cancelled():
            return RuntimeError("The application cancelled its own task.")
        return self._task.exception()

    async def _wait_for_the_disconnected(self) -> None:
        done, _ = await asyncio.wait({self._task}, timeout=self._disconnect_timeout)
        if not done:
            await self._cancel()
            raise TimeoutError(
                f"The application was still running {self._disconnect_timeout} s after the client had left."
            )

    async def _cancel(self) -> None:
        self._task.cancel()
        await asyncio.wait({self._task})

    async def __aenter__(self) -> Exchange:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Leaves no task behind: the application of a test that failed or was cancelled is cancelled."""
        if not self._task.done():
            await self._cancel()
        if not self._task.cancelled():
            self._task.exception()  # retrieved here, so that asyncio does not log it
        await self._source.aclose()

    # The application's side

    async def _receive(self) -> Event:
        if not self.disconnected:
            try:
                event = await self._source.next_event(lambda: self.disconnected or self.complete)
            except Exception as error:
                # The body is the test's code: it fails in the test; the application sees the client leave.
                self.body_error = error
                self.disconnect()
                event = None
            if event is not None:
                return event
        await self._changed.wait_for(lambda: self.disconnected or self.complete)
        return {"type": "http.disconnect"}

    async def _send(self, event: Event) -> None:
        if self.disconnected:
            await self._refuse()
            return
        kind = event["type"]
        if kind == "http.response.start":
            self.status, self.headers = event["status"], event["headers"]
            self._expects_trailers = event.get("trailers", False)
            self._changed.notify()
        elif kind == "http.response.body":
            await self._send_body([event.get("body", b"")], event.get("more_body", False))
        elif kind == "http.response.trailers":
            self.trailers += event["headers"]
            if not event.get("more_trailers", False):
                self._complete()
        else:
            self.extension_events.append(event)
            if kind == "http.response.pathsend":
                await self._send_body(_read_path(event["path"]), False)
            elif kind == "http.response.zerocopysend":
                await self._send_body(_read_descriptor(event), event.get("more_body", False))

    async def _send_body(self, chunks: Iterable[bytes], more_body: bool) -> None:
        is_end = not more_body and not self._expects_trailers
        for chunk in chunks:
            if chunk and self._sends_body:
                await self._offer(chunk, is_end and isinstance(chunks, list))
        if is_end:
            self._complete()

    async def _offer(self, chunk: bytes, is_last: bool) -> None:
        await self._changed.wait_for(lambda: self._offered is None or self.disconnected)
        offered = (chunk, is_last)
        if not self.disconnected:
            self._offered = offered
            self._changed.notify()
            await self._changed.wait_for(lambda: self._offered is not offered)
        if self.disconnected and not self.complete:
            await self._refuse()

    def _complete(self) -> None:
        self.complete = True
        self._changed.notify()

    async def _refuse(self) -> None:
        if self._raises_after_disconnect:
            raise ClientDisconnected("The client has disconnected.")
        await asyncio.sleep(0)  # an application that does nothing but send must not starve the loop


class _RequestBody:
    """Cuts a body into `http.request` events."""

    def __init__(self, body: Body, chunk_size: int, changed: Signal) -> None:
        self._changed = changed
        self._ended = False
        self._turn = asyncio.Lock()
        self._chunks: Iterator[bytes] = iter(())
        self._events: Iterator[Event] | None = None
        self._feeder: _Feeder | None = None
        if isinstance(body, bytes):
            self._events = _cut(body, chunk_size)
        elif isinstance(body, AsyncIterable):
            self._feeder = _Feeder(body, changed)
        else:
            self._chunks = iter(body)

    async def next_event(self, is_over: Callable[[], bool]) -> Event | None:
        """The next event; None after the last one, or when the exchange is over before it came."""
        async with self._turn:
            if self._ended:
                return None
            if self._events is not None:
                event = next(self._events)
                self._ended = not event["more_body"]
                return event
            if self._feeder is None:
                chunk = next(self._chunks, None)
            elif await self._feeder.ask(is_over):
                chunk = self._feeder.take()
            else:
                return None
            self._ended = chunk is None
            return {"type": "http.request", "body": chunk or b"", "more_body": chunk is not None}

    async def aclose(self) -> None:
        if self._feeder is not None:
            await self._feeder.aclose()


class _Feeder:
    """Iterates an asynchronous body in a task of its own, one chunk for each that is asked for."""

    def __init__(self, body: AsyncIterable[bytes], changed: Signal) -> None:
        self._iterator = aiter(body)
        self._changed = changed
        self._step: asyncio.Task[bytes | None] | None = None

    async def ask(self, is_over: Callable[[], bool]) -> bool:
        """Waits for a chunk; False when the exchange was over first."""
        if self._step is None:
            self._step = asyncio.create_task(self._next())
            self._step.add_done_callback(lambda _: self._changed.notify())
        step = self._step
        await self._changed.wait_for(lambda: step.done() or is_over())
        return step.done()

    def take(self) -> bytes | None:
        step, self._step = self._step, None
        return step.result() if step is not None else None

    async def _next(self) -> bytes | None:
        return await anext(self._iterator, None)

    async def aclose(self) -> None:
        if self._step is not None:
            self._step.cancel()
            await asyncio.gather(self._step, return_exceptions=True)
            self._step = None
        close = getattr(self._iterator, "aclose", None)
        if close is not None:
            await close()


def _cut(body: bytes, size: int) -> Iterator[Event]:
    for start in range(0, len(body) or 1, size):
        end = start + size
        yield {"type": "http.request", "body": body[start:end], "more_body": end < len(body)}


def _read_path(path: str) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while chunk := file.read(READ_SIZE):
            yield chunk


def _read_descriptor(event: Event) -> Iterator[bytes]:
    file = event["file"]
    descriptor = file if isinstance(file, int) else file.fileno()
    offset, left = event.get("offset"), event.get("count")
    if offset is not None:
        os.lseek(descriptor, offset, os.SEEK_SET)
    while left is None or left > 0:
        chunk = os.read(descriptor, READ_SIZE if left is None else min(left, READ_SIZE))
        if not chunk:
            return
        yield chunk
        left = None if left is None else left - len(chunk)
