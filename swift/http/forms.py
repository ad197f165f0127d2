"""Form bodies: application/x-www-form-urlencoded and multipart/form-data (RFC 7578).

A body is read as it arrives. Fields are kept in memory, files go to a spool that moves to disk past
1 MiB, and every count and size has a limit, so the memory that a request can take is known: that of
its body, and less when the files are large.

Multipart is split by python-multipart, fed in blocks of equal size cut from the stream. What comes
out, errors included, therefore depends on the body alone and not on how the network cut it, and a
client that sends single bytes costs no more parsing than one that sends all at once.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from contextlib import aclosing
from types import TracebackType
from typing import TYPE_CHECKING, Any

import msgspec

from ._threads import in_thread
from .headers import Headers, MultiMapping, parse_parameters, parse_urlencoded
from .problems import BadRequest, ContentTooLarge, UnsupportedMediaType

if TYPE_CHECKING:
    from python_multipart import MultipartParser

# bchars of RFC 2046 section 5.1.1: 1 to 70 characters, the last one no blank.
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]\Z")
_CONTROLS = re.compile(rb"[\x00-\x08\x0A-\x1F\x7F]")

_SPOOL_SIZE = 2**20
_BLOCK_SIZE = 2**16
_NO_LIMIT = 2**62


class FormLimits(msgspec.Struct, frozen=True):
    """What a form may hold; more is answered with 413. Sizes in bytes."""

    max_fields: int = 1000
    max_files: int = 100
    max_part_size: int = 2**20
    """Of one field's value."""
    max_file_size: int | None = None
    """Of one file; None leaves it to the limit of the body."""
    max_header_size: int = 8192
    """Of all header fields of one part."""


class UploadFile:
    """One file of a form, in memory up to 1 MiB and on disk beyond.

    `filename` is what the client claims: never a path to be trusted. `size` is in bytes.
    """

    __slots__ = ("file", "filename", "headers", "on_disk", "size")

    def __init__(self, filename: str, headers: Headers | None = None) -> None:
        from tempfile import SpooledTemporaryFile

        self.filename = filename
        self.headers = Headers([]) if headers is None else headers
        # 0 is no limit: by itself the spool would move to disk on the loop, `write` does it in a thread.
        self.file: SpooledTemporaryFile[bytes] = SpooledTemporaryFile(max_size=0)  # noqa: SIM115
        self.size = 0
        self.on_disk = False

    @property
    def content_type(self) -> str | None:
        """The media type that the client claims, or None."""
        return self.headers.get("content-type")

    async def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes from the present position; all of them by default."""
        if not self.on_disk:
            return self.file.read(size)
        return await in_thread(self.file.read, size)

    async def write(self, data: bytes) -> None:
        """Append at the present position; past 1 MiB the content moves to disk, in a thread."""
        end = self.file.tell() + len(data)
        if not self.on_disk and end <= _SPOOL_SIZE:
            self.file.write(data)
        else:
            await in_thread(self._write_to_disk, data)
        self.size = max(self.size, end)

    async def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a position in bytes, counted as `io` does; the new one is returned."""
        if not self.on_disk:
            self.file.seek(offset, whence)
        else:
            await in_thread(self.file.seek, offset, whence)
        return self.file.tell()

    async def close(self) -> None:
        """Let go of the content; a file on disk is deleted. May be called again."""
        if self.on_disk:
            await in_thread(self.file.close)
        else:
            self.file.close()

    def _write_to_disk(self, data: bytes) -> None:
        if not self.on_disk:
            self.file.rollover()
            self.on_disk = True
        self.file.write(data)

    def __repr__(self) -> str:
        return f"UploadFile(filename={self.filename!r}, size={self.size})"


FormValue = str | UploadFile


class FormData(MultiMapping[FormValue]):
    """The fields and files of a form, by name. `aclose` lets go of the files."""

    __slots__ = ()

    async def aclose(self) -> None:
        """Close every file; the request does it at its end."""
        await _close_files(value for _, value in self._pairs if isinstance(value, UploadFile))

    async def __aenter__(self) -> FormData:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


