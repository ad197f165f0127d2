"""The second look at a refused body agrees with msgspec, on any type and any JSON."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import itertools
import uuid
from collections import namedtuple
from typing import Annotated, Any, Literal, TypedDict, Union

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Meta

from swift.schemas.codes import first_fault
from swift.schemas.report import Report, pointer
from swift.schemas.shapes import INVALID, Number
from swift.schemas.walk import compile_walker, parse, render


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


_names = itertools.count()
_identifiers = st.sampled_from(["a", "b", "c", "d_e", "f"])

_LEAVES: list[Any] = [
    int,
    float,
    str,
    bool,
    None,
    Any,
    bytes,
    datetime.datetime,
    datetime.date,
    datetime.time,
    datetime.timedelta,
    uuid.UUID,
    decimal.Decimal,
    Colour,
    Level,
    Literal["x", "y"],
    Literal[1, 2, "z", None],
    Annotated[int, Meta(ge=2, lt=9)],
    Annotated[int, Meta(multiple_of=3)],
    Annotated[float, Meta(gt=0.5, le=4)],
    Annotated[str, Meta(min_length=2, max_length=3)],
    Annotated[str, Meta(pattern="^[xy]+$")],
    Annotated[datetime.datetime, Meta(tz=True)],
    # Not msgspec.Raw: msgspec refuses every value of one in a TypedDict or dataclass.
]
_HASHABLE: list[Any] = [int, str, bool, Colour, Annotated[int, Meta(ge=2)], Literal["x", "y"]]
_KEYS: list[Any] = [
    *_HASHABLE,
    Any,
    float,
    Level,
    datetime.date,
    uuid.UUID,
    Annotated[str, Meta(min_length=2)],
]


def _fresh() -> str:
    return f"T{next(_names)}"


@st.composite
def _structs(draw: st.DrawFn, /, inner: st.SearchStrategy[Any], **options: Any) -> Any:
    names = draw(st.lists(_identifiers, unique=True, max_size=3))
    fields: list[Any] = []
    for name in names:
        field = (name, draw(inner))
        fields.append((*field, None) if draw(st.booleans()) else field)
    options.setdefault("rename", draw(st.sampled_from([None, "camel", "upper"])))
    options.setdefault("forbid_unknown_fields", draw(st.booleans()))
    namespace = {}
    if draw(st.integers(0, 4)) == 0:

        def __post_init__(self: Any) -> None:
            if getattr(self, "a", None) is not None:
                raise ValueError("a must be null")

        namespace["__post_init__"] = __post_init__
    return msgspec.defstruct(_fresh(), fields, kw_only=True, namespace=namespace, **options)


@st.composite
def _tagged(draw: st.DrawFn, inner: st.SearchStrategy[Any], array_like: bool | None = None) -> Any:
    if array_like is None:
        array_like = draw(st.booleans())
    tags = draw(st.sampled_from([("one", "two", "three"), (1, 2, 3)]))[: draw(st.integers(1, 3))]
    members = [draw(_structs(inner, tag=tag, tag_field="kind", array_like=array_like)) for tag in tags]
    return Union[tuple(members)]  # noqa: UP007 - of a tuple


@st.composite
def _records(draw: st.DrawFn, inner: st.SearchStrategy[Any]) -> Any:
    names = draw(st.lists(_identifiers, unique=True, min_size=1, max_size=3))
    types = [draw(inner) for _ in names]
    kind = draw(st.sampled_from(["dataclass", "typeddict", "namedtuple"]))
    if kind == "typeddict":
        total = draw(st.booleans())
        return TypedDict(_fresh(), dict(zip(names, types, strict=True)), total=total)
    defaults = draw(st.integers(0, len(names)))
    if kind == "namedtuple":
        made = namedtuple(_fresh(), names, defaults=[None] * defaults)
        made.__annotations__ = dict(zip(names, types, strict=True))
        return made
    fields: list[Any] = [(name, type_) for name, type_ in zip(names, types, strict=True)]
    for index in range(len(fields) - defaults, len(fields)):
        fields[index] = (*fields[index], dataclasses.field(default=None))
    return dataclasses.make_dataclass(_fresh(), fields)


@st.composite
def _containers(draw: st.DrawFn, inner: st.SearchStrategy[Any]) -> Any:
    bounds = draw(st.sampled_from([{}, {"min_length": 1}, {"min_length": 2, "max_length": 2}]))
    kind = draw(st.sampled_from(["list", "vartuple", "tuple", "set", "frozenset", "dict"]))
    match kind:
        case "list":
            base: Any = list[draw(inner)]  # type: ignore[misc]
        case "vartuple":
            base = tuple[draw(inner), ...]  # type: ignore[misc]
        case "tuple":
            return tuple[tuple(draw(st.lists(inner, max_size=3)))]  # type: ignore[misc]
        case "set":
            base = set[draw(st.sampled_from(_HASHABLE))]  # type: ignore[misc]
        case "frozenset":
            base = frozenset[draw(st.sampled_from(_HASHABLE))]  # type: ignore[misc]
        case _:
            base = dict[draw(st.sampled_from(_KEYS)), draw(inner)]  # type: ignore[misc]
    return Annotated[base, Meta(**bounds)] if bounds else base


@st.composite
def _unions(draw: st.DrawFn, inner: st.SearchStrategy[Any]) -> Any:
    """What msgspec allows: at most one member of each kind. (Unsupported types are not tried: msgspec 0.22
    may crash when it frees what it had built of them.)"""
    kinds = [
        st.sampled_from([int, Level, Annotated[int, Meta(ge=2)]]),
        st.sampled_from([str, datetime.date, uuid.UUID, Colour, Literal["x", "y"]]),
        st.sampled_from([float, bool, None]),
        inner.map(lambda item: list[item]),  # type: ignore[valid-type]
        st.one_of(_structs(inner), _tagged(inner, array_like=False)),
    ]
    chosen = draw(st.lists(st.sampled_from(range(len(kinds))), unique=True, min_size=2, max_size=4))
    return Union[tuple(draw(kinds[index]) for index in chosen)]  # noqa: UP007 - of a tuple


types = st.recursive(
    st.sampled_from(_LEAVES),
    lambda inner: st.one_of(
        _containers(inner),
        _structs(inner),
        _structs(inner, array_like=True),
        _structs(inner, tag="one", tag_field="kind"),
        _tagged(inner),
        _records(inner),
        _unions(inner),
    ),
    max_leaves=8,
)

_numbers = st.sampled_from(
    [
        "9" * 20,
        "9" * 5000,
        *["0", "-0", "1", "2", "3", "6", "9", "-1", "1.5", "2.0", "1e2", "1e999", "-9223372036854775809"],
    ]
)
_texts = st.sampled_from(
    [
        "",
        *[
            "x",
            "xy",
            "xyz",
            "xxxx",
            "red",
            "1",
            "2",
            "one",
            "two",
            "z",
            "é",
            "a/b~c",
            "AAAA",
            "1.5",
            "2024-02-30",
            "2024-02-03",
            "2024-02-03T04:05:06",
        ],
        *["2024-02-03T04:05:06Z", "04:05:06", "P1D", "P1Y", "c3a5e3a0-8c5b-4a7a-9f0e-0a8f3a1b2c3d"],
    ]
)
_members = st.sampled_from(
    ["a", "b", "c", "d_e", "dE", "D_E", "A", "f", "F", "kind", "z", "1", "2", "red", "xy"]
)
junk = st.recursive(
    st.one_of(_numbers.map(Number), _texts, st.booleans(), st.none()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        # Members may be named twice.
        st.lists(st.tuples(_members, inner), max_size=4).map(tuple),
    ),
    max_leaves=6,
)


def _fitting(info: msgspec.inspect.Type, depth: int = 0) -> st.SearchStrategy[Any]:
    """Tokens that fit a type more often than not."""
    mi = msgspec.inspect
    if depth > 8:
        return junk

    def inner(other: msgspec.inspect.Type) -> st.SearchStrategy[Any]:
        return st.integers(0, 9).flatmap(lambda n: junk if n == 0 else _fitting(other, depth + 1))

    match info:
        case mi.Metadata():
            return _fitting(info.type, depth)
        case mi.UnionType():
            return st.one_of(*(inner(member) for member in info.types))
        case mi.BoolType():
            return st.booleans()
        case mi.NoneType():
            return st.none()
        case mi.IntType() | mi.FloatType():
            return _numbers.map(Number)
        case mi.EnumType():
            values = [member.value for member in info.cls]
            return st.sampled_from([v if isinstance(v, str) else Number(v) for v in values])
        case mi.TupleType():
            return st.tuples(*map(inner, info.item_types)).map(list)
        case mi.NamedTupleType():
            return st.tuples(*(inner(field.type) for field in info.fields)).map(list)
        case mi.CollectionType():
            return st.lists(inner(info.item_type), max_size=3)
        case mi.DictType():
            return st.lists(st.tuples(_members, inner(info.value_type)), max_size=3).map(tuple)
        case mi.StructType(array_like=True):
            tag = [] if info.tag is None else [st.just(_token(info.tag))]
            return st.tuples(*tag, *(inner(field.type) for field in info.fields)).map(list)
        case mi.StructType() | mi.TypedDictType() | mi.DataclassType():
            pairs = [st.tuples(st.just(field.encode_name), inner(field.type)) for field in info.fields]
            if isinstance(info, mi.StructType) and info.tag is not None:
                pairs.append(st.tuples(st.just(info.tag_field), st.just(_token(info.tag))))
            extra = st.lists(st.tuples(_members, junk), max_size=1)
            return st.tuples(st.permutations(pairs).flatmap(lambda each: st.tuples(*each)), extra).map(
                lambda found: (*found[0], *found[1])
            )
    return st.one_of(_texts, junk)


def _token(tag: str | int) -> Any:
    return tag if isinstance(tag, str) else Number(tag)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_the_walk_agrees_with_msgspec(data: st.DataObject) -> None:
    type_ = data.draw(types)
    token = data.draw(st.one_of(_fitting(msgspec.inspect.type_info(type_)), junk))
    text = render(token).encode()
    walker = compile_walker(type_, strict=True, dec_hook=None)
    report = Report("", 1000)
    value = walker.walk(parse(text.decode()), None, report)
    try:
        expected = msgspec.json.decode(text, type=type_)
    except msgspec.ValidationError as error:
        assert value is INVALID
        path, code, _ = first_fault(error)
        found = {(detail.pointer, detail.code) for detail in report.errors}
        _assert_told(pointer("", path), code, str(error), found)
    except TypeError:
        # A list or dict as the key or member of a set: unhashable.
        assert value is INVALID
    else:
        assert report.errors == []
        assert value == expected
        assert type(value) is type(expected)


def _assert_told(where: str, code: str, message: str, found: set[tuple[str, str]]) -> None:
    """The first fault of msgspec is among those found, at least as precisely."""
    if "[...]" in message or "`key`" in message:
        assert any(each.startswith(where) and (each_code == code) for each, each_code in found), (
            message,
            found,
        )
        return
    if code in ("missing", "unknown_field"):
        name = message.split("`")[1].replace("~", "~0").replace("/", "~1")
        where = f"{where}/{name}"
    if code == "length":
        assert found & {(where, "too_short"), (where, "too_long")}, (message, found)
        return
    if message.startswith("Expected `array` of at most length"):
        # msgspec forgets the path of this one.
        assert any(each_code == "too_long" for _, each_code in found)
        return
    assert (where, code) in found, (message, found)
