"""From a database's URL to a SQLAlchemy connection for DDL, the same for every command.

SQLite is reached through the standard library, as its engine opens it; PostgreSQL through the driver that
runs the application's queries: ours, or asyncpg for `postgresql+asyncpg:`.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import sqlalchemy as sa
from sqlalchemy.pool import NullPool, StaticPool

from swift.engines import Database
from swift.migrations.errors import MigrationError, MigrationFailed

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

T = TypeVar("T")
Work = Callable[[sa.Connection], T]

# SQLAlchemy's dialects and drivers for PostgreSQL: the one place that knows.
NATIVE = "postgresql+swift"
ASYNCPG = "postgresql+asyncpg"
SCHEMES = ("postgresql", "postgres", NATIVE, ASYNCPG)

# Seconds to wait for another process that migrates, or writes.
PATIENCE = 600.0

# The number under which processes that migrate one PostgreSQL database wait for each other. Any will do
# that nobody else takes; these are the bytes of "swiftmig".
LOCK = int.from_bytes(b"swiftmig", "big")


def dialect_of(url: str) -> str:
    """`sqlite` or `postgresql`. MigrationError for what has no migrations."""
    scheme = url.partition(":")[0]
    if scheme == "sqlite":
        return "sqlite"
    if scheme in SCHEMES:
        return "postgresql"
    raise MigrationError(
        f"`{scheme}:` databases have no migrations; use sqlite:///file.db or postgresql://user@host/name."
    )


async def connected(database: str | Database, work: Work[T]) -> T:
    """`work(connection)` on a connection of its own. A database in memory has but one: its Database must be
    given, connected.
    """
    url = database if isinstance(database, str) else database.url
    if dialect_of(url) == "postgresql":
        return await on_postgresql(url, work)
    from swift.engines.sqlite import SQLiteEngine

    engine = SQLiteEngine.from_url(url)
    if engine.location.path is not None:
        location = replace(engine.location, busy_timeout=PATIENCE)
        return await asyncio.to_thread(lambda: on_sqlite(location.connect(read_only=False), work, close=True))
    if isinstance(database, str) or not isinstance(database.engine, SQLiteEngine):
        raise MigrationError(
            "A SQLite database in memory is its process's own: migrate it there, by `await migrate(db)`."
        )
    writer = database.engine.writer
    await writer.acquire()
    try:
        return await writer.connection.run(lambda raw: on_sqlite(raw, work, close=False))
    finally:
        writer.release()


def on_sqlite(raw: sqlite3.Connection, work: Work[T], *, close: bool) -> T:
    from swift.engines.sqlite.functions import install

    engine = sa.create_engine("sqlite://", creator=lambda: raw, poolclass=StaticPool)
    try:
        with engine.connect() as connection:
            # SQLAlchemy puts functions of its own in the place of the engine's.
            install(raw)
            return work(connection)
    finally:
        if close:
            engine.dispose()
            raw.close()


async def on_postgresql(url: str, work: Work[T]) -> T:
    engine = postgresql_engine(url)
    try:
        try:
            connection = await engine.connect()
        except (OSError, sa.exc.DBAPIError, ValueError) as error:
            reason = getattr(error, "orig", None) or error
            raise MigrationError(f"PostgreSQL cannot be reached: {reason}") from error
        try:
            return await connection.run_sync(work)
        finally:
            await connection.close()
    finally:
        await engine.dispose()


def postgresql_engine(url: str) -> AsyncEngine:
    """SQLAlchemy on the driver that the URL names for queries: ours, or asyncpg."""
    dsn = plain_dsn(url)
    try:
        import greenlet  # type: ignore[import-untyped]  # noqa: F401  (SQLAlchemy needs it for asynchronous drivers)
        from sqlalchemy.ext.asyncio import create_async_engine

        if not url.startswith(ASYNCPG):
            import_module("swift.pg.sqlalchemy")  # registers the dialect where the package is not installed
            return create_async_engine(NATIVE + dsn.removeprefix("postgresql"), poolclass=NullPool)
        import asyncpg
    except ImportError as error:
        package = "asyncpg" if error.name == "asyncpg" else "greenlet"
        raise MigrationError(
            f"Migrating PostgreSQL needs {package}: pip install 'swift-api[asyncpg]'"
        ) from error

    async def connect() -> Any:
        try:
            return await asyncpg.connect(dsn)
        except asyncpg.PostgresError as error:
            raise OSError(str(error)) from error

    return create_async_engine(f"{ASYNCPG}://", async_creator=connect, poolclass=NullPool)


def plain_dsn(url: str) -> str:
    """The URL without what is said to our pool and not to the server."""
    from swift.engines.postgres.engine import POOL_OPTIONS

    parts = urlsplit("postgresql://" + url.partition("://")[2])
    kept = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] not in POOL_OPTIONS]
    return urlunsplit(parts._replace(query=urlencode(kept)))


@contextmanager
def reading(connection: sa.Connection) -> Iterator[None]:
    """A transaction that changes nothing."""
    with connection.begin():
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN")
        yield


@contextmanager
def alone(connection: sa.Connection) -> Iterator[None]:
    """A transaction that no other process migrates beside: whoever comes second waits, and then sees what
    the first has done. All of it stands or nothing.

    SQLite checks foreign keys at its end only, so that tables can be built anew meanwhile.
    """
    if connection.dialect.name != "sqlite":
        with connection.begin():
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
            yield
        return
    run = connection.exec_driver_sql
    enforced = run("PRAGMA foreign_keys").scalar()
    run("PRAGMA foreign_keys = OFF")  # it has no effect inside a transaction
    connection.rollback()
    try:
        with connection.begin():
            run("BEGIN IMMEDIATE")
            before = set(map(tuple, run("PRAGMA foreign_key_check").fetchall()))
            yield
            broken = [
                row for row in map(tuple, run("PRAGMA foreign_key_check").fetchall()) if row not in before
            ]
            if broken:
                child, rowid, parent, _ = broken[0]
                raise MigrationFailed(
                    f"{len(broken)} rows would refer to rows that are not there, the first in `{child}` "
                    f"(rowid {rowid}) to `{parent}`."
                )
    finally:
        run(f"PRAGMA foreign_keys = {enforced or 0}")
        connection.rollback()
