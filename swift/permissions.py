"""Permissions: who may do what, composed with `& | ~` and compiled to one check per route.

Theory. A permission speaks at up to two levels: about the request (`has_permission`) and about one
object (`has_object_permission`). A level that a class does not define is *undecided* there, and the
operators are those of three-valued logic, so that `IsAuthenticated() & (IsOwner() | IsAdmin())` lets a
logged-in stranger list (the request decides nothing about an owner yet) but not read another's
object: with the object at hand every level is asked again and the answer must be yes.

Before the object, anything but a clear no passes. With the object, anything but a clear yes fails.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from swift.http import Forbidden, Problem, Request, Unauthorized

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "QUERY"})

# True, False, or None for undecided.
Verdict = bool | None


class _Composable(type):
    """Lets the operators work on classes as on instances: `IsAuthenticated & ~IsBanned`."""

    def __and__(cls, other: Any) -> All:
        return All(instance_of(cls), instance_of(other))

    def __or__(cls, other: Any) -> Any:
        return Either(instance_of(cls), instance_of(other))

    def __ror__(cls, other: Any) -> Any:
        return Either(instance_of(other), instance_of(cls))

    def __invert__(cls) -> Not:
        return Not(instance_of(cls))


class Permission(metaclass=_Composable):
    """Base of all permissions. Define one of the two methods or both, `def` or `async def`.

    `message` becomes the detail of the 403 problem.
    """

    message: str | None = None

    def has_permission(self, request: Request, view: Any) -> bool | Awaitable[bool]:
        """Whether the request may go on; asked before the body is read."""
        return True

    def has_object_permission(self, request: Request, view: Any, obj: Any) -> bool | Awaitable[bool]:
        """Whether the request may touch this object; asked for every object that is retrieved."""
        return True

    def __and__(self, other: Any) -> All:
        return All(self, instance_of(other))

    def __or__(self, other: Any) -> Either:
        return Either(self, instance_of(other))

    def __invert__(self) -> Not:
        return Not(self)

    async def evaluate(
        self, request: Request, view: Any, obj: Any = None, *, with_object: bool = False
    ) -> Verdict:
        """The verdict on the request, or with `with_object` on the request and the object."""
        verdict: Verdict = None
        if type(self).has_permission is not Permission.has_permission:
            verdict = await _answer(self.has_permission(request, view))
            if not verdict:
                return False
        if with_object and type(self).has_object_permission is not Permission.has_object_permission:
            verdict = await _answer(self.has_object_permission(request, view, obj))
        return verdict


async def _answer(answer: Any) -> bool:
    if inspect.isawaitable(answer):
        answer = await answer
    return bool(answer)


class All(Permission):
    """Every one of the permissions: `a & b`."""

    def __init__(self, *permissions: Permission) -> None:
        self.permissions = permissions

    async def evaluate(
        self, request: Request, view: Any, obj: Any = None, *, with_object: bool = False
    ) -> Verdict:
        verdict: Verdict = True
        for permission in self.permissions:
            found = await permission.evaluate(request, view, obj, with_object=with_object)
            if found is False:
                return False
            if found is None:
                verdict = None
        return verdict


class Either(Permission):
    """At least one of the permissions: `a | b`."""

    def __init__(self, *permissions: Permission) -> None:
        self.permissions = permissions

    async def evaluate(
        self, request: Request, view: Any, obj: Any = None, *, with_object: bool = False
    ) -> Verdict:
        verdict: Verdict = False
        for permission in self.permissions:
            found = await permission.evaluate(request, view, obj, with_object=with_object)
            if found is True:
                return True
            if found is None:
                verdict = None
        return verdict


class Not(Permission):
    """The opposite: `~a`. What is undecided stays undecided."""

    def __init__(self, permission: Permission) -> None:
        self.permission = permission

    async def evaluate(
        self, request: Request, view: Any, obj: Any = None, *, with_object: bool = False
    ) -> Verdict:
        found = await self.permission.evaluate(request, view, obj, with_object=with_object)
        return None if found is None else not found


class AllowAny(Permission):
    """Everybody; it costs nothing, as no check is compiled for it."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return True


class DenyAll(Permission):
    """Nobody."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return False


class IsAuthenticated(Permission):
    """A request with a user."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return is_authenticated(request)


class IsAuthenticatedOrReadOnly(Permission):
    """Anyone may read, a user may write."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return request.method in SAFE_METHODS or is_authenticated(request)


class IsAdmin(Permission):
    """A user whose `is_admin`, `is_staff` or `is_superuser` is true."""

    def has_permission(self, request: Request, view: Any) -> bool:
        user = request.user
        return is_authenticated(request) and any(
            getattr(user, name, False) is True for name in ("is_admin", "is_staff", "is_superuser")
        )


class IsOwner(Permission):
    """The user that the object belongs to: `obj.<field>` is the user's id.

    `field` is looked for among `owner_id`, `user_id` and `author_id` when it is not given; an object
    without it belongs to nobody.
    """

    def __init__(self, field: str | None = None) -> None:
        self.fields = (field,) if field else ("owner_id", "user_id", "author_id")

    def has_object_permission(self, request: Request, view: Any, obj: Any) -> bool:
        if not is_authenticated(request):
            return False
        user_id = getattr(request.user, "id", None)
        for field in self.fields:
            owner = getattr(obj, field, None)
            if owner is not None:
                return user_id is not None and bool(getattr(owner, "id", owner) == user_id)
        return False


def is_authenticated(request: Request) -> bool:
    user = request.user
    return user is not None and bool(getattr(user, "is_authenticated", True))


def instance_of(permission: Any) -> Permission:
    """A permission from an instance or a class; TypeError for anything else."""
    if isinstance(permission, type) and issubclass(permission, Permission):
        try:
            return permission()
        except TypeError as error:
            raise TypeError(
                f"The permission {permission.__name__} needs arguments; give an instance. ({error})"
            ) from None
    if isinstance(permission, Permission):
        return permission
    raise TypeError(f"Expected a Permission or a class of one, got `{permission!r}`.")


def compose(permission_classes: Sequence[Any]) -> Permission | None:
    """All of a `permission_classes` list as one permission; None when it allows everybody."""
    permissions = [
        permission
        for permission in (instance_of(item) for item in permission_classes)
        if type(permission) is not AllowAny
    ]
    if not permissions:
        return None
    return permissions[0] if len(permissions) == 1 else All(*permissions)


def compile_guard(
    permission_classes: Sequence[Any], receiver: Callable[[], Any] | None = None, action: str | None = None
) -> Callable[[Request], Awaitable[None]] | None:
    """The check of a route, to run before the body is read; None when there is nothing to check.

    Permissions are given the ViewSet (a new `receiver()` with `request` and `action` set) as their view,
    or None for a function.
    """
    permission = compose(permission_classes)
    if permission is None:
        return None

    async def guard(request: Request) -> None:
        view = None
        if receiver is not None:
            view = receiver()
            view.request, view.action = request, action
        if await permission.evaluate(request, view) is False:
            raise denied(request, permission)

    return guard


async def check_object(permission: Permission | None, request: Request, view: Any, obj: Any) -> None:
    """Raise unless the permission says yes to the object. `None` allows everybody."""
    if permission is not None and await permission.evaluate(request, view, obj, with_object=True) is not True:
        raise denied(request, permission)


def denied(request: Request, permission: Permission) -> Problem:
    """401 for a request without a user, who may come back with one; 403 for a user who may not."""
    if not is_authenticated(request):
        return Unauthorized("Authentication is required.")
    return Forbidden(permission.message or "You do not have permission to do this.")
