"""What must be done so that tables become what the models say: Alembic's autogenerate, asked about a history.

Alembic compares models with a database it inspects. Here the inspected side is the state that the migrations
lead to, so no database is needed, and what is written down but not applied yet is not written down again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy.dialects import postgresql

from swift.engines.ddl import with_references
from swift.engines.metadata import metadata
from swift.engines.schema import Table
from swift.migrations.kinds import Kind
from swift.migrations.state import (
    Key,
    State,
    TableState,
    default_clause,
    default_of,
    sql_table,
)


class PrimaryKeyOp(ops.MigrateOperation):
    """Another primary key of a table, which Alembic does not write."""

    def __init__(self, old: TableState, new: TableState) -> None:
        self.old = old
        self.new = new

    def reverse(self) -> PrimaryKeyOp:
        return PrimaryKeyOp(self.new, self.old)


def target_metadata(tables: Iterable[Table]) -> sa.MetaData:
    """The models' tables, their types named as migrations name them."""
    ours = list(tables)
    tables = with_references(ours)
    made = metadata(tables)
    for table in tables:
        sql = made.tables[f"{table.schema}.{table.name}" if table.schema else table.name]
        for column in table.columns:
            found = sql.c[column.name]
            found.type = Kind.of(column)
            if (default := default_of(found.server_default)) is not None:
                found.server_default = sa.DefaultClause(default_clause(default))
            if not column.primary_key:
                found.autoincrement = "auto"
        # Referred to only: somebody else makes it.
        sql.info["foreign"] = not any(table is other for other in ours)
        if not any(column.autoincrement for column in table.columns):
            sql.kwargs.pop("sqlite_autoincrement", None)
    return made


class StateInspector:
    """A State, answering as SQLAlchemy's Inspector answers Alembic."""

    def __init__(self, state: State, dialect: sa.Dialect) -> None:
        self.state = state
        self.dialect = dialect
        self.bind = self
        self.info_cache: dict[Any, Any] = {}

    def __getattr__(self, name: str) -> Any:
        # Everything of several tables at once is asked table by table instead.
        if name.startswith("get_multi_"):
            return lambda **_: {}
        raise AttributeError(name)

    def get_table_names(self, schema: str | None = None) -> list[str]:
        return [name for where, name in self.state.tables if where == schema]

    def get_unique_constraints(self, table: str, schema: str | None = None) -> list[dict[str, Any]]:
        found = self.state.table(table, schema).uniques
        return [{"name": name, "column_names": list(columns)} for name, columns in found.items()]

    def get_indexes(self, table: str, schema: str | None = None) -> list[dict[str, Any]]:
        state = self.state.table(table, schema)
        made = []
        for name, index in state.indexes.items():
            plain = [part if part in state.columns else None for part in index.columns]
            entry = {
                "name": name,
                "column_names": plain,
                "unique": index.unique,
                "dialect_options": index.options,
            }
            if None in plain:
                entry["expressions"] = list(index.columns)
            made.append(entry)
        return made

    def get_foreign_keys(self, table: str, schema: str | None = None) -> list[dict[str, Any]]:
        return [
            {
                "name": name,
                "constrained_columns": list(key.columns),
                "referred_schema": key.target[0],
                "referred_table": key.target[1],
                "referred_columns": list(key.target_columns),
                "options": key.options,
            }
            for name, key in self.state.table(table, schema).foreign_keys.items()
        ]

    def nothing(self, table: str, schema: str | None = None) -> Any:
        return []

    get_columns = get_pk_constraint = get_check_constraints = get_table_options = nothing

    def get_table_comment(self, table: str, schema: str | None = None) -> dict[str, Any]:
        return {"text": self.state.table(table, schema).comment}

    def reflect_table(self, table: sa.Table, **_: Any) -> None:
        """Fill in `table` as it is in the state."""
        state = self.state.table(table.name, table.schema)
        made = sql_table(state, sa.MetaData())
        table.comment = made.comment
        table.kwargs.update(made.kwargs)
        for column in made.columns:
            table.append_column(column._copy())
        for constraint in made.constraints:
            # Foreign keys are compared by what the inspector says; here they would need their targets.
            table.append_constraint(constraint._copy(target_table=table))
        for index in made.indexes:
            table.append_constraint(
                sa.Index(
                    index.name,
                    *(
                        table.c[part.name] if isinstance(part, sa.Column) else part
                        for part in index.expressions
                    ),
                    unique=index.unique,
                    **index.kwargs,
                )
            )


