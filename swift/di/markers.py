"""Markers that say what fills a parameter: a function (`Depends`) or a service (`Inject`).

Both stand in `Annotated` or as a default:

    async def show(session: Annotated[Session, Depends(open_session)], repo: Repo = Inject()) -> ...

They are functions, so that a type checker takes them as the default of anything; what they return is a small
frozen object.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Literal, get_args

import msgspec

DependencyScope = Literal["app", "request", "call"]
RunSync = Literal["thread", "inline"]


class Dependency(msgspec.Struct, frozen=True):
    """A parameter that a function provides; `fn` None stands for the parameter's own class."""

    fn: Callable[..., Any] | None = None
    scope: DependencyScope = "request"
    use_cache: bool = True
    run_sync: RunSync | None = None
    concurrent: bool = False

    def __post_init__(self) -> None:
        if self.scope not in get_args(DependencyScope):
            raise ValueError(f"Depends(scope={self.scope!r}): a scope is 'app', 'request' or 'call'.")
        if self.run_sync not in (None, *get_args(RunSync)):
            raise ValueError(f"Depends(run_sync={self.run_sync!r}): it is 'thread', 'inline' or None.")
        if self.fn is not None and not callable(self.fn):
            raise TypeError(f"Depends({self.fn!r}): what provides a dependency is called; this cannot be.")


class Injection(msgspec.Struct, frozen=True):
    """A parameter that the container provides; `service` None stands for the parameter's own type."""

    service: Any = None
    key: Hashable = None


class Keyed(msgspec.Struct, frozen=True):
    """In the annotation of a constructor's parameter: which of several services of one type.

    `def __init__(self, repo: Annotated[Repo, Keyed("read")])`
    """

    key: Hashable


def Depends(
    fn: Callable[..., Any] | None = None,
    *,
    scope: DependencyScope = "request",
    use_cache: bool = True,
    run_sync: RunSync | None = None,
    concurrent: bool = False,
) -> Any:
    """A parameter whose value `fn` provides: a function, a coroutine function, a class, or a generator that
    yields the value once and tears it down after the `yield`. Its own parameters are provided like those
    of a handler.

    `scope` is how long the value lives: "call" ends before the response is sent, "request" after it, "app"
    with the application. Within a request one value serves all who depend on `fn`, unless `use_cache` is
    False. A plain function runs in a thread, a class where it is needed; `run_sync` decides otherwise.

    `concurrent` lets a coroutine function wait at the same time as the others that say so, in a task of its own: in
    no order but after what it needs and before what needs it. Context variables that it sets stay in that task.
    """
    return Dependency(fn, scope, use_cache, run_sync, concurrent)


def Inject(service: Any = None, *, key: Hashable = None) -> Any:
    """A parameter that the container provides. Needed only where its type alone does not say so: for
    a keyed service, or when the annotation is not the service's type."""
    return Injection(service, key)
