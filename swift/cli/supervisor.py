"""Worker processes: started, replaced when they die, and stopped without losing a request.

Theory of operation. The listeners are made here and shared by all workers, so a connection is accepted by
whichever worker is free, and none is refused while one is replaced. A stop is passed on as SIGTERM, at
which a worker drains by itself; it is killed only when it is not done after the grace period. Ctrl-C in a
terminal reaches the whole process group, so workers are started with SIGINT ignored until their
server handles it.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from typing import Any

logger = logging.getLogger("swift.supervisor")

# A worker that dies younger than this has failed to start, and so would the next one.
SETTLED_SECONDS = 5.0

# For the end of the application's lifespan, after its requests had the grace period.
SHUTDOWN_SECONDS = 10.0

POLL_SECONDS = 0.5

# What is never part of an application's own code.
_PASSED_OVER = frozenset({"__pycache__", "node_modules", "site-packages", "venv"})

Worker = Callable[..., None]


class Stop:
    """Whether SIGTERM or SIGINT came, and to whom it is passed on."""

    def __init__(self) -> None:
        self.requested = threading.Event()
        self.processes: list[SpawnProcess] = []

    def __enter__(self) -> Stop:
        self._before = {
            number: signal.signal(number, self._handle) for number in (signal.SIGTERM, signal.SIGINT)
        }
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: object) -> None:
        self.requested.set()
        for process in self.processes:
            if process.is_alive():
                process.terminate()

    def start(self, worker: Worker, args: tuple[Any, ...]) -> SpawnProcess:
        """Start one more worker, unless a stop was requested in the meantime."""
        process = get_context("spawn").Process(target=worker, args=args)
        if not self.requested.is_set():
            ours = signal.signal(signal.SIGINT, signal.SIG_IGN)
            process.start()
            signal.signal(signal.SIGINT, ours)
            self.processes.append(process)
            if self.requested.is_set():
                process.terminate()
        return process

    def end(self, grace: float) -> None:
        """Stop all workers and wait for them, for `grace` seconds and those of the shutdown."""
        for process in self.processes:
            if process.is_alive():
                process.terminate()
        deadline = time.monotonic() + grace + SHUTDOWN_SECONDS
        for process in self.processes:
            process.join(max(0.0, deadline - time.monotonic()))
            if process.is_alive():
                logger.error("Worker %s did not stop in time and is killed.", process.pid)
                process.kill()
                process.join()
        self.processes.clear()


def supervise(worker: Worker, args: tuple[Any, ...], count: int, grace: float) -> int:
    """Run `count` workers until a signal; the exit code.

    A worker that dies is replaced. One that dies soon after its start ends everything with its code.
    """
    with Stop() as stop:
        born: dict[int | None, float] = {}
        for _ in range(count):
            born[stop.start(worker, args).pid] = time.monotonic()
        while not stop.requested.is_set():
            wait([process.sentinel for process in stop.processes], timeout=POLL_SECONDS)
            for process in [each for each in stop.processes if each.exitcode is not None]:
                stop.processes.remove(process)
                if stop.requested.is_set():
                    break
                logger.error("Worker %s died with exit code %s.", process.pid, process.exitcode)
                if time.monotonic() - born.pop(process.pid) < SETTLED_SECONDS:
                    stop.end(grace)
                    return exit_code(process)
                born[stop.start(worker, args).pid] = time.monotonic()
        stop.end(grace)
    return 0


def reload_on_change(worker: Worker, args: tuple[Any, ...], grace: float) -> int:
    """Run one worker, and another one after each change of a file, until a signal; the exit code.

    A worker that dies, of a half-written file for example, is followed by another after the next change.
    """
    with Stop() as stop:
        stop.start(worker, args)
        for changed in changes(os.getcwd()):
            if stop.requested.is_set():
                break
            if changed:
                logger.info("Files have changed; starting again.")
                stop.end(grace)
                stop.start(worker, args)
        stop.end(grace)
    return 0


def end_with_parent() -> None:
    """Make this worker stop when its parent is gone without having said so, killed for example."""
    parent = parent_process()
    if parent is None:
        return

    def follow() -> None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=follow, name="end-with-parent", daemon=True).start()


def exit_code(process: SpawnProcess) -> int:
    """The code of a dead process as a shell gives it: 128 and the signal when one killed it."""
    code = process.exitcode or 0
    return code if code > 0 else 128 - code if code < 0 else 1


def changes(directory: str) -> Iterator[bool]:
    """Twice a second, whether Python or TOML files below the directory have changed since the last time."""
    try:
        from watchfiles import watch
    except ImportError:
        seen = snapshot(directory)
        while True:
            time.sleep(POLL_SECONDS)
            now = snapshot(directory)
            yield now != seen
            seen = now
    for found in watch(
        directory,
        watch_filter=source_filter()(),
        rust_timeout=int(POLL_SECONDS * 1000),
        yield_on_timeout=True,
        raise_interrupt=False,
    ):
        yield bool(found)


def source_filter() -> Any:
    """The class that tells watchfiles which files count: an application's log or SQLite file must not."""
    from watchfiles import PythonFilter

    class SourceFilter(PythonFilter):
        def __init__(self) -> None:
            super().__init__(extra_extensions=(".toml",))

    return SourceFilter


def snapshot(directory: str) -> dict[str, int]:
    """The modification times, in nanoseconds, of the Python and TOML files below a directory."""
    times: dict[str, int] = {}
    for place, directories, files in os.walk(directory):
        directories[:] = [
            name for name in directories if name not in _PASSED_OVER and not name.startswith(".")
        ]
        for name in files:
            if name.endswith((".py", ".toml")):
                path = os.path.join(place, name)
                try:
                    times[path] = os.stat(path).st_mtime_ns
                except FileNotFoundError:
                    continue
    return times
