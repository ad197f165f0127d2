/* test_transcript FILE: the bytes a server sent in one session. Cut anywhere they give the same frames; flipped or cut
 * off anywhere they give frames, a wait for more, or a refusal, and no read outside of the buffer. */
#include "../pg_json.h"
#include "check.h"

typedef struct digest {
    uint64_t hash;
    size_t frames;
    int status;
} digest;

static void mix(digest *d, const uint8_t *bytes, size_t length) {
    size_t i;
    for (i = 0; i < length; i++) d->hash = (d->hash ^ bytes[i]) * UINT64_C(1099511628211);
    d->hash = (d->hash ^ length) * UINT64_C(1099511628211);
}

/* Rows pass through the writer of JSON as if every column were text, and as if it were an int4. */
static void use_row(const pg_frame *frame) {
    static const char *keys[64];
    static size_t lengths[64];
    pg_json_node columns[64];
    pg_json_plan plan = {0, columns, keys, lengths, false};
    size_t count = frame->length >= 2 ? pg_load_u16(frame->payload) : 0, i;
    int column, kind;
    pg_writer w;
    if (count > 64) return;
    plan.count = count;
    pg_writer_init(&w);
    for (kind = PG_JSON_BOOL; kind <= PG_JSON_CIRCLE; kind++) {
        if (kind >= PG_JSON_ARRAY && kind <= PG_JSON_MULTIRANGE) continue;
        for (i = 0; i < count; i++) {
            memset(&columns[i], 0, sizeof columns[i]);
            columns[i].kind = (pg_json_kind)kind;
            keys[i] = "\"k\":";
            lengths[i] = 4;
        }
        (void)pg_json_row(&plan, frame->payload, frame->length, &w, &column);
    }
    pg_writer_free(&w);
}

/* Feeds pieces that end at `first` and `second`, as a transport would; exact allocations let the sanitizer see. */
static digest feed(const uint8_t *bytes, size_t length, size_t first, size_t second, bool rows) {
    size_t ends[3], held = 0, at = 0, part;
    uint8_t *buffer = NULL;
    digest d = {UINT64_C(1469598103934665603), 0, 0};
    ends[0] = first;
    ends[1] = second;
    ends[2] = length;
    for (part = 0; part < 3; part++) {
        size_t fresh = ends[part] - at, used = 0;
        uint8_t *joined = malloc(held + fresh + 1);
        CHECK(joined != NULL);
        if (held) memcpy(joined, buffer, held);
        memcpy(joined + held, bytes + at, fresh);
        free(buffer);
        buffer = realloc(joined, held + fresh ? held + fresh : 1);
        CHECK(buffer != NULL);
        held += fresh;
        at = ends[part];
        for (;;) {
            pg_frame frame;
            int taken = pg_frame_next(buffer + used, held - used, &frame);
            if (taken <= 0) {
                d.status = taken;
                break;
            }
            mix(&d, &frame.type, 1);
            mix(&d, frame.payload, frame.length);
            d.frames++;
            if (rows && frame.type == 'D') use_row(&frame);
            used += (size_t)taken;
        }
        if (d.status < 0) break;
        memmove(buffer, buffer + used, held - used);
        held -= used;
    }
    mix(&d, buffer, d.status < 0 ? 0 : held);
    free(buffer);
    return d;
}

int main(int argc, char **argv) {
    FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
    size_t capacity = 1 << 20, length, i, j;
    uint8_t *bytes = malloc(capacity), *damaged;
    digest whole;
    CHECK(file != NULL && bytes != NULL);
    length = fread(bytes, 1, capacity, file);
    fclose(file);
    CHECK(length > 100 && length < capacity);
    whole = feed(bytes, length, 0, 0, true);
    CHECK(whole.status == 0 && whole.frames > 10);
    for (i = 0; i <= length; i++) {
        digest cut = feed(bytes, length, i, i, false);
        CHECK(cut.hash == whole.hash && cut.frames == whole.frames && cut.status == 0);
    }
    for (i = 0; i <= length; i += 7) {
        for (j = i; j <= length && j <= i + 60; j += 3) CHECK(feed(bytes, length, i, j, false).hash == whole.hash);
    }
    damaged = malloc(length);
    CHECK(damaged != NULL);
    memcpy(damaged, bytes, length);
    for (i = 0; i < length; i++) {
        for (j = 0; j < 8; j++) {
            damaged[i] = bytes[i] ^ (uint8_t)(1 << j);
            /* A bit in the middle of a byte finds no other way through the rows than the first and the last. */
            feed(damaged, length, i, length, j == 0 || j == 7);
        }
        damaged[i] = bytes[i];
        feed(bytes, i, 0, i, true);
    }
    free(damaged);
    free(bytes);
    return 0;
}
