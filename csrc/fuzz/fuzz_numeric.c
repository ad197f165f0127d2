/* Any text as a numeric and any bytes as one: what is accepted reads back as the same number. */
#include <stdlib.h>

#include "../pg_values.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_back(const uint8_t *payload, size_t size) {
    pg_numeric n, again;
    pg_writer w;
    char *text, *second;
    size_t length;
    if (pg_numeric_read(payload, size, &n) != PG_OK) return;
    text = malloc(pg_numeric_text_size(&n));
    second = malloc(pg_numeric_text_size(&n));
    if (text == NULL || second == NULL) abort();
    length = pg_numeric_text_scientific(&n, second);
    if (length > pg_numeric_text_size(&n)) abort();
    length = pg_numeric_text(&n, text);
    if (length > pg_numeric_text_size(&n)) abort();
    pg_writer_init(&w);
    if (pg_numeric_write(&w, text, length) != PG_OK || pg_numeric_read(w.data, w.length, &again) != PG_OK) abort();
    if (again.scale != n.scale && n.sign != PG_NUMERIC_NAN && n.sign != PG_NUMERIC_INFINITY &&
        n.sign != PG_NUMERIC_MINUS_INFINITY)
        abort();
    pg_writer_free(&w);
    free(text);
    free(second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    pg_writer w;
    uint8_t uuid[16];
    char text[64];
    size_t written;
    pg_writer_init(&w);
    if (pg_numeric_write(&w, (const char *)data, size) == PG_OK) read_back(w.data, w.length);
    pg_writer_free(&w);
    read_back(data, size);
    (void)pg_parse_uuid((const char *)data, size, uuid);
    (void)pg_text_inet(data, size, false, true, text, &written);
    if (size >= 16) {
        char interval[PG_INTERVAL_TEXT];
        double value = pg_load_f64(data);
        if (pg_text_interval(pg_load_i32(data), pg_load_i32(data + 4), pg_load_i64(data + 8), interval) >
            PG_INTERVAL_TEXT)
            abort();
        if (pg_text_timestamp(pg_load_i64(data), true, text) > PG_TIME_TEXT) abort();
        if (value - value == 0 && pg_text_f64(value, text) > PG_FLOAT_TEXT) abort();
    }
    return 0;
}
