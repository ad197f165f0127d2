"""TLS of a connection: contexts from files, host names, channel binding data."""

from __future__ import annotations

import hashlib
import ipaddress
import os
import ssl
import stat
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

from .actions import TLSConnection
from .errors import PgConfigError, PgTLSError
from .options import Host, TLSOptions

# Registered with IANA; PostgreSQL 17 and later demand it for direct TLS.
ALPN = "postgresql"

Contexts = MutableMapping[tuple[Any, ...], ssl.SSLContext]


def context_for(tls: TLSOptions, cache: Contexts) -> ssl.SSLContext:
    """The context for these options; files that have changed since are read again. Raises PgConfigError."""
    if tls.context is not None:
        return tls.context
    stamps = tuple(_stamp(path) for path in (tls.cert, tls.key, tls.rootcert, tls.crl, tls.crldir))
    context = cache.get(stamps)
    if context is None:
        cache.clear()
        context = cache[stamps] = _make(tls)
    return context


def _stamp(path: Path | str | None) -> object:
    if not isinstance(path, Path):
        return path
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _make(tls: TLSOptions) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols([ALPN])
    if tls.min_version is not None:
        context.minimum_version = tls.min_version
    if tls.max_version is not None:
        context.maximum_version = tls.max_version
    if tls.keylogfile is not None:
        context.keylog_filename = str(tls.keylogfile)
    if tls.mode in ("verify-ca", "verify-full"):
        _trust(context, tls)
    if tls.cert is not None and tls.certmode != "disable":
        _identify(context, tls)
    elif tls.certmode == "require":
        raise PgConfigError("sslcertmode=require, but there is no client certificate; name one by sslcert.")
    return context


def _trust(context: ssl.SSLContext, tls: TLSOptions) -> None:
    if tls.rootcert is None:
        raise PgConfigError(
            f"sslmode={tls.mode} needs a root certificate: put it at ~/.postgresql/root.crt, name it by sslrootcert, "
            "or use the system's by sslrootcert=system."
        )
    if tls.rootcert == "system":
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        _load(context, "sslrootcert", cafile=Path(tls.rootcert))
    if tls.crl is not None or tls.crldir is not None:
        _load(context, "sslcrl", cafile=tls.crl, capath=tls.crldir)
        context.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_CHAIN
    context.verify_mode = ssl.CERT_REQUIRED
    # Without SNI the ssl module would not know the name; `check_peer` compares it then.
    context.check_hostname = tls.mode == "verify-full" and tls.sni


def _load(context: ssl.SSLContext, keyword: str, *, cafile: Path | None, capath: Path | None = None) -> None:
    try:
        context.load_verify_locations(cafile, capath)
    except (OSError, ssl.SSLError) as problem:
        raise PgConfigError(f'{keyword}: "{cafile or capath}" cannot be used: {_reason(problem)}.') from None


def _identify(context: ssl.SSLContext, tls: TLSOptions) -> None:
    assert tls.cert is not None
    if tls.key is None:
        raise PgConfigError("sslcert is given but not sslkey.")
    _check_key(tls.key)

    def password() -> str:
        # OpenSSL would ask on the terminal.
        if tls.key_password is None:
            raise PgConfigError(
                f'The private key "{tls.key}" is encrypted; give its password by sslpassword.'
            )
        return tls.key_password

    try:
        context.load_cert_chain(tls.cert, tls.key, password)
    except (OSError, ssl.SSLError) as problem:
        raise PgConfigError(
            f'The client certificate "{tls.cert}" and its key "{tls.key}" cannot be used: {_reason(problem)}.'
        ) from None


def _check_key(path: Path) -> None:
    """A private key that others may read is refused, as by libpq (manual 32.19.2)."""
    try:
        status = path.stat()
    except OSError as problem:
        raise PgConfigError(f'The private key "{path}" cannot be read: {problem.strerror}.') from None
    if os.name == "nt":
        return
    refused = stat.S_IRWXO | (stat.S_IWGRP | stat.S_IXGRP if status.st_uid == 0 else stat.S_IRWXG)
    if not stat.S_ISREG(status.st_mode) or status.st_mode & refused:
        raise PgConfigError(f'The private key "{path}" may be read by others; make it u=rw (0600).')


def _reason(problem: OSError) -> str:
    if isinstance(problem, ssl.SSLError):
        return (problem.reason or "unknown").replace("_", " ").lower()
    return problem.strerror or "unknown"


def server_hostname(tls: TLSOptions, host: Host, context: ssl.SSLContext) -> str | None:
    """The name for SNI and the check of the certificate: as written in host, never the address of hostaddr.

    The ssl module leaves SNI out for addresses by itself.
    """
    name = host.name.partition("%")[0]  # the zone of an IPv6 address is ours alone
    needed = context.check_hostname or tls.mode == "verify-full"
    if needed and not name:
        raise PgConfigError(
            "sslmode=verify-full compares the name of the host, and only hostaddr was given; add host."
        )
    if context.check_hostname and not tls.sni:
        raise PgConfigError("sslsni=0 is not possible with an ssl_context that checks host names.")
    return (name or None) if tls.sni else None


