"""What an operation answers: its success by the return annotation, its errors by what can fail.

| status | when |
|---|---|
| 400, 413, 415 | there is a body: it can be malformed, too large, of another media type |
| 401 | there is a security requirement |
| 404 | the path has parameters |
| 406 | the media type is known beforehand, so that a client can refuse it |
| 422 | a parameter or the body can be invalid |
| what its `answers` say, else 401 and 403 | there is a guard |

What a handler may answer beyond that it says itself: `responses={409: "The name is taken."}`.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Mapping
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Union, get_args, get_origin

from swift.http import Problem, RedirectResponse, Response
from swift.http.problems import title_of
from swift.openapi.errors import Errors
from swift.openapi.inputs import body_can_be_invalid, media_object, parameters_can_be_invalid
from swift.openapi.paths import DocumentedPath
from swift.openapi.schemas import Components, JsonSchema

if TYPE_CHECKING:
    from swift.routing import Route

__all__ = ["failures", "responses"]

STREAMS = (AsyncIterator, AsyncIterable, AsyncGenerator)

# Annotations that leave open what is answered.
OPEN = (inspect.Signature.empty, Any)


class Content(NamedTuple):
    """The body of an answer: `annotation` is what its schema is made of, where it has one."""

    media_type: str
    annotation: Any = inspect.Signature.empty

    def document(self, components: Components) -> JsonSchema:
        if self.annotation is inspect.Signature.empty:
            return {self.media_type: {}}
        return {self.media_type: media_object(components.schema(self.annotation))}


def responses(
    route: Route, path: DocumentedPath, components: Components, errors: Errors, *, secured: bool
) -> dict[str, JsonSchema]:
    """The responses object: success first, then what the route declares and what can fail by status."""
    status, response = _success(route, components)
    answers: dict[str, JsonSchema] = {
        str(failure): errors.shared(failure) for failure in failures(route, path, secured=secured)
    }
    for key, declaration in (route.responses or {}).items():
        declared = _declared(key, declaration, components, errors)
        if str(key) == str(status):
            response = declared if "$ref" in declared else {**response, **declared}
        else:
            answers[str(key)] = declared
    return {str(status): response} | dict(sorted(answers.items()))


def failures(route: Route, path: DocumentedPath, *, secured: bool) -> list[int]:
    """The statuses of the errors that the framework itself can answer here."""
    plan = route.plan
    body = plan.body
    reasons = {
        400: body is not None,
        401: secured,
        404: bool(path.spelling),
        406: plan.media_type is not None,
        413: body is not None and plan.max_body_size >= 0,
        415: body is not None,
        422: parameters_can_be_invalid(route, path) or body_can_be_invalid(body),
    }
    found = {status for status, reason in reasons.items() if reason}
    # A guard may say what it answers; one that does not is a check of who asks.
    found.update(*(getattr(guard, "answers", (401, 403)) for guard in plan.guards))
    return sorted(found)


def _success(route: Route, components: Components) -> tuple[int, JsonSchema]:
    annotation = returned(route.plan.returns)
    status = route.status
    if annotation is NoneType and status == 200:
        status = 204
    if _is_class(annotation, RedirectResponse):
        status = status if 300 <= status <= 399 else 307
        return status, {
            "description": title_of(status),
            "headers": {"Location": {"schema": {"type": "string", "format": "uri-reference"}}},
        }
    response: JsonSchema = {"description": title_of(status)}
    # RFC 9110 section 6.4.1: these have no content, whatever the handler is annotated with.
    if status not in (204, 205, 304) and (content := content_of(annotation, route.media_type)):
        response["content"] = content.document(components)
        if content.media_type == "application/json" and route.media_type is None:
            writers = [codec.media_type for codec in route.plan.codecs if codec.writes]
            response["content"] |= dict.fromkeys(writers, response["content"]["application/json"])
    return status, response


def content_of(annotation: Any, media_type: str | None = None) -> Content | None:
    """What a handler of this return annotation answers; None where that is nothing, or can be anything."""
    if annotation is NoneType:
        return None
    if annotation in OPEN or _is_class(annotation, Response):
        media_type = media_type or getattr(annotation, "default_media_type", None)
        return Content(media_type) if media_type else None
    plain = _unannotated(annotation)
    if _origin(plain) in STREAMS:
        return _streamed(plain, media_type)
    if plain is bytes:
        return Content(media_type or "application/octet-stream")
    return Content(media_type or ("text/plain" if plain is str else "application/json"), annotation)


def _streamed(annotation: Any, media_type: str | None) -> Content:
    item = (get_args(annotation) or (Any,))[0]
    plain = _unannotated(item)
    if plain is bytes:
        return Content(media_type or "application/octet-stream")
    # Of JSON Lines the schema is that of one line: OpenAPI says so properly (`itemSchema`) from 3.2 on.
    return Content(media_type or ("text/plain" if plain is str else "application/jsonl"), item)


def _declared(key: Any, declaration: Any, components: Components, errors: Errors) -> JsonSchema:
    """One entry of `responses`: a sentence, a Problem, a type, a response object of OpenAPI (in which
    `model` may stand for the schema), or None for an answer without content."""
    status = int(key) if str(key).isdecimal() else 0
    phrase = title_of(status) if status else "Default response" if key == "default" else f"Status {key}"
    is_error = status >= 400 or str(key) in ("4XX", "5XX", "default")
    if declaration is None:
        return {"description": phrase}
    if isinstance(declaration, str):
        return errors.response(status, declaration) if is_error else {"description": declaration}
    if _is_class(declaration, Problem):
        # Ours describe the class to who raises it; only a text of the application's is one for its clients.
        own = not declaration.__module__.startswith("swift.")
        text = inspect.cleandoc(declaration.__dict__.get("__doc__") or "") if own else ""
        return errors.response(status, text or None)
    if not isinstance(declaration, Mapping):
        content = content_of(returned(declaration))
        return {"description": phrase} | ({"content": content.document(components)} if content else {})
    declared = {"description": phrase, **declaration}
    if "$ref" in declared:
        return {"$ref": declared["$ref"]}
    model = declared.pop("model", None)
    if model is not None and (content := content_of(returned(model))):
        declared["content"] = content.document(components) | dict(declared.get("content") or {})
    elif is_error and "content" not in declared:
        return errors.response(status, declared["description"]) | declared
    return declared


# ---- annotations


def returned(annotation: Any) -> Any:
    """`annotation` without what awaits it and without the Responses among its alternatives."""
    if annotation is None:
        return NoneType
    if _is_class(_origin(annotation), Awaitable):
        return returned((get_args(annotation) or (Any,))[-1])
    members = _members(annotation)
    if len(members) == 1:
        return annotation
    values = tuple(member for member in members if not _is_class(member, Response))
    if not values:
        return Response
    return annotation if len(values) == len(members) else Union[values]  # noqa: UP007


def _members(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)


def _unannotated(annotation: Any) -> Any:
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    return annotation


def _origin(annotation: Any) -> Any:
    return get_origin(annotation) or annotation


def _is_class(annotation: Any, base: type) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, base)
