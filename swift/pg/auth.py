"""Authentication as the client, one exchange from the server's request to AuthenticationOk (protocol 54.2.1, 54.3)."""

from __future__ import annotations

import hashlib
import importlib
import struct
from collections.abc import Generator
from functools import partial
from typing import Any

from . import scram, tls
from .actions import Action, Call, Receive, Send, TLSConnection
from .errors import PgAuthenticationError, PgConfigError, PgNotice, PgProtocolError
from .messages import encoded, error_of, frontend_message, notice_of
from .options import ConnectOptions, Host

OK, KERBEROS5, CLEARTEXT, MD5, SCM, GSS, GSS_CONTINUE, SSPI, SASL, SASL_CONTINUE, SASL_FINAL = (
    0, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12,
)  # fmt: skip

# Sizes above are no server's (libpq: 2000); a Kerberos ticket with a list of groups may be large.
AUTHENTICATION_LIMIT = 65536

Steps = Generator[Action, Any, Any]


class Authentication:
    """Answers the server's requests. After `finish()` `method` says how we were authenticated.

    `answered` is set with the first answer: from then on no other way in is tried.
    """

    def __init__(
        self, options: ConnectOptions, host: Host, connection: TLSConnection | None, notices: list[PgNotice]
    ) -> None:
        self._notices = notices
        self._options = options
        self._host = host
        self._tls = connection
        self.method = "none"
        self.channel_bound = False
        self.answered = False
        self._proven = True  # False while a SCRAM exchange is not over

    def finish(self) -> None:
        """AuthenticationOk came: may it? Raises PgAuthenticationError."""
        if not self._proven:
            raise PgAuthenticationError(
                f"{self._host}: the server accepted us before it had proved that it knows the password (SCRAM); "
                "it may not be the server it claims to be."
            )
        if self.method == "none":
            self._permit("none")
        if self._options.channel_binding == "require" and not self.channel_bound:
            raise PgAuthenticationError(
                f"{self._host}: channel_binding=require, but the server authenticated us without channel binding."
            )

    def answer(self, code: int, payload: bytes) -> Steps:
        """Answer an authentication request that is not AuthenticationOk."""
        if self.answered:
            raise PgProtocolError(
                f"{self._host}: the server asked for a second authentication (code {code})."
            )
        if code == SASL:
            yield from self._scram(payload)
        elif code == MD5:
            if len(payload) != 4:
                raise PgProtocolError(f"{self._host}: the salt of the md5 request is not 4 bytes.")
            password = yield from self._password("md5")
            yield from self._reply(hashed(password, self._options.user, payload) + b"\0")
        elif code == CLEARTEXT:
            password = yield from self._password("password")
            yield from self._reply(encoded(password, "password") + b"\0")
        elif code in (GSS, SSPI):
            yield from self._gss()
        elif code in (GSS_CONTINUE, SASL_CONTINUE, SASL_FINAL):
            raise PgProtocolError(
                f"{self._host}: the server continues an authentication that was not begun (code {code})."
            )
        else:
            name = {KERBEROS5: "Kerberos 5", SCM: "SCM credentials"}.get(code, f"code {code}")
            raise PgAuthenticationError(
                f"{self._host}: the server asks for a method that is not supported: {name}."
            )

    def _permit(self, method: str) -> None:
        allowed = self._options.require_auth
        if allowed is not None and method not in allowed:
            what = "did not ask who we are" if method == "none" else f'asks for the method "{method}"'
            raise PgAuthenticationError(
                f"{self._host}: the server {what}, and require_auth allows only {', '.join(sorted(allowed)) or 'nothing'}."
            )

    def _begin(self, method: str) -> None:
        self._permit(method)
        if method != "scram-sha-256" and self._options.channel_binding == "require":
            raise PgAuthenticationError(
                f'{self._host}: channel_binding=require, but the server asks for the method "{method}".'
            )
        self.method = method

    def _reply(self, payload: bytes) -> Steps:
        self.answered = True
        yield Send(frontend_message(b"p", payload))

    def _password(self, method: str) -> Generator[Action, Any, str]:
        self._begin(method)
        password = self._options.password_for(self._host)
        if callable(password):
            password = yield Call(password)
            if not isinstance(password, str):
                raise PgConfigError(f"The password function returned {type(password).__name__}, not str.")
        if not password:
            raise PgAuthenticationError(
                f'{self._host}: the server asks for a password ("{method}"), and none was given.'
            )
        encoded(password, "password")  # for its checks
        return password

    # SASL

    def _scram(self, payload: bytes) -> Steps:
        offered = _names(payload)
        known = [name for name in offered if name in (scram.MECHANISM, scram.MECHANISM_PLUS)]
        if not known:
            raise PgAuthenticationError(
                f"{self._host}: none of the server's SASL mechanisms is supported: {', '.join(offered) or '(none)'}."
            )
        self._begin("scram-sha-256")
        binding, claims_plus = self._binding(offered)
        options = self._options
        given = options.scram_client_key is not None and options.scram_server_key is not None
        password = None if given else (yield from self._password("scram-sha-256"))
        exchange = scram.Scram(
            password,
            binding=binding,
            claims_plus=claims_plus,
            client_key=options.scram_client_key,
            server_key=options.scram_server_key,
            cache=options.scram_keys,
        )
        self._proven = False
        first = exchange.first()
        yield from self._reply(exchange.mechanism.encode() + b"\0" + struct.pack("!i", len(first)) + first)
        exchange.server_first((yield from self._continue(SASL_CONTINUE)))
        keys = (yield Call(exchange.keys, slow=True)) if exchange.slow else exchange.keys()
        yield Send(frontend_message(b"p", exchange.final(keys)))
        exchange.server_final((yield from self._continue(SASL_FINAL)))
        self._proven = exchange.verified
        self.channel_bound = binding is not None

    def _binding(self, offered: list[str]) -> tuple[bytes | None, bool]:
        """The channel binding data to use, and whether to tell that we could have bound (RFC 5802 section 6)."""
        wanted = self._options.channel_binding
        if self._tls is None:
            if wanted == "require":
                raise PgAuthenticationError(
                    f"{self._host}: channel_binding=require, but the connection has no TLS."
                )
            if scram.MECHANISM not in offered:
                raise PgAuthenticationError(
                    f"{self._host}: the server offers {scram.MECHANISM_PLUS} without TLS."
                )
            return None, False
        if wanted == "disable":
            data = None
        else:
            certificate = self._tls.getpeercert(True)
            data = tls.end_point(certificate) if certificate else None
        if scram.MECHANISM_PLUS in offered:
            if data is not None:
                return data, False
            if wanted == "require":
                raise PgAuthenticationError(
                    f"{self._host}: channel_binding=require, but no binding is defined for the server's certificate "
                    "(its signature algorithm has no hash of its own, as with Ed25519)."
                )
            if scram.MECHANISM not in offered:
                raise PgAuthenticationError(
                    f"{self._host}: the server demands channel binding, which is not possible here."
                )
            return None, False
        if wanted == "require":
            raise PgAuthenticationError(
                f"{self._host}: channel_binding=require, but the server does not offer it."
            )
        return None, data is not None

    def _continue(self, expected: int) -> Generator[Action, Any, bytes]:
        """The payload of the next step of the exchange. An ErrorResponse ends it with the server's words."""
        while True:
            kind, payload = yield Receive(AUTHENTICATION_LIMIT)
            if kind == 0x4E:  # N
                self._notices.append(notice_of(payload))
                continue
            if kind == 0x45:  # E
                raise error_of(payload)
            if kind != 0x52 or len(payload) < 4:
                raise PgProtocolError(
                    f"{self._host}: unexpected message {chr(kind)!r} during authentication."
                )
            (code,) = struct.unpack_from("!i", payload)
            if code == OK:
                self.finish()
            if code != expected:
                raise PgProtocolError(f"{self._host}: authentication code {code} where {expected} was due.")
            return bytes(payload[4:])

    # GSSAPI

    def _gss(self) -> Steps:
        self._begin("gss")
        try:
            gssapi: Any = importlib.import_module("gssapi")
        except ImportError:
            raise PgConfigError(
                "The server asks for GSSAPI (Kerberos); install the `gssapi` package: pip install swift-api[gssapi]."
            ) from None
        if not self._host.name or self._host.is_unix:
            raise PgConfigError("GSSAPI needs the name of the host; give host besides hostaddr.")
        service = gssapi.Name(
            f"{self._options.krbsrvname}@{self._host.name}", name_type=gssapi.NameType.hostbased_service
        )
        flags = [gssapi.RequirementFlag.mutual_authentication]
        if self._options.gss_delegation:
            flags.append(gssapi.RequirementFlag.delegate_to_peer)
        try:
            context = gssapi.SecurityContext(name=service, usage="initiate", flags=flags)
            # It asks a key distribution centre over the network.
            token = yield Call(context.step, slow=True)
            self._proven = False
            while token:
                yield from self._reply(token)
                if context.complete:
                    break
                answer = yield from self._continue(GSS_CONTINUE)
                token = yield Call(partial(context.step, answer), slow=True)
        except gssapi.exceptions.GSSError as problem:
            raise PgAuthenticationError(f"{self._host}: GSSAPI: {problem}") from problem
        self._proven = context.complete


def hashed(password: str, user: str, salt: bytes) -> bytes:
    """The answer to an md5 request: "md5" + md5(md5(password + user) + salt)."""
    secret = encoded(password, "password") + encoded(user, "user")
    inner = hashlib.md5(secret, usedforsecurity=False).hexdigest().encode()
    return b"md5" + hashlib.md5(inner + salt, usedforsecurity=False).hexdigest().encode()


def _names(payload: bytes) -> list[str]:
    """The mechanisms of an AuthenticationSASL message: strings, then an empty one."""
    if not payload.endswith(b"\0\0") and payload != b"\0":
        raise PgProtocolError("The server's list of SASL mechanisms is malformed.")
    return [name.decode("ascii", "replace") for name in payload.split(b"\0") if name]
