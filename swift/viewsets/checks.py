"""Schemas held against their model when a ViewSet is registered, so that no request finds the difference.

A hook that the class overrides may make of the values what it likes; only what the defaults of ModelViewSet
would do with them is checked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from .model import ModelViewSet


def check_schemas(viewset: type[ModelViewSet], defaults: type[ModelViewSet]) -> None:
    """ValueError for a schema that does not go with the model and the hooks of `viewset`."""
    served = {item.name for item in viewset.served_actions()}

    def keeps(*names: str) -> bool:
        return all(getattr(viewset, name) is getattr(defaults, name) for name in names)

    if "create" in served and keeps("create", "perform_create"):
        check_input(viewset, viewset.input_type, "perform_create")
        check_complete(viewset)
    if keeps("perform_update"):
        if "update" in served and keeps("update"):
            check_input(viewset, viewset.update_type, "perform_update")
        if "partial_update" in served and keeps("partial_update"):
            check_input(viewset, viewset.partial_type, "perform_update")
    if "partial_update" in served and keeps("partial_update"):
        check_partial(viewset)
    if viewset.output_schema is not None and keeps("show", "get_queryset"):
        check_output(viewset, viewset.output_schema)


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


def check_complete(viewset: type[ModelViewSet]) -> None:
    known = viewset.input_type.__struct_fields__
    for name, field in viewset.model._meta.fields.items():
        if field.required and name not in known:
            raise ValueError(
                f"{viewset.__name__}: {viewset.input_type.__name__} has no field `{name}`, which a new "
                f"{viewset.model.__name__} needs; add it, give it a default or override perform_create."
            )


def check_partial(viewset: type[ModelViewSet]) -> None:
    schema = viewset.input_schema
    if schema is not None and viewset.partial_schema is None and hasattr(schema, "__post_init__"):
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
