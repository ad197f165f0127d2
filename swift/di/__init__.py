"""Dependencies: services made by a container, values made by functions, one graph checked at start."""

from __future__ import annotations

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
from .markers import Dependency, Depends, Inject, Injection, Keyed
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
