"""Data: what a function of a migration reads and writes with, inside the migration's transaction."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa

T = TypeVar("T")
Values = Mapping[str, Any]


class Data:
    """The rows of the database in the midst of a migration.

    SQL has its parameters as `:name`. Models are not used here: they are as the newest migration leaves
    them, the tables as this one finds them.
    """

    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self.connection.dialect.name

    async def fetch(self, sql: str, values: Values | None = None) -> list[dict[str, Any]]:
        """The rows of a query, each by column name."""
        return await self.run(
            lambda: [dict(row) for row in self.connection.execute(sa.text(sql), values or {}).mappings()]
        )

    async def execute(self, sql: str, values: Values | Sequence[Values] | None = None) -> int:
        """Run a change, once for each of the values; how many rows it changed."""
        if values is not None and not isinstance(values, Mapping) and not values:
            return 0
        return await self.run(lambda: self.connection.execute(sa.text(sql), values or {}).rowcount)

    async def run(self, work: Callable[[], T]) -> T:
        if not self.connection.dialect.is_async:
            return work()
        from sqlalchemy.util import greenlet_spawn

        return await greenlet_spawn(work)


def drive(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine from the synchronous code of a migration: on the loop that serves the asynchronous
    driver, else on one of its own.
    """
    from sqlalchemy.util import await_only
    from sqlalchemy.util.concurrency import in_greenlet

    if in_greenlet():
        return await_only(coroutine)
    return asyncio.run(coroutine)


def now() -> dt.datetime:
    """The moment, in UTC: for columns that are stamped."""
    return dt.datetime.now(dt.UTC)


def wall_clock() -> dt.datetime:
    """The moment in UTC without a zone, for columns that have none."""
    return dt.datetime.now(dt.UTC).replace(tzinfo=None)
