"""Messages of the handshake; the rest of the protocol is written and read in C."""

from __future__ import annotations

import struct
from collections.abc import Mapping

from .errors import PgConfigError, PgError, PgNotice, error_from_fields, notice_from_fields

SSL_REQUEST = struct.pack("!ii", 8, 80877103)
_CANCEL_REQUEST = 80877102


def frontend_message(kind: bytes, payload: bytes = b"") -> bytes:
    return kind + struct.pack("!i", len(payload) + 4) + payload


TERMINATE = frontend_message(b"X")


def encoded(text: str, what: str) -> bytes:
    """A string for the wire, without its final NUL. Bytes that are no UTF-8 come and go as surrogate escapes (PEP 383).

    Raises PgConfigError, which does not repeat the text: NUL would end the string early and begin the next.
    """
    if "\0" in text:
        raise PgConfigError(f"The {what} contains a NUL character.")
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise PgConfigError(f"The {what} contains a lone surrogate, which UTF-8 cannot express.") from None


def startup_message(protocol: tuple[int, int], parameters: Mapping[str, str]) -> bytes:
    """A StartupMessage. Raises PgConfigError."""
    parts: list[bytes] = []
    for name, value in parameters.items():
        shown = name if name.replace(".", "_").isidentifier() else "…"
        parts += [
            encoded(name, "name of a startup parameter"),
            encoded(value, f'startup parameter "{shown}"'),
        ]
    payload = struct.pack("!hh", *protocol) + b"\0".join([*parts, b"", b""])
    return struct.pack("!i", len(payload) + 4) + payload


def cancel_request(pid: int, key: bytes) -> bytes:
    return struct.pack("!iii", 12 + len(key), _CANCEL_REQUEST, pid) + key


def fields_of(payload: bytes) -> dict[str, str]:
    """The fields of an ErrorResponse or NoticeResponse. Before the session has an encoding they may be in any."""
    fields: dict[str, str] = {}
    for part in bytes(payload).split(b"\0"):
        if part:
            fields.setdefault(chr(part[0]), part[1:].decode("utf-8", "replace"))
    return fields


def error_of(payload: bytes) -> PgError:
    """The error of the handshake: no statement has been sent yet, so it is safe to retry."""
    error = error_from_fields(fields_of(payload))
    error.safe_to_retry = True
    return error


def notice_of(payload: bytes) -> PgNotice:
    return notice_from_fields(fields_of(payload))
