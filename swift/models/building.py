"""A query's shape to a statement: names become columns and joins, values become numbered parameters.

Runs on a miss of the program cache only. A Builder lives for one statement. Values are numbered in the
order a query lists them: annotations, changes, conditions, then limit and offset.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from swift.engines import statements as st
from swift.engines.schema import Column, Kind
from swift.models.conditions import Native, path_of
from swift.models.errors import FieldError
from swift.models.lookups import IS_NOT_NULL, IS_NULL, NULL, PARTS, RANGE, VALUE, Path, resolve
from swift.models.shape import PLAIN, Extras

if TYPE_CHECKING:
    from swift.models.field import ForeignKeyField
    from swift.models.options import Options

NUMBERS: tuple[Kind, ...] = ("integer", "bigint", "float", "decimal")


class Builder:
    """Builds one statement over the model of `options`."""

    def __init__(self, options: Options, first: int = 0) -> None:
        self.options = options
        self.index = first
        self.joins: list[st.Join] = []
        self.sources: dict[tuple[str, ...], int] = {(): 0}
        self.annotations: dict[str, st.Expression] = {}
        self.shapes: tuple[tuple[str, Any], ...] = ()

    def param(self, kind: Kind | None = None, column: Column | None = None) -> st.Param:
        made = st.Param(self.index, kind, column)
        self.index += 1
        return made

    # Names

    def source(self, joins: tuple[ForeignKeyField, ...]) -> int:
        """The number of the source at the end of a chain of foreign keys, joined once."""
        path = tuple(field.relation for field in joins)
        known = self.sources.get(path)
        if known is not None:
            return known
        around = self.source(joins[:-1])
        last = joins[-1]
        options = self.options if len(joins) == 1 else joins[-2].target()._meta
        target = last.target()._meta
        number = self.sources[path] = len(self.joins) + 1
        left = st.ColumnRef(around, options.columns[last.name])
        self.joins.append(st.Join(number, target.table, left, target.columns[target.pk.name]))
        return number

    def column(self, joins: tuple[ForeignKeyField, ...], name: str) -> st.ColumnRef:
        options = joins[-1].target()._meta if joins else self.options
        return st.ColumnRef(self.source(joins), options.columns[name])

    def subject(self, path: Path) -> st.Expression:
        """What a path stands for, before its comparison."""
        if path.field is None:
            return self.annotations[path.name.partition("__")[0]]
        found: st.Expression = self.column(path.joins, path.field.name)
        for part in path.parts:
            found = st.Part(part, found, PARTS[part])
        if path.json is not None:
            found = st.JSONPath(found, path.json)
        return found

    def named(self, name: str) -> st.Expression:
        """A field, annotation, date part or JSON path used as a value."""
        if name in self.annotations:
            return self.annotations[name]
        path = resolve(self.options, name)
        if path.operator != "exact" or name.endswith("__exact"):
            raise FieldError(f"`{name}` is a comparison; a value is wanted here.")
        return self.subject(path)

    # Conditions

    def where(self, nodes: tuple[Any, ...]) -> st.Condition | None:
        conditions = [self.condition(node) for node in nodes]
        if not conditions:
            return None
        return conditions[0] if len(conditions) == 1 else st.And(tuple(conditions))

    def condition(self, node: Any) -> st.Condition:
        match node[0]:
            case "and":
                return st.And(tuple(self.condition(part) for part in node[1:]))
            case "or":
                return st.Or(tuple(self.condition(part) for part in node[1:]))
            case "not":
                return st.Not(self.condition(node[1]))
            case "native":
                return self.native(node[1])
        return self.leaf(node[0], node[1])

    def native(self, native: Native) -> st.Condition:
        indexes = tuple(range(self.index, self.index + len(native.names)))
        self.index += len(indexes)
        return st.Native(native.expression, native.names, indexes)

    def leaf(self, name: str, how: Any) -> st.Condition:
        path = path_of(name, self.options, self.shapes)
        subject, operator = self.subject(path), path.operator
        if how == VALUE:
            made = st.Compare(operator, subject, (self.operand(path, subject),))  # type: ignore[arg-type]
        elif how == NULL:
            absent: st.Condition = st.Compare("isnull", subject, ())
            if isinstance(subject, st.JSONPath):
                absent = st.Compare("exact", subject, (st.Constant(None),))
            return st.Not(absent) if operator == "ne" else absent
        elif how == IS_NULL:
            return st.Compare("isnull", subject, ())
        elif how == IS_NOT_NULL:
            return st.Not(st.Compare("isnull", subject, ()))
        elif how == RANGE:
            low = self.operand(path, subject)
            made = st.Compare("range", subject, (low, self.operand(path, subject)))
        elif how[0] == "in":
            return st.InSelect(subject, self.subquery(how[1]))
        else:
            made = st.Compare(operator, subject, (self.expression(how),))  # type: ignore[arg-type]
        if operator == "ne":
            # Different from a value is also what has none.
            return st.Not(st.Compare("exact", made.left, made.right))
        return made

    def operand(self, path: Path, subject: st.Expression) -> st.Param:
        if path.field is not None and not path.parts and path.json is None:
            column = subject.column if isinstance(subject, st.ColumnRef) else None
            return self.param(path.kind, column)
        return self.param(path.kind or (subject.kind if path.field is None else None))

    def subquery(self, shape: Any) -> st.Select:
        options, where, order, limited, offset, extras = shape
        inner = Builder(options, self.index)
        made = inner.select(where, order, limited, offset, extras)
        self.index = inner.index
        return made

    # Expressions

    def expression(self, shape: Any) -> st.Expression:
        match shape[0]:
            case "field":
                return self.named(shape[1])
            case "value":
                return self.param(shape[1])
            case "arithmetic":
                return self.arithmetic(shape)
            case "call":
                return self.call(shape[1], tuple(self.expression(item) for item in shape[2]))
            case "aggregate":
                return self.aggregate(shape)
        raise FieldError(f"{shape!r} is no expression.")

    def arithmetic(self, shape: Any) -> st.Expression:
        left, right = self.expression(shape[2]), self.expression(shape[3])
        kinds = {left.kind, right.kind}
        if kinds <= {"string", "text"} and shape[1] == "+":
            return st.Arithmetic("||", left, right, "text")
        if not kinds <= set(NUMBERS):
            raise FieldError(
                f"`{shape[1]}` combines numbers, or text with text by +; not {left.kind} and {right.kind}."
            )
        kind: Kind = next(kind for kind in ("float", "decimal", "bigint", "integer") if kind in kinds)
        return st.Arithmetic(shape[1], left, right, "bigint" if kind == "integer" else kind)

    def call(self, function: str, arguments: tuple[st.Expression, ...]) -> st.Expression:
        kinds: dict[str, Kind] = {"lower": "text", "upper": "text", "length": "bigint", "now": "datetime"}
        return st.Call(function, arguments, kinds.get(function) or arguments[0].kind)

    def aggregate(self, shape: Any) -> st.Expression:
        _, function, of, distinct, filter = shape
        inner = None if of is None else self.expression(of)
        kind: Kind = "bigint"
        if function == "avg":
            kind = "float"
        elif function != "count" and inner is not None:
            kind = inner.kind or "float"
            kind = "bigint" if function == "sum" and kind == "integer" else kind
        if function in ("sum", "avg") and (inner is None or inner.kind not in NUMBERS):
            raise FieldError(f"{function} is taken of numbers, not of {inner.kind if inner else 'rows'}.")
        condition = None if filter is None else self.condition(filter)
        return st.Aggregate(function, inner, kind, distinct, condition)

    # Order

    def order(self, names: tuple[str, ...]) -> tuple[st.Order, ...]:
        return tuple(
            st.Order(self.named(name.removeprefix("-")), descending=name.startswith("-")) for name in names
        )

    # Selects

    def select(
        self,
        where: tuple[Any, ...],
        order: tuple[str, ...] | None,
        limited: bool,
        offset: bool,
        extras: Extras | None,
        outputs: tuple[st.Output, ...] | None = None,
    ) -> st.Select:
        """The select of a query; `outputs` replaces what its extras ask for."""
        extras = extras or PLAIN
        self.annotate(extras)
        if outputs is None:
            outputs = self.outputs(extras)
        condition, having = self.split(where)
        orders = self.order(self.options.ordering if order is None else order)
        group: tuple[st.Expression, ...] = ()
        if extras.grouped:
            group = tuple(self.named(name) for name in extras.names if name not in self.annotations)
            orders = () if order is None else orders
        elif any(isinstance(made, st.Aggregate) for made in self.annotations.values()):
            group = (self.named("pk"),)
        return st.Select(
            table=self.options.table,
            outputs=outputs,
            joins=tuple(self.joins),
            where=condition,
            having=having,
            group=group,
            order=orders,
            distinct=extras.distinct,
            limit=self.param() if limited else None,
            offset=self.param() if offset else None,
            lock=extras.lock,
        )

    def annotate(self, extras: Extras) -> None:
        self.shapes = extras.annotations
        for name, shape in extras.annotations:
            self.annotations[name] = self.expression(shape)

    def split(self, nodes: tuple[Any, ...]) -> tuple[st.Condition | None, st.Condition | None]:
        """Conditions on rows, and conditions on groups."""
        rows: list[st.Condition] = []
        groups: list[st.Condition] = []
        for node in nodes:
            condition = self.condition(node)
            (groups if self.of_group(node) else rows).append(condition)
        return joined(rows), joined(groups)

    def of_group(self, node: Any) -> bool:
        if node[0] in ("and", "or", "not"):
            return any(self.of_group(part) for part in node[1:])
        if node[0] == "native":
            return False
        return isinstance(self.annotations.get(node[0].partition("__")[0]), st.Aggregate)

    def outputs(self, extras: Extras) -> tuple[st.Output, ...]:
        """The columns of the result: of objects all fields, then those of related objects, then
        annotations.
        """
        if extras.rows != "objects":
            return tuple(st.Output(name, self.named(name)) for name in extras.names)
        made = self.fields(())
        for name in extras.related:
            made += self.fields(self.chain(name))
        made += [st.Output(name, expression) for name, expression in self.annotations.items()]
        return tuple(made)

    def fields(self, joins: tuple[ForeignKeyField, ...]) -> list[st.Output]:
        options = joins[-1].target()._meta if joins else self.options
        return [st.Output(options.json_names[name], self.column(joins, name)) for name in options.fields]

    def chain(self, name: str) -> tuple[ForeignKeyField, ...]:
        return chain(self.options, name)


def chain(options: Options, name: str) -> tuple[ForeignKeyField, ...]:
    """The foreign keys of a relation's name (`author__city`)."""
    found: list[ForeignKeyField] = []
    for step in name.split("__"):
        relation = options.relations.get(step)
        if relation is None:
            known = ", ".join(options.relations) or "none"
            raise FieldError(f"{options.name} has no relation `{step}` to load; it has {known}.")
        found.append(relation)
        options = relation.target()._meta
    return tuple(found)


def joined(conditions: list[st.Condition]) -> st.Condition | None:
    if not conditions:
        return None
    return conditions[0] if len(conditions) == 1 else st.And(tuple(conditions))
