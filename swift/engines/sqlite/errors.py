"""SQLite's errors as ours."""

from __future__ import annotations

import re
import sqlite3

from swift.engines.errors import (
    ConstraintKind,
    DatabaseError,
    IntegrityError,
    OperationalError,
    ProgrammingError,
    RetryError,
)

CONSTRAINTS: dict[str, ConstraintKind] = {
    "SQLITE_CONSTRAINT_UNIQUE": "unique",
    "SQLITE_CONSTRAINT_PRIMARYKEY": "unique",
    "SQLITE_CONSTRAINT_ROWID": "unique",
    "SQLITE_CONSTRAINT_NOTNULL": "not_null",
    "SQLITE_CONSTRAINT_FOREIGNKEY": "foreign_key",
    "SQLITE_CONSTRAINT_CHECK": "check",
}
# "UNIQUE constraint failed: users.email, users.name"
COLUMNS = re.compile(r"^(?:UNIQUE|NOT NULL) constraint failed: (\w[^:]*\.[^:]+)$")
CHECK = re.compile(r"^CHECK constraint failed: (.+)$")


def translate(error: sqlite3.Error) -> DatabaseError:
    """The error to raise in place of `error`."""
    text = str(error)
    name = getattr(error, "sqlite_errorname", "") or ""
    if isinstance(error, sqlite3.IntegrityError):
        kind = CONSTRAINTS.get(name, "check")
        if text == "FOREIGN KEY constraint failed":  # ON DELETE RESTRICT reports a trigger
            kind = "foreign_key"
        table: str | None = None
        columns: tuple[str, ...] = ()
        constraint: str | None = None
        if match := COLUMNS.match(text):
            places = [place.rpartition(".") for place in match[1].split(", ")]
            table, columns = places[0][0], tuple(place[2] for place in places)
        elif match := CHECK.match(text):
            constraint = match[1]
        return IntegrityError(text, kind, table=table, columns=columns, constraint=constraint)
    if isinstance(error, sqlite3.OperationalError) and name == "SQLITE_ERROR":
        return ProgrammingError(text)
    if isinstance(error, sqlite3.ProgrammingError):
        return ProgrammingError(text)
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return RetryError(text)
    return OperationalError(text)
