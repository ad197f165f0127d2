"""The rarer parts of a query's shape, apart from its conditions, order and limits."""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class Extras(msgspec.Struct, frozen=True, cache_hash=True):
    """What a query asks for besides plain objects. Hashable: it is part of the key of the compiled
    program.
    """

    # What rows become: objects, dicts, tuples, or the one value of each row.
    rows: Literal["objects", "dicts", "tuples", "scalars"] = "objects"
    names: tuple[str, ...] = ()
    annotations: tuple[tuple[str, Any], ...] = ()
    related: tuple[str, ...] = ()
    distinct: bool = False
    lock: Literal["", "update", "update nowait", "update skip locked"] = ""
    # Whether `names` came before the annotations and so are what aggregates are grouped by.
    grouped: bool = False
    # The fields of objects that are loaded, where it is not all of them.
    only: tuple[str, ...] = ()
    # Rules of visibility that do not apply: "deleted", "tenant".
    unscoped: tuple[str, ...] = ()
    # (operator, shape of a query) for each query whose rows are combined.
    compound: tuple[tuple[str, Any], ...] = ()
    # The many-to-many relation by which prefetching arrives at the rows.
    via: Any = None


PLAIN = Extras()

Key = tuple[Any, ...]
"""(model, purpose, where, order, limited, offset, extras, detail)"""
