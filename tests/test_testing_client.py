"""TestClient against applications written by hand: what goes in, what comes back, as with a server."""

from __future__ import annotations

import asyncio
import contextvars
import json
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from swift.testing import (
    ASGIViolation,
    IncompleteResponse,
    TestClient,
    TooManyRedirects,
)


async def read_body(receive: Any) -> bytes:
    body, more = b"", True
    while more:
        event = await receive()
        body += event.get("body", b"")
        more = event.get("more_body", False)
    return body


async def respond(send: Any, body: bytes = b"", status: int = 200, *headers: tuple[bytes, bytes]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the scope and the request events it got, as JSON."""
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    events = []
    while not events or events[-1].get("more_body"):
        events.append(await receive())
    seen = {
        "method": scope["method"],
        "path": scope["path"],
        "raw_path": scope["raw_path"].decode(),
        "query": scope["query_string"].decode(),
        "headers": [[name.decode(), value.decode("latin-1")] for name, value in scope["headers"]],
        "chunks": [event["body"].decode("latin-1") for event in events],
        "scope": {
            key: scope[key]
            for key in (
                "asgi",
                "scheme",
                "http_version",
                "client",
                "server",
                "root_path",
                "extensions",
                "state",
            )
        },
    }
    await respond(send, json.dumps(seen).encode(), 200, (b"content-type", b"application/json"))


async def seen(client: TestClient, method: str, url: str, **options: Any) -> dict[str, Any]:
    seen: dict[str, Any] = (await client.request(method, url, **options)).json()
    return seen


def only(headers: list[list[str]], *names: str) -> dict[str, str]:
    return {name: value for name, value in headers if name in names}


# The request


async def test_a_get_has_the_scope_a_server_makes() -> None:
    got = await seen(TestClient(echo), "GET", "/users")

    assert got["method"] == "GET"
    assert got["headers"] == [["host", "testserver"], ["accept", "*/*"], ["user-agent", "swift-test-client"]]
    assert got["chunks"] == [""]
    assert got["scope"] == {
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "scheme": "http",
        "http_version": "1.1",
        "client": ["127.0.0.1", 50000],
        "server": ["testserver", 80],
        "root_path": "",
        "extensions": {"http.response.debug": {}, "websocket.http.response": {}},
        "state": {},
    }


async def test_the_connection_can_be_chosen() -> None:
    client = TestClient(
        echo,
        base_url="https://api.example:8443/v1",
        client=("10.0.0.9", 1234),
        root_path="/v1",
        http_version="2",
        spec_version="2.1",
        extensions={"http.response.pathsend": {}},
    )

    got = await seen(client, "GET", "/users", extensions={"tls": {"tls_version": 772}})

    assert got["path"] == "/v1/users"
    assert got["headers"][0] == ["host", "api.example:8443"]
    assert got["scope"]["scheme"] == "https"
    assert got["scope"]["server"] == ["api.example", 8443]
    assert got["scope"]["client"] == ["10.0.0.9", 1234]
    assert got["scope"]["root_path"] == "/v1"
    assert got["scope"]["http_version"] == "2"
    assert got["scope"]["asgi"]["spec_version"] == "2.1"
    assert set(got["scope"]["extensions"]) >= {"http.response.pathsend", "tls"}


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete", "options", "query"])
async def test_every_method_has_its_verb(method: str) -> None:
    response = await getattr(TestClient(echo), method)("/")

    assert response.json()["method"] == method.upper()


async def test_head_shows_the_header_fields_without_a_body() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await respond(send, b"", 200, (b"content-length", b"12"))

    response = await TestClient(app).head("/")

    assert response.headers["content-length"] == "12"
    assert response.content == b""


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
async def test_a_method_that_carries_content_says_that_there_is_none(method: str) -> None:
    got = await seen(TestClient(echo), method, "/")

    assert only(got["headers"], "content-length") == {"content-length": "0"}


async def test_client_headers_are_replaced_by_those_of_the_request() -> None:
    client = TestClient(echo, headers={"Authorization": "Bearer a", "X-Tenant": "one"})

    got = await seen(client, "GET", "/", headers=[("authorization", "Bearer b"), ("X-A", "1"), ("X-A", "2")])

    assert ["authorization", "Bearer b"] in got["headers"]
    assert ["x-tenant", "one"] in got["headers"]
    assert [value for name, value in got["headers"] if name == "x-a"] == ["1", "2"]
    assert ["authorization", "Bearer a"] not in got["headers"]


async def test_a_long_body_comes_in_chunks() -> None:
    got = await seen(TestClient(echo, chunk_size=4), "POST", "/", content=b"0123456789")

    assert got["chunks"] == ["0123", "4567", "89"]
    assert only(got["headers"], "content-length") == {"content-length": "10"}


async def test_an_iterator_gives_one_event_for_each_item() -> None:
    got = await seen(TestClient(echo), "POST", "/", content=iter([b"a", b"", b"bc"]))

    assert got["chunks"] == ["a", "", "bc", ""]
    assert only(got["headers"], "content-length", "transfer-encoding") == {"transfer-encoding": "chunked"}


async def test_an_async_iterator_gives_one_event_for_each_item() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"a"
        await asyncio.sleep(0)
        yield b"b"

    got = await seen(TestClient(echo), "POST", "/", content=chunks())

    assert got["chunks"] == ["a", "b", ""]


async def test_http_2_frames_an_unsized_body_by_itself() -> None:
    got = await seen(TestClient(echo, http_version="2"), "POST", "/", content=iter([b"a"]))

    assert only(got["headers"], "content-length", "transfer-encoding") == {}


async def test_an_unsized_body_may_be_given_a_length() -> None:
    got = await seen(TestClient(echo), "POST", "/", content=iter([b"a"]), headers={"Content-Length": "1"})

    assert only(got["headers"], "content-length", "transfer-encoding") == {"content-length": "1"}


async def test_a_body_is_drawn_as_the_application_receives() -> None:
    drawn = []

    async def chunks() -> AsyncIterator[bytes]:
        for number in range(3):
            drawn.append(number)
            yield b"x"

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert drawn == []
        await receive()
        await asyncio.sleep(0)
        assert drawn == [0]
        await respond(send)

    await TestClient(app).post("/", content=chunks())
    assert drawn == [0]


async def test_a_receive_that_is_cancelled_loses_nothing() -> None:
    release = asyncio.Event()

    async def chunks() -> AsyncIterator[bytes]:
        await release.wait()
        yield b"kept"

    async def app(scope: Any, receive: Any, send: Any) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(receive(), 0.01)
        release.set()
        await respond(send, await read_body(receive))

    assert (await TestClient(app).post("/", content=chunks())).content == b"kept"


async def test_two_receives_at_once_get_different_chunks() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"a"
        yield b"b"

    async def app(scope: Any, receive: Any, send: Any) -> None:
        events = await asyncio.gather(receive(), receive(), receive())
        await respond(send, b",".join(event["body"] for event in events))

    assert (await TestClient(app).post("/", content=chunks())).content == b"a,b,"


async def test_a_request_body_that_fails_is_a_client_that_leaves() -> None:
    class Unplugged(Exception):
        pass

    async def chunks() -> AsyncIterator[bytes]:
        yield b"half"
        raise Unplugged

    received = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while not received or received[-1]["type"] != "http.disconnect":
            received.append(await receive())

    with pytest.raises(Unplugged):
        await TestClient(app).post("/", content=chunks())
    assert [event["type"] for event in received] == ["http.request", "http.disconnect"]


async def test_after_the_response_receive_says_disconnect() -> None:
    received = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await respond(send, b"x")
        received.append(await receive())
        received.append(await receive())

    await TestClient(app).get("/")
    assert [event["type"] for event in received] == ["http.request", "http.disconnect"]


# The response


async def test_the_response() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await respond(
            send,
            "é".encode("latin-1"),
            201,
            (b"content-type", b"text/plain; charset=ISO-8859-1"),
            (b"x-a", b"1"),
            (b"x-a", b"2"),
        )

    response = await TestClient(app).get("/", params={"q": "é"})

    assert response.status == 201
    assert response.url == "http://testserver/?q=%C3%A9"
    assert response.headers["X-A"] == "1"
    assert response.headers.getlist("X-a") == ["1", "2"]
    assert response.media_type == "text/plain"
    assert response.content == b"\xe9"
    assert response.text == "é"
    assert repr(response) == "<ClientResponse 201 to GET http://testserver/?q=%C3%A9, 1 bytes>"


async def test_json_is_decoded_into_the_type_that_is_asked_for() -> None:
    class User(msgspec.Struct):
        id: int

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await respond(send, b'[{"id": 1}]')

    response = await TestClient(app).get("/")

    assert response.json() == [{"id": 1}]
    assert response.json(list[User]) == [User(1)]
    with pytest.raises(msgspec.ValidationError, match="Expected `str`, got `object`"):
        response.json(list[str])


async def test_a_problem_is_read_with_its_errors_and_extensions() -> None:
    document = {
        "type": "about:blank",
        "title": "Unprocessable Content",
        "status": 422,
        "errors": [{"pointer": "/query/limit", "code": "int_expected", "detail": "Expected `int`."}],
        "balance": 30,
    }

    async def app(scope: Any, receive: Any, send: Any) -> None:
        media_type = b"application/problem+json" if scope["path"] == "/problem" else b"text/plain"
        await respond(send, json.dumps(document).encode(), 422, (b"content-type", media_type))

    client = TestClient(app)
    problem = (await client.get("/problem")).problem

    assert (problem.status, problem.title, problem.detail) == (422, "Unprocessable Content", "")
    assert problem.codes == {"/query/limit": "int_expected"}
    assert problem.extensions == {"balance": 30}
    with pytest.raises(
        AssertionError, match=r"Expected application/problem\+json, got status 422 with text/plain"
    ):
        _ = (await client.get("/")).problem


async def test_trailers_and_extension_events_are_kept(tmp_path: Any) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(b"x" * 100_000)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload"]})
        await send({"type": "http.response.start", "status": 200, "trailers": True})
        await send({"type": "http.response.pathsend", "path": str(file)})
        await send({"type": "http.response.trailers", "headers": [(b"digest", b"a")], "more_trailers": True})
        await send({"type": "http.response.trailers", "headers": [(b"server-timing", b"b")]})

    offered = ("http.response.early_hint", "http.response.pathsend", "http.response.trailers")
    response = await TestClient(app, extensions={name: {} for name in offered}).get("/")

    assert response.content == b"x" * 100_000
    assert dict(response.trailers) == {"digest": "a", "server-timing": "b"}
    assert [event["type"] for event in response.extension_events] == [
        "http.response.early_hint",
        "http.response.pathsend",
    ]


async def test_zero_copy_parts_are_read_from_their_file(tmp_path: Any) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(b"0123456789")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        with file.open("rb") as opened:
            part = {"type": "http.response.zerocopysend", "file": opened}
            await send({**part, "offset": 2, "count": 3, "more_body": True})
            await send({"type": "http.response.body", "body": b"-", "more_body": True})
            await send({**part, "offset": 8})

    response = await TestClient(app, extensions={"http.response.zerocopysend": {}}).get("/")

    assert response.content == b"234-89"


# Faults of the application


async def test_an_exception_of_the_application_is_raised_in_the_test() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        await TestClient(app).get("/")


async def test_without_raising_an_exception_is_a_500() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise LookupError("mine")

    response = await TestClient(app, raise_server_exceptions=False).get("/")

    assert (response.status, response.text) == (500, "Internal Server Error")


async def test_an_exception_after_the_response_is_raised_too() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await respond(send, b"done")
        raise LookupError("afterwards")

    with pytest.raises(LookupError, match="afterwards"):
        await TestClient(app).get("/")
    assert (await TestClient(app, raise_server_exceptions=False).get("/")).content == b"done"


async def test_an_exception_in_the_middle_breaks_the_response_off() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise LookupError("in the middle")

    with pytest.raises(LookupError, match="in the middle"):
        await TestClient(app).get("/")
    with pytest.raises(IncompleteResponse):
        await TestClient(app, raise_server_exceptions=False).get("/")


async def test_an_exception_reported_as_debug_information_is_raised_in_the_test() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if "http.response.debug" in scope["extensions"]:
            await send({"type": "http.response.debug", "info": {"exception": LookupError("handled")}})
        await respond(send, b"sorry", 500)

    with pytest.raises(LookupError, match="handled"):
        await TestClient(app).get("/")
    assert (await TestClient(app, raise_server_exceptions=False).get("/")).text == "sorry"


async def test_a_violation_is_raised_whatever_the_options_say() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await respond(send, b"x", 204)
        except AssertionError:
            await send({"type": "http.response.body"})

    with pytest.raises(ASGIViolation, match="A 204 response must not have content"):
        await TestClient(app, raise_server_exceptions=False).get("/")
    response = await TestClient(app, ignore_rules=["http.body-forbidden"]).get("/")
    assert response.content == b"x"


async def test_an_application_that_cancels_itself_is_told_apart_from_a_cancelled_test() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise asyncio.CancelledError

    with pytest.raises(RuntimeError, match="cancelled its own task"):
        await TestClient(app).get("/")


# Tasks and contexts

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


async def test_the_application_runs_in_the_loop_of_the_test_and_in_a_task_of_its_own() -> None:
    where = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        where.extend([asyncio.get_running_loop(), asyncio.current_task(), variable.get()])
        variable.set("by the application")
        await respond(send)

    variable.set("by the test")
    await TestClient(app).get("/")

    assert where[0] is asyncio.get_running_loop()
    assert where[1] is not asyncio.current_task()
    assert where[2] == "by the test"
    assert variable.get() == "by the test"


async def test_requests_run_side_by_side() -> None:
    barrier = asyncio.Barrier(3)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await barrier.wait()
        await respond(send, scope["path"].encode())

    client = TestClient(app)
    responses = await asyncio.gather(*(client.get(f"/{number}") for number in range(3)))

    assert [response.text for response in responses] == ["/0", "/1", "/2"]


async def test_a_cancelled_request_cancels_the_application() -> None:
    outcome = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            outcome.append("cancelled")
            raise

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(TestClient(app).get("/"), 0.01)
    assert outcome == ["cancelled"]


async def test_the_response_is_there_when_the_application_has_returned() -> None:
    done = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await respond(send)
        await asyncio.sleep(0.01)
        done.append("after the response")

    await TestClient(app).get("/")
    assert done == ["after the response"]


# Redirects


def redirecting(status: int, location: str) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/old":
            await read_body(receive)
            await respond(send, b"", status, (b"location", location.encode()))
        else:
            await echo(scope, receive, send)

    return app


async def test_redirects_are_not_followed_unless_asked() -> None:
    client = TestClient(redirecting(307, "/new"))

    assert (await client.get("/old")).status == 307
    assert (await client.get("/old", follow_redirects=True)).status == 200
    client = TestClient(redirecting(307, "/new"), follow_redirects=True)
    assert (await client.get("/old")).status == 200
    assert (await client.get("/old", follow_redirects=False)).status == 307


@pytest.mark.parametrize(
    ("status", "method", "becomes"),
    [
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (302, "PUT", "PUT"),
        (303, "PUT", "GET"),
        (307, "POST", "POST"),
        (308, "POST", "POST"),
    ],
)
async def test_the_method_after_a_redirect(status: int, method: str, becomes: str) -> None:
    client = TestClient(redirecting(status, "/new?a=1"), follow_redirects=True)

    response = await client.request(method, "/old", json=[1])
    got = response.json()

    assert [hop.status for hop in response.history] == [status]
    assert (got["method"], got["path"], got["query"]) == (becomes, "/new", "a=1")
    kept = becomes == method
    assert got["chunks"] == (["[1]"] if kept else [""])
    assert bool(only(got["headers"], "content-length", "content-type")) is kept


async def test_credentials_do_not_follow_to_another_origin() -> None:
    client = TestClient(redirecting(307, "https://elsewhere/new"), follow_redirects=True)

    got = await seen(client, "GET", "/old", headers={"Authorization": "Bearer a"}, cookies={"sid": "1"})

    assert only(got["headers"], "host", "authorization", "cookie") == {"host": "elsewhere"}


async def test_a_redirect_loop_ends() -> None:
    with pytest.raises(TooManyRedirects, match="Followed 20 redirects"):
        await TestClient(redirecting(307, "/old"), follow_redirects=True).get("/old")


async def test_an_iterator_cannot_be_sent_twice() -> None:
    with pytest.raises(ValueError, match="used up"):
        await TestClient(redirecting(307, "/new"), follow_redirects=True).post("/old", content=iter([b"a"]))


# Cookies


async def cookie_app(scope: Any, receive: Any, send: Any) -> None:
    if scope["path"] == "/login":
        await respond(
            send,
            b"",
            204,
            (b"set-cookie", b"sid=1; Path=/; HttpOnly; SameSite=Lax"),
            (b"set-cookie", b"lang=de"),
        )
    else:
        sent = [value for name, value in scope["headers"] if name == b"cookie"]
        await respond(send, b"|".join(sent))


async def test_cookies_are_kept_and_sent_back() -> None:
    client = TestClient(cookie_app, cookies={"theme": "dark"})

    login = await client.post("/login")
    after = await client.get("/")

    assert login.cookies == {"sid": "1", "lang": "de"}
    assert (login.set_cookies[0].httponly, login.set_cookies[0].samesite) == (True, "lax")
    assert after.text == "theme=dark; sid=1; lang=de"
    assert client.cookies["sid"] == "1"


async def test_cookies_of_one_request_are_not_kept() -> None:
    client = TestClient(cookie_app, cookies={"theme": "dark", "sid": "0"})

    assert (await client.get("/", cookies={"sid": "9"})).text == "theme=dark; sid=9"
    assert (await client.get("/")).text == "theme=dark; sid=0"


async def test_a_cookie_header_stands_as_it_is() -> None:
    client = TestClient(cookie_app, cookies={"theme": "dark"})

    assert (await client.get("/", headers={"Cookie": "a=b"})).text == "a=b"


# Streams


async def test_a_stream_gives_the_chunks_as_they_are_sent() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 206, "headers": [(b"x-a", b"1")]})
        for chunk in (b"a", b"", b"bc"):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body"})

    async with TestClient(app).stream("GET", "/") as response:
        assert (response.status, response.headers["x-a"]) == (206, "1")
        assert [chunk async for chunk in response] == [b"a", b"bc"]


async def test_send_waits_for_the_reader() -> None:
    sent = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        for number in range(3):
            await send({"type": "http.response.body", "body": b"%d" % number, "more_body": number < 2})
            sent.append(number)

    async with TestClient(app).stream("GET", "/") as response:
        for number in range(3):
            await asyncio.sleep(0.01)
            assert sent == list(range(number))
            assert await anext(response) == b"%d" % number
    assert sent == [0, 1, 2]


async def test_lines_come_as_soon_as_they_are_complete() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        for chunk in (b"on", b"e\r\ntwo\n", "dré".encode()[:3], "é".encode()[1:]):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body"})

    async with TestClient(app).stream("GET", "/") as response:
        assert [line async for line in response.lines()] == ["one", "two", "dré"]


async def test_the_rest_of_a_stream_can_be_read_at_once() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        for chunk in (b"a", b"b", b"c"):
            await send({"type": "http.response.body", "body": chunk, "more_body": chunk != b"c"})

    async with TestClient(app).stream("GET", "/") as response:
        assert await anext(response) == b"a"
        assert await response.read() == b"bc"


class Endless:
    """Sends until it is stopped, and notes by what."""

    def __init__(self) -> None:
        self.stopped_by: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200})
        watcher = asyncio.create_task(receive())
        try:
            while not watcher.done():
                await send({"type": "http.response.body", "body": b"x", "more_body": True})
        except OSError as error:
            self.stopped_by.append(type(error).__name__)
        if watcher.done():
            self.stopped_by.append(watcher.result()["type"])
        watcher.cancel()


async def test_leaving_a_stream_early_disconnects() -> None:
    app = Endless()

    async with TestClient(app).stream("GET", "/") as response:
        assert await anext(response) == b"x"
    assert app.stopped_by[0] == "ClientDisconnected"


async def test_before_spec_version_2_4_only_receive_tells_of_the_disconnect() -> None:
    app = Endless()

    async with TestClient(app, spec_version="2.3").stream("GET", "/") as response:
        assert await anext(response) == b"x"
    assert app.stopped_by == ["http.disconnect"]


async def test_the_client_can_leave_in_the_middle_of_the_block() -> None:
    app = Endless()

    async with TestClient(app).stream("GET", "/") as response:
        await anext(response)
        response.disconnect()
        await asyncio.sleep(0.01)
        assert app.stopped_by
        assert [chunk async for chunk in response] == []


async def test_leaving_after_the_last_chunk_is_no_disconnect() -> None:
    received = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await respond(send, b"all of it")
        received.append("sent")

    async with TestClient(app).stream("GET", "/") as response:
        async for _ in response:
            break
    assert received == ["sent"]


async def test_an_oserror_that_the_application_lets_through_is_not_raised_in_the_test() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        while True:
            await send({"type": "http.response.body", "body": b"x", "more_body": True})

    async with TestClient(app).stream("GET", "/") as response:
        await anext(response)


async def test_an_exception_in_a_stream_is_raised_in_the_test() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        async with TestClient(app).stream("GET", "/") as response:
            assert [chunk async for chunk in response] == [b"x"]
    with pytest.raises(IncompleteResponse):
        async with TestClient(app, raise_server_exceptions=False).stream("GET", "/") as response:
            await response.read()


async def test_an_exception_before_a_stream_is_raised_at_its_entrance() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        async with TestClient(app).stream("GET", "/"):
            pass
    async with TestClient(app, raise_server_exceptions=False).stream("GET", "/") as response:
        assert (response.status, await response.read()) == (500, b"Internal Server Error")


async def test_a_failed_test_ends_the_stream() -> None:
    app = Endless()

    with pytest.raises(ZeroDivisionError):
        async with TestClient(app).stream("GET", "/") as response:
            await anext(response)
            raise ZeroDivisionError
    assert app.stopped_by


async def test_an_application_that_ignores_the_disconnect_is_cancelled_and_reported() -> None:
    outcome = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        try:
            await asyncio.sleep(60)
        finally:
            outcome.append("ended")

    with pytest.raises(TimeoutError, match=r"still running 0\.01 s after the client had left"):
        async with TestClient(app, disconnect_timeout=0.01).stream("GET", "/"):
            pass
    assert outcome == ["ended"]


async def test_leaving_while_the_application_waits_for_the_request_body() -> None:
    closed = []

    async def chunks() -> AsyncIterator[bytes]:
        try:
            yield b"first"
            await asyncio.sleep(60)
        finally:
            closed.append("body")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        while (event := await receive())["type"] != "http.disconnect":
            await send({"type": "http.response.body", "body": event["body"], "more_body": True})

    async with TestClient(app).stream("POST", "/", content=chunks()) as response:
        assert await anext(response) == b"first"
        await asyncio.sleep(0.01)
    assert closed == ["body"]


@pytest.mark.parametrize(("spec_version", "outcomes"), [("2.3", ["sent"]), ("2.4", ["ClientDisconnected"])])
async def test_a_send_that_begins_after_the_client_left(spec_version: str, outcomes: list[str]) -> None:
    outcome = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        while (await receive())["type"] != "http.disconnect":
            pass
        try:
            await send({"type": "http.response.body", "body": b"too late"})
            outcome.append("sent")
        except OSError as error:
            outcome.append(type(error).__name__)

    async with TestClient(app, spec_version=spec_version).stream("GET", "/"):
        pass
    assert outcome == outcomes


async def test_a_cancelled_stream_cancels_the_application() -> None:
    outcome = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            outcome.append("cancelled")
            raise

    async def read() -> None:
        async with TestClient(app).stream("GET", "/") as response:
            await response.read()

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(read(), 0.01)
    assert outcome == ["cancelled"]


async def test_what_follows_a_stream_can_be_read_after_it() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.early_hint", "links": []})
        await send({"type": "http.response.start", "status": 200, "trailers": True})
        await send({"type": "http.response.body", "body": b"x"})
        await send({"type": "http.response.trailers", "headers": [(b"digest", b"y")]})

    offered = {"http.response.early_hint": {}, "http.response.trailers": {}}
    async with TestClient(app, extensions=offered).stream("GET", "/") as response:
        assert await response.read() == b"x"
    assert dict(response.trailers) == {"digest": "y"}
    assert [event["type"] for event in response.extension_events] == ["http.response.early_hint"]
