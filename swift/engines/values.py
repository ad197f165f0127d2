"""Which Python values a column takes, the same on every engine.

A checker returns the value in its one canonical form (instants in UTC, decimals at their column's scale)
or raises TypeError or ValueError with the rest of the sentence "User.age ...". No guessing: text is not a
number and `1` is not a date; turning strings of a URL into values is the business of whoever read the URL.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import ROUND_HALF_UP, Context, Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import msgspec

from swift.engines.errors import InvalidValue
from swift.engines.schema import Column, Kind

Checker = Callable[[Any], Any]

INT32 = 2**31
INT64 = 2**63
# Wide enough for any column and any value compared with one; decimals are never computed in it.
EXACT = Context(prec=1000, Emax=999_999, Emin=-999_999)

encode_json = msgspec.json.Encoder(order="deterministic").encode


def expected(what: str, value: Any) -> TypeError:
    return TypeError(f"expects {what}, got `{type(value).__name__}`")


def check_bigint(value: Any) -> int:
    if type(value) is not int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise expected("an integer", value)
        value = int(value)
    if -INT64 <= value < INT64:
        return value  # type: ignore[no-any-return]
    raise ValueError("expects an integer of 64 bits, got a larger one")


def check_integer(value: Any) -> int:
    checked = check_bigint(value)
    if -INT32 <= checked < INT32:
        return checked
    raise ValueError("expects an integer of 32 bits, got a larger one")


def check_float(value: Any) -> float:
    if type(value) is not float:
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            raise expected("a number", value)
        value = float(value)
    if math.isfinite(value):
        return value  # type: ignore[no-any-return]
    raise ValueError("expects a finite number")


def check_string(value: Any) -> str:
    if type(value) is not str:
        if not isinstance(value, str):
            raise expected("text", value)
        value = str.__str__(value)
    # PostgreSQL refuses NUL in text, and no engine can send half a surrogate pair.
    if "\0" in value:
        raise ValueError("expects text without NUL characters")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError("expects text that is valid Unicode") from None
    return value  # type: ignore[no-any-return]


def check_bool(value: Any) -> bool:
    if value is True or value is False:
        return value
    raise expected("a bool", value)


def check_datetime(value: Any) -> datetime:
    if not isinstance(value, datetime):
        raise expected("a datetime", value)
    if value.tzinfo is None:
        raise ValueError("expects a datetime with a time zone, such as datetime.now(UTC)")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("expects a datetime between the years 1 and 9999 in UTC") from None


def check_timestamp(value: Any) -> datetime:
    if not isinstance(value, datetime):
        raise expected("a datetime", value)
    if value.tzinfo is not None:
        raise ValueError("expects a datetime without a time zone")
    return value


def check_date(value: Any) -> date:
    if not isinstance(value, date) or isinstance(value, datetime):
        raise expected("a date", value)
    return value


def check_time(value: Any) -> time:
    if not isinstance(value, time):
        raise expected("a time", value)
    if value.tzinfo is not None:
        raise ValueError("expects a time without a time zone")
    return value


def check_uuid(value: Any) -> UUID:
    if isinstance(value, UUID):
        return value
    raise expected("a UUID", value)


def check_binary(value: Any) -> bytes:
    if type(value) is bytes:
        return value
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    raise expected("bytes", value)


def check_json(value: Any) -> str:
    """JSON travels as text: its canonical form is the encoding, with the keys of mappings sorted."""
    try:
        return encode_json(value).decode()
    except UnicodeEncodeError:
        raise ValueError("expects text that is valid Unicode") from None


def check_decimal(value: Any) -> Decimal:
    if isinstance(value, int) and not isinstance(value, bool):
        value = Decimal(value)
    if not isinstance(value, Decimal):
        raise expected("a Decimal", value)
    if value.is_finite():
        return value
    raise ValueError("expects a finite number")


CHECKERS: dict[Kind, Checker] = {
    "integer": check_integer,
    "bigint": check_bigint,
    "float": check_float,
    "decimal": check_decimal,
    "string": check_string,
    "text": check_string,
    "bool": check_bool,
    "date": check_date,
    "time": check_time,
    "datetime": check_datetime,
    "timestamp": check_timestamp,
    "uuid": check_uuid,
    "json": check_json,
    "binary": check_binary,
}


def scaled(digits: int, places: int) -> Checker:
    """The checker of a decimal(digits, places) that is stored: rounded half away from zero, as SQL does."""
    quantum = Decimal(1).scaleb(-places)
    limit = Decimal(10) ** (digits - places)

    def check(value: Any) -> Decimal:
        value = check_decimal(value)
        if value.adjusted() > digits:
            raise ValueError(f"expects at most {digits - places} digits before the point")
        value = value.quantize(quantum, ROUND_HALF_UP, EXACT)
        if not -limit < value < limit:
            raise ValueError(f"expects at most {digits - places} digits before the point")
        return EXACT.add(value, Decimal(0))  # no negative zero

    return check


def bounded(length: int) -> Checker:
    """The checker of stored text of at most `length` characters; SQLite would store any."""

    def check(value: Any) -> str:
        text = check_string(value)
        if len(text) > length:
            raise ValueError(f"expects at most {length} characters, got {len(text)}")
        return text

    return check


def among(choices: tuple[Any, ...], check: Checker) -> Checker:
    """The checker of stored values of which there are few."""

    def check_choice(value: Any) -> Any:
        value = check(value)
        if value in choices:
            return value
        raise ValueError(f"expects one of {', '.join(map(repr, choices))}")

    return check_choice


def within(least: int | None, bits: int | None, check: Checker) -> Checker:
    """The checker of a stored integer that is small or has a least value."""
    limit = 2 ** (bits - 1) if bits else None

    def check_range(value: Any) -> int:
        number: int = check(value)
        if limit is not None and not -limit <= number < limit:
            raise ValueError(f"expects an integer of {bits} bits, got a larger one")
        if least is not None and number < least:
            raise ValueError(f"expects an integer of at least {least}")
        return number

    return check_range


def member(enum: type[Enum], check: Checker) -> Checker:
    """The checker of an enum column: a member or a member's value, stored as the value."""

    def check_member(value: Any) -> Any:
        if isinstance(value, enum):
            return value.value
        try:
            return enum(value).value
        except ValueError:
            raise ValueError(f"expects a member of {enum.__name__}") from None

    return check_member


