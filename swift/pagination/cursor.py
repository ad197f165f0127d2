"""Pages by cursor: a place in the order of the list, so that rows which come or go meanwhile move no page.

A cursor holds the values that the last row shown has in the fields of the order, and the next page is what
comes after them: as quick on the thousandth page as on the first. The primary key, which in_full_order puts
behind any order that needs it, settles ties. NULLs stand last ascending and first descending, as everywhere.

A cursor is signed (HMAC-SHA256, RFC 2104) with the app's secret, together with the table and the order it is for.
So a client cannot make one, and one that was given out for another order is refused and not misread. It is
not encrypted: who may see the list may see the values it is ordered by.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import UNSET, UnsetType

from swift.http import BadRequest, ErrorDetail, Request
from swift.models import Field, Model, Q
from swift.models.lookups import ORDERED

from .base import Pagination, in_full_order, url_without

# Half of what SHA-256 gives, which RFC 2104 section 5 calls enough.
TAG_SIZE = 16
LONGEST = 4096


class CursorQuery(msgspec.Struct, kw_only=True):
    cursor: Annotated[
        str, msgspec.Meta(description="Where the page starts, as `next` or `previous` have it.")
    ] = ""
    page_size: Annotated[int, msgspec.Meta(ge=1, description="How many items a page has.")] | UnsetType = (
        UNSET
    )


class Cursor(msgspec.Struct, array_like=True):
    """A place in a list: before or behind the row with these values; `inclusive` counts that row in."""

    backwards: bool
    inclusive: bool
    values: tuple[Any, ...]


class CursorPagination(Pagination):
    """`?cursor=...&page_size=50`. A cursor that was not made here, or for another order, is a 400.

    `secret` signs the cursors; without one it is the app's (`[global] secret_key` of its settings).
    """

    query: ClassVar[type[msgspec.Struct]] = CursorQuery
    counts: ClassVar[bool] = False
    needs_objects: ClassVar[bool] = True
    secret: ClassVar[str | None] = None

    def check(self, model: Any, order: Sequence[str], label: str) -> None:
        for name in (*order, *model._meta.ordering):
            keys_of(model, (name,), label)

    def check_app(self, app: Any, label: str) -> None:
        if not self.secret_of(app):
            raise ValueError(
                f"{label}: a {type(self).__name__} signs its cursors; give the app settings with a `secret_key` in "
                "[global], or the class a `secret`."
            )

    def secret_of(self, app: Any) -> str | None:
        settings = getattr(app, "settings", None)
        return self.secret or (None if settings is None else settings.global_.secret_key)

    async def paginate(
        self, queryset: Any, request: Request, query: Any, show: Callable[[Any], Any] | None = None
    ) -> Any:
        size = self.size_of(query.page_size)
        ordered = in_full_order(queryset)
        order: tuple[str, ...] = ordered.model._meta.ordering if ordered._order is None else ordered._order
        secret = self.secret_of(request.app)
        if not secret:
            raise RuntimeError("CursorPagination has no secret to sign its cursors with.")
        keys = keys_of(ordered.model, order, type(self).__name__)
        signer = Signer(signing_key(secret), ordered.model._meta.table.name, order, keys)
        cursor = signer.read(query.cursor) if query.cursor else None
        backwards = cursor is not None and cursor.backwards
        rows = ordered.order_by(*turned(order)) if backwards else ordered
        if cursor is not None:
            rows = behind(rows, keys, cursor)
        count: int | None = await queryset.count() if self.counts else None
        objects = await rows[: size + 1]
        more = len(objects) > size
        del objects[size:]
        if backwards:
            objects.reverse()
        before, after = (more, True) if backwards else (cursor is not None, more)
        first, last = self.ends(objects, keys, cursor)
        url = f"{url_without(request, ('cursor',))}cursor=" if before or after else ""
        return self.page(
            count,
            f"{url}{signer.sign(last)}" if after and last is not None else None,
            f"{url}{signer.sign(first)}" if before and first is not None else None,
            objects if show is None else [show(obj) for obj in objects],
        )

    @staticmethod
    def ends(
        objects: list[Any], keys: tuple[Key, ...], cursor: Cursor | None
    ) -> tuple[Cursor | None, Cursor | None]:
        """The cursors to the page before the first object and behind the last."""
        if objects:
            return (
                Cursor(True, False, tuple(getattr(objects[0], key.name) for key in keys)),
                Cursor(False, False, tuple(getattr(objects[-1], key.name) for key in keys)),
            )
        if cursor is None:
            return None, None
        # Nothing on this side of the place any more: the way back starts with the row that stood there.
        back = Cursor(not cursor.backwards, not cursor.inclusive, cursor.values)
        return (None, back) if cursor.backwards else (back, None)


class Key(msgspec.Struct, frozen=True):
    """One field of an order."""

    name: str
    field: Field
    descending: bool

    @property
    def type(self) -> Any:
        return self.field.type | None if self.field.null else self.field.type


@lru_cache(256)
def keys_of(model: type[Model], order: tuple[str, ...], label: str) -> tuple[Key, ...]:
    """The fields of an order. ValueError for what has no place that a cursor could hold."""
    found = []
    for name in order:
        plain = name.removeprefix("-")
        field = model._meta.pk if plain == "pk" else model._meta.fields.get(plain)
        if field is None or (field.kind not in ORDERED and field.kind != "bool"):
            raise ValueError(
                f"{label} is cut by cursors, and `{name}` is no field of {model.__name__} with an order of its own."
            )
        found.append(Key(field.name, field, name.startswith("-")))
    return tuple(found)


@lru_cache(16)
def signing_key(secret: str) -> bytes:
    """A key for cursors only, so that a signature of something else is none of a cursor."""
    return hmac.digest(secret.encode(), b"swift.pagination.cursor", "sha256")


@lru_cache(256)
def values_decoder(types: tuple[Any, ...]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(tuple[bool, bool, tuple[types]])  # type: ignore[valid-type]


class Signer:
    """Makes and reads the cursors of one table in one order."""

    def __init__(self, key: bytes, table: str, order: tuple[str, ...], keys: tuple[Key, ...]) -> None:
        self.key = key
        self.context = msgspec.json.encode((table, order))
        self.keys = keys

    def tag(self, payload: bytes) -> bytes:
        return hmac.digest(self.key, self.context + payload, "sha256")[:TAG_SIZE]

    def sign(self, cursor: Cursor) -> str:
        payload = msgspec.json.encode(cursor)
        return urlsafe_b64encode(self.tag(payload) + payload).rstrip(b"=").decode()

    def read(self, text: str) -> Cursor:
        try:
            if len(text) > LONGEST:
                raise ValueError
            signed = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
            tag, payload = signed[:TAG_SIZE], signed[TAG_SIZE:]
            if not hmac.compare_digest(tag, self.tag(payload)):
                raise ValueError
            return Cursor(*values_decoder(tuple(key.type for key in self.keys)).decode(payload))
        except (ValueError, NotBase64):
            raise BadRequest(
                "The cursor is not valid.",
                errors=[
                    ErrorDetail(
                        "/query/cursor",
                        "invalid_cursor",
                        "Not a cursor of this list; start again without one",
                    )
                ],
            ) from None


def turned(order: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name[1:] if name.startswith("-") else f"-{name}" for name in order)


def behind(queryset: Any, keys: tuple[Key, ...], cursor: Cursor) -> Any:
    """The rows that come after the place of a cursor, in the order the cursor goes."""
    alternatives: list[Q] = []
    equal: dict[str, Any] = {}
    for key, value in zip(keys, cursor.values, strict=True):
        beyond = after(key, value, descending=key.descending != cursor.backwards)
        if beyond is not None:
            alternatives.append(Q(**equal) & beyond if equal else beyond)
        equal[f"{key.name}__isnull" if value is None else key.name] = True if value is None else value
    if cursor.inclusive:
        alternatives.append(Q(**equal))
    if not alternatives:
        return queryset.none()
    found = alternatives[0]
    for alternative in alternatives[1:]:
        found = found | alternative
    first, value = keys[0], cursor.values[0]
    if len(keys) > 1 and not first.field.null and first.field.kind != "bool":
        # Follows from the rest; said alone, an index can start there.
        way = "lte" if first.descending != cursor.backwards else "gte"
        queryset = queryset.filter(**{f"{first.name}__{way}": value})
    return queryset.filter(found)


def after(key: Key, value: Any, *, descending: bool) -> Q | None:
    """The condition of coming after `value` in one field; None when nothing does."""
    name = key.name
    if value is None:
        return Q(**{f"{name}__isnull": False}) if descending else None
    if key.field.kind == "bool":
        found = Q(**{name: not descending}) if value is descending else None
    else:
        found = Q(**{f"{name}__{'lt' if descending else 'gt'}": value})
    if descending or not key.field.null:
        return found
    null = Q(**{f"{name}__isnull": True})
    return null if found is None else found | null
