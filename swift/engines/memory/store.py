"""The rows of one table in memory, its unique indexes, and the log that undoes changes.

A row is a dict from column names to canonical values, and is never changed: an update puts another in its
place. So whoever holds a row holds it as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from swift.engines.errors import IntegrityError
from swift.engines.schema import Column, Table

Row = dict[str, Any]
Undo = Callable[[], None]


class UniqueIndex:
    """From the values of some columns to the key of the one row that has them. NULL equals nothing."""

    def __init__(
        self,
        columns: tuple[str, ...],
        constraint: str | None = None,
        covers: Callable[[Row], bool] | None = None,
    ) -> None:
        self.columns = columns
        self.constraint = constraint
        # Which rows it holds, where it does not hold all.
        self.covers = covers
        self.keys: dict[tuple[Any, ...], Any] = {}

    def entry(self, row: Row) -> tuple[Any, ...] | None:
        values = tuple(row[name] for name in self.columns)
        if self.covers is not None and not self.covers(row):
            return None
        return None if None in values else values


class Store:
    """The rows of one table by primary key, in the order they came."""

    def __init__(self, table: Table, log: list[Undo]) -> None:
        self.table = table
        self.log = log
        self.rows: dict[Any, Row] = {}
        # When each row came. An undone removal puts its row at the end; it is sorted in when next asked for.
        self.came: dict[Any, int] = {}
        self.count = 0
        self.sorted = True
        self.key = table.primary_key.name
        self.last_id = 0
        self.indexes = [
            UniqueIndex((column.name,))
            for column in table.columns
            if column.unique and not column.primary_key
        ]
        self.indexes += (UniqueIndex(unique.fields, unique.name) for unique in table.uniques)
        self.indexes += (
            UniqueIndex(
                tuple(name.removeprefix("-") for name in index.fields),
                index.name,
                covering(table, index.where),
            )
            for index in table.indexes
            if index.unique
        )

    def __iter__(self) -> Iterator[Row]:
        if not self.sorted:
            self.rows = {key: self.rows[key] for key in sorted(self.rows, key=self.came.__getitem__)}
            self.sorted = True
        return iter(list(self.rows.values()))

    def next_id(self) -> int:
        self.last_id += 1
        return self.last_id

    def clash(self, row: Row, instead_of: Any = None) -> tuple[UniqueIndex | None, Any] | None:
        """The index (None: the primary key) that `row` would break and the key of the row in its way."""
        key = row[self.key]
        if key in self.rows and key != instead_of:
            return None, key
        for index in self.indexes:
            entry = index.entry(row)
            if entry is not None and (holder := index.keys.get(entry)) is not None and holder != instead_of:
                return index, holder
        return None

    def require(self, row: Row, instead_of: Any = None) -> None:
        """Raise IntegrityError where `row` breaks NOT NULL or uniqueness."""
        for column in self.table.columns:
            if row[column.name] is None and not column.nullable:
                raise self.refusal("NOT NULL", "not_null", (column.name,))
        found = self.clash(row, instead_of)
        if found is not None:
            index = found[0]
            columns = (self.key,) if index is None else index.columns
            raise self.refusal("UNIQUE", "unique", columns, index.constraint if index else None)

    def refusal(
        self, rule: str, kind: Any, columns: tuple[str, ...] = (), constraint: str | None = None
    ) -> IntegrityError:
        places = ", ".join(f"{self.table.name}.{name}" for name in columns)
        return IntegrityError(
            f"{rule} constraint failed: {places or constraint}",
            kind,
            table=self.table.name,
            columns=columns,
            constraint=constraint,
        )

    # Changes, each with what undoes it

    def put(self, row: Row, instead_of: Any = None) -> None:
        """Add a row, or let it take the place of the one with the key `instead_of`."""
        key = row[self.key]
        if instead_of is not None:
            came = self.came[instead_of]
            self.remove(instead_of)
            self.came[key] = came
            self.sorted = False
        else:
            self.count += 1
            self.came[key] = self.count
        self.rows[key] = row
        self.index(row)
        if isinstance(key, int):
            self.last_id = max(self.last_id, key)

        def undo() -> None:
            self.unindex(row)
            del self.rows[key], self.came[key]

        self.log.append(undo)

    def remove(self, key: Any) -> None:
        row, came = self.rows.pop(key), self.came.pop(key)
        self.unindex(row)

        def undo() -> None:
            self.rows[key], self.came[key] = row, came
            self.sorted = False
            self.index(row)

        self.log.append(undo)

    def index(self, row: Row) -> None:
        for index in self.indexes:
            if (entry := index.entry(row)) is not None:
                index.keys[entry] = row[self.key]

    def unindex(self, row: Row) -> None:
        for index in self.indexes:
            if (entry := index.entry(row)) is not None:
                index.keys.pop(entry, None)


def covering(table: Table, where: str | None) -> Callable[[Row], bool] | None:
    """Which rows a partial index holds: those of which its condition is true."""
    if where is None:
        return None
    from swift.engines.memory.changes import evaluated

    return lambda row: bool(evaluated(where, table, row))


def referrers(stores: dict[int, Store], table: Table) -> list[tuple[Store, Column]]:
    """The columns of all tables that refer to `table`."""
    return [
        (store, column)
        for store in stores.values()
        for column in store.table.columns
        if column.reference is not None and column.reference.target() is table
    ]
