"""Work that requests leave for after their responses: best effort, drained on shutdown."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from .threads import Threads

logger = logging.getLogger("swift.app")

Callbacks = list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]]


class Background:
    """The running work of one app. Errors are logged, never raised."""

    def __init__(self, threads: Threads) -> None:
        self._threads = threads
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, callbacks: Callbacks) -> None:
        """Run the callbacks of one request in order, in a task of their own."""
        task = asyncio.get_running_loop().create_task(self._run(callbacks))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, callbacks: Callbacks) -> None:
        for function, args, kwargs in callbacks:
            try:
                if inspect.iscoroutinefunction(function):
                    await function(*args, **kwargs)
                else:
                    await self._threads.run(partial(function, *args, **kwargs))
            except Exception:
                logger.exception(
                    "Work after a response failed in `%s`.", getattr(function, "__name__", function)
                )

    async def drain(self, timeout: float) -> None:
        """Wait for what runs, `timeout` seconds at most; cancel what is late."""
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=timeout)
        for task in late:
            logger.warning("Work after a response did not end within %s s and is cancelled.", timeout)
            task.cancel()
        if late:
            await asyncio.wait(late)
