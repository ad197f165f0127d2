"""Fetched rows to objects, by a function written for the shape.

For a User with a nullable instant it is

    def decode(rows):
        return [T0(id=c0, name=c1, joined=None if c2 is None else l2(c2)) for c0, c1, c2 in rows]

PERF: 100 rows of 10 columns take 65 µs this way; a loop over (name, loader) pairs takes four times that.
As with dataclasses, the text is made of names of fields and numbers only, never of data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import msgspec

from swift.engines.interface import Engine
from swift.models.field import Field

if TYPE_CHECKING:
    from swift.engines.schema import Kind
    from swift.models.options import Options
    from swift.models.relations import Link

Rows = list[Any]
Decoder = Callable[[Rows], list[Any]]
Loader = Callable[[Any], Any]


class Writer:
    """Collects the text of a decoder and the objects it refers to."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.names: dict[str, Any] = {}
        self.columns = 0

    def take(self, loader: Loader | None, nullable: bool) -> str:
        """The text for the value of the next column."""
        number = self.columns
        self.columns += 1
        cell = f"c{number}"
        if loader is None:
            return cell
        if loader is bool:
            text = f"{cell} != 0"
        else:
            self.names[f"l{number}"] = loader
            text = f"l{number}({cell})"
        return f"None if {cell} is None else {text}" if nullable else text

    def field(self, field: Field, nullable: bool = False) -> str:
        return self.take(load_field(self.engine, field), field.null or nullable)

    def object(self, options: Options, nullable: bool = False, only: tuple[str, ...] = ()) -> str:
        name = f"T{len(self.names)}"
        self.names[name] = options.model
        loaded = {key: self.field(options.fields[key], nullable) for key in only or options.fields}
        if only:
            self.names["UNSET"] = msgspec.UNSET
        fields = ", ".join(f"{key}={loaded.get(key, 'UNSET')}" for key in options.fields)
        return f"{name}({fields})"

    @property
    def target(self) -> str:
        return "".join(f"c{number}, " for number in range(self.columns))

    def compile(self, body: str) -> Decoder:
        exec(f"def decode(rows):\n{body}", self.names)
        return self.names["decode"]  # type: ignore[no-any-return]


def load_field(engine: Engine, field: Field) -> Loader | None:
    """From what the engine fetches to the field's value."""
    loader = engine.loader(field.kind)
    if field.enum is not None:
        return cast(Loader, field.enum)
    if field.kind == "json" and field.type is not Any:
        if loader is None:
            return partial(msgspec.convert, type=field.type)
        return cast(Loader, msgspec.json.Decoder(field.type).decode)
    return loader


def object_decoder(
    engine: Engine,
    options: Options,
    related: Iterable[tuple[Link, ...]] = (),
    annotations: Iterable[tuple[str, Kind | None]] = (),
    only: tuple[str, ...] = (),
) -> Decoder:
    """Rows to objects of the model, with related objects and annotations set on them."""
    writer = Writer(engine)
    made = writer.object(options, only=only)
    extras: list[str] = []
    variables: dict[tuple[str, ...], str] = {(): "o"}
    for chain in related:
        path = tuple(link.relation for link in chain)
        target = chain[-1].target()._meta
        key = f"c{writer.columns + list(target.fields).index(target.pk.name)}"
        variable = variables[path] = f"r{len(variables)}"
        around = variables[path[:-1]]
        extras.append(f"{variable} = None if {key} is None else {writer.object(target)}")
        guard = "" if around == "o" else f"if {around} is not None: "
        extras.append(f"{guard}{around}.__dict__[{path[-1]!r}] = {variable}")
    for name, kind in annotations:
        extras.append(f"o.{name} = {writer.take(engine.loader(kind), True)}")
    if not extras:
        return writer.compile(f"    return [{made} for {writer.target}in rows]\n")
    lines = [f"o = {made}", *extras, "made.append(o)"]
    body = "".join(f"        {line}\n" for line in lines)
    return writer.compile(f"    made = []\n    for {writer.target}in rows:\n{body}    return made\n")


def value_decoder(
    engine: Engine, rows: str, columns: Iterable[tuple[str, Field | None, Kind | None, bool]]
) -> Decoder:
    """Rows to dicts, tuples or single values; a column is (name, its field if it is one, kind, nullable)."""
    writer = Writer(engine)
    items: list[str] = []
    for name, field, kind, nullable in columns:
        loader = load_field(engine, field) if field is not None else engine.loader(kind)
        text = writer.take(loader, nullable)
        items.append(f"{name!r}: {text}" if rows == "dicts" else text)
    if rows == "dicts":
        made = "{" + ", ".join(items) + "}"
    elif rows == "tuples":
        made = "(" + "".join(f"{item}, " for item in items) + ")"
    else:
        made = items[0]
    return writer.compile(f"    return [{made} for {writer.target}in rows]\n")
