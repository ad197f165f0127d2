"""Types as JSON Schema, and the names that components and operations get."""

from __future__ import annotations

import datetime
import decimal
import enum
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypedDict, TypeVar

import jsonschema
import msgspec
import pytest
from msgspec import UNSET, Meta, Struct, UnsetType

from swift.http import UploadFile
from swift.openapi.names import component_names, title
from swift.openapi.schemas import Components

T = TypeVar("T")
K = TypeVar("K")


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    """How loud."""

    LOW = 2
    HIGH = 1


class Item(Struct):
    """A thing for sale."""

    id: int
    name: Annotated[str, Meta(min_length=1, max_length=80, description="As printed.")]
    price: decimal.Decimal = decimal.Decimal("9.50")
    tags: list[str] = []
    note: str | None = None
    color: Color = Color.RED


class Patch(Struct):
    name: str | UnsetType = UNSET


class Renamed(Struct, rename="camel", forbid_unknown_fields=True):
    unit_price: int


class Page(Struct, Generic[T]):
    items: list[T]


class Pair(Struct, Generic[K, T]):
    key: K
    value: T


class Tree(Struct):
    children: list[Tree]


class Cat(Struct, tag="cat"):
    lives: int


class Dog(Struct, tag="dog"):
    tricks: list[str]


class Plain(Struct):
    a: int


class Other(Struct):
    b: int


class Point(Struct, array_like=True):
    x: float
    y: float = 0.0


class Span(NamedTuple):
    start: int
    stop: int = 0


@dataclass
class Address:
    street: str
    city: str = "Bern"


class Options(TypedDict, total=False):
    verbose: bool


class Money:
    """A class that only the application knows to encode."""


