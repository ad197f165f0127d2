"""Connection strings and what stands around them: environment, service file, password file, defaults."""

from __future__ import annotations

import logging
import os
import pwd
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from psycopg import pq

from swift.pg._dsn import parse_string
from swift.pg._files import PasswordFile
from swift.pg._keywords import KEYWORDS, SETTINGS, is_setting
from swift.pg.conninfo import ConnectOptions, Host, parse
from swift.pg.errors import PgConfigError
from tests.pg_support import Cluster


def read(dsn: str = "", **overrides: Any) -> ConnectOptions:
    overrides.setdefault("environment", {})
    return parse(dsn, **overrides)


def by_libpq(dsn: str) -> dict[str, str] | None:
    """What libpq reads, None when it refuses."""
    try:
        found = pq.Conninfo.parse(dsn.encode("utf-8", "surrogateescape"))
    except psycopg.OperationalError:
        return None
    return {
        option.keyword.decode(): option.val.decode("utf-8", "surrogateescape")
        for option in found
        if option.val is not None
    }


def by_us(dsn: str) -> dict[str, str] | None:
    try:
        return parse_string(dsn)
    except PgConfigError:
        return None


# The string, as libpq reads it

STRINGS = [
    "",
    "host=localhost port=5432 dbname=test user=me",
    "  host = localhost   port= 5433 dbname =test ",
    "host='a b' password='it''s'",
    r"password='it\'s \\ here' user=a\ b",
    "password='open",
    "password='open\\",
    "user=trailing\\",
    "host",
    "host port=1",
    "=x",
    "host==x",
    "host=a=b",
    "user=''",
    "user= dbname=x",
    "user=a\tdbname=b\nport=1\vhost=c\fsslmode=require\r",
    "user=a\u00a0b",
    "user=a user=b",
    "requiressl=1",
    "requiressl=0 ",
    "nonsense=1",
    "postgresql://",
    "postgres://",
    "postgresql:///",
    "postgresql:///test",
    "postgresql://localhost",
    "postgresql://localhost:5433",
    "postgresql://localhost/mydb?connect_timeout=10&application_name=myapp",
    "postgresql://user@localhost",
    "postgresql://user:secret@localhost/other",
    "postgresql://user:@localhost",
    "postgresql://:secret@localhost",
    "postgresql://@localhost",
    "postgresql://u:p@ss@host/db",
    "postgresql://u:p/w@host/db",
    "postgresql://u:p?w@host/db",
    "postgresql://u%40x:p%2Fw%3A@host/d%20b",
    "postgresql://host1:123,host2:456/somedb?target_session_attrs=any",
    "postgresql://host1,host2:456/somedb",
    "postgresql://host1:123,host2,:9/x",
    "postgresql://,/x",
    "postgresql://,,",
    "postgresql://[::1]:5433/x",
    "postgresql://[2001:db8::1234]/database",
    "postgresql://[fe80::1%25eth0]/x",
    "postgresql://[::1",
    "postgresql://[]",
    "postgresql://[::1]x",
    "postgresql://[::1],[::2]:1/x",
    "postgresql://%2Fvar%2Flib%2Fpostgresql/dbname",
    "postgresql://%2Fvar%2Frun:5433?dbname=x",
    "postgresql:///dbname?host=/var/lib/postgresql",
    "postgresql://host?user=u&password=p",
    "postgresql://host/db?",
    "postgresql://host/db?a",
    "postgresql://host/db?user",
    "postgresql://host/db?user=",
    "postgresql://host/db?=x",
    "postgresql://host/db?user=a=b",
    "postgresql://host/db?user=a&",
    "postgresql://host/db?&user=a",
    "postgresql://host/db?user=a&&port=1",
    "postgresql://host/db?user=a%3Db",
    "postgresql://host/db?us%65r=a",
    "postgresql://host/db?ssl=true",
    "postgresql://host/db?ssl=false",
    "postgresql://host/db?requiressl=1",
    "postgresql://host/db?nonsense=1",
    "postgresql://host/db?user=a+b",
    "postgresql://host/db?user=a b",
    "postgresql://host/db?user= a ",
    "postgresql://host/ db ",
    "postgresql://ho st/db",
    "postgresql://host/db?user=%00",
    "postgresql://host/db?user=%0",
    "postgresql://host/db?user=%zz",
    "postgresql://host/db?user=%+1",
    "postgresql://host/db?user=%C3%A4%FF",
    "postgresql://host/db/more?user=a",
    "postgresql://host?host=other&port=7",
    "postgresql://ä:ö@ü/ß",
    "POSTGRESQL://host",
    "postgresql:/host",
    "http://host",
]  # fmt: skip


