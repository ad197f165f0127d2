/* Values other than numbers to text. */

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

size_t pg_text_macaddr(const uint8_t *data, size_t length, char *out) {
    size_t i;
    for (i = 0; i < length; i++) {
        if (i) *out++ = ':';
        *out++ = HEX[data[i] >> 4];
        *out++ = HEX[data[i] & 15];
    }
    return length * 3 - 1;
}

pg_status pg_text_tsvector(const uint8_t *data, size_t length, pg_writer *out) {
    pg_reader r;
    uint32_t count, i;
    pg_reader_init(&r, data, length);
    count = pg_read_u32(&r);
    /* A lexeme takes at least its NUL and the number of its positions. */
    if (r.failed || count > pg_reader_left(&r) / 3) return PG_MALFORMED;
    for (i = 0; i < count; i++) {
        size_t size, j;
        const char *lexeme = pg_read_cstr(&r, &size);
        uint16_t positions = pg_read_u16(&r), k;
        if (r.failed) return PG_MALFORMED;
        if (i) pg_put_u8(out, ' ');
        pg_put_u8(out, '\'');
        for (j = 0; j < size; j++) {
            if (lexeme[j] == '\'' || lexeme[j] == '\\') pg_put_u8(out, (uint8_t)lexeme[j]);
            pg_put_u8(out, (uint8_t)lexeme[j]);
        }
        pg_put_u8(out, '\'');
        for (k = 0; k < positions; k++) {
            uint16_t position = pg_read_u16(&r);
            char text[PG_INT_TEXT];
            if (r.failed) return PG_MALFORMED;
            pg_put_u8(out, k ? ',' : ':');
            pg_put_bytes(out, text, pg_text_u64(position & 0x3fff, text));
            /* The two upper bits are the weight; D, the lowest, is not shown. */
            if (position >> 14) pg_put_u8(out, (uint8_t)("DCBA"[position >> 14]));
        }
    }
    if (!pg_reader_done(&r)) return PG_MALFORMED;
    return out->status;
}
