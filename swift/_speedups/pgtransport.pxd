from swift._speedups.pgcore cimport Channel, Connection, Query
from swift._speedups.pgio cimport Socket


cdef class Flusher:
    """Gathers what one tick of a loop writes: one send per connection."""

    cdef readonly object loop
    cdef list channels
    cdef bint scheduled
    # Counts the gatherings so far.
    cdef long long tick
    # Inside a callback of ours, at whose end everything is flushed anyway.
    cdef int inside
    cdef int add(self, LoopChannel channel) except -1
    cdef int flush(self) except -1


cdef class LoopChannel(Channel):
    cdef readonly Connection connection
    cdef readonly Socket socket
    cdef Flusher flusher
    cdef bint dirty
    cdef bint writing
    cdef readonly bint reading
    cdef object broken
    cdef object drained
    cdef object closing
    cdef int send(self) except -1
    cdef int receive(self) except -1


cdef class BlockingChannel(Channel):
    cdef readonly Connection connection
    cdef readonly Socket socket
    cdef object broken
    cdef int send(self) except -1
    cdef int receive(self) except -1
