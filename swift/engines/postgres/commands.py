"""What the compiler hands to the engines beside SQL."""

from __future__ import annotations

import msgspec

from swift.engines.schema import Kind


class RowsAsJSON(msgspec.Struct, frozen=True):
    """A query whose rows are wanted as one JSON array of objects, keyed by its columns, which are of these kinds."""

    sql: str
    kinds: tuple[Kind | None, ...]
