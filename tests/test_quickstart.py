"""The quickstart as its readers meet it: real servers, real sockets, a real client."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from test_cli import PATIENCE, SERVERS, Server, environment, free_port, running

ROOT = Path(__file__).parent.parent
QUICKSTART = ROOT / "examples" / "quickstart"
JSON = {"content-type": "application/json"}
PROBLEM = "application/problem+json"
CLIENTS = 50
DUNE = {"title": "Dune", "author": "Frank Herbert", "pages": 412}


def search_path() -> str:
    """Where `app` is found from any working directory, and Swift with it."""
    return os.pathsep.join([str(QUICKSTART), environment()["PYTHONPATH"]])


def token_of(client: httpx.Client, name: str, password: str = "a long password") -> dict[str, str]:
    """The header of a member, who registers unless the name is taken."""
    credentials = {"name": name, "password": password}
    assert client.post("/api/members", json=credentials).status_code in (201, 409)
    answer = client.post("/api/token", json=credentials)
    assert answer.status_code == 200, answer.text
    return {"authorization": f"Bearer {answer.json()['access_token']}"}


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The quickstart on one of the servers, with a database of its own."""
    cwd = tmp_path_factory.mktemp(request.param)
    with running(cwd, "app:asgi", "--server", request.param, PYTHONPATH=search_path()) as server:
        server.wait_until_ready()
        yield server
        assert server.stop() == 0, server.output
        assert "Traceback" not in server.output
        assert (cwd / "library.db").exists()


@pytest.fixture(scope="module")
def ada(server: Server) -> dict[str, str]:
    return token_of(server.client, "ada")


@pytest.fixture(scope="module")
def bob(server: Server) -> dict[str, str]:
    return token_of(server.client, "bob")


@pytest.fixture
def client(server: Server, ada: dict[str, str]) -> httpx.Client:
    """Ada's client."""
    server.client.headers.update(ada)
    return server.client


@pytest.fixture
def dune(client: httpx.Client) -> dict[str, Any]:
    """A book of Ada's."""
    answer = client.post("/api/books", json=DUNE)
    assert answer.status_code == 201
    made: dict[str, Any] = answer.json()
    return made


def problem_of(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == PROBLEM
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == status
    return problem


# The six actions


def test_a_book_is_created_read_changed_replaced_and_deleted(client: httpx.Client) -> None:
    created = client.post("/api/books", json={"title": "Emma", "author": "Jane Austen", "pages": 474})
    assert created.status_code == 201
    book = created.json()
    assert list(book) == ["id", "title", "author", "pages", "in_print", "owner_id"]
    url = f"/api/books/{book['id']}"
    assert client.get(url).json() == book

    changed = client.patch(url, json={"pages": 475})
    assert (changed.status_code, changed.json()) == (200, {**book, "pages": 475})
    replaced = client.put(url, json={"title": "Emma II", "author": "J. A.", "pages": 3, "in_print": False})
    expected = {**book, "title": "Emma II", "author": "J. A.", "pages": 3, "in_print": False}
    assert (replaced.status_code, replaced.json()) == (200, expected)
    assert client.get(url).json() == expected
    # What is left out of a replacement has its default again, and what is read-only stays.
    again = client.put(url, json={"title": "Emma", "author": "J. A.", "pages": 3, "owner_id": 999})
    assert again.json() == {**expected, "title": "Emma", "in_print": True}

    deleted = client.delete(url)
    assert (deleted.status_code, deleted.content) == (204, b"")
    problem_of(client.get(url), 404)


def test_books_are_listed_page_by_page(client: httpx.Client) -> None:
    for number in range(25):
        client.post("/api/books", json={**DUNE, "pages": number + 1})
    seen: list[int] = []
    url = "/api/books?page_size=10"
    while url:
        page = client.get(url).json()
        seen += [book["id"] for book in page["results"]]
        url = page["next"]
        assert url is None or url.startswith(str(client.base_url))
    assert len(seen) == len(set(seen)) == page["count"] >= 25
    assert seen == sorted(seen)


def test_head_is_get_without_its_body(client: httpx.Client, dune: dict[str, Any]) -> None:
    url = f"/api/books/{dune['id']}"
    head, get = client.head(url), client.get(url)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(get.content))


def test_options_tells_the_methods(client: httpx.Client, dune: dict[str, Any]) -> None:
    answer = client.options("/api/books")
    assert (answer.status_code, answer.headers["allow"]) == (204, "GET, HEAD, OPTIONS, POST")
    answer = client.options(f"/api/books/{dune['id']}")
    assert answer.headers["allow"] == "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"


