"""The document tells of authentication by itself: schemes, requirements, and the answers that follow."""

from __future__ import annotations

from typing import Any

import pytest

from swift import App, Request
from swift.auth import APIKey, Authentication, BearerJWT, HTTPBasic, Identity
from swift.permissions import (
    AllowAny,
    DenyAll,
    IsAdmin,
    IsAuthenticated,
    IsAuthenticatedOrReadOnly,
    IsOwner,
    Permission,
)
from tests.openapi_support import document_of, new_app, operation_of

BEARER = BearerJWT("the secret of a test, of more than 32 bytes")
KEY = APIKey(lookup={}.get)
BASIC = HTTPBasic(lambda username, password: None)


async def handler() -> str:
    return ""


def app_with(*authentication: Any, **options: Any) -> App:
    app = new_app(authentication=authentication)
    app.get("/a", name="a", **options)(handler)
    return app


def test_the_schemes_are_those_of_the_backends() -> None:
    document = document_of(app_with(BEARER, KEY, BASIC, permission_classes=[IsAuthenticated]))
    assert document["components"]["securitySchemes"] == {
        "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
        "api_key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
        "basic": {"type": "http", "scheme": "basic"},
    }
    operation = document["paths"]["/a"]["get"]
    assert operation["security"] == [{"bearer": []}, {"api_key": []}, {"basic": []}]
    assert {"401", "403"} <= operation["responses"].keys()


class Custom(Permission):
    def has_permission(self, request: Request, view: Any) -> bool:
        return True


class Lenient(IsAuthenticated):
    def has_permission(self, request: Request, view: Any) -> bool:
        return True


@pytest.mark.parametrize(
    ("permissions", "method", "optional"),
    [
        ([], "GET", True),
        ([AllowAny], "GET", True),
        ([IsAuthenticated], "GET", False),
        ([IsAdmin], "GET", False),
        ([DenyAll], "GET", False),
        ([IsAuthenticatedOrReadOnly], "GET", True),
        ([IsAuthenticatedOrReadOnly], "POST", False),
        ([IsAuthenticated() | AllowAny()], "GET", True),
        ([IsAuthenticated() & AllowAny()], "GET", False),
        ([IsAuthenticatedOrReadOnly() & AllowAny()], "GET", True),
        ([IsAuthenticatedOrReadOnly, IsAuthenticated], "GET", False),
        ([~IsAuthenticated()], "GET", True),
        ([~AllowAny()], "GET", False),
        # Of these the class alone does not tell.
        ([IsOwner], "GET", False),
        ([Custom], "GET", False),
        ([Lenient], "GET", False),
        ([~Custom()], "GET", False),
        ([Custom() | AllowAny()], "GET", True),
        ([Custom() & AllowAny()], "GET", False),
    ],
)
def test_credentials_are_optional_where_anybody_may_pass(
    permissions: list[Any], method: str, optional: bool
) -> None:
    app = new_app(authentication=[BEARER])
    app.route("/a", [method], name="a", permission_classes=permissions)(handler)
    expected: list[Any] = [{"bearer": []}, {}] if optional else [{"bearer": []}]
    assert operation_of(app, "/a", method.lower())["security"] == expected


def test_an_open_route_can_refuse_credentials_but_forbids_nothing() -> None:
    answers = operation_of(app_with(BEARER), "/a")["responses"].keys()
    assert "401" in answers
    assert "403" not in answers


def test_a_route_without_authentication_has_no_security() -> None:
    app = app_with(BEARER, authentication=[])
    document = document_of(app)
    assert "security" not in document["paths"]["/a"]["get"]
    assert "401" not in document["paths"]["/a"]["get"]["responses"]
    assert "securitySchemes" not in document.get("components", {})


def test_what_a_route_says_itself_wins() -> None:
    app = app_with(BEARER, security=[{"bearer": ["read"]}], permission_classes=[IsAuthenticated])
    assert operation_of(app, "/a")["security"] == [{"bearer": ["read"]}]


def test_what_the_document_says_of_a_scheme_wins() -> None:
    described = {"type": "http", "scheme": "bearer", "description": "Ask us for one."}
    document = document_of(app_with(BEARER), security_schemes={"bearer": described})
    assert document["components"]["securitySchemes"] == {"bearer": described}


def test_the_document_may_require_the_scheme_of_a_backend() -> None:
    app = app_with(BEARER, permission_classes=[IsAuthenticated])
    assert document_of(app, security=[{"bearer": []}])["security"] == [{"bearer": []}]


def test_equal_schemes_are_one_and_different_ones_need_names() -> None:
    app = app_with(BEARER)
    app.get("/b", name="b", authentication=[BearerJWT("another secret of a test, also long enough")])(handler)
    assert list(document_of(app)["components"]["securitySchemes"]) == ["bearer"]
    app = app_with(APIKey("x-one", lookup={}.get))
    app.get("/d", name="d", authentication=[APIKey("x-two", lookup={}.get)])(handler)
    with pytest.raises(ValueError, match="are named `api_key`; give one of them another name"):
        document_of(app)


def test_two_keys_in_two_headers_by_two_names() -> None:
    app = app_with(APIKey("x-one", lookup={}.get, name="one"), APIKey("x-two", lookup={}.get, name="two"))
    assert operation_of(app, "/a")["security"] == [{"one": []}, {"two": []}, {}]


def test_a_backend_without_a_scheme_stays_out_of_the_document() -> None:
    class Session(Authentication):
        def authenticate(self, request: Request) -> Identity | None:
            return None

    operation = operation_of(app_with(Session), "/a")
    assert "security" not in operation
    # Its guard can still refuse.
    assert "401" in operation["responses"]


def test_a_hidden_route_adds_no_scheme() -> None:
    app = new_app()
    app.get("/a", authentication=[BEARER], include_in_schema=False)(handler)
    assert document_of(app).get("components") is None
