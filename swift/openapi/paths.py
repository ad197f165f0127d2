"""Route templates as OpenAPI writes them: `/users/{id:int}` is `/users/{id}` there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from swift.openapi.schemas import type_info

if TYPE_CHECKING:
    from swift.routing import Parameter
    from swift.routing.templates import Template

__all__ = ["DocumentedPath"]


class DocumentedPath(NamedTuple):
    """A template under the names that the document gives its parameters: their own, as a rule."""

    template: Template
    spelling: Mapping[str, str]

    @classmethod
    def of(cls, template: Template) -> DocumentedPath:
        return cls(template, {parameter.name: parameter.name for parameter in template.parameters})

    @property
    def text(self) -> str:
        return "".join(
            piece if isinstance(piece, str) else f"{{{self.spelling[piece.name]}}}"
            for piece in self.template.pieces
        )

    def renamed(self) -> DocumentedPath:
        """The same path under another text: the names of path parameters never travel, so they are free."""
        last = self.template.parameters[-1]
        spelled = f"{self.spelling[last.name]}_{last.converter}"
        return self._replace(spelling={**self.spelling, last.name: spelled})

    def converted(self) -> dict[str, Any]:
        """What the router hands on for each parameter; Any where a converter of the application decides."""
        return {parameter.name: parameter.type for parameter in self.template.parameters}

    def decides(self, parameter: Parameter) -> bool:
        """Whether what the router lets through is valid; what it does not is answered with 404."""
        arriving = self.converted().get(parameter.alias, str)
        return arriving is Any or type_info(arriving) == type_info(parameter.type) or parameter.type is Any
