"""The drivers of PostgreSQL that are measured, one module each, and what all of them do.

A module has `async def subject(dsn) -> Driver`: what it opens stays open until `close`. Each case is a function that
does its operation so many times; the time is taken around it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib import import_module
from typing import Any

from bench.subjects import version

DISTRIBUTIONS = {
    "floor": "uvloop",
    "swift": "swift-api",
    "asyncpg": "asyncpg",
    "psycopg_async": "psycopg",
    "psycopg_sync": "psycopg",
}

TASKS = 64
CONNECTIONS = 8
ROWS = 10_000
BULK = 100_000

CREATE = """
CREATE TABLE records (
    id int8 PRIMARY KEY, name text NOT NULL, email text NOT NULL, city text NOT NULL, age int4 NOT NULL,
    active bool NOT NULL, score float8 NOT NULL, balance numeric(12, 2) NOT NULL, note text,
    created_at timestamptz NOT NULL
);
CREATE UNLOGGED TABLE points (id int4, x float8, label text, taken bool);
CREATE UNLOGGED TABLE copied (id int4, x float8, label text, taken bool);
CREATE UNLOGGED TABLE inserted (id int4, label text);
INSERT INTO points SELECT i, i * 0.5, 'point ' || i, i % 2 = 0 FROM generate_series(1, 100000) AS i;
INSERT INTO records SELECT i, 'Person ' || i, 'person' || i || '@example.com', 'London', 20 + i % 50, i % 3 <> 0,
    i * 0.37, i * 1234.5, NULL, timestamptz '2026-03-01 12:00Z' + i * interval '1 minute'
    FROM generate_series(1, 10000) AS i;
ANALYZE;
"""
COLUMNS = "id, name, email, city, age, active, score, balance, note, created_at"
SELECT_PK = f"SELECT {COLUMNS} FROM records WHERE id = $1"
SELECT_100 = f"SELECT {COLUMNS} FROM records WHERE id > $1 ORDER BY id LIMIT 100"
SELECT_BULK = "SELECT id, x, label, taken FROM points"
INSERT = "INSERT INTO inserted VALUES ($1, $2)"
COPY_COLUMNS = ("id", "x", "label", "taken")
TWENTY = [f"SELECT {number} AS n, name FROM records WHERE id = $1" for number in range(20)]

RECORDS = [(number, number * 0.5, f"point {number}", number % 2 == 0) for number in range(10_000)]
PAIRS = [(number, f"label {number}") for number in range(10_000)]


def person(number: int) -> tuple[Any, ...]:
    """The row of that id."""
    return (
        number,
        f"Person {number}",
        f"person{number}@example.com",
        "London",
        20 + number % 50,
        number % 3 != 0,
        round(number * 0.37, 2),
        Decimal(number) * Decimal("1234.5"),
        None,
        datetime(2026, 3, 1, 12, tzinfo=UTC) + timedelta(minutes=number),
    )


Case = Callable[[int], Awaitable[None]]


@dataclass(frozen=True)
class Driver:
    """`cases[name](count)` does that many operations; `verify(name)` raises WrongAnswer; `close()` ends it."""

    name: str
    cases: dict[str, Case]
    verify: Callable[[str], Coroutine[None, None, None]]
    close: Callable[[], Coroutine[None, None, None]]

    @property
    def version(self) -> str:
        return version(DISTRIBUTIONS[self.name])


def load(name: str) -> Callable[[str], Awaitable[Driver]]:
    """What makes one subject; raises ImportError where its packages are missing."""
    subject: Callable[[str], Awaitable[Driver]] = import_module(f"bench.subjects.pg.{name}").subject
    return subject
