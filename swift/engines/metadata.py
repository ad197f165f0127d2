"""SQLAlchemy's view of our tables: one `sqlalchemy.Table` per Table, and a MetaData of several for DDL.

Imported only by what compiles or migrates, so that declaring models does not load SQLAlchemy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, time
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import ColumnElement
from sqlalchemy.types import TypeEngine

from swift.engines.schema import Column, Index, Table
from swift.engines.values import checker

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
            return sa.SmallInteger() if column.bits == 16 else sa.Integer()
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


class Moment(ColumnElement[Any]):
    """The moment of the insert, in the form a column of its kind stores it."""

    inherit_cache = True

    def __init__(self, kind: str) -> None:
        self.kind = kind


@compiles(Moment)
def compile_moment(element: Moment, compiler: Any, **_: Any) -> str:
    return "CURRENT_TIMESTAMP" if element.kind == "datetime" else "(CURRENT_TIMESTAMP AT TIME ZONE 'UTC')"


@compiles(Moment, "sqlite")
def compile_moment_sqlite(element: Moment, compiler: Any, **_: Any) -> str:
    zone = "Z" if element.kind == "datetime" else ""
    return f"(strftime('%Y-%m-%dT%H:%M:%f000{zone}', 'now'))"


def server_default(column: Column) -> Any:
    """The DEFAULT of a column, or None."""
    if column.default is None:
        return None
    if column.default.function == "now":
        return Moment(column.kind)
    value = checker(None, column, stored=True)(column.default.value)
    if isinstance(value, bool):
        return sa.true() if value else sa.false()
    if isinstance(value, (int, float)):
        return sa.text(repr(value))
    if isinstance(value, datetime):
        text = value.isoformat(timespec="microseconds")[:26] + ("Z" if value.tzinfo else "")
    elif isinstance(value, time):
        text = value.isoformat(timespec="microseconds")
    else:
        text = format(value, "f") if isinstance(value, Decimal) else str(value)
    return sa.text("'" + text.replace("'", "''").replace(":", "\\:") + "'")


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
            sa.Index(index.name, *index.fields, unique=index.unique)
            for index in table.indexes
            if index.name and plain(index)
        )
        # AUTOINCREMENT: the id of a deleted row never comes back, as on PostgreSQL.
        made = sa.Table(
            table.name,
            result,
            *items,
            schema=table.schema,
            comment=table.comment,
            sqlite_autoincrement=any(column.autoincrement for column in table.columns),
        )
        for index in table.indexes:
            if not (index.name and plain(index)):
                add_index(made, index)
    return result


def plain(index: Index) -> bool:
    return index.where is None and not any(name.startswith("-") for name in index.fields)


def add_index(table: sa.Table, index: Index) -> None:
    """An index that needs a name of ours, a direction or a condition."""
    names = [name.removeprefix("-") for name in index.fields]
    columns = [table.c[name] for name in names]
    if index.unique and plain(index):
        table.append_constraint(sa.UniqueConstraint(*columns))
        return
    name = index.name or "_".join(("uq" if index.unique else "ix", table.name, *names))
    parts = [
        column.desc() if field.startswith("-") else column
        for field, column in zip(index.fields, columns, strict=True)
    ]
    where = None if index.where is None else sa.text(index.where)
    sa.Index(name, *parts, unique=index.unique, sqlite_where=where, postgresql_where=where)


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
        server_default=server_default(column),
        comment=column.comment,
    )
