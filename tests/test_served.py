"""The quickstart over real sockets: a real client, and hypercorn, uvicorn and granian alike."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parent.parent
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module", params=["hypercorn", "uvicorn", "granian"])
def client(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """A client of the quickstart, seeded as `make run` does it, in a folder of its own."""
    folder = tmp_path_factory.mktemp(request.param)
    for name in ("app.py", "serve.py"):
        shutil.copy(ROOT / "examples/quickstart" / name, folder)
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(
        [sys.executable, "-c", "import asyncio, serve; asyncio.run(serve.seed())"],
        cwd=folder,
        env=env,
        check=True,
        timeout=60,
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "swift",
        "run",
        "app:asgi",
        "--server",
        request.param,
        "--port",
        str(port),
    ]
    process = subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            deadline = time.monotonic() + 60
            while True:
                try:
                    client.get("/openapi.json")
                    break
                except httpx.TransportError:
                    assert process.poll() is None, process.communicate()[0].decode()
                    assert time.monotonic() < deadline, "the server does not answer"
                    time.sleep(0.1)
            yield client
    finally:
        process.terminate()
        output = process.communicate(timeout=60)[0].decode()
    assert process.returncode == 0, output


def test_the_six_actions_of_a_resource(client: httpx.Client) -> None:
    created = client.post("/api/users", json={"name": "Edith Clarke", "age": 38})
    assert created.status_code == 201
    user = created.json()
    assert {**user, "id": 0, "joined_at": ""} == {
        "id": 0, "name": "Edith Clarke", "age": 38, "is_active": True, "joined_at": "",
    }  # fmt: skip
    path = f"/api/users/{user['id']}"

    assert client.get(path).json() == user
    replaced = client.put(path, json={"name": "E. Clarke", "age": 39, "joined_at": user["joined_at"]})
    assert (replaced.status_code, replaced.json()) == (200, {**user, "name": "E. Clarke", "age": 39})
    patched = client.patch(path, json={"is_active": False})
    assert (patched.status_code, patched.json()) == (200, {**replaced.json(), "is_active": False})

    page = client.get("/api/users", params={"page_size": 2}).json()
    assert page["count"] >= 6
    assert len(page["results"]) == 2
    assert client.get(page["next"]).json()["previous"] is not None

    gone = client.delete(path)
    assert (gone.status_code, gone.content) == (204, b"")
    assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "headers", "content", "status"),
    [
        ("POST", "/api/users", JSON, b'{"name": "x", ', 400),
        ("POST", "/api/users", JSON, b'{"name": "\xff", "age": 1}', 400),
        ("POST", "/api/users", JSON, b"[" * 100_000, 400),
        ("POST", "/api/users", JSON, b'{"name": "x", "age": NaN}', 400),
        ("POST", "/api/users", JSON, b'{"name": "x", "age": ' + b"9" * 5000 + b"}", 422),
        ("POST", "/api/users", JSON, b'{"name": 1, "age": -1}', 422),
        ("POST", "/api/users", {"content-type": "text/plain"}, b'{"name": "x", "age": 1}', 415),
        ("POST", "/api/users", JSON, b'{"name": "' + b"x" * (11 * 2**20) + b'", "age": 1}', 413),
        ("GET", "/api/users", {"accept": "image/png"}, b"", 406),
        ("GET", "/api/users?page=x", {}, b"", 422),
        ("GET", "/api/users/999999", {}, b"", 404),
        ("GET", "/api/users/abc", {}, b"", 404),
        ("GET", "/nowhere", {}, b"", 404),
        ("DELETE", "/api/users", {}, b"", 405),
    ],
)
def test_every_fault_of_a_request_is_a_problem(
    client: httpx.Client, method: str, path: str, headers: dict[str, str], content: bytes, status: int
) -> None:
    try:
        answer = client.request(method, path, headers=headers, content=content)
    except (httpx.WriteError, httpx.ReadError):
        # 413 comes before the body is read to its end; a server may then close while the client still writes.
        assert status == 413
        return
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["title"]
    if status == 422:
        assert all(error["pointer"].startswith(("/body/", "/query/")) for error in problem["errors"])


def test_a_method_that_is_not_served_names_those_that_are(client: httpx.Client) -> None:
    assert client.delete("/api/users").headers["allow"] == "GET, HEAD, OPTIONS, POST"
    options = client.options("/api/users/1")
    assert (options.status_code, options.headers["allow"]) == (204, "DELETE, GET, HEAD, OPTIONS, PATCH, PUT")


def test_head_is_answered_from_get(client: httpx.Client) -> None:
    head, get = client.head("/api/users/1"), client.get("/api/users/1")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == get.headers["content-length"] == str(len(get.content))


def test_the_documentation_is_served(client: httpx.Client) -> None:
    assert client.get("/openapi.json").json()["paths"]["/api/users"]["get"]["operationId"] == "users_list"
    page = client.get("/docs")
    assert page.status_code == 200
    assert "script-src 'self'" in page.headers["content-security-policy"]
    script = client.get("/docs/assets/swagger-ui-bundle.js")
    assert script.headers["content-type"].startswith("text/javascript")
    assert len(script.content) > 1_000_000
