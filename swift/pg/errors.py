"""The errors of the driver: one tree, by SQLSTATE (PostgreSQL manual, appendix A).

    PgError                               every error of this package
    ├── PgInterfaceError                  wrong use found on our side, nothing was sent
    │   ├── PgConfigError                 a DSN, an option, a file of the configuration (also ValueError)
    │   └── PgEncodeError                 a parameter that does not fit its type (also ValueError)
    ├── PgResultError                     the answer is not what the caller asked for
    │   ├── PgNoRow                       `.one()` and no row (also LookupError)
    │   ├── PgManyRows                    `.one()` and several rows (also LookupError)
    │   └── PgDecodeError                 a value Python cannot hold (also ValueError)
    ├── PgTimeout                         a deadline of ours passed (also TimeoutError)
    │   ├── PgPoolTimeout                 no connection became free in time (also PgConnectionError)
    │   ├── PgConnectTimeout              connect_timeout passed (also PgConnectionError)
    │   └── PgStatementTimeout            statement_timeout of the server (also PgCanceled)
    ├── PgConnectionError       08        no connection, or lost (also ConnectionError)
    │   ├── PgProtocolError     08P01     bytes that are no protocol, a server that breaks its rules
    │   ├── PgTLSError                    TLS refused, failed, or a certificate that is not trusted
    │   ├── PgClosedError                 the connection or the pool was closed by us
    │   ├── PgAuthenticationError 28      who we are was not accepted, or the server could not prove who it is
    │   ├── PgTooManyConnections 53300
    │   └── PgServerShutdown    57P01 57P02 57P03 57P04 57P05 25P03 25P04    (also its class below)
    ├── PgFeatureError          0A
    ├── PgDataError             21 22
    ├── PgIntegrityError        23        PgNotNullError 23502, PgForeignKeyError 23503, PgUniqueError 23505,
    │                                     PgCheckError 23514, PgExclusionError 23P01, PgRestrictError 23001
    ├── PgTransactionStateError 25 2D 3B  PgReadOnlyError 25006, PgFailedTransactionError 25P02
    ├── PgStatementNameError    26        PgCursorError 24 34
    ├── PgTransactionRollback   40        PgSerializationError 40001, PgDeadlockError 40P01 (a PgSerializationError)
    ├── PgProgrammingError      42 3D 3F 0L 0P 2B     PgSyntaxError, PgUndefinedTable, PgUndefinedColumn,
    │                                     PgUndefinedFunction, PgUndefinedParameter, PgDuplicateObject, PgPermissionError …
    ├── PgCheckOptionError      44
    ├── PgResourceError         53        PgDiskFull 53100, PgOutOfMemory 53200
    ├── PgLimitError            54
    ├── PgObjectStateError      55        PgLockNotAvailable 55P03
    ├── PgOperatorIntervention  57        PgCanceled 57014
    ├── PgSystemError           58 F0 72
    ├── PgRoutineError          P0 38 39 2F 09 27 20    PgRaisedException P0001
    ├── PgForeignDataError      HV
    └── PgInternalError         XX

`str(error)` never shows DETAIL or CONTEXT: there the server repeats values of rows and parameters, and messages of
errors end in logs. They are attributes, and `report()` prints them for a human who asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = [
    "PgAuthenticationError",
    "PgCanceled",
    "PgCheckError",
    "PgCheckOptionError",
    "PgClosedError",
    "PgConfigError",
    "PgConnectTimeout",
    "PgConnectionError",
    "PgCursorError",
    "PgDataError",
    "PgDeadlockError",
    "PgDecodeError",
    "PgDiskFull",
    "PgDuplicateObject",
    "PgEncodeError",
    "PgError",
    "PgExclusionError",
    "PgFailedTransactionError",
    "PgFeatureError",
    "PgForeignDataError",
    "PgForeignKeyError",
    "PgIntegrityError",
    "PgInterfaceError",
    "PgInternalError",
    "PgLimitError",
    "PgLockNotAvailable",
    "PgManyRows",
    "PgNoRow",
    "PgNotNullError",
    "PgNotice",
    "PgObjectStateError",
    "PgOperatorIntervention",
    "PgOutOfMemory",
    "PgPermissionError",
    "PgPoolTimeout",
    "PgProgrammingError",
    "PgProtocolError",
    "PgRaisedException",
    "PgReadOnlyError",
    "PgResourceError",
    "PgRestrictError",
    "PgResultError",
    "PgRoutineError",
    "PgSerializationError",
    "PgServerShutdown",
    "PgStatementNameError",
    "PgStatementTimeout",
    "PgSyntaxError",
    "PgSystemError",
    "PgTLSError",
    "PgTimeout",
    "PgTooManyConnections",
    "PgTransactionRollback",
    "PgTransactionStateError",
    "PgUndefinedColumn",
    "PgUndefinedFunction",
    "PgUndefinedParameter",
    "PgUndefinedTable",
    "PgUniqueError",
    "error_class",
    "error_from_fields",
    "notice_from_fields",
]


class PgError(Exception):
    """An error of the server or of the driver.

    message: one sentence, the server's or ours. code: the SQLSTATE, five characters; empty when the client found
    the error itself. severity: ERROR, FATAL or PANIC, never localised where the server says so (9.6 and later).
    detail, hint, where: the server's DETAIL, HINT and CONTEXT. advice: a hint of ours, where one helps.
    position: the 1-based character in `statement` (in `internal_query` for internal_position). schema, table,
    column, constraint, datatype: the object the error names. routine, file, line: the place in the server's source.
    safe_to_retry: True when the server cannot have begun to execute the statement.
    """

    def __init__(
        self,
        message: str = "",
        *,
        code: str = "",
        severity: str = "ERROR",
        detail: str | None = None,
        hint: str | None = None,
        advice: str | None = None,
        position: int | None = None,
        internal_position: int | None = None,
        internal_query: str | None = None,
        where: str | None = None,
        schema: str | None = None,
        table: str | None = None,
        column: str | None = None,
        datatype: str | None = None,
        constraint: str | None = None,
        file: str | None = None,
        line: int | None = None,
        routine: str | None = None,
        statement: str | None = None,
        safe_to_retry: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.severity = severity
        self.detail = detail
        self.hint = hint
        self.advice = advice
        self.position = position
        self.internal_position = internal_position
        self.internal_query = internal_query
        self.where = where
        self.schema = schema
        self.table = table
        self.column = column
        self.datatype = datatype
        self.constraint = constraint
        self.file = file
        self.line = line
        self.routine = routine
        self.statement = statement
        self.safe_to_retry = safe_to_retry

    @property
    def retryable(self) -> bool:
        """True when the whole transaction may succeed if it is run again (40001, 40P01)."""
        return self.code in ("40001", "40P01")

    def __str__(self) -> str:
        text = f"{self.message} (SQLSTATE {self.code})" if self.code else self.message
        if self.hint:
            text += f"\nHINT: {self.hint}"
        if self.advice:
            text += f"\nADVICE: {self.advice}"
        return text

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.message!r}, code={self.code!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        # OSError's own __reduce__ knows errno and filename only.
        return _rebuild, (type(self), self.message, self.__dict__)

    def report(self) -> str:
        """Everything known, in the layout of psql: with values of rows, so not for logs."""
        lines = [f"{self.severity}:  {self.code + ': ' if self.code else ''}{self.message}"]
        if self.statement is not None and self.position:
            lines += _pointed(self.statement, self.position)
        if self.internal_query is not None:
            lines.append(f"QUERY:  {self.internal_query}")
            if self.internal_position:
                lines += _pointed(self.internal_query, self.internal_position)
        for label in (
            "detail",
            "hint",
            "advice",
            "where",
            "schema",
            "table",
            "column",
            "datatype",
            "constraint",
        ):
            value = getattr(self, label)
            if value is not None:
                lines.append(f"{'CONTEXT' if label == 'where' else label.upper()}:  {value}")
        return "\n".join(lines)


def _rebuild(kind: type[PgError], message: str, state: dict[str, Any]) -> PgError:
    error = kind(message)
    error.__dict__.update(state)
    return error


def _pointed(statement: str, position: int) -> list[str]:
    """The line of `statement` that holds character `position`, and a caret below it."""
    start = statement.rfind("\n", 0, position - 1) + 1
    end = statement.find("\n", position - 1)
    line = statement[start : end if end >= 0 else None]
    prefix = f"LINE {statement.count(chr(10), 0, start) + 1}: "
    return [prefix + line.replace("\t", " "), " " * (len(prefix) + position - 1 - start) + "^"]


# What the client finds by itself.
class PgInterfaceError(PgError):
    """Wrong use, found before anything was sent."""


class PgConfigError(PgInterfaceError, ValueError):
    """A DSN, an option, an environment variable or a file of the configuration that cannot be used."""


class PgEncodeError(PgInterfaceError, ValueError):
    """A parameter that does not fit the type PostgreSQL expects: names $n and both types, never the value."""


class PgResultError(PgError):
    """The answer is not of the shape the caller asked for."""


class PgNoRow(PgResultError, LookupError):
    """One row was asked for, none came."""


class PgManyRows(PgResultError, LookupError):
    """One row was asked for, several came."""


class PgDecodeError(PgResultError, ValueError):
    """A value that Python's type cannot hold, or that does not fit the model it was read into."""


