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

Three Structs are derived when the class is made: `Output` for answers, `Input` for creating and replacing,
`Patch` for partial updates. They are what is validated, encoded and documented; a Serializer that hides and
computes nothing has the model itself as its `Output` and costs nothing.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any, ClassVar, TypeVar, get_type_hints

import msgspec

from swift.http import ErrorDetail, Request, UnprocessableContent
from swift.models import Model

from .derive import define, input_struct, partial_struct, read_struct, shown

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
    """See the module. An instance serves one request, which is `self.request`."""

    model: ClassVar[type[Model]]
    fields: ClassVar[Collection[str] | str] = ALL
    exclude: ClassVar[Collection[str]] = ()
    read_only: ClassVar[Collection[str]] = ()
    write_only: ClassVar[Collection[str]] = ()

    Output: ClassVar[type[msgspec.Struct]]
    Input: ClassVar[type[msgspec.Struct]]
    Patch: ClassVar[type[msgspec.Struct]]
    # The members of Output that are not plain attributes: how each is made.
    _makers: ClassVar[Mapping[str, Callable[[Serializer, Any], Any]]]
    _checks: ClassVar[Mapping[str, str]]

    def __init__(self, request: Request | None = None) -> None:
        self.request = request

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if getattr(cls, "model", None) is None:
            return
        chosen = None if cls.fields == ALL else tuple(cls.fields)
        relations = {name: value for name, value in _members(cls) if isinstance(value, Nested)}
        methods = {name: value for name, value in _members(cls) if getattr(value, "swift_computed", False)}
        own = (
            None
            if chosen is None
            else [name for name in chosen if name not in relations and name not in methods]
        )
        hidden = {*cls.exclude, *cls.write_only}
        for name in (*cls.read_only, *cls.write_only):
            shown(cls.model, (name,), ())
        cls.Input = input_struct(cls.model, fields=own, exclude=(*cls.exclude, *cls.read_only))
        cls.Patch = partial_struct(cls.model, fields=own, exclude=(*cls.exclude, *cls.read_only))
        cls.Output = read_struct(cls.model, fields=own, exclude=hidden)
        cls._makers = {
            **{name: _shower(name, value.serializer) for name, value in relations.items()},
            **methods,
        }
        if cls._makers:
            cls.Output = cls._extended(relations, methods)
        cls._checks = {
            name.removeprefix("validate_"): name for name in dir(cls) if name.startswith("validate_")
        }
        for field, name in cls._checks.items():
            if field not in cls.Input.__struct_fields__:
                raise ValueError(f"{cls.__name__}.{name} checks `{field}`, which clients of it cannot write.")

    @classmethod
    def _extended(cls, relations: Mapping[str, Nested], methods: Mapping[str, Any]) -> type[msgspec.Struct]:
        """Output with the nested and computed members behind the model's own."""
        members: list[Any] = [(item.name, item.type) for item in msgspec.structs.fields(cls.Output)]
        names = {item[0] for item in members}
        for name, value in relations.items():
            field = cls.model._meta.relations.get(name)
            if field is None:
                known = ", ".join(cls.model._meta.relations) or "none"
                raise ValueError(f"{cls.model.__name__} has no relation `{name}`; there are {known}.")
            members.append((name, value.serializer.Output | None if field.null else value.serializer.Output))
        for name, function in methods.items():
            if name in names:
                raise ValueError(
                    f"{cls.__name__}.{name} computes a field of the model; give it another name."
                )
            returns = get_type_hints(function, include_extras=True).get("return")
            if returns is None:
                raise TypeError(
                    f"{cls.__name__}.{name} has no return annotation; it is the type of the member."
                )
            members.append((name, returns))
        return define(cls.model, cls.model.__name__, members)

    def show(self, obj: Any) -> Any:
        """The object as answers hold it."""
        output = type(self).Output
        if output is self.model:
            return obj
        makers = self._makers
        return output(
            **{
                name: makers[name](self, obj) if name in makers else getattr(obj, name)
                for name in output.__struct_fields__
            }
        )

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        """Check what only several fields together can tell; raise ValueError with a sentence for the client."""
        return values

    async def check(self, values: dict[str, Any]) -> dict[str, Any]:
        """The values as `validate_<field>` and `validate` leave them; 422 with everything they refused."""
        errors: list[ErrorDetail] = []
        checked = dict(values)
        for field, value in values.items():
            if (name := self._checks.get(field)) is not None:
                try:
                    checked[field] = await _finished(getattr(self, name)(value))
                except ValueError as error:
                    errors.append(ErrorDetail(f"/body/{field}", "invalid", str(error)))
        if not errors:
            try:
                whole: dict[str, Any] = await _finished(self.validate(checked))
                return whole
            except ValueError as error:
                errors.append(ErrorDetail("/body", "invalid", str(error)))
        raise UnprocessableContent("The request is invalid.", errors=errors)


def _members(cls: type) -> list[tuple[str, Any]]:
    """The attributes of a class and its bases, in the order of their declaration."""
    found: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        found.update(vars(base))
    return list(found.items())


def _shower(name: str, serializer: type[Serializer]) -> Callable[[Serializer, Any], Any]:
    def show(outer: Serializer, obj: Any) -> Any:
        related = getattr(obj, name)
        return None if related is None else serializer(outer.request).show(related)

    return show


async def _finished(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value
