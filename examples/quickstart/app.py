"""A User API: a model, a ViewSet, a router, an app. Serve it with `hypercorn app:asgi`.

DATABASE_URL says where the users are kept; without it in quickstart.db, in the working directory.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from swift import App, Model, fields
from swift.permissions import AllowAny
from swift.viewsets import AutoRouter, ModelViewSet


class User(Model):
    id: int = fields.IDField()
    name: str = fields.StringField(min_length=1, max_length=100)
    age: int = fields.IntegerField(ge=0, le=150)
    is_active: bool = fields.BoolField(default=True)
    joined_at: datetime = fields.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "users"


class UserViewSet(ModelViewSet):
    """The people who use this service."""

    model = User
    permission_classes = (AllowAny,)


router = AutoRouter(prefix="/api")
router.register("/users", UserViewSet)


@asynccontextmanager
async def lifespan(app: App) -> AsyncIterator[None]:
    await app.db.create_tables([User])
    yield


asgi = App(
    title="Quickstart",
    routers=[router],
    database=os.environ.get("DATABASE_URL", "sqlite:///quickstart.db"),
    lifespan=lifespan,
)
