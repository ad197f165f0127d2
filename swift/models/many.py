"""The objects at the far end of a relation of many: `author.books`, `post.tags`.

`await author.books` gives them (without a query where `prefetch_related` has loaded them); `filter` and its
kin give queries over them; `add`, `remove`, `set`, `clear` and `create` change them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from swift.engines.database import Database, database
from swift.models.errors import FieldError
from swift.models.relations import ManyToMany, Reverse

if TYPE_CHECKING:
    from swift.models.queryset import QuerySet

T = TypeVar("T")


class Many(Generic[T]):
    """The objects one object is related to."""

    __slots__ = ("db", "instance", "link")

    def __init__(self, link: Reverse | ManyToMany, instance: Any, db: Database | None = None) -> None:
        self.link = link
        self.instance = instance
        self.db = db

    def __repr__(self) -> str:
        loaded = self.instance.__dict__.get(self.link.relation)
        return f"<{self.label} {'not loaded' if loaded is None else loaded!r}>"

    @property
    def label(self) -> str:
        return f"{type(self.instance).__name__}.{self.link.relation}"

    def using(self, db: Database | None) -> Many[T]:
        """The same on another database."""
        return Many(self.link, self.instance, db)

    # Loaded ones

    @property
    def is_loaded(self) -> bool:
        return self.link.relation in self.instance.__dict__

    @property
    def loaded(self) -> list[T]:
        """The objects prefetch_related has loaded. Raises AttributeError."""
        try:
            return self.instance.__dict__[self.link.relation]  # type: ignore[no-any-return]
        except KeyError:
            raise AttributeError(
                f'{self.label} is not loaded. Ask for it with `.prefetch_related("{self.link.relation}")`, '
                "or await it."
            ) from None

    def __iter__(self) -> Iterator[T]:
        return iter(self.loaded)

    def __len__(self) -> int:
        return len(self.loaded)

    def __bool__(self) -> bool:
        return bool(self.loaded)

    @overload
    def __getitem__(self, item: int) -> T: ...
    @overload
    def __getitem__(self, item: slice) -> list[T]: ...
    def __getitem__(self, item: int | slice) -> T | list[T]:
        return self.loaded[item]

    # Queries

    @property
    def key(self) -> Any:
        if self.instance.pk is None:
            raise FieldError(
                f"{self.label}: save the {type(self.instance).__name__} first; it has no key yet."
            )
        return self.instance.pk

    def all(self) -> QuerySet[Any]:
        """The query of them all."""
        target: Any = self.link.target()
        query: QuerySet[Any] = target.objects.using(self.db)
        if isinstance(self.link, Reverse):
            return query.filter(**{self.link.field.name: self.key})
        link, key = self.link, self.key
        pairs: Any = link.through()
        keys = pairs.objects.filter(**{link.near: key}).values_list(link.far, flat=True)
        return query.filter(pk__in=keys)

    def filter(self, *conditions: Any, **lookups: Any) -> QuerySet[Any]:
        return self.all().filter(*conditions, **lookups)

    def exclude(self, *conditions: Any, **lookups: Any) -> QuerySet[Any]:
        return self.all().exclude(*conditions, **lookups)

    def order_by(self, *names: str) -> QuerySet[Any]:
        return self.all().order_by(*names)

    async def _objects(self) -> list[T]:
        if self.is_loaded:
            return self.loaded
        return await self.all()

    def __await__(self) -> Generator[Any, Any, list[T]]:
        return self._objects().__await__()

    async def __aiter__(self) -> AsyncIterator[T]:
        if self.is_loaded:
            for item in self.loaded:
                yield item
        else:
            async for item in self.all():
                yield item

    async def get(self, *conditions: Any, **lookups: Any) -> T:
        found: T = await self.all().get(*conditions, **lookups)
        return found

    async def count(self) -> int:
        return len(self.loaded) if self.is_loaded else await self.all().count()

    async def exists(self) -> bool:
        return bool(self.loaded) if self.is_loaded else await self.all().exists()

    # Changes

    async def create(self, through: dict[str, Any] | None = None, **values: Any) -> T:
        """Create an object that is related to this one; `through` are values of the row between."""
        target: Any = self.link.target()
        made: T
        if isinstance(self.link, Reverse):
            made = await target.objects.using(self.db).create(**values, **{self.link.field.name: self.key})
        else:
            async with database(self.db).transaction():
                made = await target.objects.using(self.db).create(**values)
                await self.add(made, through=through)
        self._forget()
        return made

    async def add(self, *items: Any, through: dict[str, Any] | None = None) -> None:
        """Relate these (objects or their keys); those that are related already stay so."""
        self._forget()
        if not items:
            return
        keys = [item.pk if hasattr(item, "_meta") else item for item in items]
        target: Any = self.link.target()
        if isinstance(self.link, Reverse):
            await target.objects.using(self.db).filter(pk__in=keys).update(**{self.link.field.name: self.key})
            for item in items:
                if hasattr(item, "_meta"):
                    setattr(item, self.link.field.name, self.key)
            return
        link, key = self.link, self.key
        pairs: Any = link.through()
        given = through or {}
        known = pairs.objects.using(self.db).filter(**{link.near: key, f"{link.far}__in": keys})
        async with database(self.db).transaction():
            present = set(await known.values_list(link.far, flat=True))
            rows = [
                {link.near: key, link.far: far, **given} for far in dict.fromkeys(keys) if far not in present
            ]
            # Another may have related them meanwhile: where the pair is unique, that is no error.
            await pairs.objects.using(self.db).bulk_create(rows, ignore_conflicts=True)

    async def remove(self, *items: Any) -> int:
        """Relate these no longer; how many were. The objects themselves stay."""
        self._forget()
        keys = [item.pk if hasattr(item, "_meta") else item for item in items]
        if isinstance(self.link, Reverse):
            return await self._release(self.all().filter(pk__in=keys))
        pairs: Any = self.link.through()
        query = pairs.objects.using(self.db)
        gone: int = await query.filter(**{self.link.near: self.key, f"{self.link.far}__in": keys}).delete()
        return gone

    async def clear(self) -> int:
        """Relate none; how many were."""
        self._forget()
        if isinstance(self.link, Reverse):
            return await self._release(self.all())
        pairs: Any = self.link.through()
        gone: int = await pairs.objects.using(self.db).filter(**{self.link.near: self.key}).delete()
        return gone

    async def set(self, items: Iterable[Any]) -> None:
        """Relate exactly these."""
        keys = [item.pk if hasattr(item, "_meta") else item for item in items]
        async with database(self.db).transaction():
            present = await self.all().values_list("pk", flat=True)
            await self.remove(*(key for key in present if key not in keys))
            await self.add(*(key for key in keys if key not in present))

    async def _release(self, query: QuerySet[Any]) -> int:
        assert isinstance(self.link, Reverse)
        field = self.link.field
        if not field.null:
            raise FieldError(
                f"{self.label}: {field.label} is never NULL, so its objects can be deleted or given to "
                "another, but not released."
            )
        return await query.update(**{field.name: None})

    def _forget(self) -> None:
        self.instance.__dict__.pop(self.link.relation, None)
