"""The cases of an app with a table of records: what is in it, what wrk asks, and what is right.

Each case has tables of its own, holding `rows` records before every round, so that no subject lists or
indexes what another round left behind.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bench.asgi import Request
from bench.cases import JSON, RECORDS, Case, Exchange, record


@dataclass(frozen=True)
class TableCase:
    """A case on a table of `rows` records; `script` is the Lua that makes wrk's requests."""

    case: Case
    path: str
    rows: int
    script: str = ""


def in_utc(content: Any) -> Any:
    """Records with their instants as such; without a zone they are of UTC, as SQLite keeps them."""
    if isinstance(content, list):
        return [in_utc(item) for item in content]
    if not isinstance(content, Mapping):
        return content
    created = datetime.fromisoformat(content["created_at"])
    return {**content, "created_at": created if created.tzinfo else created.replace(tzinfo=UTC)}


def get(path: str, content: Any) -> Exchange:
    return Exchange(Request(path), 200, JSON, content, in_utc)


def post(content: Mapping[str, Any]) -> Request:
    return Request("/records", method="POST", body=json.dumps(content, separators=(",", ":")).encode())


MANY = 10_000
NEW = {name: value for name, value in record(101).items() if name != "id"}

# The requests are written ahead: to format each would make wrk the slower of the two.
RANDOM_IDS = f"""\
local requests = {{}}
function init(arguments)
  math.randomseed(500)
  for id = 1, {MANY} do requests[id] = wrk.format("GET", "/records/" .. id) end
end
function request() return requests[math.random({MANY})] end
"""
INSERT = f"""\
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.body = [[{json.dumps(NEW, separators=(",", ":"))}]]
"""

CASES: dict[str, TableCase] = {
    item.case.name: item
    for item in (
        TableCase(Case("list100", (get("/records", RECORDS),)), "/records", len(RECORDS)),
        TableCase(
            Case(
                "by_id",
                (
                    *(get(f"/records/{id}", record(id)) for id in (1, 4_096, MANY)),
                    Exchange(Request(f"/records/{MANY + 1}"), 404),
                ),
            ),
            "/records/1",
            MANY,
            RANDOM_IDS,
        ),
        TableCase(
            Case(
                "insert",
                (
                    Exchange(post(NEW), 201, JSON, record(101), in_utc),
                    get("/records/101", record(101)),
                    Exchange(post(NEW), 201, JSON, record(101) | {"id": 102}, in_utc),
                ),
                invalid=post(NEW | {"age": "many"}),
            ),
            "/records",
            len(RECORDS),
            INSERT,
        ),
    )
}
