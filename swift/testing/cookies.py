"""`CookieJar`: a user agent's store of cookies (RFC 6265 §5), as much of it as a test client needs."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from email.utils import parsedate_to_datetime

import msgspec


class Cookie(msgspec.Struct, kw_only=True):
    """One cookie with the attributes it was set with; `expires` is in seconds since the epoch."""

    name: str
    value: str
    domain: str = ""
    path: str = "/"
    expires: float | None = None
    secure: bool = False
    httponly: bool = False
    samesite: str | None = None
    partitioned: bool = False
    host_only: bool = True

    def is_expired(self, now: float) -> bool:
        return self.expires is not None and self.expires <= now

    def matches(self, scheme: str, host: str, path: str) -> bool:
        if self.secure and scheme not in ("https", "wss"):
            return False
        return self._matches_host(host) and self._matches_path(path)

    def _matches_host(self, host: str) -> bool:
        if not self.domain or host == self.domain:
            return True
        return not self.host_only and host.endswith(f".{self.domain}")

    def _matches_path(self, path: str) -> bool:
        """RFC 6265 §5.1.4: equal, or a prefix that ends at a slash."""
        if path == self.path:
            return True
        return path.startswith(self.path) and (self.path.endswith("/") or path[len(self.path)] == "/")


def parse_set_cookie(
    header: str, *, host: str = "", path: str = "/", now: float | None = None
) -> Cookie | None:
    """The cookie of one `Set-Cookie` value received from `host` at `path`; None where it is malformed."""
    pair, *attributes = header.split(";")
    name, separator, value = pair.partition("=")
    name, value = name.strip(), value.strip()
    if not separator or not name:
        return None
    cookie = Cookie(name=name, value=value, domain=host, path=_default_path(path))
    now = time.time() if now is None else now
    max_age: float | None = None
    for attribute in attributes:
        key, _, setting = attribute.partition("=")
        key, setting = key.strip().lower(), setting.strip()
        if key == "max-age":
            max_age = _whole_number(setting)
        elif key == "expires":
            cookie.expires = _timestamp(setting)
        elif key == "domain" and setting:
            cookie.domain, cookie.host_only = setting.lower().removeprefix("."), False
        elif key == "path" and setting.startswith("/"):
            cookie.path = setting
        elif key == "secure":
            cookie.secure = True
        elif key == "httponly":
            cookie.httponly = True
        elif key == "samesite":
            cookie.samesite = setting.lower()
        elif key == "partitioned":
            cookie.partitioned = True
    if max_age is not None:  # it wins over Expires, whatever their order (RFC 6265 §5.3)
        cookie.expires = now + max_age
    return cookie


class CookieJar:
    """The cookies of one client, told apart by name, domain and path."""

    def __init__(self) -> None:
        self._cookies: dict[tuple[str, str, str], Cookie] = {}

    def set(self, name: str, value: str, *, domain: str = "", path: str = "/", secure: bool = False) -> None:
        """Stores a cookie; without a domain it goes to every host."""
        self.add(Cookie(name=name, value=value, domain=domain, path=path, secure=secure, host_only=False))

    def add(self, cookie: Cookie) -> None:
        """Stores a cookie in the place of the one of the same name, domain and path; drops an expired one."""
        key = (cookie.name, cookie.domain, cookie.path)
        if cookie.is_expired(time.time()):
            self._cookies.pop(key, None)
        else:
            self._cookies[key] = cookie

    def receive(self, set_cookies: Iterable[str], *, scheme: str, host: str, path: str) -> None:
        """Takes over the `Set-Cookie` values of a response, except those a user agent must refuse."""
        for header in set_cookies:
            cookie = parse_set_cookie(header, host=host, path=path)
            if cookie is not None and _is_acceptable(cookie, scheme, host):
                self.add(cookie)

    def header(self, *, scheme: str, host: str, path: str) -> str:
        """The value of the `Cookie` header of a request, longest path first; empty when nothing applies."""
        now = time.time()
        fitting = [
            cookie
            for cookie in self._cookies.values()
            if not cookie.is_expired(now) and cookie.matches(scheme, host, path)
        ]
        fitting.sort(key=lambda cookie: -len(cookie.path))
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in fitting)

    def get(self, name: str, default: str | None = None) -> str | None:
        return next((cookie.value for cookie in self if cookie.name == name), default)

    def delete(self, name: str) -> None:
        """Removes the cookies of this name, of every domain and path."""
        self._cookies = {key: cookie for key, cookie in self._cookies.items() if cookie.name != name}

    def clear(self) -> None:
        self._cookies.clear()

    def __iter__(self) -> Iterator[Cookie]:
        now = time.time()
        return iter([cookie for cookie in self._cookies.values() if not cookie.is_expired(now)])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        return any(cookie.name == name for cookie in self)

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value


def _is_acceptable(cookie: Cookie, scheme: str, host: str) -> bool:
    from_secure = scheme in ("https", "wss")
    if not cookie.matches("https", host, cookie.path) or (cookie.secure and not from_secure):
        return False
    # A domain without a dot would be a whole top-level domain, unless it is the host itself.
    if "." not in cookie.domain and cookie.domain != host:
        return False
    if cookie.name.startswith("__Host-"):
        return cookie.secure and cookie.host_only and cookie.path == "/"
    if cookie.name.startswith("__Secure-"):
        return cookie.secure
    return True


def _default_path(request_path: str) -> str:
    """RFC 6265 §5.1.4: the directory of the request's path."""
    directory = request_path.rpartition("/")[0]
    return directory if directory.startswith("/") else "/"


def _whole_number(text: str) -> float | None:
    try:
        return float(int(text))
    except ValueError:
        return None


def _timestamp(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None
