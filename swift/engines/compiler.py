"""Statements to SQL, by SQLAlchemy Core.

What every dialect says alike is here; a dialect's compiler overrides what it says differently. A compiler
lives for one statement: it collects, for each parameter of the SQL in the order of its text, which value
goes there and how it is converted (`Slot`), and ends as a Compiled.

Imported on the first cache miss of a Database, with SQLAlchemy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from swift.engines import statements as st
from swift.engines.binding import Slot, binder, label_of
from swift.engines.errors import ProgrammingError
from swift.engines.metadata import sql_table
from swift.engines.schema import Column, Table
from swift.engines.values import Checker, checker

SQL = sa.ColumnElement[Any]

COMPOUNDS: dict[str, Callable[..., Any]] = {
    "union": sa.union,
    "union all": sa.union_all,
    "intersection": sa.intersect,
    "difference": sa.except_,
}
COMPARISONS = {"exact": "=", "ne": "!=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


class Compiler:
    """Compiles one statement for one dialect. Subclasses give `dialect` and override the dialect's own
    ways.
    """

    dialect: sa.Dialect

    def __init__(self) -> None:
        self.slots: dict[str, Slot] = {}
        # The sources of the select being built, and those of the selects around it.
        self.sources: list[sa.FromClause] = []
        self.around: list[list[sa.FromClause]] = []

    # The whole statement

    def compile(self, statement: st.Statement) -> st.Compiled:
        built = self.statement(statement)
        # Without the hint, an INSERT of no values would list every column.
        bare = isinstance(statement, st.Insert) and not statement.columns
        compiled = built.compile(dialect=self.dialect, column_keys=[] if bare else None)
        slots = [self.slots[name] for name in compiled.positiontup or ()]
        return st.Compiled(command=str(compiled), bind=binder(slots))

    def statement(self, statement: st.Statement) -> Any:
        match statement:
            case st.Select():
                return self.select(statement)
            case st.Raw():
                return self.raw(statement)
            case st.Count():
                return self.count(statement.select)
            case st.AsJSON():
                return self.as_json(statement.select)
            case st.Insert():
                return self.insert(statement)
            case st.Update():
                return self.update(statement)
            case st.Delete():
                return self.delete(statement)

    def select(self, select: st.Select, outputs: Callable[[], Sequence[SQL]] | None = None) -> sa.Select[Any]:
        # Before the sources change: what is combined is no part of this select's scope.
        derived = None if select.compound is None else self.compound(select.compound)
        outer = self.sources
        self.around.append(outer)
        source = self.enter(select, derived)
        try:
            columns = outputs() if outputs else [self.output(output) for output in select.outputs]
            built = sa.select(*columns).select_from(source)
            if select.where is not None:
                built = built.where(self.condition(select.where))
            if select.group:
                built = built.group_by(*(self.expression(item) for item in select.group))
            if select.having is not None:
                built = built.having(self.condition(select.having))
            if select.distinct:
                built = built.distinct()
            for order in select.order:
                built = built.order_by(self.order(order))
            outers = [source for sources in self.around for source in sources]
            if outers:
                built = built.correlate(*outers)
            return self.lock(self.slice(built, select), select)
        finally:
            self.around.pop()
            self.sources = outer

    def enter(self, select: st.Select, derived: sa.FromClause | None) -> sa.FromClause:
        """Open the sources of `select`: a table joined or nested once more gets an alias."""
        nested = bool(self.sources)
        base: sa.FromClause = sql_table(select.table) if derived is None else derived
        if nested:
            base = base.alias()
        self.sources = [base]
        joined = base
        for join in select.joins:
            target = sql_table(join.table).alias()
            self.sources.append(target)
            met = self.column(join.left) == target.c[join.right.name]
            if join.on is not None:
                met = sa.and_(met, self.condition(join.on))
            joined = joined.outerjoin(target, met)
        return joined

    def compound(self, compound: st.Compound) -> sa.FromClause:
        """The combined rows as a table."""
        sources, self.sources = self.sources, []
        around, self.around = self.around, []
        try:
            built: Any = self.select(compound.selects[0])
            for operator, select in zip(compound.operators, compound.selects[1:], strict=True):
                built = COMPOUNDS[operator](
                    self.operand_of_compound(built), self.operand_of_compound(self.select(select))
                )
            return built.subquery()  # type: ignore[no-any-return]
        finally:
            self.sources, self.around = sources, around

    def operand_of_compound(self, select: Any) -> Any:
        """As a plain select from a subquery: not every database takes ORDER BY and LIMIT inside."""
        return sa.select(select.subquery())

    def raw(self, raw: st.Raw) -> Any:
        """The user's SQL, from which the columns wanted are taken by name."""
        text = sa.text(raw.sql)
        for index, name in enumerate(raw.names):
            self.slots[name] = Slot(index, self.native_value, True, f"The parameter `{name}`")
        if not raw.columns:
            return text
        rows = text.columns(*(sa.column(name) for name in raw.columns)).subquery("raw_rows")
        return sa.select(*(rows.c[name] for name in raw.columns))

    def slice(self, built: sa.Select[Any], select: st.Select) -> sa.Select[Any]:
        if select.limit is not None:
            built = built.limit(self.number(select.limit))
        if select.offset is not None:
            built = built.offset(self.number(select.offset))
        return built

    def number(self, expression: st.Expression) -> Any:
        if isinstance(expression, st.Constant):
            return sa.literal_column(str(int(expression.value or 0)), sa.Integer)
        assert isinstance(expression, st.Param)
        return self.bound(expression.index, None, "a limit", type_=sa.Integer())

    def lock(self, built: sa.Select[Any], select: st.Select) -> sa.Select[Any]:
        if not select.lock:
            return built
        return built.with_for_update(nowait="nowait" in select.lock, skip_locked="skip" in select.lock)

    def output(self, output: st.Output) -> SQL:
        return self.expression(output.of).label(output.name)

    def order(self, order: st.Order) -> SQL:
        by = self.sortable(order.by)
        element = by.desc() if order.descending else by.asc()
        if may_be_null(order.by):
            element = element.nulls_first() if order.descending else element.nulls_last()
        return element

    def count(self, select: st.Select) -> sa.Select[Any]:
        whole = not (select.distinct or select.group or select.having or select.limit or select.offset)
        if whole:
            unordered = st.Select(
                table=select.table,
                outputs=(),
                joins=select.joins,
                where=select.where,
                compound=select.compound,
            )
            return self.select(unordered, lambda: [sa.func.count()])
        return sa.select(sa.func.count()).select_from(self.select(select).subquery())

    def as_json(self, select: st.Select) -> Any:
        raise NotImplementedError

    def insert(self, insert: st.Insert) -> Any:
        table = sql_table(insert.table)
        built: Any = self.insert_into(table)
        if insert.columns:
            built = built.values(
                {column.name: self.stored(index, column) for index, column in enumerate(insert.columns)}
            )
        if insert.conflict is not None:
            built = self.on_conflict(built, insert.conflict)
        if insert.returning:
            built = built.returning(*(table.c[column.name] for column in insert.returning))
        return built

    def insert_into(self, table: sa.Table) -> Any:
        return sa.insert(table)

    def on_conflict(self, built: Any, conflict: st.Conflict) -> Any:
        target = [column.name for column in conflict.target] or None
        if not conflict.columns:
            return built.on_conflict_do_nothing(index_elements=target)
        changes = {column.name: built.excluded[column.name] for column in conflict.columns}
        where = None
        if conflict.where is not None:
            self.sources = [built.table]
            where = self.condition(conflict.where)
        return built.on_conflict_do_update(index_elements=target, set_=changes, where=where)

    def update(self, update: st.Update) -> Any:
        table = sql_table(update.table)
        self.sources = [table]
        changes = {column.name: self.assigned(column, value) for column, value in update.changes}
        built = sa.update(table).values(changes)
        chosen = self.chosen(table, update.table, update.where, update.rows)
        if chosen is not None:
            built = built.where(chosen)
        if update.returning:
            built = built.returning(*(table.c[column.name] for column in update.returning))
        return built

    def assigned(self, column: Column, value: st.Expression) -> Any:
        if isinstance(value, st.Param):
            return self.stored(value.index, column)
        return self.expression(value)

    def delete(self, delete: st.Delete) -> Any:
        table = sql_table(delete.table)
        self.sources = [table]
        built = sa.delete(table)
        chosen = self.chosen(table, delete.table, delete.where, delete.rows)
        return built if chosen is None else built.where(chosen)

    def chosen(
        self, table: sa.Table, described: Table, where: st.Condition | None, rows: st.Select | None
    ) -> SQL | None:
        if rows is not None:
            return table.c[described.primary_key.name].in_(self.select(rows))
        return None if where is None else self.condition(where)

    # Conditions

    def condition(self, condition: st.Condition) -> SQL:
        match condition:
            case st.Compare():
                return self.compare(condition)
            case st.And():
                return sa.and_(sa.true(), *(self.condition(part) for part in condition.parts))
            case st.Or():
                return sa.or_(sa.false(), *(self.condition(part) for part in condition.parts))
            case st.Not():
                return self.negate(condition.of)
            case st.InSelect():
                return self.expression(condition.left).in_(self.select(condition.select))
            case st.Exists():
                return self.select(condition.select).exists()
            case st.Native():
                return self.native(condition)
        raise ProgrammingError(f"{type(condition).__name__} has no SQL.")

    def negate(self, condition: st.Condition) -> SQL:
        return self.condition(condition).self_group().is_not(sa.true())

    def native(self, condition: st.Native) -> SQL:
        """The user's expression, its bound values replaced by places for ours."""
        from sqlalchemy.sql import operators, visitors

        indexes = dict(zip(condition.names, condition.indexes, strict=True))

        def replace(element: Any, **_: Any) -> Any:
            if (
                isinstance(element, sa.BinaryExpression)
                and isinstance(element.right, sa.BindParameter)
                and element.operator in (operators.in_op, operators.not_in_op)
            ):
                left = visitors.replacement_traverse(element.left, {}, replace)
                among = self.native_among(left, indexes[element.right.key])
                return among if element.operator is operators.in_op else sa.not_(among)
            if isinstance(element, sa.BindParameter):
                return self.bound(indexes[element.key], self.native_value, "The expression")
            return None

        replaced: SQL = visitors.replacement_traverse(condition.expression, {}, replace)
        return replaced.self_group()

    def native_among(self, left: SQL, index: int) -> SQL:
        """`left` is one of the values of the list at `index`."""
        raise NotImplementedError

    @staticmethod
    def native_value(value: Any) -> Any:
        return checker(None, None, stored=False)(value)

    def compare(self, compare: st.Compare) -> SQL:
        operator, left, right = compare.operator, compare.left, compare.right
        if operator == "isnull":
            return self.expression(left).is_(sa.null())
        if operator == "in":
            return self.member(left, right[0])
        if operator == "range":
            return self.between(left, *right)
        if operator in COMPARISONS:
            return self.relation(operator, left, right[0])
        return self.match(operator, left, right[0])

    def relation(self, operator: str, left: st.Expression, right: st.Expression) -> SQL:
        return self.expression(left).op(COMPARISONS[operator], is_comparison=True)(self.operand(right, left))

    def between(self, left: st.Expression, low: st.Expression, high: st.Expression) -> SQL:
        return sa.and_(self.relation("gte", left, low), self.relation("lte", left, high))

    def member(self, left: st.Expression, right: st.Expression) -> SQL:
        raise NotImplementedError

    def match(self, operator: str, left: st.Expression, right: st.Expression) -> SQL:
        raise NotImplementedError

    # Expressions

    def expression(self, expression: st.Expression) -> SQL:
        """The expression in the form its column stores it."""
        match expression:
            case st.ColumnRef():
                return self.column(expression)
            case st.Param():
                return self.operand(expression, expression)
            case st.Constant():
                return constant(expression.value)
            case st.Arithmetic():
                return self.arithmetic(expression)
            case st.Part():
                return self.part(expression)
            case st.JSONPath():
                return self.json_path(expression)
            case st.Call():
                return self.call(expression)
            case st.Aggregate():
                return self.aggregate(expression)
            case st.Outer():
                return self.outer(expression.of)
            case st.Scalar():
                return self.select(expression.select).scalar_subquery()
            case st.Truth():
                return self.truth(expression.of)
            case st.Case():
                return self.case(expression)
            case st.Window():
                return self.window(expression)
        raise ProgrammingError(f"{type(expression).__name__} has no SQL.")

    def sortable(self, expression: st.Expression) -> SQL:
        """The expression in a form whose order is the order of its values."""
        return self.expression(expression)

    def outer(self, of: st.Expression) -> SQL:
        """An expression over the sources of the select around this one."""
        sources, self.sources = self.sources, self.around.pop()
        try:
            return self.expression(of)
        finally:
            self.around.append(self.sources)
            self.sources = sources

    def truth(self, condition: st.Condition) -> SQL:
        # Two truth values here too: what is not known is not so.
        return sa.case((self.condition(condition), sa.true()), else_=sa.false())

    def case(self, case: st.Case) -> SQL:
        cases = [(self.condition(condition), self.operand(value, case)) for condition, value in case.cases]
        return sa.case(*cases, else_=self.operand(case.default, case))

    def window(self, window: st.Window) -> SQL:
        over = {
            "partition_by": [self.expression(item) for item in window.partition] or None,
            "order_by": [self.order(item) for item in window.order] or None,
        }
        if isinstance(window.of, st.Aggregate):
            return self.aggregate(window.of, over)
        of: Any = self.expression(window.of)
        return of.over(**over)  # type: ignore[no-any-return]

    def column(self, ref: st.ColumnRef) -> SQL:
        return self.sources[ref.source].c[ref.column.name]

    def operand(self, right: st.Expression, left: st.Expression) -> SQL:
        """`right` where it is compared or combined with `left`."""
        if not isinstance(right, st.Param):
            return self.expression(right)
        column = right.column or (left.column if isinstance(left, st.ColumnRef) else None)
        kind = right.kind or left.kind
        return self.bound(right.index, self.converter(kind, column, stored=False), label_of(column, kind))

    def arithmetic(self, expression: st.Arithmetic) -> SQL:
        left = self.operand(expression.left, expression.right)
        right = self.operand(expression.right, expression.left)
        return left.op(expression.op, precedence=20)(right).self_group()

    def part(self, part: st.Part) -> SQL:
        raise NotImplementedError

    def json_path(self, path: st.JSONPath) -> SQL:
        raise NotImplementedError

    def call(self, call: st.Call) -> SQL:
        arguments = [self.operand(argument, call) for argument in call.arguments]
        return getattr(sa.func, call.function)(*arguments)  # type: ignore[no-any-return]

    def aggregate(self, aggregate: st.Aggregate, over: dict[str, Any] | None = None) -> SQL:
        """The aggregate, of the group or (`over`) of a window."""
        if aggregate.of is None:
            built: Any = sa.func.count()
        else:
            inner: Any = self.aggregated(aggregate, aggregate.of)
            built = getattr(sa.func, aggregate.function)(inner.distinct() if aggregate.distinct else inner)
        if aggregate.where is not None:
            built = built.filter(self.condition(aggregate.where))
        if over is not None:
            built = built.over(**over)
        return built  # type: ignore[no-any-return]

    def aggregated(self, aggregate: st.Aggregate, of: st.Expression) -> SQL:
        return self.expression(of)

    # Parameters

    def converter(self, kind: Any, column: Column | None, *, stored: bool) -> Checker:
        return checker(kind, column, stored=stored)

    def stored(self, index: int, column: Column) -> SQL:
        # A JSON column that may not be NULL takes None as JSON's null.
        total = column.kind == "json" and not column.nullable
        return self.bound(index, self.converter(None, column, stored=True), column.label, total=total)

    def bound(
        self, index: int, convert: Checker | None, label: str, *, total: bool = False, type_: Any = None
    ) -> SQL:
        name = f"p{len(self.slots)}"
        self.slots[name] = Slot(index, convert, total, label)
        return sa.bindparam(name, type_=type_ or sa.types.NULLTYPE, required=False, value=None)


def constant(value: int | bool | str | None) -> SQL:
    if value is None:
        return sa.null()
    if isinstance(value, bool):
        return sa.true() if value else sa.false()
    if isinstance(value, int):
        return sa.literal_column(str(value), sa.Integer)
    return sa.literal_column("'" + value.replace("'", "''") + "'", sa.Text)


def may_be_null(expression: st.Expression) -> bool:
    return not (
        isinstance(expression, st.ColumnRef) and expression.source == 0 and not expression.column.nullable
    )
