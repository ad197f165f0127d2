cdef enum:
    PENDING = 0
    READY = 1
    FAILED = 2
    CANCELLED = 3


cdef class Failure:
    cdef object error
    cdef object traceback
    cdef bint seen
    # Looked at by a continuation or an awaiting task: no longer ours to report.
    cdef int see(self) except -1


cdef class Future:
    cdef int state
    # The value when READY, the exception when FAILED, the message when CANCELLED.
    cdef object outcome
    # Called without arguments when the awaiting side cancels; None for nothing to tell.
    cdef object canceller
    # None, one observer, or a list of them.
    cdef object observers
    cdef Failure failure
    # Where this one's continuation runs: set when it is attached to a pending future, else 0 and None.
    cdef object loop
    cdef unsigned long thread

    # Says at once which loop, running on this thread, the future belongs to: saves each waiting task the question.
    cdef int bind(self, object loop) except -1
    cdef object loop_here(self, unsigned long thread)

    # The owner's side. Each settles a pending future and is a no-op on a cancelled one; on a future
    # that is READY or FAILED it raises InvalidStateError. What waits on another thread is told there.
    cdef int resolve(self, object value) except -1
    cdef int fail(self, object error) except -1
    # What `.cancel()` does; subclasses override `on_cancel` instead of storing a `canceller`.
    cdef bint abandon(self, object message) except -1
    cdef int on_cancel(self) except -1
    # Called on an observer when `source` is settled.
    cdef int notify(self, Future source) except -1
    cdef int observe(self, object observer) except -1
    cdef int withdraw(self, object observer, object message) except -1
    cdef int settle(self, int state, object outcome, Failure failure) except -1
    cdef int copy_outcome(self, Future source) except -1
    cdef int raise_outcome(self) except -1


# Between these two calls, on one thread, tasks whose futures are settled are collected instead of
# scheduled. `release_wakes` then wakes them in that order: at once when no task is running on this
# thread, else through their loop. The calls nest. Continuations (`.then`) are not delayed.
cdef int hold_wakes() except -1
cdef int release_wakes() except -1


# For the modules beside this one.
cdef object running_loop()
cdef bint is_awaitable(object value) noexcept
cdef Future new_ready(object value)
cpdef Future as_future(object awaitable)
# Stop waiting for a source, and cancel it when nobody else waits.
cdef int leave_source(Future observer, Future source) except -1
