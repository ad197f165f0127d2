"""`User.objects`: where queries start.

It is a descriptor, so the type of the query is the type of the class it is asked on: `await
User.objects.get(id=1)` is a User. What it gives is a QuerySet of all rows; there is no second set of methods.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from swift.models.errors import ModelError

if TYPE_CHECKING:
    from swift.models.model import Model
    from swift.models.queryset import QuerySet

M = TypeVar("M", bound="Model")
Q = TypeVar("Q", bound="QuerySet[Any]")


class DefaultManager(Protocol):
    """The manager of a model that declares none."""

    def __get__(self, instance: Any, owner: type[M]) -> QuerySet[M]: ...


class Manager(Generic[Q]):
    """`objects = Manager(PublishedQuery)` starts every query with the methods of PublishedQuery, a
    QuerySet class.
    """

    def __init__(self, query_class: type[Q] | None = None) -> None:
        self.query_class = query_class

    def __get__(self, instance: Any, owner: type[Any]) -> Q:
        try:
            return owner._meta.queries[self]  # type: ignore[no-any-return]
        except (AttributeError, KeyError):
            query = self.start(owner)
            owner._meta.queries[self] = query
            return query

    def start(self, model: type[Any]) -> Q:
        """The query every other begins with: override it for a manager of some of the rows."""
        from swift.models.queryset import QuerySet

        options = getattr(model, "_meta", None)
        if options is None or options.abstract:
            raise ModelError(f"{model.__name__} is abstract: it has no rows to query.")
        query: Any = (self.query_class or QuerySet)(model)
        return query  # type: ignore[no-any-return]
