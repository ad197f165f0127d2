"""Codecs of arrays, in binary and, for types without a binary form, in the server's text.

Counts that come from the server are checked against the bytes that are there before anything is allocated.
"""

from collections.abc import Mapping, Sequence

from cpython.list cimport PyList_New, PyList_SET_ITEM
from cpython.ref cimport Py_INCREF
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport INT32_MAX, int32_t, uint8_t, uint32_t

from swift._speedups.pgvalues cimport (
    Codec,
    Registry,
    check,
    encode_value,
    malformed,
    refused,
    wrong_type,
)
from swift._speedups.pgwire cimport (
    pg_put_bytes,
    pg_put_i32,
    pg_put_u8,
    pg_put_u32,
    pg_read_i32,
    pg_read_u32,
    pg_read_value,
    pg_reader_done,
    pg_reader_init,
    pg_store_u32,
    pg_writer,
)


cdef extern from "pg_json.h":
    const int PG_JSON_CALLBACK
    const int PG_JSON_ARRAY


cdef enum:
    MAX_DIMENSIONS = 6


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
