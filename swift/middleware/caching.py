"""Answers kept for a while and given again, with validators (RFC 9111, as far as a server's own cache goes).

Theory of operation. A cache stands behind authentication and permissions, so a kept answer is never given to
who may not have it. Two entries lead to an answer: the first, under host, path and query, says which header
fields it varies by; the second, under those and the fields' values, is the answer. Of requests that come
together for an answer which is not there, one is served and the others wait for it.

What is kept, and what is not:

- answers to GET of the status 200, 203, 300, 301 or 308, complete ones, without Set-Cookie, `Vary: *` or
  `Cache-Control: no-store`, `no-cache` or `private`;
- for a request with credentials (Authorization, Cookie, a user) only what says `Cache-Control: public` or
  `s-maxage`, unless `owner` says whose answer it is;
- `s-maxage`, else `max-age` of the answer, else `seconds`: so long.

A successful request of another method forgets what is kept for its URL (section 4.4). What a request says in
Cache-Control changes nothing: no client makes the server work.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Sequence

import msgspec

from swift.http import PreconditionFailed, Request, Response
from swift.http.cache_control import CacheControl
from swift.http.conditional import ETag, evaluate, parse_http_date
from swift.http.headers import combined, split_list

from .shape import CallNext
from .stores import MemoryStore, Store

_KEPT = frozenset({200, 203, 300, 301, 308})

# Methods that change nothing, so that what is kept stays true.
_SAFE = frozenset({"OPTIONS", "QUERY", "TRACE"})

# The header fields of a 304 (RFC 9110 section 15.4.5), and what tells of the cache itself.
_NOT_MODIFIED = frozenset(
    {b"cache-control", b"content-location", b"date", b"etag", b"expires", b"vary", b"age", b"cache-status"}
)


class _Answer(msgspec.Struct, array_like=True):
    """A kept answer; `made` and `expires` in seconds of POSIX time, as processes may share a store."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    # Whether it is for whoever asks, with credentials or without.
    public: bool
    made: float
    expires: float


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Answer).decode
_decode_names = msgspec.msgpack.Decoder(list[bytes]).decode


