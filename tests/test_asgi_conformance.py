"""What the ASGI 3.0 specification asks of an application, asked of App.

Every check is a coroutine over a `Subject`; its name is the rule, its decorator tells the section that has
it. All run against three subjects: a plain App, one whose middleware keeps it off its fast path, and one
mounted in another. What is sent is checked at each step by ASGIValidator (tests/test_testing_events.py).
"""

from __future__ import annotations

import asyncio
import copy
import gc
import json
import logging
import pathlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from swift.app import App
from swift.http import FileResponse, Request, Response, StreamingResponse
from swift.testing import ASGIValidator, LifespanFailed, TestClient, WebSocketDenied

HERE = pathlib.Path(__file__).resolve()
PATIENCE = 5.0  # seconds until an application that does not answer is called stuck


class Subject:
    """A fresh application with the routes that the checks know, and the log of what its handlers did."""

    def __init__(self, kind: str) -> None:
        self.log: list[Any] = []
        self.tasks: list[Any] = []
        self.prefix = "/sub" if kind == "mounted" else ""
        self.app = self._application(kind)
        if kind == "mounted":
            self.app, inner = App(), self.app
            self.app.mount("/sub", inner)

    def _application(self, kind: str) -> App:
        middleware = [pass_through] if kind == "middleware" else []
        app = App(lifespan=self._lifespan, middleware=middleware, max_body_size=100_000)

        @app.get("/plain")
        async def plain() -> str:
            return "plain"

        @app.get("/headers")
        async def headers(request: Request) -> list[tuple[str, str]]:
            return request.headers.multi_items()

        @app.get("/agent")
        async def agent(request: Request) -> str:
            return request.headers.get("user-agent", "none")

        @app.get("/cookies")
        async def cookies(request: Request) -> dict[str, str]:
            return request.cookies

        @app.get("/query")
        async def query(request: Request) -> bytes:
            return request.query_string

        @app.get("/tail/{tail:path}")
        async def tail(tail: str) -> str:
            return tail

        @app.get("/url")
        async def url(request: Request) -> dict[str, Any]:
            return {"url": request.url, "base": request.base_url, "client": request.client}

        @app.get("/state")
        async def state(request: Request) -> list[str]:
            state = request.scope["state"]
            state["seen"] = "by this request"
            return sorted(state)

        @app.post("/echo")
        async def echo(request: Request) -> bytes:
            return await request.body()

        @app.post("/transform")
        async def transform(request: Request) -> StreamingResponse:
            return StreamingResponse(chunk.upper() async for chunk in request.stream())

        @app.get("/stream")
        async def stream() -> StreamingResponse:
            return StreamingResponse(self.count(3))

        @app.get("/endless")
        async def endless() -> StreamingResponse:
            return StreamingResponse(self.count(1_000_000))

        @app.get("/breaks")
        async def breaks() -> StreamingResponse:
            async def content() -> AsyncIterator[bytes]:
                yield b"half"
                raise RuntimeError("the secret")

            return StreamingResponse(content())

        @app.get("/breaks-of-itself")
        async def breaks_of_itself() -> StreamingResponse:
            async def content() -> AsyncIterator[bytes]:
                yield b"half"
                raise ConnectionResetError("of the database")

            return StreamingResponse(content())

        @app.get("/fails-of-itself")
        async def fails_of_itself() -> str:
            raise ConnectionResetError("of the database")

        @app.get("/file")
        async def file() -> FileResponse:
            return FileResponse(HERE)

        @app.get("/fails")
        async def fails() -> str:
            raise RuntimeError("the secret")

        @app.get("/sleeps")
        async def sleeps() -> str:
            self.log.append("asleep")
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                self.log.append("cancelled")
                raise
            return "awake"

        @app.get("/no-content", status=204)
        async def no_content() -> None:
            return None

        @app.get("/after")
        async def after(request: Request) -> str:
            request.after_response(self.log.append, "after the response")
            return "done"

        app.mount("/raw", raw_application)
        return app

    async def count(self, number: int) -> AsyncIterator[bytes]:
        try:
            for index in range(number):
                self.log.append(index)
                yield b"%d" % index
        finally:
            self.log.append("closed")

    @asynccontextmanager
    async def _lifespan(self, app: App) -> AsyncIterator[dict[str, Any]]:
        self.log.append("startup")
        self.tasks.append(asyncio.current_task())
        yield {"pool": self}
        self.tasks.append(asyncio.current_task())
        self.log.append("shutdown")


async def pass_through(request: Request, call_next: Any) -> Response:
    response: Response = await call_next(request)
    return response


