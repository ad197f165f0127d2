"""`swift-api routes`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import click

from .target import load_app, target_argument

_ORDER = ("GET", "HEAD", "QUERY", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


@click.command()
@target_argument
def command(target: str, factory: bool) -> None:
    """Print the routes of an application as a table."""
    app = load_app(target, factory)
    rows: list[tuple[str, ...]] = [("HOST", "METHODS", "PATH", "NAME", "HANDLER")]
    for route in app.routes:
        handler = handler_name(route.handler)
        rows.append((route.host or "", methods(route.methods), route.path, route.name or "", handler))
    for mount in app.flatten_mounts():
        handler = handler_name(mount.app)
        rows.append((mount.host or "", "*", f"{mount.path}/*", mount.name or "", handler))
    if not any(row[0] for row in rows[1:]):
        rows = [row[1:] for row in rows]
    click.echo(table(rows))


def methods(names: Iterable[str]) -> str:
    """The methods in their usual order; others after them by name."""
    return " ".join(
        sorted(names, key=lambda name: (_ORDER.index(name) if name in _ORDER else len(_ORDER), name))
    )


def handler_name(handler: Any) -> str:
    """Where a handler is defined: `module:qualified.name`."""
    while hasattr(handler, "func"):
        handler = handler.func
    named = handler if hasattr(handler, "__qualname__") else type(handler)
    return f"{named.__module__}:{named.__qualname__}"


def table(rows: Sequence[tuple[str, ...]]) -> str:
    """Rows in columns as wide as their widest cell; the last one is not padded."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
    return "\n".join(lines)
