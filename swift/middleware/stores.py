"""Where middleware keeps what outlives a request: an interface of four calls, and the store in memory.

A store for several processes (a database, Redis) is any object with these methods. Only `add` must be
atomic among all who share it.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol


class Store(Protocol):
    """Bytes under text keys, each for a time. A store may forget early; it never gives what has expired."""

    async def get(self, key: str) -> bytes | None:
        """The value of a key, or None."""
        ...

    async def set(self, key: str, value: bytes, seconds: float) -> None:
        """Keep a value for `seconds`, in the place of any other."""
        ...

    async def add(self, key: str, value: bytes, seconds: float) -> bool:
        """Keep a value unless the key has one: False then. Of concurrent calls one gets True."""
        ...

    async def delete(self, key: str) -> None:
        """Forget a key; nothing happens when it is not there."""
        ...


class MemoryStore:
    """A Store of one process, bounded in bytes: keys and values together, and `_OVERHEAD` for each.

    What was used least recently is forgotten first. `clock` gives seconds that never go back.
    """

    def __init__(self, max_bytes: int = 32 * 2**20, *, clock: Callable[[], float] = time.monotonic) -> None:
        if max_bytes <= 0:
            raise ValueError(f"`max_bytes` is a number of bytes above 0, got {max_bytes}.")
        self.max_bytes = max_bytes
        self.size = 0
        self._clock = clock
        self._entries: OrderedDict[str, tuple[bytes, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    async def get(self, key: str) -> bytes | None:
        return self._get(key)

    async def set(self, key: str, value: bytes, seconds: float) -> None:
        self._remove(key)
        size = _size(key, value)
        if size > self.max_bytes or seconds <= 0:
            return
        self._entries[key] = (value, self._clock() + seconds)
        self.size += size
        while self.size > self.max_bytes:
            self._remove(next(iter(self._entries)))

    async def add(self, key: str, value: bytes, seconds: float) -> bool:
        if self._get(key) is not None:
            return False
        await self.set(key, value, seconds)
        return True

    async def delete(self, key: str) -> None:
        self._remove(key)

    def _get(self, key: str) -> bytes | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry[1] <= self._clock():
            self._remove(key)
            return None
        self._entries.move_to_end(key)
        return entry[0]

    def _remove(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.size -= _size(key, entry[0])


# Of an entry in CPython, beside the bytes themselves: the tuple, the float, two objects' heads, the dict's slot.
_OVERHEAD = 400


def _size(key: str, value: bytes) -> int:
    return len(key) + len(value) + _OVERHEAD