async def raw_application(scope: Any, receive: Any, send: Any) -> None:
    """A mounted application that is plain ASGI: answers with its scope, and scribbles over it."""
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    found = {key: scope.get(key) for key in ("method", "path", "root_path")}
    body, more = b"", True
    while more:
        event = await receive()
        if event["type"] == "http.disconnect":
            return
        body += event.get("body", b"")
        more = event.get("more_body", False)
    scope["path"] = scope["root_path"] = "scribbled"
    scope["scribble"] = True
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-raw", b"yes")]})
    await send({"type": "http.response.body", "body": json.dumps(found).encode(), "more_body": True})
    await send({"type": "http.response.body", "body": body})


# The server's side, as plain as it can be

CHUNK = dict[str, Any]


def http_scope(path: str = "/plain", method: str = "GET", **keys: Any) -> dict[str, Any]:
    """No more than the keys that are not optional."""
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "query_string": b"",
        "headers": [],
        **keys,
    }


def request(body: bytes = b"", *, more: bool = False) -> CHUNK:
    return {"type": "http.request", "body": body, "more_body": more}


DISCONNECT = {"type": "http.disconnect"}


class Reply:
    def __init__(self, sent: list[dict[str, Any]]) -> None:
        self.sent = sent
        self.status: int = sent[0]["status"] if sent else 0
        self.headers = (
            {bytes(name): bytes(value) for name, value in sent[0].get("headers", ())} if sent else {}
        )
        self.body = b"".join(event.get("body", b"") for event in sent[1:])

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def serve(
    app: Any,
    scope: dict[str, Any],
    events: Iterable[CHUNK] = (request(),),
    *,
    on_send: Callable[[dict[str, Any]], Awaitable[None]] | None = None,
) -> Reply:
    """Calls the application once. After `events`, `receive` waits for the end of the response."""
    incoming = iter(events)
    sent: list[dict[str, Any]] = []
    ended = asyncio.Event()

    async def receive() -> CHUNK:
        await asyncio.sleep(0)
        for event in incoming:
            return event
        await ended.wait()
        return DISCONNECT

    async def send(event: dict[str, Any]) -> None:
        if on_send is not None:
            await on_send(event)
        await asyncio.sleep(0)
        sent.append(event)
        if event["type"] == "http.response.body" and not event.get("more_body", False):
            ended.set()

    async with asyncio.timeout(PATIENCE):
        await ASGIValidator(app)(scope, receive, send)
    return Reply(sent)


# The checks

Check = Callable[[Subject], Awaitable[None]]
CHECKS: list[Check] = []
SECTIONS: dict[str, str] = {}


def check(section: str) -> Callable[[Check], Check]:
    def register(function: Check) -> Check:
        CHECKS.append(function)
        SECTIONS[function.__name__] = section
        return function

    return register


@check("ASGI, Applications")
async def the_application_is_one_callable_of_three_arguments(subject: Subject) -> None:
    async def send(event: Any) -> None: ...

    async def receive() -> Any:
        return request()

    assert await subject.app(http_scope(f"{subject.prefix}/plain"), receive, send) is None


@check("ASGI, Protocol Specifications")
async def a_scope_of_unknown_type_is_refused_with_an_exception(subject: Subject) -> None:
    with pytest.raises(Exception, match="smtp"):
        await serve(subject.app, {"type": "smtp", "asgi": {"version": "3.0"}})


@check("ASGI, Error Handling")
async def additional_keys_of_an_event_are_ignored(subject: Subject) -> None:
    scope = http_scope(f"{subject.prefix}/echo", "POST")

    assert (await serve(subject.app, scope, [{**request(b"x"), "color": "blue"}])).body == b"x"


@check("ASGI, Error Handling")
async def an_event_of_unknown_type_is_not_taken_for_a_body(subject: Subject) -> None:
    scope = http_scope(f"{subject.prefix}/echo", "POST")

    try:
        reply = await serve(subject.app, scope, [{"type": "http.bogus", "body": b"x"}, request(b"y")])
    except Exception:
        return
    assert reply.status >= 400
    assert b"x" not in reply.body


# Response


@check("ASGI HTTP, Response Start")
async def a_response_is_a_start_and_a_body(subject: Subject) -> None:
    reply = await serve(subject.app, http_scope(f"{subject.prefix}/plain"))

    assert [event["type"] for event in reply.sent] == ["http.response.start", "http.response.body"]
    assert (reply.status, reply.body) == (200, b"plain")
    assert reply.headers[b"content-length"] == b"5"


@check("RFC 9110 §9.3.2")
async def head_has_the_header_fields_of_get_and_no_content(subject: Subject) -> None:
    for path in ("/plain", "/stream", "/file"):
        get = await serve(subject.app, http_scope(subject.prefix + path))
        head = await serve(subject.app, http_scope(subject.prefix + path, "HEAD"))

        assert (head.status, head.headers, head.body) == (get.status, get.headers, b"")


