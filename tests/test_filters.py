"""Filters of lists as a client sees them: typed values, nothing unknown, every fault told at once."""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from swift import App, Model, Query, fields
from swift.filters import FilterFields, Filters
from swift.models.lookups import TEXT_LOOKUPS
from swift.testing import TestClient
from swift.viewsets import AutoRouter, ListQuery, ModelViewSet


class Level(enum.Enum):
    LOW = "low"
    HIGH = "high"


class Author(Model):
    id: int = fields.IDField()
    name: str = fields.StringField(max_length=50)


class Book(Model):
    id: int = fields.IDField()
    title: str = fields.StringField(max_length=50)
    pages: int = fields.IntegerField()
    price: Decimal = fields.DecimalField(max_digits=6, decimal_places=2, default=Decimal("9.50"))
    level: Level = fields.EnumField(Level, default=Level.LOW)
    in_print: bool = fields.BoolField(default=True)
    released: date | None = fields.DateField(null=True)
    added: datetime = fields.DateTimeField(default=datetime(2026, 1, 1, tzinfo=UTC))
    pin: str = fields.StringField(max_length=50, default="", write_only=True)
    extra: Any = fields.JSONField(null=True)
    author_id: int = fields.ForeignKey(Author)
    author: Author = fields.Related()


class BookViewSet(ModelViewSet):
    model = Book
    filter_fields: ClassVar[FilterFields] = {
        "title": ["exact", "icontains", "startswith", "in"],
        "pages": ["exact", "gte", "lte", "range", "in"],
        "price": "lt",
        "level": "exact",
        "in_print": "exact",
        "released": ["isnull", "year"],
        "added": "gte",
        "author__name": "exact",
        "author_id": "exact",
    }
    search_fields = ("title", "author__name__istartswith")
    ordering_fields = ("pages", "title", "author__name")
    ordering = ("-pages",)


class NameViewSet(ModelViewSet):
    """Filters as a list of names, in a list without pages."""

    model = Author
    filter_fields = ("name", "id__in")
    pagination_class = None


BOOKS = [
    ("Emma", 474, {"price": Decimal("12.00"), "released": date(1815, 12, 23)}),
    ("Persuasion", 249, {"level": Level.HIGH, "released": date(1817, 12, 20)}),
    ("Ulysses, annotated", 730, {"in_print": False}),
    ("100% Ulysses", 91, {"added": datetime(2026, 5, 1, tzinfo=UTC)}),
]


@pytest.fixture(params=["sqlite", "memory"])
async def client(request: pytest.FixtureRequest) -> AsyncIterator[TestClient]:
    router = AutoRouter()
    router.register("/books", BookViewSet)
    router.register("/names", NameViewSet)
    app = App(routers=[router], database=f"{request.param}://")
    async with TestClient(app) as client:
        await app.db.create_tables([Author, Book])
        with app.db.bind():
            jane, james = await Author.objects.bulk_create([Author(name="Jane"), Author(name="James")])
            await Book.objects.bulk_create(
                [
                    Book(title=title, pages=pages, author_id=(jane if number < 2 else james).id, **more)
                    for number, (title, pages, more) in enumerate(BOOKS)
                ]
            )
        yield client


async def titles(client: TestClient, query: str) -> list[str]:
    answer = await client.get(f"/books?{query}")
    assert answer.status == 200, answer.text
    found = answer.json()
    assert found["count"] == len(found["results"])
    return [book["title"].split()[0].strip(",") for book in found["results"]]


