"""Running migrations: in turns, all or nothing, never losing data unasked."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from swift import Model, fields
from swift.engines import Database
from swift.migrations import (
    DestructiveError,
    HistoryError,
    MigrationError,
    MigrationFailed,
    migrate,
    show,
    sql_of,
)
from swift.migrations.making import make, squash, write
from tests import migrations_support as support
from tests.migrations_support import Project

project, sqlite_project = support.project, support.sqlite_project

TABLE = 'op.create_table("t", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.Text))'


class Author(Model):
    id: int = fields.IDField()
    name: str = fields.StringField(max_length=50)


class Book(Model):
    id: int = fields.IDField()
    title: str = fields.StringField(max_length=50)
    author_id: int = fields.ForeignKey(Author, on_delete="cascade")


# All or nothing


def test_a_failed_migration_leaves_the_database_as_it_was(project: Project) -> None:
    project.write("0001_t", None, TABLE)
    project.write(
        "0002_fails", "0001_t",
        'op.add_column("t", sa.Column("more", sa.Text))\nop.execute("INSERT INTO t (id) VALUES (1)")\n'
        'op.create_table("u", sa.Column("id", sa.Integer))\nop.execute("SELECT x FROM nowhere")',
    )  # fmt: skip
    with pytest.raises(MigrationFailed, match=r"0002_fails\.py could not be applied.*nowhere"):
        project.migrate()
    assert project.tables() == {"alembic_version", "swift_migrations", "t"}
    assert set(project.columns("t")) == {"id", "name"}
    assert project.sql("SELECT * FROM t") == []
    assert project.sql("SELECT version_num FROM alembic_version") == [("0001_t",)]
    assert project.sql("SELECT revision FROM swift_migrations") == [("0001_t",)]


def test_rows_that_would_refer_to_nothing_fail_the_migration(project: Project) -> None:
    project.make(Author, Book)
    project.write("0002_breaks", "0001_initial", 'op.execute("DELETE FROM author")')
    project.migrate("0001")
    project.sql("INSERT INTO author (id, name) VALUES (1, 'Ann')")
    project.sql("INSERT INTO book (id, title, author_id) VALUES (1, 'a', 1)")
    if project.dialect == "sqlite":
        # Foreign keys are checked at the end here, without their actions.
        with pytest.raises(
            MigrationFailed, match="1 rows would refer to rows that are not there, the first in `book`"
        ):
            project.migrate()
        assert project.sql("SELECT count(*) FROM author") == [(1,)]
    else:
        project.migrate()
        assert project.sql("SELECT count(*) FROM book") == [(0,)]


def test_a_target_and_back(project: Project) -> None:
    project.write("0001_t", None, TABLE, 'op.drop_table("t")')
    project.write(
        "0002_u", "0001_t", 'op.create_table("u", sa.Column("id", sa.Integer))', 'op.drop_table("u")'
    )
    project.write(
        "0003_v", "0002_u", 'op.create_table("v", sa.Column("id", sa.Integer))', 'op.drop_table("v")'
    )
    assert project.migrate("0002") == ["0001_t", "0002_u"]
    assert project.migrate() == ["0003_v"]
    assert project.migrate() == []
    assert project.rollback("0001_t", allow_destructive=True) == ["0003_v", "0002_u"]
    assert project.rollback(allow_destructive=True) == ["0001_t"]
    assert project.rollback() == []
    assert project.migrate() == ["0001_t", "0002_u", "0003_v"]


def test_a_database_that_has_the_tables_only_notes_what_made_them(project: Project) -> None:
    project.make(Author)
    project.migrate()
    project.sql("DROP TABLE alembic_version")
    project.sql("DROP TABLE swift_migrations")
    with pytest.raises(MigrationFailed, match="already exists"):
        project.migrate()
    assert project.migrate(fake=True) == ["0001_initial"]
    assert project.migrate() == []


def test_a_second_process_waits_for_the_first(project: Project, tmp_path: Path) -> None:
    project.write(
        "0001_slow",
        None,
        f'{TABLE}\nimport time\ntime.sleep(0.3)\nop.execute("INSERT INTO t (id) VALUES (1)")',
    )
    program = (
        "import asyncio, sys\nfrom swift.migrations import migrate\n"
        "print(asyncio.run(migrate(sys.argv[1], sys.argv[2])))"
    )
    command = [sys.executable, "-c", program, project.url, str(project.directory)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = sorted(process.communicate(timeout=60)[0].strip() for process in processes)
    assert said == ["['0001_slow']", "[]"]
    assert project.sql("SELECT id FROM t") == [(1,)]


def test_a_process_killed_in_the_midst_leaves_nothing(project: Project, tmp_path: Path) -> None:
    flag = tmp_path / "midst"
    project.write(
        "0001_slow",
        None,
        f"{TABLE}\nimport pathlib, time\nflag = pathlib.Path({str(flag)!r})\n"
        "if not flag.exists():\n    flag.touch()\n    time.sleep(60)",
    )
    program = "import asyncio, sys\nfrom swift.migrations import migrate\nasyncio.run(migrate(sys.argv[1], sys.argv[2]))"
    process = subprocess.Popen([sys.executable, "-c", program, project.url, str(project.directory)])
    deadline = time.monotonic() + 60
    while not flag.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.kill()
    process.wait(60)
    assert "t" not in project.tables()
    assert project.migrate() == ["0001_slow"]


# What loses data


@pytest.mark.parametrize(
    ("step", "loss"),
    [
        ('op.drop_table("t")', "the table `t` is dropped"),
        ('op.drop_column("t", "name")', "the column `t.name` is dropped"),
        ('op.alter_column("t", "name", type_=Kind("integer"))', "the column `t.name` changes from Text"),
    ],
)
def test_what_loses_data_is_told_and_refused(sqlite_project: Project, step: str, loss: str) -> None:
    sqlite_project.write("0001_t", None, TABLE)
    sqlite_project.write("0002_harmless", "0001_t", 'op.create_table("u", sa.Column("id", sa.Integer))')
    sqlite_project.write("0003_loses", "0002_harmless", step)
    with pytest.raises(DestructiveError, match=re.escape(f"0003_loses: {loss}")):
        sqlite_project.migrate()
    assert "t" not in sqlite_project.tables()


@pytest.mark.parametrize(
    ("old", "new", "harmless"),
    [
        ('Kind("string", length=10)', 'Kind("string", length=20)', True),
        ('Kind("string", length=20)', 'Kind("string", length=10)', False),
        ('Kind("string", length=20)', 'Kind("text")', True),
        ('Kind("integer")', 'Kind("bigint")', True),
        ('Kind("bigint")', 'Kind("integer")', False),
        ('Kind("decimal", digits=6, places=2)', 'Kind("decimal", digits=8, places=2)', True),
        ('Kind("decimal", digits=6, places=2)', 'Kind("decimal", digits=6, places=3)', False),
        ('Kind("datetime")', 'Kind("date")', False),
    ],
)
def test_a_type_that_holds_more_is_no_loss(
    sqlite_project: Project, old: str, new: str, harmless: bool
) -> None:
    sqlite_project.write("0001_t", None, f'op.create_table("t", sa.Column("x", {old}))')
    sqlite_project.write(
        "0002_x",
        "0001_t",
        f'with op.batch_alter_table("t") as batch:\n    batch.alter_column("x", type_={new})',
    )
    if harmless:
        assert len(sqlite_project.migrate()) == 2
    else:
        with pytest.raises(DestructiveError):
            sqlite_project.migrate()


def test_undoing_what_made_a_table_loses_it(project: Project) -> None:
    project.make(Author)
    project.migrate()
    with pytest.raises(DestructiveError, match="`author` is dropped"):
        project.rollback()
    assert project.rollback(allow_destructive=True) == ["0001_initial"]


# SQLite builds tables anew


def test_a_table_built_anew_keeps_everything(sqlite_project: Project) -> None:
    sqlite_project.make(Author, Book)
    sqlite_project.migrate()
    for statement in (
        "CREATE TABLE audit (what TEXT)",
        "CREATE TRIGGER watch AFTER INSERT ON author BEGIN INSERT INTO audit VALUES (new.name); END",
        "CREATE INDEX lower_name ON author (lower(name))",
        "CREATE INDEX long_name ON author (name) WHERE length(name) > 3",
        "CREATE VIEW names AS SELECT name FROM author",
        "INSERT INTO author (id, name) VALUES (1, 'Ann'), (7, 'Bob')",
        "INSERT INTO book (id, title, author_id) VALUES (1, 'a', 1)",
        "DELETE FROM author WHERE id = 7",
    ):
        sqlite_project.sql(statement)

    class Wider(Model):
        id: int = fields.IDField()
        name: str | None = fields.StringField(max_length=80, null=True)

        class Meta:
            db_table = "author"

    class Book2(Model):
        id: int = fields.IDField()
        title: str = fields.StringField(max_length=50)
        author_id: int = fields.ForeignKey(Wider, on_delete="cascade")

        class Meta:
            db_table = "book"

    sqlite_project.make(Wider, Book2)
    sqlite_project.migrate()
    assert sqlite_project.columns("author")["name"]["nullable"]
    assert sqlite_project.sql("SELECT title, author_id FROM book") == [
        ("a", 1)
    ]  # no cascade while it was gone
    assert sqlite_project.sql("SELECT name FROM names") == [("Ann",)]
    sqlite_project.sql("INSERT INTO author (name) VALUES ('Cid')")
    assert sqlite_project.sql("SELECT max(id) FROM author") == [
        (8,)
    ]  # the id of the deleted row does not come back
    assert ("Cid",) in sqlite_project.sql("SELECT what FROM audit")
    indexes = {name for (name,) in sqlite_project.sql("SELECT name FROM sqlite_master WHERE type = 'index'")}
    assert {"lower_name", "long_name"} <= indexes
    sqlite_project.sql("DELETE FROM author WHERE id = 1")
    assert sqlite_project.sql("SELECT * FROM book") == []
    declared = dict(sqlite_project.sql("SELECT name, type FROM pragma_table_info('book')"))
    assert declared["author_id"] == "BIGINT"


def test_a_foreign_table_built_anew_keeps_its_words(sqlite_project: Project) -> None:
    sqlite_project.sql('CREATE TABLE "Order" (id INTEGER PRIMARY KEY)')
    sqlite_project.sql(
        'CREATE TABLE item (a DOUBLE WIDE, b MONEY(3) CHECK (b > 0), c INTEGER REFERENCES "Order" (id) '
        "ON DELETE CASCADE, d TEXT DEFAULT 'x', PRIMARY KEY (a, b)) WITHOUT ROWID"
    )
    change = 'batch.alter_column("d", nullable=False, existing_server_default=sa.text("\'x\'"))'
    sqlite_project.write(
        "0001_x",
        None,
        'op.state.create(sa.Table("item", sa.MetaData(), sa.Column("d", sa.Text)))\n'
        f'with op.batch_alter_table("item") as batch:\n    {change}',
    )
    sqlite_project.migrate()
    made = sqlite_project.sql("SELECT sql FROM sqlite_master WHERE name = 'item'")[0][0]
    for words in (
        "DOUBLE WIDE",
        "MONEY(3)",
        "b > 0",
        "ON DELETE CASCADE",
        "DEFAULT 'x' NOT NULL",
        "WITHOUT ROWID",
    ):
        assert words in made, made


def test_a_renamed_column_is_renamed_in_views_and_triggers(sqlite_project: Project) -> None:
    sqlite_project.write("0001_t", None, TABLE)
    sqlite_project.migrate()
    sqlite_project.sql("CREATE VIEW names AS SELECT name FROM t")
    sqlite_project.write(
        "0002_r",
        "0001_t",
        'with op.batch_alter_table("t") as batch:\n    batch.alter_column("name", new_column_name="title")',
    )
    sqlite_project.migrate()
    sqlite_project.sql("INSERT INTO t (title) VALUES ('a')")
    assert sqlite_project.sql("SELECT * FROM names") == [("a",)]


# Files and what the database knows of them


def test_a_file_edited_after_it_was_applied_is_told(project: Project) -> None:
    path = project.write("0001_t", None, TABLE)
    project.migrate()
    text = path.read_text()
    path.write_text(text.replace("\n", "  \r\n"))
    assert project.migrate() == []  # line ends and blanks before them are no edit
    path.write_text(text + "# edited\n")
    with pytest.raises(HistoryError, match=r"Edited since applied: 0001_t\.py \(applied 20"):
        project.migrate()
    assert [each.edited for each in asyncio.run(show(project.url, project.directory))] == [True]
    assert project.migrate(accept_edited=True) == []
    assert project.migrate() == []


def test_two_branches_are_two_heads_until_they_are_merged(sqlite_project: Project) -> None:
    from swift.migrations.making import make_empty

    sqlite_project.write("0001_t", None, TABLE)
    sqlite_project.write("0002_left", "0001_t", 'op.add_column("t", sa.Column("left", sa.Text))')
    sqlite_project.write("0002_right", "0001_t", 'op.add_column("t", sa.Column("right", sa.Text))')
    for work in (sqlite_project.migrate, lambda: sqlite_project.make(Author)):
        with pytest.raises(HistoryError, match=r"2 heads: 0002_left\.py and 0002_right\.py.*--merge"):
            work()
    write(make_empty(sqlite_project.directory, merge=True))
    assert sqlite_project.migrate() == ["0001_t", "0002_left", "0002_right", "0003_merge"]
    assert set(sqlite_project.columns("t")) == {"id", "name", "left", "right"}
    assert sqlite_project.rollback("0002_left", allow_destructive=True) == ["0003_merge", "0002_right"]


def test_branches_that_do_not_go_together_are_not_merged(sqlite_project: Project) -> None:
    from swift.migrations.making import make_empty

    sqlite_project.write("0001_t", None, TABLE)
    for side in ("left", "right"):
        sqlite_project.write(f"0002_{side}", "0001_t", 'op.add_column("t", sa.Column("same", sa.Text))')
    with pytest.raises(
        HistoryError, match=r"0002_right\.py cannot be followed: The column `t.same` exists already"
    ):
        make_empty(sqlite_project.directory, merge=True)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("revision = '0001_t'\ndown_revision = None\n", "has no `upgrade`"),
        (
            "revision = '0009'\ndown_revision = None\ndef upgrade(op): pass\ndef downgrade(op): pass\n",
            "is called as its file",
        ),
        ("1 / 0", "cannot be read: ZeroDivisionError"),
        (
            "revision = '0001_t'\ndown_revision = '0000_x'\ndef upgrade(op): pass\ndef downgrade(op): pass\n",
            "no 0000_x.py",
        ),
    ],
)
def test_a_file_that_is_no_migration_is_told(sqlite_project: Project, text: str, match: str) -> None:
    sqlite_project.directory.mkdir()
    (sqlite_project.directory / "0001_t.py").write_text(text)
    with pytest.raises(HistoryError, match=match):
        sqlite_project.migrate()


def test_a_database_that_is_ahead_of_the_files_is_told(sqlite_project: Project) -> None:
    sqlite_project.write("0001_t", None, TABLE)
    path = sqlite_project.write("0002_u", "0001_t", "pass")
    sqlite_project.migrate()
    path.unlink()
    with pytest.raises(HistoryError, match=r"has had migration `0002_u`, and there is no 0002_u\.py"):
        sqlite_project.migrate()


def test_a_database_in_the_midst_of_a_squash_is_told(sqlite_project: Project) -> None:
    sqlite_project.make(Author)
    sqlite_project.make(Author, Book)
    sqlite_project.migrate("0001")
    write(squash(sqlite_project.directory, "0001", "0002"))
    with pytest.raises(HistoryError, match=r"in the midst of what 0003_squashed_0002\.py replaces"):
        sqlite_project.migrate()


def test_a_squash_does_not_drop_work_on_rows_silently(sqlite_project: Project) -> None:
    sqlite_project.make(Author)
    sqlite_project.write("0002_rows", "0001_initial", 'op.execute("DELETE FROM author")')
    with pytest.raises(HistoryError, match=r"0002_rows\.py works on rows"):
        squash(sqlite_project.directory, "0001", "0002")
    assert "create_table" in squash(sqlite_project.directory, "0001", "0002", without_data=True).text


# Data


def test_a_function_of_a_migration_reads_and_writes_in_its_transaction(project: Project) -> None:
    project.write("0001_t", None, f"{TABLE}\nop.execute(\"INSERT INTO t VALUES (1, 'ann'), (2, 'bob')\")")
    project.write(
        "0002_data", "0001_t", "op.run(capitals)",
        extra=(
            "import asyncio\nasync def capitals(data):\n    await asyncio.sleep(0)\n"
            "    rows = await data.fetch('SELECT id, name FROM t WHERE id > :id', {'id': 0})\n"
            "    changed = await data.execute('UPDATE t SET name = :name WHERE id = :id',\n"
            "        [{'id': row['id'], 'name': row['name'].title()} for row in rows])\n"
            "    if len(rows) > 2:\n        raise ValueError('too many')\n"
        ),
    )  # fmt: skip
    project.migrate()
    assert project.sql("SELECT name FROM t ORDER BY id") == [("Ann",), ("Bob",)]
    project.write("0003_more", "0002_data", "op.execute(\"INSERT INTO t VALUES (3, 'cid')\")\nop.run(fail)",
                  extra="async def fail(data):\n    raise ValueError('no more')\n")  # fmt: skip
    with pytest.raises(MigrationFailed, match=r"0003_more\.py.*no more"):
        project.migrate()
    assert project.sql("SELECT count(*) FROM t") == [(2,)]


def test_a_database_in_memory_is_migrated_where_it_is(sqlite_project: Project) -> None:
    sqlite_project.make(Author, Book)

    async def use() -> list[str]:
        async with Database.from_url("sqlite://") as db:
            done = await migrate(db, sqlite_project.directory)
            author = await Author.objects.create(name="Ann")
            await Book.objects.create(title="Emma", author_id=author.id)
            assert await db.fetch("PRAGMA foreign_keys") == [(1,)]
            return done

    assert asyncio.run(use()) == ["0001_initial"]
    with pytest.raises(MigrationError, match="in memory is its process's own"):
        asyncio.run(migrate("sqlite://", sqlite_project.directory))


def test_the_database_of_an_app_is_migrated_while_it_is_in_use(sqlite_project: Project) -> None:
    sqlite_project.make(Author)

    async def use() -> str:
        async with Database.from_url(sqlite_project.url) as db:
            await migrate(db, sqlite_project.directory)
            return (await Author.objects.create(name="Ann")).name

    assert asyncio.run(use()) == "Ann"


def test_a_database_that_has_no_migrations_is_told(sqlite_project: Project) -> None:
    with pytest.raises(MigrationError, match="`memory:` databases have no migrations"):
        asyncio.run(migrate("memory://", sqlite_project.directory))


def test_a_postgresql_that_is_away_is_told(sqlite_project: Project) -> None:
    with pytest.raises(MigrationError, match="PostgreSQL cannot be reached"):
        asyncio.run(migrate("postgresql://nobody@127.0.0.1:1/x", sqlite_project.directory))


def test_what_a_url_says_to_the_pool_is_not_said_to_the_server(pg_database: str, tmp_path: Path) -> None:
    project = Project(f"{pg_database}?max_size=2&application_name=migrating", tmp_path / "migrations")
    project.write(
        "0001_t", None, "op.execute(\"CREATE TABLE t AS SELECT current_setting('application_name') AS who\")"
    )
    project.migrate()
    assert Project(pg_database, tmp_path).sql("SELECT who FROM t") == [("migrating",)]


def test_asyncpg_migrates_as_well(pg_database: str, tmp_path: Path) -> None:
    project = Project(pg_database, tmp_path / "migrations")
    project.make(Author, Book)
    project.write(
        "0002_data",
        "0001_initial",
        "op.run(fill)",
        extra="async def fill(data):\n    await data.execute('INSERT INTO author (name) VALUES (:n)', {'n': 'Ann'})\n",
    )
    project.url = pg_database.replace("postgresql:", "postgresql+asyncpg:")
    assert project.migrate() == ["0001_initial", "0002_data"]
    assert project.rollback("zero", allow_destructive=True) == ["0002_data", "0001_initial"]
    project.url = f"{project.url}_nowhere"
    with pytest.raises(MigrationError, match="PostgreSQL cannot be reached"):
        project.migrate()


# SQL


def test_the_sql_of_a_migration_makes_what_the_migration_makes(sqlite_project: Project) -> None:
    sqlite_project.make(Author)

    class Wider(Model):
        id: int = fields.IDField()
        name: str = fields.StringField(max_length=80, default="it's")
        rank: int = fields.IntegerField(default=3)

        class Meta:
            db_table = "author"

    sqlite_project.make(Wider)
    sqlite_project.migrate()
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for name in ("0001", "0002"):
        connection.executescript(sql_of(sqlite_project.directory, "sqlite", name))
    query = "SELECT name, type, \"notnull\" FROM pragma_table_info('author')"
    assert connection.execute(query).fetchall() == sqlite_project.sql(query)
    connection.close()
    sql = sql_of(sqlite_project.directory, "postgresql")
    assert "UPDATE author SET rank=3" in sql
    assert "ALTER TABLE author ALTER COLUMN name TYPE VARCHAR(80)" in sql
    assert sql.startswith("BEGIN;")
    assert "DROP TABLE" in sql_of(sqlite_project.directory, "postgresql", "0001", undo=True)


def test_what_is_made_is_nothing_when_nothing_changed(sqlite_project: Project) -> None:
    sqlite_project.make(Author, Book)
    assert make([Author, Book], sqlite_project.directory) is None
