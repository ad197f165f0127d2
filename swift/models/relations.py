"""Links between models: a foreign key followed forwards or backwards, and many to many.

A link knows the steps of joining its target (`Hop`). What a foreign key adds to the model it refers to is
attached to that model when both are known; one declared under a name waits until somebody looks for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from swift.models.errors import FieldError, ModelError
from swift.models.field import ForeignKeyField

if TYPE_CHECKING:
    from swift.models.manyfield import ManyField
    from swift.models.model import Model
    from swift.models.options import Options


class Hop(NamedTuple):
    """One join: rows of `options` whose field `right` equals the field `left` of the row before."""

    options: Options
    left: str
    right: str


class Link(Protocol):
    """A way from one model to another. `many` tells whether it can find several objects."""

    @property
    def relation(self) -> str: ...

    @property
    def many(self) -> bool: ...

    def target(self) -> type[Model]: ...

    def hops(self) -> tuple[Hop, ...]: ...


class Reverse:
    """A foreign key from its far end: the objects (for a unique one, the object) that refer to this one."""

    def __init__(self, field: ForeignKeyField, owner: type[Model]) -> None:
        self.field = field
        self.owner = owner
        self.relation = named(field.related_name, owner)
        self.many = not (field.unique or field.primary_key)
        self.null = True

    def target(self) -> type[Model]:
        return self.owner

    def hops(self) -> tuple[Hop, ...]:
        near = self.field.target()._meta
        return (Hop(self.owner._meta, near.pk.name, self.field.name),)


class ManyToMany:
    """Many to many, from one of its ends: `near` and `far` are the foreign keys of the model between."""

    many = True
    null = False

    def __init__(self, field: ManyField, *, backwards: bool = False) -> None:
        self.field = field
        self.backwards = backwards
        self.relation = named(field.related_name, field.owner) if backwards else field.name

    def target(self) -> type[Model]:
        return self.field.owner if self.backwards else self.field.target()

    def through(self) -> type[Model]:
        return self.field.through()

    @property
    def near(self) -> str:
        return self.field.ends()[1 if self.backwards else 0]

    @property
    def far(self) -> str:
        return self.field.ends()[0 if self.backwards else 1]

    def far_key(self) -> ForeignKeyField:
        field = self.through()._meta.fields[self.far]
        assert isinstance(field, ForeignKeyField)
        return field

    def near_key(self) -> ForeignKeyField:
        field = self.through()._meta.fields[self.near]
        assert isinstance(field, ForeignKeyField)
        return field

    def hops(self) -> tuple[Hop, ...]:
        through, target = self.through()._meta, self.target()._meta
        near = self.near_key().target()._meta
        return (Hop(through, near.pk.name, self.near), Hop(target, self.far, target.pk.name))


class OneRelation:
    """What `user.profile` is until it is loaded. A loaded one stands in the object's `__dict__` before it."""

    def __init__(self, link: Reverse) -> None:
        self.link = link

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        name = self.link.relation
        raise AttributeError(
            f'{owner.__name__}.{name} is not loaded. Ask for it with `.select_related("{name}")`.'
        )


class ManyRelation:
    """What `author.books` is: a `Many` of the object it is asked on."""

    def __init__(self, link: Reverse | ManyToMany) -> None:
        self.link = link

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        from swift.models.many import Many

        return Many(self.link, instance)

    def __set__(self, instance: Any, value: Any) -> None:
        raise AttributeError(
            f"{type(instance).__name__}.{self.link.relation} is changed by `await "
            f"{self.link.relation}.set(objects)`, or add, remove and clear."
        )


def named(template: str, owner: type[Model]) -> str:
    """A related_name, where an abstract model's `{model}` stands for each heir."""
    return template.replace("{model}", owner._meta.snake_name)


def attach(link: Reverse | ManyToMany, near: type[Model], owner: type[Model]) -> None:
    """Give `near` the relation. Declared once more (a reloaded module), the later one stands."""
    options, name = near._meta, link.relation
    known = options.reverse.get(name)
    if known is None and (name in options.fields or name in options.relations or hasattr(near, name)):
        raise ModelError(
            f"{owner.__name__}: the related_name `{name}` is taken in {options.name}; choose another."
        )
    if known is not None and identity(known.target()) != identity(link.target()):
        raise ModelError(
            f"{owner.__name__}: {options.name}.{name} is the related_name of {known.target().__name__} "
            "already; choose another."
        )
    options.reverse[name] = link
    options.resolved.clear()
    descriptor = ManyRelation(link) if link.many else OneRelation(link)  # type: ignore[arg-type]
    setattr(near, name, descriptor)


def identity(model: type[Any]) -> tuple[str, str]:
    return model.__module__, model.__qualname__


def attach_waiting() -> None:
    """Attach what was declared under names that are known by now."""
    from swift.models.model import Model

    for model in heirs(Model):
        waiting = model._meta.waiting
        for attempt in list(waiting):
            # A name that is still unknown says so to whoever follows it.
            if attempt():
                waiting.remove(attempt)


def heirs(model: type[Any]) -> Iterator[type[Any]]:
    for heir in type.__subclasses__(model):
        if not heir._meta.abstract:
            yield heir
        yield from heirs(heir)


def declare_reverse(owner: type[Model]) -> None:
    """Attach, now or later, what the foreign keys of a new model give to the models they refer to."""
    options = owner._meta
    for field in options.relations.values():
        if not field.related_name:
            continue

        def attempt(field: ForeignKeyField = field) -> bool:
            try:
                near = field.target()
            except ModelError:
                return False
            attach(Reverse(field, owner), near, owner)
            return True

        if not (isinstance(field.to, type) or field.to == options.name) or not attempt():
            options.waiting.append(attempt)
    for many in options.many.values():
        link = ManyToMany(many)
        options.reverse[many.name] = link
        setattr(owner, many.name, ManyRelation(link))
        if not many.related_name:
            continue

        def meet(many: ManyField = many) -> bool:
            try:
                near = many.target()
            except ModelError:
                return False
            attach(ManyToMany(many, backwards=True), near, owner)
            return True

        if not isinstance(many.to, type) or not meet():
            options.waiting.append(meet)


def chain(options: Options, name: str) -> tuple[Link, ...]:
    """The relations to one object of a name (`author__city`)."""
    found: list[Link] = []
    for step in name.split("__"):
        relation = None if step in options.fields else options.link(step)
        if relation is None:
            known = ", ".join(options.links) or "none"
            raise FieldError(f"{options.name} has no relation `{step}` to load; it has {known}.")
        if relation.many:
            raise FieldError(
                f"{options.name}.{step} is many objects; load it with prefetch_related({name!r})."
            )
        found.append(relation)
        options = relation.target()._meta
    return tuple(found)
