"""ModelViewSet: the six actions on a Model, with hooks between the request and the database."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import UNSET

from swift.engines import InvalidValue
from swift.http import NotFound, UnprocessableContent
from swift.models import Model, QuerySet
from swift.pagination import PageNumberPagination, in_full_order, pagination_of
from swift.routing import Query
from swift.serializers import (
    display_of,
    faults_of,
    input_struct,
    output_struct,
    partial_of,
    partial_struct,
    plain_fields,
    update_struct,
)

from .actions import (
    Action,
    ActionOptions,
    Input,
    ListOutput,
    ListQuery,
    Output,
    PartialInput,
    Placeholder,
    UpdateInput,
)
from .checks import check_schemas
from .lookup import Lookup
from .viewset import ViewSet


class ModelViewSet(ViewSet):
    """List, create, retrieve, update, partially update and destroy the objects of `model`.

    `input_schema` and `output_schema` replace what is derived from the model; a partial update takes the
    fields of `partial_schema`, else those of `input_schema`, each of them optional. Override `get_queryset` to
    choose the objects, the `perform_*` hooks to change what is written, `show` to change what is answered,
    and any action as a whole. Objects are looked up by `lookup_field`, the primary key unless given.
    """

    model: ClassVar[type[Model]]
    input_schema: ClassVar[type[msgspec.Struct] | None] = None
    partial_schema: ClassVar[type[msgspec.Struct] | None] = None
    output_schema: ClassVar[type[msgspec.Struct] | None] = None
    lookup_field: ClassVar[str | None] = None
    pagination_class: ClassVar[type[PageNumberPagination] | None] = PageNumberPagination

    # What follows from these, for each class.
    lookup: ClassVar[Lookup]
    pagination: ClassVar[PageNumberPagination | None]
    input_type: ClassVar[type[msgspec.Struct]]
    update_type: ClassVar[type[msgspec.Struct]]
    partial_type: ClassVar[type[msgspec.Struct]]
    output_type: ClassVar[type[msgspec.Struct]]
    display: ClassVar[Callable[[Any], Any]]
    # The fields of a list that comes from the database as JSON; None where something here looks at its objects.
    json_fields: ClassVar[tuple[str, ...] | None]
    # The query of a list, complete, where `get_queryset` has no say in it.
    list_query: ClassVar[QuerySet[Any] | None]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        model = getattr(cls, "model", None)
        if model is None:
            return
        if not (isinstance(model, type) and issubclass(model, Model)):
            raise TypeError(f"{cls.__name__}.model is {model!r}; give a class of Model.")
        cls.lookup = Lookup(model, cls.lookup_field, f"{cls.__name__}.lookup_field")
        cls.lookup_path = cls.lookup.path
        cls.pagination = pagination_of(cls.pagination_class, f"{cls.__name__}.pagination_class")
        cls.input_type = cls.input_schema or input_struct(model)
        cls.update_type = cls.input_schema or update_struct(model)
        cls.partial_type = cls.partial_schema or (
            partial_struct(model) if cls.input_schema is None else partial_of(cls.input_schema)
        )
        cls.output_type = cls.output_schema or output_struct(model)
        cls.display = staticmethod(display_of(model, cls.output_type))
        plain = cls.list is ModelViewSet.list and cls.show is ModelViewSet.show
        cls.json_fields = plain_fields(model, cls.output_type) if plain else None
        constant = cls.get_queryset is ModelViewSet.get_queryset
        cls.list_query = cls.listed(model.objects) if constant else None

    @classmethod
    def check(cls) -> None:
        super().check()
        if getattr(cls, "model", None) is None:
            raise TypeError(f"{cls.__name__} has no model; set `model` to a class of Model.")
        check_schemas(cls, ModelViewSet)

    @classmethod
    def options_of(cls, item: Action) -> ActionOptions:
        conflict = conflict_of(cls.model, item.name)
        return {"responses": {409: conflict}, **item.options} if conflict else item.options

    @classmethod
    def resolve(cls, placeholder: Placeholder) -> Any:
        pagination = cls.pagination
        match placeholder.name:
            case "input":
                return cls.input_type
            case "update":
                return cls.update_type
            case "partial":
                return cls.partial_type
            case "output":
                return cls.output_type
            case "list_query":
                return Annotated[NoQuery if pagination is None else pagination.query, Query()]
            case "list_output":
                if pagination is None:
                    return list[cls.output_type]  # type: ignore[name-defined]
                return pagination.answer_type(cls.output_type)

    @classmethod
    def listed(cls, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The query that lists the objects of another: of the fields that are shown, in an order of pages."""
        fields = cls.json_fields
        if fields is not None and len(fields) < len(cls.model._meta.names):
            queryset = queryset.values(*fields)
        return queryset if cls.pagination is None else in_full_order(queryset)

    # Actions.

    async def list(self, query: ListQuery) -> ListOutput:
        """List the objects, page by page."""
        queryset = self.list_query
        if queryset is None:
            queryset = self.listed(self.get_queryset())
        show = self.show if self.json_fields is None else None
        if self.pagination is not None:
            return await self.pagination.paginate(queryset, self.request, query, show)
        if show is None:
            return msgspec.Raw(await queryset.fetch_json())
        return [show(obj) for obj in await queryset]

    async def create(self, data: Input) -> Output:
        """Create an object."""
        values = given(data)
        try:
            obj = await self.perform_create(values)
        except InvalidValue as error:
            raise self._refused(data, values, error) from None
        return self.show(obj)

    async def retrieve(self) -> Output:
        """Show one object."""
        return self.show(await self.get_object())

    async def update(self, data: UpdateInput) -> Output:
        """Replace an object."""
        return await self._write(data)

    async def partial_update(self, data: PartialInput) -> Output:
        """Change the fields that are sent."""
        return await self._write(data)

    async def destroy(self) -> None:
        """Delete an object."""
        await self.perform_destroy(await self.get_object())

    # Hooks.

    def get_queryset(self) -> QuerySet[Any]:
        """The objects this ViewSet is about."""
        return self.model.objects

    async def get_object(self) -> Any:
        """The object of the URL: 404 when it is not among `get_queryset`, 401 or 403 when permissions say no."""
        lookup = self.lookup
        queryset = self.get_queryset()
        try:
            obj = await queryset.get(**{lookup.name: lookup.value(self.request)})
        except (self.model.DoesNotExist, InvalidValue):
            raise NotFound(f"There is no such {self.model._meta.verbose_name}.") from None
        await self.check_object_permissions(obj)
        return obj

    async def perform_create(self, values: dict[str, Any]) -> Any:
        """Store a new object and return it."""
        return await self.model.objects.create(**values)

    async def perform_update(self, obj: Any, values: dict[str, Any]) -> Any:
        """Change an object and return it. `values` never holds the primary key."""
        for name, value in values.items():
            setattr(obj, name, value)
        return await obj.save(only=[*values]) if values else obj

    async def perform_destroy(self, obj: Any) -> None:
        """Delete an object."""
        await obj.delete()

    def show(self, obj: Any) -> Any:
        """An object as answers hold it."""
        return type(self).display(obj)

    async def _write(self, data: msgspec.Struct) -> Any:
        obj = await self.get_object()
        values = given(data)
        # Another key would mean another object, about which nobody was asked.
        values.pop(self.model._meta.pk.name, None)
        try:
            obj = await self.perform_update(obj, values)
        except InvalidValue as error:
            raise self._refused(data, values, error) from None
        return self.show(obj)

    def _refused(self, data: msgspec.Struct, values: Mapping[str, Any], error: InvalidValue) -> Exception:
        """What the client is told of values that do not fit their columns; the error itself if they all do."""
        errors = faults_of(self.model, data, values)
        return UnprocessableContent("The request is invalid.", errors=errors) if errors else error


class NoQuery(msgspec.Struct):
    """The query of a list that takes no parameters."""


def given(data: msgspec.Struct) -> dict[str, Any]:
    """The fields that were sent, by name."""
    return {name: value for name in data.__struct_fields__ if (value := getattr(data, name)) is not UNSET}


def conflict_of(model: type[Model], action: str) -> str | None:
    """What a 409 of an action means, where its model's constraints can say no."""
    if action == "destroy":
        return "Other objects refer to this one."
    if action not in ("create", "update", "partial_update"):
        return None
    table = model._meta.table
    unique = any(column.unique for column in table.columns) or any(index.unique for index in table.indexes)
    if unique or table.uniques or model._meta.relations or model._meta.pk.required:
        return "Another object has a value that must be unique, or one that is referred to does not exist."
    return None
