"""Handlers: where each parameter comes from, what is refused and how, and what becomes of the result."""

from __future__ import annotations

import asyncio
import contextvars
import datetime as dt
import enum
import functools
import logging
import re
import threading
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal, TypedDict

import msgspec
import pytest
from msgspec import Meta

from swift import (
    App,
    Body,
    Cookie,
    Depends,
    File,
    Form,
    Header,
    HTMLResponse,
    JSONResponse,
    NotFound,
    Path,
    Query,
    RedirectResponse,
    Request,
    Response,
    StreamingResponse,
    UploadFile,
)
from swift.routing import SignatureError
from swift.testing import ClientResponse, TestClient

Handler = Callable[..., Any]
JSON = {"content-type": "application/json"}


class Item(msgspec.Struct):
    name: str
    price: Annotated[int, Meta(ge=0)] = 0


class Order(msgspec.Struct):
    items: list[Item]
    note: str | None = None


class Filter(msgspec.Struct):
    q: str
    limit: Annotated[int, Meta(ge=1, le=100)] = 20
    tags: list[str] = []
    sort_by: str = msgspec.field(default="name", name="sort")


class Cat(msgspec.Struct, tag="cat"):
    lives: int


class Dog(msgspec.Struct, tag="dog"):
    tricks: list[str]


@dataclass
class Point:
    x: int
    y: int = 0


class Size(TypedDict):
    width: int


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Unknown:
    pass


def serving(handler: Handler, path: str = "/", method: str = "GET", **options: Any) -> TestClient:
    app = App(openapi_url=None)
    app.route(path, [method], **options)(handler)
    return TestClient(app, raise_server_exceptions=False)


async def ask(handler: Handler, url: str = "/", *, path: str | None = None, **options: Any) -> ClientResponse:
    """One request to an app of one handler; it serves every method that is asked for."""
    method = options.pop("method", "POST" if options.keys() & {"json", "content", "data", "files"} else "GET")
    template = path or url.partition("?")[0]
    async with serving(handler, template, method) as client:
        return await client.request(method, url, **options)


def query_handler(annotation: Any, default: Any = ...) -> Handler:
    """A handler with one query parameter `x` of a type, which answers it."""

    async def handler(x: Any) -> Any:
        return JSONResponse({"x": x})

    handler.__annotations__["x"] = annotation
    if default is not ...:
        handler.__defaults__ = (default,)
    return handler


# Sources.


async def test_a_name_of_the_path_is_a_path_parameter() -> None:
    async def show(id: int, slug: str) -> str:
        return f"{id + 1} {slug}"

    assert (await ask(show, "/users/41/a%20b", path="/users/{id}/{slug}")).text == "42 a b"


async def test_what_the_path_converts_arrives_converted() -> None:
    async def show(day: dt.date, key: uuid.UUID, id: int) -> str:
        return f"{day!r} {key.int} {id + 1}"

    response = await ask(show, f"/2024-02-29/{uuid.UUID(int=5)}/6", path="/{day:date}/{key:uuid}/{id:int}")
    assert response.text == "datetime.date(2024, 2, 29) 5 7"


async def test_a_parameter_of_the_path_needs_no_annotation() -> None:
    async def show(id, name):  # type: ignore[no-untyped-def]
        return f"{id!r} {name!r}"

    assert (await ask(show, "/5/x", path="/{id:int}/{name}")).text == "5 'x'"


async def test_a_path_parameter_may_have_another_name_in_the_handler() -> None:
    async def show(number: Annotated[int, Path(alias="id", ge=1)]) -> str:
        return str(number)

    assert (await ask(show, "/7", path="/{id}")).text == "7"
    refused = await ask(show, "/0", path="/{id}")
    assert (refused.status, refused.problem.codes) == (422, {"/path/id": "too_small"})


async def test_any_other_scalar_is_a_field_of_the_query() -> None:
    async def show(q: str, page: int) -> str:
        return f"{q} {page + 1}"

    assert (await ask(show, "/?page=1&q=a+b%26")).text == "a b& 2"


async def test_a_header_has_hyphens_for_underscores_and_any_case() -> None:
    async def show(
        x_token: Annotated[str, Header()], retries: Annotated[int, Header(alias="X-Retries")]
    ) -> str:
        return f"{x_token} {retries + 1}"

    assert (await ask(show, headers={"X-Token": "abc", "x-RETRIES": "2"})).text == "abc 3"


async def test_a_list_collects_every_header_of_its_name() -> None:
    async def show(x_tag: Annotated[list[int], Header()]) -> list[int]:
        return x_tag

    assert (await ask(show, headers=[("x-tag", "1"), ("x-other", "5"), ("X-Tag", "2")])).json() == [1, 2]


async def test_a_cookie_comes_from_whichever_cookie_header_holds_it() -> None:
    async def show(sid: Annotated[str, Cookie()], visits: Annotated[int, Cookie(alias="n")] = 0) -> str:
        return f"{sid} {visits + 1}"

    assert (await ask(show, cookies={"sid": "abc", "n": "4"})).text == "abc 5"
    # HTTP/2 clients split the header (RFC 9113 section 8.2.3).
    assert (await ask(show, headers=[("cookie", "sid=abc"), ("cookie", "n=4")])).text == "abc 5"


async def test_a_struct_is_the_body() -> None:
    async def create(item: Item) -> Item:
        return Item(item.name.upper(), item.price + 1)

    assert (await ask(create, json={"name": "tea", "price": 1})).json() == {"name": "TEA", "price": 2}


@pytest.mark.parametrize(
    ("annotation", "sent", "received"),
    [
        (Point, {"x": 1, "y": 2}, {"x": 1, "y": 2}),
        (Size, {"width": 3}, {"width": 3}),
        (list[Item], [{"name": "a"}], [{"name": "a", "price": 0}]),
        (list[Point], [{"x": 1, "y": 2}], [{"x": 1, "y": 2}]),
        (dict[str, int], {"a": 1}, {"a": 1}),
        (dict, {"a": [1, None]}, {"a": [1, None]}),
        (Cat | Dog, {"type": "dog", "tricks": ["sit"]}, {"type": "dog", "tricks": ["sit"]}),
        (Annotated[int, Body()], 5, 5),
        (Annotated[list[int], Body()], [1, 2], [1, 2]),
        (Annotated[str, Body(max_length=3)], "abc", "abc"),
        (Annotated[Any, Body()], {"a": 1.5}, {"a": 1.5}),
        (Annotated[Item, Body(description="What to add.")], {"name": "a"}, {"name": "a", "price": 0}),
        (Item | None, None, None),
    ],
)
async def test_what_is_a_json_document_is_the_body(annotation: Any, sent: Any, received: Any) -> None:
    response = await ask(query_handler(annotation), json=sent)
    assert response.json() == {"x": received}