class PgTimeout(PgError, TimeoutError):
    """A deadline passed. Whether the statement was executed is unknown unless `safe_to_retry`."""


class PgConnectionError(PgError, ConnectionError):
    """There is no connection: it could not be made, or it was lost (class 08)."""


class PgPoolTimeout(PgTimeout, PgConnectionError):
    """No connection of the pool became free within the deadline; nothing was sent."""


class PgConnectTimeout(PgTimeout, PgConnectionError):
    """connect_timeout passed before the connection was ready."""


class PgProtocolError(PgConnectionError):
    """The peer broke the protocol (08P01); the connection is unusable."""


class PgTLSError(PgConnectionError):
    """TLS was required and refused, the handshake failed, or a certificate was not trusted."""


class PgClosedError(PgConnectionError):
    """The connection or the pool was closed on our side."""


class PgAuthenticationError(PgConnectionError):
    """The server did not accept who we are, or could not prove who it is (class 28)."""


# What the server reports, by class of SQLSTATE.
class PgFeatureError(PgError):
    """Class 0A: the server does not do this."""


class PgDataError(PgError):
    """Classes 21, 22: a value out of range, malformed, or of the wrong number."""


class PgIntegrityError(PgError):
    """Class 23: a constraint was violated; see `constraint`, `table`, `column`."""


