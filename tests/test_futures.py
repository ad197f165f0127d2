"""Futures and promises: what a chain does with values, failures and cancellations."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import sys
import weakref
from asyncio import CancelledError, InvalidStateError
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from swift import futures
from swift.futures import (
    BrokenPromise,
    Future,
    Promise,
    as_future,
    make_exception,
    make_ready,
    sleep,
    when_all,
    when_any,
    when_some,
    with_timeout,
)


class Refused(Exception):
    pass


def refuse(value: object) -> Any:
    raise Refused(value)


def test_the_public_names_are_these() -> None:
    assert sorted(futures.__all__) == futures.__all__
    assert all(getattr(futures, name) is not None for name in futures.__all__)


# What a Future is


async def test_none_is_a_value() -> None:
    future = make_ready(None)
    assert future.done()
    assert await future is None
    assert await future.then(lambda value: value is None) is True


async def test_a_pending_future_is_completed_by_its_promise() -> None:
    promise: Promise[int] = Promise()
    assert not promise.future.done()
    asyncio.get_running_loop().call_soon(promise.resolve, 7)
    assert await promise.future == 7


async def test_a_promise_that_is_kept_before_anybody_asks_for_its_future_loses_nothing() -> None:
    promise: Promise[int] = Promise()
    promise.resolve(7)
    assert await promise.future == 7


async def test_a_pending_future_is_not_none_at_once() -> None:
    promise: Promise[int] = Promise()
    task = asyncio.ensure_future(as_task(promise.future))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not task.done()
    promise.resolve(1)
    assert await task == 1


async def as_task(future: Awaitable[Any]) -> Any:
    return await future


async def test_a_failure_is_done_and_raises_the_original() -> None:
    error = Refused()
    future = make_exception(error)
    assert future.done()
    with pytest.raises(Refused) as caught:
        await future
    assert caught.value is error
    assert future.exception() is error


@pytest.mark.parametrize("value", [(1, 2), (), StopIteration(3), ValueError("a value"), [None]])
async def test_values_that_look_like_something_else_arrive_as_they_are(value: object) -> None:
    assert await make_ready(value) is value
    promise: Promise[object] = Promise()
    asyncio.get_running_loop().call_soon(promise.resolve, value)
    assert await promise.future is value
    with pytest.raises(StopIteration) as ended:
        next(make_ready(value))  # type: ignore[call-overload]
    assert ended.value.value is value


def test_a_future_has_one_outcome() -> None:
    promise: Promise[int] = Promise()
    promise.resolve(1)
    with pytest.raises(InvalidStateError, match="settled once"):
        promise.resolve(2)
    with pytest.raises(InvalidStateError, match="settled once"):
        promise.fail(Refused())
    assert promise.future.result() == 1


def test_a_promise_fails_with_an_exception_only() -> None:
    with pytest.raises(TypeError, match="Expected an exception, got `str`"):
        Promise().fail("no")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="Expected an exception, got `type`"):
        make_exception(KeyError)  # type: ignore[arg-type]


async def test_a_stop_iteration_is_no_failure_that_ends_a_coroutine() -> None:
    with pytest.raises(RuntimeError, match="cannot be the failure") as caught:
        await make_ready(iter(())).then(next)
    assert isinstance(caught.value.__cause__, StopIteration)


def test_what_catch_is_to_catch_is_checked_at_once() -> None:
    with pytest.raises(TypeError, match="Expected an exception class or a tuple of them, got `str`"):
        Promise().future.catch(print, "KeyError")  # type: ignore[arg-type]


def test_a_future_without_an_owner_cannot_be_made() -> None:
    with pytest.raises(TypeError, match=r"use `Promise\(\)\.future`"):
        Future()


def test_a_pending_result_is_an_error_rather_than_a_default_value() -> None:
    with pytest.raises(InvalidStateError, match="pending"):
        Promise().future.result()
    with pytest.raises(InvalidStateError, match="pending"):
        Promise().future.exception()


def test_a_future_never_holds_a_future() -> None:
    inner = make_ready(1)
    assert make_ready(inner).result() == 1
    promise: Promise[int] = Promise()
    promise.resolve(inner)
    assert promise.future.result() == 1


async def test_a_promise_may_be_kept_with_what_will_be() -> None:
    first: Promise[int] = Promise()
    second: Promise[int] = Promise()
    first.resolve(second.future)
    with pytest.raises(InvalidStateError, match="waits for another"):
        first.resolve(make_ready(1))
    second.resolve(5)
    assert await first.future == 5


def test_the_type_can_be_subscribed() -> None:
    assert Future[int].__origin__ is Future  # type: ignore[attr-defined]


# Chains


async def test_links_on_a_ready_value_run_at_once() -> None:
    seen: list[int] = []
    make_ready(1).then(seen.append)
    assert seen == [1]


async def test_a_chain_on_a_pending_future_runs_without_a_turn_of_the_loop() -> None:
    promise: Promise[int] = Promise()
    chain = promise.future.then(lambda value: value + 1).then(lambda value: value * 10).then(str)
    promise.resolve(1)
    assert chain.result() == "20"


@pytest.mark.parametrize("ready", [True, False])
async def test_what_a_callback_returns_is_flattened(ready: bool) -> None:
    def source() -> Future[int]:
        promise: Promise[int] = Promise()
        (
            promise.resolve
            if ready
            else lambda value: asyncio.get_running_loop().call_soon(promise.resolve, value)
        )(2)
        return promise.future

    async def tenfold(value: int) -> int:
        await asyncio.sleep(0)
        return value * 10

    class Awaitable_:
        def __await__(self) -> Any:
            return tenfold(4).__await__()

    def asyncio_future(value: int) -> asyncio.Future[int]:
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_result, value + 1)
        return future

    assert await source().then(lambda value: make_ready(value + 1)) == 3
    assert await source().then(lambda value: sleep(0, value + 1)) == 3
    assert await source().then(tenfold) == 20
    assert await source().then(lambda _: Awaitable_()) == 40
    assert await source().then(asyncio_future) == 3
    assert await source().then(lambda value: make_ready(make_ready(value).then(tenfold))) == 20


@pytest.mark.parametrize("ready", [True, False])
async def test_a_failure_passes_the_links_by_until_one_catches_it(ready: bool) -> None:
    promise: Promise[int] = Promise()
    if ready:
        promise.resolve(1)
    seen: list[object] = []
    chain = (
        promise.future.then(refuse)
        .then(seen.append)
        .catch(seen.append, KeyError)
        .catch(lambda error: ("caught", error.args[0]), Refused)
        .catch(seen.append)
    )
    if not ready:
        promise.resolve(1)
    assert await chain == ("caught", 1)
    assert seen == []


@pytest.mark.parametrize("ready", [True, False])
async def test_a_catch_that_raises_gives_its_own_error(ready: bool) -> None:
    promise: Promise[int] = Promise()
    if ready:
        promise.fail(KeyError())
    chain = promise.future.catch(refuse)
    if not ready:
        promise.fail(KeyError())
    with pytest.raises(Refused):
        await chain


@pytest.mark.parametrize("ready", [True, False])
@pytest.mark.parametrize("outcome", ["value", "failure", "cancellation"])
async def test_finally_runs_for_every_outcome_and_keeps_it(ready: bool, outcome: str) -> None:
    promise: Promise[int] = Promise()
    seen: list[str] = []

    async def clean() -> None:
        await asyncio.sleep(0)
        seen.append("cleaned")

    def settle() -> None:
        if outcome == "value":
            promise.resolve(1)
        elif outcome == "failure":
            promise.fail(Refused())
        else:
            promise.future.cancel()

    if ready:
        settle()
    chain = promise.future.finally_(clean)
    if not ready:
        settle()
    assert not chain.done()
    if outcome == "value":
        assert await chain == 1
    else:
        with pytest.raises(Refused if outcome == "failure" else CancelledError):
            await chain
    assert seen == ["cleaned"]


async def test_an_error_of_finally_is_the_outcome() -> None:
    with pytest.raises(Refused):
        await make_ready(1).finally_(lambda: refuse(0))


async def test_continuations_run_in_the_order_in_which_they_were_chained_and_never_inside_one_another() -> (
    None
):
    promise: Promise[int] = Promise()
    other: Promise[int] = Promise()
    seen: list[str] = []

    def first(_: int) -> None:
        other.resolve(1)
        seen.append("first")

    promise.future.then(first).then(lambda _: seen.append("after first"))
    promise.future.then(lambda _: seen.append("second"))
    other.future.then(lambda _: seen.append("other"))
    promise.resolve(1)
    assert seen == ["first", "second", "other", "after first"]


async def test_a_chain_of_any_length_needs_no_stack() -> None:
    promise: Promise[int] = Promise()
    chain = promise.future
    for _ in range(50_000):
        chain = chain.then(lambda value: value + 1)
    promise.resolve(0)
    assert chain.result() == 50_000

    promise = Promise()
    chain = promise.future
    for _ in range(50_000):
        chain = chain.then(lambda value: value + 1)
    assert chain.cancel()
    assert promise.future.cancelled()


async def test_futures_that_resolve_each_other_need_no_stack() -> None:
    promises: list[Promise[int]] = [Promise() for _ in range(20_000)]
    for number, promise in enumerate(promises[:-1]):
        promise.future.then(promises[number + 1].resolve)
    promises[0].resolve(3)
    assert promises[-1].future.done()


async def test_a_continuation_cannot_wait_for_itself() -> None:
    promise: Promise[int] = Promise()
    chain: list[Future[Any]] = []
    chain.append(promise.future.then(lambda _: chain[0]))
    promise.resolve(1)
    with pytest.raises(TypeError, match="waits for it"):
        await chain[0]


async def test_callbacks_run_in_the_context_in_which_they_were_chained() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
    promise: Promise[int] = Promise()

    async def in_coroutine(_: object) -> str:
        await asyncio.sleep(0)
        return variable.get()

    variable.set("chained")
    plain = promise.future.then(lambda _: variable.get())
    coroutine = promise.future.then(in_coroutine)
    variable.set("resolved")
    promise.resolve(1)
    assert await plain == "chained"
    assert await coroutine == "chained"
    assert variable.get() == "resolved"


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
async def test_what_ends_the_program_is_not_kept_in_a_future(error: type[BaseException]) -> None:
    def end(_: object) -> None:
        raise error

    promise: Promise[int] = Promise()
    chain = promise.future.then(end)
    after: list[int] = []
    promise.future.then(after.append)
    with pytest.raises(error):
        promise.resolve(1)
    assert after == [1]
    assert isinstance(chain.exception(), error)
    with pytest.raises(error):
        make_ready(1).then(end)


# Failures are told


def reported(action: Callable[[], Any]) -> list[str]:
    """What the loop's exception handler is told while an action runs and its futures are collected."""

    async def main() -> list[str]:
        told: list[str] = []
        asyncio.get_running_loop().set_exception_handler(
            lambda loop, context: told.append(f"{context['message']}: {context['exception']!r}")
        )
        if asyncio.iscoroutinefunction(action):
            await action()
        else:
            action()
        gc.collect()
        return told

    return asyncio.run(main())


