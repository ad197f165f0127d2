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

QUICKSTART = Path(__file__).parent.parent / "examples" / "quickstart"
JSON = {"content-type": "application/json"}
PROBLEM = "application/problem+json"
CLIENTS = 50


def search_path() -> str:
    """Where `app` is found from any working directory, and Swift with it."""
    return os.pathsep.join([str(QUICKSTART), environment()["PYTHONPATH"]])


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The quickstart on one of the servers, with a database of its own."""
    cwd = tmp_path_factory.mktemp(request.param)
    with running(cwd, "app:asgi", "--server", request.param, PYTHONPATH=search_path()) as server:
        server.wait_until_ready()
        yield server
        assert server.stop() == 0, server.output
        assert "Traceback" not in server.output
        assert (cwd / "quickstart.db").exists()


@pytest.fixture
def client(server: Server) -> httpx.Client:
    return server.client


@pytest.fixture
def ada(client: httpx.Client) -> dict[str, Any]:
    answer = client.post("/api/users", json={"name": "Ada Lovelace", "age": 36})
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


def test_a_user_is_created_read_changed_replaced_and_deleted(client: httpx.Client) -> None:
    created = client.post("/api/users", json={"name": "Grace Hopper", "age": 37})
    assert created.status_code == 201
    user = created.json()
    assert list(user) == ["id", "name", "age", "is_active", "joined_at"]
    url = f"/api/users/{user['id']}"
    assert client.get(url).json() == user

    changed = client.patch(url, json={"age": 38})
    assert (changed.status_code, changed.json()) == (200, {**user, "age": 38})
    replaced = client.put(url, json={"name": "Rear Admiral Hopper", "age": 79, "is_active": False})
    expected = {**user, "name": "Rear Admiral Hopper", "age": 79, "is_active": False}
    assert (replaced.status_code, replaced.json()) == (200, expected)
    assert client.get(url).json() == expected

    deleted = client.delete(url)
    assert (deleted.status_code, deleted.content) == (204, b"")
    problem_of(client.get(url), 404)


def test_users_are_listed_page_by_page(client: httpx.Client) -> None:
    for number in range(25):
        client.post("/api/users", json={"name": f"Page {number}", "age": number})
    seen: list[int] = []
    url = "/api/users?page_size=10"
    while url:
        page = client.get(url).json()
        seen += [user["id"] for user in page["results"]]
        url = page["next"]
        assert url is None or url.startswith(str(client.base_url))
    assert len(seen) == len(set(seen)) == page["count"] >= 25
    assert seen == sorted(seen)


def test_head_is_get_without_its_body(client: httpx.Client, ada: dict[str, Any]) -> None:
    url = f"/api/users/{ada['id']}"
    head, get = client.head(url), client.get(url)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(get.content))


def test_options_tells_the_methods(client: httpx.Client, ada: dict[str, Any]) -> None:
    answer = client.options("/api/users")
    assert (answer.status_code, answer.headers["allow"]) == (204, "GET, HEAD, OPTIONS, POST")
    answer = client.options(f"/api/users/{ada['id']}")
    assert answer.headers["allow"] == "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"


def test_the_other_slash_leads_to_the_list(client: httpx.Client) -> None:
    answer = client.get("/api/users/", params={"page_size": 1}, follow_redirects=True)
    assert [step.status_code for step in answer.history] == [308]
    assert len(answer.json()["results"]) <= 1


# What is refused, and that the connection is good for the next request


@pytest.mark.parametrize("body", [b"", b"{", b'{"name": NaN}', b"\xff\xfe", b"[" * 5000])
def test_400_for_what_is_no_json(client: httpx.Client, body: bytes) -> None:
    problem_of(client.post("/api/users", content=body, headers=JSON), 400)
    assert client.get("/api/users").status_code == 200


@pytest.mark.parametrize(
    "path", ["/", "/api", "/api/user", "/api/users/0", "/api/users/ada", "/api/users/1/x"]
)
def test_404_for_what_is_not_there(client: httpx.Client, path: str) -> None:
    problem_of(client.get(path), 404)


def test_405_with_the_methods_that_are_served(client: httpx.Client, ada: dict[str, Any]) -> None:
    answer = client.delete("/api/users")
    problem_of(answer, 405)
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS, POST"
    problem_of(client.post(f"/api/users/{ada['id']}", json={}), 405)


def test_406_for_who_accepts_no_json(client: httpx.Client, ada: dict[str, Any]) -> None:
    problem_of(client.get("/api/users", headers={"accept": "text/html"}), 406)
    assert client.get("/api/users", headers={"accept": "text/html, */*;q=0.1"}).status_code == 200


def test_413_for_a_body_that_is_announced_as_too_large(client: httpx.Client) -> None:
    body = b'{"name": "' + b"a" * (11 * 2**20) + b'", "age": 1}'
    refused_as_too_large(client, body)


def test_413_for_a_body_that_grows_too_large(client: httpx.Client) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(11 * 16):
            yield b" " * 2**16

    refused_as_too_large(client, chunks())


def refused_as_too_large(client: httpx.Client, content: Any) -> None:
    # A connection of its own: a server may close it, unannounced, rather than read what is left of the body.
    url = client.base_url.join("/api/users")
    problem_of(httpx.post(url, content=content, headers=JSON, timeout=PATIENCE), 413)
    assert client.get("/api/users").status_code == 200


@pytest.mark.parametrize("media_type", ["text/plain", "application/xml", "application/x-www-form-urlencoded"])
def test_415_for_a_body_of_another_type(client: httpx.Client, media_type: str) -> None:
    answer = client.post("/api/users", content=b"name=Ada", headers={"content-type": media_type})
    problem_of(answer, 415)
    assert answer.headers["accept"] == "application/json"


@pytest.mark.parametrize(
    ("values", "pointers"),
    [
        ({}, {"/body/name", "/body/age"}),
        ({"name": "", "age": 151}, {"/body/name", "/body/age"}),
        ({"name": 3, "age": "old", "is_active": "yes"}, {"/body/name", "/body/age", "/body/is_active"}),
        ({"name": None, "age": None}, {"/body/name", "/body/age"}),
        ({"name": "\0", "age": 3}, {"/body/name"}),
    ],
)
def test_422_with_every_fault_at_once(
    client: httpx.Client, ada: dict[str, Any], values: dict[str, Any], pointers: set[str]
) -> None:
    for method, path in (("POST", "/api/users"), ("PUT", f"/api/users/{ada['id']}")):
        problem = problem_of(client.request(method, path, json=values), 422)
        assert {error["pointer"] for error in problem["errors"]} == pointers
    assert client.get(f"/api/users/{ada['id']}").json() == ada


def test_422_for_a_wrong_page(client: httpx.Client) -> None:
    problem = problem_of(client.get("/api/users?page=0&page_size=many"), 422)
    assert [error["pointer"] for error in problem["errors"]] == ["/query/page", "/query/page_size"]


# The documentation


def test_the_document_is_valid_and_names_the_operations(client: httpx.Client) -> None:
    answer = client.get("/openapi.json")
    assert answer.status_code == 200
    document = answer.json()
    OpenAPIV31SpecValidator(document).validate()
    operations = {
        operation["operationId"] for item in document["paths"].values() for operation in item.values()
    }
    assert operations == {
        f"users_{action}" for action in ("list", "create", "retrieve", "update", "partial_update", "destroy")
    }


def test_the_page_of_the_documentation_is_whole_without_a_network(client: httpx.Client) -> None:
    page = client.get("/docs")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "Quickstart" in page.text
    loaded = re.findall(r'<(?:script|link)[^>]+(?:src|href)="([^"]+)"', page.text)
    assert not [url for url in loaded if "//" in url]
    for url in loaded:
        if not url.startswith("data:"):
            assert client.get(str(httpx.URL(str(page.url)).join(url))).status_code == 200


# Many at once


def test_of_fifty_clients_at_once_no_user_is_lost(server: Server) -> None:
    before = server.client.get("/api/users").json()["count"]

    async def one(number: int) -> list[int]:
        base_url = server.client.base_url
        async with httpx.AsyncClient(base_url=base_url, timeout=PATIENCE) as client:
            made = []
            for turn in range(3):
                answer = await client.post(
                    "/api/users", json={"name": f"Client {number}.{turn}", "age": number}
                )
                assert answer.status_code == 201
                made.append(answer.json()["id"])
            for id in made:
                assert (await client.get(f"/api/users/{id}")).status_code == 200
            return made

    async def all_of_them() -> list[list[int]]:
        return await asyncio.gather(*(one(number) for number in range(CLIENTS)))

    ids = [id for made in asyncio.run(all_of_them()) for id in made]
    assert len(set(ids)) == CLIENTS * 3
    assert server.client.get("/api/users").json()["count"] == before + CLIENTS * 3


def test_of_changes_at_once_each_stays(server: Server) -> None:
    users = [server.client.post("/api/users", json={"name": "New", "age": 0}).json()["id"] for _ in range(10)]

    def change(user: int, changes: dict[str, Any]) -> int:
        return httpx.patch(
            server.client.base_url.join(f"/api/users/{user}"), json=changes, timeout=PATIENCE
        ).status_code

    with ThreadPoolExecutor(10) as pool:
        futures = [
            pool.submit(change, user, changes)
            for user in users
            for changes in ({"name": f"User {user}"}, {"age": 99}, {"is_active": False})
        ]
        assert {future.result() for future in futures} == {200}
    for user in users:
        found = server.client.get(f"/api/users/{user}").json()
        assert (found["name"], found["age"], found["is_active"]) == (f"User {user}", 99, False)


# Where the users are kept, and how it is served


def test_a_database_url_says_where_the_users_are_kept(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/elsewhere/users.db"
    with running(tmp_path, "app:asgi", PYTHONPATH=search_path(), DATABASE_URL=url) as server:
        server.wait_until_ready()
        assert server.client.post("/api/users", json={"name": "Ada", "age": 36}).status_code == 201
        assert server.stop() == 0
    assert (tmp_path / "elsewhere" / "users.db").exists()
    assert not (tmp_path / "quickstart.db").exists()


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
        assert server.client.post("/api/users", json={"name": "Ada", "age": 36}).status_code == 201
        assert server.client.get("/api/users").json()["count"] == 1


def test_several_workers_share_the_users(tmp_path: Path) -> None:
    with running(tmp_path, "app:asgi", "--workers", "2", PYTHONPATH=search_path()) as server:
        server.wait_until_ready()
        with ThreadPoolExecutor(8) as pool:
            url = server.client.base_url.join("/api/users")
            answers = pool.map(
                lambda n: httpx.post(url, json={"name": f"{n}", "age": n}, timeout=PATIENCE), range(40)
            )
            assert {answer.status_code for answer in answers} == {201}
        assert server.client.get("/api/users").json()["count"] == 40
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
        assert urls == [f"{base}/api/users", f"{base}/docs"]
        assert [httpx.get(url).status_code for url in urls] == [200, 200]


def test_make_run_puts_users_in_once(tmp_path: Path) -> None:
    with make_run(tmp_path) as server:
        page = server.client.get("/api/users").json()
        assert page["count"] == 5
        assert page["results"][0]["name"] == "Ada Lovelace"
        server.client.post("/api/users", json={"name": "Sixth", "age": 6})
        assert server.stop() == 0
    with make_run(tmp_path) as server:
        page = server.client.get("/api/users").json()
        assert page["count"] == 6
        assert page["results"][-1]["name"] == "Sixth"


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
        server.client.get("/api/users")
        assert server.stop(number) == 0, server.output
        assert not server.listens()
        assert not [pid for pid in started_by_it if is_alive(pid)]
        assert "Traceback" not in server.output
        # The database was closed: nothing of its log is left to be merged.
        assert not (tmp_path / "quickstart.db-wal").exists()


def test_make_run_serves_the_example(tmp_path: Path) -> None:
    makefile = (QUICKSTART.parent.parent / "Makefile").read_text()
    assert re.search(
        r"cd examples/quickstart && HOST=\$\(HOST\) PORT=\$\(PORT\) .+/python serve\.py", makefile
    )
