"""Futures among asyncio's own: tasks, gather, timeouts, both loops, threads, and who wakes whom when."""

from __future__ import annotations

import asyncio
import contextvars
import os
import sys
import threading
from asyncio import CancelledError
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import uvloop

from swift.futures import Promise, as_future, make_exception, make_ready, resolve_all, sleep, when_all

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


class Refused(Exception):
    pass


@pytest.fixture(params=LOOPS)
def runner(request: pytest.FixtureRequest) -> Iterator[asyncio.Runner]:
    with asyncio.Runner(loop_factory=LOOPS[request.param]) as made:
        yield made


async def waiting(future: Awaitable[Any], log: list[Any] | None = None, name: object = None) -> Any:
    value = await future
    if log is not None:
        log.append(name)
    return value


async def turns(count: int = 3) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


# asyncio's functions


def test_a_future_is_taken_where_asyncio_takes_one(runner: asyncio.Runner) -> None:
    async def main() -> None:
        assert asyncio.isfuture(make_ready(1))
        assert await asyncio.gather(make_ready(1), sleep(0, 2), waiting(sleep(0, 3))) == [1, 2, 3]
        done, late = await asyncio.wait([sleep(0, 1), sleep(10)], return_when=asyncio.FIRST_COMPLETED)
        assert [future.result() for future in done] == [1]
        assert [future.cancel() for future in late] == [True]
        assert await asyncio.wait_for(sleep(0, 4), 10) == 4
        assert await asyncio.shield(sleep(0, 5)) == 5
        async with asyncio.timeout(10):
            assert await sleep(0, 6) == 6
        assert [await future for future in asyncio.as_completed([sleep(0.002, 2), sleep(0, 1)])] == [1, 2]

    runner.run(main())


def test_asyncio_s_timeouts_cancel_a_future(runner: asyncio.Runner) -> None:
    async def main() -> None:
        late = sleep(10)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(late, 0.001)
        assert late.cancelled()
        late = sleep(10)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await late
        assert late.cancelled()

    runner.run(main())


def test_a_shielded_future_outlives_its_task(runner: asyncio.Runner) -> None:
    async def main() -> None:
        promise: Promise[int] = Promise()
        task = asyncio.ensure_future(waiting(asyncio.shield(promise.future)))
        await turns()
        task.cancel()
        with pytest.raises(CancelledError):
            await task
        promise.resolve(1)
        assert promise.future.result() == 1

    runner.run(main())


def test_a_failed_gather_raises_the_failure(runner: asyncio.Runner) -> None:
    async def main() -> None:
        with pytest.raises(Refused):
            await asyncio.gather(make_exception(Refused()), make_ready(1))
        told = await asyncio.gather(make_exception(Refused()), return_exceptions=True)
        assert isinstance(told[0], Refused)

    runner.run(main())


