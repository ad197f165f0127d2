"""Pagination: how a list is cut into pages, as query parameters and as the shape of the answer."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Generic, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from swift._speedups.kernel import strip_root_path
from swift.http import NotFound, Request

T = TypeVar("T")


class Page(msgspec.Struct, Generic[T]):
    """One page of a list: how many there are in all, the neighbours' URLs, and the items."""

    count: int
    next: str | None
    previous: str | None
    results: list[T]


class PageQuery(msgspec.Struct, kw_only=True):
    page: Annotated[int, msgspec.Meta(ge=1, le=2**31, description="The number of the page, from 1.")] = 1
    page_size: Annotated[int, msgspec.Meta(ge=1, description="How many items a page has.")] | None = None


class PageNumberPagination:
    """`?page=2&page_size=50`. A size over `max_page_size` is cut down to it; a page behind the last is a 404."""

    query: ClassVar[type[msgspec.Struct]] = PageQuery
    page_size: ClassVar[int] = 20
    max_page_size: ClassVar[int] = 100

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not 1 <= cls.page_size <= cls.max_page_size:
            raise ValueError(
                f"{cls.__name__}: page_size is {cls.page_size} and max_page_size {cls.max_page_size}; a page has at "
                "least one item and at most max_page_size."
            )

    def answer_type(self, item: Any) -> Any:
        """The type of an answer that lists `item`s."""
        return Page[item]

    async def paginate(
        self, queryset: Any, request: Request, query: Any, show: Callable[[Any], Any] | None = None
    ) -> Page[Any]:
        """The page of `queryset` that `query` asks for, of what `show` makes of its objects.

        Without `show` the objects are not looked at: their JSON comes from the database.
        """
        number: int = query.page
        size = min(query.page_size or self.page_size, self.max_page_size)
        first = (number - 1) * size
        page = in_full_order(queryset)[first : first + size]
        results: Any
        if show is None:
            count, encoded = await page.counted_json()
            results = msgspec.Raw(encoded)
        else:
            count, objects = await page.counted()
            results = [show(obj) for obj in objects]
        if first >= count and number > 1:
            raise NotFound("There is no such page.")
        more = first + size < count
        url = url_without_page(request) if more or number > 1 else ""
        return Page(
            count=count,
            next=f"{url}{number + 1}" if more else None,
            previous=f"{url}{number - 1}" if number > 1 else None,
            results=results,
        )


def pagination_of(pagination_class: Any, label: str) -> PageNumberPagination | None:
    """The pagination that a ViewSet declares as `label`; it keeps nothing of a request, so one serves all."""
    if pagination_class is None:
        return None
    if not (isinstance(pagination_class, type) and issubclass(pagination_class, PageNumberPagination)):
        raise TypeError(f"{label} is {pagination_class!r}; give a class of PageNumberPagination, or None.")
    return pagination_class()


def in_full_order(queryset: Any) -> Any:
    """The query in an order that leaves no two rows equal: else the database may show one of them on two pages."""
    order = queryset._order
    completed = completed_order(queryset.model, queryset.model._meta.ordering if order is None else order)
    return queryset if completed is None else queryset.order_by(*completed)


@lru_cache(256)
def completed_order(model: Any, order: tuple[str, ...]) -> tuple[str, ...] | None:
    """The order with the primary key behind it; None when one of its fields is unique."""
    fields = model._meta.fields
    for name in order:
        plain = name.removeprefix("-")
        field = model._meta.pk if plain == "pk" else fields.get(plain)
        if field is not None and (field.primary_key or (field.unique and not field.null)):
            return None
    return (*order, "pk")


def url_without_page(request: Request) -> str:
    """The request's URL as the client sees it, up to the number of a page."""
    scope = request.scope
    path = strip_root_path(scope["path"], scope.get("root_path") or "")
    url = f"{request.base_url}{quote(path[1:], safe=SAFE)}?"
    if scope.get("query_string"):
        kept = [pair for pair in request.query.multi_items() if pair[0] != "page"]
        url += f"{urlencode(kept)}&" if kept else ""
    return f"{url}page="


# What a path may hold as it is (RFC 3986 section 3.3).
SAFE = "/:@!$&'()*+,;=~-._"
