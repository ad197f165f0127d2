"""The cookie jar: what a user agent keeps and sends back (RFC 6265 §5)."""

from __future__ import annotations

import time

import pytest

from swift.testing import Cookie, CookieJar
from swift.testing.cookies import parse_set_cookie


def jar_after(
    *set_cookies: str, scheme: str = "http", host: str = "testserver", path: str = "/"
) -> CookieJar:
    jar = CookieJar()
    jar.receive(set_cookies, scheme=scheme, host=host, path=path)
    return jar


def test_every_attribute_is_read() -> None:
    header = (
        "sid=a=b ; Domain=.Example.COM; Path=/app; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT; "
        "Secure; HttpOnly; SameSite=Lax; Partitioned; Priority=High"
    )

    assert parse_set_cookie(header, host="example.com", now=1000.0) == Cookie(
        name="sid",
        value="a=b",
        domain="example.com",
        path="/app",
        expires=1060.0,
        secure=True,
        httponly=True,
        samesite="lax",
        partitioned=True,
        host_only=False,
    )


def test_expires_is_a_date() -> None:
    cookie = parse_set_cookie("a=b; Expires=Wed, 09 Jun 2021 10:18:14 GMT")

    assert cookie is not None
    assert cookie.expires == 1623233894


@pytest.mark.parametrize("attribute", ["Max-Age=soon", "Expires=soon", "Path=relative", "Domain=", "Max-Age"])
def test_an_attribute_that_makes_no_sense_is_ignored(attribute: str) -> None:
    assert parse_set_cookie(f"a=b; {attribute}") == Cookie(name="a", value="b")


@pytest.mark.parametrize("header", ["", "a", "=b", ";a=b"])
def test_a_cookie_without_a_name_is_none(header: str) -> None:
    assert parse_set_cookie(header) is None


@pytest.mark.parametrize(
    ("request_path", "cookie_path"), [("/", "/"), ("/a", "/"), ("/a/b", "/a"), ("/a/b/", "/a/b"), ("", "/")]
)
def test_the_default_path_is_the_directory_of_the_request(request_path: str, cookie_path: str) -> None:
    cookie = parse_set_cookie("a=b", path=request_path)

    assert cookie is not None
    assert cookie.path == cookie_path


@pytest.mark.parametrize(
    ("set_cookie", "scheme", "host", "path", "is_sent"),
    [
        ("a=b", "http", "testserver", "/", True),
        ("a=b", "http", "other", "/", False),
        ("a=b", "http", "sub.testserver", "/", False),
        ("a=b; Path=/app", "http", "testserver", "/app", True),
        ("a=b; Path=/app", "http", "testserver", "/app/users", True),
        ("a=b; Path=/app", "http", "testserver", "/apple", False),
        ("a=b; Path=/app/", "http", "testserver", "/app/users", True),
        ("a=b; Path=/app", "http", "testserver", "/", False),
        ("a=b; Path=/; HttpOnly", "http", "testserver", "/x", True),
    ],
)
def test_where_a_cookie_is_sent(set_cookie: str, scheme: str, host: str, path: str, is_sent: bool) -> None:
    assert jar_after(set_cookie).header(scheme=scheme, host=host, path=path) == ("a=b" if is_sent else "")


def test_a_domain_cookie_goes_to_its_subdomains() -> None:
    jar = jar_after("a=b; Domain=example.com", host="api.example.com")

    assert jar.header(scheme="http", host="example.com", path="/") == "a=b"
    assert jar.header(scheme="http", host="www.example.com", path="/") == "a=b"
    assert jar.header(scheme="http", host="badexample.com", path="/") == ""


def test_a_secure_cookie_goes_to_https_only() -> None:
    jar = jar_after("a=b; Secure", scheme="https")

    assert jar.header(scheme="https", host="testserver", path="/") == "a=b"
    assert jar.header(scheme="wss", host="testserver", path="/") == "a=b"
    assert jar.header(scheme="http", host="testserver", path="/") == ""


@pytest.mark.parametrize(
    ("set_cookie", "scheme"),
    [
        ("a=b; Domain=example.com", "http"),
        ("a=b; Domain=server", "http"),
        ("a=b; Secure", "http"),
        ("__Secure-a=b", "https"),
        ("__Host-a=b; Secure; Path=/; Domain=testserver", "https"),
        ("__Host-a=b; Secure; Path=/app", "https"),
        ("__Host-a=b; Path=/", "https"),
    ],
)
def test_what_a_user_agent_refuses(set_cookie: str, scheme: str) -> None:
    assert len(jar_after(set_cookie, scheme=scheme, path="/app/")) == 0


def test_a_top_level_domain_cannot_be_covered() -> None:
    assert len(jar_after("a=b; Domain=com", host="example.com")) == 0
    assert len(jar_after("a=b; Domain=testserver")) == 1


def test_prefixed_cookies_are_kept_when_they_keep_their_promise() -> None:
    jar = jar_after("__Host-a=b; Secure; Path=/", "__Secure-c=d; Secure", scheme="https")

    assert [cookie.name for cookie in jar] == ["__Host-a", "__Secure-c"]


def test_a_later_cookie_replaces_the_one_of_the_same_name_domain_and_path() -> None:
    jar = jar_after("a=1", "a=2", "a=3; Path=/app")

    assert jar.header(scheme="http", host="testserver", path="/app") == "a=3; a=2"


def test_an_expired_cookie_removes_the_one_before_it() -> None:
    assert len(jar_after("a=1", "a=; Max-Age=0")) == 0
    assert len(jar_after("a=1", "a=; Expires=Thu, 01 Jan 1970 00:00:00 GMT")) == 0


def test_a_cookie_expires_with_time(monkeypatch: pytest.MonkeyPatch) -> None:
    jar = jar_after("a=1; Max-Age=10", "b=2")
    now = time.time()

    monkeypatch.setattr(time, "time", lambda: now + 20)

    assert jar.header(scheme="http", host="testserver", path="/") == "b=2"
    assert "a" not in jar
    assert len(jar) == 1


def test_the_jar_as_a_mapping_of_names() -> None:
    jar = CookieJar()
    jar.set("a", "1")
    jar.set("b", "2", path="/app")

    assert jar["a"] == "1"
    assert jar.get("c", "none") == "none"
    assert "b" in jar
    with pytest.raises(KeyError):
        jar["c"]
    jar.delete("a")
    assert [cookie.name for cookie in jar] == ["b"]
    jar.clear()
    assert len(jar) == 0


def test_a_cookie_set_by_hand_goes_to_every_host() -> None:
    jar = CookieJar()
    jar.set("a", "1")

    assert jar.header(scheme="http", host="anywhere", path="/x") == "a=1"
