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
    """A service was registered with something that cannot provide it; raised where it is registered."""


class GraphError(DependencyError):
    """Something of the graph can never work; raised when it is checked, at the start of an app."""


class MissingService(GraphError, LookupError):
    """A service is needed that nobody registered; the text names the parameter that needs it."""


class CircularDependency(GraphError):
    """Each of several needs another of them; the text is the whole cycle."""


class CaptiveDependency(GraphError):
    """Something would keep what ends before it: a singleton a scoped service, an app's value a request's."""


class InvalidGraph(GraphError):
    """All that is wrong with a graph: `problems`."""

    def __init__(self, problems: Sequence[GraphError]) -> None:
        super().__init__("\n".join(f"- {problem}" for problem in problems))
        self.problems = tuple(problems)


class ScopeRequired(DependencyError):
    """A scoped service was asked of the container itself; open a scope: `async with container.scope()`."""


class ScopeClosed(DependencyError):
    """A scope was asked for something after its end, when nobody would tear it down any more."""


class AsyncRequired(DependencyError):
    """`get_sync` or `close` met what must be awaited; use `await get` and `await aclose`."""


def raise_problems(problems: Sequence[GraphError]) -> None:
    if len(problems) == 1:
        raise problems[0]
    if problems:
        raise InvalidGraph(problems)
