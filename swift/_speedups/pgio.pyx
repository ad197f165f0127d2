# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""The socket below a connection: bytes in and out without waiting, plain or through TLS.

Both transports stand on it. The socket is always non-blocking; the asyncio transport is told by the loop when
there is something to do, the blocking one calls `wait`. TLS runs over memory buffers, so that it is the same code
for both, and so that nothing is read from the socket before the handshake but what the handshake itself consumes.
"""

from __future__ import annotations

import socket as socket_module
import ssl

from cpython.exc cimport PyErr_CheckSignals
from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport uint8_t

cdef extern from * nogil:
    """
    #include <errno.h>
    #ifdef _WIN32
    #include <winsock2.h>
    typedef WSAPOLLFD swift_pollfd;
    #define swift_poll(f, n, t) WSAPoll(f, n, t)
    #define SWIFT_SEND_FLAGS 0
    static void swift_errno(void) { errno = WSAGetLastError() == WSAEWOULDBLOCK ? EAGAIN : ECONNRESET; }
    #else
    #include <poll.h>
    #include <sys/socket.h>
    #include <sys/types.h>
    typedef struct pollfd swift_pollfd;
    #define swift_poll(f, n, t) poll(f, n, t)
    #ifdef MSG_NOSIGNAL
    #define SWIFT_SEND_FLAGS MSG_NOSIGNAL
    #else
    #define SWIFT_SEND_FLAGS 0
    #endif
    static void swift_errno(void) {}
    #endif
    static Py_ssize_t swift_recv(long long fd, void *into, size_t room) {
        Py_ssize_t n = recv(fd, into, room, 0);
        if (n < 0) swift_errno();
        return n;
    }
    static Py_ssize_t swift_send(long long fd, const void *data, size_t length) {
        Py_ssize_t n = send(fd, data, length, SWIFT_SEND_FLAGS);
        if (n < 0) swift_errno();
        return n;
    }
    /* 1 when ready, 0 when the time is over, -1 for an error in errno. */
    static int swift_wait(long long fd, int write, int milliseconds) {
        swift_pollfd one;
        one.fd = fd;
        one.events = POLLIN | (write ? POLLOUT : 0);
        one.revents = 0;
        int n = swift_poll(&one, 1, milliseconds);
        if (n <= 0) return n;
        return 1 | ((one.revents & (POLLOUT)) ? 2 : 0) | ((one.revents & ~POLLOUT) ? 4 : 0);
    }
    """
    Py_ssize_t swift_recv(long long fd, void* into, size_t room)
    Py_ssize_t swift_send(long long fd, const void* data, size_t length)
    int swift_wait(long long fd, int write, int milliseconds)

# A TLS record holds 16 KiB; some of them are taken from the socket at once.
DEF RECORDS = 65536
# What is encrypted ahead of the socket.
DEF AHEAD = 262144


cdef class Socket:
    """A connected socket, which it owns from now on and makes non-blocking."""

    def __cinit__(self, sock):
        self.socket = sock
        self.tls = None
        self._unsent = b""
        self._unsent_from = 0
        sock.setblocking(False)
        self._fd = sock.fileno()

    @property
    def fd(self):
        return self._fd

    # ---- TLS

    def start_tls(self, context, server_hostname=None):
        """The handshake begins with the next `handshake()`; nothing received before counts as TLS."""
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_hostname)

    def handshake(self):
        """One step: `"read"` or `"write"` for what it waits for, None when it is complete."""
        cdef bytearray chunk
        cdef Py_ssize_t n
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                if not self._send_records():
                    return "write"
                chunk = bytearray(RECORDS)
                n = self._raw_receive(<uint8_t*> <char*> chunk, RECORDS)
                if n == WOULD_BLOCK:
                    return "read"
                if n == 0:
                    self._incoming.write_eof()
                else:
                    self._incoming.write(memoryview(chunk)[:n])
            except ssl.SSLError:
                # The alert says why; the peer shall hear it.
                self._send_records()
                raise
            else:
                return None if self._send_records() else "write"

    # ---- bytes

    cdef Py_ssize_t _raw_receive(self, uint8_t* into, size_t room) except -2:
        cdef Py_ssize_t n
        while True:
            n = swift_recv(self._fd, into, room)
            if n >= 0:
                return n
            if errno == EAGAIN:
                return WOULD_BLOCK
            if errno != EINTR:
                raise OSError(errno, _strerror(errno))
            PyErr_CheckSignals()

    cdef Py_ssize_t _raw_send(self, const uint8_t* data, size_t length) except -2:
        cdef Py_ssize_t n
        while True:
            n = swift_send(self._fd, data, length)
            if n >= 0:
                return n
            if errno == EAGAIN:
                return WOULD_BLOCK
            if errno != EINTR:
                raise OSError(errno, _strerror(errno))
            PyErr_CheckSignals()

    cdef bint _send_records(self) except -1:
        """Sends what TLS has encrypted; True when nothing of it is left."""
        cdef Py_ssize_t n
        while True:
            if self._unsent_from == len(self._unsent):
                if not self._outgoing.pending:
                    return True
                self._unsent = self._outgoing.read()
                self._unsent_from = 0
            n = self._raw_send(
                <const uint8_t*> <const char*> self._unsent + self._unsent_from,
                len(self._unsent) - self._unsent_from,
            )
            if n == WOULD_BLOCK:
                return False
            self._unsent_from += n

    cdef bint unsent(self):
        """Whether encrypted bytes wait for the socket."""
        return self.tls is not None and (self._unsent_from < len(self._unsent) or self._outgoing.pending > 0)

    cdef Py_ssize_t receive(self, uint8_t* into, size_t room) except -2:
        """Bytes read; 0 at the end of the stream, WOULD_BLOCK when there are none now. Raises OSError.

        Through TLS more may be at hand than `room` had place for: call until WOULD_BLOCK.
        """
        cdef Py_ssize_t n
        cdef bytearray chunk
        if self.tls is None:
            return self._raw_receive(into, room)
        while True:
            try:
                return self.tls.read(room, <uint8_t[:room]> into)
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLZeroReturnError:
                return 0
            except ssl.SSLEOFError:
                return 0
            chunk = bytearray(RECORDS)
            n = self._raw_receive(<uint8_t*> <char*> chunk, RECORDS)
            if n == WOULD_BLOCK:
                # A key update may have asked for an answer.
                self._send_records()
                return WOULD_BLOCK
            if n == 0:
                self._incoming.write_eof()
            else:
                self._incoming.write(memoryview(chunk)[:n])

    cdef Py_ssize_t send(self, const uint8_t* data, size_t length) except -2:
        """Bytes taken over, or WOULD_BLOCK. Raises OSError. Through TLS, see also `unsent`."""
        if self.tls is None:
            return self._raw_send(data, length)
        if not self._send_records():
            return WOULD_BLOCK
        if length == 0:
            return 0
        if length > AHEAD:
            length = AHEAD
        n = self.tls.write(<uint8_t[:length]> <uint8_t*> data)
        self._send_records()
        return n

    def read(self, size_t most=RECORDS):
        """At most `most` bytes; b"" at the end of the stream, None when there are none now."""
        cdef bytearray chunk = bytearray(most)
        cdef Py_ssize_t n = self.receive(<uint8_t*> <char*> chunk, most)
        return None if n == WOULD_BLOCK else bytes(chunk[:n])

    def write(self, bytes data):
        """How many bytes of `data` were taken over; 0 when the socket would block."""
        cdef Py_ssize_t n = self.send(<const uint8_t*> <const char*> data, len(data))
        return 0 if n == WOULD_BLOCK else n

    @property
    def flushed(self):
        """Sends what TLS still holds; True when nothing is left."""
        return self.tls is None or self._send_records()

    cpdef str wait(self, bint write, double seconds):
        """Blocks until the socket can be read ("read") or, if `write`, written ("write"); None after `seconds`.

        A negative number of seconds waits for ever. Other threads run meanwhile, signals interrupt.
        """
        cdef int milliseconds = -1 if seconds < 0 else <int> min(seconds * 1000 + 0.999, 2e9)
        cdef int found
        with nogil:
            found = swift_wait(self._fd, write, milliseconds)
        if found < 0:
            if errno != EINTR:
                raise OSError(errno, _strerror(errno))
            PyErr_CheckSignals()
            return "read"
        if found == 0:
            return None
        return "write" if write and found & 2 else "read"

    cpdef close(self):
        """Closes at once; a second call does nothing."""
        if self._fd < 0:
            return
        self._fd = -1
        if self.tls is not None:
            self._incoming.write_eof()
        self.socket.close()

    def say_goodbye(self, bytes last=b""):
        """Writes `last` and TLS's own close_notify as far as the socket takes them now; errors do not matter."""
        if self._fd < 0:
            return
        try:
            if last:
                self.write(last)
            if self.tls is not None:
                try:
                    self.tls.unwrap()
                except ssl.SSLError:
                    pass
                self._send_records()
            self.socket.shutdown(socket_module.SHUT_WR)
        except OSError:
            pass


cdef str _strerror(int number):
    import os
    return os.strerror(number)
