"""From declared routes to the tree: call plans, encoders and pipelines, made once at start."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterator,
    Mapping,
    Sequence,
)
from types import NoneType
from typing import TYPE_CHECKING, Any, get_args, get_origin

import msgspec

from swift._speedups.futures import Future
from swift._speedups.router import Tree
from swift.di import AppScope, Container, GraphError
from swift.di.graph import DependencyGraph
from swift.http import FormLimits, Response, UploadFile
from swift.schemas import TypeHooks

from . import refusals
from .annotations import SignatureError, handler_hints, split_annotated
from .checks import check_returned
from .endpoint import Endpoint, ErrorHandlers, Guard, Middleware, default_encoder, rejection
from .pipeline import around_guards, build_pipeline, core_of
from .plan import SlotReader
from .router import Placed
from .routes import Route

if TYPE_CHECKING:
    from swift.http.codecs import Codec

_STREAMS = (AsyncIterator, AsyncIterable, AsyncGenerator, Iterator, Generator)


class Inherited(msgspec.Struct, frozen=True):
    """What an endpoint has from the app and its routers, already merged."""

    middleware: tuple[Middleware, ...] = ()
    dependencies: tuple[Any, ...] = ()
    guards: tuple[Guard, ...] = ()
    error_handlers: ErrorHandlers = {}
    max_body_size: int = -1
    container: Container | None = None
    app_scope: AppScope | None = None
    overrides: Mapping[Callable[..., Any], Callable[..., Any]] = {}
    in_thread: Callable[..., Awaitable[Any]] | None = None
    codecs: tuple[Codec, ...] = ()
    type_hooks: TypeHooks | None = None
    form_limits: FormLimits | None = None


def compile_endpoint(route: Route, inherited: Inherited) -> Endpoint:
    """The endpoint of one route; SignatureError says what of its handler cannot be served."""
    describe = f"The handler `{route.name}` of {route.path}"
    handler = route.handler
    hints = {**handler_hints(handler, describe), **route.annotations}
    hooks = inherited.type_hooks
    reader = SlotReader(route.template, describe, hooks)
    signature = handler_signature(handler, describe)
    positional: list[int] = []
    named: list[tuple[str, int]] = []
    parameters = list(signature.parameters.values())
    if route.receiver is not None:
        parameters.pop(0)
        positional.append(reader.add_receiver(route.receiver, route.action or route.name))
    graph = DependencyGraph(
        reader.add,
        reader.add_later,
        container=inherited.container,
        app_scope=inherited.app_scope,
        overrides=inherited.overrides,
    )
    # Those of the routers run before the handler's own: an origin check comes before a session is opened.
    try:
        for dependency in (*inherited.dependencies, *route.dependencies):
            graph.require(dependency)
    except GraphError as error:
        raise SignatureError(f"{describe}: {error}") from error
    for parameter in parameters:
        annotation = hints.get(parameter.name, inspect.Parameter.empty)
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise SignatureError(f"{describe} takes `{parameter}`; name each parameter it needs.")
        try:
            position = graph.position_of(parameter, annotation)
        except GraphError as error:
            raise SignatureError(f"{describe}: {error}") from error
        if position is None:
            position = reader.add(parameter, annotation)
        if parameter.kind is parameter.KEYWORD_ONLY:
            named.append((parameter.name, position))
        else:
            positional.append(position)
    dependencies = graph.build()
    arguments = tuple(positional) + tuple(position for _, position in named)
    returns, promised = promised_type(hints.get("return", inspect.Signature.empty))
    # What returns a Future has nothing to wait for.
    kind = handler_kind(handler, "inline" if promised else route.run_sync)
    streams = kind == "stream" or get_origin(returns) in _STREAMS
    encoding = "dynamic" if streams else encoding_of(returns)
    if encoding == "json":
        check_returned(returns, hooks, describe)
    forms = [slot for slot in reader.slots if slot.source == 7]
    # What never waits stays with the kernel; anything else goes through the pipeline.
    checks = [guard for guard in inherited.guards if getattr(guard, "synchronous", False)]
    direct = not (
        route.middleware
        or inherited.middleware
        or len(checks) < len(inherited.guards)
        or dependencies
        or forms
        or kind == "thread"
        or streams
        or inherited.codecs
    )
    body = reader.body
    enc_hook = None if hooks is None else hooks.enc_hook
    make: type[Endpoint] = Endpoint
    refuse: Any = refusals
    readers: dict[str, Any] = {}
    writers: dict[str, Any] = {}
    if inherited.codecs:
        # PERF: imported by those who have codecs.
        from .negotiated import JSON, NegotiatedEndpoint, NegotiatedRefusals, readers_of, writers_of

        make = NegotiatedEndpoint
        if body is not None and not forms:
            readers = readers_of(inherited.codecs, body.decoder, reader.dec_hook)
        if encoding in ("json", "dynamic") and route.media_type is None and not streams:
            writers = writers_of(inherited.codecs, enc_hook)
            refuse = NegotiatedRefusals([JSON, *writers])
    endpoint = make(
        name=route.name,
        handler=handler,
        slots=reader.slots,
        path_names=[parameter.name for parameter in route.template.parameters],
        status=route.status,
        encoding=encoding,
        calling="coroutine" if kind == "coroutine" else "inline",
        direct=direct,
        arguments=None if arguments == tuple(range(len(reader.slots))) else arguments,
        keywords=tuple(name for name, _ in named),
        encode=default_encoder.encode if enc_hook is None else msgspec.json.Encoder(enc_hook=enc_hook).encode,
        decode_body=body.decoder.decode if body is not None and body.decoder is not None else None,
        body_required=body.required if body is not None else True,
        default_body=body.default if body is not None else None,
        content_types=(*content_types(bool(forms), body is not None), *(name.encode() for name in readers)),
        max_body_size=inherited.max_body_size if route.max_body_size is None else route.max_body_size,
        reject=rejection(body),
        refuse=refuse,
        response_class=Response,
        media_type=route.media_type,
        checks=checks if direct else (),
    )
    if inherited.codecs:
        negotiated: Any = endpoint
        negotiated.dynamic, negotiated.readers, negotiated.writers = encoding == "dynamic", readers, writers
    endpoint.codecs = inherited.codecs
    endpoint.type_hooks = hooks
    endpoint.dec_hook = reader.dec_hook
    endpoint.form_limits = inherited.form_limits
    endpoint.route = route
    endpoint.body = form_body(reader) if forms else body
    endpoint.parameters = tuple(parameter for parameter in reader.parameters if parameter.source != "form")
    endpoint.returns = returns
    endpoint.guards = inherited.guards
    endpoint.error_handlers = inherited.error_handlers
    endpoint.dependencies = dependencies
    endpoint.overridden = frozenset(provider for provider, _ in graph.overridden)
    endpoint.handler_kind = kind
    endpoint.streams = streams
    if inherited.in_thread is not None:
        endpoint.in_thread = inherited.in_thread
    endpoint.form_slots = [
        (slot, next(p for p in reader.parameters if p.source == "form" and p.alias.encode() == slot.name))
        for slot in forms
    ]
    endpoint.stream_media_type = stream_media_type(returns, route.media_type) if streams else None
    outer, inner = around_guards((*inherited.middleware, *route.middleware))
    endpoint.inner = build_pipeline(inner, endpoint.proceed)
    endpoint.pipeline = build_pipeline(outer, core_of(endpoint))
    route.plan = endpoint
    return endpoint


def handler_signature(handler: Callable[..., Any], describe: str) -> inspect.Signature:
    try:
        return inspect.signature(handler)
    except (TypeError, ValueError) as error:
        raise SignatureError(f"{describe} has no readable signature: {error}.") from None


def handler_kind(handler: Callable[..., Any], run_sync: str) -> str:
    """How a handler runs: "coroutine" on the loop, "thread", "inline", or "stream" for generators of either kind."""
    function: Any = handler
    while isinstance(function, functools.partial):
        function = function.func
    if not inspect.isroutine(function) and not isinstance(function, type):
        function = type(function).__call__
    if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
        return "stream"
    if inspect.iscoroutinefunction(function):
        return "coroutine"
    return run_sync


def promised_type(returns: Any) -> tuple[Any, bool]:
    """What a return annotation promises, and whether it does so by a Future: `Future[T]` promises T."""
    bare, _ = split_annotated(returns)
    origin = get_origin(bare) or bare
    if isinstance(origin, type) and issubclass(origin, Future):
        return (get_args(bare) or (inspect.Signature.empty,))[0], True
    return returns, False


def encoding_of(returns: Any) -> str:
    """Which of the kernel's encodings a return annotation selects."""
    bare, _ = split_annotated(returns)
    if bare is inspect.Signature.empty or bare is Any or bare is None or bare is NoneType:
        return "dynamic"
    if isinstance(bare, type):
        if issubclass(bare, Response):
            return "dynamic"
        if bare is str:
            return "plain"
        if bare is bytes:
            return "octets"
    return "json"


