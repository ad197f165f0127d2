"""Statements and their results on a real server."""

from __future__ import annotations

import asyncio
import dataclasses
import os
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from swift.futures import when_all
from swift.pg import (
    PgEncodeError,
    PgError,
    PgInterfaceError,
    PgManyRows,
    PgNoRow,
    PgPool,
    QueryResult,
    Row,
    prepare,
)
from tests.pg_support import Cluster

SERIES = "SELECT n, 'name ' || n AS name FROM generate_series(1, $1::int) AS n"


@pytest.fixture
async def pool(pg_cluster: Cluster) -> AsyncIterator[PgPool]:
    async with PgPool(pg_cluster.dsn(), max_size=3) as pool:
        yield pool


class Named(msgspec.Struct):
    n: int
    name: str


@dataclasses.dataclass
class Plain:
    n: int
    name: str


# Results


async def test_a_result_answers_in_every_form(pool: PgPool) -> None:
    result = await pool.exec_async(SERIES, 2)
    assert isinstance(result, QueryResult)
    assert result.columns == ("n", "name")
    assert (result.tag, result.rowcount, len(result)) == ("SELECT 2", 2, 2)
    assert all(isinstance(row, Row) for row in result)
    assert result.rows() == [(1, "name 1"), (2, "name 2")]
    assert result.all(dict)[1] == {"n": 2, "name": "name 2"}
    assert result.model(Named) == [Named(1, "name 1"), Named(2, "name 2")]
    assert result.all(Plain)[0] == Plain(1, "name 1")
    assert result.into(list[tuple[int, str]])[0] == (1, "name 1")
    assert result.first(Named) == Named(1, "name 1")
    assert result.scalar() == 1
    assert result.scalars() == [1, 2]
    assert result.json() == b'[{"n":1,"name":"name 1"},{"n":2,"name":"name 2"}]'
    assert [row.name for row in result.stream(1)] == ["name 1", "name 2"]
    assert result[1].n == 2


async def test_dict_of_a_result_is_its_only_row(pool: PgPool) -> None:
    result = await pool.exec_async(SERIES, 1)
    assert dict(result) == {"n": 1, "name": "name 1"}
    assert result["name"] == "name 1"
    with pytest.raises(PgManyRows):
        dict(await pool.exec_async(SERIES, 2))


async def test_helpers_chain_on_the_future(pool: PgPool) -> None:
    ask = pool.exec_async
    assert (await ask(SERIES, 1).one()).name == "name 1"
    assert await ask(SERIES, 1).one(Named) == Named(1, "name 1")
    assert await ask(SERIES, 0).one_or_none() is None
    assert await ask(SERIES, 0).first() is None
    assert (await ask(SERIES, 3).first(tuple)) == (1, "name 1")
    assert len(await ask(SERIES, 3).all()) == 3
    assert await ask(SERIES, 2).rows() == [(1, "name 1"), (2, "name 2")]
    assert await ask(SERIES, 2).model(Plain) == [Plain(1, "name 1"), Plain(2, "name 2")]
    assert await ask(SERIES, 3).scalars() == [1, 2, 3]
    assert await ask(SERIES, 1).json() == b'[{"n":1,"name":"name 1"}]'
    assert await ask(SERIES, 0).json() == b"[]"
    assert await ask(SERIES, 2).tag() == "SELECT 2"
    assert await ask(SERIES, 2).scalars().then(sum) == 3


@pytest.mark.parametrize(("rows", "failure"), [(0, PgNoRow), (2, PgManyRows)])
async def test_one_refuses_any_other_number(pool: PgPool, rows: int, failure: type[Exception]) -> None:
    with pytest.raises(failure, match="Expected exactly one row"):
        await pool.exec_async(SERIES, rows).one()
    with pytest.raises(failure):
        (await pool.exec_async(SERIES, rows)).one()


async def test_scalar_without_a_row_is_an_error(pool: PgPool) -> None:
    with pytest.raises(PgNoRow):
        await pool.exec_async(SERIES, 0).scalar()


async def test_a_helper_after_the_answer_reads_the_result(pool: PgPool) -> None:
    query = pool.exec_async(SERIES, 2)
    await query
    assert await query.scalars() == [1, 2]
    assert await query.json() == b'[{"n":1,"name":"name 1"},{"n":2,"name":"name 2"}]'


