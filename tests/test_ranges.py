"""The Range field."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swift.http.ranges import ByteRange, content_range, parse_range


@pytest.mark.parametrize(
    ("text", "size", "ranges"),
    [
        ("bytes=0-499", 1000, [(0, 500)]),
        ("bytes=500-999", 1000, [(500, 1000)]),
        ("bytes=500-", 1000, [(500, 1000)]),
        ("bytes=-500", 1000, [(500, 1000)]),
        ("bytes=0-0", 1000, [(0, 1)]),
        ("bytes=-1", 1000, [(999, 1000)]),
        ("bytes=0-0,-1", 1000, [(0, 1), (999, 1000)]),
        ("bytes= 0-0 ,\t-1 ,", 1000, [(0, 1), (999, 1000)]),
        ("Bytes=0-1", 1000, [(0, 2)]),
        ("bytes=000-0001", 1000, [(0, 2)]),
        # Beyond the end: cut, or dropped when it begins there.
        ("bytes=900-2000", 1000, [(900, 1000)]),
        ("bytes=-2000", 1000, [(0, 1000)]),
        ("bytes=0-1,2000-", 1000, [(0, 2)]),
        ("bytes=0-" + "9" * 5000, 1000, [(0, 1000)]),
        ("bytes=-" + "9" * 5000, 1000, [(0, 1000)]),
        ("bytes=0-18446744073709551616", 1000, [(0, 1000)]),
        # Order is kept, what overlaps or touches is joined where its first member stood.
        ("bytes=900-,0-1", 1000, [(900, 1000), (0, 2)]),
        ("bytes=0-9,5-20", 1000, [(0, 21)]),
        ("bytes=0-9,10-20", 1000, [(0, 21)]),
        ("bytes=0-9,11-20", 1000, [(0, 10), (11, 21)]),
        ("bytes=500-600,0-9,550-700", 1000, [(500, 701), (0, 10)]),
        ("bytes=0-9,0-9,0-9", 1000, [(0, 10)]),
        ("bytes=-500,0-", 1000, [(0, 1000)]),
    ],
)
def test_ranges(text: str, size: int, ranges: list[tuple[int, int]]) -> None:
    assert parse_range(text, size) == ranges


@pytest.mark.parametrize(
    "text", ["bytes=1000-", "bytes=1000-2000", "bytes=-0", "bytes=5000-,-0", "bytes=" + "9" * 5000 + "-"]
)
def test_a_field_with_no_range_inside_is_unsatisfiable(text: str) -> None:
    assert parse_range(text, 1000) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "bytes",
        "bytes=",
        "bytes=,",
        "bytes=-",
        "bytes=a-b",
        "bytes=1",
        "bytes=5-4",
        "bytes=0-1,5-4",
        "bytes=0-1,x",
        "bytes=--1",
        "bytes=-1-",
        "bytes=+1-2",
        "bytes=0 - 1",
        "bytes=0x1-2",
        "bytes=1_0-20",
        "bytes=²-3",
        "bytes=٠-١",
        "bytes:0-1",
        "items=0-1",
        "0-1",
        "bytes=0-1;2-3",
        "bytes=" + "9" * 30 + "-5",
    ],
)
def test_a_malformed_field_is_ignored(text: str) -> None:
    assert parse_range(text, 1000) is None


@pytest.mark.parametrize("text", ["bytes=0-", "bytes=-5", "bytes=0-0", "bytes=7-"])
def test_an_empty_representation_has_no_ranges(text: str) -> None:
    assert parse_range(text, 0) is None


def test_more_ranges_than_the_cap_are_ignored() -> None:
    spread = [f"{i * 10}-{i * 10}" for i in range(17)]

    assert len(parse_range("bytes=" + ",".join(spread[:16]), 1000) or []) == 16
    assert parse_range("bytes=" + ",".join(spread), 1000) is None
    assert parse_range("bytes=0-1,5-6,9-9", 1000, max_ranges=2) is None


@pytest.mark.parametrize(
    "text",
    [
        "bytes=" + ",".join(f"{i}-" for i in range(100_000)),
        "bytes=0-" + "," * 500_000,
        "bytes=" + "0-," * 10_000,
        "bytes=" + "9" * 1_000_000 + "-",
        "bytes=-" + "0" * 1_000_000,
    ],
)
def test_hostile_fields_take_linear_time(text: str) -> None:
    started = time.perf_counter()
    parse_range(text, 2**40)

    assert time.perf_counter() - started < 0.5


def test_content_range() -> None:
    assert content_range(ByteRange(0, 500), 1234) == "bytes 0-499/1234"
    assert content_range(None, 1234) == "bytes */1234"


members = st.one_of(
    st.tuples(st.integers(0, 40), st.integers(0, 40)).map(lambda pair: f"{pair[0]}-{pair[0] + pair[1]}"),
    st.integers(0, 40).map(lambda start: f"{start}-"),
    st.integers(0, 40).map(lambda length: f"-{length}"),
)


@given(st.lists(members, min_size=1, max_size=16), st.integers(1, 30))
def test_it_agrees_with_a_set_of_bytes(wanted: list[str], size: int) -> None:
    asked: set[int] = set()
    for member in wanted:
        first, last = member.split("-")
        if first:
            asked.update(range(int(first), min(int(last or size), size - 1) + 1))
        else:
            asked.update(range(max(0, size - int(last)), size))

    ranges = parse_range("bytes=" + ",".join(wanted), size)

    assert ranges is not None
    assert {position for start, stop in ranges for position in range(start, stop)} == asked
    assert sum(stop - start for start, stop in ranges) == len(asked)
    assert all(0 <= start < stop <= size for start, stop in ranges)
    # Joined: between any two of them lies at least one byte that nobody asked for.
    ordered = sorted(ranges)
    assert all(a.stop < b.start for a, b in pairwise(ordered))


@given(st.text(alphabet="bytes=0123456789-, ", max_size=30), st.integers(0, 100))
def test_any_text_gives_ranges_inside_the_file(text: str, size: int) -> None:
    for start, stop in parse_range("bytes=" + text, size) or []:
        assert 0 <= start < stop <= size