def test_the_other_slash_leads_to_the_list(client: httpx.Client) -> None:
    answer = client.get("/api/books/", params={"page_size": 1}, follow_redirects=True)
    assert [step.status_code for step in answer.history] == [308]
    assert len(answer.json()["results"]) <= 1


# What is refused, and that the connection is good for the next request


@pytest.mark.parametrize("body", [b"", b"{", b'{"pages": NaN}', b"\xff\xfe", b"[" * 5000])
def test_400_for_what_is_no_json(client: httpx.Client, body: bytes) -> None:
    problem_of(client.post("/api/books", content=body, headers=JSON), 400)
    assert client.get("/api/books").status_code == 200


@pytest.mark.parametrize(
    "path", ["/", "/api", "/api/book", "/api/books/0", "/api/books/dune", "/api/books/1/x"]
)
def test_404_for_what_is_not_there(client: httpx.Client, path: str) -> None:
    problem_of(client.get(path), 404)


def test_405_with_the_methods_that_are_served(client: httpx.Client, dune: dict[str, Any]) -> None:
    answer = client.delete("/api/books")
    problem_of(answer, 405)
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS, POST"
    problem_of(client.post(f"/api/books/{dune['id']}", json={}), 405)


def test_406_for_who_accepts_no_json(client: httpx.Client, dune: dict[str, Any]) -> None:
    problem_of(client.get("/api/books", headers={"accept": "text/html"}), 406)
    assert client.get("/api/books", headers={"accept": "text/html, */*;q=0.1"}).status_code == 200


def test_413_for_a_body_that_is_announced_as_too_large(client: httpx.Client) -> None:
    body = b'{"title": "' + b"a" * (11 * 2**20) + b'"}'
    refused_as_too_large(client, body)


def test_413_for_a_body_that_grows_too_large(client: httpx.Client) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(11 * 16):
            yield b" " * 2**16

    refused_as_too_large(client, chunks())


def refused_as_too_large(client: httpx.Client, content: Any) -> None:
    # A connection of its own: a server may close it, unannounced, rather than read what is left of the body.
    url = client.base_url.join("/api/books")
    headers = {**client.headers, **JSON}
    problem_of(httpx.post(url, content=content, headers=headers, timeout=PATIENCE), 413)
    assert client.get("/api/books").status_code == 200


@pytest.mark.parametrize("media_type", ["text/plain", "application/xml", "application/x-www-form-urlencoded"])
def test_415_for_a_body_of_another_type(client: httpx.Client, media_type: str) -> None:
    answer = client.post("/api/books", content=b"name=Ada", headers={"content-type": media_type})
    problem_of(answer, 415)
    assert answer.headers["accept"] == "application/json"


@pytest.mark.parametrize(
    ("values", "pointers"),
    [
        ({}, {"/body/title", "/body/author", "/body/pages"}),
        ({"title": "", "author": "", "pages": 0}, {"/body/title", "/body/pages"}),
        (
            {**DUNE, "title": 3, "pages": "many", "in_print": "yes"},
            {"/body/title", "/body/pages", "/body/in_print"},
        ),
        ({**DUNE, "title": None, "pages": None}, {"/body/title", "/body/pages"}),
        ({**DUNE, "author": "\0"}, {"/body/author"}),
        ({**DUNE, "pages": int("9" * 400)}, {"/body/pages"}),
    ],
)
def test_422_with_every_fault_at_once(
    client: httpx.Client, dune: dict[str, Any], values: dict[str, Any], pointers: set[str]
) -> None:
    for method, path in (("POST", "/api/books"), ("PUT", f"/api/books/{dune['id']}")):
        problem = problem_of(client.request(method, path, json=values), 422)
        assert {error["pointer"] for error in problem["errors"]} == pointers
    assert client.get(f"/api/books/{dune['id']}").json() == dune


def test_422_for_a_wrong_page(client: httpx.Client) -> None:
    problem = problem_of(client.get("/api/books?page=0&page_size=many"), 422)
    assert [error["pointer"] for error in problem["errors"]] == ["/query/page", "/query/page_size"]


# Who may do what


