"""Futures: the value that is there, or will be, and what is to be done with it.

Theory of operation. A Future is settled once: READY, FAILED or CANCELLED. While it is PENDING it has
observers, which are told when it settles:

    Waiter     a parked task. A task parks on a Waiter rather than on the Future itself, so that
               cancelling one of two waiting tasks does not cancel the other one's future.
    Link       the Future that `.then`, `.catch` and `.finally_` return; also what adopts an
               awaitable that is not a Future of ours.
    others     whatever Future overrides `notify`: those of `when_all` (groups.pyx), of `with_timeout` (timing.pyx).
    Callback   of `add_done_callback`, for asyncio's own functions.

What is settled already needs no observer: `await` returns at once, `.then` calls at once.

Rule 1: continuations run in the order in which futures settle, never inside one another. `deliver`
holds what settles meanwhile in a queue per thread, so a chain of any length needs one C frame.
Rule 2: an observer is told on the thread and the loop on which it began to wait. It notes both then;
whoever settles the future may be on any thread.
Rule 3: no task's code runs inside `resolve`. Tasks are woken through their loop, or by
`release_wakes`, which a transport's callback calls when nothing of its own is half done.

Cancellation climbs while the one that leaves is the only observer, and comes down again as the
outcome of what it reached. So `.finally_` always runs, and no other observer loses its future.
"""

cimport cython
from cpython.exc cimport PyErr_SetObject
from cpython.object cimport PyObject, PyTypeObject
from cpython.ref cimport Py_DECREF, Py_INCREF

import asyncio
import os
import sys
from asyncio import CancelledError, InvalidStateError, _get_running_loop
from threading import Event
from types import GenericAlias, SimpleNamespace

cdef extern from "Python.h":
    ctypedef enum PySendResult:
        PYGEN_RETURN
        PYGEN_ERROR
        PYGEN_NEXT
    unsigned long PyThread_get_thread_ident() nogil
    PyObject* PyThreadState_GetDict()
    PyObject* PyDict_GetItem(object mapping, object key)
    object PyContext_CopyCurrent()
    int PyContext_Enter(object context) except -1
    int PyContext_Exit(object context) except -1
    object PyObject_CallOneArg(object callable, object argument)
    object PyObject_CallNoArgs(object callable)
    int PyException_SetTraceback(object error, object traceback) except -1
    PyObject* PyException_GetTraceback(object error)
    bint PyCoro_CheckExact(object o)
    void PyErr_Clear()
    bint PyErr_ExceptionMatches(object kind)
    PyObject* PyErr_Occurred()

cdef extern from *:
    """
    #if defined(_MSC_VER)
    #define SWIFT_THREAD_LOCAL __declspec(thread)
    #else
    #define SWIFT_THREAD_LOCAL _Thread_local
    #endif

    typedef struct {
        PyObject *next;     /* owned: the first future that settled during a delivery, or NULL */
        PyObject *queue;    /* owned list of those after it, or NULL */
        PyObject *loop;     /* borrowed: whose continuations are running */
        int delivering;
        PyObject *held;     /* owned list of Waiters to be woken by release_wakes, or NULL */
        int holds;
    } SwiftThread;

    static SWIFT_THREAD_LOCAL SwiftThread swift_thread;
    #define SWIFT_THREAD() (&swift_thread)

    /* PyIter_Send asks for this slot first: a value comes back without a StopIteration around it. */
    typedef PySendResult (*swift_send)(PyObject *, PyObject *, PyObject **);
    static void swift_set_send(PyObject *type, swift_send send) {
        ((PyTypeObject *)type)->tp_as_async->am_send = send;
        PyType_Modified((PyTypeObject *)type);
    }
    #define SWIFT_IS_AWAITABLE(o) \
        (Py_TYPE(o)->tp_as_async != NULL && Py_TYPE(o)->tp_as_async->am_await != NULL)
    """
    ctypedef struct SwiftThread:
        PyObject* next
        PyObject* queue
        PyObject* loop
        int delivering
        PyObject* held
        int holds
    SwiftThread* SWIFT_THREAD() nogil
    ctypedef PySendResult (*swift_send)(PyObject*, PyObject*, PyObject**) noexcept
    void swift_set_send(object type, swift_send send)
    bint SWIFT_IS_AWAITABLE(object o)

cdef object HOLDER = "__asyncio_running_event_loop__"
cdef object FOUND = "swift._speedups.futures"


