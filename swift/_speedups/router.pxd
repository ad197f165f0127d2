cdef class Leaf:
    cdef readonly dict endpoints
    cdef readonly object any_method
    cdef object find(self, str method)


cdef class Edge:
    cdef readonly tuple pieces
    cdef readonly Node target
    cdef readonly tuple rank
    cdef int kind
    cdef bint single
    cdef object convert
    cdef Py_ssize_t take(self, const char* path, Py_ssize_t start, Py_ssize_t end, list values) except -2


cdef class Node:
    cdef bytes prefix
    cdef const char* prefix_bytes
    cdef Py_ssize_t prefix_length
    cdef bytes first_bytes
    cdef list children
    cdef list edges
    cdef Leaf leaf
    cdef object match(self, const char* path, Py_ssize_t start, Py_ssize_t end, str method, list values, list passed)


cdef class Tree:
    cdef dict static
    cdef Node root
    cdef bint has_parameters
    cdef object match_static(self, str path, str method)
    cdef object match_parameters(self, str path, str method, list values)
