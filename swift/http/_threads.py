"""One hop to a worker thread for work on files, safe to cancel."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


async def in_thread(function: Callable[[*Ts], T], *arguments: *Ts) -> T:
    """Run `function` in the loop's executor, whose threads are bounded.

    A thread cannot be cancelled: when the caller is, this waits for the thread before the
    cancellation goes on. Otherwise the caller would close a file under a running read or write,
    and the descriptor could by then belong to another file.
    """
    future = asyncio.get_running_loop().run_in_executor(None, function, *arguments)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        while not future.done():
            try:
                await asyncio.wait([future])
            except asyncio.CancelledError:
                continue
        if not future.cancelled():
            future.exception()
        raise
