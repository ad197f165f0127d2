"""Model: a msgspec Struct that knows its table.

The class body is read once, by the metaclass: each field becomes an attribute of the Struct with the
field's type and limits (so decoding a User validates it), and a column of the table. What is left is an
ordinary Struct class: slotted, compared by value, encodable as it is. Objects have a `__dict__` besides,
for what a query adds to them (annotations, loaded relations); it is not encoded.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, ClassVar, Self, dataclass_transform

import msgspec

from swift.engines.database import Database
from swift.models import errors
from swift.models.errors import ModelError
from swift.models.field import Field, ForeignKeyField, Related
from swift.models.manager import DefaultManager, Manager
from swift.models.manyfield import ManyField
from swift.models.options import INHERITED, Options
from swift.models.relations import declare_reverse

if TYPE_CHECKING:
    from swift.engines.metadata import Columns


class ModelMeta(msgspec.StructMeta):
    """Turns a class body with fields into a Struct with a table."""

    def __new__(
        mcls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **config: Any
    ) -> ModelMeta:
        parents = [base for base in bases if isinstance(base, ModelMeta)]
        if not parents:
            return super().__new__(mcls, name, bases, namespace, **config)
        module = namespace.get("__module__", "")
        own = own_fields(name, namespace, module)
        inherited: dict[str, Field] = {}
        many: dict[str, ManyField] = {}
        for parent in reversed(parents):
            inherited.update(getattr(getattr(parent, "_meta", None), "fields", {}))
            many.update(getattr(getattr(parent, "_meta", None), "many", {}))
        many.update({key: value for key, value in namespace.items() if isinstance(value, ManyField)})
        fields = {key: field.bind(key, name, module) for key, field in inherited.items() if key not in own}
        fields.update(own)
        settle_keys(fields, namespace)
        meta = meta_of(namespace, parents)
        if not meta.get("abstract") and (owned := fields.get(meta.get("tenant_field", ""))) is not None:
            owned.auto, owned.read_only = "tenant", True
        options = Options(name, fields, meta)
        refuse_taken_names(name, own)

        annotations = {key: note for key, note in annotations_of(namespace).items() if is_class_var(note)}
        check_annotations(name, namespace, own, fields, many)
        for key in ("Meta", "__annotate__", "__annotate_func__"):
            namespace.pop(key, None)
        for key in [
            key for key, value in namespace.items() if key in own or isinstance(value, (Related, ManyField))
        ]:
            del namespace[key]
        # An abstract model is a Struct of nothing, so that a model may inherit from several.
        for key, field in () if options.abstract else fields.items():
            annotations[key] = field.annotation
            default = field.struct_default()
            if default is not msgspec.NODEFAULT:
                namespace[key] = default
        namespace["__annotations__"] = annotations
        for relation, field in options.relations.items():
            namespace[relation] = Relation(field)
        config.setdefault("kw_only", True)
        config.setdefault("dict", True)
        model: Any = super().__new__(mcls, name, bases, namespace, **config)
        finish(model, options, namespace)
        options.many = {
            key: value if options.abstract else value.bind(key, model) for key, value in many.items()
        }
        if not options.abstract:
            declare_reverse(model)
        return model  # type: ignore[no-any-return]

    @property
    def c(cls) -> Columns:
        """The columns by field name, as SQLAlchemy has them: `User.objects.filter(User.c.age >= 18)`."""
        from swift.engines.metadata import sql_columns

        return sql_columns(cls._meta.table, cls._meta.columns)  # type: ignore[attr-defined]


def own_fields(model: str, namespace: dict[str, Any], module: str) -> dict[str, Field]:
    return {
        key: value.bind(key, model, module) for key, value in namespace.items() if isinstance(value, Field)
    }


def annotations_of(namespace: dict[str, Any]) -> dict[str, Any]:
    if "__annotations__" in namespace:
        return dict(namespace["__annotations__"])
    if sys.version_info >= (3, 14):
        import annotationlib

        if (annotate := annotationlib.get_annotate_from_class_namespace(namespace)) is not None:
            return annotationlib.call_annotate_function(annotate, annotationlib.Format.FORWARDREF)
    return {}


def is_class_var(note: Any) -> bool:
    return "ClassVar" in (note if isinstance(note, str) else repr(note)).partition("[")[0]


def check_annotations(
    model: str,
    namespace: dict[str, Any],
    own: dict[str, Field],
    fields: dict[str, Field],
    many: dict[str, ManyField],
) -> None:
    """An annotation alone declares nothing, unless it tells the type of a relation."""
    relations = {field.relation for field in fields.values() if isinstance(field, ForeignKeyField)}
    relations.update(many)
    relations.update(key for key, value in namespace.items() if isinstance(value, Related))
    for key, note in annotations_of(namespace).items():
        if key not in own and key not in relations and not is_class_var(note):
            raise ModelError(
                f"{model}.{key} has a type and no field: write `{key} = fields.IntegerField()` (or whichever "
                "it is), or `ClassVar[...]` if it is no field."
            )


def settle_keys(fields: dict[str, Field], namespace: dict[str, Any]) -> None:
    """A foreign key holds what its target's primary key holds."""
    notes = annotations_of(namespace)
    for name, field in fields.items():
        if not isinstance(field, ForeignKeyField):
            continue
        if isinstance(field.to, ModelMeta):
            key: Field | None = field.to._meta.pk  # type: ignore[attr-defined]
        elif field.to in ("self", field.model):
            field.to = field.model
            key = next((other for other in fields.values() if other.primary_key), None)
        else:
            key = None
        if key is not None:
            field.kind, field.type = key.kind, key.type
            field.max_length = key.max_length
        else:
            # The target is declared later; the annotation says what its key is.
            note = notes.get(name, int)
            written = note if isinstance(note, str) else getattr(note, "__name__", str(note))
            if "UUID" in written:
                from uuid import UUID

                field.kind, field.type = "uuid", UUID
            elif "str" in written:
                field.kind, field.type = "string", str


