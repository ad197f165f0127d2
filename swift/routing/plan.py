"""Call plans: a handler's signature, read once, as the slots that the kernel fills per request.

The rules, in the order they are tried. A marker says it all. A name of the path is a path
parameter. A Request annotation is the request. A registered service is injected. A Struct, a
dataclass, a dict or a list of those is the body. Anything else is a field of the query string.
"""

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec

from swift._speedups.kernel import Slot
from swift._speedups.query import parse_pairs
from swift.http import ErrorDetail, Request
from swift.schemas import (
    PARAMETER_ERRORS,
    BodyDecoder,
    ParameterDecoder,
    compile_body,
    compile_fields,
    compile_parameter,
)

from .params import Marker
from .templates import Template

Source = Literal["path", "query", "header", "cookie", "form"]

_COLLECTIONS = (list, set, frozenset, tuple)
# PERF: not inspected, as texts always convert to them; a third of the time that ten thousand routes take to start.
_PLAIN = (str, int, float, bool)
_INTEGER_BOUNDS = {"ge", "gt", "le", "lt"}
_TEXT_BOUNDS = {"min_length", "max_length"}


class Parameter(msgspec.Struct, frozen=True):
    """One value that a request carries outside its JSON body."""

    name: str
    alias: str
    source: Source
    type: Any
    required: bool
    default: Any = msgspec.NODEFAULT
    description: str | None = None
    deprecated: bool = False
    examples: Sequence[Any] = ()
    include_in_schema: bool = True

    @property
    def pointer(self) -> str:
        return f"/{'body' if self.source == 'form' else self.source}/{self.alias}"


class BodySpec(msgspec.Struct, frozen=True):
    """What the request's body must be."""

    type: Any
    media_type: str = "application/json"
    required: bool = True
    default: Any = None
    description: str | None = None
    decoder: BodyDecoder[Any] | None = None


class InvalidParameter(ValueError):
    """A parameter's text does not fit; carries what to tell the client."""

    def __init__(self, errors: Sequence[ErrorDetail]) -> None:
        super().__init__(errors)
        self.errors = errors


class SignatureError(TypeError):
    """A handler's signature that no plan can be made of; raised at registration."""


