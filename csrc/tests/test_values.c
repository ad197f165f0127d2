/* Binary values to text, against tables and against slow but plain ways to the same answer. */
#include "../pg_values.h"

#include <math.h>

#include "check.h"

static void integers(void) {
    static const int64_t NUMBERS[] = {0, 1, -1, 9, 10, 99, 100, 12345, -987654321, INT64_MAX, INT64_MIN};
    size_t i;
    for (i = 0; i < sizeof NUMBERS / sizeof *NUMBERS; i++) {
        char out[PG_INT_TEXT], expected[32];
        snprintf(expected, sizeof expected, "%lld", (long long)NUMBERS[i]);
        CHECK_TEXT(out, pg_text_i64(NUMBERS[i], out), expected);
    }
    {
        char out[PG_INT_TEXT];
        CHECK_TEXT(out, pg_text_u64(UINT64_MAX, out), "18446744073709551615");
    }
}

/* A number of its own, so that the test needs no library's. */
static uint64_t state = 88172645463325252u;

static uint64_t next_random(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static void floats_read_back_and_are_shortest(void) {
    static const struct {
        double value;
        const char *text;
    } TABLE[] = {
        {0.0, "0.0"},       {-0.0, "-0.0"},     {1.0, "1.0"},
        {0.1, "0.1"},       {1e15, "1000000000000000.0"},
        {1e16, "1e16"},     {1e22, "1e22"},     {1e23, "1e23"},
        {1e-5, "0.00001"},  {1e-6, "1e-6"},     {1.5e-7, "1.5e-7"},
        {5e-324, "5e-324"}, {123456.789, "123456.789"},
        {1.7976931348623157e308, "1.7976931348623157e308"},
        {2.2250738585072014e-308, "2.2250738585072014e-308"},
        {9007199254740993.0, "9007199254740992.0"},
    };
    char out[PG_FLOAT_TEXT + 1], shorter[64];
    size_t i, length;
    int digits;
    for (i = 0; i < sizeof TABLE / sizeof *TABLE; i++) {
        CHECK_TEXT(out, pg_text_f64(TABLE[i].value, out), TABLE[i].text);
    }
    for (i = 0; i < 100000; i++) {
        uint64_t bits = next_random();
        double value;
        memcpy(&value, &bits, sizeof value);
        if (!isfinite(value)) continue;
        length = pg_text_f64(value, out);
        CHECK(length <= PG_FLOAT_TEXT);
        out[length] = 0;
        CHECK(strtod(out, NULL) == value);
        if (i % 64) continue;
        /* No text with one digit less reads back. */
        for (digits = 0; out[digits] && out[digits] != 'e'; digits++) {
        }
        {
            int count = 0, k;
            for (k = 0; k < digits; k++) count += out[k] >= '0' && out[k] <= '9';
            if (count > 1 && strchr(out, 'e')) {
                snprintf(shorter, sizeof shorter, "%.*e", count - 2, value);
                CHECK(strtod(shorter, NULL) != value);
            }
        }
    }
    for (i = 0; i < 100000; i++) {
        uint32_t bits = (uint32_t)next_random();
        float value;
        memcpy(&value, &bits, sizeof value);
        if (!isfinite(value)) continue;
        length = pg_text_f32(value, out);
        out[length] = 0;
        CHECK(strtof(out, NULL) == value);
        CHECK(pg_f32_shortest(value) == strtod(out, NULL));
        CHECK((float)pg_f32_shortest(value) == value);
    }
    CHECK(isinf(pg_f32_shortest(INFINITY)) && isnan(pg_f32_shortest(NAN)));
}

static void every_half_goes_both_ways(void) {
    uint32_t half;
    for (half = 0; half <= 0xffff; half++) {
        float value = pg_f16_to_f32((uint16_t)half);
        if (isnan(value)) {
            CHECK((pg_f32_to_f16(value) & 0x7fff) > 0x7c00);
        } else {
            CHECK(pg_f32_to_f16(value) == half);
        }
    }
    CHECK(pg_f32_to_f16(65519.996f) == 0x7bff);
    CHECK(pg_f32_to_f16(65520.0f) == 0x7c00);
    CHECK(pg_f32_to_f16(2.9802322e-8f) == 0); /* half of the smallest: to even */
    CHECK(pg_f32_to_f16(2.9802326e-8f) == 1);
}

static void numerics(void) {
    static const struct {
        const char *text;
        const char *plain;
        const char *scientific;
    } TABLE[] = {
        {"0", "0", "0"},
        {"-0.00", "0.00", "0.00"},
        {"1.00", "1.00", "1.00"},
        {"10000", "10000", "10000"},
        {"1E+5", "100000", "100000"},
        {"-12345.6789", "-12345.6789", "-12345.6789"},
        {"0.00001", "0.00001", "0.00001"},
        {"0.0000012", "0.0000012", "0.0000012"},
        {"0.00000012", "0.00000012", "1.2E-7"},
        {"-1e-10", "-0.0000000001", "-1E-10"},
        {"0.0000000", "0.0000000", "0E-7"},
        {"0.000000", "0.000000", "0.000000"},
        {".5", "0.5", "0.5"},
        {"5.", "5", "5"},
        {"00012.3400", "12.3400", "12.3400"},
        {"nan", "NaN", "NaN"},
        {"-NaN", "NaN", "NaN"},
        {"Infinity", "Infinity", "Infinity"},
        {"-inf", "-Infinity", "-Infinity"},
    };
    static const char *const WRONG[] = {"", "-", ".", "e5", "1e", "1e+", "1x", "1e5x", "1.2.3", "sNaN", " 1", "0x10"};
    size_t i, length;
    pg_writer w;
    pg_numeric n;
    char out[128];
    pg_writer_init(&w);
    for (i = 0; i < sizeof TABLE / sizeof *TABLE; i++) {
        pg_writer_rewind(&w, 0);
        CHECK(pg_numeric_write(&w, TABLE[i].text, strlen(TABLE[i].text)) == PG_OK);
        CHECK(pg_numeric_read(w.data, w.length, &n) == PG_OK);
        length = pg_numeric_text(&n, out);
        CHECK(length <= pg_numeric_text_size(&n));
        CHECK_TEXT(out, length, TABLE[i].plain);
        CHECK_TEXT(out, pg_numeric_text_scientific(&n, out), TABLE[i].scientific);
    }
    for (i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
        CHECK(pg_numeric_write(&w, WRONG[i], strlen(WRONG[i])) == PG_MALFORMED);
    }
    CHECK(pg_numeric_write(&w, "1e131072", 8) == PG_RANGE);
    CHECK(pg_numeric_write(&w, "1e-16384", 8) == PG_RANGE);
    CHECK(pg_numeric_write(&w, "0e-16384", 8) == PG_RANGE);
    CHECK(pg_numeric_write(&w, "1e99999999999999999999", 22) == PG_RANGE);
    pg_writer_free(&w);
}

static int days_of_month(int year, int month) {
    static const int DAYS[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return DAYS[month - 1] + (month == 2 && leap);
}

static void the_calendar_day_by_day(void) {
    /* 4800 years from -2400-01-01, which is 12 whole eras before 2400. */
    int year = -2400, month = 1, day = 1;
    int32_t days = (int32_t)pg_days_of_date(-2400, 1, 1);
    CHECK(pg_days_of_date(2000, 1, 1) == 0);
    CHECK(pg_days_of_date(2400, 1, 1) - days == 12 * 146097);
    for (; year < 2400; days++) {
        pg_date date;
        pg_date_of_days(days, &date);
        CHECK(date.year == year && date.month == month && date.day == day);
        CHECK(pg_days_of_date(year, month, day) == days);
        if (++day > days_of_month(year, month)) {
            day = 1;
            if (++month > 12) {
                month = 1;
                year++;
            }
        }
    }
}

static void dates_and_times(void) {
    char out[PG_INTERVAL_TEXT];
    CHECK_TEXT(out, pg_text_date(0, out), "2000-01-01");
    CHECK_TEXT(out, pg_text_date(PG_DAYS_YEAR_1, out), "0001-01-01");
    CHECK_TEXT(out, pg_text_date(PG_DAYS_YEAR_1 - 1, out), "0001-12-31 BC");
    CHECK_TEXT(out, pg_text_date(PG_DAYS_YEAR_9999, out), "9999-12-31");
    CHECK_TEXT(out, pg_text_date(-2451545, out), "4714-11-24 BC");
    CHECK_TEXT(out, pg_text_date(INT32_MAX, out), "infinity");
    CHECK_TEXT(out, pg_text_date(INT32_MIN, out), "-infinity");
    CHECK(pg_text_date(INT32_MIN + 1, out) <= PG_TIME_TEXT);
    CHECK_TEXT(out, pg_text_time(0, out), "00:00:00");
    CHECK_TEXT(out, pg_text_time(3723000004, out), "01:02:03.000004");
    CHECK_TEXT(out, pg_text_time(PG_DAY_MICROS, out), "24:00:00");
    CHECK_TEXT(out, pg_text_timetz(0, 0, out), "00:00:00Z");
    CHECK_TEXT(out, pg_text_timetz(0, -19815, out), "00:00:00+05:30");
    CHECK_TEXT(out, pg_text_timetz(0, 57599, out), "00:00:00-16:00");
    CHECK_TEXT(out, pg_text_timetz(PG_DAY_MICROS, 12600, out), "24:00:00-03:30");
    CHECK_TEXT(out, pg_text_timestamp(-1, false, out), "1999-12-31T23:59:59.999999");
    CHECK_TEXT(out, pg_text_timestamp(500000, true, out), "2000-01-01T00:00:00.500000Z");
    CHECK_TEXT(out, pg_text_timestamp(INT64_MAX, true, out), "infinity");
    CHECK_TEXT(out, pg_text_timestamp(INT64_MIN, false, out), "-infinity");
    CHECK(pg_text_timestamp(INT64_MIN + 1, true, out) <= PG_TIME_TEXT);
    CHECK(pg_text_timestamp(INT64_MAX - 1, true, out) <= PG_TIME_TEXT);
    CHECK_TEXT(out, pg_text_interval(0, 0, 0, out), "PT0S");
    CHECK_TEXT(out, pg_text_interval(14, -3, 7200500000, out), "P1Y2M-3DT2H0.5S");
    CHECK_TEXT(out, pg_text_interval(-1, 0, -1, out), "P-1MT-0.000001S");
    CHECK_TEXT(out, pg_text_interval(INT32_MAX, INT32_MAX, INT64_MAX, out), "infinity");
    CHECK_TEXT(out, pg_text_interval(INT32_MIN, INT32_MIN, INT64_MIN, out), "-infinity");
    CHECK(pg_text_interval(INT32_MIN, INT32_MIN, INT64_MIN + 1, out) <= PG_INTERVAL_TEXT);
}

static void uuids_and_addresses(void) {
    static const struct {
        const char *bytes;
        size_t length;
        bool cidr;
        bool dotted;
        const char *text;
    } TABLE[] = {
        {"\2\x20\0\4\x0a\1\2\3", 8, false, false, "10.1.2.3"},
        {"\2\x08\0\4\x0a\1\2\3", 8, false, false, "10.1.2.3/8"},
        {"\2\x20\1\4\x0a\1\2\3", 8, true, false, "10.1.2.3/32"},
        {"\3\x80\0\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 20, false, false, "::1"},
        {"\3\x80\0\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20, false, false, "::"},
        {"\3\x40\0\x10\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 20, false, false, "fe80::1/64"},
        {"\3\x80\0\x10\0\1\0\0\0\0\0\2\0\0\0\0\0\0\0\3", 20, false, false, "1:0:0:2::3"},
        {"\3\x80\0\x10\0\1\0\0\0\2\0\3\0\4\0\5\0\6\0\7", 20, false, false, "1:0:2:3:4:5:6:7"},
        {"\3\x80\0\x10\0\0\0\0\0\0\0\0\0\0\xff\xff\1\2\3\4", 20, false, true, "::ffff:1.2.3.4"},
        {"\3\x80\0\x10\0\0\0\0\0\0\0\0\0\0\xff\xff\1\2\3\4", 20, false, false, "::ffff:102:304"},
        {"\3\x80\0\x10\0\1\0\2\0\3\0\4\0\5\0\6\0\0\0\0", 20, false, false, "1:2:3:4:5:6::"},
    };
    uint8_t bytes[16];
    char out[PG_INET_TEXT];
    size_t i, written = 0;
    const char *text = "12345678-1234-5678-9abc-def012345678";
    CHECK(pg_parse_uuid(text, 36, bytes) == PG_OK);
    pg_text_uuid(bytes, out);
    CHECK_TEXT(out, 36, text);
    CHECK(pg_parse_uuid("{12345678123456789ABCDEF012345678}", 34, bytes) == PG_OK && bytes[15] == 0x78);
    CHECK(pg_parse_uuid("", 0, bytes) == PG_MALFORMED);
    CHECK(pg_parse_uuid(text, 35, bytes) == PG_MALFORMED);
    CHECK(pg_parse_uuid("1-2345678123456789ABCDEF012345678", 33, bytes) == PG_MALFORMED);
    CHECK(pg_parse_uuid("{12345678123456789ABCDEF012345678", 33, bytes) == PG_MALFORMED);
    for (i = 0; i < sizeof TABLE / sizeof *TABLE; i++) {
        CHECK(pg_text_inet((const uint8_t *)TABLE[i].bytes, TABLE[i].length, TABLE[i].cidr, TABLE[i].dotted, out,
                           &written) == PG_OK);
        CHECK_TEXT(out, written, TABLE[i].text);
    }
    CHECK(pg_text_inet((const uint8_t *)"\2\x21\0\4abcd", 8, false, false, out, &written) == PG_MALFORMED);
    CHECK(pg_text_inet((const uint8_t *)"\2\x20\0\4abc", 7, false, false, out, &written) == PG_MALFORMED);
    CHECK(pg_text_inet((const uint8_t *)"\1\x20\0\4abcd", 8, false, false, out, &written) == PG_MALFORMED);
}

int main(void) {
    integers();
    floats_read_back_and_are_shortest();
    every_half_goes_both_ways();
    numerics();
    the_calendar_day_by_day();
    dates_and_times();
    uuids_and_addresses();
    return 0;
}
