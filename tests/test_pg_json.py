"""Rows to JSON in C: the bytes are those msgspec writes for the Python values of the same codecs."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swift._speedups.pgrows import Columns, RowDecoder
from swift._speedups.pgvalues import Codec, DecodeError
from swift.pg.registry import TypeRegistry
from swift.pg.types import json_default
from tests.pg_support import Cluster, _database
from tests.pg_wire import Wire, data_row, frame
from tests.test_pg_values import ARRAYS, BOTH_WAYS, RANGES, knows

REGISTRY = TypeRegistry()
encode = msgspec.json.Encoder(enc_hook=json_default).encode


@pytest.fixture(scope="module")
def wire(pg_each: Cluster) -> Iterator[Wire]:
    with _database(pg_each) as dsn:
        connected = Wire(dsn)
        connected.run("CREATE TYPE mood AS ENUM ('sad', 'it''s \"ok\"', 'Ünïcode')")
        connected.run("CREATE TYPE address AS (street text, number int4, mood mood)")
        connected.run("CREATE TYPE house AS (at address, rooms numeric[])")
        connected.run("CREATE DOMAIN positive AS int4 CHECK (value > 0)")
        connected.run("CREATE DOMAIN pair AS int4[] CHECK (array_length(value, 1) = 2)")
        connected.run("CREATE TYPE span AS RANGE (subtype = float8)")
        yield connected
        connected.close()


def codec(name: str) -> Codec:
    return next(found for found in REGISTRY.codecs.values() if found.name == name)


def decoder(*codecs: Codec, into: Any = None) -> RowDecoder:
    return RowDecoder(Columns([f"c{i}" for i in range(len(codecs))]), codecs, into)


def agree(made: Codec, payload: bytes | None) -> bytes:
    """The JSON of a value, after a look that msgspec's is the same."""
    text = decoder(made, into="scalar").json_payload(data_row([payload]))
    assert text == encode(made.decode_payload(payload))
    return text


SPECIAL = [
    "'NaN'::float8",
    "'infinity'::float4",
    "'-0'::float8",
    "1e22::float8",
    "1e15::float8",
    "123456789012345680::float8",
    "0.00001::float8",
    "0.000001::float8",
    "0.1::float4",
    "'3.4028235e38'::float4",
    "16777216::float4",
    "'NaN'::numeric",
    "'-Infinity'::numeric",
    "0.0000001::numeric",
    "0.000001::numeric",
    "0.0000000::numeric",
    "0.000000::numeric",
    "-0.00000012300::numeric",
    "1e100::numeric",
    "-12345678901234567890.123::numeric",
    "'infinity'::date",
    "'0044-03-15 BC'::date",
    "'10000-01-01'::date",
    "'0001-01-01'::date",
    "'9999-12-31'::date",
    "'-infinity'::timestamp",
    "'infinity'::timestamptz",
    "'294276-12-31 23:59:59.999999'::timestamp",
    "'0001-12-31 23:59:59.5+00 BC'::timestamptz",
    "'2020-01-01 00:00:00.5+00'::timestamptz",
    "'1969-12-31 23:59:59.999999'::timestamp",
    "'24:00'::time",
    "'24:00-03:30'::timetz",
    "'24:00+00:00:15'::timetz",
    "'00:00'::time",
    "'12:30:00.5'::time",
    "'01:02:03+05:30:15'::timetz",
    "'01:02:03-05:30:45'::timetz",
    "'01:02:03+00:00:30'::timetz",
    "'01:02:03-15:59:59'::timetz",
    "'01:02:03+00'::timetz",
    "'1 year 2 mons -3 days 04:05:06.7'::interval",
    "'0'::interval",
    "'-178000000 years'::interval",
    "'-00:00:00.000001'::interval",
    "'5 mons'::interval",
    "'a'::\"char\"",
    "''::\"char\"",
    "E'\\\\351'::bytea",
    "''::bytea",
    "'\\x00'::bytea",
    "'\\x0001'::bytea",
    "'\\x000102'::bytea",
    '\'"\'::"char"',
    "'::1'::inet",
    "'::'::inet",
    "'1:0:0:2:0:0:0:3'::inet",
    "'1:0:2:0:3:0:4:5'::inet",
    "'::ffff:1.2.3.4'::inet",
    "'::1.2.3.4'::inet",
    "'2001:db8::/32'::cidr",
    "'1::'::inet",
    "'0.0.0.0/0'::cidr",
    "'10.1.2.3/8'::inet",
    "'255.255.255.255'::inet",
    "B''::varbit",
    "'0'::money",
    "'-0.05'::money",
    "'92233720368547758.07'::money",
    "'-92233720368547758.08'::money",
    "'0/0'::pg_lsn",
    "'1/A'::pg_lsn",
    "'(nan,infinity)'::point",
    "''::tsvector",
    "'\"q\" ''x''''y'':1A,2 \\\\\\\\z'::tsvector",
    "'$.a'::jsonpath",
    "(E'tab\\t nl\\n cr\\r bs\\b ff\\f quote\" slash\\\\ \\u0001\\u001f \\u007f \\u2028 \\u00e9 \\U0001F600 <&>')::text",
    "'{}'::int4[]",
    "'{NULL}'::text[]",
    "ARRAY['{\"a\":1}'::json, NULL]",
    "ROW('x\"y', NULL, 'sad')::address",
    "ARRAY[ROW(ROW('x',1,NULL)::address, '{1.5,NULL}')::house, NULL]",
    "ROW(1, 'a', ARRAY[1.5])",
    "ARRAY[ROW(1,2)]",
    "'5874897-12-31'::date",
    "'{1,2}'::pair",
    "ARRAY['2020-01-01'::date, 'infinity']",
]