def schema_of(annotation: Any, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    components = Components(**options)
    schema = components.schema(annotation)
    return schema, components.finish()


@pytest.mark.parametrize(
    ("annotation", "schema"),
    [
        (Any, {}),
        (msgspec.Raw, {}),
        (object, {}),
        (None, {"type": "null"}),
        (bool, {"type": "boolean"}),
        (int, {"type": "integer"}),
        (float, {"type": "number"}),
        (str, {"type": "string"}),
        (bytes, {"type": "string", "contentEncoding": "base64"}),
        (datetime.date, {"type": "string", "format": "date"}),
        (datetime.time, {"type": "string", "format": "time"}),
        (datetime.datetime, {"type": "string", "format": "date-time"}),
        (Annotated[datetime.datetime, Meta(tz=True)], {"type": "string", "format": "date-time"}),
        (Annotated[datetime.datetime, Meta(tz=False)], {"type": "string"}),
        (datetime.timedelta, {"type": "string", "format": "duration"}),
        (uuid.UUID, {"type": "string", "format": "uuid"}),
        (decimal.Decimal, {"type": "string", "format": "decimal"}),
        (UploadFile, {"type": "string", "contentMediaType": "application/octet-stream"}),
        (Annotated[int, Meta(ge=1, lt=9)], {"type": "integer", "minimum": 1, "exclusiveMaximum": 9}),
        (Annotated[float, Meta(gt=0, le=1)], {"type": "number", "exclusiveMinimum": 0, "maximum": 1}),
        (Annotated[int, Meta(multiple_of=5)], {"type": "integer", "multipleOf": 5}),
        (
            Annotated[str, Meta(min_length=2, max_length=5, pattern="^a")],
            {"type": "string", "minLength": 2, "maxLength": 5, "pattern": "^a"},
        ),
        (
            Annotated[str, Meta(title="T", description="D", examples=["x"])],
            {"type": "string", "title": "T", "description": "D", "examples": ["x"]},
        ),
        (
            Annotated[int, Meta(extra_json_schema={"format": "int64", "deprecated": True})],
            {"type": "integer", "format": "int64", "deprecated": True},
        ),
        (
            Annotated[bytes, Meta(min_length=1, max_length=4)],
            {"type": "string", "contentEncoding": "base64", "minLength": 4, "maxLength": 8},
        ),
        (list[int], {"type": "array", "items": {"type": "integer"}}),
        (list, {"type": "array"}),
        (Sequence[int], {"type": "array", "items": {"type": "integer"}}),
        (set[str], {"type": "array", "items": {"type": "string"}, "uniqueItems": True}),
        (
            Annotated[list[int], Meta(min_length=1, max_length=3)],
            {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 3},
        ),
        (tuple[int, ...], {"type": "array", "items": {"type": "integer"}}),
        (
            tuple[int, str],
            {
                "type": "array",
                "minItems": 2,
                "maxItems": 2,
                "prefixItems": [{"type": "integer"}, {"type": "string"}],
                "items": False,
            },
        ),
        (dict, {"type": "object"}),
        (dict[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
        (
            Mapping[Annotated[str, Meta(max_length=3)], Any],
            {"type": "object", "propertyNames": {"maxLength": 3}},
        ),
        (int | None, {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        (None | int | str, {"anyOf": [{"type": "integer"}, {"type": "string"}, {"type": "null"}]}),
        (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}),
        (Literal[2, 1], {"type": "integer", "enum": [1, 2]}),
        (Money, {"title": "Money"}),
    ],
)
def test_type_without_a_name(annotation: Any, schema: dict[str, Any]) -> None:
    assert schema_of(annotation) == (schema, {})
    jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize(
    ("annotation", "name", "component"),
    [
        (Color, "Color", {"title": "Color", "type": "string", "enum": ["red", "blue"]}),
        (
            Level,
            "Level",
            {"title": "Level", "description": "How loud.", "type": "integer", "enum": [2, 1]},
        ),
        (
            Patch,
            "Patch",
            {"title": "Patch", "type": "object", "properties": {"name": {"type": "string"}}},
        ),
        (
            Renamed,
            "Renamed",
            {
                "title": "Renamed",
                "type": "object",
                "properties": {"unitPrice": {"type": "integer"}},
                "required": ["unitPrice"],
                "additionalProperties": False,
            },
        ),
        (
            Tree,
            "Tree",
            {
                "title": "Tree",
                "type": "object",
                "properties": {"children": {"type": "array", "items": {"$ref": "#/components/schemas/Tree"}}},
                "required": ["children"],
            },
        ),
        (
            Point,
            "Point",
            {
                "title": "Point",
                "type": "array",
                "prefixItems": [{"type": "number"}, {"type": "number", "default": 0.0}],
                "minItems": 1,
            },
        ),
        (
            Span,
            "Span",
            {
                "title": "Span",
                "type": "array",
                "prefixItems": [{"type": "integer"}, {"type": "integer", "default": 0}],
                "minItems": 1,
                "maxItems": 2,
            },
        ),
        (
            Address,
            "Address",
            {
                "title": "Address",
                "type": "object",
                "properties": {
                    "street": {"type": "string"},
                    "city": {"type": "string", "default": "Bern"},
                },
                "required": ["street"],
            },
        ),
        (
            Options,
            "Options",
            {"title": "Options", "type": "object", "properties": {"verbose": {"type": "boolean"}}},
        ),
    ],
)
def test_type_with_a_name_is_a_component(annotation: Any, name: str, component: dict[str, Any]) -> None:
    schema, components = schema_of(annotation)
    assert schema == {"$ref": f"#/components/schemas/{name}"}
    assert components == {name: component}


def test_struct_shows_documentation_constraints_and_defaults() -> None:
    _, components = schema_of(list[Item])
    assert components["Item"] == {
        "title": "Item",
        "description": "A thing for sale.",
        "type": "object",
        "properties": {
            "id": {"type": "integer"},
            "name": {"type": "string", "minLength": 1, "maxLength": 80, "description": "As printed."},
            "price": {"type": "string", "format": "decimal", "default": "9.50"},
            "tags": {"type": "array", "items": {"type": "string"}, "default": []},
            "note": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
            "color": {"$ref": "#/components/schemas/Color", "default": "red"},
        },
        "required": ["id", "name"],
    }


@pytest.mark.parametrize(
    "annotation",
    [
        int | str,
        Annotated[int, Meta(ge=1, examples=[3])] | None,
        list[Annotated[str, Meta(max_length=3)]],
        dict[str, list[Plain]],
        tuple[int, Plain],
        Plain,
        Renamed,
        Tree,
        Point,
        Address,
        Span,
        Plain | None,
        Page[int],
    ],
)
def test_schema_says_what_msgspec_says(annotation: Any) -> None:
    (expected,), components = msgspec.json.schema_components(
        [annotation], ref_template="#/components/schemas/{name}"
    )
    schema, ours = schema_of(annotation)
    renamed = {"Page_int_": "Page_int"}
    if annotation == Page[int]:
        expected = {"$ref": "#/components/schemas/Page_int"}
    assert schema == expected
    assert ours == {renamed.get(name, name): component for name, component in components.items()}


def test_tagged_structs_have_a_discriminator_with_its_mapping() -> None:
    schema, components = schema_of(Cat | Dog)
    assert schema == {
        "oneOf": [{"$ref": "#/components/schemas/Cat"}, {"$ref": "#/components/schemas/Dog"}],
        "discriminator": {
            "propertyName": "type",
            "mapping": {"cat": "#/components/schemas/Cat", "dog": "#/components/schemas/Dog"},
        },
    }
    assert components["Cat"]["properties"]["type"] == {"type": "string", "const": "cat"}
    assert components["Cat"]["required"] == ["type", "lives"]


def test_null_stands_beside_a_discriminated_union() -> None:
    schema, _ = schema_of(Cat | None | Dog | int)
    kinds = [next(iter(option)) for option in schema["anyOf"]]
    assert kinds == ["type", "oneOf", "type"]
    assert schema["anyOf"][-1] == {"type": "null"}


def test_untagged_structs_can_be_answered_though_not_read() -> None:
    schema, _ = schema_of(Plain | Other)
    assert schema == {
        "anyOf": [{"$ref": "#/components/schemas/Plain"}, {"$ref": "#/components/schemas/Other"}]
    }


def test_reference_keeps_what_is_said_beside_it() -> None:
    schema, _ = schema_of(Annotated[Plain, Meta(description="The plain one.")])
    assert schema == {"$ref": "#/components/schemas/Plain", "description": "The plain one."}


def test_form_takes_files_and_bytes_raw() -> None:
    components = Components()
    form = msgspec.defstruct("Form", [("scan", bytes), ("pages", list[UploadFile]), ("title", str, "-")])
    assert components.form(form) == {
        "type": "object",
        "properties": {
            "scan": {"type": "string", "contentMediaType": "application/octet-stream"},
            "pages": {
                "type": "array",
                "items": {"type": "string", "contentMediaType": "application/octet-stream"},
            },
            "title": {"type": "string", "default": "-"},
        },
        "required": ["scan", "pages"],
    }
    assert components.finish() == {}


def test_schema_hook_describes_what_msgspec_does_not_know() -> None:
    def hook(cls: type) -> dict[str, Any]:
        if cls is Money:
            return {"type": "string", "pattern": "^[A-Z]{3} "}
        raise NotImplementedError

    assert schema_of(Money, schema_hook=hook)[0] == {"type": "string", "pattern": "^[A-Z]{3} "}
    assert schema_of(complex, schema_hook=hook)[0] == {"title": "complex"}


# ---- names


def made(name: str, module: str, qualname: str | None = None) -> type:
    cls = msgspec.defstruct(name, [("x", int)], module=module)
    cls.__qualname__ = qualname or name
    return cls


def test_generics_have_clean_names_and_python_titles() -> None:
    _, components = schema_of(tuple[Page[Item], Page[Item | None], Pair[str, list[Item]]])
    assert [name for name in components if name.startswith("P")] == [
        "Page_Item",
        "Page_Item_or_None",
        "Pair_str_list_Item",
    ]
    assert components["Page_Item"]["title"] == "Page[Item]"
    assert components["Page_Item_or_None"]["title"] == "Page[Item | None]"
    assert title(Pair[str, list[Item]]) == "Pair[str, list[Item]]"


def test_types_of_one_name_are_told_apart_by_the_class_around_them() -> None:
    user, post = made("Create", "shop", "User.Create"), made("Create", "shop", "Post.Create")
    assert list(component_names([user, post]).values()) == ["User.Create", "Post.Create"]


def test_types_of_one_name_are_told_apart_by_module() -> None:
    shop, blog, alone = made("Item", "shop.models"), made("Item", "blog.models"), made("Tag", "shop.models")
    assert list(component_names([shop, blog, alone]).values()) == [
        "shop.models.Item",
        "blog.models.Item",
        "Tag",
    ]
    assert list(component_names([Page[shop], Page[blog]]).values()) == [
        "test_openapi_schemas.Page_shop.models.Item",
        "test_openapi_schemas.Page_blog.models.Item",
    ]


def test_types_of_one_full_name_are_numbered_and_none_is_lost() -> None:
    def make(annotation: Any) -> type:
        return made("Row", "shop", "make.<locals>.Row")

    first, second = make(int), make(str)
    assert list(component_names([first, second]).values()) == ["shop.make.Row", "shop.make.Row_2"]


def test_given_names_are_taken() -> None:
    problem = made("Problem", "shop")
    assert component_names([problem, Plain], {Plain: "Problem"}) == {
        Plain: "Problem",
        problem: "shop.Problem",
    }


def test_names_have_only_the_characters_openapi_allows() -> None:
    odd = made("Größe", "shop")
    assert list(component_names([odd, Page[Literal["a b"]]]).values()) == ["Gr_e", "Page_a_b"]
