"""The plan of csrc/pg_json.h for the codecs of a result."""

from libc.stdint cimport uint8_t

from swift._speedups.pgvalues cimport Codec
from swift._speedups.pgwire cimport pg_writer


cdef extern from "pg_json.h":
    ctypedef struct pg_json_node:
        int kind
        int parameter
        unsigned int oid
        size_t count
        const pg_json_node* children
        const char* const* keys
        const size_t* key_lengths
        int (*callback)(void* context, const uint8_t* data, size_t length, pg_writer* out) except -100
        void* context

    ctypedef struct pg_json_plan:
        size_t count
        const pg_json_node* columns
        const char* const* keys
        const size_t* key_lengths
        bint bare


cdef class JsonPlan:
    cdef pg_json_plan plan
    # Memory of the nodes and keys, and the objects they point to.
    cdef list blocks
    cdef list held
    cdef readonly bint numeric_as_number
    cdef readonly bint big_integers_as_text
    cdef tuple names
    cdef tuple codecs
    # One DataRow's payload as an object. Raises DecodeError with column and type.
    cdef int write(self, const uint8_t* data, Py_ssize_t length, pg_writer* out) except -1
    cdef void* block(self, size_t size) except NULL
    cdef int node(self, pg_json_node* node, Codec codec) except -1
    # Keys as bytes, None for a column that is left out.
    cdef int keep(self, list keys, const char*** texts, size_t** lengths) except -1
