"""The driver's errors as those of the DB-API (PEP 249), which SQLAlchemy wraps into its own of the same names."""

from __future__ import annotations

from .. import errors as pg
from .compat import ErrorBase


class Error(ErrorBase):
    """`sqlstate` (`pgcode` is the same) and `detail` are the server's; `driver_exception` is the whole PgError."""

    def __init__(self, message: str, orig: Exception | None = None) -> None:
        super().__init__(message, orig)
        self.sqlstate: str | None = getattr(orig, "code", "") or None
        self.pgcode = self.sqlstate
        self.detail: str | None = getattr(orig, "detail", None)


class Warning(Exception):
    """PEP 249 wants it; the driver raises none."""


class InterfaceError(Error):
    """Wrong use, found before anything was sent."""


class DatabaseError(Error):
    """An error of the server."""


class DataError(DatabaseError):
    """A value that does not fit."""


class OperationalError(DatabaseError):
    """The connection, the server or its resources; and transactions that may be run again."""


class IntegrityError(DatabaseError):
    """A constraint is violated."""


class InternalError(DatabaseError):
    """The transaction is in a state that does not allow the statement, or the server found its own fault."""


class ProgrammingError(DatabaseError):
    """The statement is wrong."""


class NotSupportedError(DatabaseError):
    """The server does not do this."""


# The first that fits; subclasses stand before what they derive from.
TRANSLATIONS: tuple[tuple[type[pg.PgError], type[Error]], ...] = (
    (pg.PgEncodeError, DataError),
    (pg.PgDecodeError, DataError),
    (pg.PgInterfaceError, InterfaceError),
    (pg.PgResultError, InterfaceError),
    (pg.PgTimeout, OperationalError),
    (pg.PgConnectionError, OperationalError),
    (pg.PgFeatureError, NotSupportedError),
    (pg.PgDataError, DataError),
    (pg.PgIntegrityError, IntegrityError),
    (pg.PgTransactionStateError, InternalError),
    (pg.PgCursorError, ProgrammingError),
    (pg.PgStatementNameError, ProgrammingError),
    (pg.PgTransactionRollback, OperationalError),
    (pg.PgProgrammingError, ProgrammingError),
    (pg.PgCheckOptionError, ProgrammingError),
    (pg.PgResourceError, OperationalError),
    (pg.PgLimitError, OperationalError),
    (pg.PgObjectStateError, OperationalError),
    (pg.PgOperatorIntervention, OperationalError),
    (pg.PgSystemError, OperationalError),
    (pg.PgInternalError, InternalError),
)


def translated(error: pg.PgError) -> Error:
    """Errors of functions (P0) and of foreign data have no class of the DB-API but DatabaseError."""
    for kind, translation in TRANSLATIONS:
        if isinstance(error, kind):
            return translation(str(error), error)
    return DatabaseError(str(error), error)


def is_lost(error: BaseException) -> bool:
    """Whether an error of ours tells that there is no connection any more."""
    orig = getattr(error, "orig", None)
    return isinstance(orig, pg.PgConnectionError) and not isinstance(
        orig, (pg.PgTimeout, pg.PgTooManyConnections)
    )
