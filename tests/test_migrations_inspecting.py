"""inspectdb: from a database back to models, our own and others'."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from decimal import Decimal
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from swift import Model, fields
from swift.engines import Database
from swift.migrations.comparing import compared, target_metadata
from swift.migrations.inspecting import inspect
from swift.migrations.making import all_models
from swift.migrations.state import State
from swift.migrations.writing import described
from swift.models import Index, Now, Unique
from tests import migrations_support as support
from tests.migrations_support import Project

project, sqlite_project = support.project, support.sqlite_project
ROOT = Path(__file__).parent.parent


class Color(Enum):
    RED = "red"
    BLUE = "blue"


class Shelf(Model):
    id: int = fields.IDField()
    place: str = fields.StringField(max_length=20, unique=True)


class Everything(Model):
    """A field of every kind, with and without null."""

    code: str = fields.StringField(max_length=12, primary_key=True)
    small: int = fields.IntegerField()
    small_null: int | None = fields.IntegerField(null=True, index=True)
    big: int = fields.BigIntegerField(unique=True)
    ratio: float = fields.FloatField()
    price = fields.DecimalField(max_digits=10, decimal_places=2)
    price_null = fields.DecimalField(max_digits=5, decimal_places=0, null=True)
    name: str = fields.StringField(max_length=40)
    mail: str = fields.EmailField()
    note: str | None = fields.TextField(null=True)
    flag: bool = fields.BoolField()
    day = fields.DateField()
    hour = fields.TimeField()
    moment = fields.DateTimeField()
    wall = fields.DateTimeField(tz=False, null=True)
    token = fields.UUIDField()
    data = fields.JSONField(null=True)
    items = fields.ArrayField(int)
    raw = fields.BinaryField()
    color: Color = fields.EnumField(Color)
    tiny: int | None = fields.SmallIntegerField(null=True)
    slug: str = fields.SlugField(max_length=30)
    url: str = fields.URLField()
    file: str = fields.FilePathField()
    amount = fields.MoneyField()
    choice: str = fields.ChoiceField(["a", "b"])
    shelf_id: int = fields.ForeignKey(Shelf, on_delete="cascade")
    spare_id: int | None = fields.ForeignKey(Shelf, on_delete="set_null", null=True, index=False)

    class Meta:
        constraints = (Unique("name", "mail"), Unique("day", name="one_a_day"))
        indexes = (
            Index("small", "big"),
            Index("wall", name="by_wall"),
            Index("moment", "flag", name="rule", unique=True),
        )


class Given(Model):
    """What the database fills in."""

    id = fields.UUIDField(primary_key=True)
    count: int = fields.IntegerField(db_default=-3)
    part: float = fields.FloatField(db_default=0.5)
    price = fields.DecimalField(max_digits=6, decimal_places=2, db_default=Decimal("1.50"))
    name: str = fields.StringField(max_length=9, db_default="it's")
    flag: bool = fields.BoolField(db_default=True)
    off: bool = fields.BoolField(db_default=False)
    at = fields.DateTimeField(db_default=Now())
    wall = fields.DateTimeField(tz=False, db_default=Now())


def models_of(text: str, name: str = "inspected") -> list[Any]:
    module = ModuleType(name)
    sys.modules[name] = module
    try:
        exec(compile(text, name, "exec"), module.__dict__)
        found = [each for each in vars(module).values() if isinstance(each, type) and issubclass(each, Model)]
        models = [model for model in found if model is not Model]
        target_metadata([model._meta.table for model in models])  # foreign keys by name are looked up here
        return models
    finally:
        del sys.modules[name]


def differences(one: list[Any], other: list[Any]) -> list[str]:
    before, after = (target_metadata([model._meta.table for model in models]) for models in (one, other))
    return described(compared(State.of(before), after))


def test_models_migrated_and_inspected_are_the_models(project: Project) -> None:
    project.make(Shelf, Everything, Given)
    project.migrate()
    text = asyncio.run(inspect(project.url))
    assert differences([Shelf, Everything, Given], models_of(text)) == [], text


FOREIGN = """
CREATE TABLE "Order" (id integer PRIMARY KEY, "class" varchar(10) NOT NULL, "from" integer, "odd name" text,
    "save" boolean, "UPPER" integer, "2nd" integer, total numeric(10,2), fields text, int integer);
CREATE TABLE "line-item" (order_id integer NOT NULL REFERENCES "Order" (id) ON DELETE CASCADE, product varchar(20) UNIQUE,
    parent integer REFERENCES "Order" (id), id integer PRIMARY KEY);