class CacheMiddleware:
    """Keeps answers for `seconds`: on an app, a router or a route.

    store: a MemoryStore of its own (32 MiB) unless given. max_body_size: bytes beyond which an answer is not kept.
    vary: header fields that choose the answer, beside those that it names in Vary. owner: whose answer this is,
    as text, for answers that differ from user to user. Each answer gets an ETag, if it has none, and a request with
    `If-None-Match` a 304; `Age` and `Cache-Status` (RFC 9211) tell of a hit.
    """

    after_guards = True

    def __init__(
        self,
        seconds: float,
        store: Store | None = None,
        *,
        vary: Sequence[str] = (),
        max_body_size: int = 2**20,
        owner: Callable[[Request], str] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if seconds <= 0:
            raise ValueError(f"`seconds` is a time above 0, got {seconds}.")
        self.seconds = seconds
        self.store: Store = MemoryStore() if store is None else store
        self.vary = tuple(sorted({name.lower().encode() for name in vary}))
        self.max_body_size = max_body_size
        self.owner = owner
        self.clock = clock
        # What is being made at the moment, for those who wait for it.
        self._making: dict[str, asyncio.Event] = {}

    async def __call__(self, request: Request, call_next: CallNext) -> Response:
        key = self._key(request)
        if request.method not in ("GET", "HEAD"):
            response = await call_next(request)
            if response.status < 400 and request.method not in _SAFE:
                await self.store.delete(key)
            return response
        answer, variant = await self._find(key, request)
        anonymous = self.owner is not None or not has_credentials(request)
        if answer is None and anonymous and (made := self._making.get(variant)) is not None:
            await made.wait()
            answer, variant = await self._find(key, request)
        if answer is not None:
            return self._again(request, answer)
        if request.method == "HEAD":
            return await call_next(request)
        if variant in self._making or not anonymous:
            return await self._make(key, request, call_next)
        self._making[variant] = made = asyncio.Event()
        try:
            return await self._make(key, request, call_next)
        finally:
            del self._making[variant]
            made.set()

    async def _find(self, key: str, request: Request) -> tuple[_Answer | None, str]:
        """The answer that is kept for a request, if there is one, and the key of its variant."""
        known = await self.store.get(key)
        names = self.vary if known is None else tuple(_decode_names(known))
        variant = variant_key(key, names, request)
        kept = None if known is None else await self.store.get(variant)
        if kept is None:
            return None, variant
        answer = _decode(kept)
        usable = answer.public or self.owner is not None or not has_credentials(request)
        return (answer if usable and answer.expires > self.clock() else None), variant

    async def _make(self, key: str, request: Request, call_next: CallNext) -> Response:
        """Serve a request, and keep its answer if that may be."""
        response = await call_next(request)
        control = CacheControl.parse(combined(response.raw_headers, b"cache-control") or "")
        seconds = self._lifetime(request, response, control)
        names = self._names(response)
        if seconds <= 0 or names is None:
            return response
        response.headers.setdefault("etag", str(entity_tag(response)))
        now = self.clock()
        public = control.public or control.s_maxage is not None
        answer = _Answer(
            response.status, list(response.raw_headers), response.body, public, now, now + seconds
        )
        await self.store.set(variant_key(key, names, request), _encode(answer), seconds)
        await self.store.set(key, _encode(list(names)), seconds)
        return conditional(request, response)

    def _again(self, request: Request, answer: _Answer) -> Response:
        response = Response(answer.body, answer.status)
        response.raw_headers.extend(answer.headers)
        now = self.clock()
        response.headers["age"] = str(max(0, int(now - answer.made)))
        response.headers["cache-status"] = f"swift; hit; ttl={max(0, int(answer.expires - now))}"
        return conditional(request, response)

    def _lifetime(self, request: Request, response: Response, control: CacheControl) -> float:
        """For how many seconds an answer may be kept; 0 for not at all."""
        if (
            response.status not in _KEPT
            or response.streaming
            or len(response.body) > self.max_body_size
            or control.no_store
            or control.no_cache
            or (control.private and self.owner is None)
            or any(name == b"set-cookie" for name, _ in response.raw_headers)
        ):
            return 0
        public = control.public or control.s_maxage is not None
        if self.owner is None and not public and has_credentials(request):
            return 0
        given = control.max_age if control.s_maxage is None else control.s_maxage
        return self.seconds if given is None else given

    def _names(self, response: Response) -> tuple[bytes, ...] | None:
        """The header fields that an answer varies by, in order; None when by more than those."""
        named = {name.lower().encode("latin-1") for name in split_list(response.headers.get("vary", ""))}
        return None if b"*" in named else tuple(sorted(named.union(self.vary)))

    def _key(self, request: Request) -> str:
        owner = "" if self.owner is None else self.owner(request)
        return "cache:" + digest_of(
            owner.encode("utf-8", "surrogatepass"),
            (request.header(b"host") or b"").lower(),
            request.path.encode("utf-8", "surrogatepass"),
            request.query_string,
        )


def variant_key(key: str, names: Sequence[bytes], request: Request) -> str:
    values = [(combined(request.raw_headers, name) or "").encode("latin-1") for name in names]
    return f"{key}:{digest_of(*names, *values)}"


def digest_of(*parts: bytes) -> str:
    """One text for several parts, which cannot be shifted into each other."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(b"%d:" % len(part) + part)
    return digest.hexdigest()


def entity_tag(response: Response) -> ETag:
    """A strong tag of what is sent: the body, its media type and its coding."""
    headers = response.raw_headers
    described = [combined(headers, name) or "" for name in (b"content-type", b"content-encoding")]
    return ETag(digest_of(response.body, *(text.encode("latin-1") for text in described))[:32])


def has_credentials(request: Request) -> bool:
    return (
        request.user is not None
        or request.header(b"authorization") is not None
        or request.header(b"cookie") is not None
    )


def conditional(request: Request, response: Response) -> Response:
    """The response, or the 304 or 412 that the preconditions of its request make of it."""
    headers = response.headers
    status = evaluate(
        request, ETag.parse(headers.get("etag", "")), parse_http_date(headers.get("last-modified", ""))
    )
    if status == 412:
        raise PreconditionFailed
    if status is None or response.status != 200:
        return response
    short = Response(status=status)
    short.raw_headers.extend(pair for pair in response.raw_headers if pair[0] in _NOT_MODIFIED)
    return short
