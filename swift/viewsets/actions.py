"""Actions: which methods of a ViewSet are served, and the annotations that its model fills in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, TypeAlias, TypeVar, get_args, get_origin

import msgspec

F = TypeVar("F", bound=Callable[..., Any])


class Placeholder(msgspec.Struct, frozen=True):
    """Stands in an action's signature for a type that each ViewSet derives from its model."""

    name: Literal["input", "partial", "output", "list_query", "list_output"]


Input: TypeAlias = Annotated[Any, Placeholder("input")]
PartialInput: TypeAlias = Annotated[Any, Placeholder("partial")]
Output: TypeAlias = Annotated[Any, Placeholder("output")]
ListQuery: TypeAlias = Annotated[Any, Placeholder("list_query")]
ListOutput: TypeAlias = Annotated[Any, Placeholder("list_output")]


def placeholder_of(annotation: Any) -> Placeholder | None:
    if get_origin(annotation) is Annotated:
        return next((item for item in get_args(annotation)[1:] if isinstance(item, Placeholder)), None)
    return None


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """How one method of a ViewSet is served. `path` is relative to the collection or the object."""

    name: str
    detail: bool
    methods: tuple[str, ...] = ("GET",)
    path: str = ""
    status: int = 200
    permission_classes: Sequence[Any] | None = None
    options: Mapping[str, Any] = {}


CRUD = {
    item.name: item
    for item in (
        Action(name="list", detail=False),
        Action(name="create", detail=False, methods=("POST",), status=201),
        Action(name="retrieve", detail=True),
        Action(name="update", detail=True, methods=("PUT",)),
        Action(name="partial_update", detail=True, methods=("PATCH",)),
        Action(name="destroy", detail=True, methods=("DELETE",), status=204),
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
    **options: Any,
) -> Callable[[F], F]:
    """Serve a method of a ViewSet beside the six of its model.

    With `detail` it stands below an object (`/users/{id}/activate`), without below the collection.
    `path` is the last part of the URL, the method's name with hyphens when not given. Without
    `permission_classes` the ViewSet's hold. `options` are those of a route.
    """

    def mark(function: F) -> F:
        action_name = name or function.__name__
        function.swift_action = Action(  # type: ignore[attr-defined]
            name=action_name,
            detail=detail,
            methods=tuple(method.upper() for method in methods),
            path="/" + (path if path is not None else action_name.replace("_", "-")).strip("/"),
            status=status,
            permission_classes=permission_classes,
            options=options,
        )
        return function

    return mark
