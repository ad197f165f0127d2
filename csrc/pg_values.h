/* PostgreSQL's binary values <-> components and text, without Python.
 *
 * Text goes into a buffer of the caller, whose size each function states, or into a pg_writer. Nothing is
 * NUL-terminated; functions that write return the number of bytes. What comes from the server is checked: wrong
 * lengths and impossible components are PG_MALFORMED. Days count from 2000-01-01, microseconds from midnight or
 * from 2000-01-01T00:00:00, as on the wire (timestamp.h, date.h, numeric.c, network.c of PostgreSQL).
 */
#ifndef PG_VALUES_H
#define PG_VALUES_H

#include "pg_wire.h"

/* ---- numbers --------------------------------------------------------------------------------------- */

#define PG_INT_TEXT 20
#define PG_FLOAT_TEXT 32

size_t pg_text_i64(int64_t value, char *out); /* PG_INT_TEXT bytes */
size_t pg_text_u64(uint64_t value, char *out);

/* The shortest decimal that reads back as the same number; 1.0, 0.00001, 1e16, 1.5e-7, -0.0.
 * NaN and the infinities are the caller's matter. PG_FLOAT_TEXT bytes. */
size_t pg_text_f64(double value, char *out);
size_t pg_text_f32(float value, char *out);

/* The double nearest to the shortest decimal of a float4: 0.1 stays 0.1. Infinities and NaN pass. */
double pg_f32_shortest(float value);

/* IEEE 754 half precision, for pgvector's halfvec; to half rounds to nearest, ties to even. */
float pg_f16_to_f32(uint16_t half);
uint16_t pg_f32_to_f16(float value);

typedef struct pg_numeric {
    uint16_t count; /* of base-10000 digits */
    int16_t weight; /* of the first, in powers of 10000 */
    uint16_t sign;
    uint16_t scale; /* decimal digits shown after the point */
    const uint8_t *digits;
} pg_numeric;

#define PG_NUMERIC_POSITIVE 0x0000
#define PG_NUMERIC_NEGATIVE 0x4000
#define PG_NUMERIC_NAN 0xC000
#define PG_NUMERIC_INFINITY 0xD000
#define PG_NUMERIC_MINUS_INFINITY 0xF000

pg_status pg_numeric_read(const uint8_t *data, size_t length, pg_numeric *out);
/* The number as sign * coefficient * 10^-scale; false for NaN, infinities and coefficients of 19 digits and more. */
bool pg_numeric_small(const pg_numeric *n, uint64_t *coefficient, int *digits);
/* Enough bytes for either text below. */
size_t pg_numeric_text_size(const pg_numeric *n);
/* As the server prints it: every digit of the scale, no exponent. */
size_t pg_numeric_text(const pg_numeric *n, char *out);
/* As decimal.Decimal prints it: 1E-7 where the first digit stands more than six places behind the point. */
size_t pg_numeric_text_scientific(const pg_numeric *n, char *out);
/* The payload for a decimal text (digits, point, exponent, sign, NaN, Infinity): PG_MALFORMED when it is none,
 * PG_RANGE beyond 131072 digits before or 16383 after the point. */
pg_status pg_numeric_write(pg_writer *w, const char *text, size_t length);

/* ---- dates and times ------------------------------------------------------------------------------- */

#define PG_DAYS_INFINITY INT32_MAX
#define PG_DAYS_MINUS_INFINITY INT32_MIN
#define PG_MICROS_INFINITY INT64_MAX
#define PG_MICROS_MINUS_INFINITY INT64_MIN
#define PG_DAY_MICROS INT64_C(86400000000)
/* An offset from UTC is below 16 hours (timestamp.h, TZDISP_LIMIT). */
#define PG_OFFSET_LIMIT 57600
/* Days from 2000-01-01 to 0001-01-01 and to 9999-12-31, Python's first and last date. */
#define PG_DAYS_YEAR_1 (-730119)
#define PG_DAYS_YEAR_9999 2921939

