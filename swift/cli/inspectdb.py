"""`swift-api inspectdb`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from .databases import find, run


@click.command()
@click.argument("target", required=False)
@click.option("--factory", is_flag=True, help="TARGET is a function that makes the application.")
@click.option("--database", metavar="URL", help="The database; the application's, or DATABASE_URL.")
@click.option("--schema", help="The schema whose tables are meant; on PostgreSQL usually `public`.")
@click.option("--table", "tables", multiple=True, help="Only this table or view; may be given several times.")
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write to this file, not to stdout.",
)
def command(
    target: str | None,
    factory: bool,
    database: str | None,
    schema: str | None,
    tables: tuple[str, ...],
    output: Path | None,
) -> None:
    """Print models for the tables and views of an existing database."""
    url = database or (find(target, factory, None) if target else os.environ.get("DATABASE_URL", ""))
    if not url:
        raise click.UsageError("Which database? Give a TARGET, --database URL, or DATABASE_URL.")
    from swift.migrations.inspecting import inspect

    text = run(inspect(url, schema, tables))
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{output} cannot be written: {error.strerror}.") from error