cdef object running_loop():
    """The event loop that runs on this thread, or None.

    PERF: on CPython 3.11 `asyncio._get_running_loop` costs a system call (`getpid`), more than all the rest of
    a chain's beginning. There it keeps, per thread, a holder that is a new one whenever a loop starts or ends; so
    the answer is good for as long as the holder is the same.
    """
    cdef PyObject* state
    cdef PyObject* holder
    cdef PyObject* found
    if not CACHES:
        return _get_running_loop()
    state = PyThreadState_GetDict()
    holder = NULL if state == NULL else PyDict_GetItem(<object>state, HOLDER)
    if holder == NULL:
        return _get_running_loop()
    found = PyDict_GetItem(<object>state, FOUND)
    if found != NULL and (<tuple>found)[0] is <object>holder:
        return (<tuple>found)[1]
    loop = _get_running_loop()
    (<dict>state)[FOUND] = (<object>holder, loop)
    return loop


def forget_loop():
    """A fork's child has no running loop, but the holder of its parent's."""
    cdef PyObject* state = PyThreadState_GetDict()
    if state != NULL:
        (<dict>state).pop(FOUND, None)


cdef bint CACHES = sys.version_info < (3, 12)
if CACHES and hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget_loop)

# asyncio's own record of which task runs in which loop; CPython 3.14 keeps it in the thread state.
cdef dict CURRENT_TASKS = asyncio.tasks._current_tasks if sys.version_info < (3, 14) else None
cdef object current_task = asyncio.current_task

cdef bint is_awaitable(object value) noexcept:
    return SWIFT_IS_AWAITABLE(value)


cdef bint task_runs_in(object loop) except -1:
    if CURRENT_TASKS is not None:
        return CURRENT_TASKS.get(loop) is not None
    return current_task(loop) is not None


# PERF: a task's wake-up asks what it is called with for its `result()`, and reads that of an exact
# asyncio.Future without a call. Which one it is does not matter: the outcome comes by `send`.
cdef object DONE = asyncio.Future(loop=SimpleNamespace(get_debug=lambda: False))
DONE.set_result(None)

cdef extern from *:
    """
    /* Whether a callback is the wake-up of a task in C: until 3.11 a type of its own, then a builtin method. */
    static int swift_is_wakeup(PyObject *callback) {
    #if PY_VERSION_HEX < 0x030C0000
        static PyTypeObject *wakeup = NULL;
        if (Py_TYPE(callback) == wakeup) return 1;
        if (wakeup != NULL || strcmp(Py_TYPE(callback)->tp_name, "TaskWakeupMethWrapper") != 0) return 0;
        wakeup = (PyTypeObject *)Py_NewRef((PyObject *)Py_TYPE(callback));
        return 1;
    #else
        return PyCFunction_CheckExact(callback)
            && strcmp(((PyCFunctionObject *)callback)->m_ml->ml_name, "task_wakeup") == 0;
    #endif
    }
    """
    bint is_wakeup "swift_is_wakeup" (object callback)


# Failures.

cdef class Failure:
    """Of one exception, shared by all futures it travels through; tells when none of them was looked at."""

    cdef int see(self) except -1:
        self.seen = True
        return 0

    def __del__(self):
        if self.seen:
            return
        message = "A Future failed and nobody looked at it"
        error = self.error
        PyException_SetTraceback(error, self.traceback)
        loop = running_loop()
        if loop is not None:
            loop.call_exception_handler({"message": message, "exception": error})
        else:
            sys.unraisablehook(SimpleNamespace(
                exc_type=type(error), exc_value=error, exc_traceback=error.__traceback__, err_msg=message, object=None
            ))


cdef Failure new_failure(object error):
    cdef Failure failure = Failure.__new__(Failure)
    cdef PyObject* traceback = PyException_GetTraceback(error)
    failure.error = error
    if traceback != NULL:
        failure.traceback = <object>traceback
        Py_DECREF(failure.traceback)
    return failure


# Delivery.

cdef object loop_of(object observer):
    if type(observer) is list:
        observer = (<list>observer)[0]
    if type(observer) is Waiter:
        return (<Waiter>observer).loop
    if type(observer) is Callback:
        return (<Callback>observer).loop
    return (<Future>observer).loop


cdef int tell(object observer, Future source) except -1:
    if type(observer) is Waiter:
        return (<Waiter>observer).notify()
    if type(observer) is Callback:
        return (<Callback>observer).notify(source)
    return (<Future>observer).notify(source)