LOST = ["A Future failed and nobody looked at it: Refused(1)"]


def test_a_failure_that_nobody_looked_at_is_reported() -> None:
    assert reported(lambda: make_ready(1).then(refuse)) == LOST
    assert reported(lambda: make_exception(Refused(1))) == LOST
    assert reported(lambda: make_ready(1).then(refuse).then(str).then(str)) == LOST


def test_a_failure_in_a_cycle_is_reported_too() -> None:
    def cycle() -> None:
        future = make_ready(1).then(refuse)
        held: list[object] = [future]
        held.append(held)

    assert reported(cycle) == LOST


def test_a_failure_of_a_coroutine_in_a_chain_is_reported_once() -> None:
    async def fail(value: int) -> None:
        raise Refused(value)

    async def chain() -> None:
        make_ready(1).then(fail)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    assert reported(chain) == LOST


def test_a_done_callback_that_does_not_look_is_no_look() -> None:
    async def ignore() -> None:
        promise: Promise[int] = Promise()
        promise.future.add_done_callback(lambda future: None)
        promise.fail(Refused(1))
        await asyncio.sleep(0)

    assert reported(ignore) == LOST


def test_a_failure_that_was_looked_at_is_not_reported() -> None:
    async def look() -> None:
        for future in (make_exception(Refused(1)), make_ready(1).then(refuse).then(str)):
            with pytest.raises(Refused):
                await future
        make_exception(Refused(1)).exception()
        make_exception(Refused(1)).catch(lambda error: None)

    assert reported(look) == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_without_a_loop_the_unraisable_hook_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", told.append)
    make_exception(Refused(1))
    gc.collect()
    assert [(type(item.exc_value), item.err_msg) for item in told] == [
        (Refused, "A Future failed and nobody looked at it")
    ]


