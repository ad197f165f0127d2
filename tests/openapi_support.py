"""What the tests of the document share: some types, and the document of an application."""

from __future__ import annotations

import enum
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from msgspec import Meta, Struct
from openapi_spec_validator import OpenAPIV31SpecValidator

from swift.app import App
from swift.openapi import openapi

T = TypeVar("T")


class Kind(enum.Enum):
    BOOK = "book"
    TOY = "toy"


class Item(Struct):
    """A thing for sale."""

    id: int
    name: Annotated[str, Meta(max_length=80)]
    kind: Kind = Kind.BOOK


class Page(Struct, Generic[T]):
    items: list[T]
    count: int


class Cat(Struct, tag="cat"):
    lives: int


class Dog(Struct, tag="dog"):
    tricks: list[str]


def new_app(**options: Any) -> App:
    return App(openapi_url=None, docs_url=None, **options)


def document_of(app: App, **options: Any) -> dict[str, Any]:
    """The document of `app`, after the validator of the specification has passed it."""
    document = openapi(app.routes, **{"title": "Shop", "version": "1", **options})
    # Encoded and decoded first: what is served counts.
    document = msgspec.json.decode(msgspec.json.encode(document))
    OpenAPIV31SpecValidator(document).validate()
    return document


def operation_of(app: App, path: str, method: str = "get", **options: Any) -> dict[str, Any]:
    operation: dict[str, Any] = document_of(app, **options)["paths"][path][method]
    return operation


def json_content(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}
