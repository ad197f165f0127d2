"""A retried request is done once (draft-ietf-httpapi-idempotency-key-header).

A client sends a key of its own making with a request that must not happen twice, and the same key with
each retry. What becomes of a request with a key:

    the key is new                              it is served, and its answer is kept
    it is still being served                    409, with Retry-After
    it was answered                             the answer again, with `Idempotency-Replayed: true`
    the key came with another request           422

It runs behind authentication and permissions: a stranger learns nothing of another's answer, and no byte of a
body is read before it is known who sends it. Keys of different clients never meet, see `owner`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from swift.http import BadRequest, Conflict, Problem, Request, Response, UnprocessableContent
from swift.http.headers import parse_parameters

from .shape import CallNext
from .stores import MemoryStore, Store

# Answers that say "try again": to repeat them would make the retry pointless.
_PASSING = frozenset({401, 403, 408, 425, 429})

_LONGEST_KEY = 255

REPLAYED = (b"idempotency-replayed", b"true")


class _Record(msgspec.Struct, array_like=True):
    """What is kept under a key: of which request, and its answer once there is one."""

    fingerprint: bytes
    answered: bool = False
    status: int = 0
    headers: list[tuple[bytes, bytes]] = []
    # None for an answer that was streamed, and is gone.
    body: bytes | None = None


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Record).decode


class IdempotencyMiddleware:
    """Serves each `Idempotency-Key` once: on an app, a router or a route.

    store: where answers are kept, for `seconds` (a day unless given); a MemoryStore of its own serves one process,
    several need one that they share. required: refuse requests of these `methods` without a key (400).
    serving_seconds: after this time a request that was never answered, as its process died, may be tried
    again; longer than any request takes. owner: whose keys these are, as text; unless given, the `id` (or
    `sub`) of `request.user`, else the credentials in the Authorization and Cookie headers.

    Kept are the answers that a retry would not change: a 5xx, 408, 425, 429 or an exception frees the key.
    An answer that is streamed is not kept; its retry is answered with 409.
    """

    # The place of a middleware that must know who asks: behind the guards, before the body is read.
    after_guards = True

    def __init__(
        self,
        store: Store | None = None,
        *,
        seconds: float = 86_400,
        required: bool = False,
        methods: Sequence[str] = ("POST", "PATCH"),
        serving_seconds: float = 300,
        owner: Callable[[Request], str] | None = None,
    ) -> None:
        if seconds <= 0 or serving_seconds <= 0:
            raise ValueError("`seconds` and `serving_seconds` are times above 0.")
        self.store: Store = MemoryStore() if store is None else store
        self.seconds = seconds
        self.required = required
        self.methods = frozenset(method.upper() for method in methods)
        self.serving_seconds = serving_seconds
        self.owner = sender if owner is None else owner

    async def __call__(self, request: Request, call_next: CallNext) -> Response:
        if request.method not in self.methods:
            return await call_next(request)
        sent = request.headers.getlist("idempotency-key")
        if not sent:
            if self.required:
                raise BadRequest("Send an Idempotency-Key header, such as a UUID, with this request.")
            return await call_next(request)
        key = storage_key(request, parse_key(sent), self.owner(request))
        fingerprint = await fingerprint_of(request)
        if not await self.store.add(key, _encode(_Record(fingerprint)), self.serving_seconds):
            known = await self.store.get(key)
            if known is not None:
                return replayed(_decode(known), fingerprint)
            # It expired, or was freed, between the two calls.
            raise in_progress()
        return await self._serve(key, fingerprint, request, call_next)

    async def _serve(self, key: str, fingerprint: bytes, request: Request, call_next: CallNext) -> Response:
        try:
            response = await call_next(request)
        except Problem as problem:
            await self._keep(key, fingerprint, problem.to_response())
            raise
        except BaseException:
            await self.store.delete(key)
            raise
        await self._keep(key, fingerprint, response)
        return response

    async def _keep(self, key: str, fingerprint: bytes, response: Response) -> None:
        if response.status >= 500 or response.status in _PASSING:
            await self.store.delete(key)
            return
        body = None if response.streaming else response.body
        record = _Record(fingerprint, True, response.status, list(response.raw_headers), body)
        await self.store.set(key, _encode(record), self.seconds)


def parse_key(sent: Sequence[str]) -> str:
    """The key of the field: a string of RFC 9651 in quotes, or bare as most clients send it."""
    text = sent[0].strip(" \t")
    if len(text) >= 2 and text[0] == text[-1] == '"':
        text = text[1:-1]
    if len(sent) > 1 or not 1 <= len(text) <= _LONGEST_KEY or not all("!" <= c <= "~" for c in text):
        raise BadRequest(
            f"Idempotency-Key is one key of 1 to {_LONGEST_KEY} visible ASCII characters, such as a UUID."
        )
    return text


def sender(request: Request) -> str:
    """Who sends a request, so that the same client is the same text at each retry."""
    user: Any = request.user
    for name in ("id", "sub"):
        identity = user.get(name) if isinstance(user, dict) else getattr(user, name, None)
        if identity is not None:
            return f"user {identity}"
    # Without a user, whoever has the same credentials, or none at all.
    values = [value for name, value in request.raw_headers if name.lower() in (b"authorization", b"cookie")]
    return "credentials " + hashlib.sha256(b"\n".join(values)).hexdigest()


def storage_key(request: Request, key: str, owner: str) -> str:
    # Hashed, since all three are of unknown length and may hold what a store's keys may not.
    parts = f"{len(owner)} {owner} {request.method} {request.path} {key}"
    return "idempotency:" + hashlib.sha256(parts.encode("utf-8", "surrogatepass")).hexdigest()


async def fingerprint_of(request: Request) -> bytes:
    """What tells one request from another: its query, its media type and its body."""
    media_type, parameters = parse_parameters(request.headers.get("content-type", ""))
    body = await request.body()
    if media_type.startswith("multipart/") and (boundary := parameters.get("boundary")):
        # A client that builds the form anew for its retry makes a new boundary.
        body = body.replace(boundary.encode("latin-1", "replace"), b"")
    digest = hashlib.sha256(request.query_string)
    digest.update(b"\0" + media_type.encode("latin-1", "replace") + b"\0")
    digest.update(body)
    return digest.digest()


def replayed(record: _Record, fingerprint: bytes) -> Response:
    """The answer that is kept, or the refusal of what the key cannot be used for."""
    if record.fingerprint != fingerprint:
        raise UnprocessableContent("This Idempotency-Key was used for another request; send a new one.")
    if not record.answered:
        raise in_progress()
    if record.body is None:
        raise Conflict("The request with this Idempotency-Key was served; its answer was not kept.")
    response = Response(record.body, record.status)
    response.raw_headers.extend([*record.headers, REPLAYED])
    return response


def in_progress() -> Conflict:
    return Conflict(
        "The request with this Idempotency-Key is still being served.", headers={"retry-after": "1"}
    )
