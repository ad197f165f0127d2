"""The Range field (RFC 9110 section 14.2), read in one pass and without trust.

A client may ask for any number of overlapping ranges and so multiply the work of one request
(CVE-2011-3192, CVE-2025-62727). Three rules bound it: a field with more than `max_ranges` members is
ignored, which section 14.2 allows and which costs what a plain GET costs; ranges that overlap or
touch are joined; and so no byte is ever sent twice.
"""

from __future__ import annotations

from typing import NamedTuple

# More digits than any file size has; longer numbers are not even converted.
_MAX_DIGITS = 19


class ByteRange(NamedTuple):
    """Bytes `start` up to, not including, `stop`."""

    start: int
    stop: int


def parse_range(text: str, size: int, *, max_ranges: int = 16) -> list[ByteRange] | None:
    """The ranges of a representation of `size` bytes that a Range field asks for.

    None means that the field is to be ignored and everything sent: another unit than bytes, a
    malformed member, more than `max_ranges` members, or an empty representation, of which no range
    can be expressed. An empty list means 416. Joined ranges stand where their first member stood.
    """
    unit, equals, members = text.partition("=")
    if not equals or unit.strip(" \t").lower() != "bytes" or size == 0:
        return None
    if members.count(",") >= max_ranges:
        return None
    ranges: list[ByteRange] = []
    asked = False
    for member in members.split(","):
        member = member.strip(" \t")
        if not member:
            continue
        asked = True
        first, dash, last = member.partition("-")
        if not dash or not (_is_number(first) or (not first and last)) or not (_is_number(last) or not last):
            return None
        if not first:
            length = _number(last)
            if length:
                ranges.append(ByteRange(max(0, size - length), size))
            continue
        start = _number(first)
        if last and _number(last) < start:
            return None
        stop = min(_number(last) + 1, size) if last else size
        if start < size:
            ranges.append(ByteRange(start, stop))
    return _joined(ranges) if asked else None


def content_range(wanted: ByteRange | None, size: int) -> str:
    """The value of Content-Range: `bytes 0-99/1234`, and `bytes */1234` with a 416."""
    if wanted is None:
        return f"bytes */{size}"
    return f"bytes {wanted.start}-{wanted.stop - 1}/{size}"


def _joined(ranges: list[ByteRange]) -> list[ByteRange]:
    places = sorted(range(len(ranges)), key=ranges.__getitem__)
    joined: list[tuple[int, ByteRange]] = []
    for place in places:
        start, stop = ranges[place]
        if joined and start <= joined[-1][1].stop:
            earlier, group = joined[-1]
            joined[-1] = (min(earlier, place), ByteRange(group.start, max(group.stop, stop)))
        else:
            joined.append((place, ranges[place]))
    joined.sort()
    return [group for _, group in joined]


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _number(text: str) -> int:
    text = text.lstrip("0")
    return int(text or "0") if len(text) <= _MAX_DIGITS else 10**_MAX_DIGITS
