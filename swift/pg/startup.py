"""The handshake on one open socket: TLS, StartupMessage, authentication, up to ReadyForQuery (protocol 54.2.1, 54.2.10)."""

from __future__ import annotations

import ssl
import struct
from collections.abc import Generator
from typing import Any

from . import tls
from .actions import Action, Receive, ReceiveAnswer, Send, StartTLS, TLSConnection
from .auth import AUTHENTICATION_LIMIT, OK, Authentication
from .errors import PgConnectionError, PgError, PgProtocolError, PgTLSError
from .messages import SSL_REQUEST, error_of, notice_of, startup_message
from .options import ConnectOptions, Host
from .session import Session

# What follows authentication is a server's we know by then; notices may be long.
LIMIT = 1 << 20


def startup(
    options: ConnectOptions, host: Host, *, mode: str | None = None
) -> Generator[Action, Any, Session]:
    """Bring an open socket to its first ReadyForQuery.

    mode: the sslmode of this attempt, `options.tls.mode` unless given; `allow` begins in plain text, `prefer` takes the
    server's no for an answer. Never another socket: that is up to `target`.
    """
    return Startup(options, host, mode or options.tls.mode).run()


class Startup:
    """`run()` is the generator; `answered` tells after a failure whether the client had begun to prove itself."""

    def __init__(self, options: ConnectOptions, host: Host, mode: str) -> None:
        self._options = options
        self._host = host
        self._mode = "disable" if host.is_unix else mode
        self._authentication: Authentication | None = None

    @property
    def answered(self) -> bool:
        return self._authentication is not None and self._authentication.answered

    def run(self) -> Generator[Action, Any, Session]:
        connection = None
        if self._mode not in ("disable", "allow"):
            connection = yield from negotiate_tls(self._options, self._host, self._mode)
        session = Session(self._host, self._options.max_protocol, tls=connection)
        parameters = {
            "user": self._options.user,
            "database": self._options.database,
            **self._options.server_settings,
        }
        yield Send(startup_message(session.protocol, parameters))
        self._authentication = Authentication(self._options, self._host, connection, session.notices)
        try:
            yield from self._authenticate(session, self._authentication)
            yield from self._await_ready(session)
        except EOFError:
            raise PgConnectionError(
                f"{self._host}: the server closed the connection during start-up, without a reason.",
                safe_to_retry=True,
            ) from None
        return session

    def _authenticate(self, session: Session, authentication: Authentication) -> Generator[Action, Any, None]:
        negotiated = False
        while True:
            kind, payload = yield Receive(AUTHENTICATION_LIMIT)
            match chr(kind):
                case "R" if len(payload) >= 4:
                    (code,) = struct.unpack_from("!i", payload)
                    if code == OK:
                        authentication.finish()
                        session.method = authentication.method
                        session.channel_bound = authentication.channel_bound
                        return
                    yield from authentication.answer(code, bytes(payload[4:]))
                case "E":
                    raise error_of(payload)
                case "N":
                    session.notices.append(notice_of(payload))
                case "v" if not negotiated:
                    negotiated = True
                    session.protocol = self._negotiated(payload)
                case other:
                    raise PgProtocolError(
                        f"{self._host}: unexpected message {other!r} before authentication; is this a PostgreSQL server?"
                    )

    def _negotiated(self, payload: bytes) -> tuple[int, int]:
        """NegotiateProtocolVersion: the server takes a lower minor version, or does not know options of the protocol."""
        if len(payload) < 8:
            raise PgProtocolError(f"{self._host}: NegotiateProtocolVersion is malformed.")
        offered, count = struct.unpack_from("!ii", payload)
        # The manual says minor version, servers send the whole.
        version = (offered >> 16, offered & 0xFFFF) if offered >> 16 else (3, offered)
        names = bytes(payload[8:]).split(b"\0")
        if count != 0 or len(names) > 1:
            # We ask for none.
            raise PgProtocolError(
                f"{self._host}: the server refuses protocol options that were not asked for."
            )
        if version[0] != 3 or version >= self._options.max_protocol or version == (3, 1):
            raise PgProtocolError(
                f"{self._host}: the server negotiated protocol {version[0]}.{version[1]}, "
                f"asked for {self._options.max_protocol[0]}.{self._options.max_protocol[1]}."
            )
        if version < self._options.min_protocol:
            raise PgConnectionError(
                f"{self._host}: the server speaks protocol {version[0]}.{version[1]} at most, "
                "and min_protocol_version asks for more."
            )
        return version

    def _await_ready(self, session: Session) -> Generator[Action, Any, None]:
        while True:
            kind, payload = yield Receive(LIMIT)
            match chr(kind):
                case "S":
                    name, _, rest = bytes(payload).partition(b"\0")
                    value = rest.partition(b"\0")[0]
                    session.parameters[name.decode("utf-8", "replace")] = value.decode("utf-8", "replace")
                case "K":
                    self._take_key(session, bytes(payload))
                case "Z" if len(payload) == 1:
                    session.status = bytes(payload)
                    return
                case "N":
                    session.notices.append(notice_of(payload))
                case "E":
                    raise error_of(payload)
                case other:
                    raise PgProtocolError(
                        f"{self._host}: unexpected message {other!r} before the first ReadyForQuery."
                    )

    def _take_key(self, session: Session, payload: bytes) -> None:
        key = payload[4:]
        # Protocol 3.0: 4 bytes; 3.2: 4 to 256.
        if len(key) < 4 or len(key) > (4 if session.protocol < (3, 2) else 256):
            raise PgProtocolError(f"{self._host}: BackendKeyData with a key of {len(key)} bytes.")
        (session.backend_pid,) = struct.unpack_from("!i", payload)
        session.secret_key = key


