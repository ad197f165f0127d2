"""The synchronous half of a request: match, bind, call, encode.

Theory of operation. `Kernel.enter` takes the scope and goes as far as it can without awaiting
anything. For most requests that is all the way: the handler's coroutine is driven here by
PyIter_Send, and if it ends without suspending, the two ASGI messages are the result. What must
wait comes back as a `Pending`, and the `async def` above (swift/app/serving.py) does the waiting:

    BODY       the plan needs the request's body: `receive` it, then `Pending.with_body`
    SUSPENDED  the handler awaits something, or returned a Future: await `awaitable` on, then `Pending.finish`
    SEND       the handler returned a response that sends itself (a stream, a file)
    GENERAL    middleware, permissions, dependencies, threads: the path of `Endpoint.proceed`
    MISS       no route: 404, 405, OPTIONS and redirects, seen by the middleware too
    FAILED     an exception left the plan or its handler: `awaitable`

Errors of later stages leave as exceptions. A `Plan` never changes after the start, so requests
share it freely.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.list cimport PyList_GET_SIZE
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF
from cpython.unicode cimport PyUnicode_AsUTF8String, PyUnicode_DecodeLatin1, PyUnicode_DecodeUTF8
from libc.stdlib cimport free, malloc
from libc.string cimport memchr, memcmp

from swift._speedups.futures cimport Future, READY
from swift._speedups.http cimport (
    Exchange, Request, Response, content_length, find_header, header_list, lower_names, make_messages,
    scope_header,
)
from swift._speedups.query cimport decode_component
from swift._speedups.router cimport Leaf, Tree

cdef extern from "Python.h":
    ctypedef enum PySendResult:
        PYGEN_RETURN
        PYGEN_ERROR
        PYGEN_NEXT
    PySendResult PyIter_Send(object iterator, object value, PyObject** result) except PYGEN_ERROR
    bint PyCoro_CheckExact(object o)
    object PyObject_Vectorcall(object callable, PyObject** args, size_t nargs, PyObject* kwnames)
    void release "Py_DECREF" (PyObject* o)
    object PyObject_CallNoArgs(object callable)
    object PyObject_CallOneArg(object callable, object argument)
    object PyContextVar_Set(object var, object value)
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL

cdef extern from *:
    """
    #define SWIFT_LIST_ITEMS(list) (((PyListObject *)(list))->ob_item)
    """
    PyObject** SWIFT_LIST_ITEMS(object list)

# Where a slot's value comes from.
cdef enum:
    PATH = 0
    QUERY = 1
    HEADER = 2
    COOKIE = 3
    BODY = 4
    REQUEST = 5
    RECEIVER = 6
    FORM = 7
    LATER = 8
    QUERY_GROUP = 9

SOURCES = {
    "path": PATH, "query": QUERY, "header": HEADER, "cookie": COOKIE, "body": BODY,
    "request": REQUEST, "receiver": RECEIVER, "form": FORM, "later": LATER,
    "query_group": QUERY_GROUP,
}

# How a slot's text becomes a value.
cdef enum:
    AS_IS = 0
    TEXT = 1
    INTEGER = 2
    NUMBER = 3
    BOOLEAN = 4
    CONVERTED = 5

KINDS = {"as_is": AS_IS, "text": TEXT, "integer": INTEGER, "number": NUMBER, "boolean": BOOLEAN, "converted": CONVERTED}

# How a handler is called.
cdef enum:
    COROUTINE = 0
    INLINE = 1

CALLING = {"coroutine": COROUTINE, "inline": INLINE}

# How a result becomes bytes.
cdef enum:
    DYNAMIC = 0
    JSON = 1
    PLAIN = 2
    OCTETS = 3
    EMPTY = 4

ENCODINGS = {"dynamic": DYNAMIC, "json": JSON, "plain": PLAIN, "octets": OCTETS, "empty": EMPTY}

# Stages of a Pending; the docstring above says what each waits for.
cdef enum:
    STAGE_BODY = 0
    STAGE_SUSPENDED = 1
    STAGE_SEND = 2
    STAGE_GENERAL = 3
    STAGE_MISS = 4
    STAGE_FAILED = 5

BODY_STAGE = STAGE_BODY
SUSPENDED_STAGE = STAGE_SUSPENDED
SEND_STAGE = STAGE_SEND
GENERAL_STAGE = STAGE_GENERAL
MISS_STAGE = STAGE_MISS
FAILED_STAGE = STAGE_FAILED

cdef object MISSING = object()

cdef tuple TEXT_TYPE = (b"content-type", b"text/plain; charset=utf-8")
cdef tuple JSON_TYPE = (b"content-type", b"application/json")
cdef tuple OCTETS_TYPE = (b"content-type", b"application/octet-stream")
cdef tuple PROBLEM_TYPE = (b"content-type", b"application/problem+json")

# As many fields as `swift.http.QueryParams` takes, and the slots whose places fit the stack.
cdef enum:
    MOST_FIELDS = 1000
    FEW_SLOTS = 16

cdef long long LOWEST = -(<long long>1 << 62)
cdef long long HIGHEST = (<long long>1 << 62)


@cython.final
cdef class Slot:
    """One value of a plan: where it is found, how its text is converted, and what if it is missing."""

    def __init__(
        self, *, str source, str kind, Py_ssize_t position, Py_ssize_t index=0, bytes name=b"",
        bint required=True, bint many=False, default=None, default_factory=None, convert=None, explain=None,
        lowest=None, highest=None, shortest=None, longest=None,
    ):
        self.source = SOURCES[source]
        self.kind = KINDS[kind]
        self.position = position
        self.index = index
        self.name = name
        self.required = required
        self.many = many
        self.default = default
        self.default_factory = default_factory
        self.convert = convert
        self.explain = explain
        self.lowest = LOWEST if lowest is None else lowest
        self.highest = HIGHEST if highest is None else highest
        self.shortest = 0 if shortest is None else shortest
        self.longest = (<Py_ssize_t>1 << 60) if longest is None else longest

    cdef object value_of_text(self, const char* text, Py_ssize_t length):
        """The value of percent-encoded text. ValueError when it does not fit, never another error."""
        cdef Py_ssize_t i = 0
        cdef long long number = 0
        cdef bint negative = False
        if self.kind == INTEGER:
            if length > 0 and text[0] == c'-':
                negative = True
                i = 1
            # 18 digits always fit 64 bits; longer ones and every refusal take the exact way below.
            if length > i and length - i <= 18:
                while i < length and c'0' <= text[i] <= c'9':
                    number = number * 10 + (text[i] - c'0')
                    i += 1
                if i == length:
                    if negative:
                        number = -number
                    if self.lowest <= number <= self.highest:
                        return number
        return self.value_of(decode_component(text, length))

    cdef object value_of(self, str text):
        if self.kind == TEXT:
            if self.shortest <= len(text) <= self.longest:
                return text
            return self.convert(text)
        if self.kind == BOOLEAN:
            if text == "true" or text == "1":
                return True
            if text == "false" or text == "0":
                return False
        elif self.kind == AS_IS:
            return text
        return self.convert(text)


cdef class Plan:
    """A handler's call, compiled: its slots, its encoder and its constant answers."""

    def __init__(
        self, *, str name, handler, slots=(), path_names=(), int status=200, str encoding="dynamic",
        str calling="coroutine", bint direct=True, arguments=None, keywords=None, encode=None,
        decode_body=None, bint body_required=True, default_body=None, content_types=(),
        Py_ssize_t max_body_size=-1, reject=None, refuse=None, response_class=None, media_type=None,
        checks=(),
    ):
        cdef Slot slot
        self.name = name
        self.handler = handler
        self.slots = tuple(slots)
        self.slot_count = len(self.slots)
        self.path_names = tuple(path_names)
        self.status = status
        self.encoding = ENCODINGS[encoding]
        self.calling = CALLING[calling]
        self.direct = direct
        self.arguments = arguments
        self.keywords = keywords or None
        self.encode = encode
        self.decode_body = decode_body
        self.body_required = body_required
        self.default_body = default_body
        self.content_types = tuple(content_types)
        self.max_body_size = max_body_size
        self.reject = reject
        self.refuse = refuse
        self.checks = tuple(checks) or None
        self.response_class = response_class
        self.media_type = None if media_type is None else media_type.encode("latin-1")
        if self.media_type is not None:
            charset = b"; charset=utf-8" if self.media_type.startswith(b"text/") and b"charset" not in self.media_type else b""
            self.content_type = (b"content-type", self.media_type + charset)
        elif encoding == "plain":
            self.content_type = TEXT_TYPE
            self.media_type = b"text/plain"
        elif encoding == "octets":
            self.content_type = OCTETS_TYPE
            self.media_type = b"application/octet-stream"
        else:
            self.content_type = JSON_TYPE
            if encoding == "json":
                self.media_type = b"application/json"
        self.query_slots = []
        self.other_slots = []
        self.body_position = -1
        self.error_position = -1
        for slot in self.slots:
            if slot.source == QUERY:
                self.query_slots.append(slot)
            elif slot.source == BODY:
                self.body_position = slot.position
                self.error_position = slot.position
            elif slot.source == FORM:
                self.error_position = slot.position
            elif slot.source != LATER:
                self.other_slots.append(slot)
        self.reads_body = self.body_position >= 0
        self.path_only = self.slot_count > 0 and self.arguments is None and self.keywords is None
        self.needs_request = False
        for slot in self.slots:
            if slot.source != PATH or slot.kind != AS_IS or slot.index != slot.position:
                self.path_only = False
            if slot.source == REQUEST or slot.source == RECEIVER:
                self.needs_request = True
        if self.path_only and self.slot_count != len(self.path_names):
            self.path_only = False
        # What RSGI is given for the content type, and whether a body goes with it (see `make_messages`).
        self.text_headers = ((self.content_type[0].decode("latin-1"), self.content_type[1].decode("latin-1")),)
        self.has_content = self.status >= 200 and self.status not in (204, 205, 304)
        self.bare = (
            self.direct and not self.reads_body and self.checks is None and (self.slot_count == 0 or self.path_only)
        )

    # Binding.

    cdef int find_query(self, bytes query, Text* found, list values) except -1:
        """One pass over the query string: where the last text of each slot stands, and the texts of a list."""
        cdef const char* text = PyBytes_AS_STRING(query)
        cdef Py_ssize_t size = PyBytes_GET_SIZE(query)
        cdef Py_ssize_t start = 0
        cdef Py_ssize_t count = 0
        cdef Py_ssize_t index
        cdef Py_ssize_t stop, name_length
        cdef const char* mark
        cdef const char* value
        cdef const char* name
        cdef bytes decoded_name
        cdef Slot slot
        while start < size:
            mark = <const char*>memchr(text + start, c'&', size - start)
            stop = size if mark == NULL else mark - text
            if stop == start:
                start += 1
                continue
            count += 1
            if count > MOST_FIELDS:
                raise self.refuse.too_many_fields(MOST_FIELDS)
            name = text + start
            mark = <const char*>memchr(name, c'=', stop - start)
            if mark == NULL:
                name_length = stop - start
                value = text + stop
            else:
                name_length = mark - name
                value = mark + 1
            if memchr(name, c'%', name_length) != NULL or memchr(name, c'+', name_length) != NULL:
                try:
                    decoded_name = (<str>decode_component(name, name_length)).encode()
                except UnicodeDecodeError:
                    decoded_name = b""
                name = PyBytes_AS_STRING(decoded_name)
                name_length = PyBytes_GET_SIZE(decoded_name)
            # No end at the first that fits: a dependency may read the same name with another default.
            for index, slot in enumerate(self.query_slots):
                if PyBytes_GET_SIZE(slot.name) == name_length and memcmp(PyBytes_AS_STRING(slot.name), name, name_length) == 0:
                    found[index].start = value
                    found[index].length = text + stop - value
                    if slot.many:
                        self.collect(slot, &found[index], values)
            start = stop + 1
        return 0

    cdef int collect(self, Slot slot, Text* found, list values) except -1:
        """Append a text to a slot's list; one that is not UTF-8 takes the list's place, as its error."""
        if values[slot.position] is MISSING:
            values[slot.position] = []
        if type(values[slot.position]) is list:
            try:
                (<list>values[slot.position]).append(decode_component(found.start, found.length))
            except UnicodeDecodeError as error:
                values[slot.position] = error
        return 0

    cdef int bind_query(self, dict scope, list values, list errors) except -1:
        """The values of the query's slots. Of a name that comes again the last value counts, and only it is judged."""
        cdef Text stacked[FEW_SLOTS]
        cdef Text* found = stacked
        # Held here, as the places point into it.
        cdef bytes query = <bytes?>scope.get("query_string", b"")
        cdef Py_ssize_t count = PyList_GET_SIZE(self.query_slots)
        cdef Py_ssize_t index
        cdef Slot slot
        if count > FEW_SLOTS:
            found = <Text*>malloc(count * sizeof(Text))
            if found == NULL:
                raise MemoryError
        try:
            for index in range(count):
                found[index].start = NULL
            self.find_query(query, found, values)
            for index, slot in enumerate(self.query_slots):
                if found[index].start == NULL:
                    values[slot.position] = missing(slot, errors)
                    continue
                try:
                    if not slot.many:
                        values[slot.position] = slot.value_of_text(found[index].start, found[index].length)
                    elif type(values[slot.position]) is list:
                        values[slot.position] = slot.convert(values[slot.position])
                    else:
                        raise values[slot.position]
                except ValueError as error:
                    errors.extend(slot.explain(error))
        finally:
            if found != stacked:
                free(found)
        return 0

    cdef list bind_scope(self, dict scope, Request request, list path_values, object parse_cookies):
        """The values of every slot that needs no waiting. Raises `reject(errors)` with all errors at once."""
        cdef list values = [MISSING] * self.slot_count
        cdef list errors = []
        cdef list headers = None
        cdef Slot slot
        cdef bytes raw
        cookies = None
        for slot in self.other_slots:
            if slot.source == PATH:
                found = path_values[slot.index]
                if slot.kind != AS_IS:
                    try:
                        found = slot.convert(found) if slot.kind == CONVERTED else slot.value_of(<str?>found)
                    except ValueError as error:
                        errors.extend(slot.explain(error))
                values[slot.position] = found
            elif slot.source == REQUEST:
                values[slot.position] = request
            elif slot.source == RECEIVER:
                receiver = slot.convert()
                receiver.request = request
                receiver.action = slot.default
                values[slot.position] = receiver
            elif slot.source == QUERY_GROUP:
                try:
                    values[slot.position] = slot.convert(scope.get("query_string", b""))
                except ValueError as error:
                    errors.extend(slot.explain(error))
            elif slot.source == HEADER:
                if headers is None:
                    headers = header_list(scope)
                try:
                    if slot.many:
                        found = [
                            PyUnicode_DecodeLatin1(PyBytes_AS_STRING(pair[1]), len(pair[1]), NULL)
                            for pair in lower_names(headers) if pair[0] == slot.name
                        ]
                        values[slot.position] = slot.convert(found) if found else missing(slot, errors)
                    else:
                        raw = find_header(headers, slot.name)
                        if raw is None:
                            values[slot.position] = missing(slot, errors)
                        else:
                            values[slot.position] = slot.value_of(
                                PyUnicode_DecodeLatin1(PyBytes_AS_STRING(raw), PyBytes_GET_SIZE(raw), NULL)
                            )
                except ValueError as error:
                    errors.extend(slot.explain(error))
            else:
                if cookies is None:
                    cookies = parse_cookies([pair[1] for pair in lower_names(header_list(scope)) if pair[0] == b"cookie"])
                found = cookies.get(slot.name.decode())
                if found is None:
                    values[slot.position] = missing(slot, errors)
                else:
                    try:
                        values[slot.position] = slot.value_of(<str?>found)
                    except ValueError as error:
                        errors.extend(slot.explain(error))
        if PyList_GET_SIZE(self.query_slots):
            self.bind_query(scope, values, errors)
        if PyList_GET_SIZE(errors):
            # The body or the form may hold errors too, which are told with these.
            if self.error_position < 0:
                raise self.reject(errors, None)
            values[self.error_position] = errors
        return values

    cdef int check_accept(self, dict scope, Exchange exchange) except -1:
        """406 when the client accepts nothing that this endpoint answers (RFC 9110 section 12.5.1)."""
        cdef bytes accept
        if self.media_type is None:
            return 0
        accept = exchange.find_header(b"accept") if scope is None else scope_header(scope, b"accept")
        if accept is None or accept == b"*/*" or (b"*/*" in accept and b"q=0" not in accept):
            return 0
        if self.media_type in accept and b"q=" not in accept:
            return 0
        refusal = self.refuse.accept(self, header_list(made(scope, exchange)))
        if refusal is not None:
            raise refusal
        return 0

    cdef int check_content(self, dict scope) except -1:
        """415 for a body of another type, 413 for one whose announced length is over the limit.

        Returns 1 when neither a type nor a length was announced: HTTP/2 needs none, and a body may come yet.
        """
        cdef bytes announced = scope_header(scope, b"content-type")
        cdef bytes length
        if announced is None or announced not in self.content_types:
            refusal = self.refuse.content_type(self, announced, header_list(scope))
            if refusal is not None:
                raise refusal
        length = scope_header(scope, b"content-length")
        if length is not None and self.max_body_size >= 0:
            # A length of more than 18 digits is over any limit; one that is no number is the server's to refuse.
            if length.isdigit() and (len(length) > 18 or int(length) > self.max_body_size):
                raise self.refuse.too_large(self)
        return 1 if announced is None and length is None else 0

    def check(self, Request request not None):
        """Content negotiation and limits, in the order of the house: before permissions and the body."""
        if self.content_types:
            self.check_content(request.scope)
        self.check_accept(request.scope, None)

    def bind(self, Request request not None, body=None, parse_cookies=None, decode=None, reject=None):
        """All values for the general path; `body` is None when it is not read.

        `decode` and `reject` take the place of the plan's own, for a body of another media type than JSON.
        """
        values = self.bind_scope(request.scope, request, request.path_values, parse_cookies)
        if self.body_position >= 0:
            self.bind_body_by(
                values, <bytes?>body, self.decode_body if decode is None else decode,
                self.reject if reject is None else reject,
            )
        return values

    cpdef object bind_body(self, list values, bytes body):
        """Decode the body into its slot; errors of the parameters found before are reported with its own."""
        return self.bind_body_by(values, body, self.decode_body, self.reject)

    cdef object bind_body_by(self, list values, bytes body, object decode, object reject):
        earlier = values[self.body_position]
        errors = None if earlier is MISSING else earlier
        if PyBytes_GET_SIZE(body) == 0 and not self.body_required:
            if errors:
                raise reject(errors, None)
            values[self.body_position] = self.default_body
            return None
        if errors is None:
            try:
                values[self.body_position] = PyObject_CallOneArg(decode, body)
                return None
            except (ValueError, RecursionError, TypeError):
                # What msgspec raises for an input it refuses; the rejection finds out which of them it was.
                pass
        raise reject(errors or [], body)

    # Calling.

    cdef object call(self, list values):
        cdef list ordered
        if self.arguments is None:
            return PyObject_Vectorcall(
                self.handler, SWIFT_LIST_ITEMS(values),
                PyList_GET_SIZE(values) - (0 if self.keywords is None else len(self.keywords)),
                NULL if self.keywords is None else <PyObject*>self.keywords,
            )
        ordered = [values[position] for position in self.arguments]
        return PyObject_Vectorcall(
            self.handler, SWIFT_LIST_ITEMS(ordered),
            PyList_GET_SIZE(ordered) - (0 if self.keywords is None else len(self.keywords)),
            NULL if self.keywords is None else <PyObject*>self.keywords,
        )

    def invoke(self, list values not None):
        """Call the handler with its share of the values; what it returns may have to be awaited."""
        return self.call(values)

    # Encoding.

    cdef tuple messages_of(self, object result, bint head, Exchange exchange):
        """The two messages for a handler's result, or what `exchange` makes of it; None when it sends itself."""
        cdef bytes body
        cdef tuple content_type
        # PERF: two walks over the bases of most results' types, for Future and Response, cost 2 % of a request.
        if type(result) is not self.plain_type:
            if isinstance(result, Response):
                if result.streaming:
                    return None
                return (<Response>result).messages(head, exchange)
            self.plain_type = type(result)
        content_type = self.content_type
        if self.encoding == JSON:
            body = <bytes?>PyObject_CallOneArg(self.encode, result)
        elif self.encoding == PLAIN and isinstance(result, str):
            body = PyUnicode_AsUTF8String(result)
        elif self.encoding == OCTETS and isinstance(result, bytes):
            body = <bytes>result
        elif result is None:
            return make_messages(204 if self.status == 200 else self.status, [], b"", head, exchange)
        elif type(result) is str:
            body = PyUnicode_AsUTF8String(result)
            if self.media_type is None:
                content_type = TEXT_TYPE
        elif type(result) is bytes:
            body = <bytes>result
            if self.media_type is None:
                content_type = OCTETS_TYPE
        else:
            body = <bytes?>PyObject_CallOneArg(self.encode, result)
        if exchange is not None and content_type is self.content_type and not head and self.has_content:
            return exchange.deliver(self.status, self.text_headers, body)
        return make_messages(self.status, [content_type], body, head, exchange)

    def response(self, result):
        """The handler's result as a Response, for the middleware to see."""
        cdef tuple messages
        cdef list headers
        cdef Response response
        if isinstance(result, Response):
            return result
        if self.encoding == JSON and self.has_content:
            # PERF: what most handlers return, without messages that would be taken apart again (0.3 us behind middleware).
            response = <Response>(<type>self.response_class).__new__(self.response_class)
            response.status = self.status
            response.body = <bytes?>PyObject_CallOneArg(self.encode, result)
            response.raw_headers = [self.content_type]
            return response
        messages = self.messages_of(result, False, None)
        headers = [pair for pair in messages[0]["headers"] if pair[0] != b"content-length"]
        return Response.prepared(messages[0]["status"], messages[1]["body"], headers, self.response_class)


