"""The document: what it says of an application, and that what it says is OpenAPI 3.1."""

from __future__ import annotations

import datetime
import uuid
from typing import Annotated

import msgspec
import pytest
from msgspec import Meta, Struct
from openapi_support import Cat, Dog, Item, Kind, Page, document_of, json_content, new_app, operation_of

from swift import openapi as package
from swift.http import UploadFile
from swift.openapi import openapi
from swift.routing import Body, Cookie, File, Form, Header, Path, Query, Router

# ---- the frame


def test_exported_names() -> None:
    assert package.__all__ == ["Documentation", "OpenAPIOptions", "openapi"]


def test_document_without_routes() -> None:
    assert document_of(new_app()) == {
        "openapi": "3.1.1",
        "info": {"title": "Shop", "version": "1"},
        "paths": {},
    }


def test_information_servers_tags_and_links() -> None:
    app = new_app()

    @app.get("/items", tags=["items", "public"])
    async def list_items() -> list[Item]:
        return []

    document = document_of(
        app,
        summary="A shop",
        description="*All* of it.",
        terms_of_service="https://shop.example/terms",
        contact={"name": "Ann", "email": "ann@shop.example"},
        license={"name": "MIT", "identifier": "MIT"},
        servers=["https://api.shop.example", {"url": "/v1", "description": "here"}],
        tags=[{"name": "public", "description": "For everyone."}, "admin"],
        external_docs={"url": "https://shop.example/docs"},
    )
    assert list(document) == ["openapi", "info", "servers", "paths", "components", "tags", "externalDocs"]
    assert document["info"] == {
        "title": "Shop",
        "version": "1",
        "summary": "A shop",
        "description": "*All* of it.",
        "termsOfService": "https://shop.example/terms",
        "contact": {"name": "Ann", "email": "ann@shop.example"},
        "license": {"name": "MIT", "identifier": "MIT"},
    }
    assert document["servers"] == [
        {"url": "https://api.shop.example"},
        {"url": "/v1", "description": "here"},
    ]
    assert document["tags"] == [
        {"name": "public", "description": "For everyone."},
        {"name": "admin"},
        {"name": "items"},
    ]


def test_equal_applications_give_equal_bytes() -> None:
    def build() -> bytes:
        app = new_app()

        @app.post("/items/{id:int}")
        async def add(id: int, item: Item, limit: int = 3, kind: Kind = Kind.TOY) -> Page[Item] | Cat | Dog:
            raise NotImplementedError

        return msgspec.json.encode(openapi(app.routes, title="Shop", version="1"))

    assert build() == build()


# ---- operations


def test_summary_and_description_come_from_the_docstring() -> None:
    app = new_app()

    @app.get("/items", operation_id="items", deprecated=True)
    async def list_items() -> list[Item]:
        """List the items.

        In the order of their names,
        *all* of them.
        """
        return []

    @app.get("/told", summary="Told", description="At length.")
    async def told() -> str:
        """Not this."""
        return ""

    @app.get("/silent")
    async def silent_running() -> str:
        return ""

    documented = operation_of(app, "/items")
    assert documented["summary"] == "List the items."
    assert documented["description"] == "In the order of their names,\n*all* of them."
    assert documented["operationId"] == "items"
    assert documented["deprecated"] is True
    told_operation = operation_of(app, "/told")
    assert (told_operation["summary"], told_operation["description"]) == ("Told", "At length.")
    assert operation_of(app, "/silent")["summary"] == "Silent running"


def test_operation_is_called_like_its_route() -> None:
    app = new_app()
    shop = Router("/shop", name="shop")

    async def list_items() -> str:
        return ""

    app.get("/items")(list_items)
    app.get("/named", name="users-detail")(list_items)
    shop.get("/items")(list_items)
    app.include(shop)
    document = document_of(app)
    assert [item["get"]["operationId"] for item in document["paths"].values()] == [
        "list_items",
        "users_detail",
        "shop_list_items",
    ]


def test_methods_of_one_path_under_one_name_are_told_apart() -> None:
    app = new_app()

    @app.route("/items", methods=["POST", "GET"])
    async def items() -> str:
        return ""

    async def read() -> str:
        return ""

    async def write() -> str:
        return ""

    app.get("/users", name="users")(read)
    app.put("/users", name="users")(write)
    document = document_of(app)
    assert {
        path: {method: operation["operationId"] for method, operation in item.items()}
        for path, item in document["paths"].items()
    } == {
        "/items": {"get": "items_get", "post": "items_post"},
        "/users": {"get": "users_get", "put": "users_put"},
    }


