"""Lists as bytes from the database, held against the same lists encoded from objects; and queries of any text."""

from __future__ import annotations

import enum
import uuid
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swift import App, Model, Schema, fields
from swift.pagination import CursorPagination, LimitOffsetPagination
from swift.permissions import IsOwner
from swift.serializers import Serializer
from swift.testing import TestClient
from swift.viewsets import AutoRouter, ModelViewSet, ReadOnlyModelViewSet


class Colour(enum.Enum):
    RED = "red"
    GREEN = 'gr"een'


class Owner(Model):
    id: int = fields.IDField()
    name: str = fields.StringField()


class Thing(Model):
    id: int = fields.IDField()
    text: str = fields.TextField()
    name: str | None = fields.StringField(max_length=20, null=True, db_column="a name")
    count: int | None = fields.IntegerField(null=True)
    big: int = fields.BigIntegerField()
    size: float = fields.FloatField()
    weight: float | None = fields.FloatField(null=True)
    price: Decimal = fields.DecimalField(max_digits=12, decimal_places=3)
    fine: Decimal = fields.DecimalField(max_digits=12, decimal_places=9, default=Decimal(0))
    on: bool = fields.BoolField()
    off: bool | None = fields.BoolField(null=True)
    day: date | None = fields.DateField(null=True)
    clock: time = fields.TimeField()
    instant: datetime = fields.DateTimeField()
    key: uuid.UUID = fields.UUIDField()
    blob: bytes | None = fields.BinaryField(null=True)
    data: Any = fields.JSONField(null=True)
    colour: Colour = fields.EnumField(Colour)
    secret: str = fields.StringField(default="x", write_only=True)
    stamp: str = fields.StringField(default="y", read_only=True)
    owner_id: int | None = fields.ForeignKey(Owner, null=True)


class ThingSerializer(Serializer):
    model = Thing
    fields = ("id", "price", "instant", "text", "size")
    read_only = ("price",)


class Renamed(Schema, rename="camel"):
    id: int
    owner_id: int | None
    colour: Colour


class Whole(ReadOnlyModelViewSet):
    """With a decimal that Python and databases write in different ways."""

    model = Thing
    pagination_class = None


class PlainSerializer(Serializer):
    model = Thing
    exclude = ("fine",)


class Plain(ReadOnlyModelViewSet):
    model = Thing
    serializer_class = PlainSerializer
    pagination_class = None


class Subset(Plain):
    serializer_class = ThingSerializer


class Schemed(Plain):
    output_schema = Renamed


class Narrow(Plain):
    """One column only."""

    serializer_class = type("IdSerializer", (Serializer,), {"model": Thing, "fields": ("id",)})


def in_python(viewset: type[ModelViewSet]) -> type[ModelViewSet]:
    """The same ViewSet, whose lists are made of objects."""

    def show(self: Any, obj: Any) -> Any:
        return ModelViewSet.show(self, obj)

    made = type(f"{viewset.__name__}InPython", (viewset,), {"show": show})
    assert not made.plain_list
    return made


VIEWSETS = (Whole, Plain, Subset, Schemed, Narrow)
NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=20)
THINGS = st.builds(
    Thing,
    text=NAMES,
    name=st.none() | NAMES,
    count=st.none() | st.integers(-(2**31), 2**31 - 1),
    big=st.integers(-(2**63), 2**63 - 1),
    size=st.floats(allow_nan=False, allow_infinity=False),
    weight=st.none() | st.floats(-1e9, 1e9).map(lambda value: round(value, 4)),
    price=st.decimals(-(10**8), 10**8, places=3, allow_nan=False),
    fine=st.decimals(-10, 10, places=9, allow_nan=False),
    on=st.booleans(),
    off=st.none() | st.booleans(),
    day=st.none() | st.dates(),
    clock=st.times(),
    instant=st.datetimes(timezones=st.just(UTC)),
    key=st.uuids(),
    blob=st.none() | st.binary(max_size=9),
    data=st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | NAMES,
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=2),
        max_leaves=4,
    ),
    colour=st.sampled_from(Colour),
    secret=NAMES,
)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(things=st.lists(THINGS, max_size=5))
@pytest.mark.parametrize("database", ["sqlite://", "memory://"])
async def test_a_list_from_the_database_is_the_list_of_objects_byte_for_byte(
    database: str, things: list[Thing]
) -> None:
    router = AutoRouter()
    for viewset in VIEWSETS:
        router.register(f"/{viewset.__name__}", viewset)
        router.register(f"/{viewset.__name__}-in-python", in_python(viewset))
    app = App(routers=[router], database=database)
    async with TestClient(app) as client:
        await app.db.create_tables([Owner, Thing])
        with app.db.bind():
            await Thing.objects.bulk_create(things)
        for viewset in VIEWSETS:
            listed = await client.get(f"/{viewset.__name__}")
            made = await client.get(f"/{viewset.__name__}-in-python")
            assert listed.content == made.content
            alone = [await client.get(f"/{viewset.__name__}/{thing.id}") for thing in things]
            if viewset is not Schemed:
                by_id = {item["id"]: item for item in listed.json()}
                assert [answer.json() for answer in alone] == [by_id[thing.id] for thing in things]


