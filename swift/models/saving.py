"""Writing objects: create, save, bulk, get-or-create, upsert."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from msgspec import UNSET

from swift.engines.database import Database, database
from swift.engines.errors import IntegrityError, InvalidValue
from swift.models.errors import FieldError
from swift.models.expressions import Expression
from swift.models.programs import Program, insert_program, resave_program, rewrite_program
from swift.models.scopes import current_tenant

if TYPE_CHECKING:
    from swift.models.model import Model
    from swift.models.options import Options
    from swift.models.queryset import QuerySet

M = TypeVar("M", bound="Model")

Changes = tuple[tuple[str, Any], ...]


def build(query: QuerySet[M], values: Mapping[str, Any]) -> M:
    """A new object from what the caller gave; related objects stand for their keys."""
    options = query._model._meta
    given: dict[str, Any] = {}
    for name, value in values.items():
        key = options.field(name).name
        if hasattr(value, "_meta") and name in options.relations:
            value = value.pk
        given[key] = value
    missing = [name for name, field in options.fields.items() if field.required and name not in given]
    if missing:
        raise FieldError(f"{options.name} needs {', '.join(f'`{name}`' for name in missing)} to be created.")
    return query._model(**given)


def prepare(options: Options, item: Any, *, new: bool) -> None:
    """Set the fields that set themselves; refuse what validators and the tenant refuse."""
    if options.stamped:
        stamp(options, item, new=new)
    if options.guarded:
        guard(options, item)


def guard(options: Options, item: Any) -> None:
    if options.tenant_field is not None:
        belong(options, options.tenant_field, item)
    for name in options.validated:
        validate(options, name, getattr(item, name))


def validate(options: Options, name: str, value: Any) -> None:
    if value is None or value is UNSET or isinstance(value, Expression):
        return
    field = options.fields[name]
    for validator in field.validators:
        try:
            validator(value)
        except ValueError as error:
            raise InvalidValue(f"{field.label}: {error}", name) from error


def belong(options: Options, name: str, item: Any) -> None:
    """A new object belongs to the current tenant; one of another is not written."""
    key, own = current_tenant(), getattr(item, name)
    if own is None or own is UNSET:
        setattr(item, name, key)
    elif own != key:
        raise InvalidValue(f"{options.fields[name].label} is not the current tenant.", name)


def stamp(options: Options, item: Any, *, new: bool) -> None:
    """Set the fields that set themselves."""
    now: datetime | None = None
    for name in options.stamped:
        field = options.fields[name]
        if field.auto == "update" or (new and getattr(item, name) is None):
            now = now or datetime.now(UTC)
            setattr(item, name, now if field.kind == "datetime" else now.replace(tzinfo=None))


def insert_names(options: Options, item: Any) -> tuple[str, ...]:
    """The fields an insert gives: all but a key the database is to count up."""
    names = options.names
    if options.pk.auto == "id" and getattr(item, options.pk.name) is None:
        names = options.names_without_pk
    if options.given_by_database:
        left = [name for name in options.given_by_database if getattr(item, name) is None]
        return tuple(name for name in names if name not in left)
    return names


def take(item: Any, names: tuple[str, ...]) -> tuple[Any, ...]:
    if len(names) == 1:
        return (getattr(item, names[0]),)
    return attrgetter(*names)(item) if names else ()


async def insert(db: Database, item: M) -> M:
    """Insert; the row as the database has it."""
    options = item._meta
    prepare(options, item, new=True)
    names = insert_names(options, item)
    program: Program = db.program(insert_program, (type(item), names, (), None))
    rows = await db.executor.fetch(program.command, program.bind(take(item, names)), writes=True)
    return program.decode(rows)[0]  # type: ignore[no-any-return]


async def create(query: QuerySet[M], values: Mapping[str, Any]) -> M:
    db, item = database(query._db), build(query, values)
    if not item._meta.hooks:
        return await insert(db, item)
    return await hooked(db, item, created=True, write=lambda: insert_into(db, item))


async def insert_into(db: Database, item: M) -> M:
    adopt(item, await insert(db, item))
    return item


async def hooked(db: Database, item: M, *, created: bool, write: Callable[[], Awaitable[M]]) -> M:
    """A write between the object's hooks, in one transaction: a hook that raises undoes it."""
    async with db.transaction():
        await run_hook(item, "before_save", created=created)
        made = await write()
        await run_hook(item, "after_save", created=created)
        return made


async def run_hook(item: Model, name: str, **given: Any) -> None:
    if name in item._meta.hooks:
        answer = getattr(item, name)(**given)
        if inspect.isawaitable(answer):
            await answer


async def delete(item: Model, using: Database | None) -> bool:
    options, db = item._meta, database(using)
    query = type(item).objects.using(db).filter(pk=item.pk)
    if options.hooks:
        async with db.transaction():
            await run_hook(item, "before_delete")
            gone = await query.delete() > 0
            await run_hook(item, "after_delete")
    else:
        gone = await query.delete() > 0
    if gone and options.soft_delete is not None:
        setattr(item, options.soft_delete, datetime.now(UTC))
    return gone


