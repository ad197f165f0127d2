"""What a handler cannot ask of a request: refused when the app is compiled, each with a sentence."""

from __future__ import annotations

import datetime
import re
import uuid
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, get_args

import msgspec

from swift.http import Response
from swift.schemas.inspection import ARRAYS, OBJECTS, members, unknown_types
from swift.schemas.patterns import check_linear, whole

from .annotations import (
    SignatureError,
    is_collection,
    marker_of,
    split_annotated,
    takes_files,
    without_none,
)
from .params import File, Marker

if TYPE_CHECKING:
    import inspect

    from swift.schemas import TypeHooks

    from .plan import Parameter
    from .templates import PathParameter

# PERF: not inspected, as texts always convert to them; a third of the time that ten thousand routes take to start.
_PLAIN = (str, int, float, bool)

# Of these msgspec encodes subclasses too.
_ENCODABLE = (str, bytes, int, float, list, tuple, set, frozenset, dict)

_OBJECTS = (*OBJECTS, msgspec.inspect.StructType)
_NESTED = (*ARRAYS, *_OBJECTS)

# What each converter of a path makes, to try an annotation with; and the annotations that are tried.
_MADE: dict[str, Any] = {
    "int": 1,
    "float": 1.5,
    "date": datetime.date(2000, 1, 1),
    "uuid": uuid.UUID(int=0),
}
_SCALARS = (
    str,
    bytes,
    int,
    float,
    bool,
    Decimal,
    datetime.datetime,
    datetime.date,
    datetime.time,
    datetime.timedelta,
    uuid.UUID,
)


def check_marker(parameter: inspect.Parameter, metadata: tuple[Any, ...], describe: str) -> Marker | None:
    """The parameter's one marker, its pattern known to take linear time."""
    marker = marker_of(parameter, metadata)
    markers = {type(item) if isinstance(item, Marker) else item for item in metadata if _is_marker(item)}
    if isinstance(parameter.default, Marker):
        markers.add(type(parameter.default))
    if len(markers) > 1:
        names = " and ".join(sorted(found.__name__ for found in markers))
        raise SignatureError(
            f"{describe} marks the parameter `{parameter.name}` as {names}; keep one of them."
        )
    if marker is not None and marker.pattern is not None:
        try:
            check_linear(marker.pattern)
        except (ValueError, re.error) as error:
            raise SignatureError(
                f"{describe} gives the parameter `{parameter.name}` a pattern that cannot be used: {error}"
            ) from None
    return marker


def _is_marker(item: Any) -> bool:
    return isinstance(item, Marker) or (isinstance(item, type) and issubclass(item, Marker))


def constrained(annotation: Any, marker: Marker | None, name: str, describe: str) -> Any:
    """The annotation with the marker's constraints as msgspec.Meta, and without the marker."""
    bare, metadata = split_annotated(annotation)
    kept = [item for item in metadata if isinstance(item, msgspec.Meta)]
    inner: Any = without_none(bare)
    try:
        if marker is not None and marker.constraints:
            constraints = marker.constraints
            if marker.pattern is not None:
                # msgspec searches; only the whole text's match is known to take linear time (swift.schemas.patterns).
                constraints["pattern"] = whole(marker.pattern)
            kept.append(msgspec.Meta(**constraints))
        if not kept:
            return bare
        typed: Any = Annotated[inner, *kept]
        msgspec.inspect.type_info(typed)
    except (TypeError, ValueError) as error:
        # msgspec's sentence ends with the whole annotation, which the handler's author knows.
        reason = str(error).partition(" - type ")[0]
        hint = "; constrain its items: `list[Annotated[int, Meta(ge=1)]]`" if is_collection(bare) else ""
        raise SignatureError(
            f"{describe} constrains the parameter `{name}` as its type does not allow: {reason}{hint}."
        ) from None
    # In a union the constraints stand with the member that they are for.
    return typed if inner is bare else typed | None


