"""`ASGIValidator`: a wrapper that holds an application to the ASGI specification, event by event."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Protocol

from ._http_rules import HTTPRules
from ._lifespan_rules import LifespanRules
from ._types import ASGIApp, Event, Receive, Scope, Send
from ._websocket_rules import WebSocketRules
from .rules import ASGIViolation, Findings, unknown_rules

__all__ = ["ASGIValidator", "ASGIViolation"]


class _Rules(Protocol):
    closed: bool

    def received(self, event: Any) -> None: ...
    def sent(self, event: Event) -> Event: ...
    def returned(self) -> None: ...


class _UnknownProtocol:
    """A scope type the specification does not know: the application must refuse it with an exception."""

    def __init__(self, scope_type: object, findings: Findings) -> None:
        self.closed = False
        self._scope_type = scope_type
        self._findings = findings

    def received(self, event: Any) -> None:
        pass

    def sent(self, event: Event) -> Event:
        return event

    def returned(self) -> None:
        self._findings.require(
            False,
            "scope.unknown",
            f"The application took a scope of type {self._scope_type!r}; raise an exception instead",
        )


class ASGIValidator:
    """An ASGI application that checks the one it wraps.

    An event that breaks a rule is not passed on: `ASGIViolation` is raised out of the application's `send`.
    When the application swallows it, it is raised again as soon as the application has returned.
    `ignore_rules` holds names of `swift.testing.RULES` that are not to be checked.
    """

    def __init__(self, app: ASGIApp, *, ignore_rules: Collection[str] = ()) -> None:
        if unknown := unknown_rules(ignore_rules):
            raise ValueError(f"Unknown ASGI rules {unknown}; the names are the keys of swift.testing.RULES.")
        self.app = app
        self.ignore_rules = frozenset(ignore_rules)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        findings = Findings(_name(scope), self.ignore_rules)
        rules = _rules_for(scope, findings)
        has_returned = False

        async def checked_receive() -> Any:
            event = await receive()
            rules.received(event)
            return event

        async def checked_send(event: Event) -> None:
            findings.sending(event)
            findings.require(
                not has_returned, "event.after-return", "An event was sent after the application had returned"
            )
            if not rules.closed:
                findings.require(
                    isinstance(event, dict),
                    "event.dict",
                    f"Expected an event as a `dict`, got `{type(event).__name__}`",
                )
                findings.require(
                    isinstance(event.get("type"), str),
                    "event.type",
                    f"Expected the type of an event as a `str`, got {event.get('type')!r}",
                )
                event = rules.sent(event)
            try:
                await send(event)
            except OSError:
                rules.closed = True
                raise

        try:
            await self.app(scope, checked_receive, checked_send)
        except Exception as error:
            if findings.first is not None and findings.first is not error:
                raise findings.first from error
            raise
        finally:
            has_returned = True
        if findings.first is not None:
            raise findings.first
        findings.returning()
        rules.returned()


def _rules_for(scope: Scope, findings: Findings) -> _Rules:
    scope_type = scope.get("type")
    if scope_type == "http":
        return HTTPRules(scope, findings)
    if scope_type == "websocket":
        return WebSocketRules(scope, findings)
    if scope_type == "lifespan":
        return LifespanRules(findings)
    return _UnknownProtocol(scope_type, findings)


def _name(scope: Scope) -> str:
    if scope.get("type") == "http":
        return f"{scope.get('method')} {scope.get('path')}"
    if scope.get("type") == "websocket":
        return f"WebSocket {scope.get('path')}"
    return str(scope.get("type"))
