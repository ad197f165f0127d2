"""From options to a session: hosts, addresses, ways of encryption, kinds of session, time limits (manual 32.1.1.3).

`connect(options)` is a generator of actions (see `actions`). Hosts are tried in order, or at random with
load_balance_hosts; of each every address; of each, as sslmode has it, with TLS and without. A server that answers and
means it (wrong password, no such database, no permission) ends the search; one that cannot be reached, is starting or full,
or is of the wrong kind does not.
"""

from __future__ import annotations

import ipaddress
import os
import random
import socket
import struct
from collections.abc import Generator, Iterator
from typing import Any

from .actions import Action, Close, Limit, Open, Receive, ReceiveAnswer, Resolve, Send, Socket
from .errors import (
    PgAuthenticationError,
    PgConfigError,
    PgConnectionError,
    PgConnectTimeout,
    PgError,
    PgProtocolError,
    PgTLSError,
)
from .messages import TERMINATE, cancel_request, error_of, frontend_message
from .options import ConnectOptions, Host, KeepAlive
from .session import Session
from .startup import LIMIT, Startup, negotiate_tls

# A server that does not take a cancel request within this time is not going to.
CANCEL_SECONDS = 10.0

Attempt = Generator[Action, Any, Session]
Failures = list[tuple[Host, PgError]]


def connect(options: ConnectOptions) -> Attempt:
    """A session on the first server that suits. Raises PgError; of several failures one error that names them all."""
    failures: Failures = []
    kinds = (
        ("standby", "any")
        if options.target_session_attrs == "prefer-standby"
        else (options.target_session_attrs,)
    )
    for kind in kinds:
        hosts = list(options.hosts)
        if options.load_balance_hosts:
            random.shuffle(hosts)
        for host in hosts:
            session = yield from _try_host(options, host, kind, failures)
            if session is not None:
                yield Limit(None)
                return session
    yield Limit(None)
    raise _all(failures)


def _try_host(
    options: ConnectOptions, host: Host, kind: str, failures: Failures
) -> Generator[Action, Any, Session | None]:
    try:
        yield Limit(options.connect_timeout)
        addresses = yield from _addresses(options, host)
    except TimeoutError:
        failures.append((host, _timed_out(options, host, "the name server did not answer")))
        return None
    except OSError as problem:
        unknown = f'{host}: the name "{host.name}" was not found: {_words(problem)}.'
        failures.append((host, PgConnectionError(unknown, safe_to_retry=True)))
        return None
    for family, address in addresses:
        for mode in _modes(options, host):
            attempt = Startup(options, host, mode)
            try:
                yield Limit(options.connect_timeout)
                session = yield from _open(options, host, family, address, attempt)
                if (yield from _suits(session, kind)):
                    return session
            except PgError as problem:  # some are OSErrors as well
                error = problem
            except TimeoutError:
                error = _timed_out(options, host, "connect_timeout passed")
            except OSError as problem:
                error = PgConnectionError(f"{host}: {_words(problem)}.", safe_to_retry=True)
                error.__cause__ = problem
            except EOFError:
                error = PgConnectionError(f"{host}: the server closed the connection.", safe_to_retry=True)
            else:
                try:
                    yield Send(TERMINATE)
                except OSError:
                    pass
                yield Close()
                unsuited = f"{host}: the server is not {_described(kind)}."
                failures.append((host, PgConnectionError(unsuited, safe_to_retry=True)))
                return None  # its other addresses are the same server
            yield Close()
            if _other_mode_helps(mode, error, attempt):
                failures.append((host, error))
                continue
            if not _elsewhere(error):
                yield Limit(None)
                if failures:
                    error.__cause__ = failures[-1][1]
                raise error
            failures.append((host, error))
            break
    return None


def _open(options: ConnectOptions, host: Host, family: int, address: Any, attempt: Startup) -> Attempt:
    connected = yield Open(family, address)
    if host.is_unix:
        if options.require_peer is not None:
            _check_peer_user(connected, host, options.require_peer)
    else:
        tune(connected, options.keepalive)
    session = yield from attempt.run()
    session.family, session.address = family, address
    return session


