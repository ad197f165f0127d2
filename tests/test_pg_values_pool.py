"""The same values through the driver itself: sent as parameters, by COPY, inside of records; read as rows and as JSON."""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from swift.pg import PgPool
from swift.pg.errors import PgDecodeError, PgEncodeError
from swift.pg.types import json_default
from tests.pg_support import Cluster, _database
from tests.test_pg_values import BOTH_WAYS

encode = msgspec.json.Encoder(enc_hook=json_default).encode
TYPES = (
    "CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN positive AS int4 CHECK (value > 0);"
    "CREATE DOMAIN pair AS int4[]; CREATE TYPE span AS RANGE (subtype = float8);"
    "CREATE TYPE address AS (street text, number int4, mood mood, doc jsonb)"
)
# The server of the wheel is built without libxml.
VALUES = [(name, literal, value) for name, literal, value in BOTH_WAYS if name != "xml"]


class Mood(enum.Enum):
    SAD = "sad"
    OK = "ok"


@pytest.fixture
async def pool(pg_each: Cluster) -> AsyncIterator[PgPool]:
    with _database(pg_each) as dsn:
        async with PgPool(dsn, max_size=2) as made:
            await made.exec_script_async(TYPES)
            yield made


async def test_every_value_goes_through_parameters_rows_and_json(pool: PgPool) -> None:
    for name, literal, value in VALUES:
        sql = f"SELECT $1::{name} AS sent, ({literal})::{name} AS read, $2::{name} AS nothing"
        row = await pool.exec_async(sql, value, None).one()
        assert (row.sent, row.read, row.nothing) == (value, value, None), name
        text = (await pool.exec_async(sql, value, None)).json()
        assert text == encode([dict(row)]), name


async def test_every_value_goes_through_copy(pool: PgPool) -> None:
    for name, _, value in VALUES:
        if name in ("tsvector", "tsquery", "regclass", "regtype"):
            continue  # their parameters are text, which binary COPY cannot carry
        async with pool.acquire() as pg:
            await pg.exec_script_async(f"CREATE TEMP TABLE copied (id int4, value {name})")
            await pg.copy_records_async("copied", [(1, value), (2, None)])
            rows = await pg.exec_async("SELECT id, value FROM copied ORDER BY id").all()
            assert [tuple(row) for row in rows] == [(1, value), (2, None)], name
            await pg.exec_script_async("DROP TABLE copied")


async def test_e80_documents_inside_of_composites_and_arrays(pool: PgPool) -> None:
    address: Any = ("x", 1, "ok", {"a": [1, None]})
    row = await pool.exec_async(
        "SELECT $1::address AS one, $2::address[] AS many", address, [address, None]
    ).one()
    assert tuple(row.one) == address
    assert [None if item is None else tuple(item) for item in row.many] == [address, None]


async def test_types_of_the_user(pool: PgPool) -> None:
    pool.registry.register_type("mood", python_type=Mood)
    row = await pool.exec_async("SELECT $1::mood AS one, $2::mood[] AS many", Mood.OK, [Mood.SAD, None]).one()
    assert (row.one, row.many) == (Mood.OK, [Mood.SAD, None])


async def test_e99_what_cannot_be_sent_or_read_fails_its_query_only(pool: PgPool) -> None:
    with pytest.raises(PgEncodeError, match=r"\$1 \(int4\): expected `int`, got `float`"):
        await pool.exec_async("SELECT $1::int4", 1.5).scalar()

    def refuse(value: float) -> float:
        raise RuntimeError("not this one")

    pool.registry.register_type("float8", decode=refuse)
    answers = [pool.exec_async("SELECT 1.5::float8 AS f").one(), pool.exec_async("SELECT 7 AS i").scalar()]
    with pytest.raises(PgDecodeError, match="'f'"):
        await answers[0]
    assert await answers[1] == 7
    assert await pool.exec_async("SELECT 8").scalar() == 8
