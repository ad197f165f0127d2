"""Models: classes whose objects are rows, and queries over them."""

from __future__ import annotations

from swift.engines.schema import Check, Index, Unique
from swift.models import fields
from swift.models.errors import DoesNotExist, FieldError, ModelError, MultipleObjectsReturned
from swift.models.expressions import (
    Abs,
    Aggregate,
    Avg,
    Coalesce,
    Count,
    Expression,
    F,
    Function,
    Length,
    Lower,
    Max,
    Min,
    Now,
    Q,
    Sum,
    Upper,
    Value,
)
from swift.models.field import Field
from swift.models.manager import Manager
from swift.models.model import Model
from swift.models.options import Options
from swift.models.queryset import QuerySet

__all__ = [
    "Abs",
    "Aggregate",
    "Avg",
    "Check",
    "Coalesce",
    "Count",
    "DoesNotExist",
    "Expression",
    "F",
    "Field",
    "FieldError",
    "Function",
    "Index",
    "Length",
    "Lower",
    "Manager",
    "Max",
    "Min",
    "Model",
    "ModelError",
    "MultipleObjectsReturned",
    "Now",
    "Options",
    "Q",
    "QuerySet",
    "Sum",
    "Unique",
    "Upper",
    "Value",
    "fields",
]
