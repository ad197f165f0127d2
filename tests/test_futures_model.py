"""Chains of every shape against a naive model: a coroutine that awaits one thing after the other."""

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swift.futures import Future, Promise, make_exception, make_ready, resolve_all, when_all

# A node is a tuple whose first item says what it is; see `Built.future` and `evaluate`.
Node = tuple[Any, ...]


class Failed(Exception):
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Failed) and self.args == other.args

    def __hash__(self) -> int:
        return hash(self.args)


numbers = st.integers(0, 9)
leaves = st.tuples(st.sampled_from(["value", "failure", "later", "later failure"]), numbers)


def branches(nodes: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    actions = st.one_of(
        st.tuples(st.sampled_from(["number", "raise"]), numbers),
        st.tuples(st.sampled_from(["future", "coroutine"]), nodes),
    )
    return st.one_of(
        st.tuples(st.sampled_from(["then", "catch", "finally"]), nodes, actions),
        st.tuples(st.just("all"), st.lists(nodes, max_size=3)),
    )


trees = st.recursive(leaves, branches, max_leaves=12)


class Built:
    """A tree as futures, and the promises that are still to be kept."""

    def __init__(self) -> None:
        self.open: list[tuple[Promise[Any], Any]] = []

    def future(self, node: Node) -> Future[Any]:
        kind, *rest = node
        if kind == "value":
            return make_ready(rest[0])
        if kind == "failure":
            return make_exception(Failed(rest[0]))
        if kind in ("later", "later failure"):
            promise: Promise[Any] = Promise()
            self.open.append((promise, rest[0] if kind == "later" else Failed(rest[0])))
            return promise.future
        if kind == "all":
            return when_all([self.future(member) for member in rest[0]]).catch(one_of_all)
        source = self.future(rest[0])
        if kind == "then":
            return source.then(lambda value: self.act(rest[1]))
        if kind == "catch":
            return source.catch(lambda error: self.act(rest[1]))
        return source.finally_(lambda: self.act(rest[1]))

    def act(self, action: tuple[str, Any]) -> Any:
        kind, what = action
        if kind == "number":
            return what
        if kind == "raise":
            raise Failed(what)
        if kind == "future":
            return self.future(what)

        async def coroutine() -> Any:
            await asyncio.sleep(0)
            return await self.future(what)

        return coroutine()


def one_of_all(error: Exception) -> Any:
    # Which of several failures comes first is a matter of time, which the model has not.
    raise Failed("all")


def evaluate(node: Node) -> Any:
    """What a tree gives: its value, or the Failed that it raises."""
    kind, *rest = node
    if kind in ("value", "later"):
        return rest[0]
    if kind in ("failure", "later failure"):
        raise Failed(rest[0])
    if kind == "all":
        try:
            return [evaluate(member) for member in rest[0]]
        except Failed:
            raise Failed("all") from None

    def act() -> Any:
        if rest[1][0] == "number":
            return rest[1][1]
        if rest[1][0] == "raise":
            raise Failed(rest[1][1])
        return evaluate(rest[1][1])

    if kind == "finally":
        try:
            return evaluate(rest[0])
        finally:
            act()
    try:
        value = evaluate(rest[0])
    except Failed:
        if kind == "then":
            raise
        return act()
    return act() if kind == "then" else value


def has_group(tree: Node) -> bool:
    return tree[0] == "all" or any(has_group(part) for part in tree if isinstance(part, tuple))


def outcome_of(node: Node) -> Any:
    try:
        return evaluate(node)
    except Failed as error:
        return error


async def keep(built: Built, root: Future[Any], choose: random.Random) -> None:
    """Keep the promises in any order, some of them together, now inside a task and now in a callback."""
    loop = asyncio.get_running_loop()
    for _ in range(10_000):
        if root.done():
            return
        if not built.open:
            await asyncio.sleep(0)
            continue
        chosen = built.open.pop(choose.randrange(len(built.open)))
        promise, outcome = chosen
        if isinstance(outcome, Failed):
            promise.fail(outcome)
            continue
        how = choose.choice(["now", "in a callback", "woken", "in a thread"])
        if how == "now":
            promise.resolve(outcome)
        elif how == "in a callback":
            loop.call_soon(promise.resolve, outcome)
        elif how == "woken":
            loop.call_soon(resolve_all, [chosen])
        else:
            await loop.run_in_executor(None, promise.resolve, outcome)
    raise AssertionError("the chain never ended")


@pytest.fixture(scope="module", autouse=True)
def small_heap() -> Iterator[None]:
    """What is there already need not be searched in every collection."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@given(trees, st.integers(0, 2**32))
def test_a_tree_of_futures_gives_what_its_model_gives(tree: Node, seed: int) -> None:
    told: list[Any] = []

    async def main() -> Any:
        asyncio.get_running_loop().set_exception_handler(
            lambda loop, context: told.append(context["exception"])
        )
        built = Built()
        root = built.future(tree)
        task = asyncio.ensure_future(waiting(root))
        await keep(built, root, random.Random(seed))
        outcome = await task
        del built, root, task
        await settle_down()
        return outcome

    assert asyncio.run(main()) == outcome_of(tree)
    # A failure inside a tree is caught, replaced or the outcome. Only the cleanup of a cancelled member can
    # fail where nobody looks, and is told.
    if not has_group(tree):
        assert told == []


@given(trees, st.integers(0, 2**32))
def test_a_cancelled_tree_cancels_every_promise_it_waits_for(tree: Node, seed: int) -> None:
    async def main() -> None:
        # The cleanup of what is cancelled may fail.
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        built = Built()
        root = built.future(tree)
        given = random.Random(seed).randint(0, len(built.open))
        for promise, outcome in built.open[:given]:
            promise.fail(outcome) if isinstance(outcome, Failed) else promise.resolve(outcome)
        task = asyncio.ensure_future(waiting(root))
        await asyncio.sleep(0)
        task.cancel()
        for _ in range(100):
            # `finally` may begin something new, which nothing but another cancellation ends.
            if task.done():
                break
            task.cancel()
            await asyncio.sleep(0)
        assert task.done()
        # What the cleanup of a cancelled member waits for is nobody's any more.
        if not has_group(tree):
            assert all(promise.future.done() for promise, _ in built.open)
        del built, root, task
        await settle_down()

    asyncio.run(main())


async def settle_down() -> None:
    """Let the cleanup of what was cancelled end, and be told of it while there is a loop to tell."""
    for _ in range(20):
        await asyncio.sleep(0)
    gc.collect()


async def waiting(root: Future[Any]) -> Any:
    try:
        return await root
    except Failed as error:
        return error
