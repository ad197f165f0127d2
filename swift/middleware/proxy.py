"""Who really asks, when proxies of ours stand in between.

This wraps the ASGI application itself instead of having the usual shape: client and scheme must be
right before anything reads the scope, for WebSockets and mounted applications as well as for requests,
and a Request cannot be given another scope once it exists. The scope is copied, since the server owns
the original and may log it.

Rule 1. Only a peer on the list is believed. Each proxy appends the address it was called from, so the
list of addresses is read from its end: past every trusted one to the first that is not. What stands
further left was written by that client, who may write anything.

Rule 2. One kind of header is believed, the one our proxies write. A proxy that sets X-Forwarded-For
passes a client's `Forwarded` on as it came, and the other way round.

Rule 3. The host is not rewritten: X-Forwarded-Host is a favourite of cache poisoning, and proxies can
keep Host as it is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Final, Literal

from swift.http.headers import parse_parameters, split_list

from .peers import PEER, TrustedPeers, parse_address

Scope = MutableMapping[str, Any]
ASGIApp = Callable[[Scope, Any, Any], Awaitable[None]]

# More proxies in a row than anybody has; what a client adds in front of them is not worth reading.
_MAX_HOPS: Final = 32

_SCHEMES: Final = {"http": "http", "https": "https", "ws": "http", "wss": "https"}


class Hop:
    """What one proxy says of the connection it got: the client's address and port, and its scheme."""

    __slots__ = ("address", "port", "scheme")

    def __init__(self, node: str, scheme: str) -> None:
        self.address, self.port = parse_node(node)
        self.scheme = _SCHEMES.get(scheme.lower())


class ForwardedMiddleware:
    """An ASGI application that sees the client and scheme which trusted proxies report.

        asgi = ForwardedMiddleware(App(...), trusted=["10.0.0.0/8"])

    `trusted` are networks, or `unix` for a proxy on a Unix socket. `header` is what the proxies write:
    `x-forwarded` (X-Forwarded-For and X-Forwarded-Proto) or `forwarded` (RFC 7239).
    """

    def __init__(
        self,
        app: ASGIApp,
        trusted: Iterable[str],
        header: Literal["x-forwarded", "forwarded"] = "x-forwarded",
    ) -> None:
        if header not in ("x-forwarded", "forwarded"):
            raise ValueError(f"`header` is 'x-forwarded' or 'forwarded', got {header!r}.")
        self.app = app
        self.trusted = TrustedPeers(trusted)
        self.header = header

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] in ("http", "websocket"):
            peer = scope.get("client")
            if (peer[0] if peer else None) in self.trusted:
                scope = self.rewritten(scope)
        await self.app(scope, receive, send)

    def rewritten(self, scope: Scope) -> Scope:
        """A copy of the scope with the client and scheme of the outermost trusted hop."""
        headers = scope["headers"]
        hops = _forwarded(headers) if self.header == "forwarded" else _x_forwarded(headers)
        client: Hop | None = None
        for hop in reversed(hops):
            if hop.address is None:
                break
            client = hop
            if hop.address not in self.trusted:
                break
        copy = dict(scope)
        if client is not None:
            copy.setdefault(PEER, scope.get("client"))
            copy["client"] = (client.address, client.port)
        said = client if client is not None else (hops[-1] if hops else None)
        if said is not None and said.scheme is not None:
            websocket = scope["type"] == "websocket"
            copy["scheme"] = said.scheme.replace("http", "ws") if websocket else said.scheme
        return copy


def _x_forwarded(headers: Iterable[tuple[bytes, bytes]]) -> list[Hop]:
    nodes: list[str] = []
    schemes: list[str] = []
    for name, value in headers:
        if name == b"x-forwarded-for":
            nodes += split_list(value.decode("latin-1"))
        elif name == b"x-forwarded-proto":
            schemes += split_list(value.decode("latin-1"))
    if not nodes:
        return [Hop("", schemes[-1])] if schemes else []
    # Most proxies replace X-Forwarded-Proto and some append to it; only lists of one length belong together.
    if len(schemes) != len(nodes):
        schemes = [schemes[-1] if schemes else ""] * len(nodes)
    last = slice(-_MAX_HOPS, None)
    return [Hop(node, scheme) for node, scheme in zip(nodes[last], schemes[last], strict=True)]


def _forwarded(headers: Iterable[tuple[bytes, bytes]]) -> list[Hop]:
    elements: list[str] = []
    for name, value in headers:
        if name == b"forwarded":
            elements += split_list(value.decode("latin-1"))
    parsed = [parse_parameters(";" + element)[1] for element in elements[-_MAX_HOPS:]]
    return [Hop(pairs.get("for", ""), pairs.get("proto", "")) for pairs in parsed]


def parse_node(node: str) -> tuple[str | None, int]:
    """Address and port of a node (RFC 7239 section 6); no address for `unknown`, `_hidden` and nonsense.

    X-Forwarded-For has bare IPv6 addresses too, and some proxies add a port to it. No port is 0.
    """
    host, port = node, ""
    if node.startswith("["):
        host, bracket, rest = node[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            return None, 0
        port = rest[1:]
    elif node.count(":") == 1:
        host, port = node.split(":")
    address = parse_address(host)
    if address is None:
        return None, 0
    numeric = port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535
    return str(address), int(port) if numeric else 0