cdef int deliver(Future settled) except -1:
    """Tell every observer of a settled future, and those of whatever settles by that."""
    cdef SwiftThread* thread = SWIFT_THREAD()
    cdef object observers = settled.observers
    cdef object loop
    cdef SwiftThread before
    cdef list queue
    cdef Py_ssize_t position = 0
    cdef object raised = None
    if observers is None:
        return 0
    if type(observers) is Waiter:
        settled.observers = None
        return (<Waiter>observers).notify()
    loop = loop_of(observers)
    # A loop that runs inside a continuation must not wait for that continuation.
    if thread.delivering and (thread.loop == <PyObject*>loop or loop is None):
        if thread.queue == NULL:
            # PERF: a chain has one at a time, which needs no list.
            if thread.next == NULL:
                Py_INCREF(settled)
                thread.next = <PyObject*>settled
                return 0
            queue = []
            Py_INCREF(queue)
            thread.queue = <PyObject*>queue
        (<list>thread.queue).append(settled)
        return 0
    before = thread[0]
    thread.next = NULL
    thread.queue = NULL
    thread.loop = <PyObject*>loop
    thread.delivering = 1
    while True:
        error = tell_all(settled)
        if error is not None:
            raised = error
        if thread.next != NULL:
            settled = <Future>thread.next
            Py_DECREF(settled)
            thread.next = NULL
        elif thread.queue == NULL or position == len(<list>thread.queue):
            break
        else:
            queue = <list>thread.queue
            settled = <Future>queue[position]
            position += 1
            if position == len(queue):
                queue.clear()
                position = 0
    if thread.queue != NULL:
        queue = <list>thread.queue
        Py_DECREF(queue)
    thread.next = before.next
    thread.queue = before.queue
    thread.loop = before.loop
    thread.delivering = before.delivering
    if raised is not None:
        raise raised
    return 0


cdef object tell_all(Future settled):
    """Tell the observers of a settled future. What one of them raises must not keep it from the others."""
    cdef object observers = settled.observers
    cdef object raised = None
    settled.observers = None
    if observers is None:
        return None
    if type(observers) is not list:
        try:
            tell(observers, settled)
        except BaseException as error:
            return error
        return None
    for observer in <list>observers:
        try:
            tell(observer, settled)
        except BaseException as error:
            raised = error
    return raised


cdef int hold_wakes() except -1:
    SWIFT_THREAD().holds += 1
    return 0


cdef int release_wakes() except -1:
    cdef SwiftThread* thread = SWIFT_THREAD()
    cdef list held
    cdef Waiter waiter
    cdef object loop
    cdef object raised = None
    thread.holds -= 1
    if thread.holds or thread.held == NULL:
        return 0
    held = <list>thread.held
    thread.held = NULL
    Py_DECREF(held)
    loop = running_loop()
    if loop is None or task_runs_in(loop):
        for waiter in held:
            waiter.schedule()
        return 0
    for waiter in held:
        try:
            if raised is None:
                waiter.wake(loop)
            else:
                waiter.schedule()
        except BaseException as error:
            # KeyboardInterrupt and SystemExit leave a task's step; the other tasks go on in the loop.
            raised = error
    if raised is not None:
        raise raised
    return 0


# Observers.

