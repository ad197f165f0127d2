"""What `conninfo.parse` gives: the options of a connection, checked and immutable."""

from __future__ import annotations

import os
import ssl
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import PgConfigError

TLS_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")

# Called for each connection, on the loop's thread; for passwords that expire (tokens of a cloud).
PasswordProvider = Callable[[], str | Awaitable[str]]

# sun_path of Linux holds 108 bytes with the final NUL, of BSD and macOS 104.
_SOCKET_PATH_LIMIT = 107 if sys.platform == "linux" else 103


@dataclass(frozen=True, slots=True)
class Host:
    """One server to try.

    name: as written: a host name, an address, the directory of a unix socket, or "@…" for an abstract one; it is what
    certificates and the password file are compared with. hostaddr: the address to use instead of a look-up.
    """

    name: str
    port: int
    hostaddr: str | None = None
    password: str | None = field(default=None, repr=False)

    @property
    def is_unix(self) -> bool:
        return self.hostaddr is None and self.name.startswith(("/", "@"))

    @property
    def socket_path(self) -> str:
        """The unix socket; an abstract one begins with NUL. Raises PgConfigError when it is too long for the system."""
        path = f"{self.name}/.s.PGSQL.{self.port}"
        if len(os.fsencode(path)) > _SOCKET_PATH_LIMIT:
            raise PgConfigError(
                f'The path of the unix socket is longer than {_SOCKET_PATH_LIMIT} bytes: "{path}"; '
                "choose a shorter unix_socket_directories."
            )
        return "\0" + path[1:] if path.startswith("@") else path

    def __str__(self) -> str:
        name = self.name or self.hostaddr or ""
        if self.is_unix:
            return f"{name}/.s.PGSQL.{self.port}"
        address = f" ({self.hostaddr})" if self.name and self.hostaddr else ""
        return f"[{name}]:{self.port}{address}" if ":" in name else f"{name}:{self.port}{address}"


@dataclass(frozen=True, slots=True)
class TLSOptions:
    """mode: disable, allow, prefer, require, verify-ca, verify-full. negotiation: postgres or direct.

    rootcert: a file, "system", or None. context: a context of the caller, used as it is instead of all the files.
    """

    mode: str = "prefer"
    negotiation: str = "postgres"
    cert: Path | None = None
    key: Path | None = None
    key_password: str | None = field(default=None, repr=False)
    certmode: str = "allow"
    rootcert: Path | str | None = None
    crl: Path | None = None
    crldir: Path | None = None
    sni: bool = True
    min_version: ssl.TLSVersion | None = ssl.TLSVersion.TLSv1_2
    max_version: ssl.TLSVersion | None = None
    keylogfile: Path | None = None
    context: ssl.SSLContext | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """TCP: idle and interval in seconds, count of probes, user_timeout in milliseconds; None: the system's."""

    enabled: bool = True
    idle: int | None = None
    interval: int | None = None
    count: int | None = None
    user_timeout: int | None = None


@dataclass(frozen=True)
class ConnectOptions:
    """All that is needed to connect; immutable but for the cache of SCRAM keys. Its repr holds no password.

    connect_timeout: seconds for each address, None for no limit. server_settings: what the startup message sets.
    min_protocol, max_protocol: (3, 0) or (3, 2). require_auth: the methods allowed, None for any.
    """

    hosts: tuple[Host, ...]
    user: str
    database: str
    password: str | PasswordProvider | None = field(default=None, repr=False)
    server_settings: Mapping[str, str] = field(default_factory=dict)
    connect_timeout: float | None = 30.0
    target_session_attrs: str = "any"
    load_balance_hosts: bool = False
    tls: TLSOptions = field(default_factory=TLSOptions)
    keepalive: KeepAlive = field(default_factory=KeepAlive)
    channel_binding: str = "prefer"
    require_auth: frozenset[str] | None = None
    require_peer: str | None = None
    min_protocol: tuple[int, int] = (3, 0)
    max_protocol: tuple[int, int] = (3, 0)
    krbsrvname: str = "postgres"
    gss_delegation: bool = False
    scram_client_key: bytes | None = field(default=None, repr=False)
    scram_server_key: bytes | None = field(default=None, repr=False)
    # (password, salt, iterations) -> keys; so that of many connections only the first pays for PBKDF2.
    scram_keys: dict[tuple[bytes, bytes, int], tuple[bytes, bytes]] = field(
        default_factory=dict, repr=False, compare=False
    )

    # Context by the state of its files; see `tls.context_for`.
    tls_contexts: dict[tuple[Any, ...], ssl.SSLContext] = field(
        default_factory=dict, repr=False, compare=False
    )

    def password_for(self, host: Host) -> str | PasswordProvider | None:
        """What to prove oneself with: the password given, else the password file's line for this host."""
        return self.password if self.password is not None else host.password
