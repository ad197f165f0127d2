"""Codecs of types made of other types: arrays, composites, records, ranges, multiranges, hstore, vectors, enums.

Counts that come from the server are checked against the bytes that are there before anything is allocated.
"""

from collections.abc import Mapping, Sequence

cimport cython
from cpython.buffer cimport PyBUF_CONTIG_RO, PyBUF_FORMAT, PyBuffer_Release, PyObject_CheckBuffer, PyObject_GetBuffer
from cpython.float cimport PyFloat_FromDouble
from cpython.list cimport PyList_New, PyList_SET_ITEM
from cpython.long cimport PyLong_FromLong
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_New, PyTuple_SET_ITEM
from cpython.unicode cimport PyUnicode_AsUTF8AndSize, PyUnicode_DecodeUTF8
from libc.math cimport isfinite, isinf
from libc.stdint cimport INT16_MAX, INT32_MAX, int32_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy

from swift._speedups.pgrows cimport Columns
from swift._speedups.pgvalues cimport (
    Codec,
    Registry,
    check,
    decode_t,
    encode_t,
    encode_value,
    malformed,
    refused,
    wrong_type,
)
from swift._speedups.pgwire cimport (
    pg_length_begin,
    pg_load_f32,
    pg_put_bytes,
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
    pg_store_u32,
    pg_value_end,
    pg_writer,
)

from swift._speedups.pgrows import make_row
from swift._speedups.pgvalues import DecodeError, EncodeError


cdef extern from "pg_values.h" nogil:
    double pg_f32_shortest(float value)
    float pg_f16_to_f32(uint16_t half)
    uint16_t pg_f32_to_f16(float value)


cdef extern from "pg_json.h":
    const int PG_JSON_CALLBACK
    const int PG_JSON_ARRAY
    const int PG_JSON_COMPOSITE
    const int PG_JSON_RANGE
    const int PG_JSON_MULTIRANGE
    const int PG_JSON_HSTORE
    const int PG_JSON_VECTOR
    const int PG_JSON_HALFVEC
    const int PG_JSON_TEXT


cdef extern from "Python.h":
    int Py_EnterRecursiveCall(const char* where) except -1
    void Py_LeaveRecursiveCall()


cdef enum:
    MAX_DIMENSIONS = 6
    # rangetypes.h
    RANGE_EMPTY = 0x01
    RANGE_LOWER_INCLUSIVE = 0x02
    RANGE_UPPER_INCLUSIVE = 0x04
    RANGE_LOWER_INFINITE = 0x08
    RANGE_UPPER_INFINITE = 0x10


cdef object decode_field(Codec codec, pg_reader* reader):
    """The next value behind its length word; None for NULL."""
    cdef int32_t length
    cdef const uint8_t* data = pg_read_value(reader, &length)
    if data == NULL:
        if reader.failed:
            malformed("a value that ends behind what holds it")
        return None
    return codec.decode(codec, data, length)


# ---- arrays --------------------------------------------------------------------------------------------


cdef class ArrayCodec(Codec):
    """An array; `parameter` is the lower bound that needs no mention (1, of the vector types of the catalog 0)."""

    # Of anyarray, whose element is known only from the value.
    cdef Registry registry

    cdef Codec clone(self):
        cdef ArrayCodec copy = <ArrayCodec>Codec.clone(self)
        copy.registry = self.registry
        return copy


cdef object read_items(Codec element, pg_reader* reader, const int32_t* lengths, int dimensions):
    cdef Py_ssize_t i
    cdef Py_ssize_t count = lengths[0]
    cdef list items = PyList_New(count)
    cdef object item
    for i in range(count):
        if dimensions > 1:
            item = read_items(element, reader, lengths + 1, dimensions - 1)
        else:
            item = decode_field(element, reader)
        Py_INCREF(item)
        PyList_SET_ITEM(items, i, item)
    return items


