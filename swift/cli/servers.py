"""The servers an application can run on.

hypercorn and uvicorn serve in the process they are called in: this one, or for more workers and for
reloading one of our supervisor's, each of which imports the application for itself. Their own
supervisors are not used: hypercorn's kills every worker as soon as the first has drained, uvicorn's ends
with code 0 when no worker could start. granian has its workers in Rust and brings its own.

No server believes forwarded headers: that is the work of `ForwardedMiddleware`, which knows whom to trust.
"""

from __future__ import annotations

import errno
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Final

import click

from .supervisor import end_with_parent, reload_on_change, source_filter, supervise
from .target import ASGIApp, described, load_target

logger = logging.getLogger("swift.server")

# The exit code of uvicorn when an application does not start (uvicorn.config.STARTUP_FAILURE).
STARTUP_FAILURE: Final = 3

# Connections that wait for being accepted; uvicorn's number, where hypercorn's 100 is soon full.
BACKLOG: Final = 2048

SERVERS: Final = ("hypercorn", "uvicorn", "granian")
INTERFACES: Final = ("asgi", "rsgi")


@dataclass(frozen=True, slots=True)
class Serving:
    """What to serve and how; plain values, so that it can be sent to a worker's process."""

    target: str
    factory: bool
    server: str
    interface: str
    host: str
    port: int
    uds: str | None
    workers: int
    reload: bool
    access_log: bool
    log_level: str
    graceful_timeout: float

    def configure_logging(self) -> None:
        """The application's own log to stderr, unless it has configured logging itself."""
        if not logging.getLogger().handlers:
            logging.basicConfig(
                level=self.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s"
            )
            # It tells of every change, also of those that do not count.
            logging.getLogger("watchfiles").setLevel(logging.WARNING)

    def load(self) -> ASGIApp:
        """The application, in a worker's process; which ends when there is none."""
        try:
            app = load_target(self.target, self.factory)
        except click.ClickException as error:
            error.show()
            sys.exit(STARTUP_FAILURE)
        self.configure_logging()
        return app


def serve(serving: Serving, app: ASGIApp) -> int:
    """Serve until SIGTERM or SIGINT; the exit code. Raises ClickException when it cannot listen."""
    listeners = listen(serving)
    try:
        addresses = ", ".join(address(listener) for listener in listeners)
        if serving.server == "granian":
            # It binds by itself; that this would succeed is known now.
            for listener in listeners:
                listener.close()
            if serving.uds is not None:
                remove_socket(serving.uds)
        logger.info("Starting %s with %s on %s", serving.target, serving.server, addresses)
        if serving.server == "granian":
            return serve_with_granian(serving)
        if serving.reload:
            return reload_on_change(work, (serving, listeners), serving.graceful_timeout)
        if serving.workers > 1:
            return supervise(work, (serving, listeners), serving.workers, serving.graceful_timeout)
        return IN_PROCESS[serving.server](serving, app, listeners)
    finally:
        for listener in listeners:
            listener.close()


def work(serving: Serving, listeners: list[socket.socket]) -> None:
    """One worker process: the application on listeners that it shares with the others."""
    end_with_parent()
    end_regularly_on_sigterm()
    app = serving.load()
    sys.exit(IN_PROCESS[serving.server](serving, app, listeners))


