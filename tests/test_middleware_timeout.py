"""A deadline for making a response, told apart from timeouts of the handler's own."""

from __future__ import annotations

import asyncio
import json

import pytest
from middleware_support import answering, make_request

from swift.http import Response
from swift.middleware import TimeoutMiddleware


async def test_an_answer_in_time_passes():
    response = await TimeoutMiddleware(5)(make_request(), answering(lambda: Response("ok")))

    assert response.body == b"ok"


@pytest.mark.parametrize("status", [503, 504])
async def test_a_late_answer_is_a_problem_and_the_handler_is_cancelled(status):
    ended = []

    async def endpoint(request):
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(True)

    response = await TimeoutMiddleware(0.01, status=status, retry_after=7)(make_request(), endpoint)

    assert response.status == json.loads(response.body)["status"] == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["retry-after"] == "7"
    assert ended == [True]


async def test_a_timeout_of_the_handlers_own_is_its_own():
    async def endpoint(request):
        async with asyncio.timeout(0.001):
            await asyncio.sleep(60)

    with pytest.raises(TimeoutError):
        await TimeoutMiddleware(5)(make_request(), endpoint)


async def test_the_inner_deadline_may_be_shorter():
    async def endpoint(request):
        await asyncio.sleep(60)

    async def inner(request):
        return await TimeoutMiddleware(0.01, status=504)(request, endpoint)

    assert (await TimeoutMiddleware(5)(make_request(), inner)).status == 504


async def test_cancellation_from_outside_is_not_a_timeout():
    started = asyncio.Event()

    async def endpoint(request):
        started.set()
        await asyncio.sleep(60)

    task = asyncio.create_task(TimeoutMiddleware(5)(make_request(), endpoint))
    await started.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("options", [{"seconds": 0}, {"seconds": -1}, {"seconds": 1, "status": 500}])
def test_a_mistake_is_refused_at_the_start(options):
    with pytest.raises(ValueError):
        TimeoutMiddleware(**options)