async def test_a_body_with_a_default_may_be_left_out() -> None:
    async def create(item: Item | None = None) -> str:
        return "nothing" if item is None else item.name

    async with serving(create, method="POST") as client:
        assert (await client.post("/")).text == "nothing"
        assert (await client.post("/", content=b"", headers=JSON)).text == "nothing"
        assert (await client.post("/", json={"name": "tea"})).text == "tea"


async def test_a_request_comes_by_its_type_whatever_its_name() -> None:
    async def show(anything: Request, id: int) -> str:
        return f"{anything.method} {anything.path} {anything.path_params} {id}"

    assert (await ask(show, "/5", path="/{id}")).text == "GET /5 {'id': '5'} 5"


async def test_a_form_comes_urlencoded_or_multipart() -> None:
    async def create(name: Annotated[str, Form()], age: Annotated[int, Form(ge=0)] = 0) -> str:
        return f"{name} {age + 1}"

    assert (await ask(create, data={"name": "a b&", "age": 4})).text == "a b& 5"
    assert (await ask(create, data={"name": "x"})).text == "x 1"
    async with serving(create, method="POST") as client:
        multipart = await client.post("/", data={"name": "ä"}, files=[])
        assert multipart.text == "ä 1"


async def test_a_list_collects_every_field_of_a_form() -> None:
    async def create(tag: Annotated[list[int], Form()]) -> list[int]:
        return tag

    assert (await ask(create, data={"tag": [1, 2]})).json() == [1, 2]


async def test_files_arrive_with_their_names_and_leave_with_the_request() -> None:
    kept: list[UploadFile] = []

    async def upload(
        doc: Annotated[UploadFile, File()],
        more: Annotated[list[UploadFile], File()],
        title: Annotated[str, Form()],
    ) -> str:
        kept.extend([doc, *more])
        texts = [(await file.read()).decode() for file in kept]
        return f"{title} {doc.filename} {doc.content_type} {texts}"

    response = await ask(
        upload,
        data={"title": "T"},
        files=[("doc", ("a.txt", b"one")), ("more", ("b.txt", b"two")), ("more", ("c.txt", b"three"))],
    )
    assert response.text == "T a.txt text/plain ['one', 'two', 'three']"
    assert all(file.file.closed for file in kept)


async def test_an_upload_needs_no_marker() -> None:
    async def upload(doc: UploadFile, more: list[UploadFile] | None = None) -> str:
        return f"{doc.filename} {more}"

    assert (await ask(upload, files={"doc": ("a.txt", b"one")})).text == "a.txt None"


async def test_a_handler_may_read_the_form_itself() -> None:
    kept: list[UploadFile] = []

    async def upload(request: Request) -> str:
        form = await request.form()
        kept.extend(value for _, value in form.multi_items() if isinstance(value, UploadFile))
        return str(sorted(form))

    assert (await ask(upload, data={"a": "1"}, files={"doc": ("a.txt", b"one")})).text == "['a', 'doc']"
    assert [file.file.closed for file in kept] == [True]


async def test_all_sources_together_in_any_order() -> None:
    async def create(
        request: Request,
        item: Item,
        x_token: Annotated[str, Header()],
        id: int,
        *,
        sid: Annotated[str, Cookie()],
        q: str = "none",
    ) -> dict[str, Any]:
        return {"item": item.name, "token": x_token, "id": id, "sid": sid, "q": q, "m": request.method}

    response = await ask(
        create,
        "/7?q=x",
        path="/{id:int}",
        json={"name": "tea"},
        headers={"x-token": "t"},
        cookies={"sid": "s"},
    )
    assert response.json() == {"item": "tea", "token": "t", "id": 7, "sid": "s", "q": "x", "m": "POST"}


# What text means.


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        (str, "", ""),
        (str, "a%00b", "a\x00b"),
        (str, "%F0%9F%98%80+%2B", "😀 +"),
        (str, "100%", "100%"),
        (int, "-5", -5),
        (int, "007", 7),
        (int, "9" * 19, 9999999999999999999),
        (float, "1.5", 1.5),
        (float, "1e3", 1000.0),
        (bool, "true", True),
        (bool, "0", False),
        (Decimal, "1.10", "1.10"),
        (Color, "blue", "blue"),
        (Level, "2", 2),
        (Literal["a", "b"], "b", "b"),
        (Literal[1, 2], "2", 2),
        (dt.date, "2024-02-29", "2024-02-29"),
        (dt.datetime, "2024-02-29T10:00:00Z", "2024-02-29T10:00:00Z"),
        (dt.time, "10:20:30", "10:20:30"),
        (dt.timedelta, "PT90S", "PT90S"),
        (uuid.UUID, str(uuid.UUID(int=7)), str(uuid.UUID(int=7))),
        (int | None, "5", 5),
        (int | str, "x", "x"),
        (list[int], "1", [1]),
        (list[int], "1&x=2", [1, 2]),
        (set[int], "1&x=1", [1]),
        (tuple[int, ...], "1&x=2", [1, 2]),
        (tuple[int, str], "1&x=b", [1, "b"]),
        (list[Color], "red&x=blue", ["red", "blue"]),
        (list[str] | None, "a", ["a"]),
        (Any, "5", "5"),
        # Of one value the last counts.
        (int, "1&x=2", 2),
        (int, "wrong&x=2", 2),
    ],
)
async def test_the_type_decides_what_the_text_means(annotation: Any, text: str, value: Any) -> None:
    response = await ask(query_handler(annotation), f"/?x={text}")
    assert response.status == 200, response.text
    assert response.json() == {"x": value}


