"""Many callers over few connections, and prepared statements (postgres_drivers e.3)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from swift.futures import when_all
from swift.pg import PgError, PgInterfaceError, PgPool, PgTimeout
from tests.pg_core_support import links, settled, until
from tests.pg_fake_server import (
    BIND_COMPLETE,
    CLOSE_COMPLETE,
    NO_DATA,
    PARSE_COMPLETE,
    FakeServer,
    Peer,
    command_complete,
    data_row,
    error,
    parameter_description,
    ready,
    row_description,
)
from tests.pg_support import Cluster


@pytest.fixture
async def pool(pg_cluster: Cluster) -> AsyncIterator[PgPool]:
    async with PgPool(pg_cluster.dsn(), max_size=2) as pool:
        yield pool


@pytest.fixture
async def single(pg_cluster: Cluster) -> AsyncIterator[PgPool]:
    async with PgPool(pg_cluster.dsn(), max_size=1) as pool:
        yield pool


async def outcome(query: Any) -> Any:
    try:
        return await query
    except PgError as failure:
        return failure.code or type(failure)


# One Sync per query


async def test_e29_an_error_belongs_to_exactly_one_query(single: PgPool) -> None:
    queries = [single.exec_async("SELECT 10 / $1::int", divisor).scalar() for divisor in (1, 0, 2, 0, 5)]
    assert [await outcome(query) for query in queries] == [10, "22012", 5, "22012", 2]
    assert single.stats()["created"] == 1


async def test_e30_a_query_is_a_transaction_of_its_own_whatever_is_around_it(single: PgPool) -> None:
    await single.exec_async("CREATE TABLE IF NOT EXISTS e30 (i int)")
    await single.exec_async("TRUNCATE e30")
    queries = [
        single.exec_async("INSERT INTO e30 VALUES ($1)", 1),
        single.exec_async("INSERT INTO e30 VALUES (1 / $1::int)", 0),
        single.exec_async("INSERT INTO e30 VALUES ($1)", 2),
    ]
    found = [await outcome(query) for query in queries]
    assert found[1] == "22012"
    assert await single.exec_async("SELECT i FROM e30 ORDER BY i").scalars() == [1, 2]


async def test_e31_a_script_and_a_copy_stand_between_pipelined_queries(pool: PgPool) -> None:
    async with pool.acquire() as pg:
        before = pg.exec_async("SELECT 1").scalar()
        script = asyncio.create_task(pg.exec_script_async("SELECT 2; SELECT 3"))
        await asyncio.sleep(0)
        after = pg.exec_async("SELECT 4").scalar()
        async with pg.tx() as tx:
            assert await tx.exec_async("SELECT 5").scalar() == 5
        assert (await before, [r.scalar() for r in await script], await after) == (1, ["2", "3"], 4)


async def test_e31_what_is_submitted_during_a_copy_waits_for_its_end(pool: PgPool) -> None:
    await pool.exec_async("CREATE TABLE IF NOT EXISTS e31 (i int)")
    async with pool.acquire() as pg:
        async with pg.copy_in("COPY e31 FROM STDIN") as pipe:
            waiting = pg.exec_async("SELECT count(*) FROM e31").scalar()
            await pipe.write(b"1\n2\n")
            assert not waiting.done()
        assert await waiting >= 2


@pytest.mark.parametrize(
    "sql", ["BEGIN", "/* x */ begin", "COMMIT", "ROLLBACK", "START TRANSACTION", "SAVEPOINT a", "-- c\nEND"]
)
async def test_e32_a_transaction_cannot_be_begun_on_a_shared_connection(pool: PgPool, sql: str) -> None:
    with pytest.raises(PgInterfaceError, match="use `tx"):
        await pool.exec_async(sql)
    assert await pool.exec_async("SELECT 1").scalar() == 1


async def test_e32_a_transaction_left_open_is_rolled_back_raised_and_its_connection_evicted() -> None:
    def script(peer: Peer) -> None:
        peer.welcome()
        peer.skip_until("S")
        # What no statement shows: the session is in a transaction afterwards.
        peer.send(
            PARSE_COMPLETE,
            parameter_description(),
            NO_DATA,
            BIND_COMPLETE,
            command_complete("DO"),
            ready("T"),
        )
        assert peer.expect("Q") == b"ROLLBACK\0"
        peer.send(command_complete("ROLLBACK"), ready())
        peer.expect("X")

    with FakeServer(script) as server:
        async with PgPool(server.dsn(), max_size=1) as pool:
            with pytest.raises(PgInterfaceError, match="left a transaction open"):
                await pool.exec_async("DO $$ BEGIN END $$")
            await until(lambda: pool.stats()["size"] == 0)


@pytest.mark.parametrize(
    "sql",
    [
        "SET application_name = 'mine'",
        "SET search_path = nowhere",
        "SET ROLE pg_monitor",
        "SELECT set_config('application_name', 'mine', false)",
        "LISTEN somewhere",
        "CREATE TEMP TABLE e33 (i int)",
        "SELECT pg_advisory_lock(33)",
        "PREPARE e33 AS SELECT 1",
        "DECLARE e33 CURSOR WITH HOLD FOR SELECT 1",
    ],
)
async def test_e33_what_a_statement_leaves_in_its_session_is_gone_for_the_next_caller(
    single: PgPool, sql: str
) -> None:
    state = (
        "SELECT current_setting('application_name'), current_setting('search_path'), current_user::text, "
        "(SELECT count(*) FROM pg_listening_channels()), to_regclass('e33') IS NULL, "
        "(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()), "
        "(SELECT count(*) FROM pg_cursors WHERE is_holdable)"
    )
    before = await single.exec_async(state).one(tuple)
    await single.exec_async(sql)
    assert await single.exec_async(state).one(tuple) == before
    assert single.stats()["created"] == 1


async def test_e34_a_slow_query_does_not_hold_up_the_rest(pool: PgPool) -> None:
    slow = pool.exec_async("SELECT pg_sleep(0.5)")
    await asyncio.sleep(0.05)
    start = time.monotonic()
    for number in range(200):
        assert await pool.exec_async("SELECT $1::int", number).scalar() == number
    assert time.monotonic() - start < 0.4
    assert not slow.done()
    await slow


async def test_e34_slow_statements_together_leave_a_connection_to_the_others(pool: PgPool) -> None:
    await pool.exec_async("SELECT pg_sleep(0.03)")
    slow = [pool.exec_async("SELECT pg_sleep(0.03)") for _ in range(10)]
    start = time.monotonic()
    assert await pool.exec_async("SELECT 1").scalar() == 1
    assert time.monotonic() - start < 0.1
    assert sum(query.done() for query in slow) < 10
    await when_all(slow)


async def test_e34_a_query_that_waits_for_a_connection_is_simply_removed_by_its_deadline(
    single: PgPool,
) -> None:
    await single.exec_async("CREATE TABLE IF NOT EXISTS e34 (i int)")
    await single.exec_async("TRUNCATE e34")
    async with single.acquire() as pg:
        late = single.exec_async("INSERT INTO e34 VALUES (1)", deadline_ms=20)
        with pytest.raises(PgTimeout) as caught:
            await late
        assert caught.value.safe_to_retry
        assert await pg.exec_async("SELECT 1").scalar() == 1
    assert await single.exec_async("SELECT count(*) FROM e34").scalar() == 0


async def test_e35_a_deadline_never_cancels_another_callers_query(single: PgPool) -> None:
    # Both are on one connection, the second behind the first.
    single.exec_async("SELECT 1")
    await single.exec_async("SELECT pg_sleep($1)", 0.0)
    first = single.exec_async("SELECT pg_sleep($1)", 0.3, deadline_ms=30)
    second = single.exec_async("SELECT 'untouched'").scalar()
    with pytest.raises(PgTimeout):
        await first
    assert await second == "untouched"
    await settled(single)


async def test_e36_large_questions_and_large_answers_do_not_block_each_other(single: PgPool) -> None:
    big = "x" * 2_000_000
    found = await when_all(
        [single.exec_async("SELECT $1::text || $2::text", big, str(n)).scalar() for n in range(12)]
    )
    assert [len(text) for text in found] == [len(big) + len(str(n)) for n in range(12)]


# Prepared statements


async def test_e37_arguments_are_encoded_as_the_server_says_not_by_guess(pool: PgPool) -> None:
    assert await pool.exec_async("SELECT pg_typeof($1 + 1::int8)::text", 1).scalar() == "bigint"
    assert await pool.exec_async("SELECT pg_typeof('a' || $1)::text", "x").scalar() == "text"


async def test_e39_a_changed_result_type_is_prepared_again_once(pool: PgPool) -> None:
    await pool.exec_async("DROP TABLE IF EXISTS e39")
    await pool.exec_async("CREATE TABLE e39 AS SELECT 1 AS a")
    sql = "SELECT * FROM e39 WHERE a = $1"
    for _ in range(10):
        assert (await pool.exec_async(sql, 1).one(tuple)) == (1,)
    await pool.exec_async("ALTER TABLE e39 ADD COLUMN b text DEFAULT 'new'")
    found = await when_all([pool.exec_async(sql, 1).one(tuple) for _ in range(10)])
    assert set(found) == {(1, "new")}
    async with pool.tx() as tx:
        assert await tx.exec_async(sql, 1).one(tuple) == (1, "new")


async def test_e39_inside_a_transaction_the_error_is_the_callers(pool: PgPool) -> None:
    await pool.exec_async("DROP TABLE IF EXISTS e39b")
    await pool.exec_async("CREATE TABLE e39b AS SELECT 1 AS a")
    async with pool.acquire() as pg:
        await pg.exec_async("SELECT * FROM e39b WHERE a = $1", 1)
        await pool.exec_async("ALTER TABLE e39b ADD COLUMN b int")
        with pytest.raises(PgError) as caught:
            async with pg.tx() as tx:
                await tx.exec_async("SELECT * FROM e39b WHERE a = $1", 1)
        assert caught.value.code == "0A000"
        assert len(await pg.exec_async("SELECT * FROM e39b WHERE a = $1", 1).one()) == 2


@pytest.mark.parametrize("sql", ["DISCARD ALL", "DEALLOCATE ALL"])
async def test_e40_a_statement_that_disappeared_is_prepared_again(pool: PgPool, sql: str) -> None:
    async with pool.acquire() as pg:
        for _ in range(3):
            assert await pg.exec_async("SELECT $1::int", 1).scalar() == 1
            await pg.exec_script_async(sql)
        assert await pg.exec_async("SELECT $1::int", 1).scalar() == 1


async def test_e40_a_statement_dropped_behind_our_back_is_prepared_again(pool: PgPool) -> None:
    async with pool.acquire() as pg:
        await pg.exec_async("SELECT $1::int", 1)
        await pg.exec_async("DO $$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$")
        assert await pg.exec_async("SELECT $1::int", 2).scalar() == 2


async def test_e40_a_name_that_exists_already_is_the_same_statement(pool: PgPool) -> None:
    sql = "SELECT 40 + $1::int"
    await pool.exec_async(sql, 1)
    name = pool.multiplexer().statement(sql).name.decode()
    async with PgPool(pool.options, max_size=1) as other, other.acquire() as pg:
        await pg.exec_script_async(f"PREPARE {name} AS {sql}")
        assert await pg.exec_async(sql, 2).scalar() == 42


async def test_e40_it_never_tries_for_ever() -> None:
    def script(peer: Peer) -> None:
        peer.welcome()
        for _ in range(8):
            try:
                peer.skip_until("S")
            except Exception:
                return
            peer.send(error("26000", "prepared statement does not exist"), ready())

    with FakeServer(script) as server:
        async with PgPool(server.dsn(), max_size=1) as pool:
            with pytest.raises(PgError) as caught:
                await pool.exec_async("SELECT 1")
            assert caught.value.code == "26000"


async def test_e41_a_failed_parse_leaves_no_name_and_a_failed_execute_does(single: PgPool) -> None:
    async with single.acquire() as pg:
        for _ in range(2):
            with pytest.raises(PgError) as caught:
                await pg.exec_async("SELECT nothing FROM nowhere WHERE x = $1", 1)
            assert caught.value.code == "42P01"
        with pytest.raises(PgError):
            await pg.exec_async("SELECT 1 / $1::int", 0)
        assert await pg.exec_async("SELECT 1 / $1::int", 1).scalar() == 1
        names = await pg.exec_async("SELECT statement FROM pg_prepared_statements").scalars()
        assert "SELECT 1 / $1::int" in names
        assert not any("nowhere" in name for name in names)


async def test_e41_pipelined_queries_behind_a_failed_parse_of_their_statement(single: PgPool) -> None:
    queries = [single.exec_async("SELECT * FROM e41_nowhere") for _ in range(3)]
    assert [await outcome(query) for query in queries] == ["42P01"] * 3
    assert await single.exec_async("SELECT 1").scalar() == 1


async def test_e42_what_falls_out_of_the_cache_is_closed_on_the_way(pg_cluster: Cluster) -> None:
    async with PgPool(pg_cluster.dsn(), max_size=1, statement_cache_size=5) as pool:
        async with pool.acquire() as pg:
            for round_ in range(3):
                found = await when_all(
                    [pg.exec_async(f"SELECT {n} + $1::int", round_).scalar() for n in range(20)]
                )
                assert found == [n + round_ for n in range(20)]
            assert await pg.exec_async("SELECT count(*) FROM pg_prepared_statements").scalar() <= 6
        # Also in a transaction that has failed: Close is allowed there.
        async with pool.acquire() as pg:
            with pytest.raises(PgError):
                async with pg.tx() as tx:
                    with pytest.raises(PgError):
                        await tx.exec_async("SELECT 1 / 0")
                    for n in range(20, 30):
                        with pytest.raises(PgError):
                            await tx.exec_async(f"SELECT {n}")
            assert await pg.exec_async("SELECT 99").scalar() == 99


async def test_e43_tasks_that_prepare_the_same_text_at_once_share_one_parse(single: PgPool) -> None:
    sql = "SELECT 43 + $1::int"
    assert await when_all([single.exec_async(sql, n).scalar() for n in range(20)]) == [
        43 + n for n in range(20)
    ]
    assert [text for text in links(single)[0].core.prepared_statements if text == sql] == [sql]


async def test_e43_unqualified_names_of_another_search_path_are_another_statement(single: PgPool) -> None:
    await single.exec_script_async(
        "DROP SCHEMA IF EXISTS e43 CASCADE; CREATE SCHEMA e43; CREATE TABLE e43.e43t AS SELECT 'inner' AS x; "
        "DROP TABLE IF EXISTS public.e43t; CREATE TABLE public.e43t AS SELECT 1 AS x"
    )
    assert await single.exec_async("SELECT x FROM e43t").scalar() == 1
    async with single.acquire() as pg:
        await pg.exec_async("SET search_path = e43")
        assert await pg.exec_async("SELECT x FROM e43t").scalar() == "inner"
    assert await single.exec_async("SELECT x FROM e43t").scalar() == 1


async def test_e44_renamed_columns_show_their_new_names(single: PgPool) -> None:
    await single.exec_script_async("DROP TABLE IF EXISTS e44; CREATE TABLE e44 AS SELECT 1 AS old")
    assert dict(await single.exec_async("SELECT * FROM e44")) == {"old": 1}
    await single.exec_async("ALTER TABLE e44 RENAME COLUMN old TO new")
    # Types are equal, so the server raises nothing; a connection of its own describes anew and tells the pool.
    async with PgPool(single.options, max_size=1) as other:
        assert dict(await other.exec_async("SELECT * FROM e44")) == {"new": 1}


async def test_e45_a_type_that_was_dropped_and_made_again_is_looked_up_again(single: PgPool) -> None:
    for labels in ("('a', 'b')", "('b', 'c')"):
        await single.exec_script_async(f"DROP TYPE IF EXISTS e45 CASCADE; CREATE TYPE e45 AS ENUM {labels}")
        assert await single.exec_async("SELECT $1::e45", "b").scalar() == "b"


async def test_e55_texts_with_the_same_beginning_are_different_statements(single: PgPool) -> None:
    long = "x" * 200
    assert await single.exec_async(f"SELECT 1 AS {long[:60]}a").scalar() == 1
    assert await single.exec_async(f"SELECT 2 AS {long[:60]}b").scalar() == 2
    assert all(len(s.name) < 63 for s in single.multiplexer().statements.values())


async def test_e54_a_flood_of_notices_reaches_the_handler_and_nothing_else(pg_cluster: Cluster) -> None:
    seen: list[str] = []
    async with PgPool(
        pg_cluster.dsn(), max_size=1, on_notice=lambda notice: seen.append(notice.message)
    ) as pool:
        sql = "DO $$ BEGIN FOR i IN 1..5000 LOOP RAISE NOTICE 'number %', i; END LOOP; END $$"
        await pool.exec_async(sql)
    assert seen == [f"number {n}" for n in range(1, 5001)]


async def test_a_new_connection_of_the_pool_needs_one_round_trip_for_a_known_statement() -> None:
    rounds: list[list[str]] = []

    def script(peer: Peer) -> None:
        peer.welcome()
        while True:
            kinds = []
            while True:
                try:
                    kind, _ = peer.receive()
                except Exception:
                    return
                kinds.append(kind)
                if kind in "SX":
                    break
            if kinds[-1] == "X":
                return
            rounds.append(kinds)
            answer = []
            if "P" in kinds:
                answer += [PARSE_COMPLETE, parameter_description(23), row_description(("x", 23))]
            if "C" in kinds:
                answer.insert(0, CLOSE_COMPLETE)
            if "B" in kinds:
                answer += [BIND_COMPLETE, data_row(b"\0\0\0\7"), command_complete("SELECT 1")]
            peer.send(*answer, ready())

    with FakeServer(script) as server:
        async with (
            PgPool(server.dsn(), max_size=2) as pool,
            pool.acquire() as first,
            pool.acquire() as second,
        ):
            assert await first.exec_async("SELECT $1::int", 7).scalar() == 7
            assert await second.exec_async("SELECT $1::int", 7).scalar() == 7
            assert await second.exec_async("SELECT $1::int", 7).scalar() == 7
    assert rounds == [["P", "D", "S"], ["B", "E", "S"], ["P", "D", "B", "E", "S"], ["B", "E", "S"]]


@pytest.mark.parametrize("mode", ["transaction", "statement"])
@pytest.mark.parametrize("cache", [256, 0])
async def test_pgbouncer_that_changes_the_server_between_queries(
    pg_bouncer: Any, mode: str, cache: int
) -> None:
    bouncer = pg_bouncer(mode)
    async with PgPool(bouncer.dsn(), max_size=4, statement_cache_size=cache) as pool:
        for round_ in range(5):
            found = await when_all(
                [
                    pool.exec_async(f"SELECT {n} + $1::int", round_).scalar()
                    for n in range(8)
                    for _ in range(4)
                ]
            )
            assert found == [n + round_ for n in range(8) for _ in range(4)]
        if mode == "transaction":
            async with pool.tx() as tx:
                pid = await tx.exec_async("SELECT pg_backend_pid()").scalar()
                assert await tx.exec_async("SELECT pg_backend_pid()").scalar() == pid
