"""Both doors on granian: a table of requests whose answers must be equal, and what each door is for itself."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from swift._speedups.rsgi import address, check_status, text_headers

ROOT = Path(__file__).parent.parent
PATIENCE = 30.0  # seconds for what takes a moment on a machine that is not busy
INTERFACES = ("asgi", "rsgi")


@dataclass
class Served:
    """A granian process and where it listens."""

    process: subprocess.Popen[bytes]
    port: int
    output: Path
    client: httpx.Client

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self.client.request(method, path, **options)

    def connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port))
        connection.settimeout(PATIENCE)
        return connection

    def exchange(self, *parts: bytes) -> bytes:
        """All that is answered to the bytes of a request that ends its connection."""
        with self.connect() as connection:
            for part in parts:
                connection.sendall(part)
                time.sleep(0.05)
            answer = b""
            while chunk := connection.recv(65536):
                answer += chunk
            return answer

    def wait_for_log(self, *expected: str) -> list[str]:
        """What the handlers have noted, once it holds the lines that are waited for."""
        found: list[str] = []
        deadline = time.monotonic() + PATIENCE
        while not set(expected) <= set(found):
            assert time.monotonic() < deadline, f"waited for {expected}, got {found}"
            found += self.ask("GET", "/log").json()
            time.sleep(0.02)
        return found

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(PATIENCE)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def granian(
    folder: Path, interface: str, target: str = "app", *options: str, ready: bool = True, **environment: str
) -> Iterator[Served]:
    port = free_port()
    output = folder / f"{interface}-{port}.log"
    command = [sys.executable, "-m", "granian", "--interface", interface, "--port", str(port)]
    command += [*options, f"rsgi_support:{target}"]
    env = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "RSGI_FOLDER": str(folder), **environment}
    with output.open("wb") as stream:
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=stream, stderr=subprocess.STDOUT)
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE)
    served = Served(process, port, output, client)
    try:
        deadline = time.monotonic() + PATIENCE
        while ready:
            try:
                served.connect().close()
                break
            except OSError:
                assert process.poll() is None, output.read_text()
                assert time.monotonic() < deadline, output.read_text()
                time.sleep(0.05)
        yield served
    finally:
        client.close()
        if process.poll() is None:
            served.stop()


def make_files(folder: Path) -> Path:
    (folder / "small.txt").write_text("small\n")
    (folder / "large.bin").write_bytes(bytes(range(256)) * 4000)
    for name in ("small.txt", "large.bin"):
        os.utime(folder / name, (1_700_000_000, 1_700_000_000))
    return folder


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Served]]:
    """One application behind both interfaces of granian, in one folder: the files are the same."""
    folder = make_files(tmp_path_factory.mktemp("doors"))
    with granian(folder, "asgi") as asgi, granian(folder, "rsgi") as rsgi:
        yield {"asgi": asgi, "rsgi": rsgi}


@pytest.fixture(params=INTERFACES)
def served(request: pytest.FixtureRequest, doors: dict[str, Served]) -> Served:
    door = doors[request.param]
    door.ask("GET", "/log")
    return door


# Equal answers

JSON = {"content-type": "application/json"}
Case = tuple[str, str, dict[str, Any]]


def case(method: str, path: str, **options: Any) -> Case:
    return method, path, options


def chunks(*parts: bytes) -> Callable[[], Iterator[bytes]]:
    """A body without Content-Length."""
    return lambda: iter(parts)


GETS = [
    "/plain", "/json", "/bytes", "/empty", "/nothing", "/waits", "/cookies", "/typed/5?q=a",
    "/stream", "/stream-sync", "/file", "/no-file", "/fails", "/problem", "/key-error", "/after",
    "/dependency", "/wrapped/plain", "/wrapped/fails", "/wrapped/file", "/raw", "/raw/below?x=1", "/static/small.txt",
    "/static/large.bin", "/static/none", "/openapi.json", "/docs", "/plain/", "/nowhere", "/nowhere/", "/items",
    "/status/200", "/status/201", "/status/203", "/status/204", "/status/205", "/status/304", "/status/404",
    "/status/503", "/status/299", "/status/599", "/status/999",
]  # fmt: skip

CASES: list[Case] = [
    *(case(method, path) for path in GETS for method in ("GET", "HEAD")),
    *(case(method, "/plain") for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW")),
    case("OPTIONS", "/items"),
    case("GET", "/headers", headers=[("x-one", "1"), ("X-One", "2"), ("x-empty", ""), ("accept", "*/*")]),
    case("GET", "/cookies", headers={"cookie": "a=1; b=\"two\"; c=%20"}),
    case("GET", "/plain", headers={"accept": "text/plain;q=0.5, */*;q=0.1"}),
    case("GET", "/plain", headers={"accept": "image/png"}),
    case("GET", "/plain", headers={"host": "other.example"}),
    case("GET", "/plain", headers={"host": "OTHER.example:1234"}),
    case("GET", "/typed/-5?q=%C3%A9+b&limit=3&tags=a&tags=b", headers={"x-token": "t", "cookie": "session=s"}),
    case("GET", "/typed/5?q=a&limit=many"),
    case("GET", "/typed/5"),
    case("GET", "/typed/5?q=%FF"),
    case("GET", "/typed/5?q"),
    case("GET", "/scope?a=1&b=%20&a=2"),
    case("GET", "/scope", headers={"host": "named.example"}),
    *(
        case("GET", f"/tail/{tail}")
        for tail in ("a/b", "a%2Fb", "a%2fb", "a%25b", "a%2520b", "%C3%A9", "%FF", "a%20b", "a+b", "%E6%97%A5", "a//b",
                     "..%2F..", "%00", "a;b=c", "%F0%9F%90%8D", "%ED%A0%80", "a%", "%zz", "x%3Fy", "%23")
    ),
    case("GET", "/file", headers={"range": "bytes=0-9"}),
    case("GET", "/file", headers={"range": "bytes=1000000-"}),
    case("HEAD", "/file", headers={"range": "bytes=0-9"}),
    case("GET", "/file", headers={"range": "bytes=-100000"}),
    case("GET", "/file", headers={"range": "bytes=99999999-"}),
    case("GET", "/file", headers={"if-modified-since": "Tue, 14 Nov 2023 22:13:20 GMT"}),
    case("GET", "/file", headers={"if-none-match": "*"}),
    case("GET", "/file", headers={"if-match": '"other"'}),
    case("GET", "/static/large.bin", headers={"range": "bytes=500000-500009"}),
    case("POST", "/items", content=b'{"sku": "a", "quantity": 2}', headers=JSON),
    case("POST", "/items-after-a-wait", content=b'{"sku": "a"}', headers=JSON),
    case("POST", "/wrapped/items", content=b'{"sku": "a"}', headers=JSON),
    case("POST", "/items", content=chunks(b'{"sku":', b' "a"}'), headers=JSON),
    case("POST", "/items", content=b'{"sku": 1, "quantity": "x"}', headers=JSON),
    case("POST", "/items", content=b'{"sku": ', headers=JSON),
    case("POST", "/items", content=b"", headers=JSON),
    case("POST", "/items"),
    case("POST", "/items", content=b"{}", headers={"content-type": "text/plain"}),
    case("POST", "/items", content=b'{"sku": "' + b"a" * 100_000 + b'"}', headers=JSON),
    case("POST", "/echo", content=b"body" * 10_000),
    case("POST", "/echo", content=b""),
    case("POST", "/echo"),
    case("POST", "/echo", content=chunks(b"a", b"b" * 70_000, b"c")),
    case("POST", "/echo", content=chunks()),
    case("POST", "/unlimited", content=b"x" * 3_000_000),
    case("POST", "/unlimited", content=chunks(*[b"x" * 100_000] * 30)),
    case("POST", "/shout", content=b"quiet" * 10_000),
    case("POST", "/shout", content=chunks(b"quiet", b"ly")),
    case("POST", "/form", data={"name": "n"}, files={"upload": ("u.bin", b"z" * 50_000)}),
    case("POST", "/form", data={"name": "n"}),
    case("POST", "/raw/body", content=b"x" * 200_000),
    case("POST", "/raw/body", content=chunks(b"x" * 1000, b"y")),
    case("PUT", "/raw/"),
    case("GET", "/plain", content=b"a body nobody reads"),
    case("GET", "/header?value=" + "é".encode().hex()),
    case("GET", "/header?value=" + b"plain".hex()),
]  # fmt: skip


def told(response: httpx.Response) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """What must be equal: not the clock, whether a body nobody read was there in time, the order of names."""
    passing = (b"date", b"connection")
    headers = [(name, value) for name, value in response.headers.raw if name.lower() not in passing]
    return response.status_code, sorted(headers, key=lambda pair: pair[0]), response.content


@pytest.mark.parametrize(
    ("method", "path", "options"), CASES, ids=[f"{i}-{c[0]}-{c[1][:24]}" for i, c in enumerate(CASES)]
)
def test_both_doors_give_the_same_answer(
    doors: dict[str, Served], method: str, path: str, options: dict[str, Any]
) -> None:
    answers = []
    for interface in INTERFACES:
        content = options.get("content")
        fresh = {**options, "content": content()} if callable(content) else dict(options)
        fresh["headers"] = httpx.Headers(options.get("headers"))
        fresh["headers"].setdefault("host", "named.example")
        answers.append(told(doors[interface].ask(method, path, **fresh)))
    assert answers[1] == answers[0]


def test_the_table_has_every_kind_of_answer(doors: dict[str, Served]) -> None:
    """So that it is not the error page that is equal."""
    rsgi = doors["rsgi"]
    assert rsgi.ask("GET", "/plain").text == "plain"
    assert rsgi.ask("GET", "/waits").text == "waited"
    assert rsgi.ask("GET", "/stream").text == "part 0\npart 1\npart 2\n"
    assert rsgi.ask("GET", "/file").content == bytes(range(256)) * 4000
    part = rsgi.ask("GET", "/file", headers={"range": "bytes=250-259"})
    assert (part.status_code, part.content) == (206, bytes([250, 251, 252, 253, 254, 255, 0, 1, 2, 3]))
    assert rsgi.ask("GET", "/wrapped/plain").headers["x-stamp"] == "GET"
    assert rsgi.ask("GET", "/dependency").json() == 7
    assert (
        rsgi.ask("GET", "/cookies").headers.get_list("set-cookie")[1]
        == "second=2; Path=/cookies; SameSite=Lax"
    )
    assert rsgi.ask("GET", "/tail/a%2Fb%25%C3%A9").text == "a/b%é"
    assert rsgi.ask("GET", "/raw/below").text == "GET /raw/below /raw ['pool'] 0."
    assert rsgi.ask("GET", "/typed/5?q=%C3%A9&limit=3&tags=a&tags=b").json() == {
        "id": 5, "q": "é", "limit": 3, "tags": ["a", "b"], "token": "none", "session": "none",
    }  # fmt: skip
    assert rsgi.ask("POST", "/items", json={"sku": "a"}).json() == {"sku": "a", "quantity": 1}
    assert rsgi.ask("GET", "/fails").headers["content-type"] == "application/problem+json"


def test_the_scope_is_complete_for_those_who_read_it(served: Served) -> None:
    scope = served.ask("GET", "/scope?a=1").json()
    assert scope == {
        "type": "http",
        "method": "GET",
        "path": "/scope",
        "root_path": "",
        "http_version": "1.1",
        "scheme": "http",
        "state": {"pool": "the pool"},
        "url": f"http://127.0.0.1:{served.port}/scope?a=1",
        "query": {"a": "1"},
        "client": "127.0.0.1",
        "server": "127.0.0.1",
    }


@pytest.mark.parametrize("request_line", [b"GET /headers HTTP/1.0", b"GET /scope HTTP/1.0"])
def test_a_request_without_a_host_is_the_same_to_both(doors: dict[str, Served], request_line: bytes) -> None:
    bodies = []
    for interface in INTERFACES:
        head, _, body = doors[interface].exchange(request_line + b"\r\n\r\n").partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.0 200")
        bodies.append(body.replace(str(doors[interface].port).encode(), b"port"))
    assert bodies[0] == bodies[1]


def test_several_connections_at_once_have_their_own_answers(served: Served) -> None:
    async def ask() -> list[str]:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{served.port}", timeout=PATIENCE) as client:
            tails = [f"/tail/{index}" if index % 3 else "/waits" for index in range(60)]
            return [answer.text for answer in await asyncio.gather(*(client.get(tail) for tail in tails))]

    assert asyncio.run(ask()) == [str(index) if index % 3 else "waited" for index in range(60)]


# The body


def test_a_body_over_the_limit_is_refused_before_its_end(served: Served) -> None:
    with served.connect() as connection:
        connection.sendall(b"POST /echo HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n")
        for _ in range(3):
            connection.sendall(b"c350\r\n" + b"x" * 50_000 + b"\r\n")
        # The last chunk is never sent.
        assert connection.recv(65536).startswith(b"HTTP/1.1 413 ")
    assert served.wait_for_log("ContentTooLarge") == ["ContentTooLarge"]


@pytest.mark.parametrize(
    "head",
    [
        b"POST /echo HTTP/1.1\r\nhost: h\r\ncontent-length: 10\r\n\r\nabc",
        b"POST /echo HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ],
    ids=["length", "chunked"],
)
def test_a_body_that_breaks_off_is_not_taken_for_a_whole_one(served: Served, head: bytes) -> None:
    with served.connect() as connection:
        connection.sendall(head)
        time.sleep(0.1)
    assert served.wait_for_log("ClientDisconnect") == ["ClientDisconnect"]


def test_a_malformed_chunk_is_not_taken_for_the_end(served: Served) -> None:
    served.exchange(
        b"POST /echo HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
        b"3\r\nabc\r\nzz\r\n"
    )
    assert served.wait_for_log("ClientDisconnect") == ["ClientDisconnect"]


def test_announced_trailers_end_a_body(served: Served) -> None:
    answer = served.exchange(
        b"POST /echo HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\nconnection: close\r\n\r\n"
        b"3\r\nabc\r\n0\r\nx-sum: 1\r\n\r\n"
    )
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b"abc")


def test_a_length_beside_chunks_does_not_count(served: Served) -> None:
    answer = served.exchange(
        b"POST /echo HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
        b"3\r\nabc\r\n0\r\n\r\n"
    )
    # hyper closes such a connection or takes the chunks (RFC 9112 section 6.3); the two bytes are never the body.
    assert not answer.endswith(b"ab")


# HTTP/2


def http2(port: int) -> httpx.Client:
    return httpx.Client(base_url=f"http://127.0.0.1:{port}", http1=False, http2=True, timeout=PATIENCE)


def test_http2_has_the_same_answers(doors: dict[str, Served]) -> None:
    pytest.importorskip("h2")
    answers = []
    for interface in INTERFACES:
        port = doors[interface].port
        with http2(port) as client:
            found = [
                client.get("/plain"),
                client.head("/plain"),
                client.get("/plain", headers={"host": "other.example"}),
                client.get("/stream"),
                client.get("/file", headers={"range": "bytes=5-70000"}),
                client.get("/nothing"),
                client.get("/cookies"),
                client.post("/echo", content=b"x" * 90_000),
                client.post("/echo", content=iter([b"a", b"b" * 20_000])),
                client.post("/items", content=iter([b'{"sku": "a"}']), headers=JSON),
                client.post("/echo", content=iter([b"x" * 60_000] * 3)),
                client.post("/shout", content=iter([b"a", b"b"])),
            ]
            scope = client.get("/scope").json()
        assert scope["http_version"] == "2"
        assert scope["url"] == f"http://127.0.0.1:{port}/scope"
        answers.append([told(answer) for answer in found])
    assert [answer[0] for answer in answers[1]] == [
        200,
        200,
        200,
        200,
        206,
        204,
        200,
        200,
        200,
        201,
        413,
        200,
    ]
    assert answers[0] == answers[1]


def test_an_http2_stream_that_is_reset_is_not_taken_for_a_whole_body(served: Served) -> None:
    connection_module = pytest.importorskip("h2.connection")
    with served.connect() as connection:
        h2 = connection_module.H2Connection()
        h2.initiate_connection()
        fields = {":method": "POST", ":path": "/echo", ":scheme": "http", ":authority": "h"}
        h2.send_headers(1, list(fields.items()))
        h2.send_data(1, b"abc")
        connection.sendall(h2.data_to_send())
        time.sleep(0.1)
        h2.reset_stream(1, 8)  # CANCEL
        connection.sendall(h2.data_to_send())
        assert served.wait_for_log("ClientDisconnect") == ["ClientDisconnect"]


# Streams and clients that leave


def test_a_stream_arrives_while_it_is_made(served: Served) -> None:
    with served.connect() as connection:
        connection.sendall(b"GET /endless?pause=0.05 HTTP/1.1\r\nhost: h\r\n\r\n")
        received = b""
        while received.count(b"tick") < 3:
            received += connection.recv(65536)
        assert received.startswith(b"HTTP/1.1 200 ")
    assert served.wait_for_log("closed") == ["closed"]


@pytest.mark.parametrize("pause", ["0", "0.01", "60"])
def test_the_content_is_closed_when_the_client_leaves(served: Served, pause: str) -> None:
    with served.connect() as connection:
        connection.sendall(f"GET /endless?pause={pause} HTTP/1.1\r\nhost: h\r\n\r\n".encode())
        connection.recv(1024)
    assert served.wait_for_log("closed") == ["closed"]


def test_an_answer_that_breaks_off_does_not_look_complete(served: Served) -> None:
    # With ASGI granian closes the connection. With RSGI it cannot be told to, and the client waits.
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadTimeout)):
        served.ask("GET", "/stream-breaks", timeout=1.0)


def test_an_answer_that_fails_before_its_body_is_a_500(served: Served) -> None:
    assert served.ask("POST", "/shout", content=b"x" * 200_000).status_code == 500


def test_a_handler_can_wait_for_the_client_to_leave(served: Served) -> None:
    with served.connect() as connection:
        connection.sendall(b"GET /until-left HTTP/1.1\r\nhost: h\r\n\r\n")
        time.sleep(0.1)
    assert served.wait_for_log("left") == ["left"]


def test_work_after_the_response_and_teardowns_are_done(served: Served) -> None:
    assert served.ask("GET", "/after").text == "done"
    assert served.ask("GET", "/dependency").json() == 7
    assert sorted(served.wait_for_log("after the response", "torn down")) == [
        "after the response",
        "torn down",
    ]


def test_several_ranges_of_a_large_file_are_not_kept_in_memory(doors: dict[str, Served]) -> None:
    wanted = {"range": "bytes=0-99999,200000-299999"}
    assert doors["asgi"].ask("GET", "/file", headers=wanted).status_code == 206
    whole = doors["rsgi"].ask("GET", "/file", headers=wanted)
    # RFC 9110 section 14.2: a server may ignore the Range header field.
    assert (whole.status_code, len(whole.content)) == (200, 1_024_000)
    assert "content-range" not in whole.headers


def test_several_small_ranges_are_answered_alike(doors: dict[str, Served]) -> None:
    wanted = {"range": "bytes=0-9,100-109"}
    parts = [doors[interface].ask("GET", "/file", headers=wanted) for interface in INTERFACES]
    for part in parts:
        assert part.status_code == 206
        boundary = part.headers["content-type"].partition("boundary=")[2]
        assert part.content.count(boundary.encode()) == 3


# What RSGI does not carry


def test_a_header_that_is_not_ascii_shows_by_its_name(doors: dict[str, Served]) -> None:
    sent = b"GET /headers HTTP/1.1\r\nhost: h\r\nif-match: \xe9\r\nx-a: 1\r\nconnection: close\r\n\r\n"
    assert b'["if-match","\xc3\xa9"]' in doors["asgi"].exchange(sent)
    answer = doors["rsgi"].exchange(sent)
    assert b'["if-match",""]' in answer
    assert b'["x-a","1"]' in answer


def test_an_answer_header_that_is_not_utf8_is_sent_as_utf8(doors: dict[str, Served]) -> None:
    for interface, value in (("asgi", b"caf\xe9"), ("rsgi", b"caf\xc3\xa9")):
        answer = doors[interface].ask("GET", "/header?value=636166e9")
        assert dict(answer.headers.raw)[b"x-value"] == value


def test_websockets_are_refused(served: Served) -> None:
    with served.connect() as connection:
        connection.sendall(
            b"GET /plain HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
            b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        assert connection.recv(65536).startswith(b"HTTP/1.1 403 ")


@pytest.mark.parametrize("status", [0, 42, 99, 1000])
def test_a_status_that_is_none_does_not_end_the_worker(doors: dict[str, Served], status: int) -> None:
    assert doors["rsgi"].ask("GET", f"/status/{status}").status_code == 500
    assert doors["rsgi"].ask("GET", "/plain").text == "plain"
    with pytest.raises(ValueError, match=f"Expected a status from 100 to 999, got {status}"):
        check_status(status)


# Start and stop


@pytest.mark.parametrize("interface", INTERFACES)
def test_the_lifespan_is_entered_and_left_in_one_task(interface: str, tmp_path: Path) -> None:
    with granian(tmp_path, interface) as served:
        assert served.ask("GET", "/scope").json()["state"] == {"pool": "the pool"}
        assert (tmp_path / "life.log").read_text() == "started\n"
        assert served.stop() == 0
    assert (tmp_path / "life.log").read_text() == "started\nstopped in the same task\n"


@pytest.mark.parametrize("interface", INTERFACES)
def test_an_application_that_fails_to_start_ends_the_server(interface: str, tmp_path: Path) -> None:
    with granian(tmp_path, interface, ready=False, RSGI_FAILS="1") as served:
        assert served.process.wait(PATIENCE) == 1
    assert "no database" in served.output.read_text()


@pytest.mark.parametrize("interface", ["asginl", "rsgi"])
def test_the_first_request_starts_an_application_that_was_not_told(interface: str, tmp_path: Path) -> None:
    with granian(tmp_path, interface, "unannounced") as served:
        assert not (tmp_path / "life.log").exists()
        assert served.ask("GET", "/plain").text == "plain"
        assert served.ask("GET", "/scope").json()["path"] == "/scope"
        assert (tmp_path / "life.log").read_text() == "started\n"


@pytest.mark.parametrize("interface", INTERFACES)
def test_an_asgi_door_of_its_own_is_passed_through(interface: str, tmp_path: Path) -> None:
    with granian(tmp_path, interface, "own_door") as served:
        for path in ("/plain", "/nowhere"):
            assert served.ask("GET", path).headers["x-own-door"] == "yes"


def test_the_access_log_wraps_the_door(tmp_path: Path) -> None:
    with granian(tmp_path, "rsgi", "app", "--access-log") as served:
        assert served.ask("GET", "/plain").text == "plain"
        assert served.ask("GET", "/stream").text == "part 0\npart 1\npart 2\n"
        assert served.ask("GET", "/nowhere").status_code == 404
    lines = served.output.read_text()
    assert '"GET /plain HTTP/1.1" 200' in lines
    assert '"GET /nowhere HTTP/1.1" 404' in lines


async def test_a_server_embedded_in_a_program_starts_and_stops_the_application(tmp_path: Path) -> None:
    from granian.constants import Interfaces
    from granian.server.embed import Server

    from swift import App

    life: list[str] = []

    from contextlib import asynccontextmanager

    @asynccontextmanager
    async def lifespan(app: App) -> Any:
        life.append("started")
        yield
        life.append("stopped")

    app = App(lifespan=lifespan)

    @app.get("/")
    async def hello() -> str:
        return "hello"

    port = free_port()
    server = Server(app, port=port, interface=Interfaces.RSGI, log_enabled=False)
    serving = asyncio.create_task(server.serve())
    async with httpx.AsyncClient(timeout=PATIENCE) as client:
        for _ in range(200):
            try:
                answer = await client.get(f"http://127.0.0.1:{port}/")
                break
            except httpx.TransportError:
                await asyncio.sleep(0.05)
    assert answer.text == "hello"
    assert life == ["started"]
    server.stop()
    await serving
    for _ in range(100):
        await asyncio.sleep(0.01)
    assert life == ["started", "stopped"]


# Texts


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("127.0.0.1:8000", ("127.0.0.1", 8000)),
        ("[::1]:443", ("::1", 443)),
        ("[fe80::1%3]:80", ("fe80::1", 80)),
        ("/run/app.sock", ("/run/app.sock", None)),
        ("", ("", None)),
    ],
)
def test_addresses_are_pairs(text: str, pair: tuple[str, int | None]) -> None:
    assert address(text) == pair


def test_header_pairs_are_text_that_utf8_makes_the_same_bytes_of() -> None:
    pairs = [(b"a", b"plain"), [b"B", bytearray(b"x")], (b"c", "é日".encode()), (b"d", b"caf\xe9")]
    assert text_headers(pairs) == [("a", "plain"), ("B", "x"), ("c", "é日"), ("d", "café")]
