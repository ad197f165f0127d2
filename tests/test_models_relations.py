"""Declaring relations and rules: what a class body gives to others, and what it is refused."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from swift.engines.metadata import metadata
from swift.engines.schema import Default
from swift.models import (
    Index,
    Many,
    Model,
    ModelError,
    Now,
    SoftDelete,
    TenantScoped,
    Unique,
    fields,
    uuid7,
)


class Owner(Model):
    id: int = fields.IDField()
    name: str = fields.StringField()


class Owned(Model):
    owner_id: int = fields.ForeignKey(Owner, related_name="{model}_items", on_delete="cascade")

    class Meta:
        abstract = True
        indexes = (Index("owner_id"),)
        constraints = (Unique("owner_id", "id"),)


class RedCar(Owned):
    id: int = fields.IDField()
    parts: Many[Any] = fields.ManyToManyField("LatePart", related_name="cars")


class Bike(Owned):
    id: int = fields.IDField()

    class Meta:
        db_table = "bikes"


class LatePart(Model):
    id: str = fields.StringField(primary_key=True, max_length=20)


class Told(Model):
    id: int = fields.IDField()
    kind: str = fields.ChoiceField([("a", "Letter A"), "b"], default="a", db_comment="What it is")
    small: int = fields.SmallIntegerField(default=0, check="small <> 5")
    count: int = fields.PositiveIntegerField(big=True, default=0)
    made = fields.DateTimeField(db_default=Now())
    open: bool = fields.BoolField(db_default=False)
    note: str = fields.StringField(db_default="it's")

    class Meta:
        comment = "Things that are told"
        indexes = (
            Index("kind", "-made"),
            Index("note", unique=True, where="open"),
            Index("small", name="by_small"),
        )


def test_each_heir_of_an_abstract_model_has_its_own_way_back() -> None:
    assert {"red_car_items", "bike_items"} <= set(Owner._meta.links)
    link = Owner._meta.link("bike_items")
    assert link is not None
    assert link.target() is Bike
    assert link.many
    assert Bike._meta.table.name == "bikes"
    assert Bike._meta.table.indexes == (Index("owner_id"),)
    assert RedCar._meta.table.uniques == (Unique("owner_id", "id"),)


def test_a_model_declared_later_gets_its_way_back() -> None:
    assert LatePart._meta.links == ["cars"]
    cars = LatePart._meta.link("cars")
    assert cars is not None
    assert cars.target() is RedCar
    between = RedCar._meta.tables[1]
    assert between.name == "red_car_parts"
    assert [(column.name, column.kind) for column in between.columns] == [
        ("id", "bigint"),
        ("red_car_id", "bigint"),
        ("late_part_id", "string"),
    ]
    assert between.uniques == (Unique("red_car_id", "late_part_id"),)
    assert [column.reference.on_delete for column in between.columns if column.reference] == ["cascade"] * 2


def test_relations_are_no_fields() -> None:
    assert RedCar.__struct_fields__ == ("owner_id", "id")
    assert msgspec.json.encode(RedCar(owner_id=1)) == b'{"owner_id":1,"id":null}'


def test_the_table_tells_all_that_the_class_says() -> None:
    columns = {column.name: column for column in Told._meta.table.columns}
    assert columns["kind"].choices == ("a", "b")
    assert columns["kind"].comment == "What it is"
    assert (columns["small"].bits, columns["count"].least) == (16, 0)
    assert columns["made"].default == Default(function="now")
    assert columns["note"].default == Default("it's")
    assert Told._meta.table.comment == "Things that are told"
    assert [check.sql for check in Told._meta.table.checks] == ["small <> 5", "count >= 0"]
    assert Told(kind="b").made is None
    assert [field.name for field in Told._meta.fields.values() if field.required] == []


@pytest.mark.parametrize(
    ("dialect", "expected"),
    [
        (
            sqlite.dialect(),
            [
                "small SMALLINT NOT NULL",
                "made DATETIME TEXT DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')) NOT NULL",
                "open BOOLEAN DEFAULT 0 NOT NULL",
                "note VARCHAR(255) DEFAULT 'it''s' NOT NULL",
                "CHECK (count >= 0)",
                "CREATE INDEX ix_told_kind_made ON told (kind, made DESC)",
                "CREATE UNIQUE INDEX uq_told_note ON told (note) WHERE open",
                "CREATE INDEX by_small ON told (small)",
            ],
        ),
        (
            postgresql.dialect(),
            [
                "small SMALLINT NOT NULL",
                "made TIMESTAMP WITH TIME ZONE DEFAULT CURRENT_TIMESTAMP NOT NULL",
                "open BOOLEAN DEFAULT false NOT NULL",
                "note VARCHAR(255) DEFAULT 'it''s' NOT NULL",
                "CREATE UNIQUE INDEX uq_told_note ON told (note) WHERE open",
            ],
        ),
    ],
)
def test_the_ddl_says_it_to_the_database(dialect: sa.Dialect, expected: list[str]) -> None:
    table = metadata([Told._meta.table]).tables["told"]
    written = [str(CreateTable(table).compile(dialect=dialect))]
    written += [str(CreateIndex(index).compile(dialect=dialect)) for index in table.indexes]
    text = "\n".join(written).replace('"', "")
    assert [line for line in expected if line not in text] == []


def test_uuids_ascend() -> None:
    made = [uuid7() for _ in range(10_000)]
    assert made == sorted(set(made))
    assert {(one.version, one.variant) for one in made} == {(7, "specified in RFC 4122")}


def refused(body: str) -> str:
    with pytest.raises((ModelError, ValueError)) as caught:
        exec("class Broken(Model):\n" + "".join(f"    {line}\n" for line in body.split("\n")), {**globals()})
    return str(caught.value)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (
            "id = fields.IDField()\nowner_id = fields.ForeignKey(Owner, related_name='name')",
            "Broken: the related_name `name` is taken in Owner; choose another.",
        ),
        (
            "id = fields.IDField()\nowner_id = fields.ForeignKey(Owner, related_name='save')",
            "Broken: the related_name `save` is taken in Owner; choose another.",
        ),
        (
            "id = fields.IDField()\nowner_id = fields.ForeignKey(Owner, related_name='bike_items')",
            "Owner.bike_items is the related_name of Bike already",
        ),
        (
            "id = fields.IDField()\nx = fields.IntegerField(db_default=1, default=2)",
            "goes neither with `null`",
        ),
        ("id = fields.IDField()\nx = fields.ChoiceField(['a', 1])", "are all texts or all integers"),
        ("id = fields.IDField()\nclass Meta:\n    soft_delete = 'gone'", "Broken has no field `gone`"),
    ],
)
def test_a_wrong_declaration_is_refused(body: str, sentence: str) -> None:
    assert sentence in refused(body)


def test_a_tenant_scoped_model_declares_whose_it_is() -> None:
    with pytest.raises(ValueError, match="Nobodys has no field `tenant_id`"):

        class Nobodys(TenantScoped):
            id: int = fields.IDField()

    class Somebodys(TenantScoped, SoftDelete):
        id: int = fields.IDField()
        tenant_id: int = fields.IntegerField()

    assert [rule.name for rule in Somebodys._meta.scopes] == ["deleted", "tenant"]
    assert Somebodys._meta.fields["tenant_id"].read_only
    assert Somebodys().tenant_id is None


def test_rows_between_that_do_not_fit_are_refused() -> None:
    class Between(Model):
        id: int = fields.IDField()
        owner_id: int = fields.ForeignKey(Owner)

    class Holder(Model):
        id: int = fields.IDField()
        owners: Many[Owner] = fields.ManyToManyField(Owner, through=Between)

    with pytest.raises(
        ModelError, match=r"Holder\.owners: Between has 0 foreign keys to Holder and 1 to Owner"
    ):
        Holder.objects.filter(owners__name="x")._key()
        Holder._meta.reverse["owners"].hops()