def test_e100_every_type_is_written_as_msgspec_writes_it(wire: Wire) -> None:
    cases = [f"({literal})::{name}" for name, literal, _ in BOTH_WAYS] + SPECIAL
    cases += [sql for sql, _ in ARRAYS if "nothing" not in sql] + [sql for sql, _ in RANGES]
    for sql in cases:
        name = sql.rpartition("::")[2]
        if name == "xml":
            continue
        text = wire.json(sql)
        value = wire.value(sql)
        assert text == encode(value), sql
        json.loads(text)


def test_e100_xml(wire: Wire) -> None:
    knows(wire, "xml")
    assert wire.json("'<a>\"é\"</a>'::xml") == encode('<a>"é"</a>')


DOCUMENTS = [
    "null", "true", "[]", "{}", '""', "0", "-0", "-0.0", "1.50", "1e5", "1E-7", "123456789012345678901234567890",
    "123456789012345678901234567890.5", "1e23", "9007199254740993.0", "0.1e-6", "2.2250738585072011e-308",
    "1.7976931348623157e308", "4.9e-324", "2.4703282292062327e-324", "0." + "0" * 400 + "1", "0." + "1" * 900,
    ' [ 1 , 2.50 , { "a b" : [ ] , "c" : { } } ] ',
    '"a\\/b"', '"\\u00e9\\u0041\\ud83d\\ude00\\u0000\\n"', '{"\\u0061":"\\""}',
    '"\\\\"', '"é😀"', '["a","b"]',
]  # fmt: skip


@pytest.mark.parametrize("document", DOCUMENTS)
def test_e100_documents_are_written_as_if_decoded_and_encoded(document: str) -> None:
    text = document.encode()
    expected = encode(msgspec.json.decode(text))
    assert decoder(codec("json"), into="scalar").json_payload(data_row([text])) == expected
    assert decoder(codec("jsonb"), into="scalar").json_payload(data_row([b"\x01" + text])) == expected


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=300)
@given(JSON_VALUES, st.booleans(), st.sampled_from([None, 1, "\t"]))
def test_e100_every_document_however_it_is_laid_out(value: Any, ascii_only: bool, indent: Any) -> None:
    try:
        text = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()
        expected = encode(msgspec.json.decode(text))
    except (UnicodeEncodeError, msgspec.DecodeError):
        return
    assert decoder(codec("json"), into="scalar").json_payload(data_row([text])) == expected


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(0, 25))
def test_e100_fractions_of_every_length(value: float, digits: int) -> None:
    for text in (f"{value:.{digits}e}", f"{value:.{digits}f}", repr(value)):
        if "." not in text and "e" not in text:
            continue
        try:
            expected = encode(msgspec.json.decode(text.encode()))
        except msgspec.DecodeError:
            continue
        assert decoder(codec("json"), into="scalar").json_payload(data_row([text.encode()])) == expected


