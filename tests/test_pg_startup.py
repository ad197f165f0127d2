"""The handshake: StartupMessage, authentication, protocol versions; with real servers, and with servers that misbehave."""

from __future__ import annotations

import base64
import hashlib
import struct
import threading
import time
from typing import Any

import pytest

from swift.pg import actions
from swift.pg.errors import (
    PgAuthenticationError,
    PgConfigError,
    PgConnectionError,
    PgConnectTimeout,
    PgError,
    PgProgrammingError,
    PgProtocolError,
    PgServerShutdown,
)
from swift.pg.messages import startup_message
from swift.pg.options import Host
from swift.pg.session import Session
from swift.pg.target import cancel
from tests.pg_driver import Driver, open_session
from tests.pg_fake_server import (
    WELCOME,
    FakeServer,
    Peer,
    authentication,
    backend_key_data,
    error,
    message,
    negotiate,
    parameter_status,
    ready,
    sasl,
)
from tests.pg_scram_server import ScramServer
from tests.pg_support import PASSWORD, Cluster

AFTER = (parameter_status("server_version", "17.0"), backend_key_data(), ready())


# Real servers


@pytest.mark.parametrize("unix", [False, True], ids=["tcp", "unix"])
@pytest.mark.parametrize(
    ("user", "method"),
    [
        ("scram_user", "scram-sha-256"),
        ("md5_user", "md5"),
        ("plain_user", "password"),
        ("trust_user", "none"),
    ],
)
def test_every_way_to_prove_who_one_is(pg_each: Cluster, user: str, method: str, unix: bool) -> None:
    with open_session(pg_each.dsn(user, password=PASSWORD, unix=unix)) as connected:
        session = connected.session
        assert session.method == method
        assert connected.query("select current_user") == user
        assert session.backend_pid == int(connected.query("select pg_backend_pid()") or 0)
        assert session.server_version[0] == pg_each.version
        assert session.parameters["client_encoding"] == "UTF8"
        assert (session.protocol, session.status) == ((3, 0), b"I")
    if method != "none":
        with pytest.raises(PgAuthenticationError, match="password authentication failed") as caught:
            open_session(pg_each.dsn(user, password="wrong", unix=unix))
        assert caught.value.code == "28P01"
        with pytest.raises(
            PgAuthenticationError, match=f'asks for a password .*"{method}".*, and none was given'
        ):
            open_session(pg_each.dsn(user, unix=unix))


def test_settings_arrive(pg_each: Cluster) -> None:
    dsn = pg_each.dsn(application_name="a b=c", search_path='"$user", app', options="-c geqo=off")
    with open_session(dsn, server_settings={"statement_timeout": "5s"}) as connected:
        assert connected.query("show application_name") == "a b=c"
        assert connected.query("show search_path") == '"$user", app'
        assert connected.query("show geqo") == "off"
        assert connected.query("show statement_timeout") == "5s"


@pytest.mark.parametrize(
    ("change", "kind", "code"),
    [
        ({"dbname": "missing"}, PgProgrammingError, "3D000"),
        ({"user": "missing"}, PgAuthenticationError, "28000"),
        ({"server_settings": {"nonsense.of mine": "1"}}, PgProgrammingError, "42602"),
        ({"server_settings": {"work_mem": "many"}}, PgError, "22023"),
    ],
)
def test_what_the_server_refuses_is_told_in_its_words(
    pg_each: Cluster, change: dict[str, Any], kind: type[PgError], code: str
) -> None:
    with pytest.raises(kind) as caught, pg_each.hba("host all missing 127.0.0.1/32 reject"):
        open_session(pg_each.dsn(), **change)
    assert caught.value.code == code
    assert caught.value.safe_to_retry


def test_e22_an_empty_password_is_none(pg_each: Cluster) -> None:
    for user in ("scram_user", "md5_user", "plain_user"):
        with pytest.raises(PgAuthenticationError, match="none was given"):
            open_session(pg_each.dsn(user), password="")


