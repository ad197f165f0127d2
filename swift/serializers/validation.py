"""Checks that a declaration adds to those of its types: `validate_<field>` and `validate`, told all at once.

A check returns the value to go on with, or raises ValueError with a sentence for the client; what else it raises
is the program's own fault. Fields are checked first, every one of them; the whole only where they all passed.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from swift.http import ErrorDetail, UnprocessableContent

PREFIX = "validate_"

Values = dict[str, Any]


class ValidationError(ValueError):
    """What a check refuses: a sentence, or a mapping from fields to sentences. `code` is for programs."""

    def __init__(self, detail: str | Mapping[str, str], code: str = "invalid") -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code


def checks_of(cls: type, known: Collection[str], writable: Collection[str], base: type) -> dict[str, str]:
    """The `validate_<field>` methods of a class, by field. ValueError for one that no request can reach.

    A check that a base class brings for a field which this class does not take has nothing to do.
    """
    found: dict[str, str] = {}
    for name in dir(cls):
        if not name.startswith(PREFIX) or hasattr(base, name) or not callable(getattr(cls, name)):
            continue
        field = name.removeprefix(PREFIX)
        if field in writable:
            found[field] = name
        elif name in vars(cls) or field not in known:
            raise ValueError(f"{cls.__name__}.{name} checks `{field}`, which clients of it cannot write.")
    return found


class Checker:
    """The checks of one object (a Serializer, a ViewSet) on the values of a request."""

    def __init__(self, owner: Any, fields: Mapping[str, str], whole: bool) -> None:
        self.owner = owner
        self.fields = fields
        self.whole = whole


async def validated(
    values: Mapping[str, Any], checkers: Sequence[Checker], sent_as: Mapping[str, str]
) -> Values:
    """The values as all checks leave them. UnprocessableContent with everything they refused.

    `sent_as` has the name on the wire of each field that has another.
    """
    errors: list[ErrorDetail] = []
    checked = dict(values)
    for checker in checkers:
        for field in checked:
            if (name := checker.fields.get(field)) is not None:
                try:
                    checked[field] = await finished(getattr(checker.owner, name)(checked[field]))
                except ValueError as error:
                    errors += told(error, field, sent_as)
    for checker in checkers:
        if checker.whole and not errors:
            try:
                found = await finished(checker.owner.validate(checked))
            except ValueError as error:
                errors += told(error, None, sent_as)
            else:
                if not isinstance(found, dict):
                    raise TypeError(
                        f"{type(checker.owner).__name__}.validate returned a `{type(found).__name__}`; return the values."
                    )
                checked = found
    if errors:
        raise UnprocessableContent("The request is invalid.", errors=errors)
    return checked


def told(error: ValueError, field: str | None, sent_as: Mapping[str, str]) -> list[ErrorDetail]:
    detail = getattr(error, "detail", None)
    code = getattr(error, "code", "invalid")
    if isinstance(detail, Mapping):
        return [ErrorDetail(place(name, sent_as), code, sentence) for name, sentence in detail.items()]
    return [ErrorDetail(place(field, sent_as), code, str(error))]


def place(field: str | None, sent_as: Mapping[str, str]) -> str:
    return "/body" if field is None else f"/body/{sent_as.get(field, field)}"


async def finished(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value
