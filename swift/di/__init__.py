"""Dependencies: services made by a container, values made by functions, one graph checked at start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .markers import Dependency, Depends, Inject, Injection, Keyed

if TYPE_CHECKING:
    from .app_scope import AppScope
    from .container import Container
    from .errors import (
        AsyncRequired,
        CaptiveDependency,
        CircularDependency,
        DependencyError,
        GraphError,
        InvalidGraph,
        MissingService,
        RegistrationError,
        ScopeClosed,
        ScopeRequired,
    )
    from .graph import DependencyGraph, marker_of
    from .running import DependencyPlan, Exits, Step, run
    from .scope import Scope

__all__ = [
    "AppScope",
    "AsyncRequired",
    "CaptiveDependency",
    "CircularDependency",
    "Container",
    "Dependency",
    "DependencyError",
    "DependencyGraph",
    "DependencyPlan",
    "Depends",
    "Exits",
    "GraphError",
    "Inject",
    "Injection",
    "InvalidGraph",
    "Keyed",
    "MissingService",
    "RegistrationError",
    "Scope",
    "ScopeClosed",
    "ScopeRequired",
    "Step",
    "marker_of",
    "run",
]

# PERF: a module that only marks its parameters does not pay for the container.
_WHERE = {
    "app_scope": ("AppScope",),
    "container": ("Container",),
    "errors": (
        "AsyncRequired",
        "CaptiveDependency",
        "CircularDependency",
        "DependencyError",
        "GraphError",
        "InvalidGraph",
        "MissingService",
        "RegistrationError",
        "ScopeClosed",
        "ScopeRequired",
    ),
    "graph": ("DependencyGraph", "marker_of"),
    "running": ("DependencyPlan", "Exits", "Step", "run"),
    "scope": ("Scope",),
}
_MODULE_OF = {name: module for module, names in _WHERE.items() for name in names}


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f".{module}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