cdef object decode_array(Codec codec, const uint8_t* data, Py_ssize_t length):
    cdef ArrayCodec array = <ArrayCodec>codec
    cdef Codec element = codec.element
    cdef pg_reader reader
    cdef int32_t lengths[MAX_DIMENSIONS]
    cdef int32_t lower[MAX_DIMENSIONS]
    cdef int32_t dimensions, i
    cdef uint32_t oid
    cdef Py_ssize_t total = 1
    cdef bint usual = True
    pg_reader_init(&reader, data, length)
    dimensions = pg_read_i32(&reader)
    pg_read_i32(&reader)
    oid = pg_read_u32(&reader)
    if reader.failed or not 0 <= dimensions <= MAX_DIMENSIONS:
        malformed("malformed header of an array")
    if element is None:
        element = array.registry.codec(oid)
        if element is None or element.format == 0:
            malformed(f"an array of a type this connection does not know (OID {oid})")
    for i in range(dimensions):
        lengths[i] = pg_read_i32(&reader)
        lower[i] = pg_read_i32(&reader)
        usual = usual and lower[i] == codec.parameter
        # Every element has a length word, so the bytes that are left bound the product.
        if reader.failed or lengths[i] < 0 or (lengths[i] and total > <Py_ssize_t>length // 4 // lengths[i]):
            malformed("malformed dimensions of an array")
        total *= lengths[i]
    if dimensions == 0 or total == 0:
        items = []
    else:
        items = read_items(element, &reader, lengths, dimensions)
    if not pg_reader_done(&reader):
        malformed("bytes behind the last element of an array")
    if not usual:
        return codec.factory(items, [lower[i] for i in range(dimensions)])
    return items


cdef bint nests(Codec element, object value) except -1:
    """Whether a value inside an array is one more dimension, and not an element that is a sequence itself."""
    if element.nesting == 2:
        return False
    if isinstance(value, list):
        return True
    return element.nesting == 0 and isinstance(value, tuple)


cdef int write_items(
    Codec element, pg_writer* out, object items, const int32_t* lengths, int dimensions, bint* nulls
) except -1:
    cdef Py_ssize_t count = 0
    for item in items:
        if count >= lengths[0]:
            refused("the array changed while it was written")
        count += 1
        if dimensions > 1:
            if not nests(element, item) or len(item) != lengths[1]:
                refused("the array is ragged: sub-arrays must have matching dimensions")
            write_items(element, out, item, lengths + 1, dimensions - 1, nulls)
            continue
        if item is None:
            nulls[0] = True
        elif nests(element, item):
            refused("the array is ragged: sub-arrays must have matching dimensions")
        encode_value(element, out, item)
    if count != lengths[0]:
        refused("the array changed while it was written")
    return 0


cdef object as_sequence(object value):
    """A list or tuple of the items; text, bytes and mappings are none."""
    if isinstance(value, (list, tuple)):
        return value
    if isinstance(value, (str, bytes, bytearray, memoryview, Mapping)):
        wrong_type("list", value)
    if isinstance(value, (Sequence, set, frozenset)):
        return list(value)
    if hasattr(type(value), "tolist"):
        # Arrays of numpy, of any number of dimensions.
        value = value.tolist()
        if isinstance(value, list):
            return value
    wrong_type("list", value)


cdef int encode_array(Codec codec, pg_writer* out, object value) except -1:
    cdef Codec element = codec.element
    cdef int32_t lengths[MAX_DIMENSIONS]
    cdef int32_t dimensions = 0
    cdef int32_t i
    cdef size_t flags
    cdef bint nulls = False
    cdef bint empty = False
    if element is None:
        refused("the type of the elements is not known; cast the parameter to an array type")
    if element.parameter_format == 0:
        refused(f"values of {element.name} are sent as text; cast the parameter from text[]")
    bounds = getattr(value, "lower_bounds", ())
    value = as_sequence(value)
    level = value
    while True:
        if dimensions == MAX_DIMENSIONS:
            refused("an array has at most 6 dimensions")
        if len(level) > INT32_MAX:
            refused("an array has too many elements")
        lengths[dimensions] = len(level)
        dimensions += 1
        if len(level) == 0:
            empty = True
            break
        if not nests(element, level[0]):
            break
        level = level[0]
    if empty:
        # The server has one empty array, without dimensions; [[], [1]] is still ragged.
        write_items(element, out, value, lengths, dimensions, &nulls)
        dimensions = 0
    if bounds and len(bounds) != dimensions and not empty:
        refused(f"an array of {dimensions} dimensions has {len(bounds)} lower bounds")
    pg_put_i32(out, dimensions)
    flags = out.length
    pg_put_i32(out, 0)
    pg_put_u32(out, element.oid)
    for i in range(dimensions):
        pg_put_i32(out, lengths[i])
        pg_put_i32(out, bounds[i] if bounds else codec.parameter)
    if dimensions:
        write_items(element, out, value, lengths, dimensions, &nulls)
        if nulls and out.status == 0:
            pg_store_u32(out.data + flags, 1)
    return 0


# Arrays of types without a binary form: `{a,"b c",NULL}`, delimiter, quotes and backslashes (array_in).


cdef class TextArrayCodec(Codec):
    cdef readonly str delimiter

    cdef Codec clone(self):
        cdef TextArrayCodec copy = <TextArrayCodec>Codec.clone(self)
        copy.delimiter = self.delimiter
        return copy


cdef object decode_text_array(Codec codec, const uint8_t* data, Py_ssize_t length):
    cdef str text = PyUnicode_DecodeUTF8(<const char*>data, length, NULL)
    cdef str delimiter = (<TextArrayCodec>codec).delimiter
    cdef list stack = []
    cdef list items = None
    cdef Py_ssize_t at = 0
    cdef Py_ssize_t end = len(text)
    cdef bint quoted
    bounds = []
    if text.startswith("["):
        head, equals, rest = text.partition("=")
        if not equals:
            malformed("malformed text of an array")
        bounds = [int(part.split(":")[0]) for part in head[1:-1].split("][")]
        at = len(head) + 1
    while at < end:
        character = text[at]
        if character == "{":
            inner = []
            if items is not None:
                items.append(inner)
                stack.append(items)
            elif stack:
                malformed("malformed text of an array")
            items = inner
            at += 1
        elif items is None:
            malformed("malformed text of an array")
        elif character == "}":
            at += 1
            if not stack:
                if at != end:
                    malformed("malformed text of an array")
                return codec.factory(items, bounds) if bounds else items
            items = stack.pop()
        elif character == delimiter:
            at += 1
        else:
            quoted = character == '"'
            parts = []
            if quoted:
                at += 1
                while at < end and text[at] != '"':
                    if text[at] == "\\":
                        at += 1
                    if at < end:
                        parts.append(text[at])
                    at += 1
                at += 1
            else:
                while at < end and text[at] != delimiter and text[at] != "}":
                    if text[at] == "\\":
                        at += 1
                    if at < end:
                        parts.append(text[at])
                    at += 1
            word = "".join(parts)
            if not quoted and word.upper() == "NULL":
                items.append(None)
            else:
                payload = word.encode()
                items.append(codec.element.decode(codec.element, <const uint8_t*><const char*>payload, len(payload)))
    malformed("malformed text of an array")


cdef int encode_text_array(Codec codec, pg_writer* out, object value) except -1:
    value = as_sequence(value)
    pg_put_u8(out, c"{")
    write_text_items(codec, out, value)
    pg_put_u8(out, c"}")
    return 0


cdef int write_text_items(Codec codec, pg_writer* out, object items) except -1:
    cdef size_t start
    cdef Py_ssize_t i
    for i, item in enumerate(items):
        if i:
            delimiter = (<TextArrayCodec>codec).delimiter.encode()
            pg_put_u8(out, (<bytes>delimiter)[0])
        if item is None:
            pg_put_bytes(out, <const char*>b"NULL", 4)
        elif isinstance(item, list):
            pg_put_u8(out, c"{")
            write_text_items(codec, out, item)
            pg_put_u8(out, c"}")
        else:
            start = out.length
            codec.element.encode(codec.element, out, item)
            check(out.status)
            payload = (<char*>out.data)[start:out.length]
            out.length = start
            payload = b'"' + payload.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
            pg_put_bytes(out, <const char*><bytes>payload, len(payload))
    return 0


def array_codec(Codec element, uint32_t oid, str name not None, factory not None, int lower_bound=1, delimiter=","):
    """An array of `element`; `factory(items, lower_bounds)` makes those whose bounds are not the usual ones."""
    cdef ArrayCodec codec
    cdef TextArrayCodec text
    if element.format == 0:
        text = TextArrayCodec.__new__(TextArrayCodec)
        text.oid, text.name, text.element, text.factory = oid, name, element, factory
        text.delimiter = delimiter
        text.decode, text.encode, text.nesting, text.json_kind = decode_text_array, encode_text_array, 2, PG_JSON_CALLBACK
        return text
    codec = ArrayCodec.__new__(ArrayCodec)
    codec.oid, codec.name, codec.element, codec.factory = oid, name, element, factory
    codec.format = codec.parameter_format = 1
    codec.nesting = 2
    codec.parameter = lower_bound
    codec.decode, codec.encode, codec.json_kind = decode_array, encode_array, PG_JSON_ARRAY
    return codec


def any_array_codec(Registry registry not None, uint32_t oid, str name not None, factory not None):
    """anyarray: an array whose element type only the value tells."""
    cdef ArrayCodec codec = ArrayCodec.__new__(ArrayCodec)
    codec.oid, codec.name, codec.factory, codec.registry = oid, name, factory, registry
    codec.format = codec.parameter_format = 1
    codec.nesting = 2
    codec.parameter = 1
    codec.decode, codec.encode, codec.json_kind = decode_array, encode_array, PG_JSON_CALLBACK
    return codec


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
