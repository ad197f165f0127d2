/* Checks of the C tests: a failed one says where and ends the program. */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                                              \
    do {                                                                                                              \
        if (!(condition)) {                                                                                           \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                           \
            exit(1);                                                                                                  \
        }                                                                                                             \
    } while (0)

/* Text written by a csrc function equals a literal. */
#define CHECK_TEXT(written, length, expected)                                                                         \
    do {                                                                                                              \
        if ((length) != strlen(expected) || memcmp((written), (expected), (length)) != 0) {                           \
            fprintf(stderr, "%s:%d: got `%.*s`, expected `%s`\n", __FILE__, __LINE__, (int)(length),                  \
                    (const char *)(written), (expected));                                                             \
            exit(1);                                                                                                  \
        }                                                                                                             \
    } while (0)

#endif
