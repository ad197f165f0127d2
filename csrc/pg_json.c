#include "pg_json.h"

#include "pg_values.h"

static const char HEX[] = "0123456789abcdef";
static const char BASE64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int put_literal(pg_writer *out, const char *text) {
    pg_put_bytes(out, text, strlen(text));
    return out->status;
}

/* ---- strings --------------------------------------------------------------------------------------- */

/* True when a byte of the word is below 0x20, a quote, a backslash or not ASCII. */
static inline bool needs_care(uint64_t word) {
    const uint64_t ones = UINT64_C(0x0101010101010101), highs = UINT64_C(0x8080808080808080);
    uint64_t quote = word ^ (ones * '"'), slash = word ^ (ones * '\\');
    return ((word | (word - ones * 0x20) | (quote - ones) | (slash - ones)) & highs) != 0;
}

/* Length of the well-formed UTF-8 sequence at `s` (Unicode, table 3-7), 0 when there is none. */
static size_t utf8_sequence(const uint8_t *s, size_t left) {
    uint8_t first = s[0];
    if (first < 0xc2 || left < 2) return 0;
    if (first < 0xe0) return (s[1] & 0xc0) == 0x80 ? 2 : 0;
    if (first < 0xf0) {
        if (left < 3 || (s[1] & 0xc0) != 0x80 || (s[2] & 0xc0) != 0x80) return 0;
        if ((first == 0xe0 && s[1] < 0xa0) || (first == 0xed && s[1] > 0x9f)) return 0;
        return 3;
    }
    if (first > 0xf4 || left < 4 || (s[1] & 0xc0) != 0x80 || (s[2] & 0xc0) != 0x80 || (s[3] & 0xc0) != 0x80) return 0;
    if ((first == 0xf0 && s[1] < 0x90) || (first == 0xf4 && s[1] > 0x8f)) return 0;
    return 4;
}

static size_t put_escape(uint8_t c, uint8_t *out) {
    char letter = 0;
    switch (c) {
    case '"':
    case '\\':
        letter = (char)c;
        break;
    case '\b':
        letter = 'b';
        break;
    case '\t':
        letter = 't';
        break;
    case '\n':
        letter = 'n';
        break;
    case '\f':
        letter = 'f';
        break;
    case '\r':
        letter = 'r';
        break;
    default:
        break;
    }
    out[0] = '\\';
    if (letter) {
        out[1] = (uint8_t)letter;
        return 2;
    }
    memcpy(out + 1, "u00", 3);
    out[4] = (uint8_t)HEX[c >> 4];
    out[5] = (uint8_t)HEX[c & 15];
    return 6;
}

int pg_json_string(const char *text, size_t length, pg_writer *out) {
    const uint8_t *at = (const uint8_t *)text, *end = at + length;
    uint8_t *to;
    if (!pg_writer_reserve(out, length + 2)) return out->status;
    to = out->data + out->length;
    *to++ = '"';
    for (;;) {
        /* The bytes behind `at` still fit: `to` never runs ahead of what was reserved for them and the quote. */
        while (end - at >= 8) {
            uint64_t word;
            memcpy(&word, at, 8);
            if (needs_care(word)) break;
            memcpy(to, &word, 8);
            at += 8;
            to += 8;
        }
        while (at < end && *at >= 0x20 && *at < 0x80 && *at != '"' && *at != '\\') *to++ = *at++;
        if (at == end) break;
        if (*at >= 0x80) {
            size_t size = utf8_sequence(at, (size_t)(end - at));
            if (size == 0) return PG_MALFORMED;
            memcpy(to, at, size);
            at += size;
            to += size;
            continue;
        }
        /* An escape takes up to six bytes for one. */
        out->length = (size_t)(to - out->data);
        if (!pg_writer_reserve(out, (size_t)(end - at) + 7)) return out->status;
        to = out->data + out->length;
        to += put_escape(*at++, to);
    }
    *to++ = '"';
    out->length = (size_t)(to - out->data);
    return PG_OK;
}

