"""Tables as an engine sees them: names, kinds of value and constraints, and nothing of Python classes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal, Protocol

Kind = Literal[
    "integer",
    "bigint",
    "float",
    "decimal",
    "string",
    "text",
    "bool",
    "date",
    "time",
    "datetime",
    "timestamp",
    "uuid",
    "json",
    "binary",
]
"""What a column holds. `datetime` is an instant (UTC, aware); `timestamp` a wall clock without a zone."""

OnDelete = Literal["cascade", "restrict", "set_null", "set_default", "no_action"]


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """The far end of a foreign key. The target is asked for late: it may be declared after us."""

    target: Callable[[], Table]
    on_delete: OnDelete


@dataclass(frozen=True, slots=True)
class Default:
    """What the database fills in where an insert gives nothing: a value of the column, or the moment of the
    insert (`function` is then `now`).
    """

    value: Any = None
    function: Literal["", "now"] = ""


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One column. `label` is how messages call it (`User.age`).

    `choices` are the only values a column takes, where they are few; `bits` is 16 for a small integer.
    """

    name: str
    kind: Kind
    label: str
    nullable: bool = False
    primary_key: bool = False
    autoincrement: bool = False
    unique: bool = False
    index: bool = False
    length: int | None = None
    digits: int | None = None
    places: int | None = None
    enum: type[Enum] | None = None
    reference: Reference | None = None
    default: Default | None = None
    choices: tuple[Any, ...] | None = None
    bits: int | None = None
    least: int | None = None
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Index:
    """An index over fields; `unique` makes it a rule as well.

    `where` restricts it to the rows that meet a condition, written in SQL over column names.
    """

    fields: tuple[str, ...]
    name: str | None = None
    unique: bool = False
    where: str | None = None

    def __init__(
        self, *fields: str, name: str | None = None, unique: bool = False, where: str | None = None
    ) -> None:
        object.__setattr__(self, "fields", fields)
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "unique", unique)
        object.__setattr__(self, "where", where)


@dataclass(frozen=True, slots=True)
class Unique:
    """No two rows share the values of these fields."""

    fields: tuple[str, ...]
    name: str | None = None

    def __init__(self, *fields: str, name: str | None = None) -> None:
        object.__setattr__(self, "fields", fields)
        object.__setattr__(self, "name", name)


@dataclass(frozen=True, slots=True)
class Check:
    """A condition every row satisfies, written in SQL over column names: `Check("price >= 0")`."""

    sql: str
    name: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """One table; `indexes` and `uniques` name database columns here."""

    name: str
    columns: tuple[Column, ...]
    schema: str | None = None
    indexes: tuple[Index, ...] = ()
    uniques: tuple[Unique, ...] = ()
    checks: tuple[Check, ...] = ()
    comment: str | None = None
    # What the compilers build from this table, each under its own key: it lives and dies with the table.
    derived: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def primary_key(self) -> Column:
        return next(column for column in self.columns if column.primary_key)


class HasTable(Protocol):
    """The part of a model's `_meta` that engines know."""

    @property
    def table(self) -> Table: ...

    @property
    def tables(self) -> tuple[Table, ...]:
        """The table, and those of its many-to-many relations that no model declares."""


class Described(Protocol):
    """Anything described by a table, such as a Model class."""

    @property
    def _meta(self) -> HasTable: ...


def tables_of(models: Iterable[Any]) -> list[Table]:
    """The tables of `models`, referenced tables before the ones that refer to them where no cycle forbids."""
    managed = (model for model in models if model._meta.managed)
    tables = list(dict.fromkeys(table for model in managed for table in model._meta.tables))
    ordered: list[Table] = []
    visiting: set[int] = set()

    def visit(table: Table) -> None:
        if id(table) in visiting:
            return
        visiting.add(id(table))
        for column in table.columns:
            if column.reference is not None and (target := column.reference.target()) in tables:
                visit(target)
        ordered.append(table)

    for table in tables:
        visit(table)
    return ordered
