"""The protocol without a socket: frames, asynchronous messages, and what a server must not do (postgres_drivers e.1)."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from typing import Any

import pytest

from swift._speedups import pgcore
from swift.futures import Future
from swift.pg import PgConnectionError, PgError, PgInterfaceError, PgProtocolError, PgServerShutdown, errors
from swift.pg.registry import TypeRegistry
from tests.pg_fake_server import (
    BIND_COMPLETE,
    CLOSE_COMPLETE,
    EMPTY_QUERY,
    NO_DATA,
    PARSE_COMPLETE,
    PORTAL_SUSPENDED,
    command_complete,
    data_row,
    error,
    message,
    parameter_description,
    parameter_status,
    ready,
    row_description,
    text,
)

INT4, TEXT = 23, 25


def wire() -> pgcore.Connection:
    return pgcore.Connection(TypeRegistry())


def ask(connection: pgcore.Connection, sql: str = "SELECT 1", *args: Any) -> pgcore.Query:
    return connection.execute(pgcore.new_query(connection.statement(sql), args))


def number(value: int) -> bytes:
    return struct.pack("!i", value)


FIRST = PARSE_COMPLETE + parameter_description() + row_description(("n", INT4)) + BIND_COMPLETE
ANSWER = FIRST + data_row(number(1)) + command_complete("SELECT 1") + ready()
AGAIN = BIND_COMPLETE + data_row(number(1)) + command_complete("SELECT 1") + ready()
NOTICE = error("01000", "mind the step", severity="WARNING", kind="N")
NOTIFICATION = message("A", struct.pack("!i", 77) + text("news") + text("hello"))


def outcome(query: Future[Any]) -> Any:
    """The value, or the exception; both are answers."""
    assert query.done()
    failure = query.exception()
    return query.result() if failure is None else failure


# Frames


def test_e1_an_answer_may_be_split_at_every_byte() -> None:
    for cut in range(len(ANSWER) + 1):
        connection = wire()
        query = ask(connection).scalar()
        connection.feed(ANSWER[:cut])
        assert query.done() is (cut == len(ANSWER))
        connection.feed(ANSWER[cut:])
        assert query.result() == 1
        assert connection.state == "Idle"


def test_e1_an_answer_may_come_byte_by_byte() -> None:
    connection = wire()
    query = ask(connection).scalar()
    for byte in ANSWER:
        connection.feed(bytes([byte]))
    assert query.result() == 1


@pytest.mark.parametrize("word", [0, 3, -1, -(2**31), 2**30 + 4])
@pytest.mark.parametrize("kind", ["D", "C", "2"])
def test_e2_an_impossible_length_ends_the_connection_at_once(kind: str, word: int) -> None:
    connection = wire()
    query = ask(connection)
    connection.feed(FIRST + kind.encode() + struct.pack("!i", word))
    assert isinstance(outcome(query), PgProtocolError)
    assert connection.state == "Closed"


@pytest.mark.parametrize(
    "row",
    [
        message("D", struct.pack("!hi", 1, 5) + b"abcd"),
        message("D", struct.pack("!hi", 1, -2)),
        message("D", struct.pack("!hi", 1, 2**31 - 1)),
        message("D", struct.pack("!h", 2) + struct.pack("!ii", 4, 1)),
        message("D", struct.pack("!hi", 1, 4) + number(1) + b"more"),
        message("D", b"\0"),
    ],
    ids=["beyond", "negative", "huge", "fewer fields", "trailing", "no count"],
)
def test_e3_a_row_that_does_not_fill_its_message_fails_its_query_only(row: bytes) -> None:
    connection = wire()
    bad, good = ask(connection).all(), ask(connection).all()
    connection.feed(FIRST + row + command_complete("SELECT 1") + ready() + AGAIN)
    if connection.closed is None:
        assert isinstance(outcome(bad), PgError)
        assert [tuple(found) for found in good.result()] == [(1,)]
    else:
        # A frame too short to be a DataRow at all.
        assert isinstance(outcome(bad), PgProtocolError)
        assert isinstance(outcome(good), PgProtocolError)


@pytest.mark.parametrize(
    "description",
    [
        message("T", struct.pack("!h", 2) + text("n") + bytes(18)),
        message("T", struct.pack("!h", 1) + b"unterminated"),
        message("T", struct.pack("!h", 0) + b"more"),
        message("T", b""),
    ],
    ids=["count", "no end", "trailing", "empty"],
)
def test_e3_a_malformed_row_description_ends_the_connection(description: bytes) -> None:
    connection = wire()
    query = ask(connection)
    connection.feed(PARSE_COMPLETE + parameter_description() + description)
    assert isinstance(outcome(query), PgProtocolError)


def test_e4_counts_are_unsigned() -> None:
    # 40,000 columns are more than a signed 16-bit count can say; 65,535 parameters likewise.
    connection = wire()
    query = ask(connection).rows()
    columns = struct.pack("!H", 40_000) + b"".join(
        text("c") + struct.pack("!ihihih", 0, 0, INT4, 4, -1, 0) for _ in range(40_000)
    )
    row = struct.pack("!H", 40_000) + b"\0\0\0\4\0\0\0\1" * 40_000
    connection.feed(
        PARSE_COMPLETE
        + parameter_description()
        + message("T", columns)
        + BIND_COMPLETE
        + message("D", row)
        + command_complete("SELECT 1")
        + ready()
    )
    assert query.result() == [(1,) * 40_000]
    other = ask(connection, "SELECT many", 1)
    connection.take()
    connection.feed(
        PARSE_COMPLETE + message("t", struct.pack("!H", 65_535) + struct.pack("!I", INT4) * 65_535)
    )
    connection.feed(NO_DATA + ready())
    assert "65535 parameters" in str(outcome(other))


# Messages that come when they like


def asynchronous() -> list[bytes]:
    return [NOTICE, NOTIFICATION, parameter_status("TimeZone", "UTC")]


def test_e5_asynchronous_messages_may_come_between_any_two_others() -> None:
    parts = [
        PARSE_COMPLETE,
        parameter_description(),
        row_description(("n", INT4)),
        BIND_COMPLETE,
        data_row(number(1)),
        data_row(number(2)),
        command_complete("SELECT 2"),
        ready(),
    ]
    for place in range(len(parts) + 1):
        connection = wire()
        told: list[Any] = []
        connection.on_notice = lambda notice, told=told: told.append(notice.message)
        connection.on_notification = lambda *event, told=told: told.append(event)
        connection.on_parameter = lambda name, value, told=told: told.append(name)
        query = ask(connection).scalars()
        connection.feed(b"".join([*parts[:place], *asynchronous(), *parts[place:]]))
        assert query.result() == [1, 2]
        assert told == ["mind the step", ("news", "hello", 77), "TimeZone"]
        assert connection.parameters["TimeZone"] == "UTC"
        assert connection.in_flight == 0


def test_e6_another_client_encoding_fails_the_query_and_retires_the_connection() -> None:
    connection = wire()
    query = ask(connection, "SET client_encoding = latin1")
    connection.feed(
        PARSE_COMPLETE
        + parameter_description()
        + NO_DATA
        + BIND_COMPLETE
        + parameter_status("client_encoding", "LATIN1")
        + command_complete("SET")
        + ready()
    )
    assert isinstance(outcome(query), PgInterfaceError)
    assert "speaks UTF8 only" in str(outcome(query))
    assert connection.retire_at < 0


def test_e6_invalid_utf8_of_a_sql_ascii_database_fails_one_query() -> None:
    connection = wire()
    bad, good = ask(connection, "SELECT 'é'").scalar(), ask(connection).scalar()
    connection.feed(
        PARSE_COMPLETE
        + parameter_description()
        + row_description(("t", TEXT))
        + BIND_COMPLETE
        + data_row(b"caf\xe9")
        + command_complete("SELECT 1")
        + ready()
        + ANSWER
    )
    assert isinstance(outcome(bad), errors.PgDecodeError)
    assert "not UTF-8" in str(outcome(bad))
    assert good.result() == 1


@pytest.mark.parametrize(
    "response",
    [
        message("E", text("Mbroken") + b"\0"),
        message("E", text("Znobody knows") + text("Mbroken") + b"\0"),
        message("E", text(b"Mbroken") + text(b"D\xff\xfe") + b"\0"),
        message("E", text("SERROR") + text("C22012") + text("Mbroken") + b"\0"),
        message("E", text("Mbroken")),
    ],
    ids=["no code", "unknown field", "not UTF-8", "no V", "no end"],
)
def test_e7_an_error_of_any_form_is_an_error(response: bytes) -> None:
    connection = wire()
    query = ask(connection)
    connection.feed(response + ready())
    assert outcome(query).message == "broken"
    assert connection.state == "Idle"


@pytest.mark.parametrize("code", ["57P01", "57P02", "57P03", "57P05", "25P03", "25P04", "53300"])
@pytest.mark.parametrize("severity", ["FATAL", "PANIC"])
def test_e8_a_fatal_error_while_idle_is_what_the_next_operation_raises(code: str, severity: str) -> None:
    connection = wire()
    connection.feed(error(code, "the end", severity=severity))
    connection.feed_eof()
    query = ask(connection)
    failure = outcome(query)
    assert isinstance(failure, PgConnectionError)
    assert (failure.code, failure.message) == (code, "the end")
    assert failure.safe_to_retry


def test_e9_a_fatal_error_in_flight_is_the_cause_of_every_query_behind_it() -> None:
    connection = wire()
    running, behind = ask(connection), ask(connection, "SELECT 2")
    connection.take()
    unsent = ask(connection, "SELECT 3")
    connection.feed(FIRST + error("57P01", "shutting down", severity="FATAL"))
    assert not running.done()
    connection.feed_eof()
    for query, safe in ((running, False), (behind, False), (unsent, True)):
        failure = outcome(query)
        assert isinstance(failure, PgServerShutdown)
        assert failure.message == "shutting down"
        assert failure.safe_to_retry is safe
        assert failure.statement == query.sql
    assert outcome(running) is not outcome(behind)


def test_e10_two_errors_in_a_row_are_one_error() -> None:
    connection = wire()
    query, next_one = ask(connection), ask(connection, "SELECT 2")
    connection.feed(error("22012", "first") + error("08P01", "second, of the pooler") + ready() + ANSWER)
    assert outcome(query).message == "first"
    assert outcome(next_one).scalar() == 1


def test_e10_an_error_after_command_complete_fails_the_query() -> None:
    connection = wire()
    query = ask(connection).scalar()
    connection.feed(FIRST + data_row(number(1)) + command_complete("SELECT 1"))
    connection.feed(error("23503", "deferred") + ready())
    assert outcome(query).code == "23503"


def test_e11_an_error_of_sync_itself_fails_what_looked_complete() -> None:
    connection = wire()
    insert = ask(connection, "INSERT INTO t VALUES (1)")
    other = ask(connection)
    connection.feed(
        PARSE_COMPLETE + parameter_description() + NO_DATA + BIND_COMPLETE + command_complete("INSERT 0 1")
    )
    assert not insert.done()
    connection.feed(error("40001", "could not serialize") + ready() + ANSWER)
    assert outcome(insert).code == "40001"
    assert outcome(other).scalar() == 1


@pytest.mark.parametrize(
    "stray",
    [
        ready(),
        FIRST + ready(),
        PARSE_COMPLETE + ready(),
        FIRST + data_row(number(1)) + ready(),
        ANSWER + ready() + AGAIN,
        ANSWER + AGAIN + AGAIN,
        BIND_COMPLETE,
        data_row(number(1)),
        command_complete("SELECT 1"),
        FIRST + BIND_COMPLETE,
        FIRST + PORTAL_SUSPENDED,
        FIRST + CLOSE_COMPLETE,
        EMPTY_QUERY,
        message("d", b"data"),
        message("c"),
        message("W", b"\0\0\0"),
        message("K", bytes(8)),
        message("R", bytes(4)),
        message("\x7f"),
    ],
)
def test_e12_what_no_slot_waits_for_ends_the_connection_before_answers_are_shifted(stray: bytes) -> None:
    connection = wire()
    queries = [ask(connection), ask(connection)]
    connection.feed(stray)
    assert connection.state == "Closed"
    assert connection.closed.code == "08P01"
    for query in queries:
        found = outcome(query)
        assert isinstance(found, PgProtocolError) or found.scalar() == 1


def test_e12_a_status_that_does_not_exist_ends_the_connection() -> None:
    connection = wire()
    query = ask(connection)
    connection.feed(ANSWER[:-1] + b"?")
    assert isinstance(outcome(query), PgProtocolError)


def test_e13_the_end_of_the_stream_without_a_reason_says_so() -> None:
    connection = wire()
    query = ask(connection)
    connection.feed_eof()
    assert "closed the connection without a reason" in str(outcome(query))
    cause = ConnectionResetError("reset by peer")
    other = wire()
    query = ask(other)
    other.feed_eof(cause)
    assert outcome(query).__cause__ is cause or other.closed.__cause__ is cause


# Rules of the core


def test_nothing_is_woken_before_its_chunk_is_parsed() -> None:
    connection = wire()
    first, second = ask(connection), ask(connection)
    seen: list[bool] = []
    first.then(lambda _: seen.append(second.done() or connection.in_flight == 0))
    connection.feed(ANSWER + AGAIN)
    assert seen == [True]


def test_states_carry_the_names_of_the_protocol() -> None:
    connection = wire()
    ask(connection)
    states = [connection.state]
    for part in (PARSE_COMPLETE, parameter_description(), row_description(("n", INT4)), BIND_COMPLETE):
        connection.feed(part)
        states.append(connection.state)
    connection.feed(command_complete("SELECT 0"))
    states.append(connection.state)
    connection.feed(ready())
    assert [*states, connection.state] == [
        "ParseComplete",
        "ParameterDescription",
        "RowDescription",
        "BindComplete",
        "CommandComplete",
        "ReadyForQuery",
        "Idle",
    ]


def test_a_handler_that_fails_does_not_reach_the_protocol(monkeypatch: pytest.MonkeyPatch) -> None:
    reported: list[Any] = []
    monkeypatch.setattr("sys.unraisablehook", reported.append)
    connection = wire()
    connection.on_notice = lambda notice: 1 / 0
    query = ask(connection).scalar()
    connection.feed(NOTICE + ANSWER)
    assert query.result() == 1
    assert isinstance(reported[0].exc_value, ZeroDivisionError)


def test_a_large_value_grows_the_buffer_and_gives_it_back() -> None:
    connection = wire()
    query = ask(connection, "SELECT big").scalar()
    big = bytes(range(256)) * 8192
    connection.feed(
        PARSE_COMPLETE
        + parameter_description()
        + row_description(("b", 17))
        + BIND_COMPLETE
        + data_row(big)
        + command_complete("SELECT 1")
        + ready()
    )
    assert query.result() == big


# Replay and damage


def transcript() -> tuple[list[tuple[str, tuple[Any, ...], str]], bytes]:
    """Queries, and what a server answers to them: rows, an error, NULLs, an empty query, notices in between."""
    queries = [
        ("SELECT 1", (), "all"),
        ("SELECT t", (), "all"),
        ("bad", (), "all"),
        ("", (), "tag"),
        ("SELECT 1", (), "json"),
    ]
    answer = (
        ANSWER
        + PARSE_COMPLETE
        + parameter_description()
        + row_description(("t", TEXT), ("n", INT4))
        + NOTICE
        + BIND_COMPLETE
        + data_row(b"one", None)
        + data_row(None, number(-5))
        + data_row("drei ü".encode(), number(3))
        + command_complete("SELECT 3")
        + ready()
        + error("42601", "syntax", P="1")
        + ready()
        + PARSE_COMPLETE
        + parameter_description()
        + NO_DATA
        + BIND_COMPLETE
        + EMPTY_QUERY
        + ready()
        + AGAIN
    )
    return queries, answer


def play(chunks: Iterator[bytes] | list[bytes]) -> list[Any]:
    connection = wire()
    queries = [getattr(ask(connection, sql, *args), shape)() for sql, args, shape in transcript()[0]]
    for chunk in chunks:
        connection.feed(chunk)
    connection.feed_eof()
    found = [outcome(query) for query in queries]
    return [
        (type(one), one.message)
        if isinstance(one, PgError)
        else [tuple(row) for row in one]
        if isinstance(one, list)
        else one
        for one in found
    ]


EXPECTED = [
    [(1,)],
    [("one", None), (None, -5), ("drei ü", 3)],
    (errors.PgSyntaxError, "syntax"),
    None,
    b'[{"n":1}]',
]


def test_a_transcript_gives_the_same_at_every_split_in_two() -> None:
    answer = transcript()[1]
    for cut in range(len(answer) + 1):
        assert play([answer[:cut], answer[cut:]]) == EXPECTED


def test_a_transcript_gives_the_same_at_random_splits_in_many() -> None:
    answer = transcript()[1]
    rng = random.Random(4)
    for _ in range(300):
        cuts = sorted(rng.sample(range(len(answer)), rng.randrange(2, 40)))
        assert play([answer[a:b] for a, b in zip([0, *cuts], [*cuts, len(answer)], strict=True)]) == EXPECTED


def test_every_truncation_ends_in_a_clean_error() -> None:
    answer = transcript()[1]
    for cut in range(len(answer)):
        for found, expected in zip(play([answer[:cut]]), EXPECTED, strict=True):
            assert found == expected or (isinstance(found, tuple) and issubclass(found[0], PgConnectionError))


def test_every_flipped_byte_ends_in_a_value_or_an_error() -> None:
    answer = transcript()[1]
    for position in range(len(answer)):
        for mask in (0x01, 0x80, 0xFF):
            damaged = bytearray(answer)
            damaged[position] ^= mask
            # Whatever it says now, every query has one outcome, and none of them is an exception of Python's own.
            assert len(play([bytes(damaged)])) == len(EXPECTED)
