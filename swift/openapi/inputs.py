"""What an operation takes: its parameters and its body, and whether they can be wrong at all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import inspect as mi

from swift.openapi.paths import DocumentedPath
from swift.openapi.schemas import Components, JsonSchema, encoded_default, given, type_info, unwrap

if TYPE_CHECKING:
    from swift.routing import BodySpec, Endpoint, Parameter, Route

__all__ = ["body_can_be_invalid", "media_object", "parameters", "parameters_can_be_invalid", "request_body"]

# OpenAPI 3.1.1 §4.8.12.1: header parameters of these names "SHALL be ignored", for the document says the same
# through security, responses and request bodies.
IGNORED_HEADERS = frozenset({"accept", "authorization", "content-type"})

# Types that take a body as it comes.
RAW = (mi.AnyType, mi.RawType, mi.BytesType)

SOURCES = ("path", "query", "header", "cookie")


def parameters(route: Route, path: DocumentedPath, components: Components) -> list[JsonSchema]:
    """The parameter objects: those of the path in the order of the path, then query, header, cookie in the
    order of the signature. A parameter that several dependencies ask for is listed once."""
    listed: dict[tuple[str, str], JsonSchema] = {}
    declared = {known.alias: known for known in route.plan.parameters if known.source == "path"}
    for name, arriving in path.converted().items():
        if name in declared:
            described = _parameter(declared[name], components)
        else:
            schema = components.schema(str if arriving is Any else arriving)
            described = {"name": name, "in": "path", "required": True, "schema": schema}
        described["name"] = path.spelling[name]
        listed["path", name] = described
    for parameter in sorted(route.plan.parameters, key=lambda known: SOURCES.index(known.source)):
        name = _wire_name(parameter)
        if parameter.source == "path" or not parameter.include_in_schema:
            continue
        if parameter.source == "header" and name in IGNORED_HEADERS:
            continue
        if (parameter.source, name) not in listed:
            listed[parameter.source, name] = _parameter(parameter, components)
        elif parameter.required:
            listed[parameter.source, name]["required"] = True
    return list(listed.values())


def request_body(plan: Endpoint, components: Components) -> JsonSchema | None:
    body = plan.body
    if body is None:
        return None
    if plan.form_slots:
        schema = _form(body, [parameter for _, parameter in plan.form_slots], components)
        # A form is read in either encoding, but a file travels in one of them only.
        files = body.media_type == "multipart/form-data"
        media_types = [body.media_type] if files else [name.decode() for name in plan.content_types]
    else:
        schema = components.schema(body.type)
        media_types = [body.media_type, *(codec.media_type for codec in plan.codecs if codec.reads)]
    described = given(description=body.description or schema.pop("description", None))
    media = media_object(schema)
    return described | {"required": body.required, "content": dict.fromkeys(media_types, media)}


def _form(body: BodySpec, fields: Iterable[Parameter], components: Components) -> JsonSchema:
    schema = components.form(body.type)
    for field in fields:
        if not field.include_in_schema:
            del schema["properties"][field.alias]
            if field.required:
                schema["required"].remove(field.alias)
            continue
        schema["properties"][field.alias].update(
            given(
                description=field.description,
                deprecated=field.deprecated or None,
                examples=list(field.examples) or None,
            )
        )
    return schema


def media_object(schema: JsonSchema) -> JsonSchema:
    """A media type object; the examples that came with the type move up to where tools look for them."""
    examples = schema.pop("examples", None)
    media: JsonSchema = {"schema": schema} if schema else {}
    return media | _examples(examples)


def _parameter(parameter: Parameter, components: Components) -> JsonSchema:
    info = type_info(parameter.type)
    schema = components.of(info if parameter.required else without_null(info))
    described: JsonSchema = {"name": _wire_name(parameter), "in": parameter.source}
    description = schema.pop("description", None)
    if parameter.description or description:
        described["description"] = parameter.description or description
    described["required"] = parameter.required
    if schema.pop("deprecated", False) or parameter.deprecated:
        described["deprecated"] = True
    default = encoded_default(parameter.default)
    # None says "not given": there is no such value to send in a query or a header.
    if not parameter.required and default is not msgspec.NODEFAULT and default is not None:
        schema["default"] = default
    examples = schema.pop("examples", ())
    if parameter.delimited:
        described |= {"style": "form", "explode": False}
    described["schema"] = schema
    return described | _examples(parameter.examples or examples)


def _examples(examples: Iterable[Any] | None) -> JsonSchema:
    values = list(examples or ())
    if not values:
        return {}
    if len(values) == 1:
        return {"example": values[0]}
    return {"examples": {f"example {number}": {"value": value} for number, value in enumerate(values, 1)}}


def _wire_name(parameter: Parameter) -> str:
    # Header names are case-insensitive: lower case is how HTTP/2 and ASGI spell them.
    return parameter.alias.lower() if parameter.source == "header" else parameter.alias


def without_null(info: mi.Type) -> mi.Type:
    """`info` without the None that stands for "not given"."""
    if isinstance(info, mi.Metadata):
        return mi.Metadata(without_null(info.type), info.extra_json_schema, info.extra)
    if not isinstance(info, mi.UnionType):
        return info
    members = tuple(member for member in info.types if not isinstance(member, mi.NoneType))
    return members[0] if len(members) == 1 else mi.UnionType(members)


# ---- what can be wrong


def parameters_can_be_invalid(route: Route, path: DocumentedPath) -> bool:
    """Whether binding can find a fault: something required is missing, or a text is not of its type."""
    return any(_can_be_invalid(parameter, path) for parameter in route.plan.parameters)


def _can_be_invalid(parameter: Parameter, path: DocumentedPath) -> bool:
    if parameter.source == "path":
        return not path.decides(parameter)
    # Any query field can be percent-encoded into something that is not UTF-8.
    return parameter.source == "query" or parameter.required or not _any_text(parameter.type)


def _any_text(annotation: Any) -> bool:
    info = without_null(type_info(annotation))
    return info == mi.StrType() or isinstance(info, mi.AnyType)


def body_can_be_invalid(body: BodySpec | None) -> bool:
    """Whether a well-formed body can be refused: not when it is taken as it comes."""
    return body is not None and not isinstance(unwrap(type_info(body.type))[0], RAW)
