"""Loading relations of objects that are there: one query per relation, however many objects.

`prefetch_related("books__tags")` of ten thousand authors is three queries: the authors, all their books, all
tags of those.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from swift.models.errors import FieldError
from swift.models.field import ForeignKeyField
from swift.models.relations import Link, ManyToMany, Reverse

if TYPE_CHECKING:
    from swift.engines.database import Database
    from swift.models.options import Options
    from swift.models.query import Query


class Prefetch:
    """What to prefetch by a relation: `Prefetch("books", Book.objects.filter(draft=False))`.

    `to_attr` puts the list there instead of into the relation, so that both can be loaded.
    """

    __slots__ = ("name", "queryset", "to_attr")

    def __init__(self, name: str, queryset: Query[Any] | None = None, *, to_attr: str = "") -> None:
        if queryset is not None and (queryset._limit is not None or queryset._offset is not None):
            raise FieldError(f"Prefetch({name!r}): a slice would be one of all related objects together.")
        self.name = name
        self.queryset = queryset
        self.to_attr = to_attr


class Step:
    """One relation to load, and what to load behind it."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.queryset: Query[Any] | None = None
        self.to_attr = ""
        self.further: dict[tuple[str, str], Step] = {}


Steps = dict[tuple[str, str], Step]


def plan(options: Options, wanted: Iterable[str | Prefetch]) -> Steps:
    """The steps of all that is wanted, each relation once. Raises FieldError for what is no relation."""
    steps: Steps = {}
    for item in wanted:
        prefetch = Prefetch(item) if isinstance(item, str) else item
        level, near = steps, options
        names = prefetch.name.split("__")
        for number, name in enumerate(names):
            link = None if name in near.fields else near.link(name)
            if link is None:
                known = ", ".join(near.links) or "none"
                raise FieldError(f"{near.name} has no relation `{name}` to load; it has {known}.")
            last = number == len(names) - 1
            key = (name, prefetch.to_attr if last else "")
            step = level.setdefault(key, Step(link))
            if last and prefetch.queryset is not None:
                if step.queryset is not None:
                    raise FieldError(f"`{prefetch.name}` is prefetched twice; give one of them a to_attr.")
                target = link.target()
                if prefetch.queryset._model is not target:
                    raise FieldError(
                        f"Prefetch({prefetch.name!r}) wants a query of {target.__name__}, not of "
                        f"{prefetch.queryset._model.__name__}."
                    )
                step.queryset = prefetch.queryset
            if last:
                step.to_attr = prefetch.to_attr
            level, near = step.further, link.target()._meta
    return steps


async def prefetch(objects: Sequence[Any], *wanted: str | Prefetch, using: Database | None = None) -> None:
    """Load relations of objects that are there already."""
    if objects:
        await load(objects, plan(type(objects[0])._meta, wanted), using)


async def load(objects: Sequence[Any], steps: Steps, db: Database | None) -> None:
    for step in steps.values():
        found = await load_step(objects, step, db)
        if step.further and found:
            await load(found, step.further, db)


async def load_step(objects: Sequence[Any], step: Step, db: Database | None) -> list[Any]:
    link = step.link
    name = step.to_attr or link.relation
    if step.queryset is None and all(link.relation in one.__dict__ for one in objects):
        return already(objects, link)
    model: Any = link.target()
    query: Any = (model.objects if step.queryset is None else step.queryset).using(db)
    if isinstance(link, ForeignKeyField):
        return await load_forward(objects, link, name, query)
    if isinstance(link, Reverse):
        return await load_backward(objects, link, name, query)
    assert isinstance(link, ManyToMany)
    return await load_many(objects, link, name, query)


def already(objects: Sequence[Any], link: Link) -> list[Any]:
    """What is loaded, by select_related or before, without a query."""
    loaded = [one.__dict__[link.relation] for one in objects]
    if link.many:
        return [item for items in loaded for item in items]
    return [item for item in {id(item): item for item in loaded}.values() if item is not None]


async def load_forward(objects: Sequence[Any], link: ForeignKeyField, name: str, query: Any) -> list[Any]:
    keys = {key for one in objects if (key := getattr(one, link.name)) is not None}
    found = await query.filter(pk__in=list(keys)) if keys else []
    by_key = {item.pk: item for item in found}
    for one in objects:
        one.__dict__[name] = by_key.get(getattr(one, link.name))
    return list(found)


async def load_backward(objects: Sequence[Any], link: Reverse, name: str, query: Any) -> list[Any]:
    by_key = {one.pk: one for one in objects}
    found = await query.filter(**{f"{link.field.name}__in": list(by_key)})
    groups: dict[Any, list[Any]] = {}
    for item in found:
        key = getattr(item, link.field.name)
        groups.setdefault(key, []).append(item)
        item.__dict__[link.field.relation] = by_key[key]
    for one in objects:
        items = groups.get(one.pk, [])
        one.__dict__[name] = items if link.many else (items[0] if items else None)
    return list(found)


async def load_many(objects: Sequence[Any], link: ManyToMany, name: str, query: Any) -> list[Any]:
    """One query of the far objects, each with the near key it belongs to."""
    keys = list({one.pk for one in objects})
    found = await query._arriving(link, keys)
    groups: dict[Any, list[Any]] = {}
    for item in found:
        groups.setdefault(item.__dict__.pop("_near"), []).append(item)
    for one in objects:
        one.__dict__[name] = groups.get(one.pk, [])
    return list(found)
