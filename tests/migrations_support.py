"""Databases and directories for the tests of migrations: a SQLite file, and a database of a scratch PostgreSQL."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from swift import Model
from swift.migrations import migrate, rollback
from swift.migrations.arranging import Answers
from swift.migrations.connecting import connected
from swift.migrations.making import make, write


@dataclass
class Project:
    """A directory of migrations, and a database they are for."""

    url: str
    directory: Path

    @property
    def dialect(self) -> str:
        return "sqlite" if self.url.startswith("sqlite") else "postgresql"

    def make(self, *models: type[Model], name: str | None = None, **answers: Any) -> str:
        """Write the migration for `models`; its text."""
        made = make(models, self.directory, Answers(**answers), name)
        assert made is not None, "nothing to do"
        write(made)
        return made.text

    def lacks(self, *models: type[Model]) -> bool:
        return make(models, self.directory, Answers(no_renames=True)) is not None

    def write(
        self, revision: str, down: str | None, upgrade: str, downgrade: str = "pass", extra: str = ""
    ) -> Path:
        """A migration by hand; `upgrade` and `downgrade` are lines of their bodies."""
        self.directory.mkdir(exist_ok=True)
        path = self.directory / f"{revision}.py"
        bodies = ["\n".join("    " + line for line in body.splitlines()) for body in (upgrade, downgrade)]
        path.write_text(
            "import sqlalchemy as sa\nfrom swift.migrations import *\n"
            f"revision = {revision!r}\ndown_revision = {down!r}\n{extra}\n"
            f"def upgrade(op):\n{bodies[0]}\n\ndef downgrade(op):\n{bodies[1]}\n"
        )
        return path

    def migrate(self, target: str | None = None, **options: Any) -> list[str]:
        return asyncio.run(migrate(self.url, self.directory, target, **options))

    def rollback(self, target: str | None = None, **options: Any) -> list[str]:
        return asyncio.run(rollback(self.url, self.directory, target, **options))

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement by the plain driver."""
        if self.dialect == "sqlite":
            connection = sqlite3.connect(self.url.removeprefix("sqlite:///"))
            try:
                connection.execute("PRAGMA foreign_keys = ON")
                rows = connection.execute(statement).fetchall()
                connection.commit()
                return rows
            finally:
                connection.close()
        with psycopg.connect(self.url, autocommit=True) as client:
            cursor = client.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def inspect(self, question: Any) -> Any:
        """What `question(inspector)` answers."""

        def work(connection: sa.Connection) -> Any:
            with connection.begin():
                return question(sa.inspect(connection))

        return asyncio.run(connected(self.url, work))

    def tables(self) -> set[str]:
        return set(self.inspect(lambda inspector: inspector.get_table_names()))

    def columns(self, table: str) -> dict[str, Any]:
        found = self.inspect(lambda inspector: inspector.get_columns(table))
        return {column["name"]: column for column in found}


@pytest.fixture
def sqlite_project(tmp_path: Path) -> Project:
    return Project(f"sqlite:///{tmp_path}/app.db", tmp_path / "migrations")


@pytest.fixture(params=["sqlite", "postgresql"])
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Project]:
    """The same on each database."""
    if request.param == "sqlite":
        yield request.getfixturevalue("sqlite_project")
    else:
        yield Project(request.getfixturevalue("pg_database"), tmp_path / "migrations")
