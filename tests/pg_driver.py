"""A blocking driver of the handshake's generators: each action by the plainest socket call there is."""

from __future__ import annotations

import inspect
import socket
import ssl
import struct
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

from swift.pg import actions as a
from swift.pg.conninfo import ConnectOptions, parse
from swift.pg.errors import PgProtocolError
from swift.pg.session import Session
from swift.pg.target import cancel, connect


@dataclass
class Driver:
    """Runs one generator. opened, received: what happened, for tests to look at."""

    socket: Any = None
    opened: list[Any] = field(default_factory=list)
    actions: list[a.Action] = field(default_factory=list)
    buffer: bytes = b""
    deadline: float | None = None

    def run(self, generator: Generator[a.Action, Any, Any]) -> Any:
        try:
            action = next(generator)
            while True:
                self.actions.append(action)
                try:
                    reply = self.do(action)
                except (Exception, KeyboardInterrupt) as problem:
                    action = generator.throw(problem)
                else:
                    action = generator.send(reply)
        except StopIteration as end:
            return end.value
        except BaseException:
            self.close()
            raise

    def do(self, action: a.Action) -> Any:
        match action:
            case a.Limit(seconds):
                self.deadline = None if seconds is None else time.monotonic() + seconds
                return None
            case a.Resolve(host, port):
                found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
                return [(family, address) for family, _, _, _, address in found]
            case a.Open(family, address):
                assert self.socket is None, "the last socket was not closed"
                self.opened.append(address)
                self.buffer = b""
                self.socket = socket.socket(family, socket.SOCK_STREAM)
                self._arm()
                self.socket.connect(address)
                return self.socket
            case a.Send(data):
                self._arm()
                return self.socket.sendall(data)
            case a.Receive(limit):
                header = self._read(5)
                (length,) = struct.unpack_from("!i", header, 1)
                if not 0 <= length - 4 <= limit:
                    raise PgProtocolError(f"a message of {length} bytes")
                return header[0], self._read(length - 4)
            case a.ReceiveAnswer():
                self._arm()
                data = self.socket.recv(8192)
                if not data:
                    raise EOFError
                return data
            case a.StartTLS(context, name):
                self._arm()
                assert not self.buffer
                self.socket = context.wrap_socket(self.socket, server_hostname=name)
                return self.socket
            case a.Call(function, _):
                result = function()
                assert not inspect.isawaitable(result)
                return result
            case a.Close():
                return self.close()

    def _arm(self) -> None:
        if self.deadline is not None and self.socket is not None:
            left = self.deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self.socket.settimeout(left)
        elif self.socket is not None:
            self.socket.settimeout(30)

    def _read(self, count: int) -> bytes:
        while len(self.buffer) < count:
            self._arm()
            chunk = self.socket.recv(65536)
            if not chunk:
                raise EOFError
            self.buffer += chunk
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def close(self) -> None:
        if self.socket is not None:
            self.socket.close()
            self.socket = None


@dataclass
class Connected:
    """A session and its socket. Use as a context manager."""

    session: Session
    driver: Driver
    options: ConnectOptions

    def query(self, sql: str) -> str | None:
        """The first value of a simple query, as text. Raises AssertionError with the server's message."""
        driver = self.driver
        payload = sql.encode() + b"\0"
        driver.deadline = time.monotonic() + 30
        driver.do(a.Send(b"Q" + struct.pack("!i", len(payload) + 4) + payload))
        value, failure = None, None
        while True:
            kind, payload = driver.do(a.Receive(1 << 30))
            if kind == ord("D") and payload[2:6] != b"\xff\xff\xff\xff":
                value = payload[6 : 6 + struct.unpack_from("!i", payload, 2)[0]].decode()
            elif kind == ord("E"):
                failure = payload
            elif kind == ord("Z"):
                assert failure is None, failure
                return value

    def cancel(self) -> Driver:
        driver = Driver()
        driver.run(cancel(self.options, self.session))
        return driver

    def __enter__(self) -> Connected:
        return self

    def __exit__(self, *_: object) -> None:
        self.driver.close()


def open_session(dsn: str | ConnectOptions, *, driver: Driver | None = None, **overrides: Any) -> Connected:
    """Connect by a connection string; PG* variables and files of whoever runs the tests do not count."""
    overrides.setdefault("environment", {})
    options = dsn if isinstance(dsn, ConnectOptions) else parse(dsn, **overrides)
    driver = driver or Driver()
    return Connected(driver.run(connect(options)), driver, options)


def tls_version(connected: Connected) -> str | None:
    """TLSv1.2, TLSv1.3 or None."""
    link = connected.session.tls
    return link.version() if isinstance(link, ssl.SSLSocket) else None
