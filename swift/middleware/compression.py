"""Responses in the content coding that a client likes best (RFC 9110 section 8.4 and 12.5.3).

A body that came whole is compressed whole, above `thread_threshold` bytes in a thread, because a
megabyte takes the loop tens of milliseconds. A stream is compressed chunk by chunk and flushed after
each: what was sent can be read, at the price of some ratio for very small chunks.

What is left as it is: responses without a body or with a part of one (1xx, 204, 205, 206, 304, 416),
responses that have a Content-Encoding or a digest of their content, `Cache-Control: no-transform`,
media types that do not shrink, and event streams, as each open one would hold a window of 256 KiB.

A compressed body is another representation: its ETag becomes weak, it varies by Accept-Encoding, and
byte ranges of it are not served. A response to HEAD has the headers of the response to GET.

**BREACH.** When a response holds a secret (a CSRF token, another person's e-mail address) and text
that the caller chose, its compressed length tells how well the two agree, and many requests guess the
secret. Keep such responses out: `exclude_set_cookie` for those that set a cookie, `exclude` for any
rule of your own, or `Cache-Control: no-transform` on the response.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

from swift.http import Request, Response, StreamingResponse
from swift.http.headers import combined
from swift.http.negotiation import negotiate_encoding

from .codings import Coding, Compressor, installed_codings
from .shape import CallNext

MEDIA_TYPES: Final = (
    "text/*",
    "*+json",
    "*+xml",
    "*+yaml",
    "application/json",
    "application/json-seq",
    "application/jsonl",
    "application/x-ndjson",
    "application/javascript",
    "application/xml",
    "application/yaml",
    "application/graphql",
    "application/wasm",
    "application/x-www-form-urlencoded",
    "font/otf",
    "font/ttf",
    "image/bmp",
    "image/vnd.microsoft.icon",
    "image/x-icon",
)

_FINISHED: Final = frozenset(
    {b"content-encoding", b"content-range", b"content-digest", b"content-md5", b"digest"}
)


class CompressionMiddleware:
    """Compresses response bodies from `minimum_size` bytes on with gzip, Brotli or Zstandard.

    Brotli and Zstandard are offered when their packages are installed (from Python 3.14 on Zstandard
    is built in); `encodings` names the offers in order of preference and makes a missing package an error.
    `media_types` are types such as `application/json`, `text/*` or `*+json`.
    """

    def __init__(
        self,
        minimum_size: int = 500,
        gzip_level: int = 5,
        brotli_quality: int = 4,
        zstd_level: int = 3,
        encodings: Sequence[str] | None = None,
        media_types: Sequence[str] = MEDIA_TYPES,
        thread_threshold: int = 128 * 1024,
        exclude_set_cookie: bool = False,
        exclude: Callable[[Request, Response], bool] | None = None,
    ) -> None:
        self.minimum_size = minimum_size
        self.codings = installed_codings(
            encodings, {"gzip": gzip_level, "br": brotli_quality, "zstd": zstd_level}
        )
        self.types = frozenset(media_type for media_type in media_types if "*" not in media_type)
        self.prefixes = tuple(each[:-1] for each in media_types if each.endswith("/*"))
        self.suffixes = tuple(each[1:] for each in media_types if each.startswith("*+"))
        for pattern in media_types:
            if "/" not in pattern and not pattern.startswith("*+"):
                raise ValueError(f"{pattern!r} is not a media type; write text/html, text/* or *+json.")
        self.thread_threshold = thread_threshold
        self.exclude_set_cookie = exclude_set_cookie
        self.exclude = exclude
        offers = tuple(self.codings)
        # Clients send a handful of different fields; whoever sends many gets them parsed each time.
        self._negotiate = lru_cache(maxsize=128)(lambda field: negotiate_encoding(field, offers))
        self._shrinks = lru_cache(maxsize=128)(self._is_compressible)

    async def __call__(self, request: Request, call_next: CallNext) -> Response:
        response = await call_next(request)
        if response.status == 304:
            # RFC 9110 section 15.4.5: what a 200 would have sent in Vary.
            response.headers.vary("Accept-Encoding")
            return response
        if not self.applies(request, response):
            return response
        response.headers.vary("Accept-Encoding")
        coding = self.codings.get(self._negotiate(combined(request.raw_headers, b"accept-encoding")) or "")
        if coding is None:
            return response
        if isinstance(response, StreamingResponse):
            response.raw_headers[:] = _reencoded(response, coding)
            response.content = self._stream(coding.compressor(), response.content)
            return response
        body: bytes = response.body
        if len(body) < self.thread_threshold:
            compressed = coding.compress(body)
        else:
            loop = asyncio.get_running_loop()
            compressed = await loop.run_in_executor(None, coding.compress, body)
        if len(compressed) >= len(body):
            return response
        # A new response: the application may keep the one it returned and return it again.
        smaller = Response(compressed, response.status)
        smaller.raw_headers.extend(_reencoded(response, coding))
        return smaller

    def applies(self, request: Request, response: Response) -> bool:
        """Whether the response is one that this middleware compresses for clients who accept it."""
        if response.status < 200 or response.status in (204, 205, 206, 416):
            return False
        if response.streaming:
            if not isinstance(response, StreamingResponse):
                return False
        elif len(response.body) < self.minimum_size:
            return False
        shrinks = False
        for name, value in response.raw_headers:
            if name == b"content-type":
                shrinks = self._shrinks(value)
            elif (
                name in _FINISHED
                or (name == b"cache-control" and b"no-transform" in value.lower())
                or (name == b"set-cookie" and self.exclude_set_cookie)
                or (name == b"content-length" and value.isdigit() and int(value) < self.minimum_size)
            ):
                return False
        return shrinks and not (self.exclude is not None and self.exclude(request, response))

    def _is_compressible(self, content_type: bytes) -> bool:
        media_type = content_type.decode("latin-1").partition(";")[0].strip().lower()
        if media_type == "text/event-stream":
            return media_type in self.types
        return (
            media_type in self.types
            or media_type.startswith(self.prefixes or "\0")
            or media_type.endswith(self.suffixes or "\0")
        )

    def _stream(self, compressor: Compressor, content: Any) -> AsyncIterator[bytes] | Iterator[bytes]:
        if isinstance(content, AsyncIterable):
            return _compressed(compressor, content, self.thread_threshold)
        return _compressed_in_place(compressor, content)


async def _compressed(
    compressor: Compressor, content: AsyncIterable[bytes | str], thread_threshold: int
) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    try:
        async for chunk in content:
            data = chunk.encode() if isinstance(chunk, str) else chunk
            if len(data) < thread_threshold:
                yield compressor.feed(data)
            else:
                yield await loop.run_in_executor(None, compressor.feed, data)
        yield compressor.finish()
    finally:
        aclose = getattr(content, "aclose", None)
        if aclose is not None:
            await aclose()


def _compressed_in_place(compressor: Compressor, content: Iterable[bytes | str]) -> Iterator[bytes]:
    """For a plain iterable, which is advanced in a thread already."""
    try:
        for chunk in content:
            yield compressor.feed(chunk.encode() if isinstance(chunk, str) else chunk)
        yield compressor.finish()
    finally:
        close = getattr(content, "close", None)
        if close is not None:
            close()


def _reencoded(response: Response, coding: Coding) -> list[tuple[bytes, bytes]]:
    """The headers of the response for its compressed representation."""
    headers: list[tuple[bytes, bytes]] = []
    for name, value in response.raw_headers:
        if name in (b"content-length", b"accept-ranges"):
            continue
        if name == b"etag" and not value.startswith(b"W/"):
            value = b"W/" + value
        headers.append((name, value))
    headers.append((b"content-encoding", coding.name.encode("ascii")))
    return headers
