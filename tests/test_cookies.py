"""Cookies read leniently and written strictly."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from http.cookies import SimpleCookie
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swift.http.cookies import format_set_cookie, parse_cookies


class TestReading:
    @pytest.mark.parametrize(
        ("lines", "cookies"),
        [
            ([], {}),
            ([b""], {}),
            ([b"a=1; b=2"], {"a": "1", "b": "2"}),
            ([b"a=1", b"b=2", b"c=3"], {"a": "1", "b": "2", "c": "3"}),
            ([b"a=1;b=2;"], {"a": "1", "b": "2"}),
            ([b" a = 1 ;\tb=2"], {"a": "1", "b": "2"}),
            ([b"a=b=c"], {"a": "b=c"}),
            ([b"a="], {"a": ""}),
            ([b'a="quoted value"'], {"a": "quoted value"}),
            ([rb'a="x\073y\"z\\"'], {"a": 'x;y"z\\'}),
            ([b'a="'], {"a": '"'}),
            ([b"a=caf\xc3\xa9; b=caf\xe9"], {"a": "café", "b": "café"}),
        ],
    )
    def test_cookies_of_all_lines(self, lines: list[bytes], cookies: dict[str, str]) -> None:
        assert parse_cookies(lines) == cookies

    def test_the_first_of_equal_names_counts_since_its_path_is_the_longest(self) -> None:
        assert parse_cookies([b"a=1; a=2", b"a=3"]) == {"a": "1"}

    @pytest.mark.parametrize(
        "pair", [b"noequals", b"=__Host-sid=forged", b"a\0=1", b"a=1\r\nb", b"\x7f=2", b";;;"]
    )
    def test_a_pair_without_name_or_with_controls_is_skipped(self, pair: bytes) -> None:
        assert parse_cookies([pair + b"; ok=1"]) == {"ok": "1"}

    @given(
        st.dictionaries(
            st.from_regex(r"[a-z]{1,5}", fullmatch=True), st.text(st.characters(max_codepoint=255))
        )
    )
    def test_what_http_cookies_writes_is_read_back(self, values: dict[str, str]) -> None:
        jar: SimpleCookie = SimpleCookie(values)
        header = jar.output(attrs=[], header="", sep=";")
        expected = {name: morsel.value for name, morsel in jar.items()}

        assert parse_cookies([header.encode()]) == expected

    @given(st.lists(st.binary(max_size=50)))
    def test_nothing_makes_it_fail(self, lines: list[bytes]) -> None:
        for name, value in parse_cookies(lines).items():
            assert name
            assert isinstance(value, str)

    @pytest.mark.parametrize(
        "line",
        [
            b";" * 200_000,
            b"a=" * 100_000,
            b'a="' + b"\\" * 200_000 + b'"',
            b'"' * 200_000,
            b"a=1;" * 50_000,
            b" " * 200_000,
        ],
    )
    def test_hostile_lines_take_linear_time(self, line: bytes) -> None:
        started = time.perf_counter()
        parse_cookies([line])

        assert time.perf_counter() - started < 1


class TestWriting:
    def test_the_defaults_are_path_and_samesite(self) -> None:
        assert format_set_cookie("sid", "abc") == b"sid=abc; Path=/; SameSite=Lax"

    def test_every_attribute(self) -> None:
        line = format_set_cookie(
            "sid",
            "abc",
            max_age=3600,
            expires=datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC),
            path="/app",
            domain="example.com",
            secure=True,
            httponly=True,
            samesite="none",
            partitioned=True,
        )

        assert line == (
            b"sid=abc; Max-Age=3600; Expires=Wed, 02 Jan 2030 03:04:05 GMT; Domain=example.com; Path=/app; "
            b"Secure; HttpOnly; SameSite=None; Partitioned"
        )

    def test_expires_may_be_a_date_as_http_writes_it(self) -> None:
        line = format_set_cookie("a", expires="Sunday, 06-Nov-94 08:49:37 GMT", path=None, samesite=None)

        assert line == b"a=; Expires=Sun, 06 Nov 1994 08:49:37 GMT"

    @pytest.mark.parametrize(
        "options",
        [
            {"value": character}
            for character in [
                "\r",
                "\n",
                "\0",
                "\x7f",
                ";",
                ",",
                " ",
                '"',
                "\\",
                "é",
                "→",
                "\ud800",
                "\t",
                "a\n",
            ]
        ]
        + [{"name": name} for name in ["", "a b", "a=b", "a;b", "ü", "a\n", "a\r\nb", "a\0", '"a"', "a,b"]]
        + [
            {"path": path}
            for path in ["", "relative", "/a;b", "/a\r\n", "/a\n", "/é", "/a\0", "/" + "a" * 1024]
        ]
        + [
            {"domain": domain}
            for domain in ["", "a b", "a;b", "http://a", "a:80", "a\n", "a\r\nb", "-", "é.com"]
        ]
        + [{"samesite": "maybe"}, {"samesite": "lax; Secure"}, {"expires": "soon"}, {"expires": "x\r\ny"}]
        + [{"expires": datetime(2030, 1, 1)}]
        + [{"value": "a" * 4096}],
        ids=repr,
    )
    def test_what_a_browser_would_drop_or_misread_is_refused(self, options: dict[str, Any]) -> None:
        with pytest.raises(ValueError):
            format_set_cookie(**{"name": "sid", **options})

    @pytest.mark.parametrize(
        ("options", "reason"),
        [
            ({"samesite": "none"}, "samesite='none'"),
            ({"samesite": "None"}, "samesite='none'"),
            ({"partitioned": True}, "partitioned"),
            ({"name": "__Secure-a"}, "prefix"),
            ({"name": "__secure-a"}, "prefix"),
            ({"name": "__Host-a"}, "prefix"),
            ({"name": "__Host-a", "secure": True, "path": "/app"}, "path='/'"),
            ({"name": "__Host-a", "secure": True, "path": None}, "path='/'"),
            ({"name": "__HOST-a", "secure": True, "domain": "example.com"}, "no domain"),
            ({"name": "__Http-a", "secure": True}, "httponly"),
            ({"name": "__Host-Http-a", "secure": True}, "httponly"),
        ],
    )
    def test_rules_between_attributes(self, options: dict[str, Any], reason: str) -> None:
        with pytest.raises(ValueError, match=reason):
            format_set_cookie(**{"name": "sid", **options})

    @pytest.mark.parametrize(
        "options",
        [
            {"name": "__Host-a", "secure": True},
            {"name": "__Secure-a", "secure": True, "domain": "example.com", "path": "/app"},
            {"name": "__Host-Http-a", "secure": True, "httponly": True},
            {"samesite": None},
            {"value": "a" * 4093},
        ],
    )
    def test_rules_that_are_kept_pass(self, options: dict[str, Any]) -> None:
        assert format_set_cookie(**{"name": "sid", **options})

    @given(
        st.text(max_size=8),
        st.text(max_size=8),
        st.none() | st.text(max_size=8),
        st.none() | st.text(max_size=8),
    )
    def test_the_line_never_holds_more_than_was_asked_for(
        self, name: str, value: str, path: str | None, domain: str | None
    ) -> None:
        try:
            line = format_set_cookie(name, value, path=path, domain=domain, samesite=None)
        except ValueError:
            return
        assert all(32 <= c <= 126 for c in line)
        assert line.count(b";") == (path is not None) + (domain is not None)
        assert parse_cookies([line.split(b";")[0]]) == {name: value}