async def test_lists_whose_objects_nobody_looks_at_come_as_json() -> None:
    router = AutoRouter()
    for viewset in (Plain, Subset, Narrow):
        router.register(f"/{viewset.__name__}", viewset)
    app = App(routers=[router], database="sqlite://")
    async with TestClient(app) as client:
        await app.db.create_tables([Owner, Thing])
        engine: Any = app.db.engine
        trips: list[str] = []
        for name in ("fetch", "fetch_json"):
            run = getattr(engine, name)

            async def counted(*args: Any, run: Any = run, **options: Any) -> Any:
                trips.append(run.__name__)
                return await run(*args, **options)

            setattr(engine, name, counted)
        for viewset in (Plain, Subset, Narrow):
            assert (await client.get(f"/{viewset.__name__}")).content == b"[]"
        assert trips == ["fetch_json"] * 3


class Guarded(Plain):
    permission_classes = (IsOwner("owner_id"),)


class Hooked(Plain):
    async def get_object(self) -> Any:
        return await super().get_object()


async def test_one_object_comes_as_json_unless_something_looks_at_it() -> None:
    router = AutoRouter()
    for viewset in (Plain, Subset, Whole, Guarded, Hooked):
        router.register(f"/{viewset.__name__}", viewset)
    app = App(routers=[router], database="sqlite://")
    async with TestClient(app) as client:
        await app.db.create_tables([Owner, Thing])
        with app.db.bind():
            await Thing.objects.create(
                text="text", big=1, size=1.0, price=Decimal(1), on=True, clock=time(), colour=Colour.RED,
                instant=datetime(2026, 1, 1, tzinfo=UTC), key=uuid.UUID(int=1),
            )  # fmt: skip
        engine: Any = app.db.engine
        trips: list[str] = []
        for name in ("fetch", "fetch_json"):
            run = getattr(engine, name)

            async def counted(*args: Any, run: Any = run, **options: Any) -> Any:
                trips.append(run.__name__)
                return await run(*args, **options)

            setattr(engine, name, counted)
        plain = await client.get("/Plain/1")
        assert plain.content == (await client.get("/Hooked/1")).content
        assert (await client.get("/Subset/1")).json()["text"] == "text"
        assert (await client.get("/Whole/1")).json()["fine"] == "0E-9"
        assert (await client.get("/Guarded/1")).status == 401
        assert trips == ["fetch_json", "fetch", "fetch_json", "fetch", "fetch"]
        for path in ("/Plain/2", f"/Plain/{10**17}"):
            missing = await client.get(path)
            assert (missing.status, missing.json()["detail"]) == (404, "There is no such thing.")


# Queries of any text


class Asked(ModelViewSet):
    model = Thing
    filter_fields = (
        "text", "text__icontains", "name__startswith", "name__isnull", "count", "count__in", "count__range", "big__gt",
        "size__lte", "price", "price__gte", "on", "day", "day__year", "clock__lt", "instant__gte", "instant__date",
        "key", "key__in", "colour", "colour__ne", "owner_id", "owner__name__iendswith", "blob", "data__has_key",
    )  # fmt: skip
    search_fields = ("text", "name", "owner__name")
    ordering_fields = ("text", "count", "price", "instant", "owner__name")


class ByOffset(Asked):
    pagination_class = LimitOffsetPagination


class ByCursor(Asked):
    ordering_fields = ("text", "count", "price", "instant")
    pagination_class = type("Cursors", (CursorPagination,), {"secret": "of this test"})


PARAMETERS = (
    *Asked.filter_fields,
    "search",
    "only",
    "ordering",
    "page",
    "page_size",
    "limit",
    "offset",
    "cursor",
    "x",
)
VALUES = st.one_of(
    st.text(max_size=12),
    st.integers().map(str),
    st.floats().map(str),
    st.decimals().map(str),
    st.datetimes(timezones=st.none() | st.just(UTC)).map(lambda value: value.isoformat()),
    st.dates().map(str),
    st.times().map(str),
    st.uuids().map(str),
    st.lists(st.integers(-3, 3).map(str), max_size=3).map(",".join),
    st.sampled_from(
        ["", "null", "true", "false", "red", "text", "-text", "-", ",", "1,2", "%", "\\", "AAAA", "a\0b"]
    ),
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(query=st.lists(st.tuples(st.sampled_from(PARAMETERS), VALUES), max_size=4))
@pytest.mark.parametrize("database", ["sqlite://", "memory://"])
async def test_no_query_is_the_servers_fault(database: str, query: list[tuple[str, str]]) -> None:
    router = AutoRouter()
    for viewset in (Asked, ByOffset, ByCursor):
        router.register(f"/{viewset.__name__}", viewset)
    app = App(routers=[router], database=database)
    async with TestClient(app, raise_server_exceptions=False) as client:
        await app.db.create_tables([Owner, Thing])
        with app.db.bind():
            owner = await Owner.objects.create(name="Ann")
            await Thing.objects.create(
                text="text", big=1, size=1.0, price=Decimal(1), on=True, clock=time(), colour=Colour.RED,
                instant=datetime(2026, 1, 1, tzinfo=UTC), key=uuid.UUID(int=1), owner_id=owner.id, data={"a": 1},
            )  # fmt: skip
        text = urlencode([(name, value.encode("utf-8", "replace")) for name, value in query])
        for viewset in (Asked, ByOffset, ByCursor):
            answer = await client.get(f"/{viewset.__name__}?{text}")
            assert answer.status in (200, 400, 404, 422), (text, answer.text)
            if answer.status != 200:
                assert answer.headers["content-type"] == "application/problem+json"
            else:
                msgspec.json.decode(answer.content)
