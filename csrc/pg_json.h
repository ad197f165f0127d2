/* Rows to JSON, from the server's binary values to text, without a Python object between.
 *
 * A plan is made once per statement: for each column its key, already escaped, and a node that says how its value is
 * written. Nodes form a tree (elements of arrays, attributes of composites, bounds of ranges), so the recursion of
 * the writer is bounded by the plan, not by the bytes. The text is what msgspec writes for the Python value of the
 * same codec. The plan is the caller's memory and is never changed here.
 */
#ifndef PG_JSON_H
#define PG_JSON_H

#include "pg_wire.h"

typedef enum pg_json_kind {
    PG_JSON_CALLBACK = 0, /* the plan's callback writes it */
    PG_JSON_BOOL,
    PG_JSON_INT2,
    PG_JSON_INT4,
    PG_JSON_INT8, /* `parameter` 1: a string where a double would round it */
    PG_JSON_UINT4,
    PG_JSON_UINT8,
    PG_JSON_FLOAT4, /* NaN and infinities are null */
    PG_JSON_FLOAT8,
    PG_JSON_NUMERIC, /* a string, which is read exactly; `parameter` 1: a number */
    PG_JSON_TEXT,
    PG_JSON_CHAR,
    PG_JSON_BYTEA, /* base64 */
    PG_JSON_UUID,
    PG_JSON_JSON,  /* pg_json_document */
    PG_JSON_JSONB, /* the same behind the version byte */
    PG_JSON_NULL,
    PG_JSON_DATE,
    PG_JSON_TIME,
    PG_JSON_TIMETZ,
    PG_JSON_TIMESTAMP,
    PG_JSON_TIMESTAMPTZ,
    PG_JSON_INTERVAL,
    PG_JSON_ARRAY,      /* children[0]: the element */
    PG_JSON_COMPOSITE,  /* children and keys: the attributes */
    PG_JSON_RANGE,      /* children[0]: the bound; {"lower":..,"upper":..,"bounds":"[)"} */
    PG_JSON_MULTIRANGE, /* children[0]: the range */
    PG_JSON_HSTORE,
    PG_JSON_VECTOR,
    PG_JSON_HALFVEC,
    PG_JSON_BITS,
    PG_JSON_LSN,
    PG_JSON_MONEY, /* `parameter`: digits behind the point */
    PG_JSON_MACADDR, /* `parameter`: its bytes, 6 or 8 */
    PG_JSON_INET, /* `parameter`: 1 writes ::ffff:1.2.3.4, 0 ::ffff:102:304 */
    PG_JSON_CIDR,
    PG_JSON_TSVECTOR,
    PG_JSON_VERSIONED_TEXT, /* text behind a version byte 1: ltree, jsonpath */
    PG_JSON_TID,
    PG_JSON_SNAPSHOT,
    PG_JSON_POINT,
    PG_JSON_LINE,
    PG_JSON_SEGMENT, /* lseg and box */
    PG_JSON_PATH,
    PG_JSON_POLYGON,
    PG_JSON_CIRCLE
} pg_json_kind;

typedef struct pg_json_node pg_json_node;

/* Writes one value of a type only the caller can read. PG_OK, or what stops the row. */
typedef int (*pg_json_callback)(void *context, const uint8_t *data, size_t length, pg_writer *out);

struct pg_json_node {
    pg_json_kind kind;
    int parameter;
    uint32_t oid;                  /* of an attribute of a composite: what the value must say */
    size_t count;                  /* of children */
    const pg_json_node *children;
    const char *const *keys;       /* of a composite: `"name":` escaped, one a child */
    const size_t *key_lengths;
    pg_json_callback callback;
    void *context;
};

typedef struct pg_json_plan {
    size_t count; /* of columns */
    const pg_json_node *columns;
    /* What stands before each value: `{"id":`, then `,"name":`; NULL leaves a column out. A single bare value has
     * an empty key. `}` closes the object unless `bare`. */
    const char *const *keys;
    const size_t *key_lengths;
    bool bare;
} pg_json_plan;

/* One DataRow's payload as an object. PG_OK; on failure the writer is as it was before, `*column` is the column at
 * fault or -1 when the row itself is malformed. */
int pg_json_row(const pg_json_plan *plan, const uint8_t *datarow, size_t length, pg_writer *out, int *column);

/* One value; on failure the writer holds a part of it. */
int pg_json_value(const pg_json_node *node, const uint8_t *data, size_t length, pg_writer *out);

/* A JSON string of UTF-8 text, quotes included: what must be escaped is, as \n or \u001f, and nothing else.
 * PG_MALFORMED when it is not UTF-8. */
int pg_json_string(const char *text, size_t length, pg_writer *out);

/* The text of a json value the server has checked, as a decoder and an encoder would leave it: without white space,
 * numbers with a fraction or an exponent as the shortest text of their double, escapes only where pg_json_string has
 * them. Keys that occur twice occur twice. PG_MALFORMED for what cannot be cut into tokens or is not UTF-8. */
int pg_json_document(const char *text, size_t length, pg_writer *out);

#endif
