"""Passwords: Argon2id hashes (RFC 9106), made and verified off the event loop.

A hash takes tens of milliseconds and 64 MiB on purpose, so it runs in threads of its own: few of them, to bound the
memory, and none that files or handlers wait for. An unknown user costs the same time as a wrong password, for
a hash is verified all the same; otherwise the time of an answer would tell which accounts exist.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
import secrets
import unicodedata
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple, overload

from ._extra import needed

if TYPE_CHECKING:
    from argon2 import PasswordHasher

User = TypeVar("User")
T = TypeVar("T")
Ts = TypeVarTuple("Ts")

# Bytes in UTF-8. More than anyone types; a bound, so that nobody makes us hash megabytes.
MAX_SIZE = 4096

# 64 MiB each (RFC 9106 section 4, the second recommended option, which argon2-cffi has by default).
MAX_THREADS = 4


async def hash_password(password: str) -> str:
    """The hash to store, with its salt and parameters in it (the PHC string format)."""
    prepared = _prepared(password)
    if len(prepared) > MAX_SIZE:
        raise ValueError(f"A password may have {MAX_SIZE} bytes at most, this one has {len(prepared)}.")
    return await _in_thread(_hash, prepared)


async def verify_password(password: str, hashed: str | None) -> bool:
    """Whether the password is that of the hash.

    None, for a user who does not exist or has no password, is False after the same time.
    """
    prepared = _prepared(password)
    if len(prepared) > MAX_SIZE:
        return False
    return await _in_thread(_verify, prepared, hashed)


def needs_rehash(hashed: str) -> bool:
    """Whether the hash was made with other parameters than today's: hash the password anew when it is at hand."""
    return _hasher().check_needs_rehash(hashed)


@overload
def password_verifier(
    find_user: Callable[[str], Awaitable[User | None]], hash_of: Callable[[User], str | None] = ...
) -> Callable[[str, str], Awaitable[User | None]]: ...
@overload
def password_verifier(
    find_user: Callable[[str], User | None], hash_of: Callable[[User], str | None] = ...
) -> Callable[[str, str], Awaitable[User | None]]: ...
def password_verifier(
    find_user: Callable[[str], Any], hash_of: Callable[[User], str | None] = attrgetter("password_hash")
) -> Callable[[str, str], Awaitable[User | None]]:
    """An `async (username, password) -> user | None` for HTTPBasic and for log-in handlers.

    `find_user(username)` gives the user or None, `hash_of(user)` the stored hash. Whether there is such a user does
    not show in the time it takes, but for what `find_user` itself takes.
    """

    async def verify(username: str, password: str) -> User | None:
        found: Any = find_user(username)
        user: User | None = await found if inspect.isawaitable(found) else found
        hashed = None if user is None else hash_of(user)
        return user if await verify_password(password, hashed) else None

    return verify


def _prepared(password: str) -> bytes:
    # RFC 8265 section 4.2.2: one normal form, or the same accents typed on two systems differ.
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")


@functools.cache
def _hasher() -> PasswordHasher:
    hasher: PasswordHasher = needed("argon2", "argon2-cffi", "Hashing passwords").PasswordHasher()
    return hasher


@functools.cache
def _dummy() -> str:
    """A hash that no password has."""
    return _hasher().hash(secrets.token_bytes(32))


def _hash(password: bytes) -> str:
    return _hasher().hash(password)


def _verify(password: bytes, hashed: str | None) -> bool:
    from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

    # Made before it is known whether it is needed: the first unknown user would take twice the time.
    dummy = _dummy()
    if hashed is not None:
        try:
            return _hasher().verify(hashed, password)
        except VerifyMismatchError:
            return False
        except (InvalidHashError, VerificationError, UnicodeEncodeError):
            # Nothing was computed for what is no hash at all, such as "" or "!".
            pass
    try:
        _hasher().verify(dummy, password)
    except VerificationError:
        pass
    return False


@functools.cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(min(MAX_THREADS, os.cpu_count() or 1), thread_name_prefix="swift-password")


async def _in_thread(function: Callable[[*Ts], T], *arguments: *Ts) -> T:
    _hasher()
    return await asyncio.get_running_loop().run_in_executor(_threads(), function, *arguments)
