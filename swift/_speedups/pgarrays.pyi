from collections.abc import Callable
from typing import Any

from swift._speedups.pgvalues import Codec, Registry

class ArrayCodec(Codec): ...

class TextArrayCodec(Codec):
    @property
    def delimiter(self) -> str: ...

def array_codec(
    element: Codec,
    oid: int,
    name: str,
    factory: Callable[..., Any],
    lower_bound: int = 1,
    delimiter: str = ",",
) -> Codec: ...
def any_array_codec(registry: Registry, oid: int, name: str, factory: Callable[..., Any]) -> Codec: ...
