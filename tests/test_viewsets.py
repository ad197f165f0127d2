"""ViewSets as a client sees them: the six actions on a model, and actions of one's own."""

from __future__ import annotations

import enum
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from swift import App, Model, NotFound, Request, Router, fields
from swift.models import F, Unique
from swift.permissions import AllowAny, DenyAll, IsAdmin, IsAuthenticated, IsOwner
from swift.routing import RouteConflict, SignatureError
from swift.testing import TestClient
from swift.viewsets import (
    AutoRouter,
    CreateOnlyViewSet,
    Input,
    ListCreateViewSet,
    ListQuery,
    ModelViewSet,
    Output,
    ReadOnlyModelViewSet,
    ReadUpdateViewSet,
    ViewSet,
    action,
)

JOINED = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)


class Role(enum.Enum):
    READER = "reader"
    EDITOR = "editor"


class User(Model):
    id: int = fields.IDField()
    name: str = fields.StringField(max_length=20)
    email: str | None = fields.EmailField(null=True, unique=True, db_column="mail_address")
    age: int = fields.IntegerField(ge=0, le=150, default=18)
    role: Role = fields.EnumField(Role, default=Role.READER)
    balance = fields.DecimalField(max_digits=6, decimal_places=2, default=Decimal("0.00"))
    joined = fields.DateTimeField(default=JOINED)
    password: str = fields.StringField(write_only=True, default="")
    internal: str = fields.StringField(read_only=True, default="untouched")
    created: datetime = fields.DateTimeField(auto_now_add=True)
    updated: datetime = fields.DateTimeField(auto_now=True)


class Post(Model):
    id: uuid.UUID = fields.UUIDField(primary_key=True, default_factory=uuid.uuid4)
    slug: str = fields.StringField(max_length=20, unique=True)
    author_id: int = fields.ForeignKey(User)

    class Meta:
        verbose_name = "blog post"


class Country(Model):
    code: str = fields.StringField(max_length=2, primary_key=True)
    name: str = fields.StringField(max_length=20)


class Holiday(Model):
    day: date = fields.DateField(primary_key=True)
    name: str = fields.StringField()


class Step(Model):
    weight = fields.DecimalField(max_digits=4, decimal_places=1, primary_key=True)
    name: str = fields.StringField()


class Page(Model):
    id: int = fields.IDField()
    site: str = fields.StringField()
    slug: str = fields.StringField()

    class Meta:
        constraints = (Unique("site", "slug"),)


MODELS = (User, Post, Country, Holiday, Step, Page)


class UserViewSet(ModelViewSet):
    """People."""

    model = User


class PostViewSet(ModelViewSet):
    model = Post


class PostBySlugViewSet(ModelViewSet):
    model = Post
    lookup_field = "slug"


class CountryViewSet(ModelViewSet):
    model = Country


class HolidayViewSet(ModelViewSet):
    model = Holiday


class StepViewSet(ModelViewSet):
    model = Step


def app_of(database: str = "sqlite://", **viewsets: type[ViewSet]) -> App:
    router = AutoRouter(prefix="/api")
    for name, viewset in viewsets.items():
        router.register(f"/{name}", viewset)
    return App(routers=[router], database=database)


class Client(TestClient):
    """A client of an app whose tables are there."""

    async def __aenter__(self) -> Client:
        await super().__aenter__()
        await self.app.db.create_tables(MODELS)
        return self


