/* Rows to JSON, from the server's binary values to text, without a Python object between.
 *
 * A plan is made once per statement and result shape: for each column its key, already escaped, and how its value
 * is written. A plan is a tree (elements of arrays, fields of composites, bounds of ranges), so the recursion of the
 * writer is bounded by the plan's depth.
 */
#ifndef PG_JSON_H
#define PG_JSON_H

#include "pg_wire.h"

typedef enum pg_json_kind {
    PG_JSON_CALLBACK = 0, /* the plan's callback writes it */
    PG_JSON_BOOL,
    PG_JSON_INT2,
    PG_JSON_INT4,
    PG_JSON_INT8,
    PG_JSON_UINT4,
    PG_JSON_UINT8,
    PG_JSON_FLOAT4,
    PG_JSON_FLOAT8,
    PG_JSON_NUMERIC, /* a string: a number could not be read exactly */
    PG_JSON_TEXT,
    PG_JSON_CHAR,
    PG_JSON_BYTEA, /* base64 */
    PG_JSON_UUID,
    PG_JSON_JSON,  /* copied as it is */
    PG_JSON_JSONB, /* the same behind the version byte */
    PG_JSON_NULL,
    PG_JSON_DATE,
    PG_JSON_TIME,
    PG_JSON_TIMETZ,
    PG_JSON_TIMESTAMP,
    PG_JSON_TIMESTAMPTZ,
    PG_JSON_INTERVAL,
    PG_JSON_ARRAY,
    PG_JSON_COMPOSITE,
    PG_JSON_RANGE,
    PG_JSON_MULTIRANGE,
    PG_JSON_HSTORE,
    PG_JSON_VECTOR,
    PG_JSON_HALFVEC,
    PG_JSON_BITS,
    PG_JSON_LSN,
    PG_JSON_MONEY, /* the node's `parameter`: digits behind the point */
    PG_JSON_MACADDR,
    PG_JSON_INET,
    PG_JSON_CIDR,
    PG_JSON_TSVECTOR,
    PG_JSON_VERSIONED_TEXT, /* text behind a version byte 1: ltree, jsonpath */
    PG_JSON_TID,
    PG_JSON_SNAPSHOT,
    PG_JSON_POINT,
    PG_JSON_LINE,
    PG_JSON_SEGMENT,
    PG_JSON_PATH,
    PG_JSON_POLYGON,
    PG_JSON_CIRCLE
} pg_json_kind;

#endif
