"""`swift-api rollback`."""

from __future__ import annotations

from pathlib import Path

import click

from .databases import database_option, destructive_options, directory_option, find, run
from .target import target_argument


@click.command()
@target_argument
@click.argument("revision", required=False)
@directory_option
@database_option
@destructive_options
def command(
    target: str,
    factory: bool,
    revision: str | None,
    directory: Path,
    database: str | None,
    allow_destructive: bool,
    accept_edited: bool,
) -> None:
    """Undo the newest migration, or all after REVISION (`zero`: all).

    Undoing what made a table or a column loses its data, so that needs --allow-destructive.
    """
    url = find(target, factory, database)
    from swift.migrations import rollback

    done = run(
        rollback(
            url, directory, revision,
            allow_destructive=allow_destructive, accept_edited=accept_edited, report=click.echo,
        )
    )  # fmt: skip
    if not done:
        click.echo("Nothing to undo.")
