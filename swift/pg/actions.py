"""What the generators of the handshake ask of a transport, and what they expect back.

The generators (`startup`, `target`) do no input or output. A driver runs `action = generator.send(reply)` in a loop,
does what the action says, and sends back the reply named below, or throws the exception into the generator. It ends by
StopIteration with the result and the socket open, or by the error for the caller: then, and when the driver is
cancelled, it closes the socket.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Limit:
    """Reply None. When `seconds` have passed without another Limit, TimeoutError is thrown, whatever is under way."""

    seconds: float | None


@dataclass(frozen=True, slots=True)
class Resolve:
    """Reply: the stream addresses of a name, [(family, address)]. Throws OSError."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Open:
    """Reply: the connected socket, which has getsockopt and setsockopt. Throws OSError.

    address: of family AF_UNIX a path, which begins with NUL when it is abstract.
    """

    family: int
    address: Any


@dataclass(frozen=True, slots=True)
class Send:
    """Reply None."""

    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Receive:
    """Reply: the next message, (type byte, payload).

    Throws PgProtocolError for a payload above `limit` bytes and a length below 4, EOFError, OSError.
    """

    limit: int


@dataclass(frozen=True, slots=True)
class ReceiveAnswer:
    """Reply: the bytes that have arrived, at least one, as they are. Throws EOFError, OSError."""


@dataclass(frozen=True, slots=True)
class StartTLS:
    """Reply: the ssl.SSLObject or ssl.SSLSocket after the handshake. Throws ssl.SSLError, OSError."""

    context: ssl.SSLContext
    server_hostname: str | None


@dataclass(frozen=True, slots=True)
class Call:
    """Reply: what `function()` returns; an awaitable is awaited. slow: it takes milliseconds, a loop should use a thread.

    Its exceptions are thrown.
    """

    function: Callable[[], Any]
    slow: bool = False


@dataclass(frozen=True, slots=True)
class Close:
    """Reply None. Closes the present socket, if any."""


Action = Limit | Resolve | Open | Send | Receive | ReceiveAnswer | StartTLS | Call | Close


class TLSConnection(Protocol):
    """What is used of ssl.SSLObject and ssl.SSLSocket."""

    def getpeercert(self, binary_form: bool = False, /) -> Any: ...

    def selected_alpn_protocol(self) -> str | None: ...

    def version(self) -> str | None: ...


class Socket(Protocol):
    """What is used of a socket."""

    def getsockopt(self, level: int, name: int, size: int = ..., /) -> Any: ...

    def setsockopt(self, level: int, name: int, value: int, /) -> Any: ...