def content_types(form: bool, json: bool) -> tuple[bytes, ...]:
    if form:
        return (b"application/x-www-form-urlencoded", b"multipart/form-data")
    return (b"application/json",) if json else ()


def form_body(reader: SlotReader) -> Any:
    """The form's fields as one body for the OpenAPI document."""
    from .plan import BodySpec

    fields = [parameter for parameter in reader.parameters if parameter.source == "form"]
    files = any(UploadFile in (item.type, *get_args(item.type)) for item in fields)
    shape = msgspec.defstruct(
        "Form",
        [
            (item.name, item.type, msgspec.field(name=item.alias))
            if item.required
            else (item.name, item.type, msgspec.field(default=item.default, name=item.alias))
            for item in sorted(fields, key=lambda item: not item.required)
        ],
        kw_only=True,
    )
    return BodySpec(
        shape,
        media_type="multipart/form-data" if files else "application/x-www-form-urlencoded",
        required=any(item.required for item in fields),
    )


def stream_media_type(returns: Any, declared: str | None) -> str | None:
    """The Content-Type of a stream: what it yields decides."""
    if declared is not None:
        return declared
    item = (get_args(returns) or (Any,))[0] if get_origin(returns) in _STREAMS else Any
    kinds = set(get_args(item)) or {item}
    if kinds == {str}:
        return "text/plain"
    return "application/octet-stream" if kinds <= {bytes, str} else "application/jsonl"


