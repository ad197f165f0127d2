"""What the codecs of other containers use of the arrays' own."""

from swift._speedups.pgvalues cimport Codec
from swift._speedups.pgwire cimport pg_reader


# The next value behind its length word; None for NULL.
cdef object decode_field(Codec codec, pg_reader* reader)
# A list or tuple of the items of a sequence, a set or an array of numpy; text, bytes and mappings raise.
cdef object as_sequence(object value)
