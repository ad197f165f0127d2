"""However many ask at the same time, a singleton is made once, and a scoped service once in its scope."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from swift.di import AsyncRequired, CircularDependency, Container


class Pool:
    made = 0

    def __init__(self) -> None:
        type(self).made += 1


@pytest.fixture(autouse=True)
def _reset() -> None:
    Pool.made = 0


async def slowly() -> Pool:
    await asyncio.sleep(0.01)
    return Pool()


async def test_tasks_make_a_singleton_once() -> None:
    services = Container().add_singleton(Pool, slowly)
    found = await asyncio.gather(*(services.get(Pool) for _ in range(50)))
    assert (Pool.made, len(set(map(id, found)))) == (1, 1)


async def test_tasks_make_a_scoped_service_once() -> None:
    async with Container().add_scoped(Pool, slowly).scope() as scope:
        await asyncio.gather(*(scope.get(Pool) for _ in range(50)))
    assert Pool.made == 1


@pytest.mark.parametrize("lifetime", ["singleton", "scoped"])
def test_threads_make_a_service_once(lifetime: str) -> None:
    def slow() -> Pool:
        time.sleep(0.02)
        return Pool()

    services = getattr(Container(), f"add_{lifetime}")(Pool, slow)
    scope = services.scope()
    with ThreadPoolExecutor(16) as threads:
        found = list(threads.map(lambda _: scope.get_sync(Pool), range(16)))
    assert (Pool.made, len(set(map(id, found)))) == (1, 1)


def test_loops_of_several_threads_make_a_singleton_once() -> None:
    services = Container().add_singleton(Pool, slowly)
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: asyncio.run(services.get(Pool)), range(8)))
    assert (Pool.made, len(set(map(id, found)))) == (1, 1)


def test_a_thread_waits_for_what_a_task_elsewhere_makes() -> None:
    began = threading.Event()

    async def make() -> Pool:
        began.set()
        return await slowly()

    services = Container().add_singleton(Pool, make)
    with ThreadPoolExecutor(1) as threads:
        made = threads.submit(lambda: asyncio.run(services.get(Pool)))
        began.wait()
        assert services.get_sync(Pool) is made.result()


async def test_those_who_waited_get_the_error_and_the_next_tries_anew() -> None:
    attempts = 0

    async def fail_once() -> Pool:
        nonlocal attempts
        attempts += 1
        await asyncio.sleep(0)
        if attempts == 1:
            raise OSError("refused")
        return Pool()

    services = Container().add_singleton(Pool, fail_once)
    results = await asyncio.gather(*(services.get(Pool) for _ in range(5)), return_exceptions=True)
    assert [type(result) for result in results] == [OSError] * 5
    assert attempts == 1
    assert isinstance(await services.get(Pool), Pool)


async def test_when_the_maker_is_cancelled_another_takes_its_place() -> None:
    services = Container().add_singleton(Pool, slowly)
    first = asyncio.create_task(services.get(Pool))
    await asyncio.sleep(0)
    others = [asyncio.create_task(services.get(Pool)) for _ in range(3)]
    await asyncio.sleep(0)
    first.cancel()
    found = await asyncio.gather(*others)
    assert first.cancelled()
    assert (Pool.made, len(set(map(id, found)))) == (1, 1)


async def test_who_waits_may_be_cancelled_alone() -> None:
    services = Container().add_singleton(Pool, slowly)
    first = asyncio.create_task(services.get(Pool))
    await asyncio.sleep(0)
    second = asyncio.create_task(services.get(Pool))
    await asyncio.sleep(0)
    second.cancel()
    assert await first is await services.get(Pool)
    assert second.cancelled()


async def test_a_maker_that_asks_for_what_it_makes_is_told_instead_of_waiting_for_ever() -> None:
    async def make(container: Container) -> Pool:
        return await container.get(Pool)

    services = Container().add_singleton(Pool, make)
    with pytest.raises(
        CircularDependency, match="Pool was asked for while it was being made, by its own maker"
    ):
        await asyncio.wait_for(services.get(Pool), 1)


def test_a_plain_maker_that_asks_for_what_it_makes_is_told_too() -> None:
    def make(container: Container) -> Pool:
        return container.get_sync(Pool)

    with pytest.raises(CircularDependency, match="by its own maker"):
        Container().add_singleton(Pool, make).get_sync(Pool)


async def test_blocking_the_loop_that_makes_a_service_is_refused() -> None:
    services = Container().add_singleton(Pool, slowly)
    task = asyncio.create_task(services.get(Pool))
    await asyncio.sleep(0)
    with pytest.raises(AsyncRequired, match="which `get_sync` would block; use `await get`"):
        services.get_sync(Pool)
    await task
