"""Statements as plans: closures over rows.

An expression becomes a function of the rows at hand (one per source) and the parameters. A comparison with
None is not so, as in SQL; `Not` is "not so", so there is no third truth value to carry.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from swift.engines import statements as st
from swift.engines.binding import Slot, label_of
from swift.engines.errors import ProgrammingError
from swift.engines.schema import Column
from swift.engines.values import Checker, check_string, checker, encode_json

if TYPE_CHECKING:
    from swift.engines.memory.selects import Tables


class Scope(list["dict[str, Any] | None"]):
    """The rows at hand, one per source; those of the select around it; what window functions found here."""

    __slots__ = ("outer", "windows")

    def __init__(self, rows: Iterable[dict[str, Any] | None] = (), outer: Sources = ()) -> None:
        super().__init__(rows)
        self.outer = outer
        self.windows: dict[int, Any] = {}


Sources = Sequence["dict[str, Any] | None"]
Evaluate = Callable[[Sources, Sequence[Any]], Any]
Test = Callable[[Sources, Sequence[Any]], bool]
# Sets the value of a window function in each of these scopes.
Spread = Callable[[Sequence["Scope"], int, Sequence[Any]], None]


class Missing:
    """What a JSON path finds where there is nothing: neither a value nor JSON's null."""


MISSING = Missing()

ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}

TEXTS: dict[str, Callable[[str, str], bool]] = {
    "iexact": lambda a, b: a.lower() == b.lower(),
    "contains": lambda a, b: b in a,
    "icontains": lambda a, b: b.lower() in a.lower(),
    "startswith": str.startswith,
    "istartswith": lambda a, b: a.lower().startswith(b.lower()),
    "endswith": str.endswith,
    "iendswith": lambda a, b: a.lower().endswith(b.lower()),
    "regex": lambda a, b: re.search(b, a) is not None,
    "iregex": lambda a, b: re.search(b, a, re.IGNORECASE) is not None,
}


