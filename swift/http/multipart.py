"""A multipart form part by part, while it arrives: nothing is spooled, and no more than one block is in memory.

    async for part in request.multipart():
        if part.filename is None:
            title = await part.text()
        else:
            async for chunk in part:
                await storage.append(chunk)

The parts are those of `swift.http.forms`, with the same limits and the same errors. A part is read before the next
is asked for; what of it was not read then is passed over.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterable, AsyncIterator

from .forms import FormLimits, PartParser, blocks_of, checked_boundary, utf8
from .headers import Headers, parse_parameters
from .problems import ContentTooLarge, UnsupportedMediaType

_READ_LIMIT = 2**20


class Part:
    """One part: its head, and its content as an async iterator of bytes, in blocks of at most 64 KiB.

    `filename` is what the client claims, None for a field: never a path to be trusted.
    """

    __slots__ = ("_source", "filename", "headers", "name")

    def __init__(self, name: str, filename: str | None, headers: Headers, source: _PartStream) -> None:
        self.name = name
        self.filename = filename
        self.headers = headers
        self._source = source

    @property
    def content_type(self) -> str | None:
        """The media type that the client claims, or None."""
        return self.headers.get("content-type")

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        chunk = await self._source.next_chunk(self)
        if chunk is None:
            raise StopAsyncIteration
        return chunk

    async def read(self, limit: int = _READ_LIMIT) -> bytes:
        """What is left of the content; ContentTooLarge beyond `limit` bytes."""
        content = bytearray()
        async for chunk in self:
            content += chunk
            if len(content) > limit:
                raise ContentTooLarge(f"A part of the form exceeds {limit} bytes.")
        return bytes(content)

    async def text(self, limit: int = _READ_LIMIT) -> str:
        """The content as text; BadRequest when it is not UTF-8."""
        return utf8(await self.read(limit))

    def __repr__(self) -> str:
        return f"<Part {self.name!r}" + (f" {self.filename!r}>" if self.filename is not None else ">")


class _PartStream(PartParser):
    """The parts of a body as events: a Part, then its chunks, then None for its end."""

    def __init__(self, boundary: bytes, limits: FormLimits, stream: AsyncIterable[bytes]) -> None:
        super().__init__(boundary, limits)
        self.events: deque[Part | bytes | None] = deque()
        self.blocks = blocks_of(stream)
        self.current: Part | None = None

    def begin(self, headers: Headers) -> None:
        self.events.append(Part(self.name, self.filename, headers, self))

    def take(self, data: bytes) -> None:
        self.events.append(data)

    def end(self) -> None:
        self.events.append(None)

    async def next_event(self) -> Part | bytes | None:
        """The next event. Raises StopAsyncIteration at the end of the form."""
        while not self.events:
            try:
                block = await anext(self.blocks)
            except StopAsyncIteration:
                self.check_complete()
                raise
            self.feed(block)
        return self.events.popleft()

    async def next_chunk(self, part: Part) -> bytes | None:
        if part is not self.current:
            return None
        event = await self.next_event()
        assert not isinstance(event, Part)
        if event is None:
            self.current = None
        return event

    async def next_part(self) -> Part | None:
        """The next part, None at the end; what is left of the present one is passed over."""
        try:
            while not isinstance(event := await self.next_event(), Part):
                pass
        except StopAsyncIteration:
            return None
        self.current = event
        return event


async def stream_parts(
    content_type: str, stream: AsyncIterable[bytes], limits: FormLimits | None = None
) -> AsyncIterator[Part]:
    """The parts of a multipart form. Raises UnsupportedMediaType for a body of another type, BadRequest where the
    form is malformed, ContentTooLarge past a limit: each where the fault stands."""
    media_type, parameters = parse_parameters(content_type)
    if media_type != "multipart/form-data":
        raise UnsupportedMediaType("Expected a body of type multipart/form-data.")
    source = _PartStream(checked_boundary(parameters.get("boundary")), limits or FormLimits(), stream)
    try:
        while (part := await source.next_part()) is not None:
            yield part
    finally:
        await source.blocks.aclose()
