"""What stands around every request: one shape, `async (request, call_next) -> Response`.

An `outside_error_boundary` attribute that is true places a middleware around the error boundary, so
that what it adds is there on a 404, a 413 and an unhandled 500 too. An `after_guards` attribute that is true
places one innermost, behind authentication and permissions and before the body is read. Only `ForwardedMiddleware` wraps
the ASGI application itself; its module says why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .shape import CallNext, Middleware

if TYPE_CHECKING:
    from .cache_control import CacheControlMiddleware
    from .caching import CacheMiddleware
    from .compression import CompressionMiddleware
    from .cors import CORSMiddleware
    from .errors import ErrorBoundary
    from .idempotency import IdempotencyMiddleware
    from .peers import TrustedPeers
    from .proxy import ForwardedMiddleware
    from .request_id import RequestIDFilter, RequestIDMiddleware, request_id_var
    from .security import SecurityHeadersMiddleware
    from .stores import MemoryStore, Store
    from .timeout import TimeoutMiddleware
    from .trusted_host import TrustedHostMiddleware

# An application pays for the import of those it uses.
_LATER = {
    "CORSMiddleware": "cors",
    "CacheControlMiddleware": "cache_control",
    "CacheMiddleware": "caching",
    "CompressionMiddleware": "compression",
    "ErrorBoundary": "errors",
    "ForwardedMiddleware": "proxy",
    "IdempotencyMiddleware": "idempotency",
    "MemoryStore": "stores",
    "RequestIDFilter": "request_id",
    "RequestIDMiddleware": "request_id",
    "SecurityHeadersMiddleware": "security",
    "Store": "stores",
    "TimeoutMiddleware": "timeout",
    "TrustedHostMiddleware": "trusted_host",
    "TrustedPeers": "peers",
    "request_id_var": "request_id",
}

__all__ = [
    "CORSMiddleware",
    "CacheControlMiddleware",
    "CacheMiddleware",
    "CallNext",
    "CompressionMiddleware",
    "ErrorBoundary",
    "ForwardedMiddleware",
    "IdempotencyMiddleware",
    "MemoryStore",
    "Middleware",
    "RequestIDFilter",
    "RequestIDMiddleware",
    "SecurityHeadersMiddleware",
    "Store",
    "TimeoutMiddleware",
    "TrustedHostMiddleware",
    "TrustedPeers",
    "request_id_var",
]


def __getattr__(name: str) -> Any:
    if name in _LATER:
        from importlib import import_module

        value = getattr(import_module(f".{_LATER[name]}", __name__), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
