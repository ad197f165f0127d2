"""Several futures as one: `when_all`, `when_any`, `when_some`."""

cimport cython

from swift._speedups.futures cimport (
    PENDING, READY, CANCELLED, Future, as_future, is_awaitable, leave_source, new_ready, running_loop,
)

from collections.abc import Mapping

cdef extern from "Python.h":
    unsigned long PyThread_get_thread_ident() nogil


cdef enum:
    ALL = 0
    ANY = 1
    SOME = 2


@cython.final
cdef class Group(Future):
    """What `when_all`, `when_any` and `when_some` return while something is missing."""

    cdef int kind
    cdef list members
    # Of a mapping; None for a sequence.
    cdef list keys
    cdef Py_ssize_t missing
    cdef list arrived

    cdef int notify(self, Future source) except -1:
        if self.state != PENDING:
            if source.failure is not None:
                source.failure.seen = True
            return 0
        if self.loop is not None and self.thread != PyThread_get_thread_ident():
            self.loop.call_soon_threadsafe(self.notified, source)
            return 0
        return self.count(source)

    def notified(self, Future source not None):
        if self.state == PENDING:
            self.count(source)

    cdef int count(self, Future source) except -1:
        cdef Py_ssize_t index
        if self.kind == ANY:
            index = self.members.index(source)
            self.leave()
            if source.state != READY:
                return self.copy_outcome(source)
            return self.resolve((index if self.keys is None else self.keys[index], source.outcome))
        if source.state != READY:
            self.leave()
            return self.copy_outcome(source)
        self.missing -= 1
        if self.kind == SOME:
            self.arrived.append(source.outcome)
        if self.missing:
            return 0
        if self.kind == SOME:
            self.leave()
            return self.resolve(self.arrived)
        values = [(<Future>member).outcome for member in self.members]
        self.members = None
        return self.resolve(values if self.keys is None else dict(zip(self.keys, values)))

    cdef int leave(self) except -1:
        """Cancel the members that nobody else waits for."""
        cdef list members = self.members
        self.members = None
        if members is not None:
            for member in members:
                leave_source(self, <Future>member)
        return 0

    cdef bint abandon(self, object message) except -1:
        if self.state != PENDING:
            return False
        self.leave()
        self.settle(CANCELLED, message, None)
        return True


cdef Future member_of(object item, object place):
    if not is_awaitable(item):
        raise TypeError(f"Expected a Future or an awaitable, got `{type(item).__name__}` - at {place!r}")
    return as_future(item)


cdef Group new_group(int kind, object futures):
    """A Group of futures that does not yet observe them."""
    cdef Group group = Group.__new__(Group)
    cdef Future member
    group.kind = kind
    group.members = []
    items = futures
    if isinstance(futures, Mapping):
        group.keys = list(futures)
        items = futures.values()
    try:
        for index, item in enumerate(items):
            group.members.append(member_of(item, index if group.keys is None else group.keys[index]))
    except BaseException:
        # What was begun must not go on unseen.
        group.leave()
        raise
    return group


cdef int gather(Group group) except -1:
    """Observe every member; one that is settled counts at once."""
    cdef Future member
    group.loop = running_loop()
    group.thread = PyThread_get_thread_ident()
    for member in list(group.members):
        if group.state != PENDING:
            if member.failure is not None:
                member.failure.seen = True
        elif member.state == PENDING:
            member.observe(group)
        else:
            group.count(member)
    return 0


cdef list values_of_ready(object futures):
    """The values of a sequence of futures when each of them has one, else None."""
    cdef list values = []
    for item in futures:
        if not isinstance(item, Future) or (<Future>item).state != READY:
            return None
        values.append((<Future>item).outcome)
    return values


def when_all(futures):
    """A Future of every value: a list for an iterable, a dict for a mapping.

    The first failure is the outcome, and what nobody else waits for is cancelled.
    """
    cdef Group group
    cdef list values
    if type(futures) is list or type(futures) is tuple:
        values = values_of_ready(futures)
        if values is not None:
            return new_ready(values)
    group = new_group(ALL, futures)
    group.missing = len(group.members)
    if not group.missing:
        return new_ready([] if group.keys is None else {})
    gather(group)
    return group


def when_any(futures):
    """A Future of `(index, value)` of the first to be settled, `(key, value)` of a mapping; the rest is cancelled.

    When the first fails, that is the outcome.
    """
    cdef Group group = new_group(ANY, futures)
    if not group.members:
        raise ValueError("`when_any` of nothing never ends; give it at least one Future.")
    gather(group)
    return group


def when_some(futures, Py_ssize_t count):
    """A Future of the first `count` values, in the order in which they come; the rest is cancelled.

    A failure before that is the outcome.
    """
    cdef Group group = new_group(SOME, futures)
    if not 0 <= count <= len(group.members):
        total = len(group.members)
        group.leave()
        raise ValueError(f"`when_some` cannot wait for {count} of {total} futures.")
    if count == 0:
        group.leave()
        return new_ready([])
    group.missing = count
    group.arrived = []
    gather(group)
    return group
