"""Where the faults of one input are gathered."""

from __future__ import annotations

from swift.http.problems import ErrorDetail

# A step from the root to a value: its container's path, and its name or index there.
Path = tuple["Path | None", str | int] | None

# A pointer holds keys that the client chose. One longer than any field name of a reasonable schema is
# not sent back: the pointer then ends at the object that holds it.
LONGEST_KEY = 100


class EnoughErrors(Exception):
    """The report is full; the walk ends here."""


class Report:
    """At most `limit` faults below `prefix`, in the order in which they were found."""

    __slots__ = ("errors", "limit", "prefix")

    def __init__(self, prefix: str, limit: int) -> None:
        self.prefix = prefix
        self.limit = limit
        self.errors: list[ErrorDetail] = []

    def add(self, path: Path, code: str, detail: str) -> None:
        if len(self.errors) >= self.limit:
            raise EnoughErrors
        self.errors.append(ErrorDetail(pointer(self.prefix, path), code, detail))


def pointer(prefix: str, path: Path) -> str:
    """The JSON pointer (RFC 6901) of a path."""
    tokens: list[str] = []
    while path is not None:
        path, key = path
        if isinstance(key, str):
            if len(key) > LONGEST_KEY:
                tokens.clear()
                continue
            key = key.replace("~", "~0").replace("/", "~1")
        tokens.append(str(key))
    tokens.append(prefix)
    return "/".join(reversed(tokens))
