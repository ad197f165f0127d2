"""`plaintext` through real servers: each pinned to one core, wrk with 64 connections to the other.

All subjects of a server are up at once and loaded in turn, so that their rounds interleave.
The seconds in requests per second are those the server had its core: the clock's while it has it to itself.
When a neighbour takes a part of either core they are far steadier (a subject on granian: 53,000 to 57,000,
where the clock gave 37,000 to 55,000), and a slow wrk does not pass for the limit of a fast subject.
What they cannot mend: a server that often waits spends more on each request, all subjects alike, and that
draws the ratios together. A run in which it happened says so.
"""

from __future__ import annotations

import http.client
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from types import FrameType

from bench.asgi import Response
from bench.cases import CASES, WrongAnswer
from bench.measure import Sample, interleave
from bench.options import Options, Unavailable
from bench.report import Report
from bench.serving import Server, cores, free_port, serving
from bench.subjects import Subject, installed, version, versions

CONNECTIONS = 64
# A server that has its core to itself is busy for 97 to 99 % of a round.
BUSY_SHARE = 0.9

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
            EXCHANGE.check(get(port))
        except WrongAnswer as error:
            raise WrongAnswer(f"{subject.name} on {name}: {error}") from error
        yield server


def get(port: int) -> Response:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request(EXCHANGE.request.method, EXCHANGE.request.path)
        answer = connection.getresponse()
        return Response(answer.status, answer.headers.get("content-type", ""), answer.read())
    finally:
        connection.close()


@dataclass
class Load:
    """wrk against one server, and how long that server was busy meanwhile."""

    server: Server
    busy_seconds: float = 0.0
    seconds: float = 0.0

    def press(self, seconds: int) -> float:
        """Loads the server for so long and returns the requests it answered per second of its CPU time."""
        url = f"http://127.0.0.1:{self.server.port}{EXCHANGE.request.path}"
        pinned = f"taskset --cpu-list {cores()[1]} wrk"
        command = f"{pinned} --threads 1 --connections {CONNECTIONS} --duration {seconds}s {url}"
        before = self.server.cpu_seconds()
        wrk = subprocess.run(command.split(), capture_output=True, text=True, check=True)
        busy = self.server.cpu_seconds() - before
        self.busy_seconds += busy
        self.seconds += seconds
        return request_count(wrk.stdout) / busy


def request_count(output: str) -> int:
    """Reads wrk's report; raises WrongAnswer where some requests failed."""
    failures = re.search(r"(Non-2xx or 3xx responses|Socket errors): .*", output)
    if failures:
        raise WrongAnswer(f"wrk reports {failures[0]}.")
    count = re.search(r"(\d+) requests in", output)
    if count is None:
        raise WrongAnswer(f"wrk counted no requests: {output.strip()}")
    return int(count[1])


def measure(name: str, subjects: list[Subject], rounds: int, seconds: int) -> dict[str, Sample]:
    """Samples by subject."""
    with ExitStack() as stack:
        loads = {subject.name: Load(stack.enter_context(served(name, subject))) for subject in subjects}
        for load in loads.values():
            load.press(1)
        samples = interleave({key: partial(load.press, seconds) for key, load in loads.items()}, rounds)
    warn_of_idling(name, loads.values())
    return samples


def warn_of_idling(name: str, loads: Iterable[Load]) -> None:
    share = min(load.busy_seconds / load.seconds for load in loads)
    if share < BUSY_SHARE:
        print(
            f"{name}: some subject was busy for only {share:.0%} of its rounds: "
            "a neighbour or wrk held it back, and on a quiet machine the ratios lie further apart.",
            file=sys.stderr,
        )


def installed_servers(names: Iterable[str]) -> Iterator[str]:
    for name in names:
        package = SERVERS[name].split()[0]
        if find_spec(package):
            yield name
        else:
            print(f"{name} is left out: {package} is not installed.", file=sys.stderr)


def require_tools() -> None:
    for tool, package in (("wrk", "wrk"), ("taskset", "util-linux")):
        if shutil.which(tool) is None:
            raise Unavailable(f"This bench needs `{tool}`; on Debian: apt-get install {package}")


def leave(number: int, frame: FrameType | None) -> None:
    """Turns SIGTERM into an exception, so that the servers are ended on the way out."""
    sys.exit(128 + number)


def run(options: Options) -> Report:
    require_tools()
    # Many short rounds rather than a few long ones: the median passes by those that a neighbour spoils.
    rounds, seconds = (7, 1) if options.quick else (11, 2)
    names = list(installed_servers(options.choose_cases(SERVERS)))
    subjects = [subject for subject in installed(options.choose_subjects()) if "plaintext" in subject.apps]
    signal.signal(signal.SIGTERM, leave)
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
