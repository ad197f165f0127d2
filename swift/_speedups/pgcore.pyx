# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""One connection of protocol 3.x without its socket: bytes in, bytes out, queries answered in order.

Theory of operation. A connection is a queue of *slots*. A slot is a `Query`, which is also the Future its caller
awaits: the messages of one operation, ended by one Sync (or being a simple Query, which ends itself), hence by one
ReadyForQuery. Slots are written one behind the other without waiting; the server answers them in order; `head` is
the one it answers now. So an error belongs to exactly one slot, and an autocommit query in its own slot is a
transaction of its own, whatever is pipelined around it.

Rule 1: `parse` only moves bytes, rows and states. No Future settles and nothing of a user's runs before `wake`,
which comes after the last complete message of a chunk. So parsing need not be re-entrant.
Rule 2: what a slot waits for is its `expect`, named after the protocol's messages. A message that the slot does not
wait for is a violation: the connection is given up, since every answer behind it may be another caller's.
Rule 3: a slot leaves the queue by its ReadyForQuery alone. A caller that goes away (cancelled, deadline) leaves its
slot behind; the answer is read and dropped.
Rule 4: what is encoded is encoded completely before it counts as written; a failure rewinds the buffer.

`holds` delays what is submitted: while a statement is being described for the first time (order is kept), while a
COPY or a cancellation is under way. Held slots wait in `waiting` and are not yet in the queue.
"""

from __future__ import annotations

import asyncio
import copy
import hashlib
import re
import sys
from types import SimpleNamespace

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_GetItem
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memchr, memcmp, memcpy, memmove

from swift._speedups.futures cimport FAILED, PENDING, Future, hold_wakes, release_wakes
from swift._speedups.pgrows cimport Columns, RowDecoder
from swift._speedups.pgvalues cimport Codec, Registry, encode_parameters, encode_record
from swift._speedups.pgwire cimport *

from swift._speedups.pgvalues import DecodeError, EncodeError

# The tree of errors stands one floor above; `swift.pg` hands it down when it is imported.
PgClosedError = PgConnectionError = PgDecodeError = PgEncodeError = PgError = PgInterfaceError = None
PgManyRows = PgNoRow = PgProtocolError = PgTimeout = error_from_fields = notice_from_fields = None


def use_errors(errors):
    """The module with the exceptions and what makes them of an ErrorResponse."""
    for name in (
        "PgClosedError", "PgConnectionError", "PgDecodeError", "PgEncodeError", "PgError", "PgInterfaceError",
        "PgManyRows", "PgNoRow", "PgProtocolError", "PgTimeout", "error_from_fields", "notice_from_fields",
    ):
        globals()[name] = getattr(errors, name)


cdef extern from *:
    """
    #ifdef _WIN32
    #include <windows.h>
    static double swift_now(void) {
        LARGE_INTEGER count, frequency;
        QueryPerformanceCounter(&count);
        QueryPerformanceFrequency(&frequency);
        return (double)count.QuadPart / (double)frequency.QuadPart;
    }
    #else
    #include <time.h>
    static double swift_now(void) {
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
    }
    #endif
    """
    double swift_now() nogil

# A receive buffer begins with the size of two of the server's send buffers and grows to what keeps a bulk read busy.
DEF SMALLEST_BUFFER = 16384
DEF LARGEST_IDLE_BUFFER = 262144
# What executemany encodes ahead of the socket.
DEF WINDOW = 131072

# Execute of the unnamed portal, all rows; Sync.
cdef bytes EXECUTE_SYNC = b"E\0\0\0\x09\0\0\0\0\0S\0\0\0\x04"
cdef bytes EXECUTE_ALL = b"E\0\0\0\x09\0\0\0\0\0"
cdef bytes SYNC = b"S\0\0\0\x04"
# One result format code for all columns: binary. Text: none at all.
cdef bytes ALL_BINARY = b"\0\x01\0\x01"
# Tags of commands that leave nothing in the session.
cdef frozenset CLEAN_TAGS = frozenset(
    (b"SELECT", b"INSERT", b"UPDATE", b"DELETE", b"MERGE", b"COPY", b"BEGIN", b"START", b"COMMIT", b"ROLLBACK",
     b"SAVEPOINT", b"RELEASE", b"EXPLAIN", b"SHOW", b"VALUES")
)
# A portal that never exists: executing it fails the implicit transaction of a slot.
cdef bytes NO_PORTAL = b"swift_no_such_portal"

PLAIN, SESSION, TRANSACTION, COPY = range(4)

cdef int NATURE_PLAIN = 0
cdef int NATURE_SESSION = 1
cdef int NATURE_TRANSACTION = 2
cdef int NATURE_COPY = 3


cdef double now() noexcept:
    return swift_now()


def monotonic():
    """The clock of every time in this package, in seconds."""
    return swift_now()


# ---- statements ----------------------------------------------------------------------------------------

_COMMENT = re.compile(r"(?:\s|;|\(|--[^\n]*(?:\n|$))+")
_WORD = re.compile(r"[A-Za-z]+")
_SESSION = frozenset(
    ("SET", "RESET", "LISTEN", "UNLISTEN", "PREPARE", "DEALLOCATE", "DECLARE", "FETCH", "MOVE", "CLOSE", "DISCARD",
     "LOAD")
)
_TRANSACTION = frozenset(("BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "SAVEPOINT", "RELEASE"))
_KEEPS_STATE = re.compile(
    r"\bpg_(?:try_)?advisory_(?:lock|unlock)|\bset_config\s*\(|\bsetseed\s*\(|\bINTO\s+(?:LOCAL\s+|GLOBAL\s+)?TEMP",
    re.IGNORECASE,
)
_TEMPORARY = re.compile(r"CREATE\s+(?:OR\s+REPLACE\s+)?(?:LOCAL\s+|GLOBAL\s+)?TEMP", re.IGNORECASE)


def _skip_comments(sql):
    position = 0
    while True:
        found = _COMMENT.match(sql, position)
        if found:
            position = found.end()
        if not sql.startswith("/*", position):
            return position
        depth = 1
        position += 2
        while depth and position < len(sql):
            if sql.startswith("*/", position):
                depth -= 1
                position += 2
            elif sql.startswith("/*", position):
                depth += 1
                position += 2
            else:
                position += 1


def nature_of(sql):
    """Whether a statement leaves something in its session: PLAIN, SESSION, TRANSACTION or COPY.

    Judged by its first keyword and by the names of the built-in functions that keep state. What hides its effects
    in a function of its own is not seen here; a transaction left open is seen at ReadyForQuery.
    """
    start = _skip_comments(sql)
    found = _WORD.match(sql, start)
    word = found.group().upper() if found else ""
    if word in _TRANSACTION:
        return TRANSACTION
    if word == "COPY":
        return COPY
    if word in _SESSION or _TEMPORARY.match(sql, start) or _KEEPS_STATE.search(sql):
        return SESSION
    return PLAIN


cdef class Description:
    """What the server said about the rows of a statement: immutable, shared by its results."""

    def __cinit__(self, Registry registry, bytes raw, bint text=False):
        self.registry = registry
        self.raw = raw
        self.text = text
        self.columns = () if raw is None else read_columns(raw)
        self.decoders = {}

    cpdef list unknown(self):
        """The types of the columns which the registry cannot decode yet, by OID."""
        if self.text:
            return []
        return unknown_to(self.registry, [column.oid for column in self.columns])

    cdef int learn(self) except -1:
        """To be called when no type is unknown any more."""
        cdef list formats
        if self.codecs is not None:
            return 0
        if self.text:
            # Of the simple protocol: what every type is as text.
            self.codecs = [self.registry.codec(25)] * len(self.columns)
            return 0
        self.codecs = [self.registry.codec(column.oid) for column in self.columns]
        formats = [(<Codec?> codec).format for codec in self.codecs]
        if all(formats):
            self.bind_tail = ALL_BINARY
        else:
            self.bind_tail = len(formats).to_bytes(2, "big") + b"".join(
                [code.to_bytes(2, "big") for code in formats]
            )
        return 0

    cdef RowDecoder decoder(self, object into):
        """The decoder of rows into `into`: None for Row, a type, or "tuple", "dict", "scalar", "json"."""
        if into is None:
            if self.rows is None:
                self.rows = self._decoder(None)
            return self.rows
        found = self.decoders.get(into)
        if found is None:
            found = self.decoders[into] = self._decoder(into)
        return <RowDecoder> found

    def _decoder(self, into):
        self.learn()
        if getattr(into, "__origin__", None) is tuple:
            into = tuple
        return RowDecoder(Columns(tuple([column.name for column in self.columns])), self.codecs, into)


@cython.final
cdef class Column:
    """A column of a result. `table_oid` and `attribute` are 0 where it is not a table's own."""

    cdef readonly str name
    cdef readonly uint32_t table_oid
    cdef readonly int attribute
    cdef readonly uint32_t oid
    cdef readonly int size
    cdef readonly int modifier
    cdef readonly int format

    def __repr__(self):
        return f"Column(name={self.name!r}, oid={self.oid})"


cdef list unknown_to(Registry registry, list oids):
    return [oid for oid in dict.fromkeys(oids) if registry.codec(oid) is None]


cdef tuple read_columns(bytes raw):
    cdef pg_reader reader
    cdef size_t length
    cdef const char* name
    cdef Column column
    cdef list columns = []
    pg_reader_init(&reader, <const uint8_t*> PyBytes_AS_STRING(raw), PyBytes_GET_SIZE(raw))
    cdef int count = pg_read_u16(&reader)
    for _ in range(count):
        column = Column.__new__(Column)
        name = pg_read_cstr(&reader, &length)
        if reader.failed:
            break
        column.name = PyUnicode_DecodeUTF8(name, length, "replace")
        column.table_oid = pg_read_u32(&reader)
        column.attribute = pg_read_i16(&reader)
        column.oid = pg_read_u32(&reader)
        column.size = pg_read_i16(&reader)
        column.modifier = pg_read_i32(&reader)
        column.format = pg_read_u16(&reader)
        columns.append(column)
    if not pg_reader_done(&reader):
        raise ValueError("a RowDescription that does not fill its message")
    return tuple(columns)


