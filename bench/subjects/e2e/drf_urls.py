"""The model, serializer and views of the Django subject; imported once Django is configured."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.urls import path
from rest_framework import serializers, viewsets
from rest_framework.pagination import PageNumberPagination


class Record(models.Model):
    name = models.CharField(max_length=100)
    email = models.CharField(max_length=254)
    city = models.CharField(max_length=100)
    age = models.IntegerField()
    active = models.BooleanField(default=True)
    score = models.FloatField()
    balance = models.FloatField()
    note = models.TextField(null=True)
    created_at = models.DateTimeField()

    class Meta:
        app_label = "bench"
        db_table = "records"
        ordering = ("id",)
        managed = False


class RecordSerializer(serializers.ModelSerializer):
    age = serializers.IntegerField(min_value=0, max_value=150)

    class Meta:
        model = Record
        fields = "__all__"


class RecordViewSet(viewsets.ModelViewSet):
    queryset = Record.objects.all()
    serializer_class = RecordSerializer


class Pages(PageNumberPagination):
    page_size = 20
    page_size_query_param = "page_size"


class PageViewSet(RecordViewSet):
    pagination_class = Pages

    def get_queryset(self) -> Any:
        return super().get_queryset().filter(active=self.request.query_params["active"] == "true")


urlpatterns = [
    path("records", RecordViewSet.as_view({"get": "list", "post": "create"})),
    path("records/<int:pk>", RecordViewSet.as_view({"get": "retrieve"})),
    path("pages", PageViewSet.as_view({"get": "list"})),
]
