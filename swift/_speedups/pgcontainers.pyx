"""Codecs of types made of other types: composites, records, ranges, multiranges, hstore, vectors; and those of the user.

Counts that come from the server are checked against the bytes that are there before anything is allocated.
"""

from collections.abc import Mapping

from cpython.buffer cimport PyBUF_CONTIG_RO, PyBUF_FORMAT, PyBuffer_Release, PyObject_CheckBuffer, PyObject_GetBuffer
from cpython.float cimport PyFloat_FromDouble
from cpython.list cimport PyList_New, PyList_SET_ITEM
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_New, PyTuple_SET_ITEM
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.math cimport isfinite, isinf
from libc.stdint cimport INT16_MAX, int32_t, uint8_t, uint16_t, uint32_t

from swift._speedups.pgarrays cimport as_sequence, decode_field
from swift._speedups.pgrows cimport Columns
from swift._speedups.pgvalues cimport (
    Codec,
    Registry,
    encode_value,
    malformed,
    refused,
    wrong_type,
)
from swift._speedups.pgwire cimport (
    pg_load_f32,
    pg_put_f32,
    pg_put_i32,
    pg_put_u8,
    pg_put_u16,
    pg_put_u32,
    pg_read_bytes,
    pg_read_i32,
    pg_read_u8,
    pg_read_u16,
    pg_read_u32,
    pg_read_value,
    pg_reader,
    pg_reader_done,
    pg_reader_init,
    pg_reader_left,
    pg_writer,
)

from swift._speedups.pgrows import make_row
from swift._speedups.pgvalues import EncodeError


cdef extern from "pg_values.h" nogil:
    double pg_f32_shortest(float value)
    float pg_f16_to_f32(uint16_t half)
    uint16_t pg_f32_to_f16(float value)


cdef extern from "pg_json.h":
    const int PG_JSON_CALLBACK
    const int PG_JSON_COMPOSITE
    const int PG_JSON_RANGE
    const int PG_JSON_MULTIRANGE
    const int PG_JSON_HSTORE
    const int PG_JSON_VECTOR
    const int PG_JSON_HALFVEC


cdef extern from "Python.h":
    int Py_EnterRecursiveCall(const char* where) except -1
    void Py_LeaveRecursiveCall()


cdef enum:
    # rangetypes.h
    RANGE_EMPTY = 0x01
    RANGE_LOWER_INCLUSIVE = 0x02
    RANGE_UPPER_INCLUSIVE = 0x04
    RANGE_LOWER_INFINITE = 0x08
    RANGE_UPPER_INFINITE = 0x10


# ---- composites and records ----------------------------------------------------------------------------


cdef class CompositeCodec(Codec):
    """A composite type: its attributes in order, dropped ones left out. `factory` is None for Row."""

    cdef readonly Columns columns
    cdef readonly tuple fields

    cdef Codec clone(self):
        cdef CompositeCodec copy = <CompositeCodec>Codec.clone(self)
        copy.columns = self.columns
        copy.fields = self.fields
        return copy

    def returning(self, factory):
        """The same codec, whose values are `factory(**attributes)`."""
        cdef CompositeCodec copy = <CompositeCodec>self.clone()
        copy.factory = factory
        copy.python_type = factory if isinstance(factory, type) else None
        copy.json_kind = PG_JSON_CALLBACK
        return copy


cdef object decode_composite(Codec codec, const uint8_t* data, Py_ssize_t length):
    cdef CompositeCodec composite = <CompositeCodec>codec
    cdef pg_reader reader
    cdef Py_ssize_t count = len(composite.fields)
    cdef Py_ssize_t i
    cdef Codec field
    cdef uint32_t oid
    cdef tuple values
    pg_reader_init(&reader, data, length)
    if pg_read_i32(&reader) != count:
        malformed("the attributes of the type changed since it was read from the catalog")
    values = PyTuple_New(count)
    for i in range(count):
        field = <Codec>composite.fields[i]
        oid = pg_read_u32(&reader)
        if oid != field.oid and not reader.failed:
            malformed(f"the attribute {composite.columns.names[i]!r} changed its type since it was read from the catalog")
        value = decode_field(field, &reader)
        Py_INCREF(value)
        PyTuple_SET_ITEM(values, i, value)
    if not pg_reader_done(&reader):
        malformed("bytes behind the last attribute")
    if codec.factory is not None:
        return codec.factory(**dict(zip(composite.columns.names, values)))
    return make_row(composite.columns, values)


