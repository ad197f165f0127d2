"""A value that is made once, however many threads and tasks ask for it at the same time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Any, Final

from .errors import AsyncRequired, CircularDependency


class Missing:
    """The type of `MISSING`, the value of a cell before it has one."""


MISSING: Final = Missing()


class _Creation(Future[None]):
    """Ends when the value is there, or fails as its creation did."""

    def __init__(self, task: asyncio.Task[Any] | None) -> None:
        super().__init__()
        self.task = task
        self.thread = threading.get_ident()
        # A waiter that is cancelled must not cancel the creation for the others.
        self.set_running_or_notify_cancel()


class Cell:
    """The first who asks makes the value, the others wait for it.

    When making it fails, all who waited get that error, and the next who asks tries anew. When the maker was
    cancelled, one of those who waited takes its place.
    """

    __slots__ = ("_creation", "_lock", "name", "value")

    def __init__(self, name: str) -> None:
        self.name = name
        self.value: Any = MISSING
        self._lock = threading.Lock()
        self._creation: _Creation | None = None

    async def get(self, make: Callable[[], Awaitable[Any]]) -> Any:
        task = asyncio.current_task()
        while self.value is MISSING:
            creation, mine = self._join(task)
            if mine:
                try:
                    value = await make()
                except BaseException as error:
                    self._fail(creation, error)
                    raise
                return self._succeed(creation, value)
            if creation.task is task:
                raise CircularDependency(
                    f"{self.name} was asked for while it was being made, by its own maker."
                )
            await asyncio.wrap_future(creation)
        return self.value

    def get_sync(self, make: Callable[[], Any]) -> Any:
        while self.value is MISSING:
            creation, mine = self._join(None)
            if mine:
                try:
                    value = make()
                except BaseException as error:
                    self._fail(creation, error)
                    raise
                return self._succeed(creation, value)
            if creation.thread == threading.get_ident():
                if creation.task is None:
                    raise CircularDependency(
                        f"{self.name} was asked for while it was being made, by its own maker."
                    )
                raise AsyncRequired(
                    f"{self.name} is being made by a task of this thread, which `get_sync` would block; use "
                    "`await get`."
                )
            creation.result()
        return self.value

    def _join(self, task: asyncio.Task[Any] | None) -> tuple[_Creation, bool]:
        with self._lock:
            if self._creation is not None:
                return self._creation, False
            if self.value is not MISSING:
                # Made between the look at the value and the lock.
                ended = _Creation(task)
                ended.task, ended.thread = None, 0
                ended.set_result(None)
                return ended, False
            self._creation = _Creation(task)
            return self._creation, True

    def _succeed(self, creation: _Creation, value: Any) -> Any:
        with self._lock:
            self.value = value
            self._creation = None
        creation.set_result(None)
        return value

    def _fail(self, creation: _Creation, error: BaseException) -> None:
        with self._lock:
            self._creation = None
        if isinstance(error, Exception):
            creation.set_exception(error)
        else:
            creation.set_result(None)
