"""Request, Response and the header rules, as far as every request passes through them.

Nothing of a request is parsed until it is asked for. A response is two ASGI messages, made
fresh each time: a server or a middleware around the application may change what it was sent,
so neither the dictionaries nor the header list may be shared between requests.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_Copy
from cpython.list cimport PyList_GET_SIZE
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_AsUTF8String
from libc.string cimport memcmp

cdef extern from "Python.h":
    # Declared anew with borrowed references: Cython's own count them.
    PyObject* PyList_GET_ITEM(object list, Py_ssize_t index)
    bint PyTuple_CheckExact(PyObject* o)
    Py_ssize_t PyTuple_GET_SIZE(PyObject* tuple)
    PyObject* PyTuple_GET_ITEM(PyObject* tuple, Py_ssize_t index)
    bint PyBytes_CheckExact(PyObject* o)
    Py_ssize_t bytes_size "PyBytes_GET_SIZE" (PyObject* o)
    const char* bytes_text "PyBytes_AS_STRING" (PyObject* o)

# PERF: the pairs of the lengths that nearly every answer has; 4096 pairs are 0.6 MB, made at import in 1 ms.
cdef tuple CONTENT_LENGTHS = tuple([(b"content-length", str(length).encode()) for length in range(4096)])

# RFC 9110 section 5.6.2: tchar.
cdef bint[256] TOKEN
cdef int _byte
for _byte in range(256):
    TOKEN[_byte] = chr(_byte) in "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


cdef tuple content_length(Py_ssize_t length):
    if length < 4096:
        return <tuple>CONTENT_LENGTHS[length]
    return (b"content-length", b"%d" % length)


cdef dict START_TEMPLATE = {"type": "http.response.start", "status": 200, "headers": None}
cdef dict BODY_TEMPLATE = {"type": "http.response.body", "body": b""}


cdef tuple make_messages(int status, list headers, bytes body, bint head, Exchange exchange):
    """The start and body messages, or what `exchange` makes of the answer; `headers` is taken over."""
    cdef dict start, end
    # 1xx, 204 and 304 have no content (RFC 9110 section 6.4.1); that of a 205 is empty (section 15.3.6).
    cdef bint bodiless = status != 200 and (status < 200 or status == 204 or status == 304)
    if bodiless or status == 205:
        body = b""
    # The server of an exchange counts the bytes of a body that is there.
    if not bodiless and (exchange is None or head):
        headers.append(content_length(PyBytes_GET_SIZE(body)))
    if head:
        body = b""
    if exchange is not None:
        return exchange.deliver(status, exchange.header_texts(headers), body)
    # PERF: copying a small dictionary costs half of building it key by key (bench inproc, plaintext).
    start = PyDict_Copy(START_TEMPLATE)
    end = PyDict_Copy(BODY_TEMPLATE)
    if status != 200:
        start["status"] = status
    start["headers"] = headers
    end["body"] = body
    return (start, end)


cdef class Exchange:
    """A request of a server that does not speak ASGI, which the kernel reads and answers directly.

    Its scope is made when somebody needs it, with this in it for the headers; those, and whatever else
    was left out, are put in when somebody needs more than single headers.
    """

    cdef dict make_scope(self):
        raise NotImplementedError

    cdef bytes find_header(self, bytes name):
        raise NotImplementedError

    cdef list complete(self, dict scope):
        raise NotImplementedError

    cdef list header_texts(self, list headers):
        """Header pairs as text, in the same list."""
        raise NotImplementedError

    cdef tuple deliver(self, int status, object headers, bytes body):
        """Give a complete answer, its header pairs as text. What is returned goes through the kernel."""
        raise NotImplementedError


cdef list header_list(dict scope):
    """The header pairs of a scope; whatever iterable the server gave is made a list once."""
    headers = scope.get("headers")
    if type(headers) is list:
        return <list>headers
    if isinstance(headers, Exchange):
        return (<Exchange>headers).complete(scope)
    headers = [] if headers is None else list(headers)
    scope["headers"] = headers
    return <list>headers


cdef bytes find_header(list headers, bytes name):
    """The first value of a header, or None; `name` is in lower case.

    Servers send names in lower case, but the specification does not require it (ASGI HTTP,
    connection scope), so the case is folded while comparing.
    """
    cdef Py_ssize_t length = PyBytes_GET_SIZE(name)
    cdef const char* wanted = PyBytes_AS_STRING(name)
    cdef Py_ssize_t i
    cdef PyObject* pair
    cdef PyObject* key
    # PERF: borrowed references; counting them up and down cost more than the comparison.
    for i in range(PyList_GET_SIZE(headers)):
        pair = PyList_GET_ITEM(headers, i)
        if PyTuple_CheckExact(pair) and PyTuple_GET_SIZE(pair) == 2:
            key = PyTuple_GET_ITEM(pair, 0)
            if (
                PyBytes_CheckExact(key)
                and bytes_size(key) == length
                and same_name(bytes_text(key), wanted, length)
            ):
                return <bytes?><object>PyTuple_GET_ITEM(pair, 1)
        else:
            found, value = <object>pair
            if len(found) == length and same_name(PyBytes_AS_STRING(<bytes?>found), wanted, length):
                return <bytes?>value
    return None


cdef bytes scope_header(dict scope, bytes name):
    """The first value of one header of a scope, or None."""
    headers = scope.get("headers")
    if type(headers) is list:
        return find_header(<list>headers, name)
    if isinstance(headers, Exchange):
        return (<Exchange>headers).find_header(name)
    return find_header(header_list(scope), name)


cdef bint same_name(const char* name, const char* wanted, Py_ssize_t length) noexcept:
    """Whether two names are equal, `wanted` being in lower case."""
    cdef Py_ssize_t i
    cdef char c
    if memcmp(name, wanted, length) == 0:
        return True
    for i in range(length):
        c = name[i]
        if c'A' <= c <= c'Z':
            c += 32
        if c != wanted[i]:
            return False
    return True


cdef list lower_names(list headers):
    """The pairs with their names in lower case; the same list when they are."""
    for pair in headers:
        if not (<bytes?>pair[0]).islower() and pair[0] != (<bytes>pair[0]).lower():
            return [(name.lower(), value) for name, value in headers]
    return headers


cpdef object encode_header(object name, object value):
    """`(name, value)` as the bytes that may be sent, or ValueError.

    The name is a token in lower case (RFC 9110 section 5.1), the value holds no control
    character but the tab (section 5.5) and is Latin-1. Refused here, where the header is set,
    because servers differ in what they let through.
    """
    cdef const unsigned char* text
    cdef Py_ssize_t i, size
    cdef unsigned char c
    cdef bytes raw_name, raw_value
    if type(name) is bytes:
        raw_name = (<bytes>name).lower()
    elif isinstance(name, str):
        try:
            raw_name = name.lower().encode("ascii")
        except UnicodeEncodeError:
            raise ValueError(f"Header name {name!r} is not a token (RFC 9110 section 5.1); use letters, digits and hyphens.") from None
    else:
        raise TypeError(f"Expected a header name of type `str`, got `{type(name).__name__}`.")
    size = PyBytes_GET_SIZE(raw_name)
    text = <const unsigned char*>PyBytes_AS_STRING(raw_name)
    if size == 0:
        raise ValueError("A header name is empty; give it at least one character.")
    for i in range(size):
        if not TOKEN[text[i]]:
            raise ValueError(f"Header name {name!r} is not a token (RFC 9110 section 5.1); use letters, digits and hyphens.")
    if raw_name == b"transfer-encoding" or raw_name == b"connection":
        raise ValueError(f"Header {raw_name.decode()!r} belongs to the connection, which is the server's; leave it out.")
    if type(value) is bytes:
        raw_value = <bytes>value
    elif isinstance(value, str):
        try:
            raw_value = value.encode("latin-1")
        except UnicodeEncodeError:
            raise ValueError(f"Header {raw_name.decode()!r} holds characters outside Latin-1; percent-encode them.") from None
    else:
        raise TypeError(f"Expected a value of type `str` for header {raw_name.decode()!r}, got `{type(value).__name__}`.")
    size = PyBytes_GET_SIZE(raw_value)
    text = <const unsigned char*>PyBytes_AS_STRING(raw_value)
    for i in range(size):
        c = text[i]
        if (c < 32 and c != 9) or c == 127:
            raise ValueError(
                f"Header {raw_name.decode()!r} holds the control character 0x{c:02x} at position {i}; "
                "remove it (RFC 9110 section 5.5)."
            )
    if size and (text[0] == 32 or text[0] == 9 or text[size - 1] == 32 or text[size - 1] == 9):
        raw_value = raw_value.strip(b" \t")
    return (raw_name, raw_value)


cdef class Request:
    """One HTTP request. `scope` is the server's; nothing here writes to what it holds."""

    # Set once by swift.http, which stands above this module: makes Headers, QueryParams, cookies.
    make_headers = None
    make_query = None
    make_cookies = None

    def __cinit__(self, dict scope not None, receive=None, send=None):
        headers = scope.get("headers")
        if isinstance(headers, Exchange):
            (<Exchange>headers).complete(scope)
        self.scope = scope
        self.receive = receive
        self.send = send
        self.max_body_size = -1

    @property
    def method(self):
        return self.scope["method"]

    @property
    def path(self):
        return self.scope["path"]

    @property
    def scheme(self):
        return self.scope.get("scheme", "http")

    @property
    def query_string(self):
        return self.scope.get("query_string", b"")

    @property
    def raw_headers(self):
        return header_list(self.scope)

    @property
    def client(self):
        client = self.scope.get("client")
        return None if client is None else tuple(client)

    def header(self, bytes name not None):
        """The first value of the header (name in lower case), or None."""
        return find_header(header_list(self.scope), name)

    @property
    def headers(self):
        if self._headers is None:
            self._headers = type(self).make_headers(lower_names(header_list(self.scope)))
        return self._headers

    @property
    def query(self):
        if self._query is None:
            self._query = type(self).make_query(self.query_string)
        return self._query

    @property
    def cookies(self):
        if self._cookies is None:
            self._cookies = type(self).make_cookies(
                [pair[1] for pair in lower_names(header_list(self.scope)) if pair[0] == b"cookie"]
            )
        return self._cookies

    @property
    def path_params(self):
        if self._path_params is None:
            if self.path_names is None or self.path_values is None:
                self._path_params = {}
            else:
                self._path_params = dict(zip(self.path_names, self.path_values))
        return self._path_params

    @property
    def holds_something(self):
        """Whether there is something to release or to start once the answer is sent."""
        return self.exits is not None or self.callbacks is not None or self.cached_form is not None

    @property
    def state(self):
        """A dict of this request's own, for middleware and handlers to share."""
        if self._state is None:
            self._state = {}
        return self._state


