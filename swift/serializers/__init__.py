"""Serializers: what of a Model is shown, and what a request may set."""

from __future__ import annotations

from .derive import input_struct, partial_struct, read_struct

__all__ = ["input_struct", "partial_struct", "read_struct"]
