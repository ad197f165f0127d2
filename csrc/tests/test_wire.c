/* The reader never reads past its end, the writer never forgets a failure, frames are found or refused. */
#include "../pg_wire.h"
#include "check.h"

static void a_reader_fails_at_its_end_and_stays_there(void) {
    uint8_t bytes[] = {1, 0xff, 0xfe, 0, 0, 1, 0, 'a', 'b', 0, 'c'};
    pg_reader r;
    size_t length;
    const char *text;
    pg_reader_init(&r, bytes, sizeof bytes);
    CHECK(pg_read_u8(&r) == 1);
    CHECK(pg_read_i16(&r) == -2);
    CHECK(pg_read_u32(&r) == 256);
    text = pg_read_cstr(&r, &length);
    CHECK(length == 2 && memcmp(text, "ab", 3) == 0);
    CHECK(pg_read_cstr(&r, &length) == NULL && r.failed && length == 0);
    CHECK(pg_reader_left(&r) == 0);
    CHECK(pg_read_u8(&r) == 0 && pg_read_i64(&r) == 0 && pg_read_bytes(&r, 1) == NULL);
    CHECK(!pg_reader_done(&r));
    pg_reader_init(&r, NULL, 0);
    CHECK(pg_reader_done(&r) && pg_read_u16(&r) == 0 && r.failed);
}

static void integers_are_big_endian_and_signed_as_said(void) {
    uint8_t bytes[8] = {0x80, 0, 0, 0, 0, 0, 0, 1};
    CHECK(pg_load_i64(bytes) == INT64_MIN + 1);
    CHECK(pg_load_i32(bytes) == INT32_MIN);
    CHECK(pg_load_i16(bytes) == INT16_MIN);
    CHECK(pg_load_u64(bytes) == UINT64_C(0x8000000000000001));
    bytes[0] = 0x3f;
    bytes[1] = 0xf0;
    bytes[7] = 0;
    CHECK(pg_load_f64(bytes) == 1.0);
}

static void values_are_null_whole_or_an_error(void) {
    uint8_t bytes[] = {0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 'x', 0, 0, 0, 0};
    uint8_t negative[] = {0xff, 0xff, 0xff, 0xfe}, beyond[] = {0, 0, 0, 2, 'x'}, huge[] = {0x7f, 0xff, 0xff, 0xff};
    pg_reader r;
    int32_t length;
    pg_reader_init(&r, bytes, sizeof bytes);
    CHECK(pg_read_value(&r, &length) == NULL && length == -1 && !r.failed);
    CHECK(*pg_read_value(&r, &length) == 'x' && length == 1);
    CHECK(pg_read_value(&r, &length) != NULL && length == 0);
    CHECK(pg_reader_done(&r));
    pg_reader_init(&r, negative, sizeof negative);
    CHECK(pg_read_value(&r, &length) == NULL && r.failed);
    pg_reader_init(&r, beyond, sizeof beyond);
    CHECK(pg_read_value(&r, &length) == NULL && r.failed);
    pg_reader_init(&r, huge, sizeof huge);
    CHECK(pg_read_value(&r, &length) == NULL && r.failed);
}

static void a_writer_grows_and_is_rewound(void) {
    pg_writer w;
    size_t i;
    pg_writer_init(&w);
    for (i = 0; i < 5000; i++) pg_put_u32(&w, (uint32_t)i);
    CHECK(w.status == PG_OK && w.length == 20000 && pg_load_u32(w.data + 4 * 4999) == 4999);
    pg_writer_rewind(&w, 8);
    pg_put_bytes(&w, NULL, 0);
    CHECK(w.length == 8);
    pg_writer_free(&w);
    CHECK(w.data == NULL && w.length == 0);
}

