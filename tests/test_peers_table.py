"""The feature tables of routing, requests and responses, row by row: we answer at least as the best peer does.

Each test is named after its row; its docstring says what the peers do. Peers, in the releases that were run:
FA FastAPI 0.165, LS Litestar 2.25, ST Starlette 1.10, BS BlackSheep 2.6, FC Falcon 4.4, DRF 3.18,
DN Django-Ninja 1.7, RB Robyn 0.88.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import sys
import threading
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import msgspec
import pytest

from swift import (
    App,
    BadRequest,
    FileResponse,
    Header,
    NotFound,
    RedirectResponse,
    Request,
    Response,
    Router,
    StaticFiles,
    StreamingResponse,
    TextResponse,
    UploadFile,
)
from swift.http import (
    CacheControl,
    EventHistory,
    EventSourceResponse,
    FormLimits,
    PreconditionFailed,
    ServerSentEvent,
)
from swift.http.codecs import Codec, MessagePack
from swift.http.conditional import ETag, evaluate
from swift.middleware import (
    CacheControlMiddleware,
    CacheMiddleware,
    CompressionMiddleware,
    IdempotencyMiddleware,
    TimeoutMiddleware,
)
from swift.permissions import IsAuthenticated
from swift.routing import RouteConflict
from swift.testing import ClientResponse, TestClient
from swift.viewsets import AutoRouter, ViewSet

CallNext = Callable[[Request], Awaitable[Response]]
JSON = {"content-type": "application/json"}


class Item(msgspec.Struct):
    name: str
    price: int = 0


def new_app(**options: Any) -> App:
    return App(openapi_url=None, **options)


def client_of(app: Any, **options: Any) -> TestClient:
    return TestClient(app, raise_server_exceptions=False, **options)


async def ask(app: App, path: str, method: str = "GET", **options: Any) -> ClientResponse:
    async with client_of(app) as client:
        return await client.request(method, path, **options)


async def index() -> str:
    return "index"


def allowed(response: ClientResponse) -> set[str]:
    return set(response.headers["allow"].split(", "))


# 1.1 Routing.


async def test_row_1_typed_path_converters_and_custom_ones() -> None:
    """LS has the most types, FC bounds; here any function is a converter and a refusal tries the next route."""
    app = new_app(converters={"even": lambda text: int(text) if int(text) % 2 == 0 else _refuse()})

    @app.get("/{day:date}")
    async def by_day(day: date) -> str:
        return f"day {day.year}"

    @app.get("/{number:even}")
    async def by_even(number: int) -> str:
        return f"even {number}"

    @app.get("/{text}")
    async def by_text(text: str) -> str:
        return f"text {text}"

    answers = [(await ask(app, path)).text for path in ("/2024-02-29", "/4", "/5", "/2024-02-30")]
    assert answers == ["day 2024", "even 4", "text 5", "text 2024-02-30"]


def _refuse() -> int:
    raise ValueError


async def test_row_2_multi_segment_tail() -> None:
    """Most peers; here it may also have more behind it."""
    app = new_app()

    @app.get("/files/{path:path}/versions/{number:int}")
    async def version(path: str, number: int) -> str:
        return f"{path} {number}"

    assert (await ask(app, "/files/a/b/c.txt/versions/3")).text == "a/b/c.txt 3"
    assert (await ask(app, "/files/a/versions/b/versions/3")).text == "a/versions/b 3"


async def test_row_3_lookup_is_not_linear_in_routes_and_keeps_no_paths() -> None:
    """FA, ST, DRF, DN and BS look through all routes; BS and LS keep a cache that clients fill."""

    async def show(id: int) -> str:
        return ""

    def app_of(count: int) -> App:
        app = new_app()
        for number in range(count):
            app.get(f"/r{number}/{{id:int}}", name=f"r{number}")(show)
        return app

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        pass

    async def cost(app: App, last: int) -> float:
        scopes = [
            {"type": "http", "method": "GET", "path": f"/r{last}/{id}", "headers": []} for id in range(200)
        ]
        best = float("inf")
        for _ in range(20):
            started = time.process_time()
            for scope in scopes:
                await app(scope, receive, send)
            best = min(best, time.process_time() - started)
        return best

    few, many = app_of(5), app_of(2000)
    await few.start()
    await many.start()
    assert await cost(many, 1999) < 2 * await cost(few, 4)
    tracemalloc.start()
    try:
        for number in range(3000):
            if number == 1000:
                before, _ = tracemalloc.get_traced_memory()
            await many(
                {"type": "http", "method": "GET", "path": f"/r1/{number}", "headers": []}, receive, send
            )
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 4000
    await few.stop()
    await many.stop()


async def test_row_4_nested_routers_do_no_match_work_twice() -> None:
    """FA matches again at every level of nesting."""
    conversions = 0

    def counted(text: str) -> int:
        nonlocal conversions
        conversions += 1
        return int(text)

    async def show(id: int) -> str:
        return str(id)

    converters = {"counted": counted}
    router = Router("/leaf", converters=converters)
    router.get("/{id:counted}")(show)
    for _ in range(8):
        router = Router("/x", routers=[router], converters=converters)
    assert (await ask(new_app(routers=[router]), "/x" * 8 + "/leaf/5")).text == "5"
    assert conversions == 1


async def test_row_4b_the_tree_backtracks_from_static_to_parameter() -> None:
    """LS answers 404 for a route that exists."""
    app = new_app()
    app.get("/x/{id}/a/{k}", name="a")(index)
    app.get("/x/me/b/{k}", name="b")(index)
    assert (await ask(app, "/x/me/a/1")).status == 200
    assert (await ask(app, "/x/me/b/1")).status == 200
    assert (await ask(app, "/x/me/c/1")).status == 404


async def test_row_5_host_routing() -> None:
    """ST and BS; here a host's 405 knows its own methods."""
    api = Router(host="api.example.com")
    api.post("/x")(index)
    app = new_app(routers=[api])
    app.get("/x", name="everywhere")(index)
    async with client_of(app) as client:
        assert (await client.post("/x", headers={"host": "API.example.com:443"})).status == 200
        assert allowed(await client.post("/x")) == {"GET", "HEAD", "OPTIONS"}
        at_host = await client.delete("/x", headers={"host": "api.example.com"})
        assert allowed(at_host) == {"GET", "HEAD", "OPTIONS", "POST"}


