"""What msgspec knows about a type, in the form that the walk needs."""

from __future__ import annotations

import datetime
import decimal
import enum
import re
import uuid
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_origin

import msgspec
from msgspec import inspect as mi

ARRAYS = (mi.CollectionType, mi.TupleType, mi.NamedTupleType)
OBJECTS = (mi.DictType, mi.TypedDictType, mi.DataclassType)

_PLAIN: dict[type[mi.Type], Any] = {
    mi.AnyType: Any,
    mi.NoneType: None,
    mi.BoolType: bool,
    mi.DateType: datetime.date,
    mi.TimeDeltaType: datetime.timedelta,
    mi.UUIDType: uuid.UUID,
    mi.DecimalType: decimal.Decimal,
    mi.RawType: msgspec.Raw,
}
_CONSTRAINED: dict[type[mi.Type], Any] = {
    mi.IntType: int,
    mi.FloatType: float,
    mi.StrType: str,
    mi.BytesType: bytes,
    mi.ByteArrayType: bytearray,
    mi.MemoryViewType: memoryview,
    mi.DateTimeType: datetime.datetime,
    mi.TimeType: datetime.time,
}


def members(
    info: mi.Type, extra: dict[str, Any] | None = None
) -> Iterator[tuple[mi.Type, dict[str, Any] | None]]:
    """The members of a union with the `extra` of their Meta; any other type is its own only member.

    A union with `Raw` is the union of the others: that is what msgspec makes of it.
    """
    if isinstance(info, mi.Metadata):
        yield from members(info.type, info.extra or extra)
    elif isinstance(info, mi.UnionType):
        for member in info.types:
            if not isinstance(member, mi.RawType):
                yield from members(member, extra)
    else:
        yield info, extra


def annotation(types: list[mi.Type]) -> Any:
    """The type whose Decoder judges the scalars of a union, and names its containers in a sentence."""
    each = tuple(map(_member_annotation, types))
    return Union[each] if len(each) > 1 else each[0]  # noqa: UP007 - of a tuple


def _member_annotation(info: mi.Type) -> Any:
    kind = type(info)
    if kind in _PLAIN:
        return _PLAIN[kind]
    if kind in _CONSTRAINED:
        constraints = {
            name: value for name in info.__struct_fields__ if (value := getattr(info, name)) is not None
        }
        base = _CONSTRAINED[kind]
        return Annotated[base, msgspec.Meta(**constraints)] if constraints else base
    match info:
        case mi.LiteralType():
            return Literal[info.values]
        case mi.EnumType() | mi.CustomType():
            return info.cls
        case mi.StructType():
            return list if info.array_like else dict
    return list if isinstance(info, ARRAYS) else dict


def choices_of(info: mi.Type) -> tuple[Any, ...]:
    match info:
        case mi.LiteralType():
            return info.values
        case mi.EnumType():
            return tuple(member.value for member in info.cls)
    return ()


def format_of(extra: dict[str, Any] | None) -> tuple[str, str] | None:
    """Code and sentence of a named format (formats.py), for its pattern says nothing to a reader."""
    if extra is None or "format" not in extra or "expected" not in extra:
        return None
    return f"format_{extra['format']}", str(extra["expected"])


NOT_FINITE = re.compile(r"[+-]?s?(?:nan[0-9]*|inf|infinity)", re.IGNORECASE)


def takes_numbers(info: mi.Type) -> bool:
    """Whether a text for this type would be read as a float or a Decimal."""
    types = [member for member, _ in members(info)]
    return not any(isinstance(member, mi.StrType) for member in types) and any(
        isinstance(member, mi.FloatType | mi.DecimalType) for member in types
    )


_JSON = (str, int, float, bool, type(None), list, dict)


def unknown_types(info: mi.Type) -> list[type]:
    """The classes within a type that msgspec leaves to a hook, and that no JSON value is an instance of."""
    found: dict[type, None] = {}
    seen: set[int] = set()
    pending: list[Any] = [info]
    while pending:
        each = pending.pop()
        if isinstance(each, tuple):
            pending.extend(each)
        elif isinstance(each, mi.CustomType):
            cls = get_origin(each.cls) or each.cls
            if not isinstance(cls, enum.EnumMeta) and not any(issubclass(kind, cls) for kind in _JSON):
                found[cls] = None
        elif isinstance(each, mi.Type | mi.Field) and id(each) not in seen:
            seen.add(id(each))
            pending.extend(getattr(each, name) for name in each.__struct_fields__ if name in _INNER)
    return list(found)


# Where a description of a type holds others.
_INNER = frozenset(("type", "types", "item_type", "item_types", "key_type", "value_type", "fields"))
