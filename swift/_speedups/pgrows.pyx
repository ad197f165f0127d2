"""Rows of a result: how DataRow messages become what the caller asked for.

A RowDecoder is made once per statement and target. It holds one cell per column, the C function of its codec in
it, and decodes a message from the receive buffer without a copy: nothing it returns refers to that buffer.
"""

import dataclasses
import types
import typing

import msgspec

cimport cython
from cpython.dict cimport PyDict_SetItem
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from cpython.object cimport Py_EQ, Py_NE, PyObject, PyObject_GenericGetAttr
from cpython.ref cimport Py_INCREF, Py_XDECREF
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE, PyTuple_New
from libc.stdint cimport int32_t, uint8_t, uint16_t

from swift._speedups.pgjson cimport JsonPlan
from swift._speedups.pgvalues cimport Buffer, Codec, check
from swift._speedups.pgvalues import DecodeError
from swift._speedups.pgwire cimport pg_frame, pg_frame_next, pg_load_i32, pg_load_u16, pg_put_u8, pg_writer, pg_writer_rewind


cdef extern from "Python.h":
    object PyObject_Vectorcall(object callable, PyObject** arguments, size_t count, PyObject* names)
    PyObject* PyDict_GetItem(object mapping, object key)
    void PyObject_GC_UnTrack(PyObject* value)
    bint PyObject_GC_IsTracked(object value)
    PyObject* Py_None
    PyTypeObject* Py_TYPE(PyObject* value)
    ctypedef struct PyTypeObject:
        pass


# Cython knows no way to write a slot of a tuple through a pointer to its items.
cdef extern from *:
    """
    #define SWIFT_TUPLE_ITEMS(t) (((PyTupleObject *)(t))->ob_item)
    """
    PyObject** SWIFT_TUPLE_ITEMS(PyObject* value)


cdef enum:
    ROW = 0
    TUPLE = 1
    DICT = 2
    SCALAR = 3
    CALL = 4


# ---- columns and rows ----------------------------------------------------------------------------------


@cython.final
cdef class Columns:
    """The names of a result's columns, shared by all of its rows.

    Of several columns with one name, the name finds the first; the others are reached by position.
    """

    def __init__(self, names):
        cdef Py_ssize_t position
        self.names = tuple(names)
        self.index = {}
        for position, name in enumerate(self.names):
            self.index.setdefault(name, position)
        self.attributes = {name: position for name, position in self.index.items() if not hasattr(Row, name)}

    def __reduce__(self):
        return Columns, (self.names,)


@cython.final
@cython.freelist(64)
cdef class Row:
    """One row: a value by position, by name, or as an attribute; `dict(row)` and `tuple(row)` work.

    Compares equal to a Row or a tuple with the same values. Immutable. A column whose name is that of a method
    (`keys`, `get`, ...) is reached by `row["keys"]` only.
    """

    def __init__(self):
        raise TypeError("rows come from a query")

    def __len__(self):
        return PyTuple_GET_SIZE(self._values)

    def __getitem__(self, key):
        cdef PyObject* position
        if type(key) is str:
            position = PyDict_GetItem(self._columns.index, key)
            if position == NULL:
                raise KeyError(key)
            return self._values[<object>position]
        return self._values[key]

    def __getattribute__(self, str name not None):
        cdef PyObject* position = PyDict_GetItem(self._columns.attributes, name)
        if position != NULL:
            return self._values[<object>position]
        return PyObject_GenericGetAttr(self, name)

    def __iter__(self):
        return iter(self._values)

    def __contains__(self, value):
        return value in self._values

    def __hash__(self):
        return hash(self._values)

    def __richcmp__(self, other, int op):
        if isinstance(other, Row):
            other = (<Row>other)._values
        elif not isinstance(other, tuple):
            return NotImplemented
        if op == Py_EQ:
            return self._values == other
        if op == Py_NE:
            return self._values != other
        if op == 0:
            return self._values < other
        if op == 1:
            return self._values <= other
        if op == 4:
            return self._values > other
        return self._values >= other

    def __repr__(self):
        fields = " ".join([f"{name}={value!r}" for name, value in zip(self._columns.names, self._values)])
        return f"<Row {fields}>" if fields else "<Row>"

    def __reduce__(self):
        return make_row, (self._columns, self._values)

    def get(self, name, default=None):
        """The value of the column, or `default` where there is none of that name."""
        position = self._columns.index.get(name)
        return default if position is None else self._values[position]

    def keys(self):
        """The names of the columns, in order: tuple of str."""
        return self._columns.names

    def values(self):
        """The values, in order: tuple."""
        return self._values

    def items(self):
        """Name and value of every column, in order: list of pairs."""
        return list(zip(self._columns.names, self._values))


