"""A handler that waits is driven to its first suspension by the kernel and goes on as if nothing had been."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import pytest

from swift import App, Request, TextResponse
from swift.testing import TestClient

Handler = Callable[[], Awaitable[Any]]


async def ask(handler: Handler) -> Any:
    """The JSON of the handler's answer."""
    app = App()
    app.get("/")(handler)
    async with TestClient(app) as client:
        response = await client.get("/")
        assert response.status == 200, response.text
        return response.json()


async def test_it_may_wait_many_times() -> None:
    async def handler() -> list[int]:
        found = []
        for number in range(5):
            await asyncio.sleep(0)
            await asyncio.sleep(0.001)
            found.append(number)
        return found

    assert await ask(handler) == [0, 1, 2, 3, 4]


async def test_it_runs_in_the_task_of_its_request() -> None:
    async def handler() -> bool:
        before = asyncio.current_task()
        await asyncio.sleep(0)
        return before is asyncio.current_task()

    assert await ask(handler) is True


async def test_a_timeout_inside_it_ends_what_it_waits_for() -> None:
    async def handler() -> str:
        try:
            async with asyncio.timeout(0.01):
                await asyncio.sleep(60)
        except TimeoutError:
            await asyncio.sleep(0)
            return "late"
        return "in time"

    app = App()
    app.get("/", media_type="text/plain")(handler)
    async with TestClient(app) as client:
        assert (await client.get("/")).text == "late"


async def test_an_awaitable_of_its_own_kind_is_awaited() -> None:
    class Later:
        def __await__(self) -> Generator[Any, None, int]:
            yield from asyncio.sleep(0).__await__()
            return 7

    async def handler() -> int:
        return await Later()

    assert await ask(handler) == 7


async def test_what_it_sets_in_its_context_is_still_set_after_waiting() -> None:
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable")

    async def handler() -> int:
        variable.set(3)
        await asyncio.sleep(0)
        return variable.get()

    assert await ask(handler) == 3


async def cancelled_while(handler: Callable[[Request], Awaitable[Any]], log: list[str]) -> asyncio.Task[None]:
    """The task of a request that was cancelled once its handler had written to the log."""
    app = App()
    app.get("/")(handler)
    await app.start()
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b""}
    task = asyncio.create_task(app(scope, receive, send))
    while not log:
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait((task,))
    await app.stop()
    return task


@pytest.mark.parametrize("suspensions", [0, 1, 3])
async def test_a_cancellation_reaches_it_where_it_waits(suspensions: int) -> None:
    log: list[str] = []

    async def handler(request: Request) -> None:
        for _ in range(suspensions):
            await asyncio.sleep(0)
        try:
            log.append("waits")
            await asyncio.sleep(60)
        finally:
            log.append("cleaned up")

    task = await cancelled_while(handler, log)
    assert task.cancelled()
    assert log == ["waits", "cleaned up"]


async def test_it_may_wait_again_while_it_is_being_cancelled() -> None:
    log: list[str] = []

    async def handler(request: Request) -> None:
        try:
            log.append("waits")
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(0.001)
            log.append("rolled back")
            raise

    task = await cancelled_while(handler, log)
    assert task.cancelled()
    assert log == ["waits", "rolled back"]


async def test_it_may_answer_although_it_was_cancelled() -> None:
    log: list[str] = []

    async def handler(request: Request) -> str:
        try:
            log.append("waits")
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            log.append("answers")
        return "still here"

    task = await cancelled_while(handler, log)
    assert not task.cancelled()
    assert task.exception() is None
    assert log == ["waits", "answers"]


async def test_an_error_after_waiting_is_an_error_of_the_handler() -> None:
    app = App(error_handlers={LookupError: lambda request, error: TextResponse("looked up", 404)})

    @app.get("/")
    async def handler() -> None:
        await asyncio.sleep(0)
        raise KeyError("x")

    async with TestClient(app) as client:
        response = await client.get("/")
    assert (response.status, response.text) == (404, "looked up")
