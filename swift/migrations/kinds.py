"""Kind: the type of a column in a migration, named as the models name it.

`Kind("decimal", digits=10, places=2)` is NUMERIC(10, 2) on PostgreSQL and exact text on SQLite, as the
engines have it; so one migration serves both. Values given with it are stored as the engine stores them.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.engine import Dialect
from sqlalchemy.types import Text, TypeDecorator, TypeEngine

from swift.engines.metadata import Moment, sql_type
from swift.engines.schema import Column
from swift.engines.schema import Kind as KindName

# The attributes of a schema.Column that decide its SQL type beside its kind. Literals all.
TYPE_OPTIONS = ("length", "digits", "places", "bits")


class Kind(TypeDecorator[Any]):
    """The type of a column of `kind`; length in characters, digits and places in decimal digits."""

    impl = Text
    cache_ok = True

    def __init__(
        self,
        kind: KindName,
        *,
        length: int | None = None,
        digits: int | None = None,
        places: int | None = None,
        bits: int | None = None,
        autoincrement: bool = False,
    ) -> None:
        super().__init__()
        given = {"length": length, "digits": digits, "places": places, "bits": bits}
        known = {name: value for name, value in given.items() if value is not None}
        self.kind = kind
        self.options = known
        self.autoincrement = autoincrement
        self.column = Column(
            name="",
            kind=kind,
            label="A value",
            nullable=True,
            autoincrement=autoincrement,
            **known,  # type: ignore[arg-type]
        )
        self.impl = sql_type(self.column)  # type: ignore[assignment]

    @classmethod
    def of(cls, column: Column) -> Kind:
        """The type of a column of a model."""
        options = {name: getattr(column, name, None) for name in TYPE_OPTIONS}
        return cls(column.kind, autoincrement=column.autoincrement, **options)

    def copy(self, **_: Any) -> Kind:
        return Kind(self.kind, autoincrement=self.autoincrement, **self.options)

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return sql_type(self.column)

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        if value is None or dialect.name != "sqlite":
            return value
        from swift.engines.sqlite.values import storage

        return storage(self.kind, self.column, stored=True)(value)

    def __repr__(self) -> str:
        options = [repr(self.kind), *(f"{name}={value!r}" for name, value in self.options.items())]
        if self.autoincrement:
            options.append("autoincrement=True")
        return f"Kind({', '.join(options)})"


class Now(Moment):
    """The default of a column that the database stamps: `sa.Column(..., server_default=Now("datetime"))`."""

    inherit_cache = True

    def __init__(self, kind: str = "datetime") -> None:
        super().__init__(kind)
        # What Alembic compares of a default that it has read.
        self.text = repr(self)

    def __repr__(self) -> str:
        return f'Now("{self.kind}")'


# To which kinds a kind can be changed without losing a value.
WIDER: dict[str, tuple[str, ...]] = {
    "integer": ("bigint", "text"),
    "bigint": ("text",),
    "string": ("text",),
    "bool": ("integer", "bigint"),
    "uuid": ("text",),
    "date": ("text",),
}


def widens(old: Any, new: Any) -> bool:
    """Whether every value of a column of type `old` fits into one of type `new`."""
    if not isinstance(old, Kind) or not isinstance(new, Kind):
        return repr(old) == repr(new)
    if old.kind != new.kind:
        return new.kind in WIDER.get(old.kind, ())
    if old.kind == "decimal":
        before, after = old.options, new.options
        if not {"digits", "places"} <= before.keys() & after.keys():
            return "digits" not in after
        whole = before["digits"] - before["places"]
        return after["places"] >= before["places"] and after["digits"] - after["places"] >= whole
    sizes = ((old.options.get(name), new.options.get(name)) for name in ("length", "bits"))
    return all(after is None or (before is not None and after >= before) for before, after in sizes)
