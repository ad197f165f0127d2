"""Bodies of other media types than JSON: one registration for reading, answering and the OpenAPI document.

    App(codecs=[MessagePack(), Codec("application/xml", decode=parse_xml, encode=write_xml)])

An app, a router or a route has codecs; those of the innermost count, and JSON is always there. Content-Type says
which one reads a body, Accept which one writes the answer; of what a client likes equally well, JSON first, then
the order of the list. Errors are told as for JSON, with the same pointers and codes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from .headers import check_header, parse_parameters

DecHook = Callable[[type[Any], Any], Any] | None
EncHook = Callable[[Any], Any] | None


class Codec:
    """One media type, over plain data: what JSON has, that is None, bool, int, float, str, list and dict.

    `decode(body)` gives plain data, or raises ValueError for bytes that are not of this type; `encode(data)`
    gives bytes. Values become the types of handlers as they do from JSON. `textual` says that the format knows
    texts only, as XML does: "5" is an int then. A codec without `encode` reads only, one without `decode` writes only.
    """

    def __init__(
        self,
        media_type: str,
        *,
        decode: Callable[[bytes], Any] | None = None,
        encode: Callable[[Any], bytes] | None = None,
        textual: bool = False,
    ) -> None:
        name, parameters = parse_parameters(media_type)
        check_header("content-type", media_type)
        if "/" not in name or "*" in name or parameters:
            raise ValueError(f"Expected a media type such as application/xml, got {media_type!r}.")
        if name == "application/json":
            raise ValueError("application/json is always there; leave its codec out.")
        self.media_type = name
        self.textual = textual
        self.decode = decode
        self.encode = encode

    @property
    def reads(self) -> bool:
        """Whether it reads bodies."""
        return self.decode is not None

    @property
    def writes(self) -> bool:
        """Whether it writes answers."""
        return self.encode is not None

    def plain(self, body: bytes) -> Any:
        """The body as plain data; ValueError when it is not of this media type."""
        assert self.decode is not None
        return self.decode(body)

    def decoder(self, type_: Any, dec_hook: DecHook = None) -> Callable[[bytes], Any]:
        """A function from bytes to `type_`; it raises ValueError, RecursionError or TypeError."""

        def decode(body: bytes) -> Any:
            return msgspec.convert(self.plain(body), type_, strict=not self.textual, dec_hook=dec_hook)

        return decode

    def encoder(self, enc_hook: EncHook = None) -> Callable[[Any], bytes]:
        """A function from what handlers return to bytes."""
        write = self.encode
        assert write is not None

        def encode(value: Any) -> bytes:
            return write(msgspec.to_builtins(value, enc_hook=enc_hook))

        return encode

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.media_type}>"


class MessagePack(Codec):
    """MessagePack (https://msgpack.org), decoded straight into the types of handlers.

    `media_type` is application/vnd.msgpack as IANA has it registered; clients that say application/msgpack or
    application/x-msgpack are understood by a codec of that name.
    """

    def __init__(self, media_type: str = "application/vnd.msgpack") -> None:
        super().__init__(media_type, decode=msgspec.msgpack.decode, encode=msgspec.msgpack.encode)

    def decoder(self, type_: Any, dec_hook: DecHook = None) -> Callable[[bytes], Any]:
        return msgspec.msgpack.Decoder(type_, dec_hook=dec_hook).decode

    def encoder(self, enc_hook: EncHook = None) -> Callable[[Any], bytes]:
        return msgspec.msgpack.Encoder(enc_hook=enc_hook).encode
