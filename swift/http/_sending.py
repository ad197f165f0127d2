"""A long answer ends when it is sent or when nobody is left to read it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from typing import Any

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


async def send_or_leave(sending: Coroutine[Any, Any, None], receive: Receive) -> None:
    """Run `sending` to its end, or cancel it when the client leaves.

    Some servers drop what is sent to a client that has gone without saying so; only `receive`
    tells. A `receive` that fails says nothing about the client, so the sending goes on.
    """
    sender = asyncio.ensure_future(sending)
    watcher = asyncio.ensure_future(_disconnected(receive))
    try:
        await asyncio.wait((sender, watcher), return_when=asyncio.FIRST_COMPLETED)
        if not sender.done() and watcher.exception() is not None:
            await asyncio.wait((sender,))
    finally:
        watcher.cancel()
        sender.cancel()
        await asyncio.wait((sender, watcher))
        # Retrieved here, so that asyncio does not report it as lost.
        if not watcher.cancelled():
            watcher.exception()
    if not sender.cancelled():
        sender.result()


async def _disconnected(receive: Receive) -> None:
    """Return when the client has left; what remains of the request's body is passed over.

    Never returns where `receive` gives the end of the body again and again, as wrappers around it do that
    replay a body they have read: it says nothing about the client, and asking on would starve the loop.
    """
    ended = False
    while (message := await receive())["type"] != "http.disconnect":
        if ended:
            await asyncio.get_running_loop().create_future()
        ended = not message.get("more_body", False)
