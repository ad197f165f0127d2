"""Migrations: how tables follow models, in files that are read, run and undone in order."""

from __future__ import annotations

from swift.migrations.data import Data, now, wall_clock
from swift.migrations.errors import (
    AnswerNeeded,
    DestructiveError,
    HistoryError,
    MigrationError,
    MigrationFailed,
)
from swift.migrations.kinds import Kind, Now
from swift.migrations.operations import Operations
from swift.migrations.running import Applied, migrate, rollback, show, sql_of

__all__ = [
    "AnswerNeeded",
    "Applied",
    "Data",
    "DestructiveError",
    "HistoryError",
    "Kind",
    "MigrationError",
    "MigrationFailed",
    "Now",
    "Operations",
    "migrate",
    "now",
    "rollback",
    "show",
    "sql_of",
    "wall_clock",
]
