"""Passwords: Argon2id off the event loop, and the same time for those who do not exist."""

from __future__ import annotations

import asyncio
import sys
import time
from statistics import median

import argon2
import pytest

from swift.auth import hash_password, needs_rehash, password_verifier, verify_password
from swift.auth import passwords as module

PASSWORD = "correct horse battery staple"


async def test_a_hash_is_of_argon2id_with_a_salt_of_its_own() -> None:
    first, second = await asyncio.gather(hash_password(PASSWORD), hash_password(PASSWORD))
    assert first.startswith("$argon2id$v=19$m=65536,")
    assert first != second
    assert PASSWORD not in first
    assert await verify_password(PASSWORD, first)
    assert argon2.PasswordHasher().verify(second, PASSWORD)


@pytest.mark.parametrize(
    "password", ["", "wrong", PASSWORD + " ", PASSWORD.upper(), PASSWORD + "\0", "x" * 5000]
)
async def test_another_password_is_wrong(password: str) -> None:
    assert not await verify_password(password, await hash_password(PASSWORD))


async def test_accents_are_the_same_however_they_are_typed() -> None:
    assert await verify_password("Zoe\u0308", await hash_password("Zo\u00eb"))


@pytest.mark.parametrize(
    "hashed", [None, "", "!", PASSWORD, "$argon2id$", "$2b$12$abc", "$argon2id$v=19$m=8,t=1,p=1$é$é"]
)
async def test_what_is_no_hash_has_no_password(hashed: str | None) -> None:
    assert not await verify_password(PASSWORD, hashed)
    assert not await verify_password("", hashed)


async def test_a_password_is_bounded() -> None:
    longest = "x" * module.MAX_SIZE
    assert await verify_password(longest, await hash_password(longest))
    with pytest.raises(ValueError, match="4096 bytes at most, this one has 4098"):
        await hash_password("é" * 2049)


async def test_a_hash_of_other_parameters_is_told() -> None:
    assert not needs_rehash(await hash_password(PASSWORD))
    weak = argon2.PasswordHasher(time_cost=1, memory_cost=1024).hash(PASSWORD)
    assert await verify_password(PASSWORD, weak)
    assert needs_rehash(weak)


async def test_the_loop_goes_on_while_a_password_is_verified() -> None:
    hashed = await hash_password(PASSWORD)
    longest_pause, last = 0.0, time.perf_counter()
    task = asyncio.create_task(asyncio.to_thread(time.sleep, 0))
    await task
    checks = asyncio.gather(*(verify_password("wrong", hashed) for _ in range(6)))
    began = time.perf_counter()
    while not checks.done():
        await asyncio.sleep(0)
        current = time.perf_counter()
        longest_pause, last = max(longest_pause, current - last), current
    assert await checks == [False] * 6
    # All on the loop would be one pause.
    assert longest_pause < (time.perf_counter() - began) / 2


class User:
    def __init__(self, password_hash: str | None) -> None:
        self.password_hash = password_hash


async def test_who_does_not_exist_takes_as_long_as_a_wrong_password() -> None:
    hashed = await hash_password(PASSWORD)
    users = {"ada": User(hashed), "robot": User(None), "locked": User("!"), "broken": User(hashed[:-30])}
    log_in = password_verifier(users.get)
    taken: dict[str, list[float]] = {"ada": [], "nobody": [], "robot": [], "locked": [], "broken": []}
    # In turns, so that whatever else the machine does slows them all.
    for _ in range(5):
        for username, seconds in taken.items():
            began = time.perf_counter()
            assert await log_in(username, "wrong") is None
            seconds.append(time.perf_counter() - began)
    wrong = median(taken.pop("ada"))
    for username, seconds in taken.items():
        assert wrong / 3 < median(seconds) < wrong * 3, username


async def test_the_first_unknown_user_does_not_pay_for_the_dummy() -> None:
    module._dummy.cache_clear()
    await verify_password("wrong", await hash_password(PASSWORD))
    assert module._dummy.cache_info().currsize == 1


async def test_a_verifier_gives_the_user() -> None:
    ada = User(await hash_password(PASSWORD))

    async def find(username: str) -> User | None:
        return ada if username == "ada" else None

    log_in = password_verifier(find)
    assert await log_in("ada", PASSWORD) is ada
    assert await log_in("ada", "wrong") is None
    assert await log_in("bob", PASSWORD) is None
    elsewhere = password_verifier({"ada": {"hash": ada.password_hash}}.get, lambda user: user["hash"])
    assert await elsewhere("ada", PASSWORD) == {"hash": ada.password_hash}


async def test_the_extra_is_named_where_its_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    module._hasher.cache_clear()
    monkeypatch.setitem(sys.modules, "argon2", None)
    with pytest.raises(ImportError, match=r"needs the package argon2-cffi: pip install swift-api\[auth\]"):
        await hash_password(PASSWORD)
