"""Values on the wire: what the server sends is what Python sees, what Python sends is what the server stores.

Both directions are held against the server itself. The numbers in the names are those of the list of edge cases a
driver gets wrong.
"""

from __future__ import annotations

import array
import datetime
import decimal
import enum
import ipaddress
import math
import pickle
import random
import struct
import uuid
import zoneinfo
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swift._speedups.pgvalues import Codec, DecodeError, EncodeError, parameters_payload, record_payload
from swift.pg.registry import TypeRegistry
from swift.pg.types import (
    Array,
    BitString,
    Box,
    Circle,
    Interval,
    Line,
    LineSegment,
    Lsn,
    MultiRange,
    Path,
    PgDate,
    PgTime,
    PgTimestamp,
    PgTimestamptz,
    Point,
    Polygon,
    Range,
    Snapshot,
    SparseVector,
    Tid,
)
from tests.pg_support import Cluster, _database, missing
from tests.pg_wire import Wire

UTC = datetime.UTC
REGISTRY = TypeRegistry()


@pytest.fixture(scope="module")
def wire(pg_each: Cluster) -> Iterator[Wire]:
    with _database(pg_each) as dsn:
        connected = Wire(dsn)
        connected.run("CREATE TYPE mood AS ENUM ('sad', 'it''s \"ok\"', 'Ünïcode')")
        connected.run("CREATE TYPE address AS (street text, number int4, mood mood)")
        connected.run("CREATE TYPE house AS (at address, rooms numeric[])")
        connected.run("CREATE TYPE nothing AS ()")
        connected.run("CREATE DOMAIN positive AS int4 CHECK (value > 0)")
        connected.run("CREATE DOMAIN pair AS int4[] CHECK (array_length(value, 1) = 2)")
        connected.run("CREATE TYPE span AS RANGE (subtype = float8)")
        connected.run("CREATE TYPE granted AS (acl aclitem, n int4)")
        yield connected
        connected.close()


def codec(name: str) -> Codec:
    """A codec every PostgreSQL has, by the type's name."""
    return next(found for found in REGISTRY.codecs.values() if found.name == name)


def refuses(name: str, value: Any, match: str) -> None:
    with pytest.raises(EncodeError, match=match):
        codec(name).encode_payload(value)


# ---- every type, both ways -------------------------------------------------------------------------------

BOTH_WAYS: list[tuple[str, str, Any]] = [
    ("bool", "true", True),
    ("bool", "false", False),
    ("int2", "'-32768'", -32768),
    ("int4", "'-2147483648'", -(2**31)),
    ("int8", "'-9223372036854775808'", -(2**63)),
    ("int8", "9223372036854775807", 2**63 - 1),
    ("oid", "4294967295", 2**32 - 1),
    ("xid", "'4294967295'", 2**32 - 1),
    ("cid", "'7'", 7),
    ("xid8", "'18446744073709551615'", 2**64 - 1),
    ("float4", "'0.1'", 0.1),
    ("float8", "'1e-300'", 1e-300),
    ("float8", "'-infinity'", -math.inf),
    ("numeric", "'1.00'", Decimal("1.00")),
    ("text", "'héllo \U0001f600'", "héllo \U0001f600"),
    ("text", "''", ""),
    ("varchar", "'v'", "v"),
    ("name", "'pg'", "pg"),
    ("xml", "'<a>é</a>'", "<a>é</a>"),
    ("bytea", r"'\x00ff'", b"\x00\xff"),
    ("uuid", "'12345678-1234-5678-1234-567812345678'", uuid.UUID("12345678-1234-5678-1234-567812345678")),
    ("json", """'{"a":[1,null]}'""", {"a": [1, None]}),
    ("jsonb", """'{"a": [1, null]}'""", {"a": [1, None]}),
    ("jsonpath", "'$.\"a\"[*]'", '$."a"[*]'),
    ("date", "'2020-02-29'", datetime.date(2020, 2, 29)),
    ("time", "'01:02:03.000004'", datetime.time(1, 2, 3, 4)),
    ("timestamp", "'1999-12-31 23:59:59.999999'", datetime.datetime(1999, 12, 31, 23, 59, 59, 999999)),
    ("timestamptz", "'2020-01-01 00:00:00+02'", datetime.datetime(2019, 12, 31, 22, tzinfo=UTC)),
    ("interval", "'1 year -2 mons 3 days -04:05:06.7'", Interval(10, 3, -14_706_700_000)),
    ("point", "'(1,2.5)'", Point(1.0, 2.5)),
    ("line", "'{1,2,3}'", Line(1.0, 2.0, 3.0)),
    ("lseg", "'[(1,2),(3,4)]'", LineSegment(Point(1, 2), Point(3, 4))),
    ("box", "'(3,4),(1,2)'", Box(Point(3, 4), Point(1, 2))),
    ("path", "'[(1,2),(3,4)]'", Path((Point(1, 2), Point(3, 4)), False)),
    ("path", "'((1,2),(3,4))'", Path((Point(1, 2), Point(3, 4)), True)),
    ("polygon", "'((1,2),(3,4),(5,6))'", Polygon((Point(1, 2), Point(3, 4), Point(5, 6)))),
    ("circle", "'<(1,2),3>'", Circle(Point(1, 2), 3.0)),
    ("inet", "'10.1.2.3/8'", ipaddress.ip_interface("10.1.2.3/8")),
    ("cidr", "'10.0.0.0/8'", ipaddress.ip_network("10.0.0.0/8")),
    ("macaddr", "'08:00:2b:01:02:03'", "08:00:2b:01:02:03"),
    ("macaddr8", "'08:00:2b:01:02:03:04:05'", "08:00:2b:01:02:03:04:05"),
    ("money", "'-1234.56'", Decimal("-1234.56")),
    ("varbit", "B'10101'", BitString("10101")),
    ("tid", "'(4294967295,65535)'", Tid(2**32 - 1, 65535)),
    ("pg_snapshot", "'10:20:10,14,15'", Snapshot(10, 20, (10, 14, 15))),
    ("txid_snapshot", "'10:20:'", Snapshot(10, 20, ())),
    ("pg_lsn", "'FFFFFFFF/FFFFFFFE'", Lsn(2**64 - 2)),
    ("tsvector", r"""'''a ''''b'':1A,2C c\\d:3'""", r"""'a ''b':1A,2C 'c\\d':3"""),
    ("tsquery", "'a & !b'", "'a' & !'b'"),
    ("regclass", "'pg_type'", "pg_type"),
    ("regtype", "'integer'", "integer"),
    ("refcursor", "'c'", "c"),
    ("int4range", "'[1,3]'", Range(1, 4)),
    ("numrange", "'(,1.5]'", Range(None, Decimal("1.5"), "(]")),
    ("int4multirange", "'{[1,3),[5,7)}'", MultiRange([Range(1, 3), Range(5, 7)])),
    ("int4[]", "'{1,NULL,3}'", [1, None, 3]),
    ("text[]", """'{a,"b c",NULL,"NULL",""}'""", ["a", "b c", None, "NULL", ""]),
    ("mood", "'sad'", "sad"),
    ("positive", "5", 5),
    ("pair", "'{1,2}'", [1, 2]),
    ("span", "'[1.5,2.5]'", Range(1.5, 2.5, "[]")),
]


def knows(wire: Wire, name: str) -> None:
    """Skips what a server was built without; the installed one has it."""
    if name == "xml" and "libxml" not in (
        wire.text("SELECT setting FROM pg_config() WHERE name = 'CONFIGURE'") or ""
    ):
        pytest.skip("this server was built without libxml; another of the versions under test has it")


@pytest.mark.parametrize(("name", "literal", "value"), BOTH_WAYS, ids=[f"{n}-{v}" for n, v, _ in BOTH_WAYS])
def test_a_value_goes_both_ways(wire: Wire, name: str, literal: str, value: Any) -> None:
    knows(wire, name)
    sql = f"({literal})::{name}"
    read = wire.value(sql)
    assert read == value
    assert type(read) is type(value)
    assert wire.sent(value, name) == wire.text(sql)