async def parse_form(
    content_type: str | bytes | None, stream: AsyncIterable[bytes], limits: FormLimits | None = None
) -> FormData:
    """Read a form of either kind from the stream of a request's body.

    Raises UnsupportedMediaType for another type, BadRequest for a malformed form,
    ContentTooLarge past a limit; no file is left open then.
    """
    if limits is None:
        limits = FormLimits()
    if isinstance(content_type, bytes):
        content_type = content_type.decode("latin-1")
    media_type, parameters = parse_parameters(content_type or "")
    if media_type == "multipart/form-data":
        return await _parse_multipart(parameters.get("boundary"), stream, limits)
    if media_type == "application/x-www-form-urlencoded":
        return await _parse_urlencoded_form(stream, limits)
    raise UnsupportedMediaType(
        "Expected a body of type multipart/form-data or application/x-www-form-urlencoded."
    )


async def _parse_urlencoded_form(stream: AsyncIterable[bytes], limits: FormLimits) -> FormData:
    body = bytearray()
    async for chunk in stream:
        body += chunk
    pairs = parse_urlencoded(
        bytes(body), max_fields=limits.max_fields, what="The form", too_many=ContentTooLarge
    )
    # Decoding only shortens, so a body within the limit holds no field beyond it.
    if len(body) > limits.max_part_size and any(
        len(name.encode()) + len(value.encode()) > limits.max_part_size for name, value in pairs
    ):
        raise ContentTooLarge(f"A field of the form exceeds {limits.max_part_size} bytes.")
    return FormData(pairs)


async def _parse_multipart(
    boundary: str | None, stream: AsyncIterable[bytes], limits: FormLimits, *, block_size: int = _BLOCK_SIZE
) -> FormData:
    collector = _Collector(checked_boundary(boundary), limits)
    try:
        async with aclosing(blocks_of(stream, block_size)) as blocks:
            async for block in blocks:
                collector.feed(block)
                await collector.write_files()
        return await collector.finish()
    except BaseException:
        await _close_files(collector.files)
        raise


def checked_boundary(boundary: str | None) -> bytes:
    if boundary is None:
        raise BadRequest("The multipart Content-Type names no boundary.")
    if not _BOUNDARY.match(boundary):
        raise BadRequest("The multipart boundary is not 1 to 70 of the characters of RFC 2046 section 5.1.1.")
    return boundary.encode("ascii")


async def blocks_of(
    stream: AsyncIterable[bytes], block_size: int = _BLOCK_SIZE
) -> AsyncGenerator[bytes, None]:
    """The body cut anew into blocks of one size; the last one is shorter, and may be empty."""
    buffer = bytearray()
    async for chunk in stream:
        buffer += chunk
        while len(buffer) >= block_size:
            yield bytes(buffer[:block_size])
            del buffer[:block_size]
    yield bytes(buffer)


