"""Serializer: how a model is shown to clients and what they may write, declared once.

    class BookSerializer(Serializer):
        model = Book
        exclude = ("internal_note",)
        read_only = ("owner_id",)

        author = nested(AuthorSerializer)

        @computed
        def is_long(self, book: Book) -> bool:
            return book.pages > 500

        def validate_title(self, title: str) -> str:
            if title.isupper():
                raise ValueError("Do not shout.")
            return title.strip()

Four Structs are derived when the class is made: `Output` for answers, `Input` for creating, `Update` for replacing,
`Patch` for partial updates. They are what is validated, encoded and documented; a Serializer that hides and
computes nothing shows the model itself and costs nothing.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any, ClassVar, TypeVar, get_type_hints

import msgspec

from swift.http import Request
from swift.models import Model, QuerySet

from .derive import (
    define,
    display_of,
    input_struct,
    output_struct,
    partial_struct,
    plain_fields,
    shown,
    update_struct,
)
from .validation import Checker, checks_of, validated

F = TypeVar("F", bound=Callable[..., Any])

ALL = "__all__"


class Nested(msgspec.Struct, frozen=True):
    """A relation shown by a Serializer of its own."""

    serializer: type[Serializer]


def nested(serializer: type[Serializer]) -> Any:
    """Show a relation by another Serializer; the attribute is named after the relation."""
    return Nested(serializer)


def computed(function: F) -> F:
    """A member of the answer that a method makes of the object; its return annotation is its type."""
    function.swift_computed = True  # type: ignore[attr-defined]
    return function


class Serializer:
    """See the module. An instance serves one request, which is `self.request`; `self.instance` is the object to update.

    `fields` chooses among the model's fields and the class's own nested and computed members, `exclude` leaves
    some out. `read_only` fields are shown and never taken, `write_only` fields taken and never shown.
    """

    model: ClassVar[type[Model]]
    fields: ClassVar[Collection[str] | str] = ALL
    exclude: ClassVar[Collection[str]] = ()
    read_only: ClassVar[Collection[str]] = ()
    write_only: ClassVar[Collection[str]] = ()

    Output: ClassVar[type[msgspec.Struct]]
    Input: ClassVar[type[msgspec.Struct]]
    Update: ClassVar[type[msgspec.Struct]]
    Patch: ClassVar[type[msgspec.Struct]]
    # The relations that showing an object needs, as select_related and prefetch_related take them.
    related: ClassVar[tuple[str, ...]] = ()
    prefetched: ClassVar[tuple[str, ...]] = ()
    # The members of Output that are not plain attributes: how each is made.
    _makers: ClassVar[Mapping[str, Callable[[Any, Any], Any]]] = {}
    _checks: ClassVar[Mapping[str, str]] = {}
    _display: ClassVar[Callable[[Any], Any]]

    def __init__(self, request: Request | None = None, instance: Any = None) -> None:
        self.request = request
        self.instance = instance

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        model = getattr(cls, "model", None)
        if model is None:
            return
        for name in ("fields", "exclude", "read_only", "write_only"):
            given = getattr(cls, name)
            if isinstance(given, str) and not (name == "fields" and given == ALL):
                raise TypeError(f"{cls.__name__}.{name} is {given!r}; give a list of names.")
        chosen = None if cls.fields == ALL else tuple(cls.fields)
        members = {
            name: value
            for name, value in members_of(cls).items()
            if (isinstance(value, Nested) or getattr(value, "swift_computed", False))
            and (chosen is None or name in chosen)
        }
        own = None if chosen is None else [name for name in chosen if name not in members]
        for name in (*cls.exclude, *cls.read_only, *cls.write_only):
            shown(model, (name,), ())
        locked = {*cls.exclude, *cls.read_only}
        cls.Input = input_struct(model, fields=own, exclude=locked)
        cls.Update = update_struct(model, fields=own, exclude=locked)
        cls.Patch = partial_struct(model, fields=own, exclude=locked)
        cls.Output = output_struct(model, fields=own, exclude={*cls.exclude, *cls.write_only})
        links = {name: cls._link(name) for name, value in members.items() if isinstance(value, Nested)}
        cls._makers = {name: maker(name, value, links.get(name)) for name, value in members.items()}
        cls.related, cls.prefetched = loaded_by(members, links)
        if members:
            cls.Output = cls._extended(members)
        else:
            cls._display = staticmethod(display_of(model, cls.Output))
        known = model._meta.fields
        cls._checks = checks_of(cls, known, cls.Input.__struct_fields__, Serializer)

    @classmethod
    def _extended(cls, members: Mapping[str, Any]) -> type[msgspec.Struct]:
        """Output with the nested and computed members behind the model's own."""
        output: list[Any] = [
            (item.name, item.type, msgspec.field(name=item.encode_name))
            for item in msgspec.structs.fields(cls.Output)
        ]
        for name, value in members.items():
            if isinstance(value, Nested):
                output.append((name, cls._type_of_relation(name, value)))
            elif name in cls.model._meta.fields:
                raise ValueError(
                    f"{cls.__name__}.{name} computes a field of the model; give it another name."
                )
            elif inspect.iscoroutinefunction(value):
                raise TypeError(f"{cls.__name__}.{name} is `async def`; a computed member is made at once.")
            else:
                returns = get_type_hints(value, include_extras=True).get("return")
                if returns is None:
                    raise TypeError(
                        f"{cls.__name__}.{name} has no return annotation; it is the type of the member."
                    )
                output.append((name, returns))
        return define(cls.model, cls.model.__name__, output)

    @classmethod
    def _type_of_relation(cls, name: str, value: Nested) -> Any:
        link = cls._link(name)
        if link.many:
            return list[value.serializer.Output]  # type: ignore[name-defined]
        return value.serializer.Output | None if link.null else value.serializer.Output

    @classmethod
    def _link(cls, name: str) -> Any:
        link = cls.model._meta.link(name)
        if link is None:
            known = ", ".join(cls.model._meta.links) or "none"
            raise ValueError(f"{cls.model.__name__} has no relation `{name}`; there are {known}.")
        return link

    @classmethod
    def load_related(cls, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The query with what showing its objects needs."""
        if cls.related:
            queryset = queryset.select_related(*cls.related)
        return queryset.prefetch_related(*cls.prefetched) if cls.prefetched else queryset

    @classmethod
    def columns(cls) -> tuple[str, ...] | None:
        """The model's fields that answers show as they are; None when they show more, or `show` is overridden."""
        if cls._makers or cls.show is not Serializer.show:
            return None
        return plain_fields(cls.model, cls.Output)

    @classmethod
    def validates(cls) -> bool:
        """Whether the class has checks of its own."""
        return bool(cls._checks) or cls.validate is not Serializer.validate

    @classmethod
    def completes(cls) -> bool:
        """Whether `validate` may add what clients do not write."""
        return cls.validate is not Serializer.validate

    def show(self, obj: Any) -> Any:
        """The object as answers hold it."""
        makers = self._makers
        if not makers:
            return type(self)._display(obj)
        output = type(self).Output
        return output(
            **{
                name: makers[name](self, obj) if name in makers else getattr(obj, name)
                for name in output.__struct_fields__
            }
        )

    def validate(self, values: dict[str, Any]) -> Any:
        """Check what only several fields together can tell, `def` or `async def`; return the values.

        Raise ValueError with a sentence for the client. A partial update has the sent fields only.
        """
        return values

    def checker(self) -> Checker:
        return Checker(self, self._checks, type(self).validate is not Serializer.validate)

    async def check(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values as `validate_<field>` and `validate` leave them; 422 with everything they refused."""
        return await validated(values, [self.checker()], self.model._meta.json_names)


def members_of(cls: type) -> dict[str, Any]:
    """The attributes of a class and its bases, in the order of their declaration."""
    found: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        found.update(vars(base))
    return found


def loaded_by(
    members: Mapping[str, Any], links: Mapping[str, Any]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The relations to load in the query of the objects, and those to load in queries of their own."""
    joined: list[str] = []
    apart: list[str] = []
    for name, link in links.items():
        inner = members[name].serializer
        (apart if link.many else joined).append(name)
        (apart if link.many else joined).extend(f"{name}__{step}" for step in inner.related)
        apart += (f"{name}__{step}" for step in inner.prefetched)
    return tuple(joined), tuple(apart)


def maker(name: str, member: Any, link: Any) -> Callable[[Any, Any], Any]:
    """The function from (serializer, object) to a member that is no plain attribute."""
    if not isinstance(member, Nested):
        return member  # type: ignore[no-any-return]
    if link.many:

        def show_all(outer: Serializer, obj: Any) -> Any:
            inner = member.serializer(outer.request)
            return [inner.show(related) for related in getattr(obj, name)]

        return show_all

    def show(outer: Serializer, obj: Any) -> Any:
        related = getattr(obj, name)
        return None if related is None else member.serializer(outer.request).show(related)

    return show