@pytest.mark.parametrize(
    ("annotation", "text", "codes"),
    [
        (int, "", {"/query/x": "type"}),
        (int, "abc", {"/query/x": "type"}),
        (int, "1.5", {"/query/x": "type"}),
        (int, "+1", {"/query/x": "type"}),
        (int, "1_000", {"/query/x": "type"}),
        (int, "%D9%A1", {"/query/x": "type"}),
        (int, "1&x=wrong", {"/query/x": "type"}),
        (int, "9" * 5000, {"/query/x": "out_of_range"}),
        (float, "nan", {"/query/x": "type"}),
        (float, "-Infinity", {"/query/x": "type"}),
        (float, "1e999", {"/query/x": "out_of_range"}),
        (Decimal, "nan", {"/query/x": "type"}),
        (bool, "yes", {"/query/x": "type"}),
        (Color, "green", {"/query/x": "enum"}),
        (Level, "3", {"/query/x": "enum"}),
        (Literal["a"], "b", {"/query/x": "enum"}),
        (dt.date, "2023-02-29", {"/query/x": "format_date"}),
        (dt.datetime, "yesterday", {"/query/x": "format_datetime"}),
        (uuid.UUID, "5", {"/query/x": "format_uuid"}),
        (str, "%ff", {"/query/x": "encoding"}),
        (int, "%ff", {"/query/x": "encoding"}),
        (list[str], "a&x=%ff&x=b", {"/query/x": "encoding"}),
        (list[int], "1&x=a&x=2&x=b", {"/query/x/1": "type", "/query/x/3": "type"}),
        (tuple[int, str], "1", {"/query/x": "too_short"}),
    ],
)
async def test_a_text_that_does_not_fit_is_told_where_and_why(annotation: Any, text: str, codes: Any) -> None:
    response = await ask(query_handler(annotation), f"/?x={text}")
    assert response.status == 422
    assert response.problem.codes == codes


@pytest.mark.parametrize(
    ("marker", "annotation", "accepted", "refused"),
    [
        (Query(ge=1, le=3), int, ["1", "3"], {"0": "too_small", "4": "too_large"}),
        (Query(gt=1, lt=3), int, ["2"], {"1": "too_small", "3": "too_large"}),
        (Query(ge=0.5), float, ["0.5", "1e9"], {"0.4": "too_small"}),
        (Query(multiple_of=5), int, ["0", "-15"], {"4": "multiple_of"}),
        (Query(min_length=2, max_length=3), str, ["ab", "äöü"], {"a": "too_short", "abcd": "too_long"}),
        (Query(pattern="^[a-c]+$"), str, ["abc"], {"abd": "pattern"}),
        # The whole text, unlike JSON Schema's own: a client's text is never searched through.
        (Query(pattern="[a-c]+"), str, ["abc"], {"abd": "pattern", "dabc": "pattern", "abc%0A": "pattern"}),
        (Query(min_length=1, max_length=2), list[str], ["a", "a&x=b"], {"a&x=b&x=c": "too_long"}),
        (Query(ge=1), int | None, ["1"], {"0": "too_small"}),
        (Query(ge=2**62), int, [str(2**62), str(2**70)], {"1": "too_small"}),
    ],
)
@pytest.mark.parametrize("place", ["annotated", "default"])
async def test_the_constraints_of_a_marker_are_kept(
    marker: Any, annotation: Any, accepted: list[str], refused: dict[str, str], place: str
) -> None:
    if place == "annotated":
        handler = query_handler(Annotated[annotation, marker])
    else:
        handler = query_handler(annotation, marker)
    for text in accepted:
        assert (await ask(handler, f"/?x={text}")).status == 200, text
    for text, code in refused.items():
        response = await ask(handler, f"/?x={text}")
        assert (response.status, response.problem.codes) == (422, {"/query/x": code}), text


async def test_the_constraints_of_msgspec_are_kept_and_those_of_items_too() -> None:
    handler = query_handler(list[Annotated[int, Meta(ge=1)]])
    assert (await ask(handler, "/?x=1&x=2")).status == 200
    assert (await ask(handler, "/?x=1&x=0")).problem.codes == {"/query/x/1": "too_small"}


# Required, default, optional.


async def test_what_is_required_and_missing_is_told() -> None:
    async def show(
        q: str, ids: list[int], x_token: Annotated[str, Header()], sid: Annotated[str, Cookie()]
    ) -> str:
        return ""

    response = await ask(show)
    assert response.status == 422
    assert response.problem.codes == {
        "/query/q": "missing",
        "/query/ids": "missing",
        "/header/x-token": "missing",
        "/cookie/sid": "missing",
    }


async def test_none_is_a_default_like_any_other() -> None:
    # An annotation with None says what a value may be, not that it may be missing.
    assert (await ask(query_handler(int | None))).problem.codes == {"/query/x": "missing"}
    assert (await ask(query_handler(int | None, None))).json() == {"x": None}
    assert (await ask(query_handler(int, 5))).json() == {"x": 5}
    assert (await ask(query_handler(Color, Color.RED))).json() == {"x": "red"}
    assert (await ask(query_handler(Annotated[int, Query(ge=1)], 5))).json() == {"x": 5}
    assert (await ask(query_handler(int, Query(7, ge=1)))).json() == {"x": 7}
    assert (await ask(query_handler(Annotated[int, Query(7)]))).json() == {"x": 7}
    assert (await ask(query_handler(Annotated[int, Query], 8))).json() == {"x": 8}


async def test_unset_may_be_the_default() -> None:
    async def show(x: int | msgspec.UnsetType = msgspec.UNSET) -> str:
        return "missing" if x is msgspec.UNSET else str(x)

    assert (await ask(show)).text == "missing"
    assert (await ask(show, "/?x=4")).text == "4"


async def test_a_mutable_default_is_each_requests_own() -> None:
    async def show(
        tags: list[str] = [],  # noqa: B006
        more: list[str] = Query(default_factory=lambda: ["m"]),  # type: ignore[assignment]
    ) -> str:
        tags.append("changed")
        more.append("changed")
        return f"{tags} {more}"

    async with serving(show) as client:
        for _ in range(2):
            assert (await client.get("/")).text == "['changed'] ['m', 'changed']"


async def test_keyword_only_and_positional_only_parameters_are_filled() -> None:
    async def show(a: int, b: int, /, c: int, *, d: int, e: int = 5) -> list[int]:
        return [a, b, c, d, e]

    assert (await ask(show, "/?d=4&c=3&b=2&a=1")).json() == [1, 2, 3, 4, 5]


