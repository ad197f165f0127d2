"""The tree of the driver's errors: what a SQLSTATE becomes, and what an error shows."""

from __future__ import annotations

import asyncio
import pickle
import re
from pathlib import Path

import pytest

from swift.pg import errors
from swift.pg.errors import PgError, error_class, error_from_fields, notice_from_fields


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("08006", errors.PgConnectionError),
        ("08P01", errors.PgProtocolError),
        ("0A000", errors.PgFeatureError),
        ("21000", errors.PgDataError),
        ("22P02", errors.PgDataError),
        ("23000", errors.PgIntegrityError),
        ("23502", errors.PgNotNullError),
        ("23503", errors.PgForeignKeyError),
        ("23505", errors.PgUniqueError),
        ("23514", errors.PgCheckError),
        ("23P01", errors.PgExclusionError),
        ("25006", errors.PgReadOnlyError),
        ("25P02", errors.PgFailedTransactionError),
        ("26000", errors.PgStatementNameError),
        ("28P01", errors.PgAuthenticationError),
        ("34000", errors.PgCursorError),
        ("3D000", errors.PgProgrammingError),
        ("40001", errors.PgSerializationError),
        ("40P01", errors.PgDeadlockError),
        ("42601", errors.PgSyntaxError),
        ("42P01", errors.PgUndefinedTable),
        ("42P05", errors.PgDuplicateObject),
        ("42ZZZ", errors.PgProgrammingError),
        ("53300", errors.PgTooManyConnections),
        ("55P03", errors.PgLockNotAvailable),
        ("57014", errors.PgCanceled),
        ("57P01", errors.PgServerShutdown),
        ("P0001", errors.PgRaisedException),
        ("XX000", errors.PgInternalError),
        ("ZZ123", PgError),
        ("", PgError),
    ],
)
def test_the_sqlstate_chooses_the_class(code: str, kind: type[PgError]) -> None:
    error = error_from_fields({"C": code, "M": "message"})
    assert type(error) is kind
    assert error.code == code


@pytest.mark.parametrize(
    ("code", "caught_as"),
    [
        ("25P03", errors.PgConnectionError),
        ("28000", errors.PgConnectionError),
        ("40P01", errors.PgSerializationError),
        ("40P01", errors.PgTransactionRollback),
        ("53300", errors.PgConnectionError),
        ("53300", errors.PgResourceError),
        ("57P01", errors.PgConnectionError),
        ("57P01", errors.PgOperatorIntervention),
        ("08001", ConnectionError),
    ],
)
def test_an_error_is_caught_by_what_it_means(code: str, caught_as: type[Exception]) -> None:
    with pytest.raises(caught_as):
        raise error_from_fields({"C": code, "M": "message"})


def test_all_fields_of_the_server_are_kept() -> None:
    error = error_from_fields(
        {
            "S": "FEHLER", "V": "ERROR", "C": "23505", "M": "duplicate key", "D": "Key (id)=(1) already exists.", "H": "h",
            "P": "8", "p": "3", "q": "select x", "W": "context", "s": "public", "t": "users", "c": "id", "d": "int4",
            "n": "users_pkey", "F": "nbtinsert.c", "L": "664", "R": "_bt_check_unique", "?": "unknown to this client",
        },
        statement="insert into users values (1)",
    )  # fmt: skip
    assert isinstance(error, errors.PgUniqueError)
    assert vars(error) == {
        "message": "duplicate key", "code": "23505", "severity": "ERROR", "detail": "Key (id)=(1) already exists.",
        "hint": "h", "advice": None, "position": 8, "internal_position": 3, "internal_query": "select x",
        "where": "context", "schema": "public", "table": "users", "column": "id", "datatype": "int4",
        "constraint": "users_pkey", "file": "nbtinsert.c", "line": 664, "routine": "_bt_check_unique",
        "statement": "insert into users values (1)", "safe_to_retry": False,
    }  # fmt: skip


