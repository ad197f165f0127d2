"""What is registered: which provider makes a service, and how long what it makes lives."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Hashable, Iterator
from typing import Any, Literal, get_origin

import msgspec

from .callables import name_of
from .errors import RegistrationError
from .generics import Bindings, implementation_of, is_open, match, opened, parameters, substitute

Lifetime = Literal["singleton", "scoped", "transient"]
ServiceKey = tuple[Any, Hashable]


class Registration(msgspec.Struct, frozen=True, eq=False):
    """One line of the registry. Compared by identity: the same line twice is two services."""

    service: Any
    key: Hashable
    lifetime: Lifetime
    provider: Callable[..., Any] | None
    instance: Any = None
    override: bool = False


class Closed(msgspec.Struct, frozen=True):
    """A registration for one type: an open one for each closed type that was asked for."""

    registration: Registration
    service: Any
    provider: Callable[..., Any] | None
    bindings: Bindings

    @property
    def identity(self) -> tuple[Registration, Any]:
        return self.registration, self.service


class Registry:
    """All registrations. The last for a service is the one that is given; `list[T]` gives all.

    A generic class, bare or with type variables, is open: it serves each of its closed types.
    """

    def __init__(self) -> None:
        self.closed: dict[ServiceKey, list[Registration]] = {}
        self.open: dict[ServiceKey, list[Registration]] = {}

    def overridden_by(self, registration: Registration) -> Registry:
        """A registry in which `registration` is the only provider of its service."""
        other = Registry()
        other.closed = {**self.closed, (registration.service, registration.key): [registration]}
        other.open = dict(self.open)
        return other

    def add(self, registration: Registration) -> None:
        service, key = registration.service, registration.key
        if parameters(service):
            self.open.setdefault((get_origin(service) or service, key), []).append(registration)
        if not is_open(service):
            self.closed.setdefault((service, key), []).append(registration)

    def has(self, service: Any, key: Hashable = None) -> bool:
        return next(self.find(service, key), None) is not None

    def find(self, service: Any, key: Hashable = None) -> Iterator[Closed]:
        """The registrations of a service, the last first; exact ones before open ones."""
        try:
            exact = self.closed.get((service, key), ())
        except TypeError:
            # An annotation that cannot be hashed is no service.
            return
        for registration in reversed(exact):
            yield Closed(registration, service, registration.provider, {})
        origin = get_origin(service)
        for registration in reversed(self.open.get((origin, key), ()) if origin else ()):
            bindings = match(opened(registration.service), service)
            if bindings is None:
                continue
            provider = _close(registration.provider, service, bindings)
            if provider is not None:
                yield Closed(registration, service, provider, bindings)

    def __iter__(self) -> Iterator[Closed]:
        """The registrations that are closed as they stand."""
        for registrations in self.closed.values():
            for registration in registrations:
                if parameters(registration.service):
                    continue
                yield Closed(registration, registration.service, registration.provider, {})


def _close(provider: Any, service: Any, bindings: Bindings) -> Any | None:
    """The provider of an open registration for one closed service."""
    if isinstance(provider, type):
        return implementation_of(provider, service)
    return substitute(provider, bindings) if is_open(provider) else provider


def make_registration(service: Any, provider: Any, lifetime: Lifetime, key: Hashable) -> Registration:
    """Tell an implementation, a factory and an instance apart; RegistrationError when it is none."""
    target = get_origin(service) or service
    if provider is None:
        provider = service
    described = f"add_{lifetime}({name_of(service)}, ...)"
    if _is_class(provider):
        _check_implementation(target, get_origin(provider) or provider, described)
        return Registration(service, key, lifetime, provider)
    is_instance = isinstance(target, type) and not _is_protocol(target) and isinstance(provider, target)
    if callable(provider) and not is_instance:
        return Registration(service, key, lifetime, provider)
    if lifetime != "singleton":
        raise RegistrationError(
            f"{described} got an instance of {type(provider).__name__}; an instance is a singleton: use "
            "add_instance."
        )
    return instance_registration(service, provider, key)


def override_registration(service: Any, provider: Any, lifetime: Lifetime, key: Hashable) -> Registration:
    """What a test puts in the place of a service. A double need not be a subclass."""
    if _is_class(provider) or inspect.isroutine(provider) or isinstance(provider, functools.partial):
        return Registration(service, key, lifetime, provider, override=True)
    return Registration(service, key, "singleton", None, provider, override=True)


def instance_registration(service: Any, instance: Any, key: Hashable) -> Registration:
    target = get_origin(service) or service
    if parameters(service) and is_open(service):
        raise RegistrationError(f"{name_of(service)} is open; an instance provides one closed type.")
    if isinstance(target, type) and not _is_protocol(target) and not isinstance(instance, target):
        # Test doubles say what they are through `__class__`, which isinstance respects.
        raise RegistrationError(f"{type(instance).__name__} is no {name_of(service)}.")
    return Registration(service, key, "singleton", None, instance)


def _check_implementation(target: Any, implementation: type, described: str) -> None:
    if _is_protocol(implementation) or inspect.isabstract(implementation):
        raise RegistrationError(
            f"{described}: {implementation.__name__} is abstract; register the class that implements it."
        )
    if isinstance(target, type) and not _is_protocol(target) and not issubclass(implementation, target):
        raise RegistrationError(
            f"{described}: {implementation.__name__} is no subclass of {target.__name__}."
        )


def _is_class(provider: Any) -> bool:
    return isinstance(get_origin(provider) or provider, type)


def _is_protocol(cls: Any) -> bool:
    return bool(getattr(cls, "_is_protocol", False))
