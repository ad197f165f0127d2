"""What the command line chose."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bench.subjects import DISTRIBUTIONS


class Unavailable(Exception):
    """What was asked for cannot be run here; the message says what to do."""


@dataclass(frozen=True)
class Options:
    quick: bool = False
    cases: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()

    def choose_cases(self, known: Iterable[str]) -> list[str]:
        """The cases of a bench that were asked for, by default all; raises Unavailable."""
        return _choose("case", self.cases, known)

    def choose_subjects(self, known: Iterable[str] = DISTRIBUTIONS) -> list[str]:
        """The subjects of a bench that were asked for, by default all; raises Unavailable."""
        return _choose("subject", self.subjects, known)


def _choose(kind: str, chosen: tuple[str, ...], known: Iterable[str]) -> list[str]:
    known = list(known)
    for name in chosen:
        if name not in known:
            raise Unavailable(f"There is no {kind} `{name}` in this bench; it has {', '.join(known)}.")
    return list(chosen) or known
