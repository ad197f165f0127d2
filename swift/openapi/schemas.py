"""JSON Schema 2020-12 for the types that validate, with every named type a component.

`msgspec.inspect` describes a type exactly as msgspec's decoders and encoders treat it, so the schema
cannot drift from the validation. `msgspec.json.schema_components`, which stands on it too, is not used
for one reason: it names the components from inside, and two types of one qualified name (a class made
twice by one function, `Page[a.Item]` beside `Page[b.Item]`) overwrite each other there. A test holds
the two side by side.

Names are given last, when all types are known. Until then a reference is a dict whose `$ref` is empty,
kept on a list that `finish` goes through. So a schema may be added to in place before `finish`, and
must not be copied.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

import msgspec
from msgspec import inspect as mi

from swift.openapi.names import component_names, title
from swift.schemas.patterns import in_ecmascript

__all__ = ["BINARY", "Components", "JsonSchema", "encoded_default", "type_info", "unwrap"]

JsonSchema = dict[str, Any]

# OpenAPI 3.1.1 §4.8.14.1, "Considerations for file uploads": raw bytes have a media type and no encoding.
BINARY: Mapping[str, str] = {"type": "string", "contentMediaType": "application/octet-stream"}

PREFIX = "#/components/schemas/"

Named = mi.StructType | mi.TypedDictType | mi.DataclassType | mi.NamedTupleType | mi.EnumType
NAMED = (mi.StructType, mi.TypedDictType, mi.DataclassType, mi.NamedTupleType, mi.EnumType)

JSON_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number", NoneType: "null"}

FORMATS = {
    mi.DateType: "date",
    mi.TimeDeltaType: "duration",
    mi.UUIDType: "uuid",
    mi.DecimalType: "decimal",
}


def type_info(annotation: Any) -> mi.Type:
    """What msgspec makes of `annotation`. A union of untagged Structs can be encoded though not decoded,
    and is described too."""
    try:
        return mi.type_info(annotation)
    except TypeError:
        if get_origin(annotation) not in (Union, UnionType):
            raise
        return mi.UnionType(tuple(type_info(member) for member in get_args(annotation)))


def unwrap(info: mi.Type) -> tuple[mi.Type, JsonSchema]:
    """`info` without its layers of `Meta`, and what these say to JSON Schema; the outermost wins."""
    extra: JsonSchema = {}
    while isinstance(info, mi.Metadata):
        extra = {**(info.extra_json_schema or {}), **extra}
        info = info.type
    return info, extra


def takes_null(info: mi.Type) -> bool:
    """Whether null is a value of the type."""
    plain = unwrap(info)[0]
    if isinstance(plain, mi.UnionType):
        return any(takes_null(member) for member in plain.types)
    return isinstance(plain, (mi.NoneType, mi.AnyType, mi.RawType))


def encoded_default(default: Any) -> Any:
    """`default` as JSON shows it, or NODEFAULT where there is none or JSON cannot show it."""
    if default is msgspec.NODEFAULT or default is msgspec.UNSET:
        return msgspec.NODEFAULT
    try:
        return msgspec.to_builtins(default, str_keys=True)
    except (TypeError, ValueError):
        return msgspec.NODEFAULT


class Components:
    """The named schemas of one document.

    `names` are given in advance. `schema_hook` answers for classes msgspec does not know: it returns their
    schema, or raises NotImplementedError to pass.
    """

    def __init__(
        self,
        names: Mapping[Any, str] | None = None,
        schema_hook: Callable[[type], JsonSchema] | None = None,
    ) -> None:
        self._names = names or {}
        self._schema_hook = schema_hook
        self._makers: dict[Any, Callable[[], JsonSchema]] = {}
        self._references: list[tuple[JsonSchema, str, Any]] = []

    def schema(self, annotation: Any) -> JsonSchema:
        return self.of(type_info(annotation))

    def form(self, annotation: Any) -> JsonSchema:
        """The schema of a form, where bytes and files travel raw: never a component, because in JSON the same
        type reads otherwise."""
        info, extra = unwrap(type_info(annotation))
        if not isinstance(info, (mi.StructType, mi.DataclassType, mi.TypedDictType)):
            schema = self.of(info, raw=True)
        else:
            schema = self._object(info.fields, raw=True)
        schema.update(extra)
        return schema

    def of(self, info: mi.Type, *, raw: bool = False) -> JsonSchema:
        """The schema of `info`, a reference where it has a name. `raw`: bytes are not wrapped in base64."""
        info, extra = unwrap(info)
        schema = self._reference({}, "$ref", info) if isinstance(info, NAMED) else self._unnamed(info, raw)
        schema.update(extra)
        return schema

    def declared(self, cls: Any, make: Callable[[], JsonSchema]) -> JsonSchema:
        """A reference to a component that is not derived from a type but made by `make`."""
        return self._refer({}, "$ref", cls, make)

    def finish(self) -> dict[str, JsonSchema]:
        """All components in the order of their names; from here on the references are filled in."""
        made: dict[Any, JsonSchema] = {}
        while len(made) < len(self._makers):
            for cls, make in list(self._makers.items()):
                if cls not in made:
                    made[cls] = make()
        names = component_names(self._makers, self._names)
        for schema, key, cls in self._references:
            schema[key] = PREFIX + names[cls]
        return dict(sorted((names[cls], schema) for cls, schema in made.items()))

    def _reference(self, schema: JsonSchema, key: str, info: Named) -> JsonSchema:
        return self._refer(schema, key, info.cls, partial(self._component, info))

    def _refer(self, schema: JsonSchema, key: str, cls: Any, make: Callable[[], JsonSchema]) -> JsonSchema:
        self._makers.setdefault(cls, make)
        schema[key] = ""
        self._references.append((schema, key, cls))
        return schema

    # ---- named types

    def _component(self, info: Named) -> JsonSchema:
        schema: JsonSchema = {"title": title(info.cls)}
        if description := documentation(info):
            schema["description"] = description
        if isinstance(info, mi.EnumType):
            schema.update(enumeration([member.value for member in info.cls]))
        elif isinstance(info, mi.StructType) and info.array_like:
            schema.update(self._array_like(info))
        elif isinstance(info, mi.NamedTupleType):
            schema.update(self._positions(info.fields))
            schema["maxItems"] = len(info.fields)
        elif isinstance(info, mi.StructType):
            schema.update(self._object(info.fields, tag_field=info.tag_field, tag=info.tag))
            if info.forbid_unknown_fields:
                schema["additionalProperties"] = False
        else:
            schema.update(self._object(info.fields))
        return schema

    def _object(
        self, fields: Iterable[mi.Field], *, raw: bool = False, tag_field: str | None = None, tag: Any = None
    ) -> JsonSchema:
        properties: JsonSchema = {}
        required: list[str] = []
        if tag_field is not None:
            properties[tag_field] = constant(tag)
            required.append(tag_field)
        for field in fields:
            properties[field.encode_name] = self._field(field, raw)
            if field.required:
                required.append(field.encode_name)
        schema: JsonSchema = {"type": "object", "properties": properties}
        if required:
            schema["required"] = required
        return schema

    def _array_like(self, info: mi.StructType) -> JsonSchema:
        schema = self._positions(info.fields)
        if info.tag_field is not None:
            schema["prefixItems"].insert(0, constant(info.tag))
            schema["minItems"] += 1
        if info.forbid_unknown_fields:
            schema["maxItems"] = len(schema["prefixItems"])
        return schema

    def _positions(self, fields: Sequence[mi.Field]) -> JsonSchema:
        required = max((i for i, field in enumerate(fields, 1) if field.required), default=0)
        return {
            "type": "array",
            "prefixItems": [self._field(field) for field in fields],
            "minItems": required,
        }

    def _field(self, field: mi.Field, raw: bool = False) -> JsonSchema:
        schema = self.of(field.type, raw=raw)
        default = field.default
        if field.default_factory in (list, dict, set, frozenset, bytearray):
            default = field.default_factory()
        # None that the type does not take stands for "not yet", as the key of a model before it is stored.
        absent = default is None and not takes_null(field.type)
        if not absent and (encoded := encoded_default(default)) is not msgspec.NODEFAULT:
            schema["default"] = encoded
        return schema

    # ---- types without a name

    def _unnamed(self, info: mi.Type, raw: bool) -> JsonSchema:
        if isinstance(info, (mi.AnyType, mi.RawType)):
            return {}
        if isinstance(info, mi.NoneType):
            return {"type": "null"}
        if isinstance(info, mi.BoolType):
            return {"type": "boolean"}
        if isinstance(info, (mi.IntType, mi.FloatType)):
            return number(info)
        if isinstance(info, mi.StrType):
            return {"type": "string"} | given(
                minLength=info.min_length,
                maxLength=info.max_length,
                pattern=info.pattern and in_ecmascript(info.pattern),
            )
        if isinstance(info, (mi.BytesType, mi.ByteArrayType, mi.MemoryViewType)):
            return dict(BINARY) if raw else base64(info)
        if isinstance(info, mi.DateTimeType):
            # RFC 3339's date-time has an offset; where none is allowed (tz False) the format would be wrong.
            return {"type": "string"} | given(format=None if info.tz is False else "date-time")
        if isinstance(info, mi.TimeType):
            return {"type": "string"} | given(format=None if info.tz is False else "time")
        if type(info) in FORMATS:
            return {"type": "string", "format": FORMATS[type(info)]}
        if isinstance(info, mi.LiteralType):
            return enumeration(info.values)
        if isinstance(info, mi.TupleType):
            return self._tuple(info)
        if isinstance(info, mi.CollectionType):
            return self._collection(info, raw)
        if isinstance(info, mi.DictType):
            return self._mapping(info)
        if isinstance(info, mi.UnionType):
            return self._union(info, raw)
        if isinstance(info, mi.CustomType):
            return self._custom(info.cls)
        raise TypeError(f"{info!r} has no JSON Schema: it never travels as JSON.")

    def _tuple(self, info: mi.TupleType) -> JsonSchema:
        length = len(info.item_types)
        schema: JsonSchema = {"type": "array", "minItems": length, "maxItems": length}
        if length:
            schema["prefixItems"] = [self.of(item) for item in info.item_types]
            schema["items"] = False
        return schema

    def _collection(self, info: mi.CollectionType, raw: bool) -> JsonSchema:
        schema: JsonSchema = {"type": "array"}
        if not isinstance(info.item_type, mi.AnyType):
            schema["items"] = self.of(info.item_type, raw=raw)
        schema.update(given(minItems=info.min_length, maxItems=info.max_length))
        if isinstance(info, (mi.SetType, mi.FrozenSetType)):
            schema["uniqueItems"] = True
        return schema

    def _mapping(self, info: mi.DictType) -> JsonSchema:
        schema: JsonSchema = {"type": "object"}
        if isinstance(unwrap(info.key_type)[0], (mi.StrType, mi.EnumType, mi.LiteralType)):
            names = self.of(info.key_type)
            names.pop("type", None)  # a property's name is a string in any case
            if names:
                schema["propertyNames"] = names
        if not isinstance(info.value_type, mi.AnyType):
            schema["additionalProperties"] = self.of(info.value_type)
        return schema | given(minProperties=info.min_length, maxProperties=info.max_length)

    def _union(self, info: mi.UnionType, raw: bool) -> JsonSchema:
        tagged: list[mi.Type] = []
        others: list[mi.Type] = []
        for member in info.types:
            plain = unwrap(member)[0]
            discriminable = isinstance(plain, mi.StructType) and plain.tag_field and not plain.array_like
            (tagged if discriminable else others).append(member)
        if len(tagged) < 2:
            tagged, others = [], list(info.types)
        others.sort(key=lambda member: isinstance(unwrap(member)[0], mi.NoneType))  # null stands last
        options = [self.of(member, raw=raw) for member in others]
        if not tagged:
            return {"anyOf": options}
        discriminated = self._discriminated(tagged)
        if not options:
            return discriminated
        position = len(options) - (options[-1] == {"type": "null"})
        options.insert(position, discriminated)
        return {"anyOf": options}

    def _discriminated(self, members: Iterable[mi.Type]) -> JsonSchema:
        options: list[JsonSchema] = []
        mapping: JsonSchema = {}
        tag_field = ""
        for member in members:
            options.append(self.of(member))
            struct = unwrap(member)[0]
            assert isinstance(struct, mi.StructType)
            tag_field = struct.tag_field or ""
            self._reference(mapping, str(struct.tag), struct)
        return {"oneOf": options, "discriminator": {"propertyName": tag_field, "mapping": mapping}}

    def _custom(self, cls: type) -> JsonSchema:
        from swift.http import UploadFile

        if self._schema_hook is not None:
            try:
                return dict(self._schema_hook(cls))
            except NotImplementedError:
                pass
        if issubclass(cls, UploadFile):
            return dict(BINARY)
        # How such a value travels is known to the application's own hooks only: any JSON, under its name.
        return {} if cls is object else {"title": title(cls)}


# ---- pieces of schemas


def given(**keywords: Any) -> JsonSchema:
    return {keyword: value for keyword, value in keywords.items() if value is not None}


def number(info: mi.IntType | mi.FloatType) -> JsonSchema:
    return {"type": "integer" if isinstance(info, mi.IntType) else "number"} | given(
        minimum=info.ge,
        exclusiveMinimum=info.gt,
        maximum=info.le,
        exclusiveMaximum=info.lt,
        multipleOf=info.multiple_of,
    )


def base64(info: mi.BytesType | mi.ByteArrayType | mi.MemoryViewType) -> JsonSchema:
    # Four characters carry three bytes, rounded up (RFC 4648 §4).
    return {"type": "string", "contentEncoding": "base64"} | given(
        minLength=None if info.min_length is None else 4 * ((info.min_length + 2) // 3),
        maxLength=None if info.max_length is None else 4 * ((info.max_length + 2) // 3),
    )


def enumeration(values: Iterable[Any]) -> JsonSchema:
    members = list(values)
    kinds = {JSON_TYPES.get(type(member)) for member in members}
    kind = kinds.pop() if len(kinds) == 1 else None
    return given(type=kind) | {"enum": members}


def constant(value: Any) -> JsonSchema:
    return given(type=JSON_TYPES.get(type(value))) | {"const": value}


def documentation(info: Named) -> str:
    cls = get_origin(info.cls) or info.cls
    text = inspect.cleandoc(cls.__doc__ or "")
    generated = text.startswith(f"{cls.__name__}(") or text == "An enumeration."
    return "" if generated else text
