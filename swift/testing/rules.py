"""The rules an ASGI application is held to, and the error that names a broken one.

Each rule has a name, used by `ignore_rules` and by the tests, and the section it comes from:
`ASGI` is the ASGI 3.0 specification, `ASGI HTTP` and `ASGI WebSocket` the two halves of its
"HTTP & WebSocket" message format, `ASGI Lifespan` its lifespan protocol, `ASGI Extensions` its extensions.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

RULES: Mapping[str, str] = MappingProxyType(
    {
        # Any event
        "event.dict": "ASGI, Events",
        "event.type": "ASGI, Events",
        "event.unknown": "ASGI, Error Handling",
        "event.after-return": "ASGI, Connection Scope",
        "scope.unknown": "ASGI, Protocol Specifications",
        # Header blocks
        "headers.pairs": "ASGI HTTP, Response Start",
        "headers.pseudo": "ASGI HTTP, Response Start",
        "headers.lower-case": "ASGI HTTP, Response Start",
        "headers.name": "RFC 9110 §5.1",
        "headers.value": "RFC 9110 §5.5",
        "headers.padding": "RFC 9110 §5.5",
        "headers.transfer-encoding": "ASGI HTTP, Response Start",
        "headers.hop-by-hop": "RFC 9110 §7.6.1",
        # HTTP
        "http.start-first": "ASGI HTTP, Response Start",
        "http.start-once": "ASGI HTTP, Response Start",
        "http.after-end": "ASGI HTTP, Response Body",
        "http.status": "ASGI HTTP, Response Start",
        "http.trailers-flag": "ASGI HTTP, Response Start",
        "http.body": "ASGI HTTP, Response Body",
        "http.more-body": "ASGI HTTP, Response Body",
        "http.body-forbidden": "RFC 9110 §6.4.1",
        "http.content-length.form": "RFC 9110 §8.6",
        "http.content-length.forbidden": "RFC 9110 §8.6",
        "http.content-length.exceeded": "RFC 9110 §8.6",
        "http.content-length.short": "RFC 9110 §8.6",
        "http.not-started": "ASGI HTTP, Response Start",
        "http.incomplete": "ASGI HTTP, Response Body",
        # Extensions of HTTP
        "extension.not-offered": "ASGI Extensions",
        "trailers.not-announced": "ASGI Extensions, HTTP Trailers",
        "trailers.early": "ASGI Extensions, HTTP Trailers",
        "trailers.more-trailers": "ASGI Extensions, HTTP Trailers",
        "trailers.missing": "ASGI Extensions, HTTP Trailers",
        "pathsend.path": "ASGI Extensions, Path Send",
        "pathsend.mixed": "ASGI Extensions, Path Send",
        "zerocopysend.file": "ASGI Extensions, Zero Copy Send",
        "zerocopysend.range": "ASGI Extensions, Zero Copy Send",
        "push.path": "ASGI Extensions, HTTP/2 Server Push",
        "early-hint.links": "ASGI Extensions, Early Hints",
        "debug.once": "ASGI Extensions, Debug",
        "debug.info": "ASGI Extensions, Debug",
        # Lifespan
        "lifespan.unasked": "ASGI Lifespan, Startup Complete",
        "lifespan.once": "ASGI Lifespan, Startup Complete",
        "lifespan.message": "ASGI Lifespan, Startup Failed",
        "lifespan.unanswered": "ASGI Lifespan, Startup Complete",
        # WebSocket
        "websocket.connect-first": "ASGI WebSocket, Connect",
        "websocket.accept-first": "ASGI WebSocket, Connect",
        "websocket.accept-once": "ASGI WebSocket, Accept",
        "websocket.accept-headers": "ASGI WebSocket, Spec Versions",
        "websocket.subprotocol": "ASGI WebSocket, Accept",
        "websocket.subprotocol-header": "ASGI WebSocket, Accept",
        "websocket.content": "ASGI WebSocket, Send",
        "websocket.close-code": "RFC 6455 §7.4",
        "websocket.close-reason": "ASGI WebSocket, Close",
        "websocket.after-close": "ASGI WebSocket, Close",
        "websocket.denial-mixed": "ASGI Extensions, Websocket Denial Response",
        "websocket.unanswered": "ASGI WebSocket, Connect",
    }
)


class ASGIViolation(AssertionError):
    """The application broke a rule of ASGI; the message says what, at which event, where the rule stands."""

    def __init__(self, rule: str, what: str, where: str) -> None:
        super().__init__(f"{what} - at {where}; see {RULES[rule]} (rule `{rule}`).")
        self.rule = rule
        self.what = what
        self.where = where
        self.section = RULES[rule]


class Findings:
    """The violations of one connection; the first is kept, for the application may swallow what is raised."""

    def __init__(self, connection: str, ignored: Collection[str] = ()) -> None:
        self.connection = connection
        self.ignored = ignored
        self.first: ASGIViolation | None = None
        self._count = 0
        self._position = "start"

    def sending(self, event: object) -> None:
        """Notes the event that is being checked, for the `where` of a violation."""
        self._count += 1
        kind = event.get("type") if isinstance(event, Mapping) else type(event).__name__
        self._position = f"sent event {self._count} `{kind}`"

    def returning(self) -> None:
        self._position = f"return after {self._count} sent event{'' if self._count == 1 else 's'}"

    def require(self, holds: bool, rule: str, what: str) -> None:
        if holds or rule in self.ignored:
            return
        violation = ASGIViolation(rule, what, f"{self.connection}, {self._position}")
        self.first = self.first or violation
        raise violation


def unknown_rules(names: Collection[str]) -> list[str]:
    return sorted(name for name in names if name not in RULES)
