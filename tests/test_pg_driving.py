"""The drivers of the handshake, under asyncio, under uvloop and on a thread that waits, against servers good and bad."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from swift.pg.conninfo import parse
from swift.pg.driving import Opened, drive, drive_blocking
from swift.pg.errors import (
    PgAuthenticationError,
    PgConnectionError,
    PgConnectTimeout,
    PgError,
    PgProtocolError,
    PgTLSError,
)
from swift.pg.target import cancel, connect
from tests.fault_proxy import FaultProxy
from tests.pg_certificates import Authority
from tests.pg_fake_server import (
    WELCOME,
    FakeServer,
    Peer,
    authentication,
    backend_key_data,
    parameter_status,
    ready,
)
from tests.pg_scram_server import ScramServer
from tests.pg_support import PASSWORD, Cluster, Clusters, free_port
from tests.tls_front import TLSFront

Run = Callable[[Any], Opened]


def under_asyncio(generator: Any) -> Opened:
    return asyncio.run(drive(generator))


def under_uvloop(generator: Any) -> Opened:
    import uvloop

    return uvloop.run(drive(generator))


@pytest.fixture(params=[under_asyncio, under_uvloop, drive_blocking], ids=["asyncio", "uvloop", "blocking"])
def run(request: pytest.FixtureRequest) -> Run:
    driver: Run = request.param
    return driver


def serving(authority: Authority) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.server.certificate, authority.server.key)
    context.set_alpn_protocols(["postgresql"])
    return context


def opened(run: Run, dsn: str, **overrides: Any) -> Opened:
    result = run(connect(parse(dsn, environment={}, **overrides)))
    assert result.socket is not None
    return result


def close(result: Opened) -> None:
    assert result.socket is not None
    result.socket.close()


def sockets() -> int:
    count = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            count += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
        except FileNotFoundError:
            continue
    return count


@pytest.fixture
def no_socket_left() -> Iterator[None]:
    """The test leaves as many sockets as it found."""
    if not Path("/proc/self/fd").exists():
        yield
        return
    before = sockets()
    yield
    if sockets() > before:
        gc.collect()  # an exception may hold its frames in a cycle
    assert sockets() <= before


@pytest.mark.parametrize("sslmode", ["disable", "require"])
@pytest.mark.parametrize("user", ["scram_user", "md5_user", "plain_user", "trust_user"])
def test_every_method(run: Run, pg_clusters: Clusters, no_socket_left: None, user: str, sslmode: str) -> None:
    cluster = pg_clusters.get(tls=True)
    result = opened(run, cluster.dsn(user, password=PASSWORD, sslmode=sslmode))
    assert result.rest == b""
    assert (result.result.tls is not None) == (sslmode == "require")
    assert result.result.channel_bound == (sslmode == "require" and user == "scram_user")
    close(result)


def test_a_unix_socket(run: Run, pg_each: Cluster, no_socket_left: None) -> None:
    close(opened(run, pg_each.dsn("scram_user", password=PASSWORD, unix=True)))


def test_direct_tls(run: Run, pg_clusters: Clusters, no_socket_left: None) -> None:
    authority = pg_clusters.get(tls=True).authority
    assert authority is not None
    newest = pg_clusters.get(at_least=17)
    with TLSFront((newest.host, newest.port), serving(authority), direct=True) as front:
        dsn = f"postgresql://scram_user@localhost:{front.port}/test?sslmode=verify-full&sslrootcert={authority.file}"
        close(opened(run, dsn, password=PASSWORD, sslnegotiation="direct"))


def test_what_follows_the_handshake_is_kept(run: Run, no_socket_left: None) -> None:
    later = parameter_status("later", "1")

    def script(peer: Peer) -> None:
        peer.expect_startup()
        peer.send(WELCOME + later)
        peer.expect_close()

    with FakeServer(script) as server:
        result = opened(run, server.dsn())
        assert result.rest == later
        close(result)


def test_e1_one_byte_at_a_time(run: Run, pg_cluster: Cluster, no_socket_left: None) -> None:
    with FaultProxy((pg_cluster.host, pg_cluster.port)) as proxy:
        proxy.chunk = 1
        close(
            opened(run, f"host={proxy.host} port={proxy.port} user=scram_user dbname=test", password=PASSWORD)
        )


def test_e15_bytes_stuffed_before_tls(run: Run, no_socket_left: None) -> None:
    def script(peer: Peer) -> None:
        peer.expect_ssl_request()
        peer.send(b"S" + authentication(0) + ready())
        peer.expect_close()

    with FakeServer(script) as server, pytest.raises(PgProtocolError, match="plain text after the answer"):
        opened(run, server.dsn(sslmode="require"))


def test_e2_lengths_that_cannot_be(run: Run, no_socket_left: None) -> None:
    for answer in (b"R\0\0\0\3", b"R\x7f\xff\xff\xff", b"R\xff\xff\xff\xff"):

        def script(peer: Peer, answer: bytes = answer) -> None:
            peer.expect_startup()
            peer.send(answer)
            peer.expect_close()

        with FakeServer(script) as server, pytest.raises(PgProtocolError):
            opened(run, server.dsn())


@pytest.mark.parametrize("fault", ["close", "reset"])
@pytest.mark.parametrize("sslmode", ["disable", "require"])
def test_e14_a_connection_that_ends(run: Run, no_socket_left: None, fault: str, sslmode: str) -> None:
    def script(peer: Peer) -> None:
        if sslmode == "disable":
            peer.expect_startup()
        else:
            peer.expect_ssl_request()
        getattr(peer, fault)()

    kind = PgTLSError if (sslmode, fault) == ("require", "close") else PgConnectionError
    with FakeServer(script) as server, pytest.raises(kind):
        opened(run, server.dsn(sslmode=sslmode))
    with pytest.raises(PgConnectionError, match="connection refused"):
        opened(run, f"host=127.0.0.1 port={free_port()} user=u")


def test_a_broken_tls_handshake(run: Run, no_socket_left: None) -> None:
    def broken(peer: Peer) -> None:
        peer.expect_ssl_request()
        peer.send(b"S")
        peer.read(5)
        peer.send(b"not a ServerHello at all")
        peer.expect_packet()

    with FakeServer(lambda peer: ignore(broken, peer)) as server, pytest.raises(PgTLSError):
        opened(run, server.dsn(sslmode="require"))


def ignore(script: Callable[[Peer], None], peer: Peer) -> None:
    """For scripts whose client leaves at a moment of its own choice."""
    try:
        script(peer)
    except Exception:
        return


def test_an_untrusted_certificate(
    run: Run, pg_clusters: Clusters, no_socket_left: None, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path)
    with pytest.raises(PgTLSError, match="not trusted"):
        opened(run, pg_clusters.get(tls=True).dsn(sslmode="verify-ca", sslrootcert=str(stranger.file)))


@pytest.mark.parametrize("where", ["answer", "tls", "startup"])
def test_connect_timeout(run: Run, no_socket_left: None, where: str) -> None:
    def script(peer: Peer) -> None:
        if where == "startup":
            peer.expect_startup()
        else:
            peer.expect_ssl_request()
        if where == "tls":
            peer.send(b"S")
        while peer.socket.recv(4096):
            pass

    began = time.monotonic()
    with FakeServer(lambda peer: ignore(script, peer)) as server, pytest.raises(PgConnectTimeout):
        opened(run, server.dsn(sslmode="disable" if where == "startup" else "require", connect_timeout="0.1"))
    assert time.monotonic() - began < 4


def test_a_name_that_is_not_found(run: Run, no_socket_left: None) -> None:
    with pytest.raises(PgConnectionError, match=r"was not found|did not answer"):
        opened(run, "host=no-such-host.invalid user=u connect_timeout=2")


def test_a_name_with_its_addresses(run: Run, pg_cluster: Cluster, no_socket_left: None) -> None:
    result = opened(run, pg_cluster.dsn().replace("127.0.0.1", "localhost"))
    assert result.result.host.name == "localhost"
    close(result)


def test_several_hosts(run: Run, pg_cluster: Cluster, no_socket_left: None) -> None:
    dsn = f"host=127.0.0.1,127.0.0.1 port={free_port()},{pg_cluster.port} user=trust_user dbname=test"
    close(opened(run, dsn, target_session_attrs="read-write"))


def test_cancelling_a_query(run: Run, pg_cluster: Cluster, no_socket_left: None) -> None:
    options = parse(pg_cluster.dsn(), environment={})
    result = run(connect(options))
    ended = run(cancel(options, result.result))
    assert ended.socket is None
    close(result)


def test_the_password_of_an_awaitable(run: Run, pg_cluster: Cluster, no_socket_left: None) -> None:
    async def token() -> str:
        await asyncio.sleep(0)
        return PASSWORD

    close(opened(run, pg_cluster.dsn("scram_user"), password=token))


def test_an_exception_of_the_password_function_is_the_callers(
    run: Run, pg_cluster: Cluster, no_socket_left: None
) -> None:
    def token() -> str:
        raise LookupError("the vault is closed")

    with pytest.raises(LookupError, match="the vault is closed"):
        opened(run, pg_cluster.dsn("scram_user"), password=token)


async def test_deriving_keys_does_not_hold_the_loop() -> None:
    exchange = ScramServer("pw", iterations=1_500_000)

    def script(peer: Peer) -> None:
        peer.expect_startup()
        exchange.play(peer)
        peer.send(authentication(0), backend_key_data(), ready())
        peer.expect_close()

    longest, last = 0.0, time.perf_counter()

    async def tick() -> None:
        nonlocal longest, last
        while True:
            await asyncio.sleep(0.005)
            longest, last = max(longest, time.perf_counter() - last), time.perf_counter()

    with FakeServer(script) as server:
        ticking = asyncio.create_task(tick())
        began = time.perf_counter()
        result = await drive(connect(parse(server.dsn(), environment={}, password="pw")))
        took = time.perf_counter() - began
        ticking.cancel()
        close(result)
    assert longest < took / 2


@pytest.mark.parametrize("way", ["plain", "tls", "direct-tls"])
async def test_e26_a_task_cancelled_at_any_moment_leaves_no_socket(pg_clusters: Clusters, way: str) -> None:
    cluster = pg_clusters.get(tls=True)
    with contextlib.ExitStack() as stack:
        target: tuple[str, int] = (cluster.host, cluster.port)
        if way == "direct-tls":
            assert cluster.authority is not None
            newest = pg_clusters.get(at_least=17)
            context = serving(cluster.authority)
            target = (
                newest.host,
                stack.enter_context(TLSFront((newest.host, newest.port), context, direct=True)).port,
            )
        proxy = stack.enter_context(FaultProxy(target))
        dsn = f"host={proxy.host} port={proxy.port} user=scram_user dbname=test"
        dsn += " sslmode=disable" if way == "plain" else " sslmode=require"
        dsn += " sslnegotiation=direct" if way == "direct-tls" else ""
        options = parse(dsn, environment={}, password=PASSWORD, target_session_attrs="read-write")
        close(await drive(connect(options)))
        proxy.latency = 0.002
        finished = 0
        for step in range(40):
            task = asyncio.create_task(drive(connect(options)))
            await asyncio.sleep(step * 0.001)
            task.cancel()
            try:
                close(await task)
                finished += 1
            except asyncio.CancelledError:
                pass
        deadline = time.monotonic() + 5
        while proxy.open_connections:
            assert time.monotonic() < deadline, "a cancelled connect left its socket open"
            await asyncio.sleep(0.01)
        assert finished < 40


async def test_e26_a_timeout_of_the_caller_is_the_callers() -> None:
    def silent(peer: Peer) -> None:
        peer.expect_startup()
        peer.expect_close()

    with FakeServer(silent) as server:
        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(0.1):
                await drive(connect(parse(server.dsn(), environment={})))
        assert not isinstance(caught.value, PgError)


def test_a_thread_that_connects_can_be_told_to_stop_by_its_timeout(
    pg_cluster: Cluster, no_socket_left: None
) -> None:
    with FaultProxy((pg_cluster.host, pg_cluster.port)) as proxy:
        proxy.black_hole()
        failures: list[BaseException] = []

        def work() -> None:
            try:
                opened(drive_blocking, f"host={proxy.host} port={proxy.port} user=u connect_timeout=0.2")
            except PgError as problem:
                failures.append(problem)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join(10)
        assert [type(failure) for failure in failures] == [PgConnectTimeout]


def test_e23_nothing_is_shown_to_a_server_that_may_not_ask(run: Run, no_socket_left: None) -> None:
    def script(peer: Peer) -> None:
        peer.expect_startup()
        peer.send(authentication(3))
        peer.expect_close()

    with FakeServer(script) as server, pytest.raises(PgAuthenticationError, match="require_auth"):
        opened(run, server.dsn(), password=PASSWORD, require_auth="scram-sha-256")
