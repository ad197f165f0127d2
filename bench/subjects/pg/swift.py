"""Swift's driver, as its documentation says to use it."""

from __future__ import annotations

import asyncio
from datetime import datetime
from decimal import Decimal
from textwrap import shorten

import msgspec

from bench.cases import WrongAnswer
from bench.subjects.pg import (
    BULK,
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
    person,
)
from swift.futures import when_all
from swift.pg import PgPool


class Person(msgspec.Struct):
    id: int
    name: str
    email: str
    city: str
    age: int
    active: bool
    score: float
    balance: Decimal
    note: str | None
    created_at: datetime


class Point(msgspec.Struct):
    id: int
    x: float
    label: str
    taken: bool


def _expect(found: object, expected: object, case: str) -> None:
    if found != expected:
        raise WrongAnswer(
            f"swift, {case}: expected {shorten(repr(expected), 300)}, got {shorten(repr(found), 300)}"
        )


async def subject(dsn: str) -> Driver:
    pool = await PgPool(dsn, min_size=CONNECTIONS, max_size=CONNECTIONS).open()
    execute = pool.exec_async

    async def at_once(work: Case, count: int) -> None:
        each, rest = divmod(count, TASKS)
        await asyncio.gather(*(work(each + (number < rest)) for number in range(min(TASKS, count))))

    async def acquire(count: int) -> None:
        for _ in range(count):
            async with pool.acquire():
                pass

    async def select1(count: int) -> None:
        for _ in range(count):
            await execute("SELECT 1").scalar()

    async def pk(count: int) -> None:
        for number in range(count):
            await execute(SELECT_PK, number % ROWS + 1).one()

    async def rows100(count: int) -> None:
        for number in range(count):
            await execute(SELECT_100, number % 9000).all(Person)

    async def rows100_json(count: int) -> None:
        for number in range(count):
            await execute(SELECT_100, number % 9000).json()

    async def seq_pk(count: int) -> None:
        async with pool.acquire() as pg:
            for number in range(count):
                await pg.exec_async(SELECT_PK, number % ROWS + 1).one()

    async def q20(count: int) -> None:
        for number in range(count):
            await when_all([execute(sql, number % ROWS + 1).one() for sql in TWENTY])

    async def fetch(count: int) -> None:
        for _ in range(count):
            await execute(SELECT_BULK).all(Point)

    async def fetch_json(count: int) -> None:
        for _ in range(count):
            await execute(SELECT_BULK).json()

    async def stream(count: int) -> None:
        for _ in range(count):
            async for _row in pool.stream(SELECT_BULK, into=tuple, chunk_size=2000):
                pass

    async def copy(count: int) -> None:
        for _ in range(count):
            await execute("TRUNCATE copied")
            await pool.copy_records_async("copied", RECORDS, columns=COPY_COLUMNS)

    async def executemany(count: int) -> None:
        for _ in range(count):
            await execute("TRUNCATE inserted")
            await pool.executemany_async(INSERT, PAIRS)

    async def verify(case: str) -> None:
        if case == "c64_select1":
            _expect(await execute("SELECT 1").scalar(), 1, case)
        elif case in ("c64_pk", "seq_pk"):
            _expect(tuple(await execute(SELECT_PK, 7).one()), person(7), case)
        elif case == "c64_rows100":
            found = await execute(SELECT_100, 50).all(Person)
            _expect(
                [msgspec.structs.astuple(row) for row in found], [person(n) for n in range(51, 151)], case
            )
        elif case == "c64_rows100_json":
            found = msgspec.json.decode(await execute(SELECT_100, 50).json(), type=list[Person])
            _expect([row.id for row in found], list(range(51, 151)), case)
        elif case == "q20":
            found = await when_all([execute(sql, 7).one() for sql in TWENTY])
            _expect([tuple(row) for row in found], [(n, "Person 7") for n in range(20)], case)
        elif case == "fetch100k":
            _expect(len(await execute(SELECT_BULK).all(Point)), BULK, case)
        elif case == "fetch100k_json":
            _expect(len(msgspec.json.decode(await execute(SELECT_BULK).json())), BULK, case)
        elif case == "stream100k":
            _expect(len([row async for row in pool.stream(SELECT_BULK, into=tuple)]), BULK, case)
        elif case == "copy10k":
            await copy(1)
            _expect(await execute("SELECT count(*) FROM copied").scalar(), len(RECORDS), case)
        elif case == "executemany10k":
            await executemany(1)
            _expect(await execute("SELECT count(*) FROM inserted").scalar(), len(PAIRS), case)

    async def close() -> None:
        await pool.close()

    return Driver(
        "swift",
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
