"""Where and how to connect: connection string, overrides, service file, PG* environment, password file.

`parse(dsn, **overrides)` gives a `ConnectOptions`. A value is taken from the first of: the overrides, the connection
string, the service file, the environment, the default. Keywords, variables and both forms of the string are those of
libpq (PostgreSQL manual 32.1, 32.15 to 32.17), with these differences:

- A key that is no keyword but a setting of the server (`statement_timeout=5s`, `search_path=app`; an extension's has a
  dot) is sent with the startup message. Any other is an error, so that `sslmod=verify-full` cannot go unnoticed.
- `connect_timeout` is 30 seconds when nothing is said (libpq: forever), may be a fraction, and counts for each address.
- Without a host, the socket of a local server is looked for in /run/postgresql, /var/run/postgresql and /tmp, then
  `localhost` is taken.
- Text is always UTF-8: `client_encoding` may say so or `auto`, and PGCLIENTENCODING is not read.
- `gssencmode=require` is an error: GSSAPI authenticates here, TLS encrypts.
- `sslcertmode=require` demands that there is a certificate to send; whether the server asked for it cannot be seen.
- `sslmode=prefer` and `allow` fall back to the other way only before the client has answered an authentication request.
"""

from __future__ import annotations

import base64
import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ._dsn import parse_string, store
from ._files import SOCKET_DIRECTORIES, PasswordFile, default_passfile, home, read_service, service_files
from ._keywords import KEYWORDS, SETTING_VARIABLES, is_setting
from .errors import PgConfigError
from .options import TLS_MODES, ConnectOptions, Host, KeepAlive, PasswordProvider, TLSOptions

__all__ = ["ConnectOptions", "Host", "KeepAlive", "PasswordProvider", "TLSOptions", "parse"]


def parse(
    dsn: str = "",
    *,
    environment: Mapping[str, str] | None = None,
    password: str | PasswordProvider | None = None,
    server_settings: Mapping[str, Any] | None = None,
    ssl_context: ssl.SSLContext | None = None,
    **overrides: str | int | float | bool | Path | None,
) -> ConnectOptions:
    """Read a connection string (URI or keyword/value; may be empty) and everything around it.

    overrides: keywords of libpq; None means not given. password: also a function, called for every connection, that may
    return an awaitable. server_settings: sent with the startup message. ssl_context: used instead of the ssl* files;
    sslmode is then `require` unless given. environment: instead of os.environ.
    Raises PgConfigError, whose text never contains a password or the string.
    """
    environment = os.environ if environment is None else environment
    given = parse_string(dsn)
    for name, value in overrides.items():
        if value is not None:
            text = str(int(value)) if isinstance(value, bool) else str(value)
            store(given, name, text, "arguments")
    if isinstance(password, str):
        given["password"] = password
        password = None

    service = given.get("service") or environment.get("PGSERVICE")
    if service:
        explicit = given.get("servicefile") or environment.get("PGSERVICEFILE")
        given = read_service(service, service_files(explicit, environment)) | given

    settings = {name: value for name, value in given.items() if name not in KEYWORDS}
    values = {name: value for name, value in given.items() if name in KEYWORDS}
    # Compatibility of libpq itself: PGREQUIRESSL is older than PGSSLMODE, which wins.
    if environment.get("PGREQUIRESSL", "").startswith("1") and not environment.get("PGSSLMODE"):
        values.setdefault("sslmode", "require")
    for keyword in KEYWORDS.values():
        if keyword.name not in values and keyword.variable and keyword.variable in environment:
            values[keyword.name] = environment[keyword.variable]
    for variable, setting in SETTING_VARIABLES.items():
        # The variables are the user's wishes for every program; what the program says itself wins.
        if (
            variable in environment
            and environment[variable].lower() != "default"
            and setting not in _lowered(settings)
        ):
            settings[setting] = environment[variable]
    settings |= {name: _setting(value) for name, value in (server_settings or {}).items()}

    for name, text in [*values.items(), *settings.items()]:
        if "\0" in name or "\0" in text:
            raise PgConfigError(f'The value of "{name.replace(chr(0), "")}" contains a NUL character.')
    reader = _Reader(values, environment)
    return reader.options(settings, password, ssl_context)


