"""UUIDs in the order of time (RFC 9562 §5.7): an index of them grows at its end."""

from __future__ import annotations

import os
import threading
import time
from uuid import UUID

# 12 bits behind the milliseconds count on within one, so that this process's are strictly ascending
# (RFC 9562 §6.2, method 1).
COUNTER = 1 << 12
_last = 0
_lock = threading.Lock()


def uuid7() -> UUID:
    """A new UUID of version 7, greater than every one this process made before."""
    global _last
    now = time.time_ns() // 1_000_000 * COUNTER
    with _lock:
        _last = now = max(now, _last + 1)
    high = (now >> 12) << 16 | 0x7000 | (now & 0xFFF)
    low = int.from_bytes(os.urandom(8), "big") & (1 << 62) - 1 | 1 << 63
    return UUID(int=high << 64 | low)
