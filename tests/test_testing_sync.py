"""SyncTestClient: the same surface without await, on a loop of its own."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from typing import Any

import pytest
import uvloop

from swift.testing import (
    LifespanFailed,
    StreamedResponse,
    SyncTestClient,
    TestClient,
    WebSocketClosed,
    WebSocketSession,
)
from swift.testing.sync import SyncStreamedResponse, SyncWebSocketSession

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


class Application:
    def __init__(self) -> None:
        self.loops: list[Any] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.loops.append(asyncio.get_running_loop())
        await getattr(self, scope["type"])(scope, receive, send)

    async def lifespan(self, scope: Any, receive: Any, send: Any) -> None:
        scope["state"]["started"] = True
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})

    async def http(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/fail":
            raise LookupError("mine")
        body = b""
        while True:
            event = await receive()
            body += event["body"]
            if not event["more_body"]:
                break
        headers = [(b"set-cookie", b"sid=1"), (b"x-variable", variable.get().encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for chunk in (f"{scope['method']} {scope['path']}\n".encode(), body):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body"})

    async def websocket(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept", "subprotocol": "chat"})
        while (event := await receive())["type"] == "websocket.receive":
            await send({**event, "type": "websocket.send"})
            if event.get("text") == "close":
                await send({"type": "websocket.close", "code": 4000, "reason": "bye"})
                return


def test_requests() -> None:
    app = Application()
    with SyncTestClient(app, headers={"x-a": "1"}) as client:
        assert client.app is app
        response = client.post("/users", json=[1], params={"q": 1})

        assert response.status == 200
        assert response.text == "POST /users\n[1]"
        assert client.cookies["sid"] == "1"
        assert client.headers == {"x-a": "1"}
        assert client.state == {"started": True}


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete", "options", "query"])
def test_every_method_has_its_verb(method: str) -> None:
    with SyncTestClient(Application()) as client:
        assert getattr(client, method)("/").text == f"{method.upper()} /\n"


def test_exceptions_reach_the_test() -> None:
    with SyncTestClient(Application()) as client, pytest.raises(LookupError, match="mine"):
        client.get("/fail")
    with SyncTestClient(Application(), raise_server_exceptions=False) as client:
        assert client.get("/fail").status == 500


def test_lifespan_and_requests_share_one_loop_in_another_thread() -> None:
    app = Application()

    with SyncTestClient(app) as client:
        client.get("/")
        client.get("/")
        names = [thread.name for thread in threading.enumerate()]
    assert len(app.loops) == 3
    assert len(set(app.loops)) == 1
    assert app.loops[0].is_closed()
    assert "swift-test-client" in names
    assert "swift-test-client" not in [thread.name for thread in threading.enumerate()]


def test_the_loop_can_be_chosen() -> None:
    app = Application()

    with SyncTestClient(app, loop_factory=uvloop.new_event_loop) as client:
        client.get("/")
    assert isinstance(app.loops[0], uvloop.Loop)


def test_context_variables_of_the_test_reach_the_application() -> None:
    variable.set("by the test")

    with SyncTestClient(Application()) as client:
        assert client.get("/").headers["x-variable"] == "by the test"


def test_a_stream() -> None:
    with SyncTestClient(Application()) as client:
        with client.stream("POST", "/s", content=b"two") as response:
            assert (response.status, response.media_type, response.headers["set-cookie"]) == (
                200,
                "",
                "sid=1",
            )
            assert (response.cookies, response.set_cookies[0].path) == ({"sid": "1"}, "/")
            assert (dict(response.trailers), response.extension_events) == ({}, [])
            assert list(response) == [b"POST /s\n", b"two"]
        with client.stream("POST", "/s", content=b"two") as response:
            assert list(response.lines()) == ["POST /s", "two"]
        with client.stream("POST", "/s", content=b"two") as response:
            assert response.read() == b"POST /s\ntwo"
        with client.stream("GET", "/s") as response:
            response.disconnect()
            assert list(response) == []


def test_a_websocket() -> None:
    with SyncTestClient(Application()) as client, client.websocket("/ws", subprotocols=["chat"]) as ws:
        assert (ws.subprotocol, dict(ws.headers)) == ("chat", {})
        ws.send_text("a")
        ws.send_bytes(b"b")
        ws.send_json([1])
        assert ws.receive() == "a"
        assert ws.receive_bytes() == b"b"
        assert ws.receive_json(list[int]) == [1]
        ws.send_text("close")
        assert list(ws) == ["close"]
        assert (ws.close_code, ws.close_reason) == (4000, "bye")
        with pytest.raises(WebSocketClosed):
            ws.receive_text()
        ws.close()


def test_it_works_inside_a_running_loop() -> None:
    async def test() -> None:
        with SyncTestClient(Application()) as client:
            assert client.get("/").status == 200

    asyncio.run(test())


def test_a_failed_startup_leaves_no_thread() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    with pytest.raises(LifespanFailed, match="no database"), SyncTestClient(app):
        pass
    assert "swift-test-client" not in [thread.name for thread in threading.enumerate()]


def test_outside_of_its_block_it_says_so() -> None:
    client = SyncTestClient(Application())

    with pytest.raises(RuntimeError, match="use it inside `with SyncTestClient"):
        client.get("/")
    with client:
        pass
    with pytest.raises(RuntimeError, match="use it inside `with SyncTestClient"):
        client.get("/")


def public(kind: type) -> set[str]:
    return {name for name, _ in inspect.getmembers(kind) if not name.startswith("_")}


@pytest.mark.parametrize(
    ("asynchronous", "synchronous", "left_out"),
    [
        (TestClient, SyncTestClient, set()),
        (StreamedResponse, SyncStreamedResponse, {"charset"}),
        (WebSocketSession, SyncWebSocketSession, set()),
    ],
)
def test_the_surface_is_the_same(asynchronous: type, synchronous: type, left_out: set[str]) -> None:
    assert public(asynchronous) - public(synchronous) == left_out
