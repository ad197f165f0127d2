from swift._speedups.http cimport Exchange, Request
from swift._speedups.router cimport Tree


cdef class Kernel


# A stretch of the query string; its start is NULL where there is none.
cdef struct Text:
    const char* start
    Py_ssize_t length


cdef class Slot:
    cdef readonly int source
    cdef readonly int kind
    cdef readonly Py_ssize_t position
    cdef readonly Py_ssize_t index
    cdef readonly bytes name
    cdef readonly bint required
    cdef readonly bint many
    cdef readonly object default
    cdef readonly object default_factory
    cdef readonly object convert
    cdef readonly object explain
    cdef long long lowest
    cdef long long highest
    cdef Py_ssize_t shortest
    cdef Py_ssize_t longest
    cdef object value_of_text(self, const char* text, Py_ssize_t length)
    cdef object value_of(self, str text)


cdef class Plan:
    # What every request reads stands first, in as few cache lines as possible.
    cdef readonly object handler
    cdef readonly tuple content_type
    cdef readonly bytes media_type
    cdef readonly object encode
    cdef readonly Py_ssize_t slot_count
    cdef readonly int status
    cdef readonly int encoding
    cdef readonly int calling
    cdef readonly bint direct
    cdef readonly bint reads_body
    # All slots are the path's values as the tree converted them, in order.
    cdef readonly bint path_only
    # Checks that never wait, to run before the body is read; None for none.
    cdef readonly tuple checks
    cdef bint needs_request
    # The type of the last result that was neither a Response nor a Future; most handlers answer one type.
    cdef object plain_type
    # Nothing of the scope but Accept has a say in the answer.
    cdef bint bare
    cdef bint has_content
    cdef tuple text_headers
    cdef readonly tuple slots
    cdef list query_slots
    cdef list other_slots
    cdef readonly tuple arguments
    cdef readonly tuple keywords
    cdef Py_ssize_t body_position
    # Where errors found before the body or the form wait for theirs; -1 when neither is read.
    cdef Py_ssize_t error_position
    cdef readonly object decode_body
    cdef readonly str name
    cdef readonly tuple path_names
    cdef readonly tuple content_types
    cdef readonly object default_body
    cdef readonly bint body_required
    cdef readonly Py_ssize_t max_body_size
    cdef readonly object reject
    cdef readonly object refuse
    cdef readonly object response_class
    cdef list bind_scope(self, dict scope, Request request, list path_values, object parse_cookies)
    cdef int bind_query(self, dict scope, list values, list errors) except -1
    cdef int find_query(self, bytes query, Text* found, list values) except -1
    cdef int collect(self, Slot slot, Text* found, list values) except -1
    cdef object call(self, list values)
    cpdef object bind_body(self, list values, bytes body)
    cdef object bind_body_by(self, list values, bytes body, object decode, object reject)
    cdef tuple messages_of(self, object result, bint head, Exchange exchange)
    cdef int check_accept(self, dict scope, Exchange exchange) except -1
    cdef int check_content(self, dict scope) except -1


cdef class Pending:
    cdef readonly Plan plan
    cdef readonly int stage
    cdef readonly bint head
    cdef list path_values
    cdef dict scope
    cdef object receive
    cdef object send
    cdef Kernel kernel
    cdef Request made_request
    cdef bint body_taken
    # Neither a type nor a length of the body was announced.
    cdef bint untyped
    cdef readonly object awaitable
    cdef readonly object yielded
    cdef Request get_request(self)
    cpdef object with_body(self, bytes body)


cdef class Kernel:
    cdef readonly Tree tree
    cdef dict hosts
    cdef object request_class
    cdef object parse_cookies
    cdef object app
    cdef tuple bindings
    cdef bytes not_found_body
    cdef bint redirect_slashes
    cdef Py_ssize_t max_body_size
    cdef tuple run(
        self, Plan plan, dict scope, object receive, list path_values, bint head, Exchange exchange
    )
    cdef tuple enter_exchange(self, Exchange exchange, str path, str method)
    cdef tuple enter_at(
        self, str path, str method, dict scope, object receive, Exchange exchange
    )
    cdef Tree tree_of(self, dict scope)
    cdef Request new_request(self, Plan plan, dict scope, object receive, list path_values)
    cdef tuple miss(self, Tree tree, dict scope, object receive, str path, str method)
