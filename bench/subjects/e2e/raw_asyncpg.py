"""asyncpg at its fastest without a framework: a pool, rows to dicts, encoded by orjson; inputs are not validated."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import asyncpg
import orjson

from . import COLUMNS, COUNT, CREATE, LIST, PAGE, SHOW
from .raw import Application


def arguments(data: Any) -> list[Any]:
    data["created_at"] = datetime.fromisoformat(data["created_at"])
    return [data[name] for name in COLUMNS]


class Raw(Application):
    async def open(self) -> None:
        self.pool = await asyncpg.create_pool(self.dsn, min_size=8, max_size=8)

    async def close(self) -> None:
        await self.pool.close()

    async def list(self) -> bytes:
        return orjson.dumps([dict(row) for row in await self.pool.fetch(LIST)])

    async def show(self, id: int) -> bytes | None:
        row = await self.pool.fetchrow(SHOW, id)
        return None if row is None else orjson.dumps(dict(row))

    async def page(self, active: bool, number: int, size: int) -> bytes:
        async with self.pool.acquire() as connection:
            count = await connection.fetchval(COUNT, active)
            rows = await connection.fetch(PAGE, active, size, (number - 1) * size)
        return orjson.dumps({"count": count, "results": [dict(row) for row in rows]})

    async def create(self, body: bytes) -> bytes:
        try:
            values = arguments(orjson.loads(body))
            return orjson.dumps(dict(await self.pool.fetchrow(CREATE, *values)))
        except asyncpg.DataError:
            from msgspec import ValidationError

            raise ValidationError from None


def application(dsn: str) -> Raw:
    return Raw(dsn)
