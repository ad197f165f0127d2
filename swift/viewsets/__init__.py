"""ViewSets: an API's actions as the methods of a class, and the router that derives their routes."""

from __future__ import annotations

from .actions import Input, ListOutput, ListQuery, Output, PartialInput, UpdateInput, action
from .bulk import BulkModelViewSet
from .model import ModelViewSet
from .presets import (
    CreateOnlyViewSet,
    ListCreateViewSet,
    ListOnlyViewSet,
    ReadOnlyModelViewSet,
    ReadUpdateViewSet,
    RetrieveDestroyViewSet,
    RetrieveUpdateDestroyViewSet,
    RetrieveUpdateViewSet,
)
from .router import AutoRouter
from .scoped import UserScopedViewSet
from .viewset import ViewSet

__all__ = [
    "AutoRouter",
    "BulkModelViewSet",
    "CreateOnlyViewSet",
    "Input",
    "ListCreateViewSet",
    "ListOnlyViewSet",
    "ListOutput",
    "ListQuery",
    "ModelViewSet",
    "Output",
    "PartialInput",
    "ReadOnlyModelViewSet",
    "ReadUpdateViewSet",
    "RetrieveDestroyViewSet",
    "RetrieveUpdateDestroyViewSet",
    "RetrieveUpdateViewSet",
    "UpdateInput",
    "UserScopedViewSet",
    "ViewSet",
    "action",
]
