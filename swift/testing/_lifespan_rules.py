"""The rules of the lifespan protocol: the application answers what it was asked, once."""

from __future__ import annotations

from typing import Any

from ._types import Event
from .rules import Findings

ANSWERS = {
    "lifespan.startup.complete": "lifespan.startup",
    "lifespan.startup.failed": "lifespan.startup",
    "lifespan.shutdown.complete": "lifespan.shutdown",
    "lifespan.shutdown.failed": "lifespan.shutdown",
}


class LifespanRules:
    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.closed = False
        self._asked: set[str] = set()
        self._answered: dict[str, str] = {}

    def received(self, event: Any) -> None:
        self._asked.add(event["type"])

    def sent(self, event: Event) -> Event:
        require = self.findings.require
        kind = event["type"]
        require(kind in ANSWERS, "event.unknown", f"`{kind}` is no event a lifespan application may send")
        question = ANSWERS.get(kind, "")
        require(
            question in self._asked, "lifespan.unasked", f"`{kind}` was sent before `{question}` was received"
        )
        earlier = self._answered.get(question)
        require(earlier is None, "lifespan.once", f"`{question}` was answered already with `{earlier}`")
        self._answered[question] = kind
        if kind.endswith(".failed"):
            message = event.get("message", "")
            require(
                isinstance(message, str), "lifespan.message", f"Expected message as a `str`, got {message!r}"
            )
        return event

    def returned(self) -> None:
        for question in sorted(self._asked | {"lifespan.startup"}):
            self.findings.require(
                question in self._answered,
                "lifespan.unanswered",
                f"The application returned without answering `{question}`; "
                "raise an exception at the lifespan scope if it is not supported",
            )
