"""The Structs derived from a model: what a request may set, and what an answer shows."""

from __future__ import annotations

import enum
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID, uuid4

import msgspec
import pytest
from msgspec import NODEFAULT, UNSET, Meta, Struct

from swift import Model, fields
from swift.serializers import (
    display_of,
    faults_of,
    input_struct,
    output_struct,
    partial_of,
    partial_struct,
    plain_fields,
    read_struct,
    update_struct,
)


class Kind(enum.Enum):
    BOOK = "book"
    TOY = "toy"


class Article(Model):
    id: int = fields.IDField()
    name: str = fields.StringField(max_length=10, min_length=1)
    price = fields.DecimalField(max_digits=5, decimal_places=2, default=Decimal("1.00"))
    kind: Kind = fields.EnumField(Kind, default=Kind.BOOK)
    note: str | None = fields.StringField(null=True, max_length=20)
    tags = fields.ArrayField(str, default=["new"])
    secret: str = fields.StringField(write_only=True)
    slug: str = fields.StringField(read_only=True, default="slug")
    created: datetime = fields.DateTimeField(auto_now_add=True)
    updated: datetime = fields.DateTimeField(auto_now=True)


class Token(Model):
    id: UUID = fields.UUIDField(primary_key=True, default_factory=uuid4)
    name: str = fields.StringField()


class Country(Model):
    code: str = fields.StringField(max_length=2, primary_key=True)
    name: str = fields.StringField()


class City(Model):
    id: int = fields.IDField()
    country_id: str = fields.ForeignKey(Country)


class Renamed(Model, rename="camel"):
    id: int = fields.IDField()
    first_name: str = fields.StringField()
    pass_word: str = fields.StringField(write_only=True, default="")


def members(schema: type[Struct]) -> dict[str, Any]:
    """The default of each field; NODEFAULT where one must be sent."""
    return {
        field.name: field.default_factory if field.default is NODEFAULT else field.default
        for field in msgspec.structs.fields(schema)
    }


# Reading


def test_reading_shows_all_but_write_only_fields_and_all_of_them_always() -> None:
    shown = members(output_struct(Article))
    assert [*shown] == ["id", "name", "price", "kind", "note", "tags", "slug", "created", "updated"]
    assert set(shown.values()) == {NODEFAULT}
    assert output_struct(Article).__name__ == "Article"


def test_an_object_of_which_nothing_is_hidden_is_encoded_as_it_is() -> None:
    assert read_struct(Token) is Token
    assert read_struct(Article) is output_struct(Article)
    assert read_struct(Token, fields=["name"]) is output_struct(Token, fields=["name"])


def test_reading_some_fields_only() -> None:
    assert [*members(output_struct(Article, fields=["id", "name", "secret"]))] == ["id", "name"]
    assert [*members(output_struct(Token, exclude=["id"]))] == ["name"]


def test_unknown_fields_are_refused() -> None:
    sentence = "Token has no field `nam`; there are id, name."
    for derive in (output_struct, read_struct, input_struct, update_struct, partial_struct):
        with pytest.raises(ValueError, match=sentence):
            derive(Token, fields=["nam"])
        with pytest.raises(ValueError, match=sentence):
            derive(Token, exclude=["nam"])


# Writing


def test_creating_takes_what_a_client_may_set_with_the_models_defaults() -> None:
    taken = members(input_struct(Article))
    assert [*taken] == ["name", "price", "kind", "note", "tags", "secret"]
    assert (taken["name"], taken["secret"]) == (NODEFAULT, NODEFAULT)
    assert (taken["price"], taken["kind"], taken["note"]) == (Decimal("1.00"), Kind.BOOK, None)
    assert taken["tags"]() == ["new"]
    assert input_struct(Article).__name__ == "ArticleInput"


@pytest.mark.parametrize("derive", [input_struct, update_struct, partial_struct])
@pytest.mark.parametrize("name", ["id", "slug", "created", "updated"])
def test_no_request_sets_keys_read_only_fields_or_those_that_set_themselves(derive: Any, name: str) -> None:
    assert name not in members(derive(Article))
    assert "id" not in members(derive(Token))
    assert name not in members(derive(Article, fields=[name, "name"]))


def test_a_key_that_nothing_else_makes_is_taken_on_creating_alone() -> None:
    assert [*members(input_struct(Country))] == ["code", "name"]
    assert [*members(update_struct(Country))] == ["name"]
    assert [*members(partial_struct(Country))] == ["name"]
    assert update_struct(Country).__name__ == "CountryUpdate"


def test_replacing_takes_what_creating_takes() -> None:
    assert update_struct(Article) is input_struct(Article)


