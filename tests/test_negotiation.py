"""Accept and Accept-Encoding."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swift.http.negotiation import negotiate, negotiate_encoding

JSON, HTML, MSGPACK = "application/json", "text/html", "application/msgpack"


@pytest.mark.parametrize(
    ("accept", "offers", "chosen"),
    [
        (None, [JSON, HTML], JSON),
        ("", [JSON, HTML], JSON),
        ("*/*", [JSON, HTML], JSON),
        ("*", [JSON, HTML], JSON),
        (HTML, [JSON, HTML], HTML),
        (b"text/html", [JSON, HTML], HTML),
        ("TEXT/HTML", [JSON, HTML], HTML),
        ("text/*", [JSON, HTML], HTML),
        ("image/png", [JSON, HTML], None),
        ("image/png, */*;q=0.1", [JSON, HTML], JSON),
        # The order of the field means nothing, the quality does (section 12.5.1).
        ("text/html;q=0.5, application/json", [HTML, JSON], JSON),
        ("text/html;q=0.5, application/json;q=0.5", [HTML, JSON], HTML),
        # The most specific range gives an offer its quality.
        ("text/*;q=0.9, text/html;q=0.1, application/json;q=0.5", [HTML, JSON], JSON),
        ("text/html;q=0, */*", [HTML, JSON], JSON),
        ("text/html;q=0, */*", [HTML], None),
        ("*/*;q=0", [HTML, JSON], None),
        # Named wins over not named at equal quality.
        ("text/html, */*", [JSON, HTML], HTML),
        # What browsers send, to an API that can do both.
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", [JSON, HTML], HTML),
        ("application/json, text/plain, */*", [HTML, JSON], JSON),
        # Parameters narrow a range; a charset that the offer does not have is let pass.
        (
            "text/html;level=1, text/html;level=2;q=0.4",
            ["text/html;level=2", "text/html;level=1"],
            "text/html;level=1",
        ),
        ("application/json;version=2", [JSON], None),
        ("application/json;version=2", ["application/json; version=2"], "application/json; version=2"),
        ("application/json; charset=utf-8", [JSON], JSON),
        ("text/html;charset=latin-1", ["text/html;charset=utf-8"], None),
        # `q` is the weight wherever it stands.
        ("text/html;q=0.1;level=1, application/json;q=0.2", ["text/html;level=1", JSON], JSON),
        (
            'text/html;x="a,b;q=0", application/json;q=0.1',
            ['text/html;x="a,b;q=0"', JSON],
            'text/html;x="a,b;q=0"',
        ),
        (MSGPACK, [], None),
        (None, [], None),
    ],
)
def test_the_best_media_type(accept: str | bytes | None, offers: list[str], chosen: str | None) -> None:
    assert negotiate(accept, offers) == chosen


@pytest.mark.parametrize(
    "malformed",
    [
        "text",
        "/",
        "text/",
        "/html",
        "*/html",
        ";q=1",
        ",",
        "text/html;q=2",
        "text/html;q=-1",
        "text/html;q=1.5",
        "text/html;q=0.1234",
        "text/html;q=nan",
        "text/html;q=1e0",
        "text/html;q=",
        "text/html;q=٠",
        "text/html;q=0.²",
        "\0",
        '"',
    ],
)
def test_a_malformed_member_is_skipped(malformed: str) -> None:
    assert negotiate(malformed, [JSON, HTML]) == JSON
    assert negotiate(f"{malformed.rstrip(chr(34))}, {HTML};q=0.1", [JSON, HTML]) == HTML


@pytest.mark.parametrize(
    ("accept_encoding", "chosen"),
    [
        (None, "identity"),
        ("", "identity"),
        ("gzip", "gzip"),
        ("x-gzip", "gzip"),
        ("GZIP", "gzip"),
        (b"gzip, deflate, br, zstd", "zstd"),
        ("gzip, br;q=0.9", "gzip"),
        ("gzip;q=0.5, identity", "identity"),
        ("gzip, identity", "gzip"),
        ("gzip;q=0.5", "gzip"),
        ("deflate", "identity"),
        ("*", "zstd"),
        ("*;q=0.5, br", "br"),
        ("zstd;q=0, *", "br"),
        ("gzip;q=0", "identity"),
        ("identity;q=0", None),
        ("identity;q=0, gzip;q=0.1", "gzip"),
        ("*;q=0", None),
        ("*;q=0, identity;q=0.5", "identity"),
        ("gzip;q=9, br;q=x", "identity"),
    ],
)
def test_the_best_content_coding(accept_encoding: str | bytes | None, chosen: str | None) -> None:
    assert negotiate_encoding(accept_encoding, ["zstd", "br", "gzip"]) == chosen


@given(st.text(alphabet='ab*/;,=q01."\\ \t', max_size=60))
def test_any_field_gives_an_offer_or_none(accept: str) -> None:
    assert negotiate(accept, [JSON, "a/b"]) in (JSON, "a/b", None)
    assert negotiate_encoding(accept, ["a", "gzip"]) in ("a", "gzip", "identity", None)


@pytest.mark.parametrize(
    "accept", ["a/b," * 50_000, "a/b" + ";c=d" * 50_000, ";" * 200_000, '"' * 200_000, '"\\' * 100_000]
)
def test_hostile_fields_take_linear_time(accept: str) -> None:
    started = time.perf_counter()
    negotiate(accept, [JSON, HTML])
    negotiate_encoding(accept, ["gzip"])

    assert time.perf_counter() - started < 2
