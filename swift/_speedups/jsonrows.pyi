from collections.abc import Iterable
from typing import Literal, TypeAlias, final

Form: TypeAlias = Literal["plain", "quoted", "bool", "float", "instant", "clock", "json", "hex"]

@final
class Layout:
    def __new__(cls, members: Iterable[tuple[str, Form]]) -> Layout: ...
    def objects(self, arrays: bytes) -> bytes: ...
