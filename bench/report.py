"""What a bench found, as JSON, as tables and as verdicts."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.measure import Sample
from bench.targets import verdicts

BASELINES = ("floor", "raw", "raw_sqlite3", "asyncio")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _machine() -> str:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    system = f"{platform.system()} {platform.release()}"
    return f"{_processor()}, {cores} cores, {system}, Python {platform.python_version()}"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


@dataclass(frozen=True)
class Report:
    """The samples of one bench: `samples[case][subject]`, in `unit`."""

    bench: str
    unit: str
    samples: Mapping[str, Mapping[str, Sample]]
    versions: Mapping[str, str]
    date: str = field(default_factory=_now)
    machine: str = field(default_factory=_machine)

    @classmethod
    def of(
        cls, bench: str, unit: str, samples: Mapping[tuple[str, str], Sample], versions: Mapping[str, str]
    ) -> Report:
        """A report of samples keyed by case and subject."""
        cases: dict[str, dict[str, Sample]] = {}
        for (case, subject), sample in samples.items():
            cases.setdefault(case, {})[subject] = sample
        return cls(bench, unit, cases, versions)

    @property
    def subjects(self) -> list[str]:
        """Every subject that was measured in some case, in the order of their first appearance."""
        return list(dict.fromkeys(subject for row in self.samples.values() for subject in row))

    def as_json(self) -> dict[str, Any]:
        return {
            "bench": self.bench,
            "date": self.date,
            "machine": self.machine,
            "versions": dict(self.versions),
            "unit": self.unit,
            "cases": {
                case: {
                    subject: {"median": sample.median, "min": sample.min, "max": sample.max}
                    for subject, sample in row.items()
                }
                for case, row in self.samples.items()
            },
        }

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(self.as_json(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    def text(self) -> str:
        """Two Markdown tables, the figures and their ratios to the baseline, and then the verdicts."""
        parts = [f"{self.bench}, {self.unit}: median (min-max)", _table(self._figures())]
        if ratios := list(self._ratios()):
            parts += [f"{self.bench}, times {self._baseline}: ratio of medians (rounds)", _table(ratios)]
        if lines := [str(verdict) for verdict in verdicts(self.bench, self.samples)]:
            parts.append("\n".join(lines))
        return "\n\n".join(parts)

    @property
    def _baseline(self) -> str | None:
        return next((subject for subject in BASELINES if subject in self.subjects), None)

    def _figures(self) -> Iterator[list[str]]:
        yield ["case", *self.subjects]
        for case, row in self.samples.items():
            yield [case, *(_cell(row.get(subject)) for subject in self.subjects)]

    def _ratios(self) -> Iterator[list[str]]:
        baseline = self._baseline
        others = [subject for subject in self.subjects if subject != baseline]
        if baseline is None or not others:
            return
        yield ["case", *others]
        for case, row in self.samples.items():
            if baseline in row:
                yield [case, *(_ratio(row.get(subject), row[baseline]) for subject in others)]


def _number(value: float) -> str:
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _spread(value: float, sample: Sample) -> str:
    if sample.min == sample.max:
        return _number(value)
    return f"{_number(value)} ({_number(sample.min)}-{_number(sample.max)})"


def _cell(sample: Sample | None) -> str:
    return "-" if sample is None else _spread(sample.median, sample)


def _ratio(sample: Sample | None, baseline: Sample) -> str:
    if sample is None:
        return "-"
    ratio = sample / baseline
    return _spread(ratio.value, ratio.rounds)


def _table(rows: Iterator[list[str]] | list[list[str]]) -> str:
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    head, *body = ([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])] for row in rows)
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *body))
