"""The request: what the server's scope says, read when asked for, and the body behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from swift._speedups import http as _http
from swift._speedups.http import encode_header

from .cookies import parse_cookies
from .headers import Headers, QueryParams
from .problems import BadRequest, ClientDisconnect, ContentTooLarge

if TYPE_CHECKING:
    from .forms import FormData, FormLimits
    from .multipart import Part
    from .tls import TLS


class Request(_http.Request):
    """One HTTP request.

    `headers`, `query`, `cookies` and `path_params` are parsed on first use; the body is read by
    `body`, `json`, `form` or `stream`. `state` is a dict of this request's own.
    """

    __slots__ = ()

    make_headers = Headers
    make_query = QueryParams
    make_cookies = staticmethod(parse_cookies)

    async def stream(self) -> AsyncIterator[bytes]:
        """The body in the chunks the server hands out. It can be streamed once.

        Raises ContentTooLarge as soon as more than `max_body_size` bytes came (RFC 9110 section
        15.5.14), ClientDisconnect when the client leaves before the end.
        """
        if self.cached_body is not None:
            yield self.cached_body
            return
        if self.consumed:
            raise RuntimeError(
                "The body of this request was already streamed; read it once, or use `await request.body()`."
            )
        self.consumed = True
        limit = self.max_body_size
        announced = self.header(b"content-length")
        if (
            limit >= 0
            and announced is not None
            and announced.isdigit()
            and (len(announced) > 18 or int(announced) > limit)
        ):
            raise too_large(limit)
        received = 0
        while True:
            message = await self.receive()
            if message["type"] != "http.request":
                self._complete_body()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect("The client left before its request was complete.")
                raise RuntimeError(f"Expected `http.request` from the server, got `{message['type']}`.")
            more = message.get("more_body", False)
            if not more:
                self._complete_body()
            chunk = message.get("body", b"")
            received += len(chunk)
            if 0 <= limit < received:
                raise too_large(limit)
            if chunk:
                yield chunk
            if not more:
                return

    def _complete_body(self) -> None:
        self.body_complete = True
        if self.completion is not None:
            self.completion.set()

    async def receive_after_body(self) -> dict[str, Any]:
        """The server's next event, once the body has been read to its end: earlier it would be a part of it."""
        if not self.body_complete and self._may_have_body():
            from asyncio import Event

            self.completion = self.completion or Event()
            await self.completion.wait()
        return await self.receive()

    def _may_have_body(self) -> bool:
        length = self.header(b"content-length")
        if length is not None:
            return length != b"0"
        return (
            self.method not in ("GET", "HEAD", "OPTIONS", "DELETE")
            or self.header(b"transfer-encoding") is not None
        )

    async def body(self) -> bytes:
        """The whole body; kept, so that it can be asked for again."""
        if self.cached_body is None:
            self.cached_body = b"".join([chunk async for chunk in self.stream()])
        body: bytes = self.cached_body
        return body

    async def json(self, type: Any = Any) -> Any:
        """The body decoded as JSON into `type`; a Problem with every error when it does not fit."""
        from swift.schemas import DECODE_ERRORS

        body = await self.body()
        decoder = _decoder_of(type, getattr(self.endpoint, "dec_hook", None))
        try:
            return decoder.decode(body)
        except DECODE_ERRORS:
            status, errors = decoder.explain(body)
        raise malformed_body(status, errors)

    async def form(self, limits: FormLimits | None = None) -> FormData:
        """The fields and files of a form, of either media type. Files close when the request ends.

        `limits` are those of the route, unless given.
        """
        if self.cached_form is None:
            from .forms import parse_form

            limits = limits or getattr(self.endpoint, "form_limits", None)
            content_type = self.headers.get("content-type", "")
            self.cached_form = await parse_form(content_type, self.stream(), limits)
        form: FormData = self.cached_form
        return form

    def multipart(self, limits: FormLimits | None = None) -> AsyncIterator[Part]:
        """The parts of a multipart form one by one, each while it arrives; nothing is kept of what was passed.

            async for part in request.multipart():
                async for chunk in part: ...

        What of a part is not read is skipped. Raises as `form` does, where the fault stands in the body.
        """
        from .multipart import stream_parts

        limits = limits or getattr(self.endpoint, "form_limits", None)
        return stream_parts(self.headers.get("content-type", ""), self.stream(), limits)

    async def close(self) -> None:
        """Release what the body holds open; the application calls it after the answer."""
        if self.cached_form is not None:
            await self.cached_form.aclose()

    def after_response(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Call `function` once the answer is sent: best effort, drained on shutdown, errors logged."""
        if self.callbacks is None:
            self.callbacks = []
        self.callbacks.append((function, args, kwargs))

    async def is_disconnected(self) -> bool:
        """Whether the client has left, answered at once. A part of the body that came meanwhile is kept."""
        from asyncio import ensure_future, sleep, wait

        receive = self.receive
        asked = ensure_future(receive())
        # One turn of the loop: enough for a server to give what it has.
        await sleep(0)
        if not asked.done():
            asked.cancel()
            await wait((asked,))
        if asked.cancelled():
            return False
        message = asked.result()
        if message["type"] == "http.disconnect":
            return True

        async def receive_kept() -> dict[str, Any]:
            self.receive = receive
            return message

        self.receive = receive_kept
        return False

    async def early_hints(self, *links: str) -> bool:
        """Tell the client what it will need, by a 103 before the answer (RFC 8297): each a value of Link.

            await request.early_hints("</style.css>; rel=preload; as=style")

        False when the server cannot, so that nothing was sent. Links are checked all the same.
        """
        values = [encode_header("link", link)[1] for link in links]
        if "http.response.early_hint" not in (self.scope.get("extensions") or ()):
            return False
        if self.send is None:
            # PERF: a handler that never waits is not given it, so that no request pays for what few send; now it waits.
            from asyncio import sleep

            await sleep(0)
        if self.send is None:
            raise RuntimeError("This request has no server to send hints to; it was made by hand.")
        await self.send({"type": "http.response.early_hint", "links": values})
        return True

    @property
    def tls(self) -> TLS | None:
        """The TLS connection with the client's certificate, where the server tells of it (ASGI TLS extension)."""
        from .tls import TLS

        return TLS.of(self.scope)

    @property
    def host(self) -> str:
        """The authority the client asked for, or the server's address when there is no usable Host header."""
        host = self.header(b"host")
        if host is not None and _is_authority(host):
            return host.decode("ascii")
        server = self.scope.get("server")
        if not server:
            return "localhost"
        name, port = server[0], server[1]
        return name if port in (None, 80, 443) else f"{name}:{port}"

    @property
    def base_url(self) -> str:
        """`scheme://host` and the root path, ending in a slash."""
        return f"{self.scheme}://{self.host}{self.scope.get('root_path', '').rstrip('/')}/"

    @property
    def url(self) -> str:
        """The URL that was asked for, with its query; the path percent-encoded anew."""
        from urllib.parse import quote

        query = self.query_string.decode("latin-1")
        path, root_path = self.path, self.scope.get("root_path", "").rstrip("/")
        # ASGI has the root path in front of the path; some servers leave it out.
        if path != root_path and not path.startswith(root_path + "/"):
            path = root_path + path
        path = quote(path, safe="/:@!$&'()*+,;=~-._")
        return f"{self.scheme}://{self.host}{path}" + (f"?{query}" if query else "")

    @property
    def route(self) -> Any:
        """The Route that matched, or None for a request that no route serves."""
        return None if self.endpoint is None else self.endpoint.route

    def url_for(self, name: str, /, **params: Any) -> str:
        """The absolute URL of a named route."""
        path: str = self.app.url_for(name, **params)
        return self.base_url.rstrip("/") + path

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.path}>"


# Bounded, as a program may make types; the annotations of handlers have decoders of their own.
@lru_cache(maxsize=256)
def _hashable_decoder(type: Any, dec_hook: Any) -> Any:
    from swift.schemas import compile_body

    return compile_body(type, dec_hook=dec_hook)


def _decoder_of(type: Any, dec_hook: Any) -> Any:
    try:
        return _hashable_decoder(type, dec_hook)
    except TypeError:
        # A type with metadata that cannot be hashed; or none at all, which says so once more.
        return _hashable_decoder.__wrapped__(type, dec_hook)


def too_large(limit: int) -> ContentTooLarge:
    return ContentTooLarge(f"The body is larger than the {limit} bytes allowed here.")


def malformed_body(status: int, errors: Any) -> BadRequest:
    """The problem for a body that is not what was expected: 400 malformed, 422 of another shape."""
    detail = "The body is malformed." if status == 400 else "The request is invalid."
    return BadRequest(detail, status=status, errors=errors)


def _is_authority(host: bytes) -> bool:
    # RFC 3986 section 3.2 without userinfo: enough to keep control characters, spaces and paths out of URLs.
    allowed = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:[]%"
    return bool(host) and not host.strip(allowed) and not host.translate(None, allowed)
