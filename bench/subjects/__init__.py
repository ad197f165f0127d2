"""The frameworks that are measured, one module each.

A module has `apps() -> dict[case, ASGI app]`: the cases it takes part in, each in an application of its own,
written as the framework's documentation advises for speed.
`UNVALIDATED` names the cases it answers without validating the input.
`rsgi()`, where there is one, is the `plaintext` application for granian's own protocol.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from importlib import import_module, metadata
from typing import Any, TypeVar

from bench.asgi import ASGIApp, ask
from bench.cases import Case, WrongAnswer

T = TypeVar("T")

# The name of each subject, which is its module's, and the distribution whose version is reported for it.
DISTRIBUTIONS = {
    "swift": "swift-api",
    "raw": "msgspec",
    "falcon": "falcon",
    "blacksheep": "blacksheep",
    "starlette": "starlette",
    "litestar": "litestar",
    "fastapi": "fastapi",
    "drf": "djangorestframework",
}


def version(distribution: str) -> str:
    """The installed version, or `source` for what is imported from a checkout."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "source"


@dataclass(frozen=True)
class Subject:
    name: str
    apps: dict[str, ASGIApp]
    unvalidated: Collection[str]
    rsgi: Any = None

    async def verify(self, case: Case) -> None:
        """Raises WrongAnswer unless `case` is answered rightly and its invalid request refused."""
        app = self.apps[case.name]
        try:
            for exchange in case.exchanges:
                exchange.check(await ask(app, exchange.request))
            if case.invalid and case.name not in self.unvalidated:
                status = (await ask(app, case.invalid)).status
                if status not in (400, 422):
                    raise WrongAnswer(f"Expected 400 or 422 for an invalid request, got {status}")
        except WrongAnswer as error:
            raise WrongAnswer(f"{self.name}, {case.name}: {error}") from error

    @property
    def version(self) -> str:
        return version(DISTRIBUTIONS[self.name])


def load(name: str) -> Subject:
    """Builds the applications of one subject; raises ImportError where its framework is missing."""
    module = import_module(f"bench.subjects.{name}")
    rsgi = getattr(module, "rsgi", None)
    return Subject(name, module.apps(), getattr(module, "UNVALIDATED", ()), rsgi() if rsgi else None)


def installed(names: Iterable[str]) -> list[Subject]:
    """The subjects among `names` whose frameworks are installed; a missing one costs a line on stderr."""
    return available(names, load)


def available(names: Iterable[str], load: Callable[[str], T]) -> list[T]:
    """What `load` finds for each of `names`; one whose packages are missing costs a line on stderr."""
    subjects = []
    for name in names:
        try:
            subjects.append(load(name))
        except ImportError as error:
            print(f"{name} is left out: {error}.", file=sys.stderr)
    return subjects


def versions(subjects: Iterable[Subject]) -> dict[str, str]:
    return {subject.name: subject.version for subject in subjects}
