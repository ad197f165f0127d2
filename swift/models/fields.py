"""The fields of models. Each constructor is typed as the value the field holds, so

    class User(Model):
        id: int = fields.IDField()
        name: str = fields.StringField(max_length=100)
        nick: str | None = fields.StringField(null=True)

checks, and so does the same without annotations.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from decimal import Decimal
from enum import Enum
from typing import Any, Literal, TypeVar, Unpack, overload
from uuid import UUID

import msgspec

from swift.engines.schema import OnDelete
from swift.models import field
from swift.models.errors import ModelError
from swift.models.field import Field, ForeignKeyField, Options
from swift.models.manyfield import ManyField
from swift.models.uuid7 import uuid7

__all__ = [
    "ArrayField",
    "BigIntegerField",
    "BinaryField",
    "BoolField",
    "ChoiceField",
    "DateField",
    "DateTimeField",
    "DecimalField",
    "EmailField",
    "EnumField",
    "Field",
    "FilePathField",
    "FloatField",
    "ForeignKey",
    "IDField",
    "IntegerField",
    "JSONField",
    "ManyToManyField",
    "MoneyField",
    "OneToOneField",
    "PositiveIntegerField",
    "Related",
    "SlugField",
    "SmallIntegerField",
    "StringField",
    "TextField",
    "TimeField",
    "URLField",
    "UUIDField",
]

T = TypeVar("T")
E = TypeVar("E", bound=Enum)
Yes = Literal[True]
No = Literal[False]

UNSET: Any = msgspec.NODEFAULT

# Something@host.tld with no spaces: what is beyond that only a letter to the address can tell.
EMAIL = r"^[^@\s]+@[^@\s.]+(\.[^@\s.]+)+$"
SLUG = r"^[-a-zA-Z0-9_]+\Z"
URL = r"^https?://[^\s/?#@]+([/?#]\S*)?\Z"
# Neither absolute nor out of its directory, on any system.
FILE_PATH = r"^(?!/)(?!(?:.*/)?\.\.?(?:/|\Z))[^\0\\:]+(?<!/)\Z"


def limits(**given: Any) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value is not None}


def number_limits(
    ge: float | None,
    gt: float | None,
    le: float | None,
    lt: float | None,
    multiple_of: float | None,
    bits: int = 0,
) -> dict[str, Any]:
    """Limits of a number; an integer also keeps to the size of its column."""
    if bits and ge is None and gt is None:
        ge = -(2 ** (bits - 1))
    if bits and le is None and lt is None:
        le = 2 ** (bits - 1) - 1
    return limits(ge=ge, gt=gt, le=le, lt=lt, multiple_of=multiple_of)


def IDField(*, db_column: str = "", description: str | None = None) -> int:
    """The primary key the database counts up. It is None until the object is saved."""
    made: Any = Field(
        "bigint",
        int,
        primary_key=True,
        auto="id",
        read_only=True,
        db_column=db_column,
        description=description,
    )
    return made  # type: ignore[no-any-return]


@overload
def IntegerField(
    *, null: No = False, default: int = UNSET, ge: int | None = None, gt: int | None = None,
    le: int | None = None, lt: int | None = None, multiple_of: int | None = None, **options: Unpack[Options],
) -> int: ...  # fmt: skip
@overload
def IntegerField(
    *, null: Yes, default: int | None = UNSET, ge: int | None = None, gt: int | None = None,
    le: int | None = None, lt: int | None = None, multiple_of: int | None = None, **options: Unpack[Options],
) -> int | None: ...  # fmt: skip
def IntegerField(
    *, null: bool = False, default: Any = UNSET, ge: int | None = None, gt: int | None = None,
    le: int | None = None, lt: int | None = None, multiple_of: int | None = None, **options: Unpack[Options],
) -> Any:  # fmt: skip
    """An integer of 32 bits."""
    rules = number_limits(ge, gt, le, lt, multiple_of, 32)
    return Field("integer", int, null=null, default=default, limits=rules, **options)


@overload
def BigIntegerField(
    *, null: No = False, default: int = UNSET, ge: int | None = None, gt: int | None = None,
    le: int | None = None, lt: int | None = None, multiple_of: int | None = None, **options: Unpack[Options],
) -> int: ...  # fmt: skip
@overload
def BigIntegerField(
    *, null: Yes, default: int | None = UNSET, ge: int | None = None, gt: int | None = None,
    le: int | None = None, lt: int | None = None, multiple_of: int | None = None, **options: Unpack[Options],
) -> int | None: ...  # fmt: skip
def BigIntegerField(
    *, null: bool = False, default: Any = UNSET, ge: int | None = None, gt: int | None = None,
    le: int | None = None, lt: int | None = None, multiple_of: int | None = None, **options: Unpack[Options],
) -> Any:  # fmt: skip
    """An integer of 64 bits."""
    rules = number_limits(ge, gt, le, lt, multiple_of, 64)
    return Field("bigint", int, null=null, default=default, limits=rules, **options)


@overload
def FloatField(
    *, null: No = False, default: float = UNSET, ge: float | None = None, gt: float | None = None,
    le: float | None = None, lt: float | None = None, multiple_of: float | None = None,
    **options: Unpack[Options],
) -> float: ...  # fmt: skip
@overload
def FloatField(
    *, null: Yes, default: float | None = UNSET, ge: float | None = None, gt: float | None = None,
    le: float | None = None, lt: float | None = None, multiple_of: float | None = None,
    **options: Unpack[Options],
) -> float | None: ...  # fmt: skip
def FloatField(
    *, null: bool = False, default: Any = UNSET, ge: float | None = None, gt: float | None = None,
    le: float | None = None, lt: float | None = None, multiple_of: float | None = None,
    **options: Unpack[Options],
) -> Any:  # fmt: skip
    """A finite float of 64 bits."""
    rules = number_limits(ge, gt, le, lt, multiple_of)
    return Field("float", float, null=null, default=default, limits=rules, **options)


@overload
def DecimalField(
    *, max_digits: int, decimal_places: int, null: No = False, default: Decimal = UNSET,
    **options: Unpack[Options],
) -> Decimal: ...  # fmt: skip
@overload
def DecimalField(
    *, max_digits: int, decimal_places: int, null: Yes, default: Decimal | None = UNSET,
    **options: Unpack[Options],
) -> Decimal | None: ...  # fmt: skip
def DecimalField(
    *,
    max_digits: int,
    decimal_places: int,
    null: bool = False,
    default: Any = UNSET,
    **options: Unpack[Options],
) -> Any:
    """An exact decimal of `max_digits` digits, `decimal_places` of them after the point.

    SQLite orders and compares exactly up to 18 digits, and by the nearest float beyond.
    """
    if not 0 <= decimal_places <= max_digits or max_digits < 1:
        raise ModelError(
            "DecimalField: decimal_places is between 0 and max_digits, and max_digits at least 1."
        )
    return Field(
        "decimal",
        Decimal,
        null=null,
        default=default,
        max_digits=max_digits,
        decimal_places=decimal_places,
        **options,
    )


@overload
def StringField(
    *, max_length: int = 255, null: No = False, default: str = UNSET, min_length: int | None = None,
    pattern: str | None = None, **options: Unpack[Options],
) -> str: ...  # fmt: skip
@overload
def StringField(
    *, max_length: int = 255, null: Yes, default: str | None = UNSET, min_length: int | None = None,
    pattern: str | None = None, **options: Unpack[Options],
) -> str | None: ...  # fmt: skip
def StringField(
    *, max_length: int = 255, null: bool = False, default: Any = UNSET, min_length: int | None = None,
    pattern: str | None = None, **options: Unpack[Options],
) -> Any:  # fmt: skip
    """Text of at most `max_length` characters, matching `pattern` somewhere."""
    rules = limits(max_length=max_length, min_length=min_length, pattern=pattern)
    return Field("string", str, null=null, default=default, max_length=max_length, limits=rules, **options)


@overload
def EmailField(*, null: No = False, default: str = UNSET, **options: Unpack[Options]) -> str: ...
@overload
def EmailField(*, null: Yes, default: str | None = UNSET, **options: Unpack[Options]) -> str | None: ...
def EmailField(*, null: bool = False, default: Any = UNSET, **options: Unpack[Options]) -> Any:
    """An e-mail address, by its form (at most 254 characters, RFC 5321 §4.5.3.1.3)."""
    rules = limits(max_length=254, pattern=EMAIL)
    return Field("string", str, null=null, default=default, max_length=254, limits=rules, **options)


@overload
def TextField(
    *, null: No = False, default: str = UNSET, min_length: int | None = None, max_length: int | None = None,
    **options: Unpack[Options],
) -> str: ...  # fmt: skip
@overload
def TextField(
    *, null: Yes, default: str | None = UNSET, min_length: int | None = None, max_length: int | None = None,
    **options: Unpack[Options],
) -> str | None: ...  # fmt: skip
def TextField(
    *, null: bool = False, default: Any = UNSET, min_length: int | None = None, max_length: int | None = None,
    **options: Unpack[Options],
) -> Any:  # fmt: skip
    """Text of any length; `max_length` limits what is decoded, not the column."""
    rules = limits(min_length=min_length, max_length=max_length)
    return Field("text", str, null=null, default=default, limits=rules, **options)


@overload
def BoolField(*, null: No = False, default: bool = UNSET, **options: Unpack[Options]) -> bool: ...
@overload
def BoolField(*, null: Yes, default: bool | None = UNSET, **options: Unpack[Options]) -> bool | None: ...
def BoolField(*, null: bool = False, default: Any = UNSET, **options: Unpack[Options]) -> Any:
    """True or False."""
    return Field("bool", bool, null=null, default=default, **options)


@overload
def DateField(*, null: No = False, default: dt.date = UNSET, **options: Unpack[Options]) -> dt.date: ...
@overload
def DateField(
    *, null: Yes, default: dt.date | None = UNSET, **options: Unpack[Options]
) -> dt.date | None: ...
def DateField(*, null: bool = False, default: Any = UNSET, **options: Unpack[Options]) -> Any:
    """A calendar date."""
    return Field("date", dt.date, null=null, default=default, **options)


@overload
def TimeField(*, null: No = False, default: dt.time = UNSET, **options: Unpack[Options]) -> dt.time: ...
@overload
def TimeField(
    *, null: Yes, default: dt.time | None = UNSET, **options: Unpack[Options]
) -> dt.time | None: ...
def TimeField(*, null: bool = False, default: Any = UNSET, **options: Unpack[Options]) -> Any:
    """A time of day, without a zone."""
    return Field("time", dt.time, null=null, default=default, limits={"tz": False}, **options)


@overload
def DateTimeField(
    *, null: No = False, default: dt.datetime = UNSET, auto_now_add: bool = False, auto_now: bool = False,
    tz: bool = True, **options: Unpack[Options],
) -> dt.datetime: ...  # fmt: skip
@overload
def DateTimeField(
    *, null: Yes, default: dt.datetime | None = UNSET, auto_now_add: bool = False, auto_now: bool = False,
    tz: bool = True, **options: Unpack[Options],
) -> dt.datetime | None: ...  # fmt: skip
def DateTimeField(
    *, null: bool = False, default: Any = UNSET, auto_now_add: bool = False, auto_now: bool = False,
    tz: bool = True, **options: Unpack[Options],
) -> Any:  # fmt: skip
    """An instant, kept and given in UTC; with `tz=False` a wall-clock time without a zone.

    `auto_now_add` sets it when the object is created, `auto_now` at every save; both make it read-only.
    """
    kind: Literal["datetime", "timestamp"] = "datetime" if tz else "timestamp"
    made = Field(kind, dt.datetime, null=null, default=default, limits={"tz": tz}, **options)
    if auto_now or auto_now_add:
        made.auto = "update" if auto_now else "create"
        made.read_only = True
    return made


@overload
def UUIDField(*, null: No = False, default: UUID = UNSET, **options: Unpack[Options]) -> UUID: ...
@overload
def UUIDField(*, null: Yes, default: UUID | None = UNSET, **options: Unpack[Options]) -> UUID | None: ...
def UUIDField(*, null: bool = False, default: Any = UNSET, **options: Unpack[Options]) -> Any:
    """A UUID. A primary key makes itself for each object, in the order of time (version 7, RFC 9562 §5.7);
    `default_factory=uuid.uuid4` makes random ones.
    """
    if options.get("primary_key") and default is UNSET and "default_factory" not in options:
        options["default_factory"] = uuid7
    return Field("uuid", UUID, null=null, default=default, **options)


@overload
def SmallIntegerField(
    *, null: No = False, default: int = UNSET, ge: int | None = None, le: int | None = None,
    **options: Unpack[Options],
) -> int: ...  # fmt: skip
@overload
def SmallIntegerField(
    *, null: Yes, default: int | None = UNSET, ge: int | None = None, le: int | None = None,
    **options: Unpack[Options],
) -> int | None: ...  # fmt: skip
def SmallIntegerField(
    *, null: bool = False, default: Any = UNSET, ge: int | None = None, le: int | None = None,
    **options: Unpack[Options],
) -> Any:  # fmt: skip
    """An integer of 16 bits."""
    rules = number_limits(ge, None, le, None, None, 16)
    return Field("integer", int, null=null, default=default, limits=rules, bits=16, **options)


@overload
def PositiveIntegerField(
    *, null: No = False, default: int = UNSET, le: int | None = None, big: bool = False,
    **options: Unpack[Options],
) -> int: ...  # fmt: skip
@overload
def PositiveIntegerField(
    *, null: Yes, default: int | None = UNSET, le: int | None = None, big: bool = False,
    **options: Unpack[Options],
) -> int | None: ...  # fmt: skip
def PositiveIntegerField(
    *, null: bool = False, default: Any = UNSET, le: int | None = None, big: bool = False,
    **options: Unpack[Options],
) -> Any:  # fmt: skip
    """An integer of 32 bits (`big`: 64) that is not negative, by a check of the database too."""
    rules = number_limits(0, None, le, None, None, 64 if big else 32)
    kind: Literal["integer", "bigint"] = "bigint" if big else "integer"
    return Field(kind, int, null=null, default=default, limits=rules, least=0, **options)


@overload
def MoneyField(
    *, max_digits: int = 19, decimal_places: int = 2, null: No = False, default: Decimal = UNSET,
    **options: Unpack[Options],
) -> Decimal: ...  # fmt: skip
@overload
def MoneyField(
    *, max_digits: int = 19, decimal_places: int = 2, null: Yes, default: Decimal | None = UNSET,
    **options: Unpack[Options],
) -> Decimal | None: ...  # fmt: skip
def MoneyField(
    *, max_digits: int = 19, decimal_places: int = 2, null: bool = False, default: Any = UNSET,
    **options: Unpack[Options],
) -> Any:  # fmt: skip
    """An exact amount, never a float: a decimal of two places by default. The currency is a field of its own."""
    made: Any = DecimalField
    return made(
        max_digits=max_digits, decimal_places=decimal_places, null=null, default=default, **options
    )  # fmt: skip


@overload
def SlugField(
    *, max_length: int = 100, null: No = False, default: str = UNSET, **options: Unpack[Options]
) -> str: ...
@overload
def SlugField(
    *, max_length: int = 100, null: Yes, default: str | None = UNSET, **options: Unpack[Options]
) -> str | None: ...
def SlugField(
    *, max_length: int = 100, null: bool = False, default: Any = UNSET, **options: Unpack[Options]
) -> Any:
    """Letters, digits, `-` and `_` of ASCII, as stands in a URL."""
    rules = limits(max_length=max_length, pattern=SLUG)
    return Field("string", str, null=null, default=default, max_length=max_length, limits=rules, **options)


@overload
def URLField(
    *, max_length: int = 2000, null: No = False, default: str = UNSET, **options: Unpack[Options]
) -> str: ...
@overload
def URLField(
    *, max_length: int = 2000, null: Yes, default: str | None = UNSET, **options: Unpack[Options]
) -> str | None: ...
def URLField(
    *, max_length: int = 2000, null: bool = False, default: Any = UNSET, **options: Unpack[Options]
) -> Any:
    """An absolute http or https URL, by its form."""
    rules = limits(max_length=max_length, pattern=URL)
    return Field("string", str, null=null, default=default, max_length=max_length, limits=rules, **options)


@overload
def FilePathField(
    *, max_length: int = 255, null: No = False, default: str = UNSET, **options: Unpack[Options]
) -> str: ...
@overload
def FilePathField(
    *, max_length: int = 255, null: Yes, default: str | None = UNSET, **options: Unpack[Options]
) -> str | None: ...
def FilePathField(
    *, max_length: int = 255, null: bool = False, default: Any = UNSET, **options: Unpack[Options]
) -> Any:
    """The path of a stored file below some directory: relative, with `/`, and never leading out by `..`."""
    rules = limits(max_length=max_length, pattern=FILE_PATH)
    return Field("string", str, null=null, default=default, max_length=max_length, limits=rules, **options)


def ChoiceField(
    choices: Sequence[Any], *, null: bool = False, default: Any = UNSET, **options: Unpack[Options]
) -> Any:
    """One of a few texts or integers, given as values or (value, title) pairs. See EnumField for an Enum."""
    values = tuple(item[0] if isinstance(item, tuple) else item for item in choices)
    if not values or len({type(value) for value in values}) != 1 or type(values[0]) not in (str, int):
        raise ModelError("ChoiceField: its choices are all texts or all integers, and at least one.")
    made: Any = Literal[values]
    if type(values[0]) is str:
        length = max(20, *map(len, values))
        return Field("string", made, null=null, default=default, choices=values, max_length=length, **options)
    return Field("bigint", made, null=null, default=default, choices=values, **options)


def JSONField(
    type: Any = Any, *, null: bool = False, default: Any = UNSET, **options: Unpack[Options]
) -> Any:
    """Any JSON, or JSON of `type` (a Struct, a TypedDict, `dict[str, int]`). Keys of mappings come back
    sorted.
    """
    return Field("json", type, null=null, default=default, **options)


def ArrayField(
    items: type[T], *, null: bool = False, default: Any = UNSET, **options: Unpack[Options]
) -> list[T]:
    """A list of values of one type."""
    made: Any = Field("json", list[items], null=null, default=default, **options)  # type: ignore[valid-type]
    return made  # type: ignore[no-any-return]


@overload
def BinaryField(
    *, null: No = False, default: bytes = UNSET, max_length: int | None = None, **options: Unpack[Options]
) -> bytes: ...
@overload
def BinaryField(
    *, null: Yes, default: bytes | None = UNSET, max_length: int | None = None, **options: Unpack[Options]
) -> bytes | None: ...
def BinaryField(
    *, null: bool = False, default: Any = UNSET, max_length: int | None = None, **options: Unpack[Options]
) -> Any:
    """Bytes; base64 in JSON."""
    return Field("binary", bytes, null=null, default=default, limits=limits(max_length=max_length), **options)


@overload
def EnumField(enum: type[E], *, null: No = False, default: E = UNSET, **options: Unpack[Options]) -> E: ...
@overload
def EnumField(
    enum: type[E], *, null: Yes, default: E | None = UNSET, **options: Unpack[Options]
) -> E | None: ...
def EnumField(enum: type[E], *, null: bool = False, default: Any = UNSET, **options: Unpack[Options]) -> Any:
    """A member of an Enum whose values are all text or all integers; kept by value."""
    values = [member.value for member in enum]
    if values and all(isinstance(value, str) for value in values):
        length = max(map(len, values))
        return Field(
            "string", enum, null=null, default=default, enum=enum, max_length=max(length, 20), **options
        )
    if values and all(isinstance(value, int) and not isinstance(value, bool) for value in values):
        return Field("bigint", enum, null=null, default=default, enum=enum, **options)
    raise ModelError(f"EnumField({enum.__name__}): its values must be all text or all integers.")


def Related() -> Any:
    """Tells the type of a relation, and nothing else: `author: Author = fields.Related()` beside
    `author_id`.
    """
    return field.Related()


def ForeignKey(
    to: type[Any] | str | Callable[[], type[Any]],
    *,
    on_delete: OnDelete = "restrict",
    null: bool = False,
    default: Any = UNSET,
    index: bool = True,
    unique: bool = False,
    primary_key: bool = False,
    db_column: str = "",
    read_only: bool = False,
    description: str | None = None,
    related_name: str = "",
    db_default: Any = None,
    db_comment: str | None = None,
) -> Any:
    """The primary key of a row of `to`: a model, its name (found where this is declared), or a function of
    it.

    Declared under the column's name: `author_id: int = fields.ForeignKey(User)` adds the relation
    `author`, to query through (`author__name="Ann"`) and to load (`select_related("author")`).
    `related_name="books"` gives the author `books`, the way back; `{model}` in it is the model's own name.
    `on_delete="set_default"` sets the `db_default`.
    """
    return ForeignKeyField(
        "bigint", int, null=null, default=default, index=index, unique=unique, primary_key=primary_key,
        db_column=db_column, read_only=read_only, description=description, to=to, on_delete=on_delete,
        related_name=related_name, db_default=db_default, db_comment=db_comment,
    )  # fmt: skip


def OneToOneField(
    to: type[Any] | str | Callable[[], type[Any]],
    *,
    on_delete: OnDelete = "restrict",
    null: bool = False,
    default: Any = UNSET,
    primary_key: bool = False,
    db_column: str = "",
    read_only: bool = False,
    description: str | None = None,
    related_name: str = "",
    db_comment: str | None = None,
) -> Any:
    """A ForeignKey no two rows share: the way back is one object, or None."""
    return ForeignKey(
        to, on_delete=on_delete, null=null, default=default, index=False, unique=True,
        primary_key=primary_key, db_column=db_column, read_only=read_only, description=description,
        related_name=related_name, db_comment=db_comment,
    )  # fmt: skip


def ManyToManyField(
    to: type[Any] | str | Callable[[], type[Any]],
    *,
    related_name: str = "",
    through: type[Any] | str | Callable[[], type[Any]] | None = None,
    through_fields: tuple[str, str] | None = None,
    db_table: str = "",
) -> Any:
    """Objects of `to`, each of which may belong to many: `tags: Many[Tag] = fields.ManyToManyField(Tag)`.

    The rows between are of a table of their own (`db_table`), or of a model that is declared and has more to
    say (`through`).
    """
    return ManyField(
        to, related_name=related_name, through=through, through_fields=through_fields, db_table=db_table
    )
