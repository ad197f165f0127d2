"""Serializers: what of a Model is shown, and what a request may set."""

from __future__ import annotations

from .derive import (
    display_of,
    input_struct,
    output_struct,
    partial_of,
    partial_struct,
    plain_fields,
    read_struct,
    update_struct,
)
from .faults import faults_of
from .serializer import Serializer, computed, nested
from .validation import Checker, ValidationError, checks_of, validated

__all__ = [
    "Checker",
    "Serializer",
    "ValidationError",
    "checks_of",
    "computed",
    "display_of",
    "faults_of",
    "input_struct",
    "nested",
    "output_struct",
    "partial_of",
    "partial_struct",
    "plain_fields",
    "read_struct",
    "update_struct",
    "validated",
]
