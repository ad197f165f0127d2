"""The responses a handler may return when a plain value does not say enough."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from swift._speedups import http as _http

from ._sending import send_or_leave
from .cookies import format_set_cookie
from .headers import MutableHeaders
from .problems import MEDIA_TYPE as PROBLEM_MEDIA_TYPE
from .problems import Problem

if TYPE_CHECKING:
    from datetime import datetime

HeadersInput = Mapping[str, str] | Iterable[tuple[str, str]] | None

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
    __slots__ = ()
    default_media_type = "text/plain"


class HTMLResponse(Response):
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
    """

    __slots__ = ("content",)
    streaming = True

    def __init__(
        self,
        content: AsyncIterable[bytes | str] | Iterable[bytes | str],
        status: int = 200,
        headers: HeadersInput = None,
        media_type: str | None = None,
    ) -> None:
        super().__init__(b"", status, headers, media_type)
        self.content = content

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        start = {"type": "http.response.start", "status": self.status, "headers": list(self.raw_headers)}
        if scope["method"] == "HEAD" or self.status in (204, 205, 304):
            await close(self.content)
            await send(start)
            await send({"type": "http.response.body", "body": b""})
            return
        await send(start)
        await send_or_leave(self._stream(send), receive)

    async def _stream(self, send: Any) -> None:
        try:
            async for chunk in iterate(self.content):
                body = chunk if isinstance(chunk, bytes) else chunk.encode()
                if body:
                    await send({"type": "http.response.body", "body": body, "more_body": True})
        finally:
            await close(self.content)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


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