def test_what_asyncio_gives_can_be_chained(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[int] = loop.create_future()
        loop.call_soon(future.set_result, 1)
        assert await as_future(future).then(lambda value: value + 1) == 2
        assert await as_future(asyncio.create_task(waiting(make_ready(2)))).then(str) == "2"
        assert await as_future(waiting(make_ready(3))).then(str) == "3"
        assert await as_future(loop.run_in_executor(None, lambda: 4)).then(str) == "4"
        cancelled: asyncio.Future[int] = loop.create_future()
        chain = as_future(cancelled).then(str)
        cancelled.cancel()
        with pytest.raises(CancelledError):
            await chain

    runner.run(main())


def test_done_callbacks_come_through_the_loop_in_their_context(runner: asyncio.Runner) -> None:
    async def main() -> None:
        variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable")
        seen: list[Any] = []
        promise: Promise[int] = Promise()
        future = promise.future
        variable.set(1)
        future.add_done_callback(lambda settled: seen.append((settled is future, variable.get())))
        variable.set(2)
        future.add_done_callback(seen.append)
        assert future.remove_done_callback(seen.append) == 1
        promise.resolve(1)
        assert seen == []
        await turns()
        assert seen == [(True, 1)]
        future.add_done_callback(lambda settled: seen.append("late"))
        assert len(seen) == 1
        await turns()
        assert seen[1:] == ["late"]

    runner.run(main())


def test_a_task_written_in_python_can_wait_too(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        task_class: Any = asyncio.tasks._PyTask  # type: ignore[attr-defined]
        promise: Promise[int] = Promise()
        task = task_class(waiting(promise.future), loop=loop)
        cancelled = task_class(waiting(promise.future), loop=loop)
        await turns()
        cancelled.cancel()
        promise.resolve(3)
        assert await task == 3
        with pytest.raises(CancelledError):
            await cancelled

    runner.run(main())


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks are new in CPython 3.12")
def test_an_eager_task_waits_and_is_woken(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        eager: Any = asyncio.Task
        loop.set_task_factory(
            lambda loop, coroutine, **options: eager(
                coroutine, loop=loop, eager_start=True, context=options.get("context")
            )
        )
        log: list[Any] = []
        promises: list[Promise[int]] = [Promise() for _ in range(2)]
        ready = loop.create_task(waiting(make_ready(1), log, "ready"))
        assert log == ["ready"]
        tasks = [loop.create_task(waiting(promises[n].future, log, n)) for n in range(2)]
        loop.call_soon(resolve_all, [(promise, 1) for promise in promises])
        assert await asyncio.gather(ready, *tasks) == [1, 1, 1]
        assert log == ["ready", 0, 1]

        async def resolve_now() -> None:
            # Runs at once, inside the task that creates it: a task is running on this thread.
            resolve_all([(later, 1)])
            log.append("resolved")

        later: Promise[int] = Promise()
        waiter = loop.create_task(waiting(later.future, log, "woken"))
        await loop.create_task(resolve_now())
        await waiter
        assert log[3:] == ["resolved", "woken"]

    runner.run(main())


def test_a_future_serves_one_loop_after_the_other() -> None:
    promise: Promise[int] = Promise()
    keep = promise.future.then(str)

    async def give_up() -> None:
        task = asyncio.ensure_future(waiting(promise.future))
        await turns()
        task.cancel()
        with pytest.raises(CancelledError):
            await task

    async def resolve() -> int:
        asyncio.get_running_loop().call_soon(promise.resolve, 1)
        return await promise.future

    for factory in LOOPS.values():
        with asyncio.Runner(loop_factory=factory) as made:
            made.run(give_up())
    assert asyncio.run(resolve()) == 1
    assert keep.result() == "1"


# Waking


def test_a_ready_value_takes_no_turn_of_the_loop(runner: asyncio.Runner) -> None:
    async def main() -> None:
        turned: list[int] = []
        asyncio.get_running_loop().call_soon(turned.append, 1)
        for _ in range(10):
            await make_ready(1)
            await make_ready(1).then(make_ready)
            await when_all([make_ready(1)])
        assert turned == []

    runner.run(main())


def test_resolving_never_runs_a_task_inside_the_one_that_resolves(runner: asyncio.Runner) -> None:
    async def main() -> None:
        log: list[Any] = []
        promises: list[Promise[int]] = [Promise() for _ in range(3)]
        tasks = [asyncio.ensure_future(waiting(promise.future, log, n)) for n, promise in enumerate(promises)]
        await turns()
        promises[0].resolve(0)
        resolve_all([(promise, 1) for promise in promises[1:]])
        assert log == []
        await asyncio.gather(*tasks)
        assert log == [0, 1, 2]

    runner.run(main())


def test_resolving_in_a_callback_does_not_run_tasks_inside_it(runner: asyncio.Runner) -> None:
    async def main() -> None:
        log: list[Any] = []
        promise: Promise[int] = Promise()
        task = asyncio.ensure_future(waiting(promise.future, log, "task"))
        await turns()

        def callback() -> None:
            promise.resolve(1)
            log.append("callback")

        asyncio.get_running_loop().call_soon(callback)
        await task
        assert log == ["callback", "task"]

    runner.run(main())


def test_a_protocol_wakes_its_tasks_at_once_and_in_order(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        log: list[Any] = []
        promises: list[Promise[int]] = [Promise() for _ in range(5)]
        tasks = [
            asyncio.ensure_future(waiting(promises[n].future.then(str), log, n)) for n in (3, 1, 4, 0, 2)
        ]
        await turns()

        def data_received() -> None:
            loop.call_soon(log.append, "next turn")
            resolve_all([(promise, n) for n, promise in enumerate(promises)])
            log.append("received")

        loop.call_soon(data_received)
        assert await asyncio.gather(*tasks) == ["3", "1", "4", "0", "2"]
        assert log == [0, 1, 2, 3, 4, "received", "next turn"]

    runner.run(main())


def test_all_outcomes_are_there_before_the_first_task_runs(runner: asyncio.Runner) -> None:
    async def main() -> None:
        promises: list[Promise[int]] = [Promise() for _ in range(3)]

        async def look(number: int) -> list[bool]:
            await promises[number].future
            return [promise.future.done() for promise in promises]

        tasks = [asyncio.ensure_future(look(number)) for number in range(3)]
        await turns()
        asyncio.get_running_loop().call_soon(resolve_all, [(promise, 1) for promise in promises])
        assert await asyncio.gather(*tasks) == [[True] * 3] * 3

    runner.run(main())


def test_a_woken_task_that_resolves_others_does_not_nest(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        depth = deepest = 0
        promises: list[Promise[int]] = [Promise() for _ in range(2000)]

        async def step(number: int) -> None:
            nonlocal depth, deepest
            await promises[number].future
            depth += 1
            deepest = max(depth, deepest)
            if number + 1 < len(promises):
                resolve_all([(promises[number + 1], 1)])
            depth -= 1

        tasks = [asyncio.ensure_future(step(number)) for number in range(len(promises))]
        await turns()
        loop.call_soon(resolve_all, [(promises[0], 1)])
        await asyncio.gather(*tasks)
        assert deepest == 1

    runner.run(main())


def test_a_task_cancelled_by_one_woken_before_it_is_cancelled(runner: asyncio.Runner) -> None:
    async def main() -> None:
        promises: list[Promise[int]] = [Promise() for _ in range(2)]
        tasks: list[asyncio.Task[Any]] = []

        async def cancel_the_other() -> None:
            await promises[0].future
            tasks[1].cancel()

        tasks += [
            asyncio.ensure_future(cancel_the_other()),
            asyncio.ensure_future(waiting(promises[1].future)),
        ]
        await turns()
        asyncio.get_running_loop().call_soon(resolve_all, [(promise, 1) for promise in promises])
        await tasks[0]
        with pytest.raises(CancelledError):
            await tasks[1]

    runner.run(main())


def test_a_task_woken_at_once_has_its_own_context_and_is_the_current_one(runner: asyncio.Runner) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")

    async def main() -> None:
        promise: Promise[int] = Promise()

        async def own() -> tuple[str, bool]:
            variable.set("own")
            await promise.future
            return variable.get(), asyncio.current_task() is task

        task = asyncio.ensure_future(own())
        await turns()

        def data_received() -> None:
            variable.set("protocol")
            resolve_all([(promise, 1)])
            assert variable.get() == "protocol"
            assert asyncio.current_task() is None

        asyncio.get_running_loop().call_soon(data_received, context=contextvars.copy_context())
        assert await task == ("own", True)

    runner.run(main())


def test_a_task_that_shares_the_context_of_the_callback_is_woken_by_the_loop(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        context = contextvars.copy_context()
        promise: Promise[int] = Promise()
        task = loop.create_task(waiting(promise.future), context=context)
        await turns()
        loop.call_soon(resolve_all, [(promise, 1)], context=context)
        assert await task == 1

    runner.run(main())


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_program_leaves_the_other_tasks_to_the_loop(
    runner: asyncio.Runner, error: type[BaseException]
) -> None:
    log: list[Any] = []
    raised: list[BaseException] = []

    async def main() -> None:
        promises: list[Promise[int]] = [Promise() for _ in range(3)]

        async def end() -> None:
            await promises[0].future
            raise error

        ending = asyncio.ensure_future(end())
        tasks = [asyncio.ensure_future(waiting(promise.future, log, n)) for n, promise in enumerate(promises)]
        await turns()

        def data_received() -> None:
            try:
                resolve_all([(promise, 1) for promise in promises])
            except error as left:
                raised.append(left)

        asyncio.get_running_loop().call_soon(data_received)
        await asyncio.gather(*tasks)
        assert isinstance(ending.exception(), error)

    runner.run(main())
    assert len(raised) == 1
    assert log == [0, 1, 2]


def test_outside_a_loop_nothing_is_woken_but_continuations_run() -> None:
    promise: Promise[int] = Promise()
    chain = promise.future.then(str)
    resolve_all([(promise, 1)])
    assert chain.result() == "1"


# Threads


def test_another_thread_resolves_and_the_loop_s_thread_goes_on(runner: asyncio.Runner) -> None:
    async def main() -> None:
        loop_thread = threading.get_ident()
        promise: Promise[int] = Promise()
        chain = promise.future.then(lambda value: (value, threading.get_ident()))
        task = asyncio.ensure_future(waiting(chain))
        parked = asyncio.ensure_future(waiting(promise.future))
        group = when_all([promise.future, promise.future.then(str)])
        await turns()
        await asyncio.to_thread(promise.resolve, 1)
        assert promise.future.result() == 1
        assert await task == (1, loop_thread)
        assert await parked == 1
        assert await group == [1, "1"]

    runner.run(main())


def test_many_threads_resolve_for_one_loop(runner: asyncio.Runner) -> None:
    async def main() -> None:
        promises: list[Promise[int]] = [Promise() for _ in range(400)]
        chains = [promise.future.then(lambda value: value * 2) for promise in promises]
        with ThreadPoolExecutor(4) as pool:
            for number, promise in enumerate(promises):
                pool.submit(promise.resolve, number)
            assert await when_all(chains) == [number * 2 for number in range(400)]

    runner.run(main())


def test_each_loop_s_task_is_woken_on_its_own_thread() -> None:
    promise: Promise[int] = Promise()
    parked = threading.Barrier(3)

    async def main() -> tuple[int, int]:
        asyncio.get_running_loop().call_later(0.01, parked.wait)
        return await promise.future.then(lambda value: (value, threading.get_ident()))

    def run(name: str) -> bool:
        with asyncio.Runner(loop_factory=LOOPS[name]) as made:
            value, thread = made.run(main())
        return value == 3 and thread == threading.get_ident()

    with ThreadPoolExecutor(2) as pool:
        ends = [pool.submit(run, name) for name in LOOPS]
        parked.wait()
        promise.resolve(3)
        assert [end.result(10) for end in ends] == [True, True]


def test_a_thread_without_a_loop_waits_for_a_value() -> None:
    promise: Promise[int] = Promise()
    with pytest.raises(TimeoutError, match=r"within 0\.01 s"):
        promise.future.get(0.01)
    timer = threading.Timer(0.01, promise.resolve, (5,))
    timer.start()
    assert promise.future.get(10) == 5
    timer.join()
    with pytest.raises(Refused):
        make_exception(Refused()).get()


async def test_a_loop_is_never_blocked_by_get() -> None:
    assert make_ready(1).get() == 1
    with pytest.raises(RuntimeError, match="would block the event loop"):
        Promise().future.get()


def test_a_callback_may_run_a_loop_of_its_own() -> None:
    """On a thread without a loop: what settles inside must not wait for the callback that runs the loop."""
    outer: Promise[int] = Promise()

    async def inside() -> str:
        promise: Promise[int] = Promise()
        chain = promise.future.then(str)
        asyncio.get_running_loop().call_soon(promise.resolve, 1)
        return await asyncio.wait_for(chain, 5)

    chain = outer.future.then(lambda _: asyncio.run(inside()))
    outer.resolve(1)
    assert chain.result() == "1"


def test_a_coroutine_without_a_loop_is_refused_and_closed() -> None:
    async def coroutine(_: object) -> None: ...

    with pytest.raises(RuntimeError, match="no event loop is running"):
        make_ready(1).then(coroutine).result()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork, which this system lacks")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_the_child_of_a_fork_has_no_running_loop() -> None:
    async def main() -> int:
        # Asked for before the fork, so that the answer could be remembered.
        assert await sleep(0, 1) == 1
        child = os.fork()
        if child == 0:
            try:
                make_ready(1)
                sleep(1)
            except RuntimeError:
                os._exit(7)
            os._exit(0)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    assert asyncio.run(main()) == 7
