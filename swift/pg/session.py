"""What a finished handshake hands to the connection."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from .actions import TLSConnection
from .errors import PgNotice
from .options import Host

__all__ = ["Session"]


@dataclass(slots=True)
class Session:
    """A connection that is ready for queries.

    parameters: the server's ParameterStatus values. backend_pid, secret_key: for CancelRequest; 0 and None where the
    server (a pooler) gave none. protocol: (3, 0) or (3, 2). tls: the TLS object, None without. method: how the client was
    authenticated, by the names of require_auth ("none": it was not asked). family, address: the peer.
    """

    host: Host
    protocol: tuple[int, int]
    parameters: dict[str, str] = field(default_factory=dict)
    backend_pid: int = 0
    secret_key: bytes | None = field(default=None, repr=False)
    tls: TLSConnection | None = None
    method: str = "none"
    channel_bound: bool = False
    status: bytes = b"I"
    notices: list[PgNotice] = field(default_factory=list)
    family: int = 0
    address: Any = None

    @property
    def server_version(self) -> tuple[int, int]:
        """(major, minor) from server_version: "16.4 (Debian …)" is (16, 4), "18beta1" (18, 0); (0, 0) when unknown."""
        parts = self.parameters.get("server_version", "").split(" ")[0].split(".")
        return _leading_number(parts[0]), _leading_number(parts[1] if len(parts) > 1 else "")


def _leading_number(text: str) -> int:
    match = re.match(r"[0-9]+", text)
    return int(match[0]) if match else 0
