"""`swift-api makemigrations`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from .databases import directory_option, told
from .target import load_app, target_argument


@click.command()
@target_argument
@directory_option
@click.option("--name", "-n", help="What the migration is called; by default what it does first.")
@click.option("--empty", is_flag=True, help="Make one that does nothing yet, for data.")
@click.option("--merge", is_flag=True, help="Join the heads that two branches have made.")
@click.option("--check", is_flag=True, help="Write nothing; the exit code is 1 if something is missing.")
@click.option("--dry-run", is_flag=True, help="Print the migration and write nothing.")
@click.option(
    "--rename",
    "renames",
    multiple=True,
    metavar="OLD=NEW",
    help="`book.name=book.title`, or of tables `book=volume`.",
)
@click.option("--no-renames", is_flag=True, help="What went is gone, and what came is new.")
@click.option(
    "--value", "values", multiple=True, metavar="COLUMN=VALUE",
    help="`book.pages=1`, for rows that are there already; JSON, or text.",
)  # fmt: skip
@click.option("--no-input", is_flag=True, help="Ask nothing.")
def command(
    target: str,
    factory: bool,
    directory: Path,
    name: str | None,
    empty: bool,
    merge: bool,
    check: bool,
    dry_run: bool,
    renames: tuple[str, ...],
    no_renames: bool,
    values: tuple[str, ...],
    no_input: bool,
) -> None:
    """Write what the migrations lack to make the tables what the models say.

    It needs no database: models are compared with the migrations that are there.
    """
    load_app(target, factory)
    from swift.migrations.arranging import NOTHING, Answers
    from swift.migrations.making import all_models, make, make_empty, write

    def ask_rename(old: str, new: str) -> bool | None:
        return click.confirm(f"Is `{old}` renamed to `{new}`?", err=True) if asks else None

    def ask_value(table: str, column: str) -> Any:
        if not asks:
            return NOTHING
        return parsed(click.prompt(f"What do the rows that are there get in `{table}.{column}`?", err=True))

    asks = not no_input and not check and sys.stdin.isatty()
    answers = Answers(
        renames=dict(pair(text, "--rename") for text in renames),
        no_renames=no_renames or check,
        values={key: parsed(value) for key, value in (pair(text, "--value") for text in values)},
        ask_rename=ask_rename,
        ask_value=(lambda _, __: None) if check else ask_value,
    )
    with told():
        made = (
            make_empty(directory, name, merge=merge)
            if empty or merge
            else make(all_models(), directory, answers, name)
        )
        if made is None:
            click.echo("The migrations are what the models say.")
            return
        if check:
            listed = "\n".join(f"  {step}" for step in made.steps)
            raise click.ClickException(f"The migrations lack what the models say:\n{listed}")
        if dry_run:
            click.echo(made.text, nl=False)
            return
        write(made)
    click.echo(f"Wrote {made.path}")
    for step in made.steps:
        click.echo(f"  {step}")


def pair(text: str, option: str) -> tuple[str, str]:
    old, equals, new = text.partition("=")
    if not equals or not old or not new:
        raise click.UsageError(
            f"{option} takes two sides: {option} {'OLD=NEW' if option == '--rename' else 'COLUMN=VALUE'}."
        )
    return old, new


def parsed(text: str) -> Any:
    """A value as JSON; what is none is text."""
    import msgspec

    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