@pytest.mark.parametrize(
    "name", sorted({name for name, _, _ in BOTH_WAYS if not name.endswith("[]") and name != "pair"})
)
def test_an_array_of_any_type_goes_both_ways(wire: Wire, name: str) -> None:
    knows(wire, name)
    values = [value for found, _, value in BOTH_WAYS if found == name]
    literals = ", ".join(f"({literal})::{name}" for found, literal, _ in BOTH_WAYS if found == name)
    sql = f"ARRAY[{literals}, NULL]::{name}[]"
    assert wire.value(sql) == [*values, None]
    if name == "tsvector":
        with pytest.raises(EncodeError, match="sent as text"):
            wire.sent([*values, None], f"{name}[]")
        return
    assert wire.sent([*values, None], f"{name}[]") == wire.text(sql)


@pytest.mark.parametrize("name", sorted({name for name, _, _ in BOTH_WAYS}))
def test_null_is_none_for_every_type(wire: Wire, name: str) -> None:
    assert wire.value(f"NULL::{name}") is None
    assert wire.sent(None, name) is None


def test_every_type_of_the_catalog_has_a_codec(wire: Wire) -> None:
    """Nothing that is built in costs a query of introspection, whatever the version."""
    known = wire.ask(
        "SELECT oid, typname::text FROM pg_type WHERE oid < 10000 AND typtype IN ('b', 'r', 'm')"
        " AND typname NOT LIKE 'pg_brin%'"
    )
    absent = [
        row[1]
        for row in known.rows
        if row[0] is not None and wire.registry.get(int.from_bytes(row[0], "big")) is None
    ]
    # Rows of the catalog's own tables are composites, and are looked up as such.
    assert [name for name in absent if name is not None and not name.startswith(b"_pg_")] == []


# ---- 75: integers ----------------------------------------------------------------------------------------


class Level(enum.IntEnum):
    HIGH = 3


@pytest.mark.parametrize(
    ("name", "lowest", "highest"),
    [
        ("int2", -(2**15), 2**15 - 1),
        ("int4", -(2**31), 2**31 - 1),
        ("int8", -(2**63), 2**63 - 1),
        ("oid", 0, 2**32 - 1),
        ("xid8", 0, 2**64 - 1),
    ],
)
def test_e75_integers_out_of_range_are_refused(name: str, lowest: int, highest: int) -> None:
    assert codec(name).decode_payload(codec(name).encode_payload(lowest)) == lowest
    assert codec(name).decode_payload(codec(name).encode_payload(highest)) == highest
    for value in (lowest - 1, highest + 1, 2**70, -(2**70)):
        refuses(name, value, "outside")


@pytest.mark.parametrize("name", ["int2", "int4", "int8", "oid", "xid8"])
@pytest.mark.parametrize("value", [1.9, 1.0, Decimal("2.7"), True, "1", b"1", None.__class__])
def test_e75_integers_are_never_truncated_from_something_else(name: str, value: Any) -> None:
    refuses(name, value, "expected `int`, got")


def test_e75_what_is_an_integer_is_taken() -> None:
    class Numpyish:
        def __index__(self) -> int:
            return 7

    assert codec("int4").encode_payload(Level.HIGH) == struct.pack("!i", 3)
    assert codec("int2").encode_payload(Numpyish()) == struct.pack("!h", 7)


# ---- 76: floats ------------------------------------------------------------------------------------------


def test_e76_a_float4_is_the_shortest_number_that_reads_back(wire: Wire) -> None:
    for text in ("0.1", "3.4028235e+38", "1e-45", "1.1754944e-38", "16777216", "-0", "0.3", "123456.79"):
        value = wire.value(f"'{text}'::float4")
        assert value == float(text)
        assert math.copysign(1, value) == math.copysign(1, float(text))
        assert wire.sent(value, "float4") == wire.text(f"'{text}'::float4")


def test_e76_a_float4_that_overflows_is_refused() -> None:
    refuses("float4", 3.5e38, "too large for a float4")
    refuses("float8", 10**400, "too large")
    assert codec("float4").encode_payload(math.inf) == struct.pack("!f", math.inf)


@given(st.floats(width=32, allow_nan=False))
def test_e76_every_float4_reads_back(value: float) -> None:
    payload = struct.pack("!f", value)
    read = codec("float4").decode_payload(payload)
    assert codec("float4").encode_payload(read) == payload


def test_e76_nan_and_negative_zero(wire: Wire) -> None:
    assert math.isnan(wire.value("'NaN'::float8"))
    assert wire.sent(math.nan, "float4") == "NaN"
    assert wire.sent(-0.0, "float8") == "-0"


def test_e76_floats_take_numbers_only() -> None:
    refuses("float8", "1.5", "expected `float`")
    refuses("float8", True, "expected `float`")
    assert codec("float8").encode_payload(3) == struct.pack("!d", 3.0)
    assert codec("float8").encode_payload(Decimal("0.1")) == struct.pack("!d", 0.1)


# ---- 77: numeric -----------------------------------------------------------------------------------------

NUMERICS = [
    "0", "0.00", "1", "1.00", "-1", "10000", "9999", "0.0001", "0.00001", "-0.00000001", "123456789.987654321",
    "100000000", "1E+5", "1.5E+10", "1E-20", "NaN", "Infinity", "-Infinity", "12345678901234567890.5",
    "0.00010000", "99999999.99999999", "5000.0005",
]  # fmt: skip


@pytest.mark.parametrize("text", NUMERICS)
def test_e77_numeric_is_exact_with_its_scale(wire: Wire, text: str) -> None:
    expected = Decimal(text)
    if expected.is_finite() and expected.as_tuple().exponent > 0:  # type: ignore[operator]
        expected = expected.quantize(Decimal(1))  # the wire has no exponent
    read = wire.value(f"'{text}'::numeric")
    assert str(read) == str(expected)
    assert wire.sent(Decimal(text), "numeric") == wire.text(f"'{text}'::numeric")


def test_e77_numeric_infinity_is_its_own_sign_on_the_wire(wire: Wire) -> None:
    assert (
        wire.payload("'Infinity'::numeric")
        == codec("numeric").encode_payload(Decimal("Infinity"))[:6]
        + (wire.payload("'Infinity'::numeric") or b"")[6:]
    )
    assert struct.unpack("!H", (codec("numeric").encode_payload(Decimal("-Infinity")) or b"")[4:6]) == (
        0xF000,
    )


def test_e77_numeric_at_the_ends_of_its_range(wire: Wire) -> None:
    widest = "9" * 131072
    assert wire.sent(int(Decimal(widest)), "numeric") == widest
    with decimal.localcontext(decimal.Context(prec=200_000)):
        deepest = Decimal(1).scaleb(-16383)
        assert wire.value(f"'{deepest}'::numeric") == deepest
        assert wire.sent(deepest, "numeric") == wire.text(f"'{deepest}'::numeric")
    for value in (Decimal("1E+131072"), Decimal("1E-16384"), Decimal("1E+999999"), Decimal("0E-16384")):
        refuses("numeric", value, "131072 digits before and 16383 after")


def test_e77_numeric_takes_a_float_by_its_shortest_text(wire: Wire) -> None:
    assert wire.sent(0.1, "numeric") == "0.1"
    assert wire.sent(1e22, "numeric") == "10000000000000000000000"
    assert wire.sent(5, "numeric") == "5"


def test_e77_numeric_oddities() -> None:
    assert codec("numeric").encode_payload(Decimal("-0.00")) == codec("numeric").encode_payload(
        Decimal("0.00")
    )
    refuses("numeric", Decimal("sNaN"), "not a number")
    refuses("numeric", True, "expected `Decimal`")
    refuses("numeric", "1.5", "expected `Decimal`")


