"""HTTPBasic: RFC 7617, read strictly."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from swift.auth import HTTPBasic, Identity, hash_password, password_verifier
from swift.http import Request, Unauthorized

ACCOUNTS = {("ada", "secret"): "Ada", ("zoë", "pass:word"): "Zoë", ("", ""): "Nobody"}


def check(username: str, password: str) -> str | None:
    return ACCOUNTS.get((username, password))


def request_with(*values: bytes) -> Request:
    headers = [(b"authorization", value) for value in values]
    return Request({"type": "http", "method": "GET", "path": "/", "headers": headers, "query_string": b""})


def basic(text: str | bytes) -> bytes:
    return b"Basic " + b64encode(text.encode() if isinstance(text, str) else text)


@pytest.mark.parametrize(
    ("text", "user", "username"),
    [("ada:secret", "Ada", "ada"), ("zoë:pass:word", "Zoë", "zoë"), (":", "Nobody", "")],
)
def test_right_credentials_give_their_user(text: str, user: str, username: str) -> None:
    assert HTTPBasic(check).authenticate(request_with(basic(text))) == Identity(user, username)


def test_the_scheme_is_case_insensitive() -> None:
    assert HTTPBasic(check).authenticate(request_with(b"bAsIc " + basic("ada:secret")[6:])) is not None


def test_credentials_of_another_kind_are_none() -> None:
    assert HTTPBasic(check).authenticate(request_with()) is None
    assert HTTPBasic(check).authenticate(request_with(b"Bearer x")) is None


@pytest.mark.parametrize(
    "value",
    [
        b"Basic",
        b"Basic ",
        b"Basic ada:secret",
        b"Basic !!!!",
        basic("ada:secret")[:-1],
        basic("ada:secret") + b"=",
        basic("ada:secret").replace(b"Y", b"Y\n", 1),
        basic("ada:secret") + b" " + basic("ada:secret"),
        basic("ada"),
        basic("ada:wrong"),
        basic("bob:secret"),
        basic("ADA:secret"),
        basic("ada:secret\0"),
        basic("ada\r\n:secret"),
        basic(b"zo\xeb:pass:word"),
        b"Basic " + b"A" * 1_000_000,
    ],
)
def test_anything_else_is_refused(value: bytes) -> None:
    with pytest.raises(Unauthorized) as caught:
        HTTPBasic(check).authenticate(request_with(value))
    assert caught.value.detail == "The credentials are not valid."


def test_two_headers_are_one_too_many() -> None:
    with pytest.raises(Unauthorized):
        HTTPBasic(check).authenticate(request_with(basic("ada:secret"), basic("ada:secret")))


async def test_with_stored_hashes() -> None:
    class User:
        def __init__(self, password_hash: str) -> None:
            self.password_hash = password_hash

    ada = User(await hash_password("secret"))
    backend = HTTPBasic(password_verifier({"ada": ada}.get))
    assert not backend.synchronous
    assert await backend.authenticate(request_with(basic("ada:secret"))) == Identity(ada, "ada")  # type: ignore[misc]
    for wrong in ("ada:wrong", "bob:secret"):
        with pytest.raises(Unauthorized):
            await backend.authenticate(request_with(basic(wrong)))  # type: ignore[misc]


def test_the_challenge_has_a_realm() -> None:
    assert HTTPBasic(check, realm="the shop").challenge == 'Basic realm="the shop", charset="UTF-8"'


@pytest.mark.parametrize(
    ("verify", "realm", "error"),
    [
        (check, 'a"b', ValueError),
        (check, "a\nb", ValueError),
        (check, "é", ValueError),
        (None, "api", TypeError),
    ],
)
def test_wrong_options_are_refused(verify: Any, realm: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        HTTPBasic(verify, realm=realm)
