"""Running migrations: one at a time, each in a transaction of its own, nobody else migrating beside it.

Rule 1. Every transaction begins with the lock and then asks what is applied. So of two processes that start at
once each migration runs in one, and the other goes on from there.

Rule 2. The step, the version Alembic keeps and the line in `swift_migrations` (checksum, moment) are one
transaction: a failed step leaves nothing.

Rule 3. What loses data is known from the files before anything runs, and refused unless allowed.
"""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa
from alembic.runtime.migration import HeadMaintainer, MigrationContext, MigrationStep
from sqlalchemy.dialects import postgresql, sqlite

from swift.engines import Database
from swift.migrations.connecting import alone, connected, reading
from swift.migrations.errors import DestructiveError, HistoryError, MigrationError, MigrationFailed
from swift.migrations.history import MAX_NAME, History, Migration, read
from swift.migrations.operations import Operations
from swift.migrations.state import State

Report = Callable[[str], None]
Plan = Callable[[Sequence[str]], list[Migration]]

# Alembic's own table holds which migrations are the newest; this one what each of them was when it was applied.
LOG = sa.Table(
    "swift_migrations",
    sa.MetaData(),
    sa.Column("revision", sa.String(MAX_NAME), primary_key=True),
    sa.Column("checksum", sa.String(64), nullable=False),
    sa.Column("applied_at", sa.String(32), nullable=False),
)
OWN_TABLES = ("alembic_version", LOG.name)


class Applied(msgspec.Struct, frozen=True):
    """A migration and what the database knows of it. `edited` since it was applied; `applied_at` in UTC."""

    revision: str
    description: str
    applied_at: str | None
    edited: bool


def silent(_: str) -> None:
    """Tell nobody."""


async def migrate(
    database: str | Database,
    directory: str | Path = "migrations",
    target: str | None = None,
    *,
    allow_destructive: bool = False,
    accept_edited: bool = False,
    fake: bool = False,
    report: Report = silent,
) -> list[str]:
    """Apply what is not applied yet, up to `target` (its name or the beginning of it) or to the newest.

    Returns the names of what was applied here. Raises MigrationError: HistoryError for files that do not fit the
    database or each other, DestructiveError before anything that loses data, MigrationFailed for a step that
    failed and was rolled back. A target behind the database is for `rollback`.

    With `fake` they are noted and not run: for a database that has these tables already.
    """
    history = History(directory)
    history.upwards(target, ())

    def work(connection: sa.Connection) -> list[str]:
        adopt(connection, history, report)
        check_edited(connection, history, accept=accept_edited)
        if not allow_destructive and not fake:
            heads = heads_of(connection)
            refuse(history, heads, history.upwards(target, heads), undo=False)

        def plan(heads: Sequence[str]) -> list[Migration]:
            return history.upwards(target, heads)

        return Runner(connection, history, report, undo=False, fake=fake).run(plan)

    return await connected(database, work)


async def rollback(
    database: str | Database,
    directory: str | Path = "migrations",
    target: str | None = None,
    *,
    allow_destructive: bool = False,
    accept_edited: bool = False,
    report: Report = silent,
) -> list[str]:
    """Undo what was applied after `target`, `zero` being before the first; without one only the newest.

    Returns the names of what was undone, and raises what `migrate` raises.
    """
    history = History(directory)

    def work(connection: sa.Connection) -> list[str]:
        adopt(connection, history, report)
        check_edited(connection, history, accept=accept_edited)
        heads = heads_of(connection)
        if target is None:
            planned = history.downwards(None, heads)[:1]
        else:
            planned = history.downwards(None if target == "zero" else target, heads)
        if not allow_destructive:
            refuse(history, heads, planned, undo=True)
        meant = {migration.revision for migration in planned}

        def plan(heads: Sequence[str]) -> list[Migration]:
            return [each for each in history.downwards(None, heads) if each.revision in meant]

        return Runner(connection, history, report, undo=True).run(plan)

    return await connected(database, work)


