"""The rules of a WebSocket connection: connect, then accept, close or denial, then messages, then close."""

from __future__ import annotations

from typing import Any, Literal

from ._header_rules import checked_headers
from ._http_rules import HTTPRules
from ._types import Event, Scope
from .rules import Findings

Phase = Literal["connecting", "open", "denying", "closed"]

DENIAL = "websocket.http.response"
KNOWN_EVENTS = frozenset(
    ("websocket.accept", "websocket.send", "websocket.close", f"{DENIAL}.start", f"{DENIAL}.body")
)
MAX_REASON = 123  # bytes: a control frame carries 125 (RFC 6455 §5.5), two of them the code


class WebSocketRules:
    def __init__(self, scope: Scope, findings: Findings) -> None:
        self.findings = findings
        self.closed = False
        self.phase: Phase = "connecting"
        self._connected = False
        self._subprotocols = list(scope.get("subprotocols") or ())
        self._takes_headers = spec_version(scope) >= (2, 1)
        self._denial_offered = DENIAL in (scope.get("extensions") or {})
        self._denial = HTTPRules({"method": "GET"}, findings)

    def received(self, event: Any) -> None:
        if event["type"] == "websocket.connect":
            self._connected = True
        elif event["type"] == "websocket.disconnect":
            self.closed = True

    def sent(self, event: Event) -> Event:
        require = self.findings.require
        kind = event["type"]
        require(
            kind in KNOWN_EVENTS, "event.unknown", f"`{kind}` is no event a WebSocket application may send"
        )
        require(
            self.phase != "closed", "websocket.after-close", "The WebSocket is closed; nothing may follow"
        )
        clean = dict(event)
        if kind.startswith(DENIAL):
            return self._check_denial(kind, clean)
        require(
            self.phase != "denying",
            "websocket.denial-mixed",
            "A denial response was started; only its body events may follow",
        )
        if kind == "websocket.accept":
            self._check_accept(clean)
        elif kind == "websocket.send":
            self._check_message(clean)
        else:
            self._check_close(clean)
        return clean

    def returned(self) -> None:
        if self.closed:
            return
        self.findings.require(
            self.phase != "connecting",
            "websocket.unanswered",
            "The application returned without answering `websocket.connect`; accept, close or deny it",
        )
        if self.phase == "denying":
            self._denial.returned()

    def _check_accept(self, event: Event) -> None:
        require = self.findings.require
        require(
            self._connected,
            "websocket.connect-first",
            "The connection was accepted before `websocket.connect` came",
        )
        require(self.phase == "connecting", "websocket.accept-once", "The connection was accepted twice")
        subprotocol = event.get("subprotocol")
        require(
            subprotocol is None or subprotocol in self._subprotocols,
            "websocket.subprotocol",
            f"Expected subprotocol from what the client offers ({self._subprotocols}), got {subprotocol!r}",
        )
        event["headers"] = headers = checked_headers(event.get("headers", ()), self.findings)
        require(
            not headers or self._takes_headers,
            "websocket.accept-headers",
            "Headers were sent with `websocket.accept` to a server of spec version 2.0, which takes none",
        )
        require(
            all(name != b"sec-websocket-protocol" for name, _ in headers),
            "websocket.subprotocol-header",
            "`sec-websocket-protocol` was sent as a header; use the key `subprotocol`",
        )
        self.phase = "open"

    def _check_message(self, event: Event) -> None:
        require = self.findings.require
        require(
            self.phase == "open", "websocket.accept-first", "A message was sent before `websocket.accept`"
        )
        data, text = event.get("bytes"), event.get("text")
        binary = isinstance(data, bytes) and text is None
        textual = isinstance(text, str) and data is None
        require(
            binary or textual,
            "websocket.content",
            f"Expected either bytes as `bytes` or text as `str`, "
            f"got bytes `{type(data).__name__}` and text `{type(text).__name__}`",
        )

    def _check_close(self, event: Event) -> None:
        require = self.findings.require
        code, reason = event.get("code", 1000), event.get("reason")
        require(
            isinstance(code, int) and not isinstance(code, bool) and is_sendable_close_code(code),
            "websocket.close-code",
            f"Expected code as a close code that may be sent (1000-1003, 1007-1014, 3000-4999), got {code!r}",
        )
        require(
            reason is None
            or (isinstance(reason, str) and len(reason.encode("utf-8", "replace")) <= MAX_REASON),
            "websocket.close-reason",
            f"Expected reason as a `str` of at most {MAX_REASON} bytes, got {reason!r}",
        )
        self.phase = "closed"

    def _check_denial(self, kind: str, event: Event) -> Event:
        require = self.findings.require
        require(
            self._denial_offered,
            "extension.not-offered",
            f"`{kind}` was sent though the server does not offer `{DENIAL}` in scope['extensions']",
        )
        require(
            self.phase != "open",
            "websocket.denial-mixed",
            "A denial response was sent after `websocket.accept`",
        )
        event["type"] = kind.removeprefix("websocket.")
        checked = self._denial.sent(event)
        checked["type"] = kind
        self.phase = "closed" if self._denial.phase == "ended" else "denying"
        return checked


def is_sendable_close_code(code: int) -> bool:
    """True for the close codes an endpoint may put into a frame (RFC 6455 §7.4 and its IANA registry)."""
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999


def spec_version(scope: Scope) -> tuple[int, int]:
    """The version of the HTTP & WebSocket format the server speaks; a missing one means 2.0."""
    major, _, minor = str((scope.get("asgi") or {}).get("spec_version", "2.0")).partition(".")
    return int(major), int(minor or 0)
