"""A field: one attribute of a model, its column, its type and its limits.

`swift.models.fields` has the constructors (`StringField(...)`); what they make is a Field. The metaclass
of Model takes the fields out of the class body and builds the Struct and the Table from them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict

import msgspec

from swift.engines.schema import Column, Default, Kind, OnDelete, Reference, Table
from swift.models.errors import ModelError

if TYPE_CHECKING:
    from swift.models.model import Model
    from swift.models.relations import Hop


class Options(TypedDict, total=False):
    """What every field takes."""

    primary_key: bool
    unique: bool
    index: bool
    db_column: str
    default_factory: Callable[[], Any]
    read_only: bool
    write_only: bool
    title: str
    description: str
    examples: list[Any]
    db_default: Any
    db_comment: str
    check: str
    validators: Sequence[Callable[[Any], Any]]


@dataclass(slots=True, eq=False)
class Field:
    """One field. `type` is the Python type of its values, without None and constraints.

    `read_only` and `write_only` are for serializers: a read-only field is never taken from a request, a
    write-only field is never shown. `auto` says when the field sets itself: "create", "update", or by the
    database ("id").
    """

    kind: Kind
    type: Any
    null: bool = False
    default: Any = msgspec.NODEFAULT
    default_factory: Callable[[], Any] | None = None
    primary_key: bool = False
    unique: bool = False
    index: bool = False
    db_column: str = ""
    read_only: bool = False
    write_only: bool = False
    title: str | None = None
    description: str | None = None
    examples: list[Any] | None = None
    auto: Literal["", "id", "create", "update", "tenant"] = ""
    max_length: int | None = None
    max_digits: int | None = None
    decimal_places: int | None = None
    enum: type[Enum] | None = None
    db_default: Any = None
    db_comment: str | None = None
    # A condition of the column, in SQL.
    check: str | None = None
    # Functions that raise ValueError for a value that does not do.
    validators: Sequence[Callable[[Any], Any]] = ()
    choices: tuple[Any, ...] | None = None
    bits: int | None = None
    least: int | None = None
    limits: dict[str, Any] = field(default_factory=dict)
    # Set by the model's metaclass.
    name: str = ""
    model: str = ""

    def bind(self, name: str, model: str, module: str) -> Field:
        """This field as `name` of `model`; the declaration itself may serve several models."""
        if self.db_default is not None and (self.null or self.default is not msgspec.NODEFAULT):
            raise ModelError(
                f"{model}.{name}: `db_default` fills in what is not given, so it goes neither with `null` nor "
                "with `default`."
            )
        if self.null and self.default is msgspec.NODEFAULT and self.default_factory is None:
            return replace(self, name=name, model=model, default=None)
        return replace(self, name=name, model=model)

    @property
    def label(self) -> str:
        return f"{self.model}.{self.name}"

    @property
    def required(self) -> bool:
        """Whether a new object needs a value for it from the caller."""
        return (
            self.default is msgspec.NODEFAULT
            and self.default_factory is None
            and not self.auto
            and self.db_default is None
        )

    @property
    def constrained(self) -> Any:
        """The type with its limits and its text for documentation, as msgspec validates it."""
        extra: dict[str, Any] = {
            key: value
            for key, value in (
                ("title", self.title),
                ("description", self.description),
                ("examples", self.examples),
            )
            if value is not None
        }
        extra.update(self.limits)
        return Annotated[self.type, msgspec.Meta(**extra)] if extra else self.type

    @property
    def annotation(self) -> Any:
        """The type of the Struct's attribute."""
        return self.constrained | None if self.null else self.constrained

    def struct_default(self) -> Any:
        """What the Struct's constructor takes when the field is not given; NODEFAULT where it must be."""
        if self.default_factory is not None:
            return msgspec.field(default_factory=self.default_factory)
        if self.default is not msgspec.NODEFAULT:
            if isinstance(self.default, (list, dict)) and self.default:
                return msgspec.field(default_factory=partial(deepcopy, self.default))
            return self.default
        # Filled in by the database or on saving; None says "not yet".
        return None if self.auto or self.db_default is not None else msgspec.NODEFAULT

    def database_default(self) -> Default | None:
        from swift.models.expressions import Function

        given = self.db_default
        if given is None:
            return None
        if isinstance(given, Function) and given.function == "now":
            return Default(function="now")
        return Default(given)

    def column(self) -> Column:
        return Column(
            name=self.db_column or self.name,
            kind=self.kind,
            label=self.label,
            nullable=self.null,
            primary_key=self.primary_key,
            autoincrement=self.auto == "id",
            unique=self.unique and not self.primary_key,
            index=self.index,
            length=self.max_length,
            digits=self.max_digits,
            places=self.decimal_places,
            enum=self.enum,
            default=self.database_default(),
            choices=self.choices,
            bits=self.bits,
            least=self.least,
            comment=self.db_comment,
        )


class Related:
    """Stands in a class body for a relation whose type is told: see `fields.Related`."""


@dataclass(slots=True, eq=False)
class ForeignKeyField(Field):
    """A field that holds the primary key of a row of another model. `author_id` makes the relation
    `author`.
    """

    to: Any = None
    on_delete: OnDelete = "restrict"
    # The name of the way back, on the model it refers to.
    related_name: str = ""
    module: str = ""

    def bind(self, name: str, model: str, module: str) -> Field:
        if not name.endswith("_id") or name == "_id":
            raise ModelError(
                f"{model}.{name}: a ForeignKey is named after its column. Call it `{name}_id`; the object it "
                f"refers to is then `{name}`."
            )
        bound = Field.bind(self, name, model, module)
        assert isinstance(bound, ForeignKeyField)
        bound.module = module
        return bound

    @property
    def relation(self) -> str:
        return self.name.removesuffix("_id")

    @property
    def many(self) -> bool:
        return False

    def hops(self) -> tuple[Hop, ...]:
        """The one join to its target."""
        from swift.models.relations import Hop

        target = self.target()._meta
        return (Hop(target, self.name, target.pk.name),)

    def target(self) -> type[Model]:
        """The model it refers to. A name is looked up where the field was declared, on first use."""
        from swift.models.model import Model

        if isinstance(self.to, str):
            self.to = self.find(self.to)
        elif not isinstance(self.to, type):
            self.to = self.to()
        if not (isinstance(self.to, type) and issubclass(self.to, Model)):
            raise ModelError(f"{self.label} refers to {self.to!r}, which is no model.")
        key = self.to._meta.pk
        if self.kind and key.kind != self.kind:
            raise ModelError(
                f"{self.label} holds a {self.kind} and {key.label} is a {key.kind}. Annotate it with the "
                "type of that key, or declare the other model first and give the class itself."
            )
        return self.to

    def find(self, name: str) -> Any:
        path, _, last = name.rpartition(".")
        try:
            module = import_module(path) if path else sys.modules[self.module]
            return getattr(module, last)
        except (ImportError, AttributeError, KeyError):
            raise ModelError(
                f"{self.label} refers to `{name}`, which is not found in `{path or self.module}`. "
                "Give the class itself, a dotted path, or a function that returns it."
            ) from None

    def column(self) -> Column:
        def table() -> Table:
            return self.target()._meta.table

        return replace(Field.column(self), reference=Reference(table, self.on_delete))
