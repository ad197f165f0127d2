"""The password file and the connection service file (PostgreSQL manual 32.16, 32.17)."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from ._dsn import store
from .errors import PgConfigError

logger = logging.getLogger("swift.pg")

# Directories where a socket of a local server is looked for: Debian's and the original's.
SOCKET_DIRECTORIES = ("/run/postgresql", "/var/run/postgresql", "/tmp")


def home(environment: Mapping[str, str]) -> Path | None:
    """The user's home directory, from the environment given."""
    directory = environment.get("APPDATA" if os.name == "nt" else "HOME")
    return Path(directory) if directory else None


def default_passfile(environment: Mapping[str, str]) -> Path | None:
    directory = home(environment)
    if directory is None:
        return None
    return directory / "postgresql" / "pgpass.conf" if os.name == "nt" else directory / ".pgpass"


class PasswordFile:
    """The lines of a password file; empty when there is none. A file that others may read is not used, with a warning."""

    def __init__(self, path: Path | None) -> None:
        self._lines: list[str] = []
        if path is None:
            return
        try:
            status = path.stat()
        except OSError:
            return
        if not stat.S_ISREG(status.st_mode):
            logger.warning('The password file "%s" is not a plain file and is not used.', path)
            return
        if os.name != "nt" and status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            logger.warning(
                'The password file "%s" may be read by others and is not used; make it u=rw (0600).', path
            )
            return
        try:
            text = path.read_bytes().decode("utf-8", "surrogateescape")
        except OSError:
            return
        self._lines = [line.rstrip("\r\n") for line in text.split("\n")]

    def find(self, host: str, port: int, database: str, user: str) -> str | None:
        """The password of the first line that matches; for a local socket the host is `localhost`."""
        if not host or host in SOCKET_DIRECTORIES:
            host = "localhost"
        wanted = (host, str(port), database, user)
        for line in self._lines:
            if not line or line.startswith("#"):
                continue
            rest = _match(line, wanted)
            if rest is not None:
                return _unescape(rest)
        return None


def _match(line: str, wanted: Iterable[str]) -> str | None:
    """What follows the four fields when they match, still escaped."""
    at = 0
    for value in wanted:
        if line.startswith("*:", at):
            at += 2
            continue
        for character in value:
            if line[at : at + 1] == "\\":
                at += 1
            if line[at : at + 1] != character:
                return None
            at += 1
        if line[at : at + 1] != ":":
            return None
        at += 1
    return line[at:]


def _unescape(text: str) -> str:
    result = []
    characters = iter(text)
    for character in characters:
        result.append(next(characters, "") if character == "\\" else character)
    return "".join(result)


def service_files(explicit: str | None, environment: Mapping[str, str]) -> list[Path]:
    """Where services are defined: the file named, or the user's, then the system's."""
    found = []
    directory = home(environment)
    if explicit:
        found.append(Path(explicit))
    elif directory is not None:
        found.append(directory / (".pg_service.conf" if os.name != "nt" else "postgresql/.pg_service.conf"))
    system = environment.get("PGSYSCONFDIR") or "/etc/postgresql-common"
    found.append(Path(system) / "pg_service.conf")
    return found


def read_service(name: str, files: Iterable[Path]) -> dict[str, str]:
    """The keywords of service `name` from the first file that defines it. Raises PgConfigError."""
    tried = []
    for path in files:
        try:
            text = path.read_bytes().decode("utf-8", "surrogateescape")
        except FileNotFoundError:
            continue
        except OSError as problem:
            raise PgConfigError(f'The service file "{path}" cannot be read: {problem.strerror}.') from None
        tried.append(str(path))
        found = _section(name, text, path)
        if found is not None:
            return found
    where = f"not defined in {', '.join(tried)}" if tried else "not defined: there is no service file"
    raise PgConfigError(f'The service "{name}" is {where}.')


def _section(name: str, text: str, path: Path) -> dict[str, str] | None:
    found: dict[str, str] | None = None
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.strip(" \t\n\v\f\r")
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            if found is not None:
                return found
            if line.startswith(f"[{name}]"):
                found = {}
            continue
        if found is None:
            continue
        keyword, separator, value = line.partition("=")
        if not separator or line.startswith("ldap"):
            raise PgConfigError(
                f'"{path}", line {number}: expected keyword=value (LDAP look-up is not supported).'
            )
        if keyword in ("service", "servicefile"):
            raise PgConfigError(f'"{path}", line {number}: a service cannot name another service or file.')
        # The first of two wins in this file, unlike in a connection string.
        if keyword not in found:
            store(found, keyword, value, f'service file "{path}", line {number}')
    return found
