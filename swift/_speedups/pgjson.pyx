"""Rows to JSON: the plan that csrc/pg_json.h follows, and the one way back into Python, for types of the user."""

import ipaddress

import msgspec

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t

from swift._speedups.pgvalues cimport Codec, check
from swift._speedups.pgvalues import DecodeError, json_default
from swift._speedups.pgwire cimport PG_NO_MEMORY, PG_OK, PG_TOO_LONG, pg_put_bytes, pg_writer


cdef extern from "pg_json.h":
    const int PG_JSON_CALLBACK
    const int PG_JSON_INT8
    const int PG_JSON_NUMERIC
    const int PG_JSON_ARRAY
    const int PG_JSON_COMPOSITE
    const int PG_JSON_RANGE
    const int PG_JSON_MULTIRANGE
    const int PG_JSON_INET
    const int PG_JSON_CIDR
    const int PG_JSON_MONEY
    const int PG_JSON_MACADDR
    int pg_json_row(const pg_json_plan* plan, const uint8_t* datarow, size_t length, pg_writer* out, int* column)


# An exception of a callback passes through C as this status, which no function of csrc returns.
cdef extern from *:
    """
    #define SWIFT_RAISED (-100)
    static int swift_raise_again(int status) { return status == SWIFT_RAISED && PyErr_Occurred() ? -1 : 0; }
    """
    const int SWIFT_RAISED
    int swift_raise_again(int status) except -1


cdef object encode_json = msgspec.json.encode
# CPython 3.13 began to print IPv4-mapped addresses with dots.
cdef int MAPPED_DOTTED = str(ipaddress.IPv6Address("::ffff:1.2.3.4")) == "::ffff:1.2.3.4"


cdef int write_decoded(void* context, const uint8_t* data, size_t length, pg_writer* out) except -100:
    cdef Codec codec = <Codec>context
    cdef bytes text = encode_json(codec.decode(codec, data, length), enc_hook=json_default)
    pg_put_bytes(out, PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))
    return out.status


@cython.final
cdef class JsonPlan:
    """How rows with these columns become JSON objects; of several columns with one name the first is written.

    `bare`: the first column's value alone. `numeric_as_number`: numeric without quotes, NaN as null.
    `big_integers_as_text`: int8 beyond 2**53 - 1 in quotes.
    """

    def __init__(self, names, codecs, bint bare=False, bint numeric_as_number=False, bint big_integers_as_text=False):
        cdef Py_ssize_t i
        cdef pg_json_node* nodes
        self.names = tuple(names)
        self.codecs = tuple(codecs)
        self.blocks = []
        self.held = []
        self.numeric_as_number = numeric_as_number
        self.big_integers_as_text = big_integers_as_text
        nodes = <pg_json_node*>self.block(len(self.codecs) * sizeof(pg_json_node))
        for i in range(len(self.codecs)):
            self.node(&nodes[i], <Codec>self.codecs[i])
        self.plan.count = len(self.codecs)
        self.plan.columns = nodes
        self.plan.bare = bare
        keys = []
        seen = set()
        for i, name in enumerate(self.names):
            if bare:
                keys.append(None if i else b"")
            elif name in seen:
                keys.append(None)
            else:
                keys.append((b"," if seen else b"{") + encode_json(name) + b":")
            seen.add(name)
        self.keep(keys, <const char***>&self.plan.keys, <size_t**>&self.plan.key_lengths)

    cdef void* block(self, size_t size) except NULL:
        # A bytes object owns the memory: it is freed with the plan, and never moves.
        cdef bytes memory = bytes(size + 1)
        self.blocks.append(memory)
        return <void*>PyBytes_AS_STRING(memory)

    cdef int keep(self, list keys, const char*** texts, size_t** lengths) except -1:
        cdef Py_ssize_t i
        cdef bytes key
        texts[0] = <const char**>self.block(len(keys) * sizeof(char*))
        lengths[0] = <size_t*>self.block(len(keys) * sizeof(size_t))
        for i, key in enumerate(keys):
            if key is None:
                texts[0][i] = NULL
                continue
            self.held.append(key)
            texts[0][i] = PyBytes_AS_STRING(key)
            lengths[0][i] = PyBytes_GET_SIZE(key)
        return 0

    cdef int node(self, pg_json_node* node, Codec codec) except -1:
        cdef Py_ssize_t i
        cdef pg_json_node* children
        node.kind = codec.json_kind
        node.oid = codec.oid
        if node.kind == PG_JSON_CALLBACK:
            self.held.append(codec)
            node.callback = write_decoded
            node.context = <void*>codec
        elif node.kind in (PG_JSON_ARRAY, PG_JSON_RANGE, PG_JSON_MULTIRANGE):
            children = <pg_json_node*>self.block(sizeof(pg_json_node))
            self.node(children, codec.element)
            node.count = 1
            node.children = children
        elif node.kind == PG_JSON_COMPOSITE:
            fields = codec.fields
            children = <pg_json_node*>self.block(len(fields) * sizeof(pg_json_node))
            for i in range(len(fields)):
                self.node(&children[i], <Codec>fields[i])
            node.count = len(fields)
            node.children = children
            keys = [encode_json(name) + b":" for name in codec.columns.names]
            self.keep(keys, <const char***>&node.keys, <size_t**>&node.key_lengths)
        elif node.kind in (PG_JSON_INET, PG_JSON_CIDR):
            node.parameter = MAPPED_DOTTED
        elif node.kind in (PG_JSON_MONEY, PG_JSON_MACADDR):
            node.parameter = codec.parameter
        elif node.kind == PG_JSON_NUMERIC:
            node.parameter = self.numeric_as_number
        elif node.kind == PG_JSON_INT8:
            node.parameter = self.big_integers_as_text
        return 0

    cdef int write(self, const uint8_t* data, Py_ssize_t length, pg_writer* out) except -1:
        cdef int column
        cdef int status = pg_json_row(&self.plan, data, length, out, &column)
        cdef Codec codec
        if status == PG_OK:
            return 0
        if status == PG_NO_MEMORY or status == PG_TOO_LONG:
            check(status)
        if column < 0:
            raise DecodeError(f"a malformed row of other than {len(self.codecs)} whole fields")
        codec = self.codecs[column]
        try:
            swift_raise_again(status)
        except Exception as error:
            reason = error.reason if isinstance(error, DecodeError) else f"its decoder raised `{type(error).__name__}`"
            raise DecodeError(reason, self.names[column], codec.name) from error
        raise DecodeError("malformed value", self.names[column], codec.name)
