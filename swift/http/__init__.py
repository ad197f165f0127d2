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
    from .forms import FormData, FormLimits, UploadFile
    from .multipart import Part
    from .sse import EventHistory, EventSourceResponse, ServerSentEvent
    from .static import StaticFiles
    from .tls import TLS

# Modules that few applications need are imported when their names are first asked for.
_LATER = {
    "CacheControl": "cache_control",
    "EventHistory": "sse",
    "EventSourceResponse": "sse",
    "FileResponse": "files",
    "FormData": "forms",
    "FormLimits": "forms",
    "Part": "multipart",
    "ServerSentEvent": "sse",
    "StaticFiles": "static",
    "TLS": "tls",
    "UploadFile": "forms",
}

__all__ = [
    "TLS",
    "BadRequest",
    "CacheControl",
    "ClientDisconnect",
    "Conflict",
    "ContentTooLarge",
    "ErrorDetail",
    "EventHistory",
    "EventSourceResponse",
    "FileResponse",
    "Forbidden",
    "FormData",
    "FormLimits",
    "HTMLResponse",
    "Headers",
    "InternalServerError",
    "JSONResponse",
    "MethodNotAllowed",
    "MutableHeaders",
    "NotAcceptable",
    "NotFound",
    "Part",
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
