"""Everything at once: no answer goes to another question, nothing leaks, nothing hangs.

The short form runs for seconds; `SOAK=1` runs the long one of the specification (60 s).
"""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time
from collections import Counter
from typing import Any

import pytest
import uvloop

from swift.pg import Notification, PgConnectionError, PgError, PgPool, PgTimeout, TxIsolation
from tests.pg_core_support import settled, until
from tests.pg_support import Cluster

SOAK = os.environ.get("SOAK") == "1"
SECONDS = 60.0 if SOAK else 4.0
WORKERS = 64
ACCOUNTS = 20
MONEY = 1000


class Chaos:
    """Workers that do anything, each of which knows what its answers must be."""

    def __init__(self, pool: PgPool, seconds: float, seed: int) -> None:
        self.pool = pool
        self.end = time.monotonic() + seconds
        self.random = random.Random(seed)
        self.done: Counter[str] = Counter()
        self.number = seed * 10_000_000

    async def work(self) -> None:
        kinds = [
            self.good,
            self.good,
            self.good,
            self.good,
            self.error,
            self.deadline,
            self.cancelled,
            self.transaction,
            self.copy,
            self.stream,
            self.many,
            self.exclusive,
        ]
        while time.monotonic() < self.end:
            kind = self.random.choice(kinds)
            self.number += 1
            try:
                async with asyncio.timeout(20):
                    await kind(self.number)
            except PgConnectionError:
                # A killed backend: known as such, never as a wrong answer.
                self.done["lost"] += 1
            self.done[kind.__name__] += 1

    async def good(self, number: int) -> None:
        # Few texts, so that statements are shared, and the number comes back from the server.
        sql = f"SELECT $1::int8 AS n, {number % 7} AS kind, repeat('x', $2::int) AS filling"
        row = await self.pool.exec_async(sql, number, number % 3000).one(tuple)
        assert row == (number, number % 7, "x" * (number % 3000))

    async def error(self, number: int) -> None:
        with pytest.raises(PgError) as caught:
            await self.pool.exec_async("SELECT $1::int8 / 0, $2::text", number, "x")
        if not isinstance(caught.value, PgConnectionError):
            assert caught.value.code == "22012"
        else:
            raise caught.value

    async def deadline(self, number: int) -> None:
        try:
            found = await self.pool.exec_async(
                "SELECT $1::int8, pg_sleep($2)", number, 0.01 * (number % 4), deadline_ms=number % 25
            ).one(tuple)
        except PgTimeout:
            return
        assert found[0] == number

    async def cancelled(self, number: int) -> None:
        async def ask() -> Any:
            return await self.pool.exec_async(
                "SELECT $1::int8, pg_sleep($2)", number, 0.02 * (number % 3)
            ).one(tuple)

        task = asyncio.create_task(ask())
        await asyncio.sleep(0.001 * (number % 20))
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            failure = task.exception()
            if failure is not None:
                raise failure
            assert task.result()[0] == number

    async def transaction(self, number: int) -> None:
        try:
            async with self.pool.tx(TxIsolation.read_committed) as tx:
                await tx.exec_async("INSERT INTO chaos VALUES ($1)", number)
                assert await tx.exec_async("SELECT n FROM chaos WHERE n = $1", number).scalar() == number
                if number % 3 == 0:
                    raise KeyError(number)
                await tx.exec_async("DELETE FROM chaos WHERE n = $1", number)
        except KeyError as mine:
            if mine.args != (number,):
                raise

    async def copy(self, number: int) -> None:
        try:
            async with self.pool.copy_in("COPY copied_in FROM STDIN") as pipe:
                for step in range(50):
                    await pipe.write(b"%d\n" % (number * 100 + step))
                if number % 2:
                    raise KeyError(number)
        except KeyError:
            return
        sql = f"COPY (SELECT {number} FROM generate_series(1, 500)) TO STDOUT"
        received = 0
        async for chunk in self.pool.copy_out(sql):
            assert chunk == b"%d\n" % number
            received += 1
            if number % 5 == 0 and received == 10:
                return
        assert received == 500

    async def stream(self, number: int) -> None:
        expected = number
        async for row in self.pool.stream(
            "SELECT $1::int8 + i FROM generate_series(0, 499) i", number, chunk_size=97
        ):
            assert row[0] == expected
            expected += 1
            if number % 4 == 0 and expected - number == 120:
                break

    async def many(self, number: int) -> None:
        count = await self.pool.executemany_async(
            "INSERT INTO copied_in VALUES ($1)", [(number * 100 + step,) for step in range(20)]
        )
        assert count == 20

    async def exclusive(self, number: int) -> None:
        async with self.pool.acquire() as pg:
            await pg.exec_async("SELECT set_config('application_name', $1, false)", f"worker {number}")
            queries = [pg.exec_async("SELECT $1::int8", number + step).scalar() for step in range(10)]
            assert [await query for query in queries] == [number + step for step in range(10)]


