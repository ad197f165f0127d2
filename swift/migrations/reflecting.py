"""Reflecting: what a database says of its tables and views, before anybody makes models of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from swift.migrations.rebuilding import foreign_key_actions
from swift.migrations.running import OWN_TABLES


@dataclass
class FoundColumn:
    name: str
    type: Any
    nullable: bool
    # SQLite's words for the type; "" elsewhere.
    declared: str = ""
    counted: bool = False
    comment: str | None = None
    # SQL of the database's default.
    default: str = ""


@dataclass
class FoundTable:
    """A table or view as the database describes it."""

    name: str
    schema: str | None
    columns: list[FoundColumn]
    primary_key: list[str]
    foreign_keys: list[dict[str, Any]] = field(default_factory=list)
    uniques: list[dict[str, Any]] = field(default_factory=list)
    indexes: list[dict[str, Any]] = field(default_factory=list)
    checks: list[dict[str, Any]] = field(default_factory=list)
    view: bool = False


def found_tables(connection: sa.Connection, schema: str | None, only: Sequence[str]) -> list[FoundTable]:
    inspector = sa.inspect(connection)
    views = set(inspector.get_view_names(schema))
    if connection.dialect.name == "postgresql":
        views |= set(inspector.get_materialized_view_names(schema))
    names = [name for name in sorted(inspector.get_table_names(schema)) if name not in OWN_TABLES]
    found = []
    for name in [*names, *sorted(views)]:
        if only and name not in only:
            continue
        declared: dict[str, str] = {}
        counter = False
        if connection.dialect.name == "sqlite":
            quoted = name.replace("'", "''")
            rows = connection.exec_driver_sql(f"SELECT name, type FROM pragma_table_xinfo('{quoted}')")
            declared = dict(map(tuple, rows))
            counter = True
        key = inspector.get_pk_constraint(name, schema)["constrained_columns"] if name not in views else []
        columns = []
        for column in inspector.get_columns(name, schema):
            alone = key == [column["name"]]
            default = column.get("default") or ""
            counted = alone and (
                (counter and declared[column["name"]].upper() == "INTEGER")
                or "nextval(" in default
                or bool(column.get("identity"))
            )  # fmt: skip
            columns.append(
                FoundColumn(
                    column["name"], column["type"], bool(column["nullable"]), declared.get(column["name"], ""),
                    counted, column.get("comment"), "" if counted else default,
                )
            )  # fmt: skip
        table = FoundTable(name, schema, columns, key, view=name in views)
        if not table.view:
            table.foreign_keys = [dict(each) for each in inspector.get_foreign_keys(name, schema)]
            if connection.dialect.name == "sqlite":
                # SQLAlchemy does not read what stands at the column itself.
                actions = foreign_key_actions(connection, name)
                for each in table.foreign_keys:
                    action = actions[tuple(each["constrained_columns"])][1]
                    each["options"] = {"ondelete": action} if action else {}
            table.uniques = [dict(each) for each in inspector.get_unique_constraints(name, schema)]
            table.indexes = [dict(each) for each in inspector.get_indexes(name, schema)]
            table.checks = [dict(each) for each in inspector.get_check_constraints(name, schema)]
        found.append(table)
    return found