@cython.final
@cython.freelist(64)
cdef class Waiter:
    """What a task parks on. It ends when its future is settled or its task is cancelled."""

    cdef Future future
    cdef object loop
    cdef unsigned long thread
    cdef object callback
    cdef object context
    cdef bint blocking
    cdef bint told
    cdef bint cancelled_alone
    cdef object message

    @property
    def _asyncio_future_blocking(self):
        return self.blocking

    @_asyncio_future_blocking.setter
    def _asyncio_future_blocking(self, bint value):
        self.blocking = value

    @property
    def _loop(self):
        """The loop of the task that parks here. PERF: asyncio looks for `get_loop()` first; not finding it is cheaper than calling it."""
        return self.loop

    @cython.binding(False)
    def add_done_callback(self, callback, *, context=None):
        """Of the task that parks here."""
        self.callback = callback
        self.context = context
        if self.future.state == PENDING:
            self.future.observe(self)
        else:
            self.notify()

    def remove_done_callback(self, callback):
        if self.callback is None or self.callback != callback:
            return 0
        self.callback = None
        self.future.withdraw(self, None)
        return 1

    def result(self):
        """For the task's wake-up only; the outcome goes to the coroutine when it is resumed."""
        return None

    def done(self):
        return self.told

    def cancelled(self):
        return self.cancelled_alone or self.future.state == CANCELLED

    def exception(self):
        return None

    def cancel(self, msg=None):
        if self.told:
            return False
        if self.future.observers is self:
            return self.future.abandon(msg)
        self.future.withdraw(self, msg)
        self.cancelled_alone = True
        self.message = msg
        self.notify()
        return True

    cdef int notify(self) except -1:
        cdef SwiftThread* thread
        cdef list held
        self.told = True
        if self.thread != PyThread_get_thread_ident():
            self.loop.call_soon_threadsafe(self.callback, self, context=self.context)
            return 0
        thread = SWIFT_THREAD()
        if thread.holds:
            if thread.held == NULL:
                held = []
                Py_INCREF(held)
                thread.held = <PyObject*>held
            (<list>thread.held).append(self)
            return 0
        return self.schedule()

    cdef int schedule(self) except -1:
        callback = self.callback
        self.callback = None
        self.loop.call_soon(callback, DONE if is_wakeup(callback) else self, context=self.context)
        return 0

    cdef int wake(self, object loop) except -1:
        """Resume the task now."""
        cdef object context = self.context
        cdef object callback = self.callback
        if loop is not self.loop or context is None:
            return self.schedule()
        try:
            PyContext_Enter(context)
        except RuntimeError:
            # The task shares the context that the transport's callback runs in.
            return self.schedule()
        self.callback = None
        try:
            PyObject_CallOneArg(callback, DONE if is_wakeup(callback) else self)
        finally:
            PyContext_Exit(context)
        return 0

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        if self.cancelled_alone:
            raise cancelled_error(self.message)
        if self.future.state == PENDING:
            self.blocking = True
            return self
        return next(self.future)

    def __repr__(self):
        return f"<Waiter for {self.future!r}>"


cdef PySendResult send_to_waiter(PyObject* waiting, PyObject* argument, PyObject** result) noexcept:
    cdef Waiter waiter = <Waiter>waiting
    cdef object error
    if waiter.cancelled_alone:
        error = cancelled_error(waiter.message)
        result[0] = NULL
        PyErr_SetObject(CancelledError, error)
        return PYGEN_ERROR
    if waiter.future.state == PENDING:
        waiter.blocking = True
        Py_INCREF(waiter)
        result[0] = <PyObject*>waiter
        return PYGEN_NEXT
    return send_to_future(<PyObject*>waiter.future, argument, result)


cdef PySendResult send_to_future(PyObject* awaited, PyObject* argument, PyObject** result) noexcept:
    cdef Future future = <Future>awaited
    cdef object error
    if future.state == READY:
        Py_INCREF(future.outcome)
        result[0] = <PyObject*>future.outcome
        return PYGEN_RETURN
    result[0] = NULL
    error = exception_of(future)
    PyErr_SetObject(type(error), error)
    return PYGEN_ERROR


cdef object cancelled_error(object message):
    return CancelledError() if message is None else CancelledError(message)


cdef object exception_of(Future future):
    """The exception to raise for a future that has no value."""
    cdef object error
    if future.state == FAILED:
        error = future.outcome
        future.failure.seen = True
        # Each raise adds frames; the next one begins where the exception came from.
        PyException_SetTraceback(error, future.failure.traceback)
        return error
    if future.state == CANCELLED:
        return cancelled_error(future.outcome)
    return InvalidStateError("The Future is pending; await it, or `get()` it on a thread without a running loop.")


@cython.final
cdef class Callback:
    """Of `add_done_callback`: called through the loop, as asyncio does."""

    cdef object function
    cdef object context
    cdef object loop
    cdef unsigned long thread

    cdef int notify(self, Future source) except -1:
        if self.loop is None:
            self.context.run(self.function, source)
        elif self.thread == PyThread_get_thread_ident():
            self.loop.call_soon(self.function, source, context=self.context)
        else:
            self.loop.call_soon_threadsafe(self.function, source, context=self.context)
        return 0


