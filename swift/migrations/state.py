"""State: what the tables are after some migrations, known from the migrations alone.

Each operation of a migration is applied to it, whether or not it is also run. So the models can be
compared with the migrations without a database, and `sqlmigrate` can print the SQL of a table's rebuilding.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa
from alembic.operations import ops
from sqlalchemy.sql.elements import conv
from sqlalchemy.types import TypeEngine

from swift.engines.metadata import Moment
from swift.migrations.errors import HistoryError
from swift.migrations.kinds import Now

Key = tuple[str | None, str]


@dataclass(frozen=True, slots=True)
class ColumnState:
    name: str
    type: TypeEngine[Any]
    nullable: bool
    # SQL of the database's default, or the moment of the insert.
    default: str | Now | None = None
    autoincrement: bool = False
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class IndexState:
    columns: tuple[Any, ...]
    unique: bool
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def conditions(self) -> set[str]:
        """Which rows it is of; nothing for all."""
        return {str(value) for key, value in self.options.items() if key.endswith("_where")}


@dataclass(frozen=True, slots=True)
class ForeignKeyState:
    columns: tuple[str, ...]
    target: Key
    target_columns: tuple[str, ...]
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class TableState:
    """A table; constraints and indexes by name."""

    name: str
    schema: str | None = None
    columns: dict[str, ColumnState] = field(default_factory=dict)
    primary_key: tuple[str, ...] = ()
    primary_key_name: str | None = None
    uniques: dict[str, tuple[str, ...]] = field(default_factory=dict)
    checks: dict[str, str] = field(default_factory=dict)
    foreign_keys: dict[str, ForeignKeyState] = field(default_factory=dict)
    indexes: dict[str, IndexState] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    comment: str | None = None

    @property
    def label(self) -> str:
        return f"{self.schema}.{self.name}" if self.schema else self.name

    # From SQLAlchemy

    def take(self, table: sa.Table) -> None:
        """Take in columns, constraints and indexes of `table`, which may have some of them only."""
        for column in table.columns:
            self.columns[column.name] = column_state(column)
        for constraint in table.constraints:
            self.constrain(constraint)
        for index in table.indexes:
            self.take_index(index)

    def constrain(self, constraint: sa.Constraint) -> None:
        columns = tuple(column.name for column in getattr(constraint, "columns", ()))
        name = str(constraint.name) if isinstance(constraint.name, str) else ""
        match constraint:
            case sa.PrimaryKeyConstraint():
                if columns:
                    self.primary_key, self.primary_key_name = columns, name or None
            case sa.UniqueConstraint():
                self.uniques[name or f"uq_{self.name}_{'_'.join(columns)}"] = columns
            case sa.CheckConstraint():
                self.checks[name or f"ck_{self.name}_{len(self.checks) + 1}"] = str(constraint.sqltext)
            case sa.ForeignKeyConstraint():
                self.foreign_keys[name or f"fk_{self.name}_{'_'.join(columns)}"] = foreign_key_state(
                    constraint
                )

    def take_index(self, index: sa.Index) -> None:
        expressions = tuple(
            part.name if isinstance(part, sa.Column) else str(part) for part in index.expressions
        )
        options = {name: value for name, value in index.kwargs.items() if value is not None}
        self.indexes[str(index.name)] = IndexState(expressions, bool(index.unique), options)

    # Changes

    def rename_column(self, old: str, new: str) -> None:
        self.columns = {
            new if name == old else name: replace(column, name=new) if name == old else column
            for name, column in self.columns.items()
        }

        def renamed(names: Iterable[Any]) -> tuple[Any, ...]:
            return tuple(new if name == old else name for name in names)

        self.primary_key = renamed(self.primary_key)
        self.uniques = {name: renamed(columns) for name, columns in self.uniques.items()}
        self.indexes = {
            name: replace(index, columns=renamed(index.columns)) for name, index in self.indexes.items()
        }
        self.foreign_keys = {
            name: replace(key, columns=renamed(key.columns)) for name, key in self.foreign_keys.items()
        }

    def drop_column(self, column: str) -> None:
        """The column, and what stands on it: databases drop that with it."""
        del self.columns[column]
        self.uniques = {name: columns for name, columns in self.uniques.items() if column not in columns}
        self.indexes = {name: index for name, index in self.indexes.items() if column not in index.columns}
        self.foreign_keys = {
            name: key for name, key in self.foreign_keys.items() if column not in key.columns
        }
        self.primary_key = tuple(name for name in self.primary_key if name != column)

    def drop_constraint(self, name: str) -> None:
        for constraints in (self.uniques, self.checks, self.foreign_keys):
            if name in constraints:
                del constraints[name]
                return
        if name == self.primary_key_name:
            self.primary_key, self.primary_key_name = (), None
            return
        raise HistoryError(f"`{self.label}` has no constraint `{name}` at this point of the history.")


class State:
    """Tables by (schema, name)."""

    def __init__(self) -> None:
        self.tables: dict[Key, TableState] = {}

    @classmethod
    def of(cls, metadata: sa.MetaData, *, foreign: bool = True) -> State:
        """The state of a database that has just these tables, with those that others make or without."""
        made = cls()
        for table in metadata.tables.values():
            if foreign or not table.info.get("foreign"):
                made.create(table)
        return made

    def copy(self) -> State:
        made = State()
        for key, table in self.tables.items():
            made.tables[key] = replace(
                table,
                columns=dict(table.columns),
                uniques=dict(table.uniques),
                checks=dict(table.checks),
                foreign_keys=dict(table.foreign_keys),
                indexes=dict(table.indexes),
            )
        return made

    def table(self, name: str, schema: str | None = None) -> TableState:
        try:
            return self.tables[schema, name]
        except KeyError:
            label = f"{schema}.{name}" if schema else name
            raise HistoryError(f"There is no table `{label}` at this point of the history.") from None

    def create(self, table: sa.Table) -> None:
        if (table.schema, table.name) in self.tables:
            raise HistoryError(f"The table `{table.fullname}` exists already at this point of the history.")
        made = TableState(table.name, table.schema, options=dict(table.kwargs), comment=table.comment)
        made.take(table)
        self.tables[table.schema, table.name] = made

    def rename_table(self, old: Key, new: Key) -> None:
        table = self.table(old[1], old[0])
        del self.tables[old]
        table.schema, table.name = new
        self.tables[new] = table
        for other in self.tables.values():
            other.foreign_keys = {
                name: replace(key, target=new) if key.target == old else key
                for name, key in other.foreign_keys.items()
            }

    def rename_column(self, table: TableState, old: str, new: str) -> None:
        table.rename_column(old, new)
        here = (table.schema, table.name)
        for other in self.tables.values():
            for name, key in other.foreign_keys.items():
                if key.target == here and old in key.target_columns:
                    columns = tuple(new if column == old else column for column in key.target_columns)
                    other.foreign_keys[name] = replace(key, target_columns=columns)

    # Operations

    def apply(self, operation: ops.MigrateOperation) -> None:
        """The state after `operation`. SQL and data change no table as far as is known here."""
        match operation:
            case ops.CreateTableOp():
                self.create(operation.to_table())
            case ops.DropTableOp():
                self.table(operation.table_name, operation.schema)
                del self.tables[operation.schema, operation.table_name]
            case ops.RenameTableOp():
                new = (operation.schema, str(operation.new_table_name))
                self.rename_table((operation.schema, operation.table_name), new)
            case ops.AddColumnOp():
                self.add_column(operation)
            case ops.DropColumnOp():
                self.column(operation.table_name, operation.schema, operation.column_name)
                self.table(operation.table_name, operation.schema).drop_column(operation.column_name)
            case ops.AlterColumnOp():
                self.alter_column(operation)
            case ops.CreateIndexOp():
                self.table(operation.table_name, operation.schema).take_index(operation.to_index())
            case ops.DropIndexOp():
                self.drop_index(operation)
            case ops.AddConstraintOp():
                self.add_constraint(operation)
            case ops.DropConstraintOp():
                table = self.table(operation.table_name, operation.schema)
                table.drop_constraint(str(operation.constraint_name))
            case ops.CreateTableCommentOp():
                self.table(operation.table_name, operation.schema).comment = operation.comment
            case ops.DropTableCommentOp():
                self.table(operation.table_name, operation.schema).comment = None
            case ops.ExecuteSQLOp() | ops.BulkInsertOp():
                pass
            case _:
                raise HistoryError(f"{type(operation).__name__} is no operation that a history can follow.")

    def column(self, table: str, schema: str | None, name: str) -> ColumnState:
        found = self.table(table, schema).columns.get(name)
        if found is None:
            raise HistoryError(f"There is no column `{table}.{name}` at this point of the history.")
        return found

    def add_column(self, operation: ops.AddColumnOp) -> None:
        table = self.table(operation.table_name, operation.schema)
        if operation.column.name in table.columns:
            raise HistoryError(
                f"The column `{table.label}.{operation.column.name}` exists already at this point of the history."
            )
        # A table of this one column has the constraints and indexes that come with it.
        alone = sa.Table(table.name, sa.MetaData(), operation.column._copy(), schema=table.schema)
        table.take(alone)

    def alter_column(self, operation: ops.AlterColumnOp) -> None:
        table = self.table(operation.table_name, operation.schema)
        column = self.column(operation.table_name, operation.schema, operation.column_name)
        if operation.modify_type is not None:
            column = replace(column, type=sa.types.to_instance(operation.modify_type))
        if operation.modify_nullable is not None:
            column = replace(column, nullable=operation.modify_nullable)
        if operation.modify_server_default is not False:
            column = replace(column, default=default_of(operation.modify_server_default))
        if operation.modify_comment is not False:
            column = replace(column, comment=operation.modify_comment)
        table.columns[column.name] = column
        if operation.modify_name:
            self.rename_column(table, column.name, operation.modify_name)

    def drop_index(self, operation: ops.DropIndexOp) -> None:
        tables = list(self.tables.values())
        if operation.table_name is not None:
            tables = [self.table(operation.table_name, operation.schema)]
        for table in tables:
            if table.indexes.pop(str(operation.index_name), None) is not None:
                return
        raise HistoryError(f"There is no index `{operation.index_name}` at this point of the history.")

    def add_constraint(self, operation: ops.AddConstraintOp) -> None:
        constraint = operation.to_constraint()
        assert constraint.table is not None
        self.table(constraint.table.name, constraint.table.schema).constrain(constraint)

    # To SQLAlchemy

    def metadata(self, keys: Sequence[Key] | None = None) -> sa.MetaData:
        """The tables (those of `keys`) as SQLAlchemy has them."""
        result = sa.MetaData()
        for key, table in self.tables.items():
            if keys is None or key in keys:
                sql_table(table, result)
        return result


def column_state(column: sa.Column[Any]) -> ColumnState:
    return ColumnState(
        column.name,
        column.type,
        bool(column.nullable),
        default_of(column.server_default),
        column.autoincrement is True,
        column.comment,
    )


def default_of(default: Any) -> str | Now | None:
    """A server default, as a migration has it."""
    if default is None:
        return None
    found = getattr(default, "arg", default)
    if isinstance(found, Moment):
        return Now(found.kind)
    if isinstance(found, str):
        return sa.literal(found).compile(compile_kwargs={"literal_binds": True}).string
    return (
        str(found.compile(compile_kwargs={"literal_binds": True}))
        if hasattr(found, "compile")
        else str(found)
    )


def foreign_key_state(constraint: sa.ForeignKeyConstraint) -> ForeignKeyState:
    targets = [element.target_fullname.split(".") for element in constraint.elements]
    schema = targets[0][-3] if len(targets[0]) > 2 else None
    options = {
        name: getattr(constraint, name)
        for name in ("ondelete", "onupdate", "deferrable", "initially")
        if getattr(constraint, name) is not None
    }
    return ForeignKeyState(
        tuple(constraint.column_keys),
        (schema, targets[0][-2]),
        tuple(target[-1] for target in targets),
        options,
    )


def sql_column(column: ColumnState) -> sa.Column[Any]:
    return sa.Column(
        column.name,
        column.type,
        nullable=column.nullable,
        server_default=default_clause(column.default),
        autoincrement=True if column.autoincrement else "auto",
        comment=column.comment,
    )


def default_clause(default: str | Now | None) -> Any:
    if default is None or isinstance(default, Now):
        return default
    return sa.text(escaped(default))


def escaped(sql: str) -> str:
    """SQL in which no colon begins a parameter."""
    return sql.replace(":", "\\:")


def sql_table(table: TableState, metadata: sa.MetaData) -> sa.Table:
    items: list[Any] = [sql_column(column) for column in table.columns.values()]
    if table.primary_key:
        items.append(sa.PrimaryKeyConstraint(*table.primary_key, name=named(table.primary_key_name)))
    items += (sa.UniqueConstraint(*columns, name=conv(name)) for name, columns in table.uniques.items())
    items += (sa.CheckConstraint(sql, name=conv(name)) for name, sql in table.checks.items())
    for name, key in table.foreign_keys.items():
        prefix = ".".join(filter(None, key.target))
        targets = [f"{prefix}.{column}" for column in key.target_columns]
        items.append(
            sa.ForeignKeyConstraint(key.columns, targets, name=conv(name), link_to_name=True, **key.options)
        )
    made = sa.Table(table.name, metadata, *items, schema=table.schema, comment=table.comment, **table.options)
    for name, index in table.indexes.items():
        columns = [made.c[part] if part in made.c else sa.text(part) for part in index.columns]
        options = {key: sa.text(value) if isinstance(value, str) and key.endswith("_where") else value
                   for key, value in index.options.items()}  # fmt: skip
        # A text alone does not tell Index which table it is of.
        made.append_constraint(sa.Index(conv(name), *columns, unique=index.unique, **options))  # type: ignore[arg-type]
    return made


def named(name: str | None) -> conv | None:
    return None if name is None else conv(name)
