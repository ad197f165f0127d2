"""Rows decoded, without the wire: what a row costs once its bytes are here, in processor time of the thread.

A result of `ROWS` rows is fetched once and kept as the server sent it; every round makes Python objects or JSON of all of
it. psycopg's C decoder works the same way. asyncpg decodes while it reads, so its figure has the wire in it: how much
of it is decoding, the difference between its cases tells. JSON is the driver's own for Swift, msgspec's of the
fetched rows for the peers.
"""

from __future__ import annotations

import asyncio
import datetime
import gc
import struct
import sys
from collections.abc import Callable
from decimal import Decimal
from importlib.metadata import version
from time import thread_time_ns
from typing import Any

import msgspec

from bench.measure import interleave
from bench.options import Options, Unavailable
from bench.pg_server import database
from bench.report import Report
from swift import __version__
from swift._speedups.pgrows import Columns, RowDecoder
from swift.pg.registry import TypeRegistry

ROWS = 10_000
SQL = {
    "4": "SELECT i AS id, i * 0.5::float8 AS x, 'point ' || i AS label, i % 2 = 0 AS taken",
    "10": "SELECT i::int8 AS id, 'Person ' || i AS name, 'person' || i || '@example.com' AS email, 'London'::text AS city,"
    " 20 + i % 50 AS age, i % 3 <> 0 AS active, i * 0.37::float8 AS score, (i * 1234.5)::numeric(12, 2) AS balance,"
    " NULL::text AS note, timestamptz '2026-03-01 12:00Z' + i * interval '1 minute' AS created_at",
}
SHAPES = ("tuple", "dict", "struct", "json")
CASES = tuple(f"{shape}{columns}" for columns in SQL for shape in SHAPES)
SUBJECTS = ("swift", "psycopg", "asyncpg")


class Small(msgspec.Struct):
    id: int
    x: float
    label: str
    taken: bool


class Large(msgspec.Struct):
    id: int
    name: str
    email: str
    city: str
    age: int
    active: bool
    score: float
    balance: Decimal
    note: str | None
    created_at: datetime.datetime


STRUCTS: dict[str, type[Any]] = {"4": Small, "10": Large}
encode = msgspec.json.Encoder().encode
# Decodes the whole result once.
Work = Callable[[], Any]


def swift_work(result: Any, columns: str) -> dict[str, Work]:
    """`result` is libpq's, in binary; its values are put into DataRow messages again."""
    registry = TypeRegistry()
    codecs = [
        codec for codec in map(registry.get, map(result.ftype, range(result.nfields))) if codec is not None
    ]
    names = Columns([result.fname(i).decode() for i in range(result.nfields)])
    frames = b""
    for row in range(result.ntuples):
        payload = struct.pack("!H", result.nfields)
        for i in range(result.nfields):
            value = result.get_value(row, i)
            payload += b"\xff\xff\xff\xff" if value is None else struct.pack("!i", len(value)) + value
        frames += b"D" + struct.pack("!i", len(payload) + 4) + payload

    def reader(into: Any) -> Work:
        decoder = RowDecoder(names, codecs, into)
        return lambda: decoder.decode_run(frames)

    rows = RowDecoder(names, codecs)
    return {
        "tuple": reader(tuple),
        "dict": reader(dict),
        "struct": reader(STRUCTS[columns]),
        "json": lambda: rows.json_run(frames),
    }


def psycopg_work(connection: Any, columns: str) -> dict[str, Work]:
    from psycopg import rows

    def reader(factory: Any) -> Work:
        cursor = connection.cursor(binary=True, row_factory=factory)
        cursor.execute(statement(columns))

        def read() -> Any:
            cursor.scroll(0, mode="absolute")
            return cursor.fetchall()

        return read

    as_dict = reader(rows.dict_row)
    return {
        "tuple": reader(rows.tuple_row),
        "dict": as_dict,
        "struct": reader(rows.class_row(STRUCTS[columns])),
        "json": lambda: encode(as_dict()),
    }


def asyncpg_work(runner: asyncio.Runner, prepared: Any, columns: str) -> dict[str, Work]:
    made = STRUCTS[columns]

    def fetch() -> Any:
        return runner.run(prepared.fetch())

    return {
        "tuple": fetch,
        "dict": lambda: [dict(row) for row in fetch()],
        "struct": lambda: [made(*row) for row in fetch()],
        "json": lambda: encode([dict(row) for row in fetch()]),
    }


def statement(columns: str) -> str:
    return f"{SQL[columns]} FROM generate_series(1, {ROWS}) AS i"


def nanoseconds(work: Work) -> float:
    """Per row."""
    start = thread_time_ns()
    work()
    return (thread_time_ns() - start) / ROWS


def run(options: Options) -> Report:
    rounds = 5 if options.quick else 15
    subjects, cases = options.choose_subjects(SUBJECTS), options.choose_cases(CASES)
    try:
        import asyncpg
        import psycopg
    except ImportError as error:
        raise Unavailable(f"This bench needs {error.name}: pip install -r bench/requirements.txt") from error
    with database() as dsn, asyncio.Runner() as runner, psycopg.connect(dsn) as connection:
        peer = runner.run(asyncpg.connect(dsn))
        works: dict[str, dict[str, dict[str, Work]]] = {}
        for columns in SQL:
            result = connection.pgconn.exec_params(statement(columns).encode(), None, result_format=1)
            works[columns] = {
                "swift": swift_work(result, columns),
                "psycopg": psycopg_work(connection, columns),
                "asyncpg": asyncpg_work(runner, runner.run(peer.prepare(statement(columns))), columns),
            }
        measures = {}
        for case in cases:
            columns = case.lstrip("abcdefghijklmnopqrstuvwxyz")
            for subject in subjects:
                work = works[columns][subject][case[: -len(columns)]]
                work()
                measures[case, subject] = lambda work=work: nanoseconds(work)
        print(f"values: {rounds} rounds of {len(measures)} times {ROWS} rows", file=sys.stderr)
        gc.collect()
        gc.freeze()
        samples = interleave(measures, rounds)
        gc.unfreeze()
        runner.run(peer.close())
    versions = {"swift": __version__, "psycopg": version("psycopg"), "asyncpg": version("asyncpg")}
    return Report.of(
        "values", "ns of processor time/row", samples, {name: versions[name] for name in subjects}
    )
