"""ModelViewSet: the six actions on a Model, with hooks between the request and the database."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import UNSET

from swift.http import NotFound
from swift.models import Model, QuerySet
from swift.pagination import PageNumberPagination
from swift.routing import Query
from swift.serializers import input_struct, partial_struct, read_struct

from .actions import Input, ListOutput, ListQuery, Output, PartialInput, Placeholder
from .viewset import ViewSet


class ModelViewSet(ViewSet):
    """List, create, retrieve, update, partially update and destroy the objects of `model`.

    `input_schema` and `output_schema` replace what is derived from the model. Override
    `get_queryset` to choose the objects, the `perform_*` hooks to change what is written, and any
    action as a whole. Objects are looked up by `lookup_field`, the primary key unless given.
    """

    model: ClassVar[type[Model]]
    input_schema: ClassVar[type[msgspec.Struct] | None] = None
    partial_schema: ClassVar[type[msgspec.Struct] | None] = None
    output_schema: ClassVar[type[msgspec.Struct] | None] = None
    lookup_field: ClassVar[str | None] = None
    pagination_class: ClassVar[type[PageNumberPagination] | None] = PageNumberPagination

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        model = getattr(cls, "model", None)
        if model is None:
            return
        if not (isinstance(model, type) and issubclass(model, Model)):
            raise TypeError(f"{cls.__name__}.model is {model!r}; give a class of Model.")
        fields = model._meta.fields
        if cls.lookup_field is not None and cls.lookup_field not in fields:
            raise ValueError(
                f"{cls.__name__}.lookup_field is `{cls.lookup_field}`, which {model.__name__} does not have; "
                f"there are {', '.join(fields)}."
            )
        name = cls.lookup_field or model._meta.pk.name
        converter = {"int": "int", "UUID": "uuid"}.get(fields[name].type.__name__)
        cls.lookup_path = f"{{{name}:{converter}}}" if converter else f"{{{name}}}"
        cls.lookup_name = name
        cls.output_type = cls.output_schema or read_struct(model)
        cls.input_type = cls.input_schema or input_struct(model)
        cls.partial_type = cls.partial_schema or partial_struct(model)

    lookup_name: ClassVar[str]
    output_type: ClassVar[type[msgspec.Struct]]
    input_type: ClassVar[type[msgspec.Struct]]
    partial_type: ClassVar[type[msgspec.Struct]]

    @classmethod
    def resolve(cls, placeholder: Placeholder) -> Any:
        pagination = cls.pagination_class
        match placeholder.name:
            case "input":
                return cls.input_type
            case "partial":
                return cls.partial_type
            case "output":
                return cls.output_type
            case "list_query":
                query = pagination.query if pagination is not None else NoQuery
                return Annotated[query, Query()]
            case "list_output":
                if pagination is None:
                    return list[cls.output_type]  # type: ignore[name-defined]
                return pagination().answer_type(cls.output_type)

    # Actions.

    async def list(self, query: ListQuery) -> ListOutput:
        """List the objects, page by page."""
        queryset = self.get_queryset()
        if self.pagination_class is None:
            return [self.show(obj) for obj in await queryset]
        page = await self.pagination_class().paginate(queryset, self.request, query)
        if self.output_type is not self.model:
            page.results = [self.show(obj) for obj in page.results]
        return page

    async def create(self, data: Input) -> Output:
        """Create an object."""
        return self.show(await self.perform_create(given(data)))

    async def retrieve(self) -> Output:
        """Show one object."""
        return self.show(await self.get_object())

    async def update(self, data: Input) -> Output:
        """Replace an object."""
        return self.show(await self.perform_update(await self.get_object(), given(data)))

    async def partial_update(self, data: PartialInput) -> Output:
        """Change the fields that are sent."""
        return self.show(await self.perform_update(await self.get_object(), given(data)))

    async def destroy(self) -> None:
        """Delete an object."""
        await self.perform_destroy(await self.get_object())

    # Hooks.

    def get_queryset(self) -> QuerySet[Any]:
        """The objects this ViewSet is about."""
        return self.model.objects

    async def get_object(self) -> Any:
        """The object of the URL: 404 when it is not among `get_queryset`, 401 or 403 when permissions refuse it."""
        try:
            obj = await self.get_queryset().get(
                **{self.lookup_name: self.request.path_params[self.lookup_name]}
            )
        except self.model.DoesNotExist:
            raise NotFound(f"There is no such {self.model._meta.verbose_name}.") from None
        await self.check_object_permissions(obj)
        return obj

    async def perform_create(self, values: dict[str, Any]) -> Any:
        """Store a new object and return it."""
        return await self.model.objects.create(**values)

    async def perform_update(self, obj: Any, values: dict[str, Any]) -> Any:
        """Change an object and return it."""
        for name, value in values.items():
            setattr(obj, name, value)
        return await obj.save(only=[*values]) if values else obj

    async def perform_destroy(self, obj: Any) -> None:
        await obj.delete()

    def show(self, obj: Any) -> Any:
        """The object as answers hold it."""
        if self.output_type is self.model:
            return obj
        return msgspec.convert(obj, self.output_type, from_attributes=True)


class NoQuery(msgspec.Struct):
    """The query of a list that takes no parameters."""


def given(data: msgspec.Struct) -> dict[str, Any]:
    """The fields that were sent, by name."""
    return {name: value for name in data.__struct_fields__ if (value := getattr(data, name)) is not UNSET}


class ReadOnlyModelViewSet(ModelViewSet):
    """List and retrieve."""

    actions = ("list", "retrieve")


class ListCreateViewSet(ModelViewSet):
    """List and create."""

    actions = ("list", "create")


class CreateOnlyViewSet(ModelViewSet):
    """Create only: a drop box."""

    actions = ("create",)


class ReadUpdateViewSet(ModelViewSet):
    """Everything on objects that exist, but no creating and no destroying."""

    actions = ("list", "retrieve", "update", "partial_update")
