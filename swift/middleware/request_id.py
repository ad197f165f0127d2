"""One id for a request and everything that is logged on its behalf."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from secrets import token_hex

from swift.http import Request, Response
from swift.http.headers import check_header

from .peers import PEER, TrustedPeers
from .shape import CallNext

request_id_var: ContextVar[str | None] = ContextVar("swift.request_id", default=None)


def new_request_id() -> str:
    """32 hexadecimal digits, 128 random bits."""
    return token_hex(16)


class RequestIDMiddleware:
    """Gives each request an id: in `request_id_var`, in `request.state["request_id"]`, on the response.

    An id that comes with the request is used only when its sender is in `trusted` (networks, as
    TrustedPeers takes them) and it matches `pattern` as a whole; otherwise whoever calls could write
    into the logs. The context variable is not reset when the response is made: what streams or runs
    after it still belongs to the request, and the next request has an id of its own.
    """

    outside_error_boundary = True

    def __init__(
        self,
        header: str = "x-request-id",
        trusted: Iterable[str] = (),
        pattern: str = r"[A-Za-z0-9._:/+=-]{1,128}",
        generate: Callable[[], str] = new_request_id,
    ) -> None:
        self.header, _ = check_header(header, "")
        self.trusted = TrustedPeers(trusted)
        self.pattern = re.compile(pattern)
        self.generate = generate

    async def __call__(self, request: Request, call_next: CallNext) -> Response:
        request_id = self._incoming(request) or self.generate()
        request_id_var.set(request_id)
        request.state["request_id"] = request_id
        response = await call_next(request)
        if any(name == self.header for name, _ in response.raw_headers):
            response.headers[self.header.decode("ascii")] = request_id
        else:
            response.raw_headers.append(check_header(self.header, request_id))
        return response

    def _incoming(self, request: Request) -> str | None:
        value = request.header(self.header)
        if value is None:
            return None
        # The id comes from whoever is connected, also where ForwardedMiddleware has put the client behind it.
        peer = request.scope.get(PEER, request.client)
        if (peer[0] if peer else None) not in self.trusted:
            return None
        text: str = value.decode("latin-1")
        return text if self.pattern.fullmatch(text) else None


class RequestIDFilter(logging.Filter):
    """Puts `request_id` on each record, "-" outside of requests; for `%(request_id)s` in a format.

    Add it to the handlers: a filter of a logger does not see the records of the loggers below it.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = request_id_var.get() or "-"
        return True
