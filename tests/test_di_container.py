"""The container: what is registered, how long it lives, and how a provider gets its arguments."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

import msgspec
import pytest

from swift.di import (
    AsyncRequired,
    Container,
    Inject,
    Keyed,
    MissingService,
    RegistrationError,
    Scope,
    ScopeRequired,
)


class Settings:
    def __init__(self, url: str = "memory://") -> None:
        self.url = url


class Session:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings


class Repo:
    def __init__(self, session: Session) -> None:
        self.session = session


class Service:
    def __init__(self, repo: Repo, session: Session, *, settings: Settings) -> None:
        self.repo, self.session, self.settings = repo, session, settings


@dataclass
class Base:
    settings: Settings


@dataclass
class Derived(Base):
    repo: Repo | None = None


class Struct(msgspec.Struct):
    derived: Derived


def container() -> Container:
    return (
        Container()
        .add_singleton(Settings)
        .add_scoped(Session)
        .add_transient(Repo)
        .add_scoped(Service)
    )  # fmt: skip


class TestLifetimes:
    async def test_a_singleton_is_one_for_the_container(self) -> None:
        services = container()
        async with services.scope() as one, services.scope() as other:
            assert await one.get(Settings) is await other.get(Settings) is await services.get(Settings)

    async def test_a_scoped_service_is_one_for_each_scope(self) -> None:
        services = container()
        async with services.scope() as one, services.scope() as other:
            assert await one.get(Session) is await one.get(Session)
            assert await one.get(Session) is not await other.get(Session)

    async def test_a_transient_service_is_made_for_each_who_asks(self) -> None:
        async with container().scope() as scope:
            assert await scope.get(Repo) is not await scope.get(Repo)

    async def test_those_who_share_a_scope_share_its_services(self) -> None:
        async with container().scope() as scope:
            service = await scope.get(Service)
            assert service.session is service.repo.session
            assert service.settings is service.session.settings

    async def test_a_scope_in_a_scope_has_its_own_services(self) -> None:
        async with container().scope() as outer, outer.scope() as inner:
            assert await inner.get(Session) is not await outer.get(Session)

    async def test_scoped_services_are_not_asked_of_the_container(self) -> None:
        services = container()
        with pytest.raises(ScopeRequired, match=r"Session is scoped, .* open a scope: `async with"):
            await services.get(Session)
        with pytest.raises(ScopeRequired, match=r"Repo needs something scoped \(Repo -> Session\)"):
            services.get_sync(Repo)

    def test_without_anything_asynchronous_no_loop_is_needed(self) -> None:
        with container().scope() as scope:
            assert scope.get_sync(Service).repo.session is scope.get_sync(Session)


class TestProviders:
    async def test_a_coroutine_function_is_awaited(self) -> None:
        async def connect(settings: Settings) -> Session:
            return Session(settings)

        services = Container().add_singleton(Settings).add_singleton(Session, connect).add_transient(Repo)
        with pytest.raises(
            AsyncRequired, match="Session is made asynchronously; use `await get`, or make it"
        ):
            services.get_sync(Repo)
        made = await services.get(Session)
        # What was made does not need to be awaited any more.
        assert services.get_sync(Repo).session is made

    async def test_a_function_and_a_partial_of_one(self) -> None:
        def make(url: str, settings: Settings) -> Session:
            return Session(Settings(url))

        services = Container().add_singleton(Settings).add_scoped(Session, functools.partial(make, "x://"))
        async with services.scope() as scope:
            assert (await scope.get(Session)).settings.url == "x://"

    async def test_an_object_with_call(self) -> None:
        class Maker:
            def __call__(self, settings: Settings) -> Session:
                return Session(settings)

        services = Container().add_singleton(Settings).add_singleton(Session, Maker())
        assert (await services.get(Session)).settings is await services.get(Settings)

    def test_an_instance(self) -> None:
        settings = Settings("y://")
        assert Container().add_singleton(Settings, settings).get_sync(Settings) is settings
        assert Container().add_instance(settings).get_sync(Settings) is settings

    def test_a_callable_instance_of_the_service_is_not_called(self) -> None:
        class Hook:
            def __call__(self) -> None:
                raise AssertionError

        hook = Hook()
        assert Container().add_singleton(Hook, hook).get_sync(Hook) is hook

    def test_classes_whose_fields_are_their_parameters(self) -> None:
        services = Container().add_singleton(Settings).add_singleton(Derived).add_singleton(Struct)
        assert services.get_sync(Struct).derived.settings is services.get_sync(Settings)

    def test_an_inherited_constructor(self) -> None:
        class SqlRepo(Repo):
            pass

        services = Container().add_singleton(Settings).add_singleton(Session).add_singleton(Repo, SqlRepo)
        assert type(services.get_sync(Repo)) is SqlRepo

    def test_a_protocol_is_implemented_without_inheritance(self) -> None:
        class Clock(Protocol):
            def now(self) -> int: ...

        class Fixed:
            def now(self) -> int:
                return 1

        assert Container().add_singleton(Clock, Fixed).get_sync(Clock).now() == 1  # type: ignore[type-abstract]


class Plugin:
    pass


class First(Plugin):
    pass


class Second(Plugin):
    pass


class Host:
    def __init__(self, plugins: list[Plugin], also: Sequence[Plugin]) -> None:
        self.plugins, self.also = plugins, also


class TestArguments:
    async def test_the_last_registration_is_the_one_that_is_given(self) -> None:
        services = Container().add_singleton(Plugin, First).add_singleton(Plugin, Second)
        assert type(await services.get(Plugin)) is Second

    async def test_a_list_is_all_of_them_in_order(self) -> None:
        services = Container().add_singleton(Plugin, First).add_singleton(Plugin, Second).add_singleton(Host)
        host = await services.get(Host)
        assert [type(plugin) for plugin in host.plugins] == [First, Second]
        assert host.also == host.plugins

    async def test_asking_for_all_again_gives_the_same_ones(self) -> None:
        services = Container().add_singleton(Plugin, First).add_scoped(Plugin, Second)
        async with services.scope() as scope:
            assert await scope.get_all(Plugin) == await scope.get_all(Plugin)
            assert (await scope.get_all(Plugin))[-1] is await scope.get(Plugin)

    def test_a_list_of_what_nobody_registered_is_empty(self) -> None:
        host = Container().add_singleton(Host).get_sync(Host)
        assert (host.plugins, host.also) == ([], [])

    def test_a_list_of_values_is_missing_rather_than_empty(self) -> None:
        def make(names: list[str]) -> Plugin:
            raise AssertionError

        with pytest.raises(MissingService, match=r"make|Plugin needs `names`"):
            Container().add_singleton(Plugin, make).validate()

    def test_keyed_services(self) -> None:
        class Copier:
            def __init__(
                self, read: Annotated[Settings, Keyed("read")], write: Settings = Inject(key="write")
            ) -> None:
                self.read, self.write = read, write

        services = (
            Container()
            .add_instance(Settings("r"), key="read")
            .add_instance(Settings("w"), key="write")
            .add_singleton(Copier)
        )
        copier = services.get_sync(Copier)
        assert (copier.read.url, copier.write.url) == ("r", "w")
        assert services.get_sync(Settings, "read").url == "r"
        assert not services.has(Settings)
        assert services.has(Settings, "read")

    def test_defaults_and_optional_services_are_left_alone_when_nothing_is_registered(self) -> None:
        class Lenient:
            def __init__(self, n: int = 7, repo: Repo | None = None, plugin: Plugin | None = None) -> None:
                self.n, self.repo, self.plugin = n, repo, plugin

        lenient = Container().add_singleton(Lenient).add_singleton(Plugin).get_sync(Lenient)
        assert (lenient.n, lenient.repo) == (7, None)
        assert isinstance(lenient.plugin, Plugin)

    def test_an_optional_service_without_default_is_none(self) -> None:
        class Lenient:
            def __init__(self, repo: Repo | None, /, *rest: Any, **options: Any) -> None:
                self.repo = repo

        assert Container().add_singleton(Lenient).get_sync(Lenient).repo is None

    async def test_the_scope_and_the_container_themselves(self) -> None:
        class Locator:
            def __init__(self, scope: Scope, container: Container) -> None:
                self.scope, self.container = scope, container

        services = Container().add_scoped(Locator)
        async with services.scope() as scope:
            locator = await scope.get(Locator)
            assert (locator.scope, locator.container) == (scope, services)


class Abstract(ABC):
    @abstractmethod
    def go(self) -> None: ...


WRONG: list[tuple[Any, Any, str]] = [
    (Plugin, Repo, r"add_scoped\(Plugin, \.\.\.\): Repo is no subclass of Plugin"),
    (Abstract, None, "Abstract is abstract; register the class that implements it"),
    (Plugin, Plugin(), "got an instance of Plugin; an instance is a singleton: use add_instance"),
    (Plugin, 5, "got an instance of int"),
]


class TestRegistration:
    @pytest.mark.parametrize(("service", "provider", "sentence"), WRONG)
    def test_what_cannot_provide_a_service_is_refused_at_once(
        self, service: Any, provider: Any, sentence: str
    ) -> None:
        with pytest.raises(RegistrationError, match=sentence):
            Container().add_scoped(service, provider)

    def test_an_instance_must_be_what_it_is_registered_as(self) -> None:
        with pytest.raises(RegistrationError, match="Repo is no Plugin"):
            Container().add_instance(Repo(Session(Settings())), Plugin)

    def test_if_absent_leaves_alone_what_is_there(self) -> None:
        services = Container().add_singleton(Plugin, First).add_singleton(Plugin, Second, if_absent=True)
        assert type(services.get_sync(Plugin)) is First
        assert len(services.get_sync(list[Plugin])) == 1

    def test_what_is_registered_later_is_found_and_leaves_singletons_alone(self) -> None:
        services = Container().add_singleton(Settings)
        settings = services.get_sync(Settings)
        with pytest.raises(MissingService):
            services.get_sync(Session)
        services.add_singleton(Session)
        assert services.get_sync(Session).settings is settings

    def test_two_containers_share_nothing(self) -> None:
        assert container().get_sync(Settings) is not container().get_sync(Settings)

    def test_lifetime_of(self) -> None:
        services = container()
        assert [services.lifetime_of(each) for each in (Settings, Session, Repo, Plugin)] == [
            "singleton",
            "scoped",
            "transient",
            None,
        ]


def open_session() -> Iterator[Session]:
    yield Session(Settings())


async def open_repo(session: Session) -> AsyncIterator[Repo]:
    yield Repo(session)


async def test_generators_provide_what_they_yield() -> None:
    services = Container().add_scoped(Session, open_session).add_scoped(Repo, open_repo)
    async with services.scope() as scope:
        assert (await scope.get(Repo)).session is await scope.get(Session)