def test_e7_an_error_without_sqlstate_severity_or_message_is_still_an_error() -> None:
    error = error_from_fields({})
    assert (error.code, error.severity) == ("", "ERROR")
    assert str(error) == "The server reported an error without a message."
    assert error_from_fields({"S": "FATAL", "M": "m", "P": "x", "L": "²"}).severity == "FATAL"


def test_detail_and_context_hold_values_and_stay_out_of_messages() -> None:
    error = error_from_fields(
        {"C": "23505", "M": "duplicate key", "D": "Key (email)=(a@b.c)", "W": "COPY t, line 1: secret"}
    )
    for text in (str(error), repr(error)):
        assert "a@b.c" not in text
        assert "secret" not in text
    assert "a@b.c" in error.report()
    assert "secret" in error.report()


def test_the_report_points_at_the_place() -> None:
    error = error_from_fields(
        {"S": "ERROR", "C": "42703", "M": 'column "nme" does not exist', "P": "12", "H": "Perhaps name."},
        statement="select\n id,nme\nfrom t",
    )
    assert error.report() == (
        'ERROR:  42703: column "nme" does not exist\nLINE 2:  id,nme\n            ^\nHINT:  Perhaps name.'
    )


def test_a_hint_of_ours_where_it_helps() -> None:
    assert "statement_cache_size=0" in str(
        error_from_fields({"C": "26000", "M": 'prepared statement "s" does not exist'})
    )
    assert "ignore_startup_parameters" in str(
        error_from_fields({"C": "08P01", "M": "unsupported startup parameter: jit"})
    )


def test_e105_a_statement_timeout_is_told_from_a_cancel_by_its_message() -> None:
    by_timeout = error_from_fields({"C": "57014", "M": "canceling statement due to statement timeout"})
    by_user = error_from_fields({"C": "57014", "M": "canceling statement due to user request"})
    assert isinstance(by_timeout, TimeoutError)
    assert isinstance(by_timeout, errors.PgCanceled)
    assert isinstance(by_user, errors.PgCanceled)
    assert not isinstance(by_user, TimeoutError)
    assert isinstance(by_timeout, asyncio.TimeoutError)


def test_only_serialization_failures_are_retryable() -> None:
    assert error_from_fields({"C": "40001", "M": ""}).retryable
    assert error_from_fields({"C": "40P01", "M": ""}).retryable
    assert not error_from_fields({"C": "40003", "M": ""}).retryable


@pytest.mark.parametrize("name", [name for name in errors.__all__ if isinstance(getattr(errors, name), type)])
def test_every_error_survives_pickling_and_stands_in_the_diagram(name: str) -> None:
    kind = getattr(errors, name)
    if name != "PgNotice":
        error = kind("message", code="12345", detail="detail", safe_to_retry=True)
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is kind
        assert vars(again) == vars(error)
        assert str(again) == str(error) == "message (SQLSTATE 12345)"
        assert re.search(rf"\b{name}\b", errors.__doc__ or "")


def test_every_sqlstate_of_the_manual_has_a_class() -> None:
    listing = Path("/usr/share/postgresql")
    codes = {
        line.split()[0]
        for path in listing.glob("*/errcodes.txt")
        for line in path.read_text().splitlines()
        if re.match(r"[0-9A-Z]{5}\s+E\s", line)
    } or {"08006", "22012", "42601", "XX001"}
    # 03, 0F and 0Z name conditions that PostgreSQL never raises.
    assert {code[:2] for code in codes if error_class(code) is PgError} <= {"03", "0F", "0Z"}


def test_a_notice_keeps_its_fields() -> None:
    notice = notice_from_fields(
        {"S": "WARNUNG", "V": "WARNING", "C": "25001", "M": "already in a transaction"}
    )
    assert (notice.severity, notice.code, notice.message) == ("WARNING", "25001", "already in a transaction")
