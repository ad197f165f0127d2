from collections.abc import Callable
from typing import Any

from swift._speedups.pgvalues import Codec

def address_of(payload: bytes, cidr: bool) -> Any: ...
def misc_codec(
    kind: str,
    oid: int,
    name: str,
    factory: Callable[..., Any] | None = None,
    element: Codec | None = None,
    parameter: int = 0,
) -> Codec: ...
