"""psycopg 3 under asyncio, with its pool, binary results and prepared statements."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, LiteralString, cast

from psycopg_pool import AsyncConnectionPool

from bench.subjects.pg import (
    CONNECTIONS,
    PAIRS,
    RECORDS,
    ROWS,
    SELECT_100,
    SELECT_BULK,
    SELECT_PK,
    TASKS,
    TWENTY,
    Case,
    Driver,
)

PK, HUNDRED = (text.replace("$1", "%s") for text in (SELECT_PK, SELECT_100))
TWENTY_PYFORMAT = [sql.replace("$1", "%s") for sql in TWENTY]


def literal(sql: str) -> LiteralString:
    return cast(LiteralString, sql)


async def subject(dsn: str) -> Driver:
    pool: Any = AsyncConnectionPool(
        dsn,
        min_size=CONNECTIONS,
        max_size=CONNECTIONS,
        open=False,
        kwargs={"autocommit": True, "prepare_threshold": 0},
    )
    await pool.open(wait=True)

    async def at_once(work: Case, count: int) -> None:
        each, rest = divmod(count, TASKS)
        await asyncio.gather(*(work(each + (number < rest)) for number in range(min(TASKS, count))))

    async def each(count: int, one: Callable[[Any, int], Awaitable[None]]) -> None:
        for number in range(count):
            async with pool.connection() as connection:
                await one(connection, number)

    async def acquire(count: int) -> None:
        for _ in range(count):
            async with pool.connection():
                pass

    async def select1(count: int) -> None:
        async def one(connection: Any, number: int) -> None:
            async with connection.cursor(binary=True) as cursor:
                await cursor.execute(literal("SELECT 1"))
                await cursor.fetchone()

        await each(count, one)

    async def select_pk(connection: Any, number: int) -> None:
        async with connection.cursor(binary=True) as cursor:
            await cursor.execute(literal(PK), (number % ROWS + 1,))
            await cursor.fetchone()

    async def pk(count: int) -> None:
        await each(count, select_pk)

    async def rows100(count: int) -> None:
        async def one(connection: Any, number: int) -> None:
            async with connection.cursor(binary=True) as cursor:
                await cursor.execute(literal(HUNDRED), (number % 9000,))
                await cursor.fetchall()

        await each(count, one)

    async def seq_pk(count: int) -> None:
        async with pool.connection() as connection:
            for number in range(count):
                await select_pk(connection, number)

    async def q20(count: int) -> None:
        async with pool.connection() as connection:
            for number in range(count):
                async with connection.pipeline():
                    cursors = [
                        await connection.execute(literal(sql), (number % ROWS + 1,), binary=True)
                        for sql in TWENTY_PYFORMAT
                    ]
                    for cursor in cursors:
                        await cursor.fetchone()

    async def fetch(count: int) -> None:
        async with pool.connection() as connection, connection.cursor(binary=True) as cursor:
            for _ in range(count):
                await cursor.execute(literal(SELECT_BULK))
                await cursor.fetchall()

    async def stream(count: int) -> None:
        async with pool.connection() as connection, connection.cursor(binary=True) as cursor:
            for _ in range(count):
                async for _row in cursor.stream(literal(SELECT_BULK), size=1000):
                    pass

    async def copy(count: int) -> None:
        async with pool.connection() as connection, connection.cursor() as cursor:
            for _ in range(count):
                await cursor.execute("TRUNCATE copied")
                async with cursor.copy("COPY copied FROM STDIN (FORMAT BINARY)") as pipe:
                    pipe.set_types(["int4", "float8", "text", "bool"])
                    for record in RECORDS:
                        await pipe.write_row(record)

    async def executemany(count: int) -> None:
        async with pool.connection() as connection, connection.cursor() as cursor:
            for _ in range(count):
                await cursor.execute("TRUNCATE inserted")
                async with connection.transaction():
                    await cursor.executemany("INSERT INTO inserted VALUES (%s, %s)", PAIRS)

    async def verify(case: str) -> None:
        return None

    async def close() -> None:
        await pool.close()

    return Driver(
        "psycopg_async",
        {
            "acquire": acquire,
            "c64_select1": lambda count: at_once(select1, count),
            "c64_pk": lambda count: at_once(pk, count),
            "c64_rows100": lambda count: at_once(rows100, count),
            "seq_pk": seq_pk,
            "q20": q20,
            "fetch100k": fetch,
            "stream100k": stream,
            "copy10k": copy,
            "executemany10k": executemany,
        },
        verify,
        close,
    )