@cython.freelist(256)
cdef class Future:
    """A value that is there or will be. Await it, or chain on it; every link gives another Future.

    A continuation may return a value, a Future or any awaitable: a Future never holds a Future.
    """

    __class_getitem__ = classmethod(GenericAlias)

    def __init__(self):
        raise TypeError(
            "A Future is made by the one who will settle it: use `Promise().future`, `make_ready(value)` or "
            "`make_exception(error)`."
        )

    # The owner's side.

    cdef int resolve(self, object value) except -1:
        if self.state != PENDING:
            return settled_twice(self)
        self.state = READY
        self.outcome = value
        self.canceller = None
        if self.observers is None:
            return 0
        return deliver(self)

    cdef int fail(self, object error) except -1:
        if self.state != PENDING:
            return settled_twice(self)
        if isinstance(error, CancelledError):
            return self.settle(CANCELLED, error.args[0] if error.args else None, None)
        if isinstance(error, StopIteration):
            # Where the Future is awaited it would end the coroutine, or look like a value.
            stopped = RuntimeError("A StopIteration cannot be the failure of a Future.")
            stopped.__cause__ = error
            error = stopped
        return self.settle(FAILED, error, new_failure(error))

    cdef int settle(self, int state, object outcome, Failure failure) except -1:
        if self.state != PENDING:
            return 0
        self.state = state
        self.outcome = outcome
        self.failure = failure
        self.canceller = None
        if self.observers is None:
            return 0
        if failure is not None and type(self.observers) is not Callback:
            failure.seen = True
        return deliver(self)

    cdef int copy_outcome(self, Future source) except -1:
        return self.settle(source.state, source.outcome, source.failure)

    cdef int on_cancel(self) except -1:
        cdef object canceller = self.canceller
        if canceller is not None:
            self.canceller = None
            PyObject_CallNoArgs(canceller)
        return 0

    cdef bint abandon(self, object message) except -1:
        if self.state != PENDING:
            return False
        self.state = CANCELLED
        self.outcome = message
        try:
            self.on_cancel()
        finally:
            self.canceller = None
            deliver(self)
        return True

    cdef int bind(self, object loop) except -1:
        self.loop = loop
        self.thread = PyThread_get_thread_ident()
        return 0

    # The observers' side.

    cdef object loop_here(self, unsigned long thread):
        """The running loop, or None. PERF: asking asyncio costs a system call on CPython 3.11."""
        return self.loop if self.loop is not None and self.thread == thread else running_loop()

    cdef int observe(self, object observer) except -1:
        if self.observers is None:
            self.observers = observer
        elif type(self.observers) is list:
            (<list>self.observers).append(observer)
        else:
            self.observers = [self.observers, observer]
        return 0

    cdef int withdraw(self, object observer, object message) except -1:
        """Take an observer away without telling it."""
        cdef list observers
        if self.observers is observer:
            self.observers = None
        elif type(self.observers) is list:
            observers = [other for other in <list>self.observers if other is not observer]
            self.observers = observers[0] if len(observers) == 1 else observers or None
        return 0

    cdef int notify(self, Future source) except -1:
        raise TypeError(f"`{type(self).__name__}` observes nothing.")

    cdef int raise_outcome(self) except -1:
        raise exception_of(self)

    # The public side.

    def done(self):
        """Whether it has its outcome: a value, a failure or a cancellation."""
        return self.state != PENDING

    def cancelled(self):
        return self.state == CANCELLED

    def result(self):
        """The value; raises the failure, CancelledError, or InvalidStateError while it is pending."""
        if self.state == READY:
            return self.outcome
        raise exception_of(self)

    def exception(self):
        """The failure, or None for a value; raises CancelledError, or InvalidStateError while it is pending."""
        if self.state == READY:
            return None
        if self.state == FAILED:
            return exception_of(self)
        raise exception_of(self)

    def get(self, timeout=None):
        """The value, waiting for it on a thread that runs no event loop.

        TimeoutError after `timeout` seconds (None waits for ever); RuntimeError where a loop would be blocked.
        """
        if self.state == PENDING:
            if running_loop() is not None:
                raise RuntimeError("`get()` would block the event loop that runs on this thread; await the Future.")
            arrived = Event()
            self.add_done_callback(lambda settled: arrived.set())
            if not arrived.wait(timeout):
                raise TimeoutError(f"Nothing arrived within {timeout:g} s.")
        return self.result()

    def cancel(self, msg=None):
        """Give up waiting, and cancel what only this one waits for. False when it is settled already."""
        return self.abandon(msg)

    def then(self, function):
        """A Future of `function(value)`; failures and cancellations pass by. At once when the value is there."""
        if self.state == READY:
            return call(function, self.outcome)
        if self.state != PENDING:
            return self
        return new_link(self, THEN, function, None)

    def catch(self, function, kinds=Exception):
        """A Future of `function(error)` where this one fails with an error of these kinds, else of its outcome."""
        if not isinstance(kinds, (type, tuple)):
            raise TypeError(f"Expected an exception class or a tuple of them, got `{type(kinds).__name__}`")
        if self.state == READY:
            return self
        if self.state == PENDING:
            return new_link(self, CATCH, function, kinds)
        return caught(self, function, kinds)

    def finally_(self, function):
        """A Future of this one's outcome, after `function()` and what that returns are done.

        It is called for values, failures and cancellations alike; an error of its own is the outcome then.
        """
        cdef Link link
        if self.state == PENDING:
            return new_link(self, FINALLY, function, None)
        link = Link.__new__(Link)
        link.kind = FINALLY
        link.function = function
        link.end(self)
        return link

    # asyncio's side.

    @property
    def _asyncio_future_blocking(self):
        return False

    def get_loop(self):
        """The running loop: every task that waits notes its own."""
        loop = running_loop()
        if loop is None:
            raise RuntimeError("A Future belongs to no loop before it is awaited in one.")
        return loop

    def add_done_callback(self, function, *, context=None):
        """Call `function(future)` through the loop when the outcome is there; without a loop, then and there."""
        cdef Callback callback = Callback.__new__(Callback)
        callback.function = function
        callback.context = PyContext_CopyCurrent() if context is None else context
        callback.loop = running_loop()
        callback.thread = PyThread_get_thread_ident()
        if self.state == PENDING:
            self.observe(callback)
        else:
            callback.notify(self)

    def remove_done_callback(self, function):
        cdef list observers = self.observers if type(self.observers) is list else [self.observers]
        removed = 0
        for observer in list(observers):
            if type(observer) is Callback and (<Callback>observer).function == function:
                self.withdraw(observer, None)
                removed += 1
        return removed

    def __await__(self):
        cdef Waiter waiter
        if self.state != PENDING:
            return self
        waiter = Waiter.__new__(Waiter)
        waiter.future = self
        waiter.thread = PyThread_get_thread_ident()
        waiter.loop = self.loop_here(waiter.thread)
        return waiter

    def __iter__(self):
        # For `yield from` in a generator-based coroutine.
        return self.__await__()

    def __next__(self):
        if self.state == READY:
            raise StopIteration(self.outcome)
        raise exception_of(self)

    def __repr__(self):
        state = ("pending", "ready", "failed", "cancelled")[self.state]
        return f"<{type(self).__name__} {state}>"


