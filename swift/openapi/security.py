"""Security as the authentication of routes has it: the schemes, and which of them an operation asks for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from swift.openapi.names import Operation
from swift.permissions import (
    SAFE_METHODS,
    All,
    AllowAny,
    DenyAll,
    Either,
    IsAdmin,
    IsAuthenticated,
    IsAuthenticatedOrReadOnly,
    Not,
    Permission,
    compose,
)

if TYPE_CHECKING:
    from swift.routing import Route

__all__ = ["requirements_of", "schemes_of"]


def schemes_of(routes: Iterable[Route]) -> dict[str, dict[str, Any]]:
    """The security schemes of every backend that guards a documented route, by name.

    ValueError where one name stands for two schemes.
    """
    schemes: dict[str, dict[str, Any]] = {}
    for route in routes:
        if not route.include_in_schema:
            continue
        for backend in route.authentication or ():
            if backend.security_scheme is None:
                continue
            scheme = dict(backend.security_scheme)
            if schemes.setdefault(backend.name, scheme) != scheme:
                raise ValueError(
                    f"Two authentications of different security schemes are named `{backend.name}`; give one of them "
                    "another name."
                )
    return schemes


def requirements_of(operation: Operation) -> list[Mapping[str, list[str]]] | None:
    """Any one of the route's schemes, or none at all where its permissions let everybody in; None where the
    route has no authentication."""
    route = operation.route
    names = [backend.name for backend in route.authentication or () if backend.security_scheme is not None]
    if not names:
        return None
    alternatives: list[Mapping[str, list[str]]] = [{name: []} for name in dict.fromkeys(names)]
    permission = compose(route.permission_classes or ())
    if permission is None or admits_anybody(permission, operation.method):
        # OpenAPI 3.1.1 section 4.8.1: an empty requirement makes security optional.
        alternatives.append({})
    return alternatives


def admits_anybody(permission: Permission, method: str) -> bool | None:
    """Whether a request without a user passes, as far as a permission's class tells; None where it does not."""
    if isinstance(permission, All):
        verdicts = [admits_anybody(part, method) for part in permission.permissions]
        return False if False in verdicts else None if None in verdicts else True
    if isinstance(permission, Either):
        verdicts = [admits_anybody(part, method) for part in permission.permissions]
        return True if True in verdicts else None if None in verdicts else False
    if isinstance(permission, Not):
        verdict = admits_anybody(permission.permission, method)
        return None if verdict is None else not verdict
    # The class itself, as a subclass may decide otherwise.
    kind = type(permission)
    if kind is IsAuthenticatedOrReadOnly:
        return method in SAFE_METHODS
    if kind is AllowAny:
        return True
    return False if kind in (DenyAll, IsAdmin, IsAuthenticated) else None