static int put_base64(const uint8_t *data, size_t length, pg_writer *out) {
    uint8_t *to;
    size_t i;
    if (!pg_writer_reserve(out, length / 3 * 4 + 6)) return out->status;
    to = out->data + out->length;
    *to++ = '"';
    for (i = 0; i + 3 <= length; i += 3, to += 4) {
        uint32_t three = (uint32_t)data[i] << 16 | (uint32_t)data[i + 1] << 8 | data[i + 2];
        to[0] = (uint8_t)BASE64[three >> 18];
        to[1] = (uint8_t)BASE64[three >> 12 & 63];
        to[2] = (uint8_t)BASE64[three >> 6 & 63];
        to[3] = (uint8_t)BASE64[three & 63];
    }
    if (i < length) {
        uint32_t rest = (uint32_t)data[i] << 16 | (i + 1 < length ? (uint32_t)data[i + 1] << 8 : 0);
        to[0] = (uint8_t)BASE64[rest >> 18];
        to[1] = (uint8_t)BASE64[rest >> 12 & 63];
        to[2] = i + 1 < length ? (uint8_t)BASE64[rest >> 6 & 63] : '=';
        to[3] = '=';
        to += 4;
    }
    *to++ = '"';
    out->length = (size_t)(to - out->data);
    return PG_OK;
}

/* ---- scalars --------------------------------------------------------------------------------------- */

/* Text of at most `most` bytes goes straight into the writer. */
static inline char *room(pg_writer *out, size_t most) {
    return pg_writer_reserve(out, most) ? (char *)out->data + out->length : NULL;
}

static int put_i64(pg_writer *out, int64_t value) {
    char *to = room(out, PG_INT_TEXT);
    if (to == NULL) return out->status;
    out->length += pg_text_i64(value, to);
    return PG_OK;
}

static int put_u64(pg_writer *out, uint64_t value) {
    char *to = room(out, PG_INT_TEXT);
    if (to == NULL) return out->status;
    out->length += pg_text_u64(value, to);
    return PG_OK;
}

static int put_f64(pg_writer *out, double value) {
    char *to;
    /* NaN - NaN and infinity - infinity are not zero. */
    if (!(value - value == 0)) return put_literal(out, "null");
    to = room(out, PG_FLOAT_TEXT);
    if (to == NULL) return out->status;
    out->length += pg_text_f64(value, to);
    return PG_OK;
}

static int put_f32(pg_writer *out, float value) {
    char *to;
    if (!(value - value == 0)) return put_literal(out, "null");
    to = room(out, PG_FLOAT_TEXT);
    if (to == NULL) return out->status;
    out->length += pg_text_f32(value, to);
    return PG_OK;
}

/* ASCII that needs no escape. */
static int put_quoted(pg_writer *out, const char *text, size_t length) {
    char *to = room(out, length + 2);
    if (to == NULL) return out->status;
    to[0] = '"';
    memcpy(to + 1, text, length);
    to[length + 1] = '"';
    out->length += length + 2;
    return PG_OK;
}

static int put_numeric(const pg_json_node *node, const uint8_t *data, size_t length, pg_writer *out) {
    pg_numeric number;
    char *to;
    if (pg_numeric_read(data, length, &number) != PG_OK) return PG_MALFORMED;
    to = room(out, pg_numeric_text_size(&number) + 2);
    if (to == NULL) return out->status;
    if (node->parameter) {
        if (number.sign != PG_NUMERIC_POSITIVE && number.sign != PG_NUMERIC_NEGATIVE) return put_literal(out, "null");
        out->length += pg_numeric_text_scientific(&number, to);
        return PG_OK;
    }
    to[0] = '"';
    length = pg_numeric_text_scientific(&number, to + 1);
    to[length + 1] = '"';
    out->length += length + 2;
    return PG_OK;
}

