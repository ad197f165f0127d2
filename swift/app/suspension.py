"""Going on with a coroutine that the kernel has already driven to its first suspension."""

from __future__ import annotations

import types
from collections.abc import Coroutine, Generator
from typing import Any

from swift._speedups.kernel import is_missing


@types.coroutine
def resume(awaitable: Coroutine[Any, Any, Any], yielded: Any) -> Generator[Any, Any, Any]:
    """Await what is left of a handler.

    The kernel ran it until it yielded `yielded` (a future, for asyncio), which is now yielded
    to the event loop in its place. An exception thrown in at that point, a cancellation above
    all, belongs to the handler.
    """
    if is_missing(yielded):
        return (yield from awaitable.__await__())
    try:
        yield yielded
    except BaseException as error:
        try:
            yielded = awaitable.throw(error)
        except StopIteration as stop:
            return stop.value
        # The handler caught it and awaits something else.
        return (yield from _again(awaitable, yielded))
    return (yield from awaitable)


def _again(awaitable: Coroutine[Any, Any, Any], yielded: Any) -> Generator[Any, Any, Any]:
    return (yield from resume(awaitable, yielded))
