"""Codecs of the scalar types, and the encoding of parameters.

A codec is a pair of C functions and what they need to know. It is chosen once per statement; a value costs one
call. The types and their OIDs are listed in `swift/pg/registry.py`.

Decoders check the length they are given and never read past it. Encoders take exactly the Python types that lose
nothing: an int column refuses 1.9 and True, a text column refuses 5.
"""

import decimal
import sys
import uuid

import msgspec

cimport cython
from cpython.buffer cimport PyBUF_FULL_RO, PyBuffer_Release, PyBuffer_ToContiguous, PyObject_CheckBuffer, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_AsDouble, PyFloat_FromDouble
from cpython.long cimport PyLong_FromLong, PyLong_FromLongLong, PyLong_FromUnsignedLong, PyLong_FromUnsignedLongLong
from cpython.memoryview cimport PyMemoryView_FromMemory
from cpython.object cimport PyObject, PyTypeObject
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE
from cpython.unicode cimport PyUnicode_AsUTF8AndSize, PyUnicode_DecodeLatin1, PyUnicode_DecodeUTF8
from libc.math cimport isfinite, isinf
from libc.stdint cimport INT16_MAX, INT16_MIN, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN, UINT32_MAX, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memchr, memcpy

from swift._speedups.pgwire cimport (
    PG_MALFORMED,
    PG_NO_MEMORY,
    PG_NUL,
    PG_OK,
    PG_RANGE,
    PG_TOO_LONG,
    pg_length_begin,
    pg_load_f32,
    pg_load_f64,
    pg_load_i16,
    pg_load_i32,
    pg_load_i64,
    pg_load_u32,
    pg_load_u64,
    pg_put_bytes,
    pg_put_f32,
    pg_put_f64,
    pg_put_i16,
    pg_put_i32,
    pg_put_i64,
    pg_put_u8,
    pg_put_u16,
    pg_put_u32,
    pg_put_u64,
    pg_value_end,
    pg_writer_free,
    pg_writer_init,
    pg_writer_rewind,
)


cdef extern from "pg_values.h" nogil:
    const int PG_NUMERIC_NEGATIVE
    ctypedef struct pg_numeric:
        uint16_t sign
        uint16_t scale
    int pg_numeric_read(const uint8_t* data, size_t length, pg_numeric* out)
    bint pg_numeric_small(const pg_numeric* n, uint64_t* coefficient, int* digits)
    size_t pg_numeric_text_size(const pg_numeric* n)
    size_t pg_numeric_text(const pg_numeric* n, char* out)
    int pg_numeric_write(pg_writer* w, const char* text, size_t length)
    double pg_f32_shortest(float value)
    int pg_parse_uuid(const char* text, size_t length, uint8_t* out)


cdef extern from "pg_json.h":
    const int PG_JSON_CALLBACK
    const int PG_JSON_BOOL
    const int PG_JSON_INT2
    const int PG_JSON_INT4
    const int PG_JSON_INT8
    const int PG_JSON_UINT4
    const int PG_JSON_UINT8
    const int PG_JSON_FLOAT4
    const int PG_JSON_FLOAT8
    const int PG_JSON_NUMERIC
    const int PG_JSON_TEXT
    const int PG_JSON_BYTEA
    const int PG_JSON_UUID
    const int PG_JSON_JSON
    const int PG_JSON_JSONB
    const int PG_JSON_NULL
    const int PG_JSON_CHAR


cdef extern from "Python.h":
    object _PyLong_FromByteArray(const unsigned char* data, size_t length, int little_endian, int is_signed)
    long long PyLong_AsLongLongAndOverflow(object value, int* overflow) except? -1
    bint PyLong_CheckExact(object value)
    bint PyFloat_CheckExact(object value)
    bint PyUnicode_Check(object value)
    object PyObject_CallOneArg(object callable, object argument)


