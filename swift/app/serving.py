"""The asynchronous half of a request: everything that the kernel could not finish at once."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from swift._speedups.kernel import (
    BODY_STAGE,
    FAILED_STAGE,
    GENERAL_STAGE,
    SEND_STAGE,
    SUSPENDED_STAGE,
    Pending,
)
from swift.http import ClientDisconnect, Request, Response
from swift.routing.pipeline import answer_error

from .lifespan import serve_lifespan
from .mounting import MountEndpoint, mounted_scope
from .suspension import resume

if TYPE_CHECKING:
    from .application import App

logger = logging.getLogger("swift.error")

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


async def serve_pending(app: App, pending: Pending, scope: Scope, receive: Receive, send: Send) -> None:
    """Wait for what the request waits for, stage by stage, and answer."""
    pending.give(send)
    try:
        while True:
            stage = pending.stage
            if stage == BODY_STAGE:
                start, body = pending.with_body(await whole_body(pending.request, pending.awaitable))
            elif stage == FAILED_STAGE:
                await answer_failed(app, scope, receive, send, pending.awaitable, pending.request)
                return
            elif stage == SUSPENDED_STAGE:
                start, body = pending.finish(await resume(pending.awaitable, pending.yielded))
            elif stage == GENERAL_STAGE:
                response: Response = await pending.plan.pipeline(pending.request)
                break
            else:
                response = await respond(app, pending)
                break
            if start is not None:
                await send_messages(send, start, body)
                return
    except Exception as error:
        await answer_failed(app, scope, receive, send, error, pending.request)
        return
    request = pending.request
    if response.streaming or request.error is not None:
        await send_response(app, response, request, scope, receive, send)
        return
    # PERF: a complete response needs no watching while it is sent (a fifth of a request through middleware).
    try:
        start, body = response.asgi_messages(pending.head)
    except Exception as error:
        # A middleware has put into it what cannot be sent.
        await answer_failed(app, scope, receive, send, error, request)
        return
    try:
        await send(start)
        await send(body)
    except OSError:
        # As in `send_messages`.
        pass
    finally:
        if request.holds_something:
            await finish(app, request)


async def respond(app: App, pending: Pending) -> Response:
    response: Response
    if pending.stage == SEND_STAGE:
        response = pending.plan.response(pending.awaitable)
    else:
        response = await app.compilation.miss(pending.request)
    return response


async def whole_body(request: Request, first: dict[str, Any]) -> bytes:
    """The body of which `first` was received already."""
    receive = request.receive
    messages = [first]

    async def replay() -> dict[str, Any]:
        return messages.pop() if messages else await receive()

    request.receive = replay
    try:
        return await request.body()
    finally:
        request.receive = receive


async def send_messages(send: Send, start: dict[str, Any], body: dict[str, Any]) -> None:
    try:
        await send(start)
        await send(body)
    except OSError:
        # The client left (ASGI HTTP 2.4, "Send after disconnect"); there is nobody to tell.
        return


async def send_response(
    app: App,
    response: Response,
    request: Request,
    scope: Scope,
    receive: Receive,
    send: Send,
    *,
    of_error: bool = False,
) -> None:
    """Send a response, then end what lives as long as the request.

    One that fails before it has begun is replaced: by the answer to its error, or, `of_error` having
    been that answer already, by the plain 500 problem.
    """
    started = False

    async def watched_send(message: dict[str, Any]) -> None:
        nonlocal started
        started = True
        try:
            await send(message)
        except OSError as error:
            raise ClientDisconnect("The client left before its answer was complete.") from error

    try:
        if request.error is not None and "http.response.debug" in (scope.get("extensions") or ()):
            # For a server that asks, as a test client does: which exception became this answer.
            await send({"type": "http.response.debug", "info": {"exception": request.error}})
        await response(scope, request.receive_after_body, watched_send)
    except ClientDisconnect:
        return
    except Exception as error:
        if started:
            # Too late for another status: the server has to break the connection off.
            logger.exception("The answer to %s %r broke off.", request.method, request.path)
            raise
        if not of_error:
            await answer_failed(app, scope, receive, send, error, request)
            return
        logger.exception("The answer to an error of %s %r failed.", request.method, request.path)
        await send_messages(
            send, *app.boundary.respond(request, error).asgi_messages(request.method == "HEAD")
        )
    finally:
        await finish(app, request)


async def finish(app: App, request: Request) -> None:
    """Release what the request held, and start the work it left for after its response."""
    exits, request.exits = request.exits, None
    try:
        await request.close()
        if exits is not None:
            await exits.close_request()
    except Exception:
        # The client has its answer; whoever runs the service must know all the same.
        logger.exception("A dependency of %s %r failed in its teardown.", request.method, request.path)
    callbacks, request.callbacks = request.callbacks, None
    if callbacks:
        app.background.start(callbacks)


async def answer_failed(
    app: App, scope: Scope, receive: Receive, send: Send, error: Exception, request: Request | None = None
) -> None:
    """Answer an exception that left an endpoint without middleware, or every middleware."""
    if request is None:
        request = Request(scope, receive)
        request.app = app
    endpoint = request.endpoint or app.compilation.kernel.find(request)
    handlers = app.error_handlers if endpoint is None else endpoint.error_handlers

    async def core(request: Request) -> Response:
        return await answer_error(request, error, handlers)

    response = await app.boundary(request, core)
    await send_response(app, response, request, scope, receive, send, of_error=True)


async def serve_other(app: App, scope: Scope, receive: Receive, send: Send) -> None:
    """Everything that is no HTTP request to a started app."""
    kind = scope["type"]
    if kind == "lifespan":
        await serve_lifespan(app, scope, receive, send)
        return
    if kind not in ("http", "websocket"):
        raise ValueError(f"Expected an ASGI scope of type http, websocket or lifespan, got {kind!r}.")
    # The server sent no lifespan.
    await app.start()
    if kind == "http":
        await app(scope, receive, send)
        return
    mount = app.compilation.kernel.find(Request({**scope, "method": "GET"}))
    if isinstance(mount, MountEndpoint):
        await mount.app(mounted_scope(scope, mount.mount_path, mount.state), receive, send)
        return
    # Closing before accepting makes the server answer 403 (ASGI WebSocket, "Close").
    await receive()
    await send({"type": "websocket.close", "code": 1000, "reason": ""})
