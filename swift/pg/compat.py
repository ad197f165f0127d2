"""A dependency that gives handlers a `Pg`, in Swift, FastAPI and everything else that knows generator dependencies."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from .handle import Pg
from .pool import PgPool

__all__ = ["get_pg_factory"]


def get_pg_factory(pool: PgPool) -> Callable[[], AsyncIterator[Pg]]:
    """`get_pg = get_pg_factory(pool)`, then `pg: Pg = Depends(get_pg)` in a handler, async or not.

    It takes a connection only for what needs one of its own, and gives it back at the end of the request. In an async
    handler `await pg.exec_async(...)`, in one that runs on a thread `pg.exec(...)`.
    """

    async def get_pg() -> AsyncIterator[Pg]:
        pg = pool.session()
        try:
            yield pg
        finally:
            pg.release()

    return get_pg
