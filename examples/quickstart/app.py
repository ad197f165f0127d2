"""A User API: a model, a ViewSet, a router, an app. Serve it with `hypercorn app:asgi`."""

from __future__ import annotations

from datetime import UTC, datetime

from swift import App, Model, fields
from swift.permissions import AllowAny
from swift.viewsets import AutoRouter, ModelViewSet


class User(Model):
    id: int = fields.IDField()
    name: str = fields.StringField(max_length=100)
    age: int = fields.IntegerField(ge=0, le=150)
    is_active: bool = fields.BoolField(default=True)
    joined_at: datetime = fields.DateTimeField(default_factory=lambda: datetime.now(UTC))

    class Meta:
        db_table = "users"
        ordering = ("id",)


class UserViewSet(ModelViewSet):
    """The people who use this service."""

    model = User
    permission_classes = (AllowAny,)


router = AutoRouter(prefix="/api")
router.register("/users", UserViewSet)

asgi = App(title="Quickstart", routers=[router], database="sqlite:///quickstart.db")
