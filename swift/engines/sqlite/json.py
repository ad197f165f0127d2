"""Rows as JSON, from one step of SQLite outside the GIL.

SQLite collects the values of the rows as JSON arrays; `swift_json_rows`, called once for all of them, gives
them their keys. The bytes are those that encoding the objects would give: floats are their shortest text,
instants drop empty microseconds, blobs are base64.

PERF: 100 rows of 10 columns take 100 µs this way. Complete objects from SQL took 180: of a float SQLite's own
conversion keeps 15 digits, and `printf` with 17 takes 0.35 µs. So a float of up to six decimals goes as an
integer of millionths, which is exact: a decimal of 15 digits is the shortest text of the float it reads as.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import sqlalchemy as sa

from swift.engines.compiler import SQL, constant
from swift.engines.schema import Kind

if TYPE_CHECKING:
    from swift._speedups.jsonrows import Form

# SQLITE_MAX_FUNCTION_ARG is 100 before SQLite 3.48.
MAX_ARGUMENTS = 100

# How a value is written that is not written as it is.
FORMS: dict[Kind | None, Form] = {
    "decimal": "quoted",
    "uuid": "quoted",
    "date": "quoted",
    "bool": "bool",
    "float": "float",
    "datetime": "instant",
    "timestamp": "instant",
    "time": "clock",
    "json": "json",
    "binary": "hex",
}


class Member(NamedTuple):
    """One key of the object."""

    name: str
    value: SQL
    kind: Kind | None
    nullable: bool


def row_values(members: Sequence[Member]) -> SQL:
    """The values of a row, as arrays in an array where they are too many for one call."""
    values = [plain(member) for member in members]
    parts = [
        sa.func.json_array(*values[start : start + MAX_ARGUMENTS])
        for start in range(0, len(values), MAX_ARGUMENTS)
    ]
    return parts[0] if len(parts) == 1 else sa.func.json_array(*parts)


def rows_json(arrays: SQL, members: Sequence[Member]) -> SQL:
    """The objects, as UTF-8, for the rows' arrays."""
    layout = msgspec.json.encode([(member.name, FORMS.get(member.kind, "plain")) for member in members])
    collected = sa.cast(sa.func.coalesce(sa.func.group_concat(arrays), constant("")), sa.LargeBinary())
    return sa.func.swift_json_rows(collected, constant(layout.decode()))


def plain(member: Member) -> SQL:
    """The value as JSON has it without loss."""
    value, kind = member.value, member.kind
    if kind == "float":
        return float_value(value)
    if kind == "binary":
        # hex(NULL) is the hex of nothing.
        return (
            sa.case((value.is_not(sa.null()), sa.func.hex(value))) if member.nullable else sa.func.hex(value)
        )
    if kind == "json":
        # What is JSON already would be taken for a part of the array.
        return value.op("||")(constant(""))
    return value


def float_value(value: SQL) -> SQL:
    """An integer of millionths, text of 17 digits, or what Python makes of the largest and smallest."""
    millionths = sa.func.round(value * sa.literal_column("1e6"))
    short = sa.and_(
        value >= sa.literal_column("-1e9"),
        value <= sa.literal_column("1e9"),
        millionths.op("/")(sa.literal_column("1e6")) == value,
    )
    size = sa.func.abs(value)
    usual = sa.and_(size >= sa.literal_column("1e-15"), size <= sa.literal_column("1e15"))
    return sa.case(
        (short, sa.cast(millionths, sa.Integer())),
        (value.is_(sa.null()), sa.null()),
        (usual, sa.func.printf(constant("%!.17g"), value)),
        else_=sa.func.swift_float_json(value),
    )
