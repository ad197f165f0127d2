from libc.stdint cimport uint8_t, uint32_t

from swift._speedups.futures cimport Future
from swift._speedups.pgrows cimport RowDecoder
from swift._speedups.pgvalues cimport Registry
from swift._speedups.pgwire cimport pg_writer


cdef class Connection
cdef class Query


# Which message of the backend a slot waits for, named as the protocol names it (55.2, 55.7).
cdef enum Expect:
    AWAIT_PARSE_COMPLETE = 1
    AWAIT_PARAMETER_DESCRIPTION = 2
    AWAIT_ROW_DESCRIPTION = 3
    AWAIT_BIND_COMPLETE = 4
    AWAIT_COMMAND_COMPLETE = 5
    AWAIT_READY_FOR_QUERY = 6
    SIMPLE_QUERY = 7
    COPY_IN = 8
    COPY_OUT = 9


cdef enum Kind:
    EXECUTE = 0
    DESCRIBE = 1
    SIMPLE = 2
    MANY = 3
    COPYING_IN = 4
    COPYING_OUT = 5
    FETCH = 6
    CLOSE_PORTAL = 7


# What a Query resolves to.
cdef enum Shape:
    RESULT = 0
    ALL = 1
    ONE = 2
    ONE_OR_NONE = 3
    FIRST = 4
    SCALAR = 5
    JSON = 6
    TAG = 7


cdef class Description:
    cdef readonly Registry registry
    cdef readonly tuple columns
    cdef bytes raw
    cdef readonly list codecs
    cdef bint text
    cdef bytes bind_tail
    cdef RowDecoder rows
    cdef dict decoders
    cpdef list unknown(self)
    cdef int learn(self) except -1
    cdef RowDecoder decoder(self, object into)


cdef class Statement:
    cdef readonly str sql
    cdef readonly bytes name
    cdef readonly bytes key
    cdef readonly int generation
    cdef readonly bint described
    cdef readonly bint named
    cdef readonly int nature
    cdef bytes query
    cdef bytes bind_head
    cdef bytes parse
    cdef readonly tuple oids
    cdef list encoders
    cdef readonly Description description
    cdef list waiting
    cdef long long used
    cdef bint fresh
    cdef double seconds
    cdef int forget(self) except -1


cdef class Prepared:
    cdef Statement statement
    # As this session described it; None until it has.
    cdef Description description
    cdef bytes name
    cdef int generation
    cdef long long used


cdef class QueryResult:
    cdef Description description
    cdef bytes data
    cdef readonly bytes command
    cdef Py_ssize_t count
    cdef list decoded
    cdef RowDecoder _decoder(self, object into)


cdef class Dispatcher:
    cdef int finished(self, Query query, Connection connection) except -1
    cdef int resubmit(self, Query query) except -1
    cdef int abandoned(self, Query query) except -1


cdef class Channel:
    # Called when the connection has bytes to send; may wait for the end of the loop's tick.
    cdef int want_flush(self) except -1


cdef class Query(Future):
    cdef Query next
    cdef Connection connection
    cdef Dispatcher owner
    cdef Statement statement
    cdef Description description
    cdef Prepared prepared
    # What the statement's description was when the query was written.
    cdef Description written_as
    cdef tuple args
    cdef int kind
    cdef int shape
    cdef int expect
    # What it waited for when the server reported an error.
    cdef int expect_failed
    cdef int attempts
    # Of its statement when it was written.
    cdef int generation
    cdef bint shaped
    cdef bint parsing
    cdef bint barrier
    # Where its messages begin in the connection's stream of bytes.
    cdef long long position
    # How long it was the head of its connection, in seconds.
    cdef readonly double seconds
    cdef bint slow
    cdef bint suspended
    cdef bint internal
    cdef int closing
    cdef long long remaining
    cdef object target
    cdef bytes portal
    cdef uint32_t max_rows
    cdef object source
    cdef object client_error
    cdef bint synced
    cdef RowDecoder decoder
    cdef bint discard
    cdef list decoded
    cdef pg_writer raw
    cdef long long count
    cdef bytes command
    cdef object error
    cdef list results
    cdef object callback
    cdef object timer
    cdef object span
    cdef object hooks
    cdef public object deadline
    cdef readonly double started
    cdef double ended
    cdef int left(self) except -1
    cdef int finish(self) except -1
    cdef int complete(self) except -1
    cdef object build(self)


