"""The floor: ASGI written by hand for exactly these cases, with nothing between it and the messages.

It prepares nothing that depends on the answer, for no framework can.
The two sends are repeated in each case: a coroutine of their own would cost a sixth of `plaintext`.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import msgspec

from bench.asgi import ASGIApp, Receive, Scope, Send
from bench.cases import GREETING, RECORDS, ROUTES, resource_text
from bench.schemas import Order, Record, User

TEXT = (b"content-type", b"text/plain; charset=utf-8")
JSON = (b"content-type", b"application/json")

encode = msgspec.json.Encoder().encode
decode_order = msgspec.json.Decoder(Order).decode


async def refuse(send: Send, status: int, reason: bytes) -> None:
    headers = [TEXT, (b"content-length", b"%d" % len(reason))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": reason})


async def plaintext(scope: Scope, receive: Receive, send: Send) -> None:
    body = GREETING.encode()
    headers = [TEXT, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def json(scope: Scope, receive: Receive, send: Send) -> None:
    body = encode({"message": GREETING})
    headers = [JSON, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def params(scope: Scope, receive: Receive, send: Send) -> None:
    query = parse_qs(scope["query_string"].decode())
    try:
        user = User(
            id=int(scope["path"].rpartition("/")[2]),
            q=query["q"][-1],
            limit=int(query["limit"][-1]) if "limit" in query else 10,
        )
    except (ValueError, KeyError):
        await refuse(send, 422, b"Unprocessable Content")
        return
    body = encode(user)
    headers = [JSON, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def post(scope: Scope, receive: Receive, send: Send) -> None:
    message = await receive()
    received = message["body"]
    while message["more_body"]:
        message = await receive()
        received += message["body"]
    try:
        order = decode_order(received)
    except msgspec.ValidationError:
        await refuse(send, 422, b"Unprocessable Content")
        return
    body = encode(order)
    headers = [JSON, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def list100() -> ASGIApp:
    records = msgspec.convert(RECORDS, list[Record])

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        body = encode(records)
        headers = [JSON, (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


def resources(count: int) -> ASGIApp:
    routes = {f"resource{route}": route for route in range(count)}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        segments = scope["path"].split("/")
        if len(segments) != 3 or segments[1] not in routes or not segments[2].isdecimal():
            await refuse(send, 404, b"Not Found")
            return
        body = resource_text(routes[segments[1]], int(segments[2])).encode()
        headers = [TEXT, (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


def rsgi() -> Any:
    async def app(scope: Any, protocol: Any) -> None:
        protocol.response_str(200, [("content-type", "text/plain; charset=utf-8")], GREETING)

    return app


def apps() -> dict[str, ASGIApp]:
    return {
        "plaintext": plaintext,
        "json": json,
        "params": params,
        "post": post,
        "list100": list100(),
        "routes1": resources(1),
        "routes500": resources(ROUTES),
        "notfound": resources(ROUTES),
    }
