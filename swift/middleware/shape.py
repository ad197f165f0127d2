"""The one shape of a middleware."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from swift.http import Request, Response

CallNext = Callable[[Request], Awaitable[Response]]


class Middleware(Protocol):
    """Anything that can be called like this, a function or an instance.

    It runs in the task of the request. It may answer itself, hand another request on, or change the
    response that comes back; `call_next` is called at most once.
    """

    def __call__(self, request: Request, call_next: CallNext, /) -> Awaitable[Response]: ...
