"""The container: what is registered, and everything that was made of it.

    container = Container()
    container.add_singleton(Settings, Settings.load)
    container.add_scoped(Session, open_session)          # a generator: torn down with its scope
    container.add_scoped(Repository, SqlRepository)      # generic: Repository[User] is SqlRepository[User]
    container.validate()

    async with container.scope() as scope:
        service = await scope.get(OrderService)

A provider is a class (its constructor's parameters are services), a function, a coroutine function, or a
generator that yields the service once and tears it down afterwards. A parameter is a service by its type:

- `repo: Repository` the last that was registered; `Annotated[Repository, Keyed("read")]` the one of a key;
- `plugins: list[Plugin]` all, in order of registration, none if there are none;
- `cache: Cache | None` and parameters with a default are left alone when nothing is registered;
- `entity: type[T]` in a generic class its type argument; `Scope` the scope, `Container` this container.

A singleton is made once, in the container; a scoped service once in each scope; a transient one for each who
asks. The container has no global state and needs no request: the CLI, workers and tests use the same.
"""

from __future__ import annotations

from collections.abc import Hashable
from types import TracebackType
from typing import Any, TypeVar, overload

from .errors import AsyncRequired, DependencyError, RegistrationError, ScopeRequired, raise_problems
from .plans import Plans
from .recipes import Recipe
from .registry import (
    Lifetime,
    Registration,
    Registry,
    instance_registration,
    make_registration,
    override_registration,
)
from .scope import Scope
from .teardown import raise_all

T = TypeVar("T")


class Container:
    """See the module. All `add_` methods return the container; with `if_absent` they leave alone what
    is registered."""

    def __init__(self) -> None:
        self._plans = Plans(self, Registry())
        # The plans below those of the overrides that are in force.
        self._below: list[Plans] = []

    # Registration.

    def add_singleton(
        self, service: Any, provider: Any = None, *, key: Hashable = None, if_absent: bool = False
    ) -> Container:
        """One for the life of the container. `provider` is a class, a factory or an instance; the service's
        own class when it is left out."""
        return self._add(make_registration(service, provider, "singleton", key), if_absent)

    def add_scoped(
        self, service: Any, provider: Any = None, *, key: Hashable = None, if_absent: bool = False
    ) -> Container:
        """One for each scope."""
        return self._add(make_registration(service, provider, "scoped", key), if_absent)

    def add_transient(
        self, service: Any, provider: Any = None, *, key: Hashable = None, if_absent: bool = False
    ) -> Container:
        """A new one for each who asks."""
        return self._add(make_registration(service, provider, "transient", key), if_absent)

    def add_instance(
        self, instance: Any, service: Any = None, *, key: Hashable = None, if_absent: bool = False
    ) -> Container:
        """What already exists, under its own class or `service`. The container does not tear it down."""
        return self._add(instance_registration(service or type(instance), instance, key), if_absent)

    def has(self, service: Any, key: Hashable = None) -> bool:
        """Whether a service is registered, open registrations included; or is the scope or this container."""
        return self._plans.registry.has(service, key) or (key is None and service in (Scope, Container))

    def lifetime_of(self, service: Any, key: Hashable = None) -> Lifetime | None:
        """The lifetime of what `get` would give, or None when nothing is registered."""
        if service is Container:
            return "singleton"
        found = next(self._plans.registry.find(service, key), None)
        return None if found is None else found.registration.lifetime

    def validate(self) -> None:
        """Check all registrations; raise one GraphError with everything that is missing, circular or captive.

        Open registrations are checked for the closed types that others need.
        """
        raise_problems(self._plans.check())

    def check(self, service: Any, key: Hashable = None) -> None:
        """Check one service and all it needs; GraphError says what is wrong."""
        self._plans.recipe(service, key)

    # Use.

    @overload
    async def get(self, service: type[T], key: Hashable = None) -> T: ...
    @overload
    async def get(self, service: Any, key: Hashable = None) -> Any: ...
    async def get(self, service: Any, key: Hashable = None) -> Any:
        """A singleton, or a transient service of singletons; ScopeRequired for what lives in a scope."""
        recipe = self._recipe(service, key)
        if recipe.is_async:
            return await recipe.get(self._plans.root)
        return recipe.get_sync(self._plans.root)

    @overload
    def get_sync(self, service: type[T], key: Hashable = None) -> T: ...
    @overload
    def get_sync(self, service: Any, key: Hashable = None) -> Any: ...
    def get_sync(self, service: Any, key: Hashable = None) -> Any:
        """`get` without await; AsyncRequired when something asynchronous is needed to make the service."""
        return self._recipe(service, key).get_sync(self._plans.root)

    def scope(self) -> Scope:
        """A scope for one unit of work: `async with container.scope() as scope`."""
        return Scope(self._plans)

    async def aclose(self) -> None:
        """Tear down the singletons in reverse order of making. Registrations stay: what is asked for
        afterwards is made anew."""
        layers = [*self._below, self._plans]
        renewed: list[Plans] = []
        for layer in layers:
            renewed.append(Plans(self, layer.registry, renewed[-1] if renewed else None))
        *self._below, self._plans = renewed
        errors: list[BaseException] = []
        for layer in reversed(layers):
            try:
                await layer.root.aclose()
            except BaseException as error:
                errors.append(error)
        raise_all(errors, "Closing the container")

    async def __aenter__(self) -> Container:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    # Tests.

    def override(self, service: Any, provider: Any, *, key: Hashable = None) -> Override:
        """Replace a service while a `with` block runs:

            with container.override(Mailer, FakeMailer()):
                ...

        `provider` is an instance, a class or a factory; it keeps the lifetime of what it replaces. Singletons
        that need the service, directly or not, are made anew for the block and forgotten after it; all others
        are shared. Scopes that were open before stay as they are. `async with` tears down what the block made
        asynchronously.
        """
        lifetime = self.lifetime_of(service, key) or "singleton"
        return Override(self, override_registration(service, provider, lifetime, key))

    # Inside.

    def _recipe(self, service: Any, key: Hashable) -> Recipe:
        recipe = self._plans.recipe(service, key)
        if recipe.refusal is not None:
            raise ScopeRequired(recipe.refusal)
        return recipe

    def _add(self, registration: Registration, if_absent: bool) -> Container:
        if self._below:
            raise RegistrationError(
                "The container is overridden; register services before or after the block."
            )
        registry = self._plans.registry
        if not if_absent or not registry.has(registration.service, registration.key):
            registry.add(registration)
            self._plans = self._plans.renewed()
        return self

    def _push(self, registration: Registration) -> None:
        self._below.append(self._plans)
        registry = self._plans.registry.overridden_by(registration)
        self._plans = Plans(self, registry, self._plans)

    def _pop(self) -> Scope:
        root = self._plans.root
        self._plans = self._below.pop()
        return root


class Override:
    """A replacement in force while its block runs. Blocks end in reverse order of their beginning."""

    def __init__(self, container: Container, registration: Registration) -> None:
        self._container = container
        self._registration = registration
        self._depth = 0

    def __enter__(self) -> Container:
        self._container._push(self._registration)
        self._depth = len(self._container._below)
        return self._container

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        root = self._leave()
        try:
            root.close()
        except AsyncRequired:
            # The container tears it down at its own end.
            self._container._plans.root.adopt(root)

    async def __aenter__(self) -> Container:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._leave().aclose()

    def _leave(self) -> Scope:
        if self._depth != len(self._container._below):
            raise DependencyError(
                "Overrides end in reverse order of their beginning; nest their `with` blocks."
            )
        return self._container._pop()