static int put_money(const pg_json_node *node, int64_t units, pg_writer *out) {
    char digits[PG_INT_TEXT + 24], text[PG_INT_TEXT + 24];
    uint64_t magnitude = units < 0 ? ~(uint64_t)units + 1 : (uint64_t)units;
    size_t length = pg_text_u64(magnitude, digits), point = (size_t)node->parameter, n = 0;
    if (point > 6) return PG_MALFORMED;
    if (length <= point) {
        memmove(digits + (point + 1 - length), digits, length);
        memset(digits, '0', point + 1 - length);
        length = point + 1;
    }
    if (units < 0) text[n++] = '-';
    memcpy(text + n, digits, length - point);
    n += length - point;
    if (point) {
        text[n++] = '.';
        memcpy(text + n, digits + length - point, point);
        n += point;
    }
    return put_quoted(out, text, n);
}

static int put_bits(const uint8_t *data, size_t length, pg_writer *out) {
    uint32_t bits, i;
    char *to;
    if (length < 4) return PG_MALFORMED;
    bits = pg_load_u32(data);
    if (bits > INT32_MAX || length - 4 != ((size_t)bits + 7) / 8) return PG_MALFORMED;
    if (bits % 8 && data[length - 1] & ((1 << (8 - bits % 8)) - 1)) return PG_MALFORMED;
    to = room(out, (size_t)bits + 2);
    if (to == NULL) return out->status;
    *to++ = '"';
    for (i = 0; i < bits; i++) *to++ = (char)('0' + (data[4 + i / 8] >> (7 - i % 8) & 1));
    *to = '"';
    out->length += (size_t)bits + 2;
    return PG_OK;
}

static int put_lsn(uint64_t position, pg_writer *out) {
    char text[20], *to = text;
    int half, shift;
    for (half = 1; half >= 0; half--) {
        uint32_t value = (uint32_t)(position >> (32 * half));
        char *start = to;
        for (shift = 28; shift >= 0; shift -= 4) {
            if (to != start || shift == 0 || value >> shift) *to++ = "0123456789ABCDEF"[value >> shift & 15];
        }
        if (half) *to++ = '/';
    }
    return put_quoted(out, text, (size_t)(to - text));
}

/* tsvector's text is made in the writer, then escaped behind itself and moved into place. */
static int put_tsvector(const uint8_t *data, size_t length, pg_writer *out) {
    size_t start = out->length, middle, size;
    int status = pg_text_tsvector(data, length, out);
    if (status != PG_OK) return status;
    middle = out->length;
    /* Room for the worst case first, so that the source does not move while it is read. */
    if (!pg_writer_reserve(out, (middle - start) * 6 + 16)) return out->status;
    status = pg_json_string((const char *)out->data + start, middle - start, out);
    if (status != PG_OK) return status;
    size = out->length - middle;
    memmove(out->data + start, out->data + middle, size);
    out->length = start + size;
    return PG_OK;
}

/* ---- containers ------------------------------------------------------------------------------------ */

static int put_field(const pg_json_node *node, pg_reader *r, pg_writer *out) {
    int32_t length;
    const uint8_t *data = pg_read_value(r, &length);
    if (r->failed) return PG_MALFORMED;
    return data == NULL ? put_literal(out, "null") : pg_json_value(node, data, (size_t)length, out);
}

#define MAX_DIMENSIONS 6

static int put_items(const pg_json_node *element, pg_reader *r, const int32_t *lengths, int dimensions,
                     pg_writer *out) {
    int32_t i;
    int status;
    pg_put_u8(out, '[');
    for (i = 0; i < lengths[0]; i++) {
        if (i) pg_put_u8(out, ',');
        status = dimensions > 1 ? put_items(element, r, lengths + 1, dimensions - 1, out) : put_field(element, r, out);
        if (status != PG_OK) return status;
    }
    pg_put_u8(out, ']');
    return out->status;
}

