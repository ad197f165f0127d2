"""FastAPI: pydantic models in and out, return annotations as response models, without OpenAPI."""

from __future__ import annotations

from datetime import datetime

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel

from bench.asgi import ASGIApp
from bench.cases import GREETING, RECORDS, ROUTES, resource_text


class User(BaseModel):
    id: int
    q: str
    limit: int


class Item(BaseModel):
    sku: str
    quantity: int
    price: float


class Order(BaseModel):
    customer: str
    email: str
    phone: str
    currency: str
    priority: int
    discount: float
    paid: bool
    note: str | None
    tags: list[str]
    items: list[Item]


class Record(BaseModel):
    id: int
    name: str
    email: str
    city: str
    age: int
    active: bool
    score: float
    balance: float
    note: str | None
    created_at: datetime


def application() -> FastAPI:
    return FastAPI(openapi_url=None)


def plaintext() -> FastAPI:
    app = application()

    @app.get("/plaintext", response_class=PlainTextResponse)
    async def plaintext() -> str:
        return GREETING

    return app


def json() -> FastAPI:
    app = application()

    @app.get("/json")
    async def json() -> dict[str, str]:
        return {"message": GREETING}

    return app


def params() -> FastAPI:
    app = application()

    @app.get("/users/{id}")
    async def user(id: int, q: str, limit: int = 10) -> User:
        return User(id=id, q=q, limit=limit)

    return app


def post() -> FastAPI:
    app = application()

    @app.post("/orders")
    async def create(order: Order) -> Order:
        return order

    return app


def list100() -> FastAPI:
    app = application()
    people = [Record(**record) for record in RECORDS]

    @app.get("/records")
    async def records() -> list[Record]:
        return people

    return app


def resources(count: int) -> FastAPI:
    app = application()
    for route in range(count):
        add_resource(app, route)
    return app


def add_resource(app: FastAPI, route: int) -> None:
    @app.get(f"/resource{route}/{{id}}", response_class=PlainTextResponse)
    async def resource(id: int) -> str:
        return resource_text(route, id)


def apps() -> dict[str, ASGIApp]:
    return {
        "plaintext": plaintext(),
        "json": json(),
        "params": params(),
        "post": post(),
        "list100": list100(),
        "routes500": resources(ROUTES),
        "notfound": resources(ROUTES),
    }
