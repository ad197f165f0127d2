"""Cursors and offsets: every row once, whatever comes and goes; nothing forged; links that keep the query."""

from __future__ import annotations

import enum
import itertools
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openapi_spec_validator import OpenAPIV31SpecValidator

from swift import App, Model, Secret, Settings, fields
from swift.engines import Database
from swift.pagination import CursorPagination, LimitOffsetPagination, PageNumberPagination
from swift.settings import Global
from swift.testing import TestClient
from swift.viewsets import AutoRouter, ModelViewSet

SECRET = Settings(global_=Global(secret_key=Secret("a secret of this test")))


class Grade(enum.Enum):
    A = "a"
    B = "b"


class Item(Model):
    id: int = fields.IDField()
    name: str = fields.StringField()
    rank: int | None = fields.IntegerField(null=True)
    done: bool = fields.BoolField(default=False)
    maybe: bool | None = fields.BoolField(null=True)
    price: Decimal = fields.DecimalField(max_digits=6, decimal_places=2, default=Decimal(1))
    score: float = fields.FloatField(default=0.5)
    grade: Grade = fields.EnumField(Grade, default=Grade.A)
    added: datetime = fields.DateTimeField(default=datetime(2026, 1, 1, tzinfo=UTC))
    extra: Any = fields.JSONField(null=True)


class Cursors(CursorPagination):
    page_size = 3
    max_page_size = 5


class ItemViewSet(ModelViewSet):
    model = Item
    pagination_class = Cursors
    filter_fields = ("name", "rank__gte")
    ordering_fields = ("name", "rank", "done", "price", "score", "grade", "added", "maybe")
    ordering = ("rank",)


class OffsetViewSet(ModelViewSet):
    model = Item
    pagination_class = type("Offsets", (LimitOffsetPagination,), {"page_size": 3, "max_page_size": 5})
    ordering = ("id",)


class UncountedViewSet(ModelViewSet):
    model = Item
    pagination_class = type("Uncounted", (PageNumberPagination,), {"page_size": 3, "counts": False})


class CountedViewSet(ItemViewSet):
    pagination_class = type("Counted", (Cursors,), {"counts": True})


def app_of(database: str | Database, app_settings: Settings | None = SECRET) -> App:
    router = AutoRouter(prefix="/api")
    router.register("/items", ItemViewSet)
    router.register("/offsets", OffsetViewSet)
    router.register("/uncounted", UncountedViewSet)
    router.register("/counted", CountedViewSet)
    return App(routers=[router], database=database, settings=app_settings)


@pytest.fixture(params=["sqlite", "memory"])
async def client(request: pytest.FixtureRequest) -> AsyncIterator[TestClient]:
    app = app_of(f"{request.param}://")
    async with TestClient(app) as client:
        await app.db.create_tables([Item])
        with app.db.bind():
            await Item.objects.bulk_create(
                [Item(name=f"n{number % 4}", rank=number % 3) for number in range(8)]
            )
        yield client


async def got(client: TestClient, url: str) -> dict[str, Any]:
    answer = await client.get(url)
    assert answer.status == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def walked(client: TestClient, url: str | None, way: str = "next") -> list[list[int]]:
    pages = []
    while url is not None:
        page = await got(client, url)
        pages.append([item["id"] for item in page["results"]])
        url = page[way]
    return pages


# Cursors


async def test_following_next_shows_every_row_once_and_previous_leads_back(client: TestClient) -> None:
    pages = await walked(client, "/api/items")
    assert pages == [[1, 4, 7], [2, 5, 8], [3, 6]]
    first = await got(client, "/api/items")
    assert (first["count"], first["previous"]) == (None, None)
    last = await got(client, (await got(client, first["next"]))["next"])
    assert last["next"] is None
    assert await walked(client, last["previous"], "previous") == [[2, 5, 8], [1, 4, 7]]


async def test_rows_that_come_and_go_move_no_page(client: TestClient) -> None:
    first = await got(client, "/api/items")
    with client.app.db.bind():
        await Item.objects.create(name="new", rank=0)
        await Item.objects.create(name="new", rank=-1)
        await Item.objects.filter(id=7).delete()
    second = await got(client, first["next"])
    # The new row of rank 0 has a key behind the last one shown, so it is still to come.
    assert [item["id"] for item in second["results"]] == [9, 2, 5]
    back = await got(client, second["previous"])
    assert [item["id"] for item in back["results"]] == [10, 1, 4]
    assert back["previous"] is None


async def test_a_page_of_nothing_leads_back_to_the_row_it_started_from(client: TestClient) -> None:
    second = await got(client, (await got(client, "/api/items"))["next"])
    with client.app.db.bind():
        await Item.objects.filter(rank=2).delete()
    empty = await got(client, second["next"])
    assert (empty["results"], empty["next"]) == ([], None)
    back = await got(client, empty["previous"])
    assert [item["id"] for item in back["results"]] == [2, 5, 8]
    assert await walked(client, back["previous"], "previous") == [[1, 4, 7]]


