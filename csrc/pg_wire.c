#include "pg_wire.h"

#include <stdlib.h>

/* Big enough for a Bind of the usual size, so that most messages never grow. */
#define FIRST_CAPACITY ((size_t)1024)

#define SSL_REQUEST 80877103u
#define CANCEL_REQUEST 80877102u
#define GSSENC_REQUEST 80877104u

const char *pg_read_cstr(pg_reader *r, size_t *length) {
    const uint8_t *start = r->at;
    const uint8_t *nul = pg_reader_left(r) ? memchr(start, 0, pg_reader_left(r)) : NULL;
    if (nul == NULL) {
        r->failed = true;
        r->at = r->end;
        *length = 0;
        return NULL;
    }
    *length = (size_t)(nul - start);
    r->at = nul + 1;
    return (const char *)start;
}

void pg_writer_init(pg_writer *w) {
    w->data = NULL;
    w->length = 0;
    w->capacity = 0;
    w->status = PG_OK;
}

void pg_writer_free(pg_writer *w) {
    free(w->data);
    pg_writer_init(w);
}

bool pg_writer_grow(pg_writer *w, size_t extra) {
    size_t capacity = w->capacity ? w->capacity : FIRST_CAPACITY;
    uint8_t *data;
    if (w->status != PG_OK) return false;
    if (extra > SIZE_MAX / 4 || w->length > SIZE_MAX / 4) {
        w->status = PG_TOO_LONG;
        return false;
    }
    while (capacity - w->length < extra) capacity *= 2;
    data = realloc(w->data, capacity);
    if (data == NULL) {
        w->status = PG_NO_MEMORY;
        return false;
    }
    w->data = data;
    w->capacity = capacity;
    return true;
}

void pg_put_cstr(pg_writer *w, const char *text, size_t length) {
    if (length && memchr(text, 0, length) != NULL) {
        if (w->status == PG_OK) w->status = PG_NUL;
        return;
    }
    pg_put_bytes(w, text, length);
    pg_put_u8(w, 0);
}

static size_t message_begin(pg_writer *w, uint8_t type) {
    pg_put_u8(w, type);
    return pg_length_begin(w);
}

static void message_empty(pg_writer *w, uint8_t type) {
    pg_put_u8(w, type);
    pg_put_u32(w, 4);
}

static void message_bytes(pg_writer *w, uint8_t type, const void *data, size_t len) {
    size_t position = message_begin(w, type);
    pg_put_bytes(w, data, len);
    pg_message_end(w, position);
}

static void message_cstr(pg_writer *w, uint8_t type, const char *text, size_t len) {
    size_t position = message_begin(w, type);
    pg_put_cstr(w, text, len);
    pg_message_end(w, position);
}

static void message_named(pg_writer *w, uint8_t type, uint8_t kind, const char *name, size_t len) {
    size_t position = message_begin(w, type);
    pg_put_u8(w, kind);
    pg_put_cstr(w, name, len);
    pg_message_end(w, position);
}

size_t pg_startup_begin(pg_writer *w, uint32_t protocol) {
    size_t position = pg_length_begin(w);
    pg_put_u32(w, protocol);
    return position;
}

void pg_startup_parameter(pg_writer *w, const char *name, size_t name_len, const char *value, size_t value_len) {
    if (name_len == 0) {
        /* An empty name ends the list: what follows would be lost without a word. */
        if (w->status == PG_OK) w->status = PG_MALFORMED;
        return;
    }
    pg_put_cstr(w, name, name_len);
    pg_put_cstr(w, value, value_len);
}

void pg_startup_end(pg_writer *w, size_t position) {
    pg_put_u8(w, 0);
    pg_message_end(w, position);
}

static void special_request(pg_writer *w, uint32_t code) {
    pg_put_u32(w, 8);
    pg_put_u32(w, code);
}

void pg_msg_ssl_request(pg_writer *w) { special_request(w, SSL_REQUEST); }

void pg_msg_gssenc_request(pg_writer *w) { special_request(w, GSSENC_REQUEST); }

void pg_msg_cancel_request(pg_writer *w, uint32_t backend_pid, const uint8_t *key, size_t key_len) {
    size_t position;
    if (key_len < 4 || key_len > 256) {
        if (w->status == PG_OK) w->status = PG_MALFORMED;
        return;
    }
    position = pg_length_begin(w);
    pg_put_u32(w, CANCEL_REQUEST);
    pg_put_u32(w, backend_pid);
    pg_put_bytes(w, key, key_len);
    pg_message_end(w, position);
}

void pg_msg_password(pg_writer *w, const char *password, size_t len) { message_cstr(w, 'p', password, len); }

void pg_msg_sasl_initial(pg_writer *w, const char *mechanism, size_t mechanism_len, const uint8_t *data,
                         size_t len) {
    size_t position = message_begin(w, 'p');
    size_t value;
    pg_put_cstr(w, mechanism, mechanism_len);
    value = pg_length_begin(w);
    pg_put_bytes(w, data, len);
    pg_value_end(w, value);
    pg_message_end(w, position);
}

void pg_msg_sasl_response(pg_writer *w, const uint8_t *data, size_t len) { message_bytes(w, 'p', data, len); }

void pg_msg_query(pg_writer *w, const char *sql, size_t len) { message_cstr(w, 'Q', sql, len); }

void pg_msg_parse(pg_writer *w, const char *statement, size_t statement_len, const char *sql, size_t sql_len,
                  const uint32_t *oids, size_t count) {
    size_t position = message_begin(w, 'P');
    size_t i;
    pg_put_cstr(w, statement, statement_len);
    pg_put_cstr(w, sql, sql_len);
    if (count > UINT16_MAX) {
        if (w->status == PG_OK) w->status = PG_TOO_LONG;
        return;
    }
    pg_put_u16(w, (uint16_t)count);
    for (i = 0; i < count; i++) pg_put_u32(w, oids[i]);
    pg_message_end(w, position);
}

size_t pg_bind_begin(pg_writer *w, const char *portal, size_t portal_len, const char *statement,
                     size_t statement_len) {
    size_t position = message_begin(w, 'B');
    pg_put_cstr(w, portal, portal_len);
    pg_put_cstr(w, statement, statement_len);
    return position;
}

void pg_msg_describe(pg_writer *w, uint8_t kind, const char *name, size_t len) {
    message_named(w, 'D', kind, name, len);
}

void pg_msg_close(pg_writer *w, uint8_t kind, const char *name, size_t len) { message_named(w, 'C', kind, name, len); }

void pg_msg_execute(pg_writer *w, const char *portal, size_t len, uint32_t max_rows) {
    size_t position = message_begin(w, 'E');
    pg_put_cstr(w, portal, len);
    pg_put_u32(w, max_rows);
    pg_message_end(w, position);
}

void pg_msg_flush(pg_writer *w) { message_empty(w, 'H'); }
void pg_msg_sync(pg_writer *w) { message_empty(w, 'S'); }
void pg_msg_terminate(pg_writer *w) { message_empty(w, 'X'); }
void pg_msg_copy_data(pg_writer *w, const uint8_t *data, size_t len) { message_bytes(w, 'd', data, len); }
void pg_msg_copy_done(pg_writer *w) { message_empty(w, 'c'); }
void pg_msg_copy_fail(pg_writer *w, const char *reason, size_t len) { message_cstr(w, 'f', reason, len); }
