"""ModelViewSet: the six actions on a Model, with hooks between the request and the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from msgspec import UNSET

from swift.engines import InvalidValue
from swift.filters import FilterFields, Filters
from swift.http import NotFound, UnprocessableContent
from swift.models import Model, QuerySet
from swift.pagination import PageNumberPagination, Pagination, in_full_order, pagination_of
from swift.serializers import Checker, Serializer, checks_of, faults_of, output_struct, validated

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
from .answers import conflict_of, refusal_of
from .checks import check_declarations, check_schemas
from .listing import Listing, NoQuery
from .lookup import Lookup
from .shapes import Shape
from .viewset import ViewSet

if TYPE_CHECKING:
    from swift.routing import Router

Struct = type[msgspec.Struct]

# What a class may override to look at the object that it shows.
SEES_AN_OBJECT = ("retrieve", "show", "get_object", "check_object_permissions")


class ModelViewSet(ViewSet):
    """List, create, retrieve, update, partially update and destroy the objects of `model`.

    What is taken and shown comes from the model, from `serializer_class`, or from `input_schema` and `output_schema`,
    each also per action (`serializer_class_by_action` and so on); a partial update takes the fields of
    `partial_schema`, else those of the input, each of them optional. Lists are narrowed by `filter_fields`, searched
    in `search_fields`, ordered by `ordering_fields` and `ordering` unless asked otherwise.

    Override `get_queryset` to choose the objects, `validate` and `validate_<field>` to check what was sent, the
    `before_*`, `perform_*` and `after_*` hooks to change what is written, `show` to change what is answered, and
    any action as a whole. Objects are looked up by `lookup_field`, the primary key unless given.
    """

    model: ClassVar[type[Model]]
    serializer_class: ClassVar[type[Serializer] | None] = None
    serializer_class_by_action: ClassVar[Mapping[str, type[Serializer]]] = {}
    input_schema: ClassVar[Struct | None] = None
    input_schema_by_action: ClassVar[Mapping[str, Struct]] = {}
    partial_schema: ClassVar[Struct | None] = None
    output_schema: ClassVar[Struct | None] = None
    output_schema_by_action: ClassVar[Mapping[str, Struct]] = {}
    # Fields that requests never set here, whatever the model says; for a Serializer, its own `read_only`.
    read_only_fields: ClassVar[Sequence[str]] = ()
    lookup_field: ClassVar[str | None] = None
    pagination_class: ClassVar[type[Pagination] | None] = PageNumberPagination
    # Names (`age`, `age__gte`), or the lookups of each field (`{"name": ["exact", "icontains"]}`).
    filter_fields: ClassVar[FilterFields] = ()
    search_fields: ClassVar[Sequence[str]] = ()
    ordering_fields: ClassVar[Sequence[str]] = ()
    ordering: ClassVar[Sequence[str] | None] = None
    search_param: ClassVar[str] = "search"
    ordering_param: ClassVar[str] = "ordering"
    # Query parameters that hooks read by themselves: a list with filters refuses what nobody declares.
    extra_params: ClassVar[Sequence[str]] = ()

    # What follows from these, for each class.
    lookup: ClassVar[Lookup]
    pagination: ClassVar[Pagination | None]
    shapes: ClassVar[Mapping[str, Shape]] = {}
    checks: ClassVar[Mapping[str, str]] = {}
    # And what follows when it is registered, as the models it refers to are all there then.
    filters: ClassVar[Filters]
    listing: ClassVar[Listing]
    # Whether a list comes from the database as JSON, as nothing here looks at its objects.
    plain_list: ClassVar[bool] = False
    # The same for one object, where no permission asks about it.
    plain_retrieve: ClassVar[bool] = False
    # The query of a list, complete, where `get_queryset` has no say in it.
    list_query: ClassVar[QuerySet[Any] | None] = None

    # The object that an update is about; None while one is created.
    instance: Any = None
    _serializer: Serializer | None = None

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
        check_declarations(cls)
        cls.shapes = {item.name: Shape(cls, item.name) for item in cls.served_actions()}
        writable = {
            name
            for shape in cls.shapes.values()
            for schema in (shape.input, shape.update, shape.partial)
            for name in schema.__struct_fields__
        }
        cls.checks = checks_of(cls, model._meta.fields, writable, ModelViewSet)
        cls.plain_list = (
            cls.list is ModelViewSet.list
            and cls.show is ModelViewSet.show
            and not (cls.pagination is not None and cls.pagination.needs_objects)
        )
        cls.plain_retrieve = (
            "retrieve" in cls.shapes
            and cls.shapes["retrieve"].columns is not None
            and cls.lookup.names_one
            and all(getattr(cls, name) is getattr(ModelViewSet, name) for name in SEES_AN_OBJECT)
        )

    @classmethod
    def check(cls) -> None:
        super().check()
        if getattr(cls, "model", None) is None:
            raise TypeError(f"{cls.__name__} has no model; set `model` to a class of Model.")
        check_schemas(cls, ModelViewSet)
        cls.filters = Filters(
            cls.model,
            filter_fields=cls.filter_fields,
            search_fields=cls.search_fields,
            ordering_fields=cls.ordering_fields,
            search_param=cls.search_param,
            ordering_param=cls.ordering_param,
            label=cls.__name__,
        )
        pagination = cls.pagination
        page = NoQuery if pagination is None else pagination.query
        cls.listing = Listing(cls.__name__, page, cls.filters, cls.extra_params)
        if pagination is not None:
            pagination.check(cls.model, (*(cls.ordering or ()), *cls.ordering_fields), cls.__name__)
        if "list" in cls.shapes and cls.get_queryset is ModelViewSet.get_queryset:
            cls.list_query = cls.listed(cls.model.objects)
        else:
            cls.list_query = None

    @classmethod
    def check_app(cls, app: Router) -> None:
        if cls.pagination is not None and "list" in cls.shapes:
            cls.pagination.check_app(app, cls.__name__)

    @classmethod
    def options_of(cls, item: Action) -> ActionOptions:
        responses: dict[int, Any] = {}
        if (conflict := conflict_of(cls.model, item.name)) is not None:
            responses[409] = conflict
        if item.name == "list" and cls.list is ModelViewSet.list:
            responses[400] = refusal_of(cls)
            if cls.pagination is not None:
                responses.update(cls.pagination.refusals)
        return {"responses": responses, **item.options} if responses else item.options

    @classmethod
    def resolve(cls, placeholder: Placeholder, action: str) -> Any:
        shape = cls.shapes[action]
        match placeholder.name:
            case "input":
                return shape.input
            case "update":
                return shape.update
            case "partial":
                return shape.partial
            case "output":
                return shape.output
            case "list_query":
                return cls.listing.annotation
            case "list_output":
                if cls.pagination is None:
                    return list[shape.output]  # type: ignore[name-defined]
                return cls.pagination.answer_type(shape.output)
        raise TypeError(f"{cls.__name__}.{action} takes what only a BulkModelViewSet has.")

    @classmethod
    def shown_as(cls) -> Mapping[Any, Any]:
        """The model as answers have it, where all of it is shown: nothing of a stored object is optional."""
        shown = output_struct(cls.model)
        return {cls.model: shown} if len(shown.__struct_fields__) == len(cls.model._meta.names) else {}

    @classmethod
    def locked_fields(cls) -> set[str]:
        """The fields that no request sets here."""
        return {*cls.read_only_fields}

    @classmethod
    def listed(cls, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The query that lists the objects of another: with what is shown, in the order they are shown."""
        shape = cls.shapes["list"]
        fields = shape.columns if cls.plain_list else None
        if fields is not None and len(fields) < len(cls.model._meta.names):
            queryset = queryset.values(*fields)
        if shape.relating is not None:
            queryset = shape.relating.load_related(queryset)
        if cls.ordering is not None and queryset._order is None:
            queryset = queryset.order_by(*cls.ordering)
        return queryset if cls.pagination is None else in_full_order(queryset)

    @property
    def shape(self) -> Shape:
        """What the running action takes and shows."""
        return self.shapes[self.action]

    @property
    def serializer(self) -> Serializer:
        """The Serializer of the running action, made for this request."""
        made = self._serializer
        if made is None:
            cls = self.shape.serializer
            if cls is None:
                raise TypeError(f"{type(self).__name__}.{self.action} has no serializer_class.")
            made = self._serializer = cls(self.request, self.instance)
        return made

    # Actions.

    async def list(self, query: ListQuery) -> ListOutput:
        """List the objects, page by page."""
        queryset = self.list_query
        if queryset is None:
            queryset = self.listed(self.get_queryset())
        if self.filters:
            queryset = self.filter_queryset(queryset, query)
        show = None if self.plain_list and self.shape.columns is not None else self.show
        if self.pagination is not None:
            return await self.pagination.paginate(queryset, self.request, query, show)
        if show is None:
            return msgspec.Raw(await queryset.fetch_json())
        return [show(obj) for obj in await queryset]

    async def create(self, data: Input) -> Output:
        """Create an object."""
        values = await self.validated(data)
        await self.before_create(values)
        try:
            obj = await self.perform_create(values)
        except InvalidValue as error:
            raise self._refused(data, values, error) from None
        await self.after_create(obj)
        return self.show(await self.completed(obj))

    async def retrieve(self) -> Output:
        """Show one object."""
        if self.plain_retrieve and not self.asks_about_objects:
            return await self._retrieve_json()
        return self.show(await self.get_object())

    async def update(self, data: UpdateInput) -> Output:
        """Replace an object."""
        return await self._write(data)

    async def partial_update(self, data: PartialInput) -> Output:
        """Change the fields that are sent."""
        return await self._write(data)

    async def destroy(self) -> None:
        """Delete an object."""
        obj = await self.get_object()
        await self.before_destroy(obj)
        await self.perform_destroy(obj)
        await self.after_destroy(obj)

    # Hooks.

    def get_queryset(self) -> QuerySet[Any]:
        """The objects this ViewSet is about."""
        return self.model.objects

    async def get_object(self) -> Any:
        """The object of the URL: 404 when it is not among `get_queryset`, 401 or 403 when permissions say no."""
        lookup = self.lookup
        queryset = self.get_queryset()
        if (relating := self.shape.relating) is not None:
            queryset = relating.load_related(queryset)
        try:
            obj = await queryset.get(**{lookup.name: self.lookup_value()})
        except (self.model.DoesNotExist, InvalidValue):
            raise self.no_such_object() from None
        await self.check_object_permissions(obj)
        return obj

    def lookup_value(self) -> Any:
        """What the object that the request is about has in `lookup_field`."""
        return self.lookup.value(self.request)

    def filter_queryset(self, queryset: QuerySet[Any], query: Any) -> QuerySet[Any]:
        """The rows of a list that the parameters of the request ask for, in the order they ask for."""
        return self.filters.apply(queryset, query)

    def validate(self, values: dict[str, Any]) -> Any:
        """Check what only several fields together can tell, `def` or `async def`; return the values.

        Raise ValueError with a sentence for the client. A partial update has the sent fields only; `self.instance`
        is the object as it is.
        """
        return values

    async def before_create(self, values: dict[str, Any]) -> None:
        """Change the values of a new object where they stand, or refuse them."""

    async def after_create(self, obj: Any) -> None:
        """An object was stored."""

    async def before_update(self, obj: Any, values: dict[str, Any]) -> None:
        """Change the values for an object where they stand, or refuse them."""

    async def after_update(self, obj: Any) -> None:
        """An object was changed."""

    async def before_destroy(self, obj: Any) -> None:
        """Refuse to delete an object, or prepare it."""

    async def after_destroy(self, obj: Any) -> None:
        """An object was deleted."""

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
        return self.shape.display(self, obj)

    async def validated(self, data: msgspec.Struct) -> dict[str, Any]:
        """The sent values as the checks of the Serializer and of this ViewSet leave them.

        422 with everything they refused.
        """
        values = given(data)
        checkers = []
        serializer = self.shape.serializer
        if serializer is not None and serializer.validates():
            checkers.append(self.serializer.checker())
        whole = type(self).validate is not ModelViewSet.validate
        if self.checks or whole:
            checkers.append(Checker(self, self.checks, whole))
        return await validated(values, checkers, Shape.sent_as(data)) if checkers else values

    async def completed(self, obj: Any) -> Any:
        """A stored object with the relations that showing it needs."""
        relating = self.shape.relating
        return obj if relating is None else await relating.load_related(self.model.objects).get(pk=obj.pk)

    async def _retrieve_json(self) -> msgspec.Raw:
        """The object of the URL as the database encodes it: what encoding it here would give."""
        queryset = self.get_queryset()
        columns = self.shape.columns
        if columns is not None and len(columns) < len(self.model._meta.names):
            queryset = queryset.values(*columns)
        try:
            found = await queryset.filter(**{self.lookup.name: self.lookup_value()}).fetch_json()
        except InvalidValue:
            found = b"[]"
        if found == b"[]":
            raise self.no_such_object()
        return msgspec.Raw(memoryview(found)[1:-1])

    def no_such_object(self) -> NotFound:
        return NotFound(f"There is no such {self.model._meta.verbose_name}.")

    async def _write(self, data: msgspec.Struct) -> Any:
        obj = self.instance = await self.get_object()
        values = await self.validated(data)
        # Another key would mean another object, about which nobody was asked.
        values.pop(self.model._meta.pk.name, None)
        await self.before_update(obj, values)
        try:
            obj = await self.perform_update(obj, values)
        except InvalidValue as error:
            raise self._refused(data, values, error) from None
        await self.after_update(obj)
        return self.show(await self.completed(obj))

    def _refused(self, data: msgspec.Struct, values: Mapping[str, Any], error: InvalidValue) -> Exception:
        """What the client is told of values that do not fit their columns; the error itself if they all do."""
        errors = faults_of(self.model, data, values)
        return UnprocessableContent("The request is invalid.", errors=errors) if errors else error


def given(data: msgspec.Struct) -> dict[str, Any]:
    """The fields that were sent, by name."""
    return {name: value for name in data.__struct_fields__ if (value := getattr(data, name)) is not UNSET}
