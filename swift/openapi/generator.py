"""An OpenAPI 3.1 document from the plans that validate: what is checked is what is written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Required, TypedDict, Unpack

from swift.http import Problem
from swift.http.problems import MEDIA_TYPE
from swift.openapi.errors import NAMES, Errors
from swift.openapi.inputs import parameters, request_body
from swift.openapi.names import METHODS, Operation, described, operations
from swift.openapi.outputs import responses
from swift.openapi.paths import DocumentedPath
from swift.openapi.schemas import Components, JsonSchema, given
from swift.openapi.security import requirements_of, schemes_of
from swift.routing.compiler import Inherited, compile_endpoint

if TYPE_CHECKING:
    from swift.routing import Route, Router

__all__ = ["OpenAPIOptions", "openapi"]

SecurityRequirement = Mapping[str, Sequence[str]]


class OpenAPIOptions(TypedDict, total=False):
    """What a document says beyond its routes.

    `security` holds for every operation whose route has no `security` and no authentication of its own; an
    empty list there makes an operation public. `security_schemes` adds to those of the authentication, or
    replaces them. `error_type` is what errors look like if not like problems. `schema_hook` describes
    classes msgspec does not know. `webhooks` are requests that the application sends: a router whose routes
    describe them, each under its name. `servers` and `tags` may be given as plain URLs and names.
    """

    title: Required[str]
    version: Required[str]
    summary: str | None
    description: str | None
    terms_of_service: str | None
    contact: Mapping[str, str] | None
    license: Mapping[str, str] | None
    servers: Sequence[str | Mapping[str, Any]]
    tags: Sequence[str | Mapping[str, Any]]
    external_docs: Mapping[str, str] | None
    security_schemes: Mapping[str, Mapping[str, Any]] | None
    security: Sequence[SecurityRequirement]
    webhooks: Router | None
    error_type: Any
    error_media_type: str
    schema_hook: Callable[[type], JsonSchema] | None


def openapi(routes: Iterable[Route], **options: Unpack[OpenAPIOptions]) -> dict[str, Any]:
    """The document of `routes`, ready to be encoded; equal routes give equal bytes.

    ValueError where two operations have one name, where a security requirement names no scheme, or where a
    type has no JSON Schema.
    """
    return _Document(options, list(routes)).build()


class _Document:
    def __init__(self, options: OpenAPIOptions, routes: list[Route]) -> None:
        self._options = options
        self._routes = routes
        self._components = Components(NAMES, options.get("schema_hook"))
        self._errors = Errors(
            self._components, options.get("error_type", Problem), options.get("error_media_type", MEDIA_TYPE)
        )
        self._schemes = {**schemes_of(routes), **(options.get("security_schemes") or {})}
        self._security = self._requirements(options.get("security", ()))
        self._tags: dict[str, Mapping[str, Any]] = {
            tag["name"]: tag for tag in (named(tag, "name") for tag in options.get("tags", ()))
        }

    def build(self) -> dict[str, Any]:
        options = self._options
        webhook_routes = sent(options.get("webhooks"))
        listed = operations([*self._routes, *webhook_routes])
        paths = self._paths(operation for operation in listed if operation.route not in webhook_routes)
        webhooks = self._webhooks(operation for operation in listed if operation.route in webhook_routes)
        components = given(
            schemas=self._components.finish() or None,
            responses=self._errors.components() or None,
            securitySchemes={name: dict(scheme) for name, scheme in self._schemes.items()} or None,
        )
        return given(
            openapi="3.1.1",
            info=self._info(),
            servers=[named(server, "url") for server in options.get("servers", ())] or None,
            paths=paths,
            webhooks=webhooks or None,
            components=components or None,
            security=self._security or None,
            tags=list(self._tags.values()) or None,
            externalDocs=options.get("external_docs"),
        )

    def _info(self) -> JsonSchema:
        options = self._options
        return given(
            title=options["title"],
            version=options["version"],
            summary=options.get("summary"),
            description=options.get("description"),
            termsOfService=options.get("terms_of_service"),
            contact=options.get("contact"),
            license=options.get("license"),
        )

    def _paths(self, listed: Iterable[Operation]) -> dict[str, JsonSchema]:
        items: dict[str, JsonSchema] = {}
        for operation in listed:
            path = DocumentedPath.of(operation.route.template)
            key = member(operation.method)
            while key in items.get(path.text, {}):
                if not path.spelling:
                    raise ValueError(
                        f"{described(operation)} is served at the host {operation.route.host} and elsewhere, "
                        "which one document cannot say; hide one of them with include_in_schema=False."
                    )
                # `/users/{id:int}` and `/users/{id}` differ for the router, and only for it.
                path = path.renamed()
            items.setdefault(path.text, {})[key] = self._operation(operation, path)
        return items

    def _webhooks(self, listed: Iterable[Operation]) -> dict[str, JsonSchema]:
        items: dict[str, JsonSchema] = {}
        for operation in listed:
            path = DocumentedPath.of(operation.route.template)
            items[operation.id] = {member(operation.method): self._operation(operation, path)}
        return items

    def _operation(self, operation: Operation, path: DocumentedPath) -> JsonSchema:
        route = operation.route
        if route.plan is None:
            raise ValueError(f"{described(operation)} has no plan yet; start the application first.")
        summary, description = texts(route, operation.id)
        for tag in route.tags:
            self._tags.setdefault(tag, {"name": tag})
        try:
            declared = requirements_of(operation) if route.security is None else route.security
            security = None if declared is None else self._requirements(declared)
            secured = any(self._security if security is None else security)
            return given(
                tags=list(route.tags) or None,
                summary=summary,
                description=description,
                operationId=operation.id,
                parameters=parameters(route, path, self._components) or None,
                requestBody=request_body(route.plan, self._components),
                responses=responses(route, path, self._components, self._errors, secured=secured),
                deprecated=route.deprecated or None,
                security=security,
                servers=[{"url": f"//{route.host}"}] if route.host else None,
            )
        except (TypeError, ValueError) as error:
            raise ValueError(f"{described(operation)} cannot be documented: {error}") from error

    def _requirements(self, alternatives: Iterable[SecurityRequirement]) -> list[dict[str, list[str]]]:
        requirements = [
            {name: list(scopes) for name, scopes in alternative.items()} for alternative in alternatives
        ]
        for name in {name for requirement in requirements for name in requirement} - self._schemes.keys():
            declared = ", ".join(f"`{scheme}`" for scheme in self._schemes) or "none"
            raise ValueError(f"security requires `{name}`, but security_schemes declares {declared}; add it.")
        return requirements


def sent(webhooks: Router | None) -> list[Route]:
    """The routes of the requests that the application sends. No server serves them, so their plans are made
    here."""
    routes = [] if webhooks is None else [placed.route for placed in webhooks.flatten()]
    for route in routes:
        compile_endpoint(route, Inherited())
    return routes


def texts(route: Route, operation_id: str) -> tuple[str, str | None]:
    """Summary and description: the route's own (from the docstring, as a rule), else the operation's name
    as a phrase."""
    return route.summary or operation_id.replace("_", " ").capitalize(), route.description


def named(value: str | Mapping[str, Any], key: str) -> dict[str, Any]:
    return {key: value} if isinstance(value, str) else dict(value)


def member(method: str) -> str:
    """Where a path item has its operation of this method. 3.1 has no place for methods such as QUERY (3.2
    has): as extensions they are not lost."""
    return method.lower() if method in METHODS else f"x-{method.lower()}"
