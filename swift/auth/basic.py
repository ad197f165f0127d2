"""HTTPBasic: a user name and a password with every request (RFC 7617). Only fit for TLS, and for machines:
a password is slow to verify by design, so people log in once and get a token."""

from __future__ import annotations

from binascii import Error as EncodingError
from binascii import a2b_base64
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from swift.http import Request

from .authentication import Answer, UserLookup
from .credentials import authorization, quoted


class HTTPBasic(UserLookup):
    """User name and password: `HTTPBasic(verify=password_verifier(find_user))`.

    `verify(username, password)` gives the user, or None to refuse. One of your own has to take as long for an unknown
    user as for a wrong password; `swift.auth.password_verifier` makes one that does. `request.auth` is the user name.
    """

    security_scheme: Mapping[str, Any] = {"type": "http", "scheme": "basic"}

    def __init__(
        self,
        verify: Callable[[str, str], Any | Awaitable[Any]],
        *,
        realm: str = "api",
        name: str = "basic",
    ) -> None:
        super().__init__(verify)
        self.name = name
        self.challenge = f'Basic realm={quoted(realm, "realm")}, charset="UTF-8"'

    def authenticate(self, request: Request) -> Answer:
        encoded = authorization(request, b"basic")
        if encoded is None:
            return None
        try:
            text = a2b_base64(encoded, strict_mode=True).decode()
        except (EncodingError, UnicodeDecodeError):
            raise self.refusal() from None
        username, colon, password = text.partition(":")
        # RFC 7617 section 2: no control characters in either.
        if not colon or any(character < " " or character == "\x7f" for character in text):
            raise self.refusal()
        return self.ask(username, password, auth=username)