cdef int settled_twice(Future future) except -1:
    if future.state == CANCELLED:
        return 0
    raise InvalidStateError("The Future has its outcome already; it is settled once.")


# Continuations.

cdef enum:
    THEN = 0
    CATCH = 1
    FINALLY = 2
    FORWARD = 3
    AFTER = 4


@cython.final
cdef class Link(Future):
    """What a continuation will give. Its `source` is what it waits for: a Future, or an awaitable of asyncio."""

    cdef int kind
    cdef object function
    cdef object kinds
    cdef object context
    cdef object source
    # Of `.finally_`: the outcome to have when the cleanup is over.
    cdef Future original

    cdef int notify(self, Future source) except -1:
        if self.state != PENDING:
            return 0
        if self.loop is not None and self.thread != PyThread_get_thread_ident():
            self.loop.call_soon_threadsafe(self.notified, source)
            return 0
        return self.end(source)

    def notified(self, Future source not None):
        if self.state == PENDING:
            self.end(source)

    cdef int end(self, Future source) except -1:
        """Go on from a settled source."""
        cdef int kind = self.kind
        self.source = None
        if kind == THEN:
            if source.state == READY:
                return self.run(source.outcome)
        elif kind == CATCH:
            if source.state == FAILED and isinstance(source.outcome, self.kinds):
                return self.run(exception_of(source))
            if source.state == CANCELLED and catches(CancelledError, self.kinds):
                return self.run(exception_of(source))
        elif kind == FINALLY:
            self.original = source
            self.kind = AFTER
            return self.run(None)
        elif kind == AFTER:
            if source.state == READY:
                source = self.original
                self.original = None
            else:
                self.replace_original(source.outcome if source.state == FAILED else None)
        self.function = None
        self.context = None
        return self.copy_outcome(source)

    cdef int run(self, object argument) except -1:
        cdef object function = self.function
        cdef object context = self.context
        cdef object result
        self.function = None
        self.context = None
        if context is not None:
            PyContext_Enter(context)
        try:
            try:
                if self.kind == AFTER:
                    result = PyObject_CallNoArgs(function)
                else:
                    result = PyObject_CallOneArg(function, argument)
            finally:
                if context is not None:
                    PyContext_Exit(context)
        except (KeyboardInterrupt, SystemExit) as error:
            self.original = None
            self.fail(error)
            if self.failure is not None:
                self.failure.seen = True
            raise
        except BaseException as error:
            self.replace_original(error)
            return self.fail(error)
        return self.take(result, context)

    cdef int replace_original(self, object error) except -1:
        """What the cleanup raises takes the place of a failure, which stays to be seen as its context."""
        cdef Future original = self.original
        self.original = None
        if original is not None and original.failure is not None:
            original.failure.seen = True
            if error is not None and error is not original.outcome and error.__context__ is None:
                error.__context__ = original.outcome
        return 0

    cdef int take(self, object result, object context) except -1:
        """Settle with what a continuation returned, or wait for it."""
        if SWIFT_IS_AWAITABLE(result):
            if self.kind != AFTER:
                self.kind = FORWARD
            return self.adopt(result, context)
        if self.kind == AFTER:
            original = self.original
            self.original = None
            return self.copy_outcome(original)
        return self.resolve(result)

    cdef int adopt(self, object awaitable, object context) except -1:
        cdef Future future
        if self.state != PENDING:
            # Cancelled by the very continuation that returned this.
            return as_future(awaitable).abandon(None)
        if isinstance(awaitable, Future):
            future = <Future>awaitable
            if future.state != PENDING:
                return self.end(future)
            if future is self:
                return self.fail(TypeError("A continuation returned the Future that waits for it."))
            self.attach(future)
            return 0
        try:
            source = as_asyncio(awaitable, context)
            self.source = source
            source.add_done_callback(self.arrived)
        except BaseException as error:
            self.source = None
            return self.fail(error)
        return 0

    cdef int attach(self, Future source) except -1:
        self.source = source
        if self.thread == 0:
            self.thread = PyThread_get_thread_ident()
            self.loop = source.loop_here(self.thread)
        return source.observe(self)

    def arrived(self, source):
        """The awaitable of asyncio is done."""
        cdef Future outcome = Future.__new__(Future)
        if source.cancelled():
            outcome.state = CANCELLED
        else:
            error = source.exception()
            if error is None:
                outcome.state = READY
                outcome.outcome = source.result()
            else:
                outcome.state = FAILED
                outcome.outcome = error
                outcome.failure = new_failure(error)
                outcome.failure.seen = True
        if self.state == PENDING:
            if outcome.state == READY and self.kind == FORWARD and SWIFT_IS_AWAITABLE(outcome.outcome):
                self.adopt(outcome.outcome, None)
            elif outcome.state == FAILED:
                outcome.failure.seen = self.observers is not None
                self.end(outcome)
            else:
                self.end(outcome)

    cdef bint abandon(self, object message) except -1:
        cdef Link top = self
        cdef Future source
        cdef Future outcome
        if self.state != PENDING:
            return False
        # Up, while the one that leaves is the only observer.
        while type(top.source) is Link and (<Link>top.source).observers is top:
            top = <Link>top.source
        if top.source is None:
            return Future.abandon(top, message)
        if not isinstance(top.source, Future):
            return top.source.cancel(msg=message)
        source = <Future>top.source
        if source.observers is top:
            return source.abandon(message)
        source.withdraw(top, message)
        outcome = Future.__new__(Future)
        outcome.state = CANCELLED
        outcome.outcome = message
        top.end(outcome)
        return True


