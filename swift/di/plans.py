"""From registrations to recipes, checked on the way.

A *node* is a registration for one closed type (or a list of all of a type), an edge what its provider needs.
Each node is visited once however many need it, so the work grows with the edges of the graph, not with its
paths; and without recursion, so that a deep graph is as good as a wide one.

1. Nodes are found from the roots, breadth first. What cannot be found is a MissingService.
2. They are brought into an order where each follows what it needs. What remains is a CircularDependency.
3. In that order each learns from what it needs: whether it is asynchronous, whether it tears something
   down, and which scoped service it would hold, which for a singleton is a CaptiveDependency.

All that is wrong is told at once.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any, get_args, get_origin

from .callables import EMPTY, kind_of, name_of, parameters_of
from .cells import Cell
from .errors import (
    CaptiveDependency,
    GraphError,
    MissingService,
    RegistrationError,
    raise_problems,
)
from .markers import Injection
from .nodes import Node, in_order
from .recipes import (
    ConstantRecipe,
    CurrentScopeRecipe,
    ListRecipe,
    Recipe,
    ScopedRecipe,
    SingletonRecipe,
)
from .registry import Closed, Registry
from .scope import Scope
from .wanted import listed, service_of

if TYPE_CHECKING:
    from .container import Container


class Plans:
    """The recipes of one state of the registry. Another state, another Plans: nothing is invalidated."""

    def __init__(self, container: Container, registry: Registry, base: Plans | None = None) -> None:
        self.container = container
        self.registry = registry
        # What an override stands upon. Its own cells and root are for what it changes.
        self.base = base
        self.root = Scope(self)
        self._cells: dict[Hashable, Cell] = {}
        self._nodes: dict[Hashable, Node] = {}
        self._finished: set[Hashable] = set()
        self._recipes: dict[Any, Recipe] = {}
        self._lock = threading.RLock()

    def recipe(self, service: Any, key: Hashable = None) -> Recipe:
        """The recipe of a service; GraphError when it cannot be made."""
        try:
            return self._recipes[service, key]
        except KeyError:
            return self._plan(service, key)

    def _plan(self, service: Any, key: Hashable) -> Recipe:
        with self._lock:
            node = self._node(service, key)
            if node is None:
                raise _missing(service, key, None)
            raise_problems(self._complete([node]))
            recipe = self._recipes[service, key] = node.recipe
            return recipe

    def check(self) -> list[GraphError]:
        """All that is wrong with all registrations."""
        with self._lock:
            return self._complete([self._registered(closed) for closed in self.registry])

    # 1. Nodes and edges.

    def _node(self, service: Any, key: Hashable) -> Node | None:
        """The node of a service, with its edges still to be found; None when nothing provides it."""
        found = next(self.registry.find(service, key), None)
        if found is not None:
            return self._registered(found)
        if key is None and service is Scope:
            node = self._known("scope", "Scope", CurrentScopeRecipe("Scope", Scope, "class"))
            node.holds = node
            return node
        if key is None and service is type(self.container):
            return self._known("container", "Container", ConstantRecipe("Container", self.container))
        item = listed(service)
        if item is None:
            return None
        name = f"list[{name_of(item)}]"
        node = self._known((list, item, key), name, ListRecipe(name, list, "class"))
        if not node.needs:
            members = [self._registered(closed) for closed in self.registry.find(item, key)]
            node.needs = [(None, member) for member in reversed(members)]
        return node

    def _known(self, identity: Hashable, name: str, recipe: Recipe) -> Node:
        return self._nodes.get(identity) or self._nodes.setdefault(identity, Node(identity, name, recipe))

    def _registered(self, closed: Closed) -> Node:
        node = self._nodes.get(closed.identity)
        if node is None:
            node = self._nodes[closed.identity] = Node(
                closed.identity, _name(closed), _recipe_of(closed), closed
            )
            node.touched = closed.registration.override
        return node

    def _edges(self, node: Node, problems: list[GraphError]) -> None:
        closed = node.closed
        if closed is None or closed.provider is None:
            node.recipe.arguments = tuple(member.recipe for _, member in node.needs)
            return
        try:
            parameters = parameters_of(closed.provider, closed.bindings)
        except RegistrationError as error:
            problems.append(GraphError(str(error)))
            return
        positional: list[Recipe] = []
        by_name = False
        for parameter, annotation in parameters:
            needed = self._argument(parameter, annotation, node, problems)
            if needed is None:
                # Left to its default: what follows can no longer be given by position.
                by_name = True
                continue
            node.needs.append((parameter, needed))
            if parameter.kind is parameter.KEYWORD_ONLY or by_name:
                node.recipe.keywords += ((parameter.name, needed.recipe),)
            else:
                positional.append(needed.recipe)
        node.recipe.arguments = tuple(positional)

    def _argument(
        self, parameter: inspect.Parameter, annotation: Any, node: Node, problems: list[GraphError]
    ) -> Node | None:
        """The node that gives a parameter its value, None when its default does."""
        service, key, optional = service_of(parameter, annotation)
        found = self._node(service, key)
        if found is not None:
            return found
        if get_origin(service) is type and (argument := get_args(service)):
            # `entity: type[T]` in a generic class: the type argument itself.
            return Node(None, name_of(service), ConstantRecipe(name_of(service), argument[0]))
        if parameter.default is not EMPTY and not isinstance(parameter.default, Injection):
            return None
        if optional:
            return Node(None, "None", ConstantRecipe("None", None))
        problems.append(_missing(service, key, (node, parameter)))
        return None

    # 2. and 3. Order and properties.

    def _complete(self, roots: Sequence[Node]) -> list[GraphError]:
        """Make the recipes of all nodes below `roots`, or say why not."""
        problems: list[GraphError] = []
        fresh: dict[int, Node] = {}
        pending = [root for root in roots if root.identity not in self._finished]
        while pending:
            node = pending.pop()
            if id(node) in fresh or node.identity in self._finished:
                continue
            fresh[id(node)] = node
            self._edges(node, problems)
            pending.extend(needed for _, needed in node.needs)
        ordered = in_order(list(fresh.values()), problems)
        for node in ordered:
            self._finish(node, problems)
        if problems:
            # Half a graph is of no use; the next who asks gets the same answer.
            for node in fresh.values():
                self._nodes.pop(node.identity, None)
        else:
            self._finished.update(node.identity for node in ordered if node.identity is not None)
        return problems

    def _finish(self, node: Node, problems: list[GraphError]) -> None:
        recipe, needs = node.recipe, [needed for _, needed in node.needs]
        recipe.is_async = recipe.awaited or any(needed.recipe.is_async for needed in needs)
        node.touched = node.touched or any(needed.touched for needed in needs)
        held = next((needed for needed in needs if needed.holds is not None), None)
        if isinstance(recipe, SingletonRecipe):
            if held is not None:
                problems.append(_captive(node, held))
            assert node.closed is not None
            if self.base is not None and not node.touched:
                # Not changed by the override: the same instance inside and outside of it.
                recipe.cell, recipe.root = self.base.singleton(node.closed)
            else:
                recipe.root = self.root
                recipe.cell = self._cells.setdefault(node.identity, recipe.cell)
        elif isinstance(recipe, ScopedRecipe):
            node.holds = node
            recipe.refusal = f"{node.name} is scoped, and was asked of the container itself; {_OPEN_A_SCOPE}."
        elif held is not None:
            node.holds = held
            path = " -> ".join(_path(node))
            recipe.refusal = (
                f"{node.name} needs something scoped ({path}), and was asked of the container itself; "
                f"{_OPEN_A_SCOPE}."
            )
        elif not isinstance(recipe, CurrentScopeRecipe):
            node.tears_down = recipe.kind in ("generator", "async_generator") or any(
                needed.tears_down for needed in needs
            )
            if node.tears_down:
                recipe.refusal = (
                    f"{node.name} is transient and torn down with its scope, and was asked of the container "
                    f"itself, where it would stay until the end; {_OPEN_A_SCOPE}."
                )

    def renewed(self) -> Plans:
        """Plans for a registry that has grown; the singletons that exist stay."""
        plans = Plans(self.container, self.registry, self.base)
        plans.root, plans._cells = self.root, self._cells
        self.root._plans = plans
        return plans

    def singleton(self, closed: Closed) -> tuple[Cell, Scope]:
        """Where the value of a singleton is kept, and the scope that tears it down."""
        with self._lock:
            node = self._registered(closed)
            raise_problems(self._complete([node]))
            assert isinstance(node.recipe, SingletonRecipe)
            return node.recipe.cell, node.recipe.root


_OPEN_A_SCOPE = "open a scope: `async with container.scope() as scope: await scope.get(...)`"


def _recipe_of(closed: Closed) -> Recipe:
    registration, name = closed.registration, _name(closed)
    if closed.provider is None:
        return ConstantRecipe(name, registration.instance)
    recipes = {"singleton": SingletonRecipe, "scoped": ScopedRecipe, "transient": Recipe}
    return recipes[registration.lifetime](name, closed.provider, kind_of(closed.provider))


def _name(closed: Closed) -> str:
    key = closed.registration.key
    return name_of(closed.service) + (f" (key {key!r})" if key is not None else "")


def _path(node: Node) -> list[str]:
    names = [node.name]
    while node.holds is not None and node.holds is not node:
        node = node.holds
        names.append(node.name)
    return names


def _captive(node: Node, held: Node) -> CaptiveDependency:
    names = _path(held)
    return CaptiveDependency(
        f"{' -> '.join([node.name, *names])}: the singleton {node.name} would keep one {names[-1]} for ever, "
        f"which belongs to one scope; make {node.name} scoped, or let it open a scope for each use."
    )


def _missing(service: Any, key: Hashable, asked: tuple[Node, inspect.Parameter] | None) -> MissingService:
    wanted = name_of(service) + (f" with the key {key!r}" if key is not None else "")
    argument = ", key=..." if key is not None else ""
    if asked is None:
        return MissingService(
            f"{wanted} is not registered; register it with "
            f"container.add_scoped({name_of(service)}, ...{argument})."
        )
    node, parameter = asked
    if service is EMPTY:
        return MissingService(
            f"{node.name} needs `{parameter.name}`, which has no annotation; annotate it with a registered "
            "type or give it a default."
        )
    return MissingService(
        f"{node.name} needs `{parameter.name}`: {wanted} is not registered; register it with "
        f"container.add_scoped({name_of(service)}, ...{argument}), or give the parameter a default."
    )