# A Decimal of CPython's _decimal and its number (mpdecimal.h), as a 64-bit build lays them out. Its constructor reads
# text, which took half the time of a row of ten columns, one of them numeric: 190 of 370 ns. One allocated and filled
# here takes 40. Only where on import every field is found at its place, and else by the constructor.
cdef extern from *:
    """
    #include <structmember.h>
    typedef struct {
        PyObject_HEAD
        Py_hash_t hash;
        struct {
            unsigned char flags;
            Py_ssize_t exp, digits, len, alloc;
            uint64_t *data;
        } number;
        uint64_t words[4];
    } swift_decimal;

    static int swift_decimal_is(PyObject *value, int negative, Py_ssize_t exp, Py_ssize_t digits, uint64_t word) {
        swift_decimal *d = (swift_decimal *)value;
        return Py_TYPE(value)->tp_basicsize == sizeof(swift_decimal) && sizeof(void *) == 8 && d->hash == -1 &&
               d->number.data == d->words && (d->number.flags & 0x0f) == negative && d->number.exp == exp &&
               d->number.digits == digits && d->number.len == 1 && d->number.alloc == 4 && d->words[0] == word;
    }

    static PyObject *swift_decimal_new(PyObject *zero, int negative, Py_ssize_t exp, Py_ssize_t digits, uint64_t word) {
        PyTypeObject *type = Py_TYPE(zero);
        swift_decimal *d = (swift_decimal *)type->tp_alloc(type, 0);
        if (d == NULL) return NULL;
        d->hash = -1;
        d->number = ((swift_decimal *)zero)->number;
        d->number.flags = (unsigned char)(d->number.flags | negative);
        d->number.exp = exp;
        d->number.digits = digits;
        d->number.data = d->words;
        d->words[0] = word;
        return (PyObject *)d;
    }

    /* The offset of a slot of a class, -1 when the attribute is something else. */
    static Py_ssize_t swift_slot_offset(PyObject *descriptor) {
        if (Py_TYPE(descriptor) != &PyMemberDescr_Type) return -1;
        return ((PyMemberDescrObject *)descriptor)->d_member->offset;
    }
    static void swift_put_slot(PyObject *object, Py_ssize_t offset, PyObject *value) {
        *(PyObject **)((char *)object + offset) = value;
    }
    static PyObject *swift_new_object(PyTypeObject *type, Py_ssize_t items) { return type->tp_alloc(type, items); }
    """
    bint swift_decimal_is(object value, bint negative, Py_ssize_t exp, Py_ssize_t digits, uint64_t word)
    object swift_decimal_new(object zero, bint negative, Py_ssize_t exp, Py_ssize_t digits, uint64_t word)
    Py_ssize_t swift_slot_offset(object descriptor)
    # The slot was empty; the reference is taken over.
    void put_slot "swift_put_slot"(object value, Py_ssize_t offset, object reference)
    object new_object "swift_new_object"(PyTypeObject* type, Py_ssize_t items)


cdef object Decimal = decimal.Decimal
cdef object DECIMAL_ZERO = Decimal()


cdef bint decimals_are_laid_out_so():
    if sys.implementation.name != "cpython" or not swift_decimal_is(DECIMAL_ZERO, False, 0, 1, 0):
        return False
    for text, negative, exp, digits, word in (
        ("0", False, 0, 1, 0),
        ("-1.50", True, -2, 3, 150),
        ("999999999999999999", False, 0, 18, 999999999999999999),
        ("-0.00000007", True, -8, 1, 7),
    ):
        expected = Decimal(text)
        if not swift_decimal_is(expected, negative, exp, digits, word):
            return False
        made = swift_decimal_new(DECIMAL_ZERO, negative, exp, digits, word)
        if str(made) != str(expected) or made != expected or hash(made) != hash(expected) or type(made) is not Decimal:
            return False
        # Arithmetic owns its results' memory by flags that were copied.
        if made * 10**30 + made != expected * 10**30 + expected:
            return False
    return True


cdef bint DIRECT_DECIMALS = decimals_are_laid_out_so()
cdef object UUID = uuid.UUID
cdef object set_slot = object.__setattr__
cdef Py_ssize_t UUID_INT = swift_slot_offset(uuid.UUID.__dict__.get("int"))
cdef Py_ssize_t UUID_IS_SAFE = swift_slot_offset(uuid.UUID.__dict__.get("is_safe"))
cdef object SAFE_UNKNOWN = uuid.SafeUUID.unknown
cdef object decode_json_document = msgspec.json.Decoder().decode
cdef object UINT64_MAX = 2**64 - 1


