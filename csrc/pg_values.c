/* Values other than numbers: uuid. */

#include "pg_values.h"

static const char HEX[] = "0123456789abcdef";

void pg_text_uuid(const uint8_t *data, char *out) {
    int i;
    for (i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) *out++ = '-';
        *out++ = HEX[data[i] >> 4];
        *out++ = HEX[data[i] & 15];
    }
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

pg_status pg_parse_uuid(const char *text, size_t length, uint8_t *out) {
    size_t i = 0, bytes;
    if (length >= 2 && text[0] == '{' && text[length - 1] == '}') {
        text++;
        length -= 2;
    }
    for (bytes = 0; bytes < 16; bytes++) {
        int high, low;
        /* uuid.c: a hyphen may follow every second pair. */
        if (bytes && bytes % 2 == 0 && i < length && text[i] == '-') i++;
        if (length - i < 2) return PG_MALFORMED;
        high = hex_digit(text[i]);
        low = hex_digit(text[i + 1]);
        if (high < 0 || low < 0) return PG_MALFORMED;
        out[bytes] = (uint8_t)(high << 4 | low);
        i += 2;
    }
    return i == length ? PG_OK : PG_MALFORMED;
}