class Comparison(AutogenContext):
    inspected: StateInspector

    @property
    def inspector(self) -> Any:
        return self.inspected

    @property
    def sorted_tables(self) -> list[sa.Table]:
        """Referenced tables first where no circle forbids; a circle is no reason for a warning here."""
        assert isinstance(self.metadata, sa.MetaData)
        ordered = sa.schema.sort_tables_and_constraints(self.metadata.tables.values())  # type: ignore[no-untyped-call]
        return [table for table, _ in ordered if table is not None]


def compared(state: State, target: sa.MetaData) -> ops.UpgradeOps:
    """The operations that lead from `state` to `target`, as Alembic finds them, and checks besides."""
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    context = MigrationContext.configure(
        dialect=dialect,
        opts={
            "target_metadata": target,
            "include_object": lambda item, *_: not item.info.get("foreign"),
            "include_schemas": True,
            "compare_type": lambda _, __, ___, old, new: repr(old) != repr(new),
            "compare_server_default": differ,
        },
    )
    comparison = Comparison(context, target)
    comparison.inspected = StateInspector(state, dialect)
    found = ops.UpgradeOps([])
    schemas = (
        {schema for schema, _ in state.tables} | {table.schema for table in target.tables.values()} | {None}
    )
    comparison.comparators.dispatch("schema", qualifier=dialect.name)(comparison, found, schemas)
    compare_rules(state, target, found)
    return found


def differ(_: Any, old: sa.Column[Any], new: sa.Column[Any], *__: Any) -> bool:
    """Whether two columns have other defaults."""
    return repr(default_of(old.server_default)) != repr(default_of(new.server_default))


def compare_rules(state: State, target: sa.MetaData, found: ops.UpgradeOps) -> None:
    """CHECKs, primary keys and conditions of indexes, which Alembic does not compare."""
    wanted = State.of(target, foreign=False)
    for key in state.tables.keys() & wanted.tables.keys():
        old, new = state.tables[key], wanted.tables[key]
        made: list[ops.MigrateOperation] = []
        before, after = sql_table(old, sa.MetaData()), sql_table(new, sa.MetaData())
        gone = {name for name, sql in old.checks.items() if new.checks.get(name) != sql}
        come = {name for name, sql in new.checks.items() if old.checks.get(name) != sql}
        for table, names, operation in (
            (before, gone, ops.DropConstraintOp),
            (after, come, ops.AddConstraintOp),
        ):
            checks = sorted(
                (
                    each
                    for each in table.constraints
                    if isinstance(each, sa.CheckConstraint) and each.name in names
                ),
                key=lambda each: str(each.name),
            )
            made += (operation.from_constraint(check) for check in checks)
        # Alembic compares the conditions of indexes on no database.
        for name in sorted(old.indexes.keys() & new.indexes.keys()):
            if old.indexes[name].conditions != new.indexes[name].conditions:
                made += (
                    operation.from_index(next(index for index in table.indexes if index.name == name))
                    for table, operation in ((before, ops.DropIndexOp), (after, ops.CreateIndexOp))
                )
        if old.primary_key != new.primary_key:
            found.ops.append(PrimaryKeyOp(old, new))
        if made:
            modify_ops(found, key).ops.extend(made)


def modify_ops(found: ops.UpgradeOps, key: Key) -> ops.ModifyTableOps:
    for each in found.ops:
        if isinstance(each, ops.ModifyTableOps) and (each.schema, each.table_name) == key:
            return each
    made = ops.ModifyTableOps(key[1], [], schema=key[0])
    found.ops.append(made)
    return made