static int put_array(const pg_json_node *node, const uint8_t *data, size_t length, pg_writer *out) {
    pg_reader r;
    int32_t lengths[MAX_DIMENSIONS], dimensions, i;
    size_t total = 1;
    int status;
    pg_reader_init(&r, data, length);
    dimensions = pg_read_i32(&r);
    pg_read_i32(&r);
    pg_read_u32(&r);
    if (r.failed || dimensions < 0 || dimensions > MAX_DIMENSIONS) return PG_MALFORMED;
    for (i = 0; i < dimensions; i++) {
        lengths[i] = pg_read_i32(&r);
        pg_read_i32(&r);
        /* Every element has a length word, so the bytes that are left bound the product. */
        if (r.failed || lengths[i] < 0 || (lengths[i] && total > length / 4 / (size_t)lengths[i])) return PG_MALFORMED;
        total *= (size_t)lengths[i];
    }
    if (dimensions == 0 || total == 0) {
        status = put_literal(out, "[]");
    } else {
        status = put_items(node->children, &r, lengths, dimensions, out);
    }
    if (status != PG_OK) return status;
    return pg_reader_done(&r) ? PG_OK : PG_MALFORMED;
}

static int put_composite(const pg_json_node *node, const uint8_t *data, size_t length, pg_writer *out) {
    pg_reader r;
    size_t i;
    int status;
    pg_reader_init(&r, data, length);
    if (pg_read_u32(&r) != node->count || r.failed) return PG_MALFORMED;
    pg_put_u8(out, '{');
    for (i = 0; i < node->count; i++) {
        if (pg_read_u32(&r) != node->children[i].oid) return PG_MALFORMED;
        if (i) pg_put_u8(out, ',');
        pg_put_bytes(out, node->keys[i], node->key_lengths[i]);
        status = put_field(&node->children[i], &r, out);
        if (status != PG_OK) return status;
    }
    pg_put_u8(out, '}');
    if (!pg_reader_done(&r)) return PG_MALFORMED;
    return out->status;
}

/* rangetypes.h */
#define RANGE_EMPTY 0x01
#define RANGE_LOWER_INCLUSIVE 0x02
#define RANGE_UPPER_INCLUSIVE 0x04
#define RANGE_LOWER_INFINITE 0x08
#define RANGE_UPPER_INFINITE 0x10

static int put_range(const pg_json_node *node, const uint8_t *data, size_t length, pg_writer *out) {
    pg_reader r;
    uint8_t flags;
    int status;
    pg_reader_init(&r, data, length);
    flags = pg_read_u8(&r);
    put_literal(out, "{\"lower\":");
    if (flags & (RANGE_EMPTY | RANGE_LOWER_INFINITE)) {
        put_literal(out, "null");
    } else if ((status = put_field(node->children, &r, out)) != PG_OK) {
        return status;
    }
    put_literal(out, ",\"upper\":");
    if (flags & (RANGE_EMPTY | RANGE_UPPER_INFINITE)) {
        put_literal(out, "null");
    } else if ((status = put_field(node->children, &r, out)) != PG_OK) {
        return status;
    }
    put_literal(out, ",\"bounds\":\"");
    if (flags & RANGE_EMPTY) {
        put_literal(out, "empty");
    } else {
        pg_put_u8(out, flags & RANGE_LOWER_INCLUSIVE ? '[' : '(');
        pg_put_u8(out, flags & RANGE_UPPER_INCLUSIVE ? ']' : ')');
    }
    put_literal(out, "\"}");
    if (!pg_reader_done(&r)) return PG_MALFORMED;
    return out->status;
}

static int put_multirange(const pg_json_node *node, const uint8_t *data, size_t length, pg_writer *out) {
    pg_reader r;
    uint32_t count, i;
    int status;
    pg_reader_init(&r, data, length);
    count = pg_read_u32(&r);
    /* A range has a length word and its flags. */
    if (r.failed || count > pg_reader_left(&r) / 5) return PG_MALFORMED;
    pg_put_u8(out, '[');
    for (i = 0; i < count; i++) {
        if (i) pg_put_u8(out, ',');
        status = put_field(node->children, &r, out);
        if (status != PG_OK) return status;
    }
    pg_put_u8(out, ']');
    if (!pg_reader_done(&r)) return PG_MALFORMED;
    return out->status;
}

