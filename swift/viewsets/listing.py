"""The query string of a list, read once into one Struct: the page, the filters, the search and the order."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any

import msgspec

from swift.filters import Filters
from swift.http import BadRequest, ErrorDetail
from swift.routing.endpoint import invalid_request
from swift.routing.params import QueryFields
from swift.routing.plan import fields_of
from swift.schemas import PARAMETER_ERRORS, compile_fields
from swift.schemas.report import pointer

# Unknown parameters that are told one by one.
MOST_UNKNOWN = 10


class NoQuery(msgspec.Struct):
    """The query of a list that takes no parameters."""


class Listing:
    """Which query parameters a list of a ViewSet takes; `type` is the Struct that they become.

    A list without filters leaves parameters alone that it does not know; one with filters answers 400 to them, as
    to a value that no filter can have.
    """

    def __init__(
        self, name: str, page: type[msgspec.Struct], filters: Filters, extra: Collection[str] = ()
    ) -> None:
        self.filters = filters
        self.extra = frozenset(extra)
        taken = filters.names & {field.encode_name for field in msgspec.structs.fields(page)}
        if taken:
            raise ValueError(f"{filters.label}: the parameter `{min(taken)}` is the pagination's already.")
        self.type = page
        if filters:
            self.type = msgspec.defstruct(
                f"{name}Query", filters.members(), bases=(page,), kw_only=True, module=page.__module__
            )
        self.decoder = compile_fields(self.type)
        self.fields = frozenset(field.encode_name for field in msgspec.structs.fields(self.type))
        self.optional = not any(field.required for field in msgspec.structs.fields(self.type))

    @property
    def annotation(self) -> Any:
        """The type of the parameter of an action that takes it."""
        return Annotated[self.type, QueryFields(read=self.read, delimited=self.filters.delimited)]

    def read(self, query: bytes, others: Collection[str]) -> Any:
        """The Struct of a query string. Raises BadRequest or UnprocessableContent with everything that is wrong."""
        if not query and self.optional:
            return self.type()
        fields = fields_of(query)
        errors: list[ErrorDetail] = []
        if self.filters:
            known = self.fields.union(others, self.extra)
            errors = [self.unknown(name) for name in fields if name not in known][:MOST_UNKNOWN]
            for name in self.filters.delimited & fields.keys():
                fields[name] = [part for text in fields[name] if text for part in text.split(",")]
                if not fields[name] and name in self.filters.ranges:
                    fields[name] = [""]
        try:
            values = self.decoder.decode(fields)
        except PARAMETER_ERRORS:
            errors += self.decoder.explain(fields, pointer="/query")
        else:
            errors += self.filters.faults(values)
            if not errors:
                for name in self.filters.delimited & fields.keys():
                    if not fields[name]:
                        # An empty text is the empty list: nothing is among the values of none.
                        setattr(values, name, [])
                return values
        raise self.refusal(errors)

    def unknown(self, name: str) -> ErrorDetail:
        known = ", ".join(f"`{name}`" for name in sorted(self.fields | self.extra))
        return ErrorDetail(
            pointer("/query", (None, name)), "unknown_parameter", f"Unknown parameter; there are {known}"
        )

    def refusal(self, errors: list[ErrorDetail]) -> Exception:
        """400 where a filter is concerned, 422 as for any other parameter where only the page is."""
        pages = self.fields - self.filters.names
        if all(f"{error.pointer}/".split("/")[2] in pages for error in errors):
            return invalid_request(errors)
        return BadRequest("The list cannot be filtered like this.", errors=errors)
