"""Our statements in PostgreSQL's SQL.

Every parameter that is compared or computed with has its type in the text (`$1::BIGINT`): the server would infer it
from what stands beside it, an `integer` column say, and then refuse a number that is merely larger than any in it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from swift.engines import statements as st
from swift.engines.binding import label_of
from swift.engines.compiler import COMPARISONS, SQL, Compiler, constant
from swift.engines.postgres.commands import RowsAsJSON
from swift.engines.schema import Column, Kind
from swift.engines.values import Checker, check_string, encode_json

TYPES: dict[Kind, Any] = {
    "integer": sa.BigInteger(),
    "bigint": sa.BigInteger(),
    "float": sa.Double(),
    "decimal": sa.Numeric(),
    "string": sa.Text(),
    "text": sa.Text(),
    "bool": sa.Boolean(),
    "date": sa.Date(),
    "time": sa.Time(),
    "datetime": sa.DateTime(timezone=True),
    "timestamp": sa.DateTime(),
    "uuid": sa.Uuid(),
    "json": JSONB(),
    "binary": sa.LargeBinary(),
}
PARTS = {
    "year": "year",
    "month": "month",
    "day": "day",
    "hour": "hour",
    "minute": "minute",
    "week_day": "isodow",
}


class PostgresCompiler(Compiler):
    dialect: sa.Dialect = postgresql.dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]

    def compile(self, statement: st.Statement) -> st.Compiled:
        compiled = super().compile(statement)
        if isinstance(statement, st.AsJSON):
            kinds = tuple(output.of.kind for output in statement.select.outputs)
            return st.Compiled(command=RowsAsJSON(compiled.command, kinds), bind=compiled.bind)
        return compiled

    def as_json(self, select: st.Select) -> Any:
        return self.select(select)

    def insert_into(self, table: sa.Table) -> Any:
        return postgresql.insert(table)

    # Parameters

    def typed(self, bound: SQL, kind: Kind | None) -> SQL:
        if kind is None:
            return bound
        if kind == "json":
            # JSON travels as text, which every driver sends alike.
            bound = sa.cast(bound, sa.Text())
        return sa.cast(bound, TYPES[kind])

    def operand(self, right: st.Expression, left: st.Expression) -> SQL:
        built = super().operand(right, left)
        if not isinstance(right, st.Param):
            return built
        column = right.column or (left.column if isinstance(left, st.ColumnRef) else None)
        return self.typed(built, column.kind if column is not None else right.kind or left.kind)

    def stored(self, index: int, column: Column) -> SQL:
        bound = super().stored(index, column)
        return self.typed(bound, "json") if column.kind == "json" else bound

    def number(self, expression: st.Expression) -> Any:
        if isinstance(expression, st.Param):
            return self.bound(expression.index, None, "a limit", type_=sa.BigInteger())
        return super().number(expression)

    def native_among(self, left: SQL, index: int) -> SQL:
        array = self.bound(index, each(self.native_value), "The expression")
        return left.op("=", is_comparison=True)(sa.func.any(array))

    # Comparisons

    def relation(self, operator: str, left: st.Expression, right: st.Expression) -> SQL:
        if isinstance(left, st.JSONPath):
            return self.json_relation(operator, left, right)
        return super().relation(operator, left, right)

    def json_relation(self, operator: str, left: st.JSONPath, right: st.Expression) -> SQL:
        value = self.json_path(left)
        if isinstance(right, st.Constant):  # JSON's null
            return sa.func.jsonb_typeof(value).op(COMPARISONS[operator], is_comparison=True)(constant("null"))
        if isinstance(right, st.Param):
            other = self.typed(self.bound(right.index, json_text, "A JSON value"), "json")
        else:
            other = self.expression(right)
        related = value.op(COMPARISONS[operator], is_comparison=True)(other)
        if operator in ("exact", "ne"):
            return related
        sort = sa.func.jsonb_typeof(value)
        return sa.and_(
            sort.in_([constant("string"), constant("number")]),
            sort.op("=", is_comparison=True)(sa.func.jsonb_typeof(other)),
            related,
        )

    def member(self, left: st.Expression, right: st.Expression) -> SQL:
        """`= ANY` of one array parameter for a list of any length."""
        assert isinstance(right, st.Param)
        column = right.column or (left.column if isinstance(left, st.ColumnRef) else None)
        convert: Checker = self.converter(left.kind, column, stored=False)
        if isinstance(left, st.JSONPath):
            convert = json_text
        bound = self.bound(right.index, each(convert), label_of(column, left.kind))
        if left.kind == "json":
            bound = sa.cast(bound, ARRAY(sa.Text()))
        array = bound if left.kind is None else sa.cast(bound, ARRAY(TYPES[left.kind]))
        return self.expression(left).op("=", is_comparison=True)(sa.func.any(array))

    def match(self, operator: str, left: st.Expression, right: st.Expression) -> SQL:
        if operator == "overlap":
            return self.overlap(left, right)
        if operator == "has_key":
            return self.has_key(left, right)
        subject = self.as_text(left)
        if not isinstance(right, st.Param):
            return self.match_column(operator, subject, self.as_text(right))
        column = left.column if isinstance(left, st.ColumnRef) else None

        def bound(convert: Callable[[str], str]) -> SQL:
            made = self.bound(
                right.index, lambda value: convert(check_string(value)), label_of(column, "text")
            )
            return sa.cast(made, sa.Text())

        match operator:
            case "regex":
                return subject.op("~", is_comparison=True)(bound(str))
            case "iregex":
                return subject.op("~*", is_comparison=True)(bound(str))
            case "iexact":
                return sa.func.lower(subject).op("=", is_comparison=True)(sa.func.lower(bound(str)))
        spelled = "ILIKE" if operator.startswith("i") else "LIKE"
        plain = operator.removeprefix("i")
        before = "" if plain == "startswith" else "%"
        after = "" if plain == "endswith" else "%"
        return subject.op(spelled, is_comparison=True)(bound(lambda text: before + escape_like(text) + after))

    def match_column(self, operator: str, subject: SQL, other: SQL) -> SQL:
        """The match of a column with another column or expression."""
        if operator in ("regex", "iregex"):
            return subject.op("~" if operator == "regex" else "~*", is_comparison=True)(other)
        if operator.startswith("i"):
            subject, other = sa.func.lower(subject), sa.func.lower(other)
        length = sa.func.length(other)
        match operator.removeprefix("i"):
            case "contains":
                return sa.func.strpos(subject, other) > constant(0)
            case "startswith":
                return sa.func.left(subject, length).op("=", is_comparison=True)(other)
            case "endswith":
                # right(text, 0) is empty, as is the ending of no characters.
                return sa.func.right(subject, length).op("=", is_comparison=True)(other)
        return subject.op("=", is_comparison=True)(other)

    def overlap(self, left: st.Expression, right: st.Expression) -> SQL:
        assert isinstance(right, st.Param)
        wanted = self.typed(
            self.bound(right.index, lambda values: json_text(list(values)), "The operand of overlap"), "json"
        )
        one = sa.func.jsonb_array_elements(array_or_empty(self.expression(left))).table_valued("value")
        other = sa.func.jsonb_array_elements(wanted).table_valued("value")
        return sa.select(constant(1)).where(one.c.value == other.c.value).exists()

    def has_key(self, left: st.Expression, right: st.Expression) -> SQL:
        assert isinstance(right, st.Param)
        of = self.expression(left)
        key = sa.cast(self.bound(right.index, check_string, "The operand of has_key"), sa.Text())
        return sa.and_(sa.func.jsonb_typeof(of) == constant("object"), sa.func.jsonb_exists(of, key))

    def as_text(self, expression: st.Expression) -> SQL:
        if isinstance(expression, st.JSONPath):
            value = self.json_path(expression)
            return sa.case(
                (
                    sa.func.jsonb_typeof(value) == constant("string"),
                    value.op("#>>")(sa.literal_column("'{}'")),
                )
            )
        built = self.expression(expression)
        return built if expression.kind in ("string", "text") else sa.cast(built, sa.Text())

    # Expressions

    def json_path(self, path: st.JSONPath) -> SQL:
        steps = (constant(str(step)) for step in path.path)
        return sa.func.jsonb_extract_path(self.expression(path.of), *steps)

    def part(self, part: st.Part) -> SQL:
        of: SQL = self.expression(part.of)
        if part.of.kind == "datetime":
            of = sa.func.timezone(constant("UTC"), of)
        if part.part == "date":
            return sa.cast(of, sa.Date())
        if part.part == "time":
            return sa.cast(of, sa.Time())
        if part.part == "second":
            # The fraction belongs to no second of a clock.
            return sa.cast(sa.func.floor(sa.func.date_part(constant("second"), of)), sa.Integer())
        return sa.cast(sa.func.date_part(constant(PARTS[part.part]), of), sa.Integer())

    def call(self, call: st.Call) -> SQL:
        if call.function == "now":
            return sa.func.statement_timestamp()
        if call.function in ("lower", "upper"):
            return getattr(sa.func, call.function)(self.as_text(call.arguments[0]))  # type: ignore[no-any-return]
        if call.function == "round" and len(call.arguments) == 2:
            value, places = (self.expression(argument) for argument in call.arguments)
            rounded = sa.func.round(sa.cast(value, sa.Numeric()), sa.cast(places, sa.Integer()))
            return rounded if call.kind == "decimal" else sa.cast(rounded, TYPES[call.kind or "float"])
        return super().call(call)

    def aggregate(self, aggregate: st.Aggregate, over: dict[str, Any] | None = None) -> SQL:
        built = super().aggregate(aggregate, over)
        if aggregate.function in ("sum", "avg") and aggregate.kind != "decimal":
            # sum(bigint) and avg(integer) are numeric here.
            return sa.cast(built, TYPES[aggregate.kind])
        return built


def array_or_empty(value: SQL) -> SQL:
    empty = sa.cast(constant("[]"), JSONB())
    return sa.case((sa.func.jsonb_typeof(value) == constant("array"), value), else_=empty)


def escape_like(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def each(convert: Checker) -> Checker:
    """A list's values for an array parameter; None is equal to nothing, so it is left out."""
    return lambda values: [convert(value) for value in values if value is not None]


def json_text(value: Any) -> str:
    return encode_json(value).decode()
