"""StaticFiles: what is served, and the table of what is not."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swift import App
from swift.http.problems import NotFound
from swift.http.static import StaticFiles
from swift.testing import ClientResponse, TestClient


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A directory to serve, and secrets around and in it that must not be."""
    root = tmp_path / "site"
    files = {
        tmp_path / "secret.txt": "secret",
        tmp_path / "site-secret" / "a.txt": "secret",
        root / "a.txt": "a",
        root / "index.html": "<p>home</p>",
        root / "docs" / "index.html": "<p>docs</p>",
        root / "docs" / "b c.txt": "b",
        root / "plain" / "x.css": "x",
        root / "é.txt": "é",
        root / ".env": "secret",
        root / ".git" / "config": "secret",
        root / "docs" / ".hidden.txt": "secret",
    }
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    (root / "inside.txt").symlink_to("a.txt")
    (root / "outside.txt").symlink_to(tmp_path / "secret.txt")
    (root / "outside").symlink_to(tmp_path / "site-secret")
    (root / "loop").symlink_to("loop")
    (root / "dangling").symlink_to("nowhere")
    return root


async def get(
    app: StaticFiles,
    url: str,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    root_path: str = "",
) -> ClientResponse:
    return await TestClient(app, root_path=root_path).request(method, url, headers=headers or {})


