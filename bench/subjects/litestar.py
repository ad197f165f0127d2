"""Litestar: msgspec Structs in and out, without OpenAPI and without a logging configuration."""

from __future__ import annotations

import msgspec
from litestar import Litestar, MediaType, get, post
from litestar.handlers import BaseRouteHandler

from bench.asgi import ASGIApp
from bench.cases import GREETING, RECORDS, ROUTES, resource_text
from bench.schemas import Order, Record, User


@get("/plaintext", media_type=MediaType.TEXT)
async def plaintext() -> str:
    return GREETING


@get("/json")
async def json() -> dict[str, str]:
    return {"message": GREETING}


@get("/users/{id:int}")
async def user(id: int, q: str, limit: int = 10) -> User:
    return User(id=id, q=q, limit=limit)


@post("/orders", status_code=200)
async def create(data: Order) -> Order:
    return data


def records() -> BaseRouteHandler:
    people = msgspec.convert(RECORDS, list[Record])

    @get("/records")
    async def records() -> list[Record]:
        return people

    return records


def resource(route: int) -> BaseRouteHandler:
    @get(f"/resource{route}/{{id:int}}", media_type=MediaType.TEXT)
    async def resource(id: int) -> str:
        return resource_text(route, id)

    return resource


def serve(*handlers: BaseRouteHandler) -> Litestar:
    return Litestar(handlers, openapi_config=None, logging_config=None)


def apps() -> dict[str, ASGIApp]:
    return {
        "plaintext": serve(plaintext),
        "json": serve(json),
        "params": serve(user),
        "post": serve(create),
        "list100": serve(records()),
        "routes500": serve(*map(resource, range(ROUTES))),
        "notfound": serve(*map(resource, range(ROUTES))),
    }
