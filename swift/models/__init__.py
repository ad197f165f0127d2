"""Models: classes whose objects are rows, and queries over them."""

from __future__ import annotations

from swift.engines.schema import Check, Index, Unique
from swift.models import fields
from swift.models.advanced import (
    Case,
    DenseRank,
    Exists,
    FirstValue,
    Lag,
    LastValue,
    Lead,
    Ntile,
    OuterRef,
    Rank,
    RowNumber,
    Subquery,
    When,
    Window,
)
from swift.models.errors import DoesNotExist, FieldError, ModelError, MultipleObjectsReturned
from swift.models.expressions import (
    Abs,
    Aggregate,
    Avg,
    Coalesce,
    Concat,
    Count,
    Expression,
    F,
    Function,
    Length,
    Lower,
    Max,
    Min,
    Now,
    NullIf,
    Q,
    Replace,
    Sum,
    Trim,
    Upper,
    Value,
)
from swift.models.field import Field
from swift.models.manager import Manager
from swift.models.many import Many
from swift.models.mixins import SoftDelete, TenantScoped, Timestamps
from swift.models.model import Model
from swift.models.options import Options
from swift.models.prefetch import Prefetch, prefetch
from swift.models.queryset import QuerySet
from swift.models.raw import RawQuery, Statements, execute
from swift.models.scopes import NoTenant, current_tenant, tenant
from swift.models.uuid7 import uuid7

__all__ = [
    "Abs",
    "Aggregate",
    "Avg",
    "Case",
    "Check",
    "Coalesce",
    "Concat",
    "Count",
    "DenseRank",
    "DoesNotExist",
    "Exists",
    "Expression",
    "F",
    "Field",
    "FieldError",
    "FirstValue",
    "Function",
    "Index",
    "Lag",
    "LastValue",
    "Lead",
    "Length",
    "Lower",
    "Manager",
    "Many",
    "Max",
    "Min",
    "Model",
    "ModelError",
    "MultipleObjectsReturned",
    "NoTenant",
    "Now",
    "Ntile",
    "NullIf",
    "Options",
    "OuterRef",
    "Prefetch",
    "Q",
    "QuerySet",
    "Rank",
    "RawQuery",
    "Replace",
    "RowNumber",
    "SoftDelete",
    "Statements",
    "Subquery",
    "Sum",
    "TenantScoped",
    "Timestamps",
    "Trim",
    "Unique",
    "Upper",
    "Value",
    "When",
    "Window",
    "current_tenant",
    "execute",
    "fields",
    "prefetch",
    "tenant",
    "uuid7",
]
