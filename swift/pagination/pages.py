"""Pages by number and by offset: easy to jump between, dear far behind the start."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import UNSET, UnsetType

from swift.http import NotFound, Request

from .base import Pagination, in_full_order, url_without


class PageQuery(msgspec.Struct, kw_only=True):
    page: Annotated[int, msgspec.Meta(ge=1, le=2**31, description="The number of the page, from 1.")] = 1
    page_size: Annotated[int, msgspec.Meta(ge=1, description="How many items a page has.")] | UnsetType = (
        UNSET
    )


class PageNumberPagination(Pagination):
    """`?page=2&page_size=50`. A size over `max_page_size` is cut down to it; a page behind the last is a 404."""

    query: ClassVar[type[msgspec.Struct]] = PageQuery
    refusals: ClassVar[Mapping[int, str]] = {404: "There is no such page."}

    async def paginate(
        self, queryset: Any, request: Request, query: Any, show: Callable[[Any], Any] | None = None
    ) -> Any:
        number: int = query.page
        size = self.size_of(query.page_size)
        first = (number - 1) * size
        count, more, results = await self.part(in_full_order(queryset), first, size, show)
        if number > 1 and (not results if count is None else first >= count):
            raise NotFound("There is no such page.")
        url = f"{url_without(request, ('page',))}page=" if more or number > 1 else ""
        return self.page(
            count,
            f"{url}{number + 1}" if more else None,
            f"{url}{number - 1}" if number > 1 else None,
            results,
        )


class OffsetQuery(msgspec.Struct, kw_only=True):
    limit: Annotated[int, msgspec.Meta(ge=1, description="How many items to show.")] | UnsetType = UNSET
    offset: Annotated[
        int, msgspec.Meta(ge=0, le=2**62, description="How many items to leave out before.")
    ] = 0


class LimitOffsetPagination(Pagination):
    """`?limit=50&offset=100`. A limit over `max_page_size` is cut down to it; behind the last item there are none."""

    query: ClassVar[type[msgspec.Struct]] = OffsetQuery

    async def paginate(
        self, queryset: Any, request: Request, query: Any, show: Callable[[Any], Any] | None = None
    ) -> Any:
        size = self.size_of(query.limit)
        start: int = query.offset
        count, more, results = await self.part(in_full_order(queryset), start, size, show)
        url = url_without(request, ("limit", "offset")) if more or start else ""
        return self.page(
            count,
            f"{url}limit={size}&offset={start + size}" if more else None,
            f"{url}limit={size}&offset={max(0, start - size)}" if start else None,
            results,
        )
