"""Keys of tokens. A key knows its one algorithm: what a token says of algorithms selects nothing (RFC 8725 section 3.1).

Everything about a key is checked when it is made: that it is of the algorithm's kind, on its curve and long
enough, so that no weak key ever signs or verifies. The signatures themselves are PyJWT's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from ._extra import needed

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes

    KeyMaterial: TypeAlias = str | bytes | PrivateKeyTypes | PublicKeyTypes

# RFC 7518 section 3.2: a key of at least the hash's size, in bytes.
SECRET_SIZES = {"HS256": 32, "HS384": 48, "HS512": 64}
# RFC 7518 sections 3.3 and 3.5.
RSA_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
RSA_BITS = 2048
# RFC 7518 section 3.4.
CURVES = {"ES256": "secp256r1", "ES384": "secp384r1", "ES512": "secp521r1"}

ALGORITHMS = (*SECRET_SIZES, *RSA_ALGORITHMS, *CURVES, "EdDSA")


class JWTKey:
    """A key with its algorithm.

    `key` is a secret for HS256, HS384 and HS512, else a PEM text or an object of the package cryptography,
    public to verify or private to sign too. Without `algorithm` it is the usual one of the key's kind: HS256
    for a secret, RS256 for RSA, ES256, ES384 or ES512 by the curve, EdDSA for Ed25519 and Ed448.
    ValueError when the key is too weak or not of the algorithm's kind.
    """

    __slots__ = ("_implementation", "_signing", "_verifying", "algorithm")

    def __init__(self, key: KeyMaterial, algorithm: str | None = None) -> None:
        if algorithm is not None and algorithm not in ALGORITHMS:
            raise ValueError(f"Expected algorithm to be one of {', '.join(ALGORITHMS)}, got {algorithm!r}.")
        if not key:
            raise ValueError("A token's key is empty; set it, from the settings as a rule.")
        jwt = needed("jwt", "pyjwt", "JWTKey")
        loaded = _load(key)
        usual = _usual_algorithm(loaded)
        self.algorithm = algorithm or usual
        if self.algorithm not in _fitting(usual):
            raise ValueError(f"{self.algorithm} cannot use {_described(loaded)}.")
        self._implementation: Any = jwt.get_algorithm_by_name(self.algorithm)
        if isinstance(loaded, bytes):
            self._check_secret(loaded, jwt.InvalidKeyError)
            self._signing: Any = loaded
            self._verifying: Any = loaded
        else:
            self._signing = loaded if hasattr(loaded, "sign") else None
            self._verifying = loaded.public_key() if hasattr(loaded, "public_key") else loaded
            if usual == "RS256" and self._verifying.key_size < RSA_BITS:
                raise ValueError(
                    f"An RSA key of a token has at least {RSA_BITS} bits, this one has {self._verifying.key_size}; "
                    "make a new one."
                )

    def _check_secret(self, secret: bytes, invalid_key: type[Exception]) -> None:
        try:
            self._implementation.prepare_key(secret)
        except invalid_key:
            raise ValueError(
                f"The secret for {self.algorithm} is a public key, a certificate or a JWK, which others may know; "
                "give a secret."
            ) from None
        least = SECRET_SIZES[self.algorithm]
        if len(secret) < least:
            raise ValueError(
                f"A secret for {self.algorithm} has at least {least} bytes (RFC 7518 section 3.2), this one has "
                f"{len(secret)}; make one with `secrets.token_urlsafe({least})`."
            )

    @property
    def can_sign(self) -> bool:
        return self._signing is not None

    def sign(self, content: bytes) -> bytes:
        if self._signing is None:
            raise ValueError("A public key cannot sign; give BearerJWT the private one to issue tokens.")
        signature: bytes = self._implementation.sign(content, self._signing)
        return signature

    def verify(self, content: bytes, signature: bytes) -> bool:
        """Whether the signature is right; a secret's is compared in constant time."""
        right: bool = self._implementation.verify(content, self._verifying, signature)
        return right

    def __repr__(self) -> str:
        return f"<JWTKey {self.algorithm}>"


def _load(key: Any) -> Any:
    """A secret as bytes, or a key object of cryptography."""
    if isinstance(key, str):
        key = key.encode()
    if not isinstance(key, bytes):
        # Every key object of cryptography has one of these two.
        if hasattr(key, "public_bytes") or hasattr(key, "private_bytes"):
            return key
        raise TypeError(
            f"Expected a secret, a PEM text or a key object of cryptography, got `{type(key).__name__}`."
        )
    if b"-----BEGIN " not in key:
        return key
    serialization = needed("cryptography.hazmat.primitives.serialization", "cryptography", "A PEM key")
    exceptions = needed("cryptography.exceptions", "cryptography", "A PEM key")
    unreadable = (ValueError, TypeError, exceptions.UnsupportedAlgorithm)
    try:
        return serialization.load_pem_private_key(key, password=None)
    except unreadable:
        pass
    try:
        return serialization.load_pem_public_key(key)
    except unreadable:
        raise ValueError(
            "The PEM text is no public key and no private key without a password; load it with cryptography and "
            "give the key object."
        ) from None


def _usual_algorithm(key: Any) -> str:
    if isinstance(key, bytes):
        return "HS256"
    from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

    if isinstance(key, (rsa.RSAPublicKey, rsa.RSAPrivateKey)):
        return "RS256"
    if isinstance(
        key,
        (
            ed25519.Ed25519PublicKey,
            ed25519.Ed25519PrivateKey,
            ed448.Ed448PublicKey,
            ed448.Ed448PrivateKey,
        ),
    ):
        return "EdDSA"
    if isinstance(key, (ec.EllipticCurvePublicKey, ec.EllipticCurvePrivateKey)):
        for algorithm, curve in CURVES.items():
            if key.curve.name == curve:
                return algorithm
    raise ValueError(
        f"Tokens are not signed with {_described(key)}; use RSA, P-256, P-384, P-521 or Ed25519."
    )


def _fitting(usual: str) -> tuple[str, ...]:
    """The algorithms for a key whose usual one is `usual`."""
    if usual in SECRET_SIZES:
        return tuple(SECRET_SIZES)
    return RSA_ALGORITHMS if usual in RSA_ALGORITHMS else (usual,)


def _described(key: Any) -> str:
    if isinstance(key, bytes):
        return "a secret; it needs a private or public key"
    curve = getattr(getattr(key, "curve", None), "name", None)
    return f"a key on the curve {curve}" if curve else f"a key of the kind `{type(key).__name__}`"
