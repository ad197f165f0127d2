"""Swift as its user writes it: a Model, ModelViewSets with permissions, a router and an App; no setting touched."""

from __future__ import annotations

from datetime import datetime

from swift import App, Model, fields
from swift.permissions import AllowAny
from swift.viewsets import AutoRouter, ModelViewSet


class Record(Model):
    id: int = fields.IDField()
    name: str = fields.StringField(max_length=100)
    email: str = fields.StringField(max_length=254)
    city: str = fields.StringField(max_length=100)
    age: int = fields.IntegerField(ge=0, le=150)
    active: bool = fields.BoolField(default=True)
    score: float = fields.FloatField()
    balance: float = fields.FloatField()
    note: str | None = fields.TextField(null=True)
    created_at: datetime = fields.DateTimeField()

    class Meta:
        db_table = "records"
        ordering = ("id",)


class RecordViewSet(ModelViewSet):
    model = Record
    permission_classes = (AllowAny,)
    pagination_class = None


class PageViewSet(ModelViewSet):
    actions = ("list",)
    model = Record
    permission_classes = (AllowAny,)
    filter_fields = ("active",)


def application(dsn: str) -> App:
    router = AutoRouter()
    router.register("/records", RecordViewSet)
    router.register("/pages", PageViewSet)
    return App(routers=[router], database=dsn)
