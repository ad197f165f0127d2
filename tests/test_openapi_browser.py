"""The page in a real browser: Chromium, driven over WebDriver, against a real server on loopback.

The browser resolves no host name, so whatever the page needed from outside would fail and be seen.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from hypercorn.asyncio import serve
from hypercorn.config import Config
from msgspec import Struct

from swift.app import App
from swift.http import UploadFile
from swift.openapi import Documentation
from swift.routing import File

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
MISSING = "Chromium and chromedriver are not installed (on Debian: apt-get install chromium chromium-driver)."

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)

TITLE = """Shop </title><script>document.title = "taken"</script>"""


class Item(Struct):
    """A thing for sale."""

    id: int
    name: str


class Browser:
    """One WebDriver session (W3C WebDriver, and Chromium's log endpoint)."""

    def __init__(self, client: httpx.AsyncClient, session: str) -> None:
        self.client = client
        self.session = session

    async def command(self, path: str, **body: Any) -> Any:
        response = await self.client.post(f"/session/{self.session}/{path}", json=body)
        assert response.status_code == 200, response.text
        return response.json()["value"]

    async def open(self, url: str) -> None:
        await self.command("url", url=url)

    async def run(self, script: str) -> Any:
        return await self.command("execute/sync", script=script, args=[])

    async def type_into(self, selector: str, keys: str) -> None:
        """Keys as a person presses them; `\\ue004` is Tab."""
        found = await self.command("element", using="css selector", value=selector)
        (element,) = found.values()
        await self.command(f"element/{element}/value", text=keys)

    async def wait_for(self, script: str) -> Any:
        """What `script` returns, once that is true. Polled: there is no event to wait for."""
        async with asyncio.timeout(30):
            while not (value := await self.run(script)):
                await asyncio.sleep(0.05)
        return value

    async def violations(self) -> list[str]:
        entries = await self.command("se/log", type="browser")
        return [entry["message"] for entry in entries if "Content Security Policy" in entry["message"]]

    async def requests(self) -> list[str]:
        events = [
            json.loads(entry["message"])["message"]
            for entry in await self.command("se/log", type="performance")
        ]
        urls = [
            event["params"]["request"]["url"]
            for event in events
            if event["method"] == "Network.requestWillBeSent"
        ]
        return [url for url in urls if not url.startswith(("chrome:", "data:", "blob:"))]


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Browser]:
    if CHROMIUM is None or DRIVER is None:
        if os.environ.get("CI") == "true":
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    driver = await asyncio.create_subprocess_exec(DRIVER, "--port=0", stdout=asyncio.subprocess.PIPE)
    try:
        assert driver.stdout is not None
        async with asyncio.timeout(30):
            while not (started := re.search(rb"successfully on port (\d+)", await driver.stdout.readline())):
                assert not driver.stdout.at_eof(), "chromedriver did not start"
        options = {"binary": CHROMIUM, "args": [*FLAGS, f"--user-data-dir={tmp_path / 'profile'}"]}
        capabilities = {
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }
        base_url = f"http://127.0.0.1:{int(started[1])}"
        async with httpx.AsyncClient(base_url=base_url, timeout=60, trust_env=False) as client:
            created = await client.post("/session", json={"capabilities": {"alwaysMatch": capabilities}})
            assert created.status_code == 200, created.text
            session = created.json()["value"]["sessionId"]
            yield Browser(client, session)
            await client.delete(f"/session/{session}")
    finally:
        driver.terminate()
        await driver.communicate()


@asynccontextmanager
async def served(app: App) -> AsyncIterator[str]:
    """The app behind Hypercorn on a free port of loopback; gives its origin."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.loglevel = "ERROR"
    stop = asyncio.Event()
    server = asyncio.create_task(serve(app, config, shutdown_trigger=stop.wait))  # type: ignore[arg-type]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        stop.set()
        await server


def documented_shop() -> App:
    app = App(openapi_url=None, docs_url=None)

    @app.get("/items/{id:int}", tags=["items"])
    async def get_item(id: int) -> Item:
        return Item(id, "Fountain pen")

    @app.post("/items", tags=["items"])
    async def create_item(item: Item) -> Item:
        return item

    @app.post("/scans")
    async def add_scan(scan: Annotated[UploadFile, File()]) -> None: ...

    documentation = Documentation(
        lambda: app.routes,
        title=TITLE,
        version="1",
        security_schemes={
            "bearer": {"type": "http", "scheme": "bearer"},
            "login": {
                "type": "oauth2",
                "flows": {"password": {"tokenUrl": "/token", "scopes": {"write": "change"}}},
            },
        },
        security=[{"bearer": []}, {"login": ["write"]}],
    )
    for path, name, handler in documentation.handlers():
        app.get(path, name=name, include_in_schema=False)(handler)
    return app


@pytest.mark.parametrize("prefix", ["", "/api"])
async def test_page_shows_and_tries_the_operations_offline_under_its_policy(
    browser: Browser, prefix: str
) -> None:
    app = documented_shop()
    if prefix:
        outer = App(openapi_url=None, docs_url=None)
        outer.mount(prefix, app)
        app = outer
    async with served(app) as origin:
        await browser.open(f"{origin}{prefix}/docs")
        await browser.wait_for("return document.querySelectorAll('.opblock').length === 3")
        assert await browser.run("return document.title") == TITLE
        assert (
            await browser.run("return document.querySelector('.info .title').firstChild.textContent") == TITLE
        )
        summaries = await browser.run(
            "return [...document.querySelectorAll('.opblock-summary')].map(e => e.innerText.split('\\n'))"
        )
        assert summaries == [
            ["GET", "/items/{id}", "Get item"],
            ["POST", "/items", "Create item"],
            ["POST", "/scans", "Add scan"],
        ]

        # Everything the page can unfold: operations, schemas, the dialog of the security schemes.
        await browser.run(
            "document.querySelectorAll('.opblock-summary-control, .models-control').forEach(e => e.click())"
        )
        await browser.wait_for("return document.querySelectorAll('.opblock-body').length === 3")
        await browser.wait_for("return document.querySelector('.opblock-body input[type=file]') !== null")
        await browser.run(
            "document.querySelectorAll('.json-schema-2020-12-accordion').forEach(e => e.click());"
            "document.querySelector('.btn.authorize').click()"
        )
        await browser.wait_for("return document.querySelectorAll('.auth-container').length === 2")
        await browser.run("document.querySelector('.close-modal').click()")

        # Leaving the field is what makes the page read it.
        await browser.type_into(".opblock-get .parameters input", "7\ue004")
        await browser.run("document.querySelector('.opblock-get .execute').click()")
        answer = await browser.wait_for(
            "const e = document.querySelector('.opblock-get .live-responses-table .highlight-code');"
            "return e && e.innerText"
        )
        assert json.loads(answer[answer.index("{") : answer.rindex("}") + 1]) == {
            "id": 7,
            "name": "Fountain pen",
        }

        assert await browser.violations() == []
        requests = await browser.requests()
        assert f"{origin}{prefix}/items/7" in requests
        assert [url for url in requests if not url.startswith(f"{origin}{prefix}/")] == []


async def test_policy_is_in_force(browser: Browser) -> None:
    async with served(documented_shop()) as origin:
        await browser.open(f"{origin}/docs")
        await browser.run(
            "const script = document.createElement('script');"
            "script.textContent = 'window.injected = true';"
            "document.head.append(script);"
            "const image = document.createElement('img');"
            "image.src = 'https://outside.example/pixel.png';"
            "document.body.append(image)"
        )
        assert await browser.run("return window.injected === undefined")
        assert len(await browser.violations()) == 2
