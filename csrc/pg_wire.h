/* The wire of PostgreSQL's frontend/backend protocol 3.0 and 3.2: reader, writer, frames, frontend messages.
 *
 * pg_reader   reads big-endian values from bytes it does not own. A read past the end sets `failed`, returns
 *             zero (or NULL) and leaves the position at the end; every later read fails too, so that a decoder
 *             may check once, after its last read.
 * pg_writer   owns a growable buffer. A failure (memory, a length above 2^31 - 1, a NUL inside a C string) is
 *             remembered in `status`, and later writes do nothing; `pg_writer_rewind` makes it usable again.
 * pg_frame    one backend message inside a receive buffer, found without copying.
 *
 * Nothing here keeps state of its own or touches Python. Source: PostgreSQL documentation, 55.7 "Message Formats".
 */
#ifndef PG_WIRE_H
#define PG_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef enum pg_status {
    PG_OK = 0,
    PG_NO_MEMORY = -1,
    PG_TOO_LONG = -2,  /* a length word cannot hold it */
    PG_NUL = -3,       /* a C string of the protocol cannot hold a NUL */
    PG_MALFORMED = -4, /* the bytes are not what the protocol says */
    PG_RANGE = -5      /* the value exists but the target cannot hold it */
} pg_status;

/* The server's own limit for one allocation (MaxAllocSize), hence for one message. */
#define PG_FRAME_CAP ((uint32_t)0x3fffffff)

/* ---- reader ---------------------------------------------------------------------------------------- */

typedef struct pg_reader {
    const uint8_t *at;
    const uint8_t *end;
    bool failed;
} pg_reader;

static inline uint16_t pg_load_u16(const uint8_t *p) { return (uint16_t)((p[0] << 8) | p[1]); }

static inline uint32_t pg_load_u32(const uint8_t *p) {
    return ((uint32_t)p[0] << 24) | ((uint32_t)p[1] << 16) | ((uint32_t)p[2] << 8) | (uint32_t)p[3];
}

static inline uint64_t pg_load_u64(const uint8_t *p) {
    return ((uint64_t)pg_load_u32(p) << 32) | (uint64_t)pg_load_u32(p + 4);
}

static inline int16_t pg_load_i16(const uint8_t *p) { return (int16_t)pg_load_u16(p); }
static inline int32_t pg_load_i32(const uint8_t *p) { return (int32_t)pg_load_u32(p); }
static inline int64_t pg_load_i64(const uint8_t *p) { return (int64_t)pg_load_u64(p); }