class SlotReader:
    """Turns signature parameters into slots. One reader serves a handler and its dependencies,
    so that equal parameters share a slot."""

    def __init__(self, template: Template, describe: str) -> None:
        self.template = template
        self.describe = describe
        self.parameters: list[Parameter] = []
        self.body: BodySpec | None = None
        self.slots: list[Slot] = []

    def add(self, parameter: inspect.Parameter, annotation: Any) -> int:
        """The position of the slot that gives this parameter its value."""
        bare, metadata = split_annotated(annotation)
        marker = marker_of(parameter, metadata)
        if isinstance(bare, type) and issubclass(bare, Request):
            return self._add_slot(source="request", kind="as_is")
        for index, declared in enumerate(self.template.parameters):
            if declared.name == (marker.alias if marker and marker.alias else parameter.name) and (
                marker is None or marker.source == "path"
            ):
                return self._add_path(parameter, index, annotation, marker)
        if marker is not None and marker.source == "path":
            raise SignatureError(
                f"{self.describe} reads the path parameter `{parameter.name}`, but its path {self.template.path} has none."
            )
        if marker is not None and marker.source == "query" and is_struct(bare):
            return self._add_group(bare)
        if (marker is None and is_body_type(bare)) or (marker is not None and marker.source == "body"):
            return self._add_body(parameter, annotation, marker)
        return self._add_text(parameter, annotation, marker)

    def add_receiver(self, factory: Callable[[], Any], action: str) -> int:
        """A slot that holds a new instance for each request, with `request` and `action` set."""
        return self._add_slot(source="receiver", kind="as_is", convert=factory, default=action)

    def add_later(self) -> int:
        """A slot that the dependencies fill."""
        return self._add_slot(source="later", kind="as_is")

    def _add_slot(self, **options: Any) -> int:
        position = len(self.slots)
        self.slots.append(Slot(position=position, **options))
        return position

    def _add_path(
        self, parameter: inspect.Parameter, index: int, annotation: Any, marker: Marker | None
    ) -> int:
        declared = self.template.parameters[index]
        typed = (
            declared.type if annotation is inspect.Parameter.empty else with_constraints(annotation, marker)
        )
        described = self._describe(parameter, "path", declared.name, typed, marker, required=True)
        # What the tree converted already; the text of `{name}` is a str as it is.
        converted = declared.type is Any or typed is declared.type
        kind, bounds = ("as_is", {}) if converted else text_kind(typed)
        if declared.converter not in ("str", "path") and kind != "as_is":
            kind, bounds = "converted", {}
        convert, explain = conversion(described)
        return self._add_slot(
            source="path",
            kind=kind,
            index=index,
            name=declared.name.encode(),
            convert=convert,
            explain=explain,
            **bounds,
        )

    def _add_body(self, parameter: inspect.Parameter, annotation: Any, marker: Marker | None) -> int:
        if self.body is not None:
            raise SignatureError(
                f"{self.describe} declares more than one body; join `{parameter.name}` and the other in one Schema."
            )
        if any(known.source == "form" for known in self.parameters):
            raise SignatureError(
                f"{self.describe} declares a JSON body beside form fields; a request has one body."
            )
        required, default = requirement(parameter, marker)
        typed = with_constraints(annotation, marker)
        self.body = BodySpec(
            typed,
            required=required,
            default=None if required else default,
            description=marker.description if marker else None,
            decoder=compile_body(typed),
        )
        return self._add_slot(source="body", kind="as_is", required=required)

    def _add_text(self, parameter: inspect.Parameter, annotation: Any, marker: Marker | None) -> int:
        source: Source = marker.source if marker is not None else "query"  # type: ignore[assignment]
        if source == "form" and self.body is not None:
            raise SignatureError(
                f"{self.describe} declares form fields beside a JSON body; a request has one body."
            )
        alias = marker.alias if marker is not None and marker.alias else parameter.name
        if source == "header" and not (marker and marker.alias):
            alias = alias.replace("_", "-")
        typed = str if annotation is inspect.Parameter.empty else with_constraints(annotation, marker)
        required, default = requirement(parameter, marker)
        described = self._describe(
            parameter, source, alias, typed, marker, required=required, default=default
        )
        for position, slot in enumerate(self.slots):
            if (
                slot.name == alias.encode()
                and described in self.parameters
                and slot.source == SOURCE_NUMBERS[source]
            ):
                return position
        convert, explain = conversion(described)
        many = is_collection(typed)
        kind, bounds = ("converted", {}) if many else text_kind(typed)
        if described not in self.parameters:
            self.parameters.append(described)
        factory = marker.default_factory if marker is not None else None
        if factory is None and isinstance(default, (list, set, dict)):
            # Copied for each request, so that one cannot change another's default.
            factory = default.copy
        return self._add_slot(
            source=source,
            kind=kind,
            name=(alias.lower() if source == "header" else alias).encode(),
            required=required,
            default=None if required else default,
            default_factory=factory,
            many=many,
            convert=convert,
            explain=explain,
            **bounds,
        )

    def _add_group(self, shape: Any) -> int:
        """A Struct whose fields are the fields of the query string."""
        decoder = compile_fields(shape)
        for field in msgspec.structs.fields(shape):
            required = field.required
            default = None if field.default is msgspec.NODEFAULT else field.default
            self.parameters.append(
                Parameter(
                    name=field.name,
                    alias=field.encode_name,
                    source="query",
                    type=field.type,
                    required=required,
                    default=msgspec.NODEFAULT if required else default,
                    description=description_of(field.type),
                )
            )

        def convert(query: bytes) -> Any:
            fields = fields_of(query)
            try:
                return decoder.decode(fields)
            except PARAMETER_ERRORS:
                raise InvalidParameter(decoder.explain(fields, pointer="/query")) from None

        return self._add_slot(source="query_group", kind="as_is", convert=convert, explain=explain_group)

    def _describe(
        self,
        parameter: inspect.Parameter,
        source: Source,
        alias: str,
        typed: Any,
        marker: Marker | None,
        *,
        required: bool,
        default: Any = msgspec.NODEFAULT,
    ) -> Parameter:
        described = Parameter(
            name=parameter.name,
            alias=alias,
            source=source,
            type=typed,
            required=required,
            default=msgspec.NODEFAULT if required else default,
            description=marker.description if marker else None,
            deprecated=marker.deprecated if marker else False,
            examples=marker.examples if marker else (),
            include_in_schema=marker.include_in_schema if marker else True,
        )
        if source == "path":
            self.parameters.append(described)
        check_convertible(described, self.describe)
        return described


