"""FastAPI on asyncpg: bound parameters, pydantic for the input, orjson for the answers, no response model."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any

import asyncpg
import orjson
from fastapi import APIRouter, FastAPI, HTTPException, Request, Response
from pydantic import BaseModel, Field

from . import COLUMNS, COUNT, CREATE, LIST, PAGE, SHOW


class RecordIn(BaseModel):
    name: Annotated[str, Field(max_length=100)]
    email: Annotated[str, Field(max_length=254)]
    city: Annotated[str, Field(max_length=100)]
    age: Annotated[int, Field(ge=0, le=150)]
    active: bool = True
    score: float
    balance: float
    note: str | None = None
    created_at: datetime


def json(value: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, media_type="application/json")


router = APIRouter()


@router.get("/records")
async def list_records(request: Request) -> Response:
    return json([dict(row) for row in await request.app.state.pool.fetch(LIST)])


@router.get("/records/{id}")
async def show_record(id: int, request: Request) -> Response:
    row = await request.app.state.pool.fetchrow(SHOW, id)
    if row is None:
        raise HTTPException(404)
    return json(dict(row))


@router.get("/pages")
async def page(active: bool, page: int, page_size: int, request: Request) -> Response:
    async with request.app.state.pool.acquire() as connection:
        count = await connection.fetchval(COUNT, active)
        rows = await connection.fetch(PAGE, active, page_size, (page - 1) * page_size)
    return json({"count": count, "results": [dict(row) for row in rows]})


@router.post("/records")
async def create_record(data: RecordIn, request: Request) -> Response:
    values = [getattr(data, name) for name in COLUMNS]
    return json(dict(await request.app.state.pool.fetchrow(CREATE, *values)), 201)


def application(dsn: str) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.pool = await asyncpg.create_pool(dsn, min_size=8, max_size=8)
        yield
        await app.state.pool.close()

    app = FastAPI(lifespan=lifespan)
    app.include_router(router)
    return app
