"""The headline: the same app on PostgreSQL, from the socket to the database and back.

Each subject on its best server, pinned to one core, PostgreSQL and wrk with 64 connections to the other.
What is counted is the time of the server's process: what PostgreSQL needs is the same for all.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.cases import RECORDS, Case, Exchange, WrongAnswer, record
from bench.measure import Sample
from bench.options import Options
from bench.pg_server import database
from bench.records import CASES as RECORD_CASES
from bench.records import TableCase, get, in_utc
from bench.report import Report
from bench.servers import UVICORN
from bench.serving import Server, fetch, free_port, serving
from bench.subjects import available, version
from bench.subjects.e2e import COLUMNS, DISTRIBUTIONS, TABLE, StoredSubject, load
from bench.wrk import Load, end_servers_on_sigterm, press_in_turn, require_tools

GRANIAN = (
    "granian --workers 1 --interface wsgi --blocking-threads 8 --http 1 --no-access-log --log-level error "
    "--port {port}"
)
SERVERS = {"asgi": f"{UVICORN} bench.e2e_served:app", "wsgi": f"{GRANIAN} bench.e2e_served:app"}

PAGE = "/pages?active=true&page=2&page_size=20"
ACTIVE = [item for item in RECORDS if item["active"]]


def page_of(content: Any) -> Any:
    return {"count": content["count"], "results": in_utc(content["results"])}


def page(path: str) -> Exchange:
    exchange = get(path, {"count": len(ACTIVE), "results": ACTIVE[20:40]})
    address, _, query = path.partition("?")
    request = type(exchange.request)(address, query)
    return Exchange(request, exchange.status, exchange.content_type, exchange.content, page_of)


CASES = {**RECORD_CASES, "page20": TableCase(Case("page20", (page(PAGE),)), PAGE, len(RECORDS))}


class Store:
    """The databases of a bench, one for each subject and case."""

    def __init__(self, dsn: str) -> None:
        import psycopg

        self.connect: Any = psycopg.connect
        self.dsn = dsn

    def make(self, name: str, rows: int) -> str:
        """A new database with so many records; its DSN."""
        with self.connect(self.dsn, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        dsn = f"{self.dsn.rpartition('/')[0]}/{name}"
        with self.connect(dsn, autocommit=True) as connection:
            connection.execute(TABLE)
            with (
                connection.cursor() as cursor,
                cursor.copy(f"COPY records ({', '.join(COLUMNS)}) FROM STDIN") as copy,
            ):
                for number in range(1, rows + 1):
                    values = record(number)
                    copy.write_row([values[column] for column in COLUMNS])
            connection.execute("VACUUM ANALYZE records")
        return dsn

    def restore(self, dsn: str, rows: int) -> None:
        """Takes away what was inserted after the first `rows` records."""
        with self.connect(dsn, autocommit=True) as connection:
            connection.execute("DELETE FROM records WHERE id > %s", (rows,))
            connection.execute("VACUUM records")


@contextmanager
def served(subject: StoredSubject, dsn: str) -> Iterator[Server]:
    port = free_port()
    command = [sys.executable, "-m", *SERVERS[subject.interface].format(port=port).split()]
    with serving(command, port, {"BENCH_SUBJECT": subject.name, "BENCH_DSN": dsn}) as server:
        yield server


def verify(subject: StoredSubject, case: TableCase, server: Server) -> None:
    """Raises WrongAnswer unless the server answers `case` rightly; the floor answers fixed bytes."""
    if subject.name == "floor":
        return
    try:
        for exchange in case.case.exchanges:
            exchange.check(fetch(server.port, exchange.request))
        if case.case.invalid is not None and subject.name != "raw_asyncpg":
            status = fetch(server.port, case.case.invalid).status
            if status not in (400, 422):
                raise WrongAnswer(f"Expected 400 or 422 for an invalid body, got {status}")
    except WrongAnswer as error:
        raise WrongAnswer(f"{subject.name}: {error}") from error


def measure(
    store: Store,
    case: TableCase,
    subjects: Sequence[StoredSubject],
    directory: Path,
    rounds: int,
    seconds: int,
) -> dict[str, Sample]:
    """Samples by subject."""
    name = case.case.name
    script = directory / f"{name}.lua"
    script.write_text(case.script, encoding="utf-8")
    loads = {}
    with ExitStack() as stack:
        for subject in subjects:
            dsn = store.make(f"{name}_{subject.name}", case.rows)
            server = stack.enter_context(served(subject, dsn))
            verify(subject, case, server)
            prepare = partial(store.restore, dsn, case.rows)
            loads[subject.name] = Load(server, case.path, script if case.script else None, prepare)
        return press_in_turn(name, loads, rounds, seconds)


def run(options: Options) -> Report:
    require_tools()
    end_servers_on_sigterm()
    rounds, seconds = (3, 1) if options.quick else (7, 2)
    cases = options.choose_cases(CASES)
    subjects = available(options.choose_subjects(DISTRIBUTIONS), load)
    samples = {}
    with TemporaryDirectory(prefix="bench-e2e-") as directory, database() as dsn:
        store = Store(dsn)
        for name in cases:
            listed = ", ".join(subject.name for subject in subjects)
            print(f"e2e, {name}: {rounds} rounds of {seconds} s each for {listed}", file=sys.stderr)
            measured = measure(store, CASES[name], subjects, Path(directory), rounds, seconds)
            samples.update({(name, subject): sample for subject, sample in measured.items()})
    return Report.of("e2e", "req/s of the server's CPU time", samples, versions(subjects))


def versions(subjects: Sequence[StoredSubject]) -> dict[str, str]:
    """Of each subject, and of what several of them stand on."""
    packages = ("asyncpg", "psycopg", "sqlalchemy", "uvicorn", "granian")
    return {
        **{subject.name: subject.version for subject in subjects},
        **{package: version(package) for package in packages},
    }
