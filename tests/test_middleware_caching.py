"""Answers kept and given again: what is kept, for whom, how long, and what a client is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from swift import App, NotFound, Request, Response, StreamingResponse
from swift.auth import HTTPBasic
from swift.middleware import CacheMiddleware, MemoryStore
from swift.permissions import IsAuthenticated
from swift.testing import TestClient


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


class Site:
    """An app with one page behind a cache, which counts how often it was made."""

    def __init__(
        self,
        headers: Mapping[str, str] | list[tuple[str, str]] = (),  # type: ignore[assignment]
        *,
        make: Callable[[Request], Any] | None = None,
        app: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        self.clock = Clock()
        self.made = 0
        self.headers = headers
        self.make = make
        self.cache = CacheMiddleware(60, clock=self.clock, **options)
        self.app = App(openapi_url=None, middleware=[self.cache], **(app or {}))
        self.app.get("/page")(self.page)
        self.app.post("/page")(self.change)

    async def page(self, request: Request) -> Response:
        self.made += 1
        number = self.made
        await asyncio.sleep(0)
        if self.make is not None:
            return self.make(request)
        return Response(f"page {number}", headers=self.headers, media_type="text/plain")

    async def change(self, request: Request) -> str:
        if request.query.get("fail"):
            raise NotFound
        return "changed"

    def client(self, **options: Any) -> TestClient:
        return TestClient(self.app, **options)


async def test_an_answer_is_made_once_and_given_again() -> None:
    site = Site()
    async with site.client() as client:
        first = await client.get("/page")
        site.clock.now += 20.5
        again = await client.get("/page")
        head = await client.head("/page")
        site.clock.now += 40
        later = await client.get("/page")
    assert (first.text, again.text, later.text) == ("page 1", "page 1", "page 2")
    assert "age" not in first.headers
    assert (again.headers["age"], again.headers["cache-status"]) == ("20", "swift; hit; ttl=39")
    assert (head.content, head.headers["content-length"]) == (b"", "6")
    assert again.headers["content-type"] == first.headers["content-type"]


async def test_a_client_that_has_it_gets_304() -> None:
    site = Site()
    async with site.client() as client:
        etag = (await client.get("/page")).headers["etag"]
        unchanged = await client.get("/page", headers={"if-none-match": f'"other", {etag}'})
        assert (unchanged.status, unchanged.content, unchanged.headers["etag"]) == (304, b"", etag)
        assert "content-type" not in unchanged.headers
        assert (await client.get("/page", headers={"if-none-match": '"other"'})).status == 200
        assert (await client.get("/page", headers={"if-match": '"other"'})).status == 412
        # The same content made anew has the same tag.
        site.clock.now += 100
        site.made -= 1
        assert (await client.get("/page", headers={"if-none-match": etag})).status == 304


@pytest.mark.parametrize(
    "headers",
    [
        {"cache-control": "no-store"},
        {"cache-control": "no-cache"},
        {"cache-control": "private"},
        {"cache-control": "max-age=0"},
        {"set-cookie": "a=1"},
        {"vary": "*"},
    ],
)
async def test_what_says_so_is_not_kept(headers: Mapping[str, str]) -> None:
    site = Site(headers)
    async with site.client() as client:
        assert [(await client.get("/page")).text for _ in range(2)] == ["page 1", "page 2"]


async def test_errors_streams_and_large_answers_are_not_kept() -> None:
    def answers(request: Request) -> Response:
        kind = request.query["kind"]
        if kind == "problem":
            raise NotFound
        if kind == "status":
            return Response("x", 404)
        return StreamingResponse([b"x"]) if kind == "stream" else Response(b"x" * 101)

    site = Site(make=answers, max_body_size=100)
    async with site.client() as client:
        for kind in ("problem", "status", "stream", "large"):
            site.made = 0
            for _ in range(2):
                await client.get("/page", params={"kind": kind})
            assert site.made == 2, kind


async def test_the_answer_says_how_long() -> None:
    site = Site({"cache-control": "max-age=1000, s-maxage=10"})
    async with site.client() as client:
        await client.get("/page")
        site.clock.now += 9
        assert (await client.get("/page")).text == "page 1"
        site.clock.now += 1
        assert (await client.get("/page")).text == "page 2"


async def test_it_varies_by_what_the_answer_names_and_by_what_was_said() -> None:
    site = Site({"vary": "Accept-Language"}, vary=["x-tenant"])
    async with site.client() as client:
        wanted = [("de", "a"), ("en", "a"), ("de", "b"), ("de", "a"), ("en", "a"), ("de", "b")]
        texts = [
            (await client.get("/page", headers={"accept-language": language, "x-tenant": tenant})).text
            for language, tenant in wanted
        ]
    assert texts == ["page 1", "page 2", "page 3"] * 2


async def test_path_query_and_host_are_parts_of_the_key() -> None:
    site = Site()
    async with site.client() as client:
        urls = ["/page", "/page?a=1", "/page?a=2", "http://other.example/page"]
        assert len({(await client.get(url)).text for url in urls}) == 4
        assert [(await client.get(url)).headers["age"] for url in urls] == ["0"] * 4


@pytest.mark.parametrize("credentials", [{"authorization": "x"}, {"cookie": "session=1"}])
async def test_what_was_made_for_somebody_is_for_nobody_else(credentials: Mapping[str, str]) -> None:
    site = Site()
    async with site.client() as client:
        assert (await client.get("/page", headers=credentials)).text == "page 1"
        assert (await client.get("/page")).text == "page 2"
        assert (await client.get("/page", headers=credentials)).text == "page 3"
        assert (await client.get("/page")).text == "page 2"


async def test_a_public_answer_is_for_everybody() -> None:
    site = Site({"cache-control": "public"})
    async with site.client() as client:
        for headers in ({"cookie": "a=1"}, {}, {"authorization": "x"}):
            assert (await client.get("/page", headers=headers)).text == "page 1"


async def test_an_owner_has_answers_of_his_own_and_a_stranger_gets_none() -> None:
    users = {"ann": {"id": 1}, "ben": {"id": 2}}
    site = Site(
        owner=lambda request: str(request.user["id"]),
        app={
            "authentication": [HTTPBasic(lambda name, password: users.get(name))],
            "permission_classes": [IsAuthenticated],
        },
    )
    ann, ben = ({"authorization": f"Basic {name}"} for name in ("YW5uOng=", "YmVuOng="))
    async with site.client() as client:
        texts = [(await client.get("/page", headers=headers)).text for headers in (ann, ben, ann, ben)]
        assert texts == ["page 1", "page 2", "page 1", "page 2"]
        assert (await client.get("/page")).status == 401


async def test_requests_that_come_together_are_one() -> None:
    site = Site()
    async with site.client() as client:
        answers = await asyncio.gather(*(client.get("/page") for _ in range(20)))
    assert {answer.text for answer in answers} == {"page 1"}
    assert site.made == 1


async def test_who_waited_for_what_is_not_kept_is_served() -> None:
    site = Site({"cache-control": "no-store"})
    async with site.client() as client:
        answers = await asyncio.gather(*(client.get("/page") for _ in range(5)))
    assert {answer.text for answer in answers} == {f"page {number}" for number in range(1, 6)}


async def test_a_failure_lets_the_others_try() -> None:
    def make(request: Request) -> Response:
        if site.made == 1:
            raise NotFound
        return Response("made")

    site = Site(make=make)
    async with site.client() as client:
        answers = await asyncio.gather(*(client.get("/page") for _ in range(4)))
    assert sorted(answer.status for answer in answers) == [200, 200, 200, 404]


async def test_a_change_forgets_what_was_kept() -> None:
    site = Site()
    async with site.client() as client:
        assert (await client.get("/page")).text == "page 1"
        await client.post("/page?fail=1")
        assert (await client.get("/page")).text == "page 1"
        await client.post("/page")
        assert (await client.get("/page")).text == "page 2"


async def test_a_client_cannot_make_the_server_work() -> None:
    site = Site()
    async with site.client() as client:
        for directive in ("no-cache", "no-store", "max-age=0"):
            assert (await client.get("/page", headers={"cache-control": directive})).text == "page 1"


async def test_two_processes_share_a_store() -> None:
    store = MemoryStore()
    first, second = Site(store=store), Site(store=store)
    async with first.client() as client:
        await client.get("/page")
    async with second.client() as client:
        assert (await client.get("/page")).text == "page 1"
    assert second.made == 0


class TestMemoryStore:
    async def test_it_is_bounded_and_forgets_what_was_not_used(self) -> None:
        store = MemoryStore(max_bytes=5000)
        for number in range(4):
            await store.set(f"k{number}", b"x" * 600, 60)
        await store.get("k0")
        await store.set("k4", b"x" * 600, 60)
        assert [key for key in ("k0", "k1", "k2", "k3", "k4") if await store.get(key)] == [
            "k0", "k2", "k3", "k4",
        ]  # fmt: skip
        for number in range(1000):
            await store.set(f"more{number}", b"x" * (number % 700), 60)
            assert store.size <= 5000
        await store.set("huge", b"x" * 5000, 60)
        assert await store.get("huge") is None

    async def test_it_gives_nothing_that_has_expired(self) -> None:
        clock = Clock()
        store = MemoryStore(clock=clock)
        await store.set("a", b"1", 10)
        clock.now += 10
        assert await store.get("a") is None
        assert (len(store), store.size) == (0, 0)

    async def test_one_of_many_adds(self) -> None:
        store = MemoryStore()
        assert sum(await asyncio.gather(*(store.add("a", b"%d" % n, 10) for n in range(9)))) == 1
        await store.delete("a")
        await store.delete("a")
        assert await store.add("a", b"1", 10)


@pytest.mark.parametrize("make", [lambda: CacheMiddleware(0), lambda: MemoryStore(0)])
def test_wrong_bounds_are_refused(make: Callable[[], Any]) -> None:
    with pytest.raises(ValueError, match="above 0"):
        make()