cdef int encode_composite(Codec codec, pg_writer* out, object value) except -1:
    cdef CompositeCodec composite = <CompositeCodec>codec
    cdef Py_ssize_t count = len(composite.fields)
    cdef Py_ssize_t i
    cdef Codec field
    names = composite.columns.names
    if isinstance(value, (tuple, list)):
        values = value
        if len(values) != count:
            refused(f"the type has {count} attributes, {len(values)} were given")
    elif isinstance(value, Mapping) or hasattr(type(value), "keys"):
        unknown = [name for name in value.keys() if name not in composite.columns.index]
        if unknown:
            refused(f"the type has no attributes {', '.join(map(str, unknown))}")
        values = [value.get(name) for name in names]
    elif isinstance(value, (str, bytes, int, float)):
        wrong_type("tuple, mapping or object", value)
    else:
        missing = [name for name in names if not hasattr(value, name)]
        if missing:
            refused(f"`{type(value).__name__}` has no attributes {', '.join(missing)}")
        values = [getattr(value, name) for name in names]
    pg_put_i32(out, <int32_t>count)
    for i in range(count):
        field = <Codec>composite.fields[i]
        if field.parameter_format == 0 and values[i] is not None:
            refused(f"attribute {names[i]!r}: values of {field.name} are sent as text, which a composite cannot carry")
        pg_put_u32(out, field.oid)
        try:
            encode_value(field, out, values[i])
        except EncodeError as error:
            raise EncodeError(f"attribute {names[i]!r}: {error.reason}") from None
    return 0


def composite_codec(uint32_t oid, str name not None, names, fields):
    """A composite type with these attributes' names and codecs, all of them binary."""
    cdef CompositeCodec codec = CompositeCodec.__new__(CompositeCodec)
    codec.oid, codec.name = oid, name
    codec.columns = Columns(names)
    codec.fields = tuple(fields)
    codec.format = codec.parameter_format = 1
    codec.nesting = 1
    codec.decode, codec.encode, codec.json_kind = decode_composite, encode_composite, PG_JSON_COMPOSITE
    return codec


cdef class RecordCodec(Codec):
    cdef Registry registry


cdef object decode_record(Codec codec, const uint8_t* data, Py_ssize_t length):
    # A record may hold records; their depth is the sender's choice.
    Py_EnterRecursiveCall(b" while decoding a record")
    try:
        return read_record(<RecordCodec>codec, data, length)
    finally:
        Py_LeaveRecursiveCall()


cdef object read_record(RecordCodec codec, const uint8_t* data, Py_ssize_t length):
    cdef pg_reader reader
    cdef Codec field
    cdef int32_t count, size
    cdef uint32_t oid
    cdef const uint8_t* payload
    cdef list values = []
    pg_reader_init(&reader, data, length)
    count = pg_read_i32(&reader)
    if reader.failed or count < 0 or <size_t>count > pg_reader_left(&reader) // 8:
        malformed("malformed record")
    for _ in range(count):
        oid = pg_read_u32(&reader)
        payload = pg_read_value(&reader, &size)
        if reader.failed:
            malformed("a value that ends behind its record")
        if payload == NULL:
            values.append(None)
            continue
        field = codec.registry.codec(oid)
        if field is None or (field.format == 0 and oid != 705):
            malformed(f"a record holds a value of a type this connection does not know (OID {oid}); cast it to text")
        values.append(field.decode(field, payload, size))
    if not pg_reader_done(&reader):
        malformed("bytes behind the last field of a record")
    return tuple(values)


cdef int encode_record_value(Codec codec, pg_writer* out, object value) except -1:
    refused("the server takes no anonymous records; cast the parameter to a composite type")


def record_codec(Registry registry not None, uint32_t oid, str name not None):
    """Anonymous records: tuples, whose types the values tell."""
    cdef RecordCodec codec = RecordCodec.__new__(RecordCodec)
    codec.oid, codec.name, codec.registry = oid, name, registry
    codec.python_type = tuple
    codec.format = codec.parameter_format = 1
    codec.nesting = 1
    codec.decode, codec.encode, codec.json_kind = decode_record, encode_record_value, PG_JSON_CALLBACK
    return codec


# ---- ranges and multiranges ----------------------------------------------------------------------------