async def show(database: str | Database, directory: str | Path = "migrations") -> list[Applied]:
    """Every migration in order, applied or not."""
    history = History(directory)

    def work(connection: sa.Connection) -> list[Applied]:
        done = history.lineage(translated(connection, history))
        with reading(connection):
            logged = log_of(connection)
        replaced = {new: logged[old] for old, new in history.replaced.items() if old in logged}
        found = []
        for migration in history.ordered():
            line = logged.get(migration.revision)
            when = (line or replaced.get(migration.revision) or ("", ""))[1]
            found.append(
                Applied(
                    migration.revision,
                    migration.doc,
                    (when or "unknown") if migration.revision in done else None,
                    line is not None and migration.revision in done and line[0] != migration.checksum,
                )
            )
        return found

    return await connected(database, work)


def sql_of(directory: str | Path, dialect: str, target: str | None = None, *, undo: bool = False) -> str:
    """The SQL of one migration (the newest unless named) on `sqlite` or `postgresql`, without a database."""
    history = History(directory)
    name = target or history.head
    if name is None:
        raise HistoryError(f"There are no migrations in {history.directory}/.")
    migration = history.named(name)
    state = history.state([migration.revision] if undo else migration.followed)
    buffer = io.StringIO()
    of = postgresql.dialect() if dialect == "postgresql" else sqlite.dialect()  # type: ignore[no-untyped-call]
    context = MigrationContext.configure(
        dialect=of,
        opts={"as_sql": True, "output_buffer": buffer, "transactional_ddl": True, "literal_binds": True},
    )
    with context.begin_transaction():
        call(migration, Operations(context, state), undo=undo)
    return buffer.getvalue().strip() + "\n"


# One step


class Runner:
    """Runs what is planned, migration by migration. `done` are the names of those that ran here."""

    def __init__(
        self, connection: sa.Connection, history: History, report: Report, *, undo: bool, fake: bool = False
    ) -> None:
        self.connection = connection
        self.history = history
        self.report = report
        self.undo = undo
        self.fake = fake
        self.done: list[str] = []
        # PERF: the tables after the last step, so that a long history is read once: which migrations, and the state.
        self.known: tuple[frozenset[str], State] | None = None

    def run(self, plan: Plan) -> list[str]:
        while self.step(plan):
            pass
        return self.done

    def step(self, plan: Plan) -> bool:
        """Run the first migration that `plan` finds left; False if there is none."""
        with alone(self.connection):
            planned = plan(applied_heads(self.connection))
            if not planned:
                return False
            migration = planned[0]
            doing = "Noting" if self.fake else "Undoing" if self.undo else "Applying"
            self.report(f"{doing} {migration.revision}")
            context = MigrationContext.configure(self.connection)
            context._ensure_version_table()
            LOG.create(self.connection, checkfirst=True)
            heads = context.get_current_heads()
            applied = frozenset(self.history.lineage(heads))
            op = Operations(context, self.state_of(applied))
            if self.fake:
                read(migration, op.state)
            else:
                self.attempt(migration, op)
            make = MigrationStep.downgrade_from_script if self.undo else MigrationStep.upgrade_from_script
            maintainer = HeadMaintainer(context, heads)
            maintainer.update_to_step(make(self.history.map, migration))  # type: ignore[arg-type]
            log(self.connection, migration, undo=self.undo)
        self.known = (applied ^ {migration.revision}, op.state)
        self.done.append(migration.revision)
        return True

    def attempt(self, migration: Migration, op: Operations) -> None:
        try:
            call(migration, op, undo=self.undo)
        except MigrationError:
            raise
        except Exception as error:
            what = "be undone" if self.undo else "be applied"
            raise MigrationFailed(
                f"{migration.path.name} could not {what}, and the database is as it was before it: {reason(error)}"
            ) from error

    def state_of(self, applied: frozenset[str]) -> State:
        if self.known is not None and self.known[0] == applied:
            return self.known[1]
        return self.history.state(applied)


