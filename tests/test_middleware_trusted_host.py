"""Trusted hosts: a literal comparison of one well-formed Host."""

from __future__ import annotations

import time

import pytest
from middleware_support import answering, make_request

from swift.http import Response
from swift.middleware import TrustedHostMiddleware
from swift.middleware.trusted_host import parse_host


async def status(allowed, *hosts: str, **headers: str) -> int:
    sent = [("Host", host) for host in hosts] + [
        (name.replace("_", "-"), value) for name, value in headers.items()
    ]
    response = await TrustedHostMiddleware(allowed)(
        make_request(headers=sent), answering(lambda: Response("ok"))
    )
    if response.status != 200:
        assert response.headers["content-type"] == "application/problem+json"
        assert b"evil" not in response.body, "nothing is echoed"
    return response.status


@pytest.mark.parametrize(
    ("allowed", "host", "expected"),
    [
        (["example.com"], "example.com", 200),
        (["example.com"], "EXAMPLE.com", 200),
        (["Example.COM"], "example.com", 200),
        (["example.com"], "example.com:8000", 200),
        (["example.com"], "example.com:", 200),
        (["example.com"], "example.com.", 200),
        (["example.com."], "example.com", 200),
        ("example.com", "example.com", 200),
        (["example.com"], "www.example.com", 400),
        (["example.com"], "examplexcom", 400),
        (["example.com"], "example.com.evil.org", 400),
        (["example.com"], "evilexample.com", 400),
        (["*.example.com"], "www.example.com", 200),
        (["*.example.com"], "a.b.example.com", 200),
        (["*.example.com"], "example.com", 400),
        (["*.example.com"], "evilexample.com", 400),
        (["*.example.com"], ".example.com", 400),
        (["*"], "anything.at.all", 200),
        (["*"], "", 400),
        (["*"], "a b", 400),
        (["127.0.0.1"], "127.0.0.1:8000", 200),
        (["127.0.0.1"], "127.0.0.2", 400),
        (["::1"], "[::1]:8000", 200),
        (["[::1]"], "[::1]", 200),
        (["::1"], "[0:0:0:0:0:0:0:1]", 200),
        (["2001:DB8::1"], "[2001:db8::1]", 200),
        (["::1"], "::1", 400),
        (["::1"], "[::2]", 400),
        (["my_service"], "my_service:80", 200),
    ],
)
async def test_the_host_is_compared_literally(allowed, host, expected):
    assert await status(allowed, host) == expected


@pytest.mark.parametrize(
    "host",
    [
        "",
        " ",
        "a b",
        "user@example.com",
        "example.com/path",
        "example.com?x",
        "example.com#x",
        "example.com,evil.org",
        "example.com:80:80",
        "example.com:80a",
        "example.com:65536",
        "example.com:99999999999999999999",
        "example.com:-1",
        "exa\tmple.com",
        "example.com\x00",
        "ex\xe4mple.com",
        "a..b",
        ".",
        "..",
        "-a.com",
        "a-.com",
        "a" * 64 + ".com",
        "a." * 130 + "com",
        "[::1",
        "::1]",
        "[]",
        "[::1]x",
        "[:::1]",
        "[1.2.3.4]",
        "[v1.x]",
        "[fe80::1%25eth0]",
        "%41.com",
        "*.example.com",
        "http://example.com",
    ],
)
async def test_a_malformed_host_is_refused_even_where_every_host_is_allowed(host):
    assert parse_host(host.encode("latin-1")) is None
    assert await status(["*"], host) == 400


async def test_a_request_without_a_host_is_refused():
    assert await status(["*"]) == 400


async def test_a_request_with_two_hosts_is_refused():
    assert await status(["*"], "a.com", "a.com") == 400


@pytest.mark.parametrize("name", ["X_Forwarded_Host", "Forwarded", "X_Original_Host", "X_Host"])
async def test_nothing_else_names_the_host(name):
    assert await status(["example.com"], "evil.org", **{name: "example.com"}) == 400
    assert await status(["example.com"], "example.com", **{name: "evil.org"}) == 200
    assert await status(["example.com"], **{name: "example.com"}) == 400


def test_a_long_host_takes_no_long_time():
    started = time.perf_counter()
    for host in (b"a." * 500_000, b"[" + b":" * 1_000_000, b"a" * 1_000_000 + b":"):
        assert parse_host(host) is None

    assert time.perf_counter() - started < 0.5


@pytest.mark.parametrize(
    "host",
    [
        "",
        "example.com:80",
        "*example.com",
        "*.",
        "*.*.com",
        "a.*.com",
        "http://a.com",
        "a b",
        "[::1]:80",
        "**",
    ],
)
def test_a_wrong_pattern_is_refused_at_the_start(host):
    with pytest.raises(ValueError, match="is not a host; write a name or an address without port"):
        TrustedHostMiddleware([host])


def test_a_name_outside_ascii_is_to_be_written_in_punycode():
    with pytest.raises(ValueError, match="punycode"):
        TrustedHostMiddleware(["bücher.example"])


def test_an_empty_list_would_answer_nobody():
    with pytest.raises(ValueError, match="no request would be answered"):
        TrustedHostMiddleware([])
