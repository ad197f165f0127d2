"""What the actions of a ModelViewSet may answer beside their success, for the OpenAPI document."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swift.models import Model

if TYPE_CHECKING:
    from .model import ModelViewSet


def refusal_of(viewset: type[ModelViewSet]) -> str:
    """What a 400 of a list means."""
    if viewset.filters:
        return "A parameter is unknown, or its value is none that this filter can have."
    return "The query string is malformed."


def conflict_of(model: type[Model], action: str) -> str | None:
    """What a 409 of an action means, where its model's constraints can say no."""
    if action == "destroy":
        return "Other objects refer to this one."
    if action not in ("create", "update", "partial_update"):
        return None
    table = model._meta.table
    unique = any(column.unique for column in table.columns) or any(index.unique for index in table.indexes)
    if unique or table.uniques or model._meta.relations or model._meta.pk.required:
        return "Another object has a value that must be unique, or one that is referred to does not exist."
    return None
