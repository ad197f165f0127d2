"""Statements as trees, between the models that describe them and the engines that compile them.

A tree says what is meant (`icontains`, "not true"), never how a database spells it. Values are not in it:
a `Param` is a place in the sequence of values that comes with each execution, so one tree serves
every value. Engines turn a tree into a `Compiled` once, and run that many times.

Conditions have two truth values. `Not(x)` is "x is not true", so a NULL inside `x` does not make a row
vanish from both a filter and its complement; every engine renders it so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from swift.engines.schema import Column, Kind, Table

Operator = Literal[
    "exact",
    "ne",
    "gt",
    "gte",
    "lt",
    "lte",
    "in",
    "range",
    "isnull",
    "iexact",
    "contains",
    "icontains",
    "startswith",
    "istartswith",
    "endswith",
    "iendswith",
    "regex",
    "iregex",
    "overlap",
    "has_key",
]


class Node(msgspec.Struct, frozen=True, eq=False):
    """Any part of a statement."""


class Expression(Node, frozen=True, eq=False):
    """Something with a value: `kind` is None where it is not known."""

    if TYPE_CHECKING:

        @property
        def kind(self) -> Kind | None: ...


class ColumnRef(Expression, frozen=True, eq=False):
    """A column of the statement's own table (source 0) or of its n-th join."""

    source: int
    column: Column

    @property
    def kind(self) -> Kind | None:
        return self.column.kind


class Param(Expression, frozen=True, eq=False):
    """The value at `index` among those given at execution, checked as a value of `column` or of `kind`."""

    index: int
    kind: Kind | None = None
    column: Column | None = None


class Constant(Expression, frozen=True, eq=False):
    """A value that belongs to the shape of the statement (NULL, a fixed limit)."""

    value: int | bool | str | None
    kind: Kind | None = None


class Arithmetic(Expression, frozen=True, eq=False):
    """`left op right`; text is joined by `||`."""

    op: Literal["+", "-", "*", "/", "%", "||"]
    left: Expression
    right: Expression
    kind: Kind | None = None


class Part(Expression, frozen=True, eq=False):
    """A part of a date or time: year, month, day, hour, minute, second, week_day, date, time."""

    part: str
    of: Expression
    kind: Kind


class JSONPath(Expression, frozen=True, eq=False):
    """What stands at a path inside a JSON column; missing is NULL."""

    of: Expression
    path: tuple[str | int, ...]
    kind: Kind | None = "json"


class Call(Expression, frozen=True, eq=False):
    """A function all engines know: lower, upper, length, abs, round, coalesce, trim, now."""

    function: str
    arguments: tuple[Expression, ...]
    kind: Kind | None = None


class Outer(Expression, frozen=True, eq=False):
    """`of` in the select around the one it stands in."""

    of: Expression

    @property
    def kind(self) -> Kind | None:
        return self.of.kind


class Scalar(Expression, frozen=True, eq=False):
    """The one value of a select of one column and at most one row; NULL where there is none."""

    select: Select
    kind: Kind | None = None


class Truth(Expression, frozen=True, eq=False):
    """Whether a condition holds, as a bool."""

    of: Condition
    kind: Kind = "bool"


class Case(Expression, frozen=True, eq=False):
    """The value of the first condition that holds, else `default`."""

    cases: tuple[tuple[Condition, Expression], ...]
    default: Expression
    kind: Kind | None = None


class Window(Expression, frozen=True, eq=False):
    """A function over the rows around each row: an Aggregate, or a Call of row_number, rank, dense_rank,
    ntile, lag, lead, first_value, last_value.
    """

    of: Expression
    partition: tuple[Expression, ...] = ()
    order: tuple[Order, ...] = ()
    kind: Kind | None = None


class Aggregate(Expression, frozen=True, eq=False):
    """count, sum, avg, min, max over the rows of a group; `of` None is count(*)."""

    function: Literal["count", "sum", "avg", "min", "max"]
    of: Expression | None
    kind: Kind
    distinct: bool = False
    where: Condition | None = None


class Condition(Node, frozen=True, eq=False):
    """Something true or not."""


