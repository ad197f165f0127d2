"""The types a pool knows: those every PostgreSQL has, and what it learnt of a database's own.

A statement's unknown OIDs are looked up by one query for all of them and all they consist of, once per pool:
`registry.unknown(oids)`, then `introspection_sql` with that list as its parameter, then `registry.learn(rows)`.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from swift._speedups.pgarrays import any_array_codec, array_codec
from swift._speedups.pgcontainers import (
    CompositeCodec,
    composite_codec,
    custom_codec,
    hstore_codec,
    multirange_codec,
    range_codec,
    record_codec,
    vector_codec,
)
from swift._speedups.pgmisc import misc_codec
from swift._speedups.pgscalars import scalar_codec
from swift._speedups.pgvalues import Codec, DecodeError, Registry
from swift.pg import types
from swift.pg._builtin import BUILTIN

__all__ = ["INTROSPECTION_SQL", "TypeRegistry"]

# pg_range has rngmultitypid from PostgreSQL 14 on; to_jsonb reads it where it is.
INTROSPECTION_SQL = """
WITH RECURSIVE wanted(oid) AS (
  SELECT unnest($1::oid[])
  UNION
  SELECT part.oid
  FROM wanted
  JOIN pg_catalog.pg_type t ON t.oid = wanted.oid
  CROSS JOIN LATERAL (
    SELECT t.typelem WHERE t.typelem <> 0 AND t.typtype = 'b'
    UNION ALL SELECT t.typbasetype WHERE t.typtype = 'd'
    UNION ALL SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE t.typtype = 'r' AND r.rngtypid = t.oid
    UNION ALL SELECT r.rngtypid FROM pg_catalog.pg_range r
      WHERE t.typtype = 'm' AND (pg_catalog.to_jsonb(r) ->> 'rngmultitypid')::oid = t.oid
    UNION ALL SELECT a.atttypid FROM pg_catalog.pg_attribute a
      WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
  ) AS part(oid)
)
SELECT
  t.oid,
  t.typname::text,
  n.nspname::text,
  t.typtype,
  CASE t.typtype
    WHEN 'd' THEN t.typbasetype
    WHEN 'r' THEN (SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE r.rngtypid = t.oid)
    WHEN 'm' THEN (SELECT r.rngtypid FROM pg_catalog.pg_range r
                   WHERE (pg_catalog.to_jsonb(r) ->> 'rngmultitypid')::oid = t.oid)
    ELSE COALESCE((SELECT e.oid FROM pg_catalog.pg_type e WHERE e.oid = t.typelem AND e.typarray = t.oid), 0)
  END,
  COALESCE((SELECT e.typdelim FROM pg_catalog.pg_type e WHERE e.oid = t.typelem), ','),
  t.typsend::oid <> 0 AND t.typreceive::oid <> 0,
  COALESCE((SELECT pg_catalog.array_agg(a.attname::text ORDER BY a.attnum) FROM pg_catalog.pg_attribute a
            WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped), '{}'),
  COALESCE((SELECT pg_catalog.array_agg(a.atttypid ORDER BY a.attnum) FROM pg_catalog.pg_attribute a
            WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped), '{}')
