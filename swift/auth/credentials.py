"""Where credentials travel: the Authorization header (RFC 9110 section 11.6.2) and headers of one's own."""

from __future__ import annotations

from swift.http import Request, Unauthorized


def only_header(request: Request, name: bytes) -> bytes | None:
    """The header's value, or None; Unauthorized when it comes twice: a proxy may have believed the other one."""
    value: bytes | None = None
    for found, content in request.raw_headers:
        if found == name:
            if value is not None:
                raise Unauthorized(f"The header `{name.decode()}` may be sent once only.")
            value = content
    return value


def authorization(request: Request, scheme: bytes) -> bytes | None:
    """The credentials after `scheme` (lower case, but clients may write it as they like) or None for another one."""
    value = only_header(request, b"authorization")
    if value is None:
        return None
    found, _, credentials = value.partition(b" ")
    return credentials.strip(b" ") if found.lower() == scheme else None


def quoted(text: str, what: str) -> str:
    """A quoted-string (RFC 9110 section 5.6.4); ValueError for characters that would need escapes."""
    if not text.isascii() or not text.isprintable() or '"' in text or "\\" in text:
        raise ValueError(f"Expected {what} in printable ASCII without quotes and backslashes, got {text!r}.")
    return f'"{text}"'
