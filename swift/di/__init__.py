"""Dependencies: services made by a container, values made by functions, one graph checked at start."""

from __future__ import annotations

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
from .markers import Dependency, Depends, Inject, Injection, Keyed
from .scope import Scope

__all__ = [
    "AsyncRequired",
    "CaptiveDependency",
    "CircularDependency",
    "Container",
    "Dependency",
    "DependencyError",
    "Depends",
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
]
