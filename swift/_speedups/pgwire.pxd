"""What the kernels use of csrc/pg_wire.h; the contract stands there."""

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t


cdef extern from "pg_wire.h" nogil:
    ctypedef int pg_status
    const int PG_OK
    const int PG_NO_MEMORY
    const int PG_TOO_LONG
    const int PG_NUL
    const int PG_MALFORMED
    const int PG_RANGE
    const uint32_t PG_FRAME_CAP
    const uint32_t PG_PROTOCOL_3_0
    const uint32_t PG_PROTOCOL_3_2

    ctypedef struct pg_reader:
        const uint8_t* at
        const uint8_t* end
        bint failed

    uint16_t pg_load_u16(const uint8_t* p)
    uint32_t pg_load_u32(const uint8_t* p)
    uint64_t pg_load_u64(const uint8_t* p)
    int16_t pg_load_i16(const uint8_t* p)
    int32_t pg_load_i32(const uint8_t* p)
    int64_t pg_load_i64(const uint8_t* p)
    double pg_load_f64(const uint8_t* p)
    float pg_load_f32(const uint8_t* p)

    void pg_reader_init(pg_reader* r, const uint8_t* data, size_t length)
    size_t pg_reader_left(const pg_reader* r)
    const uint8_t* pg_read_bytes(pg_reader* r, size_t length)
    uint8_t pg_read_u8(pg_reader* r)
    uint16_t pg_read_u16(pg_reader* r)
    int16_t pg_read_i16(pg_reader* r)
    uint32_t pg_read_u32(pg_reader* r)
    int32_t pg_read_i32(pg_reader* r)
    uint64_t pg_read_u64(pg_reader* r)
    int64_t pg_read_i64(pg_reader* r)
    const char* pg_read_cstr(pg_reader* r, size_t* length)
    const uint8_t* pg_read_value(pg_reader* r, int32_t* length)
    bint pg_reader_done(const pg_reader* r)

    ctypedef struct pg_writer:
        uint8_t* data
        size_t length
        size_t capacity
        pg_status status

    void pg_writer_init(pg_writer* w)
    void pg_writer_free(pg_writer* w)
    bint pg_writer_reserve(pg_writer* w, size_t extra)
    void pg_writer_rewind(pg_writer* w, size_t length)
    void pg_store_u16(uint8_t* p, uint16_t v)
    void pg_store_u32(uint8_t* p, uint32_t v)
    void pg_put_u8(pg_writer* w, uint8_t v)
    void pg_put_u16(pg_writer* w, uint16_t v)
    void pg_put_i16(pg_writer* w, int16_t v)
    void pg_put_u32(pg_writer* w, uint32_t v)
    void pg_put_i32(pg_writer* w, int32_t v)
    void pg_put_u64(pg_writer* w, uint64_t v)
    void pg_put_i64(pg_writer* w, int64_t v)
    void pg_put_f64(pg_writer* w, double v)
    void pg_put_f32(pg_writer* w, float v)
    void pg_put_bytes(pg_writer* w, const void* data, size_t length)
    void pg_put_cstr(pg_writer* w, const char* text, size_t length)
    size_t pg_length_begin(pg_writer* w)
    void pg_value_end(pg_writer* w, size_t position)
    void pg_message_end(pg_writer* w, size_t position)

    ctypedef struct pg_frame:
        uint8_t type
        uint32_t length
        const uint8_t* payload

    int pg_frame_next(const uint8_t* buf, size_t len, pg_frame* out)
    int pg_frame_next_capped(const uint8_t* buf, size_t len, uint32_t cap, pg_frame* out)

    size_t pg_startup_begin(pg_writer* w, uint32_t protocol)
    void pg_startup_parameter(
        pg_writer* w, const char* name, size_t name_len, const char* value, size_t value_len
    )
    void pg_startup_end(pg_writer* w, size_t position)
    void pg_msg_ssl_request(pg_writer* w)
    void pg_msg_gssenc_request(pg_writer* w)
    void pg_msg_cancel_request(pg_writer* w, uint32_t backend_pid, const uint8_t* key, size_t key_len)
    void pg_msg_password(pg_writer* w, const char* password, size_t len)
    void pg_msg_sasl_initial(
        pg_writer* w, const char* mechanism, size_t mechanism_len, const uint8_t* data, size_t len
    )
    void pg_msg_sasl_response(pg_writer* w, const uint8_t* data, size_t len)
    void pg_msg_query(pg_writer* w, const char* sql, size_t len)
    void pg_msg_parse(
        pg_writer* w,
        const char* statement,
        size_t statement_len,
        const char* sql,
        size_t sql_len,
        const uint32_t* oids,
        size_t count,
    )
    size_t pg_bind_begin(
        pg_writer* w, const char* portal, size_t portal_len, const char* statement, size_t statement_len
    )
    void pg_msg_describe(pg_writer* w, uint8_t kind, const char* name, size_t len)
    void pg_msg_close(pg_writer* w, uint8_t kind, const char* name, size_t len)
    void pg_msg_execute(pg_writer* w, const char* portal, size_t len, uint32_t max_rows)
    void pg_msg_flush(pg_writer* w)
    void pg_msg_sync(pg_writer* w)
    void pg_msg_terminate(pg_writer* w)
    void pg_msg_copy_data(pg_writer* w, const uint8_t* data, size_t len)
    void pg_msg_copy_done(pg_writer* w)
    void pg_msg_copy_fail(pg_writer* w, const char* reason, size_t len)
