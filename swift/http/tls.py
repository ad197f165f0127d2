"""The TLS connection of a request, as the server tells of it (ASGI TLS extension 0.2)."""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from typing import Any

import msgspec

_VERSIONS = {0x0300: "SSLv3", 0x0301: "TLSv1", 0x0302: "TLSv1.1", 0x0303: "TLSv1.2", 0x0304: "TLSv1.3"}

# A separator that no backslash protects (RFC 4514 section 3).
_SEPARATOR = re.compile(r"((?:[^\\,+]|\\.)*)[,+]?", re.DOTALL)
_ESCAPE = re.compile(rb"\\(?:([0-9A-Fa-f]{2})|(.))", re.DOTALL)


class TLS(msgspec.Struct, frozen=True, kw_only=True):
    """One TLS connection. Certificates are PEM texts, the client's own first in its chain.

    `client_cert_name` is the subject of its certificate as RFC 4514 writes it; `client_cert_error` says why the
    server could not verify it. Without a certificate of the client both are None, and the chain is empty.
    """

    version: str | None = None
    """Such as TLSv1.3."""
    cipher_suite: int | None = None
    """The number of the cipher suite, as IANA lists them."""
    server_cert: str | None = None
    client_cert_chain: tuple[str, ...] = ()
    client_cert_name: str | None = None
    client_cert_error: str | None = None

    @classmethod
    def of(cls, scope: MutableMapping[str, Any]) -> TLS | None:
        """What a scope tells; None for a connection without TLS, or of a server that does not tell."""
        told = (scope.get("extensions") or {}).get("tls")
        if told is None:
            return None
        version = told.get("tls_version")
        return cls(
            version=None if version is None else _VERSIONS.get(version, f"0x{version:04x}"),
            cipher_suite=told.get("cipher_suite"),
            server_cert=told.get("server_cert"),
            client_cert_chain=tuple(told.get("client_cert_chain") or ()),
            client_cert_name=told.get("client_cert_name"),
            client_cert_error=told.get("client_cert_error"),
        )

    @property
    def verified(self) -> bool:
        """Whether the client has shown a certificate, and the server found it good."""
        return self.client_cert_error is None and (
            bool(self.client_cert_chain) or self.client_cert_name is not None
        )

    @property
    def subject(self) -> tuple[tuple[str, str], ...]:
        """The attributes of the client's name in the order of RFC 4514, the most specific first.

        `CN=ann,O=Acme` is `(("CN", "ann"), ("O", "Acme"))`. A value in hexadecimal (`#...`) stays as it is.
        """
        return parse_name(self.client_cert_name or "")

    @property
    def common_name(self) -> str | None:
        """The first CN of the subject of a verified certificate, or None."""
        return next((value for kind, value in self.subject if kind == "CN"), None) if self.verified else None


def parse_name(text: str) -> tuple[tuple[str, str], ...]:
    """The attributes of a distinguished name (RFC 4514); what is no attribute is left out."""
    found = []
    for part in _SEPARATOR.findall(text):
        kind, equals, value = part.strip(" ").partition("=")
        if equals and kind:
            raw = _ESCAPE.sub(_unescaped, value.encode("utf-8", "replace"))
            found.append((kind.strip(" ").upper(), raw.decode("utf-8", "replace")))
    return tuple(found)


def _unescaped(match: re.Match[bytes]) -> bytes:
    return bytes.fromhex(match[1].decode()) if match[1] else match[2]
