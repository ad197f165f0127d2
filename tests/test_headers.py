"""Header mappings, query strings, and the splitting of structured field values."""

from __future__ import annotations

import time
from urllib.parse import parse_qsl, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swift.http.headers import (
    Headers,
    MutableHeaders,
    QueryParams,
    check_header,
    combined,
    parse_parameters,
    split_list,
)
from swift.http.problems import BadRequest

RECEIVED = [(b"host", b"a"), (b"accept", b"text/html"), (b"accept", b"*/*"), (b"x-name", b"caf\xe9")]

CONTROLS = [c for c in [*range(32), 127] if c != 9]


class TestHeaders:
    def test_a_name_is_found_in_any_case_and_the_first_occurrence_counts(self) -> None:
        headers = Headers(RECEIVED)

        assert headers["Accept"] == headers["ACCEPT"] == "text/html"
        assert headers.getlist("accept") == ["text/html", "*/*"]
        assert headers.get("missing") is None
        assert "HOST" in headers
        assert "missing" not in headers

    def test_values_are_latin_1(self) -> None:
        assert Headers(RECEIVED)["x-name"] == "café"

    def test_a_mapping_has_each_name_once_and_multi_items_has_all_in_order(self) -> None:
        headers = Headers(RECEIVED)

        assert list(headers) == ["host", "accept", "x-name"]
        assert len(headers) == 3
        assert dict(headers) == {"host": "a", "accept": "text/html", "x-name": "café"}
        assert [name for name, _ in headers.multi_items()] == ["host", "accept", "accept", "x-name"]

    def test_a_name_outside_latin_1_is_simply_absent(self) -> None:
        assert Headers(RECEIVED).get("naïve→") is None

    def test_it_cannot_be_changed(self) -> None:
        with pytest.raises(TypeError):
            Headers(RECEIVED)["a"] = "b"  # type: ignore[index]

    def test_lines_of_a_list_valued_field_are_joined(self) -> None:
        assert combined(RECEIVED, b"accept") == "text/html, */*"
        assert combined(RECEIVED, b"range") is None