def json_default(value):
    """What is encoded for a value msgspec knows no JSON for: a mapping as an object, others as their own text."""
    if hasattr(type(value), "keys"):
        return dict(value)
    if type(value).__str__ is object.__str__:
        raise NotImplementedError(f"`{type(value).__name__}` has no JSON form")
    return str(value)


cdef object encode_json_document = msgspec.json.Encoder(enc_hook=json_default).encode


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
            encode_value(<Codec>codecs[i], out, args[i])
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
            encode_value(<Codec>codecs[i], out, <object>PyTuple_GET_ITEM(values, i))
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


# ---- booleans and integers -----------------------------------------------------------------------------


cdef object decode_bool(Codec codec, const uint8_t* data, Py_ssize_t length):
    if length != 1:
        bad_length(codec, 1, length)
    return data[0] != 0


cdef int encode_bool(Codec codec, pg_writer* out, object value) except -1:
    if value is True:
        pg_put_u8(out, 1)
    elif value is False:
        pg_put_u8(out, 0)
    elif type(value).__module__ == "numpy" and type(value).__name__ in ("bool", "bool_"):
        pg_put_u8(out, 1 if value else 0)
    else:
        wrong_type("bool", value)
    return 0


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


cdef object decode_int2(Codec codec, const uint8_t* data, Py_ssize_t length):
    if length != 2:
        bad_length(codec, 2, length)
    return PyLong_FromLong(pg_load_i16(data))


cdef int encode_int2(Codec codec, pg_writer* out, object value) except -1:
    pg_put_i16(out, <short>integer_of(value, INT16_MIN, INT16_MAX))
    return 0


cdef object decode_int4(Codec codec, const uint8_t* data, Py_ssize_t length):
    if length != 4:
        bad_length(codec, 4, length)
    return PyLong_FromLong(pg_load_i32(data))


cdef int encode_int4(Codec codec, pg_writer* out, object value) except -1:
    pg_put_i32(out, <int32_t>integer_of(value, INT32_MIN, INT32_MAX))
    return 0


cdef object decode_int8(Codec codec, const uint8_t* data, Py_ssize_t length):
    if length != 8:
        bad_length(codec, 8, length)
    return PyLong_FromLongLong(pg_load_i64(data))


cdef int encode_int8(Codec codec, pg_writer* out, object value) except -1:
    pg_put_i64(out, integer_of(value, INT64_MIN, INT64_MAX))
    return 0


cdef object decode_uint4(Codec codec, const uint8_t* data, Py_ssize_t length):
    if length != 4:
        bad_length(codec, 4, length)
    return PyLong_FromUnsignedLong(pg_load_u32(data))


cdef int encode_uint4(Codec codec, pg_writer* out, object value) except -1:
    pg_put_u32(out, <uint32_t>integer_of(value, 0, UINT32_MAX))
    return 0


cdef object decode_uint8(Codec codec, const uint8_t* data, Py_ssize_t length):
    if length != 8:
        bad_length(codec, 8, length)
    return PyLong_FromUnsignedLongLong(pg_load_u64(data))


cdef int encode_uint8(Codec codec, pg_writer* out, object value) except -1:
    if isinstance(value, bool) or not hasattr(type(value), "__index__"):
        wrong_type("int", value)
    value = value.__index__()
    if not 0 <= value <= UINT64_MAX:
        refused(f"the integer is outside 0 to {UINT64_MAX}")
    pg_put_u64(out, value)
    return 0


# ---- floats --------------------------------------------------------------------------------------------


cdef double float_of(object value) except? -1.0:
    if PyFloat_CheckExact(value):
        return PyFloat_AS_DOUBLE(value)
    if isinstance(value, bool) or not (isinstance(value, (int, float)) or hasattr(type(value), "__float__")):
        wrong_type("float", value)
    try:
        return PyFloat_AsDouble(value)
    except OverflowError:
        refused("the number is too large for a float")


cdef object decode_float4(Codec codec, const uint8_t* data, Py_ssize_t length):
    if length != 4:
        bad_length(codec, 4, length)
    return PyFloat_FromDouble(pg_f32_shortest(pg_load_f32(data)))


cdef int encode_float4(Codec codec, pg_writer* out, object value) except -1:
    cdef double number = float_of(value)
    cdef float narrow = <float>number
    if isinf(narrow) and not isinf(number):
        refused("the number is too large for a float4")
    pg_put_f32(out, narrow)
    return 0


