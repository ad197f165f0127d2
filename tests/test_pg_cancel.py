"""Cancelling, deadlines, and the end of connections (postgres_drivers e.5)."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from swift.pg import (
    PgCanceled,
    PgConnectionError,
    PgError,
    PgPool,
    PgServerShutdown,
    PgTimeout,
)
from tests.fault_proxy import FaultProxy
from tests.pg_core_support import links, settled, until
from tests.pg_fake_server import FakeServer, Peer, ready
from tests.pg_support import Cluster


@pytest.fixture
async def pool(pg_cluster: Cluster) -> AsyncIterator[PgPool]:
    async with PgPool(pg_cluster.dsn(), max_size=2) as pool:
        yield pool


async def running(pool: PgPool, text: str) -> int:
    """How many backends execute a statement with that text."""
    sql = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE $1 AND pid <> pg_backend_pid()"
    count: int = await pool.exec_async(sql, f"%{text}%").scalar()
    return count


async def test_e63_a_cancelled_query_is_cancelled_on_the_server_and_its_connection_is_clean(
    pool: PgPool,
) -> None:
    task = asyncio.create_task(_await(pool.exec_async("SELECT pg_sleep(30) /* e63 */")))
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await settled(pool)
    assert await running(pool, "e63") == 0
    assert pool.stats()["evicted"] == 0


async def _await(query: Any) -> Any:
    return await query


async def test_e63_a_cancel_request_that_is_not_taken_does_not_hang(
    pg_cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swift.pg.links.CANCEL_PATIENCE_SECONDS", 0.3)
    with FaultProxy((pg_cluster.host, pg_cluster.port)) as proxy:
        dsn = f"postgresql://postgres@127.0.0.1:{proxy.port}/test"
        async with PgPool(dsn, max_size=1) as pool:
            query = pool.exec_async("SELECT pg_sleep(30)", deadline_ms=100)
            await asyncio.sleep(0.05)
            proxy.black_hole()
            with pytest.raises(PgTimeout):
                await query
            # It can neither be cancelled nor waited for: the connection is given up.
            await until(lambda: pool.stats()["evicted"] == 1)
            proxy.restore()
            assert await pool.exec_async("SELECT 1").scalar() == 1


async def test_e64_a_pooler_without_a_key_makes_cancelling_impossible_not_a_crash() -> None:
    from tests.pg_fake_server import authentication, parameter_status

    def script(peer: Peer) -> None:
        peer.expect_startup()
        peer.send(authentication(0), parameter_status("client_encoding", "UTF8"), ready())
        peer.skip_until("S")
        peer.expect_close()

    with FakeServer(script) as server:
        async with PgPool(server.dsn(), max_size=1) as pool:
            with pytest.raises(PgTimeout):
                await pool.exec_async("SELECT 1", deadline_ms=30)
            await until(lambda: pool.stats()["size"] == 0)


async def test_e65_a_late_answer_is_dropped_and_the_connection_kept(pool: PgPool) -> None:
    with pytest.raises(PgTimeout) as caught:
        await pool.exec_async("SELECT pg_sleep(0.05), 'late'", deadline_ms=45)
    assert not caught.value.safe_to_retry
    await settled(pool)
    assert await pool.exec_async("SELECT 'mine'").scalar() == "mine"


async def test_e66_cancelling_inside_a_transaction_leaves_it_failed_and_rolls_it_back(pool: PgPool) -> None:
    await pool.exec_async("CREATE TABLE IF NOT EXISTS e66 (i int)")
    with pytest.raises(PgTimeout):
        async with pool.tx() as tx:
            await tx.exec_async("INSERT INTO e66 VALUES (1)")
            await tx.exec_async("SELECT pg_sleep(30)", deadline_ms=50)
    await settled(pool)
    assert await pool.exec_async("SELECT count(*) FROM e66").scalar() == 0


async def test_e66_a_task_cancelled_during_commit_commits_once_or_not_at_all(pool: PgPool) -> None:
    await pool.exec_async("CREATE TABLE IF NOT EXISTS e66c (i int)")
    await pool.exec_async("TRUNCATE e66c")

    async def work(number: int) -> None:
        async with pool.tx() as tx:
            await tx.exec_async("INSERT INTO e66c VALUES ($1)", number)

    for number in range(60):
        task = asyncio.create_task(work(number))
        await asyncio.sleep(0.0001 * (number % 30))
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            assert task.exception() is None
            assert await pool.exec_async("SELECT count(*) FROM e66c WHERE i = $1", number).scalar() == 1
    await settled(pool)
    assert await pool.exec_async(
        "SELECT max(n) FROM (SELECT count(*) AS n FROM e66c GROUP BY i) AS t"
    ).scalar() in (None, 1)


async def test_e66_cancelling_while_a_statement_is_described(pool: PgPool) -> None:
    for number in range(40):
        task = asyncio.create_task(_await(pool.exec_async(f"SELECT {number} + $1::int /* e66 */", 1)))
        await asyncio.sleep(0.0002 * (number % 10))
        task.cancel()
        await asyncio.wait([task])
    await settled(pool)
    assert await pool.exec_async("SELECT 3 + $1::int /* e66 */", 1).scalar() == 4


async def test_e67_cancelled_twice_and_while_the_cancellation_runs(pool: PgPool) -> None:
    async with pool.acquire() as pg:
        task = asyncio.create_task(_await(pg.exec_async("SELECT pg_sleep(30)")))
        await asyncio.sleep(0.03)
        task.cancel()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        # Submitted while the request is under way: it waits, and is not what is cancelled.
        assert await pg.exec_async("SELECT 'next'").scalar() == "next"
        # What is behind it on the wire already is not put at risk: the rest is waited for.
        second = asyncio.create_task(_await(pg.exec_async("SELECT pg_sleep(0.2)")))
        await asyncio.sleep(0.02)
        second.cancel()
        third = asyncio.create_task(_await(pg.exec_async("SELECT 'third'").scalar()))
        fourth = pg.exec_async("SELECT 'fourth'").scalar()
        await asyncio.sleep(0)
        third.cancel()
        assert await fourth == "fourth"


@pytest.mark.parametrize("deadline", [0, -5, 1e-10])
async def test_e68_a_deadline_of_nothing_has_passed(pool: PgPool, deadline: float) -> None:
    with pytest.raises(PgTimeout):
        await pool.exec_async("SELECT pg_sleep(10)", deadline_ms=deadline)
    await settled(pool)


async def test_e68_one_deadline_covers_waiting_preparing_and_executing(pg_cluster: Cluster) -> None:
    async with PgPool(pg_cluster.dsn(), max_size=1) as pool, pool.acquire():
        start = time.monotonic()
        with pytest.raises(PgTimeout):
            await pool.exec_async("SELECT $1::int, pg_sleep(30)", 1, deadline_ms=100)
        assert 0.09 < time.monotonic() - start < 1


async def test_e69_a_loop_closed_under_its_pool_leaves_nothing_that_breaks_the_next_one(
    pg_cluster: Cluster,
) -> None:
    def work() -> int:
        pool = PgPool(pg_cluster.dsn(), max_size=1)

        async def ask() -> int:
            value: int = await pool.exec_async("SELECT 7").scalar()
            await pool.close()
            return value

        found = asyncio.run(ask())
        assert pool.closed
        return found

    assert await asyncio.to_thread(work) == 7
    assert await asyncio.to_thread(work) == 7
    gc.collect()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
async def test_e69_a_child_process_does_not_end_its_parents_sessions(pg_cluster: Cluster) -> None:
    program = """
