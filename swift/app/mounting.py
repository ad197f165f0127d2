"""Mounted ASGI applications as endpoints, so that middleware sees them like any other."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from swift._speedups.kernel import strip_root_path
from swift.http import MutableHeaders, Request, Response
from swift.http.headers import RawHeaders, combined, split_list
from swift.routing.endpoint import Endpoint


class MountedResponse(Response):
    """The answer of a mounted application, made while it is sent.

    Headers that middleware sets here are added to the ones the application sends, whose own stand;
    Vary is merged, as both may be right.
    """

    __slots__ = ("app", "request", "scope")
    streaming = True

    def __init__(self, app: Any, scope: dict[str, Any], request: Request) -> None:
        super().__init__()
        self.app = app
        self.scope = scope
        self.request = request

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        added = self.raw_headers

        async def send_with_headers(message: dict[str, Any]) -> None:
            if added and message["type"] == "http.response.start":
                message = {**message, "headers": merged(list(message.get("headers", ())), added)}
            await send(message)

        # The request's own `receive`: the application below reads the body itself.
        with own_database():
            await self.app(self.scope, self.request.receive, send_with_headers)


@contextmanager
def own_database() -> Iterator[None]:
    """Bind again, at the end, the database that is bound now: an App that is mounted binds its own, and what the app
    around it does after the answer is done on that app's."""
    if "swift.engines" not in sys.modules:
        # Nobody has a database.
        yield
        return
    from swift.engines import current_database

    token = current_database.set(current_database.get())
    try:
        yield
    finally:
        current_database.reset(token)


def merged(sent: RawHeaders, added: RawHeaders) -> RawHeaders:
    """The headers of a mounted application with those that middleware adds."""
    present = {name for name, _ in sent}
    headers = sent + [(name, value) for name, value in added if name not in present or name == b"set-cookie"]
    vary = combined([pair for pair in added if pair[0] == b"vary"], b"vary")
    if vary and b"vary" in present:
        MutableHeaders(headers).vary(*split_list(vary))
    return headers


def mounted_scope(scope: dict[str, Any], mount_path: str, state: dict[str, Any]) -> dict[str, Any]:
    """The scope for an application mounted at `mount_path`: the root path grows, the path stays whole."""
    root_path = scope.get("root_path", "").rstrip("/")
    path = strip_root_path(scope["path"], root_path) if root_path else scope["path"]
    child = {**scope, "root_path": root_path + mount_path, "path": root_path + path}
    if "state" in scope or state:
        child["state"] = {**scope.get("state", {}), **state}
    return child


class MountEndpoint(Endpoint):
    """Everything below a mount's path, whatever the method."""

    __slots__ = ("app", "mount_path", "state")

    app: Any
    mount_path: str
    state: dict[str, Any]

    async def respond(self, request: Request) -> Response:
        return MountedResponse(self.app, mounted_scope(request.scope, self.mount_path, self.state), request)