def test_two_operations_of_one_name_are_refused_and_both_are_named() -> None:
    app = new_app()

    @app.get("/items")
    async def list_items() -> str:
        return ""

    app.get("/old-items")(list_items)
    with pytest.raises(ValueError) as caught:
        document_of(app)
    where = f"({__name__}.test_two_operations_of_one_name_are_refused_and_both_are_named.<locals>.list_items)"
    assert str(caught.value) == (
        f"Two operations are called `list_items`: GET /items {where} and GET /old-items {where}; "
        "give one of them another name or an operation_id of its own."
    )


def test_explicit_operation_ids_collide_even_on_one_path() -> None:
    app = new_app()

    async def handler() -> str:
        return ""

    app.get("/items", operation_id="items")(handler)
    app.post("/items", operation_id="items")(handler)
    with pytest.raises(ValueError, match=r"Two operations are called `items`: GET /items .* and POST /items"):
        document_of(app)


def test_head_and_options_and_hidden_routes_are_not_listed() -> None:
    app = new_app()

    async def handler() -> str:
        return ""

    app.get("/items", name="a")(handler)
    app.head("/items", name="b")(handler)
    app.options("/items", name="c")(handler)
    app.get("/secret", name="a", include_in_schema=False)(handler)
    assert {path: list(item) for path, item in document_of(app)["paths"].items()} == {"/items": ["get"]}


def test_query_method_is_kept_as_an_extension() -> None:
    app = new_app()

    @app.query("/search")
    async def search(item: Item) -> list[Item]:
        return []

    assert operation_of(app, "/search", "x-query")["operationId"] == "search"


# ---- parameters


