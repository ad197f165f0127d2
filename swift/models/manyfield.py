"""Many to many, as a class body declares it, and the model of the rows between."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from swift.engines.schema import Unique
from swift.models.errors import ModelError
from swift.models.field import ForeignKeyField

if TYPE_CHECKING:
    from swift.models.model import Model

Target = type[Any] | str | Callable[[], type[Any]]


class ManyField:
    """A relation without a column: `fields.ManyToManyField` makes it."""

    def __init__(
        self,
        to: Target,
        *,
        related_name: str = "",
        through: Target | None = None,
        through_fields: tuple[str, str] | None = None,
        db_table: str = "",
    ) -> None:
        self.to = to
        self.related_name = related_name
        self.given = through
        self.through_fields = through_fields
        self.db_table = db_table
        self.name = ""
        self.owner: type[Model]
        self._between: type[Model] | None = None
        self._ends: tuple[str, str] | None = None

    def bind(self, name: str, owner: type[Model]) -> ManyField:
        """This field as `name` of `owner`; the declaration may serve several heirs."""
        made = ManyField(
            self.to,
            related_name=self.related_name,
            through=self.given,
            through_fields=self.through_fields,
            db_table=self.db_table,
        )
        made.name, made.owner = name, owner
        return made

    @property
    def label(self) -> str:
        return f"{self.owner.__name__}.{self.name}"

    def find(self, to: Target) -> type[Model]:
        """A model given as itself, by a name found where this is declared, or by a function."""
        found: Any = to
        if isinstance(to, str):
            if to in ("self", self.owner.__name__):
                return self.owner
            path, _, last = to.rpartition(".")
            try:
                found = getattr(import_module(path) if path else sys.modules[self.owner.__module__], last)
            except (ImportError, AttributeError, KeyError):
                raise ModelError(
                    f"{self.label} refers to `{to}`, which is not found in "
                    f"`{path or self.owner.__module__}`. Give the class itself, a dotted path, or a function "
                    "that returns it."
                ) from None
        elif not isinstance(to, type):
            found = to()
        if not (isinstance(found, type) and hasattr(found, "_meta")):
            raise ModelError(f"{self.label} refers to {found!r}, which is no model.")
        return found

    def target(self) -> type[Model]:
        return self.find(self.to)

    @property
    def is_automatic(self) -> bool:
        """Whether no class declares the rows between."""
        return self.given is None

    def through(self) -> type[Model]:
        """The model of the rows between."""
        if self._between is None:
            self._between = self.make_between() if self.given is None else self.find(self.given)
        return self._between

    def ends(self) -> tuple[str, str]:
        """The foreign keys of the rows between: to the owner, to the target."""
        if self._ends is None:
            self._ends = self.through_fields or self.find_ends()
        return self._ends

    def find_ends(self) -> tuple[str, str]:
        owner, target, between = self.owner, self.target(), self.through()
        keys = list(between._meta.relations.values())
        near = [field.name for field in keys if field.target() is owner]
        far = [field.name for field in keys if field.target() is target]
        if owner is target and len(near) == 2:
            return near[0], near[1]
        if len(near) != 1 or len(far) != 1:
            raise ModelError(
                f"{self.label}: {between.__name__} has {len(near)} foreign keys to {owner.__name__} and "
                f"{len(far)} to {target.__name__}; name one of each by `through_fields`."
            )
        return near[0], far[0]

    def make_between(self) -> type[Model]:
        from swift.models.fields import IDField
        from swift.models.model import Model, ModelMeta

        owner, target = self.owner, self.target()
        near, far = owner._meta.snake_name, target._meta.snake_name
        if near == far:
            near, far = f"from_{near}", f"to_{far}"
        name = f"{owner.__name__}{self.name.title().replace('_', '')}"
        pair = (f"{near}_id", f"{far}_id")
        meta = {
            "db_table": self.db_table or f"{owner._meta.table.name}_{self.name}",
            "schema": owner._meta.table.schema,
            "constraints": (Unique(*pair),),
        }
        body: dict[str, Any] = {
            "__module__": owner.__module__,
            "__qualname__": f"{owner.__qualname__}.{name}",
            "id": IDField(),
            pair[0]: ForeignKeyField("bigint", int, to=owner, on_delete="cascade", index=False),
            pair[1]: ForeignKeyField("bigint", int, to=target, on_delete="cascade", index=True),
            "Meta": type("Meta", (), meta),
        }
        self._ends = pair
        made: Any = ModelMeta(name, (Model,), body)
        return made  # type: ignore[no-any-return]
