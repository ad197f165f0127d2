"""Router: routes, nested routers and mounts, declared at import time and compiled by the App at start."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, Unpack

from .routes import Route, RouteConflict, RouteOptions, TrailingSlash
from .templates import Converter, Template, joined, parse_template

if TYPE_CHECKING:
    from swift.http import FormLimits
    from swift.http.codecs import Codec
    from swift.schemas import TypeHooks

H = TypeVar("H", bound=Callable[..., Any])

_METHOD = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ-")


class Mount(NamedTuple):
    """An ASGI application that serves everything below a path."""

    path: str
    app: Any
    name: str | None
    host: str | None = None


class Claim(NamedTuple):
    """A path and method that is served; the first three members are what no other route may have."""

    host: str | None
    segments: tuple[Any, ...]
    method: str
    path: str
    name: str


class Placed(NamedTuple):
    """A route at its full path, with the routers it stands in, outermost first."""

    route: Route
    routers: tuple[Router, ...]


class Router:
    """A group of routes under one prefix that share middleware, dependencies, authentication, permissions and error
    handlers.

    What a router declares holds for its routes and for the routers included in it. Middleware and
    dependencies add up, outermost first; of error handlers, `authentication`, `permission_classes`, `codecs` (media
    types beside JSON), `type_hooks` and `form_limits` the innermost counts.
    `host` (``api.example.com``) limits the routes to requests for that host.
    """

    def __init__(
        self,
        prefix: str = "",
        *,
        name: str | None = None,
        tags: Sequence[str] = (),
        middleware: Sequence[Any] = (),
        dependencies: Sequence[Any] = (),
        error_handlers: Mapping[type[Exception] | int, Callable[..., Any]] | None = None,
        authentication: Sequence[Any] | None = None,
        permission_classes: Sequence[Any] | None = None,
        host: str | None = None,
        converters: Mapping[str, Converter] | None = None,
        routers: Sequence[Router] = (),
        trailing_slash: TrailingSlash | None = None,
        codecs: Sequence[Codec] | None = None,
        type_hooks: TypeHooks | None = None,
        form_limits: FormLimits | None = None,
    ) -> None:
        self.prefix = _checked_prefix(prefix)
        self.name = name
        self.tags = tuple(tags)
        self.middleware = list(middleware)
        self.dependencies = list(dependencies)
        self.error_handlers = dict(error_handlers or {})
        self.authentication = None if authentication is None else tuple(authentication)
        self.permission_classes = None if permission_classes is None else tuple(permission_classes)
        self.host = host.lower() if host else None
        self.converters = dict(converters or {})
        self.trailing_slash = trailing_slash
        self.codecs = None if codecs is None else tuple(codecs)
        self.type_hooks = type_hooks
        self.form_limits = form_limits
        self._routes: list[Route] = []
        self._children: list[tuple[str, Router]] = []
        self._mounts: list[Mount] = []
        self._parents: list[tuple[str, Router]] = []
        # Everything served here and below, by what no two routes may share.
        self._claims: dict[Any, Claim] = {}
        for router in routers:
            self.include(router)

    # Declaring.

    def route(
        self, path: str, methods: Iterable[str] = ("GET",), **options: Unpack[RouteOptions]
    ) -> Callable[[H], H]:
        """Serve `path` by the decorated function for the given methods."""

        def register(handler: H) -> H:
            self.add_route(path, handler, methods, **options)
            return handler

        return register

    def get(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[H], H]:
        """Serve GET, and HEAD with it."""
        return self.route(path, ("GET",), **options)

    def post(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[H], H]:
        """Serve POST."""
        return self.route(path, ("POST",), **options)

    def put(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[H], H]:
        """Serve PUT."""
        return self.route(path, ("PUT",), **options)

    def patch(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[H], H]:
        """Serve PATCH."""
        return self.route(path, ("PATCH",), **options)

    def delete(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[H], H]:
        """Serve DELETE; a handler that returns None answers 204."""
        return self.route(path, ("DELETE",), **options)

    def head(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[H], H]:
        """Serve HEAD by a handler of its own, where that of GET would do too much."""
        return self.route(path, ("HEAD",), **options)

    def options(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[H], H]:
        """Serve OPTIONS by a handler of its own, instead of the automatic 204 with Allow."""
        return self.route(path, ("OPTIONS",), **options)

    def query(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[H], H]:
        """Serve the safe method with a body, QUERY (draft-ietf-httpbis-safe-method-w-body)."""
        return self.route(path, ("QUERY",), **options)

    def add_route(
        self,
        path: str,
        handler: Callable[..., Any],
        methods: Iterable[str] = ("GET",),
        **options: Unpack[RouteOptions],
    ) -> Route:
        """Register a handler; RouteConflict when the path and a method are already served."""
        methods = tuple(method.upper() for method in methods)
        if not methods or any(not method or not _METHOD.issuperset(method) for method in methods):
            raise ValueError(
                f"The route {path!r} has the methods {methods!r}; give at least one, such as GET."
            )
        if not callable(handler):
            raise TypeError(f"The handler of {path!r} is a `{type(handler).__name__}`, not a function.")
        template = parse_template(self.prefix + path if self.prefix else path, self.converters)
        route = Route(template, methods, handler, host=self.host, **options)
        self._claim(
            [
                Claim(self.host, template.segments, method, template.path, f"`{route.name}`")
                for method in sorted(route.methods)
            ]
        )
        self._routes.append(route)
        return route

    def include(self, router: Router, prefix: str = "") -> None:
        """Place another router below this one, before or after its own routes are declared."""
        if router is self or self in router._descendants():
            raise ValueError("A router cannot be included in itself.")
        prefix = self.prefix + _checked_prefix(prefix)
        self._claim(self._below(prefix, router._claims.values()))
        router._parents.append((prefix, self))
        self._children.append((prefix, router))

    def mount(self, path: str, app: Any, name: str | None = None) -> None:
        """Hand every request below `path` to another ASGI application; its lifespan joins ours."""
        path = self.prefix + _checked_prefix(path)
        segments = parse_template(path + "/", self.converters).segments
        self._claim([Claim(self.host, segments, "*", path + "/", f"the mount at {path or '/'}")])
        self._mounts.append(Mount(path, app, name, self.host))

    def _claim(self, wanted: Sequence[Claim]) -> None:
        """Reserve paths and methods here and in every router above; nothing is reserved when one is taken."""
        for router, claims in self._checked(wanted):
            router._claims.update(claims)
            router._changed()

    def _checked(self, wanted: Sequence[Claim]) -> list[tuple[Router, dict[Any, Claim]]]:
        """What each router, this one and those above, would reserve; RouteConflict when something is taken."""
        self._check_open()
        new: dict[Any, Claim] = {}
        for claim in wanted:
            if claim.host is None and self.host is not None:
                claim = claim._replace(host=self.host)
            taken = self._claims.get(claim[:3]) or new.get(claim[:3])
            if taken is not None:
                raise RouteConflict(
                    f"Route conflict: {claim.method} {claim.path} is already served by {taken.name} "
                    f"({taken.path}); give {claim.name} or the other another path."
                )
            new[claim[:3]] = claim
        above = [
            found
            for prefix, parent in self._parents
            for found in parent._checked(parent._below(prefix, new.values()))
        ]
        return [(self, new), *above]

    def _below(self, prefix: str, claims: Iterable[Claim]) -> list[Claim]:
        """Claims of a router that is included under a prefix, as they stand here."""
        if not prefix:
            return list(claims)
        front = parse_template(prefix, self.converters).segments
        return [
            claim._replace(segments=joined(front, claim.segments), path=prefix + claim.path)
            for claim in claims
        ]

    def _check_open(self) -> None:
        """Called before routes are added here or below; an App that runs refuses."""

    def _changed(self) -> None:
        """Called when routes are added here or below; an App forgets what it has compiled."""

    def _descendants(self) -> Iterator[Router]:
        for _, child in self._children:
            yield child
            yield from child._descendants()

    # Reading.

    def flatten(self, prefix: str = "", routers: tuple[Router, ...] = ()) -> Iterator[Placed]:
        """Every route here and below at its full path, in the order of declaration."""
        routers = (*routers, self)
        converters: dict[str, Converter] = {}
        for router in routers:
            converters.update(router.converters)
        for route in self._routes:
            template = route.template
            if "{" in prefix:
                template = parse_template(prefix + route.path, converters)
            elif prefix:
                template = template.under(prefix)
            yield Placed(_moved(route, template, routers), routers)
        for child_prefix, child in self._children:
            yield from child.flatten(prefix + child_prefix, routers)

    def flatten_mounts(self, prefix: str = "", host: str | None = None) -> Iterator[Mount]:
        """Every mount here and below at its full path."""
        host = self.host or host
        for mount in self._mounts:
            yield mount._replace(path=prefix + mount.path, host=host)
        for child_prefix, child in self._children:
            yield from child.flatten_mounts(prefix + child_prefix, host)


def _moved(route: Route, template: Template, routers: tuple[Router, ...]) -> Route:
    """The route at its full path, with the tags, the host and the name prefix of its routers."""
    moved = Route.__new__(Route)
    for slot in Route.__slots__:
        setattr(moved, slot, getattr(route, slot))
    moved.template = template
    moved.trailing_slash = next(
        (router.trailing_slash for router in reversed(routers) if router.trailing_slash), None
    )
    moved.tags = tuple(dict.fromkeys([tag for router in routers for tag in router.tags] + list(route.tags)))
    moved.host = next((router.host for router in reversed(routers) if router.host), route.host)
    moved.name = ":".join([router.name for router in routers if router.name] + [route.name])
    return moved


def _checked_prefix(prefix: str) -> str:
    if not prefix or prefix == "/":
        return ""
    if not prefix.startswith("/"):
        raise ValueError(f"The prefix {prefix!r} does not start with a slash; write {'/' + prefix!r}.")
    return prefix.rstrip("/")
