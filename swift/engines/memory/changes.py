"""Inserts, updates and deletes over stores, with the rules a database would keep."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from swift.engines import statements as st
from swift.engines.binding import Slot
from swift.engines.errors import IntegrityError, ProgrammingError
from swift.engines.memory.plans import Evaluate, Planner
from swift.engines.memory.selects import Tables
from swift.engines.memory.store import Row, Store, referrers
from swift.engines.schema import Column, Table
from swift.engines.sqlite.values import storage
from swift.engines.values import checker

# What a change answers: how many rows it changed, and what it returned of them.
Changed = tuple[int, list[tuple[Any, ...]]]
Change = Callable[[Sequence[Any]], Changed]


class Changes:
    """Plans changes to the stores of one database."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables

    def insert(self, insert: st.Insert, slots: list[Slot]) -> Change:
        planner = Planner(self.tables, slots)
        table, conflict = insert.table, insert.conflict
        given = [(column, planner.stored(index, column)) for index, column in enumerate(insert.columns)]
        key = table.primary_key
        replaces = None
        if conflict is not None and conflict.where is not None:
            replaces = planner.condition(conflict.where)

        def run(values: Sequence[Any]) -> Changed:
            store = self.tables.store(table)
            row: Row = {
                column.name: None if column.default is None else default_of(column)
                for column in table.columns
            }
            row.update({column.name: value((), values) for column, value in given})
            if row[key.name] is None and key.autoincrement:
                row[key.name] = store.next_id()
            if conflict is not None and (clash := store.clash(row)) is not None:
                index, holder = clash
                target = {column.name for column in conflict.target}
                if target and target != set(index.columns if index else (key.name,)):
                    store.require(row)
                if not conflict.columns:
                    return 0, []
                if replaces is not None and not replaces((store.rows[holder],), values):
                    return 0, []
                changes = {column.name: row[column.name] for column in conflict.columns}
                row = {**store.rows[holder], **changes}
                self.replace(store, holder, row)
            else:
                store.require(row)
                self.check(store, row)
                store.put(row)
            return 1, [tuple(row[column.name] for column in insert.returning)]

        return run

    def update(self, update: st.Update, slots: list[Slot]) -> Change:
        planner = Planner(self.tables, slots)
        assigned = [(column, self.assigned(planner, column, value)) for column, value in update.changes]
        chosen = self.chosen(update.table, update.where, update.rows, slots)

        def run(values: Sequence[Any]) -> Changed:
            store = self.tables.store(update.table)
            returned: list[tuple[Any, ...]] = []
            keys = chosen(values)
            for key in keys:
                old = store.rows[key]
                row = {**old, **{column.name: value((old,), values) for column, value in assigned}}
                self.replace(store, key, row)
                returned.append(tuple(row[column.name] for column in update.returning))
            return len(keys), returned

        return run

    def assigned(self, planner: Planner, column: Column, value: st.Expression) -> Evaluate:
        if isinstance(value, st.Param):
            return planner.stored(value.index, column)
        compute = planner.expression(value)
        # What is computed is held against the rules of the table, as in a database.
        check = checker(None, replace(column, least=None, choices=None), stored=True)
        return lambda sources, values: None if (found := compute(sources, values)) is None else check(found)

    def delete(self, delete: st.Delete, slots: list[Slot]) -> Change:
        chosen = self.chosen(delete.table, delete.where, delete.rows, slots)

        def run(values: Sequence[Any]) -> Changed:
            store = self.tables.store(delete.table)
            keys = chosen(values)
            for key in keys:
                if key in store.rows:
                    self.remove(store, key)
            return len(keys), []

        return run

    def chosen(
        self, table: Table, where: st.Condition | None, rows: st.Select | None, slots: list[Slot]
    ) -> Callable[[Sequence[Any]], list[Any]]:
        """The function from parameters to the keys of the rows a change is about."""
        if rows is None:
            key = st.Output("key", st.ColumnRef(0, table.primary_key))
            rows = st.Select(table=table, outputs=(key,), where=where)
        find = self.tables.select(rows, slots)
        return lambda values: [row[0] for row in find(values)]

    # The rules

    def replace(self, store: Store, key: Any, row: Row) -> None:
        store.require(row, key)
        self.check(store, row)
        if row[store.key] != key:
            self.release(store, key, "changed")
        store.put(row, key)

    def check(self, store: Store, row: Row) -> None:
        """Raise IntegrityError where a reference points nowhere or a Check does not hold."""
        for column in store.table.columns:
            value = row[column.name]
            if column.reference is None or value is None:
                continue
            target = self.tables.store(column.reference.target())
            if value not in target.rows and not (target is store and value == row[store.key]):
                raise dangling(store, column)
        for rule in store.table.checks:
            if not holds(rule.sql, store.table, row):
                raise store.refusal("CHECK", "check", constraint=rule.name or rule.sql)

    def remove(self, store: Store, key: Any) -> None:
        self.release(store, key, "deleted")
        if key in store.rows:
            store.remove(key)

    def release(self, store: Store, key: Any, how: str) -> None:
        """Let the rows that refer to this one follow its end, as their columns say."""
        for other, column in referrers(self.tables.stores, store.table):
            referring = [row[other.key] for row in other if row[column.name] == key]
            assert column.reference is not None
            for one in referring:
                if other is store and one == key:
                    continue
                action = column.reference.on_delete if how == "deleted" else "restrict"
                if action == "cascade":
                    if one in other.rows:
                        self.remove(other, one)
                elif action in ("set_null", "set_default"):
                    left = default_of(column) if action == "set_default" and column.default else None
                    if left is not None and left == key:
                        raise dangling(other, column)
                    self.replace(other, one, {**other.rows[one], column.name: left})
                else:
                    raise dangling(other, column)


def dangling(store: Store, column: Column) -> IntegrityError:
    return IntegrityError(
        "FOREIGN KEY constraint failed", "foreign_key", table=store.table.name, columns=(column.name,)
    )


def default_of(column: Column) -> Any:
    assert column.default is not None
    if column.default.function == "now":
        now = datetime.now(UTC)
        return now if column.kind == "datetime" else now.replace(tzinfo=None)
    return checker(None, column, stored=True)(column.default.value)


def holds(sql: str, table: Table, row: Row) -> bool:
    """Whether a Check holds. NULL holds, as in every database."""
    found = evaluated(sql, table, row)
    return found is None or bool(found)


def evaluated(sql: str, table: Table, row: Row) -> Any:
    """The value of a condition written in SQL: SQLite evaluates it, over the one row."""
    columns = ", ".join(f'? AS "{column.name}"' for column in table.columns)
    values = [
        None
        if row[column.name] is None
        else storage(None, replace(column, least=None, choices=None, bits=None), stored=True)(
            row[column.name]
        )
        if column.kind != "json"
        else row[column.name]
        for column in table.columns
    ]
    connection = sqlite3.connect(":memory:")
    try:
        return connection.execute(f"SELECT ({sql}) FROM (SELECT {columns})", values).fetchone()[0]
    except sqlite3.Error as error:
        raise ProgrammingError(f"The check `{sql}` of {table.name} cannot be evaluated: {error}") from error
    finally:
        connection.close()
