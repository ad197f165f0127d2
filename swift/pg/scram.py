"""SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, the client's side (RFC 5802, RFC 7677, RFC 5929 section 4).

As libpq does it: the user name in the exchange is empty, for PostgreSQL takes it from the startup message; a password
is prepared with SASLprep, and used as it is when it cannot be (not UTF-8, prohibited characters).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import stringprep
import unicodedata
from collections.abc import MutableMapping

from .errors import PgAuthenticationError, PgProtocolError
from .messages import encoded

MECHANISM = "SCRAM-SHA-256"
MECHANISM_PLUS = "SCRAM-SHA-256-PLUS"

# A hostile server could ask for hours of work. PostgreSQL's default is 4096, OWASP's advice of 2023 600,000.
MAX_ITERATIONS = 10_000_000
# From here on the derivation is worth a thread: about 10 ms.
SLOW_ITERATIONS = 20_000

Keys = MutableMapping[tuple[bytes, bytes, int], tuple[bytes, bytes]]
_CACHED = 16


class Scram:
    """One exchange: `first()`, then `server_first(...)`, `keys()` (slow), `final()`, then `server_final(...)`.

    binding: the data of tls-server-end-point when the mechanism is PLUS. claims_plus: the channel is TLS and we could
    bind, but the server did not offer it; it will notice if someone in between took the offer away.
    """

    def __init__(
        self,
        password: str | None,
        *,
        binding: bytes | None = None,
        claims_plus: bool = False,
        client_key: bytes | None = None,
        server_key: bytes | None = None,
        cache: Keys | None = None,
        nonce: str | None = None,
    ) -> None:
        self.mechanism = MECHANISM if binding is None else MECHANISM_PLUS
        self._gs2 = b"p=tls-server-end-point,," if binding is not None else b"y,," if claims_plus else b"n,,"
        self._binding = binding or b""
        self._password = None if password is None else prepare(password)
        self._given = (client_key, server_key)
        self._cache: Keys = {} if cache is None else cache
        self._nonce = nonce if nonce is not None else base64.b64encode(os.urandom(18)).decode()
        self._first_bare = f"n=,r={self._nonce}".encode()
        self._server_first = b""
        self._server_nonce = b""
        self._server_signature = b""
        self.salt = b""
        self.iterations = 0
        self.verified = False

    def first(self) -> bytes:
        return self._gs2 + self._first_bare

    def server_first(self, message: bytes) -> None:
        """Take the server's nonce, salt and iteration count. Raises PgProtocolError or PgAuthenticationError."""
        fields = _fields(message, "rsi")
        nonce = fields["r"]
        if not nonce.startswith(self._nonce.encode()) or len(nonce) == len(self._nonce):
            raise PgAuthenticationError(
                "SCRAM: the server's nonce does not extend ours; this is not its own answer."
            )
        if not all(0x21 <= byte <= 0x7E for byte in nonce):
            raise PgProtocolError("SCRAM: the server's nonce holds characters that are not allowed.")
        salt = _decoded(fields["s"])
        if not salt:
            raise PgProtocolError("SCRAM: the server's salt is not base64, or empty.")
        count = fields["i"]
        if not (count.isdigit() and len(count) <= 10 and int(count) > 0):
            raise PgProtocolError("SCRAM: the server's iteration count is not a positive number.")
        if int(count) > MAX_ITERATIONS:
            raise PgAuthenticationError(
                f"SCRAM: the server asks for {int(count):,} iterations; more than {MAX_ITERATIONS:,} are not computed."
            )
        self._server_first, self._server_nonce = message, nonce
        self.salt, self.iterations = salt, int(count)

    @property
    def slow(self) -> bool:
        """True when `keys()` will take so long that a loop should not wait for it."""
        client_key, server_key = self._given
        if client_key is not None and server_key is not None:
            return False
        return (
            self.iterations >= SLOW_ITERATIONS
            and (self._password or b"", self.salt, self.iterations) not in self._cache
        )

    def keys(self) -> tuple[bytes, bytes]:
        """ClientKey and ServerKey, 32 bytes each: those given, the cached ones, or derived (PBKDF2, may take long)."""
        client_key, server_key = self._given
        if client_key is not None and server_key is not None:
            return client_key, server_key
        if self._password is None:
            raise PgAuthenticationError("The server asks for a password (SCRAM-SHA-256), and none was given.")
        place = (self._password, self.salt, self.iterations)
        found = self._cache.get(place)
        if found is None:
            salted = hashlib.pbkdf2_hmac("sha256", self._password, self.salt, self.iterations)
            found = (_hmac(salted, b"Client Key"), _hmac(salted, b"Server Key"))
        return client_key or found[0], server_key or found[1]

    def final(self, keys: tuple[bytes, bytes]) -> bytes:
        client_key, server_key = keys
        without_proof = b"c=" + base64.b64encode(self._gs2 + self._binding) + b",r=" + self._server_nonce
        auth_message = b",".join((self._first_bare, self._server_first, without_proof))
        signature = _hmac(hashlib.sha256(client_key).digest(), auth_message)
        proof = bytes(left ^ right for left, right in zip(client_key, signature, strict=True))
        self._server_signature = _hmac(server_key, auth_message)
        self._keys = keys
        return without_proof + b",p=" + base64.b64encode(proof)

    def server_final(self, message: bytes) -> None:
        """Check that the server knows the password too. Only then is the exchange over."""
        if message.startswith(b"e="):
            reason = message[2:].split(b",")[0].decode("utf-8", "replace")
            raise PgAuthenticationError(f"SCRAM: the server refused: {reason}.", code="28000")
        fields = _fields(message, "v")
        signature = _decoded(fields["v"])
        if not self._server_signature or not hmac.compare_digest(signature, self._server_signature):
            raise PgAuthenticationError(
                "SCRAM: the server could not prove that it knows the password; it may not be the server it claims to be."
            )
        self.verified = True
        # Only proven keys are kept, and few: a rotated password or salt leaves its old ones behind.
        if self._password is not None and self._given == (None, None):
            while len(self._cache) >= _CACHED:
                self._cache.pop(next(iter(self._cache)))
            self._cache[self._password, self.salt, self.iterations] = self._keys