@given(st.decimals(allow_nan=False, allow_infinity=False, places=None))
def test_e77_every_numeric_reads_back(value: Decimal) -> None:
    numeric = codec("numeric")
    if value and abs(value.adjusted()) > 16000:
        return
    read = numeric.decode_payload(numeric.encode_payload(value))
    assert read == value
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int)
    assert read.as_tuple().exponent == min(exponent, 0)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        struct.pack("!HhHH", 1, 0, 0, 0),  # a digit is promised
        struct.pack("!HhHHH", 1, 0, 0, 0, 10000),  # no digit of base 10000
        struct.pack("!HhHH", 0, 0, 0x1234, 0),  # no such sign
        struct.pack("!HhHHH", 1, 0, 0xC000, 0, 1),  # a NaN has no digits
        struct.pack("!HhHHH", 0, 0, 0, 0, 1),  # a digit too many
    ],
)
def test_e77_a_malformed_numeric_is_an_error(payload: bytes) -> None:
    with pytest.raises(DecodeError, match="malformed numeric"):
        codec("numeric").decode_payload(payload)


# ---- 78: text --------------------------------------------------------------------------------------------


def test_e78_text_that_cannot_be_stored_is_refused() -> None:
    refuses("text", "a\0b", r"U\+0000")
    refuses("text", 5, "expected `str`, got `int`")
    refuses("text", b"x", "expected `str`, got `bytes`")
    with pytest.raises(EncodeError, match=r"\$1 \(text\): text with a lone surrogate"):
        parameters_payload([codec("text")], ("\ud800",))


def test_e78_text_that_is_not_utf8_names_its_column(wire: Wire) -> None:
    decoder, answer = wire.decoder("SELECT 'x'::text AS label")
    from tests.pg_wire import data_row

    with pytest.raises(DecodeError, match=r"column 'label' \(text\): text that is not UTF-8"):
        decoder.decode_payload(data_row([b"\xff\xfe"]))
    assert answer.rows == [[b"x"]]


def test_e78_padding_single_bytes_and_names(wire: Wire) -> None:
    assert wire.value("'ab'::bpchar(5)") == "ab   "
    assert wire.value("'a'::\"char\"") == "a"
    assert wire.value("''::\"char\"") == ""
    assert codec("char").decode_payload(b"\xe9") == "é"
    assert codec("char").encode_payload("é") == b"\xe9"
    assert codec("char").encode_payload("") == b"\0"
    refuses("char", "ab", "one byte")
    refuses("char", "€", "one byte")
    assert len(wire.value(f"'{'n' * 80}'::name")) == 63


# ---- 79: bytea -------------------------------------------------------------------------------------------


def test_e79_bytea_takes_any_buffer(wire: Wire) -> None:
    data = bytes(range(256))
    for value in (data, bytearray(data), memoryview(data), array.array("B", data)):
        assert wire.sent(value, "bytea") == "\\x" + data.hex()
    assert wire.sent(memoryview(data)[::2], "bytea") == "\\x" + data[::2].hex()
    assert wire.sent(memoryview(data).cast("B", (16, 16)), "bytea") == "\\x" + data.hex()
    assert wire.sent(b"", "bytea") == "\\x"
    refuses("bytea", "text", "expected `bytes`")


def test_e79_bytea_in_text_mode_is_not_used(wire: Wire) -> None:
    """The server's bytea_output has no say: values are binary."""
    wire.run("SET bytea_output = 'escape'")
    try:
        assert wire.value(r"'\x005c27'::bytea") == b"\x00\\'"
    finally:
        wire.run("RESET bytea_output")


# ---- 80: json --------------------------------------------------------------------------------------------


def test_e80_jsonb_carries_a_version_byte_everywhere(wire: Wire) -> None:
    assert (wire.payload("'{}'::jsonb") or b"")[0] == 1
    assert codec("jsonb").encode_payload({}) == b"\x01{}"
    assert codec("json").encode_payload({}) == b"{}"
    with pytest.raises(DecodeError, match="version"):
        codec("jsonb").decode_payload(b"\x02{}")
    assert wire.value("""ARRAY['{"a":1}'::jsonb, NULL, 'null']""") == [{"a": 1}, None, None]
    assert wire.sent([{"a": 1}, None, [1]], "jsonb[]") == wire.text(
        """ARRAY['{"a":1}'::jsonb, NULL, '[1]']"""
    )


def test_e80_json_null_is_not_sql_null(wire: Wire) -> None:
    assert wire.sent(None, "jsonb") is None
    assert wire.sent(msgspec.Raw(b"null"), "jsonb") == "null"


def test_e80_json_of_every_python_value(wire: Wire) -> None:
    value = {
        "big": 2**70,
        "when": datetime.datetime(2020, 1, 1, tzinfo=UTC),
        "id": uuid.UUID(int=1),
        "é": [1.5],
    }
    assert wire.sent(value, "json") == msgspec.json.encode(value).decode()
    assert wire.sent("already a string", "jsonb") == '"already a string"'
    assert wire.sent(msgspec.Raw(b'{"raw" : 1}'), "json") == '{"raw" : 1}'
    assert wire.value('\'{"a":1,"a":2}\'::json') == {"a": 2}
    assert wire.value("'  [1 , 123456789012345678901234567890 ]'::json") == [
        1,
        123456789012345678901234567890,
    ]
    # JSON's \u0000 is text the server's jsonb refuses; it says so itself.
    with pytest.raises(ValueError, match="u0000"):
        wire.sent("\0", "jsonb")


# ---- 81, 82, 83: dates and times -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "text", "numbers"),
    [
        ("'infinity'::date", "infinity", (2**31 - 1,)),
        ("'-infinity'::date", "-infinity", (-(2**31),)),
        ("'4714-11-24 BC'::date", "4714-11-24 BC", (-2451545,)),
        ("'0001-12-31 BC'::date", "0001-12-31 BC", (-730120,)),
        ("'10000-01-01'::date", "10000-01-01", (2921940,)),
        ("'5874897-12-31'::date", "5874897-12-31", (2145031948,)),
        ("'infinity'::timestamp", "infinity", (2**63 - 1,)),
        ("'-infinity'::timestamptz", "-infinity", (-(2**63),)),
        ("'4714-11-24 00:00:00 BC'::timestamp", "4714-11-24T00:00:00 BC", (-211813488000000000,)),
        ("'294276-12-31 23:59:59.999999'::timestamp", "294276-12-31T23:59:59.999999", (9223371331199999999,)),
        ("'10000-01-01 00:00:00.5+00'::timestamptz", "10000-01-01T00:00:00.5Z", (252455616000500000,)),
        ("'0001-12-31 23:59:59+00 BC'::timestamptz", "0001-12-31T23:59:59Z BC", (-63082281601000000,)),
    ],
)
def test_e81_what_python_cannot_hold_fails_nothing(
    wire: Wire, sql: str, text: str, numbers: tuple[int, ...]
) -> None:
    before, value, after = wire.rows(f"SELECT 1 AS a, {sql} AS b, 2 AS c", tuple)[0]
    assert (before, after) == (1, 2)
    assert isinstance(value, PgDate | PgTimestamp)
    assert str(value) == text
    assert value._numbers() == numbers
    name = sql.rpartition("::")[2]
    assert wire.sent(value, name) == wire.text(sql)
    assert pickle.loads(pickle.dumps(value)) == value


def test_e81_the_last_and_first_days_of_python_are_not_infinity(wire: Wire) -> None:
    assert wire.sent(datetime.date.max, "date") == "9999-12-31"
    assert wire.sent(datetime.date.min, "date") == "0001-01-01"
    assert wire.sent(datetime.datetime.max, "timestamp") == "9999-12-31 23:59:59.999999"
    assert wire.value("'9999-12-31'::date") == datetime.date.max
    assert wire.value("'0001-01-01'::date") == datetime.date.min
    assert wire.value("'9999-12-31 23:59:59.999999'::timestamp") == datetime.datetime.max
    assert wire.value("'0001-01-01 00:00:00+00'::timestamptz") == datetime.datetime.min.replace(tzinfo=UTC)