async def test_a_second_helper_is_refused(pool: PgPool) -> None:
    query = pool.exec_async(SERIES, 1).one()
    with pytest.raises(PgInterfaceError, match="a helper was already chosen"):
        query.all()  # type: ignore[attr-defined]
    await query


async def test_a_model_that_does_not_fit_fails_its_query_only(pool: PgPool) -> None:
    class Other(msgspec.Struct):
        n: int
        age: int

    bad, good = pool.exec_async(SERIES, 1).all(Other), pool.exec_async(SERIES, 1).all(Named)
    with pytest.raises(TypeError, match="has no column of its name"):
        await bad
    assert await good == [Named(1, "name 1")]


# e.3: shapes of answers


async def test_e38_a_statement_without_rows_has_no_columns(pool: PgPool) -> None:
    result = await pool.exec_async("DO $$ BEGIN END $$")
    assert (result.columns, result.all(), result.tag) == ((), [], "DO")
    assert result.json() == b"[]"


async def test_e38_call_with_inout_parameters_has_rows(pool: PgPool, pg_cluster: Cluster) -> None:
    pg_cluster.sql(
        "create or replace procedure double(inout x int) language plpgsql as 'begin x := 2 * x; end'"
    )
    assert await pool.exec_async("CALL double($1)", 21).scalar() == 42


@pytest.mark.parametrize("sql", ["", ";", " ", "-- nothing", "/* nothing /* at all */ */"])
async def test_e47_an_empty_query_has_no_tag(pool: PgPool, sql: str) -> None:
    result = await pool.exec_async(sql)
    assert (result.tag, result.rowcount, len(result)) == (None, -1, 0)


async def test_e48_a_script_has_a_result_for_each_statement(pool: PgPool) -> None:
    results = await pool.exec_script_async(
        "SELECT 1 AS a; SELECT 'x' AS b, NULL AS c; CREATE TEMP TABLE e48 (i int)"
    )
    assert [result.tag for result in results] == ["SELECT 1", "SELECT 1", "CREATE TABLE"]
    assert tuple(results[1].one()) == ("x", None)
    assert results[0].scalar() == "1"


async def test_e48_an_error_in_a_script_rolls_back_what_was_before_it(
    pool: PgPool, pg_cluster: Cluster
) -> None:
    pg_cluster.sql("drop table if exists e48")
    pg_cluster.sql("create table e48 (i int)")
    with pytest.raises(PgError) as caught:
        await pool.exec_script_async("INSERT INTO e48 VALUES (1); SELECT 1/0; INSERT INTO e48 VALUES (2)")
    assert caught.value.code == "22012"
    assert await pool.exec_async("SELECT count(*) FROM e48").scalar() == 0
    with pytest.raises(PgError):
        await pool.exec_script_async("BEGIN; INSERT INTO e48 VALUES (1); COMMIT; SELECT 1/0")
    assert await pool.exec_async("SELECT count(*) FROM e48").scalar() == 1


async def test_e48_several_statements_need_a_script(pool: PgPool) -> None:
    with pytest.raises(PgError) as caught:
        await pool.exec_async("SELECT 1; SELECT 2")
    assert caught.value.code == "42601"


@pytest.mark.parametrize(
    ("sql", "tag", "rowcount"),
    [
        ("CREATE TABLE e49 AS SELECT generate_series(1, 3) AS i", "SELECT 3", 3),
        ("INSERT INTO e49 VALUES (4), (5)", "INSERT 0 2", 2),
        ("UPDATE e49 SET i = i + 1 WHERE i > 3", "UPDATE 2", 2),
        ("MERGE INTO e49 USING (VALUES (1)) v(i) ON e49.i = v.i WHEN MATCHED THEN DELETE", "MERGE 1", 1),
        ("DELETE FROM e49", "DELETE 4", 4),
        ("TRUNCATE e49", "TRUNCATE TABLE", -1),
        ("DROP TABLE e49", "DROP TABLE", -1),
    ],
)
async def test_e49_the_tag_tells_the_rows(pool: PgPool, sql: str, tag: str, rowcount: int) -> None:
    result = await pool.exec_async(sql)
    assert (result.tag, result.rowcount) == (tag, rowcount)


