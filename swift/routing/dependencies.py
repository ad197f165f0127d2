"""Dependencies of a handler: which slots they fill, and what runs before the handler."""
from __future__ import annotations
import inspect
from typing import Any
class DependencyBuilder:
    def __init__(self, reader: Any, inherited: Any) -> None: self.reader=reader
    def position_of(self, parameter: inspect.Parameter, annotation: Any) -> int | None: return None
    def require(self, dependency: Any) -> None: raise NotImplementedError
    def build(self) -> Any: return None
