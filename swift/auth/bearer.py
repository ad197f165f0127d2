"""BearerJWT: tokens in the Authorization header (RFC 6750), read and issued with the same keys and rules."""

from __future__ import annotations

import logging
import math
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec

from swift.http import Request, Unauthorized

from .authentication import Answer, UserLookup
from .credentials import authorization, quoted
from .keys import JWTKey
from .tokens import ClaimRules, ExpiredToken, InvalidToken, read_token, write_token

if TYPE_CHECKING:
    from .keys import KeyMaterial

logger = logging.getLogger("swift.auth")

# What `issue_token` says itself.
_ISSUED = ("iss", "sub", "aud", "exp", "iat", "jti")


class TokenUser(msgspec.Struct, frozen=True):
    """The user of a token where nothing loads another: `id` is the claim `sub`, a text."""

    id: str
    claims: dict[str, Any]


def token_user(claims: dict[str, Any]) -> TokenUser:
    return TokenUser(claims["sub"], claims)


class BearerJWT(UserLookup):
    """JSON Web Tokens: `BearerJWT(settings.global_.secret_key, audience="shop", load_user=find_user)`.

    `key` is a secret, a PEM text or key object, or a JWTKey. For rotation it is a mapping of `kid` to keys: each
    verifies the tokens of its name, the first signs; under None is the key of tokens without a `kid`. `algorithm`
    is that of the keys that are no JWTKey; see there. `leeway` is how many seconds clocks may differ,
    `max_size` how many bytes a token may have.

    A token needs `exp`, the claims in `require`, and `aud` and `iss` where `audience` and `issuer` (one, or several
    to choose from) are given. `load_user(claims)` gives the user of a token, or None to refuse it, as for a
    user who is gone; without it `request.user` is a TokenUser. `request.auth` is the claims.
    """

    name = "bearer"
    security_scheme: Mapping[str, Any] = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}

    def __init__(
        self,
        key: KeyMaterial
        | JWTKey
        | Mapping[str, KeyMaterial | JWTKey]
        | Mapping[str | None, KeyMaterial | JWTKey],
        algorithm: str | None = None,
        *,
        audience: str | Sequence[str] | None = None,
        issuer: str | Sequence[str] | None = None,
        leeway: float = 0,
        load_user: Callable[[dict[str, Any]], Any | Awaitable[Any]] | None = None,
        require: Sequence[str] = ("sub",),
        max_size: int = 8192,
        realm: str | None = None,
        name: str = "bearer",
    ) -> None:
        super().__init__(token_user if load_user is None else load_user)
        if not (math.isfinite(leeway) and leeway >= 0):
            raise ValueError(f"Expected leeway to be a number of seconds from 0 up, got {leeway!r}.")
        if isinstance(require, str):
            raise TypeError(f"Expected require to be a list of claims, got the text {require!r}.")
        if load_user is None and "sub" not in require:
            raise ValueError("Without load_user the claim `sub` is the user; require it.")
        if isinstance(key, Mapping):
            if not key:
                raise ValueError("BearerJWT has no key; give at least one.")
            self._keys = {kid: _key_of(item, algorithm) for kid, item in key.items()}
            self._only_key = None
            self._kid: str | None = next(iter(self._keys))
        else:
            self._only_key = _key_of(key, algorithm)
            self._keys = {None: self._only_key}
            self._kid = None
        self._audience = _listed(audience, "audience")
        self._issuer = _listed(issuer, "issuer")
        self._rules = ClaimRules(
            audience=frozenset(self._audience),
            issuer=frozenset(self._issuer),
            required=tuple(dict.fromkeys(("exp", *require))),
            leeway=leeway,
        )
        self._max_size = max_size
        self.name = name
        self._realm = "" if realm is None else f"realm={quoted(realm, 'realm')}"
        self.challenge = f"Bearer {self._realm}".strip()

    def authenticate(self, request: Request) -> Answer:
        token = authorization(request, b"bearer")
        if token is None:
            return None
        try:
            claims = self._read(token)
        except InvalidToken as error:
            # Never the token, nor anything in it.
            logger.debug("A bearer token was refused: %s.", error.reason)
            expired = isinstance(error, ExpiredToken)
            raise self._refusal("The token has expired." if expired else "The token is not valid.") from None
        return self.ask(claims, auth=claims)

    def refusal(self) -> Unauthorized:
        return self._refusal("The token is not valid.")

    def _refusal(self, detail: str) -> Unauthorized:
        # RFC 6750 section 3.1.
        attributes = [self._realm, 'error="invalid_token"', f'error_description="{detail}"']
        value = "Bearer " + ", ".join(attribute for attribute in attributes if attribute)
        return Unauthorized(detail, headers={"www-authenticate": value})

    def verify_token(self, token: str) -> dict[str, Any]:
        """The claims of a token that came some other way; InvalidToken when it is not to be accepted."""
        try:
            return self._read(token.encode("ascii"))
        except UnicodeEncodeError:
            raise InvalidToken("not three parts in base64url") from None

    def _read(self, token: bytes) -> dict[str, Any]:
        if len(token) > self._max_size:
            raise InvalidToken(f"longer than {self._max_size} bytes")
        return read_token(token, self._keys, self._only_key, self._rules, time.time())

    def issue_token(
        self, subject: str | int | UUID, *, expires_in: float = 1800, claims: Mapping[str, Any] | None = None
    ) -> str:
        """A token that this backend accepts for `expires_in` seconds, signed with its first key.

        `subject` becomes `sub`; `jti` is a random text. Where there are several issuers or audiences it names the
        first. `claims` are further ones: anyone who holds the token can read them.
        """
        taken = [name for name in _ISSUED if name in (claims or {})]
        if taken:
            raise ValueError(f"issue_token sets {', '.join(taken)} itself; leave it out of claims.")
        if not (math.isfinite(expires_in) and expires_in > 0):
            raise ValueError(f"Expected expires_in to be a number of seconds above 0, got {expires_in!r}.")
        now = int(time.time())
        issued: dict[str, Any] = {"sub": str(subject), "iat": now, "exp": now + math.ceil(expires_in)}
        if self._issuer:
            issued["iss"] = self._issuer[0]
        if self._audience:
            issued["aud"] = self._audience[0]
        issued["jti"] = secrets.token_urlsafe(16)
        return write_token({**issued, **(claims or {})}, self._keys[self._kid], self._kid)


def _key_of(key: KeyMaterial | JWTKey, algorithm: str | None) -> JWTKey:
    return key if isinstance(key, JWTKey) else JWTKey(key, algorithm)


def _listed(value: str | Sequence[str] | None, what: str) -> tuple[str, ...]:
    if value is None:
        return ()
    listed = (value,) if isinstance(value, str) else tuple(value)
    if not listed or not all(isinstance(item, str) and item for item in listed):
        raise ValueError(f"Expected {what} to be a text or a list of texts, got {value!r}.")
    return listed