cdef class Statement:
    """One SQL text with its parameters' types, known to the whole pool.

    Its name on the server is made from its content, so that equal statements of different processes behind one
    pooler share it and a name never stands for two texts.
    """

    def __cinit__(self, str sql, bint named=True, bytes salt=b""):
        cdef bytes query = sql.encode("utf-8", "strict")
        if memchr(PyBytes_AS_STRING(query), 0, PyBytes_GET_SIZE(query)) != NULL:
            raise PgInterfaceError("The SQL text holds a NUL character, which the protocol cannot carry.")
        self.sql = sql
        self.query = query
        self.nature = nature_of(sql)
        self.key = hashlib.sha256(salt + query).hexdigest()[:24].encode() if named else b""
        self.named = named
        self.seconds = -1
        self._rename()

    def _rename(self):
        cdef bytes name = b""
        if self.named:
            name = b"swift_" + self.key
            if self.generation:
                name += b"_%d" % self.generation
        self.name = name
        self.oids = None
        self.encoders = None
        self.description = None
        self.described = False
        self.bind_head = b"B\0\0\0\0\0" + name + b"\0"
        self._parse_message()

    def _parse_message(self):
        cdef pg_writer w
        cdef list oids = list(self.oids or ())
        cdef uint32_t* array = <uint32_t*> malloc(max(1, len(oids)) * sizeof(uint32_t))
        pg_writer_init(&w)
        try:
            for i, oid in enumerate(oids):
                array[<Py_ssize_t> i] = oid
            pg_msg_parse(&w, PyBytes_AS_STRING(self.name), PyBytes_GET_SIZE(self.name),
                         PyBytes_AS_STRING(self.query), PyBytes_GET_SIZE(self.query), array, len(oids))
            pg_msg_describe(&w, c"S", PyBytes_AS_STRING(self.name), PyBytes_GET_SIZE(self.name))
            if w.status != PG_OK:
                raise PgInterfaceError("The SQL text is too long for one message.")
            self.parse = PyBytes_FromStringAndSize(<char*> w.data, w.length)
        finally:
            free(array)
            pg_writer_free(&w)

    cdef int forget(self) except -1:
        """What the server said is no longer so: describe again, under a new name."""
        self.generation += 1
        self._rename()
        return 0

    def described_as(self, Registry registry, tuple oids, Description description):
        """To be called when every type is known to the registry."""
        description.learn()
        self.oids = oids
        self.encoders = [registry.codec(oid) for oid in oids]
        self.description = description
        self.described = True
        self._parse_message()

    @property
    def columns(self):
        """Of the rows; None before the statement was described."""
        return None if self.description is None else self.description.columns

    def __repr__(self):
        return f"<Statement {self.name.decode()} {self.sql!r}>"


# ---- results -------------------------------------------------------------------------------------------

cdef list decode_rows(bytes data, RowDecoder decoder, Py_ssize_t most):
    """The DataRows of a result, decoded; `most` rows at most, all when it is negative."""
    cdef const uint8_t* p = <const uint8_t*> PyBytes_AS_STRING(data)
    cdef const uint8_t* end = p + PyBytes_GET_SIZE(data)
    cdef uint32_t word
    cdef list rows = []
    while p < end and most != 0:
        word = pg_load_u32(p + 1)
        rows.append(decoder.decode(p + 5, word - 4))
        p += word + 1
        most -= 1
    return rows


cdef class QueryResult:
    """The rows and the tag of one statement. Rows are decoded when they are asked for, into what is asked for."""

    @property
    def columns(self):
        """The names of the columns, in order."""
        return tuple([column.name for column in self.description.columns]) if self.description is not None else ()

    @property
    def tag(self):
        """The command tag, such as `SELECT 3` or `INSERT 0 1`; None for an empty query."""
        return None if self.command is None else self.command.decode("utf-8", "replace")

    @property
    def rowcount(self):
        """The rows the command touched, by its tag; -1 where the tag has no count."""
        return count_of(self.command)

    @property
    def codecs(self):
        """The codecs of the columns."""
        return [] if self.description is None else self.description.codecs

    def __len__(self):
        return self.count

    def __bool__(self):
        return True

    cdef RowDecoder _decoder(self, object into):
        if self.description is None:
            raise PgInterfaceError("The statement returned no rows to be read: it has no result columns.")
        return self.description.decoder(into)

    def _rows(self, into, Py_ssize_t most=-1):
        if self.count == 0 and self.description is None:
            return []
        try:
            return decode_rows(self.data, self._decoder(into), most)
        except ValueError as error:
            raise as_decode_error(error)

    def all(self, into=None):
        """Every row: as Row, or as `into` (a Struct, a dataclass, `tuple`, `dict`)."""
        if into is not None:
            return self._rows(into)
        if self.decoded is None:
            self.decoded = self._rows(None)
        return self.decoded

    def model(self, into):
        """Every row as `into`: a Struct, a dataclass, `tuple` or `dict`."""
        return self._rows(into)

    def into(self, into):
        """The rows as `list[T]`, or the rows' fields as `T`."""
        origin = getattr(into, "__origin__", None)
        if origin is list:
            return self._rows(into.__args__[0])
        if into is list:
            return self.rows()
        return self._rows(into)

    def rows(self):
        """Every row as a plain tuple."""
        return self._rows(tuple)

    def one(self, into=None):
        """The only row. Raises PgNoRow or PgManyRows."""
        check_one(self.count)
        return self._rows(into, 1)[0]

    def one_or_none(self, into=None):
        """The only row, or None for no row. Raises PgManyRows."""
        if self.count == 0:
            return None
        return self.one(into)

    def first(self, into=None):
        """The first row, or None."""
        return self._rows(into, 1)[0] if self.count else None

    def scalar(self):
        """The first column of the first row. Raises PgNoRow."""
        if not self.count:
            raise no_row("a value")
        return self._rows("scalar", 1)[0]

    def scalars(self):
        """The first column of every row."""
        return self._rows("scalar")

    def json(self):
        """Every row as a JSON array of objects: bytes, made in C."""
        cdef pg_writer w
        cdef const uint8_t* p
        cdef const uint8_t* end
        cdef uint32_t word
        cdef RowDecoder decoder
        if self.count == 0:
            return b"[]"
        decoder = self._decoder(None)
        pg_writer_init(&w)
        try:
            p = <const uint8_t*> PyBytes_AS_STRING(self.data)
            end = p + PyBytes_GET_SIZE(self.data)
            while p < end:
                word = pg_load_u32(p + 1)
                pg_put_u8(&w, c"," if w.length else c"[")
                decoder.write_json(p + 5, word - 4, &w)
                p += word + 1
            pg_put_u8(&w, c"]")
            if w.status != PG_OK:
                raise MemoryError
            return PyBytes_FromStringAndSize(<char*> w.data, w.length)
        except ValueError as error:
            raise as_decode_error(error)
        finally:
            pg_writer_free(&w)

    def stream(self, Py_ssize_t chunk_size=1000, into=None):
        """The rows one by one, decoded `chunk_size` at a time: the decoded ones never all exist at once."""
        cdef const uint8_t* start = <const uint8_t*> PyBytes_AS_STRING(self.data)
        cdef Py_ssize_t at = 0
        cdef Py_ssize_t length = PyBytes_GET_SIZE(self.data)
        cdef Py_ssize_t most
        cdef uint32_t word
        decoder = self._decoder(into)
        while at < length:
            rows = []
            most = chunk_size
            while at < length and most > 0:
                word = pg_load_u32(start + at + 1)
                try:
                    rows.append((<RowDecoder> decoder).decode(start + at + 5, word - 4))
                except ValueError as error:
                    raise as_decode_error(error)
                at += word + 1
                most -= 1
            yield from rows

    def __iter__(self):
        return iter(self.all())

    def keys(self):
        """The names of the columns, so that `dict(result)` is the only row's dict."""
        check_one(self.count)
        return list(self.columns)

    def __getitem__(self, key):
        """Row number `key`, or the value of column `key` of the only row."""
        if isinstance(key, str):
            return self.one()[key]
        return self.all()[key]

    def __repr__(self):
        return f"<QueryResult {self.tag}, {self.count} rows>"


cdef object no_row(str wanted):
    return PgNoRow(f"Expected {wanted}, got no row.")


cdef int check_one(Py_ssize_t count) except -1:
    if count == 0:
        raise no_row("exactly one row")
    if count > 1:
        raise PgManyRows(f"Expected exactly one row, got {count}.")
    return 0


cdef object as_decode_error(object error):
    if isinstance(error, PgError):
        return error
    found = PgDecodeError(str(error))
    found.__cause__ = error
    return found


cdef long long count_of(bytes command):
    """The number at the end of a command tag, -1 when there is none."""
    cdef Py_ssize_t i, length
    cdef const char* text
    cdef long long number = 0
    if command is None:
        return -1
    text = PyBytes_AS_STRING(command)
    length = PyBytes_GET_SIZE(command)
    i = length
    while i > 0 and c"0" <= text[i - 1] <= c"9":
        i -= 1
    if i == length or i == 0 or text[i - 1] != c" " or length - i > 18:
        return -1
    while i < length:
        number = number * 10 + (text[i] - c"0")
        i += 1
    return number


# ---- owners --------------------------------------------------------------------------------------------

cdef class Dispatcher:
    """What stands above connections and is told about queries: a pool. These defaults do nothing."""

    cdef int finished(self, Query query, Connection connection) except -1:
        """A slot of `connection` is over; called after parsing, before its caller is woken."""
        return 0

    cdef int resubmit(self, Query query) except -1:
        """Run a query that was not executed once more."""
        query.fail(PgConnectionError("The connection was lost before the query was sent.", safe_to_retry=True))
        return 0

    cdef int abandoned(self, Query query) except -1:
        """The caller of a query no longer waits for it."""
        return 0

    def without_names(self):
        """Sessions change between queries: prepared statements cannot be kept."""


cdef class Channel:
    """What carries a connection's bytes."""

    cdef int want_flush(self) except -1:
        return 0


# ---- queries -------------------------------------------------------------------------------------------