def test_the_password_may_come_from_a_function(pg_each: Cluster) -> None:
    asked = []

    def token() -> str:
        asked.append(1)
        return PASSWORD

    for _ in range(2):
        open_session(pg_each.dsn("scram_user"), password=token).driver.close()
    assert len(asked) == 2
    with pytest.raises(PgConfigError, match="returned int, not str"):
        open_session(pg_each.dsn("scram_user"), password=lambda: 5)


def test_only_the_first_connection_pays_for_scram(pg_each: Cluster) -> None:
    first = open_session(pg_each.dsn("scram_user", password=PASSWORD))
    assert len(first.options.scram_keys) == 1
    kept = dict(first.options.scram_keys)
    with first, open_session(first.options) as second:
        assert second.session.method == "scram-sha-256"
        assert second.options.scram_keys == kept


def test_scram_keys_instead_of_a_password(pg_each: Cluster) -> None:
    with open_session(pg_each.dsn("scram_user", password=PASSWORD)) as connected:
        (client_key, server_key) = next(iter(connected.options.scram_keys.values()))
    keys = {
        "scram_client_key": base64.b64encode(client_key).decode(),
        "scram_server_key": base64.b64encode(server_key).decode(),
    }
    with open_session(pg_each.dsn("scram_user"), **keys) as connected:
        assert connected.session.method == "scram-sha-256"


def test_e19_protocol_3_2_and_its_long_key(pg_clusters: Any) -> None:
    cluster = pg_clusters.get(at_least=18)
    with open_session(cluster.dsn(max_protocol_version="3.2")) as connected:
        assert connected.session.protocol == (3, 2)
        assert len(connected.session.secret_key or b"") == 32
        assert interrupted(connected)
    with open_session(cluster.dsn(min_protocol_version="3.2", max_protocol_version="latest")) as connected:
        assert connected.session.protocol == (3, 2)


def test_e19_an_older_server_negotiates_down(pg_cluster: Cluster) -> None:
    if pg_cluster.version >= 18:
        pytest.skip("The installed PostgreSQL speaks 3.2 itself.")
    with open_session(pg_cluster.dsn(max_protocol_version="latest")) as connected:
        assert connected.session.protocol == (3, 0)
        assert interrupted(connected)
    with pytest.raises(PgConnectionError, match=r"protocol 3\.0 at most"):
        open_session(pg_cluster.dsn(min_protocol_version="3.2", max_protocol_version="3.2"))


def interrupted(connected: Any) -> bool:
    """True when a CancelRequest of ours ends a long query."""
    began = threading.Timer(0.1, connected.cancel)
    began.start()
    try:
        connected.query("select pg_sleep(20)")
    except AssertionError as failure:
        return "57014" in str(failure)
    finally:
        began.join()
    return False


@pytest.mark.parametrize("unix", [False, True], ids=["tcp", "unix"])
def test_a_query_is_cancelled(pg_each: Cluster, unix: bool) -> None:
    with open_session(pg_each.dsn(unix=unix)) as connected:
        assert interrupted(connected)
        assert connected.query("select 'still here'") == "still here"


def test_e27_requirepeer_names_who_runs_the_server(pg_cluster: Cluster) -> None:
    owner = pg_cluster.data.owner()
    open_session(pg_cluster.dsn(unix=True, requirepeer=owner)).driver.close()
    with pytest.raises(
        PgAuthenticationError, match=f'requirepeer is "someone", but the server runs as "{owner}"'
    ):
        open_session(pg_cluster.dsn(unix=True, requirepeer="someone"))
    open_session(pg_cluster.dsn(requirepeer="someone")).driver.close()  # of no meaning over TCP


def test_through_pgbouncer(pg_bouncer: Any) -> None:
    bouncer = pg_bouncer()
    with open_session(bouncer.dsn(sslmode="prefer")) as connected:
        assert connected.query("select 1") == "1"
        assert connected.session.secret_key is not None
    with pytest.raises(PgProtocolError, match="unsupported startup parameter") as caught:
        open_session(bouncer.dsn(work_mem="9MB"))
    assert "ignore_startup_parameters" in str(caught.value)


