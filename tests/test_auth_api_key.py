"""APIKey: a header, looked up by the digest of what it holds."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest

from swift.auth import APIKey, Identity, digest_api_key, generate_api_key
from swift.http import Request, Unauthorized

KEY, DIGEST = generate_api_key("shop_")


def request_with(*keys: bytes, name: bytes = b"x-api-key") -> Request:
    headers = [(name, key) for key in keys]
    return Request({"type": "http", "method": "GET", "path": "/", "headers": headers, "query_string": b""})


def test_a_new_key_is_long_and_known_by_its_digest() -> None:
    key, digest = generate_api_key("shop_")
    assert key.startswith("shop_")
    # 32 random bytes in base64url.
    assert len(key) == len("shop_") + 43
    assert digest == digest_api_key(key) == sha256(key.encode()).hexdigest()
    assert generate_api_key()[0] != generate_api_key()[0]


def test_a_right_key_gives_its_user() -> None:
    backend = APIKey(lookup={DIGEST: "billing"}.get)
    assert backend.synchronous
    assert backend.authenticate(request_with(KEY.encode())) == Identity("billing", DIGEST)


def test_no_key_is_none() -> None:
    assert APIKey(lookup={}.get).authenticate(request_with()) is None
    assert APIKey(lookup={}.get).authenticate(request_with(KEY.encode(), name=b"x-key")) is None


def test_the_header_is_yours_to_name() -> None:
    backend = APIKey("X-Shop-Key", lookup={DIGEST: "billing"}.get)
    assert backend.authenticate(request_with(KEY.encode(), name=b"x-shop-key")) is not None
    assert backend.challenge == 'ApiKey header="x-shop-key"'
    assert backend.security_scheme == {"type": "apiKey", "in": "header", "name": "x-shop-key"}


@pytest.mark.parametrize(
    "keys",
    [
        [b"wrong"],
        [b""],
        [KEY.encode() + b" "],
        [KEY.encode()[:-1]],
        [KEY.upper().encode()],
        [DIGEST.encode()],
        [b"\xff\xfe\x00"],
        [b"k" * 100_000],
        [KEY.encode(), KEY.encode()],
    ],
    ids=["wrong", "empty", "space", "short", "upper", "digest", "bytes", "long", "twice"],
)
def test_a_wrong_key_is_refused(keys: list[bytes]) -> None:
    with pytest.raises(Unauthorized):
        APIKey(lookup={DIGEST: "billing"}.get).authenticate(request_with(*keys))


def test_the_lookup_never_sees_the_key_nor_anything_that_a_client_can_choose() -> None:
    seen: list[str] = []
    with pytest.raises(Unauthorized):
        APIKey(lookup=seen.append).authenticate(request_with(b"' OR 1=1 --"))
    assert seen == [sha256(b"' OR 1=1 --").hexdigest()]


async def test_a_lookup_may_wait() -> None:
    async def lookup(digest: str) -> str | None:
        return {DIGEST: "billing"}.get(digest)

    backend = APIKey(lookup=lookup)
    assert not backend.synchronous
    assert await backend.authenticate(request_with(KEY.encode())) == Identity("billing", DIGEST)  # type: ignore[misc]
    with pytest.raises(Unauthorized):
        await backend.authenticate(request_with(b"wrong"))  # type: ignore[misc]


@pytest.mark.parametrize(
    ("header", "lookup", "error"),
    [
        ("authorization", {}.get, ValueError),
        ("Authorization", {}.get, ValueError),
        ("x api key", {}.get, ValueError),
        ("", {}.get, ValueError),
        ("x-api-key\r\n", {}.get, ValueError),
        ("x-api-key", {}, TypeError),
    ],
)
def test_wrong_options_are_refused(header: str, lookup: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        APIKey(header, lookup=lookup)
