"""SQLite, through aiosqlite: the embedded default."""

from __future__ import annotations

from swift.engines.sqlite.engine import SQLiteEngine

__all__ = ["SQLiteEngine"]
