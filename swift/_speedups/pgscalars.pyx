"""Codecs of the scalar types: booleans, integers, floats, numeric, text, bytes, uuid, json."""

import decimal
import sys
import uuid

import msgspec

from cpython.buffer cimport (
    PyBUF_FULL_RO,
    PyBuffer_Release,
    PyBuffer_ToContiguous,
    PyObject_CheckBuffer,
    PyObject_GetBuffer,
)
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.float cimport PyFloat_FromDouble
from cpython.long cimport (
    PyLong_FromLong,
    PyLong_FromLongLong,
    PyLong_FromUnsignedLong,
    PyLong_FromUnsignedLongLong,
)
from cpython.memoryview cimport PyMemoryView_FromMemory
from cpython.object cimport PyObject, PyTypeObject
from cpython.ref cimport Py_INCREF
from cpython.unicode cimport PyUnicode_AsUTF8AndSize, PyUnicode_DecodeLatin1, PyUnicode_DecodeUTF8
from libc.math cimport isinf
from libc.stdint cimport (
    INT16_MAX,
    INT16_MIN,
    INT32_MAX,
    INT32_MIN,
    INT64_MAX,
    INT64_MIN,
    UINT32_MAX,
    int32_t,
    uint8_t,
    uint16_t,
    uint32_t,
    uint64_t,
)
from libc.stdlib cimport free, malloc
from libc.string cimport memchr

from swift._speedups.pgvalues cimport (
    Codec,
    bad_length,
    check,
    float_of,
    integer_of,
    malformed,
    refused,
    wrong_type,
)
from swift._speedups.pgwire cimport (
    PG_MALFORMED,
    PG_OK,
    PG_RANGE,
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
    pg_put_u32,
    pg_put_u64,
    pg_writer,
)

from swift._speedups.pgvalues import json_default


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
    bint PyUnicode_Check(object value)
    bint PyUnicode_IS_COMPACT_ASCII(object value)
    void* PyUnicode_DATA(object value)
    Py_ssize_t PyUnicode_GET_LENGTH(object value)
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
cdef object encode_json_document = msgspec.json.Encoder(enc_hook=json_default).encode


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
    if PyUnicode_IS_COMPACT_ASCII(value):
        # Its own bytes are its UTF-8.
        text = <const char*>PyUnicode_DATA(value)
        length = PyUnicode_GET_LENGTH(value)
    else:
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
