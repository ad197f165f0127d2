"""What is known to go wrong in Core Framework's migrations, and does not here: each test names the fault."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from swift import Model, fields
from swift.migrations import AnswerNeeded, migrate, now
from swift.migrations.making import squash, write
from swift.models import Check, Index, Unique
from tests import migrations_support as support
from tests.migrations_support import Project

project, sqlite_project = support.project, support.sqlite_project


class Author(Model):
    id: int = fields.IDField()
    name: str = fields.StringField(max_length=50)


class Book(Model):
    id: int = fields.IDField()
    title: str = fields.StringField(max_length=50)


class Team(Model):
    id: int = fields.IDField()
    captain_id: int | None = fields.ForeignKey("Player", null=True)


class Player(Model):
    id: int = fields.IDField()
    team_id: int = fields.ForeignKey(Team)
    rival_id: int | None = fields.ForeignKey("self", null=True)


def test_m1_set_null_is_set_null_in_the_database(project: Project) -> None:
    class Post(Model):
        id: int = fields.IDField()
        author_id: int | None = fields.ForeignKey(Author, on_delete="set_null", null=True)

    project.make(Author, Post)
    project.migrate()
    project.sql("INSERT INTO author (id, name) VALUES (1, 'Ann')")
    project.sql("INSERT INTO post (id, author_id) VALUES (1, 1)")
    project.sql("DELETE FROM author")
    assert project.sql("SELECT id, author_id FROM post") == [(1, None)]


def test_m2_an_index_is_made(project: Project) -> None:
    class Indexed(Model):
        id: int = fields.IDField()
        name: str = fields.StringField(max_length=50, index=True)
        size: int = fields.IntegerField(default=1)

        class Meta:
            indexes = (Index("name", "size"),)

    project.make(Indexed)
    project.migrate()
    found = project.inspect(lambda inspector: inspector.get_indexes("indexed"))
    assert sorted(index["column_names"] for index in found) == [["name"], ["name", "size"]]


def test_m3_a_length_and_a_precision_are_detected(project: Project) -> None:
    class Before(Model):
        id: int = fields.IDField()
        name: str = fields.StringField(max_length=50)
        price = fields.DecimalField(max_digits=6, decimal_places=2)

        class Meta:
            db_table = "product"

    class After(Model):
        id: int = fields.IDField()
        name: str = fields.StringField(max_length=200)
        price = fields.DecimalField(max_digits=12, decimal_places=2)

        class Meta:
            db_table = "product"

    project.make(Before)
    assert project.lacks(After)
    project.make(After)
    project.migrate()
    assert not project.lacks(After)
    assert project.columns("product")["name"]["type"].length == 200
    if project.dialect == "postgresql":
        assert project.columns("product")["price"]["type"].precision == 12


def test_m4_a_callable_default_is_called_once_per_row_and_never_in_the_schema(project: Project) -> None:
    class After(Model):
        id: int = fields.IDField()
        title: str = fields.StringField(max_length=50)
        token = fields.UUIDField(default_factory=uuid4, unique=True)
        created = fields.DateTimeField(auto_now_add=True)

        class Meta:
            db_table = "book"

    project.make(Book)
    project.migrate()
    project.sql("INSERT INTO book (id, title) VALUES (1, 'a'), (2, 'b')")
    text = project.make(After)
    assert "from uuid import uuid4" in text
    assert f'op.fill("book", "created", {now.__name__})' in text
    project.migrate()
    tokens = project.sql("SELECT DISTINCT token FROM book WHERE token IS NOT NULL AND created IS NOT NULL")
    assert len(tokens) == 2
    assert all(column["default"] is None for name, column in project.columns("book").items() if name != "id")
    with pytest.raises(Exception, match=r"NOT NULL|null value"):
        project.sql("INSERT INTO book (id, title) VALUES (3, 'c')")


def test_m5_foreign_keys_uniques_and_defaults_of_existing_tables_are_detected(project: Project) -> None:
    class After(Model):
        id: int = fields.IDField()
        title: str = fields.StringField(max_length=50, unique=True)
        author_id: int | None = fields.ForeignKey(Author, on_delete="cascade", null=True)

        class Meta:
            db_table = "book"
            constraints = (Unique("title", "author_id", name="uq_pair"), Check("title <> ''", name="named"))

    class Later(Model):
        id: int = fields.IDField()
        title: str = fields.StringField(max_length=50)
        author_id: int | None = fields.ForeignKey(Author, on_delete="restrict", null=True)

        class Meta:
            db_table = "book"
            constraints = (Check("title <> 'x'", name="named"),)

    project.make(Author, Book)
    project.make(Author, After)
    project.migrate()
    keys = project.inspect(lambda inspector: inspector.get_foreign_keys("book"))
    assert [(key["referred_table"], key["options"]["ondelete"]) for key in keys] == [("author", "CASCADE")]
    uniques = project.inspect(lambda inspector: inspector.get_unique_constraints("book"))
    assert sorted(unique["column_names"] for unique in uniques) == [["title"], ["title", "author_id"]]
    assert not project.lacks(Author, After)
    project.make(Author, Later)
    project.migrate()
    keys = project.inspect(lambda inspector: inspector.get_foreign_keys("book"))
    assert [key["options"].get("ondelete") for key in keys] == ["RESTRICT"]
    assert project.inspect(lambda inspector: inspector.get_unique_constraints("book")) == []
    checks = project.inspect(lambda inspector: inspector.get_check_constraints("book"))
    assert [("'x'" in check["sqltext"], check["name"]) for check in checks] == [(True, "ck_book_named")]


def test_m6_models_are_compared_with_the_history_not_with_a_database(project: Project) -> None:
    # Nothing has been applied, and nothing is written down twice.
    project.make(Author)
    assert not project.lacks(Author)
    project.make(Author, Book)
    assert not project.lacks(Author, Book)
    assert project.migrate() == ["0001_initial", "0002_add_book"]


def test_m7_tables_that_refer_to_each_other_are_made_and_dropped(project: Project) -> None:
    project.make(Team, Player)
    project.migrate()
    for table, count in (("team", 1), ("player", 2)):
        assert len(project.inspect(lambda inspector, of=table: inspector.get_foreign_keys(of))) == count
    project.make()
    project.migrate(allow_destructive=True)
    assert project.tables() == {"alembic_version", "swift_migrations"}
    project.rollback()
    assert {"team", "player"} <= project.tables()


def test_m8_a_rename_is_asked_for_and_keeps_the_rows(project: Project) -> None:
    class Renamed(Model):
        id: int = fields.IDField()
        name: str = fields.StringField(max_length=50)

        class Meta:
            db_table = "volume"

    class Between(Model):
        id: int = fields.IDField()
        title: str = fields.StringField(max_length=50)

        class Meta:
            db_table = "volume"

    project.make(Book)
    project.migrate()
    project.sql("INSERT INTO book (id, title) VALUES (1, 'Emma')")
    with pytest.raises(AnswerNeeded, match="--rename book=volume"):
        project.make(Between)
    project.make(Between, renames={"book": "volume"})
    with pytest.raises(AnswerNeeded, match=r"--rename volume\.title=volume\.name"):
        project.make(Renamed)
    project.make(Renamed, renames={"volume.title": "volume.name"})
    project.migrate()
    assert project.sql("SELECT id, name FROM volume") == [(1, "Emma")]
    project.rollback("0001")
    assert project.sql("SELECT id, title FROM book") == [(1, "Emma")]


def test_m8_what_was_dropped_comes_back_as_it_was_defined(project: Project) -> None:
    class Smaller(Model):
        id: int = fields.IDField()

        class Meta:
            db_table = "author"

    project.make(Author)
    project.migrate()
    project.sql("INSERT INTO author (id, name) VALUES (1, 'Ann')")
    project.make(Smaller)
    project.migrate(allow_destructive=True)
    assert set(project.columns("author")) == {"id"}
    project.rollback()
    name = project.columns("author")["name"]
    assert (name["type"].length, name["nullable"]) == (50, False)
    assert project.sql("SELECT id, name FROM author") == [(1, "")]


def test_m9_a_squash_is_not_applied_where_its_parts_were(project: Project) -> None:
    project.make(Author)
    project.make(Author, Book)
    project.migrate()
    project.sql("INSERT INTO author (id, name) VALUES (1, 'Ann')")
    made = squash(project.directory, "0001", "0002")
    write(made)
    assert 'replaces = ("0001_initial", "0002_add_book")' in made.text
    assert not project.lacks(Author, Book)
    assert project.migrate() == []
    assert project.sql("SELECT version_num FROM alembic_version") == [(made.path.stem,)]
    assert project.sql("SELECT name FROM author") == [("Ann",)]
    for old in ("0001_initial.py", "0002_add_book.py"):
        (project.directory / old).unlink()

    class Tag(Model):
        id: int = fields.IDField()

    project.make(Author, Book, Tag)
    assert project.migrate() == ["0004_add_tag"]
    project.rollback("zero", allow_destructive=True)
    assert project.tables() == {"alembic_version", "swift_migrations"}
    assert project.migrate() == [made.path.stem, "0004_add_tag"]


def test_m10_processes_that_migrate_at_once_take_turns(project: Project) -> None:
    project.write(
        "0001_slow", None, 'import time\nop.create_table("t", sa.Column("id", sa.Integer))\ntime.sleep(0.1)'
    )
    project.write("0002_next", "0001_slow", 'op.create_table("u", sa.Column("id", sa.Integer))')

    async def both() -> list[list[str]]:
        return await asyncio.gather(*(migrate(project.url, project.directory) for _ in range(2)))

    # Both would create the same tables if they did not wait for each other.
    done = asyncio.run(both())
    assert sorted([*done[0], *done[1]]) == ["0001_slow", "0002_next"]
    assert {"t", "u"} <= project.tables()


def test_m10_sqlite_alters_what_it_cannot_alter(sqlite_project: Project) -> None:
    class Wider(Model):
        id: int = fields.IDField()
        title: str | None = fields.TextField(null=True)

        class Meta:
            db_table = "book"

    sqlite_project.make(Book)
    sqlite_project.make(Wider)
    sqlite_project.migrate()
    title = sqlite_project.columns("book")["title"]
    assert (str(title["type"]), title["nullable"]) == ("TEXT", True)