cdef object decode_range(Codec codec, const uint8_t* data, Py_ssize_t length):
    cdef pg_reader reader
    cdef uint8_t flags
    lower = upper = None
    pg_reader_init(&reader, data, length)
    flags = pg_read_u8(&reader)
    if flags & RANGE_EMPTY:
        if not pg_reader_done(&reader):
            malformed("malformed range")
        return codec.factory(None, None, "empty")
    if not flags & RANGE_LOWER_INFINITE:
        lower = decode_field(codec.element, &reader)
    if not flags & RANGE_UPPER_INFINITE:
        upper = decode_field(codec.element, &reader)
    if not pg_reader_done(&reader):
        malformed("malformed range")
    if flags & RANGE_LOWER_INCLUSIVE:
        return codec.factory(lower, upper, "[]" if flags & RANGE_UPPER_INCLUSIVE else "[)")
    return codec.factory(lower, upper, "(]" if flags & RANGE_UPPER_INCLUSIVE else "()")


cdef int encode_range(Codec codec, pg_writer* out, object value) except -1:
    cdef uint8_t flags = 0
    if type(value) is range:
        if value.step != 1:
            refused("a range whose step is not 1 has gaps")
        if not value:
            pg_put_u8(out, RANGE_EMPTY)
            return 0
        lower, upper, bounds = value.start, value.stop, "[)"
    elif isinstance(value, codec.factory):
        lower, upper, bounds = value.lower, value.upper, value.bounds
    else:
        wrong_type("Range", value)
        return -1
    if bounds == "empty":
        pg_put_u8(out, RANGE_EMPTY)
        return 0
    if lower is None:
        flags |= RANGE_LOWER_INFINITE
    elif bounds[0] == "[":
        flags |= RANGE_LOWER_INCLUSIVE
    if upper is None:
        flags |= RANGE_UPPER_INFINITE
    elif bounds[1] == "]":
        flags |= RANGE_UPPER_INCLUSIVE
    pg_put_u8(out, flags)
    if lower is not None:
        encode_value(codec.element, out, lower)
    if upper is not None:
        encode_value(codec.element, out, upper)
    return 0


cdef object decode_multirange(Codec codec, const uint8_t* data, Py_ssize_t length):
    cdef pg_reader reader
    cdef int32_t count
    pg_reader_init(&reader, data, length)
    count = pg_read_i32(&reader)
    if reader.failed or count < 0 or <size_t>count > pg_reader_left(&reader) // 5:
        malformed("malformed multirange")
    ranges = [decode_field(codec.element, &reader) for _ in range(count)]
    if not pg_reader_done(&reader) or None in ranges:
        malformed("malformed multirange")
    return codec.factory(ranges)


cdef int encode_multirange(Codec codec, pg_writer* out, object value) except -1:
    value = as_sequence(value)
    pg_put_i32(out, <int32_t>len(value))
    for item in value:
        if item is None:
            refused("a multirange holds no NULL")
        encode_value(codec.element, out, item)
    return 0


def range_codec(Codec element not None, uint32_t oid, str name not None, factory not None):
    """A range whose bounds are of `element`; `factory(lower, upper, bounds)` makes its values."""
    cdef Codec codec = Codec.__new__(Codec)
    codec.oid, codec.name, codec.element, codec.factory = oid, name, element, factory
    codec.python_type = factory
    codec.format = codec.parameter_format = 1
    codec.nesting = 1
    codec.decode, codec.encode, codec.json_kind = decode_range, encode_range, PG_JSON_RANGE
    return codec


def multirange_codec(Codec element not None, uint32_t oid, str name not None, factory not None):
    """A multirange of the range codec `element`; `factory(ranges)` makes its values."""
    cdef Codec codec = Codec.__new__(Codec)
    codec.oid, codec.name, codec.element, codec.factory = oid, name, element, factory
    codec.python_type = factory
    codec.format = codec.parameter_format = 1
    codec.nesting = 2
    codec.decode, codec.encode, codec.json_kind = decode_multirange, encode_multirange, PG_JSON_MULTIRANGE
    return codec


# ---- hstore --------------------------------------------------------------------------------------------