FROM wanted
JOIN pg_catalog.pg_type t ON t.oid = wanted.oid
JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
"""


class CatalogType(NamedTuple):
    """One row of the introspection: a type, what it is made of, and whether it has a binary form."""

    oid: int
    name: str
    schema: str
    kind: str
    element: int
    delimiter: str
    binary: bool
    attribute_names: Sequence[str]
    attribute_types: Sequence[int]


class CustomType(NamedTuple):
    """What `register_type` was told."""

    decode: Callable[[Any], Any] | None
    encode: Callable[[Any], Any] | None
    python_type: type[Any] | None
    binary: bool
    digits: int | None


class TypeRegistry(Registry):
    """The codecs of one pool, or of a connection that belongs to none."""

    introspection_sql = INTROSPECTION_SQL

    def __init__(self) -> None:
        super().__init__(BUILTIN)
        self.customs: dict[tuple[str | None, str], CustomType] = {}
        record = record_codec(self, 2249, "record")
        self.codecs[2249] = record
        self.codecs[2287] = array_codec(record, 2287, "_record", types.Array)
        self.codecs[2277] = any_array_codec(self, 2277, "anyarray", types.Array)
        self.codecs[5078] = any_array_codec(self, 5078, "anycompatiblearray", types.Array)

    def unknown(self, oids: Iterable[int]) -> list[int]:
        """Those of the OIDs that must be looked up before their values can be read, each once."""
        return [oid for oid in dict.fromkeys(oids) if oid not in self.codecs]

    def learn(self, rows: Iterable[Sequence[Any]], asked: Iterable[int] = ()) -> None:
        """Makes codecs from the rows of `introspection_sql`; `asked` that are in no row are read as text."""
        catalog = {row[0]: CatalogType(*row) for row in rows}
        for oid in catalog:
            self._build(oid, catalog)
        for oid in self.unknown(asked):
            self.codecs[oid] = scalar_codec("unknown", oid, f"type {oid}")

    def forget(self) -> None:
        """Drops what was learnt, so that changed types are looked up again."""
        for oid in [oid for oid in self.codecs if oid >= 16384]:
            del self.codecs[oid]

    def register_type(
        self,
        name: str,
        *,
        schema: str | None = None,
        decode: Callable[[Any], Any] | None = None,
        encode: Callable[[Any], Any] | None = None,
        python_type: type[Any] | None = None,
        format: str | None = None,
        digits: int | None = None,
    ) -> None:
        """Says how values of the PostgreSQL type `name` (of any schema unless one is given) are read and sent.

        `python_type` is an Enum for an enum type (by label), a class with the attributes' names as keyword arguments
        for a composite type. Otherwise `decode(value)` gets what the driver reads without it and `encode(value)`
        returns what the driver takes; with `format="binary"` both deal in the bytes of the wire, with "text" in the
        server's text. `digits` is for money. Registered before the first statement that uses the type is prepared.
        """
        if format not in (None, "binary", "text"):
            raise ValueError(f'The format of a type is "binary" or "text", not {format!r}.')
        if digits is not None and not 0 <= digits <= 6:
            raise ValueError("Money has 0 to 6 digits behind the point.")
        if python_type is not None and (decode is not None or encode is not None):
            raise ValueError("Give either a python_type or functions.")
        custom = CustomType(decode, encode, python_type, format == "binary", digits)
        self.customs[schema, name] = custom
        if schema in (None, "pg_catalog"):
            for codec in [codec for codec in BUILTIN.values() if codec.name == name]:
                self._replace(codec, custom, format)
        elif format == "text":
            raise ValueError('The format "text" is chosen by the driver where a type has no other.')
        self.forget()

    def _replace(self, codec: Codec, custom: CustomType, format: str | None) -> None:
        if custom.digits is not None:
            codec = misc_codec("money", codec.oid, codec.name, parameter=custom.digits)
        elif format is not None:
            codec = scalar_codec("bytea" if custom.binary else "unknown", codec.oid, codec.name)
        made = self._customised(codec, custom)
        self.codecs[codec.oid] = made
        for array in BUILTIN.values():
            if array.name == f"_{codec.name}":
                self.codecs[array.oid] = array_codec(made, array.oid, array.name, types.Array)

    def _customised(self, codec: Codec, custom: CustomType) -> Codec:
        kind = custom.python_type
        if kind is None:
            if custom.decode is None and custom.encode is None:
                return codec
            return custom_codec(codec, codec.oid, codec.name, custom.decode, custom.encode)
        if issubclass(kind, enum.Enum):
            return enum_codec(codec, kind)
        if isinstance(codec, CompositeCodec):
            return codec.returning(kind)
        raise TypeError(
            f"`{codec.name}` is neither an enum nor a composite type: give decode and encode for it."
        )

    def _build(self, oid: int, catalog: dict[int, CatalogType]) -> Codec:
        found = self.codecs.get(oid)
        if found is not None:
            return found
        entry = catalog.get(oid)
        if entry is None:
            codec = scalar_codec("unknown", oid, f"type {oid}")
        else:
            custom = self.customs.get((entry.schema, entry.name)) or self.customs.get((None, entry.name))
            if custom is not None and custom.binary:
                codec = scalar_codec("bytea", oid, entry.name)
            else:
                codec = self._made(entry, catalog)
            if custom is not None:
                codec = self._customised(codec, custom)
        self.codecs[oid] = codec
        return codec

    def _made(self, entry: CatalogType, catalog: dict[int, CatalogType]) -> Codec:
        oid, name = entry.oid, entry.name
        if entry.kind == "d":
            return self._build(entry.element, catalog).named(oid, name)
        if entry.kind == "e":
            return scalar_codec("text", oid, name)
        if entry.kind == "c":
            fields = [self._build(attribute, catalog) for attribute in entry.attribute_types]
            if all(field.format == 1 for field in fields):
                return composite_codec(oid, name, entry.attribute_names, fields)
            # One member without a binary form leaves the server nothing but text for all.
            return scalar_codec("unknown", oid, name)
        if entry.kind in ("r", "m"):
            element = self._build(entry.element, catalog)
            if element.format == 0:
                return scalar_codec("unknown", oid, name)
            if entry.kind == "r":
                return range_codec(element, oid, name, types.Range)
            return multirange_codec(element, oid, name, types.MultiRange)
        if entry.element:
            element = self._build(entry.element, catalog)
            return array_codec(element, oid, name, types.Array, delimiter=entry.delimiter)
        return self._extension(entry)

    def _extension(self, entry: CatalogType) -> Codec:
        oid, name = entry.oid, entry.name
        if entry.binary and name == "hstore":
            return hstore_codec(BUILTIN[25], oid, name)
        if entry.binary and name == "citext":
            return scalar_codec("text", oid, name)
        if entry.binary and name in ("ltree", "lquery", "ltxtquery"):
            return misc_codec("versioned", oid, name)
        if entry.binary and name in ("vector", "halfvec"):
            return vector_codec(name, oid, name)
        if entry.binary and name == "sparsevec":
            return vector_codec(name, oid, name, types.SparseVector)
        return scalar_codec("unknown", oid, name)


def enum_codec(codec: Codec, kind: type[enum.Enum]) -> Codec:
    """The labels of an enum type as members: by value where that is text, else by name."""
    labels = {member: member.value if isinstance(member.value, str) else member.name for member in kind}
    members = {label: member for member, label in labels.items()}

    def decode(label: str) -> enum.Enum:
        try:
            return members[label]
        except KeyError:
            raise DecodeError(f"`{kind.__name__}` has no member for the label {label!r}") from None

    def encode(value: Any) -> Any:
        return labels[value] if isinstance(value, kind) else value

    return custom_codec(codec, codec.oid, codec.name, decode, encode, kind)
