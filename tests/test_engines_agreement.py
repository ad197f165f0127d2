"""Random queries over random rows: SQLite answers what the memory engine, the plain model of it, answers."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as s

from swift.engines import Database
from swift.models import Avg, Count, F, Max, Min, Model, Q, Sum, fields


class Owner(Model):
    id: int = fields.IDField()
    name: str = fields.StringField()


class Row(Model):
    id: int = fields.IDField()
    number: int | None = fields.IntegerField(null=True)
    other: int = fields.IntegerField(default=0)
    ratio: float | None = fields.FloatField(null=True)
    amount: Decimal | None = fields.DecimalField(max_digits=9, decimal_places=2, null=True)
    name: str | None = fields.StringField(null=True)
    flag: bool | None = fields.BoolField(null=True)
    day: date | None = fields.DateField(null=True)
    clock: time | None = fields.TimeField(null=True)
    moment: datetime | None = fields.DateTimeField(null=True)
    data: Any = fields.JSONField(null=True)
    blob: bytes | None = fields.BinaryField(null=True)
    owner_id: int | None = fields.ForeignKey(Owner, null=True)


OWNERS = ["Ann", "bob", "Ünal"]
# Few values, so that conditions meet; with the characters that patterns and folding stumble over.
TEXT = s.text(alphabet="aAbÜüßİ%_*?[]\\'\"é\n\x00".replace("\x00", ""), max_size=4)
small = s.integers(-3, 3)
finite = s.floats(allow_nan=False, allow_infinity=False)
VALUES: dict[str, s.SearchStrategy[Any]] = {
    "number": small,
    "other": small,
    "ratio": s.one_of(s.sampled_from([0.0, -0.5, 0.1, 1.5, 1e300, 5e-324]), finite),
    "amount": s.decimals(-20, 20, places=2),
    "name": TEXT,
    "flag": s.booleans(),
    "day": s.dates(date(1999, 12, 30), date(2000, 1, 3)),
    "clock": s.sampled_from([time(0), time(0, 0, 0, 1), time(12, 30), time(23, 59, 59, 999999)]),
    "moment": s.one_of(
        s.datetimes(datetime(1999, 12, 31), datetime(2000, 1, 2), timezones=s.just(UTC)),
        s.sampled_from([datetime(2000, 1, 1, tzinfo=UTC), datetime(2000, 1, 1, 0, 0, 0, 1, tzinfo=UTC)]),
    ),
    "data": s.recursive(
        s.none() | s.booleans() | small | TEXT | s.sampled_from([0.5, 1.0]),
        lambda inner: s.lists(inner, max_size=2) | s.dictionaries(s.sampled_from("ab"), inner, max_size=2),
        max_leaves=4,
    ),
    "blob": s.binary(max_size=3),
    "owner_id": s.sampled_from([1, 2, 3]),
}
ROWS = s.lists(
    s.fixed_dictionaries(
        {}, optional={name: value if name == "other" else s.none() | value for name, value in VALUES.items()}
    ),
    max_size=8,
)
ORDERED = ("number", "other", "ratio", "amount", "name", "day", "clock", "moment")


def lookups() -> s.SearchStrategy[dict[str, Any]]:
    found: list[s.SearchStrategy[dict[str, Any]]] = []

    def add(name: str, value: s.SearchStrategy[Any]) -> None:
        found.append(s.fixed_dictionaries({name: value}))

    for name, value in VALUES.items():
        add(f"{name}__isnull", s.booleans())
        if name == "data":
            continue
        add(name, value)
        add(f"{name}__ne", value)
        add(f"{name}__in", s.lists(s.none() | value, max_size=3))
    for name in ORDERED:
        for operator in ("gt", "gte", "lt", "lte"):
            add(f"{name}__{operator}", VALUES[name])
        add(f"{name}__range", s.tuples(VALUES[name], VALUES[name]))
    for operator in ("iexact", "contains", "icontains", "startswith", "istartswith", "endswith", "iendswith"):
        add(f"name__{operator}", TEXT)
        add(f"owner__name__{operator}", s.sampled_from(["a", "B", "Ü", "ü", ""]))
        add(f"data__a__{operator}", TEXT)
    add("data__a", VALUES["data"])
    add("data__a__ne", s.booleans() | small | TEXT)
    add("data__a__in", s.lists(s.booleans() | small | TEXT, max_size=2))
    for operator in ("gt", "lte"):
        add(f"data__a__{operator}", small | TEXT)
    add("data__0", small)
    add("data__a__isnull", s.booleans())
    add("data__has_key", s.sampled_from("ab"))
    add("moment__hour", s.sampled_from([0, 23]))
    add("moment__date__gte", VALUES["day"])
    add("moment__time__lt", VALUES["clock"])
    add("day__week_day", s.integers(1, 7))
    add("day__year__lt", s.sampled_from([1999, 2000]))
    add("clock__minute", s.sampled_from([0, 30, 59]))
    add("number", s.sampled_from([F("other"), F("other") + 1, F("number") * F("other"), F("id") % 3]))
    add("other__gte", s.sampled_from([F("number"), F("other") / 2, F("ratio"), F("amount"), F("id") - 2]))
    add("amount__lt", s.sampled_from([F("number"), F("amount") * 2, F("ratio")]))
    return s.one_of(found)


CONDITIONS = s.recursive(
    lookups().map(lambda lookup: Q(**lookup)),
    lambda inner: s.one_of(
        inner.map(lambda q: ~q),
        s.tuples(inner, inner).map(lambda pair: pair[0] & pair[1]),
        s.tuples(inner, inner).map(lambda pair: pair[0] | pair[1]),
    ),
    max_leaves=4,
)
NAMES = s.sampled_from([*ORDERED, "flag", "owner__name", "moment__hour"])
ORDER = s.lists(s.builds(lambda name, down: f"-{name}" if down else name, NAMES, s.booleans()), max_size=2)


async def fill(db: Database, rows: list[dict[str, Any]]) -> None:
    await db.create_tables([Owner, Row])
    await Owner.objects.bulk_create([{"name": name} for name in OWNERS])
    await Row.objects.bulk_create(rows)


async def answer(url: str, rows: list[dict[str, Any]], ask: Any) -> Any:
    async with Database.from_url(url) as db:
        await fill(db, rows)
        return await ask()


def both(rows: list[dict[str, Any]], ask: Any) -> Any:
    async def run() -> tuple[Any, Any]:
        return await answer("memory://", rows, ask), await answer("sqlite://", rows, ask)

    memory, sqlite = asyncio.run(run())
    assert sqlite == memory
    return memory


relaxed = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@given(ROWS, CONDITIONS, ORDER, s.integers(0, 3), s.none() | s.integers(0, 4))
@relaxed
def test_filters_orders_and_slices(
    rows: list[dict[str, Any]], condition: Q, order: list[str], start: int, length: int | None
) -> None:
    async def ask() -> Any:
        query = Row.objects.filter(condition).order_by(*order, "id")
        page = query[start : None if length is None else start + length]
        counted = await query.count(), await page.count(), await page.exists()
        return [await page, counted, await Row.objects.exclude(condition).count()]

    page, counted, left_out = both(rows, ask)
    assert counted[0] + left_out == len(rows)
    assert counted[1] == len(page)


@given(ROWS)
@relaxed
def test_json_is_the_encoding_of_the_objects(rows: list[dict[str, Any]]) -> None:
    async def ask() -> Any:
        objects = await Row.objects.order_by("id")
        made, encoded = await Row.objects.order_by("id").fetch_json(), msgspec.json.encode(objects)
        assert made == encoded
        assert msgspec.json.decode(made, type=list[Row]) == objects
        return objects

    both(rows, ask)


few_decimals = s.decimals(-(10**12), 10**12, places=6).map(float) | s.integers(-20, 20).map(
    lambda k: k / 10**7
)


@given(s.lists(finite | few_decimals, min_size=1, max_size=20))
@relaxed
def test_json_writes_the_shortest_text_of_a_float(numbers: list[float]) -> None:
    async def ask() -> Any:
        objects = await Row.objects.order_by("id")
        assert [row.ratio for row in objects] == numbers
        assert await Row.objects.order_by("id").fetch_json() == msgspec.json.encode(objects)
        return None

    both([{"ratio": number} for number in numbers], ask)


@given(ROWS, CONDITIONS)
@relaxed
def test_aggregates_and_groups(rows: list[dict[str, Any]], condition: Q) -> None:
    async def ask() -> Any:
        total = await Row.objects.filter(condition).aggregate(
            n=Count(),
            numbers=Count("number", distinct=True),
            total=Sum("number"),
            worth=Sum("amount"),
            least=Min("amount"),
            last=Max("moment"),
            some=Count(filter=condition),
            mean=Avg("number"),
        )
        groups = (
            await Row.objects.filter(condition)
            .values("other")
            .annotate(n=Count(), worth=Max("amount"))
            .order_by("other")
        )
        mean = total.pop("mean")
        return total, mean is None or round(mean, 9), groups

    both(rows, ask)


@given(ROWS, CONDITIONS, s.sampled_from(["other", "number"]))
@relaxed
def test_changes(rows: list[dict[str, Any]], condition: Q, name: str) -> None:
    async def ask() -> Any:
        changed = await Row.objects.filter(condition).update(
            **{name: F("other") * 2 + 1, "amount": F("amount") - 3}
        )
        after = await Row.objects.order_by("id")
        deleted = await Row.objects.exclude(condition).delete()
        return changed, after, deleted, await Row.objects.order_by("id").values_list("id", flat=True)

    both(rows, ask)


@given(
    s.datetimes(
        datetime(2, 1, 1),
        datetime(9998, 12, 31),
        timezones=s.sampled_from(
            [UTC, timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(hours=-12))]
        ),
    )
)
@relaxed
def test_instants_keep_their_microseconds(moment: datetime) -> None:
    async def ask() -> Any:
        return (await Row.objects.get(moment=moment)).moment == moment

    assert both([{"moment": moment}], ask)
