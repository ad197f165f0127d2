"""Codecs of network addresses, bit strings, geometry, money, text search and the server's own identifiers."""

import decimal
import functools
import ipaddress

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_AsUTF8AndSize, PyUnicode_DecodeUTF8
from libc.stdint cimport INT32_MAX, INT64_MAX, INT64_MIN, UINT16_MAX, UINT32_MAX, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memchr

from swift._speedups.pgvalues cimport (
    Buffer,
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
    PG_OK,
    pg_load_f64,
    pg_load_i64,
    pg_load_u16,
    pg_load_u32,
    pg_load_u64,
    pg_put_bytes,
    pg_put_f64,
    pg_put_i32,
    pg_put_i64,
    pg_put_u8,
    pg_put_u16,
    pg_put_u32,
    pg_put_u64,
    pg_read_bytes,
    pg_read_i32,
    pg_read_i64,
    pg_read_u8,
    pg_read_u64,
    pg_reader,
    pg_reader_done,
    pg_reader_init,
    pg_reader_left,
    pg_writer,
)


cdef extern from "pg_values.h" nogil:
    int pg_text_tsvector(const uint8_t* data, size_t length, pg_writer* out)
    size_t pg_text_macaddr(const uint8_t* data, size_t length, char* out)


cdef extern from "pg_json.h":
    const int PG_JSON_CALLBACK
    const int PG_JSON_TEXT
    const int PG_JSON_BITS
    const int PG_JSON_LSN
    const int PG_JSON_MONEY
    const int PG_JSON_MACADDR
    const int PG_JSON_INET
    const int PG_JSON_CIDR
    const int PG_JSON_TSVECTOR
    const int PG_JSON_VERSIONED_TEXT
    const int PG_JSON_TID
    const int PG_JSON_SNAPSHOT
    const int PG_JSON_POINT
    const int PG_JSON_LINE
    const int PG_JSON_SEGMENT
    const int PG_JSON_PATH
    const int PG_JSON_POLYGON
    const int PG_JSON_CIRCLE


cdef enum:
    # inet.h: the server's own numbers, not those of the operating system.
    FAMILY_IPV4 = 2
    FAMILY_IPV6 = 3


cdef object Decimal = decimal.Decimal
cdef object IPv4Address = ipaddress.IPv4Address
cdef object IPv6Address = ipaddress.IPv6Address
cdef object IPv4Interface = ipaddress.IPv4Interface
cdef object IPv6Interface = ipaddress.IPv6Interface
cdef object IPv4Network = ipaddress.IPv4Network
cdef object IPv6Network = ipaddress.IPv6Network
cdef object ip_interface = ipaddress.ip_interface
cdef object ip_network = ipaddress.ip_network


# ---- network -------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=1024)
def address_of(bytes payload, bint cidr):
    """Address where the mask covers one host, interface elsewhere; a cidr is a network. None for what is none."""
    cdef int bits = payload[1]
    packed = int.from_bytes(payload[4:], "big")
    if payload[0] == FAMILY_IPV4 and payload[3] == 4 and bits <= 32:
        if cidr:
            return IPv4Network((packed, bits))
        return IPv4Address(packed) if bits == 32 else IPv4Interface((packed, bits))
    if payload[0] == FAMILY_IPV6 and payload[3] == 16 and bits <= 128:
        if cidr:
            return IPv6Network((packed, bits))
        return IPv6Address(packed) if bits == 128 else IPv6Interface((packed, bits))
    return None


cdef object decode_inet(Codec codec, const uint8_t* data, Py_ssize_t length):
    # The same few addresses come again and again, and ipaddress takes most of a microsecond for one.
    address = None
    if 4 <= length <= 20 and length == 4 + data[3]:
        address = address_of(PyBytes_FromStringAndSize(<const char*>data, length), codec.parameter)
    if address is None:
        malformed("malformed network address")
    return address


