"""The same core on threads that wait."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from swift.pg import (
    PgEncodeError,
    PgError,
    PgInterfaceError,
    PgPool,
    PgPoolTimeout,
    PgTimeout,
    TxIsolation,
    prepare,
)
from tests.pg_support import Cluster


@pytest.fixture
def pool(pg_cluster: Cluster) -> Iterator[PgPool]:
    with PgPool(pg_cluster.dsn(), max_size=3) as pool:
        pool.exec("DROP TABLE IF EXISTS waited")
        pool.exec("CREATE TABLE waited (i int PRIMARY KEY, t text)")
        yield pool
        assert pool.stats()["in_use"] == 0


class Waited(msgspec.Struct):
    i: int
    t: str | None


def test_statements_and_results(pool: PgPool) -> None:
    assert pool.exec("SELECT $1::text", "ü").scalar() == "ü"
    assert pool.exec("SELECT :a::int + :b::int", a=1, b=2).scalar() == 3
    assert pool.executemany("INSERT INTO waited VALUES ($1, $2)", ((n, str(n)) for n in range(3000))) == 3000
    assert pool.exec("SELECT * FROM waited WHERE i < 2 ORDER BY i").model(Waited) == [
        Waited(0, "0"),
        Waited(1, "1"),
    ]
    assert pool.run(prepare("SELECT i, t FROM waited WHERE i = $1", result=Waited), 7) == Waited(7, "7")
    assert [result.tag for result in pool.exec_script("SELECT 1; SELECT 2, 3")] == ["SELECT 1", "SELECT 1"]
    assert [
        result.tag for result in pool.batch([("SELECT 1", ()), ("DELETE FROM waited WHERE i = $1", (1,))])
    ] == [
        "SELECT 1",
        "DELETE 1",
    ]
    with pytest.raises(PgEncodeError):
        pool.executemany("INSERT INTO waited VALUES ($1)", [(9001,), ("x",)])
    with pytest.raises(PgError):
        pool.batch([("DELETE FROM waited", ()), ("SELECT 1/0", ())])
    assert pool.exec("SELECT count(*) FROM waited").scalar() == 2999


def test_transactions_savepoints_and_retries(pool: PgPool) -> None:
    with pool.tx(TxIsolation.serializable) as tx:
        tx.exec("INSERT INTO waited VALUES (1)")
        with pytest.raises(KeyError), tx.tx() as inner:
            inner.exec("INSERT INTO waited VALUES (2)")
            raise KeyError
    with pytest.raises(ValueError), pool.tx() as tx:
        tx.exec("INSERT INTO waited VALUES (3)")
        raise ValueError
    assert pool.exec("SELECT i FROM waited").scalars() == [1]
    calls = 0
    for attempt in pool.tx(retries=3):
        with attempt as tx:
            calls += 1
            if calls < 3:
                tx.exec("DO $$ BEGIN RAISE SQLSTATE '40001'; END $$")
    assert calls == 3
    assert pool.run_tx_blocking(lambda tx: tx.exec("SELECT 5").scalar()) == 5


def test_streams_copies_and_cursors(pool: PgPool) -> None:
    with pool.get() as pg:
        copying = pg.copy_in("COPY waited FROM STDIN CSV")
        with copying as pipe:
            for number in range(20_000):
                pipe.write(f"{number},name {number}\n")
        assert copying.rows == 20_000
        assert pg.copy_records("waited", [(n, None) for n in range(20_000, 30_000)]) == 10_000
        assert sum(1 for _ in pg.stream("SELECT * FROM waited", chunk_size=999)) == 30_000
        assert sum(chunk.count(b"\n") for chunk in pg.copy_out("COPY waited TO STDOUT")) == 30_000
        for _ in pg.copy_out("COPY waited TO STDOUT"):
            break
        for row in pg.stream("SELECT i FROM waited ORDER BY i", chunk_size=10):
            if row.i == 25:
                break
        with pytest.raises(KeyError), pg.copy_in("COPY waited FROM STDIN") as pipe:
            pipe.write(b"99999\tx\n")
            raise KeyError
        with pg.cursor("SELECT i FROM waited ORDER BY i") as cursor:
            assert [row.i for row in cursor.fetch_blocking(3)] == [0, 1, 2]
        assert pg.exec("SELECT count(*) FROM waited").scalar() == 30_000


def test_a_deadline_leaves_the_connection_clean(pool: PgPool) -> None:
    with pool.get() as pg:
        start = time.monotonic()
        with pytest.raises(PgTimeout):
            pg.exec("SELECT pg_sleep(30)", deadline_ms=50)
        assert time.monotonic() - start < 5
        assert pg.exec("SELECT 1").scalar() == 1


def test_another_thread_may_cancel(pool: PgPool) -> None:
    with pool.get() as pg:
        pg.exec("SELECT 1")
        threading.Timer(0.1, pg.cancel_blocking).start()
        with pytest.raises(PgError) as caught:
            pg.exec("SELECT pg_sleep(30)")
        assert caught.value.code == "57014"


def test_e36_a_large_question_with_a_large_answer_does_not_block(pool: PgPool) -> None:
    big = "x" * 20_000_000
    assert len(pool.exec("SELECT $1::text || $1::text", big).scalar()) == 2 * len(big)


def test_threads_take_turns(pool: PgPool) -> None:
    def work(number: int) -> int:
        total = 0
        for step in range(20):
            with pool.get() as pg:
                total += pg.exec("SELECT $1::int", number * step).scalar()
        return total

    with ThreadPoolExecutor(12) as threads:
        assert list(threads.map(work, range(12))) == [number * 190 for number in range(12)]
    assert pool.stats()["size"] <= 3


def test_a_thread_that_waits_too_long_is_told(pool: PgPool) -> None:
    held = [pool.get() for _ in range(3)]
    with pytest.raises(PgPoolTimeout, match="all 3 are in use"):
        pool.get(deadline_ms=30)
    for pg in held:
        pg.release()


def test_async_calls_need_a_loop_and_say_so(pool: PgPool) -> None:
    with pytest.raises(PgInterfaceError, match="no running event loop"):
        pool.exec_async("SELECT 1")
    with pool.get() as pg, pytest.raises(PgInterfaceError, match="use `exec`"):
        pg.exec_async("SELECT 1")


async def test_get_under_a_loop_is_acquire(pg_cluster: Cluster) -> None:
    async with PgPool(pg_cluster.dsn(), max_size=2) as pool:
        async with pool.get() as pg:
            assert await pg.exec_async("SELECT 1").scalar() == 1
            with pytest.raises(PgInterfaceError, match="use `exec_async`"):
                pg.exec("SELECT 1")
        assert await asyncio.to_thread(lambda: pool.exec("SELECT 2").scalar()) == 2
