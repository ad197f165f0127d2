"""Values of `Depends(..., scope="app")`: made at their first use, torn down when the application stops."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .cells import MISSING, Cell
from .teardown import raise_all

if TYPE_CHECKING:
    from .container import Container
    from .running import DependencyPlan, Exits, InThread, Step

Compiled = tuple["DependencyPlan | None", "Step", int]


class AppValue:
    """One value of the application, with the plan that makes it."""

    __slots__ = ("_app_scope", "_cell", "_compiled")

    def __init__(self, app_scope: AppScope, name: str, compiled: Compiled) -> None:
        self._app_scope = app_scope
        self._cell = Cell(name)
        self._compiled = compiled

    @property
    def value(self) -> Any:
        """The value, or MISSING before it was made."""
        return self._cell.value

    async def get(self, in_thread: InThread | None) -> Any:
        if self._cell.value is not MISSING:
            return self._cell.value
        return await self._cell.get(lambda: self._make(in_thread))

    async def _make(self, in_thread: InThread | None) -> Any:
        from .running import Exits, run

        plan, step, size = self._compiled
        assert plan is not None
        values: list[Any] = [None] * size
        exits = Exits(in_thread, self._app_scope.container)
        try:
            await run(plan, values, exits, in_thread)
        except BaseException as error:
            raise await exits.fail(error) from None
        self._app_scope.entered.append(exits)
        return values[step.position]


class AppScope:
    """All values that an application holds. The same function is one value in all of its endpoints."""

    def __init__(self, container: Container | None = None) -> None:
        self.container = container
        self.entered: list[Exits] = []
        self._values: dict[Any, AppValue] = {}

    def value(self, provider: Any, name: str, compile_value: Callable[[], Compiled]) -> AppValue:
        if provider not in self._values:
            self._values[provider] = AppValue(self, name, compile_value())
        return self._values[provider]

    async def aclose(self) -> None:
        """Tear down all values, the last made first; all of it, as a container does. Values that are asked for
        afterwards are made anew."""
        for value in self._values.values():
            value._cell = Cell(value._cell.name)
        errors: list[BaseException] = []
        while self.entered:
            try:
                await self.entered.pop().close_request()
            except BaseException as error:
                errors.append(error)
        raise_all(errors, "Closing the application's dependencies")
