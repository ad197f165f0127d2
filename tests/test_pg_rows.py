"""Row and the decoder of rows: into Row, tuple, dict, Struct, dataclass, NamedTuple, scalar."""

from __future__ import annotations

import copy
import dataclasses
import datetime
import enum
import gc
import ipaddress
import pickle
import struct
import sys
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple, NewType

import msgspec
import pytest

from swift._speedups.pgrows import Columns, Row, RowDecoder, make_row
from swift._speedups.pgvalues import Codec, DecodeError
from swift.pg.registry import TypeRegistry
from swift.pg.types import Interval, PgTimestamptz, Point, Range
from tests.pg_wire import data_row, frame

REGISTRY = TypeRegistry()
UTC = datetime.UTC


def codec(name: str) -> Codec:
    return next(found for found in REGISTRY.codecs.values() if found.name == name)


def decoder(into: Any = None, **columns: str) -> RowDecoder:
    return RowDecoder(Columns(columns), [codec(name) for name in columns.values()], into)


def payload(*values: tuple[str, Any]) -> bytes:
    return data_row([codec(name).encode_payload(value) for name, value in values])


ONE = payload(("int4", 1), ("text", "one"))


# ---- Row -------------------------------------------------------------------------------------------------


def test_a_row_by_position_name_and_attribute() -> None:
    row = decoder(id="int4", name="text").decode_payload(ONE)
    assert type(row) is Row
    assert (row[0], row["id"], row.id) == (1, 1, 1)
    assert (row[-1], row[:2]) == ("one", (1, "one"))
    assert (len(row), list(row), tuple(row), dict(row)) == (
        2,
        [1, "one"],
        (1, "one"),
        {"id": 1, "name": "one"},
    )
    assert (row.keys(), row.values(), row.items()) == (
        ("id", "name"),
        (1, "one"),
        [("id", 1), ("name", "one")],
    )
    assert row.get("name") == "one"
    assert row.get("nothing", 7) == 7
    assert "one" in row
    assert repr(row) == "<Row id=1 name='one'>"


def test_a_row_knows_what_it_does_not_have() -> None:
    row = decoder(id="int4", name="text").decode_payload(ONE)
    with pytest.raises(KeyError, match="nothing"):
        row["nothing"]
    with pytest.raises(AttributeError, match="nothing"):
        _ = row.nothing
    with pytest.raises(IndexError):
        row[2]
    with pytest.raises((AttributeError, TypeError)):
        row.id = 5
    with pytest.raises(TypeError, match="come from a query"):
        Row()


def test_rows_compare_hash_sort_copy_and_pickle() -> None:
    made = decoder(id="int4", name="text")
    first, again = made.decode_payload(ONE), made.decode_payload(ONE)
    second = made.decode_payload(payload(("int4", 2), ("text", "two")))
    assert first == again == (1, "one")
    assert first != second
    assert first != [1, "one"]
    assert hash(first) == hash((1, "one"))
    assert sorted([second, first]) == [first, second]
    assert pickle.loads(pickle.dumps(first)) == first
    assert pickle.loads(pickle.dumps(first)).name == "one"
    assert copy.deepcopy(first) == first


def test_a_column_named_like_a_method_is_reached_by_name() -> None:
    row = decoder(keys="int4", id="text").decode_payload(ONE)
    assert row["keys"] == 1
    assert row.keys() == ("keys", "id")
    assert dict(row) == {"keys": 1, "id": "one"}


def test_e97_of_columns_with_one_name_the_name_finds_the_first() -> None:
    made = RowDecoder(Columns(["a", "a", "b"]), [codec("int4")] * 3)
    row = made.decode_payload(payload(("int4", 1), ("int4", 2), ("int4", 3)))
    assert (row.a, row["a"], row[1], row.b) == (1, 1, 2, 3)
    assert RowDecoder(made.columns, made.codecs, dict).decode_payload(
        payload(("int4", 1), ("int4", 2), ("int4", 3))
    ) == {"a": 1, "b": 3}
    with pytest.raises(ValueError, match="2 columns, 1 values"):
        make_row(Columns(["a", "b"]), (1,))


def test_e97_rows_without_columns_still_count() -> None:
    made = decoder()
    assert made.decode_run(frame(data_row([])) * 3) == [(), (), ()]
    assert len(made.decode_run(frame(data_row([])) * 3)) == 3
    assert decoder(dict).decode_run(frame(data_row([])) * 2) == [{}, {}]
    assert decoder("scalar").decode_run(frame(data_row([])) * 2) == [None, None]