cdef int encode_inet(Codec codec, pg_writer* out, object value) except -1:
    if isinstance(value, str):
        try:
            value = ip_network(value) if codec.parameter else ip_interface(value)
        except ValueError:
            refused("the text is no network" if codec.parameter else "the text is no network address")
    if isinstance(value, (IPv4Interface, IPv6Interface)):
        bits, address = value.network.prefixlen, value
        if codec.parameter and value.ip != value.network.network_address:
            refused("a cidr has no bits right of its mask; give the interface's .network")
    elif isinstance(value, (IPv4Address, IPv6Address)):
        bits, address = value.max_prefixlen, value
    elif isinstance(value, (IPv4Network, IPv6Network)):
        bits, address = value.prefixlen, value.network_address
    else:
        wrong_type("IPv4Network or IPv6Network" if codec.parameter else "IPv4Address or IPv6Address", value)
        return -1
    if getattr(address, "scope_id", None) is not None:
        refused("an address with a zone cannot be stored")
    packed = address.packed
    pg_put_u8(out, FAMILY_IPV4 if address.version == 4 else FAMILY_IPV6)
    pg_put_u8(out, bits)
    pg_put_u8(out, codec.parameter)
    pg_put_u8(out, len(packed))
    pg_put_bytes(out, <const char*><bytes>packed, len(packed))
    return 0


cdef object decode_macaddr(Codec codec, const uint8_t* data, Py_ssize_t length):
    cdef char text[24]
    if length != codec.parameter:
        bad_length(codec, codec.parameter, length)
    return PyUnicode_DecodeUTF8(text, pg_text_macaddr(data, length, text), NULL)


cdef int encode_macaddr(Codec codec, pg_writer* out, object value) except -1:
    cdef bytes packed
    if isinstance(value, str):
        try:
            packed = bytes.fromhex(value.replace(":", "").replace("-", "").replace(".", ""))
        except ValueError:
            refused("the text is no hardware address")
    elif isinstance(value, bytes):
        packed = value
    else:
        wrong_type("str", value)
        return -1
    if codec.parameter == 8 and len(packed) == 6:
        # As the server widens an EUI-48.
        packed = packed[:3] + b"\xff\xfe" + packed[3:]
    if len(packed) != codec.parameter:
        refused(f"a {codec.name} has {codec.parameter} bytes")
    pg_put_bytes(out, <const char*>packed, len(packed))
    return 0


# ---- bit strings ---------------------------------------------------------------------------------------


cdef object decode_bits(Codec codec, const uint8_t* data, Py_ssize_t length):
    cdef int32_t bits
    if length < 4:
        malformed("malformed bit string")
    bits = <int32_t>pg_load_u32(data)
    if bits < 0 or length - 4 != (<Py_ssize_t>bits + 7) // 8:
        malformed("malformed bit string")
    if bits % 8 and data[length - 1] & ((1 << (8 - bits % 8)) - 1):
        malformed("bits behind the last one of a bit string")
    return codec.factory(PyBytes_FromStringAndSize(<const char*>data + 4, length - 4), bits)


cdef int encode_bits(Codec codec, pg_writer* out, object value) except -1:
    if isinstance(value, str):
        if value.strip("01"):
            refused("a bit string consists of 0 and 1")
        value = codec.factory(value)
    if not isinstance(value, codec.factory):
        wrong_type("BitString", value)
    if value.length > INT32_MAX:
        refused("a bit string is at most 2147483647 bits long")
    pg_put_i32(out, value.length)
    pg_put_bytes(out, <const char*><bytes>value.data, len(value.data))
    return 0


# ---- geometry ------------------------------------------------------------------------------------------


cdef object point_at(Codec codec, const uint8_t* data):
    return codec.element.factory(pg_load_f64(data), pg_load_f64(data + 8))


cdef object decode_point(Codec codec, const uint8_t* data, Py_ssize_t length):
    if length != 16:
        bad_length(codec, 16, length)
    return codec.factory(pg_load_f64(data), pg_load_f64(data + 8))


