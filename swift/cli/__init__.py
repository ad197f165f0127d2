"""`swift-api`: serve an application and look into it, from the command line.

Each command is a module of its own with a `command` in it, imported when it is called.
"""

from __future__ import annotations

from importlib import import_module

import click

COMMANDS = (
    "inspectdb",
    "makemigrations",
    "migrate",
    "openapi",
    "rollback",
    "routes",
    "run",
    "showmigrations",
    "sqlmigrate",
    "squashmigrations",
    "version",
)


class Commands(click.Group):
    """A group whose commands are the modules of this package."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = import_module(f".{cmd_name}", __name__).command
        assert isinstance(command, click.Command)
        return command


@click.command(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
def main() -> None:
    """Serve a Swift application, and look into it.

    TARGET is where the application is: `module:attribute`, as in `app:asgi`.
    The working directory is on the import path.
    """


__all__ = ["main"]