def checker(kind: Kind | None, column: Column | None, *, stored: bool) -> Checker:
    """The checker of a value that is `stored` in `column`, or compared with something of `kind`."""
    if column is None:
        return CHECKERS[kind] if kind is not None else infer
    if column.enum is not None:
        return member(column.enum, CHECKERS[column.kind])
    if stored and (column.choices or column.bits or column.least is not None):
        check = checker(None, replace(column, choices=None, bits=None, least=None), stored=True)
        if column.choices:
            return among(column.choices, check)
        return within(column.least, column.bits, check)
    if stored and column.kind == "decimal" and column.digits is not None:
        return scaled(column.digits, column.places or 0)
    if stored and column.kind == "string" and column.length is not None:
        return bounded(column.length)
    if not stored and column.kind == "integer":
        return check_bigint
    return CHECKERS[column.kind]


def kind_of(value: Any) -> Kind:
    """The kind of a value that stands alone, as in `Value(3)`."""
    for python, kind in KINDS.items():
        if isinstance(value, python):
            return kind
    raise expected("a number, text, bool, date, time, UUID, bytes or JSON", value)


KINDS: dict[type, Kind] = {
    bool: "bool",
    int: "bigint",
    float: "float",
    Decimal: "decimal",
    str: "text",
    datetime: "datetime",
    date: "date",
    time: "time",
    UUID: "uuid",
    bytes: "binary",
    dict: "json",
    list: "json",
}


def infer(value: Any) -> Any:
    return None if value is None else CHECKERS[kind_of(value)](value)


def invalid(label: str, error: Exception) -> InvalidValue:
    """The sentence for a value that `error` refused."""
    model, _, field = label.partition(".")
    known = model.isidentifier() and field.isidentifier()
    return InvalidValue(f"{label} {error}.", field if known else None)
