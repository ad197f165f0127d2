"""`swift-api openapi`."""

from __future__ import annotations

from pathlib import Path

import click

from .target import load_app, target_argument


@click.command()
@target_argument
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write to this file, not to stdout.",
)
def command(target: str, factory: bool, output: Path | None) -> None:
    """Print the OpenAPI document of an application as JSON."""
    import json

    import msgspec

    app = load_app(target, factory)
    try:
        document = app.openapi()
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    text = json.dumps(msgspec.to_builtins(document), indent=2, ensure_ascii=False)
    if output is None:
        click.echo(text.encode())
        return
    try:
        output.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{output} cannot be written: {error.strerror}.") from error
