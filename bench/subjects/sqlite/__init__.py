"""The same app on a table of records in SQLite, one module each.

A module has `application(database)`, the ASGI app that lists, shows and inserts records below `/records`,
and `seed(database, records)`, which creates its table and fills it in the form that the app reads.
`UNVALIDATED` names the cases it answers without validating the input.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from bench.asgi import ASGIApp
from bench.subjects import version

# The name of each subject, which is its module's, and the distribution whose version is reported for it.
DISTRIBUTIONS = {
    "swift": "swift-api",
    "raw_sqlite3": "msgspec",
    "raw_aiosqlite": "aiosqlite",
    "fastapi_sqlalchemy": "fastapi",
}

PRAGMAS = ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = NORMAL")


@dataclass(frozen=True)
class StoredSubject:
    name: str
    application: Callable[[Path], ASGIApp]
    seed: Callable[[Path, Sequence[dict[str, Any]]], Awaitable[None]]
    unvalidated: Collection[str]

    @property
    def version(self) -> str:
        return version(DISTRIBUTIONS[self.name])


def load(name: str) -> StoredSubject:
    """One subject; raises ImportError where its packages are missing."""
    module = import_module(f"bench.subjects.sqlite.{name}")
    return StoredSubject(name, module.application, module.seed, getattr(module, "UNVALIDATED", ()))