def test_e81_infinite_values_compare_with_pythons() -> None:
    assert PgDate.infinity() > datetime.date.max > PgDate.minus_infinity()
    assert PgTimestamp.infinity() > datetime.datetime.max
    assert PgTimestamptz.minus_infinity() < datetime.datetime.now(UTC) < PgTimestamptz.infinity()
    assert PgTimestamp(0) == datetime.datetime(2000, 1, 1)
    assert PgTimestamptz(0) != PgTimestamp(0)
    with pytest.raises(TypeError):
        assert PgTimestamp(0) < datetime.datetime.now(UTC)


@given(st.integers(-2451545, 2145031948))
def test_e81_the_calendar_is_pythons(days: int) -> None:
    value = codec("date").decode_payload(struct.pack("!i", days))
    if isinstance(value, datetime.date):
        assert value.toordinal() - 730120 == days
        assert codec("date").encode_payload(value) == struct.pack("!i", days)
        assert str(PgDate(days)) == value.isoformat()
    else:
        assert not -730119 <= days <= 2921939


def test_e82_naive_and_aware_are_never_mixed(wire: Wire) -> None:
    refuses("timestamptz", datetime.datetime(2020, 1, 1), "with a zone")
    refuses("timestamp", datetime.datetime(2020, 1, 1, tzinfo=UTC), "without a zone")
    refuses("time", datetime.time(1, tzinfo=UTC), "without a zone")
    refuses("timetz", datetime.time(1), "fixed zone")
    refuses("timetz", datetime.time(1, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")), "named zone")
    refuses("date", datetime.datetime(2020, 1, 1), "time would be lost")
    refuses("timestamp", datetime.date(2020, 1, 1), "expected `datetime`")
    refuses("timestamptz", "2020-01-01", "expected `datetime`, got `str`")


def test_e82_offsets_folds_and_history(wire: Wire) -> None:
    berlin, amsterdam = zoneinfo.ZoneInfo("Europe/Berlin"), zoneinfo.ZoneInfo("Europe/Amsterdam")
    for value in (
        datetime.datetime(2021, 10, 31, 2, 30, tzinfo=berlin),
        datetime.datetime(2021, 10, 31, 2, 30, tzinfo=berlin, fold=1),
        datetime.datetime(1890, 1, 1, tzinfo=amsterdam),  # an offset with seconds
        datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(microseconds=-1))),
        datetime.datetime(1, 1, 1, 0, 30, tzinfo=datetime.timezone(datetime.timedelta(hours=1))),
    ):
        payload = codec("timestamptz").encode_payload(value)
        read = codec("timestamptz").decode_payload(payload)
        exact = (value.replace(tzinfo=None) - datetime.datetime(2000, 1, 1)) - (
            value.utcoffset() or value.resolution
        )
        assert payload == struct.pack("!q", exact // datetime.timedelta(microseconds=1))
        if value.year > 1:
            assert read == value.astimezone(UTC)
        else:
            assert read == PgTimestamptz(-63082283400000000)
    assert wire.value("'2020-06-01 12:00+02'::timestamptz").tzinfo is UTC


def test_e82_timetz_keeps_its_offset_to_the_second(wire: Wire) -> None:
    for offset in (19815, -57599, 57599, 0, -3600):
        zone = datetime.timezone(datetime.timedelta(seconds=offset))
        value = datetime.time(1, 2, 3, 4, tzinfo=zone)
        payload = codec("timetz").encode_payload(value)
        assert payload == struct.pack("!qi", 3723000004, -offset)
        assert codec("timetz").decode_payload(payload) == value
    assert wire.value("'01:02:03+05:30:15'::timetz").utcoffset() == datetime.timedelta(seconds=19815)
    refuses(
        "timetz", datetime.time(1, tzinfo=datetime.timezone(datetime.timedelta(hours=16))), "below 16 hours"
    )


@given(st.datetimes(), st.integers(-86399, 86399))
def test_e82_floor_division_before_the_epoch(value: datetime.datetime, offset: int) -> None:
    assert codec("timestamp").decode_payload(codec("timestamp").encode_payload(value)) == value
    aware = value.replace(tzinfo=datetime.timezone(datetime.timedelta(seconds=offset)))
    read = codec("timestamptz").decode_payload(codec("timestamptz").encode_payload(aware))
    if isinstance(read, datetime.datetime):
        assert read == aware


def test_e83_the_end_of_the_day(wire: Wire) -> None:
    assert wire.value("'24:00:00'::time") == PgTime(86_400_000_000)
    assert wire.sent(PgTime(86_400_000_000), "time") == "24:00:00"
    value = wire.value("'24:00:00-03'::timetz")
    assert value == PgTime(86_400_000_000, -10800)
    assert str(value) == "24:00:00-03"
    assert wire.sent(value, "timetz") == "24:00:00-03"
    assert wire.value("'23:59:60'::time") == PgTime(86_400_000_000)
    with pytest.raises(DecodeError, match="outside of the day"):
        codec("time").decode_payload(struct.pack("!q", 86_400_000_001))


# ---- 84: interval ----------------------------------------------------------------------------------------

INTERVALS = [
    "0", "1 year 2 mons", "-1 mon", "3 days -00:00:01.5", "-1 year 1 day", "100 days 25:00:00", "00:00:00.000001",
    "-178000000 years", "-2147483648 days", "-00:00:00.1", "14 mons -3 days 02:00:00",
]  # fmt: skip


@pytest.mark.parametrize("text", INTERVALS)
def test_e84_interval_is_lossless(wire: Wire, text: str) -> None:
    value = wire.value(f"'{text}'::interval")
    assert type(value) is Interval
    assert wire.sent(value, "interval") == wire.text(f"'{text}'::interval")
    wire.run("SET intervalstyle = 'iso_8601'")
    try:
        assert str(value) == wire.text(f"'{text}'::interval")
    finally:
        wire.run("RESET intervalstyle")


def test_e84_interval_and_timedelta(wire: Wire) -> None:
    delta = datetime.timedelta(days=-1, seconds=5, microseconds=7)
    assert wire.sent(delta, "interval") == "-1 days +00:00:05.000007"
    assert wire.value("'-1 days 00:00:05.000007'::interval").timedelta() == delta
    assert wire.sent(datetime.timedelta.max, "interval") == "999999999 days 23:59:59.999999"
    with pytest.raises(ValueError, match="no fixed number of days"):
        Interval(months=1).timedelta()
    refuses("interval", Interval(months=2**31), "outside")
    refuses("interval", Interval(microseconds=2**63), "outside")
    refuses("interval", 5, "expected `timedelta`")


def test_e84_infinite_intervals(wire: Wire, pg_each: Cluster) -> None:
    assert str(Interval.infinity()) == "infinity"
    assert str(Interval.minus_infinity()) == "-infinity"
    with pytest.raises(OverflowError):
        Interval.infinity().timedelta()
    if int(wire.text("current_setting('server_version_num')") or 0) < 170000:
        assert (
            codec("interval").decode_payload(codec("interval").encode_payload(Interval.infinity()))
            == Interval.infinity()
        )
        return
    assert wire.value("'infinity'::interval") == Interval.infinity()
    assert wire.value("'-infinity'::interval") == Interval.minus_infinity()
    assert wire.sent(Interval.infinity(), "interval") == "infinity"


# ---- 85: uuid --------------------------------------------------------------------------------------------


def test_e85_uuid_in_every_form(wire: Wire) -> None:
    value = uuid.UUID("12345678-1234-5678-9abc-def012345678")
    for form in (value, str(value), str(value).upper(), f"{{{value}}}", value.hex, value.bytes):
        assert wire.sent(form, "uuid") == str(value)

    class Own(uuid.UUID):
        pass

    assert wire.sent(Own(int=value.int), "uuid") == str(value)
    read = wire.value(f"'{value}'::uuid")
    assert type(read) is uuid.UUID
    assert read == value
    assert hash(read) == hash(value)
    assert read.is_safe is uuid.SafeUUID.unknown
    assert pickle.loads(pickle.dumps(read)) == value
    assert msgspec.json.encode(read) == f'"{value}"'.encode()
    for wrong in ("12345678", "x" * 32, "{" + value.hex, b"123", str(value) + "0"):
        refuses("uuid", wrong, "uuid")
    refuses("uuid", 5, "expected `UUID`")


# ---- 86: network -----------------------------------------------------------------------------------------

ADDRESSES: list[tuple[str, str, Any]] = [
    ("inet", "10.1.2.3", ipaddress.ip_address("10.1.2.3")),
    ("inet", "10.1.2.3/8", ipaddress.ip_interface("10.1.2.3/8")),
    ("inet", "::1", ipaddress.ip_address("::1")),
    ("inet", "fe80::1/64", ipaddress.ip_interface("fe80::1/64")),
    ("inet", "::ffff:1.2.3.4", ipaddress.ip_address("::ffff:1.2.3.4")),
    ("cidr", "10.0.0.0/8", ipaddress.ip_network("10.0.0.0/8")),
    ("cidr", "10.1.2.3/32", ipaddress.ip_network("10.1.2.3/32")),
    ("cidr", "::/0", ipaddress.ip_network("::/0")),
]


@pytest.mark.parametrize(("name", "text", "value"), ADDRESSES)
def test_e86_network_addresses(wire: Wire, name: str, text: str, value: Any) -> None:
    read = wire.value(f"'{text}'::{name}")
    assert read == value
    assert type(read) is type(value)
    assert wire.sent(value, name) == wire.text(f"'{text}'::{name}")
    assert wire.sent(text, name) == wire.text(f"'{text}'::{name}")


def test_e86_addresses_that_are_none() -> None:
    refuses("cidr", ipaddress.ip_interface("10.1.2.3/8"), "right of its mask")
    refuses("cidr", "10.1.2.3/8", "no network")
    refuses("inet", "localhost", "no network address")
    refuses("inet", ipaddress.ip_address("fe80::1%eth0"), "zone")
    refuses("inet", 5, "expected `IPv4Address or IPv6Address`")
    refuses("macaddr", "08:00:2b", "6 bytes")
    refuses("macaddr", "zz:00:2b:01:02:03", "hardware address")
    for payload in (b"", b"\x02\x20\x00\x04abc", b"\x02\x21\x00\x04abcd", b"\x01\x20\x00\x04abcd"):
        with pytest.raises(DecodeError, match="network address"):
            codec("inet").decode_payload(payload)


def test_e86_hardware_addresses(wire: Wire) -> None:
    for form in ("08:00:2b:01:02:03", "08-00-2B-01-02-03", "0800.2b01.0203", b"\x08\x00\x2b\x01\x02\x03"):
        assert wire.sent(form, "macaddr") == "08:00:2b:01:02:03"
        assert wire.sent(form, "macaddr8") == "08:00:2b:ff:fe:01:02:03"


# ---- 87: bit strings -------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", ["", "1", "0", "10101", "11111111", "000000001", "1" * 33])
def test_e87_bit_strings_of_any_length(wire: Wire, bits: str) -> None:
    value = wire.value(f"B'{bits}'::varbit")
    assert value == BitString(bits)
    assert str(value) == bits
    assert len(value) == len(bits)
    assert int(value) == int(bits or "0", 2)
    assert list(value) == [int(bit) for bit in bits]
    assert wire.sent(value, "varbit") == bits
    assert wire.sent(bits, "varbit") == bits
    assert wire.value("B'101'::bit(5)") == BitString("10100")


def test_e87_the_bits_behind_the_last_are_zero() -> None:
    with pytest.raises(ValueError, match="not zero"):
        BitString(b"\xff", 5)
    with pytest.raises(DecodeError, match="behind the last"):
        codec("varbit").decode_payload(struct.pack("!i", 5) + b"\xff")
    for payload in (b"", struct.pack("!i", -1), struct.pack("!i", 9) + b"a", struct.pack("!i", 8) + b"ab"):
        with pytest.raises(DecodeError):
            codec("varbit").decode_payload(payload)
    refuses("varbit", "012", "0 and 1")


# ---- 88: arrays ------------------------------------------------------------------------------------------

ARRAYS: list[tuple[str, Any]] = [
    ("'{}'::int4[]", []),
    ("'{{1,2},{3,4},{5,NULL}}'::int4[]", [[1, 2], [3, 4], [5, None]]),
    ("'{{{{{{1}}}}}}'::int4[]", [[[[[[1]]]]]]),
    ("'[0:1]={5,6}'::int4[]", Array([5, 6], lower_bounds=(0,))),
    ("'[-1:0][5:6]={{1,2},{3,4}}'::int4[]", Array([[1, 2], [3, 4]], lower_bounds=(-1, 5))),
    ("ARRAY['(1,2)'::point, NULL]", [Point(1, 2), None]),
    ("'{(3,4),(1,2);(7,8),(5,6)}'::box[]", [Box(Point(3, 4), Point(1, 2)), Box(Point(7, 8), Point(5, 6))]),
    ("ARRAY[ROW('x',1,'sad')::address, NULL]", [("x", 1, "sad"), None]),
    (
        "ARRAY[ROW(ROW('x',1,NULL)::address, '{1.5,NULL}')::house]",
        [((("x", 1, None)), [Decimal("1.5"), None])],
    ),
    ("'{\"[1,3)\",empty}'::int4range[]", [Range(1, 3), Range.empty()]),
    ("'1 2 3'::int2vector", [1, 2, 3]),
    ("'26 27'::oidvector", [26, 27]),
]


@pytest.mark.parametrize(("sql", "value"), ARRAYS, ids=[sql for sql, _ in ARRAYS])
def test_e88_arrays(wire: Wire, sql: str, value: Any) -> None:
    read = wire.value(sql)
    assert read == value
    assert getattr(read, "lower_bounds", ()) == getattr(value, "lower_bounds", ())
    name = wire.text(f"pg_typeof({sql})")
    assert name is not None
    assert wire.sent(value, name) == wire.text(sql)


@pytest.mark.parametrize(
    "value", [[[1], [2, 3]], [1, [2]], [[1], 2], [[1], None], [[], [1]], [[1], []], [[[1]], [2]]]
)
def test_e88_ragged_arrays_are_refused(value: Any) -> None:
    refuses("_int4", value, "ragged")


def test_e88_an_empty_vector_of_the_catalog(wire: Wire) -> None:
    # Its own receive function refuses it; it can only be read.
    assert wire.value("''::int2vector") == []


def test_e88_nested_empty_lists_are_the_empty_array(wire: Wire) -> None:
    assert wire.sent([[], []], "int4[]") == "{}"
    assert wire.sent((), "int4[]") == "{}"
    assert wire.sent({7}, "int4[]") == "{7}"
    assert wire.sent(array.array("i", [1, 2]), "int4[]") == "{1,2}"


def test_e88_what_is_no_array() -> None:
    for value in ("abc", b"abc", {"a": 1}, 5, None.__class__):
        refuses("_text", value, "expected `list`")
    refuses("_int4", [[[[[[[1]]]]]]], "6 dimensions")
    refuses("_int4", [1, "2"], "expected `int`, got `str`")
    endless: list[Any] = []
    endless.append(endless)
    refuses("_int4", endless, "6 dimensions")


def test_e88_elements_that_are_sequences_are_elements(wire: Wire) -> None:
    assert wire.sent([[1, 2], [3]], "jsonb[]") == '{"[1, 2]",[3]}'
    assert wire.sent([("x", 1, "sad"), None], "address[]") == '{"(x,1,sad)",NULL}'
    assert wire.sent([[Point(1, 2)], [(3, 4)]], "point[]") == '{{"(1,2)"},{"(3,4)"}}'


def test_e88_the_element_type_of_the_header_may_be_another(wire: Wire) -> None:
    assert wire.value("ARRAY['a']::varchar[]::text[]") == ["a"]
    assert wire.value("ARRAY[1,2]::positive[]") == [1, 2]
    assert wire.value("ARRAY[ROW(1,'a'),ROW(2,NULL)]") == [(1, "a"), (2, None)]
    rows = wire.rows("SELECT most_common_vals FROM pg_stats LIMIT 0")
    assert rows == []
    wire.run(
        "CREATE TABLE IF NOT EXISTS sampled AS SELECT i % 3 AS i FROM generate_series(1, 300) i; ANALYZE sampled"
    )
    ((values,),) = wire.rows("SELECT most_common_vals FROM pg_stats WHERE tablename = 'sampled'", tuple)
    assert sorted(values) == [0, 1, 2]


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        struct.pack("!iiI", 7, 0, 23),  # dimensions
        struct.pack("!iiI", -1, 0, 23),
        struct.pack("!iiIii", 1, 0, 23, 2**31 - 1, 1),  # a count no bytes stand behind
        struct.pack("!iiIiiii", 2, 0, 23, 2**20, 1, 2**20, 1),
        struct.pack("!iiIii", 1, 0, 23, -1, 1),
        struct.pack("!iiIiii", 1, 0, 23, 1, 1, 4) + b"ab",  # an element beyond the end
        struct.pack("!iiIiii", 1, 0, 23, 1, 1, -2),
        struct.pack("!iiI", 0, 0, 23) + b"x",
    ],
)
def test_e88_malformed_arrays_are_errors(payload: bytes) -> None:
    with pytest.raises(DecodeError):
        codec("_int4").decode_payload(payload)


