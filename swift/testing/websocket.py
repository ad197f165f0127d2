"""`WebSocketSession`: the client's end of a WebSocket."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, TypeVar, overload

import msgspec

from swift.http import Headers

from ._signal import Signal
from ._types import ASGIApp, Event, RawHeaders, Scope
from ._websocket_rules import DENIAL, spec_version
from .errors import ClientDisconnected, WebSocketClosed, WebSocketDenied
from .events import ASGIViolation
from .responses import ClientResponse

T = TypeVar("T")

ABNORMAL_CLOSURE = 1006  # RFC 6455 §7.4.1: the connection ended without a close frame


class WebSocketSession:
    """Entered, it has connected: `subprotocol` and `headers` are what the application accepted with.

    A refused handshake raises WebSocketDenied.
    `receive_*` raise WebSocketClosed once the application has closed.
    Leaving the block closes with code 1000 and waits until the application has returned.
    """

    def __init__(
        self,
        app: ASGIApp,
        scope: Scope,
        url: str,
        *,
        raise_server_exceptions: bool,
        disconnect_timeout: float,
    ) -> None:
        self.subprotocol: str | None = None
        self.headers = Headers([])
        self.close_code: int | None = None
        self.close_reason = ""
        self._app = app
        self._scope = scope
        self._url = url
        self._raises_server_exceptions = raise_server_exceptions
        self._disconnect_timeout = disconnect_timeout
        version = spec_version(scope)
        self._raises_after_disconnect = version >= (2, 4)
        self._tells_reason = version >= (2, 5)
        self._changed = Signal()
        self._to_app: deque[Event] = deque([{"type": "websocket.connect"}])
        self._from_app: deque[str | bytes] = deque()
        self._accepted = False
        self._left = False
        self._denial_status = 0
        self._denial_headers: RawHeaders = []
        self._denial_body = b""
        self._denied = False
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> WebSocketSession:
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(lambda _: self._changed.notify())
        try:
            await self._changed.wait_for(lambda: self._accepted or self._is_over or self._denied)
            if not self._accepted:
                await self._finish()
                raise self._denial()
        except BaseException:
            await self._cancel()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if error is None or isinstance(error, Exception):
                await self.close()
                await self._finish(quietly=error is not None)
        finally:
            await self._cancel()

    async def send_text(self, text: str) -> None:
        """Send a text message."""
        self._put({"type": "websocket.receive", "text": text})

    async def send_bytes(self, data: bytes) -> None:
        """Send a binary message."""
        self._put({"type": "websocket.receive", "bytes": data})

    async def send_json(self, value: Any) -> None:
        """Sends the value as JSON in a text message."""
        await self.send_text(msgspec.json.encode(value).decode())

    async def receive(self) -> str | bytes:
        """The next message, text as str and binary as bytes."""
        await self._changed.wait_for(lambda: bool(self._from_app) or self._is_over)
        if self._from_app:
            return self._from_app.popleft()
        raise self._closed()

    async def receive_text(self) -> str:
        """The next message, which must be text."""
        message = await self.receive()
        if isinstance(message, bytes):
            raise TypeError(f"Expected a text message, got the binary {message!r}.")
        return message

    async def receive_bytes(self) -> bytes:
        """The next message, which must be binary."""
        message = await self.receive()
        if isinstance(message, str):
            raise TypeError(f"Expected a binary message, got the text {message!r}.")
        return message

    @overload
    async def receive_json(self) -> Any: ...
    @overload
    async def receive_json(self, type: type[T]) -> T: ...
    async def receive_json(self, type: Any = None) -> Any:
        """The next message, of either kind, decoded from JSON."""
        message = await self.receive()
        return msgspec.json.decode(message) if type is None else msgspec.json.decode(message, type=type)

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        """The messages until the application closes."""
        while True:
            try:
                message = await self.receive()
            except WebSocketClosed:
                return
            yield message

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """The client closes; without effect when the WebSocket is closed already."""
        if self._left or self._is_over:
            return
        event: Event = {"type": "websocket.disconnect", "code": code}
        if self._tells_reason:
            event["reason"] = reason
        self._put(event)
        self._left = True

    @property
    def _is_over(self) -> bool:
        return self.close_code is not None or (self._task is not None and self._task.done())

    def _put(self, event: Event) -> None:
        if self._left or self._is_over:
            raise self._closed()
        self._to_app.append(event)
        self._changed.notify()

    async def _run(self) -> None:
        await self._app(self._scope, self._receive, self._send)

    async def _receive(self) -> Event:
        await self._changed.wait_for(lambda: bool(self._to_app))
        return self._to_app.popleft()

    async def _send(self, event: Event) -> None:
        if self._left:
            if self._raises_after_disconnect:
                raise ClientDisconnected("The client has closed the WebSocket.")
            await asyncio.sleep(0)
            return
        kind = event["type"]
        if kind == "websocket.accept":
            self._accepted = True
            self.subprotocol = event.get("subprotocol")
            self.headers = Headers(event.get("headers", []))
        elif kind == "websocket.send":
            self._from_app.append(event["bytes"] if event.get("text") is None else event["text"])
        elif kind == "websocket.close":
            self.close_code = event.get("code", 1000)
            self.close_reason = event.get("reason") or ""
            self._to_app.append({"type": "websocket.disconnect", "code": self.close_code})
        elif kind == f"{DENIAL}.start":
            self._denial_status, self._denial_headers = event["status"], event["headers"]
        elif kind == f"{DENIAL}.body":
            self._denial_body += event.get("body", b"")
            self._denied = not event.get("more_body", False)
            if self._denied:
                self._to_app.append({"type": "websocket.disconnect", "code": ABNORMAL_CLOSURE})
        self._changed.notify()

    def _denial(self) -> WebSocketDenied:
        if self._denied:
            status, headers, body = self._denial_status, self._denial_headers, self._denial_body
            return WebSocketDenied(ClientResponse(self._url, "GET", status, headers, body))
        # A close before the acceptance is a 403 (ASGI WebSocket, Close), an application that failed a 500.
        response = ClientResponse(self._url, "GET", 500 if self.close_code is None else 403, [], b"")
        return WebSocketDenied(response, self.close_code, self.close_reason)

    async def _finish(self, *, quietly: bool = False) -> None:
        """Waits until the application has returned; raises what it raised, unless to be quiet about it."""
        task = self._task
        assert task is not None
        done, _ = await asyncio.wait({task}, timeout=self._disconnect_timeout)
        if quietly:
            return
        if not done:
            raise TimeoutError(
                f"The application was still running {self._disconnect_timeout} s after the close."
            )
        if error := self._server_error():
            raise error

    def _closed(self) -> BaseException:
        """What a use of the closed WebSocket raises: the application's exception, if that ended it."""
        code = self.close_code or ABNORMAL_CLOSURE
        return self._server_error() or WebSocketClosed(code, self.close_reason)

    def _server_error(self) -> BaseException | None:
        task = self._task
        error = task.exception() if task is not None and task.done() and not task.cancelled() else None
        if isinstance(error, ASGIViolation):
            return error
        noticed_that_client_left = self._left and isinstance(error, ClientDisconnected)
        return error if self._raises_server_exceptions and not noticed_that_client_left else None

    async def _cancel(self) -> None:
        task = self._task
        if task is None:
            return
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
        if not task.cancelled():
            task.exception()
