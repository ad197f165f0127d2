"""Permissions: who may do what, composed with `& | ~` and compiled to one guard per route.

Theory. A permission speaks at up to two levels: about the request (`has_permission`) and about one
object (`has_object_permission`). Until everything it speaks of is known its verdict is *undecided*,
and the operators are those of three-valued logic:

    IsAuthenticated() & (IsOwner() | IsAdmin())

lets a logged-in stranger list, as nothing can be said about an owner yet, but not read another's object:
with the object at hand whatever was undecided is asked again, on both levels, and the answer must be yes.

Before the object, anything but a clear no passes. With the object, anything but a clear yes fails.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator, Sequence
from typing import Any, ClassVar, Final

from swift.http import Forbidden, Problem, Request, Unauthorized

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "QUERY"})

# True, False, or None for undecided.
Verdict = bool | None
# The way to a verdict: each answer that has to be awaited is yielded, and what it gave is sent back. So the
# same rules serve those who can wait and those who cannot.
Steps = Generator[Awaitable[Any], Any, Verdict]

NO_OBJECT_YET: Final = object()


class _Composable(type):
    """Lets the operators work on classes as on instances: `IsAuthenticated & ~IsBanned`."""

    def __and__(cls, other: Any) -> All:
        return All(instance_of(cls), instance_of(other))

    def __or__(cls, other: Any) -> Any:
        if is_permission(other):
            return Either(instance_of(cls), instance_of(other))
        # An annotation: `Permission | None`.
        return type.__or__(cls, other)

    def __invert__(cls) -> Not:
        return Not(instance_of(cls))


class Permission(metaclass=_Composable):
    """Base of all permissions. Define one of the two methods or both, `def` or `async def`.

    `message` becomes the detail of the 403 problem.
    """

    message: str | None = None

    # Set for each class: which levels it speaks at, and whether its answer about the request is awaited.
    speaks_of_request: bool = False
    speaks_of_object: bool = False
    waits: bool = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.speaks_of_request = cls.has_permission is not Permission.has_permission
        cls.speaks_of_object = cls.has_object_permission is not Permission.has_object_permission
        cls.waits = inspect.iscoroutinefunction(cls.has_permission)

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

    def steps(self, request: Request, view: Any, obj: Any = NO_OBJECT_YET) -> Steps:
        """The way to the verdict on the request, or with `obj` on the request and the object."""
        if self.speaks_of_request:
            answer = self.has_permission(request, view)
            if answer is not True:
                if inspect.isawaitable(answer):
                    answer = yield answer
                if not answer:
                    return False
        if not self.speaks_of_object:
            return True if self.speaks_of_request else None
        if obj is NO_OBJECT_YET:
            return None
        answer = self.has_object_permission(request, view, obj)
        if inspect.isawaitable(answer):
            answer = yield answer
        return bool(answer)


class _Combination(Permission):
    """Several permissions, of which one can settle the matter for all."""

    # The verdict of one that needs no other.
    decisive: ClassVar[bool]

    def __init__(self, *permissions: Permission) -> None:
        self.permissions = permissions
        self.speaks_of_object = any(permission.speaks_of_object for permission in permissions)
        self.waits = any(permission.waits for permission in permissions)

    def steps(self, request: Request, view: Any, obj: Any = NO_OBJECT_YET) -> Steps:
        verdict: Verdict = not self.decisive
        for permission in self.permissions:
            found = yield from permission.steps(request, view, obj)
            if found is self.decisive:
                return found
            if found is None:
                verdict = None
        return verdict


class All(_Combination):
    """Every one of the permissions: `a & b`."""

    decisive = False


class Either(_Combination):
    """At least one of the permissions: `a | b`."""

    decisive = True


class Not(Permission):
    """The opposite: `~a`. What is undecided stays undecided."""

    def __init__(self, permission: Permission) -> None:
        self.permission = permission
        self.speaks_of_object = permission.speaks_of_object
        self.waits = permission.waits

    def steps(self, request: Request, view: Any, obj: Any = NO_OBJECT_YET) -> Steps:
        found = yield from self.permission.steps(request, view, obj)
        return None if found is None else not found


class AllowAny(Permission):
    """Everybody; it costs nothing, as no guard is compiled for it."""

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
        return is_authenticated(request) and any(
            getattr(request.user, name, False) is True for name in ("is_admin", "is_staff", "is_superuser")
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
    """Whether there is a user, and one that says nothing else of itself by `is_authenticated` or `is_active`."""
    user = request.user
    # `is True`: a method of that name, which nobody calls here, would let everyone in.
    return (
        user is not None
        and getattr(user, "is_authenticated", True) is True
        and getattr(user, "is_active", True) is True
    )


# From declarations to guards.


def is_permission(value: Any) -> bool:
    return isinstance(value, (Permission, _Composable))


def instance_of(permission: Any) -> Permission:
    """A permission from an instance or a class; TypeError for anything else."""
    if isinstance(permission, _Composable):
        try:
            permission = permission()
        except TypeError as error:
            raise TypeError(
                f"The permission {permission.__name__} needs arguments; give an instance. ({error})"
            ) from None
    if not isinstance(permission, Permission):
        raise TypeError(f"Expected a Permission or a class of one, got `{permission!r}`.")
    kind = type(permission)
    if kind.steps is Permission.steps and not (kind.speaks_of_request or kind.speaks_of_object):
        raise TypeError(
            f"The permission {kind.__name__} defines neither has_permission nor has_object_permission."
        )
    return permission


def instances_of(permission_classes: Sequence[Any]) -> tuple[Permission, ...]:
    """The permissions of a `permission_classes` list; TypeError for what is none."""
    if isinstance(permission_classes, str) or is_permission(permission_classes):
        raise TypeError(f"permission_classes is a list of permissions, got `{permission_classes!r}` itself.")
    return tuple(instance_of(item) for item in permission_classes)


def conditions(permissions: Sequence[Permission]) -> Iterator[Permission]:
    """The permissions that must all agree, each on its own so that its message is told; AllowAny needs no asking."""
    for permission in permissions:
        if isinstance(permission, All):
            yield from conditions(permission.permissions)
        elif type(permission) is not AllowAny:
            yield permission


def compose(permission_classes: Sequence[Any]) -> Permission | None:
    """All of a `permission_classes` list as one permission; None when it allows everybody."""
    permissions = tuple(conditions(instances_of(permission_classes)))
    if not permissions:
        return None
    return permissions[0] if len(permissions) == 1 else All(*permissions)


class Guard:
    """The check of one route: called before the body is read, and by ViewSets for each object.

    Permissions are given the ViewSet (a new `receiver()` with `request` and `action` set) as their view, or None for
    a function. `synchronous` says that the call never waits: it returns None, not something to await.
    """

    def __init__(
        self, permissions: Iterable[Permission], receiver: Callable[[], Any] | None, action: str | None
    ) -> None:
        self.permissions = tuple(permissions)
        # The others have said yes already when there is an object.
        self.object_permissions = tuple(item for item in self.permissions if item.speaks_of_object)
        self.receiver = receiver
        self.action = action
        self.synchronous = not any(permission.waits for permission in self.permissions)

    def __call__(self, request: Request) -> Awaitable[None] | None:
        view = None
        if self.receiver is not None:
            view = self.receiver()
            view.request = request
            view.action = self.action
        if not self.synchronous:
            return self._wait_for(request, view)
        for permission in self.permissions:
            if outcome(permission, permission.steps(request, view)) is False:
                raise denied(request, permission)
        return None

    async def _wait_for(self, request: Request, view: Any) -> None:
        for permission in self.permissions:
            if await awaited(permission.steps(request, view)) is False:
                raise denied(request, permission)

    async def check_object(self, request: Request, view: Any, obj: Any) -> None:
        """Raise 401 or 403 unless every permission says yes to the object."""
        for permission in self.object_permissions:
            if await awaited(permission.steps(request, view, obj)) is not True:
                raise denied(request, permission)


def compile_guard(
    permission_classes: Sequence[Any], receiver: Callable[[], Any] | None = None, action: str | None = None
) -> Guard | None:
    """The guard of a route; None when there is nothing to check."""
    permission = compose(permission_classes)
    return None if permission is None else Guard(conditions([permission]), receiver, action)


def outcome(permission: Permission, steps: Steps) -> Verdict:
    """The verdict of permissions that have nothing to await."""
    try:
        waiting = next(steps)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    if inspect.iscoroutine(waiting):
        waiting.close()
    raise TypeError(
        f"{type(permission).__name__} gave something to await; make its has_permission `async def`."
    )


async def awaited(steps: Steps) -> Verdict:
    """The verdict, with everything awaited on the way."""
    try:
        waiting = next(steps)
        while True:
            waiting = steps.send(await waiting)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]


def denied(request: Request, permission: Permission) -> Problem:
    """401 for a request without a user, who may come back with one; 403 for a user who may not."""
    if not is_authenticated(request):
        return Unauthorized("Authentication is required.")
    return Forbidden(permission.message or "You do not have permission to do this.")
