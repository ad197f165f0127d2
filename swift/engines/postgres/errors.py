"""PostgreSQL's errors as ours, by their SQLSTATE (manual, appendix A)."""

from __future__ import annotations

import re

from swift.engines.errors import (
    ConstraintKind,
    DatabaseError,
    IntegrityError,
    OperationalError,
    ProgrammingError,
    TransactionError,
)

CONSTRAINTS: dict[str, ConstraintKind] = {
    "23505": "unique",
    "23P01": "unique",
    "23503": "foreign_key",
    "23001": "foreign_key",
    "23502": "not_null",
    "23514": "check",
}
# The detail of a unique or foreign-key violation: `Key (title, author_id)=(Dune, 1) already exists.`
KEY = re.compile(r"\((.+?)\)=\(")
# Data, syntax, and features that there are not: the statement is wrong. Transactions used in a wrong way.
WRONG = ("22", "42", "0A", "26", "34", "3D", "3F")
MISUSED = ("25", "2D", "3B")


def translated(
    message: str,
    sqlstate: str | None,
    *,
    detail: str | None = None,
    table: str | None = None,
    column: str | None = None,
    constraint: str | None = None,
) -> DatabaseError:
    """The error to raise for what the server said."""
    code = sqlstate or ""
    if code in CONSTRAINTS:
        columns: tuple[str, ...] = (column,) if column else ()
        if not columns and code in ("23505", "23503") and (found := KEY.search(detail or "")):
            columns = tuple(name.strip().strip('"') for name in found[1].split(","))
        return IntegrityError(message, CONSTRAINTS[code], table=table, columns=columns, constraint=constraint)
    if code[:2] in WRONG:
        return ProgrammingError(message)
    if code[:2] in MISUSED:
        return TransactionError(message)
    return OperationalError(message)
