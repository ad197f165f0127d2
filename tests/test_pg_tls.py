"""TLS: every sslmode against every kind of server, certificates, channel binding, direct TLS, and those in between."""

from __future__ import annotations

import shutil
import socket
import ssl
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes

from swift.pg import actions
from swift.pg.conninfo import parse
from swift.pg.errors import (
    PgAuthenticationError,
    PgConfigError,
    PgConnectionError,
    PgError,
    PgProtocolError,
    PgTLSError,
)
from swift.pg.tls import context_for, end_point, matches, server_hostname
from tests.pg_certificates import Authority, Pair
from tests.pg_driver import Driver, open_session, tls_version
from tests.pg_fake_server import FakeServer, Peer, authentication, backend_key_data, error, ready, sasl
from tests.pg_scram_server import ScramServer
from tests.pg_support import PASSWORD, Cluster, server
from tests.tls_front import TLSFront


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A cluster whose certificate these tests may change."""
    with Cluster(server(tls=True)) as own:
        yield own


@pytest.fixture(scope="module")
def authority(cluster: Cluster) -> Authority:
    assert cluster.authority is not None
    return cluster.authority


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority nobody trusts."""
    return Authority(tmp_path_factory.mktemp("stranger"), "Someone else")


def serving(pair: Pair, *, alpn: bool = True) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    if alpn:
        context.set_alpn_protocols(["postgresql"])
    return context


# sslmode, against servers that have TLS, demand it, refuse it, do not know it

KINDS = {
    "both": "host all trust_user 127.0.0.1/32 trust",
    "only-tls": "hostssl all trust_user 127.0.0.1/32 trust\nhostnossl all trust_user 127.0.0.1/32 reject",
    "no-tls": "hostnossl all trust_user 127.0.0.1/32 trust\nhostssl all trust_user 127.0.0.1/32 reject",
}

# What is expected: TLS, plain text, or an error; and how many sockets it takes.
OUTCOMES: dict[tuple[str, str], tuple[bool | type[PgError], int]] = {
    ("disable", "both"): (False, 1),
    ("disable", "only-tls"): (PgAuthenticationError, 1),
    ("disable", "no-tls"): (False, 1),
    ("disable", "unable"): (False, 1),
    ("allow", "both"): (False, 1),
    ("allow", "only-tls"): (True, 2),
    ("allow", "no-tls"): (False, 1),
    ("allow", "unable"): (False, 1),
    ("prefer", "both"): (True, 1),
    ("prefer", "only-tls"): (True, 1),
    ("prefer", "no-tls"): (False, 2),
    ("prefer", "unable"): (False, 1),
    ("require", "both"): (True, 1),
    ("require", "only-tls"): (True, 1),
    ("require", "no-tls"): (PgAuthenticationError, 1),
    ("require", "unable"): (PgTLSError, 1),
    ("verify-ca", "both"): (True, 1),
    ("verify-ca", "no-tls"): (PgAuthenticationError, 1),
    ("verify-ca", "unable"): (PgTLSError, 1),
    ("verify-full", "both"): (True, 1),
    ("verify-full", "no-tls"): (PgAuthenticationError, 1),
    ("verify-full", "unable"): (PgTLSError, 1),
}


@pytest.mark.parametrize("kind", [*KINDS, "unable"])
def test_every_sslmode_against_this_kind_of_server(cluster: Cluster, authority: Authority, kind: str) -> None:
    if kind == "unable":
        cluster.configure(ssl="off")
    try:
        with cluster.hba(KINDS.get(kind, KINDS["both"])):
            for (mode, where), (outcome, sockets) in OUTCOMES.items():
                if where != kind:
                    continue
                driver = Driver()
                options = {"sslrootcert": str(authority.file)} if mode.startswith("verify") else {}
                dsn = cluster.dsn("trust_user", sslmode=mode, **options)
                if isinstance(outcome, bool):
                    with open_session(dsn, driver=driver) as connected:
                        assert (tls_version(connected) is not None) == outcome, mode
                        shown = connected.query(
                            "select ssl::text from pg_stat_ssl where pid = pg_backend_pid()"
                        )
                        assert shown == str(outcome).lower()
                else:
                    with pytest.raises(outcome):
                        open_session(dsn, driver=driver)
                    assert driver.socket is None
                assert len(driver.opened) == sockets, (mode, kind)
    finally:
        if kind == "unable":
            cluster.configure(ssl="on")


