"""ViewSet: a class whose methods answer requests; a new instance serves each one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from swift.http import Request
from swift.permissions import check_object, compose

from .actions import CRUD, Action, Placeholder


class ViewSet:
    """Actions on one resource.

    The methods `list`, `create`, `retrieve`, `update`, `partial_update` and `destroy` are served where they
    are defined, and every method marked by `@action`. `self.request` and `self.action` are set before
    an action runs; its other parameters come from its signature like those of any handler.

    `authentication_classes` find out who asks, for every action whose `@action` has no `authentication`, and
    `permission_classes` hold for every action that `permission_classes_by_action` or its own
    `@action` does not set; `None` takes those of the router or the app.
    """

    authentication_classes: ClassVar[Sequence[Any] | None] = None
    permission_classes: ClassVar[Sequence[Any] | None] = None
    permission_classes_by_action: ClassVar[Mapping[str, Sequence[Any]]] = {}
    tags: ClassVar[Sequence[str]] = ()
    # The path of one object below the collection.
    lookup_path: ClassVar[str] = "{id}"
    # Of the six standard actions, those to serve; None serves all that are defined.
    actions: ClassVar[Sequence[str] | None] = None

    request: Request
    action: str

    @classmethod
    def served_actions(cls) -> list[Action]:
        """Everything to serve, the marked methods first: `/users/active` outranks `/users/{id}` anyway."""
        found: dict[str, Action] = {}
        for name in dir(cls):
            marked = getattr(getattr(cls, name, None), "swift_action", None)
            if isinstance(marked, Action):
                found[name] = marked
        wanted = CRUD if cls.actions is None else cls.actions
        for name in wanted:
            if name not in CRUD:
                raise ValueError(f"{cls.__name__}.actions names `{name}`; there are {', '.join(CRUD)}.")
        for name, item in CRUD.items():
            if name in wanted and callable(getattr(cls, name, None)) and name not in found:
                found[name] = item
        unknown = cls.permission_classes_by_action.keys() - found.keys()
        if unknown:
            raise ValueError(
                f"{cls.__name__}.permission_classes_by_action names {', '.join(sorted(unknown))}, which it does not "
                f"serve; it serves {', '.join(sorted(found))}."
            )
        return list(found.values())

    @classmethod
    def method_of(cls, item: Action) -> Any:
        for name in dir(cls):
            if getattr(getattr(cls, name, None), "swift_action", None) is item:
                return getattr(cls, name)
        return getattr(cls, item.name)

    @classmethod
    def permissions_of(cls, item: Action) -> Sequence[Any] | None:
        """The `permission_classes` of an action: its own, else those by action, else the ViewSet's."""
        if item.permission_classes is not None:
            return item.permission_classes
        return cls.permission_classes_by_action.get(item.name, cls.permission_classes)

    @classmethod
    def resolve(cls, placeholder: Placeholder) -> Any:
        """The type that stands for a placeholder in this ViewSet."""
        return Any

    async def check_object_permissions(self, obj: Any) -> None:
        """Raise 401 or 403 unless the permissions of the running action say yes to the object."""
        await check_object(compose(self.request.route.permission_classes or ()), self.request, self, obj)
