"""A recipe makes one service: its provider and the recipes of its arguments, found once.

Resolving is a walk over recipes: no signature is read, no type looked up. `is_async` says whether the walk
can meet something that must be awaited; where it cannot, no coroutine is made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from .callables import Kind
from .cells import MISSING, Cell
from .errors import AsyncRequired
from .scope import Scope
from .teardown import enter, enter_async


class Recipe:
    """The recipe of a transient service: made for each who asks."""

    __slots__ = ("arguments", "awaited", "is_async", "keywords", "kind", "name", "provider", "refusal")

    def __init__(self, name: str, provider: Callable[..., Any], kind: Kind) -> None:
        self.name = name
        self.provider = provider
        self.kind = kind
        self.arguments: tuple[Recipe, ...] = ()
        self.keywords: tuple[tuple[str, Recipe], ...] = ()
        # Whether the provider must be awaited, and whether anything that it needs must be.
        self.awaited = kind in ("coroutine", "async_generator")
        self.is_async = self.awaited
        # Why it cannot be asked of the container itself, where no scope will end; or None.
        self.refusal: str | None = None

    def get_sync(self, scope: Scope) -> Any:
        return self.make_sync(scope)

    async def get(self, scope: Scope) -> Any:
        return await self.make(scope)

    def make_sync(self, scope: Scope) -> Any:
        scope.check_open()
        if self.awaited:
            raise AsyncRequired(f"{self.name} is made asynchronously; use `await get`, or make it before.")
        arguments = [argument.get_sync(scope) for argument in self.arguments]
        keywords = {name: argument.get_sync(scope) for name, argument in self.keywords}
        value = self.provider(*arguments, **keywords)
        if self.kind == "generator":
            generator, value = value, enter(value, self.name)
            scope._left.append(generator)
        return value

    async def make(self, scope: Scope) -> Any:
        scope.check_open()
        arguments = [
            await argument.get(scope) if argument.is_async else argument.get_sync(scope)
            for argument in self.arguments
        ]
        keywords = {
            name: await argument.get(scope) if argument.is_async else argument.get_sync(scope)
            for name, argument in self.keywords
        }
        value = self.provider(*arguments, **keywords)
        if self.kind == "coroutine":
            return await value
        if self.kind == "generator":
            generator, value = value, enter(value, self.name)
            scope._left.append(generator)
        elif self.kind == "async_generator":
            generator, value = value, await enter_async(value, self.name)
            scope._left.append(generator)
        return value


class ScopedRecipe(Recipe):
    """Made once in each scope."""

    __slots__ = ()

    def get_sync(self, scope: Scope) -> Any:
        value = scope._values.get(self, MISSING)
        if value is not MISSING:
            return value
        if self.is_async:
            # Tasks may be making it at the same time.
            value = scope._values[self] = scope.cell(self).get_sync(lambda: self.make_sync(scope))
        else:
            with scope.lock:
                value = scope._values.get(self, MISSING)
                if value is MISSING:
                    value = scope._values[self] = self.make_sync(scope)
        return value

    async def get(self, scope: Scope) -> Any:
        value = scope._values.get(self, MISSING)
        if value is MISSING:
            value = scope._values[self] = await scope.cell(self).get(lambda: self.make(scope))
        return value


class SingletonRecipe(Recipe):
    """Made once, in the container's own scope `root`."""

    __slots__ = ("cell", "root")

    def __init__(self, name: str, provider: Callable[..., Any], kind: Kind) -> None:
        super().__init__(name, provider, kind)
        self.cell: Cell = Cell(name)
        self.root = cast(Scope, None)

    def get_sync(self, scope: Scope) -> Any:
        value = self.cell.value
        if value is not MISSING:
            return value
        return self.cell.get_sync(lambda: self.make_sync(self.root))

    async def get(self, scope: Scope) -> Any:
        value = self.cell.value
        if value is not MISSING:
            return value
        return await self.cell.get(lambda: self.make(self.root))


class ConstantRecipe(Recipe):
    """An instance, or the container itself."""

    __slots__ = ("value",)

    def __init__(self, name: str, value: Any) -> None:
        super().__init__(name, type(value), "class")
        self.value = value

    def get_sync(self, scope: Scope) -> Any:
        return self.value


class CurrentScopeRecipe(Recipe):
    """The scope in which it is asked for."""

    __slots__ = ()

    def get_sync(self, scope: Scope) -> Any:
        return scope


class ListRecipe(Recipe):
    """All implementations of a service."""

    __slots__ = ()

    def make_sync(self, scope: Scope) -> Any:
        return [argument.get_sync(scope) for argument in self.arguments]

    async def make(self, scope: Scope) -> Any:
        return [
            await argument.get(scope) if argument.is_async else argument.get_sync(scope)
            for argument in self.arguments
        ]
