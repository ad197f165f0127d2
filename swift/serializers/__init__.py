"""Serializers: what of a Model is shown, and what a request may set."""

from __future__ import annotations

from .derive import input_struct, partial_struct, read_struct
from .serializer import Serializer, computed, nested

__all__ = ["Serializer", "computed", "input_struct", "nested", "partial_struct", "read_struct"]
