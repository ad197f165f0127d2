"""BlackSheep: bound parameters, pydantic for the body as its documentation advises, bytes as content."""

from __future__ import annotations

import msgspec
import orjson
from blacksheep import Application, Content, FromJSON, Response, Router, TextContent
from pydantic import BaseModel

from bench.asgi import ASGIApp
from bench.cases import GREETING, RECORDS, ROUTES, resource_text
from bench.schemas import RecordData


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


def application() -> Application:
    # Each has a router of its own: by default all applications of a process share one.
    return Application(router=Router())


def text(body: str) -> Response:
    return Response(200, content=TextContent(body))


def json_bytes(body: bytes) -> Response:
    return Response(200, content=Content(b"application/json", body))


def plaintext() -> Application:
    app = application()

    @app.router.get("/plaintext")
    async def plaintext() -> Response:
        return text(GREETING)

    return app


def json() -> Application:
    app = application()

    @app.router.get("/json")
    async def json() -> Response:
        return json_bytes(orjson.dumps({"message": GREETING}))

    return app


def params() -> Application:
    app = application()

    @app.router.get("/users/{int:id}")
    async def user(id: int, q: str, limit: int = 10) -> Response:
        return json_bytes(orjson.dumps({"id": id, "q": q, "limit": limit}))

    return app


def post() -> Application:
    app = application()

    @app.router.post("/orders")
    async def create(data: FromJSON[Order]) -> Response:
        return json_bytes(data.value.model_dump_json().encode())

    return app


def list100() -> Application:
    app = application()
    people = msgspec.convert(RECORDS, list[RecordData])

    @app.router.get("/records")
    async def records() -> Response:
        return json_bytes(orjson.dumps(people, option=orjson.OPT_UTC_Z))

    return app


def resources(count: int) -> Application:
    app = application()
    for route in range(count):
        add_resource(app, route)
    return app


def add_resource(app: Application, route: int) -> None:
    @app.router.get(f"/resource{route}/{{int:id}}")
    async def resource(id: int) -> Response:
        return text(resource_text(route, id))


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
