"""Several hosts, several addresses, kinds of session, time limits, sockets: which server it becomes, and which error."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from swift.pg import actions
from swift.pg.conninfo import parse
from swift.pg.errors import (
    PgAuthenticationError,
    PgConnectionError,
    PgConnectTimeout,
    PgError,
    PgProgrammingError,
    PgTooManyConnections,
)
from swift.pg.target import connect
from tests.fault_proxy import FaultProxy
from tests.pg_driver import Driver, open_session
from tests.pg_fake_server import (
    FakeServer,
    Peer,
    authentication,
    backend_key_data,
    command_complete,
    data_row,
    error,
    parameter_status,
    ready,
    row_description,
)
from tests.pg_support import PASSWORD, Cluster, Clusters, free_port


def to(*servers: Any, **options: Any) -> str:
    """A connection string that names several servers, in their order."""
    ports = [server if isinstance(server, int) else server.port for server in servers]
    rest = {"user": "tester", "dbname": "test", "sslmode": "disable", **options}
    words = " ".join(f"{name}='{value}'" for name, value in rest.items())
    return f"host={','.join(['127.0.0.1'] * len(ports))} port={','.join(map(str, ports))} {words}"


def good(peer: Peer) -> None:
    peer.welcome()
    peer.expect_close()


def refusing(code: str, *, before_authentication: bool = True) -> Any:
    def script(peer: Peer) -> None:
        peer.expect_startup()
        if not before_authentication:
            peer.send(authentication(3))
            peer.expect("p")
        peer.send(error(code, f"refused by {code}", severity="FATAL"))

    return script


# e.25: where to go on, where to stop


@pytest.mark.parametrize("code", ["57P03", "57P01", "53300", "08006", "57P02"])
def test_e25_a_server_that_cannot_serve_now_leads_to_the_next(code: str) -> None:
    with FakeServer(refusing(code)) as busy, FakeServer(good) as free:
        with open_session(to(busy, free)) as connected:
            assert connected.session.host.port == free.port
        assert busy.connections == 1


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("28P01", PgAuthenticationError),
        ("28000", PgAuthenticationError),
        ("3D000", PgProgrammingError),
        ("42501", PgProgrammingError),
        ("22023", PgError),
    ],
)
def test_e25_a_server_that_means_it_ends_the_search(code: str, kind: type[PgError]) -> None:
    with FakeServer(refusing(code)) as strict, FakeServer(good) as other:
        with pytest.raises(kind, match=f"refused by {code}"):
            open_session(to(strict, other))
        assert other.connections == 0


@pytest.mark.parametrize(("asked_first", "attempts"), [(False, 2), (True, 1)])
def test_e17_the_other_way_is_not_tried_once_a_password_was_shown(asked_first: bool, attempts: int) -> None:
    def no_tls(peer: Peer) -> None:
        peer.expect_ssl_request()
        peer.send(b"N")
        peer.expect_close()

    with FakeServer(refusing("28000", before_authentication=not asked_first), no_tls) as server:
        with pytest.raises(PgError):
            open_session(to(server, sslmode="allow"), password="pw")
        assert server.connections == attempts


def test_e25_a_port_where_nobody_listens_leads_to_the_next() -> None:
    with FakeServer(good) as server, open_session(to(free_port(), free_port(), server)) as connected:
        assert connected.session.host.port == server.port
        assert len(connected.driver.opened) == 3


@pytest.mark.parametrize("fault", ["close", "reset"])
def test_e25_a_server_that_breaks_off_leads_to_the_next(fault: str) -> None:
    def breaks(peer: Peer) -> None:
        peer.expect_startup()
        getattr(peer, fault)()

    with (
        FakeServer(breaks) as broken,
        FakeServer(good) as server,
        open_session(to(broken, server)) as connected,
    ):
        assert connected.session.host.port == server.port


def test_e25_tls_that_fails_on_one_host_leads_to_the_next(pg_clusters: Clusters) -> None:
    def has_none(peer: Peer) -> None:
        peer.expect_ssl_request()
        peer.send(b"N")
        peer.expect_close()

    cluster = pg_clusters.get(tls=True)
    with FakeServer(has_none) as plain:
        dsn = to(plain, cluster, sslmode="require", user="trust_user")
        with open_session(dsn) as connected:
            assert connected.session.host.port == cluster.port
            assert connected.session.tls is not None


def test_when_all_fail_the_error_names_each() -> None:
    nobody = free_port()
    with FakeServer(refusing("57P03")) as busy, pytest.raises(PgConnectionError) as caught:
        open_session(to(nobody, busy), password="hunter2")
    lines = str(caught.value).splitlines()
    assert lines[0] == "No server could be reached:"
    assert f"127.0.0.1:{nobody}: connection refused." in lines[1]
    assert f"127.0.0.1:{busy.port}: refused by 57P03" in lines[2]
    assert caught.value.safe_to_retry
    assert isinstance(caught.value.__cause__, PgError)
    assert "hunter2" not in str(caught.value)


def test_one_failure_is_told_as_it_is() -> None:
    with FakeServer(refusing("53300")) as full, pytest.raises(PgTooManyConnections, match="refused by 53300"):
        open_session(to(full))
    both = {"53300"}
    with FakeServer(refusing("53300")) as full, pytest.raises(PgConnectionError) as caught:
        open_session(to(full, full))
    assert {caught.value.code} == both


@dataclass
class Names(Driver):
    """A driver with a name server of its own."""

    book: dict[str, list[tuple[str, int]]] = field(default_factory=dict)

    def do(self, action: actions.Action) -> Any:
        if isinstance(action, actions.Resolve):
            if action.host not in self.book:
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            return [(socket.AF_INET, address) for address in self.book[action.host]]
        return super().do(action)


def test_e25_a_name_that_is_not_found_leads_to_the_next() -> None:
    with FakeServer(good) as server:
        driver = Names(book={"there": [("127.0.0.1", server.port)]})
        with open_session("host=gone,there user=u sslmode=disable", driver=driver) as connected:
            assert connected.session.host.name == "there"
    with pytest.raises(PgConnectionError, match='the name "gone" was not found: name or service not known'):
        open_session("host=gone user=u", driver=Names())


def test_e25_every_address_of_a_name_is_tried() -> None:
    with FakeServer(refusing("57P03")) as busy, FakeServer(good) as server:
        book = {"many": [("127.0.0.1", free_port()), ("127.0.0.1", busy.port), ("127.0.0.1", server.port)]}
        with open_session("host=many user=u sslmode=disable", driver=Names(book=book)) as connected:
            assert connected.session.address == ("127.0.0.1", server.port)
            assert len(connected.driver.opened) == 3


def test_an_address_needs_no_name_server() -> None:
    with FakeServer(good) as server:
        for name in ("host", "hostaddr"):
            driver = Names()
            open_session(
                f"{name}=127.0.0.1 port={server.port} user=u sslmode=disable", driver=driver
            ).driver.close()
            assert not any(isinstance(action, actions.Resolve) for action in driver.actions)


def test_ipv6() -> None:
    try:
        server = FakeServer(good, host="::1")
    except OSError:
        pytest.skip("This machine has no IPv6 on loopback.")
    with server, open_session(f"postgresql://u@[::1]:{server.port}/?sslmode=disable") as connected:
        assert connected.session.family == socket.AF_INET6


def test_e25_each_host_gets_its_own_password(tmp_path: Any) -> None:
    given: list[bytes] = []

    def asks(then: bytes) -> Any:
        def script(peer: Peer) -> None:
            peer.expect_startup()
            peer.send(authentication(3))
            given.append(peer.expect("p"))
            peer.send(then)
            peer.expect_close()

        return script

    refused = error("57P03", "later", severity="FATAL")
    with (
        FakeServer(asks(refused)) as one,
        FakeServer(asks(authentication(0) + backend_key_data() + ready())) as two,
    ):
        passfile = tmp_path / "pgpass"
        passfile.write_text(f"127.0.0.1:{one.port}:*:*:first\n127.0.0.1:{two.port}:*:*:second\n")
        passfile.chmod(0o600)
        open_session(to(one, two, passfile=passfile)).driver.close()
    assert given == [b"first\0", b"second\0"]


def test_hosts_are_tried_in_order_unless_balanced() -> None:
    with FakeServer(good) as one, FakeServer(good) as two:
        for _ in range(5):
            open_session(to(one, two)).driver.close()
        assert (one.connections, two.connections) == (5, 0)
        for _ in range(40):
            open_session(to(one, two, load_balance_hosts="random")).driver.close()
        assert min(one.connections - 5, two.connections) >= 5
        # The addresses of one name, too.
        book = {"many": [("127.0.0.1", one.port), ("127.0.0.1", two.port)]}
        before = one.connections, two.connections
        for _ in range(40):
            dsn = "host=many user=u sslmode=disable load_balance_hosts=random"
            open_session(dsn, driver=Names(book=book)).driver.close()
        assert min(one.connections - before[0], two.connections - before[1]) >= 5


# target_session_attrs


@pytest.fixture(scope="module")
def pair(pg_clusters: Clusters) -> Iterator[tuple[Cluster, Cluster]]:
    """A primary and its hot standby."""
    primary = pg_clusters.get()
    with Cluster(primary.server, standby_of=primary) as standby:
        yield primary, standby


@pytest.mark.parametrize("order", ["primary-first", "standby-first"])
@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("any", "first"),
        ("primary", "primary"),
        ("read-write", "primary"),
        ("standby", "standby"),
        ("read-only", "standby"),
        ("prefer-standby", "standby"),
    ],
)
def test_the_kind_of_session(pair: tuple[Cluster, Cluster], order: str, wanted: str, expected: str) -> None:
    primary, standby = pair
    hosts = (primary, standby) if order == "primary-first" else (standby, primary)
    with open_session(to(*hosts, user="trust_user", target_session_attrs=wanted)) as connected:
        target = {"first": hosts[0], "primary": primary, "standby": standby}[expected]
        assert connected.session.host.port == target.port
        assert connected.query("select pg_is_in_recovery()::text") == str(target is standby).lower()


def test_the_kind_of_session_that_is_not_there(pair: tuple[Cluster, Cluster]) -> None:
    primary, standby = pair
    for wanted, host, text in (
        ("standby", primary, "is not a standby"),
        ("primary", standby, "is not a primary"),
        ("read-write", standby, "is not writable"),
        ("read-only", primary, "is not read-only"),
    ):
        before = len(host.backends("trust_user"))
        with pytest.raises(PgConnectionError, match=text):
            open_session(to(host, user="trust_user", target_session_attrs=wanted))
        # The connection that did not suit was closed.
        deadline = time.monotonic() + 5
        while len(host.backends("trust_user")) > before:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    with open_session(to(primary, user="trust_user", target_session_attrs="prefer-standby")) as connected:
        assert connected.session.host.port == primary.port


def test_a_primary_may_be_read_only(pair: tuple[Cluster, Cluster]) -> None:
    primary, _ = pair
    options = {"user": "trust_user", "options": "-c default_transaction_read_only=on"}
    open_session(to(primary, target_session_attrs="read-only", **options)).driver.close()
    open_session(to(primary, target_session_attrs="primary", **options)).driver.close()
    with pytest.raises(PgConnectionError, match="is not writable"):
        open_session(to(primary, target_session_attrs="read-write", **options))


def asked(question: bytes, answer: bytes) -> Any:
    """A server older than 14, or a pooler: it reports nothing and must be asked."""

    def script(peer: Peer) -> None:
        peer.welcome()
        assert peer.expect("Q") == question + b"\0"
        peer.send(parameter_status("a", "b"), error("01000", "by the way", severity="NOTICE", kind="N"))
        peer.send(row_description(("x", 25)), data_row(answer), command_complete("SHOW"), ready())
        peer.expect_close()

    return script


@pytest.mark.parametrize(
    ("wanted", "question", "yes", "no"),
    [
        ("read-write", b"SHOW transaction_read_only", b"off", b"on"),
        ("read-only", b"SHOW transaction_read_only", b"on", b"off"),
        ("primary", b"SELECT pg_catalog.pg_is_in_recovery()", b"f", b"t"),
        ("standby", b"SELECT pg_catalog.pg_is_in_recovery()", b"t", b"f"),
    ],
)
def test_a_server_that_does_not_report_its_kind_is_asked(
    wanted: str, question: bytes, yes: bytes, no: bytes
) -> None:
    with FakeServer(asked(question, no)) as one, FakeServer(asked(question, yes)) as two:
        with open_session(to(one, two, target_session_attrs=wanted)) as connected:
            assert connected.session.host.port == two.port
        assert one.connections == 1


def test_a_kind_that_does_not_suit_rules_out_the_other_addresses_of_the_host() -> None:
    with FakeServer(asked(b"SHOW transaction_read_only", b"on")) as server:
        book = {"many": [("127.0.0.1", server.port), ("127.0.0.1", server.port)]}
        with pytest.raises(PgConnectionError, match="is not writable"):
            open_session(
                "host=many user=u sslmode=disable target_session_attrs=read-write", driver=Names(book=book)
            )
        assert server.connections == 1


def test_an_error_to_that_question_is_the_servers() -> None:
    def fails(peer: Peer) -> None:
        peer.welcome()
        peer.expect("Q")
        peer.send(error("42501", "not for you"), ready())
        peer.expect_close()

    def dies(peer: Peer) -> None:
        peer.welcome()
        peer.expect("Q")
        peer.send(error("57P01", "shutting down", severity="FATAL"))

    with FakeServer(fails) as server, pytest.raises(PgProgrammingError, match="not for you"):
        open_session(to(server, target_session_attrs="primary"))
    with FakeServer(dies) as server, FakeServer(asked(b"SHOW transaction_read_only", b"off")) as other:
        open_session(to(server, other, target_session_attrs="read-write")).driver.close()


# Time


def stuck(where: str) -> Any:
    """A server that stops answering at one point of the handshake."""

    def script(peer: Peer) -> None:
        if where == "tls-answer":
            peer.expect_ssl_request()
        elif where == "tls-handshake":
            peer.expect_ssl_request()
            peer.send(b"S")
        elif where == "startup":
            peer.expect_startup()
        elif where == "password":
            peer.expect_startup()
            peer.send(authentication(3))
            peer.expect("p")
        elif where == "parameters":
            peer.expect_startup()
            peer.send(authentication(0), parameter_status("a", "b"))
        elif where == "target":
            peer.welcome()
            peer.expect("Q")
        peer.socket.settimeout(20)
        while peer.socket.recv(4096):
            pass

    return script


@pytest.mark.parametrize(
    "where", ["tls-answer", "tls-handshake", "startup", "password", "parameters", "target"]
)
def test_e25_connect_timeout_covers_every_step_and_then_the_next_host_is_tried(where: str) -> None:
    options = {"connect_timeout": "0.15", "sslmode": "require" if where.startswith("tls") else "disable"}
    options |= {"target_session_attrs": "read-write"} if where == "target" else {}
    began = time.monotonic()
    with FakeServer(stuck(where)) as slow:
        driver = Driver()
        with pytest.raises(PgConnectTimeout, match=r"connect_timeout passed \(0\.15 s\)") as caught:
            open_session(to(slow, **options), password="pw", driver=driver)
        assert isinstance(caught.value, TimeoutError)
        assert driver.socket is None
        assert driver.deadline is None
        if not where.startswith("tls"):
            following = asked(b"SHOW transaction_read_only", b"off") if where == "target" else good
            with (
                FakeServer(following) as server,
                open_session(to(slow, server, **options), password="pw", driver=driver) as connected,
            ):
                assert connected.session.host.port == server.port
    assert time.monotonic() - began < 5


def test_each_address_has_the_whole_timeout() -> None:
    with FakeServer(stuck("startup")) as slow:
        began = time.monotonic()
        with pytest.raises(PgConnectTimeout, match="No server could be reached"):
            open_session(to(slow, slow, slow, connect_timeout="0.1"))
        assert 0.3 <= time.monotonic() - began < 3


def test_a_network_that_swallows_everything(pg_cluster: Cluster) -> None:
    with FaultProxy((pg_cluster.host, pg_cluster.port)) as proxy:
        proxy.black_hole()
        with pytest.raises(PgConnectTimeout):
            open_session(to(proxy, connect_timeout="0.15", user="trust_user"))
        proxy.restore()
        with open_session(to(proxy, user="trust_user")) as connected:
            assert connected.query("select 1") == "1"


def test_a_network_that_cuts_anywhere(pg_cluster: Cluster) -> None:
    """Whatever number of bytes came through, the error is one of ours, and no socket is left."""
    with FaultProxy((pg_cluster.host, pg_cluster.port)) as proxy:
        for count in (1, 2, 5, 9, 24, 60, 100, 200, 300, 400):
            proxy.cut_after(count)
            driver = Driver()
            with pytest.raises(PgConnectionError):
                open_session(
                    to(proxy, user="scram_user", password=PASSWORD, sslmode="disable"), driver=driver
                )
            assert driver.socket is None
        proxy.cut_after(None)
        proxy.chunk = 1
        with open_session(to(proxy, user="scram_user", password=PASSWORD, sslmode="prefer")) as connected:
            assert connected.query("select 1") == "1"


# e.26: the end at any point


class Interrupted(BaseException):
    pass


def test_e26_whoever_is_interrupted_at_any_step_leaves_no_socket_behind(pg_clusters: Clusters) -> None:
    cluster = pg_clusters.get(tls=True)
    dsn = cluster.dsn("scram_user", password=PASSWORD, sslmode="require", target_session_attrs="read-write")

    @dataclass
    class Until(Driver):
        steps: int = 0
        sockets: list[socket.socket] = field(default_factory=list)

        def do(self, action: actions.Action) -> Any:
            if len(self.actions) > self.steps:
                raise Interrupted
            reply = super().do(action)
            if self.socket is not None:
                self.sockets.append(self.socket)
            return reply

    whole = Driver()
    open_session(dsn, driver=whole).driver.close()
    for steps in range(len(whole.actions)):
        driver = Until(steps=steps)
        with pytest.raises(Interrupted):
            open_session(dsn, driver=driver)
        assert driver.socket is None
        assert all(one.fileno() == -1 for one in driver.sockets)
        # A generator that is closed asks for nothing more.
        generator = connect(parse(dsn, environment={}))
        other = Driver()
        action = next(generator)
        for _ in range(steps):
            action = generator.send(other.do(action))
        generator.close()
        other.close()


# Sockets


def test_options_of_the_socket() -> None:
    with FakeServer(good) as server:
        dsn = to(server, keepalives_idle=61, keepalives_interval=7, keepalives_count=5, tcp_user_timeout=9000)
        with open_session(dsn) as connected:
            one = connected.driver.socket
            assert one.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert one.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            if hasattr(socket, "TCP_USER_TIMEOUT"):
                names = ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT")
                values = [one.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) for name in names]
                assert values == [61, 7, 5, 9000]
        with open_session(to(server, keepalives=0)) as connected:
            assert connected.driver.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert not connected.driver.socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_e27_an_abstract_unix_socket() -> None:
    name = f"swift-test-{os.getpid()}"
    try:
        server = FakeServer(good, unix=f"\0{name}/.s.PGSQL.5432")
    except OSError:
        pytest.skip("This system has no abstract unix sockets.")
    with server, open_session(f"host=@{name} user=u sslmode=require") as connected:
        assert connected.session.family == socket.AF_UNIX
        assert connected.session.tls is None


def test_unix_and_tcp_hosts_may_be_mixed(pg_cluster: Cluster) -> None:
    port = pg_cluster.port
    dsn = f"host=/nowhere,{pg_cluster.socket_dir},127.0.0.1 port={port} user=trust_user dbname=test"
    with open_session(dsn) as connected:
        assert connected.session.family == socket.AF_UNIX
        assert connected.query("select 1") == "1"


def test_e63_a_cancel_goes_to_the_address_of_the_session() -> None:
    def cancelled(peer: Peer) -> None:
        peer.expect_cancel()

    with FakeServer(good, cancelled) as server:
        book = {"moving": [("127.0.0.1", server.port)]}
        with open_session("host=moving user=u sslmode=disable", driver=Names(book=book)) as connected:
            assert connected.cancel().opened == [("127.0.0.1", server.port)]


def test_e63_a_cancel_that_cannot_be_sent_says_why() -> None:
    server = FakeServer(good)
    connected = open_session(to(server))
    server.stop(grace=0)
    with (
        connected,
        pytest.raises(PgConnectionError, match="cancel request could not be sent: connection refused"),
    ):
        connected.cancel()


def test_many_at_once(pg_cluster: Cluster) -> None:
    """The options and their caches may be shared by threads."""
    options = parse(pg_cluster.dsn("scram_user", password=PASSWORD), environment={})
    results: list[str | None] = []

    def work() -> None:
        for _ in range(5):
            with open_session(options) as connected:
                results.append(connected.query("select current_user"))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == ["scram_user"] * 20
