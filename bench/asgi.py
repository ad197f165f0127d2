"""The two ends of an ASGI conversation without a server between them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True)
class Response:
    status: int
    content_type: str
    body: bytes


@dataclass(frozen=True)
class Request:
    """A request as a client states it; `scope()` and `receive()` give it the form uvicorn would."""

    path: str
    query: str = ""
    method: str = "GET"
    body: bytes = b""

    def scope(self) -> Scope:
        """A new scope with the keys uvicorn sets, in its order.

        Nothing mutable is shared between requests: some frameworks cache what they parsed in `state`.
        """
        headers = [
            (b"host", b"127.0.0.1:8000"),
            (b"user-agent", b"bench"),
            (b"accept", b"*/*"),
        ]
        if self.body:
            headers.append((b"content-type", b"application/json"))
            headers.append((b"content-length", b"%d" % len(self.body)))
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "server": ("127.0.0.1", 8000),
            "client": ("127.0.0.1", 52_000),
            "scheme": "http",
            "root_path": "",
            "headers": headers,
            "state": {},
            "method": self.method,
            "path": self.path,
            "raw_path": self.path.encode(),
            "query_string": self.query.encode(),
        }

    def receive(self) -> Receive:
        """Gives the whole body once, then waits like a client that stays connected."""
        pending: list[Message] = [{"type": "http.request", "body": self.body, "more_body": False}]

        async def receive() -> Message:
            if not pending:
                await asyncio.Event().wait()
            return pending.pop()

        return receive


async def discard(message: Message) -> None:
    """The cheapest possible `send`."""


async def ask(app: ASGIApp, request: Request) -> Response:
    """What `app` answers to `request`, collected from its messages."""
    status, content_type, body = 0, "", b""

    async def send(message: Message) -> None:
        nonlocal status, content_type, body
        if message["type"] == "http.response.start":
            status = message["status"]
            headers = {name.lower(): value for name, value in message["headers"]}
            content_type = headers.get(b"content-type", b"").decode()
        else:
            body += message.get("body", b"")

    await app(request.scope(), request.receive(), send)
    return Response(status, content_type, body)


@asynccontextmanager
async def lifespan(app: ASGIApp) -> AsyncIterator[None]:
    """Starts and stops `app` as a server does; one that knows no lifespan is left alone."""
    requests: asyncio.Queue[Message] = asyncio.Queue()
    answers: asyncio.Queue[Message] = asyncio.Queue()
    scope: Scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}

    async def converse() -> None:
        try:
            await app(scope, requests.get, answers.put)
        except Exception:
            await answers.put({"type": "lifespan.unsupported"})

    conversation = asyncio.ensure_future(converse())
    try:
        await requests.put({"type": "lifespan.startup"})
        started = await answers.get()
        if started["type"] == "lifespan.startup.failed":
            reason = started.get("message", "it gave no reason")
            raise RuntimeError(f"The application did not start: {reason}")
        try:
            yield
        finally:
            if started["type"] == "lifespan.startup.complete":
                await requests.put({"type": "lifespan.shutdown"})
                await answers.get()
    finally:
        conversation.cancel()
