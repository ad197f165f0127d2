"""Requests and endpoints for testing a middleware by itself: a middleware is a function of both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from swift.http import Request, Response
from swift.middleware import CallNext


def make_request(
    method: str = "GET",
    path: str = "/",
    headers: Mapping[str, str] | list[tuple[str, str]] | None = None,
    *,
    client: tuple[str, int] | None = ("192.0.2.1", 50000),
    scheme: str = "http",
) -> Request:
    pairs = headers.items() if isinstance(headers, Mapping) else headers or ()
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": scheme,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in pairs],
        "client": client,
        "server": ("testserver", 80),
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    return Request(scope, receive)


def answering(make: Callable[[], Response]) -> CallNext:
    """An endpoint that answers every request with a new response of `make`."""

    async def endpoint(request: Request) -> Response:
        return make()

    return endpoint


def vary(response: Response) -> set[str]:
    return {name.strip().lower() for name in response.headers.get("vary", "").split(",") if name.strip()}