cdef int put_floats(pg_writer* out, object value, Py_ssize_t count, str expected) except -1:
    if not isinstance(value, (tuple, list)) or len(value) != count:
        wrong_type(expected, value)
    for number in value:
        pg_put_f64(out, float_of(number))
    return 0


cdef int encode_point(Codec codec, pg_writer* out, object value) except -1:
    return put_floats(out, value, 2, "Point")


cdef object decode_line(Codec codec, const uint8_t* data, Py_ssize_t length):
    if length != 24:
        bad_length(codec, 24, length)
    return codec.factory(pg_load_f64(data), pg_load_f64(data + 8), pg_load_f64(data + 16))


cdef int encode_line(Codec codec, pg_writer* out, object value) except -1:
    return put_floats(out, value, 3, "Line")


cdef object decode_segment(Codec codec, const uint8_t* data, Py_ssize_t length):
    """lseg and box: two points."""
    if length != 32:
        bad_length(codec, 32, length)
    return codec.factory(point_at(codec, data), point_at(codec, data + 16))


cdef int encode_segment(Codec codec, pg_writer* out, object value) except -1:
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        wrong_type(codec.factory.__name__, value)
    put_floats(out, value[0], 2, "Point")
    return put_floats(out, value[1], 2, "Point")


cdef object read_points(Codec codec, const uint8_t* data, Py_ssize_t length):
    cdef uint32_t count, i
    if length < 4:
        malformed("malformed list of points")
    count = pg_load_u32(data)
    if <size_t>count * 16 != <size_t>length - 4:
        malformed("malformed list of points")
    return tuple([point_at(codec, data + 4 + 16 * i) for i in range(count)])


cdef int put_points(pg_writer* out, object points) except -1:
    if not isinstance(points, (tuple, list)):
        wrong_type("tuple of Point", points)
    pg_put_u32(out, <uint32_t>len(points))
    for point in points:
        put_floats(out, point, 2, "Point")
    return 0


cdef object decode_path(Codec codec, const uint8_t* data, Py_ssize_t length):
    if length < 5:
        malformed("malformed path")
    return codec.factory(read_points(codec, data + 1, length - 1), data[0] != 0)


cdef int encode_path(Codec codec, pg_writer* out, object value) except -1:
    if not isinstance(value, codec.factory):
        wrong_type("Path", value)
    pg_put_u8(out, 1 if value.closed else 0)
    return put_points(out, value.points)


cdef object decode_polygon(Codec codec, const uint8_t* data, Py_ssize_t length):
    return codec.factory(read_points(codec, data, length))


cdef int encode_polygon(Codec codec, pg_writer* out, object value) except -1:
    return put_points(out, value)


cdef object decode_circle(Codec codec, const uint8_t* data, Py_ssize_t length):
    if length != 24:
        bad_length(codec, 24, length)
    return codec.factory(point_at(codec, data), pg_load_f64(data + 16))


cdef int encode_circle(Codec codec, pg_writer* out, object value) except -1:
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        wrong_type("Circle", value)
    put_floats(out, value[0], 2, "Point")
    pg_put_f64(out, float_of(value[1]))
    return 0


# ---- money, positions, identifiers ---------------------------------------------------------------------


cdef object decode_money(Codec codec, const uint8_t* data, Py_ssize_t length):
    if length != 8:
        bad_length(codec, 8, length)
    return Decimal(pg_load_i64(data)).scaleb(-codec.parameter)


cdef int encode_money(Codec codec, pg_writer* out, object value) except -1:
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        wrong_type("Decimal", value)
    value = Decimal(value)
    if not value.is_finite():
        refused("money is finite")
    if value.adjusted() > 30:
        refused("out of range")
    with decimal.localcontext(decimal.Context(prec=60)):
        units = value.scaleb(codec.parameter)
        if units != units.to_integral_value():
            refused(f"money has {codec.parameter} digits behind the point")
    pg_put_i64(out, integer_of(int(units), INT64_MIN, INT64_MAX))
    return 0


