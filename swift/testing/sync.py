"""`SyncTestClient`: TestClient for synchronous tests, on an event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from types import TracebackType
from typing import Any, TypeVar, Unpack, overload

from swift.http import Headers

from ._types import ASGIApp, Event
from .client import ClientOptions, StreamContext, TestClient
from .cookies import Cookie, CookieJar
from .errors import WebSocketClosed
from .requests import ConnectOptions, RequestOptions
from .responses import ClientResponse, StreamedResponse
from .websocket import WebSocketSession

T = TypeVar("T")
LoopFactory = Callable[[], asyncio.AbstractEventLoop]

NOT_RUNNING = "The client is not running; use it inside `with SyncTestClient(app) as client:`."


class Portal:
    """An event loop in a thread; `call` runs a coroutine there, in the caller's context, and waits for it."""

    def __init__(self, loop_factory: LoopFactory | None = None) -> None:
        self._runner = asyncio.Runner(loop_factory=loop_factory)
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._serve, name="swift-test-client", daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._ready.wait()

    def stop(self) -> None:
        if self._loop is not None and self._stopped is not None:
            self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join()

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        if self._loop is None or not self._thread.is_alive():
            coroutine.close()
            raise RuntimeError(NOT_RUNNING)
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # an interrupted test leaves nothing running
            raise

    def _serve(self) -> None:
        with self._runner:
            self._runner.run(self._main())

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        self._ready.set()
        await self._stopped.wait()


class SyncTestClient:
    """`with SyncTestClient(app) as client: client.get("/users")`: TestClient's surface without `await`.

    `loop_factory` makes the event loop, for instance `uvloop.new_event_loop`.
    """

    __test__ = False

    def __init__(
        self,
        app: ASGIApp,
        *,
        loop_factory: LoopFactory | None = None,
        **options: Unpack[ClientOptions],
    ) -> None:
        self._loop_factory = loop_factory
        self._portal: Portal | None = None
        self._client = TestClient(app, **options)

    @property
    def app(self) -> ASGIApp:
        return self._client.app

    @property
    def headers(self) -> dict[str, str]:
        return self._client.headers

    @property
    def cookies(self) -> CookieJar:
        return self._client.cookies

    @property
    def state(self) -> dict[str, Any]:
        return self._client.state

    def __enter__(self) -> SyncTestClient:
        self._portal = portal = Portal(self._loop_factory)
        portal.start()
        try:
            self._call(self._client.__aenter__())
        except BaseException:
            portal.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._portal is not None
        try:
            self._call(self._client.__aexit__(kind, error, traceback))
        finally:
            self._portal.stop()

    def get(self, url: str, **options: Unpack[RequestOptions]) -> ClientResponse:
        return self.request("GET", url, **options)

    def head(self, url: str, **options: Unpack[RequestOptions]) -> ClientResponse:
        return self.request("HEAD", url, **options)

    def post(self, url: str, **options: Unpack[RequestOptions]) -> ClientResponse:
        return self.request("POST", url, **options)

    def put(self, url: str, **options: Unpack[RequestOptions]) -> ClientResponse:
        return self.request("PUT", url, **options)

    def patch(self, url: str, **options: Unpack[RequestOptions]) -> ClientResponse:
        return self.request("PATCH", url, **options)

    def delete(self, url: str, **options: Unpack[RequestOptions]) -> ClientResponse:
        return self.request("DELETE", url, **options)

    def options(self, url: str, **options: Unpack[RequestOptions]) -> ClientResponse:
        return self.request("OPTIONS", url, **options)

    def query(self, url: str, **options: Unpack[RequestOptions]) -> ClientResponse:
        return self.request("QUERY", url, **options)

    def request(self, method: str, url: str, **options: Unpack[RequestOptions]) -> ClientResponse:
        return self._call(self._client.request(method, url, **options))

    def stream(self, method: str, url: str, **options: Unpack[RequestOptions]) -> SyncStreamContext:
        return SyncStreamContext(self._running(), self._client.stream(method, url, **options))

    def websocket(
        self, url: str, *, subprotocols: Sequence[str] = (), **options: Unpack[ConnectOptions]
    ) -> SyncWebSocketSession:
        session = self._client.websocket(url, subprotocols=subprotocols, **options)
        return SyncWebSocketSession(self._running(), session)

    def _running(self) -> Portal:
        if self._portal is None:
            raise RuntimeError(NOT_RUNNING)
        return self._portal

    def _call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        if self._portal is None:
            coroutine.close()
        return self._running().call(coroutine)