def check_peer(tls: TLSOptions, host: Host, connection: TLSConnection) -> None:
    """What the handshake itself did not check. Raises PgTLSError."""
    if tls.negotiation == "direct" and connection.selected_alpn_protocol() != ALPN:
        raise PgTLSError(
            f"{host}: the server took direct TLS without ALPN ({ALPN}); it may not be PostgreSQL."
        )
    if tls.context is None and tls.mode == "verify-full" and not tls.sni:
        name = host.name.partition("%")[0]
        if not matches(connection.getpeercert(), name):
            raise PgTLSError(f'The certificate of the server is not valid for "{name}".')


def matches(certificate: Any, name: str) -> bool:
    """True when a certificate, as `getpeercert()` gives it, names this host (RFC 9525: the names in subjectAltName only)."""
    names = (certificate or {}).get("subjectAltName", ())
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return any(kind == "DNS" and _same_name(pattern, name) for kind, pattern in names)
    return any(
        kind == "IP Address" and ipaddress.ip_address(value.strip()) == address for kind, value in names
    )


def _same_name(pattern: str, name: str) -> bool:
    pattern, name = pattern.lower().rstrip("."), name.lower().rstrip(".")
    if not pattern.startswith("*."):
        return pattern == name
    # A wildcard stands for one whole label, and never for a name right under a top-level domain.
    label, _, rest = name.partition(".")
    return bool(label) and rest == pattern[2:] and "." in rest


# Channel binding (RFC 5929 section 4.1)

# OIDs in their DER content form.
_SIGNATURES: dict[bytes, str] = {
    bytes.fromhex("2a864886f70d010104"): "md5",  # md5WithRSAEncryption
    bytes.fromhex("2a864886f70d010105"): "sha1",  # sha1WithRSAEncryption
    bytes.fromhex("2a864886f70d01010e"): "sha224",
    bytes.fromhex("2a864886f70d01010b"): "sha256",
    bytes.fromhex("2a864886f70d01010c"): "sha384",
    bytes.fromhex("2a864886f70d01010d"): "sha512",
    bytes.fromhex("2a8648ce3d0401"): "sha1",  # ecdsa-with-SHA1
    bytes.fromhex("2a8648ce3d040301"): "sha224",
    bytes.fromhex("2a8648ce3d040302"): "sha256",
    bytes.fromhex("2a8648ce3d040303"): "sha384",
    bytes.fromhex("2a8648ce3d040304"): "sha512",
}
_RSA_PSS = bytes.fromhex("2a864886f70d01010a")
_HASHES: dict[bytes, str] = {
    bytes.fromhex("2b0e03021a"): "sha1",
    bytes.fromhex("608648016503040204"): "sha224",
    bytes.fromhex("608648016503040201"): "sha256",
    bytes.fromhex("608648016503040202"): "sha384",
    bytes.fromhex("608648016503040203"): "sha512",
}


def end_point(certificate: bytes) -> bytes | None:
    """The data of tls-server-end-point: the certificate (DER) hashed by the hash of its own signature.

    MD5 and SHA-1 become SHA-256. None where the signature has no hash of its own (Ed25519, Ed448): no binding is
    defined for such a certificate.
    """
    try:
        name = _signature_hash(certificate)
    except (IndexError, ValueError):
        return None
    if name is None:
        return None
    return hashlib.new("sha256" if name in ("md5", "sha1") else name, certificate).digest()


def _signature_hash(certificate: bytes) -> str | None:
    # Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm SEQUENCE { OBJECT IDENTIFIER, parameters }, … }
    outer, _ = _element(certificate, 0x30)
    _, rest = _element(outer, 0x30)
    algorithm, _ = _element(rest, 0x30)
    identifier, parameters = _element(algorithm, 0x06)
    if identifier != _RSA_PSS:
        return _SIGNATURES.get(identifier)
    # RSASSA-PSS-params ::= SEQUENCE { hashAlgorithm [0] AlgorithmIdentifier DEFAULT sha1, … }
    if not parameters:
        return "sha1"
    content, _ = _element(parameters, 0x30)
    if content[:1] != b"\xa0":
        return "sha1"
    tagged, _ = _element(content, 0xA0)
    hashed, _ = _element(tagged, 0x30)
    return _HASHES.get(_element(hashed, 0x06)[0])


def _element(data: bytes, tag: int) -> tuple[bytes, bytes]:
    """The content of the first element, which must have this tag, and what follows it (X.690 section 8.1)."""
    if data[0] != tag:
        raise ValueError("unexpected tag")
    length, start = data[1], 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(data[2:start])
    if start + length > len(data):
        raise ValueError("truncated")
    return data[start : start + length], data[start + length :]
