"""Rounds that take turns, and what is kept of them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Sample:
    """The figures of one subject in one case, one per round."""

    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.rounds)

    @property
    def min(self) -> float:
        return min(self.rounds)

    @property
    def max(self) -> float:
        return max(self.rounds)

    def __truediv__(self, other: Sample) -> Ratio:
        return Ratio(
            self.median / other.median,
            Sample(tuple(mine / theirs for mine, theirs in zip(self.rounds, other.rounds, strict=True))),
        )


@dataclass(frozen=True)
class Ratio:
    """The quotient of two medians, and the quotients of their rounds.

    What disturbed a round disturbed both, so these spread less than the figures themselves.
    """

    value: float
    rounds: Sample


def interleave(measures: Mapping[Key, Callable[[], float]], rounds: int) -> dict[Key, Sample]:
    """Calls every measure once per round, turning the order each time so that drift favours nobody."""
    figures: dict[Key, list[float]] = {key: [] for key in measures}
    order = list(measures)
    for _ in range(rounds):
        for key in order:
            figures[key].append(measures[key]())
        order.reverse()
    return {key: Sample(tuple(values)) for key, values in figures.items()}