def meta_of(namespace: dict[str, Any], parents: list[ModelMeta]) -> dict[str, Any]:
    """The options of the class body's Meta, and those of abstract parents where it has none."""
    found: dict[str, Any] = {}
    for parent in reversed(parents):
        options = getattr(parent, "_meta", None)
        if options is not None:
            inherited = INHERITED if options.abstract else ("ordering",)
            found.update({key: options.meta[key] for key in inherited if key in options.meta})
    meta = namespace.get("Meta")
    if meta is not None:
        for holder in reversed(meta.__mro__[:-1]):
            found.update({key: value for key, value in vars(holder).items() if not key.startswith("__")})
        if "abstract" in found and "abstract" not in vars(meta):
            del found["abstract"]
    return found


def refuse_taken_names(model: str, own: dict[str, Field]) -> None:
    for name in own:
        if "__" in name or name.startswith("_"):
            raise ModelError(
                f"{model}.{name}: a field's name has no double underscore and starts with a letter."
            )
        if name == "pk" or hasattr(Model, name):
            raise ModelError(f"{model}.{name}: `{name}` is taken by Model; give the field another name.")


def finish(model: Any, options: Options, namespace: dict[str, Any]) -> None:
    options.model = model
    options.hooks = frozenset(
        name for name in HOOKS if getattr(model, name) is not getattr(Model, name, None)
    )
    options.json_names = dict(zip(model.__struct_fields__, model.__struct_encode_fields__, strict=True))
    model._meta = options
    where = {"__module__": model.__module__, "__qualname__": f"{model.__qualname__}.DoesNotExist"}
    model.DoesNotExist = type("DoesNotExist", (errors.DoesNotExist,), where)
    where = {"__module__": model.__module__, "__qualname__": f"{model.__qualname__}.MultipleObjectsReturned"}
    model.MultipleObjectsReturned = type("MultipleObjectsReturned", (errors.MultipleObjectsReturned,), where)


HOOKS = ("before_save", "after_save", "before_delete", "after_delete")


class Relation:
    """What `post.author` is: the object that is loaded or was set, while `post.author_id` is its key.

    Setting it sets the key too; a key that was changed since makes it not loaded.
    """

    def __init__(self, field: ForeignKeyField) -> None:
        self.name = field.relation
        self.key = field.name

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        found = instance.__dict__.get(self.name, self)
        if found is None or (found is not self and found.pk == getattr(instance, self.key)):
            return found
        raise AttributeError(
            f'{owner.__name__}.{self.name} is not loaded. Ask for it with `.select_related("{self.name}")`, '
            f"or fetch it by `{self.key}`."
        )

    def __set__(self, instance: Any, value: Any) -> None:
        if value is not None and getattr(value, "pk", None) is None:
            raise errors.FieldError(
                f"{type(instance).__name__}.{self.name} is set to an object that was saved; save it first."
            )
        setattr(instance, self.key, None if value is None else value.pk)
        instance.__dict__[self.name] = value


@dataclass_transform(kw_only_default=True)
class Model(msgspec.Struct, metaclass=ModelMeta, kw_only=True, dict=True):
    """A row of a table as an object. Subclasses declare fields; `Meta` names the table and its rules."""

    _meta: ClassVar[Options]
    DoesNotExist: ClassVar[type[errors.DoesNotExist]] = errors.DoesNotExist
    MultipleObjectsReturned: ClassVar[type[errors.MultipleObjectsReturned]] = errors.MultipleObjectsReturned
    objects: ClassVar[DefaultManager] = Manager()

    @property
    def pk(self) -> Any:
        """The value of the primary key; None before the object is saved, where the database counts it up."""
        return getattr(self, self._meta.pk.name)

    async def save(self, *, using: Database | None = None, only: list[str] | None = None) -> Self:
        """Insert or update. `only` names the fields to write to a row that exists. Returns the object
        itself.
        """
        from swift.models.saving import save

        return await save(self, using, only)

    async def delete(self, *, using: Database | None = None) -> bool:
        """Delete the row; whether there was one."""
        from swift.models.saving import delete

        return await delete(self, using)

    # Hooks: a model overrides them, with `def` or `async def`. One that raises undoes the change. Queries
    # that change many rows at once (update, delete, bulk_update) have no objects and run none.

    def before_save(self, *, created: bool) -> Any:
        """Called before the object is inserted (`created`) or updated."""

    def after_save(self, *, created: bool) -> Any:
        """Called when it has been."""

    def before_delete(self) -> Any:
        """Called before `delete()` deletes it."""

    def after_delete(self) -> Any:
        """Called when it has."""

    async def refresh(self, *, using: Database | None = None) -> Self:
        """Read the row again into this object. Raises DoesNotExist."""
        fresh = await type(self).objects.using(using).get(pk=self.pk)
        for name in self._meta.fields:
            setattr(self, name, getattr(fresh, name))
        # What was loaded around the object is of an earlier moment.
        for name in (*self._meta.relations, *self._meta.reverse):
            self.__dict__.pop(name, None)
        return self