async def raw(app: StaticFiles, path: str, raw_path: bytes | None = None) -> tuple[int, bytes]:
    """For paths that no client would send: the scope is written by hand."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    await app(
        {"type": "http", "method": "GET", "path": path, "raw_path": raw_path, "headers": []}, receive, send
    )
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


class TestServing:
    @pytest.mark.parametrize(
        ("url", "content", "media_type"),
        [
            ("/a.txt", "a", "text/plain"),
            ("/docs/b%20c.txt", "b", "text/plain"),
            ("/%C3%A9.txt", "é", "text/plain"),
            ("/%61.txt", "a", "text/plain"),
            ("/plain/x.css", "x", "text/css"),
            ("/inside.txt", "a", "text/plain"),
            ("/docs/index.html", "<p>docs</p>", "text/html"),
        ],
    )
    async def test_files(self, site: Path, url: str, content: str, media_type: str) -> None:
        answer = await get(StaticFiles(site), url)

        assert (answer.status, answer.text, answer.media_type) == (200, content, media_type)
        assert "content-disposition" not in answer.headers

    async def test_head_conditions_and_ranges_come_with_it(self, site: Path) -> None:
        app = StaticFiles(site)
        tag = (await get(app, "/a.txt")).headers["etag"]

        assert (await get(app, "/a.txt", "HEAD")).headers["content-length"] == "1"
        assert (await get(app, "/a.txt", headers={"if-none-match": tag})).status == 304
        assert (await get(app, "/index.html", headers={"range": "bytes=3-6"})).text == "home"
        assert (await get(app, "/a.txt", headers={"range": "bytes=5-"})).status == 416

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
    async def test_other_methods_are_405_with_allow(self, site: Path, method: str) -> None:
        answer = await get(StaticFiles(site), "/a.txt", method)

        assert answer.status == 405
        assert answer.headers["allow"] == "GET, HEAD"
        assert answer.problem.title == "Method Not Allowed"

    async def test_a_missing_file_is_a_404_problem(self, site: Path) -> None:
        answer = await get(StaticFiles(site), "/none.txt")

        assert answer.status == 404
        assert answer.problem.title == "Not Found"
        assert str(site) not in answer.text

    async def test_under_a_mount_the_root_path_is_taken_off(self, site: Path) -> None:
        app = StaticFiles(site, html=True)

        assert (await get(app, "/static/a.txt", root_path="/static")).text == "a"
        assert (await get(app, "/a.txt", root_path="/static")).text == "a"
        moved = await get(app, "/static/docs", root_path="/static")
        assert moved.headers["location"] == "/static/docs/"
        moved = await get(app, "/static", root_path="/static")
        assert moved.headers["location"] == "/static/"

    async def test_dot_files_when_they_are_allowed(self, site: Path) -> None:
        app = StaticFiles(site, allow_dotfiles=True)

        assert (await get(app, "/.env")).status == 200
        assert (await get(app, "/../secret.txt")).status == 404
        assert (await get(app, "/./a.txt")).status == 404

    def test_a_directory_that_does_not_exist_fails_at_start(self, site: Path) -> None:
        for wrong in (site / "none", site / "a.txt"):
            with pytest.raises(ValueError, match="does not exist"):
                StaticFiles(wrong)

    async def test_a_link_as_the_directory_itself_is_fine(self, site: Path) -> None:
        link = site.parent / "link"
        link.symlink_to(site)

        assert (await get(StaticFiles(link), "/a.txt")).text == "a"

    async def test_the_root_of_the_file_system_can_be_served(self, site: Path) -> None:
        assert (await get(StaticFiles("/"), f"{site}/a.txt")).text == "a"

    async def test_websockets_are_an_error_of_the_program(self, site: Path) -> None:
        with pytest.raises(RuntimeError, match="serves HTTP only"):
            await StaticFiles(site)({"type": "websocket"}, None, None)  # type: ignore[arg-type]


class TestHTML:
    async def test_a_directory_is_its_index(self, site: Path) -> None:
        app = StaticFiles(site, html=True)

        assert (await get(app, "/")).text == "<p>home</p>"
        answer = await get(app, "/docs/")
        assert (answer.status, answer.text, answer.media_type) == (200, "<p>docs</p>", "text/html")

    async def test_without_its_slash_it_is_redirected(self, site: Path) -> None:
        answer = await get(StaticFiles(site, html=True), "/docs?q=1&r=%20")

        assert answer.status == 308
        assert answer.headers["location"] == "/docs/?q=1&r=%20"

    @pytest.mark.parametrize("url", ["/plain", "/plain/", "/a.txt/", "/none/", "/outside/", "/outside"])
    async def test_a_directory_without_index_is_a_404(self, site: Path, url: str) -> None:
        assert (await get(StaticFiles(site, html=True), url)).status == 404

    @pytest.mark.parametrize("url", ["/", "/docs", "/docs/"])
    async def test_directories_are_404_without_html(self, site: Path, url: str) -> None:
        assert (await get(StaticFiles(site), url)).status == 404

    @pytest.mark.parametrize(
        "url", ["//example.com", "//example.com/%2e%2e", "/\\example.com", "/%5cexample.com", "//docs"]
    )
    async def test_the_redirect_never_leaves_the_host(self, site: Path, url: str) -> None:
        (site / "example.com").mkdir()
        (site / "example.com" / "index.html").write_text("x")

        assert (await get(StaticFiles(site, html=True), url)).status == 404


ATTACKS = [
    # Traversal, plain and encoded, once and twice.
    "/../secret.txt",
    "/../../../../../../etc/passwd",
    "/docs/../a.txt",
    "/docs/../../secret.txt",
    "/..",
    "/.",
    "/./a.txt",
    "/docs/./b%20c.txt",
    "/%2e%2e/secret.txt",
    "/%2E%2E/secret.txt",
    "/.%2e/secret.txt",
    "/%2e/a.txt",
    "/%252e%252e/secret.txt",
    "/%252e%252e%252fsecret.txt",
    "/..%252f..%252fsecret.txt",
    "/..;/secret.txt",
    "/..%00/secret.txt",
    "/.../secret.txt",
    # Slashes and backslashes in disguise.
    "/..%2fsecret.txt",
    "/..%2Fsecret.txt",
    "/docs%2findex.html",
    "/docs%2Findex.html",
    "/%2fetc/passwd",
    "/%2f%2fetc/passwd",
    "/..%5csecret.txt",
    "/..%5Csecret.txt",
    "/docs%5cindex.html",
    "/..\\secret.txt",
    "/\\..\\secret.txt",
    "/..%c0%afsecret.txt",
    "/%c0%ae%c0%ae/secret.txt",
    "/..%e2%88%95secret.txt",
    # Absolute and empty.
    "//etc/passwd",
    "///etc/passwd",
    "//a.txt",
    "/docs//index.html",
    "/docs///index.html",
    "/a.txt/",
    "/a.txt//",
    # Other file systems' ideas: drives, streams, shares, dropped endings.
    "/C:/Windows/win.ini",
    "/c:a.txt",
    "/C%3a/Windows/win.ini",
    "/a.txt::$DATA",
    "/a.txt%3a%3a$DATA",
    "/\\\\server\\share\\a.txt",
    "//server/share/a.txt",
    "/a.txt.",
    "/a.txt%20",
    "/a.txt...",
    "/docs./index.html",
    "/docs%20/index.html",
    "/a.txt/.",
    "/~root/a.txt",
    # NUL and controls.
    "/a.txt%00",
    "/a.txt%00.png",
    "/%00",
    "/a%0d%0aset-cookie:%20a=b",
    "/a.txt%0a",
    "/a.txt%7f",
    "/a.txt%09",
    # Dot-files.
    "/.env",
    "/%2eenv",
    "/.git/config",
    "/docs/.hidden.txt",
    # Links that leave, loop or lead nowhere.
    "/outside.txt",
    "/outside/a.txt",
    "/loop",
    "/loop/a.txt",
    "/dangling",
    # A sibling whose name starts like the directory's.
    "/../site-secret/a.txt",
    # Too long for any file system.
    "/" + "a" * 5000,
    "/" + "a/" * 3000,
]


@pytest.mark.parametrize("html", [False, True])
@pytest.mark.parametrize("url", ATTACKS, ids=lambda url: url[:40])
async def test_attacks_are_404_like_any_missing_file(site: Path, url: str, html: bool) -> None:
    answer = await get(StaticFiles(site, html=html), url)

    assert answer.status == 404
    assert answer.content == (await get(StaticFiles(site), "/none")).content


@pytest.mark.parametrize(
    ("path", "raw_path"),
    [
        ("/docs/index.html", b"/docs%2findex.html"),
        ("/docs/index.html", b"/docs%2Findex.html"),
        ("/../secret.txt", None),
        ("/..\\secret.txt", None),
        ("/a.txt\0", None),
        ("\0", None),
        ("", None),
        ("a.txt/..", None),
        ("/\udcff", None),
        ("/" + chr(0xD800), None),
        ("/\udcff/../a.txt", None),
    ],
)
async def test_paths_that_only_a_server_could_hand_over(
    site: Path, path: str, raw_path: bytes | None
) -> None:
    status, body = await raw(StaticFiles(site), path, raw_path)

    assert status == 404
    assert b"secret" not in body


@pytest.mark.skipif(os.name != "posix", reason="the names that Windows drops can be made on POSIX only")
async def test_names_of_other_file_systems_are_refused_even_if_they_exist(site: Path) -> None:
    for name in ("a.txt.", "b ", "c:d", "e\\f", "g\n"):
        (site / name).write_text("x")
        with pytest.raises(NotFound):
            StaticFiles(site).segments(f"/{name}")


pieces = st.sampled_from(
    [
        "..",
        ".",
        "/",
        "//",
        "\\",
        "%2e",
        "%2f",
        "%5c",
        "%00",
        "%25",
        "a.txt",
        "docs",
        "secret.txt",
        "outside",
        "C:",
        ".env",
        "site-secret",
        " ",
        ":",
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(pieces, max_size=8).map("".join), st.booleans())
async def test_no_path_reaches_a_secret(
    tmp_path_factory: pytest.TempPathFactory, tail: str, dots: bool
) -> None:
    base = tmp_path_factory.getbasetemp() / "property"
    root = base / "site"
    if not root.exists():
        (root / "docs").mkdir(parents=True)
        (base / "secret.txt").write_text("secret")
        (root / "a.txt").write_text("a")
        (root / "outside").symlink_to(base)

    answer = await get(StaticFiles(root, html=True, allow_dotfiles=dots), "/" + tail)

    assert answer.status in (200, 308, 404)
    assert b"secret" not in answer.content


# A front end that routes by itself.


@pytest.fixture
def front_end(tmp_path: Path) -> App:
    (tmp_path / "index.html").write_text("<html>")
    (tmp_path / "app.js").write_text("run()")
    app = App(openapi_url=None)

    @app.get("/api/items")
    async def items() -> list[int]:
        return [1]

    app.mount("/", StaticFiles(tmp_path, html=True, fallback="index.html"))
    return app


BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.mark.parametrize(
    ("method", "path", "accept", "status", "text"),
    [
        ("GET", "/", BROWSER, 200, "<html>"),
        ("GET", "/users/5/edit", BROWSER, 200, "<html>"),
        ("HEAD", "/users/5/edit", BROWSER, 200, ""),
        ("GET", "/users/.hidden/x", BROWSER, 200, "<html>"),
        ("GET", "/app.js", {"accept": "*/*"}, 200, "run()"),
        ("GET", "/missing.js", BROWSER, 404, None),
        ("GET", "/users/5/edit", {"accept": "application/json"}, 404, None),
        ("GET", "/users/5/edit", {}, 404, None),
        ("GET", "/users/5/edit", {"accept": "text/html;q=0, */*"}, 404, None),
        ("POST", "/users/5/edit", BROWSER, 405, None),
        ("GET", "/api/items", {}, 200, "[1]"),
        ("POST", "/api/items", {}, 405, None),
    ],
)
async def test_pages_that_are_not_there_are_the_front_ends(
    front_end: App, method: str, path: str, accept: dict[str, str], status: int, text: str | None
) -> None:
    async with TestClient(front_end) as client:
        response = await client.request(method, path, headers=accept)
    assert response.status == status
    if text is not None:
        assert response.text == text
    else:
        assert response.problem.status == status
    if text == "<html>" and path != "/":
        assert response.headers["cache-control"] == "no-cache"
        assert response.headers["vary"] == "Accept"


async def test_the_page_of_a_front_end_has_validators(front_end: App) -> None:
    async with TestClient(front_end, headers=BROWSER) as client:
        etag = (await client.get("/a/b")).headers["etag"]
        assert (await client.get("/c/d", headers={"if-none-match": etag})).status == 304


async def test_a_fallback_that_was_deleted_is_404(front_end: App, tmp_path: Path) -> None:
    (tmp_path / "index.html").unlink()
    async with TestClient(front_end, headers=BROWSER) as client:
        assert (await client.get("/a/b")).status == 404


def test_a_fallback_that_is_not_there_is_told_at_start(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="build the front end"):
        StaticFiles(tmp_path, fallback="index.html")
