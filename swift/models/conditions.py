"""Conditions as nodes of a shape: ("and", ...), ("or", ...), ("not", x), ("native", x) and leaves (name,
how).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from swift.models.advanced import Exists
from swift.models.errors import FieldError
from swift.models.expressions import Q
from swift.models.lookups import LOOKUPS, Path, path, resolve

if TYPE_CHECKING:
    from swift.models.options import Options

Node = tuple[Any, ...]
Annotations = tuple[tuple[str, Any], ...]


class Native:
    """A SQLAlchemy condition in a shape; equal to another that differs in bound values only."""

    __slots__ = ("expression", "key", "names")

    def __init__(self, expression: Any, key: Any, names: tuple[str, ...]) -> None:
        self.expression = expression
        self.key = key
        self.names = names

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Native) and self.key == other.key


def node_of(part: Any, options: Options, annotations: Annotations = ()) -> tuple[Node, tuple[Any, ...]]:
    """The node of a condition on the model of `options`, and its values in the order of its leaves."""
    if isinstance(part, tuple):
        return path_of(part[0], options, annotations).leaf(part[1], options)
    if isinstance(part, Q):
        return node_of_q(part, options, annotations)
    if isinstance(part, Exists):
        return part.node()
    if hasattr(part, "_generate_cache_key"):
        return native(part)
    raise FieldError(
        f"A condition is `name=value`, Q(...) or an expression over Model.c, not `{type(part).__name__}`."
    )


def node_of_q(q: Q, options: Options, annotations: Annotations) -> tuple[Node, tuple[Any, ...]]:
    nodes: list[Node] = []
    values: tuple[Any, ...] = ()
    for part in q.parts:
        if isinstance(part, Q) and not part:
            continue
        node, given = node_of(part, options, annotations)
        nodes.append(node)
        values += given
    joined = nodes[0] if len(nodes) == 1 else (q.joined, *nodes)
    return (("not", joined) if q.negated else joined), values


def native(expression: Any) -> tuple[Node, tuple[Any, ...]]:
    key = expression._generate_cache_key()
    if key is None:
        raise FieldError("This SQLAlchemy expression cannot be cached; use filter(name=value) or Q.")
    names = tuple(bound.key for bound in key.bindparams)
    values = tuple(bound.effective_value for bound in key.bindparams)
    return ("native", Native(expression, key.key, names)), values


def path_of(name: str, options: Options, annotations: Annotations) -> Path:
    """The meaning of `name`, where the query's annotations are names too."""
    if annotations:
        head, _, lookup = name.partition("__")
        if any(head == known for known, _ in annotations):
            if lookup and lookup not in LOOKUPS:
                raise FieldError(f"`{name}`: there is no lookup `{lookup}`.")
            return path(name, (), None, (), None, lookup or "exact", None)
    return resolve(options, name)