# Scripted servers: framing and order


def test_e1_the_handshake_may_come_byte_by_byte() -> None:
    server_side = ScramServer("pw")

    def script(peer: Peer) -> None:
        peer.expect_startup()
        peer.send_bytewise(sasl("SCRAM-SHA-256"))
        peer.send_bytewise(authentication(11, server_side.first(server_side.take(peer.expect("p")))))
        peer.send_bytewise(authentication(12, server_side.final(peer.expect("p"))), authentication(0), *AFTER)
        peer.expect_close()

    with FakeServer(script) as server, open_session(server.dsn(), password="pw") as connected:
        assert connected.session.method == "scram-sha-256"
        assert connected.session.parameters == {"server_version": "17.0"}


def test_bytes_after_the_handshake_stay_with_the_driver() -> None:
    def script(peer: Peer) -> None:
        peer.expect_startup()
        peer.send(WELCOME + parameter_status("later", "1"))
        peer.expect_close()

    with FakeServer(script) as server, open_session(server.dsn()) as connected:
        assert "later" not in connected.session.parameters
        assert connected.driver.do(actions.Receive(1000))[0] == ord("S")


def test_e5_notices_may_come_at_any_time() -> None:
    def notice(sentence: str) -> bytes:
        return error("01000", sentence, severity="WARNING", kind="N")

    exchange = ScramServer("pw")

    def script(peer: Peer) -> None:
        peer.expect_startup()
        peer.send(notice("one"))
        peer.send(sasl("SCRAM-SHA-256"), notice("two"))
        peer.send(authentication(11, exchange.first(exchange.take(peer.expect("p")))), notice("three"))
        peer.send(
            authentication(12, exchange.final(peer.expect("p"))), authentication(0), notice("four"), *AFTER
        )
        peer.expect_close()

    with FakeServer(script) as server, open_session(server.dsn(), password="pw") as connected:
        assert [notice.message for notice in connected.session.notices] == ["one", "two", "three", "four"]
        assert connected.session.notices[0].severity == "WARNING"


@pytest.mark.parametrize(
    "answer",
    [
        b"R\0\0\0\3",
        b"R\xff\xff\xff\xff",
        b"R\x7f\xff\xff\xff",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"S" + struct.pack("!i", 1 << 20) + b"x" * 100,
    ],
    ids=["too-short", "negative", "two-gigabytes", "http", "too-long"],
)
def test_e2_a_length_that_cannot_be_ends_the_handshake_at_once(answer: bytes) -> None:
    def script(peer: Peer) -> None:
        peer.expect_startup()
        peer.send(answer)
        peer.expect_close()

    began = time.monotonic()
    with FakeServer(script) as server, pytest.raises(PgProtocolError):
        open_session(server.dsn())
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        ([message("Z", b"I")], "unexpected message 'Z' before authentication"),
        ([parameter_status("a", "b")], "unexpected message 'S' before authentication"),
        ([message("R", b"\0\0")], "unexpected message 'R'"),
        ([authentication(0), authentication(0)], "unexpected message 'R' before the first ReadyForQuery"),
        ([authentication(0), message("D", b"\0\0")], "unexpected message 'D'"),
        ([authentication(0), message("Z", b"")], "unexpected message 'Z'"),
        ([authentication(0), message("K", b"\0\0\0\1")], "a key of 0 bytes"),
        ([authentication(0), backend_key_data(1, bytes(32))], "a key of 32 bytes"),
        ([authentication(11, b"r=")], "not begun"),
        ([authentication(8, b"")], "not begun"),
        ([authentication(5, b"abc")], "not 4 bytes"),
        ([authentication(10, b"SCRAM-SHA-256")], "mechanisms is malformed"),
    ],
)
def test_messages_out_of_place_are_a_violation(messages: list[bytes], text: str) -> None:
    def script(peer: Peer) -> None:
        peer.expect_startup()
        peer.send(*messages)
        peer.expect_close()

    with FakeServer(script) as server, pytest.raises(PgProtocolError, match=text):
        open_session(server.dsn(), password="pw")


