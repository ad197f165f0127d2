"""A Database: one engine, the programs compiled for it, and how code finds it.

Nothing is registered anywhere. A query runs on the database it was given (`.using(db)`), else on the one
bound in the context it runs in: an App binds its own for every request, a script says `async with db:`.
The transaction of that database which is open in the context, if any, is what runs it.
"""

from __future__ import annotations

import asyncio
import inspect
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar, Token
from functools import lru_cache
from typing import Any, Self, TypeVar

from swift.engines.errors import NoDatabase, ProgrammingError, RetryError, TransactionError
from swift.engines.interface import Engine, Executor, Isolation, Transaction, Values
from swift.engines.schema import tables_of

T = TypeVar("T")

Hook = Callable[[], Any]

EXPLAIN = {"sqlite": "EXPLAIN QUERY PLAN", "postgresql": "EXPLAIN", "postgres": "EXPLAIN"}

# Shapes of queries a process has in use: some ten per model action. A miss costs a compilation, not an error.
PROGRAMS = 1024


class Ambient:
    """An open transaction in a context, and the one around it (of this or another database).

    `hooks` are what runs when it is kept for good: a savepoint hands its own to the transaction around.
    """

    __slots__ = ("database", "hooks", "outer", "transaction")

    def __init__(self, database: Database, transaction: Transaction, outer: Ambient | None) -> None:
        self.database = database
        self.transaction = transaction
        self.outer = outer
        self.hooks: list[Hook] = []


current_database: ContextVar[Database | None] = ContextVar("swift_database", default=None)
ambient: ContextVar[Ambient | None] = ContextVar("swift_transaction", default=None)


