"""The kinds of value that arithmetic and functions of the database give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from swift.models.errors import FieldError

if TYPE_CHECKING:
    from swift.engines import statements as st
    from swift.engines.schema import Kind

NUMBERS = {"integer", "bigint", "float", "decimal"}
TEXTS = {"string", "text"}

KINDS: dict[str, Kind] = {
    "lower": "text",
    "upper": "text",
    "trim": "text",
    "concat": "text",
    "replace": "text",
    "substr": "text",
    "length": "bigint",
    "now": "datetime",
    "row_number": "bigint",
    "rank": "bigint",
    "dense_rank": "bigint",
    "ntile": "bigint",
}


def kind_of_arithmetic(operator: str, left: Kind | None, right: Kind | None) -> tuple[Any, Kind]:
    """(how the database writes it, what it gives). Raises FieldError."""
    kinds = {left, right}
    if kinds <= TEXTS and operator == "+":
        return "||", "text"
    if not kinds <= NUMBERS:
        raise FieldError(f"`{operator}` combines numbers, or text with text by +; not {left} and {right}.")
    order: tuple[Kind, ...] = ("float", "decimal", "bigint", "integer")
    kind = next(kind for kind in order if kind in kinds)
    return operator, "bigint" if kind == "integer" else kind


def kind_of_call(function: str, arguments: tuple[st.Expression, ...]) -> Kind | None:
    return KINDS.get(function) or (arguments[0].kind if arguments else None)
