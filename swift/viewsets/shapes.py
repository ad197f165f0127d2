"""What an action of a ModelViewSet takes and shows: the Structs, and how an object becomes one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from swift.serializers import (
    Serializer,
    display_of,
    input_struct,
    output_struct,
    partial_of,
    partial_struct,
    plain_fields,
    update_struct,
)

if TYPE_CHECKING:
    from .model import ModelViewSet

Struct = type[msgspec.Struct]


class Shape:
    """The types of one action, by what is declared closest to it.

    For the input that is `input_schema_by_action`, `serializer_class_by_action`, `input_schema`,
    `serializer_class`, and the model itself, in this order; the output likewise.
    """

    def __init__(self, viewset: type[ModelViewSet], action: str) -> None:
        model = viewset.model
        own: type[Serializer] | None = viewset.serializer_class_by_action.get(action)
        self.serializer: type[Serializer] | None = own or viewset.serializer_class
        # A Serializer of the action stands before the schemas of the ViewSet.
        self.input_schema: Struct | None = viewset.input_schema_by_action.get(
            action, None if own else viewset.input_schema
        )
        self.output_schema: Struct | None = viewset.output_schema_by_action.get(
            action, None if own else viewset.output_schema
        )
        partial_schema = None if own else viewset.partial_schema
        serializer = self.serializer
        self.input: Struct
        self.update: Struct
        self.partial: Struct
        if (schema := self.input_schema) is not None:
            self.input = self.update = schema
            self.partial = partial_schema or partial_of(schema)
        elif serializer is not None:
            self.input, self.update = serializer.Input, serializer.Update
            self.partial = partial_schema or serializer.Patch
        else:
            locked = viewset.locked_fields()
            self.input, self.update = (
                input_struct(model, exclude=locked),
                update_struct(model, exclude=locked),
            )
            self.partial = partial_schema or partial_struct(model, exclude=locked)
        # The patch of an input schema that is not said, for checks.
        self.patches_input = self.input_schema is not None and partial_schema is None

        self.output: Struct
        # The model's fields that are shown as they are; None where Python has to look at each object.
        self.columns: tuple[str, ...] | None
        # The Serializer whose objects need relations to be shown.
        self.relating: type[Serializer] | None = None
        self.display: Callable[[ModelViewSet, Any], Any]
        if self.output_schema is None and serializer is not None:
            self.output, self.columns = serializer.Output, serializer.columns()
            self.relating = serializer if serializer.related or serializer.prefetched else None
            self.display = shown_by_serializer
        else:
            self.output = self.output_schema or output_struct(model)
            self.columns = plain_fields(model, self.output)
            show = display_of(model, self.output)
            self.display = lambda viewset, obj: show(obj)

    @staticmethod
    def sent_as(data: Any) -> Mapping[str, str]:
        """The names on the wire of the fields of an input."""
        return dict(zip(data.__struct_fields__, data.__struct_encode_fields__, strict=True))


def shown_by_serializer(viewset: ModelViewSet, obj: Any) -> Any:
    return viewset.serializer.show(obj)
