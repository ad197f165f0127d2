"""The Structs that a Model needs for its API, derived from its fields.

Reading shows every field but the write-only ones. Creating takes the fields a client may set, with
the model's defaults. A partial update takes the same fields, each of them optional: `UNSET` says "not
sent", which is not null.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from swift.models import Field, Model


def shown(model: type[Model], fields: Collection[str] | None, exclude: Collection[str]) -> list[Field]:
    """The model's fields that a request or an answer may hold; ValueError for a name it does not have."""
    known = model._meta.fields
    for name in (*(fields or ()), *exclude):
        if name not in known:
            raise ValueError(f"{model.__name__} has no field `{name}`; there are {', '.join(known)}.")
    return [
        field for name, field in known.items() if (fields is None or name in fields) and name not in exclude
    ]


def read_struct(
    model: type[Model], *, fields: Collection[str] | None = None, exclude: Collection[str] = ()
) -> type[msgspec.Struct]:
    """What answers hold. It is the model itself when nothing of it is hidden: objects are then encoded as they are."""
    visible = [field for field in shown(model, fields, exclude) if not field.write_only]
    if len(visible) == len(model._meta.fields):
        return model
    return define(model, model.__name__, [(field.name, field.annotation) for field in visible])


def input_struct(
    model: type[Model], *, fields: Collection[str] | None = None, exclude: Collection[str] = ()
) -> type[msgspec.Struct]:
    """What creating or replacing an object takes."""
    members: list[Any] = []
    for field in writable(model, fields, exclude):
        default = field.struct_default()
        members.append(
            (field.name, field.annotation)
            if default is msgspec.NODEFAULT
            else (field.name, field.annotation, default)
        )
    return define(model, f"{model.__name__}Input", members)


def partial_struct(
    model: type[Model], *, fields: Collection[str] | None = None, exclude: Collection[str] = ()
) -> type[msgspec.Struct]:
    """What a partial update takes."""
    return define(
        model,
        f"{model.__name__}Patch",
        [(field.name, field.annotation | UnsetType, UNSET) for field in writable(model, fields, exclude)],
    )


def writable(model: type[Model], fields: Collection[str] | None, exclude: Collection[str]) -> list[Field]:
    return [field for field in shown(model, fields, exclude) if not (field.read_only or field.auto)]


def define(model: type[Model], name: str, members: list[Any]) -> type[msgspec.Struct]:
    return msgspec.defstruct(name, members, kw_only=True, module=model.__module__)
