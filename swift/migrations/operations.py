"""Operations: Alembic's, with the history's state kept beside, and what a migration does with rows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn, cast

import sqlalchemy as sa
from alembic.operations import BatchOperations, ops
from alembic.operations import Operations as AlembicOperations
from alembic.operations.batch import BatchOperationsImpl
from alembic.runtime.migration import MigrationContext

from swift.migrations.data import Data, drive
from swift.migrations.errors import HistoryError
from swift.migrations.kinds import widens
from swift.migrations.rebuilding import Rebuilding
from swift.migrations.state import State

DataFunction = Callable[[Data], Awaitable[None]]


class Operations(AlembicOperations):
    """What `upgrade(op)` and `downgrade(op)` of a migration are given.

    `state` follows each operation. With `recorded` nothing is run: the history is only read.
    """

    def __init__(self, context: MigrationContext, state: State, *, recorded: bool = False) -> None:
        super().__init__(context)
        self.state = state
        self.recorded = recorded
        # What is lost by the operations so far, a sentence each; and whether rows were touched otherwise.
        self.losses: list[str] = []
        self.touches_rows = False

    # Rows

    def run(self, function: DataFunction) -> None:
        """Await `function(data)` here, inside the migration's transaction."""
        self.touches_rows = True
        if self.recorded:
            return
        if self.migration_context.as_sql:
            self.note(f"Here runs {function.__module__}.{function.__qualname__}, which is no SQL.")
            return

        async def call() -> None:
            await function(Data(self.get_bind()))

        drive(call())

    def fill(self, table: str, column: str, value: Any, *, schema: str | None = None) -> None:
        """Give every row that has NULL in `column` a value: `value`, or what it returns, asked once per row."""
        self.touches_rows = True
        found = self.state.table(table, schema)
        type_ = self.state.column(table, schema, column).type
        if self.recorded:
            return
        made = sa.table(
            table,
            sa.column(column, type_),
            *(sa.column(key, found.columns[key].type) for key in found.primary_key if key != column),
            schema=schema,
        )
        empty = made.c[column].is_(None)
        if not callable(value):
            self.execute(made.update().where(empty).values({column: sa.literal(value, type_)}))
            return
        if self.migration_context.as_sql:
            self.note(f"Here {table}.{column} is filled by {value.__qualname__}(), row by row.")
            return
        keys = [made.c[key] for key in found.primary_key]
        connection = self.get_bind()
        for row in connection.execute(sa.select(*keys).where(empty)).all():
            same = sa.and_(*(key == part for key, part in zip(keys, row, strict=True)))
            connection.execute(made.update().where(same).values({column: value()}))

    def create_schema(self, name: str) -> None:
        """Make a schema of PostgreSQL, unless it is there. Nothing on SQLite, which has none."""
        if not self.recorded and self.migration_context.dialect.name == "postgresql":
            self.migration_context.impl._exec(sa.schema.CreateSchema(name, if_not_exists=True))

    def note(self, text: str) -> None:
        self.migration_context.impl.static_output(f"-- {text}")

    # Tables

    def invoke(self, operation: Any) -> Any:
        self.follow(operation)
        result = operation.to_table() if self.recorded and isinstance(operation, ops.CreateTableOp) else None
        if not self.recorded:
            result = super().invoke(operation)
        self.state.apply(operation)
        return result

    def follow(self, operation: ops.MigrateOperation) -> None:
        self.losses += losses(operation, self.state)
        if isinstance(operation, (ops.ExecuteSQLOp, ops.BulkInsertOp)):
            self.touches_rows = True

    def get_bind(self) -> sa.Connection:
        if self.recorded:
            raise HistoryError(
                "A migration asks for the connection while the history is only read. What reads or writes rows "
                "belongs into a function for `op.run(...)`."
            )
        return super().get_bind()

    @contextmanager
    def batch_alter_table(
        self,
        table_name: str,
        schema: str | None = None,
        recreate: Any = "auto",
        partial_reordering: list[tuple[str, ...]] | None = None,
        copy_from: sa.Table | None = None,
        table_args: tuple[Any, ...] = (),
        table_kwargs: Mapping[str, Any] | None = None,
        reflect_args: tuple[Any, ...] = (),
        reflect_kwargs: Mapping[str, Any] | None = None,
        naming_convention: dict[str, str] | None = None,
    ) -> Iterator[BatchOperations]:
        """Several changes of one table. SQLite alters little in place: there the table is built anew, and
        its rows, triggers, indexes and counters are taken over.
        """
        sqlite = self.migration_context.dialect.name == "sqlite" and not self.recorded
        offline = self.migration_context.as_sql
        if sqlite and offline and copy_from is None:
            key = (schema, table_name)
            copy_from = self.state.metadata([key, *self.referred(key)]).tables[
                f"{schema}.{table_name}" if schema else table_name
            ]
        rebuilding = Rebuilding(self.get_bind(), table_name, schema) if sqlite and not offline else None
        if rebuilding is not None and copy_from is None and not reflect_args and not reflect_kwargs:
            copy_from = rebuilding.reflected()
        impl = BatchOperationsImpl(
            self, table_name, schema, recreate, copy_from, table_args, table_kwargs or {}, reflect_args,
            reflect_kwargs or {}, naming_convention, partial_reordering,
        )  # type: ignore[no-untyped-call]  # fmt: skip
        batch = Batch(self.migration_context, impl=impl)
        batch.whole = self
        yield cast(BatchOperations, batch)
        if self.recorded or not impl.batch:
            return
        if sqlite and (renames := only_renames(impl.batch)):
            # In place, so that views and triggers follow.
            quote = self.migration_context.dialect.identifier_preparer.quote
            for old, new in renames:
                where = f"{quote(schema)}.{quote(table_name)}" if schema else quote(table_name)
                self.migration_context.impl._exec(
                    f"ALTER TABLE {where} RENAME COLUMN {quote(old)} TO {quote(new)}"
                )
            return
        if rebuilding is None or not impl._should_recreate():
            impl.flush()
            return
        rebuilding.dropped = {str(args[0].name) for name, args, _ in impl.batch if name == "drop_index"}
        with rebuilding:
            impl.flush()

    def referred(self, key: tuple[str | None, str]) -> list[tuple[str | None, str]]:
        table = self.state.tables.get(key)
        return [] if table is None else [foreign.target for foreign in table.foreign_keys.values()]