async def test_links_keep_the_other_parameters(client: TestClient) -> None:
    page = await got(client, "/api/items?rank__gte=1&page_size=2&ordering=-name")
    link = urlsplit(page["next"])
    query = parse_qs(link.query)
    cursor = query.pop("cursor")
    assert query == {"rank__gte": ["1"], "page_size": ["2"], "ordering": ["-name"]}
    assert len(cursor) == 1
    shown = {item["id"] for item in page["results"]}
    assert {*itertools.chain(*await walked(client, page["next"]))} == {2, 3, 5, 6, 8} - shown


async def test_sizes_are_the_clients_up_to_a_limit(client: TestClient) -> None:
    assert [len(page) for page in await walked(client, "/api/items?page_size=99")] == [5, 3]
    assert (await client.get("/api/items?page_size=0")).status == 422


async def test_cursors_can_count_too(client: TestClient) -> None:
    page = await got(client, "/api/counted?rank__gte=1")
    assert page["count"] == 5
    assert (await got(client, page["next"]))["count"] == 5


FORGED = ["x", "A" * 40, "%F0%9F%8D%80", "A" * 5000, "AAAA====", "cursor"]


@pytest.mark.parametrize("cursor", FORGED)
async def test_what_is_no_cursor_is_a_400(client: TestClient, cursor: str) -> None:
    answer = await client.get(f"/api/items?cursor={cursor}")
    assert answer.status == 400, answer.text
    (error,) = answer.json()["errors"]
    assert (error["pointer"], error["code"]) == ("/query/cursor", "invalid_cursor")


async def test_every_changed_bit_of_a_cursor_is_noticed(client: TestClient) -> None:
    (cursor,) = parse_qs(urlsplit((await got(client, "/api/items"))["next"]).query)["cursor"]
    signed = bytearray(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    for position in range(len(signed)):
        signed[position] ^= 1
        forged = urlsafe_b64encode(bytes(signed)).rstrip(b"=").decode()
        assert (await client.get(f"/api/items?cursor={forged}")).status == 400
        signed[position] ^= 1
    assert (await client.get(f"/api/items?cursor={cursor}")).status == 200


async def test_a_cursor_is_for_the_order_it_was_made_for(client: TestClient) -> None:
    (cursor,) = parse_qs(urlsplit((await got(client, "/api/items"))["next"]).query)["cursor"]
    assert (await client.get(f"/api/items?cursor={cursor}&ordering=name")).status == 400
    assert (await client.get(f"/api/items?cursor={cursor}&ordering=-rank")).status == 400
    assert (await client.get(f"/api/items?cursor={cursor}&ordering=rank")).status == 200


async def test_a_cursor_of_another_secret_is_refused(client: TestClient) -> None:
    (cursor,) = parse_qs(urlsplit((await got(client, "/api/items"))["next"]).query)["cursor"]
    other = Settings(global_=Global(secret_key=Secret("another")))
    async with TestClient(app_of(client.app.db, other)) as stranger:
        assert (await stranger.get(f"/api/items?cursor={cursor}")).status == 400


async def test_an_app_without_a_secret_does_not_start() -> None:
    app = app_of("memory://", None)
    with pytest.raises(ValueError, match=r"ItemViewSet: a Cursors signs its cursors; give the app settings"):
        app.compile()


async def test_a_secret_of_the_class_will_do() -> None:
    class Own(ItemViewSet):
        pagination_class = type("OwnCursors", (Cursors,), {"secret": "of the class"})

    router = AutoRouter()
    router.register("/items", Own)
    async with TestClient(App(routers=[router], database="memory://")) as client:
        await client.app.db.create_tables([Item])
        assert (await got(client, "/items"))["results"] == []


ORDERS = st.lists(
    st.tuples(
        st.sampled_from(["", "-"]),
        st.sampled_from(["name", "rank", "done", "maybe", "price", "score", "grade", "added"]),
    ),
    max_size=3,
    unique_by=lambda item: item[1],
).map(lambda items: ",".join(sign + name for sign, name in items))
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "name": st.sampled_from(["", "a", "b", "B", "ä"]),
            "rank": st.sampled_from([None, -1, 0, 1]),
            "done": st.booleans(),
            "maybe": st.sampled_from([None, True, False]),
            "price": st.sampled_from([Decimal("-1.10"), Decimal("0.00"), Decimal("10.05"), Decimal("9.50")]),
            "score": st.sampled_from([0.1, -0.1, 1e300, 1 / 3]),
            "grade": st.sampled_from(Grade),
            "added": st.sampled_from(
                [datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 0, 0, 0, 1, UTC)]
            ),
        }
    ),
    max_size=9,
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=ROWS, order=ORDERS, size=st.integers(1, 4))
@pytest.mark.parametrize("engine", ["sqlite", "memory"])
async def test_cursors_go_through_any_order_as_the_whole_list_does(
    engine: str, rows: list[dict[str, Any]], order: str, size: int
) -> None:
    app = app_of(f"{engine}://")
    async with TestClient(app) as client:
        await app.db.create_tables([Item])
        with app.db.bind():
            await Item.objects.bulk_create([Item(**row) for row in rows])
            names = [name for name in order.split(",") if name] or ["rank"]
            whole = [item.id for item in await Item.objects.order_by(*names, "id")]
        url = f"/api/items?page_size={size}" + (f"&ordering={order}" if order else "")
        pages = await walked(client, url)
        assert list(itertools.chain(*pages)) == whole
        last: str | None = url
        for _ in pages[1:]:
            last = (await got(client, last or ""))["next"]
        back = await walked(client, last, "previous")
        assert list(itertools.chain(*reversed(back))) == whole