class TestMutableHeaders:
    def test_setting_replaces_every_occurrence_and_keeps_the_first_place(self) -> None:
        raw = [(b"a", b"1"), (b"b", b"2"), (b"a", b"3")]
        MutableHeaders(raw)["A"] = "4"

        assert raw == [(b"a", b"4"), (b"b", b"2")]

    def test_add_appends_and_setdefault_keeps_what_is_there(self) -> None:
        raw: list[tuple[bytes, bytes]] = []
        headers = MutableHeaders(raw)
        headers.add("Set-Cookie", "a=1")
        headers.add("Set-Cookie", "b=2")

        assert headers.setdefault("Set-Cookie", "c=3") == "a=1"
        assert headers.setdefault("X-New", "1") == "1"
        assert raw == [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2"), (b"x-new", b"1")]

    def test_deleting_removes_every_occurrence_from_the_very_list(self) -> None:
        raw = [(b"a", b"1"), (b"b", b"2"), (b"a", b"3")]
        headers = MutableHeaders(raw)
        del headers["A"]

        assert raw == [(b"b", b"2")]
        with pytest.raises(KeyError):
            del headers["a"]

    @pytest.mark.parametrize(
        ("before", "names", "after"),
        [
            ([], ["Origin"], "Origin"),
            (["accept-encoding"], ["Origin"], "accept-encoding, Origin"),
            (["Origin, Accept"], ["origin"], "Origin, Accept"),
            (["Accept", "Cookie"], ["Origin"], "Accept, Cookie, Origin"),
            (["*"], ["Origin"], "*"),
            (["Accept"], ["*"], "*"),
        ],
    )
    def test_vary_is_merged(self, before: list[str], names: list[str], after: str) -> None:
        raw = [(b"vary", line.encode()) for line in before]
        MutableHeaders(raw).vary(*names)

        assert raw == [(b"vary", after.encode())]

    def test_vary_refuses_what_is_no_field_name(self) -> None:
        with pytest.raises(ValueError, match="token"):
            MutableHeaders([]).vary("Origin\r\nx: y")

    @pytest.mark.parametrize("code", CONTROLS)
    def test_a_control_character_is_refused_in_every_way_in(self, code: int) -> None:
        headers = MutableHeaders([])
        for set_it in (headers.__setitem__, headers.add, headers.setdefault):
            with pytest.raises(ValueError, match="'x-name' holds the control character"):
                set_it("X-Name", f"a{chr(code)}b")
            with pytest.raises(ValueError, match="not a token"):
                set_it(f"x{chr(code)}", "a")
        assert headers.raw == []

    @pytest.mark.parametrize("name", ["", " ", "a b", "a:", "ü", "(a)", "a\t", '"a"', "a/b"])
    def test_a_name_that_is_no_token_is_refused(self, name: str) -> None:
        with pytest.raises(ValueError, match="name"):
            check_header(name, "x")

    def test_a_value_outside_latin_1_is_refused_with_advice(self) -> None:
        with pytest.raises(ValueError, match="'x-name' holds characters outside Latin-1; percent-encode"):
            check_header("X-Name", "→")

    @given(st.text(max_size=20), st.text(max_size=40))
    def test_whatever_is_let_through_can_be_sent(self, name: str, value: str) -> None:
        try:
            raw_name, raw_value = check_header(name, value)
        except ValueError:
            return
        assert raw_name
        assert raw_name == raw_name.lower()
        assert all(33 <= c <= 126 and c not in b'"(),/:;<=>?@[\\]{}' for c in raw_name)
        assert not any(c in CONTROLS for c in raw_value)
        assert raw_value == value.strip(" \t").encode("latin-1")


class TestQueryParams:
    @pytest.mark.parametrize(
        ("raw", "pairs"),
        [
            (b"", []),
            (b"a=1&b=2&a=3", [("a", "1"), ("b", "2"), ("a", "3")]),
            (b"a&b=&=c&&", [("a", ""), ("b", ""), ("", "c")]),
            (b"a=b=c", [("a", "b=c")]),
            (b"q=a+b%20c%2B", [("q", "a b c+")]),
            (b"q=%C3%A9", [("q", "é")]),
            (b"q=%00%0d%0a", [("q", "\0\r\n")]),
            (b"a%3D=%26", [("a=", "&")]),
        ],
    )
    def test_pairs(self, raw: bytes, pairs: list[tuple[str, str]]) -> None:
        assert QueryParams(raw).multi_items() == pairs

    def test_the_last_value_wins_and_getlist_has_all(self) -> None:
        query = QueryParams(b"a=1&b=2&a=3")

        assert query["a"] == "3"
        assert query.getlist("a") == ["1", "3"]
        assert query.getlist("z") == []
        assert dict(query) == {"a": "3", "b": "2"}
        assert len(query) == 2
        assert "a" in query

    @pytest.mark.parametrize("raw", [b"%", b"%4", b"%zz", b"%%41", b"100%", b"%u0041"])
    def test_a_percent_sign_that_starts_no_escape_is_kept(self, raw: bytes) -> None:
        assert QueryParams(b"q=" + raw)["q"] == raw.decode().replace("%41", "A")

    @pytest.mark.parametrize("raw", [b"q=%ff", b"%c3=1", b"q=\xff", b"q=%ed%a0%80"])
    def test_bytes_that_are_not_utf_8_are_a_bad_request(self, raw: bytes) -> None:
        with pytest.raises(BadRequest, match="UTF-8"):
            QueryParams(raw)

    def test_a_flood_of_fields_is_a_bad_request(self) -> None:
        assert len(QueryParams(b"&".join(b"k%d=" % i for i in range(1000)))) == 1000
        with pytest.raises(BadRequest, match="more than 1000 fields"):
            QueryParams(b"&".join(b"k%d=" % i for i in range(1001)))
        with pytest.raises(BadRequest, match="more than 2 fields"):
            QueryParams(b"a&b&c", max_fields=2)

    @given(st.binary(max_size=60))
    def test_it_agrees_with_urllib(self, raw: bytes) -> None:
        try:
            expected = parse_qsl(raw.decode(), keep_blank_values=True, errors="strict")
        except UnicodeDecodeError:
            with pytest.raises(BadRequest):
                QueryParams(raw)
            return
        assert QueryParams(raw).multi_items() == expected

    @given(st.lists(st.tuples(st.text(), st.text())))
    def test_what_was_encoded_comes_back(self, pairs: list[tuple[str, str]]) -> None:
        pairs = [pair for pair in pairs if pair != ("", "")]
        raw = "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in pairs).encode()

        assert QueryParams(raw).multi_items() == pairs


class TestStructuredValues:
    @pytest.mark.parametrize(
        ("text", "members"),
        [
            ("", []),
            (" , ,", []),
            ("a, b ,c", ["a", "b", "c"]),
            ('a="x,y", b', ['a="x,y"', "b"]),
            (r'a="x\",y", b', [r'a="x\",y"', "b"]),
            ('a, "unclosed, b', ["a", '"unclosed, b']),
            ('a, "\\', ["a", '"\\']),
        ],
    )
    def test_a_list_is_split_outside_of_quotes(self, text: str, members: list[str]) -> None:
        assert split_list(text) == members

    @pytest.mark.parametrize(
        ("text", "value", "parameters"),
        [
            ("Text/HTML", "text/html", {}),
            ('text/html; Charset="utf-8"', "text/html", {"charset": "utf-8"}),
            (r'form-data; name="a\"b;c"; filename=x', "form-data", {"name": 'a"b;c', "filename": "x"}),
            (r'f; name="a\\b"', "f", {"name": "a\\b"}),
            ("a; b; =c; d=1; d=2", "a", {"": "c", "d": "1"}),
            ('a; b="', "a", {"b": '"'}),
        ],
    )
    def test_parameters(self, text: str, value: str, parameters: dict[str, str]) -> None:
        assert parse_parameters(text) == (value, parameters)

    @pytest.mark.parametrize(
        "text", ['"' * 100_001, '"\\' * 50_000, ";=" * 50_000, ",;" * 50_000, '",' * 50_000]
    )
    def test_hostile_text_takes_linear_time(self, text: str) -> None:
        started = time.perf_counter()
        split_list(text)
        parse_parameters(text)

        assert time.perf_counter() - started < 1