@pytest.mark.parametrize("dsn", STRINGS)
def test_e28_a_string_is_read_as_libpq_reads_it(dsn: str) -> None:
    assert by_us(dsn) == by_libpq(dsn)


PIECES = [
    "postgresql://", "postgres://", "host", "user", "password", "port", "dbname", "sslmode", "requiressl", "ssl", "true",
    "=", "=", "=", "&", "?", "/", ":", "@", ",", "[", "]", "::1", "%", "%41", "%2f", "%00", "%e4", "%4", "'", "\\", " ",
    "\t", "\n", "\v", "+", "#", "a", "b", "1", "ä", ".",
]  # fmt: skip


@given(
    st.sampled_from(["", "postgresql://", "postgres://", "postgresql://u:p@h1,h2/d?", "host=a "]),
    st.lists(st.sampled_from(PIECES), max_size=24).map("".join),
)
@example("postgresql://", "a%20b@:,")
def test_e28_any_string_is_read_as_libpq_reads_it(start: str, rest: str) -> None:
    dsn = start + rest
    ours, theirs = by_us(dsn), by_libpq(dsn)
    if ours is not None and theirs is None:
        # The one difference: settings of the server are keywords here.
        assert any(name not in KEYWORDS and is_setting(name) for name in ours), dsn
    else:
        assert ours == theirs, dsn


def test_every_keyword_and_variable_of_libpq_is_known() -> None:
    theirs = {
        option.keyword.decode(): option.envvar and option.envvar.decode()
        for option in pq.Conninfo.get_defaults()
    }
    # This one is of programs that show bytes to a terminal; here text is str.
    assert theirs.pop("client_encoding") == "PGCLIENTENCODING"
    ours = {name: keyword.variable for name, keyword in KEYWORDS.items()}
    assert ours.pop("sslpassword") == "PGSSLPASSWORD"  # as pgx has it; libpq knows the keyword only
    assert theirs.pop("sslpassword") is None
    assert theirs.items() <= ours.items()


@pytest.mark.parametrize("name", ["nonsense", "sslmod", "conect_timeout", "Host", "statement_timeot", "ssl"])
def test_an_unknown_key_is_an_error_with_a_hint(name: str) -> None:
    for dsn in (f"{name}=x", f"postgresql://h/?{name}=x"):
        with pytest.raises(
            PgConfigError, match=f'"{name}" in the .* neither a connection keyword nor a setting'
        ) as caught:
            read(dsn)
        assert "did you mean" in str(caught.value) or name == "nonsense"
    with pytest.raises(PgConfigError, match="in the arguments"):
        read(**{name: "x"})


def test_settings_of_the_server_pass_through() -> None:
    options = read(
        "postgresql://h/d?statement_timeout=5s&TimeZone=UTC&myapp.tenant=7&application_name=a",
        server_settings={"search_path": "app, public", "jit": False, "work_mem": 4096},
    )
    assert options.server_settings == {
        "client_encoding": "UTF8",
        "application_name": "a",
        "statement_timeout": "5s",
        "TimeZone": "UTC",
        "myapp.tenant": "7",
        "search_path": "app, public",
        "jit": "off",
        "work_mem": "4096",
    }


