"""Schemas held against their model when a ViewSet is registered, so that no request finds the difference.

A hook that the class overrides may make of the values what it likes; only what the defaults of ModelViewSet
would do with them is checked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from swift.serializers import Serializer

if TYPE_CHECKING:
    from .model import ModelViewSet


def check_declarations(viewset: type[ModelViewSet]) -> None:
    """TypeError or ValueError for what a class declares per action, or as its Serializer, and cannot mean."""
    viewset.check_actions()
    served = {item.name for item in viewset.served_actions()}
    for name in ("serializer_class_by_action", "input_schema_by_action", "output_schema_by_action"):
        if unknown := getattr(viewset, name).keys() - served:
            raise ValueError(
                f"{viewset.__name__}.{name} names {', '.join(sorted(unknown))}, which it does not serve; it serves "
                f"{', '.join(sorted(served))}."
            )
    for serializer in (viewset.serializer_class, *viewset.serializer_class_by_action.values()):
        if serializer is None:
            continue
        if not (isinstance(serializer, type) and issubclass(serializer, Serializer)):
            raise TypeError(f"{viewset.__name__}: {serializer!r} is no class of Serializer.")
        if getattr(serializer, "model", None) is not viewset.model:
            raise TypeError(
                f"{viewset.__name__} serves {viewset.model.__name__}, and {serializer.__name__} is not of that model."
            )


def check_schemas(viewset: type[ModelViewSet], defaults: type[ModelViewSet]) -> None:
    """ValueError for a schema that does not go with the model and the hooks of `viewset`."""

    def keeps(*names: str) -> bool:
        return all(getattr(viewset, name) is getattr(defaults, name) for name in names)

    for action, shape in viewset.shapes.items():
        if action == "create" and keeps("create", "perform_create"):
            check_input(viewset, shape.input, "perform_create")
            completes = shape.serializer is not None and shape.serializer.completes()
            if keeps("before_create", "validate", "validated") and not completes:
                check_complete(viewset, shape.input)
        if keeps("perform_update"):
            if action == "update" and keeps("update"):
                check_input(viewset, shape.update, "perform_update")
            if action == "partial_update" and keeps("partial_update"):
                check_input(viewset, shape.partial, "perform_update")
        if action == "partial_update" and keeps("partial_update") and shape.patches_input:
            check_partial(viewset, shape.input)
        if shape.output_schema is not None and keeps("show", "get_queryset"):
            check_output(viewset, shape.output_schema)


def check_input(viewset: type[ModelViewSet], schema: type[msgspec.Struct], hook: str) -> None:
    fields = viewset.model._meta.fields
    for name in schema.__struct_fields__:
        field = fields.get(name)
        problem = ""
        if field is None:
            problem = f"which {viewset.model.__name__} does not have"
        elif field.read_only or field.auto:
            problem = "which no request may set"
        if problem:
            raise ValueError(
                f"{viewset.__name__}: {schema.__name__} has the field `{name}`, {problem}; take it out or "
                f"override {hook}."
            )


def check_complete(viewset: type[ModelViewSet], schema: type[msgspec.Struct]) -> None:
    known = schema.__struct_fields__
    for name, field in viewset.model._meta.fields.items():
        if field.required and name not in known:
            raise ValueError(
                f"{viewset.__name__}: {schema.__name__} has no field `{name}`, which a new "
                f"{viewset.model.__name__} needs; add it, give it a default or override perform_create."
            )


def check_partial(viewset: type[ModelViewSet], schema: type[msgspec.Struct]) -> None:
    if hasattr(schema, "__post_init__"):
        raise ValueError(
            f"{viewset.__name__}: {schema.__name__} validates in __post_init__, which a partial update has not "
            "the fields for; give a partial_schema or take partial_update out of `actions`."
        )


def check_output(viewset: type[ModelViewSet], schema: Any) -> None:
    for field in msgspec.structs.fields(schema):
        if field.required and not hasattr(viewset.model, field.name):
            raise ValueError(
                f"{viewset.__name__}: {schema.__name__} shows `{field.name}`, which {viewset.model.__name__} does "
                "not have; take it out or override show."
            )