async def test_a_query_group_is_a_struct_of_the_querys_fields() -> None:
    async def search(filter: Annotated[Filter, Query()], page: int = 1) -> dict[str, Any]:
        return {"filter": filter, "page": page}

    found = await ask(search, "/?q=tea&tags=a&tags=b&sort=price&page=2&other=1")
    assert found.json() == {
        "filter": {"q": "tea", "limit": 20, "tags": ["a", "b"], "sort": "price"},
        "page": 2,
    }
    refused = await ask(search, "/?limit=0&sort=x&page=y")
    assert refused.status == 422
    assert refused.problem.codes == {
        "/query/q": "missing",
        "/query/limit": "too_small",
        "/query/page": "type",
    }


async def test_two_parameters_may_read_one_field() -> None:
    async def show(a: int, b: Annotated[str, Query(alias="a")]) -> str:
        return f"{a!r} {b!r}"

    assert (await ask(show, "/?a=4")).text == "4 '4'"


async def test_a_field_may_have_any_name_on_the_wire() -> None:
    async def show(
        size: Annotated[str, Query(alias="größe")],
        name: Annotated[list[str], Query(alias="filter[name]")],
        from_: Annotated[str, Query(alias="from")],
        spaced: Annotated[str, Query(alias="a b")],
    ) -> str:
        return f"{size} {name} {from_} {spaced}"

    query = "gr%C3%B6%C3%9Fe=1&filter%5Bname%5D=2&filter[name]=3&from=4&a+b=5"
    assert (await ask(show, f"/?{query}")).text == "1 ['2', '3'] 4 5"


async def test_twenty_parameters_are_as_well_served_as_two() -> None:
    names = [f"p{number}" for number in range(20)]
    arguments = ", ".join(f"{name}: int" for name in names)
    namespace: dict[str, Any] = {}
    exec(f"async def show({arguments}) -> list[int]:\n    return [{', '.join(names)}]", namespace)
    query = "&".join(f"{name}={number}" for number, name in enumerate(names))
    assert (await ask(namespace["show"], f"/?{query}")).json() == list(range(20))


# All errors at once.


async def test_every_fault_of_a_request_is_told_at_once() -> None:
    ran = False

    async def create(
        id: int,
        order: Order,
        page: int,
        x_retries: Annotated[int, Header()],
        sid: Annotated[str, Cookie(min_length=3)],
        color: Color = Color.RED,
    ) -> None:
        nonlocal ran
        ran = True

    response = await ask(
        create,
        "/hunter2?page=hunter2&color=hunter2",
        path="/{id}",
        json={"items": [{"name": 1, "price": -1}, {"price": "hunter2"}], "note": ["hunter2"]},
        headers={"x-retries": "hunter2"},
        cookies={"sid": "ab"},
    )
    assert response.status == 422
    assert response.problem.codes == {
        "/path/id": "type",
        "/query/page": "type",
        "/query/color": "enum",
        "/header/x-retries": "type",
        "/cookie/sid": "too_short",
        "/body/items/0/name": "type",
        "/body/items/0/price": "too_small",
        "/body/items/1/name": "missing",
        "/body/items/1/price": "type",
        "/body/note": "type",
    }
    assert "hunter2" not in response.text
    assert not ran


async def test_faults_of_a_form_are_told_with_the_others() -> None:
    async def create(
        page: int,
        name: Annotated[str, Form()],
        age: Annotated[int, Form()],
        doc: Annotated[UploadFile, File()],
    ) -> None: ...

    response = await ask(create, "/?page=x", data={"age": "y", "doc": "text"})
    assert response.status == 422
    assert response.problem.codes == {
        "/query/page": "type",
        "/body/name": "missing",
        "/body/age": "type",
        "/body/doc": "type",
    }


async def test_a_file_where_text_is_wanted_is_a_fault_of_the_client() -> None:
    async def create(age: Annotated[int, Form()], tags: Annotated[list[float], Form()]) -> None: ...

    response = await ask(
        create, data={"tags": ["1"]}, files=[("age", ("a.txt", b"5")), ("tags", ("b.txt", b"2"))]
    )
    assert response.status == 422
    assert response.problem.codes == {"/body/age": "type", "/body/tags/1": "type"}


async def test_an_empty_request_to_a_form_misses_its_fields() -> None:
    async def create(name: Annotated[str, Form()], note: Annotated[str, Form()] = "") -> None: ...

    response = await ask(create, method="POST")
    assert (response.status, response.problem.codes) == (422, {"/body/name": "missing"})


async def test_a_malformed_body_is_400_and_does_not_hide_the_other_faults() -> None:
    async def create(item: Item, page: int) -> None: ...

    response = await ask(create, "/?page=x", content=b'{"name":', headers=JSON)
    assert response.status == 400
    assert response.problem.codes == {"/query/page": "type", "/body": "truncated"}


# What comes before the handler: media types, sizes, what is accepted.


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ('APPLICATION/JSON;charset="UTF-8"', 200),
        ("application/vnd.api+json", 200),
        ("application/json; charset=utf-16", 415),
        ("text/plain", 415),
        ("text/json", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("", 415),
        ("nonsense", 415),
    ],
)
async def test_a_body_is_read_as_what_it_says_it_is(content_type: str, status: int) -> None:
    async def create(item: Item) -> str:
        return item.name

    response = await ask(create, content=b'{"name":"tea"}', headers={"content-type": content_type})
    assert response.status == status
    if status == 415:
        assert response.problem.status == 415
        # RFC 9110 section 15.5.16: what would have been read.
        assert response.headers["accept"] == "application/json"


