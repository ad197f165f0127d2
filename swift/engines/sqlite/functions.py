"""Functions SQLite lacks, given to every connection. All are deterministic and answer NULL with NULL."""

from __future__ import annotations

import re
import sqlite3
from decimal import ROUND_HALF_UP, Decimal, DivisionByZero, InvalidOperation
from functools import lru_cache
from typing import Any

import msgspec

from swift._speedups.jsonrows import Layout
from swift.engines.values import EXACT

encode_number = msgspec.json.Encoder().encode


def lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


# One compilation per pattern, not per row.
compiled_pattern = lru_cache(maxsize=64)(re.compile)


def regex(pattern: Any, value: Any) -> bool | None:
    if pattern is None or value is None:
        return None
    return compiled_pattern(pattern).search(str(value)) is not None


def iregex(pattern: Any, value: Any) -> bool | None:
    if pattern is None or value is None:
        return None
    return compiled_pattern(pattern, re.IGNORECASE).search(str(value)) is not None


def float_json(value: Any) -> str | None:
    """The shortest text that reads back as the same float, as JSON encoders write it."""
    return None if value is None else encode_number(float(value)).decode()


@lru_cache(maxsize=1024)
def layout_of(text: str) -> Layout:
    return Layout(msgspec.json.decode(text, type=list[tuple[str, Any]]))


def json_rows(arrays: bytes, layout: str) -> bytes:
    """The JSON of rows that came as arrays, one after the other."""
    return layout_of(layout).objects(arrays)


def decimal(value: Any, places: int) -> str | None:
    """A number or its text at `places` decimals, rounded half away from zero."""
    if value is None:
        return None
    rounded = Decimal(str(value)).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP, EXACT)
    return format(rounded + 0, "f")


def decimal_digits(value: Any, places: int) -> str | None:
    """An integer of hundredths (thousandths, ...) as a decimal."""
    return None if value is None else format(Decimal(value).scaleb(-places), "f")


def decimal_arithmetic(operator: str, left: Any, right: Any) -> str | None:
    """Exact arithmetic; a quotient has 28 digits."""
    if left is None or right is None:
        return None
    a, b = Decimal(str(left)), Decimal(str(right))
    try:
        match operator:
            case "+":
                result = EXACT.add(a, b)
            case "-":
                result = EXACT.subtract(a, b)
            case "*":
                result = EXACT.multiply(a, b)
            case "/":
                result = a / b
            case _:
                result = EXACT.remainder(a, b)
    except (DivisionByZero, InvalidOperation):
        return None
    return format(result, "f")


FUNCTIONS = (
    ("swift_lower", 1, lower),
    ("swift_upper", 1, upper),
    ("swift_regex", 2, regex),
    ("swift_iregex", 2, iregex),
    ("swift_float_json", 1, float_json),
    ("swift_json_rows", 2, json_rows),
    ("swift_decimal", 2, decimal),
    ("swift_decimal_digits", 2, decimal_digits),
    ("swift_decimal_arithmetic", 3, decimal_arithmetic),
)


def install(connection: sqlite3.Connection) -> None:
    """Give `connection` all of them."""
    for name, arguments, function in FUNCTIONS:
        connection.create_function(name, arguments, function, deterministic=True)
