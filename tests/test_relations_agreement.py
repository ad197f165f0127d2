"""Random conditions through relations: every engine finds what a walk over the objects themselves finds."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as s

from swift.engines import Database
from swift.models import Count, Many, Model, Q, Sum, fields


class Label(Model):
    id: int = fields.IDField()
    weight: int = fields.IntegerField()
    items: Many[Item] = fields.Related()


class Shelf(Model):
    id: int = fields.IDField()
    size: int = fields.IntegerField()
    over_id: int | None = fields.ForeignKey("self", null=True, related_name="under")
    items: Many[Item] = fields.Related()
    under: Many[Shelf] = fields.Related()


class Item(Model):
    id: int = fields.IDField()
    size: int = fields.IntegerField()
    shelf_id: int | None = fields.ForeignKey(Shelf, null=True, related_name="items")
    labels: Many[Label] = fields.ManyToManyField(Label, related_name="items")


TABLES = [Label, Shelf, Item]
SIZES = s.integers(0, 3)


class World:
    """The rows as plain objects: what the queries are held against."""

    def __init__(self, shelves: list[Any], items: list[Any], labels: list[int]) -> None:
        self.labels = [{"id": key, "weight": weight} for key, weight in enumerate(labels, 1)]
        self.shelves = [
            {"id": key, "size": size, "over": over if over is not None and over < key else None}
            for key, (size, over) in enumerate(shelves, 1)
        ]
        self.items = [
            {
                "id": key,
                "size": size,
                "shelf": shelf if shelf is not None and shelf <= len(self.shelves) else None,
                "labels": sorted({one for one in given if one <= len(self.labels)}),
            }
            for key, (size, shelf, given) in enumerate(items, 1)
        ]

    def reach(self, kind: str, row: dict[str, Any], step: str) -> list[tuple[str, dict[str, Any]]]:
        match kind, step:
            case "shelf", "items":
                return [("item", one) for one in self.items if one["shelf"] == row["id"]]
            case "shelf", "under":
                return [("shelf", one) for one in self.shelves if one["over"] == row["id"]]
            case "shelf", "over":
                return [("shelf", one) for one in self.shelves if one["id"] == row["over"]]
            case "item", "shelf":
                return [("shelf", one) for one in self.shelves if one["id"] == row["shelf"]]
            case "item", "labels":
                return [("label", one) for one in self.labels if one["id"] in row["labels"]]
            case "label", "items":
                return [("item", one) for one in self.items if row["id"] in one["labels"]]
        raise AssertionError((kind, step))

    def ends(self, kind: str, row: dict[str, Any], path: tuple[str, ...]) -> list[tuple[str, dict[str, Any]]]:
        found = [(kind, row)]
        for step in path:
            found = [further for at, one in found for further in self.reach(at, one, step)]
        return found

    def holds(self, row: dict[str, Any], condition: Any) -> bool:
        match condition:
            case "not", inner:
                return not self.holds(row, inner)
            case "and", left, right:
                return self.holds(row, left) and self.holds(row, right)
            case "or", left, right:
                return self.holds(row, left) or self.holds(row, right)
            case "none", path:
                return not self.ends("shelf", row, path)
            case "leaf", path, conditions:
                return any(
                    all(compare(one[name], operator, value) for name, operator, value in conditions)
                    for _, one in self.ends("shelf", row, path)
                )
        raise AssertionError(condition)

    async def store(self) -> None:
        await Label.objects.bulk_create([{"weight": one["weight"]} for one in self.labels])
        for one in self.shelves:
            await Shelf.objects.create(size=one["size"], over_id=one["over"])
        for one in self.items:
            made = await Item.objects.create(size=one["size"], shelf_id=one["shelf"])
            await made.labels.add(*one["labels"])


def compare(left: int, operator: str, right: int) -> bool:
    return {"exact": left == right, "gt": left > right, "lt": left < right, "ne": left != right}[operator]


# From a shelf; the name of what is compared at the end.
PATHS = {
    ("items",): "size",
    ("under",): "size",
    ("under", "items"): "size",
    ("items", "labels"): "weight",
    ("items", "labels", "items"): "size",
    ("over", "items"): "size",
    ("over", "items", "labels"): "weight",
    ("items", "shelf", "under"): "size",
}
OPERATORS = s.sampled_from(["exact", "gt", "lt", "ne"])


def leaves() -> s.SearchStrategy[Any]:
    def leaf(path: tuple[str, ...]) -> s.SearchStrategy[Any]:
        one = s.tuples(s.just(PATHS[path]), OPERATORS, SIZES)
        return s.tuples(s.just("leaf"), s.just(path), s.tuples(one))

    lonely = s.sampled_from([path for path in PATHS if path[-1] != "shelf"]).map(lambda path: ("none", path))
    return s.one_of(s.sampled_from(list(PATHS)).flatmap(leaf), lonely)


CONDITIONS = s.recursive(
    leaves(),
    lambda inner: s.one_of(
        inner.map(lambda one: ("not", one)),
        s.tuples(s.just("or"), inner, inner),
    ),
    max_leaves=4,
)
WORLDS = s.builds(
    World,
    s.lists(s.tuples(SIZES, s.none() | s.integers(1, 4)), max_size=4),
    s.lists(s.tuples(SIZES, s.none() | s.integers(1, 4), s.lists(s.integers(1, 3), max_size=3)), max_size=6),
    s.lists(SIZES, max_size=3),
)


def query_of(condition: Any) -> Q:
    match condition:
        case "not", inner:
            return ~query_of(inner)
        case "or", left, right:
            return query_of(left) | query_of(right)
        case "none", path:
            return Q(**{f"{'__'.join(path)}__isnull": True})
    _, path, conditions = condition
    return Q(**{f"{'__'.join((*path, name))}__{operator}": value for name, operator, value in conditions})


def settled(examples: int) -> Any:
    return settings(max_examples=examples, suppress_health_check=list(HealthCheck), deadline=None)


async def on_each(world: World, ask: Any) -> list[Any]:
    answers = []
    for url in ("sqlite://", "memory://"):
        async with Database.from_url(url) as db:
            await db.create_tables(TABLES)
            await world.store()
            answers.append(await ask())
    return answers


@settled(80)
@given(WORLDS, s.lists(CONDITIONS, min_size=1, max_size=6))
def test_conditions_find_what_a_walk_finds(world: World, conditions: list[Any]) -> None:
    async def ask() -> list[list[int]]:
        return [
            await Shelf.objects.filter(query_of(condition)).order_by("id").values_list("id", flat=True)
            for condition in conditions
        ]

    expected = [
        [row["id"] for row in world.shelves if world.holds(row, condition)] for condition in conditions
    ]
    assert asyncio.run(on_each(world, ask)) == [expected, expected]


@settled(40)
@given(WORLDS, SIZES, SIZES)
def test_conditions_of_one_filter_are_of_one_row(world: World, low: int, high: int) -> None:
    condition = ("leaf", ("items",), (("size", "gt", low), ("size", "lt", high)))

    async def ask() -> list[int]:
        query = Shelf.objects.filter(items__size__gt=low, items__size__lt=high).order_by("id")
        assert await query.count() == len(await query)
        return await query.values_list("id", flat=True)

    expected = [row["id"] for row in world.shelves if world.holds(row, condition)]
    assert asyncio.run(on_each(world, ask)) == [expected, expected]


@settled(40)
@given(WORLDS)
def test_aggregates_and_prefetching_find_what_a_walk_finds(world: World) -> None:
    async def ask() -> list[Any]:
        query = Shelf.objects.annotate(
            items_n=Count("items"), under_n=Count("under"), weight=Sum("items__labels__weight")
        ).order_by("id")
        found = await query.prefetch_related("items__labels", "under", "over")
        return [
            (
                one.id,
                one.items_n,  # type: ignore[attr-defined]
                one.under_n,  # type: ignore[attr-defined]
                one.weight,  # type: ignore[attr-defined]
                sorted((item.id, sorted(label.id for label in item.labels)) for item in one.items),
                sorted(under.id for under in one.under),
                one.over.id if one.over else None,  # type: ignore[attr-defined]
            )
            for one in found
        ]

    def expected(row: dict[str, Any]) -> Any:
        items = [one for _, one in world.ends("shelf", row, ("items",))]
        under = [one for _, one in world.ends("shelf", row, ("under",))]
        weights = [one["weight"] for _, one in world.ends("shelf", row, ("items", "labels"))]
        return (
            row["id"],
            len(items),
            len(under),
            sum(weights) if weights else None,
            [(one["id"], one["labels"]) for one in items],
            sorted(one["id"] for one in under),
            row["over"],
        )

    rows = [expected(row) for row in world.shelves]
    assert asyncio.run(on_each(world, ask)) == [rows, rows]
