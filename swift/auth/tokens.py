"""Signed tokens: JWS in its compact form (RFC 7515 section 3.1) with the claims of a JWT (RFC 7519 section 4.1).

What a token says of itself is read with suspicion. Its `alg` must be that of the key, which the server
chose; `kid` picks among the keys that the server holds and is nothing but a name; `jku`, `x5u`, `jwk` and
`x5c` are not looked at, as they would bring the attacker's key; `crit` is refused, for no extension is known
here (RFC 7515 section 4.1.11), and so is any `typ` of another use (RFC 8725 section 3.11). An encrypted token has five
parts, this form has three: nothing is ever inflated. The signature is verified before the claims are read.

PERF: `jwt.decode` prepares and examines the key again for each token, 93 µs for HS256 against the 6 µs of the
algorithm itself; so the frame is read here and the signature verified by PyJWT.
"""

from __future__ import annotations

import re
from binascii import Error as EncodingError
from binascii import a2b_base64, b2a_base64
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from swift.schemas import DECODE_ERRORS

from .keys import JWTKey

_COMPACT = re.compile(rb"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_TO_STANDARD = bytes.maketrans(b"-_", b"+/")
_TO_URL = bytes.maketrans(b"+/", b"-_")

# RFC 7519 section 5.1, RFC 9068 section 2.1; a missing prefix stands for `application/` (RFC 7515 section 4.1.9).
_TYPES = frozenset({"jwt", "at+jwt"})


class InvalidToken(ValueError):
    """The token cannot be accepted. `reason` is for the log of the service, not for the client."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ExpiredToken(InvalidToken):
    """The token was right once."""


class _Header(msgspec.Struct):
    """Of the protected header, what is acted upon."""

    alg: str
    kid: str | None = None
    typ: str | None = None
    crit: msgspec.Raw | UnsetType = UNSET
    b64: msgspec.Raw | UnsetType = UNSET


_header_decoder = msgspec.json.Decoder(_Header)
_claims_decoder = msgspec.json.Decoder(dict[str, Any])
_encoder = msgspec.json.Encoder()


class ClaimRules(msgspec.Struct, frozen=True):
    """What the claims of a token must say. `required` includes `exp`; `leeway` is in seconds."""

    audience: frozenset[str] = frozenset()
    issuer: frozenset[str] = frozenset()
    required: tuple[str, ...] = ("exp",)
    leeway: float = 0


def read_token(
    token: bytes, keys: Mapping[str | None, JWTKey], only_key: JWTKey | None, rules: ClaimRules, now: float
) -> dict[str, Any]:
    """The claims of a token whose signature and claims are right; InvalidToken for any other.

    With `only_key` a token's `kid` is not looked at. `now` is in seconds since 1970.
    """
    payload = verified_payload(token, keys, only_key)
    try:
        claims = _claims_decoder.decode(payload)
    except DECODE_ERRORS:
        raise InvalidToken("the claims are malformed") from None
    check_claims(claims, rules, now)
    return claims


def verified_payload(
    token: bytes, keys: Mapping[str | None, JWTKey], only_key: JWTKey | None = None
) -> bytes:
    """What was signed, once the signature is known to be right."""
    if _COMPACT.fullmatch(token) is None:
        raise InvalidToken("not three parts in base64url")
    content, _, encoded_signature = token.rpartition(b".")
    encoded_header, _, encoded_payload = content.partition(b".")
    try:
        header = _header_decoder.decode(decode_base64url(encoded_header))
    except DECODE_ERRORS:
        raise InvalidToken("the header is malformed") from None
    key = keys.get(header.kid) if only_key is None else only_key
    if key is None:
        raise InvalidToken("no key has its kid")
    if header.alg != key.algorithm:
        raise InvalidToken("another algorithm than the key's")
    if header.crit is not UNSET or header.b64 is not UNSET:
        raise InvalidToken("extensions that are not known here")
    if header.typ is not None and header.typ.lower().removeprefix("application/") not in _TYPES:
        raise InvalidToken("a token of another type")
    if not key.verify(content, decode_base64url(encoded_signature)):
        raise InvalidToken("the signature is wrong")
    return decode_base64url(encoded_payload)


def check_claims(claims: Mapping[str, Any], rules: ClaimRules, now: float) -> None:
    """InvalidToken unless the claims are there, of their types, of this time, from and for the right ones."""
    for name in rules.required:
        if claims.get(name) is None:
            raise InvalidToken(f"the claim `{name}` is missing")
    for name in ("sub", "jti", "iss"):
        if name in claims and not isinstance(claims[name], str):
            raise InvalidToken(f"the claim `{name}` is no text")
    expiry, start, issued = (_time_of(claims, name) for name in ("exp", "nbf", "iat"))
    if expiry is not None and expiry <= now - rules.leeway:
        raise ExpiredToken("expired")
    if start is not None and start > now + rules.leeway:
        raise InvalidToken("not valid yet")
    if issued is not None and issued > now + rules.leeway:
        raise InvalidToken("issued in the future")
    if rules.issuer and claims.get("iss") not in rules.issuer:
        raise InvalidToken("another issuer")
    audience = claims.get("aud")
    if audience is None and not rules.audience:
        return
    # RFC 7519 section 4.1.3: a token for somebody is refused by everybody who is not named.
    named = [audience] if isinstance(audience, str) else audience
    if not isinstance(named, list) or not all(isinstance(item, str) for item in named):
        raise InvalidToken("the claim `aud` is missing, or no text and no list of texts")
    if rules.audience.isdisjoint(named):
        raise InvalidToken("another audience")


def _time_of(claims: Mapping[str, Any], name: str) -> float | None:
    """A NumericDate (RFC 7519 section 2). A text of digits is none, nor is `true`."""
    value = claims.get(name)
    if value is None and name not in claims:
        return None
    if type(value) not in (int, float):
        raise InvalidToken(f"the claim `{name}` is no number")
    return value


def write_token(claims: Mapping[str, Any], key: JWTKey, kid: str | None) -> str:
    header = {"alg": key.algorithm, "typ": "JWT"}
    if kid is not None:
        header["kid"] = kid
    content = b".".join(encode_base64url(_encoder.encode(part)) for part in (header, claims))
    return (content + b"." + encode_base64url(key.sign(content))).decode("ascii")


def decode_base64url(text: bytes) -> bytes:
    try:
        content = a2b_base64(text.translate(_TO_STANDARD) + b"=" * (-len(text) % 4), strict_mode=True)
    except EncodingError:
        raise InvalidToken("not base64url") from None
    # The last character may hold bits that no byte takes: up to sixteen texts would be one signature.
    if encode_base64url(content) != text:
        raise InvalidToken("not in canonical base64url")
    return content


def encode_base64url(content: bytes) -> bytes:
    return b2a_base64(content, newline=False).translate(_TO_URL).rstrip(b"=")