@check("RFC 9110 §15.3.5")
async def a_204_has_neither_content_nor_content_length(subject: Subject) -> None:
    reply = await serve(subject.app, http_scope(f"{subject.prefix}/no-content"))

    assert (reply.status, reply.body) == (204, b"")
    assert b"content-length" not in reply.headers


@check("ASGI HTTP, Response Start")
async def an_unknown_path_is_answered_404(subject: Subject) -> None:
    for method in ("GET", "HEAD", "POST"):
        assert (await serve(subject.app, http_scope(f"{subject.prefix}/nowhere", method))).status == 404


@check("RFC 9110 §15.5.6")
async def an_unknown_method_is_answered_405_with_what_is_allowed(subject: Subject) -> None:
    reply = await serve(subject.app, http_scope(f"{subject.prefix}/plain", "PROPFIND"))

    assert reply.status == 405
    assert {b"GET", b"HEAD"} <= set(reply.headers[b"allow"].split(b", "))


@check("ASGI HTTP, Response Body")
async def a_stream_is_sent_in_order_and_ended_once(subject: Subject) -> None:
    reply = await serve(subject.app, http_scope(f"{subject.prefix}/stream"))

    assert reply.body == b"012"
    assert [event.get("more_body", False) for event in reply.sent[1:]][-1] is False
    assert subject.log[-1] == "closed"


@check("ASGI HTTP, Response Body")
async def a_stream_waits_until_the_server_took_a_chunk(subject: Subject) -> None:
    async def look(event: dict[str, Any]) -> None:
        await asyncio.sleep(0.001)
        drawn.append(sum(isinstance(entry, int) for entry in subject.log))

    drawn: list[int] = []
    await serve(subject.app, http_scope(f"{subject.prefix}/stream"), on_send=look)
    assert drawn[:4] == [0, 1, 2, 3]


@check("ASGI, Events")
async def what_is_sent_belongs_to_one_request(subject: Subject) -> None:
    kept: list[Any] = []
    for path in ("/plain", "/nowhere", "/no-content", "/fails"):
        first = await serve(subject.app, http_scope(subject.prefix + path))
        expected = copy.deepcopy(first.sent)
        for event in first.sent:  # as a middleware around the application may do
            event.get("headers", []).append((b"x-leak", b"1"))
            event["body"] = b"leak"
        second = await serve(subject.app, http_scope(subject.prefix + path))
        kept += [*first.sent, *second.sent]

        assert second.sent == expected
    assert len({id(event) for event in kept}) == len(kept)


# Request


@check("ASGI HTTP, Request")
async def a_body_in_one_event(subject: Subject) -> None:
    scope = http_scope(f"{subject.prefix}/echo", "POST")

    assert (await serve(subject.app, scope, [request(b"whole")])).body == b"whole"


@check("ASGI HTTP, Request")
async def a_body_in_many_events(subject: Subject) -> None:
    chunks = [request(b"%d," % number, more=True) for number in range(500)]
    scope = http_scope(f"{subject.prefix}/echo", "POST")

    reply = await serve(subject.app, scope, [*chunks, request(b"end")])

    assert reply.body == b"".join(b"%d," % number for number in range(500)) + b"end"


@check("ASGI HTTP, Request")
async def a_body_split_at_any_place(subject: Subject) -> None:
    body = b'{"name": "x"}'
    for place in range(len(body) + 1):
        events = [request(body[:place], more=True), request(body[place:])]
        assert (await serve(subject.app, http_scope(f"{subject.prefix}/echo", "POST"), events)).body == body


@check("ASGI HTTP, Request")
async def a_body_with_empty_events(subject: Subject) -> None:
    events = [
        request(more=True),
        request(b"a", more=True),
        request(more=True),
        request(b"b", more=True),
        request(),
    ]

    reply = await serve(subject.app, http_scope(f"{subject.prefix}/echo", "POST"), events)

    assert reply.body == b"ab"


@check("ASGI HTTP, Request")
async def body_and_more_body_may_be_missing(subject: Subject) -> None:
    bare = {"type": "http.request"}
    for events, body in (
        ([bare], b""),
        ([{**bare, "more_body": True}, {**bare, "body": b"a"}], b"a"),
        ([{**bare, "body": b"a", "more_body": True}, bare], b"a"),
    ):
        assert (await serve(subject.app, http_scope(f"{subject.prefix}/echo", "POST"), events)).body == body


