"""AutoRouter: the routes of ViewSets."""

from __future__ import annotations

import re
from typing import Any, Self

from swift.routing import Router, SignatureError
from swift.routing.annotations import handler_hints

from .actions import Action, Placeholder, filled
from .viewset import ViewSet


class AutoRouter(Router):
    """A Router that takes ViewSets: `AutoRouter(prefix="/api/v1").register("/users", UserViewSet)`.

    Routes are named `users-list`, `users-detail` and `users-<action>`; operations in the OpenAPI document
    `users_list`, `users_create` and so on, with the router's name in front if it has one.
    """

    def register(self, path: str, viewset: type[ViewSet], name: str | None = None) -> Self:
        """Serve every action of a ViewSet below `path`; `name` stands for the path in the names of routes.

        Gives the router itself: `App(routers=[AutoRouter("/api").register("/users", UserViewSet)])`.
        """
        if not (isinstance(viewset, type) and issubclass(viewset, ViewSet)):
            raise TypeError(f"Expected a class of ViewSet for {path!r}, got `{viewset!r}`.")
        viewset.check()
        path = "/" + path.strip("/") if path.strip("/") else ""
        for item in viewset.served_actions():
            self._register_action(path, viewset, name or basename(path), item)
        return self

    def _register_action(self, path: str, viewset: type[ViewSet], name: str, item: Action) -> None:
        handler = getattr(viewset, item.name)
        full = path + (f"/{viewset.lookup_path}" if item.detail else "") + item.path
        operation_id = "_".join(filter(None, (self.name, name, item.name)))
        options: dict[str, Any] = {
            "operation_id": re.sub(r"\W+", "_", operation_id, flags=re.ASCII),
            "tags": tuple(viewset.tags) or (name,),
            "authentication": viewset.authentication_classes,
            **viewset.options_of(item),
        }
        self.add_route(
            full or "/",
            handler,
            item.methods,
            name=f"{name}-{item.label}",
            status=item.status,
            permission_classes=viewset.permissions_of(item),
            receiver=viewset,
            action=item.name,
            annotations=annotations_of(viewset, handler, item.name),
            **options,
        )


def basename(path: str) -> str:
    """What a path is about, its parameters left out: `users-posts` of `/users/{user_id:int}/posts`."""
    return "-".join(part for part in path.split("/") if part and "{" not in part) or "root"


def annotations_of(viewset: type[ViewSet], handler: Any, action: str) -> dict[str, Any]:
    """The types that stand for the placeholders in an action's signature."""
    found = {}
    describe = f"{viewset.__name__}.{action}"
    for name, annotation in handler_hints(handler, describe).items():

        def resolve(placeholder: Placeholder, name: str = name) -> Any:
            resolved = viewset.resolve(placeholder, action)
            if resolved is Any and name != "return":
                raise SignatureError(f"{describe} takes `{name}`, whose type only a ModelViewSet knows.")
            return resolved

        made = filled(annotation, resolve, viewset.shown_as() if name == "return" else {})
        if made is not annotation:
            found[name] = made
    return found
