"""Call plans: a handler's signature, read once, as the slots that the kernel fills per request.

The rules, in the order they are tried. A marker says it all. A name of the path is a path
parameter. A Request annotation is the request. A registered service is injected. A Struct, a
dataclass, a dict or a list of those is the body. Anything else is a field of the query string.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec

from swift._speedups.kernel import Slot
from swift.http import ErrorDetail, Request, UploadFile
from swift.http.headers import parse_urlencoded
from swift.schemas import (
    PARAMETER_ERRORS,
    BodyDecoder,
    ParameterDecoder,
    TypeHooks,
    compile_body,
    compile_fields,
    compile_parameter,
)
from swift.schemas.body import DecHook

from .annotations import (
    SignatureError,
    description_of,
    is_body_type,
    is_collection,
    is_struct,
    requirement,
    split_annotated,
    takes_files,
    without_none,
)
from .checks import check_known, check_marker, check_path, check_text, constrained
from .params import File, Marker, QueryFields
from .templates import Template

Source = Literal["path", "query", "header", "cookie", "form"]

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
    # Whether the values of a list stand in one text, between commas.
    delimited: bool = False

    @property
    def pointer(self) -> str:
        """Where its errors point to: `/query/limit`; fields of a form stand in the body."""
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


class SlotReader:
    """Turns signature parameters into slots. One reader serves a handler and its dependencies,
    so that equal parameters share a slot."""

    def __init__(self, template: Template, describe: str, hooks: TypeHooks | None = None) -> None:
        self.template = template
        self.describe = describe
        self.hooks = hooks
        self.dec_hook = None if hooks is None else hooks.dec_hook
        self.parameters: list[Parameter] = []
        self.body: BodySpec | None = None
        self.slots: list[Slot] = []

    def add(self, parameter: inspect.Parameter, annotation: Any) -> int:
        """The position of the slot that gives this parameter its value."""
        bare, metadata = split_annotated(annotation)
        marker = check_marker(parameter, metadata, self.describe)
        if marker is None and takes_files(bare):
            marker = File()
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
            return self._add_group(bare, marker if isinstance(marker, QueryFields) else QueryFields())
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
        if annotation is inspect.Parameter.empty:
            typed = declared.type
        else:
            typed = constrained(annotation, marker, parameter.name, self.describe)
            check_path(declared, typed, self.template.path, parameter.name, self.describe)
        described = self._describe(parameter, "path", declared.name, typed, marker, required=True)
        # What the tree converted already; the text of `{name}` is a str as it is.
        converted = declared.type is Any or typed is declared.type or typed is Any
        kind, bounds = ("as_is", {}) if converted else text_kind(typed)
        if declared.converter not in ("str", "path") and kind != "as_is":
            kind, bounds = "converted", {}
        convert, explain = conversion(described, self.dec_hook)
        if kind == "converted" and declared.converter not in ("str", "path"):
            convert = of_text(convert)
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
        typed = constrained(annotation, marker, parameter.name, self.describe)
        try:
            decoder = compile_body(typed, dec_hook=self.dec_hook)
            check_known(typed, self.hooks)
        except TypeError as error:
            raise SignatureError(f"{self.describe} has a body that JSON cannot become: {error}") from None
        self.body = BodySpec(
            typed,
            required=required,
            default=None if required else default,
            description=marker.description if marker else None,
            decoder=decoder,
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
        if annotation is inspect.Parameter.empty:
            annotation = str
        typed = constrained(annotation, marker, parameter.name, self.describe)
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
        convert, explain = (form_conversion if source == "form" else conversion)(described, self.dec_hook)
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

    def _add_group(self, shape: Any, marker: QueryFields) -> int:
        """A Struct whose fields are the fields of the query string."""
        own = {field.encode_name for field in msgspec.structs.fields(shape)}
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
                    delimited=field.encode_name in marker.delimited,
                )
            )
        if (read := marker.read) is not None:
            # Every other parameter is known when the first request comes.
            parameters = self.parameters
            others: frozenset[str] | None = None

            def convert_by_hand(query: bytes) -> Any:
                nonlocal others
                if others is None:
                    others = frozenset(item.alias for item in parameters if item.source == "query") - own
                return read(query, others)

            return self._add_slot(
                source="query_group", kind="as_is", convert=convert_by_hand, explain=explain_group
            )
        decoder = compile_fields(shape, dec_hook=self.dec_hook)

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
        check_text(described, marker, self.describe, self.hooks)
        return described


SOURCE_NUMBERS = {"path": 0, "query": 1, "header": 2, "cookie": 3, "form": 7}


def fields_of(query: bytes) -> dict[str, list[str]]:
    """The values of each name of a query string; the errors are those of `Request.query`."""
    fields: dict[str, list[str]] = {}
    for name, value in parse_urlencoded(query):
        fields.setdefault(name, []).append(value)
    return fields


def explain_group(error: Exception | None) -> Sequence[ErrorDetail]:
    assert isinstance(error, InvalidParameter)
    return error.errors


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
    parameter: Parameter, dec_hook: DecHook | None = None
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
            decoder = compile_parameter(without_none(parameter.type), dec_hook=dec_hook)
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


def of_text(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A conversion for what a converter of the path has made already: its text is as good as the path's."""
    return lambda value: convert(str(value))


def form_conversion(
    parameter: Parameter, dec_hook: DecHook | None = None
) -> tuple[Callable[[Any], Any], Callable[[Exception | None], Sequence[ErrorDetail]]]:
    """The conversion of a form's field, which may arrive as a file where text is wanted, or the reverse."""
    convert, explain = conversion(parameter, dec_hook)
    files = takes_files(parameter.type)
    expected = "Expected a file, got text" if files else "Expected text, got a file"

    def convert_field(value: Any) -> Any:
        errors = [
            ErrorDetail(
                parameter.pointer if place is None else f"{parameter.pointer}/{place}", "type", expected
            )
            for place, item in (enumerate(value) if isinstance(value, list) else ((None, value),))
            if isinstance(item, UploadFile) is not files
        ]
        if errors:
            raise InvalidParameter(errors)
        return convert(value)

    return convert_field, explain