cdef class Connection:
    cdef Query head
    cdef Query tail
    cdef Query finished_head
    cdef Query finished_tail
    cdef readonly int depth
    cdef int abandoned_in_flight
    cdef list waiting
    cdef readonly int holds
    cdef readonly int status
    cdef double head_since
    cdef uint8_t* buffer
    cdef size_t start
    cdef size_t end
    cdef size_t capacity
    cdef size_t floor
    cdef pg_writer outgoing
    cdef size_t sent
    cdef public Registry registry
    cdef public dict statements
    cdef dict prepared
    cdef public int prepared_max
    # Slow queries in flight, behind which nothing should be queued.
    cdef int slow
    cdef long long clock
    cdef public Channel channel
    cdef public Dispatcher dispatcher
    # A slot whose messages are still being written, window by window.
    cdef Query producer
    cdef list events
    cdef public dict parameters
    cdef public int backend_pid
    cdef public bytes secret_key
    cdef public object on_notice
    cdef public object on_notification
    cdef public object on_parameter
    cdef public object on_close
    cdef public object hooks
    cdef public object closed
    cdef object fatal
    cdef public bint shared
    # SET, RESET or DISCARD may have changed what names mean: statements are the session's own.
    cdef public bint tainted
    cdef long long epoch
    cdef public bint used
    # A command left something in the session.
    cdef public bint touched
    # Withdrawn from sharing for someone who waits until it is idle.
    cdef public bint reserved
    cdef public object owner
    cdef public double opened_at
    cdef public double idle_since
    cdef public double retire_at
    cdef public long long queries
    cdef public long long bytes_in
    cdef public long long bytes_out

    cdef int room(self, uint8_t** into, size_t* length) except -1
    cdef int received(self, size_t length) except -1
    cdef int parse(self) except -1
    cdef int rows_run(self, Query q) except -1
    cdef int message(self, uint8_t type, const uint8_t* payload, uint32_t length) except -1
    cdef int ready_for_query(self, uint8_t status) except -1
    cdef int error_response(self, const uint8_t* payload, uint32_t length) except -1
    cdef int copy_in_response(self, Query q) except -1
    cdef int begin_rows(self, Query q, int mode) except -1
    cdef int command_complete(self, Query q, const uint8_t* payload, uint32_t length) except -1
    cdef int completed(self, Query q, bytes command) except -1
    cdef int note(self, bytes command) except -1
    cdef int row_description(self, Query q, uint8_t type, const uint8_t* payload, uint32_t length) except -1
    cdef Description description(self, bytes raw, bint text)
    cdef int parameter_status(self, const uint8_t* payload, uint32_t length) except -1
    cdef int notification(self, const uint8_t* payload, uint32_t length) except -1
    cdef int over(self, Query q) except -1
    cdef int late_rows(self, Query q) except -1
    cdef Query describing(self, Statement statement, object callback)
    cdef int write_fetch(self, Query q) except -1
    cdef int write_many(self, Query q) except -1
    cdef int produce(self, Query q) except -1
    cdef int sync(self, Query q) except -1
    cdef int _copy_written(self) except -1
    cdef int introspect(self, list oids, object callback) except -1
    cdef int wake(self) except -1
    cdef int lost(self, object error) except -1
    cdef int violation(self, str what) except -1
    cdef int enqueue(self, Query q) except -1
    cdef int write(self, Query q) except -1
    cdef int write_execute(self, Query q) except -1
    cdef Prepared prepare(self, Query q, Statement statement, Prepared stale)
    cdef int remember(self, Prepared prepared) except -1
    cdef int withdraw(self, size_t mark) except -1
    cdef int submit(self, Query q) except -1
    cdef int pump(self) except -1
    cdef int flushed(self, size_t length) except -1
    cdef size_t unsent(self)
    cdef bint was_sent(self, Query q)
    cdef bint can_write(self)
