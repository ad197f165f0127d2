"""What the subjects without a framework share: routing by hand, and the way from a request to its answer."""

from __future__ import annotations

from abc import ABC, abstractmethod

import msgspec

from bench.asgi import Receive, Scope, Send

JSON = (b"content-type", b"application/json")


async def read(receive: Receive) -> bytes:
    message = await receive()
    body: bytes = message["body"]
    while message["more_body"]:
        message = await receive()
        body += message["body"]
    return body


class Application(ABC):
    """An ASGI app without a framework. The answers are bytes of JSON; None is a 404."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn

    @abstractmethod
    async def open(self) -> None: ...

    @abstractmethod
    async def close(self) -> None: ...

    @abstractmethod
    async def list(self) -> bytes: ...

    @abstractmethod
    async def show(self, id: int) -> bytes | None: ...

    @abstractmethod
    async def page(self, active: bool, number: int, size: int) -> bytes: ...

    @abstractmethod
    async def create(self, body: bytes) -> bytes: ...

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.live(receive, send)
            return
        status = 200
        answer: bytes | None
        path = scope["path"]
        if scope["method"] == "POST":
            status = 201
            try:
                answer = await self.create(await read(receive))
            except msgspec.ValidationError:
                status, answer = 422, b"{}"
        elif path == "/records":
            answer = await self.list()
        elif path == "/pages":
            query = dict(part.split(b"=") for part in scope["query_string"].split(b"&"))
            answer = await self.page(
                query[b"active"] == b"true", int(query[b"page"]), int(query[b"page_size"])
            )
        else:
            answer = await self.show(int(path.rpartition("/")[2]))
        if answer is None:
            status, answer = 404, b"{}"
        headers = [JSON, (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    async def live(self, receive: Receive, send: Send) -> None:
        await receive()
        await self.open()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.close()
        await send({"type": "lifespan.shutdown.complete"})
