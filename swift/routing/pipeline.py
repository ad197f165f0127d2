"""Middleware around an endpoint, composed once at start; and what becomes of errors.

From outside in: the middleware that declares `outside_error_boundary` (CORS, request ids, security
headers), the error boundary, the other middleware, and the core. The core answers Problems and
exceptions that have an error handler; any other exception travels outward through the middleware,
which may roll back and raise again, up to the boundary. So no answer leaves without the headers
of the outermost layers, whatever went wrong inside.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Sequence
from typing import Any

from swift._speedups.http import encode_header
from swift.http import ClientDisconnect, Problem, Request, Response

from .endpoint import CallNext, ErrorHandlers, Middleware

logger = logging.getLogger("swift.error")


def build_pipeline(middleware: Sequence[Middleware], core: CallNext) -> CallNext:
    """One callable from a request to its response; without middleware it is the core itself."""
    pipeline = core
    for item in reversed(middleware):
        pipeline = _layer(item, pipeline)
    return pipeline


def around_guards(middleware: Sequence[Middleware]) -> tuple[list[Middleware], list[Middleware]]:
    """The middleware around everything, and that which declares `after_guards`: it must know who asks."""
    inner = [item for item in middleware if getattr(item, "after_guards", False)]
    return [item for item in middleware if item not in inner], inner


def _layer(middleware: Middleware, inner: CallNext) -> CallNext:
    def call(request: Request) -> Any:
        return middleware(request, inner)

    return call


def core_of(endpoint: Any) -> CallNext:
    """The innermost layer: everything from the limits to the encoded response, with the error handlers around it.

    The order is that of the house: limits and negotiation, then the guards, then what stands behind them.
    """
    # PERF: looked up once; each layer of coroutines between two others costs a request 0.1 us.
    check, guards, proceed, handlers = (
        endpoint.check,
        endpoint.guards,
        endpoint.inner,
        endpoint.error_handlers,
    )

    async def core(request: Request) -> Response:
        try:
            check(request)
            for guard in guards:
                waiting = guard(request)
                if waiting is not None:
                    await waiting
            response: Response = await proceed(request)
        except Exception as error:
            return await answer_error(request, error, handlers)
        return response

    return core


async def answer_error(request: Request, error: Exception, handlers: ErrorHandlers) -> Response:
    """The response for an exception: its handler's, or the Problem itself; anything else is raised again.

    The handler is the one of the most specific class; for a Problem, one for its status comes first. One for
    500 answers what nothing else does; the exception is logged all the same.
    """
    handler = None
    if isinstance(error, Problem):
        if error.status == 401:
            offer_challenges(request, error)
        elif error.status == 413:
            give_up_connection(request, error)
        handler = handlers.get(error.status)
    if handler is None:
        for cls in type(error).__mro__:
            # A handler for every exception is not one for problems: those are answers already.
            handler = None if cls is Exception and isinstance(error, Problem) else handlers.get(cls)
            if handler is not None:
                break
    if handler is None and 500 in handlers and not isinstance(error, (Problem, ClientDisconnect)):
        handler = handlers[500]
        request.error = error
        logger.error(
            "Unhandled %s in %s %r", type(error).__name__, request.method, request.path, exc_info=error
        )
    if handler is None:
        if isinstance(error, Problem):
            return error.to_response()
        raise error
    result = handler(request, error)
    if inspect.isawaitable(result):
        result = await result
    if not isinstance(result, Response):
        raise TypeError(
            f"The error handler `{getattr(handler, '__name__', handler)}` returned a `{type(result).__name__}`; "
            "return a Response."
        )
    return result


def give_up_connection(request: Request, error: Problem) -> None:
    """Say with a 413 that HTTP/1.1 ends here (RFC 9110 section 15.5.14): what the client still sends is not read,
    and where it ended the next request would begin. HTTP/2 ends the stream alone, and knows no such field."""
    if not request.body_complete and str(request.scope.get("http_version", "1.1")).startswith("1"):
        error.raw_headers = [*error.raw_headers, (b"connection", b"close")]


def offer_challenges(request: Request, error: Problem) -> None:
    """Give a 401 what it must have (RFC 9110 section 15.5.2): a challenge, of each authentication of the route."""
    if any(name == b"www-authenticate" for name, _ in error.raw_headers):
        return
    challenges = getattr(request.route, "challenges", ()) or ("Bearer",)
    error.raw_headers = error.raw_headers + [encode_header("www-authenticate", item) for item in challenges]
