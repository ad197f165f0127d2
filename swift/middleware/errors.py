"""The boundary where exceptions end: what leaves it is a response."""

from __future__ import annotations

import logging

from swift.http import ClientDisconnect, InternalServerError, Problem, Request, Response

from .shape import CallNext

logger = logging.getLogger("swift.error")

# nginx's status for a client that left; nobody receives it, but access logs show it.
CLIENT_CLOSED_REQUEST = 499


class ErrorBoundary:
    """Turns an unhandled exception into a 500 problem without a word of the exception in it.

    It is logged once, with its traceback, to `swift.error`. With `debug` the traceback is part of the
    problem for clients on this machine: those whose peer is a loopback address and whose request
    came through no proxy. Cancellation and KeyboardInterrupt pass through, as they are not errors.
    """

    def __init__(self, debug: bool = False) -> None:
        self.debug = debug

    async def __call__(self, request: Request, call_next: CallNext) -> Response:
        try:
            return await call_next(request)
        except Problem as problem:
            return problem.to_response()
        except ClientDisconnect:
            logger.debug("The client left during %s %r", request.method, request.path)
            return Response(status=CLIENT_CLOSED_REQUEST)
        except Exception as error:
            # %r: a path may hold line breaks that would forge lines of the log.
            request.error = error
            logger.exception("Unhandled %s in %s %r", type(error).__name__, request.method, request.path)
            return self.respond(request, error)

    def respond(self, request: Request, error: Exception) -> Response:
        """The 500 problem for an exception that was logged already."""
        extensions = None
        if self.debug and is_local(request):
            from traceback import format_exception

            extensions = {"traceback": "".join(format_exception(error)).splitlines()}
        return InternalServerError(
            "The server failed to answer this request.", extensions=extensions
        ).to_response()


def is_local(request: Request) -> bool:
    """Whether the client is on this machine and speaks to us directly.

    Behind a proxy on the same machine everybody comes from a loopback address, so a request with
    a proxy's headers is not local.
    """
    from ipaddress import ip_address

    if any(request.header(name) is not None for name in _PROXY_HEADERS):
        return False
    client = request.client
    try:
        return client is not None and ip_address(client[0]).is_loopback
    except ValueError:
        return False


_PROXY_HEADERS = (b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-real-ip", b"via")