class PgRestrictError(PgIntegrityError):
    """23001"""


class PgNotNullError(PgIntegrityError):
    """23502"""


class PgForeignKeyError(PgIntegrityError):
    """23503"""


class PgUniqueError(PgIntegrityError):
    """23505"""


class PgCheckError(PgIntegrityError):
    """23514"""


class PgExclusionError(PgIntegrityError):
    """23P01"""


class PgTransactionStateError(PgError):
    """Classes 0B, 25, 2D, 3B: not possible in the present state of the transaction."""


class PgReadOnlyError(PgTransactionStateError):
    """25006: a write in a read-only transaction, or on a standby."""


class PgFailedTransactionError(PgTransactionStateError):
    """25P02: the transaction failed earlier; only ROLLBACK is possible."""


class PgStatementNameError(PgError):
    """Class 26: no prepared statement of this name."""


class PgCursorError(PgError):
    """Classes 24, 34: no such cursor or portal, or not in a state to be used."""


class PgTransactionRollback(PgError):
    """Class 40: the server rolled the transaction back."""


class PgSerializationError(PgTransactionRollback):
    """40001: run the whole transaction again."""


class PgDeadlockError(PgSerializationError):
    """40P01: run the whole transaction again."""


class PgProgrammingError(PgError):
    """Classes 42, 3D, 3F, 0L, 0P, 2B: the statement or the names in it are wrong, or not permitted."""


class PgSyntaxError(PgProgrammingError):
    """42601"""


class PgPermissionError(PgProgrammingError):
    """42501"""


class PgUndefinedTable(PgProgrammingError):
    """42P01"""


class PgUndefinedColumn(PgProgrammingError):
    """42703"""


class PgUndefinedFunction(PgProgrammingError):
    """42883"""


class PgUndefinedParameter(PgProgrammingError):
    """42P02"""


class PgDuplicateObject(PgProgrammingError):
    """42701, 42710, 42723, 42P03 to 42P07: the name is taken."""


class PgCheckOptionError(PgError):
    """Class 44: the row would fall outside its view (WITH CHECK OPTION) or row security policy."""


