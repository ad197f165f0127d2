"""What is asked of every subject, and what it must answer before it is timed."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from textwrap import shorten
from typing import Any

from bench.asgi import Request, Response

ROUTES = 500
TEXT = "text/plain"
JSON = "application/json"

GREETING = "Hello, World!"
MESSAGE = {"message": GREETING}
USER = {"id": 42, "q": "ada lovelace", "limit": 25}
ORDER: dict[str, Any] = {
    "customer": "Ada Lovelace",
    "email": "ada@example.com",
    "phone": "+44 20 7946 0958",
    "currency": "EUR",
    "priority": 3,
    "discount": 0.15,
    "paid": True,
    "note": None,
    "tags": ["books", "gift"],
    "items": [
        {"sku": "SW-1001", "quantity": 2, "price": 19.5},
        {"sku": "SW-1002", "quantity": 1, "price": 249.0},
        {"sku": "SW-1003", "quantity": 12, "price": 0.75},
    ],
}


def record(number: int) -> dict[str, Any]:
    """The record of that number: ten columns of mixed types."""
    return {
        "id": number,
        "name": f"Person {number}",
        "email": f"person{number}@example.com",
        "city": "London",
        "age": 20 + number % 50,
        "active": number % 3 != 0,
        "score": round(number * 0.37, 2),
        "balance": number * 1234.5,
        "note": None,
        "created_at": f"2026-03-01T12:{number % 60:02}:00Z",
    }


RECORDS = [record(number) for number in range(1, 101)]


class WrongAnswer(Exception):
    """A subject answered something else than the case expects."""


def as_it_is(content: Any) -> Any:
    return content


@dataclass(frozen=True)
class Exchange:
    """A request and its right answer; without `content_type` only the status counts.

    Answers are compared by their `meaning`, for where a thing may be said in several ways.
    """

    request: Request
    status: int = 200
    content_type: str = ""
    content: Any = None
    meaning: Callable[[Any], Any] = as_it_is

    def check(self, response: Response) -> None:
        """Raises WrongAnswer where `response` is not the right one."""
        asked = f"{self.request.method} {self.request.path}"
        if response.status != self.status:
            raise WrongAnswer(f"Expected {self.status}, got {response.status} - at {asked}")
        if not self.content_type:
            return
        media_type = response.content_type.partition(";")[0]
        if media_type != self.content_type:
            raise WrongAnswer(f"Expected `{self.content_type}`, got `{media_type}` - at {asked}")
        content = json.loads(response.body) if media_type == JSON else response.body.decode()
        if self.meaning(content) != self.meaning(self.content):
            expected, got = shorten(repr(self.content), 300), shorten(repr(content), 300)
            raise WrongAnswer(f"Expected {expected}, got {got} - at {asked}")


@dataclass(frozen=True)
class Case:
    """Exchanges asked in turn. `invalid` is a request that a validating subject refuses with 400 or 422."""

    name: str
    exchanges: tuple[Exchange, ...]
    invalid: Request | None = None


def resource_text(route: int, id: int) -> str:
    """What `/resource{route}/{id}` answers: it proves which of the routes was matched, and with what."""
    return f"{route}:{id}"


def _resources(count: int) -> Iterator[Exchange]:
    # As many different requests whatever the number of routes, so that nothing else differs.
    order = random.Random(500)
    for id in range(ROUTES):
        route = order.randrange(count)
        yield Exchange(Request(f"/resource{route}/{id}"), 200, TEXT, resource_text(route, id))


def _post(order: dict[str, Any]) -> Request:
    return Request("/orders", method="POST", body=json.dumps(order, separators=(",", ":")).encode())


CASES: dict[str, Case] = {
    case.name: case
    for case in (
        Case("plaintext", (Exchange(Request("/plaintext"), 200, TEXT, GREETING),)),
        Case("json", (Exchange(Request("/json"), 200, JSON, MESSAGE),)),
        Case(
            "params",
            (Exchange(Request("/users/42", "q=ada+lovelace&limit=25"), 200, JSON, USER),),
            invalid=Request("/users/42", "q=ada&limit=many"),
        ),
        Case(
            "post",
            (Exchange(_post(ORDER), 200, JSON, ORDER),),
            invalid=_post(ORDER | {"items": [{"sku": "SW-1001", "quantity": "two", "price": 19.5}]}),
        ),
        Case("list100", (Exchange(Request("/records"), 200, JSON, RECORDS),)),
        Case("routes1", tuple(_resources(1))),
        Case("routes500", tuple(_resources(ROUTES))),
        Case("notfound", (Exchange(Request(f"/resource{ROUTES}/7"), 404),)),
    )
}