@pytest.fixture(params=["sqlite", "memory"])
async def client(request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    app = app_of(
        f"{request.param}://",
        users=UserViewSet,
        posts=PostViewSet,
        slugs=PostBySlugViewSet,
        countries=CountryViewSet,
        holidays=HolidayViewSet,
        steps=StepViewSet,
    )
    async with Client(app) as client:
        yield client


async def created(client: TestClient, path: str = "/api/users", **values: Any) -> dict[str, Any]:
    answer = await client.post(path, json=values)
    assert answer.status == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def pointers(answer: Any) -> list[tuple[str, str]]:
    return [(error["pointer"], error["code"]) for error in answer.json()["errors"]]


# The six actions


async def test_create_answers_201_with_the_object_as_it_is_stored(client: Client) -> None:
    made = await created(client, name="Ada", balance="1.239", joined="2026-02-03T06:05:06+02:00")
    assert made["id"] == 1
    assert (made["name"], made["age"], made["role"]) == ("Ada", 18, "reader")
    assert (made["balance"], made["joined"]) == ("1.24", "2026-02-03T04:05:06Z")
    assert (await client.get("/api/users/1")).json() == made


async def test_retrieve_answers_200(client: Client) -> None:
    made = await created(client, name="Ada")
    answer = await client.get(f"/api/users/{made['id']}")
    assert answer.status == 200
    assert answer.json() == made


async def test_list_shows_objects_as_retrieve_does(client: Client) -> None:
    made = [await created(client, name=name, email=f"{name}@b.ch") for name in ("Ada", "Bob")]
    answer = await client.get("/api/users")
    assert answer.status == 200
    assert answer.json() == {"count": 2, "next": None, "previous": None, "results": made}
    assert (await client.get("/api/posts")).json()["results"] == []


async def test_a_list_looks_the_same_whether_the_database_or_python_encodes_it(client: Client) -> None:
    await created(client, name='Ä "q" \\', balance="-12.30", role="editor", age=0)
    await created(client, "/api/posts", slug="a", author_id=1)
    for path in ("/api/users", "/api/posts"):
        (listed,) = (await client.get(path)).json()["results"]
        assert (await client.get(f"{path}/{listed['id']}")).text == msgspec.json.encode(listed).decode()


async def test_update_answers_200_and_replaces_every_field(client: Client) -> None:
    made = await created(client, name="Ada", age=36, email="ada@b.ch")
    answer = await client.put("/api/users/1", json={"name": "Bob"})
    assert answer.status == 200
    changed = answer.json()
    assert (changed["name"], changed["age"], changed["email"]) == ("Bob", 18, None)
    assert (changed["id"], changed["created"]) == (1, made["created"])
    assert changed["updated"] > made["updated"]


async def test_update_without_a_required_field_is_a_422(client: Client) -> None:
    await created(client, name="Ada")
    answer = await client.put("/api/users/1", json={"age": 3})
    assert answer.status == 422
    assert pointers(answer) == [("/body/name", "missing")]
    assert (await client.get("/api/users/1")).json()["age"] == 18


async def test_partial_update_leaves_what_is_not_sent(client: Client) -> None:
    made = await created(client, name="Ada", age=36, email="ada@b.ch", password="hunter2")
    answer = await client.patch("/api/users/1", json={"age": 37})
    assert answer.status == 200
    changed = answer.json()
    assert changed.pop("updated") > made.pop("updated")
    assert changed == {**made, "age": 37}
    with client.app.db.bind():
        assert (await User.objects.get(id=1)).password == "hunter2"


async def test_partial_update_takes_null_where_the_column_does(client: Client) -> None:
    await created(client, name="Ada", email="ada@b.ch")
    answer = await client.patch("/api/users/1", json={"email": None})
    assert answer.json()["email"] is None
    answer = await client.patch("/api/users/1", json={"name": None, "age": None})
    assert answer.status == 422
    assert pointers(answer) == [("/body/name", "type"), ("/body/age", "type")]
    assert (await client.get("/api/users/1")).json()["name"] == "Ada"


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_an_update_answers_with_the_object_as_it_is_stored(client: Client, method: str) -> None:
    await created(client, name="Ada")
    changes = {"name": "Ada", "balance": "1.239", "joined": "2026-02-03T06:05:06+02:00"}
    answer = await client.request(method, "/api/users/1", json=changes)
    assert answer.json() == (await client.get("/api/users/1")).json()


async def test_a_partial_update_of_nothing_changes_nothing(client: Client) -> None:
    made = await created(client, name="Ada")
    answer = await client.patch("/api/users/1", json={})
    assert (answer.status, answer.json()) == (200, made)


async def test_two_partial_updates_of_different_fields_both_stay(client: Client) -> None:
    import asyncio

    await created(client, name="Ada")
    await asyncio.gather(
        client.patch("/api/users/1", json={"age": 40}),
        client.patch("/api/users/1", json={"name": "Bob"}),
        client.patch("/api/users/1", json={"role": "editor"}),
    )
    found = (await client.get("/api/users/1")).json()
    assert (found["age"], found["name"], found["role"]) == (40, "Bob", "editor")


async def test_destroy_answers_204_and_then_404(client: Client) -> None:
    await created(client, name="Ada")
    answer = await client.delete("/api/users/1")
    assert (answer.status, answer.content) == (204, b"")
    assert (await client.delete("/api/users/1")).status == 404
    assert (await client.get("/api/users/1")).status == 404


async def test_head_is_answered_from_get(client: Client) -> None:
    await created(client, name="Ada")
    for path in ("/api/users", "/api/users/1"):
        answer, get = await client.head(path), await client.get(path)
        assert (answer.status, answer.content) == (200, b"")
        assert answer.headers["content-length"] == get.headers["content-length"]


async def test_the_methods_of_collection_and_object_are_told(client: Client) -> None:
    collection, detail = "GET, HEAD, OPTIONS, POST", "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"
    for path, allow in (("/api/users", collection), ("/api/users/1", detail)):
        answer = await client.options(path)
        assert (answer.status, answer.headers["allow"]) == (204, allow)
    assert (await client.put("/api/users", json={})).headers["allow"] == collection
    assert (await client.post("/api/users/1", json={})).headers["allow"] == detail
    assert (await client.delete("/api/users")).status == 405


async def test_slashes_and_names_lead_where_they_should(client: Client) -> None:
    answer = await client.get("/api/users/")
    assert (answer.status, answer.headers["location"]) == (308, "/api/users")
    assert client.app.url_for("users-list") == "/api/users"
    assert client.app.url_for("users-detail", id=7) == "/api/users/7"


# What a body must be


@pytest.mark.parametrize(
    ("content", "content_type", "expected"),
    [
        (b"", "application/json", 400),
        (b"{", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"[]", "application/json", 422),
        (b"null", "application/json", 422),
        (b'{"name": 3}', "application/json", 422),
        (b'{"name": "a", "age": 151}', "application/json", 422),
        (b'{"name": "a", "role": "owner"}', "application/json", 422),
        (b"name=a", "application/x-www-form-urlencoded", 415),
        (b'{"name": "a"}', "text/plain", 415),
    ],
)
async def test_what_is_no_object_is_refused(
    client: Client, content: bytes, content_type: str, expected: int
) -> None:
    answer = await client.post("/api/users", content=content, headers={"content-type": content_type})
    assert answer.status == expected, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert (await client.get("/api/users")).json()["count"] == 0


async def test_every_fault_of_a_body_is_told_at_once(client: Client) -> None:
    answer = await client.post("/api/users", json={"age": -1, "email": "nobody", "role": "x"})
    assert set(pointers(answer)) == {
        ("/body/name", "missing"),
        ("/body/email", "pattern"),
        ("/body/age", "too_small"),
        ("/body/role", "enum"),
    }


async def test_what_json_allows_and_the_column_does_not_is_told_with_its_place(client: Client) -> None:
    wrong = {"name": "a\0b", "balance": "12345.6", "joined": "0001-01-01T00:00:00+14:00"}
    answer = await client.post("/api/users", json=wrong)
    assert answer.status == 422
    assert pointers(answer) == [
        ("/body/name", "invalid"),
        ("/body/balance", "invalid"),
        ("/body/joined", "invalid"),
    ]
    await created(client, name="Ada")
    for method in ("PUT", "PATCH"):
        answer = await client.request(method, "/api/users/1", json=wrong)
        assert [pointer for pointer, _ in pointers(answer)] == ["/body/name", "/body/balance", "/body/joined"]
    for value in ("NaN", "Infinity", "-sNaN"):
        answer = await client.post("/api/users", json={"name": "a", "balance": value})
        assert answer.status == 422
    assert (await client.get("/api/users")).json()["count"] == 1


# What is never taken from a request, and never shown


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
async def test_keys_read_only_fields_and_stamps_are_never_taken(client: Client, method: str) -> None:
    first = await created(client, name="Ada")
    await created(client, name="Bob")
    sent = {
        "id": 1,
        "name": "Eve",
        "internal": "mine",
        "created": "2000-01-01T00:00:00Z",
        "updated": "2000-01-01T00:00:00Z",
    }
    answer = await client.request(method, "/api/users" if method == "POST" else "/api/users/2", json=sent)
    assert answer.status in (200, 201), answer.text
    found = answer.json()
    assert found["id"] == (3 if method == "POST" else 2)
    assert found["internal"] == "untouched"
    assert found["created"] > "2020"
    assert found["updated"] > "2020"
    assert (await client.get("/api/users/1")).json() == first


async def test_a_key_with_a_default_is_not_taken(client: Client) -> None:
    await created(client, name="Ada")
    wanted = str(uuid.UUID(int=7))
    made = await created(client, "/api/posts", id=wanted, slug="a", author_id=1)
    assert made["id"] != wanted
    answer = await client.patch(f"/api/posts/{made['id']}", json={"id": wanted, "slug": "b"})
    assert answer.json() == {**made, "slug": "b"}


async def test_a_key_without_a_default_is_taken_on_creating_and_never_again(client: Client) -> None:
    await created(client, "/api/countries", code="ch", name="Switzerland")
    await created(client, "/api/countries", code="de", name="Germany")
    assert (await client.post("/api/countries", json={"name": "Nowhere"})).status == 422
    assert (await client.post("/api/countries", json={"code": "ch", "name": "Again"})).status == 409
    for method in ("PUT", "PATCH"):
        answer = await client.request(method, "/api/countries/ch", json={"code": "de", "name": "Suisse"})
        assert (answer.status, answer.json()) == (200, {"code": "ch", "name": "Suisse"})
    assert (await client.get("/api/countries/de")).json()["name"] == "Germany"


async def test_a_key_in_a_schema_of_ones_own_reaches_no_other_object() -> None:
    class PostInput(msgspec.Struct):
        id: uuid.UUID
        slug: str
        author_id: int

    class Posts(ModelViewSet):
        model = Post
        input_schema = PostInput

    mine, other = (str(uuid.UUID(int=number)) for number in (5, 6))
    async with Client(app_of(posts=Posts, users=UserViewSet)) as client:
        await created(client, name="Ada")
        await created(client, "/api/posts", id=mine, slug="mine", author_id=1)
        theirs = await created(client, "/api/posts", id=other, slug="theirs", author_id=1)
        for method in ("PUT", "PATCH"):
            answer = await client.request(
                method, f"/api/posts/{mine}", json={"id": other, "slug": "new", "author_id": 1}
            )
            assert (answer.status, answer.json()["id"]) == (200, mine)
        assert (await client.get(f"/api/posts/{other}")).json() == theirs


async def test_write_only_fields_are_never_shown(client: Client) -> None:
    await created(client, name="Ada", password="hunter2")
    answers = [
        await client.post("/api/users", json={"name": "Bob", "password": "hunter2"}),
        await client.put("/api/users/1", json={"name": "Ada", "password": "hunter2"}),
        await client.patch("/api/users/1", json={"password": "hunter2"}),
        await client.get("/api/users/1"),
        await client.get("/api/users"),
    ]
    for answer in answers:
        assert answer.status < 300
        assert "hunter2" not in answer.text
        assert "password" not in answer.text
    with client.app.db.bind():
        assert (await User.objects.get(id=1)).password == "hunter2"


# Conflicts


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
async def test_a_value_that_is_taken_is_a_409_that_repeats_nothing(client: Client, method: str) -> None:
    await created(client, name="Ada", email="ada@b.ch")
    await created(client, name="Bob")
    path = "/api/users" if method == "POST" else "/api/users/2"
    answer = await client.request(method, path, json={"name": "Eve", "email": "ada@b.ch"})
    assert answer.status == 409
    assert answer.json()["detail"] == "An object with the same `email` exists."
    assert pointers(answer) == [("/body/email", "unique")]
    assert "ada@b.ch" not in answer.text
    assert "mail_address" not in answer.text
    assert "user" not in answer.text.lower()
    assert (await client.get("/api/users/2")).json()["name"] == "Bob"


async def test_a_reference_to_nothing_is_a_409(client: Client) -> None:
    answer = await client.post("/api/posts", json={"slug": "a", "author_id": 987654})
    assert answer.status == 409
    assert "987654" not in answer.text
    assert "FOREIGN" not in answer.text.upper().replace("FOREIGN_KEY", "")


async def test_an_object_that_is_referred_to_is_not_destroyed(client: Client) -> None:
    await created(client, name="Ada")
    await created(client, "/api/posts", slug="a", author_id=1)
    answer = await client.delete("/api/users/1")
    assert (answer.status, answer.json()["detail"]) == (409, "Other objects refer to this one.")
    assert (await client.get("/api/users/1")).status == 200


# Lookups


@pytest.mark.parametrize(
    "path",
    [
        "/api/users/1",
        "/api/users/0",
        "/api/users/-1",
        "/api/users/abc",
        "/api/users/1.0",
        "/api/users/1e3",
        f"/api/users/{2**31}",
        f"/api/users/{2**63}",
        f"/api/users/{10**30}",
        "/api/users/%00",
        "/api/users/%ff",
        f"/api/posts/{uuid.UUID(int=9)}",
        "/api/posts/abc",
        "/api/posts/1",
        "/api/slugs/nothing",
        "/api/slugs/%00",
        f"/api/slugs/{'x' * 5000}",
        "/api/countries/xx",
        "/api/holidays/2026-02-03",
        "/api/holidays/2026-02-30",
        "/api/holidays/tomorrow",
        "/api/steps/1.5",
        "/api/steps/heavy",
        "/api/steps/NaN",
    ],
)
async def test_unknown_and_malformed_keys_are_a_404(client: Client, path: str) -> None:
    for method in ("GET", "DELETE", "HEAD"):
        assert (await client.request(method, path)).status == 404
    for method in ("PUT", "PATCH"):
        body = {"name": "a", "slug": "a", "author_id": 1}
        assert (await client.request(method, path, json=body)).status == 404


async def test_the_404_of_an_object_says_what_there_is_none_of(client: Client) -> None:
    answer = await client.get(f"/api/posts/{uuid.UUID(int=9)}")
    assert answer.json()["detail"] == "There is no such blog post."


async def test_objects_are_looked_up_by_another_field_than_the_key(client: Client) -> None:
    await created(client, name="Ada")
    made = await created(client, "/api/posts", slug="a b/ü"[:3], author_id=1)
    assert (await client.get("/api/slugs/a%20b")).json() == made
    answer = await client.patch("/api/slugs/a%20b", json={"slug": "new"})
    assert answer.json() == {**made, "slug": "new"}
    assert (await client.get("/api/slugs/a%20b")).status == 404
    assert (await client.delete("/api/slugs/new")).status == 204
    assert client.app.url_for("slugs-detail", slug="x") == "/api/slugs/x"


async def test_keys_of_other_types(client: Client) -> None:
    await created(client, name="Ada")
    post = await created(client, "/api/posts", slug="a", author_id=1)
    assert (await client.get(f"/api/posts/{post['id']}")).json() == post
    assert (await client.get(f"/api/posts/{post['id'].upper()}")).json() == post
    holiday = await created(client, "/api/holidays", day="2026-08-01", name="National day")
    assert (await client.get("/api/holidays/2026-08-01")).json() == holiday
    step = await created(client, "/api/steps", weight="2.5", name="second")
    assert (await client.get("/api/steps/2.5")).json() == step
    assert (await client.get("/api/steps/2.50")).json() == step
    assert (await client.delete("/api/steps/2.5")).status == 204


async def test_a_part_of_a_key_looks_up_within_its_scope() -> None:
    class Pages(ModelViewSet):
        model = Page
        lookup_field = "slug"

        def get_queryset(self) -> Any:
            return Page.objects.filter(site=self.request.path_params["site"])

    router = AutoRouter()
    router.register("/{site}/pages", Pages)
    async with Client(App(routers=[router], database="sqlite://")) as client:
        with client.app.db.bind():
            await Page.objects.bulk_create([Page(site="a", slug="home"), Page(site="b", slug="home")])
        assert (await client.get("/a/pages/home")).json()["id"] == 1
        assert (await client.get("/b/pages/home")).json()["id"] == 2
        assert (await client.get("/c/pages/home")).status == 404
        assert (await client.get("/a/pages")).json()["count"] == 1
        assert client.app.url_for("pages-detail", site="a", slug="x") == "/a/pages/x"


# Object permissions


async def by_name(request: Request, call_next: Any) -> Any:
    name = request.header(b"user")
    request.user = None if name is None else await User.objects.get(name=name.decode())
    return await call_next(request)


OBJECT_REQUESTS = {
    "GET": {},
    "HEAD": {},
    "PUT": {"json": {"slug": "stolen", "author_id": 2}},
    "PATCH": {"json": {"slug": "stolen"}},
    "DELETE": {},
}


@pytest.mark.parametrize("method", OBJECT_REQUESTS)
async def test_an_object_is_for_whom_its_permissions_let_at_it(method: str) -> None:
    class Posts(ModelViewSet):
        model = Post
        permission_classes = (IsAuthenticated() & (IsOwner() | IsAdmin()),)

    router = AutoRouter(prefix="/api")
    router.register("/posts", Posts)
    app = App(routers=[router], database="sqlite://", middleware=[by_name])
    async with Client(app) as client:
        with app.db.bind():
            for name in ("Ada", "Bob"):
                await User.objects.create(name=name)
            post = await Post.objects.create(slug="mine", author_id=1)
        path, body = f"/api/posts/{post.id}", OBJECT_REQUESTS[method]

        async def status(user: str | None) -> int:
            headers = {} if user is None else {"user": user}
            return (await client.request(method, path, headers=headers, **body)).status  # type: ignore[arg-type]

        assert await status(None) == 401
        assert await status("Bob") == 403
        with app.db.bind():
            assert [(each.slug, each.author_id) for each in await Post.objects] == [("mine", 1)]
        assert await status("Ada") in (200, 204)
        missing = await client.request(
            method, f"/api/posts/{uuid.UUID(int=1)}", headers={"user": "Bob"}, **body
        )  # type: ignore[arg-type]
        assert missing.status == 404
        answer = await client.get("/api/posts", headers={"user": "Bob"})
        assert answer.status == 200


async def test_an_actions_object_is_asked_about_too() -> None:
    class Posts(ModelViewSet):
        model = Post
        permission_classes = (IsOwner,)

        @action(detail=True, methods=["POST"])
        async def publish(self) -> str:
            return f"published {(await self.get_object()).slug}"

    router = AutoRouter(prefix="/api")
    router.register("/posts", Posts)
    app = App(routers=[router], database="sqlite://", middleware=[by_name])
    async with Client(app) as client:
        with app.db.bind():
            for name in ("Ada", "Bob"):
                await User.objects.create(name=name)
            post = await Post.objects.create(slug="mine", author_id=1)
        path = f"/api/posts/{post.id}/publish"
        assert (await client.post(path, headers={"user": "Bob"})).status == 403
        assert (await client.post(path, headers={"user": "Ada"})).text == "published mine"


# Presets


@pytest.mark.parametrize(
    ("preset", "collection", "detail"),
    [
        (ModelViewSet, {"GET", "POST"}, {"GET", "PUT", "PATCH", "DELETE"}),
        (ReadOnlyModelViewSet, {"GET"}, {"GET"}),
        (ListCreateViewSet, {"GET", "POST"}, set()),
        (CreateOnlyViewSet, {"POST"}, set()),
        (ReadUpdateViewSet, {"GET"}, {"GET", "PUT", "PATCH"}),
    ],
)
async def test_presets_serve_their_actions_and_answer_405_to_the_rest(
    preset: type[ModelViewSet], collection: set[str], detail: set[str]
) -> None:
    viewset = type("Users", (preset,), {"model": User})
    async with Client(app_of(users=viewset)) as client:
        with client.app.db.bind():
            await User.objects.create(name="Ada")
        for path, served in (("/api/users", collection), ("/api/users/1", detail)):
            for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
                body = {} if method in ("GET", "DELETE") else {"json": {"name": "Bob"}}
                answer = await client.request(method, path, **body)  # type: ignore[arg-type]
                refused = 405 if served else 404
                assert (answer.status < 300) if method in served else (answer.status == refused)
        document = (await client.get("/openapi.json")).json()
        listed = {path: {method.upper() for method in item} for path, item in document["paths"].items()}
        expected = {"/api/users": collection, "/api/users/{id}": detail}
        assert listed == {path: methods for path, methods in expected.items() if methods}


# Actions of one's own


class Counter(ViewSet):
    """Actions without a model."""

    lookup_path = "{id:int}"

    async def list(self) -> list[int]:
        return [1, 2]

    async def retrieve(self, id: int) -> dict[str, Any]:
        return {"id": id, "action": self.action, "method": self.request.method}

    @action(detail=False)
    async def latest(self) -> dict[str, str]:
        return {"action": self.action}

    @action(detail=True, methods=["POST"], status=202)
    async def count_up(self, id: int, by: int = 1) -> int:
        return id + by

    @action(detail=True, methods=["GET", "DELETE"], path="/log/{day:date}/", name="log")
    async def read_log(self, id: int, day: date) -> str:
        return f"{self.request.method} {id} {day}"

    @action(detail=False, run_sync="inline")
    def plain(self) -> str:
        return f"plain {self.action}"

    @action(detail=False)
    def threaded(self) -> str:
        import threading

        return "thread" if threading.current_thread() is not threading.main_thread() else "loop"


async def test_actions_stand_below_the_collection_or_the_object() -> None:
    async with TestClient(app_of_counter()) as client:
        assert (await client.get("/counters")).json() == [1, 2]
        assert (await client.get("/counters/latest")).json() == {"action": "latest"}
        assert (await client.get("/counters/7")).json() == {"id": 7, "action": "retrieve", "method": "GET"}
        answer = await client.post("/counters/7/count-up?by=3")
        assert (answer.status, answer.json()) == (202, 10)
        assert (await client.get("/counters/7/log/2026-02-03")).text == "GET 7 2026-02-03"
        assert (await client.delete("/counters/7/log/2026-02-03")).text == "DELETE 7 2026-02-03"
        assert (await client.get("/counters/7/log/never")).status == 404
        assert (await client.get("/counters/7/count-up")).status == 405
        assert (await client.get("/counters/plain")).text == "plain plain"
        assert (await client.get("/counters/threaded")).text == "thread"


def app_of_counter() -> App:
    router = AutoRouter()
    router.register("/counters", Counter)
    return App(routers=[router])


async def test_routes_of_actions_have_names() -> None:
    app = app_of_counter()
    assert app.url_for("counters-latest") == "/counters/latest"
    assert app.url_for("counters-count-up", id=7) == "/counters/7/count-up"
    assert app.url_for("counters-log", id=7, day=date(2026, 2, 3)) == "/counters/7/log/2026-02-03"


async def test_each_request_has_an_instance_of_its_own() -> None:
    import asyncio

    class Slow(ViewSet):
        async def list(self, name: str) -> str:
            self.name = name
            await asyncio.sleep(0.01)
            return f"{self.name} {self.request.query['name']}"

    router = AutoRouter()
    router.register("/slow", Slow)
    async with TestClient(App(routers=[router])) as client:
        answers = await asyncio.gather(*(client.get(f"/slow?name=n{n}") for n in range(10)))
        assert [answer.text for answer in answers] == [f"n{n} n{n}" for n in range(10)]


async def test_an_action_of_a_model_may_take_and_answer_what_the_model_does() -> None:
    class Users(ModelViewSet):
        model = User

        @action(detail=True, methods=["POST"])
        async def copy(self, data: Input) -> Output:
            original = await self.get_object()
            return self.show(await User.objects.create(name=data.name, age=original.age))

        @action(detail=False)
        async def oldest(self) -> dict[str, int]:
            user = await self.get_queryset().order_by("-age").first()
            return {"age": user.age}

    async with Client(app_of(users=Users)) as client:
        await created(client, name="Ada", age=77)
        answer = await client.post("/api/users/1/copy", json={"name": "Bob"})
        assert (answer.json()["name"], answer.json()["age"]) == ("Bob", 77)
        assert "password" not in answer.json()
        assert (await client.post("/api/users/1/copy", json={})).status == 422
        assert (await client.get("/api/users/oldest")).json() == {"age": 77}


async def test_an_action_set_to_none_is_not_served() -> None:
    class Base(Counter):
        pass

    class Fewer(Base):
        latest = None  # type: ignore[assignment]
        list = None  # type: ignore[assignment]

    router = AutoRouter()
    router.register("/counters", Fewer)
    async with TestClient(App(routers=[router])) as client:
        assert (await client.get("/counters")).status == 404
        assert (await client.get("/counters/latest")).status == 404
        assert (await client.get("/counters/7")).status == 200


# Schemas of one's own


class UserInput(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    name: str
    age: int


class UserOutput(msgspec.Struct):
    id: int
    name: str
    label: str = "user"


class SchemaViewSet(ModelViewSet):
    model = User
    input_schema = UserInput
    output_schema = UserOutput


async def test_schemas_of_ones_own_are_taken_and_answered() -> None:
    async with Client(app_of(users=SchemaViewSet)) as client:
        shown = {"id": 1, "name": "Ada", "label": "user"}
        assert await created(client, name="Ada", age=3) == shown
        assert (await client.get("/api/users/1")).json() == shown
        assert (await client.get("/api/users")).json()["results"] == [shown]
        assert (await client.post("/api/users", json={"name": "Ada"})).status == 422
        assert (await client.post("/api/users", json={"name": "A", "age": 1, "role": "editor"})).status == 422


async def test_a_partial_update_takes_no_more_than_the_input_schema() -> None:
    async with Client(app_of(users=SchemaViewSet)) as client:
        await created(client, name="Ada", age=3)
        for field in ("role", "email", "password"):
            answer = await client.patch("/api/users/1", json={field: None})
            assert pointers(answer) == [(f"/body/{field}", "unknown_field")]
        assert (await client.patch("/api/users/1", json={"name": "Bob"})).json()["name"] == "Bob"
        with client.app.db.bind():
            assert (await User.objects.get(id=1)).age == 3


async def test_a_partial_schema_of_ones_own() -> None:
    class Rename(msgspec.Struct):
        name: str

    class Users(SchemaViewSet):
        partial_schema = Rename

    async with Client(app_of(users=Users)) as client:
        await created(client, name="Ada", age=3)
        assert (await client.patch("/api/users/1", json={"age": 4})).status == 422
        assert (await client.patch("/api/users/1", json={"name": "Bob"})).json()["name"] == "Bob"


async def test_an_output_that_does_not_fit_its_object_is_the_servers_fault() -> None:
    class Strict(msgspec.Struct):
        email: str

    class Users(ModelViewSet):
        model = User
        output_schema = Strict

    app = app_of(users=Users)
    async with Client(app, raise_server_exceptions=False) as client:
        with app.db.bind():
            await User.objects.create(name="Ada")
        answer = await client.get("/api/users/1")
        assert answer.status == 500
        assert "email" not in answer.text


# Hooks


async def test_hooks_choose_the_objects_and_change_what_is_written_and_shown() -> None:
    seen: list[Any] = []

    class Users(ModelViewSet):
        model = User

        def get_queryset(self) -> Any:
            return User.objects.filter(age__gte=18).order_by("-id")

        async def perform_create(self, values: dict[str, Any]) -> Any:
            seen.append((self.action, values["name"]))
            return await super().perform_create({**values, "internal": "hook"})

        async def perform_update(self, obj: Any, values: dict[str, Any]) -> Any:
            seen.append((self.action, obj.id, values))
            return await super().perform_update(obj, {**values, "internal": self.action})

        async def perform_destroy(self, obj: Any) -> None:
            seen.append((self.action, obj.id))
            await super().perform_update(obj, {"age": 0})

        def show(self, obj: Any) -> Any:
            return {"id": obj.id, "internal": obj.internal}

    async with Client(app_of(users=Users)) as client:
        assert await created(client, name="Ada") == {"id": 1, "internal": "hook"}
        await created(client, name="Kid", age=3)
        await created(client, name="Bob")
        assert (await client.get("/api/users")).json()["results"] == [
            {"id": 3, "internal": "hook"},
            {"id": 1, "internal": "hook"},
        ]
        for method in ("GET", "PATCH", "DELETE"):
            body = {"json": {"name": "x"}} if method == "PATCH" else {}
            assert (await client.request(method, "/api/users/2", **body)).status == 404  # type: ignore[arg-type]
        answer = await client.patch("/api/users/1", json={"name": "Eve"})
        assert answer.json() == {"id": 1, "internal": "partial_update"}
        assert (await client.delete("/api/users/1")).status == 204
        assert (await client.get("/api/users/1")).status == 404
        with client.app.db.bind():
            assert (await User.objects.get(id=1)).name == "Eve"
    assert seen == [
        ("create", "Ada"),
        ("create", "Kid"),
        ("create", "Bob"),
        ("partial_update", 1, {"name": "Eve"}),
        ("destroy", 1),
    ]


async def test_an_action_may_be_replaced_as_a_whole() -> None:
    class Users(ModelViewSet):
        model = User

        async def list(self) -> list[str]:  # type: ignore[override]
            return [user.name async for user in self.get_queryset()]

        async def retrieve(self, id: int) -> str:  # type: ignore[override]
            return f"user {id}"

    async with Client(app_of(users=Users)) as client:
        await created(client, name="Ada")
        assert (await client.get("/api/users")).json() == ["Ada"]
        assert (await client.get("/api/users/5")).text == "user 5"


async def test_a_list_that_is_extended_sees_objects() -> None:
    class Users(ModelViewSet):
        model = User

        async def list(self, query: ListQuery) -> list[str]:
            page = await super().list(query)
            return [item.name for item in page.results]

    async with Client(app_of(users=Users)) as client:
        await created(client, name="Ada")
        assert (await client.get("/api/users")).json() == ["Ada"]


async def test_a_problem_of_a_hook_is_its_answer() -> None:
    class Users(ModelViewSet):
        model = User

        async def perform_create(self, values: dict[str, Any]) -> Any:
            raise NotFound("There is no such invitation.")

    async with Client(app_of(users=Users)) as client:
        answer = await client.post("/api/users", json={"name": "Ada"})
        assert (answer.status, answer.json()["detail"]) == (404, "There is no such invitation.")


# Apps side by side


async def test_two_viewsets_of_one_model_in_two_apps_use_two_databases() -> None:
    class PublicUsers(ReadOnlyModelViewSet):
        model = User
        output_schema = UserOutput

    first = app_of(users=UserViewSet, public=PublicUsers)
    second = app_of("memory://", users=UserViewSet)
    async with Client(first) as one, Client(second) as other:
        await created(one, name="Ada")
        await created(one, name="Bob")
        await created(other, name="Eve")
        assert [user["name"] for user in (await one.get("/api/users")).json()["results"]] == ["Ada", "Bob"]
        assert [user["name"] for user in (await other.get("/api/users")).json()["results"]] == ["Eve"]
        assert (await one.get("/api/public/2")).json() == {"id": 2, "name": "Bob", "label": "user"}
        assert (await other.get("/api/users/2")).status == 404
        assert (await one.get("/api/users")).json()["count"] == 2


# The OpenAPI document


async def document_of(app: App) -> dict[str, Any]:
    async with TestClient(app) as client:
        document: dict[str, Any] = (await client.get("/openapi.json")).json()
    OpenAPIV31SpecValidator(document).validate()
    return document


async def test_the_document_names_operations_cleanly() -> None:
    document = await document_of(app_of(users=UserViewSet))
    ids = {
        (path, method): operation["operationId"]
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }
    assert ids == {
        ("/api/users", "get"): "users_list",
        ("/api/users", "post"): "users_create",
        ("/api/users/{id}", "get"): "users_retrieve",
        ("/api/users/{id}", "put"): "users_update",
        ("/api/users/{id}", "patch"): "users_partial_update",
        ("/api/users/{id}", "delete"): "users_destroy",
    }
    assert document["paths"]["/api/users"]["get"]["tags"] == ["users"]


async def test_the_document_says_what_is_taken_and_shown() -> None:
    document = await document_of(app_of(users=UserViewSet, again=UserViewSet, posts=PostViewSet))
    schemas = document["components"]["schemas"]
    users = {name: schema for name, schema in schemas.items() if "User" in name and "Page" not in name}
    assert set(users) == {"User", "UserInput", "UserPatch"}
    assert "password" not in users["User"]["properties"]
    assert set(users["User"]["required"]) == set(users["User"]["properties"])
    assert {"id", "internal", "created", "updated"}.isdisjoint(users["UserInput"]["properties"])
    assert users["UserInput"]["required"] == ["name"]
    assert "required" not in users["UserPatch"]
    assert set(schemas["Post"]["required"]) == {"id", "slug", "author_id"}


async def test_the_document_tells_every_answer_of_the_actions() -> None:
    document = await document_of(app_of(users=UserViewSet, countries=CountryViewSet))

    def answers(path: str, method: str) -> set[str]:
        return set(document["paths"][path][method]["responses"])

    body = {"400", "406", "413", "415", "422"}
    assert answers("/api/users", "get") == {"200", "400", "404", "406", "422"}
    assert answers("/api/users", "post") == {"201", "409"} | body
    assert answers("/api/users/{id}", "get") == {"200", "404", "406"}
    assert answers("/api/users/{id}", "put") == {"200", "404", "409"} | body
    assert answers("/api/users/{id}", "patch") == {"200", "404", "409"} | body
    assert answers("/api/users/{id}", "delete") == {"204", "404", "409"}


async def test_guarded_actions_are_documented_with_401_and_403() -> None:
    class Users(UserViewSet):
        permission_classes = (DenyAll,)
        permission_classes_by_action = {"list": [AllowAny]}  # noqa: RUF012

    paths = (await document_of(app_of(users=Users)))["paths"]
    assert {"401", "403"} <= set(paths["/api/users"]["post"]["responses"])
    assert {"401", "403"}.isdisjoint(paths["/api/users"]["get"]["responses"])


async def test_parameters_of_the_path_leave_the_names_clean() -> None:
    router = AutoRouter(prefix="/api", name="v1")
    router.register("/users/{user_id:int}/blog-posts", PostViewSet)
    document = await document_of(App(routers=[router], database="memory://"))
    operation = document["paths"]["/api/users/{user_id}/blog-posts"]["get"]
    assert operation["operationId"] == "v1_users_blog_posts_list"
    assert operation["tags"] == ["users-blog-posts"]


async def test_two_versions_of_a_viewset_stand_side_by_side_under_names() -> None:
    routers = []
    for version in ("v1", "v2"):
        router = AutoRouter(prefix=f"/{version}", name=version)
        router.register("/users", UserViewSet)
        routers.append(router)
    app = App(routers=routers, database="memory://")
    assert app.url_for("v1:users-detail", id=1) == "/v1/users/1"
    document = await document_of(app)
    assert document["paths"]["/v2/users"]["get"]["operationId"] == "v2_users_list"
    assert "User" in document["components"]["schemas"]


async def test_actions_are_documented_from_their_signatures() -> None:
    document = await document_of(app_of_counter())
    operation = document["paths"]["/counters/{id}/count-up"]["post"]
    assert operation["operationId"] == "counters_count_up"
    assert [parameter["name"] for parameter in operation["parameters"]] == ["id", "by"]
    assert "202" in operation["responses"]
    log = document["paths"]["/counters/{id}/log/{day}"]
    assert {log[method]["operationId"] for method in log} == {
        "counters_read_log_get",
        "counters_read_log_delete",
    }


async def test_options_of_an_action_reach_its_route() -> None:
    class Users(UserViewSet):
        @action(
            detail=True, methods=["POST"], responses={409: "It is running."}, tags=["jobs"], deprecated=True
        )
        async def start(self) -> None: ...

    operation = (await document_of(app_of(users=Users)))["paths"]["/api/users/{id}/start"]["post"]
    assert operation["tags"] == ["jobs"]
    assert operation["deprecated"] is True
    assert operation["responses"]["409"]["description"] == "It is running."


# Refused at import or start, in one sentence


def refuses(sentence: str, error: type[Exception] = ValueError, *bases: type, **members: Any) -> None:
    with pytest.raises(error, match=sentence) as caught:
        app_of(users=type("Broken", bases or (ModelViewSet,), members))
    assert "\n" not in str(caught.value)


def test_a_model_viewset_without_a_model_is_refused() -> None:
    refuses("Broken has no model; set `model` to a class of Model", TypeError)
    refuses(r"Broken\.model is <class 'int'>; give a class of Model", TypeError, model=int)
    refuses(r"Broken\.model is 'User'; give a class of Model", TypeError, model="User")


def test_a_lookup_field_that_names_no_object_is_refused() -> None:
    refuses(
        r"Broken\.lookup_field is `slug`, which User does not have; there are id",
        model=User,
        lookup_field="slug",
    )
    refuses(
        r"Broken\.lookup_field is `name`, which several objects may share", model=User, lookup_field="name"
    )


def test_schemas_that_do_not_go_with_the_model_are_refused() -> None:
    class Unknown(msgspec.Struct):
        name: str
        nickname: str

    class ReadOnly(msgspec.Struct):
        name: str
        internal: str

    class Stamp(msgspec.Struct):
        name: str
        created: datetime

    class Incomplete(msgspec.Struct):
        age: int

    class Validates(msgspec.Struct):
        name: str

        def __post_init__(self) -> None:
            raise ValueError

    refuses(
        "Broken: Unknown has the field `nickname`, which User does not have; take it out or override perform_create",
        model=User,
        input_schema=Unknown,
    )
    refuses(
        "Broken: ReadOnly has the field `internal`, which no request may set",
        model=User,
        input_schema=ReadOnly,
    )
    refuses("Broken: Stamp has the field `created`, which no request may set", model=User, input_schema=Stamp)
    refuses(
        "Broken: Incomplete has no field `name`, which a new User needs; add it, give it a default or override",
        model=User,
        input_schema=Incomplete,
    )
    refuses("Broken: Validates validates in __post_init__", model=User, input_schema=Validates)
    refuses(
        "Broken: Unknown has the field `nickname`.*override perform_update",
        ValueError,
        ReadUpdateViewSet,
        model=User,
        input_schema=Unknown,
    )
    refuses(
        "Broken: Unknown shows `nickname`, which User does not have; take it out or override show",
        model=User,
        output_schema=Unknown,
    )


def test_a_hook_of_ones_own_may_take_what_the_model_does_not_have() -> None:
    class Registration(msgspec.Struct):
        name: str
        invitation: str

    class Users(CreateOnlyViewSet):
        model = User
        input_schema = Registration

        async def perform_create(self, values: dict[str, Any]) -> Any:
            del values["invitation"]
            return await super().perform_create(values)

    app_of(users=Users)


def test_a_required_field_that_no_request_may_set_is_refused() -> None:
    class Sealed(Model):
        id: int = fields.IDField()
        owner: str = fields.StringField(read_only=True)

    refuses("Broken: SealedInput has no field `owner`, which a new Sealed needs", model=Sealed)
    app_of(sealed=type("ReadSealed", (ReadOnlyModelViewSet,), {"model": Sealed}))


def test_actions_that_are_not_there_are_refused() -> None:
    refuses(
        r"Broken\.actions names `retreive`; there are list, create, retrieve",
        model=User,
        actions=("retreive",),
    )
    refuses(
        r"Broken\.actions names `create`, but the class has no such method",
        ValueError,
        Counter,
        actions=["create"],
    )
    refuses("Broken serves nothing; define an action such as `list`", ValueError, ViewSet)


def test_a_viewset_that_needs_arguments_is_refused() -> None:
    def init(self: Any, repository: Any) -> None: ...

    refuses(
        "Broken is made anew for each request, without arguments: missing a required argument: 'repository'",
        TypeError,
        Counter,
        __init__=init,
    )


def test_a_placeholder_outside_a_model_viewset_is_refused() -> None:
    class Plain(ViewSet):
        async def create(self, data: Input) -> Output: ...

    with pytest.raises(
        SignatureError, match=r"Plain\.create takes `data`, whose type only a ModelViewSet knows"
    ):
        app_of(users=Plain)


def test_what_is_no_viewset_is_refused() -> None:
    for wrong in (User, UserViewSet(), "users", None):
        with pytest.raises(TypeError, match="Expected a class of ViewSet for '/users'"):
            AutoRouter().register("/users", wrong)  # type: ignore[arg-type]


def test_methods_of_an_action_are_a_list() -> None:
    with pytest.raises(TypeError, match=r"@action\(methods='POST'\): give a list, \['POST'\]"):
        action(detail=True, methods="POST")


def test_two_viewsets_at_one_path_are_refused() -> None:
    router = AutoRouter()
    router.register("/users", UserViewSet)
    with pytest.raises(RouteConflict, match="GET /users is already served"):
        router.register("users/", UserViewSet)


async def test_two_viewsets_of_one_name_are_refused_at_start() -> None:
    outer = Router()
    for prefix in ("/a", "/b"):
        router = AutoRouter(prefix=prefix)
        router.register("/users", UserViewSet)
        outer.include(router)
    app = App(routers=[outer], database="memory://")
    with pytest.raises(ValueError, match="Two operations are called `users_list`"):
        await app.start()
    assert isinstance(app, App)


async def test_viewsets_can_be_registered_at_the_root_and_under_another_name() -> None:
    router = AutoRouter()
    router.register("", Counter)
    router.register("/people", UserViewSet, name="users")
    app = App(routers=[router], database="sqlite://")
    async with Client(app) as client:
        assert (await client.get("/")).json() == [1, 2]
        assert (await client.get("/7")).json()["id"] == 7
        assert app.url_for("users-list") == "/people"
        assert app.url_for("root-list") == "/"


async def test_the_request_is_there_in_every_hook() -> None:
    class Users(ModelViewSet):
        model = User

        def get_queryset(self) -> Any:
            assert isinstance(self.request, Request)
            return super().get_queryset().filter(name=self.request.query.get("name", "Ada"))

    async with Client(app_of(users=Users)) as client:
        await created(client, name="Ada")
        assert (await client.get("/api/users/1")).status == 200
        assert (await client.get("/api/users/1?name=Bob")).status == 404
        assert (await client.get("/api/users")).json()["count"] == 1
        assert (await client.get("/api/users?name=Bob")).json()["count"] == 0


class Counted(msgspec.Struct):
    name: str
    doubled: int


@pytest.mark.parametrize("database", ["sqlite://", "memory://"])
@pytest.mark.parametrize("schema", [Counted, None])
async def test_what_a_query_adds_is_shown_where_the_schema_has_it(database: str, schema: Any) -> None:
    class Users(ReadOnlyModelViewSet):
        model = User
        output_schema = schema

        def get_queryset(self) -> Any:
            return User.objects.annotate(doubled=F("age") * 2).filter(age__gt=1)

    async with Client(app_of(database, users=Users)) as client:
        with client.app.db.bind():
            await User.objects.bulk_create([User(name="Ada", age=21), User(name="Bob", age=1)])
        page, one = (await client.get("/api/users")).json(), (await client.get("/api/users/1")).json()
        assert (page["count"], page["results"]) == (1, [one])
        if schema is Counted:
            assert one == {"name": "Ada", "doubled": 42}
        else:
            assert "doubled" not in one
            assert "password" not in one
