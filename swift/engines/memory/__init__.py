"""Lists of dicts as a database, for tests and for data that is in no database."""

from __future__ import annotations

from swift.engines.memory.engine import MemoryEngine

__all__ = ["MemoryEngine"]
