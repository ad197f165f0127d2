"""`swift-api run`."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from swift.settings import Settings

from .servers import INTERFACES, SERVERS, Serving, end_regularly_on_sigterm, remove_socket, serve
from .target import load_target, target_argument

LOG_LEVELS = ("critical", "error", "warning", "info", "debug")


@click.command()
@target_argument
@click.option(
    "--host",
    envvar=["SWIFT_SERVER__HOST", "HOST"],
    help="Address to listen on; the settings' [server] host, or 127.0.0.1.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    envvar=["SWIFT_SERVER__PORT", "PORT"],
    help="Port to listen on, 0 for any free one; the settings' [server] port, or 8000.",
)
@click.option(
    "--uds", type=click.Path(dir_okay=False, path_type=Path), help="Listen on this Unix socket instead."
)
@click.option("--server", type=click.Choice(SERVERS), default="hypercorn", show_default=True)
@click.option(
    "--interface",
    type=click.Choice(INTERFACES),
    default="asgi",
    show_default=True,
    help="What granian speaks; rsgi is faster, and refuses WebSockets.",
)
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, envvar="WEB_CONCURRENCY")
@click.option("--reload", is_flag=True, help="Start again when a file below the working directory changes.")
@click.option("--access-log", is_flag=True, help="Log each request.")
@click.option("--log-level", type=click.Choice(LOG_LEVELS, case_sensitive=False))
@click.option(
    "--graceful-timeout",
    type=click.FloatRange(min=0),
    # Kubernetes kills 30 seconds after SIGTERM. App(shutdown_timeout) comes after this, then the lifespan ends.
    default=20,
    show_default=True,
    help="Seconds that running requests get to end on SIGTERM.",
)
def command(
    target: str,
    factory: bool,
    host: str | None,
    port: int | None,
    uds: Path | None,
    server: str,
    interface: str,
    workers: int,
    reload: bool,
    access_log: bool,
    log_level: str | None,
    graceful_timeout: float,
) -> None:
    """Serve an application over HTTP.

    SIGTERM and Ctrl-C end it gracefully: no new connections, running requests are answered, then the
    application's lifespan ends. The exit code is 0 then, and not 0 when the application did not start.
    """
    if reload and workers > 1:
        raise click.UsageError("--reload serves with one worker; leave --workers out.")
    if find_spec(server) is None:
        package = "hypercorn" if server == "hypercorn" else f"swift-api[{server}]"
        raise click.ClickException(f"The server {server} is not installed: pip install {package}")
    if server == "granian" and reload and find_spec("watchfiles") is None:
        raise click.ClickException("--reload with granian needs watchfiles: pip install watchfiles")
    if interface != "asgi" and server != "granian":
        raise click.UsageError(f"{server} speaks ASGI only; --interface {interface} needs --server granian.")
    end_regularly_on_sigterm()
    app = load_target(target, factory)
    if interface == "rsgi" and not hasattr(app, "__rsgi__"):
        raise click.UsageError(f"{target} is a plain ASGI application; leave --interface rsgi out.")
    settings = settings_of(app)
    serving = Serving(
        target=target,
        factory=factory,
        server=server,
        interface=interface,
        host=settings.server.host if host is None else host,
        port=settings.server.port if port is None else port,
        uds=None if uds is None else str(uds),
        workers=workers,
        reload=reload,
        access_log=access_log,
        log_level=(log_level or settings.global_.log_level).lower(),
        graceful_timeout=graceful_timeout,
    )
    serving.configure_logging()
    try:
        sys.exit(serve(serving, app))
    finally:
        if serving.uds is not None:
            remove_socket(serving.uds)


def settings_of(app: Any) -> Settings:
    """The settings that the application was made with, or the defaults."""
    for _ in range(20):
        settings = getattr(app, "settings", None)
        if isinstance(settings, Settings):
            return settings
        app = getattr(app, "app", None)
    return Settings()