@check("ASGI HTTP, Request")
async def a_body_nobody_reads_does_not_hold_the_response_up(subject: Subject) -> None:
    async def never() -> Any:
        await asyncio.sleep(PATIENCE * 2)

    sent: list[Any] = []

    async def send(event: Any) -> None:
        sent.append(event)

    async with asyncio.timeout(PATIENCE):
        await ASGIValidator(subject.app)(http_scope(f"{subject.prefix}/plain"), never, send)
    assert Reply(sent).body == b"plain"


@check("ASGI HTTP, Request")
async def a_body_beyond_the_limit_is_answered_while_it_still_comes(subject: Subject) -> None:
    endless = (request(b"x" * 60_000, more=True) for _ in range(10**6))

    reply = await serve(subject.app, http_scope(f"{subject.prefix}/echo", "POST"), endless)

    assert reply.status == 413


@check("ASGI HTTP, Request")
async def a_response_may_be_streamed_from_the_body_of_its_request(subject: Subject) -> None:
    events = [request(b"a", more=True), request(b"b", more=True), request(b"c")]

    reply = await serve(subject.app, http_scope(f"{subject.prefix}/transform", "POST"), events)

    assert reply.body == b"ABC"


# Disconnect


@check("ASGI HTTP, Disconnect")
async def a_client_that_leaves_before_its_body_ends_the_call_quietly(subject: Subject) -> None:
    for events in ([DISCONNECT], [request(b"half", more=True), DISCONNECT]):
        reply = await serve(
            subject.app, http_scope(f"{subject.prefix}/echo", "POST"), [*events, *[DISCONNECT] * 9]
        )

        assert reply.body != b"half"


@check("ASGI HTTP, Disconnect")
async def a_stream_ends_when_receive_says_that_the_client_left(subject: Subject) -> None:
    left = asyncio.Event()

    async def receive() -> CHUNK:
        await left.wait()
        return DISCONNECT

    async def send(event: dict[str, Any]) -> None:
        await asyncio.sleep(0)
        if event.get("body"):
            left.set()

    scope = http_scope(f"{subject.prefix}/endless", asgi={"version": "3.0", "spec_version": "2.3"})
    async with asyncio.timeout(PATIENCE):
        await ASGIValidator(subject.app)(scope, receive, send)
    assert subject.log[-1] == "closed"


@check("ASGI HTTP, Disconnected Client")
async def a_stream_ends_when_send_raises_oserror(subject: Subject) -> None:
    async def never() -> Any:
        await asyncio.Event().wait()

    async def send(event: dict[str, Any]) -> None:
        if event["type"] == "http.response.body":
            raise BrokenPipeError

    scope = http_scope(f"{subject.prefix}/endless", asgi={"version": "3.0", "spec_version": "2.4"})
    async with asyncio.timeout(PATIENCE):
        await quietly(ASGIValidator(subject.app)(scope, never, send))
    assert subject.log[-1] == "closed"


@check("ASGI HTTP, Disconnected Client")
async def an_oserror_of_send_is_no_failure_of_the_application(subject: Subject) -> None:
    for path in ("/plain", "/stream", "/file", "/nowhere", "/fails", "/echo", "/raw/x"):
        for failing in ("http.response.start", "http.response.body"):

            async def break_off(event: dict[str, Any], failing: str = failing) -> None:
                if event["type"] == failing:
                    raise ConnectionResetError

            method = "POST" if path == "/echo" else "GET"
            await quietly(serve(subject.app, http_scope(subject.prefix + path, method), on_send=break_off))


async def quietly(call: Awaitable[Any]) -> None:
    """The exception may come back to the server that raised it, which ignores it; any other may not."""
    try:
        await call
    except OSError:
        pass


@check("ASGI HTTP, Disconnected Client")
async def nothing_is_logged_of_a_client_that_left(subject: Subject) -> None:
    records: list[logging.LogRecord] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = records.append  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)

    async def break_off(event: dict[str, Any]) -> None:
        raise ConnectionResetError

    try:
        for path in ("/plain", "/stream", "/file", "/nowhere", "/raw/x"):
            await quietly(serve(subject.app, http_scope(subject.prefix + path), on_send=break_off))
        await serve(subject.app, http_scope(f"{subject.prefix}/echo", "POST"), [DISCONNECT] * 9)
    finally:
        logging.getLogger().removeHandler(handler)
    assert [record.getMessage() for record in records] == []


# Errors


@check("ASGI, Error Handling")
async def an_exception_before_the_response_is_a_500_without_its_text(subject: Subject) -> None:
    reply = await serve(subject.app, http_scope(f"{subject.prefix}/fails"))

    assert reply.status == 500
    assert b"secret" not in reply.body


@check("ASGI, Error Handling")
async def an_exception_in_the_middle_of_a_response_reaches_the_server(subject: Subject) -> None:
    sent: list[str] = []

    async def note(event: dict[str, Any]) -> None:
        sent.append(event["type"])
        assert event.get("more_body", True), "the response was ended as if it were whole"

    with pytest.raises(RuntimeError, match="the secret"):
        await serve(subject.app, http_scope(f"{subject.prefix}/breaks"), on_send=note)
    assert sent.count("http.response.start") == 1


