"""`Signal`: tasks of one event loop wait for a condition over plain attributes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Signal:
    """`notify()` after every change; `wait_for(predicate)` looks again each time.

    asyncio.Condition would do the same, but its notify needs a lock and with it an `await`.
    """

    def __init__(self) -> None:
        self._waiters: set[asyncio.Future[None]] = set()

    def notify(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def wait_for(self, predicate: Callable[[], bool]) -> None:
        while not predicate():
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            try:
                await waiter
            finally:
                self._waiters.discard(waiter)
