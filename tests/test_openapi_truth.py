"""What an application answers is what its document says, whatever the request looks like."""

from __future__ import annotations

import decimal
import itertools
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from typing import Annotated, Any

import httpx
import jsonschema
import msgspec
import pytest
from msgspec import Meta, Struct

from swift.app import App
from swift.http import Conflict, HTMLResponse, NotFound, UploadFile
from swift.openapi import openapi
from swift.routing import Cookie, File, Form, Header, Query

MAX_BODY_SIZE = 2000


class Item(Struct):
    id: int
    name: Annotated[str, Meta(min_length=1, max_length=8)]
    price: decimal.Decimal = decimal.Decimal("1.5")
    day: date = date(2026, 2, 3)
    at: datetime = datetime(2026, 2, 3, tzinfo=UTC)
    key: uuid.UUID = uuid.UUID(int=7)
    raw: bytes = b"\0"
    pair: tuple[int, str] = (1, "a")
    parent: Item | None = None


class Created(Struct, tag="created"):
    item: Item


class Queued(Struct, tag="queued"):
    position: int


def varied_app() -> App:
    app = App(openapi_url=None, docs_url=None, max_body_size=MAX_BODY_SIZE)

    @app.get("/items/{id:int}", responses={404: "It is sold."})
    async def get_item(id: int, depth: Annotated[int, Query(ge=0, le=3)] = 0) -> Item:
        if id > 9:
            raise NotFound()
        item = Item(id, "Pen")
        return Item(0, "Box", parent=item) if depth else item

    @app.get("/items/{id}")
    async def find_item(id: uuid.UUID) -> Item | None:
        return None

    @app.post("/items", status=201, responses={409: Conflict})
    async def create_item(item: Item, x_mode: Annotated[str, Header()] = "now") -> Created | Queued:
        if item.id == 5:
            raise Conflict("There is one already.")
        return Queued(3) if x_mode == "later" else Created(item)

    @app.put("/items/{id:int}")
    async def put_item(id: int, item: Item | None = None) -> None: ...

    @app.get("/me")
    async def me(session: Annotated[str, Cookie()]) -> str:
        return session

    @app.get("/raw")
    async def raw() -> bytes:
        return b"\0\1"

    @app.get("/page")
    async def page() -> HTMLResponse:
        return HTMLResponse("<p>")

    @app.get("/log")
    async def log(count: Annotated[int, Query(le=3)] = 2) -> AsyncIterator[Item]:
        for number in range(count):
            yield Item(number, "Pen")

    @app.post("/login")
    async def login(
        name: Annotated[str, Form(min_length=2)], remember: Annotated[bool, Form()] = False
    ) -> str:
        return name

    @app.post("/scans")
    async def add_scan(
        scan: Annotated[UploadFile, File()], pages: Annotated[int, Form()] = 1
    ) -> dict[str, int]:
        return {"size": scan.size}

    return app


