"""Routes as they are declared: a path, methods, a handler and options. Plans are made of them at start."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from .templates import Template

if TYPE_CHECKING:
    from swift.http import FormLimits
    from swift.http.codecs import Codec
    from swift.schemas import TypeHooks

TrailingSlash = Literal["strict", "redirect", "merge"]


class RouteOptions(TypedDict, total=False):
    """What a route decorator takes besides path and methods.

    status: the success status (200; 204 when the handler returns None). responses: further answers
    for the OpenAPI document, by status. media_type: the Content-Type instead of the annotation's.
    max_body_size: bytes, instead of the app's. run_sync: where a `def` handler runs. codecs, type_hooks and
    form_limits: instead of those of the routers.
    """

    name: str | None
    status: int
    summary: str | None
    description: str | None
    tags: Sequence[str]
    deprecated: bool
    include_in_schema: bool
    operation_id: str | None
    middleware: Sequence[Any]
    dependencies: Sequence[Any]
    authentication: Sequence[Any] | None
    permission_classes: Sequence[Any] | None
    responses: Mapping[int, Any] | None
    media_type: str | None
    max_body_size: int | None
    run_sync: Literal["thread", "inline"]
    security: Sequence[Mapping[str, Sequence[str]]] | None
    receiver: Callable[[], Any] | None
    action: str | None
    annotations: Mapping[str, Any] | None
    codecs: Sequence[Codec] | None
    type_hooks: TypeHooks | None
    form_limits: FormLimits | None


class Route:
    """One path and the methods a handler serves there. `plan` is set when the app has started."""

    __slots__ = (
        "action",
        "annotations",
        "authentication",
        "challenges",
        "codecs",
        "dependencies",
        "deprecated",
        "description",
        "form_limits",
        "handler",
        "host",
        "include_in_schema",
        "max_body_size",
        "media_type",
        "methods",
        "middleware",
        "name",
        "operation_id",
        "permission_classes",
        "plan",
        "receiver",
        "responses",
        "run_sync",
        "security",
        "status",
        "summary",
        "tags",
        "template",
        "trailing_slash",
        "type_hooks",
    )

    name: str
    plan: Any

    def __init__(
        self,
        template: Template,
        methods: Iterable[str],
        handler: Callable[..., Any],
        *,
        name: str | None = None,
        status: int = 200,
        summary: str | None = None,
        description: str | None = None,
        tags: Sequence[str] = (),
        deprecated: bool = False,
        include_in_schema: bool = True,
        operation_id: str | None = None,
        middleware: Sequence[Any] = (),
        dependencies: Sequence[Any] = (),
        authentication: Sequence[Any] | None = None,
        permission_classes: Sequence[Any] | None = None,
        responses: Mapping[int, Any] | None = None,
        media_type: str | None = None,
        max_body_size: int | None = None,
        run_sync: Literal["thread", "inline"] = "thread",
        security: Sequence[Mapping[str, Sequence[str]]] | None = None,
        receiver: Callable[[], Any] | None = None,
        action: str | None = None,
        annotations: Mapping[str, Any] | None = None,
        codecs: Sequence[Codec] | None = None,
        type_hooks: TypeHooks | None = None,
        form_limits: FormLimits | None = None,
        host: str | None = None,
    ) -> None:
        self.template = template
        self.methods = frozenset(method.upper() for method in methods)
        self.handler = handler
        self.name = name or str(getattr(handler, "__name__", type(handler).__name__))
        self.status = status
        # PERF: asked only where there is a docstring; inspect looks through all bases for one.
        text = (inspect.getdoc(handler) or "") if handler.__doc__ else ""
        first, _, rest = text.partition("\n")
        self.summary = summary if summary is not None else first.strip() or None
        self.description = description if description is not None else rest.strip() or None
        self.tags = tuple(tags)
        self.deprecated = deprecated
        self.include_in_schema = include_in_schema
        self.operation_id = operation_id
        self.middleware = tuple(middleware)
        self.dependencies = tuple(dependencies)
        self.authentication = None if authentication is None else tuple(authentication)
        # What a 401 offers (WWW-Authenticate); of the authentication, once the app is compiled.
        self.challenges: tuple[str, ...] = ()
        self.permission_classes = None if permission_classes is None else tuple(permission_classes)
        self.responses = dict(responses or {})
        self.media_type = media_type
        self.max_body_size = max_body_size
        self.run_sync = run_sync
        self.security = security
        self.receiver = receiver
        self.action = action
        self.annotations = dict(annotations or {})
        self.codecs = None if codecs is None else tuple(codecs)
        self.type_hooks = type_hooks
        self.form_limits = form_limits
        self.host = host
        self.plan = None
        self.trailing_slash: TrailingSlash | None = None

    @property
    def path(self) -> str:
        """The template as text: `/users/{id:int}`."""
        return self.template.path

    def __repr__(self) -> str:
        return f"<Route {' '.join(sorted(self.methods))} {self.path} -> {self.name}>"


class RouteConflict(ValueError):
    """Two routes that would serve the same requests; raised where the second is registered."""
