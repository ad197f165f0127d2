"""What the test client raises.

OSError
  ClientDisconnected       into the application: it sends to a client that is gone
  IncompleteResponse       the application failed in the middle of a response
Exception
  LifespanFailed           the application answered startup or shutdown with `failed`
  TooManyRedirects
  WebSocketDenied          the handshake was refused; carries the response
  WebSocketClosed          the application closed the WebSocket; carries code and reason
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .responses import ClientResponse


class ClientDisconnected(OSError):
    """The client has left; raised out of the application's `send` (spec version 2.4 and later)."""


class IncompleteResponse(OSError):
    """The response broke off: the application raised after it had started one."""


class LifespanFailed(Exception):
    """`phase` is "startup" or "shutdown", `message` what the application said."""

    def __init__(self, phase: str, message: str) -> None:
        super().__init__(f"The application failed at {phase}: {message or 'it gave no message'}")
        self.phase = phase
        self.message = message


class TooManyRedirects(Exception):
    pass


class WebSocketDenied(Exception):
    """`response` is the denial response, or the 403 a server makes of a close before the acceptance.

    `code` and `reason` are those of that close, None and "" where the application sent a response.
    """

    def __init__(self, response: ClientResponse, code: int | None = None, reason: str = "") -> None:
        because = f": {reason}" if reason else ""
        super().__init__(f"The WebSocket was denied with status {response.status}{because}")
        self.response = response
        self.code = code
        self.reason = reason


class WebSocketClosed(Exception):
    """The WebSocket was closed by the application; 1006 means it ended without a close."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(f"The WebSocket was closed with code {code}" + (f": {reason}" if reason else ""))
        self.code = code
        self.reason = reason
