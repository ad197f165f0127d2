"""Whatever a server says, the handshake ends: in a session, or in an error of ours."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swift.pg import actions as a
from swift.pg.conninfo import parse
from swift.pg.errors import PgError, PgProtocolError
from swift.pg.session import Session
from swift.pg.target import connect
from tests.pg_fake_server import (
    authentication,
    backend_key_data,
    error,
    negotiate,
    parameter_status,
    ready,
    sasl,
)
from tests.pg_scram_server import ScramServer


class Replay:
    """A driver without a network: the server is a string of bytes, or a function of what was sent last."""

    def __init__(self, answer: bytes | Callable[[bytes], bytes], *, piece: int = 1 << 20) -> None:
        self._answer = answer if callable(answer) else None
        self._left = b"" if callable(answer) else answer
        self._piece = piece
        self._held = b""
        self.steps = 0

    def run(self, generator: Any) -> Session:
        try:
            action = next(generator)
            while True:
                self.steps += 1
                assert self.steps < 10_000, "the handshake does not end"
                try:
                    reply = self._do(action)
                except (OSError, EOFError) as problem:
                    action = generator.throw(problem)
                else:
                    action = generator.send(reply)
        except StopIteration as end:
            session: Session = end.value
            return session

    def _do(self, action: a.Action) -> Any:
        match action:
            case a.Open():
                return self
            case a.Send(data):
                if self._answer is not None:
                    self._left += self._answer(data)
            case a.Receive(limit):
                while len(self._held) < 5:
                    self._more()
                kind, length = struct.unpack_from("!Bi", self._held)
                if length < 4 or length - 4 > limit:
                    raise PgProtocolError(f"a message of {length} bytes")
                while len(self._held) < length + 1:
                    self._more()
                payload, self._held = self._held[5 : length + 1], self._held[length + 1 :]
                return kind, payload
            case a.ReceiveAnswer():
                if not self._held:
                    self._more()
                data, self._held = self._held, b""
                return data
            case a.Call(function, _):
                return function()
            case a.StartTLS():
                raise OSError("no TLS here")
        return None

    def _more(self) -> None:
        if not self._left:
            raise EOFError
        self._held += self._left[: self._piece]
        self._left = self._left[self._piece :]

    def setsockopt(self, *_: Any) -> None:
        pass

    def getsockopt(self, *_: Any) -> Any:
        return 0


def options(**more: Any) -> Any:
    return parse(
        "host=127.0.0.1 user=u dbname=d password=pw", environment={}, **{"sslmode": "disable", **more}
    )


def outcome(
    answer: bytes | Callable[[bytes], bytes], *, piece: int = 1 << 20, **more: Any
) -> Session | PgError:
    try:
        return Replay(answer, piece=piece).run(connect(options(**more)))
    except PgError as problem:
        return problem


def scram_conversation() -> Callable[[bytes], bytes]:
    """A server that knows the password and answers each message in turn."""
    server = ScramServer("pw", iterations=2, salt=b"salt")
    turns = iter(
        (
            lambda _: (
                negotiate(0x30000)
                + error("00000", "hello", severity="NOTICE", kind="N")
                + sasl("SCRAM-SHA-256")
            ),
            lambda sent: authentication(11, server.first(server.take(sent[5:]))),
            lambda sent: authentication(12, server.final(sent[5:])) + authentication(0) + PARAMETERS,
        )
    )
    return lambda sent: next(turns)(sent)


PARAMETERS = (
    parameter_status("server_version", "17.0")
    + parameter_status("in_hot_standby", "off")
    + backend_key_data(7, b"keys")
    + error("01000", "a notice", severity="WARNING", kind="N")
    + ready()
)
TRANSCRIPT = authentication(0) + PARAMETERS


@pytest.mark.parametrize("piece", [1, 2, 3, 5, 7, 64])
def test_e1_every_split_gives_the_same_session(piece: int) -> None:
    for make in (lambda: TRANSCRIPT, scram_conversation):
        session = outcome(make(), piece=piece, max_protocol_version="3.2")  # type: ignore[arg-type]
        assert isinstance(session, Session)
        assert session.parameters == {"server_version": "17.0", "in_hot_standby": "off"}
        assert (session.backend_pid, session.secret_key) == (7, b"keys")
        assert session.notices[-1].message == "a notice"


def test_e1_every_truncation_is_a_clean_error() -> None:
    for length in range(len(TRANSCRIPT)):
        assert isinstance(outcome(TRANSCRIPT[:length]), PgError)


def test_e1_every_flipped_bit_ends_cleanly() -> None:
    for at in range(len(TRANSCRIPT)):
        for bit in range(8):
            changed = bytearray(TRANSCRIPT)
            changed[at] ^= 1 << bit
            assert isinstance(outcome(bytes(changed), target_session_attrs="read-write"), Session | PgError)


@given(st.data())
def test_a_damaged_scram_exchange_never_becomes_a_session(data: st.DataObject) -> None:
    talk = scram_conversation()
    turn = data.draw(st.integers(1, 2))
    at, value = data.draw(st.integers(0, 200)), data.draw(st.integers(1, 255))
    damaged = []

    def answer(sent: bytes) -> bytes:
        try:
            reply = bytearray(talk(sent))
        except AssertionError:  # the server, too, notices
            return error("28P01", "no", severity="FATAL")
        damaged.append(bytes(reply))
        # The first message of the turn: what follows AuthenticationSASLFinal is not protected by it.
        end = struct.unpack_from("!i", reply, 1)[0] + 1
        if len(damaged) == turn + 1:
            reply[9 + at % (end - 9)] ^= value
        return bytes(reply)

    result = outcome(answer, max_protocol_version="3.2")
    assert isinstance(result, PgError), (turn, at, value, damaged)


MESSAGES = [
    authentication(0), authentication(3), authentication(5, b"salt"), authentication(7), authentication(8, b"x"),
    sasl("SCRAM-SHA-256"), sasl("SCRAM-SHA-256-PLUS"), sasl(), authentication(11, b"r=x,s=eA==,i=1"),
    authentication(12, b"v="), parameter_status("a", "b"), backend_key_data(), ready(), ready("E"),
    negotiate(0x30000), negotiate(1), negotiate(0x30000, "x"),
    error("28000", "no"), error("57P03", "later"), error(None, "what"), error("01000", "n", kind="N"),
    b"T\0\0\0\6\0\0", b"D\0\0\0\6\0\0", b"D\0\0\0\x0a\0\1\xff\xff\xff\xff", b"C\0\0\0\5\0",
    b"S", b"N", b"E", b"R\0\0\0\4", b"v\0\0\0\4", b"E\0\0\0\4", b"K\0\0\0\x08\0\0\0\0", b"Z\0\0\0\4",
    b"S\0\0\0\4", b"R\x7f\xff\xff\xff", b"\0" * 5,
]  # fmt: skip


@given(
    st.lists(st.one_of(st.sampled_from(MESSAGES), st.binary(max_size=12)), max_size=12).map(b"".join),
    st.sampled_from(["disable", "allow", "prefer", "require"]),
    st.sampled_from(["any", "read-write", "standby", "prefer-standby"]),
    st.sampled_from([None, "scram-sha-256", "!none"]),
    st.integers(1, 40),
)
def test_any_server_leads_to_an_end(
    answer: bytes, sslmode: str, kind: str, auth: str | None, piece: int
) -> None:
    result = outcome(
        answer,
        piece=piece,
        sslmode=sslmode,
        target_session_attrs=kind,
        require_auth=auth,
        max_protocol_version="3.2",
    )
    assert isinstance(result, Session | PgError)
    if isinstance(result, Session) and auth is not None:
        # Nothing above proves anything to us.
        assert result.method in ("password", "md5")
        assert auth == "!none"
