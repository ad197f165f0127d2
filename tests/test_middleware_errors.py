"""The error boundary: every exception becomes a problem, is logged once, and tells the client nothing."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest
from middleware_support import make_request

from swift.http import ClientDisconnect, Conflict, Response
from swift.middleware import ErrorBoundary


def raising(error: BaseException):
    async def endpoint(request):
        raise error

    return endpoint


async def test_a_response_passes_through():
    response = Response("ok")

    async def endpoint(request):
        return response

    assert await ErrorBoundary()(make_request(), endpoint) is response


async def test_an_unhandled_exception_is_a_500_problem_without_its_text(caplog):
    response = await ErrorBoundary()(make_request(path="/x"), raising(RuntimeError("hunter2")))

    assert response.status == 500
    assert response.headers["content-type"] == "application/problem+json"
    assert b"hunter2" not in response.body
    assert json.loads(response.body) == {
        "type": "about:blank",
        "title": "Internal Server Error",
        "status": 500,
        "detail": "The server failed to answer this request.",
    }


async def test_it_is_logged_once_with_its_traceback(caplog):
    await ErrorBoundary()(make_request("POST", "/x"), raising(RuntimeError("hunter2")))
    (record,) = caplog.records

    assert (record.name, record.levelno) == ("swift.error", logging.ERROR)
    assert record.getMessage() == "Unhandled RuntimeError in POST '/x'"
    assert "hunter2" in caplog.text
    assert "Traceback" in caplog.text


async def test_a_path_cannot_forge_lines_of_the_log(caplog):
    await ErrorBoundary()(make_request(path="/x\n2026 INFO all is well"), raising(RuntimeError()))

    assert "\n" not in caplog.records[0].getMessage()


async def test_a_problem_is_answered_and_not_logged(caplog):
    response = await ErrorBoundary()(make_request(), raising(Conflict("Taken.", headers={"x-a": "1"})))

    assert response.status == 409
    assert response.headers["x-a"] == "1"
    assert not caplog.records


async def test_a_client_that_left_is_no_error(caplog):
    with caplog.at_level(logging.INFO):
        response = await ErrorBoundary()(make_request(), raising(ClientDisconnect()))

    assert response.status == 499
    assert not caplog.records


@pytest.mark.parametrize(
    "error", [asyncio.CancelledError(), KeyboardInterrupt(), SystemExit(1), GeneratorExit()]
)
async def test_what_is_no_error_of_the_request_passes_through(error, caplog):
    with pytest.raises(type(error)):
        await ErrorBoundary(debug=True)(make_request(), raising(error))

    assert not caplog.records


async def test_a_group_of_errors_is_one_error(caplog):
    group = ExceptionGroup("both failed", [ValueError("a"), KeyError("b")])

    assert (await ErrorBoundary()(make_request(), raising(group))).status == 500
    assert len(caplog.records) == 1


# Debug


async def traceback_for(client, headers=None, debug=True):
    request = make_request(client=client, headers=headers)
    response = await ErrorBoundary(debug=debug)(request, raising(RuntimeError("hunter2")))
    return json.loads(response.body).get("traceback")


@pytest.mark.parametrize("client", [("127.0.0.1", 1), ("127.8.8.8", 1), ("::1", 1)])
async def test_debug_shows_the_traceback_to_this_machine(client):
    lines = await traceback_for(client)

    assert lines[0].startswith("Traceback")
    assert lines[-1] == "RuntimeError: hunter2"


@pytest.mark.parametrize(
    "client", [("192.0.2.1", 1), ("10.0.0.1", 1), ("::ffff:8.8.8.8", 1), ("testclient", 1), ("", 0), None]
)
async def test_debug_shows_nothing_to_others(client):
    assert await traceback_for(client) is None


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "Via", "X-Real-IP", "X-Forwarded-Host"])
async def test_debug_shows_nothing_through_a_proxy_on_this_machine(header):
    assert await traceback_for(("127.0.0.1", 1), {header: "127.0.0.1"}) is None


async def test_without_debug_nothing_is_shown():
    assert await traceback_for(("127.0.0.1", 1), debug=False) is None
