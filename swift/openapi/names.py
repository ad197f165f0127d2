"""What a document calls its types and its operations.

A type: Rule 1, it is called what its class is called; a generic is called `Page_Item`. Rule 2, where two
types want one name, each takes the shortest of its name, its qualified name, and its module with its
qualified name, that no other type wants. Rule 3, types that even this cannot tell apart are numbered in
the order of their first appearance.

An operation is called what its route says (`operation_id`), else what its route is called. Where one such
name stands for several methods of one path, the method is appended. Two operations of one name are an
error: whatever is generated from the document would lose one of them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

if TYPE_CHECKING:
    from swift.routing import Route

__all__ = ["Operation", "component_names", "operations", "title"]

# The methods a 3.1 path item has a place for, in the order they are listed. HEAD follows from GET and
# OPTIONS from the rest, so neither is an operation of its own.
METHODS = ("GET", "PUT", "POST", "DELETE", "PATCH", "TRACE")
UNLISTED = frozenset({"HEAD", "OPTIONS"})


class Operation(NamedTuple):
    """One method of one route, as the document lists it."""

    id: str
    method: str
    route: Route


def operations(routes: Iterable[Route]) -> list[Operation]:
    """The listed operations in the order of their routes, named. A name given twice is a ValueError."""
    listed = [
        (route, sorted(route.methods - UNLISTED, key=method_order))
        for route in routes
        if route.include_in_schema
    ]
    siblings: Counter[tuple[str, str]] = Counter()
    for route, methods in listed:
        siblings[base_name(route), route.path] += len(methods)
    named: dict[str, Operation] = {}
    for route, methods in listed:
        base = base_name(route)
        shared = len(methods) > 1 or (route.operation_id is None and siblings[base, route.path] > 1)
        for method in methods:
            operation = Operation(f"{base}_{method.lower()}" if shared else base, method, route)
            if (other := named.setdefault(operation.id, operation)) is not operation:
                raise ValueError(
                    f"Two operations are called `{operation.id}`: {described(other)} and "
                    f"{described(operation)}; give one of them another name or an operation_id of its own."
                )
    return list(named.values())


def base_name(route: Route) -> str:
    """The route's operation_id as it stands; else its name, the handler's name or the path, as an
    identifier: `users-detail` and `shop:items` are good route names, but none of a generated client."""
    if route.operation_id:
        return route.operation_id
    name = route.name or getattr(route.handler, "__name__", "") or route.path
    return re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_") or "root"


def described(operation: Operation) -> str:
    handler = operation.route.handler
    module = getattr(handler, "__module__", "")
    name = getattr(handler, "__qualname__", None) or repr(handler)
    return f"{operation.method} {operation.route.path} ({module}.{name})"


def method_order(method: str) -> tuple[int, str]:
    return (METHODS.index(method) if method in METHODS else len(METHODS), method)


def title(cls: Any) -> str:
    """`cls` as Python writes it: `Item`, `Page[Item]`."""
    if cls is NoneType:
        return "None"
    if (origin := get_origin(cls)) is None:
        return str(getattr(cls, "__name__", repr(cls)))
    if origin in (Union, UnionType):
        return " | ".join(title(member) for member in get_args(cls))
    if origin is Annotated:
        return title(get_args(cls)[0])
    arguments = ", ".join(title(argument) for argument in get_args(cls))
    return f"{getattr(origin, '__name__', origin)}[{arguments}]"


def component_names(classes: Iterable[Any], given: Mapping[Any, str] | None = None) -> dict[Any, str]:
    """A name for each class by the three rules above, but for those that have one `given`."""
    names = dict(given or {})
    wishes = {cls: [spelled(cls, level) for level in range(3)] for cls in classes if cls not in names}
    demand = [Counter(wish[level] for wish in wishes.values()) for level in range(3)]
    taken = set(names.values())
    for cls, wish in wishes.items():
        for level, name in enumerate(wish):
            if demand[level][name] == 1 and name not in taken:
                break
        else:
            name = wish[2]
            number = 2
            while name in taken:
                name = f"{wish[2]}_{number}"
                number += 1
        names[cls] = name
        taken.add(name)
    return names


def spelled(cls: Any, level: int) -> str:
    """`cls` by its name (level 0), its qualified name (1) or its module and qualified name (2), in the
    characters OpenAPI allows for a component."""
    origin = get_origin(cls)
    if origin in (Union, UnionType):
        return "_or_".join(spelled(member, level) for member in get_args(cls))
    if origin is Annotated:
        return spelled(get_args(cls)[0], level)
    if origin is Literal:
        return plain("_".join(str(value) for value in get_args(cls)))
    if origin is not None:
        return "_".join(spelled(part, level) for part in (origin, *get_args(cls)))
    if cls is NoneType:
        return "None"
    if not isinstance(cls, type):
        return plain(getattr(cls, "__name__", None) or repr(cls))
    if level == 0 or cls.__module__ == "builtins":
        return plain(cls.__name__)
    qualified = cls.__qualname__.replace("<locals>.", "")
    return plain(qualified if level == 1 else f"{cls.__module__}.{qualified}")


def plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("_")