def test_tls_is_not_used_over_unix_sockets(cluster: Cluster) -> None:
    with open_session(cluster.dsn(unix=True, sslmode="require", sslnegotiation="direct")) as connected:
        assert tls_version(connected) is None


# e.17: when not to fall back, and what is checked


def test_e17_a_wrong_password_is_no_reason_to_try_in_plain_text(cluster: Cluster) -> None:
    for user in ("scram_user", "md5_user", "plain_user"):
        driver = Driver()
        with pytest.raises(PgAuthenticationError, match=r"password authentication failed"):
            open_session(cluster.dsn(user, password="wrong", sslmode="prefer"), driver=driver)
        assert len(driver.opened) == 1


def test_e17_prefer_takes_a_new_socket_when_tls_breaks() -> None:
    def broken(peer: Peer) -> None:
        peer.expect_ssl_request()
        peer.send(b"S")
        peer.read(5)
        peer.send(b"not a ServerHello at all")

    def plain(peer: Peer) -> None:
        peer.welcome()
        peer.expect_close()

    with FakeServer(broken, plain) as fake:
        with open_session(fake.dsn(sslmode="prefer")) as connected:
            assert tls_version(connected) is None
        assert fake.connections == 2
    with FakeServer(broken) as fake:
        with pytest.raises(PgTLSError, match=r"TLS handshake failed"):
            open_session(fake.dsn(sslmode="require"))
        assert fake.connections == 1


def test_e17_nothing_falls_back_under_channel_binding_require(cluster: Cluster) -> None:
    for mode in ("allow", "prefer"):
        driver = Driver()
        with pytest.raises(PgAuthenticationError), cluster.hba(KINDS["no-tls"]):
            open_session(cluster.dsn("trust_user", sslmode=mode, channel_binding="require"), driver=driver)
        assert len(driver.opened) == 1
        assert any(isinstance(action, actions.StartTLS) for action in driver.actions)


def test_e17_the_name_is_compared_as_written_not_the_address(cluster: Cluster, authority: Authority) -> None:
    rest = {"sslmode": "verify-full", "sslrootcert": str(authority.file)}
    for address in ("localhost", "127.0.0.1"):
        with open_session(cluster.dsn(**rest).replace("127.0.0.1", address)) as connected:
            assert tls_version(connected)
    at = {
        "host": "elsewhere.example",
        "hostaddr": "127.0.0.1",
        "port": str(cluster.port),
        "user": "postgres",
        **rest,
    }
    with pytest.raises(PgTLSError, match=r"not trusted: Hostname mismatch"):
        open_session("", **at)
    open_session("", **{**at, "sslmode": "verify-ca"}).driver.close()
    with pytest.raises(PgConfigError, match=r"only hostaddr was given"):
        open_session("", **{**at, "host": ""})
    cluster.use_certificate(authority.other_host)
    try:
        open_session("", **at).driver.close()
        with pytest.raises(PgTLSError, match=r"not trusted: (Hostname|IP address) mismatch"):
            open_session(cluster.dsn(**rest))
    finally:
        cluster.use_certificate(authority.server)


def test_e17_a_certificate_of_a_stranger_is_refused(cluster: Cluster, stranger: Authority) -> None:
    for mode in ("verify-ca", "verify-full"):
        with pytest.raises(PgTLSError, match=r"not trusted"):
            open_session(cluster.dsn(sslmode=mode, sslrootcert=str(stranger.file)))
    # `require` with a root certificate is verify-ca.
    with pytest.raises(PgTLSError, match=r"not trusted"):
        open_session(cluster.dsn(sslmode="require", sslrootcert=str(stranger.file)))
    open_session(cluster.dsn(sslmode="require")).driver.close()


