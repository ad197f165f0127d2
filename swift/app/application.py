"""The application: routes, middleware and parts composed at start, and the ASGI door."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from swift._speedups.kernel import (
    BODY_STAGE,
    GENERAL_STAGE,
    MISS_STAGE,
    SEND_STAGE,
    SUSPENDED_STAGE,
    Kernel,
    Pending,
)
from swift._speedups.router import KINDS, Tree
from swift.http import ClientDisconnect, NotFound, Problem, Request, Response
from swift.http.cookies import parse_cookies
from swift.middleware import ErrorBoundary
from swift.permissions import compile_guard
from swift.routing import Route, Router
from swift.routing.compiler import Inherited, compile_routes, trees_of
from swift.routing.endpoint import ErrorHandlers, Middleware
from swift.routing.pipeline import answer_error, build_pipeline
from swift.routing.router import Placed
from swift.routing.routes import TrailingSlash
from swift.routing.templates import parse_template

from .data import data_error_handlers, database_bindings, open_database
from .lifespan import Lifespan, mounted_lifespan, serve_lifespan
from .misses import NOT_FOUND_DETAIL, answer_miss
from .mounting import MountEndpoint, mounted_scope
from .suspension import resume
from .threads import Threads

if TYPE_CHECKING:
    from swift.engines import Database
    from swift.openapi import Documentation, OpenAPIOptions

logger = logging.getLogger("swift.app")

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class App(Router):
    """An ASGI 3 application, and the root of its routers.

    max_body_size: bytes a request body may have (413 beyond). trailing_slash: "strict" takes paths
    as declared, "redirect" answers 308 to the declared form, "merge" serves both. max_threads: how many
    `def` handlers run at once. shutdown_timeout: seconds that work after responses gets on shutdown.
    openapi_options: what the document says besides the routes, see `swift.openapi.OpenAPIOptions`.
    """

    def __init__(
        self,
        *,
        routers: Sequence[Router] = (),
        middleware: Sequence[Middleware] = (),
        dependencies: Sequence[Any] = (),
        error_handlers: Mapping[type[Exception] | int, Callable[..., Any]] | None = None,
        permission_classes: Sequence[Any] | None = None,
        converters: Mapping[str, Callable[[str], Any]] | None = None,
        lifespan: Lifespan | None = None,
        database: str | Database | None = None,
        title: str = "API",
        version: str = "0.1.0",
        description: str | None = None,
        openapi_url: str | None = "/openapi.json",
        docs_url: str | None = "/docs",
        openapi_options: OpenAPIOptions | None = None,
        trailing_slash: TrailingSlash = "redirect",
        max_body_size: int = 10 * 2**20,
        max_threads: int = 40,
        shutdown_timeout: float = 10.0,
        debug: bool = False,
    ) -> None:
        super().__init__(
            middleware=middleware,
            dependencies=dependencies,
            error_handlers=error_handlers,
            permission_classes=permission_classes,
            converters=converters,
        )
        if trailing_slash not in ("strict", "redirect", "merge"):
            raise ValueError(f"Expected trailing_slash 'strict', 'redirect' or 'merge', got {trailing_slash!r}.")
        self.title = title
        self.version = version
        self.openapi_url = openapi_url
        self._openapi_options: OpenAPIOptions = {"title": title, "version": version, "description": description}
        if openapi_options is not None:
            self._openapi_options.update(openapi_options)
        self._documentation: Documentation | None = None
        self.docs_url = docs_url
        self.trailing_slash = trailing_slash
        self.max_body_size = max_body_size
        self.shutdown_timeout = shutdown_timeout
        self.debug = debug
        self.state = SimpleNamespace()
        self.threads = Threads(max_threads)
        self._lifespan = lifespan
        self.db: Database | None = open_database(database)
        self._data_handlers: ErrorHandlers = data_error_handlers() if self.db is not None else {}
        self._boundary = ErrorBoundary(debug)
        self._background: set[asyncio.Task[None]] = set()
        self._enter: Callable[[Scope, Receive], tuple[Any, Any]] = self._enter_unstarted
        self._kernel: Kernel | None = None
        self._miss: Callable[[Request], Awaitable[Response]] | None = None
        self._stack: AsyncExitStack | None = None
        self._starting: asyncio.Lock | None = None
        self._compiled_routes: list[Route] | None = None
        self._names: dict[str, list[Route]] = {}
        for router in routers:
            self.include(router)

    # The ASGI door.

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        pending = None
        try:
            start, body = self._enter(scope, receive)
            if start is None and body is not None:
                pending = body
                if pending.wants_body:
                    start, body = pending.with_message(await receive())
        except Exception as error:
            await self._answer_failed(scope, receive, send, error, pending and pending.request)
            return
        if start is None:
            await self._continue(pending, scope, receive, send)
            return
        try:
            await send(start)
            await send(body)
        except OSError:
            # The client left (ASGI HTTP 2.4, "Send after disconnect"); there is nobody to tell.
            return

    def _enter_unstarted(self, scope: Scope, receive: Receive) -> tuple[None, None]:
        return None, None

    async def _continue(self, pending: Pending | None, scope: Scope, receive: Receive, send: Send) -> None:
        """What the kernel could not finish at once."""
        if pending is None:
            await self._other(scope, receive, send)
            return
        try:
            while True:
                stage = pending.stage
                if stage == BODY_STAGE:
                    start, body = pending.with_body(await _whole_body(pending.request, pending.awaitable))
                elif stage == SUSPENDED_STAGE:
                    result = await resume(pending.awaitable, pending.yielded)
                    start, body = pending.finish(result)
                else:
                    response = await self._respond(pending)
                    break
                if start is not None:
                    await _send_quietly(send, start, body)
                    return
        except Exception as error:
            await self._answer_failed(scope, receive, send, error, pending.request)
            return
        await self._send_response(response, pending.request, scope, receive, send)

    async def _respond(self, pending: Pending) -> Response:
        stage = pending.stage
        if stage == GENERAL_STAGE:
            response: Response = await pending.plan.pipeline(pending.request)
            return response
        if stage == SEND_STAGE:
            response = pending.plan.response(pending.awaitable)
            return response
        assert stage == MISS_STAGE and self._miss is not None
        return await self._miss(pending.request)

    async def _send_response(
        self, response: Response, request: Request, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Send, then end what lives as long as the request."""
        started = False

        async def watched_send(message: dict[str, Any]) -> None:
            nonlocal started
            started = True
            try:
                await send(message)
            except OSError as error:
                raise ClientDisconnect("The client left before its answer was complete.") from error

        try:
            if request.error is not None:
                await self._send_debug(request.error, scope, send)
            await response(scope, request.receive_after_body, watched_send)
        except ClientDisconnect:
            return
        except Exception as error:
            if started:
                # Too late for another status: the server has to break the connection off.
                raise
            await self._answer_failed(scope, receive, send, error, request)
        finally:
            await self._finish(request)

    async def _send_debug(self, error: Exception, scope: Scope, send: Send) -> None:
        """Tell a server that asks for it (a test client does) which exception became this answer."""
        if "http.response.debug" in (scope.get("extensions") or ()):
            await send({"type": "http.response.debug", "info": {"exception": error}})

    async def _finish(self, request: Request) -> None:
        await request.close()
        stack, request.stack = request.stack, None
        if stack is not None:
            await stack.aclose()
        callbacks, request.callbacks = request.callbacks, None
        if callbacks:
            self.run_after(callbacks)

    async def _answer_failed(
        self, scope: Scope, receive: Receive, send: Send, error: Exception, request: Request | None = None
    ) -> None:
        """Answer an exception that left an endpoint without middleware, or every middleware."""
        if request is None:
            request = Request(scope, receive)
            request.app = self
        handlers = self._handlers_at(request)

        async def core(request: Request) -> Response:
            return await answer_error(request, error, handlers)

        response = await self._boundary(request, core)
        await self._send_response(response, request, scope, receive, send)

    def _handlers_at(self, request: Request) -> ErrorHandlers:
        """The error handlers of the route a request was for; looked up again, as failing is rare."""
        assert self._kernel is not None
        found = self._kernel.find(request)
        return found.error_handlers if found is not None else self.error_handlers

    async def _other(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Everything that is no HTTP request to a started app."""
        kind = scope["type"]
        if kind == "lifespan":
            await serve_lifespan(self, scope, receive, send)
        elif kind == "http":
            await self.start()
            await self(scope, receive, send)
        elif kind == "websocket" and (mount := await self._mount_of(scope)) is not None:
            await mount.app(mounted_scope(scope, mount.mount_path, mount.state), receive, send)
        elif kind == "websocket":
            # Closing before accepting makes the server answer 403 (ASGI WebSocket, "Close").
            await receive()
            await send({"type": "websocket.close", "code": 1000, "reason": ""})
        else:
            raise ValueError(f"Expected an ASGI scope of type http, websocket or lifespan, got {kind!r}.")

    async def _mount_of(self, scope: Scope) -> MountEndpoint | None:
        """The mounted application that a WebSocket is for."""
        await self.start()
        assert self._kernel is not None
        found = self._kernel.find(Request({**scope, "method": "GET"}))
        return found if isinstance(found, MountEndpoint) else None

    # Start and stop.

    async def start(self, state: dict[str, Any] | None = None) -> None:
        """Compile the routes and enter the lifespans; done once, by the server or the first request."""
        if self._starting is None:
            self._starting = asyncio.Lock()
        async with self._starting:
            if self._stack is not None:
                return
            stack = AsyncExitStack()
            try:
                await self._enter_lifespans(stack, {} if state is None else state)
            except BaseException:
                await stack.aclose()
                raise
            self._stack = stack

    async def _enter_lifespans(self, stack: AsyncExitStack, state: dict[str, Any]) -> None:
        kernel = self.compile()
        if self.openapi_url is not None:
            self.documentation.check()
        if self.db is not None:
            await self.db.connect()
            stack.push_async_callback(self.db.close)
            stack.enter_context(self.db.bind())
        for endpoint in self._mount_endpoints:
            await stack.enter_async_context(mounted_lifespan(endpoint.app, endpoint.state))
        if self._lifespan is not None:
            yielded = await stack.enter_async_context(self._lifespan(self))
            if yielded is not None:
                state.update(yielded)
                self.state.__dict__.update(yielded)
        self._enter = kernel.enter

    async def stop(self) -> None:
        """Drain the work after responses, leave the lifespans in reverse order, free the threads."""
        self._enter = self._enter_unstarted
        if self._background:
            _, late = await asyncio.wait(self._background, timeout=self.shutdown_timeout)
            for task in late:
                logger.warning("Work after a response did not end within %s s and is cancelled.", self.shutdown_timeout)
                task.cancel()
        stack, self._stack, self._starting = self._stack, None, None
        try:
            if stack is not None:
                await stack.aclose()
        finally:
            self.threads.close()

    def run_after(self, callbacks: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]]) -> None:
        """Start the work that a request left for after its response."""
        task = asyncio.get_running_loop().create_task(self._run_callbacks(callbacks))
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _run_callbacks(
        self, callbacks: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]]
    ) -> None:
        import inspect

        for function, args, kwargs in callbacks:
            try:
                if inspect.iscoroutinefunction(function):
                    await function(*args, **kwargs)
                else:
                    await self.threads.run(lambda f=function, a=args, k=kwargs: f(*a, **k))
            except Exception:
                logger.exception("Work after a response failed in `%s`.", getattr(function, "__name__", function))

    # Compiling.

    def compile(self) -> Kernel:
        """Make the route tree and every call plan. Called at start; mistakes in routes surface here."""
        boundary_and_inside: list[Middleware] = []
        outside: list[Middleware] = []
        for item in self.middleware:
            (outside if getattr(item, "outside_error_boundary", False) else boundary_and_inside).append(item)
        app_middleware: tuple[Middleware, ...] = ()
        if self.middleware:
            app_middleware = (*outside, self._boundary, *boundary_and_inside)
        compiled = compile_routes(
            [*self.flatten(), *(Placed(route, (self,)) for route in self._documentation_routes())],
            lambda placed: self._inherit(placed, app_middleware),
            merge_slashes=self.trailing_slash == "merge",
        )
        self._compiled_routes = compiled.routes
        self._names = {}
        for route in compiled.routes:
            self._names.setdefault(route.name, []).append(route)
        self._mount_endpoints = self._compile_mounts(compiled.tree, compiled.hosts or {}, app_middleware)
        redirects = self.trailing_slash == "redirect"
        kernel = Kernel(
            compiled.tree,
            app=self,
            request_class=Request,
            parse_cookies=parse_cookies,
            hosts=compiled.hosts,
            bindings=database_bindings(self.db),
            not_found_body=self._constant_not_found(),
            redirect_slashes=redirects,
        )

        async def core(request: Request) -> Response:
            try:
                return answer_miss(request, kernel.tree_for(request), redirects)
            except Problem as problem:
                return await answer_error(request, problem, self.error_handlers)

        self._miss = build_pipeline(app_middleware, core)
        self._kernel = kernel
        return kernel

    @property
    def documentation(self) -> Documentation:
        """The OpenAPI document and its page; made when first asked for."""
        if self._documentation is None:
            from swift.openapi import Documentation

            self._documentation = Documentation(
                lambda: self.routes,
                openapi_url=self.openapi_url or "/openapi.json",
                docs_url=self.docs_url,
                **self._openapi_options,
            )
        return self._documentation

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI 3.1 document of all routes."""
        from swift.openapi import openapi

        return openapi(self.routes, **self._openapi_options)

    def _documentation_routes(self) -> list[Route]:
        """The routes of `openapi_url` and `docs_url`; whatever of the app stands there already wins."""
        if self.openapi_url is None:
            return []
        routes = []
        for path, name, handler in self.documentation.handlers():
            template = parse_template(path)
            if (None, template.segments, "GET") not in self._claims:
                routes.append(
                    Route(template, ("GET",), handler, name=name, include_in_schema=False, permission_classes=())
                )
        return routes

    def _constant_not_found(self) -> bytes | None:
        """The body of the plain 404, when nothing of the app has a say in it."""
        if self.middleware or self.error_handlers.keys() & {404, NotFound, Problem, Exception}:
            return None
        return NotFound(NOT_FOUND_DETAIL).encode()

    def _inherit(self, placed: Placed, app_middleware: Sequence[Middleware]) -> Inherited:
        """What an endpoint has from the routers around it; the app is the outermost one."""
        routers = placed.routers[1:]
        declared = [placed.route.permission_classes, *(router.permission_classes for router in reversed(placed.routers))]
        permission_classes = next((found for found in declared if found is not None), ())
        # A ViewSet asks the route for them again, with the object at hand.
        placed.route.permission_classes = permission_classes
        guard = compile_guard(permission_classes, placed.route.receiver, placed.route.action) if permission_classes else None
        error_handlers: ErrorHandlers = dict(self._data_handlers)
        for router in placed.routers:
            error_handlers.update(router.error_handlers)
        middleware = [item for router in routers for item in router.middleware]
        if (middleware or placed.route.middleware) and not app_middleware:
            app_middleware = (self._boundary,)
        return Inherited(
            middleware=(*app_middleware, *middleware),
            dependencies=tuple(item for router in placed.routers for item in router.dependencies),
            guards=() if guard is None else (guard,),
            error_handlers=error_handlers,
            max_body_size=self.max_body_size,
            in_thread=self.threads.run,
        )

    def _compile_mounts(
        self, tree: Tree, hosts: dict[bytes, Tree], app_middleware: Sequence[Middleware]
    ) -> list[MountEndpoint]:
        endpoints = []
        rest = (((KINDS["rest"], None),), (KINDS["rest"],))
        for mount in self.flatten_mounts():
            endpoint = MountEndpoint(name=mount.name or mount.path, handler=mount.app, direct=False, response_class=Response)
            endpoint.app = mount.app
            endpoint.mount_path = mount.path
            endpoint.state = {}
            endpoint.error_handlers = self.error_handlers
            endpoint.route = mount
            endpoint.pipeline = build_pipeline(app_middleware, endpoint.respond)
            for target in trees_of(mount.host, tree, hosts):
                target.add((f"{mount.path}/".encode(), rest), "*", endpoint)
                if mount.path:
                    target.add((mount.path.encode(),), "*", endpoint)
            endpoints.append(endpoint)
        return endpoints

    # Asking.

    @property
    def routes(self) -> list[Route]:
        """Every route at its full path; with plans once the app is compiled."""
        if self._compiled_routes is None:
            self.compile()
        assert self._compiled_routes is not None
        return list(self._compiled_routes)

    def url_for(self, name: str, **params: Any) -> str:
        """The path of a named route: `app.url_for("users-detail", id=1)`."""
        if self._compiled_routes is None:
            self.compile()
        found = {route.path: route for route in self._names.get(name, ())}
        if not found:
            raise LookupError(f"No route is named {name!r}; there are {', '.join(sorted(self._names)) or 'none'}.")
        fitting = [
            route for route in found.values() if {item.name for item in route.template.parameters} == params.keys()
        ]
        if len(found) > 1 and len(fitting) != 1:
            raise LookupError(f"Several paths are named {name!r}: {', '.join(sorted(found))}; name each route.")
        return (fitting or list(found.values()))[0].template.url(params)

    def add_middleware(self, middleware: Middleware) -> None:
        """Add a middleware inside those added before."""
        self.middleware.append(middleware)
        self._compiled_routes = None

    def on_error(self, error: type[Exception] | int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Register an error handler: `@app.on_error(ValueError)` or `@app.on_error(404)`."""

        def register(handler: Callable[..., Any]) -> Callable[..., Any]:
            self.error_handlers[error] = handler
            return handler

        return register


async def _whole_body(request: Request, first: dict[str, Any]) -> bytes:
    """The body of which `first` was received already."""
    receive = request.receive
    messages = [first]

    async def replay() -> dict[str, Any]:
        return messages.pop() if messages else await receive()

    request.receive = replay
    try:
        return await request.body()
    finally:
        request.receive = receive


async def _send_quietly(send: Send, start: dict[str, Any], body: dict[str, Any]) -> None:
    try:
        await send(start)
        await send(body)
    except OSError:
        return


