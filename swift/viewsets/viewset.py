"""ViewSet: a class whose methods answer requests; a new instance serves each one."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from msgspec.structs import replace

from swift.http import Request
from swift.permissions import Guard, Permission, instances_of

from .actions import CRUD, Action, ActionOptions, Placeholder


class ViewSet:
    """Actions on one resource.

    The methods `list`, `create`, `retrieve`, `update`, `partial_update` and `destroy` are served where they
    are defined, and every method marked by `@action`. `self.request` and `self.action` are set before
    an action runs; its other parameters come from its signature like those of any handler.

    `authentication_classes` find out who asks, for every action whose `@action` has no `authentication`, and
    `permission_classes` hold for every action that `permission_classes_by_action` or its own `@action` does
    not set; `None` takes those of the router or the app.
    """

    authentication_classes: ClassVar[Sequence[Any] | None] = None
    permission_classes: ClassVar[Sequence[Any] | None] = None
    permission_classes_by_action: ClassVar[Mapping[str, Sequence[Any] | None]] = {}
    tags: ClassVar[Sequence[str]] = ()
    # The path of one object below the collection.
    lookup_path: ClassVar[str] = "{id}"
    # Of the six standard actions, those to serve; None serves all that are defined.
    actions: ClassVar[Sequence[str] | None] = None

    request: Request
    action: str

    @classmethod
    def served_actions(cls) -> list[Action]:
        """The actions to serve: the standard ones first, then the marked ones in the order of their definition."""
        found = dict(CRUD) if cls.actions is None else {name: CRUD[name] for name in cls.actions}
        for base in reversed(cls.__mro__):
            for name, member in vars(base).items():
                marked = getattr(member, "swift_action", None)
                if isinstance(marked, Action):
                    found[name] = replace(marked, name=name)
        # A subclass that overrides a marked method still serves it, one that sets it to None does not.
        return [item for name, item in found.items() if callable(getattr(cls, name, None))]

    @classmethod
    def permissions_of(cls, item: Action) -> tuple[Permission, ...] | None:
        """The permissions of an action: its own, else those by action, else the ViewSet's."""
        declared = item.permission_classes
        if declared is None:
            declared = cls.permission_classes_by_action.get(item.name)
        if declared is None:
            declared = cls.permission_classes
        try:
            return None if declared is None else instances_of(declared)
        except TypeError as error:
            raise TypeError(f"{cls.__name__}.{item.name}: {error}") from None

    @classmethod
    def options_of(cls, item: Action) -> ActionOptions:
        """What the route of an action takes besides."""
        return item.options

    @classmethod
    def check(cls) -> None:
        """Refuse, in a sentence, a class that cannot be served as it is written."""
        cls.check_actions()
        served = [item.name for item in cls.served_actions()]
        if not served:
            raise ValueError(f"{cls.__name__} serves nothing; define an action such as `list`.")
        unknown = cls.permission_classes_by_action.keys() - set(served)
        if unknown:
            raise ValueError(
                f"{cls.__name__}.permission_classes_by_action names {', '.join(sorted(unknown))}, which it does not "
                f"serve; it serves {', '.join(served)}."
            )
        try:
            inspect.signature(cls).bind()
        except TypeError as error:
            raise TypeError(
                f"{cls.__name__} is made anew for each request, without arguments: {error}."
            ) from None

    @classmethod
    def check_actions(cls) -> None:
        """Refuse names in `actions` that are none."""
        for name in cls.actions or ():
            if name not in CRUD:
                raise ValueError(f"{cls.__name__}.actions names `{name}`; there are {', '.join(CRUD)}.")
            if not callable(getattr(cls, name, None)):
                raise ValueError(f"{cls.__name__}.actions names `{name}`, but the class has no such method.")

    @classmethod
    def resolve(cls, placeholder: Placeholder, action: str) -> Any:
        """The type that stands for a placeholder in an action of this ViewSet."""
        return Any

    @classmethod
    def shown_as(cls) -> Mapping[Any, Any]:
        """What describes a class in the answers of actions better than the class itself."""
        return {}

    @classmethod
    def check_app(cls, app: Any) -> None:
        """Refuse, in a sentence, an app that lacks what this ViewSet needs; asked when the app is compiled."""

    @property
    def asks_about_objects(self) -> bool:
        """Whether a permission of the running action wants to see the object."""
        return any(
            isinstance(guard, Guard) and guard.object_permissions for guard in self.request.endpoint.guards
        )

    async def check_object_permissions(self, obj: Any) -> None:
        """Raise 401 or 403 unless the permissions of the running action say yes to the object."""
        for guard in self.request.endpoint.guards:
            if isinstance(guard, Guard):
                await guard.check_object(self.request, self, obj)
