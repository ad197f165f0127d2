# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""What carries a connection's bytes: an event loop that calls back, or a thread that waits.

Under a loop, reading is a callback of `add_reader`; the answers of a chunk are parsed, the tasks that waited for
them run at once (futures' `release_wakes`), and what they wrote goes out at the end of the same callback. What is
written elsewhere goes out once per tick of the loop, or at once when the connection is idle: there is nothing to
gather with.
"""

from __future__ import annotations

from libc.stdint cimport uint8_t

from swift._speedups.futures cimport PENDING, hold_wakes, release_wakes
from swift._speedups.pgcore cimport Channel, Connection, Query
from swift._speedups.pgio cimport WOULD_BLOCK, Socket
from swift._speedups.pgcore import monotonic

# Reads of one callback, so that one fast server does not keep the loop from its other work.
DEF READS = 8


cdef class Flusher:
    def __cinit__(self, loop):
        self.loop = loop
        self.channels = []

    cdef int add(self, LoopChannel channel) except -1:
        self.channels.append(channel)
        if not self.scheduled and not self.inside:
            self.scheduled = True
            self.loop.call_soon(self.run)
        return 0

    def run(self):
        """Called by the loop: everything that was written since."""
        self.scheduled = False
        self.flush()

    cdef int flush(self) except -1:
        cdef list channels
        cdef LoopChannel channel
        self.tick += 1
        while self.channels:
            channels, self.channels = self.channels, []
            for channel in channels:
                channel.dirty = False
                channel.send()
        return 0


cdef class LoopChannel(Channel):
    """A connection's bytes under an event loop with add_reader (uvloop, asyncio's selector loops)."""

    def __cinit__(self, Flusher flusher not None, Connection connection not None, Socket socket not None):
        self.flusher = flusher
        self.connection = connection
        self.socket = socket
        connection.channel = self
        self.resume()

    @property
    def loop(self):
        return self.flusher.loop

    # ---- writing

    cdef int want_flush(self) except -1:
        if self.dirty or self.writing:
            return 0
        if not self.flusher.inside and self.connection.depth <= 1 and self.connection.producer is None:
            return self.send()
        self.dirty = True
        return self.flusher.add(self)

    cdef int send(self) except -1:
        """As much as the socket takes; a full socket calls back."""
        cdef Connection connection = self.connection
        cdef Py_ssize_t n
        if self.broken is not None or self.closing is not None:
            return 0
        try:
            while connection.unsent():
                n = self.socket.send(connection.outgoing.data + connection.sent, connection.unsent())
                if n == WOULD_BLOCK:
                    break
                connection.flushed(n)
            if connection.unsent() or self.socket.unsent():
                if self.socket.unsent() and not connection.unsent():
                    self.socket.send(NULL, 0)
                if not self.writing and (connection.unsent() or self.socket.unsent()):
                    self.writing = True
                    self.flusher.loop.add_writer(self.socket._fd, self.writable)
            elif self.writing:
                self.writing = False
                self.flusher.loop.remove_writer(self.socket._fd)
        except OSError as error:
            # What the server said before it hung up is still to be read: its reason may be there.
            self.broken = error
            self.stop_writing()
            self.flusher.loop.call_soon(self.readable)
        if self.drained is not None and connection.unsent() < 65536:
            self.tell_drained()
        return 0

    def writable(self):
        """Called by the loop: the socket takes bytes again."""
        self.send()

    def on_drained(self, callback):
        """`callback()` once, when little is left to be sent, or the connection is lost."""
        if self.connection.closed is not None or self.broken is not None or self.connection.unsent() < 65536:
            callback()
        else:
            self.drained = callback

    def tell_drained(self):
        callback, self.drained = self.drained, None
        callback()

    def stop_writing(self):
        if self.writing:
            self.writing = False
            self.flusher.loop.remove_writer(self.socket._fd)

    # ---- reading

    def pause(self):
        """Reads no more until `resume`: the server notices by its own full socket."""
        if self.reading:
            self.reading = False
            self.flusher.loop.remove_reader(self.socket._fd)

    def resume(self):
        """Reads again."""
        if not self.reading and self.closing is None and self.connection.closed is None:
            self.reading = True
            self.flusher.loop.add_reader(self.socket._fd, self.readable)

    def readable(self):
        """Called by the loop: bytes, or the end."""
        cdef Flusher flusher = self.flusher
        if self.closing is not None:
            return
        flusher.inside += 1
        try:
            hold_wakes()
            try:
                try:
                    self.receive()
                except OSError as error:
                    self.connection.lost(self.broken or error)
                self.connection.wake()
            finally:
                release_wakes()
        finally:
            flusher.inside -= 1
            if flusher.inside == 0:
                flusher.flush()
            if self.connection.closed is not None:
                self.close()

    cdef int receive(self) except -1:
        cdef Connection connection = self.connection
        cdef uint8_t* into
        cdef size_t room
        cdef Py_ssize_t n
        cdef int reads = 0
        while connection.closed is None:
            connection.room(&into, &room)
            n = self.socket.receive(into, room)
            if n == WOULD_BLOCK:
                if self.broken is not None:
                    connection.lost(self.broken)
                return 0
            if n == 0:
                connection.lost(self.broken)
                return 0
            connection.received(n)
            reads += 1
            if self.socket.tls is None and (<size_t> n < room or reads == READS):
                return 0
        return 0

    # ---- the end

    def close(self, bytes last=b"X\0\0\0\x04"):
        """Says Terminate as far as the socket takes it, and closes. What is unanswered fails."""
        if self.closing is not None:
            return
        self.pause()
        self.stop_writing()
        self.closing = True
        self.connection.close()
        if last and self.broken is None:
            self.socket.say_goodbye(last)
        self.socket.close()
        if self.drained is not None:
            self.tell_drained()

    def forget(self):
        """Closes the socket without a word to the server: the session belongs to a parent process."""
        self.closing = True
        self.reading = self.writing = False
        self.connection.close()
        self.socket.close()


cdef class BlockingChannel(Channel):
    """A connection's bytes for a thread that waits for its answers."""

    def __cinit__(self, Connection connection not None, Socket socket not None):
        self.connection = connection
        self.socket = socket
        connection.channel = self

    cdef int send(self) except -1:
        cdef Connection connection = self.connection
        cdef Py_ssize_t n
        if self.broken is not None:
            return 0
        try:
            while connection.unsent():
                n = self.socket.send(connection.outgoing.data + connection.sent, connection.unsent())
                if n == WOULD_BLOCK:
                    return 0
                connection.flushed(n)
            if self.socket.unsent():
                self.socket.send(NULL, 0)
        except OSError as error:
            self.broken = error
        return 0

    cdef int receive(self) except -1:
        cdef Connection connection = self.connection
        cdef uint8_t* into
        cdef size_t room
        cdef Py_ssize_t n
        try:
            while connection.closed is None:
                connection.room(&into, &room)
                n = self.socket.receive(into, room)
                if n == WOULD_BLOCK:
                    if self.broken is not None:
                        connection.lost(self.broken)
                    break
                if n == 0:
                    connection.lost(self.broken)
                    break
                connection.received(n)
                if self.socket.tls is None and <size_t> n < room:
                    break
        except OSError as error:
            connection.lost(self.broken or error)
        connection.wake()
        return 0

    def step(self, double seconds=-1):
        """Sends what there is and waits once for bytes; False when `seconds` passed without any."""
        cdef Connection connection = self.connection
        self.send()
        if self.broken is not None:
            self.receive()
            return True
        what = self.socket.wait(connection.unsent() > 0 or self.socket.unsent(), seconds)
        if what is None:
            return False
        if what == "read":
            self.receive()
        if connection.closed is not None:
            self.close()
        return True

    def run(self, Query query not None, double seconds=-1):
        """Waits until the query is settled; False when `seconds` passed before."""
        cdef double end = monotonic() + seconds
        cdef double left = -1
        while query.state == PENDING:
            if seconds >= 0:
                left = end - monotonic()
                if left <= 0:
                    return False
            if not self.step(left):
                return False
        return True

    def flush(self, size_t most=0):
        """Waits until at most `most` bytes are left to be sent."""
        self.send()
        while self.connection.unsent() > most and self.connection.closed is None:
            self.step()

    def close(self, bytes last=b"X\0\0\0\x04"):
        """Says Terminate as far as the socket takes it, and closes. What is unanswered fails."""
        if self.socket._fd < 0:
            return
        self.connection.close()
        if last and self.broken is None:
            self.socket.say_goodbye(last)
        self.socket.close()

    def forget(self):
        """Closes the socket without a word to the server: the session belongs to a parent process."""
        self.connection.close()
        self.socket.close()