async def test_row_6_nested_routers_inherit_settings() -> None:
    """LS, ST, DRF; here middleware, handlers of errors, permissions, tags, names and hosts alike."""

    async def naming(request: Request, call_next: CallNext) -> Response:
        response = await call_next(request)
        response.headers["x-outer"] = "yes"
        return response

    async def missing() -> str:
        raise NotFound

    async def shown() -> str:
        return "shown"

    inner = Router("/inner", name="inner", tags=["inner"])
    inner.get("/missing")(missing)
    inner.get("/x", permission_classes=[])(shown)
    outer = Router(
        "/outer",
        name="outer",
        tags=["outer"],
        middleware=[naming],
        error_handlers={404: lambda request, error: TextResponse("handled", 404)},
        permission_classes=[IsAuthenticated],
        routers=[inner],
    )
    app = new_app(routers=[outer])
    async with client_of(app) as client:
        shown_response = await client.get("/outer/inner/x")
        assert (shown_response.text, shown_response.headers["x-outer"]) == ("shown", "yes")
        refused = await client.get("/outer/inner/missing")
        assert (refused.status, refused.headers["x-outer"]) == (401, "yes")
    route = next(route for route in app.routes if route.path == "/outer/inner/x")
    assert (route.name, route.tags) == ("outer:inner:shown", ("outer", "inner"))


async def test_row_7_any_asgi_app_can_be_mounted() -> None:
    """FA, LS, ST, BS; here with our own routes in front of it, and our middleware around it."""

    async def raw(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["root_path"].encode()})

    async def naming(request: Request, call_next: CallNext) -> Response:
        response = await call_next(request)
        response.headers["x-outer"] = "yes"
        return response

    app = new_app(middleware=[naming])
    app.mount("/raw", raw)
    app.get("/raw/mine")(index)
    async with client_of(app) as client:
        mounted = await client.get("/raw/anything")
        assert (mounted.text, mounted.headers["x-outer"]) == ("/raw", "yes")
        assert (await client.get("/raw/mine")).text == "index"


async def test_row_8_the_lifespan_of_a_mounted_app_runs() -> None:
    """Only BS; ST has been asked for it since 2019."""
    order: list[str] = []

    @asynccontextmanager
    async def lifespan(app: App) -> AsyncIterator[dict[str, Any]]:
        order.append("entered")
        yield {"pool": "open"}
        order.append("left")

    child = new_app(lifespan=lifespan)

    @child.get("/")
    async def show(request: Request) -> str:
        return str(request.scope["state"]["pool"])

    app = new_app()
    app.mount("/child", child)
    async with client_of(app) as client:
        assert (await client.get("/child/")).text == "open"
    assert order == ["entered", "left"]


async def test_row_9_head_is_answered_from_get() -> None:
    """Only ST; here with the headers of GET, its length too."""
    app = new_app()
    app.get("/")(index)
    async with client_of(app) as client:
        get, head = await client.get("/"), await client.head("/")
    assert (head.status, head.content) == (200, b"")
    assert head.headers.multi_items() == get.headers.multi_items()


async def test_row_10_options_is_answered_automatically() -> None:
    """LS, FC, DRF; LS leaves methods out."""
    app = new_app()
    app.get("/x", name="got")(index)
    app.post("/x", name="posted")(index)
    response = await ask(app, "/x", "OPTIONS")
    assert (response.status, response.content) == (204, b"")
    assert allowed(response) == {"GET", "HEAD", "OPTIONS", "POST"}


async def test_row_11_405_has_the_complete_allow() -> None:
    """FA and ST name the first route's method only, BS and RB answer 404."""
    app = new_app()
    app.get("/x/{id:int}", name="got")(index)
    app.post("/x/{name}", name="posted")(index)
    app.put("/x/5", name="put")(index)
    response = await ask(app, "/x/5", "DELETE")
    assert response.status == 405
    assert allowed(response) == {"GET", "HEAD", "OPTIONS", "POST", "PUT"}


@pytest.mark.parametrize(("policy", "status"), [("strict", 404), ("redirect", 308), ("merge", 200)])
async def test_row_12_the_slash_policy_can_be_selected(policy: Any, status: int) -> None:
    """The peers have one policy each, or two; a redirect of theirs is a 307."""
    app = new_app(trailing_slash=policy)
    app.post("/x")(index)
    assert (await ask(app, "/x/", "POST")).status == status


async def test_row_13_url_for() -> None:
    """Most peers; here what cannot be a URL of the route is refused."""
    app = new_app()
    app.get("/{year:int}/{name}", name="post")(index)
    assert app.url_for("post", year=2024, name="a b") == "/2024/a%20b"
    for wrong in ({"year": 2024}, {"year": 2024, "name": "a/b"}, {"year": 2024, "name": "a", "x": 1}):
        with pytest.raises(ValueError, match=r"/\{year:int\}/\{name\}"):
            app.url_for("post", **wrong)


async def test_row_14_conflicting_routes_are_rejected_at_registration() -> None:
    """Only LS; the others shadow or replace in silence."""
    app = new_app(routers=[_with_route("/users", "/{id:int}")])
    with pytest.raises(RouteConflict, match=r"GET /users/\{key:int\} is already served by `index`"):
        app.include(_with_route("", "/users/{key:int}"))


