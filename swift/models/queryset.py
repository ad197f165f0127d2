"""QuerySet: a query that can be run.

`await query` is its rows, `async for` streams them. Nothing touches the database before that. The way of
one run: the shape is looked up in the Database's programs, the values are bound, the engine fetches, the
rows are decoded.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Generator, Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Generic, Literal, Self, TypeVar, overload

import msgspec

from swift.engines.database import Database, database
from swift.models.errors import FieldError
from swift.models.expressions import Aggregate
from swift.models.prefetch import load, plan
from swift.models.programs import (
    Program,
    aggregate_program,
    count_program,
    delete_program,
    exists_program,
    json_program,
    select_program,
    update_program,
)
from swift.models.query import Query
from swift.models.shape import PLAIN

if TYPE_CHECKING:
    from swift.models.model import Model
    from swift.models.raw import RawQuery

M = TypeVar("M", bound="Model")
R = TypeVar("R")

encode = msgspec.json.Encoder().encode


class QuerySet(Query[M], Generic[M], eq=False):
    """The objects of a model that meet the query's conditions."""

    def _key(self) -> tuple[Any, ...]:
        return (
            self._model,
            self._where,
            self._order,
            self._limit is not None,
            self._offset is not None,
            self._extras,
        )

    async def _rows(self) -> list[Any]:
        if self._none:
            return []
        db = database(self._db)
        program: Program = db.program(select_program, self._key())
        rows = await db.executor.fetch(program.command, program.bind(self._all_values()))
        if self._prefetch:
            return await self._prefetched(program.decode(rows), db)
        return program.decode(rows)

    async def _prefetched(self, objects: list[Any], db: Database) -> list[Any]:
        if objects and (self._extras is None or self._extras.rows == "objects"):
            await load(objects, plan(self._model._meta, self._prefetch), db)
        return objects

    # Reading

    def __await__(self) -> Generator[Any, Any, list[M]]:
        return self._rows().__await__()

    async def __aiter__(self) -> AsyncIterator[M]:
        async for part in self.stream():
            for item in part:
                yield item

    async def stream(self, size: int = 500) -> AsyncIterator[list[M]]:
        """The objects in parts of at most `size`, with one part in memory at a time."""
        if self._none:
            return
        db = database(self._db)
        program: Program = db.program(select_program, self._key())
        rows = db.executor.stream(program.command, program.bind(self._all_values()), size=size)
        async for part in rows:
            objects = program.decode(part)
            yield await self._prefetched(objects, db) if self._prefetch else objects

    iterator = stream

    @overload
    def __getitem__(self, item: slice) -> Self: ...
    @overload
    def __getitem__(self, item: int) -> Awaitable[M]: ...
    def __getitem__(self, item: int | slice) -> Self | Awaitable[M]:
        """`query[10:20]` is a query; `await query[3]` one object, or IndexError."""
        if isinstance(item, slice):
            return self._slice(item)
        return self._slice(slice(item, item + 1))._only()

    async def _only(self) -> M:
        rows = await self._rows()
        if not rows:
            raise IndexError(f"{self._model.__name__}: the query has no row of that number.")
        return rows[0]  # type: ignore[no-any-return]

    async def get(self, *conditions: Any, **lookups: Any) -> M:
        """The one object that meets the conditions. Raises the model's DoesNotExist or
        MultipleObjectsReturned.
        """
        query = self.filter(*conditions, **lookups) if conditions or lookups else self
        if query._limit is None:
            query = query.__copy__() if query is self else query
            query._limit = 2
            query._order = ()
        rows = await query._rows()
        if len(rows) == 1:
            return rows[0]  # type: ignore[no-any-return]
        name = self._model._meta.verbose_name
        if not rows:
            raise self._model.DoesNotExist(f"No {name} matches the query.")
        raise self._model.MultipleObjectsReturned(f"More than one {name} matches the query.")

    async def first(self) -> M | None:
        """The first object, by the primary key where the query has no order; None if there is none."""
        query = self
        if not (self._model._meta.ordering if self._order is None else self._order):
            query = self.order_by("pk")
        rows = await query._slice(slice(0, 1))._rows()
        return rows[0] if rows else None

    async def last(self) -> M | None:
        """The last object, as `first`."""
        return await self.reverse().first()

    async def earliest(self, *names: str) -> M:
        """The first object in the order of these fields. Raises the model's DoesNotExist."""
        found = await self.order_by(*names).first()
        if found is None:
            raise self._model.DoesNotExist(f"No {self._model._meta.verbose_name} matches the query.")
        return found

    async def latest(self, *names: str) -> M:
        """The last object in the order of these fields. Raises the model's DoesNotExist."""
        found = await self.order_by(*names).last()
        if found is None:
            raise self._model.DoesNotExist(f"No {self._model._meta.verbose_name} matches the query.")
        return found

    async def in_bulk(self, keys: Iterable[Any] | None = None, *, field: str = "pk") -> dict[Any, M]:
        """The objects by primary key (or another unique field), all or those of `keys`."""
        found = self._model._meta.field(field)
        if not (found.unique or found.primary_key):
            raise FieldError(f"in_bulk(field={field!r}): {found.label} is not unique.")
        query = self if keys is None else self.filter(**{f"{field}__in": list(keys)})
        return {getattr(item, found.name): item for item in await query}

    async def explain(self) -> str:
        """How the database runs the query, in its own words."""
        db = database(self._db)
        program: Program = db.program(select_program, self._key())
        return await db.explain(program.command, program.bind(self._all_values()))

    async def count(self) -> int:
        """How many rows there are."""
        if self._none:
            return 0
        rows = await self._run(count_program)
        return int(rows[0][0])

    async def exists(self) -> bool:
        """Whether there is any row."""
        return not self._none and bool(await self._run(exists_program))

    async def aggregate(self, **aggregates: Aggregate) -> dict[str, Any]:
        """Values over all rows: `aggregate(total=Sum("price"), n=Count())`."""
        shapes: tuple[Any, ...] = ()
        values: tuple[Any, ...] = ()
        for name, item in aggregates.items():
            shape, given = item.shape(self._model._meta)
            shapes += ((name, shape),)
            values += given
        db = database(self._db)
        program: Program = db.program(aggregate_program, (*self._key(), shapes))
        bound = program.bind(values + self._all_values())
        return program.decode(await db.executor.fetch(program.command, bound))[0]  # type: ignore[no-any-return]

    async def _run(self, build: Any) -> list[Any]:
        db = database(self._db)
        program: Program = db.program(build, self._key())
        return await db.executor.fetch(program.command, program.bind(self._all_values()))

    async def counted(self, start: int = 0, stop: int | None = None) -> tuple[int, list[M]]:
        """(how many rows there are, those from `start` to `stop`), of one moment, in one trip."""
        total, rows = await self._counted(select_program, slice(start, stop))
        return total, rows

    async def counted_json(self, start: int = 0, stop: int | None = None) -> tuple[int, bytes]:
        """As `counted`, with the rows as a JSON array in bytes."""
        total, rows = await self._counted(json_program, slice(start, stop))
        return total, rows if isinstance(rows, bytes) else encode(rows)

    async def _counted(self, build: Any, part: slice) -> tuple[int, Any]:
        if self._none:
            return 0, []
        db = database(self._db)
        sliced = self._slice(part)
        count: Program = db.program(count_program, self._key())
        page: Program = db.program(build, sliced._key())
        counts, rows = await db.executor.fetch_all(
            (
                (count.command, count.bind(self._all_values())),
                (page.command, page.bind(sliced._all_values())),
            )
        )
        if page.is_json:
            return counts[0][0], rows[0][0]
        objects = page.decode(rows)
        return counts[0][0], await self._prefetched(objects, db) if self._prefetch else objects

    # Other forms of rows

    def values(self, *names: str) -> Values[M, dict[str, Any]]:
        """Dicts of these fields (all by default); followed by annotate() with aggregates, groups by them."""
        return self._as("dicts", names)

    @overload
    def values_list(self, *names: str, flat: Literal[False] = False) -> Values[M, tuple[Any, ...]]: ...
    @overload
    def values_list(self, *names: str, flat: Literal[True]) -> Values[M, Any]: ...
    def values_list(self, *names: str, flat: bool = False) -> Values[M, Any]:
        """Tuples of these fields; with `flat`, the bare values of one field."""
        if flat and len(names) != 1:
            raise FieldError("values_list(flat=True) takes exactly one field.")
        return self._as("scalars" if flat else "tuples", names)

    def _as(self, rows: str, names: tuple[str, ...]) -> Values[M, Any]:
        options, extras = self._model._meta, self._extras or PLAIN
        known = [name for name, _ in extras.annotations]
        for name in names:
            if name not in known:
                self.order_by(name)  # the same names are good for both
        chosen = names or (*options.fields, *known)
        made = self._with(rows=rows, names=chosen)
        return Values(**{name: getattr(made, name) for name in made.__struct_fields__})

    async def fetch_json(self) -> bytes:
        """The rows as a JSON array in bytes, made by the database: what encoding `await query` would give."""
        if self._none:
            return b"[]"
        db = database(self._db)
        program: Program = db.program(json_program, self._key())
        values = program.bind(self._all_values())
        if program.is_json:
            return await db.executor.fetch_json(program.command, values)
        return encode(program.decode(await db.executor.fetch(program.command, values)))

    def raw(self, sql: str, /, **values: Any) -> RawQuery[M]:
        """The rows of a SELECT as objects, its `:name` parameters given by name. Its columns are the model's."""
        from swift.models.raw import RawQuery

        return RawQuery(self._model, sql, values, self._db)

    # Writing

    async def create(self, **values: Any) -> M:
        """Insert an object and return it as the database has it."""
        from swift.models.saving import create

        return await create(self, values)

    async def bulk_create(
        self,
        objects: Iterable[M | Mapping[str, Any]],
        *,
        ignore_conflicts: bool = False,
        on_conflict: Literal["", "ignore", "update"] = "",
        conflict: Iterable[str] = (),
        update: Iterable[str] | None = None,
    ) -> list[M]:
        """Insert many, all or none, in one trip.

        With `on_conflict="ignore"` (or `ignore_conflicts`), rows that clash are left out. With `"update"`,
        a row that clashes over the fields of `conflict` (the primary key) gets the new values of the fields
        of `update` (all that are given).
        """
        from swift.models.saving import bulk_create

        how = "ignore" if ignore_conflicts and not on_conflict else on_conflict
        return await bulk_create(self, objects, how, conflict, update)

    async def bulk_update(self, objects: Iterable[M], fields: Iterable[str]) -> int:
        """Write these fields of objects that exist, all or none, in one trip; how many rows there were."""
        from swift.models.saving import bulk_update

        return await bulk_update(self, objects, fields)

    async def get_or_create(
        self, defaults: Mapping[str, Any] | None = None, **lookups: Any
    ) -> tuple[M, bool]:
        """(the object, whether it was created now). `defaults` are values for creating only."""
        from swift.models.saving import get_or_create

        return await get_or_create(self, defaults or {}, lookups)

    async def update_or_create(
        self, defaults: Mapping[str, Any] | None = None, **lookups: Any
    ) -> tuple[M, bool]:
        """(the object, whether it was created now). An existing one gets the values of `defaults`."""
        from swift.models.saving import update_or_create

        return await update_or_create(self, defaults or {}, lookups)

    async def upsert(
        self, *, conflict: Iterable[str], update: Iterable[str] | None = None, **values: Any
    ) -> M:
        """Insert, or where the fields of `conflict` clash update the row (`update`: which fields; all
        given).
        """
        from swift.models.saving import upsert

        return await upsert(self, tuple(conflict), None if update is None else tuple(update), values)

    async def update(self, **changes: Any) -> int:
        """Set fields in every row, to values or expressions; how many rows there were."""
        from swift.models.saving import shaped_changes

        if self._none:
            return 0
        names, values = shaped_changes(self._model._meta, changes)
        db = database(self._db)
        program: Program = db.program(update_program, (*self._key(), names))
        return await db.executor.execute(program.command, program.bind(values + self._all_values()))

    async def delete(self) -> int:
        """Delete every row; how many there were. What depends on them goes as its `on_delete` says.

        Objects of a SoftDelete model are marked as deleted.
        """
        field = self._model._meta.soft_delete
        if field is not None:
            return await self.update(**{field: datetime.now(UTC)})
        return await self.hard_delete()

    async def restore(self) -> int:
        """Undo the deletion of objects of a SoftDelete model; how many there were."""
        return await self.only_deleted().update(**{self._soft("restore"): None})

    async def hard_delete(self) -> int:
        """Delete the rows themselves, of a SoftDelete model too."""
        if self._none:
            return 0
        db = database(self._db)
        program: Program = db.program(delete_program, self._key())
        return await db.executor.execute(program.command, program.bind(self._all_values()))


class Values(QuerySet[M], Generic[M, R], eq=False):
    """A query whose rows are dicts, tuples or single values."""

    def __await__(self) -> Generator[Any, Any, list[R]]:  # type: ignore[override]
        return self._rows().__await__()
