"""Path templates: `/users/{id:int}/files/{name}.{ext}/{rest:path}`, parsed for the tree and for `url_for`."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any
from urllib.parse import quote

import msgspec

from swift._speedups.router import KINDS

# A custom converter: turns the text of one segment into a value, or raises ValueError.
Converter = Callable[[str], Any]

_PARAMETER = re.compile(r"\{([^{}]*)\}")
_TYPES: dict[str, type] = {
    "int": int,
    "float": float,
    "date": date,
    "uuid": uuid.UUID,
    "str": str,
    "path": str,
}
_CUSTOM_KIND = 4
_SAFE = "-._~!$'()*,;:@"


class PathParameter(msgspec.Struct, frozen=True):
    """One `{name:converter}` of a template."""

    name: str
    converter: str
    type: Any


class Template(msgspec.Struct, frozen=True):
    """A parsed template: `segments` for the tree, `parameters` in path order."""

    path: str
    segments: tuple[Any, ...]
    parameters: tuple[PathParameter, ...]
    pieces: tuple[str | PathParameter, ...]

    def url(self, params: Mapping[str, Any]) -> str:
        """The path with its parameters filled in and percent-encoded."""
        wanted = {parameter.name for parameter in self.parameters}
        if wanted != params.keys():
            missing, unknown = sorted(wanted - params.keys()), sorted(params.keys() - wanted)
            told = [
                f"{what} {', '.join(names)}"
                for what, names in (("needs", missing), ("has no", unknown))
                if names
            ]
            raise ValueError(f"The path {self.path} {' and '.join(told)}.")
        return "".join(
            quote(piece, safe=_SAFE + "/")
            if isinstance(piece, str)
            else _fill(self.path, piece, params[piece.name])
            for piece in self.pieces
        )

    def under(self, prefix: str) -> Template:
        """This template behind a prefix of plain text; quicker than parsing the whole anew."""
        first, *segments = self.segments
        head, *pieces = self.pieces
        return Template(
            prefix + self.path,
            (prefix.encode() + first, *segments),
            self.parameters,
            (prefix + str(head), *pieces),
        )


def joined(front: tuple[Any, ...], back: tuple[Any, ...]) -> tuple[Any, ...]:
    """The segments of two templates, one behind the other."""
    if isinstance(front[-1], bytes) and isinstance(back[0], bytes):
        return (*front[:-1], front[-1] + back[0], *back[1:])
    return front + back


def _fill(path: str, parameter: PathParameter, value: Any) -> str:
    text = value.isoformat() if isinstance(value, date) else str(value)
    if not text:
        raise ValueError(
            f"The parameter {parameter.name} of {path} is empty; a path parameter has at least one character."
        )
    if parameter.converter == "path":
        return quote(text, safe=_SAFE + "/")
    if "/" in text:
        raise ValueError(
            f"The parameter {parameter.name} of {path} holds a slash; declare it as {{{parameter.name}:path}}."
        )
    return quote(text, safe=_SAFE)


def parse_template(path: str, converters: Mapping[str, Converter] | None = None) -> Template:
    """Parse a template, or raise ValueError with a sentence that says what to change."""
    if not path.startswith("/"):
        raise ValueError(f"The path {path!r} does not start with a slash; write {'/' + path!r}.")
    if "?" in path or "#" in path:
        raise ValueError(f"The path {path!r} holds `?` or `#`; a path ends before its query string.")
    # Alternately text and the inside of braces, beginning and ending with text.
    parts = _PARAMETER.split(path)
    pieces: list[str | PathParameter] = []
    parameters: list[PathParameter] = []
    for index, part in enumerate(parts):
        if index % 2 == 0:
            if "{" in part or "}" in part:
                raise ValueError(
                    f"The path {path!r} has an unmatched brace; write parameters as {{name}} or {{name:int}}."
                )
            if part:
                pieces.append(part)
            elif 0 < index < len(parts) - 1:
                raise ValueError(f"The path {path!r} has two parameters side by side; put text between them.")
            continue
        parameter = _parse_parameter(path, part, converters or {})
        if any(other.name == parameter.name for other in parameters):
            raise ValueError(
                f"The path {path!r} names the parameter {parameter.name!r} twice; rename one of them."
            )
        pieces.append(parameter)
        parameters.append(parameter)
    if len(parameters) > 1 and [parameter.converter for parameter in parameters].count("path") > 1:
        raise ValueError(f"The path {path!r} has more than one `path` parameter; one path can hold one.")
    return Template(path, _segments(path, pieces, converters or {}), tuple(parameters), tuple(pieces))


def _parse_parameter(path: str, declaration: str, converters: Mapping[str, Converter]) -> PathParameter:
    name, _, converter = declaration.partition(":")
    name, converter = name.strip(), converter.strip()
    if not name.isidentifier():
        raise ValueError(f"The path {path!r} has a parameter named {name!r}; use a Python identifier.")
    converter = converter or "str"
    if converter in _TYPES and converter in converters:
        raise ValueError(
            f"The converter {converter!r} of the path {path!r} is built in; give yours another name."
        )
    if converter not in _TYPES and converter not in converters:
        known = ", ".join([*_TYPES, *sorted(converters)])
        raise ValueError(f"The path {path!r} uses the unknown converter {converter!r}; there are {known}.")
    return PathParameter(name, converter, _TYPES.get(converter, Any))


def _segments(
    path: str, pieces: list[str | PathParameter], converters: Mapping[str, Converter]
) -> tuple[Any, ...]:
    """What the tree takes: literal bytes, and for each segment with parameters its edge `(pieces, rank)`."""
    segments: list[Any] = []
    edge: list[Any] = []

    def close_edge() -> None:
        literal = sum(len(part) for part in edge if isinstance(part, bytes))
        worst = max(part[0] for part in edge if isinstance(part, tuple))
        segments.append((tuple(edge), (worst, -literal, len(edge))))
        edge.clear()

    for index, piece in enumerate(pieces):
        if isinstance(piece, PathParameter):
            built_in = _WHOLE_SEGMENT.get(piece.converter)
            if built_in is not None and not edge and _ends_segment(pieces, index):
                segments.append(built_in)
                continue
            kind = _CUSTOM_KIND if built_in is None else KINDS[piece.converter]
            if piece.converter == "path" and edge:
                raise ValueError(
                    f"The `path` parameter of {path!r} shares its segment; give it a segment of its own."
                )
            edge.append((kind, converters.get(piece.converter)))
            continue
        head, slash, rest = piece.partition("/")
        if edge and head:
            if edge[0][0] == KINDS["path"]:
                raise ValueError(
                    f"The `path` parameter of {path!r} is followed by text; put a slash behind it."
                )
            edge.append(head.encode())
            if slash:
                close_edge()
                segments.append((slash + rest).encode())
        else:
            if edge:
                close_edge()
            segments.append(piece.encode())
    if edge:
        close_edge()
    return tuple(segments)


# PERF: the edge of nearly every parameter, made once: ten thousand routes start a tenth sooner.
_WHOLE_SEGMENT = {name: (((KINDS[name], None),), (KINDS[name], 0, 1)) for name in _TYPES}


def _ends_segment(pieces: list[str | PathParameter], index: int) -> bool:
    following = pieces[index + 1] if index + 1 < len(pieces) else "/"
    return isinstance(following, str) and following.startswith("/")