cdef class Query(Future):
    """One operation in flight: a Future of its result, and its slot in the connection's queue.

    `await` gives a QueryResult, or what a helper asked for: `await pg.exec_async(sql, 7).one()`. A helper decides
    what the query resolves to, once; it decodes straight from the received bytes. Cancelling (also by cancelling
    the task that awaits) leaves the connection clean and touches no other query.
    """

    def __dealloc__(self):
        pg_writer_free(&self.raw)

    @property
    def sql(self):
        """The text that is sent."""
        return None if self.statement is None else self.statement.sql

    @property
    def failure(self):
        """The error of an operation whose outcome goes to a `call_back`; None for success."""
        return self.error

    @property
    def statement_nature(self):
        """PLAIN, SESSION, TRANSACTION or COPY."""
        return 0 if self.statement is None else self.statement.nature

    def fail_with(self, error):
        """Give the slot an error, unless it has one already."""
        if self.error is None:
            self.error = error

    @property
    def is_suspended(self):
        """Whether a portal has more rows."""
        return self.suspended

    @property
    def duration(self):
        """Seconds from its submission to the end of its slot; -1 before."""
        return self.ended - self.started if self.ended else -1.0

    @property
    def command_tag(self):
        """The command tag of a query that is over; None when it failed or was empty."""
        return None if self.command is None else self.command.decode("utf-8", "replace")

    @property
    def row_count(self):
        """The rows received so far."""
        return self.count

    def expire_in(self, loop, double seconds):
        """Fail with PgTimeout when it is not settled in time."""
        self.timer = loop.call_later(max(0.0, seconds), self.expire)

    def observe_with(self, hooks):
        """`hooks.start(query)` now, `hooks.end(query, token)` when it is over."""
        self.hooks = hooks
        try:
            self.span = hooks.start(self)
        except Exception as error:
            self.hooks = None
            report(error, "A query hook failed")

    def call_back(self, function):
        """`function(query)` when the slot is over, instead of settling; see `settle_as_usual`."""
        self.callback = function

    def settle_as_usual(self):
        """What a `call_back` replaced."""
        self.complete()

    def describe_as(self, Query other not None):
        """Rows of a further fetch look like those of the first."""
        self.description = other.description

    def take_chunks(self):
        """The COPY data received since the last call."""
        chunks, self.decoded = self.decoded, []
        return chunks or []

    @property
    def received_bytes(self):
        """COPY data received so far, in bytes."""
        return self.count

    @property
    def was_sent(self):
        """Whether the server may have seen it."""
        return self.connection is not None and self.connection.was_sent(self)

    # Helpers: what the query resolves to.

    def all(self, into=None):
        """Resolve to every row: as Row, or as `into`."""
        return shape_query(self, ALL, into)

    def model(self, into):
        """Resolve to every row as `into`: a Struct, a dataclass, `tuple` or `dict`."""
        return shape_query(self, ALL, into)

    def into(self, into):
        """Resolve to the rows as `list[T]`."""
        if getattr(into, "__origin__", None) is list:
            into = into.__args__[0]
        return shape_query(self, ALL, tuple if into is list else into)

    def rows(self):
        """Resolve to every row as a plain tuple."""
        return shape_query(self, ALL, tuple)

    def one(self, into=None):
        """Resolve to the only row; fails with PgNoRow or PgManyRows."""
        return shape_query(self, ONE, into)

    def one_or_none(self, into=None):
        """Resolve to the only row, or None; fails with PgManyRows."""
        return shape_query(self, ONE_OR_NONE, into)

    def first(self, into=None):
        """Resolve to the first row, or None."""
        return shape_query(self, FIRST, into)

    def scalar(self):
        """Resolve to the first column of the first row; fails with PgNoRow."""
        return shape_query(self, SCALAR, "scalar")

    def scalars(self):
        """Resolve to the first column of every row."""
        return shape_query(self, ALL, "scalar")

    def json(self):
        """Resolve to every row as a JSON array of objects: bytes, made in C."""
        return shape_query(self, JSON, None)

    def tag(self):
        """Resolve to the command tag."""
        return shape_query(self, TAG, None)

    # The awaiting side went away.

    cdef int on_cancel(self) except -1:
        Future.on_cancel(self)
        return self.left()

    def expire(self):
        """The deadline passed: fail with PgTimeout, and leave."""
        self.timer = None
        if self.state != PENDING:
            return
        self.fail(PgTimeout(
            "The deadline of the query passed.", statement=self.sql, safe_to_retry=not self.was_sent,
        ))
        self.left()

    cdef int left(self) except -1:
        cdef Connection connection = self.connection
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        if connection is not None:
            connection.abandoned_in_flight += 1
        if self.owner is not None:
            self.owner.abandoned(self)
        elif connection is not None and connection.dispatcher is not None:
            connection.dispatcher.abandoned(self)
        return 0

    # Its slot is over.

    cdef int finish(self) except -1:
        """The answer is complete, or will never come: retry, or settle."""
        cdef Statement statement = self.statement
        if self.error is not None and self.state == PENDING and self.may_retry():
            return 0
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        return self.complete()

    cdef int complete(self) except -1:
        cdef object value
        if self.callback is not None:
            callback, self.callback = self.callback, None
            callback(self)
            return 0
        if self.hooks is not None:
            hooks, self.hooks = self.hooks, None
            if self.state == FAILED:
                self.error = self.outcome
            try:
                hooks.end(self, self.span)
            except Exception as error:
                report(error, "A query hook failed")
        if self.state != PENDING:
            return 0
        if self.internal:
            # Nobody looks at the driver's own queries unless by a callback.
            return self.resolve(self.error)
        if self.error is not None:
            return self.fail(self.error)
        try:
            value = self.build()
        except Exception as error:
            return self.fail(as_decode_error(error) if isinstance(error, ValueError) else error)
        return self.resolve(value)

    def may_retry(self):
        """Run once more what the server refused for a reason that is ours alone; True when that is done."""
        cdef Connection connection = self.connection
        cdef Statement statement = self.statement
        if statement is None or connection is None or self.kind not in (EXECUTE, DESCRIBE, MANY):
            return False
        if connection.status != c"I" or self.attempts >= 3 or self.source is not None:
            return False
        error = self.error
        code = getattr(error, "code", "")
        if code in ("26000", "42P05") and self.attempts:
            # The session is not ours alone: a pooler changes it between queries. Names are of no use there.
            connection.prepared.pop(statement, None)
            connection.without_names(statement)
        elif code == "26000":
            connection.prepared.pop(statement, None)
        elif code == "42P05":
            # Names are made from contents: whoever prepared it, it is this statement.
            connection.mark_prepared(statement)
        elif code == "0A000" and error.routine == "RevalidateCachedQuery":
            if self.generation == statement.generation:
                # The first of those that met it; the others find it done.
                statement.forget()
        elif code == "XX000" and self.expect_failed in (AWAIT_PARSE_COMPLETE, AWAIT_BIND_COMPLETE) and not self.attempts:
            # "cache lookup failed for type": it was dropped, perhaps made again.
            if "cache lookup failed for type" not in error.message:
                return False
            if self.generation == statement.generation:
                statement.forget()
            connection.registry.forget()
        elif self.expect_failed == AWAIT_PARSE_COMPLETE and statement.described and statement.oids and not self.attempts:
            # Its parameters may have got other types since it was described.
            if code[:2] != "42":
                return False
            if self.generation == statement.generation:
                statement.forget()
        elif code == "42883" and self.description is not None and not statement.described and not self.attempts:
            # A column without binary output: describe first, then ask for text.
            pass
        else:
            return False
        self.attempts += 1
        self.reset()
        connection.again(self)
        return True

    def asked(self):
        """The types an introspection asked for."""
        return self.args[0]

    def rows_read(self):
        """What an internal query read."""
        return self.decoded or []

    def reset(self):
        self.error = None
        self.connection = None
        self.command = None
        self.description = None
        self.prepared = None
        self.decoded = None
        self.decoder = None
        self.count = 0
        self.discard = False
        self.raw.length = 0

    cdef object build(self):
        """What the query resolves to."""
        cdef QueryResult result
        cdef int shape = self.shape
        if self.kind != EXECUTE and shape == RESULT:
            if self.kind == SIMPLE:
                return self.results
            if self.kind == MANY:
                return self.count
            if self.kind != DESCRIBE:
                return count_of(self.command)
        if shape == RESULT:
            result = QueryResult.__new__(QueryResult)
            result.description = self.description
            result.command = self.command
            result.count = self.count
            result.data = PyBytes_FromStringAndSize(<char*> self.raw.data, self.raw.length) if self.raw.length else b""
            return result
        if shape == ONE:
            if self.count != 1:
                check_one(self.count)
            return self.decoded[0]
        if shape == SCALAR:
            if self.count == 0:
                raise no_row("a value")
            return self.decoded[0]
        if shape == ALL:
            return [] if self.decoded is None else self.decoded
        if shape == FIRST:
            return self.decoded[0] if self.count else None
        if shape == ONE_OR_NONE:
            if self.count > 1:
                check_one(self.count)
            return self.decoded[0] if self.count else None
        if shape == JSON:
            if self.count == 0:
                return b"[]"
            pg_put_u8(&self.raw, c"]")
            if self.raw.status != PG_OK:
                raise MemoryError
            return PyBytes_FromStringAndSize(<char*> self.raw.data, self.raw.length)
        return None if self.command is None else self.command.decode("utf-8", "replace")

    def __repr__(self):
        state = ("pending", "ready", "failed", "cancelled")[self.state]
        return f"<Query {state} {self.sql!r}>"


cdef object shape_query(Query query, int shape, object into):
    if query.shaped or query.state != PENDING or query.count:
        # Too late to decode straight from the received bytes: from the result, when it is there.
        if query.shaped:
            raise PgInterfaceError("The query resolves to one thing: a helper was already chosen.")
        return query.then(reshape(shape, into))
    query.shaped = True
    query.shape = shape
    query.target = into
    return query


def reshape(int shape, into):
    def asked(result):
        if shape == ALL:
            return result.all(into)
        if shape == ONE:
            return result.one(into)
        if shape == ONE_OR_NONE:
            return result.one_or_none(into)
        if shape == FIRST:
            return result.first(into)
        if shape == SCALAR:
            return result.scalar()
        if shape == JSON:
            return result.json()
        return result.tag
    return asked


