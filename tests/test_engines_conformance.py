"""What every engine answers alike: the same query gives the same rows, the same mistake the same error."""

from __future__ import annotations

import asyncio
import enum
import os
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import nullcontext
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from swift.engines import Database, IntegrityError, InvalidValue, TransactionError
from swift.models import (
    Avg,
    Check,
    Coalesce,
    Count,
    F,
    FieldError,
    Length,
    Lower,
    Max,
    Min,
    Model,
    Q,
    Sum,
    Unique,
    Upper,
    Value,
    fields,
)
from tests.pg_support import Cluster


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Rank(enum.IntEnum):
    LOW = 1
    HIGH = 9


class Address(msgspec.Struct):
    city: str
    zip: str = ""


class City(Model):
    id: int = fields.IDField()
    name: str = fields.StringField(max_length=50, unique=True)


class Author(Model):
    id: int = fields.IDField()
    name: str = fields.StringField(max_length=50)
    born: date | None = fields.DateField(null=True)
    city_id: int | None = fields.ForeignKey(City, null=True, on_delete="set_null")

    class Meta:
        ordering = ("name",)


class Book(Model):
    id: int = fields.IDField()
    title: str = fields.StringField(max_length=80)
    author_id: int = fields.ForeignKey(Author, on_delete="cascade")
    reviewer_id: int | None = fields.ForeignKey(Author, null=True)
    pages: int = fields.IntegerField(default=0)
    price: Decimal = fields.DecimalField(max_digits=10, decimal_places=2, default=Decimal("0.00"))

    class Meta:
        constraints = (Unique("title", "author_id"), Check("pages >= 0", name="pages_positive"))


class Everything(Model):
    id: int = fields.IDField()
    integer: int | None = fields.IntegerField(null=True)
    big: int | None = fields.BigIntegerField(null=True)
    ratio: float | None = fields.FloatField(null=True)
    amount: Decimal | None = fields.DecimalField(max_digits=12, decimal_places=3, null=True)
    name: str | None = fields.StringField(null=True, max_length=200)
    text: str | None = fields.TextField(null=True)
    flag: bool | None = fields.BoolField(null=True)
    day: date | None = fields.DateField(null=True)
    clock: time | None = fields.TimeField(null=True)
    moment: datetime | None = fields.DateTimeField(null=True)
    local: datetime | None = fields.DateTimeField(null=True, tz=False)
    key: uuid.UUID | None = fields.UUIDField(null=True)
    data: Any = fields.JSONField(null=True)
    home: Any = fields.JSONField(Address, null=True)
    tags: list[str] = fields.ArrayField(str, default_factory=list)
    blob: bytes | None = fields.BinaryField(null=True)
    colour: Colour | None = fields.EnumField(Colour, null=True)
    rank: Rank | None = fields.EnumField(Rank, null=True)


class Token(Model):
    id: uuid.UUID = fields.UUIDField(primary_key=True, default_factory=uuid.uuid4)
    label: str = fields.StringField(unique=True)
    made: datetime = fields.DateTimeField(auto_now_add=True)
    seen: datetime = fields.DateTimeField(auto_now=True)


MODELS = [City, Author, Book, Everything, Token]


@pytest.fixture(scope="module")
def postgres(pg_cluster: Cluster) -> Iterator[str]:
    """The DSN of a database that knows the letters of Unicode and orders texts as the other engines do."""
    name = f"conformance_{os.getpid()}"
    pg_cluster.sql(
        f"create database {name} template template0 lc_collate 'C.UTF-8' lc_ctype 'C.UTF-8' encoding 'UTF8'"
    )
    yield pg_cluster.dsn(database=name)
    pg_cluster.sql(f"drop database {name} with (force)")


ENGINES = ["sqlite file", "sqlite memory", "memory", "postgresql", "postgresql+asyncpg"]


