"""What Swift has to reach: per bench and case, formulas over the medians of one run.

A formula is `subject <= bound` or `subject/peer <= bound` (or `>=`).
`subject@case` takes the figure from another case of the same run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bench.measure import Sample

Samples = Mapping[str, Mapping[str, Sample]]

TARGETS: dict[str, dict[str, tuple[str, ...]]] = {
    "inproc": {
        "plaintext": ("swift/raw <= 1.7", "swift/blacksheep <= 0.55"),
        "json": ("swift/raw <= 1.7", "swift/blacksheep <= 0.55"),
        "params": ("swift/raw <= 0.75", "swift/falcon <= 0.32"),
        "post": ("swift/raw <= 1.4", "swift/falcon <= 0.6"),
        "list100": ("swift/raw <= 1.05",),
        "routes500": ("swift/swift@routes1 <= 1.1",),
        "notfound": ("swift/raw <= 2",),
    },
    "calls": {
        "params": ("swift <= 15",),
        "post": ("swift <= 20",),
    },
    "servers": {
        "uvicorn": ("swift/raw >= 0.92",),
        "granian": ("swift/raw >= 0.94",),
        "granian_rsgi": ("swift/raw >= 0.92",),
        "hypercorn": ("swift/raw >= 0.97",),
    },
    "pg": {
        "acquire": ("swift <= 1.5", "swift/psycopg_sync <= 0.37"),
        "c64_select1": ("swift/floor <= 1.4", "asyncpg/swift >= 4"),
        "c64_pk": ("swift/floor <= 1.4", "asyncpg/swift >= 3"),
        "c64_rows100": ("swift/floor <= 1.25",),
        "c64_rows100_json": ("swift/floor <= 1.15",),
        "seq_pk": ("swift/floor <= 1.06",),
        "q20": ("swift/floor <= 1.2",),
        "fetch100k": ("swift/floor <= 1.67",),
        "fetch100k_json": ("swift/floor <= 1.25",),
        "stream100k": ("swift/floor@fetch100k <= 1.88",),
        "copy10k": ("swift/floor <= 1.11",),
        "executemany10k": ("swift/floor <= 1.05",),
    },
    "futures": {
        "ready_await": ("swift <= 100",),
        "then_ready": ("swift <= 60",),
        "when_all_ready": ("swift <= 80", "asyncio/swift >= 25"),
        # asyncio's figure there is one wake-up of a task.
        "chain3_pending": ("swift/asyncio <= 0.4",),
        "with_timeout": ("swift/asyncio <= 0.3",),
    },
    "e2e": {
        "list100": (
            "swift/floor >= 0.75",
            "swift/blacksheep >= 3.5",
            "swift/fastapi_sqlalchemy >= 20",
        ),
        "by_id": (
            "swift/floor >= 0.55",
            "swift/blacksheep >= 2.5",
            "swift/fastapi_sqlalchemy >= 12",
        ),
        "page20": (
            "swift/floor >= 0.6",
            "swift/blacksheep >= 2",
            "swift/fastapi_sqlalchemy >= 10",
        ),
        "insert": (
            "swift/floor >= 0.55",
            "swift/blacksheep >= 2.5",
            "swift/fastapi_sqlalchemy >= 15",
        ),
    },
    "sqlite": {
        "list100": ("swift/fastapi_sqlalchemy >= 10", "swift/raw_aiosqlite >= 1.15"),
        "by_id": ("swift/fastapi_sqlalchemy >= 14",),
        "insert": ("swift/fastapi_sqlalchemy >= 5",),
    },
}

_TERM = r"(\w+)(?:@(\w+))?"
_FORMULA = re.compile(rf"{_TERM}(?:/{_TERM})? (<=|>=) ([\d.]+)")


@dataclass(frozen=True)
class Verdict:
    """A formula with the value it got; `spread` is the least and the greatest of the rounds."""

    case: str
    formula: str
    value: float
    spread: tuple[float, float]

    @property
    def miss(self) -> float:
        """How far the value lies on the wrong side of the bound; zero or less when the target is reached."""
        _, comparison, bound = self.formula.split(" ")
        return self.value - float(bound) if comparison == "<=" else float(bound) - self.value

    @property
    def reached(self) -> bool:
        return self.miss <= 0

    def __str__(self) -> str:
        term, comparison, bound = self.formula.split(" ")
        form = ".2f" if "/" in term else "g"
        line = f"{self.case}: {term} {self.value:{form}} {comparison} {float(bound):{form}} "
        line += "reached" if self.reached else f"MISSED by {self.miss:.2g}"
        low, high = self.spread
        return line if low == high else f"{line} (rounds {low:{form}} to {high:{form}})"


def judge(case: str, formula: str, samples: Samples) -> Verdict | None:
    """The verdict on one formula, or None when a subject or case it names was not measured."""
    parsed = _FORMULA.fullmatch(formula)
    if parsed is None:
        raise ValueError(f"Expected `subject/peer <= bound`, got `{formula}` - at target {case}")
    subject, subject_case, peer, peer_case, *_ = parsed.groups()
    figure = samples.get(subject_case or case, {}).get(subject)
    if figure is None:
        return None
    if peer is None:
        return Verdict(case, formula, figure.median, (figure.min, figure.max))
    other = samples.get(peer_case or case, {}).get(peer)
    if other is None:
        return None
    ratio = figure / other
    return Verdict(case, formula, ratio.value, (ratio.rounds.min, ratio.rounds.max))


def verdicts(bench: str, samples: Samples) -> Iterator[Verdict]:
    """The verdicts on all targets of a bench whose subjects were measured."""
    for case, formulas in TARGETS.get(bench, {}).items():
        for formula in formulas:
            verdict = judge(case, formula, samples)
            if verdict is not None:
                yield verdict