def new_query(Statement statement not None, tuple args=()):
    """A query of its own, to be submitted to a connection."""
    return make_query(statement, args)


cdef dict SIMPLE_STATEMENTS = {}


def simple_query(str sql not None, bint internal=True):
    """A query of the simple protocol: several statements, text, no parameters. It resolves to a list of results.

    An internal one is the driver's own: its text is kept, its outcome interests only its `call_back`.
    """
    cdef Query q
    cdef Statement statement
    found = SIMPLE_STATEMENTS.get(sql) if internal else None
    statement = Statement(sql, False) if found is None else found
    if internal and len(SIMPLE_STATEMENTS) < 64:
        SIMPLE_STATEMENTS[sql] = statement
    q = make_query(statement, ())
    q.kind = SIMPLE
    q.internal = internal
    return q


def copy_query(str sql not None, bint out, ready):
    """COPY FROM STDIN, or with `out` TO STDOUT. `ready()` is called when the server is in COPY mode, or refused."""
    cdef Query q = make_query(Statement(sql, False), ())
    q.kind = COPYING_OUT if out else COPYING_IN
    q.source = ready
    q.barrier = True
    return q


def many_query(Statement statement not None, arguments):
    """One statement for each of an iterator's arguments, in one implicit transaction. It resolves to their number."""
    cdef Query q = make_query(statement, None)
    q.kind = MANY
    q.source = arguments
    return q


def fetch_query(Statement statement, args, bytes portal not None, uint32_t rows, into):
    """The first rows of a portal, to be bound to `args`; the next rows, when `args` is None."""
    cdef Query q = Query.__new__(Query)
    q.statement = statement
    q.args = args
    q.kind = FETCH
    q.portal = portal
    q.max_rows = rows
    q.shape = ALL
    q.shaped = True
    q.target = into
    return q


def close_portal_query(bytes portal not None):
    """Close of a portal; the outcome interests nobody."""
    cdef Query q = Query.__new__(Query)
    q.kind = CLOSE_PORTAL
    q.portal = portal
    q.internal = True
    return q


cdef Query make_query(Statement statement, tuple args):
    cdef Query q = Query.__new__(Query)
    q.statement = statement
    q.args = args
    return q


# ---- the connection ------------------------------------------------------------------------------------

cdef str state_name(int expect):
    return (
        "Idle", "ParseComplete", "ParameterDescription", "RowDescription", "BindComplete", "CommandComplete",
        "ReadyForQuery", "SimpleQuery", "CopyInResponse", "CopyOutResponse",
    )[expect]


