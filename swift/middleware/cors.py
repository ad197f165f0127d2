"""Cross-origin requests as the Fetch standard describes them (https://fetch.spec.whatwg.org/#http-cors-protocol).

Rule 1. The answer depends on the request's Origin unless it is the constant `*`; then every
response says `Vary: Origin`, the ones without CORS headers too, or a cache hands one origin's
answer to another.

Rule 2. `*` and credentials exclude each other in browsers. With both allowed, the request's own origin is
named instead, and that of an opaque origin (`null`: sandboxed frames, local files) never.

Rule 3. A refused method or header is the browser's to report: the preflight answers with what is
allowed. A refused origin gets a 403 without any CORS header.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from swift.http import Forbidden, Request, Response

from .shape import CallNext

logger = logging.getLogger("swift.cors")

# The CORS-safelisted request headers; Content-Type needs permission all the same when it says JSON.
_SAFELISTED: Final = ("Accept", "Accept-Language", "Content-Language", "Content-Type")

_ORIGIN: Final = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#@\s,]+")
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

_ALLOW_ORIGIN: Final = b"access-control-allow-origin"
_ALLOW_CREDENTIALS: Final = b"access-control-allow-credentials"
_EXPOSE_HEADERS: Final = b"access-control-expose-headers"
_MARKS: Final = frozenset({_ALLOW_ORIGIN, _ALLOW_CREDENTIALS, _EXPOSE_HEADERS})

_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}


class CORSMiddleware:
    """Answers preflights and marks the responses that other origins may read.

    `allow_origins` are serialized origins (`https://app.example.com`) or `*`; `allow_origin_regex` must
    match an origin as a whole. `*` in `allow_methods` or `allow_headers` allows all of them. `max_age` is
    the time in seconds that a browser may remember a preflight. `null` counts only where it is listed,
    and cannot be listed together with credentials.
    """

    outside_error_boundary = True

    def __init__(
        self,
        allow_origins: str | Sequence[str] = (),
        allow_origin_regex: str | None = None,
        allow_methods: str | Sequence[str] = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"),
        allow_headers: str | Sequence[str] = (),
        allow_credentials: bool = False,
        expose_headers: str | Sequence[str] = (),
        max_age: int = 600,
        allow_private_network: bool = False,
    ) -> None:
        origins = _listed(allow_origins)
        self.every_origin = "*" in origins
        self.origins = frozenset(_normalized(origin) for origin in origins if origin != "*")
        try:
            self.origin_regex = None if allow_origin_regex is None else re.compile(allow_origin_regex)
        except re.error as error:
            raise ValueError(f"`allow_origin_regex` is not a regular expression: {error}.") from None
        self.methods = _tokens("allow_methods", allow_methods)
        self.headers = _tokens("allow_headers", allow_headers)
        self.exposed = _tokens("expose_headers", expose_headers)
        self.credentials = allow_credentials
        self.private_network = allow_private_network
        if max_age < 0:
            raise ValueError(f"`max_age` is a number of seconds from 0, got {max_age}.")
        self.max_age = str(max_age)
        if allow_credentials and "null" in self.origins:
            raise ValueError(
                "`null` is the origin of every sandboxed page; allow it without credentials or not at all."
            )
        if allow_credentials and "*" in self.exposed:
            raise ValueError("Browsers take `*` literally beside credentials; list the `expose_headers`.")
        if allow_credentials and self.every_origin:
            logger.warning("CORS lets every origin in with credentials: any site can act for its visitors.")
        self.constant = self.every_origin and not allow_credentials
        # PERF: an application has few origins, and their headers are the same each time; others drop out.
        self._marks = lru_cache(maxsize=256)(self._make_marks)

    async def __call__(self, request: Request, call_next: CallNext) -> Response:
        origin = request.header(b"origin")
        if origin is not None and request.method == "OPTIONS":
            method = request.header(b"access-control-request-method")
            if method is not None:
                return self._preflight(request, origin.decode("latin-1"), method.decode("latin-1"))
        response = await call_next(request)
        present = {name for name, _ in response.raw_headers}
        marks = () if origin is None else self._marks(origin)
        if present.isdisjoint(_MARKS):
            response.raw_headers.extend(marks)
        else:
            for name, value in marks:
                response.headers[name.decode("ascii")] = value.decode("latin-1")
        if not self.constant:
            if b"vary" in present:
                response.headers.vary("Origin")
            else:
                response.raw_headers.append((b"vary", b"Origin"))
        return response

    def _make_marks(self, origin: bytes) -> tuple[tuple[bytes, bytes], ...]:
        """The headers by which `origin` may read a response; none when it may not."""
        if not self.allows(origin.decode("latin-1")):
            return ()
        marks = [(_ALLOW_ORIGIN, b"*" if self.constant else origin)]
        if self.credentials:
            marks.append((_ALLOW_CREDENTIALS, b"true"))
        if self.exposed:
            marks.append((_EXPOSE_HEADERS, ", ".join(self.exposed).encode("ascii")))
        return tuple(marks)

    def allows(self, origin: str) -> bool:
        """Whether pages of `origin`, as a browser serializes it, may read the responses."""
        if origin in self.origins or self.constant:
            return True
        if _ORIGIN.fullmatch(origin) is None:
            return False
        return self.every_origin or (
            self.origin_regex is not None and self.origin_regex.fullmatch(origin) is not None
        )

    def _preflight(self, request: Request, origin: str, method: str) -> Response:
        if not self.allows(origin):
            response: Response = Forbidden("This origin may not call this server.").to_response()
            response.headers.vary("Origin")
            return response
        response = Response(status=204)
        headers = response.headers
        headers["access-control-allow-origin"] = "*" if self.constant else origin
        if not self.constant:
            headers.vary("Origin")
        if self.credentials:
            headers["access-control-allow-credentials"] = "true"
        headers["access-control-max-age"] = self.max_age
        if "*" not in self.methods:
            headers["access-control-allow-methods"] = ", ".join(self.methods)
        elif _TOKEN.fullmatch(method):
            # Named rather than `*`, which browsers take literally beside credentials.
            headers["access-control-allow-methods"] = method
            headers.vary("Access-Control-Request-Method")
        if "*" not in self.headers:
            allowed = {name.lower(): name for name in (*_SAFELISTED, *self.headers)}
            headers["access-control-allow-headers"] = ", ".join(allowed.values())
        else:
            # Named rather than `*`, which never covers Authorization.
            wanted = (request.header(b"access-control-request-headers") or b"").decode("latin-1")
            names = [name.strip() for name in wanted.split(",") if _TOKEN.fullmatch(name.strip())]
            headers["access-control-allow-headers"] = ", ".join(names or _SAFELISTED)
            headers.vary("Access-Control-Request-Headers")
        if self.private_network:
            headers.vary("Access-Control-Request-Private-Network")
            if request.header(b"access-control-request-private-network") == b"true":
                headers["access-control-allow-private-network"] = "true"
        return response


def _listed(value: str | Sequence[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _tokens(option: str, names: str | Sequence[str]) -> tuple[str, ...]:
    for name in _listed(names):
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"`{option}` holds {name!r}, which is not a token; give each name by itself.")
    return _listed(names)


def _normalized(origin: str) -> str:
    """The origin as browsers send it: in lower case, without the default port."""
    if origin == "null":
        return origin
    lowered = origin.lower()
    if not _ORIGIN.fullmatch(lowered) or "*" in lowered:
        raise ValueError(
            f"{origin!r} is not an origin; write scheme, host and port only, as in https://app.example.com, "
            "and use `allow_origin_regex` for patterns."
        )
    return lowered.removesuffix(_DEFAULT_PORTS.get(lowered.partition(":")[0], ""))