def _with_route(prefix: str, path: str) -> Router:
    router = Router(prefix)
    router.get(path)(index)
    return router


class Greetings(ViewSet):
    """A resource as a class: one instance per request."""

    def __init__(self) -> None:
        self.greeted: list[str] = []

    async def list(self) -> str:
        return f"{self.action} {self.request.method} {len(self.greeted)}"

    async def retrieve(self, id: int, loud: bool = False) -> str:
        self.greeted.append("you")
        return f"{self.action} {id} {loud} {len(self.greeted)}"


async def test_row_15_class_based_resources() -> None:
    """The most-asked feature of FA; LS, BS, FC, DRF have it."""
    router = AutoRouter()
    router.register("/greetings", Greetings)
    async with client_of(new_app(routers=[router])) as client:
        assert (await client.get("/greetings")).text == "list GET 0"
        for _ in range(2):
            assert (await client.get("/greetings/5?loud=true")).text == "retrieve 5 True 1"
        assert (await client.get("/greetings/5?loud=what")).problem.codes == {"/query/loud": "type"}


async def test_row_16_a_router_derives_the_routes_of_a_viewset() -> None:
    """Only DRF."""
    app = new_app(routers=[AutoRouter("/api").register("/greetings", Greetings)])
    assert {(route.path, *route.methods) for route in app.routes} == {
        ("/api/greetings", "GET"),
        ("/api/greetings/{id}", "GET"),
    }
    assert app.url_for("greetings-detail", id=3) == "/api/greetings/3"


async def test_row_17_middleware_per_router_and_route() -> None:
    """LS and ST."""

    def noting(name: str) -> Callable[[Request, CallNext], Awaitable[Response]]:
        async def middleware(request: Request, call_next: CallNext) -> Response:
            response = await call_next(request)
            response.headers.add("passed", name)
            return response

        return middleware

    router = Router("/r", middleware=[noting("router")])
    router.get("/x", middleware=[noting("route")])(index)
    router.get("/y", name="y")(index)
    async with client_of(new_app(routers=[router])) as client:
        assert (await client.get("/r/x")).headers.getlist("passed") == ["route", "router"]
        assert (await client.get("/r/y")).headers.getlist("passed") == ["router"]


async def test_row_18_exception_handlers_per_router() -> None:
    """Only LS."""

    async def fail() -> str:
        raise LookupError

    router = Router("/r", error_handlers={LookupError: lambda request, error: TextResponse("router")})
    app = new_app(routers=[router], error_handlers={LookupError: lambda request, error: TextResponse("app")})
    for each in (app, router):
        each.get("/x")(fail)
    assert (await ask(app, "/x")).text == "app"
    assert (await ask(app, "/r/x")).text == "router"


async def test_row_19_user_middleware_sees_404_and_405() -> None:
    """Not in LS, which builds its stacks per handler."""
    seen: list[int] = []

    async def noting(request: Request, call_next: CallNext) -> Response:
        response = await call_next(request)
        seen.append(response.status)
        response.headers["x-seen"] = "yes"
        return response

    app = new_app(middleware=[noting])
    app.get("/x")(index)
    async with client_of(app) as client:
        for method, path in (("GET", "/nothing"), ("POST", "/x"), ("OPTIONS", "/x"), ("GET", "/x/")):
            assert (await client.request(method, path)).headers["x-seen"] == "yes"
    assert seen == [404, 405, 204, 308]


async def test_row_20_query_and_any_other_method() -> None:
    """ST has QUERY since 1.10; here with a typed body as well."""
    app = new_app()

    @app.query("/items")
    async def search(item: Item) -> str:
        return item.name

    app.route("/cache", ["PURGE"])(index)
    assert (await ask(app, "/items", "QUERY", json={"name": "tea"})).text == "tea"
    assert (await ask(app, "/items", "QUERY", json={})).status == 422
    assert (await ask(app, "/cache", "PURGE")).status == 200
    assert allowed(await ask(app, "/items")) == {"OPTIONS", "QUERY"}


async def test_row_21_a_front_end_behind_the_api(tmp_path: Path) -> None:
    """FA and BS have a helper, which answers missing scripts and API clients with a page too; here a page is what a
    browser navigates to, and everything else stays a 404 or 405. The whole table is in test_static.py."""
    (tmp_path / "index.html").write_text("<html>")
    app = new_app()
    app.get("/api/items/{id:int}", name="item")(index)
    app.mount("/", StaticFiles(tmp_path, html=True, fallback="index.html"))
    browser = {"accept": "text/html,*/*;q=0.8"}
    async with client_of(app) as client:
        assert (await client.get("/users/5/edit", headers=browser)).text == "<html>"
        assert (await client.get("/users/5/edit", headers=JSON)).status == 404
        assert (await client.get("/missing.js", headers=browser)).status == 404
        assert (await client.get("/api/items/5")).text == "index"
        assert (await client.post("/api/items/5", headers=browser)).status == 405


# 1.2 Request.


async def test_row_22_streaming_body_iterator() -> None:
    """FA, LS, ST, BS, FC; here each part is there as soon as it came."""
    app = new_app()
    seen = asyncio.Event()

    @app.post("/")
    async def read(request: Request) -> list[int]:
        sizes = []
        async for chunk in request.stream():
            sizes.append(len(chunk))
            seen.set()
        return sizes

    async def parts() -> AsyncIterator[bytes]:
        yield b"a"
        # The second part is made when the first one was read.
        await seen.wait()
        yield b"bc"

    async with client_of(app) as client, asyncio.timeout(30):
        assert (await client.post("/", content=parts())).json() == [1, 2]


async def test_row_23_a_body_limit_is_on_by_default() -> None:
    """LS alone answers 413 by default; DRF and DN 400, the others take 12 MB."""
    app = new_app()

    @app.post("/")
    async def read(request: Request) -> int:
        return len(await request.body())

    response = await ask(app, "/", "POST", content=b"x" * 12_000_000)
    assert (response.status, response.problem.title) == (413, "Content Too Large")