cdef object decode_lsn(Codec codec, const uint8_t* data, Py_ssize_t length):
    if length != 8:
        bad_length(codec, 8, length)
    return codec.factory(pg_load_u64(data))


cdef int encode_lsn(Codec codec, pg_writer* out, object value) except -1:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        wrong_type("Lsn", value)
    try:
        value = codec.factory(value)
    except ValueError:
        refused("not a position of the write-ahead log")
    pg_put_u64(out, int(value))
    return 0


cdef object decode_tid(Codec codec, const uint8_t* data, Py_ssize_t length):
    if length != 6:
        bad_length(codec, 6, length)
    return codec.factory(pg_load_u32(data), pg_load_u16(data + 4))


cdef int encode_tid(Codec codec, pg_writer* out, object value) except -1:
    if not isinstance(value, tuple) or len(value) != 2:
        wrong_type("Tid", value)
    pg_put_u32(out, <uint32_t>integer_of(value[0], 0, UINT32_MAX))
    pg_put_u16(out, <uint16_t>integer_of(value[1], 0, UINT16_MAX))
    return 0


cdef object decode_snapshot(Codec codec, const uint8_t* data, Py_ssize_t length):
    cdef pg_reader reader
    cdef int32_t count
    pg_reader_init(&reader, data, length)
    count = pg_read_i32(&reader)
    xmin = pg_read_u64(&reader)
    xmax = pg_read_u64(&reader)
    if reader.failed or count < 0 or pg_reader_left(&reader) != <size_t>count * 8:
        malformed("malformed snapshot")
    return codec.factory(xmin, xmax, tuple([pg_read_u64(&reader) for _ in range(count)]))


cdef int encode_snapshot(Codec codec, pg_writer* out, object value) except -1:
    if not isinstance(value, codec.factory):
        wrong_type("Snapshot", value)
    pg_put_i32(out, <int32_t>len(value.xip))
    pg_put_i64(out, integer_of(value.xmin, 0, INT64_MAX))
    pg_put_i64(out, integer_of(value.xmax, 0, INT64_MAX))
    for xid in value.xip:
        pg_put_i64(out, integer_of(xid, 0, INT64_MAX))
    return 0


# ---- text with a form of its own -----------------------------------------------------------------------


cdef object decode_tsvector(Codec codec, const uint8_t* data, Py_ssize_t length):
    cdef Buffer text = Buffer()
    if pg_text_tsvector(data, length, &text.writer) != PG_OK:
        check(text.writer.status)
        malformed("malformed tsvector")
    return PyUnicode_DecodeUTF8(<const char*>text.writer.data, text.writer.length, NULL)


cdef int put_text(pg_writer* out, object value) except -1:
    cdef Py_ssize_t length
    cdef const char* text = PyUnicode_AsUTF8AndSize(value, &length)
    if memchr(text, 0, length) != NULL:
        refused("PostgreSQL text cannot hold the character U+0000")
    pg_put_bytes(out, text, length)
    return 0


cdef int encode_as_text(Codec codec, pg_writer* out, object value) except -1:
    """The text the server itself parses; for parameters only."""
    if not isinstance(value, str):
        wrong_type("str", value)
    return put_text(out, value)


cdef object decode_versioned(Codec codec, const uint8_t* data, Py_ssize_t length):
    """ltree, lquery, ltxtquery: text behind the version byte 1."""
    if length < 1 or data[0] != 1:
        malformed("a version other than 1")
    return PyUnicode_DecodeUTF8(<const char*>data + 1, length - 1, NULL)


cdef int encode_versioned(Codec codec, pg_writer* out, object value) except -1:
    if not isinstance(value, str):
        wrong_type("str", value)
    pg_put_u8(out, 1)
    return put_text(out, value)


cdef object decode_catalog_name(Codec codec, const uint8_t* data, Py_ssize_t length):
    return PyUnicode_DecodeUTF8(<const char*>data, length, NULL)