static inline double pg_load_f64(const uint8_t *p) {
    uint64_t bits = pg_load_u64(p);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline float pg_load_f32(const uint8_t *p) {
    uint32_t bits = pg_load_u32(p);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline void pg_reader_init(pg_reader *r, const uint8_t *data, size_t length) {
    r->at = data;
    r->end = data + length;
    r->failed = false;
}

static inline size_t pg_reader_left(const pg_reader *r) { return (size_t)(r->end - r->at); }

/* `length` bytes, or NULL and `failed`. */
static inline const uint8_t *pg_read_bytes(pg_reader *r, size_t length) {
    const uint8_t *start = r->at;
    if (length > pg_reader_left(r)) {
        r->failed = true;
        r->at = r->end;
        return NULL;
    }
    r->at += length;
    return start;
}

static inline uint8_t pg_read_u8(pg_reader *r) {
    const uint8_t *p = pg_read_bytes(r, 1);
    return p ? p[0] : 0;
}

static inline uint16_t pg_read_u16(pg_reader *r) {
    const uint8_t *p = pg_read_bytes(r, 2);
    return p ? pg_load_u16(p) : 0;
}

static inline int16_t pg_read_i16(pg_reader *r) { return (int16_t)pg_read_u16(r); }

static inline uint32_t pg_read_u32(pg_reader *r) {
    const uint8_t *p = pg_read_bytes(r, 4);
    return p ? pg_load_u32(p) : 0;
}

static inline int32_t pg_read_i32(pg_reader *r) { return (int32_t)pg_read_u32(r); }

static inline uint64_t pg_read_u64(pg_reader *r) {
    const uint8_t *p = pg_read_bytes(r, 8);
    return p ? pg_load_u64(p) : 0;
}

static inline int64_t pg_read_i64(pg_reader *r) { return (int64_t)pg_read_u64(r); }

/* A NUL-terminated string: its start (the NUL is inside the buffer) and its length without the NUL. */
const char *pg_read_cstr(pg_reader *r, size_t *length);

/* A value behind its own length word: its bytes and length; NULL with length -1 is SQL NULL, NULL with `failed`
 * is an error. A length below -1 or beyond the end fails. */
static inline const uint8_t *pg_read_value(pg_reader *r, int32_t *length) {
    int32_t n = pg_read_i32(r);
    if (r->failed || n < -1) {
        r->failed = true;
        *length = -1;
        return NULL;
    }
    *length = n;
    return n == -1 ? NULL : pg_read_bytes(r, (size_t)n);
}

/* True when everything was read and nothing failed. */
static inline bool pg_reader_done(const pg_reader *r) { return !r->failed && r->at == r->end; }

/* ---- writer ---------------------------------------------------------------------------------------- */

typedef struct pg_writer {
    uint8_t *data; /* malloc'ed; NULL before the first write */
    size_t length;
    size_t capacity;
    pg_status status;
} pg_writer;

void pg_writer_init(pg_writer *w);
void pg_writer_free(pg_writer *w);
/* Room for `extra` more bytes, called by the writes below; false and `status` when there is none. */
bool pg_writer_grow(pg_writer *w, size_t extra);

static inline bool pg_writer_reserve(pg_writer *w, size_t extra) {
    return (w->status == PG_OK && w->capacity - w->length >= extra) || pg_writer_grow(w, extra);
}

/* Back to an earlier length, with a clean status: how a failed message leaves nothing behind. */
static inline void pg_writer_rewind(pg_writer *w, size_t length) {
    w->length = length;
    w->status = PG_OK;
}

static inline void pg_store_u16(uint8_t *p, uint16_t v) {
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static inline void pg_store_u32(uint8_t *p, uint32_t v) {
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

static inline void pg_store_u64(uint8_t *p, uint64_t v) {
    pg_store_u32(p, (uint32_t)(v >> 32));
    pg_store_u32(p + 4, (uint32_t)v);
}

static inline void pg_put_u8(pg_writer *w, uint8_t v) {
    if (pg_writer_reserve(w, 1)) w->data[w->length++] = v;
}

static inline void pg_put_u16(pg_writer *w, uint16_t v) {
    if (pg_writer_reserve(w, 2)) {
        pg_store_u16(w->data + w->length, v);
        w->length += 2;
    }
}

static inline void pg_put_i16(pg_writer *w, int16_t v) { pg_put_u16(w, (uint16_t)v); }

static inline void pg_put_u32(pg_writer *w, uint32_t v) {
    if (pg_writer_reserve(w, 4)) {
        pg_store_u32(w->data + w->length, v);
        w->length += 4;
    }
}

static inline void pg_put_i32(pg_writer *w, int32_t v) { pg_put_u32(w, (uint32_t)v); }

static inline void pg_put_u64(pg_writer *w, uint64_t v) {
    if (pg_writer_reserve(w, 8)) {
        pg_store_u64(w->data + w->length, v);
        w->length += 8;
    }
}

static inline void pg_put_i64(pg_writer *w, int64_t v) { pg_put_u64(w, (uint64_t)v); }

static inline void pg_put_f64(pg_writer *w, double v) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    pg_put_u64(w, bits);
}

static inline void pg_put_f32(pg_writer *w, float v) {
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    pg_put_u32(w, bits);
}

static inline void pg_put_bytes(pg_writer *w, const void *data, size_t length) {
    if (length && pg_writer_reserve(w, length)) {
        memcpy(w->data + w->length, data, length);
        w->length += length;
    }
}

/* `length` bytes and a NUL; a NUL among them is PG_NUL. */
void pg_put_cstr(pg_writer *w, const char *text, size_t length);

/* A length word to be known later: its position. */
static inline size_t pg_length_begin(pg_writer *w) {
    size_t position = w->length;
    pg_put_u32(w, 0);
    return position;
}

static inline void pg_length_store(pg_writer *w, size_t position, size_t length) {
    if (w->status != PG_OK) return;
    if (length > (size_t)INT32_MAX) {
        w->status = PG_TOO_LONG;
        return;
    }
    pg_store_u32(w->data + position, (uint32_t)length);
}

/* Writes what follows the word at `position` (a value's length), or that and the word itself (a message's). */
static inline void pg_value_end(pg_writer *w, size_t position) {
    pg_length_store(w, position, w->length - position - 4);
}

static inline void pg_message_end(pg_writer *w, size_t position) { pg_length_store(w, position, w->length - position); }

/* ---- frames ---------------------------------------------------------------------------------------- */

typedef struct pg_frame {
    uint8_t type;
    uint32_t length; /* of the payload */
    const uint8_t *payload;
} pg_frame;

/* The first backend message in `buf`: bytes it takes up (type byte and length word included), 0 when more bytes
 * are needed, PG_MALFORMED when its length word is below 4 or its payload above `cap`. */
static inline int pg_frame_next_capped(const uint8_t *buf, size_t len, uint32_t cap, pg_frame *out) {
    uint32_t word;
    if (len < 5) return 0;
    word = pg_load_u32(buf + 1);
    if (word < 4 || word - 4 > cap) return PG_MALFORMED;
    if (len - 1 < word) return 0;
    out->type = buf[0];
    out->length = word - 4;
    out->payload = buf + 5;
    return (int)(word + 1);
}

static inline int pg_frame_next(const uint8_t *buf, size_t len, pg_frame *out) {
    return pg_frame_next_capped(buf, len, PG_FRAME_CAP, out);
}

/* ---- frontend messages ----------------------------------------------------------------------------- */

#define PG_PROTOCOL_3_0 ((uint32_t)0x00030000)
#define PG_PROTOCOL_3_2 ((uint32_t)0x00030002)

/* StartupMessage: begin, one `pg_startup_parameter` a parameter, end. */
size_t pg_startup_begin(pg_writer *w, uint32_t protocol);
void pg_startup_parameter(pg_writer *w, const char *name, size_t name_len, const char *value, size_t value_len);
void pg_startup_end(pg_writer *w, size_t position);

void pg_msg_ssl_request(pg_writer *w);
void pg_msg_gssenc_request(pg_writer *w);
/* A secret key has 4 bytes in protocol 3.0, 4 to 256 in 3.2; anything else is PG_MALFORMED. */
void pg_msg_cancel_request(pg_writer *w, uint32_t backend_pid, const uint8_t *key, size_t key_len);

void pg_msg_password(pg_writer *w, const char *password, size_t len);
void pg_msg_sasl_initial(pg_writer *w, const char *mechanism, size_t mechanism_len, const uint8_t *data, size_t len);
void pg_msg_sasl_response(pg_writer *w, const uint8_t *data, size_t len); /* also GSSResponse */

void pg_msg_query(pg_writer *w, const char *sql, size_t len);
void pg_msg_parse(pg_writer *w, const char *statement, size_t statement_len, const char *sql, size_t sql_len,
                  const uint32_t *oids, size_t count);
/* Bind up to and with the statement's name; the caller appends parameter formats, values and result formats,
 * then calls pg_message_end with the position. */
size_t pg_bind_begin(pg_writer *w, const char *portal, size_t portal_len, const char *statement,
                     size_t statement_len);
void pg_msg_describe(pg_writer *w, uint8_t kind, const char *name, size_t len); /* kind 'S' or 'P' */
void pg_msg_close(pg_writer *w, uint8_t kind, const char *name, size_t len);
void pg_msg_execute(pg_writer *w, const char *portal, size_t len, uint32_t max_rows); /* 0: all */
void pg_msg_flush(pg_writer *w);
void pg_msg_sync(pg_writer *w);
void pg_msg_terminate(pg_writer *w);
void pg_msg_copy_data(pg_writer *w, const uint8_t *data, size_t len);
void pg_msg_copy_done(pg_writer *w);
void pg_msg_copy_fail(pg_writer *w, const char *reason, size_t len);

#endif
