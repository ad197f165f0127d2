"""Codecs: PostgreSQL's binary values to and from Python objects."""

from libc.stdint cimport uint8_t, uint32_t

from swift._speedups.pgwire cimport pg_writer


# The value of `length` bytes at `data`, SQL NULL never among them.
ctypedef object (*decode_t)(Codec codec, const uint8_t* data, Py_ssize_t length)
# Appends the payload of a value that is not None; the caller writes the length word before it and, when an
# exception is raised, rewinds the writer.
ctypedef int (*encode_t)(Codec codec, pg_writer* out, object value) except -1


cdef class Codec:
    cdef decode_t decode
    cdef encode_t encode
    cdef readonly uint32_t oid
    cdef readonly str name
    # 1 binary, 0 text: what to ask for in Bind and what `decode` speaks.
    cdef readonly int format
    # What `encode` speaks, where that is not `format`: text the server parses, which no array can carry.
    cdef readonly int parameter_format
    # Decoded values refer to no other object: a row of them needs no garbage collector.
    cdef readonly bint atomic
    # How csrc/pg_json.h writes a value of it.
    cdef readonly int json_kind
    # Of an array its element's codec, of a range its bound's, of a multirange its range's.
    cdef readonly Codec element
    # The exact type of its values, NULL and `factory` aside; None where they have several.
    cdef readonly object python_type
    # Holds what Python's own type cannot: infinite timestamps, intervals, ranges, ...
    cdef readonly object factory
    # Inside an array, what of a value is one more dimension: 0 lists and tuples, 1 lists only, 2 nothing.
    cdef readonly int nesting
    # What the kind alone does not say: fraction digits of money, the size of a float of a vector.
    cdef readonly int parameter
    cdef Codec clone(self)


cdef class Registry:
    cdef readonly dict codecs
    # None for an unknown type.
    cdef Codec codec(self, uint32_t oid)


cdef class Buffer:
    """A pg_writer owned by Python: for tests and for code that is not on the hot path."""
    cdef pg_writer writer


cdef object decode_nullable(Codec codec, const uint8_t* data, Py_ssize_t length)
# A value with its length word; None is NULL.
cdef int encode_value(Codec codec, pg_writer* out, object value) except -1
# Format codes, count and values of a Bind message. On an exception the writer is as it was before.
cdef int encode_parameters(list codecs, tuple args, pg_writer* out) except -1
# One tuple of binary COPY: field count and values.
cdef int encode_record(list codecs, object record, pg_writer* out) except -1

# Raise in the words of every codec; the outer layer adds column or parameter and the type's name.
cdef int bad_length(Codec codec, Py_ssize_t expected, Py_ssize_t length) except -1
cdef int malformed(str reason) except -1
cdef int wrong_type(str expected, object value) except -1
cdef int refused(str reason) except -1
# Turns the status of a writer or a csrc function into an exception.
cdef int check(int status) except -1
cdef long long integer_of(object value, long long lowest, long long highest) except? -1
cdef double float_of(object value) except? -1.0
