"""Selects over stores: join, filter, group, order, slice, in that order."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from functools import cmp_to_key
from typing import Any

from swift.engines import statements as st
from swift.engines.binding import Slot
from swift.engines.errors import ProgrammingError
from swift.engines.memory.plans import Evaluate, Planner, Scope, Sources, Test
from swift.engines.memory.store import Store, Undo
from swift.engines.schema import Table

Rows = Callable[..., list[tuple[Any, ...]]]
"""From parameters, and the scope of the select around if it is nested, to rows."""


class Tables:
    """All stores of one memory database."""

    def __init__(self) -> None:
        self.log: list[Undo] = []
        self.stores: dict[int, Store] = {}

    def store(self, table: Table) -> Store:
        found = self.stores.get(id(table))
        if found is None:
            raise ProgrammingError(f"no such table: {table.name}")
        return found

    def select(self, select: st.Select, slots: list[Slot]) -> Rows:
        """The function from parameters to the rows of `select`, whose slots are added to `slots`."""
        derived = None if select.compound is None else self.compound(select.compound, slots)
        planner = Planner(self, slots)
        grouped = bool(select.group) or any(has_aggregate(output.of) for output in select.outputs)
        evaluate = GroupPlanner(self, slots) if grouped else None
        outputs = [(evaluate or planner).expression(output.of) for output in select.outputs]
        where = planner.condition(select.where) if select.where is not None else None
        group = [planner.expression(item) for item in select.group]
        having = evaluate.condition(select.having) if select.having is not None and evaluate else None
        order = [((evaluate or planner).expression(item.by), item.descending) for item in select.order]
        ons = [None if join.on is None else planner.condition(join.on) for join in select.joins]
        key = None if derived else self.key(planner, select)
        limit = self.number(planner, select.limit)
        offset = self.number(planner, select.offset)

        def rows(values: Sequence[Any], outer: Sources = ()) -> list[tuple[Any, ...]]:
            base = None if derived is None else derived(values)
            found: list[Any] = [
                sources
                for sources in self.sources(select, base, key, ons, values, outer)
                if where is None or where(sources, values)
            ]
            for number, spread in enumerate(planner.windows):
                spread(found, number, values)
            if evaluate is not None:
                found = groups(found, group, values)
            if having is not None:
                found = [item for item in found if having(item, values)]
            if order:
                found = ordered(found, order, values)
            made = [tuple(output(item, values) for output in outputs) for item in found]
            if select.distinct:
                made = list(dict.fromkeys(made))
            start = offset(values) if offset else 0
            return made[start : None if limit is None else start + limit(values)]

        return rows

    def key(self, planner: Planner, select: st.Select) -> Evaluate | None:
        """The primary key that the rows of a select must have, if its conditions say one."""
        primary = select.table.primary_key
        where = select.where
        for part in where.parts if isinstance(where, st.And) else (where,):
            if (
                isinstance(part, st.Compare)
                and part.operator == "exact"
                and isinstance(part.left, st.ColumnRef)
                and part.left.source == 0
                and part.left.column is primary
                and isinstance(part.right[0], st.Param)
            ):
                return planner.operand(part.right[0], part.left)
        return None

    def compound(self, compound: st.Compound, slots: list[Slot]) -> Callable[[Sequence[Any]], list[Any]]:
        """The function from parameters to the combined rows, as rows of a table."""
        parts = [self.select(select, slots) for select in compound.selects]
        names = [output.name for output in compound.selects[0].outputs]

        def rows(values: Sequence[Any]) -> list[Any]:
            found = parts[0](values)
            for how, part in zip(compound.operators, parts[1:], strict=True):
                found = COMPOUNDS[how](found, part(values))
            return [dict(zip(names, row, strict=True)) for row in found]

        return rows

    def sources(
        self,
        select: st.Select,
        rows: Iterable[Any] | None,
        key: Evaluate | None,
        ons: list[Test | None],
        values: Sequence[Any],
        outer: Sources,
    ) -> Iterator[Sources]:
        """The rows of the table (or `rows`), each with the rows its joins find."""
        store = self.store(select.table)
        if rows is None:
            rows = store
        if key is not None:
            row = store.rows.get(key((), values))
            rows = () if row is None else (row,)
        found: Iterator[Scope] = (Scope((row,), outer) for row in rows)
        for join, on in zip(select.joins, ons, strict=True):
            found = self.joined(found, join, on, values)
        return found

    def joined(
        self, found: Iterable[Scope], join: st.Join, on: Test | None, values: Sequence[Any]
    ) -> Iterator[Scope]:
        store = self.store(join.table)
        name, unique = join.right.name, join.right.name == store.key
        matches: dict[Any, list[Any]] = {}
        if not unique:
            for other in store:
                matches.setdefault(other[name], []).append(other)
        for scope in found:
            around = scope[join.left.source]
            key = None if around is None else around[join.left.column.name]
            if unique:
                met = [] if key is None or key not in store.rows else [store.rows[key]]
            else:
                met = [] if key is None else matches.get(key, [])
            wider = [Scope((*scope, one), scope.outer) for one in met]
            if on is not None:
                wider = [one for one in wider if on(one, values)]
            yield from wider or [Scope((*scope, None), scope.outer)]

    @staticmethod
    def number(planner: Planner, expression: st.Expression | None) -> Callable[[Sequence[Any]], int] | None:
        if expression is None:
            return None
        if isinstance(expression, st.Param):
            found = planner.param(expression.index, None, "a limit")
        else:
            found = planner.expression(expression)
        return lambda values: int(found((), values))


def combined(left: list[Any], right: list[Any]) -> list[Any]:
    return list(dict.fromkeys((*left, *right)))


def common(left: list[Any], right: list[Any]) -> list[Any]:
    others = set(right)
    return [row for row in dict.fromkeys(left) if row in others]


def remaining(left: list[Any], right: list[Any]) -> list[Any]:
    others = set(right)
    return [row for row in dict.fromkeys(left) if row not in others]


COMPOUNDS: dict[str, Callable[[list[Any], list[Any]], list[Any]]] = {
    "union": combined,
    "union all": operator.add,
    "intersection": common,
    "difference": remaining,
}


class GroupPlanner(Planner):
    """Plans expressions over groups: the sources of an evaluation are the list of the group's own."""

    def expression(self, expression: st.Expression) -> Evaluate:
        if isinstance(expression, st.Aggregate):
            return self.aggregate(expression)
        if isinstance(expression, (st.Arithmetic, st.Call, st.Case)) and has_aggregate(expression):
            return super().expression(expression)
        one = Planner(self.tables, self.slots).expression(expression)
        # Not an aggregate: the same in every row of the group.
        return lambda group, values: one(group[0], values) if group else None  # type: ignore[arg-type]

    def aggregate(self, aggregate: st.Aggregate) -> Evaluate:
        planner = Planner(self.tables, self.slots)
        of = None if aggregate.of is None else planner.expression(aggregate.of)
        test = None if aggregate.where is None else planner.condition(aggregate.where)
        name, distinct = aggregate.function, aggregate.distinct

        def evaluate(group: Any, values: Sequence[Any]) -> Any:
            rows = [sources for sources in group if test is None or test(sources, values)]
            if of is None:
                return len(rows)
            found = [value for sources in rows if (value := of(sources, values)) is not None]
            if distinct:
                found = list(dict.fromkeys(found))
            return AGGREGATES[name](found)

        return evaluate


