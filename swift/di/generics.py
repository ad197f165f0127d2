"""Type arguments: which closed type an open one becomes.

A TypeVar means nothing by its name or place: `Svc[T2, T1]` needing `Repo[T1, T2]` must get its arguments by
identity, class by class up the bases.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, get_args, get_origin

Bindings = Mapping[Any, Any]


def parameters(type_: Any) -> tuple[Any, ...]:
    """The TypeVars that a type still has open."""
    if isinstance(type_, TypeVar):
        return (type_,)
    return tuple(getattr(type_, "__parameters__", ()))


def is_open(type_: Any) -> bool:
    """`Repository[T]`, but not the bare class `Repository`."""
    return get_origin(type_) is not None and bool(parameters(type_))


def opened(type_: Any) -> Any:
    """A bare generic class with its own type variables."""
    own = parameters(type_)
    return type_[own] if own and get_origin(type_) is None else type_


def substitute(type_: Any, bindings: Bindings) -> Any:
    """`type_` with its TypeVars replaced; one that has no binding stays."""
    if isinstance(type_, TypeVar):
        return bindings.get(type_, type_)
    open_parameters = parameters(type_)
    if get_origin(type_) is None or not open_parameters:
        return type_
    return type_[tuple(bindings.get(parameter, parameter) for parameter in open_parameters)]


def match(pattern: Any, closed: Any) -> dict[Any, Any] | None:
    """What the TypeVars of `pattern` must be for it to be `closed`, or None."""
    if isinstance(pattern, TypeVar):
        return {pattern: closed}
    if pattern == closed:
        return {}
    origin = get_origin(pattern)
    if origin is None or origin is not get_origin(closed):
        return None
    wanted, given = get_args(pattern), get_args(closed)
    if len(wanted) != len(given):
        return None
    found: dict[Any, Any] = {}
    for part, argument in zip(wanted, given, strict=True):
        inner = match(part, argument)
        if inner is None or any(found.get(key, value) != value for key, value in inner.items()):
            return None
        found |= inner
    return found


def bindings_of(type_: Any, owner: type) -> dict[Any, Any]:
    """What the TypeVars of `owner`, a base of `type_` or its class, are within `type_`."""
    cls = get_origin(type_) or type_
    bindings = dict(zip(parameters(cls), get_args(type_), strict=False))
    if cls is owner:
        return bindings
    for base in getattr(cls, "__orig_bases__", cls.__bases__):
        origin = get_origin(base) or base
        if owner not in getattr(origin, "__mro__", ()):
            continue
        return bindings_of(substitute(base, bindings), owner)
    return {}


def implementation_of(implementation: Any, service: Any) -> Any | None:
    """The closed form of a generic class that provides the closed `service`, or None.

    `SqlRepository(Repository[T, int])` for `Repository[User, int]` is `SqlRepository[User]`.
    """
    base = _as_base(implementation, get_origin(service) or service)
    found = match(base, service)
    if found is None:
        return None
    wanted = parameters(implementation)
    if not wanted:
        return implementation
    return implementation[tuple(found.get(parameter, parameter) for parameter in wanted)]


def _as_base(cls: Any, origin: Any) -> Any:
    """`cls` seen as its generic base `origin`, in terms of the TypeVars of `cls`."""
    if (get_origin(cls) or cls) is origin:
        return opened(cls)
    for base in getattr(get_origin(cls) or cls, "__orig_bases__", ()):
        base_origin = get_origin(base) or base
        if origin not in getattr(base_origin, "__mro__", ()):
            continue
        arguments = dict(zip(parameters(base_origin), get_args(base), strict=False))
        return substitute(_as_base(base_origin, origin), arguments)
    return cls
