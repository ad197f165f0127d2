"""What a server may offer beyond the core of ASGI: early hints, trailers, push, files, the TLS connection."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from swift import App, FileResponse, Request, Response, StreamingResponse
from swift.http.tls import TLS, parse_name
from swift.testing import ClientResponse, TestClient

LINK = "</style.css>; rel=preload; as=style"


async def ask(
    app: App, path: str = "/", method: str = "GET", offered: str = "", **options: Any
) -> ClientResponse:
    extensions = {f"http.response.{name}": {} for name in offered.split()}
    async with TestClient(app, extensions=extensions) as client:
        return await client.request(method, path, **options)


def sent(response: ClientResponse) -> list[str]:
    return [event["type"].removeprefix("http.response.") for event in response.extension_events]


# Early hints.


def hinting(*, behind: str) -> App:
    """An app whose handler sends a hint: called by the kernel, after a wait, behind middleware, in a dependency."""

    async def passing(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        return await call_next(request)

    app = App(openapi_url=None, middleware=[passing] if behind == "middleware" else [])

    @app.get("/")
    async def hint(request: Request) -> str:
        if behind == "wait":
            await asyncio.sleep(0)
        return str(await request.early_hints(LINK, "</app.js>; rel=preload; as=script"))

    @app.post("/")
    async def hint_with_body(request: Request, data: dict[str, int]) -> str:
        return str(await request.early_hints(LINK))

    return app


@pytest.mark.parametrize("behind", ["nothing", "wait", "middleware"])
async def test_early_hints_are_sent_where_the_server_offers_them(behind: str) -> None:
    app = hinting(behind=behind)
    response = await ask(app, offered="early_hint")
    assert (response.status, response.text) == (200, "True")
    (event,) = response.extension_events
    assert event["links"] == [LINK.encode(), b"</app.js>; rel=preload; as=script"]
    assert sent(await ask(app, method="POST", offered="early_hint", json={})) == ["early_hint"]
    assert (await ask(app)).text == "False"


async def test_a_hint_cannot_forge_a_header() -> None:
    app = App(openapi_url=None)

    @app.get("/")
    async def hint(request: Request) -> str:
        with pytest.raises(ValueError, match="control character"):
            await request.early_hints("</a>; rel=preload\r\nset-cookie: a=1")
        return "refused"

    assert (await ask(app)).text == "refused"


# Trailers and push.


def streaming(**options: Any) -> App:
    app = App(openapi_url=None)

    @app.get("/")
    async def stream() -> Response:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"a"
            yield b"b"

        return StreamingResponse(chunks(), **options)

    return app


@pytest.mark.parametrize("kind", ["mapping", "function", "coroutine"])
async def test_trailers_follow_the_body(kind: str) -> None:
    made = {"content-digest": "sha-256=:AAAA:", "Server-Timing": "db;dur=5"}

    async def later() -> dict[str, str]:
        return made

    trailers = {"mapping": made, "function": lambda: made, "coroutine": later}[kind]
    response = await ask(streaming(trailers=trailers), offered="trailers")
    assert response.content == b"ab"
    assert dict(response.trailers.items()) == {
        "content-digest": "sha-256=:AAAA:",
        "server-timing": "db;dur=5",
    }


async def test_trailers_are_left_out_where_they_are_not_offered_or_there_is_no_body() -> None:
    app = streaming(trailers={"x-checksum": "1"})
    assert dict((await ask(app)).trailers.items()) == {}
    assert dict((await ask(app, method="HEAD", offered="trailers")).trailers.items()) == {}


@pytest.mark.parametrize(
    "name", ["content-length", "Set-Cookie", "if-match", "authorization", "a b", "x\r\ny"]
)
def test_what_may_not_be_a_trailer_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        StreamingResponse([], trailers={name: "1"})


async def test_paths_are_pushed_before_the_body_where_the_server_can() -> None:
    app = streaming(push=["/style.css", "/app.js"])
    response = await ask(app, offered="push")
    assert [event["path"] for event in response.extension_events] == ["/style.css", "/app.js"]
    assert response.content == b"ab"
    assert sent(await ask(app)) == []


@pytest.mark.parametrize("path", ["style.css", "https://other.example/", "/a b", "/a\r\nb"])
def test_what_is_no_path_is_not_pushed(path: str) -> None:
    with pytest.raises(ValueError, match="cannot be pushed"):
        StreamingResponse([], push=[path])


# Files.


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large.bin"
    path.write_bytes(os.urandom(300_000))
    os.utime(path, (1_700_000_000, 1_700_000_000))
    return path


def file_app(path: Path) -> App:
    app = App(openapi_url=None)

    @app.get("/")
    async def show() -> Response:
        return FileResponse(path, media_type="application/octet-stream")

    return app


@pytest.mark.parametrize(
    ("field", "start", "stop", "events"),
    [
        (None, 0, 300_000, ["zerocopysend"]),
        ("bytes=100-200000", 100, 200_001, ["zerocopysend"]),
        ("bytes=100-200", 100, 201, []),
    ],
)
async def test_the_server_copies_the_bytes_of_a_file(
    large: Path, field: str | None, start: int, stop: int, events: list[str]
) -> None:
    headers = {} if field is None else {"range": field}
    response = await ask(file_app(large), offered="zerocopysend", headers=headers)
    assert response.content == large.read_bytes()[start:stop]
    assert sent(response) == events


async def test_several_ranges_are_copied_between_their_delimiters(large: Path) -> None:
    field = {"range": "bytes=0-99999,200000-299999"}
    copied = await ask(file_app(large), offered="zerocopysend", headers=field)
    read = await ask(file_app(large), headers=field)
    assert sent(copied) == ["zerocopysend"] * 2
    assert len(copied.content) == len(read.content) == int(copied.headers["content-length"])
    assert large.read_bytes()[200_000:] in copied.content


async def test_a_path_is_sent_rather_than_a_descriptor(large: Path) -> None:
    assert sent(await ask(file_app(large), offered="zerocopysend pathsend")) == ["pathsend"]


# The TLS connection.

TOLD = {
    "server_cert": "-----BEGIN CERTIFICATE-----",
    "client_cert_chain": ["-----BEGIN CERTIFICATE-----"],
    "client_cert_name": r"CN=ann\, the first+UID=7,OU=Sales \C3\A4,O=Acme",
    "client_cert_error": None,
    "tls_version": 0x0304,
    "cipher_suite": 0x1301,
}


def tls_of(told: Any) -> TLS | None:
    return Request({"type": "http", "extensions": {} if told is None else {"tls": told}}).tls


def test_the_tls_connection_is_told_of() -> None:
    tls = tls_of(TOLD)
    assert tls is not None
    assert (tls.version, tls.cipher_suite, tls.verified) == ("TLSv1.3", 0x1301, True)
    assert tls.common_name == "ann, the first"
    assert tls.subject == (("CN", "ann, the first"), ("UID", "7"), ("OU", "Sales ä"), ("O", "Acme"))


def test_a_certificate_that_could_not_be_verified_names_nobody() -> None:
    tls = tls_of({**TOLD, "client_cert_error": "certificate has expired"})
    assert tls is not None
    assert (tls.verified, tls.common_name) == (False, None)


def test_without_tls_or_without_a_certificate_there_is_no_identity() -> None:
    assert tls_of(None) is None
    assert Request({"type": "http"}).tls is None
    tls = tls_of({"tls_version": 0x0305})
    assert tls == TLS(version="0x0305")
    assert (tls.verified, tls.common_name) == (False, None)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ()),
        ("nonsense", ()),
        ("CN=", (("CN", ""),)),
        ("cn=a=b", (("CN", "a=b"),)),
        (r"CN=a\5Cb\2C", (("CN", "a\\b,"),)),
        ("1.2.3=#0401", (("1.2.3", "#0401"),)),
        ("CN=a\\", (("CN", "a"),)),
        ("CN=a, O=b", (("CN", "a"), ("O", "b"))),
    ],
)
def test_names_are_read_as_rfc_4514_writes_them(text: str, names: Iterator[Any]) -> None:
    assert parse_name(text) == names
