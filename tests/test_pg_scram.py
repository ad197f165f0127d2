"""SCRAM-SHA-256: the exchange itself, its secrets, and servers that lie."""

from __future__ import annotations

import base64
import hashlib
import hmac
import stringprep
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from swift.pg.errors import PgAuthenticationError, PgError, PgProtocolError
from swift.pg.scram import MAX_ITERATIONS, Scram, prepare
from tests.pg_driver import open_session
from tests.pg_scram_server import ScramServer
from tests.pg_support import Cluster

NONCE = "fyko+d2lbbFgONRv9qkxdawL"


def test_the_example_of_rfc_7677() -> None:
    exchange = Scram("pencil", nonce="rOprNGfwEbeRWgbNEkqO")
    exchange._first_bare = (
        b"n=user,r=rOprNGfwEbeRWgbNEkqO"  # PostgreSQL takes the name from elsewhere, the example not
    )
    assert exchange.first() == b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
    exchange.server_first(
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    )
    assert exchange.final(exchange.keys()) == (
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    )
    exchange.server_final(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
    assert exchange.verified


@given(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20),
    st.binary(min_size=1, max_size=24),
    st.integers(1, 50),
    st.binary(max_size=64),
)
def test_client_and_server_agree(password: str, salt: bytes, iterations: int, binding: bytes) -> None:
    prepared = prepare(password).decode()
    server = ScramServer(prepared, salt=salt, iterations=iterations, binding=binding)
    client = Scram(prepared, binding=binding or None)
    client.server_first(server.first(client.first()))
    client.server_final(server.final(client.final(client.keys())))
    assert client.verified


def test_e22_the_flag_of_channel_binding() -> None:
    assert Scram("x").first().startswith(b"n,,n=,r=")
    assert Scram("x", claims_plus=True).first().startswith(b"y,,n=,r=")
    plus = Scram("x", binding=b"hash")
    assert plus.first().startswith(b"p=tls-server-end-point,,n=,r=")
    assert plus.mechanism == "SCRAM-SHA-256-PLUS"


def test_e21_a_user_name_with_commas_never_enters_the_exchange(pg_cluster: Cluster) -> None:
    name = "a,b=c"
    pg_cluster.sql(f"""create role "{name}" login password 'pw' """)
    with (
        pg_cluster.hba(f'host all "{name}" 127.0.0.1/32 scram-sha-256'),
        open_session(pg_cluster.dsn(), user=name, password="pw") as connected,
    ):
        assert connected.session.method == "scram-sha-256"
        assert connected.query("select current_user") == name


@pytest.mark.parametrize(
    ("message", "kind", "text"),
    [
        (f"r={NONCE},s=QSXCR+Q6sek8bf92,i=4096", PgAuthenticationError, "does not extend ours"),
        ("r=other,s=QSXCR+Q6sek8bf92,i=4096", PgAuthenticationError, "does not extend ours"),
        (f"r={NONCE}\x7f,s=QSXCR+Q6sek8bf92,i=4096", PgProtocolError, "nonce"),
        (f"r={NONCE}x,s=QSXCR+Q6sek8bf92,i=0", PgProtocolError, "iteration count"),
        (f"r={NONCE}x,s=QSXCR+Q6sek8bf92,i=-1", PgProtocolError, "iteration count"),
        (f"r={NONCE}x,s=QSXCR+Q6sek8bf92,i=4_096", PgProtocolError, "iteration count"),
        (f"r={NONCE}x,s=QSXCR+Q6sek8bf92,i=99999999999", PgProtocolError, "iteration count"),
        (
            f"r={NONCE}x,s=QSXCR+Q6sek8bf92,i={MAX_ITERATIONS + 1}",
            PgAuthenticationError,
            "10,000,001 iterations",
        ),
        (f"r={NONCE}x,s=,i=4096", PgProtocolError, "salt"),
        (f"r={NONCE}x,s=QSX CR,i=4096", PgProtocolError, "salt"),
        (f"r={NONCE}x,s=QSXCR,i=4096", PgProtocolError, "salt"),
        (f"r={NONCE}x,i=4096,s=QSXCR+Q6sek8bf92", PgProtocolError, "malformed"),
        (f"r={NONCE}x,s=QSXCR+Q6sek8bf92", PgProtocolError, "malformed"),
        (f"m=ext,r={NONCE}x,s=QSXCR+Q6sek8bf92,i=1", PgProtocolError, "extension"),
        ("", PgProtocolError, "malformed"),
    ],
)
def test_e20_a_first_message_that_cannot_be(message: str, kind: type[PgError], text: str) -> None:
    exchange = Scram("pencil", nonce=NONCE)
    exchange.first()
    with pytest.raises(kind, match=text):
        exchange.server_first(message.encode())


