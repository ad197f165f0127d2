"""Data from outside: what it must look like, and everything that is wrong with it when it does not."""

from __future__ import annotations

from msgspec import UNSET, Meta, UnsetType, field

from .body import DECODE_ERRORS, BodyDecoder, compile_body
from .formats import (
    URL,
    Email,
    Hostname,
    Int16,
    Int32,
    Int64,
    NonEmptyStr,
    NonNegativeInt,
    PhoneNumber,
    PositiveInt,
    Slug,
    Text,
)
from .hooks import TypeHooks
from .parameters import (
    PARAMETER_ERRORS,
    FieldsDecoder,
    ParameterDecoder,
    compile_fields,
    compile_parameter,
    explain_scalar,
)
from .patterns import AnchoredPattern
from .schema import Schema

__all__ = [
    "DECODE_ERRORS",
    "PARAMETER_ERRORS",
    "UNSET",
    "URL",
    "AnchoredPattern",
    "BodyDecoder",
    "Email",
    "FieldsDecoder",
    "Hostname",
    "Int16",
    "Int32",
    "Int64",
    "Meta",
    "NonEmptyStr",
    "NonNegativeInt",
    "ParameterDecoder",
    "PhoneNumber",
    "PositiveInt",
    "Schema",
    "Slug",
    "Text",
    "TypeHooks",
    "UnsetType",
    "compile_body",
    "compile_fields",
    "compile_parameter",
    "explain_scalar",
    "field",
]
