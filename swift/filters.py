"""Filters of lists: which query parameters narrow, search and order a list, and what their values may be.

Declared by ViewSets, compiled when a ViewSet is registered: names are resolved against the model, values have
the types of its columns, and nothing else is taken. A list that has filters refuses what it does not know,
since a filter with a typing error that is ignored shows everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from swift.engines.values import check_string, checker
from swift.http import ErrorDetail
from swift.models import Field, FieldError, Model, Q, QuerySet
from swift.models.lookups import JSON_LOOKUPS, TEXT_LOOKUPS, Path, resolve, value_type
from swift.models.options import Options

FilterFields = Sequence[str] | Mapping[str, str | Sequence[str]]

# Characters of a text that is looked for inside others, and the words of a search: each costs a pass over all rows.
LONGEST_TEXT = 1000
MOST_WORDS = 10


class Filter(msgspec.Struct, frozen=True):
    """One parameter: `name` on the wire, the lookup it is, the type of its value, and who checks the value."""

    name: str
    lookup: str
    type: Any
    many: bool
    check: Callable[[Any], Any] | None
    description: str


class Filters:
    """What a list can be asked for. ValueError, in a sentence that starts with `label`, for what cannot work."""

    def __init__(
        self,
        model: type[Model],
        *,
        filter_fields: FilterFields = (),
        search_fields: Sequence[str] = (),
        ordering_fields: Sequence[str] = (),
        search_param: str = "search",
        ordering_param: str = "ordering",
        label: str = "Filters",
    ) -> None:
        self.model = model
        self.label = label
        self.search_param = search_param
        self.ordering_param = ordering_param
        self.filters = tuple(self.compiled(name, lookup) for name, lookup in lookups_of(filter_fields, label))
        self.search_fields = {
            plain(name): self.searched(name) for name in listed(search_fields, label, "search")
        }
        self.ordering_fields = tuple(
            self.ordered(name) for name in listed(ordering_fields, label, "ordering")
        )
        names = [member[0] for member in self.members()]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"{label} has two parameters called `{name}`.")
        self.names = frozenset(names)
        self.ranges = frozenset(item.name for item in self.filters if item.lookup.endswith("__range"))
        self.delimited = frozenset(item.name for item in self.filters if item.many)
        if self.ordering_fields:
            self.delimited |= {ordering_param}
        self.checked = tuple(
            (item.name, item.check, item.many) for item in self.filters if item.check is not None
        )
        self.applied = tuple((item.name, item.lookup) for item in self.filters)

    def __bool__(self) -> bool:
        return bool(self.names)

    # At start

    def resolved(self, name: str, where: str) -> Path:
        try:
            found = resolve(self.model._meta, name)
        except FieldError as error:
            raise ValueError(f"{self.label}.{where}: {error}") from None
        if found.field is not None and found.field.write_only:
            raise ValueError(
                f"{self.label}.{where} names `{name}`, which is write_only: answers would tell of it."
            )
        return found

    def compiled(self, name: str, lookup: str) -> Filter:
        path = self.resolved(lookup, "filter_fields")
        operator = path.operator
        if operator in ("regex", "iregex"):
            raise ValueError(
                f"{self.label}.filter_fields names `{lookup}`: a client's pattern may take any time to match; "
                "offer `contains` or `startswith`, or filter in get_queryset."
            )
        typed: Any = bool
        check: Callable[[Any], Any] | None = None
        if operator in TEXT_LOOKUPS:
            typed, check = Annotated[str, msgspec.Meta(max_length=LONGEST_TEXT)], check_string
        elif operator == "has_key":
            typed, check = str, check_string
        elif (
            path.json is not None
            or operator in JSON_LOOKUPS
            or (path.kind == "json" and operator != "isnull")
        ):
            raise ValueError(
                f"{self.label}.filter_fields names `{lookup}`, whose values have no type in a URL; filter in "
                "get_queryset."
            )
        elif operator != "isnull":
            typed = value_type(self.model._meta, lookup)
            check = checker(
                path.kind, None if path.parts else column_of(self.model._meta, path), stored=False
            )
        many = operator in ("in", "range")
        return Filter(name, lookup, typed, many, check, sentence(path))

    def searched(self, name: str) -> str:
        """The lookup of a search field: `icontains` unless it names one itself."""
        path = self.resolved(name, "search_fields")
        lookup = name if path.operator in TEXT_LOOKUPS else f"{name}__icontains"
        self.resolved(lookup, "search_fields")
        return lookup

    def ordered(self, name: str) -> str:
        path = self.resolved(name.removeprefix("-"), "ordering_fields")
        if path.operator != "exact" or name.startswith("-"):
            raise ValueError(
                f"{self.label}.ordering_fields names `{name}`; give fields, clients choose the direction."
            )
        if any(link.many for link in path.joins):
            raise ValueError(
                f"{self.label}.ordering_fields names `{name}`, which is many values for each object."
            )
        return name

    def members(self) -> list[tuple[str, Any, Any]]:
        """The fields of the Struct that the parameters become, all of them optional."""
        made: list[tuple[str, Any, Any]] = [
            (item.name, described(item.type, item.description) | UnsetType, UNSET) for item in self.filters
        ]
        if self.search_fields:
            text = Annotated[
                str,
                msgspec.Meta(
                    max_length=LONGEST_TEXT,
                    description=f"Words to find, each of them in one of {', '.join(self.search_fields)}.",
                ),
            ]
            made.append((self.search_param, text | UnsetType, UNSET))
            if len(self.search_fields) > 1:
                one = Literal[tuple(self.search_fields)]  # type: ignore[valid-type]
                made.append(("only", described(one, "The one field to search.") | UnsetType, UNSET))
        if self.ordering_fields:
            choices = tuple(sign + name for name in self.ordering_fields for sign in ("", "-"))
            order = list[Literal[choices]]  # type: ignore[valid-type]
            wanted = described(
                order, "The fields to order by, the most important first; `-` turns one round."
            )
            made.append((self.ordering_param, wanted | UnsetType, UNSET))
        return made

    # For each request

    def faults(self, query: Any) -> list[ErrorDetail]:
        """What is wrong with values of the right types."""
        errors = []
        for name, check, many in self.checked:
            value = getattr(query, name)
            if value is not UNSET:
                try:
                    for item in value if many else (value,):
                        check(item)
                except (TypeError, ValueError) as error:
                    errors.append(fault(name, "invalid", str(error)))
        if self.search_fields and (text := getattr(query, self.search_param)) is not UNSET:
            try:
                if len(check_string(text).split()) > MOST_WORDS:
                    errors.append(
                        fault(self.search_param, "too_long", f"expected at most {MOST_WORDS} words")
                    )
            except ValueError as error:
                errors.append(fault(self.search_param, "invalid", str(error)))
        return errors

    def apply(self, queryset: QuerySet[Any], query: Any) -> QuerySet[Any]:
        """The rows of `queryset` that `query` asks for, in the order it asks for."""
        conditions = {
            lookup: value for name, lookup in self.applied if (value := getattr(query, name)) is not UNSET
        }
        if conditions:
            queryset = queryset.filter(**conditions)
        if self.search_fields and (text := getattr(query, self.search_param)) is not UNSET:
            only = getattr(query, "only", UNSET)
            lookups = [self.search_fields[only]] if only is not UNSET else [*self.search_fields.values()]
            for word in text.split():
                found = Q()
                for lookup in lookups:
                    found = found | Q(**{lookup: word})
                queryset = queryset.filter(found)
        if self.ordering_fields and (order := getattr(query, self.ordering_param)) is not UNSET and order:
            queryset = queryset.order_by(*distinct(order))
        return queryset


def lookups_of(declared: FilterFields, label: str) -> Iterable[tuple[str, str]]:
    """(the parameter, its lookup) of each filter."""
    if not isinstance(declared, Mapping):
        for name in listed(declared, label, "filter"):
            yield name, name
        return
    for field, lookups in declared.items():
        for lookup in (lookups,) if isinstance(lookups, str) else lookups:
            name = field if lookup == "exact" else f"{field}__{lookup}"
            yield name, name


def listed(names: Sequence[str], label: str, what: str) -> Sequence[str]:
    if isinstance(names, str):
        raise TypeError(f"{label}.{what}_fields is {names!r}; give a list, [{names!r}].")
    return names


def plain(name: str) -> str:
    """The name of a search field without its lookup."""
    head, _, last = name.rpartition("__")
    return head if last in TEXT_LOOKUPS else name


def column_of(options: Options, path: Path) -> Any:
    if path.field is None:
        return None
    return (path.joins[-1].target()._meta if path.joins else options).columns[path.field.name]


def distinct(order: Iterable[str]) -> list[str]:
    """The order without the fields that come a second time: they change nothing any more."""
    seen: dict[str, str] = {}
    for name in order:
        seen.setdefault(name.removeprefix("-"), name)
    return [*seen.values()]


def described(typed: Any, description: str) -> Any:
    return Annotated[typed, msgspec.Meta(description=description)]


def fault(name: str, code: str, detail: str) -> ErrorDetail:
    return ErrorDetail(f"/query/{name}", code, detail[:1].upper() + detail[1:])


# What each comparison says, for the document.
SENTENCES = {
    "exact": "equal to this",
    "ne": "not equal to this",
    "gt": "greater than this",
    "gte": "at least this",
    "lt": "less than this",
    "lte": "at most this",
    "in": "one of these",
    "range": "from the first to the second",
    "iexact": "equal to this, in any case",
    "contains": "containing this",
    "icontains": "containing this, in any case",
    "startswith": "starting with this",
    "istartswith": "starting with this, in any case",
    "endswith": "ending with this",
    "iendswith": "ending with this, in any case",
    "regex": "matching this pattern",
    "iregex": "matching this pattern, in any case",
    "has_key": "with this key",
    "has_item": "with this item",
    "contains_all": "with all of these items",
    "overlap": "with any of these items",
}


def sentence(path: Path) -> str:
    """What a filter finds, for the document: "`age` at least this"."""
    steps = [joined.relation for joined in path.joins]
    field: Field | None = path.field
    name = "__".join((*steps, "" if field is None else field.name, *path.parts))
    if path.operator == "isnull":
        return f"Whether `{name}` is null."
    return f"`{name}` {SENTENCES[path.operator]}."
