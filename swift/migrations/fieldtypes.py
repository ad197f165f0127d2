"""Which field holds a column: by its type on PostgreSQL, by the words of its declaration on SQLite."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from swift.models import fields


@dataclass(frozen=True)
class FieldText:
    """How a column is declared: constructor, arguments, and the type of its values."""

    constructor: str
    annotation: str
    arguments: tuple[str, ...] = ()


def of(constructor: str, annotation: str, *arguments: str) -> FieldText:
    return FieldText(constructor, annotation, arguments)


def text_of(length: int | None) -> FieldText:
    return of("StringField", "str", f"max_length={length}") if length else of("TextField", "str")


def integer_of(bits: int) -> FieldText:
    if bits == 16 and hasattr(fields, "SmallIntegerField"):
        return of("SmallIntegerField", "int")
    return of("BigIntegerField" if bits == 64 else "IntegerField", "int")


def decimal_of(digits: int, places: int) -> FieldText:
    return of("DecimalField", "Decimal", f"max_digits={digits}", f"decimal_places={places}")


SQLITE: dict[str, FieldText] = {
    "UUID": of("UUIDField", "UUID"),
    "JSON": of("JSONField", "Any"),
    "DATE": of("DateField", "dt.date"),
    "TIME": of("TimeField", "dt.time"),
    "DATETIME TEXT": of("DateTimeField", "dt.datetime"),
    "DATETIME": of("DateTimeField", "dt.datetime", "tz=False"),
    "TIMESTAMP": of("DateTimeField", "dt.datetime", "tz=False"),
    "BOOLEAN": of("BoolField", "bool"),
    "BOOL": of("BoolField", "bool"),
}


def sqlite_field(declared: str) -> FieldText | None:
    """By the words of the declaration, our own and others', and else by the affinity they give."""
    match = re.fullmatch(r"\s*([^(]*?)\s*(?:\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\))?\s*", declared.upper())
    name, first, second = match.groups() if match else (declared.upper(), None, None)
    if name == "DECIMAL TEXT" and first:
        return decimal_of(int(first), int(second or 0))
    known = SQLITE.get(name) or SQLITE.get(name.removesuffix(" TEXT"))
    if known is not None:
        return known
    if "INT" in name:
        return integer_of(
            64 if "BIG" in name or "8" in name else 16 if "SMALL" in name or "TINY" in name else 32
        )
    if any(word in name for word in ("CHAR", "CLOB", "TEXT")):
        return text_of(int(first) if first else None)
    if "BLOB" in name:
        return of("BinaryField", "bytes")
    if any(word in name for word in ("REAL", "FLOA", "DOUB")):
        return of("FloatField", "float")
    if name in ("DECIMAL", "NUMERIC"):
        # SQLite keeps these as integers or floats, whatever the digits promise.
        return integer_of(64) if first and not int(second or 0) else of("FloatField", "float")
    return text_of(None) if not name else None


def postgresql_field(type_: Any) -> FieldText | None:
    match type_:
        case postgresql.ENUM():
            return None
        case sa.Boolean():
            return of("BoolField", "bool")
        case sa.SmallInteger():
            return integer_of(16)
        case sa.BigInteger():
            return integer_of(64)
        case sa.Integer():
            return integer_of(32)
        case sa.Float():
            return of("FloatField", "float")
        case sa.Numeric():
            # A NUMERIC without digits holds any; these are what SQL's other databases give at most.
            return decimal_of(type_.precision or 38, (type_.scale or 0) if type_.precision else 10)
        case sa.DateTime():
            return of("DateTimeField", "dt.datetime", *([] if type_.timezone else ["tz=False"]))
        case sa.Date():
            return of("DateField", "dt.date")
        case sa.Time():
            return of("TimeField", "dt.time") if not type_.timezone else None
        case sa.Uuid():
            return of("UUIDField", "UUID")
        case sa.JSON():
            return of("JSONField", "Any")
        case sa.LargeBinary():
            return of("BinaryField", "bytes")
        case postgresql.CITEXT():
            return text_of(None)
        case sa.String():
            return text_of(type_.length)
    return None


NUMBER = re.compile(r"\(?'?(-?\d+(?:\.\d+)?)'?\)?(?:::[\w ]+(?:\([\d, ]+\))?)?")
TEXT = re.compile(r"'((?:[^']|'')*)'(?:::[\w \"]+(?:\(\d+\))?)?")


def default_source(kind: FieldText, sql: str) -> str | None:
    """The database's default as Python says it; None where there are no words for it."""
    number, text = NUMBER.fullmatch(sql), TEXT.fullmatch(sql)
    match kind.annotation:
        case "int" if number and "." not in number[1]:
            return number[1]
        case "float" if number:
            return repr(float(number[1]))
        case "Decimal" if number:
            return f'Decimal("{number[1]}")'
        case "bool" if sql.lower() in ("true", "false", "1", "0"):
            return str(sql.lower() in ("true", "1"))
        case "str" if text:
            return quoted(text[1].replace("''", "'"))
        case "dt.datetime" if re.search(r"\bnow\(\)|CURRENT_TIMESTAMP|'now'", sql, re.IGNORECASE):
            return "Now()"
    return None


def quoted(text: str) -> str:
    """A text as Python source, between double quotes where that needs no escapes."""
    shown = repr(text)
    return f'"{shown[1:-1]}"' if shown[0] == "'" and '"' not in text else shown