def prepared_exchange(**options: object) -> tuple[Scram, ScramServer, bytes]:
    client, server = Scram("pencil", **options), ScramServer("pencil", iterations=10, salt=b"salt")  # type: ignore[arg-type]
    client.server_first(server.first(client.first()))
    return client, server, server.final(client.final(client.keys()))


def test_e20_a_server_without_the_password_is_found_out() -> None:
    client, _, good = prepared_exchange()
    wrong = b"v=" + base64.b64encode(bytes(32))
    for answer in (wrong, good[:-4], b"v=", b"v=***"):
        with pytest.raises(PgAuthenticationError, match="could not prove"):
            client.server_final(answer)
    assert not client.verified
    with pytest.raises(PgProtocolError, match="malformed"):
        client.server_final(b"x=1")
    client.server_final(good)
    assert client.verified


def test_e20_the_servers_own_error_is_told() -> None:
    client, _, _ = prepared_exchange()
    with pytest.raises(PgAuthenticationError, match="the server refused: invalid-proof"):
        client.server_final(b"e=invalid-proof")
    assert not client.verified


def test_e20_a_signature_before_the_proof_proves_nothing() -> None:
    client = Scram("pencil")
    with pytest.raises(PgAuthenticationError, match="could not prove"):
        client.server_final(b"v=")


def test_keys_are_derived_once_for_one_salt() -> None:
    cache: dict[tuple[bytes, bytes, int], tuple[bytes, bytes]] = {}
    server = ScramServer("pencil", iterations=400_000, salt=b"salt")
    elapsed = []
    for attempt in range(2):
        client = Scram("pencil", cache=cache)
        client.server_first(server.first(client.first()))
        assert client.slow == (attempt == 0)
        began = time.perf_counter()
        keys = client.keys()
        elapsed.append(time.perf_counter() - began)
        client.server_final(server.final(client.final(keys)))
    assert len(cache) == 1
    assert elapsed[1] < elapsed[0] / 20


def test_keys_of_an_exchange_that_failed_are_not_kept() -> None:
    cache: dict[tuple[bytes, bytes, int], tuple[bytes, bytes]] = {}
    client = Scram("wrong", cache=cache)
    server = ScramServer("pencil", iterations=10)
    client.server_first(server.first(client.first()))
    client.final(client.keys())
    with pytest.raises(PgAuthenticationError):
        client.server_final(b"v=AAAA")
    assert cache == {}


def test_the_cache_stays_small() -> None:
    cache: dict[tuple[bytes, bytes, int], tuple[bytes, bytes]] = {}
    for number in range(40):
        client, server = (
            Scram("pencil", cache=cache),
            ScramServer("pencil", iterations=1, salt=b"%d" % number),
        )
        client.server_first(server.first(client.first()))
        client.server_final(server.final(client.final(client.keys())))
    assert len(cache) == 16


def test_given_keys_need_no_password() -> None:
    server = ScramServer("pencil", iterations=10, salt=b"salt")
    client = Scram(
        None,
        client_key=hmac.digest(server.salted, b"Client Key", "sha256"),
        server_key=hmac.digest(server.salted, b"Server Key", "sha256"),
    )
    client.server_first(server.first(client.first()))
    client.server_final(server.final(client.final(client.keys())))
    assert client.verified


