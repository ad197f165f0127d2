"""The served document and the page: caching, escaping, policy, prefixes, assets."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest

import swift.openapi
from swift.app import App
from swift.openapi import Documentation, openapi

ASSETS = Path(swift.openapi.__file__).parent / "assets"


def documented_app(**options: Any) -> App:
    app = App(openapi_url=None, docs_url=None)

    @app.get("/items")
    async def list_items() -> list[int]:
        return []

    documentation = Documentation(lambda: app.routes, **{"title": "Shop", "version": "1", **options})
    for path, name, handler in documentation.handlers():
        app.get(path, name=name, include_in_schema=False)(handler)
    return app


@asynccontextmanager
async def client_of(app: App, root_path: str = "") -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, root_path=root_path)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop.example") as client:
        yield client


class References(HTMLParser):
    """Every URL of a page, its scripts' text, and its title."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.urls: list[str] = []
        self.scripts: list[str] = []
        self.title = ""
        self.open: str | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.open = tag
        self.urls.extend(value or "" for name, value in attributes if name in ("src", "href", "data-openapi"))

    def handle_endtag(self, tag: str) -> None:
        self.open = None

    def handle_data(self, data: str) -> None:
        if self.open == "script":
            self.scripts.append(data)
        if self.open == "title":
            self.title += data


async def test_document_is_served_and_leaves_its_own_routes_out() -> None:
    app = documented_app()
    async with client_of(app) as client:
        response = await client.get("/openapi.json")
    assert response.headers["content-type"] == "application/json"
    assert response.json() == openapi(app.routes, title="Shop", version="1")
    assert list(response.json()["paths"]) == ["/items"]


async def test_document_is_generated_once() -> None:
    app = documented_app()
    asked = 0

    def routes() -> Any:
        nonlocal asked
        asked += 1
        return app.routes

    documentation = Documentation(routes, title="Shop", version="1", openapi_url="/once.json", docs_url=None)
    for path, name, handler in documentation.handlers():
        app.get(path, name=name, include_in_schema=False)(handler)
    documentation.check()
    assert asked == 1
    async with client_of(app) as client:
        first, second = await client.get("/once.json"), await client.get("/once.json")
        assert (await client.get("/once.json/assets/swagger-ui.css")).status_code == 404
    assert first.content == second.content
    assert asked == 1


@pytest.mark.parametrize("path", ["/openapi.json", "/docs", "/docs/assets/swagger-ui.css"])
async def test_what_the_client_has_is_not_sent_again(path: str) -> None:
    async with client_of(documented_app()) as client:
        first = await client.get(path)
        again = await client.get(path, headers={"if-none-match": f'"other", W/{first.headers["etag"]}'})
        other = await client.get(path, headers={"if-none-match": '"other"'})
    assert first.status_code == other.status_code == 200
    assert first.headers["cache-control"] == "no-cache"
    assert re.fullmatch(r'"[0-9a-f]{32}"', first.headers["etag"])
    assert again.status_code == 304
    assert again.content == b""
    assert again.headers["etag"] == first.headers["etag"]


async def test_page_escapes_the_title() -> None:
    title = """</title><script>alert("1")</script>&'"""
    async with client_of(documented_app(title=title)) as client:
        page = await client.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert References(page.text).title == title
    assert "<script>alert" not in page.text
    assert "".join(References(page.text).scripts).strip() == ""


async def test_urls_in_the_page_are_escaped() -> None:
    app = documented_app(openapi_url="/a\"b'<c>.json")
    async with client_of(app) as client:
        page = References((await client.get("/docs")).text)
    assert "a\"b'<c>.json" in page.urls


