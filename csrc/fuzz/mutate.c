/* A driver for fuzz targets where libFuzzer is not: the corpus files named, then mutations of them and of bytes of its
 * own, in an order that is always the same.
 *
 * target RUNS [FILE...]
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LONGEST 4096
#define MOST 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t state = UINT64_C(0x9e3779b97f4a7c15);

static uint32_t next_random(uint32_t below) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 33) % below;
}

/* Numbers at which lengths and counts go wrong. */
static const uint32_t EDGES[] = {0, 1, 2, 3, 4, 5, 7, 8, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000,
                                 0x3fffffff, 0x40000000, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff};

static size_t mutate(uint8_t *data, size_t size) {
    uint32_t edge = EDGES[next_random(sizeof EDGES / sizeof *EDGES)];
    size_t at = size ? next_random((uint32_t)size) : 0;
    switch (next_random(7)) {
    case 0:
        if (size) data[at] ^= (uint8_t)(1u << next_random(8));
        break;
    case 1:
        if (size) data[at] = (uint8_t)next_random(256);
        break;
    case 2:
        if (size >= at + 4) {
            data[at] = (uint8_t)(edge >> 24);
            data[at + 1] = (uint8_t)(edge >> 16);
            data[at + 2] = (uint8_t)(edge >> 8);
            data[at + 3] = (uint8_t)edge;
        }
        break;
    case 3:
        if (size >= at + 2) {
            data[at] = (uint8_t)(edge >> 8);
            data[at + 1] = (uint8_t)edge;
        }
        break;
    case 4:
        return at;
    case 5:
        if (size < LONGEST) {
            memmove(data + at + 1, data + at, size - at);
            data[at] = (uint8_t)next_random(256);
            return size + 1;
        }
        break;
    default:
        if (size) {
            memmove(data + at, data + at + 1, size - at - 1);
            return size - 1;
        }
        break;
    }
    return size;
}

static void run(const uint8_t *data, size_t size) {
    /* An allocation of exactly this size lets the sanitizer see a read behind it. */
    uint8_t *copy = malloc(size ? size : 1);
    if (copy == NULL) abort();
    memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

int main(int argc, char **argv) {
    static uint8_t seeds[MOST][LONGEST];
    static uint8_t work[LONGEST + 1];
    size_t sizes[MOST], count = 0, size, i;
    long runs = argc > 1 ? atol(argv[1]) : 100000;
    int arg;
    for (arg = 2; arg < argc && count < MOST; arg++) {
        FILE *file = fopen(argv[arg], "rb");
        if (file == NULL) {
            fprintf(stderr, "%s: cannot be read\n", argv[arg]);
            return 1;
        }
        sizes[count] = fread(seeds[count], 1, LONGEST, file);
        fclose(file);
        run(seeds[count], sizes[count]);
        count++;
    }
    run(work, 0);
    for (; runs > 0; runs--) {
        if (count && next_random(4)) {
            size_t seed = next_random((uint32_t)count);
            size = sizes[seed];
            memcpy(work, seeds[seed], size);
        } else {
            size = next_random(64);
            for (i = 0; i < size; i++) work[i] = (uint8_t)(next_random(3) ? next_random(8) : next_random(256));
        }
        for (i = 1 + next_random(4); i > 0; i--) size = mutate(work, size);
        run(work, size);
    }
    return 0;
}
