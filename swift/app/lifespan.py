"""Start and stop: the app's own parts, its `lifespan`, and the lifespans of mounted apps."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any

logger = logging.getLogger("swift.app")

# Seconds between an application's last answer and its return: it has nothing left to do.
GRACE = 0.5

Lifespan = Callable[[Any], AbstractAsyncContextManager[Any]]


class Life:
    """What an app holds open, entered and left in one task.

    Servers start and stop an app in one task, the lifespan's; but a first request may start it too, and
    whatever holds a cancel scope or a context variable must be left in the task that entered it.
    """

    def __init__(self, enter: Callable[[AsyncExitStack, dict[str, Any]], Awaitable[None]]) -> None:
        self._enter = enter
        self._task: asyncio.Task[None] | None = None
        self._started: asyncio.Future[None] | None = None
        self._stopping: asyncio.Event | None = None

    async def start(self, state: dict[str, Any]) -> None:
        """Enter, once; later and concurrent calls wait for the first. Raises what entering raises, each time anew."""
        if self._task is None or self._task.done():
            loop = asyncio.get_running_loop()
            self._started = loop.create_future()
            self._stopping = asyncio.Event()
            self._task = loop.create_task(self._live(state, self._started, self._stopping))
        assert self._started is not None
        await asyncio.shield(self._started)

    async def _live(
        self, state: dict[str, Any], started: asyncio.Future[None], stopping: asyncio.Event
    ) -> None:
        async with AsyncExitStack() as stack:
            try:
                await self._enter(stack, state)
            except BaseException as error:
                await stack.aclose()
                if started.done():
                    raise
                started.set_exception(error)
                return
            started.set_result(None)
            await stopping.wait()

    async def stop(self) -> None:
        """Leave, in reverse order. Raises what leaving raises."""
        task, self._task = self._task, None
        if task is not None and self._stopping is not None:
            self._stopping.set()
            await task


class LifespanFailed(RuntimeError):
    """A mounted application reported that it cannot start."""


@asynccontextmanager
async def mounted_lifespan(app: Any, state: dict[str, Any]) -> AsyncIterator[None]:
    """Run the lifespan of an ASGI application as its server would, in a task of its own.

    An application that does not know the lifespan protocol raises or returns before it answers;
    that is its right (ASGI lifespan, section "Scope"), and it is served without. One that has
    answered its shutdown and does not return is cancelled.
    """
    to_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    from_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": state}
    task = asyncio.ensure_future(app(scope, to_app.get, from_app.put))
    try:
        if await _exchange(task, to_app, from_app, "lifespan.startup") is None:
            logger.debug("The mounted application %r has no lifespan.", app, exc_info=task.exception())
            yield
            return
        try:
            yield
        finally:
            if not task.done():
                await _exchange(task, to_app, from_app, "lifespan.shutdown")
    finally:
        await _end(task)


async def _exchange(
    task: asyncio.Future[Any], to_app: asyncio.Queue[Any], from_app: asyncio.Queue[Any], event: str
) -> dict[str, Any] | None:
    """Send one event and return the answer; None when the application ends without one."""
    await to_app.put({"type": event})
    answer = asyncio.ensure_future(from_app.get())
    await asyncio.wait((task, answer), return_when=asyncio.FIRST_COMPLETED)
    if not answer.done():
        answer.cancel()
        if event == "lifespan.shutdown":
            task.result()
        return None
    message: dict[str, Any] = answer.result()
    if message["type"].endswith(".failed"):
        raise LifespanFailed(f"A mounted application failed at {event}: {message.get('message', '')}")
    return message


async def _end(task: asyncio.Future[Any]) -> None:
    """Let an application's lifespan return, cancel it when it does not, and retrieve its exception."""
    await asyncio.wait((task,), timeout=GRACE)
    if not task.done():
        task.cancel()
        await asyncio.wait((task,))
    if not task.cancelled():
        task.exception()


async def serve_lifespan(app: Any, scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The lifespan protocol (ASGI lifespan 2.0): start when told, stop when told, say what failed."""
    message = await receive()
    if message["type"] != "lifespan.startup":
        raise RuntimeError(f"Expected `lifespan.startup`, got `{message['type']}`.")
    try:
        await app.start(scope.get("state"))
    except BaseException as error:
        await send({"type": "lifespan.startup.failed", "message": f"{type(error).__name__}: {error}"})
        raise
    await send({"type": "lifespan.startup.complete"})
    await receive()
    try:
        await app.stop()
    except BaseException as error:
        await send({"type": "lifespan.shutdown.failed", "message": f"{type(error).__name__}: {error}"})
        raise
    await send({"type": "lifespan.shutdown.complete"})
