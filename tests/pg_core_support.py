"""What the tests of the driver share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from swift.pg import PgPool


async def until(condition: Callable[[], object], seconds: float = 5.0) -> None:
    """Waits for a condition; fails when it does not come true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition did not come true"
        await asyncio.sleep(0.005)


def links(pool: PgPool) -> list[Any]:
    """The connections of the running loop."""
    return list(pool.loop_shard().links)


async def settled(pool: PgPool) -> None:
    """Until nothing is in flight or in use."""
    await until(
        lambda: (
            not pool.stats()["in_use"]
            and not any(link.core.in_flight or link.core.holds for link in links(pool))
        )
    )
