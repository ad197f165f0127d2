# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""Many callers over few connections: where an autocommit query of the pool goes.

Every query is a slot of its own with its own Sync, so connections may be shared by callers that know nothing of
each other. It goes to the connection with the least in front of it, never deeper than `depth`; what finds no place
waits here, in order. A connection whose head takes long gets nothing more while another one has room. A statement
that is slow (or was never run, so that nobody knows) takes a connection on which nothing waits, and slow statements
together never take the last one: so they delay each other, not the rest.

One multiplexer belongs to one event loop; nothing here is locked, nothing is shared with another loop.
"""

from __future__ import annotations

from asyncio import _get_running_loop as running_loop
from collections import deque

from cpython.dict cimport PyDict_GetItem
from cpython.object cimport PyObject

from swift._speedups.futures cimport PENDING, Future
from swift._speedups.pgcore cimport (
    DESCRIBE,
    EXECUTE,
    Connection,
    Description,
    Dispatcher,
    Query,
    Statement,
)
from swift._speedups.pgtransport cimport Flusher
from swift._speedups.pgvalues cimport Registry
from swift._speedups import pgcore

cdef extern from "Python.h":
    unsigned long PyThread_get_thread_ident() nogil

cdef extern from *:
    """
    #ifdef _WIN32
    #include <windows.h>
    static double swift_pg_now(void) {
        LARGE_INTEGER count, frequency;
        QueryPerformanceCounter(&count);
        QueryPerformanceFrequency(&frequency);
        return (double)count.QuadPart / (double)frequency.QuadPart;
    }
    #else
    #include <time.h>
    static double swift_pg_now(void) {
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
    }
    #endif
    /* Four buckets per power of two, from one microsecond. */
    static int swift_pg_bucket(double seconds) {
        double us = seconds * 1e6;
        int bucket = 0;
        while (us >= 2.0 && bucket < 60) { us /= 2.0; bucket += 2; }
        if (us >= 1.41421356) bucket += 1;
        return bucket > 63 ? 63 : bucket;
    }
    """
    double swift_pg_now() nogil
    int swift_pg_bucket(double seconds) nogil

# Queries of one tick that go to one connection before the next one is looked for: they cost one send together.
DEF TOGETHER = 4
# A head that takes longer than this blocks its connection for newcomers (seconds).
DEF STALLED = 0.005
# A statement that takes longer on average is slow (seconds).
DEF SLOW = 0.02
# How long a statement's description may take before it is asked for again (seconds).
DEF PATIENCE = 2.0


cdef class Multiplexer(Dispatcher):
    def __cinit__(self, loop, Registry registry not None, Flusher flusher not None, int max_size, int depth):
        self.loop = loop
        self.thread = PyThread_get_thread_ident()
        self.registry = registry
        self.flusher = flusher
        self.statements = {}
        self.connections = []
        self.slow_waiting = deque()
        self.max_size = max_size
        self.depth = depth
        self.statements_max = 4096
        self.cache_size = 256

    # ---- statements

    cpdef Statement statement(self, str sql):
        cdef PyObject* found = PyDict_GetItem(self.statements, sql)
        cdef Statement statement
        if found != NULL:
            return <Statement> found
        statement = Statement(sql, self.cache_size > 0)
        if len(self.statements) >= self.statements_max:
            # A flood of texts that differ in literals: the least used half goes.
            for old in sorted(self.statements.values(), key=last_use)[: self.statements_max // 2]:
                if (<Statement> old).waiting is None:
                    del self.statements[(<Statement> old).sql]
        self.statements[sql] = statement
        return statement

    # ---- queries

    cdef int submit(self, Query q) except -1:
        """Run it somewhere, now or when there is room."""
        cdef Statement statement = q.statement
        q.owner = self
        q.loop = self.loop
        q.thread = self.thread
        q.started = swift_pg_now()
        if self.closed is not None:
            pgcore.fail_like(q, self.closed)
            return 0
        if self.hooks is not None and q.hooks is None:
            q.observe_with(self.hooks)
        self.clock += 1
        statement.used = self.clock
        if statement.nature:
            self.want_exclusive(q)
            return 0
        if not statement.described and (q.args or q.attempts):
            return self.describe(q)
        return self.enqueue(q)

    cdef int enqueue(self, Query q) except -1:
        cdef Connection connection
        if q.statement.seconds > SLOW:
            connection = None if self.slow_waiting else self.choose(q)
            if connection is not None:
                return self.send(q, connection)
            self.slow_waiting.append(q)
            self.want_connection()
            return 0
        if self.queue_head is None:
            connection = self.choose(q)
            if connection is not None:
                return self.send(q, connection)
        if self.queue_tail is None:
            self.queue_head = q
        else:
            self.queue_tail.next = q
        self.queue_tail = q
        self.queued += 1
        self.want_connection()
        return 0

    cdef Connection choose(self, Query q):
        """The connection with the least in front of a new query; None when it has to wait."""
        cdef Connection connection, best = None
        cdef int load, least = 1 << 30
        cdef Statement statement = q.statement
        cdef bint slow = statement.seconds < 0 or statement.seconds > SLOW
        cdef bint crowded = True
        connection = self.last
        if (
            connection is not None
            and self.last_tick == self.flusher.tick
            and not slow
            and connection.depth < TOGETHER
            and connection.shared
            and not connection.reserved
            and connection.slow == 0
            and connection.holds == 0
            and connection.closed is None
            and q.started - connection.head_since < STALLED
        ):
            return connection
        for connection in self.connections:
            if connection.holds or connection.closed is not None:
                continue
            load = connection.depth
            if load == 0:
                best = connection
                least = 0
                break
            if load >= self.depth:
                continue
            if connection.slow:
                load += 1 << 10
            elif q.started - connection.head_since > STALLED:
                load += 1 << 8
            else:
                crowded = crowded and load > 4
            if load < least:
                least = load
                best = connection
        if least and (crowded or slow):
            self.want_connection()
        if least == 0:
            if statement.seconds > SLOW and self.slow >= self.max_size - 1 > 0:
                return None
            return best
        if statement.seconds > SLOW or least >= 1 << 10:
            # Wait for a connection of its own; or for one that is not behind a slow query.
            return None
        return best

    cdef int send(self, Query q, Connection connection) except -1:
        cdef Statement statement = q.statement
        if not statement.described and q.args and q.kind == EXECUTE:
            # It was forgotten while the query waited.
            return self.describe(q)
        if statement.seconds > SLOW or statement.seconds < 0:
            q.slow = True
            connection.slow += 1
            if statement.seconds > SLOW:
                self.slow += 1
        self.last = connection
        self.last_tick = self.flusher.tick
        try:
            connection.write(q)
        except Exception as error:
            if q.slow:
                self.unslow(q, connection)
            pgcore.fail_like(q, pgcore.as_encode_error(error, q))
        return 0

    def unslow(self, Query q, Connection connection):
        q.slow = False
        connection.slow -= 1
        if q.statement.seconds > SLOW:
            self.slow -= 1

    cdef int drain(self) except -1:
        """Give what waits to connections with room."""
        cdef Query q
        cdef Connection connection
        if self.draining:
            return 0
        self.draining = True
        try:
            while self.queue_head is not None:
                q = self.queue_head
                if q.state == PENDING:
                    connection = self.choose(q)
                    if connection is None:
                        break
                self.queue_head = q.next
                if self.queue_head is None:
                    self.queue_tail = None
                q.next = None
                self.queued -= 1
                if q.state == PENDING:
                    self.send(q, connection)
            while self.slow_waiting:
                q = <Query> self.slow_waiting[0]
                if q.state == PENDING:
                    connection = self.choose(q)
                    if connection is None:
                        break
                self.slow_waiting.popleft()
                if q.state == PENDING:
                    self.send(q, connection)
        finally:
            self.draining = False
        return 0

    def admit(self, Connection connection not None):
        """A connection joins those that are shared."""
        connection.shared = True
        connection.dispatcher = self
        connection.hooks = self.hooks
        connection.idle_since = swift_pg_now()
        self.connections.append(connection)
        self.drain()

    def withdraw(self, Connection connection not None):
        """Nothing new goes to a connection; what is in flight is still answered."""
        if connection in self.connections:
            self.connections.remove(connection)

    def take_idle(self):
        """An idle connection, which is shared no more; None when there is none."""
        cdef Connection connection
        cdef double time = swift_pg_now()
        cdef Py_ssize_t i = len(self.connections)
        # From the end: the first ones are what shared queries use first.
        while i > 0:
            i -= 1
            connection = <Connection> self.connections[i]
            if (
                connection.depth == 0
                and connection.holds == 0
                and connection.closed is None
                and (connection.retire_at == 0 or time < connection.retire_at)
            ):
                del self.connections[i]
                connection.shared = False
                return connection
        return None

    def give_back(self, Connection connection not None):
        """The reverse of `take_idle`."""
        connection.shared = True
        connection.reserved = False
        connection.used = False
        connection.idle_since = swift_pg_now()
        self.connections.append(connection)
        if self.queue_head is not None or self.slow_waiting:
            self.drain()

    def give_back_unused(self, Connection connection not None):
        """`give_back` of one on which nothing was executed; False when there is more to do about it."""
        if (
            connection.used
            or connection.closed is not None
            or (connection.retire_at != 0 and swift_pg_now() >= connection.retire_at)
        ):
            return False
        connection.shared = True
        connection.reserved = False
        self.connections.append(connection)
        if self.queue_head is not None or self.slow_waiting:
            self.drain()
        return True

    def reserve(self):
        """Take the least loaded connection out of sharing; `idle(connection)` is called when it is idle."""
        cdef Connection connection, best = None
        for connection in self.connections:
            if connection.closed is None and (best is None or connection.depth < best.depth):
                best = connection
        if best is None:
            return False
        self.connections.remove(best)
        best.reserved = True
        if best.depth == 0 and best.holds == 0:
            best.shared = False
            best.reserved = False
            self.idle(best)
        return True

    def wake_up(self):
        """Connections may have become usable again: look at what waits."""
        self.drain()

    def check_reserved(self, Connection connection not None):
        """A reserved connection that was held back may be idle by now."""
        if (
            connection.reserved
            and connection.depth == 0
            and connection.holds == 0
            and not connection.waiting
            and connection.closed is None
        ):
            connection.shared = False
            connection.reserved = False
            self.idle(connection)

    def fail_waiting(self, error):
        """What waits for a connection will not get one."""
        cdef Query q = self.queue_head
        cdef Query following
        self.queue_head = self.queue_tail = None
        self.queued = 0
        while q is not None:
            following = q.next
            q.next = None
            if q.state == PENDING:
                pgcore.fail_like(q, error)
            q = following
        while self.slow_waiting:
            q = <Query> self.slow_waiting.popleft()
            if q.state == PENDING:
                pgcore.fail_like(q, error)

    # ---- a statement's first time

    cdef int describe(self, Query q) except -1:
        cdef Statement statement = q.statement
        if statement.waiting is not None:
            statement.waiting.append(q)
            return 0
        statement.waiting = [q]
        return self.ask_description(statement, statement.waiting)

    cdef int ask_description(self, Statement statement, list waiting) except -1:
        cdef Query d = pgcore.new_query(statement)
        d.kind = DESCRIBE
        d.internal = True
        d.callback = Described(self, statement)
        d.started = swift_pg_now()
        d.owner = self
        self.loop.call_later(PATIENCE, self.describe_again, statement, waiting)
        return self.enqueue(d)

    def describe_again(self, Statement statement not None, list waiting not None):
        """A description that does not come, its connection having been lost say, is asked for once more.

        Asking twice does no harm: whichever answer comes first lets the queries go.
        """
        if statement.waiting is waiting and self.closed is None:
            self.ask_description(statement, waiting)

    def without_names(self):
        """Sessions change between queries (a pooler): prepared statements cannot be kept."""
        self.cache_size = 0

    # ---- told by connections

    cdef int finished(self, Query q, Connection connection) except -1:
        cdef double seconds
        cdef Statement statement = q.statement
        if q.slow:
            self.unslow(q, connection)
        if connection.depth == 0 and not q.internal:
            connection.idle_since = swift_pg_now()
        if connection.reserved and connection.depth == 0 and connection.holds == 0 and not connection.waiting:
            connection.shared = False
            connection.reserved = False
            self.loop.call_soon(self.idle, connection)
        if not connection.shared:
            return 0
        if connection.status != c"I" and q.owner is self:
            self.lost_connection(connection, q)
        if statement is not None and q.kind == EXECUTE and q.error is None:
            seconds = q.seconds
            statement.seconds = seconds if statement.seconds < 0 else 0.8 * statement.seconds + 0.2 * seconds
        if not q.internal:
            self.completed += 1
            self.failed += q.error is not None
            self.buckets[swift_pg_bucket(connection.head_since - q.started)] += 1
        if self.queue_head is not None or self.slow_waiting:
            self.drain()
        return 0

    cdef int resubmit(self, Query q) except -1:
        """A query that was not executed goes once more."""
        q.started = swift_pg_now()
        if q.statement.described or not (q.args or q.attempts):
            return self.enqueue(q)
        return self.describe(q)

    cdef int abandoned(self, Query q) except -1:
        cdef Connection connection = q.connection
        if connection is not None and connection.abandoned_in_flight == connection.depth:
            # Nobody waits for anything in flight there: the server need not go on.
            self.want_cancel(connection)
        return 0

    # ---- figures

    cdef int record(self, double seconds) except -1:
        self.buckets[swift_pg_bucket(seconds)] += 1
        return 0

    def latencies(self):
        """Counts by upper bound in seconds: `{bound: count}`, four bounds per factor of four, none empty."""
        cdef int i
        return {1e-6 * 2 ** ((i + 1) / 2): self.buckets[i] for i in range(64) if self.buckets[i]}


def last_use(Statement statement):
    return statement.used


cdef class Described:
    """A statement's description arrived: the queries that waited for it go on."""

    cdef Multiplexer mux
    cdef Statement statement

    def __cinit__(self, Multiplexer mux, Statement statement):
        self.mux = mux
        self.statement = statement

    def __call__(self, Query d):
        cdef Statement statement = self.statement
        cdef Connection connection = d.connection
        error = d.error
        if error is None:
            if not statement.described:
                unknown = pgcore.take_description(d, connection)
                if unknown:
                    pgcore.introspect_on(connection, unknown, self.learned(d, connection))
                    return
        elif connection is None or connection.closed is not None:
            if not isinstance(error, pgcore.PgProtocolError) and d.attempts < 2:
                # Nothing was executed: another connection may say it.
                d.attempts += 1
                d.reset()
                d.callback = self
                self.mux.enqueue(d)
                return
        self.go(error)

    def learned(self, Query d, Connection connection):
        def learn(Query answer):
            error = answer.error
            if error is None:
                try:
                    connection.registry.learn(answer.rows_read(), asked=answer.asked())
                    pgcore.take_description(d, connection)
                except Exception as found:
                    error = found
            self.go(error)
        return learn

    def go(self, error):
        cdef Query q
        cdef list waiting = self.statement.waiting
        if waiting is None:
            return
        self.statement.waiting = None
        for q in waiting:
            if q.state != PENDING:
                continue
            if error is not None:
                pgcore.fail_like(q, error)
            else:
                self.mux.enqueue(q)


cdef class PoolBase:
    """The part of a pool that every query passes."""

    cpdef Multiplexer multiplexer(self):
        """The shard of the running loop."""
        loop = running_loop()
        if loop is not None and loop is self._loop:
            return self._mux
        return self._shard_of(loop)

    def _shard_of(self, loop):
        raise NotImplementedError

    def _remember(self, loop, Multiplexer mux):
        self._loop = loop
        self._mux = mux

    def exec_async(self, str sql not None, *args, deadline_ms=None, **named):
        """Run one statement on whichever connection has room; a Query, which is a Future of its result."""
        cdef Multiplexer mux
        cdef Query q
        loop = running_loop()
        if loop is None or loop is not self._loop:
            mux = self._shard_of(loop)
        else:
            mux = self._mux
        if named:
            sql, args = self._named(sql, args, named)
        q = Query.__new__(Query)
        q.statement = mux.statement(sql)
        q.args = args
        if deadline_ms is not None:
            q.deadline = deadline_ms
            q.timer = mux.loop.call_later(max(0.0, deadline_ms / 1000), q.expire)
        elif mux.default_deadline > 0:
            q.timer = mux.loop.call_later(mux.default_deadline, q.expire)
        mux.submit(q)
        return q