@check("ASGI HTTP, Disconnected Client")
async def an_oserror_of_the_applications_own_is_not_taken_for_a_client_that_left(subject: Subject) -> None:
    assert (await serve(subject.app, http_scope(f"{subject.prefix}/fails-of-itself"))).status == 500
    with pytest.raises(ConnectionResetError, match="of the database"):
        await serve(subject.app, http_scope(f"{subject.prefix}/breaks-of-itself"))


@check("ASGI, Error Handling")
async def a_cancelled_request_cancels_its_handler_and_nothing_else(subject: Subject) -> None:
    await serve(subject.app, http_scope(f"{subject.prefix}/plain"))
    subject.log.clear()
    task = asyncio.create_task(serve(subject.app, http_scope(f"{subject.prefix}/sleeps")))
    while not subject.log:
        await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert subject.log == ["asleep", "cancelled"]
    assert (await serve(subject.app, http_scope(f"{subject.prefix}/plain"))).body == b"plain"


@check("ASGI, Error Handling")
async def a_cancelled_stream_is_closed(subject: Subject) -> None:
    async def stall(event: dict[str, Any]) -> None:
        if event.get("body"):
            await asyncio.sleep(60)

    task = asyncio.create_task(serve(subject.app, http_scope(f"{subject.prefix}/endless"), on_send=stall))
    while 0 not in subject.log:
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert subject.log[-1] == "closed"


# Scope


@check("ASGI HTTP, HTTP Connection Scope")
async def optional_keys_may_be_missing(subject: Subject) -> None:
    for path, method in (
        ("/plain", "GET"),
        ("/url", "GET"),
        ("/headers", "GET"),
        ("/stream", "GET"),
        ("/file", "GET"),
        ("/echo", "POST"),
        ("/raw/x", "GET"),
    ):
        assert (await serve(subject.app, http_scope(subject.prefix + path, method))).status == 200
    assert (await serve(subject.app, http_scope(f"{subject.prefix}/nowhere"))).status == 404
    assert (await serve(subject.app, http_scope(f"{subject.prefix}/fails"))).status == 500


@check("ASGI HTTP, HTTP Connection Scope")
async def client_and_server_may_be_none(subject: Subject) -> None:
    scope = http_scope(f"{subject.prefix}/url", client=None, server=None, raw_path=None, extensions=None)

    reply = await serve(subject.app, scope)

    assert reply.json["client"] is None
    assert reply.json["url"].startswith("http://")


@check("ASGI HTTP, HTTP Connection Scope")
async def client_and_server_may_be_any_iterable(subject: Subject) -> None:
    for make in (tuple, list):
        scope = http_scope(
            f"{subject.prefix}/url", client=make(["10.0.0.1", 5]), server=make(["example", 8000])
        )
        reply = await serve(subject.app, scope)

        assert reply.json["client"] == ["10.0.0.1", 5]
        assert reply.json["url"] == f"http://example:8000{subject.prefix}/url"


@check("ASGI HTTP, HTTP Connection Scope")
async def the_server_may_be_a_unix_socket(subject: Subject) -> None:
    scope = http_scope(
        f"{subject.prefix}/url", server=["/run/app.sock", None], headers=[(b"host", b"example")]
    )

    assert (await serve(subject.app, scope)).json["url"] == f"http://example{subject.prefix}/url"


@check("ASGI HTTP, HTTP Connection Scope")
async def headers_may_be_any_iterable_of_pairs(subject: Subject) -> None:
    pairs = [(b"host", b"example"), (b"user-agent", b"check")]
    for headers in (pairs, tuple(pairs), [list(pair) for pair in pairs], iter(pairs)):
        reply = await serve(subject.app, http_scope(f"{subject.prefix}/agent", headers=headers))

        assert reply.body == b"check"


@check("ASGI HTTP, HTTP Connection Scope")
async def names_of_headers_may_come_in_any_case(subject: Subject) -> None:
    reply = await serve(
        subject.app, http_scope(f"{subject.prefix}/agent", headers=[(b"User-Agent", b"check")])
    )

    assert reply.body == b"check"


@check("ASGI HTTP, HTTP Connection Scope")
async def repeated_headers_are_kept_in_order(subject: Subject) -> None:
    headers = [(b"x-a", b"1"), (b"x-b", b"2"), (b"x-a", b"3"), (b"x-a", b"\xe9")]

    reply = await serve(subject.app, http_scope(f"{subject.prefix}/headers", headers=headers))

    assert reply.json == [["x-a", "1"], ["x-b", "2"], ["x-a", "3"], ["x-a", "é"]]


