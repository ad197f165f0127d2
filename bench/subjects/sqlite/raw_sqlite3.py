"""The floor: sqlite3 called on the event loop, with JSON made by SQLite and no thread between."""

from __future__ import annotations

import sqlite3
from datetime import datetime
from pathlib import Path

import msgspec

from . import PRAGMAS
from .table import INSERT, NAMES, Application, seed

__all__ = ["application", "seed"]


class New(msgspec.Struct):
    name: str
    email: str
    city: str
    age: int
    active: bool
    score: float
    balance: float
    note: str | None
    created_at: datetime


decode = msgspec.json.Decoder(New).decode

members = ", ".join(
    f"'{name}', " + ("json(iif(active, 'true', 'false'))" if name == "active" else name)
    for name in ("id", *NAMES)
)
LIST = f"SELECT json_group_array(json_object({members})) FROM (SELECT * FROM records ORDER BY id)"
SHOW = f"SELECT json_object({members}) FROM records WHERE id = ?"
CREATE = f"{INSERT} RETURNING json_object({members})"


class Raw(Application):
    async def open(self) -> None:
        self.connection = sqlite3.connect(self.database, isolation_level=None)
        for pragma in PRAGMAS:
            self.connection.execute(pragma)

    async def close(self) -> None:
        self.connection.close()

    async def list(self) -> bytes:
        text: str = self.connection.execute(LIST).fetchone()[0]
        return text.encode()

    async def show(self, id: int) -> bytes | None:
        row = self.connection.execute(SHOW, (id,)).fetchone()
        return None if row is None else row[0].encode()

    async def create(self, body: bytes) -> bytes:
        values = msgspec.structs.asdict(decode(body))
        values["created_at"] = values["created_at"].isoformat().replace("+00:00", "Z")
        # The statement, and with it the transaction, ends with its last row.
        ((text,),) = self.connection.execute(CREATE, values).fetchall()
        return text.encode()


def application(database: Path) -> Raw:
    return Raw(database)