async def test_raising_a_failure_twice_does_not_grow_its_traceback() -> None:
    future = make_ready(1).then(refuse)
    depths = []
    for _ in range(3):
        with pytest.raises(Refused) as caught:
            await future
        depths.append(len(caught.traceback))
    assert len(set(depths)) == 1


async def test_a_dropped_promise_breaks_what_waits_for_it() -> None:
    promise: Promise[int] = Promise()
    task = asyncio.ensure_future(as_task(promise.future.then(str)))
    await asyncio.sleep(0)
    del promise
    with pytest.raises(BrokenPromise, match="dropped without an outcome"):
        await task


# Cancellation


async def test_cancelling_a_task_cancels_the_source_it_alone_waits_for() -> None:
    told: list[str] = []
    promise: Promise[int] = Promise(on_cancel=lambda: told.append("cancelled"))
    task = asyncio.ensure_future(as_task(promise.future.then(str).then(str)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(CancelledError):
        await task
    assert told == ["cancelled"]
    assert promise.future.cancelled()
    promise.resolve(1)  # the owner may not know yet


async def test_cancelling_one_of_two_tasks_leaves_the_other_its_future() -> None:
    told: list[str] = []
    promise: Promise[int] = Promise(on_cancel=lambda: told.append("cancelled"))
    one, other = (asyncio.ensure_future(as_task(promise.future)) for _ in range(2))
    await asyncio.sleep(0)
    one.cancel("leaving")
    with pytest.raises(CancelledError, match="leaving"):
        await one
    promise.resolve(4)
    assert await other == 4
    assert told == []


async def test_cancelling_one_branch_leaves_the_other() -> None:
    promise: Promise[int] = Promise()
    one, other = promise.future.then(str), promise.future.then(str)
    last = one.then(str)
    assert last.cancel()
    assert one.cancelled()
    promise.resolve(1)
    assert other.result() == "1"


async def test_a_cancelled_source_cancels_what_is_chained_on_it() -> None:
    promise: Promise[int] = Promise()
    chain = promise.future.then(str).then(str)
    promise.future.cancel()
    assert chain.cancelled()
    with pytest.raises(CancelledError):
        await chain


async def test_finally_runs_when_its_own_link_is_cancelled() -> None:
    seen: list[str] = []
    promise: Promise[int] = Promise()
    keep = promise.future.then(str)
    promise.future.finally_(lambda: seen.append("sole")).cancel()
    assert seen == ["sole"]
    assert not keep.done()
    keep.cancel()


async def test_cancelling_a_chain_cancels_the_coroutine_that_one_of_its_links_returned() -> None:
    seen: list[str] = []

    async def work(_: object) -> None:
        try:
            await asyncio.sleep(10)
        except CancelledError:
            seen.append("cancelled")
            raise

    chain = make_ready(1).then(work).then(str)
    await asyncio.sleep(0)
    assert chain.cancel()
    with pytest.raises(CancelledError):
        await chain
    assert seen == ["cancelled"]


async def test_a_cancellation_is_caught_only_where_it_is_named() -> None:
    promise: Promise[int] = Promise()
    passed = promise.future.catch(lambda error: "caught")
    named = promise.future.catch(lambda error: "caught", CancelledError)
    promise.future.cancel()
    assert passed.cancelled()
    assert named.result() == "caught"


async def test_a_link_cancelled_by_its_own_callback_cancels_what_that_returns() -> None:
    promise: Promise[int] = Promise()
    inner: Promise[int] = Promise()
    chain: list[Future[Any]] = []

    def callback(_: int) -> Future[int]:
        chain[0].cancel()
        return inner.future

    chain.append(promise.future.then(callback))
    promise.resolve(1)
    assert chain[0].cancelled()
    assert inner.future.cancelled()


def test_a_settled_future_cannot_be_cancelled() -> None:
    assert make_ready(1).cancel() is False


# Several


async def test_when_all_gives_the_values_in_order() -> None:
    async def coroutine() -> str:
        return "coroutine"

    task = asyncio.ensure_future(coroutine())
    assert await when_all([sleep(0.002, "late"), make_ready("ready"), coroutine(), task]) == [
        "late",
        "ready",
        "coroutine",
        "coroutine",
    ]
    assert await when_all({"a": sleep(0, 1), "b": make_ready(None)}) == {"a": 1, "b": None}
    assert await when_all(make_ready(number) for number in range(3)) == [0, 1, 2]
    assert await when_all([]) == []
    assert await when_all({}) == {}
    same = sleep(0, 1)
    assert await when_all([same, same]) == [1, 1]


def test_when_all_of_ready_futures_is_ready() -> None:
    assert when_all([make_ready(1), make_ready(2)]).result() == [1, 2]
    assert when_all({"a": make_ready(1)}).result() == {"a": 1}


async def test_when_all_cancels_the_siblings_of_a_failure() -> None:
    ended: list[str] = []

    async def sibling() -> None:
        try:
            await asyncio.sleep(10)
        finally:
            ended.append("sibling")

    task = asyncio.ensure_future(sibling())
    late = sleep(10)
    await asyncio.sleep(0)
    with pytest.raises(Refused):
        await when_all([task, late, sleep(0).then(refuse)])
    assert late.cancelled()
    await asyncio.sleep(0)
    assert task.cancelled()
    assert ended == ["sibling"]


async def test_a_sibling_that_somebody_else_waits_for_is_not_cancelled() -> None:
    shared: Promise[int] = Promise()
    other = shared.future.then(str)
    with pytest.raises(Refused):
        await when_all([shared.future, make_exception(Refused())])
    shared.resolve(1)
    assert await other == "1"


async def test_when_all_cancels_its_members_when_it_is_cancelled() -> None:
    members = [sleep(10), sleep(10)]
    task = asyncio.ensure_future(as_task(when_all(members)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(CancelledError):
        await task
    assert all(member.cancelled() for member in members)


def test_two_failures_are_one_outcome_and_no_report() -> None:
    async def both() -> None:
        with pytest.raises(Refused):
            await when_all([make_exception(Refused(1)), make_exception(Refused(2))])
        first: Promise[int] = Promise()
        second: Promise[int] = Promise()
        group = when_all([first.future, second.future, second.future.then(str)])
        first.fail(Refused(1))
        with pytest.raises(Refused):
            await group

    assert reported(both) == []


async def test_when_any_gives_the_first_and_its_place() -> None:
    late = sleep(10, "late")
    assert await when_any([late, sleep(0, "soon")]) == (1, "soon")
    assert late.cancelled()
    assert await when_any({"a": sleep(10), "b": make_ready(None)}) == ("b", None)
    with pytest.raises(Refused):
        await when_any([sleep(10), make_exception(Refused())])
    with pytest.raises(ValueError, match="of nothing"):
        when_any([])


async def test_when_some_gives_as_many_in_the_order_of_their_coming() -> None:
    late = sleep(10)
    assert await when_some([sleep(0.004, 1), late, sleep(0, 2)], 2) == [2, 1]
    assert late.cancelled()
    assert await when_some([make_ready(1), make_ready(2)], 1) == [1]
    assert await when_some([], 0) == []
    with pytest.raises(Refused):
        await when_some([sleep(10), sleep(0).then(refuse)], 1)
    with pytest.raises(ValueError, match="3 of 1"):
        when_some([make_ready(1)], 3)


async def test_what_is_no_future_is_refused_with_its_place() -> None:
    begun = sleep(10)
    with pytest.raises(TypeError, match="got `function` - at 1"):
        when_all([begun, lambda: None])  # type: ignore[list-item]
    assert begun.cancelled()
    with pytest.raises(TypeError, match="got `int` - at 'b'"):
        when_all({"b": 3})  # type: ignore[dict-item]
    with pytest.raises(TypeError, match="got `int`"):
        as_future(3)  # type: ignore[arg-type]


# Time


async def test_a_timeout_cancels_what_is_late_and_names_the_time() -> None:
    late = sleep(10)
    with pytest.raises(TimeoutError, match=r"within 0\.001 s"):
        await with_timeout(late, 0.001)
    assert late.cancelled()


async def test_a_value_in_time_is_given() -> None:
    assert await with_timeout(sleep(0, 1), 10) == 1
    assert await with_timeout(make_ready(2), 10) == 2
    with pytest.raises(Refused):
        await with_timeout(sleep(0).then(refuse), 10)


def timers() -> list[Any]:
    loop: Any = asyncio.get_running_loop()
    return [handle for handle in loop._scheduled if not handle.cancelled()]


async def test_timeouts_of_one_length_share_a_timer() -> None:
    promises: list[Promise[int]] = [Promise() for _ in range(100)]
    limited = [with_timeout(promise.future, 0.02) for promise in promises]
    assert len(timers()) == 1, timers()
    for promise in promises[:50]:
        promise.resolve(1)
    assert [await future for future in limited[:50]] == [1] * 50
    await asyncio.sleep(0.01)
    later = [with_timeout(sleep(10), 0.02) for _ in range(2)]
    for future in limited[50:]:
        with pytest.raises(TimeoutError):
            await future
    assert [future.done() for future in later] == [False, False]
    for future in later:
        with pytest.raises(TimeoutError):
            await future
    assert timers() == []


async def test_timeouts_of_many_lengths_all_end() -> None:
    limited = [with_timeout(sleep(10), 0.001 + number / 100_000) for number in range(200)]
    for future in limited:
        with pytest.raises(TimeoutError):
            await future
    assert timers() == []


async def test_what_ends_the_program_does_not_keep_other_timeouts_from_ending() -> None:
    def end() -> None:
        raise KeyboardInterrupt

    raised: list[object] = []
    first, second = with_timeout(sleep(10).finally_(end), 0), with_timeout(sleep(10), 0)
    (timer,) = [handle for handle in timers() if "expire" in repr(handle)]
    expire = timer._callback
    timer.cancel()
    try:
        expire()
    except KeyboardInterrupt as error:
        raised.append(error)
    assert [type(future.exception()) for future in (first, second)] == [TimeoutError, TimeoutError]
    assert len(raised) == 1


async def test_a_timeout_of_no_time_ends_what_is_not_there() -> None:
    with pytest.raises(TimeoutError):
        await with_timeout(sleep(10), 0)
    with pytest.raises(TimeoutError):
        await with_timeout(sleep(10), -1)


async def test_a_cancelled_wait_cancels_its_source_and_stops_its_timer() -> None:
    source = sleep(10)
    limited = with_timeout(source, 10)
    limited.cancel()
    assert limited.cancelled()
    assert source.cancelled()
    lone = sleep(10)
    lone.cancel()
    # The one that timeouts share is set once and for all.
    assert len(timers()) == 1


def test_what_needs_a_loop_says_so() -> None:
    with pytest.raises(RuntimeError, match="`sleep` needs a running event loop"):
        sleep(1)
    with pytest.raises(RuntimeError, match="`with_timeout` needs a running event loop"):
        with_timeout(Promise().future, 1)


# Memory


async def test_the_ordinary_path_leaves_no_cycles() -> None:
    class Value:
        pass

    gc.collect()
    gc.disable()
    try:
        values = []
        for ready in (True, False):
            value = Value()
            values.append(weakref.ref(value))
            promise: Promise[Value] = Promise()
            if ready:
                promise.resolve(value)
            chain = promise.future.then(lambda value: value).catch(str).finally_(lambda: None)
            group = when_all([chain, with_timeout(chain, 10)])
            if not ready:
                promise.resolve(value)
            await group
            task = asyncio.ensure_future(as_task(chain))
            await task
            del value, promise, chain, group, task
            # The loop holds the task while it runs the callback that says it is done.
            await asyncio.sleep(0)
        assert [reference() for reference in values] == [None, None]
    finally:
        gc.enable()


def test_a_long_chain_that_is_dropped_while_it_waits_is_collected() -> None:
    promise: Promise[int] = Promise()
    chain = promise.future
    for _ in range(100_000):
        chain = chain.then(str)  # type: ignore[assignment]
    before = len(gc.get_objects())
    del chain, promise
    gc.collect()
    assert before - len(gc.get_objects()) >= 100_000


async def test_many_futures_leave_no_memory_behind() -> None:
    async def turn() -> None:
        promise: Promise[int] = Promise()
        chain = when_all([promise.future.then(str), with_timeout(promise.future, 10)])
        asyncio.get_running_loop().call_soon(promise.resolve, 1)
        await chain
        cancelled = asyncio.ensure_future(as_task(Promise[int]().future))
        await asyncio.sleep(0)
        cancelled.cancel()

    for _ in range(200):
        await turn()
    gc.collect()
    before = len(gc.get_objects())
    for _ in range(500):
        await turn()
    gc.collect()
    assert len(gc.get_objects()) - before < 100
