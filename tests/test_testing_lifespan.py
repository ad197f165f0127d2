"""The lifespan as TestClient runs it: in the test's loop, in one task, as a server would."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from swift.testing import ASGIViolation, LifespanFailed, TestClient


class Application:
    """Answers lifespan and HTTP, and notes what happens in which task."""

    def __init__(self, startup: str = "complete", shutdown: str = "complete") -> None:
        self.answers = {"startup": startup, "shutdown": shutdown}
        self.tasks: list[Any] = []
        self.states: list[dict[str, Any]] = []
        self.log: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.states.append(scope["state"])
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 204})
            await send({"type": "http.response.body"})
            return
        scope["state"]["pool"] = self
        while "shutdown" not in self.log:
            phase = (await receive())["type"].removeprefix("lifespan.")
            self.log.append(phase)
            self.tasks.append(asyncio.current_task())
            answer = self.answers[phase]
            if answer == "complete":
                await send({"type": f"lifespan.{phase}.complete"})
            elif answer == "raise":
                raise LookupError(f"at {phase}")
            elif answer == "return":
                return
            else:
                await send({"type": f"lifespan.{phase}.failed", "message": answer})
                raise LookupError("the cause")


async def test_startup_and_shutdown_run_in_one_task_of_this_loop() -> None:
    app = Application()

    async with TestClient(app):
        assert app.log == ["startup"]
    assert app.log == ["startup", "shutdown"]
    assert app.tasks[0] is app.tasks[1]
    assert app.tasks[0].get_loop() is asyncio.get_running_loop()
    assert app.tasks[0].done()


async def test_a_task_group_and_a_timeout_may_span_the_lifespan() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        async with asyncio.TaskGroup() as group, asyncio.timeout(60):
            worker = group.create_task(asyncio.sleep(60))
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            worker.cancel()
            await send({"type": "lifespan.shutdown.complete"})

    async with TestClient(app):
        await asyncio.sleep(0)


async def test_each_request_gets_a_shallow_copy_of_the_state() -> None:
    app = Application()

    async with TestClient(app) as client:
        await client.get("/")
        await client.get("/")
        assert client.state == {"pool": app}
    lifespan, first, second = app.states
    assert lifespan == first == second
    assert lifespan is not first is not second


async def test_the_application_is_shut_down_when_the_test_fails() -> None:
    app = Application()

    with pytest.raises(ZeroDivisionError):
        async with TestClient(app):
            raise ZeroDivisionError
    assert app.log == ["startup", "shutdown"]


async def test_a_failed_startup_is_raised_with_its_message_and_cause() -> None:
    with pytest.raises(LifespanFailed, match="failed at startup: no database") as raised:
        async with TestClient(Application(startup="no database")):
            raise AssertionError("not reached")
    assert (raised.value.phase, raised.value.message) == ("startup", "no database")
    assert isinstance(raised.value.__cause__, LookupError)


async def test_a_failed_shutdown_is_raised() -> None:
    with pytest.raises(LifespanFailed, match="failed at shutdown: leaking"):
        async with TestClient(Application(shutdown="leaking")):
            pass


async def test_an_exception_at_startup_is_raised() -> None:
    with pytest.raises(LookupError, match="at startup"):
        async with TestClient(Application(startup="raise")):
            pass


async def test_an_exception_at_shutdown_is_raised() -> None:
    with pytest.raises(LookupError, match="at shutdown"):
        async with TestClient(Application(shutdown="raise")):
            pass


@pytest.mark.parametrize("phase", ["startup", "shutdown"])
async def test_an_application_that_returns_without_an_answer_is_reported(phase: str) -> None:
    with pytest.raises(ASGIViolation, match=f"without answering `lifespan.{phase}`"):
        async with TestClient(Application(**{phase: "return"})):
            pass


async def test_a_violation_after_a_failed_startup_is_raised() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})
        await send({"type": "lifespan.startup.complete"})

    with pytest.raises(ASGIViolation, match="answered already"):
        async with TestClient(app):
            pass


async def refusing(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    await send({"type": "http.response.start", "status": 204})
    await send({"type": "http.response.body"})


async def test_an_application_that_refuses_the_scope_is_served_without() -> None:
    async with TestClient(refusing) as client:
        assert (await client.get("/")).status == 204


async def test_a_refusal_is_raised_where_a_lifespan_is_required() -> None:
    with pytest.raises(NotImplementedError, match="lifespan"):
        async with TestClient(refusing, lifespan="on"):
            pass


async def test_the_lifespan_can_be_left_out() -> None:
    app = Application()

    async with TestClient(app, lifespan="off") as client:
        await client.get("/")
    await TestClient(app).get("/")
    assert app.log == []


async def test_a_cancelled_startup_leaves_no_task() -> None:
    tasks = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        tasks.append(asyncio.current_task())
        await asyncio.sleep(60)

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(TestClient(app).__aenter__(), 0.01)
    assert tasks[0].cancelled()


async def test_an_application_that_does_not_return_after_shutdown_is_cancelled() -> None:
    tasks = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        tasks.append(asyncio.current_task())
        while True:
            event = await receive()
            await send({"type": f"{event['type']}.complete"})

    async with TestClient(app, disconnect_timeout=0.01):
        pass
    assert tasks[0].cancelled()
