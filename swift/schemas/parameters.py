"""Values that come as text: of a query, a path, a header, a cookie, a form.

The type decides what the text means (`strict=False` of msgspec): "5" is an int, "true" a bool, "null" the
None of an `int | None`. Numbers that JSON cannot express, NaN and the infinities, are refused for `float` and
`Decimal` too: a comparison with NaN is always false, so a bound would not stop it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast, overload

import msgspec
from msgspec.inspect import CollectionType

from .body import MAX_ERRORS, DecHook
from .inspection import ARRAYS, NOT_FINITE, members, takes_numbers

if TYPE_CHECKING:
    from swift.http.problems import ErrorDetail

    from .shapes import Walker

T = TypeVar("T")

# All that decoding raises for an input; UnicodeError for the surrogates of badly decoded text.
PARAMETER_ERRORS = (msgspec.ValidationError, UnicodeError)


class ParameterDecoder(Generic[T]):
    """Converts the text of one parameter, or all its texts where `type` is a collection.

    decoder = compile_parameter(int)
    try:
        limit = decoder.decode("20")
    except PARAMETER_ERRORS:
        errors = decoder.explain("20", "/query/limit")
    """

    __slots__ = ("_dec_hook", "_walker", "decode", "type")

    decode: Callable[[str | Sequence[str]], T]

    def __init__(self, type_: Any, dec_hook: DecHook | None = None) -> None:
        self.type = type_
        self._dec_hook = dec_hook
        self._walker: Walker | None = None
        convert = partial(msgspec.convert, type=type_, strict=False, dec_hook=dec_hook)
        finite = _number_within(msgspec.inspect.type_info(type_))
        self.decode = partial(_finite, convert) if finite else convert

    def explain(
        self, value: str | Sequence[str], pointer: str, *, limit: int = MAX_ERRORS
    ) -> list[ErrorDetail]:
        """The errors of a value that `decode` refused; those of the texts of a collection lead to
        `/query/ids/0`."""
        if self._walker is None:
            self._walker = _compile(self.type, self._dec_hook)
        token = value if isinstance(value, str) else list(value)
        return _explain(self._walker, token, pointer, limit) or _only_fault(self.decode, value, pointer)


class FieldsDecoder(Generic[T]):
    """Converts named texts, of a form or of a whole query string, into a Struct, dataclass or TypedDict.

    Each name comes with all its values, as `parse_pairs` gives them: a field that is a collection takes
    all, any other the last. A file is the object that the form parser made; a field of its class takes it.
    """

    __slots__ = ("_collections", "_convert", "_dec_hook", "_numbers", "_walker", "type")

    def __init__(self, type_: Any, dec_hook: DecHook | None = None) -> None:
        self.type = type_
        self._dec_hook = dec_hook
        self._walker: Walker | None = None
        self._convert = partial(msgspec.convert, type=type_, strict=False, dec_hook=dec_hook)
        fields = getattr(msgspec.inspect.type_info(type_), "fields", ())
        self._collections = frozenset(
            field.encode_name
            for field in fields
            if any(isinstance(member, ARRAYS) for member, _ in members(field.type))
        )
        self._numbers = frozenset(field.encode_name for field in fields if takes_numbers(field.type))

    def decode(self, fields: Mapping[str, Sequence[Any]]) -> T:
        values = self._values(fields)
        for name in self._numbers & values.keys():
            if isinstance(values[name], str) and NOT_FINITE.fullmatch(values[name]):
                raise msgspec.ValidationError(f"Expected a finite number - at `$.{name}`")
        return cast(T, self._convert(values))

    def explain(
        self, fields: Mapping[str, Sequence[Any]], *, pointer: str = "/body", limit: int = MAX_ERRORS
    ) -> list[ErrorDetail]:
        """The errors of fields that `decode` refused, at most `limit`."""
        if self._walker is None:
            self._walker = _compile(self.type, self._dec_hook)
        values = self._values(fields)
        return _explain(self._walker, tuple(values.items()), pointer, limit) or _only_fault(
            self._convert, values, pointer
        )

    def _values(self, fields: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
        return {
            name: list(values) if name in self._collections else values[-1]
            for name, values in fields.items()
            if values
        }


@overload
def compile_parameter(type_: type[T], *, dec_hook: DecHook | None = None) -> ParameterDecoder[T]: ...
@overload
def compile_parameter(type_: Any, *, dec_hook: DecHook | None = None) -> ParameterDecoder[Any]: ...
def compile_parameter(type_: Any, *, dec_hook: DecHook | None = None) -> ParameterDecoder[Any]:
    """The decoder of a parameter. TypeError when msgspec does not support `type_`, with its reason."""
    return ParameterDecoder(type_, dec_hook)


@overload
def compile_fields(type_: type[T], *, dec_hook: DecHook | None = None) -> FieldsDecoder[T]: ...
@overload
def compile_fields(type_: Any, *, dec_hook: DecHook | None = None) -> FieldsDecoder[Any]: ...
def compile_fields(type_: Any, *, dec_hook: DecHook | None = None) -> FieldsDecoder[Any]:
    """The decoder of a form or a group of parameters. TypeError when msgspec does not support `type_`."""
    return FieldsDecoder(type_, dec_hook)


def explain_scalar(text: str, type_: Any, pointer: str) -> ErrorDetail:
    """The error of a text that is no `type_`; for places without a compiled decoder."""
    return ParameterDecoder[Any](type_).explain(text, pointer)[0]


def _finite(convert: Callable[[Any], Any], value: str | Sequence[str]) -> Any:
    for text in (value,) if isinstance(value, str) else value:
        if NOT_FINITE.fullmatch(text):
            raise msgspec.ValidationError("Expected a finite number")
    return convert(value)


def _number_within(info: msgspec.inspect.Type) -> bool:
    """Whether a parameter, or the items of one, may be a float or a Decimal."""
    items = (member.item_type for member, _ in members(info) if isinstance(member, CollectionType))
    return takes_numbers(info) or any(map(takes_numbers, items))


def _compile(type_: Any, dec_hook: DecHook | None) -> Walker:
    from .walk import compile_walker

    return compile_walker(type_, strict=False, dec_hook=dec_hook)


def _explain(walker: Walker, token: Any, prefix: str, limit: int) -> list[ErrorDetail]:
    from .report import EnoughErrors, Report

    report = Report(prefix, limit)
    try:
        walker.walk(token, None, report)
    except EnoughErrors:
        pass
    except UnicodeError:
        report.errors.clear()
    return report.errors


def _only_fault(convert: Callable[[Any], Any], value: Any, prefix: str) -> list[ErrorDetail]:
    """msgspec's own and only fault, for where the walk found none."""
    from swift.http.problems import ErrorDetail

    from .codes import INVALID, first_fault
    from .report import pointer

    try:
        convert(value)
    except msgspec.ValidationError as error:
        path, code, sentence = first_fault(error)
        return [ErrorDetail(pointer(prefix, path), code, sentence)]
    except UnicodeError:
        return [ErrorDetail(prefix, "encoding", "Expected valid UTF-8")]
    return [ErrorDetail(prefix, INVALID, "Invalid value")]