SOURCE_NUMBERS = {"path": 0, "query": 1, "header": 2, "cookie": 3, "form": 7}


def fields_of(query: bytes) -> dict[str, list[str]]:
    """The values of each name of a query string; InvalidParameter when it cannot be read."""
    fields: dict[str, list[str]] = {}
    try:
        for name, value in parse_pairs(query):
            fields.setdefault(name, []).append(value)
    except UnicodeDecodeError:
        raise InvalidParameter(
            [ErrorDetail("/query", "encoding", "The query string is not UTF-8.")]
        ) from None
    except ValueError as error:
        raise InvalidParameter([ErrorDetail("/query", "too_long", str(error))]) from None
    return fields


def explain_group(error: Exception | None) -> Sequence[ErrorDetail]:
    assert isinstance(error, InvalidParameter)
    return error.errors


def description_of(typed: Any) -> str | None:
    """The description in the msgspec.Meta of a type, if there is one."""
    return next(
        (item.description for item in split_annotated(typed)[1] if isinstance(item, msgspec.Meta)), None
    )


def split_annotated(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    """`Annotated[T, a, b]` as `(T, (a, b))`; any other annotation as `(annotation, ())`."""
    if get_origin(annotation) is Annotated:
        bare, *metadata = get_args(annotation)
        return bare, tuple(metadata)
    return annotation, ()


def marker_of(parameter: inspect.Parameter, metadata: tuple[Any, ...]) -> Marker | None:
    if isinstance(parameter.default, Marker):
        return parameter.default
    for item in metadata:
        if isinstance(item, Marker):
            return item
        if isinstance(item, type) and issubclass(item, Marker):
            return item()
    return None


def requirement(parameter: inspect.Parameter, marker: Marker | None) -> tuple[bool, Any]:
    """Whether a value must be sent, and what stands in when it is not."""
    default = parameter.default
    if isinstance(default, Marker):
        default = default.default
    elif default is inspect.Parameter.empty and marker is not None:
        default = marker.default
    if default is inspect.Parameter.empty or default is msgspec.UNSET:
        return (marker is None or marker.default_factory is None), None
    return False, default


def with_constraints(annotation: Any, marker: Marker | None) -> Any:
    """The annotation with the marker's constraints as msgspec.Meta, and without the marker."""
    bare, metadata = split_annotated(annotation)
    kept = [item for item in metadata if isinstance(item, msgspec.Meta)]
    if marker is not None and marker.constraints:
        kept.append(msgspec.Meta(**marker.constraints))
    return Annotated[bare, *kept] if kept else bare


def without_none(typed: Any) -> Any:
    """`T | None` as T: text is never null."""
    bare, metadata = split_annotated(typed)
    if get_origin(bare) in (typing.Union, types.UnionType):
        members = [member for member in get_args(bare) if member is not types.NoneType]
        if len(members) == 1:
            inner, inner_metadata = split_annotated(members[0])
            metadata = (*metadata, *inner_metadata)
            return Annotated[inner, *metadata] if metadata else inner
    return typed


def is_collection(typed: Any) -> bool:
    bare, _ = split_annotated(without_none(typed))
    return bare in _COLLECTIONS or get_origin(bare) in _COLLECTIONS


def is_body_type(bare: Any) -> bool:
    """Whether a type is a JSON document rather than the text of one parameter."""
    origin = get_origin(bare)
    if origin in (typing.Union, types.UnionType):
        return any(is_body_type(split_annotated(member)[0]) for member in get_args(bare))
    if origin in _COLLECTIONS:
        return any(is_body_type(split_annotated(member)[0]) for member in get_args(bare))
    if bare is dict or origin is dict or typing.is_typeddict(bare) or dataclasses.is_dataclass(bare):
        return True
    return is_struct(bare)


def is_struct(bare: Any) -> bool:
    inner = get_origin(bare) or bare
    return isinstance(inner, type) and issubclass(inner, msgspec.Struct)


def text_kind(typed: Any) -> tuple[str, dict[str, Any]]:
    """How the kernel converts a text to this type, and the bounds it can check itself."""
    bare, metadata = split_annotated(without_none(typed))
    constraints: dict[str, Any] = {}
    for meta in metadata:
        for name in ("ge", "gt", "le", "lt", "multiple_of", "min_length", "max_length", "pattern"):
            if (value := getattr(meta, name, None)) is not None:
                constraints[name] = value
    if bare is str and constraints.keys() <= _TEXT_BOUNDS:
        return "text", {"shortest": constraints.get("min_length"), "longest": constraints.get("max_length")}
    if bare is int and constraints.keys() <= _INTEGER_BOUNDS:
        lowest = [constraints["ge"]] if "ge" in constraints else []
        highest = [constraints["le"]] if "le" in constraints else []
        lowest += [constraints["gt"] + 1] if "gt" in constraints else []
        highest += [constraints["lt"] - 1] if "lt" in constraints else []
        if all(isinstance(bound, int) and abs(bound) < 1 << 61 for bound in (*lowest, *highest)):
            return "integer", {"lowest": max(lowest, default=None), "highest": min(highest, default=None)}
    if bare is bool and not constraints:
        return "boolean", {}
    return "converted", {}


def conversion(
    parameter: Parameter,
) -> tuple[Callable[[Any], Any], Callable[[Exception | None], Sequence[ErrorDetail]]]:
    """The exact conversion of a parameter, and the errors for the client when it fails.

    The kernel's own conversions are quick and know only what fits; whatever does not comes here.
    """
    pointer = parameter.pointer
    # Made when the kernel's own conversion first refuses a text; most parameters never need it.
    decoder: ParameterDecoder[Any] | None = None

    def convert(value: Any) -> Any:
        nonlocal decoder
        if decoder is None:
            decoder = compile_parameter(without_none(parameter.type))
        try:
            return decoder.decode(value)
        except PARAMETER_ERRORS:
            raise InvalidParameter(decoder.explain(value, pointer)) from None

    def explain(error: Exception | None) -> Sequence[ErrorDetail]:
        if error is None:
            return [
                ErrorDetail(
                    pointer, "missing", f"The {parameter.source} parameter `{parameter.alias}` is missing."
                )
            ]
        if isinstance(error, InvalidParameter):
            return error.errors
        return [
            ErrorDetail(
                pointer, "encoding", f"The {parameter.source} parameter `{parameter.alias}` is not UTF-8."
            )
        ]

    return convert, explain


def check_convertible(parameter: Parameter, describe: str) -> None:
    """Refuse at start a type that no text can be converted to."""
    from swift.http import UploadFile

    bare, _ = split_annotated(without_none(parameter.type))
    if bare in _PLAIN and parameter.type is bare:
        return
    if parameter.source == "form" and (bare is UploadFile or UploadFile in get_args(bare)):
        return
    try:
        msgspec.inspect.type_info(parameter.type)
    except TypeError as error:
        raise SignatureError(
            f"{describe} has the parameter `{parameter.name}` of type `{bare}`, which is neither a value of the "
            f"request nor a registered service; annotate it with a marker or register the service. ({error})"
        ) from None


def handler_hints(function: Callable[..., Any], describe: str) -> dict[str, Any]:
    """The resolved annotations of a handler, `return` included."""
    target = function
    if not inspect.isroutine(target) and not isinstance(target, type):
        target = getattr(target, "__call__", target)  # noqa: B004 - the method's annotations are wanted
    try:
        return typing.get_type_hints(inspect.unwrap(target), include_extras=True)
    except NameError as error:
        raise SignatureError(
            f"{describe} has an annotation that cannot be resolved: {error}; define or import it at module level."
        ) from None
