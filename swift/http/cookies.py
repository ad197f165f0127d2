"""Cookies in both directions: the Cookie fields of a request, the Set-Cookie value of a response.

Reading is lenient, since whatever a browser holds is sent; writing is strict, since what a
browser would drop or misread is a fault of the program (RFC 6265bis, sections 4.1 and 5.6).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime

from .conditional import http_date, parse_http_date

# cookie-octet of RFC 6265bis section 4.1.1: no controls, blank, quote, comma, semicolon, backslash.
_VALUE = re.compile(r"[\x21\x23-\x2B\x2D-\x3A\x3C-\x5B\x5D-\x7E]*\Z")
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
_PATH = re.compile(r"/[\x20-\x3A\x3C-\x7E]*\Z")
_DOMAIN = re.compile(r"\.?[0-9A-Za-z](?:[0-9A-Za-z.\-]*[0-9A-Za-z])?\Z")
_CONTROLS = re.compile(rb"[\x00-\x08\x0A-\x1F\x7F]")
_ESCAPE = re.compile(r"\\([0-3][0-7][0-7]|.)", re.DOTALL)

# Browsers ignore a Set-Cookie beyond these (RFC 6265bis sections 5.6 and 5.5).
_MAX_NAME_AND_VALUE = 4096
_MAX_ATTRIBUTE = 1024


def parse_cookies(lines: Iterable[bytes]) -> dict[str, str]:
    """The cookies of all Cookie fields of a request (HTTP/2 sends one field per cookie).

    Of equal names the first counts: a browser sends the one with the longest path first
    (RFC 6265bis section 5.8.3). Pairs without a name or with control characters are skipped.
    """
    cookies: dict[str, str] = {}
    for line in lines:
        for pair in line.split(b";"):
            raw_name, equals, raw_value = pair.partition(b"=")
            raw_name = raw_name.strip(b" \t")
            if not equals or not raw_name or _CONTROLS.search(pair):
                continue
            name = _decode(raw_name)
            if name not in cookies:
                cookies[name] = _unquote(_decode(raw_value.strip(b" \t")))
    return cookies


def format_set_cookie(
    name: str,
    value: str = "",
    *,
    max_age: int | None = None,
    expires: datetime | str | None = None,
    path: str | None = "/",
    domain: str | None = None,
    secure: bool = False,
    httponly: bool = False,
    samesite: str | None = "lax",
    partitioned: bool = False,
) -> bytes:
    """The value of a Set-Cookie field.

    `max_age` is in seconds, `expires` an aware datetime or a date as HTTP writes it, `samesite`
    one of "lax", "strict" and "none".

    Raises ValueError for what a browser would refuse, cut short or read as something else.
    """
    if not _TOKEN.match(name):
        raise ValueError(f"Cookie name {name!r} is not a token; use letters, digits, `-` and `_`.")
    if not _VALUE.match(value):
        raise ValueError(
            f"The value of cookie {name!r} holds a character that cookies cannot carry "
            "(controls, blanks, quotes, commas, semicolons, backslashes, non-ASCII); "
            "encode it, with urllib.parse.quote or base64."
        )
    if len(name) + len(value) > _MAX_NAME_AND_VALUE:
        raise ValueError(
            f"Cookie {name!r} exceeds {_MAX_NAME_AND_VALUE} bytes, beyond which browsers drop it; "
            "keep the data on the server and send a key to it."
        )
    _check_rules(name, path, domain, secure, httponly, samesite, partitioned)
    parts = [f"{name}={value}"]
    if max_age is not None:
        parts.append(f"Max-Age={int(max_age)}")
    if expires is not None:
        parts.append(f"Expires={_expires(name, expires)}")
    if domain is not None:
        parts.append(f"Domain={domain}")
    if path is not None:
        parts.append(f"Path={path}")
    if secure:
        parts.append("Secure")
    if httponly:
        parts.append("HttpOnly")
    if samesite is not None:
        parts.append(f"SameSite={samesite.capitalize()}")
    if partitioned:
        parts.append("Partitioned")
    return "; ".join(parts).encode("ascii")


def _check_rules(
    name: str,
    path: str | None,
    domain: str | None,
    secure: bool,
    httponly: bool,
    samesite: str | None,
    partitioned: bool,
) -> None:
    if path is not None and (not _PATH.match(path) or len(path) > _MAX_ATTRIBUTE):
        raise ValueError(
            f"The path of cookie {name!r} must start with `/` and hold neither controls, `;` nor non-ASCII."
        )
    if domain is not None and (not _DOMAIN.match(domain) or len(domain) > _MAX_ATTRIBUTE):
        raise ValueError(f"The domain of cookie {name!r} is no host name; give it without scheme and port.")
    if samesite is not None and samesite.lower() not in ("lax", "strict", "none"):
        raise ValueError(f"The samesite of cookie {name!r} must be 'lax', 'strict', 'none' or None.")
    if not secure:
        if samesite is not None and samesite.lower() == "none":
            raise ValueError(f"Cookie {name!r} has samesite='none', which needs secure=True.")
        if partitioned:
            raise ValueError(f"Cookie {name!r} is partitioned, which needs secure=True.")
    # The prefixes bind in any case (RFC 6265bis section 4.1.3).
    prefix = name.lower()
    if prefix.startswith(("__secure-", "__host-", "__http-")) and not secure:
        raise ValueError(f"Cookie {name!r} has a prefix that needs secure=True.")
    if prefix.startswith("__host-") and (domain is not None or path != "/"):
        raise ValueError(f"Cookie {name!r} has the prefix `__Host-`, which needs path='/' and no domain.")
    if prefix.startswith(("__http-", "__host-http-")) and not httponly:
        raise ValueError(f"Cookie {name!r} has the prefix `Http-`, which needs httponly=True.")


def _expires(name: str, expires: datetime | str) -> str:
    if not isinstance(expires, str):
        return http_date(expires)
    moment = parse_http_date(expires)
    if moment is None:
        raise ValueError(f"The expires of cookie {name!r} is no HTTP date; pass an aware datetime.")
    return http_date(moment)


def _decode(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _unquote(value: str) -> str:
    """The content of a quoted value, with the backslash escapes that http.cookies writes."""
    if len(value) < 2 or value[0] != '"' or value[-1] != '"':
        return value
    value = value[1:-1]
    if "\\" not in value:
        return value
    return _ESCAPE.sub(_unescape, value)


def _unescape(match: re.Match[str]) -> str:
    text = match[1]
    return chr(int(text, 8)) if len(text) == 3 else text
