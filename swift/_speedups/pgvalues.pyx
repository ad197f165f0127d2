"""Codecs, and the encoding of parameters and records with them.

A codec is a pair of C functions and what they need to know. It is chosen once per statement; a value costs one
call. The functions stand in `pgscalars`, `pgtemporal`, `pgmisc`, `pgarrays` and `pgcontainers`; the types and their OIDs
in `swift/pg/_builtin.py`.

Decoders check the length they are given and never read past it. Encoders take exactly the Python types that lose
nothing: an int column refuses 1.9 and True, a text column refuses 5.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_AsDouble
from cpython.list cimport PyList_GET_ITEM
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE
from libc.stdint cimport uint8_t, uint32_t

from swift._speedups.pgwire cimport (
    PG_NO_MEMORY,
    PG_NUL,
    PG_OK,
    PG_RANGE,
    PG_TOO_LONG,
    pg_length_begin,
    pg_put_i32,
    pg_put_u16,
    pg_value_end,
    pg_writer_free,
    pg_writer_init,
    pg_writer_rewind,
)


cdef extern from "Python.h":
    long long PyLong_AsLongLongAndOverflow(object value, int* overflow) except? -1
    bint PyLong_CheckExact(object value)
    bint PyFloat_CheckExact(object value)


def json_default(value):
    """What is encoded for a value msgspec knows no JSON for: a mapping as an object, others as their own text."""
    if hasattr(type(value), "keys"):
        return dict(value)
    if type(value).__str__ is object.__str__:
        raise NotImplementedError(f"`{type(value).__name__}` has no JSON form")
    return str(value)


class DecodeError(ValueError):
    """A value of the server that cannot become the Python object asked for.

    `column` is its name or None, `type_name` PostgreSQL's name of its type or None.
    """

    def __init__(self, reason, column=None, type_name=None):
        self.reason = reason
        self.column = column
        self.type_name = type_name
        if column is not None:
            reason = f"column {column!r} ({type_name}): {reason}"
        super().__init__(reason)

    def __reduce__(self):
        return DecodeError, (self.reason, self.column, self.type_name)


class EncodeError(ValueError):
    """A Python object that cannot become a value of the type the server expects; it was not sent.

    `position` counts parameters from 1 or is None, `type_name` is PostgreSQL's name of the type or None.
    """

    def __init__(self, reason, position=None, type_name=None):
        self.reason = reason
        self.position = position
        self.type_name = type_name
        if position is not None:
            reason = f"${position} ({type_name}): {reason}" if type_name else f"${position}: {reason}"
        super().__init__(reason)

    def __reduce__(self):
        return EncodeError, (self.reason, self.position, self.type_name)


cdef int bad_length(Codec codec, Py_ssize_t expected, Py_ssize_t length) except -1:
    raise DecodeError(f"expected {expected} bytes, got {length}")


cdef int malformed(str reason) except -1:
    raise DecodeError(reason)


cdef int wrong_type(str expected, object value) except -1:
    raise EncodeError(f"expected `{expected}`, got `{type(value).__name__}`")


cdef int refused(str reason) except -1:
    raise EncodeError(reason)


cdef int check(int status) except -1:
    if status == PG_OK:
        return 0
    if status == PG_NO_MEMORY:
        raise MemoryError
    if status == PG_TOO_LONG:
        raise EncodeError("the value is longer than a message can be (2 GiB)")
    if status == PG_NUL:
        raise EncodeError("a NUL character cannot be sent")
    if status == PG_RANGE:
        raise EncodeError("out of range")
    raise DecodeError("malformed value")


cdef class Codec:
    """How values of one PostgreSQL type are read and written. Immutable; shared by all connections."""

    cdef Codec clone(self):
        cdef Codec copy = type(self).__new__(type(self))
        copy.decode = self.decode
        copy.encode = self.encode
        copy.oid = self.oid
        copy.name = self.name
        copy.format = self.format
        copy.parameter_format = self.parameter_format
        copy.atomic = self.atomic
        copy.json_kind = self.json_kind
        copy.element = self.element
        copy.python_type = self.python_type
        copy.factory = self.factory
        copy.nesting = self.nesting
        copy.parameter = self.parameter
        return copy

    def named(self, uint32_t oid, str name not None):
        """The same codec for another type of the same form: a domain, an extension's type."""
        cdef Codec copy = self.clone()
        copy.oid = oid
        copy.name = name
        return copy

    def decode_payload(self, data):
        """The value of these payload bytes; None for None. Raises DecodeError."""
        cdef const uint8_t[::1] view
        if data is None:
            return None
        if len(data) == 0:
            return self.decode(self, <const uint8_t*>b"", 0)
        view = data
        return self.decode(self, &view[0], view.shape[0])

    def encode_payload(self, value):
        """The payload bytes of `value`; None for None. Raises EncodeError."""
        cdef Buffer buffer
        if value is None:
            return None
        buffer = Buffer()
        self.encode(self, &buffer.writer, value)
        return buffer.take()

    def __repr__(self):
        return f"<Codec {self.name} oid={self.oid}>"


cdef class Buffer:
    def __cinit__(self):
        pg_writer_init(&self.writer)

    def __dealloc__(self):
        pg_writer_free(&self.writer)

    def take(self):
        """What was written so far, and an empty buffer again."""
        check(self.writer.status)
        data = PyBytes_FromStringAndSize(<const char*>self.writer.data, self.writer.length)
        self.writer.length = 0
        return data


