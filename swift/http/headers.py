"""Header fields and query strings as mappings, over the raw pairs that ASGI carries.

Nothing is copied: `Headers` reads the list of a scope, `MutableHeaders` edits the list of a
response in place. What may stand in a header that is sent is decided by `check_header` alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import TypeVar

from swift._speedups.http import encode_header as check_header
from swift._speedups.query import parse_pairs

from .problems import BadRequest, Problem

V = TypeVar("V")

RawHeaders = list[tuple[bytes, bytes]]

__all__ = [
    "Headers",
    "MultiMapping",
    "MutableHeaders",
    "QueryParams",
    "RawHeaders",
    "check_header",
    "combined",
    "parse_parameters",
    "parse_urlencoded",
    "split_list",
]


class Headers(Mapping[str, str]):
    """The fields of a request: names in any case, values decoded as Latin-1.

    `headers[name]` is the first occurrence; `getlist` and `multi_items` give all, in order of receipt.
    Names in `raw` are in lower case, as ASGI promises.
    """

    __slots__ = ("raw",)

    def __init__(self, raw: RawHeaders) -> None:
        self.raw = raw

    def __getitem__(self, name: str) -> str:
        wanted = _key(name)
        for key, value in self.raw:
            if key == wanted:
                return value.decode("latin-1")
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str):
            return False
        wanted = _key(name)
        return any(key == wanted for key, _ in self.raw)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(key.decode("latin-1") for key, _ in self.raw))

    def __len__(self) -> int:
        return len({key for key, _ in self.raw})

    def getlist(self, name: str) -> list[str]:
        """Every value of a name, in order of receipt; none is an empty list."""
        wanted = _key(name)
        return [value.decode("latin-1") for key, value in self.raw if key == wanted]

    def multi_items(self) -> list[tuple[str, str]]:
        """All fields as they came, names that repeat too."""
        return [(key.decode("latin-1"), value.decode("latin-1")) for key, value in self.raw]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.multi_items()!r})"


class MutableHeaders(Headers, MutableMapping[str, str]):
    """The fields of a response, edited in place.

    Every way in goes through `check_header`: a name that is no token, a control character or a
    character outside Latin-1 is a ValueError where it is set, not a surprise of the server.
    """

    __slots__ = ()

    def __setitem__(self, name: str, value: str) -> None:
        """Replace every occurrence; the first one's place is kept."""
        pair = check_header(name, value)
        places = [index for index, (key, _) in enumerate(self.raw) if key == pair[0]]
        if not places:
            self.raw.append(pair)
            return
        self.raw[places[0]] = pair
        for index in reversed(places[1:]):
            del self.raw[index]

    def __delitem__(self, name: str) -> None:
        wanted = _key(name)
        kept = [pair for pair in self.raw if pair[0] != wanted]
        if len(kept) == len(self.raw):
            raise KeyError(name)
        self.raw[:] = kept

    def add(self, name: str, value: str) -> None:
        """Append one more occurrence, as Set-Cookie and Link need."""
        self.raw.append(check_header(name, value))

    def setdefault(self, name: str, default: str = "") -> str:
        """The first value of a name; the default is set where there is none."""
        pair = check_header(name, default)
        for key, value in self.raw:
            if key == pair[0]:
                return value.decode("latin-1")
        self.raw.append(pair)
        return pair[1].decode("latin-1")

    def vary(self, *names: str) -> None:
        """Merge field names into Vary (RFC 9110 section 12.5.5); `*` stands for all of them."""
        members: dict[str, str] = {}
        for line in self.getlist("vary"):
            for member in split_list(line):
                members.setdefault(member.lower(), member)
        for name in names:
            if name != "*":
                check_header(name, "")
            members.setdefault(name.lower(), name)
        if members:
            self["vary"] = "*" if "*" in members else ", ".join(members.values())


