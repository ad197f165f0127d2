"""`Depends`: nested functions as one flat plan, run in order, torn down in an order that never varies."""

# Without postponed annotations: those of handlers here name local functions.

import asyncio
import inspect
import itertools
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, get_type_hints

import pytest

from swift.di import (
    AppScope,
    CaptiveDependency,
    CircularDependency,
    Container,
    DependencyGraph,
    DependencyPlan,
    Depends,
    Exits,
    GraphError,
    Inject,
    Keyed,
    MissingService,
    run,
)

log: list[str] = []


@pytest.fixture(autouse=True)
def _reset() -> None:
    log.clear()


class Hops:
    """Counts the trips to a thread."""

    def __init__(self) -> None:
        self.count = 0

    async def __call__(self, function: Callable[..., Any], *arguments: Any) -> Any:
        self.count += 1
        return await asyncio.to_thread(function, *arguments)


class Endpoint:
    """What a framework makes of a handler: positions for the request's parameters, a plan for the rest."""

    def __init__(self, handler: Callable[..., Any], *required: Any, **options: Any) -> None:
        self.handler = handler
        self.slots: dict[int, str] = {}
        self._positions = itertools.count()
        graph = DependencyGraph(self.add, self._positions.__next__, **options)
        hints = get_type_hints(handler, include_extras=True)
        for dependency in required:
            graph.require(dependency)
        self.arguments = []
        for parameter in inspect.signature(handler).parameters.values():
            annotation = hints.get(parameter.name, parameter.empty)
            position = graph.position_of(parameter, annotation)
            self.arguments.append(self.add(parameter, annotation) if position is None else position)
        self.plan = graph.build()

    def add(self, parameter: inspect.Parameter, annotation: Any) -> int:
        for position, name in self.slots.items():
            if name == parameter.name:
                return position
        position = next(self._positions)
        self.slots[position] = parameter.name
        return position

    def invoke(self, values: list[Any]) -> Any:
        return self.handler(*[values[position] for position in self.arguments])

    async def __call__(self, in_thread: Any = None, **given: Any) -> Any:
        """As graph.py and `Exits` say that a request goes."""
        values = [None] * next(self._positions)
        self._positions = itertools.count(len(values))
        for position, name in self.slots.items():
            values[position] = given[name]
        if self.plan is None:
            return await self._finish(self.invoke(values))
        exits = Exits(in_thread) if self.plan.needs_exits else None
        try:
            await run(self.plan, values, exits, in_thread)
            response = await self._finish(self.invoke(values))
            if exits is not None:
                await exits.close_call()
        except BaseException as error:
            if exits is None or (left := await exits.fail(error)) is error:
                raise
            raise left from left.__cause__ or error
        log.append("sent")
        if exits is not None:
            await exits.close_request()
        return response

    async def _finish(self, result: Any) -> Any:
        return await result if isinstance(result, Awaitable) else result


def provider(name: str, *needs: Any, scope: Any = "request", kind: str = "generator") -> Any:
    """A Depends on a function that logs its making and its end."""

    def plain(*arguments: Any) -> str:
        log.append(f"{name} +")
        return name

    def generator(*arguments: Any) -> Iterator[str]:
        log.append(f"{name} +")
        yield name
        log.append(f"{name} -")

    async def async_generator(*arguments: Any) -> AsyncIterator[str]:
        log.append(f"{name} +")
        yield name
        log.append(f"{name} -")

    function: Any = {"plain": plain, "generator": generator, "async_generator": async_generator}[kind]
    function.__qualname__ = name
    function.__signature__ = inspect.Signature(
        [
            inspect.Parameter(f"p{index}", inspect.Parameter.POSITIONAL_ONLY, default=need)
            for index, need in enumerate(needs)
        ]
    )
    return Depends(function, scope=scope)


async def nothing() -> None:
    log.append("handler")


def names(plan: DependencyPlan | None) -> list[str]:
    return [] if plan is None else [step.name for step in plan.steps]


