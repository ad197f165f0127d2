"""`swift-api squashmigrations`."""

from __future__ import annotations

from pathlib import Path

import click

from .databases import directory_option, told


@click.command()
@click.argument("first")
@click.argument("last")
@directory_option
@click.option("--name", "-n", help="What the new migration is called.")
@click.option("--without-data", is_flag=True, help="Leave out what works on rows.")
def command(first: str, last: str, directory: Path, name: str | None, without_data: bool) -> None:
    """Write one migration in the place of FIRST to LAST.

    A database that has had LAST only notes the new one. The old files may be deleted once no database is
    in the midst of them.
    """
    from swift.migrations.making import squash, write

    with told():
        made = squash(directory, first, last, name, without_data=without_data)
        write(made)
    click.echo(f"Wrote {made.path}")