cdef object missing(Slot slot, list errors):
    if slot.required:
        errors.extend(slot.explain(None))
        return None
    if slot.default_factory is not None:
        return slot.default_factory()
    return slot.default


@cython.final
@cython.freelist(8)
cdef class Pending:
    """A request that has to wait for something; the module's docstring lists for what."""

    @property
    def request(self):
        """The Request, made when it is first needed: a validated POST goes without."""
        return self.get_request()

    @property
    def wants_body(self):
        return self.stage == STAGE_BODY

    cdef Request get_request(self):
        if self.made_request is None:
            self.made_request = self.kernel.new_request(self.plan, self.scope, self.receive, self.path_values)
            self.made_request.send = self.send
            self.made_request.body_complete = self.body_taken
        return self.made_request

    def give(self, send):
        """Give the request, made already or not, the `send` of its server. Most requests never need it."""
        self.send = send
        if self.made_request is not None:
            self.made_request.send = send

    def with_message(self, dict message not None):
        """Go on with what `receive` gave. A body in one piece is used at once; the rest of a longer
        one, and a client that left, are left to the caller, with the message as `awaitable`."""
        cdef bytes body
        if message["type"] != "http.request" or message.get("more_body", False):
            self.awaitable = message
            return (None, self)
        body = <bytes?>message.get("body", b"")
        if 0 <= self.plan.max_body_size < PyBytes_GET_SIZE(body):
            raise self.plan.refuse.too_large(self.plan)
        return self.with_body(body)

    cpdef object with_body(self, bytes body):
        """`(start, body)`, or `(None, Pending)` when the handler suspends."""
        cdef Request request = None
        cdef list values
        self.body_taken = True
        if self.untyped and PyBytes_GET_SIZE(body):
            raise self.plan.refuse.untyped(self.plan)
        if self.plan.needs_request:
            request = self.get_request()
        if self.made_request is not None:
            self.made_request.cached_body = body
            self.made_request.body_complete = True
        values = self.plan.bind_scope(self.scope, request, self.path_values, self.kernel.parse_cookies)
        self.plan.bind_body(values, body)
        return drive(self, values)

    def finish(self, result):
        """The messages of the awaited result, or `(None, Pending)` when it sends itself."""
        return complete(self, result)