class Compiled(typing.NamedTuple):
    """The finished routes: the common tree, the trees of hosts, and the routes in order."""

    tree: Tree
    hosts: dict[bytes, Tree] | None
    routes: list[Route]


def compile_routes(placed: Sequence[Placed], inherit: Callable[[Placed], Inherited]) -> Compiled:
    """Build every endpoint and put it into its tree. A host's tree holds the common routes too.

    Routes whose slash policy is "merge" are served with and without their last slash, where the
    other form is free.
    """
    tree = Tree()
    hosts: dict[bytes, Tree] = {item.route.host.encode(): Tree() for item in placed if item.route.host}
    routes = [item.route for item in placed]
    for item in placed:
        route = item.route
        endpoint = compile_endpoint(route, inherit(item))
        for target in trees_of(route.host, tree, hosts):
            add_endpoint(target, route.template.segments, sorted(route.methods), endpoint)
    for route in routes:
        if route.trailing_slash == "merge" and route.path != "/":
            for target in trees_of(route.host, tree, hosts):
                add_twin(target, route)
    return Compiled(tree, hosts or None, routes)


def add_twin(tree: Tree, route: Route) -> None:
    """Serve the other form of a route's path, except for methods that are served there already."""
    segments = other_slash(route.template.segments)
    methods = {*route.methods, "HEAD"} if "GET" in route.methods else route.methods
    for method in sorted(methods):
        if tree.endpoint_at(segments, method) is None:
            tree.add(segments, method, route.plan)


def trees_of(host: str | None, tree: Tree, hosts: dict[bytes, Tree]) -> list[Tree]:
    return [hosts[host.encode()]] if host else [tree, *hosts.values()]


def other_slash(segments: tuple[Any, ...]) -> tuple[Any, ...]:
    """The segments of a path with its last slash added or taken away."""
    *head, last = segments
    if not isinstance(last, bytes):
        return (*segments, b"/")
    if not last.endswith(b"/"):
        return (*head, last + b"/")
    return (*head, last[:-1]) if len(last) > 1 else tuple(head)


def add_endpoint(tree: Tree, segments: tuple[Any, ...], methods: Sequence[str], endpoint: Endpoint) -> None:
    """Put an endpoint at a path; a host's own route outranks the common one, GET answers HEAD."""
    for method in methods:
        present = tree.endpoint_at(segments, method)
        if present is None or present.route.host is None:
            tree.add(segments, method, endpoint)
    if "GET" in methods:
        present = tree.endpoint_at(segments, "HEAD")
        if present is None or ("HEAD" not in present.route.methods and present.route.host is None):
            tree.add(segments, "HEAD", endpoint)