async def test_row_24_the_limit_holds_while_streaming() -> None:
    """Not in BS; here nothing beyond the limit is even asked for."""
    app = new_app(max_body_size=1000)
    taken = 0

    @app.post("/")
    async def read(item: Item) -> str:
        return item.name

    def parts() -> Any:
        nonlocal taken
        for _ in range(1000):
            taken += 1
            yield b"x" * 100

    response = await ask(app, "/", "POST", content=parts(), headers=JSON)
    assert response.status == 413
    assert taken == 11


@pytest.mark.parametrize("parts", ["fields", "files", "size"])
async def test_row_25_forms_have_limits(parts: str) -> None:
    """FA, LS, ST, FC."""
    app = new_app()

    @app.post("/")
    async def read(request: Request) -> int:
        return len(await request.form())

    bodies: dict[str, dict[str, Any]] = {
        "fields": {"data": {f"f{number}": "x" for number in range(1001)}, "files": []},
        "files": {"files": [("f", (f"{number}.txt", b"x")) for number in range(101)]},
        "size": {"data": {"f": "x" * (2**20 + 1)}, "files": []},
    }
    response = await ask(app, "/", "POST", **bodies[parts])
    assert (response.status, response.problem.status) == (413, 413)


async def test_row_26_multipart_is_read_while_it_arrives() -> None:
    """BS and FC; here with the limits of forms, and a part is there before the next one was sent. More in
    test_multipart.py."""
    app = new_app()
    seen = asyncio.Event()

    @app.post("/")
    async def read(request: Request) -> list[Any]:
        found: list[Any] = []
        async for part in request.multipart(FormLimits(max_file_size=10)):
            found.append([part.name, part.filename, await part.text()])
            seen.set()
        return found

    def part(name: str, filename: str, content: bytes) -> bytes:
        head = f'--x\r\ncontent-disposition: form-data; name="{name}"; filename="{filename}"\r\n\r\n'
        return head.encode() + content + b"\r\n"

    async def body(last: bytes) -> AsyncIterator[bytes]:
        # A part is complete with the boundary behind it; the parser takes blocks of 64 KiB.
        yield part("a", "a.txt", b"1") + b"--x\r\nx-filler: " + b"f" * 70_000
        yield (
            b'\r\ncontent-disposition: form-data; name="b"; filename="b.txt"\r\n\r\n'
            + last
            + b"\r\n--x--\r\n"
        )

    headers = {"content-type": "multipart/form-data; boundary=x"}
    async with client_of(app) as client, asyncio.timeout(30):
        small = part("a", "a.txt", b"1") + part("b", "b.txt", b"2") + b"--x--\r\n"
        answer = await client.post("/", content=small, headers=headers)
        assert answer.json() == [["a", "a.txt", "1"], ["b", "b.txt", "2"]]
        large = part("a", "a.txt", b"12345678901") + b"--x--\r\n"
        assert (await client.post("/", content=large, headers=headers)).status == 413
        # Headers of a part have a limit too.
        assert (await client.post("/", content=body(b"2"), headers=headers)).status == 413
    assert seen.is_set()


@pytest.mark.parametrize("kind", ["json", "form", "file"])
async def test_row_27_auth_runs_before_the_body_is_read(kind: str) -> None:
    """FA reads and parses the body, uploads too, before it asks who is there."""
    app = new_app(permission_classes=[IsAuthenticated])
    read = False

    @app.post("/json")
    async def as_json(item: Item) -> str:
        return item.name

    @app.post("/file")
    @app.post("/form", name="form")
    async def as_form(doc: UploadFile) -> str:
        return doc.filename

    async def watched() -> AsyncIterator[bytes]:
        nonlocal read
        read = True
        yield b"x"

    headers = JSON if kind == "json" else {"content-type": "multipart/form-data; boundary=x"}
    response = await ask(app, f"/{kind}", "POST", content=watched(), headers=headers)
    assert response.status == 401
    assert not read


async def test_row_28_accept_is_negotiated() -> None:
    """Only DRF answers 406; here before the handler has done anything."""
    ran = False
    app = new_app()

    @app.get("/")
    async def show() -> Item:
        nonlocal ran
        ran = True
        return Item("tea")

    response = await ask(app, "/", headers={"accept": "text/html, application/json;q=0"})
    assert (response.status, response.problem.status) == (406, 406)
    assert not ran


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "", None])
async def test_row_29_a_wrong_content_type_is_415(content_type: str | None) -> None:
    """LS and DN parse text/plain as JSON, which lets other sites' forms in; FC and DRF answer 415."""
    app = new_app()

    @app.post("/")
    async def create(item: Item) -> str:
        return item.name

    headers = {} if content_type is None else {"content-type": content_type}
    response = await ask(app, "/", "POST", content=b'{"name": "tea"}', headers=headers)
    assert (response.status, response.headers["accept"]) == (415, "application/json")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"name": "a", "price": 1', 400),
        (b'{"name": "\xff"}', 400),
        (b"[" * 100_000, 400),
        (b'{"name": "a", "price": ' + b"9" * 5000 + b"}", 422),
        (b'{"name": "a", "price": NaN}', 400),
    ],
    ids=["truncated", "invalid UTF-8", "100 000 brackets", "5 000 digits", "NaN"],
)
async def test_row_30_malformed_json_never_yields_500(body: bytes, status: int) -> None:
    """Only DN never fails, and it parses text/plain. The rest of the table is in test_hostile_json.py."""
    app = new_app()

    @app.post("/typed")
    async def typed(item: Item) -> Item:
        return item

    @app.post("/untyped")
    async def untyped(request: Request) -> Any:
        return {"value": await request.json()}

    for path in ("/typed", "/untyped"):
        response = await ask(app, path, "POST", content=body, headers=JSON)
        assert (response.status, response.problem.status) == (status, status)


