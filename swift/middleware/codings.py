"""The content codings that can be written: gzip always, Brotli and Zstandard where they are installed."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

# Best first, for clients that like several equally: at their default levels Zstandard and Brotli make
# smaller bodies than gzip, and Zstandard takes the least time.
PREFERENCE: Final = ("zstd", "br", "gzip")

_LEVELS: Final = {"gzip": range(1, 10), "br": range(12), "zstd": range(1, 20)}

_PACKAGES: Final = {"br": "brotli", "zstd": "zstandard"}


class Compressor(Protocol):
    """One stream of a coding."""

    def feed(self, data: bytes) -> bytes:
        """What must be sent so that the receiver can read all of `data`."""

    def finish(self) -> bytes:
        """The end of the stream."""


@dataclass(frozen=True, slots=True)
class Coding:
    """A coding at one level: for whole bodies, and for streams."""

    name: str
    compress: Callable[[bytes], bytes]
    compressor: Callable[[], Compressor]


class _Stream:
    """A compressor made of its three steps."""

    __slots__ = ("_add", "_end", "_flush")

    def __init__(
        self, add: Callable[[bytes], bytes], flush: Callable[[], bytes], end: Callable[[], bytes]
    ) -> None:
        self._add = add
        self._flush = flush
        self._end = end

    def feed(self, data: bytes) -> bytes:
        return self._add(data) + self._flush() if data else b""

    def finish(self) -> bytes:
        return self._end()


def installed_codings(names: Sequence[str] | None, levels: Mapping[str, int]) -> dict[str, Coding]:
    """The codings of `names` in that order, or all that are installed; each at its level.

    Raises ValueError for a coding that is unknown, not installed, or a level it does not have.
    """
    codings: dict[str, Coding] = {}
    for name in PREFERENCE if names is None else names:
        if name not in _LEVELS:
            raise ValueError(f"{name!r} is no coding of ours; choose from {', '.join(PREFERENCE)}.")
        if levels[name] not in _LEVELS[name]:
            possible = _LEVELS[name]
            raise ValueError(
                f"Level {levels[name]} is none of {name}; it has {possible[0]} to {possible[-1]}."
            )
        coding = _MAKERS[name](levels[name])
        if coding is not None:
            codings[name] = coding
        elif names is not None:
            raise ValueError(
                f"Coding {name!r} needs the package {_PACKAGES[name]}: pip install swift-api[compression]"
            )
    return codings


def _gzip(level: int) -> Coding:
    # 31: the largest window, 15 bits, and 16 for the gzip container (zlib manual, deflateInit2).
    def compressor() -> Compressor:
        stream = zlib.compressobj(level, zlib.DEFLATED, 31)
        return _Stream(stream.compress, lambda: stream.flush(zlib.Z_SYNC_FLUSH), stream.flush)

    return Coding("gzip", lambda data: zlib.compress(data, level, 31), compressor)


def _brotli(quality: int) -> Coding | None:
    brotli = _import("brotli", "brotlicffi")
    if brotli is None:
        return None

    def compress(data: bytes) -> bytes:
        compressed: bytes = brotli.compress(data, quality=quality)
        return compressed

    def compressor() -> Compressor:
        stream = brotli.Compressor(quality=quality)
        return _Stream(stream.process, stream.flush, stream.finish)

    return Coding("br", compress, compressor)


def _zstandard(level: int) -> Coding | None:
    """Windows stay under the 8 MiB that RFC 9659 permits: levels up to 19 use no more."""
    zstd = _import("compression.zstd", "backports.zstd")
    if zstd is not None:

        def compress(data: bytes) -> bytes:
            compressed: bytes = zstd.compress(data, level)
            return compressed

        def compressor() -> Compressor:
            stream = zstd.ZstdCompressor(level)
            return _Stream(
                stream.compress,
                lambda: stream.flush(stream.FLUSH_BLOCK),
                lambda: stream.flush(stream.FLUSH_FRAME),
            )

        return Coding("zstd", compress, compressor)
    zstandard = _import("zstandard")
    if zstandard is None:
        return None

    # A ZstdCompressor of this package serves one thread at a time, so each body gets its own.
    def compress_with_package(data: bytes) -> bytes:
        compressed: bytes = zstandard.ZstdCompressor(level).compress(data)
        return compressed

    def compressor_of_package() -> Compressor:
        stream = zstandard.ZstdCompressor(level).compressobj()
        return _Stream(stream.compress, lambda: stream.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK), stream.flush)

    return Coding("zstd", compress_with_package, compressor_of_package)


_MAKERS: Final[Mapping[str, Callable[[int], Coding | None]]] = {
    "gzip": _gzip,
    "br": _brotli,
    "zstd": _zstandard,
}


def _import(*names: str) -> Any:
    """The first of the modules that is installed, or None."""
    from importlib import import_module

    for name in names:
        try:
            return import_module(name)
        except ImportError:
            continue
    return None
