"""CORS: who may read, what a preflight says, and that no cache mixes origins up."""

from __future__ import annotations

import logging

import pytest
from middleware_support import answering, make_request, vary

from swift.http import Response
from swift.middleware import CORSMiddleware

APP = "https://app.example.com"
EVIL = "https://evil.example"

ok = answering(lambda: Response("ok"))


async def simple(cors, origin=None, method="GET", endpoint=ok):
    headers = {} if origin is None else {"Origin": origin}
    return await cors(make_request(method, headers=headers), endpoint)


async def preflight(cors, origin=APP, method="GET", headers=None, **extra):
    sent = {"Origin": origin, "Access-Control-Request-Method": method, **extra}
    if headers is not None:
        sent["Access-Control-Request-Headers"] = headers

    async def never(request):
        raise AssertionError("a preflight must not reach the endpoint")

    return await cors(make_request("OPTIONS", headers=sent), never)


def allow(response, name):
    return response.headers.get(f"access-control-allow-{name}")


# Which origins


@pytest.mark.parametrize(
    ("options", "origin", "allowed"),
    [
        ({}, APP, None),
        ({"allow_origins": [APP]}, APP, APP),
        ({"allow_origins": APP}, APP, APP),
        ({"allow_origins": ["HTTPS://App.Example.com:443"]}, APP, APP),
        ({"allow_origins": ["http://localhost:80"]}, "http://localhost", "http://localhost"),
        ({"allow_origins": ["capacitor://localhost"]}, "capacitor://localhost", "capacitor://localhost"),
        ({"allow_origins": [APP]}, EVIL, None),
        ({"allow_origins": [APP]}, APP + ":8443", None),
        ({"allow_origins": [APP]}, "http://app.example.com", None),
        ({"allow_origins": [APP]}, APP + ".evil.example", None),
        ({"allow_origins": [APP]}, "https://evil" + APP.removeprefix("https://"), None),
        ({"allow_origins": ["*"]}, EVIL, "*"),
        ({"allow_origins": "*"}, "null", "*"),
        ({"allow_origins": "*", "allow_credentials": True}, EVIL, EVIL),
        ({"allow_origins": "*", "allow_credentials": True}, "null", None),
        ({"allow_origins": "*", "allow_credentials": True}, "https://a, https://b", None),
        ({"allow_origins": "*", "allow_credentials": True}, "not an origin", None),
        ({"allow_origin_regex": r"https://[a-z]+\.example\.com"}, APP, APP),
        ({"allow_origin_regex": r"https://[a-z]+\.example\.com"}, APP + ".evil.example", None),
        ({"allow_origin_regex": r"https://[a-z]+\.example\.com"}, "x" + APP, None),
        ({"allow_origin_regex": r"https://[a-z]+\.example\.com"}, APP + "\n", None),
        ({"allow_origin_regex": r".*"}, "null", None),
        ({"allow_origins": ["null"]}, "null", "null"),
        ({"allow_origins": [APP]}, "null", None),
        ({"allow_origins": [APP]}, "", None),
    ],
)
async def test_the_origin_decides(options, origin, allowed):
    response = await simple(CORSMiddleware(**options), origin)

    assert allow(response, "origin") == allowed
    assert response.body == b"ok", "the browser refuses, the server answers as always"


async def test_credentials_are_announced_and_the_wildcard_is_never_sent_with_them():
    response = await simple(CORSMiddleware("*", allow_credentials=True), APP)

    assert allow(response, "origin") == APP
    assert allow(response, "credentials") == "true"
    assert vary(response) == {"origin"}


async def test_a_refused_origin_gets_no_cors_header_at_all():
    cors = CORSMiddleware([APP], allow_credentials=True, expose_headers=["x-total"])
    response = await simple(cors, EVIL)

    assert not [name for name in response.headers if name.startswith("access-control-")]


def test_every_origin_with_credentials_is_warned_of(caplog):
    with caplog.at_level(logging.WARNING, "swift.cors"):
        CORSMiddleware("*", allow_credentials=True)

    assert "every origin" in caplog.text


# Vary


@pytest.mark.parametrize("origin", [None, APP, EVIL, "null"])
@pytest.mark.parametrize(
    "options",
    [
        {"allow_origins": [APP]},
        {"allow_origin_regex": ".*"},
        {"allow_origins": "*", "allow_credentials": True},
        {},
    ],
)
async def test_an_answer_that_depends_on_the_origin_always_says_so(options, origin):
    response = await simple(CORSMiddleware(**options), origin)

    assert vary(response) == {"origin"}


async def test_a_constant_answer_does_not_vary():
    assert vary(await simple(CORSMiddleware("*"), APP)) == set()


async def test_vary_of_the_response_is_kept():
    endpoint = answering(lambda: Response("ok", headers={"Vary": "Accept-Encoding"}))
    response = await simple(CORSMiddleware([APP]), APP, endpoint=endpoint)

    assert vary(response) == {"accept-encoding", "origin"}


