"""What is known to go wrong in Core Framework, and does not here: each test names the fault."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, ClassVar

import msgspec
import pytest

from swift import App, Model, Request, Response, Schema, fields
from swift.engines import Database
from swift.models import F, Manager, QuerySet
from swift.permissions import AllowAny, DenyAll, IsAdmin, IsAuthenticated, IsOwner
from swift.testing import TestClient
from swift.viewsets import (
    AutoRouter,
    BulkModelViewSet,
    ModelViewSet,
    Output,
    ReadOnlyModelViewSet,
    ViewSet,
    action,
)


class Doc(Model):
    id: int = fields.IDField()
    title: str = fields.StringField(max_length=20, unique=True)
    size: int = fields.IntegerField(default=1)
    owner_id: int = fields.IntegerField(default=1)
    deleted: bool = fields.BoolField(default=False, write_only=True)


class Live(Manager[QuerySet[Any]]):
    def start(self, model: type[Any]) -> QuerySet[Any]:
        return super().start(model).filter(deleted=False)


class SoftDoc(Model):
    id: int = fields.IDField()
    title: str = fields.StringField(max_length=20, unique=True)
    deleted: bool = fields.BoolField(default=False)

    objects: ClassVar[Any] = Live()
    everything: ClassVar[Any] = Manager()


class User(msgspec.Struct):
    id: int
    is_admin: bool = False
    is_active: bool = True


USERS = {"ann": User(1), "ben": User(2), "root": User(9, is_admin=True), "gone": User(1, is_active=False)}


async def by_header(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    request.user = USERS.get(request.headers.get("x-user", ""))
    return await call_next(request)


def app_of(viewset: type[ViewSet], database: str = "sqlite://") -> App:
    router = AutoRouter()
    router.register("/docs", viewset)
    return App(
        routers=[router],
        database=database,
        middleware=[by_header],
        docs_url=None,
        openapi_url="/openapi.json",
    )


class Client(TestClient):
    async def __aenter__(self) -> Client:
        await super().__aenter__()
        await self.app.db.create_tables([Doc, SoftDoc])
        with self.app.db.bind():
            await Doc.objects.bulk_create([Doc(title=f"d{n}", size=n, owner_id=1 + n % 2) for n in range(4)])
        return self


def viewset(**attributes: Any) -> type[ModelViewSet]:
    return type("Docs", (ModelViewSet,), {"model": Doc, **attributes})


async def status(viewset: type[ViewSet], method: str, path: str, user: str = "", **options: Any) -> int:
    if method in ("PUT", "PATCH", "POST"):
        options.setdefault("json", {"title": "new"})
    async with Client(app_of(viewset)) as client:
        return (await client.request(method, path, headers={"x-user": user}, **options)).status


# S: security


class Everything(ModelViewSet):
    model = Doc

    @action(detail=True, methods=["POST"])
    async def touch(self) -> Output:
        return self.show(await self.get_object())

    @action(detail=False)
    async def summary(self) -> int:
        return await self.get_queryset().count()


REQUESTS = [
    ("GET", "/docs"), ("POST", "/docs"), ("GET", "/docs/1"), ("PUT", "/docs/1"), ("PATCH", "/docs/1"),
    ("DELETE", "/docs/1"), ("POST", "/docs/1/touch"), ("GET", "/docs/summary"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), REQUESTS)
async def test_avoids_that_custom_actions_ignore_the_viewsets_permissions_s1(method: str, path: str) -> None:
    class Closed(Everything):
        permission_classes: ClassVar[Sequence[Any] | None] = (DenyAll,)

    assert await status(Closed, method, path, "ann") == 403


async def test_avoids_that_permissions_by_action_do_not_reach_custom_actions_s1() -> None:
    class Some(Everything):
        permission_classes_by_action: ClassVar[Mapping[str, Sequence[Any] | None]] = {"touch": (DenyAll,)}

    assert await status(Some, "POST", "/docs/1/touch", "ann") == 403
    assert await status(Some, "GET", "/docs/summary") == 200


@pytest.mark.parametrize(
    "composition", [IsAuthenticated() & (IsOwner() | IsAdmin()), IsAuthenticated & (IsOwner | IsAdmin)]
)
@pytest.mark.parametrize(
    ("user", "expected"), [("", 401), ("ann", 403), ("ben", 200), ("root", 200), ("gone", 401)]
)
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/docs/2"), ("PUT", "/docs/2"), ("PATCH", "/docs/2"), ("POST", "/docs/2/touch")],
)
async def test_avoids_that_or_lets_a_stranger_through_s2(
    composition: Any, user: str, expected: int, method: str, path: str
) -> None:
    class Owned(Everything):
        permission_classes: ClassVar[Sequence[Any] | None] = (composition,)

    assert await status(Owned, method, path, user) == expected


async def test_avoids_that_not_inverts_an_answer_that_was_never_given_s2() -> None:
    docs = viewset(permission_classes=(IsAuthenticated & ~IsOwner,))
    assert await status(docs, "GET", "/docs", "ann") == 200
    assert await status(docs, "GET", "/docs/1", "ann") == 403
    assert await status(docs, "GET", "/docs/2", "ann") == 200


async def test_avoids_that_instances_and_compositions_are_type_errors_s3() -> None:
    docs = viewset(permission_classes=[IsOwner("owner_id") | IsAdmin(), IsAuthenticated])
    assert await status(docs, "GET", "/docs/1", "ann") == 200


async def test_avoids_that_a_composition_answers_403_to_nobody_s3() -> None:
    assert await status(viewset(permission_classes=[IsAuthenticated & IsOwner]), "GET", "/docs/1") == 401


async def test_avoids_that_patch_has_the_permissions_of_put_s4() -> None:
    docs = viewset(permission_classes_by_action={"partial_update": [DenyAll]})
    assert await status(docs, "PATCH", "/docs/1", "ann") == 403
    assert await status(docs, "PUT", "/docs/1", "ann") == 200
    docs = viewset(permission_classes_by_action={"update": [DenyAll]})
    assert await status(docs, "PATCH", "/docs/1", "ann") == 200


async def test_avoids_that_a_deactivated_user_goes_on_s5() -> None:
    assert await status(viewset(permission_classes=[IsAuthenticated]), "GET", "/docs", "gone") == 401


async def test_avoids_that_object_permissions_wait_for_whoever_remembers_them() -> None:
    class Owned(Everything):
        permission_classes: ClassVar[Sequence[Any] | None] = (IsAuthenticated, IsOwner)

    for method, path in (("GET", "/docs/2"), ("DELETE", "/docs/2"), ("POST", "/docs/2/touch")):
        assert await status(Owned, method, path, "ann") == 403


@pytest.mark.parametrize("query", ["page_size=-1", "page=0", "page=-1", "page_size=0"])
async def test_avoids_that_a_page_of_minus_one_is_the_whole_table_s12(query: str) -> None:
    assert await status(viewset(), "GET", f"/docs?{query}") == 422


def test_avoids_that_a_typing_error_in_permissions_opens_an_action() -> None:
    with pytest.raises(
        ValueError, match="permission_classes_by_action names destory, which it does not serve"
    ):
        AutoRouter().register("/docs", viewset(permission_classes_by_action={"destory": [DenyAll]}))


# C: correctness


class Searching(ModelViewSet):
    model = Doc
    search_fields = ("title",)
    filter_fields = ("size", "size__gte")
    ordering_fields = ("size",)
    search_param = "q"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["d0", "d1", "d2", "d3"]),
        ("q=D1", ["d1"]),
        ("q=%25", []),
        ("q=_", []),
        ("size=2", ["d2"]),
        ("size__gte=2&ordering=-size", ["d3", "d2"]),
    ],
)
@pytest.mark.parametrize("database", ["sqlite://", "memory://"])
async def test_avoids_that_search_is_a_500_and_filters_compare_texts_c5(
    database: str, query: str, expected: list[str]
) -> None:
    async with Client(app_of(Searching, database)) as client:
        answer = await client.get(f"/docs?{query}")
        assert [doc["title"] for doc in answer.json()["results"]] == expected


class Bulk(BulkModelViewSet):
    model = Doc


async def test_avoids_that_bulk_actions_never_worked_c6() -> None:
    async with Client(app_of(Bulk)) as client:
        made = await client.post("/docs/bulk-create", json=[{"title": "x"}, {"title": "y"}])
        assert [doc["id"] for doc in made.json()] == [5, 6]
        changed = await client.patch("/docs/bulk-update", json=[{"id": 5, "size": 7}])
        assert changed.json()[0]["size"] == 7
        assert (await client.post("/docs/bulk-destroy", json={"ids": [5, 6]})).status == 204
        assert (await client.get("/docs")).json()["count"] == 4


async def test_avoids_that_an_action_must_answer_the_viewsets_schema_c7() -> None:
    class Docs(ModelViewSet):
        model = Doc

        @action(detail=True, methods=["POST"])
        async def publish(self) -> dict[str, str]:
            return {"message": "published"}

    async with Client(app_of(Docs)) as client:
        assert (await client.post("/docs/1/publish")).json() == {"message": "published"}


class SoftDocs(ModelViewSet):
    model = SoftDoc

    async def perform_destroy(self, obj: Any) -> None:
        obj.deleted = True
        await obj.save(only=["deleted"])


@pytest.mark.parametrize("database", ["sqlite://", "memory://"])
async def test_avoids_that_a_manager_of_ones_own_is_lost_c8(database: str) -> None:
    async with Client(app_of(SoftDocs, database)) as client:
        for title in ("a", "b"):
            await client.post("/docs", json={"title": title})
        assert (await client.delete("/docs/1")).status == 204
        assert (await client.get("/docs/1")).status == 404
        assert [doc["id"] for doc in (await client.get("/docs")).json()["results"]] == [2]
        with client.app.db.bind():
            assert await SoftDoc.objects.count() == 1
            assert not await SoftDoc.objects.filter(id=1).exists()
            assert await SoftDoc.objects.update(title="c") == 1
            assert await SoftDoc.everything.count() == 2


async def test_avoids_that_a_unique_value_is_looked_for_among_visible_rows_c15() -> None:
    async with Client(app_of(SoftDocs)) as client:
        await client.post("/docs", json={"title": "a"})
        await client.delete("/docs/1")
        assert (await client.post("/docs", json={"title": "a"})).status == 409


async def test_avoids_that_two_may_take_one_unique_value_at_once_c15() -> None:
    async with Client(app_of(viewset())) as client:
        answers = await asyncio.gather(*(client.post("/docs", json={"title": "same"}) for _ in range(12)))
        assert sorted(answer.status for answer in answers) == [201] + [409] * 11
        refused = next(answer for answer in answers if answer.status == 409)
        assert refused.json()["errors"] == [
            {"pointer": "/body/title", "code": "unique", "detail": "Another object has this value"}
        ]


async def test_avoids_that_request_and_action_are_none_c10() -> None:
    class Docs(ModelViewSet):
        model = Doc

        def get_queryset(self) -> Any:
            assert self.request.headers["x-user"] == "ann"
            return Doc.objects.filter(size__gte=3 if self.action == "list" else 0)

    async with Client(app_of(Docs)) as client:
        assert (await client.get("/docs", headers={"x-user": "ann"})).json()["count"] == 1
        assert (await client.get("/docs/1", headers={"x-user": "ann"})).status == 200


async def test_avoids_that_a_viewset_with_only_a_model_is_a_500_c11() -> None:
    for method, path, expected in (
        ("GET", "/docs", 200),
        ("POST", "/docs", 201),
        ("GET", "/docs/1", 200),
        ("PUT", "/docs/1", 200),
        ("PATCH", "/docs/1", 200),
        ("DELETE", "/docs/1", 204),
    ):
        assert await status(viewset(), method, path) == expected


async def test_avoids_that_what_the_model_hides_is_shown_c16() -> None:
    async with Client(app_of(viewset())) as client:
        assert "deleted" not in (await client.get("/docs/1")).json()
        document = (await client.get("/openapi.json")).json()
        assert "deleted" not in document["components"]["schemas"]["Doc"]["properties"]


async def test_avoids_that_the_frameworks_own_exceptions_are_500s_c12() -> None:
    async def missing(self: Any) -> Any:
        return await Doc.objects.get(id=99)

    docs = viewset(missing=action(detail=False)(missing))
    assert await status(docs, "GET", "/docs/missing") == 404


async def test_avoids_that_exclude_of_two_is_either_c14() -> None:
    async with Database.from_url("sqlite://") as db:
        await db.create_tables([Doc])
        await Doc.objects.bulk_create([Doc(title=f"d{n}", size=n) for n in range(3)])
        found = await Doc.objects.exclude(size=1, title="d2").order_by("id")
        assert [doc.size for doc in found] == [0, 1, 2]
        assert await Doc.objects.filter(size=F("id") - 1).count() == 3


async def test_avoids_that_a_bad_key_is_another_shape_of_error() -> None:
    async with Client(app_of(viewset())) as client:
        for path in ("/docs/x", "/docs/99", f"/docs/{10**30}"):
            answer = await client.get(path)
            assert (answer.status, answer.headers["content-type"]) == (404, "application/problem+json")


# Lists, documents and schemas


async def test_avoids_that_rows_have_no_stable_order_p3() -> None:
    class Docs(ModelViewSet):
        model = Doc
        ordering = ("owner_id",)

    async with Client(app_of(Docs)) as client:
        shown = [
            doc["id"]
            for page in (1, 2)
            for doc in (await client.get(f"/docs?page_size=2&page={page}")).json()["results"]
        ]
        assert shown == [1, 3, 2, 4]


async def test_avoids_that_deleting_answers_200_with_a_sentence_d7() -> None:
    async with Client(app_of(viewset())) as client:
        answer = await client.delete("/docs/1")
        assert (answer.status, answer.content) == (204, b"")


async def test_avoids_that_errors_have_five_shapes_d7() -> None:
    async with Client(app_of(viewset(permission_classes_by_action={"destroy": [DenyAll]}))) as client:
        answers = [
            await client.post("/docs", json={"title": 5}),
            await client.post("/docs", content=b"{", headers={"content-type": "application/json"}),
            await client.post("/docs", json={"title": "d1"}),
            await client.get("/docs/99"),
            await client.get("/docs?page=0"),
            await client.delete("/docs/1", headers={"x-user": "ann"}),
            await client.request("TRACE", "/docs"),
        ]
    assert [answer.status for answer in answers] == [422, 400, 409, 404, 422, 403, 405]
    for answer in answers:
        assert answer.headers["content-type"] == "application/problem+json"
        assert {"type", "title", "status"} <= answer.json().keys()


async def test_avoids_that_actions_which_answer_405_are_documented() -> None:
    docs = type("Docs", (ReadOnlyModelViewSet,), {"model": Doc})
    async with Client(app_of(docs)) as client:
        document = (await client.get("/openapi.json")).json()
        assert {method for path in document["paths"].values() for method in path} == {"get"}


async def test_avoids_that_a_collection_redirects_to_its_slash() -> None:
    assert await status(viewset(), "GET", "/docs") == 200


async def test_avoids_that_a_schema_that_does_not_fit_its_model_starts() -> None:
    class Untitled(Schema):
        size: int

    with pytest.raises(ValueError, match="Untitled has no field `title`, which a new Doc needs"):
        AutoRouter().register("/docs", viewset(input_schema=Untitled))


async def test_avoids_that_a_schema_per_action_cannot_be_chosen() -> None:
    class Brief(Schema):
        title: str

    async with Client(app_of(viewset(output_schema_by_action={"list": Brief}))) as client:
        assert (await client.get("/docs")).json()["results"][0] == {"title": "d0"}
        assert (await client.get("/docs/1")).json()["size"] == 0


async def test_avoids_that_the_documented_hooks_are_not_there() -> None:
    for name in (
        "perform_create",
        "perform_update",
        "perform_destroy",
        "validate",
        "after_create",
        "before_destroy",
    ):
        assert callable(getattr(ModelViewSet, name))


# P: queries


@pytest.fixture
async def trips() -> AsyncIterator[Callable[..., Awaitable[list[str]]]]:
    async with Client(app_of(viewset(permission_classes=[AllowAny]))) as client:
        engine: Any = client.app.db.engine
        seen: list[str] = []
        for name in ("fetch", "fetch_all", "fetch_json", "execute", "execute_many"):
            run = getattr(engine, name)

            async def counted(*args: Any, run: Any = run, **options: Any) -> Any:
                seen.append(run.__name__)
                return await run(*args, **options)

            setattr(engine, name, counted)

        async def of(method: str, path: str, **options: Any) -> list[str]:
            seen.clear()
            assert (await client.request(method, path, **options)).status < 300
            return seen

        yield of


async def test_avoids_that_a_request_is_eight_statements_p1_p4(trips: Any) -> None:
    assert await trips("GET", "/docs") == ["fetch_all"]
    assert len(await trips("GET", "/docs/1")) == 1
    assert await trips("POST", "/docs", json={"title": "x"}) == ["fetch"]
    assert len(await trips("PATCH", "/docs/1", json={"size": 5})) == 2
    assert len(await trips("DELETE", "/docs/1")) == 2