def test_the_table_of_settings_is_that_of_the_servers(pg_each: Cluster) -> None:
    rows = pg_each.sql(
        "select name from pg_settings where context in ('user', 'superuser', 'backend', 'superuser-backend')"
    )
    assert {name.lower() for (name,) in rows} - SETTINGS - set(KEYWORDS) == set()


def test_options_and_replication_are_sent_as_they_are() -> None:
    options = read(
        r"options='-c geqo=off -c search_path=a\\ b' replication=database fallback_application_name=f"
    )
    assert options.server_settings == {
        "client_encoding": "UTF8",
        "application_name": "f",
        "options": r"-c geqo=off -c search_path=a\ b",
        "replication": "database",
    }


@pytest.mark.parametrize("reserved", ["user", "database"])
def test_e18_settings_cannot_change_who_connects(reserved: str) -> None:
    with pytest.raises(PgConfigError, match="not a setting"):
        read(server_settings={reserved: "admin"})


@pytest.mark.parametrize(
    "make",
    [
        lambda: read("user=a\0b"),
        lambda: read(user="a\0b"),
        lambda: read(password="a\0b"),
        lambda: read(server_settings={"application_name": "x\0user\0admin"}),
        lambda: read(server_settings={"x\0y": "z"}),
    ],
)
def test_e18_a_nul_character_is_refused_everywhere(make: Any) -> None:
    with pytest.raises(PgConfigError, match="NUL"):
        make()


# Where values come from


def test_arguments_beat_string_beats_service_beats_environment(tmp_path: Path) -> None:
    service = tmp_path / "services"
    service.write_text("[s]\nuser=service\nhost=service\ndbname=service\nport=1\n")
    environment = {"PGUSER": "env", "PGHOST": "env", "PGDATABASE": "env", "PGPORT": "2", "PGAPPNAME": "env"}
    environment |= {"PGSERVICEFILE": str(service)}
    options = parse("service=s user=string host=string", environment=environment, user="argument")
    assert (options.user, options.database, options.server_settings["application_name"]) == (
        "argument",
        "service",
        "env",
    )
    assert options.hosts == (Host("string", 1),)


def test_every_variable_is_read(tmp_path: Path) -> None:
    options = parse(
        environment={
            "PGHOST": "a,b", "PGHOSTADDR": "10.0.0.1,10.0.0.2", "PGPORT": "1,2", "PGUSER": "u", "PGDATABASE": "d",
            "PGPASSWORD": "p", "PGAPPNAME": "n", "PGOPTIONS": "-c a.b=1", "PGCONNECT_TIMEOUT": "3", "PGSSLMODE": "require",
            "PGSSLNEGOTIATION": "direct", "PGSSLCERT": "c", "PGSSLKEY": "k", "PGSSLPASSWORD": "kp", "PGSSLCRL": "r",
            "PGSSLCRLDIR": "rd", "PGSSLSNI": "0", "PGSSLCERTMODE": "disable", "PGSSLMINPROTOCOLVERSION": "TLSv1.3",
            "PGSSLMAXPROTOCOLVERSION": "tlsv1.3", "PGCHANNELBINDING": "require", "PGREQUIREAUTH": "scram-sha-256,none",
            "PGREQUIREPEER": "postgres", "PGTARGETSESSIONATTRS": "standby", "PGLOADBALANCEHOSTS": "random",
            "PGMINPROTOCOLVERSION": "3.0", "PGMAXPROTOCOLVERSION": "latest", "PGKRBSRVNAME": "pg", "PGGSSDELEGATION": "1",
            "PGGSSENCMODE": "prefer", "PGDATESTYLE": "ISO", "PGTZ": "Europe/Berlin", "PGGEQO": "default",
            "PGCLIENTENCODING": "LATIN1",
        }
    )  # fmt: skip
    assert options.hosts == (Host("a", 1, "10.0.0.1"), Host("b", 2, "10.0.0.2"))
    assert (options.user, options.database, options.password) == ("u", "d", "p")
    assert options.server_settings == {
        "client_encoding": "UTF8", "application_name": "n", "options": "-c a.b=1", "datestyle": "ISO",
        "timezone": "Europe/Berlin",
    }  # fmt: skip
    assert options.connect_timeout == 3.0
    tls = options.tls
    assert (tls.mode, tls.negotiation, tls.sni, tls.certmode) == ("require", "direct", False, "disable")
    assert (str(tls.cert), str(tls.key), tls.key_password, str(tls.crl), str(tls.crldir)) == (
        "c",
        "k",
        "kp",
        "r",
        "rd",
    )
    assert (tls.min_version, tls.max_version) == (772, 772)
    assert options.channel_binding == "require"
    assert options.require_auth == {"scram-sha-256", "none"}
    assert options.require_peer == "postgres"
    assert (options.target_session_attrs, options.load_balance_hosts) == ("standby", True)
    assert (options.min_protocol, options.max_protocol) == ((3, 0), (3, 2))
    assert (options.krbsrvname, options.gss_delegation) == ("pg", True)