def _addresses(options: ConnectOptions, host: Host) -> Generator[Action, Any, list[tuple[int, Any]]]:
    if host.is_unix:
        return [(socket.AF_UNIX, host.socket_path)]
    name = host.hostaddr or host.name
    try:
        # No thread and no name server for what is an address already.
        literal = ipaddress.ip_address(name)
        if literal.version == 4:
            return [(socket.AF_INET, (name, host.port))]
        if "%" not in name:
            return [(socket.AF_INET6, (name, host.port, 0, 0))]
    except ValueError:
        pass
    found = yield Resolve(name, host.port)
    addresses = list(found)
    if options.load_balance_hosts:
        random.shuffle(addresses)
    return addresses


def _modes(options: ConnectOptions, host: Host) -> Iterator[str]:
    """The sslmode of each attempt at one address."""
    mode = options.tls.mode
    if host.is_unix or mode == "disable":
        yield "disable"
    elif mode not in ("allow", "prefer") or options.channel_binding == "require":
        yield "require" if mode in ("allow", "prefer") else mode
    elif mode == "allow":
        yield "allow"
        yield "require"
    else:
        yield "prefer"
        yield "disable"


def _other_mode_helps(mode: str, error: PgError, attempt: Startup) -> bool:
    """True when sslmode has another way and it may lead further.

    Not once a password has been proven or shown: a refusal after that is about us, and falling back to plain text at
    such a moment would serve whoever stands in between.
    """
    if mode not in ("allow", "prefer") or attempt.answered:
        return False
    refused = error.code == "28000"  # no line of pg_hba.conf for this way
    return refused or (mode == "prefer" and isinstance(error, PgTLSError))


def _elsewhere(error: PgError) -> bool:
    """True when another address or host may do better."""
    if isinstance(error, PgConfigError | PgAuthenticationError):
        return False
    return isinstance(error, PgConnectionError)


def _timed_out(options: ConnectOptions, host: Host, what: str) -> PgConnectTimeout:
    return PgConnectTimeout(f"{host}: {what} ({options.connect_timeout:g} s).", safe_to_retry=True)


def _words(problem: OSError) -> str:
    if (
        isinstance(problem, ConnectionError | TimeoutError | FileNotFoundError | PermissionError)
        and problem.errno
    ):
        return os.strerror(problem.errno).lower()  # asyncio has a text of its own there
    return (problem.strerror or str(problem) or type(problem).__name__).rstrip(".").lower()


def _all(failures: Failures) -> PgError:
    if len(failures) == 1:
        return failures[0][1]
    late = all(isinstance(failure, PgConnectTimeout) for _, failure in failures)
    codes = {failure.code for _, failure in failures}
    lines = [
        failure.message if failure.message.startswith(str(host)) else f"{host}: {failure.message}"
        for host, failure in failures
    ]
    error = (PgConnectTimeout if late else PgConnectionError)(
        "No server could be reached:\n  " + "\n  ".join(lines),
        code=codes.pop() if len(codes) == 1 else "",
        safe_to_retry=True,
    )
    error.__cause__ = failures[-1][1]
    return error


# Kinds of session


def _described(kind: str) -> str:
    return {
        "read-write": "writable (target_session_attrs=read-write)",
        "read-only": "read-only (target_session_attrs=read-only)",
        "primary": "a primary (target_session_attrs=primary)",
        "standby": "a standby (target_session_attrs=standby)",
    }[kind]


def _suits(session: Session, kind: str) -> Generator[Action, Any, bool]:
    if kind == "any":
        return True
    # PostgreSQL 14 and later report both; else, and behind a pooler, we ask.
    standby = session.parameters.get("in_hot_standby")
    if kind in ("primary", "standby"):
        if standby is None:
            standby = "on" if (yield from _ask("SELECT pg_catalog.pg_is_in_recovery()")) == b"t" else "off"
        return (standby == "on") == (kind == "standby")
    read_only = session.parameters.get("default_transaction_read_only")
    if standby is None or read_only is None:
        answer = yield from _ask("SHOW transaction_read_only")
        writable = answer == b"off"
    else:
        writable = standby == "off" and read_only == "off"
    return writable == (kind == "read-write")


