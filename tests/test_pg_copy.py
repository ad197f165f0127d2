"""COPY in both directions (postgres_drivers e.4)."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from swift.pg import PgEncodeError, PgError, PgInterfaceError, PgPool, PgProtocolError
from tests.pg_core_support import settled
from tests.pg_fake_server import FakeServer, Peer, message, ready
from tests.pg_support import Cluster


@pytest.fixture
async def pool(pg_cluster: Cluster) -> AsyncIterator[PgPool]:
    async with PgPool(pg_cluster.dsn(), max_size=2) as pool:
        await pool.exec_script_async(
            "DROP TABLE IF EXISTS copied; CREATE TABLE copied (i int PRIMARY KEY, t text)"
        )
        yield pool
        await settled(pool)
        assert pool.stats()["evicted"] == 0


async def count(pool: PgPool) -> int:
    found: int = await pool.exec_async("SELECT count(*) FROM copied").scalar()
    return found


async def test_copy_in_and_out_bring_the_same_bytes(pool: PgPool) -> None:
    data = b"".join(b"%d\tname %d\n" % (n, n) for n in range(5000))
    copying = pool.copy_in("COPY copied FROM STDIN")
    async with copying as pipe:
        # Pieces of CopyData need not be rows.
        for start in range(0, len(data), 777):
            await pipe.write(data[start : start + 777])
    assert copying.rows == 5000
    assert (
        b"".join([chunk async for chunk in pool.copy_out("COPY (SELECT * FROM copied ORDER BY i) TO STDOUT")])
        == data
    )


async def test_copy_in_takes_files_iterables_text_and_views(pool: PgPool) -> None:
    async def coming() -> AsyncIterator[bytes]:
        yield b"5,e\n"

    async with pool.copy_in("COPY copied FROM STDIN (FORMAT csv)") as pipe:
        await pipe.write_from(io.BytesIO(b"1,a\n2,b\n"))
        await pipe.write_from([b"3,c\n", b"4,d\n"])
        await pipe.write_from(coming())
        await pipe.write("6,ü\n")
        await pipe.write(memoryview(b"7x,xg\n".replace(b"x", b""))[::1])
        await pipe.write(bytearray(b"8,h\n"))
    assert await pool.exec_async("SELECT string_agg(t, '' ORDER BY i) FROM copied").scalar() == "abcdeügh"


async def test_copy_records_takes_python_values(pool: PgPool) -> None:
    async def coming() -> AsyncIterator[tuple[int, str | None]]:
        for number in range(3):
            yield number, None

    assert await pool.copy_records_async("copied", [(n, f"n{n}") for n in range(10, 5010)]) == 5000
    assert await pool.copy_records_async("copied", coming(), columns=["i", "t"]) == 3
    assert await pool.copy_records_async("copied", [("b", 9)], columns=["t", "i"], schema="public") == 1
    assert await count(pool) == 5004
    await pool.exec_async("ALTER TABLE copied ADD COLUMN double int GENERATED ALWAYS AS (i * 2) STORED")
    assert await pool.copy_records_async("copied", [(6000, "generated")]) == 1


async def test_e56_an_error_of_the_server_ends_the_producer_and_is_raised_once(pool: PgPool) -> None:
    written = 0
    with pytest.raises(PgError) as caught:
        async with pool.copy_in("COPY copied FROM STDIN") as pipe:
            while written < 10**6:
                written += 1
                await pipe.write(b"not a number\tx\n" * 100)
    assert caught.value.code == "22P02"
    assert written < 10**6
    assert await count(pool) == 0


async def test_e57_an_exception_of_the_body_aborts_the_copy_and_goes_on(pool: PgPool) -> None:
    async with pool.acquire() as pg:
        with pytest.raises(KeyError, match="mine"):
            async with pg.copy_in("COPY copied FROM STDIN") as pipe:
                await pipe.write(b"1\tone\n")
                raise KeyError("mine")
        assert await pg.exec_async("SELECT count(*) FROM copied").scalar() == 0


async def test_e57_a_task_cancelled_in_the_body_aborts_the_copy(pool: PgPool) -> None:
    async def work() -> None:
        async with pool.copy_in("COPY copied FROM STDIN") as pipe:
            await pipe.write(b"1\tone\n")
            await asyncio.sleep(30)

    task = asyncio.create_task(work())
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await count(pool) == 0


async def test_e57_a_record_that_cannot_be_encoded_leaves_nothing(pool: PgPool) -> None:
    records: list[Any] = [(n, "x" * 50) for n in range(5000)]
    with pytest.raises(PgEncodeError, match=r"\$1 \(int4\): expected `int`, got `str`"):
        await pool.copy_records_async("copied", [*records, ("no", "x")])
    assert await count(pool) == 0


@pytest.mark.parametrize(
    "sql", ["COPY copied FROM STDIN", "copy copied from stdin csv", "/* x */ COPY copied TO STDOUT"]
)
async def test_e58_copy_by_exec_is_an_error_and_no_hang(pool: PgPool, sql: str) -> None:
    with pytest.raises(PgInterfaceError, match="Use `copy_"):
        await pool.exec_async(sql)
    async with pool.acquire() as pg:
        with pytest.raises(PgInterfaceError):
            await pg.exec_async(sql)
        with pytest.raises(PgInterfaceError):
            await pg.exec_script_async(f"SELECT 1; {sql}; SELECT 2")
        assert await pg.exec_async("SELECT 1").scalar() == 1


async def test_e58_copy_through_the_wrong_door_is_an_error_too(pool: PgPool) -> None:
    with pytest.raises(PgInterfaceError, match="no COPY FROM STDIN"):
        async with pool.copy_in("SELECT 1"):
            pass
    with pytest.raises(PgError) as caught:
        async with pool.copy_in("COPY nowhere FROM STDIN"):
            pass
    assert caught.value.code == "42P01"
    with pytest.raises(PgInterfaceError):
        async for _ in pool.copy_out("COPY copied FROM STDIN"):
            pass


async def test_e59_a_consumer_that_fails_leaves_the_connection_usable(pool: PgPool) -> None:
    async with pool.acquire() as pg:
        sql = "COPY (SELECT repeat('x', 1000) FROM generate_series(1, 200000)) TO STDOUT"
        start = time.monotonic()
        with pytest.raises(KeyError):
            async for _ in pg.copy_out(sql):
                raise KeyError("sink")
        assert await pg.exec_async("SELECT 1").scalar() == 1
        assert time.monotonic() - start < 5


async def test_e59_a_slow_consumer_makes_the_server_wait(pool: PgPool) -> None:
    async with pool.acquire() as pg:
        link = pg.own()
        received = 0
        async for chunk in pg.copy_out(
            "COPY (SELECT repeat('x', 1000) FROM generate_series(1, 30000)) TO STDOUT"
        ):
            received += len(chunk)
            if received == 10 * len(chunk):
                await asyncio.sleep(0.2)
                # What is ahead is bounded: by our limit, a receive buffer, and what a READS of them may bring.
                assert link.core.bytes_in < 15_000_000
        assert received == 30_000 * 1001


async def test_e59_no_rows_and_large_rows(pool: PgPool) -> None:
    assert [chunk async for chunk in pool.copy_out("COPY copied TO STDOUT")] == []
    big = [chunk async for chunk in pool.copy_out("COPY (SELECT repeat('x', 3000000)) TO STDOUT")]
    assert sum(map(len, big)) == 3_000_001


async def test_e60_binary_copy_has_its_header_and_its_end(pool: PgPool) -> None:
    await pool.copy_records_async("copied", [(1, "one")])
    data = b"".join([chunk async for chunk in pool.copy_out("COPY copied TO STDOUT (FORMAT binary)")])
    assert data.startswith(b"PGCOPY\n\xff\r\n\0" + bytes(8))
    assert data.endswith(b"\xff\xff")
    await pool.exec_async("TRUNCATE copied")
    for damaged in (data[11:], data[:-2] + b"\0\x07", b"PGCOPY\n\xff\r\n\0\0\1\0\0" + data[15:]):
        with pytest.raises(PgError) as caught:
            async with pool.copy_in("COPY copied FROM STDIN (FORMAT binary)") as pipe:
                await pipe.write(damaged)
        assert caught.value.code in ("22P04", "0A000")
    async with pool.copy_in("COPY copied FROM STDIN (FORMAT binary)") as pipe:
        await pipe.write(data)
    assert await count(pool) == 1
    with pytest.raises(PgEncodeError, match="2"):
        await pool.copy_records_async("copied", [(1, "x", "too many")])


async def test_e61_texts_escapes_pass_untouched(pool: PgPool) -> None:
    values = [
        None,
        "",
        "\\N",
        "\\.",
        "tab\there",
        "line\nline",
        "\r\n",
        "\\",
        "\b\f\v",
        "ü\U0001f600",
        '"quoted"',
        "a,b",
    ]
    await pool.copy_records_async("copied", list(enumerate(values)))
    text = b"".join([chunk async for chunk in pool.copy_out("COPY copied TO STDOUT")])
    csv = b"".join([chunk async for chunk in pool.copy_out("COPY copied TO STDOUT (FORMAT csv)")])
    for data, form in ((text, "text"), (csv, "csv")):
        await pool.exec_async("TRUNCATE copied")
        async with pool.copy_in(f"COPY copied FROM STDIN (FORMAT {form})") as pipe:
            await pipe.write(data)
        assert await pool.exec_async("SELECT t FROM copied ORDER BY i").scalars() == values


async def test_e62_notices_and_parameters_in_the_middle_of_copy(pg_cluster: Cluster) -> None:
    seen: list[str] = []
    async with PgPool(
        pg_cluster.dsn(), max_size=1, on_notice=lambda notice: seen.append(notice.message)
    ) as pool:
        await pool.exec_script_async(
            "DROP TABLE IF EXISTS noisy; CREATE TABLE noisy (i int);"
            "CREATE OR REPLACE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE NOTICE 'row %', NEW.i; RETURN NEW; END $$;"
            "CREATE TRIGGER shout BEFORE INSERT ON noisy FOR EACH ROW EXECUTE FUNCTION shout()"
        )
        seen.clear()
        async with pool.copy_in("COPY noisy FROM STDIN") as pipe:
            for number in range(2000):
                await pipe.write(b"%d\n" % number)
    assert seen == [f"row {n}" for n in range(2000)]


async def test_e62_a_statement_timeout_while_the_server_waits_for_data(pool: PgPool) -> None:
    async with pool.acquire() as pg:
        await pg.exec_async("SET statement_timeout = 100")
        with pytest.raises(PgError) as caught:
            async with pg.copy_in("COPY copied FROM STDIN") as pipe:
                await asyncio.sleep(0.3)
                await pipe.write(b"1\tone\n" * 10)
        assert caught.value.code == "57014"
        assert await pg.exec_async("SELECT 1").scalar() == 1


async def test_e62_copy_both_of_replication_is_refused() -> None:
    def script(peer: Peer) -> None:
        peer.welcome()
        peer.expect("Q")
        peer.send(message("W", b"\0\0\0"), ready())

    with FakeServer(script) as server:
        async with PgPool(server.dsn(), max_size=1) as pool:
            with pytest.raises(PgProtocolError, match="CopyBothResponse"):
                await pool.exec_script_async("START_REPLICATION 0/0")


async def test_a_response_streams_what_copy_brings(pool: PgPool) -> None:
    await pool.copy_records_async("copied", [(n, "x" * 100) for n in range(3000)])
    sent: list[Any] = []

    async def send(message_: Any) -> None:
        sent.append(message_)

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    response = pool.copy_out_response("COPY copied TO STDOUT (FORMAT csv)", filename="größe.csv")
    await response({"type": "http"}, receive, send)
    assert (sent[0]["status"], dict(sent[0]["headers"])[b"content-disposition"]) == (
        200,
        b"attachment; filename*=UTF-8''gr%C3%B6%C3%9Fe.csv",
    )
    assert len(sent) > 4
    assert b"".join(part["body"] for part in sent[1:]).count(b"\n") == 3000
    # An error of the statement comes before the status.
    sent.clear()
    with pytest.raises(PgError):
        await pool.copy_out_response("COPY nowhere TO STDOUT")({"type": "http"}, receive, send)
    assert sent == []
