"""What an error looks like, for the whole of a document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from swift.http import ErrorDetail, Problem
from swift.http.problems import MEDIA_TYPE, title_of
from swift.openapi.names import plain
from swift.openapi.schemas import Components, JsonSchema

__all__ = ["NAMES", "Errors"]

# These names are theirs; a type of the application that is called the same goes by its qualified name.
NAMES: Mapping[Any, str] = {Problem: "Problem", ErrorDetail: "ErrorDetail"}

DESCRIPTIONS = {
    400: "The request is malformed.",
    401: "Valid credentials are needed.",
    403: "These credentials do not allow it.",
    404: "There is no such resource.",
    406: "None of the accepted media types can be produced.",
    409: "The request conflicts with the present state of the resource.",
    412: "A precondition of the request does not hold.",
    413: "The body is larger than allowed.",
    415: "The body has a media type that is not read here.",
    422: "A parameter or the body is invalid; `errors` lists every fault.",
    429: "There were too many requests.",
    500: "The server failed.",
    503: "The service is not available at the moment.",
}

HEADERS: Mapping[int, JsonSchema] = {
    401: {"WWW-Authenticate": {"schema": {"type": "string"}}},
    429: {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 0}}},
}

# RFC 9457 section 3.1.
MEMBERS: Mapping[str, JsonSchema] = {
    "type": {"type": "string", "format": "uri-reference", "default": "about:blank"},
    "title": {"type": "string"},
    "status": {"type": "integer", "minimum": 400, "maximum": 599},
    "detail": {"type": "string"},
    "instance": {"type": "string", "format": "uri-reference"},
}


class Errors:
    """The error responses of one document: what several operations can answer is one component, which they
    refer to. Errors are problems, unless the application answers them in a type of its own."""

    def __init__(
        self, components: Components, error_type: Any = Problem, media_type: str = MEDIA_TYPE
    ) -> None:
        self._components = components
        self._error_type = error_type
        self._media_type = media_type
        self._shared: dict[str, JsonSchema] = {}

    def shared(self, status: int) -> JsonSchema:
        """A reference to the answer of this status."""
        name = component_name(status)
        if name not in self._shared:
            self._shared[name] = self.response(status)
        return {"$ref": f"#/components/responses/{name}"}

    def response(self, status: int, description: str | None = None) -> JsonSchema:
        response: JsonSchema = {"description": description or DESCRIPTIONS.get(status) or title_of(status)}
        if status in HEADERS:
            response["headers"] = HEADERS[status]
        response["content"] = {self._media_type: {"schema": self._schema()}}
        return response

    def components(self) -> dict[str, JsonSchema]:
        """All answers that were referred to, by name."""
        return dict(sorted(self._shared.items()))

    def _schema(self) -> JsonSchema:
        if self._error_type is not Problem:
            return self._components.schema(self._error_type)
        return self._components.declared(Problem, self._problem)

    def _problem(self) -> JsonSchema:
        return {
            "title": "Problem",
            "description": "An error, in the shape of RFC 9457; it may have further members.",
            "type": "object",
            "properties": {
                **MEMBERS,
                "errors": {"type": "array", "items": self._components.schema(ErrorDetail)},
            },
            "required": ["type", "title", "status"],
        }


def component_name(status: int) -> str:
    """`NotFound` for 404; a status that no RFC names is told by its number."""
    name = plain(title_of(status).replace(" ", "").replace("-", ""))
    return f"{name}{status}" if name in ("ClientError", "ServerError") else name
