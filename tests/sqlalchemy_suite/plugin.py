"""The pytest plugin of SQLAlchemy's tests, with our dialect registered before it looks for it.

A plugin and not a conftest.py: its hooks must not reach our own tests.
"""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.dialects import registry

from swift.pg.sqlalchemy import SwiftDialect

pytest.register_assert_rewrite("sqlalchemy.testing.assertions")

from sqlalchemy.testing.plugin.pytestplugin import *  # noqa: E402, F403


class Provisioned(SwiftDialect):
    """SQLAlchemy's provisioning makes extensions that some servers come without."""

    supports_statement_cache = True

    @classmethod
    def load_provisioning(cls) -> None:
        super().load_provisioning()
        from sqlalchemy.testing.provision import post_configure_engine

        @post_configure_engine.for_db("postgresql")
        def extensions(url: Any, engine: Any, follower_ident: Any) -> None:
            with engine.begin() as connection:
                found = connection.exec_driver_sql("SELECT name FROM pg_available_extensions").scalars().all()
                for name in {"citext", "hstore"} & set(found):
                    connection.exec_driver_sql(f"CREATE EXTENSION IF NOT EXISTS {name}")


registry.register("postgresql.swift", __name__, "Provisioned")
