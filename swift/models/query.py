"""A query's description: immutable, cheap to refine, run by nothing here.

Every method answers a new query. What a query *is* falls in two: its shape (which conditions, which order,
whether there is a limit) and its values. The shape is the key under which a Database keeps the compiled
program.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Literal, Self, TypeVar

import msgspec

from swift.engines.database import Database
from swift.models.conditions import node_of, path_of
from swift.models.errors import FieldError
from swift.models.expressions import Expression, Q
from swift.models.lookups import resolve
from swift.models.prefetch import Prefetch, plan
from swift.models.relations import chain
from swift.models.shape import PLAIN, Extras

if TYPE_CHECKING:
    from swift.models.model import Model
    from swift.models.options import Options

M = TypeVar("M", bound="Model")

# The condition no row meets: one of none.
NOTHING = ("or",)
# The largest limit and offset a database takes.
MOST = 2**63 - 1


class Query(msgspec.Struct, Generic[M], eq=False):
    """The rows of a model that meet some conditions, in some order, within some limits."""

    _model: type[M]
    _where: tuple[Any, ...] = ()
    _values: tuple[Any, ...] = ()
    _order: tuple[str, ...] | None = None
    _limit: int | None = None
    _offset: int | None = None
    _extras: Extras | None = None
    _extra_values: tuple[Any, ...] = ()
    _db: Database | None = None
    _none: bool = False
    _prefetch: tuple[Any, ...] = ()

    @property
    def model(self) -> type[M]:
        return self._model

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._model.__name__}>"

    def __bool__(self) -> bool:
        raise TypeError(
            "A query has no truth value before it is run: `await query.exists()`, or `await query`."
        )

    if TYPE_CHECKING:

        def __copy__(self) -> Self: ...

    # Which rows

    def all(self) -> Self:
        """The same query."""
        return self

    def filter(self, *conditions: Any, **lookups: Any) -> Self:
        """The rows that meet all of these too: `filter(age__gte=18)`, `filter(Q(...) | Q(...))`.

        Raises FieldError for a name or lookup that does not exist.
        """
        self._unsliced("filter")
        made = self.__copy__()
        options = self._model._meta
        where, values = self._where, self._values
        annotations = self._extras.annotations if self._extras is not None else ()
        for condition in conditions:
            if isinstance(condition, Q) and not condition:
                continue
            node, given = node_of(condition, options, annotations)
            where += (node,)
            values += given
        if annotations:
            for item in lookups.items():
                node, given = node_of(item, options, annotations)
                where += (node,)
                values += given
        else:
            resolved = options.resolved
            for name, value in lookups.items():
                path = resolved.get(name) or resolve(options, name)
                node, given = path.leaf(value, options)
                where += (node,)
                values += given
        if len(where) - len(self._where) > 1 and options.leads_out:
            for node in where[len(self._where) :]:
                if leads_to_many(node, options, annotations):
                    return self._together(conditions, lookups)
        made._where = where
        made._values = values
        return made

    def _together(self, conditions: tuple[Any, ...], lookups: dict[str, Any]) -> Self:
        """Conditions of one call that are about relations to many are about the same related rows."""
        made = self.__copy__()
        options = self._model._meta
        annotations = self._extras.annotations if self._extras is not None else ()
        where, values = self._where, self._values
        group: tuple[Any, ...] = ()
        behind: tuple[Any, ...] = ()
        for condition in (*conditions, *lookups.items()):
            if isinstance(condition, Q) and not condition:
                continue
            node, given = node_of(condition, options, annotations)
            if leads_to_many(node, options, annotations):
                group += node[1:] if node[0] == "and" else (node,)
                behind += given
            else:
                where += (node,)
                values += given
        made._where = (*where, ("and", *group))
        made._values = values + behind
        return made

    def exclude(self, *conditions: Any, **lookups: Any) -> Self:
        """The rows that do not meet all of these together: exactly those `filter` leaves out."""
        return self.filter(~Q(*conditions, **lookups)) if conditions or lookups else self

    def none(self) -> Self:
        """No rows, mostly without asking the database."""
        made = self.__copy__()
        made._where = (*self._where, NOTHING)
        made._none = True
        return made

    def search(self, text: str, *names: str) -> Self:
        """The rows where any of the fields contains `text`, in any case; every row for no text."""
        if not text:
            return self
        if not names:
            raise FieldError("search() needs the names of the fields to search.")
        found = Q()
        for name in names:
            found = found | Q(**{f"{name}__icontains": text})
        return self.filter(found)

    def distinct(self) -> Self:
        """Each row once."""
        return self._with(distinct=True)

    # Order and limits

    def order_by(self, *names: str) -> Self:
        """In this order, `-name` descending. NULLs come last ascending; without names, in no order."""
        made = self.__copy__()
        known = [name for name, _ in (self._extras or PLAIN).annotations]
        for name in names:
            plain = name.removeprefix("-")
            if plain not in known and resolve(self._model._meta, plain).operator != "exact":
                raise FieldError(f"order_by({name!r}): a field is wanted, not a comparison.")
        made._order = names
        return made

    def reverse(self) -> Self:
        """The other way round."""
        names = self._model._meta.ordering if self._order is None else self._order
        if not names:
            names = ("pk",)
        made = self.__copy__()
        made._order = tuple(name[1:] if name.startswith("-") else f"-{name}" for name in names)
        return made

    def _slice(self, item: slice) -> Self:
        if item.step is not None:
            raise ValueError("A query is sliced without a step.")
        for end in (item.start, item.stop):
            if end is not None and (not isinstance(end, int) or isinstance(end, bool)):
                raise TypeError(f"A query is sliced by integers, not `{type(end).__name__}`.")
            if end is not None and end < 0:
                raise ValueError("A query is not sliced from its end: reverse() it and slice from the start.")
        start, stop = item.start or 0, item.stop
        made = self.__copy__()
        limit = None if stop is None else max(0, stop - start)
        if self._limit is not None:
            left = max(0, self._limit - start)
            limit = left if limit is None else min(limit, left)
        if start:
            made._offset = (self._offset or 0) + start
            made._offset = min(made._offset, MOST)
        made._limit = None if limit is None else min(limit, MOST)
        return made

    def paginate(self, page: int, page_size: int) -> Self:
        """Page `page`, counted from 1."""
        if page < 1 or page_size < 1:
            raise ValueError("Pages are counted from 1 and hold at least one row.")
        return self._slice(slice((page - 1) * page_size, page * page_size))

    # What comes with them

    def annotate(self, **expressions: Expression) -> Self:
        """Compute these for each row (or, after values(), each group): `annotate(total=F("price") *
        F("qty"))`.
        """
        self._unsliced("annotate")
        extras = self._extras or PLAIN
        options = self._model._meta
        made, values = extras.annotations, self._extra_values
        names = extras.names
        grouped = extras.grouped
        for name, expression in expressions.items():
            if name in options.fields or name in options.relations or hasattr(self._model, name):
                raise FieldError(f"annotate({name}=...): {options.name} has a `{name}` already.")
            if not isinstance(expression, Expression):
                raise FieldError(f"annotate({name}=...) takes an expression; a plain value is Value(...).")
            shape, given = expression.shape(options)
            made += ((name, shape),)
            values += given
            if extras.rows != "objects":
                names += (name,)
                grouped = grouped or has_aggregate(shape)
        query = self._with(annotations=made, names=names, grouped=grouped)
        query._extra_values = values
        return query

    def select_related(self, *relations: str) -> Self:
        """Load related objects in the same query: `select_related("author__city")` sets
        `post.author.city`.
        """
        extras = self._extras or PLAIN
        related = extras.related
        for name in relations:
            chain(self._model._meta, name)
            steps = name.split("__")
            for count in range(1, len(steps) + 1):
                part = "__".join(steps[:count])
                if part not in related:
                    related += (part,)
        return self._with(related=related)

    def select_for_update(self, *, nowait: bool = False, skip_locked: bool = False) -> Self:
        """Lock the rows until the transaction ends (SQLite's transactions lock everything by themselves)."""
        if nowait and skip_locked:
            raise ValueError("select_for_update: choose nowait or skip_locked.")
        lock: Literal["update", "update nowait", "update skip locked"] = "update"
        if nowait:
            lock = "update nowait"
        elif skip_locked:
            lock = "update skip locked"
        return self._with(lock=lock)

    def using(self, db: Database | None) -> Self:
        """Run on this database, whichever is bound; None is the bound one."""
        made = self.__copy__()
        made._db = db
        return made

    def prefetch_related(self, *relations: str | Prefetch) -> Self:
        """Load related objects with one more query per relation: `prefetch_related("books__tags")` sets
        `author.books` and each book's `tags`. Without names, forget what was asked for.
        """
        made = self.__copy__()
        made._prefetch = (*self._prefetch, *relations) if relations else ()
        plan(self._model._meta, made._prefetch)
        return made

    def only(self, *names: str) -> Self:
        """Load these fields and the primary key; the others are UNSET, and saving leaves them alone."""
        options = self._model._meta
        wanted = {options.field(name).name for name in names} | {options.pk.name}
        return self._with(only=tuple(name for name in options.names if name in wanted))

    def defer(self, *names: str) -> Self:
        """Load all fields but these; they are UNSET, and saving leaves them alone."""
        options = self._model._meta
        left = {options.field(name).name for name in names}
        known = (self._extras or PLAIN).only or options.names
        return self._with(only=tuple(name for name in known if name not in left or name == options.pk.name))

    # Which rows are visible

    def with_deleted(self) -> Self:
        """Deleted objects of a SoftDelete model too."""
        self._soft("with_deleted")
        return self._unscope("deleted")

    def only_deleted(self) -> Self:
        """The deleted objects of a SoftDelete model."""
        field = self._soft("only_deleted")
        return self._unscope("deleted").filter(**{f"{field}__isnull": False})

    def all_tenants(self) -> Self:
        """Objects of every tenant: for administration, never for a request of one of them."""
        if self._model._meta.tenant_field is None:
            raise FieldError(f"{self._model.__name__} is not TenantScoped.")
        return self._unscope("tenant")

    def _unseen(self) -> Self:
        """The deleted objects too, where there are any."""
        return self._unscope("deleted") if self._model._meta.soft_delete else self

    def _soft(self, what: str) -> str:
        field = self._model._meta.soft_delete
        if field is None:
            raise FieldError(f"{what}(): {self._model.__name__} is no SoftDelete model.")
        return field

    def _unscope(self, rule: str) -> Self:
        unscoped = (self._extras or PLAIN).unscoped
        return self if rule in unscoped else self._with(unscoped=(*unscoped, rule))

    # Several queries as one

    def union(self, *others: Query[M], all: bool = False) -> Self:
        """The rows of this query and of the others, each once (with `all`, as often as they come)."""
        return self._combined("union all" if all else "union", others)

    def intersection(self, *others: Query[M]) -> Self:
        """The rows that are in all of them."""
        return self._combined("intersection", others)

    def difference(self, *others: Query[M]) -> Self:
        """The rows of this query that are in none of the others."""
        return self._combined("difference", others)

    def _combined(self, operator: str, others: tuple[Query[M], ...]) -> Self:
        parts: list[tuple[str, Any]] = []
        values: tuple[Any, ...] = ()
        queries: tuple[Query[M], ...] = (self, *others)
        for query in queries:
            extras = query._extras or PLAIN
            if query._model is not self._model or extras.rows != "objects" or extras.annotations:
                raise FieldError(
                    f"{operator.split()[0]}() combines queries of {self._model.__name__} objects, without "
                    "annotations or values(); those come after it."
                )
            shape, given = query.nested(ordered=query._limit is not None or query._offset is not None)
            parts.append((operator, shape))
            values += given
        made = type(self)(self._model)
        made._db = self._db
        made._prefetch = self._prefetch
        unscoped = (self._extras or PLAIN).unscoped
        made._extras = Extras(compound=tuple(parts), unscoped=unscoped)
        made._extra_values = values
        return made

    def _arriving(self, link: Any, keys: list[Any]) -> Self:
        """The objects that a many-to-many relation reaches from these keys, each with its `_near` one."""
        made = self._with(via=link)
        compound = bool((self._extras or PLAIN).compound)
        if compound:
            raise FieldError("A combined query cannot be prefetched by a many-to-many relation.")
        made._extra_values = (keys, *self._extra_values)
        return made

    # As part of another

    def nested(self, *, ordered: bool = False) -> tuple[Any, tuple[Any, ...]]:
        """The shape of this query inside another, and its values."""
        limited, offset = self._limit is not None, self._offset is not None
        order = self._order if ordered or limited or offset else ()
        shape = (self._model._meta, self._where, order, limited, offset, self._extras)
        return shape, self._all_values()

    def subquery(self, *, ordered: bool = False) -> tuple[Any, tuple[Any, ...]]:
        """The shape of this query as one column inside another, and its values."""
        extras = self._extras or PLAIN
        if extras.rows == "objects":
            extras = msgspec.structs.replace(extras, rows="tuples", names=("pk",))
        if len(extras.names) != 1:
            raise FieldError("`in` takes a query of one column: give it `.values_list(name)`.")
        limited, offset = self._limit is not None, self._offset is not None
        order = self._order if ordered or limited or offset else ()
        shape = (self._model._meta, self._where, order, limited, offset, extras)
        return shape, self._all_values()

    def _all_values(self) -> tuple[Any, ...]:
        values = self._extra_values + self._values
        if self._limit is not None:
            values += (self._limit,)
        if self._offset is not None:
            values += (self._offset,)
        return values

    def _with(self, **changes: Any) -> Self:
        made = self.__copy__()
        made._extras = msgspec.structs.replace(self._extras or PLAIN, **changes)
        return made

    def _unsliced(self, what: str) -> None:
        if self._limit is not None or self._offset is not None:
            raise FieldError(f"A slice of a query cannot be changed by {what}(); {what} first, then slice.")


def leads_to_many(node: Any, options: Options, annotations: Any) -> bool:
    """Whether a condition is about a relation to many."""
    if node[0] in ("and", "or", "not"):
        return any(leads_to_many(part, options, annotations) for part in node[1:])
    if node[0] in ("native", "exists"):
        return False
    return path_of(node[0], options, annotations).many


def has_aggregate(shape: Any) -> bool:
    return isinstance(shape, tuple) and (
        (bool(shape) and shape[0] == "aggregate") or any(has_aggregate(part) for part in shape)
    )
