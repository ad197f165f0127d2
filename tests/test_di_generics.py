"""Open registrations: the generic `Repository` is registered, `Repository[User]` is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import pytest

from swift.di import Container, MissingService
from swift.di.generics import bindings_of, implementation_of, match, substitute

T = TypeVar("T")
T1 = TypeVar("T1")
T2 = TypeVar("T2")


class User:
    pass


class Order:
    pass


class Repository(Generic[T]):
    pass


class Options(Generic[T]):
    pass


class SqlRepository(Repository[T]):
    def __init__(self, options: Options[T], entity: type[T]) -> None:
        self.options, self.entity = options, entity


class CachedRepository(SqlRepository[T]):
    pass


class UserRepository(SqlRepository[User]):
    pass


def test_an_open_registration_serves_each_closed_type() -> None:
    services = Container().add_singleton(Repository, SqlRepository).add_singleton(Options)
    users, orders = services.get_sync(Repository[User]), services.get_sync(Repository[Order])
    assert users is services.get_sync(Repository[User])
    assert users is not orders
    assert users.options is services.get_sync(Options[User])
    assert orders.options is services.get_sync(Options[Order])


def test_a_class_may_ask_for_its_type_argument() -> None:
    services = Container().add_singleton(Repository, SqlRepository).add_singleton(Options)
    users = services.get_sync(Repository[User])
    assert users.entity is User
    assert users.__orig_class__ == SqlRepository[User]


@pytest.mark.parametrize("implementation", [SqlRepository, CachedRepository])
def test_the_arguments_of_a_bare_class_follow_from_its_bases(implementation: Any) -> None:
    services = Container().add_singleton(Repository, implementation).add_singleton(Options)
    users = services.get_sync(Repository[User])
    assert type(users) is implementation
    assert users.entity is User
    assert users.options is services.get_sync(Options[User])


def test_a_class_of_one_closed_type_serves_only_that() -> None:
    services = Container().add_singleton(Repository, UserRepository).add_singleton(Options)
    assert services.get_sync(Repository[User]).entity is User
    assert not services.has(Repository[Order])


def test_a_closed_registration_goes_before_an_open_one() -> None:
    services = (
        Container()
        .add_singleton(Repository[User], UserRepository)
        .add_singleton(Repository, SqlRepository)
        .add_singleton(Options)
    )
    assert type(services.get_sync(Repository[User])) is UserRepository
    assert type(services.get_sync(Repository[Order])) is SqlRepository
    assert len(services.get_sync(list[Repository[User]])) == 2


def test_type_variables_may_be_written_out() -> None:
    services = Container().add_singleton(Pair[T1, T2], Flipped[T2, T1])  # type: ignore[valid-type]
    assert services.get_sync(Pair[User, Order]).__orig_class__ == Flipped[Order, User]


def test_a_bare_generic_class_may_itself_be_asked_for() -> None:
    services = Container().add_singleton(Options)
    assert isinstance(services.get_sync(Options), Options)
    assert services.get_sync(Options[User]) is not services.get_sync(Options)


def test_what_an_open_registration_needs_is_checked_for_the_closed_types_that_are_asked_for() -> None:
    services = Container().add_singleton(Repository, SqlRepository)
    services.validate()
    with pytest.raises(
        MissingService, match=r"Repository\[User\] needs `options`: Options\[User\] is not regis"
    ):
        services.add_singleton(Owner).validate()


def test_a_generic_function() -> None:
    def make(options: Options[T]) -> Repository[T]:
        return SqlRepository(options, object)  # type: ignore[arg-type]

    services = Container().add_singleton(Repository, make).add_singleton(Options)
    assert services.get_sync(Repository[User]).options is services.get_sync(Options[User])


class Pair(Generic[T1, T2]):
    pass


class Swapped(Generic[T2, T1]):
    """Its arguments stand in another order than those of what it needs."""

    def __init__(self, pair: Pair[T1, T2]) -> None:
        self.pair = pair


class Flipped(Pair[T2, T1], Generic[T1, T2]):
    pass


class Owner:
    def __init__(self, users: Repository[User]) -> None: ...


class Base(Generic[T1]):
    def __init__(self, first: Options[T1]) -> None:
        self.first = first


class Renamed(Base[T2], Generic[T1, T2]):
    """The constructor is the base's, whose T1 is this class's T2."""


def test_type_variables_go_by_identity_and_not_by_place() -> None:
    services = Container().add_singleton(Swapped).add_singleton(Pair)
    swapped = services.get_sync(Swapped[User, Order])
    assert swapped.pair is services.get_sync(Pair[Order, User])


def test_an_inherited_constructor_has_the_bindings_of_its_class() -> None:
    services = Container().add_singleton(Renamed).add_singleton(Options)
    assert services.get_sync(Renamed[User, Order]).first is services.get_sync(Options[Order])


@dataclass
class Record(Generic[T]):
    options: Options[T]


@dataclass
class Longer(Record[T1], Generic[T1, T]):
    more: Options[T]


def test_each_field_of_a_dataclass_has_the_bindings_of_its_class() -> None:
    services = Container().add_singleton(Longer).add_singleton(Options)
    longer = services.get_sync(Longer[User, Order])
    assert longer.options is services.get_sync(Options[User])
    assert longer.more is services.get_sync(Options[Order])


MATCHES: list[tuple[Any, Any, dict[Any, Any] | None]] = [
    (Repository[T], Repository[User], {T: User}),
    (Pair[T, T], Pair[User, User], {T: User}),
    (Pair[T, T], Pair[User, Order], None),
    (Pair[T, User], Pair[Order, User], {T: Order}),
    (Pair[T, User], Pair[Order, Order], None),
    (Repository[list[T]], Repository[list[User]], {T: User}),
    (Repository[T], Options[User], None),
    (User, User, {}),
]


@pytest.mark.parametrize(("pattern", "closed", "expected"), MATCHES)
def test_match(pattern: Any, closed: Any, expected: dict[Any, Any] | None) -> None:
    assert match(pattern, closed) == expected


def test_substitute() -> None:
    assert substitute(dict[str, list[T]], {T: User}) == dict[str, list[User]]
    assert substitute(Repository[T] | None, {T: User}) == Repository[User] | None
    assert substitute(Repository, {T: User}) is Repository


def test_bindings_of() -> None:
    assert bindings_of(Renamed[User, Order], Base) == {T1: Order}
    assert bindings_of(UserRepository, SqlRepository) == {T: User}
    assert bindings_of(User, User) == {}


def test_implementation_of() -> None:
    assert implementation_of(CachedRepository, Repository[User]) == CachedRepository[User]
    assert implementation_of(UserRepository, Repository[Order]) is None
