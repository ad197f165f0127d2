"""Expressions that hold queries, conditions or windows: Exists, Subquery, OuterRef, Case, Window."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from swift.models.errors import FieldError
from swift.models.expressions import Expression, F, Function, Q, Shape, Shaped, shaped

if TYPE_CHECKING:
    from swift.models.options import Options
    from swift.models.query import Query


class OuterRef(Expression):
    """A field of the row the subquery is asked for: `Book.objects.filter(author=OuterRef("pk"))`."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def shape(self, options: Options) -> Shaped:
        return ("outer", self.name), ()


class Exists(Expression):
    """Whether a query has a row: a condition, and a value of bool. `~Exists(...)` is the opposite."""

    __slots__ = ("negated", "query")

    def __init__(self, query: Query[Any]) -> None:
        self.query = query
        self.negated = False

    def __invert__(self) -> Exists:
        made = Exists(self.query)
        made.negated = not self.negated
        return made

    def __and__(self, other: Any) -> Q:
        return Q(self) & (other if isinstance(other, Q) else Q(other))

    def __or__(self, other: Any) -> Q:
        return Q(self) | (other if isinstance(other, Q) else Q(other))

    def node(self) -> Shaped:
        """As a condition."""
        shape, values = self.query.nested()
        found = ("exists", shape)
        return (("not", found) if self.negated else found), values

    def shape(self, options: Options) -> Shaped:
        node, values = self.node()
        return ("truth", node), values


class Subquery(Expression):
    """The one value of a query of one column; of several rows the first, of none NULL:
    `annotate(last=Subquery(Book.objects.filter(author=OuterRef("pk")).order_by("-id").values_list("title")))`.
    """

    __slots__ = ("query",)

    def __init__(self, query: Query[Any]) -> None:
        self.query = query

    def shape(self, options: Options) -> Shaped:
        shape, values = self.query.subquery(ordered=True)
        return ("scalar", shape), values


class When:
    """One case of a Case: `When(pages__gt=300, then=Value("long"))`."""

    __slots__ = ("condition", "then")

    def __init__(self, *conditions: Any, then: Any, **lookups: Any) -> None:
        self.condition = Q(*conditions, **lookups)
        self.then = then
        if not self.condition:
            raise FieldError("When() needs a condition.")


class Case(Expression):
    """The value of the first When that holds, else `default` (NULL)."""

    __slots__ = ("cases", "default")

    def __init__(self, *cases: When, default: Any = None) -> None:
        if not cases:
            raise FieldError("Case() needs at least one When().")
        self.cases = cases
        self.default = default

    def shape(self, options: Options) -> Shaped:
        from swift.models.conditions import node_of

        cases: list[Shape] = []
        values: tuple[Any, ...] = ()
        for case in self.cases:
            node, given = node_of(case.condition, options)
            then, more = shaped(case.then, options)
            cases.append((node, then))
            values += given + more
        if self.default is None:
            return ("case", tuple(cases), ("constant", None)), values
        default, given = shaped(self.default, options)
        return ("case", tuple(cases), default), values + given


class Window(Expression):
    """An aggregate or a window function over the rows around each row:
    `annotate(place=Window(Rank(), partition_by="author", order_by="-price"))`.
    """

    __slots__ = ("of", "order_by", "partition_by")

    def __init__(
        self,
        of: Expression,
        *,
        partition_by: str | Iterable[Any] = (),
        order_by: str | Iterable[Any] = (),
    ) -> None:
        self.of = of
        self.partition_by = [partition_by] if isinstance(partition_by, str) else list(partition_by)
        self.order_by = [order_by] if isinstance(order_by, str) else list(order_by)

    def shape(self, options: Options) -> Shaped:
        of, values = self.of.shape(options)
        partition: list[Shape] = []
        for item in self.partition_by:
            shape, given = shaped(F(item) if isinstance(item, str) else item, options)
            partition.append(shape)
            values += given
        order: list[Shape] = []
        for item in self.order_by:
            descending = isinstance(item, str) and item.startswith("-")
            shape, given = shaped(F(item.removeprefix("-")) if isinstance(item, str) else item, options)
            order.append((shape, descending))
            values += given
        return ("window", of, tuple(partition), tuple(order)), values


class Fixed(Expression):
    """A number that belongs to the shape, as databases want it for window functions."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number

    def shape(self, options: Options) -> Shaped:
        return ("constant", self.number), ()


def RowNumber() -> Function:
    """1, 2, 3 and so on."""
    return Function("row_number")


def Rank() -> Function:
    """The place in the order; equals share it, and the next place is left out."""
    return Function("rank")


def DenseRank() -> Function:
    """The place in the order; equals share it."""
    return Function("dense_rank")


def Ntile(parts: int) -> Function:
    """Which of `parts` equal parts of the rows it is in."""
    if parts < 1:
        raise FieldError("Ntile() makes at least one part.")
    return Function("ntile", Fixed(parts))


def Lag(of: Any, rows: int = 1) -> Function:
    """The value so many rows before."""
    return Function("lag", of, Fixed(rows))


def Lead(of: Any, rows: int = 1) -> Function:
    """The value so many rows behind."""
    return Function("lead", of, Fixed(rows))


def FirstValue(of: Any) -> Function:
    """The value of the first row."""
    return Function("first_value", of)


def LastValue(of: Any) -> Function:
    """The value of the last row so far, in the order."""
    return Function("last_value", of)
