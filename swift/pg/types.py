"""Values of PostgreSQL for which Python has no type, and those its own types cannot hold.

`str(value)` is PostgreSQL's text for it, which the server reads back; `json_default` is the `enc_hook` by which a
msgspec encoder writes it as that text, and a Row as an object. The driver's own JSON is the same.
"""

from __future__ import annotations

import datetime
import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from swift._speedups.pgvalues import json_default

__all__ = [
    "Array",
    "BitString",
    "Box",
    "Circle",
    "Interval",
    "Line",
    "LineSegment",
    "Lsn",
    "MultiRange",
    "Path",
    "PgDate",
    "PgTime",
    "PgTimestamp",
    "PgTimestamptz",
    "Point",
    "Polygon",
    "Range",
    "Snapshot",
    "SparseVector",
    "Tid",
    "json_default",
]

T = TypeVar("T")

DAY = 86_400_000_000
# Julian day 0, the first date of PostgreSQL, in days from 2000-01-01; the numbers of infinity.
FIRST_DAY = -2_451_545
DAYS_INFINITY = 2**31 - 1
MICROSECONDS_INFINITY = 2**63 - 1


def civil(days: int) -> tuple[int, int, int]:
    """Year (astronomical: 0 is 1 BC), month, day of a day counted from 2000-01-01."""
    era, day_of_era = divmod(days + 730_425, 146_097)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * day_of_year + 2) // 153
    month = shifted + 3 if shifted < 10 else shifted - 9
    return year_of_era + era * 400 + (month <= 2), month, day_of_year - (153 * shifted + 2) // 5 + 1


def date_text(days: int) -> tuple[str, str]:
    """ISO date and the suffix of its era, as the server writes them."""
    year, month, day = civil(days)
    if year > 0:
        return f"{year:04}-{month:02}-{day:02}", ""
    return f"{1 - year:04}-{month:02}-{day:02}", " BC"


def time_text(microseconds: int) -> str:
    seconds, fraction = divmod(microseconds, 1_000_000)
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{text}.{fraction:06}".rstrip("0") if fraction else text


def offset_text(seconds: int) -> str:
    sign, seconds = ("-", -seconds) if seconds < 0 else ("+", seconds)
    text = f"{sign}{seconds // 3600:02}"
    if seconds % 3600:
        text += f":{seconds // 60 % 60:02}"
    if seconds % 60:
        text += f":{seconds % 60:02}"
    return text


class Scalar:
    """A value that is its numbers: compared and hashed by them, shown by PostgreSQL's text.

    Not a Struct or a dataclass, because msgspec would write those as objects.
    """

    __slots__: tuple[str, ...] = ()

    def _numbers(self) -> tuple[Any, ...]:
        return tuple([getattr(self, name) for name in self.__slots__])

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._numbers() == other._numbers()

    def __hash__(self) -> int:
        return hash((type(self), self._numbers()))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._numbers()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"


# ---- dates and times -----------------------------------------------------------------------------------


@functools.total_ordering
class PgDate(Scalar):
    """A date as days from 2000-01-01, with the infinities, years BC and after 9999.

    The driver returns it only where `datetime.date` cannot hold the value.
    """

    __slots__ = ("days",)

    def __init__(self, days: int) -> None:
        self.days = days

    @classmethod
    def infinity(cls) -> PgDate:
        """Later than every date."""
        return cls(DAYS_INFINITY)

    @classmethod
    def minus_infinity(cls) -> PgDate:
        """Earlier than every date."""
        return cls(-DAYS_INFINITY - 1)

    @property
    def finite(self) -> bool:
        """False for the two infinities."""
        return -DAYS_INFINITY - 1 < self.days < DAYS_INFINITY

    def __str__(self) -> str:
        if not self.finite:
            return "infinity" if self.days > 0 else "-infinity"
        return "".join(date_text(self.days))

    def __eq__(self, other: object) -> bool:
        days = days_of(other)
        return NotImplemented if days is None else self.days == days

    __hash__ = Scalar.__hash__

    def __lt__(self, other: object) -> bool:
        days = days_of(other)
        return NotImplemented if days is None else self.days < days


def days_of(value: object) -> int | None:
    if isinstance(value, PgDate):
        return value.days
    if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        return value.toordinal() - 730_120
    return None


