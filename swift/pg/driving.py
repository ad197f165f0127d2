"""Runs the generators of the handshake (`target.connect`, `target.cancel`) over real sockets.

Two drivers of one shape: under an event loop, and on a thread that waits. Both leave behind the open socket, and the
bytes that followed the handshake.
"""

from __future__ import annotations

import asyncio
import errno
import inspect
import os
import socket
import ssl
import time
from collections.abc import Generator
from typing import Any, NamedTuple, TypeVar, cast

from swift._speedups import pgio

from .actions import (
    Action,
    Call,
    Close,
    Limit,
    Open,
    Receive,
    ReceiveAnswer,
    Resolve,
    Send,
    StartTLS,
)
from .errors import PgProtocolError

T = TypeVar("T")

# libuv stops watching a socket that was reset (POLLERR) and tells nobody, so under uvloop who waits for one looks at it
# himself as often as this (seconds).
LOOK_SECONDS = 0.1
UNDER_WAY = (errno.EINPROGRESS, errno.EALREADY, errno.EAGAIN, errno.EINTR)


def needs_looks(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether a reset of a socket may pass unnoticed under this loop."""
    return type(loop).__module__.partition(".")[0] == "uvloop"


class Opened(NamedTuple):
    """What a driven generator leaves: its result, the socket, and the bytes received beyond the handshake."""

    result: Any
    socket: pgio.Socket | None
    rest: bytes


def _addresses(found: list[Any]) -> list[tuple[int, Any]]:
    return [(entry[0], entry[4]) for entry in found]


class _Frames:
    """What was received and not yet taken."""

    def __init__(self) -> None:
        self.bytes = bytearray()

    def take(self, limit: int) -> tuple[int, bytes] | None:
        held = self.bytes
        if len(held) < 5:
            return None
        length = int.from_bytes(held[1:5], "big", signed=True)
        if length < 4 or length - 4 > limit:
            raise PgProtocolError(
                f"The server sent a message of {length} bytes where at most {limit} make sense.", code="08P01"
            )
        if len(held) < length + 1:
            return None
        frame = held[0], bytes(held[5 : length + 1])
        del held[: length + 1]
        return frame

    def take_all(self) -> bytes:
        everything = bytes(self.bytes)
        self.bytes.clear()
        return everything


class LoopDriver:
    """Drives a generator under the running loop."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.looks = needs_looks(self.loop)
        self.socket: pgio.Socket | None = None
        self.frames = _Frames()
        self.deadline: float | None = None

    async def run(self, generator: Generator[Action, Any, T]) -> Opened:
        """Drives it to its end. Cancelled or failed, the socket is closed."""
        try:
            action = next(generator)
            while True:
                try:
                    async with asyncio.timeout_at(self.deadline):
                        reply = await self._do(action)
                except Exception as error:
                    action = generator.throw(error)
                else:
                    action = generator.send(reply)
        except StopIteration as end:
            return Opened(end.value, self.socket, self.frames.take_all())
        except BaseException:
            self._close()
            raise
        finally:
            generator.close()

    async def _do(self, action: Action) -> Any:
        match action:
            case Send(data):
                return await self._send(data)
            case Receive(limit):
                while (frame := self.frames.take(limit)) is None:
                    self.frames.bytes += await self._receive()
                return frame
            case ReceiveAnswer():
                return self.frames.take_all() or await self._receive()
            case Limit(seconds):
                self.deadline = None if seconds is None else self.loop.time() + seconds
            case Resolve(host, port):
                return _addresses(await self.loop.getaddrinfo(host, port, type=socket.SOCK_STREAM))
            case Open(family, address):
                return await self._open(family, address)
            case StartTLS(context, server_hostname):
                return await self._start_tls(context, server_hostname)
            case Call(function, slow):
                if slow:
                    return await asyncio.to_thread(function)
                reply = function()
                return await reply if inspect.isawaitable(reply) else reply
            case Close():
                self._close()
        return None

    async def _open(self, family: int, address: Any) -> socket.socket:
        connecting = socket.socket(family, socket.SOCK_STREAM)
        try:
            connecting.setblocking(False)
            if self.looks:
                await self._connect(connecting, address)
            else:
                await self.loop.sock_connect(connecting, address)
        except BaseException:
            connecting.close()
            raise
        self.frames = _Frames()
        self.socket = pgio.Socket(connecting)
        return connecting

    async def _connect(self, connecting: socket.socket, address: Any) -> None:
        while (code := connecting.connect_ex(address)) in UNDER_WAY:
            await self._ready(connecting.fileno(), write=True)
        if code not in (0, errno.EISCONN):
            raise OSError(code, os.strerror(code))

    async def _ready(self, descriptor: int, *, write: bool) -> None:
        """Until the socket may be ready: try, and wait again."""
        ready = self.loop.create_future()

        def tell() -> None:
            if not ready.done():
                ready.set_result(None)

        if write:
            self.loop.add_writer(descriptor, tell)
        else:
            self.loop.add_reader(descriptor, tell)
        look = self.loop.call_later(LOOK_SECONDS, tell) if self.looks else None
        try:
            await ready
        finally:
            if look is not None:
                look.cancel()
            if write:
                self.loop.remove_writer(descriptor)
            else:
                self.loop.remove_reader(descriptor)

    async def _send(self, data: bytes) -> None:
        assert self.socket is not None
        while data:
            sent = self.socket.write(data)
            data = data[sent:]
            if data:
                await self._ready(self.socket.fd, write=True)
        while not self.socket.flushed:
            await self._ready(self.socket.fd, write=True)

    async def _receive(self) -> bytes:
        assert self.socket is not None
        while (data := self.socket.read()) is None:
            await self._ready(self.socket.fd, write=False)
        if not data:
            raise EOFError
        return data

    async def _start_tls(self, context: ssl.SSLContext, server_hostname: str | None) -> Any:
        assert self.socket is not None
        self.socket.start_tls(context, server_hostname)
        while (wanted := self.socket.handshake()) is not None:
            await self._ready(self.socket.fd, write=wanted == "write")
        return self.socket.tls

    def _close(self) -> None:
        if self.socket is not None:
            self.socket.close()
            self.socket = None


class BlockingDriver:
    """Drives a generator on this thread, which waits. An awaitable password is run in a loop of its own."""

    def __init__(self) -> None:
        self.socket: pgio.Socket | None = None
        self.frames = _Frames()
        self.deadline: float | None = None

    def run(self, generator: Generator[Action, Any, T]) -> Opened:
        """Drives it to its end. When it fails, the socket is closed."""
        try:
            action = next(generator)
            while True:
                try:
                    reply = self._do(action)
                except Exception as error:
                    action = generator.throw(error)
                else:
                    action = generator.send(reply)
        except StopIteration as end:
            return Opened(end.value, self.socket, self.frames.take_all())
        except BaseException:
            self._close()
            raise
        finally:
            generator.close()

    def _do(self, action: Action) -> Any:
        match action:
            case Send(data):
                return self._send(data)
            case Receive(limit):
                while (frame := self.frames.take(limit)) is None:
                    self.frames.bytes += self._receive()
                return frame
            case ReceiveAnswer():
                return self.frames.take_all() or self._receive()
            case Limit(seconds):
                self.deadline = None if seconds is None else time.monotonic() + seconds
            case Resolve(host, port):
                return _addresses(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
            case Open(family, address):
                return self._open(family, address)
            case StartTLS(context, server_hostname):
                return self._start_tls(context, server_hostname)
            case Call(function, _):
                reply = function()
                return asyncio.run(_awaited(reply)) if inspect.isawaitable(reply) else reply
            case Close():
                self._close()
        return None

    def _left(self) -> float:
        if self.deadline is None:
            return -1.0
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def _open(self, family: int, address: Any) -> socket.socket:
        connecting = socket.socket(family, socket.SOCK_STREAM)
        try:
            left = self._left()
            connecting.settimeout(None if left < 0 else left)
            connecting.connect(address)
        except BaseException:
            connecting.close()
            raise
        self.frames = _Frames()
        self.socket = pgio.Socket(connecting)
        return connecting

    def _ready(self, *, write: bool) -> None:
        if cast(pgio.Socket, self.socket).wait(write, self._left()) is None:
            raise TimeoutError

    def _send(self, data: bytes) -> None:
        assert self.socket is not None
        while data:
            data = data[self.socket.write(data) :]
            if data:
                self._ready(write=True)
        while not self.socket.flushed:
            self._ready(write=True)

    def _receive(self) -> bytes:
        assert self.socket is not None
        while (data := self.socket.read()) is None:
            self._ready(write=False)
        if not data:
            raise EOFError
        return data

    def _start_tls(self, context: ssl.SSLContext, server_hostname: str | None) -> Any:
        assert self.socket is not None
        self.socket.start_tls(context, server_hostname)
        while (wanted := self.socket.handshake()) is not None:
            self._ready(write=wanted == "write")
        return self.socket.tls

    def _close(self) -> None:
        if self.socket is not None:
            self.socket.close()
            self.socket = None


async def _awaited(awaitable: Any) -> Any:
    return await awaitable


async def drive(generator: Generator[Action, Any, T]) -> Opened:
    """Under the running loop."""
    return await LoopDriver().run(generator)


def drive_blocking(generator: Generator[Action, Any, T]) -> Opened:
    """On this thread."""
    return BlockingDriver().run(generator)
