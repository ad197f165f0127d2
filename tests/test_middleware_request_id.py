"""Request ids: one per request, on the response, in the logs, and a client's own only from those we trust."""

from __future__ import annotations

import asyncio
import logging
import re

import pytest
from middleware_support import answering, make_request

from swift.http import Response
from swift.middleware import RequestIDFilter, RequestIDMiddleware, request_id_var

ok = answering(lambda: Response("ok"))


async def id_of(middleware, headers=None, client=("192.0.2.1", 1)):
    response = await middleware(make_request(headers=headers, client=client), ok)
    return response.headers["x-request-id"]


async def test_each_request_gets_an_id_of_its_own():
    middleware = RequestIDMiddleware()
    ids = {await id_of(middleware) for _ in range(100)}

    assert len(ids) == 100
    assert all(re.fullmatch(r"[0-9a-f]{32}", each) for each in ids)


async def test_the_endpoint_sees_the_id_that_is_sent():
    seen = []

    async def endpoint(request):
        seen.append((request.state["request_id"], request_id_var.get()))
        return Response("ok")

    response = await RequestIDMiddleware()(make_request(), endpoint)

    assert seen == [(response.headers["x-request-id"],) * 2]


async def test_a_strangers_id_is_not_taken():
    assert await id_of(RequestIDMiddleware(), {"X-Request-ID": "mine"}) != "mine"
    assert await id_of(RequestIDMiddleware(trusted=["10.0.0.0/8"]), {"X-Request-ID": "mine"}) != "mine"


@pytest.mark.parametrize("trusted", [["192.0.2.0/24"], ["0.0.0.0/0"]])
async def test_the_id_of_a_trusted_peer_is_taken(trusted):
    assert await id_of(RequestIDMiddleware(trusted=trusted), {"X-Request-ID": "mine"}) == "mine"


@pytest.mark.parametrize("value", ["", "a b", "a\nb", "x" * 129, "a;b", "\xe4", "<script>"])
async def test_an_id_that_does_not_match_is_replaced(value):
    assert await id_of(RequestIDMiddleware(trusted=["0.0.0.0/0"]), {"X-Request-ID": value}) != value


async def test_pattern_header_and_generator_can_be_chosen():
    middleware = RequestIDMiddleware(
        header="X-Trace", trusted=["unix"], pattern=r"\d+", generate=lambda: "generated"
    )
    for sent, expected in [("12", "12"), ("x", "generated")]:
        request = make_request(headers={"X-Trace": sent}, client=None)
        assert (await middleware(request, ok)).headers["x-trace"] == expected


async def test_an_id_that_the_endpoint_set_is_replaced():
    endpoint = answering(lambda: Response("ok", headers={"X-Request-ID": "other"}))
    response = await RequestIDMiddleware(generate=lambda: "ours")(make_request(), endpoint)

    assert response.headers.getlist("x-request-id") == ["ours"]


async def test_concurrent_requests_keep_their_ids_apart_in_the_log():
    records = []

    class Collector(logging.Handler):
        def emit(self, record):
            records.append((record.getMessage(), record.request_id))

    logger = logging.getLogger("test_request_id")
    logger.setLevel(logging.INFO)
    handler = Collector()
    handler.addFilter(RequestIDFilter())
    logger.addHandler(handler)

    async def endpoint(request):
        await asyncio.sleep(0)
        logger.info(request.path)
        return Response("ok")

    middleware = RequestIDMiddleware()
    try:
        responses = await asyncio.gather(
            *(middleware(make_request(path=f"/{i}"), endpoint) for i in range(20))
        )
        logger.info("outside")
    finally:
        logger.removeHandler(handler)

    assert dict(records) == {
        **{f"/{i}": response.headers["x-request-id"] for i, response in enumerate(responses)},
        "outside": "-",
    }


def test_a_wrong_header_name_is_refused_at_the_start():
    with pytest.raises(ValueError, match="not a token"):
        RequestIDMiddleware(header="x request id")
