"""Models behind an API: bad values are the client's 422, and a request that goes away leaves nothing open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from swift import App, Model, Router, fields
from swift.engines import Database, RetryError
from swift.models import SoftDelete
from swift.testing import TestClient
from swift.viewsets import AutoRouter, ModelViewSet


class Thing(SoftDelete):
    id: int = fields.IDField()
    slug: str = fields.SlugField(unique=True, max_length=10)
    site: str | None = fields.URLField(null=True)
    path: str | None = fields.FilePathField(null=True)
    note: str = fields.TextField(default="")
    small: int = fields.SmallIntegerField(default=0)
    count: int = fields.PositiveIntegerField(default=0)
    big: int = fields.BigIntegerField(default=0)
    state: str = fields.ChoiceField(["new", "old"], default="new")


class Plain(Model):
    id: int = fields.IDField()
    name: str = fields.StringField()


class ThingViewSet(ModelViewSet):
    model = Thing


@asynccontextmanager
async def lifespan(app: App) -> AsyncIterator[None]:
    assert app.db is not None
    await app.db.create_tables([Thing, Plain])
    yield


def serve(url: str, *routers: Any) -> App:
    return App(routers=list(routers), database=url, lifespan=lifespan)


@pytest.fixture(params=["sqlite://", "memory://"])
async def client(request: pytest.FixtureRequest) -> AsyncIterator[TestClient]:
    router = AutoRouter()
    router.register("/things", ThingViewSet)
    async with TestClient(serve(request.param, router)) as client:
        yield client


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("slug", "not a slug"),
        ("slug", "line\n"),
        ("slug", "much-too-long"),
        ("slug", ""),
        ("site", "ftp://x.org"),
        ("site", "javascript:alert(1)"),
        ("site", "https://a b"),
        ("path", "/etc/passwd"),
        ("path", "a/../../b"),
        ("path", ".."),
        ("path", "a\\b"),
        ("path", "C:x"),
        ("note", "a\0b"),
        ("small", 32768),
        ("count", -1),
        ("count", 2**31),
        ("big", 2**63),
        ("big", 10**40),
        ("state", "lost"),
    ],
)
async def test_what_a_column_cannot_hold_is_refused_with_422(
    client: TestClient, name: str, value: Any
) -> None:
    answer = await client.post("/things", json={"slug": "a", name: value})
    assert answer.status == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    made = await client.post("/things", json={"slug": "b"})
    assert (await client.patch(f"/things/{made.json()['id']}", json={name: value})).status == 422


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("slug", "A_b-1"),
        ("site", "https://x.org/a?b#c"),
        ("path", "a/b..c/.d/e.txt"),
        ("small", -32768),
        ("big", 2**63 - 1),
        ("state", "old"),
    ],
)
async def test_what_it_can_hold_is_taken(client: TestClient, name: str, value: Any) -> None:
    answer = await client.post("/things", json={"slug": "a", name: value})
    assert answer.status == 201, answer.text
    assert answer.json()[name] == value


async def test_a_deleted_object_is_not_served(client: TestClient) -> None:
    made = (await client.post("/things", json={"slug": "a"})).json()
    assert (await client.delete(f"/things/{made['id']}")).status == 204
    assert (await client.get(f"/things/{made['id']}")).status == 404
    assert (await client.get("/things")).json()["results"] == []
    assert (await client.patch(f"/things/{made['id']}", json={"count": 1})).status == 404


@pytest.mark.parametrize("url", ["sqlite file", "sqlite://", "memory://"])
async def test_a_cancelled_request_leaves_no_transaction_open(url: str, tmp_path: Path) -> None:
    router = Router()

    @router.post("/transfer/{steps:int}")
    async def transfer(steps: int) -> dict[str, int]:
        async with app.db.transaction():  # type: ignore[union-attr]
            for number in range(steps):
                await Plain.objects.create(name=f"{steps} {number}")
                await asyncio.sleep(0.001)
            async with app.db.transaction():  # type: ignore[union-attr]
                await Plain.objects.filter(name=f"{steps} 0").update(name="done")
        return {"n": await Plain.objects.count()}

    app = serve(f"sqlite:///{tmp_path}/a.db" if url == "sqlite file" else url, router)
    async with TestClient(app) as client:
        kept = 0
        for number in range(40):
            task = asyncio.create_task(client.post("/transfer/5"))
            for _ in range(number):
                await asyncio.sleep(0)
            await asyncio.sleep(0.0004 * (number % 20))
            task.cancel()
            done = (await asyncio.gather(task, return_exceptions=True))[0]
            # Whoever comes next finds the database free, and all of the transfer or nothing of it.
            with app.db.bind():  # type: ignore[union-attr]
                count = await asyncio.wait_for(Plain.objects.count(), 5)
                await asyncio.wait_for(Plain.objects.create(name="after"), 5)
                await Plain.objects.filter(name="after").delete()
            assert count % 5 == 0
            assert count >= kept + (0 if isinstance(done, BaseException) else 5)
            kept = count
        assert (await client.post("/transfer/5")).json() == {"n": kept + 5}


async def test_a_transaction_is_begun_anew_while_another_process_writes(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/shared.db?busy_timeout=0.02"
    async with Database.from_url(url) as one, Database.from_url(url) as other:
        await one.create_tables([Plain])
        written, attempts = asyncio.Event(), 0

        async def hold() -> None:
            async with one.transaction():
                await Plain.objects.using(one).create(name="first")
                written.set()
                while attempts < 3:
                    await asyncio.sleep(0.005)

        async def work() -> int:
            nonlocal attempts
            attempts += 1
            await Plain.objects.using(other).create(name="second")
            return await Plain.objects.using(other).count()

        holder = asyncio.create_task(hold())
        await written.wait()
        with pytest.raises(RetryError):
            await Plain.objects.using(other).create(name="refused")
        assert await other.transact(work, retries=50) == 2
        await holder
        assert attempts >= 3
