"""The application: its life, its errors, its end, and what it costs."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from types import FrameType
from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta

from swift import (
    App,
    Conflict,
    NotFound,
    Problem,
    Query,
    Request,
    Response,
    Router,
    StreamingResponse,
    TextResponse,
)
from swift.middleware import CORSMiddleware
from swift.testing import LifespanFailed, TestClient

Scope = dict[str, Any]
ORIGIN = "https://app.example.com"


class Item(msgspec.Struct):
    name: str
    price: Annotated[int, Meta(ge=0)] = 0


async def passing(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    return await call_next(request)


def client_of(app: Any, **options: Any) -> TestClient:
    return TestClient(app, raise_server_exceptions=False, **options)


def http_scope(
    path: str, method: str = "GET", headers: Mapping[str, str] | None = None, query: str = ""
) -> Scope:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in (headers or {}).items()],
        "client": ("127.0.0.1", 50000),
        "server": ("testserver", 80),
    }


# Start.


async def test_the_lifespan_is_entered_before_the_first_request_and_left_after_the_last() -> None:
    order: list[str] = []

    @asynccontextmanager
    async def lifespan(app: App) -> AsyncIterator[None]:
        order.append("entered")
        yield
        order.append("left")

    app = App(openapi_url=None, lifespan=lifespan)

    @app.get("/")
    async def index() -> str:
        order.append("request")
        return ""

    async with client_of(app) as client:
        await client.get("/")
        await client.get("/")
    assert order == ["entered", "request", "request", "left"]


async def test_what_the_lifespan_yields_is_the_state_of_app_and_requests() -> None:
    @asynccontextmanager
    async def lifespan(app: App) -> AsyncIterator[dict[str, Any]]:
        yield {"pool": "the pool"}

    app = App(openapi_url=None, lifespan=lifespan)

    @app.get("/")
    async def index(request: Request) -> list[str]:
        return [request.app.state.pool, request.scope["state"]["pool"]]

    async with client_of(app) as client:
        assert (await client.get("/")).json() == ["the pool", "the pool"]


async def test_the_state_of_one_request_is_not_that_of_another() -> None:
    app = App(openapi_url=None)

    @app.get("/{name}")
    async def index(request: Request, name: str) -> list[str]:
        request.state[name] = True
        await asyncio.sleep(0)
        return sorted(request.state)

    async with client_of(app) as client:
        answers = await asyncio.gather(*(client.get(f"/{name}") for name in "abc"))
    assert [answer.json() for answer in answers] == [["a"], ["b"], ["c"]]


async def test_without_a_lifespan_of_the_server_the_first_request_starts_the_app_once() -> None:
    entered = 0

    @asynccontextmanager
    async def lifespan(app: App) -> AsyncIterator[None]:
        nonlocal entered
        entered += 1
        # So that other requests arrive while the app starts.
        await asyncio.sleep(0)
        yield

    app = App(openapi_url=None, lifespan=lifespan)

    @app.get("/")
    async def index() -> str:
        return "served"

    client = client_of(app, lifespan="off")
    answers = await asyncio.gather(*(client.get("/") for _ in range(5)))
    assert [answer.text for answer in answers] == ["served"] * 5
    assert entered == 1
    await app.stop()


async def test_a_mistake_in_a_route_keeps_the_app_from_starting_and_says_which() -> None:
    app = App(openapi_url=None)

    @app.get("/")
    async def index(*everything: str) -> None: ...

    with pytest.raises(LifespanFailed, match="The handler `index` of / takes"):
        async with client_of(app):
            pass


async def test_a_lifespan_that_fails_is_told_to_the_server_and_may_be_tried_again() -> None:
    attempts = 0

    @asynccontextmanager
    async def lifespan(app: App) -> AsyncIterator[None]:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            raise ConnectionError("The database does not answer.")
        yield

    app = App(openapi_url=None, lifespan=lifespan)
    app.add_route("/", passing_text)
    with pytest.raises(LifespanFailed, match="The database does not answer"):
        async with client_of(app):
            pass
    async with client_of(app) as client:
        assert (await client.get("/")).status == 200


async def passing_text() -> str:
    return "text"


async def test_what_was_entered_before_a_failure_is_left_again() -> None:
    order: list[str] = []

    @asynccontextmanager
    async def child_lifespan(app: App) -> AsyncIterator[None]:
        order.append("child entered")
        yield
        order.append("child left")

    @asynccontextmanager
    async def lifespan(app: App) -> AsyncIterator[None]:
        raise RuntimeError("no")
        yield  # type: ignore[unreachable]

    app = App(openapi_url=None, lifespan=lifespan)
    app.mount("/child", App(openapi_url=None, lifespan=child_lifespan))
    with pytest.raises(LifespanFailed):
        async with client_of(app):
            pass
    assert order == ["child entered", "child left"]


async def test_an_app_may_be_started_stopped_and_started_again() -> None:
    app = App(openapi_url=None)

    @app.get("/")
    def blocking() -> str:
        return "served"

    for _ in range(3):
        async with client_of(app) as client:
            assert (await client.get("/")).text == "served"


async def test_lifespans_nest_as_the_apps_do() -> None:
    order: list[str] = []

    def noting(name: str) -> Any:
        @asynccontextmanager
        async def lifespan(app: Any) -> AsyncIterator[None]:
            order.append(f"+{name}")
            yield
            order.append(f"-{name}")

        return lifespan

    child = App(openapi_url=None, lifespan=noting("child"))
    app = App(openapi_url=None, lifespan=noting("app"))
    app.mount("/child", child)
    async with client_of(app):
        assert order == ["+child", "+app"]
    assert order == ["+child", "+app", "-app", "-child"]


async def test_a_context_variable_of_the_lifespan_can_be_reset_where_it_was_set() -> None:
    current: contextvars.ContextVar[str] = contextvars.ContextVar("current")

    @asynccontextmanager
    async def lifespan(app: App) -> AsyncIterator[None]:
        token = current.set("set")
        yield
        # ValueError in another context than the one it was made in.
        current.reset(token)

    app = App(openapi_url=None, lifespan=lifespan)
    app.add_route("/", passing_text)
    client = client_of(app, lifespan="off")
    assert (await client.get("/")).text == "text"
    await asyncio.create_task(app.stop())


# Errors.


class Oops(Exception):
    pass


class WorseOops(Oops):
    pass


def failing_app(error_handlers: Any = None, **options: Any) -> App:
    app = App(openapi_url=None, error_handlers=error_handlers, max_body_size=100, **options)

    @app.get("/problem/{status}")
    async def problem(status: int) -> None:
        raise Problem("Declared.", status=status)

    @app.get("/conflict")
    async def conflict() -> None:
        raise Conflict("Taken.")

    @app.get("/worse")
    async def worse() -> None:
        raise WorseOops("hunter2")

    @app.get("/unknown")
    async def unknown() -> None:
        raise RuntimeError("hunter2")

    @app.get("/thread")
    def thread() -> None:
        raise RuntimeError("hunter2")

    @app.get("/later")
    async def later(request: Request) -> None:
        await asyncio.sleep(0)
        raise RuntimeError("hunter2")

    @app.post("/items")
    async def create(item: Item) -> Item:
        return item

    return app


def answering(text: str, status: int = 200) -> Callable[[Request, Exception], Response]:
    def handler(request: Request, error: Exception) -> Response:
        return TextResponse(f"{text} {type(error).__name__}", status)

    return handler


async def answering_later(request: Request, error: Exception) -> Response:
    await asyncio.sleep(0)
    return TextResponse(f"later {type(error).__name__}")


@pytest.mark.parametrize("middleware", [[], [passing]], ids=["direct", "through middleware"])
@pytest.mark.parametrize(
    ("handlers", "path", "text"),
    [
        ({Oops: answering("base")}, "/worse", "base WorseOops"),
        ({Oops: answering("base"), WorseOops: answering("own")}, "/worse", "own WorseOops"),
        ({Exception: answering("any")}, "/worse", "any WorseOops"),
        ({Oops: answering_later}, "/worse", "later WorseOops"),
        ({Conflict: answering("class")}, "/conflict", "class Conflict"),
        ({409: answering("status")}, "/conflict", "status Conflict"),
        # A status says more than a class.
        ({409: answering("status"), Problem: answering("class")}, "/conflict", "status Conflict"),
        ({418: answering("status")}, "/problem/418", "status Problem"),
        ({Problem: answering("class")}, "/problem/503", "class Problem"),
        # Misses and refusals too are problems.
        ({404: answering("status")}, "/nothing", "status NotFound"),
        ({NotFound: answering("class")}, "/nothing", "class NotFound"),
        ({405: answering("status")}, "/items", "status MethodNotAllowed"),
        ({422: answering("status")}, "/problem/x", "status BadRequest"),
        # What nothing else answers.
        ({500: answering("status", 500)}, "/unknown", "status RuntimeError"),
        ({500: answering("status", 500)}, "/thread", "status RuntimeError"),
        ({500: answering("status", 500)}, "/later", "status RuntimeError"),
        ({RuntimeError: answering("class")}, "/later", "class RuntimeError"),
        ({500: answering("status", 500), RuntimeError: answering("class")}, "/unknown", "class RuntimeError"),
    ],
)
async def test_the_most_fitting_error_handler_answers(
    handlers: Any, path: str, text: str, middleware: list[Any]
) -> None:
    async with client_of(failing_app(handlers, middleware=middleware)) as client:
        assert (await client.get(path)).text == text


async def test_a_handler_may_be_registered_by_decorator() -> None:
    app = failing_app()

    @app.on_error(Oops)
    async def oops(request: Request, error: Oops) -> Response:
        return TextResponse(str(error))

    @app.on_error(404)
    def missing(request: Request, error: Problem) -> Response:
        return TextResponse(request.path, 404)

    async with client_of(app) as client:
        assert (await client.get("/worse")).text == "hunter2"
        assert (await client.get("/nothing")).text == "/nothing"


@pytest.mark.parametrize("middleware", [[], [passing]], ids=["direct", "through middleware"])
@pytest.mark.parametrize("path", ["/unknown", "/thread", "/worse", "/later"])
async def test_an_unhandled_exception_is_a_problem_that_tells_nothing_and_is_logged_once(
    path: str, middleware: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    async with client_of(failing_app(middleware=middleware)) as client:
        with caplog.at_level(logging.ERROR):
            response = await client.get(path)
    assert (response.status, response.problem.detail) == (500, "The server failed to answer this request.")
    assert "hunter2" not in response.text
    assert [record.name for record in caplog.records] == ["swift.error"]
    assert "hunter2" in caplog.text


async def test_a_test_sees_the_exception_itself() -> None:
    async with TestClient(failing_app()) as client:
        with pytest.raises(RuntimeError, match="hunter2"):
            await client.get("/unknown")


async def test_an_exception_with_a_500_handler_is_logged_all_the_same(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with client_of(failing_app({500: answering("sorry", 500)})) as client:
        with caplog.at_level(logging.ERROR):
            assert (await client.get("/unknown")).text == "sorry RuntimeError"
    assert "hunter2" in caplog.text


async def raising(request: Request, error: Exception) -> Response:
    raise KeyError("hunter2")


def returning_text(request: Request, error: Exception) -> Any:
    return "hunter2"


class Unsendable(Response):
    """Fails before it has sent anything."""

    streaming = True
    attempts = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        Unsendable.attempts += 1
        raise Oops("hunter2")


def returning_unsendable(request: Request, error: Exception) -> Response:
    return Unsendable()


@pytest.mark.parametrize("handler", [raising, returning_text, returning_unsendable])
async def test_an_error_handler_that_fails_itself_leads_to_the_500_problem(handler: Any) -> None:
    Unsendable.attempts = 0
    async with client_of(failing_app({Oops: handler})) as client:
        response = await client.get("/worse")
    assert (response.status, response.problem.detail) == (500, "The server failed to answer this request.")
    assert "hunter2" not in response.text
    # Not tried again and again.
    assert Unsendable.attempts <= 2


async def test_a_response_that_fails_before_it_starts_is_a_500_problem() -> None:
    app = App(openapi_url=None)

    @app.get("/")
    async def unsendable() -> Response:
        return Unsendable()

    async with client_of(app) as client:
        assert (await client.get("/")).problem.status == 500


async def test_a_response_that_a_middleware_broke_is_a_500_problem() -> None:
    async def breaking(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await call_next(request)
        response.body = 5  # type: ignore[assignment]
        return response

    app = App(openapi_url=None, middleware=[breaking])
    app.add_route("/", passing_text)
    async with client_of(app) as client:
        assert (await client.get("/")).problem.status == 500


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        ("POST", "/items", {"json": {"name": "tea"}}, 200),
        ("GET", "/problem/400", {}, 400),
        ("GET", "/nothing", {}, 404),
        ("GET", "/items", {}, 405),
        ("POST", "/items", {"json": {"name": "tea"}, "headers": {"accept": "text/html"}}, 406),
        ("POST", "/items", {"content": b"x" * 101, "headers": {"content-type": "application/json"}}, 413),
        ("POST", "/items", {"content": b"{}", "headers": {"content-type": "text/plain"}}, 415),
        ("POST", "/items", {"json": {}}, 422),
        ("POST", "/items", {"content": b"{", "headers": {"content-type": "application/json"}}, 400),
        ("GET", "/unknown", {}, 500),
        ("GET", "/thread", {}, 500),
        ("GET", "/later", {}, 500),
        ("HEAD", "/nothing", {}, 404),
    ],
)
async def test_the_error_boundary_is_inside_of_cors(
    method: str, path: str, options: Any, status: int
) -> None:
    app = failing_app(middleware=[CORSMiddleware([ORIGIN]), passing])
    headers = {**options.pop("headers", {}), "origin": ORIGIN}
    async with client_of(app) as client:
        response = await client.request(method, path, headers=headers, **options)
    assert response.status == status
    assert response.headers["access-control-allow-origin"] == ORIGIN


async def test_middleware_may_roll_back_and_let_the_exception_go_on() -> None:
    seen: list[str] = []

    async def rolling_back(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        try:
            return await call_next(request)
        except Oops:
            seen.append("rolled back")
            raise

    async with client_of(failing_app(middleware=[rolling_back])) as client:
        assert (await client.get("/worse")).status == 500
    assert seen == ["rolled back"]


async def test_an_exception_of_a_middleware_is_answered_too() -> None:
    async def failing(request: Request, call_next: Any) -> Response:
        raise Oops("hunter2")

    async with client_of(failing_app({Oops: answering("handled")}, middleware=[failing])) as client:
        for path in ("/conflict", "/nothing"):
            response = await client.get(path)
            assert (response.status, response.problem.status) == (500, 500)


async def test_cancelling_a_request_is_not_an_error_of_it(caplog: pytest.LogCaptureFixture) -> None:
    app = App(openapi_url=None)
    waiting, cleaned = asyncio.Event(), False

    @app.get("/")
    async def wait() -> None:
        nonlocal cleaned
        try:
            waiting.set()
            await asyncio.Event().wait()
        finally:
            cleaned = True

    await app.start()
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    task = asyncio.ensure_future(app(http_scope("/"), receive, send))
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await app.stop()
    assert cleaned
    assert sent == []
    assert caplog.records == []


async def test_a_wrapper_that_repeats_the_body_does_not_stall_a_stream() -> None:
    app = App(openapi_url=None)

    @app.get("/")
    async def numbers() -> AsyncIterator[int]:
        for number in range(3):
            await asyncio.sleep(0)
            yield number

    sent: list[bytes] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message.get("body", b""))

    await app.start()
    await app(http_scope("/"), receive, send)
    await app.stop()
    assert b"".join(sent) == b"0\n1\n2\n"


# Stop.


async def test_stopping_waits_for_the_work_after_responses() -> None:
    order: list[str] = []
    go_on = asyncio.Event()

    @asynccontextmanager
    async def lifespan(app: App) -> AsyncIterator[None]:
        yield
        order.append("lifespan left")

    async def work() -> None:
        await go_on.wait()
        order.append("work done")

    app = App(openapi_url=None, lifespan=lifespan)

    @app.get("/")
    async def index(request: Request) -> str:
        request.after_response(work)
        return "answered"

    await app.start()
    client = client_of(app, lifespan="off")
    assert (await client.get("/")).text == "answered"
    stopping = asyncio.ensure_future(app.stop())
    await asyncio.sleep(0)
    assert not stopping.done()
    go_on.set()
    async with asyncio.timeout(30):
        await stopping
    # What the work needs, a pool say, is there until it is done.
    assert order == ["work done", "lifespan left"]


async def test_work_that_does_not_end_is_cancelled_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    cancelled = False

    async def endless() -> None:
        nonlocal cancelled
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled = True
            raise

    app = App(openapi_url=None, shutdown_timeout=0.01)

    @app.get("/")
    async def index(request: Request) -> str:
        request.after_response(endless)
        return ""

    async with client_of(app) as client:
        await client.get("/")
    assert cancelled
    assert "did not end within 0.01 s and is cancelled" in caplog.text


async def test_work_of_every_kind_is_drained(caplog: pytest.LogCaptureFixture) -> None:
    done: list[str] = []
    app = App(openapi_url=None)

    def blocking(note: str) -> None:
        done.append(f"{note} {threading.current_thread() is not threading.main_thread()}")

    async def failing() -> None:
        raise RuntimeError("hunter2")

    async def waiting(note: str) -> None:
        await asyncio.sleep(0)
        done.append(note)

    @app.get("/plain")
    async def plain(request: Request) -> str:
        for function, note in ((blocking, "blocking"), (waiting, "waiting")):
            request.after_response(function, note)
        request.after_response(failing)
        request.after_response(waiting, note="after the failure")
        return ""

    @app.get("/stream")
    async def stream(request: Request) -> AsyncIterator[str]:
        request.after_response(waiting, "stream")
        yield "a"

    @app.get("/thread")
    def thread(request: Request) -> str:
        request.after_response(waiting, "thread")
        return ""

    @app.get("/fails")
    async def fails(request: Request) -> str:
        request.after_response(waiting, "failed request")
        raise NotFound("Nothing.")

    async with client_of(app) as client:
        for path in ("/plain", "/stream", "/thread", "/fails"):
            await client.get(path)
    assert sorted(done) == sorted(
        ["blocking True", "waiting", "after the failure", "stream", "thread", "failed request"]
    )
    assert done.index("blocking True") < done.index("waiting") < done.index("after the failure")
    assert "Work after a response failed in `failing`." in caplog.text


async def test_the_answer_is_sent_before_the_work_begins() -> None:
    order: list[str] = []
    app = App(openapi_url=None)

    @app.get("/")
    async def index(request: Request) -> str:
        request.after_response(order.append, "work")
        return ""

    await app.start()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        await asyncio.sleep(0)
        order.append(message["type"])

    await app(http_scope("/"), receive, send)
    await app.stop()
    assert order == ["http.response.start", "http.response.body", "work"]


async def test_stopping_frees_the_threads() -> None:
    app = App(openapi_url=None)

    @app.get("/")
    def blocking() -> str:
        return threading.current_thread().name

    before = threading.active_count()
    async with client_of(app) as client:
        names = {(await client.get("/")).text for _ in range(5)}
        threads = [thread for thread in threading.enumerate() if thread.name in names]
        assert threads
    for thread in threads:
        thread.join(30)
    assert threading.active_count() <= before


# Two apps in one process.


async def test_two_apps_in_one_process_share_nothing() -> None:
    def make(name: str) -> App:
        async def naming(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
            response = await call_next(request)
            response.headers["x-app"] = name
            return response

        app = App(
            openapi_url=None,
            title=name,
            middleware=[naming],
            error_handlers={LookupError: lambda request, error: TextResponse(f"{name} handled")},
            converters={"upper": lambda text: f"{name}:{text}"},
            max_threads=1,
        )
        app.state.name = name

        @app.get("/state")
        async def state(request: Request) -> str:
            return f"{request.app.state.name} {request.app.title}"

        @app.get("/fails")
        async def fails() -> None:
            raise LookupError

        @app.get("/convert/{x:upper}")
        async def convert(x: str) -> str:
            return x

        @app.get("/thread")
        def thread(request: Request) -> str:
            return str(request.app.state.name)

        return app

    apps = [make("first"), make("second")]
    async with client_of(apps[0]) as first, client_of(apps[1]) as second:
        for name, client in (("first", first), ("second", second), ("first", first)):
            assert (await client.get("/state")).text == f"{name} {name}"
            assert (await client.get("/fails")).text == f"{name} handled"
            assert (await client.get("/convert/x")).text == f"{name}:x"
            assert (await client.get("/thread")).headers["x-app"] == name
    # Stopping one leaves the other running.
    async with client_of(apps[1]) as second:
        async with client_of(apps[0]):
            pass
        assert (await second.get("/thread")).text == "second"


# What it costs.


async def drain(message: dict[str, Any]) -> None:
    pass


def receiving(body: bytes) -> Callable[[], Awaitable[dict[str, Any]]]:
    """A server's `receive`: the body, then nothing until the client leaves, which it does not."""
    given = False

    async def receive() -> dict[str, Any]:
        nonlocal given
        if given:
            await asyncio.get_running_loop().create_future()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