async def test_without_parameters_the_list_is_whole_and_in_its_own_order(client: TestClient) -> None:
    assert await titles(client, "") == ["Ulysses", "Emma", "Persuasion", "100%"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("title=Emma", ["Emma"]),
        ("title=emma", []),
        ("title__icontains=EMM", ["Emma"]),
        ("title__startswith=Pers", ["Persuasion"]),
        ("title__icontains=%25", ["100%"]),
        ("title__icontains=_", []),
        ("title__in=Emma,Persuasion", ["Emma", "Persuasion"]),
        ("title__in=Emma%2CPersuasion", ["Emma", "Persuasion"]),
        ("title__in=Emma&title__in=Persuasion", ["Emma", "Persuasion"]),
        ("title__in=", []),
        ("pages=249", ["Persuasion"]),
        ("pages__gte=249&pages__lte=474", ["Emma", "Persuasion"]),
        ("pages__range=249,474", ["Emma", "Persuasion"]),
        ("pages__in=91,730", ["Ulysses", "100%"]),
        (f"pages__lte={2**40}&pages__gte=-{2**40}", ["Ulysses", "Emma", "Persuasion", "100%"]),
        ("price__lt=9.51", ["Ulysses", "Persuasion", "100%"]),
        ("level=high", ["Persuasion"]),
        ("in_print=false", ["Ulysses"]),
        ("in_print=0", ["Ulysses"]),
        ("released__isnull=true", ["Ulysses", "100%"]),
        ("released__isnull=false&released__year=1817", ["Persuasion"]),
        ("added__gte=2026-05-01T02:00:00%2B02:00", ["100%"]),
        ("author__name=Jane", ["Emma", "Persuasion"]),
        ("author_id=2&in_print=true", ["100%"]),
        ("pages=1&pages=249", ["Persuasion"]),
    ],
)
async def test_filters_compare_by_the_types_of_their_columns(
    client: TestClient, query: str, expected: list[str]
) -> None:
    assert await titles(client, query) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("search=ulysses", ["Ulysses", "100%"]),
        ("search=ULYSSES+annotated", ["Ulysses"]),
        ("search=jan", ["Emma", "Persuasion"]),
        ("search=ane", []),
        ("search=100%25", ["100%"]),
        ("search=jam+uly&only=title", []),
        ("search=jam&only=author__name", ["Ulysses", "100%"]),
        ("search=", ["Ulysses", "Emma", "Persuasion", "100%"]),
        ("search=++", ["Ulysses", "Emma", "Persuasion", "100%"]),
        ("search=jan+emm&pages__gte=300", ["Emma"]),
    ],
)
async def test_a_search_finds_every_word_in_some_field(
    client: TestClient, query: str, expected: list[str]
) -> None:
    assert await titles(client, query) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("ordering=pages", ["100%", "Persuasion", "Emma", "Ulysses"]),
        ("ordering=-title", ["Ulysses", "Persuasion", "Emma", "100%"]),
        ("ordering=author__name,-pages", ["Ulysses", "100%", "Emma", "Persuasion"]),
        ("ordering=author__name&ordering=pages", ["100%", "Ulysses", "Persuasion", "Emma"]),
        ("ordering=pages,-pages", ["100%", "Persuasion", "Emma", "Ulysses"]),
        ("ordering=", ["Ulysses", "Emma", "Persuasion", "100%"]),
        ("ordering=title&in_print=true&search=e", ["100%", "Emma", "Persuasion"]),
    ],
)
async def test_clients_choose_the_order(client: TestClient, query: str, expected: list[str]) -> None:
    assert await titles(client, query) == expected


