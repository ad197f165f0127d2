"""URLs and bodies as the test client writes them."""

from __future__ import annotations

import email
import io
from email.message import Message
from typing import Any

import msgspec
import pytest

from swift.testing.requests import URL, RequestOptions, encode_body, encode_headers

BASE = URL.parse("http://testserver")


@pytest.mark.parametrize(
    ("url", "raw_path", "path", "query"),
    [
        ("", "/", "/", ""),
        ("/", "/", "/", ""),
        ("/users/1", "/users/1", "/users/1", ""),
        ("/caf%C3%A9", "/caf%C3%A9", "/café", ""),
        ("/café au lait", "/caf%C3%A9%20au%20lait", "/café au lait", ""),
        ("/a%2Fb", "/a%2Fb", "/a/b", ""),
        ("/100%", "/100%", "/100%", ""),
        ("/%FF", "/%FF", "/\ufffd", ""),
        ("//etc/passwd", "//etc/passwd", "//etc/passwd", ""),
        ("/a/../b/./c", "/a/../b/./c", "/a/../b/./c", ""),
        ("/proxy/http://other/", "/proxy/http://other/", "/proxy/http://other/", ""),
        ("/a?b=c&d=é", "/a", "/a", "b=c&d=%C3%A9"),
        ("/a?b=c#fragment", "/a", "/a", "b=c"),
        ("?b=c", "/", "/", "b=c"),
    ],
)
def test_a_path_is_sent_as_it_stands(url: str, raw_path: str, path: str, query: str) -> None:
    parsed = URL.parse(url, BASE)

    assert (parsed.raw_path, parsed.path, parsed.query) == (raw_path, path, query)
    assert parsed.host == "testserver"


def test_a_path_is_appended_to_that_of_the_base() -> None:
    assert str(URL.parse("/users", URL.parse("http://testserver/api/"))) == "http://testserver/api/users"


@pytest.mark.parametrize(
    ("url", "netloc", "server"),
    [
        ("http://testserver/a", "testserver", ("testserver", 80)),
        ("https://testserver/a", "testserver", ("testserver", 443)),
        ("https://testserver:443/a", "testserver", ("testserver", 443)),
        ("http://testserver:8000/a", "testserver:8000", ("testserver", 8000)),
        ("http://[::1]:8000/a", "[::1]:8000", ("::1", 8000)),
    ],
)
def test_an_absolute_url(url: str, netloc: str, server: tuple[str, int]) -> None:
    parsed = URL.parse(url, BASE)

    assert (parsed.netloc, parsed.server, parsed.path) == (netloc, server, "/a")


@pytest.mark.parametrize("url", ["users", "http:users", "http://", "://a"])
def test_what_is_neither_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"Expected a path that starts with a slash or an absolute URL, got"):
        URL.parse(url, BASE)


@pytest.mark.parametrize(
    ("params", "query"),
    [
        ({"a": "b c", "d": "é&"}, "a=b+c&d=%C3%A9%26"),
        ({"id": [1, 2]}, "id=1&id=2"),
        ([("id", 1), ("id", "2")], "id=1&id=2"),
        ({"active": True, "dead": False, "limit": 2.5}, "active=true&dead=false&limit=2.5"),
        ({"a": None, "b": ["c", None]}, "b=c"),
        ({}, ""),
        ("raw=%zz&&", "raw=%zz&&"),
    ],
)
def test_params(params: Any, query: str) -> None:
    assert URL.parse("/", BASE, params).query == query


def test_params_are_added_to_the_query_of_the_url() -> None:
    assert URL.parse("/?a=1", BASE, {"b": 2}).query == "a=1&b=2"


@pytest.mark.parametrize(
    ("location", "joined"),
    [
        ("/new", "http://testserver/new"),
        ("c?d=e", "http://testserver/a/c?d=e"),
        ("//other/x", "http://other/x"),
        ("https://other/x", "https://other/x"),
    ],
)
def test_a_location_is_resolved(location: str, joined: str) -> None:
    assert str(URL.parse("/a/b", BASE).join(location)) == joined


def test_later_headers_replace_earlier_ones() -> None:
    assert encode_headers({"A": "1", "B": "1"}, [("b", "2"), ("B", "3")], {}) == [
        (b"a", b"1"),
        (b"b", b"2"),
        (b"b", b"3"),
    ]


class Point(msgspec.Struct):
    x: int


@pytest.mark.parametrize(
    ("options", "body", "content_type"),
    [
        ({}, b"", None),
        ({"content": b"raw"}, b"raw", None),
        ({"content": bytearray(b"raw")}, b"raw", None),
        ({"content": "é"}, "é".encode(), b"text/plain; charset=utf-8"),
        ({"json": Point(1)}, b'{"x":1}', b"application/json"),
        ({"json": None}, b"null", b"application/json"),
        ({"data": {"a": "b c", "d": [1, 2]}}, b"a=b+c&d=1&d=2", b"application/x-www-form-urlencoded"),
    ],
)
def test_a_body_and_what_describes_it(
    options: RequestOptions, body: bytes, content_type: bytes | None
) -> None:
    encoded, headers = encode_body(options)

    assert encoded == body
    assert dict(headers).get(b"content-type") == content_type
    assert dict(headers).get(b"content-length") == (str(len(body)).encode() if options else None)


@pytest.mark.parametrize(
    "options",
    [
        {"content": b"", "json": 1},
        {"data": {}, "json": 1},
        {"files": {}, "json": 1},
        {"files": {}, "content": b""},
    ],
)
def test_two_bodies_are_refused(options: RequestOptions) -> None:
    with pytest.raises(ValueError, match="Give one of content, json, and data with or without files"):
        encode_body(options)


def parts_of(options: RequestOptions) -> list[Message]:
    body, headers = encode_body(options)
    assert isinstance(body, bytes)
    described = b"Content-Type: " + dict(headers)[b"content-type"] + b"\r\n\r\n" + body
    parts = email.message_from_bytes(described).get_payload()
    assert isinstance(parts, list)
    return parts  # type: ignore[return-value]


def test_files_are_multipart_with_the_fields_before_them(tmp_path: Any) -> None:
    file = tmp_path / "notes.txt"
    file.write_bytes(b"noted")
    with file.open("rb") as opened:
        parts = parts_of(
            {
                "data": {"title": "é"},
                "files": {
                    "raw": b"\0\r\n--",
                    "opened": opened,
                    "named": ("a.json", "{}"),
                    "typed": ("b.bin", io.BytesIO(b"b"), "image/png"),
                },
            }
        )

    found = [
        (part.get_param("name", header="content-disposition"), part.get_filename(), part.get_content_type())
        for part in parts
    ]
    assert found == [
        ("title", None, "text/plain"),
        ("raw", "raw", "application/octet-stream"),
        ("opened", "notes.txt", "text/plain"),
        ("named", "a.json", "application/json"),
        ("typed", "b.bin", "image/png"),
    ]
    assert [part.get_payload(decode=True) for part in parts] == [
        "é".encode(),
        b"\0\r\n--",
        b"noted",
        b"{}",
        b"b",
    ]


def test_names_of_parts_cannot_break_out_of_their_header() -> None:
    body, _ = encode_body({"files": [('a"\r\nx: y', ('b"\r\n.txt', b""))]})

    assert isinstance(body, bytes)
    assert b'name="a%22%0D%0Ax: y"; filename="b%22%0D%0A.txt"\r\n' in body