class TestFlattening:
    def test_each_step_follows_what_it_needs_in_declared_order(self) -> None:
        settings = provider("settings")
        session = provider("session", settings)
        user = provider("user", provider("token"), session)
        assert names(Endpoint(nothing, user, provider("audit", session)).plan) == [
            "token", "settings", "session", "user", "audit",
        ]  # fmt: skip

    async def test_a_provider_runs_once_however_many_need_it(self) -> None:
        shared = provider("shared", kind="plain")
        await Endpoint(nothing, provider("a", shared), provider("b", shared), shared)()
        assert log.count("shared +") == 1

    async def test_what_a_route_requires_runs_before_what_its_handler_takes(self) -> None:
        async def handler(user: Annotated[str, provider("user")]) -> None: ...

        await Endpoint(handler, provider("check"))()
        assert log[:2] == ["check +", "user +"]

    async def test_without_cache_it_runs_for_each_who_needs_it(self) -> None:
        counter = itertools.count()

        async def handler(
            a: Annotated[int, Depends(counter.__next__, use_cache=False)],
            b: Annotated[int, Depends(counter.__next__, use_cache=False)],
        ) -> tuple[int, int]:
            return a, b

        assert await Endpoint(handler)() == (0, 1)

    def test_a_handler_without_dependencies_has_no_plan(self) -> None:
        assert Endpoint(nothing).plan is None

    def test_a_dense_graph_is_as_many_steps_as_providers(self) -> None:
        layer: list[Any] = []
        for level in range(16):
            layer = [provider(f"{level}.{index}", *layer) for index in range(16)]
        begin = time.perf_counter()
        endpoint = Endpoint(nothing, *layer)
        assert time.perf_counter() - begin < 2
        assert len(names(endpoint.plan)) == 256

    def test_a_cycle_is_told_with_its_path(self) -> None:
        def a(b: Any) -> None: ...
        def b(a: Any = Depends(a)) -> None: ...

        a.__annotations__["b"] = Annotated[Any, Depends(b)]
        a.__qualname__, b.__qualname__ = "a", "b"
        with pytest.raises(CircularDependency, match="a -> b -> a is a cycle of Depends"):
            Endpoint(nothing, Depends(a))


class Pagination:
    def __init__(self, limit: int, offset: int = 0) -> None:
        self.limit, self.offset = limit, offset


def current_user(token: str) -> str:
    return f"user of {token}"


async def greeting(user: Annotated[str, Depends(current_user)], *, name: str) -> str:
    return f"{name}: {user}"


class Greeter:
    async def __call__(self, text: Annotated[str, Depends(greeting)]) -> str:
        return text.upper()


class TestArguments:
    async def test_the_parameters_of_a_provider_are_those_of_the_request(self) -> None:
        async def handler(text: Annotated[str, Depends(greeting)], token: str) -> tuple[str, str]:
            return text, token

        endpoint = Endpoint(handler)
        assert sorted(endpoint.slots.values()) == ["name", "token"]
        assert await endpoint(name="hi", token="t") == ("hi: user of t", "t")

    async def test_a_class_provides_its_instances(self) -> None:
        async def handler(page: Annotated[Pagination, Depends()]) -> tuple[int, int]:
            return page.limit, page.offset

        assert await Endpoint(handler)(limit=5, offset=2) == (5, 2)

    async def test_an_object_with_call_provides(self) -> None:
        async def handler(text: str = Depends(Greeter())) -> str:
            return text

        assert await Endpoint(handler)(name="hi", token="t") == "HI: USER OF T"

    async def test_an_object_that_cannot_be_hashed_provides(self) -> None:
        @dataclass
        class Limit:
            most: int

            def __call__(self, token: str) -> str:
                return token[: self.most]

        async def handler(a: str = Depends(Limit(1)), b: str = Depends(Limit(2))) -> tuple[str, str]:
            return a, b

        assert await Endpoint(handler)(token="abc") == ("a", "ab")

    async def test_a_parameter_may_be_left_to_its_default(self) -> None:
        def provide(a: int = 1, b: int = 2) -> tuple[int, int]:
            return a, b

        graph = DependencyGraph(lambda parameter, _: 0 if parameter.name == "b" else None, lambda: 1)
        position = graph.require(provide)
        plan = graph.build()
        assert plan is not None
        values = [7, None]
        await run(plan, values)
        assert values[position] == (1, 7)

    def test_depends_without_function_needs_a_class(self) -> None:
        with pytest.raises(GraphError, match="stands for a parameter's class"):
            Endpoint(nothing, Depends())


