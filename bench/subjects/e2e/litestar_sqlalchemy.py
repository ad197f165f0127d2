"""Litestar with SQLAlchemy's async ORM on asyncpg: a session per request, msgspec Structs in and out."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Litestar, get, post
from litestar.datastructures import State
from litestar.exceptions import NotFoundException
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from .tables import Record


class RecordIn(msgspec.Struct, kw_only=True):
    name: Annotated[str, msgspec.Meta(max_length=100)]
    email: Annotated[str, msgspec.Meta(max_length=254)]
    city: Annotated[str, msgspec.Meta(max_length=100)]
    age: Annotated[int, msgspec.Meta(ge=0, le=150)]
    active: bool = True
    score: float
    balance: float
    note: str | None = None
    created_at: datetime


class RecordOut(RecordIn, kw_only=True):
    id: int


class Page(msgspec.Struct):
    count: int
    results: list[RecordOut]


def shown(record: Record) -> RecordOut:
    return msgspec.convert(record, RecordOut, from_attributes=True)


@get("/records")
async def list_records(state: State) -> list[RecordOut]:
    async with state.sessions() as session:
        return [shown(record) for record in await session.scalars(select(Record).order_by(Record.id))]


@get("/records/{id:int}")
async def show_record(id: int, state: State) -> RecordOut:
    async with state.sessions() as session:
        record = await session.get(Record, id)
    if record is None:
        raise NotFoundException
    return shown(record)


@get("/pages")
async def page_of_records(active: bool, page: int, page_size: int, state: State) -> Page:
    chosen = select(Record).where(Record.active == active)
    async with state.sessions() as session:
        count = await session.scalar(select(func.count()).select_from(chosen.subquery()))
        found = await session.scalars(
            chosen.order_by(Record.id).limit(page_size).offset((page - 1) * page_size)
        )
        return Page(count, [shown(record) for record in found])


@post("/records")
async def create_record(data: RecordIn, state: State) -> RecordOut:
    async with state.sessions() as session:
        record = Record(**msgspec.structs.asdict(data))
        session.add(record)
        await session.commit()
        return shown(record)


def application(dsn: str) -> Litestar:
    engine = create_async_engine(
        dsn.replace("postgresql://", "postgresql+asyncpg://"), pool_size=8, max_overflow=0
    )
    return Litestar(
        [list_records, show_record, page_of_records, create_record],
        state=State({"sessions": async_sessionmaker(engine, expire_on_commit=False)}),
        on_shutdown=[engine.dispose],
        openapi_config=None,
    )