async def test_row_31_bodies_of_other_media_types() -> None:
    """LS and FC read msgpack, BS XML, each in a way of its own; here one registration reads, writes as Accept says,
    tells errors as for JSON and stands in the document. More in test_codecs.py."""
    app = App(codecs=[MessagePack(), Codec("text/csv", encode=lambda data: f"{data['name']}".encode())])

    @app.post("/items")
    async def create(item: Item) -> Item:
        return item

    packed = {"content-type": "application/vnd.msgpack"}
    async with client_of(app) as client:
        body = msgspec.msgpack.encode({"name": "tea"})
        both = await client.post("/items", content=body, headers={**packed, "accept": packed["content-type"]})
        assert msgspec.msgpack.decode(both.content) == {"name": "tea", "price": 0}
        mixed = await client.post("/items", content=body, headers={**packed, "accept": "text/csv"})
        assert (mixed.text, mixed.headers["vary"]) == ("tea", "Accept")
        wrong = await client.post("/items", content=msgspec.msgpack.encode({"name": 5}), headers=packed)
        assert (wrong.status, wrong.problem.codes) == (422, {"/body/name": "type"})
        assert (
            await client.post("/items", json={"name": "tea"}, headers={"accept": "text/html"})
        ).status == 406
    content = app.openapi()["paths"]["/items"]["post"]["requestBody"]["content"]
    assert set(content) == {"application/json", "application/vnd.msgpack"}


async def test_row_32_several_cookie_headers() -> None:
    """FA, LS, ST, FC."""
    app = new_app()

    @app.get("/")
    async def show(request: Request) -> dict[str, str]:
        return dict(request.cookies)

    response = await ask(app, "/", headers=[("cookie", "a=1; b=2"), ("cookie", "c=3")])
    assert response.json() == {"a": "1", "b": "2", "c": "3"}


async def test_row_33_the_query_is_percent_decoded() -> None:
    """RB hands `%0d%0a` over as it is."""
    app = new_app()

    @app.get("/")
    async def show(request: Request, q: str) -> list[str]:
        return [q, request.query["q"]]

    assert (await ask(app, "/?q=a%0d%0a%C3%A4+%2B%25zz")).json() == ["a\r\nä +%zz"] * 2


async def test_row_34_a_handler_notices_that_its_client_left() -> None:
    """FA, LS, ST, BS, FC; here a stream is closed without asking."""
    app = new_app()
    closed = asyncio.Event()

    @app.get("/")
    async def numbers() -> AsyncIterator[int]:
        try:
            number = 0
            while True:
                yield number
                number += 1
        finally:
            closed.set()

    async with client_of(app) as client:
        async with client.stream("GET", "/") as response:
            response.disconnect()
        async with asyncio.timeout(30):
            await closed.wait()


async def test_row_35_request_timeout() -> None:
    """Nobody has it in the framework."""
    app = new_app(middleware=[TimeoutMiddleware(0.01)])
    cancelled = False

    @app.get("/")
    async def never() -> str:
        nonlocal cancelled
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled = True
            raise
        return ""

    response = await ask(app, "/")
    assert (response.status, response.problem.status) == (503, 503)
    assert cancelled


async def test_row_36_idempotency_keys() -> None:
    """Nobody has them. More in test_middleware_idempotency.py."""
    made = 0
    app = new_app()

    @app.post("/payments", middleware=[IdempotencyMiddleware(required=True)])
    async def pay(item: Item) -> int:
        nonlocal made
        made += 1
        return made

    async with client_of(app, headers={"idempotency-key": "a"}) as client:
        first = await client.post("/payments", json={"name": "a"})
        again = await client.post("/payments", json={"name": "a"})
        assert (first.json(), again.json(), again.headers["idempotency-replayed"]) == (1, 1, "true")
        assert (await client.post("/payments", json={"name": "other"})).status == 422
    assert (await ask(app, "/payments", "POST", json={"name": "a"})).status == 400


# 1.3 Responses and HTTP semantics.


async def test_row_37_a_typed_object_becomes_bytes_in_one_step() -> None:
    """FA since 0.130, LS; here the objects of a list cost no Python call each."""
    app = new_app()
    items = [Item(str(number), number) for number in range(1000)]

    @app.get("/{count:int}")
    async def show(count: int) -> list[Item]:
        return items[:count]

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    sent: list[Any] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def calls(count: int) -> int:
        found = 0

        def profile(frame: FrameType, event: str, argument: Any) -> None:
            nonlocal found
            found += event == "call"

        scope = {"type": "http", "method": "GET", "path": f"/{count}", "headers": []}
        sys.setprofile(profile)
        try:
            await app(scope, receive, send)
        finally:
            sys.setprofile(None)
        return found

    await app.start()
    await calls(1)
    assert await calls(1000) == await calls(1)
    assert len(json.loads(sent[-3]["body"])) == 1000
    await app.stop()


async def test_row_38_streaming_responses() -> None:
    """Most peers; here from async and plain iterables, the plain ones in a thread."""
    app = new_app()
    threads: set[int] = set()

    @app.get("/async")
    async def as_async() -> AsyncIterator[bytes]:
        yield b"a"
        yield b"b"

    @app.get("/plain")
    async def as_plain() -> Response:
        def chunks() -> Any:
            threads.add(threading.get_ident())
            yield b"a"
            yield "b"

        return StreamingResponse(chunks())

    assert (await ask(app, "/async")).content == b"ab"
    assert (await ask(app, "/plain")).content == b"ab"
    assert threads
    assert threading.get_ident() not in threads