cdef object decode_float8(Codec codec, const uint8_t* data, Py_ssize_t length):
    if length != 8:
        bad_length(codec, 8, length)
    return PyFloat_FromDouble(pg_load_f64(data))


cdef int encode_float8(Codec codec, pg_writer* out, object value) except -1:
    pg_put_f64(out, float_of(value))
    return 0


# ---- numeric -------------------------------------------------------------------------------------------


cdef object decode_numeric(Codec codec, const uint8_t* data, Py_ssize_t length):
    cdef pg_numeric number
    cdef uint64_t coefficient
    cdef int digits
    cdef bint negative
    cdef char small[256]
    cdef char* text = small
    cdef size_t size
    if pg_numeric_read(data, length, &number) != PG_OK:
        malformed("malformed numeric")
    if DIRECT_DECIMALS and pg_numeric_small(&number, &coefficient, &digits):
        negative = coefficient != 0 and number.sign == PG_NUMERIC_NEGATIVE
        return swift_decimal_new(DECIMAL_ZERO, negative, -<Py_ssize_t>number.scale, digits, coefficient)
    size = pg_numeric_text_size(&number)
    if size > sizeof(small):
        text = <char*>malloc(size)
        if text == NULL:
            raise MemoryError
    try:
        size = pg_numeric_text(&number, text)
        return PyObject_CallOneArg(Decimal, PyUnicode_DecodeLatin1(text, size, NULL))
    finally:
        if text != small:
            free(text)


cdef int encode_numeric(Codec codec, pg_writer* out, object value) except -1:
    cdef Py_ssize_t length
    cdef const char* text
    cdef int status
    if type(value) is Decimal:
        digits = str(value)
    elif isinstance(value, bool):
        wrong_type("Decimal", value)
    elif isinstance(value, int):
        # str(int) is refused above 4300 digits, Decimal is not.
        digits = str(Decimal(value))
    elif isinstance(value, float):
        # The shortest text of the float, not its binary expansion; float.__repr__ for subclasses' sake.
        digits = float.__repr__(value)
    elif isinstance(value, Decimal):
        digits = Decimal.__str__(value)
    elif hasattr(type(value), "__index__"):
        digits = str(Decimal(value.__index__()))
    else:
        wrong_type("Decimal", value)
    text = PyUnicode_AsUTF8AndSize(digits, &length)
    status = pg_numeric_write(out, text, length)
    if status == PG_RANGE:
        refused("a numeric holds 131072 digits before and 16383 after the point")
    if status == PG_MALFORMED:
        refused("not a number: a signaling NaN cannot be sent")
    return check(status)


# ---- text and bytes ------------------------------------------------------------------------------------


cdef object decode_text(Codec codec, const uint8_t* data, Py_ssize_t length):
    return PyUnicode_DecodeUTF8(<const char*>data, length, NULL)


cdef int encode_text(Codec codec, pg_writer* out, object value) except -1:
    cdef Py_ssize_t length
    cdef const char* text
    if not PyUnicode_Check(value):
        wrong_type("str", value)
    text = PyUnicode_AsUTF8AndSize(value, &length)
    if memchr(text, 0, length) != NULL:
        refused("PostgreSQL text cannot hold the character U+0000")
    pg_put_bytes(out, text, length)
    return 0


cdef object decode_char(Codec codec, const uint8_t* data, Py_ssize_t length):
    """"char" is one byte; zero reads as the empty string, as the server prints it."""
    if length != 1:
        bad_length(codec, 1, length)
    return PyUnicode_DecodeLatin1(<const char*>data, 1 if data[0] else 0, NULL)


cdef int encode_char(Codec codec, pg_writer* out, object value) except -1:
    if isinstance(value, bytes):
        if len(value) != 1:
            refused('"char" holds one byte')
        pg_put_u8(out, (<bytes>value)[0])
        return 0
    if not PyUnicode_Check(value):
        wrong_type("str", value)
    if len(value) > 1 or (value and ord(value) > 255):
        refused('"char" holds one byte')
    pg_put_u8(out, ord(value) if value else 0)
    return 0


cdef object decode_bytea(Codec codec, const uint8_t* data, Py_ssize_t length):
    return PyBytes_FromStringAndSize(<const char*>data, length)