@check("ASGI HTTP, HTTP")
async def cookies_may_come_in_several_headers(subject: Subject) -> None:
    headers = [(b"cookie", b"a=1; b=2"), (b"cookie", b"c=3")]

    reply = await serve(
        subject.app, http_scope(f"{subject.prefix}/cookies", headers=headers, http_version="2")
    )

    assert reply.json == {"a": "1", "b": "2", "c": "3"}


@check("ASGI HTTP, WSGI encoding differences")
async def the_path_is_decoded_already(subject: Subject) -> None:
    for tail in ("a", "café", "a/b", "%41", "a%2Fb", "100%", "a b", "a?b", "日本", "a+b"):
        reply = await serve(subject.app, http_scope(f"{subject.prefix}/tail/{tail}", raw_path=b"/ignored"))

        assert reply.body.decode() == tail


@check("ASGI HTTP, WSGI encoding differences")
async def the_query_string_is_raw_bytes(subject: Subject) -> None:
    for query in (b"", b"a=1&b=%C3%A9", b"%", b"\xff\xfe", b"a=+&&=", b"?"):
        reply = await serve(subject.app, http_scope(f"{subject.prefix}/query", query_string=query))

        assert reply.body == query


@check("ASGI HTTP, WSGI Compatibility")
async def the_root_path_is_taken_off_the_path(subject: Subject) -> None:
    for root_path in ("/api", "/api/", "/a b/é"):
        path = f"{root_path.rstrip('/')}{subject.prefix}/plain"

        assert (await serve(subject.app, http_scope(path, root_path=root_path))).body == b"plain"
    assert (await serve(subject.app, http_scope(f"{subject.prefix}/plain", root_path=""))).body == b"plain"


@check("ASGI HTTP, WSGI Compatibility")
async def the_root_path_ends_at_a_slash(subject: Subject) -> None:
    reply = await serve(subject.app, http_scope(f"/apiary{subject.prefix}/plain", root_path="/api"))

    assert reply.status == 404


@check("ASGI HTTP, HTTP Connection Scope")
async def every_http_version_is_served(subject: Subject) -> None:
    for version in ("1.0", "1.1", "2", "3"):
        for path in ("/plain", "/stream"):
            assert (
                await serve(subject.app, http_scope(subject.prefix + path, http_version=version))
            ).status == 200


@check("ASGI HTTP, Spec Versions")
async def every_spec_version_is_served(subject: Subject) -> None:
    for version in ("2.0", "2.1", "2.2", "2.3", "2.4", "2.5"):
        asgi = {"version": "3.0", "spec_version": version}
        for path in ("/plain", "/stream", "/file"):
            assert (await serve(subject.app, http_scope(subject.prefix + path, asgi=asgi))).status == 200


@check("ASGI, Middleware")
async def the_scope_of_the_server_is_left_as_it_was(subject: Subject) -> None:
    for path in ("/plain", "/tail/x", "/headers", "/cookies", "/nowhere", "/raw/x", "/fails"):
        scope = http_scope(
            subject.prefix + path,
            headers=[(b"host", b"example"), (b"cookie", b"a=1")],
            root_path="",
            client=["10.0.0.1", 5],
            extensions={"tls": {}},
            state={"a": []},
        )
        before = copy.deepcopy(scope)
        nested = {key: scope[key] for key in ("headers", "client", "extensions", "state")}
        await serve(subject.app, scope)

        assert {key: scope[key] for key in before} == before
        assert all(scope[key] is value for key, value in nested.items())


@check("ASGI, Middleware")
async def a_mounted_application_gets_a_scope_of_its_own(subject: Subject) -> None:
    scope = http_scope(f"/root{subject.prefix}/raw/x", "PUT", root_path="/root")
    reply = await serve(subject.app, scope, [request(b"+", more=True), request(b"+")])

    assert reply.headers[b"x-raw"] == b"yes"
    assert (
        reply.body
        == json.dumps(
            {
                "method": "PUT",
                "path": f"/root{subject.prefix}/raw/x",
                "root_path": f"/root{subject.prefix}/raw",
            }
        ).encode()
        + b"++"
    )
    assert scope["path"] == f"/root{subject.prefix}/raw/x"
    assert scope["root_path"] == "/root"
    assert "scribble" not in scope


# Lifespan


@check("ASGI Lifespan, Startup and Shutdown")
async def startup_and_shutdown_are_answered_in_turn(subject: Subject) -> None:
    async with TestClient(subject.app, lifespan="on"):
        assert subject.log == ["startup"]
    assert subject.log == ["startup", "shutdown"]


