"""Overrides for tests: another compiled graph for the length of a block, nothing left after it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from swift.di import Container, DependencyError, MissingService, RegistrationError


class Mailer:
    def send(self) -> str:
        return "sent"


class Clock:
    pass


class Service:
    def __init__(self, mailer: Mailer, clock: Clock) -> None:
        self.mailer, self.clock = mailer, clock


class FakeMailer:
    """A double need not be a subclass."""

    def send(self) -> str:
        return "kept"


def container() -> Container:
    return Container().add_singleton(Mailer).add_singleton(Clock).add_singleton(Service)


def test_an_instance_is_given_inside_the_block_only() -> None:
    services = container()
    fake = FakeMailer()
    with services.override(Mailer, fake):
        assert services.get_sync(Mailer) is fake
        with services.scope() as scope:
            assert scope.get_sync(Mailer) is fake
    assert type(services.get_sync(Mailer)) is Mailer


def test_a_singleton_that_needs_it_is_made_anew_and_forgotten() -> None:
    services = container()
    before = services.get_sync(Service)
    with services.override(Mailer, FakeMailer()):
        inside = services.get_sync(Service)
        assert inside is services.get_sync(Service)
        assert inside.mailer.send() == "kept"
    assert services.get_sync(Service) is before
    with services.override(Mailer, FakeMailer()):
        assert services.get_sync(Service) is not inside


def test_a_singleton_that_does_not_need_it_is_shared() -> None:
    services = container()
    with services.override(Mailer, FakeMailer()):
        clock = services.get_sync(Clock)
        assert services.get_sync(Service).clock is clock
    assert services.get_sync(Service).clock is clock


def test_overrides_nest() -> None:
    services = container()
    with services.override(Mailer, FakeMailer()):
        outer = services.get_sync(Service)
        with services.override(Clock, object()):
            inner = services.get_sync(Service)
            assert inner is not outer
            assert inner.mailer is outer.mailer
        assert services.get_sync(Service) is outer


def test_overrides_end_in_reverse_order() -> None:
    services = container()
    first, second = services.override(Mailer, FakeMailer()), services.override(Clock, object())
    first.__enter__()
    second.__enter__()
    with pytest.raises(DependencyError, match="nest their `with` blocks"):
        first.__exit__(None, None, None)
    second.__exit__(None, None, None)
    first.__exit__(None, None, None)


def test_a_class_or_factory_keeps_the_lifetime() -> None:
    services = Container().add_scoped(Mailer)
    for provider in (FakeMailer, lambda: FakeMailer()):
        with services.override(Mailer, provider), services.scope() as one, services.scope() as other:
            assert one.get_sync(Mailer) is one.get_sync(Mailer)
            assert one.get_sync(Mailer) is not other.get_sync(Mailer)


def test_a_key_is_overridden_alone() -> None:
    services = Container().add_singleton(Mailer).add_singleton(Mailer, key="bulk")
    with services.override(Mailer, FakeMailer(), key="bulk"):
        assert services.get_sync(Mailer).send() == "sent"
        assert services.get_sync(Mailer, "bulk").send() == "kept"


def test_an_override_makes_an_unsound_graph_sound() -> None:
    services = Container().add_singleton(Clock).add_singleton(Service)
    with services.override(Mailer, FakeMailer()):
        services.validate()
    with pytest.raises(MissingService):
        services.validate()


def test_a_scope_that_was_open_before_stays_as_it_is() -> None:
    services = container()
    scope = services.scope()
    with services.override(Mailer, FakeMailer()):
        assert scope.get_sync(Mailer).send() == "sent"


def test_what_the_block_made_is_torn_down_with_it() -> None:
    log = []

    def fake() -> Iterator[Mailer]:
        yield Mailer()
        log.append("closed")

    services = container()
    with services.override(Mailer, fake):
        services.get_sync(Service)
    assert log == ["closed"]


@pytest.mark.parametrize("block", ["async with", "with"])
async def test_asynchronous_teardown_happens_with_the_block_or_with_the_container(block: str) -> None:
    log = []

    async def fake() -> AsyncIterator[Mailer]:
        yield Mailer()
        log.append("closed")

    services = container()
    if block == "async with":
        async with services.override(Mailer, fake):
            await services.get(Service)
        assert log == ["closed"]
    else:
        with services.override(Mailer, fake):
            await services.get(Service)
        assert log == []
    await services.aclose()
    assert log == ["closed"]


async def test_the_container_may_close_inside_the_block() -> None:
    log = []

    async def clock() -> AsyncIterator[Clock]:
        yield Clock()
        log.append("clock")

    services = container().add_singleton(Clock, clock)
    with services.override(Mailer, FakeMailer()):
        first = await services.get(Service)
        await services.aclose()
        assert log == ["clock"]
        # As an application that is started a second time.
        again = await services.get(Service)
        assert again is not first
        assert again.mailer.send() == "kept"
    assert (await services.get(Service)).clock is again.clock
    await services.aclose()
    assert log == ["clock", "clock"]


def test_nothing_is_registered_inside_the_block() -> None:
    services = container()
    with (
        services.override(Mailer, FakeMailer()),
        pytest.raises(RegistrationError, match="before or after the block"),
    ):
        services.add_singleton(Clock)