class TestTeardown:
    """The written order, in which nothing varies."""

    def endpoint(self, handler: Callable[..., Any] = nothing, **options: Any) -> Endpoint:
        return Endpoint(
            handler,
            provider("r1", provider("c1", scope="request"), kind="async_generator"),
            provider("c2", scope="call"),
            provider("r2"),
            provider("c3", scope="call", kind="async_generator"),
            **options,
        )

    async def test_call_before_the_response_is_sent_and_request_after_it(self) -> None:
        await self.endpoint()()
        assert log == [
            "c1 +", "r1 +", "c2 +", "r2 +", "c3 +",
            "handler",
            "c3 -", "c2 -",
            "sent",
            "r2 -", "r1 -", "c1 -",
        ]  # fmt: skip

    async def test_app_when_the_application_stops(self) -> None:
        app_scope = AppScope()
        endpoint = Endpoint(
            nothing,
            provider("request", provider("outer", provider("inner", scope="app"), scope="app")),
            app_scope=app_scope,
        )
        await endpoint()
        await endpoint()
        await app_scope.aclose()
        assert log == [
            "inner +", "outer +",
            "request +", "handler", "sent", "request -",
            "request +", "handler", "sent", "request -",
            "outer -", "inner -",
        ]  # fmt: skip

    async def test_services_of_the_scope_outlive_the_dependencies(self) -> None:
        def service() -> Iterator[Pagination]:
            log.append("service +")
            yield Pagination(1)
            log.append("service -")

        async def handler(page: Pagination) -> None:
            log.append("handler")

        services = Container().add_scoped(Pagination, service)
        await Endpoint(handler, provider("dependency"), container=services)()
        assert log == [
            "dependency +", "service +", "handler", "sent", "dependency -", "service -",
        ]  # fmt: skip

    async def test_an_error_of_the_handler_is_raised_at_each_yield(self) -> None:
        async def handler() -> None:
            raise ValueError("handler")

        def transaction() -> Iterator[None]:
            try:
                yield
            except ValueError as error:
                log.append(f"rollback {error}")
                raise

        with pytest.raises(ValueError, match="handler"):
            await Endpoint(
                handler, Depends(transaction), Depends(transaction, use_cache=False, scope="call")
            )()
        assert log == ["rollback handler"] * 2

    async def test_an_error_may_be_translated(self) -> None:
        async def handler() -> None:
            raise ValueError("duplicate key")

        async def outer() -> AsyncIterator[None]:
            try:
                yield
            except BaseException as error:
                log.append(repr(error))
                raise

        def inner() -> Iterator[None]:
            try:
                yield
            except ValueError as error:
                raise PermissionError("conflict") from error

        with pytest.raises(PermissionError, match="conflict"):
            await Endpoint(handler, Depends(outer), Depends(inner))()
        assert log == ["PermissionError('conflict')"]

    async def test_a_translated_error_keeps_its_origin(self) -> None:
        async def handler() -> None:
            raise ValueError("duplicate key")

        def inner() -> Iterator[None]:
            try:
                yield
            except ValueError as error:
                raise PermissionError("conflict") from error

        with pytest.raises(PermissionError) as caught:
            await Endpoint(handler, Depends(inner))()
        assert isinstance(caught.value.__cause__, ValueError)

    async def test_an_error_of_a_service_s_teardown_comes_after_all_others(self) -> None:
        def service() -> Iterator[Pagination]:
            yield Pagination(1)
            raise OSError("service")

        async def handler(page: Pagination) -> None:
            raise ValueError("handler")

        services = Container().add_scoped(Pagination, service)
        with pytest.raises(OSError, match="service") as caught:
            await Endpoint(handler, provider("a"), container=services)()
        assert isinstance(caught.value.__cause__, ValueError)

    async def test_an_error_cannot_be_swallowed(self) -> None:
        async def handler() -> None:
            raise ValueError("handler")

        def swallow() -> Iterator[None]:
            try:
                yield
            except ValueError:
                log.append("swallowed")

        with pytest.raises(ValueError, match="handler"):
            await Endpoint(handler, Depends(swallow))()
        assert log == ["swallowed"]

    async def test_an_error_of_call_teardown_fails_the_request_before_it_is_answered(self) -> None:
        def commit() -> Iterator[None]:
            yield
            raise OSError("commit")

        def outer() -> Iterator[None]:
            try:
                yield
            except OSError:
                log.append("rollback")
                raise

        with pytest.raises(OSError, match="commit"):
            await Endpoint(nothing, Depends(outer), Depends(commit, scope="call"))()
        assert log == ["handler", "rollback"]

    async def test_an_error_of_request_teardown_does_not_stop_the_others(self) -> None:
        def fragile() -> Iterator[None]:
            yield
            raise OSError("late")

        def robust() -> Iterator[None]:
            try:
                yield
            finally:
                log.append("robust -")

        with pytest.raises(OSError, match="late"):
            await Endpoint(nothing, Depends(robust), Depends(fragile))()
        assert log == ["handler", "sent", "robust -"]

    async def test_a_step_that_fails_leaves_those_before_it(self) -> None:
        def broken() -> Iterator[None]:
            raise OSError("no")
            yield

        async def outer() -> AsyncIterator[None]:
            try:
                yield
            except OSError:
                log.append("outer -")
                raise

        with pytest.raises(OSError, match="no"):
            await Endpoint(nothing, Depends(outer), Depends(broken))()
        assert log == ["outer -"]

    @pytest.mark.parametrize("stop", [StopIteration, StopAsyncIteration])
    async def test_a_stop_iteration_of_the_handler_stays_what_it_is(self, stop: type[Exception]) -> None:
        plan = Endpoint(nothing, provider("a"), provider("b", kind="async_generator")).plan
        assert plan is not None
        exits = Exits()
        await run(plan, [None, None], exits)
        error = stop("odd")
        assert await exits.fail(error) is error

    async def test_a_cancelled_request_tears_everything_down(self) -> None:
        async def handler() -> None:
            await asyncio.sleep(10)

        def seen() -> Iterator[None]:
            try:
                yield
            except asyncio.CancelledError:
                log.append("cancelled")
                raise

        task = asyncio.create_task(Endpoint(handler, Depends(seen))())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert log == ["cancelled"]

    async def test_a_generator_that_a_thread_opens_after_the_cancellation_is_left_too(self) -> None:
        entered, done = threading.Event(), threading.Event()

        def slow() -> Iterator[None]:
            entered.set()
            time.sleep(0.05)
            try:
                yield
            except BaseException as error:
                log.append(type(error).__name__)
                done.set()
                raise

        task = asyncio.create_task(Endpoint(nothing, Depends(slow))(Hops()))
        await asyncio.to_thread(entered.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(done.wait, 2)
        assert log == ["CancelledError"]

    def test_a_plan_without_generators_needs_no_exits(self) -> None:
        plain = Endpoint(nothing, provider("a", provider("b", kind="plain"), kind="plain")).plan
        assert plain is not None
        assert not plain.needs_exits
        with_generator = Endpoint(nothing, provider("a")).plan
        assert with_generator is not None
        assert with_generator.needs_exits


class TestScopes:
    def test_what_lives_longer_cannot_depend_on_what_lives_shorter(self) -> None:
        with pytest.raises(CaptiveDependency) as caught:
            Endpoint(nothing, provider("outer", provider("inner", scope="call")))
        assert str(caught.value) == (
            "outer has the scope 'request' and depends on inner, whose scope 'call' ends before; give both the same."
        )

    def test_also_when_the_shorter_one_is_shared(self) -> None:
        inner = provider("inner", scope="call")
        with pytest.raises(CaptiveDependency):
            Endpoint(nothing, inner, provider("outer", inner))

    def test_one_function_may_stand_in_two_scopes(self) -> None:
        def both() -> None: ...

        assert len(names(Endpoint(nothing, Depends(both), Depends(both, scope="call")).plan)) == 2

    def test_an_app_value_cannot_take_a_parameter_of_a_request(self) -> None:
        with pytest.raises(
            CaptiveDependency, match="`token` belongs to a request; give it the scope 'request'"
        ):
            Endpoint(nothing, Depends(current_user, scope="app"), app_scope=AppScope())

    def test_an_app_value_cannot_take_a_scoped_service(self) -> None:
        def keep(page: Pagination) -> None: ...

        services = Container().add_scoped(Pagination, lambda: Pagination(1))
        with pytest.raises(CaptiveDependency, match="would keep one Pagination for ever"):
            Endpoint(nothing, Depends(keep, scope="app"), app_scope=AppScope(), container=services)

    def test_an_app_value_needs_an_application(self) -> None:
        with pytest.raises(GraphError, match="there is no application here"):
            Endpoint(nothing, provider("a", scope="app"))

    async def test_an_app_value_is_one_for_all_endpoints_and_tasks(self) -> None:
        app_scope = AppScope()
        made = itertools.count()

        async def connect() -> int:
            await asyncio.sleep(0.01)
            return next(made)

        async def handler(value: Annotated[int, Depends(connect, scope="app")]) -> int:
            return value

        one, other = Endpoint(handler, app_scope=app_scope), Endpoint(handler, app_scope=app_scope)
        assert await asyncio.gather(*(each() for each in (one, other) * 10)) == [0] * 20

    async def test_an_app_value_that_fails_is_tried_anew(self) -> None:
        attempts = itertools.count()

        async def connect() -> int:
            if next(attempts) == 0:
                raise OSError("refused")
            return 5

        async def handler(value: Annotated[int, Depends(connect, scope="app")]) -> int:
            return value

        endpoint = Endpoint(handler, app_scope=AppScope())
        with pytest.raises(OSError, match="refused"):
            await endpoint()
        assert await endpoint() == 5

    async def test_app_values_are_torn_down_even_if_some_raise(self) -> None:
        async def fragile() -> AsyncIterator[None]:
            yield
            raise OSError("late")

        app_scope = AppScope()
        await Endpoint(
            nothing, provider("robust", scope="app"), Depends(fragile, scope="app"), app_scope=app_scope
        )()
        with pytest.raises(OSError, match="late"):
            await app_scope.aclose()
        assert log[-1] == "robust -"


class TestThreads:
    async def test_plain_functions_in_a_row_share_one_hop(self) -> None:
        seen: list[int] = []

        def plain() -> int:
            seen.append(threading.get_ident())
            return len(seen)

        def needs(value: Annotated[int, Depends(plain)]) -> int:
            return plain() + value

        async def on_loop() -> int:
            return threading.get_ident()

        async def handler(
            a: Annotated[int, Depends(needs)],
            b: Annotated[int, Depends(on_loop)],
            c: Annotated[int, Depends(plain, use_cache=False)],
        ) -> tuple[int, int]:
            return a, b

        hops = Hops()
        assert await Endpoint(handler)(hops) == (3, threading.get_ident())
        assert hops.count == 2
        assert threading.get_ident() not in seen

    async def test_a_class_joins_its_neighbours(self) -> None:
        async def handler(
            user: Annotated[str, Depends(current_user)],
            page: Annotated[Pagination, Depends()],
            again: Annotated[str, Depends(current_user, use_cache=False)],
        ) -> None: ...

        hops = Hops()
        await Endpoint(handler)(hops, token="t", limit=1, offset=0)
        assert hops.count == 1

    async def test_run_sync_decides(self) -> None:
        def here() -> int:
            return threading.get_ident()

        async def handler(
            a: Annotated[int, Depends(here, run_sync="inline")],
            b: Annotated[int, Depends(here, run_sync="thread", use_cache=False)],
        ) -> tuple[int, int]:
            return a, b

        for default in ("thread", "inline"):
            a, b = await Endpoint(handler, run_sync=default)(Hops())
            assert a == threading.get_ident() != b

    async def test_a_generator_is_left_where_it_was_entered(self) -> None:
        seen: list[bool] = []

        def where() -> Iterator[None]:
            seen.append(threading.current_thread() is threading.main_thread())
            yield
            seen.append(threading.current_thread() is threading.main_thread())

        await Endpoint(nothing, Depends(where))(Hops())
        await Endpoint(nothing, Depends(where, run_sync="inline"))(Hops())
        assert seen == [False, False, True, True]

    async def test_a_plain_handler_runs_in_the_hop_of_its_dependencies(self) -> None:
        def handler(user: Annotated[str, Depends(current_user)]) -> str:
            return user

        endpoint, hops = Endpoint(handler), Hops()
        assert endpoint.plan is not None
        values = ["t" if position in endpoint.slots else None for position in range(2)]
        assert await run(endpoint.plan, values, None, hops, endpoint.invoke) == "user of t"
        assert hops.count == 1

    async def test_a_plain_handler_after_a_coroutine_has_a_hop_of_its_own(self) -> None:
        async def first() -> int:
            return 1

        def handler(value: Annotated[int, Depends(first)]) -> int:
            return value + 1

        endpoint, hops = Endpoint(handler), Hops()
        assert endpoint.plan is not None
        assert await run(endpoint.plan, [None], None, hops, endpoint.invoke) == 2
        assert hops.count == 1


class Settings:
    name = "real"


class TestServices:
    async def test_a_registered_type_is_injected(self) -> None:
        async def handler(settings: Settings, maybe: Settings | None = None) -> bool:
            return settings is maybe

        services = Container().add_singleton(Settings)
        endpoint = Endpoint(handler, container=services)
        assert await endpoint()
        assert endpoint.plan is not None
        assert not endpoint.plan.needs_exits

    async def test_markers_say_which_service(self) -> None:
        async def handler(
            a: Annotated[Settings, Inject],
            b: Annotated[Settings, Keyed("other")],
            c: Settings = Inject(key="other"),
            d: Any = Inject(Settings),
            e: Annotated[Pagination | None, Inject()] = None,
        ) -> list[Any]:
            return [a, b, c, d, e]

        other = Settings()
        services = Container().add_singleton(Settings).add_instance(other, key="other")
        a, b, c, d, e = await Endpoint(handler, container=services)()
        assert (b, c, d, e) == (other, other, a, None)

    async def test_dependencies_and_the_handler_share_the_scope(self) -> None:
        def name(settings: Settings) -> Settings:
            return settings

        async def handler(settings: Settings, same: Annotated[Settings, Depends(name)]) -> bool:
            return settings is same

        assert await Endpoint(handler, container=Container().add_scoped(Settings))()

    def test_a_service_that_cannot_be_made_is_told_at_start(self) -> None:
        async def handler(page: Pagination) -> None: ...

        with pytest.raises(MissingService, match="Pagination needs `limit`"):
            Endpoint(handler, container=Container().add_scoped(Pagination))

    def test_an_injected_service_must_be_registered(self) -> None:
        async def handler(page: Annotated[Pagination, Inject()]) -> None: ...

        with pytest.raises(MissingService, match="Pagination is not registered"):
            Endpoint(handler, container=Container())
        with pytest.raises(GraphError, match="there is no container here"):
            Endpoint(handler)

    async def test_an_override_of_the_container_reaches_the_plan(self) -> None:
        async def handler(settings: Settings) -> str:
            return settings.name

        services = Container().add_singleton(Settings)
        endpoint = Endpoint(handler, container=services)
        fake = Settings()
        fake.name = "fake"
        with services.override(Settings, fake):
            assert await endpoint() == "fake"
        assert await endpoint() == "real"


class TestOverrides:
    async def test_another_provider_is_another_plan(self) -> None:
        def fake(user_name: str) -> str:
            return f"fake {user_name}"

        async def handler(text: Annotated[str, Depends(greeting)]) -> str:
            return text

        endpoint = Endpoint(handler, overrides={current_user: fake})
        assert sorted(endpoint.slots.values()) == ["name", "user_name"]
        assert await endpoint(name="hi", user_name="x") == "hi: fake x"
        assert await Endpoint(handler)(name="hi", token="t") == "hi: user of t"

    async def test_an_app_value_above_an_override_is_another_value(self) -> None:
        def url() -> str:
            return "real"

        def pool(url: Annotated[str, Depends(url, scope="app")]) -> str:
            return f"pool of {url}"

        async def handler(pool: Annotated[str, Depends(pool, scope="app")]) -> str:
            return pool

        app_scope = AppScope()
        assert await Endpoint(handler, app_scope=app_scope)() == "pool of real"
        overrides = {url: lambda: "fake"}
        assert await Endpoint(handler, app_scope=app_scope, overrides=overrides)() == "pool of fake"
        assert await Endpoint(handler, app_scope=app_scope)() == "pool of real"