class PgTime(Scalar):
    """A time of day in microseconds, up to and with 24:00:00; `offset` is in seconds east of Greenwich or None.

    The driver returns it for 24:00:00 only, which `datetime.time` cannot hold.
    """

    __slots__ = ("microseconds", "offset")

    def __init__(self, microseconds: int, offset: int | None = None) -> None:
        if not 0 <= microseconds <= DAY:
            raise ValueError("A time of day has 0 to 86400000000 microseconds.")
        self.microseconds = microseconds
        self.offset = offset

    def __str__(self) -> str:
        text = time_text(self.microseconds)
        return text if self.offset is None else text + offset_text(self.offset)


@functools.total_ordering
class PgTimestamp(Scalar):
    """A timestamp without zone as microseconds from 2000-01-01, with the infinities and every year of the server.

    The driver returns it only where `datetime.datetime` cannot hold the value.
    """

    __slots__ = ("microseconds",)

    def __init__(self, microseconds: int) -> None:
        self.microseconds = microseconds

    @classmethod
    def infinity(cls) -> PgTimestamp:
        """Later than every timestamp."""
        return cls(MICROSECONDS_INFINITY)

    @classmethod
    def minus_infinity(cls) -> PgTimestamp:
        """Earlier than every timestamp."""
        return cls(-MICROSECONDS_INFINITY - 1)

    @property
    def finite(self) -> bool:
        """False for the two infinities."""
        return -MICROSECONDS_INFINITY - 1 < self.microseconds < MICROSECONDS_INFINITY

    def _zone(self) -> str:
        return ""

    def __str__(self) -> str:
        if not self.finite:
            return "infinity" if self.microseconds > 0 else "-infinity"
        days, rest = divmod(self.microseconds, DAY)
        date, era = date_text(days)
        return f"{date}T{time_text(rest)}{self._zone()}{era}"

    def __eq__(self, other: object) -> bool:
        value = microseconds_of(other, aware=isinstance(self, PgTimestamptz))
        return NotImplemented if value is None else self.microseconds == value

    __hash__ = Scalar.__hash__

    def __lt__(self, other: object) -> bool:
        value = microseconds_of(other, aware=isinstance(self, PgTimestamptz))
        return NotImplemented if value is None else self.microseconds < value


class PgTimestamptz(PgTimestamp):
    """The same with a zone: microseconds from 2000-01-01T00:00:00Z."""

    __slots__ = ()

    def _numbers(self) -> tuple[Any, ...]:
        return (self.microseconds,)

    def _zone(self) -> str:
        return "Z"


def microseconds_of(value: object, *, aware: bool) -> int | None:
    if isinstance(value, PgTimestamp):
        return value.microseconds if isinstance(value, PgTimestamptz) is aware else None
    if isinstance(value, datetime.datetime) and (value.utcoffset() is not None) is aware:
        epoch = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC if aware else None)
        return (value - epoch) // datetime.timedelta(microseconds=1)
    return None


