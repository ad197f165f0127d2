"""The application: what is declared, started, stopped and asked; and the ASGI door."""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from functools import cached_property
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from swift.di import AppScope, Container
from swift.middleware import ErrorBoundary
from swift.routing import Route, Router
from swift.routing.endpoint import ErrorHandlers, Middleware
from swift.routing.routes import TrailingSlash
from swift.routing.templates import Template

from .background import Background
from .compilation import Compilation, compile_app
from .data import data_error_handlers, open_database
from .lifespan import Life, Lifespan, mounted_lifespan
from .serving import Receive, Scope, Send, answer_failed, serve_other, serve_pending
from .threads import Threads

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from swift.engines import Database
    from swift.http import FormLimits
    from swift.http.codecs import Codec
    from swift.openapi import Documentation, OpenAPIOptions
    from swift.schemas import TypeHooks
    from swift.settings import Settings

    from .rsgi import RSGIDoor


class App(Router):
    """An ASGI 3 application, and the root of its routers.

    max_body_size: bytes a request body may have (10 MiB unless given; 413 beyond). trailing_slash:
    "strict" takes paths as declared, "redirect" (the default) answers 308 to the declared form, "merge" serves
    both. settings: what arguments do not say comes from here. database: a URL or a Database, bound for
    every request; `app.db`. max_threads: how many
    `def` handlers run at once. shutdown_timeout: seconds that work after responses gets
    on shutdown, beside the server's own for running requests.
    codecs: media types of bodies beside JSON, see `swift.http.codecs`. type_hooks: types that msgspec does not know,
    see `swift.schemas.TypeHooks`. form_limits: what a form may hold, see `swift.http.FormLimits`.
    openapi_options: what the document says besides the routes, see `swift.openapi.OpenAPIOptions`.
    """

    def __init__(
        self,
        *,
        routers: Sequence[Router] = (),
        middleware: Sequence[Middleware] = (),
        dependencies: Sequence[Any] = (),
        error_handlers: Mapping[type[Exception] | int, Callable[..., Any]] | None = None,
        authentication: Sequence[Any] | None = None,
        permission_classes: Sequence[Any] | None = None,
        converters: Mapping[str, Callable[[str], Any]] | None = None,
        lifespan: Lifespan | None = None,
        container: Container | None = None,
        database: str | Database | None = None,
        settings: Settings | None = None,
        title: str = "API",
        version: str = "0.1.0",
        description: str | None = None,
        openapi_url: str | None = "/openapi.json",
        docs_url: str | None = "/docs",
        openapi_options: OpenAPIOptions | None = None,
        trailing_slash: TrailingSlash | None = None,
        max_body_size: int | None = None,
        max_threads: int = 40,
        shutdown_timeout: float = 5.0,
        debug: bool | None = None,
        codecs: Sequence[Codec] | None = None,
        type_hooks: TypeHooks | None = None,
        form_limits: FormLimits | None = None,
    ) -> None:
        self._enter: Callable[[Scope, Receive], tuple[Any, Any]] = not_started
        super().__init__(
            middleware=middleware,
            dependencies=dependencies,
            error_handlers=error_handlers,
            authentication=authentication,
            permission_classes=permission_classes,
            converters=converters,
            codecs=codecs,
            type_hooks=type_hooks,
            form_limits=form_limits,
        )
        self.settings = settings
        if settings is not None:
            database = settings.database.dsn if database is None else database
            debug = settings.global_.debug if debug is None else debug
            max_body_size = settings.http.max_body_size if max_body_size is None else max_body_size
            trailing_slash = settings.http.trailing_slash if trailing_slash is None else trailing_slash
        if trailing_slash not in ("strict", "redirect", "merge", None):
            raise ValueError(
                f"Expected trailing_slash 'strict', 'redirect' or 'merge', got {trailing_slash!r}."
            )
        self.title = title
        self.version = version
        self.openapi_url = openapi_url
        self.docs_url = docs_url
        self.trailing_slash = trailing_slash or "redirect"
        self.max_body_size = DEFAULT_BODY_SIZE if max_body_size is None else max_body_size
        self.shutdown_timeout = shutdown_timeout
        self.debug = bool(debug)
        self.state = SimpleNamespace()
        self.threads = Threads(max_threads)
        self.background = Background(self.threads)
        self.boundary = ErrorBoundary(self.debug)
        self.database: Database | None = open_database(database)
        self.data_handlers: ErrorHandlers = data_error_handlers() if self.database is not None else {}
        self.container = Container() if container is None else container
        self.app_scope = AppScope()
        self.overrides: dict[Callable[..., Any], Callable[..., Any]] = {}
        self._lifespan = lifespan
        self._life = Life(self._live)
        self._openapi_options: OpenAPIOptions = {
            "title": title,
            "version": version,
            "description": description,
            "schema_hook": self._schema_hook,
        }
        if openapi_options is not None:
            self._openapi_options.update(openapi_options)
        self._documentation: Documentation | None = None
        self._compilation: Compilation | None = None
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
            await answer_failed(self, scope, receive, send, error, pending and pending.request)
            return
        if start is not None:
            # PERF: what `send_messages` does, without a coroutine of its own (a tenth of a plaintext request).
            try:
                await send(start)
                await send(body)
            except OSError:
                return
        elif pending is not None:
            await serve_pending(self, pending, scope, receive, send)
        else:
            await serve_other(self, scope, receive, send)

    # The RSGI door.

    @property
    def __rsgi__(self) -> Callable[[Any, Any], Awaitable[None]]:
        return self._rsgi_door.answer

    def __rsgi_init__(self, loop: AbstractEventLoop) -> None:
        self._rsgi_door.start(loop)

    def __rsgi_del__(self, loop: AbstractEventLoop) -> None:
        self._rsgi_door.stop(loop)

    @cached_property
    def _rsgi_door(self) -> RSGIDoor:
        from .rsgi import RSGIDoor

        return RSGIDoor(self)

    # Start and stop.

    async def start(self, state: dict[str, Any] | None = None) -> None:
        """Compile the routes and enter the lifespans; done once, by the server or the first request."""
        await self._life.start({} if state is None else state)

    async def stop(self) -> None:
        """Drain the work after responses, leave the lifespans in reverse order, free the threads."""
        self._enter = not_started
        try:
            await self.background.drain(self.shutdown_timeout)
        finally:
            await self._life.stop()

    async def _live(self, stack: AsyncExitStack, state: dict[str, Any]) -> None:
        """Everything that lives from start to stop, in the order of its entering."""
        self.container.validate()
        compilation = self.compile()
        stack.callback(self.threads.close)
        stack.push_async_callback(self.container.aclose)
        stack.push_async_callback(self.app_scope.aclose)
        if self.openapi_url is not None:
            self.documentation.check()
        if self.database is not None:
            await self.database.connect()
            stack.push_async_callback(self.database.close)
            stack.enter_context(self.database.bind())
        for endpoint in compilation.mounts:
            await stack.enter_async_context(mounted_lifespan(endpoint.app, endpoint.state))
        if self._lifespan is not None:
            yielded = await stack.enter_async_context(self._lifespan(self))
            if yielded is not None:
                state.update(yielded)
                self.state.__dict__.update(yielded)
        self._enter = compilation.kernel.enter

    @property
    def db(self) -> Database:
        """The app's database; RuntimeError when it was given none."""
        if self.database is None:
            raise RuntimeError("This app has no database; give it one: App(database='sqlite:///app.db').")
        return self.database

    # Compiling.

    def compile(self) -> Compilation:
        """Compile the routes anew. Called at start; mistakes in routes and handlers surface here."""
        # PERF: what is made here stays; looking through it for garbage again and again is a third of
        # the time that ten thousand routes take.
        collecting = gc.isenabled()
        gc.disable()
        try:
            self._compilation = compile_app(self)
        finally:
            if collecting:
                gc.enable()
        return self._compilation

    def _changed(self) -> None:
        self._compilation = None

    def _check_open(self) -> None:
        if self._enter is not not_started:
            raise RuntimeError(
                "The app is running and its routes are compiled; declare routes before it starts."
            )

    @contextmanager
    def override(self, provider: Callable[..., Any], replacement: Callable[..., Any]) -> Iterator[None]:
        """Put another function in the place of a `Depends` function, for a test. New plans are compiled; nothing
        is looked up per request. Services of the container have `container.override`.

        LookupError when nothing of the app depends on the function: the test would not test what it says.
        """
        before = self.overrides
        self.overrides = {**before, provider: replacement}
        try:
            self._exchange()
            if all(provider is not met for route in self.routes for met in route.plan.overridden):
                name = getattr(provider, "__qualname__", repr(provider)).rpartition("<locals>.")[2]
                raise LookupError(
                    f"Nothing of this app depends on `{name}`; override what stands in Depends(...) itself."
                )
            yield
        finally:
            self.overrides = before
            self._exchange()

    def _exchange(self) -> None:
        """Compile anew, and serve by it if the app is running."""
        running = self._enter is not not_started
        compilation = self.compile()
        if running:
            self._enter = compilation.kernel.enter

    @property
    def compilation(self) -> Compilation:
        """What the app is compiled to; made when something was declared since."""
        return self._compilation or self.compile()

    def claims(self, template: Template, method: str) -> bool:
        """Whether a route of the app itself is declared for a path and method."""
        return (None, template.segments, method) in self._claims

    @property
    def routes(self) -> list[Route]:
        """Every route at its full path, with its plan."""
        return list(self.compilation.routes)

    def url_for(self, name: str, /, **params: Any) -> str:
        """The path of a named route: `app.url_for("users-detail", id=1)`."""
        routes = self.compilation.routes
        found = {route.path: route for route in routes if route.name == name}
        if not found:
            known = ", ".join(sorted({route.name for route in routes})) or "none"
            raise LookupError(f"No route is named {name!r}; there are {known}.")
        fitting = [
            route
            for route in found.values()
            if {item.name for item in route.template.parameters} == params.keys()
        ]
        if len(found) > 1 and len(fitting) != 1:
            raise LookupError(
                f"Several paths are named {name!r}: {', '.join(sorted(found))}; name each route."
            )
        return (fitting or list(found.values()))[0].template.url(params)

    # The OpenAPI document.

    @property
    def documentation(self) -> Documentation:
        """The served document and its page; made when first asked for."""
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

    def _schema_hook(self, cls: type[Any]) -> dict[str, Any]:
        """The JSON Schema of a type that some route's `type_hooks` know; NotImplementedError for any other."""
        for hooks in {id(route.plan.type_hooks): route.plan.type_hooks for route in self.routes}.values():
            if hooks is not None and hooks.knows(cls):
                found: dict[str, Any] = hooks.schema_hook(cls)
                return found
        raise NotImplementedError(f"{cls!r} is not known")

    # Declaring.

    def add_middleware(self, middleware: Middleware) -> None:
        """Add a middleware inside those added before; takes effect at start."""
        self.middleware.append(middleware)
        self._changed()

    def on_error(self, error: type[Exception] | int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Register an error handler: `@app.on_error(ValueError)` or `@app.on_error(404)`."""

        def register(handler: Callable[..., Any]) -> Callable[..., Any]:
            self.error_handlers[error] = handler
            self._changed()
            return handler

        return register


DEFAULT_BODY_SIZE = 10 * 2**20


def not_started(scope: Scope, receive: Receive) -> tuple[None, None]:
    """Stands in for the kernel until the app has started."""
    return None, None
