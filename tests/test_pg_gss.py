"""GSSAPI (Kerberos) against a real key distribution centre of our own."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from swift.pg.errors import PgAuthenticationError, PgConfigError
from tests.pg_driver import open_session
from tests.pg_fake_server import FakeServer, Peer, authentication, backend_key_data, ready
from tests.pg_support import Cluster, free_port, give_away, missing, servers

REALM = "SWIFT.TEST"
TOOLS = ("krb5kdc", "kdb5_util", "kadmin.local", "kinit")
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"


class Kerberos:
    """A realm: `run(tool, ...)` in its environment, `environment` for its clients and servers."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.chmod(0o755)
        port = free_port()
        (directory / "krb5.conf").write_text(
            f"[libdefaults]\ndefault_realm = {REALM}\ndns_canonicalize_hostname = false\nrdns = false\n"
            f"dns_lookup_kdc = false\nudp_preference_limit = 1\n"
            f"[realms]\n{REALM} = {{\n kdc = 127.0.0.1:{port}\n}}\n[domain_realm]\nlocalhost = {REALM}\n"
        )
        (directory / "kdc.conf").write_text(
            f'[kdcdefaults]\nkdc_listen = ""\nkdc_tcp_listen = 127.0.0.1:{port}\n'
            f"[realms]\n{REALM} = {{\n database_name = {directory}/principal\n key_stash_file = {directory}/stash\n"
            f" acl_file = {directory}/acl\n}}\n[logging]\nkdc = FILE:{directory}/kdc.log\n"
        )
        self.keytab = directory / "keytab"
        self.environment = {
            "KRB5_CONFIG": str(directory / "krb5.conf"),
            "KRB5CCNAME": f"FILE:{directory}/cache",
        }
        self._environment = {
            **os.environ,
            **self.environment,
            "KRB5_KDC_PROFILE": str(directory / "kdc.conf"),
            "PATH": PATH,
        }
        self.run("kdb5_util", "create", "-s", "-r", REALM, "-P", "master")
        self.run("kadmin.local", "addprinc", "-randkey", "postgres/localhost")
        self.run("kadmin.local", "ktadd", "-k", str(self.keytab), "postgres/localhost")
        self.run("kadmin.local", "addprinc", "-pw", "secret", "gss_user")
        give_away(self.keytab)
        self._process = subprocess.Popen(
            [self.tool("krb5kdc"), "-n", "-P", str(directory / "pid")], env=self._environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = time.monotonic() + 20
        while True:
            try:
                self.run("kinit", "gss_user", text="secret\n")
                return
            except RuntimeError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    self.stop()
                    raise
                time.sleep(0.02)

    @staticmethod
    def tool(name: str) -> str:
        found = shutil.which(name, path=PATH)
        assert found is not None
        return found

    def run(self, tool: str, *arguments: str, text: str = "") -> None:
        done = subprocess.run(
            [self.tool(tool), *arguments], env=self._environment, input=text, capture_output=True, text=True, check=False,
            timeout=30,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(10)


@pytest.fixture(scope="module")
def kerberos() -> Iterator[Kerberos]:
    absent = [tool for tool in TOOLS if shutil.which(tool, path=PATH) is None]
    if absent or importlib.util.find_spec("gssapi") is None:
        missing("Kerberos or the gssapi package is not installed (`make system`, `pip install .[gssapi]`).")
    # Not a directory of pytest's: those are closed to the servers' user.
    directory = Path(tempfile.mkdtemp(prefix="swiftpg-kerberos-"))
    try:
        realm = Kerberos(directory)
        yield realm
        realm.stop()
    finally:
        shutil.rmtree(directory)


@pytest.fixture(scope="module")
def cluster(kerberos: Kerberos) -> Iterator[Cluster]:
    able = [server for server in servers() if server.gss]
    if not able:
        missing("No PostgreSQL with GSSAPI on this machine (`make system`).")
    with Cluster(
        able[0], settings={"krb_server_keyfile": f"FILE:{kerberos.keytab}"}, environment=kerberos.environment
    ) as own:
        own.sql("create role gss_user login")
        own.set_hba("host all gss_user 127.0.0.1/32 gss include_realm=0 krb_realm=SWIFT.TEST")
        yield own


@pytest.fixture
def dsn(cluster: Cluster, kerberos: Kerberos, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in kerberos.environment.items():
        monkeypatch.setenv(name, value)
    return cluster.dsn("gss_user").replace("127.0.0.1", "localhost")


def test_a_ticket_proves_the_user(dsn: str) -> None:
    for mode in ("disable", "prefer"):
        with open_session(dsn, sslmode=mode, require_auth="gss") as connected:
            assert connected.session.method == "gss"
            principal = connected.query("select principal from pg_stat_gssapi where pid = pg_backend_pid()")
            assert principal == "gss_user@SWIFT.TEST"


def test_the_service_has_the_name_that_was_given(dsn: str) -> None:
    with pytest.raises(PgAuthenticationError, match="GSSAPI"):
        open_session(dsn, krbsrvname="another")
    with pytest.raises(PgConfigError, match="needs the name of the host"):
        open_session(
            "", hostaddr="127.0.0.1", port=dsn.split(":")[2].split("/")[0], user="gss_user", dbname="test"
        )


def test_without_a_ticket_the_reason_is_told(
    dsn: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{tmp_path}/empty")
    with pytest.raises(PgAuthenticationError, match="GSSAPI"):
        open_session(dsn)


def test_e23_require_auth_keeps_tickets_out(dsn: str) -> None:
    with pytest.raises(PgAuthenticationError, match="require_auth allows only scram-sha-256"):
        open_session(dsn, require_auth="scram-sha-256")


def test_e20_a_server_that_does_not_prove_itself_is_refused(dsn: str, cluster: Cluster) -> None:
    """Mutual authentication: the server's token is not optional."""

    def script(peer: Peer) -> None:
        peer.expect_startup()
        peer.send(authentication(7))
        peer.expect("p")
        peer.send(authentication(0), backend_key_data(), ready())
        peer.expect_close()

    with FakeServer(script) as server, pytest.raises(PgAuthenticationError, match="before it had proved"):
        open_session(
            "", host="localhost", hostaddr="127.0.0.1", port=server.port, user="gss_user", sslmode="disable"
        )


def test_without_the_package_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def script(peer: Peer) -> None:
        peer.expect_startup()
        peer.send(authentication(7))
        peer.expect_close()

    monkeypatch.setitem(sys.modules, "gssapi", None)
    with FakeServer(script) as server, pytest.raises(PgConfigError, match=r"swift-api\[gssapi\]"):
        open_session(server.dsn())