def adopt(item: Any, fresh: Any) -> None:
    for name in item._meta.names:
        setattr(item, name, getattr(fresh, name))


async def save(item: M, using: Database | None, only: list[str] | None) -> M:
    db = database(using)
    if not item._meta.hooks:
        return await write(db, item, only)
    created = only is None and item.pk is None
    if only is None and not created:
        created = not await type(item).objects.using(db)._unseen().filter(pk=item.pk).exists()
    return await hooked(db, item, created=created, write=lambda: write(db, item, only))


async def write(db: Database, item: M, only: list[str] | None) -> M:
    options = item._meta
    if only is None and any(getattr(item, name) is UNSET for name in options.names):
        only = [name for name in options.names_without_pk if getattr(item, name) is not UNSET]
    if only is not None:
        await save_only(db, item, only)
        return item
    if options.pk.auto == "id" and item.pk is None:
        adopt(item, await insert(db, item))
        return item
    prepare(options, item, new=True)
    # One statement whether the row exists or not; what is set on creation only stays as it was.
    updated = tuple(name for name in options.names_without_pk if options.fields[name].auto != "create")
    names = insert_names(options, item)
    updated = tuple(name for name in updated if name in names)
    adopt(item, await put(db, item, names, (options.pk.name,), updated or (options.pk.name,)))
    return item


async def put(
    db: Database, item: M, names: tuple[str, ...], conflict: tuple[str, ...], updated: tuple[str, ...]
) -> M:
    program: Program = db.program(insert_program, (type(item), names, conflict, updated))
    rows = await db.executor.fetch(program.command, program.bind(take(item, names)), writes=True)
    if not rows:  # the row in its way is another tenant's
        raise gone(item)
    return program.decode(rows)[0]  # type: ignore[no-any-return]


async def save_only(db: Database, item: M, only: Iterable[str]) -> None:
    options = item._meta
    prepare(options, item, new=False)
    names = [options.field(name).name for name in only]
    names += [name for name in options.stamped if options.fields[name].auto == "update" and name not in names]
    values = take(item, tuple(names))
    if any(isinstance(value, Expression) for value in values):
        query = type(item).objects.using(db).filter(pk=item.pk)
        changed = await query.update(**dict(zip(names, values, strict=True)))
        if changed:
            await item.refresh(using=db)
            return
        raise gone(item)
    program: Program = db.program(resave_program, (type(item), tuple(names)))
    rows = await db.executor.fetch(program.command, program.bind((*values, item.pk)), writes=True)
    if not rows:
        raise gone(item)
    # The database has the last word: a decimal is cut to its places, a time comes back in UTC.
    adopt(item, program.decode(rows)[0])


def gone(item: Model) -> Exception:
    return item.DoesNotExist(f"The {item._meta.verbose_name} to save is not there any more.")


async def bulk_create(
    query: QuerySet[M],
    objects: Iterable[M | Mapping[str, Any]],
    on_conflict: Literal["", "ignore", "update"],
    conflict: Iterable[str],
    update: Iterable[str] | None,
) -> list[M]:
    db = database(query._db)
    options = query._model._meta
    target = tuple(options.field(name).name for name in conflict)
    if on_conflict == "update" and not target:
        target = (options.pk.name,)
    chosen = None if update is None else tuple(options.field(name).name for name in update)

    def updated(names: tuple[str, ...]) -> tuple[str, ...] | None:
        if on_conflict != "update":
            return () if on_conflict == "ignore" else None
        kept = [name for name in names if options.fields[name].auto != "create" and name != options.pk.name]
        found = tuple(name for name in kept if name not in target) if chosen is None else chosen
        return found or target[:1]

    groups: dict[tuple[str, ...], list[tuple[int, M]]] = {}
    count = 0
    for count, given in enumerate(objects, 1):
        item: M = build(query, given) if isinstance(given, Mapping) else given
        if type(item) is not query._model:
            raise FieldError(
                f"bulk_create takes {options.name} objects or mappings, not {type(item).__name__}."
            )
        if not options.hooks:
            prepare(options, item, new=True)
        groups.setdefault(insert_names(options, item), []).append((count - 1, item))
    if options.hooks:
        async with db.transaction():
            for group in groups.values():
                for _, item in group:
                    await run_hook(item, "before_save", created=True)
                    prepare(options, item, new=True)
            made = [
                await insert_group(db, names, group, target, updated(names))
                for names, group in groups.items()
            ]
            for pairs in made:
                for _, item in pairs:
                    await run_hook(item, "after_save", created=True)
    elif len(groups) > 1:
        async with db.transaction():
            made = [
                await insert_group(db, names, group, target, updated(names))
                for names, group in groups.items()
            ]
    else:
        made = [
            await insert_group(db, names, group, target, updated(names)) for names, group in groups.items()
        ]
    results = dict(pair for group in made for pair in group)
    return [results[number] for number in range(count) if number in results]