@pytest.mark.parametrize("sql", ["SELECT 1\0; DROP TABLE users", "\0"])
async def test_e50_a_nul_in_the_text_is_refused_before_anything_is_sent(pool: PgPool, sql: str) -> None:
    with pytest.raises(PgInterfaceError, match="NUL"):
        pool.exec_async(sql)
    with pytest.raises(PgInterfaceError, match="NUL"):
        await pool.copy_records_async("t\0able", [])
    assert await pool.exec_async("SELECT 1").scalar() == 1


async def test_e51_an_argument_that_cannot_be_encoded_leaves_nothing_behind(pool: PgPool) -> None:
    queries = [pool.exec_async("SELECT $1::int4", value) for value in (1, "two", 3, 2**31, 5)]
    found = [query.exception() or query.result().scalar() for query in queries if await done(query)]
    assert [one if isinstance(one, int) else type(one) for one in found] == [
        1,
        PgEncodeError,
        3,
        PgEncodeError,
        5,
    ]
    assert "two" not in str(found[1])
    assert "$1 (int4): expected `int`, got `str`" in str(found[1])


async def done(query: Any) -> bool:
    await asyncio.wait([asyncio.ensure_future(query)])
    return True


def available_memory() -> int:
    with open("/proc/meminfo") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))


@pytest.mark.skipif(
    not os.path.exists("/proc/meminfo") or available_memory() < 5_000_000_000,
    reason="a message of a gigabyte needs 5 GB of free memory",
)
async def test_e51_a_message_above_a_gigabyte_is_refused_before_anything_is_sent(pool: PgPool) -> None:
    big = memoryview(bytearray(400_000_000))
    with pytest.raises(PgInterfaceError, match="longer than the server accepts"):
        await pool.exec_async(
            "SELECT length($1::bytea) + length($2::bytea) + length($3::bytea)", big, big, big
        )
    assert await pool.exec_async("SELECT 1").scalar() == 1


async def test_the_number_of_arguments_is_checked(pool: PgPool) -> None:
    with pytest.raises(PgEncodeError, match="takes 1 parameters, 2 were given"):
        await pool.exec_async("SELECT $1::int", 1, 2)
    many = ",".join(f"(${number}::int)" for number in range(1, 40_001))
    assert len(await pool.exec_async(f"VALUES {many}", *[1] * 40_000)) == 40_000


# Names and prepared queries


async def test_named_parameters_are_bound_by_name(pool: PgPool) -> None:
    sql = "SELECT :a::int + :b::int + :a::int AS sum, ':c' AS text, '1'::int AS cast -- :d"
    assert dict(await pool.exec_async(sql, a=1, b=10)) == {"sum": 12, "text": ":c", "cast": 1}


async def test_a_prepared_query_says_what_it_is_read_into(pool: PgPool) -> None:
    all_of, one_of = prepare(SERIES, result=list[Named]), prepare(SERIES, result=tuple[int, str])
    assert await pool.run_async(all_of, 2) == [Named(1, "name 1"), Named(2, "name 2")]
    number, name = await pool.run_async(one_of, 1)
    assert (number, name) == (1, "name 1")
    assert (await pool.run_async(prepare("SELECT :x::int"), x=5)).scalar() == 5


# Many at once


async def test_twenty_queries_of_one_task_are_in_flight_together(pool: PgPool) -> None:
    found = await when_all([pool.exec_async("SELECT $1::int", number).scalar() for number in range(20)])
    assert found == list(range(20))


async def test_executemany_is_one_transaction(pool: PgPool, pg_cluster: Cluster) -> None:
    await pool.exec_async("CREATE TABLE IF NOT EXISTS many (i int PRIMARY KEY, t text)")
    await pool.exec_async("TRUNCATE many")
    assert (
        await pool.executemany_async(
            "INSERT INTO many VALUES ($1, $2)", ((n, "x" * 100) for n in range(5000))
        )
        == 5000
    )
    with pytest.raises(PgError) as caught:
        await pool.executemany_async("INSERT INTO many VALUES ($1, $2)", [(9000, "a"), (1, "b"), (9001, "c")])
    assert caught.value.code == "23505"
    assert await pool.exec_async("SELECT count(*) FROM many").scalar() == 5000


