"""Actions: which methods of a ViewSet are served, and the annotations that its model fills in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from operator import or_
from types import MappingProxyType, UnionType
from typing import Annotated, Any, Literal, TypeAlias, TypedDict, TypeVar, Union, Unpack, get_args, get_origin

import msgspec

F = TypeVar("F", bound=Callable[..., Any])


class Placeholder(msgspec.Struct, frozen=True):
    """Stands in an action's signature for a type that each ViewSet derives from its model."""

    name: Literal["input", "update", "partial", "output", "list_query", "list_output", "keyed", "keys"]


Input: TypeAlias = Annotated[Any, Placeholder("input")]
UpdateInput: TypeAlias = Annotated[Any, Placeholder("update")]
PartialInput: TypeAlias = Annotated[Any, Placeholder("partial")]
Output: TypeAlias = Annotated[Any, Placeholder("output")]
ListQuery: TypeAlias = Annotated[Any, Placeholder("list_query")]
ListOutput: TypeAlias = Annotated[Any, Placeholder("list_output")]
KeyedInput: TypeAlias = Annotated[Any, Placeholder("keyed")]
Keys: TypeAlias = Annotated[Any, Placeholder("keys")]


def placeholder_of(annotation: Any) -> Placeholder | None:
    if get_origin(annotation) is Annotated:
        return next((item for item in get_args(annotation)[1:] if isinstance(item, Placeholder)), None)
    return None


def filled(
    annotation: Any, resolve: Callable[[Placeholder], Any], shown: Mapping[Any, Any] = MappingProxyType({})
) -> Any:
    """The annotation with a type for each placeholder, also inside: `list[Output]`, `Output | None`.

    `shown` has other types to put in the place of some, such as what describes a model for the model itself.
    """
    placeholder = placeholder_of(annotation)
    if placeholder is not None:
        return resolve(placeholder)
    if isinstance(annotation, type) and annotation in shown:
        return shown[annotation]
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        made = filled(inner[0], resolve, shown)
        return annotation if made is inner[0] else Annotated[made, *inner[1:]]
    types = tuple(
        filled(item, resolve, shown) if is_generic(item) or isinstance(item, type) else item for item in inner
    )
    if all(made is item for made, item in zip(types, inner, strict=True)):
        return annotation
    return reduce(or_, types) if origin in (Union, UnionType) else origin[types]


def is_generic(annotation: Any) -> bool:
    return get_origin(annotation) is not None


class ActionOptions(TypedDict, total=False):
    """What a route takes besides, handed on as it is."""

    summary: str | None
    description: str | None
    tags: Sequence[str]
    deprecated: bool
    include_in_schema: bool
    operation_id: str | None
    middleware: Sequence[Any]
    dependencies: Sequence[Any]
    authentication: Sequence[Any] | None
    responses: Mapping[int, Any] | None
    media_type: str | None
    max_body_size: int | None
    run_sync: Literal["thread", "inline"]
    security: Sequence[Mapping[str, Sequence[str]]] | None


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """How one method of a ViewSet is served.

    `name` is the method's, `path` relative to the collection or the object, `label` the last part of the
    route's name.
    """

    name: str
    detail: bool
    label: str
    methods: tuple[str, ...] = ("GET",)
    path: str = ""
    status: int = 200
    permission_classes: Sequence[Any] | None = None
    options: ActionOptions = {}


# GET and POST on the collection, GET, PUT, PATCH and DELETE on the object.
CRUD = {
    item.name: item
    for item in (
        Action(name="list", detail=False, label="list"),
        Action(name="create", detail=False, label="list", methods=("POST",), status=201),
        Action(name="retrieve", detail=True, label="detail"),
        Action(name="update", detail=True, label="detail", methods=("PUT",)),
        Action(name="partial_update", detail=True, label="detail", methods=("PATCH",)),
        Action(name="destroy", detail=True, label="detail", methods=("DELETE",), status=204),
    )
}


def action(
    *,
    detail: bool,
    methods: Sequence[str] = ("GET",),
    path: str | None = None,
    name: str | None = None,
    status: int = 200,
    permission_classes: Sequence[Any] | None = None,
    **options: Unpack[ActionOptions],
) -> Callable[[F], F]:
    """Serve a method of a ViewSet beside the six of its model.

    With `detail` it stands below an object (`/users/{id}/activate`), without below the collection. `path` is
    the last part of the URL and `name` of the route's name (`users-activate`); both are the method's name with
    hyphens when not given. Without `permission_classes` the ViewSet's hold.
    """
    if isinstance(methods, str):
        raise TypeError(f"@action(methods={methods!r}): give a list, [{methods!r}].")

    def mark(function: F) -> F:
        label = function.__name__.replace("_", "-")
        function.swift_action = Action(  # type: ignore[attr-defined]
            name=function.__name__,
            detail=detail,
            label=name or label,
            methods=tuple(method.upper() for method in methods),
            path="/" + (label if path is None else path.strip("/")),
            status=status,
            permission_classes=permission_classes,
            options=options,
        )
        return function

    return mark