def make_row(Columns columns not None, tuple values not None):
    """A Row of these values; as many as there are columns."""
    if len(columns.names) != len(values):
        raise ValueError(f"{len(columns.names)} columns, {len(values)} values")
    return row_of(columns, values)


cdef inline Row row_of(Columns columns, tuple values):
    cdef Row row = Row.__new__(Row)
    row._columns = columns
    row._values = values
    return row


# ---- targets -------------------------------------------------------------------------------------------


class Field:
    """One field of a target class: its name, what it accepts, and whether it must be given."""

    def __init__(self, name, alias, annotation, required, keyword):
        self.name = name
        self.alias = alias
        self.annotation = annotation
        self.required = required
        self.keyword = keyword


def fields_of(into):
    """The fields of a msgspec Struct, a dataclass or a NamedTuple, in the order of its constructor; None for others."""
    if isinstance(into, type) and issubclass(into, msgspec.Struct):
        keywords = len(into.__struct_fields__) - positional_count(into)
        position = len(into.__struct_fields__) - keywords
        return [
            Field(field.name, field.encode_name, field.type, field.required, i >= position)
            for i, field in enumerate(msgspec.structs.fields(into))
        ]
    if isinstance(into, type) and dataclasses.is_dataclass(into):
        hints = typing.get_type_hints(into, include_extras=True)
        missing = dataclasses.MISSING
        found = [
            Field(
                field.name,
                field.name,
                hints.get(field.name, typing.Any),
                field.default is missing and field.default_factory is missing,
                field.kw_only,
            )
            for field in dataclasses.fields(into)
            if field.init
        ]
        return [field for field in found if not field.keyword] + [field for field in found if field.keyword]
    if isinstance(into, type) and issubclass(into, tuple) and hasattr(into, "_fields"):
        hints = typing.get_type_hints(into, include_extras=True)
        return [
            Field(name, name, hints.get(name, typing.Any), name not in into._field_defaults, False)
            for name in into._fields
        ]
    return None


def positional_count(into):
    """How many fields a Struct takes by position: those that are not keyword-only come first."""
    # A class of its own tells only through its constructor; the match arguments leave keyword-only fields out.
    return len(into.__match_args__)


def split_optional(annotation):
    """The annotation without None, and whether None was part of it."""
    if annotation is typing.Any or annotation is object or isinstance(annotation, typing.TypeVar):
        return typing.Any, True
    if annotation is None or annotation is type(None):
        return typing.Any, True
    origin = typing.get_origin(annotation)
    if origin is typing.Union or origin is types.UnionType:
        rest = tuple(arm for arm in typing.get_args(annotation) if arm is not type(None))
        nullable = len(rest) < len(typing.get_args(annotation))
        if typing.Any in rest:
            return typing.Any, True
        return (rest[0] if len(rest) == 1 else typing.Union[rest]), nullable
    return annotation, False


def converter_of(annotation):
    """A function that validates and converts a decoded value to the annotation, msgspec.convert's way."""
    convert = msgspec.convert

    def converted(value):
        # An interval: a duration where it has no months.
        duration = getattr(value, "timedelta", None)
        return convert(value if duration is None else duration(), annotation, strict=False, from_attributes=True)

    return converted


