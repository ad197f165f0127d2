"""Percent-decoding of `application/x-www-form-urlencoded` text (WHATWG URL, section 5.1).

A percent sign that no two hexadecimal digits follow stays as it is; a `+` is a space.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdlib cimport free, malloc
from libc.string cimport memchr


cdef inline int hex_value(char c) noexcept:
    if c'0' <= c <= c'9':
        return c - c'0'
    if c'a' <= c <= c'f':
        return c - c'a' + 10
    if c'A' <= c <= c'F':
        return c - c'A' + 10
    return -1


cdef object decode_component(const char* text, Py_ssize_t length):
    """The text of one name or value; UnicodeDecodeError when it is not UTF-8."""
    cdef Py_ssize_t i = 0
    cdef Py_ssize_t out = 0
    cdef int high, low
    cdef char* buffer
    cdef char c
    if memchr(text, c'%', length) == NULL and memchr(text, c'+', length) == NULL:
        return PyUnicode_DecodeUTF8(text, length, NULL)
    buffer = <char*>malloc(length + 1)
    if buffer == NULL:
        raise MemoryError
    try:
        while i < length:
            c = text[i]
            if c == c'+':
                c = c' '
            elif c == c'%' and i + 2 < length:
                high = hex_value(text[i + 1])
                low = hex_value(text[i + 2])
                if high >= 0 and low >= 0:
                    c = <char>(high * 16 + low)
                    i += 2
            buffer[out] = c
            out += 1
            i += 1
        return PyUnicode_DecodeUTF8(buffer, out, NULL)
    finally:
        free(buffer)


cdef list split_pairs(bytes query, Py_ssize_t max_fields):
    cdef const char* text = PyBytes_AS_STRING(query)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(query)
    cdef Py_ssize_t start = 0
    cdef Py_ssize_t stop
    cdef const char* mark
    cdef const char* equals
    cdef list pairs = []
    while start < size:
        mark = <const char*>memchr(text + start, c'&', size - start)
        stop = size if mark == NULL else mark - text
        if stop > start:
            if len(pairs) == max_fields:
                raise ValueError(f"More than {max_fields} fields; send fewer.")
            equals = <const char*>memchr(text + start, c'=', stop - start)
            if equals == NULL:
                pairs.append((decode_component(text + start, stop - start), ""))
            else:
                pairs.append((
                    decode_component(text + start, equals - text - start),
                    decode_component(equals + 1, stop - (equals - text) - 1),
                ))
        start = stop + 1
    return pairs


def parse_pairs(bytes query not None, Py_ssize_t max_fields=1000):
    """`[(name, value), ...]` in order. ValueError past `max_fields`, UnicodeDecodeError when not UTF-8."""
    return split_pairs(query, max_fields)