def test_a_setting_of_the_program_beats_the_users_variable() -> None:
    environment = {"PGTZ": "Europe/Berlin"}
    assert parse("TimeZone=UTC", environment=environment).server_settings["TimeZone"] == "UTC"
    assert "timezone" not in parse("TimeZone=UTC", environment=environment).server_settings


def test_the_old_requiressl_variable_counts_below_pgsslmode() -> None:
    assert parse(environment={"PGREQUIRESSL": "1"}).tls.mode == "require"
    assert parse(environment={"PGREQUIRESSL": "1", "PGSSLMODE": "disable"}).tls.mode == "disable"


def test_defaults() -> None:
    options = read(host="h")
    me = pwd.getpwuid(os.geteuid()).pw_name
    assert (options.user, options.database, options.password) == (me, me, None)
    assert options.hosts == (Host("h", 5432),)
    assert options.connect_timeout == 30.0
    assert options.tls.mode == "prefer"
    assert options.channel_binding == "prefer"
    assert options.require_auth is None
    assert options.keepalive.enabled
    assert options.max_protocol == (3, 0)
    assert read(user="u").database == "u"


def test_an_empty_value_counts_as_not_given() -> None:
    options = read("postgresql://h?user=&dbname=&port=&sslmode=&connect_timeout=", user="x")
    assert (options.user, options.database, options.hosts[0].port, options.tls.mode) == (
        "x",
        "x",
        5432,
        "prefer",
    )


def test_the_socket_of_a_local_server_is_the_default_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".s.PGSQL.7777").touch()
    monkeypatch.setattr("swift.pg.conninfo.SOCKET_DIRECTORIES", (str(tmp_path),))
    assert read(port=7777).hosts == (Host(str(tmp_path), 7777),)
    assert read(port=7778).hosts == (Host("localhost", 7778),)
    assert read(host="a,", port=7777).hosts[1] == Host(str(tmp_path), 7777)


# Hosts


def test_hosts_and_ports_are_matched_one_by_one() -> None:
    assert [str(host) for host in read("host=a,b,c port=1,,3").hosts] == ["a:1", "b:5432", "c:3"]
    assert [str(host) for host in read("host=a,b,c port=7").hosts] == ["a:7", "b:7", "c:7"]
    assert [str(host) for host in read("host=::1,/s hostaddr=,").hosts] == ["[::1]:5432", "/s/.s.PGSQL.5432"]
    assert str(read("hostaddr=10.0.0.1").hosts[0]) == "10.0.0.1:5432"
    assert str(read("host=name hostaddr=10.0.0.1").hosts[0]) == "name:5432 (10.0.0.1)"
    with pytest.raises(PgConfigError, match="3 ports for 2 hosts"):
        read("host=a,b port=1,2,3")
    with pytest.raises(PgConfigError, match="2 names in host but 1 in hostaddr"):
        read("host=a,b hostaddr=10.0.0.1")


