"""The transports: TLS and plain, loops of either make, bytes that come one by one (postgres_drivers e103)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import uvloop

import swift.pg
from swift.futures import when_all
from swift.pg import PgPool
from tests.fault_proxy import FaultProxy
from tests.pg_support import Cluster, Clusters


def test_the_public_names_of_the_driver_are_there() -> None:
    assert sorted(swift.pg.__all__, key=str.lower) == sorted(set(swift.pg.__all__), key=str.lower)
    assert all(getattr(swift.pg, name) is not None for name in swift.pg.__all__)


async def everything(pool: PgPool) -> None:
    """Large and small, in both directions."""
    big = "x" * 1_500_000
    found = await when_all([pool.exec_async("SELECT $1::text || $2::int", big, n).scalar() for n in range(6)])
    assert [len(text) for text in found] == [len(big) + 1] * 6
    await pool.exec_script_async("DROP TABLE IF EXISTS transported; CREATE TABLE transported (i int, t text)")
    rows = [(n, "y" * 200) for n in range(20_000)]
    assert await pool.executemany_async("INSERT INTO transported VALUES ($1, $2)", rows) == 20_000
    assert await pool.copy_records_async("transported", rows) == 20_000
    received = 0
    async for chunk in pool.copy_out("COPY transported TO STDOUT"):
        received += len(chunk)
    assert received == 2 * sum(len(f"{n}\t{t}\n") for n, t in rows)
    assert len([row async for row in pool.stream("SELECT i FROM transported")]) == 40_000


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_e103_large_writes_and_reads_pass_every_transport(
    pg_clusters: Clusters, loop: Any, tls: bool
) -> None:
    cluster = pg_clusters.get(tls=tls)

    async def main() -> None:
        async with PgPool(cluster.dsn(sslmode="require" if tls else "disable"), max_size=2) as pool:
            using = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
            assert await pool.exec_async(using).scalar() is tls
            await everything(pool)

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(main())


def test_e103_a_thread_that_waits_speaks_tls_too(pg_clusters: Clusters) -> None:
    cluster = pg_clusters.get(tls=True)
    with PgPool(cluster.dsn(sslmode="require"), max_size=1) as pool:
        big = "x" * 3_000_000
        assert len(pool.exec("SELECT $1::text || $1::text", big).scalar()) == 6_000_000
        assert pool.exec("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").scalar() is True


async def test_a_cancel_request_goes_the_same_way_by_tls(pg_clusters: Clusters) -> None:
    cluster = pg_clusters.get(tls=True)
    async with PgPool(cluster.dsn(sslmode="require"), max_size=1) as pool, pool.acquire() as pg:
        query = pg.exec_async("SELECT pg_sleep(30)")
        await asyncio.sleep(0.05)
        await pg.cancel()
        with pytest.raises(swift.pg.PgCanceled):
            await query


async def test_e1_bytes_that_come_one_by_one_over_a_socket(pg_cluster: Cluster) -> None:
    with FaultProxy((pg_cluster.host, pg_cluster.port)) as proxy:
        proxy.chunk = 1
        async with PgPool(
            f"postgresql://postgres@127.0.0.1:{proxy.port}/test?sslmode=disable", max_size=2
        ) as pool:
            found = await when_all([pool.exec_async("SELECT $1::int, 'ü'", n).one(tuple) for n in range(10)])
            assert found == [(n, "ü") for n in range(10)]


@pytest.mark.parametrize("break_it", ["reset", "half_close", "kill"])
async def test_e13_a_connection_that_breaks_in_the_middle_fails_its_queries_and_is_replaced(
    pg_cluster: Cluster, break_it: str
) -> None:
    with FaultProxy((pg_cluster.host, pg_cluster.port)) as proxy:
        async with PgPool(
            f"postgresql://postgres@127.0.0.1:{proxy.port}/test?sslmode=disable", max_size=1
        ) as pool:
            query = pool.exec_async("SELECT pg_sleep(5)")
            await asyncio.sleep(0.1)
            await asyncio.to_thread(getattr(proxy, break_it))
            with pytest.raises(swift.pg.PgConnectionError) as caught:
                await query
            assert not caught.value.safe_to_retry
            assert await pool.exec_async("SELECT 1").scalar() == 1


async def test_every_version_of_the_server(pg_each: Cluster) -> None:
    async with PgPool(pg_each.dsn(), max_size=2) as pool:
        version = await pool.exec_async("SELECT current_setting('server_version_num')::int / 10000").scalar()
        assert version == pg_each.version
        await everything(pool)
