"""History: the migration files of a directory, as one graph, and the state they lead to.

A file names itself (`revision`) and what it follows (`down_revision`, several for a merge). The name of a
file is its revision, so two branches that made one each meet as two heads, never as one name twice.
A file that says `replaces` stands for those; they may still lie there, and are not looked at.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from alembic.runtime.migration import MigrationContext
from alembic.script.revision import Revision, RevisionError, RevisionMap
from sqlalchemy.dialects import postgresql

from swift.migrations.errors import HistoryError
from swift.migrations.operations import Operations
from swift.migrations.state import State

# What Alembic's table of versions holds.
MAX_NAME = 32
FILE = re.compile(r"\d{4,}_\w+\.py")


class Migration(Revision):
    """One file. `checksum` changes with every edit but that of line ends and blanks before them."""

    def __init__(self, path: Path, module: ModuleType, text: str, followed: Sequence[str]) -> None:
        self.path = path
        self.module = module
        self.checksum = checksum(text)
        self.replaces: tuple[str, ...] = tuple(getattr(module, "replaces", ()))
        self.followed = tuple(followed)
        self.doc = (module.__doc__ or "").strip().partition("\n")[0]
        super().__init__(path.stem, self.followed[0] if len(self.followed) == 1 else self.followed or None)

    @property
    def log_entry(self) -> str:
        return f"{self.revision}: {self.doc}"


def checksum(text: str) -> str:
    lines = "\n".join(line.rstrip() for line in text.strip().splitlines())
    return hashlib.sha256(lines.encode()).hexdigest()


class History:
    """The migrations below `directory`; none if there is no such directory."""

    def __init__(self, directory: str | Path) -> None:
        self.directory = Path(directory)
        paths = [path for path in sorted(self.directory.glob("*.py")) if FILE.fullmatch(path.name)]
        texts = {path: path.read_text(encoding="utf-8") for path in paths}
        modules = {path: load(path, texts[path]) for path in paths}
        # What is replaced → what replaces it.
        self.replaced = {
            name: path.stem for path, module in modules.items() for name in getattr(module, "replaces", ())
        }
        self.migrations: dict[str, Migration] = {}
        for path, module in modules.items():
            if path.stem not in self.replaced:
                # What follows a replaced migration follows the one that replaces it.
                followed = dict.fromkeys(
                    self.replaced.get(name, name) for name in names(module.down_revision)
                )
                self.migrations[path.stem] = Migration(path, module, texts[path], tuple(followed))
        for migration in self.migrations.values():
            for name in migration.followed:
                if name not in self.migrations:
                    raise HistoryError(
                        f"{migration.path.name} follows `{name}`, and there is no {name}.py in {self.directory}/."
                    )
        self.map = RevisionMap(lambda: list(self.migrations.values()))
        try:
            self.heads: tuple[str, ...] = self.map.heads
        except RevisionError as error:
            raise HistoryError(
                f"The migrations in {self.directory}/ follow each other in a circle: {error}"
            ) from error

    @property
    def head(self) -> str | None:
        """The newest migration; None if there is none. HistoryError if there are several."""
        if len(self.heads) > 1:
            names = " and ".join(f"{head}.py" for head in sorted(self.heads))
            raise HistoryError(
                f"The migrations in {self.directory}/ have {len(self.heads)} heads: {names}. Two branches have each "
                "added one. See that they go together, then join them: swift-api makemigrations TARGET --merge"
            )
        return self.heads[0] if self.heads else None

    def named(self, name: str) -> Migration:
        """The migration called `name`, or the only one whose name begins so (`0003`)."""
        if name in self.migrations:
            return self.migrations[name]
        found = [each for each in self.migrations if each.startswith(name)]
        if len(found) != 1:
            known = ", ".join(sorted(self.migrations)) or "none"
            raise HistoryError(
                f"`{name}` is {'the beginning of several migrations' if found else 'no migration'} of "
                f"{self.directory}/; there are {known}."
            )
        return self.migrations[found[0]]

    def upwards(self, target: str | None, applied: Sequence[str]) -> list[Migration]:
        """What leads from `applied` (heads of the database) to `target`, None being the head; first to run first."""
        destination = self.head if target is None else self.named(target).revision
        if destination is None:
            return []
        with_ancestors = self.lineage([destination])
        done = self.lineage(applied)
        return [migration for migration in self.ordered() if migration.revision in with_ancestors - done]

    def downwards(self, target: str | None, applied: Sequence[str]) -> list[Migration]:
        """What must be undone so that `target` is the newest (None: nothing is left); first to undo first."""
        kept = set() if target is None else self.lineage([self.named(target).revision])
        undone = self.lineage(applied) - kept
        return [migration for migration in reversed(self.ordered()) if migration.revision in undone]

    def lineage(self, revisions: Iterable[str]) -> set[str]:
        """`revisions` and all that they follow."""
        found: set[str] = set()
        waiting = list(revisions)
        while waiting:
            name = waiting.pop()
            if name in found:
                continue
            if name not in self.migrations:
                raise HistoryError(
                    f"The database has had migration `{name}`, and there is no {name}.py in {self.directory}/. "
                    "Is this an older version of the project?"
                )
            found.add(name)
            waiting += self.migrations[name].followed
        return found

    def ordered(self) -> list[Migration]:
        """All of them, each after what it follows, otherwise by name."""
        ordered: list[Migration] = []
        placed: set[str] = set()

        def place(migration: Migration) -> None:
            if migration.revision in placed:
                return
            placed.add(migration.revision)
            for name in sorted(migration.followed):
                place(self.migrations[name])
            ordered.append(migration)

        for name in sorted(self.migrations):
            place(self.migrations[name])
        return ordered

    # Reading what they do

    def state(self, until: Iterable[str] | None = None) -> State:
        """The tables after all migrations, or after those of `until` and what they follow."""
        state = State()
        wanted = None if until is None else self.lineage(until)
        for migration in self.ordered():
            if wanted is None or migration.revision in wanted:
                read(migration, state)
        return state


def read(migration: Migration, state: State, *, undo: bool = False) -> Operations:
    """Apply a migration to `state` without running it; the operations tell what it would do to rows."""
    context = MigrationContext.configure(dialect=postgresql.dialect())  # type: ignore[no-untyped-call]
    op = Operations(context, state, recorded=True)
    name = "downgrade" if undo else "upgrade"
    try:
        getattr(migration.module, name)(op)
    except Exception as error:
        raise HistoryError(f"{name}() of {migration.path.name} cannot be followed: {error}") from error
    return op


NEEDED = ("revision", "down_revision", "upgrade", "downgrade")


def load(path: Path, text: str) -> ModuleType:
    """The module of a file, read anew each time and kept nowhere."""
    module = ModuleType(f"swift_migration_{path.stem}")
    module.__file__ = str(path)
    try:
        exec(compile(text, str(path), "exec"), module.__dict__)
    except Exception as error:
        raise HistoryError(f"{path.name} cannot be read: {type(error).__name__}: {error}") from error
    for name in NEEDED:
        if not hasattr(module, name):
            raise HistoryError(f"{path.name} has no `{name}`; a migration has {', '.join(NEEDED)}.")
    if module.revision != path.stem or len(path.stem) > MAX_NAME:
        raise HistoryError(
            f"{path.name} says `revision = {module.revision!r}`: a migration is called as its file, in at most "
            f"{MAX_NAME} characters."
        )
    return module


def names(followed: Any) -> tuple[str, ...]:
    return (followed,) if isinstance(followed, str) else tuple(followed or ())