def negotiate_tls(
    options: ConnectOptions, host: Host, mode: str
) -> Generator[Action, Any, TLSConnection | None]:
    """TLS on an open socket; None when the server has none and `mode` is prefer. Raises PgTLSError, PgProtocolError."""
    settings = options.tls
    context = tls.context_for(settings, options.tls_contexts)
    name = tls.server_hostname(settings, host, context)
    if settings.negotiation == "postgres":
        yield Send(SSL_REQUEST)
        try:
            answer = yield ReceiveAnswer()
        except EOFError:
            raise PgTLSError(f"{host}: the server closed the connection when TLS was asked for.") from None
        if answer[:1] == b"N" and len(answer) == 1:
            if mode != "prefer":
                raise PgTLSError(f"{host}: the server does not speak TLS, and sslmode={mode} demands it.")
            return None
        if answer[:1] == b"E":
            # Not from a server that knows TLS, and unauthenticated text: not repeated (CVE-2024-10977).
            raise PgTLSError(f"{host}: the server answered with an error when TLS was asked for.")
        if answer[:1] not in (b"S", b"N"):
            raise PgProtocolError(
                f"{host}: the answer to the request for TLS is neither yes nor no; is this a PostgreSQL server?"
            )
        if len(answer) > 1:
            # Someone in between would have them taken for the server's (CVE-2021-23222).
            raise PgProtocolError(
                f"{host}: bytes came in plain text after the answer to the request for TLS."
            )
    try:
        connection: TLSConnection = yield StartTLS(context, name)
    except ssl.SSLCertVerificationError as problem:
        raise PgTLSError(
            f"{host}: the server's certificate is not trusted: {problem.verify_message}"
        ) from problem
    except EOFError:
        raise PgTLSError(f"{host}: the server closed the connection during the TLS handshake.") from None
    except (PgError, TimeoutError):
        raise
    except OSError as problem:
        reason = (problem.reason if isinstance(problem, ssl.SSLError) else problem.strerror) or str(problem)
        raise PgTLSError(
            f"{host}: the TLS handshake failed: {reason.replace('_', ' ').lower()}."
        ) from problem
    tls.check_peer(settings, host, connection)
    return connection