typedef struct pg_date {
    int32_t year; /* astronomical: 0 is 1 BC */
    int32_t month;
    int32_t day;
} pg_date;

typedef struct pg_time {
    int32_t hour;
    int32_t minute;
    int32_t second;
    int32_t microsecond;
} pg_time;

/* Proleptic Gregorian; days may be any int32. */
static inline void pg_date_of_days(int32_t days, pg_date *out) {
    /* Eras of 400 years that begin on 1 March of year 0; 2000-01-01 is day 730425 of that count. */
    int64_t shifted = (int64_t)days + 730425;
    int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    uint32_t day_of_era = (uint32_t)(shifted - era * 146097);
    uint32_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    uint32_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint32_t month = (5 * day_of_year + 2) / 153;
    out->day = (int32_t)(day_of_year - (153 * month + 2) / 5 + 1);
    out->month = (int32_t)(month < 10 ? month + 3 : month - 9);
    out->year = (int32_t)((int64_t)year_of_era + era * 400 + (out->month <= 2));
}

static inline int64_t pg_days_of_date(int64_t year, int32_t month, int32_t day) {
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 730425;
}

/* Microseconds of one day, 0 to 24:00:00. */
static inline void pg_time_of_micros(int64_t micros, pg_time *out) {
    uint32_t seconds = (uint32_t)((uint64_t)micros / 1000000u);
    out->microsecond = (int32_t)((uint64_t)micros % 1000000u);
    out->hour = (int32_t)(seconds / 3600);
    out->minute = (int32_t)(seconds / 60 % 60);
    out->second = (int32_t)(seconds % 60);
}

/* Floor division, so that times before 2000 belong to the day they are in. */
static inline void pg_split_micros(int64_t micros, int32_t *days, int64_t *time) {
    int64_t day = micros / PG_DAY_MICROS;
    int64_t rest = micros % PG_DAY_MICROS;
    if (rest < 0) {
        rest += PG_DAY_MICROS;
        day -= 1;
    }
    *days = (int32_t)day;
    *time = rest;
}

/* The text of msgspec for what Python's types hold, that of swift/pg/types.py for the rest: ISO 8601, "infinity",
 * years before 1 with " BC". PG_TIME_TEXT bytes each. */
#define PG_TIME_TEXT 64
size_t pg_text_date(int32_t days, char *out);
size_t pg_text_time(int64_t micros, char *out);                     /* 0 to 24:00:00 */
size_t pg_text_timetz(int64_t micros, int32_t seconds_west, char *out);
size_t pg_text_timestamp(int64_t micros, bool utc, char *out);
/* ISO 8601 with a sign a component, as IntervalStyle = iso_8601 prints it. PG_INTERVAL_TEXT bytes. */
#define PG_INTERVAL_TEXT 96
size_t pg_text_interval(int32_t months, int32_t days, int64_t micros, char *out);

/* ---- uuid ------------------------------------------------------------------------------------------ */

void pg_text_uuid(const uint8_t *data, char *out); /* 36 bytes from 16 */
/* 32 hexadecimal digits, a hyphen allowed behind every fourth, with or without braces, as the server takes. */
pg_status pg_parse_uuid(const char *text, size_t length, uint8_t *out);

/* ---- text of other types --------------------------------------------------------------------------- */

/* "08:00:2b:01:02:03" from 6 or 8 bytes: 3 bytes for each, less one. */
size_t pg_text_macaddr(const uint8_t *data, size_t length, char *out);
/* An inet or cidr as ipaddress prints it; an inet of one host without its mask. PG_INET_TEXT bytes.
 * `mapped_dotted`: ::ffff:1.2.3.4 rather than ::ffff:102:304. PG_MALFORMED leaves `written` as it was. */
#define PG_INET_TEXT 48
pg_status pg_text_inet(const uint8_t *data, size_t length, bool cidr, bool mapped_dotted, char *out, size_t *written);
/* tsvectorout: 'lexeme':1A,2 'other'. */
pg_status pg_text_tsvector(const uint8_t *data, size_t length, pg_writer *out);

#endif
