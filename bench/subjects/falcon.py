"""Falcon: resources that give `resp.data` what orjson encoded; it has no validation of bodies."""

from __future__ import annotations

import msgspec
import orjson
from falcon import MEDIA_TEXT
from falcon.asgi import App, Request, Response

from bench.asgi import ASGIApp
from bench.cases import GREETING, RECORDS, ROUTES, resource_text
from bench.schemas import RecordData

UNVALIDATED = ("post",)


class Plaintext:
    async def on_get(self, req: Request, resp: Response) -> None:
        resp.content_type = MEDIA_TEXT
        resp.data = GREETING.encode()


class Json:
    async def on_get(self, req: Request, resp: Response) -> None:
        resp.data = orjson.dumps({"message": GREETING})


class Users:
    async def on_get(self, req: Request, resp: Response, id: int) -> None:
        q = req.get_param("q", required=True)
        limit = req.get_param_as_int("limit", default=10)
        resp.data = orjson.dumps({"id": id, "q": q, "limit": limit})


class Orders:
    async def on_post(self, req: Request, resp: Response) -> None:
        resp.data = orjson.dumps(orjson.loads(await req.stream.read()))


class Records:
    def __init__(self) -> None:
        self.records = msgspec.convert(RECORDS, list[RecordData])

    async def on_get(self, req: Request, resp: Response) -> None:
        resp.data = orjson.dumps(self.records, option=orjson.OPT_UTC_Z)


class Resource:
    def __init__(self, route: int) -> None:
        self.route = route

    async def on_get(self, req: Request, resp: Response, id: int) -> None:
        resp.content_type = MEDIA_TEXT
        resp.data = resource_text(self.route, id).encode()


def serve(path: str, resource: object) -> App:
    app = App()
    app.add_route(path, resource)
    return app


def resources(count: int) -> App:
    app = App()
    for route in range(count):
        app.add_route(f"/resource{route}/{{id:int}}", Resource(route))
    return app


def apps() -> dict[str, ASGIApp]:
    return {
        "plaintext": serve("/plaintext", Plaintext()),
        "json": serve("/json", Json()),
        "params": serve("/users/{id:int}", Users()),
        "post": serve("/orders", Orders()),
        "list100": serve("/records", Records()),
        "routes500": resources(ROUTES),
        "notfound": resources(ROUTES),
    }
