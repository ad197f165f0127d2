"""Swift: REST services with the productivity of ViewSets and the speed of compiled code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .app import App
    from .di import Container, Depends, Inject
    from .futures import Future, when_all
    from .http import (
        BadRequest,
        Conflict,
        FileResponse,
        Forbidden,
        HTMLResponse,
        JSONResponse,
        NotFound,
        Problem,
        RedirectResponse,
        Request,
        Response,
        StaticFiles,
        StreamingResponse,
        TextResponse,
        Unauthorized,
        UploadFile,
    )
    from .models import Model, fields
    from .routing import Body, Cookie, File, Form, Header, Path, Query, Router
    from .schemas import UNSET, Schema
    from .settings import Secret, Settings

# PERF: names are imported when they are first asked for, so that an application pays for what it uses.
_WHERE = {
    "app": ("App",),
    "di": ("Container", "Depends", "Inject"),
    "futures": ("Future", "when_all"),
    "http": (
        "BadRequest",
        "Conflict",
        "FileResponse",
        "Forbidden",
        "HTMLResponse",
        "JSONResponse",
        "NotFound",
        "Problem",
        "RedirectResponse",
        "Request",
        "Response",
        "StaticFiles",
        "StreamingResponse",
        "TextResponse",
        "Unauthorized",
        "UploadFile",
    ),
    "routing": ("Body", "Cookie", "File", "Form", "Header", "Path", "Query", "Router"),
    "models": ("Model", "fields"),
    "schemas": ("UNSET", "Schema"),
    "settings": ("Secret", "Settings"),
}
_MODULE_OF = {name: module for module, names in _WHERE.items() for name in names}

__all__ = [
    "UNSET",
    "App",
    "BadRequest",
    "Body",
    "Conflict",
    "Container",
    "Cookie",
    "Depends",
    "File",
    "FileResponse",
    "Forbidden",
    "Form",
    "Future",
    "HTMLResponse",
    "Header",
    "Inject",
    "JSONResponse",
    "Model",
    "NotFound",
    "Path",
    "Problem",
    "Query",
    "RedirectResponse",
    "Request",
    "Response",
    "Router",
    "Schema",
    "Secret",
    "Settings",
    "StaticFiles",
    "StreamingResponse",
    "TextResponse",
    "Unauthorized",
    "UploadFile",
    "__version__",
    "fields",
    "when_all",
]


def __getattr__(name: str) -> Any:
    if name in _MODULE_OF:
        from importlib import import_module

        value = getattr(import_module(f".{_MODULE_OF[name]}", __name__), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
