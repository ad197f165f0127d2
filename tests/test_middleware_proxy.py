"""Forwarded headers: believed from our own proxies, read from the end, written to a copy of the scope."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from middleware_support import make_request

from swift.middleware import ForwardedMiddleware, TrustedPeers
from swift.middleware.proxy import parse_node

PROXY = "10.0.0.1"
TRUSTED = ("10.0.0.0/8", "fd00::/8")


async def seen(
    headers, *, peer=(PROXY, 4444), trusted=TRUSTED, header="x-forwarded", type_="http", scheme="http"
):
    """Client and scheme as the application sees them."""
    scopes = []

    async def app(scope, receive, send):
        scopes.append(scope)

    scope = make_request(headers=headers, client=peer, scheme=scheme).scope
    scope["type"] = type_
    before = dict(scope)
    await ForwardedMiddleware(app, trusted, header)(scope, None, None)

    assert scope == before, "the server's scope is not changed"
    return scopes[0]["client"], scopes[0]["scheme"]


def xff(value, proto=None):
    headers = [("X-Forwarded-For", value)]
    return headers if proto is None else [*headers, ("X-Forwarded-Proto", proto)]


# Who is believed


async def test_a_stranger_is_not_believed():
    assert await seen(xff("1.2.3.4", "https"), peer=("192.0.2.1", 1)) == (("192.0.2.1", 1), "http")


async def test_a_trusted_proxy_is_believed():
    assert await seen(xff("1.2.3.4", "https")) == (("1.2.3.4", 0), "https")


async def test_without_headers_the_proxy_is_the_client():
    assert await seen([]) == ((PROXY, 4444), "http")


@pytest.mark.parametrize("peer", [None, ("", 0)])
async def test_a_unix_socket_is_trusted_by_name_only(peer):
    assert (await seen(xff("1.2.3.4"), peer=peer, trusted=["unix"]))[0] == ("1.2.3.4", 0)
    assert (await seen(xff("1.2.3.4"), peer=peer))[0] == peer


async def test_an_ipv4_proxy_on_a_dual_stack_socket_is_recognised():
    assert (await seen(xff("1.2.3.4"), peer=("::ffff:10.0.0.1", 1)))[0] == ("1.2.3.4", 0)


# X-Forwarded-For


@pytest.mark.parametrize(
    ("value", "client"),
    [
        ("1.2.3.4", "1.2.3.4"),
        ("6.6.6.6, 1.2.3.4", "1.2.3.4"),
        ("6.6.6.6, 1.2.3.4, 10.9.9.9", "1.2.3.4"),
        ("6.6.6.6, 1.2.3.4, 10.9.9.9, fd00::1", "1.2.3.4"),
        ("10.1.1.1, 10.2.2.2", "10.1.1.1"),
        ("127.0.0.1", "127.0.0.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("::ffff:1.2.3.4", "1.2.3.4"),
        (" 1.2.3.4 ,, 10.0.0.2 ,", "1.2.3.4"),
        ("6.6.6.6, nonsense", None),
        ("6.6.6.6, nonsense, 10.0.0.2", "10.0.0.2"),
        ("6.6.6.6, unknown, 10.0.0.2", "10.0.0.2"),
        ("fe80::1%eth0", None),
        ("1.2.3.4.5", None),
        ("01.2.3.4", None),
        ("", None),
        (",", None),
        ("\xff\xfe", None),
    ],
)
async def test_the_last_address_that_is_not_ours_is_the_client(value, client):
    assert (await seen(xff(value)))[0] == ((PROXY, 4444) if client is None else (client, 0))


async def test_lines_count_together_in_their_order():
    headers = [*xff("6.6.6.6"), *xff("1.2.3.4, 10.0.0.2")]

    assert (await seen(headers))[0] == ("1.2.3.4", 0)


async def test_underscores_are_no_hyphens():
    assert (await seen([("X_Forwarded_For", "1.2.3.4")]))[0] == (PROXY, 4444)


async def test_a_very_long_list_is_read_from_its_end_only():
    assert (await seen(xff("6.6.6.6, " * 5000 + "1.2.3.4, 10.0.0.2")))[0] == ("1.2.3.4", 0)
    assert (await seen(xff("6.6.6.6" + ", 10.0.0.2" * 5000)))[0] == ("10.0.0.2", 0)


@pytest.mark.parametrize(
    ("addresses", "schemes", "scheme"),
    [
        ("1.2.3.4", "https", "https"),
        ("1.2.3.4", "HTTPS", "https"),
        ("6.6.6.6, 1.2.3.4", "http, https", "https"),
        ("6.6.6.6, 1.2.3.4", "https, http", "http"),
        ("1.2.3.4, 10.0.0.2", "https, http", "https"),
        ("1.2.3.4, 10.0.0.2", "https", "https"),
        ("6.6.6.6, 1.2.3.4, 10.0.0.2", "gopher, https", "https"),
        ("1.2.3.4", "gopher", "http"),
        ("1.2.3.4", "", "http"),
        ("nonsense", "https", "https"),
    ],
)
async def test_the_scheme_is_that_of_the_same_hop(addresses, schemes, scheme):
    assert (await seen(xff(addresses, schemes)))[1] == scheme


async def test_the_scheme_alone_can_be_forwarded():
    assert await seen([("X-Forwarded-Proto", "https")]) == ((PROXY, 4444), "https")


async def test_a_websocket_keeps_its_kind_of_scheme():
    assert (await seen(xff("1.2.3.4", "https"), type_="websocket", scheme="ws"))[1] == "wss"
    assert (await seen(xff("1.2.3.4", "wss"), type_="websocket", scheme="ws"))[1] == "wss"
    assert (await seen(xff("1.2.3.4", "http"), type_="websocket", scheme="wss"))[1] == "ws"


async def test_the_host_is_never_rewritten():
    scopes = []

    async def app(scope, receive, send):
        scopes.append(scope)

    headers = {"Host": "a.example", "X-Forwarded-Host": "evil.example", "X-Forwarded-For": "1.2.3.4"}
    request = make_request(headers=headers, client=(PROXY, 1))
    await ForwardedMiddleware(app, TRUSTED)(request.scope, None, None)

    assert dict(scopes[0]["headers"])[b"host"] == b"a.example"
    assert scopes[0]["server"] == request.scope["server"]


async def test_lifespan_passes_through():
    scopes = []

    async def app(scope, receive, send):
        scopes.append(scope)

    scope = {"type": "lifespan", "asgi": {}}
    await ForwardedMiddleware(app, TRUSTED)(scope, None, None)

    assert scopes[0] is scope


# Forwarded


@pytest.mark.parametrize(
    ("value", "client", "scheme"),
    [
        ("for=1.2.3.4;proto=https", ("1.2.3.4", 0), "https"),
        ("For=1.2.3.4; Proto=HTTPS; by=10.0.0.1; host=x", ("1.2.3.4", 0), "https"),
        ('for="1.2.3.4:5678"', ("1.2.3.4", 5678), "http"),
        ('for="[2001:db8::1]:5678";proto="https"', ("2001:db8::1", 5678), "https"),
        ("for=6.6.6.6;proto=http, for=1.2.3.4;proto=https, for=10.0.0.2;proto=http", ("1.2.3.4", 0), "https"),
        ('for="a,b";proto=https, for=1.2.3.4', ("1.2.3.4", 0), "http"),
        ("for=unknown;proto=https", (PROXY, 4444), "https"),
        ("for=_hidden", (PROXY, 4444), "http"),
        ("proto=https", (PROXY, 4444), "https"),
        ("for=6.6.6.6, for=_hidden, for=10.0.0.2", ("10.0.0.2", 0), "http"),
        ("", (PROXY, 4444), "http"),
        (";;;===,,,", (PROXY, 4444), "http"),
        ('for="1.2.3.4', (PROXY, 4444), "http"),
    ],
)
async def test_forwarded_is_read_like_rfc_7239_says(value, client, scheme):
    assert await seen([("Forwarded", value)], header="forwarded") == (client, scheme)


async def test_only_the_kind_that_the_proxies_write_is_read():
    both = [("Forwarded", "for=6.6.6.6;proto=https"), *xff("1.2.3.4", "http")]

    assert (await seen(both))[0] == ("1.2.3.4", 0)
    assert (await seen(both, header="forwarded"))[0] == ("6.6.6.6", 0)
    assert (await seen([("Forwarded", "for=6.6.6.6")]))[0] == (PROXY, 4444)


@pytest.mark.parametrize(
    ("node", "parsed"),
    [
        ("1.2.3.4:80", ("1.2.3.4", 80)),
        ("1.2.3.4:_port", ("1.2.3.4", 0)),
        ("1.2.3.4:65536", ("1.2.3.4", 0)),
        ("1.2.3.4:", ("1.2.3.4", 0)),
        ("[::1]", ("::1", 0)),
        ("[::1]:1", ("::1", 1)),
        ("[::1", (None, 0)),
        ("[::1]1", (None, 0)),
        ("[1.2.3.4]x", (None, 0)),
        ("::1", ("::1", 0)),
        ("localhost", (None, 0)),
    ],
)
def test_a_node_is_an_address_with_or_without_a_port(node, parsed):
    assert parse_node(node) == parsed


@given(st.text(max_size=60))
def test_no_text_breaks_the_parser(text):
    address, port = parse_node(text)

    assert 0 <= port <= 65535
    assert address is None or address in TrustedPeers(["0.0.0.0/0", "::/0"])


# Configuration


@pytest.mark.parametrize("network", ["example.com", "10.0.0.1/8", "10.0.0.0/33", "*", ""])
def test_what_is_no_network_is_refused_at_the_start(network):
    with pytest.raises(ValueError, match="is not a network; write an address or CIDR"):
        ForwardedMiddleware(seen, [network])


def test_another_header_is_refused_at_the_start():
    with pytest.raises(ValueError, match="`header` is 'x-forwarded' or 'forwarded', got 'x-real-ip'"):
        ForwardedMiddleware(seen, TRUSTED, "x-real-ip")


def test_one_network_may_be_given_as_text():
    assert "10.1.1.1" in TrustedPeers("10.0.0.0/8")
    assert "11.1.1.1" not in TrustedPeers("10.0.0.0/8")
    assert None not in TrustedPeers("10.0.0.0/8")
    assert "testclient" not in TrustedPeers("10.0.0.0/8")