cdef class Connection:
    """The protocol of one session after its handshake."""

    def __cinit__(self, Registry registry, dict statements=None, int prepared_max=256, bytes rest=b""):
        pg_writer_init(&self.outgoing)
        self.floor = SMALLEST_BUFFER
        self.registry = registry
        self.statements = {} if statements is None else statements
        self.prepared = {}
        self.prepared_max = prepared_max
        self.waiting = []
        self.events = []
        self.parameters = {}
        self.status = c"I"
        self.opened_at = self.idle_since = now()
        if rest:
            self._feed(rest)

    def __dealloc__(self):
        free(self.buffer)
        pg_writer_free(&self.outgoing)

    @property
    def state(self):
        """What the protocol waits for: the name of a message, `Idle`, or `Closed`."""
        if self.closed is not None:
            return "Closed"
        return "Idle" if self.head is None else state_name(self.head.expect)

    @property
    def transaction_status(self):
        """`I` idle, `T` in a transaction, `E` in a failed one, as the last ReadyForQuery told."""
        return chr(self.status)

    @property
    def in_flight(self):
        """How many slots are unanswered."""
        return self.depth

    # ---- bytes in

    cdef int room(self, uint8_t** into, size_t* length) except -1:
        """Where received bytes go: at least one byte of room."""
        cdef size_t used = self.end - self.start
        cdef size_t wanted
        cdef uint8_t* grown
        if used == 0:
            self.start = self.end = 0
            if self.capacity > LARGEST_IDLE_BUFFER:
                # One huge value is over.
                free(self.buffer)
                self.buffer = NULL
                self.capacity = 0
        if self.capacity - self.end < 4096 or self.buffer == NULL:
            if self.start and used <= self.capacity // 2:
                memmove(self.buffer, self.buffer + self.start, used)
            else:
                wanted = max(self.floor, 2 * self.capacity)
                grown = <uint8_t*> malloc(wanted)
                if grown == NULL:
                    raise MemoryError
                if used:
                    memcpy(grown, self.buffer + self.start, used)
                free(self.buffer)
                self.buffer = grown
                self.capacity = wanted
            self.start = 0
            self.end = used
        into[0] = self.buffer + self.end
        length[0] = self.capacity - self.end
        return 0

    cdef int received(self, size_t length) except -1:
        """`length` bytes were put where `room` said. Parses; `wake` is the caller's to call."""
        cdef bint filled
        self.end += length
        self.bytes_in += length
        filled = self.end == self.capacity
        self.parse()
        if filled and self.floor < LARGEST_IDLE_BUFFER:
            self.floor *= 2
            if self.start == self.end:
                free(self.buffer)
                self.buffer = NULL
                self.capacity = self.start = self.end = 0
        return 0

    def _feed(self, const uint8_t[:] data):
        cdef uint8_t* into
        cdef size_t room, n
        cdef size_t at = 0
        cdef size_t total = data.shape[0]
        while at < total and self.closed is None:
            self.room(&into, &room)
            n = min(room, total - at)
            memcpy(into, &data[at], n)
            at += n
            self.received(n)

    def feed(self, data):
        """Bytes of the server, in chunks of any size: parse them and wake whose answers are complete."""
        self._feed(data)
        self.wake()

    def feed_eof(self, error=None):
        """The stream ended, by `error` when it is given: everything unanswered fails."""
        self.lost(error)
        self.wake()

    def take(self):
        """The bytes to be sent, which count as sent."""
        data = PyBytes_FromStringAndSize(<char*> self.outgoing.data + self.sent, self.outgoing.length - self.sent)
        self.flushed(len(data))
        return data

    # ---- bytes out

    cdef size_t unsent(self):
        return self.outgoing.length - self.sent

    cdef bint was_sent(self, Query q):
        return self.bytes_out > q.position

    cdef int flushed(self, size_t length) except -1:
        """`length` more bytes went to the socket."""
        cdef Query q
        self.sent += length
        self.bytes_out += length
        if self.sent == self.outgoing.length:
            self.outgoing.length = self.sent = 0
            if self.outgoing.capacity > 4 * LARGEST_IDLE_BUFFER:
                pg_writer_free(&self.outgoing)
                pg_writer_init(&self.outgoing)
        if self.producer is not None and self.unsent() < WINDOW // 2:
            self.produce(self.producer)
        return 0

    cdef bint can_write(self):
        return self.closed is None and self.holds == 0 and not self.waiting

    # ---- parsing

    cdef int parse(self) except -1:
        cdef pg_frame frame
        cdef Query q
        cdef int n
        while self.closed is None:
            if self.start < self.end and self.buffer[self.start] == c"D":
                q = self.head
                if q is None or (q.expect != AWAIT_COMMAND_COMPLETE and q.expect != SIMPLE_QUERY):
                    return self.violation("a DataRow nobody waits for")
                if not self.rows_run(q):
                    return 0
                continue
            n = pg_frame_next(self.buffer + self.start, self.end - self.start, &frame)
            if n <= 0:
                if n < 0:
                    return self.violation("a message with an impossible length")
                return 0
            # Taken off first: what follows may close the connection.
            self.start += n
            self.message(frame.type, frame.payload, frame.length)
        return 0

    cdef int rows_run(self, Query q) except -1:
        """Consecutive DataRows; 0 when the last one is not complete yet, else 1."""
        cdef const uint8_t* p = self.buffer + self.start
        cdef const uint8_t* end = self.buffer + self.end
        cdef const uint8_t* run = p
        cdef uint32_t word
        cdef int complete = 1
        cdef int mode
        cdef long long limit = -1
        cdef long long count = q.count
        cdef RowDecoder decoder
        # 0: dropped, 1: kept as they are, 2: decoded, 3: to JSON.
        if q.discard or q.state != PENDING or q.error is not None or q.kind == MANY:
            mode = 0
        elif q.shape == RESULT or q.description is None or q.description.codecs is None:
            mode = 1
        else:
            mode = 3 if q.shape == JSON else 2
            if q.shape == TAG:
                mode = 0
            elif q.decoder is None:
                mode = self.begin_rows(q, mode)
            if q.shape in (ONE, ONE_OR_NONE, FIRST, SCALAR):
                limit = 1
        decoder = q.decoder
        while end - p >= 5 and p[0] == c"D":
            word = pg_load_u32(p + 1)
            if word < 6 or word - 4 > PG_FRAME_CAP:
                self.start = p - self.buffer
                return self.violation("a DataRow with an impossible length")
            if <size_t> (end - p) < <size_t> word + 1:
                complete = 0
                break
            if mode == 2:
                if limit < 0 or count < limit:
                    try:
                        q.decoded.append(decoder.decode(p + 5, word - 4))
                    except Exception as error:
                        q.error = as_decode_error(error) if isinstance(error, ValueError) else error
                        q.decoded = None
                        mode = 0
            elif mode == 3:
                try:
                    pg_put_u8(&q.raw, c"," if q.raw.length else c"[")
                    decoder.write_json(p + 5, word - 4, &q.raw)
                except Exception as error:
                    q.error = as_decode_error(error) if isinstance(error, ValueError) else error
                    mode = 0
            count += 1
            p += <size_t> word + 1
        if p != run and complete and p < end and end - p < 5 and p[0] == c"D":
            complete = 0
        elif p == run and end - p < 5:
            complete = 0
        if mode == 1 and p != run:
            pg_put_bytes(&q.raw, run, p - run)
            if q.raw.status != PG_OK:
                q.error = MemoryError()
                q.discard = True
        self.start = p - self.buffer
        if q.kind != MANY:
            q.count = count
        return complete

    cdef int begin_rows(self, Query q, int mode) except -1:
        """The decoder for a query's rows; the mode they are read in."""
        try:
            q.decoder = q.description.decoder(q.target)
        except Exception as error:
            q.error = as_decode_error(error) if isinstance(error, ValueError) else error
            return 0
        q.decoded = []
        return mode

    cdef int message(self, uint8_t type, const uint8_t* payload, uint32_t length) except -1:
        cdef Query q = self.head
        if type == c"Z":
            if length != 1:
                return self.violation("a ReadyForQuery of another length")
            return self.ready_for_query(payload[0])
        if type == c"2":
            if q is None or q.expect != AWAIT_BIND_COMPLETE:
                return self.violation("a BindComplete nobody waits for")
            q.expect = AWAIT_COMMAND_COMPLETE
            if q.description is None and q.prepared is not None:
                # What this session said of the statement, perhaps after the query was written.
                q.description = q.prepared.description or q.written_as or q.statement.description
            return 0
        if type == c"C":
            return self.command_complete(q, payload, length)
        if type == c"E":
            return self.error_response(payload, length)
        if type == c"N":
            self.events.append((self._notice, read_fields(payload, length)))
            return 0
        if type == c"S":
            return self.parameter_status(payload, length)
        if type == c"A":
            return self.notification(payload, length)
        if type == c"1":
            if q is None or q.expect != AWAIT_PARSE_COMPLETE:
                return self.violation("a ParseComplete nobody waits for")
            q.expect = AWAIT_PARAMETER_DESCRIPTION
            return 0
        if type == c"t":
            if q is None or q.expect != AWAIT_PARAMETER_DESCRIPTION:
                return self.violation("a ParameterDescription nobody waits for")
            q.results = [PyBytes_FromStringAndSize(<const char*> payload, length)]
            q.expect = AWAIT_ROW_DESCRIPTION
            return 0
        if type == c"T" or type == c"n":
            return self.row_description(q, type, payload, length)
        if type == c"3":
            if q is None or q.closing == 0:
                return self.violation("a CloseComplete nobody waits for")
            q.closing -= 1
            if q.kind == CLOSE_PORTAL:
                q.expect = AWAIT_READY_FOR_QUERY
            return 0
        if type == c"I":
            if q is None or (q.expect != AWAIT_COMMAND_COMPLETE and q.expect != SIMPLE_QUERY):
                return self.violation("an EmptyQueryResponse nobody waits for")
            return self.completed(q, None)
        if type == c"s":
            if q is None or q.expect != AWAIT_COMMAND_COMPLETE or q.max_rows == 0:
                return self.violation("a PortalSuspended nobody waits for")
            q.suspended = True
            q.expect = AWAIT_READY_FOR_QUERY
            return 0
        if type == c"d":
            if q is None or q.expect != COPY_OUT:
                return self.violation("CopyData nobody waits for")
            if q.kind == COPYING_OUT and q.state == PENDING and q.error is None:
                q.decoded.append(PyBytes_FromStringAndSize(<const char*> payload, length))
                q.count += length
            return 0
        if type == c"c":
            if q is None or q.expect != COPY_OUT:
                return self.violation("a CopyDone nobody waits for")
            # CommandComplete follows.
            q.expect = AWAIT_COMMAND_COMPLETE if q.kind == EXECUTE else SIMPLE_QUERY
            return 0
        if type == c"G":
            return self.copy_in_response(q)
        if type == c"H":
            if q is None or (q.expect != SIMPLE_QUERY and q.expect != AWAIT_COMMAND_COMPLETE):
                return self.violation("a CopyOutResponse nobody waits for")
            if q.kind != COPYING_OUT and q.error is None:
                q.error = PgInterfaceError(
                    "COPY TO STDOUT was executed as a query; its data was dropped. Use `copy_out`.", statement=q.sql
                )
            elif q.kind == COPYING_OUT:
                self.events.append((q.source, None))
            q.expect = COPY_OUT
            return 0
        if type == c"W":
            return self.violation("a CopyBothResponse: this is no replication connection")
        return self.violation(f"a message of the unknown type {chr(type)!r}")

    cdef int command_complete(self, Query q, const uint8_t* payload, uint32_t length) except -1:
        if q is None or (q.expect != AWAIT_COMMAND_COMPLETE and q.expect != SIMPLE_QUERY and q.expect != COPY_IN):
            return self.violation("a CommandComplete nobody waits for")
        if length == 0 or payload[length - 1] != 0:
            return self.violation("a CommandComplete without its end")
        return self.completed(q, PyBytes_FromStringAndSize(<const char*> payload, length - 1))

    cdef int completed(self, Query q, bytes command) except -1:
        cdef QueryResult result
        if q.kind == SIMPLE:
            result = QueryResult.__new__(QueryResult)
            result.description = q.description
            result.command = command
            result.count = q.count
            result.data = PyBytes_FromStringAndSize(<char*> q.raw.data, q.raw.length) if q.raw.length else b""
            q.results.append(result)
            q.raw.length = 0
            q.count = 0
            q.description = None
            if command is not None and not q.internal:
                self.note(command)
            return 0
        q.command = command
        if command is not None and not self.shared:
            self.note(command)
        if q.kind == MANY:
            q.count += 1
            q.remaining -= 1
            if q.remaining > 0 or not q.synced:
                q.expect = AWAIT_BIND_COMPLETE
                return 0
        q.expect = SIMPLE_QUERY if q.kind == COPYING_IN or q.kind == COPYING_OUT else AWAIT_READY_FOR_QUERY
        return 0

    cdef int note(self, bytes command) except -1:
        """What a command did to the session, by its tag."""
        if command == b"SET" or command == b"RESET" or command.startswith(b"DISCARD"):
            # Unqualified names and defaults may mean something else from now on.
            if not self.tainted:
                self.tainted = True
                self.epoch += 1
                self.statements = {}
        if command.partition(b" ")[0] not in CLEAN_TAGS:
            self.touched = True
        if command.startswith(b"DEALLOCATE ALL") or command.startswith(b"DISCARD ALL"):
            self.prepared.clear()
        return 0

    cdef int row_description(self, Query q, uint8_t type, const uint8_t* payload, uint32_t length) except -1:
        cdef Statement statement
        cdef Description known
        cdef bytes raw = None
        if q is not None and q.expect == SIMPLE_QUERY and type == c"T":
            q.description = self.description(PyBytes_FromStringAndSize(<const char*> payload, length), True)
            return 0
        if q is None or q.expect != AWAIT_ROW_DESCRIPTION:
            return self.violation("a RowDescription nobody waits for")
        if type == c"T":
            raw = PyBytes_FromStringAndSize(<const char*> payload, length)
        q.expect = AWAIT_READY_FOR_QUERY if q.kind == DESCRIBE else AWAIT_BIND_COMPLETE
        if q.kind == MANY and q.synced and q.remaining == 0:
            q.expect = AWAIT_READY_FOR_QUERY if q.client_error is None else AWAIT_COMMAND_COMPLETE
        statement = q.statement
        known = statement.description
        if known is not None and known.raw == raw:
            q.description = known
            if q.prepared is not None:
                q.prepared.description = known
            return 0
        q.description = self.description(raw, False)
        if q.prepared is not None:
            q.prepared.description = q.description
        if not statement.described:
            statement.description = q.description
        if self.closed is None and q.kind != DESCRIBE and not q.description.unknown():
            # New, or changed since another connection saw it.
            q.description.learn()
            if not statement.described or q.description.bind_tail == statement.description.bind_tail:
                oids = read_oids(<bytes> q.results[0])
                if oids is None:
                    return self.violation("a malformed ParameterDescription")
                if not unknown_to(self.registry, list(oids)):
                    statement.described_as(self.registry, oids, q.description)
        return 0

    cdef Description description(self, bytes raw, bint text):
        try:
            return Description(self.registry, raw, text)
        except ValueError:
            self.violation("a malformed RowDescription")
            return None

    cdef int ready_for_query(self, uint8_t status) except -1:
        cdef Query q = self.head
        cdef double time
        if q is None:
            return self.violation("a ReadyForQuery nobody waits for")
        if q.expect != AWAIT_READY_FOR_QUERY and q.expect != SIMPLE_QUERY:
            return self.violation(f"a ReadyForQuery where {state_name(q.expect)} was due")
        if q.kind == SIMPLE and q.error is None and not q.results:
            return self.violation("a ReadyForQuery before any result")
        if (q.kind == COPYING_IN or q.kind == COPYING_OUT) and q.error is None and q.command is None:
            return self.violation("a ReadyForQuery in the middle of COPY")
        if q.closing:
            return self.violation("a ReadyForQuery before a CloseComplete")
        if status != c"I" and status != c"T" and status != c"E":
            return self.violation("a ReadyForQuery with an unknown status")
        time = now()
        self.status = status
        self.head = q.next
        q.next = None
        q.seconds = time - self.head_since
        q.ended = time
        self.depth -= 1
        self.head_since = time
        if self.head is None:
            self.tail = None
        if q.state != PENDING and not q.internal:
            self.abandoned_in_flight -= 1
        if self.finished_tail is None:
            self.finished_head = q
        else:
            self.finished_tail.next = q
        self.finished_tail = q
        return 0

    cdef int error_response(self, const uint8_t* payload, uint32_t length) except -1:
        cdef Query q = self.head
        cdef dict fields = read_fields(payload, length)
        severity = fields.get("V") or fields.get("S") or "ERROR"
        error = error_from_fields(fields, None if q is None else q.sql)
        if severity in ("FATAL", "PANIC") or q is None:
            # No ReadyForQuery follows, only the end of the stream; the reason is kept for whoever asks next.
            if self.fatal is None:
                self.fatal = error
            if q is None and severity not in ("FATAL", "PANIC"):
                return self.violation("an ErrorResponse nobody waits for")
            return 0
        if q.error is None:
            q.error = error
            q.expect_failed = q.expect
            if q.expect == AWAIT_PARSE_COMPLETE and q.statement is not None and error.code != "42P05":
                # The name does not exist.
                self.prepared.pop(q.statement, None)
        q.closing = 0
        if q.client_error is not None and q.remaining == 0:
            q.error = q.client_error
        if q.kind == MANY and not q.synced:
            self.sync(q)
        if q.kind == SIMPLE or q.kind == COPYING_IN or q.kind == COPYING_OUT:
            q.expect = SIMPLE_QUERY
            q.description = None
        else:
            q.expect = AWAIT_READY_FOR_QUERY
        if q.kind == COPYING_IN:
            self.events.append((q.source, None))
        return 0

    cdef int copy_in_response(self, Query q) except -1:
        cdef bytes reason = b"COPY FROM STDIN was executed as a query"
        if q is None or (q.expect != SIMPLE_QUERY and q.expect != AWAIT_COMMAND_COMPLETE):
            return self.violation("a CopyInResponse nobody waits for")
        if q.kind == COPYING_IN and q.state == PENDING:
            q.expect = COPY_IN
            self.events.append((q.source, None))
            return 0
        # The server reads until it is told; whatever else was pipelined behind would become data.
        if q.kind != COPYING_IN:
            q.error = PgInterfaceError("COPY FROM STDIN was executed as a query. Use `copy_in`.", statement=q.sql)
        pg_msg_copy_fail(&self.outgoing, PyBytes_AS_STRING(reason), len(reason))
        if q.kind == EXECUTE:
            # The Sync of the slot was read as part of the data.
            pg_msg_sync(&self.outgoing)
        q.expect = COPY_IN
        if self.channel is not None:
            self.channel.want_flush()
        return 0

    cdef int parameter_status(self, const uint8_t* payload, uint32_t length) except -1:
        cdef pg_reader reader
        cdef size_t name_length = 0
        cdef size_t value_length = 0
        cdef const char* name
        cdef const char* value
        pg_reader_init(&reader, payload, length)
        name = pg_read_cstr(&reader, &name_length)
        value = pg_read_cstr(&reader, &value_length)
        if reader.failed:
            return self.violation("a malformed ParameterStatus")
        key = PyUnicode_DecodeUTF8(name, name_length, "replace")
        text = PyUnicode_DecodeUTF8(value, value_length, "replace")
        self.parameters[key] = text
        if key == "client_encoding" and text.upper().replace("-", "") not in ("UTF8", "UNICODE"):
            if self.head is not None and self.head.error is None:
                self.head.error = PgInterfaceError(
                    f"client_encoding was changed to {text}: this driver speaks UTF8 only. The connection is closed."
                )
            self.retire_at = -1
            self.tainted = True
        if self.on_parameter is not None:
            self.events.append((self.on_parameter, (key, text)))
        return 0

    cdef int notification(self, const uint8_t* payload, uint32_t length) except -1:
        cdef pg_reader reader
        cdef size_t channel_length = 0
        cdef size_t text_length = 0
        cdef const char* channel
        cdef const char* text
        pg_reader_init(&reader, payload, length)
        pid = pg_read_u32(&reader)
        channel = pg_read_cstr(&reader, &channel_length)
        text = pg_read_cstr(&reader, &text_length)
        if not pg_reader_done(&reader):
            return self.violation("a malformed NotificationResponse")
        if self.on_notification is not None:
            self.events.append((
                self.on_notification,
                (PyUnicode_DecodeUTF8(channel, channel_length, "replace"),
                 PyUnicode_DecodeUTF8(text, text_length, "replace"), pid),
            ))
        return 0

    def _notice(self, dict fields):
        if self.on_notice is not None:
            self.on_notice(notice_from_fields(fields))

    # ---- waking

    cdef int wake(self) except -1:
        """Settle what is complete, then run whoever waited for it. After parsing, never inside."""
        cdef Query q, following
        cdef list events
        if self.head is not None and self.head.kind == COPYING_OUT and self.head.decoded:
            self.events.append((self.head.source, None))
        if self.events:
            events, self.events = self.events, []
            for handler, argument in events:
                if handler is not None:
                    self.tell(handler, argument)
        if self.finished_head is None:
            return 0
        hold_wakes()
        try:
            while self.finished_head is not None:
                q = self.finished_head
                self.finished_head = self.finished_tail = None
                while q is not None:
                    following = q.next
                    q.next = None
                    self.queries += 1
                    self.over(q)
                    q = following
        finally:
            release_wakes()
        return 0

    cdef int over(self, Query q) except -1:
        """A slot is over."""
        cdef long long position
        if q.barrier:
            q.barrier = False
            self.holds -= 1
        if self.producer is q:
            self.producer = None
        if q.statement is not None and q.statement.nature == NATURE_SESSION and not q.internal:
            self.touched = True
        if self.dispatcher is not None:
            self.dispatcher.finished(q, self)
        if q.description is not None and q.description.codecs is None and q.kind != DESCRIBE and q.error is None:
            unknown = q.description.unknown()
            if unknown:
                # Rows came before their types were known.
                self.introspect(unknown, Resume(self, q))
                return 0
            q.description.learn()
            self.late_rows(q)
        position = q.position
        q.finish()
        if q.position == position:
            # Else it was written once more.
            q.connection = None
        if self.waiting and self.holds == 0:
            self.pump()
        return 0

    cdef int late_rows(self, Query q) except -1:
        """Rows kept as bytes, because their types were not known yet, become what the query resolves to."""
        cdef QueryResult result
        if q.shape == RESULT or q.state != PENDING or q.shape == TAG or q.kind == SIMPLE:
            return 0
        result = QueryResult.__new__(QueryResult)
        result.description = q.description
        result.count = q.count
        result.data = PyBytes_FromStringAndSize(<char*> q.raw.data, q.raw.length) if q.raw.length else b""
        q.raw.length = 0
        try:
            if q.shape == JSON:
                data = result.json()
                if q.count:
                    pg_put_bytes(&q.raw, PyBytes_AS_STRING(data), len(data) - 1)
            else:
                q.decoded = result._rows(q.target, -1 if q.shape == ALL else 1)
        except Exception as error:
            q.error = error
        return 0

    def tell(self, handler, argument):
        """A handler of the user's; its exception is reported and does not reach the protocol."""
        try:
            if argument is None:
                handler()
            elif type(argument) is tuple:
                handler(*argument)
            else:
                handler(argument)
        except Exception as error:
            report(error, f"A handler of {self!r} failed")

    # ---- the end

    cdef int violation(self, str what) except -1:
        """The server broke the protocol: nothing behind this can be trusted."""
        error = PgProtocolError(f"The server sent {what}. The connection is closed.", code="08P01")
        self.lost(error)
        return 0

    cdef int lost(self, object error) except -1:
        """The session is over: every slot fails with the root cause."""
        cdef Query q, following
        cdef object cause = self.fatal
        if self.closed is not None:
            return 0
        if cause is None:
            cause = error
        if cause is None:
            cause = PgConnectionError("The server closed the connection without a reason.", code="08006")
        elif not isinstance(cause, PgError):
            found = PgConnectionError(f"The connection was lost: {cause}", code="08006")
            found.__cause__ = cause
            cause = found
        self.closed = cause
        self.producer = None
        q = self.head
        self.head = self.tail = None
        self.depth = 0
        while q is not None:
            following = q.next
            q.next = None
            if q.error is None or q.expect != AWAIT_READY_FOR_QUERY:
                q.error = self.cause_for(q)
            if self.finished_tail is None:
                self.finished_head = q
            else:
                self.finished_tail.next = q
            self.finished_tail = q
            q = following
        for q in self.waiting:
            q.error = self.cause_for(q)
            if self.finished_tail is None:
                self.finished_head = q
            else:
                self.finished_tail.next = q
            self.finished_tail = q
        self.waiting = []
        self.outgoing.length = self.sent = 0
        if self.on_close is not None:
            self.events.append((self.on_close, (self,)))
        return 0

    def cause_for(self, Query q):
        """An exception of the query's own for a lost connection."""
        error = copy.copy(self.closed)
        if not isinstance(error, PgConnectionError):
            # FATAL of a class that is not about connections: the query still has none.
            wrapped = PgConnectionError(error.message, code=error.code)
            wrapped.__cause__ = error
            error = wrapped
        error.statement = q.sql
        error.safe_to_retry = not self.was_sent(q)
        return error

    def close(self, error=None):
        """Ends the session on our side: what is unanswered fails with PgClosedError, or with `error`."""
        if self.closed is None:
            self.lost(PgClosedError("The connection is closed.") if error is None else error)
            self.wake()

    # ---- writing

    cdef int submit(self, Query q) except -1:
        """A query of this connection's own user: in order, behind what was submitted before."""
        if self.closed is not None:
            q.error = self.cause_for(q)
            q.error.safe_to_retry = True
            return q.complete()
        q.started = now()
        self.used = True
        if self.hooks is not None and q.hooks is None and not q.internal:
            q.observe_with(self.hooks)
        if self.holds or self.waiting:
            self.waiting.append(q)
            return 0
        self.enqueue(q)
        return 0

    cdef int pump(self) except -1:
        """Submit what was held back."""
        cdef Query q
        while self.waiting and self.holds == 0 and self.closed is None:
            q = <Query> self.waiting.pop(0)
            if q.state != PENDING and not q.internal:
                if q.callback is not None:
                    q.complete()
                continue
            self.enqueue(q)
        return 0

    def hold(self):
        """What is submitted from now on waits for `release`."""
        self.holds += 1

    def release(self):
        """The reverse of one `hold`."""
        self.holds -= 1
        self.pump()

    cdef int enqueue(self, Query q) except -1:
        cdef Statement statement = q.statement
        cdef Query d
        if (
            statement is not None
            and not statement.described
            and (q.args or q.kind == MANY or q.attempts)
            and q.kind != DESCRIBE
        ):
            d = self.describing(statement, Resubmit(self, q))
            # Order is kept: what follows waits until this one is written.
            d.barrier = True
            self.holds += 1
            self.write(d)
            return 0
        try:
            self.write(q)
        except Exception as error:
            q.error = encode_error(error, q)
            q.complete()
            return 0
        if q.barrier:
            self.holds += 1
        return 0

    cdef Query describing(self, Statement statement, object callback):
        cdef Query d = make_query(statement, ())
        d.kind = DESCRIBE
        d.internal = True
        d.callback = callback
        d.started = now()
        return d

    def again(self, Query q):
        """Run a refused query once more."""
        if self.shared and self.dispatcher is not None and q.kind == EXECUTE:
            self.dispatcher.resubmit(q)
        else:
            self.enqueue(q)

    cdef int write(self, Query q) except -1:
        """The messages of a slot into the buffer, and the slot into the queue."""
        cdef pg_writer* w = &self.outgoing
        cdef size_t mark = w.length
        cdef bytes text
        if q.kind == EXECUTE or q.kind == DESCRIBE:
            self.write_execute(q)
        elif q.kind == FETCH:
            self.write_fetch(q)
        elif q.kind == MANY:
            self.write_many(q)
        elif q.kind == CLOSE_PORTAL:
            pg_msg_close(w, c"P", PyBytes_AS_STRING(q.portal), PyBytes_GET_SIZE(q.portal))
            pg_msg_sync(w)
            q.closing = 1
            q.expect = AWAIT_COMMAND_COMPLETE
        else:
            text = q.statement.query
            pg_msg_query(w, PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))
            q.expect = SIMPLE_QUERY
            q.results = []
            if q.kind == COPYING_OUT:
                q.decoded = []
        if w.status != PG_OK or w.length - mark > PG_FRAME_CAP:
            self.withdraw(mark)
            raise PgInterfaceError("The message is longer than the server accepts (1 GiB).", statement=q.sql)
        q.connection = self
        q.position = self.bytes_out + <long long> (mark - self.sent)
        if self.tail is None:
            self.head = q
            self.head_since = q.started
        else:
            self.tail.next = q
        self.tail = q
        self.depth += 1
        if self.channel is not None:
            self.channel.want_flush()
        return 0

    cdef int withdraw(self, size_t mark) except -1:
        cdef int status = self.outgoing.status
        pg_writer_rewind(&self.outgoing, mark)
        if status == PG_NO_MEMORY:
            raise MemoryError
        return 0

    cdef int write_execute(self, Query q) except -1:
        cdef pg_writer* w = &self.outgoing
        cdef size_t mark = w.length
        cdef size_t position
        cdef Statement statement = q.statement
        cdef Prepared prepared
        cdef PyObject* found = PyDict_GetItem(self.prepared, statement) if statement.named else NULL
        q.generation = statement.generation
        q.written_as = statement.description
        if found != NULL and (<Prepared> found).generation == statement.generation:
            (<Prepared> found).used = self.clock = self.clock + 1
            prepared = None
            q.prepared = <Prepared> found
            q.expect = AWAIT_BIND_COMPLETE
            if q.kind == DESCRIBE:
                pg_msg_describe(w, c"S", PyBytes_AS_STRING(statement.name), PyBytes_GET_SIZE(statement.name))
                pg_put_bytes(w, PyBytes_AS_STRING(SYNC), 5)
                q.expect = AWAIT_PARAMETER_DESCRIPTION
                return 0
            q.description = None
        else:
            prepared = self.prepare(q, statement, <Prepared> found if found != NULL else None)
            q.expect = AWAIT_PARSE_COMPLETE
            if q.kind == DESCRIBE:
                pg_put_bytes(w, PyBytes_AS_STRING(SYNC), 5)
                self.remember(prepared)
                return 0
            q.description = None
        # Bind
        position = w.length + 1
        pg_put_bytes(w, PyBytes_AS_STRING(statement.bind_head), PyBytes_GET_SIZE(statement.bind_head))
        if statement.described:
            try:
                encode_parameters(statement.encoders, q.args, w)
            except BaseException:
                pg_writer_rewind(w, mark)
                q.closing = 0
                raise
            pg_put_bytes(w, PyBytes_AS_STRING(statement.description.bind_tail),
                         PyBytes_GET_SIZE(statement.description.bind_tail))
        else:
            # Without parameters nothing needs to be known beforehand.
            pg_put_u32(w, 0)
            pg_put_bytes(w, PyBytes_AS_STRING(ALL_BINARY), 4)
        pg_message_end(w, position)
        pg_put_bytes(w, PyBytes_AS_STRING(EXECUTE_SYNC), PyBytes_GET_SIZE(EXECUTE_SYNC))
        if prepared is not None:
            self.remember(prepared)
        return 0

    cdef Prepared prepare(self, Query q, Statement statement, Prepared stale):
        """Parse and Describe, behind a Close of what has to make room for it."""
        cdef pg_writer* w = &self.outgoing
        cdef Prepared victim, candidate, prepared
        q.closing = 0
        if stale is not None:
            self.prepared.pop(statement)
            pg_msg_close(w, c"S", PyBytes_AS_STRING(stale.name), PyBytes_GET_SIZE(stale.name))
            q.closing += 1
        elif statement.named and len(self.prepared) >= self.prepared_max:
            victim = None
            for candidate in self.prepared.values():
                if victim is None or candidate.used < victim.used:
                    victim = candidate
            if victim is not None:
                self.prepared.pop(victim.statement)
                pg_msg_close(w, c"S", PyBytes_AS_STRING(victim.name), PyBytes_GET_SIZE(victim.name))
                q.closing += 1
        pg_put_bytes(w, PyBytes_AS_STRING(statement.parse), PyBytes_GET_SIZE(statement.parse))
        prepared = Prepared.__new__(Prepared)
        prepared.statement = statement
        prepared.name = statement.name
        prepared.generation = statement.generation
        q.prepared = prepared
        return prepared

    cdef int remember(self, Prepared prepared) except -1:
        if prepared.statement.named:
            prepared.used = self.clock = self.clock + 1
            self.prepared[prepared.statement] = prepared
        return 0

    def without_names(self, Statement statement not None):
        """From now on statements are parsed with every use, in the same round trip."""
        statement.named = False
        statement.forget()
        self.prepared_max = 0
        if self.dispatcher is not None:
            self.dispatcher.without_names()

    def mark_prepared(self, Statement statement not None):
        """The server has it under its name."""
        cdef Prepared prepared = Prepared.__new__(Prepared)
        prepared.statement = statement
        prepared.name = statement.name
        prepared.generation = statement.generation
        prepared.description = statement.description
        self.remember(prepared)

    @property
    def prepared_statements(self):
        """The texts this session has prepared."""
        return [statement.sql for statement in self.prepared]

    # ---- portals

    cdef int write_fetch(self, Query q) except -1:
        """The first rows of a new portal, when the query has a statement to bind; else further ones."""
        cdef pg_writer* w = &self.outgoing
        cdef size_t mark = w.length
        cdef size_t position
        cdef Statement statement = q.statement
        cdef Prepared prepared = None
        cdef PyObject* found
        if q.args is not None:
            found = PyDict_GetItem(self.prepared, statement) if statement.named else NULL
            q.expect = AWAIT_BIND_COMPLETE
            q.description = None
            if found == NULL or (<Prepared> found).generation != statement.generation:
                prepared = self.prepare(q, statement, <Prepared> found if found != NULL else None)
                q.expect = AWAIT_PARSE_COMPLETE
            else:
                q.prepared = <Prepared> found
            position = pg_bind_begin(w, PyBytes_AS_STRING(q.portal), PyBytes_GET_SIZE(q.portal),
                                     PyBytes_AS_STRING(statement.name), PyBytes_GET_SIZE(statement.name))
            if statement.described:
                try:
                    encode_parameters(statement.encoders, q.args, w)
                except BaseException:
                    pg_writer_rewind(w, mark)
                    q.closing = 0
                    raise
                pg_put_bytes(w, PyBytes_AS_STRING(statement.description.bind_tail),
                             PyBytes_GET_SIZE(statement.description.bind_tail))
            else:
                pg_put_u32(w, 0)
                pg_put_bytes(w, PyBytes_AS_STRING(ALL_BINARY), 4)
            pg_message_end(w, position)
            if prepared is not None:
                self.remember(prepared)
        else:
            q.expect = AWAIT_COMMAND_COMPLETE
        pg_msg_execute(w, PyBytes_AS_STRING(q.portal), PyBytes_GET_SIZE(q.portal), q.max_rows)
        pg_put_bytes(w, PyBytes_AS_STRING(SYNC), 5)
        return 0

    # ---- many: one statement, many arguments, one Sync

    cdef int write_many(self, Query q) except -1:
        """Binds and executes as far as the window goes; `flushed` asks for more."""
        cdef pg_writer* w = &self.outgoing
        cdef Prepared prepared
        cdef Statement statement = q.statement
        cdef PyObject* found = PyDict_GetItem(self.prepared, statement) if statement.named else NULL
        q.expect = AWAIT_BIND_COMPLETE
        q.description = statement.description
        if found == NULL or (<Prepared> found).generation != statement.generation:
            prepared = self.prepare(q, statement, <Prepared> found if found != NULL else None)
            q.expect = AWAIT_PARSE_COMPLETE
            self.remember(prepared)
        q.barrier = True
        self.producer = q
        self.produce(q)
        if q.remaining == 0 and q.expect == AWAIT_BIND_COMPLETE:
            # Nothing to execute: only the Sync is answered.
            q.expect = AWAIT_READY_FOR_QUERY
        return 0

    cdef int produce(self, Query q) except -1:
        cdef pg_writer* w = &self.outgoing
        cdef size_t mark, position
        cdef Statement statement = q.statement
        cdef size_t limit = w.length + WINDOW - min(<size_t> WINDOW, self.unsent())
        cdef bytes head = statement.bind_head
        cdef bytes tail = statement.description.bind_tail
        cdef list encoders = statement.encoders
        cdef Py_ssize_t head_length = PyBytes_GET_SIZE(head)
        cdef Py_ssize_t tail_length = PyBytes_GET_SIZE(tail)
        if q.synced:
            return 0
        try:
            while w.length < limit:
                try:
                    args = next(q.source)
                except StopIteration:
                    self.sync(q)
                    return 0
                if q.synced:
                    # The iterator let the loop run, and an error came.
                    return 0
                mark = w.length
                position = mark + 1
                pg_put_bytes(w, PyBytes_AS_STRING(head), head_length)
                try:
                    encode_parameters(encoders, args if type(args) is tuple else tuple(args), w)
                except BaseException:
                    pg_writer_rewind(w, mark)
                    raise
                pg_put_bytes(w, PyBytes_AS_STRING(tail), tail_length)
                pg_message_end(w, position)
                pg_put_bytes(w, PyBytes_AS_STRING(EXECUTE_ALL), 10)
                if w.status != PG_OK or w.length - mark > PG_FRAME_CAP:
                    self.withdraw(mark)
                    raise PgInterfaceError("The message is longer than the server accepts (1 GiB).")
                q.remaining += 1
        except Exception as error:
            # What was sent before is one implicit transaction with this; executing no portal rolls it back.
            q.client_error = encode_error(error, q)
            pg_msg_execute(w, PyBytes_AS_STRING(NO_PORTAL), len(NO_PORTAL), 0)
            self.sync(q)
            if q.remaining == 0 and q.expect == AWAIT_BIND_COMPLETE:
                q.expect = AWAIT_COMMAND_COMPLETE
        if self.channel is not None:
            self.channel.want_flush()
        return 0

    cdef int sync(self, Query q) except -1:
        q.synced = True
        q.source = None
        if self.producer is q:
            self.producer = None
        pg_put_bytes(&self.outgoing, PyBytes_AS_STRING(SYNC), 5)
        if q.expect == AWAIT_BIND_COMPLETE and q.remaining == 0:
            q.expect = AWAIT_READY_FOR_QUERY
        if self.channel is not None:
            self.channel.want_flush()
        return 0

    # ---- COPY IN

    def copy_data(self, const uint8_t[::1] data not None):
        """One CopyData message; to be called in COPY-in mode. The bytes waiting to be sent afterwards."""
        if data.shape[0]:
            pg_msg_copy_data(&self.outgoing, &data[0], data.shape[0])
            self._copy_written()
        return self.unsent()

    def copy_raw(self, Writer rows not None):
        """What a Writer holds as one CopyData message, without copying it through Python."""
        if rows.writer.length:
            pg_msg_copy_data(&self.outgoing, rows.writer.data, rows.writer.length)
            rows.writer.length = 0
            self._copy_written()
        return self.unsent()

    cdef int _copy_written(self) except -1:
        if self.outgoing.status != PG_OK:
            self.outgoing.status = PG_OK
            raise MemoryError
        if self.channel is not None:
            self.channel.want_flush()
        return 0

    def copy_end(self, str failure=None):
        """CopyDone, or CopyFail with the reason."""
        cdef bytes reason
        if self.head is None or self.head.expect != COPY_IN:
            # The server has left COPY mode by an error of its own.
            return
        if failure is None:
            pg_msg_copy_done(&self.outgoing)
        else:
            reason = failure.replace("\0", "").encode("utf-8", "replace")
            pg_msg_copy_fail(&self.outgoing, PyBytes_AS_STRING(reason), len(reason))
        if self.channel is not None:
            self.channel.want_flush()

    @property
    def copying(self):
        """Whether the server waits for COPY data."""
        return self.head is not None and self.head.expect == COPY_IN

    @property
    def pending_bytes(self):
        """Bytes written and not yet given to the socket."""
        return self.unsent()

    # ---- the types of a statement

    cdef int introspect(self, list oids, object callback) except -1:
        """Ask the server for types; `callback(query)` afterwards. What is submitted meanwhile waits."""
        cdef Query q
        q = make_query(self.statement(self.registry.introspection_sql), (oids,))
        q.internal = True
        q.shape = ALL
        q.shaped = True
        q.callback = callback
        q.barrier = True
        self.holds += 1
        q.started = now()
        statement = q.statement
        if statement.described:
            self.write(q)
        else:
            self.holds -= 1
            self.enqueue(q)
        return 0

    def statement(self, str sql not None):
        """The statement of a text, made once."""
        found = self.statements.get(sql)
        if found is None:
            salt = b"%x %d" % (id(self), self.epoch) if self.tainted else b""
            found = self.statements[sql] = Statement(sql, self.prepared_max > 0, salt)
        return found

    # ---- for Python

    @property
    def held(self):
        """How many queries wait to be written."""
        return len(self.waiting)

    @property
    def all_abandoned(self):
        """Whether something is in flight, and nobody waits for any of it."""
        return self.depth > 0 and self.abandoned_in_flight == self.depth

    def clean(self):
        """The session is as new."""
        self.touched = False
        if self.tainted:
            self.tainted = False
            if self.dispatcher is not None:
                self.statements = self.dispatcher.statements

    def execute(self, Query q not None):
        """Submit; returns the query."""
        self.submit(q)
        return q

    def __repr__(self):
        return f"<Connection {self.backend_pid} {self.state}>"


