"""Futures: values that are there or will be, chained without trips through the event loop.

    order = fetch(id).then(price).catch(no_price, KeyError)     # Future
    user, orders = await when_all([load(id), orders_of(id)])    # siblings are cancelled on failure

A `Future` is awaited by any asyncio task and taken by `asyncio.gather`, `wait` and `timeout`; where a
Future is taken here, any awaitable is. A callback may return a value, a Future or an awaitable.
Whoever will settle a Future holds its `Promise`, on any thread.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar, overload

from swift._speedups.futures import (
    BrokenPromise,
    Future,
    Promise,
    as_future,
    make_exception,
    make_ready,
    resolve_all,
)
from swift._speedups.groups import when_all, when_any, when_some
from swift._speedups.timing import sleep, with_timeout

__all__ = [
    "BrokenPromise",
    "Future",
    "Gate",
    "GateClosed",
    "Promise",
    "Semaphore",
    "as_future",
    "filter_async",
    "futurize",
    "make_exception",
    "make_ready",
    "map_async",
    "pipeline",
    "reduce_async",
    "resolve_all",
    "retry",
    "sleep",
    "when_all",
    "when_any",
    "when_some",
    "with_timeout",
]

T = TypeVar("T")
U = TypeVar("U")

Kinds = type[BaseException] | tuple[type[BaseException], ...]


@overload
def futurize(function: Callable[..., Awaitable[T]], *arguments: Any) -> Future[T]: ...
@overload
def futurize(function: Callable[..., T], *arguments: Any) -> Future[T]: ...
def futurize(function: Callable[..., Any], *arguments: Any) -> Future[Any]:
    """What `function(*arguments)` gives, as a Future; what it raises too."""
    return make_ready().then(lambda _: function(*arguments))


def pipeline(*stages: Callable[[Any], Any]) -> Callable[[Any], Future[Any]]:
    """One function of several: each stage gets what the one before gave, None too."""

    def run(value: Any) -> Future[Any]:
        future: Future[Any] = make_ready(value)
        for stage in stages:
            future = future.then(stage)
        return future

    return run


@overload
def retry(
    function: Callable[[], Awaitable[T]],
    *,
    attempts: int = 3,
    delay: float = 0.1,
    backoff: float = 2.0,
    max_delay: float = 30.0,
    jitter: bool = True,
    when: Kinds | Callable[[Exception], bool] = Exception,
) -> Future[T]: ...
@overload
def retry(
    function: Callable[[], T],
    *,
    attempts: int = 3,
    delay: float = 0.1,
    backoff: float = 2.0,
    max_delay: float = 30.0,
    jitter: bool = True,
    when: Kinds | Callable[[Exception], bool] = Exception,
) -> Future[T]: ...
def retry(
    function: Callable[[], Any],
    *,
    attempts: int = 3,
    delay: float = 0.1,
    backoff: float = 2.0,
    max_delay: float = 30.0,
    jitter: bool = True,
    when: Kinds | Callable[[Exception], bool] = Exception,
) -> Future[Any]:
    """What `function()` gives, called up to `attempts` times in all; the last error is the one that is raised.

    Before attempt n + 1 it pauses `delay * backoff ** (n - 1)` seconds, at most `max_delay`; with `jitter` a
    random part of that, so that many clients do not come back together. `when` chooses the errors worth
    another attempt: exception classes, or a predicate. A cancellation is never retried.
    """
    if attempts < 1:
        raise ValueError(f"Expected at least one attempt, got {attempts}")
    worth: Callable[[Exception], bool]
    if isinstance(when, (type, tuple)):
        kinds = when
        worth = lambda error: isinstance(error, kinds)  # noqa: E731
    else:
        worth = when

    def attempt(number: int) -> Future[Any]:
        def again(error: Exception) -> Future[Any]:
            if number == attempts or not worth(error):
                return make_exception(error)
            pause = min(delay * backoff ** (number - 1), max_delay)
            if jitter:
                pause *= random.random()
            if pause <= 0:
                return attempt(number + 1)
            return sleep(pause).then(lambda _: attempt(number + 1))

        return futurize(function).catch(again)

    return attempt(1)


class Semaphore:
    """Lets `permits` holders in at a time; the others wait in the order in which they came.

    `async with semaphore: ...`, or `semaphore.run(function, *arguments)`.
    """

    def __init__(self, permits: int) -> None:
        if permits < 1:
            raise ValueError(f"Expected at least one permit, got {permits}")
        self._free = permits
        self._waiting: deque[Promise[None]] = deque()

    @property
    def free(self) -> int:
        """How many permits nobody holds."""
        return self._free

    @property
    def waiting(self) -> int:
        """How many wait for a permit."""
        return sum(not promise.future.done() for promise in self._waiting)

    def acquire(self) -> Future[None]:
        """Ready once the permit is held; whoever gets it calls `release`. Cancel it to wait no longer."""
        if self._free:
            self._free -= 1
            return make_ready(None)
        promise: Promise[None] = Promise()
        self._waiting.append(promise)
        return promise.future

    def release(self) -> None:
        """Give a permit back, to the first that waits."""
        while self._waiting:
            promise = self._waiting.popleft()
            if not promise.future.done():
                promise.resolve(None)
                return
        self._free += 1

    @overload
    def run(self, function: Callable[..., Awaitable[T]], *arguments: Any) -> Future[T]: ...
    @overload
    def run(self, function: Callable[..., T], *arguments: Any) -> Future[T]: ...
    def run(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """What `function(*arguments)` gives, called when a permit is free and holding it until that is there."""
        return self.acquire().then(lambda _: futurize(function, *arguments).finally_(self.release))

    async def __aenter__(self) -> Semaphore:
        permit = self.acquire()
        try:
            await permit
        except BaseException:
            # Given and cancelled in the same turn of the loop: the permit must not be lost.
            if permit.done() and not permit.cancelled():
                self.release()
            raise
        return self

    async def __aexit__(self, *error: object) -> None:
        self.release()


class GateClosed(RuntimeError):
    """The gate is closed; nothing new may begin."""


class Gate:
    """Counts what is under way, so that a shutdown can refuse what is new and wait for what is not.

    `with gate: ...`, or `gate.run(function, *arguments)`; then `await gate.close()`.
    """

    def __init__(self) -> None:
        self._inside = 0
        self._empty: Promise[None] | None = None

    @property
    def inside(self) -> int:
        """How many are under way."""
        return self._inside

    @property
    def closed(self) -> bool:
        return self._empty is not None

    def __enter__(self) -> Gate:
        if self._empty is not None:
            raise GateClosed("The gate is closed; nothing new may begin.")
        self._inside += 1
        return self

    def __exit__(self, *error: object) -> None:
        self._inside -= 1
        if self._empty is not None and not self._inside and not self._empty.future.done():
            self._empty.resolve(None)

    @overload
    def run(self, function: Callable[..., Awaitable[T]], *arguments: Any) -> Future[T]: ...
    @overload
    def run(self, function: Callable[..., T], *arguments: Any) -> Future[T]: ...
    def run(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """What `function(*arguments)` gives, counted until it is there; a closed gate's is a failed Future."""
        try:
            self.__enter__()
        except GateClosed as error:
            return make_exception(error)
        return futurize(function, *arguments).finally_(self.__exit__)

    def close(self) -> Future[None]:
        """Refuse what is new; ready when nothing is under way. Closing twice is no error."""
        if self._empty is None:
            self._empty = Promise()
            if not self._inside:
                self._empty.resolve(None)
        # A link of its own for each caller: one that is cancelled leaves the others waiting.
        return self._empty.future.then(lambda _: None)