@pytest.mark.parametrize(
    ("declared", "sentence"),
    [
        ({"ordering_fields": ("extra",)}, "`extra` is no field of Item with an order of its own"),
        ({"ordering": ("nmae",)}, "`nmae` is no field of Item"),
    ],
)
def test_an_order_without_places_is_refused_at_start(declared: dict[str, Any], sentence: str) -> None:
    viewset = type("Broken", (ModelViewSet,), {"model": Item, "pagination_class": Cursors, **declared})
    with pytest.raises(ValueError, match=sentence):
        AutoRouter().register("/items", viewset)


# Offsets


async def test_offsets_tell_the_count_and_their_neighbours(client: TestClient) -> None:
    page = await got(client, "/api/offsets?offset=2&tag=a&limit=4")
    assert (page["count"], [item["id"] for item in page["results"]]) == (8, [3, 4, 5, 6])
    assert page["next"] == "http://testserver/api/offsets?tag=a&limit=4&offset=6"
    assert page["previous"] == "http://testserver/api/offsets?tag=a&limit=4&offset=0"
    assert await walked(client, "/api/offsets") == [[1, 2, 3], [4, 5, 6], [7, 8]]
    first = await got(client, "/api/offsets")
    assert first["previous"] is None
    assert len((await got(client, "/api/offsets?limit=99"))["results"]) == 5


async def test_behind_the_last_row_there_is_nothing(client: TestClient) -> None:
    for offset in (8, 100, 2**62):
        page = await got(client, f"/api/offsets?offset={offset}")
        assert (page["count"], page["results"], page["next"]) == (8, [], None)


@pytest.mark.parametrize(
    "query", ["offset=-1", f"offset={2**63}", "limit=0", "limit=-5", "limit=x", "offset="]
)
async def test_what_is_no_offset_is_a_422(client: TestClient, query: str) -> None:
    assert (await client.get(f"/api/offsets?{query}")).status == 422


# Pages that nobody counts


async def test_pages_without_a_count_know_their_neighbours(client: TestClient) -> None:
    assert await walked(client, "/api/uncounted") == [[1, 2, 3], [4, 5, 6], [7, 8]]
    page = await got(client, "/api/uncounted?page=2")
    assert (page["count"], page["previous"]) == (None, "http://testserver/api/uncounted?page=1")
    assert (await client.get("/api/uncounted?page=4")).status == 404


async def test_an_uncounted_page_is_one_select() -> None:
    seen: list[str] = []
    app = app_of("sqlite://")
    async with TestClient(app) as client:
        await app.db.create_tables([Item])
        engine: Any = app.db.engine
        fetch = engine.fetch

        async def fetched(command: str, *args: Any, **options: Any) -> Any:
            seen.append(command)
            return await fetch(command, *args, **options)

        engine.fetch = fetched
        await got(client, "/api/uncounted")
    (statement,) = seen
    assert "count(" not in statement.lower()


async def test_the_document_tells_the_parameters_and_what_is_not_counted(client: TestClient) -> None:
    document = (await client.get("/openapi.json")).json()
    OpenAPIV31SpecValidator(document).validate()

    def operation(path: str) -> Any:
        return document["paths"][path]["get"]

    assert {item["name"] for item in operation("/api/offsets")["parameters"]} == {"limit", "offset"}
    assert {"cursor", "page_size"} <= {item["name"] for item in operation("/api/items")["parameters"]}
    reference = operation("/api/items")["responses"]["200"]["content"]["application/json"]["schema"]["$ref"]
    page = document["components"]["schemas"][reference.rpartition("/")[2]]
    assert [*page["properties"]] == ["count", "next", "previous", "results"]
    assert page["properties"]["count"] == {"type": "null"}