cdef class Resubmit:
    """A statement was described: go on with the query that needed it."""

    cdef Connection connection
    cdef Query query

    def __cinit__(self, Connection connection, Query query):
        self.connection = connection
        self.query = query

    def __call__(self, Query d):
        cdef Query q = self.query
        cdef Connection connection = self.connection
        cdef Description description = d.description
        if d.error is not None:
            fail_like(q, d.error)
            return
        try:
            oids = d.statement.oids if d.statement.described else read_oids(<bytes> d.results[0])
            unknown = unknown_to(connection.registry, list(oids) + [column.oid for column in description.columns])
            if unknown:
                connection.introspect(unknown, self.learned(d, oids))
                return
            d.statement.described_as(connection.registry, oids, description)
        except Exception as error:
            fail_like(q, error)
            return
        self.go()

    def learned(self, Query d, oids):
        def learn(Query answer):
            if answer.error is not None:
                fail_like(self.query, answer.error)
                return
            try:
                self.connection.registry.learn(answer.rows_read(), asked=answer.asked())
                d.statement.described_as(self.connection.registry, oids, d.description)
            except Exception as error:
                fail_like(self.query, error)
                return
            self.go()
        return learn

    def go(self):
        cdef Query q = self.query
        cdef Connection connection = self.connection
        if q.state != PENDING and not q.internal:
            return
        if connection.closed is not None:
            q.error = connection.cause_for(q)
            q.complete()
            return
        connection.enqueue(q)


