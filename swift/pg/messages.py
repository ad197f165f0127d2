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


def startup_message(protocol: tuple[int, int], parameters: Mapping[str, str]) -> bytes:
    """A StartupMessage. Its strings end with NUL, so one inside would begin the next parameter: PgConfigError."""
    parts = []
    for name, value in parameters.items():
        if "\0" in name or "\0" in value:
            raise PgConfigError(
                f'The startup parameter "{name.replace(chr(0), "")}" contains a NUL character.'
            )
        parts.append(
            name.encode("utf-8", "surrogateescape") + b"\0" + value.encode("utf-8", "surrogateescape") + b"\0"
        )
    payload = struct.pack("!hh", *protocol) + b"".join(parts) + b"\0"
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