async def test_policy_of_the_page_allows_its_own_origin_only() -> None:
    async with client_of(documented_app()) as client:
        page = await client.get("/docs")
    assert page.headers["content-security-policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["referrer-policy"] == "no-referrer"


async def test_policy_allows_the_servers_and_token_endpoints_of_the_document() -> None:
    app = documented_app(
        servers=[
            "https://api.shop.example/v1",
            {"url": "https://{region}.shop.example", "variables": {"region": {"default": "eu"}}},
            "/v2",
            "https://evil.example; script-src *",
        ],
        security_schemes={
            "login": {
                "type": "oauth2",
                "flows": {"password": {"tokenUrl": "https://id.shop.example:8443/token", "scopes": {}}},
            }
        },
    )
    async with client_of(app) as client:
        policy = (await client.get("/docs")).headers["content-security-policy"]
    assert "connect-src 'self' https://api.shop.example https://id.shop.example:8443;" in policy
    assert "evil" not in policy


@pytest.mark.parametrize(
    ("docs_url", "openapi_url"),
    [
        ("/docs", "/openapi.json"),
        ("/docs/", "/openapi.json"),
        ("/a/b/docs", "/a/openapi.json"),
        ("/docs", "/docs/v1/openapi.json"),
        ("/", "/openapi.json"),
    ],
)
@pytest.mark.parametrize("root_path", ["", "/api"])
async def test_every_reference_of_the_page_leads_somewhere(
    docs_url: str, openapi_url: str, root_path: str
) -> None:
    app = documented_app(docs_url=docs_url, openapi_url=openapi_url)
    async with client_of(app, root_path) as client:
        at = root_path + (docs_url.rstrip("/") or "/")
        page = await client.get(at)
        urls = {urljoin(f"http://shop.example{at}", url) for url in References(page.text).urls}
        answers = {url: (await client.get(url)).status_code for url in urls}
    assert f"http://shop.example{root_path}{openapi_url}" in urls
    assert len(answers) == 5
    assert set(answers.values()) == {200}


async def test_references_hold_with_a_slash_at_the_end_too() -> None:
    app = App(openapi_url=None, docs_url=None, trailing_slash="merge")
    documentation = Documentation(lambda: app.routes, title="Shop", version="1")
    for path, name, handler in documentation.handlers():
        app.get(path, name=name, include_in_schema=False)(handler)
    async with client_of(app) as client:
        page = await client.get("/docs/")
        urls = [urljoin("http://shop.example/docs/", url) for url in References(page.text).urls]
        assert {(await client.get(url)).status_code for url in urls} == {200}


async def test_document_names_the_prefix_it_is_served_under() -> None:
    app = documented_app()
    async with client_of(app) as client:
        plain = (await client.get("/openapi.json")).json()
    async with client_of(app, "/api") as client:
        prefixed = (await client.get("/api/openapi.json")).json()
    assert "servers" not in plain
    assert prefixed["servers"] == [{"url": "/api"}]
    named = documented_app(servers=["https://api.shop.example"])
    async with client_of(named, "/api") as client:
        document = (await client.get("/api/openapi.json")).json()
    assert document["servers"] == [{"url": "https://api.shop.example"}]


async def test_memory_does_not_grow_with_root_paths() -> None:
    app = App(openapi_url=None, docs_url=None)
    documentation = Documentation(lambda: app.routes, title="Shop", version="1")
    for path, name, handler in documentation.handlers():
        app.get(path, name=name, include_in_schema=False)(handler)
    for number in range(100):
        async with client_of(app, f"/{number}") as client:
            assert (await client.get(f"/{number}/openapi.json")).json()["servers"] == [{"url": f"/{number}"}]
    assert len(documentation._documents) <= 16


@pytest.mark.parametrize(
    "name",
    [
        "nothing.js",
        "VERSION",
        "LICENSE",
        "..%2Fdocs.py",
        "%2e%2e/docs.py",
        "..%5cdocs.py",
        "swagger-ui.css%00",
    ],
)
async def test_only_named_assets_are_served(name: str) -> None:
    async with client_of(documented_app()) as client:
        assert (await client.get(f"/docs/assets/{name}")).status_code == 404


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
        ("swagger-init.js", "text/javascript; charset=utf-8"),
        ("swagger-ui.css", "text/css; charset=utf-8"),
        ("favicon-32x32.png", "image/png"),
        ("oauth2-redirect.html", "text/html; charset=utf-8"),
    ],
)
async def test_assets_are_the_files_of_the_package(name: str, media_type: str) -> None:
    async with client_of(documented_app()) as client:
        response = await client.get(f"/docs/assets/{name}")
    assert response.content == (ASSETS / name).read_bytes()
    assert response.headers["content-type"] == media_type
    assert response.headers["x-content-type-options"] == "nosniff"
    assert ("content-security-policy" in response.headers) == name.endswith(".html")


def test_assets_say_where_they_come_from() -> None:
    assert re.fullmatch(r"swagger-ui-dist \d+\.\d+\.\d+\n", (ASSETS / "VERSION").read_text())
    assert "Apache License" in (ASSETS / "LICENSE").read_text()
    assert "SmartBear" in (ASSETS / "NOTICE").read_text()
    assert (ASSETS / "swagger-ui-bundle.js.LICENSE.txt").exists()


def test_documentation_without_a_page() -> None:
    documentation = Documentation(list, title="Shop", version="1", docs_url=None)
    assert [path for path, _, _ in documentation.handlers()] == ["/openapi.json"]


def test_check_refuses_at_start_what_cannot_be_documented() -> None:
    app = App(openapi_url=None, docs_url=None)

    async def items() -> str:
        return ""

    app.get("/a")(items)
    app.get("/b")(items)
    with pytest.raises(ValueError, match="Two operations are called `items`"):
        Documentation(lambda: app.routes, title="Shop", version="1").check()