cdef object decode_hstore(Codec codec, const uint8_t* data, Py_ssize_t length):
    cdef pg_reader reader
    cdef int32_t count, size
    cdef const uint8_t* text
    pg_reader_init(&reader, data, length)
    count = pg_read_i32(&reader)
    if reader.failed or count < 0 or <size_t>count > pg_reader_left(&reader) // 8:
        malformed("malformed hstore")
    pairs = {}
    for _ in range(count):
        text = pg_read_value(&reader, &size)
        if text == NULL:
            malformed("malformed hstore")
        key = PyUnicode_DecodeUTF8(<const char*>text, size, NULL)
        text = pg_read_value(&reader, &size)
        if reader.failed:
            malformed("malformed hstore")
        pairs[key] = None if text == NULL else PyUnicode_DecodeUTF8(<const char*>text, size, NULL)
    if not pg_reader_done(&reader):
        malformed("malformed hstore")
    return pairs


cdef int encode_hstore(Codec codec, pg_writer* out, object value) except -1:
    if not isinstance(value, Mapping):
        wrong_type("dict", value)
    pg_put_i32(out, <int32_t>len(value))
    for key, text in value.items():
        if key is None:
            refused("a key of an hstore is never NULL")
        encode_value(codec.element, out, key)
        encode_value(codec.element, out, text)
    return 0


def hstore_codec(Codec text not None, uint32_t oid, str name not None):
    """hstore: dict of str to str or None. `text` is the codec of keys and values."""
    cdef Codec codec = Codec.__new__(Codec)
    codec.oid, codec.name, codec.element = oid, name, text
    codec.python_type = dict
    codec.format = codec.parameter_format = 1
    codec.decode, codec.encode, codec.json_kind = decode_hstore, encode_hstore, PG_JSON_HSTORE
    return codec


# ---- pgvector ------------------------------------------------------------------------------------------


cdef object decode_vector(Codec codec, const uint8_t* data, Py_ssize_t length):
    cdef pg_reader reader
    cdef uint16_t count
    cdef Py_ssize_t i
    cdef list items
    cdef object item
    cdef const uint8_t* numbers
    cdef Py_ssize_t width = codec.parameter
    pg_reader_init(&reader, data, length)
    count = pg_read_u16(&reader)
    pg_read_u16(&reader)
    numbers = pg_read_bytes(&reader, count * width)
    if not pg_reader_done(&reader):
        malformed("malformed vector")
    items = PyList_New(count)
    for i in range(count):
        if width == 4:
            item = PyFloat_FromDouble(pg_f32_shortest(pg_load_f32(numbers + 4 * i)))
        else:
            item = PyFloat_FromDouble(pg_f32_shortest(pg_f16_to_f32((numbers[2 * i] << 8) | numbers[2 * i + 1])))
        Py_INCREF(item)
        PyList_SET_ITEM(items, i, item)
    return items


cdef int put_component(Codec codec, pg_writer* out, double number) except -1:
    cdef float narrow = <float>number
    cdef uint16_t half
    if not isfinite(number):
        refused("a vector holds neither NaN nor infinity")
    if codec.parameter == 2:
        half = pg_f32_to_f16(narrow)
        if (half & 0x7C00) == 0x7C00:
            refused("a component is too large for a halfvec")
        pg_put_u16(out, half)
        return 0
    if isinf(narrow):
        refused("a component is too large for a float4")
    pg_put_f32(out, narrow)
    return 0


cdef int encode_vector(Codec codec, pg_writer* out, object value) except -1:
    cdef Py_buffer view
    cdef Py_ssize_t i
    cdef Py_ssize_t count
    cdef const float* floats
    if PyObject_CheckBuffer(value) and not isinstance(value, (bytes, bytearray)):
        PyObject_GetBuffer(value, &view, PyBUF_CONTIG_RO | PyBUF_FORMAT)
        try:
            if view.ndim == 1 and view.format != NULL and view.format[0] == c"f" and view.format[1] == 0:
                # array('f') and float32 arrays of numpy go without a Python float per component.
                count = view.len // 4
                if count > INT16_MAX:
                    refused("a vector has too many dimensions")
                floats = <const float*>view.buf
                pg_put_u16(out, <uint16_t>count)
                pg_put_u16(out, 0)
                for i in range(count):
                    put_component(codec, out, floats[i])
                return 0
        finally:
            PyBuffer_Release(&view)
    value = as_sequence(value)
    if len(value) > INT16_MAX:
        refused("a vector has too many dimensions")
    pg_put_u16(out, <uint16_t>len(value))
    pg_put_u16(out, 0)
    for item in value:
        if isinstance(item, (bool, str)) or item is None:
            wrong_type("float", item)
        put_component(codec, out, item)
    return 0


