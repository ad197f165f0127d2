"""What a test gets back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, TypeVar, overload

import msgspec

from swift.http import ErrorDetail, Headers
from swift.http.headers import parse_parameters

from ._types import Event, RawHeaders
from .cookies import Cookie, parse_set_cookie
from .errors import IncompleteResponse

if TYPE_CHECKING:
    from ._exchange import Exchange

T = TypeVar("T")


class ProblemDocument(msgspec.Struct, frozen=True):
    """A problem as RFC 9457 writes it; `extensions` are the members beside its own and `errors`."""

    status: int | None = None
    type: str = "about:blank"
    title: str = ""
    detail: str = ""
    instance: str = ""
    errors: list[ErrorDetail] = []
    extensions: dict[str, Any] = {}

    @property
    def codes(self) -> dict[str, str]:
        """The code of each error by its pointer, for an assertion in one line."""
        return {error.pointer: error.code for error in self.errors}


class _Head:
    """Status and header fields, common to the two kinds of response."""

    def __init__(self, url: str, method: str, status: int, raw_headers: RawHeaders) -> None:
        self.url = url
        self.method = method
        self.status = status
        self.headers = Headers(raw_headers)

    @property
    def set_cookies(self) -> list[Cookie]:
        """The cookies this response sets, with their attributes."""
        parsed = [parse_set_cookie(value) for value in self.headers.getlist("set-cookie")]
        return [cookie for cookie in parsed if cookie is not None]

    @property
    def cookies(self) -> dict[str, str]:
        """The values of the cookies this response sets."""
        return {cookie.name: cookie.value for cookie in self.set_cookies}

    @property
    def media_type(self) -> str:
        return parse_parameters(self.headers.get("content-type", ""))[0]

    @property
    def charset(self) -> str:
        return parse_parameters(self.headers.get("content-type", ""))[1].get("charset", "utf-8")


class ClientResponse(_Head):
    """A response that has been read to its end; `content` is as sent, a content coding is not undone.

    `extension_events` are the events beside start and body that the application sent (pathsend, early hint),
    `history` the redirects that led here.
    """

    def __init__(
        self,
        url: str,
        method: str,
        status: int,
        raw_headers: RawHeaders,
        content: bytes,
        *,
        trailers: RawHeaders | None = None,
        extension_events: list[Event] | None = None,
    ) -> None:
        super().__init__(url, method, status, raw_headers)
        self.content = content
        self.trailers = Headers(trailers or [])
        self.extension_events = extension_events or []
        self.history: list[ClientResponse] = []

    @property
    def text(self) -> str:
        return self.content.decode(self.charset, "replace")

    @overload
    def json(self) -> Any: ...
    @overload
    def json(self, type: type[T]) -> T: ...
    def json(self, type: Any = None) -> Any:
        """The body decoded from JSON; with `type` (a Struct, `list[int]`) validated by msgspec as well."""
        return msgspec.json.decode(self.content, type=Any if type is None else type)

    @property
    def problem(self) -> ProblemDocument:
        """The problem details of an error response; an AssertionError where it is something else."""
        if self.media_type != "application/problem+json":
            raise AssertionError(
                f"Expected application/problem+json, got status {self.status} "
                f"with {self.media_type or 'no content type'}: {self.text[:200]!r}"
            )
        members = self.json(dict[str, Any])
        own = [name for name in ProblemDocument.__struct_fields__ if name != "extensions"]
        known = {name: members.pop(name) for name in own if name in members}
        return msgspec.convert({**known, "extensions": members}, ProblemDocument)

    def __repr__(self) -> str:
        return f"<ClientResponse {self.status} to {self.method} {self.url}, {len(self.content)} bytes>"


class StreamedResponse(_Head):
    """A response that is read as it is sent: the application's `send` returns when its chunk has been taken.

    `async for chunk in response` gives the chunks as they were sent; empty ones are not shown.
    """

    def __init__(self, url: str, method: str, exchange: Exchange) -> None:
        super().__init__(url, method, exchange.status, exchange.headers)
        self._exchange = exchange

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        chunk = await self._exchange.read()
        if chunk is not None:
            return chunk
        if self._exchange.is_broken:
            raise IncompleteResponse(f"The response to {self.method} {self.url} broke off.")
        raise StopAsyncIteration

    async def read(self) -> bytes:
        """What is left of the body."""
        return b"".join([chunk async for chunk in self])

    async def lines(self) -> AsyncIterator[str]:
        """The body line by line, without line ends, as soon as a line is complete."""
        rest = b""
        async for chunk in self:
            *complete, rest = (rest + chunk).split(b"\n")
            for line in complete:
                yield line.removesuffix(b"\r").decode(self.charset)
        if rest:
            yield rest.decode(self.charset)

    def disconnect(self) -> None:
        """The client leaves now: the application gets `http.disconnect`, and an OSError when it sends."""
        self._exchange.disconnect()

    @property
    def trailers(self) -> Headers:
        return Headers(self._exchange.trailers)

    @property
    def extension_events(self) -> list[Event]:
        return self._exchange.extension_events
