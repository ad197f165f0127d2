"""Texts of queries, paths, headers, cookies and forms become values, or errors with a pointer."""

from __future__ import annotations

import datetime
import decimal
import enum
import uuid
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swift.http.problems import ErrorDetail
from swift.schemas import (
    PARAMETER_ERRORS,
    Email,
    Meta,
    Schema,
    compile_fields,
    compile_parameter,
    explain_scalar,
    field,
)
from swift.schemas.codes import describe


class Colour(enum.Enum):
    RED = "red"


GOOD = [
    (int, "5", 5),
    (bool, "true", True),
    (bool, "0", False),
    (float, "1.5", 1.5),
    (str, "nan", "nan"),
    (str | None, "null", "null"),
    (int | None, "null", None),
    (decimal.Decimal, "1.50", decimal.Decimal("1.50")),
    (datetime.date, "2024-02-29", datetime.date(2024, 2, 29)),
    (uuid.UUID, "c3a5e3a0-8c5b-4a7a-9f0e-0a8f3a1b2c3d", uuid.UUID("c3a5e3a0-8c5b-4a7a-9f0e-0a8f3a1b2c3d")),
    (Colour, "red", Colour.RED),
    (list[int], ["1", "2"], [1, 2]),
    (frozenset[str], ["a", "a"], frozenset("a")),
]


@pytest.mark.parametrize(("type_", "text", "value"), GOOD)
def test_the_type_decides_what_a_text_means(type_: Any, text: str | list[str], value: Any) -> None:
    assert compile_parameter(type_).decode(text) == value


BAD = [
    (int, "", "type", "Expected `int`, got `str`"),
    (int, " 1", "type", "Expected `int`, got `str`"),
    (int, "1_000", "type", "Expected `int`, got `str`"),
    (int, "١", "type", "Expected `int`, got `str`"),
    (int, "9" * 5000, "out_of_range", "Integer value out of range"),
    (Annotated[int, Meta(ge=1)], "0", "too_small", "Expected `int` >= 1"),
    (Literal["asc", "desc"], "up", "enum", "Invalid enum value, expected one of 'asc', 'desc'"),
    (Email, "a b", "format_email", "Expected an e-mail address"),
    (datetime.date, "2024-02-30", "format_date", "Invalid RFC3339 encoded date"),
    (int, "\udcff", "encoding", "Expected valid UTF-8"),
    *((kind, text, "type", "Expected a finite number") for kind in (float, decimal.Decimal, float | None)
      for text in ("nan", "-inf", "Infinity")),
]  # fmt: skip


@pytest.mark.parametrize(("type_", "text", "code", "sentence"), BAD)
def test_a_bad_text_is_one_error(type_: Any, text: str, code: str, sentence: str) -> None:
    decoder = compile_parameter(type_)
    with pytest.raises(PARAMETER_ERRORS):
        decoder.decode(text)
    expected = ErrorDetail("/query/q", code, sentence)
    assert decoder.explain(text, "/query/q") == [expected]
    assert explain_scalar(text, type_, "/query/q") == expected


def test_each_bad_text_of_a_collection_is_told() -> None:
    decoder = compile_parameter(Annotated[list[float], Meta(max_length=3)])
    texts = ["1", "x", "nan", "2"]
    with pytest.raises(PARAMETER_ERRORS):
        decoder.decode(texts)
    assert [(error.pointer, error.code) for error in decoder.explain(texts, "/query/ids")] == [
        ("/query/ids/1", "type"),
        ("/query/ids/2", "type"),
        ("/query/ids", "too_long"),
    ]


def test_a_good_text_is_one_call_into_msgspec() -> None:
    assert compile_parameter(int).decode.func is msgspec.convert  # type: ignore[attr-defined]


_TYPES = [
    int,
    float,
    bool,
    str,
    int | None,
    decimal.Decimal,
    datetime.datetime,
    datetime.date,
    datetime.time,
    datetime.timedelta,
    uuid.UUID,
    bytes,
    Colour,
    Literal[1, "x", None],
    Annotated[int, Meta(ge=3, multiple_of=2)],
    Annotated[str, Meta(pattern="^a", max_length=3)],
]
_texts = st.one_of(
    st.text(max_size=5),
    st.integers().map(str),
    st.floats().map(str),
    st.datetimes().map(lambda value: value.isoformat()),
    st.sampled_from(["true", "FALSE", "null", "1.0", "-0", "1e3", "AAAA", "P1D", "12:00:00Z", "sNaN", "x"]),
)


@given(st.sampled_from(_TYPES), _texts)
def test_what_is_refused_is_explained(type_: Any, text: str) -> None:
    decoder = compile_parameter(type_)
    try:
        decoder.decode(text)
    except PARAMETER_ERRORS as error:
        [told] = decoder.explain(text, "/path/x")
        assert told.pointer == "/path/x"
        # Judged as a JSON text with strict=False, in the words that `convert` used.
        code, words = describe(str(error))
        assert told.code == ("type" if words == "Expected a finite number" else code)
        assert told.detail.startswith(words)


class Upload:
    """What a form parser makes of a file."""


class Profile(Schema):
    name: Annotated[str, Meta(min_length=2)]
    age: int
    rate: float | None = None
    tags: list[Annotated[str, Meta(max_length=3)]] = field(default_factory=list)
    photo: Upload | None = None


def test_the_fields_of_a_form_become_a_struct() -> None:
    photo = Upload()
    fields: dict[str, list[Any]] = {
        "name": ["x", "Ada"],
        "age": ["36"],
        "tags": ["a", "b"],
        "photo": [photo],
        "other": ["1"],
    }
    assert compile_fields(Profile).decode(fields) == Profile(name="Ada", age=36, tags=["a", "b"], photo=photo)


def test_all_fields_of_a_form_are_judged_at_once() -> None:
    decoder = compile_fields(Profile)
    fields: dict[str, list[Any]] = {
        "name": [Upload()],
        "rate": ["nan"],
        "tags": ["a", "long"],
        "photo": ["x"],
    }
    with pytest.raises(PARAMETER_ERRORS):
        decoder.decode(fields)
    assert [(error.pointer, error.code) for error in decoder.explain(fields)] == [
        ("/body/name", "type"),
        ("/body/rate", "type"),
        ("/body/tags/1", "too_long"),
        ("/body/photo", "type"),
        ("/body/age", "missing"),
    ]


def test_a_number_of_a_form_must_be_finite() -> None:
    decoder = compile_fields(Profile)
    fields = {"name": ["Ada"], "age": ["1"], "rate": ["inf"]}
    with pytest.raises(PARAMETER_ERRORS):
        decoder.decode(fields)
    assert decoder.explain(fields, pointer="/query") == [
        ErrorDetail("/query/rate", "type", "Expected a finite number")
    ]
