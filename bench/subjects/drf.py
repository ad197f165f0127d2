"""Django REST framework behind Django's ASGI handler: plain serializers, no middleware, no authentication."""

from __future__ import annotations

import django
import msgspec
from django.conf import settings

from bench.asgi import ASGIApp
from bench.cases import RECORDS
from bench.schemas import RecordData

if not settings.configured:
    settings.configure(
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=__name__,
        MIDDLEWARE=[],
        INSTALLED_APPS=["rest_framework"],
        USE_TZ=True,
        TIME_ZONE="UTC",
        REST_FRAMEWORK={
            "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
            "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
            "DEFAULT_AUTHENTICATION_CLASSES": [],
            "DEFAULT_PERMISSION_CLASSES": [],
            "UNAUTHENTICATED_USER": None,
        },
    )
    django.setup()

from django.core.asgi import get_asgi_application
from django.urls import path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView


class Item(serializers.Serializer):
    sku = serializers.CharField()
    quantity = serializers.IntegerField()
    price = serializers.FloatField()


class Order(serializers.Serializer):
    customer = serializers.CharField()
    email = serializers.CharField()
    phone = serializers.CharField()
    currency = serializers.CharField()
    priority = serializers.IntegerField()
    discount = serializers.FloatField()
    paid = serializers.BooleanField()
    note = serializers.CharField(allow_null=True)
    tags = serializers.ListField(child=serializers.CharField())
    items = Item(many=True)


class Record(serializers.Serializer):
    id = serializers.IntegerField()
    name = serializers.CharField()
    email = serializers.CharField()
    city = serializers.CharField()
    age = serializers.IntegerField()
    active = serializers.BooleanField()
    score = serializers.FloatField()
    balance = serializers.FloatField()
    note = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()


class Orders(APIView):
    def post(self, request: Request) -> Response:
        order = Order(data=request.data)
        order.is_valid(raise_exception=True)
        return Response(order.data)


class Records(APIView):
    people = msgspec.convert(RECORDS, list[RecordData])

    def get(self, request: Request) -> Response:
        return Response(Record(self.people, many=True).data)


urlpatterns = [path("orders", Orders.as_view()), path("records", Records.as_view())]


def apps() -> dict[str, ASGIApp]:
    app = get_asgi_application()
    return {"post": app, "list100": app}