class Interval(Scalar):
    """Months, days and microseconds, which have no fixed ratio: a month is 28 to 31 days, a day 23 to 25 hours.

    `str()` is ISO 8601 with a sign per component, as `IntervalStyle = iso_8601` prints it.
    """

    __slots__ = ("days", "microseconds", "months")

    def _numbers(self) -> tuple[Any, ...]:
        return self.months, self.days, self.microseconds

    def __init__(self, months: int = 0, days: int = 0, microseconds: int = 0) -> None:
        self.months = months
        self.days = days
        self.microseconds = microseconds

    @classmethod
    def infinity(cls) -> Interval:
        """Longer than every interval (PostgreSQL 17)."""
        return cls(DAYS_INFINITY, DAYS_INFINITY, MICROSECONDS_INFINITY)

    @classmethod
    def minus_infinity(cls) -> Interval:
        """Shorter than every interval (PostgreSQL 17)."""
        return cls(-DAYS_INFINITY - 1, -DAYS_INFINITY - 1, -MICROSECONDS_INFINITY - 1)

    @property
    def finite(self) -> bool:
        """False for the two infinities."""
        return self not in (Interval.infinity(), Interval.minus_infinity())

    def timedelta(self) -> datetime.timedelta:
        """Days of 24 hours and microseconds. Raises ValueError where there are months, OverflowError when infinite."""
        if not self.finite:
            raise OverflowError("An infinite interval is no timedelta.")
        if self.months:
            raise ValueError("A month has no fixed number of days; read .months, .days and .microseconds.")
        return datetime.timedelta(days=self.days, microseconds=self.microseconds)

    def __str__(self) -> str:
        if not self.finite:
            return "infinity" if self.months > 0 else "-infinity"
        if self == Interval():
            return "PT0S"
        months, microseconds = abs(self.months), abs(self.microseconds)
        sign = "-" if self.months < 0 else ""
        text = "P"
        if months >= 12:
            text += f"{sign}{months // 12}Y"
        if months % 12:
            text += f"{sign}{months % 12}M"
        if self.days:
            text += f"{self.days}D"
        if microseconds:
            sign = "-" if self.microseconds < 0 else ""
            text += "T"
            seconds, fraction = divmod(microseconds, 1_000_000)
            if seconds >= 3600:
                text += f"{sign}{seconds // 3600}H"
            if seconds // 60 % 60:
                text += f"{sign}{seconds // 60 % 60}M"
            if seconds % 60 or fraction:
                text += f"{sign}{seconds % 60}" + (f".{fraction:06}".rstrip("0") if fraction else "") + "S"
        return text


# ---- containers ----------------------------------------------------------------------------------------


class Array(list[T]):
    """A list whose lower bounds are not all 1: `Array([5, 6], lower_bounds=(0,))` is `[0:1]={5,6}`."""

    def __init__(self, items: Iterable[T] = (), lower_bounds: Sequence[int] = ()) -> None:
        super().__init__(items)
        self.lower_bounds = tuple(lower_bounds)

    def __repr__(self) -> str:
        return f"Array({super().__repr__()}, lower_bounds={self.lower_bounds})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Array, (list(self), self.lower_bounds)


class Range(msgspec.Struct, Generic[T], frozen=True):
    """A range: `lower` and `upper` (None is unbounded) and `bounds`, one of `[)`, `[]`, `(]`, `()` or `empty`."""

    lower: T | None = None
    upper: T | None = None
    bounds: str = "[)"

    def __post_init__(self) -> None:
        if self.bounds not in ("[)", "[]", "(]", "()", "empty"):
            raise ValueError(
                f"The bounds of a range are '[)', '[]', '(]', '()' or 'empty', not {self.bounds!r}."
            )
        if self.bounds == "empty" and (self.lower is not None or self.upper is not None):
            raise ValueError("An empty range has no bounds.")

    @classmethod
    def empty(cls) -> Range[Any]:
        """The range that contains nothing."""
        return Range(None, None, "empty")

    @property
    def is_empty(self) -> bool:
        """True for the range that contains nothing."""
        return self.bounds == "empty"

    @property
    def lower_inclusive(self) -> bool:
        """Whether `lower` belongs to the range."""
        return self.bounds[0] == "[" and self.lower is not None

    @property
    def upper_inclusive(self) -> bool:
        """Whether `upper` belongs to the range."""
        return self.bounds[-1] == "]" and self.upper is not None

    def __contains__(self, value: Any) -> bool:
        if self.bounds == "empty":
            return False
        if self.lower is not None and (value < self.lower or (value == self.lower and self.bounds[0] == "(")):
            return False
        return self.upper is None or value < self.upper or (value == self.upper and self.bounds[1] == "]")

    def __str__(self) -> str:
        if self.bounds == "empty":
            return "empty"
        lower = "" if self.lower is None else f'"{self.lower}"'
        upper = "" if self.upper is None else f'"{self.upper}"'
        return f"{self.bounds[0]}{lower},{upper}{self.bounds[1]}"


class MultiRange(tuple[Range[T], ...]):
    """The ranges of a multirange: ordered, not empty, not touching, as the server keeps them."""

    __slots__ = ()

    def __contains__(self, value: object) -> bool:
        return any(value in part for part in self) or (
            isinstance(value, Range) and super().__contains__(value)
        )

    def __str__(self) -> str:
        return "{" + ",".join(map(str, self)) + "}"


# ---- bits, addresses of the server, vectors ------------------------------------------------------------


