from cpython.object cimport PyObject


cdef struct FlatNode:
    # Literal text: pool[text_at : text_at + text_length].
    int text_at
    int text_length
    # The first bytes of the children's texts: pool[first_at : first_at + child_count].
    int first_at
    int child_at
    int child_count
    int edge_at
    int edge_count
    # Index of the leaf, -1 for none.
    int leaf


cdef struct FlatEdge:
    int kind
    int target
    bint single


cdef class Leaf:
    cdef readonly dict endpoints
    cdef readonly object any_method
    cdef object find(self, str method)


cdef class Edge:
    cdef readonly tuple pieces
    cdef readonly Node target
    cdef readonly tuple rank
    cdef readonly int kind
    cdef readonly bint single
    cdef object convert
    cdef Py_ssize_t take(self, const char* path, Py_ssize_t start, Py_ssize_t end, list values) except -2


cdef class Node:
    cdef readonly bytes text
    cdef readonly list children
    cdef readonly list edges
    cdef readonly Leaf leaf


cdef class Tree:
    cdef dict static
    cdef Node root
    cdef bint has_parameters
    cdef FlatNode* nodes
    cdef FlatEdge* flat_edges
    cdef char* pool
    # Borrowed from `leaves`: the endpoint for GET of each leaf, or NULL.
    cdef PyObject** get_endpoints
    cdef list edges
    cdef list leaves
    cdef void release(self) noexcept
    cdef int freeze(self) except -1
    cdef object match_static(self, str path, str method)
    cdef object match_parameters(self, str path, str method, list values, list passed)
    cdef PyObject* walk(self, int index, const char* path, Py_ssize_t start, Py_ssize_t end, str method, bint get, list values, list passed) except? NULL
