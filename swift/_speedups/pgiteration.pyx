"""`async for` over rows that are already here: a row costs a ready Future, a chunk a coroutine."""

from __future__ import annotations

cimport cython

from swift._speedups.futures cimport READY, Future


@cython.final
cdef class RowIterator:
    """The rows of an async generator of lists, one by one."""

    cdef object chunks
    cdef list rows
    cdef Py_ssize_t at
    cdef object __weakref__

    def __cinit__(self, chunks):
        self.chunks = chunks
        self.rows = []

    def __aiter__(self):
        return self

    def __anext__(self):
        cdef Future row
        if self.at < len(self.rows):
            row = Future.__new__(Future)
            row.state = READY
            row.outcome = self.rows[self.at]
            self.at += 1
            return row
        return self.refill()

    async def refill(self):
        """The first row of the next chunk; StopAsyncIteration behind the last."""
        self.at = 0
        self.rows = []
        while not self.rows:
            self.rows = await self.chunks.__anext__()
        self.at = 1
        return self.rows[0]

    async def aclose(self):
        """Ends it before its end."""
        self.rows = []
        self.at = 0
        await self.chunks.aclose()
