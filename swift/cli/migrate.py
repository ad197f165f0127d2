"""`swift-api migrate`."""

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
@click.option(
    "--fake", is_flag=True, help="Note them as applied and run nothing: the tables are there already."
)
def command(
    target: str,
    factory: bool,
    revision: str | None,
    directory: Path,
    database: str | None,
    allow_destructive: bool,
    accept_edited: bool,
    fake: bool,
) -> None:
    """Apply migrations, all or up to REVISION.

    Each is one transaction, and processes that migrate at once take turns.
    """
    url = find(target, factory, database)
    from swift.migrations import migrate

    done = run(
        migrate(
            url, directory, revision,
            allow_destructive=allow_destructive, accept_edited=accept_edited, fake=fake, report=click.echo,
        )
    )  # fmt: skip
    if not done:
        click.echo("Nothing to apply.")
