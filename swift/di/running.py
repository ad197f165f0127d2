"""Running a plan of dependencies: the steps in order, and their teardown in reverse (graph.py says when)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Hashable, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

from .cells import MISSING
from .teardown import Left, enter, enter_async, leave, leave_async

if TYPE_CHECKING:
    from .app_scope import AppValue
    from .callables import Kind
    from .container import Container
    from .scope import Scope

InThread = Callable[..., Awaitable[Any]]
Place = Literal["loop", "thread", "inline", "any"]


class Step:
    """One provider of a plan: reads the values at `arguments` and `keywords`, writes that at `position`."""

    __slots__ = (
        "app_value",
        "arguments",
        "call",
        "concurrent",
        "container",
        "keywords",
        "kind",
        "name",
        "place",
        "position",
        "scope",
        "scoped",
        "service",
    )

    def __init__(
        self,
        *,
        name: str,
        kind: Kind | Literal["service", "app", "together"],
        call: Callable[..., Any] | None = None,
        scope: Literal["call", "request"] = "request",
        place: str = "loop",
        arguments: tuple[int, ...] = (),
        keywords: tuple[tuple[str, int], ...] = (),
        service: tuple[Any, Hashable] | None = None,
        container: Container | None = None,
        scoped: bool = False,
        app_value: AppValue | None = None,
        concurrent: bool = False,
    ) -> None:
        self.name = name
        self.kind = kind
        self.call: Any = call
        self.scope = scope
        self.place = place
        self.arguments = arguments
        self.keywords = keywords
        self.service: Any = service
        # Of a service: whether it belongs to the request's scope of the container.
        self.container: Any = container
        self.scoped = scoped
        self.app_value: Any = app_value
        self.concurrent = concurrent
        self.position = -1

    @property
    def needs(self) -> set[int]:
        """The positions whose values it takes."""
        return {*self.arguments, *(position for _, position in self.keywords)}

    def invoke(self, values: list[Any]) -> Any:
        arguments = [values[position] for position in self.arguments]
        if self.keywords:
            return self.call(*arguments, **{name: values[position] for name, position in self.keywords})
        return self.call(*arguments)


class Together(Step):
    """Several steps that wait at the same time. `members` are (step, positions of others that it needs)."""

    __slots__ = ("members",)

    def __init__(self, steps: Sequence[Step]) -> None:
        super().__init__(name="", kind="together")
        positions = {step.position for step in steps}
        self.members = [(step, step.needs & positions) for step in steps]

    async def run(self, values: list[Any]) -> None:
        """Fill in all values. The error of a step cancels the others, and is raised as it is."""
        tasks: dict[int, asyncio.Task[None]] = {}

        async def make(step: Step, needed: set[int]) -> None:
            if needed:
                waited_for = [tasks[position] for position in needed]
                await asyncio.wait(waited_for)
                if any(task.cancelled() or task.exception() is not None for task in waited_for):
                    return
            values[step.position] = await step.invoke(values)

        try:
            async with asyncio.TaskGroup() as group:
                for step, needed in self.members:
                    tasks[step.position] = group.create_task(make(step, needed))
        except BaseExceptionGroup as raised:
            # Who depends on them knows the error of one, as if they had run in order.
            error = raised.exceptions[0]
            raise error from error.__cause__


class DependencyPlan:
    """The steps of one endpoint, in order.

    `segments` are the same steps by where they run: neighbours that run in a thread share one hop.
    `needs_exits` says whether `run` must be given an `Exits`; most plans need none.
    """

    __slots__ = ("needs_exits", "segments", "steps")

    def __init__(self, steps: tuple[Step, ...], segments: tuple[tuple[bool, tuple[Step, ...]], ...]) -> None:
        self.steps = steps
        self.segments = segments
        self.needs_exits = any(step.kind in ("generator", "async_generator") or step.scoped for step in steps)


def gathered(steps: Sequence[Step]) -> list[Step]:
    """The steps with those that may run concurrently put together, as far as what stands between does not need them."""
    ordered: list[Step] = []
    waiting: list[Step] = []

    def let_go() -> None:
        ordered.extend(waiting if len(waiting) < 2 else [Together(waiting)])
        waiting.clear()

    for step in steps:
        if step.concurrent:
            waiting.append(step)
            continue
        if not step.needs.isdisjoint(each.position for each in waiting):
            let_go()
        ordered.append(step)
    let_go()
    return ordered


def plan_of(steps: Sequence[Step]) -> DependencyPlan:
    segments: list[tuple[bool, list[Step]]] = []
    for step in gathered(steps) if any(step.concurrent for step in steps) else steps:
        threaded = step.place == "thread"
        if segments and (segments[-1][0] == threaded or step.place == "any"):
            segments[-1][1].append(step)
        else:
            segments.append((threaded, [step]))
    return DependencyPlan(tuple(steps), tuple((threaded, tuple(group)) for threaded, group in segments))


class Exits:
    """What a request leaves behind to be torn down, and its scope of the container.

        exits = Exits(in_thread) if plan.needs_exits else None
        try:
            await run(plan, values, exits, in_thread)
            response = respond(await handler(values))
            if exits is not None:
                await exits.close_call()
        except BaseException as error:
            if exits is None or (left := await exits.fail(error)) is error:
                raise
            raise left from left.__cause__ or error
        await response(scope, receive, send)
        if exits is not None:
            await exits.close_request()

    What `close_request` raises comes too late for the client; the caller reports it.
    """

    __slots__ = ("_call", "_failed", "_in_thread", "_request", "_scope")

    def __init__(self, in_thread: InThread | None = None) -> None:
        self._in_thread = in_thread
        self._failed: BaseException | None = None
        self._scope: Scope | None = None
        # Generators, each with whether it is left in a thread.
        self._call: list[tuple[Left, bool]] = []
        self._request: list[tuple[Left, bool]] = []

    def scope(self, container: Container) -> Scope:
        """The request's scope of the container, opened when it is first needed."""
        if self._scope is None:
            self._scope = container.scope()
        return self._scope

    def push(self, generator: Left, step: Step) -> None:
        stack = self._call if step.scope == "call" else self._request
        left = (generator, step.place == "thread")
        stack.append(left)
        if self._failed is not None:
            # The request was cancelled while this ran in a thread; nobody else will leave the generator.
            try:
                stack.remove(left)
            except ValueError:
                return
            leave(cast(Generator[Any, None, None], generator), self._failed)
            raise self._failed

    async def close_call(self) -> None:
        """Before the response is sent. What it raises must go to `fail`."""
        _raise(await self._unwind(self._call, None))

    async def close_request(self) -> None:
        """After the response was sent."""
        _raise(await self._close_scope(await self._unwind(self._request, None)))

    async def fail(self, error: BaseException) -> BaseException:
        """Tear everything down after an error; the error that is left, for the caller to raise."""
        self._failed = error
        last = await self._unwind(self._call, error)
        last = await self._unwind(self._request, last)
        return await self._close_scope(last) or error

    async def _unwind(
        self, stack: list[tuple[Left, bool]], error: BaseException | None
    ) -> BaseException | None:
        """Leave all generators, the last first. Each sees the error of those before it."""
        while stack:
            generator, threaded = stack.pop()
            try:
                if isinstance(generator, AsyncGenerator):
                    await leave_async(generator, error)
                elif threaded and self._in_thread is not None:
                    await self._in_thread(leave, generator, error)
                else:
                    leave(generator, error)
            except BaseException as raised:
                error = raised
        return error

    async def _close_scope(self, error: BaseException | None) -> BaseException | None:
        scope, self._scope = self._scope, None
        if scope is not None:
            try:
                await scope.aclose()
            except BaseException as raised:
                if raised.__context__ is None and raised is not error:
                    raised.__context__ = error
                return raised
        return error


