cdef class Exchange:
    cdef dict make_scope(self)
    cdef bytes find_header(self, bytes name)
    cdef list complete(self, dict scope)
    cdef list header_texts(self, list headers)
    cdef tuple deliver(self, int status, object headers, bytes body)


cdef class Request:
    cdef readonly dict scope
    cdef public object receive
    cdef public object send
    cdef public object app
    cdef public object user
    cdef public object auth
    cdef public object endpoint
    cdef public Py_ssize_t max_body_size
    cdef public object callbacks
    cdef public object cached_body
    cdef public object cached_form
    cdef public bint consumed
    cdef public bint body_complete
    cdef public object completion
    cdef public object error
    cdef public object exits
    cdef object _state
    cdef object _headers
    cdef object _query
    cdef object _cookies
    cdef object _path_params
    cdef tuple path_names
    cdef list path_values


cdef class Response:
    cdef public int status
    cdef public object body
    cdef public list raw_headers
    cdef object _headers
    cdef tuple messages(self, bint head, Exchange exchange)


cdef list header_list(dict scope)
cdef bytes scope_header(dict scope, bytes name)
cdef list lower_names(list headers)
cdef bytes find_header(list headers, bytes name)
cdef tuple content_length(Py_ssize_t length)
cdef tuple make_messages(int status, list headers, bytes body, bint head, Exchange exchange)
cpdef object encode_header(object name, object value)
