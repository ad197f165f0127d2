"""Pagination: how a list is cut into pages, as query parameters and as the shape of the answer."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Generic, TypeVar
from urllib.parse import urlencode

import msgspec

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

    def answer_type(self, item: Any) -> Any:
        return Page[item]

    async def paginate(self, queryset: Any, request: Request, query: PageQuery) -> Page[Any]:
        size = min(query.page_size or self.page_size, self.max_page_size)
        count = await queryset.count()
        first = (query.page - 1) * size
        if query.page > 1 and first >= count:
            raise NotFound("There is no such page.")
        results = await queryset[first : first + size]
        return Page(
            count=count,
            next=page_url(request, query.page + 1) if first + size < count else None,
            previous=page_url(request, query.page - 1) if query.page > 1 else None,
            results=list(results),
        )


def page_url(request: Request, page: int) -> str:
    """The request's URL with another `page`."""
    pairs = [(name, value) for name, value in request.query.multi_items() if name != "page"]
    return f"{request.url.partition('?')[0]}?{urlencode([*pairs, ('page', str(page))])}"
