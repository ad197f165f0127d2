"""What stands on futures: retry, pipelines, semaphores, gates, and functions over several items."""

from __future__ import annotations

import asyncio
import random
import time
from asyncio import CancelledError
from typing import Any

import pytest

from swift import futures
from swift.futures import (
    Future,
    Gate,
    GateClosed,
    Promise,
    Semaphore,
    filter_async,
    futurize,
    make_exception,
    make_ready,
    map_async,
    pipeline,
    reduce_async,
    retry,
    sleep,
)


class Refused(Exception):
    pass


class Flaky:
    """Fails so many times, then answers with the number of the call."""

    def __init__(self, failures: int, error: Exception | None = None) -> None:
        self.failures = failures
        self.error = error or Refused()
        self.calls = 0

    def __call__(self) -> Future[int]:
        self.calls += 1
        return make_exception(self.error) if self.calls <= self.failures else make_ready(self.calls)


# Functions


async def test_a_call_becomes_a_future_whatever_it_does() -> None:
    async def coroutine(value: int) -> int:
        return value + 1

    def refuse() -> None:
        raise Refused

    assert await futurize(coroutine, 1) == 2
    assert await futurize(lambda a, b: a + b, 1, 2) == 3
    with pytest.raises(Refused):
        await futurize(refuse)


async def test_a_pipeline_hands_each_result_on_and_none_is_one() -> None:
    async def slow(value: int) -> None:
        await asyncio.sleep(0)

    run = pipeline(lambda value: value + 1, slow, lambda value: [value])
    assert await run(1) == [None]
    assert await pipeline()(4) == 4
    assert await run(None).catch(lambda error: type(error).__name__) == "TypeError"


# Retry


async def test_retry_calls_again_until_it_succeeds() -> None:
    flaky = Flaky(2)
    assert await retry(flaky, delay=0) == 3


async def test_retry_makes_as_many_attempts_as_it_says_and_raises_the_last_error() -> None:
    flaky = Flaky(9)
    with pytest.raises(Refused):
        await retry(flaky, attempts=4, delay=0)
    assert flaky.calls == 4
    with pytest.raises(ValueError, match="at least one attempt"):
        retry(flaky, attempts=0)


@pytest.mark.parametrize("when", [KeyError, (KeyError, OSError), lambda error: isinstance(error, KeyError)])
async def test_retry_tries_again_only_what_is_worth_it(when: Any) -> None:
    flaky = Flaky(1)
    with pytest.raises(Refused):
        await retry(flaky, delay=0, when=when)
    assert flaky.calls == 1
    assert await retry(Flaky(1, KeyError()), delay=0, when=when) == 2


async def test_retry_pauses_longer_each_time_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    def record(seconds: float, value: Any = None) -> Future[Any]:
        pauses.append(seconds)
        return make_ready(value)

    monkeypatch.setattr(futures, "sleep", record)
    await retry(Flaky(4), attempts=5, delay=1, backoff=3, max_delay=10, jitter=False)
    assert pauses == [1, 3, 9, 10]
    pauses.clear()
    random.seed(4)
    await retry(Flaky(4), attempts=5, delay=1, backoff=3, max_delay=10)
    assert all(0 < pause < limit for pause, limit in zip(pauses, [1, 3, 9, 10], strict=True))
    assert len(set(pauses)) == 4


