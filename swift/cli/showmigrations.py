"""`swift-api showmigrations`."""

from __future__ import annotations

from pathlib import Path

import click

from .databases import database_option, directory_option, find, run
from .routes import table
from .target import target_argument


@click.command()
@target_argument
@directory_option
@database_option
def command(target: str, factory: bool, directory: Path, database: str | None) -> None:
    """Print the migrations and whether they are applied."""
    url = find(target, factory, database)
    from swift.migrations import show

    found = run(show(url, directory))
    if not found:
        click.echo(f"There are no migrations in {directory}/.")
        return
    rows = [
        (
            "[x]" if each.applied_at else "[ ]",
            each.revision,
            each.description + (" (edited since it was applied)" if each.edited else ""),
        )
        for each in found
    ]
    click.echo(table(rows))
