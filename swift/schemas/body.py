"""A JSON body: one C call when it is good, everything that is wrong with it when it is not."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

import msgspec

from .inspection import unknown_types

if TYPE_CHECKING:
    from swift.http.problems import ErrorDetail

    from .shapes import Walker

T = TypeVar("T")
DecHook = Callable[[type[Any], Any], Any]

# All that decoding raises for an input. ValidationError is a DecodeError; bad UTF-8 inside a string is a
# UnicodeDecodeError; nesting into an untyped field is a RecursionError; a list as a member of a bare `set`
# is a TypeError.
DECODE_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TypeError)

MAX_ERRORS = 100

_check_syntax = msgspec.json.Decoder(msgspec.Raw).decode


class BodyDecoder(Generic[T]):
    """Decodes JSON into `type`.

        decoder = compile_body(Order)
        try:
            order = decoder.decode(data)
        except DECODE_ERRORS:
            status, errors = decoder.explain(data)

    `decode` is the method of a msgspec Decoder: nothing of ours runs when the body is good.
    """

    __slots__ = ("_dec_hook", "_walker", "decode", "type")

    decode: Callable[[bytes | bytearray | memoryview], T]

    def __init__(self, type_: Any, dec_hook: DecHook | None = None) -> None:
        self.type = type_
        self.decode = msgspec.json.Decoder(type_, dec_hook=dec_hook).decode
        if dec_hook is None and (unknown := unknown_types(msgspec.inspect.type_info(type_))):
            names = ", ".join(cls.__name__ for cls in unknown)
            raise TypeError(
                f"No JSON value can become {names}; register it with TypeHooks and give its dec_hook."
            )
        self._dec_hook = dec_hook
        self._walker: Walker | None = None

    def explain(
        self,
        data: bytes | bytearray | memoryview,
        *,
        pointer: str = "/body",
        limit: int = MAX_ERRORS,
        strict: bool = True,
    ) -> tuple[int, list[ErrorDetail]]:
        """The status and the errors of a body that `decode` refused, at most `limit`.

        400 with one error when it is not JSON, 422 with all of them when it is not a `type`. Without `strict`
        texts may stand for numbers, as where the data came from a format that knows texts only.
        """
        from swift.http.problems import ErrorDetail

        from .report import EnoughErrors, Report
        from .walk import compile_walker, parse

        data = bytes(data)
        fault = malformed(data)
        if fault is not None:
            return 400, [ErrorDetail(pointer, *fault)]
        walker = self._walker
        if not strict:
            walker = compile_walker(self.type, strict=False, dec_hook=self._dec_hook)
        elif walker is None:
            walker = self._walker = compile_walker(self.type, strict=True, dec_hook=self._dec_hook)
        report = Report(pointer, limit)
        try:
            walker.walk(parse(data.decode()), None, report)
        except (EnoughErrors, RecursionError):
            # Python's stack is shallower than msgspec's: what was found above that depth is told.
            pass
        return (422, report.errors) if report.errors else self._first_fault(data, pointer)

    def _first_fault(self, data: bytes, prefix: str) -> tuple[int, list[ErrorDetail]]:
        """msgspec's own and only fault, for where the walk found none."""
        from swift.http.problems import ErrorDetail

        from .codes import INVALID, first_fault
        from .report import Path, pointer

        path: Path = None
        # For a value that is refused once and taken the next time, say by a clock in `__post_init__`.
        code, sentence = INVALID, "Invalid value"
        try:
            self.decode(data)
        except msgspec.ValidationError as error:
            path, code, sentence = first_fault(error)
        except RecursionError:
            return 400, [ErrorDetail(prefix, "too_deep", _TOO_DEEP)]
        return 422, [ErrorDetail(pointer(prefix, path), code, sentence)]


@overload
def compile_body(type_: type[T], *, dec_hook: DecHook | None = None) -> BodyDecoder[T]: ...
@overload
def compile_body(type_: Any, *, dec_hook: DecHook | None = None) -> BodyDecoder[Any]: ...
def compile_body(type_: Any, *, dec_hook: DecHook | None = None) -> BodyDecoder[Any]:
    """The decoder of a body. TypeError when msgspec does not support `type_`, with its reason.

    `dec_hook` makes the types that msgspec does not know, see `TypeHooks`.
    """
    return BodyDecoder(type_, dec_hook)


_TOO_DEEP = "The JSON is nested too deeply."

_SYNTAX = "JSON is malformed: "


def malformed(data: bytes) -> tuple[str, str] | None:
    """Code and sentence of why `data` is no JSON at all, or None when it is JSON."""
    if not data.strip(b" \t\r\n"):
        return "empty", "The body is empty; JSON was expected."
    if data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        return "encoding", "The body begins with a byte order mark; JSON is UTF-8 without one."
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return "encoding", f"The body is not UTF-8: invalid byte at position {error.start}."
    try:
        _check_syntax(data)
    except RecursionError:
        return "too_deep", _TOO_DEEP
    except msgspec.DecodeError as error:
        message = str(error)
        if not message.startswith(_SYNTAX):
            if _HALF_PAIR.search(data):
                # msgspec says "truncated": it looks for the other half where something else stands.
                return "malformed", "The body is not JSON: a text holds half of a surrogate pair."
            return "truncated", "The JSON is truncated: the body ends before its value does."
        if _is_constant(data, message):
            message += "; NaN and Infinity are not JSON"
        return "malformed", f"The body is not JSON: {message.removeprefix(_SYNTAX)}."
    return None


# The escape of a high surrogate with something else than another escape behind it. The look behind keeps a long row
# of backslashes linear.
_HALF_PAIR = re.compile(rb"(?<!\\)(?:\\\\)*\\u[dD][89abAB][0-9A-Fa-f]{2}(?:[^\\]|\\[^u])")


def _is_constant(data: bytes, message: str) -> bool:
    position = message.rpartition("(byte ")[2].rstrip(")")
    return position.isdigit() and data[int(position) :].startswith((b"NaN", b"Infinity"))