class Planner:
    """Plans the parts of one statement. `slots` say how its values become parameters."""

    def __init__(self, tables: Tables, slots: list[Slot]) -> None:
        self.tables = tables
        self.slots = slots
        # The window functions of the select, computed once its rows are known.
        self.windows: list[Spread] = []

    def param(self, index: int, convert: Checker | None, label: str, *, total: bool = False) -> Evaluate:
        place = len(self.slots)
        self.slots.append(Slot(index, convert, total, label))
        return lambda sources, values: values[place]

    def stored(self, index: int, column: Column) -> Evaluate:
        total = column.kind == "json" and not column.nullable
        return self.param(index, checker(None, column, stored=True), column.label, total=total)

    # Expressions

    def expression(self, expression: st.Expression) -> Evaluate:
        match expression:
            case st.ColumnRef(source, column):
                name = column.name
                return lambda sources, values: None if (row := sources[source]) is None else row[name]
            case st.Param(index, kind, column):
                return self.param(index, checker(kind, column, stored=False), label_of(column, kind))
            case st.Constant(value):
                return lambda sources, values: value
            case st.Arithmetic():
                return self.arithmetic(expression)
            case st.Part():
                return self.part(expression)
            case st.JSONPath():
                reach = self.path(expression)
                return lambda sources, values: (
                    None if (value := reach(sources, values)) is MISSING else encode_json(value).decode()
                )
            case st.Call():
                return self.call(expression)
            case st.Outer(of):
                outer = Planner(self.tables, self.slots).expression(of)
                return lambda sources, values: outer(sources.outer, values)  # type: ignore[attr-defined]
            case st.Scalar(select):
                rows = self.tables.select(select, self.slots)
                return lambda sources, values: next((row[0] for row in rows(values, sources)), None)
            case st.Truth(condition):
                return self.condition(condition)
            case st.Case():
                return self.case(expression)
            case st.Window():
                return self.window(expression)
        raise ProgrammingError(f"memory:// has no {type(expression).__name__} here.")

    def case(self, case: st.Case) -> Evaluate:
        cases = [(self.condition(condition), self.operand(value, case)) for condition, value in case.cases]
        default = self.operand(case.default, case)

        def evaluate(sources: Sources, values: Sequence[Any]) -> Any:
            for test, value in cases:
                if test(sources, values):
                    return value(sources, values)
            return default(sources, values)

        return evaluate

    def window(self, window: st.Window) -> Evaluate:
        from swift.engines.memory.windows import spread

        number = len(self.windows)
        self.windows.append(spread(self, window))
        return lambda sources, values: sources.windows[number]  # type: ignore[attr-defined]

    def operand(self, right: st.Expression, left: st.Expression) -> Evaluate:
        if not isinstance(right, st.Param):
            return self.expression(right)
        column = right.column or (left.column if isinstance(left, st.ColumnRef) else None)
        kind = right.kind or left.kind
        if kind == "decimal" and right.column is None:
            column = None
        return self.param(right.index, checker(kind, column, stored=False), label_of(column, kind))

    def arithmetic(self, expression: st.Arithmetic) -> Evaluate:
        left = self.operand(expression.left, expression.right)
        right = self.operand(expression.right, expression.left)
        compute = ARITHMETIC[expression.op]
        as_float = expression.kind == "float"

        def evaluate(sources: Sources, values: Sequence[Any]) -> Any:
            a, b = left(sources, values), right(sources, values)
            if a is None or b is None:
                return None
            if as_float:
                a, b = float(a), float(b)
            try:
                return compute(a, b)
            except (ZeroDivisionError, ArithmeticError):
                return None

        return evaluate

    def part(self, part: st.Part) -> Evaluate:
        of, take = self.expression(part.of), PARTS[part.part]
        return lambda sources, values: None if (value := of(sources, values)) is None else take(value)

    def path(self, path: st.JSONPath) -> Evaluate:
        of, steps = self.expression(path.of), path.path

        def evaluate(sources: Sources, values: Sequence[Any]) -> Any:
            text = of(sources, values)
            return MISSING if text is None else walk(msgspec.json.decode(text), steps)

        return evaluate

    def call(self, call: st.Call) -> Evaluate:
        if call.function == "now":
            return lambda sources, values: datetime.now(UTC)
        arguments = [self.operand(argument, call) for argument in call.arguments]
        if call.function == "coalesce":
            return lambda sources, values: next(
                (value for argument in arguments if (value := argument(sources, values)) is not None), None
            )
        function = FUNCTIONS.get(call.function)
        if function is None:
            raise ProgrammingError(f"memory:// has no function `{call.function}`.")

        def evaluate(sources: Sources, values: Sequence[Any]) -> Any:
            given = [argument(sources, values) for argument in arguments]
            # NULL gives NULL, but nothing equals it.
            return None if None in given and call.function != "nullif" else function(*given)

        return evaluate

    # Conditions

    def condition(self, condition: st.Condition) -> Test:
        match condition:
            case st.And(parts):
                tests = [self.condition(part) for part in parts]
                return lambda sources, values: all(test(sources, values) for test in tests)
            case st.Or(parts):
                tests = [self.condition(part) for part in parts]
                return lambda sources, values: any(test(sources, values) for test in tests)
            case st.Not(of):
                inner = self.condition(of)
                return lambda sources, values: not inner(sources, values)
            case st.InSelect(left, select):
                return self.in_select(left, select)
            case st.Exists(select):
                rows = self.tables.select(select, self.slots)
                return lambda sources, values: bool(rows(values, sources))
            case st.Compare():
                return self.compare(condition)
            case st.Native():
                raise ProgrammingError(
                    "memory:// runs no SQLAlchemy expressions; use filter(name=value) or Q."
                )
        raise ProgrammingError(f"memory:// has no {type(condition).__name__}.")

    def in_select(self, left: st.Expression, select: st.Select) -> Test:
        subject = self.expression(left)
        rows = self.tables.select(select, self.slots)

        def test(sources: Sources, values: Sequence[Any]) -> bool:
            value = subject(sources, values)
            return value is not None and any(row[0] == value for row in rows(values, sources))

        return test

    def compare(self, compare: st.Compare) -> Test:
        name, left, right = compare.operator, compare.left, compare.right
        if isinstance(left, st.JSONPath):
            return self.compare_json(name, left, right)
        subject = self.expression(left)
        if name == "isnull":
            return lambda sources, values: subject(sources, values) is None
        if name == "in":
            return self.among(subject, left, right[0])
        if name == "range":
            low, high = self.operand(right[0], left), self.operand(right[1], left)

            def between(sources: Sources, values: Sequence[Any]) -> bool:
                value, a, b = subject(sources, values), low(sources, values), high(sources, values)
                return None not in (value, a, b) and bool(a <= value <= b)

            return between
        if name in ("overlap", "has_key"):
            return self.inside(name, subject, right[0])
        if name in TEXTS:
            return self.text(name, subject, right[0])
        relate = operator.eq if name == "exact" else ORDERS[name]
        return both(subject, self.operand(right[0], left), relate)

    def among(self, subject: Evaluate, left: st.Expression, right: st.Expression) -> Test:
        assert isinstance(right, st.Param)
        column = right.column or (left.column if isinstance(left, st.ColumnRef) else None)
        check = checker(left.kind, column, stored=False)
        options = self.param(right.index, each(check), label_of(column, left.kind))
        return lambda sources, values: (
            (value := subject(sources, values)) is not None and value in options(sources, values)
        )

    def text(self, name: str, subject: Evaluate, right: st.Expression) -> Test:
        if isinstance(right, st.Param):
            other = self.param(right.index, check_string, "The text")
        else:
            other = self.expression(right)
        return both(subject, other, TEXTS[name])

    def inside(self, name: str, subject: Evaluate, right: st.Expression) -> Test:
        assert isinstance(right, st.Param)
        wanted = self.param(
            right.index, list if name == "overlap" else check_string, f"The operand of {name}"
        )

        def test(sources: Sources, values: Sequence[Any]) -> bool:
            text = subject(sources, values)
            if text is None:
                return False
            document, operand = msgspec.json.decode(text), wanted(sources, values)
            if name == "has_key":
                return isinstance(document, dict) and operand in document
            present = document.values() if isinstance(document, dict) else document
            return isinstance(present, Iterable) and any(item in operand for item in present)

        return test

    def compare_json(self, name: str, left: st.JSONPath, right: tuple[st.Expression, ...]) -> Test:
        subject = self.path(left)
        if name == "isnull":
            return lambda sources, values: subject(sources, values) is MISSING
        if isinstance(right[0], st.Constant):
            return lambda sources, values: subject(sources, values) is None

        def operand(expression: st.Expression) -> Evaluate:
            if isinstance(expression, st.Param):
                return self.param(expression.index, None, "A JSON value")
            return self.expression(expression)

        others = [operand(expression) for expression in right]
        relate = JSON_RELATIONS.get(name) or text_relation(TEXTS[name])
        return lambda sources, values: relate(
            subject(sources, values), *(other(sources, values) for other in others)
        )


