"""UserScopedViewSet: everybody sees and changes what is their own, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from swift.http import Unauthorized
from swift.models import QuerySet
from swift.permissions import IsAuthenticated, is_authenticated

from .model import ModelViewSet


class UserScopedViewSet(ModelViewSet):
    """The objects whose `scope_field` is the user's id. What is created belongs to its creator, and stays so.

    Another user's object is a 404: that it exists is nobody's business.
    """

    scope_field: ClassVar[str] = "user_id"
    permission_classes: ClassVar[Sequence[Any] | None] = (IsAuthenticated,)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        model = getattr(cls, "model", None)
        if model is not None:
            # Raises for a name that the model does not have.
            model._meta.field(cls.scope_field)
        super().__init_subclass__(**kwargs)

    @classmethod
    def locked_fields(cls) -> set[str]:
        return super().locked_fields() | {cls.scope_field}

    @property
    def scope(self) -> Any:
        """The id of the user who asks. Raises Unauthorized where nobody does, whatever the permissions say."""
        user = self.request.user
        if not is_authenticated(self.request) or getattr(user, "id", None) is None:
            raise Unauthorized("Authentication is required.")
        return user.id

    def get_queryset(self) -> QuerySet[Any]:
        return super().get_queryset().filter(**{self.scope_field: self.scope})

    async def perform_create(self, values: dict[str, Any]) -> Any:
        return await super().perform_create({**values, self.scope_field: self.scope})

    async def perform_update(self, obj: Any, values: dict[str, Any]) -> Any:
        kept = {name: value for name, value in values.items() if name != self.scope_field}
        return await super().perform_update(obj, kept)
