"""SQLAlchemy's view of our tables: one `sqlalchemy.Table` per Table, and a MetaData of several for DDL.

Imported only by what compiles or migrates, so that declaring models does not load SQLAlchemy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.types import TypeEngine

from swift.engines.schema import Column, Table

# PostgreSQL cuts names at 63 bytes; a convention gives every constraint one, so migrations can drop it.
NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

ON_DELETE = {
    "cascade": "CASCADE",
    "restrict": "RESTRICT",
    "set_null": "SET NULL",
    "set_default": "SET DEFAULT",
    "no_action": None,
}


class SQLiteText(sa.Text):
    """Text in SQLite, declared as `declared`, in which TEXT gives the column its affinity (sqlite.org/datatype3.html
    §3.1).
    """

    # Compiled by its own name, not as every other text.
    __visit_name__ = "swift_text"

    def __init__(self, declared: str) -> None:
        super().__init__()
        self.declared = declared


@compiles(SQLiteText)
def declare(type_: SQLiteText, compiler: Any, **_: Any) -> str:
    return type_.declared


def sqlite_text(declared: str) -> SQLiteText:
    return SQLiteText(declared)


def sql_type(column: Column) -> TypeEngine[Any]:
    """The column's type. On SQLite what has no type of its own is text (see engines.sqlite.values), declared
    under a name that tells what it is.
    """
    match column.kind:
        case "integer":
            return sa.Integer()
        case "bigint":
            # SQLite gives out row ids only for exactly INTEGER.
            return (
                sa.BigInteger().with_variant(sa.Integer(), "sqlite")
                if column.autoincrement
                else sa.BigInteger()
            )
        case "float":
            return sa.Double()
        case "decimal":
            size = f"({column.digits}, {column.places})" if column.digits is not None else ""
            return sa.Numeric(column.digits, column.places).with_variant(
                sqlite_text(f"DECIMAL TEXT{size}"), "sqlite"
            )
        case "string":
            return sa.String(column.length)
        case "text":
            return sa.Text()
        case "bool":
            return sa.Boolean(create_constraint=False)
        case "date":
            return sa.Date().with_variant(sqlite_text("DATE TEXT"), "sqlite")
        case "time":
            return sa.Time().with_variant(sqlite_text("TIME TEXT"), "sqlite")
        case "datetime":
            return sa.DateTime(timezone=True).with_variant(sqlite_text("DATETIME TEXT"), "sqlite")
        case "timestamp":
            return sa.DateTime().with_variant(sqlite_text("TIMESTAMP TEXT"), "sqlite")
        case "uuid":
            return sa.Uuid().with_variant(sqlite_text("UUID TEXT"), "sqlite")
        case "json":
            from sqlalchemy.dialects.postgresql import JSONB

            return (
                sa.JSON().with_variant(sqlite_text("JSON TEXT"), "sqlite").with_variant(JSONB(), "postgresql")
            )
        case "binary":
            return sa.LargeBinary()


def sql_table(table: Table) -> sa.Table:
    """The table with its columns alone, for building statements; the same object each time."""
    found = table.derived.get("sqlalchemy")
    if found is None:
        columns = (sa.Column(column.name, sql_type(column)) for column in table.columns)
        found = table.derived["sqlalchemy"] = sa.Table(
            table.name, sa.MetaData(), *columns, schema=table.schema
        )
    assert isinstance(found, sa.Table)
    return found


class Columns:
    """The columns of a table as SQLAlchemy has them, under the names of their fields."""

    def __init__(self, table: Table, names: Mapping[str, Column]) -> None:
        columns = sql_table(table).c
        self.__dict__.update({name: columns[column.name] for name, column in names.items()})

    def __getattr__(self, name: str) -> sa.Column[Any]:
        raise AttributeError(f"There is no column `{name}`; there are {', '.join(vars(self))}.")

    def __getitem__(self, name: str) -> sa.Column[Any]:
        return getattr(self, name)  # type: ignore[no-any-return]


def sql_columns(table: Table, names: Mapping[str, Column]) -> Columns:
    found = table.derived.get("columns")
    if found is None:
        found = table.derived["columns"] = Columns(table, names)
    assert isinstance(found, Columns)
    return found


def metadata(tables: Iterable[Table]) -> sa.MetaData:
    """A fresh MetaData with `tables` and all their constraints and indexes: what CREATE TABLE and Alembic
    read.
    """
    result = sa.MetaData(naming_convention=NAMES)
    for table in tables:
        items: list[Any] = [full_column(column) for column in table.columns]
        items += (sa.UniqueConstraint(*unique.fields, name=unique.name) for unique in table.uniques)
        items += (
            sa.CheckConstraint(check.sql, name=check.name or f"rule{number}")
            for number, check in enumerate(table.checks, 1)
        )
        items += (
            sa.Index(index.name, *index.fields, unique=index.unique) for index in table.indexes if index.name
        )
        # AUTOINCREMENT: the id of a deleted row never comes back, as on PostgreSQL.
        made = sa.Table(
            table.name,
            result,
            *items,
            schema=table.schema,
            sqlite_autoincrement=any(column.autoincrement for column in table.columns),
        )
        for index in table.indexes:
            if not index.name:
                columns = [made.c[name] for name in index.fields]
                name = "_".join(("ix", table.name, *index.fields))
                made.append_constraint(sa.UniqueConstraint(*columns)) if index.unique else sa.Index(
                    name, *columns
                )
    return result


def full_column(column: Column) -> sa.Column[Any]:
    references: list[sa.ForeignKey] = []
    if column.reference is not None:
        target = column.reference.target()
        where = f"{target.schema}.{target.name}" if target.schema else target.name
        references.append(
            sa.ForeignKey(
                f"{where}.{target.primary_key.name}", ondelete=ON_DELETE[column.reference.on_delete]
            )
        )
    return sa.Column(
        column.name,
        sql_type(column),
        *references,
        nullable=column.nullable,
        primary_key=column.primary_key,
        autoincrement=column.autoincrement,
        unique=column.unique or None,
        index=(column.index and not column.unique) or None,
    )
