"""The memory engine: the same statements over dicts.

It shows no more than its contents need: one transaction at a time, which all others wait for, reading or
writing. Statements themselves run without an await, so each is alone by nature.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from swift.engines import statements as st
from swift.engines.binding import Slot, binder
from swift.engines.errors import OperationalError, ProgrammingError, TransactionError
from swift.engines.interface import Isolation, Values
from swift.engines.memory.changes import Changes
from swift.engines.memory.selects import Tables
from swift.engines.memory.store import Store
from swift.engines.schema import Kind, Table

encode = msgspec.json.Encoder().encode


class Plan:
    """What stands here in place of SQL: a function from parameters to (rows changed, rows)."""

    __slots__ = ("run",)

    def __init__(self, run: Callable[[Sequence[Any]], tuple[int, list[Any]]]) -> None:
        self.run = run


class MemoryRunner:
    """The five operations over the tables, for the engine and its transactions."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables

    def turn(self) -> Any:
        raise NotImplementedError

    def run(self, command: Any, values: Values) -> tuple[int, list[Any]]:
        """Run a plan; what it changed before it failed is undone."""
        if not isinstance(command, Plan):
            raise ProgrammingError("memory:// has no SQL: query it through models.")
        mark = len(self.tables.log)
        try:
            return command.run(values)
        except BaseException:
            self.undo(mark)
            raise

    def undo(self, mark: int) -> None:
        log = self.tables.log
        while len(log) > mark:
            log.pop()()

    async def fetch(self, command: Any, values: Values, *, writes: bool = False) -> list[Any]:
        async with self.turn():
            return self.run(command, values)[1]

    async def fetch_json(self, command: Any, values: Values) -> bytes:
        async with self.turn():
            return self.run(command, values)[1][0][0]  # type: ignore[no-any-return]

    async def fetch_all(self, commands: Sequence[tuple[Any, Values]]) -> list[list[Any]]:
        async with self.turn():
            return [self.run(command, values)[1] for command, values in commands]

    async def execute(self, command: Any, values: Values) -> int:
        async with self.turn():
            return self.run(command, values)[0]

    async def execute_many(self, command: Any, many: Sequence[Values]) -> list[list[Any]]:
        async with self.turn():
            mark = len(self.tables.log)
            try:
                return [self.run(command, values)[1] for values in many]
            except BaseException:
                self.undo(mark)
                raise

    async def stream(self, command: Any, values: Values, *, size: int) -> AsyncIterator[list[Any]]:
        rows = await self.fetch(command, values)
        for start in range(0, len(rows), size):
            yield rows[start : start + size]


class MemoryTransaction(MemoryRunner):
    """A transaction, or a savepoint in one."""

    def __init__(self, tables: Tables) -> None:
        super().__init__(tables)
        self.closed = False
        self.lock = asyncio.Lock()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        async with self.lock:
            if self.closed:
                raise TransactionError("This transaction has ended.")
            yield

    @asynccontextmanager
    async def block(self) -> AsyncIterator[None]:
        mark = len(self.tables.log)
        try:
            yield
        except BaseException:
            self.closed = True
            self.undo(mark)
            raise
        self.closed = True

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[MemoryTransaction]:
        async with self.turn():
            inner = MemoryTransaction(self.tables)
            async with inner.block():
                yield inner


class MemoryEngine(MemoryRunner):
    """`memory://`: tables of dicts, gone with the process."""

    dialect = "memory"

    def __init__(self) -> None:
        super().__init__(Tables())
        self.changes = Changes(self.tables)
        self.lock = asyncio.Lock()
        self.connected = False

    async def connect(self) -> None:
        self.connected = True

    async def close(self) -> None:
        self.connected = False
        self.tables.stores.clear()
        self.tables.log.clear()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        if not self.connected:
            raise OperationalError(
                "The database is not connected: `await db.connect()` first, or use `async with db:`."
            )
        async with self.lock:
            yield
            self.tables.log.clear()

    @asynccontextmanager
    async def transaction(self, isolation: Isolation | None = None) -> AsyncIterator[MemoryTransaction]:
        async with self.turn():
            transaction = MemoryTransaction(self.tables)
            async with transaction.block():
                yield transaction

    def compile(self, statement: st.Statement) -> st.Compiled:
        slots: list[Slot] = []
        run = self.plan(statement, slots)
        return st.Compiled(command=Plan(run), bind=binder(slots))

    def plan(
        self, statement: st.Statement, slots: list[Slot]
    ) -> Callable[[Sequence[Any]], tuple[int, list[Any]]]:
        match statement:
            case st.Select():
                rows = self.tables.select(statement, slots)
                return lambda values: (0, rows(values))
            case st.Raw():
                raise ProgrammingError("memory:// has no SQL: query it through models.")
            case st.Count(select):
                counted = self.tables.select(select, slots)
                return lambda values: (0, [(len(counted(values)),)])
            case st.AsJSON(select):
                return self.json(select, slots)
            case st.Insert():
                return self.changes.insert(statement, slots)
            case st.Update():
                return self.changes.update(statement, slots)
            case st.Delete():
                return self.changes.delete(statement, slots)

    def json(self, select: st.Select, slots: list[Slot]) -> Callable[[Sequence[Any]], tuple[int, list[Any]]]:
        rows = self.tables.select(select, slots)
        names = [output.name for output in select.outputs]
        raw = [output.of.kind == "json" for output in select.outputs]

        def run(values: Sequence[Any]) -> tuple[int, list[Any]]:
            objects = [
                {
                    name: msgspec.Raw(value.encode()) if is_raw and value is not None else value
                    for name, is_raw, value in zip(names, raw, row, strict=True)
                }
                for row in rows(values)
            ]
            return 0, [(encode(objects),)]

        return run

    def loader(self, kind: Kind | None) -> Callable[[Any], Any] | None:
        return msgspec.json.decode if kind == "json" else None

    async def create_tables(self, tables: Sequence[Table]) -> None:
        for table in tables:
            if id(table) not in self.tables.stores:
                self.tables.stores[id(table)] = Store(table, self.tables.log)

    async def drop_tables(self, tables: Sequence[Table]) -> None:
        for table in tables:
            self.tables.stores.pop(id(table), None)
