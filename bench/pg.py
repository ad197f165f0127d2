"""The PostgreSQL driver beside asyncpg, psycopg and the floor: on one server, in turn, under uvloop.

Wall time, since a driver waits for the server; where the figure is per row, the operation's time is divided.
`c64` is 64 tasks over one pool of 8 connections (64 threads for psycopg's synchronous side).
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable
from functools import partial
from time import perf_counter

import uvloop

from bench.measure import interleave
from bench.options import Options
from bench.pg_server import database
from bench.report import Report
from bench.subjects import available
from bench.subjects.pg import BULK, CREATE, DISTRIBUTIONS, PAIRS, RECORDS, Case, Driver, load

# How many rows one operation of a case is; 1 where the figure is for the operation.
CASES = {
    "acquire": 1,
    "c64_select1": 1,
    "c64_pk": 1,
    "c64_rows100": 1,
    "c64_rows100_json": 1,
    "seq_pk": 1,
    "q20": 1,
    "fetch100k": BULK,
    "fetch100k_json": BULK,
    "stream100k": BULK,
    "copy10k": len(RECORDS),
    "executemany10k": len(PAIRS),
}


# Of the short form.
ROUNDS_AND_SECONDS = (3, 0.15)


class Timer:
    """Takes the time of one case of one driver: microseconds per operation or row."""

    def __init__(self, runner: asyncio.Runner, case: Case, rows: int, seconds: float) -> None:
        self._runner = runner
        self._case = case
        self._rows = rows
        self._count = 1
        self._size(seconds)

    def _size(self, seconds: float) -> None:
        taken = self._time()
        while taken < seconds / 4:
            self._count = max(self._count * 2, int(self._count * min(16.0, seconds / 2 / max(taken, 1e-6))))
            taken = self._time()
        self._count = max(1, int(self._count * seconds / taken))

    def _time(self) -> float:
        async def timed() -> float:
            start = perf_counter()
            await self._case(self._count)
            return perf_counter() - start

        return self._runner.run(timed())

    def round(self) -> float:
        return self._time() / self._count / self._rows * 1e6


async def _seed(dsn: str) -> None:
    from swift.pg import PgPool

    async with PgPool(dsn, max_size=1) as pool:
        await pool.exec_script_async(
            "DROP TABLE IF EXISTS records, points, copied, inserted;" + CREATE, deadline_ms=60_000
        )


async def _start(makers: list[Callable[[], object]]) -> list[Driver]:
    return [await maker() for maker in makers]  # type: ignore[misc]


def run(options: Options) -> Report:
    rounds, seconds = ROUNDS_AND_SECONDS if options.quick else (7, 0.5)
    cases = options.choose_cases(CASES)
    subjects = available(options.choose_subjects(DISTRIBUTIONS), load)
    with (
        database() as dsn,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(_seed(dsn))
        drivers = runner.run(_start([partial(make, dsn) for make in subjects]))
        try:
            timers = {}
            for case in cases:
                for driver in drivers:
                    if case in driver.cases:
                        runner.run(driver.verify(case))
                        timers[case, driver.name] = Timer(runner, driver.cases[case], CASES[case], seconds)
            gc.collect()
            gc.freeze()
            print(f"pg: {rounds} rounds of {len(timers)} times {seconds} s", file=sys.stderr)
            samples = {}
            for case in cases:
                mine = {key: timer.round for key, timer in timers.items() if key[0] == case}
                samples.update(interleave(mine, rounds))
        finally:
            gc.unfreeze()
            for driver in drivers:
                runner.run(driver.close())
    return Report.of(
        "pg", "µs/operation or row", samples, {driver.name: driver.version for driver in drivers}
    )
