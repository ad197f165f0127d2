"""What is wrong with values that decoded well, and still do not fit their columns."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from swift.engines.values import checker
from swift.http import ErrorDetail
from swift.models import Model


def faults_of(model: type[Model], data: msgspec.Struct, values: Mapping[str, object]) -> list[ErrorDetail]:
    """An error for each of `values`, which were sent as `data`, that its column does not take.

    Asked when the database has refused them: a JSON decoder lets pass text with NUL characters, instants
    that leave the calendar in UTC, and decimals with more digits than the column has.
    """
    errors = []
    sent_as = dict(zip(data.__struct_fields__, data.__struct_encode_fields__, strict=True))
    for name, value in values.items():
        column = model._meta.columns.get(name)
        if column is None or value is None:
            continue
        try:
            checker(column.kind, column, stored=True)(value)
        except (TypeError, ValueError) as error:
            sentence = str(error)
            pointer = f"/body/{sent_as.get(name, name)}"
            errors.append(ErrorDetail(pointer, "invalid", sentence[:1].upper() + sentence[1:]))
    return errors