@pytest.mark.parametrize("port", ["0", "65536", "-1", "x", "5432x", "5_432", "٣"])
def test_a_port_is_a_number_in_range(port: str) -> None:
    with pytest.raises(PgConfigError, match="1 to 65535"):
        read(f"postgresql://h:{port}/" if port != "-1" else "port=-1")


def test_e27_unix_sockets_abstract_names_and_the_limit_of_paths() -> None:
    assert read("host=/run/pg port=9").hosts[0].socket_path == "/run/pg/.s.PGSQL.9"
    assert read("host=/run/pg").hosts[0].is_unix
    abstract = read("host=@name").hosts[0]
    assert abstract.is_unix
    assert abstract.socket_path == "\0name/.s.PGSQL.5432"
    with pytest.raises(PgConfigError, match=r"longer than 10[37] bytes"):
        _ = read(f"host=/{'x' * 100}").hosts[0].socket_path
    assert not read("host=/run/pg hostaddr=10.0.0.1").hosts[0].is_unix


# Values that are checked


@pytest.mark.parametrize(
    ("dsn", "message"),
    [
        ("sslmode=on", "sslmode is"),
        ("channel_binding=maybe", "channel_binding is"),
        ("target_session_attrs=master", "target_session_attrs is"),
        ("load_balance_hosts=yes", "load_balance_hosts is"),
        ("sslnegotiation=maybe", "sslnegotiation is"),
        ("sslcertmode=x", "sslcertmode is"),
        ("sslsni=2", "sslsni is"),
        ("gssencmode=require", "GSSAPI is not supported"),
        ("gssencmode=x", "gssencmode is"),
        ("keepalives_idle=x", "keepalives_idle is"),
        ("keepalives_idle=1_0", "keepalives_idle is"),
        ("keepalives_count=-1", "keepalives_count is"),
        ("tcp_user_timeout=99999999999", "tcp_user_timeout is"),
        ("connect_timeout=soon", "connect_timeout is"),
        ("connect_timeout=nan", "connect_timeout is"),
        ("connect_timeout=inf", "connect_timeout is"),
        ("min_protocol_version=3.1", "min_protocol_version is"),
        ("max_protocol_version=2.0", "max_protocol_version is"),
        ("min_protocol_version=3.2", "higher than max_protocol_version"),
        ("ssl_min_protocol_version=SSLv3", "ssl_min_protocol_version is"),
        ("ssl_min_protocol_version=TLSv1.3 ssl_max_protocol_version=TLSv1.2", "higher than ssl_max"),
        ("client_encoding=LATIN1", "client_encoding is"),
        ("scram_client_key=AAAA", "32 bytes"),
        ("scram_server_key=***", "32 bytes"),
        ("oauth_issuer=https://x", "OAUTHBEARER"),
        ("require_auth=scram", 'require_auth names "scram"'),
        ("require_auth=md5,!password", "mixes"),
        ("require_auth=md5,md5", "twice"),
        ("sslrootcert=system sslmode=require", "too weak"),
        ("sslnegotiation=direct", "needs sslmode require"),
        ("sslnegotiation=direct sslmode=prefer", "needs sslmode require"),
    ],
)
def test_a_value_that_cannot_be_is_refused_at_once(dsn: str, message: str) -> None:
    with pytest.raises(PgConfigError, match=message):
        read(dsn)


def test_client_encoding_may_say_what_is_so() -> None:
    for name in ("auto", "UTF8", "utf-8", "UNICODE"):
        assert read(f"client_encoding={name}").server_settings["client_encoding"] == "UTF8"


def test_timeouts_and_keepalives() -> None:
    assert read("connect_timeout=2.5").connect_timeout == 2.5
    assert read("connect_timeout=0").connect_timeout is None
    assert read("connect_timeout=-1").connect_timeout is None
    keepalive = read(
        "keepalives_idle=60 keepalives_interval=10 keepalives_count=3 tcp_user_timeout=9000"
    ).keepalive
    assert (keepalive.enabled, keepalive.idle, keepalive.interval, keepalive.count) == (True, 60, 10, 3)
    assert keepalive.user_timeout == 9000
    assert not read("keepalives=0").keepalive.enabled


