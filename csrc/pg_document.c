/* A json or jsonb value inside of a row's JSON: as a decoder and an encoder would leave it, without either. */

#include <stdlib.h>

#include "pg_json.h"
#include "pg_values.h"

/* Digits that can decide how a double rounds; more are as good as one that is not zero. */
#define DECISIVE_DIGITS 800

static int hex4(const char *at) {
    int value = 0, i;
    for (i = 0; i < 4; i++) {
        char c = at[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
        if (digit < 0) return -1;
        value = value << 4 | digit;
    }
    return value;
}

static size_t put_utf8(uint32_t point, uint8_t *to) {
    if (point < 0x80) {
        to[0] = (uint8_t)point;
        return 1;
    }
    if (point < 0x800) {
        to[0] = (uint8_t)(0xc0 | point >> 6);
        to[1] = (uint8_t)(0x80 | (point & 0x3f));
        return 2;
    }
    if (point < 0x10000) {
        to[0] = (uint8_t)(0xe0 | point >> 12);
        to[1] = (uint8_t)(0x80 | (point >> 6 & 0x3f));
        to[2] = (uint8_t)(0x80 | (point & 0x3f));
        return 3;
    }
    to[0] = (uint8_t)(0xf0 | point >> 18);
    to[1] = (uint8_t)(0x80 | (point >> 12 & 0x3f));
    to[2] = (uint8_t)(0x80 | (point >> 6 & 0x3f));
    to[3] = (uint8_t)(0x80 | (point & 0x3f));
    return 4;
}

/* The text an escaped string stands for, never longer than it. False for what is no text: half a surrogate pair. */
static bool unescape(const char *at, const char *end, uint8_t *to, size_t *length) {
    static const char LETTERS[] = "\"\\/bfnrt", MEANT[] = "\"\\/\b\f\n\r\t";
    uint8_t *start = to;
    while (at < end) {
        const char *letter;
        int unit, low;
        if (*at != '\\') {
            *to++ = (uint8_t)*at++;
            continue;
        }
        if (end - at < 2) return false;
        if (at[1] != 'u') {
            letter = memchr(LETTERS, at[1], 8);
            if (letter == NULL) return false;
            *to++ = (uint8_t)MEANT[letter - LETTERS];
            at += 2;
            continue;
        }
        if (end - at < 6 || (unit = hex4(at + 2)) < 0) return false;
        at += 6;
        if (unit >= 0xd800 && unit < 0xe000) {
            if (unit >= 0xdc00 || end - at < 6 || at[0] != '\\' || at[1] != 'u') return false;
            low = hex4(at + 2);
            if (low < 0xdc00 || low > 0xdfff) return false;
            at += 6;
            to += put_utf8(0x10000 + ((uint32_t)(unit - 0xd800) << 10) + (uint32_t)(low - 0xdc00), to);
        } else {
            to += put_utf8((uint32_t)unit, to);
        }
    }
    *length = (size_t)(to - start);
    return true;
}

/* What stands between the quotes. */
static int put_string(const char *text, size_t length, bool escaped, pg_writer *out) {
    size_t start = out->length, size, written;
    int status;
    if (!escaped) return pg_json_string(text, length, out);
    /* The text goes behind the place of the string, which may grow to six times its bytes, and is escaped from there. */
    if (length > SIZE_MAX / 16 || !pg_writer_reserve(out, length * 7 + 16)) return PG_NO_MEMORY;
    out->length += length * 6 + 8;
    if (!unescape(text, text + length, out->data + out->length, &size)) {
        out->length = start;
        pg_put_u8(out, '"');
        pg_put_bytes(out, text, length);
        pg_put_u8(out, '"');
        return out->status;
    }
    written = out->length;
    out->length = start;
    status = pg_json_string((const char *)out->data + written, size, out);
    return status;
}

/* A number with a point or an exponent, as the shortest text of its double; false when it is infinite. */
static bool read_double(const char *at, const char *end, double *value) {
    static const double TENS[23] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    char digits[DECISIVE_DIGITS + 32];
    size_t count = 0;
    int64_t exponent = 0, written = 0;
    uint64_t mantissa = 0;
    bool negative = *at == '-', point = false, more = false;
    if (negative) at++;
    for (; at < end && *at != 'e' && *at != 'E'; at++) {
        if (*at == '.') {
            point = true;
            continue;
        }
        if (*at < '0' || *at > '9') return false;
        if (point) exponent--;
        if (count == 0 && *at == '0') continue;
        if (count < DECISIVE_DIGITS) {
            digits[count++] = *at;
            if (count <= 18) mantissa = mantissa * 10 + (uint64_t)(*at - '0');
        } else {
            exponent++;
            more = more || *at != '0';
        }
    }
    if (at < end) {
        bool minus = false;
        at++;
        if (at < end && (*at == '-' || *at == '+')) minus = *at++ == '-';
        if (at == end) return false;
        for (; at < end; at++) {
            if (*at < '0' || *at > '9') return false;
            if (written < 1000000) written = written * 10 + (*at - '0');
        }
        exponent += minus ? -written : written;
    }
    if (count <= 15 && exponent >= -22 && exponent <= 22) {
        /* Both are exact doubles, so one operation rounds once. */
        *value = exponent < 0 ? (double)mantissa / TENS[-exponent] : (double)mantissa * TENS[exponent];
    } else {
        /* Without a point strtod reads the same in every locale. */
        if (more) {
            digits[count++] = '1';
            exponent--;
        }
        digits[count++] = 'e';
        if (exponent > 100000) exponent = 100000;
        if (exponent < -100000) exponent = -100000;
        count += pg_text_i64(exponent, digits + count);
        digits[count] = 0;
        *value = strtod(digits, NULL);
    }
    if (!(*value - *value == 0)) return false;
    if (negative) *value = -*value;
    return true;
}

static int put_number(const char *at, const char *end, pg_writer *out) {
    const char *c;
    double value;
    bool integer = true;
    for (c = at; c < end; c++) integer = integer && *c != '.' && *c != 'e' && *c != 'E';
    if (integer) {
        /* An integer of any size stays; minus zero is zero. */
        if (end - at == 2 && at[0] == '-' && at[1] == '0') at++;
        pg_put_bytes(out, at, (size_t)(end - at));
        return out->status;
    }
    if (!read_double(at, end, &value)) {
        pg_put_bytes(out, at, (size_t)(end - at));
        return out->status;
    }
    if (!pg_writer_reserve(out, PG_FLOAT_TEXT)) return out->status;
    out->length += pg_text_f64(value, (char *)out->data + out->length);
    return PG_OK;
}

int pg_json_document(const char *text, size_t length, pg_writer *out) {
    const char *at = text, *end = text + length;
    size_t start = out->length;
    int status;
    while (at < end) {
        const char *token = at;
        char c = *at++;
        switch (c) {
        case ' ':
        case '\t':
        case '\n':
        case '\r':
            continue;
        case '"': {
            bool escaped = false;
            while (at < end && *at != '"') {
                if (*at == '\\') {
                    escaped = true;
                    at++;
                    if (at == end) return PG_MALFORMED;
                }
                at++;
            }
            if (at == end) return PG_MALFORMED;
            if ((status = put_string(token + 1, (size_t)(at - token - 1), escaped, out)) != PG_OK) return status;
            at++;
            continue;
        }
        case '-':
        case '0':
        case '1':
        case '2':
        case '3':
        case '4':
        case '5':
        case '6':
        case '7':
        case '8':
        case '9':
            while (at < end && ((*at >= '0' && *at <= '9') || *at == '.' || *at == 'e' || *at == 'E' || *at == '+' ||
                                *at == '-'))
                at++;
            if ((status = put_number(token, at, out)) != PG_OK) return status;
            continue;
        default:
            if ((uint8_t)c < 0x20 || (uint8_t)c >= 0x7f) return PG_MALFORMED;
            pg_put_u8(out, (uint8_t)c);
            continue;
        }
    }
    if (out->status != PG_OK) return out->status;
    return out->length == start ? PG_MALFORMED : PG_OK;
}
