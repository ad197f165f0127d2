"""`swift-api version`."""

from __future__ import annotations

import platform

import click

import swift


@click.command()
def command() -> None:
    """Print the versions of Swift and Python."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    click.echo(f"swift-api {swift.__version__} ({python}, {platform.system()} {platform.machine()})")
