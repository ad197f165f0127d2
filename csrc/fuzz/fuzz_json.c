/* A value of any kind from any bytes: the text is JSON, or the value is refused. The first byte chooses the kind. */
#include <stdlib.h>

#include "../pg_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Enough of RFC 8259 to see that brackets, strings and words are whole. */
typedef struct scan {
    const uint8_t *at, *end;
} scan;

static void accept(scan *s, char c) {
    if (s->at == s->end || *s->at != (uint8_t)c) abort();
    s->at++;
}

static void scan_string(scan *s) {
    accept(s, '"');
    while (s->at < s->end && *s->at != '"') {
        if (*s->at < 0x20) abort();
        if (*s->at == '\\') {
            s->at++;
            if (s->at == s->end || memchr("\"\\bfnrtu", *s->at, 8) == NULL) abort();
        }
        s->at++;
    }
    accept(s, '"');
}

static void scan_value(scan *s) {
    if (s->at == s->end) abort();
    if (*s->at == '"') {
        scan_string(s);
    } else if (*s->at == '[' || *s->at == '{') {
        bool object = *s->at == '{';
        char close = object ? '}' : ']';
        s->at++;
        while (s->at < s->end && *s->at != (uint8_t)close) {
            if (object) {
                scan_string(s);
                accept(s, ':');
            }
            scan_value(s);
            if (s->at < s->end && *s->at == ',') {
                s->at++;
                if (s->at < s->end && *s->at == (uint8_t)close) abort();
            }
        }
        accept(s, close);
    } else {
        const uint8_t *start = s->at;
        while (s->at < s->end && memchr("0123456789+-.eEtrufalsn", *s->at, 23) != NULL) s->at++;
        if (s->at == start) abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const KEYS[] = {"\"a\":", "\"b\":", "\"c\":"};
    static const size_t LENGTHS[] = {4, 4, 4};
    pg_json_node number = {.kind = PG_JSON_INT4, .oid = 23}, text = {.kind = PG_JSON_TEXT, .oid = 25};
    pg_json_node range = {.kind = PG_JSON_RANGE, .count = 1, .children = &number, .oid = 3904};
    pg_json_node array = {.kind = PG_JSON_ARRAY, .count = 1, .children = &text, .oid = 1009};
    pg_json_node fields[3];
    pg_json_node node;
    pg_writer w;
    scan s;
    if (size < 2) return 0;
    fields[0] = number;
    fields[1] = array;
    fields[2] = range;
    memset(&node, 0, sizeof node);
    node.kind = (pg_json_kind)(data[0] % (PG_JSON_CIRCLE + 1));
    node.parameter = data[1] % 9;
    switch (node.kind) {
    case PG_JSON_COMPOSITE:
        node.children = fields;
        node.count = 3;
        node.keys = KEYS;
        node.key_lengths = LENGTHS;
        break;
    case PG_JSON_ARRAY:
        node.children = data[1] & 1 ? &number : &range;
        node.count = 1;
        break;
    case PG_JSON_RANGE:
        node.children = &number;
        node.count = 1;
        break;
    case PG_JSON_MULTIRANGE:
        node.children = &range;
        node.count = 1;
        break;
    default:
        break;
    }
    pg_writer_init(&w);
    if (pg_json_value(&node, data + 2, size - 2, &w) == PG_OK && node.kind != PG_JSON_JSON &&
        node.kind != PG_JSON_JSONB) {
        s.at = w.data;
        s.end = w.data + w.length;
        scan_value(&s);
        if (s.at != s.end) abort();
    }
    pg_writer_free(&w);
    return 0;
}