@check("ASGI Lifespan, Scope")
async def startup_and_shutdown_run_in_one_task(subject: Subject) -> None:
    async with TestClient(subject.app):
        pass
    assert subject.tasks[0] is subject.tasks[1]
    assert subject.tasks[0] is not asyncio.current_task()


@check("ASGI Lifespan, Startup and Shutdown")
async def the_lifespan_call_returns_after_shutdown(subject: Subject) -> None:
    questions = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    sent: list[str] = []

    async def receive() -> Any:
        return next(questions)

    async def send(event: Any) -> None:
        sent.append(event["type"])

    async with asyncio.timeout(PATIENCE):
        await ASGIValidator(subject.app)({"type": "lifespan", "asgi": {"version": "3.0"}}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


def failing_at(phase: str, kind: str) -> App:
    @asynccontextmanager
    async def lifespan(app: App) -> AsyncIterator[None]:
        if phase == "startup":
            raise ConnectionError("no database")
        yield
        raise ConnectionError("no database")

    inner = App(lifespan=lifespan)
    if kind == "":
        return inner
    outer = App()
    outer.mount(kind, inner)
    return outer


@check("ASGI Lifespan, Startup Failed")
async def a_failed_startup_is_answered_with_its_message(subject: Subject) -> None:
    with pytest.raises(LifespanFailed, match="no database") as raised:
        async with TestClient(failing_at("startup", subject.prefix)):
            raise AssertionError("served in spite of it")
    assert raised.value.phase == "startup"


@check("ASGI Lifespan, Startup Failed")
async def a_failed_startup_leaves_nothing_behind(subject: Subject) -> None:
    reported: list[Any] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: reported.append(context["message"]))
    with pytest.raises(LifespanFailed):
        async with TestClient(failing_at("startup", subject.prefix)):
            pass
    gc.collect()
    await asyncio.sleep(0)

    assert reported == []
    assert asyncio.all_tasks() == {asyncio.current_task()}


@check("ASGI Lifespan, Startup Failed")
async def a_start_that_fails_at_the_first_request_is_not_served(subject: Subject) -> None:
    app = failing_at("startup", subject.prefix)
    for _ in range(2):
        with pytest.raises(Exception, match="no database"):
            await serve(app, http_scope(f"{subject.prefix}/plain"))


@check("ASGI Lifespan, Shutdown")
async def a_mounted_application_that_does_not_return_holds_nothing_up(subject: Subject) -> None:
    async def endless(scope: Any, receive: Any, send: Any) -> None:
        while True:
            event = await receive()
            subject.log.append(event["type"])
            await send({"type": f"{event['type']}.complete"})

    subject.app.mount("/endless-lifespan", endless)
    async with asyncio.timeout(PATIENCE), TestClient(subject.app, disconnect_timeout=PATIENCE):
        pass
    assert "lifespan.shutdown" in subject.log


@check("ASGI Lifespan, Shutdown Failed")
async def a_failed_shutdown_is_answered_with_its_message(subject: Subject) -> None:
    with pytest.raises(LifespanFailed, match="no database") as raised:
        async with TestClient(failing_at("shutdown", subject.prefix)):
            pass
    assert raised.value.phase == "shutdown"


@check("ASGI Lifespan, Scope")
async def a_lifespan_without_state_is_served(subject: Subject) -> None:
    async with asyncio.timeout(PATIENCE):
        await the_lifespan_call_returns_after_shutdown(subject)
    assert subject.log == ["startup", "shutdown"]


@check("ASGI Lifespan, Lifespan State")
async def the_state_of_the_lifespan_reaches_every_request_as_a_copy(subject: Subject) -> None:
    async with TestClient(subject.app) as client:
        first = await client.get(f"{subject.prefix}/state")
        second = await client.get(f"{subject.prefix}/state")

        assert first.json() == second.json() == ["pool", "seen"]
        assert "seen" not in client.state


@check("ASGI Lifespan, Scope")
async def without_a_lifespan_the_first_request_starts_the_application(subject: Subject) -> None:
    assert (await serve(subject.app, http_scope(f"{subject.prefix}/plain"))).body == b"plain"
    await serve(subject.app, http_scope(f"{subject.prefix}/plain"))

    assert subject.log == ["startup"]


@check("ASGI Lifespan, Scope")
async def first_requests_at_once_start_the_application_once(subject: Subject) -> None:
    requests = (serve(subject.app, http_scope(f"{subject.prefix}/plain")) for _ in range(10))

    assert {reply.body for reply in await asyncio.gather(*requests)} == {b"plain"}
    assert subject.log == ["startup"]


