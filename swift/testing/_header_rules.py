"""The rules of a header block, the same in a response, a push, trailers and the acceptance of a WebSocket."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from ._types import RawHeaders
from .rules import Findings

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 §5.6.2

# RFC 9110 §7.6.1 lists them; they belong to the connection, which is the server's.
HOP_BY_HOP = frozenset((b"connection", b"keep-alive", b"proxy-connection", b"te", b"upgrade"))


def checked_headers(
    headers: Any, findings: Findings, *, status: int = 200, may_close: bool = False
) -> RawHeaders:
    """The header block as a list of pairs (an iterator is consumed once, here), each pair checked."""
    require = findings.require
    is_block = isinstance(headers, Iterable) and not isinstance(headers, (str, bytes, dict))
    require(
        is_block, "headers.pairs", f"Expected headers as an iterable of pairs, got `{type(headers).__name__}`"
    )
    block: RawHeaders = []
    for number, item in enumerate(headers):
        pair = tuple(item) if isinstance(item, Iterable) and not isinstance(item, (str, bytes)) else ()
        require(
            len(pair) == 2 and isinstance(pair[0], bytes) and isinstance(pair[1], bytes),
            "headers.pairs",
            f"Expected header {number} as a pair of `bytes`, got {item!r}",
        )
        name, value = pair
        # `Connection: close` is how an application asks its server to end an HTTP/1.1 connection.
        if not (may_close and name == b"connection" and value.lower() == b"close"):
            _check_field(name, value, findings, status)
        block.append((name, value))
    return block


def _check_field(name: bytes, value: bytes, findings: Findings, status: int) -> None:
    require = findings.require
    require(not name.startswith(b":"), "headers.pseudo", f"Pseudo header {name!r} is the server's to send")
    require(
        _TOKEN.fullmatch(name) is not None,
        "headers.name",
        f"Header name {name!r} is not a token; use letters, digits and !#$%&'*+-.^_`|~",
    )
    require(name == name.lower(), "headers.lower-case", f"Header name {name!r} must be lower-case")
    require(
        not any(byte in value for byte in (b"\r", b"\n", b"\x00")),
        "headers.value",
        f"Header {name!r} has CR, LF or NUL in its value {value!r}",
    )
    require(
        value == value.strip(b" \t"),
        "headers.padding",
        f"Header {name!r} has white space around its value {value!r}",
    )
    require(
        name != b"transfer-encoding",
        "headers.transfer-encoding",
        "The application set `transfer-encoding`; leave framing to the server",
    )
    # RFC 9110 §15.5.22: a 426 must say in `upgrade` which protocol it wants.
    belongs_to_connection = name in HOP_BY_HOP and not (name == b"upgrade" and status == 426)
    require(
        not belongs_to_connection,
        "headers.hop-by-hop",
        f"Header {name!r} belongs to the connection, which is the server's",
    )
