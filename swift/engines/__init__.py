"""Databases behind one small interface: the same statement gives the same rows on each."""

from __future__ import annotations

from swift.engines.database import Database, current_database, database
from swift.engines.errors import (
    DatabaseError,
    IntegrityError,
    InvalidValue,
    NoDatabase,
    OperationalError,
    ProgrammingError,
    RetryError,
    TransactionError,
)
from swift.engines.interface import Engine, Executor, Transaction
from swift.engines.schema import Check, Index, Unique

__all__ = [
    "Check",
    "Database",
    "DatabaseError",
    "Engine",
    "Executor",
    "Index",
    "IntegrityError",
    "InvalidValue",
    "NoDatabase",
    "OperationalError",
    "ProgrammingError",
    "RetryError",
    "Transaction",
    "TransactionError",
    "Unique",
    "current_database",
    "database",
]