class Batch(BatchOperations):
    """The operations of one table; the state follows them too."""

    whole: Operations

    def invoke(self, operation: Any) -> Any:
        self.whole.follow(operation)
        result = None if self.whole.recorded else super().invoke(operation)
        self.whole.state.apply(operation)
        return result

    def get_bind(self) -> NoReturn:
        raise HistoryError("Rows are read and written by `op.run(...)`, outside of batch_alter_table.")


def only_renames(batch: list[tuple[str, Any, dict[str, Any]]]) -> list[tuple[str, str]]:
    """The (old, new) names, if the batch does nothing but rename columns."""
    found = []
    for name, args, options in batch:
        changes = {
            key
            for key, value in options.items()
            if not (key.startswith("existing_") or value is None or value is False or key == "schema")
        }
        if name != "alter_column" or changes - {"name"} or not options.get("name"):
            return []
        found.append((str(args[1]), str(options["name"])))
    return found


def losses(operation: ops.MigrateOperation, state: State) -> list[str]:
    """What `operation` takes away from the rows, in sentences."""
    match operation:
        case ops.DropTableOp():
            state.table(operation.table_name, operation.schema)
            return [f"the table `{operation.table_name}` is dropped"]
        case ops.DropColumnOp():
            return [f"the column `{operation.table_name}.{operation.column_name}` is dropped"]
        case ops.AlterColumnOp() if operation.modify_type is not None:
            old = state.column(operation.table_name, operation.schema, operation.column_name).type
            new = sa.types.to_instance(operation.modify_type)
            if not widens(old, new):
                where = f"{operation.table_name}.{operation.column_name}"
                return [f"the column `{where}` changes from {old!r} to {new!r}, which not every value fits"]
    return []