def _decoded(text: bytes) -> bytes:
    """Base64 as it is to be written, else nothing."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        return b""
    return data if base64.b64encode(data) == text else b""


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")


def _fields(message: bytes, names: str) -> dict[str, bytes]:
    """The attributes of a server's message, which must be `names` in this order; extensions may follow."""
    if message.startswith(b"m="):
        raise PgProtocolError("SCRAM: the server requires an extension that is not known.")
    parts = message.split(b",")
    found: dict[str, bytes] = {}
    for name, part in zip(names, parts, strict=False):
        if not part.startswith(name.encode() + b"="):
            break
        found[name] = part[2:]
    if len(found) < len(names):
        raise PgProtocolError("SCRAM: the server's message is malformed.")
    return found


def prepare(password: str) -> bytes:
    """SASLprep (RFC 4013) as PostgreSQL does it: a password it cannot prepare is used as its bytes are."""
    raw = encoded(password, "password")
    if password.isascii():
        return raw
    prepared = _saslprep(password)
    return raw if prepared is None else prepared.encode()


def _saslprep(text: str) -> str | None:
    mapped = "".join(
        " " if stringprep.in_table_c12(character) else character
        for character in text
        if not stringprep.in_table_b1(character) or stringprep.in_table_c12(character)
    )
    if not mapped:
        return None
    # As PostgreSQL has it, of both sides: what is prohibited is looked for before normalisation.
    for character in mapped:
        if any(table(character) for table in _PROHIBITED):
            return None
    if any(stringprep.in_table_d1(character) for character in mapped):
        if any(stringprep.in_table_d2(character) for character in mapped):
            return None
        if not (stringprep.in_table_d1(mapped[0]) and stringprep.in_table_d1(mapped[-1])):
            return None
    return unicodedata.normalize("NFKC", mapped)


_PROHIBITED = (
    stringprep.in_table_a1,
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)
