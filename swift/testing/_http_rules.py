"""The rules of an HTTP response as a sequence of ASGI events.

A response runs through four phases: `waiting` (nothing sent), `started` (the start is out), `trailing` (the
body is complete and trailers were announced) and `ended`. Once the client is gone, what the application still
sends is not judged: the server ignores it.
"""

from __future__ import annotations

import os
from typing import Any, Literal

from ._header_rules import checked_headers
from ._types import Event, RawHeaders, Scope
from .rules import Findings

Phase = Literal["waiting", "started", "trailing", "ended"]

BODY_EVENTS = frozenset(("http.response.body", "http.response.zerocopysend", "http.response.pathsend"))
EXTENSION_EVENTS = frozenset(
    (
        "http.response.zerocopysend",
        "http.response.pathsend",
        "http.response.push",
        "http.response.early_hint",
        "http.response.trailers",
        "http.response.debug",
    )
)
KNOWN_EVENTS = EXTENSION_EVENTS | {"http.response.start", "http.response.body"}


class HTTPRules:
    def __init__(self, scope: Scope, findings: Findings) -> None:
        self.findings = findings
        self.closed = False
        self.phase: Phase = "waiting"
        self._head = scope.get("method") == "HEAD"
        self._http1 = str(scope.get("http_version", "")).startswith("1")
        self._extensions = scope.get("extensions") or {}
        self._status = 200
        self._announced_length: int | None = None
        self._sent_length = 0
        self._trailers_announced = False
        self._body_kinds: set[str] = set()
        self._debug_sent = False

    def received(self, event: Any) -> None:
        if event["type"] in ("http.disconnect", "websocket.disconnect"):
            self.closed = True

    def sent(self, event: Event) -> Event:
        """The event, checked, with its headers as a list; raises ASGIViolation."""
        require = self.findings.require
        kind = event["type"]
        require(kind in KNOWN_EVENTS, "event.unknown", f"`{kind}` is no event an HTTP application may send")
        if kind in EXTENSION_EVENTS:
            require(
                kind in self._extensions,
                "extension.not-offered",
                f"`{kind}` was sent though the server does not offer it in scope['extensions']",
            )
        ended = self.phase == "ended" or (self.phase == "trailing" and kind != "http.response.trailers")
        require(
            not ended, "http.after-end", "The response is complete; nothing may follow its last body event"
        )
        clean = dict(event)
        if kind == "http.response.start":
            self._check_start(clean)
        elif kind in BODY_EVENTS:
            self._check_body(kind, clean)
        elif kind == "http.response.trailers":
            self._check_trailers(clean)
        else:
            self._check_aside(kind, clean)
        return clean

    def returned(self) -> None:
        require = self.findings.require
        if self.closed:
            return
        require(
            self.phase != "waiting",
            "http.not-started",
            "The application returned without starting a response",
        )
        require(
            self.phase != "trailing",
            "trailers.missing",
            "The application announced trailers and returned without sending them",
        )
        require(
            self.phase == "ended",
            "http.incomplete",
            "The application returned without a last body event (`more_body` false)",
        )

    def _check_start(self, event: Event) -> None:
        require = self.findings.require
        require(self.phase == "waiting", "http.start-once", "The response was started twice")
        status = event.get("status")
        require(
            isinstance(status, int) and not isinstance(status, bool) and 100 <= status <= 599,
            "http.status",
            f"Expected status as an `int` from 100 to 599, got {status!r}",
        )
        self._status = status if isinstance(status, int) else 200
        event["headers"] = checked_headers(
            event.get("headers", ()), self.findings, status=self._status, may_close=self._http1
        )
        self._announced_length = self._content_length(event["headers"])
        trailers = event.get("trailers", False)
        require(
            isinstance(trailers, bool),
            "http.trailers-flag",
            f"Expected trailers as a `bool`, got {trailers!r}",
        )
        require(
            not trailers or "http.response.trailers" in self._extensions,
            "extension.not-offered",
            "Trailers were announced though the server does not offer `http.response.trailers`",
        )
        self._trailers_announced = bool(trailers)
        self.phase = "started"

    def _content_length(self, headers: RawHeaders) -> int | None:
        require = self.findings.require
        lengths = [value for name, value in headers if name == b"content-length"]
        if not lengths:
            return None
        require(
            len(lengths) == 1 and lengths[0].isdigit(),
            "http.content-length.form",
            f"Expected one `content-length` in decimal digits, got {lengths!r}",
        )
        require(
            self._status >= 200 and self._status != 204,
            "http.content-length.forbidden",
            f"A {self._status} response must not carry `content-length`",
        )
        return int(lengths[0]) if lengths[0].isdigit() else None

    @property
    def _bodiless(self) -> bool:
        return self._head or self._status < 200 or self._status in (204, 205, 304)

    def _check_body(self, kind: str, event: Event) -> None:
        require = self.findings.require
        require(
            self.phase == "started", "http.start-first", f"`{kind}` was sent before `http.response.start`"
        )
        mixed = "http.response.pathsend" in self._body_kinds or (
            kind == "http.response.pathsend" and bool(self._body_kinds)
        )
        require(
            not mixed,
            "pathsend.mixed",
            "`http.response.pathsend` must be the only body event of its response",
        )
        self._body_kinds.add(kind)
        more_body = event.get("more_body", False)
        require(
            isinstance(more_body, bool),
            "http.more-body",
            f"Expected more_body as a `bool`, got {more_body!r}",
        )
        length = self._body_length(kind, event)
        answer = f"{self._status} response{' to HEAD' if self._head else ''}"
        require(
            length == 0 or not self._bodiless,
            "http.body-forbidden",
            f"A {answer} must not have content, got {length} bytes",
        )
        self._sent_length += length
        if self._announced_length is not None and not self._bodiless:
            require(
                self._sent_length <= self._announced_length,
                "http.content-length.exceeded",
                f"`content-length` announces {self._announced_length} bytes, {self._sent_length} were sent",
            )
            require(
                more_body or self._sent_length == self._announced_length,
                "http.content-length.short",
                f"`content-length` announces {self._announced_length} bytes, {self._sent_length} were sent",
            )
        if not more_body:
            self.phase = "trailing" if self._trailers_announced else "ended"

    def _body_length(self, kind: str, event: Event) -> int:
        require = self.findings.require
        if kind == "http.response.body":
            body = event.get("body", b"")
            require(
                isinstance(body, bytes), "http.body", f"Expected body as `bytes`, got `{type(body).__name__}`"
            )
            return len(body)
        if kind == "http.response.pathsend":
            path = event.get("path")
            require(
                isinstance(path, str) and os.path.isabs(path),
                "pathsend.path",
                f"Expected path as an absolute `str`, got {path!r}",
            )
            return 0 if self._bodiless else os.stat(str(path)).st_size
        return self._zero_copy_length(event)

    def _zero_copy_length(self, event: Event) -> int:
        require = self.findings.require
        file = event.get("file")
        try:
            descriptor = file if isinstance(file, int) else file.fileno()  # type: ignore[union-attr]
            size = os.fstat(descriptor).st_size
        except (AttributeError, OSError):
            require(
                False, "zerocopysend.file", f"Expected file as an open file with a descriptor, got {file!r}"
            )
            return 0
        offset, count = event.get("offset"), event.get("count")
        for key, value in (("offset", offset), ("count", count)):
            natural = isinstance(value, int) and not isinstance(value, bool) and value >= 0
            require(
                value is None or natural,
                "zerocopysend.range",
                f"Expected {key} as an `int` from 0, got {value!r}",
            )
        if offset is None:
            offset = os.lseek(descriptor, 0, os.SEEK_CUR)
        available = max(size - int(offset), 0)
        return available if count is None else min(int(count), available)

    def _check_trailers(self, event: Event) -> None:
        require = self.findings.require
        require(
            self._trailers_announced,
            "trailers.not-announced",
            "Trailers were sent though `http.response.start` did not announce them with `trailers` true",
        )
        require(self.phase == "trailing", "trailers.early", "Trailers were sent before the last body event")
        event["headers"] = checked_headers(event.get("headers", ()), self.findings)
        more = event.get("more_trailers", False)
        require(
            isinstance(more, bool),
            "trailers.more-trailers",
            f"Expected more_trailers as a `bool`, got {more!r}",
        )
        if not more:
            self.phase = "ended"

    def _check_aside(self, kind: str, event: Event) -> None:
        """The events that are no part of the response: push, early hint, debug."""
        require = self.findings.require
        if kind == "http.response.push":
            require(
                self.phase == "started", "http.start-first", f"`{kind}` was sent before `http.response.start`"
            )
            path = event.get("path")
            require(isinstance(path, str), "push.path", f"Expected path as a `str`, got {path!r}")
            event["headers"] = checked_headers(event.get("headers", ()), self.findings)
        elif kind == "http.response.early_hint":
            # The extension asks for it after the start. A 103 precedes the final response (RFC 8297 §2), and
            # hypercorn sends it as it comes, so it is welcome before the start too.
            event["links"] = links = _as_list(event.get("links"))
            require(
                links is not None and all(isinstance(link, bytes) for link in links),
                "early-hint.links",
                f"Expected links as an iterable of `bytes`, got {links!r}",
            )
        elif kind == "http.response.debug":
            require(
                self.phase == "waiting" and not self._debug_sent,
                "debug.once",
                "`http.response.debug` must be sent once, before `http.response.start`",
            )
            self._debug_sent = True
            info = event.get("info")
            require(isinstance(info, dict), "debug.info", f"Expected info as a `dict`, got {info!r}")


def _as_list(value: Any) -> list[Any] | None:
    if isinstance(value, (str, bytes, type(None))):
        return None
    try:
        return list(value)
    except TypeError:
        return None