class Compare(Condition, frozen=True, eq=False):
    """`left operator right`. `range` has two operands, `isnull` a Constant, `in` one Param holding a list."""

    operator: Operator
    left: Expression
    right: tuple[Expression, ...]


class InSelect(Condition, frozen=True, eq=False):
    """`left` is among the single column of `select`."""

    left: Expression
    select: Select


class Exists(Condition, frozen=True, eq=False):
    """`select` has a row."""

    select: Select


class And(Condition, frozen=True, eq=False):
    parts: tuple[Condition, ...]


class Or(Condition, frozen=True, eq=False):
    parts: tuple[Condition, ...]


class Not(Condition, frozen=True, eq=False):
    of: Condition


class Native(Condition, frozen=True, eq=False):
    """A SQLAlchemy expression given by the user; its bound values, by `names`, stand at `indexes`."""

    expression: Any
    names: tuple[str, ...]
    indexes: tuple[int, ...]


class Join(Node, frozen=True, eq=False):
    """Source number `source` is `table`, met where `left` equals its `right` and `on` holds; rows without a
    match stay, rows with several come once for each.
    """

    source: int
    table: Table
    left: ColumnRef
    right: Column
    on: Condition | None = None


class Order(Node, frozen=True, eq=False):
    """NULLs come last ascending and first descending on every engine, as PostgreSQL has it."""

    by: Expression
    descending: bool = False


class Output(Node, frozen=True, eq=False):
    """One column of the result. `name` is its key in JSON."""

    name: str
    of: Expression


class Compound(Node, frozen=True, eq=False):
    """The rows of several selects of the same columns, combined from left to right."""

    selects: tuple[Select, ...]
    operators: tuple[Literal["union", "union all", "intersection", "difference"], ...]


class Select(Node, frozen=True, eq=False):
    """`compound`, where there is one, stands in the place of the table: its columns are the table's."""

    table: Table
    outputs: tuple[Output, ...]
    joins: tuple[Join, ...] = ()
    where: Condition | None = None
    having: Condition | None = None
    group: tuple[Expression, ...] = ()
    order: tuple[Order, ...] = ()
    distinct: bool = False
    limit: Expression | None = None
    offset: Expression | None = None
    lock: Literal["", "update", "update nowait", "update skip locked"] = ""
    compound: Compound | None = None


class Raw(Node, frozen=True, eq=False):
    """SQL the user wrote, of which these columns are taken; its `:name` parameters are the values in order."""

    sql: str
    names: tuple[str, ...]
    columns: tuple[str, ...] = ()


class Count(Node, frozen=True, eq=False):
    """How many rows `select` has."""

    select: Select


class AsJSON(Node, frozen=True, eq=False):
    """The rows of `select` as one JSON array of objects."""

    select: Select


class Conflict(Node, frozen=True, eq=False):
    """On a clash over `target` update `columns` from the new row; without columns, leave the old row.

    Where `where` does not hold of the old row, it is left and nothing is returned.
    """

    target: tuple[Column, ...] = ()
    columns: tuple[Column, ...] = ()
    where: Condition | None = None


class Insert(Node, frozen=True, eq=False):
    """One row; the n-th value goes to the n-th column."""

    table: Table
    columns: tuple[Column, ...]
    returning: tuple[Column, ...] = ()
    conflict: Conflict | None = None


class Update(Node, frozen=True, eq=False):
    """Set columns where `where` holds, or in the rows whose key `rows` selects."""

    table: Table
    changes: tuple[tuple[Column, Expression], ...]
    where: Condition | None = None
    rows: Select | None = None
    returning: tuple[Column, ...] = ()


class Delete(Node, frozen=True, eq=False):
    """Delete where `where` holds, or the rows whose key `rows` selects."""

    table: Table
    where: Condition | None = None
    rows: Select | None = None


Statement = Select | Raw | Count | AsJSON | Insert | Update | Delete

Bind = Callable[[Sequence[Any]], Sequence[Any]]


class Compiled(msgspec.Struct, frozen=True, eq=False):
    """A statement ready to run: what the engine is handed, and how values become its parameters.

    `command` is SQL text, or a plan on engines without SQL. `bind` raises InvalidValue.
    """

    command: Any
    bind: Bind
