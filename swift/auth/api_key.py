"""API keys: long random texts that a program sends in a header.

The service keeps the SHA-256 digest of a key and never the key. Looking a digest up may take whatever time
it takes: nobody can choose the digest of a guess, so the time says nothing about the keys that exist. For
keys of 256 random bits a plain digest is enough; a slow hash is for passwords.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256
from typing import Any

from swift._speedups.http import encode_header
from swift.http import Request

from .authentication import Answer, UserLookup
from .credentials import only_header

# Far above any key, and little to hash.
MAX_SIZE = 512


class APIKey(UserLookup):
    """A key in a header: `APIKey(lookup=find_by_digest)`.

    `lookup(digest)` is given the SHA-256 digest of the key in hexadecimal, as `digest_api_key` makes it, and gives
    the user, or None for an unknown key. For a few fixed keys it is a dictionary's `get`:
    `APIKey(lookup={digest: user}.get)`. `request.auth` is the digest.
    """

    def __init__(
        self,
        header: str = "x-api-key",
        *,
        lookup: Callable[[str], Any | Awaitable[Any]],
        name: str = "api_key",
    ) -> None:
        super().__init__(lookup)
        self.header, _ = encode_header(header.lower(), "")
        if self.header == b"authorization":
            raise ValueError(
                "An API key has a header of its own; Authorization belongs to schemes such as Bearer."
            )
        self.name = name
        # No registered scheme stands for a header of one's own; a 401 must name one (RFC 9110 section 15.5.2).
        self.challenge = f'ApiKey header="{header.lower()}"'
        self.security_scheme: Mapping[str, Any] = {"type": "apiKey", "in": "header", "name": header.lower()}

    def authenticate(self, request: Request) -> Answer:
        key = only_header(request, self.header)
        if key is None:
            return None
        if not key or len(key) > MAX_SIZE:
            raise self.refusal()
        digest = sha256(key).hexdigest()
        return self.ask(digest, auth=digest)


def generate_api_key(prefix: str = "") -> tuple[str, str]:
    """A new key and its digest: show the key once, store the digest.

    A `prefix` such as "shop_live_" tells people, and scanners of source code, what they have found.
    """
    key = prefix + secrets.token_urlsafe(32)
    return key, digest_api_key(key)


def digest_api_key(key: str) -> str:
    """What to store of a key: its SHA-256 digest in hexadecimal."""
    # As the header arrives: ASCII, or it could not be sent.
    return sha256(key.encode("ascii")).hexdigest()
