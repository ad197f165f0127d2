"""What stands for a value in a query: F (a field), Value, functions, aggregates; and Q, conditions joined
by & | ~.

An expression is described by its *shape*, a hashable tuple without the values in it, and those values in
order. Two queries of the same shape are one statement to the database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from swift.engines.values import kind_of

if TYPE_CHECKING:
    from swift.models.options import Options

Shape = tuple[Any, ...]
Shaped = tuple[Shape, tuple[Any, ...]]


class Expression:
    """Combines with numbers, text and other expressions by + - * / %."""

    __slots__ = ()

    def shape(self, options: Options) -> Shaped:
        raise NotImplementedError

    def __add__(self, other: Any) -> Combined:
        return Combined("+", self, other)

    def __radd__(self, other: Any) -> Combined:
        return Combined("+", other, self)

    def __sub__(self, other: Any) -> Combined:
        return Combined("-", self, other)

    def __rsub__(self, other: Any) -> Combined:
        return Combined("-", other, self)

    def __mul__(self, other: Any) -> Combined:
        return Combined("*", self, other)

    def __rmul__(self, other: Any) -> Combined:
        return Combined("*", other, self)

    def __truediv__(self, other: Any) -> Combined:
        return Combined("/", self, other)

    def __rtruediv__(self, other: Any) -> Combined:
        return Combined("/", other, self)

    def __mod__(self, other: Any) -> Combined:
        return Combined("%", self, other)


def shaped(value: Any, options: Options) -> Shaped:
    """The shape of an operand: an expression's own, or that of a plain value."""
    if isinstance(value, Expression):
        return value.shape(options)
    return ("value", None if value is None else kind_of(value)), (value,)


class F(Expression):
    """The value of a field in the row at hand: `update(views=F("views") + 1)`,
    `filter(spent__gt=F("budget"))`.
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def shape(self, options: Options) -> Shaped:
        return ("field", self.name), ()


class Value(Expression):
    """A plain value where an expression is wanted: `annotate(source=Value("import"))`."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def shape(self, options: Options) -> Shaped:
        return shaped(self.value, options)


class Combined(Expression):
    """Two operands and an arithmetic operator."""

    __slots__ = ("left", "operator", "right")

    def __init__(self, operator: str, left: Any, right: Any) -> None:
        self.operator = operator
        self.left = left
        self.right = right

    def shape(self, options: Options) -> Shaped:
        left, left_values = shaped(self.left, options)
        right, right_values = shaped(self.right, options)
        return ("arithmetic", self.operator, left, right), left_values + right_values


class Function(Expression):
    """A function of the database; text arguments name fields."""

    __slots__ = ("arguments", "function")

    def __init__(self, function: str, *arguments: Any) -> None:
        self.function = function
        self.arguments = tuple(F(item) if isinstance(item, str) else item for item in arguments)

    def shape(self, options: Options) -> Shaped:
        shapes: list[Shape] = []
        values: tuple[Any, ...] = ()
        for argument in self.arguments:
            shape, given = shaped(argument, options)
            shapes.append(shape)
            values += given
        return ("call", self.function, tuple(shapes)), values


def Lower(of: Any) -> Function:
    return Function("lower", of)


def Upper(of: Any) -> Function:
    return Function("upper", of)


def Length(of: Any) -> Function:
    return Function("length", of)


def Abs(of: Any) -> Function:
    return Function("abs", of)


def Trim(of: Any) -> Function:
    """Without spaces at its ends."""
    return Function("trim", of)


def Concat(*parts: Any) -> Expression:
    """Texts one after the other, NULL as nothing; a plain text is Value(...)."""
    joined: Expression = Coalesce(parts[0], Value(""))
    for part in parts[1:]:
        joined = joined + Coalesce(part, Value(""))
    return joined


def Replace(of: Any, text: str, by: str) -> Function:
    """With every `text` replaced by another."""
    return Function("replace", of, Value(text), Value(by))


def NullIf(of: Any, value: Any) -> Function:
    """NULL where it equals `value`."""
    return Function("nullif", of, value if isinstance(value, Expression) else Value(value))


def Coalesce(*arguments: Any) -> Function:
    """The first argument that is not NULL."""
    return Function("coalesce", *arguments)


def Now() -> Function:
    return Function("now")


class Aggregate(Expression):
    """A value over many rows. `filter` restricts which rows count."""

    __slots__ = ("distinct", "filter", "function", "of")

    def __init__(
        self,
        function: Literal["count", "sum", "avg", "min", "max"],
        of: Any,
        *,
        distinct: bool = False,
        filter: Q | None = None,
    ) -> None:
        self.function = function
        self.of = F(of) if isinstance(of, str) and of != "*" else of
        self.distinct = distinct
        self.filter = filter

    def shape(self, options: Options) -> Shaped:
        inner, values = (None, ()) if isinstance(self.of, str) else shaped(self.of, options)
        condition: Any = None
        if self.filter:
            from swift.models.conditions import node_of

            condition, given = node_of(self.filter, options)
            values += given
        return ("aggregate", self.function, inner, self.distinct, condition), values


def Count(of: Any = "*", *, distinct: bool = False, filter: Q | None = None) -> Aggregate:
    """How many rows, or how many that have a value of `of`."""
    return Aggregate("count", of, distinct=distinct, filter=filter)


def Sum(of: Any, *, distinct: bool = False, filter: Q | None = None) -> Aggregate:
    """The sum; None over no rows."""
    return Aggregate("sum", of, distinct=distinct, filter=filter)


def Avg(of: Any, *, distinct: bool = False, filter: Q | None = None) -> Aggregate:
    """The mean, a float; None over no rows."""
    return Aggregate("avg", of, distinct=distinct, filter=filter)


def Min(of: Any, *, filter: Q | None = None) -> Aggregate:
    """The least value."""
    return Aggregate("min", of, filter=filter)


def Max(of: Any, *, filter: Q | None = None) -> Aggregate:
    """The greatest value."""
    return Aggregate("max", of, filter=filter)


class Q:
    """Conditions to be joined: `Q(age__gte=18) & (Q(name="Ann") | ~Q(city=None))`.

    Several conditions in one Q hold together. `~` is "is not so", with two truth values: a NULL that makes a
    condition unknown makes it not so.
    """

    __slots__ = ("joined", "negated", "parts")

    def __init__(self, *parts: Any, **lookups: Any) -> None:
        self.joined: Literal["and", "or"] = "and"
        self.negated = False
        self.parts: tuple[Any, ...] = (*parts, *lookups.items())

    def __and__(self, other: Q) -> Q:
        return combine("and", self, other)

    def __or__(self, other: Q) -> Q:
        return combine("or", self, other)

    def __invert__(self) -> Q:
        made = Q(self)
        made.negated = True
        return made

    def __bool__(self) -> bool:
        """Whether there is any condition in it."""
        return any(not isinstance(part, Q) or bool(part) for part in self.parts)

    def __repr__(self) -> str:
        inside = f" {self.joined} ".join(
            f"{part[0]}={part[1]!r}" if isinstance(part, tuple) else repr(part) for part in self.parts
        )
        return f"{'~' if self.negated else ''}Q({inside})"


def combine(joined: Literal["and", "or"], left: Q, right: Q) -> Q:
    if not isinstance(right, Q):
        return NotImplemented
    if not left or not right:
        return left or right
    made = Q(left, right)
    made.joined = joined
    return made
