"""Cursors of the DB-API over the driver's queries.

What is awaited is awaited through SQLAlchemy's greenlet. Statements are submitted before anything waits, so their order
on the connection is that of the calls, and BEGIN travels in one write with the first of its transaction.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy.connectors.asyncio import AsyncAdapt_dbapi_cursor, AsyncAdapt_dbapi_ss_cursor

from swift._speedups import pgcore

from ..errors import PgInterfaceError

if TYPE_CHECKING:
    from swift._speedups.pgcore import Query

    from .connections import SwiftConnection

# Rows that come with the execution of a server-side cursor whose reader said no number.
FIRST_ROWS = 50
ROWS_AT_ONCE = 1000

_numbers = itertools.count(1)


def description_of(names: Iterable[str], oids: Iterable[int]) -> list[tuple[Any, ...]]:
    """The seven items per column of PEP 249, of which the driver knows two."""
    return [(name, oid, None, None, None, None, None) for name, oid in zip(names, oids, strict=True)]


class SwiftCursor(AsyncAdapt_dbapi_cursor):
    """The rows of a statement, all of them received."""

    __slots__ = ("_arraysize", "_description", "_position", "_received", "_rowcount")

    _awaitable_cursor_close = False
    _adapt_connection: SwiftConnection

    def __init__(self, adapt_connection: SwiftConnection) -> None:
        self._adapt_connection = adapt_connection
        self._connection = adapt_connection._connection
        self._arraysize = 1
        self._description: list[tuple[Any, ...]] | None = None
        self._rowcount = -1
        self._received: list[Any] = []
        self._position = 0

    @property
    def description(self) -> Any:
        return self._description

    @property
    def rowcount(self) -> int:
        return self._rowcount

    @property
    def arraysize(self) -> int:
        return self._arraysize

    @arraysize.setter
    def arraysize(self, value: int) -> None:
        self._arraysize = value

    def execute(self, operation: str, parameters: Any = None) -> None:
        connection = self._adapt_connection
        try:
            query = pgcore.new_query(connection.statement(operation), tuple(parameters or ()))
            result = connection.wait(*connection.submit(query))
            codecs = result.codecs
            if codecs:
                self._description = description_of(result.columns, [codec.oid for codec in codecs])
                self._received = result.rows()
            else:
                self._description = None
                self._received = []
                connection.executed(result.command)
        except Exception as error:
            connection.failed(error)
        self._position = 0
        self._rowcount = result.rowcount

    def executemany(self, operation: str, seq_of_parameters: Any) -> None:
        connection = self._adapt_connection
        try:
            query = pgcore.many_query(connection.statement(operation), iter(seq_of_parameters))
            connection.wait(*connection.submit(query))
        except Exception as error:
            connection.failed(error)
        self._description = None
        self._received = []
        self._position = 0
        self._rowcount = -1

    def fetchone(self) -> Any:
        position = self._position
        if position >= len(self._received):
            return None
        self._position = position + 1
        return self._received[position]

    def fetchmany(self, size: int | None = None) -> Sequence[Any]:
        position = self._position
        rows = self._received[position : position + (self._arraysize if size is None else size)]
        self._position = position + len(rows)
        return rows

    def fetchall(self) -> Sequence[Any]:
        rows, position = self._received, self._position
        self._received, self._position = [], 0
        return rows[position:] if position else rows

    def __iter__(self) -> Iterator[Any]:
        while (row := self.fetchone()) is not None:
            yield row

    def close(self) -> None:
        self._received = []
        self._position = 0

    def setinputsizes(self, *inputsizes: Any) -> None:
        """PEP 249 lets it do nothing: the server tells the types."""

    def nextset(self) -> None:
        """A statement has one set of rows."""


class SwiftServerSideCursor(SwiftCursor, AsyncAdapt_dbapi_ss_cursor):
    """The rows of a statement, received as they are asked for: a portal (protocol 55.2.3)."""

    __slots__ = ("_ended", "_first", "_portal", "chunk_size")

    server_side = True

    def __init__(self, adapt_connection: SwiftConnection) -> None:
        super().__init__(adapt_connection)
        self.chunk_size = FIRST_ROWS
        self._portal = b""
        self._first: Query | None = None
        self._ended = True

    def execute(self, operation: str, parameters: Any = None) -> None:
        connection = self._adapt_connection
        self.close()
        try:
            if connection.autocommit:
                raise PgInterfaceError(
                    "A server-side cursor lives in a transaction: stream without AUTOCOMMIT.",
                    statement=operation,
                )
            statement = connection.statement(operation)
            self._portal = b"swift_sqlalchemy_%d" % next(_numbers)
            first = pgcore.fetch_query(
                statement, tuple(parameters or ()), self._portal, self.chunk_size, tuple
            )
            self._received = connection.wait(*connection.submit(first))
            columns = statement.columns or ()
            self._description = (
                description_of([column.name for column in columns], [column.oid for column in columns])
                or None
            )
        except Exception as error:
            connection.failed(error)
        self._first = first
        self._ended = not first.is_suspended

    def executemany(self, operation: str, seq_of_parameters: Any) -> None:
        self._adapt_connection.failed(
            PgInterfaceError("A server-side cursor executes one statement.", statement=operation)
        )

    def _fetch(self, count: int) -> None:
        """At least `count` rows are there, or all that are left."""
        self._received = self._received[self._position :]
        self._position = 0
        connection = self._adapt_connection
        while not self._ended and len(self._received) < count:
            try:
                query = pgcore.fetch_query(
                    None, None, self._portal, max(1, count - len(self._received)), tuple
                )
                assert self._first is not None
                query.describe_as(self._first)
                self._received += connection.wait(connection.core.execute(query))
            except Exception as error:
                self._ended = True
                connection.failed(error)
            self._ended = not query.is_suspended

    def fetchone(self) -> Any:
        if self._position >= len(self._received):
            self._fetch(self.chunk_size)
        return super().fetchone()

    def fetchmany(self, size: int | None = None) -> Sequence[Any]:
        wanted = self._arraysize if size is None else size
        if len(self._received) - self._position < wanted:
            self._fetch(wanted)
        return super().fetchmany(wanted)

    def fetchall(self) -> Sequence[Any]:
        rows = list(super().fetchall())
        while not self._ended:
            self._fetch(ROWS_AT_ONCE)
            rows += super().fetchall()
        return rows

    def close(self) -> None:
        super().close()
        if not self._ended:
            self._ended = True
            connection = self._adapt_connection
            if not connection.closed:
                connection.core.execute(pgcore.close_portal_query(self._portal))