class Database:
    """A database and what is compiled for it.

    `async with db:` connects, binds it for the block and closes it. Otherwise `await db.connect()`, `await
    db.close()`, and `with db.bind():` around what shall use it. One event loop at a time.
    """

    def __init__(self, engine: Engine, *, url: str = "", programs: int = PROGRAMS) -> None:
        self.engine = engine
        self.url = url
        # Bounded and least recently used first to go; it dies with the database.
        self._programs = lru_cache(maxsize=programs)(self._compile)

    @classmethod
    def from_url(cls, url: str, *, programs: int = PROGRAMS) -> Self:
        """The database at `url`: `sqlite:///file.db`, `sqlite://` (in memory) or `memory://` (lists of
        dicts).
        """
        return cls(engine_for(url), url=url, programs=programs)

    def __repr__(self) -> str:
        return f"<Database {self.engine.dialect}>"

    @property
    def dialect(self) -> str:
        return self.engine.dialect

    # Life

    async def connect(self) -> None:
        """Open the connections. Again is harmless."""
        await self.engine.connect()

    async def close(self) -> None:
        """Close them; what still waits for one fails with OperationalError."""
        await self.engine.close()

    async def __aenter__(self) -> Self:
        await self.connect()
        self._token = current_database.set(self)
        return self

    async def __aexit__(self, *_: object) -> None:
        unbind(self._token)
        await self.close()

    @contextmanager
    def bind(self) -> Iterator[Self]:
        """Make this the database of every query in the block that names none."""
        token = current_database.set(self)
        try:
            yield self
        finally:
            unbind(token)

    # Compiled programs

    def program(self, build: Callable[[Database, Any], T], key: Hashable) -> T:
        """`build(self, key)`, made once and kept while in use. A hit costs one lookup."""
        return self._programs(build, key)  # type: ignore[no-any-return]

    def _compile(self, build: Callable[[Database, Any], Any], key: Any) -> Any:
        return build(self, key)

    @property
    def compiled(self) -> tuple[int, int, int]:
        """(hits, misses, kept) of the programs: a miss per request shows a shape that varies with its
        values.
        """
        info = self._programs.cache_info()
        return info.hits, info.misses, info.currsize

    async def explain(self, command: Any, values: Values = ()) -> str:
        """How the database would run a query, in its own words."""
        how = EXPLAIN.get(self.dialect)
        if how is None:
            raise ProgrammingError(f"{self.dialect} has no plan to explain.")
        rows = await self.executor.fetch(f"{how} {command}", values)
        return "\n".join(str(row[-1]) for row in rows)

    # Running

    @property
    def executor(self) -> Executor:
        """The transaction of this database that is open in this context, else the engine itself."""
        return self._open or self.engine

    @property
    def in_transaction(self) -> bool:
        return self._open is not None

    @property
    def _open(self) -> Transaction | None:
        level = self._level
        return None if level is None else level.transaction

    @property
    def _level(self) -> Ambient | None:
        level = ambient.get()
        while level is not None:
            if level.database is self and not level.transaction.closed:
                return level
            level = level.outer
        return None

    async def fetch(self, command: Any, values: Values = (), *, writes: bool | None = None) -> list[Any]:
        """The rows of a query, as the driver gives them. SQL that is no plain SELECT runs as a change."""
        if writes is None:
            writes = not (isinstance(command, str) and command.lstrip()[:6].upper() == "SELECT")
        return await self.executor.fetch(command, values, writes=writes)

    async def fetch_json(self, command: Any, values: Values = ()) -> bytes:
        """The one value of a query that answers one JSON text in bytes."""
        return await self.executor.fetch_json(command, values)

    async def execute(self, command: Any, values: Values = ()) -> int:
        """Run a change; the number of rows it changed."""
        return await self.executor.execute(command, values)

    async def execute_many(self, command: Any, many: Sequence[Values]) -> list[list[Any]]:
        """Run a change for each set of values, all or none; the rows each returned."""
        return await self.executor.execute_many(command, many)

    def stream(self, command: Any, values: Values = (), *, size: int = 500) -> AsyncIterator[list[Any]]:
        """The rows of a query in parts, with one part in memory at a time."""
        return self.executor.stream(command, values, size=size)

    @asynccontextmanager
    async def transaction(self, isolation: Isolation | None = None) -> AsyncIterator[Transaction]:
        """A transaction for every query of this database in the block; inside another, a savepoint.

        It is kept when the block ends and undone when the block raises. Tasks started inside share it.
        """
        outer, level = ambient.get(), self._level
        around = None if level is None else level.transaction
        if around is None:
            opening = self.engine.transaction(isolation)
        elif isolation is not None:
            raise TransactionError(
                "A savepoint has the isolation of its transaction; set it on the outermost block."
            )
        else:
            opening = around.savepoint()
        async with opening as transaction:
            made = Ambient(self, transaction, outer)
            token = ambient.set(made)
            try:
                yield transaction
            finally:
                ambient.reset(token)
        if level is not None:
            level.hooks += made.hooks
        else:
            await run_hooks(made.hooks)

    async def on_commit(self, hook: Hook) -> None:
        """Call `hook`, a function or a coroutine function, when the open transaction has been kept; never if
        it is undone. Without a transaction, now.
        """
        level = self._level
        if level is None:
            await run_hooks([hook])
        else:
            level.hooks.append(hook)

    async def transact(
        self, work: Callable[[], Awaitable[T]], *, isolation: Isolation | None = None, retries: int = 3
    ) -> T:
        """`await work()` in a transaction, begun anew (up to `retries` times) when it clashes with another's.

        Inside a transaction there is nothing to begin anew: it runs once, in a savepoint.
        """
        attempts = 1 if self.in_transaction else retries + 1
        for attempt in range(1, attempts + 1):
            try:
                async with self.transaction(None if self.in_transaction else isolation):
                    return await work()
            except RetryError:
                if attempt == attempts:
                    raise
            # Not all at the same moment again.
            await asyncio.sleep(random.uniform(0, 0.01 * 2**attempt))
        raise AssertionError("unreachable")

    # Tables

    async def create_tables(self, models: Iterable[Any]) -> None:
        """Create the tables of `models` where they do not exist, referenced tables first."""
        await self.engine.create_tables(tables_of(models))

    async def drop_tables(self, models: Iterable[Any]) -> None:
        """Drop the tables of `models` where they exist."""
        await self.engine.drop_tables(tables_of(models))


async def run_hooks(hooks: Sequence[Hook]) -> None:
    """Run all of them. What one raises is raised when all have run: the transaction is kept already."""
    failures: list[Exception] = []
    for hook in hooks:
        try:
            answer = hook()
            if inspect.isawaitable(answer):
                await answer
        except Exception as failure:
            failures.append(failure)
    if len(failures) == 1:
        raise failures[0]
    if failures:
        raise ExceptionGroup("Several on_commit hooks failed", failures)


def unbind(token: Token[Database | None]) -> None:
    """Undo a binding, unless it was made in another context, as a test's fixture may do: it ended with
    that.
    """
    try:
        current_database.reset(token)
    except ValueError:
        pass


def database(using: Database | None = None) -> Database:
    """`using`, else the database bound in this context. Raises NoDatabase."""
    found = using or current_database.get()
    if found is None:
        raise NoDatabase
    return found


def engine_for(url: str) -> Engine:
    scheme = url.partition("://")[0]
    if scheme == "sqlite":
        from swift.engines.sqlite import SQLiteEngine

        return SQLiteEngine.from_url(url)
    if scheme == "memory":
        from swift.engines.memory import MemoryEngine

        return MemoryEngine()
    if scheme in ("postgresql", "postgres"):
        from swift.engines.postgres import PostgresEngine

        return PostgresEngine.from_url(url)
    if scheme == "postgresql+asyncpg":
        from swift.engines.postgres.fallback import AsyncpgEngine

        return AsyncpgEngine.from_url(url)
    raise ValueError(f"No engine serves `{scheme}://`; use postgresql://, sqlite:// or memory://.")
