"""The nodes of a graph of services, and the order in which each follows what it needs."""

from __future__ import annotations

import inspect
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

from .errors import CircularDependency, GraphError

if TYPE_CHECKING:
    from .recipes import Recipe
    from .registry import Closed


class Node:
    """One service of the graph. `needs` are its edges, each with the name of the argument."""

    __slots__ = ("closed", "holds", "identity", "name", "needs", "recipe", "tears_down", "touched")

    def __init__(self, identity: Hashable, name: str, recipe: Recipe, closed: Closed | None = None) -> None:
        self.identity = identity
        self.name = name
        self.recipe = recipe
        self.closed = closed
        self.needs: list[tuple[inspect.Parameter | None, Node]] = []
        # What it holds of a scope: itself when it is scoped, or what it needs that does.
        self.holds: Node | None = None
        # Whether making it leaves something to tear down in the scope where it is asked for.
        self.tears_down = False
        # Whether an override changes it.
        self.touched = False


def in_order(nodes: Sequence[Node], problems: list[GraphError]) -> list[Node]:
    """The nodes, each after what it needs; without those on or above a cycle, which is a problem."""
    among = {id(node) for node in nodes}
    waiting = {id(node): sum(id(needed) in among for _, needed in node.needs) for node in nodes}
    users: dict[int, list[Node]] = {}
    for node in nodes:
        for _, needed in node.needs:
            users.setdefault(id(needed), []).append(node)
    ordered = [node for node in nodes if not waiting[id(node)]]
    for node in ordered:
        for user in users.get(id(node), ()):
            waiting[id(user)] -= 1
            if not waiting[id(user)]:
                ordered.append(user)
    stuck = {id(node): node for node in nodes if waiting[id(node)]}
    problems.extend(_cycles(stuck))
    return ordered


def _cycles(stuck: dict[int, Node]) -> list[GraphError]:
    """The cycles among nodes, so many that each node on a cycle is named at least once or reaches one."""
    problems: list[GraphError] = []
    done: set[int] = set()
    for start in stuck.values():
        path: list[Node] = []
        places: dict[int, int] = {}
        node: Node | None = start
        # Each stuck node needs another that is stuck: following one need always ends in a cycle.
        while node is not None and id(node) not in done:
            if id(node) in places:
                names = [each.name for each in (*path[places[id(node)] :], node)]
                problems.append(
                    CircularDependency(
                        f"{' -> '.join(names)} is a cycle; let one of them take a factory, or split what "
                        "they share into a third."
                    )
                )
                break
            places[id(node)] = len(path)
            path.append(node)
            node = next(
                (needed for _, needed in node.needs if id(needed) in stuck and id(needed) not in done), None
            )
        done.update(places)
    return problems
