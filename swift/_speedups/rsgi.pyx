"""RSGI as far as the kernel goes: a request read attribute by attribute, an answer given in one call.

RSGI has text where ASGI has bytes, and makes every attribute of its scope anew when it is read. So only
path, method and single headers are read for every request, and all the rest when somebody makes a Request
or lists the headers.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_AsUTF8String, PyUnicode_DecodeLatin1, PyUnicode_DecodeUTF8

from swift._speedups cimport http
from swift._speedups.kernel cimport Kernel

# The headers that the kernel asks for.
cdef dict NAMES = {name.encode(): name for name in ("accept", "content-length", "content-type", "host")}

# PERF: header pairs of answers as text, made once. Bounded, as some have another value each time.
cdef dict PAIRS = {}
cdef Py_ssize_t MOST_PAIRS = 8192

# What the kernel passes on for an answer that was given.
cdef tuple DELIVERED = (None, None)


cdef class Door:
    """Answers the requests of one app. `go_on` is the coroutine function for what takes longer.

    `app._enter` leads to the kernel once the app has started; with `direct` unset it is never entered here.
    `state` is what the app's lifespan yielded.
    """

    cdef readonly object app
    cdef readonly dict state
    cdef object go_on
    cdef object channel_class
    cdef dict extensions
    cdef bint direct
    cdef object http_scope
    cdef object entrance
    cdef Kernel kernel

    def __init__(self, app, go_on, channel_class, dict extensions not None, bint direct):
        self.app = app
        self.direct = direct
        self.state = {}
        self.go_on = go_on
        self.channel_class = channel_class
        self.extensions = extensions

    def answer(self, source, protocol):
        """An awaitable for one request, over at once when that is answered. WebSockets are refused."""
        cdef Exchange exchange
        cdef tuple messages
        pending = error = None
        # PERF: granian has a class for the scopes of HTTP alone, which saves reading `proto` each time.
        if type(source) is not self.http_scope:
            if source.proto != "http":
                protocol.close(403)
                return DONE
            if type(source).__name__ == "RSGIHTTPScope":
                self.http_scope = type(source)
        exchange = Exchange.__new__(Exchange)
        exchange.door = self
        exchange.source = source
        exchange.protocol = protocol
        entrance = self.app._enter
        if entrance is not self.entrance:
            self.change_kernel(entrance)
        if self.kernel is not None:
            try:
                messages = self.kernel.enter_exchange(exchange, source.path, source.method)
                if messages is DELIVERED:
                    return DONE
                if messages[0] is not None:
                    exchange.deliver(messages[0]["status"], text_headers(messages[0]["headers"]), messages[1]["body"])
                    return DONE
                pending = messages[1]
            except Exception as raised:
                error = raised
        return self.go_on(self.app, exchange, pending, error)

    cdef int change_kernel(self, entrance) except -1:
        """Find the kernel behind `app._enter`; before the start there is none."""
        kernel = getattr(entrance, "__self__", None)
        self.kernel = kernel if self.direct and isinstance(kernel, Kernel) else None
        self.entrance = entrance
        return 0


@cython.final
cdef class Exchange(http.Exchange):
    """The `scope` and `protocol` of one request. As a callable it is the `receive` of ASGI."""

    cdef Door door
    cdef object source
    cdef object source_headers
    cdef object protocol
    cdef object made_channel
    cdef dict made_scope

    def __call__(self):
        return self.channel.receive()

    @property
    def channel(self):
        """What has `receive` and `send`; made when first needed."""
        if self.made_channel is None:
            self.made_channel = self.door.channel_class(self.source, self.protocol)
        return self.made_channel

    @property
    def scope(self):
        """The scope of ASGI."""
        return self.make_scope()

    @property
    def state(self):
        return self.door.state

    def close(self):
        """Let go what belongs to the exchange, its stream and its scope, which holds the exchange."""
        self.made_scope = None
        if self.made_channel is not None:
            self.made_channel.close()

    # Reading.

    cdef dict make_scope(self):
        if self.made_scope is None:
            self.made_scope = {
                "type": "http",
                "method": self.source.method,
                "path": self.source.path,
                "query_string": PyUnicode_AsUTF8String(self.source.query_string),
                "headers": self,
            }
        return self.made_scope

    cdef object text_headers(self):
        # PERF: the server copies its headers whenever they are asked for.
        if self.source_headers is None:
            self.source_headers = self.source.headers
        return self.source_headers

    cdef bytes find_header(self, bytes name):
        key = NAMES.get(name)
        value = self.text_headers().get(text_of(name) if key is None else key)
        if value is not None:
            return PyUnicode_AsUTF8String(value)
        return self.authority() if key == "host" else None

    cdef bytes authority(self):
        """What stands for a Host header that was not sent: in HTTP/2 `:authority` does."""
        authority = self.source.authority
        return b"" if authority is None else PyUnicode_AsUTF8String(authority)

    cdef list complete(self, dict scope):
        cdef list pairs = []
        cdef set names = set()
        headers = self.text_headers()
        for name, value in headers.items():
            names.add(name)
            pairs.append((PyUnicode_AsUTF8String(name), PyUnicode_AsUTF8String(value)))
        if len(names) < len(headers):
            # Values that are not ASCII are kept back. That they were sent must show all the same: a
            # precondition or a proxy's mark that cannot be read is not one that was never there.
            pairs.extend([(PyUnicode_AsUTF8String(name), b"") for name in headers.keys() if name not in names])
        if "host" not in headers:
            pairs.insert(0, (b"host", self.authority()))
        scope["headers"] = pairs
        scope["asgi"] = {"version": "3.0", "spec_version": "2.4"}
        scope["http_version"] = self.source.http_version
        scope["scheme"] = self.source.scheme
        scope["root_path"] = ""
        scope["server"] = address(self.source.server)
        scope["client"] = address(self.source.client)
        scope["state"] = self.door.state.copy()
        scope["extensions"] = self.door.extensions.copy()
        return pairs

    # Answering.

    cdef list header_texts(self, list headers):
        cdef Py_ssize_t i
        for i in range(len(headers)):
            headers[i] = text_pair(tuple(headers[i]))
        return headers

    cdef tuple deliver(self, int status, object headers, bytes body):
        check_status(status)
        self.protocol.response_bytes(status, headers, body)
        # It may have been made, and holds this exchange.
        self.made_scope = None
        return DELIVERED


@cython.final
cdef class Done:
    """Awaited, it is over at once."""

    def __await__(self):
        return OVER


cdef object OVER = iter(())
cdef Done DONE = Done()


cpdef int check_status(int status) except -1:
    """`status`, or ValueError for what is none (RFC 9110 section 15): the server's whole worker would end."""
    if not 100 <= status <= 999:
        raise ValueError(f"Expected a status from 100 to 999, got {status}.")
    return status


def text_headers(headers):
    """The header pairs of ASGI as RSGI has them."""
    return [text_pair((bytes(name), bytes(value))) for name, value in headers]


cdef tuple text_pair(pair):
    text = PAIRS.get(pair)
    if text is None:
        text = (text_of(pair[0]), text_of(pair[1]))
        if len(PAIRS) < MOST_PAIRS:
            PAIRS[pair] = text
    return <tuple>text


cdef str text_of(bytes raw):
    """The server sends UTF-8: what is UTF-8 arrives as it was, all else as the UTF-8 of its Latin-1 text."""
    try:
        return PyUnicode_DecodeUTF8(PyBytes_AS_STRING(raw), PyBytes_GET_SIZE(raw), NULL)
    except UnicodeDecodeError:
        return PyUnicode_DecodeLatin1(PyBytes_AS_STRING(raw), PyBytes_GET_SIZE(raw), NULL)


def address(str text not None):
    """`(host, port)` of `host:port`, an IPv6 host being in brackets; `(path, None)` of a Unix socket."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit():
        return (text, None)
    if host.startswith("["):
        # A scope id says by which interface of this machine; it is no part of the address.
        host = host[1:-1].partition("%")[0]
    return (host, int(port))