def test_without_a_password_the_error_says_so() -> None:
    client = Scram(None)
    client.server_first(ScramServer("x", iterations=1).first(client.first()))
    with pytest.raises(PgAuthenticationError, match="none was given"):
        client.keys()


# SASLprep


@pytest.mark.parametrize(
    ("password", "prepared"),
    [
        ("pencil", b"pencil"),
        ("", b""),
        ("I\u00adX", b"IX"),  # examples of RFC 4013 section 3
        ("\u00aa", b"a"),
        ("\u2168", b"IX"),
        ("a\u00a0b", b"a b"),
        ("\u00a0\u200b", b"  "),
        ("\u0007", b"\x07"),  # ASCII is not looked at
        ("ä\u0007", "ä\u0007".encode()),  # prohibited: as it is
        ("\u0627\u0031", "\u0627\u0031".encode()),  # bidirectional text that breaks the rule: as it is
        ("\u0627\u0031\u0628", "\u0627\u0031\u0628".encode()),
        ("\u0221", "\u0221".encode()),  # unassigned in Unicode 3.2: as it is
        ("\u00ad", "\u00ad".encode()),  # nothing left: as it is
        ("caf\udce9", b"caf\xe9"),  # bytes that are no UTF-8
    ],
)
def test_e22_saslprep_or_the_bytes_as_they_are(password: str, prepared: bytes) -> None:
    assert prepare(password) == prepared


TRICKY = "ab \u0340\u00a0\u00ad\u00aa\u2168\u200b\u0627\u0628\u0031\u0221\u0007"
TRICKY += "\u2028\ufeff\ufb01ä\u0308\U0001f511\ud7a3\u1680\u3000"


@given(
    st.text(
        alphabet=st.one_of(st.sampled_from(TRICKY), st.characters(codec="utf-8", exclude_characters="\0")),
        max_size=12,
    )
)
@example("\u0340")
@example("\u200e")
@example("\u200b")
def test_e22_saslprep_is_that_of_libpq(pg_cluster: Cluster, password: str) -> None:
    if not password:
        return
    with pg_cluster.connect() as connection:
        verifier = connection.pgconn.encrypt_password(
            password.encode(), b"someone", b"scram-sha-256"
        ).decode()
    iterations, salt = verifier.split("$")[1].split(":")
    stored = base64.b64decode(verifier.split("$")[2].split(":")[0])
    salted = hashlib.pbkdf2_hmac("sha256", prepare(password), base64.b64decode(salt), int(iterations))
    assert hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest() == stored, [
        (hex(ord(character)), stringprep.in_table_a1(character)) for character in password
    ]


@pytest.mark.parametrize("password", ["naïve", "I\u00adX", "\u2168", "пароль", "ä\u0007", "日本\u3000語"])
def test_e22_the_server_prepares_passwords_alike(pg_each: Cluster, password: str) -> None:
    pg_each.sql(f"alter role scram_user password '{password}'")
    try:
        with open_session(pg_each.dsn("scram_user", password=password)) as connected:
            assert connected.query("select current_user") == "scram_user"
    finally:
        pg_each.sql("alter role scram_user password 'correct horse'")


def test_e22_a_password_of_bytes_that_are_no_utf8(pg_each: Cluster) -> None:
    # As a database of another encoding once stored it: the verifier over the raw bytes.
    raw, salt = b"caf\xe9", b"0123456789abcdef"
    salted = hashlib.pbkdf2_hmac("sha256", raw, salt, 4096)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    parts = [
        base64.b64encode(part).decode()
        for part in (salt, stored, hmac.digest(salted, b"Server Key", "sha256"))
    ]
    pg_each.sql(f"alter role scram_user password 'SCRAM-SHA-256$4096:{parts[0]}${parts[1]}:{parts[2]}'")
    try:
        with open_session(
            pg_each.dsn("scram_user").replace("scram_user@", "scram_user:caf%E9@")
        ) as connected:
            assert connected.session.method == "scram-sha-256"
    finally:
        pg_each.sql("alter role scram_user password 'correct horse'")