def _raise(error: BaseException | None) -> None:
    if error is not None:
        raise error


async def run(
    plan: DependencyPlan,
    values: list[Any],
    exits: Exits | None = None,
    in_thread: InThread | None = None,
    endpoint: Callable[[list[Any]], Any] | None = None,
) -> Any:
    """Fill in the values of all steps.

    `in_thread(function, *arguments)` awaits a call in a thread; without it plain functions run on the loop.
    `endpoint`, a plain function of the values, runs as the last: in the same hop as the steps before it when
    those run in a thread, else in a hop of its own. Its result is returned.
    """
    for threaded, steps in plan.segments:
        if threaded and in_thread is not None:
            if endpoint is not None and steps is plan.segments[-1][1]:
                return await in_thread(_run_all, steps, values, exits, endpoint)
            await in_thread(_run_all, steps, values, exits)
            continue
        for step in steps:
            kind = step.kind
            if kind == "coroutine":
                values[step.position] = await step.invoke(values)
            elif kind == "service":
                source = exits.scope(step.container) if step.scoped and exits is not None else step.container
                values[step.position] = await source.get(*step.service)
            elif kind == "app":
                value = step.app_value.value
                values[step.position] = await step.app_value.get(in_thread) if value is MISSING else value
            elif kind == "async_generator":
                assert exits is not None
                generator = step.invoke(values)
                values[step.position] = await enter_async(generator, step.name)
                exits.push(generator, step)
            elif isinstance(step, Together):
                await step.run(values)
            else:
                _run_one(step, values, exits)
    if endpoint is None:
        return None
    return endpoint(values) if in_thread is None else await in_thread(endpoint, values)


def _run_one(step: Step, values: list[Any], exits: Exits | None) -> None:
    value = step.invoke(values)
    if step.kind == "generator":
        assert exits is not None
        generator, value = value, enter(value, step.name)
        exits.push(generator, step)
    values[step.position] = value


def _run_all(
    steps: Sequence[Step],
    values: list[Any],
    exits: Exits | None,
    endpoint: Callable[[list[Any]], Any] | None = None,
) -> Any:
    for step in steps:
        _run_one(step, values, exits)
    return None if endpoint is None else endpoint(values)