@pytest.fixture(params=ENGINES)
async def db(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    urls = {
        "sqlite file": f"sqlite:///{tmp_path}/test.db",
        "sqlite memory": "sqlite://",
        "memory": "memory://",
    }
    url = urls.get(request.param)
    if url is None:
        dsn: str = request.getfixturevalue("postgres")
        url = request.param + dsn.removeprefix("postgresql")
    async with Database.from_url(url) as database:
        if database.dialect == "postgresql":
            await database.drop_tables(MODELS)
        await database.create_tables(MODELS)
        yield database


@pytest.fixture
async def library(db: Database) -> Database:
    paris = await City.objects.create(name="Paris")
    await City.objects.create(name="Oslo")
    ann = await Author.objects.create(name="Ann", born=date(1980, 5, 17), city_id=paris.id)
    bob = await Author.objects.create(name="Bob")
    cid = await Author.objects.create(name="Cid", born=date(1990, 1, 2))
    await Book.objects.bulk_create(
        [
            {"title": "Alpha", "author_id": ann.id, "pages": 100, "price": Decimal("9.50")},
            {"title": "Beta", "author_id": ann.id, "pages": 250, "price": Decimal("10.00")},
            {
                "title": "Gamma",
                "author_id": bob.id,
                "pages": 50,
                "price": Decimal("100.25"),
                "reviewer_id": ann.id,
            },
            {
                "title": "Delta",
                "author_id": cid.id,
                "pages": 250,
                "price": Decimal("2.00"),
                "reviewer_id": bob.id,
            },
        ]
    )
    return db


async def titles(query: Any) -> list[str]:
    return [book.title for book in await query]


MOMENT = datetime(2024, 2, 29, 13, 14, 15, 123456, UTC)
FULL: dict[str, Any] = {
    "integer": -(2**31),
    "big": 2**63 - 1,
    "ratio": 0.1 + 0.2,
    "amount": Decimal("-123456.780"),
    "name": 'Ünï "quoted" \\ \n\x01\x7f 中文 🎉 %d %s',
    "text": "x" * 5000,
    "flag": True,
    "day": date(1, 2, 3),
    "clock": time(23, 59, 59, 999999),
    "moment": MOMENT,
    "local": datetime(2024, 2, 29, 13, 14, 15),
    "key": uuid.UUID(int=5),
    "data": {"b": [1, 2.5, None, True, {"x": "ü"}], "a": ""},
    "home": Address("Paris", "75000"),
    "tags": ["a", "b"],
    "blob": bytes(range(256)),
    "colour": Colour.BLUE,
    "rank": Rank.HIGH,
}


class TestValues:
    async def test_every_kind_of_value_comes_back_as_it_went(self, db: Database) -> None:
        made = await Everything.objects.create(**FULL)
        read = await Everything.objects.get(id=made.id)
        for name, value in FULL.items():
            assert getattr(read, name) == value, name
            assert type(getattr(read, name)) is type(value), name
        assert made == read

    async def test_null_comes_back_as_none(self, db: Database) -> None:
        made = await Everything.objects.create()
        read = await Everything.objects.get(id=made.id)
        assert all(getattr(read, name) is None for name in FULL if name != "tags")
        assert read.tags == []

    @pytest.mark.parametrize("name", [name for name in FULL if name not in ("data", "home", "tags")])
    async def test_every_kind_is_found_by_its_value(self, db: Database, name: str) -> None:
        made = await Everything.objects.create(**FULL)
        await Everything.objects.create()
        assert await Everything.objects.get(**{name: FULL[name]}) == made
        assert await Everything.objects.get(**{f"{name}__in": [FULL[name], None]}) == made
        assert await Everything.objects.filter(**{name: None}).count() == 1
        assert await Everything.objects.exclude(**{name: FULL[name]}).count() == 1
        assert await Everything.objects.filter(**{f"{name}__ne": FULL[name]}).count() == 1

    async def test_json_of_the_database_is_the_encoding_of_the_objects(self, db: Database) -> None:
        await Everything.objects.create(**FULL)
        await Everything.objects.create()
        await Everything.objects.create(
            ratio=1e300, moment=MOMENT.replace(microsecond=0), clock=time(1, 2, 3), local=datetime(2024, 1, 1)
        )
        await Everything.objects.create(ratio=-1e-300, integer=0, flag=False, name="", data=[], blob=b"")
        query = Everything.objects.order_by("id")
        made, encoded = await query.fetch_json(), msgspec.json.encode(await query)
        assert msgspec.json.decode(made) == msgspec.json.decode(encoded)
        assert msgspec.json.decode(made, type=list[Everything]) == await query
        # Floats may spell the same number in 17 digits; all else is the same to the byte.
        query = query.filter(ratio=None)
        assert await query.fetch_json() == msgspec.json.encode(await query)

    async def test_json_of_no_rows_is_an_empty_array(self, db: Database) -> None:
        assert await Everything.objects.fetch_json() == b"[]"
        assert await Everything.objects.none().fetch_json() == b"[]"

    async def test_json_follows_order_and_limits(self, library: Database) -> None:
        query = Book.objects.filter(pages__gt=50).order_by("-price")[1:3]
        assert await query.fetch_json() == msgspec.json.encode(await query)

    async def test_instants_are_compared_as_instants(self, db: Database) -> None:
        east = timezone(timedelta(hours=5))
        made = await Everything.objects.create(moment=MOMENT.astimezone(east))
        assert made.moment == MOMENT
        assert made.moment is not None
        assert made.moment.tzinfo is UTC
        assert await Everything.objects.filter(moment=MOMENT.astimezone(east)).exists()
        assert not await Everything.objects.filter(moment__lt=MOMENT).exists()
        assert await Everything.objects.filter(moment__lt=MOMENT + timedelta(microseconds=1)).exists()

    async def test_instants_with_and_without_microseconds_are_in_order(self, db: Database) -> None:
        base = datetime(2024, 1, 1, tzinfo=UTC)
        for offset in (1, 0, 2_000_000, 999_999):
            await Everything.objects.create(moment=base + timedelta(microseconds=offset))
        found = [one.moment for one in await Everything.objects.order_by("moment")]
        assert found == sorted(found)  # type: ignore[type-var]

    async def test_decimals_are_rounded_to_their_scale(self, db: Database) -> None:
        made = await Everything.objects.create(amount=Decimal("1.0005"))
        assert str(made.amount) == "1.001"
        assert str((await Everything.objects.create(amount=5)).amount) == "5.000"
        assert str((await Everything.objects.create(amount=Decimal("-0.0001"))).amount) == "0.000"

    async def test_decimals_are_compared_as_numbers(self, db: Database) -> None:
        for amount in ("9", "10", "-3", "100.5", "0"):
            await Everything.objects.create(amount=Decimal(amount))

        async def amounts(**lookups: Any) -> list[str]:
            return [str(one.amount) for one in await Everything.objects.filter(**lookups).order_by("amount")]

        assert await amounts() == ["-3.000", "0.000", "9.000", "10.000", "100.500"]
        assert await amounts(amount__gt=Decimal("9.5")) == ["10.000", "100.500"]
        assert await amounts(amount__lte=9) == ["-3.000", "0.000", "9.000"]
        assert await amounts(amount__range=(Decimal("-3"), Decimal("0.0000001"))) == ["-3.000", "0.000"]
        assert await amounts(amount=Decimal("10.0")) == ["10.000"]
        assert await amounts(amount=Decimal("1E+1")) == ["10.000"]
        assert await amounts(amount=Decimal("10.0001")) == []
        assert await amounts(amount__in=[9, Decimal("100.50")]) == ["9.000", "100.500"]

    @pytest.mark.parametrize(
        ("name", "value", "sentence"),
        [
            ("integer", "5", "Everything.integer expects an integer, got `str`."),
            ("integer", True, "Everything.integer expects an integer, got `bool`."),
            ("integer", 2**31, "Everything.integer expects an integer of 32 bits, got a larger one."),
            ("big", 2**63, "Everything.big expects an integer of 64 bits, got a larger one."),
            ("ratio", float("nan"), "Everything.ratio expects a finite number."),
            ("amount", 1.5, "Everything.amount expects a Decimal, got `float`."),
            ("amount", Decimal(10) ** 9, "Everything.amount expects at most 9 digits before the point."),
            ("amount", Decimal("1E+999999"), "Everything.amount expects at most 9 digits before the point."),
            ("amount", Decimal("NaN"), "Everything.amount expects a finite number."),
            ("name", 5, "Everything.name expects text, got `int`."),
            ("name", "a\0b", "Everything.name expects text without NUL characters."),
            ("name", "\ud800", "Everything.name expects text that is valid Unicode."),
            ("name", "x" * 201, "Everything.name expects at most 200 characters, got 201."),
            ("flag", 1, "Everything.flag expects a bool, got `int`."),
            ("day", MOMENT, "Everything.day expects a date, got `datetime`."),
            ("clock", "10:00", "Everything.clock expects a time, got `str`."),
            (
                "moment",
                datetime(2024, 1, 1),
                "Everything.moment expects a datetime with a time zone, such as datetime.now(UTC).",
            ),
            ("local", MOMENT, "Everything.local expects a datetime without a time zone."),
            ("key", "5", "Everything.key expects a UUID, got `str`."),
            ("blob", "text", "Everything.blob expects bytes, got `str`."),
            ("colour", "green", "Everything.colour expects a member of Colour."),
        ],
    )
    async def test_a_value_that_does_not_fit_is_refused_by_name(
        self, db: Database, name: str, value: Any, sentence: str
    ) -> None:
        with pytest.raises(InvalidValue) as caught:
            await Everything.objects.create(**{name: value})
        assert str(caught.value) == sentence
        assert await Everything.objects.count() == 0

    async def test_a_number_too_large_to_compare_is_refused(self, db: Database) -> None:
        with pytest.raises(InvalidValue):
            await Everything.objects.filter(id=10**30).count()
        assert await Everything.objects.filter(integer=2**40).count() == 0

    async def test_json_null_is_kept_where_null_is_not(self, db: Database) -> None:
        class Note(Model):
            id: int = fields.IDField()
            data: Any = fields.JSONField()

        await db.create_tables([Note])
        made = await Note.objects.create(data=None)
        assert made.data is None
        assert await Note.objects.filter(data__isnull=True).count() == 0


class TestLookups:
    @pytest.mark.parametrize(
        ("lookup", "value", "expected"),
        [
            ("name", "Ann", "Ann"),
            ("name__exact", "ann", ""),
            ("name__ne", "Ann", "ANNA,ann%,b_c,Élan,élan,None"),
            ("name__iexact", "ann", "Ann"),
            ("name__iexact", "ÉLAN", "Élan,élan"),
            ("name__contains", "nn", "Ann,ann%"),
            ("name__contains", "%", "ann%"),
            ("name__contains", "_", "b_c"),
            ("name__contains", "é", "élan"),
            ("name__icontains", "NN", "Ann,ANNA,ann%"),
            ("name__icontains", "É", "Élan,élan"),
            ("name__icontains", "%", "ann%"),
            ("name__icontains", "n_", ""),
            ("name__icontains", "", "Ann,ANNA,ann%,b_c,Élan,élan"),
            ("name__startswith", "A", "Ann,ANNA"),
            ("name__startswith", "*", ""),
            ("name__startswith", "[a]", ""),
            ("name__istartswith", "a", "Ann,ANNA,ann%"),
            ("name__istartswith", "é", "Élan,élan"),
            ("name__endswith", "n", "Ann,Élan,élan"),
            ("name__endswith", "", "Ann,ANNA,ann%,b_c,Élan,élan"),
            ("name__iendswith", "NA", "ANNA"),
            ("name__iendswith", "%", "ann%"),
            ("name__regex", "^A.n", "Ann"),
            ("name__iregex", "^a.n", "Ann,ANNA,ann%"),
            ("name__in", ["Ann", "b_c", "x"], "Ann,b_c"),
            ("name__in", [], ""),
            ("name__in", [None], ""),
            ("name__in", ("Ann",), "Ann"),
            ("name__isnull", True, "None"),
            ("name__isnull", False, "Ann,ANNA,ann%,b_c,Élan,élan"),
            ("name", None, "None"),
            ("name__ne", None, "Ann,ANNA,ann%,b_c,Élan,élan"),
            ("name__gt", "b", "b_c,Élan,élan"),
            ("name__gte", "ann%", "ann%,b_c,Élan,élan"),
            ("name__lt", "Ann", "ANNA"),
            ("name__lte", "Ann", "Ann,ANNA"),
            ("name__range", ("Ann", "b"), "Ann,ann%"),
        ],
    )
    async def test_text(self, db: Database, lookup: str, value: Any, expected: str) -> None:
        for name in ("Ann", "ANNA", "ann%", "b_c", "Élan", "élan", None):
            await Everything.objects.create(name=name)
        query = Everything.objects.filter(**{lookup: value}).order_by("id")
        assert ",".join(str(one.name) for one in await query) == expected
        left_out = Everything.objects.exclude(**{lookup: value})
        assert await query.count() + await left_out.count() == 7

    @pytest.mark.parametrize(
        ("lookup", "value", "expected"),
        [
            ("moment__year", 2024, [1, 2]),
            ("moment__year__gt", 2024, [3]),
            ("moment__month", 12, [2]),
            ("moment__month__in", [2, 7], [1, 3]),
            ("moment__day", 29, [1]),
            ("moment__hour", 13, [1]),
            ("moment__minute", 14, [1]),
            ("moment__second__gte", 15, [1, 2]),
            ("moment__week_day", 4, [1]),
            ("moment__date", date(2024, 12, 31), [2]),
            ("moment__date__lt", date(2025, 1, 1), [1, 2]),
            ("moment__date__year", 2025, [3]),
            ("moment__time", time(0, 0), [3]),
            ("moment__time__gt", time(13, 0), [1, 2]),
            ("day__year", 2024, [1]),
            ("day__week_day", 7, [2]),
            ("clock__hour", 5, [1]),
            ("clock__minute", 6, [1]),
            ("local__month", 7, [1]),
        ],
    )
    async def test_parts_of_dates(self, db: Database, lookup: str, value: Any, expected: list[int]) -> None:
        await Everything.objects.create(
            moment=MOMENT, day=date(2024, 1, 1), clock=time(5, 6), local=datetime(2020, 7, 1)
        )
        await Everything.objects.create(
            moment=datetime(2024, 12, 31, 23, 59, 59, 999999, UTC), day=date(2023, 1, 1)
        )
        await Everything.objects.create(moment=datetime(2025, 7, 1, tzinfo=UTC))
        await Everything.objects.create()
        query = Everything.objects.filter(**{lookup: value}).order_by("id")
        assert [one.id for one in await query] == expected

    @pytest.mark.parametrize(
        ("lookup", "value", "expected"),
        [
            ("data__name", "Ann", [1]),
            ("data__name", None, [4]),
            ("data__name__isnull", True, [3, 5, 6]),
            ("data__name__isnull", False, [1, 2, 4]),
            ("data__name__icontains", "AN", [1]),
            ("data__name__startswith", "B", [2]),
            ("data__name__in", ["Ann", "Bob", 7], [1, 2]),
            ("data__age", 30, [1]),
            ("data__age", 30.0, [1]),
            ("data__age__gt", 20, [1, 2]),
            ("data__age__lt", "z", [3]),
            ("data__age__range", (26, 30), [1]),
            ("data__on", True, [1]),
            ("data__on", 1, [2]),
            ("data__deep__0__x", 5, [3]),
            ("data__deep", [{"x": 5}], [3]),
            ("data__name__ne", "Ann", [2, 3, 4, 5, 6]),
            ("data__has_key", "deep", [3]),
            ("tags__overlap", ["x", "z"], [1, 2]),
            ("tags__overlap", [], []),
        ],
    )
    async def test_json(self, db: Database, lookup: str, value: Any, expected: list[int]) -> None:
        await Everything.objects.create(data={"name": "Ann", "age": 30, "on": True}, tags=["x", "y"])
        await Everything.objects.create(data={"name": "Bob", "age": 25, "on": 1}, tags=["z"])
        await Everything.objects.create(data={"age": "x", "deep": [{"x": 5}]})
        await Everything.objects.create(data={"name": None})
        await Everything.objects.create()
        await Everything.objects.create(data=[1, 2])
        query = Everything.objects.filter(**{lookup: value}).order_by("id")
        assert [one.id for one in await query] == expected

    @pytest.mark.parametrize(
        ("lookups", "expected"),
        [
            ({"author__name": "Ann"}, "Alpha,Beta"),
            ({"author__name__icontains": "B"}, "Gamma"),
            ({"author__city__name": "Paris"}, "Alpha,Beta"),
            ({"author__city": None}, "Delta,Gamma"),
            ({"author__city__isnull": True}, "Delta,Gamma"),
            ({"author__born__year": 1990}, "Delta"),
            ({"author": 1}, "Alpha,Beta"),
            ({"author_id__in": [1, 2]}, "Alpha,Beta,Gamma"),
            ({"author__id": 2}, "Gamma"),
            ({"author__pk__gt": 2}, "Delta"),
            ({"reviewer": None}, "Alpha,Beta"),
            ({"reviewer__name": "Ann"}, "Gamma"),
            ({"reviewer__city__name": "Paris", "author__name": "Bob"}, "Gamma"),
            ({"pages": 250, "price__lt": 5}, "Delta"),
            ({"pk": 1}, "Alpha"),
            ({"pk__in": [1, 4]}, "Alpha,Delta"),
        ],
    )
    async def test_relations(self, library: Database, lookups: dict[str, Any], expected: str) -> None:
        assert ",".join(await titles(Book.objects.filter(**lookups).order_by("title"))) == expected
        left_out = await titles(Book.objects.exclude(**lookups).order_by("title"))
        everything = {"Alpha", "Beta", "Delta", "Gamma"}
        assert set(left_out) == everything - set(filter(None, expected.split(",")))

    async def test_a_related_object_stands_for_its_key(self, library: Database) -> None:
        ann = await Author.objects.get(name="Ann")
        assert await Book.objects.filter(author=ann).count() == 2
        assert await Book.objects.filter(author__in=[ann]).count() == 2
        made = await Book.objects.create(title="New", author=ann)
        assert made.author_id == ann.id

    async def test_a_query_as_the_list_of_in(self, library: Database) -> None:
        young = Author.objects.filter(born__year__gte=1980)
        assert await titles(Book.objects.filter(author__in=young).order_by("title")) == [
            "Alpha",
            "Beta",
            "Delta",
        ]
        names = Author.objects.filter(name__startswith="B").values_list("id", flat=True)
        assert await titles(Book.objects.filter(pages__gt=10, author_id__in=names, pages__lt=60)) == ["Gamma"]
        last = Author.objects.order_by("-name")[:1]
        assert await titles(Book.objects.filter(author__in=last)) == ["Delta"]

    async def test_q_joins_conditions(self, library: Database) -> None:
        async def found(*conditions: Any) -> str:
            return ",".join(await titles(Book.objects.filter(*conditions).order_by("title")))

        assert await found(Q(title="Alpha") | Q(title="Beta")) == "Alpha,Beta"
        assert await found(Q(pages=250) & ~Q(title="Beta")) == "Delta"
        assert await found(~(Q(pages=250) | Q(author__name="Bob"))) == "Alpha"
        assert await found(Q(), Q(pages=50)) == "Gamma"
        assert await found(Q(Q(pages=50) | Q(pages=100), price__lt=50)) == "Alpha"
        assert await found(~~Q(pages=50)) == "Gamma"
        # Nothing is known of a missing reviewer, and unknown is not so.
        assert await found(~Q(reviewer__name="Ann")) == "Alpha,Beta,Delta"
        assert await found(~Q(reviewer__name="Ann") & ~Q(reviewer=None)) == "Delta"

    async def test_f_compares_columns(self, library: Database) -> None:
        assert await titles(Book.objects.filter(price__gt=F("pages"))) == ["Gamma"]
        assert await titles(Book.objects.filter(author_id=F("reviewer_id"))) == []
        assert await titles(Book.objects.filter(pages__lt=F("price") * 2)) == ["Gamma"]
        assert await titles(Book.objects.filter(author__name__lt=F("reviewer__name"))) == []
        assert await Author.objects.filter(name__startswith=F("name")).count() == 3

    @pytest.mark.parametrize(
        ("lookups", "sentence"),
        [
            ({"nam": 1}, "Book has no field `nam`; there are id, title"),
            ({"title__nope": 1}, "Book.title has no lookup `nope`"),
            ({"title__exact__exact": 1}, "Book.title has no lookup `exact`"),
            ({"author__nam": 1}, "Author has no field `nam`"),
            ({"author__name__nope": 1}, "Author.name has no lookup `nope`"),
            ({"pages__icontains": "1"}, "looks into text, and Book.pages is `integer`"),
            ({"pages__gt": None}, "cannot compare with None"),
            ({"title__in": "abc"}, "takes a list of values, not `str`"),
            ({"title__in": 5}, "takes a list of values, not `int`"),
            ({"pages__range": 5}, "takes two values"),
            ({"title__isnull": 1}, "is True or False"),
            ({"title__year": 1}, "Book.title has no lookup `year`"),
            ({"title__overlap": [1]}, "looks into JSON"),
            ({"title; DROP TABLE book": 1}, "Book has no field"),
            ({"": 1}, "Book has no field"),
        ],
    )
    async def test_unknown_names_are_refused(
        self, db: Database, lookups: dict[str, Any], sentence: str
    ) -> None:
        with pytest.raises(FieldError):
            Book.objects.filter(**lookups)
        with pytest.raises(FieldError) as caught:
            Book.objects.exclude(Q(**lookups))
        assert sentence in str(caught.value)

    async def test_values_cannot_become_sql(self, library: Database) -> None:
        for hostile in ("' OR 1=1 --", '"; DROP TABLE book; --', "%' OR '1'='1", "\\' OR 1=1"):
            assert await Book.objects.filter(title=hostile).count() == 0
            assert await Book.objects.filter(title__icontains=hostile).count() == 0
            assert await Book.objects.filter(title__in=[hostile]).count() == 0
            await Author.objects.create(name=hostile)
            assert (await Author.objects.get(name=hostile)).name == hostile
        assert await Book.objects.count() == 4


class TestOrderAndLimits:
    async def test_order(self, library: Database) -> None:
        assert await titles(Book.objects.order_by("pages", "-title")) == ["Gamma", "Alpha", "Delta", "Beta"]
        assert await titles(Book.objects.order_by("-author__name", "title")) == [
            "Delta",
            "Gamma",
            "Alpha",
            "Beta",
        ]
        assert [one.name for one in await Author.objects.all()] == ["Ann", "Bob", "Cid"]
        assert [one.name for one in await Author.objects.reverse()] == ["Cid", "Bob", "Ann"]

    async def test_null_is_last_and_first_in_reverse(self, library: Database) -> None:
        assert [one.name for one in await Author.objects.order_by("born")] == ["Ann", "Cid", "Bob"]
        assert [one.name for one in await Author.objects.order_by("-born")] == ["Bob", "Cid", "Ann"]
        assert await titles(Book.objects.order_by("reviewer__name", "title")) == [
            "Gamma",
            "Delta",
            "Alpha",
            "Beta",
        ]

    async def test_slices(self, library: Database) -> None:
        query = Book.objects.order_by("title")
        assert await titles(query[:2]) == ["Alpha", "Beta"]
        assert await titles(query[1:3]) == ["Beta", "Delta"]
        assert await titles(query[2:]) == ["Delta", "Gamma"]
        assert await titles(query[1:][1:2]) == ["Delta"]
        assert await titles(query[:3][1:10]) == ["Beta", "Delta"]
        assert await titles(query[3:1]) == []
        assert await titles(query[9:]) == []
        assert await titles(query[:0]) == []
        assert await titles(query[10**30 : 10**40]) == []
        assert len(await query[: 10**30]) == 4
        assert (await query[1]).title == "Beta"
        with pytest.raises(IndexError):
            await query[9]
        assert await titles(query.paginate(2, 3)) == ["Gamma"]

    async def test_counts_and_existence_respect_limits(self, library: Database) -> None:
        query = Book.objects.order_by("title")
        assert await query.count() == 4
        assert await query[1:3].count() == 2
        assert await query[3:9].count() == 1
        assert await query[9:].count() == 0
        assert await query[3:].exists()
        assert not await query[4:].exists()
        assert await query.filter(pages=250).count() == 2

    async def test_a_page_and_the_count_of_all_come_together(self, library: Database) -> None:
        query = Book.objects.filter(pages__gte=100).order_by("title")
        total, books = await query.counted(1, 2)
        assert (total, [book.title for book in books]) == (3, ["Beta"])
        total, encoded = await query.counted_json(1, 2)
        assert (total, encoded) == (3, msgspec.json.encode(books))
        assert await query.none().counted() == (0, [])
        assert await query.none().counted_json() == (0, b"[]")
        async with library.transaction():
            assert (await query.counted(5)) == (3, [])

    @pytest.mark.parametrize("wrong", [slice(-1, None), slice(None, -1), slice(0, 4, 2)])
    async def test_wrong_slices_are_refused(self, db: Database, wrong: slice) -> None:
        with pytest.raises(ValueError):
            Book.objects.all()[wrong]

    async def test_a_slice_is_not_filtered(self, db: Database) -> None:
        with pytest.raises(FieldError, match="filter first, then slice"):
            Book.objects.all()[:3].filter(pages=1)

    async def test_first_and_last(self, library: Database) -> None:
        first, last = await Book.objects.first(), await Book.objects.last()
        assert first is not None
        assert last is not None
        assert (first.title, last.title) == ("Alpha", "Delta")
        assert await Book.objects.filter(pages=7).first() is None
        named = await Author.objects.last()
        assert named is not None
        assert named.name == "Cid"

    async def test_queries_do_not_change_one_another(self, library: Database) -> None:
        query = Book.objects.filter(pages=250)
        query.filter(title="Beta").order_by("-title")
        query[:1]
        assert await query.count() == 2
        assert await query.first() is not None
        assert len(await query) == 2

    async def test_distinct(self, library: Database) -> None:
        pages = Book.objects.order_by("pages").values_list("pages", flat=True)
        assert await pages == [50, 100, 250, 250]
        assert await pages.distinct() == [50, 100, 250]
        assert await pages.distinct().count() == 3

    async def test_streaming(self, library: Database) -> None:
        parts = [[one.title for one in part] async for part in Book.objects.order_by("title").stream(size=3)]
        assert parts == [["Alpha", "Beta", "Delta"], ["Gamma"]]
        assert [one.title async for one in Book.objects.filter(pages=50)] == ["Gamma"]

    async def test_a_stream_can_be_left(self, library: Database) -> None:
        async for _ in Book.objects.order_by("title").stream(size=1):
            break
        assert await Book.objects.count() == 4

    async def test_none(self, library: Database) -> None:
        nothing = Book.objects.none()
        assert await nothing == []
        assert await nothing.count() == 0
        assert not await nothing.exists()
        assert await nothing.update(pages=1) == 0
        assert await nothing.delete() == 0
        assert await nothing.filter(pages=1).first() is None
        assert await nothing.aggregate(n=Count()) == {"n": 0}
        authors = Author.objects.none()
        assert await Book.objects.filter(author__in=authors).count() == 0
        assert await Book.objects.exclude(author__in=authors).count() == 4

    async def test_search(self, library: Database) -> None:
        query = Book.objects.order_by("title")
        assert await titles(query.search("AN", "title", "author__name")) == ["Alpha", "Beta"]
        assert await titles(query.search("", "title")) == ["Alpha", "Beta", "Delta", "Gamma"]


class TestForms:
    async def test_values(self, library: Database) -> None:
        query = Book.objects.filter(author__name="Bob")
        assert await query.values("title", "author__name") == [{"title": "Gamma", "author__name": "Bob"}]
        assert await query.values_list("title", "price") == [("Gamma", Decimal("100.25"))]
        assert await query.values_list("author__born", flat=True) == [None]
        assert [sorted(row) for row in await query.values()] == [sorted(Book._meta.fields)]
        assert await Author.objects.values_list("born__year", flat=True).order_by("name") == [
            1980,
            None,
            1990,
        ]

    async def test_values_of_json_paths(self, db: Database) -> None:
        await Everything.objects.create(data={"a": {"b": [1, "x"]}})
        assert await Everything.objects.values_list("data__a__b", "data__no") == [([1, "x"], None)]

    async def test_values_as_json(self, library: Database) -> None:
        query = Book.objects.filter(author__name="Bob").values("title", "price", "author__born")
        assert msgspec.json.decode(await query.fetch_json()) == [
            {"title": "Gamma", "price": "100.25", "author__born": None}
        ]

    async def test_select_related(self, library: Database) -> None:
        book = await Book.objects.select_related("author__city", "reviewer").get(title="Gamma")
        assert book.author.name == "Bob"  # type: ignore[attr-defined]
        assert book.author.city is None  # type: ignore[attr-defined]
        assert book.reviewer.name == "Ann"  # type: ignore[attr-defined]
        other = await Book.objects.select_related("author__city", "reviewer").get(title="Alpha")
        assert other.author.city.name == "Paris"  # type: ignore[attr-defined]
        assert other.reviewer is None  # type: ignore[attr-defined]
        assert msgspec.json.encode(other) == msgspec.json.encode(await Book.objects.get(title="Alpha"))
        with pytest.raises(FieldError, match="Book has no relation `title` to load; it has author, reviewer"):
            Book.objects.select_related("title")

    async def test_annotate(self, library: Database) -> None:
        query = Book.objects.annotate(
            total=F("price") * F("pages"),
            upper=Upper("title"),
            twice=F("pages") * 2 + 1,
            source=Value("import"),
            who=Coalesce("reviewer__name", Value("nobody")),
        )
        book = await query.get(title="Gamma")
        assert book.total == Decimal("5012.50")  # type: ignore[attr-defined]
        assert book.upper == "GAMMA"  # type: ignore[attr-defined]
        assert book.twice == 101  # type: ignore[attr-defined]
        assert book.source == "import"  # type: ignore[attr-defined]
        assert book.who == "Ann"  # type: ignore[attr-defined]
        assert await titles(query.filter(twice__gt=201).order_by("-twice", "title")) == ["Beta", "Delta"]
        assert await query.filter(who="nobody").count() == 2
        assert await Book.objects.annotate(n=Length("title")).filter(n=4).values_list("title", flat=True) == [
            "Beta"
        ]
        assert await Book.objects.annotate(low=Lower("title")).filter(low="beta").exists()

    async def test_aggregate(self, library: Database) -> None:
        found = await Book.objects.aggregate(
            n=Count(),
            reviewed=Count("reviewer"),
            authors=Count("author", distinct=True),
            pages=Sum("pages"),
            mean=Avg("pages"),
            cheapest=Min("price"),
            dearest=Max("price"),
            worth=Sum("price"),
            last=Max("title"),
            long=Count(filter=Q(pages__gte=250)),
            born=Min("author__born"),
        )
        assert found == {
            "n": 4,
            "reviewed": 2,
            "authors": 3,
            "pages": 650,
            "mean": 162.5,
            "cheapest": Decimal("2.00"),
            "dearest": Decimal("100.25"),
            "worth": Decimal("121.75"),
            "last": "Gamma",
            "long": 2,
            "born": date(1980, 5, 17),
        }
        assert await Book.objects.filter(pages=7).aggregate(
            n=Count(), pages=Sum("pages"), mean=Avg("price")
        ) == {
            "n": 0,
            "pages": None,
            "mean": None,
        }

    async def test_groups(self, library: Database) -> None:
        query = Book.objects.values("author__name").annotate(n=Count(), worth=Sum("price"))
        assert await query.order_by("-n", "author__name") == [
            {"author__name": "Ann", "n": 2, "worth": Decimal("19.50")},
            {"author__name": "Bob", "n": 1, "worth": Decimal("100.25")},
            {"author__name": "Cid", "n": 1, "worth": Decimal("2.00")},
        ]
        assert [row["author__name"] for row in await query.filter(n__gt=1)] == ["Ann"]
        assert [
            row["author__name"] for row in await query.filter(worth__lt=Decimal("50")).order_by("worth")
        ] == [
            "Cid",
            "Ann",
        ]
        assert await query.count() == 3
        assert await query.filter(pages=250).order_by("author__name").values_list(
            "author__name", flat=True
        ) == [
            "Ann",
            "Cid",
        ]


class TestWriting:
    async def test_create_returns_what_the_database_has(self, db: Database) -> None:
        before = datetime.now(UTC)
        made = await Token.objects.create(label="x")
        assert before <= made.made <= made.seen <= datetime.now(UTC)
        assert await Token.objects.get(id=made.id) == made

    async def test_create_refuses_what_it_does_not_know(self, db: Database) -> None:
        with pytest.raises(FieldError, match="City has no field `nam`"):
            await City.objects.create(nam="x")
        with pytest.raises(FieldError, match="City needs `name` to be created"):
            await City.objects.create()

    async def test_keys_are_not_used_again(self, db: Database) -> None:
        first = await City.objects.create(name="a")
        await first.delete()
        assert (await City.objects.create(name="b")).id > first.id
        assert (await City.objects.create(id=50, name="c")).id == 50
        # A key that is given by hand does not move PostgreSQL's sequence.
        assert (await City.objects.create(name="d")).id == (3 if db.dialect == "postgresql" else 51)

    async def test_get(self, library: Database) -> None:
        assert (await Book.objects.get(title="Beta")).pages == 250
        with pytest.raises(Book.DoesNotExist, match="No book matches the query"):
            await Book.objects.get(title="nope")
        with pytest.raises(Book.MultipleObjectsReturned):
            await Book.objects.get(pages=250)
        assert not issubclass(Book.DoesNotExist, Author.DoesNotExist)

    async def test_save_inserts_and_updates(self, db: Database) -> None:
        city = City(name="Rome")
        assert city.pk is None
        assert await city.save() is city
        assert city.id == 1
        city.name = "Roma"
        await city.save()
        assert [one.name for one in await City.objects.all()] == ["Roma"]
        await City(id=9, name="Bern").save()
        assert await City.objects.count() == 2

    async def test_save_leaves_the_time_of_creation(self, db: Database) -> None:
        token = await Token(label="a").save()
        made, seen = token.made, token.seen
        token.label = "b"
        await token.save()
        assert token.made == made
        assert token.seen > seen
        assert await Token.objects.get(label="b") == token

    async def test_save_only_some_fields(self, library: Database) -> None:
        book = await Book.objects.get(title="Alpha")
        book.title, book.pages = "Changed", 7
        await book.save(only=["pages"])
        assert await Book.objects.filter(title="Alpha", pages=7).exists()
        await Book.objects.all().delete()
        with pytest.raises(Book.DoesNotExist):
            await book.save(only=["pages"])

    async def test_refresh_and_delete(self, library: Database) -> None:
        book = await Book.objects.get(title="Alpha")
        await Book.objects.filter(pk=book.pk).update(pages=1)
        assert (await book.refresh()).pages == 1
        assert await book.delete()
        assert not await book.delete()
        with pytest.raises(Book.DoesNotExist):
            await book.refresh()

    async def test_update(self, library: Database) -> None:
        assert await Book.objects.filter(pages=250).update(pages=F("pages") + 1, title=Lower("title")) == 2
        assert await titles(Book.objects.filter(pages=251).order_by("title")) == ["beta", "delta"]
        assert await Book.objects.filter(author__name="Ann").update(price=F("price") * 2) == 2
        assert await Book.objects.order_by("id").values_list("price", flat=True) == [
            Decimal("19.00"),
            Decimal("20.00"),
            Decimal("100.25"),
            Decimal("2.00"),
        ]
        assert await Book.objects.order_by("-id")[:1].update(pages=9) == 1
        assert await Book.objects.filter(pages=9).count() == 1
        assert await Book.objects.filter(pages=777).update(pages=1) == 0
        assert await Book.objects.update(reviewer=None) == 4

    async def test_update_sets_the_time(self, db: Database) -> None:
        token = await Token.objects.create(label="a")
        await Token.objects.filter(label="a").update(label="b")
        assert (await Token.objects.get(label="b")).seen > token.seen

    @pytest.mark.parametrize(
        ("changes", "error"),
        [
            ({"nope": 1}, FieldError),
            ({}, FieldError),
            ({"pages": "x"}, InvalidValue),
            ({"pages": None}, IntegrityError),
            ({"title": F("author__name")}, FieldError),
            ({"pages": F("price") * 2}, FieldError),
            ({"title": F("pages")}, FieldError),
        ],
    )
    async def test_wrong_updates_are_refused(
        self, library: Database, changes: dict[str, Any], error: type[Exception]
    ) -> None:
        with pytest.raises(error):
            await Book.objects.update(**changes)

    async def test_delete(self, library: Database) -> None:
        assert await Book.objects.filter(author__name="Ann").delete() == 2
        assert await Book.objects.order_by("title")[:1].delete() == 1
        assert await titles(Book.objects.all()) == ["Gamma"]

    async def test_bulk_create(self, db: Database) -> None:
        given = City(name="a")
        made = await City.objects.bulk_create([given, {"name": "b"}, City(id=40, name="c"), {"name": "d"}])
        assert [one.name for one in made] == ["a", "b", "c", "d"]
        assert given.id == made[0].id
        assert made[2].id == 40
        assert len({one.id for one in made}) == 4
        assert await City.objects.bulk_create([]) == []
        with pytest.raises(IntegrityError):
            await City.objects.bulk_create([{"name": "new"}, {"name": "a"}])
        assert await City.objects.count() == 4
        kept = await City.objects.bulk_create([{"name": "new"}, {"name": "a"}], ignore_conflicts=True)
        assert [one.name for one in kept] == ["new"]
        with pytest.raises(FieldError, match="City needs `name`"):
            await City.objects.bulk_create([{}])

    async def test_bulk_update(self, library: Database) -> None:
        books = await Book.objects.order_by("id")
        for number, book in enumerate(books):
            book.pages, book.title = number, "unchanged"
        assert await Book.objects.bulk_update(books, ["pages"]) == 4
        assert await Book.objects.order_by("id").values_list("title", "pages") == [
            ("Alpha", 0),
            ("Beta", 1),
            ("Gamma", 2),
            ("Delta", 3),
        ]
        assert await Book.objects.bulk_update([], ["pages"]) == 0

    async def test_get_or_create(self, library: Database) -> None:
        rome, created = await City.objects.get_or_create(name="Rome")
        assert created
        again, created = await City.objects.get_or_create(name="Rome")
        assert (again, created) == (rome, False)
        author, created = await Author.objects.get_or_create(
            {"born": date(2000, 1, 1)}, name="Eve", city=rome
        )
        assert (author.born, author.city_id, created) == (date(2000, 1, 1), rome.id, True)

    async def test_get_or_create_at_once(self, db: Database) -> None:
        made = await asyncio.gather(*(City.objects.get_or_create(name="same") for _ in range(20)))
        assert sum(created for _, created in made) == 1
        assert len({city.id for city, _ in made}) == 1

    async def test_update_or_create(self, db: Database) -> None:
        author, created = await Author.objects.update_or_create({"born": date(2000, 1, 1)}, name="Eve")
        assert created
        author, created = await Author.objects.update_or_create({"born": date(2001, 1, 1)}, name="Eve")
        assert (author.born, created) == (date(2001, 1, 1), False)
        assert (await Author.objects.get(name="Eve")).born == date(2001, 1, 1)
        made = await asyncio.gather(
            *(City.objects.update_or_create({"name": f"n{number}"}, id=7) for number in range(10))
        )
        assert sum(created for _, created in made) == 1

    async def test_upsert(self, db: Database) -> None:
        first = await Token.objects.upsert(conflict=["label"], label="a")
        again = await Token.objects.upsert(conflict=["label"], label="a")
        assert again.id == first.id
        assert again.made == first.made
        assert again.seen > first.seen


class TestRules:
    async def test_unique(self, db: Database) -> None:
        await City.objects.create(name="a")
        with pytest.raises(IntegrityError) as caught:
            await City.objects.create(name="a")
        assert (caught.value.kind, caught.value.column, caught.value.table) == ("unique", "name", "city")
        with pytest.raises(IntegrityError) as caught:
            await City.objects.create(id=1, name="b")
        assert (caught.value.kind, caught.value.column) == ("unique", "id")

    async def test_unique_together(self, library: Database) -> None:
        with pytest.raises(IntegrityError) as caught:
            await Book.objects.create(title="Alpha", author_id=1)
        assert (caught.value.kind, caught.value.columns) == ("unique", ("title", "author_id"))
        assert caught.value.column is None
        await Book.objects.create(title="Alpha", author_id=2)

    async def test_foreign_key(self, library: Database) -> None:
        with pytest.raises(IntegrityError) as caught:
            await Book.objects.create(title="x", author_id=99)
        assert caught.value.kind == "foreign_key"
        with pytest.raises(IntegrityError) as caught:
            await Book.objects.update(author_id=99)
        assert caught.value.kind == "foreign_key"

    async def test_what_a_deleted_row_leaves(self, library: Database) -> None:
        await City.objects.filter(name="Paris").delete()
        assert (await Author.objects.get(name="Ann")).city_id is None
        with pytest.raises(IntegrityError) as caught:  # Ann reviewed a book, which restricts
            await Author.objects.filter(name="Ann").delete()
        assert caught.value.kind == "foreign_key"
        assert await Book.objects.count() == 4
        await Book.objects.update(reviewer=None)
        await Author.objects.filter(name="Ann").delete()
        assert await titles(Book.objects.order_by("title")) == ["Delta", "Gamma"]

    async def test_not_null(self, library: Database) -> None:
        with pytest.raises(IntegrityError) as caught:
            await Book.objects.update(title=None)
        assert (caught.value.kind, caught.value.column) == ("not_null", "title")

    async def test_check(self, library: Database) -> None:
        with pytest.raises(IntegrityError) as caught:
            await Book.objects.create(title="x", author_id=1, pages=-1)
        assert caught.value.kind == "check"
        assert "pages_positive" in str(caught.value.constraint)

    async def test_a_failed_statement_changes_nothing(self, library: Database) -> None:
        with pytest.raises(IntegrityError):
            await Book.objects.update(pages=F("pages") - 60)
        assert sorted(await Book.objects.values_list("pages", flat=True)) == [50, 100, 250, 250]


class TestTransactions:
    async def test_kept_at_the_end(self, db: Database) -> None:
        async with db.transaction():
            await City.objects.create(name="a")
            assert await City.objects.count() == 1
        assert await City.objects.count() == 1

    async def test_undone_by_an_error(self, library: Database) -> None:
        with pytest.raises(RuntimeError):
            async with db_of().transaction():
                await City.objects.create(name="a")
                await Book.objects.filter(pages=250).delete()
                await Book.objects.filter(pages=50).update(title="x", pages=51)
                assert await City.objects.filter(name="a").exists()
                raise RuntimeError
        assert not await City.objects.filter(name="a").exists()
        assert await titles(Book.objects.order_by("id")) == ["Alpha", "Beta", "Gamma", "Delta"]

    async def test_savepoints_fail_alone(self, db: Database) -> None:
        async with db.transaction():
            await City.objects.create(name="a")
            with pytest.raises(RuntimeError):
                async with db.transaction():
                    await City.objects.create(name="b")
                    async with db.transaction():
                        await City.objects.create(name="c")
                    raise RuntimeError
            async with db.transaction():
                await City.objects.create(name="d")
            with pytest.raises(IntegrityError):
                async with db.transaction():
                    await City.objects.create(name="a")
        assert sorted(await City.objects.values_list("name", flat=True)) == ["a", "d"]

    async def test_a_failed_statement_leaves_the_transaction_usable(self, db: Database) -> None:
        async with db.transaction():
            await City.objects.create(name="a")
            with pytest.raises(IntegrityError):
                # On PostgreSQL a failed statement ends its transaction, or the savepoint around it.
                async with db.transaction() if db.dialect == "postgresql" else nullcontext():
                    await City.objects.create(name="a")
            await City.objects.create(name="b")
        assert await City.objects.count() == 2

    async def test_others_see_it_when_it_is_kept(self, db: Database) -> None:
        inside, go_on = asyncio.Event(), asyncio.Event()

        async def write() -> None:
            async with db.transaction():
                await City.objects.create(name="a")
                inside.set()
                await go_on.wait()

        writer = asyncio.create_task(write())
        await inside.wait()
        reader = asyncio.create_task(titles_of_cities())
        await asyncio.sleep(0.02)
        assert not reader.done() or reader.result() == []
        go_on.set()
        await writer
        await reader
        assert await titles_of_cities() == ["a"]

    async def test_transactions_take_turns(self, db: Database) -> None:
        city = await City.objects.create(name="0")

        async def increment() -> None:
            async with db.transaction():
                # Transactions of PostgreSQL run at once, and lock what they are told to.
                cities = City.objects.select_for_update() if db.dialect == "postgresql" else City.objects
                current = await cities.get(id=city.id)
                await asyncio.sleep(0)
                current.name = str(int(current.name) + 1)
                await current.save()

        await asyncio.gather(*(increment() for _ in range(30)))
        assert (await city.refresh()).name == "30"

    async def test_tasks_inside_share_it(self, db: Database) -> None:
        with pytest.raises(RuntimeError):
            async with db.transaction():
                await asyncio.gather(*(City.objects.create(name=str(number)) for number in range(10)))
                assert await City.objects.count() == 10
                raise RuntimeError
        assert await City.objects.count() == 0

    async def test_savepoints_of_tasks_do_not_mix(self, db: Database) -> None:
        async def one(number: int) -> None:
            try:
                async with db.transaction():
                    await City.objects.create(name=f"{number}")
                    await asyncio.sleep(0)
                    await City.objects.create(name=f"{number}!")
                    if number % 2:
                        raise RuntimeError
            except RuntimeError:
                pass

        async with db.transaction():
            await asyncio.gather(*(one(number) for number in range(6)), City.objects.create(name="x"))
        found = sorted(await City.objects.values_list("name", flat=True))
        assert found == ["0", "0!", "2", "2!", "4", "4!", "x"]

    async def test_a_task_that_outlives_it_runs_outside(self, db: Database) -> None:
        go_on = asyncio.Event()

        async def later() -> None:
            await go_on.wait()
            await City.objects.create(name="later")

        async with db.transaction():
            task = asyncio.create_task(later())
            await asyncio.sleep(0)
        go_on.set()
        await task
        assert await City.objects.count() == 1

    async def test_a_closed_one_cannot_be_used(self, db: Database) -> None:
        async with db.transaction() as transaction:
            pass
        assert transaction.closed
        with pytest.raises(TransactionError):
            await transaction.fetch("SELECT 1", ())

    async def test_cancelled_it_is_undone_and_the_next_goes_on(self, db: Database) -> None:
        async def endless() -> None:
            async with db.transaction():
                await City.objects.create(name="a")
                await asyncio.sleep(60)

        for _ in range(3):
            task = asyncio.create_task(endless())
            await asyncio.sleep(0.02)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        await City.objects.create(name="b")
        assert await titles_of_cities() == ["b"]

    async def test_cancelled_anywhere_it_leaves_the_database_usable(self, db: Database) -> None:
        async def work(number: int) -> None:
            async with db.transaction():
                await City.objects.create(name=f"a{number}")
                try:
                    async with db.transaction():
                        await City.objects.create(name=f"b{number}")
                        await City.objects.count()
                        raise RuntimeError
                except RuntimeError:
                    pass
                await City.objects.create(name=f"c{number}")

        for number in range(60):
            task = asyncio.create_task(work(number))
            for _ in range(number % 30):
                await asyncio.sleep(0)
            if number % 3:
                await asyncio.sleep(0.0002 * (number % 7))
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            names = await City.objects.filter(name__endswith=str(number)).values_list("name", flat=True)
            kept = {name for name in names if name[1:] == str(number)}
            assert kept in (set(), {f"a{number}", f"c{number}"})
        await work(1000)

    async def test_many_writers_at_once(self, db: Database) -> None:
        async def write(number: int) -> None:
            if number % 3:
                await City.objects.create(name=f"{number}")
            else:
                async with db.transaction():
                    await City.objects.create(name=f"{number}")
                    await City.objects.filter(name=f"{number}").update(name=f"{number}!")
            assert await City.objects.count() > 0

        await asyncio.gather(*(write(number) for number in range(200)))
        assert await City.objects.count() == 200

    async def test_a_clash_among_many_writers_hurts_only_itself(self, db: Database) -> None:
        results = await asyncio.gather(
            *(City.objects.create(name=f"{number % 50}") for number in range(200)), return_exceptions=True
        )
        assert sum(isinstance(result, City) for result in results) == 50
        assert all(isinstance(result, (City, IntegrityError)) for result in results)
        assert await City.objects.count() == 50


async def titles_of_cities() -> list[str]:
    return [city.name for city in await City.objects.order_by("name")]


def db_of() -> Database:
    from swift.engines import database

    return database()
