"""A proxy on loopback that does to a connection what networks do: delay, cut, swallow, dribble.

    with FaultProxy(("127.0.0.1", 5432)) as proxy:
        connect(proxy.host, proxy.port)
        proxy.latency = 0.05          # seconds, each way
        proxy.chunk = 1               # one byte at a time
        proxy.black_hole()            # bytes and FINs vanish in both directions; `restore()` lets them through again
        proxy.reset()                 # RST to both ends of every connection
        proxy.half_close()            # FIN towards the client, what it says still reaches the server
        proxy.cut_after(100)          # every new connection dies (RST) after so many bytes from the server
        proxy.refuse()                # nobody listens any more; `accept()` listens again on the same port

The target is (host, port), or the path of a unix socket. It runs in a thread of its own, so it serves asyncio and
blocking clients alike.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Link:
    """One client and its connection to the target."""

    def __init__(self, client: socket.socket, upstream: socket.socket, limit: int | None) -> None:
        self.client = client
        self.upstream = upstream
        self.limit = limit
        self.half_closed = False
        self.tasks: list[asyncio.Task[None]] = []

    def close(self, *, reset: bool = False) -> None:
        for end in (self.client, self.upstream):
            with contextlib.suppress(OSError):
                if reset:
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                end.close()


class FaultProxy:
    """latency: seconds added each way per piece. chunk: largest piece passed on, in bytes; None: as it comes.

    connections: how many were accepted. sent, received: bytes passed to the target and back.
    """

    host = "127.0.0.1"

    def __init__(self, target: tuple[str, int] | str) -> None:
        self.target = target
        self.latency = 0.0
        self.chunk: int | None = None
        self.connections = 0
        self.sent = 0
        self.received = 0
        self._limit: int | None = None
        self._links: set[_Link] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._listener = socket.create_server((self.host, 0), backlog=128)
        self._listener.setblocking(False)
        self.port = int(self._listener.getsockname()[1])
        self._open: asyncio.Event
        self._acceptor: asyncio.Task[None] | None = None
        self._thread.start()
        self._call(self._begin())

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def _do(self, action: Callable[[], object]) -> None:
        async def run() -> None:
            action()

        self._call(run())

    async def _begin(self) -> None:
        self._open = asyncio.Event()
        self._open.set()
        self._acceptor = asyncio.create_task(self._accept())

    async def _accept(self) -> None:
        while True:
            client, _ = await self._loop.sock_accept(self._listener)
            self.connections += 1
            client.setblocking(False)
            asyncio.create_task(self._serve(client))  # noqa: RUF006 - ends with its link, which `_links` holds

    async def _serve(self, client: socket.socket) -> None:
        unix = isinstance(self.target, str)
        upstream = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
        upstream.setblocking(False)
        try:
            await self._loop.sock_connect(upstream, self.target)
        except OSError:
            upstream.close()
            client.close()
            return
        for end in (client, upstream):
            if end.family != socket.AF_UNIX:
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link = _Link(client, upstream, self._limit)
        self._links.add(link)
        link.tasks = [
            asyncio.create_task(self._pump(link, client, upstream, down=False)),
            asyncio.create_task(self._pump(link, upstream, client, down=True)),
        ]
        await asyncio.wait(link.tasks)
        link.close()
        self._links.discard(link)

    async def _pump(self, link: _Link, source: socket.socket, sink: socket.socket, *, down: bool) -> None:
        try:
            while data := await self._loop.sock_recv(source, 65536):
                for start in range(0, len(data), self.chunk or len(data)):
                    piece = data[start : start + (self.chunk or len(data))]
                    if self.latency:
                        await asyncio.sleep(self.latency)
                    await self._open.wait()
                    if down and link.limit is not None:
                        piece = piece[: link.limit]
                        link.limit -= len(piece)
                    if down and link.half_closed:
                        continue  # the client was told that nothing comes any more
                    await self._loop.sock_sendall(sink, piece)
                    if down:
                        self.received += len(piece)
                        if link.limit == 0:
                            self._end(link, reset=True)
                            return
                    else:
                        self.sent += len(piece)
            await self._open.wait()
            if not (down and link.half_closed):
                sink.shutdown(socket.SHUT_WR)
        except OSError:
            # A reset on one side is a reset on the other.
            self._end(link, reset=True)

    def _end(self, link: _Link, *, reset: bool) -> None:
        # The tasks first: closing a socket under a pending sock_recv would leave its descriptor registered.
        me = asyncio.current_task()
        for task in link.tasks:
            if task is not me:
                task.cancel()

        def close() -> None:
            link.close(reset=reset)
            self._links.discard(link)

        self._loop.call_soon(close)

    # Faults

    def black_hole(self) -> None:
        self._do(lambda: self._open.clear())

    def restore(self) -> None:
        self._do(lambda: self._open.set())

    def reset(self) -> None:
        self._do(lambda: [self._end(link, reset=True) for link in list(self._links)])

    def kill(self) -> None:
        """FIN to both ends of every connection, at once."""
        self._do(lambda: [self._end(link, reset=False) for link in list(self._links)])

    def half_close(self) -> None:
        def tell() -> None:
            for link in self._links:
                link.half_closed = True
                with contextlib.suppress(OSError):  # the client may have gone by itself
                    link.client.shutdown(socket.SHUT_WR)

        self._do(tell)

    def cut_after(self, count: int | None) -> None:
        self._limit = count

    def refuse(self) -> None:
        def stop() -> None:
            if self._acceptor is not None:
                self._acceptor.cancel()
            self._loop.call_soon(self._listener.close)

        self._do(stop)
        self._do(lambda: None)

    def accept(self) -> None:
        async def again() -> None:
            self._listener = socket.create_server((self.host, self.port), backlog=128)
            self._listener.setblocking(False)
            self._acceptor = asyncio.create_task(self._accept())

        self._call(again())

    @property
    def open_connections(self) -> int:
        return len(self._links)

    def stop(self) -> None:
        async def end() -> None:
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for link in list(self._links):
                link.close(reset=True)
            self._links.clear()
            self._listener.close()

        if not self._loop.is_closed():
            self._call(end())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(5)
            self._loop.close()

    def __enter__(self) -> FaultProxy:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
