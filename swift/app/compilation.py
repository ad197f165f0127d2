"""What an App is once it is compiled: its routes, its kernel, its mounts, and its answer to misses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from swift._speedups.kernel import Kernel
from swift._speedups.router import KINDS
from swift.auth.authentication import backends_of, challenges_of, compile_authentication
from swift.http import NotFound, Problem, Request, Response
from swift.http.cookies import parse_cookies
from swift.permissions import compile_guard
from swift.routing import Route, Router
from swift.routing.compiler import Compiled, Inherited, compile_routes, trees_of
from swift.routing.endpoint import CallNext, ErrorHandlers, Middleware
from swift.routing.pipeline import answer_error, around_guards, build_pipeline
from swift.routing.router import Placed
from swift.routing.templates import parse_template

from .data import database_bindings
from .misses import NOT_FOUND_DETAIL, answer_miss
from .mounting import MountEndpoint

if TYPE_CHECKING:
    from .application import App


class Compilation(NamedTuple):
    """The result; nothing in it changes until the app is compiled anew."""

    kernel: Kernel
    routes: list[Route]
    mounts: list[MountEndpoint]
    # The middleware around 404, 405, redirects and automatic OPTIONS.
    miss: CallNext


def compile_app(app: App) -> Compilation:
    """Make the route tree and every call plan; mistakes in routes and handlers surface here."""
    middleware = ordered_middleware(app)
    compiled = compile_routes(
        [*app.flatten(), *(Placed(route, (app,)) for route in documentation_routes(app))],
        lambda placed: inherited(app, placed, middleware),
    )
    # What stands behind the guards of an endpoint has no place where there is none.
    around, _ = around_guards(middleware)
    mounts = compile_mounts(app, compiled, around)
    redirects = any(route.trailing_slash == "redirect" for route in compiled.routes)
    kernel = Kernel(
        compiled.tree,
        app=app,
        request_class=Request,
        parse_cookies=parse_cookies,
        hosts=compiled.hosts,
        bindings=database_bindings(app.database),
        not_found_body=constant_not_found(app),
        redirect_slashes=redirects,
        max_body_size=app.max_body_size,
    )

    async def core(request: Request) -> Response:
        try:
            return answer_miss(request, kernel.tree_for(request))
        except Problem as problem:
            return await answer_error(request, problem, app.error_handlers)

    return Compilation(kernel, compiled.routes, mounts, build_pipeline(around, core))


def ordered_middleware(app: App) -> tuple[Middleware, ...]:
    """The app's middleware with the error boundary in its place; none at all when there is none."""
    if not app.middleware:
        return ()
    outside = [item for item in app.middleware if getattr(item, "outside_error_boundary", False)]
    inside = [item for item in app.middleware if item not in outside]
    return (*outside, app.boundary, *inside)


def inherited(app: App, placed: Placed, app_middleware: tuple[Middleware, ...]) -> Inherited:
    """What an endpoint has from the routers around it; the app is the outermost one."""
    route = placed.route
    inner_first: tuple[Route | Router, ...] = (route, *reversed(placed.routers))
    check_app = getattr(route.receiver, "check_app", None)
    if check_app is not None:
        check_app(app)
    # The route keeps both: a ViewSet asks its permissions again with an object at hand, the document tells of both.
    route.authentication = backends_of(
        next((found.authentication for found in inner_first if found.authentication is not None), ())
    )
    route.challenges = challenges_of(route.authentication)
    route.permission_classes = next(
        (found.permission_classes for found in inner_first if found.permission_classes is not None), ()
    )
    guards = (
        compile_authentication(route.authentication),
        compile_guard(route.permission_classes, route.receiver, route.action),
    )
    error_handlers: ErrorHandlers = dict(app.data_handlers)
    for router in placed.routers:
        error_handlers.update(router.error_handlers)
    middleware = [item for router in placed.routers[1:] for item in router.middleware]
    if (middleware or route.middleware) and not app_middleware:
        app_middleware = (app.boundary,)
    return Inherited(
        middleware=(*app_middleware, *middleware),
        dependencies=tuple(item for router in placed.routers for item in router.dependencies),
        guards=tuple(guard for guard in guards if guard is not None),
        error_handlers=error_handlers,
        max_body_size=app.max_body_size,
        container=app.container,
        app_scope=app.app_scope,
        overrides=app.overrides,
        in_thread=app.threads.run,
        codecs=next((found.codecs for found in inner_first if found.codecs is not None), ()),
        type_hooks=next((found.type_hooks for found in inner_first if found.type_hooks is not None), None),
        form_limits=next((found.form_limits for found in inner_first if found.form_limits is not None), None),
    )


def documentation_routes(app: App) -> list[Route]:
    """The routes of `openapi_url` and `docs_url`; whatever of the app stands there already wins."""
    if app.openapi_url is None:
        return []
    routes = []
    for path, name, handler in app.documentation.handlers():
        template = parse_template(path)
        if not app.claims(template, "GET"):
            route = Route(
                template,
                ("GET",),
                handler,
                name=name,
                include_in_schema=False,
                authentication=(),
                permission_classes=(),
            )
            route.trailing_slash = app.trailing_slash
            routes.append(route)
    return routes


def constant_not_found(app: App) -> bytes | None:
    """The body of the plain 404, when nothing of the app has a say in it."""
    if app.middleware or app.error_handlers.keys() & {404, NotFound, Problem, Exception}:
        return None
    return NotFound(NOT_FOUND_DETAIL).encode()


def compile_mounts(app: App, compiled: Compiled, middleware: Sequence[Middleware]) -> list[MountEndpoint]:
    """An endpoint for each mount, for every method and everything below its path."""
    endpoints = []
    rest = (((KINDS["rest"], None),), (KINDS["rest"],))
    for mount in app.flatten_mounts():
        endpoint = MountEndpoint(
            name=mount.name or mount.path, handler=mount.app, direct=False, response_class=Response
        )
        endpoint.app = mount.app
        endpoint.mount_path = mount.path
        endpoint.state = {}
        endpoint.error_handlers = app.error_handlers
        endpoint.route = mount
        endpoint.pipeline = build_pipeline(middleware, endpoint.respond)
        for tree in trees_of(mount.host, compiled.tree, compiled.hosts or {}):
            tree.add((f"{mount.path}/".encode(), rest), "*", endpoint)
            if mount.path:
                tree.add((mount.path.encode(),), "*", endpoint)
        endpoints.append(endpoint)
    return endpoints
