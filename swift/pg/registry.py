"""The types a connection knows: those every PostgreSQL has, and what is learnt of a database's own."""

from __future__ import annotations

from swift._speedups.pgtemporal import temporal_codec
from swift._speedups.pgvalues import Codec, Registry, scalar_codec
from swift.pg import types

__all__ = ["TypeRegistry"]

# Name, OID, OID of its array, kind (pg_type.dat of PostgreSQL).
SCALARS = [
    ("bool", 16, 1000, "bool"),
    ("bytea", 17, 1001, "bytea"),
    ("char", 18, 1002, "char"),
    ("name", 19, 1003, "text"),
    ("int8", 20, 1016, "int8"),
    ("int2", 21, 1005, "int2"),
    ("int4", 23, 1007, "int4"),
    ("text", 25, 1009, "text"),
    ("oid", 26, 1028, "uint4"),
    ("xid", 28, 1011, "uint4"),
    ("cid", 29, 1012, "uint4"),
    ("json", 114, 199, "json"),
    ("xml", 142, 143, "text"),
    ("float4", 700, 1021, "float4"),
    ("float8", 701, 1022, "float8"),
    ("unknown", 705, 0, "text"),
    ("bpchar", 1042, 1014, "text"),
    ("varchar", 1043, 1015, "text"),
    ("numeric", 1700, 1231, "numeric"),
    ("refcursor", 1790, 2201, "text"),
    ("cstring", 2275, 1263, "text"),
    ("void", 2278, 0, "void"),
    ("uuid", 2950, 2951, "uuid"),
    ("jsonb", 3802, 3807, "jsonb"),
    ("jsonpath", 4072, 4073, "jsonpath"),
    ("xid8", 5069, 271, "uint8"),
]
TEMPORALS = [
    ("date", 1082, 1182, types.PgDate),
    ("time", 1083, 1183, types.PgTime),
    ("timestamp", 1114, 1115, types.PgTimestamp),
    ("timestamptz", 1184, 1185, types.PgTimestamptz),
    ("interval", 1186, 1187, types.Interval),
    ("timetz", 1266, 1270, types.PgTime),
]


def builtin_codecs() -> dict[int, Codec]:
    """The codecs of the types whose OIDs are the same in every database, by OID."""
    codecs: dict[int, Codec] = {}
    for name, oid, _, kind in SCALARS:
        codecs[oid] = scalar_codec(kind, oid, name)
    for name, oid, _, factory in TEMPORALS:
        codecs[oid] = temporal_codec(name, oid, name, factory)
    return codecs


BUILTIN = builtin_codecs()


class TypeRegistry(Registry):
    """The codecs of one pool, or of a connection that belongs to none."""

    def __init__(self) -> None:
        super().__init__(BUILTIN)