async def test_row_39_server_sent_events() -> None:
    """FA, LS, BS, FC, DN; here line ends in `event` and `id` cannot forge records."""
    app = new_app()

    @app.get("/")
    async def events() -> Response:
        return EventSourceResponse([ServerSentEvent(data={"a": 1}, event="made", id="7"), "two\nlines"])

    response = await ask(app, "/")
    assert response.media_type == "text/event-stream"
    assert response.text == 'event: made\nid: 7\ndata: {"a":1}\n\ndata: two\ndata: lines\n\n'
    with pytest.raises(ValueError, match="holds CR, LF or NUL"):
        ServerSentEvent(event="a\ndata: forged")


async def test_row_40_server_sent_events_keep_the_connection_alive() -> None:
    """FA, LS 3.0, BS."""
    app = new_app()
    go_on = asyncio.Event()

    @app.get("/")
    async def events() -> Response:
        async def source() -> AsyncIterator[str]:
            await go_on.wait()
            yield "late"

        return EventSourceResponse(source(), keep_alive=0.01)

    async with client_of(app) as client, asyncio.timeout(30), client.stream("GET", "/") as response:
        assert await anext(response) == b":\n\n"
        go_on.set()
        rest = await response.read()
    assert rest.endswith(b"data: late\n\n")


async def test_row_41_a_client_of_events_gets_what_it_missed() -> None:
    """Nobody; here from a history of fixed size, with a word for who missed more. More in test_sse.py."""
    history = EventHistory(2)
    app = new_app()

    @app.get("/")
    async def events(request: Request) -> Response:
        return history.response(request)

    known = [history.publish(number).id for number in range(4)]
    history.close()
    async with client_of(app) as client:
        text = (await client.get("/", headers={"last-event-id": str(known[1])})).text
        assert text == f"id: {known[2]}\ndata: 2\n\nid: {known[3]}\ndata: 3\n\n"
        assert "event: reset" in (await client.get("/", headers={"last-event-id": str(known[0])})).text


async def test_row_42_json_lines_of_typed_items() -> None:
    """FA and DN."""
    app = new_app()

    @app.get("/")
    async def items() -> AsyncIterator[Item]:
        yield Item("a")
        yield Item("b", 2)

    response = await ask(app, "/")
    assert response.media_type == "application/jsonl"
    lines = [msgspec.json.decode(line, type=Item) for line in response.content.splitlines()]
    assert lines == [Item("a"), Item("b", 2)]


@pytest.fixture
def file_app(tmp_path: Path) -> App:
    path = tmp_path / "data.txt"
    path.write_bytes(b"0123456789")
    # Old enough for its date to be a strong validator.
    os.utime(path, (1_700_000_000, 1_700_000_000))
    app = new_app()

    @app.get("/file")
    async def file() -> Response:
        return FileResponse(path, media_type="text/plain")

    app.mount("/static", StaticFiles(tmp_path))
    return app


FILES = pytest.mark.parametrize("path", ["/file", "/static/data.txt"])


@FILES
async def test_row_43_files_have_etag_and_last_modified(file_app: App, path: str) -> None:
    """Most peers; BS sends an unquoted tag."""
    response = await ask(file_app, path)
    assert ETag.parse(response.headers["etag"]) is not None
    assert response.headers["last-modified"] == "Tue, 14 Nov 2023 22:13:20 GMT"


@FILES
async def test_row_44_if_none_match_is_304(file_app: App, path: str) -> None:
    """FA, ST, FC, RB; BS fails on lists and weak tags."""
    async with client_of(file_app) as client:
        etag = (await client.get(path)).headers["etag"]
        for field in (etag, f'"other", {etag}', f"W/{etag}", "*"):
            response = await client.get(path, headers={"if-none-match": field})
            assert (response.status, response.content) == (304, b"")
            assert response.headers["etag"] == etag
        assert (await client.get(path, headers={"if-none-match": '"other"'})).status == 200


@FILES
async def test_row_45_if_modified_since_is_304(file_app: App, path: str) -> None:
    """FA, ST, FC, RB."""
    async with client_of(file_app) as client:
        for moment, status in (
            ("Tue, 14 Nov 2023 22:13:20 GMT", 304),
            ("Tue, 14 Nov 2023 22:13:19 GMT", 200),
            ("Tuesday, 14-Nov-23 22:13:20 GMT", 304),
            ("nonsense", 200),
        ):
            assert (await client.get(path, headers={"if-modified-since": moment})).status == status


@FILES
async def test_row_46_ranges_are_206_or_416(file_app: App, path: str) -> None:
    """FA, LS no, ST, FC; BS's 416 does not say how long the file is."""
    async with client_of(file_app) as client:
        part = await client.get(path, headers={"range": "bytes=2-4"})
        assert (part.status, part.content, part.headers["content-range"]) == (206, b"234", "bytes 2-4/10")
        assert (await client.get(path, headers={"range": "bytes=-3"})).content == b"789"
        refused = await client.get(path, headers={"range": "bytes=10-"})
        assert (refused.status, refused.headers["content-range"]) == (416, "bytes */10")


@FILES
async def test_row_47_several_ranges_in_one_answer(file_app: App, path: str) -> None:
    """FA, ST, BS; here ten thousand ranges are no attack."""
    async with client_of(file_app) as client:
        response = await client.get(path, headers={"range": "bytes=0-1,8-9"})
        assert response.status == 206
        assert response.media_type == "multipart/byteranges"
        assert (
            b"Content-Range: bytes 0-1/10" in response.content
            or b"content-range: bytes 0-1/10" in response.content
        )
        many = await client.get(path, headers={"range": "bytes=" + ",".join(["0-9"] * 10_000)})
        assert len(many.content) < 2000


@FILES
async def test_row_48_if_range_is_honoured(file_app: App, path: str) -> None:
    """FC serves a part against a stale validator."""
    async with client_of(file_app) as client:
        etag = (await client.get(path)).headers["etag"]
        for validator, status in ((etag, 206), ('"stale"', 200), (f"W/{etag}", 200)):
            response = await client.get(path, headers={"range": "bytes=0-1", "if-range": validator})
            assert response.status == status
            assert len(response.content) == (2 if status == 206 else 10)