async def test_e52_an_argument_that_fails_in_the_middle_rolls_everything_back(pool: PgPool) -> None:
    await pool.exec_async("CREATE TABLE IF NOT EXISTS e52 (i int)")
    rows: list[Any] = [(n,) for n in range(30_000)]
    with pytest.raises(PgEncodeError, match=r"\$1 \(int4\)"):
        await pool.executemany_async("INSERT INTO e52 VALUES ($1)", [*rows, ("x",)])
    # The first failure wins, whoever finds it: the server's of an earlier row.
    with pytest.raises(PgError) as caught:
        await pool.executemany_async("INSERT INTO e52 VALUES (1 / $1)", [(1,), (0,), ("x",)])
    assert caught.value.code == "22012"
    assert await pool.exec_async("SELECT count(*) FROM e52").scalar() == 0


async def test_e53_executemany_of_nothing_and_of_generators(pool: PgPool) -> None:
    await pool.exec_async("CREATE TABLE IF NOT EXISTS e53 (i int)")
    assert await pool.executemany_async("INSERT INTO e53 VALUES ($1)", []) == 0

    def failing() -> Any:
        yield (1,)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await pool.executemany_async("INSERT INTO e53 VALUES ($1)", failing())

    async def coming() -> AsyncIterator[tuple[int]]:
        for number in range(3):
            await asyncio.sleep(0)
            yield (number,)

    assert await pool.executemany_async("INSERT INTO e53 VALUES ($1)", coming()) == 3
    assert await pool.exec_async("SELECT count(*) FROM e53").scalar() == 3


async def test_e53_a_server_error_stops_the_producer(pool: PgPool) -> None:
    taken = 0

    def counting() -> Any:
        nonlocal taken
        while taken < 2_000_000:
            taken += 1
            yield (0, "x" * 200)

    with pytest.raises(PgError) as caught:
        await pool.executemany_async("SELECT 1 / $1::int, $2::text", counting())
    assert caught.value.code == "22012"
    assert taken < 1_000_000


async def test_a_batch_is_one_transaction_with_a_result_each(pool: PgPool) -> None:
    await pool.exec_async("CREATE TABLE IF NOT EXISTS batches (i int)")
    results = await pool.batch_async(
        [
            ("INSERT INTO batches VALUES ($1)", (1,)),
            ("SELECT count(*) FROM batches", ()),
            ("SELECT $1::text", ("x",)),
        ]
    )
    assert [result.tag for result in results] == ["INSERT 0 1", "SELECT 1", "SELECT 1"]
    for bad in [("SELECT 1/0", ()), ("SELECT $1::int", ("x",))]:
        with pytest.raises(PgError) as caught:
            await pool.batch_async([("INSERT INTO batches VALUES (2)", ()), bad, ("SELECT 1", ())])
        assert caught.value.code in ("22012", "")
    assert await pool.exec_async("SELECT count(*) FROM batches").scalar() == 1


# Rows in chunks


async def test_a_stream_brings_every_row_once(pool: PgPool) -> None:
    assert [row.n async for row in pool.stream(SERIES, 1000, chunk_size=7)] == list(range(1, 1001))
    assert [row async for row in pool.stream(SERIES, 3, into=Named)][2] == Named(3, "name 3")
    assert [rows async for rows in pool.stream(SERIES, 5, chunk_size=2, into="scalar").chunks()] == [
        [1, 2],
        [3, 4],
        [5],
    ]
    assert pool.stats()["in_use"] == 0


async def test_a_stream_of_changing_rows_commits_at_its_end(pool: PgPool) -> None:
    await pool.exec_async("CREATE TABLE IF NOT EXISTS streamed (i int)")
    sql = "INSERT INTO streamed SELECT generate_series(1, 10) RETURNING i"
    assert len([row async for row in pool.stream(sql, chunk_size=3)]) == 10
    assert await pool.exec_async("SELECT count(*) FROM streamed").scalar() == 10
    async for _ in pool.stream(sql, chunk_size=3):
        break
    assert await pool.exec_async("SELECT count(*) FROM streamed").scalar() == 10


async def test_e110_a_stream_left_early_is_not_sent_to_its_end(pool: PgPool) -> None:
    async with pool.stream("SELECT generate_series(1, 100000000)", chunk_size=10) as stream:
        async for _ in stream:
            break
    await pool.exec_async("SELECT 1")
    assert pool.stats()["in_use"] == 0


