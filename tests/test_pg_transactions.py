"""Transactions, savepoints and what is run again (postgres_drivers e74)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from swift.pg import Pg, PgError, PgInterfaceError, PgPool, PgSerializationError, TxIsolation
from swift.pg.errors import PgTransactionRollback
from tests.pg_core_support import settled
from tests.pg_support import Cluster


@pytest.fixture
async def pool(pg_cluster: Cluster) -> AsyncIterator[PgPool]:
    async with PgPool(pg_cluster.dsn(), max_size=4) as pool:
        await pool.exec_script_async(
            "DROP TABLE IF EXISTS txs; CREATE TABLE txs (i int PRIMARY KEY, n int DEFAULT 0)"
        )
        yield pool
        await settled(pool)


async def rows(pool: PgPool) -> list[int]:
    found: list[int] = await pool.exec_async("SELECT i FROM txs ORDER BY i").scalars()
    return found


async def test_a_transaction_commits_and_any_exception_rolls_back(pool: PgPool) -> None:
    async with pool.tx() as tx:
        await tx.exec_async("INSERT INTO txs VALUES (1)")
    for failure in (ValueError, KeyboardInterrupt, asyncio.CancelledError):
        with pytest.raises(failure):
            async with pool.tx() as tx:
                await tx.exec_async("INSERT INTO txs VALUES (2)")
                raise failure
    assert await rows(pool) == [1]


async def test_a_nested_transaction_is_a_savepoint(pool: PgPool) -> None:
    async with pool.tx() as tx:
        await tx.exec_async("INSERT INTO txs VALUES (1)")
        with pytest.raises(PgError):
            async with tx.tx() as inner:
                await inner.exec_async("INSERT INTO txs VALUES (2)")
                await inner.exec_async("INSERT INTO txs VALUES (1)")
        async with tx.tx() as inner:
            await inner.exec_async("INSERT INTO txs VALUES (3)")
            with pytest.raises(KeyError):
                async with inner.tx() as innermost:
                    await innermost.exec_async("INSERT INTO txs VALUES (4)")
                    raise KeyError
        with pytest.raises(PgInterfaceError, match="outermost"):
            tx.tx(TxIsolation.serializable)
        with pytest.raises(PgInterfaceError, match="cannot be retried"):
            tx.tx(retries=1)
    assert await rows(pool) == [1, 3]


async def test_the_modes_are_those_asked_for(pool: PgPool) -> None:
    show = "SELECT current_setting('transaction_isolation'), current_setting('transaction_read_only')"
    async with pool.tx(TxIsolation.serializable, read_only=True, deferrable=True) as tx:
        assert await tx.exec_async(show).one(tuple) == ("serializable", "on")
        with pytest.raises(PgError) as caught:
            await tx.exec_async("INSERT INTO txs VALUES (1)")
        assert caught.value.code == "25006"
        await tx.exec_async("ROLLBACK")
        await tx.exec_async("BEGIN")
    async with pool.tx(TxIsolation.read_uncommitted) as tx:
        assert await tx.exec_async(show).one(tuple) == ("read uncommitted", "off")


async def test_e74_commit_of_a_failed_transaction_raises(pool: PgPool) -> None:
    with pytest.raises(PgTransactionRollback, match="rolled it back"):
        async with pool.tx() as tx:
            await tx.exec_async("INSERT INTO txs VALUES (1)")
            with pytest.raises(PgError):
                await tx.exec_async("SELECT 1/0")
    assert await rows(pool) == []


async def test_e74_a_deferred_constraint_fails_at_commit(pool: PgPool) -> None:
    await pool.exec_script_async(
        "DROP TABLE IF EXISTS child; CREATE TABLE child (i int REFERENCES txs DEFERRABLE INITIALLY DEFERRED)"
    )
    with pytest.raises(PgError) as caught:
        async with pool.tx() as tx:
            await tx.exec_async("INSERT INTO child VALUES (99)")
    assert caught.value.code == "23503"
    # The same by an autocommit query: its Sync is its commit (e11).
    with pytest.raises(PgError) as caught:
        await pool.exec_async("INSERT INTO child VALUES (99)")
    assert caught.value.code == "23503"
    await pool.exec_async("DROP TABLE child")


async def increments(pool: PgPool, tasks: int, run: Any) -> None:
    await pool.exec_async("INSERT INTO txs VALUES (1, 0)")
    await asyncio.gather(*(run() for _ in range(tasks)))
    assert await pool.exec_async("SELECT n FROM txs").scalar() == tasks


async def increment(tx: Pg) -> None:
    value = await tx.exec_async("SELECT n FROM txs WHERE i = 1").scalar()
    await asyncio.sleep(0.001)
    await tx.exec_async("UPDATE txs SET n = $1 WHERE i = 1", value + 1)


async def test_e74_run_tx_runs_the_whole_again_after_a_serialization_failure(pool: PgPool) -> None:
    attempts = 0

    async def counted(tx: Pg) -> None:
        nonlocal attempts
        attempts += 1
        await increment(tx)

    await increments(pool, 4, lambda: pool.run_tx(counted, isolation=TxIsolation.serializable, retries=50))
    assert attempts > 4


async def test_e74_the_loop_form_runs_again_too(pool: PgPool) -> None:
    async def looped() -> None:
        async for attempt in pool.tx(TxIsolation.repeatable_read, retries=50):
            async with attempt as tx:
                await increment(tx)

    await increments(pool, 4, looped)


async def test_e74_a_plain_transaction_is_not_run_again(pool: PgPool) -> None:
    await pool.exec_async("INSERT INTO txs VALUES (1, 0)")
    with pytest.raises(PgSerializationError) as caught:
        async with pool.tx(TxIsolation.repeatable_read, retries=3) as tx:
            await tx.exec_async("SELECT n FROM txs")
            await pool.exec_async("UPDATE txs SET n = n + 1")
            await tx.exec_async("UPDATE txs SET n = n + 1")
    assert caught.value.retryable


async def test_e74_other_errors_are_not_retried_and_retries_end(pool: PgPool) -> None:
    calls = 0

    async def failing(tx: Pg) -> None:
        nonlocal calls
        calls += 1
        if calls < 100:
            await tx.exec_async("DO $$ BEGIN RAISE SQLSTATE '40001'; END $$")

    with pytest.raises(PgSerializationError):
        await pool.run_tx(failing, retries=2)
    assert calls == 3

    async def wrong(tx: Pg) -> None:
        nonlocal calls
        calls += 1
        raise ValueError

    calls = 0
    with pytest.raises(ValueError):
        await pool.run_tx(wrong)
    assert calls == 1


async def test_a_deadlock_is_retried(pool: PgPool) -> None:
    await pool.exec_script_async("INSERT INTO txs VALUES (1), (2)")
    met = asyncio.Event()

    def crossing(first: int, second: int) -> Any:
        async def work(tx: Pg) -> None:
            await tx.exec_async("SET LOCAL deadlock_timeout = '20ms'")
            await tx.exec_async("UPDATE txs SET n = n + 1 WHERE i = $1", first)
            if not met.is_set():
                await asyncio.sleep(0.02)
                met.set()
            await tx.exec_async("UPDATE txs SET n = n + 1 WHERE i = $1", second)

        return work

    await asyncio.gather(pool.run_tx(crossing(1, 2), retries=10), pool.run_tx(crossing(2, 1), retries=10))
    assert await pool.exec_async("SELECT n FROM txs").scalars() == [2, 2]


async def test_queries_of_a_transaction_are_pipelined_in_order(pool: PgPool) -> None:
    async with pool.tx() as tx:
        queries = [tx.exec_async("INSERT INTO txs VALUES ($1)", number) for number in range(20)]
        assert await tx.exec_async("SELECT count(*) FROM txs").scalar() == 20
        assert all(query.done() for query in queries)