@pytest.mark.parametrize("code", [2, 6, 99])
def test_a_method_that_is_not_supported_is_named(code: int) -> None:
    def script(peer: Peer) -> None:
        peer.expect_startup()
        peer.send(authentication(code))
        peer.expect_close()

    with (
        FakeServer(script) as server,
        pytest.raises(PgAuthenticationError, match=r"not supported: (Kerberos|SCM|code 99)"),
    ):
        open_session(server.dsn())


def test_e7_an_error_before_the_session_may_lack_everything_and_be_in_any_encoding() -> None:
    def script(peer: Peer) -> None:
        peer.expect_startup()
        peer.send(message("E", b"SFATAL\0MRolle \xbb" + b"gibt's nicht" + b"\0\0"))

    with FakeServer(script) as server, pytest.raises(PgError, match="Rolle �gibt's nicht") as caught:
        open_session(server.dsn())
    assert (caught.value.code, caught.value.severity) == ("", "FATAL")
    assert caught.value.safe_to_retry


@pytest.mark.parametrize("place", ["first", "after-auth", "after-parameters"])
def test_e14_a_server_that_closes_is_told_from_one_that_refuses(place: str) -> None:
    def script(peer: Peer) -> None:
        peer.expect_startup()
        if place != "first":
            peer.send(authentication(0))
        if place == "after-parameters":
            peer.send(parameter_status("a", "b"))

    with (
        FakeServer(script) as server,
        pytest.raises(PgConnectionError, match="closed the connection during start-up"),
    ):
        open_session(server.dsn())


def test_an_error_after_authentication_is_the_servers() -> None:
    def script(peer: Peer) -> None:
        peer.expect_startup()
        peer.send(authentication(0), parameter_status("a", "b"), error("57P03", "starting", severity="FATAL"))

    with FakeServer(script) as server, pytest.raises(PgServerShutdown, match="starting"):
        open_session(server.dsn())


def test_e18_the_startup_message_is_what_was_asked_for() -> None:
    seen: dict[str, str] = {}

    def script(peer: Peer) -> None:
        seen.update(peer.welcome())
        peer.expect_close()

    with FakeServer(script) as server:
        dsn = server.dsn("üser", "dätabase", options=r"-c%20search_path%3Da\%20b")
        with open_session(dsn, server_settings={"application_name": "x y"}):
            pass
    assert seen == {
        "user": "üser",
        "database": "dätabase",
        "client_encoding": "UTF8",
        "options": r"-c search_path=a\ b",
        "application_name": "x y",
    }


def test_e18_a_nul_never_reaches_the_wire() -> None:
    for parameters in ({"user": "a\0b"}, {"user\0x": "b"}, {"user": "\ud800"}):
        with pytest.raises(PgConfigError, match=r"NUL|surrogate"):
            startup_message((3, 0), parameters)


# Scripted servers: authentication


def scram_script(messages: Any) -> Any:
    def script(peer: Peer) -> None:
        peer.expect_startup()
        messages(peer, ScramServer("pw"))

    return script


def test_e20_authentication_ok_before_the_proof_is_not_accepted() -> None:
    def at_once(peer: Peer, scram: ScramServer) -> None:
        peer.send(sasl("SCRAM-SHA-256"))
        peer.expect("p")
        peer.send(authentication(0), *AFTER)
        peer.expect_close()

    def after_first(peer: Peer, scram: ScramServer) -> None:
        peer.send(sasl("SCRAM-SHA-256"))
        peer.send(authentication(11, scram.first(scram.take(peer.expect("p")))))
        peer.expect("p")
        peer.send(authentication(0), *AFTER)
        peer.expect_close()

    for misbehaviour in (at_once, after_first):
        with (
            FakeServer(scram_script(misbehaviour)) as server,
            pytest.raises(PgAuthenticationError, match="before it had proved"),
        ):
            open_session(server.dsn(), password="pw")


