"""How the walk makes the values of containers, as msgspec makes them: without calling `__init__`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_origin

import msgspec
from msgspec import inspect as mi

COLLECTIONS: dict[type[mi.CollectionType], Callable[[list[Any]], Any]] = {
    mi.ListType: list,
    mi.VarTupleType: tuple,
    mi.SetType: set,
    mi.FrozenSetType: frozenset,
}


def named_tuple(info: mi.NamedTupleType) -> Callable[[list[Any]], Any]:
    cls: Any = get_origin(info.cls) or info.cls
    make = cls._make
    defaults = [field.default for field in info.fields if not field.required]

    def build(values: list[Any]) -> Any:
        left = len(info.fields) - len(values)
        return make(values + defaults[len(defaults) - left :])

    return build


def dataclass(info: mi.DataclassType) -> Callable[..., Any]:
    """For dataclasses and attrs classes."""
    cls = get_origin(info.cls) or info.cls
    attrs = hasattr(cls, "__attrs_attrs__")
    pre_init = getattr(cls, "__attrs_pre_init__", None) if attrs else None
    post_init = getattr(cls, "__attrs_post_init__" if attrs else "__post_init__", None)

    def build(**values: Any) -> Any:
        instance = object.__new__(cls)
        if pre_init is not None:
            pre_init(instance)
        for field in info.fields:
            if field.name in values:
                value = values[field.name]
            elif field.default_factory is not msgspec.NODEFAULT:
                value = field.default_factory()
            else:
                value = field.default
            object.__setattr__(instance, field.name, value)
        if post_init is not None:
            post_init(instance)
        return instance

    return build