def test_e88_arrays_of_types_without_a_binary_form(wire: Wire) -> None:
    assert wire.value("'{\"a & b\",NULL}'::tsquery[]") == ["'a' & 'b'", None]
    assert wire.value("'{{a},{b}}'::tsquery[]") == [["'a'"], ["'b'"]]
    assert wire.value("'[3:4]={a,b}'::tsquery[]") == Array(["'a'", "'b'"], lower_bounds=(3,))
    assert wire.sent(["'it''s' & b", None], "tsquery[]") == wire.text(
        "ARRAY['''it''''s'' & b'::tsquery, NULL]"
    )
    (acl,) = wire.rows("SELECT '{=r/postgres,\"postgres=arwdDxt/postgres\"}'::aclitem[]", "scalar")
    assert acl == ["=r/postgres", "postgres=arwdDxt/postgres"]


# ---- 89: composites --------------------------------------------------------------------------------------


def test_e89_composites(wire: Wire) -> None:
    value = wire.value("ROW('a b', 1, 'sad')::address")
    assert (value.street, value["number"], value[2]) == ("a b", 1, "sad")
    assert dict(value) == {"street": "a b", "number": 1, "mood": "sad"}
    assert tuple(wire.value("ROW(NULL, NULL, NULL)::address")) == (None, None, None)
    assert len(wire.value("ROW()::nothing")) == 0
    nested = wire.value("ROW(ROW('x', 1, NULL)::address, '{1.5}')::house")
    assert (nested.at.street, nested.rooms) == ("x", [Decimal("1.5")])


