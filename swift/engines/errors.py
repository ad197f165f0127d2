"""What can go wrong below the models.

DatabaseError
├── OperationalError    the database could not do it now: locked, full, unreadable, closed
│   └── RetryError      another transaction was in the way; the whole transaction may be run again
├── ProgrammingError    the statement is wrong: no such table, bad SQL
├── IntegrityError      a constraint said no; `kind` says which sort of constraint
└── TransactionError    a transaction used in a way that cannot work
NoDatabase              nothing is bound where a query needs a database
InvalidValue            a value does not fit its column (the caller's fault, before any SQL runs)
"""

from __future__ import annotations

from typing import Literal

ConstraintKind = Literal["unique", "foreign_key", "not_null", "check"]


class DatabaseError(Exception):
    """Anything an engine raises while it runs a statement."""


class OperationalError(DatabaseError):
    """The statement may be right, but the database could not run it now."""


class RetryError(OperationalError):
    """The database gave up the transaction for another's sake (a conflict of serializable transactions, a
    deadlock, a lock not released in time): run again, it may succeed.
    """


class ProgrammingError(DatabaseError):
    """The statement itself is wrong; running it again cannot help."""


class TransactionError(DatabaseError):
    """A transaction was used after its end, or in a way its engine does not offer."""


class IntegrityError(DatabaseError):
    """A constraint refused the change.

    `columns` are the database columns where the engine names them (SQLite does not for foreign keys),
    `constraint` is the constraint's name where there is one.
    """

    def __init__(
        self,
        message: str,
        kind: ConstraintKind,
        *,
        table: str | None = None,
        columns: tuple[str, ...] = (),
        constraint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.kind: ConstraintKind = kind
        self.table = table
        self.columns = columns
        self.constraint = constraint

    @property
    def column(self) -> str | None:
        """The one column concerned, or None when it is unknown or there are several."""
        return self.columns[0] if len(self.columns) == 1 else None


class NoDatabase(RuntimeError):
    """A query was run where no database is bound."""

    def __init__(self, what: str = "A query") -> None:
        super().__init__(
            f"{what} needs a database, and none is bound here. Serve it from an App(database=...), "
            "wrap it in `async with db:` or `with db.bind():`, or name one by `.using(db)`."
        )


class InvalidValue(ValueError):
    """A value does not fit the column it is meant for; `field` is the model's name for it, where it is known."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field
