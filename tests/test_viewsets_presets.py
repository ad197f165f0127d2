"""Ready-made ViewSets: some of the actions, the user's own objects, many objects at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar

import msgspec
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from swift import App, Model, Request, Response, fields
from swift.models import FieldError
from swift.permissions import AllowAny, DenyAll, IsAuthenticated, IsOwner
from swift.serializers import Serializer
from swift.testing import TestClient
from swift.viewsets import (
    AutoRouter,
    BulkModelViewSet,
    ListOnlyViewSet,
    ModelViewSet,
    Output,
    RetrieveDestroyViewSet,
    RetrieveUpdateDestroyViewSet,
    RetrieveUpdateViewSet,
    UserScopedViewSet,
    ViewSet,
    action,
)


class Note(Model):
    id: int = fields.IDField()
    text: str = fields.StringField(max_length=20, unique=True)
    pinned: bool = fields.BoolField(default=False)
    user_id: int = fields.IntegerField()


class User(msgspec.Struct):
    id: int | None


async def by_header(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    name = request.headers.get("x-user")
    request.user = None if name is None else User(None if name == "nameless" else int(name))
    return await call_next(request)


class MyNotes(UserScopedViewSet):
    model = Note
    filter_fields = ("text__icontains",)


class OpenNotes(MyNotes):
    permission_classes: ClassVar[Sequence[Any] | None] = (AllowAny,)


class BulkNotes(BulkModelViewSet):
    model = Note
    bulk_max_items = 3

    def validate_text(self, text: str) -> str:
        if text.isupper():
            raise ValueError("Do not shout.")
        return text


def app_of(viewset: type[ViewSet], database: Any = "sqlite://") -> App:
    router = AutoRouter()
    router.register("/notes", viewset)
    return App(routers=[router], database=database, middleware=[by_header])


@pytest.fixture(params=["sqlite", "memory"])
def database(request: pytest.FixtureRequest) -> str:
    return f"{request.param}://"


class Client(TestClient):
    async def __aenter__(self) -> Client:
        await super().__aenter__()
        await self.app.db.create_tables([Note])
        return self

    async def seed(self, *texts: str, user_id: int = 1) -> None:
        with self.app.db.bind():
            await Note.objects.bulk_create([Note(text=text, user_id=user_id) for text in texts])

    async def texts(self) -> list[str]:
        with self.app.db.bind():
            return [note.text for note in await Note.objects.order_by("id")]


ANN, BEN = {"x-user": "1"}, {"x-user": "2"}


@pytest.mark.parametrize(
    ("preset", "collection", "detail"),
    [
        (ListOnlyViewSet, "GET, HEAD, OPTIONS", None),
        (RetrieveUpdateViewSet, None, "GET, HEAD, OPTIONS, PATCH, PUT"),
        (RetrieveDestroyViewSet, None, "DELETE, GET, HEAD, OPTIONS"),
        (RetrieveUpdateDestroyViewSet, None, "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"),
    ],
)
async def test_a_preset_serves_its_actions(
    preset: type[ModelViewSet], collection: str | None, detail: str | None
) -> None:
    async with TestClient(app_of(type("Notes", (preset,), {"model": Note}))) as client:
        for path, allowed in (("/notes", collection), ("/notes/1", detail)):
            answer = await client.request("TRACE", path)
            assert answer.status == (404 if allowed is None else 405)
            assert answer.headers.get("allow") == allowed


# The user's own


async def test_everybody_sees_their_own(database: str) -> None:
    async with Client(app_of(MyNotes, database)) as client:
        await client.seed("a", "b", user_id=1)
        await client.seed("c", user_id=2)
        mine = (await client.get("/notes", headers=ANN)).json()
        assert (mine["count"], [note["text"] for note in mine["results"]]) == (2, ["a", "b"])
        found = (await client.get("/notes?text__icontains=c", headers=BEN)).json()
        assert [note["text"] for note in found["results"]] == ["c"]
        assert (await client.get("/notes?text__icontains=c", headers=ANN)).json()["results"] == []
        for method in ("GET", "PUT", "PATCH", "DELETE"):
            body: dict[str, Any] = {"json": {"text": "x"}} if method in ("PUT", "PATCH") else {}
            answer = await client.request(method, "/notes/3", headers=ANN, **body)
            assert answer.status == 404
        assert await client.texts() == ["a", "b", "c"]


async def test_what_is_created_is_the_creators_and_stays_so(database: str) -> None:
    async with Client(app_of(MyNotes, database)) as client:
        made = await client.post("/notes", json={"text": "a", "user_id": 2}, headers=ANN)
        assert made.json()["user_id"] == 1
        for method in ("PUT", "PATCH"):
            changed = await client.request(method, "/notes/1", json={"text": "b", "user_id": 2}, headers=ANN)
            assert (changed.json()["text"], changed.json()["user_id"]) == ("b", 1)
        document = (await client.get("/openapi.json")).json()
        for name in ("NoteInput", "NotePatch"):
            assert "user_id" not in document["components"]["schemas"][name]["properties"]


@pytest.mark.parametrize("viewset", [MyNotes, OpenNotes])
@pytest.mark.parametrize("headers", [{}, {"x-user": "nameless"}])
async def test_who_is_nobody_sees_nothing_whatever_the_permissions(
    viewset: type[ViewSet], headers: dict[str, str]
) -> None:
    async with Client(app_of(viewset)) as client:
        await client.seed("a")
        assert (await client.get("/notes", headers=headers)).status == 401
        assert (await client.get("/notes/1", headers=headers)).status == 401
        assert (await client.post("/notes", json={"text": "b"}, headers=headers)).status == 401


async def test_an_input_schema_cannot_give_an_object_away() -> None:
    class Give(msgspec.Struct):
        text: str
        user_id: int

    class Notes(MyNotes):
        input_schema = Give

    async with Client(app_of(Notes)) as client:
        made = await client.post("/notes", json={"text": "a", "user_id": 2}, headers=ANN)
        assert made.json()["user_id"] == 1
        assert (await client.patch("/notes/1", json={"user_id": 2}, headers=ANN)).json()["user_id"] == 1


def test_a_scope_that_the_model_does_not_have_is_refused() -> None:
    with pytest.raises(FieldError, match="Note has no field `owner_id`"):
        type("Broken", (UserScopedViewSet,), {"model": Note, "scope_field": "owner_id"})


# Many at once


async def test_many_are_created_changed_and_destroyed(database: str) -> None:
    async with Client(app_of(BulkNotes, database)) as client:
        made = await client.post(
            "/notes/bulk-create", json=[{"text": "a", "user_id": 1}, {"text": "b", "user_id": 2}]
        )
        assert made.status == 201, made.text
        assert [(note["id"], note["text"]) for note in made.json()] == [(1, "a"), (2, "b")]
        changed = await client.patch(
            "/notes/bulk-update", json=[{"id": 2, "text": "b!"}, {"id": 1, "pinned": True}]
        )
        assert changed.json() == [
            {"id": 2, "text": "b!", "pinned": False, "user_id": 2},
            {"id": 1, "text": "a", "pinned": True, "user_id": 1},
        ]
        gone = await client.post("/notes/bulk-destroy", json={"ids": [1, 2]})
        assert (gone.status, gone.content) == (204, b"")
        assert await client.texts() == []


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "faults"),
    [
        ("POST", "create", [{"text": "new", "user_id": 1}, {"text": "LOUD", "user_id": 1}], 422, ["/body/1/text"]),
        ("POST", "create", [{"text": "new", "user_id": 1}, {"text": "new", "user_id": 1}], 409, ["/body/1"]),
        ("POST", "create", [{"text": "a\0", "user_id": 1}, {"user_id": "x"}], 422, ["/body/1/user_id", "/body/1/text"]),
        ("POST", "create", [{"text": "a\0", "user_id": 1}], 422, ["/body/0/text"]),
        ("POST", "create", [], 422, ["/body"]),
        ("POST", "create", [{"text": f"{n}", "user_id": 1} for n in range(4)], 422, ["/body"]),
        ("PATCH", "update", [{"id": 1, "text": "new"}, {"id": 9, "text": "x"}], 404, ["/body/1"]),
        ("PATCH", "update", [{"text": "new"}], 422, ["/body/0/id"]),
        ("PATCH", "update", [{"id": 1, "text": "b"}], 409, ["/body/0"]),
        ("POST", "destroy", {"ids": [1, 9]}, 404, ["/body/ids/1"]),
        ("POST", "destroy", {"ids": ["x"]}, 422, ["/body/ids/0"]),
        ("POST", "destroy", {"ids": []}, 422, ["/body/ids"]),
    ],
)  # fmt: skip
async def test_one_fault_undoes_all_and_is_told_at_its_place(
    database: str, method: str, path: str, body: Any, status: int, faults: list[str]
) -> None:
    async with Client(app_of(BulkNotes, database)) as client:
        await client.seed("a", "b")
        answer = await client.request(method, f"/notes/bulk-{path}", json=body)
        assert answer.status == status, answer.text
        assert [error["pointer"] for error in answer.json()["errors"]] == faults
        assert await client.texts() == ["a", "b"]


async def test_who_may_not_create_one_may_not_create_many() -> None:
    class Notes(BulkNotes):
        permission_classes: ClassVar[Sequence[Any] | None] = (AllowAny,)
        permission_classes_by_action: ClassVar[dict[str, Sequence[Any] | None]] = {
            "create": (DenyAll,),
            "partial_update": (IsAuthenticated & IsOwner,),
            "destroy": (DenyAll,),
        }

    async with Client(app_of(Notes)) as client:
        await client.seed("a", user_id=1)
        await client.seed("b", user_id=2)
        assert (
            await client.post("/notes/bulk-create", json=[{"text": "x", "user_id": 1}], headers=ANN)
        ).status == 403
        assert (await client.post("/notes/bulk-destroy", json={"ids": [1]}, headers=ANN)).status == 403
        both = [{"id": 1, "pinned": True}, {"id": 2, "pinned": True}]
        refused = await client.patch("/notes/bulk-update", json=both, headers=ANN)
        assert (refused.status, refused.json()["errors"][0]["pointer"]) == (403, "/body/1")
        assert (await client.patch("/notes/bulk-update", json=both[:1], headers=ANN)).status == 200
        assert (await client.get("/notes/2")).json()["pinned"] is False


async def test_each_of_many_has_hooks_and_a_serializer_of_its_own() -> None:
    class NoteSerializer(Serializer):
        model = Note

        def validate(self, values: dict[str, Any]) -> dict[str, Any]:
            was = None if self.instance is None else self.instance.text
            return {**values, "text": f"{was}>{values['text']}"}

    class Notes(BulkNotes):
        serializer_class = NoteSerializer

    async with Client(app_of(Notes)) as client:
        await client.post(
            "/notes/bulk-create", json=[{"text": "a", "user_id": 1}, {"text": "b", "user_id": 1}]
        )
        await client.patch("/notes/bulk-update", json=[{"id": 1, "text": "c"}, {"id": 2, "text": "d"}])
        assert await client.texts() == ["None>a>c", "None>b>d"]


async def test_bulk_actions_are_documented() -> None:
    async with Client(app_of(BulkNotes)) as client:
        document = (await client.get("/openapi.json")).json()
    OpenAPIV31SpecValidator(document).validate()
    schemas = document["components"]["schemas"]
    create = document["paths"]["/notes/bulk-create"]["post"]
    body = create["requestBody"]["content"]["application/json"]["schema"]
    assert body == {"type": "array", "items": {"$ref": "#/components/schemas/NoteInput"}}
    shown = create["responses"]["201"]["content"]["application/json"]["schema"]
    assert shown == {"type": "array", "items": {"$ref": "#/components/schemas/Note"}}
    update = document["paths"]["/notes/bulk-update"]["patch"]
    item = update["requestBody"]["content"]["application/json"]["schema"]["items"]["$ref"]
    assert schemas[item.rpartition("/")[2]]["required"] == ["id"]
    assert {"404", "409", "422"} <= update["responses"].keys()
    assert schemas["Keys"]["properties"]["ids"]["items"] == {"type": "integer"}


# Placeholders inside other types


async def test_a_placeholder_inside_a_type_is_filled_in() -> None:
    class Notes(ModelViewSet):
        model = Note

        @action(detail=False)
        async def newest(self) -> Output | None:
            found = await self.get_queryset().order_by("-id").first()
            return None if found is None else self.show(found)

        @action(detail=False)
        async def by_text(self) -> dict[str, list[Output]]:
            return {note.text: [self.show(note)] async for note in self.get_queryset()}

    async with Client(app_of(Notes)) as client:
        assert (await client.get("/notes/newest")).status in (200, 204)
        await client.seed("a")
        assert (await client.get("/notes/by-text")).json()["a"][0]["id"] == 1
        document = (await client.get("/openapi.json")).json()

    def shown(path: str) -> Any:
        return document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]

    reference = {"$ref": "#/components/schemas/Note"}
    assert shown("/notes/newest") == {"anyOf": [reference, {"type": "null"}]}
    assert shown("/notes/by-text")["additionalProperties"] == {"type": "array", "items": reference}


async def test_an_action_that_answers_the_model_is_documented_as_the_others() -> None:
    class Notes(ModelViewSet):
        model = Note

        @action(detail=True, methods=["POST"])
        async def pin(self) -> Note:
            note: Note = await self.get_object()
            note.pinned = True
            return await note.save(only=["pinned"])

        @action(detail=False)
        async def pinned(self) -> list[Note]:
            return await self.get_queryset().filter(pinned=True)

    async with Client(app_of(Notes)) as client:
        await client.seed("a")
        assert (await client.post("/notes/1/pin")).json()["pinned"] is True
        assert [note["id"] for note in (await client.get("/notes/pinned")).json()] == [1]
        document = (await client.get("/openapi.json")).json()
    OpenAPIV31SpecValidator(document).validate()
    assert {name for name in document["components"]["schemas"] if "Note" in name} == {
        "Note", "Page_Note", "NoteInput", "NotePatch",
    }  # fmt: skip
    assert "required" in document["components"]["schemas"]["Note"]


async def test_a_model_that_a_function_answers_has_no_default_that_its_types_forbid() -> None:
    app = App(database="memory://")

    @app.get("/note")
    async def note() -> Note:
        return Note(id=1, text="a", user_id=1)

    async with TestClient(app) as client:
        document = (await client.get("/openapi.json")).json()
    OpenAPIV31SpecValidator(document).validate()
    assert "default" not in document["components"]["schemas"]["Note"]["properties"]["id"]


async def test_read_only_fields_of_a_viewset_are_not_taken() -> None:
    class Notes(ModelViewSet):
        model = Note
        read_only_fields = ("pinned",)

    async with Client(app_of(Notes)) as client:
        made = await client.post("/notes", json={"text": "a", "user_id": 1, "pinned": True})
        assert made.json()["pinned"] is False
