"""Testing ASGI applications: a client in the test's own event loop, a validator of what they send."""

from __future__ import annotations

from .client import TestClient
from .cookies import Cookie, CookieJar
from .errors import (
    ClientDisconnected,
    IncompleteResponse,
    LifespanFailed,
    TooManyRedirects,
    WebSocketClosed,
    WebSocketDenied,
)
from .events import ASGIValidator
from .responses import (
    ClientResponse,
    ProblemDocument,
    StreamedResponse,
)
from .rules import RULES, ASGIViolation
from .sync import SyncTestClient
from .websocket import WebSocketSession

__all__ = [
    "RULES",
    "ASGIValidator",
    "ASGIViolation",
    "ClientDisconnected",
    "ClientResponse",
    "Cookie",
    "CookieJar",
    "IncompleteResponse",
    "LifespanFailed",
    "ProblemDocument",
    "StreamedResponse",
    "SyncTestClient",
    "TestClient",
    "TooManyRedirects",
    "WebSocketClosed",
    "WebSocketDenied",
    "WebSocketSession",
]