def test_e97_as_many_columns_as_a_result_may_have() -> None:
    columns = {f"c{i}": "int4" for i in range(1664)}
    row = decoder(**columns).decode_payload(payload(*[("int4", i) for i in range(1664)]))
    assert row.c1663 == 1663


# ---- plain shapes ----------------------------------------------------------------------------------------


def test_rows_become_tuples_dicts_and_scalars() -> None:
    assert decoder(tuple, id="int4", name="text").decode_payload(ONE) == (1, "one")
    assert decoder(dict, id="int4", name="text").decode_payload(ONE) == {"id": 1, "name": "one"}
    assert decoder("scalar", id="int4", name="text").decode_payload(ONE) == 1
    assert decoder("scalar", id="int4").decode_payload(data_row([None])) is None
    with pytest.raises(TypeError, match="rows become"):
        decoder(int, id="int4")


def test_a_scalar_decodes_no_other_column() -> None:
    # The second column would not decode; nobody asked for it.
    assert (
        decoder("scalar", id="int4", name="text").decode_payload(data_row([struct.pack("!i", 1), b"\xff"]))
        == 1
    )


def test_a_run_holds_whole_rows_only() -> None:
    made = decoder(id="int4", name="text")
    assert made.decode_run(frame(ONE) * 3) == [(1, "one")] * 3
    for wrong in (frame(ONE)[:-1], frame(ONE) + b"D", b"C\0\0\0\x04", b"D\0\0\0\x03", b"D\xff\xff\xff\xff"):
        with pytest.raises(DecodeError, match="whole rows"):
            made.decode_run(wrong)


# ---- Structs ---------------------------------------------------------------------------------------------


class Mood(enum.Enum):
    SAD = "sad"


class User(msgspec.Struct):
    id: int
    name: str


class Size(msgspec.Struct):
    width: int


class Shirt(msgspec.Struct):
    size: Size
    sizes: list[Size]


class Strict(msgspec.Struct, forbid_unknown_fields=True):
    id: int


def test_e101_a_struct_takes_columns_by_name_in_any_order() -> None:
    assert decoder(User, id="int4", name="text").decode_payload(ONE) == User(1, "one")
    swapped = payload(("text", "one"), ("int4", 1))
    assert decoder(User, name="text", id="int4").decode_payload(swapped) == User(1, "one")
    extra = payload(("int4", 1), ("bool", True), ("text", "one"))
    assert decoder(User, id="int4", other="bool", name="text").decode_payload(extra) == User(1, "one")


def test_e101_missing_and_forbidden_columns_fail_before_the_first_row() -> None:
    with pytest.raises(TypeError, match=r"`User.name` has no column of its name; the columns are: id"):
        decoder(User, id="int4")
    with pytest.raises(TypeError, match="`Strict` has no field for the columns: name"):
        decoder(Strict, id="int4", name="text")


def test_e101_defaults_stand_for_missing_columns() -> None:
    class Account(msgspec.Struct):
        id: int
        tags: list[str] = msgspec.field(default_factory=list)
        name: str = "nobody"
        plan: str | None = None

    made = decoder(Account, id="int4", name="text").decode_payload(ONE)
    assert made == Account(1, [], "one", None)
    other = decoder(Account, id="int4", name="text").decode_payload(ONE)
    assert made.tags is not other.tags


def test_e101_null_into_a_field_that_is_not_optional_raises() -> None:
    row = data_row([None, b"x"])
    with pytest.raises(DecodeError, match=r"column 'id' \(int4\): NULL, and the field is not optional"):
        decoder(User, id="int4", name="text").decode_payload(row)

    class Loose(msgspec.Struct):
        id: int | None
        name: Any

    assert decoder(Loose, id="int4", name="text").decode_payload(row) == Loose(None, "x")


def test_e101_renamed_frozen_keyword_only_and_tagged_structs() -> None:
    class Camel(msgspec.Struct, rename="camel", frozen=True):
        user_id: int
        full_name: str

    assert decoder(Camel, userId="int4", full_name="text").decode_payload(ONE) == Camel(1, "one")

    class Keywords(msgspec.Struct, kw_only=True):
        id: int
        name: str = "x"

    assert decoder(Keywords, id="int4", name="text").decode_payload(ONE) == Keywords(id=1, name="one")

    class Base(msgspec.Struct):
        id: int

    class Derived(Base, kw_only=True):
        name: str

    assert decoder(Derived, name="text", id="int4").decode_payload(
        payload(("text", "one"), ("int4", 1))
    ) == Derived(1, name="one")

    class Tagged(msgspec.Struct, tag="user"):
        id: int
        name: str

    assert decoder(Tagged, id="int4", name="text").decode_payload(ONE) == Tagged(1, "one")


