"""How arrays and objects are walked: one class for each container that msgspec knows.

`walk(token, path, report)` reports every fault below the token and returns the value that msgspec would
have made, or `INVALID`. Values are made because what stands above may need them: a set counts its
members, `__post_init__` reads the fields.

Duplicate members of an object are each validated and the last one wins, as in msgspec.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import msgspec

from .codes import reason
from .report import Path, Report

Array = list[Any]
Object = tuple[tuple[str, Any], ...]


class Number(str):
    """A JSON number as it was written: what it means depends on the type it is for."""

    __slots__ = ()


class Invalid:
    """The type of `INVALID`, the value of what was refused."""


INVALID: Final = Invalid()


class Walker(Protocol):
    """Anything that can walk one token."""

    def walk(self, token: Any, path: Path, report: Report) -> Any: ...


@dataclass(slots=True)
class Field:
    """A member of an object, or a position of an array."""

    name: str
    encode_name: str
    walker: Walker
    required: bool


def refuse(error: Exception, path: Path, report: Report) -> Invalid:
    """Report what `__post_init__`, a hook or msgspec raised about the value at `path`."""
    report.add(path, *reason(error))
    return INVALID


def construct(make: Callable[[], Any], path: Path, report: Report) -> Any:
    try:
        return make()
    except (ValueError, TypeError) as error:
        return refuse(error, path, report)


class FreeArray:
    """An array where anything goes."""

    def __init__(self, item: Walker) -> None:
        self.item = item

    def walk(self, token: Array, path: Path, report: Report) -> Any:
        return walk_items(self.item, token, path, report)


def walk_items(item: Walker, token: Array, path: Path, report: Report) -> list[Any] | Invalid:
    values = [item.walk(each, (path, index), report) for index, each in enumerate(token)]
    return INVALID if INVALID in map(type_or_value, values) else values


def type_or_value(value: Any) -> Any:
    """`INVALID` itself, or something that compares cheaply: values may have an `__eq__` of their own."""
    return value if value is INVALID else None


def check_length(
    noun: str, length: int, shortest: int | None, longest: int | None, path: Path, report: Report
) -> bool:
    if shortest is not None and length < shortest:
        report.add(path, "too_short", f"Expected `{noun}` of length >= {shortest}")
        return False
    if longest is not None and length > longest:
        report.add(path, "too_long", f"Expected `{noun}` of length <= {longest}")
        return False
    return True


@dataclass(slots=True)
class Collection:
    """list, tuple[T, ...], set, frozenset."""

    item: Walker
    build: Callable[[list[Any]], Any]
    min_length: int | None
    max_length: int | None

    def walk(self, token: Array, path: Path, report: Report) -> Any:
        values = walk_items(self.item, token, path, report)
        if isinstance(values, Invalid):
            # A set that lost a member cannot be counted; an array can.
            if self.build in (list, tuple):
                check_length("array", len(token), self.min_length, self.max_length, path, report)
            return INVALID
        try:
            built = self.build(values)
        except TypeError:
            report.add(path, "type", "Expected an `array` of scalars, to make a set of them")
            return INVALID
        fits = check_length("array", len(built), self.min_length, self.max_length, path, report)
        return built if fits else INVALID


@dataclass(slots=True)
class Positions:
    """tuple[A, B], NamedTuple: a value for each position."""

    fields: Sequence[Walker]
    required: int
    build: Callable[[list[Any]], Any]

    def walk(self, token: Array, path: Path, report: Report) -> Any:
        # No zip: the lengths may differ, and both faults are told.
        values = [
            field.walk(each, (path, index), report)
            for index, (field, each) in enumerate(zip(self.fields, token, strict=False))
        ]
        longest = len(self.fields)
        if not self.required <= len(token) <= longest:
            span = f"{longest}" if self.required == longest else f"{self.required} to {longest}"
            code = "too_short" if len(token) < self.required else "too_long"
            report.add(path, code, f"Expected `array` of length {span}")
            return INVALID
        if INVALID in map(type_or_value, values):
            return INVALID
        return self.build(values)


@dataclass(slots=True)
class Tag:
    """The member (or first position) that tells the Structs of a union apart."""

    field: str
    values: Mapping[str | int, Any]

    def find(self, token: Any, path: Path, report: Report) -> Any:
        """What the tag stands for, or INVALID."""
        if isinstance(next(iter(self.values)), str):
            if type(token) is not str:
                report.add(path, "type", "Expected `str`")
                return INVALID
            value: str | int = token
        else:
            # More than 64 bits are no tag either, but msgspec cannot say that.
            if (
                type(token) is not Number
                or not re.fullmatch(r"-?[0-9]{1,20}", token)
                or not -(2**63) <= int(token) < 2**64
            ):
                report.add(path, "type", "Expected `int`")
                return INVALID
            value = int(token)
        if value in self.values:
            return self.values[value]
        report.add(path, "invalid_tag", f"Invalid tag{expected_one_of(self.values)}")
        return INVALID


def expected_one_of(choices: Any) -> str:
    """The end of a sentence that names the choices, when a reader could take them in."""
    if not 0 < len(choices) <= 12:
        return ""
    return ", expected one of " + ", ".join(map(_in_json, choices))


def _in_json(choice: Any) -> str:
    return repr(choice) if isinstance(choice, str) else msgspec.json.encode(choice).decode()


@dataclass(slots=True)
class StructArray:
    """A Struct with array_like=True: its fields by position, after the tag if there is one."""

    make: Callable[..., Any]
    fields: Sequence[Field]
    tag: Tag | None
    forbid_unknown: bool

    def walk(self, token: Array, path: Path, report: Report) -> Any:
        offset = 0
        if self.tag is not None:
            offset = 1
            if not token:
                expected = f"at least length {self.shortest + 1}, got 0"
                report.add(path, "too_short", f"Expected `array` of {expected}")
                return INVALID
            if self.tag.find(token[0], (path, 0), report) is INVALID:
                return INVALID
        return self.walk_fields(token, offset, path, report)

    @property
    def shortest(self) -> int:
        return max((i for i, field in enumerate(self.fields, 1) if field.required), default=0)

    def walk_fields(self, token: Array, offset: int, path: Path, report: Report) -> Any:
        values: dict[str, Any] = {}
        valid = True
        for index, (field, each) in enumerate(zip(self.fields, token[offset:], strict=False), offset):
            value = field.walker.walk(each, (path, index), report)
            valid = valid and value is not INVALID
            values[field.name] = value
        given, shortest, longest = len(token) - offset, self.shortest, len(self.fields)
        if given < shortest:
            expected = f"at least length {shortest + offset}, got {given + offset}"
            report.add(path, "too_short", f"Expected `array` of {expected}")
            return INVALID
        if given > longest and self.forbid_unknown:
            report.add(path, "too_long", f"Expected `array` of at most length {longest + offset}")
            return INVALID
        return construct(lambda: self.make(**values), path, report) if valid else INVALID


@dataclass(slots=True)
class StructArrayUnion:
    tag: Tag

    def walk(self, token: Array, path: Path, report: Report) -> Any:
        if not token:
            report.add(path, "too_short", "Expected `array` of at least length 1, got 0")
            return INVALID
        struct = self.tag.find(token[0], (path, 0), report)
        return INVALID if struct is INVALID else struct.walk_fields(token, 1, path, report)


class FreeObject:
    """An object where anything goes."""

    def __init__(self, item: Walker) -> None:
        self.item = item

    def walk(self, token: Object, path: Path, report: Report) -> Any:
        values = {key: self.item.walk(each, (path, key), report) for key, each in token}
        return INVALID if INVALID in map(type_or_value, values.values()) else values


@dataclass(slots=True)
class Dict:
    """dict[K, V]. `key` makes a key of its text, or raises ValidationError."""

    key: Callable[[str], Any]
    value: Walker
    min_length: int | None
    max_length: int | None

    def walk(self, token: Object, path: Path, report: Report) -> Any:
        values: dict[Any, Any] = {}
        valid = True
        for text, each in token:
            key: Any
            try:
                key = self.key(text)
            except msgspec.ValidationError as error:
                key = refuse(error, (path, text), report)
            value = self.value.walk(each, (path, text), report)
            if key is INVALID or value is INVALID:
                valid = False
            else:
                values[key] = value
        if not valid:
            return INVALID
        fits = check_length("object", len(values), self.min_length, self.max_length, path, report)
        return values if fits else INVALID


@dataclass(slots=True)
class Record:
    """Anything with named fields: Struct, dataclass, TypedDict. `make` takes them by name."""

    make: Callable[..., Any]
    fields: Mapping[str, Field]
    tag: Tag | None = None
    forbid_unknown: bool = False

    def walk(self, token: Object, path: Path, report: Report) -> Any:
        values: dict[str, Any] = {}
        seen: set[str] = set()
        valid = True
        for key, each in token:
            field = self.fields.get(key)
            if field is not None:
                seen.add(key)
                value = field.walker.walk(each, (path, key), report)
                valid = valid and value is not INVALID
                values[field.name] = value
            elif self.tag is not None and key == self.tag.field:
                valid = self.tag.find(each, (path, key), report) is not INVALID and valid
            elif self.forbid_unknown:
                valid = False
                report.add((path, key), "unknown_field", "Object contains unknown field")
        for key, field in self.fields.items():
            if field.required and key not in seen:
                valid = False
                report.add((path, key), "missing", f"Object missing required field `{key}`")
        return construct(lambda: self.make(**values), path, report) if valid else INVALID


@dataclass(slots=True)
class StructUnion:
    """Structs told apart by a tag; the first member with the tag's name decides."""

    tag: Tag

    def walk(self, token: Object, path: Path, report: Report) -> Any:
        name = self.tag.field
        for key, each in token:
            if key == name:
                struct = self.tag.find(each, (path, key), report)
                return INVALID if struct is INVALID else struct.walk(token, path, report)
        report.add((path, name), "missing", f"Object missing required field `{name}`")
        return INVALID