def test_e100_documents_that_cannot_be_cut_into_tokens() -> None:
    for wrong in (b"", b"  ", b'"', b'"a', b'"\\', b'"\xff"', b"\xff", b"\0"):
        with pytest.raises(DecodeError, match=r"column 'c0' \(json\): malformed value"):
            decoder(codec("json")).json_payload(data_row([wrong]))
    with pytest.raises(DecodeError, match=r"column 'c0' \(jsonb\): malformed value"):
        decoder(codec("jsonb")).json_payload(data_row([b"\x02{}"]))
    # A number no double holds stays as it was written; Python refuses the whole document.
    assert decoder(codec("jsonb"), into="scalar").json_payload(data_row([b"\x01[1.5e400]"])) == b"[1.5e400]"
    # Half a surrogate pair is no text: Python refuses it, here it stays as it was written.
    assert decoder(codec("json"), into="scalar").json_payload(data_row([b'"\\ud800"'])) == b'"\\ud800"'


def test_e100_rows_are_objects(wire: Wire) -> None:
    made, answer = wire.decoder(
        'SELECT i AS id, \'n\' || i AS "na""me", NULL::text AS é FROM generate_series(1, 2) i'
    )
    assert (
        made.json_run(answer.run)
        == '[{"id":1,"na\\"me":"n1","é":null},{"id":2,"na\\"me":"n2","é":null}]'.encode()
    )
    assert made.json_run(b"") == b"[]"
    scalars, _ = wire.decoder("SELECT i AS id, 'x' AS other FROM generate_series(1, 3) i", "scalar")
    (run,) = [wire.decoder("SELECT i AS id, 'x' AS other FROM generate_series(1, 3) i")[1].run]
    assert scalars.json_run(run) == b"[1,2,3]"


def test_e97_names_that_collide_and_no_names_at_all(wire: Wire) -> None:
    made, answer = wire.decoder("SELECT 1 AS a, 2 AS a, 3 AS b, 4, 5")
    assert made.json_run(answer.run) == b'[{"a":1,"b":3,"?column?":4}]'
    empty, rows = wire.decoder("SELECT FROM generate_series(1, 3)")
    assert empty.json_run(rows.run) == b"[{},{},{}]"
    hidden, rows = wire.decoder("SELECT 1 AS a, 2 AS a")
    assert hidden.json_run(rows.run) == b'[{"a":1}]'


def test_e100_numeric_and_big_integers_as_the_caller_wants_them() -> None:
    made = decoder(codec("numeric"), codec("int8"), codec("_int8"))
    row = data_row(
        [
            codec("numeric").encode_payload(msgspec.json.decode(b"1.50", type=Decimal)),
            codec("int8").encode_payload(2**53),
            codec("_int8").encode_payload([2**53 - 1, -(2**53)]),
        ]
    )
    assert (
        made.json_payload(row)
        == b'{"c0":"1.50","c1":9007199254740992,"c2":[9007199254740991,-9007199254740992]}'
    )
    made.write_json_as(numeric_as_number=True, big_integers_as_text=True)
    assert (
        made.json_payload(row)
        == b'{"c0":1.50,"c1":"9007199254740992","c2":[9007199254740991,"-9007199254740992"]}'
    )
    nan = data_row([struct.pack("!HhHH", 0, 0, 0xC000, 0), None, None])
    assert made.json_payload(nan) == b'{"c0":null,"c1":null,"c2":null}'


