"""ViewSets: an API's actions as the methods of a class, and the router that derives their routes."""

from __future__ import annotations

from .actions import Input, ListOutput, ListQuery, Output, PartialInput, UpdateInput, action
from .model import ModelViewSet
from .presets import CreateOnlyViewSet, ListCreateViewSet, ReadOnlyModelViewSet, ReadUpdateViewSet
from .router import AutoRouter
from .viewset import ViewSet

__all__ = [
    "AutoRouter",
    "CreateOnlyViewSet",
    "Input",
    "ListCreateViewSet",
    "ListOutput",
    "ListQuery",
    "ModelViewSet",
    "Output",
    "PartialInput",
    "ReadOnlyModelViewSet",
    "ReadUpdateViewSet",
    "UpdateInput",
    "ViewSet",
    "action",
]