def test_e101_types_are_converted_or_refused() -> None:
    class Typed(msgspec.Struct):
        id: float
        name: Decimal

    assert decoder(Typed, id="int4", name="numeric").decode_payload(
        payload(("int4", 1), ("numeric", Decimal("1.50")))
    ) == Typed(1.0, Decimal("1.50"))

    class Wrong(msgspec.Struct):
        name: int

    with pytest.raises(DecodeError, match=r"column 'name' \(text\): Expected `int`"):
        decoder(Wrong, name="text").decode_payload(payload(("text", "one")))


def test_e101_constraints_hold() -> None:
    class Positive(msgspec.Struct):
        id: Annotated[int, msgspec.Meta(gt=0)]

    assert decoder(Positive, id="int4").decode_payload(payload(("int4", 1))) == Positive(1)
    with pytest.raises(DecodeError, match=r"column 'id' \(int4\): Expected `int` >= 1"):
        decoder(Positive, id="int4").decode_payload(payload(("int4", -1)))


def test_e101_post_init_runs() -> None:
    seen = []

    class Noted(msgspec.Struct):
        id: int

        def __post_init__(self) -> None:
            seen.append(self.id)

    decoder(Noted, id="int4").decode_payload(payload(("int4", 5)))
    assert seen == [5]


def test_e101_a_value_python_cannot_hold_needs_a_field_that_can() -> None:
    class Event(msgspec.Struct):
        at: datetime.datetime

    class Loose(msgspec.Struct):
        at: datetime.datetime | PgTimestamptz

    infinity = payload(("timestamptz", PgTimestamptz.infinity()))
    now = datetime.datetime(2020, 1, 1, tzinfo=UTC)
    assert decoder(Event, at="timestamptz").decode_payload(payload(("timestamptz", now))) == Event(now)
    with pytest.raises(DecodeError, match=r"column 'at' \(timestamptz\)"):
        decoder(Event, at="timestamptz").decode_payload(infinity)

    class Anything(msgspec.Struct):
        at: Any

    assert decoder(Anything, at="timestamptz").decode_payload(infinity).at == PgTimestamptz.infinity()


def test_e101_documents_become_structs_of_their_own() -> None:
    row = data_row([b'\x01{"width": 3}', b'[{"width":1}]'])
    assert decoder(Shirt, size="jsonb", sizes="json").decode_payload(row) == Shirt(Size(3), [Size(1)])
    with pytest.raises(DecodeError, match=r"column 'size' \(jsonb\).*width"):
        decoder(Shirt, size="jsonb", sizes="json").decode_payload(data_row([b'\x01{"width": "x"}', b"[]"]))


@pytest.mark.parametrize(
    ("name", "sent", "annotation", "value"),
    [
        ("inet", "10.0.0.1", ipaddress.IPv4Address | None, ipaddress.ip_address("10.0.0.1")),
        ("interval", Interval(1), Interval | None, Interval(1)),
        ("interval", datetime.timedelta(1), datetime.timedelta | None, datetime.timedelta(1)),
        ("int4range", Range(1, 3), Range, Range(1, 3)),
        ("int4range", Range(1, 3), Range[int], Range(1, 3)),
        ("int4multirange", [Range(1, 3)], list[Range[int]], [Range(1, 3)]),
        ("point", Point(1, 2), tuple[float, float], (1.0, 2.0)),
        ("_int4", [1, None], list[int | None], [1, None]),
        ("_text", ["a", "a"], set[str], {"a"}),
        ("pg_lsn", "0/5", int, 5),
        ("numeric", Decimal("1.5"), float, 1.5),
        ("text", "sad", Mood, Mood.SAD),
        ("text", "x", Literal["x", "y"], "x"),
        ("jsonb", {"a": 1}, dict[str, int], {"a": 1}),
        ("bytea", b"x", bytearray, bytearray(b"x")),
        ("int8", 5, NewType("UserId", int), 5),
    ],
)
def test_e101_fields_of_every_type(name: str, sent: Any, annotation: Any, value: Any) -> None:
    made = msgspec.defstruct("Made", [("x", annotation)])
    read = decoder(made, x=name).decode_payload(payload((name, sent)))
    assert read.x == value
    assert type(read.x) is type(value)


