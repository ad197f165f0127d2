"""Patterns match whole texts in linear time, or are refused when the schema is declared."""

from __future__ import annotations

import re
import time
from typing import Annotated, get_args

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from swift.schemas import URL, AnchoredPattern, Email, Hostname, PhoneNumber, Slug, Text, compile_body
from swift.schemas.patterns import check_linear

LINEAR = [
    r"[A-Z]{2}-[0-9]+",
    r"\d{4}-\d{2}-\d{2}",
    r"[a-z0-9]+(?:-[a-z0-9]+)*",
    r"[a-z-]*[a-z]",
    r"(?:foo|bar)+",
    r"(?:a|ab)*",
    r"a*+a",
    r"(?>a+)b",
    r"[^@]*@.*",
    r"(?!admin)[a-z]+",
    r"",
]


@pytest.mark.parametrize("pattern", LINEAR)
def test_patterns_that_the_next_character_decides_are_taken(pattern: str) -> None:
    check_linear(pattern)


CATASTROPHIC = [
    (r"(a+)+", "inside a repeat"),
    (r"(a|a)*", "inside a repeat"),
    (r"(?:[a-z]+\d?)+", "inside a repeat"),
    (r"(?:\w+\s?)*", "inside a repeat"),
    (r"(?:éa?|[à-ü]a)*", "inside a repeat"),
    (r"(a*)*", "repeats what may be empty"),
    (r"(a?){30}a{30}", "repeats what may be empty"),
    (r"a*a*", "no bound either"),
    (r".*@.*", "no bound either"),
    (r"a?a?a?a?a?a?a?a", "more than 100 ways"),
    (r"(a)\1", "refers back"),
    (r"(?=.*x).*", "lookaround"),
    (r"(?i)a", "sets flags"),
    (r"(?i:a)", "sets flags"),
]


@pytest.mark.parametrize(("pattern", "reason"), CATASTROPHIC)
def test_patterns_that_backtrack_without_bound_are_refused(pattern: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        AnchoredPattern(pattern)


def test_the_whole_text_must_match() -> None:
    decoder = compile_body(Annotated[str, AnchoredPattern("a|b")])
    assert decoder.decode(b'"b"') == "b"
    for text in (b'"ab"', b'"xb"', b'"b\\n"'):
        with pytest.raises(msgspec.ValidationError):
            decoder.decode(text)


def test_a_named_pattern_is_reported_by_its_name() -> None:
    plate = Annotated[
        str, AnchoredPattern("[A-Z]{2}[0-9]{3}", format="plate", expected="Expected a number plate")
    ]
    [error] = compile_body(plate).explain(b'"x"')[1]
    assert (error.code, error.detail) == ("format_plate", "Expected a number plate")


FORMATS = {
    "email": (
        Email,
        ["a@b.co", "a.b+c@x-y.example.com", "o'hara@x.ie"],
        ["", "a", "a@b", "@b.co", "a@", "a..b@c.d", ".a@b.co", "a@-b.co", "a@b-.co", "a@b.co\n", "a b@c.d",
         "é@b.co", "a@b..co", f"{'a' * 65}@b.co", f"a@{'b' * 64}.co", f"a@{'b.' * 130}co"],
    ),
    "hostname": (
        Hostname,
        ["a", "a-b.c1", f"{'a' * 63}.b"],
        ["", "-a", "a-", "a..b", ".a", "a_b", f"{'a' * 64}.b"],
    ),
    "uri": (
        URL,
        ["http://a", "HTTPS://a.b:8080/c/d?e=f#g", "https://[::1]/", "http://127.0.0.1"],
        ["", "ftp://a", "//a", "http://", "http://u:p@a", "http://a b", "http://a/é", "javascript:alert(1)",
         "http://a\n", "http://a:99999999"],
    ),
    "slug": (Slug, ["a", "a-b-1"], ["", "-a", "a-", "a--b", "A", "a_b"]),
    "phone": (PhoneNumber, ["+441632960961"], ["441632960961", "+0123456789", "+44 1632", "+1"]),
    "text": (Text, ["", "a\tb\r\nc", "é\U0001f600"], ["\0", "a\x1b", "\x7f"]),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_takes_what_it_means_and_nothing_else(name: str) -> None:
    type_, good, bad = FORMATS[name]
    decoder = compile_body(type_)
    for text in good:
        assert decoder.decode(msgspec.json.encode(text)) == text
    for text in bad:
        with pytest.raises(msgspec.ValidationError):
            decoder.decode(msgspec.json.encode(text))


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_linear(name: str) -> None:
    pattern = get_args(FORMATS[name][0])[1].pattern
    check_linear(pattern.removeprefix(r"\A(?:").removesuffix(r")\Z"))


HOSTILE = ["a" * 200_000 + "!", "a-" * 100_000, "a." * 100_000, "a@" * 100_000, "-" * 200_000, "1" * 200_000]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_text_costs_no_time(name: str, text: str) -> None:
    # Without the bound on its length: that the pattern alone is linear.
    pattern = re.compile(get_args(FORMATS[name][0])[1].pattern)
    begin = time.perf_counter()
    pattern.search(text)
    assert time.perf_counter() - begin < 1


_atoms = st.sampled_from(["a", "b", "[ab]", "[^a]", ".", r"\w", "ab", "x"])
_patterns = st.recursive(
    _atoms,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{1,3}", "*?"])).map(lambda p: f"(?:{p[0]}){p[1]}"),
        st.lists(inner, min_size=2, max_size=3).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda branches: f"(?:{'|'.join(branches)})"),
    ),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(_patterns, st.text("abx", min_size=1, max_size=4))
def test_no_pattern_that_was_taken_explodes(pattern: str, seed: str) -> None:
    try:
        check_linear(pattern)
    except ValueError:
        assume(False)
    anchored = re.compile(rf"\A(?:{pattern})\Z")
    text = seed * 10_000 + "!"
    begin = time.perf_counter()
    anchored.search(text)
    # 40,000 characters: squared they would take ten seconds, exponentially for ever.
    assert time.perf_counter() - begin < 1