cdef bint catches(object kind, object kinds) except -1:
    return issubclass(kind, kinds)


cdef Link new_link(Future source, int kind, object function, object kinds):
    cdef Link link = Link.__new__(Link)
    link.kind = kind
    link.function = function
    link.kinds = kinds
    link.context = PyContext_CopyCurrent()
    link.attach(source)
    return link


cdef Future new_ready(object value):
    cdef Future future = Future.__new__(Future)
    future.state = READY
    future.outcome = value
    return future


cdef Future new_failed(object error):
    cdef Future future = Future.__new__(Future)
    future.fail(error)
    return future


cdef Future call(object function, object argument):
    """The Future of a continuation that can run at once."""
    cdef object result
    try:
        result = PyObject_CallOneArg(function, argument)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        return new_failed(error)
    if not SWIFT_IS_AWAITABLE(result):
        return new_ready(result)
    return as_future(result)


cdef Future caught(Future source, object function, object kinds):
    if source.state == FAILED:
        if not isinstance(source.outcome, kinds):
            return source
    elif not catches(CancelledError, kinds):
        return source
    return call(function, exception_of(source))


cpdef Future as_future(object awaitable):
    """An awaitable as a Future: one of ours as it is, a coroutine as a task of the running loop."""
    cdef Link link
    if isinstance(awaitable, Future):
        return <Future>awaitable
    if not SWIFT_IS_AWAITABLE(awaitable):
        raise TypeError(f"Expected a Future or an awaitable, got `{type(awaitable).__name__}`")
    link = Link.__new__(Link)
    link.kind = FORWARD
    link.adopt(awaitable, None)
    return link