def check_known(typed: Any, hooks: TypeHooks | None) -> None:
    """TypeError for a class within the type of a body that the hooks do not know; without hooks msgspec has said so."""
    unknown = [] if hooks is None else unknown_types(msgspec.inspect.type_info(typed))
    for cls in unknown:
        if hooks is not None and not hooks.knows(cls):
            raise TypeError(f"No JSON value can become {cls.__name__}; add it to the type_hooks.")


# PERF: many handlers return the same types, and msgspec's description of one takes some microseconds.
@lru_cache(maxsize=1024)
def _strangers(returns: Any) -> tuple[type, ...]:
    try:
        unknown = unknown_types(msgspec.inspect.type_info(returns))
    except TypeError:
        # A union that JSON could not be decoded into may be encoded all the same.
        return ()
    return tuple(cls for cls in unknown if not issubclass(cls, (Response, *_ENCODABLE)))


def check_returned(returns: Any, hooks: TypeHooks | None, describe: str) -> None:
    """Refuse a return annotation whose values cannot become JSON."""
    try:
        strangers = _strangers(returns)
    except TypeError:
        # An annotation with metadata that cannot be hashed.
        strangers = _strangers.__wrapped__(returns)
    for cls in strangers:
        if hooks is None or not any(hooks.knows(base) for base in cls.__mro__):
            raise SignatureError(
                f"{describe} returns `{_name(returns)}`, but no {cls.__name__} can become JSON; return a Struct or a "
                "dataclass, or add the class to the type_hooks."
            )


def check_text(
    parameter: Parameter, marker: Marker | None, describe: str, hooks: TypeHooks | None = None
) -> None:
    """Refuse a type that no text of a request can become."""
    if parameter.type in _PLAIN and not isinstance(marker, File):
        return
    bare, _ = split_annotated(without_none(parameter.type))
    told = f"{describe} has the parameter `{parameter.name}` of type `{_name(bare)}`"
    if takes_files(parameter.type) and parameter.source == "form":
        return
    if isinstance(marker, File):
        raise SignatureError(f"{told}, but a file arrives as an UploadFile; annotate it so.")
    try:
        info = msgspec.inspect.type_info(parameter.type)
        unknown = [cls for cls in unknown_types(info) if hooks is None or not hooks.knows(cls)]
    except TypeError as error:
        raise SignatureError(f"{told}, which no text can become: {error}.") from None
    if unknown:
        raise SignatureError(
            f"{told}, which is neither a value of the request nor a registered service; annotate it with a "
            "marker, or register the service in the container."
        )
    inner = [member for member, _ in members(info)]
    items = [
        each
        for member in inner
        if isinstance(member, ARRAYS)
        for each in (getattr(member, "item_type", None), *getattr(member, "item_types", ()))
        if each is not None
    ]
    if any(isinstance(member, _OBJECTS) for member in inner) or any(
        isinstance(member, _NESTED) for item in items for member, _ in members(item)
    ):
        raise SignatureError(
            f"{told}, which no text of a {parameter.source} can become; declare its fields as parameters of their "
            "own. A Struct with the marker Query takes the fields of the query string."
        )


def check_path(declared: PathParameter, typed: Any, path: str, name: str, describe: str) -> None:
    """Refuse an annotation that what the path's converter makes can never be."""
    if typed is declared.type:
        return
    bare, _ = split_annotated(without_none(typed))
    if declared.converter not in _MADE or bare not in _SCALARS:
        return
    try:
        msgspec.convert(_MADE[declared.converter], bare, strict=False)
    except msgspec.ValidationError:
        raise SignatureError(
            f"{describe} takes `{name}` as `{_name(bare)}`, but its path {path} makes `{_name(declared.type)}` "
            f"of it; annotate it so, or write {{{declared.name}}} in the path."
        ) from None


def _name(annotation: Any) -> str:
    return str(annotation) if get_args(annotation) else str(getattr(annotation, "__name__", annotation))