def test_e17_the_systems_certificates(
    cluster: Cluster, authority: Authority, stranger: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    dsn = cluster.dsn(sslrootcert="system").replace("127.0.0.1", "localhost")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    with open_session(dsn) as connected:
        assert connected.options.tls.mode == "verify-full"
    monkeypatch.setenv("SSL_CERT_FILE", str(stranger.file))
    with pytest.raises(PgTLSError, match=r"not trusted"):
        open_session(dsn)


@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
def test_verification_needs_a_root_certificate(cluster: Cluster, mode: str, tmp_path: Path) -> None:
    with pytest.raises(PgConfigError, match=r"needs a root certificate"):
        open_session(cluster.dsn(sslmode=mode))
    with pytest.raises(PgConfigError, match=r"sslrootcert: .* cannot be used: No such file"):
        open_session(cluster.dsn(sslmode=mode, sslrootcert=str(tmp_path / "missing")))
    (tmp_path / "junk").write_text("junk")
    with pytest.raises(PgConfigError, match=r"sslrootcert: .* cannot be used: no certificate"):
        open_session(cluster.dsn(sslmode=mode, sslrootcert=str(tmp_path / "junk")))


def test_a_revoked_certificate_is_refused(cluster: Cluster, authority: Authority, tmp_path: Path) -> None:
    trusted = {"sslmode": "verify-ca", "sslrootcert": str(authority.file)}
    none_revoked = authority.revoke().rename(tmp_path / "none.crl")
    with open_session(cluster.dsn(sslcrl=str(none_revoked), **trusted)) as connected:
        assert tls_version(connected)
    revoked = authority.revoke(authority.server)
    with pytest.raises(PgTLSError, match=r"not trusted: certificate revoked"):
        open_session(cluster.dsn(sslcrl=str(revoked), **trusted))
    openssl = shutil.which("openssl")
    if openssl is not None:
        # A directory is looked into by the hash of the issuer's name.
        done = subprocess.run(
            [openssl, "crl", "-hash", "-noout", "-in", revoked], capture_output=True, text=True, check=True
        )
        (tmp_path / f"{done.stdout.strip()}.r0").write_bytes(revoked.read_bytes())
        with pytest.raises(PgTLSError, match=r"not trusted: certificate revoked"):
            open_session(cluster.dsn(sslcrldir=str(tmp_path), **trusted))


def names_sent(context: ssl.SSLContext) -> list[str | None]:
    """The server names that clients send in their handshake."""
    names: list[str | None] = []

    def note(_: Any, name: str | None, __: ssl.SSLContext) -> None:
        names.append(name)

    context.sni_callback = note
    return names


def test_e17_the_name_in_the_handshake_and_where_there_is_none(authority: Authority) -> None:
    context = serving(authority.server)
    names = names_sent(context)

    def script(peer: Peer) -> None:
        peer.start_tls(context)
        peer.welcome()
        peer.expect_close()

    def refused(peer: Peer) -> None:
        peer.start_tls(context)
        peer.expect_close()

    trusted = {"sslmode": "verify-full", "sslrootcert": str(authority.file)}
    with FakeServer(script, script, script, refused) as fake:
        for address, sni in (("localhost", "1"), ("127.0.0.1", "1"), ("localhost", "0")):
            at = {
                "host": address,
                "hostaddr": "127.0.0.1",
                "port": str(fake.port),
                "user": "u",
                "sslsni": sni,
            }
            open_session("", **at, **trusted).driver.close()
        assert names == ["localhost", None, None]
        # Without SNI the name is compared all the same.
        with pytest.raises(PgTLSError, match=r'not valid for "elsewhere.example"'):
            open_session("", **{**at, "host": "elsewhere.example"}, **trusted)


def test_e17_the_zone_of_an_ipv6_address_is_not_part_of_its_name() -> None:
    options = parse("postgresql://[fe80::1%25eth0]/?sslmode=require", environment={})
    context = context_for(options.tls, options.tls_contexts)
    assert options.hosts[0].name == "fe80::1%eth0"
    assert server_hostname(options.tls, options.hosts[0], context) == "fe80::1"


@pytest.mark.parametrize(
    ("names", "host", "good"),
    [
        ([("DNS", "a.example")], "a.example", True),
        ([("DNS", "a.example")], "A.Example.", True),
        ([("DNS", "*.example.org")], "a.example.org", True),
        ([("DNS", "*.example.org")], "a.b.example.org", False),
        ([("DNS", "*.example.org")], "example.org", False),
        ([("DNS", "*.org")], "example.org", False),
        ([("DNS", "a*.example.org")], "ab.example.org", False),
        ([("DNS", "127.0.0.1")], "127.0.0.1", False),
        ([("IP Address", "127.0.0.1")], "127.0.0.1", True),
        ([("IP Address", "0:0:0:0:0:0:0:1\n")], "::1", True),
        ([("DNS", "a.example")], "b.example", False),
        ([], "a.example", False),
    ],
)
def test_names_of_a_certificate(names: list[tuple[str, str]], host: str, good: bool) -> None:
    assert matches({"subjectAltName": tuple(names)}, host) == good
    assert not matches(None, host)


def test_versions_of_tls(cluster: Cluster) -> None:
    with open_session(cluster.dsn(sslmode="require", ssl_max_protocol_version="TLSv1.2")) as connected:
        assert tls_version(connected) == "TLSv1.2"
    with open_session(cluster.dsn(sslmode="require", ssl_min_protocol_version="TLSv1.3")) as connected:
        assert tls_version(connected) == "TLSv1.3"
    cluster.configure(ssl_max_protocol_version="TLSv1.2")
    try:
        with pytest.raises(PgTLSError, match=r"TLS handshake failed"):
            open_session(cluster.dsn(sslmode="require", ssl_min_protocol_version="TLSv1.3"))
    finally:
        cluster.configure(ssl_max_protocol_version=None)


def test_secrets_for_a_debugger_are_written_only_when_asked(cluster: Cluster, tmp_path: Path) -> None:
    log = tmp_path / "keys"
    open_session(cluster.dsn(sslmode="require", sslkeylogfile=str(log))).driver.close()
    assert "CLIENT_HANDSHAKE_TRAFFIC_SECRET" in log.read_text()


def test_a_context_of_the_caller(cluster: Cluster, authority: Authority, stranger: Authority) -> None:
    dsn = cluster.dsn().replace("127.0.0.1", "localhost")
    with open_session(dsn, ssl_context=ssl.create_default_context(cafile=authority.file)) as connected:
        assert tls_version(connected)
        assert connected.options.tls.mode == "require"
    with pytest.raises(PgTLSError, match=r"not trusted"):
        open_session(dsn, ssl_context=ssl.create_default_context(cafile=stranger.file))
    with pytest.raises(PgConfigError, match=r"sslsni=0"):
        open_session(dsn, ssl_context=ssl.create_default_context(cafile=authority.file), sslsni=0)


def test_files_that_change_are_read_again(
    cluster: Cluster, authority: Authority, stranger: Authority, tmp_path: Path
) -> None:
    root = tmp_path / "root.crt"
    shutil.copyfile(authority.file, root)
    first = open_session(cluster.dsn(sslmode="verify-ca", sslrootcert=str(root)))
    first.driver.close()
    made = dict(first.options.tls_contexts)
    open_session(first.options).driver.close()
    assert first.options.tls_contexts == made
    shutil.copyfile(stranger.file, root)
    with pytest.raises(PgTLSError, match=r"not trusted"):
        open_session(first.options)


# Client certificates


def identity(pair: Pair, **options: str) -> dict[str, str]:
    return {"sslmode": "require", "sslcert": str(pair.certificate), "sslkey": str(pair.key), **options}


def test_a_client_certificate_proves_the_user(
    cluster: Cluster, authority: Authority, stranger: Authority
) -> None:
    with open_session(cluster.dsn("cert_user", **identity(authority.client("cert_user")))) as connected:
        assert (
            connected.query("select client_dn from pg_stat_ssl where pid = pg_backend_pid()")
            == "/CN=cert_user"
        )
        assert connected.session.method == "none"
    for wrong in (
        {"sslmode": "require"},
        identity(authority.client("someone_else")),
        identity(authority.client("cert_user"), sslcertmode="disable"),
    ):
        with pytest.raises(PgAuthenticationError) as caught:
            open_session(cluster.dsn("cert_user", **wrong))
        assert caught.value.code.startswith("28")
    # One the server does not trust ends the handshake, or, in TLS 1.3, what follows it.
    with pytest.raises(PgConnectionError):
        open_session(cluster.dsn("cert_user", **identity(stranger.client("cert_user"))))


def test_the_key_of_a_client_certificate_may_be_encrypted(cluster: Cluster, authority: Authority) -> None:
    locked = authority.client("cert_user", password="pass phrase")
    with open_session(cluster.dsn("cert_user", **identity(locked, sslpassword="pass phrase"))) as connected:
        assert connected.query("select 1") == "1"
    with pytest.raises(PgConfigError, match=r"is encrypted; give its password by sslpassword"):
        open_session(cluster.dsn("cert_user", **identity(locked)))
    with pytest.raises(PgConfigError, match=r"cannot be used") as caught:
        open_session(cluster.dsn("cert_user", **identity(locked, sslpassword="hunter2")))
    assert "hunter2" not in str(caught.value)


def test_a_key_that_others_may_read_is_refused(
    cluster: Cluster, authority: Authority, tmp_path: Path
) -> None:
    pair = authority.client("cert_user")
    key = tmp_path / "open.key"
    shutil.copyfile(pair.key, key)
    for mode in (0o644, 0o660):
        key.chmod(mode)
        with pytest.raises(PgConfigError, match=r"may be read by others"):
            open_session(cluster.dsn("cert_user", **identity(Pair(pair.certificate, key))))
    with pytest.raises(PgConfigError, match=r"cannot be read: No such file"):
        open_session(cluster.dsn("cert_user", **identity(Pair(pair.certificate, tmp_path / "missing"))))
    with pytest.raises(PgConfigError, match=r"cannot be used"):
        open_session(cluster.dsn("cert_user", **identity(Pair(tmp_path / "missing", pair.key))))
    with pytest.raises(PgConfigError, match=r"sslcert is given but not sslkey"):
        open_session(cluster.dsn("cert_user", sslmode="require", sslcert=str(pair.certificate)))
    with pytest.raises(PgConfigError, match=r"sslcertmode=require"):
        open_session(cluster.dsn("cert_user", sslmode="require", sslcertmode="require"))


# Channel binding

BINDABLE: list[tuple[str, Any]] = [
    ("ec", hashes.SHA256()),
    ("ec", hashes.SHA384()),
    ("ec", hashes.SHA512()),
    ("rsa", hashes.SHA224()),
    ("rsa", hashes.SHA256()),
    ("rsa", hashes.SHA384()),
    ("rsa", hashes.SHA512()),
    ("rsa-pss", hashes.SHA256()),
    ("rsa-pss", hashes.SHA512()),
]


def test_e22_channel_binding_is_used_with_every_kind_of_certificate(
    cluster: Cluster, authority: Authority
) -> None:
    try:
        for kind, digest in BINDABLE:
            pair = authority.issue(f"bound-{kind}-{digest.name}", "localhost", kind=kind, digest=digest)
            cluster.use_certificate(pair)
            for wanted in ("require", "prefer"):
                dsn = cluster.dsn("scram_user", password=PASSWORD, sslmode="require", channel_binding=wanted)
                with open_session(dsn) as connected:
                    assert connected.session.channel_bound, (kind, digest.name)
            assert end_point(pair.der) == hashed(digest, pair.der)
    finally:
        cluster.use_certificate(authority.server)


def hashed(digest: Any, data: bytes) -> bytes:
    context = hashes.Hash(digest)
    context.update(data)
    return context.finalize()


def test_e22_md5_and_sha1_become_sha256(authority: Authority) -> None:
    der = authority.issue("old", "localhost", kind="rsa", digest=hashes.SHA256()).der
    sha256 = bytes.fromhex("2a864886f70d01010b")
    for old in ("2a864886f70d010104", "2a864886f70d010105"):
        changed = der.replace(sha256, bytes.fromhex(old))
        assert changed != der
        assert end_point(changed) == hashed(hashes.SHA256(), changed)


def test_e22_a_certificate_that_is_cut_off_has_no_binding(authority: Authority) -> None:
    der = authority.server.der
    for length in (*range(64), len(der) - 1):
        assert end_point(der[:length]) is None


def test_e22_ed25519_has_no_binding_so_require_fails_closed(cluster: Cluster, authority: Authority) -> None:
    pair = authority.issue("edwards", "localhost", kind="ed25519")
    assert end_point(pair.der) is None
    # A real server cannot hash such a certificate either, and breaks off; this one offers PLUS all the same.
    exchange = ScramServer(PASSWORD)
    context = serving(pair)

    def script(peer: Peer) -> None:
        peer.start_tls(context)
        peer.expect_startup()
        exchange.play(peer, "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256")
        peer.send(authentication(0), backend_key_data(), ready())
        peer.expect_close()

    def refused(peer: Peer) -> None:
        peer.start_tls(context)
        peer.expect_startup()
        peer.send(sasl("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"))
        peer.expect_close()

    with FakeServer(script, refused) as fake:
        with open_session(fake.dsn(sslmode="require"), password=PASSWORD) as connected:
            assert not connected.session.channel_bound
            assert exchange.gs2 == b"n,,"
        with pytest.raises(PgAuthenticationError, match=r"no binding is defined"):
            open_session(fake.dsn(sslmode="require", channel_binding="require"), password=PASSWORD)


@pytest.mark.parametrize(
    ("wanted", "mechanisms", "gs2"),
    [
        ("prefer", ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"], b"p=tls-server-end-point,,"),
        ("require", ["SCRAM-SHA-256-PLUS"], b"p=tls-server-end-point,,"),
        ("prefer", ["SCRAM-SHA-256"], b"y,,"),
        ("disable", ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"], b"n,,"),
        ("disable", ["SCRAM-SHA-256"], b"n,,"),
        ("require", ["SCRAM-SHA-256"], None),
        ("disable", ["SCRAM-SHA-256-PLUS"], None),
    ],
)
def test_e22_what_is_said_about_channel_binding(
    authority: Authority, wanted: str, mechanisms: list[str], gs2: bytes | None
) -> None:
    binding = end_point(authority.server.der) if gs2 and gs2.startswith(b"p") else b""
    exchange = ScramServer("pw", binding=binding or b"")
    context = serving(authority.server)

    def script(peer: Peer) -> None:
        peer.start_tls(context)
        peer.expect_startup()
        if gs2 is None:
            peer.send(sasl(*mechanisms))
            peer.expect_close()
            return
        exchange.play(peer, *mechanisms)
        peer.send(authentication(0), backend_key_data(), ready())
        peer.expect_close()

    with FakeServer(script) as fake:
        dsn = fake.dsn(sslmode="require", channel_binding=wanted)
        if gs2 is None:
            with pytest.raises(PgAuthenticationError, match=r"channel.binding"):
                open_session(dsn, password="pw")
        else:
            with open_session(dsn, password="pw") as connected:
                assert connected.session.channel_bound == bool(binding)
            assert exchange.gs2 == gs2


def test_channel_binding_required_without_tls(cluster: Cluster, pg_clusters: Any) -> None:
    dsn = cluster.dsn("scram_user", password=PASSWORD, sslmode="disable", channel_binding="require")
    with pytest.raises(PgAuthenticationError, match=r"the connection has no TLS"):
        open_session(dsn)


def test_a_man_in_the_middle_is_found_by_channel_binding(cluster: Cluster, stranger: Authority) -> None:
    with TLSFront((cluster.host, cluster.port), serving(stranger.server), upstream_tls=True) as front:
        dsn = f"postgresql://scram_user@{front.host}:{front.port}/test?sslmode=require"
        with pytest.raises(PgAuthenticationError):
            open_session(dsn, password=PASSWORD)
        # Without binding he gets away with it: that is what it is for.
        open_session(dsn, password=PASSWORD, channel_binding="disable").driver.close()


def test_e23_taking_away_the_offer_of_channel_binding_is_noticed(
    cluster: Cluster, stranger: Authority
) -> None:
    def strip(data: bytes) -> bytes:
        both = struct.pack("!ii", 42, 10) + b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"
        return data.replace(both, struct.pack("!ii", 23, 10) + b"SCRAM-SHA-256\0\0")

    with TLSFront(
        (cluster.host, cluster.port), serving(stranger.server), upstream_tls=True, rewrite=strip
    ) as front:
        dsn = f"postgresql://scram_user@{front.host}:{front.port}/test?sslmode=require"
        with pytest.raises(PgError, match=r"SCRAM channel binding"):
            open_session(dsn, password=PASSWORD)
        with pytest.raises(PgAuthenticationError, match=r"does not offer it"):
            open_session(dsn, password=PASSWORD, channel_binding="require")


# e.14, e.15: the answer to SSLRequest


@pytest.mark.parametrize("extra", [b"S", b"N"])
def test_e15_bytes_stuffed_after_the_answer_are_refused(authority: Authority, extra: bytes) -> None:
    forged = authentication(0) + ready()

    def script(peer: Peer) -> None:
        peer.expect_ssl_request()
        peer.send(extra + forged)
        peer.expect_close()

    for mode in ("prefer", "require"):
        with FakeServer(script) as fake:
            with pytest.raises(PgError, match=r"plain text after the answer|neither yes nor no"):
                open_session(fake.dsn(sslmode=mode))
            assert fake.connections == 1


def test_e14_an_error_in_answer_to_sslrequest_is_not_believed() -> None:
    def old(peer: Peer) -> None:
        peer.expect_ssl_request()
        peer.send(error("08P01", "send your password to evil.example", severity="FATAL"))

    def plain(peer: Peer) -> None:
        peer.welcome()
        peer.expect_close()

    with FakeServer(old) as fake, pytest.raises(PgTLSError, match=r"answered with an error") as caught:
        open_session(fake.dsn(sslmode="require"))
    assert "evil" not in str(caught.value)
    with FakeServer(old, plain) as fake:
        open_session(fake.dsn(sslmode="prefer")).driver.close()
        assert fake.connections == 2


def test_e14_silence_after_sslrequest_is_told_apart() -> None:
    def closes(peer: Peer) -> None:
        peer.expect_ssl_request()

    with (
        FakeServer(closes) as fake,
        pytest.raises(PgTLSError, match=r"closed the connection when TLS was asked for"),
    ):
        open_session(fake.dsn(sslmode="require"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(PgConnectionError, match=r"connection refused") as caught:
        open_session(f"postgresql://u@127.0.0.1:{port}/?sslmode=require")
    assert not isinstance(caught.value, PgTLSError)


def test_another_protocol_is_recognised() -> None:
    def http(peer: Peer) -> None:
        peer.read(8)
        peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with FakeServer(http) as fake, pytest.raises(PgProtocolError, match=r"is this a PostgreSQL server"):
        open_session(fake.dsn(sslmode="require"))


def test_a_server_that_closes_within_the_handshake() -> None:
    def closes(peer: Peer) -> None:
        peer.expect_ssl_request()
        peer.send(b"S")
        peer.read(5)

    with (
        FakeServer(closes) as fake,
        pytest.raises(PgTLSError, match=r"during the TLS handshake|TLS handshake failed"),
    ):
        open_session(fake.dsn(sslmode="require"))


# e.16: direct TLS


@pytest.fixture(scope="module")
def direct(cluster: Cluster, authority: Authority) -> Iterator[TLSFront]:
    """Direct TLS in front of the newest server; those of the wheel are built without TLS, Debian's is older than 17."""
    with (
        Cluster(server(at_least=17)) as newest,
        TLSFront((newest.host, newest.port), serving(authority.server), direct=True) as front,
    ):
        yield front


def test_e16_direct_tls_with_alpn(direct: TLSFront, authority: Authority) -> None:
    dsn = f"postgresql://scram_user@localhost:{direct.port}/test?sslmode=verify-full&sslrootcert={authority.file}"
    with open_session(dsn, password=PASSWORD, sslnegotiation="direct") as connected:
        assert tls_version(connected)
        assert connected.session.tls is not None
        assert connected.session.tls.selected_alpn_protocol() == "postgresql"
        assert not any(isinstance(action, actions.ReceiveAnswer) for action in connected.driver.actions)
        assert connected.query("select current_user") == "scram_user"


def test_e16_cancelling_takes_the_same_way_as_the_connection(direct: TLSFront, cluster: Cluster) -> None:
    before = direct.handshakes
    with open_session(
        f"postgresql://postgres@127.0.0.1:{direct.port}/test?sslmode=require&sslnegotiation=direct"
    ) as one:
        cancelling = one.cancel()
        assert direct.handshakes == before + 2
        assert any(isinstance(action, actions.StartTLS) for action in cancelling.actions)
        assert not any(isinstance(action, actions.Resolve) for action in cancelling.actions)
    for mode, encrypted in (("prefer", True), ("disable", False), ("verify-ca", True)):
        root = (
            {"sslrootcert": str(cluster.authority.file)} if mode == "verify-ca" and cluster.authority else {}
        )
        with open_session(cluster.dsn(sslmode=mode, **root)) as connected:
            cancelling = connected.cancel()
            assert any(isinstance(action, actions.StartTLS) for action in cancelling.actions) == encrypted


def test_e16_direct_tls_without_the_servers_alpn_is_refused(authority: Authority) -> None:
    def script(peer: Peer) -> None:
        peer.start_tls(serving(authority.server, alpn=False), answer=b"")
        peer.expect_close()

    with FakeServer(script) as fake, pytest.raises(PgTLSError, match=r"without ALPN"):
        open_session(fake.dsn(sslmode="require", sslnegotiation="direct"))


def test_e16_a_server_that_does_not_know_direct_tls(cluster: Cluster) -> None:
    if cluster.version >= 17:
        pytest.skip("This PostgreSQL knows direct TLS.")
    driver = Driver()
    with pytest.raises(PgTLSError):
        open_session(cluster.dsn(sslmode="require", sslnegotiation="direct"), driver=driver)
    assert len(driver.opened) == 1


def test_pgbouncer_with_tls_and_scram(cluster: Cluster, authority: Authority, pg_bouncer: Any) -> None:
    [(verifier,)] = cluster.sql("select rolpassword from pg_authid where rolname = 'scram_user'")
    users = cluster.directory / "users.txt"
    users.write_text(f'"scram_user" "{verifier}"\n')
    key = cluster.directory / "server.key"
    bouncer = pg_bouncer(
        cluster=cluster,
        auth_type="scram-sha-256",
        auth_file=str(users),
        client_tls_sslmode="require",
        client_tls_cert_file=str(authority.server.certificate),
        client_tls_key_file=str(key),
    )
    dsn = bouncer.dsn("scram_user", password=PASSWORD, sslmode="verify-full", sslrootcert=str(authority.file))
    with open_session(dsn) as connected:
        assert connected.query("select current_user") == "scram_user"
        assert tls_version(connected)
        assert not connected.session.channel_bound  # PgBouncer does not offer it
    with pytest.raises(PgAuthenticationError, match=r"does not offer it"):
        open_session(dsn, channel_binding="require")
    with pytest.raises(PgError):
        open_session(dsn, sslmode="disable")
