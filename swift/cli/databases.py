"""What the commands for databases share: where the migrations and the database are, and how failures are told."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .target import load_app

if TYPE_CHECKING:
    from swift.app import App

T = TypeVar("T")


def directory_option(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--directory",
        "-d",
        type=click.Path(file_okay=False, path_type=Path),
        default=Path("migrations"),
        show_default=True,
        help="Where the migrations are.",
    )(function)


def database_option(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--database", metavar="URL", help="The database; the application's, or DATABASE_URL."
    )(function)


def destructive_options(function: Callable[..., Any]) -> Callable[..., Any]:
    function = click.option(
        "--accept-edited", is_flag=True, help="Accept files that were edited since they were applied."
    )(function)
    return click.option("--allow-destructive", is_flag=True, help="Allow steps that lose data.")(function)


def database_url(app: App, given: str | None) -> str:
    """The option, else the application's database, else DATABASE_URL."""
    own = app.database.url if app.database is not None else ""
    url = given or own or os.environ.get("DATABASE_URL", "")
    if not url:
        raise click.UsageError("The application has no database; give one: --database URL, or DATABASE_URL.")
    return url


def find(target: str, factory: bool, given: str | None) -> str:
    """The URL of the database of the application at `target`."""
    return database_url(load_app(target, factory), given)


@contextmanager
def told() -> Iterator[None]:
    """Failures of migrations are sentences for who typed the command; the exit code is 1."""
    from swift.migrations import MigrationError

    try:
        yield
    except MigrationError as error:
        raise click.ClickException(str(error)) from error


def run(work: Coroutine[Any, Any, T]) -> T:
    with told():
        return asyncio.run(work)