static void a_writer_remembers_what_went_wrong(void) {
    pg_writer w;
    size_t position;
    pg_writer_init(&w);
    pg_put_cstr(&w, "a\0b", 3);
    CHECK(w.status == PG_NUL && w.length == 0);
    pg_put_u8(&w, 1);
    CHECK(w.length == 0);
    pg_writer_rewind(&w, 0);
    CHECK(!pg_writer_reserve(&w, SIZE_MAX / 2) && w.status == PG_TOO_LONG);
    pg_writer_rewind(&w, 0);
    CHECK(!pg_writer_reserve(&w, (size_t)1 << 60) && w.status == PG_NO_MEMORY);
    pg_writer_rewind(&w, 0);
    /* A length no word can hold is found before it is written (CVE-2024-27304). */
    position = pg_length_begin(&w);
    w.length = (size_t)INT32_MAX + 5;
    pg_value_end(&w, position);
    CHECK(w.status == PG_TOO_LONG);
    w.length = (size_t)INT32_MAX + 4;
    w.status = PG_OK;
    pg_value_end(&w, position);
    CHECK(w.status == PG_OK && pg_load_u32(w.data) == INT32_MAX);
    pg_message_end(&w, position);
    CHECK(w.status == PG_TOO_LONG);
    pg_writer_free(&w);
}

static void frames_are_whole_or_awaited_or_refused(void) {
    uint8_t bytes[] = {'Z', 0, 0, 0, 5, 'I', 'D'}, tiny[] = {'Z', 0, 0, 0, 3, 0}, vast[] = {'D', 0x40, 0, 0, 4};
    uint8_t most[] = {'D', 0x40, 0, 0, 3}, negative[] = {'D', 0xff, 0xff, 0xff, 0xff};
    pg_frame frame;
    size_t i;
    for (i = 0; i < 6; i++) CHECK(pg_frame_next(bytes, i, &frame) == 0);
    CHECK(pg_frame_next(bytes, 7, &frame) == 6 && frame.type == 'Z' && frame.length == 1 && *frame.payload == 'I');
    CHECK(pg_frame_next(tiny, sizeof tiny, &frame) == PG_MALFORMED);
    CHECK(pg_frame_next(vast, sizeof vast, &frame) == PG_MALFORMED);
    CHECK(pg_frame_next(negative, sizeof negative, &frame) == PG_MALFORMED);
    CHECK(pg_frame_next(most, sizeof most, &frame) == 0);
    CHECK(pg_frame_next_capped(bytes, 7, 0, &frame) == PG_MALFORMED);
    CHECK(pg_frame_next_capped(bytes, 7, 1, &frame) == 6);
}

static void expect(pg_writer *w, const char *bytes, size_t length, int line) {
    if (w->status != PG_OK || w->length != length || memcmp(w->data, bytes, length) != 0) {
        size_t i;
        fprintf(stderr, "line %d: status %d, got", line, w->status);
        for (i = 0; i < w->length; i++) fprintf(stderr, " %02x", w->data[i]);
        fprintf(stderr, "\n");
        exit(1);
    }
    pg_writer_rewind(w, 0);
}

#define EXPECT(literal) expect(&w, literal, sizeof(literal) - 1, __LINE__)