@pytest.mark.parametrize(
    ("query", "faults"),
    [
        ("pages=many", {"/query/pages": "type"}),
        ("pages=", {"/query/pages": "type"}),
        ("pages=null", {"/query/pages": "type"}),
        ("pages=1.5", {"/query/pages": "type"}),
        (f"pages={10**30}", {"/query/pages": "invalid"}),
        ("pages__in=1,x", {"/query/pages__in/1": "type"}),
        ("pages__range=1", {"/query/pages__range": "too_short"}),
        ("price__lt=NaN", {"/query/price__lt": "type"}),
        ("level=middle", {"/query/level": "enum"}),
        ("in_print=perhaps", {"/query/in_print": "type"}),
        ("released__isnull=maybe", {"/query/released__isnull": "type"}),
        ("added__gte=2026-05-01T00:00:00", {"/query/added__gte": "invalid"}),
        ("added__gte=0001-01-01T00:00:00%2B12:00", {"/query/added__gte": "invalid"}),
        ("title=a%00b", {"/query/title": "invalid"}),
        ("title__in=a,%00", {"/query/title__in": "invalid"}),
        (f"title__icontains={'x' * 1001}", {"/query/title__icontains": "too_long"}),
        (f"search={'x+' * 11}", {"/query/search": "too_long"}),
        ("search=a%00b", {"/query/search": "invalid"}),
        ("only=pin", {"/query/only": "enum"}),
        ("ordering=pin", {"/query/ordering/0": "enum"}),
        ("ordering=title,pin", {"/query/ordering/1": "enum"}),
        ("tilte=Emma", {"/query/tilte": "unknown_parameter"}),
        ("title__regex=E.*", {"/query/title__regex": "unknown_parameter"}),
        ("price=9.5", {"/query/price": "unknown_parameter"}),
        ("pin=1234", {"/query/pin": "unknown_parameter"}),
        (f"{'x' * 200}=1", {"/query": "unknown_parameter"}),
        (
            "pages=x&tilte=Emma&page=0",
            {"/query/tilte": "unknown_parameter", "/query/pages": "type", "/query/page": "too_small"},
        ),
    ],
)
async def test_what_no_filter_takes_is_a_400_that_names_it(
    client: TestClient, query: str, faults: dict[str, str]
) -> None:
    answer = await client.get(f"/books?{query}")
    assert answer.status == 400, answer.text
    assert {error["pointer"]: error["code"] for error in answer.json()["errors"]} == faults


async def test_a_refusal_says_what_is_allowed(client: TestClient) -> None:
    (unknown,) = (await client.get("/names?nmae=x")).json()["errors"]
    assert unknown["detail"] == "Unknown parameter; there are `id__in`, `name`"
    (level,) = (await client.get("/books?level=middle")).json()["errors"]
    assert "low" in level["detail"]
    (order,) = (await client.get("/books?ordering=pin")).json()["errors"]
    assert "-title" in order["detail"]


async def test_a_page_alone_is_refused_as_everywhere(client: TestClient) -> None:
    assert (await client.get("/books?page=0")).status == 422


async def test_a_query_that_is_no_text_is_a_400(client: TestClient) -> None:
    assert (await client.get("/books?title=%ff")).status == 400


async def test_filters_as_a_list_of_names(client: TestClient) -> None:
    assert [author["name"] for author in (await client.get("/names?id__in=2,7")).json()] == ["James"]
    assert (await client.get("/names?name=Jane")).json() == [{"id": 1, "name": "Jane"}]


async def test_pages_keep_the_filters(client: TestClient) -> None:
    first = (await client.get("/books?pages__gte=100&page_size=2&ordering=title")).json()
    assert (first["count"], [book["title"] for book in first["results"]]) == (3, ["Emma", "Persuasion"])
    second = (await client.get(first["next"])).json()
    assert [book["title"] for book in second["results"]] == ["Ulysses, annotated"]


async def test_other_parameters_of_the_action_are_known(client: TestClient) -> None:
    class Shelf(BookViewSet):
        extra_params = ("shelf",)

        async def list(self, query: ListQuery, shout: Annotated[bool, Query()] = False) -> list[str]:  # type: ignore[override]
            assert set(self.request.query) <= {"shelf", "shout", "pages"}
            page = await super().list(query)
            return [book.title.upper() if shout else book.title for book in page.results]

    router = AutoRouter()
    router.register("/shelf", Shelf)
    async with TestClient(App(routers=[router], database=client.app.db)) as other:
        assert (await other.get("/shelf?pages=474&shout=true&shelf=3")).json() == ["EMMA"]
        assert (await other.get("/shelf?shuot=true")).status == 400


async def test_the_document_tells_the_parameters_with_their_types(client: TestClient) -> None:
    document = (await client.get("/openapi.json")).json()
    OpenAPIV31SpecValidator(document).validate()
    operation = document["paths"]["/books"]["get"]
    told = {item["name"]: item for item in operation["parameters"]}
    assert not any(item["required"] for item in told.values())
    assert told["pages__gte"]["schema"] == {"type": "integer"}
    assert told["pages__gte"]["description"] == "`pages` at least this."
    assert told["in_print"]["schema"] == {"type": "boolean"}
    assert told["added__gte"]["schema"] == {"type": "string", "format": "date-time"}
    assert told["title__icontains"]["schema"] == {"type": "string", "maxLength": 1000}
    many = told["pages__in"]
    assert (many["style"], many["explode"]) == ("form", False)
    assert many["schema"] == {"type": "array", "items": {"type": "integer"}}
    assert told["pages__range"]["schema"]["minItems"] == 2
    assert told["ordering"]["schema"]["items"]["enum"] == [
        "-author__name", "-pages", "-title", "author__name", "pages", "title",
    ]  # fmt: skip
    assert told["only"]["schema"]["enum"] == ["author__name", "title"]
    assert {"page", "page_size", "search"} <= told.keys()
    assert "400" in operation["responses"]


