"""Rows: DataRow messages to Row, tuple, dict, Struct, dataclass, scalar or JSON bytes."""

from cpython.object cimport PyObject
from libc.stdint cimport uint8_t

from swift._speedups.pgjson cimport JsonPlan
from swift._speedups.pgvalues cimport Codec, decode_t
from swift._speedups.pgwire cimport pg_writer


cdef class Columns:
    # Names in the order of the result; `index` maps each to its first position.
    cdef readonly tuple names
    cdef readonly dict index
    # The names that are attributes of a Row: all but those of Row's own methods.
    cdef dict attributes


cdef class Row:
    cdef Columns _columns
    cdef tuple _values


cdef struct Cell:
    decode_t decode
    PyObject* codec
    # Where the value goes; -1 leaves the column undecoded.
    Py_ssize_t slot
    bint nullable
    # Borrowed from the decoder's `holders`: the only exact type that passes unconverted, and what converts others.
    PyObject* expected
    PyObject* convert


cdef class RowDecoder:
    cdef readonly Columns columns
    cdef readonly tuple codecs
    # None for Row, tuple, dict, "scalar", a msgspec Struct, a dataclass or a NamedTuple.
    cdef readonly object into
    cdef int shape
    cdef Py_ssize_t count
    cdef Py_ssize_t slots
    cdef Py_ssize_t positional
    cdef tuple keywords
    cdef list holders
    cdef Cell* cells
    cdef PyObject** scratch
    cdef bint busy
    cdef bint atomic
    cdef Py_ssize_t position
    cdef JsonPlan json
    # The payload of one DataRow to what `into` says. Raises pgvalues.DecodeError, which names column and type.
    cdef object decode(self, const uint8_t* data, Py_ssize_t length)
    # Appends every DataRow of a run of whole messages, headers included, to `rows`; other messages are an error.
    cdef int decode_frames(self, const uint8_t* data, Py_ssize_t length, list rows) except -1
    # The payload of one DataRow as a JSON object (with into="scalar": as a bare value).
    cdef int write_json(self, const uint8_t* data, Py_ssize_t length, pg_writer* out) except -1
    # The same for a run of whole messages, headers included: a JSON array.
    cdef int write_json_frames(self, const uint8_t* data, Py_ssize_t length, pg_writer* out) except -1
    cdef object _decode(self, const uint8_t* data, Py_ssize_t length)
    cdef int _fill(self, PyObject** out, const uint8_t* data, Py_ssize_t length) except -1
    cdef object _call(self, const uint8_t* data, Py_ssize_t length)
    cdef object _failure(self, object error)
