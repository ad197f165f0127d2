"""The test equipment itself: clusters, PgBouncer, the fault proxy, the scripted server."""

from __future__ import annotations

import socket
import time
from typing import Any

import psycopg
import pytest

from tests import pg_fake_server as fake
from tests.fault_proxy import FaultProxy
from tests.pg_support import PASSWORD, Cluster


def test_a_cluster_of_each_version_answers(pg_each: Cluster) -> None:
    assert pg_each.sql("select current_setting('server_version_num')::int / 10000") == [(pg_each.version,)]
    assert pg_each.sql("show fsync") == [("off",)]


def test_every_role_proves_itself_in_its_own_way(pg_cluster: Cluster) -> None:
    for user in ("scram_user", "md5_user", "plain_user"):
        with psycopg.connect(pg_cluster.dsn(user, password=PASSWORD)) as connection:
            assert connection.info.user == user
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(pg_cluster.dsn(user, password="wrong"))


def test_pg_hba_is_under_the_tests_control(pg_new_cluster: Any) -> None:
    cluster = pg_new_cluster()
    psycopg.connect(cluster.dsn("trust_user")).close()
    cluster.set_hba("host all trust_user 127.0.0.1/32 reject")
    with pytest.raises(psycopg.OperationalError, match="rejects connection"):
        psycopg.connect(cluster.dsn("trust_user"))
    cluster.restart()
    assert cluster.sql("select 1") == [(1,)]


def test_a_standby_follows_its_primary(pg_new_cluster: Any) -> None:
    primary = pg_new_cluster()
    standby = pg_new_cluster(primary.version, standby_of=primary)
    assert primary.sql("select pg_is_in_recovery()") == [(False,)]
    assert standby.sql("select pg_is_in_recovery()") == [(True,)]


@pytest.mark.parametrize("mode", ["transaction", "statement"])
def test_pgbouncer_stands_in_front(pg_bouncer: Any, mode: str) -> None:
    bouncer = pg_bouncer(mode)
    with psycopg.connect(bouncer.dsn(), autocommit=True, prepare_threshold=None) as connection:
        assert connection.execute("select 40 + 2").fetchone() == (42,)


def query(address: tuple[str, int], timeout: int = 5) -> list[tuple[Any, ...]]:
    with psycopg.connect(
        host=address[0],
        port=address[1],
        user="trust_user",
        dbname="test",
        sslmode="disable",
        connect_timeout=timeout,
    ) as connection:
        return connection.execute("select generate_series(1, 3)").fetchall()


def test_the_proxy_passes_everything_on(pg_cluster: Cluster) -> None:
    with FaultProxy((pg_cluster.host, pg_cluster.port)) as proxy:
        assert query((proxy.host, proxy.port)) == [(1,), (2,), (3,)]
        proxy.chunk = 1
        assert query((proxy.host, proxy.port)) == [(1,), (2,), (3,)]
        proxy.latency, proxy.chunk = 0.02, None
        began = time.monotonic()
        assert query((proxy.host, proxy.port)) == [(1,), (2,), (3,)]
        assert time.monotonic() - began >= 0.08
        assert proxy.connections == 3


def test_the_proxy_breaks_what_it_carries(pg_cluster: Cluster) -> None:
    with FaultProxy((pg_cluster.host, pg_cluster.port)) as proxy:
        address = (proxy.host, proxy.port)
        proxy.cut_after(20)
        with pytest.raises(psycopg.OperationalError):
            query(address)
        proxy.cut_after(None)
        proxy.refuse()
        with pytest.raises(psycopg.OperationalError, match="refused"):
            query(address)
        proxy.accept()
        for fault in (proxy.reset, proxy.kill, proxy.half_close):
            with psycopg.connect(
                pg_cluster.dsn("trust_user", host=proxy.host, port=str(proxy.port))
            ) as connection:
                fault()
                with pytest.raises(psycopg.OperationalError):
                    connection.execute("select 1")
        while proxy.open_connections:
            time.sleep(0.01)
        with socket.create_connection(address, timeout=5) as client:
            while not proxy.open_connections:
                time.sleep(0.01)
            proxy.half_close()
            assert client.recv(1) == b""
            before = proxy.sent
            client.sendall(bytes.fromhex("0000000804d2162f"))
            while proxy.sent < before + 8:
                time.sleep(0.01)
        with socket.create_connection(address) as client:
            proxy.black_hole()
            client.sendall(bytes.fromhex("0000000804d2162f"))
            client.settimeout(0.1)
            with pytest.raises(TimeoutError):
                client.recv(1)
            proxy.restore()
            client.settimeout(5)
            assert client.recv(1) in (b"S", b"N")


def test_the_scripted_server_plays_a_server() -> None:
    def script(peer: fake.Peer) -> None:
        assert peer.welcome()["user"] == "tester"
        assert peer.expect("Q") == b"select 1\0"
        peer.send(fake.row_description(("one", 25)))
        peer.send(fake.data_row(b"1"), fake.command_complete("SELECT 1"), fake.ready())
        peer.expect_close()

    with fake.FakeServer(script) as server, psycopg.connect(server.dsn(), autocommit=True) as connection:
        assert connection.pgconn.exec_(b"select 1").get_value(0, 0) == b"1"


def test_a_script_that_is_not_followed_fails_the_test() -> None:
    def script(peer: fake.Peer) -> None:
        peer.welcome()
        peer.expect("P")

    with (
        pytest.raises(AssertionError, match="expected message 'P', got 'Q'"),
        fake.FakeServer(script) as server,
        psycopg.connect(server.dsn(), autocommit=True) as connection,
    ):
        connection.pgconn.exec_(b"select 1")
