"""The Structs that a Model needs for its API, derived from its fields.

Reading shows every field but the write-only ones. Creating takes the fields a client may set, with the
model's defaults: neither read-only fields nor those that set themselves, and the primary key only where
nothing else gives it a value. A key never changes, so updating never takes it. A partial update takes what
updating takes, each field of it optional: `UNSET` says "not sent", which is not null.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import lru_cache, partial
from operator import attrgetter
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from swift.models import Field, Model

# Structs kept: four for each model and choice of its fields. ViewSets of one model share them, so that a document
# describes each once; one that is made anew is as good.
KEPT = 1024


def output_struct(
    model: type[Model], *, fields: Collection[str] | None = None, exclude: Collection[str] = ()
) -> type[msgspec.Struct]:
    """What answers hold, as a document describes it: no field of it is optional."""
    names = [field.name for field in shown(model, fields, exclude) if not field.write_only]
    return required_struct(model, tuple(names))


def read_struct(
    model: type[Model], *, fields: Collection[str] | None = None, exclude: Collection[str] = ()
) -> type[msgspec.Struct]:
    """What answers hold, as it is encoded: the model itself when nothing of it is hidden."""
    schema = output_struct(model, fields=fields, exclude=exclude)
    return model if schema.__struct_fields__ == model._meta.names else schema


def input_struct(
    model: type[Model], *, fields: Collection[str] | None = None, exclude: Collection[str] = ()
) -> type[msgspec.Struct]:
    """What creating an object takes."""
    names = [
        field.name
        for field in shown(model, fields, exclude)
        if is_writable(field) or (field.primary_key and field.required)
    ]
    return default_struct(model, "Input", tuple(names))


def update_struct(
    model: type[Model], *, fields: Collection[str] | None = None, exclude: Collection[str] = ()
) -> type[msgspec.Struct]:
    """What replacing an object takes: what creating one does, but never the primary key."""
    names = [field.name for field in shown(model, fields, exclude) if is_writable(field)]
    return default_struct(model, "Update" if model._meta.pk.required else "Input", tuple(names))


def partial_struct(
    model: type[Model], *, fields: Collection[str] | None = None, exclude: Collection[str] = ()
) -> type[msgspec.Struct]:
    """What a partial update takes."""
    return partial_of(update_struct(model, fields=fields, exclude=exclude))


def define(model: type[Model], name: str, members: list[Any]) -> type[msgspec.Struct]:
    """A Struct of the model's module."""
    return msgspec.defstruct(name, members, kw_only=True, module=model.__module__)


@lru_cache(KEPT)
def required_struct(model: type[Model], names: tuple[str, ...]) -> type[msgspec.Struct]:
    fields = model._meta.fields
    return msgspec.defstruct(
        model.__name__,
        [(name, fields[name].annotation) for name in names],
        module=model.__module__,
        rename=model._meta.json_names,
    )


@lru_cache(KEPT)
def default_struct(model: type[Model], suffix: str, names: tuple[str, ...]) -> type[msgspec.Struct]:
    members: list[Any] = []
    for name in names:
        field = model._meta.fields[name]
        default = field.struct_default()
        member = (name, field.annotation)
        members.append(member if default is msgspec.NODEFAULT else (*member, default))
    return msgspec.defstruct(
        f"{model.__name__}{suffix}",
        members,
        kw_only=True,
        module=model.__module__,
        rename=model._meta.json_names,
    )


@lru_cache(KEPT)
def partial_of(schema: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """`schema` with every field optional. Its `__post_init__`, which expects them all, is left out."""
    return msgspec.defstruct(
        f"{schema.__name__.removesuffix('Input').removesuffix('Update')}Patch",
        [
            (field.name, field.type | UnsetType, msgspec.field(default=UNSET, name=field.encode_name))
            for field in msgspec.structs.fields(schema)
        ],
        kw_only=True,
        module=schema.__module__,
        forbid_unknown_fields=schema.__struct_config__.forbid_unknown_fields,
    )


def is_derived(model: type[Model], schema: type[msgspec.Struct]) -> bool:
    """Whether `schema` is what `output_struct` makes of the model or of some of its fields."""
    return set(schema.__struct_fields__) <= set(model._meta.names) and schema is required_struct(
        model, schema.__struct_fields__
    )


def display_of(model: type[Model], schema: type[msgspec.Struct]) -> Callable[[Any], Any]:
    """The function from an object of the model to what is encoded of it, in the shape of `schema`."""
    names = schema.__struct_fields__
    if not is_derived(model, schema):
        return itself if schema is model else partial(msgspec.convert, type=schema, from_attributes=True)
    if names == model._meta.names:
        return itself
    # PERF: an object was validated when it was made; converting it would do that again.
    take = attrgetter(*names)
    return (lambda obj: schema(*take(obj))) if len(names) > 1 else (lambda obj: schema(take(obj)))


def plain_fields(model: type[Model], schema: type[msgspec.Struct]) -> tuple[str, ...] | None:
    """The fields of the model that `schema` shows as they are; None when it shows more than that."""
    if schema is model or is_derived(model, schema):
        names = schema.__struct_fields__
        return names if schema.__struct_encode_fields__ == names else None
    return None


def itself(obj: Any) -> Any:
    return obj


def shown(model: type[Model], fields: Collection[str] | None, exclude: Collection[str]) -> list[Field]:
    """The model's fields, or some of them; ValueError for a name it does not have."""
    known = model._meta.fields
    for name in (*(fields or ()), *exclude):
        if name not in known:
            raise ValueError(f"{model.__name__} has no field `{name}`; there are {', '.join(known)}.")
    return [
        field for name, field in known.items() if (fields is None or name in fields) and name not in exclude
    ]


def is_writable(field: Field) -> bool:
    """Whether a request may set it, and set it anew."""
    return not (field.read_only or field.auto or field.primary_key)
