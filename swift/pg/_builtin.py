"""The types whose OIDs are the same in every database (pg_type.dat of PostgreSQL), and their codecs."""

from __future__ import annotations

from typing import Any

from swift._speedups.pgarrays import array_codec
from swift._speedups.pgcontainers import multirange_codec, range_codec
from swift._speedups.pgmisc import misc_codec
from swift._speedups.pgscalars import scalar_codec
from swift._speedups.pgtemporal import temporal_codec
from swift._speedups.pgvalues import Codec
from swift.pg import types

# Name, OID, OID of its array or 0, kind.
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
    ("pg_node_tree", 194, 0, "unknown"),
    ("float4", 700, 1021, "float4"),
    ("float8", 701, 1022, "float8"),
    ("unknown", 705, 0, "text"),
    ("aclitem", 1033, 1034, "unknown"),
    ("bpchar", 1042, 1014, "text"),
    ("varchar", 1043, 1015, "text"),
    ("numeric", 1700, 1231, "numeric"),
    ("refcursor", 1790, 2201, "text"),
    ("cstring", 2275, 1263, "text"),
    ("void", 2278, 0, "void"),
    ("uuid", 2950, 2951, "uuid"),
    ("pg_ndistinct", 3361, 0, "unknown"),
    ("pg_dependencies", 3402, 0, "unknown"),
    ("tsquery", 3615, 3645, "unknown"),
    ("gtsvector", 3642, 3644, "unknown"),
    ("jsonb", 3802, 3807, "jsonb"),
    ("jsonpath", 4072, 4073, "jsonpath"),
    ("pg_brin_bloom_summary", 4600, 0, "unknown"),
    ("pg_brin_minmax_multi_summary", 4601, 0, "unknown"),
    ("pg_mcv_list", 5017, 0, "unknown"),
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
# Name, OID, OID of its array, kind, factory, parameter.
OTHERS: list[tuple[str, int, int, str, Any, int]] = [
    ("point", 600, 1017, "point", types.Point, 0),
    ("lseg", 601, 1018, "segment", types.LineSegment, 0),
    ("path", 602, 1019, "path", types.Path, 0),
    ("box", 603, 1020, "segment", types.Box, 0),
    ("polygon", 604, 1027, "polygon", types.Polygon, 0),
    ("line", 628, 629, "line", types.Line, 0),
    ("circle", 718, 719, "circle", types.Circle, 0),
    ("tid", 27, 1010, "tid", types.Tid, 0),
    ("cidr", 650, 651, "cidr", None, 1),
    ("inet", 869, 1041, "inet", None, 0),
    ("macaddr", 829, 1040, "macaddr", None, 6),
    ("macaddr8", 774, 775, "macaddr", None, 8),
    # All but a few locales (lc_monetary) count hundredths; `register_type("money", digits=0)` for the others.
    ("money", 790, 791, "money", None, 2),
    ("bit", 1560, 1561, "bits", types.BitString, 0),
    ("varbit", 1562, 1563, "bits", types.BitString, 0),
    ("txid_snapshot", 2970, 2949, "snapshot", types.Snapshot, 0),
    ("pg_snapshot", 5038, 5039, "snapshot", types.Snapshot, 0),
    ("pg_lsn", 3220, 3221, "lsn", types.Lsn, 0),
    ("tsvector", 3614, 3643, "tsvector", None, 0),
    ("regproc", 24, 1008, "catalog_name", None, 0),
    ("regprocedure", 2202, 2207, "catalog_name", None, 0),
    ("regoper", 2203, 2208, "catalog_name", None, 0),
    ("regoperator", 2204, 2209, "catalog_name", None, 0),
    ("regclass", 2205, 2210, "catalog_name", None, 0),
    ("regtype", 2206, 2211, "catalog_name", None, 0),
    ("regconfig", 3734, 3735, "catalog_name", None, 0),
    ("regdictionary", 3769, 3770, "catalog_name", None, 0),
    ("regnamespace", 4089, 4090, "catalog_name", None, 0),
    ("regrole", 4096, 4097, "catalog_name", None, 0),
    ("regcollation", 4191, 4192, "catalog_name", None, 0),
]
# Name, OID, OID of its array, type of the bounds; then the same of its multirange.
RANGES = [
    ("int4range", 3904, 3905, 23, "int4multirange", 4451, 6150),
    ("numrange", 3906, 3907, 1700, "nummultirange", 4532, 6151),
    ("tsrange", 3908, 3909, 1114, "tsmultirange", 4533, 6152),
    ("tstzrange", 3910, 3911, 1184, "tstzmultirange", 4534, 6153),
    ("daterange", 3912, 3913, 1082, "datemultirange", 4535, 6155),
    ("int8range", 3926, 3927, 20, "int8multirange", 4536, 6157),
]


def builtin_codecs() -> dict[int, Codec]:
    """The codecs of all of them, by OID."""
    codecs: dict[int, Codec] = {}

    def add(codec: Codec, array: int) -> None:
        codecs[codec.oid] = codec
        if array:
            delimiter = ";" if codec.name == "box" else ","
            codecs[array] = array_codec(codec, array, f"_{codec.name}", types.Array, delimiter=delimiter)

    for name, oid, array, kind in SCALARS:
        add(scalar_codec(kind, oid, name), array)
    for name, oid, array, factory in TEMPORALS:
        add(temporal_codec(name, oid, name, factory), array)
    for name, oid, array, kind, factory, parameter in OTHERS:
        # The figures made of points take their class of point from it.
        add(misc_codec(kind, oid, name, factory, codecs.get(600), parameter), array)
    for name, oid, array, bound, multirange, multirange_oid, multirange_array in RANGES:
        add(range_codec(codecs[bound], oid, name, types.Range), array)
        add(multirange_codec(codecs[oid], multirange_oid, multirange, types.MultiRange), multirange_array)
    # The catalog's own vectors count from 0.
    add(array_codec(codecs[21], 22, "int2vector", types.Array, lower_bound=0), 1006)
    add(array_codec(codecs[26], 30, "oidvector", types.Array, lower_bound=0), 1013)
    return codecs


BUILTIN = builtin_codecs()
