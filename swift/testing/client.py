"""`TestClient`: an application, called in the test's own event loop as a server would call it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import TracebackType
from typing import Any, TypedDict, Unpack, cast

from ._exchange import READ_SIZE, Exchange
from ._types import ASGIApp, Scope
from .cookies import CookieJar
from .errors import ClientDisconnected, IncompleteResponse, TooManyRedirects
from .events import ASGIValidator, ASGIViolation
from .lifespan import Lifespan, LifespanMode
from .requests import (
    URL,
    ClientRequest,
    ConnectOptions,
    HeaderItems,
    RequestOptions,
    encode_body,
    encode_headers,
    http_scope,
    websocket_scope,
)
from .responses import ClientResponse, StreamedResponse
from .websocket import WebSocketSession

MAX_REDIRECTS = 20
USER_AGENT = "swift-test-client"


class ClientOptions(TypedDict, total=False):
    """The options of TestClient, for those who pass them on."""

    base_url: str
    headers: HeaderItems
    cookies: Mapping[str, str] | None
    client: tuple[str, int] | None
    root_path: str
    http_version: str
    spec_version: str
    extensions: Mapping[str, Mapping[str, Any]] | None
    follow_redirects: bool
    raise_server_exceptions: bool
    lifespan: LifespanMode
    chunk_size: int
    disconnect_timeout: float
    ignore_rules: Collection[str]


class TestClient:
    """`async with TestClient(app) as client:` starts the application, and shuts it down at the end.

    Used without `async with` it is a server that knows no lifespan.
    Every event the application sends is checked by ASGIValidator.
    `raise_server_exceptions` raises in the test what the application raised, or reported as
    `info["exception"]` of an `http.response.debug` event; without it the test gets what a server answers.

    `client` is the address the request comes from, `root_path` goes into the scope as it is (the path is not
    extended by it), `extensions` are offered in addition to debug and WebSocket denial, `chunk_size` cuts
    request bodies, `disconnect_timeout` is how many seconds the application may go on without its client.
    """

    __test__ = False  # not a test case, whatever its name says to pytest

    def __init__(
        self,
        app: ASGIApp,
        *,
        base_url: str = "http://testserver",
        headers: HeaderItems = (),
        cookies: Mapping[str, str] | None = None,
        client: tuple[str, int] | None = ("127.0.0.1", 50000),
        root_path: str = "",
        http_version: str = "1.1",
        spec_version: str = "2.5",
        extensions: Mapping[str, Mapping[str, Any]] | None = None,
        follow_redirects: bool = False,
        raise_server_exceptions: bool = True,
        lifespan: LifespanMode = "auto",
        chunk_size: int = READ_SIZE,
        disconnect_timeout: float = 5.0,
        ignore_rules: Collection[str] = (),
    ) -> None:
        self.app = app
        self.base_url = URL.parse(base_url)
        self.headers = dict(headers)
        self.cookies = CookieJar()
        for name, value in (cookies or {}).items():
            self.cookies.set(name, value)
        self.client = client
        self.root_path = root_path
        self.http_version = http_version
        self.spec_version = spec_version
        self.extensions = dict(extensions or {})
        self.follow_redirects = follow_redirects
        self.raise_server_exceptions = raise_server_exceptions
        self.chunk_size = chunk_size
        self.disconnect_timeout = disconnect_timeout
        self._checked_app = ASGIValidator(app, ignore_rules=ignore_rules)
        self._lifespan = Lifespan(self._checked_app, mode=lifespan, shutdown_timeout=disconnect_timeout)

    @property
    def state(self) -> dict[str, Any]:
        """The lifespan state of the application; each request gets a shallow copy."""
        return self._lifespan.state

    async def __aenter__(self) -> TestClient:
        await self._lifespan.startup()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._lifespan.shutdown()

    async def get(self, url: str, **options: Unpack[RequestOptions]) -> ClientResponse:
        """Send GET; the options are those of `request`."""
        return await self.request("GET", url, **options)

    async def head(self, url: str, **options: Unpack[RequestOptions]) -> ClientResponse:
        """Send HEAD; the options are those of `request`."""
        return await self.request("HEAD", url, **options)

    async def post(self, url: str, **options: Unpack[RequestOptions]) -> ClientResponse:
        """Send POST; the options are those of `request`."""
        return await self.request("POST", url, **options)

    async def put(self, url: str, **options: Unpack[RequestOptions]) -> ClientResponse:
        """Send PUT; the options are those of `request`."""
        return await self.request("PUT", url, **options)

    async def patch(self, url: str, **options: Unpack[RequestOptions]) -> ClientResponse:
        """Send PATCH; the options are those of `request`."""
        return await self.request("PATCH", url, **options)

    async def delete(self, url: str, **options: Unpack[RequestOptions]) -> ClientResponse:
        """Send DELETE; the options are those of `request`."""
        return await self.request("DELETE", url, **options)

    async def options(self, url: str, **options: Unpack[RequestOptions]) -> ClientResponse:
        """Send OPTIONS; the options are those of `request`."""
        return await self.request("OPTIONS", url, **options)

    async def query(self, url: str, **options: Unpack[RequestOptions]) -> ClientResponse:
        """Send QUERY; the options are those of `request`."""
        return await self.request("QUERY", url, **options)

    async def request(self, method: str, url: str, **options: Unpack[RequestOptions]) -> ClientResponse:
        """Sends the request, reads the response to its end and waits until the application has returned."""
        request = self._build(method, url, options)
        follow = options.get("follow_redirects", self.follow_redirects)
        history: list[ClientResponse] = []
        while True:
            response = await self._send(request)
            response.history = list(history)
            location = response.headers.get("location")
            if not follow or location is None or response.status not in (301, 302, 303, 307, 308):
                return response
            if len(history) == MAX_REDIRECTS:
                raise TooManyRedirects(
                    f"Followed {MAX_REDIRECTS} redirects, the last one from {response.url}."
                )
            history.append(response)
            request = self._redirected(request, response.status, location)

    def stream(self, method: str, url: str, **options: Unpack[RequestOptions]) -> StreamContext:
        """`async with client.stream("GET", "/events") as response: async for chunk in response: ...`

        The block is entered when the response has started. Leaving it before the end of the body disconnects.
        Redirects are not followed.
        """
        return StreamContext(self, self._build(method, url, options))

    def websocket(
        self, url: str, *, subprotocols: Sequence[str] = (), **options: Unpack[ConnectOptions]
    ) -> WebSocketSession:
        """`async with client.websocket("/chat") as ws: await ws.send_text("hello")`"""
        request = self._build("GET", url, cast("RequestOptions", options))
        scope = websocket_scope(request, subprotocols, **self._connection())
        return WebSocketSession(
            self._checked_app,
            scope,
            str(request.url),
            raise_server_exceptions=self.raise_server_exceptions,
            disconnect_timeout=self.disconnect_timeout,
        )

    def _build(self, method: str, url: str, options: RequestOptions) -> ClientRequest:
        target = URL.parse(url, self.base_url, options.get("params"))
        body, described = encode_body(options)
        if body == b"" and not described and method in ("POST", "PUT", "PATCH"):
            described = [(b"content-length", b"0")]  # RFC 9110 §8.6
        sized = any(name.lower() == "content-length" for name in dict(options.get("headers", ())))
        if self.http_version == "2" or sized:
            described = [field for field in described if field[0] != b"transfer-encoding"]
        basis = {"host": target.netloc, "accept": "*/*", "user-agent": USER_AGENT}
        describing = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in described]
        headers = encode_headers(basis, self.headers, describing, options.get("headers", ()))
        headers = self._with_cookies(headers, target, options.get("cookies") or {})
        offered: dict[str, Mapping[str, Any]] = {"http.response.debug": {}, "websocket.http.response": {}}
        extensions = {**offered, **self.extensions, **options.get("extensions", {})}
        return ClientRequest(method=method, url=target, headers=headers, body=body, extensions=extensions)

    def _with_cookies(
        self, headers: list[tuple[bytes, bytes]], url: URL, extra: Mapping[str, str]
    ) -> list[tuple[bytes, bytes]]:
        if any(name == b"cookie" for name, _ in headers):
            return headers
        kept = self.cookies.header(scheme=url.scheme, host=url.host, path=url.path)
        pairs = [pair for pair in kept.split("; ") if pair and pair.partition("=")[0] not in extra]
        pairs += [f"{name}={value}" for name, value in extra.items()]
        return [*headers, (b"cookie", "; ".join(pairs).encode("latin-1"))] if pairs else headers

    def _connection(self) -> Scope:
        return {
            "asgi": {"version": "3.0", "spec_version": self.spec_version},
            "http_version": self.http_version,
            "root_path": self.root_path,
            "client": self.client,
            "state": dict(self.state),
        }

    def _exchange(self, request: ClientRequest) -> Exchange:
        return Exchange(
            self._checked_app,
            http_scope(request, **self._connection()),
            request.body,
            chunk_size=self.chunk_size,
            disconnect_timeout=self.disconnect_timeout,
        )

    async def _begin(self, exchange: Exchange) -> None:
        """Waits for the start of the response, the application's or the server's own."""
        if not await exchange.started():
            self._raise_for(exchange, await exchange.finish())
            exchange.answer_instead()

    async def _send(self, request: ClientRequest) -> ClientResponse:
        async with self._exchange(request) as exchange:
            await self._begin(exchange)
            chunks: list[bytes] = []
            while (chunk := await exchange.read()) is not None:
                chunks.append(chunk)
            error = await exchange.finish()
        self._raise_for(exchange, error)
        if not exchange.complete:
            raise IncompleteResponse(f"The response to {request.method} {request.url} broke off.") from error
        self._keep_cookies(request, exchange)
        return ClientResponse(
            str(request.url),
            request.method,
            exchange.status,
            exchange.headers,
            b"".join(chunks),
            trailers=exchange.trailers,
            extension_events=exchange.extension_events,
        )

    def _raise_for(self, exchange: Exchange, error: BaseException | None) -> None:
        """Raises what a test should see: a failed request body, a violation, the application's exception."""
        if exchange.body_error is not None:
            raise exchange.body_error
        if isinstance(error, ASGIViolation):
            raise error
        if not self.raise_server_exceptions:
            return
        # A server ignores its own exception when it comes back (ASGI HTTP, Disconnected Client).
        if error is not None and not (exchange.disconnected and isinstance(error, ClientDisconnected)):
            raise error
        for event in exchange.extension_events:
            if event["type"] == "http.response.debug" and isinstance(
                event["info"].get("exception"), Exception
            ):
                raise event["info"]["exception"]

    def _keep_cookies(self, request: ClientRequest, exchange: Exchange) -> None:
        values = [value.decode("latin-1") for name, value in exchange.headers if name == b"set-cookie"]
        self.cookies.receive(values, scheme=request.url.scheme, host=request.url.host, path=request.url.path)

    def _redirected(self, request: ClientRequest, status: int, location: str) -> ClientRequest:
        """The request a user agent makes of a redirect (RFC 9110 §15.4)."""
        url = request.url.join(location)
        method, body, dropped = request.method, request.body, {b"host", b"cookie"}
        if (status == 303 and method != "HEAD") or (status in (301, 302) and method == "POST"):
            method, body = "GET", b""
            dropped |= {b"content-length", b"content-type", b"transfer-encoding"}
        elif not isinstance(body, bytes):
            raise ValueError(f"Cannot follow the redirect to {url}: the body was an iterator and is used up.")
        if url.origin != request.url.origin:
            dropped |= {b"authorization", b"proxy-authorization"}
        kept = [field for field in request.headers if field[0] not in dropped]
        headers = self._with_cookies([(b"host", url.netloc.encode()), *kept], url, {})
        return ClientRequest(
            method=method, url=url, headers=headers, body=body, extensions=request.extensions
        )


class StreamContext:
    """The block in which a streamed response is read."""

    def __init__(self, client: TestClient, request: ClientRequest) -> None:
        self._client = client
        self._request = request
        self._exchange: Exchange | None = None

    async def __aenter__(self) -> StreamedResponse:
        client, request = self._client, self._request
        self._exchange = exchange = client._exchange(request)
        try:
            await client._begin(exchange)
        except BaseException:
            await exchange.__aexit__(None, None, None)
            raise
        client._keep_cookies(request, exchange)
        return StreamedResponse(str(request.url), request.method, exchange)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        exchange = self._exchange
        assert exchange is not None
        async with exchange:
            if error is not None and not isinstance(error, Exception):
                return  # cancelled: so is the application
            if not exchange.complete and not exchange.is_broken:
                exchange.disconnect()
            server_error = await exchange.finish()
            if error is None or isinstance(error, IncompleteResponse):
                self._client._raise_for(exchange, server_error)