def _ask(sql: str) -> Generator[Action, Any, bytes | None]:
    """The first value of a simple query of one row."""
    yield Send(frontend_message(b"Q", sql.encode() + b"\0"))
    value: bytes | None = None
    failure: PgError | None = None
    while True:
        kind, payload = yield Receive(LIMIT)
        match chr(kind):
            case "Z":
                if failure is not None:
                    raise failure
                return value
            case "D" if len(payload) >= 6:
                count, length = struct.unpack_from("!Hi", payload)
                value = bytes(payload[6 : 6 + length]) if count and length >= 0 else None
            case "E":
                failure = error_of(payload)
                if failure.severity in ("FATAL", "PANIC"):
                    raise failure
            case "T" | "C" | "N" | "S":
                continue
            case other:
                raise PgProtocolError(f"unexpected message {other!r} in the answer to a query.")


# Sockets


def tune(connected: Socket, keepalive: KeepAlive) -> None:
    """Options of a TCP socket. What the system does not know is left out, as in libpq."""
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if not keepalive.enabled:
        return
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    # macOS calls the idle time TCP_KEEPALIVE, and Python knows it by that name.
    idle = getattr(socket, "TCP_KEEPIDLE", None) or getattr(socket, "TCP_KEEPALIVE", None)
    for option, value in (
        (idle, keepalive.idle),
        (getattr(socket, "TCP_KEEPINTVL", None), keepalive.interval),
        (getattr(socket, "TCP_KEEPCNT", None), keepalive.count),
        (getattr(socket, "TCP_USER_TIMEOUT", None), keepalive.user_timeout),
    ):
        if option is not None and value is not None:
            connected.setsockopt(socket.IPPROTO_TCP, option, value)


def _check_peer_user(connected: Socket, host: Host, expected: str) -> None:
    """requirepeer: who owns the other end of a unix socket. Raises PgAuthenticationError, PgConfigError."""
    if not hasattr(socket, "SO_PEERCRED"):
        raise PgConfigError("requirepeer is not supported on this system.")
    import pwd

    credentials = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, uid, _ = struct.unpack("3i", credentials)
    try:
        owner = pwd.getpwuid(uid).pw_name
    except KeyError:
        owner = str(uid)
    if owner != expected:
        raise PgAuthenticationError(f'{host}: requirepeer is "{expected}", but the server runs as "{owner}".')


# Cancelling


def cancel(
    options: ConnectOptions, session: Session, *, seconds: float = CANCEL_SECONDS
) -> Generator[Action, Any, None]:
    """Send a CancelRequest for the session, over a connection of its own to the same address and by the same way of TLS.

    Ends when the server has closed it: then the signal is sent, though perhaps not yet received (protocol 54.2.8).
    Raises PgConnectionError, also where the server (a pooler) gave no key to cancel with, and PgConnectTimeout.
    """
    if session.secret_key is None:
        raise PgConnectionError(
            "The server gave no key to cancel with (BackendKeyData); a pooler may stand in between."
        )
    request = cancel_request(session.backend_pid, session.secret_key)
    try:
        yield Limit(seconds)
        connected = yield Open(session.family, session.address)
        if not session.host.is_unix:
            tune(connected, options.keepalive)
        if session.tls is not None:
            mode = options.tls.mode
            yield from negotiate_tls(
                options, session.host, "require" if mode in ("allow", "prefer") else mode
            )
        yield Send(request)
        try:
            while True:
                yield ReceiveAnswer()
        except EOFError:
            pass
        except ConnectionError:
            pass  # the server closed it without reading on; that too says it is done
    except TimeoutError:
        yield Close()
        yield Limit(None)
        raise PgConnectTimeout(
            f"{session.host}: the server did not take the cancel request in {seconds:g} s."
        ) from None
    except OSError as problem:
        yield Close()
        yield Limit(None)
        if isinstance(problem, PgError):
            raise
        raise PgConnectionError(
            f"{session.host}: the cancel request could not be sent: {_words(problem)}."
        ) from problem
    yield Close()
    yield Limit(None)
