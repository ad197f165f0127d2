"""What generators provide is torn down with its scope, in reverse order of making, all of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from swift.di import AsyncRequired, Container, ScopeClosed, ScopeRequired


class Engine:
    pass


class Session:
    def __init__(self, engine: Engine) -> None:
        self.engine = engine


class Cursor:
    def __init__(self, session: Session) -> None:
        self.session = session


log: list[str] = []


@pytest.fixture(autouse=True)
def _reset() -> None:
    log.clear()


async def engine() -> AsyncIterator[Engine]:
    log.append("engine +")
    yield Engine()
    log.append("engine -")


def session(engine: Engine) -> Iterator[Session]:
    log.append("session +")
    yield Session(engine)
    log.append("session -")


async def cursor(session: Session) -> AsyncIterator[Cursor]:
    log.append("cursor +")
    yield Cursor(session)
    log.append("cursor -")


def container() -> Container:
    return (
        Container()
        .add_singleton(Engine, engine)
        .add_scoped(Session, session)
        .add_transient(Cursor, cursor)
    )  # fmt: skip


async def test_a_scope_tears_down_what_it_made_and_the_container_the_rest() -> None:
    async with container() as services:
        async with services.scope() as scope:
            await scope.get(Cursor)
            await scope.get(Cursor)
        assert log == [
            "engine +", "session +", "cursor +", "cursor +", "cursor -", "cursor -", "session -",
        ]  # fmt: skip
    assert log[-1] == "engine -"


async def test_what_nobody_asked_for_is_not_torn_down() -> None:
    async with container() as services, services.scope():
        pass
    assert log == []


async def test_closing_twice_does_nothing() -> None:
    services = container()
    scope = services.scope()
    await scope.get(Session)
    await scope.aclose()
    await scope.aclose()
    assert log.count("session -") == 1


async def test_all_are_torn_down_even_if_some_raise() -> None:
    def fragile(engine: Engine) -> Iterator[Session]:
        yield Session(engine)
        raise OSError("session")

    services = container().add_scoped(Session, fragile)
    with pytest.raises(OSError, match="session"):
        async with services.scope() as scope:
            await scope.get(Cursor)
    assert "cursor -" in log
    await services.aclose()
    assert log[-1] == "engine -"


async def test_several_errors_are_a_group() -> None:
    def fragile(engine: Engine) -> Iterator[Session]:
        yield Session(engine)
        raise OSError("session")

    async def more_fragile(session: Session) -> AsyncIterator[Cursor]:
        yield Cursor(session)
        raise ValueError("cursor")

    services = container().add_scoped(Session, fragile).add_transient(Cursor, more_fragile)
    with pytest.raises(ExceptionGroup, match="Closing the scope") as caught:
        async with services.scope() as scope:
            await scope.get(Cursor)
    assert [str(error) for error in caught.value.exceptions] == ["cursor", "session"]


async def test_a_cancellation_outranks_the_other_errors() -> None:
    async def cancelled(engine: Engine) -> AsyncIterator[Session]:
        yield Session(engine)
        raise asyncio.CancelledError

    async def fragile(session: Session) -> AsyncIterator[Cursor]:
        yield Cursor(session)
        raise ValueError("cursor")

    services = container().add_scoped(Session, cancelled).add_transient(Cursor, fragile)
    scope = services.scope()
    await scope.get(Cursor)
    with pytest.raises(asyncio.CancelledError) as caught:
        await scope.aclose()
    assert caught.value.__notes__ == ["Closing the scope also raised ValueError('cursor')"]


async def test_an_error_in_the_block_leaves_services_as_usual() -> None:
    with pytest.raises(ZeroDivisionError):
        async with container().scope() as scope:
            await scope.get(Session)
            raise ZeroDivisionError
    # Without `try` after the `yield` too.
    assert log[-1] == "session -"


def test_a_scope_without_anything_asynchronous_closes_without_a_loop() -> None:
    def plain() -> Iterator[Engine]:
        yield Engine()
        log.append("engine -")

    with Container().add_scoped(Engine, plain).scope() as scope:
        scope.get_sync(Engine)
    assert log == ["engine -"]


async def test_a_scope_with_asynchronous_teardown_is_not_closed_by_with() -> None:
    scope = container().add_scoped(Cursor, cursor).scope()
    await scope.get(Cursor)
    with pytest.raises(AsyncRequired, match="close it with `await aclose"):
        scope.close()
    await scope.aclose()


@pytest.mark.parametrize("made_before", [False, True])
async def test_a_closed_scope_gives_nothing(made_before: bool) -> None:
    scope = container().scope()
    if made_before:
        await scope.get(Session)
    await scope.aclose()
    with pytest.raises(ScopeClosed, match="could not be torn down"):
        await scope.get(Session)


async def test_a_transient_service_with_teardown_is_not_asked_of_the_container() -> None:
    services = Container().add_transient(Engine, engine)
    with pytest.raises(ScopeRequired, match="where it would stay until the end; open a scope"):
        await services.get(Engine)


async def test_a_singleton_may_hold_a_transient_service_with_teardown() -> None:
    async with Container().add_transient(Engine, engine).add_singleton(Session) as services:
        await services.get(Session)
        assert log == ["engine +"]
    assert log == ["engine +", "engine -"]


async def test_a_closed_container_starts_afresh() -> None:
    services = container()
    first = await services.get(Engine)
    await services.aclose()
    assert await services.get(Engine) is not first
    await services.aclose()
    assert log == ["engine +", "engine -"] * 2


async def test_a_service_whose_making_fails_leaves_those_it_needed_to_the_scope() -> None:
    async def broken(session: Session) -> AsyncIterator[Cursor]:
        raise OSError("no cursor")
        yield

    with pytest.raises(OSError, match="no cursor"):
        async with container().add_scoped(Cursor, broken).scope() as scope:
            await scope.get(Cursor)
    assert log == ["engine +", "session +", "session -"]


async def test_a_generator_must_yield_once() -> None:
    def never() -> Iterator[Engine]:
        return
        yield

    def twice() -> Iterator[Engine]:
        yield Engine()
        yield Engine()

    async def never_async() -> AsyncIterator[Engine]:
        return
        yield

    async def twice_async() -> AsyncIterator[Engine]:
        yield Engine()
        yield Engine()

    for provider, sentence in (
        (never, "ended without a `yield`"),
        (twice, "twice yielded twice"),
        (never_async, "ended without a `yield`"),
        (twice_async, "twice_async yielded twice"),
    ):
        with pytest.raises(RuntimeError, match=sentence):
            async with Container().add_scoped(Engine, provider).scope() as scope:
                await scope.get(Engine)
