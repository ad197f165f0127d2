"""Security headers: what every response says, and what it says only over HTTPS."""

from __future__ import annotations

import pytest
from middleware_support import answering, make_request

from swift.http import Response
from swift.middleware import SecurityHeadersMiddleware

ok = answering(lambda: Response("ok"))


async def headers_of(middleware, scheme="http", endpoint=ok):
    return dict((await middleware(make_request(scheme=scheme), endpoint)).headers)


async def test_the_usual_headers():
    assert await headers_of(SecurityHeadersMiddleware()) == {
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "strict-origin-when-cross-origin",
        "cross-origin-opener-policy": "same-origin",
    }


async def test_strict_transport_security_is_sent_over_https_only():
    middleware = SecurityHeadersMiddleware()

    assert "strict-transport-security" not in await headers_of(middleware, "http")
    assert (await headers_of(middleware, "https"))["strict-transport-security"] == "max-age=31536000"


@pytest.mark.parametrize(
    ("options", "value"),
    [
        ({"hsts_seconds": 60}, "max-age=60"),
        ({"hsts_include_subdomains": True}, "max-age=31536000; includeSubDomains"),
        (
            {"hsts_include_subdomains": True, "hsts_preload": True},
            "max-age=31536000; includeSubDomains; preload",
        ),
        ({"hsts_seconds": 0}, None),
    ],
)
async def test_strict_transport_security_as_configured(options, value):
    headers = await headers_of(SecurityHeadersMiddleware(**options), "https")

    assert headers.get("strict-transport-security") == value


async def test_each_header_can_be_set_or_left_out():
    middleware = SecurityHeadersMiddleware(
        frame_options=None,
        referrer_policy=None,
        cross_origin_opener_policy=None,
        cross_origin_resource_policy="same-site",
        permissions_policy="camera=()",
        content_security_policy="default-src 'none'",
    )

    assert await headers_of(middleware) == {
        "x-content-type-options": "nosniff",
        "cross-origin-resource-policy": "same-site",
        "permissions-policy": "camera=()",
        "content-security-policy": "default-src 'none'",
    }


async def test_a_header_of_the_endpoint_stands():
    endpoint = answering(lambda: Response("ok", headers={"X-Frame-Options": "SAMEORIGIN"}))
    response = await SecurityHeadersMiddleware()(make_request(), endpoint)

    assert response.headers.getlist("x-frame-options") == ["SAMEORIGIN"]


async def test_each_request_has_a_nonce_of_its_own():
    nonces = []

    async def endpoint(request):
        nonces.append(request.state["csp_nonce"])
        return Response("ok")

    middleware = SecurityHeadersMiddleware(content_security_policy="script-src 'nonce-{nonce}'")
    policies = [
        (await headers_of(middleware, endpoint=endpoint))["content-security-policy"] for _ in range(2)
    ]

    assert policies == [f"script-src 'nonce-{nonce}'" for nonce in nonces]
    assert nonces[0] != nonces[1]
    assert len(nonces[0]) >= 22


@pytest.mark.parametrize(
    "options",
    [
        {"hsts_preload": True},
        {"hsts_preload": True, "hsts_include_subdomains": True, "hsts_seconds": 60},
        {"hsts_seconds": -1},
        {"content_security_policy": "a\r\nb"},
        {"content_security_policy": "{nonce}\r\nb"},
        {"referrer_policy": "é€"},
    ],
)
def test_a_mistake_is_refused_at_the_start(options):
    with pytest.raises(ValueError):
        SecurityHeadersMiddleware(**options)
