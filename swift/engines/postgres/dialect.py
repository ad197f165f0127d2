"""What both engines of PostgreSQL share: the dialect, and what it compiles."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from swift.engines.interface import Isolation
from swift.engines.schema import Table
from swift.engines.statements import Compiled, Statement


class Dialect(ABC):
    dialect = "postgresql"

    @abstractmethod
    def transaction(self, isolation: Isolation | None = None) -> AbstractAsyncContextManager[Any]: ...

    def compile(self, statement: Statement) -> Compiled:
        from swift.engines.postgres.compiler import PostgresCompiler

        return PostgresCompiler().compile(statement)

    async def create_tables(self, tables: Sequence[Table]) -> None:
        from swift.engines.ddl import create_statements
        from swift.engines.postgres.compiler import PostgresCompiler

        await self.run_script(create_statements(tables, PostgresCompiler.dialect))

    async def drop_tables(self, tables: Sequence[Table]) -> None:
        from swift.engines.ddl import drop_statements
        from swift.engines.postgres.compiler import PostgresCompiler

        await self.run_script(drop_statements(tables, PostgresCompiler.dialect))

    async def run_script(self, statements: Sequence[str]) -> None:
        """All of them, or none."""
        async with self.transaction() as transaction:
            for statement in statements:
                await transaction.execute(statement, ())
