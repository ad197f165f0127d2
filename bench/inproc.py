"""The cost of a framework alone: its ASGI callable driven under uvloop, with no server and no socket.

A scope and its `receive` are what a server builds, so a batch of them is built outside the clock, which runs
over the batch.
A round's figure is the median of its batches, each of about a millisecond: when a neighbour takes the core,
some batches are lost, not the round.
The collector stays on as in production; what start-up allocated is frozen, so that no subject pays for the
applications of the others.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from itertools import cycle, islice
from statistics import median
from time import perf_counter, perf_counter_ns

import uvloop

from bench.asgi import ASGIApp, discard, lifespan
from bench.cases import CASES, Case, Exchange
from bench.measure import interleave
from bench.options import Options
from bench.report import Report
from bench.subjects import Subject, installed, versions

BATCH_SECONDS = 0.001
# Of scopes, about 1 kB each: what is built ahead must still be in the cache when it is used.
LARGEST_BATCH = 200


class Driver:
    """Asks one application its exchanges in turn, and takes the time."""

    def __init__(
        self, runner: asyncio.Runner, app: ASGIApp, exchanges: Sequence[Exchange], seconds: float
    ) -> None:
        self._runner = runner
        self._app = app
        self._requests = cycle([exchange.request for exchange in exchanges])
        self._seconds = seconds
        self._batch = 1

    def warm_up(self) -> None:
        """Runs for one round, and sizes the batches by it."""
        seconds_each = self._runner.run(self._run()) / 1e6
        self._batch = max(1, min(LARGEST_BATCH, int(BATCH_SECONDS / seconds_each)))

    def round(self) -> float:
        """Microseconds per request."""
        return self._runner.run(self._run())

    async def _run(self) -> float:
        figures = []
        end = perf_counter() + self._seconds
        while perf_counter() < end:
            figures.append(await self._time_batch())
        return median(figures)

    async def _time_batch(self) -> float:
        app, send = self._app, discard
        batch = [(request.scope(), request.receive()) for request in islice(self._requests, self._batch)]
        start = perf_counter_ns()
        for scope, receive in batch:
            await app(scope, receive, send)
        return (perf_counter_ns() - start) / len(batch) / 1000


async def _start(stack: AsyncExitStack, subjects: Sequence[Subject], cases: Sequence[Case]) -> None:
    for subject in subjects:
        for case in cases:
            if case.name in subject.apps:
                await stack.enter_async_context(lifespan(subject.apps[case.name]))
                await subject.verify(case)


def run(options: Options) -> Report:
    rounds, seconds = (5, 0.04) if options.quick else (11, 0.15)
    cases = [CASES[name] for name in options.choose_cases(CASES)]
    subjects = installed(options.choose_subjects())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        stack = AsyncExitStack()
        try:
            runner.run(_start(stack, subjects, cases))
            drivers = {
                (case.name, subject.name): Driver(runner, subject.apps[case.name], case.exchanges, seconds)
                for case in cases
                for subject in subjects
                if case.name in subject.apps
            }
            for driver in drivers.values():
                driver.warm_up()
            gc.collect()
            gc.freeze()
            print(f"inproc: {rounds} rounds of {len(drivers)} times {seconds} s", file=sys.stderr)
            samples = interleave({key: driver.round for key, driver in drivers.items()}, rounds)
        finally:
            gc.unfreeze()
            runner.run(stack.aclose())
    return Report.of("inproc", "µs/request", samples, versions(subjects))