static int put_hstore(const uint8_t *data, size_t length, pg_writer *out) {
    pg_reader r;
    uint32_t count, i;
    int32_t size;
    const uint8_t *text;
    int status;
    pg_reader_init(&r, data, length);
    count = pg_read_u32(&r);
    if (r.failed || count > pg_reader_left(&r) / 8) return PG_MALFORMED;
    pg_put_u8(out, '{');
    for (i = 0; i < count; i++) {
        if (i) pg_put_u8(out, ',');
        text = pg_read_value(&r, &size);
        if (text == NULL) return PG_MALFORMED;
        if ((status = pg_json_string((const char *)text, (size_t)size, out)) != PG_OK) return status;
        pg_put_u8(out, ':');
        text = pg_read_value(&r, &size);
        if (r.failed) return PG_MALFORMED;
        status = text == NULL ? put_literal(out, "null") : pg_json_string((const char *)text, (size_t)size, out);
        if (status != PG_OK) return status;
    }
    pg_put_u8(out, '}');
    if (!pg_reader_done(&r)) return PG_MALFORMED;
    return out->status;
}

static int put_vector(const uint8_t *data, size_t length, size_t width, pg_writer *out) {
    size_t count, i;
    if (length < 4) return PG_MALFORMED;
    count = pg_load_u16(data);
    if (length - 4 != count * width) return PG_MALFORMED;
    pg_put_u8(out, '[');
    for (i = 0; i < count; i++) {
        const uint8_t *at = data + 4 + i * width;
        if (i) pg_put_u8(out, ',');
        put_f32(out, width == 4 ? pg_load_f32(at) : pg_f16_to_f32(pg_load_u16(at)));
    }
    pg_put_u8(out, ']');
    return out->status;
}

static int put_floats(const uint8_t *data, size_t count, pg_writer *out) {
    size_t i;
    pg_put_u8(out, '[');
    for (i = 0; i < count; i++) {
        if (i) pg_put_u8(out, ',');
        put_f64(out, pg_load_f64(data + 8 * i));
    }
    pg_put_u8(out, ']');
    return out->status;
}

static int put_points(const uint8_t *data, size_t length, pg_writer *out) {
    uint32_t count, i;
    if (length < 4) return PG_MALFORMED;
    count = pg_load_u32(data);
    if (length - 4 != (size_t)count * 16) return PG_MALFORMED;
    pg_put_u8(out, '[');
    for (i = 0; i < count; i++) {
        if (i) pg_put_u8(out, ',');
        put_floats(data + 4 + 16 * (size_t)i, 2, out);
    }
    pg_put_u8(out, ']');
    return out->status;
}

static int put_snapshot(const uint8_t *data, size_t length, pg_writer *out) {
    uint32_t count, i;
    if (length < 20) return PG_MALFORMED;
    count = pg_load_u32(data);
    if (length - 20 != (size_t)count * 8) return PG_MALFORMED;
    pg_put_u8(out, '[');
    put_u64(out, pg_load_u64(data + 4));
    pg_put_u8(out, ',');
    put_u64(out, pg_load_u64(data + 12));
    put_literal(out, ",[");
    for (i = 0; i < count; i++) {
        if (i) pg_put_u8(out, ',');
        put_u64(out, pg_load_u64(data + 20 + 8 * (size_t)i));
    }
    put_literal(out, "]]");
    return out->status;
}

/* ---- values and rows ------------------------------------------------------------------------------- */

/* Beyond it a reader that has only doubles (JavaScript's JSON.parse) rounds. */
#define EXACT_INTEGER INT64_C(9007199254740991)

#define NEEDS(size)                                                                                                   \
    if (length != (size)) return PG_MALFORMED