cdef int encode_bytea(Codec codec, pg_writer* out, object value) except -1:
    cdef Py_buffer view
    if not PyObject_CheckBuffer(value):
        wrong_type("bytes", value)
    PyObject_GetBuffer(value, &view, PyBUF_FULL_RO)
    try:
        if view.len > INT32_MAX:
            refused("a value is at most 2 GiB long")
        put_buffer(out, &view)
    finally:
        PyBuffer_Release(&view)
    return 0


cdef int put_buffer(pg_writer* out, Py_buffer* view) except -1:
    from_slices = view.ndim > 1 or (view.strides != NULL and view.ndim == 1 and view.strides[0] != view.itemsize)
    if not from_slices and view.suboffsets == NULL:
        pg_put_bytes(out, view.buf, view.len)
        return 0
    packed = PyBytes_FromStringAndSize(NULL, view.len)
    PyBuffer_ToContiguous(<char*><bytes>packed, view, view.len, b"C")
    pg_put_bytes(out, <char*><bytes>packed, view.len)
    return 0


cdef object decode_void(Codec codec, const uint8_t* data, Py_ssize_t length):
    return None


cdef int encode_void(Codec codec, pg_writer* out, object value) except -1:
    wrong_type("None", value)


cdef int encode_unsupported(Codec codec, pg_writer* out, object value) except -1:
    refused("the server accepts no input of this type")


# ---- uuid ----------------------------------------------------------------------------------------------


cdef object decode_uuid(Codec codec, const uint8_t* data, Py_ssize_t length):
    cdef object value, number
    if length != 16:
        bad_length(codec, 16, length)
    value = new_object(<PyTypeObject*>UUID, 0)
    number = _PyLong_FromByteArray(data, 16, 0, 0)
    # UUID.__init__ takes ten times as long, and its __setattr__ refuses every change.
    if UUID_INT > 0 and UUID_IS_SAFE > 0:
        Py_INCREF(number)
        put_slot(value, UUID_INT, number)
        Py_INCREF(SAFE_UNKNOWN)
        put_slot(value, UUID_IS_SAFE, SAFE_UNKNOWN)
    else:
        set_slot(value, "int", number)
        set_slot(value, "is_safe", SAFE_UNKNOWN)
    return value


cdef int encode_uuid(Codec codec, pg_writer* out, object value) except -1:
    cdef uint8_t parsed[16]
    cdef Py_ssize_t length
    cdef const char* text
    if isinstance(value, UUID):
        packed = value.int.to_bytes(16, "big")
        pg_put_bytes(out, <char*><bytes>packed, 16)
    elif isinstance(value, bytes):
        if len(value) != 16:
            refused("a uuid has 16 bytes")
        pg_put_bytes(out, <char*><bytes>value, 16)
    elif PyUnicode_Check(value):
        text = PyUnicode_AsUTF8AndSize(value, &length)
        if pg_parse_uuid(text, length, parsed) != PG_OK:
            refused("the text is no uuid")
        pg_put_bytes(out, parsed, 16)
    else:
        wrong_type("UUID", value)
    return 0


# ---- json ----------------------------------------------------------------------------------------------


cdef object decode_json(Codec codec, const uint8_t* data, Py_ssize_t length):
    if length == 0:
        malformed("an empty json document")
    if length < 2048:
        # Cheaper to copy than to make a view of.
        return PyObject_CallOneArg(decode_json_document, PyBytes_FromStringAndSize(<const char*>data, length))
    # The decoder copies what it keeps; the view does not outlive the call.
    return PyObject_CallOneArg(decode_json_document, PyMemoryView_FromMemory(<char*>data, length, 0x100))


cdef int encode_json(Codec codec, pg_writer* out, object value) except -1:
    cdef bytes document = encode_json_document(value)
    pg_put_bytes(out, <char*>document, len(document))
    return 0


cdef object decode_jsonb(Codec codec, const uint8_t* data, Py_ssize_t length):
    if length < 1 or data[0] != 1:
        malformed("jsonb of another version than 1")
    return decode_json(codec, data + 1, length - 1)


cdef int encode_jsonb(Codec codec, pg_writer* out, object value) except -1:
    pg_put_u8(out, 1)
    return encode_json(codec, out, value)


