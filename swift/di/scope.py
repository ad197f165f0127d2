"""Where made services live: in the container as long as it does, in a scope as long as that."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Generator, Hashable
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from .cells import Cell
from .errors import AsyncRequired, ScopeClosed
from .teardown import Left, leave, leave_async, raise_all

if TYPE_CHECKING:
    from .plans import Plans
    from .recipes import Recipe

T = TypeVar("T")


class Scope:
    """A unit of work with its own scoped services: a request, a message, a command of the CLI.

        async with container.scope() as scope:
            service = await scope.get(OrderService)

    `with` and `get_sync` do where nothing asynchronous is involved. The end of the scope tears down what it
    made, in reverse order of making. All of it runs, even if some raises: one error is raised as it is,
    several as an ExceptionGroup. A scope belongs to one unit of work; its tasks may share it.
    """

    __slots__ = ("_cells", "_closed", "_left", "_plans", "_values", "lock")

    def __init__(self, plans: Plans) -> None:
        self._plans = plans
        self._values: dict[Recipe, Any] = {}
        self._cells: dict[Recipe, Cell] = {}
        self._left: list[Left] = []
        self._closed = False
        # Reentrant: a service is made while that which needs it is.
        self.lock = threading.RLock()

    @overload
    async def get(self, service: type[T], key: Hashable = None) -> T: ...
    @overload
    async def get(self, service: Any, key: Hashable = None) -> Any: ...
    async def get(self, service: Any, key: Hashable = None) -> Any:
        """The service of a type: made now, or the one that its lifetime says.

        `list[T]` gives all implementations of T, in order of registration. Raises MissingService, or another
        GraphError when the service cannot be made.
        """
        recipe = self._plans.recipe(service, key)
        if recipe.is_async:
            return await recipe.get(self)
        return recipe.get_sync(self)

    @overload
    def get_sync(self, service: type[T], key: Hashable = None) -> T: ...
    @overload
    def get_sync(self, service: Any, key: Hashable = None) -> Any: ...
    def get_sync(self, service: Any, key: Hashable = None) -> Any:
        """`get` without await; AsyncRequired when something asynchronous is needed to make the service."""
        return self._plans.recipe(service, key).get_sync(self)

    async def get_all(self, service: type[T], key: Hashable = None) -> list[T]:
        """All implementations of a service, in order of registration."""
        return cast("list[T]", await self.get(list[service], key))  # type: ignore[valid-type]

    def scope(self) -> Scope:
        """Another scope, with scoped services of its own."""
        return Scope(self._plans)

    async def aclose(self) -> None:
        """Tear down what the scope made. Calling it again does nothing."""
        self._closed = True
        errors: list[BaseException] = []
        while self._left:
            generator = self._left.pop()
            try:
                if isinstance(generator, AsyncGenerator):
                    await leave_async(generator)
                else:
                    leave(generator)
            except BaseException as error:
                errors.append(error)
        self._values.clear()
        self._cells.clear()
        raise_all(errors, "Closing the scope")

    def close(self) -> None:
        """`aclose` where nothing asynchronous was made, else AsyncRequired."""
        if any(isinstance(generator, AsyncGenerator) for generator in self._left):
            raise AsyncRequired(
                "The scope made services with asynchronous teardown; close it with `await aclose()`."
            )
        self._closed = True
        errors: list[BaseException] = []
        while self._left:
            try:
                leave(cast(Generator[Any, None, None], self._left.pop()))
            except BaseException as error:
                errors.append(error)
        self._values.clear()
        self._cells.clear()
        raise_all(errors, "Closing the scope")

    async def __aenter__(self) -> Scope:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __enter__(self) -> Scope:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # For recipes and overrides.

    def adopt(self, other: Scope) -> None:
        """Tear down at the end of this scope what `other` made."""
        self._left.extend(other._left)
        other._left.clear()

    def check_open(self) -> None:
        if self._closed:
            raise ScopeClosed("The scope is closed; what it would make now could not be torn down.")

    def cell(self, recipe: Recipe) -> Cell:
        return self._cells.get(recipe) or self._cells.setdefault(recipe, Cell(recipe.name))
