"""Annotations of handlers, read: what a parameter's type says about where its value comes from."""

from __future__ import annotations

import builtins
import dataclasses
import functools
import inspect
import types
import typing
from collections.abc import Callable
from typing import Annotated, Any, get_args, get_origin

import msgspec

from swift.http import UploadFile

from .params import Marker

_COLLECTIONS = (list, set, frozenset, tuple)


class SignatureError(TypeError):
    """A handler's signature that no plan can be made of; raised when the app is compiled."""


def handler_hints(function: Callable[..., Any], describe: str) -> dict[str, Any]:
    """The resolved annotations of a handler, `return` included."""
    target = undecorated(function)
    simple = _classes_by_name(target)
    if simple is not None:
        return simple
    try:
        return typing.get_type_hints(target, include_extras=True)
    except NameError as error:
        raise SignatureError(
            f"{describe} has an annotation that cannot be resolved: {error}; define or import it at module level."
        ) from None


def undecorated(function: Any) -> Any:
    """The function behind decorators, partials and objects that can be called: the one with the annotations."""
    while True:
        if isinstance(function, functools.partial):
            function = function.func
        elif hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        elif not inspect.isroutine(function) and not isinstance(function, type):
            function = function.__call__
        else:
            return function


def _classes_by_name(function: Callable[..., Any]) -> dict[str, Any] | None:
    """The hints of a function whose annotations are all names of classes, else None.

    PERF: `typing.get_type_hints` compiles each text; that is a fifth of what a route takes to start.
    """
    if not inspect.isfunction(function):
        return None
    found: dict[str, Any] = {}
    for parameter, annotation in function.__annotations__.items():
        if isinstance(annotation, str):
            annotation = function.__globals__.get(annotation, getattr(builtins, annotation, None))
        if not isinstance(annotation, type):
            return None
        found[parameter] = annotation
    return found


def description_of(typed: Any) -> str | None:
    """The description in the msgspec.Meta of a type, if there is one."""
    return next(
        (item.description for item in split_annotated(typed)[1] if isinstance(item, msgspec.Meta)), None
    )


def split_annotated(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    """`Annotated[T, a, b]` as `(T, (a, b))`; any other annotation as `(annotation, ())`."""
    if get_origin(annotation) is Annotated:
        bare, *metadata = get_args(annotation)
        return bare, tuple(metadata)
    return annotation, ()


def marker_of(parameter: inspect.Parameter, metadata: tuple[Any, ...]) -> Marker | None:
    if isinstance(parameter.default, Marker):
        return parameter.default
    for item in metadata:
        if isinstance(item, Marker):
            return item
        if isinstance(item, type) and issubclass(item, Marker):
            return item()
    return None


def requirement(parameter: inspect.Parameter, marker: Marker | None) -> tuple[bool, Any]:
    """Whether a value must be sent, and what stands in when it is not."""
    default = parameter.default
    if isinstance(default, Marker):
        default = default.default
    elif default is inspect.Parameter.empty and marker is not None:
        default = marker.default
    if default is inspect.Parameter.empty or (default is msgspec.UNSET and marker is not None):
        return (marker is None or marker.default_factory is None), None
    return False, default


def without_none(typed: Any) -> Any:
    """`T | None` as T: text is never null."""
    bare, metadata = split_annotated(typed)
    if get_origin(bare) in (typing.Union, types.UnionType):
        members = [member for member in get_args(bare) if member is not types.NoneType]
        if len(members) == 1:
            inner, inner_metadata = split_annotated(members[0])
            metadata = (*metadata, *inner_metadata)
            return Annotated[inner, *metadata] if metadata else inner
    return typed


def is_collection(typed: Any) -> bool:
    bare, _ = split_annotated(without_none(typed))
    return bare in _COLLECTIONS or get_origin(bare) in _COLLECTIONS


def is_body_type(bare: Any) -> bool:
    """Whether a type is a JSON document rather than the text of one parameter."""
    origin = get_origin(bare)
    if origin in (typing.Union, types.UnionType):
        return any(is_body_type(split_annotated(member)[0]) for member in get_args(bare))
    if origin in _COLLECTIONS:
        return any(is_body_type(split_annotated(member)[0]) for member in get_args(bare))
    if bare is dict or origin is dict or typing.is_typeddict(bare) or dataclasses.is_dataclass(bare):
        return True
    return is_struct(bare)


def is_struct(bare: Any) -> bool:
    inner = get_origin(bare) or bare
    return isinstance(inner, type) and issubclass(inner, msgspec.Struct)


def takes_files(typed: Any) -> bool:
    """Whether a type is an uploaded file, or a collection of them."""
    bare, _ = split_annotated(without_none(typed))
    return bare is UploadFile or UploadFile in get_args(bare)