def test_e20_a_server_that_does_not_know_the_password_is_refused() -> None:
    def script(peer: Peer, scram: ScramServer) -> None:
        peer.send(sasl("SCRAM-SHA-256"))
        peer.send(authentication(11, scram.first(scram.take(peer.expect("p")))))
        peer.expect("p")
        peer.send(authentication(12, b"v=" + b"A" * 43 + b"="), authentication(0), *AFTER)
        peer.expect_close()

    with (
        FakeServer(scram_script(script)) as server,
        pytest.raises(PgAuthenticationError, match="could not prove"),
    ):
        open_session(server.dsn(), password="pw")


def test_e20_the_steps_come_in_their_order() -> None:
    def final_first(peer: Peer, scram: ScramServer) -> None:
        peer.send(sasl("SCRAM-SHA-256"))
        peer.expect("p")
        peer.send(authentication(12, b"v=AAAA"))
        peer.expect_close()

    def two_firsts(peer: Peer, scram: ScramServer) -> None:
        peer.send(sasl("SCRAM-SHA-256"))
        first = authentication(11, scram.first(scram.take(peer.expect("p"))))
        peer.send(first)
        peer.expect("p")
        peer.send(first)
        peer.expect_close()

    def another_method(peer: Peer, scram: ScramServer) -> None:
        scram.play(peer)
        peer.send(authentication(3))
        peer.expect_close()

    for misbehaviour, text in (
        (final_first, "authentication code 12 where 11 was due"),
        (two_firsts, "authentication code 11 where 12 was due"),
        (another_method, "a second authentication"),
    ):
        with FakeServer(scram_script(misbehaviour)) as server, pytest.raises(PgProtocolError, match=text):
            open_session(server.dsn(), password="pw")


def test_e20_the_servers_error_in_the_middle_is_told() -> None:
    def script(peer: Peer, scram: ScramServer) -> None:
        peer.send(sasl("SCRAM-SHA-256"))
        peer.send(authentication(11, scram.first(scram.take(peer.expect("p")))))
        peer.expect("p")
        peer.send(error("28P01", "password authentication failed", severity="FATAL"))

    with (
        FakeServer(scram_script(script)) as server,
        pytest.raises(PgAuthenticationError, match="failed") as caught,
    ):
        open_session(server.dsn(), password="pw")
    assert caught.value.code == "28P01"


def test_e20_iterations_beyond_reason_are_not_computed() -> None:
    def script(peer: Peer, scram: ScramServer) -> None:
        peer.send(sasl("SCRAM-SHA-256"))
        first = scram.first(scram.take(peer.expect("p"))).replace(b"i=4096", b"i=2000000000")
        peer.send(authentication(11, first))
        peer.expect_close()

    began = time.monotonic()
    with (
        FakeServer(scram_script(script)) as server,
        pytest.raises(PgAuthenticationError, match="2,000,000,000 iterations"),
    ):
        open_session(server.dsn(), password="pw")
    assert time.monotonic() - began < 2


def test_e20_many_iterations_are_marked_as_slow_work() -> None:
    def script(peer: Peer) -> None:
        peer.expect_startup()
        ScramServer("pw", iterations=30_000).play(peer)
        peer.send(authentication(0), *AFTER)
        peer.expect_close()

    with FakeServer(script) as server, open_session(server.dsn(), password="pw") as connected:
        calls = [action for action in connected.driver.actions if isinstance(action, actions.Call)]
        assert [call.slow for call in calls] == [True]


def test_e21_the_user_name_in_the_exchange_is_empty() -> None:
    exchange = ScramServer("pw")

    def script(peer: Peer) -> None:
        peer.expect_startup()
        exchange.play(peer)
        peer.send(authentication(0), *AFTER)
        peer.expect_close()

    with FakeServer(script) as server, open_session(server.dsn("a,b=c"), password="pw"):
        assert exchange.user == b""


def test_e22_plus_without_tls_is_a_lie() -> None:
    def script(peer: Peer) -> None:
        peer.expect_startup()
        peer.send(sasl("SCRAM-SHA-256-PLUS"))
        peer.expect_close()

    with FakeServer(script) as server, pytest.raises(PgAuthenticationError, match="without TLS"):
        open_session(server.dsn(), password="pw")


