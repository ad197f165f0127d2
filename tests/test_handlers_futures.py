"""Handlers that return a Future: it runs inline, it is awaited, and its value is the answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest

from swift import App, Depends, Model, NotFound, Request, Response, Router, Schema, TextResponse, fields
from swift.futures import Future, Promise, make_exception, make_ready, sleep, when_all
from swift.testing import TestClient
from swift.viewsets import AutoRouter, ModelViewSet, action


class Note(Model):
    id: int = fields.IDField()


class Item(Schema):
    id: int
    thread: int = 0


seen: list[str] = []


async def session() -> AsyncIterator[str]:
    seen.append("open")
    yield "session"
    seen.append("closed")


async def answer(app: App, path: str, method: str = "GET", **options: Any) -> Any:
    async with TestClient(app) as client:
        return await client.request(method, path, **options)


@pytest.mark.parametrize("ready", [True, False])
async def test_a_plain_def_that_returns_a_chain_runs_on_the_loop_s_thread(ready: bool) -> None:
    app = App()

    @app.get("/items/{id:int}")
    def show(id: int) -> Future[Item]:
        source = make_ready(id) if ready else sleep(0, id)
        here = threading.get_ident()
        return source.then(lambda id: Item(id=id, thread=here))

    response = await answer(app, "/items/7")
    assert response.json() == {"id": 7, "thread": threading.get_ident()}
    assert response.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("annotation", "value", "content_type", "text"),
    [
        (Future[str], "text", "text/plain; charset=utf-8", "text"),
        (Future[bytes], b"octets", "application/octet-stream", "octets"),
        (Future[list[int]], [1], "application/json", "[1]"),
        (Annotated[Future[str], "said"], "text", "text/plain; charset=utf-8", "text"),
        (Future, {"a": None}, "application/json", '{"a":null}'),
    ],
)
@pytest.mark.parametrize("ready", [True, False])
async def test_the_type_that_a_future_promises_selects_the_encoder(
    annotation: Any, value: Any, content_type: str, text: str, ready: bool
) -> None:
    app = App()

    def handler() -> Any:
        return make_ready(value) if ready else sleep(0, value)

    handler.__annotations__["return"] = annotation
    app.get("/")(handler)
    response = await answer(app, "/")
    assert (response.headers["content-type"], response.text) == (content_type, text)


async def test_none_is_an_answer_of_a_future() -> None:
    app = App()

    @app.delete("/items/{id:int}")
    def remove(id: int) -> Future[None]:
        return make_ready(None)

    assert (await answer(app, "/items/1", "DELETE")).status == 204


@pytest.mark.parametrize("ready", [True, False])
async def test_every_kind_of_handler_may_return_a_future(ready: bool) -> None:
    app = App()

    def source() -> Future[str]:
        return make_ready("value") if ready else sleep(0, "value")

    # Not annotated: the framework cannot know before, so this one takes the hop to a thread.
    @app.get("/thread")
    def in_thread() -> Any:
        promise: Promise[str] = Promise()
        promise.resolve("value")
        return promise.future.then(lambda value: value)

    @app.get("/inline", run_sync="inline")
    def inline() -> Any:
        return source()

    @app.get("/coroutine")
    async def coroutine() -> Any:
        return source()

    @app.get("/suspended")
    async def suspended() -> Any:
        await asyncio.sleep(0)
        return source()

    @app.get("/response")
    def response() -> Future[Response]:
        return source().then(TextResponse)

    @app.post("/body")
    def body(item: Item) -> Future[Item]:
        return source().then(lambda _: item)

    async with TestClient(app) as client:
        for path in ("/thread", "/inline", "/coroutine", "/suspended"):
            assert (await client.get(path)).text == "value", path
        assert (await client.get("/response")).text == "value"
        assert (await client.post("/body", json={"id": 1})).json() == {"id": 1, "thread": 0}


@pytest.mark.parametrize("ready", [True, False])
async def test_errors_of_a_future_are_errors_of_the_handler(ready: bool) -> None:
    class Refused(Exception):
        pass

    def refused(request: Request, error: Refused) -> Response:
        return TextResponse(f"refused {request.path}", 409)

    app = App(error_handlers={Refused: refused})

    def failing(error: Exception) -> Future[Any]:
        def fail(_: object) -> None:
            raise error

        return make_exception(error) if ready else sleep(0).then(fail)

    @app.get("/missing")
    def missing() -> Future[Item]:
        return failing(NotFound("No such item."))

    @app.get("/refused")
    def refuse() -> Future[Item]:
        return failing(Refused())

    async with TestClient(app) as client:
        assert (await client.get("/missing")).problem.detail == "No such item."
        response = await client.get("/refused")
        assert (response.status, response.text) == (409, "refused /refused")


async def test_middleware_and_dependencies_stand_around_a_future() -> None:
    seen.clear()

    async def watch(request: Request, call_next: Any) -> Response:
        seen.append("before")
        response: Response = await call_next(request)
        seen.append("after")
        return response

    router = Router(middleware=[watch])

    @router.get("/")
    def handler(session: Annotated[str, Depends(session, scope="call")]) -> Future[str]:
        return sleep(0, session).finally_(lambda: seen.append("answered"))

    response = await answer(App(routers=[router]), "/")
    assert response.text == "session"
    assert seen == ["before", "open", "answered", "closed", "after"]


async def test_a_thread_s_dependency_may_feed_a_future() -> None:
    app = App()

    @app.get("/")
    def handler(value: Annotated[int, Depends(lambda: 3)]) -> Future[list[int]]:
        return when_all([make_ready(value), sleep(0, value + 1)])

    assert (await answer(app, "/")).json() == [3, 4]


async def test_a_request_that_is_cancelled_cancels_the_future_it_waits_for() -> None:
    app = App()
    told: list[str] = []
    begun = asyncio.Event()

    @app.get("/")
    def handler() -> Future[str]:
        begun.set()
        promise: Promise[str] = Promise(on_cancel=lambda: told.append("cancelled"))
        handler.promise = promise  # type: ignore[attr-defined]
        return promise.future.then(str.upper)

    async with TestClient(app) as client:
        task = asyncio.ensure_future(client.get("/"))
        await begun.wait()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert told == ["cancelled"]


async def test_an_action_of_a_viewset_may_return_a_future() -> None:
    class NoteViewSet(ModelViewSet):
        model = Note
        permission_classes = ()

        @action(detail=False, methods=["GET"])
        def thread(self) -> Future[dict[str, int]]:
            here = threading.get_ident()
            return sleep(0).then(lambda _: {"thread": here})

    router = AutoRouter()
    router.register("/notes", NoteViewSet)
    app = App(routers=[router], database="sqlite:///:memory:")
    assert (await answer(app, "/notes/thread")).json() == {"thread": threading.get_ident()}


async def test_openapi_shows_what_a_future_promises() -> None:
    app = App()

    @app.get("/items/{id:int}")
    def show(id: int) -> Future[Item]:
        return make_ready(Item(id))

    document = (await answer(app, "/openapi.json")).json()
    content = document["paths"]["/items/{id}"]["get"]["responses"]["200"]["content"]
    assert content == {"application/json": {"schema": {"$ref": "#/components/schemas/Item"}}}
