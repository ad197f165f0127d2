"""From the values of an execution to the parameters of a compiled command."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from swift.engines.schema import Column
from swift.engines.statements import Bind
from swift.engines.values import Checker, invalid


class Slot(NamedTuple):
    """One parameter of the SQL: the value at `place`, converted; `total` if the converter takes None too."""

    place: int
    convert: Checker | None
    total: bool
    label: str


def label_of(column: Column | None, kind: Any) -> str:
    return column.label if column is not None else f"A value of type {kind or 'unknown'}"


def binder(slots: Sequence[Slot]) -> Bind:
    """The function from the values of an execution to the parameters of the SQL."""
    if all(slot.convert is None for slot in slots) and [slot.place for slot in slots] == list(
        range(len(slots))
    ):
        return lambda values: values
    steps = tuple((slot.place, slot.convert, slot.total) for slot in slots)

    def bind(values: Sequence[Any]) -> Sequence[Any]:
        try:
            return [
                value
                if ((value := values[index]) is None and not total) or convert is None
                else convert(value)
                for index, convert, total in steps
            ]
        except (TypeError, ValueError) as error:
            raise blame(slots, values, error) from error

    return bind


def blame(slots: Sequence[Slot], values: Sequence[Any], error: Exception) -> Exception:
    """The sentence that names the column whose value was refused."""
    for slot in slots:
        value = values[slot.place]
        if slot.convert is not None and (value is not None or slot.total):
            try:
                slot.convert(value)
            except (TypeError, ValueError) as refused:
                return invalid(slot.label, refused)
    return error
