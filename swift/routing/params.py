"""Markers that say where a handler's parameter comes from.

Used in `Annotated` (`limit: Annotated[int, Query(ge=1, le=100)] = 20`) or as the default
(`limit: int = Query(20, ge=1, le=100)`). Constraints are msgspec's and go into the OpenAPI
document too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, ClassVar

import msgspec

_CONSTRAINTS = ("ge", "gt", "le", "lt", "multiple_of", "min_length", "max_length", "pattern")


class Marker(msgspec.Struct, frozen=True):
    """The options every source shares; `alias` is the name on the wire, lengths count characters.

    `pattern` must match the whole text, in linear time; in the OpenAPI document it stands between `^` and `$`.
    """

    source: ClassVar[str]

    default: Any = msgspec.UNSET
    alias: str | None = None
    default_factory: Any = None
    description: str | None = None
    deprecated: bool = False
    examples: Sequence[Any] = ()
    include_in_schema: bool = True
    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None
    multiple_of: float | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None

    @property
    def constraints(self) -> dict[str, Any]:
        """What msgspec.Meta takes of this marker."""
        return {name: value for name in _CONSTRAINTS if (value := getattr(self, name)) is not None}


class Path(Marker, frozen=True):
    """A parameter of the path; a name in the path is one without this marker."""

    source: ClassVar[str] = "path"


class Query(Marker, frozen=True):
    """A field of the query string; a list collects all values of its name."""

    source: ClassVar[str] = "query"


class QueryFields(Query, frozen=True):
    """The whole query string as one Struct, read by a function of one's own.

    `read(query, others)` makes the Struct of the query string, or raises a Problem; `others` are the names that other
    parameters of the endpoint read. `delimited` names the fields whose values stand in one text, between commas.
    """

    read: Callable[[bytes, Collection[str]], Any] | None = None
    delimited: frozenset[str] = frozenset()


class Header(Marker, frozen=True):
    """A request header; the name is the parameter's with hyphens for underscores."""

    source: ClassVar[str] = "header"


class Cookie(Marker, frozen=True):
    """A cookie."""

    source: ClassVar[str] = "cookie"


class Body(Marker, frozen=True):
    """The request's body as JSON; only needed where the type does not say it, as for a plain dict."""

    source: ClassVar[str] = "body"


class Form(Marker, frozen=True):
    """A field of a form, urlencoded or multipart."""

    source: ClassVar[str] = "form"


class File(Marker, frozen=True):
    """An uploaded file of a multipart form."""

    source: ClassVar[str] = "form"
