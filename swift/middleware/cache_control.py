"""Cache-Control for what a route, a router or an app answers."""

from __future__ import annotations

from swift.http import Request, Response
from swift.http.cache_control import CacheControl
from swift.http.headers import check_header

from .shape import CallNext


class CacheControlMiddleware:
    """Sets Cache-Control on successful answers and 304s to GET and HEAD that have none of their own.

    Errors are left without: a cache that kept a 404 for a day would outlive its reason.
    """

    def __init__(self, cache_control: CacheControl) -> None:
        self.pair = check_header("cache-control", str(cache_control))

    async def __call__(self, request: Request, call_next: CallNext) -> Response:
        response = await call_next(request)
        if (
            request.method in ("GET", "HEAD")
            and (response.status < 300 or response.status == 304)
            and not any(name == b"cache-control" for name, _ in response.raw_headers)
        ):
            response.raw_headers.append(self.pair)
        return response
