"""Authentication: bearer tokens, API keys and HTTP Basic as backends, and the passwords behind a log-in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api_key import APIKey, digest_api_key, generate_api_key
    from .authentication import Authentication, Identity, UserLookup
    from .basic import HTTPBasic
    from .bearer import BearerJWT, TokenUser
    from .keys import JWTKey
    from .passwords import hash_password, needs_rehash, password_verifier, verify_password
    from .tokens import ExpiredToken, InvalidToken

# An application pays for the import of those it uses.
_WHERE = {
    "api_key": ("APIKey", "digest_api_key", "generate_api_key"),
    "authentication": ("Authentication", "Identity", "UserLookup"),
    "basic": ("HTTPBasic",),
    "bearer": ("BearerJWT", "TokenUser"),
    "keys": ("JWTKey",),
    "passwords": ("hash_password", "needs_rehash", "password_verifier", "verify_password"),
    "tokens": ("ExpiredToken", "InvalidToken"),
}
_MODULE_OF = {name: module for module, names in _WHERE.items() for name in names}

__all__ = [
    "APIKey",
    "Authentication",
    "BearerJWT",
    "ExpiredToken",
    "HTTPBasic",
    "Identity",
    "InvalidToken",
    "JWTKey",
    "TokenUser",
    "UserLookup",
    "digest_api_key",
    "generate_api_key",
    "hash_password",
    "needs_rehash",
    "password_verifier",
    "verify_password",
]


def __getattr__(name: str) -> Any:
    if name in _MODULE_OF:
        from importlib import import_module

        value = getattr(import_module(f".{_MODULE_OF[name]}", __name__), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