def test_e100_text_that_is_not_utf8_is_an_error_that_names_the_column() -> None:
    for wrong in (
        b"\xff",
        b"ok\xc3",
        b"\xc0\x80",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xe0\x80\x80",
        b"1234567\x80",
    ):
        with pytest.raises(DecodeError, match=r"column 'c0' \(text\)"):
            decoder(codec("text")).json_payload(data_row([wrong]))


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=60))
def test_e100_every_text_is_escaped_as_msgspec_escapes_it(text: str) -> None:
    assert agree(codec("text"), text.encode()) == encode(text)


@settings(max_examples=300)
@given(st.binary(max_size=40))
def test_e100_bytes_as_text_are_written_or_refused_as_python_decides(data: bytes) -> None:
    made = decoder(codec("text"), into="scalar")
    try:
        expected = encode(data.decode())
    except UnicodeDecodeError:
        with pytest.raises(DecodeError):
            made.json_payload(data_row([data]))
    else:
        assert made.json_payload(data_row([data])) == expected


@settings(max_examples=300)
@given(st.floats())
def test_e100_floats_are_their_shortest_text(value: float) -> None:
    agree(codec("float8"), struct.pack("!d", value))


@given(st.integers(0, 2**32 - 1))
def test_e100_every_float4_is_its_shortest_text(bits: int) -> None:
    agree(codec("float4"), struct.pack("!I", bits))


@given(st.integers(-(2**63), 2**63 - 1))
def test_e100_integers_and_timestamps_of_the_whole_range(number: int) -> None:
    payload = struct.pack("!q", number)
    for name in ("int8", "xid8", "timestamp", "timestamptz", "money", "pg_lsn"):
        agree(codec(name), payload)


@given(st.integers(-(2**31), 2**31 - 1), st.integers(-(2**31), 2**31 - 1), st.integers(-(2**63), 2**63 - 1))
def test_e100_intervals_and_dates_of_the_whole_range(months: int, days: int, microseconds: int) -> None:
    agree(codec("interval"), struct.pack("!qii", microseconds, days, months))
    agree(codec("date"), struct.pack("!i", days))


@given(st.integers(0, 86_400_000_000), st.integers(-57599, 57599))
def test_e100_times_with_every_offset(microseconds: int, west: int) -> None:
    agree(codec("timetz"), struct.pack("!qi", microseconds, west))


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_e100_numerics(value: Any) -> None:
    if value and abs(value.adjusted()) > 16000:
        return
    agree(codec("numeric"), codec("numeric").encode_payload(value))


@given(st.ip_addresses(v=6))
def test_e100_addresses(address: Any) -> None:
    agree(codec("inet"), codec("inet").encode_payload(address))


@settings(max_examples=600)
@given(st.sampled_from(sorted(REGISTRY.codecs)), st.binary(max_size=60))
def test_random_bytes_are_json_or_a_clean_error(oid: int, payload: bytes) -> None:
    made = REGISTRY.get(oid)
    assert made is not None
    try:
        text = decoder(made, into="scalar").json_payload(data_row([payload]))
    except DecodeError:
        return
    if made.name not in ("json", "jsonb", "_json", "_jsonb"):
        json.loads(text)


def test_what_python_refuses_c_refuses_too() -> None:
    """Damaged payloads of every type: both sides agree on what is a value."""
    randomly = random.Random(11)
    for name, _, value in BOTH_WAYS:
        found = [made for made in REGISTRY.codecs.values() if made.name == name]
        if not found or name in ("json", "jsonb", "cidr"):
            continue
        payload = found[0].encode_payload(value) or b""
        for _ in range(60):
            damaged = bytearray(payload)
            for _ in range(randomly.randint(1, 3)):
                if damaged:
                    damaged[randomly.randrange(len(damaged))] = randomly.randrange(256)
            damaged = damaged[: randomly.randint(0, len(damaged))] if randomly.random() < 0.3 else damaged
            try:
                expected: bytes | None = encode(found[0].decode_payload(bytes(damaged)))
            except ValueError:
                expected = None
            try:
                text: bytes | None = decoder(found[0], into="scalar").json_payload(data_row([bytes(damaged)]))
            except DecodeError:
                text = None
            assert text == expected, (name, bytes(damaged))