cdef Pending new_pending(
    Kernel kernel, Plan plan, int stage, dict scope, object receive, list path_values, bint head
):
    cdef Pending pending = Pending.__new__(Pending)
    pending.kernel = kernel
    pending.plan = plan
    pending.stage = stage
    pending.scope = scope
    pending.receive = receive
    pending.path_values = path_values
    pending.head = head
    return pending


cdef inline bint holds_something(Request request) noexcept:
    """Whether the request is to be finished once its answer is sent: work to start, files to close."""
    return request.callbacks is not None or request.cached_form is not None


cdef tuple complete(Pending pending, object result):
    cdef tuple messages
    if isinstance(result, Future):
        if (<Future>result).state != READY:
            pending.stage = STAGE_SUSPENDED
            pending.awaitable = result
            pending.yielded = MISSING
            return (None, pending)
        result = (<Future>result).outcome
    if pending.made_request is None or not holds_something(pending.made_request):
        messages = pending.plan.messages_of(result, pending.head, None)
        if messages is not None:
            return messages
    pending.stage = STAGE_SEND
    pending.awaitable = result
    return (None, pending)


cdef tuple drive(Pending pending, list values):
    """Call the handler and run its coroutine to the first suspension."""
    cdef PyObject* produced = NULL
    cdef PySendResult outcome
    result = pending.plan.call(values)
    if pending.plan.calling == COROUTINE:
        if not PyCoro_CheckExact(result):
            pending.stage = STAGE_SUSPENDED
            pending.awaitable = result
            pending.yielded = MISSING
            return (None, pending)
        outcome = PyIter_Send(result, None, &produced)
        value = <object>produced
        release(produced)
        if outcome == PYGEN_NEXT:
            pending.stage = STAGE_SUSPENDED
            pending.awaitable = result
            pending.yielded = value
            return (None, pending)
        result = value
    return complete(pending, result)


