"""A server as a child process on one core: started, answering, measured, and ended with all it started."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bench.asgi import Request, Response
from bench.options import Unavailable

STARTUP_SECONDS = 30
SHUTDOWN_SECONDS = 10


def cores() -> tuple[int, int]:
    """The core of the servers and the core of what loads them: the same where there is only one."""
    available = sorted(os.sched_getaffinity(0))
    return available[0], available[-1]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@dataclass(frozen=True)
class Server:
    """A running server: its port and the number of its process group."""

    port: int
    group: int

    def cpu_seconds(self) -> float:
        """What its processes and their threads have used so far (Linux, sched-stats: in nanoseconds)."""
        used = 0
        for process in Path("/proc").glob("[0-9]*"):
            # Others end while we look.
            with suppress(FileNotFoundError, ProcessLookupError):
                # proc_pid_stat(5): after the name, which may hold anything, follow state, parent and group.
                if int((process / "stat").read_text().rpartition(")")[2].split()[2]) == self.group:
                    threads = (process / "task").glob("*/schedstat")
                    used += sum(int(thread.read_text().split()[0]) for thread in threads)
        return used / 1e9


def fetch(port: int, request: Request) -> Response:
    """What the server on `port` answers to `request`."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    target = f"{request.path}?{request.query}" if request.query else request.path
    headers = {"content-type": "application/json"} if request.body else {}
    try:
        connection.request(request.method, target, request.body or None, headers)
        answer = connection.getresponse()
        return Response(answer.status, answer.headers.get("content-type", ""), answer.read())
    finally:
        connection.close()


@contextmanager
def serving(command: list[str], port: int, environment: Mapping[str, str]) -> Iterator[Server]:
    """The server that `command` starts on `port`; raises Unavailable when it does not start.

    It has ended, and whatever it started has ended, when the block is left.
    """
    pinned = ["taskset", "--cpu-list", str(cores()[0]), *command]
    # A session of its own, so that the workers a server starts are in a group that can be ended with it.
    process = subprocess.Popen(pinned, env=os.environ | environment, start_new_session=True)
    try:
        _await_start(process, port)
        yield Server(port, process.pid)
    finally:
        _end(process)


def _await_start(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + STARTUP_SECONDS
    while not _has_ended(process) and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise Unavailable("A server did not start; what it said is above.")


def _end(process: subprocess.Popen[bytes]) -> None:
    os.kill(process.pid, signal.SIGTERM)
    deadline = time.monotonic() + SHUTDOWN_SECONDS
    while not _has_ended(process) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Asks without reaping: until `wait` is called, no other process or group can be given the number."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