CREATE TABLE loan (book integer, member integer, since date, PRIMARY KEY (book, member));
CREATE TABLE a_node (id integer PRIMARY KEY, b_id integer, up integer REFERENCES a_node (id) ON DELETE SET NULL);
CREATE INDEX odd_index ON a_node (b_id);
CREATE VIEW big_orders AS SELECT id, total FROM "Order" WHERE total > 100
"""


def foreign(project: Project) -> str:
    for statement in FOREIGN.split(";"):
        project.sql(statement)
    if project.dialect == "postgresql":
        project.sql("CREATE TYPE mood AS ENUM ('happy', 'very sad', '3')")
        project.sql(
            "CREATE TABLE person (id serial PRIMARY KEY, mood mood NOT NULL, seen inet, at timestamptz)"
        )
    return asyncio.run(inspect(project.url))


def test_a_foreign_database_becomes_models_that_can_be_imported(project: Project) -> None:
    text = foreign(project)
    models = {model.__name__: model for model in models_of(text)}
    order = models["Order"]._meta
    assert order.table.name == "Order"
    columns = {name: column.name for name, column in order.columns.items()}
    assert columns["class_"] == "class"
    assert columns["odd_name"] == "odd name"
    assert columns["save_"] == "save"
    assert columns["c_2nd"] == "2nd"
    assert columns["fields_"] == "fields"
    item = models["LineItem"]._meta
    assert set(item.relations) == {"order", "parent"}
    assert item.relations["order"].on_delete == "cascade"
    assert item.columns["parent_id"].name == "parent"
    assert models["ANode"]._meta.relations["up"].target() is models["ANode"]
    assert "loan" in text
    assert models["BigOrders"]._meta.managed is False
    if project.dialect == "postgresql":
        assert [member.value for member in models["Person"]._meta.fields["mood"].enum] == [
            "happy",
            "very sad",
            "3",
        ]
        assert "seen: no field holds INET" in text


def test_the_models_of_a_foreign_database_have_types(tmp_path: Path, project: Project) -> None:
    (tmp_path / "inspected.py").write_text(foreign(project))
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file", str(ROOT / "pyproject.toml"), "--cache-dir",
         str(ROOT / ".mypy_cache"), str(tmp_path / "inspected.py")],
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert "inspected.py" not in done.stdout, done.stdout


def test_the_models_of_a_foreign_database_read_and_write(project: Project) -> None:
    models = {model.__name__: model for model in models_of(foreign(project))}

    async def use() -> None:
        async with Database.from_url(project.url):
            made = await models["Order"].objects.create(id=1, class_="a", odd_name="x", save_=True, total=200)
            await models["LineItem"].objects.create(id=5, order_id=made.id, product="p")
            item = await models["LineItem"].objects.select_related("order").get(id=5)
            assert (item.order.class_, item.order.odd_name) == ("a", "x")
            assert [order.total async for order in models["BigOrders"].objects.all()] == [200]

    asyncio.run(use())
    assert project.sql('SELECT "class", "save" FROM "Order"') == [("a", True)]


class Summary(Model):
    id: int = fields.IntegerField(primary_key=True)

    class Meta:
        managed = False


class Detail(Model):
    id: int = fields.IDField()
    summary_id: int = fields.ForeignKey(Summary)


def test_a_table_that_is_not_managed_is_neither_made_nor_missed(project: Project) -> None:
    project.sql("CREATE TABLE summary (id integer PRIMARY KEY)")
    project.make(Detail)
    project.migrate()
    keys = project.inspect(lambda inspector: inspector.get_foreign_keys("detail"))
    assert [key["referred_table"] for key in keys] == ["summary"]
    assert not project.lacks(Detail)
    assert Summary not in all_models()

    async def create() -> set[str]:
        async with Database.from_url(f"sqlite:///{project.directory}.db") as db:
            await db.create_tables([Summary])
            return {name for (name,) in await db.fetch("SELECT name FROM sqlite_master")}

    assert asyncio.run(create()) == set()


def test_some_tables_may_be_asked_for(sqlite_project: Project) -> None:
    foreign(sqlite_project)
    text = asyncio.run(inspect(sqlite_project.url, only=["a_node"]))
    assert text.count("(Model):") == 1


@pytest.mark.parametrize(
    ("declared", "field"),
    [
        ("BIGINT", "fields.BigIntegerField()"),
        ("UNSIGNED BIG INT", "fields.BigIntegerField()"),
        ("nvarchar(12)", "fields.StringField(max_length=12)"),
        ("NUMERIC(10,2)", "fields.FloatField()"),
        ("DECIMAL(10)", "fields.BigIntegerField()"),
        ("DOUBLE PRECISION", "fields.FloatField()"),
        ("DATETIME", "fields.DateTimeField(tz=False)"),
        ("blob", "fields.BinaryField()"),
    ],
)
def test_types_of_sqlite_are_told_by_their_words(sqlite_project: Project, declared: str, field: str) -> None:
    sqlite_project.sql(f"CREATE TABLE t (id INTEGER PRIMARY KEY, x {declared} NOT NULL)")
    assert f"= {field}\n" in asyncio.run(inspect(sqlite_project.url))
