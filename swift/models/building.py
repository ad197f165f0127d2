"""A query's shape to a statement: names become columns and joins, values become numbered parameters.

Runs on a miss of the program cache only. A Builder lives for one select. Values are numbered in the order a
query lists them: annotations, changes, conditions, then limit and offset.

What is asked of a relation to many is asked in a subquery of its own: a row is found once however many of
its related rows meet the conditions, and aggregates over two relations never multiply each other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from swift.engines import statements as st
from swift.engines.schema import Column, Kind
from swift.models.calls import kind_of_arithmetic, kind_of_call
from swift.models.conditions import Native, path_of
from swift.models.errors import FieldError
from swift.models.field import ForeignKeyField
from swift.models.lookups import IS_NOT_NULL, IS_NULL, NULL, PARTS, RANGE, VALUE, Path
from swift.models.relations import ManyToMany, chain
from swift.models.shape import PLAIN, Extras

if TYPE_CHECKING:
    from swift.models.options import Options
    from swift.models.related import Related
    from swift.models.relations import Hop, Link

NUMBERS: tuple[Kind, ...] = ("integer", "bigint", "float", "decimal")


class Shared:
    """What all builders of one statement share: how many values are numbered, and what is read from the
    context of each execution (its values stand behind the others, the first one last).
    """

    def __init__(self) -> None:
        self.index = 0
        self.context: list[Callable[[], Any]] = []


class Builder:
    """Builds one select over the model of `options`.

    `repeats` says that a row may come once for each of its related rows, as in `values("books__title")`.
    """

    def __init__(
        self,
        options: Options,
        shared: Shared | None = None,
        *,
        parent: Builder | None = None,
        repeats: bool = False,
    ) -> None:
        self.options = options
        self.shared = shared or Shared()
        # The builder that OuterRef speaks of.
        self.parent = parent
        self.repeats = repeats
        self.joins: list[st.Join] = []
        self.sources: dict[tuple[Link, ...], int] = {(): 0}
        self.annotations: dict[str, st.Expression] = {}
        self.shapes: tuple[tuple[str, Any], ...] = ()
        self.unscoped: tuple[str, ...] = ()

    def param(self, kind: Kind | None = None, column: Column | None = None) -> st.Param:
        made = st.Param(self.shared.index, kind, column)
        self.shared.index += 1
        return made

    # Names

    def resolve(self, name: str) -> Path:
        """What a name of the query means from here."""
        return path_of(name, self.options, self.shapes)

    def locate(self, path: Path) -> Path | None:
        """The path from the rows of this builder; None where it does not lead through them."""
        return path

    def source(self, joins: tuple[Link, ...]) -> int:
        """The number of the source at the end of a chain of relations, joined once."""
        known = self.sources.get(joins)
        if known is not None:
            return known
        around = self.source(joins[:-1])
        link = joins[-1]
        if link.many:
            self.repeat(joins)
        options = joins[-2].target()._meta if len(joins) > 1 else self.options
        for hop in link.hops():
            around = self.hop(hop, options, around)
            options = hop.options
        self.sources[joins] = around
        return around

    def repeat(self, joins: tuple[Link, ...]) -> None:
        name = "__".join(link.relation for link in joins)
        if not self.repeats:
            raise FieldError(
                f"`{name}` is many {joins[-1].target()._meta.name} objects; as one value of each row take an "
                f'aggregate, such as annotate(n=Count("{name}")).'
            )
        for others in self.sources:
            while others and not others[-1].many:
                others = others[:-1]
            if others and others != joins[: len(others)]:
                raise FieldError(
                    f"`{name}` and `{'__'.join(link.relation for link in others)}` are both many: their rows "
                    "would multiply each other. Annotate before values(), or ask in two queries."
                )

    def hop(self, hop: Hop, near: Options, around: int) -> int:
        number = len(self.joins) + 1
        left = st.ColumnRef(around, near.columns[hop.left])
        on = self.scope(hop.options, number)
        self.joins.append(st.Join(number, hop.options.table, left, hop.options.columns[hop.right], on))
        return number

    def scope(self, options: Options, source: int) -> st.Condition | None:
        """What every visible row of the model meets, whoever asks and by whichever way."""
        found: list[st.Condition] = []
        for rule in options.scopes:
            if rule.name in self.unscoped:
                continue
            column = st.ColumnRef(source, options.columns[rule.field])
            if rule.value is None:
                found.append(st.Compare("isnull", column, ()))
            else:
                if rule.value not in self.shared.context:
                    self.shared.context.append(rule.value)
                index = -1 - self.shared.context.index(rule.value)
                found.append(st.Compare("exact", column, (st.Param(index, column.kind, column.column),)))
        return joined(found)

    def column(self, joins: tuple[Link, ...], name: str) -> st.ColumnRef:
        options = joins[-1].target()._meta if joins else self.options
        last = joins[-1] if joins else None
        if isinstance(last, ForeignKeyField) and name == options.pk.name and not options.scopes:
            # The key at the other end stands in our own column.
            return self.column(joins[:-1], last.name)
        return st.ColumnRef(self.source(joins), options.columns[name])

    def subject(self, path: Path) -> st.Expression:
        """What a path stands for, before its comparison."""
        if path.field is None:
            return self.annotation(path.name.partition("__")[0])
        found = self.located(path)
        for part in path.parts:
            found = st.Part(part, found, PARTS[part])
        if path.json is not None:
            found = st.JSONPath(found, path.json)
        return found

    def annotation(self, name: str) -> st.Expression:
        return self.annotations[name]

    def located(self, path: Path) -> st.Expression:
        assert path.field is not None
        return self.column(path.joins, path.field.name)

    def is_annotation(self, name: str) -> bool:
        return name in self.annotations

    def named(self, name: str) -> st.Expression:
        """A field, annotation, date part or JSON path used as a value."""
        if self.is_annotation(name):
            return self.annotation(name)
        path = self.resolve(name)
        if path.operator != "exact" or name.endswith("__exact"):
            raise FieldError(f"`{name}` is a comparison; a value is wanted here.")
        return self.subject(path)

    def many_before(self, path: Path) -> tuple[Link, ...] | None:
        """The part of a path up to its first relation to many, from the rows of this builder."""
        local = None if path.field is None else self.locate(path)
        for number, link in enumerate(local.joins if local is not None else (), 1):
            if link.many:
                return local.joins[:number]  # type: ignore[union-attr]
        return None

    # Conditions

    def where(self, nodes: tuple[Any, ...]) -> st.Condition | None:
        return joined([self.condition(node) for node in nodes])

    def condition(self, node: Any) -> st.Condition:
        match node[0]:
            case "and":
                return self.together(node[1:])
            case "or":
                return st.Or(tuple(self.condition(part) for part in node[1:]))
            case "not":
                return st.Not(self.condition(node[1]))
            case "native":
                return self.native(node[1])
            case "exists":
                return st.Exists(self.subquery(node[1]))
        return self.together((node,))

    def together(self, nodes: tuple[Any, ...]) -> st.Condition:
        """Conditions that hold together; those on one relation to many, of the same related row."""
        found: list[Any] = []
        inside: dict[tuple[Link, ...], Related] = {}
        for node in nodes:
            prefix = self.leads_to_many(node)
            if prefix is None:
                found.append(self.condition(node) if node[0] in JOINS else self.leaf(node[0], node[1]))
                continue
            path, how = self.resolve(node[0]), node[1]
            if path.whole and how in (IS_NULL, IS_NOT_NULL, NULL):
                met = self.reached(path)
                wanted = how == IS_NOT_NULL or (how == NULL and path.operator == "ne")
                found.append(met if wanted else st.Not(met))
                continue
            if prefix not in inside:
                inside[prefix] = self.inside(prefix)
                found.append(prefix)
            inside[prefix].conditions.append(inside[prefix].together((node,)))
        conditions = [
            st.Exists(inside[item].met_by_all()) if isinstance(item, tuple) else item for item in found
        ]
        return conditions[0] if len(conditions) == 1 else st.And(tuple(conditions))

    def inside(self, prefix: tuple[Link, ...]) -> Related:
        """The builder of the rows at the end of a relation to many."""
        from swift.models.related import Related

        return Related(self, prefix)

    def reached(self, path: Path) -> st.Condition:
        """There is a row at the end of the path."""
        prefix = self.many_before(path)
        if prefix is None:
            return st.Not(st.Compare("isnull", self.subject(path), ()))
        inside = self.inside(prefix)
        rest = inside.locate(path)
        if rest is None or rest.joins == inside.lead:
            return st.Exists(inside.select(()))
        return st.Exists(inside.select((inside.reached(path),)))

    def leads_to_many(self, node: Any) -> tuple[Link, ...] | None:
        if node[0] in JOINS or self.is_annotation(node[0].partition("__")[0]):
            return None
        return self.many_before(self.resolve(node[0]))

    def native(self, native: Native) -> st.Condition:
        start = self.shared.index
        self.shared.index += len(native.names)
        return st.Native(native.expression, native.names, tuple(range(start, self.shared.index)))

    def leaf(self, name: str, how: Any) -> st.Condition:
        path = self.resolve(name)
        subject, operator = self.subject(path), path.operator
        if operator == "has_item":
            return st.Compare("overlap", subject, (self.operand(path, subject),))
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
        elif how[0] == "all":
            return st.And(
                tuple(st.Compare("overlap", subject, (self.operand(path, subject),)) for _ in range(how[1]))
            )
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
            inner = subject.of if isinstance(subject, st.Outer) else subject
            column = inner.column if isinstance(inner, st.ColumnRef) else None
            return self.param(path.kind, column)
        return self.param(path.kind or (subject.kind if path.field is None else None))

    def subquery(self, shape: Any, *, one: bool = False) -> st.Select:
        options, where, order, limited, offset, extras = shape
        inner = Builder(options, self.shared, parent=self)
        made = inner.select(where, order, limited, offset, extras)
        if one and made.limit is None:
            return replaced(made, limit=st.Constant(1))
        return made

    # Expressions

    def expression(self, shape: Any) -> st.Expression:
        match shape[0]:
            case "field":
                return self.named(shape[1])
            case "value":
                return self.param(shape[1])
            case "arithmetic":
                left, right = self.expression(shape[2]), self.expression(shape[3])
                operator, kind = kind_of_arithmetic(shape[1], left.kind, right.kind)
                return st.Arithmetic(operator, left, right, kind)
            case "call":
                arguments = tuple(self.expression(item) for item in shape[2])
                return st.Call(shape[1], arguments, kind_of_call(shape[1], arguments))
            case "aggregate":
                return self.aggregate(shape)
            case "case":
                return self.case(shape)
            case "truth":
                return st.Truth(self.condition(shape[1]))
            case "scalar":
                select = self.subquery(shape[1], one=True)
                return st.Scalar(select, select.outputs[0].of.kind)
            case "outer":
                return self.outer(shape)
            case "window":
                return self.window(shape)
            case "constant":
                return st.Constant(shape[1], "bigint")
        raise FieldError(f"{shape!r} is no expression.")

    def outer(self, shape: Any) -> st.Expression:
        if self.parent is None:
            raise FieldError(f"OuterRef({shape[1]!r}) stands in a query that is no subquery.")
        return st.Outer(self.parent.named(shape[1]))

    def case(self, shape: Any) -> st.Expression:
        cases = tuple((self.condition(node), self.expression(value)) for node, value in shape[1])
        default = self.expression(shape[2])
        kinds = [value.kind for _, value in cases] + [default.kind]
        return st.Case(cases, default, next((kind for kind in kinds if kind is not None), None))

    def window(self, shape: Any) -> st.Expression:
        of = self.expression(shape[1])
        partition = tuple(self.expression(item) for item in shape[2])
        order = tuple(st.Order(self.expression(item), descending) for item, descending in shape[3])
        return st.Window(of, partition, order, of.kind)

    def aggregate(self, shape: Any) -> st.Expression:
        _, function, of, distinct, filter = shape
        prefix = None if of is None or self.repeats else self.many_in(of)
        if prefix is not None:
            related = self.inside(prefix)
            made = related.aggregate(shape)
            return st.Scalar(related.select((), (st.Output("value", made),)), made.kind)
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

    def many_in(self, shape: Any) -> tuple[Link, ...] | None:
        """The relation to many that an expression leads through."""
        if not isinstance(shape, tuple) or not shape:
            return None
        if shape[0] == "field":
            return None if self.is_annotation(shape[1]) else self.many_before(self.resolve(shape[1]))
        found = {prefix for part in shape if (prefix := self.many_in(part)) is not None}
        if len(found) > 1:
            raise FieldError("An aggregate is taken over one relation to many, not over two.")
        return found.pop() if found else None

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
        self.unscoped = extras.unscoped
        self.repeats = self.repeats or extras.grouped
        compound = self.compound(extras)
        via = None if extras.via is None else self.arrive(extras.via)
        self.annotate(extras)
        self.repeats = self.repeats or extras.rows != "objects"
        if outputs is None:
            outputs = self.outputs(extras)
        if via is not None:
            outputs += (st.Output("_near", via.left),)
        condition, having = self.split(where)
        scope = None if compound else self.scope(self.options, 0)
        condition = joined([part for part in (scope, via, condition) if part is not None])
        orders = self.order(self.options.ordering if order is None else order)
        group: tuple[st.Expression, ...] = ()
        if extras.grouped:
            group = tuple(self.named(name) for name in extras.names if not self.is_annotation(name))
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
            compound=compound,
        )

    def compound(self, extras: Extras) -> st.Compound | None:
        if not extras.compound:
            return None
        selects = []
        for _, shape in extras.compound:
            options, where, order, limited, offset, inner = shape
            builder = Builder(options, self.shared)
            outputs = tuple(
                st.Output(column.name, st.ColumnRef(0, column)) for column in options.columns.values()
            )
            selects.append(builder.select(where, order, limited, offset, inner, outputs))
        operators: tuple[Any, ...] = tuple(operator for operator, _ in extras.compound[1:])
        return st.Compound(tuple(selects), operators)

    def arrive(self, link: ManyToMany) -> st.Compare:
        """Join the rows between that lead here; the condition is which near ends they come from."""
        through = link.through()._meta
        number = len(self.joins) + 1
        left = st.ColumnRef(0, self.options.columns[self.options.pk.name])
        self.joins.append(
            st.Join(number, through.table, left, through.columns[link.far], self.scope(through, number))
        )
        near = st.ColumnRef(number, through.columns[link.near])
        return st.Compare("in", near, (self.param(near.kind, near.column),))

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
        if node[0] in JOINS:
            return False
        found = self.annotations.get(node[0].partition("__")[0])
        if isinstance(found, st.Window):
            raise FieldError(
                f"`{node[0]}` compares a window function, which is computed over the rows that are left; "
                "filter before, or over the rows in Python."
            )
        return isinstance(found, st.Aggregate)

    def outputs(self, extras: Extras) -> tuple[st.Output, ...]:
        """The columns of the result: of objects all fields (or `only` some), then those of related objects,
        then annotations.
        """
        if extras.rows != "objects":
            return tuple(st.Output(name, self.named(name)) for name in extras.names)
        made = self.fields((), extras.only)
        for name in extras.related:
            made += self.fields(chain(self.options, name))
        made += [st.Output(name, expression) for name, expression in self.annotations.items()]
        return tuple(made)

    def fields(self, joins: tuple[Link, ...], only: tuple[str, ...] = ()) -> list[st.Output]:
        options = joins[-1].target()._meta if joins else self.options
        # The columns of the joined row itself: a foreign key alone would not tell that the row is gone.
        source = self.source(joins)
        return [
            st.Output(options.json_names[name], st.ColumnRef(source, options.columns[name]))
            for name in only or options.fields
        ]


# Nodes that are no leaves.
JOINS = ("and", "or", "not", "native", "exists")


def joined(conditions: list[st.Condition]) -> st.Condition | None:
    if not conditions:
        return None
    return conditions[0] if len(conditions) == 1 else st.And(tuple(conditions))


def replaced(select: st.Select, **changes: Any) -> st.Select:
    import msgspec

    return msgspec.structs.replace(select, **changes)