def call(migration: Migration, op: Operations, *, undo: bool) -> None:
    (migration.module.downgrade if undo else migration.module.upgrade)(op)


def reason(error: Exception) -> str:
    """The database's sentence, without SQLAlchemy's frame and parameters."""
    origin = getattr(error, "orig", None) or error
    text = str(origin).strip()
    return f"{type(error).__name__}: {text.rpartition('>: ')[2] or text}"


def refuse(history: History, heads: Sequence[str], planned: Sequence[Migration], *, undo: bool) -> None:
    """DestructiveError, if a step of `planned` loses data of a database that is at `heads`."""
    state = history.state(heads)
    found: list[str] = []
    for migration in planned:
        found += (f"{migration.revision}: {loss}" for loss in read(migration, state, undo=undo).losses)
    if found:
        raise DestructiveError(found)


# What the database knows


def applied_heads(connection: sa.Connection) -> tuple[str, ...]:
    return MigrationContext.configure(connection).get_current_heads()


def heads_of(connection: sa.Connection) -> tuple[str, ...]:
    with reading(connection):
        return applied_heads(connection)


def log_of(connection: sa.Connection) -> Mapping[str, tuple[str, str]]:
    """Of each applied migration its checksum and when it was applied."""
    if not sa.inspect(connection).has_table(LOG.name):
        return {}
    return {row.revision: (row.checksum, row.applied_at) for row in connection.execute(sa.select(LOG))}


def log(connection: sa.Connection, migration: Migration, *, undo: bool) -> None:
    if undo:
        connection.execute(LOG.delete().where(LOG.c.revision == migration.revision))
        return
    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    connection.execute(
        LOG.insert().values(revision=migration.revision, checksum=migration.checksum, applied_at=now)
    )


def check_edited(connection: sa.Connection, history: History, *, accept: bool) -> None:
    """HistoryError, if a migration is not what it was when it was applied; with `accept` it is from now on."""
    with reading(connection):
        logged = log_of(connection)
    edited = [
        each
        for each in history.ordered()
        if each.revision in logged and logged[each.revision][0] != each.checksum
    ]
    if not edited:
        return
    if accept:
        with alone(connection):
            for each in edited:
                changed = LOG.update().where(LOG.c.revision == each.revision).values(checksum=each.checksum)
                connection.execute(changed)
        return
    names = ", ".join(f"{each.path.name} (applied {logged[each.revision][1]})" for each in edited)
    raise HistoryError(
        f"Edited since applied: {names}. The database does not know of the edit. Put the file back and say it in a "
        "new migration; or, if the edit changes nothing, accept it with --accept-edited."
    )


def translated(connection: sa.Connection, history: History) -> tuple[str, ...]:
    """The heads of the database, under the names of what replaces them."""
    heads = heads_of(connection)
    found = []
    for head in heads:
        new = history.replaced.get(head)
        if new is None:
            found.append(head)
            continue
        last = history.migrations[new].replaces[-1]
        if head != last:
            raise HistoryError(
                f"The database is at `{head}`, in the midst of what {new}.py replaces. Migrate it to `{last}` with the "
                "files from before the squash first."
            )
        found.append(new)
    return tuple(dict.fromkeys(found))


def adopt(connection: sa.Connection, history: History, report: Report) -> None:
    """Where migrations were replaced that this database has had, note the one that replaces them."""
    replaced = [head for head in heads_of(connection) if head in history.replaced]
    if not replaced:
        return
    translated(connection, history)
    with alone(connection):
        context = MigrationContext.configure(connection)
        for old in set(context.get_current_heads()) & set(replaced):
            migration = history.migrations[history.replaced[old]]
            report(f"Noting {migration.revision} for what it replaces")
            versions: Any = context._version
            connection.execute(
                versions.update().where(versions.c.version_num == old).values(version_num=migration.revision)
            )
            LOG.create(connection, checkfirst=True)
            connection.execute(LOG.delete().where(LOG.c.revision.in_(migration.replaces)))
            log(connection, migration, undo=False)
