"""`swift-api sqlmigrate`."""

from __future__ import annotations

from pathlib import Path

import click

from .databases import database_option, directory_option, find, told
from .target import target_argument


@click.command()
@target_argument
@click.argument("revision", required=False)
@directory_option
@database_option
@click.option("--undo", is_flag=True, help="The SQL of undoing it.")
def command(
    target: str, factory: bool, revision: str | None, directory: Path, database: str | None, undo: bool
) -> None:
    """Print the SQL of the newest migration, or of REVISION, and run nothing."""
    url = find(target, factory, database)
    from swift.migrations import sql_of
    from swift.migrations.connecting import dialect_of

    with told():
        click.echo(sql_of(directory, dialect_of(url), revision, undo=undo), nl=False)