@pytest.mark.parametrize("framing", ["content-length", "transfer-encoding", "none"])
async def test_a_body_that_does_not_say_what_it_is_is_not_taken_for_json(framing: str) -> None:
    """HTTP/2 needs neither length nor encoding; a body may come all the same."""

    async def create(item: Item) -> str:
        return item.name

    async def without_framing(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and framing == "none":
            scope["headers"] = [pair for pair in scope["headers"] if pair[0] != b"content-length"]
        await app(scope, receive, send)

    app = App(openapi_url=None)
    app.post("/")(create)
    content: Any = iter([b'{"name":"tea"}']) if framing == "transfer-encoding" else b'{"name":"tea"}'
    async with TestClient(without_framing, raise_server_exceptions=False) as client:
        response = await client.post("/", content=content)
    assert (response.status, response.problem.title) == (415, "Unsupported Media Type")


async def test_a_form_of_another_type_is_refused_before_its_body_is_read() -> None:
    async def create(name: Annotated[str, Form()]) -> None: ...

    read = False

    async def watched() -> AsyncIterator[bytes]:
        nonlocal read
        read = True
        yield b"{}"

    app = App(openapi_url=None)
    app.post("/")(create)
    async with TestClient(app) as client:
        response = await client.post("/", content=watched(), headers=JSON)
    assert response.status == 415
    assert response.headers["accept"] == "application/x-www-form-urlencoded, multipart/form-data"
    assert not read


async def test_a_route_may_have_a_body_limit_of_its_own() -> None:
    async def create(item: Item) -> str:
        return item.name

    async with serving(create, method="POST", max_body_size=20) as client:
        assert (await client.post("/", json={"name": "tea"})).status == 200
        assert (await client.post("/", json={"name": "t" * 20})).status == 413


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        (None, 200),
        ("*/*", 200),
        ("application/json", 200),
        ("application/*;q=0.5", 200),
        ("text/html, application/json;q=0.1", 200),
        ("text/html", 406),
        ("application/json;q=0", 406),
        ("application/json;q=0, */*", 406),
        ("application/xml, text/*", 406),
    ],
)
async def test_what_the_client_does_not_accept_is_not_made(accept: str | None, status: int) -> None:
    ran = 0

    async def show() -> Item:
        nonlocal ran
        ran += 1
        return Item("tea")

    response = await ask(show, headers={} if accept is None else {"accept": accept})
    assert response.status == status
    assert ran == (status == 200)


# Handlers that block.

who: contextvars.ContextVar[str] = contextvars.ContextVar("who", default="nobody")


