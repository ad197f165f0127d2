"""AutoRouter: the routes of ViewSets."""

from __future__ import annotations

from typing import Any

from swift.routing import Router, SignatureError
from swift.routing.annotations import handler_hints

from .actions import Action, placeholder_of
from .viewset import ViewSet


class AutoRouter(Router):
    """A Router that takes ViewSets: `AutoRouter(prefix="/api/v1").register("/users", UserViewSet)`.

    Routes are named `users-list`, `users-detail` and `users-<action>`; operations in the OpenAPI document
    `users_list`, `users_create` and so on.
    """

    def register(self, path: str, viewset: type[ViewSet], name: str | None = None) -> None:
        """Serve every action of a ViewSet below `path`."""
        if not (isinstance(viewset, type) and issubclass(viewset, ViewSet)):
            raise TypeError(f"Expected a class of ViewSet for {path!r}, got `{viewset!r}`.")
        path = "/" + path.strip("/") if path.strip("/") else ""
        basename = name or path.strip("/").replace("/", "-").replace("{", "").replace("}", "") or "root"
        actions = viewset.served_actions()
        if not actions:
            raise ValueError(f"{viewset.__name__} serves nothing; define an action such as `list`.")
        for item in actions:
            self._register_action(path, viewset, basename, item)

    def _register_action(self, path: str, viewset: type[ViewSet], basename: str, item: Action) -> None:
        handler = viewset.method_of(item)
        full = path + (f"/{viewset.lookup_path}" if item.detail else "") + item.path
        options: dict[str, Any] = {
            "name": f"{basename}-{_suffix(item)}",
            "operation_id": f"{basename.replace('-', '_')}_{item.name}",
            "tags": tuple(viewset.tags) or (basename,),
            "status": item.status,
            "authentication": viewset.authentication_classes,
            "permission_classes": viewset.permissions_of(item),
            **item.options,
        }
        self.add_route(
            full or "/",
            handler,
            item.methods,
            receiver=viewset,
            action=item.name,
            annotations=_annotations(viewset, handler, f"{viewset.__name__}.{item.name}"),
            **options,
        )


def _suffix(item: Action) -> str:
    """The last part of a route's name: one for the collection, one for the object, else the action's."""
    if item.path:
        return item.path.strip("/").replace("/", "-")
    return "detail" if item.detail else "list"


def _annotations(viewset: type[ViewSet], handler: Any, describe: str) -> dict[str, Any]:
    """The types that stand for the placeholders in an action's signature."""
    found = {}
    for name, annotation in handler_hints(handler, describe).items():
        placeholder = placeholder_of(annotation)
        if placeholder is not None:
            resolved = viewset.resolve(placeholder)
            if resolved is Any and name != "return":
                raise SignatureError(
                    f"{describe} takes `{name}`, whose type only a ModelViewSet with a model knows."
                )
            found[name] = resolved
    return found