ITEM = b'{"id": 1, "name": "Pen"}'
JSON = {"content-type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}

ITEM_PATHS = ["/items/1", "/items/99", f"/items/{uuid.UUID(int=1)}", "/items/x", "/items/%ff", "/items/%00"]
QUERIES = ["", "?depth=1&count=1", "?depth=9", "?depth=", "?count=%ff", "?depth=1&depth=x", "?%ff=%ff&&="]
HEADERS: list[dict[str, str]] = [
    {},
    {"cookie": "session=a", "x-mode": "later"},
    {"accept": "text/html"},
    {"accept": "application/json;q=0, */*;q=0"},
]
BODIES: list[tuple[dict[str, str], bytes]] = [
    ({}, b""),
    (JSON, b""),
    (JSON, ITEM),
    (JSON, b'{"id": 5, "name": "Pen"}'),
    (JSON, b'{"id": "x", "name": ""}'),
    (JSON, b'{"id": 1'),
    (JSON, b'"\xff"'),
    (JSON, b"[" * 1500),
    (JSON, b'{"id": ' + b"9" * 1500 + b', "name": "Pen"}'),
    (JSON, b" " * (MAX_BODY_SIZE + 1)),
    ({"content-type": "text/plain"}, ITEM),
    ({}, ITEM),
    (FORM, b"name=ann"),
    (FORM, b"name=a&remember=maybe"),
    (FORM, b"%ff=%ff"),
    (FORM, b"name=" + b"a" * MAX_BODY_SIZE),
    ({"content-type": "multipart/form-data; boundary=b"}, b"a" * (MAX_BODY_SIZE + 1)),
    ({"content-type": "multipart/form-data"}, b"--"),
    ({"content-type": "multipart/form-data; boundary=b"}, b"--b\r\ncontent-disposition: form-data"),
    (
        {"content-type": "multipart/form-data; boundary=b"},
        b'--b\r\ncontent-disposition: form-data; name="scan"; filename="a"\r\n\r\nabc\r\n--b--\r\n',
    ),
]


@pytest.mark.parametrize(
    ("method", "template", "paths"),
    [
        ("GET", "/items/{id}", ITEM_PATHS),
        ("PUT", "/items/{id}", ["/items/1", "/items/1/x"]),
        ("POST", "/items", ["/items"]),
        ("GET", "/me", ["/me"]),
        ("GET", "/raw", ["/raw"]),
        ("GET", "/page", ["/page"]),
        ("GET", "/log", ["/log"]),
        ("POST", "/login", ["/login"]),
        ("POST", "/scans", ["/scans"]),
    ],
)
async def test_every_answer_is_documented_and_every_documented_answer_is_given(
    method: str, template: str, paths: list[str]
) -> None:
    app = varied_app()
    document = msgspec.json.decode(msgspec.json.encode(openapi(app.routes, title="Shop", version="1")))
    # `/items/{id:int}` and `/items/{id}` are both asked; which of them answers is the router's to know.
    operations = [
        item[method.lower()]
        for path, item in document["paths"].items()
        if path.startswith(template.removesuffix("}")) and path.count("/") == template.count("/")
        if method.lower() in item
    ]
    seen: set[str] = set()
    bodies = BODIES if method in ("POST", "PUT") else BODIES[:1]
    requests = itertools.product(paths, QUERIES, HEADERS, bodies)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop.example") as client:
        for path, query, headers, (body_headers, body) in requests:
            response = await client.request(
                method, path + query, headers=headers | body_headers, content=body
            )
            assert any(conforms(response, operation, document) for operation in operations), (
                f"{method} {path}{query} {headers | body_headers} {body[:40]!r}: "
                f"{response.status_code} {response.headers.get('content-type')} {response.text[:300]}"
            )
            seen.add(str(response.status_code))
    assert seen == {status for operation in operations for status in operation["responses"]}


def conforms(response: httpx.Response, operation: dict[str, Any], document: dict[str, Any]) -> bool:
    """Whether status, media type and body are one of the operation's answers."""
    described = operation["responses"].get(str(response.status_code))
    if described is None:
        return False
    while "$ref" in described:
        described = resolve(document, described["$ref"])
    media_type = response.headers.get("content-type", "").partition(";")[0]
    content = described.get("content", {})
    if not content:
        return response.content == b""
    if media_type not in content:
        return False
    schema = content[media_type].get("schema")
    if schema is None:
        return True
    if media_type == "application/jsonl":
        values = [msgspec.json.decode(line) for line in response.content.splitlines()]
    else:
        values = [response.text if media_type == "text/plain" else response.json()]
    validator = jsonschema.Draft202012Validator(
        {**schema, "components": document["components"]},
        format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER,
    )
    return all(validator.is_valid(value) for value in values)


def resolve(document: dict[str, Any], reference: str) -> Any:
    value: Any = document
    for part in reference.removeprefix("#/").split("/"):
        value = value[part]
    return value
