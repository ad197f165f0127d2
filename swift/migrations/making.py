"""Making migrations: from models and history to a new file, or to nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from alembic.operations import ops

from swift.migrations.arranging import Answers, changes
from swift.migrations.comparing import target_metadata
from swift.migrations.data import now, wall_clock
from swift.migrations.errors import HistoryError, MigrationError
from swift.migrations.history import History, read
from swift.migrations.running import OWN_TABLES
from swift.migrations.writing import described, next_revision, reversed_ops, slug_of, source
from swift.models import Model


@dataclass(frozen=True)
class Made:
    """A migration that is written: where, its text, and what it does."""

    path: Path
    text: str
    steps: tuple[str, ...]


def all_models(root: type[Any] = Model) -> list[type[Model]]:
    """Every model with a table that is loaded, in the order of their declaration. The framework's own are none."""
    found: list[type[Model]] = []
    for model in root.__subclasses__():
        if not model._meta.abstract and model._meta.managed and model not in found:
            found.append(model)
        found += (each for each in all_models(model) if each not in found)
    return found


def tables_of_models(models: Iterable[type[Model]]) -> list[Any]:
    """Their tables, MigrationError for two that share one."""
    found: dict[tuple[str | None, str], Any] = {}
    for model in models:
        meta: Any = model._meta
        for table in getattr(meta, "tables", (meta.table,)):
            key = (table.schema, table.name)
            if table.name in OWN_TABLES:
                raise MigrationError(
                    f"{meta.name} has the table `{table.name}`, in which migrations are kept."
                )
            if found.setdefault(key, table) is not table:
                raise MigrationError(
                    f"Two models have the table `{table.name}`, {meta.name} is one of them. Give one of "
                    "them another `Meta.db_table`."
                )
    return list(found.values())


def defaults_of(models: Iterable[type[Model]]) -> dict[str, Any]:
    """Of each column (`book.pages`) what its field gives an object that says nothing."""
    found: dict[str, Any] = {}
    for model in models:
        meta = model._meta
        prefix = ".".join(filter(None, (meta.table.schema, meta.table.name)))
        for name, field in meta.fields.items():
            where = f"{prefix}.{meta.columns[name].name}"
            if field.default_factory is not None:
                found[where] = field.default_factory
            elif field.default is not msgspec.NODEFAULT and field.default is not None:
                found[where] = field.default
            elif field.auto in ("create", "update"):
                found[where] = wall_clock if field.kind == "timestamp" else now
    return found


def difference(models: Sequence[type[Model]], history: History, answers: Answers) -> ops.UpgradeOps:
    """What the migrations lack so that the tables are what the models say."""
    history.head  # noqa: B018  (several heads have no state to compare with)
    target = target_metadata(tables_of_models(models))
    return changes(history.state(), target, answers, defaults_of(models))


def make(
    models: Sequence[type[Model]],
    directory: str | Path,
    answers: Answers | None = None,
    name: str | None = None,
) -> Made | None:
    """The migration that makes the tables what the models say; None if they are. Nothing is written yet."""
    history = History(directory)
    upgrade = difference(models, history, answers or Answers())
    if not upgrade.ops:
        return None
    followed = [history.head] if history.head else []
    steps = described(upgrade)
    revision = next_revision(history, name or slug_of(upgrade, history))
    doc = name.replace("_", " ") if name else ", ".join([*steps[:3], "…"] if len(steps) > 3 else steps)
    text = source(revision, followed, sentence(doc), upgrade, reversed_ops(upgrade))
    return Made(history.directory / f"{revision}.py", text, tuple(steps))


def make_empty(directory: str | Path, name: str | None = None, *, merge: bool = False) -> Made:
    """A migration that does nothing yet, for data; with `merge` one that joins several heads."""
    history = History(directory)
    if merge:
        if len(history.heads) < 2:
            raise HistoryError(f"{history.directory}/ has no several heads to merge.")
        history.state()  # HistoryError if they do not go together
    followed = sorted(history.heads) if merge else [history.head] if history.head else []
    revision = next_revision(history, name or ("merge" if merge else "data"))
    doc = name or ("Merge " + " and ".join(followed) if merge else "Data")
    text = source(revision, followed, sentence(doc), ops.UpgradeOps([]), ops.DowngradeOps([]))
    return Made(history.directory / f"{revision}.py", text, ())


def squash(
    directory: str | Path, first: str, last: str, name: str | None = None, *, without_data: bool = False
) -> Made:
    """One migration in the place of `first` to `last`, from the difference that they make together."""
    history = History(directory)
    start, end = history.named(first), history.named(last)
    inside = [each for each in history.ordered() if each.revision in history.lineage([end.revision])]
    inside = [each for each in inside if start.revision in history.lineage([each.revision])]
    names = [each.revision for each in inside]
    if len(names) < 2:
        raise HistoryError(f"`{end.revision}` does not come after `{start.revision}`.")
    outside = {name for each in inside for name in each.followed} - set(names)
    if outside != set(start.followed):
        raise HistoryError("Branches meet between the two; squash before or after that.")
    state = history.state(start.followed)
    before = state.copy()
    data = [each.path.name for each in inside if read(each, state).touches_rows]
    if data and not without_data:
        raise HistoryError(
            f"{', '.join(data)} works on rows, which a squash cannot retell. Squash around it, or, if no database is "
            "left that needs it, --without-data."
        )
    upgrade = changes(before, state.metadata(), Answers(no_renames=True), Everything())
    revision = next_revision(history, name or f"squashed_{end.revision[:4]}")
    doc = f"{start.revision} to {end.revision}, squashed."
    text = source(revision, start.followed, doc, upgrade, reversed_ops(upgrade), replaces=names)
    return Made(history.directory / f"{revision}.py", text, tuple(described(upgrade)))


def sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith("…") else ".")


class Everything(dict[str, Any]):
    """Defaults for a squash: NULL, since its tables have no rows, or had their values before."""

    def __contains__(self, key: object) -> bool:
        return True

    def __getitem__(self, key: str) -> Any:
        return None


def write(made: Made) -> None:
    """Write the file. HistoryError if there is one of that name."""
    made.path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with made.path.open("x", encoding="utf-8") as file:
            file.write(made.text)
    except FileExistsError:
        raise HistoryError(f"{made.path} exists already.") from None
