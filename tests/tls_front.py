"""Whoever stands in front of a PostgreSQL server and speaks TLS to the client: a terminator, or a man in the middle.

direct: the client starts with TLS (PostgreSQL 17 and later do that themselves; the connection is closed unless ALPN chose
`postgresql`, as they do). upstream_tls: speak TLS to the server too, after an SSLRequest. rewrite: changes each
piece of bytes on its way from the server to the client.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from typing import Any

SSL_REQUEST = struct.pack("!ii", 8, 80877103)


class TLSFront:
    host = "127.0.0.1"

    def __init__(
        self,
        target: tuple[str, int],
        context: ssl.SSLContext,
        *,
        direct: bool = False,
        upstream_tls: bool = False,
        rewrite: Callable[[bytes], bytes] = bytes,
    ) -> None:
        self._target, self._context, self._direct = target, context, direct
        self._upstream_tls, self._rewrite = upstream_tls, rewrite
        self._listener = socket.create_server((self.host, 0))
        self.port = int(self._listener.getsockname()[1])
        self.handshakes = 0
        self._open: list[Any] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: Any) -> None:
        client.settimeout(30)
        self._open.append(client)
        upstream: Any = socket.create_connection(self._target, timeout=30)
        self._open.append(upstream)
        try:
            if not self._direct:
                assert client.recv(8) == SSL_REQUEST
                client.sendall(b"S")
            client = self._context.wrap_socket(client, server_side=True)
            self._open.append(client)
            if self._direct and client.selected_alpn_protocol() != "postgresql":
                return
            self.handshakes += 1
            if self._upstream_tls:
                upstream.sendall(SSL_REQUEST)
                assert upstream.recv(1) == b"S"
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                upstream = context.wrap_socket(upstream)
                self._open.append(upstream)
            up = threading.Thread(target=self._pump, args=(client, upstream, bytes), daemon=True)
            up.start()
            self._pump(upstream, client, self._rewrite)
            up.join(10)
        except (OSError, AssertionError):
            pass
        finally:
            for end in (client, upstream):
                with contextlib.suppress(OSError):
                    end.close()

    @staticmethod
    def _pump(source: Any, sink: Any, change: Callable[[bytes], bytes]) -> None:
        # The first end to close ends both: neither side half-closes in this protocol.
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(change(data))
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def stop(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for end in self._open:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        for end in self._open:
            end.close()

    def __enter__(self) -> TLSFront:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