class BitString(Scalar):
    """A string of bits (bit, varbit): `BitString("0101")`, or bytes and the number of bits that count."""

    __slots__ = ("data", "length")

    def __init__(self, bits: str | bytes = "", length: int | None = None) -> None:
        if isinstance(bits, str):
            if bits.strip("01"):
                raise ValueError("A bit string consists of 0 and 1.")
            self.length = len(bits)
            size = (len(bits) + 7) // 8
            self.data = int(bits.ljust(size * 8, "0") or "0", 2).to_bytes(size, "big")
        else:
            self.length = len(bits) * 8 if length is None else length
            if not (self.length + 7) // 8 == len(bits):
                raise ValueError(f"{self.length} bits do not fill {len(bits)} bytes.")
            if self.length % 8 and bits[-1] & ((1 << (8 - self.length % 8)) - 1):
                raise ValueError("The bits behind the last one are not zero.")
            self.data = bytes(bits)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> int:
        if not -self.length <= index < self.length:
            raise IndexError(index)
        index %= self.length
        return self.data[index // 8] >> (7 - index % 8) & 1

    def __iter__(self) -> Iterator[int]:
        return (self.data[i // 8] >> (7 - i % 8) & 1 for i in range(self.length))

    def __int__(self) -> int:
        return int.from_bytes(self.data, "big") >> (-self.length % 8)

    def __str__(self) -> str:
        return "".join(map(str, self))


class Lsn(int):
    """A position in the write-ahead log (pg_lsn), an unsigned 64-bit number."""

    __slots__ = ()

    def __new__(cls, value: int | str = 0) -> Lsn:
        if isinstance(value, str):
            high, slash, low = value.partition("/")
            if not slash or not 1 <= len(high) <= 8 or not 1 <= len(low) <= 8:
                raise ValueError("A position reads as two hexadecimal numbers, such as '16/B374D848'.")
            value = int(high, 16) << 32 | int(low, 16)
        if not 0 <= value < 2**64:
            raise ValueError("A position is an unsigned 64-bit number.")
        return super().__new__(cls, value)

    def __str__(self) -> str:
        return f"{self >> 32:X}/{self & 0xFFFFFFFF:X}"

    def __repr__(self) -> str:
        return f"<Lsn {self}>"


class Tid(NamedTuple):
    """Where a row version is (tid, ctid)."""

    block: int
    offset: int


class Snapshot(NamedTuple):
    """Which transactions are visible (pg_snapshot): `xip` are those in progress between `xmin` and `xmax`."""

    xmin: int
    xmax: int
    xip: tuple[int, ...]


class SparseVector(Scalar):
    """A sparsevec of pgvector: its dimensions and its values that are not zero, by index from 0."""

    __slots__ = ("dimensions", "values")

    def __init__(self, dimensions: int, values: Mapping[int, float]) -> None:
        self.dimensions = dimensions
        self.values = dict(sorted(values.items()))
        if self.values and not 0 <= min(self.values) <= max(self.values) < dimensions:
            raise ValueError(f"The indices of {dimensions} dimensions are 0 to {dimensions - 1}.")

    def __hash__(self) -> int:
        return hash((self.dimensions, *self.values.items()))

    def __str__(self) -> str:
        # Its text counts from 1, its wire from 0.
        return (
            "{" + ",".join(f"{i + 1}:{value:g}" for i, value in self.values.items()) + f"}}/{self.dimensions}"
        )


# ---- geometry ------------------------------------------------------------------------------------------


class Point(NamedTuple):
    """A point of the plane."""

    x: float
    y: float


class Line(NamedTuple):
    """The points where a·x + b·y + c = 0."""

    a: float
    b: float
    c: float


class LineSegment(NamedTuple):
    """A line from one point to another (lseg)."""

    start: Point
    end: Point


class Box(NamedTuple):
    """A rectangle: its upper right and its lower left corner, as the server orders them."""

    high: Point
    low: Point


class Path(NamedTuple):
    """Joined points, closed to a ring or open."""

    points: tuple[Point, ...]
    closed: bool


class Polygon(tuple[Point, ...]):
    """The corners of a polygon."""

    __slots__ = ()


class Circle(NamedTuple):
    """A center and a radius."""

    center: Point
    radius: float