async def test_a_cancelled_retry_stops() -> None:
    flaky = Flaky(99)
    task = asyncio.ensure_future(awaited(retry(flaky, attempts=99, delay=10)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(CancelledError):
        await task
    assert flaky.calls == 1


async def awaited(future: Future[Any]) -> Any:
    return await future


# Semaphores


async def test_a_semaphore_lets_so_many_in_and_the_others_in_their_order() -> None:
    semaphore = Semaphore(2)
    inside = 0
    most = 0
    order: list[int] = []

    async def work(number: int) -> None:
        nonlocal inside, most
        async with semaphore:
            inside += 1
            most = max(most, inside)
            order.append(number)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*[work(number) for number in range(10)])
    assert most == 2
    assert order == list(range(10))
    assert (semaphore.free, semaphore.waiting) == (2, 0)
    with pytest.raises(ValueError, match="at least one permit"):
        Semaphore(0)


async def test_a_free_permit_takes_no_turn_of_the_loop() -> None:
    turned: list[int] = []
    asyncio.get_running_loop().call_soon(turned.append, 1)
    semaphore = Semaphore(1)
    async with semaphore:
        pass
    assert await semaphore.run(make_ready, 3) == 3
    assert turned == []


async def test_run_holds_its_permit_until_the_result_is_there() -> None:
    semaphore = Semaphore(1)
    promise: Promise[int] = Promise()
    first = semaphore.run(lambda: promise.future)
    second = semaphore.run(make_exception, Refused())
    assert semaphore.waiting == 1
    promise.resolve(1)
    assert await first == 1
    with pytest.raises(Refused):
        await second
    assert semaphore.free == 1


async def test_a_cancelled_waiter_takes_no_permit() -> None:
    semaphore = Semaphore(1)
    await semaphore.acquire()
    given_up = semaphore.run(make_ready, 1)
    given_up.cancel()
    kept = semaphore.run(make_ready, 2)
    semaphore.release()
    assert await kept == 2
    assert semaphore.free == 1


async def test_a_permit_given_to_a_task_that_is_cancelled_in_the_same_turn_is_not_lost() -> None:
    semaphore = Semaphore(1)
    await semaphore.acquire()

    async def enter() -> None:
        async with semaphore:
            raise AssertionError("entered after it was cancelled")

    task = asyncio.ensure_future(enter())
    await asyncio.sleep(0)
    semaphore.release()
    task.cancel()
    with pytest.raises(CancelledError):
        await task
    assert semaphore.free == 1


# Gates


async def test_a_closed_gate_refuses_what_is_new_and_waits_for_what_is_under_way() -> None:
    gate = Gate()
    promise: Promise[int] = Promise()
    under_way = gate.run(lambda: promise.future)
    with gate:
        assert gate.inside == 2
    impatient = gate.close()
    closed = gate.close()
    impatient.cancel()
    assert gate.closed
    assert not closed.done()
    with pytest.raises(GateClosed, match="nothing new"):
        await gate.run(make_ready, 1)
    with pytest.raises(GateClosed), gate:
        pass
    promise.resolve(1)
    await closed
    assert await under_way == 1
    assert gate.inside == 0


async def test_an_empty_gate_closes_at_once() -> None:
    assert Gate().close().done()


# Items


async def test_map_keeps_the_items_order_and_the_limit() -> None:
    running = 0
    most = 0

    async def double(value: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await sleep(0.001 * (3 - value % 3))
        running -= 1
        return value * 2

    assert await map_async(double, range(9), limit=3) == [value * 2 for value in range(9)]
    assert most == 3
    started = time.perf_counter()
    assert await map_async(lambda value: sleep(0.02, value), range(50)) == list(range(50))
    assert time.perf_counter() - started < 0.5


async def test_a_failed_map_cancels_what_runs_and_never_begins_the_rest() -> None:
    begun: list[int] = []
    slow = sleep(10)

    def work(value: int) -> Future[Any]:
        begun.append(value)
        return sleep(0).then(lambda _: make_exception(Refused())) if value == 1 else slow

    with pytest.raises(Refused):
        await map_async(work, range(10), limit=2)
    assert begun == [0, 1]
    assert slow.cancelled()


async def test_filter_and_reduce() -> None:
    assert await filter_async(lambda value: sleep(0, value % 2), range(6)) == [1, 3, 5]
    assert await filter_async(lambda value: None, range(6), limit=2) == []
    assert await reduce_async(lambda total, value: sleep(0, total + value), range(5), 10) == 20
    assert await reduce_async(lambda total, value: total, [], None) is None
