"""The commands for migrations, as a person or a pipeline uses them."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

import swift

APP = """
from swift import App, Model, fields

class Book(Model):
    id: int = fields.IDField()
    title: str = fields.StringField(max_length=50)

asgi = App(database="sqlite:///books.db")
"""


def environment(**variables: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SWIFT_")}
    kept.pop("DATABASE_URL", None)
    return {**kept, "PYTHONPATH": str(Path(swift.__file__).parent.parent), **variables}


def call(
    *args: str, cwd: Path, stdin: int | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "swift", *args],
        cwd=cwd, env=environment(**variables), stdin=subprocess.DEVNULL if stdin is None else stdin,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


def change(site: Path, old: str, new: str) -> None:
    text = (site / "app.py").read_text()
    assert old in text
    (site / "app.py").write_text(text.replace(old, new))


def test_from_models_to_tables_and_back(site: Path) -> None:
    made = call("makemigrations", "app:asgi", cwd=site)
    assert made.stdout == "Wrote migrations/0001_initial.py\n  add book\n", made.stderr
    assert call("makemigrations", "app:asgi", "--check", cwd=site).returncode == 0
    assert call("migrate", "app:asgi", cwd=site).stdout == "Applying 0001_initial\n"
    assert call("migrate", "app:asgi", cwd=site).stdout == "Nothing to apply.\n"

    change(site, "max_length=50)", "max_length=50)\n    pages: int = fields.IntegerField()")
    lacking = call("makemigrations", "app:asgi", "--check", cwd=site)
    assert (lacking.returncode, "add book.pages" in lacking.stderr) == (1, True)
    asked = call("makemigrations", "app:asgi", cwd=site)
    assert (asked.returncode, "say --value book.pages=..." in asked.stderr) == (1, True)
    made = call(
        "makemigrations", "app:asgi", "--value", "book.pages=1", "--name", "Pages of a book", cwd=site
    )
    assert made.stdout == "Wrote migrations/0002_pages_of_a_book.py\n  add book.pages\n", made.stderr
    shown = call("showmigrations", "app:asgi", cwd=site).stdout
    assert shown.splitlines() == [
        "[x]  0001_initial          Add book.",
        "[ ]  0002_pages_of_a_book  Pages of a book.",
    ]
    assert "ADD COLUMN pages INTEGER" in call("sqlmigrate", "app:asgi", cwd=site).stdout
    assert (
        "SERIAL" in call("sqlmigrate", "app:asgi", "0001", "--database", "postgresql://x/y", cwd=site).stdout
    )

    assert call("migrate", "app:asgi", cwd=site).stdout == "Applying 0002_pages_of_a_book\n"
    refused = call("rollback", "app:asgi", cwd=site)
    assert refused.returncode == 1
    assert refused.stderr == (
        "Error: This loses data:\n  0002_pages_of_a_book: the column `book.pages` is dropped\n"
        "Nothing was changed. Allow it with --allow-destructive.\n"
    )
    undone = call("rollback", "app:asgi", "--allow-destructive", cwd=site)
    assert undone.stdout == "Undoing 0002_pages_of_a_book\n"


def test_renames_are_asked_for_at_a_terminal(site: Path) -> None:
    call("makemigrations", "app:asgi", cwd=site)
    change(site, "title: str", "name: str")
    refused = call("makemigrations", "app:asgi", cwd=site)
    assert refused.returncode == 1
    assert "say --rename book.title=book.name, otherwise --no-renames" in refused.stderr
    ours, theirs = pty.openpty()
    os.write(ours, b"y\n")
    try:
        made = call("makemigrations", "app:asgi", cwd=site, stdin=theirs)
    finally:
        os.close(ours)
        os.close(theirs)
    assert "Is `book.title` renamed to `book.name`?" in made.stderr
    assert "  rename book.title to name\n" in made.stdout


def test_an_empty_one_is_for_data_and_several_are_squashed(site: Path) -> None:
    call("makemigrations", "app:asgi", cwd=site)
    change(site, "max_length=50)", "max_length=60)")
    call("makemigrations", "app:asgi", cwd=site)
    squashed = call("squashmigrations", "0001", "0002", cwd=site)
    assert squashed.stdout == "Wrote migrations/0003_squashed_0002.py\n", squashed.stderr
    made = call("makemigrations", "app:asgi", "--empty", "--name", "titles", cwd=site)
    assert made.stdout == "Wrote migrations/0004_titles.py\n", made.stderr
    assert 'down_revision = "0003_squashed_0002"' in (site / "migrations/0004_titles.py").read_text()
    assert (
        call("migrate", "app:asgi", cwd=site).stdout == "Applying 0003_squashed_0002\nApplying 0004_titles\n"
    )


def test_models_are_printed_from_a_database(site: Path) -> None:
    call("makemigrations", "app:asgi", cwd=site)
    call("migrate", "app:asgi", cwd=site)
    printed = call("inspectdb", "app:asgi", cwd=site)
    assert "class Book(Model):\n    id: int = fields.IDField()\n" in printed.stdout, printed.stderr
    same = call("inspectdb", "--output", "found.py", cwd=site, DATABASE_URL="sqlite:///books.db")
    assert same.returncode == 0
    assert (site / "found.py").read_text() == printed.stdout


def test_a_database_is_named_where_the_app_has_none(site: Path) -> None:
    change(site, 'database="sqlite:///books.db"', "")
    refused = call("migrate", "app:asgi", cwd=site)
    assert refused.returncode == 2
    assert "--database URL, or DATABASE_URL" in refused.stderr
    assert (
        call("migrate", "app:asgi", cwd=site, DATABASE_URL="sqlite:///other.db").stdout
        == "Nothing to apply.\n"
    )


def test_two_models_of_one_table_are_told(site: Path) -> None:
    change(site, "asgi =", 'class Other(Book):\n    class Meta:\n        db_table = "book"\n\nasgi =')
    refused = call("makemigrations", "app:asgi", cwd=site)
    assert refused.returncode == 1
    assert "Two models have the table `book`" in refused.stderr