def both(subject: Evaluate, other: Evaluate, relate: Callable[[Any, Any], bool]) -> Test:
    def test(sources: Sources, values: Sequence[Any]) -> bool:
        a, b = subject(sources, values), other(sources, values)
        return a is not None and b is not None and relate(a, b)

    return test


def each(check: Checker) -> Checker:
    return lambda values: [check(value) for value in values if value is not None]


def walk(document: Any, steps: Iterable[str | int]) -> Any:
    for step in steps:
        try:
            document = document[step if isinstance(document, (dict, list)) else None]
        except (KeyError, IndexError, TypeError):
            return MISSING
    return document


def same_sort(a: Any, b: Any) -> bool:
    numbers = (int, float)
    if isinstance(a, bool) or isinstance(b, bool):
        return isinstance(a, bool) and isinstance(b, bool)
    return (isinstance(a, numbers) and isinstance(b, numbers)) or type(a) is type(b)


def json_equal(a: Any, b: Any) -> bool:
    return same_sort(a, b) and bool(a == b)


def json_order(relate: Callable[[Any, Any], bool]) -> Callable[..., bool]:
    def test(a: Any, b: Any) -> bool:
        return (
            same_sort(a, b) and isinstance(a, (int, float, str)) and not isinstance(a, bool) and relate(a, b)
        )

    return test


def text_relation(relate: Callable[[str, str], bool]) -> Callable[..., bool]:
    return lambda a, b: isinstance(a, str) and relate(a, check_string(b))


JSON_RELATIONS: dict[str, Callable[..., bool]] = {
    "exact": json_equal,
    "in": lambda a, options: any(json_equal(a, option) for option in options),
    "range": lambda a, low, high: json_order(operator.ge)(a, low) and json_order(operator.le)(a, high),
    **{name: json_order(relate) for name, relate in ORDERS.items()},
}


def quotient(a: Any, b: Any) -> Any:
    """Integers are divided as SQL does: towards zero."""
    if isinstance(a, int) and isinstance(b, int):
        whole = abs(a) // abs(b)
        return whole if (a < 0) == (b < 0) else -whole
    return a / b


def remainder(a: Any, b: Any) -> Any:
    if isinstance(a, int) and isinstance(b, int):
        return int(math.copysign(abs(a) % abs(b), a))
    return a % b if isinstance(a, Decimal) else math.fmod(a, b)


ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": quotient,
    "%": remainder,
    "||": operator.add,
}

PARTS: dict[str, Callable[[Any], Any]] = {
    **{name: operator.attrgetter(name) for name in ("year", "month", "day", "hour", "minute", "second")},
    "week_day": lambda value: value.isoweekday(),
    "date": lambda value: value.date() if isinstance(value, datetime) else value,
    "time": lambda value: value.time() if isinstance(value, datetime) else value,
}

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "replace": str.replace,
    "nullif": lambda value, other: None if value == other else value,
    "lower": str.lower,
    "upper": str.upper,
    "length": len,
    "abs": abs,
    "trim": str.strip,
}