class PgResourceError(PgError):
    """Class 53: the server has run out of something."""


class PgDiskFull(PgResourceError):
    """53100"""


class PgOutOfMemory(PgResourceError):
    """53200"""


class PgTooManyConnections(PgResourceError, PgConnectionError):
    """53300"""


class PgLimitError(PgError):
    """Class 54: a limit built into the server."""


class PgObjectStateError(PgError):
    """Class 55: the object is not in a state for this."""


class PgLockNotAvailable(PgObjectStateError):
    """55P03: lock_timeout, or NOWAIT."""


class PgOperatorIntervention(PgError):
    """Class 57: someone or something else stopped the statement."""


class PgCanceled(PgOperatorIntervention):
    """57014: the statement was cancelled, by us or by another session (pg_cancel_backend)."""


class PgStatementTimeout(PgCanceled, PgTimeout):
    """57014 by the server's own statement_timeout.

    The server gives the reason in its message alone: under a localised `lc_messages` this arrives as a plain PgCanceled.
    """


class PgServerShutdown(PgOperatorIntervention, PgConnectionError):
    """57P01 to 57P05, 25P03, 25P04: the server ended the session, and says why."""


class PgSystemError(PgError):
    """Classes 58, F0, 72: an error outside of PostgreSQL itself."""


class PgRoutineError(PgError):
    """Classes P0, 09, 20, 27, 2F, 38, 39: raised by a function, a procedure or a trigger."""


class PgRaisedException(PgRoutineError):
    """P0001: RAISE EXCEPTION."""


class PgForeignDataError(PgError):
    """Class HV"""


class PgInternalError(PgError):
    """Class XX: a defect of the server, or damaged data."""


_BY_CLASS: dict[str, type[PgError]] = {
    "08": PgConnectionError,
    "09": PgRoutineError,
    "0A": PgFeatureError,
    "0B": PgTransactionStateError,
    "0L": PgProgrammingError,
    "0P": PgProgrammingError,
    "20": PgRoutineError,
    "21": PgDataError,
    "22": PgDataError,
    "23": PgIntegrityError,
    "24": PgCursorError,
    "25": PgTransactionStateError,
    "26": PgStatementNameError,
    "27": PgRoutineError,
    "28": PgAuthenticationError,
    "2B": PgProgrammingError,
    "2D": PgTransactionStateError,
    "2F": PgRoutineError,
    "34": PgCursorError,
    "38": PgRoutineError,
    "39": PgRoutineError,
    "3B": PgTransactionStateError,
    "3D": PgProgrammingError,
    "3F": PgProgrammingError,
    "40": PgTransactionRollback,
    "42": PgProgrammingError,
    "44": PgCheckOptionError,
    "53": PgResourceError,
    "54": PgLimitError,
    "55": PgObjectStateError,
    "57": PgOperatorIntervention,
    "58": PgSystemError,
    "72": PgSystemError,
    "F0": PgSystemError,
    "HV": PgForeignDataError,
    "P0": PgRoutineError,
    "XX": PgInternalError,
}

_BY_CODE: dict[str, type[PgError]] = {
    "08P01": PgProtocolError,
    "23001": PgRestrictError,
    "23502": PgNotNullError,
    "23503": PgForeignKeyError,
    "23505": PgUniqueError,
    "23514": PgCheckError,
    "23P01": PgExclusionError,
    "25006": PgReadOnlyError,
    "25P02": PgFailedTransactionError,
    "25P03": PgServerShutdown,
    "25P04": PgServerShutdown,
    "40001": PgSerializationError,
    "40P01": PgDeadlockError,
    "42501": PgPermissionError,
    "42601": PgSyntaxError,
    "42701": PgDuplicateObject,
    "42703": PgUndefinedColumn,
    "42710": PgDuplicateObject,
    "42723": PgDuplicateObject,
    "42883": PgUndefinedFunction,
    "42P01": PgUndefinedTable,
    "42P02": PgUndefinedParameter,
    "42P03": PgDuplicateObject,
    "42P04": PgDuplicateObject,
    "42P05": PgDuplicateObject,
    "42P06": PgDuplicateObject,
    "42P07": PgDuplicateObject,
    "53100": PgDiskFull,
    "53200": PgOutOfMemory,
    "53300": PgTooManyConnections,
    "55P03": PgLockNotAvailable,
    "57014": PgCanceled,
    "57P01": PgServerShutdown,
    "57P02": PgServerShutdown,
    "57P03": PgServerShutdown,
    "57P04": PgServerShutdown,
    "57P05": PgServerShutdown,
    "P0001": PgRaisedException,
}