async def awaited(awaitable):
    return await awaitable


cdef object as_asyncio(object awaitable, object context):
    """What has `add_done_callback`: an asyncio future as it is, anything else as a task."""
    if getattr(type(awaitable), "_asyncio_future_blocking", None) is not None:
        return awaitable
    loop = running_loop()
    if loop is None:
        if PyCoro_CheckExact(awaitable):
            awaitable.close()
        raise RuntimeError("A continuation returned an awaitable where no event loop is running; return a value or a Future.")
    if not PyCoro_CheckExact(awaitable):
        awaitable = awaited(awaitable)
    if context is None:
        return loop.create_task(awaitable)
    return loop.create_task(awaitable, context=context)


def make_ready(value=None):
    """A Future that has its value."""
    if isinstance(value, Future):
        return value
    return new_ready(value)


def make_exception(error):
    """A Future that has failed."""
    if not isinstance(error, BaseException):
        raise TypeError(f"Expected an exception, got `{type(error).__name__}`")
    return new_failed(error)


cdef int leave_source(Future observer, Future source) except -1:
    """Stop waiting for a source, and cancel it when nobody else waits."""
    if source.state == PENDING:
        source.withdraw(observer, None)
        if source.observers is None:
            source.abandon(None)
    elif source.failure is not None:
        source.failure.seen = True
    return 0


# The owner's side for Python.

class BrokenPromise(Exception):
    """The promise was dropped while something waited for its Future."""


@cython.final
cdef class Promise:
    """The owner's side of a Future: `resolve` or `fail` it once, on any thread.

    `on_cancel` is called when the awaiting side cancels; settling a cancelled Future is no error.
    Dropped without an outcome, it fails what waits with BrokenPromise.
    """

    cdef readonly Future future

    __class_getitem__ = classmethod(GenericAlias)

    def __init__(self, on_cancel=None):
        cdef Link link = Link.__new__(Link)
        link.kind = FORWARD
        link.canceller = on_cancel
        self.future = link

    def resolve(self, value=None):
        """Settle with a value, or with what an awaitable will give. InvalidStateError when it is settled."""
        cdef Link link = <Link>self.future
        if link.state == PENDING and SWIFT_IS_AWAITABLE(value):
            if link.source is not None:
                raise InvalidStateError("The Future waits for another one already; it is settled once.")
            link.adopt(value, None)
        else:
            link.resolve(value)

    def fail(self, error):
        """Settle with an exception. InvalidStateError when it is settled."""
        if not isinstance(error, BaseException):
            raise TypeError(f"Expected an exception, got `{type(error).__name__}`")
        self.future.fail(error)

    def __del__(self):
        cdef Link link = <Link>self.future
        if link is None or link.state != PENDING or link.source is not None or link.observers is None:
            return
        error = BrokenPromise("The Promise was dropped without an outcome while something waited for its Future.")
        # A collection may come at any moment, so continuations do not run inside it.
        loop = loop_of(link.observers)
        if loop is None:
            link.fail(error)
        elif not loop.is_closed():
            loop.call_soon_threadsafe(break_promise, link, error)

    def __repr__(self):
        return f"<Promise of {self.future!r}>"


def resolve_all(outcomes):
    """Resolve several promises, `(promise, value)` each, and then wake the tasks that waited.

    For the callback of a protocol: where no task is running on this thread they are woken at once, in that
    order, which saves a turn of the loop. Elsewhere they are woken through their loop, as ever.
    """
    hold_wakes()
    try:
        for promise, value in outcomes:
            (<Promise?>promise).resolve(value)
    finally:
        release_wakes()


def break_promise(Future future not None, error):
    if future.state == PENDING:
        future.fail(error)


swift_set_send(Future, send_to_future)
swift_set_send(Waiter, send_to_waiter)
