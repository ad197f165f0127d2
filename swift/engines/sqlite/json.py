"""Rows as JSON, built by SQLite itself.

One `printf` template makes the object of a row: `{"id":%d,"name":%s,...}`, each hole filled by the column's
JSON text, and `group_concat` joins the rows. The bytes say what encoding the Structs would say: floats
read back exactly, instants drop empty microseconds, blobs are base64.

PERF: 100 rows of 10 columns take 137 µs this way and 140 with json_object, which rounds floats to 15 digits
and needs a second parse for every bool. All of it is one step of SQLite, outside the GIL.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import sqlalchemy as sa

from swift.engines.compiler import SQL, constant
from swift.engines.schema import Kind

# SQLITE_MAX_FUNCTION_ARG is 100 before SQLite 3.48, and the template is an argument itself.
MAX_HOLES = 90

QUOTED: tuple[Kind | None, ...] = ("decimal", "uuid", "date")
# Where the microseconds stand in the text of each kind: (from, text before them).
CLOCKS: dict[Kind, tuple[int, int]] = {"datetime": (20, 19), "timestamp": (20, 19), "time": (9, 8)}


class Member(NamedTuple):
    """One key of the object."""

    name: str
    value: SQL
    kind: Kind | None
    nullable: bool


def json_object(members: Sequence[Member]) -> SQL:
    """The JSON text of an object."""
    parts = [
        template(members[start : start + MAX_HOLES], first=start == 0)
        for start in range(0, len(members), MAX_HOLES)
    ]
    text = parts[0]
    for part in parts[1:]:
        text = text.op("||")(part)
    return text.op("||")(constant("}"))


def template(members: Sequence[Member], *, first: bool) -> SQL:
    keys = []
    for number, member in enumerate(members):
        key = msgspec.json.encode(member.name).decode().replace("%", "%%")
        keys.append(f"{'{' if first and number == 0 else ','}{key}:{hole(member)}")
    return sa.func.printf(constant("".join(keys)), *(fragment(member) for member in members))


def hole(member: Member) -> str:
    if not member.nullable:
        if member.kind in ("integer", "bigint"):
            return "%d"
        if member.kind in QUOTED or member.kind in CLOCKS:
            return '"%s"'
    return "%s"


def fragment(member: Member) -> SQL:
    """The value's JSON text, or what stands between the quotes of its hole."""
    value, kind = member.value, member.kind
    null = constant("null")
    if kind in ("integer", "bigint"):
        return sa.func.coalesce(value, null) if member.nullable else value
    if kind in QUOTED:
        return quoted(value) if member.nullable else value
    if kind in CLOCKS:
        text = without_microseconds(value, kind)
        return quoted(text) if member.nullable else text
    if kind == "bool":
        return sa.case(
            (value == constant(1), constant("true")), (value == constant(0), constant("false")), else_=null
        )
    if kind == "float":
        return sa.func.coalesce(float_text(value), null)
    if kind == "json":
        return sa.func.coalesce(value, null) if member.nullable else value
    if kind == "binary":
        return sa.func.coalesce(sa.func.swift_blob_json(value), null)
    return sa.func.json_quote(value)


def quoted(value: SQL) -> SQL:
    return sa.func.coalesce(constant('"').op("||")(value).op("||")(constant('"')), constant("null"))


def without_microseconds(value: SQL, kind: Kind) -> SQL:
    start, before = CLOCKS[kind]
    zone = constant("Z" if kind == "datetime" else "")
    return sa.case(
        (
            sa.func.substr(value, constant(start), constant(7)) == constant(".000000"),
            sa.func.substr(value, constant(1), constant(before)).op("||")(zone),
        ),
        else_=value,
    )


def float_text(value: SQL) -> SQL:
    """17 digits read back exactly; SQLite's own conversion is trusted only where it was found exact."""
    size = sa.func.abs(value)
    usual = sa.or_(
        sa.and_(size >= sa.literal_column("1e-15"), size <= sa.literal_column("1e15")), value == constant(0)
    )
    return sa.case((usual, sa.func.printf(constant("%!.17g"), value)), else_=sa.func.swift_float_json(value))
