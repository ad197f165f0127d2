"""How generators that provide values are entered and left.

Two kinds of owner leave them, and differ in what a generator sees of an error:

- A scope of the container leaves each as if nothing had happened: services are independent, and code after
  a `yield` without `try` must run too.
- A request leaves its dependencies as nested `async with` blocks: the error of the handler is raised at the
  `yield`, so that a transaction can be rolled back (graph.py).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Sequence
from typing import Any, NoReturn

Left = Generator[Any, None, None] | AsyncGenerator[Any, None]


def enter(generator: Generator[Any, None, None], name: str) -> Any:
    """The value that a generator provides."""
    try:
        return next(generator)
    except StopIteration:
        _did_not_yield(name)


async def enter_async(generator: AsyncGenerator[Any, None], name: str) -> Any:
    try:
        return await anext(generator)
    except StopAsyncIteration:
        _did_not_yield(name)


def leave(generator: Generator[Any, None, None], error: BaseException | None = None) -> None:
    """Run what stands after the `yield`; with an error it is raised there."""
    try:
        if error is None:
            next(generator)
        else:
            generator.throw(error)
    except StopIteration:
        return
    except RuntimeError as other:
        # A StopIteration that was thrown in comes back wrapped (PEP 479): it is no error of the generator.
        if other.__cause__ is error is not None:
            return
        raise
    generator.close()
    _yielded_twice(generator)


async def leave_async(generator: AsyncGenerator[Any, None], error: BaseException | None = None) -> None:
    try:
        if error is None:
            await anext(generator)
        else:
            await generator.athrow(error)
    except StopAsyncIteration:
        return
    except RuntimeError as other:
        if other.__cause__ is error is not None:
            return
        raise
    await generator.aclose()
    _yielded_twice(generator)


def raise_all(errors: Sequence[BaseException], what: str) -> None:
    """Raise what several teardowns raised: one as it is, several as an ExceptionGroup.

    A cancellation or exit outranks the rest, which become its notes: whoever asked for it waits for it.
    """
    if not errors:
        return
    for error in errors:
        if not isinstance(error, Exception):
            for other in errors:
                if other is not error:
                    error.add_note(f"{what} also raised {other!r}")
            raise error
    if len(errors) == 1:
        raise errors[0]
    raise ExceptionGroup(what, [error for error in errors if isinstance(error, Exception)])


def _did_not_yield(name: str) -> NoReturn:
    raise RuntimeError(
        f"The generator {name} ended without a `yield`; it must yield the value it provides."
    ) from None


def _yielded_twice(generator: Left) -> NoReturn:
    name = getattr(generator, "__name__", "")
    raise RuntimeError(f"The generator {name} yielded twice; it must yield the value once.")