def _lowered(settings: Mapping[str, str]) -> set[str]:
    return {name.lower() for name in settings}


def _setting(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)


class _Reader:
    """Values as text to options, each checked."""

    def __init__(self, values: dict[str, str], environment: Mapping[str, str]) -> None:
        self._values = values
        self._environment = environment

    def get(self, name: str) -> str | None:
        """The value; an empty one counts as not given, as in libpq."""
        return self._values.get(name) or KEYWORDS[name].default

    def choice(self, name: str, *allowed: str, default: str = "") -> str:
        value = self.get(name) or default
        if value not in allowed:
            raise PgConfigError(f'{name} is "{value}"; it must be one of {", ".join(allowed)}.')
        return value

    def number(self, name: str, *, least: int = 0, most: int = 2**31 - 1) -> int | None:
        text = self.get(name)
        if text is None:
            return None
        try:
            # libpq's strtol: spaces around, a sign.
            value = int(text) if text.isascii() and "_" not in text else None
        except ValueError:
            value = None
        if value is None or not least <= value <= most:
            raise PgConfigError(f'{name} is "{text}"; it must be a whole number from {least} to {most}.')
        return value

    def flag(self, name: str) -> bool:
        return self.choice(name, "0", "1") == "1"

    def path(self, name: str) -> Path | None:
        text = self.get(name)
        return Path(text) if text else None

    def options(
        self, settings: dict[str, str], provider: PasswordProvider | None, context: ssl.SSLContext | None
    ) -> ConnectOptions:
        for name in ("oauth_issuer", "oauth_client_id", "oauth_client_secret", "oauth_scope"):
            if self.get(name):
                raise PgConfigError(f"{name}: authentication by OAUTHBEARER is not supported.")
        if self.choice("gssencmode", "disable", "prefer", "require") == "require":
            raise PgConfigError("gssencmode=require: encryption by GSSAPI is not supported; use sslmode.")
        user = self.get("user") or _system_user()
        database = self.get("dbname") or user
        password: str | PasswordProvider | None = provider or self.get("password")
        lowest = self._protocol("min_protocol_version")
        highest = self._protocol("max_protocol_version")
        if lowest > highest:
            raise PgConfigError("min_protocol_version is higher than max_protocol_version.")
        tls = self._tls(context)
        hosts = self._hosts(user, database, look_up=password is None)
        return ConnectOptions(
            hosts=hosts,
            user=user,
            database=database,
            password=password,
            server_settings=self._settings(settings),
            connect_timeout=self._timeout(),
            target_session_attrs=self.choice(
                "target_session_attrs",
                "any",
                "read-write",
                "read-only",
                "primary",
                "standby",
                "prefer-standby",
            ),
            load_balance_hosts=self.choice("load_balance_hosts", "disable", "random") == "random",
            tls=tls,
            keepalive=KeepAlive(
                enabled=(self.number("keepalives") or 0) != 0 if self.get("keepalives") else True,
                idle=self.number("keepalives_idle") or None,
                interval=self.number("keepalives_interval") or None,
                count=self.number("keepalives_count") or None,
                user_timeout=self.number("tcp_user_timeout") or None,
            ),
            channel_binding=self.choice("channel_binding", "disable", "prefer", "require"),
            require_auth=_auth_methods(self.get("require_auth")),
            require_peer=self.get("requirepeer"),
            min_protocol=lowest,
            max_protocol=highest,
            krbsrvname=self.get("krbsrvname") or "postgres",
            gss_delegation=self.flag("gssdelegation"),
            scram_client_key=self._key("scram_client_key"),
            scram_server_key=self._key("scram_server_key"),
        )

    def _hosts(self, user: str, database: str, *, look_up: bool) -> tuple[Host, ...]:
        written, addressed = self.get("host"), self.get("hostaddr")
        names = written.split(",") if written else []
        addresses = addressed.split(",") if addressed else []
        if names and addresses and len(names) != len(addresses):
            raise PgConfigError(f"There are {len(names)} names in host but {len(addresses)} in hostaddr.")
        count = len(names) or len(addresses) or 1
        ports = (self.get("port") or "").split(",")
        if len(ports) not in (1, count):
            raise PgConfigError(
                f"There are {len(ports)} ports for {count} hosts; give one for all, or one for each."
            )
        numbers = [_port(port) for port in ports] * (1 if len(ports) == count else count)
        passfile = self.path("passfile") or default_passfile(self._environment)
        passwords = PasswordFile(passfile if look_up else None)
        hosts = []
        for at, port in enumerate(numbers):
            address = (addresses[at] if addresses else "").strip() or None
            name = (names[at] if names else "").strip()
            if not name and address is None:
                name = _local_server(port)
            hosts.append(
                Host(name, port, address, passwords.find(name or address or "", port, database, user))
            )
        return tuple(hosts)

    def _tls(self, context: ssl.SSLContext | None) -> TLSOptions:
        written = self.get("sslmode")
        rootcert = self.get("sslrootcert")
        default = "require" if context is not None else "verify-full" if rootcert == "system" else "prefer"
        mode = self.choice("sslmode", *TLS_MODES, default=default)
        if rootcert == "system" and mode != "verify-full":
            raise PgConfigError(
                f'sslmode "{mode}" is too weak for sslrootcert=system, where anyone may have a certificate: use verify-full.'
            )
        negotiation = self.choice("sslnegotiation", "postgres", "direct")
        if negotiation == "direct" and TLS_MODES.index(mode) < TLS_MODES.index("require"):
            shown = written or f"{mode} (the default)"
            raise PgConfigError(
                f"sslnegotiation=direct needs sslmode require, verify-ca or verify-full, not {shown}."
            )
        directory = home(self._environment)
        own = directory / (".postgresql" if os.name != "nt" else "postgresql") if directory else None
        root: Path | str | None = rootcert if rootcert == "system" else Path(rootcert) if rootcert else None
        if root is None and own is not None and (own / "root.crt").exists():
            root = own / "root.crt"
        crl, crldir = self.path("sslcrl"), self.path("sslcrldir")
        if crl is None and crldir is None and own is not None and (own / "root.crl").exists():
            crl = own / "root.crl"
        cert, key = self.path("sslcert"), self.path("sslkey")
        if cert is None and own is not None and (own / "postgresql.crt").exists():
            cert = own / "postgresql.crt"
        if cert is not None and key is None and own is not None:
            key = own / "postgresql.key"
        lowest = self._tls_version("ssl_min_protocol_version")
        highest = self._tls_version("ssl_max_protocol_version")
        if lowest is not None and highest is not None and lowest > highest:
            raise PgConfigError("ssl_min_protocol_version is higher than ssl_max_protocol_version.")
        if mode == "require" and root is not None:
            mode = "verify-ca"  # a root certificate that is there is used
        return TLSOptions(
            mode=mode,
            negotiation=negotiation,
            cert=cert,
            key=key,
            key_password=self.get("sslpassword"),
            certmode=self.choice("sslcertmode", "disable", "allow", "require"),
            rootcert=root,
            crl=crl,
            crldir=crldir,
            sni=self.flag("sslsni"),
            min_version=lowest,
            max_version=highest,
            keylogfile=self.path("sslkeylogfile"),
            context=context,
        )

    def _tls_version(self, name: str) -> ssl.TLSVersion | None:
        text = self.get(name)
        if text is None:
            return None
        # OpenSSL's names, in any case.
        known = {
            "tlsv1": ssl.TLSVersion.TLSv1,
            "tlsv1.1": ssl.TLSVersion.TLSv1_1,
            "tlsv1.2": ssl.TLSVersion.TLSv1_2,
            "tlsv1.3": ssl.TLSVersion.TLSv1_3,
        }
        if text.lower() not in known:
            raise PgConfigError(f'{name} is "{text}"; it must be one of TLSv1, TLSv1.1, TLSv1.2, TLSv1.3.')
        return known[text.lower()]

    def _protocol(self, name: str) -> tuple[int, int]:
        text = self.choice(name, "3.0", "3.2", "latest")
        return (3, 0) if text == "3.0" else (3, 2)

    def _timeout(self) -> float | None:
        text = self.get("connect_timeout")
        try:
            value = float(text or 0)
        except ValueError:
            value = float("nan")
        if value != value or value == float("inf"):
            raise PgConfigError(
                f'connect_timeout is "{text}"; it must be a number of seconds, 0 for no limit.'
            )
        return value if value > 0 else None

    def _settings(self, settings: dict[str, str]) -> dict[str, str]:
        encoding = (self.get("client_encoding") or settings.pop("client_encoding", "auto")).lower()
        if encoding.replace("-", "").replace("_", "") not in ("auto", "utf8", "unicode"):
            raise PgConfigError(f'client_encoding is "{encoding}"; text is always exchanged as UTF8 here.')
        found = {"client_encoding": "UTF8"}
        name = self.get("application_name") or self.get("fallback_application_name")
        if name:
            found["application_name"] = name
        for keyword in ("options", "replication"):
            value = self.get(keyword)
            if value:
                found[keyword] = value
        for reserved in ("user", "database"):
            if reserved in settings:
                raise PgConfigError(f'"{reserved}" is not a setting of the server; give it as a keyword.')
        for name in settings:
            if not name or (
                name not in KEYWORDS and not is_setting(name) and not name.replace("_", "a").isalnum()
            ):
                raise PgConfigError(f'"{name}" is not the name of a setting of the server.')
        return found | settings

    def _key(self, name: str) -> bytes | None:
        text = self.get(name)
        if text is None:
            return None
        try:
            key = base64.b64decode(text, validate=True)
        except ValueError:
            key = b""
        if len(key) != 32:
            raise PgConfigError(f"{name} must be 32 bytes in base64.")
        return key