def test_e99_a_failed_row_leaves_nothing_behind() -> None:
    made = decoder(codec("int4"), codec("text"))
    good, bad = data_row([struct.pack("!i", 1), b"x"]), data_row([struct.pack("!i", 1), b"\xff"])
    with pytest.raises(DecodeError, match="c1"):
        made.json_run(frame(good) + frame(bad))
    assert made.json_run(frame(good)) == b'[{"c0":1,"c1":"x"}]'


@pytest.mark.parametrize(
    "row",
    [
        b"",
        b"\0",
        struct.pack("!H", 2),
        struct.pack("!H", 1),
        struct.pack("!Hi", 1, -2),
        struct.pack("!Hi", 1, 5) + b"abc",
        struct.pack("!Hi", 1, 2**31 - 1),
        struct.pack("!Hi", 1, -1) + b"x",
    ],
)
def test_e3_malformed_rows_are_errors(row: bytes) -> None:
    with pytest.raises(DecodeError):
        decoder(codec("text")).json_payload(row)
    with pytest.raises(DecodeError):
        decoder(codec("text")).decode_payload(row)


def test_types_of_the_user_pass_through_python() -> None:
    class Celsius:
        def __init__(self, degrees: float) -> None:
            self.degrees = degrees

        def __str__(self) -> str:
            return f"{self.degrees}°C"

    own = TypeRegistry()
    own.register_type("float8", decode=Celsius, encode=lambda value: value.degrees)
    made, array = own.get(701), own.get(1022)
    assert made is not None
    assert array is not None
    row = data_row([struct.pack("!d", 21.5), array.encode_payload([Celsius(1.0), None])])
    assert decoder(made, array).json_payload(row) == '{"c0":"21.5°C","c1":["1.0°C",null]}'.encode()


def test_e99_a_decoder_of_the_user_that_raises_names_the_column() -> None:
    def explode(value: object) -> object:
        raise RuntimeError("no such thing")

    own = TypeRegistry()
    own.register_type("int4", decode=explode)
    made = own.get(23)
    assert made is not None
    for read in (decoder(made).json_payload, decoder(made).decode_payload):
        with pytest.raises(
            DecodeError, match=r"column 'c0' \(int4\): its decoder raised `RuntimeError`$"
        ) as caught:
            read(data_row([struct.pack("!i", 1)]))
        assert isinstance(caught.value.__cause__, RuntimeError)


def test_e99_a_document_nested_without_end_fails_only_its_row() -> None:
    document = b"[" * 100_000 + b"]" * 100_000
    with pytest.raises(DecodeError, match="RecursionError"):
        decoder(codec("json")).decode_payload(data_row([document]))
    # C has no recursion to exceed: the text is passed on.
    assert decoder(codec("json"), into="scalar").json_payload(data_row([document])) == document


def test_the_json_of_a_type_whose_sending_alone_was_changed() -> None:
    own = TypeRegistry()
    own.register_type("money", digits=3, encode=lambda value: value)
    own.register_type("macaddr", encode=str.lower)
    money, address = own.get(790), own.get(829)
    assert money is not None
    assert address is not None
    row = data_row([struct.pack("!q", -1500), address.encode_payload("08:00:2B:01:02:03")])
    assert decoder(money, address).json_payload(row) == b'{"c0":"-1.500","c1":"08:00:2b:01:02:03"}'


def test_the_writer_grows_to_any_size() -> None:
    text = "é\n" * 500_000
    made = decoder(codec("text"))
    assert made.json_payload(data_row([text.encode()])) == b'{"c0":' + encode(text) + b"}"