static void messages_are_those_of_the_manual(void) {
    pg_writer w;
    uint32_t oids[] = {23, 0xfffffffe};
    uint8_t key[256] = {1, 2, 3, 4};
    size_t position;
    pg_writer_init(&w);
    position = pg_startup_begin(&w, PG_PROTOCOL_3_2);
    pg_startup_parameter(&w, "user", 4, "me", 2);
    pg_startup_end(&w, position);
    EXPECT("\0\0\0\x11\0\3\0\2user\0me\0\0");
    pg_msg_ssl_request(&w);
    EXPECT("\0\0\0\x08\x04\xd2\x16\x2f");
    pg_msg_gssenc_request(&w);
    EXPECT("\0\0\0\x08\x04\xd2\x16\x30");
    pg_msg_cancel_request(&w, 7, key, 4);
    EXPECT("\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\7\1\2\3\4");
    pg_msg_cancel_request(&w, 7, key, 256);
    CHECK(w.status == PG_OK && w.length == 268);
    pg_writer_rewind(&w, 0);
    pg_msg_cancel_request(&w, 7, key, 3);
    CHECK(w.status == PG_MALFORMED);
    pg_writer_rewind(&w, 0);
    pg_msg_password(&w, "pw", 2);
    EXPECT("p\0\0\0\7pw\0");
    pg_msg_sasl_initial(&w, "X", 1, (const uint8_t *)"ab", 2);
    EXPECT("p\0\0\0\x0cX\0\0\0\0\2ab");
    pg_msg_sasl_response(&w, (const uint8_t *)"ab", 2);
    EXPECT("p\0\0\0\6ab");
    pg_msg_query(&w, "", 0);
    EXPECT("Q\0\0\0\5\0");
    pg_msg_parse(&w, "s", 1, "select", 6, oids, 2);
    EXPECT("P\0\0\0\x17s\0select\0\0\2\0\0\0\x17\xff\xff\xff\xfe");
    position = pg_bind_begin(&w, "", 0, "s", 1);
    pg_put_u16(&w, 0);
    pg_put_u16(&w, 0);
    pg_put_u16(&w, 0);
    pg_message_end(&w, position);
    EXPECT("B\0\0\0\x0d\0s\0\0\0\0\0\0\0");
    pg_msg_describe(&w, 'S', "s", 1);
    EXPECT("D\0\0\0\7Ss\0");
    pg_msg_close(&w, 'P', "", 0);
    EXPECT("C\0\0\0\6P\0");
    pg_msg_execute(&w, "", 0, 50);
    EXPECT("E\0\0\0\x09\0\0\0\0\x32");
    pg_msg_flush(&w);
    pg_msg_sync(&w);
    pg_msg_terminate(&w);
    pg_msg_copy_done(&w);
    EXPECT("H\0\0\0\4S\0\0\0\4X\0\0\0\4c\0\0\0\4");
    pg_msg_copy_data(&w, (const uint8_t *)"a\0", 2);
    EXPECT("d\0\0\0\6a\0");
    pg_msg_copy_fail(&w, "no", 2);
    EXPECT("f\0\0\0\7no\0");
    pg_writer_free(&w);
}

static void a_nul_never_becomes_protocol(void) {
    pg_writer w;
    size_t position;
    pg_writer_init(&w);
    pg_msg_query(&w, "select 1\0; drop", 15);
    CHECK(w.status == PG_NUL);
    pg_writer_rewind(&w, 0);
    pg_msg_parse(&w, "a\0b", 3, "select", 6, NULL, 0);
    CHECK(w.status == PG_NUL);
    pg_writer_rewind(&w, 0);
    position = pg_startup_begin(&w, PG_PROTOCOL_3_0);
    pg_startup_parameter(&w, "application_name", 16, "x\0user\0admin", 12);
    pg_startup_end(&w, position);
    CHECK(w.status == PG_NUL);
    pg_writer_rewind(&w, 0);
    position = pg_startup_begin(&w, PG_PROTOCOL_3_0);
    pg_startup_parameter(&w, "", 0, "x", 1);
    CHECK(w.status == PG_MALFORMED);
    pg_writer_rewind(&w, 0);
    pg_msg_copy_fail(&w, "a\0", 2);
    CHECK(w.status == PG_NUL);
    pg_writer_rewind(&w, 0);
    pg_msg_parse(&w, "", 0, "", 0, NULL, 65536);
    CHECK(w.status == PG_TOO_LONG);
    pg_writer_free(&w);
}

int main(void) {
    a_reader_fails_at_its_end_and_stays_there();
    integers_are_big_endian_and_signed_as_said();
    values_are_null_whole_or_an_error();
    a_writer_grows_and_is_rewound();
    a_writer_remembers_what_went_wrong();
    frames_are_whole_or_awaited_or_refused();
    messages_are_those_of_the_manual();
    a_nul_never_becomes_protocol();
    return 0;
}
