"""Entity tags, dates and preconditions."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swift.http.conditional import ETag, evaluate, http_date, if_range_holds, parse_etags, parse_http_date
from swift.http.request import Request

V1, V2, WEAK = ETag("v1"), ETag("v2"), ETag("v1", weak=True)
CHANGED = datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)
AT = "Sun, 06 Nov 1994 08:49:37 GMT"
BEFORE = "Sun, 06 Nov 1994 08:49:36 GMT"
AFTER = "Sun, 06 Nov 1994 08:49:38 GMT"


def request(method: str = "GET", **fields: str | list[str]) -> Request:
    headers = [
        (name.replace("_", "-").encode(), line.encode("latin-1"))
        for name, lines in fields.items()
        for line in ([lines] if isinstance(lines, str) else lines)
    ]
    return Request({"type": "http", "method": method, "path": "/", "headers": headers}, None)


class TestETag:
    def test_its_form_on_the_wire(self) -> None:
        assert str(V1) == '"v1"'
        assert str(WEAK) == 'W/"v1"'

    @pytest.mark.parametrize("value", ['a"b', "a b", "a\r\nb", "\0", "→", "\x7f"])
    def test_a_value_that_cannot_be_sent_is_refused(self, value: str) -> None:
        with pytest.raises(ValueError, match="RFC 9110 section"):
            ETag(value)

    def test_the_table_of_section_8_8_3_2(self) -> None:
        one, two, weak_one = ETag("1"), ETag("2"), ETag("1", weak=True)

        assert [
            a.matches_strongly(b)
            for a, b in [(weak_one, weak_one), (weak_one, two), (weak_one, one), (one, one)]
        ] == [
            False,
            False,
            False,
            True,
        ]
        assert [
            a.matches_weakly(b)
            for a, b in [(weak_one, weak_one), (weak_one, two), (weak_one, one), (one, one)]
        ] == [
            True,
            False,
            True,
            True,
        ]

    @pytest.mark.parametrize(
        ("text", "tag"),
        [
            ('"v1"', V1),
            ('W/"v1"', WEAK),
            ('""', ETag("")),
            ('"a,b"', ETag("a,b")),
            ("v1", None),
            ("*", None),
            ('"v1', None),
            ('w/"v1"', None),
            ('"a" , "b"', None),
            ('"', None),
            ("", None),
        ],
    )
    def test_parsing_one(self, text: str, tag: ETag | None) -> None:
        assert ETag.parse(text) == tag

    @pytest.mark.parametrize(
        ("text", "tags"),
        [
            ("*", None),
            (" * ", None),
            ("", []),
            ('"v1"', [V1]),
            ('"v1", W/"v1" ,"v2"', [V1, WEAK, V2]),
            (',, "v1" ,,', [V1]),
            ('"a,b", "c"', [ETag("a,b"), ETag("c")]),
            ('v1, "v2"', [V2]),
            ('"v1" "v2"', []),
            ('"v1"x, "v2"', [V2]),
            ('"v1', []),
            ('w/"v1", "v2"', [V2]),
            ('*, "v1"', [V1]),
        ],
    )
    def test_parsing_a_list_skips_what_is_malformed(self, text: str, tags: list[ETag] | None) -> None:
        assert parse_etags(text) == tags

    @given(st.lists(st.builds(ETag, st.text("ab,!~é", max_size=4), st.booleans())))
    def test_a_list_of_tags_comes_back(self, tags: list[ETag]) -> None:
        assert parse_etags(", ".join(map(str, tags))) == tags

    @pytest.mark.parametrize(
        "text", ['"' * 200_001, '"a" ' * 50_000, 'W/"' * 60_000, "," * 200_000, '"a b",' * 30_000]
    )
    def test_hostile_lists_take_linear_time(self, text: str) -> None:
        started = time.perf_counter()
        parse_etags(text)

        assert time.perf_counter() - started < 1


class TestDates:
    @pytest.mark.parametrize(
        "text",
        [AT, "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"],
        ids=["fixdate", "rfc850", "asctime"],
    )
    def test_the_three_forms_of_section_5_6_7(self, text: str) -> None:
        assert parse_http_date(text) == CHANGED.timestamp()

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "0",
            "now",
            "1994-11-06T08:49:37Z",
            "Sun, 06 Nov 1994 08:49:37 +0100",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 06 Foo 1994 08:49:37 GMT",
            "Sun, 31 Feb 1994 08:49:37 GMT",
            "Sun, 06 Nov 0000 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:00:00 GMT",
            "Sun, 06 Nov 1994 08:60:00 GMT",
            "Sun, 06 Nov 1994 08:49:61 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT\n",
            "Sun, ٠٦ Nov 1994 08:49:37 GMT",
            AT + AT,
        ],
    )
    def test_anything_else_is_no_date(self, text: str) -> None:
        assert parse_http_date(text) is None

    def test_a_leap_second_is_the_next_minute(self) -> None:
        assert (
            parse_http_date("Sat, 31 Dec 2016 23:59:60 GMT") == datetime(2017, 1, 1, tzinfo=UTC).timestamp()
        )

    def test_two_digits_of_a_year_more_than_fifty_years_ahead_are_past(self) -> None:
        now = datetime.now(UTC).year
        for year in (now + 49, now - 49):
            moment = datetime(year, 1, 1, tzinfo=UTC)
            assert parse_http_date(moment.strftime("%A, 01-Jan-%y 00:00:00 GMT")) == moment.timestamp()

    def test_any_zone_is_written_as_gmt_and_fractions_are_cut(self) -> None:
        there = CHANGED.astimezone(timezone(timedelta(hours=5))).replace(microsecond=999_999)

        assert http_date(there) == http_date(CHANGED.timestamp() + 0.9) == AT

    def test_a_naive_datetime_is_refused(self) -> None:
        with pytest.raises(ValueError, match="no time zone"):
            http_date(datetime(1994, 11, 6))

    @given(st.integers(-62_135_596_800, 253_402_300_799))
    def test_every_second_comes_back(self, moment: int) -> None:
        assert parse_http_date(http_date(moment)) == moment

    @given(st.integers(0, 4_000_000_000))
    def test_it_agrees_with_the_email_package(self, moment: int) -> None:
        assert http_date(moment) == formatdate(moment, usegmt=True)


class TestEvaluate:
    @pytest.mark.parametrize(
        ("method", "fields", "etag", "outcome"),
        [
            ("GET", {}, V1, None),
            # 1. If-Match, strong comparison.
            ("PUT", {"if_match": '"v1"'}, V1, None),
            ("PUT", {"if_match": '"v2", "v1"'}, V1, None),
            ("PUT", {"if_match": ['"v2"', '"v1"']}, V1, None),
            ("PUT", {"if_match": '"v2"'}, V1, 412),
            ("PUT", {"if_match": 'W/"v1"'}, WEAK, 412),
            ("PUT", {"if_match": '"v1"'}, WEAK, 412),
            ("PUT", {"if_match": "*"}, V1, None),
            ("PUT", {"if_match": "*"}, None, None),
            ("PUT", {"if_match": '"v1"'}, None, 412),
            ("PUT", {"if_match": "v1"}, V1, 412),
            ("PUT", {"if_match": ""}, V1, 412),
            ("GET", {"if_match": '"v2"'}, V1, 412),
            # 2. If-Unmodified-Since, only without If-Match.
            ("PUT", {"if_unmodified_since": AT}, V1, None),
            ("PUT", {"if_unmodified_since": AFTER}, V1, None),
            ("PUT", {"if_unmodified_since": BEFORE}, V1, 412),
            ("PUT", {"if_unmodified_since": "yesterday"}, V1, None),
            ("PUT", {"if_match": '"v1"', "if_unmodified_since": BEFORE}, V1, None),
            # 3. If-None-Match, weak comparison.
            ("GET", {"if_none_match": '"v1"'}, V1, 304),
            ("HEAD", {"if_none_match": '"v1"'}, V1, 304),
            ("GET", {"if_none_match": 'W/"v1"'}, V1, 304),
            ("GET", {"if_none_match": '"v1"'}, WEAK, 304),
            ("GET", {"if_none_match": '"v0", W/"v1"'}, V1, 304),
            ("GET", {"if_none_match": ['"v0"', '"v1"']}, V1, 304),
            ("GET", {"if_none_match": '"v2"'}, V1, None),
            ("GET", {"if_none_match": "*"}, V1, 304),
            ("GET", {"if_none_match": "v1"}, V1, None),
            ("GET", {"if_none_match": '"v1"'}, None, None),
            ("PUT", {"if_none_match": '"v1"'}, V1, 412),
            ("PUT", {"if_none_match": "*"}, V1, 412),
            ("PUT", {"if_none_match": "*"}, None, 412),
            # 4. If-Modified-Since, only for GET and HEAD, only without If-None-Match.
            ("GET", {"if_modified_since": AT}, V1, 304),
            ("HEAD", {"if_modified_since": AFTER}, V1, 304),
            ("GET", {"if_modified_since": BEFORE}, V1, None),
            ("GET", {"if_modified_since": "yesterday"}, V1, None),
            ("GET", {"if_modified_since": [AT, AFTER]}, V1, None),
            ("PUT", {"if_modified_since": AT}, V1, None),
            ("GET", {"if_none_match": '"v2"', "if_modified_since": AT}, V1, None),
            ("GET", {"if_none_match": '"v1"', "if_modified_since": BEFORE}, V1, 304),
            # The order between them.
            ("GET", {"if_match": '"v2"', "if_none_match": '"v1"'}, V1, 412),
            ("GET", {"if_match": '"v1"', "if_none_match": '"v1"'}, V1, 304),
            ("GET", {"if_unmodified_since": BEFORE, "if_none_match": '"v1"'}, V1, 412),
            ("GET", {"if_unmodified_since": AT, "if_modified_since": AT}, V1, 304),
        ],
    )
    def test_the_table_of_section_13_2_2(
        self, method: str, fields: dict[str, str | list[str]], etag: ETag | None, outcome: int | None
    ) -> None:
        assert evaluate(request(method, **fields), etag, CHANGED) == outcome

    def test_fractions_of_the_modification_time_do_not_count(self) -> None:
        assert evaluate(request(if_modified_since=AT), None, CHANGED.timestamp() + 0.999) == 304
        assert evaluate(request("PUT", if_unmodified_since=AT), None, CHANGED.timestamp() + 0.999) is None

    def test_dates_are_ignored_where_no_modification_time_is_known(self) -> None:
        assert evaluate(request("PUT", if_unmodified_since=BEFORE), V1) is None
        assert evaluate(request(if_modified_since=AFTER), V1) is None

    def test_a_put_that_creates_passes_if_none_match_and_fails_if_match(self) -> None:
        assert evaluate(request("PUT", if_none_match="*"), exists=False) is None
        assert evaluate(request("PUT", if_match="*"), exists=False) == 412
        assert evaluate(request("PUT", if_match='"v1"'), exists=False) == 412


class TestIfRange:
    @pytest.mark.parametrize(
        ("text", "etag", "holds"),
        [
            ('"v1"', V1, True),
            ('"v2"', V1, False),
            ('W/"v1"', V1, False),
            ('W/"v1"', WEAK, False),
            ('"v1"', WEAK, False),
            ('"v1"', None, False),
            ('"v1", "v2"', V1, False),
            ("v1", V1, False),
            (AT, V1, True),
            (AT, None, True),
            (BEFORE, V1, False),
            (AFTER, V1, False),
            ("", V1, False),
        ],
    )
    def test_only_an_exact_strong_validator_holds(self, text: str, etag: ETag | None, holds: bool) -> None:
        assert if_range_holds(text, etag, CHANGED) is holds

    def test_a_date_of_this_very_second_is_weak(self) -> None:
        now = time.time()

        assert not if_range_holds(http_date(now), None, now)
        assert if_range_holds(http_date(now - 5), None, now - 5)
