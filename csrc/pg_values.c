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

/* ---- dates and times ------------------------------------------------------------------------------- */

static size_t put_word(const char *word, char *out) {
    size_t length = strlen(word);
    memcpy(out, word, length);
    return length;
}

static void put_two(int32_t value, char *out) {
    out[0] = (char)('0' + value / 10);
    out[1] = (char)('0' + value % 10);
}

static size_t put_year(int32_t year, char *out) {
    if (year <= 9999) {
        put_two(year / 100, out);
        put_two(year % 100, out + 2);
        return 4;
    }
    return pg_text_i64(year, out);
}

/* The date without its era; true when that is BC. */
static bool put_date(int32_t days, char *out, size_t *length) {
    pg_date date;
    size_t n;
    bool before_christ;
    pg_date_of_days(days, &date);
    before_christ = date.year <= 0;
    n = put_year(before_christ ? 1 - date.year : date.year, out);
    out[n] = '-';
    put_two(date.month, out + n + 1);
    out[n + 3] = '-';
    put_two(date.day, out + n + 4);
    *length = n + 6;
    return before_christ;
}

static size_t put_fraction_of_second(int32_t micros, bool trimmed, char *out) {
    size_t length = 7, i;
    if (micros == 0) return 0;
    out[0] = '.';
    for (i = 6; i >= 1; i--) {
        out[i] = (char)('0' + micros % 10);
        micros /= 10;
    }
    while (trimmed && out[length - 1] == '0') length--;
    return length;
}

static size_t put_time(int64_t micros, bool trimmed, char *out) {
    pg_time time;
    pg_time_of_micros(micros, &time);
    put_two(time.hour, out);
    out[2] = ':';
    put_two(time.minute, out + 3);
    out[5] = ':';
    put_two(time.second, out + 6);
    return 8 + put_fraction_of_second(time.microsecond, trimmed, out + 8);
}

size_t pg_text_date(int32_t days, char *out) {
    size_t length;
    if (days == PG_DAYS_INFINITY) return put_word("infinity", out);
    if (days == PG_DAYS_MINUS_INFINITY) return put_word("-infinity", out);
    if (put_date(days, out, &length)) length += put_word(" BC", out + length);
    return length;
}

size_t pg_text_time(int64_t micros, char *out) { return put_time(micros, micros == PG_DAY_MICROS, out); }

size_t pg_text_timetz(int64_t micros, int32_t seconds_west, char *out) {
    size_t length = pg_text_time(micros, out);
    int32_t seconds = seconds_west > 0 ? seconds_west : -seconds_west;
    char sign = seconds_west > 0 ? '-' : '+';
    if (micros == PG_DAY_MICROS) {
        /* Not a time of Python: the server's own form, seconds included. */
        out[length++] = sign;
        put_two(seconds / 3600, out + length);
        length += 2;
        if (seconds % 3600) {
            out[length++] = ':';
            put_two(seconds / 60 % 60, out + length);
            length += 2;
        }
        if (seconds % 60) {
            out[length++] = ':';
            put_two(seconds % 60, out + length);
            length += 2;
        }
        return length;
    }
    /* RFC 3339 has no seconds in an offset: to the nearest minute, as msgspec rounds. */
    seconds = (seconds / 60 + (seconds % 60 > 30)) * 60;
    if (seconds == 0) {
        out[length] = 'Z';
        return length + 1;
    }
    out[length] = sign;
    put_two(seconds / 3600, out + length + 1);
    out[length + 3] = ':';
    put_two(seconds / 60 % 60, out + length + 4);
    return length + 6;
}

size_t pg_text_timestamp(int64_t micros, bool utc, char *out) {
    int32_t days;
    int64_t rest;
    size_t length;
    bool before_christ, ordinary;
    if (micros == PG_MICROS_INFINITY) return put_word("infinity", out);
    if (micros == PG_MICROS_MINUS_INFINITY) return put_word("-infinity", out);
    pg_split_micros(micros, &days, &rest);
    ordinary = days >= PG_DAYS_YEAR_1 && days <= PG_DAYS_YEAR_9999;
    before_christ = put_date(days, out, &length);
    out[length++] = 'T';
    length += put_time(rest, !ordinary, out + length);
    if (utc) out[length++] = 'Z';
    if (before_christ) length += put_word(" BC", out + length);
    return length;
}

