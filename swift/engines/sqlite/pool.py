"""Who may use which connection when: a pool of readers, and one writer with a fair queue.

SQLite lets many read while one writes. So there is one writing connection, and those who want it stand in one
line: single statements and whole transactions alike, first come, first served. Single statements that meet in
the line are committed together (see commit_together); nobody is told "done" before that commit.
"""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from typing import Any

from swift.engines.errors import OperationalError
from swift.engines.sqlite.connection import Connection, Job, Work

# Enough to share the cost of a hop and a commit, few enough that nobody waits long for companions.
BATCH = 32


class Readers:
    """Connections that only read. Work goes to whichever is idle; what has piled up shares its hops."""

    def __init__(self, connections: list[Connection]) -> None:
        self.connections = connections
        self.idle = list(connections)
        self.running: dict[Connection, list[Job]] = {}
        self.pending: deque[Job] = deque()
        self.scheduled = False

    def submit(self, work: Work) -> asyncio.Future[Any]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self.pending.append(Job(work, future))
        if not self.scheduled and self.idle:
            # Later in this turn of the loop, so that everything asked for in this turn goes together.
            self.scheduled = True
            loop.call_soon(self.dispatch)
        return future

    def dispatch(self) -> None:
        self.scheduled = False
        while self.pending and self.idle:
            share = min(BATCH, -(-len(self.pending) // len(self.idle)))
            batch = [self.pending.popleft() for _ in range(share)]
            connection = self.idle.pop()
            self.running[connection] = batch
            connection.run_batch(batch, partial(self.done, connection))

    def done(self, connection: Connection) -> None:
        del self.running[connection]
        self.idle.append(connection)
        self.dispatch()

    def abandon(self) -> None:
        """Stop a query nobody waits for any more, unless others wait behind it in its batch.

        A connection takes new work only on this thread, so what is interrupted is this batch or nothing.
        """
        for connection, batch in self.running.items():
            if all(job.future.cancelled() for job in batch):
                connection.raw.interrupt()

    def refuse(self) -> None:
        """Tell everyone still waiting that the database is closed."""
        while self.pending:
            refuse(self.pending.popleft())


class Turn:
    """A transaction's place in the writer's line."""

    __slots__ = ("future",)

    def __init__(self, future: asyncio.Future[None]) -> None:
        self.future = future


class Writer:
    """The one connection that writes, and its line."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.line: deque[Job | Turn] = deque()
        self.busy = False
        self.scheduled = False

    def submit(self, work: Work, *, atomic: bool = False) -> asyncio.Future[Any]:
        """Run `work` on its own or with others under one commit."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.line.append(Job(work, future, atomic))
        self.schedule()
        return future

    async def acquire(self) -> None:
        """Wait for the connection and keep it until `release`."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.line.append(Turn(future))
        self.schedule()
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self.release()
            raise

    def release(self) -> None:
        self.busy = False
        self.advance()

    def schedule(self) -> None:
        if not self.busy and not self.scheduled:
            self.scheduled = True
            asyncio.get_running_loop().call_soon(self.advance)

    def advance(self) -> None:
        """Let the head of the line go, if the connection is free."""
        self.scheduled = False
        if self.busy:
            return
        batch: list[Job] = []
        while self.line and len(batch) < BATCH:
            head = self.line[0]
            if isinstance(head, Turn):
                if batch:
                    break
                self.line.popleft()
                if not head.future.done():
                    self.busy = True
                    head.future.set_result(None)
                    return
            else:
                self.line.popleft()
                if not head.future.done():
                    batch.append(head)
        if batch:
            self.busy = True
            self.connection.run_batch(batch, self.release)

    def refuse(self) -> None:
        """Tell everyone still in line that the database is closed."""
        while self.line:
            refuse(self.line.popleft())


def refuse(place: Job | Turn) -> None:
    if not place.future.done():
        place.future.set_exception(OperationalError("The database was closed."))