def end_regularly_on_sigterm() -> None:
    """SIGTERM is a regular end, also before a server handles it and after it has drained."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))


def serve_with_hypercorn(serving: Serving, app: ASGIApp, listeners: Sequence[socket.socket]) -> int:
    import asyncio

    from hypercorn.asyncio import serve as serve_here
    from hypercorn.config import Config
    from hypercorn.utils import LifespanFailureError, LifespanTimeoutError

    config = Config()
    config.bind = [f"fd://{listener.detach()}" for listener in listeners]
    config.backlog = BACKLOG
    config.accesslog = "-" if serving.access_log else None
    # Through the root logger like everything else; a handler of its own would print each line twice.
    config.errorlog = logging.getLogger("hypercorn.error")
    config.errorlog.setLevel(serving.log_level.upper())
    config.loglevel = serving.log_level
    config.graceful_timeout = serving.graceful_timeout
    config.include_server_header = False
    loop_factory = None
    if find_spec("uvloop") is not None:
        import uvloop

        loop_factory = uvloop.new_event_loop
    try:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(serve_here(app, config, mode="asgi"))
    except LifespanFailureError as error:
        cause = error.__context__
        text = str(error) if cause is None else f"The application failed to start or stop: {described(cause)}"
        click.ClickException(text).show()
        return STARTUP_FAILURE
    except LifespanTimeoutError as error:
        click.ClickException(str(error)).show()
        return STARTUP_FAILURE
    return 0


def serve_with_uvicorn(serving: Serving, app: ASGIApp, listeners: Sequence[socket.socket]) -> int:
    import uvicorn

    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_level=serving.log_level,
            access_log=serving.access_log,
            proxy_headers=False,
            server_header=False,
            backlog=BACKLOG,
            timeout_graceful_shutdown=int(serving.graceful_timeout),
        )
    )
    try:
        server.run(sockets=list(listeners))
    except KeyboardInterrupt:
        pass
    return 0 if server.started else STARTUP_FAILURE


def serve_with_granian(serving: Serving) -> int:
    import multiprocessing
    from pathlib import Path

    from granian import Granian
    from granian.constants import Interfaces
    from granian.log import LOGGING_CONFIG, LogLevels

    # Forked workers would find the application imported already, and after a change still the old one.
    multiprocessing.set_start_method("spawn", force=True)
    handlers: Any = LOGGING_CONFIG["handlers"]
    Granian(
        serving.target,
        address=serving.host,
        port=serving.port,
        uds=None if serving.uds is None else Path(serving.uds),
        interface=Interfaces(serving.interface),
        workers=serving.workers,
        reload=serving.reload,
        reload_filter=source_filter() if serving.reload else None,
        log_access=serving.access_log,
        log_level=LogLevels(serving.log_level),
        log_dictconfig={
            "handlers": {**handlers, "console": {**handlers["console"], "stream": "ext://sys.stderr"}}
        },
        workers_kill_timeout=max(1, int(serving.graceful_timeout)),
    ).serve(target_loader=serving.load, wrap_loader=False)
    return 0


IN_PROCESS: Final[Mapping[str, Callable[[Serving, ASGIApp, Sequence[socket.socket]], int]]] = {
    "hypercorn": serve_with_hypercorn,
    "uvicorn": serve_with_uvicorn,
}


def listen(serving: Serving) -> list[socket.socket]:
    """Sockets bound to every address of the host, or to the Unix socket's path."""
    if serving.uds is not None:
        return [listen_on_path(serving.uds)]
    listeners: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(
            serving.host, serving.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        for family, kind, protocol, _, bind_to in dict.fromkeys(found):
            listener = socket.socket(family, kind, protocol)
            listeners.append(listener)
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if os.name == "posix":
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind(bind_to)
    except (OSError, UnicodeError) as error:
        for listener in listeners:
            listener.close()
        reason = error.strerror if isinstance(error, OSError) else str(error)
        where = (
            f"[{serving.host}]:{serving.port}" if ":" in serving.host else f"{serving.host}:{serving.port}"
        )
        raise click.ClickException(
            f"Cannot listen on {where}: {reason}; choose another --host or --port."
        ) from error
    return listeners


def listen_on_path(path: str) -> socket.socket:
    if not hasattr(socket, "AF_UNIX"):
        raise click.ClickException("This system has no Unix sockets; leave --uds out.")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            # A socket that nobody answers on was left behind; one of a running server must stay.
            if probe.connect_ex(path) == errno.ECONNREFUSED:
                remove_socket(path)
        listener.bind(path)
    except OSError as error:
        listener.close()
        raise click.ClickException(
            f"Cannot listen on {path}: {error.strerror or error}; choose another path."
        ) from error
    return listener


def remove_socket(path: str) -> None:
    """Remove a socket file, which servers leave behind; any other file stays."""
    import stat

    try:
        if stat.S_ISSOCK(os.stat(path).st_mode):
            os.unlink(path)
    except OSError:
        pass


def address(listener: socket.socket) -> str:
    """Where a listener is, as one would type it into a browser."""
    name = listener.getsockname()
    if isinstance(name, str):
        return f"unix:{name}"
    host = f"[{name[0]}]" if ":" in name[0] else name[0]
    return f"http://{host}:{name[1]}"
