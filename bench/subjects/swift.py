"""Swift as its user writes it: annotated handlers and Schemas, no setting touched."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from bench.asgi import ASGIApp
from bench.cases import GREETING, RECORDS, ROUTES, resource_text
from swift import App, Schema


class UserOut(Schema):
    id: int
    q: str
    limit: int


class Item(Schema):
    sku: str
    quantity: int
    price: float


class Order(Schema):
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


class Record(Schema):
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


def plaintext() -> App:
    app = App()

    @app.get("/plaintext")
    async def plaintext() -> str:
        return GREETING

    return app


def json() -> App:
    app = App()

    @app.get("/json")
    async def json() -> dict[str, str]:
        return {"message": GREETING}

    return app


def params() -> App:
    app = App()

    @app.get("/users/{id:int}")
    async def user(id: int, q: str, limit: int = 10) -> UserOut:
        return UserOut(id=id, q=q, limit=limit)

    return app


def post() -> App:
    app = App()

    @app.post("/orders", status=200)
    async def create(order: Order) -> Order:
        return order

    return app


def list100() -> App:
    app = App()
    people = msgspec.convert(RECORDS, list[Record])

    @app.get("/records")
    async def records() -> list[Record]:
        return people

    return app


def resources(count: int) -> App:
    app = App()
    for route in range(count):
        add_resource(app, route)
    return app


def add_resource(app: App, route: int) -> None:
    @app.get(f"/resource{route}/{{id:int}}", name=f"resource{route}")
    async def resource(id: int) -> str:
        return resource_text(route, id)


def rsgi() -> Any:
    app = plaintext()
    return app if hasattr(app, "__rsgi__") else None


def apps() -> dict[str, ASGIApp]:
    return {
        "plaintext": plaintext(),
        "json": json(),
        "params": params(),
        "post": post(),
        "list100": list100(),
        "routes1": resources(1),
        "routes500": resources(ROUTES),
        "notfound": resources(ROUTES),
    }