cdef class Resume:
    """The types of a result became known: finish the query whose rows wait."""

    cdef Connection connection
    cdef Query query

    def __cinit__(self, Connection connection, Query query):
        self.connection = connection
        self.query = query

    def __call__(self, Query answer):
        cdef Query q = self.query
        if answer.error is not None:
            q.error = answer.error
        else:
            try:
                self.connection.registry.learn(answer.rows_read(), asked=answer.asked())
                q.description.learn()
                self.connection.late_rows(q)
            except Exception as error:
                q.error = error
        q.complete()


def fail_like(Query q not None, error):
    """Fail a query by an error that another one met on its behalf."""
    if isinstance(error, PgError) and q.statement is not None:
        error = copy.copy(error)
        error.statement = q.statement.sql
    q.error = error
    q.complete()


cdef object encode_error(object error, Query q):
    if isinstance(error, EncodeError):
        found = PgEncodeError(str(error), statement=q.sql)
        found.__cause__ = error
        return found
    return error


cdef tuple read_oids(bytes payload):
    """The types of a ParameterDescription; None when it is malformed."""
    cdef pg_reader reader
    cdef int i, count
    cdef list oids = []
    pg_reader_init(&reader, <const uint8_t*> PyBytes_AS_STRING(payload), PyBytes_GET_SIZE(payload))
    count = pg_read_u16(&reader)
    for i in range(count):
        if reader.failed:
            return None
        oids.append(pg_read_u32(&reader))
    return tuple(oids) if pg_reader_done(&reader) else None


