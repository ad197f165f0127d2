"""`plaintext` through real servers: each pinned to one core, wrk with 64 connections to the other.

All subjects of a server are up at once and loaded in turn, so that their rounds interleave.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec

from bench.cases import CASES, WrongAnswer
from bench.measure import Sample
from bench.options import Options
from bench.report import Report
from bench.serving import Server, fetch, free_port, serving
from bench.subjects import Subject, installed, version, versions
from bench.wrk import Load, end_servers_on_sigterm, press_in_turn, require_tools

UVICORN = "uvicorn --loop uvloop --http httptools --no-access-log --log-level error --port {port}"
GRANIAN = "granian --workers 1 --loop uvloop --http 1 --no-access-log --log-level error --port {port}"
# Without workers hypercorn serves in the process that was started.
HYPERCORN = "hypercorn --workers 0 --worker-class uvloop --log-level error --bind 127.0.0.1:{port}"

# The arguments to `python -m`, by case.
SERVERS = {
    "uvicorn": f"{UVICORN} bench.served:asgi",
    "granian": f"{GRANIAN} --interface asgi bench.served:asgi",
    "granian_rsgi": f"{GRANIAN} --interface rsgi bench.served:rsgi",
    "hypercorn": f"{HYPERCORN} bench.served:asgi",
}

(EXCHANGE,) = CASES["plaintext"].exchanges


@contextmanager
def served(name: str, subject: Subject) -> Iterator[Server]:
    """`subject` behind the server `name`, after its answer was found right; raises WrongAnswer."""
    port = free_port()
    command = [sys.executable, "-m", *SERVERS[name].format(port=port).split()]
    with serving(command, port, {"BENCH_SUBJECT": subject.name}) as server:
        try:
            EXCHANGE.check(fetch(port, EXCHANGE.request))
        except WrongAnswer as error:
            raise WrongAnswer(f"{subject.name} on {name}: {error}") from error
        yield server


def measure(name: str, subjects: list[Subject], rounds: int, seconds: int) -> dict[str, Sample]:
    """Samples by subject."""
    with ExitStack() as stack:
        path = EXCHANGE.request.path
        loads = {item.name: Load(stack.enter_context(served(name, item)), path) for item in subjects}
        return press_in_turn(name, loads, rounds, seconds)


def installed_servers(names: Iterable[str]) -> Iterator[str]:
    for name in names:
        package = SERVERS[name].split()[0]
        if find_spec(package):
            yield name
        else:
            print(f"{name} is left out: {package} is not installed.", file=sys.stderr)


def run(options: Options) -> Report:
    require_tools()
    end_servers_on_sigterm()
    # Many short rounds rather than a few long ones: the median passes by those that a neighbour spoils.
    rounds, seconds = (7, 1) if options.quick else (11, 2)
    names = list(installed_servers(options.choose_cases(SERVERS)))
    subjects = [subject for subject in installed(options.choose_subjects()) if "plaintext" in subject.apps]
    samples = {}
    for name in names:
        takers = [subject for subject in subjects if name != "granian_rsgi" or subject.rsgi is not None]
        listed = ", ".join(subject.name for subject in takers)
        print(f"{name}: {rounds} rounds of {seconds} s each for {listed}", file=sys.stderr)
        for subject_name, sample in measure(name, takers, rounds, seconds).items():
            samples[name, subject_name] = sample
    packages = sorted({SERVERS[name].split()[0] for name in names})
    return Report.of(
        "servers",
        "req/s of the server's CPU time",
        samples,
        versions(subjects) | {package: version(package) for package in packages},
    )
