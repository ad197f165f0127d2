"""Functions that provide values for other functions, as one flat plan.

    async def session(pool: Pool) -> AsyncIterator[Session]: ...        # Pool: a service of the container
    def user(session: Annotated[Session, Depends(session)], token: str) -> User: ...
    async def show(user: Annotated[User, Depends(user)]) -> ...

At start `DependencyGraph` reads the signatures once and puts every provider into a tuple of steps, each after
those that it needs, in the order in which the parameters are declared. A provider is one step however many
need it (unless `use_cache=False`), so a dense graph is not a slow one. A request runs down the steps: no
recursion, no lookup by name, no signature.

Values stand in one list, at positions that the caller gives out: it fills those of the request's own
parameters, the steps fill theirs. What is a parameter of the request is the caller's business
(`resolve_parameter`).

Scopes
------
"call" ends before the response is sent, "request" after it, "app" with the application. What lives longer
cannot depend on what lives shorter, which is refused at start.

Concurrency
-----------
Steps run one after the other, unless their markers say `concurrent`: then they wait together, each as soon as
what it needs is there. Such a step waits for the next of its kind, past steps that do not need it.

The order of teardown, in which nothing varies:

1. The endpoint returns and its response is made.
2. "call" values are torn down, the last made first.
3. The response is sent.
4. "request" values are torn down, the last made first.
5. The request's scope of the container is closed: its services outlive all that could use them.
6. When the application stops, "app" values are torn down, the last made first; then the container.

If a step, the endpoint or 2 raises, 2, 4 and 5 follow at once, before an error response is made: each
generator sees the error at its `yield`, like nested `async with` blocks. It may raise another in its place
(an IntegrityError becomes a Conflict), which those outside of it then see. It cannot swallow it: there is no
response to send. An error after 3 changes nothing for the client; the caller reports it.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Hashable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

import msgspec

from .app_scope import AppScope, AppValue
from .callables import EMPTY, Kind, kind_of, name_of, parameters_of
from .errors import CaptiveDependency, CircularDependency, GraphError
from .markers import Dependency, DependencyScope, Inject, Injection, Keyed, RunSync
from .running import DependencyPlan, Step, plan_of
from .wanted import service_of

if TYPE_CHECKING:
    from .container import Container

ResolveParameter = Callable[[inspect.Parameter, Any], int | None]
Provider = Callable[..., Any]

_LONGEVITY: dict[DependencyScope, int] = {"call": 0, "request": 1, "app": 2}


class DependencyGraph:
    """Builds the plan of one endpoint.

        graph = DependencyGraph(reader.add, reader.add_later, container=container)
        for dependency in (*router.dependencies, *route.dependencies):
            graph.require(dependency)                                     # these run first
        for parameter in signature.parameters.values():
            position = graph.position_of(parameter, hints[parameter.name])
            if position is None:
                position = reader.add(parameter, hints[parameter.name])   # a parameter of the request
        plan = graph.build()                                              # None when nothing is to run

    `resolve_parameter(parameter, annotation)` gives the position of a provider's parameter that is no
    dependency, or None to leave it to its default. `allocate()` gives the position of a new value. `run_sync`
    is where a plain function runs unless its marker says otherwise. `overrides` puts other providers in the
    place of some.
    """

    def __init__(
        self,
        resolve_parameter: ResolveParameter,
        allocate: Callable[[], int],
        *,
        container: Container | None = None,
        app_scope: AppScope | None = None,
        overrides: Mapping[Provider, Provider] | None = None,
        run_sync: RunSync = "thread",
    ) -> None:
        self._resolve_parameter = resolve_parameter
        self._allocate = allocate
        self._container = container
        self._app_scope = app_scope
        self._overrides: Mapping[Any, Provider] = overrides or {}
        self._run_sync = run_sync
        self._steps: list[Step] = []
        self._positions: dict[Hashable, int] = {}
        # The overrides that this graph met.
        self.overridden: set[tuple[Hashable, Hashable]] = set()
        # The providers that are being added, from the outermost: to tell a cycle.
        self._path: list[_Open] = []

    def position_of(self, parameter: inspect.Parameter, annotation: Any) -> int | None:
        """Where the value of a parameter will stand, or None when it is neither a dependency nor a service.

        Without a marker a parameter is a service when its type is registered, and it has neither other
        metadata nor a default but None.
        """
        marker, bare = marker_of(parameter, annotation)
        if isinstance(marker, Dependency):
            return self._add(marker, bare)
        if isinstance(marker, Injection):
            return self._add_service(parameter, annotation)
        if self._container is None or bare is not annotation:
            return None
        if parameter.default is not EMPTY and parameter.default is not None:
            return None
        if self._container.has(service_of(parameter, annotation)[0]):
            return self._add_service(parameter, annotation)
        return None

    def require(self, dependency: Any) -> int:
        """Run a dependency whose value no parameter takes: `Depends(check_origin)`, or the function."""
        if not isinstance(dependency, Dependency):
            dependency = Dependency(dependency)
        if dependency.fn is None:
            raise GraphError("Depends() without a function stands for a parameter's class; here it has none.")
        return self._add(dependency, None)

    def build(self) -> DependencyPlan | None:
        """The plan of all that was added, None when that is nothing."""
        return plan_of(self._steps) if self._steps else None

    def _add(self, dependency: Dependency, annotation: Any) -> int:
        provider = annotation if dependency.fn is None else dependency.fn
        if not callable(provider):
            raise GraphError(
                f"Depends() on a parameter of type {name_of(annotation)}, which cannot be called."
            )
        name = _identity(provider)
        if name in self._overrides:
            provider = self._overrides[name]
            self.overridden.add((name, _identity(provider)))
        identity = (_identity(provider), dependency.scope)
        if dependency.use_cache and identity in self._positions:
            self._check_scope(_Open(provider, dependency.scope))
            return self._positions[identity]
        opened = _Open(provider, dependency.scope)
        self._check_scope(opened)
        starts = [index for index, each in enumerate(self._path) if each.provider is provider]
        if starts:
            names = [name_of(each.provider) for each in (*self._path[starts[0] :], opened)]
            cycle = " -> ".join(names)
            raise CircularDependency(f"{cycle} is a cycle of Depends; let one of them take a value instead.")
        if dependency.scope == "app":
            if dependency.concurrent:
                self._step(provider, dependency)
            position = self._append(self._app_step(provider))
        else:
            self._path.append(opened)
            try:
                position = self._append(self._step(provider, dependency))
            finally:
                self._path.pop()
        if dependency.use_cache:
            self._positions[identity] = position
        return position

    def _step(self, provider: Provider, dependency: Dependency) -> Step:
        kind = kind_of(provider)
        if dependency.concurrent and (kind != "coroutine" or dependency.scope == "app"):
            raise GraphError(
                f"{name_of(provider)} cannot run concurrently: only an `async def` without `yield` can, as a generator "
                "must be left where it was entered, and values of the scope 'app' are made once."
            )
        arguments, keywords = self._arguments(provider)
        return Step(
            name=name_of(provider),
            kind=kind,
            call=provider,
            scope="call" if dependency.scope == "call" else "request",
            place=_place(kind, dependency.run_sync, self._run_sync),
            concurrent=dependency.concurrent,
            arguments=arguments,
            keywords=keywords,
        )

    def _arguments(self, provider: Provider) -> tuple[tuple[int, ...], tuple[tuple[str, int], ...]]:
        positional: list[int] = []
        keywords: list[tuple[str, int]] = []
        skipped = False
        for parameter, annotation in parameters_of(provider):
            position = self.position_of(parameter, annotation)
            if position is None:
                position = self._resolve_parameter(parameter, annotation)
            if position is None:
                skipped = True
            elif parameter.kind is parameter.KEYWORD_ONLY or skipped:
                keywords.append((parameter.name, position))
            else:
                positional.append(position)
        return tuple(positional), tuple(keywords)

    def _app_step(self, provider: Provider) -> Step:
        if self._app_scope is None:
            raise GraphError(
                f"{name_of(provider)} has the scope 'app', and there is no application here to hold it."
            )
        return Step(name=name_of(provider), kind="app", app_value=self._app_value(self._app_scope, provider))

    def _app_value(self, app_scope: AppScope, provider: Provider) -> AppValue:
        """The one value of the application; its own graph is built when it is first named."""

        def refuse(parameter: inspect.Parameter, annotation: Any) -> int | None:
            if parameter.default is not EMPTY:
                return None
            raise CaptiveDependency(
                f"{name_of(provider)} has the scope 'app', and its parameter `{parameter.name}` belongs to a "
                "request; give it the scope 'request', or the parameter a default."
            )

        graph = DependencyGraph(
            refuse,
            itertools.count().__next__,
            container=self._container,
            app_scope=app_scope,
            overrides=self._overrides,
            run_sync=self._run_sync,
        )
        graph._path = [*self._path, _Open(provider, "app")]
        graph._append(graph._step(provider, Dependency(provider)))
        self.overridden |= graph.overridden
        # With another provider somewhere below it is another value.
        identity = (_identity(provider), frozenset(graph.overridden))
        return app_scope.value(identity, name_of(provider), plan_of(graph._steps))

    def _add_service(self, parameter: inspect.Parameter, annotation: Any) -> int:
        service, key, optional = service_of(parameter, annotation)
        identity = ("service", service, key)
        if identity in self._positions:
            return self._positions[identity]
        container = self._container
        if container is None:
            raise GraphError(f"The parameter `{parameter.name}` is injected, and there is no container here.")
        if optional and not container.has(service, key):
            step = Step(name="None", kind="function", call=_none, place="any")
        else:
            singleton = container.lifetime_of(service, key) == "singleton"
            if not singleton and self._path and self._path[-1].scope == "app":
                raise CaptiveDependency(
                    f"{name_of(self._path[-1].provider)} has the scope 'app', and would keep one "
                    f"{name_of(service)} for ever, which belongs to one request; give it the scope 'request'."
                )
            # Raises now what would be raised at the first request.
            container.check(service, key)
            step = Step(
                name=name_of(service),
                kind="service",
                service=(service, key),
                container=container,
                scoped=not singleton,
            )
        position = self._positions[identity] = self._append(step)
        return position

    def _append(self, step: Step) -> int:
        step.position = self._allocate()
        self._steps.append(step)
        return step.position

    def _check_scope(self, inner: _Open) -> None:
        if self._path and _LONGEVITY[self._path[-1].scope] > _LONGEVITY[inner.scope]:
            outer = self._path[-1]
            raise CaptiveDependency(
                f"{name_of(outer.provider)} has the scope {outer.scope!r} and depends on "
                f"{name_of(inner.provider)}, whose scope {inner.scope!r} ends before; give both the same."
            )


class _Open(msgspec.Struct, frozen=True):
    provider: Provider
    scope: DependencyScope


def marker_of(parameter: inspect.Parameter, annotation: Any) -> tuple[Dependency | Injection | None, Any]:
    """The marker of a parameter, in its default or its annotation, and the annotation without metadata."""
    metadata: tuple[Any, ...] = ()
    bare = annotation
    if get_origin(annotation) is Annotated:
        bare, *rest = get_args(annotation)
        metadata = tuple(rest)
    if isinstance(parameter.default, Dependency | Injection):
        return parameter.default, bare
    for item in metadata:
        if isinstance(item, Dependency | Injection):
            return item, bare
        if item is Inject or isinstance(item, Keyed):
            return Injection(key=getattr(item, "key", None)), bare
    return None, bare


def _identity(provider: Provider) -> Hashable:
    """What tells providers apart. A callable object that cannot be hashed, as most dataclasses, is only itself."""
    try:
        hash(provider)
    except TypeError:
        return id(provider)
    return provider


def _place(kind: Kind, wanted: RunSync | None, default: RunSync) -> str:
    if kind in ("coroutine", "async_generator"):
        return "loop"
    if wanted is not None:
        return wanted
    # Making an object of arguments is quick anywhere; it joins the thread of its neighbours.
    return "any" if kind == "class" else default


def _none() -> None:
    return None
