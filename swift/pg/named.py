"""`:name` parameters: compiled once per text to the `$n` the server knows."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, NamedTuple

from .errors import PgInterfaceError

# What may hold a colon that is no parameter, longest first. Standard-conforming strings: a backslash counts in E'' only.
_TOKEN = re.compile(
    r"""
      [eE]'(?:[^'\\]|\\.|'')*'                      # E'...'
    | '(?:[^']|'')*'                                # '...'
    | "(?:[^"]|"")*"                                # "identifier"
    | --[^\n]*                                      # to the end of the line
    | (?P<block>/\*)                                # nests
    | (?<![\w$])\$(?P<tag>(?:[A-Za-z_\x80-\uffff][\w\x80-\uffff]*)?)\$   # $tag$ ... $tag$
    | ::                                            # cast
    | :=                                            # named argument of a function
    | (?P<positional>\$[0-9]+)
    | (?<![\w:]):(?P<name>[A-Za-z_]\w*)
    """,
    re.VERBOSE | re.DOTALL,
)


class Compiled(NamedTuple):
    """The text with `$n`, and the names in the order of their numbers."""

    sql: str
    names: tuple[str, ...]


@lru_cache(maxsize=4096)
def compile_named(sql: str) -> Compiled:
    """Number the parameters of a text. Raises PgInterfaceError where `:name` and `$n` are mixed."""
    parts: list[str] = []
    names: dict[str, int] = {}
    positional = False
    at = 0
    while (found := _TOKEN.search(sql, at)) is not None:
        end = found.end()
        if found["block"]:
            end = _end_of_comment(sql, end)
        elif found["tag"] is not None:
            close = sql.find(found[0], end)
            end = len(sql) if close < 0 else close + len(found[0])
        elif found["positional"]:
            positional = True
        elif name := found["name"]:
            number = names.setdefault(name, len(names) + 1)
            parts += [sql[at : found.start()], f"${number}"]
            at = end
            continue
        parts.append(sql[at:end])
        at = end
    if names and positional:
        raise PgInterfaceError("A statement has either :name or $n parameters, not both.", statement=sql)
    return Compiled("".join(parts) + sql[at:], tuple(names))


def _end_of_comment(sql: str, at: int) -> int:
    depth = 1
    while depth:
        opened, closed = sql.find("/*", at), sql.find("*/", at)
        if closed < 0:
            return len(sql)
        if 0 <= opened < closed:
            depth, at = depth + 1, opened + 2
        else:
            depth, at = depth - 1, closed + 2
    return at


def bind_named(sql: str, args: tuple[Any, ...], named: dict[str, Any]) -> tuple[str, tuple[Any, ...]]:
    """The text and the arguments to send. Raises PgInterfaceError for a name too many or too few."""
    if args:
        raise PgInterfaceError(
            "A statement takes either positional or named parameters, not both.", statement=sql
        )
    compiled = compile_named(sql)
    if len(named) != len(compiled.names) or any(name not in named for name in compiled.names):
        missing = [name for name in compiled.names if name not in named]
        unknown = [name for name in named if name not in compiled.names]
        said = [f"misses {', '.join(missing)}"] * bool(missing) + [f"has no {', '.join(unknown)}"] * bool(
            unknown
        )
        raise PgInterfaceError(f"The statement {' and '.join(said)}.", statement=sql)
    return compiled.sql, tuple([named[name] for name in compiled.names])
