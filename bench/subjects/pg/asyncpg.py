"""asyncpg, as its documentation says to use it."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import msgspec

from bench.subjects.pg import (
    CONNECTIONS,
    COPY_COLUMNS,
    INSERT,
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

ENCODE = msgspec.json.Encoder(enc_hook=str).encode


async def subject(dsn: str) -> Driver:
    pool: Any = await asyncpg.create_pool(dsn, min_size=CONNECTIONS, max_size=CONNECTIONS)

    async def at_once(work: Case, count: int) -> None:
        each, rest = divmod(count, TASKS)
        await asyncio.gather(*(work(each + (number < rest)) for number in range(min(TASKS, count))))

    async def acquire(count: int) -> None:
        for _ in range(count):
            async with pool.acquire():
                pass

    async def select1(count: int) -> None:
        for _ in range(count):
            await pool.fetchval("SELECT 1")

    async def pk(count: int) -> None:
        for number in range(count):
            await pool.fetchrow(SELECT_PK, number % ROWS + 1)

    async def rows100(count: int) -> None:
        for number in range(count):
            await pool.fetch(SELECT_100, number % 9000)

    async def rows100_json(count: int) -> None:
        for number in range(count):
            ENCODE([dict(row) for row in await pool.fetch(SELECT_100, number % 9000)])

    async def seq_pk(count: int) -> None:
        async with pool.acquire() as connection:
            for number in range(count):
                await connection.fetchrow(SELECT_PK, number % ROWS + 1)

    async def q20(count: int) -> None:
        async with pool.acquire() as connection:
            for number in range(count):
                for sql in TWENTY:
                    await connection.fetchrow(sql, number % ROWS + 1)

    async def fetch(count: int) -> None:
        for _ in range(count):
            await pool.fetch(SELECT_BULK)

    async def fetch_json(count: int) -> None:
        for _ in range(count):
            ENCODE([dict(row) for row in await pool.fetch(SELECT_BULK)])

    async def stream(count: int) -> None:
        async with pool.acquire() as connection:
            for _ in range(count):
                async with connection.transaction():
                    async for _row in connection.cursor(SELECT_BULK, prefetch=2000):
                        pass

    async def copy(count: int) -> None:
        for _ in range(count):
            await pool.execute("TRUNCATE copied")
            await pool.copy_records_to_table("copied", records=RECORDS, columns=COPY_COLUMNS)

    async def executemany(count: int) -> None:
        for _ in range(count):
            await pool.execute("TRUNCATE inserted")
            await pool.executemany(INSERT, PAIRS)

    async def verify(case: str) -> None:
        return None

    async def close() -> None:
        await pool.close()

    return Driver(
        "asyncpg",
        {
            "acquire": acquire,
            "c64_select1": lambda count: at_once(select1, count),
            "c64_pk": lambda count: at_once(pk, count),
            "c64_rows100": lambda count: at_once(rows100, count),
            "c64_rows100_json": lambda count: at_once(rows100_json, count),
            "seq_pk": seq_pk,
            "q20": q20,
            "fetch100k": fetch,
            "fetch100k_json": fetch_json,
            "stream100k": stream,
            "copy10k": copy,
            "executemany10k": executemany,
        },
        verify,
        close,
    )
