"""The app's one bounded pool of threads for `def` handlers and dependencies."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any


class Threads:
    """At most `size` calls run at once; further ones wait in order. Context variables travel along."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.waiting_or_running = 0
        self._executor: ThreadPoolExecutor | None = None

    async def run(self, function: Callable[..., Any], *args: Any) -> Any:
        if self._executor is None:
            self._executor = ThreadPoolExecutor(self.size, thread_name_prefix="swift")
        context = contextvars.copy_context()
        self.waiting_or_running += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._executor, context.run, function, *args
            )
        finally:
            self.waiting_or_running -= 1

    def close(self) -> None:
        """Let running calls end, refuse new ones, and free the threads; the next `run` starts afresh."""
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=False, cancel_futures=True)
