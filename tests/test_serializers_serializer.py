"""Serializers: three Structs of one declaration, and validation with everything told at once."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from swift import UNSET, Model, fields
from swift.http import UnprocessableContent
from swift.serializers import Serializer, computed, nested


class Author(Model):
    id: int = fields.IDField()
    name: str = fields.StringField(max_length=50)
    secret: str = fields.StringField(max_length=50, default="")


class Book(Model):
    id: int = fields.IDField()
    title: str = fields.StringField(max_length=50)
    pages: int = fields.IntegerField(ge=1)
    note: str = fields.StringField(max_length=50, default="")
    author_id: int = fields.ForeignKey(Author)
    author: Author = fields.Related()


class AuthorSerializer(Serializer):
    model = Author
    write_only = ("secret",)


class BookSerializer(Serializer):
    model = Book
    exclude = ("note",)
    read_only = ("pages",)
    author = nested(AuthorSerializer)

    @computed
    def is_long(self, book: Book) -> bool:
        return book.pages > 500

    def validate_title(self, title: str) -> str:
        if title.isupper():
            raise ValueError("Do not shout.")
        return title.strip()

    async def validate_author_id(self, author_id: int) -> int:
        if author_id == 13:
            raise ValueError("There is no such author.")
        return author_id

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        if values.get("title") == str(values.get("author_id")):
            raise ValueError("The title is the author.")
        return values


class PlainSerializer(Serializer):
    model = Author


def test_the_model_itself_is_shown_when_nothing_of_it_is_hidden() -> None:
    author = Author(id=1, name="Ursula")
    assert PlainSerializer.Output.__struct_fields__ == Author.__struct_fields__
    assert PlainSerializer().show(author) is author


def test_output_has_the_nested_and_computed_members_and_no_hidden_ones() -> None:
    assert BookSerializer.Output.__struct_fields__ == (
        "id",
        "title",
        "pages",
        "author_id",
        "author",
        "is_long",
    )
    assert AuthorSerializer.Output.__struct_fields__ == ("id", "name")


def test_input_has_what_a_client_may_write() -> None:
    assert BookSerializer.Input.__struct_fields__ == ("title", "author_id")
    assert AuthorSerializer.Input.__struct_fields__ == ("name", "secret")


def test_patch_keeps_missing_apart_from_null() -> None:
    patch = msgspec.json.decode(b'{"title": "x"}', type=BookSerializer.Patch)
    assert (patch.title, patch.author_id) == ("x", UNSET)  # type: ignore[attr-defined]
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"title": null}', type=BookSerializer.Patch)


def test_an_object_is_shown_with_its_relation() -> None:
    book = Book(id=1, title="Long", pages=900, author_id=2)
    book.author = Author(id=2, name="Ursula", secret="x")
    assert msgspec.json.encode(BookSerializer().show(book)) == (
        b'{"id":1,"title":"Long","pages":900,"author_id":2,"author":{"id":2,"name":"Ursula"},"is_long":true}'
    )


async def test_values_are_as_their_validators_leave_them() -> None:
    assert await BookSerializer().check({"title": " Dune "}) == {"title": "Dune"}


async def test_everything_that_validators_refuse_is_told_at_once() -> None:
    with pytest.raises(UnprocessableContent) as raised:
        await BookSerializer().check({"title": "LOUD", "author_id": 13})
    assert [(error.pointer, error.detail) for error in raised.value.errors] == [
        ("/body/title", "Do not shout."),
        ("/body/author_id", "There is no such author."),
    ]
    with pytest.raises(UnprocessableContent) as raised:
        await BookSerializer().check({"title": "7", "author_id": 7})
    assert [error.pointer for error in raised.value.errors] == ["/body"]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"fields": ("id", "nmae")}, "Author has no field `nmae`"),
        ({"exclude": ("nmae",)}, "Author has no field `nmae`"),
        ({"read_only": ("nmae",)}, "Author has no field `nmae`"),
        ({"validate_id": lambda self, value: value}, "checks `id`, which clients of it cannot write"),
        ({"publisher": nested(PlainSerializer)}, "Author has no relation `publisher`"),
        ({"name": computed(lambda self, obj: "")}, "computes a field of the model"),
        ({"shout": computed(lambda self, obj: "")}, "has no return annotation"),
    ],
)
def test_a_wrong_declaration_is_refused_where_it_stands(body: dict[str, Any], sentence: str) -> None:
    with pytest.raises((ValueError, TypeError), match=sentence):
        type("Wrong", (Serializer,), {"model": Author, **body})