cdef object decode_jsonpath(Codec codec, const uint8_t* data, Py_ssize_t length):
    if length < 1 or data[0] != 1:
        malformed("a version other than 1")
    return decode_text(codec, data + 1, length - 1)


cdef int encode_jsonpath(Codec codec, pg_writer* out, object value) except -1:
    pg_put_u8(out, 1)
    return encode_text(codec, out, value)


# ---- codecs by kind ------------------------------------------------------------------------------------


cdef dict PYTHON_TYPES = {
    "bool": bool,
    "int2": int,
    "int4": int,
    "int8": int,
    "uint4": int,
    "uint8": int,
    "float4": float,
    "float8": float,
    "numeric": Decimal,
    "text": str,
    "unknown": str,
    "char": str,
    "bytea": bytes,
    "output": bytes,
    "uuid": UUID,
    "jsonpath": str,
}


def scalar_codec(str kind not None, uint32_t oid, str name not None):
    """A codec of a scalar kind ("int4", "text", ...) for the type with this OID and name."""
    cdef Codec codec = Codec.__new__(Codec)
    codec.oid = oid
    codec.name = name
    codec.format = 1
    codec.atomic = True
    codec.json_kind = PG_JSON_CALLBACK
    codec.python_type = PYTHON_TYPES.get(kind)
    codec.nesting = 2 if kind in ("json", "jsonb") else 0
    if kind == "bool":
        codec.decode, codec.encode, codec.json_kind = decode_bool, encode_bool, PG_JSON_BOOL
    elif kind == "int2":
        codec.decode, codec.encode, codec.json_kind = decode_int2, encode_int2, PG_JSON_INT2
    elif kind == "int4":
        codec.decode, codec.encode, codec.json_kind = decode_int4, encode_int4, PG_JSON_INT4
    elif kind == "int8":
        codec.decode, codec.encode, codec.json_kind = decode_int8, encode_int8, PG_JSON_INT8
    elif kind == "uint4":
        codec.decode, codec.encode, codec.json_kind = decode_uint4, encode_uint4, PG_JSON_UINT4
    elif kind == "uint8":
        codec.decode, codec.encode, codec.json_kind = decode_uint8, encode_uint8, PG_JSON_UINT8
    elif kind == "float4":
        codec.decode, codec.encode, codec.json_kind = decode_float4, encode_float4, PG_JSON_FLOAT4
    elif kind == "float8":
        codec.decode, codec.encode, codec.json_kind = decode_float8, encode_float8, PG_JSON_FLOAT8
    elif kind == "numeric":
        codec.decode, codec.encode, codec.json_kind = decode_numeric, encode_numeric, PG_JSON_NUMERIC
    elif kind == "text":
        codec.decode, codec.encode, codec.json_kind = decode_text, encode_text, PG_JSON_TEXT
    elif kind == "unknown":
        # No binary form, or none that is known here: the server's own text.
        codec.decode, codec.encode, codec.json_kind, codec.format = decode_text, encode_text, PG_JSON_TEXT, 0
    elif kind == "char":
        codec.decode, codec.encode, codec.json_kind = decode_char, encode_char, PG_JSON_CHAR
    elif kind == "bytea":
        codec.decode, codec.encode, codec.json_kind = decode_bytea, encode_bytea, PG_JSON_BYTEA
    elif kind == "output":
        codec.decode, codec.encode, codec.json_kind = decode_bytea, encode_unsupported, PG_JSON_BYTEA
    elif kind == "void":
        codec.decode, codec.encode, codec.json_kind = decode_void, encode_void, PG_JSON_NULL
    elif kind == "uuid":
        codec.decode, codec.encode, codec.json_kind = decode_uuid, encode_uuid, PG_JSON_UUID
    elif kind == "json":
        codec.decode, codec.encode, codec.json_kind, codec.atomic = decode_json, encode_json, PG_JSON_JSON, False
    elif kind == "jsonb":
        codec.decode, codec.encode, codec.json_kind, codec.atomic = decode_jsonb, encode_jsonb, PG_JSON_JSONB, False
    elif kind == "jsonpath":
        codec.decode, codec.encode = decode_jsonpath, encode_jsonpath
    else:
        raise ValueError(f"{kind!r} is no kind of scalar")
    codec.parameter_format = codec.format
    return codec
