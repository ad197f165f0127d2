"""RSGI, granian's own protocol: a faster door to the same core.

What the kernel can finish at once is answered in one call of `response_bytes`. Everything else is served by
the code of the ASGI door, over a channel that has the `receive` and `send` of ASGI.

What RSGI 1.6 does not carry, and ASGI on the same server does:

    header values of a request that are not ASCII    the name is there, the value is empty
    header values of an answer that are not UTF-8    sent as the UTF-8 of their Latin-1 text
    the raw path, and granian's --url-path-prefix    `%2F` cannot be told from `/`
    backpressure on streams                          what a slow client has not read waits in memory
    an end of a stream that is no good one           a stream that fails stays open, see `BROKEN_SECONDS`
    subprotocols and headers of a WebSocket          WebSockets are refused

Files do not wait in memory: the server sends them itself, whole or in one range.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from swift._speedups.rsgi import Door, Exchange, check_status, text_headers
from swift.http.files import FILE_RANGE

from .serving import answer_failed, serve_pending

if TYPE_CHECKING:
    from swift._speedups.kernel import Pending

    from .application import App

CLIENT_LEFT = "The client left before its answer was complete."

# How long an answer that broke off is left open. Ended, it would look complete to the client; so the client,
# or a proxy in between, has to lose patience first (nginx, proxy_read_timeout: 60 s).
BROKEN_SECONDS = 75.0


class RSGIDoor(Door):
    """Answers the requests of one app, and starts and stops it with its server."""

    def __init__(self, app: App) -> None:
        from .application import App

        extensions: dict[str, Any] = {"http.response.pathsend": {}, FILE_RANGE: {}}
        # A subclass with an ASGI door of its own has something to do there for every request.
        direct = type(app).__call__ is App.__call__
        super().__init__(app, go_on, Channel, extensions, direct)
        self._change: asyncio.Task[None] | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start the app before the server listens. Raises what starting raises."""
        self._run(loop, loop.create_task(self.app.start(self.state)))

    def stop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Stop the app after the server has drained."""
        self._run(loop, loop.create_task(self.app.stop()))

    def _run(self, loop: asyncio.AbstractEventLoop, change: asyncio.Task[None]) -> None:
        if loop.is_running():
            # A server embedded in a program calls from within its loop; requests wait for the start by themselves.
            self._change = change
        else:
            loop.run_until_complete(change)


async def go_on(app: App, exchange: Exchange, pending: Pending | None, error: Exception | None) -> None:
    """Serve what the kernel could not finish at once, as `App.__call__` does."""
    channel: Channel = exchange.channel
    scope, receive, send = exchange.scope, channel.receive, channel.send
    try:
        if pending is not None and pending.wants_body:
            try:
                start, body = pending.with_message(await channel.receive_whole())
            except Exception as failure:
                error = failure
            else:
                if start is not None:
                    channel.start(start)
                    channel.send_whole(body["body"])
                    return
        if error is not None:
            request = None if pending is None else pending.request
            await answer_failed(app, scope, receive, send, error, request)
        elif pending is not None:
            await serve_pending(app, pending, scope, receive, send)
        else:
            # Not started yet, or of a class with an ASGI door of its own.
            await app.start(exchange.state)
            await app(scope, receive, send)
    except Exception:
        await channel.stay_open()
        raise
    finally:
        exchange.close()


class Channel:
    """The `receive` and `send` of ASGI over the protocol of one RSGI request.

    RSGI does not say where a body ends or breaks off. A chunk is empty at the end, for trailers, for the
    empty frame that may end a stream of HTTP/2, and instead of an error; StopAsyncIteration follows the end
    and, on HTTP/1, an error too. So where the length is known, an empty chunk before it means that the client
    has left, and elsewhere as many empty chunks do as no end has.
    """

    __slots__ = (
        "_answered",
        "_chunks",
        "_ending",
        "_headers",
        "_length",
        "_over",
        "_protocol",
        "_read",
        "_reading",
        "_received",
        "_source",
        "_status",
        "_transport",
        "_watcher",
    )

    def __init__(self, source: Any, protocol: Any) -> None:
        self._source = source
        self._protocol = protocol
        # The bytes of the body, -1 when that was not said; None until somebody reads.
        self._length: int | None = None
        self._received = 0
        self._chunks: Any = None
        self._reading: Any = None
        self._read = False
        # Whether the client has left or has its answer, and what waits for that.
        self._over = False
        self._ending: asyncio.Event | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._status = 0
        self._headers: list[tuple[str, str]] | None = None
        self._transport: Any = None
        self._answered = False

    # The body.

    async def receive(self) -> dict[str, Any]:
        """A part of the body; after it `http.disconnect`, as soon as the client has left or has its answer."""
        if self._read:
            await self._wait_until_over()
            return {"type": "http.disconnect"}
        length = self._body_length()
        chunk = await self._next_chunk(length) if length else b""
        if chunk is None:
            return self._left()
        self._received += len(chunk)
        self._read = not chunk or self._received == length
        return {"type": "http.request", "body": chunk, "more_body": not self._read}

    async def receive_whole(self) -> dict[str, Any]:
        """The whole body where its length was said, and so found to be allowed; else a part."""
        if self._body_length() <= 0:
            return await self.receive()
        try:
            body = await self._protocol()
        except RuntimeError:
            return self._left()
        self._read = True
        return {"type": "http.request", "body": body, "more_body": False}

    def _body_length(self) -> int:
        if self._length is None:
            headers = self._source.headers
            length = headers.get("content-length")
            if "transfer-encoding" in headers:
                self._length = -1
            elif length is not None:
                self._length = int(length)
            else:
                self._length = 0 if self._is_http1() else -1
        return self._length

    def _is_http1(self) -> bool:
        version: str = self._source.http_version
        return version.startswith("1")

    async def _next_chunk(self, length: int) -> bytes | None:
        """The next chunk; empty at the end of the body, None when the client left before it."""
        if self._chunks is None:
            self._chunks = aiter(self._protocol)
        empty = 0
        while True:
            try:
                if self._reading is None:
                    self._reading = asyncio.ensure_future(self._chunks.__anext__())
            except StopAsyncIteration:
                return b""
            # Who waits for it may be cancelled, `Request.is_disconnected` for one; the chunk is for the next.
            chunk: bytes = await asyncio.shield(self._reading)
            self._reading = None
            if chunk:
                return chunk
            empty += 1
            if length > 0 or empty > self._most_final_chunks():
                return None

    def _most_final_chunks(self) -> int:
        """How many empty chunks the end of a body of unknown length has at most."""
        return 1 if self._is_http1() and "trailer" not in self._source.headers else 2

    def _left(self) -> dict[str, Any]:
        self._read = True
        self._end()
        return {"type": "http.disconnect"}

    async def _wait_until_over(self) -> None:
        if self._over:
            return
        if self._ending is None:
            self._ending = asyncio.Event()
            self._watcher = asyncio.get_running_loop().create_task(self._watch())
        await self._ending.wait()

    async def _watch(self) -> None:
        await self._protocol.client_disconnect()
        self._end()

    def _end(self) -> None:
        self._over = True
        if self._ending is not None:
            self._ending.set()

    # The answer.

    async def send(self, message: dict[str, Any]) -> None:
        """A part of the answer. OSError when the client has left (ASGI HTTP 2.4)."""
        kind = message["type"]
        if kind == "http.response.start":
            self.start(message)
        elif kind == "http.response.body":
            await self._send_part(message.get("body", b""), message.get("more_body", False))
        elif kind == "http.response.pathsend":
            self._send_file(message["path"], message.get("range"))
        else:
            raise ValueError(f"Expected a message `http.response.start` or `.body`, got `{kind}`.")

    def start(self, message: dict[str, Any]) -> None:
        """Keep status and headers until it shows how the body comes."""
        if self._headers is not None:
            raise RuntimeError("The answer was started already.")
        self._status = check_status(message["status"])
        self._headers = text_headers(message.get("headers", ()))

    def send_whole(self, body: bytes) -> None:
        headers = self._claim()
        self._protocol.response_bytes(self._status, headers, body)
        self._end()

    def _send_file(self, path: str, span: tuple[int, int] | None) -> None:
        headers = self._claim()
        if span is None:
            self._protocol.response_file(self._status, headers, path)
        else:
            self._protocol.response_file_range(self._status, headers, path, *span)
        self._end()

    async def _send_part(self, body: bytes, more: bool) -> None:
        if self._transport is None:
            if not more:
                self.send_whole(body)
                return
            self._transport = self._protocol.response_stream(self._status, self._claim())
        elif self._over:
            raise OSError(CLIENT_LEFT)
        if body:
            try:
                await self._transport.send_bytes(body)
            except RuntimeError as error:
                raise OSError(CLIENT_LEFT) from error
        if more:
            # The server takes all at once; others want the loop, and it brings the news that the client left.
            await asyncio.sleep(0)
        else:
            self.close()
            self._end()

    def _claim(self) -> list[tuple[str, str]]:
        """The headers, for the one body that an answer has."""
        if self._headers is None:
            raise RuntimeError("The answer was not started; send `http.response.start` first.")
        if self._answered:
            raise RuntimeError("The answer is complete already.")
        self._answered = True
        return self._headers

    async def stay_open(self) -> None:
        """Leave an answer that breaks off open for a while, if its end could be taken for its completion."""
        if self._transport is None or any(name == "content-length" for name, _ in self._headers or ()):
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(BROKEN_SECONDS):
                await self._wait_until_over()

    def close(self) -> None:
        """End the stream, which ends by being let go, and the watch over the client."""
        self._transport = None
        if self._watcher is not None:
            self._watcher.cancel()
