"""What every pagination is: the query it takes, the type of its answer, and the way from one to the other."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any, ClassVar, Generic, TypeVar
from urllib.parse import quote, urlencode

import msgspec
from msgspec import UNSET, UnsetType

from swift._speedups.kernel import strip_root_path
from swift.http import Request

T = TypeVar("T")

# What a path may hold as it is (RFC 3986 section 3.3).
SAFE = "/:@!$&'()*+,;=~-._"
# A query whose names are written in one way only, and that goes into a URL as it is.
PLAIN_QUERY = re.compile(rb"(?:[A-Za-z0-9_.~-]+=[A-Za-z0-9_.~%+,:-]*&?)*")


class Page(msgspec.Struct, Generic[T]):
    """One page of a list: how many there are in all, the neighbours' URLs, and the items."""

    count: int
    next: str | None
    previous: str | None
    results: list[T]


class UncountedPage(msgspec.Struct, Generic[T]):
    """One page of a list whose items nobody counted."""

    count: None
    next: str | None
    previous: str | None
    results: list[T]


class Pagination:
    """Base of all paginations. One instance serves all requests, so it keeps nothing of any.

    `query` is the Struct of the parameters. With `counts`, every page costs a count of the whole list;
    without, `count` is null, and whether there is a next page is seen from one row more.
    """

    query: ClassVar[type[msgspec.Struct]]
    page_size: ClassVar[int] = 20
    max_page_size: ClassVar[int] = 100
    counts: ClassVar[bool] = True
    # What it answers beside the page, for the document: the meaning by status.
    refusals: ClassVar[Mapping[int, str]] = {}
    # Whether it looks at the objects of a page, so that their JSON cannot come from the database.
    needs_objects: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not 1 <= cls.page_size <= cls.max_page_size:
            raise ValueError(
                f"{cls.__name__}: page_size is {cls.page_size} and max_page_size {cls.max_page_size}; a page has at "
                "least one item and at most max_page_size."
            )

    def answer_type(self, item: Any) -> Any:
        """The type of an answer that lists `item`s."""
        return Page[item] if self.counts else UncountedPage[item]

    async def paginate(
        self, queryset: Any, request: Request, query: Any, show: Callable[[Any], Any] | None = None
    ) -> Any:
        """The page of `queryset` that `query` asks for, of what `show` makes of its objects.

        Without `show` the objects are not looked at: their JSON may come from the database.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define `paginate`.")

    def check(self, model: Any, order: Sequence[str], label: str) -> None:
        """Refuse, in a sentence, a list that cannot be cut like this; `order` is what it may be ordered by."""

    def check_app(self, app: Any, label: str) -> None:
        """Refuse, in a sentence, an app that lacks what this pagination needs."""

    def size_of(self, asked: int | UnsetType) -> int:
        """How many items a page has: what is asked for, up to the limit."""
        return self.page_size if asked is UNSET else min(asked, self.max_page_size)

    def page(self, count: int | None, next: str | None, previous: str | None, results: Any) -> Any:
        if count is None:
            return UncountedPage(None, next, previous, results)
        return Page(count, next, previous, results)

    async def part(
        self, queryset: Any, start: int, size: int, show: Callable[[Any], Any] | None
    ) -> tuple[int | None, bool, Any]:
        """(how many there are in all, whether there are more, what to show) of the rows from `start` on."""
        stop = start + size
        if not self.counts:
            objects = await queryset[start : stop + 1]
            shown = objects[:size]
            return None, len(objects) > size, shown if show is None else [show(obj) for obj in shown]
        if show is None:
            count, encoded = await queryset.counted_json(start, stop)
            return count, stop < count, msgspec.Raw(encoded)
        count, objects = await queryset.counted(start, stop)
        return count, stop < count, [show(obj) for obj in objects]


def pagination_of(pagination_class: Any, label: str) -> Pagination | None:
    """The pagination that a ViewSet declares as `label`."""
    if pagination_class is None:
        return None
    if not (isinstance(pagination_class, type) and issubclass(pagination_class, Pagination)):
        raise TypeError(f"{label} is {pagination_class!r}; give a class of Pagination, or None.")
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


def url_without(request: Request, names: Collection[str]) -> str:
    """The request's URL as the client sees it without the query's fields of these names, ready for another field."""
    scope = request.scope
    path = strip_root_path(scope["path"], scope.get("root_path") or "")
    url = f"{request.base_url}{quoted_path(path)}?"
    raw: bytes = scope.get("query_string") or b""
    if not raw:
        return url
    if PLAIN_QUERY.fullmatch(raw):
        # PERF: nothing to decode and to encode again, which takes 10 µs.
        parts = raw.decode("ascii").split("&")
        kept = "&".join([part for part in parts if part and part.partition("=")[0] not in names])
    else:
        kept = urlencode([pair for pair in request.query.multi_items() if pair[0] not in names])
    return f"{url}{kept}&" if kept else url


@lru_cache(256)
def quoted_path(path: str) -> str:
    """The path without its first slash, percent-encoded where it has to be."""
    return quote(path[1:], safe=SAFE)
