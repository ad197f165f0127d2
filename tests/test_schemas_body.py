"""A refused body: 400 when it is no JSON, 422 with every fault when it is not what was asked for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple, TypedDict

import msgspec
import pytest

from swift.http.problems import ErrorDetail
from swift.schemas import DECODE_ERRORS, UNSET, Meta, Schema, UnsetType, compile_body, field


class Item(Schema, forbid_unknown_fields=True):
    sku: Annotated[str, Meta(min_length=3)]
    qty: Annotated[int, Meta(ge=1, le=99)] = 1


class Order(Schema, rename="camel"):
    order_id: int
    items: list[Item]
    note: str | UnsetType | None = UNSET
    prices: dict[str, float] = field(default_factory=dict)
    state: Literal["open", "paid"] = "open"


def explain(type_: Any, data: bytes, **options: Any) -> tuple[int, list[ErrorDetail]]:
    decoder = compile_body(type_)
    with pytest.raises(DECODE_ERRORS):
        decoder.decode(data)
    return decoder.explain(data, **options)


def faults(type_: Any, data: bytes) -> list[tuple[str, str, str]]:
    status, errors = explain(type_, data)
    assert status == 422
    return [(error.pointer, error.code, error.detail) for error in errors]


def test_a_good_body_is_one_call_into_msgspec() -> None:
    decoder = compile_body(Order)
    assert type(decoder.decode).__name__ == "builtin_function_or_method"
    order = decoder.decode(b'{"orderId": 1, "items": [{"sku": "abc"}]}')
    assert order == Order(order_id=1, items=[Item(sku="abc")])
    assert order.note is UNSET


def test_all_faults_are_told_at_once_in_the_order_of_the_body() -> None:
    body = (
        b'{"note": 5, "items": [{"sku": "a", "qty": 0, "x/y": 1}, 7, {"sku": "abc", "qty": "2"}],'
        b' "prices": {"a~b": "x"}, "state": "lost"}'
    )
    assert faults(Order, body) == [
        ("/body/note", "type", "Expected `str | null`, got `int`"),
        ("/body/items/0/sku", "too_short", "Expected `str` of length >= 3"),
        ("/body/items/0/qty", "too_small", "Expected `int` >= 1"),
        ("/body/items/0/x~1y", "unknown_field", "Object contains unknown field"),
        ("/body/items/1", "type", "Expected `object`, got `int`"),
        ("/body/items/2/qty", "type", "Expected `int`, got `str`"),
        ("/body/prices/a~0b", "type", "Expected `float`, got `str`"),
        ("/body/state", "enum", "Invalid enum value, expected one of 'open', 'paid'"),
        ("/body/orderId", "missing", "Object missing required field `orderId`"),
    ]


MALFORMED = [
    (b"", "empty", "The body is empty; JSON was expected."),
    (b" \r\n\t", "empty", "The body is empty; JSON was expected."),
    (b"\xef\xbb\xbf{}", "encoding", "The body begins with a byte order mark; JSON is UTF-8 without one."),
    ("{}".encode("utf-16"), "encoding", "The body begins with a byte order mark; JSON is UTF-8 without one."),
    (b'{"note": "\xff"}', "encoding", "The body is not UTF-8: invalid byte at position 10."),
    (b'{"orderId": 1', "truncated", "The JSON is truncated: the body ends before its value does."),
    (b'{"orderId"', "truncated", "The JSON is truncated: the body ends before its value does."),
    (b'{"orderId": 1,}', "malformed", "The body is not JSON: trailing comma in object (byte 14)."),
    (b'{"orderId": 01}', "malformed", "The body is not JSON: invalid number (byte 13)."),
    (b"{'orderId': 1}", "malformed", "The body is not JSON: expected '\"' (byte 1)."),
    (b"{} {}", "malformed", "The body is not JSON: trailing characters (byte 4)."),
    (
        b'{"orderId": NaN}',
        "malformed",
        "The body is not JSON: invalid character (byte 12); NaN and Infinity are not JSON.",
    ),
    (
        b'{"orderId": Infinity}',
        "malformed",
        "The body is not JSON: invalid character (byte 12); NaN and Infinity are not JSON.",
    ),
    (
        b'{"orderId": -Infinity}',
        "malformed",
        "The body is not JSON: invalid character (byte 13); NaN and Infinity are not JSON.",
    ),
    (b'{"note": "\\ud800x"}', "malformed", "The body is not JSON: a text holds half of a surrogate pair."),
    (b'{"note": "\\ud800"}', "malformed", "The body is not JSON: a text holds half of a surrogate pair."),
    (b'{"note": "\\ud800\\n"}', "malformed", "The body is not JSON: a text holds half of a surrogate pair."),
    (
        b'{"note": "\\\\ud800x", "a',
        "truncated",
        "The JSON is truncated: the body ends before its value does.",
    ),
    (b'{"note": "\\ud800', "truncated", "The JSON is truncated: the body ends before its value does."),
    (b"[" * 100_000, "too_deep", "The JSON is nested too deeply."),
    (b'{"a":' * 100_000, "too_deep", "The JSON is nested too deeply."),
]


@pytest.mark.parametrize(("data", "code", "sentence"), MALFORMED, ids=[repr(row[0][:9]) for row in MALFORMED])
@pytest.mark.parametrize("type_", [Order, Any, list[int]])
def test_what_is_no_json_is_400_with_one_sentence(type_: Any, data: bytes, code: str, sentence: str) -> None:
    assert explain(type_, data) == (400, [ErrorDetail("/body", code, sentence)])


def test_syntax_is_judged_before_shape() -> None:
    assert explain(Order, b'{"orderId": "x", "items": [}')[0] == 400


def test_deep_json_in_an_ignored_field_is_400_too() -> None:
    body = b'{"orderId": "x", "zzz": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    assert explain(Order, body) == (400, [ErrorDetail("/body", "too_deep", "The JSON is nested too deeply.")])


def test_an_integer_of_5000_digits_is_out_of_range() -> None:
    body = b'{"orderId": %b, "items": [{"sku": 1}]}' % (b"9" * 5000)
    assert faults(Order, body) == [
        ("/body/orderId", "out_of_range", "Integer value out of range"),
        ("/body/items/0/sku", "type", "Expected `str`, got `int`"),
    ]
    assert faults(Any, b"[1, %b]" % (b"9" * 5000)) == [
        ("/body/1", "out_of_range", "Integer value out of range")
    ]
    assert faults(float, b"1e999") == [("/body", "out_of_range", "Number out of range")]


def test_each_of_two_members_with_one_name_is_judged() -> None:
    assert compile_body(Item).decode(b'{"sku": "abc", "qty": 1, "qty": 2}').qty == 2
    assert faults(Item, b'{"sku": "abc", "qty": 0, "qty": 2}') == [
        ("/body/qty", "too_small", "Expected `int` >= 1")
    ]


def test_what_was_sent_is_never_said_back() -> None:
    secret = "s3cr3t"
    body = msgspec.json.encode({"state": secret, "items": secret, "orderId": secret, "prices": {"a": secret}})
    assert all(secret not in error.detail for error in explain(Order, body)[1])


def test_a_key_too_long_for_a_pointer_leaves_it_at_the_object() -> None:
    body = msgspec.json.encode({"orderId": 1, "items": [], "prices": {"k" * 101: {"z": 1}, "k" * 100: "x"}})
    assert [error.pointer for error in explain(Order, body)[1]] == [
        "/body/prices",
        "/body/prices/" + "k" * 100,
    ]


def test_the_number_of_faults_is_bounded() -> None:
    body = b"[" + b",".join([b'"x"'] * 5000) + b"]"
    assert len(explain(list[int], body)[1]) == 100
    assert len(explain(list[int], body, limit=3)[1]) == 3


def test_the_prefix_of_the_pointers_may_be_chosen() -> None:
    assert explain(int, b'"x"', pointer="/body/item")[1][0].pointer == "/body/item"


def test_explaining_takes_linear_time() -> None:
    decoder = compile_body(list[Item])

    def best_of_three(size: int) -> float:
        body = b"[" + b'{"sku": "abc", "qty": 5},' * size + b"0]"
        durations = []
        for _ in range(3):
            # Of this process alone: tests run side by side.
            begin = time.process_time()
            assert [error.pointer for error in decoder.explain(body)[1]] == [f"/body/{size}"]
            durations.append(time.process_time() - begin)
        return min(durations)

    # Eight times the input; quadratic would be sixty-four.
    assert best_of_three(16_000) < 24 * best_of_three(2_000)


class Tree(Schema):
    value: int = 0
    children: list[Tree] = field(default_factory=list)


def test_a_recursive_type_is_walked() -> None:
    body = b'{"children": [{"value": 1}, {"children": [{"value": "x"}, {"children": 5}]}]}'
    assert [(error.pointer, error.code) for error in explain(Tree, body)[1]] == [
        ("/body/children/1/children/0/value", "type"),
        ("/body/children/1/children/1/children", "type"),
    ]


def test_a_fault_deeper_than_the_walk_can_go_is_still_told() -> None:
    depth = 400
    body = b'{"children": [' * depth + b'{"value": "x"}' + b"]}" * depth
    status, errors = explain(Tree, body)
    assert status == 422
    assert [error.code for error in errors] == ["type"]
    assert errors[0].pointer.endswith("/children/0/value")


class Circle(Schema, tag="circle"):
    radius: float


class Square(Schema, tag="square", forbid_unknown_fields=True):
    side: float


SHAPES = [
    (b'{"radius": 1}', [("/body/type", "missing")]),
    (b'{"type": 1}', [("/body/type", "type")]),
    (b'{"type": "triangle"}', [("/body/type", "invalid_tag")]),
    (b'{"type": "circle"}', [("/body/radius", "missing")]),
    (b'{"side": "x", "z": 1, "type": "square"}', [("/body/side", "type"), ("/body/z", "unknown_field")]),
    (b'{"type": "square", "side": 1, "type": "circle"}', [("/body/type", "invalid_tag")]),
    (
        b'{"type": "square", "side": "x", "type": "circle"}',
        [("/body/side", "type"), ("/body/type", "invalid_tag")],
    ),
    (b"[]", [("/body", "type")]),
]


@pytest.mark.parametrize(("body", "expected"), SHAPES)
def test_the_tag_of_a_union_is_judged_first(body: bytes, expected: list[tuple[str, str]]) -> None:
    assert [(error.pointer, error.code) for error in explain(Circle | Square, body)[1]] == expected


def test_an_unknown_tag_is_answered_with_the_known_ones() -> None:
    [(_, _, sentence)] = faults(Circle | Square, b'{"type": "triangle"}')
    assert sentence == "Invalid tag, expected one of 'circle', 'square'"


class Span(Schema):
    low: int
    high: int

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError("low must not exceed high")


class Careless(Schema):
    a: Any = None

    def __post_init__(self) -> None:
        self.a + 1


@dataclass
class Point:
    x: int
    y: int = 0

    def __post_init__(self) -> None:
        if self.x == self.y:
            raise ValueError("x and y must differ")


def test_post_init_speaks_for_its_object() -> None:
    body = b'[{"low": 2, "high": 1}, {"low": 1, "high": 2}, {"low": "a", "high": 1}]'
    assert faults(list[Span], body) == [
        ("/body/0", "invalid", "low must not exceed high"),
        ("/body/2/low", "type", "Expected `int`, got `str`"),
    ]
    assert faults(dict[str, Point], b'{"p": {"x": 0}}') == [("/body/p", "invalid", "x and y must differ")]


def test_the_text_of_a_type_error_is_not_told() -> None:
    assert faults(Careless, b'{"a": "s3cr3t"}') == [("/body", "invalid", "Invalid value")]


class Pair(NamedTuple):
    left: int
    right: str = ""


class Options(TypedDict, total=False):
    size: int


class Row(Schema, array_like=True, forbid_unknown_fields=True):
    a: int
    b: str = ""


CONTAINERS = [
    (Pair, b'["x", 1]', [("/body/0", "type"), ("/body/1", "type")]),
    (Pair, b"[]", [("/body", "too_short")]),
    (Pair, b'[1, "a", 2]', [("/body", "too_long")]),
    (tuple[int, str], b'["x"]', [("/body/0", "type"), ("/body", "too_short")]),
    (tuple[int, ...], b'["x"]', [("/body/0", "type")]),
    (Options, b'{"size": "x", "other": 1}', [("/body/size", "type")]),
    (Row, b'["x"]', [("/body/0", "type")]),
    (Row, b"[]", [("/body", "too_short")]),
    (Row, b'[1, "x", 3]', [("/body", "too_long")]),
    (Annotated[list[int], Meta(min_length=3)], b'[1, "x"]', [("/body/1", "type"), ("/body", "too_short")]),
    (Annotated[set[int], Meta(min_length=2)], b"[1, 1]", [("/body", "too_short")]),
    (Annotated[dict[str, int], Meta(max_length=1)], b'{"a": 1, "b": 2}', [("/body", "too_long")]),
    (dict[int, int], b'{"x": 1, "2": "y"}', [("/body/x", "type"), ("/body/2", "type")]),
    (set, b"[[1]]", [("/body", "type")]),
    (list[int] | None, b'"x"', [("/body", "type")]),
    (dict[str, int] | list[int] | str, b"[1, null]", [("/body/1", "type")]),
]


@pytest.mark.parametrize(("type_", "body", "expected"), CONTAINERS)
def test_every_kind_of_container_is_walked(type_: Any, body: bytes, expected: list[tuple[str, str]]) -> None:
    assert [(error.pointer, error.code) for error in explain(type_, body)[1]] == expected


def test_a_raw_field_takes_anything_that_is_json() -> None:
    class Envelope(Schema):
        payload: msgspec.Raw
        n: int

    assert faults(Envelope, b'{"payload": {"a": [1, "\xc3\xa9"]}, "n": "x"}') == [
        ("/body/n", "type", "Expected `int`, got `str`")
    ]


answers: Iterator[bool] = iter(())


class Fickle(Schema):
    a: int = 0

    def __post_init__(self) -> None:
        if next(answers):
            raise ValueError("not now")


class Fickles(Schema):
    items: list[Fickle]


@pytest.mark.parametrize(
    ("refused", "told"),
    [
        # At the first and the last decode, but not by the walk between them.
        ([True, False, True], ("/body/items/0", "invalid", "not now")),
        ([True, False, False], ("/body", "invalid", "Invalid value")),
    ],
)
def test_a_fault_that_the_walk_misses_is_told_by_msgspec(
    monkeypatch: pytest.MonkeyPatch, refused: list[bool], told: tuple[str, str, str]
) -> None:
    monkeypatch.setitem(globals(), "answers", iter(refused))
    assert faults(Fickles, b'{"items": [{"a": 1}]}') == [told]


class Money:
    def __init__(self, cents: int) -> None:
        self.cents = cents


def decode_money(cls: type, value: Any) -> Any:
    if not isinstance(value, int):
        raise ValueError("Expected a number of cents")
    return Money(value)


def test_a_hook_judges_the_types_of_the_application() -> None:
    class Bill(Schema):
        total: Money
        tip: Money | None = None

    decoder = compile_body(Bill, dec_hook=decode_money)
    assert decoder.decode(b'{"total": 5, "tip": null}').total.cents == 5
    assert decoder.explain(b'{"total": "5", "tip": {"a": 1}}') == (
        422,
        [
            ErrorDetail("/body/total", "invalid", "Expected a number of cents"),
            ErrorDetail("/body/tip", "invalid", "Expected a number of cents"),
        ],
    )


def test_a_type_that_no_json_can_become_is_refused_at_the_start() -> None:
    class Bill(Schema):
        total: list[Money]

    with pytest.raises(TypeError, match="No JSON value can become Money; register it with TypeHooks"):
        compile_body(Bill)
