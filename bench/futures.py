"""What a Future costs beside what asyncio offers for the same, under uvloop.

Each case is a coroutine that does its thing so many times and is timed from inside, in processor time of
the thread: nothing here waits for anything but the loop, and a neighbour on the core must not count.
The cost of the empty loop around it is taken off. Where a case has links or children, the figure is for one.
asyncio's side is what one writes without futures: a coroutine awaited, a task, `gather`, `asyncio.timeout`.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from platform import python_version
from statistics import median
from time import thread_time_ns
from typing import Any

import uvloop

from bench.measure import interleave
from bench.options import Options
from bench.report import Report
from swift import __version__
from swift.futures import Future, Promise, make_ready, when_all, with_timeout

LINKS = 3
CHILDREN = 20

# Does its thing `count` times.
Work = Callable[[int], Awaitable[None]]


def same(value: Any) -> Any:
    return value


async def coroutine(value: Any = None) -> Any:
    return value


async def nothing(count: int) -> None:
    for _ in range(count):
        pass


async def ready_await(count: int) -> None:
    for _ in range(count):
        await make_ready(1)


async def asyncio_ready_await(count: int) -> None:
    create = asyncio.get_running_loop().create_future
    for _ in range(count):
        future = create()
        future.set_result(1)
        await future


async def then_ready(count: int) -> None:
    value = make_ready(1)
    for _ in range(count):
        value.then(same).then(same).then(same)


async def asyncio_then_ready(count: int) -> None:
    for _ in range(count):
        same(await coroutine(same(await coroutine(same(await coroutine(1))))))


async def when_all_ready(count: int) -> None:
    for _ in range(count):
        await when_all([make_ready(1) for _ in range(CHILDREN)])


async def asyncio_when_all_ready(count: int) -> None:
    for _ in range(count):
        await asyncio.gather(*[coroutine(1) for _ in range(CHILDREN)])


async def chain3_pending(count: int) -> None:
    """Three links on a pending Future, resolved: what becomes of the value without waking any task."""
    for _ in range(count):
        promise: Promise[int] = Promise()
        last: Future[Any] = promise.future.then(same).then(same).then(same)
        promise.resolve(1)
        await last


async def wake_task(count: int) -> None:
    """One wake-up of a parked task, the way asyncio passes a value on."""
    loop = asyncio.get_running_loop()
    for _ in range(count):
        future = loop.create_future()
        loop.call_soon(future.set_result, 1)
        await future


async def timeout(count: int) -> None:
    for _ in range(count):
        promise: Promise[int] = Promise()
        limited = with_timeout(promise.future, 10)
        promise.resolve(1)
        await limited


async def asyncio_timeout(count: int) -> None:
    create = asyncio.get_running_loop().create_future
    for _ in range(count):
        future = create()
        async with asyncio.timeout(10):
            future.set_result(1)
            await future


async def pending_await(count: int) -> None:
    """A task parked on a Future, woken through the loop."""
    loop = asyncio.get_running_loop()
    for _ in range(count):
        promise: Promise[int] = Promise()
        loop.call_soon(promise.resolve, 1)
        await promise.future


# Per case: what one figure is divided by, and the work of each subject.
CASES: dict[str, tuple[int, dict[str, Work]]] = {
    "ready_await": (1, {"swift": ready_await, "asyncio": asyncio_ready_await}),
    "then_ready": (LINKS, {"swift": then_ready, "asyncio": asyncio_then_ready}),
    "when_all_ready": (CHILDREN, {"swift": when_all_ready, "asyncio": asyncio_when_all_ready}),
    "chain3_pending": (1, {"swift": chain3_pending, "asyncio": wake_task}),
    "with_timeout": (1, {"swift": timeout, "asyncio": asyncio_timeout}),
    "pending_await": (1, {"swift": pending_await, "asyncio": wake_task}),
}
SUBJECTS = ("swift", "asyncio")
BATCH = 200


class Driver:
    """Times one work in one case."""

    def __init__(self, runner: asyncio.Runner, work: Work, parts: int, batches: int) -> None:
        self._runner = runner
        self._work = work
        self._parts = parts
        self._batches = batches

    def round(self) -> float:
        """Nanoseconds per part: the median of the batches."""
        return self._runner.run(self._time())

    async def _time(self) -> float:
        figures = []
        for _ in range(self._batches):
            start = thread_time_ns()
            await nothing(BATCH)
            empty = thread_time_ns()
            await self._work(BATCH)
            figures.append((thread_time_ns() - empty) - (empty - start))
        return median(figures) / BATCH / self._parts


def run(options: Options) -> Report:
    rounds, batches = (3, 30) if options.quick else (7, 150)
    cases = options.choose_cases(CASES)
    subjects = options.choose_subjects(SUBJECTS)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        drivers = {
            (case, subject): Driver(runner, works[subject], parts, batches)
            for case, (parts, works) in CASES.items()
            if case in cases
            for subject in subjects
        }
        for driver in drivers.values():
            driver.round()
        gc.collect()
        gc.freeze()
        print(f"futures: {rounds} rounds of {len(drivers)} times {batches * BATCH}", file=sys.stderr)
        try:
            samples = interleave({key: driver.round for key, driver in drivers.items()}, rounds)
        finally:
            gc.unfreeze()
    versions = {"swift": __version__, "asyncio": f"{python_version()} on uvloop {version('uvloop')}"}
    return Report.of("futures", "ns", samples, {name: versions[name] for name in subjects})