import asyncio, os, sys
from swift.pg import PgPool

pool = PgPool(sys.argv[1], max_size=1)

async def main():
    pid = await pool.exec_async("SELECT pg_backend_pid()").scalar()
    with PgPool(sys.argv[1], max_size=1) as blocking:
        mine = await asyncio.to_thread(lambda: blocking.exec("SELECT pg_backend_pid()").scalar())
        child = os.fork()
        if child == 0:
            assert pool.stats()["size"] == 0 and blocking.stats()["size"] == 0
            os._exit(0 if blocking.exec("SELECT pg_backend_pid()").scalar() != mine else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert await asyncio.to_thread(lambda: blocking.exec("SELECT pg_backend_pid()").scalar()) == mine
    assert await pool.exec_async("SELECT pg_backend_pid()").scalar() == pid
    await pool.close()

asyncio.run(main())
print("done")
"""
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program, pg_cluster.dsn()],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "done\n", done.stderr


async def test_e69_control_c_in_the_middle_of_a_blocking_read_leaves_the_connection_clean(
    pg_cluster: Cluster,
) -> None:
    program = """
import os, signal, sys, threading, time
from swift.pg import PgPool

with PgPool(sys.argv[1], max_size=1) as pool, pool.get() as pg:
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    start = time.monotonic()
    try:
        pg.exec("SELECT pg_sleep(30)")
    except KeyboardInterrupt:
        assert time.monotonic() - start < 10
        assert pg.exec("SELECT 5").scalar() == 5
        print("clean")
"""
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", program, pg_cluster.dsn()],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "clean\n", done.stderr


async def test_e70_an_idle_connection_that_went_dead_is_found_by_the_health_check(
    pg_cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swift.pg.shards.PING_SECONDS", 0.2)
    with FaultProxy((pg_cluster.host, pg_cluster.port)) as proxy:
        dsn = f"postgresql://postgres@127.0.0.1:{proxy.port}/test"
        async with PgPool(dsn, min_size=0, max_size=2, health_check_interval_secs=0.1) as pool:
            await pool.exec_async("SELECT 1")
            proxy.black_hole()
            await until(lambda: pool.stats()["evicted"] >= 1)
            proxy.restore()
            assert await pool.exec_async("SELECT 1", deadline_ms=5000).scalar() == 1


async def test_e71_a_waiter_cancelled_in_the_moment_of_the_handover_loses_no_connection(
    pg_cluster: Cluster,
) -> None:
    async with PgPool(pg_cluster.dsn(), max_size=1) as pool:

        async def wait() -> None:
            async with pool.acquire():
                pass

        for _ in range(50):
            pg = await pool.acquire()
            waiters = [asyncio.create_task(wait()) for _ in range(3)]
            await asyncio.sleep(0)
            pg.release()
            waiters[0].cancel()
            await asyncio.wait(waiters)
            assert pool.stats()["in_use"] == 0
        assert pool.stats()["created"] == 1


async def test_e71_a_connection_that_died_while_idle_is_not_handed_out(
    pool: PgPool, pg_cluster: Cluster
) -> None:
    pid = await pool.exec_async("SELECT pg_backend_pid()").scalar()
    pg_cluster.sql(f"select pg_terminate_backend({pid})")
    await until(lambda: pool.stats()["evicted"] == 1)
    async with pool.acquire() as pg:
        assert await pg.exec_async("SELECT 1").scalar() == 1


async def test_e72_a_restarted_server_ends_all_connections_and_the_pool_comes_back(
    pg_new_cluster: Any,
) -> None:
    cluster = pg_new_cluster()
    async with PgPool(cluster.dsn(), min_size=2, max_size=2) as pool:
        query = pool.exec_async("SELECT pg_sleep(30)")
        await asyncio.sleep(0.2)
        await asyncio.to_thread(cluster.restart)
        with pytest.raises(PgServerShutdown) as caught:
            await query
        assert caught.value.code == "57P01"
        assert not caught.value.safe_to_retry
        assert await pool.exec_async("SELECT 1").scalar() == 1
        await until(lambda: pool.stats()["size"] == 2)


async def test_e72_a_server_that_is_starting_is_asked_again() -> None:
    from tests.pg_fake_server import error

    asked = 0

    def script(peer: Peer) -> None:
        nonlocal asked
        asked += 1
        if asked < 3:
            peer.expect_startup()
            peer.send(error("57P03", "the database system is starting up", severity="FATAL"))
            peer.close()
        else:
            peer.welcome()
            peer.expect_close()

    with FakeServer(script) as server:
        async with PgPool(server.dsn(), max_size=1) as pool:
            assert pool.stats()["size"] == 1
    assert asked == 3


async def test_e73_idle_in_transaction_timeout_is_what_the_next_statement_raises(pool: PgPool) -> None:
    with pytest.raises(PgServerShutdown) as caught:
        async with pool.tx() as tx:
            await tx.exec_async("SET LOCAL idle_in_transaction_session_timeout = 50")
            await asyncio.sleep(0.3)
            await tx.exec_async("SELECT 1")
    assert caught.value.code == "25P03"
    # Also where the body raises something of its own.
    with pytest.raises(KeyError):
        async with pool.tx() as tx:
            await tx.exec_async("SET LOCAL idle_in_transaction_session_timeout = 50")
            await asyncio.sleep(0.3)
            raise KeyError("mine")
    assert await pool.exec_async("SELECT 1").scalar() == 1


async def test_e105_the_kinds_of_timeouts_are_told_apart(pool: PgPool, pg_cluster: Cluster) -> None:
    async with pool.acquire() as pg:
        await pg.exec_async("SET statement_timeout = 30")
        with pytest.raises(PgTimeout) as caught:
            await pg.exec_async("SELECT pg_sleep(10)")
        assert caught.value.code == "57014"
        await pg.exec_async("SET statement_timeout = 0")
        sleeping = pg.exec_async("SELECT pg_sleep(10)")
        await asyncio.sleep(0.05)
        await pg.cancel()
        with pytest.raises(PgCanceled) as cancelled:
            await sleeping
        assert not isinstance(cancelled.value, PgTimeout)
    with pytest.raises(PgTimeout) as mine:
        await pool.exec_async("SELECT pg_sleep(10)", deadline_ms=30)
    assert mine.value.code == ""


async def test_e8_a_session_ended_while_idle_tells_why_to_who_holds_it(
    pool: PgPool, pg_cluster: Cluster
) -> None:
    async with pool.acquire() as pg:
        pg_cluster.sql(f"select pg_terminate_backend({pg.backend_pid})")
        await until(lambda: pg.lost)
        with pytest.raises(PgServerShutdown) as caught:
            await pg.exec_async("SELECT 1")
        assert caught.value.code == "57P01"


async def test_e13_the_reason_is_read_although_writing_failed_first() -> None:
    from tests.pg_fake_server import error

    def script(peer: Peer) -> None:
        peer.welcome()
        peer.skip_until("S")
        peer.send(error("57P02", "crash of another backend", severity="FATAL"))
        peer.close()

    with FakeServer(script) as server:
        async with PgPool(server.dsn(), max_size=1) as pool, pool.acquire() as pg:
            first = pg.exec_async("SELECT 1")
            big = [pg.exec_async("SELECT 1 /* " + "x" * 300_000 + " */") for _ in range(5)]
            for query in (first, *big):
                with pytest.raises(PgConnectionError) as caught:
                    await query
                assert caught.value.code == "57P02"


async def test_an_error_of_the_server_keeps_everything_it_said(pool: PgPool) -> None:
    await pool.exec_async("CREATE TABLE IF NOT EXISTS said (i int CONSTRAINT positive CHECK (i > 0))")
    with pytest.raises(PgError) as caught:
        await pool.exec_async("INSERT INTO said VALUES ($1)", -5)
    failure = caught.value
    assert (failure.code, failure.table, failure.constraint) == ("23514", "said", "positive")
    assert failure.statement == "INSERT INTO said VALUES ($1)"
    assert "-5" not in str(failure)


async def test_e69_signals_do_not_disturb_a_blocking_answer(pool: PgPool) -> None:
    # A signal handler that runs meanwhile does not disturb an answer (EINTR).
    hits: list[int] = []
    previous = signal.signal(signal.SIGALRM, lambda *_: hits.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:

        def work() -> list[int]:
            return [pool.exec("SELECT n FROM generate_series(1, 1000) n").scalars()[-1] for _ in range(30)]

        assert work() == [1000] * 30
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert hits
    assert links(pool)
