"""The table of dependency injection, row by row: we answer better than the best peer does.

Peers, in the releases that were run: FA FastAPI 0.165, LS Litestar 2.25, BS BlackSheep 2.6, RB Robyn 0.88.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import ContextVar
from typing import Annotated, Any, Generic, TypeVar

import pytest

from swift import App, Container, Depends, NotFound, Request
from swift.di import CaptiveDependency, CircularDependency, InvalidGraph, MissingService
from swift.routing import SignatureError
from swift.testing import TestClient

T = TypeVar("T")
log: list[str] = []


@pytest.fixture(autouse=True)
def forget() -> None:
    log.clear()


def new_app(**options: Any) -> App:
    return App(openapi_url=None, **options)


class Settings:
    dsn = "db://"


class Pool:
    def __init__(self, settings: Settings) -> None:
        self.dsn = settings.dsn


class Repository(Generic[T]):
    def __init__(self, pool: Pool, entity: type[T]) -> None:
        self.pool = pool
        self.entity = entity


class User: ...


async def token(request: Request) -> str:
    log.append("token")
    return request.headers["x-token"]


async def current(token: Annotated[str, Depends(token)], users: Repository[User]) -> str:
    return f"{token} of {users.pool.dsn}"


async def row_88(current: Annotated[str, Depends(current)], token: Annotated[str, Depends(token)]) -> str:
    return f"{current}, {token}"


async def test_row_88_a_nested_graph_of_functions_and_services_is_one_plan() -> None:
    """FA, LS, BS nest; here functions of `Depends`, services and generic ones stand in one graph, each made once."""
    container = Container()
    container.add_singleton(Settings)
    container.add_singleton(Pool)
    container.add_transient(Repository)
    app = new_app(container=container)
    app.get("/")(row_88)
    async with TestClient(app, headers={"x-token": "ann"}) as client:
        assert (await client.get("/")).text == "ann of db://, ann"
    assert log == ["token"]


async def session() -> AsyncIterator[str]:
    log.append("open")
    try:
        yield "session"
    except LookupError as error:
        log.append("rolled back")
        raise NotFound("There is no such thing.") from error
    else:
        log.append("committed")
    finally:
        log.append("closed")


def plain(session: Annotated[str, Depends(session)]) -> Iterator[str]:
    log.append("in")
    yield session
    log.append("out")


async def row_89(found: bool, session: Annotated[str, Depends(plain)]) -> str:
    if not found:
        raise LookupError
    return session


async def test_row_89_generators_are_torn_down_and_may_turn_an_error_into_an_answer() -> None:
    """FA and LS tear down; FA sends the answer before a failure of the teardown can change it, here an error of the
    handler is seen at each `yield`, innermost first, and what is raised there is the answer."""
    app = new_app()
    app.get("/")(row_89)
    async with TestClient(app) as client:
        assert (await client.get("/?found=true")).text == "session"
        assert log == ["open", "in", "out", "committed", "closed"]
        log.clear()
        assert (await client.get("/?found=false")).status == 404
        assert log == ["open", "in", "rolled back", "closed"]


def noting(name: str) -> Callable[[], AsyncIterator[str]]:
    async def value() -> AsyncIterator[str]:
        log.append(f"{name} made")
        yield name
        log.append(f"{name} left")

    return value


async def test_row_90_values_of_a_call_end_before_the_answer_and_of_a_request_after_it() -> None:
    """FA and BS have both; here what lives longer cannot hold what lives shorter, which is found at start."""
    app = new_app()
    call, request = noting("call"), noting("request")

    @app.get("/")
    async def stream(
        of_request: str = Depends(request), of_call: str = Depends(call, scope="call")
    ) -> AsyncIterator[str]:
        log.append("handler")

        async def chunks() -> AsyncIterator[str]:
            yield of_request
            log.append("sent")

        return chunks()

    async with TestClient(app) as client:
        await client.get("/")
    assert log == [
        "request made", "call made", "handler", "call left", "sent", "request left",
    ]  # fmt: skip

    async def captive(short: str = Depends(call, scope="call")) -> str:
        return short

    wrong = new_app()

    @wrong.get("/")
    async def show(value: str = Depends(captive)) -> str:
        return value

    with pytest.raises(SignatureError, match="whose scope 'call' ends before"):
        wrong.compile()


async def test_row_91_values_of_the_app_are_made_once_and_end_with_it() -> None:
    """BS only (FA's request is open); here by `Depends` too, made at the first use by one of those who ask together,
    and torn down when the app stops; a value of a request in it is refused at start."""
    pool = noting("pool")
    app = new_app()

    @app.get("/{n}")
    async def show(n: int, pool: str = Depends(pool, scope="app")) -> str:
        return pool

    async with TestClient(app) as client:
        await asyncio.gather(*(client.get(f"/{n}") for n in range(5)))
        assert log == ["pool made"]
    assert log == ["pool made", "pool left"]

    async def captive(request: Request) -> str:
        return request.path

    wrong = new_app()

    @wrong.get("/")
    async def keep(value: str = Depends(captive, scope="app")) -> str:
        return value

    with pytest.raises(SignatureError, match="belongs to a request"):
        wrong.compile()


async def opened(settings: Settings) -> AsyncIterator[Pool]:
    log.append("open")
    yield Pool(settings)
    log.append("closed")


async def test_row_92_the_same_container_serves_a_command_or_a_worker() -> None:
    """BS only; here asynchronously made services and their teardown too, and `with` where nothing waits."""
    container = Container()
    container.add_singleton(Settings)
    container.add_scoped(Pool, opened)
    async with container, container.scope() as scope:
        pool = await scope.get(Pool)
        assert pool is await scope.get(Pool)
        assert log == ["open"]
    assert log == ["open", "closed"]
    other = Container()
    other.add_singleton(Settings)
    other.add_scoped(Pool)
    with other.scope() as plain_scope:
        assert plain_scope.get_sync(Pool).dsn == "db://"


async def test_row_93_an_override_compiles_a_new_plan_and_costs_a_request_nothing() -> None:
    """FA rebuilt its plans at each request under an override; here nothing is looked up, and what is overridden by
    mistake is told."""
    app = new_app()

    async def clock() -> str:
        return "now"

    @app.get("/")
    async def show(time: str = Depends(clock)) -> str:
        return time

    async with TestClient(app) as client:
        with app.override(clock, lambda: "then"):
            plans = [route.plan for route in app.routes]
            assert (await client.get("/")).text == "then"
            assert [route.plan for route in app.routes] == plans
        assert (await client.get("/")).text == "now"
        with (
            pytest.raises(LookupError, match="Nothing of this app depends on `token`"),
            app.override(token, clock),
        ):
            pass


class Missing: ...


class Needs:
    def __init__(self, missing: Missing) -> None: ...


class One:
    def __init__(self, two: Two) -> None: ...


class Two:
    def __init__(self, one: One) -> None: ...


class Holder:
    def __init__(self, pool: Pool) -> None: ...


def test_row_94_all_that_is_wrong_with_a_graph_is_told_at_start() -> None:
    """LS tells of the first fault, and took exponential time for dense graphs; here all are told, in linear time."""
    container = Container()
    container.add_singleton(Settings)
    container.add_scoped(Pool)
    container.add_singleton(Holder)
    container.add_singleton(Needs)
    container.add_singleton(One)
    container.add_singleton(Two)
    with pytest.raises(InvalidGraph) as raised:
        container.validate()
    kinds = {type(problem) for problem in raised.value.problems}
    assert kinds == {MissingService, CircularDependency, CaptiveDependency}


def test_row_94_a_dense_graph_starts_in_linear_time() -> None:
    def dense(layers: int) -> App:
        providers: list[Any] = []
        for layer in range(layers):
            namespace: dict[str, Any] = {"Depends": Depends, "providers": providers}
            parameters = ", ".join(f"p{n}=Depends(providers[{n}])" for n in range(layer))
            exec(f"async def provider({parameters}): return {layer}", namespace)
            providers.append(namespace["provider"])
        app = new_app()
        app.get("/", dependencies=[providers[-1]])(index)
        return app

    async def index() -> str:
        return ""

    started = time.process_time()
    dense(60).compile()
    assert time.process_time() - started < 2


# Row 95.

running: ContextVar[str] = ContextVar("running", default="nobody")


def together(count: int) -> tuple[list[Any], asyncio.Barrier]:
    """Providers that all wait until all of them have begun."""
    barrier = asyncio.Barrier(count)

    def make(number: int) -> Any:
        async def provider() -> int:
            await barrier.wait()
            return number

        return provider

    return [make(number) for number in range(count)], barrier


async def test_row_95_independent_dependencies_wait_together_where_asked() -> None:
    """LS runs batches of a graph in task groups, asked or not; here it is asked for where it is safe, and each starts
    when what it needs is there, not when a whole batch is done."""
    (a, b, c), _ = together(3)
    app = new_app()

    async def of_a(a: int = Depends(a, concurrent=True)) -> str:
        return f"of {a}"

    @app.get("/")
    async def show(
        first: str = Depends(of_a, concurrent=True),
        b: int = Depends(b, concurrent=True),
        request: Any = Depends(token),
        c: int = Depends(c, concurrent=True),
    ) -> list[Any]:
        return [first, b, request, c]

    async with TestClient(app, headers={"x-token": "t"}) as client, asyncio.timeout(30):
        assert (await client.get("/")).json() == ["of 0", 1, "t", 2]


async def test_row_95_each_starts_as_soon_as_what_it_needs_is_there() -> None:
    slow_may_end = asyncio.Event()

    async def quick() -> str:
        return "quick"

    async def slow() -> str:
        await slow_may_end.wait()
        return "slow"

    async def after_quick(quick: str = Depends(quick, concurrent=True)) -> str:
        slow_may_end.set()
        return f"after {quick}"

    app = new_app()

    @app.get("/")
    async def show(
        slow: str = Depends(slow, concurrent=True), after: str = Depends(after_quick, concurrent=True)
    ) -> list[str]:
        return [slow, after]

    async with TestClient(app) as client, asyncio.timeout(30):
        assert (await client.get("/")).json() == ["slow", "after quick"]


async def test_row_95_an_error_is_raised_as_it_is_and_cancels_the_others() -> None:
    cancelled = asyncio.Event()

    async def fails() -> str:
        await asyncio.sleep(0)
        raise NotFound("Nothing.")

    async def waits() -> str:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return ""

    async def behind(fails: str = Depends(fails, concurrent=True)) -> str:
        return "never"

    app = new_app()

    @app.get("/")
    async def show(
        session: str = Depends(session),
        behind: str = Depends(behind, concurrent=True),
        waits: str = Depends(waits, concurrent=True),
    ) -> str:
        return "never"

    async with TestClient(app) as client, asyncio.timeout(30):
        response = await client.get("/")
    assert (response.status, response.problem.detail) == (404, "Nothing.")
    assert cancelled.is_set()
    assert log == ["open", "closed"]


@pytest.mark.parametrize("provider", [session, plain, Settings, lambda: 1])
def test_row_95_what_is_not_safe_is_refused_at_start(provider: Any) -> None:
    app = new_app()
    app.get("/", dependencies=[Depends(provider, concurrent=True)])(row_88)
    with pytest.raises(SignatureError, match="cannot run concurrently"):
        app.compile()


def test_row_95_a_value_of_the_app_is_not_made_concurrently() -> None:
    app = new_app()
    app.get("/", dependencies=[Depends(token, scope="app", concurrent=True)])(row_88)
    with pytest.raises(SignatureError, match="made once"):
        app.compile()


async def test_row_95_one_alone_runs_as_ever() -> None:
    async def sets() -> str:
        running.set("request")
        return "set"

    app = new_app()

    @app.get("/")
    async def show(value: str = Depends(sets, concurrent=True)) -> str:
        return running.get()

    async with TestClient(app) as client:
        assert (await client.get("/")).text == "request"
