/* Rows to JSON: plans, escapes, and rows that fail without a trace. */
#include "../pg_json.h"
#include "check.h"

static void check_string(const char *text, size_t length, const char *expected) {
    pg_writer w;
    pg_writer_init(&w);
    CHECK(pg_json_string(text, length, &w) == PG_OK);
    CHECK_TEXT(w.data, w.length, expected);
    pg_writer_free(&w);
}

static void strings(void) {
    static const char *const WRONG[] = {"\x80", "\xc0\x80", "ok\xc3", "\xed\xa0\x80", "\xe0\x80\x80", "\xf4\x90\x80\x80",
                                        "\xf8\x88\x80\x80\x80", "1234567\xff", "12345678\xe2\x82"};
    size_t i;
    pg_writer w;
    check_string("", 0, "\"\"");
    check_string("plain ascii, longer than a word", 31, "\"plain ascii, longer than a word\"");
    check_string("\"\\/\b\f\n\r\t", 8, "\"\\\"\\\\/\\b\\f\\n\\r\\t\"");
    check_string("\0\1\x1f\x7f", 4, "\"\\u0000\\u0001\\u001f\x7f\"");
    check_string("\xc3\xa9\xe2\x80\xa8\xf0\x9f\x98\x80", 9, "\"\xc3\xa9\xe2\x80\xa8\xf0\x9f\x98\x80\"");
    pg_writer_init(&w);
    for (i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
        CHECK(pg_json_string(WRONG[i], strlen(WRONG[i]), &w) == PG_MALFORMED);
    }
    pg_writer_free(&w);
}

static int refuse(void *context, const uint8_t *data, size_t length, pg_writer *out) {
    (void)data;
    (void)length;
    pg_put_bytes(out, "half", 4);
    return *(int *)context;
}

static void rows(void) {
    static const char *const KEYS[] = {"{\"a\":", ",\"b\":", NULL};
    static const size_t LENGTHS[] = {5, 5, 0};
    static const char ROW[] = "\0\3\0\0\0\4\0\0\0\7\xff\xff\xff\xff\0\0\0\1x";
    pg_json_node columns[3] = {{.kind = PG_JSON_INT4}, {.kind = PG_JSON_TEXT}, {.kind = PG_JSON_BOOL}};
    pg_json_plan plan = {3, columns, KEYS, LENGTHS, false}, empty = {0, NULL, NULL, NULL, false};
    int column, code = -100;
    pg_writer w;
    pg_writer_init(&w);
    CHECK(pg_json_row(&plan, (const uint8_t *)ROW, sizeof ROW - 1, &w, &column) == PG_OK);
    CHECK_TEXT(w.data, w.length, "{\"a\":7,\"b\":null}");
    CHECK(pg_json_row(&plan, (const uint8_t *)ROW, sizeof ROW - 2, &w, &column) == PG_MALFORMED && column == -1);
    CHECK_TEXT(w.data, w.length, "{\"a\":7,\"b\":null}");
    columns[0].kind = PG_JSON_INT8;
    CHECK(pg_json_row(&plan, (const uint8_t *)ROW, sizeof ROW - 1, &w, &column) == PG_MALFORMED && column == 0);
    columns[0].kind = PG_JSON_CALLBACK;
    CHECK(pg_json_row(&plan, (const uint8_t *)ROW, sizeof ROW - 1, &w, &column) == PG_MALFORMED && column == 0);
    columns[0].callback = refuse;
    columns[0].context = &code;
    CHECK(pg_json_row(&plan, (const uint8_t *)ROW, sizeof ROW - 1, &w, &column) == -100 && column == 0);
    CHECK_TEXT(w.data, w.length, "{\"a\":7,\"b\":null}");
    pg_writer_rewind(&w, 0);
    CHECK(pg_json_row(&empty, (const uint8_t *)"\0\0", 2, &w, &column) == PG_OK);
    CHECK_TEXT(w.data, w.length, "{}");
    CHECK(pg_json_row(&empty, (const uint8_t *)"\0\0x", 3, &w, &column) == PG_MALFORMED);
    CHECK(pg_json_row(&empty, NULL, 0, &w, &column) == PG_MALFORMED);
    pg_writer_free(&w);
}

static void arrays(void) {
    pg_json_node element = {.kind = PG_JSON_INT2}, array = {.kind = PG_JSON_ARRAY, .count = 1, .children = &element};
    static const char TWO[] = "\0\0\0\2\0\0\0\1\0\0\0\x15\0\0\0\1\0\0\0\1\0\0\0\2\0\0\0\1\0\0\0\2\0\5\xff\xff\xff\xff";
    static const char VAST[] = "\0\0\0\2\0\0\0\0\0\0\0\x15\0\x10\0\0\0\0\0\1\0\x10\0\0\0\0\0\1";
    static const char SEVEN[] = "\0\0\0\7\0\0\0\0\0\0\0\x15";
    pg_writer w;
    pg_writer_init(&w);
    CHECK(pg_json_value(&array, (const uint8_t *)TWO, sizeof TWO - 1, &w) == PG_OK);
    CHECK_TEXT(w.data, w.length, "[[5,null]]");
    CHECK(pg_json_value(&array, (const uint8_t *)TWO, sizeof TWO - 2, &w) == PG_MALFORMED);
    CHECK(pg_json_value(&array, (const uint8_t *)VAST, sizeof VAST - 1, &w) == PG_MALFORMED);
    CHECK(pg_json_value(&array, (const uint8_t *)SEVEN, sizeof SEVEN - 1, &w) == PG_MALFORMED);
    pg_writer_free(&w);
}

int main(void) {
    strings();
    rows();
    arrays();
    return 0;
}
