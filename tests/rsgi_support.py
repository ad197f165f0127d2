"""What tests/test_rsgi.py serves with granian: one application whose answers must not depend on the door."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from swift import (
    App,
    Cookie,
    Depends,
    File,
    FileResponse,
    Form,
    Header,
    Problem,
    Request,
    Response,
    Router,
    Schema,
    StaticFiles,
    StreamingResponse,
    UploadFile,
)

FOLDER = Path(os.environ["RSGI_FOLDER"])
# What handlers saw, for `/log` to tell.
log: list[str] = []


class Item(Schema):
    sku: str
    quantity: int = 1


def note(line: str) -> None:
    with (FOLDER / "life.log").open("a") as file:
        file.write(f"{line}\n")


@asynccontextmanager
async def lifespan(app: App) -> AsyncIterator[dict[str, Any]]:
    if "RSGI_FAILS" in os.environ:
        raise RuntimeError("no database")
    note("started")
    task = asyncio.current_task()
    yield {"pool": "the pool"}
    note("stopped in the same task" if asyncio.current_task() is task else "stopped in another task")


app = App(lifespan=lifespan, max_body_size=100_000)


@app.get("/plain")
async def plain() -> str:
    return "plain"


@app.get("/json")
def as_json() -> dict[str, Any]:
    return {"text": "é", "numbers": [1, 2.5, None]}


@app.get("/bytes")
async def as_bytes() -> bytes:
    return bytes(range(256)) * 300


@app.get("/empty")
async def empty() -> str:
    return ""


@app.get("/nothing")
async def nothing() -> None:
    return None


@app.get("/status/{status:int}")
async def status(status: int) -> Response:
    return Response(b"a body", status=status, headers={"x-status": str(status)})


@app.get("/waits")
async def waits() -> str:
    await asyncio.sleep(0.01)
    return "waited"


@app.get("/log")
async def tell() -> list[str]:
    lines = list(log)
    log.clear()
    return lines


@app.get("/cookies")
async def cookies(request: Request) -> Response:
    response = Response(repr(request.cookies))
    response.set_cookie("first", "1", httponly=True)
    response.set_cookie("second", "2", path="/cookies")
    response.delete_cookie("third")
    return response


@app.get("/headers")
async def headers(request: Request) -> list[tuple[str, str]]:
    return request.headers.multi_items()


@app.get("/typed/{id:int}")
async def typed(
    id: int,
    q: str,
    limit: int = 10,
    tags: list[str] = [],  # noqa: B006
    x_token: Annotated[str, Header()] = "none",
    session: Annotated[str, Cookie()] = "none",
) -> dict[str, Any]:
    return {"id": id, "q": q, "limit": limit, "tags": tags, "token": x_token, "session": session}


@app.get("/tail/{tail:path}")
async def tail(tail: str) -> str:
    return tail


@app.get("/scope")
async def scope(request: Request) -> dict[str, Any]:
    keys = ("type", "method", "path", "root_path", "http_version", "scheme", "state")
    found = {key: request.scope[key] for key in keys}
    client = request.client
    assert client is not None
    server = request.scope["server"]
    return {
        **found,
        "url": request.url,
        "query": dict(request.query),
        "client": client[0],
        "server": server[0],
    }


@app.post("/items", status=201)
async def create(item: Item) -> Item:
    return item


@app.post("/items-after-a-wait")
async def create_slowly(item: Item) -> Item:
    await asyncio.sleep(0.01)
    return item


@app.post("/echo")
async def echo(request: Request) -> bytes:
    try:
        body = await request.body()
    except Exception as error:
        log.append(type(error).__name__)
        raise
    log.append(f"{len(body)} bytes")
    return body


@app.post("/unlimited", max_body_size=10**12)
async def unlimited(request: Request) -> int:
    return sum([len(chunk) async for chunk in request.stream()])


@app.post("/shout")
async def shout(request: Request) -> StreamingResponse:
    return StreamingResponse(chunk.upper() async for chunk in request.stream())


@app.post("/form")
async def form(name: Annotated[str, Form()], upload: Annotated[UploadFile, File()]) -> dict[str, Any]:
    return {"name": name, "filename": upload.filename, "bytes": len(await upload.read())}


@app.get("/stream")
async def stream() -> StreamingResponse:
    async def content() -> AsyncIterator[str]:
        for index in range(3):
            yield f"part {index}\n"
            await asyncio.sleep(0.01)

    return StreamingResponse(content(), headers={"content-type": "text/plain"})


@app.get("/stream-sync")
async def stream_sync() -> StreamingResponse:
    def content() -> Iterator[bytes]:
        yield b"one"
        yield b""
        yield b"two"

    return StreamingResponse(content())


@app.get("/stream-breaks")
async def stream_breaks() -> StreamingResponse:
    async def content() -> AsyncIterator[bytes]:
        yield b"half"
        raise RuntimeError("the secret")

    return StreamingResponse(content())


@app.get("/endless")
async def endless(pause: float = 0.01) -> StreamingResponse:
    async def content() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"tick\n"
                await asyncio.sleep(pause)
        finally:
            log.append("closed")

    return StreamingResponse(content())


@app.get("/until-left")
async def until_left(request: Request) -> None:
    await request.body()
    while not await request.is_disconnected():
        await asyncio.sleep(0.01)
    log.append("left")


@app.get("/file")
async def file() -> FileResponse:
    return FileResponse(FOLDER / "large.bin", etag="weak")


@app.get("/no-file")
async def no_file() -> FileResponse:
    return FileResponse(FOLDER / "missing.bin")


@app.get("/fails")
async def fails() -> str:
    raise RuntimeError("the secret")


@app.get("/problem")
async def problem() -> str:
    raise Problem("Short and stout.", status=418, title="Teapot", headers={"x-pot": "yes"})


@app.get("/key-error")
async def key_error() -> str:
    raise KeyError("handled")


@app.on_error(KeyError)
async def handle_key_error(request: Request, error: KeyError) -> Response:
    return Response(f"handled in {request.path}", status=409)


@app.get("/after")
async def after(request: Request) -> str:
    request.after_response(log.append, "after the response")
    return "done"


async def numbered() -> AsyncIterator[int]:
    yield 7
    log.append("torn down")


@app.get("/dependency")
async def dependency(number: Annotated[int, Depends(numbered)]) -> int:
    return number


@app.get("/header")
async def header(value: str) -> Response:
    response = Response(b"")
    # What Latin-1 has is sent as Latin-1; what a program gives as bytes, as it is.
    response.raw_headers.append((b"x-value", bytes.fromhex(value)))
    return response


async def stamped(request: Request, call_next: Any) -> Response:
    response: Response = await call_next(request)
    response.headers["x-stamp"] = request.method
    return response


wrapped = Router(prefix="/wrapped", middleware=[stamped])


@wrapped.get("/plain")
async def wrapped_plain() -> str:
    return "wrapped"


@wrapped.get("/fails")
async def wrapped_fails() -> str:
    raise RuntimeError("the secret")


@wrapped.get("/file")
async def wrapped_file() -> FileResponse:
    return FileResponse(FOLDER / "small.txt")


@wrapped.post("/items")
async def wrapped_items(item: Item) -> Item:
    return item


app.include(wrapped)
at_host = Router(host="other.example")


@at_host.get("/plain", include_in_schema=False)
async def other_plain() -> str:
    return "the other host's"


app.include(at_host)


async def raw(scope: Any, receive: Any, send: Any) -> None:
    """Plain ASGI: tells what it got, in header pairs that are lists and a body that is a bytearray."""
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    body, more = b"", True
    while more:
        event = await receive()
        body += event.get("body", b"")
        more = event.get("more_body", False)
    told = f"{scope['method']} {scope['path']} {scope['root_path']} {sorted(scope['state'])} {len(body)}"
    await send(
        {"type": "http.response.start", "status": 200, "headers": [[b"X-Raw", b"yes"], [b"x-raw", b"2"]]}
    )
    await send({"type": "http.response.body", "body": bytearray(told.encode()), "more_body": True})
    await send({"type": "http.response.body", "body": b"."})


app.mount("/raw", raw)
app.mount("/static", StaticFiles(FOLDER))


class Doubled(App):
    """An application with an ASGI door of its own."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def send_stamped(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"].append((b"x-own-door", b"yes"))
            await send(message)

        await super().__call__(scope, receive, send_stamped if scope["type"] == "http" else send)


own_door = Doubled()


@own_door.get("/plain")
async def own_plain() -> str:
    return "plain"


class Unannounced:
    """A target without `__rsgi_init__`, as a server may be that does not know it."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, send)

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        await app.__rsgi__(scope, protocol)


unannounced = Unannounced()