@cython.final
cdef class Kernel:
    """The compiled routes of one App and the first, synchronous step of each request."""

    def __init__(
        self, Tree tree not None, *, app, request_class, parse_cookies, hosts=None, bindings=(),
        not_found_body=None, bint redirect_slashes=False, Py_ssize_t max_body_size=-1,
    ):
        self.tree = tree
        self.app = app
        self.request_class = request_class
        self.parse_cookies = parse_cookies
        self.hosts = hosts
        self.bindings = tuple(bindings) or None
        self.not_found_body = not_found_body
        self.redirect_slashes = redirect_slashes
        self.max_body_size = max_body_size

    cdef Tree tree_of(self, dict scope):
        """The routes of the request's host; every host without routes of its own has the common ones."""
        cdef bytes host = scope_header(scope, b"host")
        if host is None:
            return self.tree
        found = self.hosts.get(host.lower())
        if found is None:
            found = self.hosts.get(host.rsplit(b":", 1)[0].lower())
        return self.tree if found is None else <Tree>found

    def enter(self, dict scope not None, receive):
        """`(start, body)` when the answer is complete, else `(None, Pending)`; `(None, None)` when not HTTP."""
        cdef str path
        if scope["type"] != "http":
            return (None, None)
        path = <str?>scope["path"]
        root_path = scope.get("root_path")
        if root_path:
            path = strip_root_path(path, root_path)
        return self.enter_at(path, <str?>scope["method"], scope, receive, None)

    cdef tuple enter_exchange(self, Exchange exchange, str path, str method):
        """The same for an exchange, which is its own `receive`; or what it returned when it took the answer."""
        return self.enter_at(path, method, None, exchange, exchange)

    cdef tuple enter_at(
        self, str path, str method, dict scope, object receive, Exchange exchange
    ):
        """`scope` is None for an exchange whose scope nobody has needed yet."""
        cdef list path_values
        cdef Plan plan
        cdef Tree tree = self.tree
        if self.hosts is not None:
            scope = made(scope, exchange)
            tree = self.tree_of(scope)
        if self.bindings is not None:
            for variable, value in self.bindings:
                PyContextVar_Set(variable, value)
        path_values = None
        found = tree.match_static(path, method)
        if found is None:
            path_values = []
            found = tree.match_parameters(path, method, path_values, None)
            if found is None:
                return self.miss(tree, made(scope, exchange), receive, path, method)
        plan = <Plan>found
        if not plan.bare:
            scope = made(scope, exchange)
        if not plan.direct:
            return (
                None, new_pending(self, plan, STAGE_GENERAL, scope, receive, path_values, method == "HEAD")
            )
        return self.run(plan, scope, receive, path_values, method == "HEAD", exchange)

    cdef tuple run(
        self, Plan plan, dict scope, object receive, list path_values, bint head, Exchange exchange
    ):
        """The direct way through an endpoint, as far as it goes without waiting."""
        cdef Pending pending
        cdef Request request = None
        cdef bint untyped = False
        cdef PyObject* produced = NULL
        cdef PySendResult outcome
        try:
            if plan.reads_body:
                untyped = plan.check_content(scope)
            plan.check_accept(scope, exchange)
            if plan.checks is not None:
                request = self.new_request(plan, scope, receive, path_values)
                for check in plan.checks:
                    PyObject_CallOneArg(check, request)
            if plan.reads_body:
                pending = new_pending(self, plan, STAGE_BODY, scope, receive, path_values, head)
                pending.made_request = request
                pending.untyped = untyped
                return (None, pending)
            # From here on the same steps as `drive`, without a Pending: most requests never need one.
            if plan.slot_count == 0:
                result = PyObject_CallNoArgs(plan.handler)
            elif plan.path_only:
                result = PyObject_Vectorcall(plan.handler, SWIFT_LIST_ITEMS(path_values), PyList_GET_SIZE(path_values), NULL)
            else:
                if plan.needs_request and request is None:
                    request = self.new_request(plan, scope, receive, path_values)
                result = plan.call(plan.bind_scope(scope, request, path_values, self.parse_cookies))
            if plan.calling == COROUTINE:
                awaitable = result
                if PyCoro_CheckExact(awaitable):
                    outcome = PyIter_Send(awaitable, None, &produced)
                    result = <object>produced
                    release(produced)
                else:
                    outcome = PYGEN_NEXT
                    result = MISSING
                if outcome == PYGEN_NEXT:
                    pending = new_pending(
                        self, plan, STAGE_SUSPENDED, made(scope, exchange), receive, path_values, head
                    )
                    pending.made_request = request
                    pending.awaitable = awaitable
                    pending.yielded = result
                    return (None, pending)
            if type(result) is not plan.plain_type and isinstance(result, Future):
                if (<Future>result).state != READY:
                    pending = new_pending(
                        self, plan, STAGE_SUSPENDED, made(scope, exchange), receive, path_values, head
                    )
                    pending.made_request = request
                    pending.awaitable = result
                    pending.yielded = MISSING
                    return (None, pending)
                result = (<Future>result).outcome
            if request is None or not holds_something(request):
                messages = plan.messages_of(result, head, exchange)
                if messages is not None:
                    return messages
            pending = new_pending(
                self, plan, STAGE_SEND, made(scope, exchange), receive, path_values, head
            )
            pending.made_request = request
            pending.awaitable = result
            return (None, pending)
        except Exception as error:
            # With the request as it was, for the error handlers.
            pending = new_pending(
                self, plan, STAGE_FAILED, made(scope, exchange), receive, path_values, head
            )
            pending.made_request = request
            pending.awaitable = error
            return (None, pending)

    cdef Request new_request(self, Plan plan, dict scope, object receive, list path_values):
        cdef Request request = <Request>self.request_class(scope, receive)
        request.app = self.app
        if plan is not None:
            request.endpoint = plan
            request.path_names = plan.path_names
            request.path_values = path_values
            request.max_body_size = plan.max_body_size
        else:
            request.max_body_size = self.max_body_size
        return request

    cdef tuple miss(self, Tree tree, dict scope, object receive, str path, str method):
        """No endpoint. The plain 404 is answered here; every other case is Python's."""
        if self.not_found_body is not None and not tree.allowed(path):
            if not self.redirect_slashes or not tree.allowed(path[:-1] if path.endswith("/") else path + "/"):
                return make_messages(404, [PROBLEM_TYPE], self.not_found_body, method == "HEAD", None)
        return (None, new_pending(self, None, STAGE_MISS, scope, receive, [], method == "HEAD"))

    def find(self, Request request not None):
        """The plan a request leads to, or None; also None where a converter of the path fails."""
        cdef str path = request.scope["path"]
        root_path = request.scope.get("root_path")
        if root_path:
            path = strip_root_path(path, root_path)
        try:
            found = self.tree_for(request).find(path, request.scope["method"])
        except Exception:
            # Asked for the handlers of an error, which may be this very one.
            return None
        return None if found is None else found[0]

    def tree_for(self, Request request not None):
        """The tree that `enter` looked the request's path up in."""
        return self.tree if self.hosts is None else self.tree_of(request.scope)


cdef dict made(dict scope, Exchange exchange):
    return exchange.make_scope() if scope is None else scope


cpdef str strip_root_path(str path, str root_path):
    """The path as the application sees it.

    Servers differ: some send the path with the root path in front, as the ASGI specification
    asks, some without. A path that starts with it loses it; any other is taken as it is.
    """
    if root_path == "/":
        return path
    if root_path.endswith("/"):
        root_path = root_path[:-1]
    if path.startswith(root_path):
        if len(path) == len(root_path):
            return "/"
        if path[len(root_path)] == "/":
            return path[len(root_path):]
    return path


def is_missing(value):
    """Whether a value was not given: of a slot, or of a Pending's `yielded` before anything was awaited."""
    return value is MISSING
