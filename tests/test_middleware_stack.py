"""The middleware in an application: what comes with every answer, in which order, and what is inherited."""

from __future__ import annotations

import asyncio
import gzip
import logging
from typing import Annotated

import pytest

from swift import App, Body, FileResponse, NotFound, Request, Response, Router, StreamingResponse
from swift.middleware import (
    CompressionMiddleware,
    CORSMiddleware,
    ErrorBoundary,
    ForwardedMiddleware,
    RequestIDMiddleware,
    SecurityHeadersMiddleware,
    TimeoutMiddleware,
    TrustedHostMiddleware,
    request_id_var,
)
from swift.testing import TestClient

ORIGIN = "https://app.example.com"


def make_app(*more, **options) -> App:
    middleware = [
        CompressionMiddleware(minimum_size=10),
        SecurityHeadersMiddleware(),
        RequestIDMiddleware(),
        CORSMiddleware([ORIGIN]),
        TrustedHostMiddleware(["testserver"]),
        *more,
    ]
    app = App(middleware=middleware, max_body_size=100, **options)

    @app.get("/")
    async def index() -> str:
        return "hello " * 100

    @app.get("/fails")
    async def fails() -> str:
        raise RuntimeError("hunter2")

    @app.get("/problem")
    async def problem() -> str:
        raise NotFound("No such thing. " * 20)

    @app.post("/items")
    async def create(request: Request) -> int:
        return len(await request.body())

    @app.post("/typed")
    async def typed(numbers: Annotated[list[int], Body()]) -> int:
        return sum(numbers)

    return app


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        ("GET", "/", {}, 200),
        ("HEAD", "/", {}, 200),
        ("OPTIONS", "/", {}, 204),
        ("GET", "/nothing", {}, 404),
        ("GET", "/problem", {}, 404),
        ("DELETE", "/", {}, 405),
        ("POST", "/items", {"content": b"x" * 101}, 413),
        ("POST", "/typed", {"content": b"[", "headers": {"content-type": "application/json"}}, 400),
        ("POST", "/typed", {"content": b"x", "headers": {"content-type": "text/plain"}}, 415),
        ("POST", "/typed", {"json": ["x"]}, 422),
        ("GET", "/fails", {}, 500),
        ("GET", "/", {"headers": {"host": "evil.example"}}, 400),
    ],
)
async def test_the_outer_headers_are_on_every_answer(method, path, options, status):
    options = {**options, "headers": {"origin": ORIGIN, **options.get("headers", {})}}
    async with TestClient(make_app(), raise_server_exceptions=False) as client:
        response = await client.request(method, path, **options)

    assert response.status == status
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert "origin" in response.headers["vary"].lower()
    assert response.headers["x-content-type-options"] == "nosniff"
    assert len(response.headers["x-request-id"]) == 32
    if status >= 400 and method != "HEAD":
        assert response.problem.status == status


async def test_a_preflight_is_answered_for_any_path_and_reaches_no_endpoint():
    async with TestClient(make_app()) as client:
        for path in ("/items", "/nothing"):
            response = await client.options(
                path, headers={"origin": ORIGIN, "access-control-request-method": "POST"}
            )
            assert response.status == 204
            assert "POST" in response.headers["access-control-allow-methods"]


async def test_an_unhandled_error_is_logged_once_under_its_request_id(caplog):
    logged_ids = []

    class Listener(logging.Handler):
        def emit(self, record):
            logged_ids.append(request_id_var.get())

    listener = Listener()
    logging.getLogger("swift.error").addHandler(listener)
    try:
        async with TestClient(make_app(), raise_server_exceptions=False) as client:
            response = await client.get("/fails")
    finally:
        logging.getLogger("swift.error").removeHandler(listener)

    assert logged_ids == [response.headers["x-request-id"]]
    assert [record.name for record in caplog.records] == ["swift.error"]
    assert "hunter2" in caplog.text
    assert "hunter2" not in response.text


async def test_debug_shows_the_traceback_to_this_machine_only(caplog):
    for client_address, shown in [(("127.0.0.1", 1), True), (("192.0.2.1", 1), False)]:
        app = make_app(debug=True)
        async with TestClient(app, client=client_address, raise_server_exceptions=False) as client:
            response = await client.get("/fails")
            assert ("hunter2" in response.text) is shown


async def test_middleware_of_a_router_is_for_its_routes_only():
    async def tag(request, call_next):
        response = await call_next(request)
        response.headers.add("x-tag", request.path)
        return response

    app = make_app()
    inner = Router(prefix="/inner", middleware=[tag])

    @inner.get("/a")
    async def a() -> str:
        return "a"

    app.include(inner)
    async with TestClient(app) as client:
        assert (await client.get("/inner/a")).headers.getlist("x-tag") == ["/inner/a"]
        assert "x-tag" not in (await client.get("/")).headers


async def test_middleware_runs_in_the_order_it_is_given():
    order = []

    def named(name):
        async def middleware(request, call_next):
            order.append(f"{name} in")
            response = await call_next(request)
            order.append(f"{name} out")
            return response

        return middleware

    app = App(middleware=[named("one"), named("two")])

    @app.get("/", middleware=[named("three")])
    async def index() -> str:
        order.append("handler")
        return ""

    async with TestClient(app) as client:
        await client.get("/")

    assert order == ["one in", "two in", "three in", "handler", "three out", "two out", "one out"]


