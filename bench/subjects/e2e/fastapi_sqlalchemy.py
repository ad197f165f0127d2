"""FastAPI with SQLAlchemy's async ORM on asyncpg: a session per request, pydantic in and out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from .tables import Record


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


class RecordOut(RecordIn):
    model_config = ConfigDict(from_attributes=True)

    id: int


class Page(BaseModel):
    count: int
    results: list[RecordOut]


async def session(request: Request) -> AsyncIterator[AsyncSession]:
    async with request.app.state.sessions() as session:
        yield session


Session = Annotated[AsyncSession, Depends(session)]
router = APIRouter()


@router.get("/records", response_model=list[RecordOut])
async def list_records(session: Session) -> Any:
    return (await session.scalars(select(Record).order_by(Record.id))).all()


@router.get("/records/{id}", response_model=RecordOut)
async def show_record(id: int, session: Session) -> Any:
    record = await session.get(Record, id)
    if record is None:
        raise HTTPException(404)
    return record


@router.get("/pages", response_model=Page)
async def page(active: bool, page: int, page_size: int, session: Session) -> Any:
    chosen = select(Record).where(Record.active == active)
    count = await session.scalar(select(func.count()).select_from(chosen.subquery()))
    found = await session.scalars(chosen.order_by(Record.id).limit(page_size).offset((page - 1) * page_size))
    return {"count": count, "results": found.all()}


@router.post("/records", response_model=RecordOut, status_code=201)
async def create_record(data: RecordIn, session: Session) -> Any:
    record = Record(**data.model_dump())
    session.add(record)
    await session.commit()
    return record


def application(dsn: str) -> FastAPI:
    engine = create_async_engine(
        dsn.replace("postgresql://", "postgresql+asyncpg://"), pool_size=8, max_overflow=0
    )

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await engine.dispose()

    app = FastAPI(lifespan=lifespan)
    app.state.sessions = async_sessionmaker(engine, expire_on_commit=False)
    app.include_router(router)
    return app