_ADVICE: dict[str, str] = {
    "08P01": (
        "If a pooler such as PgBouncer stands in between, it may not know a startup parameter: "
        "add it to ignore_startup_parameters there, or leave it out of the connection's settings."
    ),
    "25006": "Connect with target_session_attrs=read-write to be led to the primary among several hosts.",
    "25P02": "Wrap statements that may fail in a nested transaction: it is a savepoint.",
    "26000": (
        "A pooler in transaction mode, DISCARD or DEALLOCATE dropped the prepared statement: "
        "PgBouncer 1.21 and later keep them (max_prepared_statements); otherwise set statement_cache_size=0."
    ),
    "42P05": (
        "Another client behind the same pooler uses this name: "
        "PgBouncer 1.21 and later keep them apart (max_prepared_statements); otherwise set statement_cache_size=0."
    ),
    "42P18": "Say what the parameter is: `$1::text`.",
    "53300": "Lower max_size of the pools (times processes, times event loops), or put a pooler in between.",
    "57P03": "The server is starting, stopping or recovering: try again, or name further hosts in the DSN.",
}


def error_class(code: str) -> type[PgError]:
    """The class for a SQLSTATE; `PgError` itself for one that no class is known for."""
    return _BY_CODE.get(code) or _BY_CLASS.get(code[:2], PgError)


def error_from_fields(fields: Mapping[str, str], statement: str | None = None) -> PgError:
    """The exception for an ErrorResponse.

    `fields` maps the one-letter field codes of an ErrorResponse (protocol 54.8: S, V, C, M, D, H, P, p, q, W, s, t, …)
    to their text; any may be missing (poolers, old servers), unknown ones are left alone. `statement` is the SQL that
    was sent, for `position`.
    """
    code = fields.get("C", "")
    message = fields.get("M", "")
    kind = error_class(code)
    if kind is PgCanceled and "statement timeout" in message:
        kind = PgStatementTimeout
    return kind(
        message or "The server reported an error without a message.",
        code=code,
        severity=fields.get("V") or fields.get("S") or "ERROR",
        detail=fields.get("D"),
        hint=fields.get("H"),
        advice=_ADVICE.get(code),
        position=_number(fields.get("P")),
        internal_position=_number(fields.get("p")),
        internal_query=fields.get("q"),
        where=fields.get("W"),
        schema=fields.get("s"),
        table=fields.get("t"),
        column=fields.get("c"),
        datatype=fields.get("d"),
        constraint=fields.get("n"),
        file=fields.get("F"),
        line=_number(fields.get("L")),
        routine=fields.get("R"),
        statement=statement,
    )


@dataclass(frozen=True, slots=True)
class PgNotice:
    """A NoticeResponse: a warning or a message of the server that is no error. The fields are those of `PgError`."""

    message: str
    code: str = "00000"
    severity: str = "NOTICE"
    detail: str | None = None
    hint: str | None = None
    position: int | None = None
    where: str | None = None
    schema: str | None = None
    table: str | None = None
    column: str | None = None
    datatype: str | None = None
    constraint: str | None = None
    routine: str | None = None


def notice_from_fields(fields: Mapping[str, str]) -> PgNotice:
    """The notice for a NoticeResponse, from the same field codes as `error_from_fields`."""
    return PgNotice(
        message=fields.get("M", ""),
        code=fields.get("C", "00000"),
        severity=fields.get("V") or fields.get("S") or "NOTICE",
        detail=fields.get("D"),
        hint=fields.get("H"),
        position=_number(fields.get("P")),
        where=fields.get("W"),
        schema=fields.get("s"),
        table=fields.get("t"),
        column=fields.get("c"),
        datatype=fields.get("d"),
        constraint=fields.get("n"),
        routine=fields.get("R"),
    )


def _number(text: str | None) -> int | None:
    # A pooler may put anything here; int() alone would take "1_0" and "٣" as well, and raise for the rest.
    return int(text) if text and text.isascii() and text.isdigit() else None
