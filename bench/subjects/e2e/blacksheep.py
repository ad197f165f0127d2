"""BlackSheep on asyncpg: bound parameters, pydantic for the input, orjson for the answers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import asyncpg
import orjson
from blacksheep import Application, Content, FromJSON, Response, Router
from pydantic import BaseModel

from . import COLUMNS, COUNT, CREATE, LIST, PAGE, SHOW


class RecordIn(BaseModel):
    name: str
    email: str
    city: str
    age: int
    active: bool = True
    score: float
    balance: float
    note: str | None = None
    created_at: datetime


def json(value: Any, status: int = 200) -> Response:
    return Response(status, content=Content(b"application/json", orjson.dumps(value)))


def application(dsn: str) -> Application:
    app = Application(router=Router())
    pools: list[asyncpg.Pool] = []

    @app.on_start
    async def start(app: Application) -> None:
        pools.append(await asyncpg.create_pool(dsn, min_size=8, max_size=8))

    @app.on_stop
    async def stop(app: Application) -> None:
        await pools.pop().close()

    @app.router.get("/records")
    async def list_records() -> Response:
        return json([dict(row) for row in await pools[0].fetch(LIST)])

    @app.router.get("/records/{id}")
    async def show_record(id: int) -> Response:
        row = await pools[0].fetchrow(SHOW, id)
        return Response(404) if row is None else json(dict(row))

    @app.router.get("/pages")
    async def page(active: bool, page: int, page_size: int) -> Response:
        async with pools[0].acquire() as connection:
            count = await connection.fetchval(COUNT, active)
            rows = await connection.fetch(PAGE, active, page_size, (page - 1) * page_size)
        return json({"count": count, "results": [dict(row) for row in rows]})

    @app.router.post("/records")
    async def create_record(data: FromJSON[RecordIn]) -> Response:
        values = [getattr(data.value, name) for name in COLUMNS]
        return json(dict(await pools[0].fetchrow(CREATE, *values)), 201)

    return app