def test_require_auth_by_what_is_allowed_and_by_what_is_not() -> None:
    assert read("require_auth=scram-sha-256").require_auth == {"scram-sha-256"}
    assert read("require_auth=!password,!md5").require_auth == {
        "gss",
        "sspi",
        "scram-sha-256",
        "oauth",
        "none",
    }


def test_e17_what_certificates_make_of_sslmode(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path)}
    assert parse("sslmode=require", environment=home).tls.mode == "require"
    own = tmp_path / ".postgresql"
    own.mkdir()
    (own / "root.crt").touch()
    assert parse("sslmode=require", environment=home).tls.mode == "verify-ca"
    assert parse("sslmode=prefer", environment=home).tls.mode == "prefer"
    assert parse("sslmode=verify-full", environment=home).tls.rootcert == own / "root.crt"
    assert parse("sslrootcert=system", environment=home).tls.mode == "verify-full"
    assert parse("sslmode=require sslrootcert=/some/file", environment={}).tls.mode == "verify-ca"
    for name in ("postgresql.crt", "postgresql.key", "root.crl"):
        (own / name).touch()
    tls = parse(environment=home).tls
    assert (tls.cert, tls.key, tls.crl) == (own / "postgresql.crt", own / "postgresql.key", own / "root.crl")


# The password file


@pytest.fixture
def passfile(tmp_path: Path) -> Path:
    path = tmp_path / ".pgpass"
    path.touch()
    path.chmod(0o600)
    return path


@pytest.mark.parametrize(
    ("line", "password"),
    [
        ("h:5432:db:me:secret", "secret"),
        ("*:*:*:*:any", "any"),
        ("h:*:db:*:some", "some"),
        ("other:5432:db:me:secret", None),
        ("h:5433:db:me:secret", None),
        ("h:5432:db:you:secret", None),
        ("h:5432:db:m*:secret", None),
        ("# h:5432:db:me:secret", None),
        ("", None),
        ("h:5432:db", None),
        ("h:5432:db:me:with\\:colon\\\\", "with:colon\\"),
        ("h:5432:db:me:with:colon", "with:colon"),
        ("h:5432:db:me:", ""),
        ("h:5432:db:me: spaces ", " spaces "),
        ("\\h:5432:db:me:escaped", "escaped"),
        ("h:5432:db:me:crlf\r", "crlf"),
    ],
)
def test_a_line_of_the_password_file(passfile: Path, line: str, password: str | None) -> None:
    passfile.write_text(line + "\n")
    assert PasswordFile(passfile).find("h", 5432, "db", "me") == password


def test_the_first_line_that_matches_wins_and_names_may_be_escaped(passfile: Path) -> None:
    passfile.write_text("a\\:b:1:*:*:first\n*:*:*:*:last\n")
    assert PasswordFile(passfile).find("a:b", 1, "d", "u") == "first"
    assert PasswordFile(passfile).find("x", 1, "d", "u") == "last"


def test_e25_each_host_has_its_own_line_of_the_password_file(passfile: Path) -> None:
    passfile.write_text("a:1:d:u:one\nb:2:d:u:two\nlocalhost:5432:d:u:local\n10.0.0.9:5432:d:u:address\n")
    options = read(f"host=a,b,c port=1,2,3 dbname=d user=u passfile={passfile}")
    assert [options.password_for(host) for host in options.hosts] == ["one", "two", None]
    assert read(f"host=/tmp dbname=d user=u passfile={passfile}").hosts[0].password == "local"
    assert read(f"hostaddr=10.0.0.9 dbname=d user=u passfile={passfile}").hosts[0].password == "address"
    assert (
        parse("host=b port=2 dbname=d user=u", environment={"HOME": str(passfile.parent)}).hosts[0].password
        == "two"
    )
    given = read(f"host=a port=1 dbname=d user=u passfile={passfile} password=mine")
    assert given.password_for(given.hosts[0]) == "mine"


