"""`prepare`: a statement that is written down once, with what its result is read into."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .named import bind_named, compile_named

__all__ = ["PreparedQuery", "prepare"]


@dataclass(frozen=True, slots=True)
class PreparedQuery:
    """A text, the names of its parameters (empty for `$n`), and the type of its result, None for QueryResult."""

    sql: str
    names: tuple[str, ...] = ()
    result: Any = None
    source: str = ""

    def arguments(self, args: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, ...]:
        """The positional arguments; named statements take them by name, or by position in the order of `names`."""
        return bind_named(self.source, args, named)[1] if named else args


def prepare(sql: str, *, result: Any = None) -> PreparedQuery:
    """A statement for `run(prepared, *args)`. Nothing is sent; every connection prepares it when it is first used there.

    result: `list[T]` for all rows as T, `T` (a Struct, a dataclass, `tuple`, `dict`) for the only row.
    """
    compiled = compile_named(sql)
    return PreparedQuery(compiled.sql, compiled.names, result, sql)