def costed_app(**options: Any) -> App:
    app = App(openapi_url=None, **options)

    @app.get("/items/{id:int}")
    async def show(id: int, q: str, limit: int = 20) -> Item:
        return Item(q, limit)

    @app.post("/items")
    async def create(item: Item) -> Item:
        return item

    @app.get("/plain")
    async def plain() -> str:
        return "plain"

    @app.get("/search")
    async def search(
        request: Request,
        tags: Annotated[list[str], Query()] = [],  # noqa: B006
        page: int = 1,
    ) -> list[str]:
        request.state["seen"] = True
        return [*tags, *request.headers, *request.cookies]

    @app.get("/stream")
    async def stream() -> AsyncIterator[int]:
        yield 1
        yield 2

    @app.get("/streamed")
    async def streamed() -> Response:
        return StreamingResponse(iter([b"a"]))

    @app.get("/suspends")
    async def suspends() -> str:
        await asyncio.sleep(0)
        return "done"

    @app.get("/thread")
    def thread() -> str:
        return "thread"

    @app.get("/fails")
    async def fails() -> None:
        raise NotFound("No such thing.")

    return app


async def calls_of(app: App, scope: Scope, body: bytes = b"") -> int:
    """How many Python functions are entered for one request, those of the server among them."""
    calls = 0

    def profile(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event == "call"

    # Once to be warm; the second is counted.
    await app(dict(scope), receiving(body), drain)
    receive = receiving(body)
    sys.setprofile(profile)
    try:
        await app(scope, receive, drain)
    finally:
        sys.setprofile(None)
    return calls


HEADERS = {
    "host": "testserver",
    "accept": "*/*",
    "user-agent": "test",
    "accept-encoding": "gzip, deflate",
    "connection": "keep-alive",
}


async def test_a_typed_get_takes_at_most_fifteen_python_calls() -> None:
    app = costed_app()
    await app.start()
    scope = http_scope("/items/7", headers=HEADERS, query="q=tea&limit=5")
    calls = await calls_of(app, scope)
    # At least the app, the handler and two sends: the count is a real one.
    assert 4 <= calls <= 15
    await app.stop()


async def test_a_validated_post_takes_at_most_twenty_python_calls() -> None:
    app = costed_app()
    await app.start()
    body = b'{"name": "tea", "price": 3}'
    headers = {**HEADERS, "content-type": "application/json", "content-length": str(len(body))}
    calls = await calls_of(app, http_scope("/items", "POST", headers), body)
    assert 5 <= calls <= 20
    await app.stop()


async def test_unused_machinery_costs_no_calls() -> None:
    """What an app has for other routes is nothing to a plain one."""
    bare = App(openapi_url=None)
    bare.add_route("/plain", passing_text)
    router = Router("/other", middleware=[passing], error_handlers={Oops: raising})
    router.add_route("/x", passing_text, name="x")
    rich = App(
        openapi_url=None,
        routers=[router, Router(host="other.example.com")],
        error_handlers={404: answering("missing"), Oops: raising},
        trailing_slash="merge",
    )
    rich.mount("/mounted", bare)
    rich.add_route("/plain", passing_text)
    await bare.start()
    await rich.start()
    scope = http_scope("/plain", headers=HEADERS)
    assert await calls_of(rich, dict(scope)) == await calls_of(bare, dict(scope))
    await rich.stop()
    await bare.stop()


@pytest.mark.parametrize("middleware", [[], [passing]], ids=["direct", "through middleware"])
async def test_memory_stays_flat_over_many_requests(middleware: list[Any]) -> None:
    # One thread each: a pool that starts another one, as it may at any time, would look like a leak.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    app = costed_app(middleware=middleware, max_threads=1)
    posted = {"content-type": "application/json"}
    requests = [
        (http_scope("/items/7", headers=HEADERS, query="q=tea"), b""),
        (http_scope("/items/7", headers=HEADERS, query="q=tea&limit=x"), b""),
        (http_scope("/items", "POST", posted), b'{"name": "tea"}'),
        (http_scope("/items", "POST", posted), b'{"name": 1}'),
        (http_scope("/items", "POST", posted), b'{"name'),
        (http_scope("/plain", headers={**HEADERS, "cookie": "a=b"}), b""),
        (http_scope("/search", headers=HEADERS, query="tags=a&tags=b"), b""),
        (http_scope("/stream"), b""),
        (http_scope("/streamed"), b""),
        (http_scope("/suspends"), b""),
        (http_scope("/thread"), b""),
        (http_scope("/fails"), b""),
        (http_scope("/nothing"), b""),
        (http_scope("/plain", "DELETE"), b""),
        (http_scope("/plain/"), b""),
    ]
    await app.start()

    async def rounds(count: int) -> None:
        for number in range(count):
            for scope, body in requests:
                # A path of its own each time: no cache may grow with what clients think of.
                path = scope["path"] + (str(number) if scope["path"] == "/nothing" else "")
                await app({**scope, "path": path}, receiving(body), drain)

    await rounds(30)
    tracemalloc.start()
    try:
        await rounds(10)
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        await rounds(100)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    await app.stop()
    # 1500 requests; one object kept of each kind of request would be 100 times 48 bytes.
    assert after - before < 4000


async def test_requests_leave_no_cycles_to_the_garbage_collector() -> None:
    app = costed_app()
    await app.start()
    body = b'{"name": "tea"}'
    requests = [
        (http_scope("/items/7", headers=HEADERS, query="q=tea"), b""),
        (http_scope("/items", "POST", {"content-type": "application/json"}), body),
        (http_scope("/search", headers=HEADERS, query="tags=a"), b""),
        (http_scope("/suspends"), b""),
        (http_scope("/nothing"), b""),
    ]
    for scope, content in requests:
        await app(dict(scope), receiving(content), drain)
    gc.collect()
    gc.disable()
    try:
        for _ in range(50):
            for scope, content in requests:
                await app(dict(scope), receiving(content), drain)
        assert gc.collect() < 50
    finally:
        gc.enable()
    await app.stop()


def run_fresh(code: str) -> str:
    """What a fresh interpreter prints; without the site's own `.pth` files being measured along."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    return done.stdout


def test_importing_and_making_an_app_loads_at_most_250_modules() -> None:
    code = "import sys\nbare = len(sys.modules)\nimport swift\nswift.App()\nprint(len(sys.modules) - bare)"
    # A bare CPython 3.11 has 68 modules; later ones have a few more, which are not ours. What asyncio and traceback
    # import is three more from 3.13 on (`_colorize`, `_opcode_metadata`, `_tokenize`).
    assert int(run_fresh(code)) <= 250 - 68 + 3 * (sys.version_info >= (3, 13))


def test_heavy_parts_are_not_imported_before_they_are_used() -> None:
    code = "import sys\nimport swift\nswift.App()\nprint(*sys.modules)"
    loaded = set(run_fresh(code).split())
    heavy = {
        "sqlalchemy", "alembic", "click", "python_multipart", "brotli", "zstandard", "aiosqlite", "sqlite3",
        "hypercorn", "uvicorn", "uvloop", "swift.engines", "swift.models", "swift.openapi", "swift.testing",
        "swift.cli", "email", "http.client", "urllib.request", "xml", "multiprocessing", "unittest",
    }  # fmt: skip
    assert loaded & heavy == set()


def test_importing_and_making_an_app_costs_at_most_three_times_asyncio_and_msgspec() -> None:
    """asyncio and msgspec are what any framework on this ground imports; the time is the processor's."""
    ending = "\nimport time\nprint(time.process_time())"

    def cost(code: str) -> float:
        return float(run_fresh(code + ending))

    ground, ours = [], []
    # Alternating, and the least of each: the neighbours of a shared machine come and go.
    for _ in range(7):
        ground.append(cost("import asyncio, msgspec"))
        ours.append(cost("import swift\nswift.App()"))
    assert min(ours) < 3 * min(ground)


def test_the_times_of_a_shutdown_fit_into_the_30_seconds_of_kubernetes() -> None:
    from swift.cli.run import command

    (serving,) = [option.default for option in command.params if option.name == "graceful_timeout"]
    # Some are left for the lifespan.
    assert serving + App().shutdown_timeout <= 25


@pytest.mark.parametrize("kind", ["announced", "streamed", "by the handler"])
@pytest.mark.parametrize(("version", "connection"), [("1.1", "close"), ("1.0", "close"), ("2", None)])
async def test_http_1_ends_with_a_body_that_is_too_large(
    kind: str, version: str, connection: str | None
) -> None:
    """What the client still sends would be taken for its next request (RFC 9110 section 15.5.14)."""
    app = App(max_body_size=10, openapi_url=None)

    @app.post("/typed")
    async def typed(data: dict[str, int]) -> None: ...

    @app.post("/read")
    async def read(request: Request) -> int:
        return len(await request.body())

    async def parts() -> AsyncIterator[bytes]:
        for _ in range(9):
            yield b"x" * 9

    content: Any = b"x" * 11 if kind == "announced" else parts()
    path = "/read" if kind == "by the handler" else "/typed"
    async with TestClient(app, http_version=version) as client:
        response = await client.post(path, content=content, headers={"content-type": "application/json"})
    assert (response.status, response.headers.get("connection")) == (413, connection)


@pytest.mark.parametrize(
    ("root_path", "path", "url"),
    [
        ("", "/a b", "http://testserver/a%20b?q=1"),
        ("/shop", "/shop/x", "http://testserver/shop/x?q=1"),
        ("/shop/", "/shop/x", "http://testserver/shop/x?q=1"),
        ("/shop", "/x", "http://testserver/shop/x?q=1"),
        ("/shop", "/shopping", "http://testserver/shop/shopping?q=1"),
        ("/shop", "/shop", "http://testserver/shop?q=1"),
    ],
)
def test_the_url_of_a_request_has_its_root_path_whatever_the_server_sends(
    root_path: str, path: str, url: str
) -> None:
    """ASGI has the root path in `path`; some servers leave it out."""
    scope = {
        "type": "http", "method": "GET", "path": path, "root_path": root_path, "query_string": b"q=1",
        "scheme": "http", "headers": [(b"host", b"testserver")],
    }  # fmt: skip
    assert Request(scope).url == url


async def test_a_type_is_compiled_once_for_json_of_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    import swift.schemas

    compiled: list[Any] = []
    original = swift.schemas.compile_body
    monkeypatch.setattr(
        swift.schemas,
        "compile_body",
        lambda type_, **options: compiled.append(type_) or original(type_, **options),
    )
    app = App(openapi_url=None)

    @app.post("/")
    async def read(request: Request) -> Any:
        return await request.json(dict[str, set[int]])

    async with TestClient(app) as client:
        for _ in range(3):
            assert (await client.post("/", json={"a": [1]})).json() == {"a": [1]}
        assert (await client.post("/", json={"a": "x"})).problem.codes == {"/body/a": "type"}
    assert compiled == [dict[str, set[int]]]


def test_a_problem_in_the_responses_of_a_route_tells_nothing_of_ours() -> None:
    class Gone(Problem):
        """The account was closed."""

        status = 410

    app = App()

    @app.get("/", responses={410: Problem, 409: Conflict, 411: Gone})
    async def show() -> None: ...

    answers = app.openapi()["paths"]["/"]["get"]["responses"]
    assert {status: answers[status]["description"] for status in ("410", "409", "411")} == {
        "410": "Gone",
        "409": "The request conflicts with the present state of the resource.",
        "411": "The account was closed.",
    }