@FILES
async def test_row_49_head_of_a_file_is_right(file_app: App, path: str) -> None:
    """BS sends two lengths."""
    async with client_of(file_app) as client:
        get, head = await client.get(path), await client.head(path)
    assert (head.status, head.content) == (200, b"")
    assert head.headers.getlist("content-length") == ["10"]
    assert head.headers.multi_items() == get.headers.multi_items()


async def test_row_50_if_match_guards_an_api_resource() -> None:
    """Nobody from end to end; here one call decides as RFC 9110 section 13.2.2 orders."""
    app = new_app()
    version = 1

    @app.put("/item")
    async def change(request: Request, item: Item) -> Response:
        nonlocal version
        if evaluate(request, ETag(str(version))) is not None:
            raise PreconditionFailed("The item was changed meanwhile.")
        version += 1
        return Response(headers={"etag": str(ETag(str(version)))})

    async with client_of(app) as client:
        first = await client.put("/item", json={"name": "a"}, headers={"if-match": '"1"'})
        assert (first.status, first.headers["etag"]) == (200, '"2"')
        second = await client.put("/item", json={"name": "b"}, headers={"if-match": '"1"'})
        assert (second.status, second.problem.status) == (412, 412)
        assert (await client.put("/item", json={"name": "c"}, headers={"if-match": '"1", "2"'})).status == 200


async def test_row_51_a_helper_for_cache_control() -> None:
    """LS and BS; here what contradicts itself is refused, and errors never get it. More in test_cache_control.py."""
    app = new_app(middleware=[CacheControlMiddleware(CacheControl(public=True, max_age=60))])
    app.get("/")(index)
    assert (await ask(app, "/")).headers["cache-control"] == "public, max-age=60"
    assert "cache-control" not in (await ask(app, "/nothing")).headers
    with pytest.raises(ValueError, match="public and private"):
        CacheControl(public=True, private=True)


async def test_row_52_a_cache_of_answers() -> None:
    """LS has stores; here also validators, Vary, a bound in bytes, one request for all who ask at once, and nothing
    that was made for somebody is given to another. More in test_middleware_caching.py."""
    made = 0
    app = new_app(middleware=[CacheMiddleware(60)])

    @app.get("/")
    async def show() -> int:
        nonlocal made
        made += 1
        await asyncio.sleep(0)
        return made

    async with client_of(app) as client:
        answers = await asyncio.gather(*(client.get("/") for _ in range(9)))
        assert {answer.json() for answer in answers} == {1}
        etag = answers[0].headers["etag"]
        assert (await client.get("/", headers={"if-none-match": etag})).status == 304
        assert (await client.get("/", headers={"cookie": "session=1"})).json() == 2
        assert (await client.get("/")).json() == 1


async def test_row_53_work_after_the_response_is_drained_at_the_end() -> None:
    """FA, LS, ST, FC run it; nobody waits for it when the server stops (row 113)."""
    done: list[str] = []
    app = new_app()

    async def work() -> None:
        await asyncio.sleep(0.01)
        done.append("done")

    @app.get("/")
    async def show(request: Request) -> str:
        request.after_response(work)
        return ""

    async with client_of(app) as client:
        await client.get("/")
    assert done == ["done"]


# Row 54, durable tasks with retries and schedules, is answered by `swift.tasks`, which comes with an issue of its own.


@pytest.mark.parametrize("value", ["a\r\nset-cookie: x=1", "a\nb", "a\rb", "a\x00b", "a\x7f", "ä€"])
async def test_row_55_the_framework_refuses_control_characters_in_headers(value: str) -> None:
    """DRF and DN; the five ASGI frameworks emit them and hope for the server."""
    response = Response()
    for setting in (
        lambda: Response(headers={"x-a": value}),
        lambda: response.headers.__setitem__("x-a", value),
        lambda: response.headers.add("x-a", value),
        lambda: response.set_cookie("a", value),
        lambda: BadRequest(headers={"x-a": value}),
    ):
        with pytest.raises(ValueError, match=r"."):
            setting()
    assert response.raw_headers == []


async def test_row_56_a_redirect_target_is_sanitised() -> None:
    """BS and FC put raw CR and LF into Location."""
    for target in ("/a\r\nset-cookie: x=1", "/a\x00"):
        with pytest.raises(ValueError, match="control character"):
            RedirectResponse(target)
    assert RedirectResponse("/ä b?q=ö").headers["location"] == "/%C3%A4%20b?q=%C3%B6"