async def test_a_response_that_is_returned_twice_does_not_collect_headers():
    constant = Response("ok")
    cors = CORSMiddleware([APP, EVIL], expose_headers=["x-total"])
    for origin in (APP, EVIL, APP):
        response = await simple(cors, origin, endpoint=answering(lambda: constant))

    assert response.headers.getlist("access-control-allow-origin") == [APP]
    assert response.headers.getlist("access-control-expose-headers") == ["x-total"]
    assert response.headers.getlist("vary") == ["Origin"]


# Preflight


async def test_a_preflight_is_answered_without_the_endpoint():
    cors = CORSMiddleware([APP], allow_headers=["X-Token"], max_age=60, allow_credentials=True)
    response = await preflight(cors, method="PUT", headers="x-token")

    assert response.status == 204
    assert response.body == b""
    assert allow(response, "origin") == APP
    assert allow(response, "credentials") == "true"
    assert allow(response, "methods") == "GET, HEAD, POST, PUT, PATCH, DELETE"
    assert allow(response, "headers") == "Accept, Accept-Language, Content-Language, Content-Type, X-Token"
    assert response.headers["access-control-max-age"] == "60"
    assert vary(response) == {"origin"}


async def test_json_may_be_posted_without_naming_content_type():
    assert "Content-Type" in allow(await preflight(CORSMiddleware([APP])), "headers")


async def test_a_preflight_from_a_refused_origin_is_forbidden_and_says_nothing():
    response = await preflight(CORSMiddleware([APP]), origin=EVIL)

    assert response.status == 403
    assert response.headers["content-type"] == "application/problem+json"
    assert vary(response) == {"origin"}
    assert not [name for name in response.headers if name.startswith("access-control-")]


async def test_a_refused_method_is_the_browsers_to_report():
    response = await preflight(CORSMiddleware([APP], allow_methods=["GET"]), method="DELETE")

    assert response.status == 204
    assert allow(response, "methods") == "GET"


@pytest.mark.parametrize("credentials", [False, True])
async def test_every_method_and_header_means_the_requested_ones(credentials):
    cors = CORSMiddleware([APP], allow_methods="*", allow_headers="*", allow_credentials=credentials)
    response = await preflight(cors, method="PURGE", headers="authorization,x-token")

    assert allow(response, "methods") == "PURGE"
    assert allow(response, "headers") == "authorization, x-token"
    assert vary(response) == {
        "origin",
        "access-control-request-method",
        "access-control-request-headers",
    }


async def test_what_is_no_token_is_not_repeated():
    cors = CORSMiddleware([APP], allow_methods="*", allow_headers="*")
    response = await preflight(cors, method="G ET", headers="x-ok, x y, \xe4")

    assert allow(response, "methods") is None
    assert allow(response, "headers") == "x-ok"


async def test_options_without_the_preflight_headers_reaches_the_endpoint():
    response = await simple(CORSMiddleware([APP]), APP, method="OPTIONS")

    assert response.body == b"ok"
    assert allow(response, "origin") == APP
    assert allow(response, "methods") is None


async def test_the_constant_wildcard_preflight():
    response = await preflight(CORSMiddleware("*"), origin="null")

    assert allow(response, "origin") == "*"
    assert vary(response) == set()


@pytest.mark.parametrize(
    ("allowed", "asked", "answer"), [(True, True, "true"), (True, False, None), (False, True, None)]
)
async def test_private_network_access_is_granted_only_when_allowed_and_asked(allowed, asked, answer):
    extra = {"Access-Control-Request-Private-Network": "true"} if asked else {}
    response = await preflight(CORSMiddleware([APP], allow_private_network=allowed), **extra)

    assert allow(response, "private-network") == answer
    assert ("access-control-request-private-network" in vary(response)) is allowed


async def test_exposed_headers_are_named_on_the_response_and_not_on_the_preflight():
    cors = CORSMiddleware([APP], expose_headers=["X-Total", "ETag"])

    assert (await simple(cors, APP)).headers["access-control-expose-headers"] == "X-Total, ETag"
    assert "access-control-expose-headers" not in (await preflight(cors)).headers


# Wrong configuration


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"allow_origins": ["example.com"]}, "'example.com' is not an origin"),
        ({"allow_origins": [APP + "/"]}, "is not an origin; write scheme, host and port only"),
        ({"allow_origins": ["https://*.example.com"]}, "use `allow_origin_regex` for patterns"),
        ({"allow_origin_regex": "("}, "`allow_origin_regex` is not a regular expression"),
        ({"allow_methods": ["GET, POST"]}, "`allow_methods` holds 'GET, POST', which is not a token"),
        ({"allow_headers": ["x\r\ny"]}, "`allow_headers` holds"),
        ({"expose_headers": [""]}, "`expose_headers` holds ''"),
        ({"max_age": -1}, "`max_age` is a number of seconds from 0, got -1"),
        ({"allow_origins": ["null"], "allow_credentials": True}, "every sandboxed page"),
        ({"expose_headers": "*", "allow_credentials": True}, "list the `expose_headers`"),
    ],
)
def test_a_mistake_is_refused_at_the_start(options, message):
    with pytest.raises(ValueError) as caught:
        CORSMiddleware(**options)

    assert message in str(caught.value)
