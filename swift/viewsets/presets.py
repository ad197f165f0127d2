"""ModelViewSets of fewer actions. What is left out answers 405 and is not in the OpenAPI document."""

from __future__ import annotations

from .model import ModelViewSet


class ReadOnlyModelViewSet(ModelViewSet):
    """List and retrieve."""

    actions = ("list", "retrieve")


class ListOnlyViewSet(ModelViewSet):
    """List only: nothing is shown alone."""

    actions = ("list",)


class ListCreateViewSet(ModelViewSet):
    """List and create."""

    actions = ("list", "create")


class CreateOnlyViewSet(ModelViewSet):
    """Create only: a drop box."""

    actions = ("create",)


class ReadUpdateViewSet(ModelViewSet):
    """Everything on objects that exist, but no creating and no destroying."""

    actions = ("list", "retrieve", "update", "partial_update")


class RetrieveUpdateViewSet(ModelViewSet):
    """Show and change objects whose keys are known, without a list of them."""

    actions = ("retrieve", "update", "partial_update")


class RetrieveDestroyViewSet(ModelViewSet):
    """Show and delete objects whose keys are known."""

    actions = ("retrieve", "destroy")


class RetrieveUpdateDestroyViewSet(ModelViewSet):
    """Show, change and delete objects whose keys are known."""

    actions = ("retrieve", "update", "partial_update", "destroy")
