"""The types of the typed cases, once for each family that validates them: msgspec Structs and dataclasses."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import msgspec


class User(msgspec.Struct):
    id: int
    q: str
    limit: int


class Item(msgspec.Struct):
    sku: str
    quantity: int
    price: float


class Order(msgspec.Struct):
    customer: str
    email: str
    phone: str
    currency: str
    priority: int
    discount: float
    paid: bool
    note: str | None
    tags: list[str]
    items: list[Item]


class Record(msgspec.Struct):
    id: int
    name: str
    email: str
    city: str
    age: int
    active: bool
    score: float
    balance: float
    note: str | None
    created_at: datetime


@dataclass
class RecordData:
    """`Record` for the subjects that encode with orjson, which is six times slower where there are slots."""

    id: int
    name: str
    email: str
    city: str
    age: int
    active: bool
    score: float
    balance: float
    note: str | None
    created_at: datetime