def test_e89_composites_from_tuples_mappings_and_objects(wire: Wire) -> None:
    class Address(msgspec.Struct):
        street: str
        number: int | None
        mood: str

    expected = "(x,1,sad)"
    row = wire.value("ROW('x', 1, 'sad')::address")
    mapping = {"street": "x", "number": 1, "mood": "sad"}
    for value in (("x", 1, "sad"), ["x", 1, "sad"], row, Address("x", 1, "sad"), mapping):
        assert wire.sent(value, "address") == expected
    assert wire.sent({"number": 1}, "address") == "(,1,)"
    made = wire.codec("address")
    for wrong, match in (
        (("x", 1), "3 attributes, 2 were given"),
        ({"strasse": "x"}, "no attributes strasse"),
        (object(), "has no attributes street"),
        (("x", "1", "sad"), "attribute 'number': expected `int`"),
        ("x", "expected"),
    ):
        with pytest.raises(EncodeError, match=match):
            made.encode_payload(wrong)


def test_e89_dropped_columns_are_skipped(wire: Wire) -> None:
    wire.run(
        "DROP TABLE IF EXISTS shrunk; CREATE TABLE shrunk (a int4, b text, c int4); ALTER TABLE shrunk DROP COLUMN b"
    )
    wire.run("INSERT INTO shrunk VALUES (1, 3)")
    (row,) = wire.rows("SELECT shrunk FROM shrunk", "scalar")
    assert dict(row) == {"a": 1, "c": 3}
    assert wire.sent((5, None), "shrunk") == "(5,)"


def test_e89_anonymous_records(wire: Wire) -> None:
    assert wire.value("ROW(1, 'a', NULL, ROW(2.5, true), ARRAY[1])") == (
        1,
        "a",
        None,
        (Decimal("2.5"), True),
        [1],
    )
    assert wire.value("ROW()") == ()
    with pytest.raises(EncodeError, match="cast the parameter to a composite"):
        wire.codecs([2249])[0].encode_payload((1,))


def test_e89_a_record_of_unknown_types_says_so(wire: Wire) -> None:
    fresh = TypeRegistry()
    record = fresh.get(2249)
    assert record is not None
    with pytest.raises(DecodeError, match="does not know"):
        record.decode_payload(struct.pack("!iIi", 1, 99999, 1) + b"x")


def test_e89_deep_records_end_in_an_error() -> None:
    payload = struct.pack("!i", 0)
    for _ in range(20_000):
        payload = struct.pack("!iIi", 1, 2249, len(payload)) + payload
    record = REGISTRY.get(2249)
    assert record is not None
    with pytest.raises(RecursionError):
        record.decode_payload(payload)


def test_e89_a_member_without_binary_form_makes_the_whole_text(wire: Wire) -> None:
    assert wire.value("ROW('=r/postgres', 1)::granted") == "(=r/postgres,1)"


# ---- 45, 90: ranges --------------------------------------------------------------------------------------

RANGES: list[tuple[str, Any]] = [
    ("'empty'::int4range", Range.empty()),
    ("'(,)'::int4range", Range(None, None, "()")),
    ("'[1,3]'::int4range", Range(1, 4)),
    ("'(,5)'::int8range", Range(None, 5, "()")),
    ("'[2020-01-01,infinity)'::daterange", Range(datetime.date(2020, 1, 1), PgDate.infinity())),
    ("'[2020-01-01,)'::daterange", Range(datetime.date(2020, 1, 1), None)),
    ("'[1.5,2.50]'::numrange", Range(Decimal("1.5"), Decimal("2.50"), "[]")),
    ("'{}'::int4multirange", MultiRange()),
    ("'{[1,3),[5,)}'::int4multirange", MultiRange([Range(1, 3), Range(5, None)])),
]


@pytest.mark.parametrize(("sql", "value"), RANGES, ids=[sql for sql, _ in RANGES])
def test_e90_ranges(wire: Wire, sql: str, value: Any) -> None:
    read = wire.value(sql)
    assert read == value
    name = sql.rpartition("::")[2]
    assert wire.sent(value, name) == wire.text(sql)
    # Their own text is one the server reads, too.
    assert wire.text(f"'{read}'::{name}") == wire.text(sql)