async def naming(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    token = who.set("middleware")
    try:
        return await call_next(request)
    finally:
        who.reset(token)


async def test_a_def_handler_runs_in_a_thread_with_the_context_of_the_request() -> None:
    def show(id: int) -> dict[str, Any]:
        seen = who.get()
        who.set("handler")
        return {"thread": threading.current_thread() is not threading.main_thread(), "who": seen, "id": id}

    app = App(openapi_url=None, middleware=[naming])
    app.get("/{id}")(show)
    async with TestClient(app) as client:
        for _ in range(2):
            assert (await client.get("/5")).json() == {"thread": True, "who": "middleware", "id": 5}


async def test_a_blocking_handler_does_not_block_the_others() -> None:
    released = threading.Event()
    app = App(openapi_url=None)

    @app.get("/blocks")
    def blocks() -> str:
        return "released" if released.wait(30) else "never"

    @app.get("/releases")
    async def releases() -> str:
        released.set()
        return "done"

    async with TestClient(app) as client:
        blocked, _ = await asyncio.gather(client.get("/blocks"), client.get("/releases"))
    assert blocked.text == "released"


async def test_no_more_threads_run_than_the_app_allows() -> None:
    released, running, most = threading.Event(), 0, 0
    lock = threading.Lock()
    app = App(openapi_url=None, max_threads=2)

    @app.get("/")
    def block() -> str:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        released.wait(30)
        with lock:
            running -= 1
        return "done"

    async with TestClient(app) as client:
        requests = [asyncio.ensure_future(client.get("/")) for _ in range(6)]
        async with asyncio.timeout(30):
            while app.threads.waiting_or_running < 6 or running < 2:
                await asyncio.sleep(0.001)
        released.set()
        answers = [(await request).text for request in requests]
    assert answers == ["done"] * 6
    assert most == 2
    assert app.threads.waiting_or_running == 0


async def test_the_whole_blocking_chain_takes_one_thread_once() -> None:
    """Two hops per request deadlock a full pool, as each request holds one thread and waits for another."""
    app = App(openapi_url=None, max_threads=1)

    def first() -> int:
        return threading.get_ident()

    def second(ident: int = Depends(first)) -> list[int]:
        return [ident, threading.get_ident()]

    @app.get("/")
    def handler(idents: list[int] = Depends(second)) -> int:
        return len({*idents, threading.get_ident()})

    async with TestClient(app) as client, asyncio.timeout(30):
        answers = await asyncio.gather(*(client.get("/") for _ in range(20)))
    assert [answer.json() for answer in answers] == [1] * 20


async def test_an_inline_handler_stays_on_the_loop() -> None:
    def show() -> bool:
        return threading.current_thread() is threading.main_thread()

    async with serving(show, run_sync="inline") as client:
        assert (await client.get("/")).json() is True


async def test_what_a_blocking_handler_raises_is_answered_like_anything_else() -> None:
    def show(id: int) -> str:
        if id == 1:
            raise NotFound("No such thing.")
        raise RuntimeError("hunter2")

    async with serving(show, "/{id}") as client:
        assert (await client.get("/1")).problem.detail == "No such thing."
        failed = await client.get("/2")
    assert failed.status == 500
    assert "hunter2" not in failed.text


# Other things that can be called.


class Greeter:
    def __init__(self, greeting: str) -> None:
        self.greeting = greeting

    async def __call__(self, name: str, times: int = 1) -> str:
        return f"{self.greeting} {name}" * times

    async def greet(self, name: str, times: int = 1) -> str:
        return await self(name, times)

    def blocking(self, name: str, times: int = 1) -> str:
        return f"{self.greeting} {name}" * times


async def greet(greeting: str, name: str, times: int = 1) -> str:
    return f"{greeting} {name}" * times


def noticing(handler: Handler) -> Handler:
    @functools.wraps(handler)
    async def wrapped(*args: Any, **kwargs: Any) -> Any:
        return await handler(*args, **kwargs)

    return wrapped


@pytest.mark.parametrize(
    "handler",
    [
        Greeter("hello"),
        Greeter("hello").greet,
        Greeter("hello").blocking,
        functools.partial(greet, "hello"),
        noticing(Greeter("hello").greet),
        noticing(functools.partial(greet, "hello")),
    ],
    ids=["object", "method", "blocking method", "partial", "decorated", "decorated partial"],
)
async def test_anything_that_can_be_called_is_a_handler(handler: Handler) -> None:
    assert (await ask(handler, "/?name=you&times=2")).text == "hello youhello you"
    assert (await ask(handler, "/?name=you&times=x")).problem.codes == {"/query/times": "type"}


# Streams.


async def test_a_generator_of_values_is_json_lines() -> None:
    async def items() -> AsyncIterator[Item]:
        yield Item("a")
        yield Item("b", 1)

    response = await ask(items)
    assert response.media_type == "application/jsonl"
    assert response.text == '{"name":"a","price":0}\n{"name":"b","price":1}\n'


async def test_a_generator_of_bytes_or_text_is_sent_as_it_is() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"\x00\x01"
        yield b"\xff"

    async def texts() -> AsyncIterator[str]:
        yield "ä"
        yield "b"

    raw, text = await ask(chunks), await ask(texts)
    assert (raw.headers["content-type"], raw.content) == ("application/octet-stream", b"\x00\x01\xff")
    assert (text.headers["content-type"], text.text) == ("text/plain; charset=utf-8", "äb")


async def test_a_route_may_say_what_its_stream_is() -> None:
    async def rows() -> AsyncIterator[str]:
        yield "a,b\n"

    async with serving(rows, media_type="text/csv", status=203) as client:
        response = await client.get("/")
    assert (response.status, response.media_type, response.text) == (203, "text/csv", "a,b\n")


async def test_a_stream_is_sent_as_it_is_made() -> None:
    asked = asyncio.Event()

    async def numbers() -> AsyncIterator[int]:
        yield 1
        await asked.wait()
        yield 2

    async with serving(numbers) as client, client.stream("GET", "/") as response:
        lines = response.lines()
        assert await anext(lines) == "1"
        asked.set()
        assert await anext(lines) == "2"


async def test_a_stream_whose_client_left_is_closed() -> None:
    closed = asyncio.Event()

    async def numbers() -> AsyncIterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    async with serving(numbers) as client:
        async with client.stream("GET", "/") as response:
            async for _ in response:
                break
        async with asyncio.timeout(30):
            await closed.wait()


async def test_a_stream_that_fails_is_broken_off_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def numbers() -> AsyncIterator[int]:
        yield 1
        raise RuntimeError("hunter2")

    async with serving(numbers) as client:
        with caplog.at_level(logging.ERROR, "swift.error"):
            async with client.stream("GET", "/") as response:
                lines = response.lines()
                assert await anext(lines) == "1"
                with pytest.raises(OSError, match="broke off"):
                    await anext(lines)
    assert "broke off" in caplog.text


async def test_head_of_a_stream_makes_nothing() -> None:
    started = False

    async def numbers() -> AsyncIterator[int]:
        nonlocal started
        started = True
        yield 1

    async with serving(numbers) as client:
        response = await client.head("/")
    assert (response.status, response.content, response.media_type) == (200, b"", "application/jsonl")
    assert not started


async def test_a_stream_takes_parameters_and_refuses_wrong_ones() -> None:
    async def numbers(count: int) -> AsyncIterator[int]:
        for number in range(count):
            yield number

    assert (await ask(numbers, "/?count=2")).text == "0\n1\n"
    assert (await ask(numbers, "/?count=x")).status == 422


async def test_an_iterator_that_is_returned_is_a_stream_as_its_annotation_says() -> None:
    async def numbers() -> AsyncIterator[int]:
        yield 1

    async def handler() -> AsyncIterator[int]:
        return numbers()

    response = await ask(handler)
    assert (response.status, response.media_type, response.text) == (200, "application/jsonl", "1\n")


async def test_a_plain_generator_is_a_stream_or_refused_at_start() -> None:
    def numbers() -> Iterator[int]:
        yield 1

    try:
        client = serving(numbers)
        async with client:
            response = await client.get("/")
    except SignatureError as error:
        assert "async def" in str(error)  # noqa: PT017
    else:
        assert (response.status, response.media_type, response.text) == (200, "application/jsonl", "1\n")


# Results.


def returning(annotation: Any, value: Any) -> Handler:
    async def handler() -> Any:
        return value

    if annotation is ...:
        del handler.__annotations__["return"]
    else:
        handler.__annotations__["return"] = annotation
    return handler


TEXT, JSON_TYPE, OCTETS = "text/plain; charset=utf-8", "application/json", "application/octet-stream"


@pytest.mark.parametrize(
    ("annotation", "value", "content_type", "content"),
    [
        (str, "ä", TEXT, "ä".encode()),
        (str, "", TEXT, b""),
        (bytes, b"\x00", OCTETS, b"\x00"),
        (int, 5, JSON_TYPE, b"5"),
        (bool, True, JSON_TYPE, b"true"),
        (float, float("nan"), JSON_TYPE, b"null"),
        (list[str], ["ä"], JSON_TYPE, '["ä"]'.encode()),
        (dict[str, Any], {"a": None}, JSON_TYPE, b'{"a":null}'),
        (Item, Item("a"), JSON_TYPE, b'{"name":"a","price":0}'),
        (list[Item], [Item("a")], JSON_TYPE, b'[{"name":"a","price":0}]'),
        (Item | None, None, JSON_TYPE, b"null"),
        (Point, Point(1), JSON_TYPE, b'{"x":1,"y":0}'),
        (Color, Color.RED, JSON_TYPE, b'"red"'),
        (Decimal, Decimal("1.10"), JSON_TYPE, b'"1.10"'),
        (dt.date, dt.date(2024, 2, 29), JSON_TYPE, b'"2024-02-29"'),
        (uuid.UUID, uuid.UUID(int=1), JSON_TYPE, b'"00000000-0000-0000-0000-000000000001"'),
        (tuple[int, str], (1, "a"), JSON_TYPE, b'[1,"a"]'),
        # Without an annotation the value itself decides.
        (..., "text", TEXT, b"text"),
        (..., b"raw", OCTETS, b"raw"),
        (..., {"a": 1}, JSON_TYPE, b'{"a":1}'),
        (..., 0, JSON_TYPE, b"0"),
        (Any, "text", TEXT, b"text"),
        (Any, [1], JSON_TYPE, b"[1]"),
    ],
)
async def test_the_annotation_decides_how_a_result_is_sent(
    annotation: Any, value: Any, content_type: str, content: bytes
) -> None:
    response = await ask(returning(annotation, value))
    assert response.status == 200
    assert response.headers["content-type"] == content_type
    assert response.content == content
    assert response.headers["content-length"] == str(len(content))


@pytest.mark.parametrize("annotation", [None, ..., Any, str])
async def test_none_is_204_without_a_body(annotation: Any) -> None:
    response = await ask(returning(annotation, None))
    assert (response.status, response.content) == (204, b"")
    assert "content-type" not in response.headers
    assert "content-length" not in response.headers


async def test_the_status_of_the_route_is_the_status_of_success() -> None:
    async with serving(returning(Item, Item("a")), status=201) as client:
        assert (await client.get("/")).status == 201
    async with serving(returning(None, None), status=202) as client:
        response = await client.get("/")
    assert (response.status, response.content, response.headers["content-length"]) == (202, b"", "0")


async def test_the_media_type_of_the_route_is_sent() -> None:
    async with serving(returning(str, "<p>"), media_type="text/html") as client:
        assert (await client.get("/")).headers["content-type"] == "text/html; charset=utf-8"
    async with serving(returning(Item, Item("a")), media_type="application/vnd.item+json") as client:
        response = await client.get("/")
    assert response.headers["content-type"] == "application/vnd.item+json"
    assert response.json() == {"name": "a", "price": 0}


@pytest.mark.parametrize("annotation", [Response, HTMLResponse, Item, str, ..., None, Item | Response])
async def test_a_response_is_sent_as_it_is_whatever_the_annotation(annotation: Any) -> None:
    response = await ask(returning(annotation, HTMLResponse("<p>", 418, {"x-mine": "yes"})))
    assert (response.status, response.text, response.headers["x-mine"]) == (418, "<p>", "yes")
    assert response.media_type == "text/html"


async def test_streaming_and_redirecting_responses_are_sent_as_they_are() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"a"
        yield b"b"

    streamed = await ask(returning(Response, StreamingResponse(chunks(), media_type="text/plain")))
    assert (streamed.content, streamed.media_type) == (b"ab", "text/plain")
    redirected = await ask(returning(Response, RedirectResponse("/ä")))
    assert (redirected.status, redirected.headers["location"]) == (307, "/%C3%A4")


@pytest.mark.parametrize("how", ["at once", "suspended", "thread", "inline", "with a request"])
async def test_a_result_that_json_cannot_say_is_an_error_of_the_server(how: str) -> None:
    async def at_once() -> Item:
        return Unknown()  # type: ignore[return-value]

    async def suspended() -> Any:
        await asyncio.sleep(0)
        return Unknown()

    def blocking() -> Any:
        return [Unknown()]

    async def with_request(request: Request) -> Any:
        await request.body()
        return {"a": Unknown()}

    handlers: dict[str, Handler] = {
        "at once": at_once,
        "suspended": suspended,
        "with a request": with_request,
    }
    handler = handlers.get(how, blocking)
    async with serving(handler, run_sync="inline" if how == "inline" else "thread") as client:
        response = await client.get("/")
    assert (response.status, response.problem.detail) == (500, "The server failed to answer this request.")


async def test_a_response_may_be_sent_twice_and_is_the_same_twice() -> None:
    shared = JSONResponse({"a": 1})

    async with serving(returning(Response, shared)) as client:
        first, head, second = await client.get("/"), await client.head("/"), await client.get("/")
    assert first.content == second.content == b'{"a":1}'
    assert first.headers.multi_items() == second.headers.multi_items() == head.headers.multi_items()
    assert head.content == b""


# After the response, and the client that leaves.


async def test_work_after_the_response_runs_after_it_in_order() -> None:
    done: list[str] = []
    finished = asyncio.Event()

    async def last(note: str) -> None:
        done.append(note)
        finished.set()

    async def show(request: Request) -> str:
        request.after_response(done.append, "first")
        request.after_response(last, note="second")
        return "answered"

    async with serving(show) as client:
        assert (await client.get("/")).text == "answered"
        async with asyncio.timeout(30):
            await finished.wait()
    assert done == ["first", "second"]


async def test_a_handler_can_ask_whether_its_client_is_still_there() -> None:
    left = asyncio.Event()
    seen: list[bool] = []
    finished = asyncio.Event()

    async def show(request: Request) -> str:
        await request.body()
        seen.append(await request.is_disconnected())
        await left.wait()
        seen.append(await request.is_disconnected())
        finished.set()
        return ""

    app = App(openapi_url=None)
    app.post("/")(show)
    await app.start()
    sent = False

    async def receive() -> dict[str, Any]:
        nonlocal sent
        if not sent:
            sent = True
            return {"type": "http.request", "body": b"x", "more_body": False}
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        pass

    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": []}
    task = asyncio.ensure_future(app(scope, receive, send))
    async with asyncio.timeout(30):
        while not seen:
            await asyncio.sleep(0)
        left.set()
        await finished.wait()
        await task
    await app.stop()
    assert seen == [False, True]


async def test_asking_whether_the_client_is_there_loses_no_part_of_the_body() -> None:
    async def show(request: Request) -> str:
        gone = [await request.is_disconnected()]
        body = await request.body()
        return f"{gone} {body.decode()}"

    async def parts() -> AsyncIterator[bytes]:
        yield b"first "
        yield b"second"

    async with serving(show, method="POST") as client:
        # Parts that are still to come, and parts that are there already.
        for content in (parts(), iter([b"first ", b"second"]), b"first second"):
            assert (await client.post("/", content=content)).text == "[False] first second"


# Signatures that no request can fill: refused when the app is compiled, with what to change.


def refused(handler: Handler, path: str = "/", method: str = "POST", **options: Any) -> str:
    app = App(openapi_url=None)
    app.route(path, [method], **options)(handler)
    with pytest.raises(SignatureError) as error:
        app.compile()
    return str(error.value)


def test_open_argument_lists_are_refused() -> None:
    async def args(*args: int) -> None: ...
    async def kwargs(**kwargs: int) -> None: ...

    assert re.fullmatch(
        r"The handler `args` of / takes `\*args: .*int.*`; name each parameter it needs\.", refused(args)
    )
    assert re.fullmatch(
        r"The handler `kwargs` of / takes `\*\*kwargs: .*int.*`; name each parameter it needs\.",
        refused(kwargs),
    )


def test_two_bodies_are_refused() -> None:
    async def create(a: Item, b: Order) -> None: ...

    assert refused(create) == (
        "The handler `create` of / declares more than one body; join `b` and the other in one Schema."
    )


@pytest.mark.parametrize("order", ["body first", "form first"])
def test_a_body_beside_a_form_is_refused(order: str) -> None:
    async def body_first(item: Item, name: Annotated[str, Form()]) -> None: ...
    async def form_first(name: Annotated[str, Form()], item: Item) -> None: ...

    message = refused(body_first if order == "body first" else form_first)
    assert "a request has one body." in message


async def takes_unknown(thing: Unknown) -> None: ...
async def takes_response(response: Response) -> None: ...
async def takes_callable(call: Callable[[], int]) -> None: ...
async def takes_complex(number: complex) -> None: ...
async def takes_unknown_header(thing: Annotated[Unknown, Header()]) -> None: ...


@pytest.mark.parametrize(
    "handler", [takes_unknown, takes_response, takes_callable, takes_complex, takes_unknown_header]
)
def test_types_that_no_request_holds_are_refused(handler: Handler) -> None:
    message = refused(handler)
    assert message.startswith(f"The handler `{handler.__name__}` of / has the parameter `")
    assert "which is neither a value of the request nor a registered service" in message


async def struct_in_query(item: Annotated[list[Item], Query()]) -> None: ...
async def struct_in_form(item: Annotated[Item, Form()]) -> None: ...
async def struct_in_header(item: Annotated[Item | None, Header()]) -> None: ...
async def dict_in_cookie(item: Annotated[dict[str, int], Cookie()]) -> None: ...
async def nested_lists(item: Annotated[list[list[int]], Query()]) -> None: ...


@pytest.mark.parametrize(
    "handler", [struct_in_query, struct_in_form, struct_in_header, dict_in_cookie, nested_lists]
)
def test_what_text_cannot_become_is_refused(handler: Handler) -> None:
    assert "can become; declare its fields as parameters of their own." in refused(handler)


def test_a_body_that_json_cannot_become_is_refused() -> None:
    async def create(things: dict[str, Unknown]) -> None: ...

    assert refused(create).startswith("The handler `create` of / has a body that JSON cannot become: ")


def test_an_annotation_that_cannot_be_resolved_is_refused() -> None:
    async def show(thing: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    assert refused(show) == (
        "The handler `show` of / has an annotation that cannot be resolved: name 'Nowhere' is not defined; "
        "define or import it at module level."
    )


def test_a_path_parameter_that_the_path_does_not_have_is_refused() -> None:
    async def show(id: Annotated[int, Path()]) -> None: ...

    assert refused(show, "/users/{user}") == (
        "The handler `show` of /users/{user} reads the path parameter `id`, but its path /users/{user} has none."
    )


@pytest.mark.parametrize(
    ("path", "annotation", "made"),
    [
        ("/{id:int}", str, "int"),
        ("/{id:int}", uuid.UUID, "int"),
        ("/{id:date}", int, "date"),
        ("/{id:uuid}", str, "UUID"),
        ("/{id:float}", dt.date, "float"),
    ],
)
def test_an_annotation_that_contradicts_the_path_is_refused(path: str, annotation: Any, made: str) -> None:
    async def show(id: Any) -> None: ...

    show.__annotations__["id"] = annotation
    assert refused(show, path) == (
        f"The handler `show` of {path} takes `id` as `{annotation.__name__}`, but its path {path} makes "
        f"`{made}` of it; annotate it so, or write {{id}} in the path."
    )


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (float, "2.0"),
        (Decimal, "Decimal('2')"),
        (Level, "<Level.HIGH: 2>"),
        (Annotated[int, Path(le=2)], "2"),
        (int | None, "2"),
        (Any, "2"),
    ],
)
async def test_an_annotation_that_agrees_with_the_path_is_kept(annotation: Any, value: str) -> None:
    async def show(id: Any) -> str:
        return repr(id)

    show.__annotations__["id"] = annotation
    assert (await ask(show, "/2", path="/{id:int}")).text == value


