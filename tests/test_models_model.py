"""Models: what a class body declares, and what its objects are."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import UUID, uuid4

import msgspec
import pytest

from swift.models import Check, Index, Model, ModelError, Unique, fields


class User(Model):
    id: int = fields.IDField()
    name: str = fields.StringField(max_length=10, min_length=2)
    email = fields.EmailField(unique=True)
    age: int | None = fields.IntegerField(null=True, ge=0)
    active: bool = fields.BoolField(default=True)
    LIMIT: ClassVar[int] = 5

    class Meta:
        db_table = "users"
        ordering = ("name",)

    @property
    def initial(self) -> str:
        return self.name[0]


class Later(Model):
    id: int = fields.IDField()
    other_id: int | None = fields.ForeignKey("Further", null=True)
    by_path_id: int | None = fields.ForeignKey(f"{__name__}.User", null=True)
    self_id: int | None = fields.ForeignKey("self", null=True)
    key_id: UUID = fields.ForeignKey(lambda: Keyed)


class Further(Model):
    id: int = fields.IDField()


class Keyed(Model):
    id: UUID = fields.UUIDField(primary_key=True, default_factory=uuid4)


def test_declaring_models_loads_neither_sqlalchemy_nor_a_driver() -> None:
    code = (
        "import sys\nfrom swift.models import Model, fields\n"
        "class A(Model):\n    id = fields.IDField()\n"
        "print([name for name in ('sqlalchemy', 'aiosqlite', 'sqlite3', 'alembic') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_object_is_a_struct() -> None:
    user = User(name="Ann", email="a@x.org")
    assert isinstance(user, msgspec.Struct)
    assert User.__struct_fields__ == ("id", "name", "email", "age", "active")
    assert (user.id, user.pk, user.age, user.active, user.initial) == (None, None, None, True, "A")
    assert user == User(name="Ann", email="a@x.org")
    assert msgspec.json.encode(User(id=1, name="Ann", email="e@x.org")) == (
        b'{"id":1,"name":"Ann","email":"e@x.org","age":null,"active":true}'
    )


def test_the_constructor_takes_keywords_and_wants_what_has_no_default() -> None:
    with pytest.raises(TypeError, match="Missing required argument 'email'"):
        User(name="Ann")
    with pytest.raises(TypeError):
        User("Ann")  # type: ignore[misc]
    with pytest.raises(TypeError, match="Unexpected keyword argument 'nam'"):
        User(nam="Ann", email="x")  # type: ignore[call-arg]


@pytest.mark.parametrize(
    "body",
    [
        b'{"name":"A","email":"a@x.org"}',
        b'{"name":"much too long","email":"a@x.org"}',
        b'{"name":"Ann","email":"nobody"}',
        b'{"name":"Ann","email":"a@x.org","age":-1}',
        b'{"name":"Ann","email":"a@x.org","age":2147483648}',
        b'{"name":"Ann","email":"a@x.org","active":"yes"}',
        b'{"name":null,"email":"a@x.org"}',
        b'{"name":"Ann"}',
    ],
)
def test_decoding_checks_the_limits_of_the_fields(body: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(body, type=User)


def test_decoding_makes_an_object() -> None:
    assert msgspec.json.decode(b'{"name":"Ann","email":"a@x.org"}', type=User) == User(
        name="Ann", email="a@x.org"
    )


def test_meta_describes_the_model() -> None:
    meta = User._meta
    assert meta.model is User
    assert list(meta.fields) == ["id", "name", "email", "age", "active"]
    assert meta.pk.name == "id"
    assert meta.table.name == "users"
    assert meta.verbose_name == "user"
    assert meta.ordering == ("name",)
    assert [field.name for field in meta.fields.values() if field.required] == ["name", "email"]
    assert meta.fields["id"].read_only
    assert meta.columns["email"].unique
    found = meta.field_of("email")
    assert found is not None
    assert found.label == "User.email"


def test_a_table_is_named_after_its_class() -> None:
    class HTTPLogEntry(Model):
        id: int = fields.IDField()

    assert HTTPLogEntry._meta.table.name == "http_log_entry"
    assert HTTPLogEntry._meta.verbose_name == "http log entry"


def test_abstract_models_give_their_fields_and_ordering() -> None:
    class Dated(Model):
        made: datetime = fields.DateTimeField(auto_now_add=True)

        class Meta:
            abstract = True
            ordering = ("-made",)

    class Named(Model):
        name: str = fields.StringField()

        class Meta:
            abstract = True

    class Page(Dated, Named):
        id: int = fields.IDField()

    class Post(Dated):
        id: int = fields.IDField()
        made: datetime = fields.DateTimeField(default_factory=lambda: datetime.now(UTC))

        class Meta:
            db_table = "posts"

    assert set(Page._meta.fields) == {"made", "name", "id"}
    assert not Page._meta.abstract
    assert Page._meta.ordering == ("-made",)
    assert Page._meta.fields["made"].label == "Page.made"
    assert Post._meta.table.name == "posts"
    assert not Post._meta.fields["made"].auto
    with pytest.raises(ModelError, match="Dated is abstract: it has no rows to query"):
        Dated.objects  # noqa: B018


def test_objects_are_not_shared_between_a_model_and_its_heirs() -> None:
    class Base(Model):
        id: int = fields.IDField()

    class Heir(Base):
        extra: str = fields.StringField(default="")

    assert Base.objects.model is Base
    assert Heir.objects.model is Heir
    assert Heir._meta.table.name == "heir"
    assert not issubclass(Heir.DoesNotExist, Base.DoesNotExist)


def test_references_to_models_declared_later() -> None:
    relations = Later._meta.relations
    assert relations["other"].target() is Further
    assert relations["by_path"].target() is User
    assert relations["self"].target() is Later
    assert relations["key"].target() is Keyed
    assert relations["key"].kind == "uuid"


def test_a_reference_takes_the_type_of_the_key_it_holds() -> None:
    class Ticket(Model):
        id: int = fields.IDField()
        holder_id = fields.ForeignKey(Keyed)

    assert Ticket._meta.fields["holder_id"].type is UUID
    assert msgspec.json.decode(
        b'{"holder_id":"00000000-0000-0000-0000-000000000005"}', type=Ticket
    ).holder_id == (UUID(int=5))


def test_a_relation_not_loaded_says_how_to_load_it() -> None:
    with pytest.raises(
        AttributeError, match=r'Later.other is not loaded. Ask for it with `.select_related\("other"\)`'
    ):
        Later(key_id=uuid4()).other  # type: ignore[attr-defined]  # noqa: B018


def test_indexes_and_constraints_name_fields() -> None:
    class Item(Model):
        id: int = fields.IDField()
        sku: str = fields.StringField(db_column="sku_code")
        size: int = fields.IntegerField()

        class Meta:
            indexes = (Index("sku", "size", name="by_sku"),)
            constraints = (Unique("sku"), Check("size > 0"))

    table = Item._meta.table
    assert table.indexes == (Index("sku_code", "size", name="by_sku"),)
    assert table.uniques == (Unique("sku_code"),)
    assert table.checks == (Check("size > 0"),)


def test_defaults_are_not_shared_between_objects() -> None:
    class Bag(Model):
        id: int = fields.IDField()
        items: list[str] = fields.ArrayField(str, default=["a"])
        more: dict[str, Any] = fields.JSONField(default={})

    one, other = Bag(), Bag()
    one.items.append("b")
    one.more["x"] = 1
    assert (other.items, other.more) == (["a"], {})


def declare(body: str) -> None:
    exec("class Broken(Model):\n" + "".join(f"    {line}\n" for line in body.split("\n")), {**globals()})


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("name = fields.StringField()", "Broken has no primary keys; it needs one, such as `id: int"),
        ("id = fields.IDField()\nkey = fields.UUIDField(primary_key=True)", "Broken has 2 primary keys"),
        (
            "id = fields.IDField()\nage: int",
            "Broken.age has a type and no field: write `age = fields.IntegerField()`",
        ),
        ("id = fields.IDField()\nsave = fields.BoolField()", "Broken.save: `save` is taken by Model"),
        ("id = fields.IDField()\npk = fields.BoolField()", "Broken.pk: `pk` is taken by Model"),
        ("id = fields.IDField()\na__b = fields.BoolField()", "a field's name has no double underscore"),
        ("id = fields.IDField()\nowner = fields.ForeignKey(User)", "Call it `owner_id`"),
        ("id = fields.IDField()\na = fields.BoolField(db_column='id')", "two fields share the column `id`"),
        ("id = fields.IDField()\nclass Meta:\n    tabel = 'x'", "Broken.Meta has no option `tabel`"),
        (
            "id = fields.IDField()\nclass Meta:\n    ordering = 'id'",
            "Broken.Meta.ordering is a list of field names",
        ),
        ("id = fields.IDField()\nclass Meta:\n    ordering = ['nope']", "Broken has no field `nope`"),
        ("id = fields.IDField()\nclass Meta:\n    indexes = (Index('nope'),)", "Broken has no field `nope`"),
        (
            "id = fields.IDField()\nclass Meta:\n    constraints = (Index('id'),)",
            "Unique(...) and Check(...) only",
        ),
        (
            "id = fields.DecimalField(max_digits=2, decimal_places=3)",
            "decimal_places is between 0 and max_digits",
        ),
    ],
)
def test_a_wrong_declaration_is_refused_at_once(body: str, sentence: str) -> None:
    with pytest.raises(ValueError if "no field `nope`" in sentence else ModelError) as caught:
        declare(body)
    assert sentence in str(caught.value)


def test_a_reference_to_nothing_is_refused_when_it_is_first_followed() -> None:
    class Lost(Model):
        id: int = fields.IDField()
        it_id: int = fields.ForeignKey("Nowhere")
        key_id: int = fields.ForeignKey("Keyed")
        text_id: int = fields.ForeignKey("sys")

    with pytest.raises(ModelError, match=r"Lost\.it_id refers to `Nowhere`, which is not found in"):
        Lost.objects.filter(it__id=1)
    with pytest.raises(ModelError, match=r"Lost\.key_id holds a bigint and Keyed\.id is a uuid"):
        Lost.objects.filter(key__id=1)
    with pytest.raises(ModelError, match="which is no model"):
        Lost.objects.filter(text__id=1)
