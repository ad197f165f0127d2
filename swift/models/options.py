"""`Model._meta`: what a model is made of, for everything that works with models in general."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from swift.engines.schema import Check, Column, Index, Table, Unique
from swift.models.errors import FieldError, ModelError
from swift.models.field import Field, ForeignKeyField
from swift.models.relations import Link, ManyToMany, Reverse, attach_waiting
from swift.models.scopes import rules_of

if TYPE_CHECKING:
    from swift.models.lookups import Path
    from swift.models.manyfield import ManyField
    from swift.models.model import Model

META = (
    "db_table",
    "schema",
    "ordering",
    "indexes",
    "constraints",
    "abstract",
    "verbose_name",
    "comment",
    "soft_delete",
    "tenant_field",
    "managed",
)
# What an abstract model gives to its heirs.
INHERITED = ("ordering", "indexes", "constraints", "soft_delete", "tenant_field", "schema")
# Names of paths and lookups kept resolved per model. Programs use few; data in names must not grow it for
# ever.
MAX_RESOLVED = 2048


class Options:
    """The description of one model.

    `fields` maps attribute names to fields in declaration order, `relations` relation names to foreign keys,
    `columns` attribute names to columns, `json_names` attribute names to keys of the encoded object.
    """

    def __init__(self, name: str, fields: Mapping[str, Field], meta: Mapping[str, Any]) -> None:
        for key in meta:
            if key not in META:
                raise ModelError(f"{name}.Meta has no option `{key}`; there are {', '.join(META)}.")
        self.name = name
        self.verbose_name: str = meta.get("verbose_name") or words(name)
        self.abstract: bool = meta.get("abstract", False)
        self.fields: dict[str, Field] = dict(fields)
        self.relations: dict[str, ForeignKeyField] = {
            field.relation: field for field in fields.values() if isinstance(field, ForeignKeyField)
        }
        # What others' foreign keys and many-to-many relations add: names to links.
        self.reverse: dict[str, Reverse | ManyToMany] = {}
        self.many: dict[str, ManyField] = {}
        # Attempts to attach relations to models that were not known yet.
        self.waiting: list[Callable[[], bool]] = []
        self.columns: dict[str, Column] = {}
        self.json_names: dict[str, str] = {}
        self.resolved: dict[str, Path] = {}
        # The query of all rows, per manager of the model.
        self.queries: dict[Any, Any] = {}
        if isinstance(meta.get("ordering"), str):
            raise ModelError(f"{name}.Meta.ordering is a list of field names.")
        self.ordering: tuple[str, ...] = tuple(meta.get("ordering", ()))
        self.names = tuple(self.fields)
        self.names_without_pk = tuple(key for key, field in self.fields.items() if not field.primary_key)
        # The fields that are set on creating or saving.
        self.stamped = tuple(key for key, field in self.fields.items() if field.auto in ("create", "update"))
        self.meta = dict(meta)
        self.scopes = () if self.abstract else rules_of(meta)
        # Whether its table is ours to create and change: not that of a view.
        self.managed: bool = meta.get("managed", True)
        self.soft_delete: str | None = meta.get("soft_delete")
        self.tenant_field: str | None = meta.get("tenant_field")
        self.validated = tuple(key for key, field in self.fields.items() if field.validators)
        # Whether writing an object asks more than its columns do.
        self.guarded = bool(self.validated or self.tenant_field)
        # The hooks that the model has.
        self.hooks: frozenset[str] = frozenset()
        # What the database fills in where an object does not say it.
        self.given_by_database = tuple(key for key, field in self.fields.items() if field.db_default)
        if not self.abstract:
            for rule in self.scopes:
                self.field(rule.field)
            self._pk = self.find_primary_key()
            self.table = self.make_table(meta)
            self.check_ordering()

    model: type[Model]

    @property
    def tables(self) -> tuple[Table, ...]:
        """The table, and those of its many-to-many relations that no model declares."""
        between = (field.through() for field in self.many.values() if field.is_automatic)
        return (self.table, *(model._meta.table for model in between))

    @property
    def snake_name(self) -> str:
        return snake_case(self.name)

    def link(self, name: str) -> Link | None:
        """The relation of that name, forwards or backwards."""
        found: Link | None = self.relations.get(name) or self.reverse.get(name)
        if found is None and name not in self.fields:
            attach_waiting()
            found = self.reverse.get(name)
        return found

    @property
    def leads_out(self) -> bool:
        """Whether it has any relation known by now."""
        return bool(self.relations or self.reverse)

    @property
    def links(self) -> list[str]:
        """The names of all relations."""
        attach_waiting()
        return [*self.relations, *self.reverse]

    def __repr__(self) -> str:
        return f"<Options of {self.name}>"

    def find_primary_key(self) -> Field:
        keys = [field for field in self.fields.values() if field.primary_key]
        if len(keys) != 1:
            raise ModelError(
                f"{self.name} has {len(keys) or 'no'} primary keys; it needs one, such as "
                "`id: int = fields.IDField()`."
            )
        return keys[0]

    @property
    def pk(self) -> Field:
        """The primary key's field."""
        if self.abstract:
            raise ModelError(f"{self.name} is abstract: it has no table and no primary key.")
        return self._pk

    def make_table(self, meta: Mapping[str, Any]) -> Table:
        self.columns = {name: field.column() for name, field in self.fields.items()}
        names = [column.name for column in self.columns.values()]
        for column_name in names:
            if names.count(column_name) > 1:
                raise ModelError(f"{self.name}: two fields share the column `{column_name}`.")
        constraints = meta.get("constraints", ())
        uniques = tuple(
            Unique(*self.column_names(item.fields), name=item.name)
            for item in constraints
            if isinstance(item, Unique)
        )
        checks = tuple(item for item in constraints if isinstance(item, Check))
        if any(not isinstance(item, (Unique, Check)) for item in constraints):
            raise ModelError(f"{self.name}.Meta.constraints holds Unique(...) and Check(...) only.")
        checks += tuple(
            Check(field.check, name=f"{self.columns[name].name}_valid")
            for name, field in self.fields.items()
            if field.check
        )
        checks += tuple(
            Check(f"{column.name} >= {column.least}", name=f"{column.name}_least")
            for column in self.columns.values()
            if column.least is not None
        )
        indexes = tuple(
            Index(*self.column_names(item.fields), name=item.name, unique=item.unique, where=item.where)
            for item in meta.get("indexes", ())
        )
        return Table(
            name=meta.get("db_table") or snake_case(self.name),
            columns=tuple(self.columns.values()),
            schema=meta.get("schema"),
            indexes=indexes,
            uniques=uniques,
            checks=checks,
            comment=meta.get("comment"),
        )

    def column_names(self, names: tuple[str, ...]) -> list[str]:
        """The columns of fields; a `-` before a name stays."""
        return [
            name[: len(name) - len(name.lstrip("-"))] + self.columns[self.field(name.lstrip("-")).name].name
            for name in names
        ]

    def check_ordering(self) -> None:
        for name in self.ordering:
            if "__" not in name:
                self.field(name.removeprefix("-"))

    def field(self, name: str) -> Field:
        """The field called `name` (`pk` is the primary key). Raises FieldError."""
        found = self.fields.get(name)
        if found is not None:
            return found
        if name == "pk":
            return self.pk
        if (relation := self.relations.get(name)) is not None:
            return relation
        raise FieldError(f"{self.name} has no field `{name}`; there are {', '.join(self.fields)}.")

    def field_of(self, column: str) -> Field | None:
        """The field whose database column is `column`, as an IntegrityError names it."""
        return next((self.fields[name] for name, found in self.columns.items() if found.name == column), None)


def snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def words(name: str) -> str:
    return snake_case(name).replace("_", " ")
