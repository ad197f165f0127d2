"""Window functions: a value for each row from the rows around it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from swift.engines import statements as st
from swift.engines.errors import ProgrammingError
from swift.engines.memory.plans import Planner, Scope, Spread

# From the values of the arguments in each row of the partition, and for each row the number of the first and
# the one behind the last row it shares its place in the order with, to the values.
Rank = Callable[[list[list[Any]], list[tuple[int, int]]], list[Any]]


def spread(planner: Planner, window: st.Window) -> Spread:
    """The function that computes a window function over all rows of a select."""
    from swift.engines.memory.selects import AGGREGATES, ordered

    partition = [planner.expression(item) for item in window.partition]
    order = [(planner.expression(item.by), item.descending) for item in window.order]
    of = window.of
    name: Any
    if isinstance(of, st.Aggregate):
        arguments = [] if of.of is None else [planner.expression(of.of)]
        test = None if of.where is None else planner.condition(of.where)
        function, name = None, of.function
    else:
        assert isinstance(of, st.Call)
        arguments = [planner.operand(item, of) for item in of.arguments]
        test, function, name = None, RANKS.get(of.function), of.function
        if function is None:
            raise ProgrammingError(f"memory:// has no window function `{of.function}`.")

    def run(found: Sequence[Scope], number: int, values: Sequence[Any]) -> None:
        parts: dict[tuple[Any, ...], list[Scope]] = {}
        for scope in found:
            parts.setdefault(tuple(item(scope, values) for item in partition), []).append(scope)
        for part in parts.values():
            rows = ordered(part, order, values) if order else part
            keys = [tuple(by(scope, values) for by, _ in order) for scope in rows]
            peers = places(keys)
            given = [[argument(scope, values) for argument in arguments] for scope in rows]
            if function is not None:
                results = function(given, peers)
            else:
                counted = [test is None or test(scope, values) for scope in rows]
                results = [
                    running(AGGREGATES[name], given[: end if order else None], counted) for _, end in peers
                ]
            for scope, result in zip(rows, results, strict=True):
                scope.windows[number] = result

    return run


def running(function: Callable[[list[Any]], Any], given: list[list[Any]], counted: list[bool]) -> Any:
    rows = [row for row, counts in zip(given, counted, strict=False) if counts]
    return function([row[0] if row else 1 for row in rows if not row or row[0] is not None])


def places(keys: list[tuple[Any, ...]]) -> list[tuple[int, int]]:
    made: list[tuple[int, int]] = []
    start = 0
    while start < len(keys):
        end = start + 1
        while end < len(keys) and keys[end] == keys[start]:
            end += 1
        made += [(start, end)] * (end - start)
        start = end
    return made


def dense(given: list[list[Any]], peers: list[tuple[int, int]]) -> list[Any]:
    starts = {start: number for number, start in enumerate(dict.fromkeys(start for start, _ in peers), 1)}
    return [starts[start] for start, _ in peers]


def tiles(given: list[list[Any]], peers: list[tuple[int, int]]) -> list[Any]:
    count, parts = len(given), given[0][0]
    size, larger = divmod(count, parts)
    edge = larger * (size + 1)
    return [
        place // (size + 1) + 1 if place < edge else larger + (place - edge) // (size or 1) + 1
        for place in range(count)
    ]


def shifted(sign: int) -> Rank:
    def run(given: list[list[Any]], peers: list[tuple[int, int]]) -> list[Any]:
        made = []
        for place, row in enumerate(given):
            other = place + sign * (row[1] if len(row) > 1 else 1)
            made.append(given[other][0] if 0 <= other < len(given) else None)
        return made

    return run


RANKS: dict[str, Rank] = {
    "row_number": lambda given, peers: list(range(1, len(given) + 1)),
    "rank": lambda given, peers: [start + 1 for start, _ in peers],
    "dense_rank": dense,
    "ntile": tiles,
    "lag": shifted(-1),
    "lead": shifted(1),
    "first_value": lambda given, peers: [given[0][0]] * len(given),
    "last_value": lambda given, peers: [given[end - 1][0] for _, end in peers],
}