async def insert_group(
    db: Database,
    names: tuple[str, ...],
    group: list[tuple[int, M]],
    target: tuple[str, ...],
    updated: tuple[str, ...] | None,
) -> list[tuple[int, M]]:
    model = type(group[0][1])
    program: Program = db.program(insert_program, (model, names, target, updated))
    many = [program.bind(take(item, names)) for _, item in group]
    made: list[tuple[int, M]] = []
    for (number, item), rows in zip(
        group, await db.executor.execute_many(program.command, many), strict=True
    ):
        if rows:
            adopt(item, program.decode(rows)[0])
            made.append((number, item))
    return made


async def bulk_update(query: QuerySet[M], objects: Iterable[M], fields: Iterable[str]) -> int:
    db = database(query._db)
    options = query._model._meta
    items = list(objects)
    names = tuple(dict.fromkeys(options.field(name).name for name in fields))
    if not items or not names:
        return 0
    if options.pk.name in names:
        raise FieldError(f"bulk_update cannot change the primary key `{options.pk.name}`.")
    for item in items:
        prepare(options, item, new=False)
    names += tuple(
        name for name in options.stamped if options.fields[name].auto == "update" and name not in names
    )
    program: Program = db.program(rewrite_program, (query._model, names))
    many = [program.bind((*take(item, names), item.pk)) for item in items]
    return sum(map(len, await db.executor.execute_many(program.command, many)))


async def get_or_create(
    query: QuerySet[M], defaults: Mapping[str, Any], lookups: Mapping[str, Any]
) -> tuple[M, bool]:
    try:
        return await query.get(**lookups), False
    except query._model.DoesNotExist:
        pass
    db = database(query._db)
    values = {**plain(query, lookups), **defaults}
    try:
        if not db.in_transaction:
            return await create(query, values), True
        async with db.transaction():  # a savepoint: a clash must not spoil the transaction around
            return await create(query, values), True
    except IntegrityError as error:
        if error.kind != "unique":
            raise
        # Another was faster.
        try:
            return await query.get(**lookups), False
        except query._model.DoesNotExist:
            raise error from None


async def update_or_create(
    query: QuerySet[M], defaults: Mapping[str, Any], lookups: Mapping[str, Any]
) -> tuple[M, bool]:
    db = database(query._db)
    names = [query._model._meta.field(name).name for name in defaults]
    async with db.transaction():
        item, created = await get_or_create(query.select_for_update(), defaults, lookups)
        if not created and names:
            given = [value.pk if hasattr(value, "_meta") else value for value in defaults.values()]
            for name, value in zip(names, given, strict=True):
                setattr(item, name, value)
            await save(item, db, names)
        return item, created


def plain(query: QuerySet[M], lookups: Mapping[str, Any]) -> dict[str, Any]:
    """The lookups that are equalities, as values for a new object."""
    return {name: value for name, value in lookups.items() if "__" not in name}


async def upsert(
    query: QuerySet[M], conflict: tuple[str, ...], update: tuple[str, ...] | None, values: Mapping[str, Any]
) -> M:
    options = query._model._meta
    item = build(query, values)
    prepare(options, item, new=True)
    target = tuple(options.field(name).name for name in conflict)
    if update is None:
        given = [options.field(name).name for name in values]
        update = tuple(name for name in given if name not in target)
        update += tuple(name for name in options.stamped if options.fields[name].auto == "update")
    else:
        update = tuple(options.field(name).name for name in update)
    names = insert_names(options, item)
    return await put(database(query._db), item, names, target, update or target[:1])


def shaped_changes(options: Options, changes: Mapping[str, Any]) -> tuple[Changes, tuple[Any, ...]]:
    """The shape of an update's assignments, and their values."""
    shapes: list[tuple[str, Any]] = []
    values: list[Any] = []
    for name, value in changes.items():
        key = options.field(name).name
        if key == options.tenant_field:
            raise FieldError(f"{options.name}.{key} says whose the object is, and is not changed.")
        if key in options.validated:
            validate(options, key, value)
        if isinstance(value, Expression):
            shape, given = value.shape(options)
            shapes.append((key, shape))
            values += given
        else:
            shapes.append((key, None))
            values.append(value.pk if hasattr(value, "_meta") else value)
    if not shapes:
        raise FieldError("update() needs something to set.")
    for name in options.stamped:
        if options.fields[name].auto == "update" and name not in (key for key, _ in shapes):
            now = datetime.now(UTC)
            shapes.append((name, None))
            values.append(now if options.fields[name].kind == "datetime" else now.replace(tzinfo=None))
    return tuple(shapes), tuple(values)