def test_sasl_mechanisms_that_are_not_known_are_named() -> None:
    def script(peer: Peer) -> None:
        peer.expect_startup()
        peer.send(sasl("OAUTHBEARER", "SCRAM-SHA-512"))
        peer.expect_close()

    with (
        FakeServer(script) as server,
        pytest.raises(PgAuthenticationError, match="OAUTHBEARER, SCRAM-SHA-512"),
    ):
        open_session(server.dsn(), password="pw")


REQUESTS = {
    "password": authentication(3),
    "md5": authentication(5, b"salt"),
    "scram-sha-256": sasl("SCRAM-SHA-256"),
    "gss": authentication(7),
    "none": authentication(0) + b"".join(AFTER),
}


@pytest.mark.parametrize("asked", REQUESTS)
@pytest.mark.parametrize("allowed", ["scram-sha-256", "!none,!password,!md5,!gss", "none", "md5,password"])
def test_e23_require_auth_refuses_a_downgrade_before_anything_is_shown(asked: str, allowed: str) -> None:
    def script(peer: Peer) -> None:
        peer.expect_startup()
        peer.send(REQUESTS[asked])
        if asked in methods and asked != "none":
            peer.expect("p")
            peer.send(error("28P01", "no", severity="FATAL"))
        else:
            peer.expect_close()

    methods = {"scram-sha-256"} if allowed.startswith("!") else set(allowed.split(","))
    with FakeServer(script) as server:
        if asked in methods and asked == "none":
            open_session(server.dsn(), password="pw", require_auth=allowed).driver.close()
            return
        with pytest.raises(PgAuthenticationError) as caught:
            open_session(server.dsn(), password="pw", require_auth=allowed)
    assert ("require_auth allows only" in str(caught.value)) == (asked not in methods)


@pytest.mark.parametrize("asked", ["password", "md5", "none"])
def test_e23_channel_binding_required_refuses_every_other_method(asked: str) -> None:
    def script(peer: Peer) -> None:
        peer.expect_startup()
        peer.send(REQUESTS[asked])
        peer.expect_close()

    # sslmode=disable, for the scripts speak no TLS here; the check is the same.
    with FakeServer(script) as server, pytest.raises(PgAuthenticationError, match="channel_binding=require"):
        open_session(server.dsn(), password="pw", channel_binding="require")


def test_e24_md5_takes_any_salt_and_any_name() -> None:
    salt = b"\0\xff'\n"

    def script(peer: Peer) -> None:
        peer.expect_startup()
        peer.send(authentication(5, salt))
        inner = hashlib.md5("pä".encode() + "üser".encode()).hexdigest().encode()
        assert peer.expect("p") == b"md5" + hashlib.md5(inner + salt).hexdigest().encode() + b"\0"
        peer.send(authentication(0), *AFTER)
        peer.expect_close()

    with FakeServer(script) as server, open_session(server.dsn("üser"), password="pä") as connected:
        assert connected.session.method == "md5"


@pytest.mark.parametrize("method", ["password", "md5", "scram-sha-256"])
def test_e24_a_password_that_is_missing_is_a_clear_error(method: str) -> None:
    def script(peer: Peer) -> None:
        peer.expect_startup()
        peer.send(REQUESTS[method])
        peer.expect_close()

    with (
        FakeServer(script) as server,
        pytest.raises(PgAuthenticationError, match=f'"{method}".*none was given'),
    ):
        open_session(server.dsn())


def test_a_second_request_is_not_answered() -> None:
    def script(peer: Peer) -> None:
        peer.expect_startup()
        peer.send(authentication(5, b"salt"))
        peer.expect("p")
        peer.send(authentication(3))
        peer.expect_close()

    with FakeServer(script) as server, pytest.raises(PgProtocolError, match="second authentication"):
        open_session(server.dsn(), password="pw")


# Protocol versions


