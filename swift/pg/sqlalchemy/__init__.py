"""`postgresql+swift://`: the driver as a dialect of SQLAlchemy, for `create_async_engine`.

Installed, SQLAlchemy finds it by its entry point; importing this module registers it as well. Nothing else of the
driver imports SQLAlchemy.
"""

from __future__ import annotations

from sqlalchemy.dialects import registry

from .dialect import SwiftDialect

__all__ = ["SwiftDialect"]

registry.register("postgresql.swift", __name__, "SwiftDialect")