# ---- the decoder ---------------------------------------------------------------------------------------


@cython.final
cdef class RowDecoder:
    """Decodes the rows of one statement into one kind of object.

    `columns` and `codecs` have one entry per column of the result. Raises TypeError when a class cannot take these
    columns: a field that must be given has none, or the class forbids fields it does not know.
    """

    def __cinit__(self):
        self.cells = NULL
        self.scratch = NULL

    def __init__(self, Columns columns not None, codecs, into=None):
        cdef Py_ssize_t i
        cdef Codec codec
        self.columns = columns
        self.codecs = tuple(codecs)
        self.into = into
        self.count = len(self.codecs)
        self.holders = []
        if len(columns.names) != self.count:
            raise ValueError(f"{len(columns.names)} columns, {self.count} codecs")
        self.cells = <Cell*>PyMem_Calloc(self.count + 1, sizeof(Cell))
        if self.cells == NULL:
            raise MemoryError
        self.slots = self.count
        self.atomic = True
        for i in range(self.count):
            codec = self.codecs[i]
            self.atomic = self.atomic and codec.atomic
            self.cells[i].decode = codec.decode
            self.cells[i].codec = <PyObject*>codec
            self.cells[i].slot = i
            self.cells[i].nullable = True
        if into is None:
            self.shape = ROW
        elif into is tuple:
            self.shape = TUPLE
        elif into is dict:
            self.shape = DICT
        elif into == "scalar":
            self.shape = SCALAR
            self.slots = 1
            for i in range(1, self.count):
                self.cells[i].slot = -1
        else:
            self.shape = CALL
            self._aim(into)
        self.scratch = <PyObject**>PyMem_Calloc(self.slots + 1, sizeof(PyObject*))
        if self.scratch == NULL:
            raise MemoryError

    def __dealloc__(self):
        PyMem_Free(self.cells)
        PyMem_Free(self.scratch)

    def _aim(self, into):
        cdef Py_ssize_t i
        cdef Codec codec
        fields = fields_of(into)
        if fields is None:
            raise TypeError(f"rows become Row, tuple, dict, a Struct, a dataclass or a NamedTuple, not {into!r}")
        index = self.columns.index
        chosen = []
        for field in fields:
            position = index.get(field.name)
            if position is None:
                position = index.get(field.alias)
            if position is not None:
                chosen.append((field, position))
            elif field.required:
                names = ", ".join(self.columns.names)
                raise TypeError(f"`{into.__name__}.{field.name}` has no column of its name; the columns are: {names}")
        if issubclass(into, msgspec.Struct) and into.__struct_config__.forbid_unknown_fields:
            taken = {position for _, position in chosen}
            extra = [name for name, position in index.items() if position not in taken]
            if extra:
                raise TypeError(f"`{into.__name__}` has no field for the columns: {', '.join(extra)}")
        # Positional as far as no field is left out, the rest by keyword.
        self.positional = 0
        for (field, _), expected in zip(chosen, fields):
            if field is not expected or field.keyword:
                break
            self.positional += 1
        self.keywords = tuple([field.name for field, _ in chosen[self.positional:]])
        self.slots = len(chosen)
        for i in range(self.count):
            self.cells[i].slot = -1
        for slot, (field, position) in enumerate(chosen):
            i = position
            if self.cells[i].slot != -1:
                raise TypeError(f"two fields of `{into.__name__}` take the column {self.columns.names[position]!r}")
            self.cells[i].slot = slot
            annotation, nullable = split_optional(field.annotation)
            self.cells[i].nullable = nullable
            codec = self.codecs[i]
            if annotation is typing.Any:
                continue
            if annotation is codec.python_type and codec.factory is None:
                continue
            convert = converter_of(field.annotation)
            self.holders.append(convert)
            self.cells[i].convert = <PyObject*>convert
            if annotation is codec.python_type:
                self.cells[i].expected = <PyObject*>annotation

    cdef int _fill(self, PyObject** out, const uint8_t* data, Py_ssize_t length) except -1:
        cdef const uint8_t* end = data + length
        cdef const uint8_t* at = data + 2
        cdef Py_ssize_t i
        cdef int32_t size
        cdef Cell* cell
        cdef object value
        self.position = -1
        if length < 2 or pg_load_u16(data) != self.count:
            raise DecodeError(f"a row of other than {self.count} fields")
        for i in range(self.count):
            if end - at < 4:
                raise DecodeError("a row that ends inside of a field")
            size = pg_load_i32(at)
            at += 4
            cell = &self.cells[i]
            if size < 0:
                if size != -1:
                    raise DecodeError("a field of negative length")
                if cell.slot < 0:
                    continue
                if not cell.nullable:
                    self.position = i
                    raise DecodeError("NULL, and the field is not optional")
                Py_INCREF(None)
                out[cell.slot] = Py_None
                continue
            if size > end - at:
                raise DecodeError("a field that ends behind its row")
            if cell.slot >= 0:
                self.position = i
                value = cell.decode(<Codec>cell.codec, at, size)
                if cell.convert != NULL and <PyObject*>Py_TYPE(<PyObject*>value) != cell.expected:
                    value = (<object>cell.convert)(value)
                Py_INCREF(value)
                out[cell.slot] = <PyObject*>value
            at += size
        if at != end:
            self.position = -1
            raise DecodeError("bytes behind the last field of a row")
        return 0

    cdef object _decode(self, const uint8_t* data, Py_ssize_t length):
        cdef tuple values, names
        cdef dict mapping
        cdef bint unique
        cdef Py_ssize_t i
        cdef Row row
        if self.shape == CALL:
            return self._call(data, length)
        values = PyTuple_New(self.slots)
        self._fill(SWIFT_TUPLE_ITEMS(<PyObject*>values), data, length)
        if self.shape == ROW:
            row = row_of(self.columns, values)
            if self.atomic:
                # Values that refer to nothing cannot be part of a cycle: the collector need not look at them.
                PyObject_GC_UnTrack(<PyObject*>values)
                PyObject_GC_UnTrack(<PyObject*>row)
            return row
        if self.shape == TUPLE:
            if self.atomic and self.slots:
                PyObject_GC_UnTrack(<PyObject*>values)
            return values
        if self.shape == DICT:
            mapping = {}
            names = self.columns.names
            unique = len(self.columns.index) == self.count
            for i in range(self.count):
                # Of equal names the first wins, as everywhere.
                if unique or <object>PyTuple_GET_ITEM(names, i) not in mapping:
                    PyDict_SetItem(mapping, <object>PyTuple_GET_ITEM(names, i), <object>PyTuple_GET_ITEM(values, i))
            return mapping
        if self.slots == 0 or self.count == 0:
            return None
        return values[0]

    cdef object _call(self, const uint8_t* data, Py_ssize_t length):
        cdef Py_ssize_t i
        cdef PyObject** arguments = self.scratch
        cdef bint own = self.busy
        if own:
            # A converter of the user decodes rows of the same statement.
            arguments = <PyObject**>PyMem_Calloc(self.slots + 1, sizeof(PyObject*))
            if arguments == NULL:
                raise MemoryError
        self.busy = True
        try:
            self._fill(arguments, data, length)
            return PyObject_Vectorcall(
                self.into, arguments, self.positional, <PyObject*>self.keywords if self.keywords else NULL
            )
        finally:
            for i in range(self.slots):
                Py_XDECREF(arguments[i])
                arguments[i] = NULL
            if own:
                PyMem_Free(arguments)
            else:
                self.busy = False

    cdef object _failure(self, object error):
        cdef Codec codec
        if isinstance(error, DecodeError) and error.column is not None:
            return error
        if isinstance(error, DecodeError):
            reason = error.reason
        elif isinstance(error, UnicodeDecodeError):
            reason = "text that is not UTF-8"
        elif isinstance(error, (msgspec.ValidationError, OverflowError)):
            reason = str(error)
        else:
            # Its text may hold the value; who may see that finds it as the cause.
            reason = f"its decoder raised `{type(error).__name__}`"
        if self.position < 0:
            return DecodeError(reason)
        codec = self.codecs[self.position]
        return DecodeError(reason, self.columns.names[self.position], codec.name)

    cdef object decode(self, const uint8_t* data, Py_ssize_t length):
        try:
            return self._decode(data, length)
        except Exception as error:
            raise self._failure(error) from error

    cdef int decode_frames(self, const uint8_t* data, Py_ssize_t length, list rows) except -1:
        cdef pg_frame frame
        cdef int taken
        try:
            while length > 0:
                taken = pg_frame_next(data, length, &frame)
                if taken <= 0 or frame.type != c"D":
                    self.position = -1
                    raise DecodeError("something else than whole rows")
                rows.append(self._decode(frame.payload, frame.length))
                data += taken
                length -= taken
        except Exception as error:
            raise self._failure(error) from error
        return 0

    cdef int write_json(self, const uint8_t* data, Py_ssize_t length, pg_writer* out) except -1:
        if self.json is None:
            self.json = JsonPlan(self.columns.names, self.codecs, self.shape == SCALAR)
        return self.json.write(data, length, out)

    cdef int write_json_frames(self, const uint8_t* data, Py_ssize_t length, pg_writer* out) except -1:
        cdef pg_frame frame
        cdef size_t start = out.length
        cdef int taken
        cdef bint first = True
        try:
            pg_put_u8(out, c"[")
            while length > 0:
                taken = pg_frame_next(data, length, &frame)
                if taken <= 0 or frame.type != c"D":
                    raise DecodeError("something else than whole rows")
                if not first:
                    pg_put_u8(out, c",")
                first = False
                self.write_json(frame.payload, frame.length, out)
                data += taken
                length -= taken
            pg_put_u8(out, c"]")
            check(out.status)
        except BaseException:
            pg_writer_rewind(out, start)
            raise
        return 0

    def write_json_as(self, bint numeric_as_number=False, bint big_integers_as_text=False):
        """How JSON of these rows is written from now on: numeric unquoted; int8 beyond 2**53 - 1 quoted."""
        self.json = JsonPlan(
            self.columns.names, self.codecs, self.shape == SCALAR, numeric_as_number, big_integers_as_text
        )

    def decode_payload(self, const uint8_t[::1] payload not None):
        """One DataRow's payload (bytes) to what `into` says. Raises DecodeError."""
        return self.decode(&payload[0] if payload.shape[0] else <const uint8_t*>b"", payload.shape[0])

    def decode_run(self, const uint8_t[::1] frames not None):
        """A run of whole DataRow messages, headers included: list. Raises DecodeError."""
        cdef list rows = []
        if frames.shape[0]:
            self.decode_frames(&frames[0], frames.shape[0], rows)
        return rows

    def json_payload(self, const uint8_t[::1] payload not None):
        """One DataRow's payload (bytes) as the bytes of a JSON object. Raises DecodeError."""
        cdef Buffer out = Buffer()
        self.write_json(&payload[0] if payload.shape[0] else <const uint8_t*>b"", payload.shape[0], &out.writer)
        return out.take()

    def json_run(self, const uint8_t[::1] frames not None):
        """A run of whole DataRow messages as the bytes of a JSON array. Raises DecodeError."""
        cdef Buffer out = Buffer()
        self.write_json_frames(
            &frames[0] if frames.shape[0] else <const uint8_t*>b"", frames.shape[0], &out.writer
        )
        return out.take()
