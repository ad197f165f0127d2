"""Keys of tokens: the algorithm is the key's own, and what is weak or of another kind is refused at once."""

from __future__ import annotations

import json
import secrets
import sys
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from swift.auth import BearerJWT, JWTKey

SECRET = "an-honest-secret-of-32-bytes-or-more"
RSA = rsa.generate_private_key(65537, 2048)
CURVES = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}


def private_pem(key: Any, encryption: Any = None) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


def public_pem(key: Any) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (SECRET, "HS256"),
        (SECRET.encode(), "HS256"),
        (RSA, "RS256"),
        (RSA.public_key(), "RS256"),
        (private_pem(RSA), "RS256"),
        (public_pem(RSA).decode(), "RS256"),
        *((ec.generate_private_key(curve), name) for name, curve in CURVES.items()),
        (public_pem(ec.generate_private_key(ec.SECP256R1())), "ES256"),
        (ed25519.Ed25519PrivateKey.generate(), "EdDSA"),
        (public_pem(ed448.Ed448PrivateKey.generate()), "EdDSA"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) == 5 else type(value).__name__,
)
def test_the_kind_of_a_key_chooses_its_usual_algorithm(key: Any, algorithm: str) -> None:
    assert JWTKey(key).algorithm == algorithm


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_a_secret_has_as_many_bytes_as_its_hash(algorithm: str) -> None:
    size = int(algorithm[2:]) // 8
    assert JWTKey("k" * size, algorithm).algorithm == algorithm
    with pytest.raises(
        ValueError, match=rf"at least {size} bytes .*, this one has {size - 1}; make one with"
    ):
        JWTKey("k" * (size - 1), algorithm)


@pytest.mark.parametrize("algorithm", ["none", "None", "", "hs256", "HS1", "RSA-OAEP", "dir", "ES256K"])
def test_an_algorithm_that_signs_no_tokens_is_refused(algorithm: str) -> None:
    with pytest.raises(ValueError, match="Expected algorithm to be one of HS256"):
        JWTKey(SECRET, algorithm)


MISMATCHED: dict[str, tuple[Any, str]] = {
    "a secret for RSA": (SECRET, "RS256"),
    "a secret for a curve": (SECRET, "ES256"),
    "a public key as a secret": (public_pem(RSA), "HS256"),
    "a private key as a secret": (private_pem(RSA), "HS256"),
    "an RSA object as a secret": (RSA.public_key(), "HS256"),
    "RSA for a curve": (RSA, "ES256"),
    "a curve for RSA": (ec.generate_private_key(ec.SECP256R1()), "RS256"),
    "another curve": (ec.generate_private_key(ec.SECP384R1()), "ES256"),
    "a curve for EdDSA": (ec.generate_private_key(ec.SECP256R1()), "EdDSA"),
}


@pytest.mark.parametrize("name", MISMATCHED)
def test_a_key_of_another_kind_than_its_algorithm_is_refused(name: str) -> None:
    key, algorithm = MISMATCHED[name]
    with pytest.raises(ValueError, match=f"^{algorithm} cannot use "):
        JWTKey(key, algorithm)


UNFIT: dict[str, tuple[Any, type[Exception], str]] = {
    "nothing": (None, ValueError, "key is empty"),
    "an empty text": ("", ValueError, "key is empty"),
    "a number": (42, TypeError, "Expected a secret"),
    "a short RSA key": (rsa.generate_private_key(65537, 1024), ValueError, "at least 2048 bits"),
    "a Bitcoin curve": (ec.generate_private_key(ec.SECP256K1()), ValueError, "secp256k1; use RSA"),
    "a DSA key": (dsa.generate_private_key(2048), ValueError, "use RSA"),
    "a key of exchange": (x25519.X25519PrivateKey.generate(), ValueError, "use RSA"),
    "a broken PEM": ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", ValueError, "PEM text"),
    "an encrypted PEM": (
        private_pem(RSA, BestAvailableEncryption(b"password")),
        ValueError,
        "without a password",
    ),
    "a public key in DER as a secret": (
        RSA.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        ValueError,
        "give a secret",
    ),
    "a JWK as a secret": (
        json.dumps(jwt.algorithms.RSAAlgorithm.to_jwk(RSA.public_key(), as_dict=True)),
        ValueError,
        "give a secret",
    ),
    "an SSH key as a secret": (
        RSA.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
        ValueError,
        "give a secret",
    ),
}


@pytest.mark.parametrize("name", UNFIT)
def test_a_weak_or_public_secret_is_refused_where_it_is_configured(name: str) -> None:
    key, error, sentence = UNFIT[name]
    with pytest.raises(error, match=sentence):
        BearerJWT(key)


@pytest.mark.parametrize("key", [RSA, ec.generate_private_key(ec.SECP521R1()), SECRET])
def test_a_signature_is_verified_by_its_own_key_only(key: Any) -> None:
    signer, other = JWTKey(key), JWTKey(secrets.token_urlsafe(32))
    signature = signer.sign(b"content")
    assert signer.verify(b"content", signature)
    assert not signer.verify(b"contents", signature)
    assert not signer.verify(b"content", signature[:-1])
    assert not signer.verify(b"content", b"")
    assert not other.verify(b"content", signature)


def test_a_public_key_verifies_and_does_not_sign() -> None:
    public = JWTKey(public_pem(RSA))
    assert public.verify(b"content", JWTKey(RSA).sign(b"content"))
    assert not public.can_sign
    with pytest.raises(ValueError, match="A public key cannot sign"):
        public.sign(b"content")


def test_a_key_shows_nothing_of_itself() -> None:
    assert repr(JWTKey(SECRET)) == "<JWTKey HS256>"


def test_the_extra_is_named_where_its_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jwt", None)
    with pytest.raises(ImportError, match=r"needs the package pyjwt: pip install swift-api\[auth\]"):
        BearerJWT(SECRET)