async def test_another_name_for_the_parameters_of_search_and_order(client: TestClient) -> None:
    class Search(BookViewSet):
        search_param = "q"
        ordering_param = "sort"

    router = AutoRouter()
    router.register("/books", Search)
    async with TestClient(App(routers=[router], database=client.app.db)) as other:
        assert await titles(other, "q=ulysses&sort=pages") == ["100%", "Ulysses"]
        assert (await other.get("/books?search=x")).status == 400


@pytest.mark.parametrize(
    ("declared", "sentence"),
    [
        ({"filter_fields": ("tilte",)}, r"Broken\.filter_fields: Book has no field `tilte`; there are id, title"),
        ({"filter_fields": ("title__like",)}, r"Book\.title has no lookup `like`; there are contains"),
        ({"filter_fields": {"pages": ["icontains"]}}, r"`icontains` looks into text, and Book\.pages is `integer`"),
        ({"filter_fields": ("pin",)}, r"`pin`, which is write_only"),
        ({"search_fields": ("pin",)}, r"`pin`, which is write_only"),
        ({"ordering_fields": ("pin",)}, r"`pin`, which is write_only"),
        ({"filter_fields": ("title__regex",)}, "a client's pattern may take any time"),
        ({"filter_fields": ("extra",)}, "whose values have no type in a URL"),
        ({"filter_fields": ("extra__a__b",)}, "whose values have no type in a URL"),
        ({"search_fields": ("pages",)}, r"`icontains` looks into text, and Book\.pages is `integer`"),
        ({"ordering_fields": ("pages__gt",)}, "give fields, clients choose the direction"),
        ({"ordering_fields": ("-pages",)}, "give fields, clients choose the direction"),
        ({"filter_fields": ("title",), "search_param": "title", "search_fields": ("title",)}, "called `title`"),
        ({"filter_fields": "title"}, r"filter_fields is 'title'; give a list, \['title'\]"),
        ({"ordering": ("tilte",)}, "Book has no field `tilte`"),
    ],
)  # fmt: skip
def test_filters_that_cannot_work_are_refused_at_start(declared: dict[str, Any], sentence: str) -> None:
    with pytest.raises((ValueError, TypeError), match=sentence):
        AutoRouter().register("/books", type("Broken", (ModelViewSet,), {"model": Book, **declared}))


def test_a_filter_that_is_the_paginations_parameter_is_refused() -> None:
    class Chapter(Model):
        id: int = fields.IDField()
        page: int = fields.IntegerField()

    with pytest.raises(ValueError, match="the parameter `page` is the pagination's already"):
        AutoRouter().register(
            "/chapters", type("Broken", (ModelViewSet,), {"model": Chapter, "filter_fields": ("page",)})
        )


def test_every_lookup_has_its_sentence() -> None:
    names = [f"title__{lookup}" for lookup in sorted(TEXT_LOOKUPS - {"regex", "iregex"})]
    names += [
        "title",
        "title__ne",
        "title__in",
        "title__range",
        "title__gt",
        "title__gte",
        "title__lt",
        "title__lte",
    ]
    names += ["released__isnull", "extra__has_key", "released__year__gte"]
    made = Filters(Book, filter_fields=names)
    assert {item.name for item in made.filters} == set(names)


def test_every_lookup_has_a_sentence_for_the_document() -> None:
    from swift.filters import SENTENCES
    from swift.models.lookups import LOOKUPS

    # What is asked of NULL has a sentence of its own.
    assert LOOKUPS - SENTENCES.keys() == {"isnull"}
