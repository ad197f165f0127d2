"""The second look at a refused body: every fault at once, each with its pointer and code.

msgspec decodes in one pass and stops at the first fault, which is what makes it fast. When it has refused
an input, time no longer matters as much as telling the client everything, so the input is read again:

1. The text is parsed into *tokens* that lose nothing: an object is a tuple of its members, duplicates
   included, an array a list, a number its text (what it means depends on the type it is for).
2. The type, as `msgspec.inspect` describes it, is compiled into a graph of `Node`s, once.
3. Each token is walked by the node for its place.

Rule 1. A scalar is judged by msgspec itself: each node holds a Decoder for its type alone and hands it the
JSON text of the token. Sentences, ranges, formats, enums are therefore msgspec's, not a copy.
A type of msgspec is always a union of scalars, at most one kind of array and at most one kind of object,
so an array or object is either walked by the one shape that takes it, or is judged as `[]` or `{}`.

Rule 2. Containers are our own (shapes.py), and only they can disagree with msgspec. Should the walk find no
fault where msgspec found one, the caller reports msgspec's first fault, so an error is never lost.

The walk is linear in the input and ends when the report is full.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import inspect as mi

from . import builders
from .body import DecHook
from .codes import describe
from .inspection import ARRAYS, NOT_FINITE, OBJECTS, annotation, choices_of, format_of, members, takes_numbers
from .report import Path, Report
from .shapes import (
    INVALID,
    Collection,
    Dict,
    Field,
    FreeArray,
    FreeObject,
    Number,
    Positions,
    Record,
    StructArray,
    StructArrayUnion,
    StructUnion,
    Tag,
    Walker,
    construct,
    expected_one_of,
)

_SCALARS = (str, bool, type(None))
# Anything else is an object that a form parser made.
_TOKENS = (*_SCALARS, Number, list, tuple)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_parser = json.JSONDecoder(
    # The hooks are not used for what their names say: they make the tokens.
    object_pairs_hook=tuple,
    parse_int=Number,
    parse_float=Number,
    parse_constant=_no_constant,
)


def parse(text: str) -> Any:
    """The tokens of a text that msgspec has found to be JSON."""
    return _parser.decode(text)


def render(token: Any) -> str:
    """The JSON text of a token."""
    match token:
        case tuple():
            return "{" + ",".join(f"{json.dumps(key)}:{render(each)}" for key, each in token) + "}"
        case list():
            return "[" + ",".join(map(render, token)) + "]"
        case Number():
            return str(token)
    return json.dumps(token)


class Node:
    """The walker of one place in a type."""

    __slots__ = ("array", "choices", "decode", "finite", "formats", "object")

    decode: Callable[[bytes], Any]
    array: Walker | None
    object: Walker | None
    choices: str
    formats: tuple[str, str] | None
    finite: bool

    def walk(self, token: Any, path: Path, report: Report) -> Any:
        kind = type(token)
        if kind is list:
            if self.array is not None:
                return self.array.walk(token, path, report)
            text = b"[]"
        elif kind is tuple:
            if self.object is not None:
                return self.object.walk(token, path, report)
            text = b"{}"
        elif kind is Number:
            text = token.encode()
        elif kind is str and self.finite and NOT_FINITE.fullmatch(token):
            report.add(path, "type", "Expected a finite number")
            return INVALID
        elif kind not in _SCALARS:
            # A file of a form, where no file was expected.
            text = b"{}"
        else:
            text = msgspec.json.encode(token)
        try:
            return self.decode(text)
        except msgspec.ValidationError as error:
            # The path is that of the JSON text of one scalar: empty.
            code, sentence = describe(str(error))
        if code == "pattern" and self.formats is not None:
            code, sentence = self.formats
        elif code == "enum":
            sentence += self.choices
        report.add(path, code, sentence)
        return INVALID


class RawNode:
    """`msgspec.Raw`: whatever it is, it stays as it is."""

    __slots__ = ()

    def walk(self, token: Any, path: Path, report: Report) -> msgspec.Raw:
        return msgspec.Raw(render(token))


class CustomNode:
    """A type of the application: anything that is JSON, which the hook then judges."""

    __slots__ = ("any", "hook", "nullable", "type")

    def __init__(self, any_node: Node, type_: Any, nullable: bool, hook: DecHook | None) -> None:
        self.any = any_node
        self.type = type_
        self.nullable = nullable
        self.hook = hook

    def walk(self, token: Any, path: Path, report: Report) -> Any:
        if token is None and self.nullable:
            return None
        value = token
        if type(token) in _TOKENS:
            value = self.any.walk(token, path, report)
            if value is INVALID:
                return INVALID
        return construct(lambda: msgspec.convert(value, self.type, dec_hook=self.hook), path, report)


def compile_walker(type_: Any, *, strict: bool, dec_hook: DecHook | None) -> Walker:
    """The walker of a type that msgspec supports."""
    return _Compiler(strict, dec_hook).node(mi.type_info(type_))


class _Compiler:
    """Makes one node per description of a type, so that recursive types are cycles of nodes."""

    def __init__(self, strict: bool, dec_hook: DecHook | None) -> None:
        self.strict = strict
        self.dec_hook = dec_hook
        # By identity: descriptions of recursive types cannot be hashed. The description is kept, so that
        # its identity is not given to another.
        self.nodes: dict[int, tuple[mi.Type, Walker]] = {}
        self.free = Node()
        self.free.decode = self.decoder(Any)
        self.free.array = FreeArray(self.free)
        self.free.object = FreeObject(self.free)
        self.free.choices, self.free.formats, self.free.finite = "", None, False

    def decoder(self, annotation: Any) -> Callable[[bytes], Any]:
        return msgspec.json.Decoder(annotation, strict=self.strict, dec_hook=self.dec_hook).decode

    def node(self, info: mi.Type) -> Walker:
        if known := self.nodes.get(id(info)):
            return known[1]
        found = list(members(info))
        types = [member for member, _ in found]
        special = self.special(types)
        if special is not None:
            self.nodes[id(info)] = (info, special)
            return special
        node = Node()
        self.nodes[id(info)] = (info, node)
        node.decode = self.decoder(annotation(types))
        node.array = node.object = None
        node.choices = expected_one_of([choice for member in types for choice in choices_of(member)])
        node.formats = next((named for _, extra in found if (named := format_of(extra))), None)
        node.finite = not self.strict and takes_numbers(info)
        structs = [member for member in types if isinstance(member, mi.StructType)]
        if structs:
            shape = self.structs(structs)
            if structs[0].array_like:
                node.array = shape
            else:
                node.object = shape
        for member in types:
            if isinstance(member, ARRAYS):
                node.array = self.array(member)
            elif isinstance(member, OBJECTS):
                node.object = self.object(member)
        return node

    def special(self, types: list[mi.Type]) -> Walker | None:
        """The walker of a union with a member that takes everything."""
        for member in types:
            if isinstance(member, mi.AnyType):
                return self.free
            if isinstance(member, mi.CustomType) and not isinstance(member.cls, enum.EnumMeta):
                nullable = any(isinstance(other, mi.NoneType) for other in types)
                return CustomNode(self.free, member.cls, nullable, self.dec_hook)
        return RawNode() if isinstance(types[0], mi.RawType) else None

    def array(self, info: mi.Type) -> Walker:
        match info:
            case mi.TupleType():
                fields = [self.node(item) for item in info.item_types]
                return Positions(fields, len(fields), tuple)
            case mi.NamedTupleType():
                required = sum(field.required for field in info.fields)
                return Positions(
                    [self.node(field.type) for field in info.fields],
                    required,
                    builders.named_tuple(info),
                )
            case mi.CollectionType():
                build = builders.COLLECTIONS[type(info)]
                return Collection(self.node(info.item_type), build, info.min_length, info.max_length)
        raise TypeError(f"{type(info).__name__} is no array")

    def object(self, info: mi.Type) -> Walker:
        match info:
            case mi.DictType():
                key, value = self.dict_key(info.key_type), self.node(info.value_type)
                return Dict(key, value, info.min_length, info.max_length)
            case mi.TypedDictType():
                return Record(dict, self.fields(info.fields))
            case mi.DataclassType():
                return Record(builders.dataclass(info), self.fields(info.fields))
        raise TypeError(f"{type(info).__name__} is no object")

    def dict_key(self, info: mi.Type) -> Callable[[str], Any]:
        # A key is text even where its type is a number, so it is judged as a key.
        key_type = annotation([member for member, _ in members(info)])
        decode = self.decoder(dict[key_type, None])  # type: ignore[valid-type]

        def key(text: str) -> Any:
            return next(iter(decode(msgspec.json.encode({text: None}))))

        return key

    def fields(self, infos: tuple[mi.Field, ...]) -> dict[str, Field]:
        return {
            info.encode_name: Field(info.name, info.encode_name, self.node(info.type), info.required)
            for info in infos
        }

    def structs(self, infos: list[mi.StructType]) -> Walker:
        if len(infos) == 1:
            return self.struct(infos[0])
        field = infos[0].tag_field
        tag = Tag(field or "", {info.tag: self.struct(info) for info in infos if info.tag is not None})
        return StructArrayUnion(tag) if infos[0].array_like else StructUnion(tag)

    def struct(self, info: mi.StructType) -> Walker:
        tag = None if info.tag is None else Tag(info.tag_field or "", {info.tag: True})
        fields = self.fields(info.fields)
        if info.array_like:
            return StructArray(info.cls, list(fields.values()), tag, info.forbid_unknown_fields)
        return Record(info.cls, fields, tag, info.forbid_unknown_fields)
