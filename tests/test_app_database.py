"""An App's database: opened and closed with it, bound for its requests, its errors told as problems."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from swift import App, Model, Request, Response, TextResponse, fields
from swift.engines import (
    Check,
    Database,
    IntegrityError,
    InvalidValue,
    NoDatabase,
    OperationalError,
    current_database,
)
from swift.models import DoesNotExist, Unique
from swift.testing import TestClient
from swift.viewsets import AutoRouter, ModelViewSet


class Owner(Model):
    id: int = fields.IDField()
    name: str = fields.StringField(unique=True, max_length=20)


class Thing(Model):
    id: int = fields.IDField()
    label: str = fields.StringField(db_column="lbl")
    place: str = fields.StringField()
    hidden: str = fields.StringField(default="h", read_only=True, unique=True)
    size: int = fields.IntegerField(default=1)
    owner_id: int | None = fields.ForeignKey(Owner, null=True)

    class Meta:
        constraints = (Unique("label", "place"), Check("size > 0"))


class Renamed(Model, rename="camel"):
    id: int = fields.IDField()
    first_name: str = fields.StringField(unique=True)


MODELS = (Owner, Thing, Renamed)


class ThingViewSet(ModelViewSet):
    model = Thing


class RenamedViewSet(ModelViewSet):
    model = Renamed


class OwnerViewSet(ModelViewSet):
    model = Owner


def make_app(database: Any = "sqlite://", **options: Any) -> App:
    router = AutoRouter()
    router.register("/things", ThingViewSet)
    router.register("/renamed", RenamedViewSet)
    router.register("/owners", OwnerViewSet)
    app = App(routers=[router], database=database, **options)

    @app.get("/names")
    async def names() -> list[str]:
        return [owner.name async for owner in Owner.objects.order_by("name")]

    @app.post("/raw/{name}")
    async def raw(name: str) -> str:
        return (await Owner.objects.create(name=name)).name

    @app.get("/first")
    async def first() -> str:
        return (await Owner.objects.get(name="nobody")).name

    @app.get("/search")
    async def search(name: str) -> int:
        return await Owner.objects.filter(name=name).count()

    return app


@asynccontextmanager
async def serving(app: App, **options: Any) -> AsyncIterator[TestClient]:
    async with TestClient(app, **options) as client:
        await app.db.create_tables(MODELS)
        yield client


# Life


async def test_a_database_is_opened_at_the_start_and_closed_at_the_end(tmp_path: Path) -> None:
    app = make_app(f"sqlite:///{tmp_path}/app.db")
    assert not (tmp_path / "app.db").exists()
    async with serving(app) as client:
        assert (tmp_path / "app.db").exists()
        assert (await client.post("/raw/ann")).text == "ann"
    with app.db.bind(), pytest.raises(OperationalError, match="not connected"):
        await Owner.objects.count()
    async with TestClient(app) as client:
        assert (await client.get("/names")).json() == ["ann"]


async def test_a_relative_path_lies_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with serving(make_app("sqlite:///data/app.db")):
        pass
    assert (tmp_path / "data" / "app.db").exists()


async def test_a_database_object_may_be_given() -> None:
    database = Database.from_url("memory://")
    app = make_app(database)
    assert app.db is database
    async with serving(app) as client:
        assert (await client.post("/raw/ann")).text == "ann"


async def test_the_lifespan_and_the_first_request_find_the_database() -> None:
    @asynccontextmanager
    async def lifespan(app: App) -> AsyncIterator[None]:
        await app.db.create_tables(MODELS)
        await Owner.objects.create(name="seed")
        yield
        assert await Owner.objects.count() == 1

    async with TestClient(make_app(lifespan=lifespan)) as client:
        assert (await client.get("/names")).json() == ["seed"]

    app = make_app(lifespan=lifespan)
    client = TestClient(app, lifespan="off")
    assert (await client.get("/names")).json() == ["seed"]
    await asyncio.create_task(app.stop())
    assert current_database.get() is None


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("redis://localhost", "No engine serves `redis://`; use postgresql://, sqlite:// or memory://."),
        ("app.db", "No engine serves `app.db://`"),
        ("sqlite://app.db", "names a host; a SQLite file is written `sqlite:///file.db`"),
        ("sqlite:///app.db?cache=1", "SQLite has no option `cache`"),
    ],
)
def test_a_url_that_names_no_database_is_refused(url: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        App(database=url)


async def test_a_database_that_cannot_be_opened_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "app.db").write_bytes(b"this is no database, whatever its name says" * 100)
    with pytest.raises(OperationalError):
        await make_app(f"sqlite:///{tmp_path}/app.db").start()


def test_an_app_without_a_database_loads_nothing_of_it() -> None:
    code = (
        "import sys; from swift import App; app = App(); app.compile(); "
        "print([name for name in sys.modules if name.startswith(('swift.engines', 'swift.models', 'sqlalchemy'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_app_without_a_database_says_so() -> None:
    with pytest.raises(RuntimeError, match="This app has no database; give it one"):
        _ = App().db


# Which database a query finds


async def test_two_apps_in_one_process_keep_to_their_own() -> None:
    async with serving(make_app()) as one, serving(make_app("memory://")) as other:
        await asyncio.gather(one.post("/raw/ann"), other.post("/raw/bob"), one.post("/raw/eve"))
        for _ in range(3):
            first, second = await asyncio.gather(one.get("/names"), other.get("/names"))
            assert first.json() == ["ann", "eve"]
            assert second.json() == ["bob"]


async def test_a_request_leaves_no_binding_behind() -> None:
    async with serving(make_app()) as client:
        await client.get("/names")
        with pytest.raises(NoDatabase):
            await Owner.objects.count()


async def test_functions_in_threads_and_work_after_the_response_find_it() -> None:
    app = make_app()
    after: list[int] = []

    async def later() -> None:
        after.append(await Owner.objects.count())

    @app.get("/threaded")
    def threaded(request: Request) -> bool:
        request.after_response(later)
        return current_database.get() is app.db

    async with serving(app) as client:
        await client.post("/raw/ann")
        assert (await client.get("/threaded")).json() is True
    assert after == [1]


async def test_middleware_finds_it_too() -> None:
    async def count(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await call_next(request)
        response.headers["x-owners"] = str(await Owner.objects.count())
        return response

    async with serving(make_app(middleware=[count])) as client:
        assert (await client.post("/raw/ann")).headers["x-owners"] == "1"
        assert (await client.get("/nowhere")).headers["x-owners"] == "1"


# Constraints


async def test_a_function_tells_a_conflict_by_the_parameter_that_was_sent() -> None:
    async with serving(make_app()) as client:
        await client.post("/raw/ann")
        answer = await client.post("/raw/ann")
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json() == {
            "type": "about:blank",
            "title": "Conflict",
            "status": 409,
            "detail": "An object with the same `name` exists.",
            "errors": [
                {"pointer": "/path/name", "code": "unique", "detail": "Another object has this value"}
            ],
        }


async def test_a_function_tells_no_more_than_that_when_nothing_was_sent_by_that_name() -> None:
    app = make_app()

    @app.post("/again")
    async def again() -> int:
        return (await Owner.objects.create(name="always")).id

    async with serving(app) as client:
        await client.post("/again")
        answer = await client.post("/again")
        assert answer.status == 409
        assert answer.json()["detail"] == "Such an object exists."
        assert "errors" not in answer.json()
        assert "name" not in answer.text


async def test_a_conflict_of_several_fields_names_them_all() -> None:
    async with serving(make_app()) as client:
        body = {"label": "lamp", "place": "hall"}
        assert (await client.post("/things", json=body)).status == 201
        with client.app.db.bind():
            await Thing.objects.update(hidden="other")
        answer = await client.post("/things", json=body)
        assert answer.status == 409
        assert answer.json()["detail"] == "An object with the same `label` and `place` exists."
        assert [error["pointer"] for error in answer.json()["errors"]] == ["/body/label", "/body/place"]
        assert "lbl" not in answer.text
        assert "lamp" not in answer.text


async def test_a_conflict_in_a_field_that_is_not_sent_names_nothing() -> None:
    async with serving(make_app()) as client:
        assert (await client.post("/things", json={"label": "a", "place": "x"})).status == 201
        answer = await client.post("/things", json={"label": "b", "place": "x"})
        assert (answer.status, answer.json()["detail"]) == (409, "Such an object exists.")
        assert "hidden" not in answer.text


async def test_a_conflict_is_told_under_the_name_that_was_sent() -> None:
    async with serving(make_app()) as client:
        await client.post("/renamed", json={"firstName": "ann"})
        answer = await client.post("/renamed", json={"firstName": "ann"})
        assert answer.json()["errors"][0]["pointer"] == "/body/firstName"
        assert answer.json()["detail"] == "An object with the same `firstName` exists."


async def test_a_broken_rule_of_the_database_is_a_422() -> None:
    async with serving(make_app()) as client:
        answer = await client.post("/things", json={"label": "a", "place": "x", "size": -777})
        assert answer.status == 422
        assert "777" not in answer.text
        assert "CHECK" not in answer.text


async def test_references_that_cannot_be_are_a_409() -> None:
    async with serving(make_app()) as client:
        answer = await client.post("/things", json={"label": "a", "place": "x", "owner_id": 5})
        assert answer.status == 409
        await client.post("/raw/ann")
        await client.post("/things", json={"label": "a", "place": "x", "owner_id": 1})
        answer = await client.delete("/owners/1")
        assert (answer.status, answer.json()["detail"]) == (409, "Other objects refer to this one.")


# Other errors


async def test_what_is_not_there_is_a_404() -> None:
    async with serving(make_app()) as client:
        answer = await client.get("/first")
        assert (answer.status, answer.json()["detail"]) == (404, "There is no such object.")


async def test_a_value_that_fits_no_column_is_a_422() -> None:
    async with serving(make_app()) as client:
        answer = await client.get("/search?name=a%00b")
        assert answer.status == 422
        assert answer.json()["detail"] == "Owner.name expects text without NUL characters."


async def test_a_database_that_cannot_work_is_a_503_and_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(make_app(f"sqlite:///{tmp_path}/app.db?busy_timeout=0.05")) as client:
        holder = sqlite3.connect(tmp_path / "app.db", isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        with caplog.at_level(logging.ERROR, "swift.error"):
            answer = await client.post("/raw/ann")
        assert answer.status == 503
        assert answer.headers["retry-after"] == "1"
        assert answer.json()["detail"] == "The database cannot be used at the moment."
        assert "The database could not serve POST '/raw/ann'." in caplog.text
        assert "database is locked" in caplog.text
        assert (await client.get("/names")).json() == []
        holder.execute("ROLLBACK")
        holder.close()
        assert (await client.post("/raw/ann")).status == 200


async def test_a_missing_table_is_the_servers_fault_and_leaks_nothing() -> None:
    async with TestClient(make_app(), raise_server_exceptions=False) as client:
        answer = await client.get("/things")
        assert answer.status == 500
        assert "thing" not in answer.text.lower().replace("nothing", "")


async def test_an_app_may_answer_these_errors_in_its_own_way() -> None:
    def teapot(request: Request, error: Exception) -> Response:
        return TextResponse(type(error).__name__, status=418)

    handlers: Any = dict.fromkeys((IntegrityError, DoesNotExist, InvalidValue), teapot)
    async with serving(make_app(error_handlers=handlers)) as client:
        await client.post("/raw/ann")
        assert (await client.post("/raw/ann")).text == "IntegrityError"
        assert (await client.get("/first")).text == "DoesNotExist"
        assert (await client.get("/search?name=%00")).text == "InvalidValue"


@pytest.mark.parametrize("url", ["memory://", None], ids=["a database", "none"])
async def test_work_after_the_answer_of_a_mounted_app_is_done_on_the_outer_apps_database(
    url: str | None,
) -> None:
    bound: list[Database | None] = []

    async def noting(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        async def work() -> None:
            bound.append(current_database.get())

        request.after_response(work)
        return await call_next(request)

    child = App(database="memory://", openapi_url=None)

    @child.get("/")
    async def show() -> str:
        bound.append(current_database.get())
        return ""

    app = App(database=url, middleware=[noting], openapi_url=None)
    app.mount("/child", child)
    async with TestClient(app) as client:
        assert (await client.get("/child/")).status == 200
    assert bound == [child.database, app.database]
