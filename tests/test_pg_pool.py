"""The pool: sizes, waiters, lifetimes, loops and threads, closing."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import time
from typing import Any

import pytest
import uvloop

from swift.futures import when_all
from swift.pg import (
    PgClosedError,
    PgConfigError,
    PgConnectionError,
    PgError,
    PgInterfaceError,
    PgPool,
    PgPoolTimeout,
    QueryHooks,
)
from tests.pg_core_support import links, until
from tests.pg_support import Cluster, free_port


async def test_nothing_is_connected_before_it_is_used() -> None:
    pool = PgPool("postgresql://nobody@nowhere.invalid/none")
    assert pool.stats()["size"] == 0
    await pool.close()


@pytest.mark.parametrize(
    "wrong",
    [
        {"min_size": 3, "max_size": 2},
        {"max_size": 0},
        {"pipeline_depth": 0},
        {"health_check_interval_secs": 0},
    ],
)
def test_wrong_limits_are_refused_at_once(wrong: dict[str, int]) -> None:
    with pytest.raises(PgConfigError, match="Expected"):
        PgPool("postgresql://localhost", **wrong)  # type: ignore[arg-type]


async def test_min_size_is_kept(pg_cluster: Cluster) -> None:
    async with PgPool(pg_cluster.dsn(), min_size=3, max_size=4) as pool:
        await until(lambda: pool.stats()["size"] == 3)
        pids = [link.core.backend_pid for link in links(pool)]
        for pid in pids[:2]:
            pg_cluster.sql(f"select pg_terminate_backend({pid})")
        await until(lambda: pool.stats()["evicted"] == 2 and pool.stats()["size"] == 3)


async def test_connections_that_idle_are_dropped_down_to_min_size(pg_cluster: Cluster) -> None:
    async with PgPool(
        pg_cluster.dsn(), min_size=1, max_size=4, idle_timeout_secs=0.1, health_check_interval_secs=0.05
    ) as pool:
        async with pool.acquire(), pool.acquire(), pool.acquire():
            assert pool.stats()["size"] == 3
        await until(lambda: pool.stats()["size"] == 1)
        assert pool.stats()["recycled"] == 2


async def test_lifetimes_end_and_are_jittered(pg_cluster: Cluster) -> None:
    async with PgPool(
        pg_cluster.dsn(), min_size=2, max_size=2, max_lifetime_secs=0.3, health_check_interval_secs=0.05
    ) as pool:
        await until(lambda: pool.stats()["size"] == 2)
        ends = {link.core.retire_at - link.core.opened_at for link in links(pool)}
        assert len(ends) == 2
        assert all(0.26 < end <= 0.31 for end in ends)
        await until(lambda: pool.stats()["recycled"] >= 2 and pool.stats()["size"] == 2)


async def test_waiters_are_served_in_order_and_told_when_it_takes_too_long(pg_cluster: Cluster) -> None:
    async with PgPool(pg_cluster.dsn(), max_size=1) as pool:
        order: list[int] = []

        async def work(number: int) -> None:
            async with pool.acquire():
                order.append(number)
                await asyncio.sleep(0)

        async with pool.acquire():
            tasks = [asyncio.create_task(work(number)) for number in range(10)]
            await asyncio.sleep(0.01)
            assert pool.stats()["waiting"] == 10
            start = time.monotonic()
            with pytest.raises(
                PgPoolTimeout, match="No connection became free in 50 ms: 1 of 1 are in use"
            ) as caught:
                await pool.acquire(deadline_ms=50)
            assert caught.value.safe_to_retry
            assert time.monotonic() - start < 1
        await asyncio.gather(*tasks)
        assert order == list(range(10))


async def test_shared_queries_and_exclusive_users_of_one_connection_both_get_their_turn(
    pg_cluster: Cluster,
) -> None:
    async with PgPool(pg_cluster.dsn(), max_size=1) as pool:

        async def alone(number: int) -> int:
            async with pool.acquire() as pg:
                found: int = await pg.exec_async("SELECT $1::int", number).scalar()
                return found

        async def shared(number: int) -> int:
            found: int = await pool.exec_async("SELECT $1::int", number).scalar()
            return found

        work = [alone(n) if n % 2 else shared(n) for n in range(200)]
        async with asyncio.timeout(10):
            assert await asyncio.gather(*work) == list(range(200))


async def test_a_server_that_cannot_be_reached_fails_who_waits_and_the_pool_tries_again(
    pg_cluster: Cluster,
) -> None:
    pool = PgPool(f"postgresql://postgres@127.0.0.1:{free_port()}/x", max_size=2, connect_timeout=2)
    found = await asyncio.gather(
        *(pool.exec_async("SELECT $1::int", n) for n in range(5)), pool.acquire(), return_exceptions=True
    )
    assert all(isinstance(one, PgConnectionError) for one in found)
    assert len({id(one) for one in found}) == len(found)
    await pool.close()


async def test_sessions_come_back_as_new_without_waiting(pg_cluster: Cluster) -> None:
    async with PgPool(pg_cluster.dsn(), max_size=1) as pool:
        async with pool.acquire() as pg:
            pid = pg.backend_pid
            await pg.exec_async("SET application_name = 'left behind'")
            await pg.exec_async("BEGIN")
            pg.exec_async("SELECT 1")
        # Not released twice, not used any more.
        pg.release()
        with pytest.raises(PgInterfaceError, match="released"):
            await pg.exec_async("SELECT 1")
        async with pool.acquire() as pg:
            assert pg.backend_pid == pid
            assert await pg.exec_async("SELECT current_setting('application_name')").scalar() != "left behind"
            assert pg.transaction_status == "I"


async def test_reset_always_also_cleans_what_no_statement_shows(pg_cluster: Cluster) -> None:
    async with PgPool(pg_cluster.dsn(), max_size=1, reset="always") as pool:
        async with pool.acquire() as pg:
            await pg.exec_async(
                "DO $$ BEGIN EXECUTE $s$ SELECT set_config('application_name', 'hidden', false) $s$; END $$"
            )
        assert await pool.exec_async("SELECT current_setting('application_name')").scalar() != "hidden"


async def test_setup_runs_on_every_new_connection(pg_cluster: Cluster) -> None:
    async def setup(link: Any) -> None:
        await link.simple("SET TimeZone = 'Asia/Tokyo'")

    async with PgPool(pg_cluster.dsn(), max_size=2, setup=setup) as pool:
        assert await pool.exec_async("SHOW TimeZone").scalar() == "Asia/Tokyo"


async def test_figures_are_live(pg_cluster: Cluster) -> None:
    async with PgPool(pg_cluster.dsn(), max_size=2) as pool:
        async with pool.acquire():
            stats = pool.stats()
            assert (stats["in_use"], stats["size"]) == (1, 1)
        for _ in range(20):
            await pool.exec_async("SELECT 1")
        with pytest.raises(PgError):
            await pool.exec_async("SELECT 1/0")
        stats = pool.stats()
        assert (stats["in_use"], stats["queries"], stats["errors"]) == (0, 21, 1)
        assert sum(stats["latency"].values()) == 21
        assert all(0 < bound < 10 for bound in stats["latency"])


async def test_close_drains_what_runs_and_refuses_what_comes(pg_cluster: Cluster) -> None:
    pool = await PgPool(pg_cluster.dsn(), max_size=2).open()
    slow = pool.exec_async("SELECT pg_sleep(0.2), 'done'").one(tuple)
    await asyncio.sleep(0.05)
    closing = pool.close()
    with pytest.raises(PgInterfaceError, match="closed"):
        pool.exec_async("SELECT 1")
    await closing
    assert (await slow)[1] == "done"
    await pool.close()


async def test_close_does_not_wait_for_ever(pg_cluster: Cluster) -> None:
    pool = await PgPool(pg_cluster.dsn(), max_size=1).open()
    pg = await pool.acquire()
    waiter = asyncio.create_task(_acquire(pool))
    query = pg.exec_async("SELECT pg_sleep(30)")
    await asyncio.sleep(0.02)
    start = time.monotonic()
    await pool.close(drain_secs=0.1)
    assert time.monotonic() - start < 2
    with pytest.raises(PgClosedError):
        await query
    with pytest.raises(PgClosedError):
        await waiter
    pg.release()


async def _acquire(pool: PgPool) -> Any:
    return await pool.acquire()


def test_four_loops_in_four_threads_share_a_pool_and_no_connection(pg_cluster: Cluster) -> None:
    pool = PgPool(pg_cluster.dsn(), max_size=2)
    found: dict[int, set[int]] = {}

    async def work(number: int) -> None:
        answers = await when_all(
            [pool.exec_async("SELECT $1::int, pg_backend_pid()", n).one(tuple) for n in range(200)]
        )
        assert [answer[0] for answer in answers] == list(range(200))
        found[number] = {answer[1] for answer in answers}
        await pool.loop_shard().close(5)

    def run(number: int) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(work(number))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 4
    assert sum(map(len, found.values())) == len(set().union(*found.values()))
    pool.close()


async def test_a_pool_that_is_forgotten_leaves_no_warning(pg_cluster: Cluster) -> None:
    pool = PgPool(pg_cluster.dsn(), max_size=1)
    await pool.exec_async("SELECT 1")
    await pool.close()
    del pool
    gc.collect()


# Who is told of queries


class Told(QueryHooks):
    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []

    def start(self, query: Any) -> Any:
        self.events.append(("start", query.sql))
        return len(self.events)

    def end(self, query: Any, token: Any) -> None:
        failure = query.failure
        self.events.append(("end", query.sql, token, getattr(failure, "code", None), query.duration))


async def test_hooks_are_told_of_start_end_and_error(pg_cluster: Cluster) -> None:
    told = Told()
    async with PgPool(pg_cluster.dsn(), max_size=1, hooks=[told]) as pool:
        await pool.exec_async("SELECT $1::text", "secret")
        with pytest.raises(PgError):
            await pool.exec_async("SELECT 1/0")
        with pytest.raises(PgError):
            await pool.exec_async("SELECT $1::int", "secret")
        async with pool.acquire() as pg:
            await pg.exec_async("SELECT 2")
    starts = [event for event in told.events if event[0] == "start"]
    ends = [event for event in told.events if event[0] == "end"]
    assert [event[1] for event in starts] == ["SELECT $1::text", "SELECT 1/0", "SELECT $1::int", "SELECT 2"]
    assert [event[3] for event in ends] == [None, "22012", "", None]
    assert ends[0][4] > 0
    assert "secret" not in repr(told.events)


async def test_slow_queries_are_logged_without_values(
    pg_cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "swift.pg"):
        async with PgPool(pg_cluster.dsn(), max_size=1, slow_query_ms=20) as pool:
            await pool.exec_async("SELECT 1")
            await pool.exec_async("SELECT pg_sleep(0.05), $1::text", "secret")
    assert len(caplog.records) == 1
    assert "ms: SELECT pg_sleep(0.05), $1::text" in caplog.text
    assert "secret" not in caplog.text


async def test_spans_follow_the_conventions_for_databases(pg_cluster: Cluster) -> None:
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    async with PgPool(pg_cluster.dsn(), max_size=1, tracing=True) as pool:
        with trace.get_tracer("test").start_as_current_span("request") as parent:
            await pool.exec_async("SELECT $1::text", "secret")
            with pytest.raises(PgError):
                await pool.exec_async("SELECT 1/0")
    good, bad = exporter.get_finished_spans()[:2]
    assert good.name == "SELECT"
    assert good.parent is not None
    assert good.parent.span_id == parent.get_span_context().span_id
    assert dict(good.attributes or {}) == {
        "db.system.name": "postgresql",
        "db.namespace": "test",
        "db.query.text": "SELECT $1::text",
        "db.operation.name": "SELECT",
        "server.address": "127.0.0.1",
        "server.port": pg_cluster.port,
    }
    assert (bad.attributes or {})["db.response.status_code"] == "22012"
    assert not bad.status.is_ok
