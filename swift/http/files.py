"""Files as responses: validators, ranges, and bytes read off the event loop.

Theory of operation. A file is looked at when it is sent, not when the response is made. One hop to
a thread opens it, takes its size and times from the descriptor, and settles the answer:

    not a regular file               404
    a precondition fails             304 or 412           conditional.py
    Range, and If-Range holds        206 or 416           ranges.py
    otherwise                        200

A body of at most 64 KiB is read in the same hop; a larger one follows in one hop per chunk, unless the
server sends it from the file itself (`http.response.pathsend`, else `http.response.zerocopysend`). What
was announced in Content-Length is what is sent: a file that shrinks meanwhile is an error, which
makes the server close the connection, and bytes it gained are left out.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from functools import cache
from io import FileIO
from stat import S_ISREG
from typing import Any, Literal
from urllib.parse import quote

from ._sending import Receive, send_or_leave
from ._threads import in_thread
from .conditional import ETag, evaluate, http_date, if_range_holds, parse_http_date
from .headers import MutableHeaders, RawHeaders, combined
from .problems import NotFound, PreconditionFailed, Problem, RangeNotSatisfiable
from .ranges import ByteRange, content_range, parse_range
from .responses import Response

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_SMALL = 2**16

# A file changed less than this many seconds ago may change again without a new modification time,
# so its tag is not yet a strong validator (RFC 9110 section 8.8.1).
_SETTLED = 2

# The extension of a scope whose server sends a range of a file itself, and keeps in memory what it is given
# faster than the client reads it (swift/app/rsgi.py): `http.response.pathsend` with a `range` of (start, stop).
FILE_RANGE = "swift.response.filerange"

# The errors of a path, beside ValueError for NUL; any other, a failing disk say, is not the client's affair.
MISSING = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO}
)

# What describes the file and not the exchange; left out where the file is not sent.
_DESCRIBING = frozenset(
    {
        b"accept-ranges",
        b"content-disposition",
        b"content-encoding",
        b"content-language",
        b"content-length",
        b"content-type",
    }
)
_VALIDATING = frozenset({b"cache-control", b"etag", b"expires", b"last-modified"})

# Newer than the tables of Python 3.11, or differing between versions.
_MEDIA_TYPES = {
    ".avif": "image/avif",
    ".ico": "image/vnd.microsoft.icon",
    ".js": "text/javascript",
    ".md": "text/markdown",
    ".mjs": "text/javascript",
    ".otf": "font/otf",
    ".svg": "image/svg+xml",
    ".ttf": "font/ttf",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
    ".zst": "application/zstd",
    ".br": "application/octet-stream",
    ".bz2": "application/x-bzip2",
    ".gz": "application/gzip",
    ".xz": "application/x-xz",
}


class FileResponse(Response):
    """A file, with ETag, Last-Modified, conditional requests and ranges (RFC 9110 sections 13 and 14).

    As an attachment it is offered for saving under `filename`, by default its own name; with
    `content_disposition="inline"` the browser shows it. `etag="strong"` makes the tag of size and
    modification time, marked weak during the two seconds after a change; "weak" always marks it,
    an ETag of your own is sent as it is, None sends none. A file missing at the time of sending
    is answered with 404. `chunk_size` is in bytes, at least 64 KiB.
    """

    # Slots, so that a middleware which takes this for a StreamingResponse and sets `content` fails.
    __slots__ = ("chunk_size", "etag", "path")
    streaming = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        filename: str | None = None,
        media_type: str | None = None,
        content_disposition: Literal["attachment", "inline"] = "attachment",
        status: int = 200,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] | None = None,
        etag: ETag | Literal["strong", "weak"] | None = "strong",
        chunk_size: int = 4 * _SMALL,
    ) -> None:
        if chunk_size < _SMALL:
            raise ValueError(
                f"The chunk size is {chunk_size} bytes; give at least {_SMALL}, since each chunk costs a hop."
            )
        if content_disposition not in ("attachment", "inline"):
            raise ValueError(f"Expected 'attachment' or 'inline', got {content_disposition!r}.")
        self.path = os.fspath(path)
        self.etag = etag
        self.chunk_size = chunk_size
        super().__init__(
            b"", status=status, headers=headers, media_type=media_type or guess_media_type(self.path)
        )
        if content_disposition == "attachment" or filename is not None:
            if filename is None:
                # A name from the file system may hold bytes that are no text; one that was given may not.
                filename = os.fsencode(os.path.basename(self.path)).decode(errors="replace")
            self.headers.setdefault(
                "content-disposition", format_content_disposition(content_disposition, filename)
            )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        transfer = _Transfer(self, scope)
        try:
            try:
                await in_thread(transfer.begin)
            except Problem as problem:
                await self._refuse(problem, scope, receive, send)
                return
            if transfer.body is None and transfer.path is None:
                await send_or_leave(transfer.run(send), receive)
            else:
                await transfer.run(send)
        finally:
            transfer.close()

    def open(self) -> FileIO:
        """The file, if it is a regular one; runs in a thread. Raises NotFound otherwise."""
        try:
            # Looked at first, since opening a device can do something; not blocking, since a pipe would.
            if not S_ISREG(os.stat(self.path).st_mode):
                raise NotFound
            file = FileIO(self.path, opener=_open_without_blocking)
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno not in MISSING:
                raise
            raise NotFound from None
        if not S_ISREG(os.fstat(file.fileno()).st_mode):
            file.close()
            raise NotFound
        return file

    async def _refuse(self, problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with a problem, keeping what middleware has added to this response's headers."""
        response = problem.to_response()
        own = _DESCRIBING | _VALIDATING | {name for name, _ in response.raw_headers}
        response.raw_headers += [pair for pair in self.raw_headers if pair[0] not in own]
        await response(scope, receive, send)


