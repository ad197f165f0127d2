"""The codes of msgspec's sentences, pinned against the installed msgspec."""

from __future__ import annotations

import datetime
import decimal
import enum
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
import pytest
from msgspec import Meta

from swift.schemas.codes import INVALID, describe, path_to_keys, split_path

DateTime = datetime.datetime


class Colour(enum.Enum):
    RED = "red"


class Strict(msgspec.Struct, forbid_unknown_fields=True):
    a: int


class Row(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    a: int


class Cat(msgspec.Struct, tag="cat"):
    a: int = 0


class Pair(NamedTuple):
    a: int
    b: int


SENTENCES: list[tuple[Any, bytes, str, str]] = [
    (Strict, b"{}", "missing", "Object missing required field `a`"),
    (Strict, b'{"a": 1, "zz": 1}', "unknown_field", "Object contains unknown field"),
    (int, b'"x"', "type", "Expected `int`, got `str`"),
    (int | None, b"[]", "type", "Expected `int | null`, got `array`"),
    (Annotated[int, Meta(ge=2)], b"1", "too_small", "Expected `int` >= 2"),
    (Annotated[int, Meta(gt=2)], b"1", "too_small", "Expected `int` >= 3"),
    (Annotated[float, Meta(gt=2)], b"1", "too_small", "Expected `float` > 2.0"),
    (Annotated[int, Meta(le=2)], b"3", "too_large", "Expected `int` <= 2"),
    (Annotated[float, Meta(lt=2)], b"3", "too_large", "Expected `float` < 2.0"),
    (Annotated[int, Meta(multiple_of=2)], b"3", "multiple_of", "Expected `int` that's a multiple of 2"),
    (Annotated[float, Meta(multiple_of=2)], b"3", "multiple_of", "Expected `float` that's a multiple of 2.0"),
    (Annotated[str, Meta(min_length=2)], b'"x"', "too_short", "Expected `str` of length >= 2"),
    (Annotated[str, Meta(max_length=2)], b'"xyz"', "too_long", "Expected `str` of length <= 2"),
    (Annotated[bytes, Meta(min_length=2)], b'"AA=="', "too_short", "Expected `bytes` of length >= 2"),
    (Annotated[list[int], Meta(min_length=2)], b"[]", "too_short", "Expected `array` of length >= 2"),
    (Annotated[list[int], Meta(max_length=1)], b"[1,2]", "too_long", "Expected `array` of length <= 1"),
    (Annotated[dict[str, int], Meta(min_length=1)], b"{}", "too_short", "Expected `object` of length >= 1"),
    (Annotated[str, Meta(pattern="^a$")], b'"b"', "pattern", "Expected `str` matching regex '^a$'"),
    (tuple[int, int], b"[1]", "length", "Expected `array` of length 2"),
    (Pair, b"[1]", "length", "Expected `array` of length 2"),
    (Row, b"[]", "too_short", "Expected `array` of at least length 1, got 0"),
    (Row, b"[1, 2]", "too_long", "Expected `array` of at most length 1"),
    (Colour, b'"x"', "enum", "Invalid enum value"),
    (Cat, b'{"type": "dog"}', "invalid_tag", "Invalid tag"),
    (Cat, b'{"type": 1}', "type", "Expected `str`"),
    (DateTime, b'"x"', "format_datetime", "Invalid RFC3339 encoded datetime"),
    (datetime.date, b'"x"', "format_date", "Invalid RFC3339 encoded date"),
    (datetime.time, b'"x"', "format_time", "Invalid RFC3339 encoded time"),
    (datetime.timedelta, b'"x"', "format_duration", "Invalid ISO8601 duration"),
    (
        datetime.timedelta,
        b'"P1Y"',
        "format_duration",
        "Only units 'D', 'H', 'M', and 'S' are supported when parsing ISO8601 durations",
    ),
    (datetime.timedelta, b'"P99999999999999D"', "out_of_range", "Duration is out of range"),
    (uuid.UUID, b'"x"', "format_uuid", "Invalid UUID"),
    (decimal.Decimal, b'"x"', "format_decimal", "Invalid decimal string"),
    (bytes, b'"x"', "format_base64", "Invalid base64 encoded string"),
    (
        Annotated[DateTime, Meta(tz=True)],
        b'"2024-01-01T00:00:00"',
        "timezone",
        "Expected `datetime` with a timezone component",
    ),
    (
        Annotated[DateTime, Meta(tz=False)],
        b'"2024-01-01T00:00:00Z"',
        "timezone",
        "Expected `datetime` with no timezone component",
    ),
    (int, b"9" * 5000, "out_of_range", "Integer value out of range"),
    (float, b"1e999", "out_of_range", "Number out of range"),
]


@pytest.mark.parametrize(("type_", "data", "code", "sentence"), SENTENCES)
def test_each_sentence_has_its_code(type_: Any, data: bytes, code: str, sentence: str) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.json.decode(data, type=type_)
    assert describe(split_path(str(caught.value))[0]) == (code, sentence)


LAX = [
    (DateTime, "99999999999999999", "out_of_range", "Timestamp is out of range"),
    (DateTime, "nan", "format_datetime", "Invalid epoch timestamp"),
]


@pytest.mark.parametrize(("type_", "text", "code", "sentence"), LAX)
def test_sentences_about_parameters_have_codes(type_: Any, text: str, code: str, sentence: str) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert(text, type_, strict=False)
    assert describe(split_path(str(caught.value))[0]) == (code, sentence)


def test_no_sentence_of_the_installed_msgspec_is_without_a_code() -> None:
    """Every format that msgspec ends with a path (`%U`) is a sentence to a client."""
    binary = Path(msgspec._core.__file__ or "").read_bytes()
    texts = {text.decode("ascii", "replace") for text in binary.split(b"\0") if text.endswith(b"%U")}
    sentences = {text.removesuffix("%U") for text in texts if "MessagePack" not in text} - {
        "",
        "%S",
        " - at ",
    }
    sentences = {text for text in sentences if text[:1].isupper()}
    assert len(sentences) >= 30, "the sentences are no longer found this way"
    assert {text for text in sentences if describe(text)[0] == INVALID} == set()


def test_a_sentence_of_the_application_keeps_its_words() -> None:
    assert describe("low must not exceed high") == (INVALID, "low must not exceed high")


PATHS = [
    ("Expected `int`", "Expected `int`", []),
    ("Expected `int` - at `$.a[3].b`", "Expected `int`", ["a", 3, "b"]),
    ("Expected `int` - at `$.a[...].b`", "Expected `int`", ["a"]),
    ("Expected `int` - at `key` in `$.a`", "Expected `int`", ["a"]),
    ("look - at `this` - at `$[0]`", "look - at `this`", [0]),
]


@pytest.mark.parametrize(("message", "sentence", "keys"), PATHS)
def test_paths_of_msgspec_are_understood(message: str, sentence: str, keys: list[str | int]) -> None:
    found, path = split_path(message)
    assert (found, path_to_keys(path)) == (sentence, keys)


def test_the_walk_is_not_imported_before_something_is_refused() -> None:
    script = (
        "import sys; from swift.schemas import compile_body; compile_body(int).decode(b'1');"
        "sys.exit('swift.schemas.walk' in sys.modules or 'json.decoder' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