@check("ASGI Lifespan, Introduction")
async def the_lifespan_may_be_run_again(subject: Subject) -> None:
    for _ in range(2):
        async with TestClient(subject.app) as client:
            assert (await client.get(f"{subject.prefix}/plain")).status == 200
    assert subject.log == ["startup", "shutdown"] * 2


@check("ASGI Lifespan, Introduction")
async def one_event_loop_after_another_may_run_the_application(subject: Subject) -> None:
    async def life() -> bytes:
        async with TestClient(subject.app) as client:
            return (await client.get(f"{subject.prefix}/plain")).content

    for _ in range(2):
        assert await asyncio.to_thread(asyncio.run, life()) == b"plain"
    assert await life() == b"plain"


@check("ASGI Lifespan, Introduction")
async def event_loops_in_different_threads_may_serve_at_once(subject: Subject) -> None:
    other = Subject("mounted" if subject.prefix else "plain")

    async def life(app: Any) -> set[int]:
        async with TestClient(app) as client:
            responses = await asyncio.gather(*(client.get(f"{subject.prefix}/plain") for _ in range(20)))
            return {response.status for response in responses}

    results = await asyncio.gather(
        asyncio.to_thread(asyncio.run, life(subject.app)), asyncio.to_thread(asyncio.run, life(other.app))
    )
    assert results == [{200}, {200}]
    assert subject.log == other.log == ["startup", "shutdown"]


@check("ASGI Lifespan, Introduction")
async def two_applications_in_one_process_do_not_meet(subject: Subject) -> None:
    other = App()

    @other.get("/plain")
    async def plain() -> str:
        return "other"

    @other.get("/only-here")
    async def only_here() -> str:
        return "here"

    async with TestClient(subject.app) as one, TestClient(other) as two:
        assert (await one.get(f"{subject.prefix}/plain")).text == "plain"
        assert (await two.get("/plain")).text == "other"
        assert (await one.get(f"{subject.prefix}/only-here")).status == 404
        assert (await two.get("/stream")).status == 404


@check("ASGI Lifespan, Shutdown")
async def work_left_by_responses_is_done_before_shutdown_completes(subject: Subject) -> None:
    async with TestClient(subject.app) as client:
        await client.get(f"{subject.prefix}/after")
    assert subject.log == ["startup", "after the response", "shutdown"]


# WebSocket and extensions


@check("ASGI WebSocket, Connect")
async def a_websocket_nobody_serves_is_closed_before_its_acceptance(subject: Subject) -> None:
    async with TestClient(subject.app) as client:
        with pytest.raises(WebSocketDenied) as raised:
            async with client.websocket(f"{subject.prefix}/ws"):
                pass
    assert raised.value.response.status in (403, 404)


@check("ASGI WebSocket, Websocket Connection Scope")
async def a_websocket_scope_may_lack_its_optional_keys(subject: Subject) -> None:
    sent: list[Any] = []
    events = iter([{"type": "websocket.connect"}])

    async def receive() -> Any:
        return next(events, {"type": "websocket.disconnect", "code": 1006})

    async def send(event: Any) -> None:
        sent.append(event["type"])

    scope = {"type": "websocket", "asgi": {"version": "3.0"}, "path": f"{subject.prefix}/ws", "headers": []}
    async with asyncio.timeout(PATIENCE):
        await ASGIValidator(subject.app)(scope, receive, send)
    assert sent == ["websocket.close"]


@check("ASGI WebSocket, Disconnect")
async def a_websocket_that_leaves_during_the_handshake_is_let_go(subject: Subject) -> None:
    events = iter([{"type": "websocket.connect"}])

    async def receive() -> Any:
        return next(events, {"type": "websocket.disconnect", "code": 1006})

    async def send(event: Any) -> None:
        raise ConnectionResetError

    scope = {"type": "websocket", "asgi": {"version": "3.0"}, "path": f"{subject.prefix}/ws", "headers": []}
    async with asyncio.timeout(PATIENCE):
        await quietly(ASGIValidator(subject.app)(scope, receive, send))


@check("ASGI, Extensions")
async def an_extension_is_used_only_where_it_is_offered(subject: Subject) -> None:
    # ASGIValidator refuses an event that was not offered; here everything is, and nothing unknown may come.
    offered = ("http.response.pathsend", "http.response.zerocopysend", "http.response.trailers", "unheard.of")

    without = await TestClient(subject.app).get(f"{subject.prefix}/file")
    within = await TestClient(subject.app, extensions={name: {} for name in offered}).get(
        f"{subject.prefix}/file"
    )

    assert without.content == within.content == HERE.read_bytes()
    assert without.extension_events == []
    assert without.headers["content-length"] == within.headers["content-length"]


@pytest.mark.parametrize("kind", ["plain", "middleware", "mounted"])
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_conformance(check: Check, kind: str) -> None:
    await check(Subject(kind))
