"""The same app on SQLite behind uvicorn: raw, raw with aiosqlite, FastAPI with SQLAlchemy, and Swift.

All databases are files in WAL mode, synchronous NORMAL, with the same records in each.
The time is that of the server's process with the threads it gives its connections.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.asgi import lifespan
from bench.cases import WrongAnswer, record
from bench.measure import Sample
from bench.options import Options, Unavailable
from bench.records import CASES, TableCase
from bench.report import Report
from bench.servers import UVICORN
from bench.serving import Server, fetch, free_port, serving
from bench.subjects import Subject, available, version
from bench.subjects.sqlite import DISTRIBUTIONS, StoredSubject, load
from bench.wrk import Load, end_servers_on_sigterm, press_in_turn, require_tools


async def seed(subject: StoredSubject, case: TableCase, database: Path) -> None:
    await subject.seed(database, [record(number) for number in range(1, case.rows + 1)])


async def verify(subject: StoredSubject, case: TableCase, database: Path) -> None:
    """Raises WrongAnswer unless `subject`, on a new `database`, answers `case` rightly."""
    await seed(subject, case, database)
    app = subject.application(database)
    async with lifespan(app):
        await Subject(subject.name, {case.case.name: app}, subject.unvalidated).verify(case.case)


def restore(database: Path, rows: int) -> None:
    """Takes away what was inserted after the first `rows` records."""
    with closing(sqlite3.connect(database, timeout=30, isolation_level=None)) as connection:
        connection.execute("DELETE FROM records WHERE id > ?", (rows,))
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@contextmanager
def served(subject: StoredSubject, case: TableCase, database: Path) -> Iterator[Server]:
    """`subject` on its database behind uvicorn; raises WrongAnswer when it answers otherwise there."""
    port = free_port()
    command = [sys.executable, "-m", *UVICORN.format(port=port).split(), "bench.sqlite_served:asgi"]
    environment = {"BENCH_SUBJECT": subject.name, "BENCH_DATABASE": str(database)}
    with serving(command, port, environment) as server:
        exchange = case.case.exchanges[0]
        try:
            exchange.check(fetch(port, exchange.request))
        except WrongAnswer as error:
            raise WrongAnswer(f"{subject.name} on uvicorn: {error}") from error
        yield server


def measure(
    case: TableCase, subjects: Sequence[StoredSubject], directory: Path, rounds: int, seconds: int
) -> dict[str, Sample]:
    """Samples by subject."""
    name = case.case.name
    script = directory / f"{name}.lua"
    script.write_text(case.script, encoding="utf-8")
    loads = {}
    with ExitStack() as stack:
        for subject in subjects:
            database = directory / f"{name}-{subject.name}.db"
            asyncio.run(verify(subject, case, database.with_suffix(".verified")))
            asyncio.run(seed(subject, case, database))
            server = stack.enter_context(served(subject, case, database))
            prepare = partial(restore, database, case.rows)
            loads[subject.name] = Load(server, case.path, script if case.script else None, prepare)
        return press_in_turn(name, loads, rounds, seconds)


def run(options: Options) -> Report:
    require_tools()
    end_servers_on_sigterm()
    if find_spec("uvicorn") is None:
        raise Unavailable("This bench needs uvicorn: pip install -r bench/requirements.txt")
    rounds, seconds = (5, 1) if options.quick else (11, 2)
    cases = options.choose_cases(CASES)
    subjects = available(options.choose_subjects(DISTRIBUTIONS), load)
    samples = {}
    with TemporaryDirectory(prefix="bench-sqlite-") as directory:
        for name in cases:
            listed = ", ".join(subject.name for subject in subjects)
            print(f"sqlite, {name}: {rounds} rounds of {seconds} s each for {listed}", file=sys.stderr)
            measured = measure(CASES[name], subjects, Path(directory), rounds, seconds)
            samples.update({(name, subject): sample for subject, sample in measured.items()})
    return Report.of("sqlite", "req/s of the server's CPU time", samples, versions(subjects))


def versions(subjects: Sequence[StoredSubject]) -> dict[str, str]:
    """Of each subject, and of what several of them stand on."""
    packages = ("aiosqlite", "sqlalchemy", "uvicorn")
    return {
        **{subject.name: subject.version for subject in subjects},
        **{package: version(package) for package in packages},
        "sqlite": sqlite3.sqlite_version,
    }
