"""What is known to go wrong in Sergo, and does not here: each test names the fault."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, time
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest

from swift import App, Model, Request, Response, Schema, fields
from swift.engines import Database
from swift.models import FieldError, Q
from swift.pagination import PageNumberPagination
from swift.permissions import IsAuthenticated
from swift.serializers import Serializer, nested
from swift.testing import TestClient
from swift.viewsets import AutoRouter, ModelViewSet, UserScopedViewSet, ViewSet


class Author(Model):
    id: int = fields.IDField()
    name: str = fields.StringField(max_length=50)


class Book(Model):
    id: int = fields.IDField()
    title: str = fields.StringField(max_length=50, unique=True)
    pages: int = fields.IntegerField(ge=0)
    in_print: bool = fields.BoolField(default=True)
    price: Decimal = fields.DecimalField(max_digits=30, decimal_places=10, default=Decimal(0))
    starts: time | None = fields.TimeField(null=True)
    added: datetime = fields.DateTimeField(default=datetime(2026, 1, 1, tzinfo=UTC))
    author_id: int | None = fields.ForeignKey(Author, null=True)
    author: Author | None = fields.Related()
    user_id: int = fields.IntegerField(default=0)


class AuthorSerializer(Serializer):
    model = Author


class BookSerializer(Serializer):
    model = Book
    author = nested(AuthorSerializer)


class BookViewSet(ModelViewSet):
    model = Book
    filter_fields = ("id__in", "in_print", "pages", "pages__gte")
    search_fields = ("title",)
    ordering_fields = ("pages",)


class NestedViewSet(ModelViewSet):
    model = Book
    serializer_class = BookSerializer


class GuardedViewSet(ModelViewSet):
    model = Book
    permission_classes = (IsAuthenticated,)


class OwnViewSet(UserScopedViewSet):
    model = Book
    filter_fields = ("pages__gte",)
    ordering_fields = ("pages",)


class User(msgspec.Struct):
    id: int


async def by_header(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    if (name := request.headers.get("x-user")) is not None:
        request.user = User(int(name))
    return await call_next(request)


@pytest.fixture(params=["sqlite", "memory"])
async def client(request: pytest.FixtureRequest) -> AsyncIterator[TestClient]:
    router = AutoRouter()
    for path, viewset in (
        ("/books", BookViewSet),
        ("/nested", NestedViewSet),
        ("/guarded", GuardedViewSet),
        ("/own", OwnViewSet),
    ):
        router.register(path, viewset)
    app = App(routers=[router], database=f"{request.param}://", middleware=[by_header])
    async with TestClient(app, raise_server_exceptions=False) as client:
        await app.db.create_tables([Author, Book])
        yield client


async def seed(client: TestClient, count: int = 5, **values: Any) -> None:
    with client.app.db.bind():
        await Book.objects.bulk_create(
            [Book(title=f"Volume {n}", pages=n * 100, **values) for n in range(count)]
        )


async def results(client: TestClient, url: str, **options: Any) -> list[int]:
    answer = await client.get(url, **options)
    assert answer.status == 200, answer.text
    return [book["pages"] for book in answer.json()["results"]]


# Serializers


async def test_avoids_that_the_default_output_omits_the_id(client: TestClient) -> None:
    assert (await client.post("/books", json={"title": "Dune", "pages": 1})).json()["id"] == 1


def test_avoids_that_an_unknown_field_of_a_serializer_is_a_key_error_of_the_first_request() -> None:
    with pytest.raises(ValueError, match="Author has no field `nmae`; there are id, name"):
        type("Broken", (Serializer,), {"model": Author, "fields": ("id", "nmae")})


async def test_avoids_that_a_missing_relation_is_shown_as_an_object_of_nulls(client: TestClient) -> None:
    assert (await client.post("/nested", json={"title": "Dune", "pages": 1})).json()["author"] is None


@pytest.mark.parametrize("author", [[{"name": "x"}], {"name": "x"}, None, 5])
async def test_avoids_that_nested_input_is_a_crash(client: TestClient, author: Any) -> None:
    answer = await client.post("/nested", json={"title": "Dune", "pages": 1, "author": author})
    assert (answer.status, answer.json()["author"]) == (201, None)
    assert (await client.patch("/nested/1", json={"author": author})).status == 200


async def test_avoids_that_answers_echo_the_request_instead_of_what_was_stored(client: TestClient) -> None:
    made = await client.post("/books", json={"title": "Dune", "pages": 1, "price": "1.00000000004"})
    assert made.json() == (await client.get("/books/1")).json()
    assert made.json()["price"] == "1.0000000000"
    changed = await client.patch("/books/1", json={"price": "2"})
    assert (changed.json()["id"], changed.json()["price"]) == (1, "2.0000000000")


async def test_avoids_that_nothing_is_validated(client: TestClient) -> None:
    answer = await client.post("/books", json={"pages": "many", "in_print": "yes", "added": "today"})
    assert answer.status == 422
    assert {error["pointer"]: error["code"] for error in answer.json()["errors"]} == {
        "/body/title": "missing",
        "/body/pages": "type",
        "/body/in_print": "type",
        "/body/added": "format_datetime",
    }


async def test_avoids_that_a_client_sets_the_id(client: TestClient) -> None:
    made = await client.post("/books", json={"id": 900, "title": "Dune", "pages": 1})
    assert made.json()["id"] == 1
    await client.patch("/books/1", json={"id": 900, "pages": 2})
    await client.put("/books/1", json={"id": 900, "title": "Dune", "pages": 3})
    assert await results(client, "/books") == [3]
    assert (await client.get("/books/900")).status == 404


async def test_avoids_that_patch_nulls_what_was_not_sent(client: TestClient) -> None:
    made = (
        await client.post("/books", json={"title": "Dune", "pages": 5, "price": "1.5", "in_print": False})
    ).json()
    assert (await client.patch("/books/1", json={"pages": 6})).json() == {**made, "pages": 6}


# ViewSets


def test_avoids_that_a_method_without_a_handler_breaks_every_request() -> None:
    with pytest.raises(ValueError, match="actions names `destroy`, but the class has no such method"):
        AutoRouter().register("/x", type("Broken", (ViewSet,), {"actions": ("destroy",)}))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("id__in=1,2", [0, 100]),
        ("in_print=false", []),
        ("in_print=true&pages__gte=300", [300, 400]),
        ("pages=0", [0]),
        ("search=volume+3", [300]),
        ("ordering=-pages&page_size=2", [400, 300]),
        ("ordering=pages&page=2&page_size=2", [200, 300]),
    ],
)
async def test_avoids_that_filters_search_order_and_pages_are_inert_or_compare_texts(
    client: TestClient, query: str, expected: list[int]
) -> None:
    await seed(client)
    assert await results(client, f"/books?{query}") == expected


async def test_avoids_that_the_filter_reaches_the_database() -> None:
    seen: list[str] = []
    async with Database.from_url("sqlite://") as db:
        await db.create_tables([Author, Book])
        engine: Any = db.engine
        fetch = engine.fetch

        async def fetched(command: str, *args: Any, **options: Any) -> Any:
            seen.append(command)
            return await fetch(command, *args, **options)

        engine.fetch = fetched
        await Book.objects.filter(pages__gte=3).order_by("-pages")[:2]
    assert all(word in seen[0] for word in ("WHERE", "ORDER BY", "LIMIT"))


@pytest.mark.parametrize(
    "query", ["ordering=title", "ordering=nmae", "pages__like=3", "tilte=x", "id__in=1,x"]
)
async def test_avoids_that_what_is_not_understood_is_ignored(client: TestClient, query: str) -> None:
    assert (await client.get(f"/books?{query}")).status == 400


async def test_avoids_that_pages_need_an_order(client: TestClient) -> None:
    await seed(client)
    assert await results(client, "/books?page_size=2") == [0, 100]
    assert await results(client, "/books?page_size=2&page=3") == [400]


async def test_avoids_that_statuses_say_nothing(client: TestClient) -> None:
    assert (await client.post("/books", json={"title": "Dune", "pages": 1})).status == 201
    assert (await client.delete("/books/1")).status == 204
    for method in ("GET", "DELETE", "PATCH"):
        body: dict[str, Any] = {"json": {}} if method == "PATCH" else {}
        assert (await client.request(method, "/books/1", **body)).status == 404


async def test_avoids_that_a_list_of_objects_is_stored_without_validation(client: TestClient) -> None:
    answer = await client.post("/books", json=[{"title": "Dune", "pages": 1}, {"nonsense": True}])
    assert answer.status == 422
    assert await results(client, "/books") == []


async def test_avoids_that_there_is_no_detail_route_no_put_no_head_and_no_options(client: TestClient) -> None:
    await seed(client, 1)
    assert (await client.get("/books/1")).status == 200
    assert (await client.put("/books/1", json={"title": "x", "pages": 3})).status == 200
    assert (await client.head("/books/1")).status == 200
    assert "PATCH" in (await client.options("/books/1")).headers["allow"]


async def test_avoids_that_scoping_by_user_loses_its_parameters(client: TestClient) -> None:
    await seed(client, 4, user_id=1)
    assert await results(
        client, "/own?pages__gte=100&ordering=-pages&page_size=2", headers={"x-user": "1"}
    ) == [300, 200]
    assert await results(client, "/own", headers={"x-user": "2"}) == []


# Pages


async def test_avoids_that_a_page_that_is_asked_for_by_its_number_is_a_crash(client: TestClient) -> None:
    await seed(client)
    assert await results(client, "/books?page=1&page_size=3") == [0, 100, 200]
    assert await results(client, "/books?page=2&page_size=3") == [300, 400]


async def test_avoids_that_a_page_has_no_maximum(client: TestClient) -> None:
    await seed(client, 130)
    assert len(await results(client, "/books?page_size=100000")) == PageNumberPagination.max_page_size == 100


async def test_avoids_that_links_are_not_encoded_and_have_no_host(client: TestClient) -> None:
    await seed(client)
    found = (await client.get("/books?search=volume%20%2B&page_size=2")).json()
    assert found["count"] == 0
    found = (await client.get("/books?search=e%20v&page_size=2")).json()
    link = urlsplit(found["next"])
    assert (link.scheme, link.netloc, link.path) == ("http", "testserver", "/books")
    assert parse_qsl(link.query) == [("search", "e v"), ("page_size", "2"), ("page", "2")]


async def test_avoids_that_each_list_is_two_queries_and_each_create_too(client: TestClient) -> None:
    trips: list[str] = []
    engine: Any = client.app.db.engine
    for name in ("fetch", "fetch_all", "fetch_json", "execute"):
        run = getattr(engine, name)

        async def counted(*args: Any, run: Any = run, **options: Any) -> Any:
            trips.append(run.__name__)
            return await run(*args, **options)

        setattr(engine, name, counted)
    await client.post("/books", json={"title": "Dune", "pages": 1})
    await client.get("/books")
    assert trips == ["fetch", "fetch_all"]


# Errors and who asks


async def test_avoids_that_an_exception_is_a_400_with_the_databases_text(client: TestClient) -> None:
    await client.post("/books", json={"title": "Dune", "pages": 1})
    taken = await client.post("/books", json={"title": "Dune", "pages": 1})
    assert taken.status == 409
    assert taken.json()["errors"][0]["pointer"] == "/body/title"
    nobody = await client.post("/books", json={"title": "x", "pages": 1, "author_id": 77})
    assert nobody.status == 409
    await client.app.db.drop_tables([Book])
    broken = await client.get("/books")
    assert broken.status == 500
    for answer in (taken, nobody, broken):
        assert not any(
            word in answer.text.lower() for word in ("sqlite", "constraint", "select", "no such table")
        )


async def test_avoids_that_malformed_json_is_a_500(client: TestClient) -> None:
    answer = await client.post("/books", content=b'{"title": ', headers={"content-type": "application/json"})
    assert (answer.status, answer.headers["content-type"]) == (400, "application/problem+json")


async def test_avoids_that_without_a_backend_everybody_is_let_in(client: TestClient) -> None:
    await seed(client, 1)
    for method, path in (
        ("GET", "/guarded"),
        ("GET", "/guarded/1"),
        ("DELETE", "/guarded/1"),
        ("POST", "/guarded"),
    ):
        assert (await client.request(method, path)).status == 401
    assert (await client.get("/guarded", headers={"x-user": "1"})).status == 200


async def test_avoids_that_concurrent_requests_share_a_cursor(client: TestClient) -> None:
    made = await asyncio.gather(
        *(client.post("/books", json={"title": f"Volume {n}", "pages": n}) for n in range(40)),
        *(client.get("/books") for _ in range(40)),
    )
    assert {answer.status for answer in made[:40]} == {201}
    assert {answer.status for answer in made[40:]} == {200}
    assert sorted(answer.json()["id"] for answer in made[:40]) == [*range(1, 41)]


# Values


@pytest.mark.parametrize(
    ("values", "stored"),
    [
        ({"in_print": False, "pages": 0}, {"in_print": False, "pages": 0}),
        ({"price": "12345678901234567890.0123456789"}, {"price": "12345678901234567890.0123456789"}),
        ({"starts": "10:30:00"}, {"starts": "10:30:00"}),
        ({"added": "2026-05-01T12:00:00+02:00"}, {"added": "2026-05-01T10:00:00Z"}),
        ({"title": ""}, {"title": ""}),
    ],
)
async def test_avoids_that_values_change_on_their_way(
    client: TestClient, values: dict[str, Any], stored: dict[str, Any]
) -> None:
    made = (await client.post("/books", json={"title": "Dune", "pages": 1, **values})).json()
    assert {name: made[name] for name in stored} == stored
    assert (await client.get("/books/1")).json() == made


@pytest.mark.parametrize(
    "values", [{"in_print": "false"}, {"pages": "5"}, {"added": 1767225600}, {"pages": 1.5}]
)
async def test_avoids_that_values_of_other_types_are_bent_until_they_fit(
    client: TestClient, values: dict[str, Any]
) -> None:
    assert (await client.post("/books", json={"title": "Dune", "pages": 1, **values})).status == 422


# Queries


@pytest.fixture(params=["sqlite", "memory"])
async def db(request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    async with Database.from_url(f"{request.param}://") as database:
        await database.create_tables([Author, Book])
        await Book.objects.bulk_create([Book(title=f"v{n}", pages=n) for n in range(5)])
        yield database


@pytest.mark.parametrize("name", ["1=1; DROP TABLE book; --", "pages__like", "titel", 'pages" = 1 OR "1', ""])
async def test_avoids_that_unknown_names_are_equality_or_sql(db: Database, name: str) -> None:
    with pytest.raises(FieldError):
        await Book.objects.filter(**{name: 1})


async def test_avoids_that_a_query_is_changed_by_running_it(db: Database) -> None:
    query = Book.objects.order_by("-pages")
    assert (await query.first()) is not None
    assert await query.exists()
    assert await query[1:3].count() == 2
    assert [book.pages for book in await query] == [4, 3, 2, 1, 0]


async def test_avoids_that_slices_offsets_and_orders_do_not_compose(db: Database) -> None:
    query = Book.objects.order_by("pages").filter(pages__gte=1)
    assert [book.pages for book in await query[1:3]] == [2, 3]
    assert [book.pages for book in await query[2:]] == [3, 4]
    assert (await query[3]).pages == 4
    assert await query.exclude().count() == 4
    assert await query.exclude(Q(pages=1) | Q(pages=2)).count() == 2


async def test_avoids_that_null_cannot_be_ordered_among_numbers(db: Database) -> None:
    author = await Author.objects.create(name="x")
    await Book.objects.filter(pages=2).update(author_id=author.id)
    assert (await Book.objects.order_by("author_id").first()).pages == 2  # type: ignore[union-attr]


async def test_avoids_that_save_of_a_new_object_updates_nothing(db: Database) -> None:
    book = await Book(title="new", pages=9).save()
    assert (book.id, await Book.objects.count()) == (6, 6)


def test_avoids_that_a_model_without_meta_has_a_table_called_none() -> None:
    assert Book._meta.table.name == "book"


async def test_avoids_that_another_column_in_the_table_breaks_reading() -> None:
    async with Database.from_url("sqlite://") as db:
        await db.create_tables([Author])
        await db.execute("ALTER TABLE author ADD COLUMN extra TEXT DEFAULT 'x'")
        await Author.objects.create(name="Jane")
        assert (await Author.objects.get(name="Jane")).name == "Jane"


async def test_avoids_that_the_handler_of_a_schemaless_viewset_leaks_its_error() -> None:
    class Broken(ViewSet):
        async def list(self) -> list[str]:
            raise RuntimeError("password=hunter2")

    router = AutoRouter()
    router.register("/broken", Broken)
    async with TestClient(App(routers=[router]), raise_server_exceptions=False) as client:
        answer = await client.get("/broken")
        assert answer.status == 500
        assert "hunter2" not in answer.text


def test_avoids_that_schemas_are_the_models_only_way_to_say_what_is_required() -> None:
    class NewBook(Schema):
        title: str

    with pytest.raises(ValueError, match="NewBook has no field `pages`, which a new Book needs"):
        AutoRouter().register(
            "/books", type("Broken", (ModelViewSet,), {"model": Book, "input_schema": NewBook})
        )
