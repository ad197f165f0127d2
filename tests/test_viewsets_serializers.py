"""Serializers in ViewSets: what is taken, checked, stored and shown, per action and in the document."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any, ClassVar

import msgspec
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from swift import App, Model, Schema, fields
from swift.serializers import Serializer, ValidationError, computed, nested
from swift.testing import TestClient
from swift.viewsets import AutoRouter, Input, ModelViewSet, Output, action


class Country(Model):
    id: int = fields.IDField()
    name: str = fields.StringField(max_length=50)


class Author(Model):
    id: int = fields.IDField()
    name: str = fields.StringField(max_length=50)
    secret: str = fields.StringField(max_length=50, default="")
    country_id: int | None = fields.ForeignKey(Country, null=True)
    country: Country | None = fields.Related()


class Book(Model):
    id: int = fields.IDField()
    title: str = fields.StringField(max_length=50, unique=True)
    pages: int = fields.IntegerField(ge=1, default=100)
    note: str | None = fields.StringField(max_length=50, null=True)
    pin: str = fields.StringField(max_length=50, default="", write_only=True)
    owner_id: int = fields.IntegerField(default=0)
    created: datetime = fields.DateTimeField(auto_now_add=True)
    author_id: int = fields.ForeignKey(Author)
    author: Author = fields.Related()


class CountrySerializer(Serializer):
    model = Country
    fields = ("name",)


class AuthorSerializer(Serializer):
    model = Author
    exclude = ("country_id",)
    write_only = ("secret",)
    country = nested(CountrySerializer)


class BookSerializer(Serializer):
    model = Book
    exclude = ("created",)
    read_only = ("owner_id",)
    author = nested(AuthorSerializer)

    @computed
    def is_long(self, book: Book) -> bool:
        """Whether it takes more than a week."""
        return book.pages > 500

    def validate_title(self, title: str) -> str:
        if title.isupper():
            raise ValueError("Do not shout.")
        return title.strip()

    async def validate_pages(self, pages: int) -> int:
        if pages == 13:
            raise ValidationError("No book has 13 pages.", code="unlucky")
        return pages

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        pages = values.get("pages", getattr(self.instance, "pages", 0))
        if values.get("title") == "Short" and pages > 100:
            raise ValidationError({"pages": "A short book has at most 100."})
        return values


class BriefSerializer(Serializer):
    model = Book
    fields = ("id", "title")


class BookViewSet(ModelViewSet):
    model = Book
    serializer_class = BookSerializer
    serializer_class_by_action: ClassVar[Mapping[str, type[Serializer]]] = {
        "list": BriefSerializer,
        "rename": BriefSerializer,
    }

    def validate_author_id(self, author_id: int) -> int:
        if author_id == 99:
            raise ValueError("There is no such author.")
        return author_id

    async def before_create(self, values: dict[str, Any]) -> None:
        values["owner_id"] = 7

    @action(detail=True, methods=["POST"])
    async def rename(self, data: Input) -> Output:
        book = await self.get_object()
        book.title = data.title
        return self.show(await book.save(only=["title"]))


@pytest.fixture(params=["sqlite", "memory"])
async def client(request: pytest.FixtureRequest) -> AsyncIterator[TestClient]:
    router = AutoRouter()
    router.register("/books", BookViewSet)
    app = App(routers=[router], database=f"{request.param}://")
    async with TestClient(app) as client:
        await app.db.create_tables([Country, Author, Book])
        with app.db.bind():
            country = await Country.objects.create(name="France")
            await Author.objects.bulk_create(
                [Author(name="Ursula"), Author(name="Jules", country_id=country.id)]
            )
        yield client


URSULA = {"id": 1, "name": "Ursula", "country": None}
JULES = {"id": 2, "name": "Jules", "country": {"name": "France"}}


def faults(answer: Any) -> dict[str, tuple[str, str]]:
    return {error["pointer"]: (error["code"], error["detail"]) for error in answer.json()["errors"]}


async def test_a_created_object_is_shown_with_its_relations_and_computed_members(client: TestClient) -> None:
    answer = await client.post(
        "/books", json={"title": " Dune ", "pages": 600, "author_id": 2, "pin": "1234"}
    )
    assert answer.status == 201, answer.text
    shown = {
        "id": 1,
        "title": "Dune",
        "pages": 600,
        "note": None,
        "owner_id": 7,
        "author_id": 2,
        "author": JULES,
        "is_long": True,
    }
    assert answer.json() == shown
    assert (await client.get("/books/1")).json() == shown


async def test_read_only_fields_are_not_taken_and_excluded_ones_not_shown(client: TestClient) -> None:
    body = {"title": "Dune", "author_id": 1, "owner_id": 5, "id": 9, "created": "2026-01-01T00:00:00Z"}
    answer = await client.post("/books", json=body)
    assert (answer.json()["id"], answer.json()["owner_id"]) == (1, 7)
    assert not {"created", "pin"} & answer.json().keys()


async def test_a_partial_update_leaves_what_is_not_sent_and_shows_the_new_relation(
    client: TestClient,
) -> None:
    await client.post("/books", json={"title": "Dune", "pages": 600, "author_id": 1, "note": "x"})
    answer = await client.patch("/books/1", json={"author_id": 2})
    assert answer.json()["author"] == JULES
    assert (answer.json()["note"], answer.json()["pages"], answer.json()["owner_id"]) == ("x", 600, 7)
    assert (await client.patch("/books/1", json={"note": None})).json()["note"] is None


async def test_an_update_is_complete(client: TestClient) -> None:
    await client.post("/books", json={"title": "Dune", "pages": 600, "author_id": 1, "note": "x"})
    answer = await client.put("/books/1", json={"title": "Dune"})
    assert faults(answer).keys() == {"/body/author_id"}
    answer = await client.put("/books/1", json={"title": "Dune", "author_id": 1})
    assert (answer.json()["pages"], answer.json()["note"], answer.json()["owner_id"]) == (100, None, 7)


async def test_the_checks_of_serializer_and_viewset_are_told_at_once(client: TestClient) -> None:
    answer = await client.post("/books", json={"title": "LOUD", "pages": 13, "author_id": 99})
    assert answer.status == 422
    assert faults(answer) == {
        "/body/title": ("invalid", "Do not shout."),
        "/body/pages": ("unlucky", "No book has 13 pages."),
        "/body/author_id": ("invalid", "There is no such author."),
    }


async def test_types_are_told_before_checks_run(client: TestClient) -> None:
    answer = await client.post("/books", json={"title": 5, "pages": 0})
    assert {pointer: code for pointer, (code, _) in faults(answer).items()} == {
        "/body/title": "type",
        "/body/pages": "too_small",
        "/body/author_id": "missing",
    }


async def test_validate_sees_the_object_that_a_partial_update_changes(client: TestClient) -> None:
    await client.post("/books", json={"title": "Long", "pages": 600, "author_id": 1})
    answer = await client.patch("/books/1", json={"title": "Short"})
    assert faults(answer) == {"/body/pages": ("invalid", "A short book has at most 100.")}
    assert (await client.patch("/books/1", json={"title": "Short", "pages": 90})).status == 200


async def test_a_serializer_for_one_action(client: TestClient) -> None:
    await client.post("/books", json={"title": "Dune", "author_id": 1})
    assert (await client.get("/books")).json()["results"] == [{"id": 1, "title": "Dune"}]
    answer = await client.post("/books/1/rename", json={"title": "Dune II"})
    assert answer.json() == {"id": 1, "title": "Dune II"}


async def test_nested_relations_cost_no_query_of_their_own(client: TestClient) -> None:
    class Books(BookViewSet):
        serializer_class_by_action: ClassVar[Mapping[str, type[Serializer]]] = {}

    router = AutoRouter()
    router.register("/books", Books)
    app = App(routers=[router], database=client.app.db)
    for number in range(5):
        await client.post("/books", json={"title": f"Volume {number}", "author_id": 1 + number % 2})
    async with TestClient(app) as other:
        trips = count_trips(app.db.engine)
        found = (await other.get("/books")).json()
        assert [book["author"] for book in found["results"]] == [URSULA, JULES, URSULA, JULES, URSULA]
        assert trips == ["fetch_all"]
        trips.clear()
        assert (await other.get("/books/2")).json()["author"] == JULES
        assert trips == ["fetch"]


def count_trips(engine: Any) -> list[str]:
    trips: list[str] = []

    def counted(name: str) -> None:
        run = getattr(engine, name)

        async def call(*args: Any, **options: Any) -> Any:
            trips.append(name)
            return await run(*args, **options)

        setattr(engine, name, call)

    for name in ("fetch", "fetch_all", "fetch_json", "execute", "execute_many"):
        counted(name)
    return trips


async def test_a_subset_of_columns_comes_from_the_database_as_python_would_encode_it(
    client: TestClient,
) -> None:
    for number in range(3):
        await client.post("/books", json={"title": f"Volume {number}", "author_id": 1})
    trips = count_trips(client.app.db.engine)
    listed = (await client.get("/books")).content
    assert trips == ["fetch_all"]
    with client.app.db.bind():
        shown = [BriefSerializer().show(book) for book in await Book.objects]
    assert listed.endswith(b'"results":' + msgspec.json.encode(shown) + b"}")


async def test_the_document_is_what_is_taken_and_shown(client: TestClient) -> None:
    document = (await client.get("/openapi.json")).json()
    OpenAPIV31SpecValidator(document).validate()

    def schema(path: str, method: str, status: str = "200") -> Any:
        content = document["paths"][path][method]["responses"][status]["content"]["application/json"][
            "schema"
        ]
        return resolved(content)

    def resolved(found: Any) -> Any:
        return (
            document["components"]["schemas"][found["$ref"].rpartition("/")[2]] if "$ref" in found else found
        )

    shown = schema("/books/{id}", "get")
    assert [*shown["properties"]] == [
        "id",
        "title",
        "pages",
        "note",
        "owner_id",
        "author_id",
        "author",
        "is_long",
    ]
    # What is always there is required, whatever default the model has for it.
    assert shown["required"] == [*shown["properties"]]
    country = resolved(shown["properties"]["author"])["properties"]["country"]
    assert {"type": "null"} in country["anyOf"]
    item = resolved(schema("/books", "get")["properties"]["results"]["items"])
    assert [*item["properties"]] == ["id", "title"]
    body = document["paths"]["/books"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert [*resolved(body)["properties"]] == ["title", "pages", "note", "pin", "author_id"]
    assert resolved(body)["required"] == ["title", "author_id"]
    patch = document["paths"]["/books/{id}"]["patch"]["requestBody"]["content"]["application/json"]["schema"]
    assert "required" not in resolved(patch)


# Relations of many


class Shelf(Model):
    id: int = fields.IDField()
    name: str = fields.StringField(max_length=20)


class Volume(Model):
    id: int = fields.IDField()
    title: str = fields.StringField(max_length=20)
    shelf_id: int = fields.ForeignKey(Shelf, related_name="volumes")
    country_id: int | None = fields.ForeignKey(Country, null=True, related_name="volumes")


class VolumeSerializer(Serializer):
    model = Volume
    fields = ("title", "country")
    country = nested(CountrySerializer)


class ShelfSerializer(Serializer):
    model = Shelf
    volumes = nested(VolumeSerializer)


class ShelfViewSet(ModelViewSet):
    model = Shelf
    serializer_class = ShelfSerializer
    filter_fields = ("volumes__title__startswith",)
    search_fields = ("volumes__title",)


@pytest.mark.parametrize("database", ["sqlite://", "memory://"])
async def test_relations_of_many_are_nested_without_a_query_for_each(database: str) -> None:
    router = AutoRouter()
    router.register("/shelves", ShelfViewSet)
    app = App(routers=[router], database=database)
    async with TestClient(app) as client:
        await app.db.create_tables([Country, Shelf, Volume])
        with app.db.bind():
            country = await Country.objects.create(name="France")
            shelves = await Shelf.objects.bulk_create([Shelf(name=name) for name in ("a", "b", "c")])
            await Volume.objects.bulk_create(
                [Volume(title=f"v{n}", shelf_id=shelves[n % 2].id, country_id=country.id) for n in range(4)]
            )
        trips = count_trips(app.db.engine)
        listed = (await client.get("/shelves")).json()["results"]
        few = len(trips)
        assert few <= 3
        france = {"name": "France"}
        assert listed[0] == {
            "id": 1,
            "name": "a",
            "volumes": [{"title": "v0", "country": france}, {"title": "v2", "country": france}],
        }
        assert [len(shelf["volumes"]) for shelf in listed] == [2, 2, 0]
        with app.db.bind():
            await Volume.objects.bulk_create([Volume(title="more", shelf_id=3) for _ in range(20)])
        trips.clear()
        await client.get("/shelves")
        assert len(trips) == few
        assert (await client.get("/shelves/1")).json() == listed[0]
        made = await client.post("/shelves", json={"name": "d"})
        assert made.json() == {"id": 4, "name": "d", "volumes": []}
        # However many of its volumes are found, a shelf is one row.
        for query in ("volumes__title__startswith=v", "search=v"):
            found = (await client.get(f"/shelves?{query}")).json()
            assert (found["count"], [shelf["name"] for shelf in found["results"]]) == (2, ["a", "b"])
        document = (await client.get("/openapi.json")).json()
        OpenAPIV31SpecValidator(document).validate()
        assert document["components"]["schemas"]["Shelf"]["properties"]["volumes"]["type"] == "array"


def test_an_order_by_many_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"Broken\.ordering_fields names `volumes__title`, which is many values"
    ):
        AutoRouter().register(
            "/shelves",
            type("Broken", (ModelViewSet,), {"model": Shelf, "ordering_fields": ("volumes__title",)}),
        )


# Schemas per action


class Titled(Schema):
    title: str


class NewBook(Schema):
    title: str
    author_id: int


async def test_schemas_for_one_action(client: TestClient) -> None:
    class Books(ModelViewSet):
        model = Book
        input_schema_by_action: ClassVar[Mapping[str, type[msgspec.Struct]]] = {
            "create": NewBook,
            "partial_update": Titled,
        }
        output_schema_by_action: ClassVar[Mapping[str, type[msgspec.Struct]]] = {"list": Titled}

    router = AutoRouter()
    router.register("/books", Books)
    async with TestClient(App(routers=[router], database=client.app.db)) as other:
        made = await other.post("/books", json={"title": "Dune", "author_id": 1, "pages": 5})
        assert made.json()["pages"] == 100
        assert (await other.get("/books")).json()["results"] == [{"title": "Dune"}]
        assert (await other.patch("/books/1", json={"pages": 7, "title": "Dune II"})).json()["pages"] == 100
        assert (await other.put("/books/1", json={"title": "x", "author_id": 1, "pages": 7})).json()[
            "pages"
        ] == 7


# Checks of a ViewSet alone


async def test_a_viewset_without_a_serializer_has_checks_too(client: TestClient) -> None:
    seen: list[Any] = []

    class Books(ModelViewSet):
        model = Book

        def validate_title(self, title: str) -> str:
            if not title[0].isupper():
                raise ValueError("Start with a capital.")
            return title

        async def validate(self, values: dict[str, Any]) -> dict[str, Any]:
            seen.append((self.action, getattr(self.instance, "id", None), [*values]))
            return {**values, "note": "checked"}

    router = AutoRouter()
    router.register("/books", Books)
    async with TestClient(App(routers=[router], database=client.app.db)) as other:
        answer = await other.post("/books", json={"title": "dune", "author_id": 1})
        assert faults(answer) == {"/body/title": ("invalid", "Start with a capital.")}
        assert (await other.post("/books", json={"title": "Dune", "author_id": 1})).json()[
            "note"
        ] == "checked"
        assert (await other.patch("/books/1", json={"pages": 5})).json()["note"] == "checked"
    assert [(name, id) for name, id, _ in seen] == [("create", None), ("partial_update", 1)]
    assert seen[1][2] == ["pages"]


async def test_before_and_after_hooks_stand_around_each_change(client: TestClient) -> None:
    seen: list[Any] = []

    class Books(ModelViewSet):
        model = Book

        async def before_create(self, values: dict[str, Any]) -> None:
            seen.append(("before_create", values["title"]))
            values["owner_id"] = 3

        async def after_create(self, obj: Book) -> None:
            seen.append(("after_create", obj.id, obj.owner_id))

        async def before_update(self, obj: Book, values: dict[str, Any]) -> None:
            seen.append(("before_update", obj.pages, values))

        async def after_update(self, obj: Book) -> None:
            seen.append(("after_update", obj.pages))

        async def before_destroy(self, obj: Book) -> None:
            seen.append(("before_destroy", obj.id))

        async def after_destroy(self, obj: Book) -> None:
            seen.append(("after_destroy", await Book.objects.count()))

    router = AutoRouter()
    router.register("/books", Books)
    async with TestClient(App(routers=[router], database=client.app.db)) as other:
        await other.post("/books", json={"title": "Dune", "author_id": 1})
        await other.patch("/books/1", json={"pages": 5})
        await other.delete("/books/1")
    assert seen == [
        ("before_create", "Dune"),
        ("after_create", 1, 3),
        ("before_update", 100, {"pages": 5}),
        ("after_update", 5),
        ("before_destroy", 1),
        ("after_destroy", 0),
    ]


async def test_a_check_that_forgets_to_return_is_the_programs_fault(client: TestClient) -> None:
    class Books(ModelViewSet):
        model = Book

        def validate(self, values: dict[str, Any]) -> None:
            pass

    router = AutoRouter()
    router.register("/books", Books)
    app = App(routers=[router], database=client.app.db)
    async with TestClient(app) as other:
        with pytest.raises(TypeError, match=r"Books\.validate returned a `NoneType`; return the values"):
            await other.post("/books", json={"title": "Dune", "author_id": 1})


async def test_names_on_the_wire_are_told_in_faults() -> None:
    class Camel(Schema, rename="camel"):
        first_name: str

    class Person(Model):
        id: int = fields.IDField()
        first_name: str = fields.StringField()

    class People(ModelViewSet):
        model = Person
        input_schema = Camel

        def validate_first_name(self, name: str) -> str:
            raise ValidationError({"first_name": "No."}) if name == "x" else ValueError("Never.")

    router = AutoRouter()
    router.register("/people", People)
    async with TestClient(App(routers=[router], database="memory://")) as client:
        assert faults(await client.post("/people", json={"firstName": "x"})) == {
            "/body/firstName": ("invalid", "No.")
        }
        assert faults(await client.post("/people", json={"firstName": "y"})) == {
            "/body/firstName": ("invalid", "Never.")
        }


@pytest.mark.parametrize(
    ("declared", "sentence"),
    [
        (
            {"serializer_class": AuthorSerializer},
            "Broken serves Book, and AuthorSerializer is not of that model",
        ),
        ({"serializer_class": Book}, "is no class of Serializer"),
        ({"serializer_class_by_action": {"lst": BookSerializer}}, "names lst, which it does not serve"),
        ({"input_schema_by_action": {"lst": Titled}}, "names lst, which it does not serve"),
        ({"validate_titel": lambda self, value: value}, r"Broken\.validate_titel checks `titel`"),
        ({"validate_id": lambda self, value: value}, r"Broken\.validate_id checks `id`"),
        (
            {
                "serializer_class": type(
                    "Partial", (Serializer,), {"model": Book, "read_only": ("author_id",)}
                )
            },
            "has no field `author_id`, which a new Book needs",
        ),
    ],
)
def test_declarations_that_cannot_work_are_refused(declared: dict[str, Any], sentence: str) -> None:
    with pytest.raises((TypeError, ValueError), match=sentence):
        AutoRouter().register("/books", type("Broken", (ModelViewSet,), {"model": Book, **declared}))