class _Request:
    """What the preconditions are read from."""

    def __init__(self, scope: Scope) -> None:
        self.method: str = scope["method"]
        self.raw_headers: RawHeaders = list(scope["headers"])


class _Transfer:
    """One sending of one file.

    `pieces` make up the body in order: spans of the file, and between them the delimiters of a
    multipart body. `length` is the sum of them all, announced and owed.
    """

    def __init__(self, response: FileResponse, scope: Scope) -> None:
        self.response = response
        self.scope = scope
        self.file: FileIO | None = None
        self.status = response.status
        self.headers: RawHeaders = list(response.raw_headers)
        self.pieces: list[bytes | ByteRange] = []
        self.length = 0
        self.body: bytes | None = None
        self.path: str | None = None
        self.zero_copy = False

    def close(self) -> None:
        if self.file is not None:
            self.file.close()

    def begin(self) -> None:
        """Open the file and settle the answer; runs in a thread."""
        self.file = self.response.open()
        self._settle(_Request(self.scope), os.fstat(self.file.fileno()))
        # Where the server copies the bytes itself, and no middleware has encoded them.
        self.zero_copy = self._has_extension("http.response.zerocopysend") and not any(
            name == b"content-encoding" for name, _ in self.headers
        )
        if self.path is None and self.length <= _SMALL:
            self.body = b"".join(
                piece if isinstance(piece, bytes) else self.read(piece.start, piece.stop - piece.start)
                for piece in self.pieces
            )

    async def run(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        if self.path is not None:
            message: dict[str, Any] = {"type": "http.response.pathsend", "path": self.path}
            if self.status == 206:
                message["range"] = self.pieces[0]
            await send(message)
            return
        if self.body is not None:
            await send({"type": "http.response.body", "body": self.body})
            return
        owed = self.length
        for piece in self.pieces:
            if isinstance(piece, bytes):
                owed -= len(piece)
                await send({"type": "http.response.body", "body": piece, "more_body": owed > 0})
                continue
            if self.zero_copy:
                count = piece.stop - piece.start
                owed -= count
                await send(
                    {
                        "type": "http.response.zerocopysend",
                        "file": self.file,
                        "offset": piece.start,
                        "count": count,
                        "more_body": owed > 0,
                    }
                )
                continue
            position = piece.start
            while position < piece.stop:
                chunk = await in_thread(
                    self.read, position, min(self.response.chunk_size, piece.stop - position)
                )
                position += len(chunk)
                owed -= len(chunk)
                await send({"type": "http.response.body", "body": chunk, "more_body": owed > 0})

    def read(self, position: int, length: int) -> bytes:
        """Exactly `length` bytes from `position`; runs in a thread. OSError when the file has shrunk."""
        assert self.file is not None
        self.file.seek(position)
        chunk = self.file.read(length)
        while len(chunk) < length:
            more = self.file.read(length - len(chunk))
            if not more:
                raise OSError(
                    f"The file {self.response.path!r} shrank while it was sent; "
                    "replace files by renaming a new one over them."
                )
            chunk += more
        return chunk

    def _settle(self, request: _Request, stat: os.stat_result) -> None:
        """Decide status, headers and pieces."""
        headers = MutableHeaders(self.headers)
        size = stat.st_size
        whole = ByteRange(0, size)
        if self.status == 200:
            tag = self._tag(stat)
            if tag is not None:
                headers.setdefault("etag", str(tag))
            headers.setdefault("last-modified", http_date(stat.st_mtime))
            headers.setdefault("accept-ranges", "bytes")
        ranges: list[ByteRange] | None = None
        if self.status == 200 and request.method in ("GET", "HEAD"):
            # Read back, so that a tag or date that the program has set itself is the one that counts.
            tag = ETag.parse(headers.get("etag", ""))
            modified = parse_http_date(headers.get("last-modified", ""))
            outcome = evaluate(request, tag, modified)
            if outcome == 412:
                raise PreconditionFailed
            if outcome == 304:
                self._not_modified()
                return
            ranges = _ranges(request, tag, modified, size)
            if ranges and len(ranges) > 1 and self._has_extension(FILE_RANGE) and _length(ranges) > _SMALL:
                # It would all wait in memory; to ignore Range is always right (RFC 9110 section 14.2).
                ranges = None
        if ranges is None:
            self._send_span(request, whole)
            self._leave_to_server(headers, "http.response.pathsend")
        elif not ranges:
            raise RangeNotSatisfiable(headers={"content-range": content_range(None, size)})
        else:
            self.status = 206
            if len(ranges) == 1:
                headers["content-range"] = content_range(ranges[0], size)
                self._send_span(request, ranges[0])
                self._leave_to_server(headers, FILE_RANGE)
            else:
                self._send_multipart(headers, ranges, size)

    def _has_extension(self, name: str) -> bool:
        return name in (self.scope.get("extensions") or {})

    def _leave_to_server(self, headers: MutableHeaders, extension: str) -> None:
        """Have the server read the file, where it can and no middleware has encoded the bytes."""
        if self.length and self._has_extension(extension) and "content-encoding" not in headers:
            self.path = os.path.abspath(self.response.path)

    def _tag(self, stat: os.stat_result) -> ETag | None:
        wanted = self.response.etag
        if wanted is None or isinstance(wanted, ETag):
            return wanted
        settled = time.time() - stat.st_mtime >= _SETTLED
        return ETag(f"{stat.st_mtime_ns:x}-{stat.st_size:x}", weak=wanted == "weak" or not settled)

    def _not_modified(self) -> None:
        """The header fields of a 304 (RFC 9110 section 15.4.5)."""
        self.status = 304
        tagged = any(name == b"etag" for name, _ in self.headers)
        dropped = _DESCRIBING | {b"last-modified"} if tagged else _DESCRIBING
        self.headers = [pair for pair in self.headers if pair[0] not in dropped]

    def _send_span(self, request: _Request, span: ByteRange) -> None:
        length = span.stop - span.start
        self._announce(length)
        if request.method != "HEAD" and length:
            self.pieces = [span]
            self.length = length

    def _send_multipart(self, headers: MutableHeaders, ranges: list[ByteRange], size: int) -> None:
        """multipart/byteranges (RFC 9110 section 14.6); only GET gets here."""
        boundary = os.urandom(16).hex()
        content_type = headers.get("content-type", "application/octet-stream")
        for span in ranges:
            head = (
                f"\r\n--{boundary}\r\nContent-Type: {content_type}\r\n"
                f"Content-Range: {content_range(span, size)}\r\n\r\n"
            )
            self.pieces += [head.encode("latin-1"), span]
            self.length += len(head) + span.stop - span.start
        closing = f"\r\n--{boundary}--\r\n".encode()
        self.pieces.append(closing)
        self.length += len(closing)
        headers["content-type"] = f"multipart/byteranges; boundary={boundary}"
        self._announce(self.length)

    def _announce(self, length: int) -> None:
        self.headers[:] = [pair for pair in self.headers if pair[0] != b"content-length"]
        self.headers.append((b"content-length", str(length).encode()))


def _ranges(request: _Request, tag: ETag | None, modified: int | None, size: int) -> list[ByteRange] | None:
    """The ranges to send; None for all of the file. Range means something for GET only (section 14.2)."""
    wanted = combined(request.raw_headers, b"range")
    if wanted is None or request.method != "GET":
        return None
    condition = combined(request.raw_headers, b"if-range")
    if condition is not None and not if_range_holds(condition, tag, modified):
        return None
    return parse_range(wanted, size)


def _length(ranges: list[ByteRange]) -> int:
    return sum(span.stop - span.start for span in ranges)


def format_content_disposition(kind: Literal["attachment", "inline"], filename: str) -> str:
    """The value of Content-Disposition (RFC 6266), with `filename*` of RFC 8187 where it is needed.

    A ValueError for control characters and lone surrogates.
    """
    if any(ord(character) < 32 or ord(character) == 127 for character in filename):
        raise ValueError("The file name holds control characters; remove them before sending it.")
    try:
        encoded = quote(filename, safe="!#$&+-.^_`|~")
    except UnicodeEncodeError:
        raise ValueError("The file name holds lone surrogates; replace them.") from None
    # What every reader understands alike; a percent sign is decoded by some.
    plain = "".join(c if " " <= c <= "~" and c not in '"\\%' else "_" for c in filename)
    if plain == filename:
        return f'{kind}; filename="{plain}"'
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{encoded}"


def guess_media_type(path: str) -> str:
    """The media type that goes with the suffix of a path, the same on every system."""
    suffix = os.path.splitext(path)[1].lower()
    return _MEDIA_TYPES.get(suffix) or _standard_media_types().get(suffix, "application/octet-stream")


@cache
def _standard_media_types() -> dict[str, str]:
    from mimetypes import MimeTypes

    # A fresh instance knows Python's table only, not the files of the system.
    return MimeTypes().types_map[True]


def _open_without_blocking(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0))
