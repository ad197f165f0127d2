"""The server's side of SCRAM-SHA-256, written from RFC 5802 alone, with places to go wrong on purpose."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os

from tests.pg_fake_server import Peer, authentication, sasl


class ScramServer:
    """first(client-first) and final(client-final); what the client said is in `gs2`, `mechanism`, `user`."""

    def __init__(
        self, password: str, *, iterations: int = 4096, salt: bytes | None = None, binding: bytes = b""
    ) -> None:
        self.salt = os.urandom(16) if salt is None else salt
        self.iterations = iterations
        self.binding = binding
        self.salted = hashlib.pbkdf2_hmac("sha256", password.encode(), self.salt, iterations)
        self.gs2 = b""
        self.mechanism = ""
        self.user = b""

    def take(self, payload: bytes) -> bytes:
        """The client-first-message out of a SASLInitialResponse."""
        name, _, rest = payload.partition(b"\0")
        self.mechanism = name.decode()
        return rest[4:]

    def first(self, client_first: bytes, nonce: bytes = b"server") -> bytes:
        flag, authzid, self._bare = client_first.split(b",", 2)
        self.gs2 = flag + b"," + authzid + b","
        user, client_nonce = self._bare.split(b",")
        self.user = user.removeprefix(b"n=")
        self.nonce = client_nonce.removeprefix(b"r=") + nonce
        self._first = b"r=%b,s=%b,i=%d" % (self.nonce, base64.b64encode(self.salt), self.iterations)
        return self._first

    def final(self, client_final: bytes) -> bytes:
        without_proof, _, proof = client_final.rpartition(b",p=")
        channel, nonce = without_proof.split(b",")
        assert base64.b64decode(channel.removeprefix(b"c=")) == self.gs2 + self.binding
        assert nonce == b"r=" + self.nonce
        message = b",".join((self._bare, self._first, without_proof))
        client_key = hmac.digest(self.salted, b"Client Key", "sha256")
        stored = hashlib.sha256(client_key).digest()
        signature = hmac.digest(stored, message, "sha256")
        assert base64.b64decode(proof) == bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        server_key = hmac.digest(self.salted, b"Server Key", "sha256")
        return b"v=" + base64.b64encode(hmac.digest(server_key, message, "sha256"))

    def play(self, peer: Peer, *mechanisms: str) -> None:
        """The whole exchange, up to SASLFinal."""
        peer.send(sasl(*(mechanisms or ("SCRAM-SHA-256",))))
        peer.send(authentication(11, self.first(self.take(peer.expect("p")))))
        peer.send(authentication(12, self.final(peer.expect("p"))))
