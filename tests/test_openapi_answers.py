"""What the document says of answers: successes, errors, and who is let through."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Struct
from openapi_support import Cat, Dog, Item, Page, document_of, json_content, new_app, operation_of

from swift.app import App
from swift.http import (
    Conflict,
    EventSourceResponse,
    HTMLResponse,
    JSONResponse,
    RedirectResponse,
    Request,
    Response,
)
from swift.openapi import openapi
from swift.routing import Body, Form, Header, Path, Router
from swift.routing.compiler import Inherited, compile_endpoint


async def returns_text() -> str: ...  # type: ignore[empty-body]
async def returns_bytes() -> bytes: ...  # type: ignore[empty-body]
async def returns_none() -> None: ...
async def returns_item() -> Item: ...  # type: ignore[empty-body]
async def returns_optional() -> Item | None: ...
async def returns_union() -> Cat | Dog: ...  # type: ignore[empty-body]
async def returns_generic() -> Page[Item]: ...  # type: ignore[empty-body]
async def returns_dict() -> dict[str, int]: ...  # type: ignore[empty-body]
async def returns_anything() -> Any: ...
async def returns_nothing_said(): ...  # type: ignore[no-untyped-def]
async def returns_response() -> Response: ...  # type: ignore[empty-body]
async def returns_html() -> HTMLResponse: ...  # type: ignore[empty-body]
async def returns_json() -> JSONResponse: ...  # type: ignore[empty-body]
async def returns_events() -> EventSourceResponse: ...  # type: ignore[empty-body]
async def returns_either() -> Item | JSONResponse: ...  # type: ignore[empty-body]


async def streams_items() -> AsyncIterator[Item]:
    yield Item(1, "Pen")


async def streams_text() -> AsyncIterator[str]:
    yield ""


async def streams_bytes() -> AsyncIterator[bytes]:
    yield b""


@pytest.mark.parametrize(
    ("handler", "content"),
    [
        (returns_text, {"text/plain": {"schema": {"type": "string"}}}),
        (returns_bytes, {"application/octet-stream": {}}),
        (returns_item, json_content({"$ref": "#/components/schemas/Item"})),
        (
            returns_optional,
            json_content({"anyOf": [{"$ref": "#/components/schemas/Item"}, {"type": "null"}]}),
        ),
        (
            returns_union,
            json_content(
                {
                    "oneOf": [{"$ref": "#/components/schemas/Cat"}, {"$ref": "#/components/schemas/Dog"}],
                    "discriminator": {
                        "propertyName": "type",
                        "mapping": {
                            "cat": "#/components/schemas/Cat",
                            "dog": "#/components/schemas/Dog",
                        },
                    },
                }
            ),
        ),
        (returns_generic, json_content({"$ref": "#/components/schemas/Page_Item"})),
        (returns_dict, json_content({"type": "object", "additionalProperties": {"type": "integer"}})),
        (returns_either, json_content({"$ref": "#/components/schemas/Item"})),
        (returns_anything, None),
        (returns_nothing_said, None),
        (returns_response, None),
        (returns_html, {"text/html": {}}),
        (returns_json, {"application/json": {}}),
        (returns_events, {"text/event-stream": {}}),
        (streams_items, {"application/jsonl": {"schema": {"$ref": "#/components/schemas/Item"}}}),
        (streams_text, {"text/plain": {"schema": {"type": "string"}}}),
        (streams_bytes, {"application/octet-stream": {}}),
    ],
)
def test_answer_follows_the_return_annotation(handler: Any, content: dict[str, Any] | None) -> None:
    app = new_app()
    app.get("/x")(handler)
    assert operation_of(app, "/x")["responses"]["200"] == {
        "description": "OK",
        **({} if content is None else {"content": content}),
    }


def test_answer_without_content_has_status_204() -> None:
    app = new_app()
    app.get("/a", name="a")(returns_none)
    app.get("/b", name="b", status=202)(returns_none)
    assert operation_of(app, "/a")["responses"] == {"204": {"description": "No Content"}}
    assert operation_of(app, "/b")["responses"] == {"202": {"description": "Accepted"}}


def test_redirect_has_its_own_status_and_location() -> None:
    app = new_app()

    @app.get("/old")
    async def old() -> RedirectResponse:
        return RedirectResponse("/new")

    response = operation_of(app, "/old")["responses"]["307"]
    assert response["description"] == "Temporary Redirect"
    assert list(response["headers"]) == ["Location"]

    app = new_app()
    app.post("/form", status=303)(old)
    assert list(operation_of(app, "/form", "post")["responses"]) == ["303"]


def test_media_type_of_the_route_wins() -> None:
    app = new_app()
    app.get("/csv", media_type="text/csv")(returns_text)
    app.get("/item", media_type="application/vnd.shop+json")(returns_item)
    assert list(operation_of(app, "/csv")["responses"]["200"]["content"]) == ["text/csv"]
    assert list(operation_of(app, "/item")["responses"]["200"]["content"]) == ["application/vnd.shop+json"]


def test_declared_answers() -> None:
    app = new_app()

    class OutOfStock(Conflict):
        """Nothing is left of it."""

    responses = {
        200: {"description": "The item.", "headers": {"ETag": {"schema": {"type": "string"}}}},
        202: None,
        203: "From a cache.",
        402: Page[Item],
        409: OutOfStock,
        410: "It is gone.",
        418: {"model": Cat, "description": "A cat."},
        "5XX": {"description": "Broken."},
        "default": {"description": "Else.", "content": {"text/html": {}}},
    }
    app.get("/items", responses=responses)(returns_item)  # type: ignore[arg-type]
    documented = operation_of(app, "/items")["responses"]
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    assert documented.pop("406") == {"$ref": "#/components/responses/NotAcceptable"}
    assert documented == {
        "200": {
            "description": "The item.",
            "content": json_content({"$ref": "#/components/schemas/Item"}),
            "headers": {"ETag": {"schema": {"type": "string"}}},
        },
        "202": {"description": "Accepted"},
        "203": {"description": "From a cache."},
        "402": {
            "description": "Payment Required",
            "content": json_content({"$ref": "#/components/schemas/Page_Item"}),
        },
        "409": {"description": "Nothing is left of it.", "content": problem},
        "410": {"description": "It is gone.", "content": problem},
        "418": {"description": "A cat.", "content": json_content({"$ref": "#/components/schemas/Cat"})},
        "5XX": {"description": "Broken.", "content": problem},
        "default": {"description": "Else.", "content": {"text/html": {}}},
    }


def test_success_can_be_declared_elsewhere() -> None:
    app = new_app()
    app.get("/x", responses={200: {"$ref": "https://shop.example/openapi.json#/components/responses/X"}})(
        returns_response
    )
    documented = openapi(app.routes, title="Shop", version="1")["paths"]["/x"]["get"]["responses"]
    assert documented == {"200": {"$ref": "https://shop.example/openapi.json#/components/responses/X"}}


# ---- errors


def errors_of(app: App, path: str, method: str = "get", **options: Any) -> list[str]:
    responses = operation_of(app, path, method, **options)["responses"]
    return [status for status in responses if status >= "400"]


def test_errors_are_inferred_from_what_can_fail() -> None:
    app = new_app()

    @app.get("/fixed")
    async def fixed(request: Request) -> Any: ...

    @app.get("/text")
    async def text() -> str: ...  # type: ignore[empty-body]

    @app.get("/by-number/{id:int}")
    async def by_number(id: int) -> Any: ...

    @app.get("/by-name/{name}")
    async def by_name(name: str) -> Any: ...

    @app.get("/bounded/{id:int}")
    async def bounded(id: Annotated[int, Path(ge=1)]) -> Any: ...

    @app.get("/parsed/{id}")
    async def parsed(id: int) -> Any: ...

    @app.get("/query")
    async def query(q: str = "") -> Any: ...

    @app.get("/header")
    async def header(x: Annotated[str, Header()] = "") -> Any: ...

    @app.get("/header-needed")
    async def header_needed(x: Annotated[str, Header()]) -> Any: ...

    @app.get("/header-parsed")
    async def header_parsed(x: Annotated[int | None, Header()] = None) -> Any: ...

    @app.post("/body")
    async def body(item: Item) -> Any: ...

    @app.post("/any-body")
    async def any_body(item: Annotated[Any, Body()]) -> Any: ...

    @app.post("/form")
    async def form(name: Annotated[str, Form()]) -> Any: ...

    paths = document_of(app)["paths"]
    found = {
        path: [status for status in operation["responses"] if status >= "400"]
        for path, item in paths.items()
        for operation in item.values()
    }
    assert found == {
        "/fixed": [],
        "/text": ["406"],
        "/by-number/{id}": ["404"],
        "/by-name/{name}": ["404"],
        "/bounded/{id}": ["404", "422"],
        "/parsed/{id}": ["404", "422"],
        "/query": ["422"],
        "/header": [],
        "/header-needed": ["422"],
        "/header-parsed": ["422"],
        "/body": ["400", "413", "415", "422"],
        "/any-body": ["400", "413", "415"],
        "/form": ["400", "413", "415", "422"],
    }


def test_error_answers_are_shared_components() -> None:
    app = new_app()

    @app.get("/items/{id}")
    async def get_item(id: int) -> Any: ...

    document = document_of(app)
    assert document["paths"]["/items/{id}"]["get"]["responses"]["422"] == {
        "$ref": "#/components/responses/UnprocessableContent"
    }
    assert document["components"]["responses"]["NotFound"] == {
        "description": "There is no such resource.",
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    assert list(document["components"]["schemas"]) == ["ErrorDetail", "Problem"]
    assert document["components"]["schemas"]["Problem"]["properties"]["errors"] == {
        "type": "array",
        "items": {"$ref": "#/components/schemas/ErrorDetail"},
    }


def test_types_of_the_application_do_not_take_the_names_of_the_error_types() -> None:
    app = new_app()
    problem = msgspec.defstruct("Problem", [("x", int)], module="shop.models")

    async def solve(problem):  # type: ignore[no-untyped-def]
        ...

    solve.__annotations__ = {"problem": problem}
    app.post("/solve")(solve)
    document = document_of(app)
    assert list(document["components"]["schemas"]) == ["ErrorDetail", "Problem", "shop.models.Problem"]


def test_error_type_of_the_application() -> None:
    app = new_app()

    class Failure(Struct):
        message: str

    @app.get("/items/{id}")
    async def get_item(id: str) -> Any: ...

    document = document_of(app, error_type=Failure, error_media_type="application/json")
    assert document["components"]["responses"]["NotFound"]["content"] == json_content(
        {"$ref": "#/components/schemas/Failure"}
    )
    assert list(document["components"]["schemas"]) == ["Failure"]


def test_guard_says_what_it_answers() -> None:
    async def throttle(request: Request) -> None: ...

    async def only_known(request: Request) -> None: ...

    throttle.answers = (429,)  # type: ignore[attr-defined]
    router = Router()
    router.get("/items")(returns_response)
    (route,) = (placed.route for placed in router.flatten())

    def documented(*guards: Any) -> list[str]:
        compile_endpoint(route, Inherited(guards=guards))
        document = openapi([route], title="Shop", version="1")
        return list(document["paths"]["/items"]["get"]["responses"])

    assert documented() == ["200"]
    assert documented(throttle) == ["200", "429"]
    assert documented(throttle, only_known) == ["200", "401", "403", "429"]
    throttle.answers = (418, 460, 461)  # type: ignore[attr-defined]
    assert documented(throttle) == ["200", "418", "460", "461"]
    document = openapi([route], title="Shop", version="1")
    assert list(document["components"]["responses"]) == ["ClientError460", "ClientError461", "I_maTeapot"]


# ---- security


SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    "key": {"type": "apiKey", "in": "header", "name": "x-key"},
}


def test_security_of_a_route_and_of_all() -> None:
    app = new_app()
    app.get("/a", name="a")(returns_response)
    app.get("/b", name="b", security=[{"key": []}, {"bearer": ["read"]}])(returns_response)
    app.get("/c", name="c", security=[])(returns_response)
    options = {"security_schemes": SCHEMES, "security": [{"bearer": []}]}
    document = document_of(app, **options)
    assert document["components"]["securitySchemes"] == SCHEMES
    assert document["security"] == [{"bearer": []}]
    assert "security" not in document["paths"]["/a"]["get"]
    assert document["paths"]["/b"]["get"]["security"] == [{"key": []}, {"bearer": ["read"]}]
    assert document["paths"]["/c"]["get"]["security"] == []
    assert {path: errors_of(app, path, **options) for path in ("/a", "/b", "/c")} == {
        "/a": ["401"],
        "/b": ["401"],
        "/c": [],
    }


def test_security_that_needs_an_unknown_scheme_is_refused() -> None:
    app = new_app()
    app.get("/a", security=[{"basic": []}])(returns_response)
    with pytest.raises(
        ValueError,
        match=r"GET /a .* cannot be documented: security requires `basic`, "
        r"but security_schemes declares `bearer`, `key`; add it\.",
    ):
        document_of(app, security_schemes=SCHEMES)