async def test_e110_a_large_result_lets_the_loop_run(pool: PgPool) -> None:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0.001)

    task = asyncio.create_task(tick())
    rows = await pool.exec_async("SELECT n, 'x' || n FROM generate_series(1, 200000) AS n").rows()
    task.cancel()
    assert len(rows) == 200_000
    assert ticks >= 5


async def test_e46_a_stream_in_a_transaction_lets_other_statements_between(pool: PgPool) -> None:
    async with pool.tx() as tx:
        seen = []
        async for row in tx.stream(SERIES, 6, chunk_size=2):
            seen.append((row.n, await tx.exec_async("SELECT $1::int * 10", row.n).scalar()))
        assert seen == [(n, n * 10) for n in range(1, 7)]
        with pytest.raises(PgError):
            async for _ in tx.stream("SELECT 1 / (3 - n) FROM generate_series(1, 5) AS n", chunk_size=1):
                pass
        assert tx.transaction_status == "E"
        with pytest.raises(PgError) as caught:
            await tx.exec_async("SELECT 1")
        assert caught.value.code == "25P02"
        await tx.exec_async("ROLLBACK")


async def test_e46_a_cursor_is_moved_by_hand_and_dies_with_its_transaction(pool: PgPool) -> None:
    async with pool.cursor(SERIES, 10, into=tuple) as cursor:
        assert [row[0] for row in await cursor.fetch(3)] == [1, 2, 3]
        assert [row[0] for row in await cursor.fetch(4)] == [4, 5, 6, 7]
        assert len(await cursor.fetch_all()) == 3
        assert await cursor.fetch(5) == []
    async with pool.acquire() as pg:
        async with pg.tx() as tx:
            async with tx.cursor(SERIES, 10) as cursor:
                await cursor.fetch(1)
                await tx.exec_async("COMMIT")
                with pytest.raises(PgError) as caught:
                    await cursor.fetch(1)
                assert caught.value.code == "34000"
            await tx.exec_async("BEGIN")
        assert await pg.exec_async("SELECT 1").scalar() == 1


# e.6: of this floor


async def test_e97_columns_without_names_twice_and_not_at_all(pool: PgPool) -> None:
    result = await pool.exec_async("SELECT 1 AS a, 2 AS a, 3")
    assert result.rows() == [(1, 2, 3)]
    assert result.one()["a"] == 1
    assert len(await pool.exec_async("SELECT FROM generate_series(1, 3)")) == 3
    assert await pool.exec_async("SELECT FROM generate_series(1, 2)").rows() == [(), ()]


async def test_e98_values_do_not_change_when_the_buffer_is_used_again(pool: PgPool) -> None:
    async with pool.acquire() as pg:
        first = await pg.exec_async("SELECT repeat('a', 50), decode(repeat('61', 50), 'hex')").one()
        for _ in range(20):
            await pg.exec_async("SELECT repeat('b', 5000)")
        assert tuple(first) == ("a" * 50, b"a" * 50)


async def test_types_of_a_database_of_ones_own_are_learned_once_per_pool(
    pg_database: str, pg_cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = pg_database.rsplit("/", 1)[1]
    pg_cluster.sql("create type mood as enum ('sad', 'happy')", database)
    pg_cluster.sql("create type point3 as (x int, y int, mood mood)", database)
    async with PgPool(pg_database, max_size=4) as pool:
        learned: list[int] = []
        learn = pool.registry.learn

        def counting(rows: Any, asked: Any = ()) -> None:
            learned.extend(asked)
            learn(rows, asked)

        monkeypatch.setattr(pool.registry, "learn", counting, raising=True)
        sql = "SELECT $1::mood AS mood, ROW(1, 2, 'sad')::point3 AS point, ARRAY['sad', 'happy']::mood[] AS moods"
        found = await when_all([pool.exec_async(sql, "happy").one() for _ in range(10)])
        assert {row.mood for row in found} == {"happy"}
        assert found[0].moods == ["sad", "happy"]
        assert await pool.exec_async("SELECT ROW(1, 2, 'happy')::point3").json() != b""
        # Ten queries on four connections, and each type was asked for once.
        assert len(learned) == len(set(learned))