@overload
def map_async(
    function: Callable[[T], Awaitable[U]], items: Iterable[T], *, limit: int | None = None
) -> Future[list[U]]: ...
@overload
def map_async(
    function: Callable[[T], U], items: Iterable[T], *, limit: int | None = None
) -> Future[list[U]]: ...
def map_async(
    function: Callable[[Any], Any], items: Iterable[Any], *, limit: int | None = None
) -> Future[list[Any]]:
    """`function` of every item, at most `limit` at a time (all at once by default), in the items' order.

    The first failure is the outcome; what is still under way is cancelled, what waits never begins.
    """
    if limit is None:
        return when_all([futurize(function, item) for item in items])
    semaphore = Semaphore(limit)
    failed = False

    def stop(error: BaseException) -> Any:
        nonlocal failed
        failed = True
        raise error

    def begin(item: Any) -> Future[Any]:
        # A failure gives its permit back before it is the outcome, which then cancels this one.
        return Promise[Any]().future if failed else futurize(function, item).catch(stop, BaseException)

    return when_all([semaphore.run(begin, item) for item in items])


def filter_async(
    predicate: Callable[[T], Any], items: Iterable[T], *, limit: int | None = None
) -> Future[list[T]]:
    """The items for which the predicate's value is true; errors and `limit` as with `map_async`."""
    chosen = list(items)
    return map_async(predicate, chosen, limit=limit).then(
        lambda verdicts: [item for item, verdict in zip(chosen, verdicts, strict=True) if verdict]
    )


def reduce_async(function: Callable[[U, T], Any], items: Iterable[T], initial: U) -> Future[U]:
    """`function(accumulated, item)` for one item after the other, beginning with `initial`."""

    def step(item: T) -> Callable[[U], Any]:
        return lambda accumulated: function(accumulated, item)

    future: Future[Any] = make_ready(initial)
    for item in items:
        future = future.then(step(item))
    return future
