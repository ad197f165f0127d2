"""JSON arrays of plain values become objects: `swift._speedups.jsonrows`."""

from __future__ import annotations

import base64

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as s

from swift._speedups.jsonrows import Layout


def objects(form: str, *values: str) -> list[str]:
    """How each of `values` is written in the form."""
    made = Layout([("key", form)]).objects(",".join(f"[{value}]" for value in values).encode())
    return made.decode().removeprefix('[{"key":').removesuffix("}]").split('},{"key":')


@pytest.mark.parametrize(
    ("form", "value", "written"),
    [
        ("plain", "12", "12"),
        ("plain", '"a\\"]},{\\\\"', '"a\\"]},{\\\\"'),
        ("plain", "null", "null"),
        ("quoted", '"1.50"', '"1.50"'),
        ("quoted", "1.5", '"1.5"'),
        ("bool", "1", "true"),
        ("bool", "0", "false"),
        ("bool", "7", "null"),
        ("float", "740000", "0.74"),
        ("float", "-1234500000", "-1234.5"),
        ("float", "0", "0.0"),
        ("float", "10", "0.00001"),
        ("float", "-9", "-9e-6"),
        ("float", "1000000", "1.0"),
        ("float", '"0.30000000000000004"', "0.30000000000000004"),
        ("float", '"null"', "null"),
        ("instant", '"2026-01-31T12:00:00.000000Z"', '"2026-01-31T12:00:00Z"'),
        ("instant", '"2026-01-31T12:00:00.000001Z"', '"2026-01-31T12:00:00.000001Z"'),
        ("instant", '"2026-01-31"', '"2026-01-31"'),
        ("clock", '"12:00:00.000000"', '"12:00:00"'),
        ("json", '"{\\"a\\":\\"\\\\n\\"}"', '{"a":"\\n"}'),
        ("json", "null", "null"),
        ("hex", '""', '""'),
        ("hex", '"00FF10AB"', '"AP8Qqw=="'),
        *((form, "null", "null") for form in ("quoted", "bool", "float", "instant", "clock", "json", "hex")),
    ],
)
def test_each_form_is_written_as_the_encoder_would(form: str, value: str, written: str) -> None:
    assert objects(form, value, value) == [written, written]


def test_no_rows_are_an_empty_array() -> None:
    assert Layout([("id", "plain")]).objects(b"") == b"[]"


def test_a_row_may_come_as_several_arrays_and_names_are_escaped() -> None:
    layout = Layout([("a", "plain"), ('"b"', "bool"), ("c", "plain")])

    assert layout.objects(b'[[1,1],["x"]],[[2,0],[null]]') == (
        b'[{"a":1,"\\"b\\"":true,"c":"x"},{"a":2,"\\"b\\"":false,"c":null}]'
    )


def test_long_values_find_their_room() -> None:
    rows = [[number, "x" * (number * 37 % 5000)] for number in range(500)]
    encoded = ",".join(msgspec.json.encode(row).decode() for row in rows)

    made = Layout([("number", "plain"), ("text", "plain")]).objects(encoded.encode())

    assert msgspec.json.decode(made) == [{"number": number, "text": text} for number, text in rows]


@pytest.mark.parametrize("broken", [b"[1", b"[1],[", b'[1,"a', b'[1,"a\\"]'])
def test_arrays_that_break_off_are_refused(broken: bytes) -> None:
    with pytest.raises(ValueError, match=r"A row has fewer values than members\.|A text has no end\."):
        Layout([("a", "plain"), ("b", "plain")]).objects(broken)


@given(s.binary(max_size=40))
def test_bytes_are_base64(raw: bytes) -> None:
    assert objects("hex", f'"{raw.hex().upper()}"') == [f'"{base64.b64encode(raw).decode()}"']


@given(s.text())
def test_json_in_text_is_that_json(text: str) -> None:
    inner = msgspec.json.encode({"key": text}).decode()
    made = Layout([("value", "json")]).objects(b"[" + msgspec.json.encode(inner) + b"]")

    assert msgspec.json.decode(made) == [{"value": {"key": text}}]
