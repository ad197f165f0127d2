"""aiosqlite as its fastest: one connection, one hop a request; rows to dicts, encoded by orjson."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import aiosqlite
import orjson

from . import PRAGMAS
from .table import INSERT, Application, seed

__all__ = ["application", "seed"]

UNVALIDATED = ("insert",)

LIST = "SELECT * FROM records ORDER BY id"
SHOW = "SELECT * FROM records WHERE id = ?"
CREATE = f"{INSERT} RETURNING *"


def records(rows: Iterable[Any]) -> list[dict[str, Any]]:
    return [
        {
            "id": id,
            "name": name,
            "email": email,
            "city": city,
            "age": age,
            "active": active != 0,
            "score": score,
            "balance": balance,
            "note": note,
            "created_at": created_at,
        }
        for id, name, email, city, age, active, score, balance, note, created_at in rows
    ]


class Raw(Application):
    async def open(self) -> None:
        self.connection = await aiosqlite.connect(self.database, isolation_level=None)
        for pragma in PRAGMAS:
            await self.connection.execute(pragma)

    async def close(self) -> None:
        await self.connection.close()

    async def list(self) -> bytes:
        return orjson.dumps(records(await self.connection.execute_fetchall(LIST)))

    async def show(self, id: int) -> bytes | None:
        found = records(await self.connection.execute_fetchall(SHOW, (id,)))
        return orjson.dumps(found[0]) if found else None

    async def create(self, body: bytes) -> bytes:
        (made,) = records(await self.connection.execute_fetchall(CREATE, orjson.loads(body)))
        return orjson.dumps(made)


def application(database: Path) -> Raw:
    return Raw(database)
