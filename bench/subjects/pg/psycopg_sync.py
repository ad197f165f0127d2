"""psycopg 3 on threads, with its pool, binary results and prepared statements."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from psycopg_pool import ConnectionPool

from bench.subjects.pg import CONNECTIONS, PAIRS, RECORDS, ROWS, SELECT_BULK, TASKS, Case, Driver
from bench.subjects.pg.psycopg_async import HUNDRED, PK, TWENTY_PYFORMAT, literal


async def subject(dsn: str) -> Driver:
    pool: Any = ConnectionPool(
        dsn,
        min_size=CONNECTIONS,
        max_size=CONNECTIONS,
        open=True,
        kwargs={"autocommit": True, "prepare_threshold": 0},
    )
    pool.wait()
    threads = ThreadPoolExecutor(TASKS)
    Work = Callable[[int], None]

    def on_thread(work: Work) -> Case:
        async def run(count: int) -> None:
            await asyncio.get_running_loop().run_in_executor(threads, work, count)

        return run

    def at_once(work: Work) -> Case:
        async def run(count: int) -> None:
            loop = asyncio.get_running_loop()
            each, rest = divmod(count, TASKS)
            shares = [each + (number < rest) for number in range(min(TASKS, count))]
            await asyncio.gather(*(loop.run_in_executor(threads, work, share) for share in shares))

        return run

    def acquire(count: int) -> None:
        for _ in range(count):
            with pool.connection():
                pass

    def select1(count: int) -> None:
        for _ in range(count):
            with pool.connection() as connection, connection.cursor(binary=True) as cursor:
                cursor.execute(literal("SELECT 1")).fetchone()

    def pk(count: int) -> None:
        for number in range(count):
            with pool.connection() as connection, connection.cursor(binary=True) as cursor:
                cursor.execute(literal(PK), (number % ROWS + 1,)).fetchone()

    def rows100(count: int) -> None:
        for number in range(count):
            with pool.connection() as connection, connection.cursor(binary=True) as cursor:
                cursor.execute(literal(HUNDRED), (number % 9000,)).fetchall()

    def seq_pk(count: int) -> None:
        with pool.connection() as connection, connection.cursor(binary=True) as cursor:
            for number in range(count):
                cursor.execute(literal(PK), (number % ROWS + 1,)).fetchone()

    def q20(count: int) -> None:
        with pool.connection() as connection:
            for number in range(count):
                with connection.pipeline():
                    cursors = [
                        connection.execute(literal(sql), (number % ROWS + 1,), binary=True)
                        for sql in TWENTY_PYFORMAT
                    ]
                    for cursor in cursors:
                        cursor.fetchone()

    def fetch(count: int) -> None:
        with pool.connection() as connection, connection.cursor(binary=True) as cursor:
            for _ in range(count):
                cursor.execute(literal(SELECT_BULK)).fetchall()

    def stream(count: int) -> None:
        with pool.connection() as connection, connection.cursor(binary=True) as cursor:
            for _ in range(count):
                for _row in cursor.stream(literal(SELECT_BULK), size=1000):
                    pass

    def copy(count: int) -> None:
        with pool.connection() as connection, connection.cursor() as cursor:
            for _ in range(count):
                cursor.execute("TRUNCATE copied")
                with cursor.copy("COPY copied FROM STDIN (FORMAT BINARY)") as pipe:
                    pipe.set_types(["int4", "float8", "text", "bool"])
                    for record in RECORDS:
                        pipe.write_row(record)

    def executemany(count: int) -> None:
        with pool.connection() as connection, connection.cursor() as cursor:
            for _ in range(count):
                cursor.execute("TRUNCATE inserted")
                with connection.transaction():
                    cursor.executemany("INSERT INTO inserted VALUES (%s, %s)", PAIRS)

    async def verify(case: str) -> None:
        return None

    async def close() -> None:
        threads.shutdown()
        pool.close()

    return Driver(
        "psycopg_sync",
        {
            "acquire": on_thread(acquire),
            "c64_select1": at_once(select1),
            "c64_pk": at_once(pk),
            "c64_rows100": at_once(rows100),
            "seq_pk": on_thread(seq_pk),
            "q20": on_thread(q20),
            "fetch100k": on_thread(fetch),
            "stream100k": on_thread(stream),
            "copy10k": on_thread(copy),
            "executemany10k": on_thread(executemany),
        },
        verify,
        close,
    )
