"""The registry learns a database's own types by one query, and what the user says of types."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from swift._speedups.pgvalues import DecodeError
from swift.pg.registry import TypeRegistry
from swift.pg.types import Range
from tests.pg_support import Cluster, _database
from tests.pg_wire import Wire


class Mood(enum.Enum):
    SAD = "sad"
    OK = "ok"


class Level(enum.IntEnum):
    low = 1
    high = 2


class Address(msgspec.Struct):
    street: str | None
    number: int | None


@pytest.fixture(scope="module")
def database(pg_each: Cluster) -> Iterator[str]:
    with _database(pg_each) as dsn:
        yield dsn


@pytest.fixture
def wire(database: str) -> Iterator[Wire]:
    connected = Wire(database)
    connected.run("CREATE SCHEMA own; CREATE SCHEMA other; SET search_path = own")
    connected.run("CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TYPE other.mood AS ENUM ('other')")
    connected.run("CREATE TYPE level AS ENUM ('low', 'high')")
    connected.run("CREATE TYPE address AS (street text, number int4)")
    connected.run("CREATE DOMAIN positive AS int4 CHECK (value > 0)")
    connected.run("CREATE TYPE person AS (name text, homes address[], moods mood[], age positive)")
    yield connected
    connected.run("DROP SCHEMA own, other CASCADE")
    connected.close()


class Counting(Wire):
    """Counts the questions it asks."""

    asked = 0

    def ask(self, *args: Any, **kwargs: Any) -> Any:
        self.asked += 1
        return super().ask(*args, **kwargs)


def test_one_query_learns_a_type_and_all_it_is_made_of(wire: Wire) -> None:
    counting = Counting(wire.connection.info.dsn)
    try:
        oids = [wire.codec(name).oid for name in ("person", "person[]", "mood", "int4range")]
        assert counting.asked == 0
        codecs = counting.codecs(oids)
        assert counting.asked == 1
        assert [codec.name for codec in codecs] == ["person", "_person", "mood", "int4range"]
        # What they are made of came along.
        assert counting.codecs(
            [wire.codec(name).oid for name in ("address", "address[]", "positive", "mood[]")]
        )
        assert counting.asked == 1
    finally:
        counting.close()


def test_built_in_types_are_never_asked_for() -> None:
    registry = TypeRegistry()
    assert registry.unknown([16, 23, 25, 1007, 2249, 2287, 3904, 3905, 4451, 6150, 114, 3802]) == []
    assert registry.unknown([99999, 23, 99999, 88888]) == [99999, 88888]


def test_what_the_catalog_does_not_know_is_text(wire: Wire) -> None:
    registry = TypeRegistry()
    registry.learn([], [99999])
    codec = registry.get(99999)
    assert codec is not None
    assert (codec.format, codec.decode_payload(b"x")) == (0, "x")
    assert registry.unknown([99999]) == []


def test_nested_types_go_both_ways(wire: Wire) -> None:
    person = wire.value("ROW('Ann', ARRAY[ROW('x', 1)::address, NULL], '{sad,NULL}', 5)::person")
    assert person.name == "Ann"
    assert person.homes[0].street == "x"
    assert person.moods == ["sad", None]
    assert (
        wire.sent(("Ann", [("x", 1), None], ["sad", None], 5), "person")
        == '(Ann,"{""(x,1)"",NULL}","{sad,NULL}",5)'
    )


def test_e45_an_oid_above_two_to_the_31_is_unsigned() -> None:
    registry = TypeRegistry()
    registry.learn([(2**32 - 2, "mood", "public", "e", 0, ",", True, [], [])])
    codec = registry.get(2**32 - 2)
    assert codec is not None
    assert (codec.oid, codec.decode_payload(b"sad")) == (2**32 - 2, "sad")


def test_e45_an_altered_composite_says_so_and_is_learnt_anew(wire: Wire) -> None:
    assert wire.value("ROW('x', 1)::address").number == 1
    wire.run("ALTER TYPE address ADD ATTRIBUTE zip text")
    with pytest.raises(DecodeError, match="changed since"):
        wire.value("ROW('x', 1, '9')::address")
    with pytest.raises(DecodeError, match="malformed value"):
        wire.json("ROW('x', 1, '9')::address")
    wire.registry.forget()
    assert wire.value("ROW('x', 1, '9')::address").zip == "9"
    wire.run("ALTER TYPE address DROP ATTRIBUTE zip; ALTER TYPE address ALTER ATTRIBUTE number TYPE int8")
    wire.registry.forget()
    assert wire.value("ROW('x', 2::int8)::address").number == 2
    wire.run("ALTER TYPE address ALTER ATTRIBUTE number TYPE text")
    with pytest.raises(DecodeError, match="'number' changed its type"):
        wire.value("ROW('x', '2')::address")


def test_enums_by_value_and_by_name(wire: Wire) -> None:
    wire.registry.register_type("mood", python_type=Mood)
    wire.registry.register_type("level", python_type=Level)
    assert wire.value("'sad'::mood") is Mood.SAD
    assert wire.value("'{ok,NULL}'::mood[]") == [Mood.OK, None]
    assert wire.value("'high'::level") is Level.high
    assert wire.sent(Level.low, "level") == "low"
    assert wire.sent([Mood.OK], "mood[]") == "{ok}"
    assert wire.json("'sad'::mood") == b'"sad"'


def test_a_schema_chooses_among_types_of_one_name(wire: Wire) -> None:
    wire.registry.register_type("mood", schema="own", python_type=Mood)
    assert wire.value("'sad'::mood") is Mood.SAD
    assert wire.value("'other'::other.mood") == "other"


def test_composites_become_objects(wire: Wire) -> None:
    wire.registry.register_type("address", python_type=Address)
    assert wire.value("ROW('x', NULL)::address") == Address("x", None)
    person = wire.value("ROW('Ann', ARRAY[ROW('x', 1)::address], NULL, 5)::person")
    assert person.homes == [Address("x", 1)]
    assert wire.sent(Address("y", 2), "address") == "(y,2)"
    assert wire.json("ROW('x', NULL)::address") == b'{"street":"x","number":null}'


def test_a_composite_whose_sending_alone_was_changed(wire: Wire) -> None:
    wire.registry.register_type("address", encode=lambda text: (text, 7))
    assert wire.sent("x", "address") == "(x,7)"
    assert wire.json("ROW('x', 1)::address") == b'{"street":"x","number":1}'
    assert wire.json("ARRAY[ROW('x', 1)::address, NULL]") == b'[{"street":"x","number":1},null]'


def test_functions_around_a_built_in_type_hold_inside_its_arrays(wire: Wire) -> None:
    wire.registry.register_type("numeric", decode=float, encode=lambda value: Decimal(str(value)))
    assert wire.value("1.5::numeric") == 1.5
    assert wire.value("'{1.5,NULL}'::numeric[]") == [1.5, None]
    assert wire.sent(2.5, "numeric") == "2.5"
    assert wire.json("1.50::numeric") == b"1.5"
    # Another registry, and types built on it before, stay as they were.
    assert TypeRegistry().get(1700) is not wire.registry.get(1700)


def test_the_bytes_and_the_text_of_a_type(wire: Wire) -> None:
    wire.registry.register_type("timestamptz", format="binary")
    assert wire.value("'2000-01-01 00:00:00+00'::timestamptz") == b"\0" * 8
    assert wire.sent(b"\0" * 8, "timestamptz") == "2000-01-01 00:00:00+00"
    wire.registry.register_type("interval", format="text", decode=str.upper)
    assert wire.value("'1 mon'::interval") == "1 MON"
    assert wire.sent("2 days", "interval") == "2 days"


def test_what_register_type_refuses() -> None:
    registry = TypeRegistry()
    with pytest.raises(ValueError, match="format"):
        registry.register_type("int4", format="xml")
    with pytest.raises(ValueError, match="0 to 6 digits"):
        registry.register_type("money", digits=7)
    with pytest.raises(ValueError, match="either"):
        registry.register_type("mood", python_type=Mood, decode=str)
    with pytest.raises(TypeError, match="neither an enum nor a composite"):
        registry.register_type("int4", python_type=Address)


def test_types_of_extensions_without_a_codec_are_text(wire: Wire) -> None:
    wire.run(
        "CREATE TYPE odd; CREATE FUNCTION odd_in(cstring) RETURNS odd LANGUAGE internal STRICT IMMUTABLE AS 'textin'"
    )
    wire.run("CREATE FUNCTION odd_out(odd) RETURNS cstring LANGUAGE internal STRICT IMMUTABLE AS 'textout'")
    wire.run("CREATE TYPE odd (INPUT = odd_in, OUTPUT = odd_out, LIKE = text)")
    assert wire.value("'x y'::odd") == "x y"
    assert wire.value("'{x,NULL,\"y,z\"}'::odd[]") == ["x", None, "y,z"]
    assert wire.sent("x y", "odd") == "x y"
    assert wire.sent(['a"b', "c\\d", None], "odd[]") == wire.text("ARRAY['a\"b', 'c\\d', NULL]::odd[]")


def test_domains_over_everything(wire: Wire) -> None:
    wire.run("CREATE DOMAIN street AS address CHECK ((value).number IS NULL OR (value).number > 0)")
    wire.run("CREATE DOMAIN days AS daterange; CREATE DOMAIN label AS mood; CREATE DOMAIN deep AS positive")
    assert wire.value("ROW('x', 1)::address::street").street == "x"
    assert wire.sent(("x", 1), "street") == "(x,1)"
    assert wire.sent(Range(None, None), "days") == "(,)"
    assert wire.sent("sad", "label") == "sad"
    assert wire.value("ARRAY[5]::deep[]") == [5]
    wire.registry.register_type("deep", decode=lambda value: -value, encode=lambda value: -value)
    assert wire.sent(-5, "deep") == "5"
    assert wire.value("ARRAY[5]::deep[]") == [-5]