@pytest.mark.parametrize(("annotation", "code"), [(Level, "enum"), (Annotated[int, Path(le=2)], "too_large")])
async def test_what_the_path_takes_and_the_annotation_does_not_is_told(annotation: Any, code: str) -> None:
    async def show(id: Any) -> None: ...

    show.__annotations__["id"] = annotation
    response = await ask(show, "/3", path="/{id:int}")
    assert (response.status, response.problem.codes) == (422, {"/path/id": code})


@pytest.mark.parametrize(
    ("annotation", "sentence"),
    [
        (Annotated[list[int], Query(ge=1)], "constrain its items: `list[Annotated[int, Meta(ge=1)]]`."),
        (Annotated[int, Query(pattern="a")], "constrains the parameter `x` as its type does not allow: "),
        (Annotated[int, Query(min_length=1)], "constrains the parameter `x` as its type does not allow: "),
        (Annotated[str, Query(pattern="(")], "gives the parameter `x` a pattern that cannot be used: "),
        (Annotated[str, Query(pattern="(a+)+b")], "can take more than linear time"),
        (Annotated[int, Query(), Header()], "marks the parameter `x` as Header and Query; keep one of them."),
        (Annotated[int, File()], "but a file arrives as an UploadFile; annotate it so."),
    ],
)
def test_markers_that_do_not_fit_are_refused(annotation: Any, sentence: str) -> None:
    message = refused(query_handler(annotation))
    assert message.startswith("The handler `handler` of / ")
    assert sentence in message


async def test_a_wrong_signature_keeps_the_app_from_starting() -> None:
    app = App(openapi_url=None)
    app.get("/")(takes_unknown)
    with pytest.raises(SignatureError):
        await app.start()


# Time.


async def test_the_time_of_refusing_grows_with_the_request_only() -> None:
    async def show(ids: list[int]) -> None: ...

    async def cost(count: int) -> float:
        best = float("inf")
        async with serving(show) as client:
            for _ in range(5):
                started = time.process_time()
                assert (await client.get("/?" + "&".join(["ids=x"] * count))).status == 422
                best = min(best, time.process_time() - started)
        return best

    assert await cost(1000) < 40 * await cost(100)
