"""What SQLite's table loses when Alembic builds it anew, kept and put back.

Alembic copies the rows into a new table, drops the old one and takes its name. With the old one go its
triggers, its partial indexes and indexes over expressions, and the counter of AUTOINCREMENT; the new one
is made from what reflection understands of the declared types.
"""

from __future__ import annotations

import re
import warnings
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.types import UserDefinedType


class Declared(UserDefinedType[Any]):
    """A type as the table declares it, whatever it is: SQLite keeps its words."""

    cache_ok = True

    def __init__(self, declared: str) -> None:
        self.declared = declared

    def get_col_spec(self, **_: Any) -> str:
        return self.declared


class Rebuilding:
    """Notes what the table has on entering, puts back what is gone on leaving."""

    def __init__(self, connection: sa.Connection, table: str, schema: str | None = None) -> None:
        self.connection = connection
        self.table = table
        self.schema = schema
        self.master = f'"{schema}".sqlite_master' if schema else "sqlite_master"
        rows = connection.exec_driver_sql(f"SELECT name, type FROM pragma_table_xinfo({literal(table)})")
        self.types = dict(map(tuple, rows))
        self.sql = (
            connection.exec_driver_sql(
                f"SELECT sql FROM {self.master} WHERE type = 'table' AND name = {literal(table)}"
            ).scalar()
            or ""
        )
        self.counter: int | None = None
        # Names of the indexes that go on purpose.
        self.dropped: set[str] = set()

    @property
    def counted(self) -> bool:
        return re.search(r"\bAUTOINCREMENT\b", self.sql, re.IGNORECASE) is not None

    def table_kwargs(self) -> dict[str, Any]:
        """The options of the table that reflection does not tell."""
        made: dict[str, Any] = {}
        if self.counted:
            made["sqlite_autoincrement"] = True
        ending = self.sql.rpartition(")")[2].upper()
        if "WITHOUT" in ending:
            made["sqlite_with_rowid"] = False
        if "STRICT" in ending:
            made["sqlite_strict"] = True
        return made

    def reflected(self) -> sa.Table:
        """The table as it is, with what reflection does not understand of types and foreign keys."""

        def keep(inspector: Any, table: Any, column: dict[str, Any]) -> None:
            declared = self.types.get(column["name"])
            # Only exactly INTEGER counts row ids up, and SQLAlchemy must know it as that.
            if declared and declared.upper() != "INTEGER":
                column["type"] = Declared(declared)

        listeners = [("column_reflect", keep)]
        with warnings.catch_warnings():
            # Indexes over expressions are taken over as they are written, see __exit__.
            warnings.filterwarnings("ignore", "Skipped unsupported reflection of expression-based index")
            made = sa.Table(
                self.table,
                sa.MetaData(),
                schema=self.schema,
                autoload_with=self.connection,
                resolve_fks=False,
                listeners=listeners,
                **self.table_kwargs(),
            )
        actions = foreign_key_actions(self.connection, self.table)
        for key in made.foreign_key_constraints:
            key.onupdate, key.ondelete = actions[tuple(key.column_keys)]
        return made

    def objects(self) -> dict[tuple[str, str], str]:
        """(type, name) → SQL of the table's triggers and indexes."""
        rows = self.connection.exec_driver_sql(
            f"SELECT type, name, sql FROM {self.master} WHERE tbl_name = {literal(self.table)} "
            "AND type IN ('trigger', 'index') AND sql IS NOT NULL"
        )
        return {(type_, name): sql for type_, name, sql in rows}

    def __enter__(self) -> Self:
        self.before = self.objects()
        if self.counted:
            self.counter = self.connection.exec_driver_sql(
                f"SELECT seq FROM sqlite_sequence WHERE name = {literal(self.table)}"
            ).scalar()
        # Otherwise renaming the new table would look for the old one in views, and rewrite references to it.
        self.legacy = self.connection.exec_driver_sql("PRAGMA legacy_alter_table").scalar()
        self.connection.exec_driver_sql("PRAGMA legacy_alter_table = ON")
        return self

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        self.connection.exec_driver_sql(f"PRAGMA legacy_alter_table = {self.legacy or 0}")
        if failure is not None:
            return
        after = self.objects()
        columns = {
            row[0] for row in self.connection.exec_driver_sql(
                f"SELECT name FROM pragma_table_xinfo({literal(self.table)})"
            )
        }  # fmt: skip
        gone = self.types.keys() - columns
        for (type_, name), sql in self.before.items():
            if (type_, name) in after:
                continue
            # Indexes that the migration drops, or whose column it drops, stay away.
            if type_ == "trigger" or not (name in self.dropped or any(word in gone for word in words(sql))):
                self.connection.exec_driver_sql(sql)
        if self.counter is not None:
            name = literal(self.table)
            self.connection.exec_driver_sql(f"DELETE FROM sqlite_sequence WHERE name = {name}")
            self.connection.exec_driver_sql(
                f"INSERT INTO sqlite_sequence (name, seq) VALUES ({name}, {int(self.counter)})"
            )


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def foreign_key_actions(
    connection: sa.Connection, table: str
) -> dict[tuple[str, ...], tuple[str | None, str | None]]:
    """Of each foreign key, by its columns, what happens on update and on delete."""
    rows = connection.exec_driver_sql(
        'SELECT id, "from", on_update, on_delete FROM '
        f"pragma_foreign_key_list({literal(table)}) ORDER BY id, seq"
    ).all()
    columns: dict[int, tuple[str, ...]] = {}
    for number, column, _, _ in rows:
        columns[number] = (*columns.get(number, ()), column)
    return {
        columns[number]: (
            None if on_update == "NO ACTION" else on_update,
            None if on_delete == "NO ACTION" else on_delete,
        )
        for number, _, on_update, on_delete in rows
    }


def words(sql: str) -> list[str]:
    return re.findall(r"\w+", sql)
