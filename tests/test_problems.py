"""Problem details, RFC 9457."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import msgspec
import pytest

from swift.http import problems
from swift.http.problems import BadRequest, ErrorDetail, NotFound, Problem, ServiceUnavailable

STATUSES = {
    "BadRequest": (400, "Bad Request"),
    "Unauthorized": (401, "Unauthorized"),
    "Forbidden": (403, "Forbidden"),
    "NotFound": (404, "Not Found"),
    "MethodNotAllowed": (405, "Method Not Allowed"),
    "NotAcceptable": (406, "Not Acceptable"),
    "Conflict": (409, "Conflict"),
    "PreconditionFailed": (412, "Precondition Failed"),
    "ContentTooLarge": (413, "Content Too Large"),
    "UnsupportedMediaType": (415, "Unsupported Media Type"),
    "RangeNotSatisfiable": (416, "Range Not Satisfiable"),
    "UnprocessableContent": (422, "Unprocessable Content"),
    "TooManyRequests": (429, "Too Many Requests"),
    "InternalServerError": (500, "Internal Server Error"),
    "ServiceUnavailable": (503, "Service Unavailable"),
}


def document(problem: Problem) -> dict[str, Any]:
    decoded: dict[str, Any] = msgspec.json.decode(problem.encode())
    return decoded


@pytest.mark.parametrize(("name", "expected"), STATUSES.items())
def test_each_class_has_its_status_and_the_title_of_rfc_9110(name: str, expected: tuple[int, str]) -> None:
    problem = getattr(problems, name)()

    assert (problem.status, problem.title) == expected
    assert document(problem) == {"type": "about:blank", "title": expected[1], "status": expected[0]}


def test_the_table_is_complete() -> None:
    assert {cls.__name__ for cls in Problem.__subclasses__() if cls.__module__ == problems.__name__} == set(
        STATUSES
    )


def test_all_members() -> None:
    problem = BadRequest(
        "The request is invalid.",
        status=422,
        type="https://example.com/problems/invalid",
        title="Invalid",
        instance="/orders/7",
        errors=[ErrorDetail("/body/items/0/qty", "type", "Expected `int`, got `str`.")],
        extensions={"balance": 30},
    )

    assert document(problem) == {
        "type": "https://example.com/problems/invalid",
        "title": "Invalid",
        "status": 422,
        "detail": "The request is invalid.",
        "instance": "/orders/7",
        "errors": [{"pointer": "/body/items/0/qty", "code": "type", "detail": "Expected `int`, got `str`."}],
        "balance": 30,
    }


def test_absent_members_are_left_out() -> None:
    assert "errors" not in document(NotFound(errors=[]))
    assert "detail" not in document(NotFound())
    assert document(NotFound(""))["detail"] == ""


@pytest.mark.parametrize("member", ["type", "title", "status", "detail", "instance", "errors"])
def test_extensions_cannot_replace_a_standard_member(member: str) -> None:
    with pytest.raises(ValueError, match=f"extension members {member} belong"):
        NotFound(extensions={member: "x"})


@pytest.mark.parametrize("status", [0, 100, 200, 399, 600, 1000])
def test_a_problem_is_an_error(status: int) -> None:
    with pytest.raises(ValueError, match="from 400 to 599"):
        Problem(status=status)


@pytest.mark.parametrize(
    ("status", "title"), [(418, "I'm a Teapot"), (499, "Client Error"), (599, "Server Error")]
)
def test_titles_of_other_statuses(status: int, title: str) -> None:
    assert Problem(status=status).title.lower() == title.lower()


def test_headers_travel_with_the_answer() -> None:
    response = ServiceUnavailable(headers={"Retry-After": "120"}).to_response()

    assert response.status == 503
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["retry-after"] == "120"
    assert msgspec.json.decode(response.body)["status"] == 503


def test_a_header_may_be_repeated() -> None:
    problem = problems.Unauthorized(headers=[("WWW-Authenticate", "Bearer"), ("WWW-Authenticate", "Basic")])

    assert problem.to_response().headers.getlist("www-authenticate") == ["Bearer", "Basic"]


def test_a_header_that_cannot_be_sent_is_refused_where_the_problem_is_made() -> None:
    with pytest.raises(ValueError, match="control character"):
        problems.Unauthorized(headers={"www-authenticate": "Bearer\r\nset-cookie: a=1"})


def test_it_is_an_exception_with_a_readable_text() -> None:
    with pytest.raises(Problem) as caught:
        raise NotFound("No such order.")

    assert str(caught.value) == "404 Not Found: No such order."
    assert str(NotFound()) == "404 Not Found"


def test_it_survives_copying_and_pickling() -> None:
    problem = NotFound(
        "gone", errors=[ErrorDetail("/path/id", "x", "y")], extensions={"a": 1}, headers={"x-a": "1"}
    )

    for twin in (copy.copy(problem), pickle.loads(pickle.dumps(problem))):
        assert document(twin) == document(problem)
        assert twin.raw_headers == problem.raw_headers
