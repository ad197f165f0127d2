"""Values of `Depends(..., scope="app")`: made at their first use, torn down when the application stops."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

from .cells import MISSING, Cell
from .teardown import raise_all

if TYPE_CHECKING:
    from .running import DependencyPlan, Exits, InThread


class AppValue:
    """One value of the application, with the plan that makes it."""

    __slots__ = ("_app_scope", "_cell", "_plan")

    def __init__(self, app_scope: AppScope, name: str, plan: DependencyPlan) -> None:
        self._app_scope = app_scope
        self._cell = Cell(name)
        self._plan = plan

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

        # The plan has no parameters of a request: its values are those of its steps, the last its own.
        values: list[Any] = [None] * len(self._plan.steps)
        exits = Exits(in_thread)
        try:
            await run(self._plan, values, exits, in_thread)
        except BaseException as error:
            left = await exits.fail(error)
            if left is error:
                raise
            raise left from left.__cause__ or error
        self._app_scope.entered.append(exits)
        return values[-1]

    def forget(self) -> None:
        self._cell = Cell(self._cell.name)


class AppScope:
    """All values that an application holds. The same function is one value in all of its endpoints."""

    def __init__(self) -> None:
        self.entered: list[Exits] = []
        self._values: dict[Hashable, AppValue] = {}

    def value(self, identity: Hashable, name: str, plan: DependencyPlan) -> AppValue:
        if identity not in self._values:
            self._values[identity] = AppValue(self, name, plan)
        return self._values[identity]

    async def aclose(self) -> None:
        """Tear down all values, the last made first; all of it, as a container does. What is asked for
        afterwards is made anew."""
        for value in self._values.values():
            value.forget()
        errors: list[BaseException] = []
        while self.entered:
            try:
                await self.entered.pop().close_request()
            except BaseException as error:
                errors.append(error)
        raise_all(errors, "Closing the application's dependencies")
