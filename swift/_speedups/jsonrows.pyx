"""Rows as JSON objects, from the JSON arrays of plain values that a database makes quickly.

SQLite writes `[[1,"a",740000],...]` in half the time it needs for `[{"id":1,"name":"a","score":0.74},...]`,
and without being exact about floats. So it sends plain values, and here they get their keys and final form.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memchr, memcpy

import msgspec

encode_number = msgspec.json.Encoder().encode

# The most that a value grows by, its comma and a float's digits included.
DEF GROWTH = 40
# Floats with up to six decimals come as integers of millionths.
DEF DECIMALS = 6

cdef const char* BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


@cython.final
cdef class Layout:
    """The members of each object: `(name, form)` pairs, in the order of the values.

    form        the value in the array                             in the object
    "plain"     a number, text or null                             the same
    "quoted"    text that needs no escapes, or a number            a string
    "bool"      1, 0, anything else                                true, false, null
    "float"     an integer of millionths, or text of 17 digits     the shortest number that reads back the same
    "instant"   text `2026-01-31T12:00:00.000000Z`                 without microseconds that are zero
    "clock"     text `12:00:00.000000`                             without microseconds that are zero
    "json"      JSON as text                                       that JSON
    "hex"       bytes as hexadecimal text                          base64 (RFC 4648 section 4)
    """

    cdef bytes keys
    cdef Py_ssize_t* ends
    cdef unsigned char* forms
    cdef Py_ssize_t count

    def __cinit__(self, members):
        cdef Py_ssize_t i = 0
        cdef Py_ssize_t end = 0
        members = list(members)
        if not members:
            raise ValueError("An object of rows has at least one member.")
        self.count = len(members)
        self.ends = <Py_ssize_t*>malloc(self.count * sizeof(Py_ssize_t))
        self.forms = <unsigned char*>malloc(self.count)
        if self.ends == NULL or self.forms == NULL:
            raise MemoryError
        parts = []
        for name, form in members:
            parts.append((b"{" if i == 0 else b",") + msgspec.json.encode(name) + b":")
            end += len(parts[i])
            self.ends[i] = end
            self.forms[i] = FORMS[form]
            i += 1
        self.keys = b"".join(parts)

    def __dealloc__(self):
        free(self.ends)
        free(self.forms)

    def objects(self, bytes arrays not None):
        """The JSON array of objects for a JSON array of arrays. ValueError where it is no such array."""
        cdef Output out
        out.at = out.start = <char*>malloc(2 * PyBytes_GET_SIZE(arrays) + 256)
        if out.start == NULL:
            raise MemoryError
        out.end = out.start + 2 * PyBytes_GET_SIZE(arrays) + 256
        try:
            self.write(PyBytes_AS_STRING(arrays), PyBytes_AS_STRING(arrays) + PyBytes_GET_SIZE(arrays), &out)
            return PyBytes_FromStringAndSize(out.start, out.at - out.start)
        finally:
            free(out.start)

    cdef int write(self, const char* p, const char* end, Output* out) except -1:
        cdef const char* key
        cdef const char* stop
        cdef Py_ssize_t i, length
        cdef const char* keys = PyBytes_AS_STRING(self.keys)
        cdef Py_ssize_t fixed = PyBytes_GET_SIZE(self.keys) + self.count * GROWTH
        cdef bint first = True
        put(out, c"[")
        p = skip(p, end)
        while p < end:
            reserve(out, fixed + (end - p))
            if not first:
                put(out, c",")
            first = False
            key = keys
            for i in range(self.count):
                if i:
                    p = skip(p, end)
                stop = value_end(p, end)
                length = keys + self.ends[i] - key
                memcpy(out.at, key, length)
                out.at += length
                key += length
                write_value(self.forms[i], p, stop, out)
                p = stop
            put(out, c"}")
            p = skip(p, end)
        put(out, c"]")
        return 0


cdef struct Output:
    char* start
    char* at
    char* end


cdef dict FORMS = {
    "plain": c"p", "quoted": c"q", "bool": c"b", "float": c"f", "instant": c"i", "clock": c"c", "json": c"j",
    "hex": c"x",
}


cdef inline void put(Output* out, char byte) noexcept:
    out.at[0] = byte
    out.at += 1


cdef inline void copy(Output* out, const char* text, Py_ssize_t length) noexcept:
    memcpy(out.at, text, length)
    out.at += length


cdef int reserve(Output* out, Py_ssize_t room) except -1:
    cdef Py_ssize_t used = out.at - out.start
    cdef char* moved
    if out.end - out.at < room:
        moved = <char*>realloc(out.start, 2 * (used + room))
        if moved == NULL:
            raise MemoryError
        out.start = moved
        out.at = moved + used
        out.end = moved + 2 * (used + room)
    return 0


cdef inline const char* skip(const char* p, const char* end) noexcept:
    """Past what stands between values: a row's arrays may be several, for SQLite's limit of arguments."""
    while p < end and (p[0] == c"," or p[0] == c"]" or p[0] == c"["):
        p += 1
    return p


cdef const char* value_end(const char* p, const char* end) except NULL:
    cdef const char* quote
    cdef const char* back
    if p >= end:
        raise ValueError("A row has fewer values than members.")
    if p[0] != c'"':
        while p < end and p[0] != c"," and p[0] != c"]":
            p += 1
        return p
    p += 1
    while True:
        quote = <const char*>memchr(p, c'"', end - p)
        if quote == NULL:
            raise ValueError("A text has no end.")
        back = quote
        while back > p and back[-1] == c"\\":
            back -= 1
        p = quote + 1
        # An even number of backslashes escape one another.
        if (quote - back) % 2 == 0:
            return p


cdef int write_value(unsigned char form, const char* p, const char* end, Output* out) except -1:
    cdef Py_ssize_t length = end - p
    cdef bint text = p[0] == c'"'
    if form == c"p" or p[0] == c"n":
        copy(out, p, length)
    elif form == c"q":
        if text:
            copy(out, p, length)
        else:
            put(out, c'"')
            copy(out, p, length)
            put(out, c'"')
    elif form == c"b":
        if length == 1 and p[0] == c"1":
            copy(out, b"true", 4)
        elif length == 1 and p[0] == c"0":
            copy(out, b"false", 5)
        else:
            copy(out, b"null", 4)
    elif form == c"f":
        if text:
            write_digits(p + 1, length - 2, out)
        else:
            write_millionths(p, length, out)
    elif form == c"i" or form == c"c":
        write_instant(p, length, 20 if form == c"i" else 9, out)
    elif not text:
        copy(out, p, length)
    elif form == c"j":
        write_unescaped(p + 1, end - 1, out)
    else:
        write_base64(p + 1, end - 1, out)
    return 0


cdef int write_millionths(const char* p, Py_ssize_t length, Output* out) except -1:
    cdef Py_ssize_t i, whole, decimals
    cdef const char* digits
    for i in range(length):
        if not (c"0" <= p[i] <= c"9" or (i == 0 and p[0] == c"-")):
            # A number of another origin, of a column that other programs write say.
            copy(out, p, length)
            return 0
    if p[0] == c"-":
        put(out, c"-")
        p += 1
        length -= 1
    whole = length - DECIMALS
    if length == 1 and p[0] != c"0":
        # Below 1e-5 the encoder writes an exponent.
        put(out, p[0])
        copy(out, b"e-6", 3)
        return 0
    if whole > 0:
        copy(out, p, whole)
        digits = p + whole
        decimals = DECIMALS
    else:
        put(out, c"0")
        digits = p
        decimals = length
    put(out, c".")
    for i in range(DECIMALS - decimals):
        put(out, c"0")
    copy(out, digits, decimals)
    while out.at[-1] == c"0" and out.at[-2] != c".":
        out.at -= 1
    return 0


cdef int write_digits(const char* p, Py_ssize_t length, Output* out) except -1:
    cdef bytes number
    try:
        number = encode_number(float(p[:length]))
    except ValueError:
        number = b"null"
    # `GROWTH` allows for the longest float.
    copy(out, PyBytes_AS_STRING(number), PyBytes_GET_SIZE(number))
    return 0


cdef void write_instant(const char* p, Py_ssize_t length, Py_ssize_t point, Output* out) noexcept:
    """`point` is where the microseconds begin, behind the opening quote."""
    cdef Py_ssize_t i
    if p[0] == c'"' and length >= point + 8 and p[point] == c".":
        for i in range(point + 1, point + 7):
            if p[i] != c"0":
                break
        else:
            copy(out, p, point)
            copy(out, p + point + 7, length - point - 7)
            return
    copy(out, p, length)


cdef void write_unescaped(const char* p, const char* end, Output* out) noexcept:
    cdef const char* back
    while p < end:
        back = <const char*>memchr(p, c"\\", end - p)
        if back == NULL or back + 1 >= end:
            copy(out, p, end - p)
            return
        copy(out, p, back - p)
        p = back + 2
        if back[1] == c"u" and end - p >= 4:
            # SQLite escapes quotes, backslashes and control characters only.
            put(out, <char>(hex_digit(p[2]) * 16 + hex_digit(p[3])))
            p += 4
        else:
            put(out, unescaped(back[1]))


cdef char unescaped(char letter) noexcept:
    if letter == c"n":
        return c"\n"
    if letter == c"t":
        return c"\t"
    if letter == c"r":
        return c"\r"
    if letter == c"b":
        return 8
    if letter == c"f":
        return 12
    return letter


cdef unsigned int hex_digit(char letter) noexcept:
    if c"0" <= letter <= c"9":
        return letter - c"0"
    return (letter | 32) - c"a" + 10


cdef void write_base64(const char* p, const char* end, Output* out) noexcept:
    cdef unsigned int group
    cdef Py_ssize_t i, left
    put(out, c'"')
    while p < end:
        left = min((end - p) // 2, 3)
        group = 0
        for i in range(3):
            group = group << 8
            if i < left:
                group |= hex_digit(p[2 * i]) << 4 | hex_digit(p[2 * i + 1])
        put(out, BASE64[group >> 18])
        put(out, BASE64[group >> 12 & 63])
        put(out, BASE64[group >> 6 & 63] if left > 1 else c"=")
        put(out, BASE64[group & 63] if left > 2 else c"=")
        p += 2 * left if left else 1
    put(out, c'"')