cdef class Response:
    """A complete answer: status, headers and body bytes."""

    # Subclasses that produce their body while sending set this.
    streaming = False
    default_media_type = None
    # Set once by swift.http: makes the MutableHeaders view.
    make_headers = None

    def __init__(self, body=b"", int status=200, headers=None, media_type=None):
        self.status = status
        if type(body) is bytes:
            self.body = body
        elif isinstance(body, str):
            self.body = PyUnicode_AsUTF8String(body)
        elif isinstance(body, (bytearray, memoryview)):
            self.body = bytes(body)
        else:
            raise TypeError(
                f"Expected a body of type `bytes` or `str`, got `{type(body).__name__}`; use JSONResponse for other values."
            )
        self.raw_headers = []
        if headers is not None:
            for name, value in (headers.items() if hasattr(headers, "items") else headers):
                self.raw_headers.append(encode_header(name, value))
        if media_type is None:
            media_type = type(self).default_media_type
        if media_type is not None and find_header(self.raw_headers, b"content-type") is None:
            if media_type.startswith("text/") and "charset" not in media_type:
                media_type += "; charset=utf-8"
            self.raw_headers.append(encode_header("content-type", media_type))

    @staticmethod
    def prepared(int status, bytes body, list raw_headers, type cls=None):
        """A response of parts that are known to be right; nothing is checked again."""
        cdef Response response = Response.__new__(Response if cls is None else cls)
        response.status = status
        response.body = body
        response.raw_headers = raw_headers
        return response

    @property
    def headers(self):
        if self._headers is None:
            self._headers = type(self).make_headers(self.raw_headers)
        return self._headers

    cdef tuple messages(self, bint head, Exchange exchange):
        cdef list headers = list(self.raw_headers)
        if find_header(headers, b"content-length") is not None:
            headers = [pair for pair in headers if pair[0] != b"content-length"]
        return make_messages(self.status, headers, <bytes?>self.body, head, exchange)

    def asgi_messages(self, bint head=False):
        """The two ASGI messages `(start, body)`; `head` leaves the body out and keeps its length."""
        return self.messages(head, None)

    def __repr__(self):
        return f"<{type(self).__name__} {self.status}>"