def test_e90_ranges_are_made_canonical_by_the_server(wire: Wire) -> None:
    assert wire.sent(Range(1, 3, "[]"), "int4range") == "[1,4)"
    assert wire.sent(Range(1, 3, "(]"), "int4range") == "[2,4)"
    assert wire.sent(range(1, 4), "int4range") == "[1,4)"
    assert wire.sent(range(4, 4), "int4range") == "empty"
    refuses("int4range", range(1, 9, 2), "gaps")
    refuses("int4range", (1, 3), "expected `Range`")
    refuses("int4range", Range("a", None), "expected `int`")
    refuses("int4multirange", [None], "no NULL")


def test_e90_ranges_answer_membership() -> None:
    assert 1 in Range(1, 3)
    assert 3 not in Range(1, 3)
    assert 3 in Range(1, 3, "[]")
    assert 1 not in Range(1, 3, "(]")
    assert 10**9 in Range(None, None)
    assert 0 not in Range.empty()
    assert 6 in MultiRange([Range(1, 3), Range(5, 7)])
    with pytest.raises(ValueError, match="bounds"):
        Range(1, 2, "<>")


def test_e90_ranges_over_domains_and_own_types(wire: Wire) -> None:
    wire.run(
        "DO $$ BEGIN CREATE TYPE positives AS RANGE (subtype = positive); EXCEPTION WHEN others THEN END $$"
    )
    assert wire.value("positives(1, 5)") == Range(1, 5)
    name = wire.text("SELECT rngmultitypid::regtype FROM pg_range WHERE rngtypid = 'span'::regtype")
    assert wire.value(f"{name}(span(1.5, 2))") == (Range(1.5, 2.0),)


# ---- 91, 92: enums and domains ---------------------------------------------------------------------------


class Mood(enum.Enum):
    SAD = "sad"
    OK = 'it\'s "ok"'


def test_e91_enums_are_their_labels(wire: Wire) -> None:
    for label in ("sad", 'it\'s "ok"', "Ünïcode"):
        quoted = label.replace("'", "''")
        assert wire.value(f"'{quoted}'::mood") == label
        assert wire.sent(label, "mood") == label
    wire.run("ALTER TYPE mood ADD VALUE IF NOT EXISTS 'new one'")
    assert wire.value("'new one'::mood") == "new one"


def test_e91_enums_as_members(pg_each: Cluster, wire: Wire) -> None:
    own = Wire(wire.connection.info.dsn)
    try:
        own.registry.register_type("mood", python_type=Mood)
        assert own.value("'sad'::mood") is Mood.SAD
        assert own.value("ARRAY['it''s \"ok\"'::mood, NULL]") == [Mood.OK, None]
        assert own.sent(Mood.OK, "mood") == 'it\'s "ok"'
        assert own.sent("sad", "mood") == "sad"
        with pytest.raises(DecodeError, match="no member for the label"):
            own.value("'Ünïcode'::mood")
    finally:
        own.close()


def test_e92_domains_are_their_base(wire: Wire) -> None:
    assert wire.value("5::positive") == 5
    assert wire.sent(5, "positive") == "5"
    assert wire.sent([1, 2], "pair") == "{1,2}"
    assert wire.value("'{1,2}'::pair") == [1, 2]
    assert wire.value("ARRAY['{1,2}'::pair]") == [[1, 2]]
    with pytest.raises(ValueError, match="violates check constraint"):
        wire.sent(-5, "positive")


# ---- 93, 94: extensions ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def contrib(wire: Wire) -> Wire:
    available = wire.text("EXISTS (SELECT FROM pg_available_extensions WHERE name = 'hstore')")
    if available != "true":
        pytest.skip("this server was built without contrib; another of the versions under test has it")
    for name in ("hstore", "citext", "ltree", "cube"):
        wire.run(f"CREATE EXTENSION IF NOT EXISTS {name}")
    return wire


def test_e93_hstore(contrib: Wire) -> None:
    value = {"a": "1", "b": None, 'q"uote': "é", "": ""}
    assert contrib.value("'a=>1, b=>NULL'::hstore") == {"a": "1", "b": None}
    assert contrib.value("'a=>1, a=>2'::hstore") == {"a": contrib.text("('a=>1, a=>2'::hstore)->'a'")}
    codec_of = contrib.codec("hstore")
    assert codec_of.decode_payload(codec_of.encode_payload(value)) == value
    assert contrib.sent({"a": "1", "b": None}, "hstore") == '"a"=>"1", "b"=>NULL'
    assert contrib.sent([{"a": "1"}, None], "hstore[]") == contrib.text("ARRAY['a=>1'::hstore, NULL]")
    for wrong in ({None: "x"}, {"a": 1}, ["a"]):
        with pytest.raises(EncodeError):
            codec_of.encode_payload(wrong)
    for payload in (
        b"",
        struct.pack("!i", 2**31 - 1),
        struct.pack("!ii", 1, -1),
        struct.pack("!i", 0) + b"x",
    ):
        with pytest.raises(DecodeError, match="hstore"):
            codec_of.decode_payload(payload)


def test_e93_citext_ltree_and_unknown_extension_types(contrib: Wire) -> None:
    assert contrib.value("'CiText'::citext") == "CiText"
    assert contrib.sent("CiText", "citext") == "CiText"
    assert contrib.value("'a.b.c'::ltree") == "a.b.c"
    assert contrib.sent("a.b.c", "ltree") == "a.b.c"
    assert contrib.value("'a.*'::lquery") == "a.*"
    assert contrib.value("'(1, 2)'::cube") == "(1, 2)"
    assert contrib.sent("(1, 2)", "cube") == "(1, 2)"
    with pytest.raises(DecodeError, match="version"):
        contrib.codec("ltree").decode_payload(b"\x02a.b")


def test_e93_a_recreated_extension_has_another_oid(contrib: Wire) -> None:
    before = contrib.codec("hstore").oid
    contrib.run("DROP EXTENSION hstore CASCADE; CREATE EXTENSION hstore")
    assert contrib.codec("hstore").oid != before
    assert contrib.value("'a=>1'::hstore") == {"a": "1"}


@pytest.fixture(scope="module")
def vectors(wire: Wire) -> Wire:
    available = wire.text("EXISTS (SELECT FROM pg_available_extensions WHERE name = 'vector')")
    if available != "true":
        pytest.skip("this server has no pgvector; another of the versions under test brings it")
    wire.run("CREATE EXTENSION IF NOT EXISTS vector")
    return wire


def test_e94_vectors(vectors: Wire) -> None:
    assert vectors.value("'[1,2.5,0.1]'::vector") == [1.0, 2.5, 0.1]
    for value in (
        [1.0, 2.5, 0.1],
        (1, 2.5, 0.1),
        array.array("f", [1, 2.5, 0.1]),
        array.array("d", [1, 2.5, 0.1]),
    ):
        assert vectors.sent(value, "vector") == "[1,2.5,0.1]"
    assert vectors.value("'[1,-2,0.1,65504,1e-7]'::halfvec") == [
        float(text) for text in (vectors.text("'[1,-2,0.1,65504,1e-7]'::halfvec") or "[]")[1:-1].split(",")
    ]
    assert vectors.sent([1, -2, 0.1, 65504, 1e-7], "halfvec") == vectors.text(
        "'[1,-2,0.1,65504,1e-7]'::halfvec"
    )
    assert vectors.value("'{1:1.5,3:2}/5'::sparsevec") == SparseVector(5, {0: 1.5, 2: 2.0})
    assert vectors.sent(SparseVector(5, {2: 2.0, 0: 1.5}), "sparsevec") == "{1:1.5,3:2}/5"
    assert str(SparseVector(5, {2: 2.0, 0: 1.5})) == "{1:1.5,3:2}/5"
    with pytest.raises(ValueError, match="dimensions"):
        SparseVector(2, {2: 1.0})
    made = vectors.codec("vector")
    for wrong in ([math.nan], [math.inf], ["1"], [True], [None], [1e39], "abc", {"a": 1}):
        with pytest.raises(EncodeError):
            made.encode_payload(wrong)
    with pytest.raises(EncodeError, match="halfvec"):
        vectors.codec("halfvec").encode_payload([65520.0])
    with pytest.raises(ValueError, match="different vector dimensions"):
        vectors.text("'[1,2]'::vector <-> '[1]'::vector")