cdef object decode_sparse(Codec codec, const uint8_t* data, Py_ssize_t length):
    cdef pg_reader reader
    cdef int32_t dimensions, count, i
    cdef const uint8_t* numbers
    pg_reader_init(&reader, data, length)
    dimensions = pg_read_i32(&reader)
    count = pg_read_i32(&reader)
    pg_read_i32(&reader)
    if reader.failed or count < 0 or pg_reader_left(&reader) != <size_t>count * 8:
        malformed("malformed sparsevec")
    indices = [pg_read_i32(&reader) for _ in range(count)]
    numbers = pg_read_bytes(&reader, <size_t>count * 4)
    values = {}
    for i in range(count):
        if not 0 <= indices[i] < dimensions:
            malformed("malformed sparsevec")
        values[indices[i]] = pg_f32_shortest(pg_load_f32(numbers + 4 * i))
    return codec.factory(dimensions, values)


cdef int encode_sparse(Codec codec, pg_writer* out, object value) except -1:
    if not isinstance(value, codec.factory):
        wrong_type("SparseVector", value)
    pg_put_i32(out, value.dimensions)
    pg_put_i32(out, <int32_t>len(value.values))
    pg_put_i32(out, 0)
    for index in value.values:
        pg_put_i32(out, index)
    for number in value.values.values():
        put_component(codec, out, number)
    return 0


def vector_codec(str kind not None, uint32_t oid, str name not None, factory=None):
    """pgvector's "vector" and "halfvec" (list of float) and "sparsevec" (`factory(dimensions, values)`)."""
    cdef Codec codec = Codec.__new__(Codec)
    codec.oid, codec.name, codec.factory = oid, name, factory
    codec.format = codec.parameter_format = 1
    codec.nesting = 2
    codec.parameter = 2 if kind == "halfvec" else 4
    codec.python_type = list if factory is None else factory
    if kind == "sparsevec":
        codec.decode, codec.encode, codec.json_kind = decode_sparse, encode_sparse, PG_JSON_CALLBACK
    elif kind == "halfvec":
        codec.decode, codec.encode, codec.json_kind = decode_vector, encode_vector, PG_JSON_HALFVEC
    elif kind == "vector":
        codec.decode, codec.encode, codec.json_kind = decode_vector, encode_vector, PG_JSON_VECTOR
    else:
        raise ValueError(f"{kind!r} is no kind of vector")
    return codec


# ---- codecs of the user --------------------------------------------------------------------------------


cdef class CustomCodec(Codec):
    """Another codec's values, passed through functions of the user."""

    cdef Codec base
    cdef readonly object decoder
    cdef readonly object encoder

    cdef Codec clone(self):
        cdef CustomCodec copy = <CustomCodec>Codec.clone(self)
        copy.base = self.base
        copy.decoder = self.decoder
        copy.encoder = self.encoder
        return copy


cdef object decode_custom(Codec codec, const uint8_t* data, Py_ssize_t length):
    cdef CustomCodec custom = <CustomCodec>codec
    value = custom.base.decode(custom.base, data, length)
    return value if custom.decoder is None else custom.decoder(value)


cdef int encode_custom(Codec codec, pg_writer* out, object value) except -1:
    cdef CustomCodec custom = <CustomCodec>codec
    if custom.encoder is not None:
        value = custom.encoder(value)
    return custom.base.encode(custom.base, out, value)


def custom_codec(Codec base not None, uint32_t oid, str name not None, decode=None, encode=None, python_type=None):
    """`decode(value)` and `encode(value)` around `base`; None leaves that direction as it is."""
    cdef CustomCodec codec = CustomCodec.__new__(CustomCodec)
    codec.oid, codec.name, codec.base = oid, name, base
    codec.decoder, codec.encoder = decode, encode
    codec.python_type = base.python_type if decode is None else python_type
    codec.format = base.format
    codec.parameter_format = base.parameter_format
    codec.nesting = base.nesting if encode is None else 2
    codec.atomic = base.atomic and decode is None
    codec.element, codec.parameter = base.element, base.parameter
    # The attributes of a composite are not here for the plan of JSON to see.
    codec.json_kind = base.json_kind if decode is None and not isinstance(base, CompositeCodec) else PG_JSON_CALLBACK
    codec.decode, codec.encode = decode_custom, encode_custom
    return codec
