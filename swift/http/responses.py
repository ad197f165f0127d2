"""The responses a handler may return when a plain value does not say enough."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from swift._speedups import http as _http
from swift._speedups.http import encode_header

from ._sending import send_or_leave
from .cookies import format_set_cookie
from .headers import MutableHeaders
from .problems import MEDIA_TYPE as PROBLEM_MEDIA_TYPE
from .problems import Problem

if TYPE_CHECKING:
    from datetime import datetime

HeadersInput = Mapping[str, str] | Iterable[tuple[str, str]] | None
Trailers = HeadersInput | Callable[[], HeadersInput | Awaitable[HeadersInput]]

_encoder = msgspec.json.Encoder()


class Response(_http.Response):
    """A status, headers and a body of bytes or text.

    Headers are checked when they are set: CR, LF, NUL and anything outside Latin-1 raise
    ValueError. Content-Length is added when the response is sent.
    """

    __slots__ = ()

    make_headers = MutableHeaders

    def set_cookie(
        self,
        name: str,
        value: str = "",
        *,
        max_age: int | None = None,
        expires: datetime | str | None = None,
        path: str | None = "/",
        domain: str | None = None,
        secure: bool = False,
        httponly: bool = False,
        samesite: str | None = "lax",
        partitioned: bool = False,
    ) -> None:
        """Append a Set-Cookie header; ValueError for what RFC 6265bis refuses."""
        line = format_set_cookie(
            name,
            value,
            max_age=max_age,
            expires=expires,
            path=path,
            domain=domain,
            secure=secure,
            httponly=httponly,
            samesite=samesite,
            partitioned=partitioned,
        )
        self.raw_headers.append((b"set-cookie", line))

    def delete_cookie(
        self,
        name: str,
        *,
        path: str | None = "/",
        domain: str | None = None,
        secure: bool = False,
        httponly: bool = False,
        samesite: str | None = "lax",
    ) -> None:
        """Have the client forget a cookie; path and domain are those that it was set with."""
        self.set_cookie(
            name,
            max_age=0,
            expires="Thu, 01 Jan 1970 00:00:00 GMT",
            path=path,
            domain=domain,
            secure=secure,
            httponly=httponly,
            samesite=samesite,
        )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        start, body = self.asgi_messages(scope["method"] == "HEAD")
        await send(start)
        await send(body)


class TextResponse(Response):
    """Text, as `text/plain` in UTF-8."""

    __slots__ = ()
    default_media_type = "text/plain"


class HTMLResponse(Response):
    """A page, as `text/html` in UTF-8."""

    __slots__ = ()
    default_media_type = "text/html"


class JSONResponse(Response):
    """Any value msgspec can encode, as JSON."""

    __slots__ = ()
    default_media_type = "application/json"

    def __init__(
        self, content: Any, status: int = 200, headers: HeadersInput = None, media_type: str | None = None
    ) -> None:
        super().__init__(_encoder.encode(content), status, headers, media_type)


class RedirectResponse(Response):
    """A redirect; `url` is percent-encoded where it must be and may hold no control character."""

    __slots__ = ()

    def __init__(self, url: str, status: int = 307, headers: HeadersInput = None) -> None:
        if not 300 <= status <= 399:
            raise ValueError(f"A redirect has a status from 300 to 399, got {status}.")
        for character in url:
            if character < " " or character == "\x7f":
                raise ValueError(
                    f"The redirect target holds the control character 0x{ord(character):02x}; remove it."
                )
        super().__init__(b"", status, headers)
        self.headers["location"] = quote(url, safe=":/%#?=@[]!$&'()*+,;~")


class ProblemResponse(Response):
    """A Problem on its way to the client."""

    __slots__ = ()
    default_media_type = PROBLEM_MEDIA_TYPE

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.encode(), problem.status)
        self.raw_headers.extend(problem.raw_headers)


class StreamingResponse(Response):
    """A body made while it is sent, from an iterable or async iterable of bytes or text.

    Each chunk waits until the server took the one before. When the client leaves, the iterator is
    closed (`aclose`), so its `finally` runs. A plain iterable is advanced in a thread.

    `trailers` are header fields behind the body, a mapping or a function that is called when the body is complete:
    a checksum, or how it went. `push` are paths that the server may push to the client before the body. Both are
    sent where the server offers them (HTTP/2 and 3, `http.response.trailers` and `.push`), and left out elsewhere.
    """

    __slots__ = ("content", "push", "trailers")
    streaming = True

    def __init__(
        self,
        content: AsyncIterable[bytes | str] | Iterable[bytes | str],
        status: int = 200,
        headers: HeadersInput = None,
        media_type: str | None = None,
        *,
        trailers: Trailers = None,
        push: Iterable[str] = (),
    ) -> None:
        super().__init__(b"", status, headers, media_type)
        self.content = content
        self.trailers = trailers if callable(trailers) else trailer_fields(trailers)
        self.push = tuple(push)
        for path in self.push:
            if not path.startswith("/") or any(character <= " " or character == "\x7f" for character in path):
                raise ValueError(
                    f"The path {path!r} cannot be pushed; it starts with a slash and has no blanks."
                )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        start: dict[str, Any] = {
            "type": "http.response.start",
            "status": self.status,
            "headers": list(self.raw_headers),
        }
        if scope["method"] == "HEAD" or self.status in (204, 205, 304):
            await close(self.content)
            await send(start)
            await send({"type": "http.response.body", "body": b""})
            return
        extensions = scope.get("extensions") or ()
        trailing = bool(self.trailers) and "http.response.trailers" in extensions
        if trailing:
            start["trailers"] = True
        await send(start)
        if "http.response.push" in extensions:
            for path in self.push:
                await send({"type": "http.response.push", "path": path, "headers": []})
        await send_or_leave(self._stream(send, trailing), receive)

    async def _stream(self, send: Any, trailing: bool) -> None:
        try:
            async for chunk in iterate(self.content):
                body = chunk if isinstance(chunk, bytes) else chunk.encode()
                if body:
                    await send({"type": "http.response.body", "body": body, "more_body": True})
        finally:
            await close(self.content)
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        if trailing:
            made = self.trailers() if callable(self.trailers) else self.trailers
            fields = trailer_fields(await made if isinstance(made, Awaitable) else made)
            await send({"type": "http.response.trailers", "headers": fields, "more_trailers": False})


# RFC 9110 section 6.5.1: what frames, routes, guards or describes a message is of no use behind it.
_NO_TRAILERS = frozenset(
    b"age authorization cache-control content-encoding content-length content-range content-type cookie date expect "
    b"expires host location max-forwards pragma proxy-authenticate proxy-authorization range retry-after set-cookie te "
    b"trailer vary www-authenticate".split()
)


def trailer_fields(trailers: HeadersInput | Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Trailer fields as they are sent; ValueError for what may not be one."""
    pairs = trailers.items() if isinstance(trailers, Mapping) else trailers or ()
    fields: list[tuple[bytes, bytes]] = [encode_header(name, value) for name, value in pairs]
    for name, _ in fields:
        if name in _NO_TRAILERS or name.startswith(b"if-"):
            raise ValueError(
                f"{name.decode()!r} cannot be a trailer (RFC 9110 section 6.5.1); send it as a header."
            )
    return fields


def iterate(content: AsyncIterable[Any] | Iterable[Any]) -> AsyncIterable[Any]:
    return content if isinstance(content, AsyncIterable) else _in_thread(content)


async def _in_thread(content: Iterable[Any]) -> AsyncIterator[Any]:
    iterator = iter(content)
    end = object()
    while (chunk := await asyncio.to_thread(next, iterator, end)) is not end:
        yield chunk


async def close(content: Any) -> None:
    """Close a generator of either kind; other iterables have nothing to close."""
    if hasattr(content, "aclose"):
        await content.aclose()
    elif hasattr(content, "close"):
        content.close()


__all__ = [
    "HTMLResponse",
    "JSONResponse",
    "ProblemResponse",
    "RedirectResponse",
    "Response",
    "StreamingResponse",
    "TextResponse",
]
