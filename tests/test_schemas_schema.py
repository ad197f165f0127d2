"""`Schema` and the public names of swift.schemas."""

from __future__ import annotations

import ipaddress
from typing import Any, Generic, TypeVar

import msgspec
import pytest

import swift.schemas
from swift.schemas import Int16, Schema, TypeHooks, compile_body

T = TypeVar("T")


class Named(Schema):
    name: str = "anonymous"


class User(Named, rename="camel", frozen=True):
    user_id: int


class Page(Schema, Generic[T]):
    items: list[T]


def test_a_required_field_may_follow_an_optional_one() -> None:
    assert User(user_id=1).name == "anonymous"


def test_fields_are_given_by_name() -> None:
    with pytest.raises(TypeError):
        Named("Ada")  # type: ignore[misc]


def test_the_options_of_msgspec_are_class_arguments() -> None:
    user = compile_body(User).decode(b'{"userId": 1}')
    with pytest.raises(AttributeError):
        user.user_id = 2
    assert msgspec.json.encode(user) == b'{"name":"anonymous","userId":1}'


def test_defaults_are_left_out_of_the_repr() -> None:
    assert repr(User(user_id=1)) == "User(user_id=1)"


def test_a_schema_may_be_generic() -> None:
    decoder = compile_body(Page[int])
    assert decoder.decode(b'{"items": [1]}') == Page(items=[1])
    assert decoder.explain(b'{"items": ["x"]}')[1][0].pointer == "/body/items/0"


def test_integers_fit_their_column() -> None:
    assert compile_body(Int16).explain(b"32768")[1][0].code == "too_large"


class Money:
    def __init__(self, cents: int) -> None:
        self.cents = cents


def test_hooks_make_types_that_msgspec_does_not_know() -> None:
    hooks = TypeHooks().add(Money, decode=Money, encode=lambda money: money.cents, schema={"type": "integer"})
    decoder = compile_body(dict[str, Money], dec_hook=hooks.dec_hook)
    assert decoder.decode(b'{"a": 5}')["a"].cents == 5
    assert msgspec.json.encode(Money(5), enc_hook=hooks.enc_hook) == b"5"
    assert msgspec.json.schema(Money, schema_hook=hooks.schema_hook) == {"type": "integer"}


def test_hooks_know_addresses() -> None:
    hook = TypeHooks().dec_hook
    decoder = compile_body(ipaddress.IPv4Address, dec_hook=hook)
    assert decoder.decode(b'"127.0.0.1"') == ipaddress.IPv4Address("127.0.0.1")
    for data in (b'"127.0.0.256"', b"5", b'"' + b"1" * 1000 + b'"'):
        [error] = decoder.explain(data)[1]
        assert (error.code, error.detail) == ("invalid", "Expected an IPv4 address")


def test_two_registries_do_not_share_their_types() -> None:
    TypeHooks().add(Money, decode=Money, encode=lambda money: money.cents)
    with pytest.raises(NotImplementedError, match="Money is not encodable; register it"):
        TypeHooks().enc_hook(Money(1))
    with pytest.raises(NotImplementedError, match=r"register it with hooks\.add\(Money"):
        TypeHooks().dec_hook(Money, 1)


def test_the_public_names() -> None:
    expected: set[str] = {
        "DECODE_ERRORS", "PARAMETER_ERRORS", "UNSET", "URL", "AnchoredPattern", "BodyDecoder", "Email",
        "FieldsDecoder", "Hostname", "Int16", "Int32", "Int64", "Meta", "NonEmptyStr", "NonNegativeInt",
        "ParameterDecoder", "PhoneNumber", "PositiveInt", "Schema", "Slug", "Text", "TypeHooks", "UnsetType",
        "compile_body", "compile_fields", "compile_parameter", "explain_scalar", "field",
    }  # fmt: skip
    assert set(swift.schemas.__all__) == expected
    names: dict[str, Any] = vars(swift.schemas)
    assert expected <= names.keys()
