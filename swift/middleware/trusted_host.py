"""Only requests for our own names: Host is compared literally, and nothing else is consulted."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address
from typing import Final

from swift.http import BadRequest, Request, Response

from .shape import CallNext

# RFC 3986 section 3.2.2 without percent-encoding; underscores, because container networks use them in names.
_AUTHORITY: Final = re.compile(rb"(\[[0-9A-Fa-f:.]{2,45}\]|[0-9A-Za-z_.-]{1,254})(?::([0-9]{0,5}))?")


class TrustedHostMiddleware:
    """Answers 400 to requests whose Host is missing, malformed, repeated, or none of `allowed_hosts`.

    A host is written as a name, an IPv4 or an IPv6 address, without a port; case and a trailing dot do
    not count. `*.example.com` stands for every name below `example.com` but not for itself; `*` for
    all well-formed hosts. X-Forwarded-Host is never looked at: anybody can send it.
    """

    outside_error_boundary = True

    def __init__(self, allowed_hosts: str | Sequence[str]) -> None:
        hosts = (allowed_hosts,) if isinstance(allowed_hosts, str) else tuple(allowed_hosts)
        if not hosts:
            raise ValueError("`allowed_hosts` is empty, so no request would be answered; name the hosts.")
        self.any_host = "*" in hosts
        self.hosts = frozenset(_checked(host) for host in hosts if not host.startswith("*"))
        self.suffixes = tuple(
            "." + _checked(host[2:], written=host) for host in hosts if host.startswith("*") and host != "*"
        )
        # A client may send any number of different hosts, so the memory of them is bounded.
        self._verdict = lru_cache(maxsize=256)(self._judge)

    async def __call__(self, request: Request, call_next: CallNext) -> Response:
        hosts = [value for name, value in request.raw_headers if name == b"host"]
        fault = self._verdict(hosts[0]) if len(hosts) == 1 else "The request must have one Host header."
        if fault is not None:
            return BadRequest(fault).to_response()
        return await call_next(request)

    def _judge(self, authority: bytes) -> str | None:
        host = parse_host(authority)
        if host is None:
            return "The Host header is malformed."
        if self.any_host or host in self.hosts or host.endswith(self.suffixes or "\0"):
            return None
        return "The Host header names a host that is not served here."


def parse_host(authority: bytes) -> str | None:
    """The host of a Host header in lower case, without port and trailing dot; None when malformed.

    RFC 9110 section 7.2. An IPv6 address comes back in brackets and in its shortest form.
    """
    match = _AUTHORITY.fullmatch(authority)
    if match is None or (match[2] and int(match[2]) > 65535):
        return None
    host = match[1].decode("ascii").lower()
    if host.startswith("["):
        try:
            return f"[{IPv6Address(host[1:-1])}]"
        except AddressValueError:
            return None
    host = host.removesuffix(".")
    labels = host.split(".")
    if any(not label or len(label) > 63 or label[0] == "-" or label[-1] == "-" for label in labels):
        return None
    return host


def _checked(host: str, *, written: str | None = None) -> str:
    written = host if written is None else written
    bare = f"[{host}]" if host.count(":") > 1 and not host.startswith("[") else host
    try:
        parsed = parse_host(bare.encode("ascii"))
    except UnicodeEncodeError:
        raise ValueError(f"Host {written!r} is not ASCII; write it in punycode.") from None
    port = bare.rpartition(":")[2] if not bare.endswith("]") and ":" in bare else None
    if parsed is None or port is not None or (written.startswith("*") and not written.startswith("*.")):
        raise ValueError(
            f"{written!r} is not a host; write a name or an address without port, with `*.` only in front."
        )
    return parsed
