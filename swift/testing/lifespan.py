"""`Lifespan`: a server's side of the lifespan protocol, startup and shutdown in one task."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from ._signal import Signal
from ._types import ASGIApp, Event
from .errors import LifespanFailed
from .rules import ASGIViolation

LifespanMode = Literal["auto", "on", "off"]
Phase = Literal["startup", "shutdown"]


class Lifespan:
    """Runs an application's lifespan; `state` is what its requests get a copy of.

    Mode "auto" does without when the application refuses the scope, that is, raises before it has received
    anything; "on" lets that exception through.
    An exception at startup itself is always raised: a server would carry on, but a test should see it.
    """

    def __init__(self, app: ASGIApp, *, mode: LifespanMode = "auto", shutdown_timeout: float = 5.0) -> None:
        self.state: dict[str, Any] = {}
        self._app = app
        self._mode = mode
        self._shutdown_timeout = shutdown_timeout
        self._task: asyncio.Task[None] | None = None
        self._changed = Signal()
        self._questions: list[Phase] = []
        self._asked: list[Phase] = []
        self._answers: dict[str, str | None] = {}  # None for complete, the message for failed

    async def startup(self) -> None:
        if self._mode == "off":
            return
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(lambda _: self._changed.notify())
        try:
            answered = await self._ask("startup")
        except BaseException:
            await self._stop(0)
            raise
        if answered:
            return
        task, self._task = self._task, None
        error = task.exception()
        if error is not None and (self._asked or self._mode == "on"):
            raise error

    async def shutdown(self) -> None:
        """Asks for shutdown, and waits until the application has answered and returned."""
        if self._task is None:
            return
        try:
            await self._ask("shutdown")
        finally:
            task = self._task
            await self._stop(self._shutdown_timeout)
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error

    async def _run(self) -> None:
        asgi = {"version": "3.0", "spec_version": "2.0"}
        await self._app({"type": "lifespan", "asgi": asgi, "state": self.state}, self._receive, self._send)

    async def _ask(self, phase: Phase) -> bool:
        """True when the application answered, False when it ended instead; raises LifespanFailed."""
        task = self._task
        assert task is not None
        self._questions.append(phase)
        self._changed.notify()
        await self._changed.wait_for(lambda: phase in self._answers or task.done())
        if phase not in self._answers:
            return False
        message = self._answers[phase]
        if message is not None:
            # What the application raises after its answer is the cause.
            await asyncio.wait({task}, timeout=self._shutdown_timeout)
            cause = task.exception() if task.done() and not task.cancelled() else None
            if isinstance(cause, ASGIViolation):
                raise cause
            raise LifespanFailed(phase, message) from cause
        return True

    async def _stop(self, timeout: float) -> None:
        """Waits for the application to return by itself, then cancels it."""
        task, self._task = self._task, None
        if task is None:
            return
        try:
            await asyncio.wait({task}, timeout=timeout)
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task})
            if not task.cancelled():
                task.exception()

    async def _receive(self) -> Event:
        await self._changed.wait_for(lambda: len(self._asked) < len(self._questions))
        phase = self._questions[len(self._asked)]
        self._asked.append(phase)
        return {"type": f"lifespan.{phase}"}

    async def _send(self, event: Event) -> None:
        _, phase, outcome = event["type"].split(".")
        self._answers[phase] = event.get("message", "") if outcome == "failed" else None
        self._changed.notify()
