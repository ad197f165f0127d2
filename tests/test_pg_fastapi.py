"""The driver in a stock FastAPI application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import Depends, FastAPI
from starlette.exceptions import HTTPException

from swift.futures import when_all
from swift.pg import Pg, PgNoRow, PgPool, get_pg_factory
from tests.pg_support import Cluster


def application(pool: PgPool) -> FastAPI:
    get_pg = get_pg_factory(pool)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with pool:
            yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/async/{number}")
    async def asynchronous(number: int, pg: Pg = Depends(get_pg)) -> dict[str, Any]:
        return dict(await pg.exec_async("SELECT $1::int AS n, 'async' AS kind", number))

    @app.get("/sync/{number}")
    def synchronous(number: int, pg: Pg = Depends(get_pg)) -> dict[str, Any]:
        with pg.tx() as tx:
            tx.exec("SELECT 1")
        return dict(pg.exec("SELECT $1::int AS n, 'sync' AS kind", number))

    @app.get("/summary")
    async def summary(pg: Pg = Depends(get_pg)) -> dict[str, Any]:
        user, orders = await when_all(
            [
                pg.exec_async("SELECT 7 AS id").one(),
                pg.exec_async("SELECT generate_series(1, 3) AS n").scalars(),
            ]
        )
        return {"user": dict(user), "orders": orders}

    @app.get("/missing")
    async def missing(pg: Pg = Depends(get_pg)) -> None:
        try:
            await pg.exec_async("SELECT 1 WHERE false").one()
        except PgNoRow:
            raise HTTPException(404) from None

    @app.get("/broken")
    async def broken(pg: Pg = Depends(get_pg)) -> None:
        async with pg.tx() as tx:
            await tx.exec_async("SELECT 1")
            raise HTTPException(418)

    @app.get("/export")
    async def export(pg: Pg = Depends(get_pg)) -> Any:
        return pool.copy_out_response(
            "COPY (SELECT generate_series(1, 1000)) TO STDOUT CSV", filename="n.csv"
        )

    export.__annotations__.pop("return")
    return app


@pytest.fixture
async def client(pg_cluster: Cluster) -> AsyncIterator[httpx.AsyncClient]:
    pool = PgPool(pg_cluster.dsn(), max_size=3)
    app = application(pool)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client,
    ):
        yield client
        # Every request has given back what it took.
        assert pool.stats()["in_use"] == 0


async def test_handlers_of_both_kinds_get_a_pg_that_is_released(client: httpx.AsyncClient) -> None:
    for number in range(20):
        assert (await client.get(f"/async/{number}")).json() == {"n": number, "kind": "async"}
        assert (await client.get(f"/sync/{number}")).json() == {"n": number, "kind": "sync"}


async def test_several_queries_of_one_request_run_together(client: httpx.AsyncClient) -> None:
    assert (await client.get("/summary")).json() == {"user": {"id": 7}, "orders": [1, 2, 3]}


async def test_a_request_that_fails_releases_too(client: httpx.AsyncClient) -> None:
    for _ in range(10):
        assert (await client.get("/missing")).status_code == 404
        assert (await client.get("/broken")).status_code == 418


async def test_an_export_streams(client: httpx.AsyncClient) -> None:
    response = await client.get("/export")
    assert response.headers["content-disposition"] == "attachment; filename*=UTF-8''n.csv"
    assert response.text.count("\n") == 1000