class PartParser:
    """The events of python-multipart, checked and counted: what a form's parts are is left to subclasses."""

    def __init__(self, boundary: bytes, limits: FormLimits) -> None:
        multipart = _import_multipart()
        self.limits = limits
        self.fields = 0
        self.file_count = 0
        self.started = False
        self.complete = False
        self._begin_part()
        # The parser's own header limits count per line; ours counts per part, in `_on_header`.
        self.parser: MultipartParser = multipart.MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_header_begin": self._on_header_begin,
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_headers_finished": self._on_headers_finished,
                "on_part_data": self._on_part_data,
                "on_part_end": self._on_part_end,
                "on_end": self._on_end,
            },
            max_header_count=_NO_LIMIT,
            max_header_size=_NO_LIMIT,
        )
        self.malformed = multipart.exceptions.FormParserError

    def feed(self, block: bytes) -> None:
        """Parse one block; BadRequest where it is malformed, ContentTooLarge past a limit."""
        if not self.started:
            # Empty lines may precede the first boundary; the parser would skip more than those.
            block = block.lstrip(b"\r\n")
            self.started = bool(block)
        try:
            self.parser.write(block)
        except self.malformed:
            raise BadRequest("The multipart body is malformed.") from None

    def check_complete(self) -> None:
        """BadRequest unless the final boundary has come."""
        if not self.complete:
            raise BadRequest("The multipart body ends before its final boundary.")

    # What a subclass makes of the parts.

    def begin(self, headers: Headers) -> None:
        """The head of a part was read: `name` and `filename` are set, None being the one of a field."""
        raise NotImplementedError

    def take(self, data: bytes) -> None:
        """Some of the content of the part."""
        raise NotImplementedError

    def end(self) -> None:
        """The part is complete."""
        raise NotImplementedError

    # The callbacks of the parser.

    def _begin_part(self) -> None:
        self.header_size = 0
        self.headers: list[tuple[bytearray, bytearray]] = []
        self.name = ""
        self.filename: str | None = None
        self.size = 0

    def _on_header_begin(self) -> None:
        self.headers.append((bytearray(), bytearray()))
        # The colon and the line end, so that empty fields count too.
        self._count_header(3)

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self.headers[-1][0].extend(data[start:end])

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self.headers[-1][1].extend(data[start:end])

    def _count_header(self, length: int) -> None:
        self.header_size += length
        if self.header_size > self.limits.max_header_size:
            raise ContentTooLarge(f"The headers of a part exceed {self.limits.max_header_size} bytes.")

    def _on_headers_finished(self) -> None:
        headers = Headers([(bytes(name).lower(), bytes(value).strip(b" \t")) for name, value in self.headers])
        dispositions = headers.getlist("content-disposition")
        if len(dispositions) != 1:
            raise BadRequest("A part of the form has not exactly one Content-Disposition.")
        kind, parameters = parse_parameters(utf8(dispositions[0]))
        if kind != "form-data" or "name" not in parameters:
            raise BadRequest("A part of the form has no Content-Disposition `form-data` with a name.")
        if any(_CONTROLS.search(value) for _, value in headers.raw):
            raise BadRequest("A header of a part of the form holds control characters.")
        if headers.get("content-transfer-encoding", "binary").lower() not in ("7bit", "8bit", "binary"):
            raise BadRequest("A part of the form has a Content-Transfer-Encoding, which RFC 7578 abolished.")
        self.name = parameters["name"]
        # Only `filename`; RFC 7578 section 4.2 forbids `filename*`.
        self.filename = parameters.get("filename")
        if self.filename is None:
            self.fields += 1
            if self.fields > self.limits.max_fields:
                raise ContentTooLarge(f"The form has more than {self.limits.max_fields} fields.")
        else:
            self.file_count += 1
            if self.file_count > self.limits.max_files:
                raise ContentTooLarge(f"The form has more than {self.limits.max_files} files.")
        self.begin(headers)

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        self.size += end - start
        most = self.limits.max_part_size if self.filename is None else self.limits.max_file_size
        if most is not None and self.size > most:
            what = "field" if self.filename is None else "file"
            raise ContentTooLarge(f"A {what} of the form exceeds {most} bytes.")
        self.take(data[start:end])

    def _on_part_end(self) -> None:
        self.end()

    def _on_end(self) -> None:
        self.complete = True


class _Collector(PartParser):
    """Turns parts into the fields and files of a FormData."""

    def __init__(self, boundary: bytes, limits: FormLimits) -> None:
        super().__init__(boundary, limits)
        self.pairs: list[tuple[str, FormValue]] = []
        self.files: list[UploadFile] = []
        self.upload: UploadFile | None = None
        self.value = bytearray()
        # File content of the present block; written when the parser has returned, where one can await.
        self.pending: list[tuple[UploadFile, bytes]] = []

    def begin(self, headers: Headers) -> None:
        self.value = bytearray()
        self.upload = None
        if self.filename is not None:
            self.upload = UploadFile(self.filename, headers)
            self.files.append(self.upload)

    def take(self, data: bytes) -> None:
        if self.upload is None:
            self.value += data
        else:
            self.pending.append((self.upload, data))

    def end(self) -> None:
        self.pairs.append((self.name, utf8(bytes(self.value)) if self.upload is None else self.upload))

    async def write_files(self) -> None:
        pending, self.pending = self.pending, []
        for upload, data in pending:
            await upload.write(data)

    async def finish(self) -> FormData:
        self.check_complete()
        for upload in self.files:
            await upload.seek(0)
        return FormData(self.pairs)


def utf8(text: bytes | str) -> str:
    try:
        return (text.encode("latin-1") if isinstance(text, str) else text).decode()
    except UnicodeDecodeError:
        raise BadRequest("A part of the form is not UTF-8.") from None


def _import_multipart() -> Any:
    try:
        import python_multipart
        import python_multipart.exceptions
    except ImportError:
        raise RuntimeError(
            "Reading multipart/form-data needs the package `python-multipart`; "
            "install it with `pip install python-multipart`."
        ) from None
    return python_multipart


async def _close_files(files: Iterable[UploadFile]) -> None:
    for upload in files:
        await upload.close()