class SyncStreamContext:
    def __init__(self, portal: Portal, context: StreamContext) -> None:
        self._portal = portal
        self._context = context

    def __enter__(self) -> SyncStreamedResponse:
        return SyncStreamedResponse(self._portal, self._portal.call(self._context.__aenter__()))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._portal.call(self._context.__aexit__(kind, error, traceback))


class SyncStreamedResponse:
    """A StreamedResponse; iterating gives its chunks."""

    def __init__(self, portal: Portal, response: StreamedResponse) -> None:
        self._portal = portal
        self._response = response

    @property
    def status(self) -> int:
        return self._response.status

    @property
    def headers(self) -> Headers:
        return self._response.headers

    @property
    def media_type(self) -> str:
        return self._response.media_type

    @property
    def cookies(self) -> dict[str, str]:
        return self._response.cookies

    @property
    def set_cookies(self) -> list[Cookie]:
        return self._response.set_cookies

    @property
    def trailers(self) -> Headers:
        return self._response.trailers

    @property
    def extension_events(self) -> list[Event]:
        return self._response.extension_events

    def __iter__(self) -> Iterator[bytes]:
        while (chunk := self._portal.call(_next(self._response))) is not None:
            yield chunk

    def read(self) -> bytes:
        return b"".join(self)

    def lines(self) -> Iterator[str]:
        lines = self._response.lines()
        while (line := self._portal.call(_next(lines))) is not None:
            yield line

    def disconnect(self) -> None:
        async def disconnect() -> None:
            self._response.disconnect()

        self._portal.call(disconnect())


class SyncWebSocketSession:
    def __init__(self, portal: Portal, session: WebSocketSession) -> None:
        self._portal = portal
        self._session = session

    @property
    def subprotocol(self) -> str | None:
        return self._session.subprotocol

    @property
    def headers(self) -> Headers:
        return self._session.headers

    @property
    def close_code(self) -> int | None:
        return self._session.close_code

    @property
    def close_reason(self) -> str:
        return self._session.close_reason

    def __enter__(self) -> SyncWebSocketSession:
        self._portal.call(self._session.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._portal.call(self._session.__aexit__(kind, error, traceback))

    def send_text(self, text: str) -> None:
        self._portal.call(self._session.send_text(text))

    def send_bytes(self, data: bytes) -> None:
        self._portal.call(self._session.send_bytes(data))

    def send_json(self, value: Any) -> None:
        self._portal.call(self._session.send_json(value))

    def receive(self) -> str | bytes:
        return self._portal.call(self._session.receive())

    def receive_text(self) -> str:
        return self._portal.call(self._session.receive_text())

    def receive_bytes(self) -> bytes:
        return self._portal.call(self._session.receive_bytes())

    @overload
    def receive_json(self) -> Any: ...
    @overload
    def receive_json(self, type: type[T]) -> T: ...
    def receive_json(self, type: Any = None) -> Any:
        return self._portal.call(self._session.receive_json(type))

    def __iter__(self) -> Iterator[str | bytes]:
        while True:
            try:
                message = self.receive()
            except WebSocketClosed:
                return
            yield message

    def close(self, code: int = 1000, reason: str = "") -> None:
        self._portal.call(self._session.close(code, reason))


async def _next(iterator: Any) -> Any:
    return await anext(iterator, None)
