"""Writing migrations: what is noticed when models change, and what is asked."""

from __future__ import annotations

import datetime as dt
import itertools
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest

import swift.migrations
from swift import Model, fields
from swift.migrations import AnswerNeeded, HistoryError, Kind, MigrationError, wall_clock
from swift.migrations.arranging import Answers
from swift.migrations.history import History
from swift.migrations.making import all_models, make
from swift.migrations.writing import hanging, source_of
from swift.models import Check, Index, Now, Unique
from tests import migrations_support as support
from tests.migrations_support import Project

project, sqlite_project = support.project, support.sqlite_project
numbers = itertools.count()


def model(meta: dict[str, Any] | None = None, **declared: Any) -> type[Model]:
    """A model of the table `thing`."""
    body = {
        "id": fields.IDField(),
        **declared,
        "Meta": type("Meta", (), {"db_table": "thing", **(meta or {})}),
    }
    return type(Model)(f"Thing{next(numbers)}", (Model,), {**body, "__module__": __name__})


def text(length: int = 20, **options: Any) -> Any:
    return fields.StringField(max_length=length, **options)


CHANGES: dict[str, tuple[type[Model], type[Model], str]] = {
    "a column": (model(), model(a=text(default="")), "add thing.a"),
    "no column": (model(a=text()), model(), "drop thing.a"),
    "a length": (model(a=text(20)), model(a=text(30)), "change thing.a"),
    "a type": (model(a=text()), model(a=fields.TextField()), "change thing.a"),
    "digits": (
        model(a=fields.DecimalField(max_digits=5, decimal_places=2)),
        model(a=fields.DecimalField(max_digits=6, decimal_places=2)),
        "change thing.a",
    ),
    "bits": (model(a=fields.SmallIntegerField()), model(a=fields.IntegerField()), "change thing.a"),
    "null": (model(a=text()), model(a=text(null=True)), "change thing.a"),
    "not null": (model(a=text(null=True)), model(a=text(default="x")), "change thing.a"),
    "a default": (model(a=text()), model(a=text(db_default="it's :a")), "change thing.a"),
    "another default": (model(a=text(db_default="a")), model(a=text(db_default="b")), "change thing.a"),
    "no default": (model(a=text(db_default="a")), model(a=text()), "change thing.a"),
    "a moment": (
        model(a=fields.DateTimeField()),
        model(a=fields.DateTimeField(db_default=Now())),
        "change thing.a",
    ),
    "a new moment": (model(), model(a=fields.DateTimeField(db_default=Now())), "add thing.a"),
    "true": (model(), model(a=fields.BoolField(db_default=True)), "add thing.a"),
    "unique": (model(a=text()), model(a=text(unique=True)), "add constraint uq_thing_a"),
    "not unique": (model(a=text(unique=True)), model(a=text()), "drop constraint uq_thing_a"),
    "an index": (model(a=text()), model(a=text(index=True)), "add index ix_thing_a"),
    "no index": (model(a=text(index=True)), model(a=text()), "drop index ix_thing_a"),
    "an index of several": (
        model(a=text(), b=text()),
        model({"indexes": [Index("a", "b")]}, a=text(), b=text()),
        "add index ix_thing_a_b",
    ),
    "an index downwards": (
        model(a=text()),
        model({"indexes": [Index("-a", name="down")]}, a=text()),
        "add index down",
    ),
    "an index of some rows": (
        model(a=text()),
        model({"indexes": [Index("a", name="some", where="a <> ''")]}, a=text()),
        "add index some",
    ),
    "an index of other rows": (
        model({"indexes": [Index("a", name="some", where="a <> ''")]}, a=text()),
        model({"indexes": [Index("a", name="some", where="a <> 'x'")]}, a=text()),
        "drop index some",
    ),
    "an index the other way": (
        model({"indexes": [Index("a", name="some")]}, a=text()),
        model({"indexes": [Index("-a", name="some")]}, a=text()),
        "drop index some",
    ),
    "a pair": (
        model(a=text(), b=text()),
        model({"constraints": [Unique("a", "b")]}, a=text(), b=text()),
        "add constraint uq_thing_a_b",
    ),
    "a check": (
        model(a=text()),
        model({"constraints": [Check("a <> ''", name="full")]}, a=text()),
        "add constraint ck_thing_full",
    ),
    "a positive number": (
        model(a=fields.IntegerField()),
        model(a=fields.PositiveIntegerField()),
        "add constraint ck_thing_a_least",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_is_noticed_made_and_undone(sqlite_project: Project, what: str) -> None:
    before, after, step = CHANGES[what]
    sqlite_project.make(before)
    sqlite_project.migrate()
    sqlite_project.sql(
        f"INSERT INTO thing ({', '.join(given(before))}) VALUES ({', '.join(given(before).values())})"
    )
    shape = sqlite_project.sql(
        "SELECT type, name, sql FROM sqlite_master WHERE tbl_name = 'thing' ORDER BY 2"
    )
    made = make([after], sqlite_project.directory)
    assert made is not None
    assert made.steps[0] == step
    sqlite_project.make(after)
    assert not sqlite_project.lacks(after), "it is noticed again"
    sqlite_project.migrate(allow_destructive=True)
    assert sqlite_project.sql("SELECT count(*) FROM thing") == [(1,)]
    sqlite_project.rollback(allow_destructive=True)
    again = sqlite_project.sql(
        "SELECT type, name, sql FROM sqlite_master WHERE tbl_name = 'thing' ORDER BY 2"
    )
    assert [plain(row) for row in again] == [plain(row) for row in shape]


def given(of: type[Model]) -> dict[str, str]:
    """A row in SQL."""
    values = {
        "string": "'v'",
        "text": "'v'",
        "decimal": "'1.00'",
        "datetime": "'2026-01-01T00:00:00.000000Z'",
    }
    return {column.name: values.get(column.kind, "1") for column in of._meta.table.columns}


def plain(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return (*row[:2], (row[2] or "").replace('"', "").replace("\n", "").replace("\t", ""))


def test_all_changes_of_a_table_work_on_postgresql(pg_database: str, tmp_path: Any) -> None:
    for number, (before, after, _) in enumerate(CHANGES.values()):
        project = Project(pg_database, tmp_path / f"m{number}")
        project.make(before)
        project.migrate()
        row = given(before)
        project.sql(f"INSERT INTO thing ({', '.join(row)}) VALUES ({', '.join(row.values())})")
        project.make(after)
        project.migrate(allow_destructive=True)
        project.rollback("zero", allow_destructive=True)


def test_a_default_of_the_database_is_in_the_database(project: Project) -> None:
    stamped = model(
        a=text(db_default="it's :a"),
        at=fields.DateTimeField(db_default=Now()),
        wall=fields.DateTimeField(tz=False, db_default=Now()),
        on=fields.BoolField(db_default=True),
        price=fields.DecimalField(max_digits=5, decimal_places=2, db_default=Decimal("1.50")),
    )
    written = project.make(stamped)
    assert 'server_default=Now("datetime")' in written
    assert "from swift.migrations import Kind, Now, Operations" in written
    project.migrate()
    project.sql("INSERT INTO thing (id) VALUES (1)")
    a, on, price, at, wall = project.sql('SELECT a, "on", price, at, wall FROM thing')[0]
    assert (a, bool(on), Decimal(price)) == ("it's :a", True, Decimal("1.50"))
    assert "20" in str(at)
    assert "20" in str(wall)


def test_a_schema_is_made_for_its_tables(pg_database: str, tmp_path: Any) -> None:
    project = Project(pg_database, tmp_path / "migrations")
    shop = model({"schema": "shop", "indexes": [Index("a")]}, a=text(unique=True))
    project.make(shop)
    project.migrate()
    later = model({"schema": "shop"}, a=text(30), b=text(default="x"))
    project.make(later)
    project.migrate()
    assert not project.lacks(later)
    assert project.sql("SELECT * FROM shop.thing") == []
    project.make()
    project.migrate(allow_destructive=True)
    project.rollback("zero", allow_destructive=True)


def test_another_primary_key_is_noticed(project: Project) -> None:
    class Before(Model):
        a: int = fields.IntegerField(primary_key=True)
        b: int = fields.IntegerField()

        class Meta:
            db_table = "keyed"

    class After(Model):
        a: int = fields.IntegerField()
        b: int = fields.IntegerField(primary_key=True)

        class Meta:
            db_table = "keyed"

    project.make(Before)
    project.migrate()
    project.sql("INSERT INTO keyed (a, b) VALUES (1, 2)")
    project.make(After)
    project.migrate()
    assert project.inspect(lambda inspector: inspector.get_pk_constraint("keyed"))["constrained_columns"] == [
        "b"
    ]
    assert project.sql("SELECT a, b FROM keyed") == [(1, 2)]
    assert not project.lacks(After)


def test_the_public_names_are_these() -> None:
    assert swift.migrations.__all__ == [
        "AnswerNeeded",
        "Applied",
        "Data",
        "DestructiveError",
        "HistoryError",
        "Kind",
        "MigrationError",
        "MigrationFailed",
        "Now",
        "Operations",
        "migrate",
        "now",
        "rollback",
        "show",
        "sql_of",
        "wall_clock",
    ]


def test_comments_are_kept_on_postgresql(pg_database: str, tmp_path: Any) -> None:
    project = Project(pg_database, tmp_path / "migrations")
    project.make(model(a=text()))
    project.make(model({"comment": "Things"}, a=text(db_comment="What it is")))
    assert not project.lacks(model({"comment": "Things"}, a=text(db_comment="What it is")))
    project.migrate()
    assert project.columns("thing")["a"]["comment"] == "What it is"
    assert project.inspect(lambda inspector: inspector.get_table_comment("thing")) == {"text": "Things"}


class Tag(Model):
    id: int = fields.IDField()


class Page(Model):
    id: int = fields.IDField()
    tags = fields.ManyToManyField(Tag)


def test_the_table_between_two_models_is_made(project: Project) -> None:
    project.make(Tag, Page)
    project.migrate()
    between = project.tables() - {"tag", "page", "alembic_version", "swift_migrations"}
    assert len(between) == 1
    keys = project.inspect(lambda inspector: inspector.get_foreign_keys(next(iter(between))))
    assert {key["referred_table"] for key in keys} == {"tag", "page"}
    assert not project.lacks(Tag, Page)


# Questions


def test_a_value_is_asked_for_where_rows_would_have_none(sqlite_project: Project) -> None:
    sqlite_project.make(model(a=text(null=True)))
    for after in (model(a=text()), model(a=text(null=True), b=text())):
        with pytest.raises(AnswerNeeded, match=r"`thing\.[ab]` takes no NULL.*--value thing\.[ab]="):
            make([after], sqlite_project.directory)
    made = make(
        [model(a=text())],
        sqlite_project.directory,
        Answers(ask_value=lambda table, column: f"{table} {column}"),
    )
    assert made is not None
    assert 'op.fill("thing", "a", "thing a")' in made.text


def test_all_questions_are_asked_at_once(sqlite_project: Project) -> None:
    sqlite_project.make(model(a=text(), b=text(30)))
    with pytest.raises(AnswerNeeded) as caught:
        make([model(c=text(), d=text(30))], sqlite_project.directory)
    assert [question.partition(":")[0] for question in caught.value.questions] == [
        "`thing.a` went and `thing.c` came",
        "`thing.b` went and `thing.d` came",
    ]


def test_a_rename_may_change_more_than_the_name(project: Project) -> None:
    project.make(model(a=text(20, index=True)))
    project.migrate()
    project.sql("INSERT INTO thing (id, a) VALUES (1, 'v')")
    project.make(model(b=text(40, unique=True)), renames={"thing.a": "thing.b"})
    project.migrate()
    assert project.sql("SELECT b FROM thing") == [("v",)]
    assert project.columns("thing")["b"]["type"].length == 40
    assert (
        project.inspect(lambda inspector: inspector.get_indexes("thing")) == []
        or project.dialect == "postgresql"
    )
    assert [each["name"] for each in project.inspect(lambda i: i.get_unique_constraints("thing"))] == [
        "uq_thing_b"
    ]


class Size(Enum):
    SMALL = "s"


def default() -> int:
    return 3


@pytest.mark.parametrize(
    ("value", "source", "imports"),
    [
        (1, "1", set()),
        ("a'b", '"a\'b"', set()),
        (Size.SMALL, "'s'", set()),
        (Decimal("1.5"), "Decimal('1.5')", {"from decimal import Decimal"}),
        (dt.date(2026, 1, 2), "datetime.date(2026, 1, 2)", {"import datetime"}),
        (UUID(int=1), "UUID('00000000-0000-0000-0000-000000000001')", {"from uuid import UUID"}),
        (list, "[]", set()),
        (default, "default", {f"from {__name__} import default"}),
        (wall_clock, "wall_clock", {"from swift.migrations import wall_clock"}),
    ],
)
def test_values_are_written_as_python(value: Any, source: str, imports: set[str]) -> None:
    assert source_of(value) == (source, imports)


def test_a_value_without_words_is_told() -> None:
    with pytest.raises(MigrationError, match="give a value by --value"):
        source_of(lambda: 3)


# Texts


def test_calls_of_several_lines_are_indented_once() -> None:
    assert hanging("with a as b:\n    b.f('x',\n           y=1)\n") == "with a as b:\n    b.f('x', y=1)"
    long = ", ".join(f"argument_{number}={number}" for number in range(8))
    assert hanging(f"f('x',\n  {long})") == f"f(\n    'x',\n    {long},\n)"


def test_a_name_fits_the_table_of_versions(sqlite_project: Project) -> None:
    long = model(a=text())
    made = make(
        [long], sqlite_project.directory, name="A name / that is much longer than the table has room for"
    )
    assert made is not None
    assert made.path.stem == "0001_a_name_that_is_much_longer"


def test_a_kind_says_itself() -> None:
    kind = Kind("decimal", digits=8, places=2)
    assert eval(repr(kind), {"Kind": Kind}).options == kind.options
    assert repr(kind.copy()) == repr(kind) == "Kind('decimal', digits=8, places=2)"


def test_the_models_of_an_application_are_those_that_are_loaded() -> None:
    assert {Tag, Page} <= set(all_models())


def test_a_history_without_files_is_empty(tmp_path: Any) -> None:
    history = History(tmp_path / "nowhere")
    assert (history.head, history.migrations, history.state().tables) == (None, {}, {})


def test_a_history_that_reads_rows_is_told(sqlite_project: Project) -> None:
    sqlite_project.write("0001_t", None, "op.get_bind()")
    with pytest.raises(HistoryError, match=r"belongs into a function for `op\.run"):
        sqlite_project.make(Tag)
