"""Cache-Control, written, read, and set by a middleware."""

from __future__ import annotations

from typing import Any

import pytest

from swift import App, NotFound, Request, Response
from swift.http import CacheControl
from swift.middleware import CacheControlMiddleware
from swift.testing import TestClient


@pytest.mark.parametrize(
    ("directives", "text"),
    [
        ({}, ""),
        ({"max_age": 0}, "max-age=0"),
        ({"public": True, "max_age": 60, "immutable": True}, "public, immutable, max-age=60"),
        ({"private": True, "no_cache": True, "must_revalidate": True}, "private, no-cache, must-revalidate"),
        ({"no_store": True}, "no-store"),
        ({"s_maxage": 5, "stale_while_revalidate": 9, "stale_if_error": 10},
         "s-maxage=5, stale-while-revalidate=9, stale-if-error=10"),
    ],
)  # fmt: skip
def test_the_field_is_read_as_it_is_written(directives: dict[str, Any], text: str) -> None:
    control = CacheControl(**directives)
    assert str(control) == text
    assert CacheControl.parse(text) == control


@pytest.mark.parametrize(
    ("directives", "message"),
    [
        ({"max_age": -1}, "max-age of Cache-Control is -1 s"),
        ({"public": True, "private": True}, "public and private"),
        ({"public": True, "no_store": True}, "public and private or no-store"),
        ({"private": True, "s_maxage": 1}, "s-maxage for shared caches"),
        ({"no_store": True, "max_age": 1}, "a time for what is not to be stored"),
    ],
)
def test_what_contradicts_itself_is_refused(directives: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CacheControl(**directives)


@pytest.mark.parametrize(
    ("text", "directives"),
    [
        ("Max-Age=5 , PUBLIC,, x-other=1", {"public": True, "max_age": 5}),
        ('max-age="7"', {"max_age": 7}),
        ("max-age=soon", {"max_age": 0}),
        ("max-age=9, max-age=3", {"max_age": 3}),
        ("max-age=" + "9" * 100, {"max_age": 2**31 - 1}),
        ("public, private, s-maxage=3, max-age=4", {"private": True, "max_age": 4}),
        ("no-store, public, max-age=4", {"no_store": True}),
        ('private="set-cookie", no-cache="a, b"', {"private": True, "no_cache": True}),
    ],
)
def test_what_others_send_is_read_strictly(text: str, directives: dict[str, Any]) -> None:
    assert CacheControl.parse(text) == CacheControl(**directives)


async def test_a_middleware_sets_it_where_it_belongs() -> None:
    app = App(openapi_url=None)
    cached = CacheControlMiddleware(CacheControl(public=True, max_age=60))

    @app.get("/{name}", middleware=[cached])
    async def show(name: str, request: Request) -> Response:
        if name == "missing":
            raise NotFound
        headers = {"cache-control": "no-store"} if name == "own" else None
        return Response(name, headers=headers)

    @app.post("/{name}", middleware=[cached])
    async def change(name: str) -> str:
        return name

    async with TestClient(app) as client:
        assert (await client.get("/page")).headers["cache-control"] == "public, max-age=60"
        assert (await client.head("/page")).headers["cache-control"] == "public, max-age=60"
        assert (await client.get("/own")).headers["cache-control"] == "no-store"
        assert "cache-control" not in (await client.get("/missing")).headers
        assert "cache-control" not in (await client.post("/page")).headers
