"""Conditional requests (RFC 9110 section 13): entity tags, dates, and what they decide.

The order of the preconditions is that of section 13.2.2:

    1. If-Match             false -> 412    strong comparison
    2. If-Unmodified-Since  false -> 412    only without If-Match
    3. If-None-Match        false -> 304 for GET and HEAD, 412 otherwise; weak comparison
    4. If-Modified-Since    false -> 304    only for GET and HEAD, only without If-None-Match
    5. If-Range             decides whether Range counts; see `if_range_holds`

Dates have whole seconds on the wire, so a modification time is cut to seconds before it is compared.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal, Protocol

import msgspec

from .headers import combined

Moment = datetime | float
"""An aware datetime, or POSIX seconds."""

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

# The three forms of RFC 9110 section 5.6.7: IMF-fixdate, RFC 850, asctime.
_DATE = re.compile(
    r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (?P<day>\d{2}) (?P<month>[A-Z][a-z]{2}) (?P<year>\d{4}) "
    r"(?P<time>\d{2}:\d{2}:\d{2}) GMT\Z"
    r"|(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, "
    r"(?P<day2>\d{2})-(?P<month2>[A-Z][a-z]{2})-(?P<year2>\d{2}) (?P<time2>\d{2}:\d{2}:\d{2}) GMT\Z"
    r"|(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) (?P<month3>[A-Z][a-z]{2}) (?P<day3>[ \d]\d) "
    r"(?P<time3>\d{2}:\d{2}:\d{2}) (?P<year3>\d{4})\Z",
    re.ASCII,
)

_OPAQUE = re.compile(r"[\x21\x23-\x7E\x80-\xFF]*\Z")


class ETag(msgspec.Struct, frozen=True):
    """An entity tag; `str(tag)` is its form on the wire, `"v1"` or `W/"v1"`."""

    value: str
    weak: bool = False

    def __post_init__(self) -> None:
        if not _OPAQUE.match(self.value):
            raise ValueError(
                "An entity tag holds visible Latin-1 characters without the double quote "
                "(RFC 9110 section 8.8.3); use a hash or a version number."
            )

    def __str__(self) -> str:
        return f'W/"{self.value}"' if self.weak else f'"{self.value}"'

    @classmethod
    def parse(cls, text: str) -> ETag | None:
        """The tag that `text` is, or None when it is not exactly one."""
        weak = text.startswith("W/")
        quoted = text[2:] if weak else text
        if len(quoted) < 2 or quoted[0] != '"' or quoted[-1] != '"' or not _OPAQUE.match(quoted[1:-1]):
            return None
        return cls(quoted[1:-1], weak)

    def matches_strongly(self, other: ETag) -> bool:
        """Whether both stand for the same bytes (RFC 9110 section 8.8.3.2); a weak tag never does."""
        return not self.weak and not other.weak and self.value == other.value

    def matches_weakly(self, other: ETag) -> bool:
        """Whether both stand for the same content, weak or not."""
        return self.value == other.value


def parse_etags(text: str) -> list[ETag] | None:
    """The tags of an If-Match or If-None-Match field; None stands for `*`.

    A member that is no entity tag, such as one without quotes, is skipped and so matches nothing.
    """
    if text.strip(" \t") == "*":
        return None
    tags: list[ETag] = []
    position = 0
    while position < len(text):
        if text[position] in ", \t":
            position += 1
            continue
        opening = position + 2 if text.startswith("W/", position) else position
        end = text.find('"', opening + 1) + 1
        tag = ETag.parse(text[position:end]) if end else None
        if tag is not None and _ends_member(text, end):
            tags.append(tag)
            position = end
            continue
        comma = text.find(",", position)
        position = len(text) if comma == -1 else comma
    return tags


def _ends_member(text: str, position: int) -> bool:
    while position < len(text) and text[position] in " \t":
        position += 1
    return position == len(text) or text[position] == ","


class ConditionalRequest(Protocol):
    """What `evaluate` reads of a request."""

    @property
    def method(self) -> str: ...

    @property
    def raw_headers(self) -> list[tuple[bytes, bytes]]: ...


def evaluate(
    request: ConditionalRequest,
    etag: ETag | None = None,
    last_modified: Moment | None = None,
    *,
    exists: bool = True,
) -> Literal[304, 412] | None:
    """What the preconditions of a request make of it, or None when it goes on as usual.

    `etag` and `last_modified` describe the present representation; `exists=False` says that there
    is none, as before a PUT that creates one (`If-None-Match: *` passes, `If-Match` fails).
    """
    headers = request.raw_headers
    reading = request.method in ("GET", "HEAD")
    modified = None if last_modified is None else _seconds(last_modified)

    if_match = combined(headers, b"if-match")
    if if_match is not None:
        tags = parse_etags(if_match)
        if not exists or (tags is not None and not _any_match(tags, etag, strong=True)):
            return 412
    elif modified is not None:
        since = _date(headers, b"if-unmodified-since")
        if since is not None and modified > since:
            return 412

    if_none_match = combined(headers, b"if-none-match")
    if if_none_match is not None:
        tags = parse_etags(if_none_match)
        if exists and (tags is None or _any_match(tags, etag, strong=False)):
            return 304 if reading else 412
    elif reading and modified is not None:
        since = _date(headers, b"if-modified-since")
        if since is not None and modified <= since:
            return 304
    return None


def if_range_holds(text: str, etag: ETag | None, last_modified: Moment | None) -> bool:
    """Whether a Range may be served under this If-Range field (RFC 9110 section 13.1.5).

    A weak tag never holds. A date holds when it is exactly the modification date and that date is
    strong: a file changed in the last second may change again within it (section 8.8.2.2).
    """
    text = text.strip(" \t")
    if text.startswith(('"', "W/")):
        given = ETag.parse(text)
        return given is not None and etag is not None and given.matches_strongly(etag)
    since = parse_http_date(text)
    if since is None or last_modified is None:
        return False
    return since == _seconds(last_modified) and time.time() - since >= 2


def http_date(moment: Moment) -> str:
    """The IMF-fixdate of a moment: `Sun, 06 Nov 1994 08:49:37 GMT`. A naive datetime is a ValueError."""
    year, month, day, hour, minute, second, weekday, _, _ = time.gmtime(_seconds(moment))
    return f"{_DAYS[weekday]}, {day:02} {_MONTHS[month - 1]} {year:04} {hour:02}:{minute:02}:{second:02} GMT"


def parse_http_date(text: str) -> int | None:
    """POSIX seconds of a date in any of the three forms of RFC 9110 section 5.6.7, or None."""
    match = _DATE.match(text)
    if match is None:
        return None
    day = int(match["day"] or match["day2"] or match["day3"])
    month_name = match["month"] or match["month2"] or match["month3"]
    clock = match["time"] or match["time2"] or match["time3"]
    if month_name not in _MONTHS:
        return None
    if match["year2"] is not None:
        # More than 50 years ahead means the past century (section 5.6.7).
        now = time.gmtime().tm_year
        year = now - now % 100 + int(match["year2"])
        if year > now + 50:
            year -= 100
    else:
        year = int(match["year"] or match["year3"])
    hour, minute, second = (int(part) for part in clock.split(":"))
    if second > 60:
        return None
    try:
        # 60 is a leap second, which POSIX time counts as the first of the next minute.
        moment = datetime(year, _MONTHS.index(month_name) + 1, day, hour, minute, min(second, 59), tzinfo=UTC)
    except ValueError:
        return None
    return int(moment.timestamp()) + (second == 60)


def _date(headers: Sequence[tuple[bytes, bytes]], name: bytes) -> int | None:
    """The date of a field, or None when it is absent, repeated or no date (it is then ignored)."""
    values = [value for key, value in headers if key == name]
    return parse_http_date(values[0].decode("latin-1").strip(" \t")) if len(values) == 1 else None


def _any_match(tags: list[ETag], etag: ETag | None, *, strong: bool) -> bool:
    if etag is None:
        return False
    if strong:
        return any(tag.matches_strongly(etag) for tag in tags)
    return any(tag.matches_weakly(etag) for tag in tags)


def _seconds(moment: Moment) -> int:
    if isinstance(moment, datetime):
        if moment.tzinfo is None:
            raise ValueError("The datetime has no time zone; give an aware one, such as datetime.now(UTC).")
        moment = moment.timestamp()
    return int(moment // 1)
