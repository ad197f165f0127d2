"""LISTEN and NOTIFY (postgres_drivers e104)."""

from __future__ import annotations

import asyncio

import pytest

from swift.pg import Gap, Notification, PgConnectionError, PgInterfaceError, PgPool
from tests.pg_support import Cluster


async def test_notifications_arrive_in_order_with_their_payloads(pg_cluster: Cluster) -> None:
    async with PgPool(pg_cluster.dsn(), max_size=2) as pool, pool.listen("news", 'odd "name"') as listener:
        big = "x" * 7999
        for channel, payload in (("news", "one"), ('odd "name"', "zwei ü"), ("news", big)):
            await pool.exec_async("SELECT pg_notify($1, $2)", channel, payload)
        found = [await listener.get(5) for _ in range(3)]
        assert [(event.channel, event.payload) for event in found if isinstance(event, Notification)] == [
            ("news", "one"),
            ('odd "name"', "zwei ü"),
            ("news", big),
        ]
        with pytest.raises(TimeoutError):
            await listener.get(0.05)


async def test_e104_a_notification_comes_when_its_transaction_commits_and_equal_ones_once(
    pg_cluster: Cluster,
) -> None:
    async with PgPool(pg_cluster.dsn(), max_size=2) as pool, pool.listen("tx") as listener:
        async with pool.tx() as tx:
            for _ in range(3):
                await tx.exec_async("SELECT pg_notify('tx', 'same')")
            with pytest.raises(TimeoutError):
                await listener.get(0.05)
        with pytest.raises(KeyError):
            async with pool.tx() as tx:
                await tx.exec_async("SELECT pg_notify('tx', 'never')")
                raise KeyError
        await pool.exec_async("SELECT pg_notify('tx', 'last')")
        found = [await listener.get(5), await listener.get(5)]
        assert [event.payload for event in found if isinstance(event, Notification)] == ["same", "last"]


async def test_e104_a_lost_connection_is_made_again_and_the_gap_is_told(pg_cluster: Cluster) -> None:
    async with PgPool(pg_cluster.dsn(), max_size=2) as pool, pool.listen("gaps") as listener:
        for round_ in range(3):
            pg_cluster.sql(
                "select pg_terminate_backend(pid) from pg_stat_activity where query like 'LISTEN \"gaps\"%'"
            )
            gap = await listener.get(5)
            assert isinstance(gap, Gap)
            assert gap.error is not None
            assert gap.error.code == "57P01"
            await pool.exec_async("SELECT pg_notify('gaps', $1)", str(round_))
            event = await listener.get(5)
            assert isinstance(event, Notification)
            assert event.payload == str(round_)


async def test_e104_a_storm_is_received_whole(pg_cluster: Cluster) -> None:
    async with PgPool(pg_cluster.dsn(), max_size=2) as pool, pool.listen("storm") as listener:
        await pool.exec_async("SELECT pg_notify('storm', n::text) FROM generate_series(1, 5000) AS n")
        seen = []
        async for event in listener:
            assert isinstance(event, Notification)
            seen.append(int(event.payload))
            if len(seen) == 5000:
                break
        assert seen == list(range(1, 5001))


async def test_a_listener_that_cannot_connect_or_is_not_open_says_so(pg_cluster: Cluster) -> None:
    pool = PgPool("postgresql://postgres@127.0.0.1:1/x")
    with pytest.raises(PgConnectionError):
        async with pool.listen("a"):
            pass
    with pytest.raises(PgInterfaceError, match="at least one channel"):
        pool.listen()
    listener = pool.listen("a")
    with pytest.raises(PgInterfaceError, match="not open"):
        await listener.get(1)
    await pool.close()


async def test_a_task_that_waits_for_notifications_can_be_cancelled(pg_cluster: Cluster) -> None:
    async with PgPool(pg_cluster.dsn(), max_size=2) as pool, pool.listen("c") as listener:
        task = asyncio.create_task(listener.get())
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait([task])
        await pool.exec_async("SELECT pg_notify('c', 'kept')")
        assert isinstance(await listener.get(5), Notification)
