"""Pages of lists: what a client may ask for, and the URLs of the neighbours."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest

from swift import App, Model, Request, fields
from swift.engines import Database
from swift.pagination import PageNumberPagination, PageQuery, completed_order
from swift.pagination.base import url_without
from swift.testing import TestClient
from swift.viewsets import AutoRouter, ModelViewSet

COUNT = 45


class City(Model):
    id: int = fields.IDField()
    name: str = fields.StringField(max_length=50)
    country: str = fields.StringField(max_length=2)
    code: str = fields.StringField(max_length=10, unique=True)
    secret: str = fields.StringField(default="s", write_only=True)


class Village(Model):
    id: int = fields.IDField()
    country: str = fields.StringField(max_length=2)

    class Meta:
        ordering = ("country",)


class Small(PageNumberPagination):
    page_size = 10
    max_page_size = 15


class CityViewSet(ModelViewSet):
    model = City
    pagination_class = Small


class NamedCityViewSet(CityViewSet):
    """The same with a hook, so that objects are made for the list."""

    def show(self, obj: City) -> Any:
        return super().show(obj)


class AllCitiesViewSet(ModelViewSet):
    model = City
    pagination_class = None


class VillageViewSet(ModelViewSet):
    model = Village
    pagination_class = Small


@pytest.fixture(params=["sqlite", "memory"])
async def client(request: pytest.FixtureRequest) -> AsyncIterator[TestClient]:
    router = AutoRouter(prefix="/api")
    router.register("/cities", CityViewSet)
    router.register("/named", NamedCityViewSet)
    router.register("/all", AllCitiesViewSet)
    router.register("/villages", VillageViewSet)
    app = App(routers=[router], database=f"{request.param}://")
    async with TestClient(app) as client:
        await app.db.create_tables([City, Village])
        with app.db.bind():
            await City.objects.bulk_create(
                [City(name=f"City {n}", country="ch", code=f"c{n}") for n in range(1, COUNT + 1)]
            )
            await Village.objects.bulk_create([Village(country="ch") for _ in range(COUNT)])
        yield client


async def page(client: TestClient, url: str) -> dict[str, Any]:
    answer = await client.get(url)
    assert answer.status == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize("path", ["/api/cities", "/api/named"])
async def test_a_page_tells_the_count_its_neighbours_and_its_items(client: TestClient, path: str) -> None:
    found = await page(client, path)
    assert list(found) == ["count", "next", "previous", "results"]
    assert found["count"] == COUNT
    assert found["next"] == f"http://testserver{path}?page=2"
    assert found["previous"] is None
    assert [item["id"] for item in found["results"]] == [*range(1, 11)]
    assert found["results"][0] == {"id": 1, "name": "City 1", "country": "ch", "code": "c1"}


@pytest.mark.parametrize("path", ["/api/cities", "/api/named"])
async def test_following_next_shows_every_item_once(client: TestClient, path: str) -> None:
    url, seen, pages = path, [], 0
    while url:
        found = await page(client, url)
        seen += [item["id"] for item in found["results"]]
        url, pages = found["next"], pages + 1
    assert seen == [*range(1, COUNT + 1)]
    assert pages == 5
    assert found["previous"] == f"http://testserver{path}?page=4"


async def test_following_previous_leads_back_to_the_start(client: TestClient) -> None:
    found = await page(client, "/api/cities?page=5")
    numbers = [len(found["results"])]
    while found["previous"]:
        found = await page(client, found["previous"])
        numbers.append(len(found["results"]))
    assert numbers == [5, 10, 10, 10, 10]


async def test_equal_rows_come_on_one_page_each(client: TestClient) -> None:
    # Ordered by a column in which all are equal: the primary key decides, and not the database's mood.
    seen = []
    for number in range(1, 6):
        seen += [item["id"] for item in (await page(client, f"/api/villages?page={number}"))["results"]]
    assert seen == [*range(1, COUNT + 1)]


async def test_the_page_size_is_the_clients_up_to_a_limit(client: TestClient) -> None:
    assert len((await page(client, "/api/cities?page_size=3"))["results"]) == 3
    assert len((await page(client, "/api/cities?page_size=15"))["results"]) == 15
    for size in ("16", "1000000", str(10**30), "1" + "0" * 4000):
        assert len((await page(client, f"/api/cities?page_size={size}"))["results"]) == 15


@pytest.mark.parametrize("query", ["page=6", "page=2147483648", "page_size=15&page=4", "page=46&page_size=1"])
async def test_a_page_behind_the_last_is_a_404(client: TestClient, query: str) -> None:
    for path in ("/api/cities", "/api/named"):
        answer = await client.get(f"{path}?{query}")
        assert answer.status == 404
        assert answer.json()["detail"] == "There is no such page."


async def test_the_first_page_of_nothing_is_empty(client: TestClient) -> None:
    with client.app.db.bind():
        await City.objects.delete()
    nothing = {"count": 0, "next": None, "previous": None, "results": []}
    for path in ("/api/cities", "/api/named"):
        assert await page(client, path) == nothing
        assert (await client.get(f"{path}?page=2")).status == 404
    assert await page(client, "/api/all") == []


async def test_the_last_page_may_be_full(client: TestClient) -> None:
    found = await page(client, "/api/cities?page_size=15&page=3")
    assert len(found["results"]) == 15
    assert found["next"] is None


@pytest.mark.parametrize(
    ("query", "pointer", "code"),
    [
        ("page=0", "/query/page", "too_small"),
        ("page=-1", "/query/page", "too_small"),
        ("page=abc", "/query/page", "type"),
        ("page=", "/query/page", "type"),
        ("page=1.5", "/query/page", "type"),
        (f"page={10**30}", "/query/page", "too_large"),
        ("page=2147483649", "/query/page", "too_large"),
        ("page=null", "/query/page", "type"),
        ("page_size=0", "/query/page_size", "too_small"),
        ("page_size=-1", "/query/page_size", "too_small"),
        ("page_size=all", "/query/page_size", "type"),
    ],
)
async def test_what_is_no_page_is_a_422(client: TestClient, query: str, pointer: str, code: str) -> None:
    answer = await client.get(f"/api/cities?{query}")
    assert answer.status == 422, answer.text
    (error,) = answer.json()["errors"]
    assert (error["pointer"], error["code"]) == (pointer, code)


async def test_every_fault_of_the_query_is_told_at_once(client: TestClient) -> None:
    answer = await client.get("/api/cities?page=0&page_size=x")
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/query/page", "/query/page_size"]


async def test_the_last_of_several_pages_counts(client: TestClient) -> None:
    found = await page(client, "/api/cities?page=1&page=2")
    assert found["results"][0]["id"] == 11
    assert found["next"] == "http://testserver/api/cities?page=3"


async def test_neighbours_keep_the_other_fields_of_the_query(client: TestClient) -> None:
    query = "q=%C3%A4+b%26c&page_size=10&tag=a&page=2&tag=b&empty="
    found = await page(client, f"/api/cities?{query}")
    for name, number in (("next", "3"), ("previous", "1")):
        fields = parse_qsl(urlsplit(found[name]).query, keep_blank_values=True)
        assert fields == [
            ("q", "ä b&c"),
            ("page_size", "10"),
            ("tag", "a"),
            ("tag", "b"),
            ("empty", ""),
            ("page", number),
        ]
        assert (await client.get(found[name])).status == 200


async def test_without_pagination_a_list_is_the_whole_list(client: TestClient) -> None:
    found: Any = await page(client, "/api/all?page=7")
    assert [item["id"] for item in found] == [*range(1, COUNT + 1)]
    assert "secret" not in found[0]


# Absolute URLs


def request_for(path: str, **scope: Any) -> Request:
    headers = [(b"host", scope.pop("host", b"shop.example.com"))]
    return Request(
        {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": headers, **scope}
    )


@pytest.mark.parametrize(
    ("path", "scope", "expected"),
    [
        ("/users", {}, "http://shop.example.com/users?page="),
        ("/users", {"scheme": "https"}, "https://shop.example.com/users?page="),
        ("/users", {"host": b"localhost:8000"}, "http://localhost:8000/users?page="),
        # The ASGI specification puts the root path in front of the path; some servers leave it out.
        ("/shop/users", {"root_path": "/shop"}, "http://shop.example.com/shop/users?page="),
        ("/users", {"root_path": "/shop"}, "http://shop.example.com/shop/users?page="),
        ("/users", {"root_path": "/shop/"}, "http://shop.example.com/shop/users?page="),
        ("/users", {"query_string": b"page=3"}, "http://shop.example.com/users?page="),
        ("/users", {"query_string": b"a=%20&page=3&b"}, "http://shop.example.com/users?a=+&b=&page="),
        ("/users", {"query_string": b'a=<">'}, "http://shop.example.com/users?a=%3C%22%3E&page="),
        ("/ü/a b", {}, "http://shop.example.com/%C3%BC/a%20b?page="),
        # Nothing a client sends as its Host gets into the URL unless it can be one.
        ("/users", {"host": b'evil/"x', "server": ("10.0.0.1", 80)}, "http://10.0.0.1/users?page="),
    ],
)
def test_neighbours_have_absolute_urls(path: str, scope: dict[str, Any], expected: str) -> None:
    assert f"{url_without(request_for(path, **scope), ('page',))}page=" == expected


@pytest.mark.parametrize("root_path", ["", "/gateway/v1"])
async def test_neighbours_and_redirects_lead_through_the_root_path(root_path: str) -> None:
    router = AutoRouter(prefix="/api")
    router.register("/cities", CityViewSet)
    app = App(routers=[router], database="sqlite://")
    async with TestClient(app, root_path=root_path) as client:
        await app.db.create_tables([City])
        with app.db.bind():
            await City.objects.bulk_create([City(name="x", country="ch", code=f"c{n}") for n in range(11)])
        found = await page(client, "/api/cities")
        assert found["next"] == f"http://testserver{root_path}/api/cities?page=2"
        answer = await client.get("/api/cities/?page=2")
        assert answer.status == 308
        assert answer.headers["location"] == f"{root_path}/api/cities?page=2"


# Pagination classes


async def test_a_pagination_of_ones_own() -> None:
    class Slice(msgspec.Struct):
        items: list[City]

    class OffsetQuery(msgspec.Struct):
        offset: int = 0

    class Offset(PageNumberPagination):
        query = OffsetQuery

        def answer_type(self, item: Any) -> Any:
            return dict[str, list[item]]

        async def paginate(self, queryset: Any, request: Request, query: Any, show: Any = None) -> Any:
            objects = await queryset[query.offset : query.offset + 2]
            return {"items": [obj if show is None else show(obj) for obj in objects]}

    class Offsets(NamedCityViewSet):
        pagination_class = Offset

    router = AutoRouter()
    router.register("/cities", Offsets)
    app = App(routers=[router], database="sqlite://")
    async with TestClient(app) as client:
        await app.db.create_tables([City])
        with app.db.bind():
            await City.objects.bulk_create([City(name="x", country="ch", code=f"c{n}") for n in range(5)])
        assert [item["id"] for item in (await page(client, "/cities?offset=3"))["items"]] == [4, 5]
        document = (await client.get("/openapi.json")).json()
        (parameter,) = document["paths"]["/cities"]["get"]["parameters"]
        assert parameter["name"] == "offset"


@pytest.mark.parametrize(("size", "limit"), [(0, 10), (-1, 10), (11, 10)])
def test_sizes_that_make_no_page_are_refused(size: int, limit: int) -> None:
    with pytest.raises(ValueError, match="a page has at least one item and at most max_page_size"):
        type("Broken", (PageNumberPagination,), {"page_size": size, "max_page_size": limit})


@pytest.mark.parametrize("wrong", ["page", PageQuery, PageNumberPagination()])
def test_what_is_no_pagination_is_refused(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"Broken\.pagination_class is .*; give a class of Pagination"):
        type("Broken", (ModelViewSet,), {"model": City, "pagination_class": wrong})


# The order of pages


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ((), ("pk",)),
        (("name",), ("name", "pk")),
        (("-country", "name"), ("-country", "name", "pk")),
        (("id",), None),
        (("-pk",), None),
        (("country", "-id"), None),
        (("code",), None),
    ],
)
def test_an_order_is_completed_by_the_primary_key(order: tuple[str, ...], expected: Any) -> None:
    assert completed_order(City, order) == expected


async def test_a_page_and_its_count_are_one_trip_to_the_database() -> None:
    router = AutoRouter()
    router.register("/cities", CityViewSet)
    app = App(routers=[router], database="sqlite://")
    async with TestClient(app) as client:
        await app.db.create_tables([City])
        engine = app.db.engine
        calls: list[str] = []
        fetch, fetch_all = engine.fetch, engine.fetch_all

        async def counted_fetch(*args: Any, **options: Any) -> Any:
            calls.append("fetch")
            return await fetch(*args, **options)

        async def counted_fetch_all(*args: Any, **options: Any) -> Any:
            calls.append("fetch_all")
            return await fetch_all(*args, **options)

        engine.fetch, engine.fetch_all = counted_fetch, counted_fetch_all  # type: ignore[method-assign]
        await page(client, "/cities")
        assert calls == ["fetch_all"]
        assert isinstance(app.db, Database)
