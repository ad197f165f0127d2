"""From what differs to a migration that works: renames, values for rows that have none, an order.

Rule 1. Renames come first. What went and what came with the same type is a rename or not; only the author
knows. An answered rename is applied to the state, and everything is compared again.

Rule 2. A column that becomes NOT NULL gets its values before: it is added without the rule, filled, and
then given the rule. The value is the model's default, or the author's answer; never a default of the database.

Rule 3. Foreign keys of tables that refer to each other are added when all of the tables are there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from alembic.operations import ops
from sqlalchemy.dialects import postgresql

from swift.migrations.comparing import compared
from swift.migrations.errors import AnswerNeeded
from swift.migrations.kinds import Kind
from swift.migrations.state import State, TableState, foreign_key_state

# A value in a migration: a literal, or a function and how the file imports it.
NOTHING = object()
Renamed = Callable[[str, str], bool | None]
Value = Callable[[str, str], Any]


@dataclass
class Answers:
    """What the author says: old → new names (`book.name` or `book`), names that are no renames, and values
    for rows that have none (`book.pages`).
    """

    renames: Mapping[str, str] = field(default_factory=dict)
    no_renames: bool = False
    values: Mapping[str, Any] = field(default_factory=dict)
    # Asked where the above does not say; None is "I do not know".
    ask_rename: Renamed = lambda old, new: None
    ask_value: Value = lambda table, column: NOTHING

    def renamed(self, old: str, new: str) -> bool | None:
        if old in self.renames or new in self.renames.values():
            return self.renames.get(old) == new
        return False if self.no_renames else self.ask_rename(old, new)


class FillOp(ops.MigrateOperation):
    """`op.fill(table, column, value)` in a migration that is written."""

    def __init__(self, table: str, column: str, value: Any, schema: str | None = None) -> None:
        self.table = table
        self.column = column
        self.value = value
        self.schema = schema


class CreateSchemaOp(ops.MigrateOperation):
    """`op.create_schema(name)` in a migration that is written."""

    def __init__(self, name: str) -> None:
        self.name = name


def changes(
    state: State, target: sa.MetaData, answers: Answers, defaults: Mapping[str, Any]
) -> ops.UpgradeOps:
    """What leads from `state` to `target`. `defaults`: of each column (`book.pages`) what the model gives rows
    that have nothing. Raises AnswerNeeded.
    """
    state = state.copy()
    renames = settle_renames(state, target, answers)
    found = compared(state, target)
    found.ops = [*renames, *arranged(found.ops, state, answers, defaults)]
    return found


def settle_renames(state: State, target: sa.MetaData, answers: Answers) -> list[ops.MigrateOperation]:
    made: list[ops.MigrateOperation] = []
    questions: list[str] = []
    wanted = State.of(target, foreign=False)
    come = [key for key in wanted.tables if key not in state.tables]
    for old_key in [key for key in state.tables if key not in wanted.tables]:
        for new_key in come:
            old, new = state.tables[old_key], wanted.tables[new_key]
            if old_key[0] != new_key[0] or not (
                alike(old, new) or answers.renames.get(old.label) == new.label
            ):
                continue
            answer = answers.renamed(old.label, new.label)
            if answer is None:
                questions.append(question(old.label, new.label))
            elif answer:
                operation: ops.MigrateOperation = ops.RenameTableOp(old.name, new.name, schema=old.schema)
                state.apply(operation)
                made.append(operation)
                come.remove(new_key)
                break
    for key in [key for key in wanted.tables if key in state.tables]:
        table, new = state.tables[key], wanted.tables[key]
        appeared = [name for name in new.columns if name not in table.columns]
        for old_name in [name for name in table.columns if name not in new.columns]:
            for new_name in appeared:
                old_label, new_label = f"{table.label}.{old_name}", f"{table.label}.{new_name}"
                same = repr(table.columns[old_name].type) == repr(new.columns[new_name].type)
                if not same and answers.renames.get(old_label) != new_label:
                    continue
                answer = answers.renamed(old_label, new_label)
                if answer is None:
                    questions.append(question(old_label, new_label))
                elif answer:
                    column = table.columns[old_name]
                    operation = ops.AlterColumnOp(
                        table.name, old_name, schema=table.schema, modify_name=new_name,
                        existing_type=column.type, existing_nullable=column.nullable,
                    )  # fmt: skip
                    state.apply(operation)
                    made.append(ops.ModifyTableOps(table.name, [operation], schema=table.schema))
                    appeared.remove(new_name)
                    break
    if questions:
        raise AnswerNeeded(questions)
    return made


def question(old: str, new: str) -> str:
    return (
        f"`{old}` went and `{new}` came: if it is renamed, say --rename {old}={new}, otherwise --no-renames."
    )


def alike(old: TableState, new: TableState) -> bool:
    """Whether half of the columns are the same."""
    same = sum(
        name in new.columns and repr(column.type) == repr(new.columns[name].type)
        for name, column in old.columns.items()
    )
    return 2 * same >= max(len(old.columns), len(new.columns))


def arranged(
    found: Sequence[ops.MigrateOperation], state: State, answers: Answers, defaults: Mapping[str, Any]
) -> list[ops.MigrateOperation]:
    """The operations in an order that works: new schemas and tables, changes, foreign keys in circles, what goes."""
    questions: list[str] = []
    creates = [each for each in found if isinstance(each, ops.CreateTableOp)]
    late = circles(creates)
    drops = [each for each in found if isinstance(each, ops.DropTableOp)]
    changed: list[ops.MigrateOperation] = []
    dropped = {(each.schema, each.table_name) for each in drops}
    for each in found:
        if isinstance(each, ops.ModifyTableOps):
            if (each.schema, each.table_name) in dropped:
                continue  # its indexes and keys go with it
            changed += with_values(each, state, answers, defaults, questions)
        elif each not in creates and each not in drops:
            changed.append(each)
    if questions:
        raise AnswerNeeded(questions)
    known = {schema for schema, _ in state.tables} | {None}
    new = dict.fromkeys(each.schema for each in creates if each.schema not in known)
    schemas = [CreateSchemaOp(name) for name in new if name is not None]
    return [*schemas, *creates, *changed, *late, *in_order_of_going(drops, state)]


def circles(creates: Sequence[ops.CreateTableOp]) -> list[ops.MigrateOperation]:
    """Foreign keys to tables that are created later, taken out of `creates` to be added at the end."""
    late: list[ops.MigrateOperation] = []
    coming = [(each.schema, each.table_name) for each in creates]
    for each in creates:
        coming.remove((each.schema, each.table_name))
        for item in list(each.columns):
            if isinstance(item, sa.ForeignKeyConstraint) and foreign_key_state(item).target in coming:
                made = ops.CreateForeignKeyOp.from_constraint(item)
                take_out(each, item)
                late.append(ops.ModifyTableOps(each.table_name, [made], schema=each.schema))
    return late


def take_out(create: ops.CreateTableOp, key: sa.ForeignKeyConstraint) -> None:
    """Create the table without the foreign key; columns made anew, since a column knows its keys."""
    create.columns = [
        sa.Column(
            item.name,
            item.type,
            nullable=item.nullable,
            server_default=item.server_default.arg  # type: ignore[arg-type]
            if isinstance(item.server_default, sa.DefaultClause)
            else None,
            autoincrement=item.autoincrement,
            comment=item.comment,
        )
        if isinstance(item, sa.Column) and item.name in key.column_keys
        else item
        for item in create.columns
        if item is not key
    ]


def in_order_of_going(drops: Sequence[ops.DropTableOp], state: State) -> list[ops.MigrateOperation]:
    """The referring before the referenced; a circle is cut open first."""
    waiting = {(each.schema, each.table_name): each for each in drops}
    made: list[ops.MigrateOperation] = []
    while waiting:
        referred = {
            key.target
            for here in waiting
            for key in state.tables[here].foreign_keys.values()
            if key.target != here
        }
        free = [key for key in waiting if key not in referred]
        if not free:
            here = next(iter(waiting))
            for each in waiting:
                for name, foreign in state.tables[each].foreign_keys.items():
                    if foreign.target == here and each != here:
                        table = state.metadata([each, here]).tables[state.tables[each].label]
                        found = next(item for item in table.constraints if item.name == name)
                        cut = ops.DropConstraintOp.from_constraint(found)
                        made.append(ops.ModifyTableOps(each[1], [cut], schema=each[0]))
                        undoing = waiting[each]._reverse
                        assert undoing is not None
                        for item in list(undoing.columns):
                            if isinstance(item, sa.ForeignKeyConstraint) and item.name == name:
                                take_out(undoing, item)
            free = [here]
        made += (waiting.pop(key) for key in free)
    return made


def with_values(
    modify: ops.ModifyTableOps,
    state: State,
    answers: Answers,
    defaults: Mapping[str, Any],
    questions: list[str],
) -> list[ops.MigrateOperation]:
    """The changes of one table, what becomes NOT NULL filled before."""
    key = (modify.schema, modify.table_name)
    label = ".".join(filter(None, key))
    if key not in state.tables:
        return [modify]
    first: list[ops.MigrateOperation] = []
    fills: list[ops.MigrateOperation] = []
    then: list[ops.MigrateOperation] = []
    for each in modify.ops:
        name = str(getattr(each, "column_name", None) or getattr(getattr(each, "column", None), "name", ""))
        where = f"{label}.{name}"
        if (
            isinstance(each, ops.AddColumnOp)
            and not each.column.nullable
            and each.column.server_default is None
        ):
            value = value_for(where, answers, defaults, questions)
            column = each.column._copy()
            column.nullable = True
            added = ops.AddColumnOp(each.table_name, column, schema=each.schema, **each.kw)
            first.append(added)
            fills.append(FillOp(each.table_name, name, value, each.schema))
            then.append(
                ops.AlterColumnOp(
                    each.table_name, name, schema=each.schema, existing_type=column.type,
                    existing_nullable=True, modify_nullable=False,
                )
            )  # fmt: skip
        elif isinstance(each, ops.AlterColumnOp) and each.modify_nullable is False:
            fills.append(
                FillOp(each.table_name, name, value_for(where, answers, defaults, questions), each.schema)
            )
            then.append(cast_by_postgresql(each))
        else:
            then.append(cast_by_postgresql(each))
    made: list[ops.MigrateOperation] = []
    if first:
        made.append(ops.ModifyTableOps(modify.table_name, first, schema=modify.schema))
    made += fills
    if then:
        made.append(ops.ModifyTableOps(modify.table_name, then, schema=modify.schema))
    return made


def value_for(where: str, answers: Answers, defaults: Mapping[str, Any], questions: list[str]) -> Any:
    if where in answers.values:
        return answers.values[where]
    if where in defaults:
        return defaults[where]
    table, _, column = where.rpartition(".")
    value = answers.ask_value(table, column)
    if value is NOTHING:
        questions.append(
            f"`{where}` takes no NULL, and the rows that are there have no value for it: say --value {where}=..., "
            "or give the field a default."
        )
    return value


def cast_by_postgresql(operation: ops.MigrateOperation) -> ops.MigrateOperation:
    """PostgreSQL changes a type by itself only where no value could fail; otherwise it wants to be told how."""
    if isinstance(operation, ops.AlterColumnOp) and operation.modify_type is not None:
        old, new = operation.existing_type, operation.modify_type
        if isinstance(old, Kind) and isinstance(new, Kind) and old.kind != new.kind:
            dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
            name = dialect.identifier_preparer.quote(operation.column_name)
            operation.kw["postgresql_using"] = f"{name}::{new.compile(dialect)}"
    return operation
