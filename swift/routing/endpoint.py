"""An endpoint: a route's call plan with everything that stands between the request and its handler.

The order never varies: limits and negotiation, then the guards (authentication, permissions,
throttling), then the body, then dependencies, then the handler. So a stranger is turned away
before a byte of the body is read.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

import msgspec

from swift._speedups.futures import Future
from swift._speedups.kernel import Plan, is_missing
from swift.di.running import DependencyPlan, Exits, run
from swift.http import ErrorDetail, Problem, Request, Response, StreamingResponse
from swift.http.request import malformed_body
from swift.http.responses import close, iterate
from swift.schemas import DECODE_ERRORS

from .plan import BodySpec, Parameter

if TYPE_CHECKING:
    from swift.http import FormLimits
    from swift.http.codecs import Codec
    from swift.schemas import TypeHooks
    from swift.schemas.body import DecHook

# A check before the body is read. One with the attribute `synchronous` never waits and returns None.
Guard = Callable[[Request], Awaitable[None] | None]
CallNext = Callable[[Request], Awaitable[Response]]
Middleware = Callable[[Request, CallNext], Awaitable[Response]]
ErrorHandlers = dict[type[Exception] | int, Callable[[Request, Any], Any]]


class Endpoint(Plan):
    """What the tree leads to. Built once at start by `swift.routing.compiler`; never changed."""

    __slots__ = (
        "body",
        "codecs",
        "dec_hook",
        "dependencies",
        "error_handlers",
        "form_limits",
        "form_slots",
        "guards",
        "handler_kind",
        "in_thread",
        "inner",
        "overridden",
        "parameters",
        "pipeline",
        "returns",
        "route",
        "stream_media_type",
        "streams",
        "type_hooks",
    )

    body: BodySpec | None
    # Beside JSON, of the body and of the answer.
    codecs: tuple[Codec, ...]
    dec_hook: DecHook | None
    dependencies: DependencyPlan | None
    error_handlers: ErrorHandlers
    form_limits: FormLimits | None
    form_slots: list[Any]
    guards: tuple[Guard, ...]
    handler_kind: str
    in_thread: Callable[..., Awaitable[Any]]
    # The middleware between the guards and the body, around `proceed`.
    inner: CallNext
    # The functions of Depends in whose place others stand.
    overridden: frozenset[Any]
    parameters: tuple[Parameter, ...]
    pipeline: CallNext
    returns: Any
    route: Any
    stream_media_type: str | None
    streams: bool
    type_hooks: TypeHooks | None

    async def proceed(self, request: Request) -> Response:
        """What comes behind the guards: the body, the dependencies, the handler."""
        body = None
        if self.reads_body:
            body = await request.body()
            if body and request.header(b"content-type") is None:
                raise self.refuse.untyped(self)
        values = self.bind(request, body, request.make_cookies)
        if self.form_slots:
            await self._bind_form(request, values)
        if self.dependencies is None:
            if self.handler_kind == "coroutine":
                # PERF: what `_call` does, without a coroutine of its own.
                result = await self.invoke(values)
                return self._answer(request, await result if isinstance(result, Future) else result)
            return self._answer(request, await self._call(values))
        return await self._with_dependencies(self.dependencies, request, values)

    async def _call(self, values: list[Any]) -> Any:
        if self.handler_kind == "coroutine":
            result = await self.invoke(values)
        elif self.handler_kind == "thread":
            result = await self.in_thread(self.invoke, values)
        else:
            result = self.invoke(values)
        return await result if isinstance(result, Future) else result

    def _answer(self, request: Request, result: Any) -> Response:
        """The handler's result as a response; an iterator is sent while it is iterated."""
        if self.streams and not isinstance(result, Response):
            result = StreamingResponse(
                lines(result, self.encode), self.status, media_type=self.stream_media_type
            )
        response: Response = self.response(result)
        return response

    async def _with_dependencies(self, plan: DependencyPlan, request: Request, values: list[Any]) -> Response:
        """Run the dependencies around the handler; `swift.di.graph` writes the order of their teardown."""
        exits = Exits(self.in_thread) if plan.needs_exits else None
        try:
            if self.handler_kind == "thread":
                result = await run(plan, values, exits, self.in_thread, self.invoke)
                if isinstance(result, Future):
                    result = await result
            else:
                await run(plan, values, exits, self.in_thread)
                result = await self._call(values)
            response = self._answer(request, result)
            if exits is not None:
                await exits.close_call()
        except BaseException as error:
            if exits is None or (left := await exits.fail(error)) is error:
                raise
            raise left from left.__cause__ or error
        request.exits = exits
        return response

    async def _bind_form(self, request: Request, values: list[Any]) -> None:
        from swift.http import FormData

        # A request without a body has an empty form.
        form = FormData() if request.header(b"content-type") is None else await request.form()
        # The last form slot holds the errors of the other parameters, if there are any.
        earlier = values[self.form_slots[-1][0].position]
        errors: list[ErrorDetail] = [] if is_missing(earlier) else earlier
        for slot, parameter in self.form_slots:
            found = form.getlist(parameter.alias)
            if not found:
                if slot.required:
                    errors.extend(slot.explain(None))
                    continue
                values[slot.position] = slot.default_factory() if slot.default_factory else slot.default
                continue
            try:
                values[slot.position] = slot.convert(found if slot.many else found[-1])
            except ValueError as error:
                errors.extend(slot.explain(error))
        if errors:
            raise invalid_request(errors)


def invalid_request(errors: list[ErrorDetail], status: int = 422) -> Problem:
    """The problem that reports every fault of a request at once."""
    return malformed_body(status, errors)


def rejection(body: BodySpec | None) -> Callable[[list[ErrorDetail], bytes | None], Problem]:
    """What the kernel raises when values are wrong: the parameters' errors and the body's together."""

    def reject(errors: list[ErrorDetail], content: bytes | None) -> Problem:
        status = 422
        if content is not None and body is not None and body.decoder is not None:
            try:
                body.decoder.decode(content)
            except DECODE_ERRORS:
                status, found = body.decoder.explain(content)
                errors = [*errors, *found]
        return invalid_request(errors, status)

    return reject


async def lines(items: Any, encode: Callable[[Any], bytes]) -> AsyncIterator[bytes]:
    """Bytes and text as they are, everything else as JSON Lines. Plain iterators advance in a thread."""
    try:
        async for item in iterate(items):
            if isinstance(item, bytes):
                yield item
            elif isinstance(item, str):
                yield item.encode()
            else:
                yield encode(item) + b"\n"
    finally:
        await close(items)


default_encoder = msgspec.json.Encoder()
