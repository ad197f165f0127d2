"""The route tree: a radix tree over the UTF-8 bytes of the path, with backtracking.

Rule 1: at every point of the path the choices are tried in one fixed order: literal text, then
parameters by rank (int, float, date, uuid, custom, str; the one with more literal text around
it first), then a `path` parameter. The first way through that ends at a leaf serving the
method wins.

Rule 2: a parameter takes a whole segment, or the part of it that its literal neighbours leave.
Between two parameters the literal's first occurrence ends the left one; the literal that ends a
segment is compared with the segment's end. No choice is left open inside a segment, so each
node of the tree is visited at most once per starting point and no path costs more than
tree size x path length. One template has at most one `path` parameter, for the same reason.

Rule 3: values are converted while walking. A converter that refuses a text makes the walk go
on elsewhere, so `/users/{id:int}` and `/users/{name}` live together.

Paths without parameters never reach the tree: they stand in a dict of their own, which is
right because literal text outranks everything at every segment.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.list cimport PyList_GET_SIZE
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdlib cimport free, malloc
from libc.string cimport memchr, memcmp, memcpy

from datetime import date
from uuid import UUID

cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL

# Converter kinds; the order is the order of precedence.
cdef enum:
    INT = 0
    FLOAT = 1
    DATE = 2
    UUID_ = 3
    CUSTOM = 4
    STR = 5
    PATH = 6
    REST = 7

KINDS = {"int": INT, "float": FLOAT, "date": DATE, "uuid": UUID_, "str": STR, "path": PATH, "rest": REST}


cdef object parse_int(const char* text, Py_ssize_t length):
    """A decimal integer of at most 18 digits (always inside 64 bits), or None."""
    cdef Py_ssize_t i = 0
    cdef long long value = 0
    cdef bint negative = False
    cdef char c
    if length > 0 and text[0] == c'-':
        negative = True
        i = 1
    if length == i or length - i > 18:
        return None
    while i < length:
        c = text[i]
        if c < c'0' or c > c'9':
            return None
        value = value * 10 + (c - c'0')
        i += 1
    return -value if negative else value


cdef object parse_float(const char* text, Py_ssize_t length):
    """Digits, optionally signed, with at most one dot; no exponent, NaN or infinity."""
    cdef Py_ssize_t i = 0
    cdef Py_ssize_t digits = 0
    cdef bint dot = False
    if length > 0 and text[0] == c'-':
        i = 1
    if length > 64:
        return None
    while i < length:
        if text[i] == c'.' and not dot:
            dot = True
        elif c'0' <= text[i] <= c'9':
            digits += 1
        else:
            return None
        i += 1
    if digits == 0:
        return None
    return float(text[:length])


cdef object parse_date(const char* text, Py_ssize_t length):
    """`YYYY-MM-DD` (RFC 3339 full-date), or None."""
    cdef Py_ssize_t i
    if length != 10 or text[4] != c'-' or text[7] != c'-':
        return None
    for i in range(10):
        if i != 4 and i != 7 and not c'0' <= text[i] <= c'9':
            return None
    try:
        return date.fromisoformat(text[:10].decode("ascii"))
    except ValueError:
        return None


cdef object parse_uuid(const char* text, Py_ssize_t length):
    """The hyphenated form of RFC 9562 section 4, either case, or None."""
    cdef Py_ssize_t i
    cdef char c
    if length != 36:
        return None
    for i in range(36):
        c = text[i]
        if i == 8 or i == 13 or i == 18 or i == 23:
            if c != c'-':
                return None
        elif not (c'0' <= c <= c'9' or c'a' <= c <= c'f' or c'A' <= c <= c'F'):
            return None
    return UUID(text[:36].decode("ascii"))


cdef object convert_text(int kind, object custom, const char* text, Py_ssize_t length):
    """The value of one parameter, or None when its converter refuses the text."""
    if length == 0 and kind != REST:
        return None
    if kind == STR or kind == PATH or kind == REST:
        return PyUnicode_DecodeUTF8(text, length, NULL)
    if kind == INT:
        return parse_int(text, length)
    if kind == FLOAT:
        return parse_float(text, length)
    if kind == DATE:
        return parse_date(text, length)
    if kind == UUID_:
        return parse_uuid(text, length)
    try:
        return custom(PyUnicode_DecodeUTF8(text, length, NULL))
    except ValueError:
        return None


cdef Py_ssize_t find_bytes(const char* path, Py_ssize_t start, Py_ssize_t end, bytes needle) noexcept:
    """Where `needle` first stands in path[start:end], or -1."""
    cdef Py_ssize_t length = PyBytes_GET_SIZE(needle)
    cdef const char* text = PyBytes_AS_STRING(needle)
    while start + length <= end:
        if memcmp(path + start, text, length) == 0:
            return start
        start += 1
    return -1


cdef class Leaf:
    """What stands at the end of one path template: an endpoint per method."""

    def __cinit__(self):
        self.endpoints = {}
        self.any_method = None

    cdef object find(self, str method):
        found = self.endpoints.get(method)
        return self.any_method if found is None else found


cdef class Edge:
    """One parameter segment (from its first parameter on) and the node behind it.

    `pieces` alternates parameters `(kind, custom converter or None)` and literal bytes.
    """

    def __cinit__(self, tuple pieces, tuple rank):
        self.pieces = pieces
        self.rank = rank
        self.target = Node(b"")
        self.kind = pieces[0][0]
        self.convert = pieces[0][1]
        self.single = len(pieces) == 1

    cdef Py_ssize_t take(self, const char* path, Py_ssize_t start, Py_ssize_t end, list values) except -2:
        """Read one segment; its values are appended. Returns where it ends, -1 when it does not fit."""
        cdef const char* slash = <const char*>memchr(path + start, c'/', end - start)
        cdef Py_ssize_t stop = end if slash == NULL else slash - path
        cdef Py_ssize_t at = start
        cdef Py_ssize_t cut
        cdef Py_ssize_t i
        cdef Py_ssize_t count
        if self.single:
            value = convert_text(self.kind, self.convert, path + start, stop - start)
            if value is None:
                return -1
            values.append(value)
            return stop
        count = len(self.pieces)
        for i in range(0, count, 2):
            if i + 1 == count:
                cut = stop
            elif i + 2 == count:
                literal = <bytes>self.pieces[i + 1]
                cut = stop - PyBytes_GET_SIZE(literal)
                if cut <= at or memcmp(path + cut, PyBytes_AS_STRING(literal), PyBytes_GET_SIZE(literal)) != 0:
                    return -1
            else:
                # A parameter takes at least one byte, so the literal is looked for behind it.
                cut = find_bytes(path, at + 1, stop, <bytes>self.pieces[i + 1])
                if cut < 0:
                    return -1
            kind, custom = self.pieces[i]
            value = convert_text(kind, custom, path + at, cut - at)
            if value is None:
                return -1
            values.append(value)
            at = cut if i + 1 == count else cut + PyBytes_GET_SIZE(<bytes>self.pieces[i + 1])
        return stop


cdef class Node:
    """While building: a piece of literal text, what may follow it, and the leaf that ends here, if any."""

    def __cinit__(self, bytes text):
        self.text = text
        self.children = []
        self.edges = []
        self.leaf = None

    def insert_literal(self, bytes text):
        """The node that stands behind `text`, made where it is missing."""
        cdef Node child, parent
        cdef Py_ssize_t common, index
        if not text:
            return self
        for index, child in enumerate(self.children):
            if child.text[:1] == text[:1]:
                break
        else:
            child = Node(text)
            self.children.append(child)
            return child
        common = 0
        while common < len(text) and common < len(child.text) and text[common] == child.text[common]:
            common += 1
        if common < len(child.text):
            parent = Node(child.text[:common])
            child.text = child.text[common:]
            parent.children.append(child)
            self.children[index] = parent
            child = parent
        return child.insert_literal(text[common:])

    def insert_edge(self, tuple pieces, tuple rank):
        """The node behind a parameter segment, made where it is missing."""
        cdef Edge edge
        for edge in self.edges:
            if edge.pieces == pieces:
                return edge.target
        edge = Edge(pieces, rank)
        self.edges.append(edge)
        self.edges.sort(key=rank_of)
        return edge.target

    def ensure_leaf(self):
        if self.leaf is None:
            self.leaf = Leaf()
        return self.leaf


def rank_of(Edge edge):
    return edge.rank


cdef class Tree:
    """All routes of one host.

    Built of Node objects, walked as flat arrays: the first match after a change lays the nodes out
    breadth first, so that the children of a node stand side by side and ten thousand routes fit the
    processor's cache (as objects they cost four times the time of ten routes, mostly waiting for memory).
    """

    def __cinit__(self):
        self.static = {}
        self.root = Node(b"")
        self.has_parameters = False
        self.nodes = NULL
        self.flat_edges = NULL
        self.pool = NULL
        self.get_endpoints = NULL

    def __dealloc__(self):
        self.release()

    cdef void release(self) noexcept:
        free(self.nodes)
        free(self.flat_edges)
        free(self.pool)
        free(self.get_endpoints)
        self.get_endpoints = NULL
        self.nodes = NULL
        self.flat_edges = NULL
        self.pool = NULL

    # Building.

    def leaf(self, tuple segments):
        """The leaf of a template, made where it is missing.

        `segments` is a tuple of literal `bytes` and of tuples `(pieces, rank)`, in path order.
        """
        cdef Node node
        if len(segments) == 1 and isinstance(segments[0], bytes):
            return self.static.setdefault(segments[0].decode(), Leaf())
        self.release()
        self.has_parameters = True
        node = self.root
        for segment in segments:
            if isinstance(segment, bytes):
                node = node.insert_literal(segment)
            else:
                node = node.insert_edge(*segment)
        return node.ensure_leaf()

    def add(self, tuple segments, str method, endpoint):
        """Serve `method` (or, for "*", every method without an endpoint of its own) by `endpoint`."""
        cdef Leaf leaf = self.leaf(segments)
        self.release()
        if method == "*":
            leaf.any_method = endpoint
        else:
            leaf.endpoints[method] = endpoint

    def endpoint_at(self, tuple segments, str method):
        """What exactly this template already serves for `method`, or None."""
        cdef Leaf leaf = self.leaf(segments)
        return leaf.any_method if method == "*" else leaf.endpoints.get(method)

    cdef int freeze(self) except -1:
        """Lay the nodes out in one array, their texts in one pool."""
        cdef Node node
        cdef Edge edge
        cdef list order = [self.root]
        cdef list edges = []
        cdef list leaves = []
        cdef dict targets = {}
        cdef bytearray pool = bytearray()
        cdef FlatNode* flat
        cdef Py_ssize_t index = 0
        self.nodes = NULL
        flat = <FlatNode*>malloc(count_nodes(self.root) * sizeof(FlatNode))
        if flat == NULL:
            raise MemoryError
        while index < len(order):
            node = order[index]
            flat[index].text_at = <int>len(pool)
            flat[index].text_length = <int>len(node.text)
            pool += node.text
            flat[index].first_at = <int>len(pool)
            flat[index].child_at = <int>len(order)
            flat[index].child_count = <int>len(node.children)
            for child in node.children:
                pool += (<Node>child).text[:1]
            order.extend(node.children)
            flat[index].edge_at = <int>len(edges)
            flat[index].edge_count = <int>len(node.edges)
            for edge in node.edges:
                targets[len(edges)] = len(order)
                edges.append(edge)
                order.append(edge.target)
            flat[index].leaf = -1
            if node.leaf is not None:
                flat[index].leaf = <int>len(leaves)
                leaves.append(node.leaf)
            index += 1
        self.flat_edges = <FlatEdge*>malloc((len(edges) + 1) * sizeof(FlatEdge))
        self.pool = <char*>malloc(len(pool) + 1)
        self.get_endpoints = <PyObject**>malloc((len(leaves) + 1) * sizeof(PyObject*))
        if self.flat_edges == NULL or self.pool == NULL or self.get_endpoints == NULL:
            free(flat)
            self.release()
            raise MemoryError
        memcpy(self.pool, PyBytes_AS_STRING(bytes(pool)), len(pool))
        for index, edge in enumerate(edges):
            self.flat_edges[index].kind = edge.kind
            self.flat_edges[index].single = edge.single
            self.flat_edges[index].target = targets[index]
        for index, leaf in enumerate(leaves):
            endpoint = (<Leaf>leaf).find("GET")
            # Borrowed: `leaves` keeps it, and `add` throws the arrays away.
            self.get_endpoints[index] = NULL if endpoint is None else <PyObject*>endpoint
        self.edges = edges
        self.leaves = leaves
        self.nodes = flat
        return 0

    # Matching.

    cdef object match_static(self, str path, str method):
        """The endpoint of a route without parameters, or None."""
        found = self.static.get(path)
        return None if found is None else (<Leaf>found).find(method)

    cdef object match_parameters(self, str path, str method, list values, list passed):
        """The endpoint of a route with parameters, or None; their values are appended.

        Leaves that fit but do not serve the method are appended to `passed`, unless it is None.
        """
        cdef const char* text
        cdef Py_ssize_t size
        if not self.has_parameters:
            return None
        if self.nodes == NULL:
            self.freeze()
        try:
            text = PyUnicode_AsUTF8AndSize(path, &size)
        except UnicodeEncodeError:
            return None
        endpoint = self.walk(0, text, 0, size, method, method == "GET", values, passed)
        return None if endpoint == NULL else <object>endpoint

    cdef PyObject* walk(self, int index, const char* path, Py_ssize_t start, Py_ssize_t end, str method, bint get, list values, list passed) except? NULL:
        """The endpoint behind path[start:end] from one node on (borrowed), NULL when there is none."""
        cdef FlatNode* node = &self.nodes[index]
        cdef FlatNode* child
        cdef FlatEdge* flat
        cdef Py_ssize_t stop, mark
        cdef const char* first
        cdef const char* at
        cdef PyObject* found
        cdef int number
        if start == end:
            if node.leaf >= 0:
                # PERF: the array keeps GET away from the leaf's dict: two cache misses less for each of
                # many routes (bench inproc, routes500).
                if get:
                    found = self.get_endpoints[node.leaf]
                else:
                    found = endpoint_of(<Leaf>self.leaves[node.leaf], method)
                if found != NULL:
                    return found
                if passed is not None:
                    passed.append(self.leaves[node.leaf])
        elif node.child_count > 0:
            first = self.pool + node.first_at
            at = <const char*>memchr(first, path[start], node.child_count)
            if at != NULL:
                child = &self.nodes[node.child_at + (at - first)]
                stop = start + child.text_length
                if stop <= end and memcmp(path + start, self.pool + child.text_at, child.text_length) == 0:
                    found = self.walk(node.child_at + <int>(at - first), path, stop, end, method, get, values, passed)
                    if found != NULL:
                        return found
        for number in range(node.edge_at, node.edge_at + node.edge_count):
            flat = &self.flat_edges[number]
            mark = PyList_GET_SIZE(values)
            if flat.kind == REST:
                values.append(PyUnicode_DecodeUTF8(path + start, end - start, NULL))
                found = self.walk(flat.target, path, end, end, method, get, values, passed)
                if found != NULL:
                    return found
            elif flat.kind == PATH:
                # The longest reading first; it may end only before a slash or at the end.
                stop = end
                while stop > start:
                    if stop == end or path[stop] == c'/':
                        # PERF: decoded only once the rest fits; a hostile path of 30,000 slashes
                        # would otherwise be copied 30,000 times.
                        values.append(None)
                        found = self.walk(flat.target, path, stop, end, method, get, values, passed)
                        if found != NULL:
                            values[mark] = PyUnicode_DecodeUTF8(path + start, stop - start, NULL)
                            return found
                        del values[mark:]
                    stop -= 1
            elif start < end:
                if flat.single and flat.kind != CUSTOM:
                    at = <const char*>memchr(path + start, c'/', end - start)
                    stop = end if at == NULL else at - path
                    value = convert_text(flat.kind, None, path + start, stop - start)
                    if value is None:
                        stop = -1
                    else:
                        values.append(value)
                else:
                    stop = (<Edge>self.edges[number]).take(path, start, end, values)
                if stop >= 0:
                    found = self.walk(flat.target, path, stop, end, method, get, values, passed)
                    if found != NULL:
                        return found
            if PyList_GET_SIZE(values) > mark:
                del values[mark:]
        return NULL

    def find(self, str path, str method):
        """`(endpoint, values)` of the best route, or None."""
        values = []
        found = self.match_static(path, method)
        if found is None:
            found = self.match_parameters(path, method, values, None)
        return None if found is None else (found, values)

    def allowed(self, str path):
        """Every method that some route serves at this path, sorted: the `Allow` of RFC 9110 section 10.2.1."""
        cdef Leaf leaf
        passed = []
        found = self.static.get(path)
        if found is not None:
            passed.append(found)
        self.match_parameters(path, "", [], passed)
        if not passed:
            return ()
        methods = {"OPTIONS"}
        for leaf in passed:
            methods.update(leaf.endpoints)
        return tuple(sorted(methods))


cdef PyObject* endpoint_of(Leaf leaf, str method):
    """The endpoint of a leaf for a method, borrowed from the leaf."""
    found = leaf.find(method)
    return NULL if found is None else <PyObject*>found


def count_nodes(Node node):
    """How many nodes a tree has, this one included."""
    cdef Node child
    cdef Edge edge
    total = 1
    for child in node.children:
        total += count_nodes(child)
    for edge in node.edges:
        total += count_nodes(edge.target)
    return total
