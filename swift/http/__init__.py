"""HTTP as an application sees it: requests, responses, problems, headers, cookies, files, forms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .headers import Headers, MutableHeaders, QueryParams
from .problems import (
    BadRequest,
    ClientDisconnect,
    Conflict,
    ContentTooLarge,
    ErrorDetail,
    Forbidden,
    InternalServerError,
    MethodNotAllowed,
    NotAcceptable,
    NotFound,
    PreconditionFailed,
    Problem,
    RangeNotSatisfiable,
    ServiceUnavailable,
    TooManyRequests,
    Unauthorized,
    UnprocessableContent,
    UnsupportedMediaType,
)
from .request import Request
from .responses import (
    HTMLResponse,
    JSONResponse,
    ProblemResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
    TextResponse,
)

if TYPE_CHECKING:
    from .cache_control import CacheControl
    from .files import FileResponse
    from .forms import FormData, UploadFile
    from .sse import EventSourceResponse, ServerSentEvent
    from .static import StaticFiles

# Modules that few applications need are imported when their names are first asked for.
_LATER = {
    "CacheControl": "cache_control",
    "EventSourceResponse": "sse",
    "FileResponse": "files",
    "FormData": "forms",
    "ServerSentEvent": "sse",
    "StaticFiles": "static",
    "UploadFile": "forms",
}

__all__ = [
    "BadRequest",
    "CacheControl",
    "ClientDisconnect",
    "Conflict",
    "ContentTooLarge",
    "ErrorDetail",
    "EventSourceResponse",
    "FileResponse",
    "Forbidden",
    "FormData",
    "HTMLResponse",
    "Headers",
    "InternalServerError",
    "JSONResponse",
    "MethodNotAllowed",
    "MutableHeaders",
    "NotAcceptable",
    "NotFound",
    "PreconditionFailed",
    "Problem",
    "ProblemResponse",
    "QueryParams",
    "RangeNotSatisfiable",
    "RedirectResponse",
    "Request",
    "Response",
    "ServerSentEvent",
    "ServiceUnavailable",
    "StaticFiles",
    "StreamingResponse",
    "TextResponse",
    "TooManyRequests",
    "Unauthorized",
    "UnprocessableContent",
    "UnsupportedMediaType",
    "UploadFile",
]


def __getattr__(name: str) -> Any:
    if name in _LATER:
        from importlib import import_module

        value = getattr(import_module(f".{_LATER[name]}", __name__), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