cdef class Registry:
    """The codecs of one pool by OID."""

    def __init__(self, codecs):
        self.codecs = dict(codecs)

    cdef Codec codec(self, uint32_t oid):
        return self.codecs.get(oid)

    def get(self, uint32_t oid):
        """The codec of a type, or None when it is unknown here."""
        return self.codec(oid)


# ---- values with their length word ---------------------------------------------------------------------


cdef object decode_nullable(Codec codec, const uint8_t* data, Py_ssize_t length):
    if data == NULL:
        return None
    return codec.decode(codec, data, length)


cdef int encode_value(Codec codec, pg_writer* out, object value) except -1:
    cdef size_t position
    if value is None:
        pg_put_i32(out, -1)
        return 0
    position = pg_length_begin(out)
    codec.encode(codec, out, value)
    pg_value_end(out, position)
    return 0


cdef int encode_parameters(list codecs, tuple args, pg_writer* out) except -1:
    cdef size_t start = out.length
    cdef Py_ssize_t count = PyTuple_GET_SIZE(args)
    cdef Py_ssize_t i = 0
    cdef Py_ssize_t text = 0
    cdef Codec codec
    if count != len(codecs):
        raise EncodeError(f"the statement takes {len(codecs)} parameters, {count} were given")
    if count > 65535:
        raise EncodeError(f"a statement takes at most 65535 parameters, {count} were given")
    for i in range(count):
        text += (<Codec>codecs[i]).parameter_format == 0
    if text == 0:
        # One code stands for all.
        pg_put_u16(out, 1 if count else 0)
        if count:
            pg_put_u16(out, 1)
    else:
        pg_put_u16(out, <unsigned short>count)
        for i in range(count):
            pg_put_u16(out, <unsigned short>(<Codec>codecs[i]).parameter_format)
    pg_put_u16(out, <unsigned short>count)
    i = 0
    try:
        while i < count:
            encode_value(<Codec>PyList_GET_ITEM(codecs, i), out, <object>PyTuple_GET_ITEM(args, i))
            i += 1
        check(out.status)
    except Exception as error:
        pg_writer_rewind(out, start)
        if i == count:
            raise
        codec = codecs[i]
        raise EncodeError(explained(error), i + 1, codec.name) from error
    return 0


cdef int encode_record(list codecs, object record, pg_writer* out) except -1:
    cdef size_t start = out.length
    cdef Py_ssize_t i = 0
    cdef Py_ssize_t count = len(codecs)
    cdef Codec codec
    cdef tuple values
    if type(record) is tuple:
        values = <tuple>record
    elif isinstance(record, (str, bytes, bytearray, dict)):
        # Iterable, but never meant as the fields of a row.
        raise EncodeError(f"expected a sequence of {count} fields, got `{type(record).__name__}`")
    else:
        values = tuple(record)
    if PyTuple_GET_SIZE(values) != count:
        raise EncodeError(f"a record has {len(values)} fields, the columns are {count}")
    pg_put_u16(out, <unsigned short>count)
    try:
        while i < count:
            encode_value(<Codec>PyList_GET_ITEM(codecs, i), out, <object>PyTuple_GET_ITEM(values, i))
            i += 1
        check(out.status)
    except Exception as error:
        pg_writer_rewind(out, start)
        if i == count:
            raise
        codec = codecs[i]
        raise EncodeError(explained(error), i + 1, codec.name) from error
    return 0


cdef str explained(object error):
    # The text of a foreign exception may hold the value, which belongs into no log.
    if isinstance(error, EncodeError):
        return error.reason
    if isinstance(error, UnicodeEncodeError):
        return "text with a lone surrogate cannot be sent as UTF-8"
    return f"its encoder raised `{type(error).__name__}`"


def parameters_payload(list codecs, tuple args):
    """What Bind carries between the statement's name and the result formats: bytes. Raises EncodeError."""
    cdef Buffer buffer = Buffer()
    encode_parameters(codecs, args, &buffer.writer)
    return buffer.take()


def record_payload(list codecs, record):
    """One tuple of binary COPY: bytes. Raises EncodeError."""
    cdef Buffer buffer = Buffer()
    encode_record(codecs, record, &buffer.writer)
    return buffer.take()


def records_payload(list codecs, records):
    """Tuples of binary COPY, one behind the other: bytes. Raises EncodeError."""
    cdef Buffer buffer = Buffer()
    for record in records:
        encode_record(codecs, record, &buffer.writer)
    return buffer.take()


# ---- numbers taken from Python ---------------------------------------------------------------------------


cdef long long integer_of(object value, long long lowest, long long highest) except? -1:
    cdef int overflow = 0
    cdef long long number
    if not PyLong_CheckExact(value):
        if isinstance(value, bool) or not hasattr(type(value), "__index__"):
            wrong_type("int", value)
        value = value.__index__()
    number = PyLong_AsLongLongAndOverflow(value, &overflow)
    if overflow or not lowest <= number <= highest:
        refused(f"the integer is outside {lowest} to {highest}")
    return number


cdef double float_of(object value) except? -1.0:
    if PyFloat_CheckExact(value):
        return PyFloat_AS_DOUBLE(value)
    if isinstance(value, bool) or not (isinstance(value, (int, float)) or hasattr(type(value), "__float__")):
        wrong_type("float", value)
    try:
        return PyFloat_AsDouble(value)
    except OverflowError:
        refused("the number is too large for a float")
