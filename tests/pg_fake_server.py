"""A scripted PostgreSQL server: does what a script says, so also what a real server never does.

    def script(peer: Peer) -> None:
        startup = peer.expect_startup()
        peer.send(authentication(0), parameter_status("server_version", "17.0"), ready())
        peer.expect("Q")
        peer.send(error("57P01", "bye", severity="FATAL"))
        peer.close()

    with FakeServer(script) as server:
        ...  # connect to server.host, server.port

One script serves every connection; several serve the connections in their order. An assertion that fails in a script
fails the test when the `with` block ends.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterable
from typing import Any

SSL_REQUEST = 80877103
GSS_REQUEST = 80877104
CANCEL_REQUEST = 80877102

Script = Callable[["Peer"], None]


# Messages of the backend


def message(kind: str, payload: bytes = b"") -> bytes:
    return kind.encode() + struct.pack("!i", len(payload) + 4) + payload


def text(value: str | bytes) -> bytes:
    return (value.encode() if isinstance(value, str) else value) + b"\0"


def authentication(code: int, payload: bytes = b"") -> bytes:
    """0 ok, 3 cleartext, 5 md5 (payload: salt), 10 SASL (payload: mechanisms), 11 SASLContinue, 12 SASLFinal."""
    return message("R", struct.pack("!i", code) + payload)


def sasl(*mechanisms: str) -> bytes:
    return authentication(10, b"".join(map(text, mechanisms)) + b"\0")


def parameter_status(name: str, value: str) -> bytes:
    return message("S", text(name) + text(value))


def backend_key_data(pid: int = 4711, secret: bytes = b"\x00\x00\x00\x2a") -> bytes:
    return message("K", struct.pack("!i", pid) + secret)


def ready(status: str = "I") -> bytes:
    return message("Z", status.encode())


def negotiate(minor: int, *unknown: str) -> bytes:
    return message("v", struct.pack("!ii", minor, len(unknown)) + b"".join(map(text, unknown)))


def error(
    code: str | None, sentence: str, *, severity: str = "ERROR", kind: str = "E", **fields: str
) -> bytes:
    """An ErrorResponse (kind "N": a NoticeResponse). Further fields by their letter: `D="detail"`."""
    parts = {
        "S": severity,
        "V": severity,
        **({"C": code} if code is not None else {}),
        "M": sentence,
        **fields,
    }
    return message(kind, b"".join(name.encode() + text(value) for name, value in parts.items()) + b"\0")


def row_description(*columns: tuple[str, int]) -> bytes:
    """Columns as (name, type oid), in binary."""
    fields = b"".join(text(name) + struct.pack("!ihihih", 0, 0, oid, -1, -1, 1) for name, oid in columns)
    return message("T", struct.pack("!H", len(columns)) + fields)


def data_row(*values: bytes | None) -> bytes:
    cells = b"".join(
        struct.pack("!i", -1) if value is None else struct.pack("!i", len(value)) + value for value in values
    )
    return message("D", struct.pack("!H", len(values)) + cells)


def parameter_description(*oids: int) -> bytes:
    return message("t", struct.pack(f"!H{len(oids)}I", len(oids), *oids))


def command_complete(tag: str) -> bytes:
    return message("C", text(tag))


PARSE_COMPLETE = message("1")
BIND_COMPLETE = message("2")
CLOSE_COMPLETE = message("3")
NO_DATA = message("n")
EMPTY_QUERY = message("I")
PORTAL_SUSPENDED = message("s")

WELCOME = (
    authentication(0)
    + parameter_status("server_version", "17.0")
    + parameter_status("server_encoding", "UTF8")
    + parameter_status("client_encoding", "UTF8")
    + parameter_status("standard_conforming_strings", "on")
    + parameter_status("integer_datetimes", "on")
    + backend_key_data()
    + ready()
)


class Gone(Exception):
    """The client closed the connection where the script expected a message."""


class Peer:
    """The server's end of one connection."""

    def __init__(self, connection: socket.socket, server: FakeServer) -> None:
        self.socket: socket.socket | ssl.SSLSocket = connection
        self.server = server
        self.startup: dict[str, str] = {}
        self.protocol = 0

    # What the client says

    def read(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            try:
                chunk = self.socket.recv(count - len(data))
            except (ConnectionError, ssl.SSLError) as problem:
                raise Gone(f"after {data!r} of {count} bytes") from problem
            if not chunk:
                raise Gone(f"after {data!r} of {count} bytes")
            data += chunk
        return data

    def expect_packet(self) -> tuple[int, bytes]:
        """A message without a type byte: (its first word, the rest)."""
        (length,) = struct.unpack("!i", self.read(4))
        payload = self.read(length - 4)
        return struct.unpack("!i", payload[:4])[0], payload[4:]

    def expect_ssl_request(self) -> None:
        code, rest = self.expect_packet()
        assert (code, rest) == (SSL_REQUEST, b""), f"expected SSLRequest, got {code}"

    def expect_startup(self) -> dict[str, str]:
        """A StartupMessage; the parameters in it. `protocol` is then its version (0x30000 for 3.0)."""
        code, rest = self.expect_packet()
        if code in (SSL_REQUEST, GSS_REQUEST):
            self.socket.sendall(b"N")
            return self.expect_startup()
        assert code >> 16 == 3, f"expected StartupMessage, got {code}"
        self.protocol = code
        assert rest.endswith(b"\0\0"), rest
        parts = rest[:-2].split(b"\0")
        self.startup = {parts[i].decode(): parts[i + 1].decode() for i in range(0, len(parts) - 1, 2)}
        return self.startup

    def expect_cancel(self) -> tuple[int, bytes]:
        code, rest = self.expect_packet()
        assert code == CANCEL_REQUEST, f"expected CancelRequest, got {code}"
        return struct.unpack("!i", rest[:4])[0], rest[4:]

    def receive(self) -> tuple[str, bytes]:
        """The next message, whatever it is: (type, payload)."""
        kind = self.read(1).decode("latin-1")
        (length,) = struct.unpack("!i", self.read(4))
        return kind, self.read(length - 4)

    def expect(self, *kinds: str) -> bytes:
        """The payload of the last of the messages `kinds`, which must come in this order."""
        payload = b""
        for wanted in kinds:
            kind, payload = self.receive()
            assert kind == wanted, f"expected message {wanted!r}, got {kind!r} {payload!r}"
        return payload

    def expect_close(self) -> None:
        """Nothing more than a Terminate, then the end."""
        try:
            kind, payload = self.receive()
            assert kind == "X", f"expected the end of the connection, got {kind!r} {payload!r}"
            self.expect_close()
        except Gone:
            pass

    def skip_until(self, wanted: str) -> bytes:
        while True:
            kind, payload = self.receive()
            if kind == wanted:
                return payload

    # What the server says

    def send(self, *messages: bytes) -> None:
        with contextlib.suppress(ConnectionError):
            self.socket.sendall(b"".join(messages))

    def send_bytewise(self, *messages: bytes) -> None:
        """One byte per segment."""
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"".join(messages):
            self.socket.sendall(bytes([byte]))

    def welcome(self) -> dict[str, str]:
        """Startup without a password, up to ReadyForQuery."""
        startup = self.expect_startup()
        self.send(WELCOME)
        return startup

    def start_tls(self, context: ssl.SSLContext, *, answer: bytes = b"S") -> None:
        """Answer an SSLRequest with yes and become TLS (answer=b"": without SSLRequest, direct TLS)."""
        if answer:
            self.expect_ssl_request()
            self.socket.sendall(answer)
        self.socket = context.wrap_socket(self.socket, server_side=True)

    def half_close(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.socket.close()

    def reset(self) -> None:
        """Close by RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def wait(self, event: threading.Event, seconds: float = 10.0) -> None:
        assert event.wait(seconds), "the test did not let the script go on"


class FakeServer:
    """Listens on loopback, plays scripts in threads of its own, from construction on; `stop()` or the end of `with` ends it.

    host, port: where. connections: how many came. With `unix`, a path, it listens on a unix socket there.
    """

    host = "127.0.0.1"

    def __init__(self, *scripts: Script, unix: str | None = None, host: str = "127.0.0.1") -> None:
        self._scripts = scripts
        self.host = host
        self._listener: socket.socket
        if unix is not None:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(unix)
            self._listener.listen(64)
            self.port = 0
        else:
            self._listener = socket.create_server((host, 0), backlog=64)
            self.port = int(self._listener.getsockname()[1])
        self.connections = 0
        self.failures: list[BaseException] = []
        self._open: list[Peer] = []
        self._threads: list[threading.Thread] = []
        self._stopping = False
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def dsn(self, user: str = "tester", database: str = "test", **options: str) -> str:
        query = "&".join(f"{key}={value}" for key, value in {"sslmode": "disable", **options}.items())
        return f"postgresql://{user}@{self.host}:{self.port}/{database}?{query}"

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            if self._stopping:
                connection.close()
                return
            connection.settimeout(30)
            script = self._scripts[min(self.connections, len(self._scripts) - 1)]
            self.connections += 1
            peer = Peer(connection, self)
            self._open.append(peer)
            thread = threading.Thread(target=self._play, args=(script, peer), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _play(self, script: Script, peer: Peer) -> None:
        try:
            script(peer)
        except Gone as gone:
            if not self._stopping:
                self.failures.append(gone)
        except BaseException as problem:
            if not self._stopping:
                self.failures.append(problem)
        finally:
            with contextlib.suppress(OSError):
                peer.socket.close()

    def stop(self, *, grace: float = 2.0) -> None:
        for thread in self._threads:
            thread.join(grace)
        self._stopping = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for peer in self._open:
            with contextlib.suppress(OSError):
                peer.socket.shutdown(socket.SHUT_RDWR)
        for thread in [*self._threads, self._acceptor]:
            thread.join(5)

    def __enter__(self) -> FakeServer:
        return self

    def __exit__(self, kind: Any, *_: object) -> None:
        # A test that already failed is not made to wait for scripts that wait for it.
        self.stop(grace=0.1 if kind else 2.0)
        if kind is None and self.failures:
            raise self.failures[0]


def serve(steps: Iterable[bytes | str]) -> Script:
    """A script from a list: bytes are sent; a string of type letters is expected ("startup" is a StartupMessage)."""

    def script(peer: Peer) -> None:
        for step in steps:
            if isinstance(step, bytes):
                peer.send(step)
            elif step == "startup":
                peer.expect_startup()
            else:
                peer.expect(*step)

    return script
