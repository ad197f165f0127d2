"""Futures and time: `sleep` and `with_timeout`."""

cimport cython
from cpython.object cimport PyObject

from swift._speedups.futures cimport PENDING, CANCELLED, Future, as_future, leave_source, running_loop

cdef extern from "Python.h":
    unsigned long PyThread_get_thread_ident() nogil
    PyObject* PyThreadState_GetDict()
    PyObject* PyDict_GetItem(object mapping, object key)


@cython.final
cdef class Timer(Future):
    """Of `sleep`."""

    cdef object handle
    cdef object value

    def elapsed(self):
        self.handle = None
        if self.state == PENDING:
            self.resolve(self.value)

    cdef int on_cancel(self) except -1:
        handle = self.handle
        self.handle = None
        handle.cancel()
        return 0


@cython.final
cdef class Timeouts:
    """The deadlines of one length in one loop: the first to come is the first to end, so one timer serves all.

    PERF: a timer of the loop's own for each costs more than all the rest of `with_timeout`.
    """

    cdef object loop
    cdef double seconds
    # Deadline -> the loop's time at which it ends, in that order.
    cdef dict waiting
    # Where this one is found, by its length.
    cdef dict home

    cdef int add(self, Deadline deadline) except -1:
        cdef double when = self.loop.time() + self.seconds
        deadline.timeouts = self
        if self.waiting is None:
            self.loop.call_at(when, self.expire)
            self.waiting = {}
        self.waiting[deadline] = when
        return 0

    def expire(self):
        """The timer of the one that was first when it was set; most often that has its value by now."""
        # Loops round: uvloop's timers go by whole milliseconds.
        cdef double now = self.loop.time() + 0.001
        cdef list ended = []
        cdef object raised = None
        for deadline, when in self.waiting.items():
            if when > now:
                self.loop.call_at(when, self.expire)
                break
            ended.append(deadline)
        else:
            self.waiting = None
            if self.home.get(self.seconds) is self:
                del self.home[self.seconds]
        for deadline in ended:
            try:
                (<Deadline>deadline).expire()
            except BaseException as error:
                raised = error
        if raised is not None:
            raise raised


@cython.final
cdef class Deadline(Future):
    """Of `with_timeout`."""

    cdef Timeouts timeouts
    cdef Future source

    cdef int notify(self, Future source) except -1:
        if self.state != PENDING:
            return 0
        if self.thread != PyThread_get_thread_ident():
            self.loop.call_soon_threadsafe(self.notified, source)
            return 0
        self.forget()
        return self.copy_outcome(source)

    def notified(self, Future source not None):
        if self.state == PENDING:
            self.forget()
            self.copy_outcome(source)

    cdef Future forget(self):
        """Wait no longer, for neither the source nor the time."""
        cdef Future source = self.source
        cdef dict waiting = self.timeouts.waiting
        self.source = None
        if waiting is not None:
            waiting.pop(self, None)
        return source

    cdef int expire(self) except -1:
        if self.state != PENDING:
            return 0
        try:
            leave_source(self, self.forget())
        finally:
            self.fail(TimeoutError(f"Nothing arrived within {self.timeouts.seconds:g} s."))
        return 0

    cdef bint abandon(self, object message) except -1:
        if self.state != PENDING:
            return False
        leave_source(self, self.forget())
        self.settle(CANCELLED, message, None)
        return True


# As many lengths per thread share their timers; with more, deadlines are no longer of a few kinds.
cdef enum:
    MOST_LENGTHS = 64

cdef object TIMEOUTS = "swift._speedups.futures.timeouts"


cdef Timeouts timeouts_of(object loop, double seconds):
    """The deadlines of that length in the loop that runs on this thread."""
    cdef PyObject* state = PyThreadState_GetDict()
    cdef PyObject* found = PyDict_GetItem(<object>state, TIMEOUTS)
    cdef Timeouts timeouts
    cdef dict lengths
    if found != NULL and (<tuple>found)[0] is loop:
        lengths = <dict>(<tuple>found)[1]
        timeouts = lengths.get(seconds)
        if timeouts is not None:
            return timeouts
    else:
        lengths = {}
        (<dict>state)[TIMEOUTS] = (loop, lengths)
    timeouts = Timeouts.__new__(Timeouts)
    timeouts.loop = loop
    timeouts.seconds = seconds
    timeouts.home = lengths
    if len(lengths) < MOST_LENGTHS:
        lengths[seconds] = timeouts
    return timeouts


cdef object loop_for(str what):
    loop = running_loop()
    if loop is None:
        raise RuntimeError(f"`{what}` needs a running event loop.")
    return loop


def sleep(double seconds, value=None):
    """A Future of `value` in so many seconds; cancelling it stops its timer."""
    cdef Timer timer
    loop = loop_for("sleep")
    timer = Timer.__new__(Timer)
    timer.value = value
    timer.handle = loop.call_later(seconds, timer.elapsed) if seconds > 0 else loop.call_soon(timer.elapsed)
    return timer


def with_timeout(awaitable, double seconds):
    """A Future of the awaitable's outcome, or of TimeoutError in so many seconds.

    What is late is cancelled when nobody else waits for it.
    """
    cdef Deadline deadline
    cdef Future source = as_future(awaitable)
    if source.state != PENDING:
        return source
    deadline = Deadline.__new__(Deadline)
    deadline.loop = loop_for("with_timeout")
    deadline.thread = PyThread_get_thread_ident()
    deadline.source = source
    timeouts_of(deadline.loop, seconds).add(deadline)
    source.observe(deadline)
    return deadline