async def test_row_57_every_error_is_a_problem_of_rfc_9457() -> None:
    """Nobody by default; LS with a plugin."""
    app = new_app(max_body_size=50)

    @app.post("/items/{id}")
    async def create(id: int, item: Item, x_token: Annotated[str, Header()] = "") -> Item:
        if x_token:
            raise RuntimeError(x_token)
        return item

    async with client_of(app) as client:
        answers = [
            await client.post("/items/1", content=b"{", headers=JSON),
            await client.get("/nothing"),
            await client.get("/items/1"),
            await client.post("/items/1", json={"name": "a"}, headers={"accept": "text/html"}),
            await client.post("/items/1", json={"name": "a" * 100}),
            await client.post("/items/1", content=b"{}", headers={"content-type": "text/plain"}),
            await client.post("/items/x", json={"name": 5}),
            await client.post("/items/1", json={"name": "a"}, headers={"x-token": "boom"}),
        ]
    assert [answer.status for answer in answers] == [400, 404, 405, 406, 413, 415, 422, 500]
    for answer in answers:
        document = answer.json()
        assert answer.media_type == "application/problem+json"
        assert document["status"] == answer.status
        assert {"type", "title", "detail"} <= document.keys()
    assert answers[6].problem.codes == {"/path/id": "type", "/body/name": "type"}


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
async def test_row_58_compression(coding: str) -> None:
    """LS has all three; here what is already compressed, small, or streamed is treated as it should be."""
    import brotli
    import zstandard

    decode = {
        "gzip": gzip.decompress,
        "br": brotli.decompress,
        "zstd": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
    }[coding]
    app = new_app(middleware=[CompressionMiddleware()])
    text = "hello " * 1000

    @app.get("/")
    async def show() -> str:
        return text

    @app.get("/stream")
    async def stream() -> AsyncIterator[str]:
        for _ in range(100):
            yield text

    @app.get("/small")
    async def small() -> str:
        return "small"

    async with client_of(app, headers={"accept-encoding": coding}) as client:
        for path, expected in (("/", text), ("/stream", text * 100)):
            response = await client.get(path)
            assert response.headers["content-encoding"] == coding
            assert "accept-encoding" in response.headers["vary"].lower()
            assert decode(response.content).decode() == expected
        assert "content-encoding" not in (await client.get("/small")).headers
        plain = await client.get("/", headers={"accept-encoding": "identity"})
        assert plain.text == text


async def test_row_59_file_names_as_rfc_8187_writes_them(tmp_path: Path) -> None:
    """Most peers; here a name cannot leave its quotes or its line."""
    path = tmp_path / "x"
    path.write_bytes(b"x")
    app = new_app()

    @app.get("/")
    async def show(name: str) -> Response:
        return FileResponse(path, filename=name)

    async with client_of(app) as client:
        response = await client.get("/", params={"name": 'Übersicht "1".pdf'})
        disposition = response.headers["content-disposition"]
        assert "filename*=UTF-8''%C3%9Cbersicht%20%221%22.pdf" in disposition
        forged = await client.get("/", params={"name": "a\r\nx-forged: 1"})
        assert "x-forged" not in forged.headers


async def test_row_62_a_server_that_can_sends_the_file_itself(tmp_path: Path) -> None:
    """FA and ST; here also behind middleware."""
    path = tmp_path / "data.txt"
    path.write_bytes(b"0123456789")

    async def passing(request: Request, call_next: CallNext) -> Response:
        return await call_next(request)

    app = new_app(middleware=[passing])

    @app.get("/")
    async def show() -> Response:
        return FileResponse(path)

    response = await ask(app, "/", extensions={"http.response.pathsend": {}})
    assert response.content == b"0123456789"
    assert [event["type"] for event in response.extension_events] == ["http.response.pathsend"]


async def test_row_60_early_hints() -> None:
    """Nobody. Rows 60 to 65 are held in full by test_server_extensions.py."""
    app = new_app()

    @app.get("/")
    async def show(request: Request) -> str:
        return str(await request.early_hints("</style.css>; rel=preload; as=style"))

    response = await ask_offering(app, "early_hint")
    assert response.text == "True"
    assert response.extension_events[0]["links"] == [b"</style.css>; rel=preload; as=style"]
    assert (await ask(app, "/")).text == "False"


async def ask_offering(app: App, *names: str) -> ClientResponse:
    async with client_of(app, extensions={f"http.response.{name}": {} for name in names}) as client:
        return await client.get("/")


async def test_row_61_trailers() -> None:
    """Nobody (ST in its test client); here made when the body is complete, and what may be none is refused."""
    app = new_app()

    @app.get("/")
    async def show() -> Response:
        sent: list[bytes] = []

        def chunks() -> Any:
            for chunk in (b"a", b"b"):
                sent.append(chunk)
                yield chunk

        return StreamingResponse(chunks(), trailers=lambda: {"x-checksum": b"".join(sent).hex()})

    response = await ask_offering(app, "trailers")
    assert (response.content, response.trailers["x-checksum"]) == (b"ab", "6162")
    with pytest.raises(ValueError, match="cannot be a trailer"):
        StreamingResponse([], trailers={"set-cookie": "a=1"})


async def test_row_63_a_server_that_can_copies_the_file(tmp_path: Path) -> None:
    """Nobody (LS knows the name); here ranges too."""
    path = tmp_path / "data.bin"
    path.write_bytes(bytes(100_000))
    app = new_app()

    @app.get("/")
    async def show() -> Response:
        return FileResponse(path)

    response = await ask_offering(app, "zerocopysend")
    (event,) = response.extension_events
    assert (event["type"], event["count"]) == ("http.response.zerocopysend", 100_000)
    assert len(response.content) == 100_000


async def test_row_64_push_and_debug() -> None:
    """FA, LS, ST push; here before the body, as ASGI orders it, only paths, and only where it is offered. The test
    client shows by `debug` which exception became an answer."""
    app = new_app()

    @app.get("/")
    async def show() -> Response:
        return StreamingResponse([b"<html>"], push=["/style.css"])

    @app.get("/fails")
    async def fails() -> None:
        raise LookupError

    response = await ask_offering(app, "push")
    assert [event["path"] for event in response.extension_events] == ["/style.css"]
    assert (await ask(app, "/")).content == b"<html>"
    async with TestClient(app) as client:
        with pytest.raises(LookupError):
            await client.get("/fails")


async def test_row_65_the_identity_of_a_client_certificate() -> None:
    """Nobody; here by its name, if the server found it good."""
    app = new_app()

    @app.get("/")
    async def show(request: Request) -> str | None:
        return None if request.tls is None else request.tls.common_name

    told = {"client_cert_name": "CN=ann,O=Acme", "client_cert_chain": ["..."], "tls_version": 0x0304}
    for error, name in ((None, "ann"), ("expired", None)):
        async with client_of(app, extensions={"tls": {**told, "client_cert_error": error}}) as client:
            assert (await client.get("/")).json() == name