int pg_json_value(const pg_json_node *node, const uint8_t *data, size_t length, pg_writer *out) {
    char text[PG_INTERVAL_TEXT];
    size_t size;
    int64_t number;
    int status;
    switch (node->kind) {
    case PG_JSON_CALLBACK:
        return node->callback ? node->callback(node->context, data, length, out) : PG_MALFORMED;
    case PG_JSON_BOOL:
        NEEDS(1);
        return put_literal(out, data[0] ? "true" : "false");
    case PG_JSON_INT2:
        NEEDS(2);
        return put_i64(out, pg_load_i16(data));
    case PG_JSON_INT4:
        NEEDS(4);
        return put_i64(out, pg_load_i32(data));
    case PG_JSON_INT8:
        NEEDS(8);
        number = pg_load_i64(data);
        if (node->parameter && (number > EXACT_INTEGER || number < -EXACT_INTEGER))
            return put_quoted(out, text, pg_text_i64(number, text));
        return put_i64(out, number);
    case PG_JSON_UINT4:
        NEEDS(4);
        return put_u64(out, pg_load_u32(data));
    case PG_JSON_UINT8:
        NEEDS(8);
        return put_u64(out, pg_load_u64(data));
    case PG_JSON_FLOAT4:
        NEEDS(4);
        return put_f32(out, pg_load_f32(data));
    case PG_JSON_FLOAT8:
        NEEDS(8);
        return put_f64(out, pg_load_f64(data));
    case PG_JSON_NUMERIC:
        return put_numeric(node, data, length, out);
    case PG_JSON_TEXT:
        return pg_json_string((const char *)data, length, out);
    case PG_JSON_CHAR:
        NEEDS(1);
        if (data[0] >= 0x80) {
            /* Latin-1 in two bytes of UTF-8. */
            text[0] = (char)(0xc0 | data[0] >> 6);
            text[1] = (char)(0x80 | (data[0] & 0x3f));
            return pg_json_string(text, 2, out);
        }
        return pg_json_string((const char *)data, data[0] ? 1 : 0, out);
    case PG_JSON_BYTEA:
        return put_base64(data, length, out);
    case PG_JSON_UUID:
        NEEDS(16);
        pg_text_uuid(data, text);
        return put_quoted(out, text, 36);
    case PG_JSON_JSONB:
    case PG_JSON_JSON:
        if (node->kind == PG_JSON_JSONB) {
            if (length < 1 || data[0] != 1) return PG_MALFORMED;
            data++;
            length--;
        }
        return pg_json_document((const char *)data, length, out);
    case PG_JSON_NULL:
        return put_literal(out, "null");
    case PG_JSON_DATE:
        NEEDS(4);
        return put_quoted(out, text, pg_text_date(pg_load_i32(data), text));
    case PG_JSON_TIME:
        NEEDS(8);
        number = pg_load_i64(data);
        if (number < 0 || number > PG_DAY_MICROS) return PG_MALFORMED;
        return put_quoted(out, text, pg_text_time(number, text));
    case PG_JSON_TIMETZ: {
        int32_t west;
        NEEDS(12);
        number = pg_load_i64(data);
        west = pg_load_i32(data + 8);
        if (number < 0 || number > PG_DAY_MICROS || west <= -PG_OFFSET_LIMIT || west >= PG_OFFSET_LIMIT)
            return PG_MALFORMED;
        return put_quoted(out, text, pg_text_timetz(number, west, text));
    }
    case PG_JSON_TIMESTAMP:
    case PG_JSON_TIMESTAMPTZ:
        NEEDS(8);
        return put_quoted(
            out, text, pg_text_timestamp(pg_load_i64(data), node->kind == PG_JSON_TIMESTAMPTZ, text));
    case PG_JSON_INTERVAL:
        NEEDS(16);
        return put_quoted(
            out, text, pg_text_interval(pg_load_i32(data + 12), pg_load_i32(data + 8), pg_load_i64(data), text));
    case PG_JSON_ARRAY:
        return put_array(node, data, length, out);
    case PG_JSON_COMPOSITE:
        return put_composite(node, data, length, out);
    case PG_JSON_RANGE:
        return put_range(node, data, length, out);
    case PG_JSON_MULTIRANGE:
        return put_multirange(node, data, length, out);
    case PG_JSON_HSTORE:
        return put_hstore(data, length, out);
    case PG_JSON_VECTOR:
        return put_vector(data, length, 4, out);
    case PG_JSON_HALFVEC:
        return put_vector(data, length, 2, out);
    case PG_JSON_BITS:
        return put_bits(data, length, out);
    case PG_JSON_LSN:
        NEEDS(8);
        return put_lsn(pg_load_u64(data), out);
    case PG_JSON_MONEY:
        NEEDS(8);
        return put_money(node, pg_load_i64(data), out);
    case PG_JSON_MACADDR:
        if ((length != 6 && length != 8) || length != (size_t)node->parameter) return PG_MALFORMED;
        return put_quoted(out, text, pg_text_macaddr(data, length, text));
    case PG_JSON_INET:
    case PG_JSON_CIDR:
        if (pg_text_inet(data, length, node->kind == PG_JSON_CIDR, node->parameter != 0, text, &size) != PG_OK)
            return PG_MALFORMED;
        return put_quoted(out, text, size);
    case PG_JSON_TSVECTOR:
        return put_tsvector(data, length, out);
    case PG_JSON_VERSIONED_TEXT:
        if (length < 1 || data[0] != 1) return PG_MALFORMED;
        return pg_json_string((const char *)data + 1, length - 1, out);
    case PG_JSON_TID:
        NEEDS(6);
        pg_put_u8(out, '[');
        put_u64(out, pg_load_u32(data));
        pg_put_u8(out, ',');
        put_u64(out, pg_load_u16(data + 4));
        pg_put_u8(out, ']');
        return out->status;
    case PG_JSON_SNAPSHOT:
        return put_snapshot(data, length, out);
    case PG_JSON_POINT:
        NEEDS(16);
        return put_floats(data, 2, out);
    case PG_JSON_LINE:
        NEEDS(24);
        return put_floats(data, 3, out);
    case PG_JSON_SEGMENT:
        NEEDS(32);
        pg_put_u8(out, '[');
        put_floats(data, 2, out);
        pg_put_u8(out, ',');
        put_floats(data + 16, 2, out);
        pg_put_u8(out, ']');
        return out->status;
    case PG_JSON_PATH:
        if (length < 1) return PG_MALFORMED;
        pg_put_u8(out, '[');
        if ((status = put_points(data + 1, length - 1, out)) != PG_OK) return status;
        return put_literal(out, data[0] ? ",true]" : ",false]");
    case PG_JSON_POLYGON:
        return put_points(data, length, out);
    case PG_JSON_CIRCLE:
        NEEDS(24);
        pg_put_u8(out, '[');
        put_floats(data, 2, out);
        pg_put_u8(out, ',');
        put_f64(out, pg_load_f64(data + 16));
        pg_put_u8(out, ']');
        return out->status;
    }
    return PG_MALFORMED;
}

int pg_json_row(const pg_json_plan *plan, const uint8_t *datarow, size_t length, pg_writer *out, int *column) {
    pg_reader r;
    size_t start = out->length, i;
    int status = PG_OK;
    *column = -1;
    pg_reader_init(&r, datarow, length);
    if (pg_read_u16(&r) != plan->count || r.failed) return PG_MALFORMED;
    for (i = 0; i < plan->count; i++) {
        int32_t size;
        const uint8_t *data = pg_read_value(&r, &size);
        if (r.failed) {
            status = PG_MALFORMED;
            break;
        }
        if (plan->keys[i] == NULL) continue;
        *column = (int)i;
        pg_put_bytes(out, plan->keys[i], plan->key_lengths[i]);
        status = data == NULL ? put_literal(out, "null") : pg_json_value(&plan->columns[i], data, (size_t)size, out);
        if (status != PG_OK) break;
        *column = -1;
    }
    if (status == PG_OK && !plan->bare) {
        /* The first key opens the object; without columns nothing did. */
        status = put_literal(out, out->length == start ? "{}" : "}");
    }
    if (status == PG_OK && !pg_reader_done(&r)) status = PG_MALFORMED;
    if (status != PG_OK) pg_writer_rewind(out, start);
    return status;
}
