from libc.stdint cimport uint8_t

# What `receive` and `send` answer when the socket would block.
cdef enum:
    WOULD_BLOCK = -1


cdef class Socket:
    cdef readonly object socket
    cdef readonly object tls
    cdef object _incoming
    cdef object _outgoing
    cdef bytes _unsent
    cdef Py_ssize_t _unsent_from
    cdef long long _fd
    cdef Py_ssize_t receive(self, uint8_t* into, size_t room) except -2
    cdef Py_ssize_t send(self, const uint8_t* data, size_t length) except -2
    cdef bint unsent(self)
    cdef Py_ssize_t _raw_receive(self, uint8_t* into, size_t room) except -2
    cdef Py_ssize_t _raw_send(self, const uint8_t* data, size_t length) except -2
    cdef bint _send_records(self) except -1
    cpdef str wait(self, bint write, double seconds)
    cpdef close(self)
