"""wrk with 64 connections against one server, and the throughput it finds.

The seconds in requests per second are those the server had its core: the clock's while it has it to itself.
When a neighbour takes a part of either core they are far steadier (a subject on granian: 53,000 to 57,000,
where the clock gave 37,000 to 55,000), and a slow wrk does not pass for the limit of a fast subject.
What they cannot mend: a server that often waits spends more on each request, all subjects alike, and that
draws the ratios together. A run in which it happened says so.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType

from bench.cases import WrongAnswer
from bench.measure import Sample, interleave
from bench.options import Unavailable
from bench.serving import Server, cores

CONNECTIONS = 64
# A server that has its core to itself is busy for 97 to 99 % of a round.
BUSY_SHARE = 0.9


def do_nothing() -> None:
    pass


@dataclass
class Load:
    """wrk against one server, and how long that server was busy meanwhile.

    `script` is the Lua file that says what is asked where it is more than a GET of `path`.
    `prepare` is called before each round, outside its time.
    """

    server: Server
    path: str
    script: Path | None = None
    prepare: Callable[[], None] = do_nothing
    busy_seconds: float = 0.0
    seconds: float = 0.0

    def press(self, seconds: int) -> float:
        """Loads the server for so long and returns the requests it answered per second of its CPU time."""
        self.prepare()
        command = ["taskset", "--cpu-list", str(cores()[1]), "wrk", "--threads", "1"]
        command += ["--connections", str(CONNECTIONS), "--duration", f"{seconds}s"]
        if self.script is not None:
            command += ["--script", str(self.script)]
        command.append(f"http://127.0.0.1:{self.server.port}{self.path}")
        before = self.server.cpu_seconds()
        wrk = subprocess.run(command, capture_output=True, text=True, check=True)
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


def press_in_turn(name: str, loads: Mapping[str, Load], rounds: int, seconds: int) -> dict[str, Sample]:
    """Interleaved rounds of so many seconds after one to warm up; samples by the keys of `loads`."""
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


def require_tools() -> None:
    """Raises Unavailable where wrk or taskset is missing."""
    for tool, package in (("wrk", "wrk"), ("taskset", "util-linux")):
        if shutil.which(tool) is None:
            raise Unavailable(f"This bench needs `{tool}`; on Debian: apt-get install {package}")


def end_servers_on_sigterm() -> None:
    """Turns SIGTERM into an exception, so that the servers are ended on the way out."""

    def leave(number: int, frame: FrameType | None) -> None:
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, leave)
