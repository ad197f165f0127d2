"""200 clients write and read one SQLite file through a real server: nothing is lost, nothing fails, memory stays flat.

Some seconds long; SOAK=1 gives it its minute.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.soak_support import SOAK, Connection, connected, resident_kilobytes, served

SECONDS = 60 if SOAK else 6
CLIENTS = 200


class Client:
    """Creates, reads back, changes and deletes its entries, and remembers what was acknowledged."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.kept: dict[int, dict[str, Any]] = {}
        self.made = 0

    async def run(self, connection: Connection, until: float) -> None:
        chance = random.Random(self.number)
        while time.monotonic() < until:
            data = {"client": self.number, "number": self.made, "text": "é" * chance.randrange(200)}
            entry = await connection.ask("POST", "/entries", 201, data)
            assert {**entry, **data} == entry
            self.kept[entry["id"]] = entry
            self.made += 1
            id = chance.choice([*self.kept])
            assert await connection.ask("GET", f"/entries/{id}", 200) == self.kept[id]
            if self.made % 3 == 0:
                changed = await connection.ask("PATCH", f"/entries/{id}", 200, {"version": self.made})
                self.kept[id]["version"] = self.made
                assert changed == self.kept[id]
            if self.made % 7 == 0:
                await connection.ask("DELETE", f"/entries/{id}", 204)
                del self.kept[id]
            if self.made % 5 == 0:
                page = await connection.ask("GET", "/entries?page_size=10", 200)
                assert page["count"] >= len(page["results"]) > 0


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Resident memory is read from /proc.")
def test_no_write_is_lost_and_memory_stays_flat(tmp_path: Path) -> None:
    clients = [Client(number) for number in range(CLIENTS)]

    async def press(port: int, seconds: float) -> None:
        until = time.monotonic() + seconds

        async def one(client: Client) -> None:
            async with connected(port) as connection:
                await client.run(connection, until)

        async with asyncio.TaskGroup() as group:
            for client in clients:
                group.create_task(one(client))

    with served(tmp_path, "sqlite:///soak.db") as (process, port):
        asyncio.run(press(port, SECONDS / 3))
        warm = resident_kilobytes(process)
        asyncio.run(press(port, SECONDS * 2 / 3))
        grown = resident_kilobytes(process) - warm

    with closing(sqlite3.connect(tmp_path / "soak.db")) as database:
        rows = database.execute("SELECT id, client, number, text, version FROM entry").fetchall()
    stored = {
        row[0]: dict(zip(("id", "client", "number", "text", "version"), row, strict=True)) for row in rows
    }
    acknowledged = {id: entry for client in clients for id, entry in client.kept.items()}
    assert stored == acknowledged
    assert sum(client.made for client in clients) > CLIENTS
    # The page cache of SQLite fills meanwhile (2 MB a connection); 200 clients' lost objects would be far more.
    assert grown < 16_000, f"{grown} KB more after {SECONDS * 2 / 3:.0f} s"