async def test_the_handler_runs_in_the_task_of_its_middleware():
    tasks = []

    async def middleware(request, call_next):
        tasks.append(asyncio.current_task())
        return await call_next(request)

    app = App(middleware=[middleware, ErrorBoundary(), TimeoutMiddleware(5), CompressionMiddleware()])

    @app.get("/")
    async def index() -> str:
        tasks.append(asyncio.current_task())
        return ""

    async with TestClient(app) as client:
        await client.get("/")

    assert tasks[0] is tasks[1]


# Compression


async def test_head_says_of_itself_what_get_does():
    async with TestClient(make_app(), headers={"accept-encoding": "gzip"}) as client:
        get = await client.get("/")
        head = await client.head("/")

    assert gzip.decompress(get.content) == b"hello " * 100
    assert head.content == b""
    for name in ("content-encoding", "content-length", "content-type", "vary"):
        assert head.headers[name] == get.headers[name]
    assert int(get.headers["content-length"]) == len(get.content)


async def test_a_stream_arrives_chunk_by_chunk():
    app = App(middleware=[CompressionMiddleware()])
    gate = asyncio.Event()

    @app.get("/")
    async def index() -> Response:
        async def content():
            yield b"first"
            await gate.wait()
            yield b"second"

        return StreamingResponse(content(), media_type="text/plain")

    async with (
        TestClient(app, headers={"accept-encoding": "gzip"}) as client,
        client.stream("GET", "/") as response,
    ):
        chunks = [await anext(response)]
        gate.set()
        chunks += [chunk async for chunk in response]

    assert "content-length" not in response.headers
    assert gzip.decompress(b"".join(chunks)) == b"firstsecond"
    assert len(chunks[0]) > 10, "the first chunk was flushed before the second existed"


async def test_a_client_that_leaves_a_compressed_stream_ends_it():
    app = App(middleware=[CompressionMiddleware()])
    closed = asyncio.Event()

    @app.get("/")
    async def index() -> Response:
        async def content():
            try:
                while True:
                    yield b"again"
                    await asyncio.sleep(0.001)
            finally:
                closed.set()

        return StreamingResponse(content(), media_type="text/plain")

    async with TestClient(app, headers={"accept-encoding": "gzip"}) as client:
        async with client.stream("GET", "/") as response:
            await anext(response)
        await asyncio.wait_for(closed.wait(), 5)


async def test_files_keep_their_ranges_and_validators(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("0123456789" * 100)
    app = App(middleware=[CompressionMiddleware()])

    @app.get("/")
    async def index() -> Response:
        return FileResponse(path)

    async with TestClient(app, headers={"accept-encoding": "gzip"}) as client:
        whole = await client.get("/")
        part = await client.get("/", headers={"range": "bytes=0-9"})

    assert "content-encoding" not in whole.headers
    assert whole.content == path.read_bytes()
    assert (part.status, part.content) == (206, b"0123456789")


async def test_problems_are_compressed_too():
    async with TestClient(make_app(), headers={"accept-encoding": "gzip"}) as client:
        response = await client.get("/problem")

    assert response.status == 404
    assert b"No such thing." in gzip.decompress(response.content)


# The others


async def test_a_late_answer_is_a_503_with_all_headers():
    app = make_app(TimeoutMiddleware(0.01))

    @app.get("/late")
    async def late() -> str:
        await asyncio.sleep(60)
        return ""

    async with TestClient(app, headers={"origin": ORIGIN}) as client:
        response = await client.get("/late")

    assert response.problem.status == 503
    assert response.headers["access-control-allow-origin"] == ORIGIN


async def test_a_deadline_can_be_set_for_one_route():
    app = App()

    @app.get("/late", middleware=[TimeoutMiddleware(0.01, status=504)])
    async def late() -> str:
        await asyncio.sleep(60)
        return ""

    async with TestClient(app) as client:
        assert (await client.get("/late")).problem.status == 504


async def test_forwarded_headers_reach_the_whole_application():
    app = App()

    @app.get("/")
    async def index(request: Request) -> dict[str, object]:
        return {"client": request.client, "scheme": request.scheme, "url": request.url}

    wrapped = ForwardedMiddleware(app, trusted=["127.0.0.1"])
    headers = {"x-forwarded-for": "1.2.3.4", "x-forwarded-proto": "https", "x-forwarded-host": "evil.example"}
    async with TestClient(wrapped, headers=headers) as client:
        assert (await client.get("/")).json() == {
            "client": ["1.2.3.4", 0],
            "scheme": "https",
            "url": "https://testserver/",
        }


async def test_a_proxys_request_id_is_taken_for_the_client_behind_it():
    app = App(middleware=[RequestIDMiddleware(trusted=["127.0.0.1"])])
    wrapped = ForwardedMiddleware(app, trusted=["127.0.0.1"])
    headers = {"x-forwarded-for": "1.2.3.4", "x-request-id": "from-the-proxy"}
    async with TestClient(wrapped, headers=headers) as client:
        assert (await client.get("/")).headers["x-request-id"] == "from-the-proxy"
    async with TestClient(wrapped, headers=headers, client=("192.0.2.1", 1)) as client:
        assert (await client.get("/")).headers["x-request-id"] != "from-the-proxy"


async def test_a_mounted_application_is_inside_the_middleware():
    async def mounted(scope, receive, send):
        assert scope["type"] == "http"
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}
        )
        await send({"type": "http.response.body", "body": b"mounted"})

    app = make_app()
    app.mount("/mounted", mounted)
    async with TestClient(app, headers={"origin": ORIGIN}) as client:
        response = await client.get("/mounted/x")

    assert response.content == b"mounted"
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert response.headers["x-content-type-options"] == "nosniff"
