"""COPY, into and out of the server (protocol 55.2.6)."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    MutableMapping,
    Sequence,
)
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from swift._speedups import pgcore

from .errors import PgError, PgInterfaceError
from .links import BlockingLink, LoopLink

if TYPE_CHECKING:
    from swift._speedups.pgcore import Query

    from .handle import Pg

# Bytes ahead of the socket, and bytes ahead of a slow consumer.
AHEAD = 262144
PIECE = 65536

Bytes = bytes | bytearray | memoryview


class _Copy:
    """A COPY under way: its connection, its query, and what waits for it."""

    def __init__(self, pg: Pg, sql: str, *, out: bool) -> None:
        self.pg = pg
        self.out = out
        self.link: Any = pg.own_any()
        self.taken = 0
        self.paused = False
        self.waiter: asyncio.Future[None] | None = None
        self.query: Query = pgcore.copy_query(sql, out, self.tell)
        self.link.core.execute(self.query)
        self.query.add_done_callback(self.tell_done)

    def tell(self) -> None:
        """Called on every change: COPY mode, data, the end."""
        if (
            self.out
            and not self.paused
            and isinstance(self.link, LoopLink)
            and self.query.received_bytes - self.taken > AHEAD
        ):
            self.paused = True
            self.link.channel.pause()
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)

    def tell_done(self, _: object) -> None:
        self.tell()

    def take(self) -> list[bytes]:
        chunks = self.query.take_chunks()
        self.taken = self.query.received_bytes
        if self.paused:
            self.paused = False
            self.link.channel.resume()
        return chunks

    async def change(self) -> None:
        self.waiter = asyncio.get_running_loop().create_future()
        await self.waiter

    async def begin(self) -> None:
        """Until the server is in COPY mode. Raises what it said instead."""
        while not self.link.core.copying and not self.query.done():
            await self.change()
        self._check_begun()

    def begin_blocking(self) -> None:
        while not self.link.core.copying and not self.query.done():
            self.link.channel.step()
        self._check_begun()

    def _check_begun(self) -> None:
        if self.query.done():
            self.query.result()
            raise PgInterfaceError("The statement is no COPY FROM STDIN.", statement=self.query.sql)

    async def drain(self) -> None:
        drained = asyncio.get_running_loop().create_future()
        self.link.channel.on_drained(lambda: None if drained.done() else drained.set_result(None))
        await drained


class CopyIn:
    """COPY ... FROM STDIN as a context manager; `rows` is the number of rows afterwards."""

    def __init__(self, pg: Pg, sql: str) -> None:
        self._pg = pg
        self._sql = sql
        self._copy: _Copy | None = None
        self.rows = -1

    # ---- async

    async def __aenter__(self) -> AsyncPipe:
        lease = await self._pg.lease_async()
        try:
            self._copy = copy = _Copy(lease, self._sql, out=False)
            await copy.begin()
        except BaseException:
            if self._copy is not None and not self._copy.query.done():
                self._copy.query.cancel()
            lease.unlease()
            raise
        return AsyncPipe(copy)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        copy = self._copy
        assert copy is not None
        try:
            if error is None:
                copy.link.core.copy_end()
                self.rows = await copy.query
            else:
                copy.link.core.copy_end(_reason(error))
                copy.query.catch(_nothing, BaseException)
                if not isinstance(error, asyncio.CancelledError):
                    await _settled(copy)
        finally:
            copy.pg.unlease()

    # ---- blocking

    def __enter__(self) -> Pipe:
        lease = self._pg.lease_blocking()
        try:
            self._copy = copy = _Copy(lease, self._sql, out=False)
            copy.begin_blocking()
        except BaseException:
            lease.unlease()
            raise
        return Pipe(copy)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        copy = self._copy
        assert copy is not None
        try:
            if error is None:
                copy.link.core.copy_end()
                self.rows = copy.link.wait(copy.query)
            else:
                copy.link.core.copy_end(_reason(error))
                try:
                    copy.link.wait(copy.query)
                except PgError:
                    # 57014 by our own CopyFail, or what made the body fail: the body's exception goes on.
                    pass
        finally:
            copy.pg.unlease()


def _reason(error: BaseException) -> str:
    # The message may hold values: only the kind goes to the server's log.
    return f"the client gave up: {type(error).__name__}"


async def _settled(copy: _Copy) -> None:
    while not copy.query.done():
        await copy.change()


def _nothing(error: BaseException) -> None:
    return None


def _data(data: Bytes | str) -> Any:
    if isinstance(data, str):
        return data.encode()
    if isinstance(data, memoryview) and not (data.contiguous and data.format == "B"):
        return bytes(data)
    return data


class AsyncPipe:
    """Where data of a COPY is written to."""

    def __init__(self, copy: _Copy) -> None:
        self._copy = copy

    async def write(self, data: Bytes | str) -> int:
        """Send bytes (text is encoded to UTF-8), waiting while the server is behind; their number."""
        copy = self._copy
        if copy.query.done() or not copy.link.core.copying:
            # The server refused a row: its error, now rather than at the end.
            await copy.query
        data = _data(data)
        if copy.link.core.copy_data(data) > AHEAD:
            await copy.drain()
        return len(data)

    async def write_from(self, source: Any) -> int:
        """Send all of a file (its `read(size)`, also when that is a coroutine), an iterable or async iterable of bytes."""
        total = 0
        if hasattr(source, "read"):
            while data := source.read(PIECE):
                if asyncio.iscoroutine(data):
                    data = await data
                    if not data:
                        break
                total += await self.write(data)
        elif isinstance(source, AsyncIterable):
            async for data in source:
                total += await self.write(data)
        else:
            for data in source:
                total += await self.write(data)
        return total


class Pipe:
    """Where data of a COPY is written to, on a thread that waits."""

    def __init__(self, copy: _Copy) -> None:
        self._copy = copy

    def write(self, data: Bytes | str) -> int:
        """Send bytes (text is encoded to UTF-8), waiting while the server is behind; their number."""
        copy = self._copy
        if copy.query.done() or not copy.link.core.copying:
            copy.link.wait(copy.query)
        data = _data(data)
        if copy.link.core.copy_data(data) > AHEAD:
            copy.link.channel.flush(PIECE)
        return len(data)

    def write_from(self, source: Any) -> int:
        """Send all of a file (its `read(size)`), or of an iterable of bytes."""
        if hasattr(source, "read"):
            read = source.read
            source = iter(lambda: read(PIECE), read(0))
        return sum(self.write(data) for data in source)


class CopyOut:
    """COPY ... TO STDOUT: bytes as the server sends them, for one `for` or `async for`."""

    def __init__(self, pg: Pg, sql: str) -> None:
        self._pg = pg
        self._sql = sql

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._chunks()

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks_blocking()

    async def _chunks(self) -> AsyncGenerator[bytes, None]:
        lease = await self._pg.lease_async()
        copy = None
        try:
            copy = _Copy(lease, self._sql, out=True)
            while True:
                if chunks := copy.take():
                    for chunk in chunks:
                        yield chunk
                elif copy.query.done():
                    copy.query.result()
                    return
                else:
                    await copy.change()
        finally:
            if copy is not None and not copy.query.done():
                copy.query.cancel()
                copy.take()
            lease.unlease()

    async def joined(self, size: int = PIECE) -> AsyncGenerator[bytes, None]:
        """The same bytes in pieces of about `size`: rows are small."""
        held: list[bytes] = []
        length = 0
        async with contextlib.aclosing(self._chunks()) as chunks:
            async for chunk in chunks:
                held.append(chunk)
                length += len(chunk)
                if length >= size:
                    yield b"".join(held)
                    held.clear()
                    length = 0
        if held:
            yield b"".join(held)

    def _chunks_blocking(self) -> Iterator[bytes]:
        lease = self._pg.lease_blocking()
        copy = None
        try:
            copy = _Copy(lease, self._sql, out=True)
            while True:
                if chunks := copy.take():
                    yield from chunks
                elif copy.query.done():
                    copy.query.result()
                    return
                else:
                    copy.link.channel.step()
        finally:
            if copy is not None and not copy.query.done():
                copy.link.abandon(copy.query)
            lease.unlease()

    async def write_to(self, sink: Any) -> int:
        """Everything into a file or a writer with `write(bytes)`, also when that is a coroutine; the number of bytes."""
        total = 0
        async with contextlib.aclosing(self.joined()) as pieces:
            async for piece in pieces:
                written = sink.write(piece)
                if asyncio.iscoroutine(written):
                    await written
                total += len(piece)
        return total


Message = MutableMapping[str, Any]


class CopyResponse:
    """An ASGI application that answers with COPY data: what a handler may return."""

    status_code = 200
    background: Any = None
    body = b""

    def __init__(self, copy: CopyOut, filename: str | None, media_type: str) -> None:
        self._copy = copy
        self.media_type = media_type
        self.raw_headers = [(b"content-type", media_type.encode("latin-1"))]
        if filename is not None:
            disposition = f"attachment; filename*=UTF-8''{quote(filename, safe='')}"
            self.raw_headers.append((b"content-disposition", disposition.encode("latin-1")))

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """The first piece comes before the status: an error of the statement is still an error of the request."""
        pieces = self._copy.joined()
        try:
            piece = await anext(pieces, b"")
            await send(
                {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            )
            while piece:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                piece = await anext(pieces, b"")
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            await pieces.aclose()


def copy_response(copy: CopyOut, filename: str | None, media_type: str) -> CopyResponse:
    """A CopyResponse; where Starlette is loaded also one of its responses, which FastAPI asks for by class."""
    starlette = sys.modules.get("starlette.responses")
    if starlette is None:
        return CopyResponse(copy, filename, media_type)
    kind = type("StarletteCopyResponse", (CopyResponse, starlette.Response), {})
    response: CopyResponse = kind(copy, filename, media_type)
    return response


# ---- records


def quoted(name: str) -> str:
    """An identifier. Raises PgInterfaceError for a NUL."""
    if "\0" in name:
        raise PgInterfaceError("An identifier cannot hold a NUL character.")
    return '"' + name.replace('"', '""') + '"'


def _target(table: str, columns: Sequence[str], schema: str) -> str:
    name = f"{quoted(schema)}.{quoted(table)}" if schema else quoted(table)
    return f"{name} ({', '.join(map(quoted, columns))})"


# Columns that COPY fills: all but generated and dropped ones.
_COLUMNS = (
    "SELECT attname::text FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped "
    "AND attgenerated = '' ORDER BY attnum"
)


def _table(table: str, schema: str) -> str:
    return f"{quoted(schema)}.{quoted(table)}" if schema else quoted(table)


def _probe(table: str, columns: Sequence[str], schema: str) -> str:
    return f"SELECT {', '.join(map(quoted, columns))} FROM {_table(table, schema)} LIMIT 0"


def _statement(table: str, columns: Sequence[str], schema: str) -> str:
    return f"COPY {_target(table, columns, schema)} FROM STDIN (FORMAT binary)"


async def copy_records_async(
    pg: Pg,
    table: str,
    records: Iterable[Sequence[Any]] | AsyncIterable[Sequence[Any]],
    columns: Sequence[str] | None,
    schema: str,
) -> int:
    lease = await pg.lease_async()
    try:
        if columns is None:
            columns = await lease.exec_async(_COLUMNS, _table(table, schema)).scalars()
        described = await lease.exec_async(_probe(table, columns, schema))
        writer = pgcore.Writer(described.codecs)
        writer.begin()
        copying = CopyIn(lease, _statement(table, columns, schema))
        async with copying as pipe:
            if isinstance(records, AsyncIterable):
                async for record in records:
                    writer.one(record)
                    if len(writer) > PIECE:
                        await _send(pipe._copy, writer)
            else:
                rows = iter(records)
                while writer.add(rows):
                    await _send(pipe._copy, writer)
            writer.end()
            await _send(pipe._copy, writer)
        return copying.rows
    except pgcore.EncodeError as error:
        raise pgcore.encode_error_of(error, _statement(table, columns or (), schema)) from error
    finally:
        lease.unlease()


async def _send(copy: _Copy, writer: pgcore.Writer) -> None:
    if copy.query.done() or not copy.link.core.copying:
        await copy.query
    if copy.link.core.copy_raw(writer) > AHEAD:
        await copy.drain()


def copy_records_blocking(
    pg: Pg, table: str, records: Iterable[Sequence[Any]], columns: Sequence[str] | None, schema: str
) -> int:
    lease = pg.lease_blocking()
    try:
        if columns is None:
            columns = lease.exec(_COLUMNS, _table(table, schema)).scalars()
        described = lease.exec(_probe(table, columns, schema))
        writer = pgcore.Writer(described.codecs)
        writer.begin()
        copying = CopyIn(lease, _statement(table, columns, schema))
        with copying as pipe:
            link: BlockingLink = pipe._copy.link
            rows = iter(records)
            more = True
            while more:
                more = writer.add(rows)
                if not more:
                    writer.end()
                if pipe._copy.query.done() or not link.core.copying:
                    link.wait(pipe._copy.query)
                if link.core.copy_raw(writer) > AHEAD:
                    link.channel.flush(PIECE)
        return copying.rows
    except pgcore.EncodeError as error:
        raise pgcore.encode_error_of(error, _statement(table, columns or (), schema)) from error
    finally:
        lease.unlease()