def mean(found: list[Any]) -> float | None:
    return (
        float(sum(found, Decimal(0) if isinstance(found[0], Decimal) else 0) / len(found)) if found else None
    )


AGGREGATES: dict[str, Callable[[list[Any]], Any]] = {
    "count": len,
    "sum": lambda found: sum(found[1:], found[0]) if found else None,
    "avg": mean,
    "min": lambda found: min(found, default=None),
    "max": lambda found: max(found, default=None),
}


def has_aggregate(expression: st.Expression) -> bool:
    match expression:
        case st.Aggregate():
            return True
        case st.Arithmetic(_, left, right):
            return has_aggregate(left) or has_aggregate(right)
        case st.Call(_, arguments):
            return any(map(has_aggregate, arguments))
        case st.Case(cases, default):
            return has_aggregate(default) or any(
                has_aggregate(value) or compares_aggregate(condition) for condition, value in cases
            )
    return False


def compares_aggregate(condition: st.Condition) -> bool:
    match condition:
        case st.And(parts) | st.Or(parts):
            return any(map(compares_aggregate, parts))
        case st.Not(of):
            return compares_aggregate(of)
        case st.Compare(_, left, right):
            return has_aggregate(left) or any(map(has_aggregate, right))
    return False


def groups(found: list[Sources], group: list[Evaluate], values: Sequence[Any]) -> list[list[Sources]]:
    if not group:
        return [found]
    made: dict[tuple[Any, ...], list[Sources]] = {}
    for sources in found:
        made.setdefault(tuple(item(sources, values) for item in group), []).append(sources)
    return list(made.values())


def ordered(found: list[Any], order: list[tuple[Evaluate, bool]], values: Sequence[Any]) -> list[Any]:
    """NULLs last ascending, first descending."""
    keyed = [([by(item, values) for by, _ in order], item) for item in found]

    def compare(left: tuple[list[Any], Any], right: tuple[list[Any], Any]) -> int:
        for a, b, (_, descending) in zip(left[0], right[0], order, strict=True):
            if a == b:
                continue
            bigger = a is None or (b is not None and a > b)
            return 1 if bigger != descending else -1
        return 0

    return [item for _, item in sorted(keyed, key=cmp_to_key(compare))]
