from swift._speedups.pgcore cimport Connection, Dispatcher, Query, Statement
from swift._speedups.pgtransport cimport Flusher
from swift._speedups.pgvalues cimport Registry


cdef class Multiplexer(Dispatcher):
    cdef readonly object loop
    cdef unsigned long thread
    cdef readonly Registry registry
    cdef public dict statements
    cdef readonly list connections
    cdef readonly Flusher flusher
    cdef Query queue_head
    cdef Query queue_tail
    # Slow statements wait apart, so that nothing waits behind them.
    cdef object slow_waiting
    cdef readonly int queued
    cdef readonly int slow
    cdef public int max_size
    cdef public int depth
    cdef public int statements_max
    cdef public int cache_size
    cdef public object closed
    cdef public object want_connection
    cdef public object lost_connection
    cdef public object want_cancel
    cdef public object want_exclusive
    cdef public object idle
    cdef public object hooks
    cdef public double default_deadline
    cdef long long clock
    cdef Connection last
    cdef long long last_tick
    cdef long long buckets[64]
    cdef readonly long long completed
    cdef readonly long long failed
    cdef bint draining

    cpdef Statement statement(self, str sql)
    cdef int submit(self, Query q) except -1
    cdef Connection choose(self, Query q)
    cdef int send(self, Query q, Connection connection) except -1
    cdef int enqueue(self, Query q) except -1
    cdef int drain(self) except -1
    cdef int describe(self, Query q) except -1
    cdef int ask_description(self, Statement statement, list waiting) except -1
    cdef int record(self, double seconds) except -1


cdef class PoolBase:
    cdef object _loop
    cdef Multiplexer _mux
    cpdef Multiplexer multiplexer(self)
