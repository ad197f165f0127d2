"""What can be wrong with a graph of dependencies, and with how it is used.

DependencyError
├── RegistrationError       a service registered with something that cannot provide it
├── GraphError              found when the graph is checked
│   ├── MissingService
│   ├── CircularDependency
│   ├── CaptiveDependency   something that lives longer than what it holds
│   └── InvalidGraph        several of these at once
├── ScopeRequired           a scoped service asked of the container itself
├── ScopeClosed
└── AsyncRequired           `get_sync` of a service that is made asynchronously
"""

from __future__ import annotations

from collections.abc import Sequence


class DependencyError(Exception):
    """The base of all errors of swift.di. Its text is a sentence that says what to do."""


class RegistrationError(DependencyError):
    pass


class GraphError(DependencyError):
    pass


class MissingService(GraphError, LookupError):
    pass


class CircularDependency(GraphError):
    pass


class CaptiveDependency(GraphError):
    pass


class InvalidGraph(GraphError):
    """All that is wrong with a graph: `problems`."""

    def __init__(self, problems: Sequence[GraphError]) -> None:
        super().__init__("\n".join(f"- {problem}" for problem in problems))
        self.problems = tuple(problems)


class ScopeRequired(DependencyError):
    pass


class ScopeClosed(DependencyError):
    pass


class AsyncRequired(DependencyError):
    pass


def raise_problems(problems: Sequence[GraphError]) -> None:
    if len(problems) == 1:
        raise problems[0]
    if problems:
        raise InvalidGraph(problems)