def test_a_password_file_that_others_may_read_is_not_used(
    passfile: Path, caplog: pytest.LogCaptureFixture
) -> None:
    passfile.write_text("*:*:*:*:secret\n")
    passfile.chmod(0o640)
    with caplog.at_level(logging.WARNING, "swift.pg"):
        assert PasswordFile(passfile).find("h", 1, "d", "u") is None
        assert PasswordFile(passfile.parent).find("h", 1, "d", "u") is None
    assert "may be read by others" in caplog.text
    assert "not a plain file" in caplog.text
    assert "secret" not in caplog.text


# The service file


def test_a_service_gives_what_the_string_does_not(tmp_path: Path) -> None:
    (tmp_path / ".pg_service.conf").write_text(
        "# comment\n\n[other]\nhost=wrong\n[mine]\n  host=right\n# more\nport=7\nport=8\n"
        "user= spaced \nwork_mem=9MB\n[mine]\nport=9\n"
    )
    for environment in ({"HOME": str(tmp_path)}, {"HOME": str(tmp_path), "PGSERVICE": "mine"}):
        options = parse("" if "PGSERVICE" in environment else "service=mine", environment=environment)
        assert options.hosts == (Host("right", 7),)
        assert options.user == " spaced"
        assert options.server_settings["work_mem"] == "9MB"
    assert parse("postgresql://h?service=mine", environment={"HOME": str(tmp_path)}).hosts == (Host("h", 7),)


def test_the_systems_service_file_comes_second(tmp_path: Path) -> None:
    (tmp_path / "pg_service.conf").write_text("[far]\nhost=far\n")
    assert parse("service=far", environment={"PGSYSCONFDIR": str(tmp_path)}).hosts[0].name == "far"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no service file"),
        ("[other]\n", "not defined in"),
        ("[s]\nhost\n", "line 2: expected keyword=value"),
        ("[s]\nldap://x=1\n", "LDAP"),
        ("[s]\nservice=t\n", "cannot name another service"),
        ("[s]\nnonsense=t\n", '"nonsense" in the service file'),
    ],
)
def test_a_service_that_cannot_be_used(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "f"
    if content is not None:
        path.write_text(content)
    with pytest.raises(PgConfigError, match=message):
        parse("service=s", environment={"PGSERVICEFILE": str(path), "PGSYSCONFDIR": str(tmp_path)})
    with pytest.raises(PgConfigError, match=message):
        parse(f"service=s servicefile={path}", environment={"PGSYSCONFDIR": str(tmp_path)})


# Secrets


SECRETS = [
    "postgresql://me:hunter2@h:x/",
    "postgresql://me:hun ter2@h/",
    "postgresql://me:hunter2%@h/",
    "postgresql://me:hunter2%00@h/",
    "postgresql://h/?password=hunter2&nonsense=1",
    "postgresql://h/?password=hunter2=",
    "postgresql://h/?hunter2",
    "password=hunter2 host",
    "password='hunter2",
    "password=correct hunter2",
    "password=hunter2\0",
    "password=hunter2 sslmode=x",
    "host=h password=hunter2 port=x",
]


@pytest.mark.parametrize("dsn", SECRETS)
def test_e28_no_error_repeats_a_password(dsn: str) -> None:
    with pytest.raises(PgConfigError) as caught:
        read(dsn)
    assert "hunter2" not in f"{caught.value}{caught.value!r}{caught.value.__cause__}"
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_no_repr_shows_a_password(passfile: Path) -> None:
    passfile.write_text("*:*:*:*:hunter2\n")
    key = "aHVudGVyMmh1bnRlcjJodW50ZXIyaHVudGVyMmh1bnQ="
    for options in (
        read("postgresql://me:hunter2@h/?sslpassword=hunter2"),
        read(f"host=h passfile={passfile}"),
        read(scram_client_key=key, scram_server_key=key),
        read(password=lambda: "hunter2"),
    ):
        assert "hunter2" not in repr(options)
