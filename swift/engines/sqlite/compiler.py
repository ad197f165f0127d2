"""Our statements in SQLite's SQL."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from swift.engines import statements as st
from swift.engines.binding import label_of
from swift.engines.compiler import COMPARISONS, SQL, Compiler, constant, may_be_null
from swift.engines.errors import ProgrammingError
from swift.engines.schema import Column
from swift.engines.sqlite.json import Member, row_values, rows_json
from swift.engines.sqlite.values import scaled_number, storage
from swift.engines.values import Checker, check_binary, check_decimal, check_float, check_string, encode_json

TEXT_KINDS = ("string", "text", "json", None)
# SQLITE_MAX_LIKE_PATTERN_LENGTH
MAX_PATTERN = 50_000
# Where a text of kind datetime, timestamp or time has its parts, from 1 (position, length).
DATE_PARTS = {"year": (1, 4), "month": (6, 2), "day": (9, 2)}
TIME_PARTS = {"hour": (1, 2), "minute": (4, 2), "second": (7, 2)}


class SQLiteCompiler(Compiler):
    dialect: sa.Dialect = sqlite.dialect(paramstyle="qmark")

    def insert_into(self, table: sa.Table) -> Any:
        return sqlite.insert(table)

    def slice(self, built: sa.Select[Any], select: st.Select) -> sa.Select[Any]:
        built = super().slice(built, select)
        # SQLAlchemy would bind the missing half as a parameter of its own.
        if select.limit is not None and select.offset is None:
            return built.offset(sa.literal_column("0", sa.Integer))
        if select.offset is not None and select.limit is None:
            return built.limit(sa.literal_column("-1", sa.Integer))
        return built

    def lock(self, built: sa.Select[Any], select: st.Select) -> sa.Select[Any]:
        # A writing transaction holds the one write lock: its rows are locked already.
        return built

    def negate(self, condition: st.Condition) -> SQL:
        return self.condition(condition).self_group().op("IS NOT", is_comparison=True)(constant(1))

    def converter(self, kind: Any, column: Column | None, *, stored: bool) -> Checker:
        return storage(kind, column, stored=stored)

    @staticmethod
    def native_value(value: Any) -> Any:
        return storage(None, None, stored=False)(value)

    def native_among(self, left: SQL, index: int) -> SQL:
        array = self.bound(index, each(self.native_value), "The expression")
        return left.in_(sa.select(sa.func.json_each(array).table_valued("value").c.value))

    # Comparisons

    def relation(self, operator: str, left: st.Expression, right: st.Expression) -> SQL:
        if isinstance(left, st.JSONPath):
            return self.json_relation(operator, left, right)
        if left.kind == "decimal" and (operator not in ("exact", "ne") or scale(left) is None):
            return self.decimal_relation(operator, left, right)
        return super().relation(operator, left, right)

    def decimal_relation(self, operator: str, left: st.Expression, right: st.Expression) -> SQL:
        places = scale(left)
        if isinstance(right, st.Param):
            number: SQL = self.bound(
                right.index,
                lambda value: scaled_number(check_decimal(value), places or 0),
                label_of(left.column if isinstance(left, st.ColumnRef) else None, "decimal"),
            )
        elif places is not None and scale(right) == places:
            number = self.sortable(right)
        else:
            return self.relate(operator, real(self.expression(left)), real(self.expression(right)))
        return self.relate(operator, self.sortable(left), number)

    @staticmethod
    def relate(operator: str, left: SQL, right: SQL) -> SQL:
        return left.op(COMPARISONS[operator], is_comparison=True)(right)

    def json_relation(self, operator: str, left: st.JSONPath, right: st.Expression) -> SQL:
        of, path = self.expression(left.of), json_path_text(left)
        sort, value = sa.func.json_type(of, path), sa.func.json_extract(of, path)
        if isinstance(right, st.Constant):  # JSON's null
            return sort.op("=", is_comparison=True)(constant("null"))
        if not isinstance(right, st.Param):
            return self.relate(operator, value, self.expression(right))

        def part(convert: Checker) -> SQL:
            return self.bound(right.index, convert, "A JSON value")

        cases: list[Any] = [
            (sort == constant("text"), self.relate(operator, value, part(text_or_none))),
            (
                sort.in_([constant("integer"), constant("real")]),
                self.relate(operator, value, part(number_or_none)),
            ),
        ]
        if operator in ("exact", "ne"):
            whole = of.op("->")(path)
            return sa.case(*cases, else_=self.relate(operator, whole, part(json_text)))
        return sa.case(*cases, else_=constant(None))

    def member(self, left: st.Expression, right: st.Expression) -> SQL:
        """`IN` over a JSON array: one parameter for a list of any length."""
        assert isinstance(right, st.Param)
        subject = self.expression(left)
        column = right.column or (left.column if isinstance(left, st.ColumnRef) else None)
        convert: Checker = self.converter(left.kind, column, stored=False)
        if isinstance(left, st.JSONPath):
            convert = json_text
        elif left.kind == "binary":
            # hex(NULL) is the hex of nothing.
            subject, convert = sa.case((subject.is_not(sa.null()), sa.func.hex(subject))), hex_text
        elif left.kind == "float":
            # SQLite reads floats of JSON less exactly than it keeps them; their shortest texts are equal.
            subject, convert = sa.func.swift_float_json(subject), float_text
        array = self.bound(right.index, each(convert), label_of(column, left.kind))
        values = sa.func.json_each(array).table_valued("value")
        return subject.in_(sa.select(values.c.value))

    def match(self, operator: str, left: st.Expression, right: st.Expression) -> SQL:
        if operator == "overlap":
            return self.overlap(left, right)
        if operator == "has_key":
            return self.has_key(left, right)
        subject = self.as_text(left)
        if not isinstance(right, st.Param):
            return self.match_column(operator, subject, self.as_text(right))

        def bound(convert: Checker) -> SQL:
            column = left.column if isinstance(left, st.ColumnRef) else None
            return self.bound(
                right.index, lambda value: convert(check_string(value)), label_of(column, "text")
            )

        match operator:
            case "contains":
                return sa.func.instr(subject, bound(str)) > constant(0)
            case "startswith":
                return subject.op("GLOB", is_comparison=True)(bound(lambda text: pattern(glob(text) + "*")))
            case "endswith":
                return subject.op("GLOB", is_comparison=True)(bound(lambda text: pattern("*" + glob(text))))
            case "regex":
                return sa.func.swift_regex(bound(str), subject)
            case "iregex":
                return sa.func.swift_iregex(bound(str), subject)
        return self.case_insensitive(operator, subject, bound)

    def case_insensitive(self, operator: str, subject: SQL, bound: Callable[[Checker], SQL]) -> SQL:
        """LIKE ignores the case of ASCII letters only, and is fast; other text takes the way through
        Python.
        """
        before = "%" if operator in ("icontains", "iendswith") else ""
        after = "%" if operator in ("icontains", "istartswith") else ""

        def like(text: str) -> str:
            return pattern(before + escape_like(text) + after)

        def spell(of: SQL, convert: Checker) -> SQL:
            return of.op("LIKE", is_comparison=True)(
                bound(convert).op("ESCAPE", precedence=10)(constant("\\"))
            )

        return sa.case(
            (bound(str.isascii).op("=", is_comparison=True)(constant(1)), spell(subject, like)),
            else_=spell(sa.func.swift_lower(subject), lambda text: like(text.lower())),
        )

    def match_column(self, operator: str, subject: SQL, other: SQL) -> SQL:
        """The match of a column with another column or expression."""
        if operator in ("regex", "iregex"):
            return getattr(sa.func, f"swift_{operator}")(other, subject)  # type: ignore[no-any-return]
        if operator.startswith("i"):
            subject, other = sa.func.swift_lower(subject), sa.func.swift_lower(other)
        length = sa.func.length(other)
        match operator.removeprefix("i"):
            case "contains":
                return sa.func.instr(subject, other) > constant(0)
            case "startswith":
                return sa.func.substr(subject, constant(1), length).op("=", is_comparison=True)(other)
            case "endswith":
                start = (sa.func.length(subject) - length + constant(1)).self_group()
                ending = sa.func.substr(subject, start)
                return sa.and_(sa.func.length(subject) >= length, ending.op("=", is_comparison=True)(other))
        return subject.op("=", is_comparison=True)(other)

    def overlap(self, left: st.Expression, right: st.Expression) -> SQL:
        assert isinstance(right, st.Param)
        wanted = sa.func.json_each(
            self.bound(right.index, json_array, "The operand of overlap")
        ).table_valued("value")
        present = sa.func.json_each(self.expression(left)).table_valued("value")
        return sa.select(constant(1)).where(present.c.value == wanted.c.value).exists()

    def has_key(self, left: st.Expression, right: st.Expression) -> SQL:
        assert isinstance(right, st.Param)
        keys = sa.func.json_each(self.expression(left)).table_valued("key")
        wanted = self.bound(right.index, check_string, "The operand of has_key")
        return sa.select(constant(1)).where(keys.c.key == wanted).exists()

    def as_text(self, expression: st.Expression) -> SQL:
        if isinstance(expression, st.JSONPath):
            of, path = self.expression(expression.of), json_path_text(expression)
            return sa.case((sa.func.json_type(of, path) == constant("text"), sa.func.json_extract(of, path)))
        if expression.kind in TEXT_KINDS:
            return self.expression(expression)
        return sa.cast(self.expression(expression), sa.Text())

    # Expressions

    def sortable(self, expression: st.Expression) -> SQL:
        if expression.kind != "decimal":
            if isinstance(expression, st.JSONPath):
                return sa.func.json_extract(self.expression(expression.of), json_path_text(expression))
            return super().sortable(expression)
        if isinstance(expression, st.Aggregate) and expression.function != "avg":
            return super().aggregate(expression)
        stored = self.expression(expression)
        if scale(expression) is None:
            return real(stored)
        return sa.cast(sa.func.replace(stored, constant("."), constant("")), sa.Integer())

    def arithmetic(self, expression: st.Arithmetic) -> SQL:
        if expression.kind != "decimal":
            return super().arithmetic(expression)
        left = self.operand(expression.left, expression.right)
        right = self.operand(expression.right, expression.left)
        return sa.func.swift_decimal_arithmetic(constant(expression.op), left, right)

    def operand(self, right: st.Expression, left: st.Expression) -> SQL:
        if isinstance(right, st.Param) and right.column is None and left.kind == "decimal":
            # A factor of a decimal keeps its own scale.
            return self.bound(right.index, storage("decimal", None, stored=False), "The operand")
        return super().operand(right, left)

    def assigned(self, column: Column, value: st.Expression) -> Any:
        if column.kind == "decimal" and not isinstance(value, st.Param) and column.places is not None:
            return sa.func.swift_decimal(self.expression(value), constant(column.places))
        return super().assigned(column, value)

    def part(self, part: st.Part) -> SQL:
        of, kind, name = self.expression(part.of), part.of.kind, part.part
        clock = 0 if kind == "time" else 11  # where the time of day starts
        if name == "date":
            return sa.func.substr(of, constant(1), constant(10))
        if name == "time":
            return sa.func.substr(of, constant(clock + 1), constant(15))
        if name == "week_day":
            sunday = sa.cast(sa.func.strftime(constant("%w"), of), sa.Integer())
            return ((sunday + constant(6)) % constant(7) + constant(1)).self_group()
        start, length = DATE_PARTS.get(name) or TIME_PARTS[name]
        if name in TIME_PARTS:
            start += clock
        return sa.cast(sa.func.substr(of, constant(start), constant(length)), sa.Integer())

    def json_path(self, path: st.JSONPath) -> SQL:
        return self.expression(path.of).op("->")(json_path_text(path))

    def call(self, call: st.Call) -> SQL:
        if call.function == "now":
            return sa.func.strftime(constant("%Y-%m-%dT%H:%M:%f000Z"), constant("now"))
        if call.function in ("lower", "upper"):
            return getattr(sa.func, f"swift_{call.function}")(self.as_text(call.arguments[0]))  # type: ignore[no-any-return]
        return super().call(call)

    def aggregate(self, aggregate: st.Aggregate, over: dict[str, Any] | None = None) -> SQL:
        built = super().aggregate(aggregate, over)
        places = None if aggregate.of is None else scale(aggregate.of)
        if aggregate.kind == "decimal" and places is not None:
            return sa.func.swift_decimal_digits(built, constant(places))
        return built

    def aggregated(self, aggregate: st.Aggregate, of: st.Expression) -> SQL:
        if of.kind != "decimal" or aggregate.function == "count":
            return self.expression(of)
        return real(self.expression(of)) if aggregate.function == "avg" else self.sortable(of)

    # JSON

    def as_json(self, select: st.Select) -> Any:
        members: list[Member] = []

        def row() -> list[SQL]:
            members.extend(
                Member(output.name, self.expression(output.of), output.of.kind, may_be_null(output.of))
                for output in select.outputs
            )
            return [row_values(members).label("row")]

        rows = self.select(select, row).subquery()
        return sa.select(rows_json(rows.c.row, members))


def scale(expression: st.Expression) -> int | None:
    """How many decimals the stored text of a decimal has; None where they vary."""
    if isinstance(expression, st.ColumnRef):
        column = expression.column
        return column.places if column.digits is not None and column.digits <= 18 else None
    if isinstance(expression, st.Aggregate) and expression.of is not None:
        return scale(expression.of)
    if isinstance(expression, st.Outer):
        return scale(expression.of)
    if isinstance(expression, st.Scalar):
        return scale(expression.select.outputs[0].of)
    return None


def real(value: SQL) -> SQL:
    return sa.cast(value, sa.REAL())


def escape_like(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def glob(text: str) -> str:
    return text.replace("[", "[[]").replace("*", "[*]").replace("?", "[?]")


def pattern(text: str) -> str:
    if len(text.encode()) > MAX_PATTERN:
        raise ValueError(f"expects a pattern of at most {MAX_PATTERN} bytes")
    return text


def each(convert: Checker) -> Checker:
    """The JSON array of a list's values; None is equal to nothing, so it is left out."""
    return lambda values: encode_json([convert(value) for value in values if value is not None]).decode()


def json_array(values: Any) -> str:
    return encode_json(list(values)).decode()


def json_text(value: Any) -> str:
    return encode_json(value).decode()


def float_text(value: Any) -> str:
    return encode_json(check_float(value)).decode()


def hex_text(value: Any) -> str:
    return check_binary(value).hex().upper()


def text_or_none(value: Any) -> str | None:
    return check_string(value) if isinstance(value, str) else None


def number_or_none(value: Any) -> int | float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value


def json_path_text(path: st.JSONPath) -> SQL:
    steps = ["$"]
    for step in path.path:
        if isinstance(step, int):
            steps.append(f"[{step}]")
        elif '"' in step:
            raise ProgrammingError(f"SQLite cannot reach the JSON key {step!r}: it holds a double quote.")
        else:
            steps.append(f'."{step}"')
    return constant("".join(steps))
