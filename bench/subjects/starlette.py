"""Starlette: it has neither typed parameters nor bodies, so they are validated by hand and by msgspec."""

from __future__ import annotations

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from bench.asgi import ASGIApp
from bench.cases import GREETING, RECORDS, ROUTES, resource_text
from bench.schemas import Order, Record, User

encode = msgspec.json.Encoder().encode
decode_order = msgspec.json.Decoder(Order).decode


class MsgspecResponse(Response):
    media_type = "application/json"

    def render(self, content: object) -> bytes:
        return encode(content)


async def plaintext(request: Request) -> Response:
    return PlainTextResponse(GREETING)


async def json(request: Request) -> Response:
    return MsgspecResponse({"message": GREETING})


async def user(request: Request) -> Response:
    query = request.query_params
    try:
        user = User(id=request.path_params["id"], q=query["q"], limit=int(query.get("limit", 10)))
    except (ValueError, KeyError) as error:
        raise HTTPException(422) from error
    return MsgspecResponse(user)


async def create(request: Request) -> Response:
    try:
        order = decode_order(await request.body())
    except msgspec.ValidationError as error:
        raise HTTPException(422) from error
    return MsgspecResponse(order)


def list100() -> Route:
    people = msgspec.convert(RECORDS, list[Record])

    async def records(request: Request) -> Response:
        return MsgspecResponse(people)

    return Route("/records", records)


def resource(route: int) -> Route:
    async def resource(request: Request) -> Response:
        return PlainTextResponse(resource_text(route, request.path_params["id"]))

    return Route(f"/resource{route}/{{id:int}}", resource)


def resources(count: int) -> Starlette:
    return Starlette(routes=[resource(route) for route in range(count)])


def apps() -> dict[str, ASGIApp]:
    return {
        "plaintext": Starlette(routes=[Route("/plaintext", plaintext)]),
        "json": Starlette(routes=[Route("/json", json)]),
        "params": Starlette(routes=[Route("/users/{id:int}", user)]),
        "post": Starlette(routes=[Route("/orders", create, methods=["POST"])]),
        "list100": Starlette(routes=[list100()]),
        "routes500": resources(ROUTES),
        "notfound": resources(ROUTES),
    }
