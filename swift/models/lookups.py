"""Names in queries: `author__name__icontains` is a way through relations, a column, and a comparison.

A name is resolved once per model and kept. Resolving refuses what does not exist, in a sentence; nothing
unknown is ever taken for equality. A resolved Path then turns each value into a *leaf* of the query's
shape and the values that go with it: the leaf says how the value takes part, never which value it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from swift.engines.schema import Kind
from swift.models.errors import FieldError
from swift.models.expressions import Expression
from swift.models.field import Field, ForeignKeyField

if TYPE_CHECKING:
    from swift.models.options import Options
    from swift.models.relations import Link

TEXT: frozenset[Kind] = frozenset({"string", "text"})
ORDERED: frozenset[Kind] = frozenset(
    {
        "integer",
        "bigint",
        "float",
        "decimal",
        "string",
        "text",
        "date",
        "time",
        "datetime",
        "timestamp",
        "uuid",
    }
)
DATES: frozenset[Kind] = frozenset({"date", "datetime", "timestamp"})
CLOCKS: frozenset[Kind] = frozenset({"time", "datetime", "timestamp"})

TEXT_LOOKUPS = frozenset(
    {
        "iexact", "contains", "icontains", "startswith", "istartswith", "endswith", "iendswith", "regex",
        "iregex",
    }
)  # fmt: skip
ORDER_LOOKUPS = frozenset({"gt", "gte", "lt", "lte", "range"})
# Lookups of the items of a JSON array.
LIST_LOOKUPS = frozenset({"overlap", "contains_all", "has_item"})
JSON_LOOKUPS = LIST_LOOKUPS | {"has_key"}
LOOKUPS = TEXT_LOOKUPS | ORDER_LOOKUPS | JSON_LOOKUPS | {"exact", "ne", "in", "isnull"}

PARTS: dict[str, Kind] = {
    "year": "bigint",
    "month": "bigint",
    "day": "bigint",
    "week_day": "bigint",
    "hour": "bigint",
    "minute": "bigint",
    "second": "bigint",
    "date": "date",
    "time": "time",
}

# How a value takes part in a leaf.
VALUE, NULL, RANGE, IS_NULL, IS_NOT_NULL = "value", "null", "range", "is null", "is not null"

Leaf = tuple[Any, ...]

SCALARS = frozenset({int, str, float, bool, bytes, Decimal, datetime, date, time, UUID})


def path(
    name: str,
    joins: tuple[Link, ...],
    field: Field | None,
    parts: tuple[str, ...],
    json: tuple[str | int, ...] | None,
    operator: str,
    kind: Kind | None,
    whole: bool = False,
) -> Path:
    plain = operator not in ("isnull", "in", "range", *LIST_LOOKUPS)
    many = any(link.many for link in joins)
    return Path(name, joins, field, parts, json, operator, kind, plain, (name, VALUE), whole, many)


class Path(NamedTuple):
    """What a name means: the relations to follow, the field at the end, what is taken of it, how it
    compares.
    """

    name: str
    joins: tuple[Link, ...]
    field: Field | None
    parts: tuple[str, ...]
    json: tuple[str | int, ...] | None
    operator: str
    kind: Kind | None
    # Whether a value simply takes part as it is, and the leaf that says so.
    plain: bool
    as_value: Leaf
    # Whether it ends at a relation found backwards: what is compared are the keys at its end.
    whole: bool = False
    # Whether it leads through a relation to many.
    many: bool = False

    @property
    def label(self) -> str:
        return self.field.label if self.field is not None else self.name

    def leaf(self, value: Any, options: Options) -> tuple[Leaf, tuple[Any, ...]]:
        """The leaf of the shape for this value, and the values it brings."""
        if self.plain and type(value) in SCALARS:
            return self.as_value, (value,)
        operator = self.operator
        if value is None and operator != "has_item":
            if operator not in ("exact", "ne"):
                raise FieldError(f"`{self.name}` cannot compare with None; use `isnull`.")
            return (self.name, NULL), ()
        if operator == "isnull":
            if not isinstance(value, bool):
                raise FieldError(f"`{self.name}` is True or False, not `{type(value).__name__}`.")
            return (self.name, IS_NULL if value else IS_NOT_NULL), ()
        if isinstance(value, Expression):
            shape, values = value.shape(options)
            return (self.name, shape), values
        if operator == "in":
            return self.among(value)
        if operator == "range":
            low, high = self.ends(value)
            return (self.name, RANGE), (low, high)
        if operator == "has_item":
            return (self.name, VALUE), ([value],)
        if operator == "contains_all":
            wanted = tuple([item] for item in value)
            return (self.name, ("all", len(wanted))), wanted
        if operator in LIST_LOOKUPS:
            return (self.name, VALUE), (list(value),)
        if hasattr(value, "_meta"):
            return (self.name, VALUE), (key_of(value, self.name),)
        return (self.name, VALUE), (value,)

    def among(self, value: Any) -> tuple[Leaf, tuple[Any, ...]]:
        if hasattr(value, "subquery"):
            shape, values = value.subquery()
            return (self.name, ("in", shape)), values
        if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
            raise FieldError(f"`{self.name}` takes a list of values, not `{type(value).__name__}`.")
        values = [key_of(item, self.name) if hasattr(item, "_meta") else item for item in value]
        return (self.name, VALUE), (values,)

    def ends(self, value: Any) -> tuple[Any, Any]:
        try:
            low, high = value
        except (TypeError, ValueError):
            raise FieldError(f"`{self.name}` takes two values, the first and the last.") from None
        if low is None or high is None:
            raise FieldError(f"`{self.name}` cannot compare with None; use `gte` or `lte` for an open end.")
        return low, high


def key_of(value: Any, name: str) -> Any:
    if value.pk is None:
        raise FieldError(f"`{name}` compares with an unsaved {type(value).__name__}: it has no key yet.")
    return value.pk


def resolve(options: Options, name: str) -> Path:
    """The meaning of `name` on the model of `options`. Raises FieldError."""
    found = options.resolved.get(name)
    if found is None:
        from swift.models.options import MAX_RESOLVED

        found = walk(options, name)
        if len(options.resolved) >= MAX_RESOLVED:
            options.resolved.clear()
        options.resolved[name] = found
    return found


def walk(options: Options, name: str) -> Path:
    joins, field, rest, whole = follow(options, name.split("__"), name)
    kind: Kind | None = field.kind
    if kind == "json":
        return json_path(name, joins, field, rest)
    parts: list[str] = []
    while rest and rest[0] in PARTS and kind is not None and takes_part(kind, rest[0]):
        parts.append(rest[0])
        kind = PARTS[rest.pop(0)]
    operator = rest.pop(0) if rest else "exact"
    if operator not in LOOKUPS or rest:
        refuse(options, name, field, operator if operator not in LOOKUPS else rest[0])
    allowed(name, field, kind, operator)
    return path(name, joins, field, tuple(parts), None, operator, kind, whole)


def follow(options: Options, steps: list[str], name: str) -> tuple[tuple[Link, ...], Field, list[str], bool]:
    """Through the relations at the head of a name to a field; what is left are parts and a lookup."""
    joins: list[Link] = []
    while True:
        step = steps.pop(0)
        relation = None if step in options.fields else options.link(step)
        if relation is None:
            return tuple(joins), options.field(step), steps, False
        target = relation.target()._meta
        if not steps or (steps[0] != "pk" and steps[0] not in target.fields and not target.link(steps[0])):
            if steps and steps[0] not in LOOKUPS:
                target.field(steps[0])
            if isinstance(relation, ForeignKeyField):
                return tuple(joins), relation, steps, False
            return (*joins, relation), target.pk, steps, True
        if (
            isinstance(relation, ForeignKeyField)
            and not target.scopes
            and (steps[0] == "pk" or steps[0] in target.fields)
            and target.field(steps[0]).primary_key
        ):
            # The key at the other end stands in our own column.
            return tuple(joins), relation, steps[1:], False
        joins.append(relation)
        options = target


def json_path(name: str, joins: tuple[Link, ...], field: Field, rest: list[str]) -> Path:
    """Names inside JSON are whatever they are; only a last step that is a lookup is taken for one."""
    operator = "exact"
    if rest and rest[-1] in LOOKUPS:
        operator = rest.pop()
    if not rest:
        if operator not in ("exact", "ne", "isnull") and operator not in JSON_LOOKUPS:
            raise FieldError(
                f"`{name}`: {field.label} is JSON; compare a value inside it, such as "
                f"`{field.name}__key__{operator}`."
            )
        return path(name, joins, field, (), None, operator, "json")
    if operator in JSON_LOOKUPS:
        raise FieldError(f"`{name}`: `{operator}` looks into a whole JSON field.")
    steps = tuple(int(step) if step.isdecimal() else step for step in rest)
    return path(name, joins, field, (), steps, operator, None)


def takes_part(kind: Kind, part: str) -> bool:
    return (part in ("year", "month", "day", "week_day", "date") and kind in DATES) or (
        part in ("hour", "minute", "second", "time") and kind in CLOCKS
    )


def allowed(name: str, field: Field, kind: Kind | None, operator: str) -> None:
    if operator in TEXT_LOOKUPS and kind not in TEXT:
        raise FieldError(f"`{name}`: `{operator}` looks into text, and {field.label} is `{kind}`.")
    if operator in ORDER_LOOKUPS and kind not in ORDERED:
        raise FieldError(
            f"`{name}`: {field.label} is `{kind}`, which has no order to compare by `{operator}`."
        )
    if operator in JSON_LOOKUPS:
        raise FieldError(f"`{name}`: `{operator}` looks into JSON, and {field.label} is `{kind}`.")


def value_type(options: Options, name: str) -> Any:
    """The type of the values `name` compares with: what a filter of a request converts its text to.

    `age__gte` has `int`, `age__in` `list[int]`, `name__isnull` `bool`, `joined__range` a pair of datetimes.
    """
    found = resolve(options, name)
    if found.operator == "isnull":
        return bool
    one: Any = Any
    if found.parts:
        one = {"date": date, "time": time}.get(found.parts[-1], int)
    elif found.json is None and found.field is not None:
        one = found.field.type
    if found.operator == "range":
        return tuple[one, one]
    return list[one] if found.operator in ("in", "overlap", "contains_all") else one


def refuse(options: Options, name: str, field: Field, step: str) -> None:
    if isinstance(field, ForeignKeyField) and step not in PARTS:
        target = field.target()._meta
        raise FieldError(
            f"`{name}`: {target.name} has no field `{step}`; there are {', '.join(target.fields)}."
        )
    raise FieldError(
        f"`{name}`: {field.label} has no lookup `{step}`; there are {', '.join(sorted(LOOKUPS))}."
    )
