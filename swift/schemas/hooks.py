"""Types that msgspec does not know: how each is made from JSON and turned into it.

msgspec takes one hook for all types. `TypeHooks` is that hook over a dict of types, so two parts of
an application can each add theirs, and two applications in one process do not share them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any, TypeVar, get_origin

T = TypeVar("T")


class TypeHooks:
    """A registry of types, given to decoders as `hooks.dec_hook`, to encoders as `hooks.enc_hook`.

    hooks = TypeHooks()
    hooks.add(Money, decode=Money.parse, encode=str, schema={"type": "string"})

    Knows the addresses and networks of `ipaddress` from the start.
    """

    def __init__(self) -> None:
        self._types: dict[Any, _Hook] = {}
        for cls, noun, schema in _ADDRESSES:
            self.add(cls, decode=_address(cls, noun), encode=str, schema=schema)

    def add(
        self,
        cls: type[T],
        *,
        decode: Callable[[Any], T],
        encode: Callable[[T], Any],
        schema: dict[str, Any] | None = None,
    ) -> TypeHooks:
        """`decode` gets what JSON held (str, int, float, bool, None, list, dict) and raises ValueError
        with a sentence for the client; `encode` returns something that is encodable."""
        self._types[cls] = _Hook(decode, encode, schema or {})
        return self

    def knows(self, cls: Any) -> bool:
        """Whether a type was added; a generic one by its origin."""
        return (get_origin(cls) or cls) in self._types

    def dec_hook(self, cls: type[Any], value: Any) -> Any:
        hook = self._types.get(get_origin(cls) or cls)
        if hook is None:
            raise NotImplementedError(
                f"{cls!r} is not known; register it with "
                f"hooks.add({getattr(cls, '__name__', cls)}, decode=..., encode=...)."
            )
        return hook.decode(value)

    def enc_hook(self, value: Any) -> Any:
        for cls in type(value).__mro__:
            if hook := self._types.get(cls):
                return hook.encode(value)
        raise NotImplementedError(
            f"{type(value).__name__} is not encodable; register it with hooks.add({type(value).__name__}, "
            "decode=..., encode=...)."
        )

    def schema_hook(self, cls: type[Any]) -> dict[str, Any]:
        """The JSON schema of a type, for msgspec.json.schema."""
        hook = self._types.get(get_origin(cls) or cls)
        if hook is None:
            raise NotImplementedError(f"{cls!r} is not known")
        return hook.schema


class _Hook:
    __slots__ = ("decode", "encode", "schema")

    def __init__(
        self, decode: Callable[[Any], Any], encode: Callable[[Any], Any], schema: dict[str, Any]
    ) -> None:
        self.decode = decode
        self.encode = encode
        self.schema = schema


_ADDRESSES: tuple[tuple[type[Any], str, dict[str, Any]], ...] = (
    (ipaddress.IPv4Address, "an IPv4 address", {"type": "string", "format": "ipv4"}),
    (ipaddress.IPv6Address, "an IPv6 address", {"type": "string", "format": "ipv6"}),
    (ipaddress.IPv4Network, "an IPv4 network", {"type": "string"}),
    (ipaddress.IPv6Network, "an IPv6 network", {"type": "string"}),
)


def _address(cls: type[T], noun: str) -> Callable[[Any], T]:
    def decode(value: Any) -> T:
        # The classes take ints and bytes too, and repeat the value in their message.
        if isinstance(value, str) and len(value) <= 64:
            try:
                return cls(value)  # type: ignore[call-arg]
            except ValueError:
                pass
        raise ValueError(f"Expected {noun}")

    return decode