def test_a_stranger_reads_and_no_more(server: Server, dune: dict[str, Any]) -> None:
    url = f"/api/books/{dune['id']}"
    with httpx.Client(base_url=server.client.base_url, timeout=PATIENCE) as nobody:
        assert nobody.get(url).status_code == nobody.get("/api/books").status_code == 200
        for method, path in (("POST", "/api/books"), ("PUT", url), ("PATCH", url), ("DELETE", url)):
            answer = nobody.request(method, path, json=DUNE)
            problem_of(answer, 401)
            assert answer.headers["www-authenticate"] == "Bearer"
        problem_of(nobody.post(f"{url}/withdraw"), 401)
        problem_of(nobody.get(url, headers={"authorization": "Bearer forged"}), 401)


def test_a_book_is_kept_from_who_did_not_add_it(
    client: httpx.Client, dune: dict[str, Any], bob: dict[str, str]
) -> None:
    url = f"/api/books/{dune['id']}"
    for method in ("PUT", "PATCH", "DELETE"):
        problem_of(client.request(method, url, json=DUNE, headers=bob), 403)
    problem_of(client.post(f"{url}/withdraw", headers=bob), 403)
    assert client.get(url, headers=bob).json() == dune

    withdrawn = client.post(f"{url}/withdraw")
    assert (withdrawn.status_code, withdrawn.json()) == (200, {**dune, "in_print": False})
    assert client.delete(url).status_code == 204


def test_a_name_is_taken_once_and_a_password_is_never_shown(client: httpx.Client) -> None:
    credentials = {"name": "grace", "password": "a nanosecond of wire"}
    first = client.post("/api/members", json={**credentials, "is_admin": True})
    assert (first.status_code, list(first.json())) == (201, ["id", "name", "is_admin"])
    assert first.json()["is_admin"] is False
    problem_of(client.post("/api/members", json=credentials), 409)
    problem_of(client.post("/api/members", json={"name": "g", "password": "short"}), 422)
    for wrong in ({"password": "a guess of mine"}, {"name": "nobody"}):
        problem = problem_of(client.post("/api/token", json={**credentials, **wrong}), 401)
        assert problem["detail"] == "The name or the password is wrong."


# Lists


@pytest.fixture
def shelf(client: httpx.Client) -> Iterator[str]:
    """The author of three books, and what else the library holds does not matter."""
    author = "Ursula K. Le Guin"
    urls = []
    for title, pages in (
        ("The Dispossessed", 341),
        ("A Wizard of Earthsea", 205),
        ("The Lathe of Heaven", 184),
    ):
        book = client.post("/api/books", json={"title": title, "author": author, "pages": pages}).json()
        urls.append(f"/api/books/{book['id']}")
    client.post(f"{urls[0]}/withdraw")
    yield author
    for url in urls:
        client.delete(url)


@pytest.mark.parametrize(
    ("query", "titles"),
    [
        ({"ordering": "title"}, ["A Wizard of Earthsea", "The Dispossessed", "The Lathe of Heaven"]),
        ({"ordering": "-pages"}, ["The Dispossessed", "A Wizard of Earthsea", "The Lathe of Heaven"]),
        ({"pages__gte": 200, "ordering": "pages"}, ["A Wizard of Earthsea", "The Dispossessed"]),
        ({"pages__gte": 200, "pages__lte": 300}, ["A Wizard of Earthsea"]),
        ({"in_print": "false"}, ["The Dispossessed"]),
        ({"search": "lathe"}, ["The Lathe of Heaven"]),
        ({"search": "guin wizard"}, ["A Wizard of Earthsea"]),
        ({"search": "nothing of the kind"}, []),
    ],
)
def test_lists_are_filtered_searched_and_ordered(
    client: httpx.Client, shelf: str, query: dict[str, Any], titles: list[str]
) -> None:
    page = client.get("/api/books", params={"author__icontains": "le guin", **query}).json()
    assert [book["title"] for book in page["results"]] == titles
    assert page["count"] == len(titles)


def test_the_pages_of_a_filtered_list_stay_filtered(client: httpx.Client, shelf: str) -> None:
    page = client.get("/api/books", params={"author": shelf, "ordering": "pages", "page_size": 2}).json()
    assert (page["count"], len(page["results"]), page["previous"]) == (3, 2, None)
    rest = client.get(page["next"]).json()
    assert [book["title"] for book in rest["results"]] == ["The Dispossessed"]
    assert rest["next"] is None
    problem_of(client.get("/api/books", params={"author": shelf, "page": 3}), 404)