class MultiMapping(Mapping[str, V]):
    """Pairs whose names may repeat: `mapping[name]` is the last value, `getlist` gives all."""

    __slots__ = ("_last", "_pairs")

    def __init__(self, pairs: Iterable[tuple[str, V]] = ()) -> None:
        self._pairs = list(pairs)
        self._last = dict(self._pairs)

    def __getitem__(self, name: str) -> V:
        return self._last[name]

    def __contains__(self, name: object) -> bool:
        return name in self._last

    def __iter__(self) -> Iterator[str]:
        return iter(self._last)

    def __len__(self) -> int:
        return len(self._last)

    def getlist(self, name: str) -> list[V]:
        """Every value of a name in order; none is an empty list."""
        if name not in self._last:
            return []
        return [value for key, value in self._pairs if key == name]

    def multi_items(self) -> list[tuple[str, V]]:
        """All pairs as they came, names that repeat too."""
        return list(self._pairs)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._pairs!r})"


class QueryParams(MultiMapping[str]):
    """The fields of a query string, percent-decoded as UTF-8.

    More than `max_fields` fields or bytes that are not UTF-8 raise BadRequest.
    """

    __slots__ = ()

    def __init__(self, raw: bytes = b"", *, max_fields: int = 1000) -> None:
        super().__init__(parse_urlencoded(raw, max_fields=max_fields) if raw else ())


def parse_urlencoded(
    raw: bytes,
    *,
    max_fields: int = 1000,
    what: str = "The query string",
    too_many: type[Problem] = BadRequest,
) -> list[tuple[str, str]]:
    """The pairs of an application/x-www-form-urlencoded text (WHATWG URL, section 5.1).

    A percent sign that starts no escape is kept as it stands; a field without `=` has the value "".
    """
    try:
        return parse_pairs(raw, max_fields)
    except UnicodeDecodeError:
        raise BadRequest(f"{what} is not UTF-8 after percent-decoding.") from None
    except ValueError:
        raise too_many(f"{what} has more than {max_fields} fields.") from None


def combined(raw: RawHeaders, name: bytes) -> str | None:
    """All lines of a list-valued field as one (RFC 9110 section 5.3), or None when there is none."""
    values = [value for key, value in raw if key == name]
    return b", ".join(values).decode("latin-1") if values else None


def split_list(text: str, separator: str = ",") -> list[str]:
    """The members of a list (RFC 9110 section 5.6.1) without surrounding blanks and empty members.

    A separator inside a quoted-string does not count. An unclosed quote reaches to the end.
    """
    if '"' not in text:
        return [member for part in text.split(separator) if (member := part.strip(" \t"))]
    members: list[str] = []
    start = position = 0
    while position < len(text):
        character = text[position]
        if character == '"':
            position += 1
            while position < len(text) and text[position] != '"':
                position += 2 if text[position] == "\\" else 1
        elif character == separator:
            members.append(text[start:position])
            start = position + 1
        position += 1
    members.append(text[start:])
    return [member for part in members if (member := part.strip(" \t"))]


def parse_parameters(text: str) -> tuple[str, dict[str, str]]:
    """A value and its parameters: `text/html; charset="utf-8"` gives `("text/html", {"charset": "utf-8"})`.

    The value and the names come in lower case. The first of two equal names counts
    (RFC 9110 section 5.6.6 leaves it open); a parameter without `=` is dropped.
    """
    value, _, rest = text.partition(";")
    parameters: dict[str, str] = {}
    for part in split_list(rest, ";"):
        name, equals, content = part.partition("=")
        if equals:
            parameters.setdefault(name.strip(" \t").lower(), _unquote_string(content.strip(" \t")))
    return value.strip(" \t").lower(), parameters


def _unquote_string(text: str) -> str:
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return text
    text = text[1:-1]
    if "\\" not in text:
        return text
    # A doubled backslash is a backslash, any other one only protects what follows it.
    return "\\".join(piece.replace("\\", "") for piece in text.split("\\\\"))


def _key(name: str) -> bytes:
    return name.lower().encode("latin-1", "replace")