async def storm(pool: PgPool, seconds: float, seed: int, workers: int) -> Counter[str]:
    chaos = Chaos(pool, seconds, seed)
    heard = 0

    async def listen() -> None:
        nonlocal heard
        async with pool.listen("chaos") as listener:
            async for event in listener:
                heard += isinstance(event, Notification)

    async def disturb() -> None:
        while time.monotonic() < chaos.end:
            await asyncio.sleep(0.25)
            try:
                await pool.exec_async("SELECT pg_notify('chaos', 'x')")
                await pool.exec_async(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
                    "AND backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1"
                )
            except PgConnectionError:
                pass

    listener = asyncio.create_task(listen())
    await asyncio.gather(disturb(), *(chaos.work() for _ in range(workers)))
    listener.cancel()
    await asyncio.wait([listener])
    return chaos.done


async def prepare(pool: PgPool) -> None:
    await pool.exec_script_async(
        "CREATE TABLE chaos (n int8 PRIMARY KEY); CREATE UNLOGGED TABLE copied_in (n int8)"
    )


def resident() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * 4096


@pytest.mark.parametrize("debug", [False, True], ids=["plain", "debug"])
def test_chaos_of_64_workers_over_one_pool(pg_database: str, debug: bool) -> None:
    async def main() -> None:
        asyncio.get_running_loop().set_debug(debug)
        async with PgPool(pg_database, min_size=3, max_size=8) as pool:
            await prepare(pool)
            await storm(pool, 1.0, 1, WORKERS)
            before = resident()
            done = await storm(pool, SECONDS if not debug else SECONDS / 2, 2, WORKERS)
            await settled(pool)
            assert len(done) >= 10
            assert done["good"] > 50
            await until(lambda: pool.stats()["size"] >= 3)
            stats = pool.stats()
            assert (stats["in_use"], stats["waiting"], stats["in_flight"]) == (0, 0, 0)
            assert resident() - before < 40_000_000
            # Nothing of a transaction that was not committed is there.
            assert await pool.exec_async("SELECT count(*) FROM chaos").scalar() == 0

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


def test_chaos_on_four_loops_in_four_threads(pg_database: str) -> None:
    pool = PgPool(pg_database, min_size=1, max_size=4)
    failures: list[BaseException] = []

    async def setup() -> None:
        async with PgPool(pg_database, max_size=1) as first:
            await prepare(first)

    asyncio.run(setup())

    async def main(seed: int) -> None:
        await storm(pool, SECONDS / 2, seed, 8)
        await pool.loop_shard().close(5)

    def run(seed: int) -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(main(seed))
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS + 60)
    assert not any(thread.is_alive() for thread in threads)
    assert failures == []
    pool.close()


def test_the_bank_keeps_its_money_and_every_acknowledged_transfer(pg_new_cluster: Any) -> None:
    # A server that acknowledges a commit before it is written may lose it in a crash; this one must not.
    cluster: Cluster = pg_new_cluster(settings={"synchronous_commit": "on"})

    async def main() -> None:
        acknowledged: set[int] = set()
        async with PgPool(cluster.dsn(), min_size=1, max_size=8) as pool:
            await pool.exec_script_async(
                "CREATE TABLE accounts (id int PRIMARY KEY, money int NOT NULL);"
                f"INSERT INTO accounts SELECT n, {MONEY} FROM generate_series(1, {ACCOUNTS}) n;"
                "CREATE TABLE transfers (id int PRIMARY KEY)"
            )
            end = time.monotonic() + SECONDS
            rng = random.Random(7)
            number = 0

            async def transfer() -> None:
                nonlocal number
                number += 1
                mine = number
                source, target = rng.sample(range(1, ACCOUNTS + 1), 2)
                amount = rng.randrange(1, 50)

                async def move(tx: Any) -> None:
                    held = await tx.exec_async("SELECT money FROM accounts WHERE id = $1", source).scalar()
                    await tx.exec_async("UPDATE accounts SET money = $2 WHERE id = $1", source, held - amount)
                    await tx.exec_async(
                        "UPDATE accounts SET money = money + $2 WHERE id = $1", target, amount
                    )
                    await tx.exec_async("INSERT INTO transfers VALUES ($1)", mine)

                await pool.run_tx(move, isolation=TxIsolation.serializable, retries=20)
                acknowledged.add(mine)

            async def teller() -> None:
                while time.monotonic() < end:
                    try:
                        async with asyncio.timeout(30):
                            await transfer()
                    except PgError as failure:
                        # A lost connection (the commit's fate is unknown), or too many conflicts.
                        if not isinstance(failure, PgConnectionError) and not failure.retryable:
                            raise

            async def robber() -> None:
                kills = 0
                while time.monotonic() < end:
                    await asyncio.sleep(0.3)
                    kills += 1
                    if kills == 4:
                        await asyncio.to_thread(cluster.restart, "immediate")
                        continue
                    for pid in (await asyncio.to_thread(cluster.backends, "postgres"))[:1]:
                        await asyncio.to_thread(cluster.sql, f"select pg_terminate_backend({pid})")

            await asyncio.gather(robber(), *(teller() for _ in range(8)))
            assert await pool.exec_async("SELECT sum(money) FROM accounts").scalar() == ACCOUNTS * MONEY
            there = set(await pool.exec_async("SELECT id FROM transfers").scalars())
            assert acknowledged
            assert acknowledged <= there

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
