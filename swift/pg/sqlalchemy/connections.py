"""A connection of the DB-API over one of the driver's own."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from sqlalchemy.connectors.asyncio import AsyncAdapt_dbapi_connection

from swift._speedups import pgcore

from ..errors import PgError
from ..transactions import was_committed
from .compat import await_, in_greenlet
from .cursors import SwiftCursor, SwiftServerSideCursor
from .errors import translated

if TYPE_CHECKING:
    from swift._speedups.pgcore import Connection, Query, Statement

# How long the end of a connection may take that still executes something.
FAREWELL_SECONDS = 2.0
# Texts whose statements a connection remembers; those that are prepared are fewer (statement_cache_size).
MOST_STATEMENTS = 1024
# Tags of commands after which a statement prepared before may be refused (0A000) or read another type: in every
# session, in this one alone, or not before the command is rolled back.
REDEFINING = (b"ALTER", b"DROP", b"CREATE VIEW")
SESSION = (b"SET", b"RESET", b"DISCARD")
DEFINING = (b"CREATE", b"ROLLBACK", *REDEFINING, *SESSION)
# How the server says so: functions of plancache.c and lsyscache.c, with the SQLSTATE.
STALE = frozenset([("RevalidateCachedQuery", "0A000"), ("getTypeBinaryOutputInfo", "XX000")])

_numbers = itertools.count(1)


class SwiftConnection(AsyncAdapt_dbapi_connection):
    """Its transaction begins with the first statement, unless `isolation_level` is AUTOCOMMIT.

    isolation_level, readonly, deferrable: of the transactions that begin from now on.
    """

    _cursor_cls: Any = SwiftCursor
    _ss_cursor_cls: Any = SwiftServerSideCursor
    _connection: Any  # a PgAlone

    __slots__ = (
        "_defined",
        "_level",
        "_salt",
        "_seen",
        "_statements",
        "_usual_level",
        "core",
        "deferrable",
        "readonly",
    )

    def __init__(self, dbapi: Any, connection: Any) -> None:
        super().__init__(dbapi, connection)
        self.core: Connection = connection.link.core
        self._level: str | None = None
        self._usual_level: str | None = None
        self.readonly = False
        self.deferrable = False
        self._seen: int = dbapi.definitions
        self._statements: dict[str, Statement] = {}
        self._salt = b""
        self._defined = False

    # ---- what the next transaction is like

    @property
    def isolation_level(self) -> str | None:
        """A level of the manual's 13.2, AUTOCOMMIT, or None for the server's default."""
        return self._level

    @isolation_level.setter
    def isolation_level(self, level: str | None) -> None:
        self.rollback()
        self._level = self._usual_level = level

    @property
    def autocommit(self) -> bool:
        """Whether statements are transactions of their own."""
        return self._level == "AUTOCOMMIT"

    @autocommit.setter
    def autocommit(self, value: bool) -> None:
        if value:
            self._level = "AUTOCOMMIT"
        else:
            self._level = None if self._usual_level == "AUTOCOMMIT" else self._usual_level

    def _begin(self) -> Query:
        words = ["BEGIN"]
        if self._level is not None:
            words.append(f"ISOLATION LEVEL {self._level}")
        if self.readonly:
            words.append("READ ONLY")
        if self.deferrable:
            words.append("DEFERRABLE")
        begin = self.core.execute(pgcore.simple_query(" ".join(words), False))
        begin.catch(_known_later, BaseException)
        return begin

    # ---- statements

    def statement(self, sql: str) -> Statement:
        """The statement of a text, prepared once; anew when definitions have changed, on any connection of the engine."""
        if self._seen != self.dbapi.definitions:
            self._seen = self.dbapi.definitions
            self._prepare_anew()
        statements = self._statements
        found = statements.get(sql)
        if found is None:
            if len(statements) >= MOST_STATEMENTS:
                self._prepare_anew()
            found = statements[sql] = pgcore.Statement(sql, self.core.prepared_max > 0, self._salt)
        return found

    def executed(self, command: bytes | None) -> None:
        """Told of the tag of a statement without rows: what was prepared before may read columns that are others now."""
        if command is None or not command.startswith(DEFINING):
            return
        if command.startswith(SESSION):
            self._prepare_anew()
            return
        if command.startswith(b"ROLLBACK"):
            self._undone()
            return
        self._defined = self._in_transaction
        if command.startswith(REDEFINING):
            self._definitions_changed()

    def _undone(self) -> None:
        """A transaction or a savepoint was rolled back: what was prepared in it may have read what never came to be."""
        if self._defined:
            self._defined = self._in_transaction
            self._definitions_changed()

    def _definitions_changed(self) -> None:
        self.dbapi.definitions += 1
        self._connection.registry.forget()

    def _prepare_anew(self) -> None:
        # Under other names: the old statements stay in the session until they are the least recently used.
        self._salt = b"sqlalchemy%d" % next(_numbers)
        self._statements.clear()

    # ---- queries

    def submit(self, query: Query) -> tuple[Query, ...]:
        """The query on its way, after the BEGIN that goes before it where none is open."""
        core = self.core
        if self._level == "AUTOCOMMIT" or core.transaction_status != "I" or core.in_flight:
            return (core.execute(query),)
        begin = self._begin()
        return core.execute(query), begin

    def wait(self, query: Query, begin: Query | None = None) -> Any:
        """The outcome of a query, in SQLAlchemy's greenlet. Cancelled, the server is told so."""
        try:
            outcome = await_(query)
        except asyncio.CancelledError:
            self._connection.link.cancel_soon()
            raise
        if begin is not None:
            begin.result()
        return outcome

    def command(self, sql: str) -> Any:
        """A command without parameters, outside of what `submit` begins. Raises an Error."""
        try:
            return self.wait(self.core.execute(pgcore.simple_query(sql, False)))
        except Exception as error:
            self.failed(error)

    def failed(self, error: Exception) -> NoReturn:
        """Raises the error as the DB-API's."""
        if isinstance(error, PgError) and (error.routine, error.code) in STALE:
            # Someone else changed a definition. The transaction is lost, its repetition will succeed.
            self._definitions_changed()
        if isinstance(error, PgError):
            raise translated(error) from error
        raise error

    # ---- the end of a transaction

    @property
    def closed(self) -> bool:
        """Whether the connection is gone."""
        return bool(self._connection.link.closed)

    @property
    def _in_transaction(self) -> bool:
        return self.core.transaction_status != "I" or self.core.in_flight > 0

    def commit(self) -> None:
        """Raises OperationalError when the transaction had failed before, and so was rolled back."""
        if self._in_transaction:
            results: Sequence[Any] = self.command("COMMIT")
            try:
                was_committed(results[-1].tag)
            except PgError as error:
                self._undone()
                self.failed(error)
            self._defined = False

    def rollback(self) -> None:
        if self._in_transaction and not self.closed:
            self.command("ROLLBACK")
        self._undone()

    def prepare_transaction(self, gid: str) -> None:
        """The first phase of two: the transaction is the server's from now on."""
        self.command(f"PREPARE TRANSACTION {literal(gid)}")

    def end_prepared(self, command: str, gid: str) -> None:
        """The second phase, `COMMIT PREPARED` or `ROLLBACK PREPARED`, which is possible outside of transactions only."""
        self.rollback()
        self.command(f"{command} {literal(gid)}")

    # ---- the end of the connection

    def ping(self) -> None:
        """An empty query. Raises OperationalError when the connection is gone."""
        self.command("")

    def close(self) -> None:
        self._connection.release()

    def terminate(self) -> None:
        """Close it in whatever state it is; what it executes is cancelled where there is time for it."""
        if in_greenlet() and self.core.in_flight and not self.closed:
            await_(asyncio.shield(self._cancel_and_close()))
        else:
            self._connection.release()

    async def _cancel_and_close(self) -> None:
        try:
            async with asyncio.timeout(FAREWELL_SECONDS):
                await self._connection.link.cancel()
        except (PgError, OSError, TimeoutError):
            pass  # the server notices the end of the connection
        finally:
            self._connection.release()


def literal(text: str) -> str:
    """A string literal, whatever standard_conforming_strings says."""
    quoted = text.replace("'", "''")
    if "\\" not in quoted:
        return f"'{quoted}'"
    return " E'" + quoted.replace("\\", "\\\\") + "'"


def _known_later(error: BaseException) -> None:
    """`wait` asks for the outcome of BEGIN after that of its statement."""