@pytest.mark.parametrize("told", [0x30000, 0], ids=["whole", "minor"])
def test_e19_the_negotiation_may_come_before_authentication(told: int) -> None:
    def script(peer: Peer) -> None:
        peer.expect_startup()
        assert peer.protocol == 0x30002
        peer.send(negotiate(told), authentication(0), *AFTER)
        peer.expect_close()

    with FakeServer(script) as server, open_session(server.dsn(max_protocol_version="3.2")) as connected:
        assert connected.session.protocol == (3, 0)


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        ([negotiate(0x30002)], "negotiated protocol 3.2, asked for 3.2"),
        ([negotiate(0x30001)], "negotiated protocol 3.1"),
        ([negotiate(0x20000)], "negotiated protocol 2.0"),
        ([negotiate(0x40000)], "negotiated protocol 4.0"),
        ([negotiate(0x30000, "_pq_.thing")], "not asked for"),
        ([message("v", b"\0\0")], "malformed"),
        ([negotiate(0x30000), negotiate(0x30000)], "unexpected message 'v'"),
        ([authentication(0), negotiate(0x30000)], "unexpected message 'v'"),
    ],
)
def test_e19_a_negotiation_that_makes_no_sense_is_refused(messages: list[bytes], text: str) -> None:
    def script(peer: Peer) -> None:
        peer.expect_startup()
        peer.send(*messages)
        peer.expect_close()

    with FakeServer(script) as server, pytest.raises(PgProtocolError, match=text):
        open_session(server.dsn(max_protocol_version="3.2"))


@pytest.mark.parametrize("length", [4, 32, 256])
def test_e19_keys_of_protocol_3_2_have_any_length(length: int) -> None:
    key = bytes(range(length % 256)) or bytes(length)

    def script(peer: Peer) -> None:
        peer.expect_startup()
        peer.send(authentication(0), backend_key_data(7, key), ready())
        peer.expect_close()

    def cancelled(peer: Peer) -> None:
        assert peer.expect_cancel() == (7, key)

    with FakeServer(script, cancelled) as server:
        with open_session(server.dsn(max_protocol_version="3.2")) as connected:
            assert connected.session.secret_key == key
            connected.cancel()
        assert server.connections == 2


def test_e19_a_pooler_without_a_key_makes_cancel_unavailable() -> None:
    def script(peer: Peer) -> None:
        peer.expect_startup()
        peer.send(authentication(0), ready())
        peer.expect_close()

    with FakeServer(script) as server, open_session(server.dsn()) as connected:
        assert (connected.session.backend_pid, connected.session.secret_key) == (0, None)
        with pytest.raises(PgConnectionError, match="no key to cancel with"):
            connected.cancel()


def test_e63_a_cancel_request_is_bounded_in_time() -> None:
    def talking(peer: Peer) -> None:
        peer.welcome()
        peer.expect_close()

    def silent(peer: Peer) -> None:
        peer.expect_cancel()
        peer.expect_close()

    with (
        FakeServer(talking, silent) as server,
        open_session(server.dsn()) as connected,
        pytest.raises(PgConnectTimeout, match="did not take the cancel"),
    ):
        Driver().run(cancel(connected.options, connected.session, seconds=0.2))


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("16.4 (Debian 16.4-1)", (16, 4)),
        ("18beta1", (18, 0)),
        ("17devel", (17, 0)),
        ("9.6.24", (9, 6)),
        ("", (0, 0)),
        ("CockroachDB", (0, 0)),
    ],
)
def test_e108_the_version_of_the_server(text: str, version: tuple[int, int]) -> None:
    assert Session(Host("h", 1), (3, 0), {"server_version": text}).server_version == version
    assert Session(Host("h", 1), (3, 0)).server_version == (0, 0)


def test_no_password_in_the_actions_or_the_session() -> None:
    assert "hunter2" not in repr(actions.Send(b"hunter2"))
    assert "hunter2" not in repr(Session(Host("h", 1, password="hunter2"), (3, 0), secret_key=b"hunter2"))