def test_e94_halves_round_to_nearest_even(vectors: Wire) -> None:
    randomly = random.Random(5)
    numbers = [randomly.uniform(-1, 1) * 10 ** randomly.randint(-9, 4) for _ in range(500)]
    numbers += [2**-25, 2**-24, 3 * 2**-25, 6.1e-5, 65519.0, 1.00048828125, 1.00146484375]
    assert vectors.sent(numbers, "halfvec") == vectors.text(f"'{numbers}'::halfvec")


# ---- 95, 96: the rest ------------------------------------------------------------------------------------


def test_e95_money_is_counted_not_printed(wire: Wire) -> None:
    assert wire.value("'1234.5'::money") == Decimal("1234.50")
    assert wire.sent(Decimal("-0.05"), "money") == wire.text("'-0.05'::money")
    assert wire.sent(7, "money") == wire.text("7::money")
    refuses("money", Decimal("0.001"), "2 digits")
    refuses("money", Decimal("NaN"), "finite")
    refuses("money", 0.5, "expected `Decimal`")
    refuses("money", Decimal("1E+30"), "outside")
    own = TypeRegistry()
    own.register_type("money", digits=0)
    yen = own.get(790)
    assert yen is not None
    assert yen.decode_payload(struct.pack("!q", 500)) == Decimal(500)
    array_of = own.get(791)
    assert array_of is not None
    assert array_of.decode_payload(array_of.encode_payload([Decimal(7)])) == [Decimal(7)]


def test_e95_tsvector_pg_lsn_tid_void(wire: Wire) -> None:
    assert wire.sent("'a b':1A c:2", "tsvector") == "'a b':1A 'c':2"
    assert wire.value("''::tsvector") == ""
    assert wire.value("'FFFFFFFF/0'::pg_lsn") == Lsn("FFFFFFFF/0") == 0xFFFFFFFF00000000
    assert str(Lsn(2**63)) == "80000000/0"
    assert wire.sent("16/B374D848", "pg_lsn") == "16/B374D848"
    refuses("pg_lsn", "nonsense", "write-ahead log")
    refuses("pg_lsn", 2**64, "write-ahead log")
    assert wire.rows("SELECT pg_notify('x', '')", tuple) == [(None,)]
    for payload in (struct.pack("!BI", 1, 2**28), struct.pack("!BI", 1, 1) + b"short", b""):
        with pytest.raises(DecodeError):
            codec("path").decode_payload(payload)
    for payload in (
        b"",
        struct.pack("!I", 2**31),
        struct.pack("!I", 1) + b"a\0\0\x05",
        struct.pack("!I", 0) + b"x",
    ):
        with pytest.raises(DecodeError):
            codec("tsvector").decode_payload(payload)


def test_e95_names_of_the_catalog(wire: Wire) -> None:
    assert wire.value("'pg_class'::regclass") == "pg_class"
    assert wire.sent("pg_class", "regclass") == "pg_class"
    assert wire.sent(1259, "regclass") == "pg_class"
    refuses("regclass", 1.5, "expected `str`")


def test_e96_unknown_literals_are_text(wire: Wire) -> None:
    assert wire.rows("SELECT 'x' AS a, NULL AS b", tuple) == [("x", None)]
    assert REGISTRY.get(705) is not None


def test_e96_any_takes_the_array_of_its_type(wire: Wire) -> None:
    answer = wire.ask("SELECT 2 = ANY($1)", [codec("_int4").encode_payload([1, 2])], [codec("_int4")])
    assert answer.rows == [[b"\x01"]]


# ---- parameters ------------------------------------------------------------------------------------------


def test_parameters_carry_one_format_code_when_all_are_binary() -> None:
    payload = parameters_payload([codec("int4"), codec("text")], (1, None))
    assert payload == struct.pack("!HHHiii", 1, 1, 2, 4, 1, -1)
    assert parameters_payload([], ()) == struct.pack("!HH", 0, 0)


def test_parameters_that_are_text_say_so_each() -> None:
    payload = parameters_payload([codec("int4"), codec("tsvector")], (1, "a"))
    assert payload == struct.pack("!HHHHiiis", 2, 1, 0, 2, 4, 1, 1, b"a")


def test_a_parameter_that_does_not_fit_is_named_and_not_shown() -> None:
    secret = "hunter2"
    with pytest.raises(EncodeError) as caught:
        parameters_payload([codec("int4"), codec("int4")], (1, secret))
    assert str(caught.value) == "$2 (int4): expected `int`, got `str`"
    assert (caught.value.position, caught.value.type_name) == (2, "int4")
    assert secret not in repr(caught.value)
    assert pickle.loads(pickle.dumps(caught.value)).position == 2


def test_the_number_of_parameters_is_checked() -> None:
    with pytest.raises(EncodeError, match="takes 1 parameters, 2 were given"):
        parameters_payload([codec("int4")], (1, 2))
    with pytest.raises(EncodeError, match="at most 65535"):
        parameters_payload([codec("int4")] * 65536, (1,) * 65536)
    assert len(parameters_payload([codec("bool")] * 65535, (True,) * 65535)) == 6 + 65535 * 5


def test_e52_a_record_that_fails_leaves_nothing_behind() -> None:
    codecs = [codec("int4"), codec("text")]
    assert record_payload(codecs, [1, "a"]) == struct.pack("!Hiiis", 2, 4, 1, 1, b"a")
    for record, match in (
        ((1,), "1 fields"),
        ((1, 2), r"\$2 \(text\)"),
        ("ab", "got `str`"),
        ({1: 2, 3: 4}, "got `dict`"),
    ):
        with pytest.raises(EncodeError, match=match):
            record_payload(codecs, record)


def test_e99_an_encoder_of_the_user_fails_only_its_query() -> None:
    own = TypeRegistry()

    def explode(value: Any) -> Any:
        raise RuntimeError(f"cannot handle {value}")

    own.register_type("text", encode=explode)
    made = own.get(25)
    assert made is not None
    with pytest.raises(EncodeError, match=r"\$1 \(text\): its encoder raised `RuntimeError`") as caught:
        parameters_payload([made], ("secret",))
    assert "secret" not in str(caught.value)


# ---- bytes from anywhere ---------------------------------------------------------------------------------


@settings(max_examples=400)
@given(st.sampled_from(sorted(REGISTRY.codecs)), st.binary(max_size=60))
def test_random_bytes_end_in_a_value_or_a_clean_error(oid: int, payload: bytes) -> None:
    found = REGISTRY.get(oid)
    assert found is not None
    try:
        found.decode_payload(payload)
    except (DecodeError, UnicodeDecodeError, msgspec.DecodeError, ValueError):
        pass


@pytest.mark.parametrize(("name", "literal", "value"), BOTH_WAYS, ids=[f"{n}-{v}" for n, v, _ in BOTH_WAYS])
def test_every_truncation_and_flip_ends_in_a_value_or_a_clean_error(
    wire: Wire, name: str, literal: str, value: Any
) -> None:
    made = wire.codec(name)
    payload = made.encode_payload(value) or b""
    damaged = [payload[:length] for length in range(len(payload))]
    damaged += [payload + b"\0"]
    for i, byte in enumerate(payload):
        damaged += [payload[:i] + bytes([byte ^ 1 << bit]) + payload[i + 1 :] for bit in range(8)]
    for bad in damaged:
        try:
            made.decode_payload(bad)
        except (DecodeError, UnicodeDecodeError, msgspec.DecodeError, ValueError):
            pass


def test_the_tests_ran_against_a_server_with_contrib(pg_clusters: Any) -> None:
    from tests.pg_support import servers

    if not any(found.contrib.exists() for found in servers()):
        missing("No installed PostgreSQL has contrib (hstore, ltree, citext).")
