"""Connection strings, read as libpq reads them (PostgreSQL manual 32.1.1): URI and keyword/value form.

Both readers return what was written and nothing else: keywords to values, the later of two winning. Errors never repeat
the string, for it may hold a password.
"""

from __future__ import annotations

from typing import NoReturn

from ._keywords import KEYWORDS, is_setting, resembling
from .errors import PgConfigError

# isspace() of the C locale; str.isspace knows many more.
_SPACES = " \t\n\v\f\r"
_SCHEMES = ("postgresql://", "postgres://")


def _refuse(message: str) -> NoReturn:
    raise PgConfigError(message)


def parse_string(dsn: str) -> dict[str, str]:
    """The keywords of a connection string in either form. Raises PgConfigError."""
    if "\0" in dsn:
        _refuse("The connection string contains a NUL character.")
    for scheme in _SCHEMES:
        if dsn.startswith(scheme):
            return _parse_uri(dsn[len(scheme) :])
    return _parse_pairs(dsn)


def store(found: dict[str, str], name: str, value: str, where: str) -> None:
    """Put a keyword into `found`, under the name that is in use today."""
    if name == "requiressl":
        name, value = "sslmode", "require" if value.startswith("1") else "prefer"
    if name not in KEYWORDS and not is_setting(name):
        meant = resembling(name)
        hint = f'; did you mean "{meant}"?' if meant else "; settings of extensions have a dot in their name."
        shown = name if len(name) <= 63 and name.isprintable() else "…"
        _refuse(f'"{shown}" in the {where} is neither a connection keyword nor a setting of the server{hint}')
    found[name] = value


# keyword = value


def _parse_pairs(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    at, end = 0, len(text)
    while True:
        while at < end and text[at] in _SPACES:
            at += 1
        if at >= end:
            return found
        start = at
        while at < end and text[at] != "=" and text[at] not in _SPACES:
            at += 1
        name = text[start:at]
        while at < end and text[at] in _SPACES:
            at += 1
        if at >= end or text[at] != "=":
            # The word may be (part of) a password with a space in it: it is not shown unless it is a keyword.
            after = f'"{name}"' if name in KEYWORDS else f"the word at position {start + 1}"
            _refuse(
                f'There is no "=" after {after} in the connection string. Values with spaces need single quotes.'
            )
        at += 1
        while at < end and text[at] in _SPACES:
            at += 1
        value = []
        if at < end and text[at] == "'":
            at += 1
            while True:
                if at >= end:
                    _refuse(f'The quoted value of "{name}" in the connection string has no closing quote.')
                if text[at] == "'":
                    at += 1
                    break
                if text[at] == "\\":
                    at += 1
                    if at >= end:
                        continue
                value.append(text[at])
                at += 1
        else:
            while at < end and text[at] not in _SPACES:
                if text[at] == "\\":
                    at += 1
                    if at >= end:
                        break
                value.append(text[at])
                at += 1
        store(found, name, "".join(value), "connection string")


# postgresql://[user[:password]@][host[:port][,...]][/dbname][?keyword=value[&...]]


def _parse_uri(text: str) -> dict[str, str]:
    found: dict[str, str] = {}

    def keep(name: str, value: str) -> None:
        if value:
            store(found, name, _decode(value, name), "URI")

    # The first "@" before any "/" ends the credentials, so a password may hold "?" and "[" as they are.
    at = _find(text, 0, "@/")
    rest = text
    if at < len(text) and text[at] == "@":
        user, colon, password = text[:at].partition(":")
        keep("user", user)
        if colon:
            keep("password", password)
        rest = text[at + 1 :]

    hosts, ports = [], []
    at = 0
    while True:
        if rest[at : at + 1] == "[":
            end = rest.find("]", at)
            if end < 0:
                _refuse('An IPv6 address in the URI has no closing "]".')
            if end == at + 1:
                _refuse("An IPv6 address in the URI is empty.")
            hosts.append(rest[at + 1 : end])
            at = end + 1
            if at < len(rest) and rest[at] not in ":/?,":
                _refuse(
                    'After the "]" of an IPv6 address in the URI, one of ":", "/", "?" or "," is expected.'
                )
        else:
            end = _find(rest, at, ":/?,")
            hosts.append(rest[at:end])
            at = end
        port = ""
        if rest[at : at + 1] == ":":
            end = _find(rest, at + 1, "/?,")
            port = rest[at + 1 : end]
            at = end
        ports.append(port)
        if rest[at : at + 1] != ",":
            break
        at += 1
    keep("host", ",".join(hosts))
    keep("port", ",".join(ports))

    if rest[at : at + 1] == "/":
        end = _find(rest, at, "?")
        keep("dbname", rest[at + 1 : end])
        at = end
    if at < len(rest):
        _parse_query(rest[at + 1 :], found)
    return found


def _parse_query(query: str, found: dict[str, str]) -> None:
    if not query:
        return
    if query.endswith("&"):
        query = query[:-1]
    for pair in query.split("&"):
        name, separator, value = pair.partition("=")
        if not separator:
            _refuse(f'A parameter of the URI has no "=": "{name if name in KEYWORDS else "…"}".')
        if "=" in value:
            _refuse(
                f'A parameter of the URI has a second "=": "{name if name in KEYWORDS else "…"}"; write it as %3D.'
            )
        name = _decode(name, "a keyword")
        value = _decode(value, name)
        if (name, value) == ("ssl", "true"):  # as JDBC writes it
            name, value = "sslmode", "require"
        store(found, name, value, "URI")


def _find(text: str, start: int, stops: str) -> int:
    """The first position from `start` on that holds one of `stops`, or the end."""
    for at in range(start, len(text)):
        if text[at] in stops:
            return at
    return len(text)


def _decode(text: str, name: str) -> str:
    """Percent-decoding. "+" is a plus; spaces around are dropped, spaces within refused."""
    text = text.strip(" ")
    if " " in text:
        _refuse(f'The value of "{name}" in the URI contains a space; write it as %20.')
    if "%" not in text:
        return text
    parts = text.encode("utf-8", "surrogateescape").split(b"%")
    decoded = bytearray(parts[0])
    for part in parts[1:]:
        digits = part[:2]
        # int() alone would take "+1", " 1" and "1_".
        if len(digits) < 2 or not all(digit in b"0123456789abcdefABCDEF" for digit in digits):
            _refuse(
                f'The value of "{name}" in the URI has a "%" without two hexadecimal digits; write a percent sign as %25.'
            )
        byte = int(digits, 16)
        if byte == 0:
            _refuse(f'The value of "{name}" in the URI contains %00.')
        decoded.append(byte)
        decoded += part[2:]
    # Bytes that are no UTF-8 (a password) come through as they are.
    return decoded.decode("utf-8", "surrogateescape")