_METHODS = ("password", "md5", "gss", "sspi", "scram-sha-256", "oauth", "none")


def _auth_methods(text: str | None) -> frozenset[str] | None:
    """The methods allowed by require_auth: a list of those, or of those not, with "!" before each."""
    if not text:
        return None
    listed = [part.strip() for part in text.split(",")]
    negated = [part.startswith("!") for part in listed]
    names = [part.removeprefix("!") for part in listed]
    for name in names:
        if name not in _METHODS:
            raise PgConfigError(f'require_auth names "{name}"; the methods are {", ".join(_METHODS)}.')
    if any(negated) and not all(negated):
        raise PgConfigError('require_auth mixes methods with and without "!"; use one or the other.')
    if len(set(names)) < len(names):
        raise PgConfigError("require_auth names a method twice.")
    return frozenset(_METHODS) - frozenset(names) if any(negated) else frozenset(names)


def _port(text: str) -> int:
    text = text.strip(" \t\n\v\f\r")
    if not text:
        return 5432
    if not (text.isascii() and text.removeprefix("+").isdigit()) or not 1 <= int(text) <= 65535:
        raise PgConfigError(f'The port is "{text}"; it must be a number from 1 to 65535.')
    return int(text)


def _system_user() -> str:
    """The name of the operating system's user, from its database rather than from variables that anyone may set."""
    if os.name == "nt":
        import getpass

        return getpass.getuser()
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        raise PgConfigError(
            f"No user was given, and user id {os.geteuid()} has no name to take instead."
        ) from None


def _local_server(port: int) -> str:
    if os.name != "nt":
        for directory in SOCKET_DIRECTORIES:
            if os.path.exists(f"{directory}/.s.PGSQL.{port}"):
                return directory
    return "localhost"
