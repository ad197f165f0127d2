"""What an engine offers: the same five operations, in and out of transactions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal, Protocol

from swift.engines.schema import Kind, Table
from swift.engines.statements import Compiled, Statement

Row = Sequence[Any]
Values = Sequence[Any]
Isolation = Literal["read_committed", "repeatable_read", "serializable"]


class Executor(Protocol):
    """Runs compiled commands: an engine itself, each command on its own, or a transaction.

    `values` are parameters as the command wants them (`Compiled.bind` makes them), `command` is SQL or a
    plan.
    """

    async def fetch(self, command: Any, values: Values, *, writes: bool = False) -> list[Any]:
        """The rows of a query, or of a change with RETURNING (`writes`), each a sequence of its columns."""

    async def fetch_json(self, command: Any, values: Values) -> bytes:
        """The one value of a statement compiled from AsJSON: a JSON array."""

    async def fetch_all(self, commands: Sequence[tuple[Any, Values]]) -> list[list[Any]]:
        """The rows of several queries, of one moment, in one trip."""

    async def execute(self, command: Any, values: Values) -> int:
        """Run a change; how many rows it changed."""

    async def execute_many(self, command: Any, many: Sequence[Values]) -> list[list[Any]]:
        """Run a change once per set of values, all or none; the rows each one returned."""

    def stream(self, command: Any, values: Values, *, size: int) -> AsyncIterator[list[Any]]:
        """The rows of a query in parts of at most `size`, with no more than a part in memory."""


class Transaction(Executor, Protocol):
    """An open transaction. `closed` once it has ended: then it must not be used."""

    @property
    def closed(self) -> bool: ...

    def savepoint(self) -> AbstractAsyncContextManager[Transaction]:
        """A transaction inside this one, which can fail alone."""


class Engine(Executor, Protocol):
    """One database of one sort."""

    @property
    def dialect(self) -> str: ...

    async def connect(self) -> None: ...

    async def close(self) -> None: ...

    def transaction(self, isolation: Isolation | None = None) -> AbstractAsyncContextManager[Transaction]: ...

    def compile(self, statement: Statement) -> Compiled: ...

    def loader(self, kind: Kind | None) -> Callable[[Any], Any] | None:
        """What turns a fetched value of `kind` (never NULL) into its Python value; None if it is that
        already.
        """

    async def create_tables(self, tables: Sequence[Table]) -> None: ...

    async def drop_tables(self, tables: Sequence[Table]) -> None: ...