cdef int encode_catalog_name(Codec codec, pg_writer* out, object value) except -1:
    """regclass and the like: the name, or the OID."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(integer_of(value, 0, UINT32_MAX))
    elif not isinstance(value, str):
        wrong_type("str", value)
    return put_text(out, value)


def misc_codec(str kind not None, uint32_t oid, str name not None, factory=None, Codec element=None, int parameter=0):
    """A codec of one of the kinds below. `factory` makes its values, `element` is the codec of point for the geometry
    made of points; `parameter` is the number of bytes of a hardware address, of digits behind the point of money."""
    cdef Codec codec = Codec.__new__(Codec)
    codec.oid, codec.name, codec.factory, codec.element = oid, name, factory, element
    codec.python_type = factory
    codec.format = 1
    codec.parameter_format = 1
    codec.atomic = True
    codec.json_kind = PG_JSON_CALLBACK
    codec.parameter = parameter
    if kind == "inet":
        codec.decode, codec.encode, codec.json_kind = decode_inet, encode_inet, PG_JSON_INET
    elif kind == "cidr":
        codec.decode, codec.encode, codec.json_kind = decode_inet, encode_inet, PG_JSON_CIDR
        codec.parameter = 1
    elif kind == "macaddr":
        codec.decode, codec.encode, codec.json_kind = decode_macaddr, encode_macaddr, PG_JSON_MACADDR
        codec.python_type = str
    elif kind == "bits":
        codec.decode, codec.encode, codec.json_kind = decode_bits, encode_bits, PG_JSON_BITS
    elif kind == "point":
        codec.decode, codec.encode, codec.json_kind, codec.nesting = decode_point, encode_point, PG_JSON_POINT, 1
    elif kind == "line":
        codec.decode, codec.encode, codec.json_kind, codec.nesting = decode_line, encode_line, PG_JSON_LINE, 1
    elif kind == "segment":
        codec.decode, codec.encode, codec.json_kind, codec.nesting = decode_segment, encode_segment, PG_JSON_SEGMENT, 1
    elif kind == "path":
        codec.decode, codec.encode, codec.json_kind, codec.nesting = decode_path, encode_path, PG_JSON_PATH, 1
    elif kind == "polygon":
        codec.decode, codec.encode, codec.json_kind, codec.nesting = decode_polygon, encode_polygon, PG_JSON_POLYGON, 1
    elif kind == "circle":
        codec.decode, codec.encode, codec.json_kind, codec.nesting = decode_circle, encode_circle, PG_JSON_CIRCLE, 1
    elif kind == "money":
        codec.decode, codec.encode, codec.json_kind = decode_money, encode_money, PG_JSON_MONEY
        codec.python_type = Decimal
    elif kind == "lsn":
        codec.decode, codec.encode, codec.json_kind = decode_lsn, encode_lsn, PG_JSON_LSN
    elif kind == "tid":
        codec.decode, codec.encode, codec.json_kind, codec.nesting = decode_tid, encode_tid, PG_JSON_TID, 1
    elif kind == "snapshot":
        codec.decode, codec.encode, codec.json_kind, codec.nesting = decode_snapshot, encode_snapshot, PG_JSON_SNAPSHOT, 1
    elif kind == "tsvector":
        codec.decode, codec.encode, codec.json_kind = decode_tsvector, encode_as_text, PG_JSON_TSVECTOR
        codec.parameter_format = 0
        codec.python_type = str
    elif kind == "versioned":
        codec.decode, codec.encode, codec.json_kind = decode_versioned, encode_versioned, PG_JSON_VERSIONED_TEXT
        codec.python_type = str
    elif kind == "catalog_name":
        codec.decode, codec.encode, codec.json_kind = decode_catalog_name, encode_catalog_name, PG_JSON_TEXT
        codec.format = codec.parameter_format = 0
        codec.python_type = str
    else:
        raise ValueError(f"{kind!r} is no kind of codec")
    return codec