@pytest.mark.parametrize(
    ("name", "sent", "annotation"),
    [
        ("inet", "10.0.0.1", ipaddress.IPv6Address),
        ("_int4", [1, None], list[int]),
        ("numeric", Decimal("1.5"), int),
        ("timestamptz", datetime.datetime(2020, 1, 1, tzinfo=UTC), datetime.date),
        ("int4", 5, bool),
        ("bool", True, int),
        ("text", "z", Literal["x", "y"]),
        ("text", "z", Mood),
    ],
)
def test_e101_fields_of_another_type_raise(name: str, sent: Any, annotation: Any) -> None:
    made = msgspec.defstruct("Made", [("x", annotation)])
    with pytest.raises(DecodeError, match=rf"column 'x' \({name}\)"):
        decoder(made, x=name).decode_payload(payload((name, sent)))


def test_e101_an_interval_fits_a_timedelta_where_it_has_no_months() -> None:
    class Nap(msgspec.Struct):
        length: datetime.timedelta

    hour = datetime.timedelta(hours=1)
    assert decoder(Nap, length="interval").decode_payload(payload(("interval", hour))) == Nap(hour)
    with pytest.raises(DecodeError, match=r"column 'length' \(interval\)"):
        decoder(Nap, length="interval").decode_payload(data_row([struct.pack("!qii", 0, 0, 1)]))


def test_dataclasses_and_named_tuples() -> None:
    @dataclasses.dataclass
    class Point:
        id: int
        name: str = "x"
        computed: int = dataclasses.field(init=False, default=9)

    assert decoder(Point, name="text", id="int4").decode_payload(
        payload(("text", "one"), ("int4", 1))
    ) == Point(1, "one")

    @dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
    class Frozen:
        id: int
        name: str | None = None

    assert decoder(Frozen, id="int4").decode_payload(payload(("int4", 1))) == Frozen(id=1)

    class Pair(NamedTuple):
        name: str
        id: int = 0

    assert decoder(Pair, id="int4", name="text").decode_payload(ONE) == Pair("one", 1)
    with pytest.raises(DecodeError, match="not optional"):
        decoder(Pair, id="int4", name="text").decode_payload(data_row([None, b"x"]))


# ---- lifetime and memory ---------------------------------------------------------------------------------


def test_e98_nothing_refers_to_the_buffer_it_came_from() -> None:
    buffer = bytearray(frame(data_row([b"small", b"\x01\x02", b'{"a":"text"}'])))
    made = decoder(a="text", b="bytea", c="json")
    before = sys.getrefcount(buffer)
    (row,) = made.decode_run(buffer)
    assert sys.getrefcount(buffer) == before
    buffer[:] = b"\0" * len(buffer)  # a view left behind would forbid the next line
    buffer.clear()
    assert row == ("small", b"\x01\x02", {"a": "text"})


def test_e99_a_failure_in_the_middle_leaks_nothing() -> None:
    made = decoder(User, id="int4", name="text")
    bad = data_row([struct.pack("!i", 70000), b"\xff"])
    made_rows = decoder(id="int4", name="text", more="text")
    bad_row = data_row([struct.pack("!i", 70000), b"x" * 50, b"\xff"])

    def attempt() -> None:
        for target, row in ((made, bad), (made_rows, bad_row)):
            with pytest.raises(DecodeError):
                target.decode_payload(row)

    for _ in range(20):
        attempt()
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(200):
        attempt()
    gc.collect()
    assert sys.getallocatedblocks() - before < 100


def test_e102_rows_of_plain_values_are_no_work_for_the_collector() -> None:
    plain = decoder(id="int4", name="text").decode_payload(ONE)
    holding = decoder(id="int4", doc="json").decode_payload(data_row([struct.pack("!i", 1), b"[]"]))
    assert not gc.is_tracked(plain)
    assert gc.is_tracked(holding)
    # A cycle through a row's own document is still found.
    holding.doc.append(holding)
    marker = type("Marker", (), {})()
    holding.doc.append(marker)
    import weakref

    gone = weakref.ref(marker)
    del holding, marker
    gc.collect()
    assert gone() is None


def test_e99_a_decoder_may_be_entered_again_by_its_own_converter() -> None:
    inner: list[RowDecoder] = []

    def look(value: int) -> int:
        if value == 1:
            assert inner[0].decode_payload(payload(("int4", 2), ("text", "in"))) == User(3, "in")
        return value + 1

    own = TypeRegistry()
    own.register_type("int4", decode=look)
    int4 = own.get(23)
    assert int4 is not None
    inner.append(RowDecoder(Columns(["id", "name"]), [int4, codec("text")], User))
    assert inner[0].decode_payload(ONE) == User(2, "one")


def test_an_error_of_decoding_pickles() -> None:
    with pytest.raises(DecodeError) as caught:
        decoder(id="int4").decode_payload(data_row([b"abc"]))
    assert str(caught.value) == "column 'id' (int4): expected 4 bytes, got 3"
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.column, again.type_name, str(again)) == ("id", "int4", str(caught.value))