cdef dict read_fields(const uint8_t* payload, uint32_t length):
    """The fields of an ErrorResponse or NoticeResponse; what is malformed behind them is left out."""
    cdef pg_reader reader
    cdef size_t text_length = 0
    cdef const char* text
    cdef uint8_t code
    cdef dict fields = {}
    pg_reader_init(&reader, payload, length)
    while True:
        code = pg_read_u8(&reader)
        if code == 0 or reader.failed:
            return fields
        text = pg_read_cstr(&reader, &text_length)
        if reader.failed:
            return fields
        fields[chr(code)] = PyUnicode_DecodeUTF8(text, text_length, "replace")


cdef class Writer:
    """Rows of binary COPY, encoded by the codecs of their columns."""

    cdef pg_writer writer
    cdef list codecs

    def __cinit__(self, list codecs):
        pg_writer_init(&self.writer)
        self.codecs = codecs

    def __dealloc__(self):
        pg_writer_free(&self.writer)

    def __len__(self):
        return self.writer.length

    def begin(self):
        """The header of the format."""
        cdef bytes header = b"PGCOPY\n\xff\r\n\0" + bytes(8)
        pg_put_bytes(&self.writer, PyBytes_AS_STRING(header), len(header))

    def add(self, records, size_t limit=65536):
        """Encodes from an iterator until `limit` bytes; False when the iterator is at its end."""
        while self.writer.length < limit:
            try:
                record = next(records)
            except StopIteration:
                return False
            self.one(record)
        return True

    def one(self, record):
        """Encodes one record; when that raises, nothing of it is kept."""
        encode_record(self.codecs, record, &self.writer)

    def end(self):
        """The trailer of the format."""
        pg_put_u16(&self.writer, 0xFFFF)

    def take(self):
        """The bytes so far, which are gone then."""
        data = PyBytes_FromStringAndSize(<char*> self.writer.data, self.writer.length)
        self.writer.length = 0
        return data


def report(error, str message not None):
    """An exception nobody can receive: to the loop's handler, or to sys.unraisablehook."""
    loop = asyncio._get_running_loop()
    if loop is not None:
        loop.call_exception_handler({"message": message, "exception": error})
    else:
        sys.unraisablehook(SimpleNamespace(
            exc_type=type(error), exc_value=error, exc_traceback=error.__traceback__, err_msg=message, object=None
        ))


def encode_error_of(error, str sql):
    """PgEncodeError for what a Writer raised."""
    return PgEncodeError(str(error), statement=sql)


def as_encode_error(error, Query q not None):
    """What the caller sees of a failure to encode."""
    return encode_error(error, q)


def take_description(Query d not None, Connection connection not None):
    """Store what a DESCRIBE slot brought in its statement; the types to be learned before, if any."""
    oids = read_oids(<bytes> d.results[0])
    unknown = unknown_to(connection.registry, list(oids) + [column.oid for column in d.description.columns])
    if not unknown:
        d.statement.described_as(connection.registry, oids, d.description)
    return unknown


def introspect_on(Connection connection not None, list oids, callback):
    """Ask for types on a connection: `callback(query)`."""
    connection.introspect(oids, callback)
