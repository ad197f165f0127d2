"""CREATE and DROP of tables, for tests and first steps; a deployed database changes by migrations."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex, CreateTable, DropTable

from swift.engines.metadata import metadata
from swift.engines.schema import Table


def create_statements(tables: Sequence[Table], dialect: sa.Dialect) -> list[str]:
    """What creates `tables` and their indexes where they do not exist yet."""
    made = metadata(with_references(tables))
    names = {(table.schema, table.name) for table in tables}
    statements = []
    for table in made.sorted_tables:
        if (table.schema, table.name) in names:
            statements.append(str(CreateTable(table, if_not_exists=True).compile(dialect=dialect)))
            statements += (
                str(CreateIndex(index, if_not_exists=True).compile(dialect=dialect))
                for index in sorted(table.indexes, key=lambda index: str(index.name))
            )
    return statements


def drop_statements(tables: Sequence[Table], dialect: sa.Dialect) -> list[str]:
    """What drops `tables` where they exist, the referring before the referenced."""
    made = metadata(with_references(tables))
    names = {(table.schema, table.name) for table in tables}
    return [
        str(DropTable(table, if_exists=True).compile(dialect=dialect))
        for table in reversed(made.sorted_tables)
        if (table.schema, table.name) in names
    ]


def with_references(tables: Sequence[Table]) -> list[Table]:
    """`tables` and every table they refer to, so that each foreign key finds its target."""
    found: list[Table] = []
    waiting = list(tables)
    while waiting:
        table = waiting.pop(0)
        if any(table is other for other in found):
            continue
        found.append(table)
        waiting += (column.reference.target() for column in table.columns if column.reference is not None)
    return found