@pytest.mark.parametrize(
    ("query", "pointers"),
    [
        ("pages__gte=many", ["/query/pages__gte"]),
        ("in_print=perhaps&pages__lte=", ["/query/in_print", "/query/pages__lte"]),
        ("title=Dune", ["/query/title"]),
        ("pages__gt=3", ["/query/pages__gt"]),
        ("ordering=owner_id", ["/query/ordering"]),
    ],
)
def test_400_for_a_filter_that_there_is_not(client: httpx.Client, query: str, pointers: list[str]) -> None:
    problem = problem_of(client.get(f"/api/books?{query}"), 400)
    assert sorted({error["pointer"].rsplit("/0")[0] for error in problem["errors"]}) == pointers


# The documentation


def test_the_document_is_valid_and_names_the_operations(client: httpx.Client) -> None:
    answer = client.get("/openapi.json")
    assert answer.status_code == 200
    document = answer.json()
    OpenAPIV31SpecValidator(document).validate()
    operations = {
        operation["operationId"] for item in document["paths"].values() for operation in item.values()
    }
    actions = ("list", "create", "retrieve", "update", "partial_update", "destroy", "withdraw")
    assert operations == {"log_in", "members_create", *(f"books_{action}" for action in actions)}
    assert document["components"]["securitySchemes"] == {
        "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    }


def test_the_page_of_the_documentation_is_whole_without_a_network(client: httpx.Client) -> None:
    page = client.get("/docs")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "Library" in page.text
    loaded = re.findall(r'<(?:script|link)[^>]+(?:src|href)="([^"]+)"', page.text)
    assert not [url for url in loaded if "//" in url]
    for url in loaded:
        if not url.startswith("data:"):
            assert client.get(str(httpx.URL(str(page.url)).join(url))).status_code == 200


# Many at once


def test_of_fifty_clients_at_once_no_book_is_lost(server: Server, ada: dict[str, str]) -> None:
    before = server.client.get("/api/books").json()["count"]

    async def one(number: int) -> list[int]:
        base_url = server.client.base_url
        async with httpx.AsyncClient(base_url=base_url, headers=ada, timeout=PATIENCE) as client:
            made = []
            for turn in range(3):
                title = f"Client {number}.{turn}"
                answer = await client.post("/api/books", json={**DUNE, "title": title})
                assert answer.status_code == 201
                made.append(answer.json()["id"])
            for id in made:
                assert (await client.get(f"/api/books/{id}")).status_code == 200
            return made

    async def all_of_them() -> list[list[int]]:
        return await asyncio.gather(*(one(number) for number in range(CLIENTS)))

    ids = [id for made in asyncio.run(all_of_them()) for id in made]
    assert len(set(ids)) == CLIENTS * 3
    assert server.client.get("/api/books").json()["count"] == before + CLIENTS * 3


def test_of_changes_at_once_each_stays(server: Server, ada: dict[str, str]) -> None:
    made = [server.client.post("/api/books", json=DUNE, headers=ada) for _ in range(10)]
    books = [answer.json()["id"] for answer in made]

    def change(book: int, changes: dict[str, Any]) -> int:
        url = server.client.base_url.join(f"/api/books/{book}")
        return httpx.patch(url, json=changes, headers=ada, timeout=PATIENCE).status_code

    with ThreadPoolExecutor(10) as pool:
        futures = [
            pool.submit(change, book, changes)
            for book in books
            for changes in ({"title": f"Book {book}"}, {"pages": 99}, {"in_print": False})
        ]
        assert {future.result() for future in futures} == {200}
    for book in books:
        found = server.client.get(f"/api/books/{book}").json()
        assert (found["title"], found["pages"], found["in_print"]) == (f"Book {book}", 99, False)


# Where the books are kept, and how it is served


def test_a_database_url_says_where_the_books_are_kept(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/elsewhere/books.db"
    with running(tmp_path, "app:asgi", PYTHONPATH=search_path(), DATABASE_URL=url) as server:
        server.wait_until_ready()
        ada = token_of(server.client, "ada")
        assert server.client.post("/api/books", json=DUNE, headers=ada).status_code == 201
        assert server.stop() == 0
    assert (tmp_path / "elsewhere" / "books.db").exists()
    assert not (tmp_path / "library.db").exists()


@pytest.mark.parametrize(
    "command",
    [
        ("hypercorn", "app:asgi", "--bind", "127.0.0.1:{port}"),
        ("uvicorn", "app:asgi", "--port", "{port}"),
        ("granian", "--interface", "asgi", "app:asgi", "--port", "{port}"),
    ],
    ids=SERVERS,
)
def test_the_servers_own_commands_serve_it_too(command: tuple[str, ...], tmp_path: Path) -> None:
    port = free_port()
    arguments = [part.format(port=port) for part in command]
    with started([sys.executable, "-m", *arguments], tmp_path, port, PYTHONPATH=search_path()) as server:
        ada = token_of(server.client, "ada")
        assert server.client.post("/api/books", json=DUNE, headers=ada).status_code == 201
        assert server.client.get("/api/books").json()["count"] == 1


def test_several_workers_share_the_books(tmp_path: Path) -> None:
    secret = {"SECRET_KEY": "known to every worker, of 32 bytes or more"}
    with running(tmp_path, "app:asgi", "--workers", "2", PYTHONPATH=search_path(), **secret) as server:
        server.wait_until_ready()
        ada = token_of(server.client, "ada")
        with ThreadPoolExecutor(8) as pool:
            url = server.client.base_url.join("/api/books")
            answers = pool.map(
                lambda n: httpx.post(url, json={**DUNE, "pages": n}, headers=ada, timeout=PATIENCE),
                range(1, 41),
            )
            assert {answer.status_code for answer in answers} == {201}
        assert server.client.get("/api/books").json()["count"] == 40
        assert server.stop() == 0


# What `make run` does


@contextmanager
def started(command: list[str], cwd: Path, port: int, **variables: str) -> Iterator[Server]:
    """A process that serves at `port`, once it does; ended by its id."""
    log = cwd / "server.log"
    with (
        log.open("ab") as output,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE) as client,
        subprocess.Popen(
            command, cwd=cwd, env=environment(**variables), stdout=output, stderr=subprocess.STDOUT
        ) as process,
    ):
        server = Server(process, log, client, ("127.0.0.1", port))
        try:
            server.wait_until_ready()
            yield server
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()


@contextmanager
def make_run(cwd: Path) -> Iterator[Server]:
    port = free_port()
    command = [sys.executable, str(QUICKSTART / "serve.py")]
    with started(command, cwd, port, PORT=str(port), HOST="127.0.0.1") as server:
        yield server


def test_make_run_prints_the_urls_to_open(tmp_path: Path) -> None:
    with make_run(tmp_path) as server:
        urls = re.findall(r"http://\S+/\S+", server.output)
        base = str(server.client.base_url).rstrip("/")
        assert urls == [f"{base}/api/books", f"{base}/docs"]
        assert [httpx.get(url).status_code for url in urls] == [200, 200]


def test_make_run_puts_books_in_once(tmp_path: Path) -> None:
    with make_run(tmp_path) as server:
        page = server.client.get("/api/books").json()
        assert (page["count"], page["results"][1]["title"]) == (5, "Dune")
        librarian = {"name": "librarian", "password": "open sesame"}
        token = server.client.post("/api/token", json=librarian).json()["access_token"]
        bearer = {"authorization": f"Bearer {token}"}
        # An administrator changes what others added, and what the seed added.
        book = server.client.post("/api/books", json=DUNE, headers=token_of(server.client, "ada")).json()
        assert server.client.post(f"/api/books/{book['id']}/withdraw", headers=bearer).status_code == 200
        assert server.stop() == 0
    with make_run(tmp_path) as server:
        page = server.client.get("/api/books").json()
        assert (page["count"], page["results"][-1]["in_print"]) == (6, False)


def children_of(pid: int) -> list[int]:
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False
    )
    return [int(word) for word in listed.stdout.split()]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_make_run_ends_with_everything_it_started(tmp_path: Path, number: int) -> None:
    with make_run(tmp_path) as server:
        started_by_it = children_of(server.process.pid)
        server.client.get("/api/books")
        assert server.stop(number) == 0, server.output
        assert not server.listens()
        assert not [pid for pid in started_by_it if is_alive(pid)]
        assert "Traceback" not in server.output
        # The database was closed: nothing of its log is left to be merged.
        assert not (tmp_path / "library.db-wal").exists()


def test_make_run_serves_the_example(tmp_path: Path) -> None:
    makefile = (QUICKSTART.parent.parent / "Makefile").read_text()
    assert re.search(
        r"cd examples/quickstart && HOST=\$\(HOST\) PORT=\$\(PORT\) .+/python serve\.py", makefile
    )