def test_a_partial_update_takes_each_field_or_leaves_it() -> None:
    patch = partial_struct(Article)
    assert set(members(patch).values()) == {UNSET}
    assert patch.__name__ == "ArticlePatch"
    decoded: Any = msgspec.json.decode(b'{"note": null}', type=patch)
    assert decoded.note is None
    assert decoded.name is UNSET
    for body in (b'{"name": null}', b'{"name": ""}', b'{"name": "longer than ten"}', b'{"kind": "car"}'):
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(body, type=patch)


def test_limits_of_the_model_are_those_of_the_request() -> None:
    with pytest.raises(msgspec.ValidationError, match="length <= 10"):
        msgspec.json.decode(b'{"name": "longer than ten", "secret": "s"}', type=input_struct(Article))


def test_a_foreign_key_is_taken_as_the_key_it_holds() -> None:
    assert msgspec.json.decode(b'{"country_id": "ch"}', type=input_struct(City)) == input_struct(City)(
        country_id="ch"
    )


def test_equal_structs_are_one_so_that_a_document_describes_them_once() -> None:
    assert output_struct(Article) is output_struct(Article)
    assert input_struct(Article) is input_struct(Article, exclude=["slug"])
    assert partial_struct(Article) is partial_struct(Article)
    assert input_struct(Article) is not input_struct(Article, exclude=["tags"])


def test_names_in_json_are_the_models() -> None:
    assert output_struct(Renamed).__struct_encode_fields__ == ("id", "firstName")
    assert input_struct(Renamed).__struct_encode_fields__ == ("firstName", "passWord")
    assert partial_struct(Renamed).__struct_encode_fields__ == ("firstName", "passWord")


# Of a schema of one's own


class Registration(Struct, rename="camel", forbid_unknown_fields=True):
    full_name: Annotated[str, Meta(max_length=5)]
    age: int | None = None

    def __post_init__(self) -> None:
        if self.full_name == "root":
            raise ValueError("This name is taken")


def test_a_schema_becomes_partial_with_its_names_and_limits() -> None:
    patch = partial_of(Registration)
    assert members(patch) == {"full_name": UNSET, "age": UNSET}
    decoded: Any = msgspec.json.decode(b'{"fullName": "Ann"}', type=patch)
    assert (decoded.full_name, decoded.age) == ("Ann", UNSET)
    for body in (b'{"fullName": "longer"}', b'{"fullName": null}', b'{"full_name": "Ann"}'):
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(body, type=patch)


# Showing


def test_an_object_that_hides_nothing_is_shown_as_it_is() -> None:
    token = Token(name="a")
    assert display_of(Token, output_struct(Token))(token) is token
    assert display_of(Token, Token)(token) is token


def test_a_write_only_field_is_not_shown() -> None:
    article = Article(
        id=1, name="Pen", secret="hunter2", created=datetime.now(UTC), updated=datetime.now(UTC)
    )
    shown = display_of(Article, output_struct(Article))(article)
    assert isinstance(shown, output_struct(Article))
    assert "hunter2" not in msgspec.json.encode(shown).decode()
    assert shown.tags == ["new"]


def test_a_single_field_is_shown() -> None:
    assert display_of(Token, output_struct(Token, fields=["name"]))(Token(name="a")).name == "a"


def test_a_schema_of_ones_own_takes_attributes_and_properties() -> None:
    class Named(Model):
        id: int = fields.IDField()
        first: str = fields.StringField()
        last: str = fields.StringField()

        @property
        def full(self) -> str:
            return f"{self.first} {self.last}"

    class Card(Struct):
        full: str
        nick: str = "-"

    assert display_of(Named, Card)(Named(first="Ada", last="Lovelace")) == Card("Ada Lovelace")


def test_lists_may_be_json_where_nothing_is_changed() -> None:
    assert plain_fields(Token, output_struct(Token)) == ("id", "name")
    assert plain_fields(Token, Token) == ("id", "name")
    assert "secret" not in (plain_fields(Article, output_struct(Article)) or ())
    assert plain_fields(Article, Registration) is None
    assert plain_fields(Renamed, output_struct(Renamed)) is None


# What decodes well and does not fit


def test_every_value_that_does_not_fit_its_column_is_told_by_its_name_in_the_body() -> None:
    data = input_struct(Article)(name="a\0b", price=Decimal("NaN"), secret="fine")
    values = {"name": "a\0b", "price": Decimal("NaN"), "secret": "fine", "note": None}
    errors = faults_of(Article, data, values)
    assert [(error.pointer, error.code, error.detail) for error in errors] == [
        ("/body/name", "invalid", "Expects text without NUL characters"),
        ("/body/price", "invalid", "Expects a finite number"),
    ]
    renamed = input_struct(Renamed)(first_name="\0")
    assert [error.pointer for error in faults_of(Renamed, renamed, {"first_name": "\0"})] == [
        "/body/firstName"
    ]


def test_what_fits_has_no_faults() -> None:
    data = input_struct(Token)(name="a")
    assert faults_of(Token, data, {"name": "a", "of_another": 3}) == []
