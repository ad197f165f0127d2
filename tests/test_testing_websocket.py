"""WebSocketSession against applications written by hand."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from swift.testing import ASGIViolation, TestClient, WebSocketClosed, WebSocketDenied


async def echo(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send(
        {
            "type": "websocket.accept",
            "subprotocol": scope["subprotocols"][0] if scope["subprotocols"] else None,
            "headers": [(b"x-path", scope["path"].encode()), (b"x-query", scope["query_string"])],
        }
    )
    while (event := await receive())["type"] == "websocket.receive":
        if event.get("text") == "close":
            await send({"type": "websocket.close", "code": 4001, "reason": "as asked"})
            assert (await receive())["type"] == "websocket.disconnect"
            return
        if event.get("text") == "fail":
            raise LookupError("as asked")
        await send({**event, "type": "websocket.send"})


async def test_messages_of_both_kinds() -> None:
    async with TestClient(echo).websocket("/ws") as ws:
        await ws.send_text("hello")
        await ws.send_bytes(b"\0\1")
        assert await ws.receive_text() == "hello"
        assert await ws.receive_bytes() == b"\0\1"


async def test_json_travels_as_text() -> None:
    class Message(msgspec.Struct):
        id: int

    async with TestClient(echo).websocket("/ws") as ws:
        await ws.send_json({"id": 1})
        await ws.send_json(Message(2))
        await ws.send_json([3])
        assert await ws.receive_json() == {"id": 1}
        assert await ws.receive_json(Message) == Message(2)
        assert await ws.receive_text() == "[3]"


async def test_a_message_of_the_other_kind_is_refused() -> None:
    async with TestClient(echo).websocket("/ws") as ws:
        await ws.send_text("hello")
        with pytest.raises(TypeError, match="Expected a binary message, got the text 'hello'"):
            await ws.receive_bytes()
        await ws.send_bytes(b"hello")
        with pytest.raises(TypeError, match="Expected a text message, got the binary b'hello'"):
            await ws.receive_text()


async def test_the_handshake() -> None:
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)
        await echo(scope, receive, send)

    client = TestClient(app, base_url="https://testserver", cookies={"sid": "1"})
    session = client.websocket(
        "/ws", subprotocols=["chat"], params={"a": 1}, headers={"Origin": "https://testserver"}
    )
    async with session as ws:
        assert ws.subprotocol == "chat"
        assert ws.headers["x-path"] == "/ws"
        assert ws.headers["x-query"] == "a=1"
    assert seen[0]["type"] == "websocket"
    assert seen[0]["scheme"] == "wss"
    assert "method" not in seen[0]
    assert (b"origin", b"https://testserver") in seen[0]["headers"]
    assert (b"cookie", b"sid=1") in seen[0]["headers"]


async def test_a_close_of_the_application_is_raised_with_code_and_reason() -> None:
    async with TestClient(echo).websocket("/ws") as ws:
        await ws.send_text("before")
        await ws.send_text("close")
        assert await ws.receive_text() == "before"
        with pytest.raises(WebSocketClosed, match="closed with code 4001: as asked") as raised:
            await ws.receive()
        assert (raised.value.code, raised.value.reason) == (4001, "as asked")
        assert (ws.close_code, ws.close_reason) == (4001, "as asked")
        with pytest.raises(WebSocketClosed):
            await ws.send_text("too late")


async def test_iteration_ends_with_the_close() -> None:
    async with TestClient(echo).websocket("/ws") as ws:
        for text in ("a", "b", "close"):
            await ws.send_text(text)
        assert [message async for message in ws] == ["a", "b"]


@pytest.mark.parametrize(
    ("spec_version", "event"),
    [
        ("2.4", {"type": "websocket.disconnect", "code": 3000}),
        ("2.5", {"type": "websocket.disconnect", "code": 3000, "reason": "bye"}),
    ],
)
async def test_a_close_of_the_client(spec_version: str, event: dict[str, Any]) -> None:
    received = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        received.append(await receive())

    async with TestClient(app, spec_version=spec_version).websocket("/ws") as ws:
        await ws.close(3000, "bye")
        with pytest.raises(WebSocketClosed):
            await ws.send_text("too late")
    assert received == [event]


async def test_leaving_the_block_closes_with_1000() -> None:
    received = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        received.append(await receive())

    async with TestClient(app).websocket("/ws"):
        pass
    assert received == [{"type": "websocket.disconnect", "code": 1000, "reason": ""}]


async def ticking(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while True:
        await send({"type": "websocket.send", "text": "tick"})
        await asyncio.sleep(0)


async def test_send_raises_oserror_once_the_client_has_left() -> None:
    async with TestClient(ticking).websocket("/ws") as ws:
        assert await ws.receive() == "tick"


async def test_before_spec_version_2_4_send_is_a_no_op_once_the_client_has_left() -> None:
    with pytest.raises(TimeoutError, match=r"still running 0\.01 s after the close"):
        async with TestClient(ticking, spec_version="2.3", disconnect_timeout=0.01).websocket("/ws"):
            pass


async def test_a_close_before_the_acceptance_is_a_403() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.close", "code": 4401, "reason": "who are you"})

    with pytest.raises(WebSocketDenied, match="denied with status 403: who are you") as raised:
        async with TestClient(app).websocket("/ws"):
            pass
    assert (raised.value.response.status, raised.value.code, raised.value.reason) == (
        403,
        4401,
        "who are you",
    )


async def test_a_denial_response() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        headers = [(b"www-authenticate", b"Bearer")]
        await send({"type": "websocket.http.response.start", "status": 401, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": b"who ", "more_body": True})
        await send({"type": "websocket.http.response.body", "body": b"are you"})

    with pytest.raises(WebSocketDenied, match="denied with status 401") as raised:
        async with TestClient(app).websocket("/ws"):
            pass
    response = raised.value.response
    assert (response.status, response.headers["www-authenticate"], response.text) == (
        401,
        "Bearer",
        "who are you",
    )
    assert raised.value.code is None


async def test_an_exception_before_the_acceptance() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        async with TestClient(app).websocket("/ws"):
            pass
    with pytest.raises(WebSocketDenied, match="denied with status 500"):
        async with TestClient(app, raise_server_exceptions=False).websocket("/ws"):
            pass


async def test_an_exception_after_the_acceptance() -> None:
    with pytest.raises(LookupError, match="as asked"):
        async with TestClient(echo).websocket("/ws") as ws:
            await ws.send_text("fail")
            await ws.receive()
    async with TestClient(echo, raise_server_exceptions=False).websocket("/ws") as ws:
        await ws.send_text("fail")
        with pytest.raises(WebSocketClosed, match="1006"):
            await ws.receive()


async def test_an_exception_at_the_end_is_raised_when_the_block_is_left() -> None:
    with pytest.raises(LookupError, match="as asked"):
        async with TestClient(echo).websocket("/ws") as ws:
            await ws.send_text("fail")


async def test_a_violation_is_raised() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.close", "reason": [{"loc": "query"}]})

    with pytest.raises(ASGIViolation, match="Expected reason as a `str`"):
        async with TestClient(app, raise_server_exceptions=False).websocket("/ws"):
            pass


async def test_a_cancelled_test_cancels_the_application() -> None:
    outcome = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        try:
            await asyncio.sleep(60)
        finally:
            outcome.append("ended")

    async def talk() -> None:
        async with TestClient(app).websocket("/ws") as ws:
            await ws.receive()

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(talk(), 0.01)
    assert outcome == ["ended"]