def test_path_parameters_lose_their_converters_and_keep_their_types() -> None:
    app = new_app()

    @app.get("/{shop}/items/{id:int}/{day:date}.{key:uuid}/{rest:path}")
    async def get_item(
        rest: str, id: Annotated[int, Path(description="Its number.")], key: uuid.UUID
    ) -> Item:
        raise NotImplementedError

    operation = operation_of(app, "/{shop}/items/{id}/{day}.{key}/{rest}")
    assert operation["parameters"] == [
        {"name": "shop", "in": "path", "required": True, "schema": {"type": "string"}},
        {
            "name": "id",
            "in": "path",
            "description": "Its number.",
            "required": True,
            "schema": {"type": "integer"},
        },
        {"name": "day", "in": "path", "required": True, "schema": {"type": "string", "format": "date"}},
        {"name": "key", "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}},
        {"name": "rest", "in": "path", "required": True, "schema": {"type": "string"}},
    ]


def test_paths_that_only_the_router_tells_apart_are_both_listed() -> None:
    app = new_app()

    @app.get("/items/{id:int}")
    async def by_number(id: int) -> Item:
        raise NotImplementedError

    @app.get("/items/{id}")
    async def by_name(id: str) -> Item:
        raise NotImplementedError

    @app.delete("/items/{id}")
    async def delete_item(id: str) -> None: ...

    paths = document_of(app)["paths"]
    assert {path: list(item) for path, item in paths.items()} == {
        "/items/{id}": ["get", "delete"],
        "/items/{id_str}": ["get"],
    }
    assert paths["/items/{id_str}"]["get"]["parameters"][0]["name"] == "id_str"


def test_one_path_on_two_hosts_cannot_be_said() -> None:
    app = new_app()
    api = Router(host="api.shop.example", name="api")

    async def items() -> str:
        return ""

    api.get("/items")(items)
    app.include(api)
    assert operation_of(app, "/items")["servers"] == [{"url": "//api.shop.example"}]
    app = new_app()
    app.get("/items")(items)
    app.include(api)
    with pytest.raises(ValueError, match=r"host api\.shop\.example and elsewhere.*include_in_schema=False"):
        document_of(app)


def test_query_header_and_cookie_parameters() -> None:
    app = new_app()

    @app.get("/items")
    async def list_items(
        q: str,
        session: Annotated[str, Cookie()],
        x_token: Annotated[str, Header(description="From the login.")],
        limit: Annotated[int, Query(ge=1, le=100, deprecated=True, examples=[10])] = 20,
        kinds: Annotated[list[Kind], Query(alias="kind", examples=[["book"], ["toy"]])] = [],  # noqa: B006
        since: datetime.date | None = None,
        hidden: Annotated[str, Query(include_in_schema=False)] = "",
        authorization: Annotated[str, Header()] = "",
    ) -> list[Item]:
        return []

    operation = operation_of(app, "/items")
    assert operation["parameters"] == [
        {"name": "q", "in": "query", "required": True, "schema": {"type": "string"}},
        {
            "name": "limit",
            "in": "query",
            "required": False,
            "deprecated": True,
            "schema": {"type": "integer", "minimum": 1, "maximum": 100, "default": 20},
            "example": 10,
        },
        {
            "name": "kind",
            "in": "query",
            "required": False,
            "schema": {"type": "array", "items": {"$ref": "#/components/schemas/Kind"}, "default": []},
            "examples": {"example 1": {"value": ["book"]}, "example 2": {"value": ["toy"]}},
        },
        {"name": "since", "in": "query", "required": False, "schema": {"type": "string", "format": "date"}},
        {
            "name": "x-token",
            "in": "header",
            "description": "From the login.",
            "required": True,
            "schema": {"type": "string"},
        },
        {"name": "session", "in": "cookie", "required": True, "schema": {"type": "string"}},
    ]


# ---- bodies


def test_json_body() -> None:
    app = new_app()

    @app.post("/items", status=201)
    async def create_item(item: Annotated[Item, Body(description="The new one.")]) -> Item:
        return item

    @app.put("/items")
    async def replace_items(items: list[Item] | None = None) -> None: ...

    assert operation_of(app, "/items", "post")["requestBody"] == {
        "description": "The new one.",
        "required": True,
        "content": json_content({"$ref": "#/components/schemas/Item"}),
    }
    assert operation_of(app, "/items", "put")["requestBody"]["required"] is False


def test_examples_of_a_type_stand_beside_its_schema() -> None:
    app = new_app()

    @app.post("/items")
    async def create(item: Annotated[Item, Meta(examples=[{"id": 1, "name": "Pen"}])]) -> None: ...

    assert operation_of(app, "/items", "post")["requestBody"]["content"]["application/json"] == {
        "schema": {"$ref": "#/components/schemas/Item"},
        "example": {"id": 1, "name": "Pen"},
    }


def test_form_without_files_is_read_in_both_encodings() -> None:
    app = new_app()

    @app.post("/login")
    async def login(
        name: Annotated[str, Form(description="As registered.")],
        remember_me: Annotated[bool, Form(alias="remember")] = False,
        trap: Annotated[str, Form(include_in_schema=False)] = "",
    ) -> None: ...

    content = operation_of(app, "/login", "post")["requestBody"]["content"]
    assert list(content) == ["application/x-www-form-urlencoded", "multipart/form-data"]
    assert content["multipart/form-data"] == content["application/x-www-form-urlencoded"]
    assert content["multipart/form-data"]["schema"] == {
        "type": "object",
        "properties": {
            "name": {"type": "string", "description": "As registered."},
            "remember": {"type": "boolean", "default": False},
        },
        "required": ["name"],
    }


def test_form_with_files_is_multipart() -> None:
    app = new_app()

    @app.post("/scans")
    async def add_scan(scan: Annotated[UploadFile, File()], title: Annotated[str, Form()] = "") -> None: ...

    content = operation_of(app, "/scans", "post")["requestBody"]["content"]
    assert list(content) == ["multipart/form-data"]
    assert content["multipart/form-data"]["schema"]["properties"] == {
        "scan": {"type": "string", "contentMediaType": "application/octet-stream"},
        "title": {"type": "string", "default": ""},
    }


# ---- webhooks, and what cannot be documented


def test_webhooks_are_requests_the_application_sends() -> None:
    hooks = Router()

    @hooks.post("/sold")
    async def item_sold(item: Item) -> None:
        """An item was sold."""

    document = document_of(new_app(), webhooks=hooks)
    webhook = document["webhooks"]["item_sold"]["post"]
    assert webhook["summary"] == "An item was sold."
    assert webhook["requestBody"]["content"] == json_content({"$ref": "#/components/schemas/Item"})


def test_type_without_a_schema_is_named_with_its_route() -> None:
    app = new_app()

    class Wrong(Struct):
        animal: Item | Page[int]

    async def get_wrong():  # type: ignore[no-untyped-def]
        ...

    app.get("/wrong", annotations={"return": Wrong})(get_wrong)
    with pytest.raises(
        ValueError, match=r"GET /wrong \(.*get_wrong\) cannot be documented: .*must be tagged"
    ):
        document_of(app)


def test_routes_without_plans_are_refused() -> None:
    router = Router()

    @router.get("/items")
    async def list_items() -> list[Item]:
        return []

    with pytest.raises(ValueError, match=r"GET /items .* has no plan yet; start the application first"):
        openapi([placed.route for placed in router.flatten()], title="Shop", version="1")
