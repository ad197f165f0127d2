/* A receive buffer of any bytes: frames are found inside of it, and a cut changes nothing. */
#include <stdlib.h>

#include "../pg_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t frames_until(const uint8_t *data, size_t size, size_t *used, int *status) {
    size_t count = 0;
    pg_frame frame;
    *used = 0;
    while ((*status = pg_frame_next(data + *used, size - *used, &frame)) > 0) {
        if (frame.payload < data || frame.payload + frame.length > data + size) abort();
        if (frame.payload + frame.length != data + *used + (size_t)*status) abort();
        *used += (size_t)*status;
        count++;
    }
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    size_t whole, used, first, rest, used_first, used_rest, cut = size / 2;
    int status, ignored;
    pg_reader r;
    whole = frames_until(data, size, &used, &status);
    first = frames_until(data, cut, &used_first, &ignored);
    if (ignored == 0) {
        rest = frames_until(data + used_first, size - used_first, &used_rest, &ignored);
        if (first + rest != whole || used_first + used_rest != used || ignored != status) abort();
    }
    /* As an ErrorResponse: fields until a zero byte, each a letter and a C string. */
    pg_reader_init(&r, data, size);
    while (pg_read_u8(&r) != 0) {
        size_t length;
        const char *text = pg_read_cstr(&r, &length);
        if (text != NULL && text[length] != 0) abort();
    }
    return 0;
}