static size_t put_part(bool negative, uint64_t value, char unit, char *out) {
    size_t length = 0;
    if (value == 0) return 0;
    if (negative) out[length++] = '-';
    length += pg_text_u64(value, out + length);
    out[length++] = unit;
    return length;
}

size_t pg_text_interval(int32_t months, int32_t days, int64_t micros, char *out) {
    uint64_t whole_months = months < 0 ? (uint64_t)-(int64_t)months : (uint64_t)months;
    uint64_t whole_days = days < 0 ? (uint64_t)-(int64_t)days : (uint64_t)days;
    uint64_t rest = micros < 0 ? ~(uint64_t)micros + 1 : (uint64_t)micros;
    uint64_t seconds = rest / 1000000;
    int32_t fraction = (int32_t)(rest % 1000000);
    size_t length = 1;
    if (months == INT32_MAX && days == INT32_MAX && micros == INT64_MAX) return put_word("infinity", out);
    if (months == INT32_MIN && days == INT32_MIN && micros == INT64_MIN) return put_word("-infinity", out);
    if (months == 0 && days == 0 && micros == 0) return put_word("PT0S", out);
    out[0] = 'P';
    length += put_part(months < 0, whole_months / 12, 'Y', out + length);
    length += put_part(months < 0, whole_months % 12, 'M', out + length);
    length += put_part(days < 0, whole_days, 'D', out + length);
    if (micros) {
        out[length++] = 'T';
        length += put_part(micros < 0, seconds / 3600, 'H', out + length);
        length += put_part(micros < 0, seconds / 60 % 60, 'M', out + length);
        if (seconds % 60 || fraction) {
            if (micros < 0) out[length++] = '-';
            length += pg_text_u64(seconds % 60, out + length);
            length += put_fraction_of_second(fraction, true, out + length);
            out[length++] = 'S';
        }
    }
    return length;
}

/* ---- network addresses ----------------------------------------------------------------------------- */

static size_t put_ipv4(const uint8_t *address, char *out) {
    size_t length = 0;
    int i;
    for (i = 0; i < 4; i++) {
        if (i) out[length++] = '.';
        length += pg_text_u64(address[i], out + length);
    }
    return length;
}

static size_t put_group(uint16_t group, char *out) {
    size_t length = 0;
    int shift;
    for (shift = 12; shift >= 0; shift -= 4) {
        if (length || shift == 0 || group >> shift) out[length++] = HEX[group >> shift & 15];
    }
    return length;
}

static size_t put_ipv6(const uint8_t *address, bool mapped_dotted, char *out) {
    static const uint8_t MAPPED[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    int best = -1, best_length = 1, i, run;
    size_t length = 0;
    if (mapped_dotted && memcmp(address, MAPPED, 12) == 0) {
        length = put_word("::ffff:", out);
        return length + put_ipv4(address + 12, out + length);
    }
    /* RFC 5952: the first of the longest runs of two or more zero groups becomes "::". */
    for (i = 0; i < 8; i += run ? run : 1) {
        for (run = 0; i + run < 8 && pg_load_u16(address + 2 * (i + run)) == 0; run++) {
        }
        if (run > best_length) {
            best = i;
            best_length = run;
        }
    }
    for (i = 0; i < 8; i++) {
        if (i == best) {
            out[length++] = ':';
            out[length++] = ':';
            i += best_length - 1;
            continue;
        }
        if (i && out[length - 1] != ':') out[length++] = ':';
        length += put_group(pg_load_u16(address + 2 * i), out + length);
    }
    return length;
}

pg_status pg_text_inet(const uint8_t *data, size_t length, bool cidr, bool mapped_dotted, char *out,
                       size_t *written) {
    size_t n;
    unsigned most;
    if (length < 4 || length != 4 + (size_t)data[3]) return PG_MALFORMED;
    if (data[0] == 2 && data[3] == 4) {
        most = 32;
    } else if (data[0] == 3 && data[3] == 16) {
        most = 128;
    } else {
        return PG_MALFORMED;
    }
    if (data[1] > most) return PG_MALFORMED;
    n = most == 32 ? put_ipv4(data + 4, out) : put_ipv6(data + 4, mapped_dotted, out);
    if (cidr || data[1] != most) {
        out[n++] = '/';
        n += pg_text_u64(data[1], out + n);
    }
    *written = n;
    return PG_OK;
}
