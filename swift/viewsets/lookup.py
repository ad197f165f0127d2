"""How the URL of one object names it: by the value of a field that no two objects share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from swift.engines import InvalidValue
from swift.http import Request
from swift.models import Model
from swift.schemas import PARAMETER_ERRORS, compile_parameter

# Kinds of columns that a path converter reads.
CONVERTERS = {"integer": "int", "bigint": "int", "uuid": "uuid", "date": "date"}
TEXTS = ("string", "text")


class Lookup:
    """The path parameter of a ViewSet's objects, `{id:int}` for example.

    ValueError when the model has no such field, or when a value of it may stand for several objects.
    """

    def __init__(self, model: type[Model], name: str | None, label: str) -> None:
        fields = model._meta.fields
        field = model._meta.pk if name is None else fields.get(name)
        if field is None:
            raise ValueError(
                f"{label} is `{name}`, which {model.__name__} does not have; there are {', '.join(fields)}."
            )
        if not (field.primary_key or field.unique or is_part_of_key(model, field.name)):
            raise ValueError(
                f"{label} is `{name}`, which several objects may share; make {model.__name__}.{name} unique."
            )
        self.name = field.name
        # Whether no two objects share it, whatever else they have.
        self.names_one = field.primary_key or field.unique
        converter = CONVERTERS.get(field.kind)
        self.path = f"{{{self.name}:{converter}}}" if converter else f"{{{self.name}}}"
        self._decode: Callable[[str], Any] | None = None
        if converter is None and field.kind not in TEXTS:
            self._decode = compile_parameter(field.type).decode

    def value(self, request: Request) -> Any:
        """The value in the request's path; InvalidValue when the field cannot have it."""
        found = request.path_params[self.name]
        if self._decode is None:
            return found
        try:
            return self._decode(found)
        except PARAMETER_ERRORS as error:
            raise InvalidValue(str(error)) from None


def is_part_of_key(model: type[Model], name: str) -> bool:
    """Whether the field is in a constraint of several, as the slug of a page within its site."""
    table = model._meta.table
    column = model._meta.columns[name].name
    return any(column in unique.fields for unique in table.uniques) or any(
        index.unique and column in index.fields for index in table.indexes
    )
